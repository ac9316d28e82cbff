//! What sensors say to their hub. Every request but the first is signed with the sensor's own key and
//! passed the guard by it; bodies are those of [`kenshin_observatory::hub`].

use axum::Json;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::StatusCode;
use kenshin_casework::NewSensor;
use kenshin_observation::JobId;
use kenshin_observatory::Shipper;
use kenshin_observatory::hub::{
    Enrolled, Enrolment, Held, Lease, LeaveAlone, Papers, Pulse, SHIPMENT_UNPACKED_MAX, ShardEnd, unpack,
};
use kenshin_observatory::signed::VerifyingKey;
use kenshin_survey::progress::Progress;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::query::{Body, id};
use crate::guard::{Caller, REPORT_WITHIN, claim_of, proven, read_body};
use crate::{BODY_MAX, Problem, Web};

/// Under which name attempts to enrol are counted.
const ENROLMENT: &str = "sensor enrolment";

/// The routes of sensors.
pub(crate) fn router() -> OpenApiRouter<Web> {
    OpenApiRouter::new()
        .routes(routes!(enrol))
        .routes(routes!(lease))
        .routes(routes!(pulse))
        .routes(routes!(end))
        .routes(routes!(batches))
        .routes(routes!(papers))
        .routes(routes!(leave_alone))
        // The guard has read the body already, within its own limits.
        .layer(DefaultBodyLimit::disable())
}

/// A sensor's report on a job that it holds.
#[derive(Deserialize)]
pub(crate) struct Report {
    lease: i64,
    progress: Progress,
}

/// A sensor's last word on a job that it holds.
#[derive(Deserialize)]
pub(crate) struct LastReport {
    lease: i64,
    end: ShardEnd,
}

/// Makes a sensor known by a token that an administrator made; signed with the key it names.
#[utoipa::path(post, path = "/api/v1/sensor/enrol", tag = "sensor", operation_id = "sensor_enrol",
    request_body(content = serde_json::Value, description = "Token, public key and head of the sensor's chain"),
    responses((status = 200, body = serde_json::Value), (status = "4XX", body = Problem)))]
pub(crate) async fn enrol(
    State(web): State<Web>,
    caller: Caller,
    request: Request,
) -> Result<Json<Enrolled>, Problem> {
    let (parts, body) = request.into_parts();
    let claim = claim_of(&parts.headers)?;
    let attempt = {
        let mut limiter = web.inner.limiter.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        limiter.attempt(ENROLMENT, caller.addr, web.now())
    };
    attempt.map_err(Problem::too_many)?;
    let body = read_body(&parts, body, BODY_MAX, REPORT_WITHIN).await?;
    let asked: Enrolment =
        serde_json::from_slice(&body).map_err(|error| Problem::bad_request(error.to_string()))?;
    let key = VerifyingKey::read(&asked.public_key)
        .ok_or_else(|| Problem::bad_request("public_key is not an Ed25519 key"))?;
    proven(&claim, &key, &parts, &web)?;
    let sensor = NewSensor {
        sensor_id: claim.sensor,
        public_key: asked.public_key,
        head_sequence: asked.head_sequence,
        head_digest: asked.head_digest,
    };
    let enrolled = web.observatory().enrol_sensor(&asked.token, &sensor).await?;
    let mut limiter = web.inner.limiter.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    limiter.succeeded(ENROLMENT, caller.addr);
    Ok(Json(enrolled))
}

/// The part of a survey that the sensor holds, or the next that waits for it; null when there is none.
#[utoipa::path(post, path = "/api/v1/sensor/lease", tag = "sensor", operation_id = "sensor_lease",
    responses((status = 200, body = serde_json::Value), (status = "4XX", body = Problem)))]
pub(crate) async fn lease(State(web): State<Web>, caller: Caller) -> Result<Json<Option<Lease>>, Problem> {
    Ok(Json(web.observatory().lease_shard_apart(caller.sensor()?.sensor_id).await?))
}

/// Reports how far it is, and keeps the lease.
#[utoipa::path(post, path = "/api/v1/sensor/jobs/{id}/pulse", tag = "sensor", operation_id = "sensor_pulse", params(("id" = String, Path)),
    request_body(content = serde_json::Value, description = "Number of the lease, and progress"),
    responses((status = 200, body = serde_json::Value), (status = "4XX", body = Problem)))]
