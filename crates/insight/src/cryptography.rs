//! What a service's cryptography is worth: protocol version, algorithms, sizes, validity, and whether
//! it is ready for computers that break the key exchanges of today.
//!
//! [`Weak`] is one thing that is wrong, with the field that shows it. What was not measured is never
//! counted as good: [`Aspect`]s and [`Readiness`] know *not known*, and [`Census`] counts it apart.
//!
//! An old algorithm that is offered beside better ones weakens nobody who speaks to the service with
//! software of today, because SSH and TLS protect the choice; it is told apart
//! ([`obsolete_offers`]), and is wrong only where nothing better is offered.

mod census;
mod readiness;
mod ssh;
mod tls;

use kenshin_observation::protocol::Records;
use kenshin_observation::{Severity, TimeUs, words};

pub use census::{Census, Figures, Part, Subject};
pub use readiness::{Readiness, readiness};
pub use ssh::obsolete_offers;
pub(crate) use ssh::weaknesses as ssh_weaknesses;
pub(crate) use tls::{version, weaknesses as tls_weaknesses};

words!(
    /// A side of cryptography that is judged by itself.
    Aspect, "aspect of cryptography" {
        /// Version of the protocol: SSH 1, TLS below 1.2.
        Protocol = "protocol",
        /// Key exchange, cipher, MAC, signature.
        Algorithm = "algorithm",
        /// Size of the key and of the key exchange.
        Size = "size",
        /// Dates of the certificate.
        Validity = "validity",
    }
);

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weak {
    /// Which side.
    pub aspect: Aspect,
    /// How urgent.
    pub severity: Severity,
    /// What it is, in words of the protocol: `RSA 1024 (< 2048)`.
    pub reason: String,
    /// The field that shows it.
    pub field: &'static str,
    /// Its value.
    pub value: String,
}

impl Weak {
    fn new(
        aspect: Aspect,
        severity: Severity,
        reason: impl Into<String>,
        field: &'static str,
        value: impl Into<String>,
    ) -> Self {
        Self { aspect, severity, reason: reason.into(), field, value: value.into() }
    }
}

/// Everything that is wrong with the cryptography of one conversation, on `now`.
pub fn weaknesses(records: &Records, now: TimeUs) -> Vec<Weak> {
    let ssh = records.ssh.as_deref().map(ssh::weaknesses).unwrap_or_default();
    let tls = records.tls.as_deref().map(|tls| tls::weaknesses(tls, now)).unwrap_or_default();
    ssh.into_iter().chain(tls).collect()
}

/// The sides that one conversation tells about; `None` when it was neither SSH nor TLS.
pub fn measured(records: &Records) -> Option<Vec<Aspect>> {
    let ssh = records.ssh.as_deref().map(ssh::measured);
    let tls = records.tls.as_deref().map(tls::measured);
    match (ssh, tls) {
        (None, None) => None,
        (ssh, tls) => Some(ssh.into_iter().chain(tls).flatten().collect()),
    }
}

/// Least size that a key of an algorithm must have, in bits; `None` where the algorithm fixes it or
/// is not known.
fn least_bits(algorithm: &str) -> Option<i32> {
    match algorithm {
        "rsa" | "dsa" | "dh" => Some(2048),
        "ec" => Some(224),
        _ => None,
    }
}

/// A key that is too small.
fn small(algorithm: &str, bits: Option<i32>, field: &'static str) -> Option<Weak> {
    let (bits, least) = (bits.filter(|bits| *bits > 0)?, least_bits(algorithm)?);
    let reason = format!("{} {bits} (< {least})", algorithm.to_uppercase());
    (bits < least).then(|| Weak::new(Aspect::Size, Severity::Medium, reason, field, bits.to_string()))
}
