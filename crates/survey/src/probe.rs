//! Probes: bounded conversations that recognise a protocol by how it behaves, never by its port.
//!
//! [`probe`] listens for what the service says by itself; when it is silent it asks, as HTTP, inside TLS,
//! as RTSP, RDP and so on, each on a connection of its own that [`Connect`] must permit. The port and what
//! other hosts of the run answered ([`Orders`]) only choose what is tried first. Logins without a secret
//! and commands to data stores happen only when [`Check::AnonymousLogin`] is granted, controllers are asked
//! only when [`Check::IcsIdentity`] is, and a [`ProbeSettings::listen_only`] port never gets a byte.
//!
//! Whatever the host does (speak forever, say one byte a minute, say nothing, send garbage) costs
//! at most [`Limits`]. Dropping the future aborts the open connection with a reset at once.

mod anonymous;
mod asking;
pub(crate) mod conversation;
pub mod datagram;
mod exchange;
pub(crate) mod greeting;
mod industrial;
mod limits;
mod order;
mod page;
mod record;
mod remote;
pub(crate) mod session;
mod stores;
mod tells;
pub(crate) mod web;

use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use kenshin_observation::protocol::Records;
use kenshin_observation::{Blob, Check, Endpoint, Observation, Outcome};
use kenshin_wire::dns::Name;
use tokio::net::TcpStream;

pub use limits::Limits;
pub use order::Orders;

/// Version of the probing method, for [`Observation::method_version`]; raised when the meaning
/// of a record changes. Since 2 an HTTP record is of the page that `/` redirects to at the same endpoint.
pub const METHOD_VERSION: i32 = 2;

/// Opens connections for a probe. The engine implements it: every call asks the mandate's gate
/// for a permit of its own and keeps the rates, so a probe asks as rarely as it can. At most one
/// stream of a probe is open at any time.
pub trait Connect: Send + Sync {
    /// A connected stream to `endpoint`, for an exchange of class `check`.
    fn connect(
        &self,
        endpoint: Endpoint,
        check: Check,
    ) -> impl Future<Output = Result<TcpStream, ConnectError>> + Send;
}

/// Why a probe got no further connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The mandate or a limit of ours said no; `reason` is the refusal's code, such as `rate` or
    /// `revoked`, and becomes the reason of a `limited` outcome.
    #[error("no permit: {reason}")]
    Refused {
        /// Code of the refusal.
        reason: String,
    },
    /// The host answered that nobody listens.
    #[error("connection refused by the host")]
    Closed,
    /// No answer in time.
    #[error("no answer to the connection attempt")]
    TimedOut,
    /// Anything else on the way.
    #[error("failed to connect")]
    Failed(#[source] io::Error),
}

/// How we introduce ourselves where a protocol has a place for it.
#[derive(Debug, Clone)]
pub struct Introduction {
    /// HTTP and RTSP `User-Agent`, with the mandate's contact, such as
    /// `Kenshin/0.1 (+https://example.jp/kenshin; kenshin@example.jp)`.
    pub user_agent: String,
    /// Contact mail address: password of anonymous FTP.
    pub contact: String,
    /// Name for EHLO, MQTT client id and the SSH identification comment: letters, digits, `-`
    /// and `.`, such as `kenshin.example.jp`.
    pub name: String,
}

/// What a probe may do and how it introduces itself.
#[derive(Debug, Clone)]
pub struct ProbeSettings {
    /// Bounds of every conversation.
    pub limits: Limits,
    /// Who we say we are.
    pub introduction: Introduction,
    /// Checks the mandate grants at this endpoint.
    pub granted: BTreeSet<Check>,
    /// Unsolicited bytes do harm on this port: listen, never send.
    pub listen_only: bool,
    /// Longest banner or page blob, 512 unless the mandate grants more.
    pub blob_bytes_max: usize,
    /// What other hosts answered to, shared by the conversations of a run.
    pub orders: Arc<Orders>,
    /// Zone of the operator in which name servers are asked for a new name each, to tell whether
    /// they look names up for anybody; `None` to leave that out.
    pub recursion_zone: Option<Name>,
}

/// What one check learned at one endpoint: everything of an [`Observation`] that the conversation
/// decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeResult {
    /// Class of exchange performed.
    pub check: Check,
    /// How it ended: `answered`, `limited` or `error`.
    pub outcome: Outcome,
    /// Short code for `limited` and `error`: `bytes`, `time`, `steps`, `silent`, `closed`,
    /// `reset`, `connect`, or the mandate's refusal.
    pub reason: Option<String>,
    /// What it spoke: the name of its record in [`Records`]; `None` when it said nothing.
    pub protocol: Option<String>,
    /// What was learned, per protocol.
    pub records: Records,
    /// Redacted bodies.
    pub blobs: Vec<Blob>,
    /// For [`Observation::labels`].
    pub labels: Vec<String>,
    /// Our side of the last connection.
    pub vantage: Option<SocketAddr>,
    /// Connections used, the one handed in included.
    pub connections: u32,
}

impl ProbeResult {
    /// A result of `check` that has learned nothing yet.
    pub fn new(check: Check, outcome: Outcome, reason: Option<&str>) -> Self {
        Self {
            check,
            outcome,
            reason: reason.map(str::to_owned),
            protocol: None,
            records: Records::default(),
            blobs: Vec::new(),
            labels: Vec::new(),
            vantage: None,
            connections: 0,
        }
    }

    /// Moves what was learned into `row`, whose other fields the engine has filled, and returns
    /// the blobs that the row now names.
    pub fn fill(self, row: &mut Observation) -> Vec<Blob> {
        row.check = self.check;
        row.method_version = METHOD_VERSION;
        row.outcome = self.outcome;
        row.reason = self.reason;
        row.protocol = self.protocol;
        row.records = self.records;
        row.blobs = self.blobs.iter().map(Blob::sha256).collect();
        row.labels.extend(self.labels);
        if let Some(vantage) = self.vantage {
            row.vantage = Endpoint::new(vantage.ip(), vantage.port(), row.subject.transport);
        }
        self.blobs
    }
}

/// Probes `endpoint` and returns one result per check performed, in this order:
///
/// - `handshake` when granted and the port is not listen-only; otherwise `banner` when that is
///   granted (nothing is sent); otherwise nothing;
/// - `anonymous-login` when granted with `handshake`, the port is not listen-only, and the service is FTP
///   or waited to be asked: MQTT, Redis, MongoDB, ADB and memcached cannot be told without such a question.
///   The row is `limited` when it is none of them;
/// - `ics-identity` when granted, the port is not listen-only, and the service waited to be asked.
///
/// `first` is a connection that the sweep already made; it is used before any new one is asked
/// for.
pub async fn probe(
    endpoint: Endpoint,
    first: Option<TcpStream>,
    connect: &impl Connect,
    settings: &ProbeSettings,
) -> Vec<ProbeResult> {
    conversation::run(endpoint, first, connect, settings).await
}

#[cfg(test)]
pub(crate) mod tests;
