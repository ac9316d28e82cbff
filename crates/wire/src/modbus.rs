//! Modbus over TCP: Read Device Identification (function 43, MEI type 14; Modbus Application Protocol
//! V1.1b3 §6.21), basic level. It reads three texts that exist to be read; no coil and no register is
//! ever touched.

use crate::Answer;
use crate::answer::{begins, frame};
use crate::charset;
use crate::reader::Reader;

/// Number of the one transaction, echoed by the server.
const TRANSACTION: [u8; 2] = *b"KE";

const FUNCTION: u8 = 0x2b;
const MEI: u8 = 0x0e;
const EXCEPTION: u8 = 0x80;

/// Longest unit after the transaction and protocol numbers: 254 bytes.
const UNIT_BYTES_MAX: usize = 254;

/// Most objects looked at.
const OBJECTS_MAX: u8 = 32;

/// The question to a unit: 0 for a server that is no gateway.
pub const fn read_identification(unit: u8) -> [u8; 11] {
    [TRANSACTION[0], TRANSACTION[1], 0, 0, 0, 5, unit, FUNCTION, MEI, 1, 0]
}

/// What a server answered to [`read_identification`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identified {
    /// Who made it.
    Identity(Identity),
    /// It speaks Modbus and refuses: 1 illegal function, 2 illegal address, 3 illegal value, 10 and 11
    /// gateway troubles.
    Exception(u8),
}

/// The basic objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Object 0.
    pub vendor: Option<String>,
    /// Object 1.
    pub product_code: Option<String>,
    /// Object 2: major and minor revision.
    pub revision: Option<String>,
}

/// Reads the answer at the start of `bytes`.
pub fn answer(bytes: &[u8]) -> Answer<Identified> {
    let head = [TRANSACTION[0], TRANSACTION[1], 0, 0, 0];
    if !begins(bytes, &head) {
        return Answer::Other;
    }
    let Some(&len) = bytes.get(head.len()) else { return Answer::More };
    if !(3..=UNIT_BYTES_MAX).contains(&usize::from(len)) {
        return Answer::Other;
    }
    frame(bytes, head.len() + 1 + usize::from(len)).read(|message| {
        let mut reader = Reader::new(&message[head.len() + 2..]);
        match reader.u8()? {
            FUNCTION if reader.u8()? == MEI => identity(reader).map(Identified::Identity),
            function if function == FUNCTION | EXCEPTION => reader.u8().map(Identified::Exception),
            _ => None,
        }
    })
}

fn identity(mut reader: Reader<'_>) -> Option<Identity> {
    // Code asked for, conformity, whether more follows, where.
    reader.take(4)?;
    let count = reader.u8()?;
    let mut identity = Identity::default();
    for _ in 0..count.min(OBJECTS_MAX) {
        let (object, len) = (reader.u8()?, reader.u8()?);
        let text = charset::field(reader.take(len.into())?);
        let text = (!text.is_empty()).then_some(text);
        match object {
            0 => identity.vendor = text,
            1 => identity.product_code = text,
            2 => identity.revision = text,
            _ => {}
        }
    }
    Some(identity)
}
