//! Which rows of a segment a query finds.

use std::cmp::Ordering;
use std::ops::Range;

use datafusion::arrow::buffer::BooleanBuffer;
use kenshin_observation::version::Version;
use kenshin_observation::{Prefix, TimeUs, addr_to_hi_lo};

use super::column::{ABSENT_INT, ABSENT_LONG, Column, Texts};
use super::segment::Loaded;
use super::things::{self, Tested};
use crate::search::{Field, Kind, Pattern, Query, Span, Term, TimeTest, VersionTest};

/// Columns that free text looks into.
const ANYWHERE: [&str; 6] = ["banner", "title", "server", "cert_subject", "cert_names", "cert_issuer"];

/// The columns in which a field lies, those of [`things`] apart.
pub(super) fn columns(field: Field) -> &'static [&'static str] {
    match field {
        Field::Ip => &["addr_hi", "addr_lo"],
        Field::Port => &["port"],
        Field::Transport => &["transport"],
        Field::Protocol => &["protocol"],
        Field::State => &["state"],
        Field::Vendor | Field::Product | Field::Version | Field::Cpe => &things::COLUMNS,
        Field::Type => &["device_type"],
        Field::Banner => &["banner"],
        Field::Title => &["title"],
        Field::Server => &["server"],
        Field::Status => &["status"],
        Field::Cert => &["cert_subject", "cert_names"],
        Field::Issuer => &["cert_issuer"],
        Field::CertSha256 => &["cert_sha256"],
        Field::Tls => &["tls"],
        Field::Expires => &["cert_expires_us"],
        Field::Key => &["key_sha256"],
        Field::Hassh => &["hassh"],
        Field::Ja3s => &["ja3s"],
        Field::Favicon => &["favicon"],
        Field::Label => &["labels"],
        Field::Seen => &["seen_us"],
        Field::First => &["first_us"],
        Field::Asked => &["asked_us"],
        Field::Asn => &["asn"],
        Field::AsName => &["as_name"],
        Field::Country => &["country"],
        Field::Region => &["region"],
        Field::Provider => &["provider"],
        Field::Mandate => &["mandate_id"],
        Field::Survey => &["survey_id"],
        Field::Sensor => &["sensor_id"],
    }
}

/// True for the attributes of [`things`].
pub(super) fn is_of_things(field: Field) -> bool {
    matches!(field, Field::Vendor | Field::Product | Field::Version | Field::Cpe)
}

/// The columns that deciding about a query takes.
pub(super) fn columns_of(query: &Query, names: &mut Vec<&'static str>) {
    match query {
        Query::All => {}
        Query::Term(term) => names.extend(term.field().map_or(&ANYWHERE[..], columns)),
        Query::Not(inner) => columns_of(inner, names),
        Query::And(parts) | Query::Or(parts) => parts.iter().for_each(|part| columns_of(part, names)),
    }
}

/// Decides about the rows of a segment at an instant.
pub(super) struct Matcher<'a> {
    pub(super) loaded: &'a Loaded<'a>,
    pub(super) now: TimeUs,
}

