//! Surveys and their progress.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::stream::{self, Stream};
use kenshin_casework::{Survey, SurveyState};
use kenshin_observation::{SurveyId, TimeUs};
use kenshin_survey::run::front::miss::MissEstimate;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, watch};
use utoipa::ToSchema;

use crate::api::Instant;
use crate::api::overview::RoundRow;
use crate::api::query::{PageQuery, Params, id, page};
use crate::guard::Caller;
use crate::{Problem, Web};

/// How often a running survey is looked at, ms.
const LOOK_MS: u64 = 500;

/// A page of surveys, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct SurveyPage {
    /// The rows.
    pub items: Vec<SurveyRow>,
    /// `after` of the next page.
    pub next: Option<String>,
}

/// One survey in a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct SurveyRow {
    /// Id.
    pub survey_id: String,
    /// Programme.
    pub programme: String,
    /// Its number in the programme.
    pub round: i64,
    /// What it is for.
    #[schema(schema_with = super::words::survey_kind)]
    pub kind: String,
    /// Where it stands.
    #[schema(schema_with = super::words::survey_state)]
    pub state: String,
    /// Why it stopped or failed.
    pub reason: Option<String>,
    /// SHA-256 of the mandate's signed text.
    pub mandate_digest: String,
    /// When it was asked for.
    pub created_at: Instant,
    /// When it began.
    pub started_at: Option<Instant>,
    /// When it ended.
    pub ended_at: Option<Instant>,
    /// How far it is.
    pub progress: Progress,
}

/// How far a survey is. Also the event of the progress stream.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Progress {
    /// Where the survey stands.
    #[schema(schema_with = super::words::survey_state)]
    pub state: String,
    /// True when nothing will change any more.
    pub finished: bool,
    /// Targets with a final outcome.
    pub done: i64,
    /// Targets of the survey.
    pub total: i64,
    /// Exchanges sent.
    pub sent: i64,
    /// Targets that answered.
    pub answered: i64,
    /// Exchanges a second, lately.
    pub rate_per_s: Option<f64>,
    /// Seconds left at this pace.
    pub eta_s: Option<i64>,
    /// Services recognised so far, by protocol.
    pub protocols: BTreeMap<String, i64>,
    /// How much of what answers was missed; absent while nothing was asked again.
    pub miss: Option<Miss>,
}

/// Estimate of how much of what answers a survey missed, from targets that answered and were asked again.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct Miss {
    /// Answering targets that were asked again.
    pub asked: u64,
    /// Of these, those that stayed silent.
    pub missed: u64,
    /// Estimated share, 0 to 1.
    pub rate: f64,
    /// Lower end of its 95 % interval.
    pub low: f64,
    /// Upper end of its 95 % interval.
    pub high: f64,
    /// Asks of hosts that the operator knows to be up.
    pub canary_asked: u64,
    /// Of these, those without an answer.
    pub canary_missed: u64,
}

impl Miss {
    /// What a progress report says of it.
    pub(crate) fn of(progress: &serde_json::Value) -> Option<Self> {
        let miss = progress.get("miss")?.clone();
        let MissEstimate { asked, missed, rate, low, high, canary_asked, canary_missed, .. } =
            serde_json::from_value(miss).ok()?;
        let said = asked > 0 || canary_asked > 0;
        said.then_some(Self { asked, missed, rate, low, high, canary_asked, canary_missed })
    }
}

/// One survey.
#[derive(Debug, Serialize, ToSchema)]
pub struct SurveyDetail {
    /// The row of the list.
    pub survey: SurveyRow,
    /// Id of its mandate.
    pub mandate_id: Option<String>,
    /// Its figures, once it was assessed.
    pub figures: Option<RoundRow>,
}

/// Surveys, newest first.
#[utoipa::path(get, path = "/api/v1/surveys", tag = "surveys", operation_id = "surveys_list", params(PageQuery),
    responses((status = 200, body = SurveyPage), (status = "4XX", body = Problem)))]
pub(crate) async fn list(
    State(web): State<Web>,
    _caller: Caller,
    Params(query): Params<PageQuery>,
) -> Result<Json<SurveyPage>, Problem> {
    let found = web.casework().surveys(web.org(), None, &page(query.after, query.limit)).await?;
    Ok(Json(SurveyPage { items: found.items.iter().map(row).collect(), next: found.next }))
}

/// One survey.
#[utoipa::path(get, path = "/api/v1/surveys/{id}", tag = "surveys", operation_id = "surveys_show", params(("id" = String, Path)),
    responses((status = 200, body = SurveyDetail), (status = "4XX", body = Problem)))]
