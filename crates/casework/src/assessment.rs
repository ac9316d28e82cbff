//! A round's assessment: what insight concluded becomes findings and cases, once.

use std::collections::{BTreeMap, HashMap, HashSet};

use kenshin_observation::{
    AssetId, CaseId, CaseSubject, Condition, Endpoint, Finding, Identity, OrgId, Prefix, Remedy, SurveyId,
    TimeUs,
};
use serde::{Deserialize, Serialize};

use crate::assets::{AssetSeen, LinkRecord, record_assets, record_links};
use crate::audit::audit_in;
use crate::cases::{append, case_of, open};
use crate::error::{CaseworkError, Result};
use crate::experiment::Experiment;
use crate::findings::{product_of, record_findings};
use crate::providers::{ProviderMap, provider_map_in};
use crate::state::{Actor, CaseChange, CaseState, CloseReason, Judgement, ReopenCause, Stage};
use crate::store::{Casework, Columns, Tx, json, query};
use crate::surveys::{Survey, SurveyTotals, survey_in};

/// The name under which assessments act.
pub(crate) const RULE: &str = "assess";

/// Everything a round concluded.
#[derive(Debug, Clone)]
pub struct Assessment {
    /// The round.
    pub survey_id: SurveyId,
    /// Continuation of the record about assets.
    pub links: Vec<LinkRecord>,
    /// Assets seen.
    pub assets: Vec<AssetSeen>,
    /// Findings that hold.
    pub findings: Vec<Finding>,
    /// Where the decisive observation of each finding was made from, by finding key.
    pub vantages: BTreeMap<String, Endpoint>,
    /// What was seen of the cases that were looked at again.
    pub judgements: Vec<(CaseId, Judgement)>,
    /// Prefixes of which every target has its final outcome: there, a finding not seen is absent.
    pub covered: Vec<Prefix>,
    /// Denominators.
    pub totals: SurveyTotals,
}

/// What an assessment did to cases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssessmentSummary {
    /// Findings that hold.
    pub findings: usize,
    /// Cases opened.
    pub opened: usize,
    /// Findings attached to cases that were there.
    pub attached: usize,
    /// Cases judged.
    pub judged: usize,
    /// Cases closed by rule: the same asset answers, clean.
    pub remedied: usize,
    /// Cases closed by rule: the service is gone.
    pub exposure_ended: usize,
    /// Cases opened again because the weakness is back.
    pub relapsed: usize,
}

