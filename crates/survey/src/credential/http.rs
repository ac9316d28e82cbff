//! HTTP Basic and Digest.
//!
//! A page is tried only when it answers 401 to a request without credentials. No random wrong pair
//! is sent as a control: it would count towards a lockout, and a page that was closed to a request
//! without credentials and opens to a factory pair is open to whoever knows that pair, even if
//! other pairs would do as well.

use std::time::Duration;

use kenshin_wire::http::challenge::{Challenge, basic, challenges};
use kenshin_wire::http::digest::{Digest, Proof};
use kenshin_wire::http::{self, HttpError, Progress, Request, Response, ResponseDecoder};

use super::attempts::Verdict;
use super::door::{AnySession, DECISION_BYTES_MAX, Door, NotReady};
use super::{Entry, Method};
use crate::probe::conversation::Lines;
use crate::probe::session::Heard;
use crate::probe::web::host;
use crate::probe::{Connect, ProbeResult};

/// Requests over one connection before a new one is made.
const REQUESTS_PER_CONNECTION: u32 = 6;

/// Nonce of ours. It protects us against chosen-plaintext attacks on a password that is public
/// anyway, so it need not be random.
const CNONCE: &str = "6b656e7368696e00";

struct Open {
    session: AnySession,
    requests: u32,
}

pub(super) struct HttpDoor<'a, C> {
    lines: Lines<'a, C>,
    tls: bool,
    /// The page that asked for credentials: `/`, or where that redirected to.
    target: String,
    method: Method,
    open: Option<Open>,
    /// Asked anew before every Digest attempt unless the last rejection brought one: many devices
    /// take a nonce only once.
    challenge: Option<Challenge>,
}

impl<'a, C: Connect> HttpDoor<'a, C> {
    pub(super) fn new(lines: Lines<'a, C>, tls: bool, target: String, method: Method) -> Self {
        Self { lines, tls, target, method, open: None, challenge: None }
    }

    fn request(&self, authorization: Option<&str>) -> Vec<u8> {
        Request {
            method: "GET",
            target: &self.target,
            host: &host(self.lines.endpoint, self.tls),
            user_agent: &self.lines.settings.introduction.user_agent,
            authorization,
            keep_alive: true,
        }
        .encode()
    }

    /// Sends `request` over the open connection and reads the response; keeps the connection when
    /// it can be used again.
    async fn exchange(&mut self, request: &[u8], bytes_max: Option<usize>) -> Result<Response, Heard> {
        let Some(mut open) = self.open.take() else { return Err(Heard::Closed) };
        if let Some(bytes_max) = bytes_max {
            open.session.limit_bytes(bytes_max);
        }
        open.session.say(request).await?;
        open.requests += 1;
        let mut decoder = ResponseDecoder::new(http::Limits::default());
        let ending = loop {
            match open.session.hear(self.lines.settings.limits.answer).await {
                Heard::Bytes(bytes) => match decoder.push(&bytes) {
                    Ok(Progress::More) => {}
                    Ok(Progress::Done) => break None,
                    Err(HttpError::StatusLine) => break Some(Heard::Reset),
                    Err(_) => break Some(Heard::Limit("bytes")),
                },
                ending => break Some(ending),
            }
        };
        // Within the bytes that may be read to decide, a status line is enough.
        match (decoder.end(), ending) {
            (Ok(response), None) => {
                open.session.limit_bytes(self.lines.settings.limits.bytes_max);
                if promises_to_stay(&response) && open.requests < REQUESTS_PER_CONNECTION {
                    self.open = Some(open);
                } else {
                    open.session.part(&[]).await;
                }
                Ok(response)
            }
            (Ok(response), Some(_)) => Ok(response),
            (Err(_), ending) => Err(ending.unwrap_or(Heard::Reset)),
        }
    }

