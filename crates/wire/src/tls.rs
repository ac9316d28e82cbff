//! TLS records (RFC 8446 §5.1) and the ServerHello in them (§4.1.3), only so far as to tell that a port
//! speaks TLS, and how.

use md5::{Digest, Md5};

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

/// Longest ServerHello read: those with a post-quantum key share have about 1.2 KiB.
const HELLO_BYTES_MAX: usize = 4096;

/// Most extensions read.
const EXTENSIONS_MAX: usize = 64;

/// What a server chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerHello {
    /// The version field: 0x0303 also for TLS 1.3.
    pub version: u16,
    /// Number of the cipher suite.
    pub cipher: u16,
    /// Numbers of the extensions, in order.
    pub extensions: Vec<u16>,
    /// Group of its key share (RFC 8446 §4.2.8), or that it asks for one of; TLS 1.3 only.
    pub group: Option<u16>,
}

/// Extension `key_share`.
const KEY_SHARE: u16 = 51;

/// Names of IANA's TLS supported groups.
const GROUPS: &[(u16, &str)] = &[
    (23, "secp256r1"),
    (24, "secp384r1"),
    (25, "secp521r1"),
    (26, "brainpoolP256r1"),
    (27, "brainpoolP384r1"),
    (28, "brainpoolP512r1"),
    (29, "x25519"),
    (30, "x448"),
    (256, "ffdhe2048"),
    (257, "ffdhe3072"),
    (258, "ffdhe4096"),
    (259, "ffdhe6144"),
    (260, "ffdhe8192"),
    (512, "MLKEM512"),
    (513, "MLKEM768"),
    (514, "MLKEM1024"),
    (4587, "SecP256r1MLKEM768"),
    (4588, "X25519MLKEM768"),
    (4589, "SecP384r1MLKEM1024"),
];

/// IANA's name of a group, else its number as `0x1a2b`.
pub fn group_name(group: u16) -> String {
    let named = GROUPS.iter().find(|(number, _)| *number == group);
    named.map_or_else(|| format!("{group:#06x}"), |(_, name)| (*name).to_owned())
}

impl ServerHello {
    /// JA3S (John Althouse, Jeff Atkinson and Josh Atkins at Salesforce, BSD-3-Clause): MD5,
    /// hexadecimal, of `version,cipher,extensions`, numbers in decimal, extensions joined by `-`.
    pub fn ja3s(&self) -> String {
        let extensions: Vec<String> = self.extensions.iter().map(u16::to_string).collect();
        let text = format!("{},{},{}", self.version, self.cipher, extensions.join("-"));
        hex::encode(Md5::digest(text))
    }
}

/// The first ServerHello in `bytes`, the beginning of what a server said; `None` when none has arrived
/// whole. A HelloRetryRequest has the form of one and counts as one: it is the server's choice too.
pub fn server_hello(bytes: &[u8]) -> Option<ServerHello> {
    // A message may be cut into records.
    let mut records = Reader::new(bytes);
    let mut message = Vec::new();
    loop {
        let (kind, major, _minor, len) = (records.u8()?, records.u8()?, records.u8()?, records.u16()?);
        if kind != 22 || major != 3 || len == 0 || len > RECORD_BYTES_MAX {
            return None;
        }
        let len = usize::from(len);
        let fragment = records.take(len.min(records.rest().len()))?;
        let whole = fragment.len() == len;
        message.extend_from_slice(fragment);
        if message.first().is_some_and(|&kind| kind != 2)
            || message.len() > HELLO_BYTES_MAX + usize::from(RECORD_BYTES_MAX)
        {
            return None;
        }
        if let Some(hello) = hello(&message) {
            return hello;
        }
        if !whole {
            return None;
        }
    }
}

/// The outer `None` when the message has not arrived whole.
fn hello(message: &[u8]) -> Option<Option<ServerHello>> {
    let len = usize::try_from(Reader::new(message).u32()? & 0x00ff_ffff).ok()?;
    if len > HELLO_BYTES_MAX {
        return Some(None);
    }
    let body = message.get(4..4 + len)?;
    Some(chosen(body))
}

fn chosen(body: &[u8]) -> Option<ServerHello> {
    let mut reader = Reader::new(body);
    let version = reader.u16()?;
    reader.take(32)?;
    let session = reader.u8()?;
    reader.take(session.into())?;
    let (cipher, _compression) = (reader.u16()?, reader.u8()?);
    let (mut extensions, mut group) = (Vec::new(), None);
    // Old servers leave the whole block out.
    if let Some(len) = reader.u16() {
        let mut block = Reader::new(reader.take(len.into())?);
        while !block.rest().is_empty() && extensions.len() < EXTENSIONS_MAX {
            let (extension, len) = (block.u16()?, block.u16()?);
            let mut content = Reader::new(block.take(len.into())?);
            extensions.push(extension);
            if extension == KEY_SHARE {
                group = content.u16();
            }
        }
    }
    Some(ServerHello { version, cipher, extensions, group })
}
