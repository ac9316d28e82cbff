//! Figures: every count with its denominator.

use kenshin_observation::{OrgId, SurveyId, TimeUs};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::store::{Casework, Columns, Compose, query};
use crate::surveys::{SurveyKind, SurveyTotals, survey};
use crate::viewer::Viewer;

mod breakdown;

pub use breakdown::{Breakdown, KindCount, ProviderCases, ProviderKindCount, RoundAssets};

/// A count under a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// What is counted: a word or an id.
    pub name: String,
    /// How many.
    pub count: i64,
}

/// Findings of one provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderCount {
    /// Its id; `None` for findings nobody can be told about.
    pub provider_id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Findings that hold.
    pub findings: i64,
    /// Cases not closed.
    pub open_cases: i64,
    /// Cases remedied so far.
    pub remedied: i64,
}

/// One point of the curve over rounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundFigures {
    /// The round.
    pub survey_id: SurveyId,
    /// Its programme.
    pub programme: String,
    /// Its number.
    pub round: i64,
    /// What it was for.
    pub kind: SurveyKind,
    /// When it was assessed.
    pub at: TimeUs,
    /// Denominators of the round.
    pub totals: SurveyTotals,
    /// The last progress report, in which a sweep states what it estimates to have missed.
    pub progress: serde_json::Value,
    /// Findings that held.
    pub findings: i64,
    /// Cases not closed right after it, `no-addressee` ones included.
    pub open_cases: i64,
    /// Of these: nobody to notify.
    pub no_addressee: i64,
    /// Cases first notified up to then.
    pub notified: i64,
    /// Cases it judged.
    pub judged: i64,
    /// By condition, of those it judged.
    pub conditions: Vec<Count>,
}

/// How long something took: the median over those where it has happened, with both numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duration {
    /// Median in seconds; `None` when it never happened.
    pub median_s: Option<i64>,
    /// Where it has happened.
    pub of: i64,
    /// Where it could have.
    pub out_of: i64,
}

/// Everything the overview shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Rounds, oldest first, 200 at most.
    pub rounds: Vec<RoundFigures>,
    /// Findings that hold, by kind.
    pub findings_by_kind: Vec<Count>,
    /// By provider, the largest first, 100 at most; nothing for researchers.
    pub by_provider: Vec<ProviderCount>,
    /// Cases by stage.
    pub stages: Vec<Count>,
    /// Cases by condition.
    pub conditions: Vec<Count>,
    /// Closed cases by reason. *Withdrawn* is no recovery, *exposure-ended* is not *remedied*.
    pub close_reasons: Vec<Count>,
    /// All cases.
    pub cases: i64,
    /// Cases notified at least once: the denominator of recovery.
    pub notified_cases: i64,
    /// Of these, remedied.
    pub remedied_after_notice: i64,
    /// Cases that came back at least once.
    pub relapsed_cases: i64,
    /// From first notice to remedied.
    pub notice_to_remedy: Duration,
    /// From opening to first notice.
    pub opening_to_notice: Duration,
    /// Notices by state.
    pub notices: Vec<Count>,
}

impl Casework {
    /// The figures a viewer may see. Rounds and their denominators are shown to everybody, counts
    /// are those of the rows the viewer may see; researchers see the counts of all, no rows.
    pub async fn figures(&self, viewer: &Viewer) -> Result<Figures> {
        let scope = Viewer {
            // A researcher sees aggregates over everything, and not one row.
            role: if viewer.sees_rows() { viewer.role } else { crate::viewer::Role::Analyst },
            ..viewer.clone()
        };
        let stages = self
            .counts(
                &scope,
                "SELECT c.stage AS name, COUNT(*) AS count FROM case_state c WHERE 1 = 1",
                " GROUP BY c.stage ORDER BY c.stage",
            )
            .await?;
        let cases = stages.iter().map(|count| count.count).sum();
        Ok(Figures {
            rounds: self.round_figures(viewer.org, &scope).await?,
            findings_by_kind: self
                .counts(&scope, "SELECT c.kind AS name, COUNT(*) AS count FROM finding c WHERE c.state = 'present'", " GROUP BY c.kind ORDER BY c.kind")
                .await?,
            by_provider: if viewer.sees_rows() { self.by_provider(&scope).await? } else { Vec::new() },
            conditions: self
                .counts(&scope, "SELECT c.condition AS name, COUNT(*) AS count FROM case_state c WHERE 1 = 1", " GROUP BY c.condition ORDER BY c.condition")
                .await?,
            close_reasons: self
                .counts(&scope, "SELECT c.close_reason AS name, COUNT(*) AS count FROM case_state c WHERE c.close_reason IS NOT NULL", " GROUP BY c.close_reason ORDER BY c.close_reason")
                .await?,
            cases,
            notified_cases: self
                .count(&scope, "SELECT COUNT(*) AS count FROM case_state c WHERE c.case_id IN (SELECT e.case_id FROM case_episode e WHERE e.notified_us IS NOT NULL)")
                .await?,
            remedied_after_notice: self
                .count(
                    &scope,
                    "SELECT COUNT(*) AS count FROM case_state c WHERE c.close_reason = 'remedied'
                       AND c.case_id IN (SELECT e.case_id FROM case_episode e WHERE e.notified_us IS NOT NULL)",
                )
                .await?,
            relapsed_cases: self.count(&scope, "SELECT COUNT(*) AS count FROM case_state c WHERE c.episode > 1").await?,
            notice_to_remedy: self
                .median(
                    &scope,
                    "e.closed_us - e.notified_us AS us",
                    " WHERE e.notified_us IS NOT NULL AND e.close_reason = 'remedied'",
                    " WHERE e.notified_us IS NOT NULL",
                )
                .await?,
            opening_to_notice: self
                .median(
                    &scope,
                    "e.notified_us - e.opened_us AS us",
                    " WHERE e.notified_us IS NOT NULL",
                    " WHERE 1 = 1",
                )
                .await?,
            notices: self
                .counts(&scope, "SELECT c.state AS name, COUNT(*) AS count FROM notice c WHERE 1 = 1", " GROUP BY c.state ORDER BY c.state")
                .await?,
            stages,
        })
    }