impl Casework {
    /// Records a round's assessment, all or nothing and once: a second time it changes nothing and
    /// gives `None`. New cases draw their arm of `experiment`.
    pub async fn record_assessment(
        &self,
        org: OrgId,
        assessment: &Assessment,
        experiment: &Experiment,
        now: TimeUs,
    ) -> Result<Option<AssessmentSummary>> {
        let actor = Actor::rule(RULE);
        let mut tx = self.begin().await?;
        let first = tx
            .run(
                query("UPDATE survey SET assessed_us = $1, totals = $2 WHERE org_id = $3 AND survey_id = $4 AND assessed_us IS NULL")
                    .bind(now.micros())
                    .bind(json(&assessment.totals))
                    .bind(org.to_string())
                    .bind(assessment.survey_id.to_string()),
            )
            .await?;
        let survey = survey_in(&mut tx, org, assessment.survey_id).await?;
        if first == 0 {
            return Ok(None);
        }
        let map = provider_map_in(&mut tx, org).await?;
        record_links(&mut tx, org, &assessment.links).await?;
        record_assets(&mut tx, org, survey.survey_id, &map, &assessment.assets).await?;
        let assets: HashMap<AssetId, &AssetSeen> =
            assessment.assets.iter().map(|asset| (asset.asset_id, asset)).collect();
        let unknown = Identity::default();
        let mut findings = Vec::with_capacity(assessment.findings.len());
        for finding in &assessment.findings {
            let identity = assets.get(&finding.asset_id).map_or(&unknown, |asset| &asset.identity);
            findings.push((finding, identity, assessment.vantages.get(&finding.key).copied()));
        }
        findings.sort_by(|a, b| a.0.key.cmp(&b.0.key));
        record_findings(&mut tx, org, &survey, &map, &findings, &assessment.covered).await?;
        // The first finding of a remedy gives its case the endpoint: the lowest, in every run.
        findings.sort_by(|a, b| (a.0.endpoint, a.0.kind, &a.0.key).cmp(&(b.0.endpoint, b.0.kind, &b.0.key)));

        let merged: HashMap<AssetId, AssetId> = assessment
            .links
            .iter()
            .filter(|link| link.action == "merge")
            .filter_map(|link| Some((link.asset_id?, link.other?)))
            .collect();
        let holds: HashSet<(AssetId, Remedy)> = assessment
            .findings
            .iter()
            .flat_map(|finding| {
                let before = merged.get(&finding.asset_id).copied();
                [Some(finding.asset_id), before].into_iter().flatten().map(|asset| (asset, finding.remedy))
            })
            .collect();

        let mut summary = AssessmentSummary { findings: findings.len(), ..AssessmentSummary::default() };
        for (case_id, judgement) in &assessment.judgements {
            summary.judged += 1;
            let change = CaseChange::Judged { judgement: judgement.clone() };
            let state = append(&mut tx, org, *case_id, &actor, change, now).await?;
            let provider = map.find(state.endpoint.addr);
            if judgement.condition == Condition::Elsewhere && provider != state.provider {
                append(&mut tx, org, *case_id, &actor, CaseChange::Addressed { provider }, now).await?;
            }
            let closes = |change: &CaseChange| matches!(change, CaseChange::Closed { .. });
            let held = holds.contains(&(state.subject.asset_id, state.remedy));
            // What still holds elsewhere on the device keeps its case open, whatever became of the
            // endpoint that was judged: closing it here would make a relapse of the same round.
            if let Some(change) = state.consequence().filter(|change| !(held && closes(change))) {
                match &change {
                    CaseChange::Closed { reason: CloseReason::Remedied, .. } => summary.remedied += 1,
                    CaseChange::Closed { .. } => summary.exposure_ended += 1,
                    _ => summary.relapsed += 1,
                }
                append(&mut tx, org, *case_id, &actor, change, now).await?;
            }
        }
        let round = Round {
            org,
            survey: &survey,
            map: &map,
            assets: &assets,
            experiment,
            cause: ReopenCause::Relapse,
            now,
        };
        for (finding, identity, _) in &findings {
            self.file_finding(&mut tx, &round, finding, identity, &mut summary).await?;
        }
        let detail = serde_json::to_value(summary).unwrap_or_default();
        audit_in(&mut tx, org, &actor, "survey.assess", &survey.survey_id.to_string(), &detail, now).await?;
        tx.commit().await?;
        Ok(Some(summary))
    }

    /// Withdraws findings because knowledge or a rule changed; cases left without any are closed
    /// as withdrawn, which is never counted as recovery. Gives the number of cases closed.
    pub async fn withdraw_findings(
        &self,
        org: OrgId,
        keys: &[String],
        note: &str,
        actor: &Actor,
        now: TimeUs,
    ) -> Result<usize> {
        let mut tx = self.begin().await?;
        let closed = withdraw(&mut tx, org, keys, note, actor, now).await?;
        let detail = serde_json::json!({ "findings": keys, "note": note, "closed": closed });
        audit_in(&mut tx, org, actor, "finding.withdraw", "findings", &detail, now).await?;
        tx.commit().await?;
        Ok(closed)
    }
}

/// What settling the findings of one round needs to know of it.
pub(crate) struct Round<'a> {
    pub(crate) org: OrgId,
    pub(crate) survey: &'a Survey,
    pub(crate) map: &'a ProviderMap,
    pub(crate) assets: &'a HashMap<AssetId, &'a AssetSeen>,
    pub(crate) experiment: &'a Experiment,
    /// Why a case that had ended is opened again: it relapsed, or more is known today.
    pub(crate) cause: ReopenCause,
    pub(crate) now: TimeUs,
}

