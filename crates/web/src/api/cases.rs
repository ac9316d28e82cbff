//! Cases: their axes, their trail, and what may be done with them.

use axum::Json;
use axum::extract::{Path, State};
use kenshin_casework::{CaseFilter, CaseState, CloseReason, FindingFilter, NoticeFilter, PageRequest};
use kenshin_observation::{CaseId, Decision};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::Instant;
use crate::api::findings::{self, FindingRow};
use crate::api::notices::{self, NoticeRow};
use crate::api::providers::ProviderRef;
use crate::api::query::{Body, LangQuery, Params, ProviderNames, id, page, word};
use crate::guard::Caller;
use crate::{Problem, Web};

mod trail;

pub use trail::TrailRow;

/// Characters of a note at most.
const NOTE_MAX: usize = 2000;

/// A page of cases.
#[derive(Debug, Serialize, ToSchema)]
pub struct CasePage {
    /// The rows.
    pub items: Vec<CaseRow>,
    /// `after` of the next page.
    pub next: Option<String>,
}

/// One case in a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct CaseRow {
    /// Id.
    pub case_id: String,
    /// First axis.
    #[schema(schema_with = super::words::stage)]
    pub stage: String,
    /// Second axis.
    #[schema(schema_with = super::words::condition)]
    pub condition: String,
    /// Third axis: counts relapses from 1.
    pub episode: i64,
    /// Set exactly while closed.
    #[schema(schema_with = super::words::close_reason)]
    pub close_reason: Option<String>,
    /// What the owner must do.
    #[schema(schema_with = super::words::remedy)]
    pub remedy: String,
    /// The highest of its findings.
    #[schema(schema_with = super::words::severity)]
    pub severity: String,
    /// The most urgent of its findings; null when none has a priority.
    #[schema(schema_with = super::words::decision)]
    pub priority: Option<String>,
    /// Where it was last seen.
    pub endpoint: String,
    /// Vendor and product, when known.
    pub product: Option<String>,
    /// Who can reach the owner.
    pub provider: Option<ProviderRef>,
    /// Findings attached.
    pub findings: i64,
    /// When the current or last episode was opened.
    pub opened_at: Instant,
    /// First notice of that episode.
    pub notified_at: Option<Instant>,
    /// When it was last judged.
    pub judged_at: Option<Instant>,
    /// When it was closed.
    pub closed_at: Option<Instant>,
}

/// One case.
#[derive(Debug, Serialize, ToSchema)]
pub struct CaseDetail {
    /// The row of the list.
    pub case: CaseRow,
    /// The immutable subject: what was seen first.
    pub subject: SubjectRow,
    /// For `elsewhere`: whether the weakness was seen there.
    pub still_affected: Option<bool>,
    /// The arm of the experiment that was drawn.
    pub arm: Option<ArmRow>,
    /// Its findings.
    pub findings: Vec<FindingRow>,
    /// Notices about it, oldest first.
    pub notices: Vec<NoticeRow>,
    /// What happened, oldest first.
    pub trail: Vec<TrailRow>,
    /// What the caller may do with it now.
    #[schema(schema_with = super::words::case_actions)]
    pub actions: Vec<String>,
    /// Reasons with which the caller may close it now.
    #[schema(schema_with = super::words::close_reasons)]
    pub close_reasons: Vec<String>,
}

/// What was seen first. Never changes.
#[derive(Debug, Serialize, ToSchema)]
pub struct SubjectRow {
    /// The device.
    pub asset_id: String,
    /// Where.
    pub endpoint: String,
    /// When.
    pub at: Instant,
    /// Product claimed.
    pub product: Option<String>,
    /// Keys that identified the device alone.
    pub keys: Vec<KeyRow>,
}

/// A key that identifies a device.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyRow {
    /// Kind of key.
    pub kind: String,
    /// Its value.
    pub value: String,
}

/// The arm of an experiment.
#[derive(Debug, Serialize, ToSchema)]
pub struct ArmRow {
    /// The experiment; empty without one.
    pub experiment: String,
    /// The arm.
    pub name: String,
    /// Wording of the notice.
    pub wording: String,
    /// Seconds the first notice waits.
    pub delay_s: i64,
}

/// A remark.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Note {
    /// What is to be kept with the event.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub note: String,
}

/// How a case is to be closed.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Close {
    /// Why.
    #[schema(schema_with = super::words::close_reason)]
    pub reason: String,
    /// In words.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub note: String,
}

/// A re-check that was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct Recheck {
    /// The durable job that will do it.
    pub job_id: String,
}