    async fn counts(&self, viewer: &Viewer, select: &'static str, group: &'static str) -> Result<Vec<Count>> {
        let mut compose = Compose::new(select);
        compose.push(" AND c.org_id = ?", [viewer.org.to_string()]);
        viewer.restrict(&mut compose, " AND c.provider_id IN ");
        compose.text(group);
        let rows = self.rows(compose.finish()).await?;
        rows.iter().map(|row| Ok(Count { name: row.text("name")?, count: row.int("count")? })).collect()
    }

    async fn count(&self, viewer: &Viewer, select: &'static str) -> Result<i64> {
        let mut compose = Compose::new(select);
        compose.push(" AND c.org_id = ?", [viewer.org.to_string()]);
        viewer.restrict(&mut compose, " AND c.provider_id IN ");
        self.maybe(compose.finish()).await?.map_or(Ok(0), |row| row.int("count"))
    }

    /// The median of `span` over the episodes where it `happened`, of all where it could have.
    async fn median(
        &self,
        viewer: &Viewer,
        span: &'static str,
        happened: &'static str,
        possible: &'static str,
    ) -> Result<Duration> {
        let episodes = |select: &'static str, of: &'static str| {
            let mut compose = Compose::new("SELECT ");
            compose.text(select);
            compose.text(" FROM case_episode e JOIN case_state c ON c.case_id = e.case_id");
            compose.text(of);
            compose.push(" AND c.org_id = ?", [viewer.org.to_string()]);
            viewer.restrict(&mut compose, " AND c.provider_id IN ");
            compose
        };
        let count = "COUNT(*) AS count";
        let out_of =
            self.maybe(episodes(count, possible).finish()).await?.map_or(Ok(0), |row| row.int("count"))?;
        let of =
            self.maybe(episodes(count, happened).finish()).await?.map_or(Ok(0), |row| row.int("count"))?;
        if of == 0 {
            return Ok(Duration { median_s: None, of, out_of });
        }
        let mut compose = episodes(span, happened);
        // The one in the middle, or the two around it.
        compose.push(" ORDER BY us LIMIT ? OFFSET ?", [2 - of % 2, (of - 1) / 2]);
        let rows = self.rows(compose.finish()).await?;
        let middle = rows.iter().map(|row| row.int("us")).collect::<Result<Vec<_>>>()?;
        let median_s = match middle[..] {
            [one] => Some(one / 1_000_000),
            [low, high] => Some((low + (high - low) / 2) / 1_000_000),
            _ => None,
        };
        Ok(Duration { median_s, of, out_of })
    }

