//! From text to [`Query`]: one pass, bounded in length, depth and number of tests.

use std::ops::Range;
use std::str::FromStr;

use jiff::civil::Date;
use kenshin_observation::version::{Version, compare};
use kenshin_observation::{Prefix, TimeUs};

use super::error::QueryError;
use super::field::{FIELDS, Field, Kind, nearest};
use super::query::{Age, Moment, Pattern, Query, Span, Term, TimeTest, VersionTest};

/// Longest query, bytes.
pub const QUERY_BYTES_MAX: usize = 4_096;
/// Deepest nesting of parentheses and negations.
pub const DEPTH_MAX: usize = 32;
/// Most values that are compared with, over all terms.
pub const VALUES_MAX: usize = 512;
/// Most texts that are looked for inside of others, over all terms: each is a pass over all that was
/// ever said.
pub const TEXTS_MAX: usize = 32;
/// Longest age, in years of 365 days.
const AGE_YEARS_MAX: i64 = 200;

impl FromStr for Query {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        if text.len() > QUERY_BYTES_MAX {
            let message = format!("the query is longer than {QUERY_BYTES_MAX} bytes");
            return Err(QueryError::new(0..0, message));
        }
        let mut parser = Parser { text, at: 0, depth: 0, values: 0, texts: 0 };
        parser.skip_blanks();
        if parser.rest().is_empty() {
            return Ok(Self::All);
        }
        let query = parser.alternatives()?;
        match parser.peek() {
            None => Ok(query),
            // Only a parenthesis ends an expression before the text does.
            Some(c) => Err(QueryError::new(parser.span_of(c), "this parenthesis closes nothing")),
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    values: usize,
    texts: usize,
}

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Is,
    Below,
    AtMost,
    Above,
    AtLeast,
}

/// A value as it was written.
struct Atom {
    text: String,
    quoted: bool,
    span: Range<usize>,
}

/// What stands between two commas.
enum Value {
    One(Sign, Atom),
    Between(Option<Atom>, Option<Atom>, Range<usize>),
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn span_of(&self, c: char) -> Range<usize> {
        self.at..self.at + c.len_utf8()
    }

    fn skip_blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Takes `token` when it comes next.
    fn take(&mut self, token: &str) -> bool {
        let there = self.rest().starts_with(token);
        if there {
            self.at += token.len();
        }
        there
    }

    /// Takes a whole word such as `OR` when it comes next.
    fn take_word(&mut self, word: &str) -> bool {
        let there =
            self.rest().strip_prefix(word).is_some_and(|rest| rest.chars().next().is_none_or(ends_word));
        if there {
            self.at += word.len();
        }
        there
    }

    /// `a OR b …`
    fn alternatives(&mut self) -> Result<Query, QueryError> {
        let mut parts = vec![self.conjunction()?];
        while self.take_word("OR") {
            parts.push(self.conjunction()?);
        }
        Ok(Query::or(parts))
    }

    /// `a b …`, also `a AND b`; ends at `OR`, at `)` and at the end.
    fn conjunction(&mut self) -> Result<Query, QueryError> {
        let mut parts = vec![self.operand()?];
        loop {
            self.skip_blanks();
            let ends = matches!(self.peek(), None | Some(')')) || {
                let before = self.at;
                let is_or = self.take_word("OR");
                self.at = before;
                is_or
            };
            if ends {
                return Ok(Query::and(parts));
            }
            self.take_word("AND");
            parts.push(self.operand()?);
        }
    }

    fn operand(&mut self) -> Result<Query, QueryError> {
        self.skip_blanks();
        let begins = self.at;
        for word in ["OR", "AND"] {
            if self.take_word(word) {
                let message = format!("`{word}` needs something on both sides");
                return Err(QueryError::new(begins..self.at, message)
                    .with_hint(format!("to look for the word, write \"{word}\"")));
            }
        }
        let Some(next) = self.peek() else {
            return Err(QueryError::new(self.at..self.at, "the query ends where something is expected"));
        };
        if self.take_word("NOT") || next == '-' && self.take("-") {
            if self.peek().is_none_or(|c| c == ')' || next == '-' && c.is_whitespace()) {
                return Err(QueryError::new(begins..self.at, "nothing follows to be excluded"));
            }
            return self.deeper(begins, |parser| Ok(Query::Not(Box::new(parser.operand()?))));
        }
        match next {
            '(' => self.deeper(begins, |parser| {
                parser.at += 1;
                parser.skip_blanks();
                if parser.peek() == Some(')') {
                    return Err(QueryError::new(
                        begins..parser.at + 1,
                        "there is nothing in these parentheses",
                    ));
                }
                let inner = parser.alternatives()?;
                if !parser.take(")") {
                    return Err(QueryError::new(begins..begins + 1, "this parenthesis is never closed"));
                }
                Ok(inner)
            }),
            ')' => Err(QueryError::new(self.span_of(next), "something is expected before this parenthesis")),
            '"' => {
                let atom = self.quoted()?;
                self.anywhere(atom)
            }
            _ => self.word(),
        }
    }

