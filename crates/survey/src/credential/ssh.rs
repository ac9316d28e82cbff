//! SSH password and keyboard-interactive authentication. No channel is ever opened: a session that
//! accepted a pair is disconnected at once.
//!
//! The SSH library gets one end of a pipe; this side carries the bytes between that pipe and the
//! connection, counts them, and dropping it aborts both at once.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PublicKeyOrCertificate};
use russh::{Disconnect, MethodKind, Preferred, SshId, cipher, compression, kex, mac};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::Entry;
use super::attempts::Verdict;
use super::door::{ATTEMPTS_PER_CONNECTION, Door, NotReady};
use crate::probe::conversation::Lines;
use crate::probe::session::{Heard, Session};
use crate::probe::{Connect, ProbeResult};

/// Bytes the pipe holds.
const PIPE_BYTES: usize = 64 * 1024;

/// The answer to one attempt is a packet of a few dozen bytes.
const ANSWER_WAIT_MIN: Duration = Duration::from_secs(1);

/// Carries bytes between connection and library until one of them ends.
struct Pump {
    carrying: Pin<Box<dyn Future<Output = Heard> + Send>>,
    ended: Option<Heard>,
}

impl Pump {
    /// How the connection ended; may be asked again.
    async fn ended(&mut self) -> Heard {
        match &self.ended {
            Some(ended) => ended.clone(),
            None => self.ended.insert(self.carrying.as_mut().await).clone(),
        }
    }
}

struct Open {
    handle: Handle<Stranger>,
    pump: Pump,
    deadline: Instant,
    attempts: u32,
    user: String,
    /// The server takes no plain password, only keyboard-interactive.
    interactive: bool,
}

pub(super) struct SshDoor<'a, C> {
    lines: Lines<'a, C>,
    open: Option<Open>,
}

/// A server whose key we do not judge: nothing of ours is entrusted to it.
struct Stranger;

impl client::Handler for Stranger {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _key: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

impl<'a, C: Connect> SshDoor<'a, C> {
    pub(super) fn new(lines: Lines<'a, C>) -> Self {
        Self { lines, open: None }
    }

