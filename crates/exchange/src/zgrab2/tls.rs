//! TLS sessions as zcrypto logs them: `handshake_log`.

use kenshin_observation::protocol::Tls;
use serde_json::{Value, json};

use super::{at, certificate, ciphers};
use crate::import::Scribe;

/// Versions: ours (OpenSSL's), zcrypto's, number.
const VERSIONS: &[(&str, &str, u16)] = &[
    ("SSLv3", "SSLv3", 0x0300),
    ("TLSv1", "TLSv1.0", 0x0301),
    ("TLSv1.1", "TLSv1.1", 0x0302),
    ("TLSv1.2", "TLSv1.2", 0x0303),
    ("TLSv1.3", "TLSv1.3", 0x0304),
];

/// `{"handshake_log": …}` of a session.
pub(super) fn told(tls: &Tls) -> Value {
    let version = VERSIONS.iter().find(|(ours, ..)| *ours == tls.version);
    let version = version.map(|(_, name, value)| json!({ "name": name, "value": value }));
    let suite = ciphers::iana(&tls.cipher);
    let suite =
        suite.map(|(name, value)| json!({ "hex": format!("0x{value:04X}"), "name": name, "value": value }));
    // A suite that has no number here still has its name.
    let named = (!tls.cipher.is_empty()).then(|| json!({ "name": tls.cipher }));
    json!({ "handshake_log": {
        "server_hello": { "version": version, "cipher_suite": suite.or(named) },
        "server_certificates": { "certificate": certificate::told(tls) },
    }})
}

/// The session that a `handshake_log` tells of, and its certificate; `None` when it got nowhere.
pub(super) fn heard(scribe: &Scribe, log: &Value) -> Option<(Tls, Option<Vec<u8>>)> {
    let handshake = log["handshake_log"].as_object()?;
    let hello = handshake.get("server_hello").unwrap_or(&Value::Null);
    let leaf = at(handshake.get("server_certificates").unwrap_or(&Value::Null), &["certificate"]);
    if hello.is_null() && leaf.is_null() {
        return None;
    }
    // In TLS 1.3 the negotiated version stands in an extension (RFC 8446 §4.1.3).
    let extended = at(hello, &["supported_versions", "selected_version"]);
    let version = if extended.is_null() { &hello["version"] } else { extended };
    let known =
        version["value"].as_u64().and_then(|value| VERSIONS.iter().find(|(.., of)| u64::from(*of) == value));
    let text = |value: &Value| value.as_str().map(|text| scribe.said(text.as_bytes())).unwrap_or_default();
    let suite = &hello["cipher_suite"];
    let mut tls = Tls {
        version: known.map_or_else(|| text(&version["name"]), |(ours, ..)| (*ours).to_owned()),
        cipher: match suite["value"].as_u64().and_then(ciphers::openssl) {
            Some(name) => name.to_owned(),
            None => text(&suite["name"]),
        },
        ..Tls::default()
    };
    let der = certificate::heard(scribe, leaf, &mut tls);
    Some((tls, der))
}
