//! What a sensor and its hub say to each other: one interface, in one process or through HTTPS.
//!
//! The hub decides, the sensor does. Whatever comes from the hub is a request: the sensor verifies
//! the mandate and its revocation list by its own trust roots, checks the plan against the mandate,
//! and makes its own gate.

use async_trait::async_trait;
use kenshin_casework::{AssessmentSummary, NewOptOut};
use kenshin_observation::{Batch, JobId, SurveyId};
use kenshin_survey::plan::SurveyPlan;
use kenshin_survey::progress::Progress;
use kenshin_survey::run::RunSummary;
use kenshin_survey::slices::SliceSet;
use kenshin_survey::space::Shard;
use serde::{Deserialize, Serialize};

use crate::authority::SignedText;
use crate::error::ActError;

mod away;
mod here;
mod pace;
mod trust;

pub use away::{Away, Enrolled, Enrolment, pack, unpack};
pub(crate) use here::Here;
pub use here::new_sensor;
pub use pace::Pace;

/// Compressed bytes of a request with batches at most.
pub const SHIPMENT_BYTES_MAX: usize = 64 << 20;
/// Bytes of its batches at most, as JSON.
pub const SHIPMENT_UNPACKED_MAX: u64 = 512 << 20;

/// Which job, and the number of its lease: reports under an older one are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The job.
    pub job_id: JobId,
    /// Number of the lease.
    pub lease: i64,
}

/// A part of a survey, given to one sensor for a while.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Lease {
    /// What is reported on.
    #[serde(flatten)]
    pub held: Held,
    /// Seconds for which it holds after the hub last heard of it.
    pub for_s: u32,
    /// The survey.
    pub survey_id: SurveyId,
    /// Which part.
    pub shard: Shard,
    /// The mandate it stands on.
    pub mandate_id: String,
    /// The plan.
    pub plan: SurveyPlan,
    /// Slices that are in the lake, as runs of first and one past last.
    pub done: Vec<(u64, u64)>,
}

impl Lease {
    /// The slices that are in the lake, as far as the plan has them.
    pub(crate) fn done(&self, slices: u64) -> SliceSet {
        let mut set = SliceSet::default();
        self.done.iter().for_each(|(first, end)| set.insert_run(*first..(*end).min(slices)));
        set
    }
}

/// The hub's answer to a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulse {
    /// False when the lease is lost: somebody else has the job.
    pub keep: bool,
    /// True when the survey is to be stopped.
    pub stop: bool,
    /// Changes when the mandate, its revocation list or the narrowing list does.
    pub papers: String,
}

/// What authorises, as the hub has it. The sensor believes none of it without verification, except
/// what takes away.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Papers {
    /// The mandate.
    pub mandate: Paper,
    /// Its revocation list, if there is one.
    pub revocation: Option<Paper>,
    /// The narrowing list.
    pub narrowing: String,
    /// As in [`Pulse::papers`].
    pub tag: String,
}

/// A signed text as it travels.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Paper {
    /// The text, byte for byte.
    pub text: String,
    /// Its signatures, armoured.
    pub signatures: Vec<String>,
}

impl From<SignedText> for Paper {
    fn from(signed: SignedText) -> Self {
        Self { text: signed.text, signatures: signed.signatures }
    }
}

/// How the work on a part ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "end")]
pub enum ShardEnd {
    /// The engine came to an end.
    Ran {
        /// Its last word.
        summary: Box<RunSummary>,
    },
    /// It could not begin or go on.
    Failed {
        /// Why.
        error: String,
    },
}

/// What somebody asked at a sensor's courtesy page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum LeaveAlone {
    /// The address that asked; the sensor has left it out already.
    Address {
        /// The address.
        addr: std::net::IpAddr,
    },
    /// A prefix, which a person decides on.
    Prefix(NewOptOut),
}

/// A sensor's hub.
#[async_trait]
pub(crate) trait Hub: Send + Sync {
    /// The part of a survey that this sensor holds already, or the next that waits for it.
    async fn lease(&self) -> Result<Option<Lease>, ActError>;

    /// Reports how far it is, and keeps the lease.
    async fn pulse(&self, held: Held, progress: &Progress) -> Result<Pulse, ActError>;

    /// Reports the end. Gives the assessment when the survey is finished with it and was assessed
    /// here and now.
    async fn end(&self, held: Held, end: &ShardEnd) -> Result<Option<AssessmentSummary>, ActError>;

    /// Hands batches over, in the order of their sequence. When this returns, the lake has them.
    async fn ship(&self, batches: Vec<Batch>) -> Result<(), ActError>;

    /// What authorises; `None` when the hub's own files are the sensor's.
    async fn papers(&self, mandate_id: &str) -> Result<Option<Papers>, ActError>;

    /// Passes on what somebody asked for.
    async fn leave_alone(&self, request: &LeaveAlone) -> Result<(), ActError>;
}

#[cfg(test)]
mod tests;
