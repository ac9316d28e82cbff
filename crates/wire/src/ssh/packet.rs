//! The binary packet protocol while nothing is encrypted, and the lists of KEXINIT.

use super::SshError;
use crate::reader::Reader;

/// Longest packet accepted, RFC 4253 §6.1.
pub const PACKET_BYTES_MAX: usize = 35_000;

/// Most names kept of one list.
const NAMES_MAX: usize = 64;

/// Longest name kept.
const NAME_BYTES_MAX: usize = 128;

/// One packet at the start of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Message number and what follows it.
    pub payload: &'a [u8],
    /// Bytes the packet took.
    pub consumed: usize,
}

/// Reads one unencrypted packet; `None` while it has not arrived whole.
pub fn decode_packet(bytes: &[u8]) -> Result<Option<Packet<'_>>, SshError> {
    let mut reader = Reader::new(bytes);
    let Some(length) = reader.u32() else { return Ok(None) };
    let length = usize::try_from(length).map_err(|_| SshError::Packet)?;
    if !(2..=PACKET_BYTES_MAX).contains(&length) {
        return Err(SshError::Packet);
    }
    let Some(body) = reader.take(length) else { return Ok(None) };
    let padding = usize::from(body[0]);
    let payload_len = (length - 1).checked_sub(padding).filter(|&len| len > 0).ok_or(SshError::Packet)?;
    Ok(Some(Packet { payload: &body[1..=payload_len], consumed: 4 + length }))
}

/// An unencrypted packet around `payload`. The padding is zeros: it hides nothing before keys
/// exist.
pub fn encode_packet(payload: &[u8]) -> Vec<u8> {
    let mut padding = 8 - (5 + payload.len()) % 8;
    if padding < 4 {
        padding += 8;
    }
    let length = 1 + payload.len() + padding;
    let mut out = Vec::with_capacity(4 + length);
    out.extend_from_slice(&(length as u32).to_be_bytes());
    out.push(padding as u8);
    out.extend_from_slice(payload);
    out.resize(4 + length, 0);
    out
}

/// The algorithm lists of KEXINIT (RFC 4253 §7.1), each in its sender's order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KexInit {
    /// Key exchange methods.
    pub kex: Vec<String>,
    /// Host key algorithms.
    pub host_key: Vec<String>,
    /// Ciphers, client to server.
    pub ciphers_client_to_server: Vec<String>,
    /// Ciphers, server to client.
    pub ciphers_server_to_client: Vec<String>,
    /// MACs, client to server.
    pub macs_client_to_server: Vec<String>,
    /// MACs, server to client.
    pub macs_server_to_client: Vec<String>,
    /// Compression, client to server.
    pub compression_client_to_server: Vec<String>,
    /// Compression, server to client.
    pub compression_server_to_client: Vec<String>,
    /// A guessed key exchange packet follows.
    pub first_kex_packet_follows: bool,
}

impl KexInit {
    /// Message number.
    pub const MESSAGE: u8 = 20;

    /// Reads the payload of a packet.
    pub fn decode(payload: &[u8]) -> Result<Self, SshError> {
        Self::read(payload).ok_or(SshError::KexInit)
    }

    fn read(payload: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(payload);
        if reader.u8()? != Self::MESSAGE {
            return None;
        }
        reader.take(16)?;
        let mut list = || reader.string().map(names);
        let mut init = Self {
            kex: list()?,
            host_key: list()?,
            ciphers_client_to_server: list()?,
            ciphers_server_to_client: list()?,
            macs_client_to_server: list()?,
            macs_server_to_client: list()?,
            compression_client_to_server: list()?,
            compression_server_to_client: list()?,
            first_kex_packet_follows: false,
        };
        // Languages say nothing; servers that cut them off are forgiven.
        let _ = (reader.string(), reader.string());
        init.first_kex_packet_follows = reader.u8().unwrap_or(0) != 0;
        Some(init)
    }

    /// The payload of a packet, with `cookie` as its random part.
    pub fn encode(&self, cookie: [u8; 16]) -> Vec<u8> {
        let mut out = vec![Self::MESSAGE];
        out.extend_from_slice(&cookie);
        for list in [
            &self.kex,
            &self.host_key,
            &self.ciphers_client_to_server,
            &self.ciphers_server_to_client,
            &self.macs_client_to_server,
            &self.macs_server_to_client,
            &self.compression_client_to_server,
            &self.compression_server_to_client,
            &Vec::new(),
            &Vec::new(),
        ] {
            let text = list.join(",");
            out.extend_from_slice(&(text.len() as u32).to_be_bytes());
            out.extend_from_slice(text.as_bytes());
        }
        out.push(u8::from(self.first_kex_packet_follows));
        out.extend_from_slice(&[0; 4]);
        out
    }
}

fn names(bytes: &[u8]) -> Vec<String> {
    bytes
        .split(|&byte| byte == b',')
        .filter(|name| !name.is_empty())
        .take(NAMES_MAX)
        .map(|name| String::from_utf8_lossy(&name[..name.len().min(NAME_BYTES_MAX)]).into_owned())
        .collect()
}