    /// An open connection: the one there is, unless it ended meanwhile, or a new one.
    async fn reopen(&mut self) -> Result<(), NotReady> {
        if let Some(open) = &mut self.open
            && open.session.hear(Duration::ZERO).await != Heard::Silent
        {
            self.open = None;
        }
        if self.open.is_none() {
            let session = AnySession::open(&mut self.lines, self.tls).await?;
            self.open = Some(Open { session, requests: 0 });
        }
        Ok(())
    }

    fn fits(&self, challenge: &Challenge) -> bool {
        match self.method {
            Method::HttpDigest => Digest::from_challenge(challenge).is_some(),
            _ => challenge.is("basic"),
        }
    }

    fn authorization(&self, entry: &Entry) -> Option<String> {
        if self.method == Method::HttpBasic {
            return Some(basic(&entry.user, &entry.password));
        }
        let digest = Digest::from_challenge(self.challenge.as_ref()?)?;
        let proof = Proof {
            user: &entry.user,
            password: &entry.password,
            method: "GET",
            target: &self.target,
            cnonce: CNONCE,
            count: 1,
        };
        Some(digest.answer(&proof))
    }

    /// The challenge of our method in a 401.
    fn challenge_of(&self, response: &Response) -> Option<Challenge> {
        challenges(&response.head.headers).into_iter().find(|challenge| self.fits(challenge))
    }
}

/// The connection stays because the service says so. HTTP/1.1 says it by saying nothing, and devices
/// hang up all the same: a pair sent after that would be lost, and may never be sent again.
fn promises_to_stay(response: &Response) -> bool {
    let connection = response.head.headers.get("connection").unwrap_or_default();
    response.complete && connection.to_ascii_lowercase().contains("keep-alive")
}

impl<C: Connect> Door for HttpDoor<'_, C> {
    async fn ready(&mut self, _entry: &Entry) -> Result<(), NotReady> {
        if self.challenge.is_none() {
            self.reopen().await?;
            let request = self.request(None);
            let bytes_max = self.lines.settings.limits.bytes_max;
            let response =
                self.exchange(&request, Some(bytes_max)).await.map_err(|ending| NotReady::ending(&ending))?;
            match response.head.status {
                401 => {}
                403 | 429 => return Err(NotReady::TurnedAway),
                _ => return Err(NotReady::limited("no-challenge")),
            }
            self.challenge = self.challenge_of(&response);
            if self.challenge.is_none() {
                return Err(NotReady::limited("no-challenge"));
            }
        }
        self.reopen().await
    }

    async fn attempt(&mut self, entry: &Entry) -> Verdict {
        let Some(authorization) = self.authorization(entry) else { return Verdict::Unclear("no-challenge") };
        let request = self.request(Some(&authorization));
        let response = match self.exchange(&request, Some(DECISION_BYTES_MAX)).await {
            Ok(response) => response,
            Err(ending) => return Verdict::Unclear(ending.reason()),
        };
        match response.head.status {
            200..=299 => Verdict::Accepted,
            300..=399 => {
                let location = response.head.headers.get("location").unwrap_or_default().to_ascii_lowercase();
                let back = ["login", "logon", "signin", "error", "fail", "denied", "auth"];
                if back.iter().any(|word| location.contains(word)) {
                    Verdict::Rejected
                } else {
                    Verdict::Accepted
                }
            }
            401 => {
                if self.method == Method::HttpDigest {
                    self.challenge = self.challenge_of(&response);
                    // A stale nonce means that the pair was not judged.
                    let stale = self.challenge.as_ref().and_then(|challenge| challenge.parameter("stale"));
                    if stale.is_some_and(|stale| stale.eq_ignore_ascii_case("true")) {
                        return Verdict::Unclear("stale");
                    }
                }
                Verdict::Rejected
            }
            403 | 423 | 429 | 503 => Verdict::LockedOut,
            _ => Verdict::Unclear("status"),
        }
    }

    fn sign(&self, result: &mut ProbeResult) {
        self.lines.sign(result);
    }

    async fn leave(self) {
        if let Some(open) = self.open {
            open.session.part(&[]).await;
        }
    }
}
