//! Probes over UDP: questions of one datagram each, and answers believed only when they come from
//! the address and port asked and repeat what was asked with.
//!
//! The port chooses what is asked, and nothing else: whatever comes back is read by every codec
//! there is, and a protocol that shows itself is then asked as it likes. Every question is an
//! exchange of its own, for which [`Datagrams`] asks a permit; it is put twice at most. At a
//! [`ProbeSettings::listen_only`] port nothing happens at all, because to ask is to speak.
//!
//! An answer may refer to more (LOCATION of SSDP, XAddrs of WS-Discovery). That is fetched over TCP
//! at the same address alone, by a permit that [`Connect`] asks for.

mod asking;
mod channel;
mod controller;
mod place;
mod question;
mod record;

use std::collections::BTreeSet;
use std::future::Future;

use kenshin_observation::{Check, Endpoint, Outcome};

use self::asking::Asking;
pub use self::channel::Channel;
pub(crate) use self::channel::{Dialogue, Ending};
use self::question::Spoken;
pub(crate) use self::question::number;
use super::{Connect, ConnectError, ProbeResult, ProbeSettings};

/// How often one question is put: datagrams get lost.
const ASKS_MAX: u32 = 2;

/// Opens exchanges over UDP for a probe. The engine implements it: every call asks the mandate's
/// gate for a permit of its own and keeps the rates.
pub trait Datagrams: Send + Sync {
    /// A channel to `endpoint`, for an exchange of class `check`.
    fn open(
        &self,
        endpoint: Endpoint,
        check: Check,
    ) -> impl Future<Output = Result<Channel, ConnectError>> + Send;
}

/// Probes a UDP `endpoint` and returns one result per check performed, in this order:
///
/// - `handshake` when granted, but at the port of BACnet;
/// - `anonymous-login` when granted and the service speaks SNMP, or may by its port: the community
///   `public`;
/// - `reflector` when granted and the service speaks NTP, DNS or SSDP, or may by its port: what it
///   tells anybody, and how much more that is than was asked;
/// - `ics-identity` when granted, at the port of BACnet.
///
/// At a listen-only port there is one result, `limited`, and nothing was sent.
pub async fn probe(
    endpoint: Endpoint,
    datagrams: &impl Datagrams,
    connect: &impl Connect,
    settings: &ProbeSettings,
) -> Vec<ProbeResult> {
    if settings.listen_only {
        let silent = |check| ProbeResult::new(check, Outcome::Limited, Some("listen-only"));
        return first_check(endpoint.port, &settings.granted).map(silent).into_iter().collect();
    }
    let granted = |check| settings.granted.contains(&check);
    let begin = |check| Asking::new(endpoint, check, datagrams, settings);
    let mut results = Vec::new();
    let mut spoken = question::expected(endpoint.port);
    if granted(Check::Handshake) && !question::order(endpoint.port).is_empty() {
        let mut asking = begin(Check::Handshake);
        asking.shake_hands().await;
        asking.follow(connect).await;
        spoken = asking.spoken.or(spoken);
        results.push(asking.finish());
    }
    if granted(Check::AnonymousLogin) && spoken == Some(Spoken::Snmp) {
        let known = results.iter().any(|result| result.records.snmp.is_some());
        let mut asking = begin(Check::AnonymousLogin);
        asking.name_the_public_community(known).await;
        let login = asking.finish();
        if login.protocol.is_some() {
            results.iter_mut().for_each(|handshake| spoke_later(handshake, &login));
        }
        results.push(login);
    }
    if granted(Check::Reflector)
        && let Some(questions) =
            spoken.and_then(|s| question::reflecting(s, settings.recursion_zone.as_ref()))
    {
        let known = results.iter().any(|result| result.protocol.as_deref() == Some("ntp"));
        let mut asking = begin(Check::Reflector);
        asking.measure(&questions, known).await;
        results.push(asking.finish());
    }
    if granted(Check::IcsIdentity) && spoken == Some(Spoken::Bacnet) {
        let mut asking = begin(Check::IcsIdentity);
        asking.identify_controller().await;
        results.push(asking.finish());
    }
    results
}

/// The first check that [`probe`] makes at a port when these are granted; `None` when it makes none.
pub fn first_check(port: u16, granted: &BTreeSet<Check>) -> Option<Check> {
    let spoken = question::expected(port);
    let fits = |check: &Check| match check {
        Check::Handshake => !question::order(port).is_empty(),
        Check::AnonymousLogin => spoken == Some(Spoken::Snmp),
        Check::Reflector => spoken.is_some_and(|spoken| question::reflecting(spoken, None).is_some()),
        Check::IcsIdentity => spoken == Some(Spoken::Bacnet),
        Check::Sweep | Check::Banner | Check::CredentialCheck => false,
    };
    [Check::Handshake, Check::AnonymousLogin, Check::Reflector, Check::IcsIdentity]
        .into_iter()
        .find(|check| granted.contains(check) && fits(check))
}

/// A service that kept silent to the handshake, as agents without SNMPv3 do, and then spoke.
fn spoke_later(handshake: &mut ProbeResult, login: &ProbeResult) {
    if handshake.protocol.is_none() {
        handshake.outcome = Outcome::Answered;
        handshake.reason = None;
        handshake.protocol.clone_from(&login.protocol);
    }
}
