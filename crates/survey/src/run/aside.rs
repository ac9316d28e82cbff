//! A slice set aside: what was known of it when a survey was stopped, so that the next run goes on
//! in the middle and a stop costs no attempt.
//!
//! Only an orderly stop sets aside. A crash leaves a slice that was begun, and that is redone.

use std::net::SocketAddr;

use kenshin_observation::{Blob, Observation, TimeUs};
use serde::{Deserialize, Serialize};

use super::sealing::{Context, talk_rows};
use super::slice::{End, Implied, Swept, Work};
use crate::space::Slice;
use crate::sweep::Reply;

/// Version of the format written today.
const VERSION: u32 = 1;

/// Every reason an end can carry, of ours and of the mandate's.
const REASONS: &[&str] = &[
    "attempts-exhausted",
    "breaker",
    "check-not-granted",
    "connect",
    "descriptors",
    "excluded",
    "family",
    "host-unreachable",
    "internal",
    "listen-only",
    "memory",
    "net-unreachable",
    "no-route",
    "outside-scope",
    "port-not-granted",
    "ports",
    "prohibited",
    "protocol-unreachable",
    "socket",
    "source-address",
    "time-exceeded",
    "transport",
];

/// What is kept of a slice.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Aside {
    version: u32,
    pub(super) slice: u64,
    pub(super) attempt: u32,
    began_at: TimeUs,
    sent: u64,
    /// Nothing was heard of the targets that are not listed: their sweep is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    implied: Option<Implied>,
    targets: Vec<KeptTarget>,
    rows: Vec<(u32, Observation)>,
    blobs: Vec<Blob>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptTarget {
    target: u32,
    asks: u32,
    failures: u32,
    done: bool,
    swept: Option<KeptSwept>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptSwept {
    end: String,
    reason: Option<String>,
    at: TimeUs,
    vantage: Option<SocketAddr>,
}

impl Aside {
    /// Keeps what is known of a slice of which nothing is in flight any more.
    pub(super) fn of(mut work: Work, context: &Context) -> Self {
        let (mut rows, blobs) = talk_rows(&mut work, context);
        // What is not done is talked to again from the beginning, and has one row of each then.
        rows.retain(|(target, _)| work.targets[*target as usize].done);
        let targets = work
            .targets
            .iter()
            .filter(|(_, target)| target.asks > 0 || target.swept.is_some())
            .map(|(number, target)| KeptTarget {
                target: number,
                // What was in flight was reset and is asked again.
                asks: target.asks - u32::from(target.asking),
                failures: target.failures,
                done: target.done,
                swept: target.swept.map(KeptSwept::of),
            })
            .collect();
        Self {
            version: VERSION,
            slice: work.slice.number,
            attempt: work.attempt,
            began_at: work.began_at,
            sent: work.sent,
            implied: work.implied,
            targets,
            rows,
            blobs,
        }
    }

    /// The slice as it was; `None` when this is not an account of it.
    pub(super) fn restore(self, slice: Slice, breaker_after: u32) -> Option<Work> {
        if self.version != VERSION || self.slice != slice.number {
            return None;
        }
        if self.implied.is_some() {
            return self.restore_swept(slice);
        }
        let mut work = Work::new(slice, self.attempt, breaker_after, self.began_at);
        for kept in self.targets {
            let (host, endpoint) = work.targets.get(kept.target).map(|_| work.endpoint(kept.target))?;
            let swept = match kept.swept {
                Some(swept) => Some(swept.restore()?),
                None => None,
            };
            if matches!(swept, Some(Swept { end: End::Reply(Reply::Answered | Reply::Refused), .. })) {
                work.hosts[host].alive(endpoint.port);
            }
            let target = &mut work.targets[kept.target as usize];
            (target.asks, target.failures, target.swept) = (kept.asks, kept.failures, swept);
            target.done = kept.done && swept.is_some();
            if target.done {
                work.left -= 1;
                work.hosts[host].left -= 1;
            }
        }
        (work.sent, work.kept, work.kept_blobs) = (self.sent, self.rows, self.blobs);
        Some(work)
    }

    /// A slice whose raw sweep was over: only conversations may be left.
    fn restore_swept(self, slice: Slice) -> Option<Work> {
        let mut work = Work::empty(slice, self.attempt, self.began_at);
        for kept in self.targets {
            if kept.target >= work.targets.len() {
                return None;
            }
            work.know(kept.target, kept.swept?.restore()?, |_| !kept.done);
        }
        (work.sent, work.kept, work.kept_blobs) = (self.sent, self.rows, self.blobs);
        work.implied = self.implied;
        Some(work)
    }
}

impl KeptSwept {
    fn of(swept: Swept) -> Self {
        let (end, reason) = match swept.end {
            End::Reply(Reply::Answered) => ("answered", None),
            End::Reply(Reply::Refused) => ("refused", None),
            End::Reply(Reply::Silent) => ("silent", None),
            End::Reply(Reply::Filtered(reason)) => ("filtered", Some(reason)),
            End::Reply(Reply::Busy(reason) | Reply::Failed(reason)) | End::Error(reason) => {
                ("error", Some(reason))
            }
            End::Limited(reason) => ("limited", Some(reason)),
        };
        Self { end: end.into(), reason: reason.map(str::to_owned), at: swept.at, vantage: swept.vantage }
    }

    fn restore(self) -> Option<Swept> {
        let reason = match self.reason {
            Some(text) => REASONS.iter().copied().find(|known| *known == text)?,
            None => "",
        };
        let end = match self.end.as_str() {
            "answered" => End::Reply(Reply::Answered),
            "refused" => End::Reply(Reply::Refused),
            "silent" => End::Reply(Reply::Silent),
            "filtered" => End::Reply(Reply::Filtered(reason)),
            "error" => End::Error(reason),
            "limited" => End::Limited(reason),
            _ => return None,
        };
        Some(Swept { end, at: self.at, vantage: self.vantage })
    }
}