    fn deeper(
        &mut self,
        begins: usize,
        inside: impl FnOnce(&mut Self) -> Result<Query, QueryError>,
    ) -> Result<Query, QueryError> {
        if self.depth == DEPTH_MAX {
            let message = format!("the query is nested more than {DEPTH_MAX} deep");
            return Err(QueryError::new(begins..begins + 1, message));
        }
        self.depth += 1;
        let query = inside(self)?;
        self.depth -= 1;
        Ok(query)
    }

    /// A term that does not begin with a quote: `field:…`, an address, or a word to look for.
    fn word(&mut self) -> Result<Query, QueryError> {
        let begins = self.at;
        let length = self.rest().find(ends_word).unwrap_or(self.rest().len());
        let word = &self.rest()[..length];
        if let Ok(prefix) = word.parse::<Prefix>() {
            self.at += length;
            self.count(begins..self.at)?;
            return Ok(Query::Term(Term::Network(Field::Ip, vec![prefix])));
        }
        let Some((name, _)) = word.split_once(':') else {
            self.at += length;
            let atom = Atom { text: word.to_owned(), quoted: false, span: begins..self.at };
            return self.anywhere(atom);
        };
        let named = begins..begins + name.len();
        self.at = named.end + 1;
        if name.eq_ignore_ascii_case("has") {
            let atom = self.atom("has")?;
            let field = find_field(&atom.text, atom.span)?;
            self.count(named)?;
            return Ok(Query::Term(Term::Has(field)));
        }
        let field = find_field(name, named)?;
        self.values(field).map(Query::Term)
    }

    fn anywhere(&mut self, atom: Atom) -> Result<Query, QueryError> {
        self.count(atom.span.clone())?;
        self.count_text(atom.span.clone())?;
        Ok(Query::Term(Term::Anywhere(not_empty(atom)?.text)))
    }

    fn count(&mut self, span: Range<usize>) -> Result<(), QueryError> {
        self.values += 1;
        if self.values > VALUES_MAX {
            return Err(QueryError::new(span, format!("the query has more than {VALUES_MAX} values")));
        }
        Ok(())
    }

    fn count_text(&mut self, span: Range<usize>) -> Result<(), QueryError> {
        self.texts += 1;
        if self.texts > TEXTS_MAX {
            let message = format!("the query looks for more than {TEXTS_MAX} texts");
            return Err(QueryError::new(span, message).with_hint("ask in several queries"));
        }
        Ok(())
    }

    /// What follows `field:`, values with commas between.
    fn values(&mut self, field: Field) -> Result<Term, QueryError> {
        let kind = field.info().kind;
        let mut values = Vec::new();
        loop {
            let value = self.value(field, kind)?;
            self.count(span_of(&value))?;
            if kind == Kind::Text {
                self.count_text(span_of(&value))?;
            }
            values.push(value);
            if !self.take(",") {
                break;
            }
        }
        fn all<T>(
            values: Vec<Value>,
            read: impl Fn(Value) -> Result<T, QueryError>,
        ) -> Result<Vec<T>, QueryError> {
            values.into_iter().map(read).collect()
        }
        Ok(match kind {
            Kind::Network => Term::Network(field, all(values, |value| network(field, value))?),
            Kind::Number => Term::Number(field, all(values, |value| number(field, value))?),
            Kind::Word => Term::Word(field, all(values, |value| pattern(field, value))?),
            Kind::Text => Term::Text(field, all(values, |value| Ok(only_one(field, value)?.text))?),
            Kind::Version => Term::Version(field, all(values, version)?),
            Kind::Time | Kind::TimeToCome => Term::Time(field, all(values, time)?),
        })
    }

