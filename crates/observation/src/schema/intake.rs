//! Batches as the columns of each table, in the order in which they are stored.
//!
//! Observations lie by month and mandate, so that retention takes away whole files, and within these by
//! address, port and time, so that what is known of one host lies together. They go from batches into
//! columns without rows in between: taking them is what the lake does most.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BinaryArray, Int32Array, Int64Array, RecordBatch, StringArray, UInt32Array,
};
use serde::Serialize;

use super::observation::RECORDS;
use super::{BatchRow, BlobRow, CoverageRow, ObservationRow, SaltRow, SchemaError, Table, VERSION};
use crate::protocol::Records;
use crate::{Batch, Observation, TimeUs, addr_to_hi_lo};

/// Rows of one table that are kept together, apart from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What they have in common, in the order of [`Table::APART`]; none where that is not known.
    pub values: Vec<Option<String>>,
    /// Which of the table's rows they are.
    pub rows: Range<usize>,
}

/// A table that batches become rows of.
pub trait Taken: Table {
    /// All its rows, group by group.
    fn groups(intake: &Intake<'_>) -> Vec<Group>;

    /// Some of its rows.
    fn columns(intake: &Intake<'_>, rows: Range<usize>) -> Result<RecordBatch, SchemaError>;
}

/// By what observations are sorted, and where one is: batch and row.
type Place = ((u32, u32), (i64, i64, u16, i64), (u32, u32));

/// Month, mandate and class of a blob, and where it is: batch and number.
type BlobPlace = ((u32, u32, &'static str), (u32, u32));

/// Some batches, with their rows in order.
pub struct Intake<'a> {
    batches: &'a [&'a Batch],
    /// When the lake takes them.
    now: TimeUs,
    months: Vec<String>,
    mandates: Vec<&'a str>,
    observations: Vec<Place>,
    blobs: Vec<BlobPlace>,
    coverage: Vec<((u32, Option<u32>), CoverageRow)>,
}

impl<'a> Intake<'a> {
    /// Puts the rows of batches in order.
    pub fn new(batches: &'a [&'a Batch], now: TimeUs) -> Self {
        let (mut months, mut mandates) = (Months::default(), Numbered::default());
        let (mut observations, mut blobs, mut coverage) = (Vec::new(), Vec::new(), Vec::new());
        let mut seen = HashSet::new();
        for (number, batch) in (0..).zip(batches) {
            for (row, o) in (0..).zip(&batch.observations) {
                let group = (months.of(o.time), mandates.of(&o.mandate_id));
                let (hi, lo) = addr_to_hi_lo(o.subject.addr);
                observations.push((group, (hi, lo, o.subject.port, o.time.micros()), (number, row)));
            }
            let of = batch.mandate_id().map(|mandate| mandates.of(mandate));
            for (nth, blob) in (0..).zip(&batch.blobs) {
                let group = (months.of(batch.header.sealed_at), of.unwrap_or(0), blob.class.as_str());
                // Many devices say the same.
                if seen.insert((group, blob.bytes.as_slice())) {
                    blobs.push((group, (number, nth)));
                }
            }
            for one in &batch.coverage {
                coverage.push(((months.of(one.time_from), of), CoverageRow::of(one, batch)));
            }
        }
        observations.sort_unstable();
        blobs.sort_unstable();
        coverage.sort_by_key(|(group, _)| *group);
        let (months, mandates) = (months.names, mandates.names);
        Self { batches, now, months, mandates, observations, blobs, coverage }
    }

    fn month(&self, number: u32) -> Option<String> {
        self.months.get(number as usize).cloned()
    }

    fn mandate(&self, number: u32) -> Option<String> {
        self.mandates.get(number as usize).map(|mandate| (*mandate).to_owned())
    }

    fn observation(&self, (batch, row): (u32, u32)) -> &'a Observation {
        &self.batches[batch as usize].observations[row as usize]
    }

