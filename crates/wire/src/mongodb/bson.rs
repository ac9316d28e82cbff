//! BSON documents (bsonspec.org, version 1.1), read in place: a nested document is a slice that is
//! looked into only when somebody asks, so depth costs nothing.

use crate::charset;
use crate::reader::Reader;

/// Most elements of one document that are looked at.
const ELEMENTS_MAX: usize = 512;

/// Longest text returned, in bytes.
const TEXT_BYTES_MAX: usize = 1024;

/// A document of stated length, not yet looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Document<'a> {
    /// Elements, without length and end.
    elements: &'a [u8],
}

/// A value that questions of ours are answered with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// 64-bit float.
    Double(f64),
    /// UTF-8 text, without its end; not verified.
    Text(&'a [u8]),
    /// A document, or an array as a document with numbers for names.
    Document(Document<'a>),
    /// Truth.
    Boolean(bool),
    /// 32-bit or 64-bit integer.
    Integer(i64),
    /// Anything else.
    Other,
}

impl<'a> Document<'a> {
    /// The document at the start of `bytes`.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        document(&mut reader)
    }

    /// The value called `name`, the first of that name; `None` also when what lies before it cannot
    /// be read.
    pub fn get(self, name: &str) -> Option<Value<'a>> {
        let mut reader = Reader::new(self.elements);
        for _ in 0..ELEMENTS_MAX {
            let kind = reader.u8()?;
            let found = cstring(&mut reader)?;
            let value = value(kind, &mut reader)?;
            if found == name.as_bytes() {
                return Some(value);
            }
        }
        None
    }
}

impl Value<'_> {
    /// A whole number, also from a float or a truth value.
    pub fn integer(self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(number),
            Self::Double(number) if number.fract() == 0.0 && number.abs() < 1e15 => Some(number as i64),
            Self::Boolean(truth) => Some(truth.into()),
            _ => None,
        }
    }

    /// Text, decoded and cut at 1 KiB.
    pub fn text(self) -> Option<String> {
        match self {
            Self::Text(bytes) => Some(charset::decode(&bytes[..bytes.len().min(TEXT_BYTES_MAX)], None)),
            _ => None,
        }
    }
}

fn document<'a>(reader: &mut Reader<'a>) -> Option<Document<'a>> {
    let len = usize::try_from(reader.u32_le()?).ok()?;
    let (end, elements) = reader.take(len.checked_sub(4)?)?.split_last()?;
    (*end == 0).then_some(Document { elements })
}

fn cstring<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let len = reader.rest().iter().position(|&byte| byte == 0)?;
    let text = reader.take(len)?;
    reader.take(1)?;
    Some(text)
}

/// Text with its length, the end counted in the length and dropped.
fn string<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let len = usize::try_from(reader.u32_le()?).ok()?;
    let (end, text) = reader.take(len)?.split_last()?;
    (*end == 0).then_some(text)
}

fn value<'a>(kind: u8, reader: &mut Reader<'a>) -> Option<Value<'a>> {
    let skip = match kind {
        0x01 => return Some(Value::Double(f64::from_bits(u64_le(reader)?))),
        0x02 => return string(reader).map(Value::Text),
        0x03 | 0x04 => return document(reader).map(Value::Document),
        0x08 => return reader.u8().map(|byte| Value::Boolean(byte != 0)),
        0x10 => return reader.u32_le().map(|number| Value::Integer(i64::from(number.cast_signed()))),
        0x12 => return u64_le(reader).map(|number| Value::Integer(number.cast_signed())),
        // Binary: length, subtype, bytes.
        0x05 => usize::try_from(reader.u32_le()?).ok()?.checked_add(1)?,
        // Undefined, null, the least and the greatest key.
        0x06 | 0x0a | 0xff | 0x7f => 0,
        // Object id.
        0x07 => 12,
        // Time, timestamp.
        0x09 | 0x11 => 8,
        // Regular expression: pattern, options.
        0x0b => {
            cstring(reader)?;
            cstring(reader)?;
            0
        }
        // Pointer: name and object id.
        0x0c => {
            string(reader)?;
            12
        }
        // Code, symbol.
        0x0d | 0x0e => {
            string(reader)?;
            0
        }
        // Code with scope: its length counts itself.
        0x0f => usize::try_from(reader.u32_le()?).ok()?.checked_sub(4)?,
        // Decimal.
        0x13 => 16,
        _ => return None,
    };
    reader.take(skip)?;
    Some(Value::Other)
}

fn u64_le(reader: &mut Reader<'_>) -> Option<u64> {
    let (low, high) = (reader.u32_le()?, reader.u32_le()?);
    Some(u64::from(high) << 32 | u64::from(low))
}

/// Writes a flat document.
#[derive(Debug, Clone)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn new() -> Self {
        Self(vec![0; 4])
    }

    pub(super) fn int32(self, name: &str, number: i32) -> Self {
        self.element(0x10, name, &number.to_le_bytes())
    }

    pub(super) fn boolean(self, name: &str, truth: bool) -> Self {
        self.element(0x08, name, &[u8::from(truth)])
    }

    pub(super) fn string(self, name: &str, text: &str) -> Self {
        let mut value = (text.len() as u32 + 1).to_le_bytes().to_vec();
        value.extend_from_slice(text.as_bytes());
        value.push(0);
        self.element(0x02, name, &value)
    }

    fn element(mut self, kind: u8, name: &str, value: &[u8]) -> Self {
        self.0.push(kind);
        self.0.extend_from_slice(name.as_bytes());
        self.0.push(0);
        self.0.extend_from_slice(value);
        self
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.0.push(0);
        let len = (self.0.len() as u32).to_le_bytes();
        self.0[..4].copy_from_slice(&len);
        self.0
    }
}
