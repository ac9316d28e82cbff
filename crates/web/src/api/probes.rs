//! When an address was asked, by whom, and what came of it.

use std::collections::HashMap;
use std::net::IpAddr;

use axum::Json;
use axum::extract::{Path, State};
use kenshin_casework::PageRequest;
use kenshin_observatory::Probed;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::Instant;
use crate::api::sql;
use crate::guard::Caller;
use crate::{Problem, Web};

/// Rows shown at most.
const ROWS_MAX: usize = 1_000;
/// Pages of sensors read for their names at most.
const SENSOR_PAGES_MAX: usize = 40;

/// Every time a port of an address was asked.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProbeList {
    /// Newest first, at most 1,000.
    pub items: Vec<ProbeRow>,
    /// There are older ones.
    pub more: bool,
}

/// One target that was asked, whether it answered or not.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProbeRow {
    /// Survey.
    pub survey_id: String,
    /// Its programme.
    pub programme: String,
    /// Its number in the programme.
    pub round: i64,
    /// Its mandate.
    pub mandate_id: String,
    /// Port.
    pub port: u16,
    /// `tcp` or `udp`.
    pub transport: String,
    /// The sensor that asked.
    pub sensor_id: String,
    /// What it is called; none for the hub's own.
    pub sensor: Option<String>,
    /// It was asked not before this…
    pub from: Instant,
    /// …and not after this.
    pub to: Instant,
    /// How that ended; left out where no observation is kept of it: silence that was kept as coverage
    /// alone, or an observation that was erased.
    #[schema(schema_with = super::words::outcome)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<&'static str>,
}

/// When an address was asked, and by whom: from coverage, whether it answered or not.
#[utoipa::path(get, path = "/api/v1/hosts/{addr}/probes", tag = "search", operation_id = "hosts_probes",
    params(("addr" = String, Path)), responses((status = 200, body = ProbeList), (status = "4XX", body = Problem)))]
pub(crate) async fn list(
    State(web): State<Web>,
    caller: Caller,
    Path(text): Path<String>,
) -> Result<Json<ProbeList>, Problem> {
    let addr: IpAddr = crate::api::query::id("host", &text)?;
    let probed = async {
        let _turn = web.searching().await?;
        let sight = web.observatory().sight(&caller.viewer()?).await?;
        Ok::<_, Problem>(web.observatory().probed(&sight, addr, ROWS_MAX + 1).await?)
    };
    let Ok(probed) = tokio::time::timeout(sql::TIME, probed).await else {
        let slow = format!("coverage was not read within {} s", sql::TIME.as_secs());
        return Err(Problem::past_limit(slow).hint("ask `kenshin search --probed`"));
    };
    let (mut probed, names) = (probed?, sensor_names(&web).await?);
    let more = probed.len() > ROWS_MAX;
    probed.drain(..probed.len().saturating_sub(ROWS_MAX));
    let row = |one: Probed| ProbeRow {
        port: one.endpoint.port,
        transport: one.endpoint.transport.to_string(),
        sensor: names.get(&one.sensor_id).cloned(),
        from: one.from.into(),
        to: one.to.into(),
        outcome: one.outcome.map(|outcome| outcome.as_str()),
        survey_id: one.survey_id,
        programme: one.programme,
        round: one.round,
        mandate_id: one.mandate_id,
        sensor_id: one.sensor_id,
    };
    Ok(Json(ProbeList { items: probed.into_iter().rev().map(row).collect(), more }))
}

/// Names of the sensors that enrolled, by id.
async fn sensor_names(web: &Web) -> Result<HashMap<String, String>, Problem> {
    let mut names = HashMap::new();
    let mut request = Some(PageRequest::first());
    for _ in 0..SENSOR_PAGES_MAX {
        let Some(wanted) = request.take() else { break };
        let found = web.casework().sensors(web.org(), &wanted).await?;
        request = PageRequest::following(&found);
        names.extend(found.items.into_iter().map(|one| (one.sensor_id.to_string(), one.name)));
    }
    Ok(names)
}