    fn value(&mut self, field: Field, kind: Kind) -> Result<Value, QueryError> {
        let begins = self.at;
        let ordered = matches!(kind, Kind::Number | Kind::Version | Kind::Time | Kind::TimeToCome);
        let signs = [("<=", Sign::AtMost), (">=", Sign::AtLeast), ("<", Sign::Below), (">", Sign::Above)];
        let sign = signs.into_iter().find(|(text, _)| self.take(text)).map_or(Sign::Is, |(_, sign)| sign);
        if sign != Sign::Is {
            if !ordered {
                let message = format!("`{}` has no order: it cannot be compared by `<` or `>`", field.name());
                return Err(QueryError::new(begins..self.at, message)
                    .with_hint(format!("for example {}", field.info().example)));
            }
            return Ok(Value::One(sign, self.atom(field.name())?));
        }
        if !ordered {
            return Ok(Value::One(sign, self.atom(field.name())?));
        }
        if self.take("..") {
            let to = self.atom(field.name())?;
            let span = begins..to.span.end;
            return Ok(Value::Between(None, Some(to), span));
        }
        let mut from = self.atom(field.name())?;
        if !from.quoted
            && let Some((left, right)) = from.text.split_once("..")
        {
            let middle = from.span.start + left.len() + 2;
            let to = Atom { text: right.to_owned(), quoted: false, span: middle..from.span.end };
            from = Atom { text: left.to_owned(), quoted: false, span: from.span.start..middle - 2 };
            let to = if !to.text.is_empty() {
                Some(to)
            } else if self.peek() == Some('"') {
                Some(self.quoted()?)
            } else {
                None
            };
            return Ok(Value::Between(Some(from), to, begins..self.at));
        }
        if from.quoted && self.take("..") {
            let open = self.peek().is_none_or(|c| ends_word(c) && c != '"' || c == ',');
            let to = if open { None } else { Some(self.atom(field.name())?) };
            return Ok(Value::Between(Some(from), to, begins..self.at));
        }
        Ok(Value::One(sign, from))
    }

    /// One value, in quotes or not.
    fn atom(&mut self, name: &str) -> Result<Atom, QueryError> {
        if self.peek() == Some('"') {
            return self.quoted();
        }
        let begins = self.at;
        let ends = |c: char| ends_word(c) || c == ',';
        let length = self.rest().find(ends).unwrap_or(self.rest().len());
        if length == 0 {
            let error = QueryError::new(begins..begins, format!("`{name}:` needs a value"));
            return Err(match Field::named(name) {
                Some(field) => error.with_hint(format!("for example {}", field.info().example)),
                None => error.with_hint("for example has:title"),
            });
        }
        let text = self.rest()[..length].to_owned();
        self.at += length;
        Ok(Atom { text, quoted: false, span: begins..self.at })
    }

    /// A text in quotes; `\` takes away what the character behind it means.
    fn quoted(&mut self) -> Result<Atom, QueryError> {
        let begins = self.at;
        let mut text = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((offset, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += offset + 1;
                    return Ok(Atom { text, quoted: true, span: begins..self.at });
                }
                '\\' => text.extend(chars.next().map(|(_, c)| c)),
                c => text.push(c),
            }
        }
        Err(QueryError::new(begins..begins + 1, "this quotation is never closed"))
    }
}

/// True for what ends a word outside of quotes.
fn ends_word(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | ')' | '"')
}

fn span_of(value: &Value) -> Range<usize> {
    match value {
        Value::One(_, atom) => atom.span.clone(),
        Value::Between(_, _, span) => span.clone(),
    }
}

fn find_field(name: &str, span: Range<usize>) -> Result<Field, QueryError> {
    Field::named(name).ok_or_else(|| {
        let names = FIELDS.iter().flat_map(|info| std::iter::once(&info.name).chain(info.synonyms)).copied();
        let error = QueryError::new(span, format!("there is no field `{}`", shortened(name)));
        match nearest(name, names) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error.with_hint("`search --fields` lists them; a text with a colon goes into quotes"),
        }
    })
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(40).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

