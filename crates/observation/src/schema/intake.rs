//! Batches as the columns of each table, in the order in which they are stored.
//!
//! Observations lie by month and mandate, so that retention takes away whole files, and within these by
//! address, port and time, so that what is known of one host lies together. They go from batches into
//! columns without rows in between: taking them is what the lake does most.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, BinaryArray, Int32Array, Int64Array, RecordBatch, StringArray, UInt32Array};
use arrow_schema::{DataType, FieldRef, Schema};

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

    /// Some of its rows. Columns of records that none of them has are left out: whoever reads takes a
    /// column that is not there as null.
    fn columns(intake: &Intake<'_>, rows: Range<usize>) -> Result<RecordBatch, SchemaError>;
}

/// Different texts of a column that are remembered, and bytes of one as far as can be told before.
const KNOWN_TEXTS: usize = 32;
const TEXT_BYTES: usize = 16;

/// By what observations are sorted, and where one is: batch and row.
type Place = ((u32, u32), (i64, i64, u16, i64), (u32, u32));

/// Month, mandate and class of a blob, and where it is: batch and number.
type BlobPlace = ((u32, u32, &'static str), (u32, u32));

/// Some batches, with their rows in order.
pub struct Intake<'a> {
    batches: &'a [&'a Batch],
    /// When the lake takes them.
    now: TimeUs,
    observations: Sorted<'a, Place>,
    blobs: Sorted<'a, BlobPlace>,
    coverage: Sorted<'a, ((u32, Option<u32>), CoverageRow)>,
}

/// Rows of a table in order, and what the numbers of their groups stand for.
struct Sorted<'a, T> {
    rows: Vec<T>,
    months: Vec<String>,
    mandates: Vec<&'a str>,
}

impl<T> Sorted<'_, T> {
    fn month(&self, number: u32) -> Option<String> {
        self.months.get(number as usize).cloned()
    }

    fn mandate(&self, number: u32) -> Option<String> {
        self.mandates.get(number as usize).map(|mandate| (*mandate).to_owned())
    }
}

impl<'a> Intake<'a> {
    /// Puts the rows of batches in order, by two threads.
    pub fn new(batches: &'a [&'a Batch], now: TimeUs) -> Self {
        std::thread::scope(|scope| {
            let others = scope.spawn(|| (sorted_blobs(batches), sorted_coverage(batches)));
            let observations = sorted_observations(batches);
            let others = others.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            let (blobs, coverage) = others;
            Self { batches, now, observations, blobs, coverage }
        })
    }

    fn observation(&self, (batch, row): (u32, u32)) -> &'a Observation {
        &self.batches[batch as usize].observations[row as usize]
    }

    fn observation_groups(&self) -> Vec<Group> {
        let sorted = &self.observations;
        let values = |(month, mandate)| vec![sorted.month(month), sorted.mandate(mandate)];
        groups(&sorted.rows, |(group, ..)| *group, values)
    }
}

fn sorted_observations<'a>(batches: &[&'a Batch]) -> Sorted<'a, Place> {
    let (mut months, mut mandates) = (Months::default(), Numbered::default());
    let mut rows = Vec::with_capacity(batches.iter().map(|batch| batch.observations.len()).sum());
    for (number, batch) in (0..).zip(batches) {
        for (row, o) in (0..).zip(&batch.observations) {
            let group = (months.of(o.time), mandates.of(&o.mandate_id));
            let (hi, lo) = addr_to_hi_lo(o.subject.addr);
            rows.push((group, (hi, lo, o.subject.port, o.time.micros()), (number, row)));
        }
    }
    rows.sort_unstable();
    Sorted { rows, months: months.names, mandates: mandates.names }
}

