//! Certificates as zcrypto parses them: `raw` and `parsed`.

use base64::Engine;
use kenshin_observation::TimeUs;
use kenshin_observation::protocol::{LIST_MAX, TEXT_MAX, Tls};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{at, name};
use crate::import::Scribe;

/// Signature algorithms: OpenSSL's long name, zcrypto's name, object identifier.
const SIGNATURES: &[(&str, &str, &str)] = &[
    ("md2WithRSAEncryption", "MD2-RSA", "1.2.840.113549.1.1.2"),
    ("md5WithRSAEncryption", "MD5-RSA", "1.2.840.113549.1.1.4"),
    ("sha1WithRSAEncryption", "SHA1-RSA", "1.2.840.113549.1.1.5"),
    ("sha256WithRSAEncryption", "SHA256-RSA", "1.2.840.113549.1.1.11"),
    ("sha384WithRSAEncryption", "SHA384-RSA", "1.2.840.113549.1.1.12"),
    ("sha512WithRSAEncryption", "SHA512-RSA", "1.2.840.113549.1.1.13"),
    ("dsaWithSHA1", "DSA-SHA1", "1.2.840.10040.4.3"),
    ("dsa_with_SHA256", "DSA-SHA256", "2.16.840.1.101.3.4.3.2"),
    ("ecdsa-with-SHA1", "ECDSA-SHA1", "1.2.840.10045.4.1"),
    ("ecdsa-with-SHA256", "ECDSA-SHA256", "1.2.840.10045.4.3.2"),
    ("ecdsa-with-SHA384", "ECDSA-SHA384", "1.2.840.10045.4.3.3"),
    ("ecdsa-with-SHA512", "ECDSA-SHA512", "1.2.840.10045.4.3.4"),
    ("ED25519", "Ed25519", "1.3.101.112"),
];

/// Kinds of keys: ours, zcrypto's name, and the member that holds the key.
const KEYS: &[(&str, &str, &str)] = &[
    ("rsa", "RSA", "rsa_public_key"),
    ("ec", "ECDSA", "ecdsa_public_key"),
    ("ed25519", "Ed25519", "ed25519_public_key"),
    ("dsa", "DSA", "dsa_public_key"),
];

/// The leaf certificate of a session; `Null` when it showed none.
pub(super) fn told(tls: &Tls) -> Value {
    let names = |wanted: bool| -> Vec<&String> {
        let is_address = |name: &&String| name.parse::<std::net::IpAddr>().is_ok() == wanted;
        tls.alternative_names.iter().filter(is_address).collect()
    };
    let mut key = json!({ "fingerprint_sha256": tls.public_key_sha256 });
    if let Some(kind) = &tls.key_algorithm {
        let (_, theirs, member) =
            KEYS.iter().find(|(ours, ..)| ours == kind).copied().unwrap_or(("", kind, "key"));
        key["key_algorithm"] = json!({ "name": theirs });
        // An Ed25519 key has one length, which zcrypto does not state.
        if kind != "ed25519" {
            key[member] = json!({ "length": tls.key_bits });
        }
    }
    let validity = tls.not_before_us.zip(tls.not_after_us).map(|(from, to)| {
        let second = |us: i64| TimeUs::from_secs(us.div_euclid(1_000_000)).to_string();
        json!({ "start": second(from), "end": second(to), "length": (to - from).div_euclid(1_000_000) })
    });
    json!({ "parsed": {
        "serial_number": tls.serial.as_deref().and_then(decimal),
        "signature_algorithm": tls.signature_algorithm.as_deref().map(signature),
        "issuer": tls.issuer.as_deref().map(name::structure),
        "issuer_dn": tls.issuer.as_deref().map(name::theirs),
        "validity": validity,
        "subject": tls.subject.as_deref().map(name::structure),
        "subject_dn": tls.subject.as_deref().map(name::theirs),
        "subject_key_info": key,
        "extensions": { "subject_alt_name": { "dns_names": names(false), "ip_addresses": names(true) } },
        "signature": { "self_signed": tls.self_signed },
        "fingerprint_sha256": tls.certificate_sha256,
    }})
}

