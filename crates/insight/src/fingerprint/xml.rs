//! Reading a database from hostile XML.

use std::borrow::Cow;
use std::sync::OnceLock;

use base64::Engine;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use super::database::{Database, Example, Fingerprint, Param, stem};
use super::pattern::{Compiled, Flags};

/// What one file may hold. The whole Recog database stays far below.
pub mod limits {
    /// Bytes of one file.
    pub const FILE_BYTES: usize = 16 * 1024 * 1024;
    /// Fingerprints in one file.
    pub const FINGERPRINTS: usize = 50_000;
    /// Bytes of one pattern.
    pub const PATTERN_BYTES: usize = 8 * 1024;
    /// Bytes of one example, decoded.
    pub const EXAMPLE_BYTES: usize = 64 * 1024;
    /// Examples of one fingerprint.
    pub const EXAMPLES: usize = 256;
    /// Attributes of one fingerprint, and of one element.
    pub const PARAMS: usize = 128;
    /// Bytes of one name or value.
    pub const VALUE_BYTES: usize = 4 * 1024;
}

/// The preference of a file that states none.
const PREFERENCE: f32 = 0.5;

/// Why a file of fingerprints was refused.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// Not well-formed.
    #[error("{file}:{line}: not well-formed XML")]
    Xml {
        /// File.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Well-formed, but not the format.
    #[error("{file}:{line}: {what}")]
    Format {
        /// File.
        file: String,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// Too much of something.
    #[error("{file}:{line}: {what} above the limit of {limit}")]
    Limit {
        /// File.
        file: String,
        /// Line, from 1.
        line: usize,
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}

pub(super) fn parse(file: &str, text: &str) -> Result<Database, PackError> {
    let mut parser = Parser { file, text, reader: Reader::from_str(text), line: 1, counted: 0 };
    if text.len() > limits::FILE_BYTES {
        return Err(parser.limit("bytes of the file", limits::FILE_BYTES));
    }
    parser.database()
}

struct Parser<'a> {
    file: &'a str,
    text: &'a str,
    reader: Reader<&'a [u8]>,
    /// Line of the byte at `counted`.
    line: usize,
    counted: usize,
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Result<Event<'a>, PackError> {
        loop {
            self.advance(self.reader.buffer_position());
            match self.reader.read_event() {
                Ok(Event::Comment(_) | Event::Decl(_) | Event::PI(_)) => {}
                // Without a document type no entity can be declared, so none can expand.
                Ok(Event::DocType(_)) => return Err(self.format("a document type is not allowed")),
                Ok(event) => return Ok(event),
                Err(source) => {
                    self.advance(self.reader.error_position());
                    return Err(self.xml(source));
                }
            }
        }
    }

    /// Counts lines up to `position`; every byte is looked at once.
    fn advance(&mut self, position: u64) {
        let position = usize::try_from(position).unwrap_or(usize::MAX).min(self.text.len());
        if let Some(passed) = self.text.as_bytes().get(self.counted..position) {
            self.line += passed.iter().filter(|byte| **byte == b'\n').count();
            self.counted = position;
        }
    }

    fn database(&mut self) -> Result<Database, PackError> {
        let root = loop {
            match self.next()? {
                Event::Start(start) if start.name().0 == "fingerprints" => break start,
                Event::Text(text) if text.trim().is_empty() => {}
                Event::Eof => return Err(self.format("no <fingerprints> element")),
                _ => return Err(self.format("expected <fingerprints>")),
            }
        };
        let mut database = Database {
            file: self.file.to_owned(),
            key: String::new(),
            protocol: None,
            database_type: None,
            preference: PREFERENCE,
            fingerprints: Vec::new(),
            prefilter: OnceLock::new(),
        };
        for (name, value) in self.attributes(&root)? {
            match name.as_str() {
                "matches" => database.key = value,
                "protocol" => database.protocol = Some(value),
                "database_type" => database.database_type = Some(value),
                "preference" => database.preference = self.fraction("preference", &value)?,
                other => return Err(self.format(format!("unknown attribute `{other}` of <fingerprints>"))),
            }
        }
        if database.key.is_empty() {
            database.key = stem(self.file).to_owned();
        }
        loop {
            match self.next()? {
                Event::Start(start) if start.name().0 == "fingerprint" => {
                    if database.fingerprints.len() == limits::FINGERPRINTS {
                        return Err(self.limit("fingerprints", limits::FINGERPRINTS));
                    }
                    database.fingerprints.push(self.fingerprint(&start)?);
                }
                Event::Text(text) if text.trim().is_empty() => {}
                Event::End(_) => break,
                Event::Eof => return Err(self.format("the file ends inside <fingerprints>")),
                _ => return Err(self.format("expected <fingerprint>")),
            }
        }
        loop {
            match self.next()? {
                Event::Text(text) if text.trim().is_empty() => {}
                Event::Eof => return Ok(database),
                _ => return Err(self.format("something after </fingerprints>")),
            }
        }
    }

    fn fingerprint(&mut self, start: &BytesStart<'a>) -> Result<Fingerprint, PackError> {
        let mut fingerprint = Fingerprint {
            line: self.line,
            pattern: String::new(),
            flags: Flags::default(),
            certainty: None,
            source: None,
            description: String::new(),
            examples: Vec::new(),
            params: Vec::new(),
            compiled: Compiled::default(),
        };
        let mut pattern = None;
        for (name, value) in self.attributes(start)? {
            match name.as_str() {
                "pattern" => pattern = Some(value),
                "flags" => {
                    fingerprint.flags = Flags::parse(&value)
                        .map_err(|word| self.format(format!("unknown flag `{word}` of <fingerprint>")))?;
                }
                "certainty" => fingerprint.certainty = Some(self.fraction("certainty", &value)?),
                "source" => fingerprint.source = Some(value),
                other => return Err(self.format(format!("unknown attribute `{other}` of <fingerprint>"))),
            }
        }
        fingerprint.pattern = pattern.ok_or_else(|| self.format("<fingerprint> without `pattern`"))?;
        loop {
            match self.next()? {
                Event::Start(start) if start.name().0 == "description" => {
                    fingerprint.description = self.content("description")?;
                }
                Event::Start(start) if start.name().0 == "example" => {
                    let example = self.example(&start, true)?;
                    self.push_example(&mut fingerprint, example)?;
                }
                Event::Empty(start) if start.name().0 == "example" => {
                    let example = self.example(&start, false)?;
                    self.push_example(&mut fingerprint, example)?;
                }
                Event::Empty(start) if start.name().0 == "description" => {}
                Event::Empty(start) if start.name().0 == "param" => {
                    let param = self.param(&start)?;
                    self.push_param(&mut fingerprint, param)?;
                }
                Event::Start(start) if start.name().0 == "param" => {
                    let param = self.param(&start)?;
                    self.push_param(&mut fingerprint, param)?;
                    self.content("param")?;
                }
                Event::Text(text) if text.trim().is_empty() => {}
                Event::End(_) => return Ok(fingerprint),
                Event::Eof => return Err(self.format("the file ends inside <fingerprint>")),
                _ => return Err(self.format("expected <description>, <example> or <param>")),
            }
        }
    }

    fn push_example(&self, fingerprint: &mut Fingerprint, example: Example) -> Result<(), PackError> {
        if fingerprint.examples.len() == limits::EXAMPLES {
            return Err(self.limit("examples of one fingerprint", limits::EXAMPLES));
        }
        fingerprint.examples.push(example);
        Ok(())
    }

    /// The later of two params of one name counts, as in the format's own reader.
    fn push_param(&self, fingerprint: &mut Fingerprint, param: Param) -> Result<(), PackError> {
        if fingerprint.params.len() == limits::PARAMS {
            return Err(self.limit("params of one fingerprint", limits::PARAMS));
        }
        fingerprint.params.push(param);
        Ok(())
    }

    fn example(&mut self, start: &BytesStart<'a>, has_content: bool) -> Result<Example, PackError> {
        let mut example = Example { line: self.line, text: Vec::new(), file: None, attributes: Vec::new() };
        let mut base64 = false;
        for (name, value) in self.attributes(start)? {
            match name.as_str() {
                "_encoding" if value == "base64" => base64 = true,
                "_encoding" => return Err(self.format(format!("unknown encoding `{value}` of <example>"))),
                "_filename" if value.is_empty() || value.contains("..") || value.contains(['/', '\\']) => {
                    return Err(self.format(format!("`{value}` is not the name of a file beside this one")));
                }
                "_filename" => example.file = Some(value),
                _ => example.attributes.push((name, value)),
            }
        }
        let text = if has_content { self.content("example")? } else { String::new() };
        example.text = match base64 {
            false => text.into_bytes(),
            true => {
                let letters: String = text.split_ascii_whitespace().collect();
                base64::engine::general_purpose::STANDARD
                    .decode(letters)
                    .map_err(|error| self.format(format!("<example> is not base64: {error}")))?
            }
        };
        if example.text.len() > limits::EXAMPLE_BYTES {
            return Err(self.limit("bytes of an example", limits::EXAMPLE_BYTES));
        }
        Ok(example)
    }

    fn param(&mut self, start: &BytesStart<'a>) -> Result<Param, PackError> {
        let (mut position, mut name, mut value) = (None, None, None);
        for (key, text) in self.attributes(start)? {
            match key.as_str() {
                "pos" => {
                    let number = text.parse::<u16>();
                    position = Some(number.map_err(|_| self.format(format!("`{text}` is not a position")))?);
                }
                "name" => name = Some(text),
                "value" => value = Some(text),
                other => return Err(self.format(format!("unknown attribute `{other}` of <param>"))),
            }
        }
        let position = usize::from(position.ok_or_else(|| self.format("<param> without `pos`"))?);
        let name = name.ok_or_else(|| self.format("<param> without `name`"))?;
        match (position, value) {
            (0, None) => Err(self.format(format!("the constant `{name}` has no `value`"))),
            (0, Some(value)) => Ok(Param { position, name, value }),
            // The captured text is the value, whatever else is stated.
            (_, _) => Ok(Param { position, name, value: String::new() }),
        }
    }

    /// Text up to the end of the element, references resolved.
    fn content(&mut self, element: &str) -> Result<String, PackError> {
        let mut out = String::new();
        loop {
            match self.next()? {
                Event::Text(text) => out.push_str(&text.xml10_content()),
                Event::CData(text) => out.push_str(&text.xml10_content()),
                Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                    Ok(Some(character)) => out.push(character),
                    Ok(None) => match quick_xml::escape::resolve_predefined_entity(&reference) {
                        Some(text) => out.push_str(text),
                        None => return Err(self.format(format!("unknown entity `&{};`", &*reference))),
                    },
                    Err(error) => return Err(self.xml(error)),
                },
                Event::End(_) => return Ok(out),
                Event::Eof => return Err(self.format(format!("the file ends inside <{element}>"))),
                _ => return Err(self.format(format!("<{element}> holds text only"))),
            }
            // Base64 is longer than what it says.
            if out.len() > limits::EXAMPLE_BYTES * 2 {
                return Err(self.limit("bytes of an element", limits::EXAMPLE_BYTES * 2));
            }
        }
    }

    fn attributes(&self, start: &BytesStart<'_>) -> Result<Vec<(String, String)>, PackError> {
        let mut out = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| self.xml(error))?;
            let value: Cow<'_, str> =
                attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| self.xml(error))?;
            let name = attribute.key.0;
            let limit = if name == "pattern" { limits::PATTERN_BYTES } else { limits::VALUE_BYTES };
            if value.len() > limit || name.len() > limits::VALUE_BYTES {
                return Err(self.limit("bytes of an attribute", limit));
            }
            if out.len() == limits::PARAMS {
                return Err(self.limit("attributes of one element", limits::PARAMS));
            }
            out.push((name.to_owned(), value.into_owned()));
        }
        Ok(out)
    }

    fn fraction(&self, name: &str, text: &str) -> Result<f32, PackError> {
        match text.parse::<f32>() {
            Ok(number) if (0.0..=1.0).contains(&number) => Ok(number),
            _ => Err(self.format(format!("{name} `{text}` is not a number from 0 to 1"))),
        }
    }

    fn xml(&self, source: impl std::error::Error + Send + Sync + 'static) -> PackError {
        PackError::Xml { file: self.file.to_owned(), line: self.line, source: Box::new(source) }
    }

    fn format(&self, what: impl Into<String>) -> PackError {
        PackError::Format { file: self.file.to_owned(), line: self.line, what: what.into() }
    }

    fn limit(&self, what: &'static str, limit: usize) -> PackError {
        PackError::Limit { file: self.file.to_owned(), line: self.line, what, limit }
    }
}
