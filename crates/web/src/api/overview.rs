//! The figures of the circle.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use kenshin_casework::{Breakdown, Figures, RoundFigures};
use kenshin_observation::ProviderId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::providers::ProviderRef;
use crate::api::surveys::Miss;
use crate::api::{Instant, counted};
use crate::guard::Caller;
use crate::{Problem, Web};

/// The figures of the circle: every count with what it is a part of.
#[derive(Debug, Serialize, ToSchema)]
pub struct Overview {
    /// When the figures were computed.
    pub as_of: Instant,
    /// Assessed rounds, oldest first, the newest 200 at most.
    pub rounds: Vec<RoundRow>,
    /// Findings that hold now, by kind.
    pub kinds: Vec<KindRow>,
    /// What stands with each provider, the largest first; the row without provider has nobody to
    /// notify. Empty for who may not see rows.
    pub providers: Vec<ProviderFigures>,
    /// Cases now.
    pub cases: CaseFigures,
    /// Notices now, by state.
    pub notices: BTreeMap<String, i64>,
}

/// A count with its denominator.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct Share {
    /// How many.
    pub count: i64,
    /// Of how many.
    pub of: i64,
}

/// What one round measured, and how the cases stood right after it.
#[derive(Debug, Serialize, ToSchema)]
pub struct RoundRow {
    /// The survey.
    pub survey_id: String,
    /// The programme it is a round of.
    pub programme: String,
    /// Its number in the programme.
    pub round: i64,
    /// What it was for.
    #[schema(schema_with = super::words::survey_kind)]
    pub kind: String,
    /// When it was assessed.
    pub at: Instant,
    /// Addresses whose every target has a final outcome, of those planned.
    pub addresses: Share,
    /// Addresses left out on purpose: neither healthy nor unmeasured.
    pub excluded: i64,
    /// Targets (address and port) with a final outcome, of those planned.
    pub targets: Share,
    /// Exchanges sent.
    pub exchanges: i64,
    /// Addresses where something answered.
    pub responders: i64,
    /// Services that answered.
    pub services: i64,
    /// How much of what answers was missed; absent where nothing was asked again.
    pub miss: Option<Miss>,
    /// Devices told apart.
    pub assets: i64,
    /// Of these, what they are is unknown.
    pub assets_unknown: i64,
    /// Findings that held.
    pub findings: i64,
    /// Hosts without findings that answered in the round before and are dark now, of those that
    /// answered: how much silence means nothing.
    pub vanished: Share,
    /// Cases not closed right after it, those with nobody to notify included.
    pub cases_open: i64,
    /// Of these: nobody to notify.
    pub no_addressee: i64,
    /// Cases first notified up to then.
    pub notified: i64,
    /// Cases it judged, by condition.
    pub judged: BTreeMap<String, i64>,
}

/// Findings of one kind.
#[derive(Debug, Serialize, ToSchema)]
pub struct KindRow {
    /// What is wrong.
    #[schema(schema_with = super::words::finding_kind)]
    pub kind: String,
    /// Findings that hold.
    pub findings: i64,
    /// Devices that show them.
    pub assets: i64,
}

/// What stands with one provider.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProviderFigures {
    /// Absent for what nobody can be notified of.
    pub provider: Option<ProviderRef>,
    /// Findings that hold, by kind.
    pub kinds: BTreeMap<String, i64>,
    /// Findings that hold.
    pub findings: i64,
    /// Cases so far.
    pub cases: i64,
    /// Of these, not closed; those with nobody to notify included.
    pub open: i64,
    /// Of which a notice was sent.
    pub notified: i64,
    /// Closed: same asset, answering, clean.
    pub remedied: i64,
    /// Closed: host alive, service gone.
    pub exposure_ended: i64,
    /// Not closed, and not to be told.
    pub unobservable: i64,
}

