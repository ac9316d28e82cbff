//! New connections of a conversation: the engine judges each, the conversation makes it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kenshin_mandate::{Exchange, Permit, Refusal};
use kenshin_observation::{Check, Clock, Endpoint};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

use crate::probe::{Connect, ConnectError};
use crate::sweep::{Reply, dial};

/// A conversation asks for one more connection.
#[derive(Debug)]
pub(super) struct DialRequest {
    pub(super) exchange: Exchange,
    pub(super) permit: oneshot::Sender<Result<Permit, Refusal>>,
}

/// Gives one conversation its connections.
#[derive(Clone)]
pub(super) struct Dialer {
    pub(super) requests: mpsc::Sender<DialRequest>,
    pub(super) sources: Arc<[IpAddr]>,
    pub(super) timeout: Duration,
    pub(super) clock: Clock,
    /// Connections made.
    pub(super) made: Arc<AtomicU32>,
}

/// How often a connection is tried while this machine has no room for it.
const TRIES: u32 = 20;

impl Connect for Dialer {
    async fn connect(&self, endpoint: Endpoint, check: Check) -> Result<TcpStream, ConnectError> {
        for _ in 0..TRIES {
            let permit = self.permit(Exchange { endpoint, check }).await?;
            let dialled = dial(endpoint, permit, &self.sources, self.timeout).await;
            if let Reply::Busy(_) = dialled.reply {
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
            self.made.fetch_add(1, Ordering::Relaxed);
            return match (dialled.reply, dialled.stream) {
                (_, Some(stream)) => Ok(stream),
                (Reply::Refused, _) => Err(ConnectError::Closed),
                (Reply::Silent, _) => Err(ConnectError::TimedOut),
                (Reply::Filtered(reason) | Reply::Failed(reason), _) => Err(failed(reason)),
                (Reply::Answered | Reply::Busy(_), None) => Err(failed("stream")),
            };
        }
        Err(failed("no room on this machine"))
    }
}

impl Dialer {
    /// A permit that is fresh enough to be used: one that waited in between is asked for again.
    async fn permit(&self, exchange: Exchange) -> Result<Permit, ConnectError> {
        loop {
            let (permit, granted) = oneshot::channel();
            let stopped = || ConnectError::Refused { reason: "stopped".to_owned() };
            self.requests.send(DialRequest { exchange, permit }).await.map_err(|_| stopped())?;
            match granted.await {
                Ok(Ok(permit)) if permit.usable_at((self.clock)()) => return Ok(permit),
                Ok(Ok(_)) => {}
                Ok(Err(refusal)) => return Err(ConnectError::Refused { reason: refusal.code().to_owned() }),
                Err(_) => return Err(stopped()),
            }
        }
    }
}

fn failed(reason: &str) -> ConnectError {
    ConnectError::Failed(std::io::Error::other(reason.to_owned()))
}