    fn observation_groups(&self) -> Vec<Group> {
        groups(
            &self.observations,
            |(group, ..)| *group,
            |(month, mandate)| vec![self.month(month), self.mandate(mandate)],
        )
    }
}

/// Rows that follow each other and have something in common.
fn groups<T, K: PartialEq>(
    rows: &[T],
    key: impl Fn(&T) -> K,
    values: impl Fn(K) -> Vec<Option<String>>,
) -> Vec<Group> {
    let mut begins = 0;
    let one = |rows: &[T]| {
        let ends = begins + rows.len();
        let group = Group { values: values(key(&rows[0])), rows: begins..ends };
        begins = ends;
        group
    };
    rows.chunk_by(|a, b| key(a) == key(b)).map(one).collect()
}

/// Names by number, in the order in which they came.
#[derive(Default)]
struct Numbered<'a> {
    names: Vec<&'a str>,
}

impl<'a> Numbered<'a> {
    /// There are few, and the last is asked for most.
    fn of(&mut self, name: &'a str) -> u32 {
        let number = self.names.iter().rposition(|held| *held == name).unwrap_or_else(|| {
            self.names.push(name);
            self.names.len() - 1
        });
        u32::try_from(number).expect("a commit has fewer than 2^32 mandates")
    }
}

/// Months by number, in the order in which they came.
#[derive(Default)]
struct Months {
    names: Vec<String>,
    days: BTreeMap<i64, u32>,
}

impl Months {
    fn of(&mut self, time: TimeUs) -> u32 {
        const DAY_US: i64 = 86_400_000_000;
        let names = &mut self.names;
        *self.days.entry(time.micros().div_euclid(DAY_US)).or_insert_with(|| {
            let name = time.month();
            let number = names.iter().position(|held| *held == name).unwrap_or_else(|| {
                names.push(name);
                names.len() - 1
            });
            u32::try_from(number).expect("a commit has fewer than 2^32 months")
        })
    }
}

/// A column of texts of which many that follow each other are the same.
fn texts<T: Copy + PartialEq + ToString>(values: impl Iterator<Item = T>) -> ArrayRef {
    let mut last: Option<(T, String)> = None;
    let mut column = arrow_array::builder::StringBuilder::new();
    for value in values {
        match &last {
            Some((held, text)) if *held == value => column.append_value(text),
            _ => {
                let text = value.to_string();
                column.append_value(&text);
                last = Some((value, text));
            }
        }
    }
    Arc::new(column.finish())
}

fn longs(values: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

fn ints(values: impl Iterator<Item = i32>) -> ArrayRef {
    Arc::new(Int32Array::from_iter_values(values))
}

fn number(row: u32) -> i32 {
    i32::try_from(row).expect("a batch has fewer than 2^31 rows")
}

/// The columns of protocol records. Most rows have none, and most protocols are those of few rows: what
/// is there is made first, and then put at its places.
fn records<'a>(of: &[&'a Observation]) -> Result<Vec<ArrayRef>, serde_arrow::Error> {
    let none = Records::default();
    let mut there: Vec<&Records> = Vec::new();
    let place = |o: &&'a Observation| {
        (o.records != none).then(|| {
            there.push(&o.records);
            u32::try_from(there.len() - 1).expect("a commit has fewer than 2^32 rows")
        })
    };
    let places: UInt32Array = of.iter().map(place).collect();
    let made = serde_arrow::to_arrow(&RECORDS, &there)?;
    let put = |column: &ArrayRef| match column.null_count() == column.len() {
        true => arrow_array::new_null_array(column.data_type(), of.len()),
        false => arrow_select::take::take(column, &places, None).expect("places are of these rows"),
    };
    Ok(made.iter().map(put).collect())
}

/// Puts columns, which were made in any order, into that of a table.
fn in_order<R: Table>(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let column = |name: &str| columns.iter().find(|(held, _)| *held == name).expect("every column is made");
    let columns = R::fields().iter().map(|field| column(field.name()).1.clone()).collect();
    RecordBatch::try_new(R::schema(), columns).expect("the columns are those of the fields")
}

