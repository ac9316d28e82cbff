//! How far a survey is.

use std::collections::BTreeMap;

use kenshin_observation::{SurveyId, TimeUs};
use serde::{Deserialize, Serialize};

use crate::run::front::miss::MissEstimate;

/// What a survey is waiting for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "for")]
pub enum Waiting {
    /// The mandate's rates.
    Rate {
        /// Until when.
        until: TimeUs,
    },
    /// The spool is full and must drain.
    Spool,
    /// This machine has no room for more connections.
    Room {
        /// What is missing: `descriptors`, `ports`, `memory`.
        what: String,
    },
    /// The mandate does not stand at the moment (hours of the day, a stale revocation list).
    Mandate {
        /// The refusal's code.
        code: String,
    },
    /// The lists that narrow could not be read again in time.
    Refresh,
}

/// How far and why a survey has slowed down by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SlowedDown {
    /// Part of the mandate's rate that is used, from 1/64 to 1.
    pub factor: f64,
    /// `unreachable`, `loss`, `latency` or `drops`.
    pub why: String,
}

/// How far a survey is. Published several times a second.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The survey.
    pub survey_id: Option<SurveyId>,
    /// Targets of this run's shard.
    pub targets_total: u64,
    /// Targets decided, those of earlier runs included.
    pub targets_done: u64,
    /// Slices of this run's shard.
    pub slices_total: u64,
    /// Slices sealed, those of earlier runs included.
    pub slices_done: u64,
    /// Exchanges begun by this run.
    pub sent: u64,
    /// Targets that answered in this run.
    pub answered: u64,
    /// Targets that refused in this run.
    pub refused: u64,
    /// Targets that were silent in this run.
    pub silent: u64,
    /// Targets the mandate or a limit kept from being asked, in this run.
    pub limited: u64,
    /// Conversations going on.
    pub conversations: u64,
    /// Services recognised in this run, by protocol.
    pub hits: BTreeMap<String, u64>,
    /// Exchanges a second over the last seconds.
    pub rate_pps: f64,
    /// Seconds to the end at the present pace.
    pub eta_s: Option<u64>,
    /// What it is waiting for, when it is.
    pub waiting: Option<Waiting>,
    /// Packets that this machine could not send.
    #[serde(default)]
    pub dropped: u64,
    /// Packets that came and that this machine could not hold.
    #[serde(default)]
    pub missed_by_kernel: u64,
    /// Answers that came after their slice was over.
    #[serde(default)]
    pub late: u64,
    /// Further answers of targets that had answered; counted once.
    #[serde(default)]
    pub repeated: u64,
    /// Estimated share of answering targets that were missed; `None` when it is not measured.
    #[serde(default)]
    pub miss: Option<MissEstimate>,
    /// How far it has slowed down by itself, when it has.
    #[serde(default)]
    pub slowed: Option<SlowedDown>,
    /// When this was so.
    pub now_us: i64,
    /// The run has ended.
    pub ended: bool,
}
