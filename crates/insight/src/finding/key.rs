//! Keys that are not their device's own: whoever has one device of the kind, or its firmware, can
//! pretend to be any other and listen to what it says.

use std::collections::BTreeMap;

use kenshin_observation::{
    AssetId, DeviceKey, DeviceKeyKind, Finding, FindingKind, Observation, Remedy, Severity,
};

use super::{Draft, by_port, evidence};
use crate::asset::{Sharing, keys};
use crate::decoy::of_devices;

/// Findings of keys that others have too, by how far the round saw each spread
/// ([`crate::asset::sharing`]).
pub fn shared_keys(
    asset_id: AssetId,
    observations: &[&Observation],
    sharing: &BTreeMap<DeviceKey, Sharing>,
) -> Vec<Finding> {
    let mut found: BTreeMap<String, Finding> = BTreeMap::new();
    for observation in of_devices(observations) {
        for key in keys(observation) {
            let Some(spread) = sharing.get(&key).filter(|_| is_devices(&key, observation)) else { continue };
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
                severity: Severity::Medium,
                remedy: Remedy::Update,
                confidence: 95,
                discriminator: by_port(observation.subject),
                code: "finding.shared-key".to_owned(),
                args: vec![
                    ("addresses", spread.addresses.to_string()),
                    ("networks", spread.networks.to_string()),
                ],
                evidence: vec![evidence(observation, field, &key.value)],
                snapshots: Vec::new(),
            };
            let finding = draft.finish();
            found.entry(finding.key.clone()).or_insert(finding);
        }
    }
    found.into_values().collect()
}

/// A certificate that an authority signed may stand on all of its owner's servers.
fn is_devices(key: &DeviceKey, observation: &Observation) -> bool {
    key.kind == DeviceKeyKind::SshHostKey
        || observation.records.tls.as_ref().is_some_and(|tls| tls.self_signed == Some(true))
}
