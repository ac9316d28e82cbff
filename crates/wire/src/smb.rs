//! SMB over TCP (MS-SMB2 §2.2.3, MS-CIFS §2.2.4.52): the NEGOTIATE of SMB 2 and 3, the one of SMB 1,
//! and what a server answers. Nothing follows: no session is set up, nobody logs in.

use crate::Answer;
use crate::answer::{begins, frame};
use crate::reader::Reader;

/// Longest message read.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

const HEADER_2: &[u8] = b"\xfeSMB";
const HEADER_1: &[u8] = b"\xffSMB";
const HEADER_2_BYTES: usize = 64;
const HEADER_1_BYTES: usize = 32;
const NEGOTIATE_1: u8 = 0x72;

/// The dialects offered by [`negotiate`]: 2.0.2, 2.1, 3.0, 3.0.2, 3.1.1.
const DIALECTS: [u16; 5] = [0x0202, 0x0210, 0x0300, 0x0302, 0x0311];

/// Who asks, in SMB 2: the same for every probe.
const CLIENT_GUID: &[u8; 16] = b"kenshin-probe-01";

/// NEGOTIATE of SMB 2 and 3, all dialects.
pub fn negotiate() -> Vec<u8> {
    let mut out = HEADER_2.to_vec();
    out.extend_from_slice(&64_u16.to_le_bytes());
    out.resize(HEADER_2_BYTES, 0);
    for number in [36, DIALECTS.len() as u16, 1, 0] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&0x7f_u32.to_le_bytes()); // every capability, so that the answer tells the server's
    out.extend_from_slice(CLIENT_GUID);
    // Contexts begin at the next multiple of eight after the dialects.
    let dialects_end = out.len() + 8 + 2 * DIALECTS.len();
    let contexts = dialects_end.next_multiple_of(8);
    out.extend_from_slice(&(contexts as u32).to_le_bytes());
    out.extend_from_slice(&[2, 0, 0, 0]);
    for dialect in DIALECTS {
        out.extend_from_slice(&dialect.to_le_bytes());
    }
    out.resize(contexts, 0);
    // Integrity: one hash, SHA-512, with a salt of 32 bytes that protects nothing here.
    out.extend_from_slice(&[1, 0, 38, 0, 0, 0, 0, 0, 1, 0, 32, 0, 1, 0]);
    out.resize((out.len() + 32).next_multiple_of(8), 0);
    // Encryption: AES-128-GCM, AES-128-CCM.
    out.extend_from_slice(&[2, 0, 6, 0, 0, 0, 0, 0, 2, 0, 2, 0, 1, 0]);
    session(&out)
}

/// NEGOTIATE of SMB 1, the dialect `NT LM 0.12` only: whoever agrees still speaks SMB 1.
pub fn negotiate_1() -> Vec<u8> {
    let mut out = HEADER_1.to_vec();
    out.push(NEGOTIATE_1);
    out.extend_from_slice(&[0; 4]);
    // Paths as they are; Unicode, NT status codes, extended security, long names.
    out.extend_from_slice(&[0x18, 0x01, 0xc8]);
    out.resize(HEADER_1_BYTES - 8, 0);
    out.extend_from_slice(&[0xff, 0xff, 1, 0, 0, 0, 0, 0]);
    let dialect = b"\x02NT LM 0.12\0";
    out.extend_from_slice(&[0, dialect.len() as u8, 0]);
    out.extend_from_slice(dialect);
    session(&out)
}

fn session(message: &[u8]) -> Vec<u8> {
    let mut out = (message.len() as u32).to_be_bytes().to_vec();
    out.extend_from_slice(message);
    out
}

/// What a server answered to a NEGOTIATE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Negotiated {
    /// SMB 2 or 3, agreed.
    Two(Agreement),
    /// SMB 1, agreed; the GUID is all zeros where the server sends none.
    One(Agreement),
    /// It speaks the asked version, and refuses: no dialect in common, or the NT status given.
    Refused {
        /// NT status code; 0 when the answer only names no dialect.
        status: u32,
    },
}

/// What was agreed on, and what the server says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreement {
    /// Dialect revision of SMB 2 and 3, see [`dialect_name`]; 0x0100 for SMB 1.
    pub dialect: u16,
    /// Messages can be signed.
    pub signing_enabled: bool,
    /// Messages must be signed.
    pub signing_required: bool,
    /// The server's GUID as sent; see [`guid_text`].
    pub server_guid: [u8; 16],
    /// Capabilities, as the dialect numbers them.
    pub capabilities: u32,
}

