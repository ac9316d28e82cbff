//! The Arrow schema of the lake's tables, versioned, and the rows in it.
//!
//! Rows are flat: an address is two order-preserving longs (`subject_addr_hi`, `_lo`), instants
//! are µs (`t_us`), words are text. Each protocol record is a nullable struct. The schema is derived
//! from the row types and held against `testdata/schema/` by a test, so that it cannot drift.
//!
//! A new version only adds, and what it adds may be null: rows of version 1 (ten protocols) are rows
//! of version 2 (thirty-two, labels) that lack some columns, and these rows of version 3 (key exchange
//! of TLS) that lack some fields. What is no longer written may be null too: bytes were once digits.

use std::sync::{Arc, LazyLock};

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};
use serde::{Deserialize, Serialize};
use serde_arrow::schema::{SchemaLike, TracingOptions};

use crate::words::words;
use crate::{Batch, BatchHeader, Blob, BlobClass, Coverage, TimeUs};

mod intake;
mod observation;
mod service;

pub use intake::{Group, Intake, Taken};
pub use observation::ObservationRow;
pub use service::{SERVICE_VERSION, ServiceKey, ServiceRow, Software};

/// Version of the observation schema written today; stored in the column `schema`.
pub const VERSION: i32 = 3;

/// A row could not be turned into Arrow or back.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// Arrow and the row type do not fit.
    #[error("failed to convert rows of `{table}`")]
    Convert {
        /// Table name.
        table: &'static str,
        /// Cause.
        #[source]
        source: serde_arrow::Error,
    },
    /// A stored word or id is not one of ours.
    #[error("column `{column}` holds `{value}`, which is not valid")]
    Value {
        /// Column name.
        column: &'static str,
        /// What it holds.
        value: String,
    },
}

/// A row of the table `blobs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "see DESIGN.md §5")]
pub struct BlobRow {
    pub sha256: String,
    pub class: String,
    /// In rows that an older version wrote.
    pub bytes_hex: Option<String>,
    pub size: i64,
    pub mandate_id: String,
    pub t_us: i64,
    pub bytes: Option<Vec<u8>>,
}

/// A row of the table `coverage`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "see DESIGN.md §5")]
pub struct CoverageRow {
    pub batch_id: String,
    pub survey_id: String,
    pub sensor_id: String,
    pub mandate_digest: String,
    pub target_digest: String,
    pub permutation_key: String,
    pub index_from: i64,
    pub index_to: i64,
    pub t_from: i64,
    pub t_to: i64,
    pub sent: i64,
    pub dropped: i64,
    /// Null in rows that an older version wrote, and when nothing in the batch answered.
    pub mandate_id: Option<String>,
}

/// A row of the table `batches`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "see DESIGN.md §5")]
pub struct BatchRow {
    pub schema: i32,
    pub batch_id: String,
    pub sensor_id: String,
    pub survey_id: String,
    pub slice: i64,
    pub sequence: i64,
    pub rows: i64,
    pub root: String,
    pub previous: String,
    pub mandate_digest: String,
    pub attachments_sha256: String,
    pub build: String,
    pub sealed_at: i64,
    pub signature: String,
    pub ingested_at: i64,
}

/// A row of the table `salts`, kept apart so that erasing rows leaves valid proofs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "see DESIGN.md §5")]
pub struct SaltRow {
    pub batch_id: String,
    pub row: i32,
    /// Hexadecimal, in rows that an older version wrote.
    pub salt: Option<String>,
    pub bytes: Option<Vec<u8>>,
    /// Null in rows that an older version wrote.
    pub mandate_id: Option<String>,
}

/// A row of the table `erasures`: what retention took away, kept for ever so that proofs stay whole. An
/// erasure has rows of three steps, told by [`ErasureStep`]. It counts when the table it is about holds the
/// application transaction `erasure:ID`, which comes with the removal of the files: one that was given up
/// before never happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the type says it")]
pub struct ErasureRow {
    pub schema: i32,
    pub erasure_id: String,
    pub step: String,
    /// The table that rows were taken from.
    pub of_table: String,
    pub month: Option<String>,
    pub mandate_id: Option<String>,
    pub class: Option<String>,
    pub batch_id: Option<String>,
    /// Rows that were taken away: of the batch, else of the table.
    pub rows: i64,
    /// What stands for them in the tree of their batch ([`crate::merkle::Node::to_bytes`]).
    pub nodes: Option<Vec<u8>>,
    /// JSON.
    pub statement: Option<String>,
    pub written_at: i64,
}

words!(
    /// What a row of `erasures` tells.
    ErasureStep, "erasure step" {
        /// What is to be taken away, written before anything is.
        Intent = "intent",
        /// What is taken away of one batch, written with the intent.
        Batch = "batch",
        /// What was done, written when the bytes were gone.
        Proof = "proof",
    }
);

