//! Weaknesses on assets, with evidence and an explanation.
//!
//! [`findings`] joins what one asset showed in one round, what it was identified as and what is
//! known about weaknesses. The same weakness on the same asset has the same key in every round.
//! What is not known is no finding: a version that cannot be compared, a CVE without versions, a
//! page that may be a public website.
//!
//! ```
//! use kenshin_insight::{finding::findings, intelligence::Intelligence};
//! use kenshin_observation::{AssetId, Identity, TimeUs};
//! let now = TimeUs::from_secs(1_800_000_000);
//! assert!(findings(AssetId::new(now, 1), &[], &Identity::default(), &Intelligence::default(), now).is_empty());
//! ```

mod admin;
mod component;
pub(crate) mod exposure;
mod key;
mod known;
mod service;
pub(crate) mod ssh;
mod tls;

use std::collections::BTreeMap;

use kenshin_observation::{
    AssetId, DeviceType, Endpoint, Evidence, Explanation, Finding, FindingKind, Identity, Observation,
    Remedy, Severity, TimeUs,
};
use sha2::{Digest, Sha256};

use crate::decoy::of_devices;
use crate::intelligence::Intelligence;

pub use key::shared_keys;
pub(crate) use known::{Conclusion, is_distribution, names_distribution};

/// Longest value kept as evidence, in bytes.
const VALUE_MAX: usize = 200;

/// Everything that is wrong with one asset, given its observations of one round. With a decoy at its
/// address nothing is wrong.
pub fn findings(
    asset_id: AssetId,
    observations: &[&Observation],
    identity: &Identity,
    intelligence: &Intelligence,
    now: TimeUs,
) -> Vec<Finding> {
    let devices = of_devices(observations);
    let distribution = is_distribution(&devices);
    let conclusions = conclusions(identity, distribution, intelligence, now);
    findings_by(asset_id, &devices, identity, &conclusions, now)
}

/// Everything that follows from what a host is by today's knowledge; `distribution` tells whether it
/// names one ([`is_distribution`]).
pub(crate) fn conclusions(
    identity: &Identity,
    distribution: bool,
    intelligence: &Intelligence,
    now: TimeUs,
) -> Vec<Conclusion> {
    let mut found = known::conclusions(identity, distribution, intelligence, now);
    found.extend(component::conclusions(identity, distribution, intelligence, now));
    found
}

/// The same with the conclusions at hand that follow from the identity, and without decoys.
pub(crate) fn findings_by(
    asset_id: AssetId,
    observations: &[&Observation],
    identity: &Identity,
    conclusions: &[Conclusion],
    now: TimeUs,
) -> Vec<Finding> {
    let mut found = BTreeMap::new();
    for observation in observations {
        for finding in service::of(asset_id, observation, identity) {
            keep(&mut found, finding);
        }
        for finding in exposure::of(asset_id, observation) {
            keep(&mut found, finding);
        }
        if let Some(finding) = ssh::of(asset_id, observation) {
            keep(&mut found, finding);
        }
    }
    for finding in tls::of(asset_id, observations, now) {
        keep(&mut found, finding);
    }
    for finding in conclusions.iter().filter_map(|conclusion| conclusion.on(asset_id, observations)) {
        keep(&mut found, finding);
    }
    let mut found: Vec<Finding> = found.into_values().collect();
    found.sort_by(|a, b| (a.endpoint, a.kind, &a.key).cmp(&(b.endpoint, b.kind, &b.key)));
    found
}

/// Several rows may show one weakness: their evidence is joined.
fn keep(found: &mut BTreeMap<String, Finding>, finding: Finding) {
    match found.get_mut(&finding.key) {
        Some(held) => {
            for evidence in finding.evidence {
                if !held.evidence.contains(&evidence) {
                    held.evidence.push(evidence);
                }
            }
        }
        None => {
            found.insert(finding.key.clone(), finding);
        }
    }
}

/// Message code of why a weakness matters.
pub fn why_code(kind: FindingKind) -> String {
    format!("why.{kind}")
}

/// Message codes of what an owner does, the most fitting first: for the type of device, then for
/// any. Callers take the first that their catalogue has.
pub fn remedy_codes(remedy: Remedy, device_type: Option<DeviceType>) -> Vec<String> {
    let fitting = device_type.map(|device| format!("remedy.{remedy}.{device}"));
    fitting.into_iter().chain([format!("remedy.{remedy}")]).collect()
}

/// What a rule states; [`Draft::finish`] makes it a finding.
pub(crate) struct Draft<'a> {
    pub(crate) asset_id: AssetId,
    pub(crate) kind: FindingKind,
    pub(crate) observation: &'a Observation,
    pub(crate) severity: Severity,
    pub(crate) remedy: Remedy,
    pub(crate) confidence: u8,
    /// What tells findings of one kind on one asset apart.
    pub(crate) discriminator: String,
    pub(crate) code: String,
    pub(crate) args: Vec<(&'static str, String)>,
    pub(crate) evidence: Vec<Evidence>,
    pub(crate) snapshots: Vec<String>,
}

impl Draft<'_> {
    pub(crate) fn finish(mut self) -> Finding {
        assert!(!self.evidence.is_empty(), "a finding without evidence is a bug of its rule");
        let endpoint = self.observation.subject;
        self.args.push(("port", endpoint.port.to_string()));
        let args = self.args.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Finding {
            key: key(self.asset_id, self.kind, &self.discriminator),
            asset_id: self.asset_id,
            kind: self.kind,
            endpoint,
            severity: self.severity,
            remedy: self.remedy,
            time: self.observation.time,
            confidence: self.confidence,
            explanation: Explanation { code: self.code, args },
            evidence: self.evidence,
            snapshots: self.snapshots,
            priority: None,
        }
    }
}

/// The stable key: SHA-256 over asset, kind and what tells findings of the kind apart.
fn key(asset_id: AssetId, kind: FindingKind, discriminator: &str) -> String {
    let mut hash = Sha256::new_with_prefix(b"kenshin-finding-v1\0");
    for part in [asset_id.to_string().as_str(), kind.as_str(), discriminator] {
        hash.update(part);
        hash.update([0]);
    }
    hex::encode(hash.finalize())
}

/// Findings of a service are told apart by their endpoint's port.
pub(crate) fn by_port(endpoint: Endpoint) -> String {
    format!("{}/{}", endpoint.port, endpoint.transport)
}

pub(crate) fn evidence(observation: &Observation, field: &str, value: &str) -> Evidence {
    let mut cut = value.len().min(VALUE_MAX);
    while !value.is_char_boundary(cut) {
        cut -= 1;
    }
    Evidence {
        survey_id: observation.survey_id,
        endpoint: observation.subject,
        time: observation.time,
        field: field.to_owned(),
        value: value[..cut].to_owned(),
        blobs: observation.blobs.clone(),
    }
}
