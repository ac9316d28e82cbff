//! CoAP (RFC 7252): GET of `/.well-known/core`, its answer, and the links in it (RFC 6690). Of a
//! list sent in blocks (RFC 7959) the first is read.

mod links;

pub use links::{Link, links};

use crate::malformed::Malformed;
use crate::reader::Reader;

/// Longest token, RFC 7252 §3.
const TOKEN_BYTES_MAX: usize = 8;

/// Most options read.
const OPTIONS_MAX: usize = 32;

const URI_PATH: u32 = 11;
const CONTENT_FORMAT: u32 = 12;
const BLOCK2: u32 = 23;

/// What a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// To be acknowledged.
    Confirmable,
    /// Not to be acknowledged.
    NonConfirmable,
    /// Acknowledges the message of the same id, with an answer or without.
    Acknowledgement,
    /// Nobody expects the message of the same id.
    Reset,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it is for.
    pub kind: Kind,
    /// Class in the upper three bits, detail in the lower five: 0x45 is 2.05 Content.
    pub code: u8,
    /// Pairs acknowledgements with what they acknowledge.
    pub id: u16,
    /// Pairs answers with questions.
    pub token: Vec<u8>,
    /// Number of the payload's format; 40 is the link format.
    pub content_format: Option<u32>,
    /// More blocks of the payload could be asked for.
    pub more: bool,
    /// Payload.
    pub payload: Vec<u8>,
}

impl Message {
    /// The code as it is written, `2.05`.
    pub fn code_text(&self) -> String {
        format!("{}.{:02}", self.code >> 5, self.code & 0x1f)
    }

    /// An answer: success or error, not a request and not empty.
    pub const fn is_answer(&self) -> bool {
        matches!(self.code >> 5, 2 | 4 | 5)
    }
}

/// GET of `/.well-known/core`, confirmable, the first block of at most 512 bytes.
pub fn get_core(id: u16, token: [u8; 4]) -> Vec<u8> {
    let mut out = vec![0x40 | token.len() as u8, 1];
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(&token);
    let mut before = 0;
    // Block 0, no more, 2^(5 + 4) bytes.
    for (number, value) in [(URI_PATH, b".well-known".as_slice()), (URI_PATH, b"core"), (BLOCK2, &[5])] {
        // Every difference of numbers and every length here is below 13 and needs no more bytes.
        out.push(((number - before) << 4) as u8 | value.len() as u8);
        out.extend_from_slice(value);
        before = number;
    }
    out
}

/// The empty message that ends the server's retransmissions of the message `id`.
pub fn acknowledgement(id: u16) -> [u8; 4] {
    let [high, low] = id.to_be_bytes();
    [0x60, 0, high, low]
}

/// Reads a message.
pub fn parse(bytes: &[u8]) -> Result<Message, Malformed> {
    const END: Malformed = Malformed::Truncated("a CoAP message");
    let mut reader = Reader::new(bytes);
    let [first, code] = reader.array().ok_or(END)?;
    let id = reader.u16().ok_or(END)?;
    if first >> 6 != 1 {
        return Err(Malformed::Not("CoAP of version 1"));
    }
    let kind = match first >> 4 & 3 {
        0 => Kind::Confirmable,
        1 => Kind::NonConfirmable,
        2 => Kind::Acknowledgement,
        _ => Kind::Reset,
    };
    let token_len = usize::from(first & 0x0f);
    if token_len > TOKEN_BYTES_MAX {
        return Err(Malformed::Limit("token"));
    }
    if code == 0 && bytes.len() != 4 {
        return Err(Malformed::Not("an empty message"));
    }
    let token = reader.take(token_len).ok_or(END)?.to_vec();
    let mut message =
        Message { kind, code, id, token, content_format: None, more: false, payload: Vec::new() };
    let mut number = 0_u32;
    for _ in 0..=OPTIONS_MAX {
        let Some(head) = reader.u8() else { return Ok(message) };
        if head == 0xff {
            message.payload = reader.rest().to_vec();
            return if message.payload.is_empty() { Err(END) } else { Ok(message) };
        }
        number += extended(head >> 4, &mut reader)?;
        let length = extended(head & 0x0f, &mut reader)?;
        let value = reader.take(length as usize).ok_or(END)?;
        match number {
            CONTENT_FORMAT => message.content_format = uint(value),
            BLOCK2 => message.more = uint(value).is_some_and(|block| block & 8 != 0),
            _ => {}
        }
    }
    Err(Malformed::Limit("options"))
}

/// A difference of option numbers, or a length: four bits, with one or two bytes more (§3.1).
fn extended(nibble: u8, reader: &mut Reader<'_>) -> Result<u32, Malformed> {
    const END: Malformed = Malformed::Truncated("a CoAP option");
    match nibble {
        13 => Ok(13 + u32::from(reader.u8().ok_or(END)?)),
        14 => Ok(269 + u32::from(reader.u16().ok_or(END)?)),
        15 => Err(Malformed::Not("a CoAP option")),
        short => Ok(short.into()),
    }
}

/// A number of at most four bytes, without leading zeros or with.
fn uint(value: &[u8]) -> Option<u32> {
    (value.len() <= 4).then(|| value.iter().fold(0, |number, &byte| number << 8 | u32::from(byte)))
}