macro_rules! tables {
    ($($row:ty = $table:literal, $apart:expr;)+) => {
        $(
            impl Table for $row {
                const NAME: &'static str = $table;
                const APART: &'static [&'static str] = $apart;
                fn fields() -> &'static [FieldRef] {
                    static FIELDS: LazyLock<Vec<FieldRef>> = LazyLock::new(traced::<$row>);
                    &FIELDS
                }
            }
        )+
    };
}

/// The columns of a type. What is called `bytes` or `nodes` is bytes, not a list of numbers.
fn traced<T: for<'de> Deserialize<'de>>() -> Vec<FieldRef> {
    let options = TracingOptions::default().sequence_as_large_list(false).strings_as_large_utf8(false);
    let fields = Vec::<FieldRef>::from_type::<T>(options).expect("row types are plain structs");
    let as_bytes = |field: FieldRef| match field.name().as_str() {
        name @ ("bytes" | "nodes") => Arc::new(Field::new(name, DataType::Binary, field.is_nullable())),
        _ => field,
    };
    fields.into_iter().map(as_bytes).collect()
}

/// A row type and the table it belongs to.
pub trait Table: Serialize + for<'de> Deserialize<'de> + Sized {
    /// Name of the table and of its folder in the lake.
    const NAME: &'static str;

    /// Columns by whose values rows are kept apart in files, so that some can be taken away whole. The
    /// first is `month`, that of the observation in UTC, which is no column of the row itself.
    const APART: &'static [&'static str];

    /// Columns in order.
    fn fields() -> &'static [FieldRef];

    /// The Arrow schema.
    fn schema() -> SchemaRef {
        Arc::new(Schema::new(Self::fields().to_vec()))
    }

    /// Rows as one record batch.
    fn to_arrow(rows: &[Self]) -> Result<RecordBatch, SchemaError> {
        serde_arrow::to_record_batch(Self::fields(), &rows).map_err(Self::failed)
    }

    /// Rows of a record batch.
    fn from_arrow(batch: &RecordBatch) -> Result<Vec<Self>, SchemaError> {
        serde_arrow::from_record_batch(batch).map_err(Self::failed)
    }

    /// The error of a conversion of this table's rows.
    fn failed(source: serde_arrow::Error) -> SchemaError {
        SchemaError::Convert { table: Self::NAME, source }
    }
}

tables! {
    BlobRow = "blobs", &["month", "mandate_id", "class"];
    CoverageRow = "coverage", &["month", "mandate_id"];
    // What proofs rest on is kept for ever, and so in one place.
    BatchRow = "batches", &[];
    SaltRow = "salts", &["month", "mandate_id"];
    ErasureRow = "erasures", &[];
    ServiceRow = "services", &[];
}

impl BlobRow {
    /// The blob this row was made from.
    pub fn to_blob(&self) -> Result<Blob, SchemaError> {
        let lost = || SchemaError::Value { column: "bytes", value: self.sha256.clone() };
        let bytes = match (&self.bytes, &self.bytes_hex) {
            (Some(bytes), _) => bytes.clone(),
            (None, Some(digits)) => hex::decode(digits).map_err(|_| lost())?,
            (None, None) => return Err(lost()),
        };
        Ok(Blob { class: word::<BlobClass>("class", &self.class)?, bytes })
    }
}

impl CoverageRow {
    fn of(c: &Coverage, batch: &Batch) -> Self {
        Self {
            batch_id: batch.header.batch_id.to_string(),
            survey_id: c.survey_id.to_string(),
            sensor_id: c.sensor_id.to_string(),
            mandate_digest: c.mandate_digest.clone(),
            target_digest: c.target_digest.clone(),
            permutation_key: c.permutation_key.clone(),
            index_from: c.index_from,
            index_to: c.index_to,
            t_from: c.time_from.micros(),
            t_to: c.time_to.micros(),
            sent: c.sent,
            dropped: c.dropped,
            mandate_id: batch.mandate_id().map(str::to_owned),
        }
    }
}

impl BatchRow {
    fn of(header: &BatchHeader, ingested_at: TimeUs) -> Self {
        Self {
            schema: header.schema,
            batch_id: header.batch_id.to_string(),
            sensor_id: header.sensor_id.to_string(),
            survey_id: header.survey_id.to_string(),
            slice: header.slice,
            sequence: header.sequence,
            rows: header.rows,
            root: header.root.clone(),
            previous: header.previous.clone(),
            mandate_digest: header.mandate_digest.clone(),
            attachments_sha256: header.attachments_sha256.clone(),
            build: header.build.clone(),
            sealed_at: header.sealed_at.micros(),
            signature: header.signature.clone(),
            ingested_at: ingested_at.micros(),
        }
    }
}

fn word<T: std::str::FromStr>(column: &'static str, value: &str) -> Result<T, SchemaError> {
    value.parse().map_err(|_| SchemaError::Value { column, value: value.to_owned() })
}

#[cfg(test)]
mod tests;
