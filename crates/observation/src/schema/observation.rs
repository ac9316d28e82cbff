//! Rows of the table `observations`.

use std::sync::{Arc, LazyLock};

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, StructArray};
use arrow_schema::{DataType, Field, FieldRef};
use serde::{Deserialize, Serialize};

use super::{SchemaError, Table, VERSION, traced, word};
use crate::protocol::Records;
use crate::{
    Check, Direction, Endpoint, Observation, Outcome, TimeUs, Tlp, Transport, addr_from_hi_lo, addr_to_hi_lo,
};

/// A row of the table `observations`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the columns are those of Observation, flattened; see DESIGN.md §5")]
pub struct ObservationRow {
    pub schema: i32,
    pub batch_id: String,
    pub row: i32,
    pub org_id: String,
    pub mandate_id: String,
    pub survey_id: String,
    pub sensor_id: String,
    pub tlp: String,
    pub t_us: i64,
    pub clock_err_us: Option<i64>,
    pub subject_addr_hi: i64,
    pub subject_addr_lo: i64,
    pub subject_port: i32,
    pub transport: String,
    pub vantage_addr_hi: i64,
    pub vantage_addr_lo: i64,
    pub vantage_port: i32,
    pub direction: String,
    pub check: String,
    pub method_version: i32,
    pub attempt: i32,
    pub outcome: String,
    pub reason: Option<String>,
    pub protocol: Option<String>,
    pub records: Records,
    pub blobs: Vec<String>,
    pub ingested_at: i64,
    /// Null when there are none, and in rows of version 1.
    pub labels: Option<Vec<String>>,
}

impl ObservationRow {
    /// Flattens an observation.
    pub fn of(o: &Observation, batch_id: &str, row: i32, ingested_at: TimeUs) -> Self {
        let (subject_addr_hi, subject_addr_lo) = addr_to_hi_lo(o.subject.addr);
        let (vantage_addr_hi, vantage_addr_lo) = addr_to_hi_lo(o.vantage.addr);
        Self {
            schema: VERSION,
            batch_id: batch_id.to_owned(),
            row,
            org_id: o.org_id.to_string(),
            mandate_id: o.mandate_id.clone(),
            survey_id: o.survey_id.to_string(),
            sensor_id: o.sensor_id.to_string(),
            tlp: o.tlp.to_string(),
            t_us: o.time.micros(),
            clock_err_us: o.clock_error_us,
            subject_addr_hi,
            subject_addr_lo,
            subject_port: o.subject.port.into(),
            transport: o.subject.transport.to_string(),
            vantage_addr_hi,
            vantage_addr_lo,
            vantage_port: o.vantage.port.into(),
            direction: o.direction.to_string(),
            check: o.check.to_string(),
            method_version: o.method_version,
            attempt: o.attempt,
            outcome: o.outcome.to_string(),
            reason: o.reason.clone(),
            protocol: o.protocol.clone(),
            records: o.records.clone(),
            blobs: o.blobs.clone(),
            ingested_at: ingested_at.micros(),
            labels: Some(o.labels.clone()).filter(|labels| !labels.is_empty()),
        }
    }

    /// The observation this row was made from.
    pub fn to_observation(&self) -> Result<Observation, SchemaError> {
        let transport = word::<Transport>("transport", &self.transport)?;
        Ok(Observation {
            org_id: word("org_id", &self.org_id)?,
            mandate_id: self.mandate_id.clone(),
            survey_id: word("survey_id", &self.survey_id)?,
            sensor_id: word("sensor_id", &self.sensor_id)?,
            tlp: word::<Tlp>("tlp", &self.tlp)?,
            time: TimeUs::from_micros(self.t_us),
            clock_error_us: self.clock_err_us,
            subject: Endpoint::new(
                addr_from_hi_lo(self.subject_addr_hi, self.subject_addr_lo),
                port("subject_port", self.subject_port)?,
                transport,
            ),
            vantage: Endpoint::new(
                addr_from_hi_lo(self.vantage_addr_hi, self.vantage_addr_lo),
                port("vantage_port", self.vantage_port)?,
                transport,
            ),
            direction: word::<Direction>("direction", &self.direction)?,
            check: word::<Check>("check", &self.check)?,
            method_version: self.method_version,
            attempt: self.attempt,
            outcome: word::<Outcome>("outcome", &self.outcome)?,
            reason: self.reason.clone(),
            protocol: self.protocol.clone(),
            records: self.records.clone(),
            blobs: self.blobs.clone(),
            labels: self.labels.clone().unwrap_or_default(),
        })
    }
}

