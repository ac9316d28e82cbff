//! New connections and exchanges of a conversation: the engine judges each, the conversation makes
//! it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kenshin_mandate::{Exchange, Permit, Refusal};
use kenshin_observation::{Check, Clock, Endpoint};
use sha2::{Digest, Sha256};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::{mpsc, oneshot};

use crate::probe::datagram::{Channel, Datagrams};
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
    /// Connections and exchanges over UDP made.
    pub(super) made: Arc<AtomicU32>,
    /// Secret of the run, from which the ids of datagrams are made.
    pub(super) seed: [u8; 32],
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

impl Datagrams for Dialer {
    async fn open(&self, endpoint: Endpoint, check: Check) -> Result<Channel, ConnectError> {
        for _ in 0..TRIES {
            let permit = self.permit(Exchange { endpoint, check }).await?;
            match self.socket(endpoint).await {
                Ok(socket) => {
                    let number = self.made.fetch_add(1, Ordering::Relaxed);
                    return Ok(Channel::new(socket, self.nonce(endpoint, number), permit.packets_max()));
                }
                Err(error) if is_busy(&error) => tokio::time::sleep(Duration::from_millis(200)).await,
                Err(error) => return Err(ConnectError::Failed(error)),
            }
        }
        Err(failed("no room on this machine"))
    }
}

impl Dialer {
    /// A socket that sends to `endpoint` and hears it alone.
    async fn socket(&self, endpoint: Endpoint) -> std::io::Result<UdpSocket> {
        let anywhere = || match endpoint.addr {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let source = self.sources.iter().find(|source| source.is_ipv4() == endpoint.addr.is_ipv4());
        let socket = UdpSocket::bind((source.copied().unwrap_or_else(anywhere), 0)).await?;
        let peer = SocketAddr::new(endpoint.addr, endpoint.port);
        socket.connect(peer).await?;
        // On this machine a socket can meet itself when the kernel picks the target's port for it.
        if socket.local_addr()? == peer {
            return Err(std::io::Error::from_raw_os_error(libc::EADDRINUSE));
        }
        Ok(socket)
    }

    /// What makes an exchange's ids unlike those of every other, for everybody who lacks the seed.
    fn nonce(&self, endpoint: Endpoint, number: u32) -> u64 {
        let mut hasher = Sha256::new();
        hasher.update(self.seed);
        hasher.update(format!("{endpoint} {number} {}", (self.clock)().micros()));
        let digest = hasher.finalize();
        u64::from_be_bytes(digest[..8].try_into().expect("a digest has 32 bytes"))
    }

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

/// This machine has no room now.
fn is_busy(error: &std::io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM | libc::EADDRINUSE | libc::EAGAIN)
    )
}

fn failed(reason: &str) -> ConnectError {
    ConnectError::Failed(std::io::Error::other(reason.to_owned()))
}
