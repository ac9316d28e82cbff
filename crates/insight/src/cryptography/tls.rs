//! TLS: what one handshake negotiated, and the certificate it showed.

use kenshin_observation::protocol::Tls;
use kenshin_observation::{Severity, TimeUs};

use super::{Aspect, Weak, least_bits, small};

/// Validity from which nobody can have meant it, in years.
const LIFETIME_YEARS_MAX: i64 = 30;

const YEAR_US: i64 = 31_557_600 * 1_000_000;

/// `99991231235959Z`: RFC 5280 §4.1.2.5 has it for certificates without an end, such as a device's
/// birth certificate.
const NO_END_US: i64 = 253_402_300_799 * 1_000_000;

pub(crate) fn weaknesses(tls: &Tls, now: TimeUs) -> Vec<Weak> {
    let mut weak: Vec<Weak> = protocol(tls).into_iter().collect();
    weak.extend(suite(tls));
    weak.extend(small("dh", tls.dh_bits, "tls.dh_bits"));
    let algorithm = tls.key_algorithm.as_deref().unwrap_or_default().to_ascii_lowercase();
    weak.extend(small(&algorithm, tls.key_bits, "tls.key_bits"));
    weak.extend(signature(tls));
    weak.extend(validity(tls, now));
    weak
}

pub(super) fn measured(tls: &Tls) -> Vec<Aspect> {
    let key = tls.key_algorithm.as_deref().unwrap_or_default().to_ascii_lowercase();
    let sized = tls.key_bits.is_some() || (least_bits(&key).is_none() && !key.is_empty());
    [
        (Aspect::Protocol, version(&tls.version).is_some()),
        (Aspect::Algorithm, !tls.cipher.is_empty()),
        (Aspect::Size, sized),
        (Aspect::Validity, tls.not_after_us.is_some()),
    ]
    .into_iter()
    .filter_map(|(aspect, measured)| measured.then_some(aspect))
    .collect()
}

fn protocol(tls: &Tls) -> Option<Weak> {
    let reason = format!("{} (< TLSv1.2)", tls.version);
    let weak = || Weak::new(Aspect::Protocol, Severity::Medium, reason, "tls.version", &tls.version);
    version(&tls.version).filter(|version| *version < (1, 2)).map(|_| weak())
}

/// The suite is the server's choice among all that we know.
fn suite(tls: &Tls) -> Vec<Weak> {
    let suite = tls.cipher.as_str();
    let weak = |severity, reason: String| Weak::new(Aspect::Algorithm, severity, reason, "tls.cipher", suite);
    let has = |parts: &[&str]| suite.split(['-', '_']).any(|part| parts.contains(&part));
    let mut found = Vec::new();
    if has(&["NULL", "EXP", "EXP1024", "EXPORT", "ADH", "AECDH", "anon"]) {
        found.push(weak(Severity::High, suite.to_owned()));
    } else if has(&["RC4", "RC2", "DES", "CBC3", "3DES", "IDEA", "MD5"]) {
        found.push(weak(Severity::Medium, suite.to_owned()));
    }
    if by_certificate(tls) {
        // RFC 9325 §4.1: whoever gets the key later reads what was said before.
        found.push(weak(Severity::Low, format!("{suite} (Kx=RSA)")));
    }
    found
}

/// The key was exchanged by the certificate's own, as OpenSSL's and IANA's names tell.
fn by_certificate(tls: &Tls) -> bool {
    let suite = tls.cipher.as_str();
    const KINDS: &[&str] = &["AES", "CAMELLIA", "ARIA", "DES", "RC4", "RC2", "IDEA", "SEED", "NULL", "EXP"];
    let openssl =
        || KINDS.iter().any(|kind| suite.strip_prefix(kind).is_some_and(|rest| !rest.starts_with('_')));
    let old = version(&tls.version).is_some_and(|version| version < (1, 3));
    old && (suite.starts_with("TLS_RSA_") || openssl())
}

/// A device's certificate that signed itself is a leaf as well, no root somebody keeps.
fn signature(tls: &Tls) -> Option<Weak> {
    let name = tls.signature_algorithm.as_ref()?;
    let lower = name.to_ascii_lowercase();
    let weak = ["md2", "md4", "md5", "sha1"].iter().any(|weak| lower.contains(weak));
    weak.then(|| Weak::new(Aspect::Algorithm, Severity::Medium, name, "tls.signature_algorithm", name))
}

fn validity(tls: &Tls, now: TimeUs) -> Vec<Weak> {
    let weak = |severity, reason: String, field, value: String| {
        Weak::new(Aspect::Validity, severity, reason, field, value)
    };
    let (start, end) = (tls.not_before_us, tls.not_after_us);
    let mut found = Vec::new();
    if let (Some(start), Some(end)) = (start, end) {
        let years = end.saturating_sub(start) / YEAR_US;
        let (from, to) = (TimeUs::from_micros(start).to_string(), TimeUs::from_micros(end).to_string());
        if end < start {
            let reason = format!("notAfter {to} < notBefore {from}");
            return vec![weak(Severity::Medium, reason, "tls.not_after", to)];
        }
        if years > LIFETIME_YEARS_MAX && end < NO_END_US {
            found.push(weak(Severity::Low, format!("notBefore {from}, notAfter {to}"), "tls.not_after", to));
        }
    }
    if let Some(end) = end.map(TimeUs::from_micros).filter(|end| *end < now) {
        found.push(weak(Severity::Medium, format!("notAfter {end}"), "tls.not_after", end.to_string()));
    }
    if let Some(start) = start.map(TimeUs::from_micros).filter(|start| *start > now) {
        found.push(weak(Severity::Medium, format!("notBefore {start}"), "tls.not_before", start.to_string()));
    }
    found
}

/// `TLSv1.1` is (1, 1); SSL is older than any TLS.
pub(crate) fn version(text: &str) -> Option<(u8, u8)> {
    match text {
        "SSLv2" | "SSLv3" => Some((0, 0)),
        "TLSv1" | "TLSv1.0" => Some((1, 0)),
        "TLSv1.1" => Some((1, 1)),
        "TLSv1.2" => Some((1, 2)),
        "TLSv1.3" => Some((1, 3)),
        _ => None,
    }
}
