//! Counting the services found by the values of a field.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::arrow::buffer::BooleanBuffer;
use kenshin_observation::TimeUs;
use serde::Serialize;

use super::column::{ABSENT_INT, ABSENT_LONG, Column};
use super::matching::{columns, is_of_things};
use super::segment::Loaded;
use super::{FACET_MAX, FACET_VALUES};
use crate::search::{Field, Kind};
use crate::write::workers;

/// µs of a day.
const DAY_US: i64 = 86_400_000_000;

/// How many services have which value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Facet {
    /// Name of the field.
    pub field: &'static str,
    /// The most frequent values, most frequent first.
    pub values: Vec<FacetValue>,
    /// How many further values there are.
    pub more: u64,
}

/// One value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FacetValue {
    /// The value as text: a day, UTC, for instants. Hostile text.
    pub value: String,
    /// Services that have it.
    pub count: u64,
}

/// A facet as it is asked for: `port`, or `port:20` for so many values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// The field to count by.
    pub field: Field,
    /// How many of its values, at most [`FACET_MAX`]; [`FACET_VALUES`] when nobody says.
    pub top: usize,
}

/// Why services are not counted like this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseCountedError {
    /// It is no field, or one of addresses.
    #[error("services cannot be counted by `{0}`")]
    Field(String),
    /// It is no number of values.
    #[error("a facet has from 0 to {FACET_MAX} values")]
    Top,
}

impl FromStr for Counted {
    type Err = ParseCountedError;

    fn from_str(text: &str) -> Result<Self, ParseCountedError> {
        let (name, top) = text.split_once(':').map_or((text, None), |(name, top)| (name, Some(top)));
        let field = Field::named(name.trim())
            .filter(|field| is_countable(*field))
            .ok_or_else(|| ParseCountedError::Field(name.chars().take(40).collect()))?;
        let top = top.map_or(Some(FACET_VALUES), |top| top.parse().ok());
        let top = top.filter(|top| *top <= FACET_MAX).ok_or(ParseCountedError::Top)?;
        Ok(Self { field, top })
    }
}

/// True when services can be counted by `field`: addresses would be as many as services.
pub fn is_countable(field: Field) -> bool {
    field.info().kind != Kind::Network
}

/// Rows from which on several fields are counted at once: fewer are counted before another thread has begun.
const ROWS_AT_ONCE: usize = 1 << 16;

/// Counts rows of segments by fields.
pub(super) fn count(counted: &[Counted], found: &[(Loaded<'_>, &BooleanBuffer)]) -> Vec<Facet> {
    let one = |counted: &Counted| {
        let mut counts = Counts::default();
        for (loaded, rows) in found {
            counts.add(counted.field, loaded, rows);
        }
        counts.finish(counted.field, counted.top.min(FACET_MAX))
    };
    let rows: usize = found.iter().map(|(_, rows)| rows.count_set_bits()).sum();
    let facets: Vec<OnceLock<Facet>> = counted.iter().map(|_| OnceLock::new()).collect();
    let next = AtomicUsize::new(0);
    // Each takes the next field that nobody has taken: some take longer than others.
    let work = || {
        while let Some((counted, facet)) = {
            let nth = next.fetch_add(1, Ordering::Relaxed);
            counted.get(nth).zip(facets.get(nth))
        } {
            facet.get_or_init(|| one(counted));
        }
    };
    let threads = if rows < ROWS_AT_ONCE { 1 } else { workers().min(counted.len()) };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    facets.into_iter().filter_map(OnceLock::into_inner).collect()
}

/// Counts by value over several segments.
#[derive(Default)]
struct Counts(HashMap<String, u64>);

impl Counts {
    fn add(&mut self, field: Field, loaded: &Loaded<'_>, rows: &BooleanBuffer) {
        if is_of_things(field) {
            let things = loaded.things();
            let counts = things.counts(field, rows.set_indices());
            return self.add_coded(&counts, |code| things.text(field, code));
        }
        for name in columns(field) {
            match loaded.column(name) {
                Column::Text(texts) => {
                    let mut counts = vec![0; texts.dictionary.len()];
                    for row in rows.set_indices() {
                        counts[texts.codes[row] as usize] += 1;
                    }
                    self.add_coded(&counts, |code| texts.dictionary.text(code));
                }
                Column::Int(values) => {
                    let mut counts: HashMap<i32, u64> = HashMap::new();
                    let mut small = vec![0u64; 1 << 16];
                    for row in rows.set_indices() {
                        match usize::try_from(values[row]).ok().and_then(|value| small.get_mut(value)) {
                            Some(count) => *count += 1,
                            None => *counts.entry(values[row]).or_default() += 1,
                        }
                    }
                    counts.remove(&ABSENT_INT);
                    counts.extend((0..).zip(small).filter(|(_, count)| *count > 0));
                    self.add_all(counts.into_iter().map(|(value, count)| (value.to_string(), count)));
                }
                Column::Long(values) => {
                    let is_time = matches!(field.info().kind, Kind::Time | Kind::TimeToCome);
                    let unit = if is_time { DAY_US } else { 1 };
                    let mut counts: HashMap<i64, u64> = HashMap::new();
                    for value in rows.set_indices().map(|row| values[row]).filter(|v| *v != ABSENT_LONG) {
                        *counts.entry(value.div_euclid(unit)).or_default() += 1;
                    }
                    let text = |value: i64| match is_time {
                        true => TimeUs::from_micros(value * DAY_US).to_string().chars().take(10).collect(),
                        false => value.to_string(),
                    };
                    self.add_all(counts.into_iter().map(|(value, count)| (text(value), count)));
                }
            }
        }
    }

    fn add_coded<'a>(&mut self, counts: &[u64], text: impl Fn(usize) -> &'a str) {
        let counted = counts.iter().enumerate().skip(1).filter(|(_, count)| **count > 0);
        self.add_all(counted.map(|(code, count)| (text(code).to_owned(), *count)));
    }

    fn add_all(&mut self, counts: impl Iterator<Item = (String, u64)>) {
        for (value, count) in counts {
            *self.0.entry(value).or_default() += count;
        }
    }

    /// The `top` most frequent values.
    fn finish(self, field: Field, top: usize) -> Facet {
        let mut values: Vec<FacetValue> =
            self.0.into_iter().map(|(value, count)| FacetValue { value, count }).collect();
        let order =
            |a: &FacetValue, b: &FacetValue| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value));
        let more = values.len().saturating_sub(top) as u64;
        if more > 0 && top > 0 {
            values.select_nth_unstable_by(top - 1, order);
        }
        values.truncate(top);
        values.sort_by(order);
        Facet { field: field.name(), values, more }
    }
}