impl Matcher<'_> {
    /// Which rows `query` finds.
    pub(super) fn rows(&self, query: &Query) -> BooleanBuffer {
        match query {
            Query::All => BooleanBuffer::new_set(self.loaded.rows),
            Query::Term(term) => self.term(term),
            Query::Not(inner) => !&self.rows(inner),
            Query::And(parts) => self.all(parts),
            Query::Or(parts) => {
                parts.iter().map(|part| self.rows(part)).reduce(|a, b| &a | &b).unwrap_or_else(|| self.none())
            }
        }
    }

    fn none(&self) -> BooleanBuffer {
        BooleanBuffer::new_unset(self.loaded.rows)
    }

    /// All of `parts`; what is asked side by side about product and version, or about vendor and
    /// version, is asked about one thing.
    fn all(&self, parts: &[Query]) -> BooleanBuffer {
        let about = |field: Field| {
            parts.iter().any(|part| matches!(part, Query::Term(term) if term.field() == Some(field) && !matches!(term, Term::Has(_))))
        };
        let with_version = match (about(Field::Product), about(Field::Vendor)) {
            (true, _) => Field::Product,
            (false, true) => Field::Vendor,
            (false, false) => Field::Version,
        };
        let joined = |part: &Query| {
            about(Field::Version)
                && matches!(part, Query::Term(Term::Word(field, _) | Term::Version(field, _)) if *field == with_version || *field == Field::Version)
        };
        let mut found: Option<BooleanBuffer> = None;
        let mut narrow = |rows: BooleanBuffer| {
            found = Some(match found.take() {
                Some(before) => &before & &rows,
                None => rows,
            });
            found.as_ref().is_some_and(|rows| rows.count_set_bits() > 0)
        };
        let mut tests = Vec::new();
        for part in parts {
            if joined(part) {
                tests.extend(self.tested(part));
            } else if !narrow(self.rows(part)) {
                return self.none();
            }
        }
        if !tests.is_empty() {
            narrow(self.things_with(&tests));
        }
        found.unwrap_or_else(|| self.none())
    }

    fn things_with(&self, tests: &[Tested]) -> BooleanBuffer {
        BooleanBuffer::collect_bool(self.loaded.rows, self.loaded.things().one_passes(tests))
    }

    /// The test of a thing that a term is; none when it is about something else.
    fn tested(&self, part: &Query) -> Option<Tested> {
        let Query::Term(term) = part else { return None };
        let field = term.field().filter(|field| is_of_things(*field))?;
        let things = self.loaded.things();
        match term {
            Term::Word(_, patterns) => {
                let words: Vec<Word> = patterns.iter().map(Word::new).collect();
                Some(things.tested(field, |text| words.iter().any(|word| word.is(text))))
            }
            Term::Version(_, tests) => {
                let tests: Vec<VersionMatcher> = tests.iter().map(VersionMatcher::new).collect();
                Some(things.tested(field, |text| tests.iter().any(|test| test.is(text))))
            }
            Term::Has(_) => Some(things.tested(field, |_| true)),
            _ => None,
        }
    }

    fn term(&self, term: &Term) -> BooleanBuffer {
        if let Some(test) = self.tested(&Query::Term(term.clone())) {
            return self.things_with(&[test]);
        }
        match term {
            Term::Anywhere(text) => self.texts_containing(&ANYWHERE, std::slice::from_ref(text)),
            Term::Has(field) => self.has(*field),
            Term::Network(_, prefixes) => self.inside(prefixes),
            Term::Number(field, spans) => self.numbers(*field, spans),
            Term::Word(field, patterns) => {
                let words: Vec<Word> = patterns.iter().map(Word::new).collect();
                // Several labels may stand in one text.
                let is_list = *field == Field::Label;
                let any = |text: &str| words.iter().any(|word| word.is(text));
                self.coded(columns(*field), |text| any(text) || is_list && text.split(' ').any(any))
            }
            Term::Text(field, texts) => self.texts_containing(columns(*field), texts),
            // Versions are attributes of things, decided above.
            Term::Version(..) => self.none(),
            Term::Time(field, tests) => self.times(*field, tests),
        }
    }

    fn has(&self, field: Field) -> BooleanBuffer {
        let rows = self.loaded.rows;
        let names = columns(field);
        let one = |name: &&'static str| match self.loaded.column(name) {
            Column::Long(values) => BooleanBuffer::collect_bool(rows, |row| values[row] != ABSENT_LONG),
            Column::Int(values) => BooleanBuffer::collect_bool(rows, |row| values[row] != ABSENT_INT),
            Column::Text(texts) => BooleanBuffer::collect_bool(rows, |row| texts.codes[row] != 0),
        };
        names.iter().map(one).reduce(|a, b| &a | &b).unwrap_or_else(|| self.none())
    }

    fn coded(&self, names: &[&'static str], test: impl Fn(&str) -> bool) -> BooleanBuffer {
        let one = |name: &&'static str| {
            let texts = self.loaded.column(name).texts();
            accepted_rows(texts, &texts.dictionary.accepted(&test))
        };
        names.iter().map(one).reduce(|a, b| &a | &b).unwrap_or_else(|| self.none())
    }

    fn texts_containing(&self, names: &[&'static str], needles: &[String]) -> BooleanBuffer {
        let mut found = self.none();
        for needle in needles {
            let needle = needle.to_lowercase();
            for name in names {
                let texts = self.loaded.column(name).texts();
                found = &found | &accepted_rows(texts, &texts.dictionary.containing(&needle));
            }
        }
        found
    }

    fn inside(&self, prefixes: &[Prefix]) -> BooleanBuffer {
        let ranges =
            prefixes.iter().map(|prefix| (addr_to_hi_lo(prefix.base()), addr_to_hi_lo(prefix.last())));
        in_ranges(self.loaded, ranges)
    }

    fn numbers(&self, field: Field, spans: &[Span]) -> BooleanBuffer {
        let rows = self.loaded.rows;
        match self.loaded.column(columns(field)[0]) {
            Column::Int(values) => {
                let spans: Vec<(i32, i32)> = spans.iter().map(|span| int_ends(*span)).collect();
                match spans.as_slice() {
                    [(low, high)] => {
                        BooleanBuffer::collect_bool(rows, |row| (*low..=*high).contains(&values[row]))
                    }
                    spans => BooleanBuffer::collect_bool(rows, |row| {
                        spans.iter().any(|(low, high)| (*low..=*high).contains(&values[row]))
                    }),
                }
            }
            Column::Long(values) => BooleanBuffer::collect_bool(rows, |row| {
                values[row] != ABSENT_LONG && spans.iter().any(|span| span.contains(values[row]))
            }),
            Column::Text(_) => self.none(),
        }
    }

    fn times(&self, field: Field, tests: &[TimeTest]) -> BooleanBuffer {
        let to_come = field.info().kind == Kind::TimeToCome;
        let ranges: Vec<Range<i64>> = tests.iter().map(|test| instants(*test, self.now, to_come)).collect();
        let values = self.loaded.column(columns(field)[0]).longs();
        BooleanBuffer::collect_bool(self.loaded.rows, |row| {
            ranges.iter().any(|range| range.contains(&values[row]))
        })
    }
}

