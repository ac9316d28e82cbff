//! What is wrong with a text, where, and the way out.

use std::fmt;
use std::ops::Range;

/// One thing that is wrong with a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Name of the file, as the caller gave it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong, lower case.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}\nhint: {}", self.file, self.line, self.column, self.message, self.hint)
    }
}

/// A text that is refused, with every problem that was found in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Invalid {
    problems: Vec<Problem>,
}

impl Invalid {
    /// The problems, at least one, in the order of the text.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// What to do about the first problem.
    pub fn hint(&self) -> &str {
        &self.problems[0].hint
    }
}

/// Collects the problems of one text.
pub(crate) struct Report<'a> {
    file: &'a str,
    text: &'a str,
    problems: Vec<(usize, Problem)>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, text, problems: Vec::new() }
    }

    /// Notes a problem at the start of `span` (bytes).
    pub(crate) fn add(&mut self, span: Range<usize>, message: impl Into<String>, hint: impl Into<String>) {
        let (line, column) = place(self.text, span.start);
        let problem =
            Problem { file: self.file.to_owned(), line, column, message: message.into(), hint: hint.into() };
        self.problems.push((span.start, problem));
    }

    /// A report with this one problem, as the error it is.
    pub(crate) fn only(
        mut self,
        span: Range<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Invalid {
        self.add(span, message, hint);
        self.finish().expect_err("a problem was just added")
    }

    /// Notes what the TOML reader refused.
    pub(crate) fn add_toml(&mut self, error: &toml::de::Error) {
        let (message, hint) = plain(error.message());
        self.add(error.span().unwrap_or(0..0), message, hint);
    }

    /// How many problems were noted.
    pub(crate) fn len(&self) -> usize {
        self.problems.len()
    }

    /// Everything is well, or the problems in the order of the text.
    pub(crate) fn finish(mut self) -> Result<(), Invalid> {
        if self.problems.is_empty() {
            return Ok(());
        }
        self.problems.sort_by_key(|(at, _)| *at);
        Err(Invalid { problems: self.problems.into_iter().map(|(_, problem)| problem).collect() })
    }
}

/// Line and column, both from 1, of a byte offset.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let mut end = offset.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let before = &text[..end];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// What the TOML reader says, in the words of these files, and the way out.
fn plain(said: &str) -> (String, String) {
    let said = said.trim_end().replace('\n', "; ");
    let quoted: Vec<&str> = said.split('`').skip(1).step_by(2).collect();
    match (said.split('`').next().unwrap_or_default(), quoted.as_slice()) {
        ("unknown field ", [unknown, known @ ..]) => {
            let way_out = match nearest(unknown, known) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("the keys here are {}.", known.join(", ")),
            };
            (
                format!("unknown key `{unknown}`"),
                format!("{way_out} Unknown keys are refused, so that none is ignored by mistake"),
            )
        }
        ("missing field ", [missing]) => (
            format!("the key `{missing}` is missing"),
            format!(
                "add `{missing}` to this table; `kenshin mandate new` writes every key with its explanation"
            ),
        ),
        ("duplicate key", _) => (said, "keep one of them: a key stands once".to_owned()),
        _ => {
            let said = said
                .replace("expected i64", "expected a whole number")
                .replace("expected a sequence", "expected a list");
            (said, "compare with what `kenshin mandate new` writes".to_owned())
        }
    }
}

/// The known word that is at most a third of its letters away from `word`.
fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let best = known.iter().map(|candidate| (distance(word, candidate), *candidate)).min()?;
    (best.0 * 3 <= best.1.len().max(3)).then_some(best.1)
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.chars().enumerate() {
            let substituted = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.chars().count()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_not_bytes() {
        let text = "a = 1\n日本 = x";
        assert_eq!(place(text, 0), (1, 1));
        assert_eq!(place(text, text.find('x').unwrap()), (2, 6));
        assert_eq!(place(text, 999), (2, 7));
    }

    #[test]
    fn a_slip_of_the_pen_is_recognised() {
        assert_eq!(nearest("exclusions", &["exclusion", "checks"]), Some("exclusion"));
        assert_eq!(nearest("whole_ps", &["whole_pps"]), Some("whole_pps"));
        assert_eq!(nearest("colour", &["checks", "rate"]), None);
    }
}
