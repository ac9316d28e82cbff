//! BACnet over UDP (ASHRAE 135, annex J): ReadProperty of the device object, one property a datagram.
//! It asks the device it is sent to and nobody else: no broadcast, no Who-Is, and nothing is written.

use std::borrow::Cow;

use crate::charset;
use crate::reader::Reader;

const BVLC: u8 = 0x81;
const UNICAST: u8 = 0x0a;
/// A unicast that was forwarded for its origin, with that origin's address before the content.
const FORWARDED: u8 = 0x04;

/// The device object, whatever its number (§12.11: instance 4,194,303 stands for the one asked).
const ANY_DEVICE: u32 = 8 << 22 | 0x3f_ffff;

const READ_PROPERTY: u8 = 12;

/// Longest text returned, in bytes.
const TEXT_BYTES_MAX: usize = 256;

/// A property of the device object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Property {
    /// Its number at the site.
    ObjectIdentifier,
    /// Its name at the site.
    ObjectName,
    /// Vendor's name.
    VendorName,
    /// Vendor's number in ASHRAE's registry.
    VendorIdentifier,
    /// Model.
    ModelName,
    /// Firmware.
    FirmwareRevision,
}

impl Property {
    /// Every property, the one by which a device is recognised first.
    pub const ALL: [Self; 6] = [
        Self::VendorIdentifier,
        Self::VendorName,
        Self::ModelName,
        Self::FirmwareRevision,
        Self::ObjectName,
        Self::ObjectIdentifier,
    ];

    /// Number of the property, which is also the number of the question that asks for it.
    const fn number(self) -> u8 {
        match self {
            Self::FirmwareRevision => 44,
            Self::ModelName => 70,
            Self::ObjectIdentifier => 75,
            Self::ObjectName => 77,
            Self::VendorIdentifier => 120,
            Self::VendorName => 121,
        }
    }
}

/// The datagram that asks for `property`.
pub fn read_property(property: Property) -> Vec<u8> {
    // Version 1, an answer is expected; confirmed request, answers of up to 1,476 bytes unsegmented.
    let mut out = vec![BVLC, UNICAST, 0, 0, 1, 4, 0, 5, property.number(), READ_PROPERTY, 0x0c];
    out.extend_from_slice(&ANY_DEVICE.to_be_bytes());
    out.extend_from_slice(&[0x19, property.number()]);
    out[3] = out.len() as u8;
    out
}

/// What a device answered to [`read_property`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The value of the property.
    Value(Value),
    /// It speaks BACnet and refuses: class and code of the error.
    Error {
        /// Such as 1 object, 2 property, 4 security.
        class: u32,
        /// Such as 31 unknown object, 32 unknown property.
        code: u32,
    },
    /// It does not know what was asked, or gave up: the reason's number.
    Rejected(u8),
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Unsigned number.
    Unsigned(u32),
    /// Text, decoded and cut at 256 bytes.
    Text(String),
    /// Instance number of an object.
    Instance(u32),
    /// Anything else.
    Other,
}

/// The answer to the question for `property`; `None` for a datagram that is none.
pub fn reply(property: Property, datagram: &[u8]) -> Option<Reply> {
    let mut reader = content(datagram)?;
    let kind = reader.u8()? >> 4;
    if reader.u8()? != property.number() {
        return None; // an answer to another question
    }
    match kind {
        // Complex acknowledgement.
        3 if reader.u8()? == READ_PROPERTY => {
            if reader.u8()? != 0x0c {
                return None;
            }
            let _object = reader.u32()?;
            // The property asked for, perhaps an index, then the value between two marks.
            if (reader.u8()?, reader.u8()?) != (0x19, property.number()) || reader.u8()? != 0x3e {
                return None;
            }
            value(&mut reader).map(Reply::Value)
        }
        5 if reader.u8()? == READ_PROPERTY => {
            let mut number = || {
                let tag = reader.u8()?;
                (tag >> 4 == 9).then(|| unsigned(&mut reader, tag))?
            };
            Some(Reply::Error { class: number()?, code: number()? })
        }
        // Reject, abort.
        6 | 7 => reader.u8().map(Reply::Rejected),
        _ => None,
    }
}

/// The application's part of a datagram.
fn content(datagram: &[u8]) -> Option<Reader<'_>> {
    let mut reader = Reader::new(datagram);
    let (kind, function, len) = (reader.u8()?, reader.u8()?, reader.u16()?);
    if kind != BVLC || usize::from(len) != datagram.len() {
        return None;
    }
    match function {
        UNICAST => {}
        FORWARDED => {
            reader.take(6)?;
        }
        _ => return None,
    }
    let (version, control) = (reader.u8()?, reader.u8()?);
    if version != 1 || control & 0x80 != 0 {
        return None; // a message between routers
    }
    if control & 0x20 != 0 {
        address(&mut reader)?;
    }
    if control & 0x08 != 0 {
        address(&mut reader)?;
    }
    if control & 0x20 != 0 {
        reader.u8()?; // hops left
    }
    Some(reader)
}

/// Network number and an address of stated length.
fn address(reader: &mut Reader<'_>) -> Option<()> {
    reader.u16()?;
    let len = reader.u8()?;
    reader.take(len.into()).map(drop)
}

/// One value with its application tag.
fn value(reader: &mut Reader<'_>) -> Option<Value> {
    let tag = reader.u8()?;
    Some(match tag >> 4 {
        _ if tag & 0x08 != 0 => return None, // a context tag
        2 => Value::Unsigned(unsigned(reader, tag)?),
        7 => {
            let len = length(reader, tag)?;
            let (&encoding, text) = reader.take(len)?.split_first()?;
            Value::Text(text_of(encoding, text))
        }
        12 => Value::Instance(unsigned(reader, tag)? & 0x3f_ffff),
        _ => Value::Other,
    })
}

/// Length of a value: in the tag, or in one or two bytes after it.
fn length(reader: &mut Reader<'_>, tag: u8) -> Option<usize> {
    match tag & 0x07 {
        5 => match reader.u8()? {
            254 => reader.u16().map(usize::from),
            255 => None,
            len => Some(len.into()),
        },
        len @ 0..=4 => Some(len.into()),
        _ => None,
    }
}

fn unsigned(reader: &mut Reader<'_>, tag: u8) -> Option<u32> {
    let len = length(reader, tag).filter(|len| (1..=4).contains(len))?;
    Some(reader.take(len)?.iter().fold(0, |number, &byte| number << 8 | u32::from(byte)))
}

fn text_of(encoding: u8, text: &[u8]) -> String {
    let text = &text[..text.len().min(TEXT_BYTES_MAX)];
    let bytes: Cow<'_, [u8]> = match encoding {
        // UCS-2, big-endian.
        4 => {
            let units: Vec<u16> =
                text.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            String::from_utf16_lossy(&units).into_bytes().into()
        }
        // A code page of two bytes a character, its number first.
        1 => text.get(2..).unwrap_or_default().into(),
        _ => text.into(),
    };
    charset::field(&bytes)
}
