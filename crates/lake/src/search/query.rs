//! A query, understood: what it asks for, typed, and how it is written.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use kenshin_observation::{Prefix, TimeUs};

use super::field::Field;

/// What is asked for. [`fmt::Display`] writes it so that it is read as the same query again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// Everything.
    All,
    /// One test of one field.
    Term(Term),
    /// Not what is inside.
    Not(Box<Query>),
    /// All of at least two.
    And(Vec<Query>),
    /// Any of at least two.
    Or(Vec<Query>),
}

/// One test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Term {
    /// Any banner, title, server, certificate or issuer contains it.
    Anywhere(String),
    /// The field has a value.
    Has(Field),
    /// Inside of any of these prefixes.
    Network(Field, Vec<Prefix>),
    /// In any of these ranges.
    Number(Field, Vec<Span>),
    /// Equal to any of these.
    Word(Field, Vec<Pattern>),
    /// Contains any of these.
    Text(Field, Vec<String>),
    /// Any of these holds of the version.
    Version(Field, Vec<VersionTest>),
    /// Any of these holds of the instant.
    Time(Field, Vec<TimeTest>),
}

/// Numbers from one to the other, both included; an open end is `None`. Never both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Least.
    pub low: Option<i64>,
    /// Most.
    pub high: Option<i64>,
}

/// A word, or a pattern in which `*` stands for any characters. Without regard to case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// As it was written.
    pub text: String,
    /// `*` stands for any characters.
    pub wild: bool,
    /// Written in quotes: of a vendor or product it is the whole name, where it else may be one word of it.
    pub quoted: bool,
}

/// A test of a version. Where the order of two versions cannot be known, none but equality of the
/// texts holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionTest {
    /// This one.
    Is(Pattern),
    /// Before.
    Below(String),
    /// Before, or this one.
    AtMost(String),
    /// After.
    Above(String),
    /// After, or this one.
    AtLeast(String),
    /// From one to the other, both included.
    Between(String, String),
}

/// A test of an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeTest {
    /// Not further from now than this.
    Within(Age),
    /// Further from now than this.
    Beyond(Age),
    /// In it.
    On(Moment),
    /// Before it begins.
    Before(Moment),
    /// Before it ends.
    Until(Moment),
    /// After it ended.
    After(Moment),
    /// Since it began.
    From(Moment),
    /// From the beginning of one to the end of the other.
    Between(Moment, Moment),
}

/// A length of time as it is written: `36h`, `7d`, `2w`, `1y` (365 days).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age {
    /// How many.
    pub count: u32,
    /// Of what: `h`, `d`, `w` or `y`.
    pub unit: char,
}

/// A day, UTC, or an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The whole day.
    Day(Date),
    /// One instant.
    Instant(TimeUs),
}

impl Query {
    /// All of `parts`: flat, and no `And` for fewer than two.
    pub(super) fn and(parts: Vec<Self>) -> Self {
        let flat = parts.into_iter().flat_map(|part| match part {
            Self::And(inner) => inner,
            Self::All => Vec::new(),
            other => vec![other],
        });
        let mut flat: Vec<Self> = flat.collect();
        match flat.len() {
            0 => Self::All,
            1 => flat.remove(0),
            _ => Self::And(flat),
        }
    }

    /// Any of `parts`, at least one: flat, and no `Or` for fewer than two.
    pub(super) fn or(parts: Vec<Self>) -> Self {
        let flat = parts.into_iter().flat_map(|part| match part {
            Self::Or(inner) => inner,
            other => vec![other],
        });
        let mut flat: Vec<Self> = flat.collect();
        if flat.len() == 1 { flat.remove(0) } else { Self::Or(flat) }
    }

    /// True when any term is about `field`.
    pub fn mentions(&self, field: Field) -> bool {
        match self {
            Self::All => false,
            Self::Term(term) => term.field() == Some(field),
            Self::Not(inner) => inner.mentions(field),
            Self::And(parts) | Self::Or(parts) => parts.iter().any(|part| part.mentions(field)),
        }
    }

    /// Prefixes outside of which it finds nothing; `None` where it may find something anywhere.
    pub fn networks(&self) -> Option<Vec<Prefix>> {
        match self {
            Self::Term(Term::Network(Field::Ip, prefixes)) => Some(prefixes.clone()),
            Self::And(parts) => parts.iter().filter_map(Self::networks).min_by_key(Vec::len),
            Self::Or(parts) => Some(parts.iter().map(Self::networks).collect::<Option<Vec<_>>>()?.concat()),
            Self::All | Self::Term(_) | Self::Not(_) => None,
        }
    }

    /// True when its answer changes as time passes, with nothing new being known: an age is in it.
    pub fn names_age(&self) -> bool {
        match self {
            Self::Term(Term::Time(_, tests)) => {
                tests.iter().any(|test| matches!(test, TimeTest::Within(_) | TimeTest::Beyond(_)))
            }
            Self::All | Self::Term(_) => false,
            Self::Not(inner) => inner.names_age(),
            Self::And(parts) | Self::Or(parts) => parts.iter().any(Self::names_age),
        }
    }
}

impl Term {
    /// The field it is about; `None` for free text.
    pub fn field(&self) -> Option<Field> {
        match self {
            Self::Anywhere(_) => None,
            Self::Has(field)
            | Self::Network(field, _)
            | Self::Number(field, _)
            | Self::Word(field, _)
            | Self::Text(field, _)
            | Self::Version(field, _)
            | Self::Time(field, _) => Some(*field),
        }
    }
}