fn sorted_blobs<'a>(batches: &[&'a Batch]) -> Sorted<'a, BlobPlace> {
    let (mut months, mut mandates) = (Months::default(), Numbered::default());
    let (mut rows, mut seen) = (Vec::new(), HashSet::new());
    for (number, batch) in (0..).zip(batches) {
        let of = batch.mandate_id().map_or(0, |mandate| mandates.of(mandate));
        for (nth, blob) in (0..).zip(&batch.blobs) {
            let group = (months.of(batch.header.sealed_at), of, blob.class.as_str());
            // Many devices say the same.
            if seen.insert((group, blob.bytes.as_slice())) {
                rows.push((group, (number, nth)));
            }
        }
    }
    rows.sort_unstable();
    Sorted { rows, months: months.names, mandates: mandates.names }
}

fn sorted_coverage<'a>(batches: &[&'a Batch]) -> Sorted<'a, ((u32, Option<u32>), CoverageRow)> {
    let (mut months, mut mandates) = (Months::default(), Numbered::default());
    let mut rows = Vec::new();
    for batch in batches {
        let of = batch.mandate_id().map(|mandate| mandates.of(mandate));
        rows.extend(batch.coverage.iter().map(|c| ((months.of(c.time_from), of), CoverageRow::of(c, batch))));
    }
    rows.sort_by_key(|(group, _)| *group);
    Sorted { rows, months: months.names, mandates: mandates.names }
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
    /// The day that was asked for last, which is asked for most.
    last: Option<(i64, u32)>,
}

impl Months {
    fn of(&mut self, time: TimeUs) -> u32 {
        const DAY_US: i64 = 86_400_000_000;
        let day = time.micros().div_euclid(DAY_US);
        if let Some((_, number)) = self.last.filter(|(last, _)| *last == day) {
            return number;
        }
        let names = &mut self.names;
        let number = *self.days.entry(day).or_insert_with(|| {
            let name = time.month();
            let number = names.iter().position(|held| *held == name).unwrap_or_else(|| {
                names.push(name);
                names.len() - 1
            });
            u32::try_from(number).expect("a commit has fewer than 2^32 months")
        });
        self.last = Some((day, number));
        number
    }
}

/// A column of texts of which there are few, over and over.
fn texts<T: Copy + PartialEq + ToString>(values: impl Iterator<Item = T>) -> ArrayRef {
    let mut known: Vec<(T, String)> = Vec::new();
    let rows = values.size_hint().0;
    let mut column = StringBuilder::with_capacity(rows, rows * TEXT_BYTES);
    for value in values {
        let at = known.iter().position(|(held, _)| *held == value).unwrap_or_else(|| {
            if known.len() == KNOWN_TEXTS {
                known.clear();
            }
            known.push((value, value.to_string()));
            known.len() - 1
        });
        column.append_value(&known[at].1);
    }
    Arc::new(column.finish())
}

