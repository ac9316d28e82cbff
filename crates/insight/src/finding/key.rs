//! Keys that are not their device's own: whoever has one device of the kind, or its firmware, can
//! pretend to be any other and listen to what it says.

use std::collections::BTreeMap;

use kenshin_observation::{
    AssetId, DeviceKey, DeviceKeyKind, Finding, FindingKind, Observation, Remedy, Severity,
};

use super::{Draft, by_port, evidence};
use crate::asset::{Sharing, keys, own_keys};
use crate::decoy::of_devices;
use crate::intelligence::Intelligence;

/// Findings of keys that others have too: those that a list says everybody can have, and those that
/// the round saw spread ([`crate::asset::sharing`]).
pub fn shared_keys(
    asset_id: AssetId,
    observations: &[&Observation],
    sharing: &BTreeMap<DeviceKey, Sharing>,
    intelligence: &Intelligence,
) -> Vec<Finding> {
    let mut found: BTreeMap<String, Finding> = BTreeMap::new();
    for observation in of_devices(observations) {
        let own = own_keys(observation);
        for key in keys(observation) {
            let known = intelligence.known_key(&key);
            let spread = sharing.get(&key).filter(|_| own.contains(&key));
            let (severity, code, args, snapshots) = match (known, spread) {
                (Some((known, snapshot)), _) => {
                    let args = vec![("label", known.label.clone())];
                    (Severity::High, "finding.shared-key.known", args, vec![snapshot])
                }
                (None, Some(spread)) => {
                    let (addresses, networks) = (spread.addresses.to_string(), spread.networks.to_string());
                    let args = vec![("addresses", addresses), ("networks", networks)];
                    (Severity::Medium, "finding.shared-key", args, Vec::new())
                }
                (None, None) => continue,
            };
            let field = match key.kind {
                DeviceKeyKind::SshHostKey => "ssh.host_key_sha256",
                DeviceKeyKind::TlsPublicKey => "tls.public_key_sha256",
                // No secrets belong to these.
                DeviceKeyKind::SerialNumber | DeviceKeyKind::MacAddress => continue,
            };
            let draft = Draft {
                asset_id,
                kind: FindingKind::SharedKey,
                observation,
                severity,
                remedy: Remedy::Update,
                confidence: 95,
                discriminator: by_port(observation.subject),
                code: code.to_owned(),
                args,
                evidence: vec![evidence(observation, field, &key.value)],
                snapshots,
            };
            let finding = draft.finish();
            found.entry(finding.key.clone()).or_insert(finding);
        }
    }
    found.into_values().collect()
}
