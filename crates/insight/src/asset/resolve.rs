//! Which device each host of a round is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use kenshin_observation::{AssetId, DeviceKey, DeviceKeyKind, Endpoint, Explanation, SurveyId, TimeUs};

use super::{AssetLink, AssetLinks, Basis, Host, LinkAction, SHARED_ABOVE, Sighting, sharers};
use crate::intelligence::Names;

/// One device seen in the round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedAsset {
    /// Which device.
    pub asset_id: AssetId,
    /// Its endpoints that answered.
    pub endpoints: BTreeSet<Endpoint>,
    /// Addresses it was seen at.
    pub addrs: BTreeSet<IpAddr>,
    /// Keys seen this round that identify it alone; empty when it is known by its address only.
    pub keys: Vec<DeviceKey>,
    /// Never seen before.
    pub is_new: bool,
    /// Addresses of its last sighting, when none of them is among today's: it has moved.
    pub moved_from: BTreeSet<IpAddr>,
}

/// Who is who in one round, and what is to be appended to the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// Devices seen, by id.
    pub assets: Vec<ResolvedAsset>,
    /// The device behind each endpoint that answered.
    pub endpoints: BTreeMap<Endpoint, AssetId>,
    /// Records to append, in order.
    pub links: Vec<AssetLink>,
    /// How each device looked this round; the latest sighting from now on.
    pub sightings: BTreeMap<AssetId, Sighting>,
    /// Keys seen this round that identify nobody.
    pub shared: BTreeSet<DeviceKey>,
}

/// Devices at one or more addresses that share a key of their own.
#[derive(Debug, Default)]
struct Group {
    addrs: BTreeSet<IpAddr>,
    keys: BTreeSet<DeviceKey>,
}

struct Work<'a, F> {
    previous: &'a AssetLinks,
    hosts: &'a BTreeMap<IpAddr, Host>,
    survey_id: SurveyId,
    now: TimeUs,
    new_id: F,
    links: Vec<AssetLink>,
    shared: BTreeSet<DeviceKey>,
    /// Devices found, with the keys seen; the endpoints come last.
    found: BTreeMap<AssetId, ResolvedAsset>,
    endpoints: BTreeMap<Endpoint, AssetId>,
    /// Merges of this round: who continues under whom.
    merged: BTreeMap<AssetId, AssetId>,
    /// The device last seen at each address.
    last_at: BTreeMap<IpAddr, AssetId>,
}

/// Says which device each host of a round is. The same arguments give the same answer; `new_id`
/// is called once for each new device, in the order of addresses.
pub fn resolve(
    previous: &AssetLinks,
    hosts: &BTreeMap<IpAddr, Host>,
    survey_id: SurveyId,
    now: TimeUs,
    new_id: impl FnMut() -> AssetId,
) -> Resolution {
    let sharers = sharers(hosts);
    let mut work = Work {
        previous,
        hosts,
        survey_id,
        now,
        new_id,
        links: Vec::new(),
        shared: sharers.keys().filter(|key| previous.is_shared(key)).cloned().collect(),
        found: BTreeMap::new(),
        endpoints: BTreeMap::new(),
        merged: BTreeMap::new(),
        last_at: last_at(previous),
    };
    work.share(&sharers);
    let groups = work.groups(&sharers);
    let keepers = work.keepers(&groups);
    for (index, group) in groups.iter().enumerate() {
        work.resolve_group(index, group, &keepers);
    }
    let keyed: BTreeSet<IpAddr> = groups.iter().flat_map(|group| &group.addrs).copied().collect();
    for host in hosts.values() {
        if host.answering().next().is_some() && !keyed.contains(&host.addr) {
            work.resolve_keyless(host);
        }
    }
    work.finish()
}