fn port(column: &'static str, value: i32) -> Result<u16, SchemaError> {
    u16::try_from(value).map_err(|_| SchemaError::Value { column, value: value.to_string() })
}

/// The row with its records as one struct, as serde sees it.
static NESTED: LazyLock<Vec<FieldRef>> =
    LazyLock::new(|| traced::<ObservationRow>().iter().map(|field| optional(field, false)).collect());

/// Columns of the protocol records.
pub(super) static RECORDS: LazyLock<Vec<FieldRef>> =
    LazyLock::new(|| traced::<Records>().iter().map(|field| optional(field, false)).collect());

/// A column whose fields may be null: where a record is null, so is each of its fields, and not what stands
/// for nothing.
fn optional(field: &FieldRef, is_field: bool) -> FieldRef {
    let field = field.as_ref().clone().with_nullable(is_field || field.is_nullable());
    Arc::new(match field.data_type() {
        DataType::Struct(fields) => {
            let fields = fields.iter().map(|field| optional(field, true)).collect();
            field.with_data_type(DataType::Struct(fields))
        }
        _ => field,
    })
}

/// Each protocol record is a column of its own, which a query names by its protocol.
impl Table for ObservationRow {
    const NAME: &'static str = "observations";
    const APART: &'static [&'static str] = &["month", "mandate_id"];

    fn fields() -> &'static [FieldRef] {
        static FIELDS: LazyLock<Vec<FieldRef>> = LazyLock::new(|| {
            let spread =
                |field: &FieldRef| if is_records(field) { RECORDS.clone() } else { vec![field.clone()] };
            NESTED.iter().flat_map(spread).collect()
        });
        &FIELDS
    }

    fn to_arrow(rows: &[Self]) -> Result<RecordBatch, SchemaError> {
        let nested = serde_arrow::to_arrow(&NESTED, rows).map_err(Self::failed)?;
        let spread = |(field, column): (&FieldRef, ArrayRef)| {
            if is_records(field) { column.as_struct().columns().to_vec() } else { vec![column] }
        };
        let columns = NESTED.iter().zip(nested).flat_map(spread).collect();
        Ok(RecordBatch::try_new(Self::schema(), columns).expect("the columns are those of the fields"))
    }

    fn from_arrow(batch: &RecordBatch) -> Result<Vec<Self>, SchemaError> {
        let (records, mut row): (Vec<_>, Vec<_>) = batch
            .schema_ref()
            .fields()
            .iter()
            .cloned()
            .zip(batch.columns().iter().cloned())
            .partition(|(field, _)| RECORDS.iter().any(|record| record.name() == field.name()));
        let (fields, columns): (Vec<_>, Vec<_>) = records.into_iter().unzip();
        let nested = StructArray::try_new_with_length(fields.into(), columns, None, batch.num_rows())
            .expect("columns of one batch fit each other");
        row.push((Arc::new(Field::new("records", nested.data_type().clone(), false)), Arc::new(nested)));
        let (fields, columns): (Vec<FieldRef>, Vec<ArrayRef>) = row.into_iter().unzip();
        serde_arrow::from_arrow(&fields, &columns).map_err(Self::failed)
    }
}

fn is_records(field: &Field) -> bool {
    field.name() == "records"
}
