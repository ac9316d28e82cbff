//! Sensors, as administrators see them.

use axum::Json;
use axum::extract::{Path, State};
use kenshin_casework::SensorRecord;
use kenshin_observation::SensorId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::Instant;
use crate::api::query::{Body, PageQuery, Params, id, page};
use crate::guard::Caller;
use crate::{Problem, Web};

/// A page of sensors.
#[derive(Debug, Serialize, ToSchema)]
pub struct SensorPage {
    /// The rows.
    pub items: Vec<SensorRow>,
    /// `after` of the next page.
    pub next: Option<String>,
}

/// One sensor.
#[derive(Debug, Serialize, ToSchema)]
pub struct SensorRow {
    /// Its id, for mandates.
    pub sensor_id: String,
    /// What it is called.
    pub name: String,
    /// Its public key, hexadecimal, for mandates.
    pub public_key: String,
    /// Batches that came from it.
    pub batches: i64,
    /// When it enrolled.
    pub enrolled_at: Instant,
    /// When it was last heard.
    pub seen_at: Option<Instant>,
    /// When its key ceased to count.
    pub retired_at: Option<Instant>,
}

/// A sensor to be enrolled.
#[derive(Debug, Deserialize, ToSchema)]
pub struct NewToken {
    /// What it will be called.
    #[schema(max_length = 100)]
    pub name: String,
}

/// An enrolment token, told once.
#[derive(Serialize, ToSchema)]
pub struct Token {
    /// For `kenshin sensor enrol --token`.
    pub token: String,
    /// Seconds for which it is good.
    pub for_s: i64,
}

/// Sensors, by id.
#[utoipa::path(get, path = "/api/v1/sensors", tag = "sensors", operation_id = "sensors_list", params(PageQuery),
    responses((status = 200, body = SensorPage), (status = "4XX", body = Problem)))]
pub(crate) async fn list(
    State(web): State<Web>,
    _caller: Caller,
    Params(query): Params<PageQuery>,
) -> Result<Json<SensorPage>, Problem> {
    let found = web.casework().sensors(web.org(), &page(query.after, query.limit)).await?;
    Ok(Json(SensorPage { items: found.items.into_iter().map(row).collect(), next: found.next }))
}

/// Makes a token with which one sensor can enrol.
#[utoipa::path(post, path = "/api/v1/sensors/tokens", tag = "sensors", operation_id = "sensors_token", request_body = NewToken,
    responses((status = 200, body = Token), (status = "4XX", body = Problem)))]
pub(crate) async fn token(
    State(web): State<Web>,
    caller: Caller,
    Body(new): Body<NewToken>,
) -> Result<Json<Token>, Problem> {
    let token = web.observatory().new_sensor_token(&new.name, &caller.actor()?).await?;
    Ok(Json(Token { token, for_s: kenshin_observatory::TOKEN_S }))
}

/// Retires a sensor: its key does not count any more.
#[utoipa::path(post, path = "/api/v1/sensors/{id}/retire", tag = "sensors", operation_id = "sensors_retire", params(("id" = String, Path)),
    responses((status = 200, body = SensorRow), (status = "4XX", body = Problem)))]
pub(crate) async fn retire(
    State(web): State<Web>,
    caller: Caller,
    Path(text): Path<String>,
) -> Result<Json<SensorRow>, Problem> {
    let sensor: SensorId = id("sensor", &text)?;
    web.casework().retire_sensor(web.org(), sensor, &caller.actor()?, web.now()).await?;
    let found = web.casework().sensor(sensor).await?.ok_or_else(|| Problem::not_found("sensor", &text))?;
    Ok(Json(row(found.1)))
}

fn row(sensor: SensorRecord) -> SensorRow {
    SensorRow {
        sensor_id: sensor.sensor_id.to_string(),
        name: sensor.name,
        public_key: sensor.public_key,
        batches: sensor.head_sequence,
        enrolled_at: sensor.enrolled_at.into(),
        seen_at: sensor.seen_at.map(Instant),
        retired_at: sensor.retired_at.map(Instant),
    }
}
