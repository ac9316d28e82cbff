//! Requests of sensors, signed with their own keys: HTTP Message Signatures (RFC 9421) in one fixed
//! form, so that there is nothing to negotiate and no secret to steal from either side.
//!
//! ```text
//! Content-Digest: sha-256=:…:                                                       (RFC 9530)
//! Signature-Input: kenshin=("@method" "@path" "@query" "content-digest");created=…;nonce="…";keyid="…";alg="ed25519";tag="kenshin-sensor"
//! Signature: kenshin=:…:
//! ```
//!
//! The signature covers method, path, query and the digest of the body as it travels. It counts
//! within [`WINDOW_S`] of its time, and once: the hub remembers each nonce for as long. Host and
//! scheme are left out, because a proxy in front of the hub may change them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::Signature;
use kenshin_observation::{SensorId, TimeUs};
use kenshin_survey::sensor::SensorIdentity;
use sha2::{Digest, Sha256};

/// Seconds by which the clocks of sensor and hub may differ.
pub const WINDOW_S: i64 = 120;

const LABEL: &str = "kenshin=";
const COMPONENTS: &str = r#"("@method" "@path" "@query" "content-digest")"#;
const TAIL: &str = r#";alg="ed25519";tag="kenshin-sensor""#;

/// A sensor's public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyingKey(ed25519_dalek::VerifyingKey);

impl VerifyingKey {
    /// Reads 64 hexadecimal digits; `None` when they are no key that may be trusted.
    pub fn read(text: &str) -> Option<Self> {
        let bytes: [u8; 32] = hex::decode(text).ok()?.try_into().ok()?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(&bytes).ok()?;
        (!key.is_weak()).then_some(Self(key))
    }

    /// As batches are verified with.
    pub(crate) fn inner(&self) -> &ed25519_dalek::VerifyingKey {
        &self.0
    }
}

impl From<&SensorIdentity> for VerifyingKey {
    fn from(sensor: &SensorIdentity) -> Self {
        Self(sensor.public_key())
    }
}

/// What of a request is signed.
#[derive(Debug, Clone, Copy)]
pub struct Covered<'a> {
    /// `GET`, `POST` …
    pub method: &'a str,
    /// Path, as sent.
    pub path: &'a str,
    /// Query without its question mark.
    pub query: Option<&'a str>,
    /// Value of the Content-Digest header.
    pub content_digest: &'a str,
}

/// Headers of a signed request.
#[derive(Debug, Clone)]
pub struct SignedHeaders {
    /// Signature-Input.
    pub input: String,
    /// Signature.
    pub signature: String,
}

/// Why a request is not one of the sensor's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFault {
    /// Not in the form above.
    #[error("the signature headers are not in the form that sensors use")]
    Form,
    /// The body is another one.
    #[error("the body is not the one that was signed")]
    Body,
    /// Not signed by the sensor's key.
    #[error("the signature is not the sensor's")]
    Key,
    /// The clocks differ too much, or somebody sends an old request again.
    #[error("the signature was made at another time: set both clocks, they may differ by {WINDOW_S} s")]
    Time,
}

/// Value of the Content-Digest header of a body.
pub fn content_digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(body)))
}

/// Holds a body against the digest that was signed.
pub fn check_body(content_digest: &str, body: &[u8]) -> Result<(), SignatureFault> {
    if content_digest == self::content_digest(body) { Ok(()) } else { Err(SignatureFault::Body) }
}

/// Signs a request. `nonce` is drawn at the edge for each.
pub fn sign(identity: &SensorIdentity, covered: Covered<'_>, now: TimeUs, nonce: u128) -> SignedHeaders {
    let created = now.micros().div_euclid(1_000_000);
    let params = params(created, &format!("{nonce:032x}"), identity.id);
    let signature = identity.sign(base(covered, &params).as_bytes());
    SignedHeaders {
        input: format!("{LABEL}{params}"),
        signature: format!("{LABEL}:{}:", STANDARD.encode(signature)),
    }
}

/// What the headers of a request claim; nothing of it is believed before [`Claim::verify`].
#[derive(Debug, Clone)]
pub struct Claim {
    /// Who says to have signed.
    pub sensor: SensorId,
    /// Drawn for this request alone.
    pub nonce: String,
    created: i64,
    signature: Signature,
}

impl Claim {
    /// Reads the two headers.
    pub fn read(input: &str, signature: &str) -> Result<Self, SignatureFault> {
        let read = || {
            let rest = input.strip_prefix(LABEL)?.strip_prefix(COMPONENTS)?.strip_suffix(TAIL)?;
            let (created, rest) = rest.strip_prefix(";created=")?.split_once(";nonce=\"")?;
            let (nonce, rest) = rest.split_once("\";keyid=\"")?;
            let sensor: SensorId = rest.strip_suffix('"')?.parse().ok()?;
            let created: i64 = created.parse().ok()?;
            let plain = nonce.len() == 32 && nonce.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            let signature = signature.strip_prefix(LABEL)?.strip_prefix(':')?.strip_suffix(':')?;
            let signature = Signature::from_slice(&STANDARD.decode(signature).ok()?).ok()?;
            let claim = Self { sensor, nonce: nonce.to_owned(), created, signature };
            // One text for one claim: what does not come out as it went in is not in the form.
            (plain && input[LABEL.len()..] == claim.params()).then_some(claim)
        };
        read().ok_or(SignatureFault::Form)
    }

