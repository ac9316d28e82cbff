//! When an address was asked, and by whom: from coverage, by arithmetic, whether it answered or not.

use std::net::IpAddr;

use kenshin_casework::{PAGE_MAX, PageRequest};
use kenshin_observation::{Endpoint, TimeUs};
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
}

impl Observatory {
    /// Every time a port of `addr` was asked: the order of a survey tells the place of each target,
    /// and coverage who went through which places when.
    pub async fn probed(&self, addr: IpAddr) -> Result<Vec<Probed>, ActError> {
        let lake = self.lake().await?;
        let mut probed = Vec::new();
        let mut request = Some(PageRequest { after: None, limit: PAGE_MAX });
        for _ in 0..SURVEY_PAGES_MAX {
            let Some(wanted) = request.take() else { break };
            let found = self.casework().surveys(self.org(), None, &wanted).await?;
            request = PageRequest::following(&found).map(|next| PageRequest { limit: PAGE_MAX, ..next });
            for survey in found.items {
                // Imported results have no plan, and no coverage.
                let Ok(plan) = serde_json::from_value::<SurveyPlan>(survey.plan) else { continue };
                let Ok(space) = plan.space() else { continue };
                if !space.addresses().contains(addr) {
                    continue;
                }
                let coverage = lake.coverage(survey.survey_id).await?;
                for port in space.ports() {
                    let endpoint = Endpoint::new(addr, port.number, port.transport);
                    let Some(index) = space.index_of(endpoint) else { continue };
                    let Ok(place) = i64::try_from(index) else { continue };
                    let rows = coverage.iter().filter(|row| (row.index_from..row.index_to).contains(&place));
                    probed.extend(rows.map(|row| Probed {
                        survey_id: row.survey_id.clone(),
                        mandate_id: plan.mandate_id.clone(),
                        endpoint,
                        index,
                        sensor_id: row.sensor_id.clone(),
                        from: TimeUs::from_micros(row.t_from),
                        to: TimeUs::from_micros(row.t_to),
                    }));
                }
            }
        }
        probed.sort_by_key(|one| (one.from, one.endpoint));
        Ok(probed)
    }
}