pub(crate) async fn show(
    State(web): State<Web>,
    caller: Caller,
    Path(text): Path<String>,
) -> Result<Json<SurveyDetail>, Problem> {
    let survey_id: SurveyId = id("survey", &text)?;
    let survey = web.casework().survey(web.org(), survey_id).await?;
    let figures = web.casework().figures(&caller.viewer()?).await?;
    let figures = figures.rounds.into_iter().find(|round| round.survey_id == survey_id).map(RoundRow::from);
    let mandate_id = super::mandates::id_of(&web, survey.mandate_digest.clone()).await;
    Ok(Json(SurveyDetail { survey: row(&survey), mandate_id, figures }))
}

/// Progress of a survey as server-sent events named `progress`, until it ends.
#[utoipa::path(get, path = "/api/v1/surveys/{id}/events", tag = "surveys", operation_id = "surveys_events", params(("id" = String, Path)),
    responses((status = 200, content_type = "text/event-stream", body = Progress), (status = "4XX", body = Problem),
        (status = 503, body = Problem)))]
pub(crate) async fn events(
    State(web): State<Web>,
    caller: Caller,
    Path(text): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let survey_id: SurveyId = id("survey", &text)?;
    web.casework().survey(web.org(), survey_id).await?;
    let Ok(permit) = web.inner.streams.clone().try_acquire_owned() else {
        return Err(Problem::busy("too many people follow surveys at once"));
    };
    let until = caller.session.as_ref().ok_or_else(Problem::unauthenticated)?.expires_at;
    let stopping = web.inner.stopping.subscribe();
    let follower = Follower { web, survey_id, until, stopping, sent: None, _permit: permit };
    let stream = stream::unfold(follower, Follower::next);
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()))
}

/// One open progress stream.
struct Follower {
    web: Web,
    survey_id: SurveyId,
    /// The session's end is the stream's end.
    until: TimeUs,
    stopping: watch::Receiver<bool>,
    sent: Option<Progress>,
    _permit: OwnedSemaphorePermit,
}

impl Follower {
    /// The next event: at once, then whenever something changed.
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            if let Some(sent) = &self.sent {
                if sent.finished {
                    return None;
                }
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(LOOK_MS)) => {}
                    () = stopped(&mut self.stopping) => return None,
                }
            }
            if self.web.now() >= self.until {
                return None;
            }
            // Trouble ends the stream; the browser comes again and is told.
            let survey = self.web.casework().survey(self.web.org(), self.survey_id).await.ok()?;
            let progress = Progress::of(&survey);
            if self.sent.as_ref() == Some(&progress) {
                continue;
            }
            let event = Event::default().event("progress").json_data(&progress).ok()?;
            self.sent = Some(progress);
            return Some((Ok(event), self));
        }
    }
}

/// Resolves when the server stops.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error says that the server is gone, which is the same.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

fn row(survey: &Survey) -> SurveyRow {
    SurveyRow {
        survey_id: survey.survey_id.to_string(),
        programme: survey.programme.clone(),
        round: survey.round,
        kind: survey.kind.to_string(),
        state: survey.state.to_string(),
        reason: survey.reason.clone(),
        mandate_digest: survey.mandate_digest.clone(),
        created_at: survey.created_at.into(),
        started_at: survey.started_at.map(Instant),
        ended_at: survey.ended_at.map(Instant),
        progress: Progress::of(survey),
    }
}

impl Progress {
    /// The sensor's last report; where it is silent, the totals of the assessment.
    fn of(survey: &Survey) -> Self {
        let report = |field: &str| survey.progress.get(field).and_then(serde_json::Value::as_i64);
        let totals = &survey.totals;
        let finished =
            matches!(survey.state, SurveyState::Finished | SurveyState::Failed | SurveyState::Stopped);
        let protocols = survey.progress.get("hits").and_then(serde_json::Value::as_object);
        let known = |reported: Option<i64>, total: i64| reported.filter(|value| *value > 0).unwrap_or(total);
        Self {
            state: survey.state.to_string(),
            finished,
            done: known(report("targets_done"), totals.targets_covered),
            total: known(report("targets_total"), totals.targets_planned),
            sent: known(report("sent"), totals.exchanges),
            answered: known(report("answered"), totals.services),
            rate_per_s: survey
                .progress
                .get("rate_pps")
                .and_then(serde_json::Value::as_f64)
                .filter(|_| !finished),
            eta_s: report("eta_s").filter(|_| !finished),
            protocols: protocols
                .into_iter()
                .flatten()
                .filter_map(|(name, count)| Some((name.clone(), count.as_i64()?)))
                .collect(),
            miss: Miss::of(&survey.progress),
        }
    }
}
