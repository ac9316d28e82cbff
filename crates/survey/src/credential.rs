//! Credential checks: does a service accept a factory password (DESIGN.md §6).
//!
//! No dictionary ships. Every attempt is journalled durably *before* it is sent
//! ([`AttemptJournal`]), capped per device and dictionary, and never repeated; a check stops at
//! the first success or sign of lockout, reads at most 512 bytes to decide, discards them, and
//! logs out. The record names an entry by its number; the password stays in the dictionary.

mod attempts;
mod dictionary;
mod door;
mod form;
mod ftp;
mod http;
mod recipe;
mod requests;
mod snmp;
mod ssh;
mod telnet;

use std::future::Future;

use kenshin_observation::{Check, Endpoint};

pub use dictionary::{Dictionary, DictionaryError, Entry, Method};
pub use recipe::{RecipeError, Recipes};

use self::door::Door;
use self::form::FormDoor;
use self::ftp::FtpDoor;
use self::http::HttpDoor;
use self::requests::Requests;
use self::snmp::SnmpDoor;
use self::ssh::SshDoor;
use self::telnet::TelnetDoor;
use crate::probe::conversation::Lines;
use crate::probe::datagram::Datagrams;
use crate::probe::{Connect, ProbeResult, ProbeSettings};

/// One attempt, as the journal must remember it before it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Attempt {
    /// What identifies the device for the cap: its address (`addr:192.0.2.7`). Not a key it shows:
    /// whole models share keys, and the first of them would use up the attempts of all.
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
    /// It was begun before by a run that was stopped or crashed: never send it again, nor any other in
    /// this survey, for nobody knows how it ended.
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
/// handshake at `endpoint`), one at a time. `None` when the check is not granted there, no method of
/// this module applies or no entry fits.
pub async fn check_credentials(
    endpoint: Endpoint,
    handshake: &ProbeResult,
    dictionary: &Dictionary,
    journal: &impl AttemptJournal,
    connect: &(impl Connect + Datagrams),
    settings: &ProbeSettings,
) -> Option<ProbeResult> {
    if settings.listen_only || !settings.granted.contains(&Check::CredentialCheck) {
        return None;
    }
    let recipes = dictionary.recipes();
    let method = Method::of(handshake, recipes)?;
    let evidence = evidence(handshake);
    let entries: Vec<(i32, &Entry)> =
        (1..).zip(dictionary.entries()).filter(|(_, entry)| entry.fits(method, &evidence)).collect();
    if entries.is_empty() {
        return None;
    }
    let settings = &ProbeSettings { limits: attempts::patient(&settings.limits), ..settings.clone() };
    let lines = Lines::new(endpoint, Check::CredentialCheck, None, connect, settings);
    let tls = handshake.records.tls.is_some();
    let tries = Tries { endpoint, method, dictionary, entries: &entries, journal };
    let mut result = match method {
        Method::Telnet => tries.at(TelnetDoor::new(lines, tls)).await,
        Method::Ftp => tries.at(FtpDoor::new(lines, tls)).await,
        Method::HttpBasic | Method::HttpDigest => {
            let redirected = handshake.records.http.as_ref().and_then(|http| http.redirected_to.clone());
            let path = redirected.unwrap_or_else(|| "/".to_owned());
            tries.at(HttpDoor::new(Requests::new(lines, tls), path, method)).await
        }
        Method::Rtsp => {
            let path = recipes.stream(&evidence).to_owned();
            tries.at(HttpDoor::new(Requests::new(lines, tls), path, method)).await
        }
        Method::HttpForm => {
            let page = handshake.records.http.as_ref()?;
            tries.at(FormDoor::new(Requests::new(lines, tls), recipes.form(page, &evidence)?)).await
        }
        Method::Snmp => {
            let version = handshake.records.snmp.as_ref().map_or("", |snmp| snmp.version.as_str());
            tries.at(SnmpDoor::new(endpoint, version, connect, settings)).await
        }
        Method::Ssh => tries.at(SshDoor::new(lines)).await,
    };
    result.protocol.clone_from(&handshake.protocol);
    Some(result)
}

/// What credentials are checked by: the handshake, and of an agent what it told in the public community
/// (the anonymous `login`). An agent without version 3 says nothing before that, and no agent says of what
/// make it is.
pub(crate) fn introduced(handshake: &ProbeResult, login: Option<&ProbeResult>) -> ProbeResult {
    let mut introduced = handshake.clone();
    let told = login.and_then(|login| login.records.snmp.as_ref());
    if let Some(told) = told.filter(|told| told.community_accepted == Some(true)) {
        introduced.records.snmp = Some(told.clone());
    }
    introduced
}

struct Tries<'a, J> {
    endpoint: Endpoint,
    method: Method,
    dictionary: &'a Dictionary,
    entries: &'a [(i32, &'a Entry)],
    journal: &'a J,
}

impl<J: AttemptJournal> Tries<'_, J> {
    async fn at(self, mut door: impl Door) -> ProbeResult {
        let ended =
            attempts::run(&mut door, self.endpoint, self.method, self.dictionary, self.entries, self.journal)
                .await;
        let mut result = ended.result(self.method, self.dictionary);
        door.sign(&mut result);
        door.leave().await;
        result
    }
}

/// The service's own words, in lower case, against which vendor and product of an entry are held.
fn evidence(handshake: &ProbeResult) -> String {
    let mut words: Vec<&str> = Vec::new();
    if let Some(http) = &handshake.records.http {
        words.extend(
            [&http.server, &http.title, &http.www_authenticate, &http.powered_by]
                .into_iter()
                .flatten()
                .map(String::as_str),
        );
    }
    if let Some(tls) = &handshake.records.tls {
        words.extend(tls.subject.as_deref());
    }
    words.extend(handshake.records.ssh.as_ref().map(|ssh| ssh.banner.as_str()));
    words.extend(handshake.records.telnet.as_ref().map(|telnet| telnet.text.as_str()));
    words.extend(handshake.records.ftp.as_ref().map(|ftp| ftp.banner.as_str()));
    if let Some(rtsp) = &handshake.records.rtsp {
        words.extend([&rtsp.server, &rtsp.www_authenticate].into_iter().flatten().map(String::as_str));
    }
    if let Some(snmp) = &handshake.records.snmp {
        words.extend([&snmp.sys_descr, &snmp.sys_name].into_iter().flatten().map(String::as_str));
    }
    words.join("\n").to_lowercase()
}

#[cfg(test)]
mod tests;
