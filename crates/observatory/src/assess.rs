//! Assessing a survey: observations become assets, identities, findings, and judgements of the
//! cases that were looked at again.

use std::collections::BTreeSet;
use std::net::IpAddr;

use kenshin_casework::{
    Assessment, AssessmentSummary, Experiment, LinkRecord, Survey, SurveyKind, SurveyTotals,
};
use kenshin_insight::asset::{AssetLink, AssetLinks, Sighting};
use kenshin_lake::Selection;
use kenshin_mandate::AddressSet;
use kenshin_observation::{AssetId, Check, Observation, Outcome, SurveyId};
use kenshin_survey::plan::SurveyPlan;

use crate::Observatory;
use crate::conclude::Conclusions;
use crate::error::ActError;
use crate::recheck::RoundFacts;

impl Observatory {
    /// Assesses a finished survey, once: a second time it changes nothing and gives `None`.
    pub async fn assess(&self, survey_id: SurveyId) -> Result<Option<AssessmentSummary>, ActError> {
        let (survey, plan) = self.stored_plan(survey_id).await?;
        if survey.assessed_at.is_some() {
            return Ok(None);
        }
        let lake = self.lake().await?;
        let observations =
            lake.observations(&Selection { survey: Some(survey_id), ..Selection::default() }).await?;
        let coverage = lake.coverage(survey_id).await?;
        let intelligence = self.intelligence().await?;
        let now = self.now();
        let concluded = self.conclude(survey_id, &observations, &intelligence).await?;
        let covered = covered(&plan, &coverage)?;
        let judgements = match survey.kind {
            SurveyKind::Survey => Vec::new(),
            SurveyKind::Recheck => {
                let facts = RoundFacts {
                    survey: &survey,
                    observations: &observations,
                    intelligence: &intelligence,
                    assets: &concluded.assets,
                    hosts: &concluded.hosts,
                    links: &concluded.links,
                    resolution: &concluded.resolution,
                    findings: &concluded.findings,
                    covered: &covered,
                };
                self.judge_cases(&facts).await?
            }
        };
        let mut totals = self.totals(&survey, &plan, &observations, &covered, &coverage).await?;
        let Conclusions { resolution, assets, findings, vantages, .. } = concluded;
        totals.assets = number(assets.len());
        totals.assets_unknown = number(assets.iter().filter(|asset| asset.identity.is_unknown()).count());
        totals.findings = number(findings.len());
        let assessment = Assessment {
            survey_id,
            links: resolution.links.iter().map(link_record).collect(),
            assets,
            findings,
            judgements,
            covered: covered.prefixes().collect(),
            vantages,
            totals,
        };
        Ok(self.casework().record_assessment(self.org(), &assessment, &Experiment::none(), now).await?)
    }

    /// The record about assets, as insight reads it.
    pub(crate) async fn asset_links(&self) -> Result<AssetLinks, ActError> {
        let broken = |error| ActError::outside("the stored record about assets cannot be read", error);
        let records = self.casework().asset_links(self.org()).await?;
        let links: Vec<AssetLink> = records
            .into_iter()
            .map(|record| serde_json::from_value(record.body))
            .collect::<Result<_, _>>()
            .map_err(broken)?;
        let sightings: Vec<(AssetId, Sighting)> = self
            .casework()
            .sightings(self.org())
            .await?
            .into_iter()
            .map(|(id, body)| Ok((id, serde_json::from_value(body)?)))
            .collect::<Result<_, _>>()
            .map_err(broken)?;
        Ok(AssetLinks::new(links, sightings))
    }

    /// Denominators, as far as they follow from measurements alone.
    async fn totals(
        &self,
        survey: &Survey,
        plan: &SurveyPlan,
        observations: &[Observation],
        covered: &AddressSet,
        coverage: &[kenshin_observation::schema::CoverageRow],
    ) -> Result<SurveyTotals, ActError> {
        let space =
            plan.space().map_err(|error| ActError::outside("the stored plan has no target space", error))?;
        let answered: BTreeSet<IpAddr> = observations
            .iter()
            .filter(|o| o.check == Check::Sweep && o.outcome == Outcome::Answered)
            .map(|o| o.subject.addr)
            .collect();
        let services =
            observations.iter().filter(|o| o.check == Check::Sweep && o.outcome == Outcome::Answered).count();
        let excluded = self.plan_excluded(plan)?;
        let (unaffected_before, unaffected_dark) = self.unaffected(survey, observations, covered).await?;
        let large = |value: u128| i64::try_from(value).unwrap_or(i64::MAX);
        Ok(SurveyTotals {
            addresses_planned: large(space.addresses().count()),
            addresses_covered: large(covered.count()),
            addresses_excluded: large(excluded),
            targets_planned: i64::try_from(space.targets()).unwrap_or(i64::MAX),
            targets_covered: coverage.iter().map(|row| row.index_to - row.index_from).sum(),
            exchanges: coverage.iter().map(|row| row.sent).sum(),
            responders: number(answered.len()),
            services: number(services),
            unaffected_before,
            unaffected_dark,
            ..SurveyTotals::default()
        })
    }

