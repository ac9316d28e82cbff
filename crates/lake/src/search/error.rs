//! What is wrong with a query, and where.

use std::ops::Range;

/// A query that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// Which bytes of the query are meant; they begin and end at characters.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to write instead, where that can be guessed.
    pub hint: Option<String>,
}

impl QueryError {
    pub(super) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), hint: None }
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The query with carets below what is meant, two lines. Control and bidirectional characters
    /// are replaced, so that nothing moves.
    pub fn pointed(&self, query: &str) -> String {
        let shown = |text: &str| -> String {
            let one = |c: char| if c.is_control() || is_bidi(c) { '\u{fffd}' } else { c };
            text.chars().map(one).collect()
        };
        let part = |range: Range<usize>| query.get(range).unwrap_or_default();
        let (before, meant) = (part(0..self.span.start), part(self.span.clone()));
        let carets = "^".repeat(columns(meant).max(1));
        format!("{}\n{}{carets}", shown(query), " ".repeat(columns(before)))
    }
}

/// True for characters that change the direction of text around them.
pub(crate) fn is_bidi(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Columns of a terminal that the text takes: East Asian wide characters take two.
fn columns(text: &str) -> usize {
    let wide = |c: char| matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}' | '\u{1f300}'..='\u{1faff}' | '\u{20000}'..='\u{3fffd}');
    text.chars().map(|c| if wide(c) { 2 } else { 1 }).sum()
}