impl Taken for ObservationRow {
    fn groups(intake: &Intake<'_>) -> Vec<Group> {
        intake.observation_groups()
    }

    fn columns(intake: &Intake<'_>, rows: Range<usize>) -> Result<RecordBatch, SchemaError> {
        #[derive(Serialize)]
        struct Lists<'a> {
            blobs: &'a [String],
            labels: Option<&'a [String]>,
        }
        let places = &intake.observations[rows];
        let all: Vec<&Observation> = places.iter().map(|(.., place)| intake.observation(*place)).collect();
        let of = || all.iter().copied();
        let batch = |(.., (batch, _)): &Place| intake.batches[*batch as usize].header.batch_id;
        let (his, los): (Vec<i64>, Vec<i64>) = of().map(|o| addr_to_hi_lo(o.vantage.addr)).unzip();
        let mut columns = vec![
            ("schema", ints(of().map(|_| VERSION))),
            ("batch_id", texts(places.iter().map(batch))),
            ("row", ints(places.iter().map(|(.., (_, row))| number(*row)))),
            ("org_id", texts(of().map(|o| o.org_id))),
            ("mandate_id", texts(of().map(|o| o.mandate_id.as_str()))),
            ("survey_id", texts(of().map(|o| o.survey_id))),
            ("sensor_id", texts(of().map(|o| o.sensor_id))),
            ("tlp", texts(of().map(|o| o.tlp))),
            ("t_us", longs(of().map(|o| o.time.micros()))),
            ("clock_err_us", Arc::new(of().map(|o| o.clock_error_us).collect::<Int64Array>()) as ArrayRef),
            ("subject_addr_hi", longs(places.iter().map(|(_, (hi, ..), _)| *hi))),
            ("subject_addr_lo", longs(places.iter().map(|(_, (_, lo, ..), _)| *lo))),
            ("subject_port", ints(of().map(|o| o.subject.port.into()))),
            ("transport", texts(of().map(|o| o.subject.transport))),
            ("vantage_addr_hi", longs(his.into_iter())),
            ("vantage_addr_lo", longs(los.into_iter())),
            ("vantage_port", ints(of().map(|o| o.vantage.port.into()))),
            ("direction", texts(of().map(|o| o.direction))),
            ("check", texts(of().map(|o| o.check))),
            ("method_version", ints(of().map(|o| o.method_version))),
            ("attempt", ints(of().map(|o| o.attempt))),
            ("outcome", texts(of().map(|o| o.outcome))),
            ("reason", Arc::new(of().map(|o| o.reason.as_deref()).collect::<StringArray>())),
            ("protocol", Arc::new(of().map(|o| o.protocol.as_deref()).collect::<StringArray>())),
            ("ingested_at", longs(of().map(|_| intake.now.micros()))),
        ];
        let lists: Vec<Lists<'_>> = of()
            .map(|o| Lists { blobs: &o.blobs, labels: Some(&*o.labels).filter(|labels| !labels.is_empty()) })
            .collect();
        let fields: Vec<_> = Self::fields()
            .iter()
            .filter(|field| matches!(field.name().as_str(), "blobs" | "labels"))
            .cloned()
            .collect();
        let lists = serde_arrow::to_arrow(&fields, &lists).map_err(Self::failed)?;
        columns.extend(fields.iter().map(|field| field.name().as_str()).zip(lists));
        let records = records(&all).map_err(Self::failed)?;
        columns.extend(RECORDS.iter().map(|field| field.name().as_str()).zip(records));
        Ok(in_order::<Self>(columns))
    }
}

impl Taken for SaltRow {
    /// As their observations.
    fn groups(intake: &Intake<'_>) -> Vec<Group> {
        intake.observation_groups()
    }

