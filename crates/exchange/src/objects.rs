//! A file as JSON objects, one after the other, each bounded: JSON lines, a list of objects over
//! any number of lines, or what was left of either by a tool that was stopped.

use std::io::{BufRead, ErrorKind};
use std::sync::Arc;

use serde_json::Value;

use crate::problem::{Place, Problem, ReadError};

/// Longest object in bytes. zgrab2 keeps 256 KiB of a page unless told otherwise, and escapes it.
pub(crate) const OBJECT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Reads objects.
#[derive(Debug)]
pub(crate) struct Objects<R> {
    from: R,
    file: Arc<str>,
    line: u64,
    column: u64,
    /// A byte that was read and belongs to what follows.
    held: Option<u8>,
    object: Vec<u8>,
    ended: bool,
}

/// An object and where it begins.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// How an object ended.
enum End {
    Whole,
    Cut(&'static str),
}

impl<R: BufRead> Objects<R> {
    pub(crate) fn new(file: &str, from: R) -> Self {
        Self { from, file: file.into(), line: 1, column: 0, held: None, object: Vec::new(), ended: false }
    }

    /// The next object; `None` at the end of the file and after the medium failed.
    pub(crate) fn next(&mut self) -> Option<Result<Object, ReadError>> {
        if self.ended {
            return None;
        }
        match self.find() {
            Ok(found) => {
                self.ended = found.is_none();
                found.map(|found| found.map_err(ReadError::from))
            }
            Err(source) => {
                self.ended = true;
                Some(Err(ReadError::Io { file: self.file.clone(), source }))
            }
        }
    }

    /// Text of the object read last, also when it was no JSON.
    pub(crate) fn text(&self) -> &[u8] {
        &self.object
    }

    fn find(&mut self) -> std::io::Result<Option<Result<Object, Problem>>> {
        loop {
            let Some(byte) = self.byte()? else { return Ok(None) };
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | b',' | b'[' | b']' | 0xef | 0xbb | 0xbf => {}
                b'{' => break,
                _ => {
                    let place = self.place();
                    self.skip_line()?;
                    let hint = "each record is a JSON object in `{` and `}`";
                    return Ok(Some(Err(place.problem("this is not a JSON object", hint))));
                }
            }
        }
        let place = self.place();
        Ok(Some(match self.object()? {
            End::Cut(message) => {
                Err(place.problem(message, "the tool was stopped while it wrote, or the file was cut"))
            }
            End::Whole => match serde_json::from_slice(&self.object) {
                Ok(value) => Ok(Object { place, value }),
                Err(error) => Err(self.misread(&place, &error)),
            },
        }))
    }

