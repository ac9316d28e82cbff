//! Requests of HTTP and RTSP, one after the other, over as few connections as the service lets us.

use std::time::Duration;

use kenshin_wire::http::{self, HttpError, Progress, Response, ResponseDecoder, Version};

use super::door::{AnySession, NotReady};
use crate::probe::conversation::Lines;
use crate::probe::session::Heard;
use crate::probe::{Connect, ProbeResult};

/// Requests over one connection before a new one is made.
const REQUESTS_PER_CONNECTION: u32 = 6;

struct Open {
    session: AnySession,
    requests: u32,
}

/// Carries requests to one endpoint.
pub(super) struct Requests<'a, C> {
    pub(super) lines: Lines<'a, C>,
    pub(super) tls: bool,
    open: Option<Open>,
}

impl<'a, C: Connect> Requests<'a, C> {
    pub(super) fn new(lines: Lines<'a, C>, tls: bool) -> Self {
        Self { lines, tls, open: None }
    }

    /// An open connection: the one there is, unless it ended meanwhile, or a new one.
    pub(super) async fn reopen(&mut self) -> Result<(), NotReady> {
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

    /// Sends `request` over the open connection and reads at most `bytes_max` of the response; keeps the
    /// connection when it can be used again.
    pub(super) async fn exchange(&mut self, request: &[u8], bytes_max: usize) -> Result<Response, Heard> {
        let Some(mut open) = self.open.take() else { return Err(Heard::Closed) };
        open.session.limit_bytes(bytes_max);
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

    /// Adds to `result` what the connections know.
    pub(super) fn sign(&self, result: &mut ProbeResult) {
        self.lines.sign(result);
    }

    /// Closes.
    pub(super) async fn leave(self) {
        if let Some(open) = self.open {
            open.session.part(&[]).await;
        }
    }
}

/// The connection stays because the service says so. HTTP/1.1 says it by saying nothing, and devices
/// hang up all the same: a pair sent after that would be lost, and may never be sent again. RTSP is made
/// of one connection.
fn promises_to_stay(response: &Response) -> bool {
    let connection = response.head.headers.get("connection").unwrap_or_default().to_ascii_lowercase();
    response.complete
        && match response.head.version {
            Version::Rtsp10 => !connection.contains("close"),
            Version::Http10 | Version::Http11 => connection.contains("keep-alive"),
        }
}
