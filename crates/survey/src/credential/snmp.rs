//! SNMP communities: one GetRequest of sysObjectID for each, in one datagram that is never repeated.
//!
//! An agent that does not know a community keeps silent. So does a network that loses a datagram: what is
//! lost is taken for a no, because to ask again would be a second attempt.

use kenshin_observation::{Check, Endpoint};
use kenshin_wire::snmp::{self, Answer, Version};

use super::Entry;
use super::attempts::Verdict;
use super::door::{DECISION_BYTES_MAX, Door, NotReady};
use crate::probe::conversation::NoConnection;
use crate::probe::datagram::{Channel, Datagrams, Dialogue, Ending, number};
use crate::probe::{Limits, ProbeResult, ProbeSettings};

/// An agent that says no instead of nothing (RFC 3416 §3).
const AUTHORIZATION_ERROR: i64 = 16;

pub(super) struct SnmpDoor<'a, D> {
    endpoint: Endpoint,
    datagrams: &'a D,
    settings: &'a ProbeSettings,
    version: Version,
    open: Option<Channel>,
    used: u32,
    vantage: Option<std::net::SocketAddr>,
}

impl<'a, D: Datagrams> SnmpDoor<'a, D> {
    /// An agent that was heard to speak `version`, or any.
    pub(super) fn new(
        endpoint: Endpoint,
        version: &str,
        datagrams: &'a D,
        settings: &'a ProbeSettings,
    ) -> Self {
        let version = if version == "1" { Version::V1 } else { Version::V2c };
        Self { endpoint, datagrams, settings, version, open: None, used: 0, vantage: None }
    }

    /// Hears until the answer to `request` comes, or nothing more.
    async fn hear(&self, dialogue: &mut Dialogue, request: i32) -> Verdict {
        loop {
            let answer = match dialogue.hear(self.settings.limits.answer).await {
                Ok(bytes) => snmp::parse(&bytes),
                Err(Ending::Silent) => return Verdict::Rejected,
                Err(ending) => return Verdict::Unclear(ending.reason()),
            };
            match answer {
                Ok(Answer::Response(response)) if response.request_id == i64::from(request) => {
                    // Whatever else the agent says of the object, it says to those who name the community.
                    return match response.error_status {
                        AUTHORIZATION_ERROR => Verdict::Rejected,
                        _ => Verdict::Accepted,
                    };
                }
                _ => {}
            }
        }
    }
}

impl<D: Datagrams> Door for SnmpDoor<'_, D> {
    async fn ready(&mut self, _entry: &Entry) -> Result<(), NotReady> {
        if self.open.is_none() {
            let opened = self.datagrams.open(self.endpoint, Check::CredentialCheck).await;
            let channel = opened.map_err(|error| NotReady::from(NoConnection::from(error)))?;
            self.used += 1;
            self.vantage = channel.local_addr().or(self.vantage);
            self.open = Some(channel);
        }
        Ok(())
    }

    async fn attempt(&mut self, entry: &Entry) -> Verdict {
        let Some(channel) = self.open.take() else { return Verdict::Unclear("closed") };
        let request = number(channel.nonce());
        let limits = Limits { bytes_max: DECISION_BYTES_MAX, ..self.settings.limits };
        let mut dialogue = Dialogue::new(channel, &limits);
        match dialogue.say(&snmp::identify(self.version, &entry.password, request)).await {
            Ok(()) => self.hear(&mut dialogue, request).await,
            Err(ending) => Verdict::Unclear(ending.reason()),
        }
    }

    fn sign(&self, result: &mut ProbeResult) {
        result.vantage = self.vantage;
        result.connections = self.used;
    }

    async fn leave(self) {}
}
