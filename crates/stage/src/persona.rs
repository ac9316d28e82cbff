//! Actors: each plays one service of one device to whoever connects.

mod ftp;
mod http;
mod mail;
mod mqtt;
mod nuisance;
mod rtsp;
pub(crate) mod ssh;
mod telnet;
mod thing;
mod tls;

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kenshin_observation::TimeUs;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::device::TlsState;
use crate::key::{self, KeyRing, KeySeed};
use crate::model::{Factory, KeyPolicy, Model, Service, ServiceKind};
use crate::town::Nuisance;

use ssh::HostKey;
use tls::TlsContext;

/// Longest life of a conversation with an ordinary device.
const CONVERSATION: Duration = Duration::from_secs(30);

/// Longest line or head that a device takes.
const INPUT_BYTES_MAX: usize = 8 * 1024;

/// What a device answered to whom, for tests and for the demo's conscience.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    pub(crate) connections: AtomicU64,
    pub(crate) logins: AtomicU64,
    pub(crate) printed_bytes: AtomicU64,
}

/// One service as it is played in one round. Two equal parts behave the same.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part {
    pub(crate) device: u32,
    pub(crate) model: Arc<Model>,
    pub(crate) service: usize,
    pub(crate) firmware: usize,
    pub(crate) factory_password: bool,
    pub(crate) open: bool,
    pub(crate) anonymous: bool,
    pub(crate) tls: TlsState,
    /// The device was built when RSA was the rule.
    pub(crate) rsa: bool,
    pub(crate) town_seed: u64,
    /// When the town began: certificates count from here.
    pub(crate) start: TimeUs,
}

impl Part {
    fn service(&self) -> &Service {
        &self.model.service[self.service]
    }

    /// Who owns the keys it shows.
    fn key_seed(&self, purpose: &str) -> KeySeed {
        let owner = match self.model.keys {
            KeyPolicy::Shared => self.model.kind.clone(),
            KeyPolicy::Unique | KeyPolicy::None => format!("device {}", self.device),
        };
        key::seed(self.town_seed, &owner, purpose)
    }

    /// The pair that opens the service, where the factory's still does.
    fn factory(&self) -> Option<&Factory> {
        self.model.factory.as_ref().filter(|_| self.factory_password && self.service().login_opens)
    }

    fn admits(&self, user: &str, password: &str, witness: &Witness) -> bool {
        witness.logins.fetch_add(1, Ordering::Relaxed);
        self.factory().is_some_and(|f| f.user == user && f.password == password)
    }

    /// A transcript with the version put in.
    fn line(&self, text: &str) -> String {
        text.replace("{version}", &self.model.firmware[self.firmware].version)
    }

    /// Plays to one visitor until the end of the conversation.
    pub(crate) async fn play(
        &self,
        stream: TcpStream,
        keys: &Keys,
        state: &PortState,
        witness: &Witness,
    ) -> io::Result<()> {
        let conversation = async {
            match &keys.tls {
                Some(context) => self.talk(context.accept(stream).await?, keys, state, witness).await,
                None => self.talk(stream, keys, state, witness).await,
            }
        };
        tokio::time::timeout(CONVERSATION, conversation).await.unwrap_or(Ok(()))
    }

    async fn talk<S: Stream>(
        &self,
        stream: S,
        keys: &Keys,
        state: &PortState,
        witness: &Witness,
    ) -> io::Result<()> {
        match &self.service().kind {
            ServiceKind::Http { .. } => http::play(self, stream, witness).await,
            ServiceKind::Ssh { .. } => match &keys.ssh {
                Some(host_key) => ssh::play(self, stream, host_key, witness).await,
                None => Ok(()),
            },
            ServiceKind::Telnet { .. } => telnet::play(self, stream, state, witness).await,
            ServiceKind::Ftp { .. } => ftp::play(self, stream, witness).await,
            ServiceKind::Smtp { .. } => mail::play(self, stream).await,
            ServiceKind::Mqtt { .. } => mqtt::play(self, stream).await,
            ServiceKind::Rtsp { .. } => rtsp::play(self, stream).await,
            ServiceKind::Raw { says } => thing::speak(says, stream).await,
            ServiceKind::Print => thing::print(stream, witness).await,
        }
    }
}

/// What a part shows that takes a moment to make: made before it is visited.
pub(crate) struct Keys {
    tls: Option<TlsContext>,
    ssh: Option<HostKey>,
}

impl Keys {
    pub(crate) fn of(part: &Part, ring: &KeyRing) -> io::Result<Self> {
        Ok(Self { tls: TlsContext::of(part, ring)?, ssh: ssh::host_key(part, ring)? })
    }
}

/// What a port remembers from visitor to visitor within a round.
#[derive(Debug, Default)]
pub(crate) struct PortState {
    /// Failed logins so far.
    pub(crate) failures: AtomicU64,
}

/// Plays a hostile host.
pub(crate) async fn play_nuisance(
    nuisance: Nuisance,
    address: Ipv4Addr,
    stream: TcpStream,
) -> io::Result<()> {
    nuisance::play(nuisance, address, stream).await
}

/// Either a bare connection or one inside TLS.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Reads lines ended by CR, LF or both, up to [`INPUT_BYTES_MAX`] in all.
struct Lines {
    buffer: Vec<u8>,
    total: usize,
}

impl Lines {
    const fn new() -> Self {
        Self { buffer: Vec::new(), total: 0 }
    }

    /// The next line without its end; `None` at the end of the input or of our patience.
    async fn next<S: Stream>(&mut self, stream: &mut S) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()));
            }
            if !self.more(stream).await? {
                return Ok(None);
            }
        }
    }

    /// Reads on; false at the end.
    async fn more<S: Stream>(&mut self, stream: &mut S) -> io::Result<bool> {
        let mut chunk = [0; 1024];
        let read = stream.read(&mut chunk).await?;
        self.total += read;
        self.buffer.extend_from_slice(&chunk[..read]);
        Ok(read > 0 && self.total <= INPUT_BYTES_MAX)
    }
}

/// Says the last words and closes in order: our end first, then what is still coming in is read
/// away, so that the last words are not lost to a reset.
async fn part_from<S: Stream>(mut stream: S, last_words: &[u8]) -> io::Result<()> {
    stream.write_all(last_words).await?;
    stream.shutdown().await?;
    let mut chunk = [0; 1024];
    for _ in 0..64 {
        match tokio::time::timeout(Duration::from_secs(2), stream.read(&mut chunk)).await {
            Ok(Ok(read)) if read > 0 => {}
            _ => break,
        }
    }
    Ok(())
}