/// A column of observations that has lists of texts.
fn lists<'a>(name: &str, values: impl Iterator<Item = Option<&'a [String]>>) -> ArrayRef {
    let field = ObservationRow::fields().iter().find(|field| field.name() == name);
    let Some(DataType::List(element)) = field.map(|field| field.data_type()) else {
        unreachable!("`{name}` has lists");
    };
    let mut column = ListBuilder::new(StringBuilder::new()).with_field(element.clone());
    for value in values {
        for text in value.into_iter().flatten() {
            column.values().append_value(text);
        }
        column.append(value.is_some());
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

/// The columns of protocol records that a row has at least. Most protocols are those of few rows: of each
/// what is there is made first, and then put at its places.
fn records(of: &[&Observation]) -> Result<Vec<(&'static str, ArrayRef)>, serde_arrow::Error> {
    let mut rows = vec![Vec::new(); Records::NAMES.len()];
    for (row, o) in of.iter().enumerate() {
        for at in o.records.there() {
            rows[at].push(row);
        }
    }
    let column = |(name, rows): (&&'static str, Vec<usize>)| {
        let field: Vec<_> = RECORDS.iter().filter(|field| field.name() == *name).cloned().collect();
        let there: Vec<&Records> = rows.iter().map(|row| &of[*row].records).collect();
        let made = serde_arrow::to_arrow(&field, &there)?.remove(0);
        let mut places = vec![None; of.len()];
        for (place, row) in (0..).zip(rows) {
            places[row] = Some(place);
        }
        let column = arrow_select::take::take(&made, &UInt32Array::from(places), None);
        Ok((*name, column.expect("places are of these rows")))
    };
    Records::NAMES.iter().zip(rows).filter(|(_, rows)| !rows.is_empty()).map(column).collect()
}

/// Puts columns, which were made in any order, into that of a table; records that no row has are left out.
fn in_order<R: Table>(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let column = |field: &FieldRef| {
        let made = columns.iter().find(|(name, _)| name == field.name());
        let is_record = matches!(field.data_type(), DataType::Struct(_));
        assert!(made.is_some() || is_record, "every column but records is made");
        made.map(|(_, column)| (field.clone(), column.clone()))
    };
    let (fields, columns): (Vec<_>, Vec<_>) = R::fields().iter().filter_map(column).unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("the columns are those of the fields")
}

impl Taken for ObservationRow {
    fn groups(intake: &Intake<'_>) -> Vec<Group> {
        intake.observation_groups()
    }

    fn columns(intake: &Intake<'_>, rows: Range<usize>) -> Result<RecordBatch, SchemaError> {
        let places = &intake.observations.rows[rows];
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
            ("blobs", lists("blobs", of().map(|o| Some(&*o.blobs)))),
            ("labels", lists("labels", of().map(|o| Some(&*o.labels).filter(|labels| !labels.is_empty())))),
        ];
        columns.extend(records(&all).map_err(Self::failed)?);
        Ok(in_order::<Self>(columns))
    }
}

impl Taken for SaltRow {
    /// As their observations.
    fn groups(intake: &Intake<'_>) -> Vec<Group> {
        intake.observation_groups()
    }

    fn columns(intake: &Intake<'_>, rows: Range<usize>) -> Result<RecordBatch, SchemaError> {
        let places = &intake.observations.rows[rows];
        let batch = |(.., (batch, _)): &Place| intake.batches[*batch as usize];
        let (mut salts, mut salt) =
            (BinaryBuilder::with_capacity(places.len(), 16 * places.len()), Vec::new());
        for place in places {
            let (.., (_, row)) = place;
            let digits = batch(place).salts.get(*row as usize).map_or("", String::as_str);
            salt.resize(digits.len() / 2, 0);
            hex::decode_to_slice(digits, &mut salt)
                .map_err(|_| SchemaError::Value { column: "salt", value: digits.to_owned() })?;
            salts.append_value(&salt);
        }
        let mandate = |(.., place): &Place| intake.observation(*place).mandate_id.as_str();
        Ok(in_order::<Self>(vec![
            ("batch_id", texts(places.iter().map(|place| batch(place).header.batch_id))),
            ("row", ints(places.iter().map(|(.., (_, row))| number(*row)))),
            ("salt", arrow_array::new_null_array(&arrow_schema::DataType::Utf8, places.len())),
            ("bytes", Arc::new(salts.finish())),
            ("mandate_id", texts(places.iter().map(mandate))),
        ]))
    }
}

impl Taken for BlobRow {
    fn groups(intake: &Intake<'_>) -> Vec<Group> {
        groups(
            &intake.blobs.rows,
            |(group, _)| *group,
            |(month, mandate, class)| {
                vec![intake.blobs.month(month), intake.blobs.mandate(mandate), Some(class.to_owned())]
            },
        )
    }

    fn columns(intake: &Intake<'_>, rows: Range<usize>) -> Result<RecordBatch, SchemaError> {
        let places = &intake.blobs.rows[rows];
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
            &intake.coverage.rows,
            |(group, _)| *group,
            |(month, mandate)| {
                let sorted = &intake.coverage;
                vec![sorted.month(month), mandate.and_then(|mandate| sorted.mandate(mandate))]
            },
        )
    }

    fn columns(intake: &Intake<'_>, rows: Range<usize>) -> Result<RecordBatch, SchemaError> {
        let rows: Vec<&Self> = intake.coverage.rows[rows].iter().map(|(_, row)| row).collect();
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