/// Fills the record by what is said of the certificate; returns the certificate itself.
pub(super) fn heard(scribe: &Scribe, certificate: &Value, tls: &mut Tls) -> Option<Vec<u8>> {
    let raw = certificate["raw"].as_str();
    let der = raw.and_then(|raw| base64::engine::general_purpose::STANDARD.decode(raw).ok());
    let parsed = &certificate["parsed"];
    let text = |value: &Value| value.as_str().map(|text| scribe.said(text.as_bytes()));
    tls.certificate_sha256 = match &der {
        Some(der) => Some(hex::encode(Sha256::digest(der))),
        None => text(&parsed["fingerprint_sha256"]),
    };
    let key = &parsed["subject_key_info"];
    tls.public_key_sha256 = text(&key["fingerprint_sha256"]);
    // Names are cut before they are turned: theirs may be longer than a record's text.
    let dn =
        |value: &Value| text(value).map(|text| name::ours(&text)).map(|text| scribe.said(text.as_bytes()));
    tls.subject = dn(&parsed["subject_dn"]);
    tls.issuer = dn(&parsed["issuer_dn"]);
    tls.serial = parsed["serial_number"].as_str().and_then(hexadecimal);
    let names = &parsed["extensions"]["subject_alt_name"];
    let names = ["dns_names", "ip_addresses"].iter().filter_map(|kind| names[*kind].as_array()).flatten();
    tls.alternative_names = names.filter_map(text).take(LIST_MAX).collect();
    let time = |value: &Value| value.as_str()?.parse::<TimeUs>().ok().map(TimeUs::micros);
    tls.not_before_us = time(at(parsed, &["validity", "start"]));
    tls.not_after_us = time(at(parsed, &["validity", "end"]));
    let kind = at(key, &["key_algorithm", "name"]);
    let known = kind.as_str().and_then(|name| KEYS.iter().find(|(_, theirs, _)| *theirs == name));
    tls.key_algorithm = known.map(|(ours, ..)| (*ours).to_owned()).or_else(|| text(kind));
    tls.key_bits = match known {
        Some(("ed25519", ..)) => Some(256),
        Some((.., member)) => at(key, &[member, "length"]).as_i64().and_then(|bits| i32::try_from(bits).ok()),
        None => None,
    };
    let algorithm = at(parsed, &["signature_algorithm", "name"]);
    let ours = algorithm.as_str().and_then(|name| SIGNATURES.iter().find(|(_, theirs, _)| *theirs == name));
    tls.signature_algorithm = ours.map(|(ours, ..)| (*ours).to_owned()).or_else(|| text(algorithm));
    tls.self_signed = at(parsed, &["signature", "self_signed"]).as_bool();
    der
}

fn signature(ours: &str) -> Value {
    match SIGNATURES.iter().find(|(name, ..)| *name == ours) {
        Some((_, theirs, oid)) => json!({ "name": theirs, "oid": oid }),
        None => json!({ "name": ours }),
    }
}

/// A serial number in decimal, of any length that a record can hold.
fn decimal(hexadecimal: &str) -> Option<String> {
    convert(hexadecimal, 16, 10)
}

/// A serial number in hexadecimal, of an even number of digits.
fn hexadecimal(decimal: &str) -> Option<String> {
    let digits = convert(decimal, 10, 16)?;
    Some(if digits.len() % 2 == 1 { format!("0{digits}") } else { digits })
}

/// Digits of a number in another base; `None` when they are none.
fn convert(digits: &str, from: u32, to: u32) -> Option<String> {
    if digits.is_empty() || digits.len() > TEXT_MAX {
        return None;
    }
    // The least digit first.
    let mut number: Vec<u32> = Vec::new();
    for digit in digits.chars() {
        let mut carry = digit.to_digit(from)?;
        for place in &mut number {
            let value = *place * from + carry;
            (*place, carry) = (value % to, value / to);
        }
        while carry > 0 {
            number.push(carry % to);
            carry /= to;
        }
    }
    let digits: String = number.iter().rev().filter_map(|digit| char::from_digit(*digit, to)).collect();
    Some(if digits.is_empty() { "0".to_owned() } else { digits })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn serial_numbers_in_both_bases() {
        assert_eq!(decimal("d359b8b41668919f").as_deref(), Some("15229406698539618719"));
        assert_eq!(hexadecimal("10").as_deref(), Some("0a"));
        assert_eq!((hexadecimal("0").as_deref(), decimal("00").as_deref()), (Some("00"), Some("0")));
        assert_eq!((decimal(""), hexadecimal("-1"), decimal(&"f".repeat(600))), (None, None, None));
    }

    proptest! {
        #[test]
        fn a_serial_number_comes_back(number: u128) {
            let hex = hexadecimal(&number.to_string()).unwrap();
            prop_assert_eq!(u128::from_str_radix(&hex, 16), Ok(number));
            prop_assert_eq!(decimal(&hex), Some(number.to_string()));
        }
    }
}