fn not_empty(atom: Atom) -> Result<Atom, QueryError> {
    if atom.text.trim().is_empty() {
        return Err(QueryError::new(atom.span, "there is nothing in these quotes"));
    }
    Ok(atom)
}

/// The value of a field that has no order.
fn only_one(field: Field, value: Value) -> Result<Atom, QueryError> {
    match value {
        Value::One(Sign::Is, atom) => not_empty(atom),
        Value::One(..) | Value::Between(..) => {
            Err(QueryError::new(span_of(&value), format!("`{}` has no order", field.name())))
        }
    }
}

fn network(field: Field, value: Value) -> Result<Prefix, QueryError> {
    let atom = only_one(field, value)?;
    atom.text.parse().map_err(|error: kenshin_observation::ParsePrefixError| {
        QueryError::new(atom.span, shortened_message(&error.to_string()))
    })
}

fn shortened_message(text: &str) -> String {
    text.chars().take(200).collect()
}

fn pattern(field: Field, value: Value) -> Result<Pattern, QueryError> {
    let atom = only_one(field, value)?;
    let wild = !atom.quoted && atom.text.contains('*');
    if let Some(words) = field.words().filter(|_| !wild)
        && !words.iter().any(|word| word.eq_ignore_ascii_case(&atom.text))
    {
        let message = format!("`{}` is no word of `{}`", shortened(&atom.text), field.name());
        let hint = match nearest(&atom.text, words.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("one of: {}", words.join(", ")),
        };
        return Err(QueryError::new(atom.span, message).with_hint(hint));
    }
    Ok(Pattern { text: atom.text, wild, quoted: atom.quoted })
}

/// Least and most value of a number field.
fn bounds(field: Field) -> (i64, i64) {
    match field {
        Field::Port => (0, u16::MAX.into()),
        Field::Status => (0, 999),
        Field::Favicon => (i32::MIN.into(), i32::MAX.into()),
        _ => (0, u32::MAX.into()),
    }
}

fn number(field: Field, value: Value) -> Result<Span, QueryError> {
    let (least, most) = bounds(field);
    let read = |atom: &Atom| match atom.text.parse::<i64>() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        Ok(_) => {
            let message = format!("`{}` is from {least} to {most}", field.name());
            Err(QueryError::new(atom.span.clone(), message))
        }
        Err(_) => {
            let message = format!("`{}` is not a number", shortened(&atom.text));
            Err(QueryError::new(atom.span.clone(), message)
                .with_hint(format!("for example {}", field.info().example)))
        }
    };
    let span = span_of(&value);
    let read_span = match value {
        Value::One(sign, atom) => {
            let number = read(&atom)?;
            let (low, high) = match sign {
                Sign::Is => (Some(number), Some(number)),
                Sign::Below => (None, Some(number - 1)),
                Sign::AtMost => (None, Some(number)),
                Sign::Above => (Some(number + 1), None),
                Sign::AtLeast => (Some(number), None),
            };
            Span { low, high }
        }
        Value::Between(from, to, _) => {
            Span { low: from.as_ref().map(read).transpose()?, high: to.as_ref().map(read).transpose()? }
        }
    };
    let empty = match (read_span.low, read_span.high) {
        (Some(low), Some(high)) => low > high,
        (low, high) => low.is_some_and(|low| low > most) || high.is_some_and(|high| high < least),
    };
    if empty {
        return Err(QueryError::new(span, "no number is in this range"));
    }
    Ok(read_span)
}

fn version(value: Value) -> Result<VersionTest, QueryError> {
    let ordered = |atom: Atom| match Version::parse(&atom.text) {
        Some(_) => Ok(atom.text),
        None => {
            let message =
                format!("`{}` is no version that others can be compared with", shortened(&atom.text));
            Err(QueryError::new(atom.span, message).with_hint("for example version:<2020.1"))
        }
    };
    match value {
        Value::One(Sign::Is, atom) => {
            let atom = not_empty(atom)?;
            let wild = !atom.quoted && atom.text.contains('*');
            Ok(VersionTest::Is(Pattern { text: atom.text, wild, quoted: atom.quoted }))
        }
        Value::One(sign, atom) => {
            let version = ordered(atom)?;
            Ok(match sign {
                Sign::Below => VersionTest::Below(version),
                Sign::AtMost => VersionTest::AtMost(version),
                Sign::Above => VersionTest::Above(version),
                Sign::AtLeast | Sign::Is => VersionTest::AtLeast(version),
            })
        }
        Value::Between(Some(from), None, _) => Ok(VersionTest::AtLeast(ordered(from)?)),
        Value::Between(None, Some(to), _) => Ok(VersionTest::AtMost(ordered(to)?)),
        Value::Between(Some(from), Some(to), span) => {
            let (from, to) = (ordered(from)?, ordered(to)?);
            match compare(&from, &to) {
                Some(std::cmp::Ordering::Greater) => {
                    Err(QueryError::new(span, "no version is in this range"))
                }
                _ => Ok(VersionTest::Between(from, to)),
            }
        }
        Value::Between(None, None, span) => Err(QueryError::new(span, "this range has no ends")),
    }
}

