//! SSH that protects nobody: too old, or with nothing better than what is broken.

use kenshin_observation::protocol::Ssh;
use kenshin_observation::{AssetId, Evidence, Finding, FindingKind, Observation, Remedy};

use super::{Draft, by_port, evidence};
use crate::cryptography::ssh_weaknesses;

/// One finding for each endpoint, with every reason.
pub(super) fn of(asset_id: AssetId, observation: &Observation) -> Option<Finding> {
    let weak = ssh_weaknesses(observation.records.ssh.as_deref()?);
    let severity = weak.iter().map(|weak| weak.severity).max()?;
    let evidence: Vec<Evidence> =
        weak.iter().map(|weak| evidence(observation, weak.field, &weak.value)).collect();
    let reasons: Vec<String> = weak.into_iter().map(|weak| weak.reason).collect();
    let draft = Draft {
        asset_id,
        kind: FindingKind::WeakSsh,
        observation,
        severity,
        remedy: Remedy::Update,
        confidence: 95,
        discriminator: by_port(observation.subject),
        code: "finding.weak-ssh".to_owned(),
        args: vec![("reasons", reasons.join(", "))],
        evidence,
        snapshots: Vec::new(),
    };
    Some(draft.finish())
}

/// Whether one conversation shows weak SSH; `None` when it broke off before it could tell.
pub(crate) fn told(ssh: &Ssh) -> Option<bool> {
    let weak = !ssh_weaknesses(ssh).is_empty();
    (weak || (!ssh.kex.is_empty() && ssh.host_key_bits.is_some())).then_some(weak)
}
