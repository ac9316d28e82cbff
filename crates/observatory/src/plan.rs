//! Planning: what a survey or a re-check would do. Sends nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use kenshin_casework::{CaseFilter, CaseState, CloseReason, NewSurvey, PageRequest, Survey, SurveyKind};
use kenshin_mandate::{AddressSet, VerifiedMandate};
use kenshin_observation::{CaseId, Check, Endpoint, Prefix, SurveyId, Tlp};
use kenshin_survey::permutation::PermutationKey;
use kenshin_survey::plan::{Manner, PlanRequest, PlanSummary, Silence, SurveyPlan};
use sha2::{Digest, Sha256};

use crate::Observatory;
use crate::error::ActError;

/// What a survey is asked for; what is left open comes from the mandate.
#[derive(Debug, Clone)]
pub struct SurveyRequest {
    /// Id of the mandate.
    pub mandate: String,
    /// Narrow to these prefixes; empty for all the mandate's targets.
    pub targets: Vec<Prefix>,
    /// Narrow to these ports; empty for all.
    pub ports: Vec<u16>,
    /// Narrow to these checks; empty for all.
    pub checks: Vec<Check>,
    /// How gently.
    pub manner: Manner,
    /// Seed of the order; `None` draws one.
    pub seed: Option<u64>,
    /// UDP ports; only those that are listed here.
    pub udp_ports: Vec<u16>,
    /// An echo request to each address too.
    pub echo: bool,
    /// What becomes of targets that say nothing.
    pub silence: Silence,
    /// Hosts that are known to be up.
    pub canaries: Vec<Endpoint>,
    /// To whom what is found may be shown.
    pub tlp: Tlp,
}

/// A plan with what it comes to.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The plan.
    pub plan: SurveyPlan,
    /// What it comes to.
    pub summary: PlanSummary,
    /// Programme of its mandate.
    pub programme: String,
}

impl Observatory {
    /// Plans a survey under a mandate of the home. Nothing is sent and nothing is stored.
    pub fn plan(&self, request: &SurveyRequest) -> Result<Planned, ActError> {
        let mandate = self.authority().mandate(&request.mandate, self.now())?;
        let targets = (!request.targets.is_empty()).then(|| request.targets.iter().copied().collect());
        self.plan_over(request, &mandate, targets)
    }

    /// Plans a re-check: the addresses of cases that are not closed and the declared pools of
    /// their providers, as far as the mandate reaches.
    pub async fn plan_recheck(&self, request: &SurveyRequest, only: &[CaseId]) -> Result<Planned, ActError> {
        let mandate = self.authority().mandate(&request.mandate, self.now())?;
        let cases = self.cases_to_recheck(only).await?;
        if cases.is_empty() {
            return Err(ActError::no("there is no open case to look at again"));
        }
        let mut pools: AddressSet = cases.iter().map(|case| Prefix::host(case.endpoint.addr)).collect();
        let providers: BTreeSet<_> = cases.iter().filter_map(|case| case.provider).collect();
        for provider in providers {
            let declared = self.casework().provider_prefixes(self.org(), provider).await?;
            pools = pools.union(&declared.into_iter().collect());
        }
        let within = mandate.targets.as_ref().unwrap_or(&mandate.scope);
        let targets = pools.intersect(within).intersect(&mandate.scope);
        if targets.is_empty() {
            return Err(ActError::no(format!(
                "no open case is inside the targets of mandate `{}`",
                request.mandate
            )));
        }
        // What became of a case is judged by rows: its silence has one, whatever was asked for.
        let request = SurveyRequest { silence: Silence::Rows, ..request.clone() };
        self.plan_over(&request, &mandate, Some(targets))
    }

    /// Cases that a re-check looks at: those named, or all that are not closed, and those that
    /// nobody could be told about, which are as open as before.
    pub(crate) async fn cases_to_recheck(&self, only: &[CaseId]) -> Result<Vec<CaseState>, ActError> {
        let open = CaseFilter { not_closed: true, ..CaseFilter::default() };
        let untold = CaseFilter { close_reason: Some(CloseReason::NoAddressee), ..CaseFilter::default() };
        let mut cases = self.cases_of(&open, only).await?;
        cases.extend(self.cases_of(&untold, only).await?);
        Ok(cases)
    }