/// Dialect of an [`Agreement`] over SMB 1, in the manner of the others.
pub const DIALECT_1: u16 = 0x0100;

/// Reads the answer at the start of `bytes`.
pub fn answer(bytes: &[u8]) -> Answer<Negotiated> {
    if !begins(bytes, &[0]) {
        return Answer::Other;
    }
    let Some(len) = Reader::new(bytes).u32() else { return Answer::More };
    let after = &bytes[4..];
    if !begins(after, HEADER_2) && !begins(after, HEADER_1) {
        return Answer::Other;
    }
    match usize::try_from(len) {
        Ok(len) if (HEADER_1_BYTES..=MESSAGE_BYTES_MAX).contains(&len) => {
            frame(after, len).read(|message| match message[0] {
                0xfe => read_2(message),
                _ => read_1(message),
            })
        }
        _ => Answer::Other,
    }
}

fn read_2(message: &[u8]) -> Option<Negotiated> {
    let mut reader = Reader::new(message);
    reader.take(HEADER_2.len())?;
    let (_size, _credit_charge, status) = (reader.u16_le()?, reader.u16_le()?, reader.u32_le()?);
    if reader.u16_le()? != 0 {
        return None; // not the answer to a NEGOTIATE
    }
    if status != 0 {
        return Some(Negotiated::Refused { status });
    }
    let mut reader = Reader::new(message.get(HEADER_2_BYTES..)?);
    if reader.u16_le()? != 65 {
        return None;
    }
    let (signing, dialect, _contexts) = (reader.u16_le()?, reader.u16_le()?, reader.u16_le()?);
    let server_guid = reader.take(16)?.try_into().ok()?;
    let capabilities = reader.u32_le()?;
    Some(Negotiated::Two(Agreement {
        dialect,
        signing_enabled: signing & 1 != 0,
        signing_required: signing & 2 != 0,
        server_guid,
        capabilities,
    }))
}

fn read_1(message: &[u8]) -> Option<Negotiated> {
    let mut reader = Reader::new(message);
    reader.take(HEADER_1.len())?;
    if reader.u8()? != NEGOTIATE_1 {
        return None;
    }
    let (status, _flags, flags_2) = (reader.u32_le()?, reader.u8()?, reader.u16_le()?);
    let mut reader = Reader::new(message.get(HEADER_1_BYTES..)?);
    let words = reader.u8()?;
    if status != 0 || words < 17 {
        return Some(Negotiated::Refused { status });
    }
    let (_dialect, mode) = (reader.u16_le()?, reader.u8()?);
    reader.take(16)?; // limits, and the session key that means nothing
    let capabilities = reader.u32_le()?;
    reader.take(10)?; // time and its zone
    let challenge = reader.u8()?;
    let bytes = usize::from(reader.u16_le()?);
    // With extended security the server names itself by a GUID instead of challenging us.
    let extended = flags_2 & 0x0800 != 0 && challenge == 0 && bytes >= 16;
    let server_guid = match extended {
        true => reader.take(16)?.try_into().ok()?,
        false => [0; 16],
    };
    Some(Negotiated::One(Agreement {
        dialect: DIALECT_1,
        signing_enabled: mode & 4 != 0,
        signing_required: mode & 8 != 0,
        server_guid,
        capabilities,
    }))
}

/// Name of a dialect, such as `3.1.1`.
pub const fn dialect_name(dialect: u16) -> Option<&'static str> {
    Some(match dialect {
        DIALECT_1 => "1.0",
        0x0202 => "2.0.2",
        0x0210 => "2.1",
        0x0300 => "3.0",
        0x0302 => "3.0.2",
        0x0311 => "3.1.1",
        _ => return None,
    })
}

/// A GUID as it is written: the first three parts are little-endian on the wire.
pub fn guid_text(guid: &[u8; 16]) -> String {
    let hex = |range: &[usize]| range.iter().map(|&at| format!("{:02x}", guid[at])).collect::<String>();
    [&[3, 2, 1, 0][..], &[5, 4], &[7, 6], &[8, 9], &[10, 11, 12, 13, 14, 15]].map(hex).join("-")
}