fn time(value: Value) -> Result<TimeTest, QueryError> {
    match value {
        Value::One(sign, atom) => match (age(&atom)?, sign) {
            (Some(age), Sign::Is | Sign::Below | Sign::AtMost) => Ok(TimeTest::Within(age)),
            (Some(age), Sign::Above | Sign::AtLeast) => Ok(TimeTest::Beyond(age)),
            (None, sign) => {
                let moment = moment(&atom)?;
                Ok(match sign {
                    Sign::Is => TimeTest::On(moment),
                    Sign::Below => TimeTest::Before(moment),
                    Sign::AtMost => TimeTest::Until(moment),
                    Sign::Above => TimeTest::After(moment),
                    Sign::AtLeast => TimeTest::From(moment),
                })
            }
        },
        Value::Between(from, to, span) => {
            if let Some(age) = [&from, &to].into_iter().flatten().find(|end| matches!(age(end), Ok(Some(_))))
            {
                let message = format!("`{}` is an age, and a range is of dates", shortened(&age.text));
                let hint = "write, for example, `seen:<7d -seen:<1d`, or `seen:2026-10-01..2026-10-06`";
                return Err(QueryError::new(age.span.clone(), message).with_hint(hint));
            }
            let from = from.as_ref().map(moment).transpose()?;
            let to = to.as_ref().map(moment).transpose()?;
            match (from, to) {
                (Some(from), Some(to)) if from.start() >= to.end() => {
                    Err(QueryError::new(span, "no instant is in this range"))
                }
                (Some(from), Some(to)) => Ok(TimeTest::Between(from, to)),
                (Some(from), None) => Ok(TimeTest::From(from)),
                (None, Some(to)) => Ok(TimeTest::Until(to)),
                (None, None) => Err(QueryError::new(span, "this range has no ends")),
            }
        }
    }
}

/// An age, when the text is one: digits and a unit.
fn age(atom: &Atom) -> Result<Option<Age>, QueryError> {
    let Some((last, unit)) = atom.text.char_indices().last() else { return Ok(None) };
    let digits = &atom.text[..last];
    if !matches!(unit, 'h' | 'd' | 'w' | 'y')
        || digits.is_empty()
        || !digits.bytes().all(|b| b.is_ascii_digit())
    {
        return Ok(None);
    }
    let read = digits.parse().ok().map(|count| Age { count, unit });
    match read.filter(|age| age.micros() <= AGE_YEARS_MAX * Age { count: 1, unit: 'y' }.micros()) {
        Some(age) => Ok(Some(age)),
        None => Err(QueryError::new(atom.span.clone(), format!("an age is at most {AGE_YEARS_MAX} years"))),
    }
}

fn moment(atom: &Atom) -> Result<Moment, QueryError> {
    let day = (atom.text.len() == 10).then(|| atom.text.parse::<Date>().ok()).flatten();
    if let Some(date) = day.filter(|date| date.year() >= 1970) {
        return Ok(Moment::Day(date));
    }
    match atom.text.parse::<TimeUs>() {
        Ok(time) if time.micros() >= 0 => Ok(Moment::Instant(time)),
        _ => {
            let message = format!("`{}` is neither an age nor a date", shortened(&atom.text));
            let hint =
                "an age such as 36h, 7d, 2w or 1y; a day such as 2026-10-01; or 2026-10-01T12:00:00+09:00";
            Err(QueryError::new(atom.span.clone(), message).with_hint(hint))
        }
    }
}