/// The ends of a span among ints; null is below all of them.
fn int_ends(span: Span) -> (i32, i32) {
    let low = span.low.map_or(ABSENT_INT + 1, |low| i32::try_from(low).unwrap_or(i32::MAX));
    let high = span.high.map_or(i32::MAX, |high| i32::try_from(high).unwrap_or(i32::MAX));
    (low.max(ABSENT_INT + 1), high)
}

/// Rows whose address is in one of `ranges`, both ends included. Rows are sorted by address.
pub(super) fn in_ranges(
    loaded: &Loaded<'_>,
    ranges: impl Iterator<Item = ((i64, i64), (i64, i64))>,
) -> BooleanBuffer {
    let mut bits = datafusion::arrow::buffer::MutableBuffer::new_null(loaded.rows);
    for (first, last) in ranges {
        let begins = position(loaded, |addr| addr < first);
        let ends = position(loaded, |addr| addr <= last);
        for row in begins..ends {
            datafusion::arrow::util::bit_util::set_bit(bits.as_slice_mut(), row);
        }
    }
    BooleanBuffer::new(bits.into(), 0, loaded.rows)
}

/// How many rows at the beginning have addresses for which `before` holds.
pub(super) fn position(loaded: &Loaded<'_>, before: impl Fn((i64, i64)) -> bool) -> usize {
    let (mut low, mut high) = (0, loaded.rows);
    while low < high {
        let middle = low + (high - low) / 2;
        if before(loaded.addr(middle)) { low = middle + 1 } else { high = middle }
    }
    low
}

fn accepted_rows(texts: &Texts, accepted: &[bool]) -> BooleanBuffer {
    match accepted.contains(&true) {
        true => BooleanBuffer::collect_bool(texts.codes.len(), |row| accepted[texts.codes[row] as usize]),
        false => BooleanBuffer::new_unset(texts.codes.len()),
    }
}

