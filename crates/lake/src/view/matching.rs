//! What a query asks of the rows of a segment.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use kenshin_observation::version::Version;
use kenshin_observation::{Prefix, TimeUs};

use super::column::{ABSENT_INT, ABSENT_LONG, Column};
use super::condition::Condition;
use super::segment::Loaded;
use super::things::{self, Asked, Tested};
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

/// True when a query excludes nothing and names no field but `fields`.
fn is_only_about(query: &Query, fields: [Field; 2]) -> bool {
    match query {
        // Whether a version is known is asked like a version.
        Query::Term(Term::Has(field)) => *field == Field::Version && fields.contains(field),
        Query::Term(term) => term.field().is_some_and(|field| fields.contains(&field)),
        Query::And(parts) | Query::Or(parts) => parts.iter().all(|part| is_only_about(part, fields)),
        Query::All | Query::Not(_) => false,
    }
}

/// Says what is asked of the rows of a segment at an instant.
pub(super) struct Matcher<'a> {
    pub(super) loaded: &'a Loaded<'a>,
    pub(super) now: TimeUs,
}

/// What is asked of the one thing that terms deeper inside ask about too.
#[derive(Clone, Default)]
struct Beside {
    asked: Vec<Arc<Asked>>,
    /// It names a product or vendor.
    named: bool,
}