    fn columns(intake: &Intake<'_>, rows: Range<usize>) -> Result<RecordBatch, SchemaError> {
        let places = &intake.observations[rows];
        let batch = |(.., (batch, _)): &Place| intake.batches[*batch as usize];
        let salt = |place: &Place| {
            let (.., (_, row)) = place;
            let digits = batch(place).salts.get(*row as usize).map_or("", String::as_str);
            hex::decode(digits).map_err(|_| SchemaError::Value { column: "salt", value: digits.to_owned() })
        };
        let salts = places.iter().map(salt).collect::<Result<Vec<_>, _>>()?;
        let mandate = |(.., place): &Place| intake.observation(*place).mandate_id.as_str();
        Ok(in_order::<Self>(vec![
            ("batch_id", texts(places.iter().map(|place| batch(place).header.batch_id))),
            ("row", ints(places.iter().map(|(.., (_, row))| number(*row)))),
            ("salt", arrow_array::new_null_array(&arrow_schema::DataType::Utf8, places.len())),
            ("bytes", Arc::new(BinaryArray::from_iter_values(salts))),
            ("mandate_id", texts(places.iter().map(mandate))),
        ]))
    }
}

impl Taken for BlobRow {
    fn groups(intake: &Intake<'_>) -> Vec<Group> {
        groups(
            &intake.blobs,
            |(group, _)| *group,
            |(month, mandate, class)| {
                vec![intake.month(month), intake.mandate(mandate), Some(class.to_owned())]
            },
        )
    }

    fn columns(intake: &Intake<'_>, rows: Range<usize>) -> Result<RecordBatch, SchemaError> {
        let places = &intake.blobs[rows];
        let batch = |(_, (batch, _)): &(_, (u32, u32))| intake.batches[*batch as usize];
        let blob = |place: &(_, (u32, u32))| &batch(place).blobs[place.1.1 as usize];
        let size = |bytes: usize| i64::try_from(bytes).expect("a blob fits in memory");
        Ok(in_order::<Self>(vec![
            ("sha256", Arc::new(StringArray::from_iter_values(places.iter().map(|at| blob(at).sha256())))),
            ("class", texts(places.iter().map(|((.., class), _)| *class))),
            ("bytes_hex", arrow_array::new_null_array(&arrow_schema::DataType::Utf8, places.len())),
            ("size", longs(places.iter().map(|at| size(blob(at).bytes.len())))),
            ("mandate_id", texts(places.iter().map(|at| batch(at).mandate_id().unwrap_or_default()))),
            ("t_us", longs(places.iter().map(|at| batch(at).header.sealed_at.micros()))),
            ("bytes", Arc::new(BinaryArray::from_iter_values(places.iter().map(|at| &blob(at).bytes)))),
        ]))
    }
}

impl Taken for CoverageRow {
    fn groups(intake: &Intake<'_>) -> Vec<Group> {
        groups(
            &intake.coverage,
            |(group, _)| *group,
            |(month, mandate)| vec![intake.month(month), mandate.and_then(|mandate| intake.mandate(mandate))],
        )
    }

    fn columns(intake: &Intake<'_>, rows: Range<usize>) -> Result<RecordBatch, SchemaError> {
        let rows: Vec<&Self> = intake.coverage[rows].iter().map(|(_, row)| row).collect();
        serde_arrow::to_record_batch(Self::fields(), &rows).map_err(Self::failed)
    }
}

impl Taken for BatchRow {
    fn groups(intake: &Intake<'_>) -> Vec<Group> {
        vec![Group { values: Vec::new(), rows: 0..intake.batches.len() }]
    }

    fn columns(intake: &Intake<'_>, rows: Range<usize>) -> Result<RecordBatch, SchemaError> {
        let row = |batch: &&Batch| Self::of(&batch.header, intake.now);
        Self::to_arrow(&intake.batches[rows].iter().map(row).collect::<Vec<_>>())
    }
}
