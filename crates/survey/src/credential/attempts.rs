//! The order of attempts at one service, whatever its method.

use std::time::Duration;

use kenshin_observation::{Check, Endpoint, Outcome, protocol};
use tokio::time::Instant;

use super::door::{Door, NotReady};
use super::{Attempt, AttemptJournal, AttemptVerdict, Dictionary, Entry, Method};
use crate::probe::{Limits, ProbeResult};

/// What a service said to one pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The pair opens it.
    Accepted,
    /// It does not.
    Rejected,
    /// The service has closed itself to us, or the account to everybody: stop.
    LockedOut,
    /// The service wants us to wait: stop.
    Delayed,
    /// Nothing that decides, for this reason: stop.
    Unclear(&'static str),
}

/// Limits for conversations in which a service may think before it says no: PAM waits two to
/// three seconds on purpose.
pub(super) fn patient(limits: &Limits) -> Limits {
    Limits {
        answer: limits.answer.max(Duration::from_secs(6)),
        conversation: limits.conversation.max(Duration::from_secs(30)),
        connections_max: u32::MAX, // the journal caps attempts, and each attempt opens one at most
        ..*limits
    }
}

/// An answer that took so much longer than the first one is a sign of lockout. PAM varies its delay
/// by a quarter, and small devices think for a second or two when they are busy.
fn has_grown(first: Duration, latest: Duration) -> bool {
    latest > first * 3 / 2 + Duration::from_secs(4)
}

/// What a service that lets nobody near any more means by it, when it had `attempts` of ours: the result
/// and the reason.
fn turned_away(attempts: i32, not_ready: NotReady) -> (&'static str, Outcome, String) {
    let (outcome, reason) = match not_ready {
        NotReady::TurnedAway if attempts == 0 => (Outcome::Limited, "refused".to_owned()),
        NotReady::TurnedAway => return ("locked-out", Outcome::Limited, "lockout".to_owned()),
        NotReady::Delayed => (Outcome::Limited, "delay".to_owned()),
        NotReady::Other { outcome, reason } => (outcome, reason),
    };
    if attempts > 0 {
        match reason.as_str() {
            // It took connections before: a filter stands before it now.
            "connect" => return ("locked-out", Outcome::Limited, "lockout".to_owned()),
            "silent" | "delay" => return ("locked-out", Outcome::Limited, "delay".to_owned()),
            _ => {}
        }
    }
    ("interrupted", outcome, reason)
}

/// How the attempts ended.
pub(super) struct Ended {
    result: &'static str,
    outcome: Outcome,
    reason: Option<String>,
    entry: Option<i32>,
    attempts: i32,
}

impl Ended {
    /// The result of the check.
    pub(super) fn result(self, method: Method, dictionary: &Dictionary) -> ProbeResult {
        let mut result = ProbeResult::new(Check::CredentialCheck, self.outcome, self.reason.as_deref());
        result.records.credential = Some(Box::new(protocol::Credential {
            method: method.as_str().to_owned(),
            result: self.result.to_owned(),
            dictionary_sha256: dictionary.sha256().to_owned(),
            entry: self.entry,
            attempts: self.attempts,
        }));
        result
    }
}

/// Tries `entries` (number and pair) one after the other at `door`.
pub(super) async fn run(
    door: &mut impl Door,
    endpoint: Endpoint,
    method: Method,
    dictionary: &Dictionary,
    entries: &[(i32, &Entry)],
    journal: &impl AttemptJournal,
) -> Ended {
    let mut ended =
        Ended { result: "rejected", outcome: Outcome::Answered, reason: None, entry: None, attempts: 0 };
    let stop = |mut ended: Ended, result, outcome, reason: Option<&str>| {
        ended.result = result;
        ended.outcome = outcome;
        ended.reason = reason.map(str::to_owned);
        ended
    };
    let mut first_delay = None;
    for &(number, entry) in entries {
        // The service must be ready to take a pair before the journal says that one was sent.
        if let Err(not_ready) = door.ready(entry).await {
            let (result, outcome, reason) = turned_away(ended.attempts, not_ready);
            return stop(ended, result, outcome, Some(&reason));
        }
        let attempt = Attempt {
            device: format!("addr:{}", endpoint.addr),
            endpoint,
            method,
            dictionary_sha256: dictionary.sha256().to_owned(),
            entry: number,
        };
        match journal.begin(&attempt).await {
            Ok(AttemptVerdict::Allowed) => {}
            // A run before this one made it. What it learned is lost, and may have been a success or a
            // lockout: nothing may follow.
            Ok(AttemptVerdict::AlreadyTried) => {
                return stop(ended, "interrupted", Outcome::Limited, Some("already-tried"));
            }
            Ok(AttemptVerdict::Capped) => return stop(ended, "capped", Outcome::Limited, Some("capped")),
            Err(_) => return stop(ended, "interrupted", Outcome::Error, Some("journal")),
        }
        ended.attempts += 1;
        let began = Instant::now();
        match door.attempt(entry).await {
            Verdict::Accepted => {
                ended.entry = Some(number);
                return stop(ended, "accepted", Outcome::Answered, None);
            }
            Verdict::LockedOut => return stop(ended, "locked-out", Outcome::Limited, Some("lockout")),
            Verdict::Delayed => return stop(ended, "locked-out", Outcome::Limited, Some("delay")),
            // It answered before, and nobody listens there now.
            Verdict::Unclear("refused") if first_delay.is_some() => {
                return stop(ended, "locked-out", Outcome::Limited, Some("lockout"));
            }
            // It answered before, and takes its time now.
            Verdict::Unclear("silent" | "time") if first_delay.is_some() => {
                return stop(ended, "locked-out", Outcome::Limited, Some("delay"));
            }
            Verdict::Unclear(reason) => return stop(ended, "interrupted", Outcome::Limited, Some(reason)),
            Verdict::Rejected => {
                let delay = began.elapsed();
                if has_grown(*first_delay.get_or_insert(delay), delay) {
                    return stop(ended, "locked-out", Outcome::Limited, Some("delay"));
                }
            }
        }
    }
    ended
}
