//! Surveys, which with their number are the rounds of a programme.

use kenshin_observation::{OrgId, SurveyId, TimeUs, words};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use crate::error::{CaseworkError, Result};
use crate::page::{Page, PageRequest};
use crate::store::{Casework, Columns, Compose, Tx, Value, json, query, storable};

words!(
    /// What a survey is for.
    SurveyKind, "survey kind" {
        /// Looks at the whole target.
        Survey = "survey",
        /// Looks again at cases and their providers' pools.
        Recheck = "recheck",
    }
);

words!(
    /// Where a survey stands.
    SurveyState, "survey state" {
        /// Planned, nothing sent.
        Planned = "planned",
        /// Waits for a sensor.
        Queued = "queued",
        /// A sensor works on it.
        Running = "running",
        /// Stopped by a person or a revocation; may be resumed.
        Stopped = "stopped",
        /// Every target has its final outcome.
        Finished = "finished",
        /// Given up.
        Failed = "failed",
    }
);

/// A survey to be planned. Its number follows the last of its programme.
#[derive(Debug, Clone)]
pub struct NewSurvey {
    /// Its id, which the plan also states; drawn by [`Casework::new_survey_id`].
    pub survey_id: SurveyId,
    /// The programme.
    pub programme: String,
    /// What it is for.
    pub kind: SurveyKind,
    /// Digest of the mandate it runs under.
    pub mandate_digest: String,
    /// The plan as the survey engine wrote it.
    pub plan: serde_json::Value,
}

/// The denominators of a round: what every count is a share of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SurveyTotals {
    /// Addresses the plan names.
    pub addresses_planned: i64,
    /// Addresses whose every target has a final outcome: surveyed.
    pub addresses_covered: i64,
    /// Addresses left out on purpose: exclusions and opt-outs. Not healthy, not unmeasured.
    pub addresses_excluded: i64,
    /// Targets (address, port) the plan names.
    pub targets_planned: i64,
    /// Targets with a final outcome.
    pub targets_covered: i64,
    /// Exchanges sent.
    pub exchanges: i64,
    /// Addresses where something answered.
    pub responders: i64,
    /// Services that answered.
    pub services: i64,
    /// Assets resolved.
    pub assets: i64,
    /// Assets whose identity is unknown.
    pub assets_unknown: i64,
    /// Findings that hold.
    pub findings: i64,
    /// Of the addresses that answered in the round before and had no finding: how many there were.
    pub unaffected_before: i64,
    /// And how many of these are dark now: disappearance without any remedy.
    pub unaffected_dark: i64,
}

/// A survey as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Survey {
    /// Its id.
    pub survey_id: SurveyId,
    /// The programme.
    pub programme: String,
    /// Number of the round within the programme, from 1.
    pub round: i64,
    /// What it is for.
    pub kind: SurveyKind,
    /// Where it stands.
    pub state: SurveyState,
    /// Digest of its mandate.
    pub mandate_digest: String,
    /// The plan.
    pub plan: serde_json::Value,
    /// The newest progress report.
    pub progress: serde_json::Value,
    /// Denominators.
    pub totals: SurveyTotals,
    /// Why it stopped or failed.
    pub reason: Option<String>,
    /// When it was planned.
    pub created_at: TimeUs,
    /// When the first exchange was sent.
    pub started_at: Option<TimeUs>,
    /// When it ended.
    pub ended_at: Option<TimeUs>,
    /// When its findings were made.
    pub assessed_at: Option<TimeUs>,
    /// When its notices were queued.
    pub notified_at: Option<TimeUs>,
}

impl Casework {
    /// A fresh survey id, for a plan that is about to be made.
    pub fn new_survey_id(&self, now: TimeUs) -> SurveyId {
        SurveyId::new(now, self.random())
    }

    /// A fresh asset id, for an assessment that meets a device for the first time.
    pub fn new_asset_id(&self, now: TimeUs) -> kenshin_observation::AssetId {
        kenshin_observation::AssetId::new(now, self.random())
    }

