//! A file of XML as elements, each bounded: nothing of the document is kept but its open names. The
//! text between tags says nothing that attributes do not say, and is passed over.
//!
//! Only the five entities that XML itself knows are expanded, and a document type that declares
//! something is refused, so a small file cannot become a large text.

use std::io::{self, BufRead, Read};
use std::sync::Arc;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use crate::problem::{Place, Problem, ReadError};

/// Most bytes of one tag, with its attributes, or of one text between tags.
pub(crate) const MARKUP_BYTES_MAX: usize = 1024 * 1024;

/// Most elements inside each other; nmap's deepest is a table of a script in a port of a host.
pub(crate) const DEPTH_MAX: usize = 32;

/// Most attributes of one element.
const ATTRIBUTES_MAX: usize = 64;

/// What follows in the document.
#[derive(Debug)]
pub(crate) enum Markup {
    /// An element begins.
    Open(Element),
    /// The innermost element ends.
    Close,
}

/// The beginning of an element.
#[derive(Debug)]
pub(crate) struct Element {
    pub(crate) name: String,
    attributes: Vec<(String, String)>,
    pub(crate) place: Place,
    /// What is wrong with its attributes; none are given then.
    pub(crate) problem: Option<Problem>,
}

impl Element {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Reads elements.
pub(crate) struct Elements<R> {
    reader: Reader<Metered<R>>,
    buffer: Vec<u8>,
    depth: usize,
    ended: bool,
}

impl<R: BufRead> Elements<R> {
    pub(crate) fn new(file: &str, from: R) -> Self {
        let metered = Metered { from, file: file.into(), line: 1, column: 1, allowance: 0 };
        let mut reader = Reader::from_reader(metered);
        reader.config_mut().expand_empty_elements = true;
        Self { reader, buffer: Vec::new(), depth: 0, ended: false }
    }

    /// Where reading is.
    pub(crate) fn place(&self) -> Place {
        self.reader.get_ref().place()
    }

    /// What follows; `None` at the end and after anything that is not well-formed, because where
    /// the next element begins is not known then.
    pub(crate) fn next(&mut self) -> Option<Result<Markup, ReadError>> {
        while !self.ended {
            match self.step() {
                Ok(None) => {}
                Ok(Some(markup)) => return Some(Ok(markup)),
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }

    fn step(&mut self) -> Result<Option<Markup>, ReadError> {
        self.buffer.clear();
        self.reader.get_mut().allowance = MARKUP_BYTES_MAX;
        let place = self.place();
        let event = match self.reader.read_event_into(&mut self.buffer) {
            Ok(event) => event,
            Err(quick_xml::Error::Io(error)) => return Err(self.reader.get_ref().failed(&error)),
            Err(error) => return Err(broken(&self.place(), &error.to_string()).into()),
        };
        match event {
            Event::Start(start) => {
                self.depth += 1;
                if self.depth > DEPTH_MAX {
                    let message = format!("more than {DEPTH_MAX} elements inside each other");
                    return Err(place.problem(message, "no scanner writes such a file").into());
                }
                Ok(Some(Markup::Open(element(&start, place))))
            }
            Event::End(_) => {
                self.depth = self.depth.saturating_sub(1);
                Ok(Some(Markup::Close))
            }
            Event::DocType(text) if text.contains('[') => {
                let hint = "a scanner's file declares nothing; take that part away if you trust the file";
                Err(place.problem("the document type declares entities or elements", hint).into())
            }
            Event::Eof => {
                self.ended = true;
                if self.depth == 0 {
                    return Ok(None);
                }
                let hint = "the scan was cut off, or the file was; what stood before is used";
                Err(self.place().problem("the file ends inside an element", hint).into())
            }
            _ => Ok(None),
        }
    }
}

fn element(start: &BytesStart<'_>, place: Place) -> Element {
    let name = start.name().0.to_owned();
    match attributes(start, &place) {
        Ok(attributes) => Element { name, attributes, place, problem: None },
        Err(problem) => Element { name, attributes: Vec::new(), place, problem: Some(problem) },
    }
}

fn attributes(start: &BytesStart<'_>, place: &Place) -> Result<Vec<(String, String)>, Problem> {
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| broken(place, &error.to_string()))?;
        let value = attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .map_err(|error| broken(place, &error.to_string()))?;
        if attributes.len() == ATTRIBUTES_MAX {
            return Err(broken(place, &format!("more than {ATTRIBUTES_MAX} attributes")));
        }
        attributes.push((attribute.key.0.to_owned(), value.into_owned()));
    }
    Ok(attributes)
}

fn broken(place: &Place, what: &str) -> Problem {
    place.problem(format!("not well-formed XML: {what}"), "give the file as the scanner wrote it, with `-oX`")
}

/// Counts lines and columns of what is consumed, and refuses to hand out more than it is allowed.
struct Metered<R> {
    from: R,
    file: Arc<str>,
    line: u64,
    column: u64,
    allowance: usize,
}

/// The medium is well; the markup is too long.
#[derive(Debug, thiserror::Error)]
#[error("a tag or text longer than {MARKUP_BYTES_MAX} bytes")]
struct TooLong;

impl<R> Metered<R> {
    fn place(&self) -> Place {
        Place { file: self.file.clone(), line: self.line, column: self.column }
    }