    /// Believes the claim, or says why not. The nonce is the caller's to spend, and the body, which
    /// need not be read for a stranger, to be held against its digest ([`check_body`]).
    pub fn verify(
        &self,
        key: &VerifyingKey,
        covered: Covered<'_>,
        now: TimeUs,
    ) -> Result<(), SignatureFault> {
        let base = base(covered, &self.params());
        key.0.verify_strict(base.as_bytes(), &self.signature).map_err(|_| SignatureFault::Key)?;
        let apart = now.micros().div_euclid(1_000_000).saturating_sub(self.created);
        if apart.saturating_abs() > WINDOW_S { Err(SignatureFault::Time) } else { Ok(()) }
    }

    /// From when on the time of the request refuses it, so that its nonce may be forgotten.
    pub fn ends_at(&self) -> TimeUs {
        TimeUs::from_micros(self.created.saturating_add(WINDOW_S + 1).saturating_mul(1_000_000))
    }

    fn params(&self) -> String {
        params(self.created, &self.nonce, self.sensor)
    }
}

fn params(created: i64, nonce: &str, sensor: SensorId) -> String {
    format!("{COMPONENTS};created={created};nonce=\"{nonce}\";keyid=\"{sensor}\"{TAIL}")
}

/// The signature base of RFC 9421 §2.5.
fn base(covered: Covered<'_>, params: &str) -> String {
    format!(
        "\"@method\": {}\n\"@path\": {}\n\"@query\": ?{}\n\"content-digest\": {}\n\"@signature-params\": {params}",
        covered.method,
        covered.path,
        covered.query.unwrap_or_default(),
        covered.content_digest,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: TimeUs = TimeUs::from_secs(1_790_000_000);
    const BODY: &[u8] = b"{\"hello\": \"world\"}";

    fn identity(seed: u8) -> SensorIdentity {
        SensorIdentity::from_seed(NOW, [seed; 32])
    }

    fn covered<'a>(path: &'a str, digest: &'a str) -> Covered<'a> {
        Covered { method: "POST", path, query: Some("a=1"), content_digest: digest }
    }

    /// The digest of RFC 9530, appendix B, and RFC 9421's example body.
    #[test]
    fn the_digest_is_that_of_the_rfc() {
        assert_eq!(content_digest(BODY), "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:");
    }

    #[test]
    fn a_request_counts_as_it_was_signed_and_not_otherwise() {
        let digest = content_digest(BODY);
        let headers = sign(&identity(1), covered("/a", &digest), NOW, 7);
        let claim = Claim::read(&headers.input, &headers.signature).unwrap();
        assert_eq!(claim.sensor, identity(1).id);
        let key = VerifyingKey::read(&identity(1).public_key_hex()).unwrap();
        let verify = |covered: Covered<'_>, now| claim.verify(&key, covered, now);
        assert_eq!(verify(covered("/a", &digest), NOW), Ok(()));
        assert_eq!(verify(covered("/b", &digest), NOW), Err(SignatureFault::Key));
        let other = content_digest(b"other");
        assert_eq!(verify(covered("/a", &other), NOW), Err(SignatureFault::Key));
        assert_eq!(check_body(&digest, BODY), Ok(()));
        assert_eq!(check_body(&digest, b"other"), Err(SignatureFault::Body));
        let get = Covered { method: "GET", ..covered("/a", &digest) };
        assert_eq!(verify(get, NOW), Err(SignatureFault::Key));
        let bare = Covered { query: None, ..covered("/a", &digest) };
        assert_eq!(verify(bare, NOW), Err(SignatureFault::Key));
        for (apart, expected) in [
            (WINDOW_S, Ok(())),
            (-WINDOW_S, Ok(())),
            (WINDOW_S + 1, Err(SignatureFault::Time)),
            (-WINDOW_S - 1, Err(SignatureFault::Time)),
        ] {
            assert_eq!(verify(covered("/a", &digest), NOW.plus_secs(apart)), expected, "{apart}");
        }
        assert!(
            claim.ends_at() > NOW.plus_secs(WINDOW_S),
            "a nonce is kept for as long as its request counts"
        );
        let stranger = VerifyingKey::read(&identity(2).public_key_hex()).unwrap();
        assert_eq!(claim.verify(&stranger, covered("/a", &digest), NOW), Err(SignatureFault::Key));
    }

    #[test]
    fn keys_that_anybody_could_sign_for_are_refused() {
        assert_eq!(VerifyingKey::read(&"00".repeat(32)), None);
        assert_eq!(VerifyingKey::read("ab"), None);
        assert_eq!(VerifyingKey::read("not hexadecimal"), None);
    }

    #[test]
    fn every_other_form_is_refused() {
        let digest = content_digest(BODY);
        let good = sign(&identity(1), covered("/a", &digest), NOW, 7);
        for (from, to) in [
            ("kenshin=", "sig1="),
            (r#" "content-digest""#, ""),
            ("created=", "created=+"),
            ("created=1", "created=01"),
            ("ed25519", "none"),
            ("kenshin-sensor", "other"),
            ("nonce=\"0", "nonce=\"G"),
            ("nonce=\"00", "nonce=\""),
            ("keyid=\"", "keyid=\"x"),
        ] {
            let input = good.input.replacen(from, to, 1);
            assert_ne!(input, good.input, "{from}");
            assert_eq!(Claim::read(&input, &good.signature).unwrap_err(), SignatureFault::Form, "{input}");
        }
        for signature in ["", "kenshin=::", "kenshin=:AAAA:", "kenshin=!", "\u{0}"] {
            assert_eq!(Claim::read(&good.input, signature).unwrap_err(), SignatureFault::Form);
        }
    }
}
