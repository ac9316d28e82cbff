//! What was seen before, judged by today's knowledge: new findings join their cases, and those that
//! knowledge no longer supports are withdrawn, which is never counted as recovery.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use kenshin_observation::{AssetId, Endpoint, Finding, Identity, OrgId, SurveyId, TimeUs};
use serde::{Deserialize, Serialize};

use crate::assessment::{AssessmentSummary, RULE, Round, withdraw};
use crate::assets::AssetSeen;
use crate::audit::audit_in;
use crate::error::Result;
use crate::experiment::Experiment;
use crate::findings::{FindingState, record_findings};
use crate::providers::provider_map_in;
use crate::state::{Actor, ReopenCause};
use crate::store::{Casework, Columns, Tx, query};
use crate::surveys::survey_in;

/// What insight says today of assets as one survey saw them last.
#[derive(Debug, Clone)]
pub struct Retrospect {
    /// The survey.
    pub survey_id: SurveyId,
    /// Assets last seen in it, as they are taken for today. Others are left as they are.
    pub assets: Vec<AssetSeen>,
    /// Everything that is wrong with these assets by today's knowledge.
    pub findings: Vec<Finding>,
    /// Where the decisive observation of each finding was made from, by finding key.
    pub vantages: BTreeMap<String, Endpoint>,
    /// Names of the intelligence snapshots in use, for the trail.
    pub snapshots: Vec<String>,
}

/// What a retrospect changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetrospectSummary {
    /// Assets looked at.
    pub assets: usize,
    /// Findings that hold.
    pub findings: usize,
    /// Of these, those that nobody knew of before.
    pub new: usize,
    /// Cases opened.
    pub opened: usize,
    /// Findings attached to cases that were there.
    pub attached: usize,
    /// Findings withdrawn.
    pub withdrawn: usize,
    /// Cases closed as withdrawn: none of their findings is left.
    pub closed: usize,
}

impl Casework {
    /// Records what today's knowledge says of assets as a survey saw them last, all or nothing. Assets
    /// that a later survey has seen meanwhile are left out.
    pub async fn record_retrospect(
        &self,
        org: OrgId,
        retrospect: &Retrospect,
        experiment: &Experiment,
        now: TimeUs,
    ) -> Result<RetrospectSummary> {
        let actor = Actor::rule(RULE);
        let mut tx = self.begin().await?;
        let survey = survey_in(&mut tx, org, retrospect.survey_id).await?;
        let map = provider_map_in(&mut tx, org).await?;
        let last = last_seen_in(&mut tx, org, retrospect.survey_id).await?;
        let assets: HashMap<AssetId, &AssetSeen> = retrospect
            .assets
            .iter()
            .filter(|asset| last.contains(&asset.asset_id))
            .map(|asset| (asset.asset_id, asset))
            .collect();
        let held = held(&mut tx, org, retrospect.survey_id, &assets).await?;
        let unknown = Identity::default();
        let mut findings: Vec<(&Finding, &Identity)> = retrospect
            .findings
            .iter()
            .filter(|finding| assets.contains_key(&finding.asset_id))
            .map(|finding| {
                let identity = assets.get(&finding.asset_id).map_or(&unknown, |asset| &asset.identity);
                (finding, identity)
            })
            .collect();
        findings.sort_by(|a, b| (a.0.endpoint, a.0.kind, &a.0.key).cmp(&(b.0.endpoint, b.0.kind, &b.0.key)));
        let rows: Vec<_> = findings
            .iter()
            .map(|(finding, identity)| (*finding, *identity, retrospect.vantages.get(&finding.key).copied()))
            .collect();
        record_findings(&mut tx, org, &survey, &map, &rows, &[]).await?;

        let mut cases = AssessmentSummary::default();
        let mut new = 0;
        let round = Round {
            org,
            survey: &survey,
            map: &map,
            assets: &assets,
            experiment,
            cause: ReopenCause::Knowledge,
            now,
        };
        for (finding, identity) in findings.iter().filter(|(finding, _)| !held.contains(&finding.key)) {
            new += 1;
            self.file_finding(&mut tx, &round, finding, identity, &mut cases).await?;
        }
        let holds: BTreeSet<&String> = findings.iter().map(|(finding, _)| &finding.key).collect();
        let gone: Vec<String> = held.iter().filter(|key| !holds.contains(key)).cloned().collect();
        let note = format!("by {}", retrospect.snapshots.join(", "));
        let closed = withdraw(&mut tx, org, &gone, &note, &actor, now).await?;
        let summary = RetrospectSummary {
            assets: assets.len(),
            findings: findings.len(),
            new,
            opened: cases.opened,
            attached: cases.attached,
            withdrawn: gone.len(),
            closed,
        };
        let detail = serde_json::json!({ "summary": summary, "snapshots": retrospect.snapshots });
        let subject = retrospect.survey_id.to_string();
        audit_in(&mut tx, org, &actor, "survey.reassess", &subject, &detail, now).await?;
        tx.commit().await?;
        Ok(summary)
    }

    /// Surveys in which some asset was seen last, oldest first.
    pub async fn surveys_seen_last(&self, org: OrgId) -> Result<Vec<SurveyId>> {
        let text = "SELECT DISTINCT last_survey FROM asset WHERE org_id = $1 AND merged_into IS NULL ORDER BY last_survey";
        let rows = self.rows(query(text).bind(org.to_string())).await?;
        rows.iter().map(|row| row.word("last_survey")).collect()
    }
}

/// Assets that no later survey has seen.
async fn last_seen_in(tx: &mut Tx, org: OrgId, survey: SurveyId) -> Result<BTreeSet<AssetId>> {
    let text = "SELECT asset_id FROM asset WHERE org_id = $1 AND last_survey = $2 AND merged_into IS NULL";
    let rows = tx.rows(query(text).bind(org.to_string()).bind(survey.to_string())).await?;
    rows.iter().map(|row| row.word("asset_id")).collect()
}

/// Keys of the findings that this survey saw on these assets and nobody withdrew.
async fn held(
    tx: &mut Tx,
    org: OrgId,
    survey: SurveyId,
    assets: &HashMap<AssetId, &AssetSeen>,
) -> Result<BTreeSet<String>> {
    let text =
        "SELECT finding_key, asset_id FROM finding WHERE org_id = $1 AND last_survey = $2 AND state <> $3";
    let rows = tx
        .rows(
            query(text).bind(org.to_string()).bind(survey.to_string()).bind(FindingState::Withdrawn.as_str()),
        )
        .await?;
    let mut held = BTreeSet::new();
    for row in &rows {
        if assets.contains_key(&row.word::<AssetId>("asset_id")?) {
            held.insert(row.text("finding_key")?);
        }
    }
    Ok(held)
}
