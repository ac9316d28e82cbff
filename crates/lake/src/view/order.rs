//! In which order services are shown, and where a page begins.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::fmt;
use std::str::FromStr;

use datafusion::arrow::buffer::BooleanBuffer;
use kenshin_observation::schema::ServiceKey;
use kenshin_observation::{addr_from_hi_lo, addr_to_hi_lo, version};

use super::column::{ABSENT_INT, ABSENT_LONG, Column};
use super::matching::{columns, is_of_things};
use super::segment::Loaded;
use crate::search::{Field, Kind};

/// By which field services are sorted. Those without a value come last, those alike in the order of
/// their addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// The field.
    pub field: Field,
    /// Greatest first.
    pub descending: bool,
}

impl FromStr for Sort {
    type Err = String;

    /// `seen`, or `-seen` for the latest first.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
        match Field::named(name) {
            Some(field) => Ok(Self { field, descending }),
            None => {
                Err(format!("there is no field `{}` to sort by", name.chars().take(40).collect::<String>()))
            }
        }
    }
}

/// The place of a service in an order: behind it the next page begins. As text it is made to be
/// handed back, and may be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    value: Option<Value>,
    key: ServiceKey,
    /// When it was asked and known: tells apart what one service was at different times, the latest
    /// first, so that a service that is asked again between two pages does not come again.
    times: (i64, i64),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Number(i64),
    Text(String),
    /// That of the key, where it is sorted by.
    Addr((i64, i64)),
}

/// A text that is no mark.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no place in a list; hint: give `next` of the page before, as it was")]
pub struct ParseMarkError(String);

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            None => {}
            Some(Value::Number(number)) => write!(f, "{number}~")?,
            Some(Value::Text(text)) => {
                f.write_str("x")?;
                text.bytes().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                f.write_str("~")?;
            }
            Some(Value::Addr(_)) => f.write_str("@~")?,
        }
        let ServiceKey { addr, port, transport, protocol } = &self.key;
        let addr = addr_from_hi_lo(addr.0, addr.1);
        let protocol = protocol.as_deref().unwrap_or_default();
        let (asked_us, known_us) = self.times;
        write!(f, "{addr}~{port}~{transport}~{protocol}~{asked_us}~{known_us}")
    }
}

impl FromStr for Mark {
    type Err = ParseMarkError;

    fn from_str(text: &str) -> Result<Self, ParseMarkError> {
        let wrong = || ParseMarkError(text.chars().take(40).collect());
        let parts: Vec<&str> = text.split('~').collect();
        let (value, parts) = match parts.len() {
            7 => (Some(parts[0]), &parts[1..]),
            _ => (None, parts.as_slice()),
        };
        let [addr, port, transport, protocol, asked_us, known_us] = parts else { return Err(wrong()) };
        let key = ServiceKey {
            addr: addr_to_hi_lo(addr.parse().map_err(|_| wrong())?),
            port: port.parse().map_err(|_| wrong())?,
            transport: (*transport).to_owned(),
            protocol: Some((*protocol).to_owned()).filter(|protocol| !protocol.is_empty()),
        };
        let value = value.map(|value| read_value(value, &key).ok_or_else(wrong)).transpose()?;
        let time = |text: &str| text.parse().map_err(|_| wrong());
        Ok(Self { value, key, times: (time(asked_us)?, time(known_us)?) })
    }
}

fn read_value(text: &str, key: &ServiceKey) -> Option<Value> {
    if text == "@" {
        return Some(Value::Addr(key.addr));
    }
    let Some(digits) = text.strip_prefix('x') else { return text.parse().ok().map(Value::Number) };
    let byte = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
    String::from_utf8(bytes?).ok().map(Value::Text)
}

/// A service among the first.
pub(super) struct Candidate {
    pub(super) segment: usize,
    pub(super) row: usize,
    value: Option<Value>,
    key: ServiceKey,
    times: (i64, i64),
    descending: bool,
}

impl Candidate {
    /// Its place.
    pub(super) fn mark(&self, sort: Option<Sort>) -> Mark {
        let value = self.value.clone().filter(|_| sort.is_some());
        Mark { value, key: self.key.clone(), times: self.times }
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        places(self.value.as_ref(), other.value.as_ref(), self.descending)
            .then_with(|| (&self.key, Reverse(self.times)).cmp(&(&other.key, Reverse(other.times))))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Candidate {}

fn places(a: Option<&Value>, b: Option<&Value>, descending: bool) -> Ordering {
    match (a, b) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) if descending => b.cmp(a),
        (Some(a), Some(b)) => a.cmp(b),
    }
}

/// The first `limit` of the rows found, behind `after`, in order.
pub(super) fn first(
    loaded: &[Loaded<'_>],
    found: &[BooleanBuffer],
    sort: Option<Sort>,
    after: Option<&Mark>,
    limit: usize,
) -> Vec<Candidate> {
    let descending = sort.is_some_and(|sort| sort.descending);
    let behind = |value: Option<&Value>, key: &ServiceKey, times: (i64, i64)| {
        after.is_none_or(|mark| {
            places(value, mark.value.as_ref(), descending)
                .then_with(|| (key, Reverse(times)).cmp(&(&mark.key, Reverse(mark.times))))
                .is_gt()
        })
    };
    // The greatest of those kept is on top, and leaves when a smaller one comes.
    let mut kept: BinaryHeap<Candidate> = BinaryHeap::new();
    for (segment, (keys, rows)) in loaded.iter().zip(found).enumerate() {
        let addresses = keys.addresses();
        let begins = match (sort, after) {
            (None, Some(mark)) => addresses.position(|addr| addr < mark.key.addr),
            _ => 0,
        };
        for row in rows.slice(begins, rows.len() - begins).set_indices().map(|row| begins + row) {
            let value = sort.and_then(|sort| value_at(keys, sort.field, row));
            let full = kept.len() == limit;
            if let Some(greatest) = kept.peek().filter(|_| full) {
                let order = places(value.as_ref(), greatest.value.as_ref(), descending);
                let order = order.then_with(|| addresses.at(row).cmp(&greatest.key.addr));
                if order.is_gt() {
                    match sort {
                        // Whatever follows in this run is greater still.
                        None => break,
                        Some(_) => continue,
                    }
                }
            }
            let key = super::key_at(keys, row);
            let times = (keys.column("asked_us").longs()[row], keys.column("known_us").longs()[row]);
            if !behind(value.as_ref(), &key, times) {
                continue;
            }
            kept.push(Candidate { segment, row, value, key, times, descending });
            if kept.len() > limit {
                kept.pop();
            }
        }
    }
    kept.into_sorted_vec()
}

/// The value that a row is sorted by.
fn value_at(loaded: &Loaded<'_>, field: Field, row: usize) -> Option<Value> {
    if is_of_things(field) {
        let text = loaded.things().value(field, row);
        let by = || if field == Field::Version { version::order_key(text) } else { text.to_owned() };
        return (!text.is_empty()).then(|| Value::Text(by()));
    }
    if field.info().kind == Kind::Network {
        return Some(Value::Addr(loaded.addresses().at(row)));
    }
    match loaded.column(columns(field)[0]) {
        Column::Long(values) => Some(values[row]).filter(|v| *v != ABSENT_LONG).map(Value::Number),
        Column::Int(values) => {
            Some(values[row]).filter(|v| *v != ABSENT_INT).map(|v| Value::Number(v.into()))
        }
        Column::Text(_) => {
            super::text_at(loaded, columns(field)[0], row).map(|text| Value::Text(text.to_owned()))
        }
    }
}
