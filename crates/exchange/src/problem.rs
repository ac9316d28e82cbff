//! What is wrong with a file, where, and the way out.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::Arc;

/// Characters of a remote text that a message quotes at most.
const QUOTED_MAX: usize = 60;

/// Where in a file something begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Name of the file, as the caller gave it.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One record that could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}\nhint: {hint}")]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What is wrong, lower case.
    pub message: String,
    /// What to do about it.
    pub hint: Cow<'static, str>,
}

impl Place {
    /// A problem that begins here.
    pub(crate) fn problem(&self, message: impl Into<String>, hint: impl Into<Cow<'static, str>>) -> Problem {
        Problem { place: self.clone(), message: message.into(), hint: hint.into() }
    }
}

/// Why a file gave no record.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// One record cannot be used; the next may follow.
    #[error(transparent)]
    Malformed(#[from] Problem),
    /// The medium failed; nothing follows.
    #[error("failed to read `{file}`")]
    Io {
        /// Which file.
        file: Arc<str>,
        /// Cause.
        #[source]
        source: io::Error,
    },
}

/// A remote text as a message may quote it: one line, visible, not long.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from("`");
    for c in text.chars().take(QUOTED_MAX) {
        match c {
            '"' | '\'' | '`' => out.push(c),
            c => out.extend(c.escape_debug()),
        }
    }
    if text.chars().nth(QUOTED_MAX).is_some() {
        out.push('…');
    }
    out.push('`');
    out
}