impl Casework {
    /// Attaches a finding to the case of its remedy, or opens that case.
    pub(crate) async fn file_finding(
        &self,
        tx: &mut Tx,
        round: &Round<'_>,
        finding: &Finding,
        identity: &Identity,
        summary: &mut AssessmentSummary,
    ) -> Result<()> {
        let (org, now, actor) = (round.org, round.now, Actor::rule(RULE));
        if let Some(case) = case_of(tx, org, finding.asset_id, finding.remedy).await? {
            return attach(tx, round, case, finding, &actor, summary).await;
        }
        summary.opened += 1;
        let case_id = CaseId::new(now, self.random());
        let keys = round.assets.get(&finding.asset_id).map(|asset| asset.keys.clone());
        let change = CaseChange::Opened {
            subject: CaseSubject {
                asset_id: finding.asset_id,
                endpoint: finding.endpoint,
                keys: keys.unwrap_or_default(),
                // The product alone, as the host of a later round shows it to the judge.
                product: identity.product.as_ref().map(|claim| claim.value.clone()),
                time: finding.time,
            },
            remedy: finding.remedy,
            severity: finding.severity,
            product: product_of(identity),
            provider: round.map.find(finding.endpoint.addr),
            survey_id: round.survey.survey_id,
            finding: finding.key.clone(),
        };
        open(tx, org, case_id, &actor, change, now).await?;
        let arm = round.experiment.draw(finding.severity, (self.random() >> 64) as u64);
        append(tx, org, case_id, &actor, CaseChange::ArmDrawn { arm }, now).await?;
        Ok(())
    }
}

/// Withdraws findings; cases left without any are closed as withdrawn. Gives the number of these.
pub(crate) async fn withdraw(
    tx: &mut Tx,
    org: OrgId,
    keys: &[String],
    note: &str,
    actor: &Actor,
    now: TimeUs,
) -> Result<usize> {
    let mut closed = 0;
    for key in keys {
        tx.run(
            query("UPDATE finding SET state = 'withdrawn' WHERE org_id = $1 AND finding_key = $2")
                .bind(org.to_string())
                .bind(key.clone()),
        )
        .await?;
        let row = tx
            .maybe(
                query("SELECT case_id FROM case_finding WHERE org_id = $1 AND finding_key = $2")
                    .bind(org.to_string())
                    .bind(key.clone()),
            )
            .await?
            .ok_or_else(|| CaseworkError::not_found("attached finding", key))?;
        let case_id = row.word("case_id")?;
        let change = CaseChange::FindingWithdrawn { finding: key.clone(), note: note.to_owned() };
        let state = append(tx, org, case_id, actor, change, now).await?;
        if state.findings.is_empty() && state.stage != Stage::Closed {
            let change = CaseChange::Closed { reason: CloseReason::Withdrawn, note: note.to_owned() };
            append(tx, org, case_id, actor, change, now).await?;
            closed += 1;
        }
    }
    Ok(closed)
}

/// Attaches a finding to the case that is there, and opens it again where that is due.
async fn attach(
    tx: &mut Tx,
    round: &Round<'_>,
    case: CaseState,
    finding: &Finding,
    actor: &Actor,
    summary: &mut AssessmentSummary,
) -> Result<()> {
    let (org, now) = (round.org, round.now);
    if !case.findings.contains(&finding.key) {
        summary.attached += 1;
        let change = CaseChange::FindingAttached {
            finding: finding.key.clone(),
            severity: finding.severity,
            survey_id: round.survey.survey_id,
        };
        append(tx, org, case.case_id, actor, change, now).await?;
    }
    let cause = match case.close_reason {
        Some(reason) if reason.can_relapse() => round.cause,
        Some(CloseReason::Withdrawn) => ReopenCause::Knowledge,
        Some(CloseReason::Retired) => ReopenCause::Returned,
        // A person decided, or there is still nobody to notify: seeing it again changes neither.
        _ => return Ok(()),
    };
    if cause == ReopenCause::Relapse {
        summary.relapsed += 1;
    }
    append(tx, org, case.case_id, actor, CaseChange::Reopened { cause, note: String::new() }, now).await?;
    Ok(())
}
