//! Cuts a stream of XML into the elements of some names, so that a file of any size is read in
//! bounded memory and a damaged element does not take the others with it.

use std::io::{BufRead, ErrorKind};

/// Something found in the stream.
#[derive(Debug)]
pub(super) enum Element<'a> {
    /// What stands before the first element wanted, cut at some length.
    Head(&'a [u8]),
    /// An element from its first tag to its last, and the line it begins at.
    Whole(u64, &'a [u8]),
    /// Something that cannot be used, with the line it begins at.
    Broken(u64, &'static str),
}

/// Longest head kept.
const HEAD_MAX: usize = 64 << 10;

/// Reads all of `from` and hands out the elements that `names` names; they do not lie inside each
/// other. `max` is the longest one in bytes.
pub(super) fn elements(
    mut from: impl BufRead,
    names: &[&str],
    max: usize,
    each: impl FnMut(Element<'_>),
) -> std::io::Result<()> {
    let mut state = State {
        names,
        max,
        each,
        line: 1,
        tag: None,
        begun: None,
        held: Vec::new(),
        overlong: false,
        head: Some(Vec::new()),
    };
    loop {
        let chunk = match from.fill_buf() {
            Ok([]) => break,
            Ok(chunk) => chunk,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        chunk.iter().for_each(|byte| state.take(*byte));
        let length = chunk.len();
        from.consume(length);
    }
    state.end();
    Ok(())
}

struct State<'n, F> {
    names: &'n [&'n str],
    max: usize,
    each: F,
    line: u64,
    /// The tag that is being read, from behind its `<`; cut where no name is so long.
    tag: Option<Vec<u8>>,
    /// Name and first line of the current element.
    begun: Option<(&'n str, u64)>,
    held: Vec<u8>,
    overlong: bool,
    head: Option<Vec<u8>>,
}

/// Longest beginning of a tag that is looked at.
const TAG_MAX: usize = 64;

impl<F: FnMut(Element<'_>)> State<'_, F> {
    fn take(&mut self, byte: u8) {
        self.keep(byte);
        match (byte, &mut self.tag) {
            (b'<', tag) => *tag = Some(Vec::new()),
            (b'>', Some(_)) => self.tag_ended(),
            (byte, Some(tag)) if tag.len() < TAG_MAX => tag.push(byte),
            _ => {}
        }
        if byte == b'\n' {
            self.line += 1;
        }
    }

    /// Keeps a byte of the current element, or of the head.
    fn keep(&mut self, byte: u8) {
        if self.begun.is_some() || self.tag.is_some() || byte == b'<' {
            if byte == b'<' && self.begun.is_none() {
                self.held.clear();
            }
            if self.held.len() < self.max {
                self.held.push(byte);
            } else {
                self.overlong = true;
            }
        }
        if let Some(head) = self.head.as_mut().filter(|head| self.begun.is_none() && head.len() < HEAD_MAX) {
            head.push(byte);
        }
    }

    fn tag_ended(&mut self) {
        let tag = self.tag.take().unwrap_or_default();
        let (closing, name) = match tag.strip_prefix(b"/") {
            Some(name) => (true, name),
            None => (false, tag.as_slice()),
        };
        let end =
            name.iter().position(|byte| byte.is_ascii_whitespace() || *byte == b'/').unwrap_or(name.len());
        let wanted = self.names.iter().copied().find(|wanted| wanted.as_bytes() == &name[..end]);
        match (wanted, closing, self.begun) {
            (Some(name), false, begun) => {
                if let Some((_, line)) = begun {
                    // The element before has no end; this one begins at its last tag.
                    (self.each)(Element::Broken(line, "the entry has no end"));
                    self.held = [b"<".as_slice(), &tag, b">"].concat();
                }
                if let Some(head) = self.head.take() {
                    (self.each)(Element::Head(&head));
                }
                self.overlong = false;
                self.begun = Some((name, self.line));
            }
            (Some(name), true, Some((begun, line))) if name == begun => {
                if self.overlong {
                    (self.each)(Element::Broken(line, "the entry is too long"));
                } else {
                    (self.each)(Element::Whole(line, &self.held));
                }
                (self.begun, self.overlong) = (None, false);
                self.held.clear();
            }
            _ => {}
        }
    }

    fn end(&mut self) {
        if let Some(head) = self.head.take() {
            (self.each)(Element::Head(&head));
        }
        if let Some((_, line)) = self.begun.take() {
            (self.each)(Element::Broken(line, "the entry has no end"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use proptest::prelude::*;

    use super::*;

    fn cut(text: &str, buffer: usize) -> Vec<String> {
        let mut found = Vec::new();
        elements(BufReader::with_capacity(buffer, text.as_bytes()), &["a", "b"], 40, |element| {
            found.push(match element {
                Element::Head(head) => format!("head {}", String::from_utf8_lossy(head)),
                Element::Whole(line, bytes) => format!("{line} {}", String::from_utf8_lossy(bytes)),
                Element::Broken(line, reason) => format!("{line} ! {reason}"),
            });
        })
        .unwrap();
        found
    }

    #[test]
    fn elements_their_lines_and_what_is_damaged() {
        let long = "x".repeat(60);
        let text = format!("<r>\n<a x='1'>1</a>\n <ab/><b>\n2</b><a>3\n<a>4</a><b>{long}</b>\n<b>5</b><a>6");
        for buffer in [1, 2, 7, 1000] {
            assert_eq!(
                cut(&text, buffer),
                [
                    "head <r>\n<a x='1'>",
                    "2 <a x='1'>1</a>",
                    "3 <b>\n2</b>",
                    "4 ! the entry has no end",
                    "5 <a>4</a>",
                    "5 ! the entry is too long",
                    "6 <b>5</b>",
                    "6 ! the entry has no end"
                ]
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(text in "[<>/abr \n]{0,80}", buffer in 1usize..9) {
            prop_assert_eq!(cut(&text, buffer), cut(&text, 1000));
        }
    }
}