impl<F: FnMut() -> AssetId> Work<'_, F> {
    fn link(
        &mut self,
        action: LinkAction,
        asset_id: Option<AssetId>,
        other: Option<AssetId>,
        basis: Option<Basis>,
        code: &str,
        args: &[(&str, String)],
    ) {
        let sequence = self.previous.links().len() + self.links.len() + 1;
        self.links.push(AssetLink {
            sequence: i64::try_from(sequence).expect("the record fits in memory"),
            time: self.now,
            survey_id: self.survey_id,
            action,
            asset_id,
            other,
            basis,
            reason: Explanation {
                code: code.to_owned(),
                args: args.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
            },
        });
    }

    /// Keys seen at too many addresses identify nobody, from now on.
    fn share(&mut self, sharers: &BTreeMap<DeviceKey, BTreeSet<IpAddr>>) {
        for (key, addrs) in sharers {
            if addrs.len() > SHARED_ABOVE && self.shared.insert(key.clone()) {
                let holder = self.previous.of_key(key);
                let count = [("count", addrs.len().to_string())];
                self.link(
                    LinkAction::Share,
                    holder,
                    None,
                    Some(Basis::Key(key.clone())),
                    "asset.shared-key",
                    &count,
                );
            }
        }
    }

    /// Addresses connected by keys that identify alone, in the order of addresses.
    fn groups(&self, sharers: &BTreeMap<DeviceKey, BTreeSet<IpAddr>>) -> Vec<Group> {
        let own = || sharers.iter().filter(|(key, _)| !self.shared.contains(*key));
        let mut lowest: BTreeMap<IpAddr, IpAddr> =
            own().flat_map(|(_, at)| at).map(|addr| (*addr, *addr)).collect();
        // Each pass carries the lowest address across every key; a chain of keys takes one more.
        let mut changed = true;
        while changed {
            changed = false;
            for (_, addrs) in own() {
                let low = addrs.iter().filter_map(|addr| lowest.get(addr)).min().copied();
                for addr in addrs {
                    if let (Some(low), Some(held)) = (low, lowest.get_mut(addr))
                        && *held != low
                    {
                        *held = low;
                        changed = true;
                    }
                }
            }
        }
        let mut groups: BTreeMap<IpAddr, Group> = BTreeMap::new();
        for (key, addrs) in own() {
            let Some(low) = addrs.first().and_then(|addr| lowest.get(addr)) else { continue };
            let group = groups.entry(*low).or_default();
            group.keys.insert(key.clone());
            group.addrs.extend(addrs);
        }
        groups.into_values().collect()
    }

    /// Which group each earlier device continues in, when its keys have come apart: where it was
    /// last seen, else where most of its keys are.
    fn keepers(&self, groups: &[Group]) -> BTreeMap<AssetId, usize> {
        let mut claims: BTreeMap<AssetId, BTreeMap<usize, usize>> = BTreeMap::new();
        for (index, group) in groups.iter().enumerate() {
            for asset in group.keys.iter().filter_map(|key| self.previous.of_key(key)) {
                *claims.entry(asset).or_default().entry(index).or_default() += 1;
            }
        }
        let keeper = |asset: AssetId, claims: BTreeMap<usize, usize>| {
            let here = |index: usize| {
                self.previous
                    .sighting(asset)
                    .is_some_and(|seen| !seen.addrs.is_disjoint(&groups[index].addrs))
            };
            claims
                .into_iter()
                .max_by_key(|(index, keys)| (here(*index), *keys, std::cmp::Reverse(*index)))
                .map(|(index, _)| (asset, index))
        };
        claims.into_iter().filter_map(|(asset, claims)| keeper(asset, claims)).collect()
    }

    fn resolve_group(&mut self, index: usize, group: &Group, keepers: &BTreeMap<AssetId, usize>) {
        let known: BTreeSet<AssetId> = group
            .keys
            .iter()
            .filter_map(|key| self.previous.of_key(key))
            .filter(|a| keepers.get(a) == Some(&index))
            .collect();
        let mut distinct = self.merge(known);
        if distinct.is_empty() {
            distinct.insert(self.upgrade_or_new(group, keepers));
        }
        let first = *distinct.first().expect("one was just put in");
        for key in &group.keys {
            let holder = self.previous.of_key(key);
            let asset = holder.map(|holder| self.current(holder)).filter(|asset| distinct.contains(asset));
            let basis = Some(Basis::Key(key.clone()));
            match (asset, holder) {
                (Some(_), _) => {}
                (None, Some(holder)) => {
                    self.link(LinkAction::Split, Some(first), Some(holder), basis, "asset.split", &[]);
                }
                (None, None) => self.link(LinkAction::Link, Some(first), None, basis, "asset.key", &[]),
            }
            self.found_asset(asset.unwrap_or(first)).keys.push(key.clone());
        }
        for addr in &group.addrs {
            if let Some(bound) = self.previous.of_addr(*addr).map(|bound| self.current(bound))
                && !distinct.contains(&bound)
            {
                self.unbind(*addr, bound, "asset.unbound-by-key");
            }
            self.place(*addr, &distinct);
        }
    }

    /// Devices that were last seen at one address and now show their keys together are one; those
    /// last seen apart stay apart (several devices behind one address).
    fn merge(&mut self, known: BTreeSet<AssetId>) -> BTreeSet<AssetId> {
        let mut distinct: BTreeSet<AssetId> = BTreeSet::new();
        for asset in known {
            let place = |asset: AssetId| self.previous.sighting(asset).map(|seen| &seen.addrs);
            let same = distinct
                .iter()
                .copied()
                .find(|kept| matches!((place(*kept), place(asset)), (Some(a), Some(b)) if !a.is_disjoint(b)));
            match same {
                Some(kept) => {
                    self.merged.insert(asset, kept);
                    self.link(LinkAction::Merge, Some(kept), Some(asset), None, "asset.merge", &[]);
                }
                None => {
                    distinct.insert(asset);
                }
            }
        }
        distinct
    }

    /// A device whose key nobody knows continues an earlier one when it is known to be the same
    /// product at the same address, and that one was known by its address only, or by a TLS key
    /// that is nowhere to be seen: certificates are renewed. Otherwise the key says that this is
    /// somebody else.
    fn upgrade_or_new(&mut self, group: &Group, keepers: &BTreeMap<AssetId, usize>) -> AssetId {
        let tls = |key: &DeviceKey| key.kind == DeviceKeyKind::TlsPublicKey;
        for addr in &group.addrs {
            let Some(before) = self.previous.of_addr(*addr).or_else(|| self.last_at.get(addr).copied())
            else {
                continue;
            };
            let renewed = || group.keys.iter().all(tls) && self.previous.keys_of(before).any(tls);
            let free = !keepers.contains_key(&before) && !self.found.contains_key(&before);
            let was = self.previous.sighting(before).and_then(|seen| seen.product.as_deref());
            let is = self.hosts.get(addr).and_then(|host| host.product.as_deref());
            let same_product = matches!((was, is), (Some(was), Some(is)) if Names::same_product(was, is));
            if free && same_product && (!self.previous.has_key(before) || renewed()) {
                return before;
            }
        }
        self.new_asset()
    }

    /// Hosts without a key of their own.
    fn resolve_keyless(&mut self, host: &Host) {
        let addr = host.addr;
        let bound = self.previous.of_addr(addr);
        let candidate = bound
            .or_else(|| self.last_at.get(&addr).copied())
            .filter(|asset| !self.found.contains_key(asset));
        let asset = match candidate {
            Some(asset) if self.continues(asset, host) => {
                if bound != Some(asset) {
                    let basis = Some(Basis::Address(addr));
                    self.link(LinkAction::Link, Some(asset), None, basis, "asset.address-continues", &[]);
                }
                asset
            }
            _ => {
                if let Some(bound) = bound {
                    self.unbind(addr, bound, "asset.unbound-by-product");
                }
                let asset = self.new_asset();
                self.link(
                    LinkAction::Link,
                    Some(asset),
                    None,
                    Some(Basis::Address(addr)),
                    "asset.address",
                    &[],
                );
                asset
            }
        };
        self.found_asset(asset);
        self.place(addr, &BTreeSet::from([asset]));
    }

    /// Nothing contradicts that this host is still `asset`: not another product, and at least one
    /// service as before unless the product is known to be the same.
    fn continues(&self, asset: AssetId, host: &Host) -> bool {
        let Some(seen) = self.previous.sighting(asset) else { return true };
        match (&seen.product, &host.product) {
            (Some(before), Some(now)) => Names::same_product(before, now),
            _ => !seen.services.is_disjoint(&services([host].into_iter())),
        }
    }

    fn unbind(&mut self, addr: IpAddr, bound: AssetId, code: &str) {
        self.link(LinkAction::Unbind, Some(bound), None, Some(Basis::Address(addr)), code, &[]);
    }

    fn new_asset(&mut self) -> AssetId {
        let asset = (self.new_id)();
        self.found_asset(asset).is_new = true;
        asset
    }

    fn found_asset(&mut self, asset_id: AssetId) -> &mut ResolvedAsset {
        self.found.entry(asset_id).or_insert_with(|| ResolvedAsset {
            asset_id,
            endpoints: BTreeSet::new(),
            addrs: BTreeSet::new(),
            keys: Vec::new(),
            is_new: false,
            moved_from: BTreeSet::new(),
        })
    }

    /// The id under which `asset` continues, merges of this round included.
    fn current(&self, asset: AssetId) -> AssetId {
        let current = self.previous.current(asset);
        self.merged.get(&current).copied().unwrap_or(current)
    }

    /// Gives the endpoints of `addr` to the devices there: those with a key to its device, the
    /// others to the one last seen at this address, else the oldest.
    fn place(&mut self, addr: IpAddr, distinct: &BTreeSet<AssetId>) {
        let Some(host) = self.hosts.get(&addr) else { return };
        let keyed = |work: &Self, key: &DeviceKey| {
            distinct
                .iter()
                .copied()
                .find(|asset| work.found.get(asset).is_some_and(|found| found.keys.contains(key)))
        };
        let here: Vec<AssetId> = distinct
            .iter()
            .copied()
            .filter(|asset| host.keys().into_iter().any(|k| keyed(self, k) == Some(*asset)))
            .collect();
        let was_here =
            |asset: &AssetId| self.previous.sighting(*asset).is_some_and(|seen| seen.addrs.contains(&addr));
        let primary =
            here.iter().copied().find(was_here).or(here.first().copied()).or(distinct.first().copied());
        for service in host.answering() {
            let own = service.keys.iter().find_map(|key| keyed(self, key));
            if let Some(asset) = own.or(primary) {
                self.endpoints.insert(service.endpoint, asset);
                let found = self.found_asset(asset);
                found.endpoints.insert(service.endpoint);
                found.addrs.insert(addr);
            }
        }
    }

    fn finish(mut self) -> Resolution {
        let mut sightings = BTreeMap::new();
        for found in self.found.values_mut() {
            found.keys.sort();
            found.keys.dedup();
            let before = self.previous.sighting(found.asset_id);
            if let Some(before) = before.filter(|before| before.addrs.is_disjoint(&found.addrs)) {
                found.moved_from.clone_from(&before.addrs);
            }
            let at = |addr: &IpAddr| self.hosts.get(addr);
            let product = found.addrs.iter().filter_map(at).find_map(|host| host.product.clone());
            let own = |service: &(Endpoint, String)| found.endpoints.contains(&service.0);
            let services = found
                .addrs
                .iter()
                .filter_map(at)
                .flat_map(spoken)
                .filter(own)
                .map(|(endpoint, protocol)| (endpoint.port, protocol))
                .collect();
            let sighting = Sighting {
                time: self.now,
                survey_id: self.survey_id,
                addrs: found.addrs.clone(),
                // A product once known is not forgotten because a round did not show it.
                product: product.or_else(|| before.and_then(|before| before.product.clone())),
                services,
            };
            sightings.insert(found.asset_id, sighting);
        }
        Resolution {
            assets: self.found.into_values().collect(),
            endpoints: self.endpoints,
            links: self.links,
            sightings,
            shared: self.shared,
        }
    }
}

/// The device last seen at each address.
fn last_at(previous: &AssetLinks) -> BTreeMap<IpAddr, AssetId> {
    let mut sightings: Vec<_> =
        previous.sightings().iter().map(|(asset, seen)| (seen.time, *asset, &seen.addrs)).collect();
    sightings.sort_by_key(|(time, asset, _)| (*time, *asset));
    let mut last = BTreeMap::new();
    for (_, asset, addrs) in sightings {
        for addr in addrs.iter().filter(|_| previous.current(asset) == asset) {
            last.insert(*addr, asset);
        }
    }
    last
}

fn spoken(host: &Host) -> impl Iterator<Item = (Endpoint, String)> {
    host.answering().filter_map(|service| Some((service.endpoint, service.protocol.clone()?)))
}

fn services<'a>(hosts: impl Iterator<Item = &'a Host>) -> BTreeSet<(u16, String)> {
    hosts.flat_map(spoken).map(|(endpoint, protocol)| (endpoint.port, protocol)).collect()
}
