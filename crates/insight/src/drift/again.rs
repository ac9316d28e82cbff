//! Pages that were found altered, looked at again by what the round that found them learned of their
//! model: a re-check sees few devices, and learns nothing of its own.

use std::collections::BTreeMap;

use kenshin_observation::protocol::Http;
use kenshin_observation::{AssetId, Endpoint, Finding, FindingKind, Identity, Observation};

use super::{Baselines, Page, model, page, pages, value};
use crate::asset::Host;
use crate::decoy::of_devices;

impl Baselines<'_> {
    /// What is still altered on one device. Where its pages are as others again, `host` is told so.
    pub fn again(
        &self,
        asset_id: AssetId,
        identity: &Identity,
        observations: &[&Observation],
        host: &mut Host,
    ) -> Vec<Finding> {
        let mut known: BTreeMap<Endpoint, bool> = BTreeMap::new();
        if let Some(model) = model(identity) {
            for (observation, http) in pages(&of_devices(observations)) {
                *known.entry(observation.subject).or_insert(true) &=
                    self.is_known(identity, http, &page(&model, http));
            }
        }
        for (endpoint, _) in known.into_iter().filter(|(_, known)| *known) {
            if let Some(service) = host.services.get_mut(&endpoint) {
                service.told.insert(FindingKind::AlteredContent, false);
            }
        }
        self.altered(asset_id, identity, observations)
    }

    /// True when a page shows in every part what is known of it; what was not seen is not known.
    fn is_known(&self, identity: &Identity, http: &Http, page: &Page) -> bool {
        if let Some((good, _)) = self.good(identity, page) {
            return good.parts.iter().all(|(part, values)| values.contains(&value(*part, http)));
        }
        let Some(tallies) = self.pages.get(page) else { return false };
        let mut content = false;
        tallies.iter().all(|(part, tally)| {
            let Some((common, _)) = tally.common() else { return true };
            content |= part.is_content() && !common.is_empty();
            value(*part, http) == common
        }) && content
    }
}