    async fn try_pair(open: &mut Open, entry: &Entry) -> Verdict {
        if !open.interactive {
            let answer = open.handle.authenticate_password(&entry.user, &entry.password);
            return match race(&mut open.pump, open.deadline, answer).await {
                Err(ending) => closed(&ending),
                Ok(Ok(AuthResult::Success)) => Verdict::Accepted,
                Ok(Ok(AuthResult::Failure { partial_success: true, .. })) => {
                    Verdict::Unclear("second-factor")
                }
                Ok(Ok(AuthResult::Failure { .. }) | Err(_)) => Verdict::Rejected,
            };
        }
        let start = open.handle.authenticate_keyboard_interactive_start(&entry.user, None);
        let mut answer = match race(&mut open.pump, open.deadline, start).await {
            Err(ending) => return closed(&ending),
            Ok(Err(_)) => return Verdict::Rejected,
            Ok(Ok(answer)) => answer,
        };
        // One question for the password, then perhaps an empty round.
        for round in 0..3 {
            let prompts = match answer {
                KeyboardInteractiveAuthResponse::Success => return Verdict::Accepted,
                KeyboardInteractiveAuthResponse::Failure { partial_success: true, .. } => {
                    return Verdict::Unclear("second-factor");
                }
                KeyboardInteractiveAuthResponse::Failure { .. } => return Verdict::Rejected,
                KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => prompts,
            };
            if prompts.len() > 1 || (round > 0 && !prompts.is_empty()) {
                return Verdict::Unclear("second-factor");
            }
            let responses = prompts.iter().map(|_| entry.password.clone()).collect();
            let respond = open.handle.authenticate_keyboard_interactive_respond(responses);
            answer = match race(&mut open.pump, open.deadline, respond).await {
                Err(ending) => return closed(&ending),
                Ok(Err(_)) => return Verdict::Rejected,
                Ok(Ok(answer)) => answer,
            };
        }
        Verdict::Unclear("second-factor")
    }
}

/// To hang up on a password is to reject it; a limit of ours decides nothing.
fn closed(ending: &Heard) -> Verdict {
    match ending {
        Heard::Closed | Heard::Reset => Verdict::Rejected,
        ending => Verdict::Unclear(ending.reason()),
    }
}

/// Waits for `answer` while the pump runs; the pump's ending when that comes first.
async fn race<T>(pump: &mut Pump, deadline: Instant, answer: impl Future<Output = T>) -> Result<T, Heard> {
    tokio::pin!(answer);
    let both = async {
        tokio::select! {
            biased;
            value = &mut answer => Ok(value),
            ending = pump.ended() => match timeout_at(Instant::now() + ANSWER_WAIT_MIN, &mut answer).await {
                // What came before the end may still be on its way through the library.
                Ok(value) => Ok(value),
                Err(_) => Err(ending),
            },
        }
    };
    timeout_at(deadline, both).await.unwrap_or(Err(Heard::Limit("time")))
}

/// Carries bytes both ways until either side ends or a limit is reached.
fn pump(mut session: Session<TcpStream>, pipe: DuplexStream, wait: Duration) -> Pump {
    let carrying = Box::pin(async move {
        let (mut from_library, mut to_library) = tokio::io::split(pipe);
        let mut out = vec![0; 4096];
        loop {
            tokio::select! {
                heard = session.hear(wait) => match heard {
                    Heard::Bytes(bytes) => {
                        if to_library.write_all(&bytes).await.is_err() {
                            return Heard::Closed;
                        }
                    }
                    Heard::Silent => {}
                    ending => {
                        let _ = to_library.shutdown().await;
                        return ending;
                    }
                },
                read = from_library.read(&mut out) => match read {
                    Ok(read) if read > 0 => {
                        if let Err(ending) = session.say(&out[..read]).await {
                            return ending;
                        }
                    }
                    _ => {
                        session.part(&[]).await;
                        return Heard::Closed;
                    }
                },
            }
        }
    });
    Pump { carrying, ended: None }
}

impl<C: Connect> Door for SshDoor<'_, C> {
    async fn ready(&mut self, entry: &Entry) -> Result<(), NotReady> {
        // Servers end a connection on which the user name changes.
        let usable = |open: &Open| {
            open.attempts < ATTEMPTS_PER_CONNECTION && open.user == entry.user && !open.handle.is_closed()
        };
        if self.open.as_ref().is_some_and(usable) {
            return Ok(());
        }
        if let Some(worn) = self.open.take() {
            part(worn).await;
        }
        let session = self.lines.open().await?;
        let limits = &self.lines.settings.limits;
        let deadline = session.deadline();
        let (near, far) = tokio::io::duplex(PIPE_BYTES);
        let mut pump = pump(session, near, limits.conversation);
        let config = Arc::new(config(&self.lines.settings.introduction.name));
        let connected = client::connect_stream(config, far, Stranger);
        let handle = match race(&mut pump, deadline, connected).await {
            Ok(Ok(handle)) => handle,
            Ok(Err(russh::Error::NoCommonAlgo { .. })) => return Err(NotReady::limited("algorithms")),
            Ok(Err(russh::Error::IO(_) | russh::Error::HUP | russh::Error::Disconnect)) => {
                return Err(NotReady::TurnedAway);
            }
            Ok(Err(_)) => return Err(NotReady::limited("protocol")),
            Err(ending) => return Err(NotReady::ending(&ending)),
        };
        let user = entry.user.clone();
        let mut open = Open { handle, pump, deadline, attempts: 0, user, interactive: false };
        // As every client does, ask which methods there are: a pair is then sent once, by one.
        let none = open.handle.authenticate_none(&entry.user);
        match race(&mut open.pump, open.deadline, none).await {
            Ok(Ok(AuthResult::Failure { remaining_methods: methods, .. })) => {
                open.interactive = !methods.contains(&MethodKind::Password);
                if open.interactive && !methods.contains(&MethodKind::KeyboardInteractive) {
                    part(open).await;
                    return Err(NotReady::limited("no-password"));
                }
                self.open = Some(open);
                Ok(())
            }
            // It asks for nothing: there is no pair to try.
            Ok(Ok(AuthResult::Success)) => {
                part(open).await;
                Err(NotReady::limited("no-password"))
            }
            Ok(Err(_)) => Err(NotReady::TurnedAway),
            Err(ending) => Err(NotReady::ending(&ending)),
        }
    }