    async fn by_provider(&self, viewer: &Viewer) -> Result<Vec<ProviderCount>> {
        let mut compose = Compose::new(
            "SELECT c.provider_id AS provider_id, (SELECT p.name FROM provider p WHERE p.provider_id = c.provider_id) AS name,
               SUM(c.findings) AS findings, SUM(c.open_cases) AS open_cases, SUM(c.remedied) AS remedied
             FROM (SELECT org_id, provider_id, 1 AS findings, 0 AS open_cases, 0 AS remedied FROM finding WHERE state = 'present'
                   UNION ALL
                   SELECT org_id, provider_id, 0, CASE WHEN stage <> 'closed' OR close_reason = 'no-addressee' THEN 1 ELSE 0 END,
                     CASE WHEN close_reason = 'remedied' THEN 1 ELSE 0 END FROM case_state) c WHERE 1 = 1",
        );
        compose.push(" AND c.org_id = ?", [viewer.org.to_string()]);
        viewer.restrict(&mut compose, " AND c.provider_id IN ");
        compose.text(" GROUP BY c.provider_id ORDER BY findings DESC, provider_id LIMIT 100");
        let rows = self.rows(compose.finish()).await?;
        rows.iter()
            .map(|row| {
                Ok(ProviderCount {
                    provider_id: row.maybe_text("provider_id")?,
                    name: row.maybe_text("name")?,
                    findings: row.int("findings")?,
                    open_cases: row.int("open_cases")?,
                    remedied: row.int("remedied")?,
                })
            })
            .collect()
    }

    async fn round_figures(&self, org: OrgId, viewer: &Viewer) -> Result<Vec<RoundFigures>> {
        let rows = self
            .rows(
                query("SELECT * FROM survey WHERE org_id = $1 AND assessed_us IS NOT NULL ORDER BY assessed_us DESC, survey_id DESC LIMIT 200")
                    .bind(org.to_string()),
            )
            .await?;
        let mut figures = Vec::with_capacity(rows.len());
        for row in rows.iter().rev() {
            let survey = survey(row)?;
            let at = row.time("assessed_us")?;
            let id = survey.survey_id.to_string();
            let judged = self.judged(viewer, &id).await?;
            figures.push(RoundFigures {
                survey_id: survey.survey_id,
                programme: survey.programme,
                round: survey.round,
                kind: survey.kind,
                at,
                totals: survey.totals,
                progress: survey.progress,
                findings: self.at(viewer, "SELECT COUNT(*) AS count FROM finding_round c WHERE c.survey_id = ?", vec![id.into()]).await?,
                open_cases: self
                    .at(
                        viewer,
                        "SELECT COUNT(*) AS count FROM case_episode e JOIN case_state c ON c.case_id = e.case_id
                         WHERE e.opening = (SELECT MAX(x.opening) FROM case_episode x WHERE x.case_id = e.case_id AND x.opened_us <= ?)
                           AND (e.closed_us IS NULL OR e.closed_us > ? OR e.close_reason = 'no-addressee')",
                        vec![at.micros().into(), at.micros().into()],
                    )
                    .await?,
                no_addressee: self
                    .at(
                        viewer,
                        "SELECT COUNT(*) AS count FROM case_episode e JOIN case_state c ON c.case_id = e.case_id
                         WHERE e.opening = (SELECT MAX(x.opening) FROM case_episode x WHERE x.case_id = e.case_id AND x.opened_us <= ?)
                           AND e.close_reason = 'no-addressee'",
                        vec![at.micros().into()],
                    )
                    .await?,
                notified: self
                    .at(
                        viewer,
                        "SELECT COUNT(*) AS count FROM case_state c WHERE c.case_id IN (SELECT e.case_id FROM case_episode e WHERE e.notified_us <= ?)",
                        vec![at.micros().into()],
                    )
                    .await?,
                judged: judged.iter().map(|count| count.count).sum(),
                conditions: judged,
            });
        }
        Ok(figures)
    }

    async fn judged(&self, viewer: &Viewer, survey: &str) -> Result<Vec<Count>> {
        let mut compose = Compose::new(
            "SELECT j.condition AS name, COUNT(*) AS count FROM case_judgement j JOIN case_state c ON c.case_id = j.case_id WHERE 1 = 1",
        );
        compose.push(" AND j.survey_id = ? AND c.org_id = ?", [survey.to_owned(), viewer.org.to_string()]);
        viewer.restrict(&mut compose, " AND c.provider_id IN ");
        compose.text(" GROUP BY j.condition ORDER BY j.condition");
        let rows = self.rows(compose.finish()).await?;
        rows.iter().map(|row| Ok(Count { name: row.text("name")?, count: row.int("count")? })).collect()
    }

    async fn at(
        &self,
        viewer: &Viewer,
        select: &'static str,
        values: Vec<crate::store::Value>,
    ) -> Result<i64> {
        let mut compose = Compose::new("");
        compose.push(select, values);
        compose.push(" AND c.org_id = ?", [viewer.org.to_string()]);
        viewer.restrict(&mut compose, " AND c.provider_id IN ");
        self.maybe(compose.finish()).await?.map_or(Ok(0), |row| row.int("count"))
    }
}
