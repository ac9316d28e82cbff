//! One exchange over UDP, bounded in bytes, time and datagrams.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use kenshin_wire::amplification::{Family, Tally};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use crate::probe::Limits;

/// Largest datagram there is.
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// A socket that hears one endpoint alone, and the right to send it so many datagrams.
#[derive(Debug)]
pub struct Channel {
    socket: UdpSocket,
    nonce: u64,
    datagrams_left: u32,
}

impl Channel {
    /// A channel over `socket`, which is connected, so that the kernel drops what others send. Ids
    /// and tokens of the exchange are made from `nonce`: no two exchanges have the same, and nobody
    /// can guess it. At most `datagrams_max` are sent, as the permit says.
    pub const fn new(socket: UdpSocket, nonce: u64, datagrams_max: u32) -> Self {
        Self { socket, nonce, datagrams_left: datagrams_max }
    }

    pub(crate) const fn nonce(&self) -> u64 {
        self.nonce
    }

    /// Our side.
    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()
    }
}

/// Why an exchange is over, or brought nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Nothing came within the time given.
    Silent,
    /// The host says that nobody listens at the port.
    Refused,
    /// A network element said that the way is closed; why.
    Filtered(&'static str),
    /// A limit of ours: `bytes`, `time`, `steps` or `datagrams`.
    Limit(&'static str),
    /// This machine failed.
    Failed,
}

impl Ending {
    /// Its reason code.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Refused => "refused",
            Self::Filtered(reason) | Self::Limit(reason) => reason,
            Self::Failed => "socket",
        }
    }
}

/// An exchange as it goes on.
#[derive(Debug)]
pub(crate) struct Dialogue {
    channel: Channel,
    tally: Tally,
    deadline: Instant,
    bytes_left: usize,
    steps_left: u32,
}

impl Dialogue {
    pub(crate) fn new(channel: Channel, limits: &Limits) -> Self {
        let family = match channel.local_addr() {
            Some(SocketAddr::V6(_)) => Family::V6,
            _ => Family::V4,
        };
        Self {
            channel,
            tally: Tally::new(family, limits.bytes_max as u64, limits.steps_max),
            deadline: Instant::now() + limits.conversation,
            bytes_left: limits.bytes_max,
            steps_left: limits.steps_max,
        }
    }

    /// What was sent and what came, unread or not.
    pub(crate) const fn tally(&self) -> Tally {
        self.tally
    }

    /// Sends one datagram, if there is one left to send.
    pub(crate) async fn say(&mut self, bytes: &[u8]) -> Result<(), Ending> {
        self.channel.datagrams_left =
            self.channel.datagrams_left.checked_sub(1).ok_or(Ending::Limit("datagrams"))?;
        match timeout_at(self.deadline, self.channel.socket.send(bytes)).await {
            Err(_) => Err(Ending::Limit("time")),
            Ok(Ok(_)) => {
                self.tally.ask(bytes.len());
                Ok(())
            }
            Ok(Err(error)) => Err(ending(&error)),
        }
    }

    /// The next datagram, waiting for at most `wait`.
    pub(crate) async fn hear(&mut self, wait: Duration) -> Result<Vec<u8>, Ending> {
        self.steps_left = self.steps_left.checked_sub(1).ok_or(Ending::Limit("steps"))?;
        let now = Instant::now();
        if now >= self.deadline {
            return Err(Ending::Limit("time"));
        }
        let until = (now + wait).min(self.deadline);
        match timeout_at(until, self.receive()).await {
            Err(_) if until == self.deadline => Err(Ending::Limit("time")),
            Err(_) => Err(Ending::Silent),
            Ok(Err(error)) => Err(ending(&error)),
            Ok(Ok(bytes)) => {
                self.tally.hear(bytes.len());
                self.bytes_left = self.bytes_left.checked_sub(bytes.len()).ok_or(Ending::Limit("bytes"))?;
                Ok(bytes)
            }
        }
    }

    /// Room for a datagram is made when one is there: thousands of exchanges wait at a time.
    async fn receive(&self) -> io::Result<Vec<u8>> {
        loop {
            self.channel.socket.readable().await?;
            let mut bytes = vec![0; DATAGRAM_BYTES_MAX];
            match self.channel.socket.try_recv(&mut bytes) {
                Ok(len) => return Ok(bytes[..len].to_vec()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// What ICMP or this machine said instead of an answer.
fn ending(error: &io::Error) -> Ending {
    match error.raw_os_error() {
        Some(libc::ECONNREFUSED) => Ending::Refused,
        Some(libc::EHOSTUNREACH | libc::EHOSTDOWN) => Ending::Filtered("host-unreachable"),
        Some(libc::ENETUNREACH | libc::ENETDOWN | libc::ENONET) => Ending::Filtered("net-unreachable"),
        Some(libc::EACCES | libc::EPERM) => Ending::Filtered("prohibited"),
        Some(libc::ENOPROTOOPT | libc::EPROTO | libc::EOPNOTSUPP) => Ending::Filtered("protocol-unreachable"),
        _ => Ending::Failed,
    }
}
