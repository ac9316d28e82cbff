//! How soon something must be done, as a person can follow it: four questions, their answers with
//! reasons, and the decision that a published table gives. Never one opaque number.

use serde::{Deserialize, Serialize};

use crate::Explanation;
use crate::words::words;

words!(
    /// What to do, as CISA words it for SSVC.
    Decision, "decision" {
        /// Nothing beyond the next regular update.
        Track = "track",
        /// Like track, and watch for changes (CISA's Track*).
        TrackClosely = "track-closely",
        /// Sooner than regularly; somebody in charge should know.
        Attend = "attend",
        /// As soon as possible.
        Act = "act",
    }
);

words!(
    /// Whether attackers use the weakness.
    Exploitation, "exploitation" {
        /// No sign of it.
        None = "none",
        /// The way is public.
        Poc = "poc",
        /// They do.
        Active = "active",
    }
);

words!(
    /// Who can reach it.
    Exposure, "exposure" {
        /// Hardly anybody.
        Small = "small",
        /// Those inside of a network.
        Controlled = "controlled",
        /// Everybody.
        Open = "open",
    }
);

words!(
    /// Whether attackers can do it to all at once, without a person's work on each.
    Automatable, "automatable" {
        /// Not.
        No = "no",
        /// They can.
        Yes = "yes",
    }
);

words!(
    /// What it does to people and to what they need.
    Impact, "impact" {
        /// Little.
        Low = "low",
        /// Noticeable.
        Medium = "medium",
        /// The device is somebody else's, or what it keeps is.
        High = "high",
        /// People may be hurt, or many lose what they need.
        VeryHigh = "very-high",
    }
);

/// The decision with what it follows from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Priority {
    /// What to do.
    pub decision: Decision,
    /// Answer to the first question.
    pub exploitation: Exploitation,
    /// Answer to the second.
    pub exposure: Exposure,
    /// Answer to the third.
    pub automatable: Automatable,
    /// Answer to the fourth.
    pub impact: Impact,
    /// Why these answers, in the order of the questions; evidence that changes none of them comes with
    /// the question it is about.
    pub reasons: Vec<Explanation>,
}
