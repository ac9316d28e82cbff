//! What insight concludes from the observations of one survey, by today's knowledge: for an
//! assessment as for a retrospect.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use kenshin_casework::AssetSeen;
use kenshin_insight::Assessor;
use kenshin_insight::asset::{AssetLinks, Host, Resolution, hosts, resolve, sharing};
use kenshin_insight::drift::Learner;
use kenshin_insight::finding::shared_keys;
use kenshin_insight::intelligence::Intelligence;
use kenshin_insight::priority::prioritise;
use kenshin_observation::{AssetId, Endpoint, Finding, Identity, Observation, SurveyId};

use crate::Observatory;
use crate::assess::to_json;
use crate::error::ActError;

/// Everything that one survey shows.
pub(crate) struct Conclusions {
    /// The record about assets before it.
    pub(crate) links: AssetLinks,
    /// What each address showed.
    pub(crate) hosts: BTreeMap<IpAddr, Host>,
    /// Which device each host is.
    pub(crate) resolution: Resolution,
    /// The devices.
    pub(crate) assets: Vec<AssetSeen>,
    /// What is wrong with them, with priorities.
    pub(crate) findings: Vec<Finding>,
    /// Where the decisive observation of each finding was made from, by finding key.
    pub(crate) vantages: BTreeMap<String, Endpoint>,
}

impl Observatory {
    pub(crate) async fn conclude(
        &self,
        survey_id: SurveyId,
        observations: &[Observation],
        intelligence: &Intelligence,
    ) -> Result<Conclusions, ActError> {
        let now = self.now();
        let packs = self.packs().await?.clone().with_vendors(self.hardware_vendors().await?);
        let mut assessor = Assessor::new(&packs, intelligence, now);
        let mut by_addr: BTreeMap<IpAddr, Vec<&Observation>> = BTreeMap::new();
        for observation in observations {
            by_addr.entry(observation.subject.addr).or_default().push(observation);
        }
        let spoke = by_addr.iter().filter(|(_, seen)| seen.iter().any(|o| o.protocol.is_some()));
        let identities: BTreeMap<IpAddr, Arc<Identity>> =
            spoke.map(|(addr, seen)| (*addr, assessor.identity(seen))).collect();
        let hosts = hosts(observations, |addr| identities.get(&addr).map(Arc::as_ref));
        let links = self.asset_links().await?;
        let casework = self.casework();
        let resolution = resolve(&links, &hosts, survey_id, now, || casework.new_asset_id(now));

        let sharing = sharing(&hosts, &resolution.shared);
        let mut assets = Vec::new();
        let mut findings: Vec<Finding> = Vec::new();
        let mut learner = Learner::default();
        let mut pages: Vec<(usize, Vec<&Observation>)> = Vec::new();
        for asset in &resolution.assets {
            let seen: Vec<&Observation> = asset
                .addrs
                .iter()
                .flat_map(|addr| by_addr.get(addr).into_iter().flatten().copied())
                .filter(|o| resolution.endpoints.get(&o.subject).is_none_or(|owner| *owner == asset.asset_id))
                .collect();
            let Some(addr) = asset.addrs.first().copied() else { continue };
            let assessed = assessor.assess(asset.asset_id, &seen);
            findings.extend(assessed.findings);
            findings.extend(shared_keys(asset.asset_id, &seen, &sharing, intelligence));
            learner.add(&assessed.identity, &seen);
            pages.push((assets.len(), seen.iter().copied().filter(|o| o.records.http.is_some()).collect()));
            assets.push(AssetSeen {
                asset_id: asset.asset_id,
                addr,
                keys: asset.keys.clone(),
                identity: assessed.identity.as_ref().clone(),
                sighting: to_json(resolution.sightings.get(&asset.asset_id)),
                time: seen.iter().map(|o| o.time).max().unwrap_or(now),
            });
        }
        let baselines = learner.finish(intelligence);
        for (at, seen) in &pages {
            let AssetSeen { asset_id, identity, .. } = &assets[*at];
            findings.extend(baselines.altered(*asset_id, identity, seen));
        }
        let identities: HashMap<AssetId, &Identity> =
            assets.iter().map(|asset| (asset.asset_id, &asset.identity)).collect();
        prioritise(&mut findings, |asset| identities.get(&asset).copied(), intelligence);
        let seen_from: HashMap<_, _> =
            observations.iter().map(|o| ((o.subject, o.time), o.vantage)).collect();
        let vantage = |finding: &Finding| seen_from.get(&(finding.endpoint, finding.time)).copied();
        let vantages =
            findings.iter().filter_map(|finding| Some((finding.key.clone(), vantage(finding)?))).collect();
        Ok(Conclusions { links, hosts, resolution, assets, findings, vantages })
    }
}