    fn failed(&self, error: &Arc<io::Error>) -> ReadError {
        if error.get_ref().is_some_and(|inner| inner.is::<TooLong>()) {
            return self.place().problem(TooLong.to_string(), "no scanner writes such a file").into();
        }
        let source = io::Error::new(error.kind(), error.clone());
        ReadError::Io { file: self.file.clone(), source }
    }
}

impl<R: BufRead> BufRead for Metered<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let chunk = self.from.fill_buf()?;
        if self.allowance == 0 && !chunk.is_empty() {
            return Err(io::Error::other(TooLong));
        }
        Ok(&chunk[..chunk.len().min(self.allowance)])
    }

    fn consume(&mut self, amount: usize) {
        // What was shown before is still there: nothing was read in between.
        if let Ok(chunk) = self.from.fill_buf() {
            for byte in &chunk[..amount.min(chunk.len())] {
                match byte {
                    b'\n' => (self.line, self.column) = (self.line + 1, 1),
                    // The bytes that continue a character are none of their own.
                    0x80..=0xbf => {}
                    _ => self.column += 1,
                }
            }
        }
        self.allowance = self.allowance.saturating_sub(amount);
        self.from.consume(amount);
    }
}

impl<R: BufRead> Read for Metered<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let chunk = self.fill_buf()?;
        let amount = chunk.len().min(into.len());
        into[..amount].copy_from_slice(&chunk[..amount]);
        self.consume(amount);
        Ok(amount)
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn read(text: &str, buffer: usize) -> Vec<String> {
        let mut elements = Elements::new("f", BufReader::with_capacity(buffer, text.as_bytes()));
        let mut out = Vec::new();
        while let Some(markup) = elements.next() {
            out.push(match markup {
                Ok(Markup::Open(Element { problem: Some(problem), .. })) => problem.message,
                Ok(Markup::Open(element)) => {
                    format!(
                        "{}:{} <{}> {:?}",
                        element.place.line, element.place.column, element.name, element.attributes
                    )
                }
                Ok(Markup::Close) => "</>".to_owned(),
                Err(error) => error.to_string().lines().next().unwrap().to_owned(),
            });
        }
        out
    }

    #[test]
    fn elements_have_places_whatever_the_reads() {
        let text = "<?xml version=\"1.0\"?>\n<!DOCTYPE nmaprun>\n<!-- c -->\n<a b='検' c=\"&lt;&#x41;\"><d/>x&amp;y</a>";
        for buffer in [1, 2, 7, 1000] {
            assert_eq!(
                read(text, buffer),
                ["4:1 <a> [(\"b\", \"検\"), (\"c\", \"<A\")]", "4:25 <d> []", "</>", "</>"]
            );
        }
    }

    #[test]
    fn hostile_documents_are_bounded() {
        let last = |text: &str| read(text, 4096).pop().unwrap();
        assert_eq!(last(&"<a>".repeat(100_000)), "f:1:97: more than 32 elements inside each other");
        assert_eq!(
            last(&format!("<a b=\"{}\"/>", "x".repeat(MARKUP_BYTES_MAX))),
            format!("f:1:{}: a tag or text longer than 1048576 bytes", MARKUP_BYTES_MAX + 1)
        );
        let bomb = "<!DOCTYPE a [<!ENTITY b \"bbbbbbbbbb\"><!ENTITY c \"&b;&b;&b;\">]><a>&c;</a>";
        assert_eq!(last(bomb), "f:1:1: the document type declares entities or elements");
        assert_eq!(read("<a>&c;</a>", 4096).len(), 2, "what stands between tags is passed over");
        assert!(read("<a b=\"&c;\"/>", 4096)[0].contains("not well-formed XML"), "and the rest follows");
        assert!(last("<a></b>").contains("not well-formed XML"));
        assert_eq!(last("<a><b>"), "f:1:7: the file ends inside an element");
        assert!(last("<a \u{0}=<").contains("f:1:"));
    }

    #[test]
    fn a_medium_that_fails_is_no_fault_of_the_file() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("worn out"))
            }
        }
        let mut elements = Elements::new("f", BufReader::new(Failing));
        assert!(matches!(elements.next(), Some(Err(ReadError::Io { .. }))));
        assert!(elements.next().is_none());
    }
}
