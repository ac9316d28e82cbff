//! TLS that protects nobody: too old, too weak, or out of date. That a certificate is signed by
//! itself is by itself no weakness of a device.

use std::collections::BTreeMap;

use kenshin_observation::{
    AssetId, Endpoint, Evidence, Finding, FindingKind, Observation, Remedy, Severity, TimeUs, protocol::Tls,
};

use super::{Draft, by_port, evidence};
use crate::cryptography::{Aspect, Weak, tls_weaknesses, version};

/// One finding for each endpoint, with every reason.
pub(super) fn of(asset_id: AssetId, observations: &[&Observation], now: TimeUs) -> Vec<Finding> {
    let mut by_endpoint: BTreeMap<Endpoint, Vec<(&Observation, &Tls)>> = BTreeMap::new();
    for observation in observations {
        if let Some(tls) = &observation.records.tls {
            by_endpoint.entry(observation.subject).or_default().push((observation, tls));
        }
    }
    let mut found = Vec::new();
    for sessions in by_endpoint.values() {
        // The best version that any conversation reached is what the service can do, with the suite it
        // chose there; certificates are judged as last seen.
        let Some((_, best, best_tls)) = sessions
            .iter()
            .filter_map(|(o, tls)| Some((version(&tls.version)?, *o, *tls)))
            .max_by_key(|(version, ..)| *version)
        else {
            continue;
        };
        let Some((last, tls)) = sessions.iter().max_by_key(|(observation, _)| observation.time).copied()
        else {
            continue;
        };
        let reasons = |observation: &Observation, tls: &Tls, wanted: fn(&Weak) -> bool| {
            let weak = tls_weaknesses(tls, now).into_iter().filter(wanted);
            weak.map(|weak| (weak.severity, weak.reason, evidence(observation, weak.field, &weak.value)))
                .collect::<Vec<_>>()
        };
        let mut wrong = reasons(best, best_tls, of_session);
        wrong.extend(reasons(last, tls, |weak| !of_session(weak)));
        let severity = wrong.iter().map(|(severity, ..)| *severity).max().unwrap_or(Severity::Low);
        if wrong.is_empty() {
            continue;
        }
        let (reasons, evidence): (Vec<String>, Vec<Evidence>) =
            wrong.into_iter().map(|(_, reason, evidence)| (reason, evidence)).unzip();
        let draft = Draft {
            asset_id,
            kind: FindingKind::BrokenTls,
            observation: last,
            severity,
            remedy: Remedy::Update,
            confidence: 95,
            discriminator: by_port(last.subject),
            code: "finding.broken-tls".to_owned(),
            args: vec![("reasons", reasons.join(", "))],
            evidence,
            snapshots: Vec::new(),
        };
        found.push(draft.finish());
    }
    found
}

/// True for what the handshake negotiated; the rest is the certificate's.
fn of_session(weak: &Weak) -> bool {
    weak.aspect == Aspect::Protocol || matches!(weak.field, "tls.cipher" | "tls.dh_bits")
}
