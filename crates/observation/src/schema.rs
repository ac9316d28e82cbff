//! The Arrow schema of the lake's tables, versioned, and the rows in it.
//!
//! Rows are flat: an address is two order-preserving longs (`subject_addr_hi`, `_lo`), instants
//! are µs (`t_us`), words are text. Each protocol record is a nullable struct. The schema is derived
//! from the row types and held against `testdata/schema/` by a test, so that it cannot drift.
//!
//! A new version only adds, and what it adds may be null: rows of version 1 (ten protocols) are rows
//! of version 2 (thirty-two, labels) that lack some columns, and these rows of version 3 (key exchange
//! of TLS) that lack some fields.

use std::sync::{Arc, LazyLock};

use arrow_array::RecordBatch;
use arrow_schema::{FieldRef, Schema, SchemaRef};
use serde::{Deserialize, Serialize};
use serde_arrow::schema::{SchemaLike, TracingOptions};

use crate::{Batch, Blob, BlobClass, Coverage, TimeUs};

mod observation;
mod service;

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
    pub bytes_hex: String,
    pub size: i64,
    pub mandate_id: String,
    pub t_us: i64,
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
    pub salt: String,
}

macro_rules! tables {
    ($($(#[$doc:meta])* $function:ident: $row:ty = $table:literal;)+) => {
        $(
            impl Table for $row {
                const NAME: &'static str = $table;
                fn fields() -> &'static [FieldRef] {
                    static FIELDS: LazyLock<Vec<FieldRef>> = LazyLock::new(traced::<$row>);
                    &FIELDS
                }
            }
        )+
    };
}

/// The columns of a type.
fn traced<T: for<'de> Deserialize<'de>>() -> Vec<FieldRef> {
    let options = TracingOptions::default().sequence_as_large_list(false).strings_as_large_utf8(false);
    Vec::<FieldRef>::from_type::<T>(options).expect("row types are plain structs")
}

/// A row type and the table it belongs to.
pub trait Table: Serialize + for<'de> Deserialize<'de> + Sized {
    /// Name of the table and of its folder in the lake.
    const NAME: &'static str;

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
    blobs: BlobRow = "blobs";
    coverage: CoverageRow = "coverage";
    batches: BatchRow = "batches";
    salts: SaltRow = "salts";
    services: ServiceRow = "services";
}

/// The rows that one batch becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "one list a table")]
pub struct Rows {
    pub observations: Vec<ObservationRow>,
    pub blobs: Vec<BlobRow>,
    pub coverage: Vec<CoverageRow>,
    pub batches: Vec<BatchRow>,
    pub salts: Vec<SaltRow>,
}

impl Rows {
    /// Flattens a batch; `ingested_at` is when the lake takes it.
    pub fn of(batch: &Batch, ingested_at: TimeUs) -> Self {
        let header = &batch.header;
        let batch_id = header.batch_id.to_string();
        let mandate_id = batch.observations.first().map(|o| o.mandate_id.clone()).unwrap_or_default();
        let number = |row: usize| i32::try_from(row).expect("a batch has fewer than 2^31 rows");
        Self {
            observations: batch
                .observations
                .iter()
                .enumerate()
                .map(|(row, o)| ObservationRow::of(o, &batch_id, number(row), ingested_at))
                .collect(),
            blobs: batch.blobs.iter().map(|blob| BlobRow::of(blob, &mandate_id, header.sealed_at)).collect(),
            coverage: batch.coverage.iter().map(|c| CoverageRow::of(c, &batch_id)).collect(),
            batches: vec![BatchRow {
                schema: header.schema,
                batch_id: batch_id.clone(),
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
            }],
            salts: batch
                .salts
                .iter()
                .enumerate()
                .map(|(row, salt)| SaltRow {
                    batch_id: batch_id.clone(),
                    row: number(row),
                    salt: salt.clone(),
                })
                .collect(),
        }
    }
}

impl BlobRow {
    fn of(blob: &Blob, mandate_id: &str, now: TimeUs) -> Self {
        Self {
            sha256: blob.sha256(),
            class: blob.class.to_string(),
            bytes_hex: hex::encode(&blob.bytes),
            size: i64::try_from(blob.bytes.len()).expect("a blob fits in memory"),
            mandate_id: mandate_id.to_owned(),
            t_us: now.micros(),
        }
    }

    /// The blob this row was made from.
    pub fn to_blob(&self) -> Result<Blob, SchemaError> {
        let bytes = hex::decode(&self.bytes_hex)
            .map_err(|_| SchemaError::Value { column: "bytes_hex", value: self.sha256.clone() })?;
        Ok(Blob { class: word::<BlobClass>("class", &self.class)?, bytes })
    }
}

impl CoverageRow {
    fn of(c: &Coverage, batch_id: &str) -> Self {
        Self {
            batch_id: batch_id.to_owned(),
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
        }
    }
}

fn word<T: std::str::FromStr>(column: &'static str, value: &str) -> Result<T, SchemaError> {
    value.parse().map_err(|_| SchemaError::Value { column, value: value.to_owned() })
}

#[cfg(test)]
mod tests;
