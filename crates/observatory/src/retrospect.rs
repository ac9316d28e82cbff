//! Yesterday's observations by today's knowledge, without a new survey.

use kenshin_casework::{Experiment, PageRequest, Retrospect, RetrospectSummary, Survey};
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
        let mut done = Vec::new();
        for survey_id in seen_last {
            let wanted = request.surveys.is_empty() || request.surveys.contains(&survey_id);
            let survey = self.casework().survey(self.org(), survey_id).await?;
            if !wanted || request.since.is_some_and(|since| survey.created_at < since) {
                continue;
            }
            let selection = Selection { survey: Some(survey_id), ..Selection::default() };
            let observations = self.lake().await?.observations(&selection).await?;
            let concluded = self.conclude(survey_id, &observations, &intelligence).await?;
            let missed = self.looked_at_since(&survey).await?;
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

    /// Addresses that assessed surveys have looked at since. A device seen last before is not there any
    /// more, and that it is not is the last that is known of it.
    async fn looked_at_since(&self, survey: &Survey) -> Result<AddressSet, ActError> {
        let mut looked_at = AddressSet::new();
        let mut page = Some(PageRequest::first());
        while let Some(request) = page {
            let found = self.casework().surveys(self.org(), None, &request).await?;
            page = PageRequest::following(&found);
            let later = |other: &&Survey| other.survey_id > survey.survey_id && other.assessed_at.is_some();
            for other in found.items.iter().filter(later) {
                let (_, plan) = self.stored_plan(other.survey_id).await?;
                let coverage = self.lake().await?.coverage(other.survey_id).await?;
                looked_at = looked_at.union(&covered(&plan, &coverage)?);
            }
        }
        Ok(looked_at)
    }
}