    async fn attempt(&mut self, entry: &Entry) -> Verdict {
        let Some(mut open) = self.open.take() else { return Verdict::Unclear("closed") };
        open.attempts += 1;
        let verdict = Self::try_pair(&mut open, entry).await;
        match verdict {
            Verdict::Rejected => self.open = Some(open),
            _ => part(open).await,
        }
        verdict
    }

    fn sign(&self, result: &mut ProbeResult) {
        self.lines.sign(result);
    }

    async fn leave(self) {
        if let Some(open) = self.open {
            part(open).await;
        }
    }
}

/// Disconnects in order.
async fn part(mut open: Open) {
    let deadline = (Instant::now() + Duration::from_millis(500)).min(open.deadline);
    let goodbye = async {
        let _ = open.handle.disconnect(Disconnect::ByApplication, "thank you", "").await;
        drop(open.handle);
        std::future::pending::<()>().await;
    };
    let _ = race(&mut open.pump, deadline, goodbye).await;
}

/// As old as devices speak it: the pair is the dictionary's, so weak algorithms protect nothing
/// that needs protection.
fn config(name: &str) -> client::Config {
    let comment: String = name.chars().filter(|c| c.is_ascii_graphic()).take(100).collect();
    let key = vec![
        Algorithm::Ed25519,
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
        Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
        Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
        Algorithm::Rsa { hash: None },
    ];
    client::Config {
        client_id: SshId::Standard(Cow::Owned(format!(
            concat!("SSH-2.0-Kenshin_", env!("CARGO_PKG_VERSION"), " {}"),
            comment
        ))),
        preferred: Preferred {
            kex: Cow::Borrowed(&[
                kex::CURVE25519,
                kex::CURVE25519_PRE_RFC_8731,
                kex::ECDH_SHA2_NISTP256,
                kex::ECDH_SHA2_NISTP384,
                kex::ECDH_SHA2_NISTP521,
                kex::DH_G14_SHA256,
                kex::DH_G16_SHA512,
                kex::DH_GEX_SHA256,
                kex::DH_G14_SHA1,
                kex::DH_GEX_SHA1,
                kex::DH_G1_SHA1,
                kex::EXTENSION_SUPPORT_AS_CLIENT,
                kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
            ]),
            key: Cow::Owned(key),
            cipher: Cow::Borrowed(&[
                cipher::CHACHA20_POLY1305,
                cipher::AES_256_GCM,
                cipher::AES_256_CTR,
                cipher::AES_128_CTR,
                cipher::AES_192_CTR,
                cipher::AES_128_CBC,
                cipher::AES_256_CBC,
            ]),
            mac: Cow::Borrowed(&[
                mac::HMAC_SHA256_ETM,
                mac::HMAC_SHA512_ETM,
                mac::HMAC_SHA256,
                mac::HMAC_SHA512,
                mac::HMAC_SHA1_ETM,
                mac::HMAC_SHA1,
            ]),
            compression: Cow::Borrowed(&[compression::NONE]),
            ..Preferred::default()
        },
        ..client::Config::default()
    }
}
