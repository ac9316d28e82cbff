//! The mandate: a document that authorises measurement, read into a type whose existence proves
//! that it is well-formed.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::Deref;

use ed25519_dalek::VerifyingKey;
use kenshin_observation::{Check, Prefix, SensorId, TimeUs};
use sha2::{Digest, Sha256};

use crate::ports::Ports;
use crate::{AddressSet, Invalid, Windows};

mod document;
mod targets;

pub use targets::{ENUMERABLE_V6_MAX, NotEnumerable};

/// Version of the mandate format written today.
pub const SCHEMA_VERSION: i64 = 1;

/// Bytes of a mandate text that are read at most.
pub const TEXT_BYTES_MAX: usize = 64 << 20;

/// Highest rate that can be written: far above what a line carries.
pub(crate) const RATE_MAX: u32 = 1_000_000_000;

/// A mandate that is well-formed: every term was read and checked. It authorises nothing until
/// its signatures are verified ([`crate::VerifiedMandate`]).
///
/// Its terms are read through [`Deref`]: `mandate.title`, `mandate.rate.whole_pps`.
#[derive(Debug, Clone, PartialEq)]
pub struct Mandate {
    terms: Terms,
    allowed: AddressSet,
    digest: String,
}

/// What a mandate says.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// Name of the mandate: lower-case letters, digits and hyphens.
    pub id: String,
    /// Counts its versions from 1.
    pub version: u32,
    /// The version it replaces.
    pub supersedes: Option<Supersedes>,
    /// Links the mandates of a programme over the years.
    pub programme: String,
    /// One line.
    pub title: String,
    /// Why it is measured.
    pub purpose: String,
    /// Principal in the trust roots that issues the mandate and its revocation lists.
    pub authority: String,
    /// How many distinct signers it needs, 1 or 2.
    pub signers_required: u8,
    /// Legal basis of each act.
    pub legal_basis: LegalBasis,
    /// First instant at which it holds.
    pub valid_from: TimeUs,
    /// First instant at which it no longer holds.
    pub valid_until: TimeUs,
    /// Hours at which it lets send.
    pub windows: Windows,
    /// Outer bound of what may ever be sent to, of any size.
    pub scope: AddressSet,
    /// Special-purpose space named explicitly.
    pub special_space: Vec<SpecialSpace>,
    /// What a survey enumerates, inside the scope; `None` when it is the whole scope.
    pub targets: Option<AddressSet>,
    /// What is left out of the scope, each with its reason.
    pub exclusions: Vec<Exclusion>,
    /// Ports granted.
    pub ports: Ports,
    /// Checks granted.
    pub checks: BTreeSet<Check>,
    /// Bytes of a body that may be kept.
    pub blob_bytes_max: u32,
    /// Rates.
    pub rate: Rate,
    /// Who answers for it.
    pub contacts: Contacts,
    /// Who observes, in the order of the text.
    pub sensors: Vec<Sensor>,
    /// Where its revocation list is and how fresh it must be.
    pub revocation: RevocationTerms,
}

/// A version of the same mandate that is replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supersedes {
    /// Its version.
    pub version: u32,
    /// SHA-256 of its text, hexadecimal.
    pub digest: String,
}

/// The legal basis of each act; an act without one is not authorised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegalBasis {
    /// To send and to keep what is answered.
    pub measure: String,
    /// To observe traffic.
    pub observe: Option<String>,
    /// To tell providers and owners.
    pub notify: Option<String>,
    /// To share with a community.
    pub share: Option<String>,
    /// To publish or give to researchers.
    pub release: Option<String>,
}

/// Special-purpose space that the mandate names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecialSpace {
    /// The space.
    pub prefixes: Vec<Prefix>,
    /// Why it is measured.
    pub reason: String,
}

/// Addresses that are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exclusion {
    /// The addresses.
    pub addresses: AddressSet,
    /// Why.
    pub reason: String,
}

/// Rates in probes; a probe is one new exchange (a SYN, a datagram, an echo request).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Probes per second of all sensors together.
    pub whole_pps: u32,
    /// Probes that may leave at once after a pause.
    pub whole_burst: u32,
    /// Limit for each prefix.
    pub per_prefix: PrefixRate,
    /// Limit for each address.
    pub per_address: AddressRate,
}

/// Limit for each prefix of a stated length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrefixRate {
    /// Length of IPv4 prefixes.
    pub v4_len: u8,
    /// Length of IPv6 prefixes.
    pub v6_len: u8,
    /// Probes per second.
    pub pps: u32,
    /// Probes that may leave at once.
    pub burst: u32,
}

/// Limit for each address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRate {
    /// Probes per minute.
    pub per_minute: u32,
    /// Probes that may leave at once.
    pub burst: u32,
}

/// Who answers for the measurement; shown to those who are measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contacts {
    /// Person or office.
    pub name: String,
    /// Electronic mail.
    pub email: String,
    /// Page that explains the measurement and takes opt-outs.
    pub web: Option<String>,
    /// Telephone.
    pub phone: Option<String>,
}

/// A process that observes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sensor {
    /// Its id.
    pub id: SensorId,
    /// Its name.
    pub name: String,
    /// Its own key.
    pub public_key: VerifyingKey,
    /// Addresses it sends from.
    pub source_addresses: Vec<IpAddr>,
    /// Its share of every rate and burst, in percent.
    pub share_percent: u8,
}

/// Where the revocation list is, and how fresh it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationTerms {
    /// Path or URL.
    pub list: String,
    /// Seconds after its issue for which a list lets send.
    pub max_age_s: u32,
}

impl Mandate {
    /// Reads a mandate. `file` names the text in messages.
    pub fn parse(file: &str, text: &str) -> Result<Self, Invalid> {
        let terms = document::read(file, text)?;
        let excluded: AddressSet = terms.exclusions.iter().map(|exclusion| &exclusion.addresses).collect();
        let allowed = terms.scope.minus(&excluded);
        Ok(Self { terms, allowed, digest: digest(text) })
    }

    /// SHA-256 of the text, hexadecimal: the name under which everything done under the mandate
    /// refers to it.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The scope without the exclusions: where sending is allowed.
    pub fn allowed(&self) -> &AddressSet {
        &self.allowed
    }

    /// True when the check is granted.
    pub fn grants(&self, check: Check) -> bool {
        self.terms.checks.contains(&check)
    }

    /// The sensor with this id.
    pub fn sensor(&self, id: SensorId) -> Option<&Sensor> {
        self.terms.sensors.iter().find(|sensor| sensor.id == id)
    }

    /// The text with which Kenshin introduces itself where a protocol has a place for it, such as
    /// the User-Agent of HTTP: what this is, who answers for it. One line of ASCII.
    pub fn introduction(&self) -> String {
        let ascii = |text: &str| text.chars().filter(|c| c.is_ascii_graphic()).collect::<String>();
        let contacts = &self.terms.contacts;
        let web = contacts.web.as_deref().map(|web| format!("; +{}", ascii(web))).unwrap_or_default();
        format!("Kenshin/1 (authorised security survey {}; {}{web})", self.terms.id, ascii(&contacts.email))
    }
}

impl Deref for Mandate {
    type Target = Terms;
    fn deref(&self) -> &Terms {
        &self.terms
    }
}

/// SHA-256 of a text, hexadecimal.
pub(crate) fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}
