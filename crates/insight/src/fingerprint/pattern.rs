//! How a pattern is read: as Ruby does, over bytes.

use std::sync::OnceLock;

use regex::bytes::{Captures, Regex, RegexBuilder};
use regex_syntax::hir::Hir;

/// Largest compiled form of one pattern, in bytes.
const COMPILED_MAX: usize = 4 * 1024 * 1024;

/// Most memory for one lazily built automaton, in bytes.
const DFA_MAX: usize = 2 * 1024 * 1024;

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

/// A pattern compiled when it is first needed, in the readings in which it is needed.
#[derive(Debug, Default)]
pub(crate) struct Compiled {
    /// For text of one line, where the anchors can mean the whole text: a pattern that begins with
    /// one is then matched, or refused, in one pass from there.
    line: OnceLock<Option<Regex>>,
    bytes: OnceLock<Option<Regex>>,
    /// Over characters, where that can make a difference.
    characters: OnceLock<Option<Regex>>,
}

impl Compiled {
    /// The groups of the first match. A pattern that does not compile matches nothing.
    ///
    /// A dot is one byte. Text beyond ASCII that does not match so is read again as characters,
    /// for a title such as `Sign in · GitLab`.
    pub(crate) fn captures<'i>(&self, pattern: &str, flags: Flags, input: &'i [u8]) -> Option<Captures<'i>> {
        if input.contains(&b'\n') {
            return self.captures_as_written(pattern, flags, input);
        }
        let line = self.line.get_or_init(|| compile(pattern, Anchors::Text, flags).ok());
        let found = line.as_ref()?.captures(input);
        found.or_else(|| self.captures_of_characters(pattern, flags, input))
    }

    /// The same, by the plainest reading: anchors are line ends whatever the text.
    pub(crate) fn captures_as_written<'i>(
        &self,
        pattern: &str,
        flags: Flags,
        input: &'i [u8],
    ) -> Option<Captures<'i>> {
        let bytes = self.bytes.get_or_init(|| compile(pattern, Anchors::Lines, flags).ok());
        let found = bytes.as_ref()?.captures(input);
        found.or_else(|| self.captures_of_characters(pattern, flags, input))
    }

    fn captures_of_characters<'i>(
        &self,
        pattern: &str,
        flags: Flags,
        input: &'i [u8],
    ) -> Option<Captures<'i>> {
        if input.is_ascii() || !(pattern.contains('.') || pattern.contains("[^")) {
            return None;
        }
        std::str::from_utf8(input).ok()?;
        let characters = self.characters.get_or_init(|| build(pattern, Anchors::Lines, flags, true).ok());
        characters.as_ref()?.captures(input)
    }
}

/// What `^` and `$` mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchors {
    /// Ends of lines.
    Lines,
    /// Ends of the text.
    Text,
}

/// Compiles over bytes; a pattern that names characters beyond ASCII in a class needs Unicode.
pub(crate) fn compile(pattern: &str, anchors: Anchors, flags: Flags) -> Result<Regex, regex::Error> {
    build(pattern, anchors, flags, false)
        .or_else(|error| build(pattern, anchors, flags, true).map_err(|_| error))
}

fn build(pattern: &str, anchors: Anchors, flags: Flags, unicode: bool) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern)
        .multi_line(anchors == Anchors::Lines)
        .unicode(unicode)
        .case_insensitive(flags.ignore_case)
        .dot_matches_new_line(flags.dot_matches_newline)
        .size_limit(COMPILED_MAX)
        .dfa_size_limit(match anchors {
            Anchors::Lines => DFA_MAX,
            // Banners are short: a lazy automaton's tables cost more than they save, and thousands of
            // them drive each other out of the processor's cache.
            Anchors::Text => 0,
        })
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