impl<'a> Matcher<'a> {
    /// What a row is that `query` finds.
    ///
    /// A version is asked of the product that is named beside it, or of the vendor where no product
    /// is: a row has one thing of that name with that version. Beside is also what stands before or
    /// behind parentheses that the version is in, and before or behind `-`.
    pub(super) fn condition(&self, query: &Query) -> Condition<'a> {
        self.beside(query, &Beside::default())
    }

    fn beside(&self, query: &Query, beside: &Beside) -> Condition<'a> {
        match query {
            Query::All => Condition::everything(),
            Query::Term(term) => self.term(term, beside),
            // A version that is excluded is that of the product. A product that is excluded is so
            // whatever its version.
            Query::Not(inner) if beside.named => Condition::Not(Box::new(self.beside(inner, beside))),
            Query::Not(inner) => Condition::Not(Box::new(self.condition(inner))),
            Query::And(parts) => self.all(parts, beside),
            Query::Or(parts) => Condition::any(parts.iter().map(|part| self.beside(part, beside))),
        }
    }

    /// All of `parts`.
    fn all(&self, parts: &[Query], beside: &Beside) -> Condition<'a> {
        let names = |field: &Field| {
            let named = |part: &Query| part.mentions(*field) && is_only_about(part, [*field, Field::Version]);
            parts.iter().any(named)
        };
        let name = match [Field::Product, Field::Vendor].into_iter().find(names) {
            Some(field) if parts.iter().any(|part| part.mentions(Field::Version)) => field,
            _ => Field::Version,
        };
        let joined = |part: &Query| is_only_about(part, [name, Field::Version]);
        let asked: Vec<Arc<Asked>> = parts
            .iter()
            .filter(|part| joined(part))
            .filter_map(|part| self.asked(part))
            .map(Arc::new)
            .collect();
        let named = name != Field::Version;
        let mut inside = if named { Beside::default() } else { beside.clone() };
        inside.asked.extend(asked.iter().cloned());
        inside.named |= named;
        // Taken one by one: behind one that nothing passes the others are not looked at.
        let others = parts.iter().filter(|part| !joined(part)).map(|part| self.beside(part, &inside));
        let things = (!asked.is_empty()).then(|| self.loaded.things().one_passes(&inside.asked));
        Condition::all(things.into_iter().chain(others))
    }

    /// What a query that is only about things asks of one.
    fn asked(&self, query: &Query) -> Option<Asked> {
        let each = |parts: &[Query]| parts.iter().map(|part| self.asked(part)).collect::<Option<Vec<_>>>();
        match query {
            Query::Term(term) => self.tested(term).map(Asked::One),
            Query::And(parts) => each(parts).map(Asked::All),
            Query::Or(parts) => each(parts).map(Asked::Any),
            Query::All | Query::Not(_) => None,
        }
    }

    /// The test of a thing that a term is; none when it is about something else.
    fn tested(&self, term: &Term) -> Option<Tested> {
        let field = term.field().filter(|field| is_of_things(*field))?;
        let things = self.loaded.things();
        match term {
            Term::Word(_, patterns) => {
                let words: Vec<Word> = patterns.iter().map(Word::new).collect();
                Some(things.tested(field, |text| words.iter().any(|word| word.is_in(text))))
            }
            Term::Version(_, tests) => {
                let tests: Vec<VersionMatcher> = tests.iter().map(VersionMatcher::new).collect();
                Some(things.tested(field, |text| tests.iter().any(|test| test.is(text))))
            }
            Term::Has(_) => Some(things.tested(field, |_| true)),
            _ => None,
        }
    }

    fn term(&self, term: &Term, beside: &Beside) -> Condition<'a> {
        if let Some(test) = self.tested(term) {
            let of_it = match term.field() {
                Some(Field::Version) => true,
                Some(Field::Product | Field::Vendor) => !beside.named && !matches!(term, Term::Has(_)),
                _ => false,
            };
            let mut all = if of_it { beside.asked.clone() } else { Vec::new() };
            all.push(Arc::new(Asked::One(test)));
            return self.loaded.things().one_passes(&all);
        }
        match term {
            Term::Anywhere(text) => self.texts_containing(&ANYWHERE, std::slice::from_ref(text)),
            Term::Has(field) => self.has(*field),
            Term::Network(_, prefixes) => in_ranges(self.loaded, prefixes.iter().flat_map(Prefix::ranges)),
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
            Term::Version(..) => Condition::nothing(),
            Term::Time(field, tests) => self.times(*field, tests),
        }
    }

    fn has(&self, field: Field) -> Condition<'a> {
        let loaded = self.loaded;
        // Every service has an address; halves of it are no field.
        if field.info().kind == Kind::Network {
            return Condition::Not(Box::new(Condition::nothing()));
        }
        Condition::any(columns(field).iter().map(|name| match loaded.column(name) {
            Column::Long(values) => Condition::Longs(values, vec![(ABSENT_LONG + 1, i64::MAX)]),
            Column::Int(values) => Condition::Ints(values, vec![(ABSENT_INT + 1, i32::MAX)]),
            Column::Text(texts) => Condition::Not(Box::new(Condition::Text(&texts.codes, 0))),
        }))
    }

    /// Rows whose texts in these columns pass a test.
    pub(super) fn coded(&self, names: &[&'static str], test: impl Fn(&str) -> bool) -> Condition<'a> {
        let loaded = self.loaded;
        Condition::all(names.iter().map(|name| {
            let texts = loaded.column(name).texts();
            Condition::texts(texts, texts.dictionary.accepted(&test))
        }))
    }

    fn texts_containing(&self, names: &[&'static str], needles: &[String]) -> Condition<'a> {
        let loaded = self.loaded;
        let needles: Vec<String> = needles.iter().map(|needle| needle.to_lowercase()).collect();
        Condition::any(names.iter().flat_map(|name| {
            let texts = loaded.column(name).texts();
            let containing =
                move |needle: &String| Condition::texts(texts, texts.dictionary.containing(needle));
            needles.iter().map(containing)
        }))
    }

    fn numbers(&self, field: Field, spans: &[Span]) -> Condition<'a> {
        let loaded = self.loaded;
        match loaded.column(columns(field)[0]) {
            Column::Int(values) => {
                Condition::Ints(values, spans.iter().map(|span| int_ends(*span)).collect())
            }
            Column::Long(values) => {
                Condition::Longs(values, spans.iter().map(|span| long_ends(*span)).collect())
            }
            Column::Text(_) => Condition::nothing(),
        }
    }

    fn times(&self, field: Field, tests: &[TimeTest]) -> Condition<'a> {
        let loaded = self.loaded;
        let to_come = field.info().kind == Kind::TimeToCome;
        let span = |test: &TimeTest| {
            let Range { start, end } = instants(*test, self.now, to_come);
            (start, end.saturating_sub(1))
        };
        Condition::Longs(loaded.column(columns(field)[0]).longs(), tests.iter().map(span).collect())
    }
}

/// The ends of a span among ints; null is below all of them.
fn int_ends(span: Span) -> (i32, i32) {
    let low = span.low.map_or(ABSENT_INT + 1, |low| i32::try_from(low).unwrap_or(i32::MAX));
    let high = span.high.map_or(i32::MAX, |high| i32::try_from(high).unwrap_or(i32::MAX));
    (low.max(ABSENT_INT + 1), high)
}

/// The same among longs.
fn long_ends(span: Span) -> (i64, i64) {
    (span.low.unwrap_or(i64::MIN).max(ABSENT_LONG + 1), span.high.unwrap_or(i64::MAX))
}

/// The address is in one of `ranges`, both ends included. Rows are sorted by address.
pub(super) fn in_ranges<'a>(
    loaded: &Loaded<'_>,
    ranges: impl Iterator<Item = ((i64, i64), (i64, i64))>,
) -> Condition<'a> {
    let addresses = loaded.addresses();
    let rows =
        |(first, last)| addresses.position(|addr| addr < first)..addresses.position(|addr| addr <= last);
    Condition::rows(ranges.map(rows).collect())
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
    quoted: bool,
}

impl Word {
    fn new(pattern: &Pattern) -> Self {
        Self { lower: pattern.text.to_lowercase(), wild: pattern.wild, quoted: pattern.quoted }
    }

    /// It is the name, or one word of it: `dropbear` of `Dropbear SSH`. In quotes it is the whole.
    fn is_in(&self, name: &str) -> bool {
        self.is(name) || !self.quoted && !self.wild && name.split_whitespace().any(|word| self.is(word))
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
