//! Cuts a stream of JSON into the objects at one depth, so that a file of any size is read in
//! bounded memory and a damaged object does not take the others with it.

use std::io::{BufRead, ErrorKind};

/// How to cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    /// Objects with this many brackets around them are wanted: 0 for JSON lines and single
    /// documents, 2 for `{"list": [{}, {}]}`.
    pub(super) depth: usize,
    /// Longest object in bytes.
    pub(super) object_max: usize,
    /// A `{` in the first column begins a new object even if the one before has not ended.
    pub(super) restart: bool,
}

/// Something found in the stream.
#[derive(Debug)]
pub(super) enum Item<'a> {
    /// Everything before the first object, brackets left open.
    Head(&'a [u8]),
    /// An object and the line it begins at.
    Object(u64, &'a [u8]),
    /// Something that cannot be used, with the line it begins at.
    Broken(u64, &'static str),
}

/// Longest head kept.
const HEAD_MAX: usize = 64 << 10;

struct State<F> {
    cut: Cut,
    depth: usize,
    in_string: bool,
    escaped: bool,
    line: u64,
    line_start: bool,
    junk_line: u64,
    /// Line where the current object begins.
    begun: Option<u64>,
    overlong: bool,
    object: Vec<u8>,
    head: Option<Vec<u8>>,
    each: F,
}

/// Reads all of `from` and hands out what is found.
pub(super) fn objects(mut from: impl BufRead, cut: Cut, each: impl FnMut(Item<'_>)) -> std::io::Result<()> {
    let mut state = State {
        cut,
        depth: 0,
        in_string: false,
        escaped: false,
        line: 1,
        line_start: true,
        junk_line: 0,
        begun: None,
        overlong: false,
        object: Vec::new(),
        head: Some(Vec::new()),
        each,
    };
    loop {
        let chunk = match from.fill_buf() {
            Ok([]) => break,
            Ok(chunk) => chunk,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let length = chunk.len();
        state.take(chunk);
        from.consume(length);
    }
    state.end();
    Ok(())
}

impl<F: FnMut(Item<'_>)> State<F> {
    fn take(&mut self, chunk: &[u8]) {
        // Bytes of the current object not yet copied begin here.
        let mut from = 0;
        for (at, &byte) in chunk.iter().enumerate() {
            if self.in_string && byte != b'\n' {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'\n' => {
                    (self.in_string, self.escaped) = (false, false);
                    self.line += 1;
                    self.line_start = true;
                    continue;
                }
                b'"' => self.in_string = true,
                b'{' | b'[' => {
                    if byte == b'{' && self.line_start && self.cut.restart && self.begun.is_some() {
                        self.broken("the record has no end");
                        self.depth = self.cut.depth;
                    }
                    if byte == b'{' && self.depth == self.cut.depth && self.begun.is_none() {
                        self.show_head(&chunk[from..at]);
                        self.begun = Some(self.line);
                        self.object.clear();
                        from = at;
                    }
                    self.depth += 1;
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth <= self.cut.depth && self.begun.is_some() {
                        self.copy(&chunk[from..=at]);
                        self.finish();
                        from = at + 1;
                    }
                }
                b' ' | b'\t' | b'\r' | b',' | 0xef | 0xbb | 0xbf => {}
                _ if self.begun.is_none() && self.depth == 0 && self.junk_line != self.line => {
                    self.junk_line = self.line;
                    (self.each)(Item::Broken(self.line, "this is not a JSON object"));
                }
                _ => {}
            }
            self.line_start = false;
        }
        self.copy(&chunk[from..]);
    }

    /// Keeps bytes of the current object, or of the head.
    fn copy(&mut self, bytes: &[u8]) {
        if self.begun.is_some() {
            if self.object.len() + bytes.len() > self.cut.object_max {
                self.overlong = true;
            } else if !self.overlong {
                self.object.extend_from_slice(bytes);
            }
        } else if let Some(head) = &mut self.head {
            head.extend_from_slice(&bytes[..bytes.len().min(HEAD_MAX - head.len())]);
        }
    }

    fn show_head(&mut self, bytes: &[u8]) {
        self.copy(bytes);
        if let Some(head) = self.head.take() {
            (self.each)(Item::Head(&head));
        }
    }

    fn finish(&mut self) {
        if self.overlong {
            self.broken("the record is too long");
        } else if let Some(line) = self.begun.take() {
            (self.each)(Item::Object(line, &self.object));
        }
    }

    fn broken(&mut self, reason: &'static str) {
        self.overlong = false;
        if let Some(line) = self.begun.take() {
            (self.each)(Item::Broken(line, reason));
        }
    }

    fn end(&mut self) {
        self.show_head(&[]);
        self.broken("the record has no end");
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use proptest::prelude::*;

    use super::*;

    fn cut(text: &str, depth: usize, buffer: usize) -> Vec<String> {
        let mut found = Vec::new();
        let cut = Cut { depth, object_max: 60, restart: depth == 0 };
        objects(BufReader::with_capacity(buffer, text.as_bytes()), cut, |item| {
            found.push(match item {
                Item::Head(head) => format!("head {}", String::from_utf8_lossy(head)),
                Item::Object(line, bytes) => format!("{line} {}", String::from_utf8_lossy(bytes)),
                Item::Broken(line, reason) => format!("{line} ! {reason}"),
            });
        })
        .unwrap();
        found
    }

    #[test]
    fn lines_and_pretty_documents() {
        let text = "{\"a\":1}\n{\n  \"b\": {\"c\": \"}{\\\"\"}\n}\n{\"d\":[1,{}]}{\"e\":2}";
        for buffer in [1, 2, 7, 1000] {
            assert_eq!(
                cut(text, 0, buffer),
                [
                    "head ",
                    "1 {\"a\":1}",
                    "2 {\n  \"b\": {\"c\": \"}{\\\"\"}\n}",
                    "5 {\"d\":[1,{}]}",
                    "5 {\"e\":2}"
                ]
            );
        }
    }

    #[test]
    fn a_damaged_line_leaves_the_rest() {
        let text = "{\"a\":1}\n{\"b\":{\"c\n{\"d\":4}\nrubbish here\n{\"e\":5}\n{\"f\":";
        for buffer in [1, 3, 1000] {
            assert_eq!(
                cut(text, 0, buffer),
                [
                    "head ",
                    "1 {\"a\":1}",
                    "2 ! the record has no end",
                    "3 {\"d\":4}",
                    "4 ! this is not a JSON object",
                    "5 {\"e\":5}",
                    "6 ! the record has no end"
                ]
            );
        }
    }

    #[test]
    fn nested_lists_and_their_head() {
        let text = "{\"v\": \"x\",\n \"list\": [\n  {\"a\": [{}]},\n  {\"b\": 2}]}";
        assert_eq!(
            cut(text, 2, 5),
            ["head {\"v\": \"x\",\n \"list\": [\n  ", "3 {\"a\": [{}]}", "4 {\"b\": 2}"]
        );
    }

    #[test]
    fn an_overlong_record_is_skipped() {
        let text = format!("{{\"a\":\"{}\"}}\n{{\"b\":1}}", "x".repeat(100));
        assert_eq!(cut(&text, 0, 9), ["head ", "1 ! the record is too long", "2 {\"b\":1}"]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(text in "[{}\\[\\]\"\\\\,:a\n]{0,80}", depth in 0usize..3, buffer in 1usize..9) {
            prop_assert_eq!(cut(&text, depth, buffer), cut(&text, depth, 1000));
        }
    }
}
