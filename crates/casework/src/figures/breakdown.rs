//! Figures in the breakdowns that the interface shows: by kind, by provider, by outcome.

use kenshin_observation::{ProviderId, SurveyId};
use serde::{Deserialize, Serialize};

use super::Count;
use crate::error::Result;
use crate::store::{Casework, Columns, Compose};
use crate::viewer::{Role, Viewer};

/// Providers in a breakdown at most.
const PROVIDERS_MAX: i64 = 200;

/// Findings of one kind that hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindCount {
    /// The kind.
    pub kind: String,
    /// Findings.
    pub findings: i64,
    /// Devices that show them.
    pub assets: i64,
}

/// Findings of one kind that hold with one provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderKindCount {
    /// The provider; `None` for nobody to notify.
    pub provider_id: Option<ProviderId>,
    /// The kind.
    pub kind: String,
    /// Findings.
    pub findings: i64,
}

/// Cases of one provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderCases {
    /// The provider; `None` for nobody to notify.
    pub provider_id: Option<ProviderId>,
    /// Its name.
    pub name: Option<String>,
    /// Cases so far.
    pub cases: i64,
    /// Not closed; those with nobody to notify included.
    pub open: i64,
    /// Notified at least once.
    pub notified: i64,
    /// Closed as remedied.
    pub remedied: i64,
    /// Closed because the exposure ended.
    pub exposure_ended: i64,
    /// Not closed, and not to be told.
    pub unobservable: i64,
}

/// Devices with at least one finding in one round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundAssets {
    /// The round.
    pub survey_id: SurveyId,
    /// Devices.
    pub assets: i64,
}

/// The breakdowns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breakdown {
    /// Findings that hold, by kind.
    pub kinds: Vec<KindCount>,
    /// The same by provider; nothing for researchers.
    pub provider_kinds: Vec<ProviderKindCount>,
    /// Cases by provider, the most first, 200 at most; nothing for researchers.
    pub provider_cases: Vec<ProviderCases>,
    /// What became of the cases that were notified: closing reason, or condition while not closed.
    pub outcome: Vec<Count>,
    /// Devices with findings, by round.
    pub round_assets: Vec<RoundAssets>,
}

impl Casework {
    /// The breakdowns a viewer may see; researchers see counts over everything and no provider.
    pub async fn breakdown(&self, viewer: &Viewer) -> Result<Breakdown> {
        let scope =
            Viewer { role: if viewer.sees_rows() { viewer.role } else { Role::Analyst }, ..viewer.clone() };
        let mut breakdown = Breakdown {
            kinds: self.kinds(&scope).await?,
            outcome: self
                .counts(
                    &scope,
                    "SELECT COALESCE(c.close_reason, c.condition) AS name, COUNT(*) AS count FROM case_state c
                     WHERE c.case_id IN (SELECT e.case_id FROM case_episode e WHERE e.notified_us IS NOT NULL)",
                    " GROUP BY COALESCE(c.close_reason, c.condition) ORDER BY 1",
                )
                .await?,
            round_assets: self.round_assets(&scope).await?,
            ..Breakdown::default()
        };
        if viewer.sees_rows() {
            breakdown.provider_kinds = self.provider_kinds(&scope).await?;
            breakdown.provider_cases = self.provider_cases(&scope).await?;
        }
        Ok(breakdown)
    }

    async fn kinds(&self, viewer: &Viewer) -> Result<Vec<KindCount>> {
        let select = "SELECT c.kind AS kind, COUNT(*) AS findings, COUNT(DISTINCT c.asset_id) AS assets
                      FROM finding c WHERE c.state = 'present'";
        let rows = self.rows(scoped(viewer, select, " GROUP BY c.kind ORDER BY c.kind").finish()).await?;
        rows.iter()
            .map(|row| {
                Ok(KindCount {
                    kind: row.text("kind")?,
                    findings: row.int("findings")?,
                    assets: row.int("assets")?,
                })
            })
            .collect()
    }

    async fn provider_kinds(&self, viewer: &Viewer) -> Result<Vec<ProviderKindCount>> {
        let select = "SELECT c.provider_id AS provider_id, c.kind AS kind, COUNT(*) AS findings
                      FROM finding c WHERE c.state = 'present'";
        let query = scoped(viewer, select, " GROUP BY c.provider_id, c.kind ORDER BY c.provider_id, c.kind");
        let rows = self.rows(query.finish()).await?;
        rows.iter()
            .map(|row| {
                Ok(ProviderKindCount {
                    provider_id: row.maybe_word("provider_id")?,
                    kind: row.text("kind")?,
                    findings: row.int("findings")?,
                })
            })
            .collect()
    }

    async fn provider_cases(&self, viewer: &Viewer) -> Result<Vec<ProviderCases>> {
        let mut compose = scoped(
            viewer,
            "SELECT c.provider_id AS provider_id,
               (SELECT p.name FROM provider p WHERE p.provider_id = c.provider_id) AS name, COUNT(*) AS cases,
               SUM(CASE WHEN c.stage <> 'closed' OR c.close_reason = 'no-addressee' THEN 1 ELSE 0 END) AS open_cases,
               SUM(CASE WHEN EXISTS (SELECT 1 FROM case_episode e WHERE e.case_id = c.case_id AND e.notified_us IS NOT NULL)
                 THEN 1 ELSE 0 END) AS notified,
               SUM(CASE WHEN c.close_reason = 'remedied' THEN 1 ELSE 0 END) AS remedied,
               SUM(CASE WHEN c.close_reason = 'exposure-ended' THEN 1 ELSE 0 END) AS exposure_ended,
               SUM(CASE WHEN c.stage <> 'closed' AND c.condition = 'unobservable' THEN 1 ELSE 0 END) AS unobservable
             FROM case_state c WHERE 1 = 1",
            " GROUP BY c.provider_id ORDER BY cases DESC, c.provider_id",
        );
        compose.push(" LIMIT ?", [PROVIDERS_MAX]);
        let rows = self.rows(compose.finish()).await?;
        rows.iter()
            .map(|row| {
                Ok(ProviderCases {
                    provider_id: row.maybe_word("provider_id")?,
                    name: row.maybe_text("name")?,
                    cases: row.int("cases")?,
                    open: row.int("open_cases")?,
                    notified: row.int("notified")?,
                    remedied: row.int("remedied")?,
                    exposure_ended: row.int("exposure_ended")?,
                    unobservable: row.int("unobservable")?,
                })
            })
            .collect()
    }

    async fn round_assets(&self, viewer: &Viewer) -> Result<Vec<RoundAssets>> {
        let select = "SELECT r.survey_id AS survey_id, COUNT(DISTINCT c.asset_id) AS assets
                      FROM finding_round r JOIN finding c ON c.org_id = r.org_id AND c.finding_key = r.finding_key
                      WHERE 1 = 1";
        let query = scoped(viewer, select, " GROUP BY r.survey_id ORDER BY r.survey_id DESC LIMIT 200");
        let rows = self.rows(query.finish()).await?;
        rows.iter()
            .map(|row| Ok(RoundAssets { survey_id: row.word("survey_id")?, assets: row.int("assets")? }))
            .collect()
    }
}

/// `select` over the rows of table `c` that the viewer may see.
fn scoped(viewer: &Viewer, select: &'static str, group: &'static str) -> Compose {
    let mut compose = Compose::new(select);
    compose.push(" AND c.org_id = ?", [viewer.org.to_string()]);
    viewer.restrict(&mut compose, " AND c.provider_id IN ");
    compose.text(group);
    compose
}