/// Cases now.
#[derive(Debug, Serialize, ToSchema)]
pub struct CaseFigures {
    /// Cases so far.
    pub total: i64,
    /// By stage.
    pub stage: BTreeMap<String, i64>,
    /// By condition.
    pub condition: BTreeMap<String, i64>,
    /// Closed ones by reason.
    pub reason: BTreeMap<String, i64>,
    /// Cases notified at least once: the denominator of recovery.
    pub notified: i64,
    /// What became of the notified ones, by closing reason, or by condition while not closed.
    pub outcome: BTreeMap<String, i64>,
    /// Cases that came back at least once.
    pub relapsed: i64,
    /// From the first notice to remedied.
    pub notice_to_remedy: Median,
}

/// A median over those cases where it has happened.
#[derive(Debug, Serialize, ToSchema)]
pub struct Median {
    /// Seconds; absent when it never happened.
    pub median_s: Option<i64>,
    /// Where it has happened.
    pub count: i64,
    /// Where it could have.
    pub of: i64,
}

/// The figures of the circle, as far as the caller may see.
#[utoipa::path(get, path = "/api/v1/overview", tag = "overview", operation_id = "overview_show",
    responses((status = 200, body = Overview), (status = "4XX", body = Problem)))]
pub(crate) async fn show(State(web): State<Web>, caller: Caller) -> Result<Json<Overview>, Problem> {
    let viewer = caller.viewer()?;
    let figures = web.casework().figures(&viewer).await?;
    let breakdown = web.casework().breakdown(&viewer).await?;
    Ok(Json(overview(web.now().into(), figures, breakdown)))
}

fn overview(as_of: Instant, figures: Figures, breakdown: Breakdown) -> Overview {
    let mut by_provider: BTreeMap<Option<ProviderId>, BTreeMap<String, i64>> = BTreeMap::new();
    for count in breakdown.provider_kinds {
        by_provider.entry(count.provider_id).or_default().insert(count.kind, count.findings);
    }
    let providers = breakdown.provider_cases.into_iter().map(|row| {
        let kinds = by_provider.remove(&row.provider_id).unwrap_or_default();
        ProviderFigures {
            provider: row.provider_id.map(|id| {
                let name = row.name.unwrap_or_else(|| id.to_string());
                ProviderRef { provider_id: id.to_string(), name }
            }),
            findings: kinds.values().sum(),
            kinds,
            cases: row.cases,
            open: row.open,
            notified: row.notified,
            remedied: row.remedied,
            exposure_ended: row.exposure_ended,
            unobservable: row.unobservable,
        }
    });
    Overview {
        as_of,
        providers: providers.collect(),
        rounds: figures.rounds.into_iter().map(RoundRow::from).collect(),
        kinds: breakdown
            .kinds
            .into_iter()
            .map(|row| KindRow { kind: row.kind, findings: row.findings, assets: row.assets })
            .collect(),
        cases: CaseFigures {
            total: figures.cases,
            stage: counted(figures.stages),
            condition: counted(figures.conditions),
            reason: counted(figures.close_reasons),
            notified: figures.notified_cases,
            outcome: counted(breakdown.outcome),
            relapsed: figures.relapsed_cases,
            notice_to_remedy: Median {
                median_s: figures.notice_to_remedy.median_s,
                count: figures.notice_to_remedy.of,
                of: figures.notice_to_remedy.out_of,
            },
        },
        notices: counted(figures.notices),
    }
}

impl From<RoundFigures> for RoundRow {
    fn from(round: RoundFigures) -> Self {
        let totals = round.totals;
        Self {
            survey_id: round.survey_id.to_string(),
            programme: round.programme,
            round: round.round,
            kind: round.kind.to_string(),
            at: round.at.into(),
            addresses: Share { count: totals.addresses_covered, of: totals.addresses_planned },
            excluded: totals.addresses_excluded,
            targets: Share { count: totals.targets_covered, of: totals.targets_planned },
            exchanges: totals.exchanges,
            responders: totals.responders,
            services: totals.services,
            miss: Miss::of(&round.progress),
            assets: totals.assets,
            assets_unknown: totals.assets_unknown,
            findings: round.findings,
            vanished: Share { count: totals.unaffected_dark, of: totals.unaffected_before },
            cases_open: round.open_cases,
            no_addressee: round.no_addressee,
            notified: round.notified,
            judged: counted(round.conditions),
        }
    }
}
