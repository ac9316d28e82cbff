//! The append-only record of which keys and addresses belong to which asset.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use kenshin_observation::{AssetId, DeviceKey, Explanation, SurveyId, TimeUs, words};
use serde::{Deserialize, Serialize};

words!(
    /// What a link record states.
    LinkAction, "link action" {
        /// The key or address belongs to the asset from now on.
        Link = "link",
        /// `other` is the same device and continues under this asset.
        Merge = "merge",
        /// The key belongs to this asset from now on and no longer to `other`.
        Split = "split",
        /// The key is shared by many devices and identifies nobody from now on.
        Share = "share",
        /// The address no longer speaks for the asset.
        Unbind = "unbind",
    }
);

/// What a link stands on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// A key that identifies alone.
    Key(DeviceKey),
    /// The address alone: weak.
    Address(IpAddr),
}

/// One record; never changed once written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssetLink {
    /// Position in the record, from 1, without gaps.
    pub sequence: i64,
    /// When it was decided.
    pub time: TimeUs,
    /// The round it was decided from.
    pub survey_id: SurveyId,
    /// What it states.
    pub action: LinkAction,
    /// The asset; for `share` the one that held the key, or `None` if none did.
    pub asset_id: Option<AssetId>,
    /// The asset that ends (`merge`) or loses the key (`split`).
    pub other: Option<AssetId>,
    /// Key or address concerned; `None` for `merge`.
    pub basis: Option<Basis>,
    /// Why, as code and arguments.
    pub reason: Explanation,
}

/// What an asset looked like when it was last seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// When.
    pub time: TimeUs,
    /// In which round.
    pub survey_id: SurveyId,
    /// Where.
    pub addrs: BTreeSet<IpAddr>,
    /// Vendor and product, when identified.
    pub product: Option<String>,
    /// Ports that answered and what they spoke.
    pub services: BTreeSet<(u16, String)>,
}

/// The whole record and what follows from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AssetLinks {
    links: Vec<AssetLink>,
    sightings: BTreeMap<AssetId, Sighting>,
    by_key: BTreeMap<DeviceKey, AssetId>,
    by_addr: BTreeMap<IpAddr, AssetId>,
    merged: BTreeMap<AssetId, AssetId>,
    shared: BTreeSet<DeviceKey>,
}

impl AssetLinks {
    /// The record from its stored links, in order, and the latest sighting of each asset.
    pub fn new(
        links: impl IntoIterator<Item = AssetLink>,
        sightings: impl IntoIterator<Item = (AssetId, Sighting)>,
    ) -> Self {
        let mut all = Self { sightings: sightings.into_iter().collect(), ..Self::default() };
        all.append(links);
        all
    }

    /// Appends what a [`super::Resolution`] decided.
    pub fn append(&mut self, links: impl IntoIterator<Item = AssetLink>) {
        for link in links {
            self.apply(&link);
            self.links.push(link);
        }
    }

    /// Notes where and how assets were last seen.
    pub fn see(&mut self, sightings: impl IntoIterator<Item = (AssetId, Sighting)>) {
        self.sightings.extend(sightings);
    }

    /// All records, in order.
    pub fn links(&self) -> &[AssetLink] {
        &self.links
    }

    /// The asset under which `asset` continues: itself unless it was merged.
    pub fn current(&self, asset: AssetId) -> AssetId {
        let mut current = asset;
        // A chain is never longer than the record; the bound keeps a damaged one from looping.
        for _ in 0..=self.merged.len() {
            match self.merged.get(&current) {
                Some(next) => current = *next,
                None => break,
            }
        }
        current
    }

    /// The asset that `key` identifies.
    pub fn of_key(&self, key: &DeviceKey) -> Option<AssetId> {
        self.by_key.get(key).map(|asset| self.current(*asset))
    }

    /// The asset bound to `addr` without a key.
    pub fn of_addr(&self, addr: IpAddr) -> Option<AssetId> {
        self.by_addr.get(&addr).map(|asset| self.current(*asset))
    }

    /// Keys of `asset`.
    pub fn keys_of(&self, asset: AssetId) -> impl Iterator<Item = &DeviceKey> {
        self.by_key.iter().filter(move |(_, owner)| self.current(**owner) == asset).map(|(key, _)| key)
    }

    /// True when `asset` has a key that identifies it alone.
    pub fn has_key(&self, asset: AssetId) -> bool {
        self.keys_of(asset).next().is_some()
    }

    /// True when `key` has been seen at too many addresses to identify anybody.
    pub fn is_shared(&self, key: &DeviceKey) -> bool {
        self.shared.contains(key)
    }

    /// How `asset` looked when it was last seen.
    pub fn sighting(&self, asset: AssetId) -> Option<&Sighting> {
        self.sightings.get(&asset)
    }

    /// Latest sightings of all assets.
    pub fn sightings(&self) -> &BTreeMap<AssetId, Sighting> {
        &self.sightings
    }

    fn apply(&mut self, link: &AssetLink) {
        match (link.action, &link.basis, link.asset_id) {
            (LinkAction::Link | LinkAction::Split, Some(Basis::Key(key)), Some(asset)) => {
                self.by_key.insert(key.clone(), asset);
            }
            (LinkAction::Link | LinkAction::Split, Some(Basis::Address(addr)), Some(asset)) => {
                self.by_addr.insert(*addr, asset);
            }
            (LinkAction::Merge, _, Some(asset)) => {
                if let Some(other) = link.other.filter(|other| *other != asset) {
                    self.merged.insert(other, asset);
                }
            }
            (LinkAction::Share, Some(Basis::Key(key)), _) => {
                self.shared.insert(key.clone());
                self.by_key.remove(key);
            }
            (LinkAction::Unbind, Some(Basis::Address(addr)), _) => {
                self.by_addr.remove(addr);
            }
            _ => {}
        }
    }
}