impl Span {
    /// True when `value` is inside.
    pub fn contains(self, value: i64) -> bool {
        self.low.is_none_or(|low| low <= value) && self.high.is_none_or(|high| value <= high)
    }
}

impl Age {
    /// Its length, µs.
    pub fn micros(self) -> i64 {
        let hours = match self.unit {
            'h' => 1,
            'd' => 24,
            'w' => 7 * 24,
            _ => 365 * 24,
        };
        i64::from(self.count).saturating_mul(hours * 3_600_000_000)
    }
}

impl Moment {
    /// When it begins.
    pub fn start(self) -> TimeUs {
        match self {
            Self::Day(date) => midnight(date),
            Self::Instant(time) => time,
        }
    }

    /// When it has ended: the first instant behind it.
    pub fn end(self) -> TimeUs {
        match self {
            Self::Day(date) => midnight(date).plus_secs(86_400),
            Self::Instant(time) => time.plus_micros(1),
        }
    }
}

fn midnight(date: Date) -> TimeUs {
    // Years are from 0000 to 9999 when they are read, all of which have instants.
    let instant = date.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp().as_microsecond());
    TimeUs::from_micros(instant.unwrap_or(i64::MAX))
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whatever binds less than its place is put into parentheses; `OR` binds least.
        let nested = |f: &mut fmt::Formatter<'_>, part: &Self| match part {
            Self::And(_) | Self::Or(_) => write!(f, "({part})"),
            _ => write!(f, "{part}"),
        };
        match self {
            Self::All => Ok(()),
            Self::Term(term) => write!(f, "{term}"),
            Self::Not(inner) => {
                f.write_str("-")?;
                nested(f, inner)
            }
            Self::And(parts) => {
                for (position, part) in parts.iter().enumerate() {
                    if position > 0 {
                        f.write_str(" ")?;
                    }
                    nested(f, part)?;
                }
                Ok(())
            }
            Self::Or(parts) => {
                for (position, part) in parts.iter().enumerate() {
                    if position > 0 {
                        f.write_str(" OR ")?;
                    }
                    write!(f, "{part}")?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anywhere(text) => quoted(f, text),
            Self::Has(field) => write!(f, "has:{}", field.name()),
            Self::Network(field, prefixes) => list(f, *field, prefixes, |f, prefix| write!(f, "{prefix}")),
            Self::Number(field, spans) => list(f, *field, spans, |f, span| write!(f, "{span}")),
            Self::Word(field, patterns) => list(f, *field, patterns, |f, pattern| write!(f, "{pattern}")),
            Self::Text(field, texts) => list(f, *field, texts, |f, text| quoted(f, text)),
            Self::Version(field, tests) => list(f, *field, tests, |f, test| write!(f, "{test}")),
            Self::Time(field, tests) => list(f, *field, tests, |f, test| write!(f, "{test}")),
        }
    }
}

fn list<T>(
    f: &mut fmt::Formatter<'_>,
    field: Field,
    items: &[T],
    write_one: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    write!(f, "{}:", field.name())?;
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            f.write_str(",")?;
        }
        write_one(f, item)?;
    }
    Ok(())
}

/// In quotes, with `\` before quotes and before itself.
fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            f.write_str("\\")?;
        }
        write!(f, "{c}")?;
    }
    f.write_str("\"")
}

/// True when a value can stand without quotes and be read as the same.
pub(super) fn is_plain(text: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '/' | '+');
    !text.is_empty() && !text.contains("..") && text.chars().all(inside)
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.low, self.high) {
            (Some(low), Some(high)) if low == high => write!(f, "{low}"),
            (Some(low), Some(high)) => write!(f, "{low}..{high}"),
            (Some(low), None) => write!(f, ">={low}"),
            (None, Some(high)) => write!(f, "<={high}"),
            (None, None) => Ok(()),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.quoted { quoted(f, &self.text) } else { f.write_str(&self.text) }
    }
}

impl fmt::Display for VersionTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = |f: &mut fmt::Formatter<'_>, text: &str| match is_plain(text) {
            true => f.write_str(text),
            false => quoted(f, text),
        };
        let (sign, version) = match self {
            Self::Is(pattern) => return write!(f, "{pattern}"),
            Self::Between(from, to) => {
                bound(f, from)?;
                f.write_str("..")?;
                return bound(f, to);
            }
            Self::Below(version) => ("<", version),
            Self::AtMost(version) => ("<=", version),
            Self::Above(version) => (">", version),
            Self::AtLeast(version) => (">=", version),
        };
        f.write_str(sign)?;
        bound(f, version)
    }
}

impl fmt::Display for TimeTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Within(age) => write!(f, "{age}"),
            Self::Beyond(age) => write!(f, ">{age}"),
            Self::On(moment) => write!(f, "{moment}"),
            Self::Before(moment) => write!(f, "<{moment}"),
            Self::Until(moment) => write!(f, "<={moment}"),
            Self::After(moment) => write!(f, ">{moment}"),
            Self::From(moment) => write!(f, ">={moment}"),
            Self::Between(from, to) => write!(f, "{from}..{to}"),
        }
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.count, self.unit)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day(date) => write!(f, "{date}"),
            Self::Instant(time) => write!(f, "{time}"),
        }
    }
}
