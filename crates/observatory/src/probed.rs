//! When an address was asked, and by whom: from coverage, by arithmetic, whether it answered or not.

use std::collections::HashMap;
use std::net::IpAddr;

use kenshin_casework::{PAGE_MAX, PageRequest};
use kenshin_lake::Told;
use kenshin_lake::view::Sight;
use kenshin_observation::{Endpoint, Outcome, SurveyId, TimeUs};
use kenshin_survey::plan::SurveyPlan;
use serde::Serialize;

use crate::Observatory;
use crate::error::ActError;

/// Most pages of surveys looked through.
const SURVEY_PAGES_MAX: usize = 1_000;

/// A target that was asked.
#[derive(Debug, Clone, Serialize)]
pub struct Probed {
    /// Survey.
    pub survey_id: String,
    /// Programme of the survey.
    pub programme: String,
    /// Its number in the programme.
    pub round: i64,
    /// Mandate of the survey.
    pub mandate_id: String,
    /// The target.
    pub endpoint: Endpoint,
    /// Its place in the survey's order.
    pub index: u64,
    /// Who asked.
    pub sensor_id: String,
    /// It was asked not before this…
    pub from: TimeUs,
    /// …and not after this.
    pub to: TimeUs,
    /// How that ended; none where no observation is kept of it: of a survey that keeps silence as coverage
    /// alone, or of one whose observations were erased.
    pub outcome: Option<Outcome>,
}

/// What is known of a target in a survey: how it ended, and when.
type Ends = HashMap<(SurveyId, Endpoint), (Outcome, TimeUs)>;

impl Observatory {
    /// Every time a port of `addr` was asked: the order of a survey tells the place of each target,
    /// and coverage who went through which places when, as far as somebody sees coverage. Oldest first; of more
    /// than `most`, those of the newest surveys.
    pub async fn probed(&self, sight: &Sight, addr: IpAddr, most: usize) -> Result<Vec<Probed>, ActError> {
        let lake = self.lake().await?;
        let ends = self.ends(sight, addr).await?;
        let mut probed = Vec::new();
        let mut request = Some(PageRequest { after: None, limit: PAGE_MAX });
        for _ in 0..SURVEY_PAGES_MAX {
            let Some(wanted) = request.take().filter(|_| probed.len() <= most) else { break };
            let found = self.casework().surveys(self.org(), None, &wanted).await?;
            request = PageRequest::following(&found).map(|next| PageRequest { limit: PAGE_MAX, ..next });
            for survey in found.items {
                if probed.len() > most {
                    break;
                }
                // Imported results have no plan, and no coverage.
                let Ok(plan) = serde_json::from_value::<SurveyPlan>(survey.plan) else { continue };
                if !sight.covers(&plan.mandate_id) {
                    continue;
                }
                let Ok(space) = plan.space() else { continue };
                if !space.addresses().contains(addr) {
                    continue;
                }
                let place = |endpoint| Some((i64::try_from(space.index_of(endpoint)?).ok()?, endpoint));
                let ports = space.ports().iter();
                let mut places: Vec<(i64, Endpoint)> = ports
                    .filter_map(|port| place(Endpoint::new(addr, port.number, port.transport)))
                    .collect();
                places.sort_unstable();
                for row in lake.coverage(survey.survey_id).await? {
                    // A batch in which nothing answered names no mandate: that of its survey.
                    if !sight.covers(row.mandate_id.as_deref().unwrap_or(&plan.mandate_id)) {
                        continue;
                    }
                    let begins = places.partition_point(|(index, _)| *index < row.index_from);
                    let there = places[begins..].iter().take_while(|(index, _)| *index < row.index_to);
                    probed.extend(there.map(|(index, endpoint)| Probed {
                        survey_id: row.survey_id.clone(),
                        programme: survey.programme.clone(),
                        round: survey.round,
                        mandate_id: plan.mandate_id.clone(),
                        endpoint: *endpoint,
                        index: index.cast_unsigned(),
                        sensor_id: row.sensor_id.clone(),
                        from: TimeUs::from_micros(row.t_from),
                        to: TimeUs::from_micros(row.t_to),
                        outcome: ends.get(&(survey.survey_id, *endpoint)).map(|(outcome, _)| *outcome),
                    }));
                }
            }
        }
        probed.sort_by_key(|one| (one.from, one.endpoint));
        probed.drain(..probed.len().saturating_sub(most));
        Ok(probed)
    }

    /// How each attempt at an address ended that left an observation: an answer counts before anything
    /// else, then what came last.
    async fn ends(&self, sight: &Sight, addr: IpAddr) -> Result<Ends, ActError> {
        let told = Told { addr: Some(addr), ..Told::default() };
        let seen = self.lake().await?.hosts(&told).await?.next().await?.unwrap_or_default();
        let mut ends = Ends::new();
        for observation in seen.into_iter().map(|one| one.observation).filter(|one| sight.shows(one)) {
            let end = (observation.outcome, observation.time);
            let rank = |(outcome, time): (Outcome, TimeUs)| (outcome == Outcome::Answered, time);
            let held = ends.entry((observation.survey_id, observation.subject)).or_insert(end);
            if rank(end) > rank(*held) {
                *held = end;
            }
        }
        Ok(ends)
    }
}
