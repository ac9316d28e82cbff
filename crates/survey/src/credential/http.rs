//! HTTP Basic and Digest, and RTSP, which borrows both: GET or DESCRIBE, and nothing that starts a stream.
//!
//! A page is tried only when it answers 401 to a request without credentials. No random wrong pair
//! is sent as a control: it would count towards a lockout, and a page that was closed to a request
//! without credentials and opens to a factory pair is open to whoever knows that pair, even if
//! other pairs would do as well.

use kenshin_wire::http::challenge::{Challenge, basic, challenges};
use kenshin_wire::http::digest::{Digest, Proof};
use kenshin_wire::http::{Request, Response};
use kenshin_wire::rtsp;

use super::attempts::Verdict;
use super::door::{DECISION_BYTES_MAX, Door, NotReady, defence};
use super::requests::Requests;
use super::{Entry, Method};
use crate::probe::web::host;
use crate::probe::{Connect, ProbeResult};

/// Nonce of ours. It protects us against chosen-plaintext attacks on a password that is public
/// anyway, so it need not be random.
const CNONCE: &str = "6b656e7368696e00";

pub(super) struct HttpDoor<'a, C> {
    requests: Requests<'a, C>,
    /// What asked for credentials: the path of a page, or the URL of a presentation.
    target: String,
    method: Method,
    /// Asked anew before every Digest attempt unless the last rejection brought one: many devices
    /// take a nonce only once.
    challenge: Option<Challenge>,
    /// Requests made, for RTSP.
    sequence: u32,
}

impl<'a, C: Connect> HttpDoor<'a, C> {
    /// The page, or the stream, at `path`.
    pub(super) fn new(requests: Requests<'a, C>, path: String, method: Method) -> Self {
        let target = match method {
            Method::Rtsp => format!("rtsp://{}{path}", host(requests.lines.endpoint, requests.tls)),
            _ => path,
        };
        Self { requests, target, method, challenge: None, sequence: 0 }
    }

    /// Name of the request.
    const fn verb(&self) -> &'static str {
        if matches!(self.method, Method::Rtsp) { "DESCRIBE" } else { "GET" }
    }

    fn request(&mut self, authorization: Option<&str>) -> Vec<u8> {
        let lines = &self.requests.lines;
        let user_agent = lines.settings.introduction.user_agent.as_str();
        self.sequence += 1;
        if self.method == Method::Rtsp {
            return rtsp::describe(&self.target, self.sequence, user_agent, authorization);
        }
        Request {
            method: self.verb(),
            target: &self.target,
            host: &host(lines.endpoint, self.requests.tls),
            user_agent,
            authorization,
            session: None,
            body: None,
            keep_alive: true,
        }
        .encode()
    }

    /// The challenge of our method in a 401; of those that RTSP offers, the one that keeps the password.
    fn challenge_of(&self, response: &Response) -> Option<Challenge> {
        let offered = challenges(&response.head.headers);
        let digest = |challenge: &&Challenge| Digest::from_challenge(challenge).is_some();
        let basic = |challenge: &&Challenge| challenge.is("basic");
        match self.method {
            Method::HttpDigest => offered.iter().find(digest),
            Method::Rtsp => offered.iter().find(digest).or_else(|| offered.iter().find(basic)),
            _ => offered.iter().find(basic),
        }
        .cloned()
    }

    fn authorization(&self, entry: &Entry) -> Option<String> {
        let challenge = self.challenge.as_ref()?;
        let Some(digest) = Digest::from_challenge(challenge) else {
            return Some(basic(&entry.user, &entry.password));
        };
        let proof = Proof {
            user: &entry.user,
            password: &entry.password,
            method: self.verb(),
            target: &self.target,
            cnonce: CNONCE,
            count: 1,
        };
        Some(digest.answer(&proof))
    }
}

/// What a status means that is no answer to a pair: the service defends itself.
pub(super) fn defends(response: &Response) -> Option<Verdict> {
    match response.head.status {
        // It says when to come back.
        423 | 429 | 503 if response.head.headers.get("retry-after").is_some() => Some(Verdict::Delayed),
        423 | 429 | 503 => Some(Verdict::LockedOut),
        _ => None,
    }
}

impl<C: Connect> Door for HttpDoor<'_, C> {
    async fn ready(&mut self, _entry: &Entry) -> Result<(), NotReady> {
        if self.challenge.is_none() {
            self.requests.reopen().await?;
            let request = self.request(None);
            let bytes_max = self.requests.lines.settings.limits.bytes_max;
            let response = self
                .requests
                .exchange(&request, bytes_max)
                .await
                .map_err(|ending| NotReady::ending(&ending))?;
            match (response.head.status, defends(&response)) {
                (401, _) => {}
                (_, Some(Verdict::Delayed)) => return Err(NotReady::Delayed),
                (403, _) | (_, Some(_)) => return Err(NotReady::TurnedAway),
                _ => return Err(NotReady::limited("no-challenge")),
            }
            self.challenge = self.challenge_of(&response);
            if self.challenge.is_none() {
                return Err(NotReady::limited("no-challenge"));
            }
        }
        self.requests.reopen().await
    }

    async fn attempt(&mut self, entry: &Entry) -> Verdict {
        let Some(authorization) = self.authorization(entry) else { return Verdict::Unclear("no-challenge") };
        let request = self.request(Some(&authorization));
        let response = match self.requests.exchange(&request, DECISION_BYTES_MAX).await {
            Ok(response) => response,
            Err(ending) => return Verdict::Unclear(ending.reason()),
        };
        if let Some(verdict) = defends(&response) {
            return verdict;
        }
        match response.head.status {
            200..=299 => Verdict::Accepted,
            // A stream that is elsewhere was not described.
            300..=399 if self.method == Method::Rtsp => Verdict::Unclear("status"),
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
                if let Some(verdict) = defence(&response.text()) {
                    return verdict;
                }
                // Basic asks for nothing new.
                let digest = |challenge: &Challenge| Digest::from_challenge(challenge).is_some();
                if self.challenge.as_ref().is_some_and(digest) {
                    self.challenge = self.challenge_of(&response);
                    // A stale nonce means that the pair was not judged.
                    let stale = self.challenge.as_ref().and_then(|challenge| challenge.parameter("stale"));
                    if stale.is_some_and(|stale| stale.eq_ignore_ascii_case("true")) {
                        return Verdict::Unclear("stale");
                    }
                }
                Verdict::Rejected
            }
            403 => Verdict::LockedOut,
            _ => Verdict::Unclear("status"),
        }
    }

    fn sign(&self, result: &mut ProbeResult) {
        self.requests.sign(result);
    }

    async fn leave(self) {
        self.requests.leave().await;
    }
}
