//! Keys that many devices have.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use kenshin_observation::{DeviceKey, DeviceKeyKind, Observation};

use super::{Host, SHARED_ABOVE, keys, sharers};

/// Networks (/24, or /48 of IPv6) from which on addresses are hardly one owner's.
const NETWORKS_MIN: usize = 2;

/// How far a key is spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sharing {
    /// Addresses that showed it in the round.
    pub addresses: usize,
    /// Networks (/24, or /48 of IPv6) that these lie in.
    pub networks: usize,
}

/// Keys that devices of different owners show in a round: at more than [`SHARED_ABOVE`] addresses now
/// or, for those in `shared`, in an earlier round; and in several networks, because one owner may have
/// several addresses.
pub fn sharing(hosts: &BTreeMap<IpAddr, Host>, shared: &BTreeSet<DeviceKey>) -> BTreeMap<DeviceKey, Sharing> {
    let spread = sharers(hosts).into_iter().filter_map(|(key, addrs)| {
        let sharing = Sharing { addresses: addrs.len(), networks: networks(&addrs) };
        let many = addrs.len() > SHARED_ABOVE || shared.contains(&key);
        (many && sharing.networks >= NETWORKS_MIN).then_some((key, sharing))
    });
    spread.collect()
}

/// Keys of an observation that are to be their device's own: SSH host keys, and TLS keys of certificates
/// that signed themselves. One that an authority signed may stand on all servers of its owner.
pub(crate) fn own_keys(observation: &Observation) -> Vec<DeviceKey> {
    let self_signed = observation.records.tls.as_ref().is_some_and(|tls| tls.self_signed == Some(true));
    let mut keys = keys(observation);
    keys.retain(|key| match key.kind {
        DeviceKeyKind::SshHostKey => true,
        DeviceKeyKind::TlsPublicKey => self_signed,
        // No secrets belong to these.
        DeviceKeyKind::SerialNumber | DeviceKeyKind::MacAddress => false,
    });
    keys
}

/// True when a key at these addresses belongs to devices of different owners.
pub(crate) fn is_shared(addrs: &BTreeSet<IpAddr>) -> bool {
    addrs.len() > SHARED_ABOVE && networks(addrs) >= NETWORKS_MIN
}

fn networks(addrs: &BTreeSet<IpAddr>) -> usize {
    let network = |addr: &IpAddr| match addr {
        IpAddr::V4(addr) => u128::from(addr.to_bits() >> 8),
        IpAddr::V6(addr) => addr.to_bits() >> 80,
    };
    addrs.iter().map(network).collect::<BTreeSet<u128>>().len()
}
