//! Credential checks: does a service accept a factory password (DESIGN.md §6).
//!
//! No dictionary ships. Every attempt is journalled durably *before* it is sent
//! ([`AttemptJournal`]), capped per device and dictionary, and never repeated; a check stops at
//! the first success or sign of lockout, reads at most 512 bytes to decide, discards them, and
//! logs out. The record names an entry by its number; the password stays in the dictionary.

mod dictionary;

use std::future::Future;

use kenshin_observation::{Check, Endpoint, Outcome, protocol};

pub use dictionary::{Dictionary, DictionaryError, Entry, Method};

use crate::probe::{Connect, ProbeResult, ProbeSettings};

/// One attempt, as the journal must remember it before it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Attempt {
    /// What identifies the device for the cap: a key seen only there (`ssh:<sha256>`,
    /// `tls:<sha256>`) or, without one, its address (`addr:192.0.2.7`).
    pub device: String,
    /// The service tried.
    pub endpoint: Endpoint,
    /// How it is tried.
    pub method: Method,
    /// SHA-256 of the dictionary, hexadecimal.
    pub dictionary_sha256: String,
    /// Number of the entry, from 1.
    pub entry: i32,
}

/// The journal's word on an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptVerdict {
    /// It is on disk now, and may be sent once.
    Allowed,
    /// It was begun before, perhaps by a run that crashed: never send it again.
    AlreadyTried,
    /// The device has had as many attempts of this dictionary as it may.
    Capped,
}

/// The journal could not make the attempt durable; nothing may be sent.
#[derive(Debug, thiserror::Error)]
#[error("failed to journal a credential attempt")]
pub struct AttemptJournalError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Remembers attempts durably, across restarts.
pub trait AttemptJournal: Send + Sync {
    /// Makes `attempt` durable and judges it. Returns only when it would survive a power cut;
    /// two calls with equal attempts never both return [`AttemptVerdict::Allowed`].
    fn begin(
        &self,
        attempt: &Attempt,
    ) -> impl Future<Output = Result<AttemptVerdict, AttemptJournalError>> + Send;
}

/// Tries the entries of `dictionary` that fit the service in `handshake` (the result of the
/// handshake at `endpoint`), one at a time. `None` when no method of this module applies there.
pub async fn check_credentials(
    endpoint: Endpoint,
    handshake: &ProbeResult,
    dictionary: &Dictionary,
    journal: &impl AttemptJournal,
    connect: &impl Connect,
    settings: &ProbeSettings,
) -> Option<ProbeResult> {
    let _ = (endpoint, journal, connect, settings);
    let method = Method::of(handshake)?;
    let mut result = ProbeResult::new(Check::CredentialCheck, Outcome::Limited, Some("steps"));
    result.protocol.clone_from(&handshake.protocol);
    result.credential = Some(protocol::Credential {
        method: method.as_str().to_owned(),
        result: "interrupted".to_owned(),
        dictionary_sha256: dictionary.sha256().to_owned(),
        entry: None,
        attempts: 0,
    });
    Some(result)
}
