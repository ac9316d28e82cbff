//! The public health page: aggregates only, small cells suppressed.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use kenshin_casework::{Breakdown, Figures};
use kenshin_observation::{SurveyId, TimeUs};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::{Instant, counted};
use crate::{Problem, Web};

mod suppression;

use suppression::{THRESHOLD, suppressed};

/// For this long the figures are not computed anew, µs: anybody may ask.
const KEPT_US: i64 = 15_000_000;

/// What everybody may know.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Health {
    /// When the figures were computed.
    pub as_of: Instant,
    /// Name of the observatory's organisation.
    pub organisation: String,
    /// Counts below this are not published.
    pub threshold: i64,
    /// Rounds, oldest first.
    pub rounds: Vec<PublicRound>,
    /// Devices with a weakness of each kind in the newest round.
    pub kinds: Vec<PublicKind>,
    /// What became of the cases that providers were notified of.
    pub outcome: PublicOutcome,
}

/// A count that is withheld when it is small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Cell {
    /// The count; absent when withheld.
    pub count: Option<i64>,
}

/// One round in public.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PublicRound {
    /// Its number.
    pub round: i64,
    /// When it ended.
    pub ended_at: Option<Instant>,
    /// Addresses surveyed.
    pub addresses: i64,
    /// Percent of the targets with a final outcome.
    pub coverage_percent: f64,
    /// Addresses at which something answered.
    pub responders: Cell,
    /// Devices with at least one weakness.
    pub affected: Cell,
}

/// One kind in public.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PublicKind {
    /// What is wrong.
    #[schema(schema_with = super::words::finding_kind)]
    pub kind: String,
    /// Devices.
    pub assets: Cell,
}

/// What became of the cases.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PublicOutcome {
    /// Cases of which a notice was sent.
    pub notified: Cell,
    /// Same device, answering, clean.
    pub remedied: Cell,
    /// Device alive, service closed.
    pub exposure_ended: Cell,
    /// Still there.
    pub affected: Cell,
    /// Not to be told: never counted as healthy.
    pub unobservable: Cell,
}

/// Aggregates for everybody.
#[utoipa::path(get, path = "/api/v1/health", tag = "health", operation_id = "health_show",
    responses((status = 200, body = Health), (status = 503, body = Problem)))]
pub(crate) async fn show(State(web): State<Web>) -> Result<Json<Health>, Problem> {
    let now = web.now();
    let kept = web.inner.health.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    if let Some((at, health)) = kept
        && (0..KEPT_US).contains(&now.micros_since(at))
    {
        return Ok(Json(health.as_ref().clone()));
    }
    let everything = web.observatory().viewer();
    let figures = web.casework().figures(&everything).await?;
    let breakdown = web.casework().breakdown(&everything).await?;
    let organisation = web.observatory().settings().organisation.clone();
    let health = Arc::new(health(now, organisation, figures, breakdown));
    *web.inner.health.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some((now, health.clone()));
    Ok(Json(health.as_ref().clone()))
}

fn health(as_of: TimeUs, organisation: String, figures: Figures, breakdown: Breakdown) -> Health {
    let affected: BTreeMap<SurveyId, i64> =
        breakdown.round_assets.iter().map(|row| (row.survey_id, row.assets)).collect();
    let rounds = figures.rounds.iter().map(|round| {
        let totals = &round.totals;
        let [responders, with_weakness] =
            suppressed([totals.responders, affected.get(&round.survey_id).copied().unwrap_or(0)]);
        PublicRound {
            round: round.round,
            ended_at: Some(round.at.into()),
            addresses: totals.addresses_covered,
            coverage_percent: percent(totals.targets_covered, totals.targets_planned),
            responders,
            affected: with_weakness,
        }
    });
    let kinds = breakdown.kinds.iter().map(|row| {
        let [assets] = suppressed([row.assets]);
        PublicKind { kind: row.kind.clone(), assets }
    });
    // Both ways of counting an outcome: closed for the reason, or seen so and not closed yet.
    let outcome = counted(breakdown.outcome);
    let of = |names: &[&str]| names.iter().filter_map(|name| outcome.get(*name)).sum::<i64>();
    let parts = [
        of(&["remedied", "clean"]),
        of(&["exposure-ended", "service-gone"]),
        of(&["affected", "elsewhere"]),
        of(&["unobservable", "replaced"]),
    ];
    let rest = figures.notified_cases - parts.iter().sum::<i64>();
    let ([remedied, exposure_ended, affected, unobservable], notified) =
        suppression::parts(parts, rest, figures.notified_cases);
    Health {
        as_of: as_of.into(),
        organisation,
        threshold: THRESHOLD,
        rounds: rounds.collect(),
        kinds: kinds.collect(),
        outcome: PublicOutcome { notified, remedied, exposure_ended, affected, unobservable },
    }
}

/// With one decimal place.
fn percent(count: i64, of: i64) -> f64 {
    if of <= 0 { 0.0 } else { (count as f64 * 1000.0 / of as f64).floor() / 10.0 }
}
