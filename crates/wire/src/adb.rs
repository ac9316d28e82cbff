//! The Android Debug Bridge (`packages/modules/adb/protocol.txt` of AOSP): CONNECT and what a device
//! answers. A device that is open hands out a session at once, so asking is a login without a
//! secret; no stream is ever opened in it.

use crate::Answer;
use crate::answer::{begins, frame};
use crate::charset;
use crate::reader::Reader;

/// Bytes of a message header.
const HEADER_BYTES: usize = 24;

/// Longest payload read: a banner lists a few properties and features.
const PAYLOAD_BYTES_MAX: usize = 4096;

/// Protocol version of devices that verify checksums.
const VERSION: u32 = 0x0100_0000;

/// Most properties read from a banner.
const PROPERTIES_MAX: usize = 32;

/// CONNECT, as a host without features.
pub fn connect() -> Vec<u8> {
    let banner = b"host::\0";
    let mut out = b"CNXN".to_vec();
    let checksum = banner.iter().map(|&byte| u32::from(byte)).sum();
    let magic = u32::from_le_bytes(*b"CNXN") ^ u32::MAX;
    for number in [VERSION, PAYLOAD_BYTES_MAX as u32, banner.len() as u32, checksum, magic] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(banner);
    out
}

/// What a device answered to [`connect`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connected {
    /// It lets us in.
    Open(Banner),
    /// AUTH: it asks for a signature with a key that its owner has approved.
    KeyRequired,
    /// STLS: it speaks on inside TLS only, with a paired key.
    TlsRequired,
}

/// What a device says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Banner {
    /// The whole banner, such as `device::ro.product.name=…;`.
    pub text: String,
    /// `device`, `recovery`, `sideload`, …
    pub state: String,
    /// `ro.product.name`.
    pub product: Option<String>,
    /// `ro.product.model`.
    pub model: Option<String>,
    /// `ro.product.device`.
    pub device: Option<String>,
}

/// Reads the message at the start of `bytes`.
pub fn answer(bytes: &[u8]) -> Answer<Connected> {
    if ![b"CNXN", b"AUTH", b"STLS"].iter().any(|command| begins(bytes, *command)) {
        return Answer::Other;
    }
    let Answer::Whole(header) = frame(bytes, HEADER_BYTES) else { return Answer::More };
    let Some((command, payload_len)) = message(header) else { return Answer::Other };
    match command {
        b"CNXN" => frame(bytes, HEADER_BYTES + payload_len)
            .read(|message| Some(Connected::Open(banner(&message[HEADER_BYTES..])))),
        b"AUTH" => Answer::Whole(Connected::KeyRequired),
        _ => Answer::Whole(Connected::TlsRequired),
    }
}

/// Command and length of the payload.
fn message(header: &[u8]) -> Option<(&[u8], usize)> {
    let mut reader = Reader::new(header);
    let command = reader.take(4)?;
    let (_version, _bytes_max) = (reader.u32_le()?, reader.u32_le()?);
    let (len, _checksum, magic) = (reader.u32_le()?, reader.u32_le()?, reader.u32_le()?);
    let inverted = command.iter().zip(magic.to_le_bytes()).all(|(&byte, other)| byte == !other);
    let len = usize::try_from(len).ok().filter(|&len| len <= PAYLOAD_BYTES_MAX)?;
    inverted.then_some((command, len))
}

/// `state:serial:key=value;key=value;`
fn banner(payload: &[u8]) -> Banner {
    let text = charset::field(payload);
    let mut parts = text.splitn(3, ':');
    let (state, _serial, properties) =
        (parts.next().unwrap_or_default(), parts.next(), parts.next().unwrap_or_default());
    let property = |name: &str| {
        let pairs = properties.split(';').take(PROPERTIES_MAX).filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
    };
    Banner {
        state: state.to_owned(),
        product: property("ro.product.name"),
        model: property("ro.product.model"),
        device: property("ro.product.device"),
        text,
    }
}
