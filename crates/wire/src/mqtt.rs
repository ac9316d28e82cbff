//! MQTT 3.1.1: CONNECT, CONNACK, DISCONNECT, and nothing that would subscribe or publish.

use crate::reader::Reader;

/// Longest client id sent, the most that every broker must accept.
pub const CLIENT_ID_BYTES_MAX: usize = 23;

/// CONNECT without user name, with a clean session and 10 s of patience. The client id keeps its
/// letters and digits only, as every broker must accept those.
pub fn connect(client_id: &str) -> Vec<u8> {
    let id: String =
        client_id.chars().filter(char::is_ascii_alphanumeric).take(CLIENT_ID_BYTES_MAX).collect();
    let mut variable = vec![0, 4];
    variable.extend_from_slice(b"MQTT");
    variable.extend_from_slice(&[4, 0b0000_0010, 0, 10]);
    variable.extend_from_slice(&(id.len() as u16).to_be_bytes());
    variable.extend_from_slice(id.as_bytes());
    let mut out = vec![0x10, variable.len() as u8];
    out.append(&mut variable);
    out
}

/// DISCONNECT.
pub const DISCONNECT: [u8; 2] = [0xe0, 0];

/// What a broker answered to CONNECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connack {
    /// Not arrived whole yet.
    More,
    /// The return code: 0 accepted, 4 bad user name or password, 5 not authorised.
    Code(u8),
    /// Not MQTT.
    Other,
}

/// Reads a CONNACK at the start of `bytes`.
pub fn connack(bytes: &[u8]) -> Connack {
    let mut reader = Reader::new(bytes);
    let (Some(kind), Some(length)) = (reader.u8(), reader.u8()) else {
        return if bytes.first().is_none_or(|&kind| kind == 0x20) { Connack::More } else { Connack::Other };
    };
    // A version 5 broker answers with properties; its refusal of version 4 is short enough.
    if kind != 0x20 || !(2..=127).contains(&length) {
        return Connack::Other;
    }
    match (reader.u8(), reader.u8()) {
        (Some(flags), _) if flags > 1 => Connack::Other,
        (Some(_), Some(code)) => Connack::Code(code),
        _ => Connack::More,
    }
}
