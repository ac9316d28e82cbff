//! Yesterday's observations by today's knowledge, without a new survey.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use kenshin_casework::{Experiment, PageRequest, Retrospect, RetrospectSummary};
use kenshin_insight::intelligence::Snapshot;
use kenshin_lake::Selection;
use kenshin_mandate::AddressSet;
use kenshin_observation::{SurveyId, TimeUs};
use serde::Serialize;

use crate::Observatory;
use crate::assess::covered;
use crate::error::ActError;

/// What a retrospect over one survey changed.
#[derive(Debug, Clone, Serialize)]
pub struct Reassessed {
    /// The survey.
    pub survey_id: SurveyId,
    /// Rows it holds.
    pub observations: usize,
    /// What changed.
    #[serde(flatten)]
    pub summary: RetrospectSummary,
}

/// Which surveys a retrospect goes through.
#[derive(Debug, Clone, Default)]
pub struct RetrospectRequest {
    /// These; none: every survey in which some asset was seen last.
    pub surveys: Vec<SurveyId>,
    /// Only those begun at this time or later.
    pub since: Option<TimeUs>,
}

impl Observatory {
    /// Judges every asset that no later survey has missed, as it was last seen, by today's fingerprints and intelligence. What is new
    /// joins its case; what knowledge no longer supports is withdrawn.
    pub async fn reassess(&self, request: &RetrospectRequest) -> Result<Vec<Reassessed>, ActError> {
        let seen_last = self.casework().surveys_seen_last(self.org()).await?;
        for survey in &request.surveys {
            if !seen_last.contains(survey) {
                return Err(ActError::no(format!("no asset was seen last in survey {survey}")).with_hint(
                    "what a later survey has seen is judged by that one; without an id, all are",
                ));
            }
        }
        let intelligence = self.intelligence().await?;
        let snapshots: Vec<String> = intelligence.snapshots().iter().map(Snapshot::name).collect();
        let mut wanted = Vec::new();
        for survey_id in seen_last {
            let named = request.surveys.is_empty() || request.surveys.contains(&survey_id);
            let survey = self.casework().survey(self.org(), survey_id).await?;
            if named && request.since.is_none_or(|since| survey.created_at >= since) {
                wanted.push(survey_id);
            }
        }
        let mut done = Vec::new();
        for (survey_id, missed) in self.looked_at_since(&wanted).await? {
            let selection = Selection { survey: Some(survey_id), ..Selection::default() };
            let observations = self.lake().await?.observations(&selection).await?;
            let concluded = self.conclude(survey_id, &observations, &intelligence).await?;
            let retrospect = Retrospect {
                survey_id,
                assets: concluded.assets.into_iter().filter(|asset| !missed.contains(asset.addr)).collect(),
                findings: concluded.findings,
                vantages: concluded.vantages,
                snapshots: snapshots.clone(),
            };
            let casework = self.casework();
            let summary =
                casework.record_retrospect(self.org(), &retrospect, &Experiment::none(), self.now()).await?;
            done.push(Reassessed { survey_id, observations: observations.len(), summary });
        }
        Ok(done)
    }

    /// To each of these surveys, addresses that assessed surveys have looked at since. A device seen last
    /// before is not there any more, and that it is not is the last that is known of it.
    async fn looked_at_since(
        &self,
        surveys: &[SurveyId],
    ) -> Result<BTreeMap<SurveyId, AddressSet>, ActError> {
        let Some(first) = surveys.iter().min() else { return Ok(BTreeMap::new()) };
        let mut later = Vec::new();
        let mut page = Some(PageRequest::first());
        while let Some(request) = page {
            // Newest first.
            let found = self.casework().surveys(self.org(), None, &request).await?;
            let reached = found.items.last().is_some_and(|survey| survey.survey_id <= *first);
            page = PageRequest::following(&found).filter(|_| !reached);
            let assessed = found.items.iter().filter(|survey| survey.assessed_at.is_some());
            later.extend(assessed.map(|survey| survey.survey_id).filter(|survey| survey > first));
        }
        let mut later = later.into_iter().peekable();
        let mut looked_at = AddressSet::new();
        let mut since = BTreeMap::new();
        let newest_first: BTreeSet<Reverse<SurveyId>> = surveys.iter().copied().map(Reverse).collect();
        for Reverse(survey) in newest_first {
            while let Some(other) = later.next_if(|other| *other > survey) {
                let (_, plan) = self.stored_plan(other).await?;
                let coverage = self.lake().await?.coverage(other).await?;
                looked_at = looked_at.union(&covered(&plan, &coverage)?);
            }
            since.insert(survey, looked_at.clone());
        }
        Ok(since)
    }
}