/// Which cases.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CaseQuery {
    /// `next` of the page before.
    #[param(max_length = 200)]
    after: Option<String>,
    /// Rows wanted.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// At this stage.
    stage: Option<String>,
    /// Only those not closed.
    open: Option<bool>,
    /// In this condition.
    condition: Option<String>,
    /// Closed for this reason.
    reason: Option<String>,
    /// With this remedy.
    remedy: Option<String>,
    /// Of this severity.
    severity: Option<String>,
    /// Of this provider.
    provider: Option<String>,
    /// At this address or in this prefix.
    #[param(example = "192.0.2.0/24")]
    net: Option<String>,
    /// In which order; newest first unless said otherwise.
    #[param(schema_with = super::words::order)]
    sort: Option<String>,
}

/// Cases, newest first.
#[utoipa::path(get, path = "/api/v1/cases", tag = "cases", operation_id = "cases_list", params(CaseQuery),
    responses((status = 200, body = CasePage), (status = "4XX", body = Problem)))]
pub(crate) async fn list(
    State(web): State<Web>,
    caller: Caller,
    Params(query): Params<CaseQuery>,
) -> Result<Json<CasePage>, Problem> {
    let filter = CaseFilter {
        stage: word("stage", query.stage.as_deref())?,
        not_closed: query.open.unwrap_or(false),
        condition: word("condition", query.condition.as_deref())?,
        close_reason: word("reason", query.reason.as_deref())?,
        remedy: word("remedy", query.remedy.as_deref())?,
        severity: word("severity", query.severity.as_deref())?,
        provider: word("provider", query.provider.as_deref())?,
        prefix: word("net", query.net.as_deref())?,
        order: word("sort", query.sort.as_deref())?.unwrap_or_default(),
        ..CaseFilter::default()
    };
    let names = ProviderNames::read(&web, &caller).await?;
    let found = web.casework().cases(&caller.viewer()?, &filter, &page(query.after, query.limit)).await?;
    let items = rows(&web, &caller, &found.items, &names).await?;
    Ok(Json(CasePage { items, next: found.next }))
}

/// One case with its trail.
#[utoipa::path(get, path = "/api/v1/cases/{id}", tag = "cases", operation_id = "cases_show", params(("id" = String, Path), LangQuery),
    responses((status = 200, body = CaseDetail), (status = "4XX", body = Problem)))]
pub(crate) async fn show(
    State(web): State<Web>,
    caller: Caller,
    Path(text): Path<String>,
    Params(lang): Params<LangQuery>,
) -> Result<Json<CaseDetail>, Problem> {
    let case_id: CaseId = id("case", &text)?;
    let viewer = caller.viewer()?;
    let casework = web.casework();
    let state = casework.case(&viewer, case_id).await?;
    let names = ProviderNames::read(&web, &caller).await?;
    let of_case = FindingFilter { case: Some(case_id), ..FindingFilter::default() };
    let found = casework.findings(&viewer, &of_case, &PageRequest::first()).await?;
    let about = NoticeFilter { case: Some(case_id), ..NoticeFilter::default() };
    let mut sent = casework.notices(&viewer, &about, &PageRequest::first()).await?.items;
    sent.reverse();
    let events = casework.case_trail(&viewer, case_id).await?;
    Ok(Json(CaseDetail {
        case: one(&web, &caller, &state, &names).await?,
        subject: subject(&state),
        still_affected: state.still_affected,
        arm: state.arm.as_ref().map(|arm| ArmRow {
            experiment: arm.experiment.clone(),
            name: arm.name.clone(),
            wording: arm.wording.clone(),
            delay_s: arm.delay_s,
        }),
        findings: found.items.iter().map(|record| findings::row(record, &names)).collect(),
        notices: notices::rows(&web, &sent, &names).await?,
        trail: trail::rows(&web, &events, &names, lang.tag()).await?,
        actions: trail::actions(&state, &viewer, web.now()),
        close_reasons: trail::close_reasons(&state, web.now()).iter().map(ToString::to_string).collect(),
    }))
}

/// Says that somebody cares for the case.
#[utoipa::path(post, path = "/api/v1/cases/{id}/ack", tag = "cases", operation_id = "cases_acknowledge", params(("id" = String, Path)), request_body = Note,
    responses((status = 200, body = CaseRow), (status = "4XX", body = Problem)))]
pub(crate) async fn acknowledge(
    State(web): State<Web>,
    caller: Caller,
    Path(text): Path<String>,
    Body(said): Body<Note>,
) -> Result<Json<CaseRow>, Problem> {
    let note = checked(&said.note)?;
    let (viewer, actor) = (caller.viewer()?, caller.actor()?);
    let state = web.casework().acknowledge_case(&viewer, id("case", &text)?, &actor, note, web.now()).await?;
    let names = ProviderNames::read(&web, &caller).await?;
    Ok(Json(one(&web, &caller, &state, &names).await?))
}

/// Says that the case is not so.
#[utoipa::path(post, path = "/api/v1/cases/{id}/dispute", tag = "cases", operation_id = "cases_dispute", params(("id" = String, Path)),
    request_body = Note, responses((status = 200, body = CaseRow), (status = "4XX", body = Problem)))]
