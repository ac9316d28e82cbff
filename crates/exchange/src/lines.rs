//! A file as lines, each bounded, so that a file of any size is read in the memory of one line.

use std::io::{BufRead, ErrorKind};
use std::sync::Arc;

use crate::problem::{Place, Problem, ReadError};

/// Longest line of a format of lines, in bytes. The longest that a tool writes is a banner of
/// masscan: 64 KiB of it, escaped.
pub(crate) const LINE_BYTES_MAX: usize = 256 * 1024;

/// Reads lines.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    from: R,
    file: Arc<str>,
    number: u64,
    line: Vec<u8>,
    ended: bool,
}

/// One line without its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    file: &'a Arc<str>,
    pub(crate) number: u64,
    pub(crate) text: &'a str,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(file: &str, from: R) -> Self {
        Self { from, file: file.into(), number: 0, line: Vec::new(), ended: false }
    }

    /// The next line; `None` at the end of the file and after the medium failed.
    pub(crate) fn next(&mut self) -> Option<Result<Line<'_>, ReadError>> {
        if self.ended {
            return None;
        }
        self.line.clear();
        self.number += 1;
        match self.fill() {
            Ok(None) => {
                self.ended = true;
                return None;
            }
            Ok(Some(true)) => {}
            Ok(Some(false)) => {
                let message = format!("the line is longer than {LINE_BYTES_MAX} bytes");
                return Some(Err(self
                    .problem(1, message, "no tool writes such a line: look at the file")
                    .into()));
            }
            Err(source) => {
                self.ended = true;
                return Some(Err(ReadError::Io { file: self.file.clone(), source }));
            }
        }
        while self.line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
            self.line.pop();
        }
        if self.number == 1 && self.line.starts_with(b"\xef\xbb\xbf") {
            self.line.drain(..3);
        }
        let valid = match std::str::from_utf8(&self.line) {
            Ok(_) => self.line.len(),
            Err(error) => error.valid_up_to(),
        };
        if valid < self.line.len() {
            let column = String::from_utf8_lossy(&self.line[..valid]).chars().count() as u64 + 1;
            return Some(Err(self.problem(column, "this is not UTF-8", "save the file as UTF-8").into()));
        }
        let text = std::str::from_utf8(&self.line).expect("checked just now");
        Some(Ok(Line { file: &self.file, number: self.number, text }))
    }

    /// Fills `line`; `None` at the end, `false` when the line is too long and was skipped.
    fn fill(&mut self) -> std::io::Result<Option<bool>> {
        let (mut read, mut whole) = (false, true);
        loop {
            let chunk = match self.from.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if chunk.is_empty() {
                return Ok(read.then_some(whole));
            }
            read = true;
            let (length, end) = match chunk.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (chunk.len(), false),
            };
            whole &= self.line.len() + length <= LINE_BYTES_MAX + 1;
            if whole {
                self.line.extend_from_slice(&chunk[..length]);
            }
            self.from.consume(length);
            if end {
                return Ok(Some(whole));
            }
        }
    }

    fn problem(&self, column: u64, message: impl Into<String>, hint: &'static str) -> Problem {
        Place { file: self.file.clone(), line: self.number, column }.problem(message, hint)
    }
}

impl<'a> Line<'a> {
    /// The place of the byte at `offset`, which is a character's first.
    pub(crate) fn place(self, offset: usize) -> Place {
        let before = self.text.get(..offset).unwrap_or(self.text);
        Place { file: self.file.clone(), line: self.number, column: before.chars().count() as u64 + 1 }
    }

    /// The words of the line, each with its offset.
    pub(crate) fn words(
        self,
        separator: impl Fn(char) -> bool + 'a,
    ) -> impl Iterator<Item = (usize, &'a str)> {
        let mut rest = self.text;
        std::iter::from_fn(move || {
            rest = rest.trim_start_matches(&separator);
            let end = rest.find(&separator).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            let offset = self.text.len() - rest.len();
            rest = after;
            (!word.is_empty()).then_some((offset, word))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn read(bytes: &[u8], buffer: usize) -> Vec<String> {
        let mut lines = Lines::new("f", BufReader::with_capacity(buffer, bytes));
        let mut out = Vec::new();
        while let Some(line) = lines.next() {
            out.push(match line {
                Ok(line) => format!("{} {}", line.number, line.text),
                Err(error) => error.to_string().lines().next().unwrap().to_owned(),
            });
        }
        out
    }

    #[test]
    fn a_line_that_is_too_long_or_no_text_leaves_the_rest() {
        let mut bytes = b"\xef\xbb\xbfone\r\n".to_vec();
        bytes.extend(std::iter::repeat_n(b'x', LINE_BYTES_MAX + 1));
        bytes.extend(b"\n\xe6\xa4\x9c\xff\n\nlast");
        for buffer in [3, 1 << 16] {
            assert_eq!(
                read(&bytes, buffer),
                [
                    "1 one",
                    "f:2:1: the line is longer than 262144 bytes",
                    "f:3:2: this is not UTF-8",
                    "4 ",
                    "5 last"
                ]
            );
        }
        let longest = vec![b'x'; LINE_BYTES_MAX];
        assert_eq!(read(&longest, 1 << 16), [format!("1 {}", "x".repeat(LINE_BYTES_MAX))]);
    }
}