/// The instants for which a test holds, µs. What has no instant is before all of them.
fn instants(test: TimeTest, now: TimeUs, to_come: bool) -> Range<i64> {
    let (least, most) = (ABSENT_LONG + 1, i64::MAX);
    let now = now.micros();
    match test {
        TimeTest::Within(age) if to_come => now..now.saturating_add(age.micros()),
        TimeTest::Within(age) => now.saturating_sub(age.micros())..most,
        TimeTest::Beyond(age) if to_come => now.saturating_add(age.micros())..most,
        TimeTest::Beyond(age) => least..now.saturating_sub(age.micros()),
        TimeTest::On(moment) => moment.start().micros()..moment.end().micros(),
        TimeTest::Before(moment) => least..moment.start().micros(),
        TimeTest::Until(moment) => least..moment.end().micros(),
        TimeTest::After(moment) => moment.end().micros()..most,
        TimeTest::From(moment) => moment.start().micros()..most,
        TimeTest::Between(from, to) => from.start().micros()..to.end().micros(),
    }
}

/// A word or pattern, compared without regard to case.
struct Word {
    lower: String,
    wild: bool,
}

impl Word {
    fn new(pattern: &Pattern) -> Self {
        Self { lower: pattern.text.to_lowercase(), wild: pattern.wild }
    }

    fn is(&self, text: &str) -> bool {
        if self.wild {
            return glob(&self.lower, &text.to_lowercase());
        }
        if text.is_ascii() {
            self.lower.eq_ignore_ascii_case(text)
        } else {
            self.lower == text.to_lowercase()
        }
    }
}

/// Does `text` fit `pattern`, in which `*` stands for any characters? The pieces between stars are
/// looked for from left to right, each where it first comes: no text makes this slow.
fn glob(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

/// A version test whose versions are taken apart once.
enum VersionMatcher {
    Is(Word, Option<Version>),
    Ordered { low: Option<(Version, bool)>, high: Option<(Version, bool)> },
}

impl VersionMatcher {
    fn new(test: &VersionTest) -> Self {
        // The parser took only versions that can be taken apart; others would hold for nothing.
        let bound = |text: &str, including| Version::parse(text).map(|version| (version, including));
        let (low, high) = match test {
            VersionTest::Is(pattern) => {
                let version = if pattern.wild { None } else { Version::parse(&pattern.text) };
                return Self::Is(Word::new(pattern), version);
            }
            VersionTest::Below(version) => (None, bound(version, false)),
            VersionTest::AtMost(version) => (None, bound(version, true)),
            VersionTest::Above(version) => (bound(version, false), None),
            VersionTest::AtLeast(version) => (bound(version, true), None),
            VersionTest::Between(from, to) => (bound(from, true), bound(to, true)),
        };
        Self::Ordered { low, high }
    }

    fn is(&self, text: &str) -> bool {
        match self {
            Self::Is(word, version) => {
                let equal = |version: &Version| {
                    Version::parse(text).and_then(|seen| seen.compare(version)) == Some(Ordering::Equal)
                };
                word.is(text) || version.as_ref().is_some_and(equal)
            }
            Self::Ordered { low, high } => {
                let Some(seen) = Version::parse(text) else { return false };
                let beyond = |bound: &Option<(Version, bool)>, wanted: Ordering| match bound {
                    None => true,
                    Some((version, including)) => match seen.compare(version) {
                        Some(Ordering::Equal) => *including,
                        Some(order) => order == wanted,
                        None => false,
                    },
                };
                (low.is_some() || high.is_some())
                    && beyond(low, Ordering::Greater)
                    && beyond(high, Ordering::Less)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, fits) in [
            ("wzr*", "wzr-hp-g450h", true),
            ("*g450h", "wzr-hp-g450h", true),
            ("w*-*h", "wzr-hp-g450h", true),
            ("*", "", true),
            ("a*a", "a", false),
            ("a**b", "ab", true),
            ("ab", "abc", false),
            ("*検*", "受検者", true),
        ] {
            assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn versions_are_compared_as_versions() {
        for (query, text, holds) in [
            ("version:<2020.1", "2019.78", true),
            ("version:<2020.1", "2020.81", false),
            ("version:<1.10", "1.9", true),
            ("version:1.2", "1.2.0", true),
            ("version:1.*", "1.10b", true),
            ("version:1.0..1.99", "1.99", true),
            ("version:>1.0", "unknown", false),
            ("version:<1.4", "1.04", false),
        ] {
            let Ok(Query::Term(Term::Version(_, tests))) = query.parse::<Query>() else { panic!("{query}") };
            assert_eq!(VersionMatcher::new(&tests[0]).is(text), holds, "{query} {text}");
        }
    }
}