pub(crate) async fn dispute(
    State(web): State<Web>,
    caller: Caller,
    Path(text): Path<String>,
    Body(said): Body<Note>,
) -> Result<Json<CaseRow>, Problem> {
    let change = kenshin_casework::CaseChange::Disputed { note: checked(&said.note)?.to_owned() };
    let (viewer, actor) = (caller.viewer()?, caller.actor()?);
    let state = web.casework().change_case(&viewer, id("case", &text)?, &actor, change, web.now()).await?;
    let names = ProviderNames::read(&web, &caller).await?;
    Ok(Json(one(&web, &caller, &state, &names).await?))
}

/// Closes the case for a reason that a person gives.
#[utoipa::path(post, path = "/api/v1/cases/{id}/close", tag = "cases", operation_id = "cases_close", params(("id" = String, Path)),
    request_body = Close, responses((status = 200, body = CaseRow), (status = "4XX", body = Problem)))]
pub(crate) async fn close(
    State(web): State<Web>,
    caller: Caller,
    Path(text): Path<String>,
    Body(asked): Body<Close>,
) -> Result<Json<CaseRow>, Problem> {
    let reason: CloseReason =
        asked.reason.parse().map_err(|error| Problem::bad_request(format!("`reason`: {error}")))?;
    let note = checked(&asked.note)?;
    let (viewer, actor) = (caller.viewer()?, caller.actor()?);
    let state =
        web.casework().close_case(&viewer, id("case", &text)?, &actor, reason, note, web.now()).await?;
    let names = ProviderNames::read(&web, &caller).await?;
    Ok(Json(one(&web, &caller, &state, &names).await?))
}

/// Asks for the case to be measured again, under the mandate it was found under.
#[utoipa::path(post, path = "/api/v1/cases/{id}/recheck", tag = "cases", operation_id = "cases_recheck", params(("id" = String, Path)),
    responses((status = 200, body = Recheck), (status = "4XX", body = Problem)))]
pub(crate) async fn recheck(
    State(web): State<Web>,
    caller: Caller,
    Path(text): Path<String>,
) -> Result<Json<Recheck>, Problem> {
    let job_id = web.observatory().ask_recheck(&caller.viewer()?, id("case", &text)?).await?;
    Ok(Json(Recheck { job_id: job_id.to_string() }))
}

fn checked(note: &str) -> Result<&str, Problem> {
    if note.chars().count() > NOTE_MAX {
        return Err(Problem::bad_request(format!("a note has at most {NOTE_MAX} characters")));
    }
    Ok(note.trim())
}

/// Cases as rows, each with the most urgent of its findings.
pub(super) async fn rows(
    web: &Web,
    caller: &Caller,
    states: &[CaseState],
    names: &ProviderNames,
) -> Result<Vec<CaseRow>, Problem> {
    let ids: Vec<CaseId> = states.iter().map(|state| state.case_id).collect();
    let priorities = web.casework().case_priorities(&caller.viewer()?, &ids).await?;
    Ok(states.iter().map(|state| row(state, names, priorities.get(&state.case_id).copied())).collect())
}

async fn one(
    web: &Web,
    caller: &Caller,
    state: &CaseState,
    names: &ProviderNames,
) -> Result<CaseRow, Problem> {
    let priorities = web.casework().case_priorities(&caller.viewer()?, &[state.case_id]).await?;
    Ok(row(state, names, priorities.get(&state.case_id).copied()))
}

fn row(state: &CaseState, names: &ProviderNames, priority: Option<Decision>) -> CaseRow {
    CaseRow {
        case_id: state.case_id.to_string(),
        stage: state.stage.to_string(),
        condition: state.condition.to_string(),
        episode: state.episode,
        close_reason: state.close_reason.map(|reason| reason.to_string()),
        remedy: state.remedy.to_string(),
        severity: state.severity.to_string(),
        priority: priority.map(|decision| decision.to_string()),
        endpoint: state.endpoint.to_string(),
        product: state.product.clone(),
        provider: state.provider.map(|id| names.named(id)),
        findings: i64::try_from(state.findings.len()).unwrap_or(i64::MAX),
        opened_at: state.opened_at.into(),
        notified_at: state.notified_at.map(Instant),
        judged_at: state.judged_at.map(Instant),
        closed_at: state.closed_at.map(Instant),
    }
}

fn subject(state: &CaseState) -> SubjectRow {
    let subject = &state.subject;
    SubjectRow {
        asset_id: subject.asset_id.to_string(),
        endpoint: subject.endpoint.to_string(),
        at: subject.time.into(),
        product: subject.product.clone(),
        keys: subject
            .keys
            .iter()
            .map(|key| KeyRow { kind: key.kind.to_string(), value: key.value.clone() })
            .collect(),
    }
}