    async fn cases_of(&self, filter: &CaseFilter, only: &[CaseId]) -> Result<Vec<CaseState>, ActError> {
        let mut cases = Vec::new();
        let mut page = PageRequest { after: None, limit: kenshin_casework::PAGE_MAX };
        loop {
            let found = self.casework().cases(&self.viewer(), filter, &page).await?;
            let next = PageRequest::following(&found);
            cases.extend(
                found.items.into_iter().filter(|case| only.is_empty() || only.contains(&case.case_id)),
            );
            match next {
                Some(following) => page = PageRequest { limit: kenshin_casework::PAGE_MAX, ..following },
                None => return Ok(cases),
            }
        }
    }

    /// Stores a plan as the next round of its programme.
    pub async fn store_plan(&self, planned: &Planned, kind: SurveyKind) -> Result<Survey, ActError> {
        let new = NewSurvey {
            survey_id: planned.plan.survey_id,
            programme: planned.programme.clone(),
            kind,
            mandate_digest: planned.plan.mandate_digest.clone(),
            plan: serde_json::to_value(&planned.plan)
                .map_err(|e| ActError::outside("failed to store the plan", e))?,
        };
        Ok(self.casework().plan_survey(self.org(), &new, self.now()).await?)
    }

    /// The stored plan of a survey.
    pub async fn stored_plan(&self, id: SurveyId) -> Result<(Survey, SurveyPlan), ActError> {
        let survey = self.casework().survey(self.org(), id).await?;
        let plan = serde_json::from_value(survey.plan.clone()).map_err(|error| {
            ActError::outside(format!("the stored plan of survey {id} cannot be read"), error)
        })?;
        Ok((survey, plan))
    }

    fn plan_over(
        &self,
        request: &SurveyRequest,
        mandate: &Arc<VerifiedMandate>,
        targets: Option<AddressSet>,
    ) -> Result<Planned, ActError> {
        let now = self.now();
        let basis = match request.tlp {
            Tlp::Green => Some(("share", &mandate.legal_basis.share)),
            Tlp::Clear => Some(("release", &mandate.legal_basis.release)),
            Tlp::Amber | Tlp::AmberStrict | Tlp::Red => None,
        };
        if let Some((act, None)) = basis {
            return Err(ActError::no(format!(
                "mandate `{}` has no legal basis to {act} what is found: it cannot be {}",
                request.mandate, request.tlp
            ))
            .with_hint(format!(
                "leave --tlp out, or have its authority state one as `{act}` under [legal_basis]"
            )));
        }
        let narrowing = self.authority().narrowing()?;
        let checks =
            (!request.checks.is_empty()).then(|| request.checks.iter().copied().collect::<BTreeSet<_>>());
        let wants_credentials = checks
            .as_ref()
            .map_or(mandate.grants(Check::CredentialCheck), |c| c.contains(&Check::CredentialCheck));
        let dictionary = match wants_credentials {
            true => self.settings().dictionary_ref(self.home())?,
            false => None,
        };
        let key: [u8; 16] = match request.seed {
            Some(seed) => Sha256::digest(seed.to_be_bytes())[..16].try_into().expect("half of 32 bytes"),
            None => self.edge().seed()[..16].try_into().expect("half of 32 bytes"),
        };
        let wanted = PlanRequest {
            survey_id: self.casework().new_survey_id(now),
            org_id: self.org(),
            tlp: request.tlp,
            sensor_id: None,
            targets,
            ports: (!request.ports.is_empty()).then(|| request.ports.clone()),
            udp_ports: request.udp_ports.clone(),
            echo: request.echo,
            silence: request.silence,
            canaries: request.canaries.clone(),
            checks,
            permutation_key: PermutationKey(key),
            manner: request.manner.clone(),
            dictionary,
            recursion_zone: self.settings().recursion_zone.clone(),
        };
        let (plan, summary) = SurveyPlan::make(wanted, mandate, &narrowing, now)
            .map_err(|error| ActError::no(error.to_string()))?;
        Ok(Planned { plan, summary, programme: mandate.programme.clone() })
    }
}