    /// Copies an object whose first brace was read.
    fn object(&mut self) -> std::io::Result<End> {
        self.object.clear();
        self.object.push(b'{');
        let (mut depth, mut in_string, mut escaped, mut overlong) = (1usize, false, false, false);
        while depth > 0 {
            let Some(byte) = self.byte()? else { return Ok(End::Cut("the object has no end")) };
            match byte {
                // No JSON text has a line break inside a string.
                b'\n' if in_string => return Ok(End::Cut("the line ends inside a text")),
                _ if escaped => escaped = false,
                b'\\' if in_string => escaped = true,
                b'"' => in_string = !in_string,
                _ if in_string => {}
                // Nobody writes a nested object at the beginning of a line: this is the next one.
                b'{' if self.column == 1 => {
                    self.held = Some(byte);
                    return Ok(End::Cut("the object has no end"));
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            overlong |= self.object.len() == OBJECT_BYTES_MAX;
            if !overlong {
                self.object.push(byte);
            }
        }
        Ok(if overlong { End::Cut("the object is longer than 4 MiB") } else { End::Whole })
    }

    fn misread(&self, begins: &Place, error: &serde_json::Error) -> Problem {
        // The error counts lines from the object's first brace, and in bytes.
        let down = error.line().saturating_sub(1);
        let line = self.object.split(|byte| *byte == b'\n').nth(down).unwrap_or_default();
        let before = &line[..error.column().saturating_sub(1).min(line.len())];
        let right = before.iter().filter(|byte| !matches!(byte, 0x80..=0xbf)).count() as u64;
        let place = Place {
            file: self.file.clone(),
            line: begins.line + down as u64,
            column: right + if down == 0 { begins.column } else { 1 },
        };
        let said = error.to_string();
        let said = said.rsplit_once(" at line ").map_or(said.as_str(), |(said, _)| said);
        place.problem(format!("not JSON: {said}"), "give the file as the tool wrote it")
    }

    fn skip_line(&mut self) -> std::io::Result<()> {
        while !matches!(self.byte()?, None | Some(b'\n')) {}
        Ok(())
    }

    /// The next byte, with `line` and `column` its place.
    fn byte(&mut self) -> std::io::Result<Option<u8>> {
        if let Some(held) = self.held.take() {
            return Ok(Some(held));
        }
        let byte = loop {
            match self.from.fill_buf() {
                Ok(chunk) => break chunk.first().copied(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        };
        let Some(byte) = byte else { return Ok(None) };
        self.from.consume(1);
        match byte {
            b'\n' => (self.line, self.column) = (self.line + 1, 0),
            // The bytes that continue a character are none of their own.
            0x80..=0xbf => {}
            _ => self.column += 1,
        }
        Ok(Some(byte))
    }

    fn place(&self) -> Place {
        // A line may begin with a byte that continues a character of which nothing came.
        Place { file: self.file.clone(), line: self.line, column: self.column.max(1) }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use proptest::prelude::*;

    use super::*;

    fn read(text: &[u8], buffer: usize) -> Vec<String> {
        let mut objects = Objects::new("f", BufReader::with_capacity(buffer, text));
        let mut out = Vec::new();
        while let Some(object) = objects.next() {
            out.push(match object {
                Ok(Object { place, value }) => format!("{}:{} {value}", place.line, place.column),
                Err(error) => error.to_string().lines().next().unwrap().to_owned(),
            });
        }
        out
    }

    #[test]
    fn lists_lines_and_pretty_documents() {
        let text =
            "\u{feff}[\n{ \"a\": \"}{\\\"\" },\n{\n  \"b\": {\"c\": [{}]}\n}\n,\n]\n{\"d\":1}{\"e\":2}";
        for buffer in [1, 5, 1000] {
            assert_eq!(
                read(text.as_bytes(), buffer),
                ["2:1 {\"a\":\"}{\\\"\"}", "3:1 {\"b\":{\"c\":[{}]}}", "8:1 {\"d\":1}", "8:8 {\"e\":2}"]
            );
        }
    }

    #[test]
    fn what_is_damaged_leaves_the_rest() {
        let text = "{\"a\":\"x\n{\"b\":1}\n{\"c\":{\n{\"d\":2}\nrubbish {\"no\":1}\n  {\"e\":3,}\n{\"f\":4}\n{\"検\":\"検\", x}\n{\"g\":";
        assert_eq!(
            read(text.as_bytes(), 3),
            [
                "f:1:1: the line ends inside a text",
                "2:1 {\"b\":1}",
                "f:3:1: the object has no end",
                "4:1 {\"d\":2}",
                "f:5:1: this is not a JSON object",
                "f:6:10: not JSON: trailing comma",
                "7:1 {\"f\":4}",
                "f:8:11: not JSON: key must be a string",
                "f:9:1: the object has no end",
            ]
        );
    }

    #[test]
    fn places_count_from_one_whatever_a_line_begins_with() {
        // Found by fuzzing: a byte that continues no character.
        assert_eq!(
            read(b"\x98rubbish\n\xbf{\"a\":1}", 1000),
            ["f:1:1: this is not a JSON object", "2:1 {\"a\":1}"]
        );
    }

    #[test]
    fn long_and_deep_objects_are_bounded() {
        let long = format!("{{\"a\":\"{}\"}}\n{{\"b\":1}}", "x".repeat(OBJECT_BYTES_MAX));
        assert_eq!(read(long.as_bytes(), 4096), ["f:1:1: the object is longer than 4 MiB", "2:1 {\"b\":1}"]);
        let deep = format!("{{\"a\":{}{}}}\n{{\"b\":1}}", "[".repeat(100_000), "]".repeat(100_000));
        let read = read(deep.as_bytes(), 4096);
        assert!(read[0].contains("recursion limit"), "{}", read[0]);
        assert_eq!(read[1], "2:1 {\"b\":1}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(text in "[{}\\[\\]\"\\\\,:a1\n検]{0,60}", buffer in 1usize..9) {
            prop_assert_eq!(read(text.as_bytes(), buffer), read(text.as_bytes(), 1000));
        }
    }
}
