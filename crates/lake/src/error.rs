//! Why the lake could not do what was asked.

use std::sync::Arc;

use deltalake::DeltaTableError;
use kenshin_observation::schema::SchemaError;

use crate::location::StoreTrouble;

/// Why the lake could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// The store cannot be used.
    #[error("the store of the lake at `{location}` {trouble}")]
    Store {
        /// Where the lake is.
        location: String,
        /// What the store does not do.
        trouble: StoreTrouble,
    },
    /// The folder or what is in it cannot be used.
    #[error("failed to open the lake table `{table}` in `{location}`")]
    Open {
        /// Table name.
        table: &'static str,
        /// Where the lake is.
        location: String,
        /// Cause.
        #[source]
        source: Box<DeltaTableError>,
    },
    /// A commit did not happen; the batches stay in the spool and come again.
    #[error("failed to commit batches {from} to {to} to the lake table `{table}`")]
    Commit {
        /// Table name.
        table: &'static str,
        /// First sequence.
        from: i64,
        /// Last sequence.
        to: i64,
        /// Cause.
        #[source]
        source: Box<DeltaTableError>,
    },
    /// Reading failed.
    #[error("failed to read the lake table `{table}`")]
    Read {
        /// Table name.
        table: &'static str,
        /// Cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A table that is kept elsewhere could not be read.
    #[error("failed to read the table `{table}`")]
    Annex {
        /// Table name.
        table: &'static str,
        /// Cause.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The query is not one the lake answers: the fault is in its text.
    #[error("the query cannot be answered: {message}")]
    Query {
        /// What the planner said.
        message: String,
    },
    /// The query would take more than it may: more text, tables or memory.
    #[error("the query is too large: {message}")]
    Large {
        /// What is too large.
        message: String,
    },
    /// The query ran into a limit.
    #[error("the query was stopped: more than {limit} {unit}")]
    Limit {
        /// The limit.
        limit: u64,
        /// Its unit.
        unit: &'static str,
    },
    /// The view of what somebody may see alone is not made yet.
    #[error("the current view of what {mandates} brought is not made yet")]
    Unmade {
        /// Its mandates.
        mandates: String,
    },
    /// A worker broke off when a part of the answer had been given out.
    #[error("a worker broke off in the middle of the answer")]
    Worker(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Rows do not fit the schema.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

impl LakeError {
    /// True when there was no room to write: nothing that was committed is lost, and the same can be done
    /// again when there is.
    pub fn lacks_room(&self) -> bool {
        use std::io::{Error, ErrorKind};
        std::iter::successors(std::error::Error::source(self), |cause| cause.source())
            .filter_map(|cause| cause.downcast_ref::<Error>())
            .any(|cause| matches!(cause.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded))
    }
}
