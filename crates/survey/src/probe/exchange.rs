//! One question and its answer, in the protocols whose answers [`kenshin_wire::Answer`] delimits.

use kenshin_observation::{Check, Outcome};
use kenshin_wire::Answer;

use super::ProbeResult;
use super::session::{Heard, Link, Session};

/// What came of a question.
#[derive(Debug)]
pub(super) enum Asked<T> {
    /// The answer.
    Answer(T),
    /// Bytes of something else, and the limit that cut them, if any.
    Other(Vec<u8>, Option<&'static str>),
    /// Nothing, for this reason.
    Nothing(&'static str),
}

impl<T> Asked<T> {
    /// The answer, if that is what came.
    pub(super) fn answer(self) -> Option<T> {
        match self {
            Self::Answer(answer) => Some(answer),
            Self::Other(..) | Self::Nothing(_) => None,
        }
    }

    /// The answer, or what `check` learned that got something else instead.
    pub(super) fn answer_or_missed(self, check: Check) -> Result<T, Box<ProbeResult>> {
        let reason = match self {
            Self::Answer(answer) => return Ok(answer),
            Self::Nothing(reason) | Self::Other(_, Some(reason)) => reason,
            Self::Other(_, None) => "protocol",
        };
        Err(Box::new(ProbeResult::new(check, Outcome::Limited, Some(reason))))
    }
}

/// Says `question`, perhaps nothing, and listens until `read` knows what the answer is.
pub(super) async fn ask<S: Link, T>(
    session: &mut Session<S>,
    question: &[u8],
    wait: std::time::Duration,
    read: impl Fn(&[u8]) -> Answer<T>,
) -> Asked<T> {
    // A host may answer and close before it has taken our question: what it said counts.
    let said = match question {
        [] => Ok(()),
        _ => session.say(question).await,
    };
    let mut heard = Vec::new();
    loop {
        let ending = match session.hear(wait).await {
            Heard::Bytes(bytes) => {
                heard.extend(bytes);
                match read(&heard) {
                    Answer::More => continue,
                    Answer::Whole(answer) => return Asked::Answer(answer),
                    Answer::Other => return Asked::Other(heard, None),
                }
            }
            ending => ending,
        };
        let limit = match ending {
            Heard::Limit(limit) => Some(limit),
            _ => None,
        };
        return match heard.is_empty() {
            true => Asked::Nothing(said.err().unwrap_or(ending).reason()),
            false => Asked::Other(heard, limit),
        };
    }
}

/// A result of `check` for a service that speaks `protocol`.
pub(super) fn known(check: Check, protocol: &str) -> ProbeResult {
    let mut result = ProbeResult::new(check, Outcome::Answered, None);
    result.protocol = Some(protocol.to_owned());
    result
}