    /// Addresses of the mandate's targets that the plan left out.
    fn plan_excluded(&self, plan: &SurveyPlan) -> Result<u128, ActError> {
        let mandate = self.authority().mandate(&plan.mandate_id, self.now())?;
        let asked = mandate.targets.clone().unwrap_or_else(|| mandate.scope.clone());
        let left_out = mandate
            .exclusions
            .iter()
            .chain(self.authority().narrowing()?.exclusions())
            .fold(AddressSet::new(), |set, exclusion| set.union(&exclusion.addresses));
        Ok(asked.intersect(&left_out).count())
    }

    /// Of the addresses that answered in the round before and had no finding: how many there were
    /// among those looked at now, and how many of these are dark now. It is the disappearance that
    /// has nothing to do with remedies.
    async fn unaffected(
        &self,
        survey: &Survey,
        observations: &[Observation],
        covered: &AddressSet,
    ) -> Result<(i64, i64), ActError> {
        let page = kenshin_casework::PageRequest { after: Some(survey.survey_id.to_string()), limit: 1 };
        let before = self.casework().surveys(self.org(), Some(&survey.programme), &page).await?;
        let Some(before) = before.items.first() else { return Ok((0, 0)) };
        let selection = Selection { survey: Some(before.survey_id), ..Selection::default() };
        let earlier = self.lake().await?.observations(&selection).await?;
        let affected = self.affected_addresses().await?;
        let answered = |o: &&Observation| o.check == Check::Sweep && o.outcome == Outcome::Answered;
        let healthy: BTreeSet<IpAddr> = earlier
            .iter()
            .filter(answered)
            .map(|o| o.subject.addr)
            .filter(|addr| !affected.contains(addr) && covered.contains(*addr))
            .collect();
        let alive: BTreeSet<IpAddr> =
            observations.iter().filter(|o| o.outcome != Outcome::Dark).map(|o| o.subject.addr).collect();
        let dark = healthy.iter().filter(|addr| !alive.contains(addr)).count();
        Ok((number(healthy.len()), number(dark)))
    }

    /// Addresses that ever had a finding.
    async fn affected_addresses(&self) -> Result<BTreeSet<IpAddr>, ActError> {
        let mut affected = BTreeSet::new();
        let mut page = Some(kenshin_casework::PageRequest { after: None, limit: kenshin_casework::PAGE_MAX });
        while let Some(request) = page {
            let found = self.casework().findings(&self.viewer(), &Default::default(), &request).await?;
            page = kenshin_casework::PageRequest::following(&found)
                .map(|next| kenshin_casework::PageRequest { limit: kenshin_casework::PAGE_MAX, ..next });
            affected.extend(found.items.into_iter().map(|record| record.finding.endpoint.addr));
        }
        Ok(affected)
    }
}

fn number(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Addresses whose every target has its final outcome, from coverage by arithmetic.
pub(crate) fn covered(
    plan: &SurveyPlan,
    coverage: &[kenshin_observation::schema::CoverageRow],
) -> Result<AddressSet, ActError> {
    let space =
        plan.space().map_err(|error| ActError::outside("the stored plan has no target space", error))?;
    // Contiguous runs, joined: rows come ordered by their first index.
    let mut runs: Vec<(i64, i64)> = Vec::new();
    for row in coverage {
        match runs.last_mut() {
            Some((_, to)) if row.index_from <= *to => *to = row.index_to.max(*to),
            _ => runs.push((row.index_from, row.index_to)),
        }
    }
    let mut addresses: Vec<IpAddr> = Vec::new();
    for slice in (0..space.slices()).map(|number| space.slice(number)) {
        let ends = (i64::try_from(slice.index_from), i64::try_from(slice.index_to()));
        let (Ok(from), Ok(to)) = ends else { break };
        if runs.iter().any(|(first, last)| *first <= from && to <= *last) {
            addresses.extend(slice.addresses());
        }
    }
    Ok(addresses.into_iter().collect())
}

fn link_record(link: &AssetLink) -> LinkRecord {
    LinkRecord {
        sequence: link.sequence,
        survey_id: link.survey_id,
        action: link.action.to_string(),
        asset_id: link.asset_id,
        other: link.other,
        time: link.time,
        body: to_json(link),
    }
}

pub(crate) fn to_json(value: impl serde::Serialize) -> serde_json::Value {
    serde_json::to_value(value).expect("vocabulary types serialise to JSON")
}
