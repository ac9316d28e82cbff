//! TLS that protects nobody: too old, too weak, or out of date. That a certificate is signed by
//! itself is by itself no weakness of a device.

use std::collections::BTreeMap;

use kenshin_observation::{
    AssetId, Endpoint, Evidence, Finding, FindingKind, Observation, Remedy, Severity, TimeUs, protocol::Tls,
};

use super::{Draft, by_port, evidence};

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
        // The best version that any conversation reached is what the service can do; certificates
        // are judged as last seen.
        let Some((best, best_session)) =
            sessions.iter().filter_map(|(o, tls)| Some((version(&tls.version)?, *o))).max_by_key(|(v, _)| *v)
        else {
            continue;
        };
        let Some((last, tls)) = sessions.iter().max_by_key(|(observation, _)| observation.time).copied()
        else {
            continue;
        };
        let mut reasons: Vec<(String, Evidence)> = Vec::new();
        if best < (1, 2) {
            let negotiated = best_session.records.tls.as_ref().map_or("", |tls| tls.version.as_str());
            reasons.push((
                format!("{negotiated} (< TLSv1.2)"),
                evidence(best_session, "tls.version", negotiated),
            ));
        }
        reasons.extend(
            certificate(tls, now)
                .into_iter()
                .map(|(reason, field, value)| (reason, evidence(last, field, &value))),
        );
        if reasons.is_empty() {
            continue;
        }
        let (reasons, evidence): (Vec<String>, Vec<Evidence>) = reasons.into_iter().unzip();
        let draft = Draft {
            asset_id,
            kind: FindingKind::BrokenTls,
            observation: last,
            severity: Severity::Medium,
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

/// What is wrong with the key, the signature and the dates: reason, field and value.
fn certificate(tls: &Tls, now: TimeUs) -> Vec<(String, &'static str, String)> {
    let mut wrong = Vec::new();
    if let (Some(algorithm), Some(bits)) = (&tls.key_algorithm, tls.key_bits) {
        let least = match algorithm.to_ascii_lowercase().as_str() {
            "rsa" | "dsa" => Some(2048),
            "ec" => Some(224),
            _ => None,
        };
        if let Some(least) = least.filter(|least| bits > 0 && bits < *least) {
            let name = algorithm.to_uppercase();
            wrong.push((format!("{name} {bits} (< {least})"), "tls.key_bits", bits.to_string()));
        }
    }
    // A device's certificate that signed itself is a leaf as well, no root somebody keeps.
    if let Some(signature) = &tls.signature_algorithm {
        let lower = signature.to_ascii_lowercase();
        if ["md2", "md4", "md5", "sha1"].iter().any(|weak| lower.contains(weak)) {
            wrong.push((signature.clone(), "tls.signature_algorithm", signature.clone()));
        }
    }
    if let Some(end) = tls.not_after_us.map(TimeUs::from_micros).filter(|end| *end < now) {
        wrong.push((format!("notAfter {end}"), "tls.not_after", end.to_string()));
    }
    if let Some(start) = tls.not_before_us.map(TimeUs::from_micros).filter(|start| *start > now) {
        wrong.push((format!("notBefore {start}"), "tls.not_before", start.to_string()));
    }
    wrong
}

/// `TLSv1.1` is (1, 1); SSL is older than any TLS.
fn version(text: &str) -> Option<(u8, u8)> {
    match text {
        "SSLv2" | "SSLv3" => Some((0, 0)),
        "TLSv1" | "TLSv1.0" => Some((1, 0)),
        "TLSv1.1" => Some((1, 1)),
        "TLSv1.2" => Some((1, 2)),
        "TLSv1.3" => Some((1, 3)),
        _ => None,
    }
}