    /// Plans a survey: the next round of its programme, which is made when it is new.
    pub async fn plan_survey(&self, org: OrgId, new: &NewSurvey, now: TimeUs) -> Result<Survey> {
        let id = new.survey_id;
        let mut tx = self.begin().await?;
        tx.run(
            query(
                "INSERT INTO programme (org_id, name, created_us) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            )
            .bind(org.to_string())
            .bind(new.programme.clone())
            .bind(now.micros()),
        )
        .await?;
        // The update locks the programme: two plans at once get two numbers.
        tx.run(
            query("UPDATE programme SET name = name WHERE org_id = $1 AND name = $2")
                .bind(org.to_string())
                .bind(new.programme.clone()),
        )
        .await?;
        tx.run(
            query(
                "INSERT INTO survey (survey_id, org_id, programme, round, kind, state, mandate_digest, plan, progress, totals, created_us)
                 SELECT $1, $2, $3, COALESCE(MAX(round), 0) + 1, $4, 'planned', $5, $6, 'null', '{}', $7
                 FROM survey WHERE org_id = $2 AND programme = $3",
            )
            .bind(id.to_string())
            .bind(org.to_string())
            .bind(new.programme.clone())
            .bind(new.kind.as_str())
            .bind(new.mandate_digest.clone())
            .bind(new.plan.to_string())
            .bind(now.micros()),
        )
        .await?;
        tx.commit().await?;
        self.survey(org, id).await
    }

    /// One survey.
    pub async fn survey(&self, org: OrgId, id: SurveyId) -> Result<Survey> {
        let row = self
            .maybe(
                query("SELECT * FROM survey WHERE org_id = $1 AND survey_id = $2")
                    .bind(org.to_string())
                    .bind(id.to_string()),
            )
            .await?
            .ok_or_else(|| CaseworkError::not_found("survey", id))?;
        survey(&row)
    }

    /// Surveys, newest first.
    pub async fn surveys(
        &self,
        org: OrgId,
        programme: Option<&str>,
        page: &PageRequest,
    ) -> Result<Page<Survey>> {
        let mut compose = Compose::new("SELECT * FROM survey WHERE 1 = 1");
        compose.push(" AND org_id = ?", [org.to_string()]);
        if let Some(programme) = programme {
            compose.push(" AND programme = ?", [programme]);
        }
        if let Some(after) = &page.after {
            compose.push(" AND survey_id < ?", [after.clone()]);
        }
        compose.push(" ORDER BY survey_id DESC LIMIT ?", [Value::Int(page.fetch())]);
        let surveys = self.rows(compose.finish()).await?.iter().map(survey).collect::<Result<_>>()?;
        Ok(Page::of(surveys, page, |survey: &Survey| survey.survey_id.to_string()))
    }

    /// Moves a survey to `state`. Moves that make no sense are refused: a finished one stays so.
    pub async fn set_survey_state(
        &self,
        org: OrgId,
        id: SurveyId,
        state: SurveyState,
        reason: Option<&str>,
        now: TimeUs,
    ) -> Result<()> {
        use SurveyState::{Failed, Finished, Planned, Queued, Running, Stopped};
        let from: &[SurveyState] = match state {
            Planned => &[],
            Queued => &[Planned, Stopped, Queued, Failed],
            Running => &[Planned, Queued, Running, Stopped],
            Stopped => &[Planned, Queued, Running, Stopped],
            Finished | Failed => &[Planned, Queued, Running, Stopped, state],
        };
        let ended = matches!(state, Stopped | Finished | Failed).then_some(now.micros());
        let started = (state == Running).then_some(now.micros());
        let mut compose = Compose::new("UPDATE survey SET");
        compose.push(" state = ?", [state.as_str()]);
        match reason {
            Some(reason) => compose.push(", reason = ?", [storable(reason)]),
            None => compose.text(", reason = NULL"),
        }
        match ended {
            Some(ended) => compose.push(", ended_us = ?", [ended]),
            None => compose.text(", ended_us = NULL"),
        }
        if let Some(started) = started {
            compose.push(", started_us = COALESCE(started_us, ?)", [started]);
        }
        compose.push(" WHERE org_id = ? AND survey_id = ?", [org.to_string(), id.to_string()]);
        compose.push_list(" AND state IN ", from.iter().map(|state| state.as_str()).collect());
        let mut tx = self.begin().await?;
        let changed = tx.run(compose.finish()).await?;
        tx.commit().await?;
        if changed == 0 {
            let survey = self.survey(org, id).await?;
            return Err(CaseworkError::Conflict(format!(
                "survey {id} is {} and cannot become {state}",
                survey.state
            )));
        }
        Ok(())
    }

    /// Stores the newest progress report.
    pub async fn set_survey_progress(
        &self,
        org: OrgId,
        id: SurveyId,
        progress: &serde_json::Value,
    ) -> Result<()> {
        self.set_survey_column(
            org,
            id,
            "UPDATE survey SET progress = $1 WHERE org_id = $2 AND survey_id = $3",
            progress.to_string(),
        )
        .await
    }

    /// Stores the denominators.
    pub async fn set_survey_totals(&self, org: OrgId, id: SurveyId, totals: &SurveyTotals) -> Result<()> {
        self.set_survey_column(
            org,
            id,
            "UPDATE survey SET totals = $1 WHERE org_id = $2 AND survey_id = $3",
            json(totals),
        )
        .await
    }

    async fn set_survey_column(
        &self,
        org: OrgId,
        id: SurveyId,
        text: &'static str,
        value: String,
    ) -> Result<()> {
        let mut tx = self.begin().await?;
        let changed = tx.run(query(text).bind(value).bind(org.to_string()).bind(id.to_string())).await?;
        tx.commit().await?;
        if changed == 0 { Err(CaseworkError::not_found("survey", id)) } else { Ok(()) }
    }
}

pub(crate) async fn survey_in(tx: &mut Tx, org: OrgId, id: SurveyId) -> Result<Survey> {
    let row = tx
        .maybe(
            query("SELECT * FROM survey WHERE org_id = $1 AND survey_id = $2")
                .bind(org.to_string())
                .bind(id.to_string()),
        )
        .await?
        .ok_or_else(|| CaseworkError::not_found("survey", id))?;
    survey(&row)
}

pub(crate) fn survey(row: &AnyRow) -> Result<Survey> {
    Ok(Survey {
        survey_id: row.word("survey_id")?,
        programme: row.text("programme")?,
        round: row.int("round")?,
        kind: row.word("kind")?,
        state: row.word("state")?,
        mandate_digest: row.text("mandate_digest")?,
        plan: row.json("plan")?,
        progress: row.json("progress")?,
        totals: row.json("totals")?,
        reason: row.maybe_text("reason")?,
        created_at: row.time("created_us")?,
        started_at: row.maybe_time("started_us")?,
        ended_at: row.maybe_time("ended_us")?,
        assessed_at: row.maybe_time("assessed_us")?,
        notified_at: row.maybe_time("notified_us")?,
    })
}
