//! What people ask for from the web: work that sensors do later.

use kenshin_casework::{PageRequest, SurveyKind, SurveyState, Viewer};
use kenshin_mandate::Mandate;
use kenshin_observation::{CaseId, JobId, Tlp};
use kenshin_survey::plan::{Manner, Silence};

use crate::Observatory;
use crate::error::ActError;
use crate::plan::SurveyRequest;

impl Observatory {
    /// Asks for one case that `viewer` may see to be measured again, under the mandate of the survey
    /// that found it. Plans the next round over the case's endpoint and its provider's pool and
    /// hands it to the sensors; while a survey of the programme waits or runs, the answer is no.
    pub async fn ask_recheck(&self, viewer: &Viewer, id: CaseId) -> Result<JobId, ActError> {
        let case = self.casework().case(viewer, id).await?;
        if case.close_reason.is_some() {
            return Err(ActError::no(format!("case {id} is closed")).with_hint("reopen it first"));
        }
        let survey = self.casework().survey(self.org(), case.opened_survey).await?;
        let recent =
            self.casework().surveys(self.org(), Some(&survey.programme), &PageRequest::default()).await?;
        let waits = |state| matches!(state, SurveyState::Queued | SurveyState::Running);
        if let Some(busy) = recent.items.iter().find(|other| waits(other.state)) {
            return Err(ActError::no(format!(
                "round {} of `{}` is {}",
                busy.round, busy.programme, busy.state
            ))
            .with_hint("wait until it has ended: it may look at this case anyway"));
        }
        // To whom what is found may be shown does not change by its being looked at again.
        let tlp = self.stored_plan(case.opened_survey).await.map_or(Tlp::Amber, |(_, plan)| plan.tlp);
        let request = SurveyRequest {
            tlp,
            mandate: self.mandate_with_digest(&survey.mandate_digest)?,
            targets: Vec::new(),
            ports: Vec::new(),
            checks: Vec::new(),
            manner: Manner::INTERNET,
            seed: None,
            udp_ports: Vec::new(),
            echo: false,
            silence: Silence::Rows,
            canaries: Vec::new(),
        };
        let planned = self.plan_recheck(&request, &[id]).await?;
        let stored = self.store_plan(&planned, SurveyKind::Recheck).await?;
        self.enqueue_survey(stored.survey_id).await
    }

    /// Id of the mandate of the home whose signed text has this digest.
    fn mandate_with_digest(&self, digest: &str) -> Result<String, ActError> {
        let authority = self.authority();
        for id in authority.ids()? {
            let signed = authority.signed_text(&id)?;
            if Mandate::parse(&id, &signed.text).is_ok_and(|mandate| mandate.digest() == digest) {
                return Ok(id);
            }
        }
        Err(ActError::no("the mandate that the case was found under is not here any more")
            .with_hint("`kenshin mandate list` shows those there are; plan a re-check under one of them"))
    }
}