pub(crate) async fn pulse(
    State(web): State<Web>,
    caller: Caller,
    Path(text): Path<String>,
    Body(report): Body<Report>,
) -> Result<Json<Pulse>, Problem> {
    let job_id: JobId = id("job", &text)?;
    let held = Held { job_id, lease: report.lease };
    Ok(Json(web.observatory().pulse_shard(caller.sensor()?.sensor_id, held, &report.progress).await?))
}

/// The last word on a part of a survey.
#[utoipa::path(post, path = "/api/v1/sensor/jobs/{id}/end", tag = "sensor", operation_id = "sensor_end", params(("id" = String, Path)),
    request_body(content = serde_json::Value, description = "Number of the lease, and how it ended"),
    responses((status = 200, body = serde_json::Value), (status = "4XX", body = Problem)))]
pub(crate) async fn end(
    State(web): State<Web>,
    caller: Caller,
    Path(text): Path<String>,
    Body(report): Body<LastReport>,
) -> Result<Json<()>, Problem> {
    let job_id: JobId = id("job", &text)?;
    let held = Held { job_id, lease: report.lease };
    web.observatory().end_shard(caller.sensor()?.sensor_id, held, &report.end).await?;
    Ok(Json(()))
}

/// Takes batches: verified, committed to the lake once, acknowledged by the answer.
#[utoipa::path(post, path = "/api/v1/sensor/batches", tag = "sensor", operation_id = "sensor_batches",
    request_body(content = Vec<u8>, content_type = "application/json", description = "A JSON array of signed batches, gzip"),
    responses((status = 200, body = serde_json::Value), (status = "4XX", body = Problem)))]
pub(crate) async fn batches(
    State(web): State<Web>,
    caller: Caller,
    body: Bytes,
) -> Result<Json<()>, Problem> {
    let sensor = caller.sensor()?;
    let key = VerifyingKey::read(&sensor.public_key).ok_or_else(Problem::unsigned)?;
    let unpacking = tokio::task::spawn_blocking(move || unpack(&body, SHIPMENT_UNPACKED_MAX));
    let batches = unpacking.await.map_err(|error| Problem::ours(&error))??;
    if batches.iter().any(|batch| batch.header.sensor_id != sensor.sensor_id) {
        return Err(Problem::conflict("a sensor hands over its own batches only"));
    }
    web.observatory().receive(key, Shipper::Apart, batches).await?;
    Ok(Json(()))
}

/// Mandate, revocation list and narrowing list as they lie here; the sensor verifies them.
#[utoipa::path(get, path = "/api/v1/sensor/papers/{id}", tag = "sensor", operation_id = "sensor_papers", params(("id" = String, Path)),
    responses((status = 200, body = serde_json::Value), (status = "4XX", body = Problem)))]
pub(crate) async fn papers(
    State(web): State<Web>,
    Path(mandate_id): Path<String>,
) -> Result<Json<Papers>, Problem> {
    let observatory = web.observatory().clone();
    let wanted = mandate_id.clone();
    let reading = tokio::task::spawn_blocking(move || {
        observatory.authority().ids()?.contains(&wanted).then(|| observatory.papers(&wanted)).transpose()
    });
    let found = reading.await.map_err(|error| Problem::ours(&error))??;
    found.map(Json).ok_or_else(|| Problem::not_found("mandate", &mandate_id))
}

/// Passes on what somebody asked at the sensor's courtesy page.
#[utoipa::path(post, path = "/api/v1/sensor/leave-alone", tag = "sensor", operation_id = "sensor_leave_alone",
    request_body(content = serde_json::Value, description = "An address, or a request about a prefix"),
    responses((status = 200, body = serde_json::Value), (status = "4XX", body = Problem)))]
pub(crate) async fn leave_alone(
    State(web): State<Web>,
    caller: Caller,
    Body(request): Body<LeaveAlone>,
) -> Result<(StatusCode, Json<()>), Problem> {
    web.observatory().leave_alone(&request, Some(caller.sensor()?.sensor_id)).await?;
    Ok((StatusCode::OK, Json(())))
}
