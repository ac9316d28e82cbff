//! What a re-check saw of each case.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use kenshin_casework::{AssetSeen, CaseState, Judgement, Survey};
use kenshin_insight::asset::{self, AssetLinks, Host, Resolution};
use kenshin_insight::drift::Learner;
use kenshin_insight::identity::identify;
use kenshin_insight::intelligence::Intelligence;
use kenshin_insight::judge::{Question, RoundView, judge};
use kenshin_lake::Selection;
use kenshin_mandate::AddressSet;
use kenshin_observation::{
    CaseId, DeviceKey, Finding, FindingKind, Identity, Observation, ProviderId, SurveyId,
};

use crate::Observatory;
use crate::error::ActError;

/// What a round has concluded before its cases are judged.
pub(crate) struct RoundFacts<'a> {
    pub(crate) survey: &'a Survey,
    pub(crate) observations: &'a [Observation],
    pub(crate) intelligence: &'a Intelligence,
    pub(crate) assets: &'a [AssetSeen],
    pub(crate) hosts: &'a BTreeMap<IpAddr, Host>,
    pub(crate) links: &'a AssetLinks,
    pub(crate) resolution: &'a Resolution,
    pub(crate) findings: &'a [Finding],
    pub(crate) covered: &'a AddressSet,
}

/// What an earlier round saw, and what it took each address for.
struct Earlier {
    observations: Vec<Observation>,
    identities: BTreeMap<IpAddr, Identity>,
}

impl RoundFacts<'_> {
    /// Looks again at the pages of cases by what the round that opened them learned of all devices: what
    /// is still altered; where it is not, `hosts` are told so.
    fn pages_again(
        &self,
        cases: &[&CaseState],
        earlier: &Earlier,
        hosts: &mut BTreeMap<IpAddr, Host>,
    ) -> Vec<Finding> {
        let mut by_addr: BTreeMap<IpAddr, Vec<&Observation>> = BTreeMap::new();
        for observation in &earlier.observations {
            by_addr.entry(observation.subject.addr).or_default().push(observation);
        }
        let mut learner = Learner::default();
        for (addr, identity) in &earlier.identities {
            learner.add(identity, by_addr.get(addr).map_or(&[], Vec::as_slice));
        }
        let baselines = learner.finish(self.intelligence);
        let mut altered = Vec::new();
        for endpoint in cases.iter().map(|case| case.subject.endpoint) {
            let owner = self.resolution.endpoints.get(&endpoint);
            let asset = self.assets.iter().find(|asset| Some(&asset.asset_id) == owner);
            if let (Some(asset), Some(host)) = (asset, hosts.get_mut(&endpoint.addr)) {
                let seen: Vec<&Observation> =
                    self.observations.iter().filter(|o| o.subject.addr == endpoint.addr).collect();
                altered.extend(baselines.again(asset.asset_id, &asset.identity, &seen, host));
            }
        }
        altered
    }
}

impl Observatory {
    /// Judges every case that is not closed and whose address this round covered.
    pub(crate) async fn judge_cases(
        &self,
        facts: &RoundFacts<'_>,
    ) -> Result<Vec<(CaseId, Judgement)>, ActError> {
        let cases: Vec<CaseState> = self
            .cases_to_recheck(&[])
            .await?
            .into_iter()
            .filter(|case| facts.covered.contains(case.endpoint.addr))
            .collect();
        let mut pools: BTreeMap<ProviderId, bool> = BTreeMap::new();
        for provider in cases.iter().filter_map(|case| case.provider).collect::<BTreeSet<_>>() {
            let declared: AddressSet =
                self.casework().provider_prefixes(self.org(), provider).await?.into_iter().collect();
            pools.insert(provider, facts.covered.contains_all(&declared));
        }
        let mut kinds: BTreeMap<CaseId, Vec<FindingKind>> = BTreeMap::new();
        for case in &cases {
            let mut of_case = BTreeSet::new();
            for key in &case.findings {
                of_case.insert(self.casework().finding(&self.viewer(), key).await?.finding.kind);
            }
            kinds.insert(case.case_id, of_case.into_iter().collect());
        }
        let (mut hosts, mut altered) = (Cow::Borrowed(facts.hosts), Vec::new());
        let mut before = BTreeMap::new();
        for survey in cases.iter().map(|case| case.opened_survey).collect::<BTreeSet<_>>() {
            let earlier = self.earlier(survey).await?;
            let of_pages = cases.iter().filter(|case| {
                case.opened_survey == survey && kinds[&case.case_id].contains(&FindingKind::AlteredContent)
            });
            let of_pages: Vec<&CaseState> = of_pages.collect();
            if !of_pages.is_empty() {
                altered.extend(facts.pages_again(&of_pages, &earlier, hosts.to_mut()));
            }
            let Earlier { observations, identities } = earlier;
            before.insert(survey, asset::hosts(&observations, |addr| identities.get(&addr)));
        }
        let covers = |addr: IpAddr| facts.covered.contains(addr);
        // Merges that this round decided count already.
        let mut links = facts.links.clone();
        links.append(facts.resolution.links.iter().cloned());
        let current = |asset| links.current(asset);
        let shared: BTreeSet<DeviceKey> = facts.resolution.shared.clone();
        let findings = facts.findings.iter().chain(&altered);
        let view = RoundView::new(&hosts, findings, shared, &covers, &current);
        let judged = cases.iter().map(|case| {
            let question = Question {
                subject: &case.subject,
                remedy: case.remedy,
                kinds: kinds.get(&case.case_id).map_or(&[], Vec::as_slice),
                before: before
                    .get(&case.opened_survey)
                    .and_then(|hosts| hosts.get(&case.subject.endpoint.addr)),
                pool_covered: case.provider.is_some_and(|provider| pools.get(&provider) == Some(&true)),
            };
            let judgement = judge(&question, &view);
            let judgement = Judgement {
                survey_id: facts.survey.survey_id,
                time: judgement
                    .observed_at
                    .unwrap_or_else(|| facts.survey.ended_at.unwrap_or_else(|| self.now())),
                condition: judgement.condition,
                basis: judgement.basis.to_string(),
                seen_at: judgement.endpoint,
                still_affected: judgement.still_affected,
                reasons: judgement.reasons,
            };
            (case.case_id, judgement)
        });
        Ok(judged.collect())
    }

    /// What an earlier round saw, from its observations in the lake.
    async fn earlier(&self, survey: SurveyId) -> Result<Earlier, ActError> {
        let selection = Selection { survey: Some(survey), ..Selection::default() };
        let observations = self.lake().await?.observations(&selection).await?;
        let identities = self.identities(&observations).await?;
        Ok(Earlier { observations, identities })
    }

    /// What each address that spoke is.
    pub(crate) async fn identities(
        &self,
        observations: &[Observation],
    ) -> Result<BTreeMap<IpAddr, Identity>, ActError> {
        let packs = self.packs().await?.clone().with_vendors(self.hardware_vendors().await?);
        let mut by_addr: BTreeMap<IpAddr, Vec<&Observation>> = BTreeMap::new();
        for observation in observations.iter().filter(|o| o.protocol.is_some()) {
            by_addr.entry(observation.subject.addr).or_default().push(observation);
        }
        Ok(by_addr.into_iter().map(|(addr, seen)| (addr, identify(&seen, &packs))).collect())
    }
}
