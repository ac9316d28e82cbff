//! A service that asks for user name and password, seen the same way whatever its protocol.

use std::future::Future;

use kenshin_observation::Outcome;
use kenshin_wire::telnet;
use tokio::net::TcpStream;

use super::Entry;
use super::attempts::Verdict;
use crate::probe::conversation::{Lines, NoConnection};
use crate::probe::session::{Heard, Metered, Session};
use crate::probe::{Connect, ProbeResult};
use crate::tls::{Offer, establish};

/// Most bytes read to decide on one attempt.
pub(super) const DECISION_BYTES_MAX: usize = 512;

/// Most attempts over one connection: below what servers of today count as an attack.
pub(super) const ATTEMPTS_PER_CONNECTION: u32 = 3;

/// Why no pair can be sent now.
#[derive(Debug)]
pub(super) enum NotReady {
    /// The host no longer takes our connections, or ends them at once.
    TurnedAway,
    /// It wants us to wait.
    Delayed,
    /// Anything else.
    Other {
        /// `limited` or `error`.
        outcome: Outcome,
        /// Its code.
        reason: String,
    },
}

impl NotReady {
    pub(super) fn limited(reason: &str) -> Self {
        Self::Other { outcome: Outcome::Limited, reason: reason.to_owned() }
    }

    /// From an ending before anything was asked.
    pub(super) fn ending(ending: &Heard) -> Self {
        match ending {
            Heard::Closed | Heard::Reset => Self::TurnedAway,
            _ => Self::limited(ending.reason()),
        }
    }
}

impl From<NoConnection> for NotReady {
    fn from(none: NoConnection) -> Self {
        match none.outcome {
            Outcome::Refused => Self::TurnedAway,
            outcome => Self::Other { outcome, reason: none.reason },
        }
    }
}

/// Whether the words of a service say that it defends itself.
pub(super) fn defence(words: &str) -> Option<Verdict> {
    telnet::defence(words).map(|word| match word {
        telnet::Outcome::Delayed => Verdict::Delayed,
        _ => Verdict::LockedOut,
    })
}

/// One service.
pub(super) trait Door: Send {
    /// Reaches the point where the pair of `entry` can be sent, over the open connection or a new
    /// one.
    fn ready(&mut self, entry: &Entry) -> impl Future<Output = Result<(), NotReady>> + Send;

    /// Sends the pair. Called once after each successful [`Door::ready`].
    fn attempt(&mut self, entry: &Entry) -> impl Future<Output = Verdict> + Send;

    /// Adds to `result` what the connections know.
    fn sign(&self, result: &mut ProbeResult);

    /// Logs out and closes.
    fn leave(self) -> impl Future<Output = ()> + Send;
}

/// A session, plain or inside TLS.
pub(super) enum AnySession {
    Plain(Session<TcpStream>),
    Tls(Box<Session<tokio_openssl::SslStream<Metered<TcpStream>>>>),
}

/// Runs the same expression on either kind of session.
macro_rules! on_session {
    ($any:expr, $session:ident => $body:expr) => {
        match $any {
            $crate::credential::door::AnySession::Plain($session) => $body,
            $crate::credential::door::AnySession::Tls($session) => $body,
        }
    };
}
pub(super) use on_session;

impl AnySession {
    /// Opens a connection, with TLS inside when the handshake found it.
    pub(super) async fn open<C: Connect>(lines: &mut Lines<'_, C>, tls: bool) -> Result<Self, NotReady> {
        let session = lines.open().await?;
        if !tls {
            return Ok(Self::Plain(session));
        }
        match establish(session, Offer::All, &lines.settings.limits).await {
            Ok(established) => Ok(Self::Tls(Box::new(established.session))),
            Err(failure) if failure.first.is_empty() && failure.reason == "closed" => {
                Err(NotReady::TurnedAway)
            }
            Err(_) => Err(NotReady::limited("tls")),
        }
    }

    pub(super) async fn hear(&mut self, wait: std::time::Duration) -> Heard {
        on_session!(self, session => session.hear(wait).await)
    }

    pub(super) async fn say(&mut self, bytes: &[u8]) -> Result<(), Heard> {
        on_session!(self, session => session.say(bytes).await)
    }

    pub(super) fn limit_bytes(&mut self, bytes: usize) {
        on_session!(self, session => session.limit_bytes(bytes));
    }

    pub(super) async fn part(self, last: &[u8]) {
        match self {
            Self::Plain(session) => session.part(last).await,
            Self::Tls(session) => session.part(last).await,
        }
    }
}
