//! TLS records (RFC 8446 §5.1), only so far as to tell that a port speaks TLS.

use crate::reader::Reader;

/// The first record of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// An alert: level (1 warning, 2 fatal) and description.
    Alert {
        /// 1 warning, 2 fatal.
        level: u8,
        /// RFC 8446 §6, such as 40 handshake_failure, 70 protocol_version.
        description: u8,
    },
    /// A handshake message, such as 2 ServerHello.
    Handshake(u8),
}

/// Longest plaintext record with the allowance for ciphertext, RFC 8446 §5.2.
const RECORD_BYTES_MAX: u16 = (1 << 14) + 256;

/// The record at the start of `bytes`, when they are the beginning of a TLS (or SSL 3.0) answer.
pub fn recognise(bytes: &[u8]) -> Option<Record> {
    let mut reader = Reader::new(bytes);
    let (kind, major, minor, length) = (reader.u8()?, reader.u8()?, reader.u8()?, reader.u16()?);
    if major != 3 || minor > 4 || length == 0 || length > RECORD_BYTES_MAX {
        return None;
    }
    match kind {
        21 if length == 2 => {
            let (level, description) = (reader.u8()?, reader.u8()?);
            (1..=2).contains(&level).then_some(Record::Alert { level, description })
        }
        22 => reader.u8().filter(|message| matches!(message, 1 | 2)).map(Record::Handshake),
        _ => None,
    }
}
