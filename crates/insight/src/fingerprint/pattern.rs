//! How a pattern is read: as Ruby does, over bytes.

use std::sync::OnceLock;

use regex::bytes::{Captures, Regex, RegexBuilder};
use regex_syntax::hir::Hir;

/// Largest compiled form of one pattern, in bytes.
const COMPILED_MAX: usize = 4 * 1024 * 1024;

/// Nesting allowed inside one pattern.
const NEST_MAX: u32 = 64;

/// The `flags` attribute. Anchors always mean line ends, because the format was born in Ruby.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    /// `REG_ICASE`.
    pub(crate) ignore_case: bool,
    /// `REG_DOT_NEWLINE`, `REG_MULTILINE` and `REG_LINE_ANY_CRLF`, which all mean the same.
    pub(crate) dot_matches_newline: bool,
}

impl Flags {
    /// Reads the comma-separated list; the error is the word that is not known.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut flags = Self::default();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match word {
                "REG_ICASE" => flags.ignore_case = true,
                "REG_DOT_NEWLINE" | "REG_MULTILINE" | "REG_LINE_ANY_CRLF" => flags.dot_matches_newline = true,
                other => return Err(other.to_owned()),
            }
        }
        Ok(flags)
    }
}

/// A pattern compiled when it is first needed, over bytes and, where that can make a difference,
/// over characters.
#[derive(Debug, Default)]
pub(crate) struct Compiled {
    bytes: OnceLock<Option<Regex>>,
    characters: OnceLock<Option<Regex>>,
}

impl Compiled {
    /// The groups of the first match. A pattern that does not compile matches nothing.
    ///
    /// A dot is one byte. Text beyond ASCII that does not match so is read again as characters,
    /// for a title such as `Sign in · GitLab`.
    pub(crate) fn captures<'i>(&self, pattern: &str, flags: Flags, input: &'i [u8]) -> Option<Captures<'i>> {
        let bytes = self.bytes.get_or_init(|| compile(pattern, flags).ok()).as_ref()?;
        if let Some(found) = bytes.captures(input) {
            return Some(found);
        }
        if input.is_ascii() || !(pattern.contains('.') || pattern.contains("[^")) {
            return None;
        }
        std::str::from_utf8(input).ok()?;
        self.characters.get_or_init(|| build(pattern, flags, true).ok()).as_ref()?.captures(input)
    }
}

/// Compiles over bytes; a pattern that names characters beyond ASCII in a class needs Unicode.
pub(crate) fn compile(pattern: &str, flags: Flags) -> Result<Regex, regex::Error> {
    build(pattern, flags, false).or_else(|error| build(pattern, flags, true).map_err(|_| error))
}

fn build(pattern: &str, flags: Flags, unicode: bool) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern)
        .multi_line(true)
        .unicode(unicode)
        .case_insensitive(flags.ignore_case)
        .dot_matches_new_line(flags.dot_matches_newline)
        .size_limit(COMPILED_MAX)
        .nest_limit(NEST_MAX)
        .build()
}

/// The pattern's structure, read the same way; `None` when it does not parse.
pub(crate) fn structure(pattern: &str, flags: Flags) -> Option<Hir> {
    let parse = |unicode| {
        regex_syntax::ParserBuilder::new()
            .multi_line(true)
            .unicode(unicode)
            .utf8(false)
            .case_insensitive(flags.ignore_case)
            .dot_matches_new_line(flags.dot_matches_newline)
            .nest_limit(NEST_MAX)
            .build()
            .parse(pattern)
            .ok()
    };
    parse(false).or_else(|| parse(true))
}
