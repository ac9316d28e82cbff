//! SSH before encryption (RFC 4253): identification, algorithm lists, and enough of a key exchange
//! to be shown the server's host key.
//!
//! [`HostKeyExchange`] is the main type. It completes no key exchange: the public values it sends
//! are constants, nothing is ever encrypted with them, and the host key it returns is *shown*, not
//! proven, by the server.

mod exchange;
mod fingerprint;
mod key;
mod packet;

pub use exchange::{Exchanged, HostKeyExchange, Step};
pub use fingerprint::hassh_server;
pub use key::{HostKey, host_key};
pub use packet::{KexInit, PACKET_BYTES_MAX, Packet, decode_packet, encode_packet};

/// Longest identification line, RFC 4253 §4.2.
pub const IDENTIFICATION_BYTES_MAX: usize = 255;

/// Most lines a server may send before its identification, and most bytes of them.
const PRELUDE_LINES_MAX: usize = 32;
const PRELUDE_BYTES_MAX: usize = 8 * 1024;

/// Bytes that are not SSH, or more than we read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SshError {
    /// No identification within the limits.
    #[error("no SSH identification")]
    Identification,
    /// A packet longer than [`PACKET_BYTES_MAX`] or with impossible padding.
    #[error("malformed SSH packet")]
    Packet,
    /// A KEXINIT that cannot be read.
    #[error("malformed KEXINIT")]
    KexInit,
    /// No key exchange method in common.
    #[error("no common key exchange method")]
    NoCommonMethod,
    /// A message that does not belong here.
    #[error("unexpected SSH message {0}")]
    Unexpected(u8),
    /// The server said goodbye.
    #[error("disconnected by the server")]
    Disconnected,
    /// The reply to our key exchange cannot be read.
    #[error("malformed key exchange reply")]
    Reply,
}

/// An identification line at the start of what a server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identification {
    /// The line without its end, such as `SSH-2.0-dropbear_2019.78`.
    pub line: Vec<u8>,
    /// Bytes it took, lines before it included.
    pub consumed: usize,
}

/// Finds the identification line; `None` while it has not arrived.
pub fn identification(bytes: &[u8]) -> Result<Option<Identification>, SshError> {
    let mut consumed = 0;
    for _ in 0..=PRELUDE_LINES_MAX {
        let rest = &bytes[consumed..];
        let Some(end) = rest.iter().position(|&byte| byte == b'\n') else {
            let too_long = rest.starts_with(b"SSH-") && rest.len() > IDENTIFICATION_BYTES_MAX
                || bytes.len() > PRELUDE_BYTES_MAX;
            return if too_long { Err(SshError::Identification) } else { Ok(None) };
        };
        consumed += end + 1;
        let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        if line.starts_with(b"SSH-") {
            let line = line[..line.len().min(IDENTIFICATION_BYTES_MAX)].to_vec();
            return Ok(Some(Identification { line, consumed }));
        }
        if consumed > PRELUDE_BYTES_MAX {
            break;
        }
    }
    Err(SshError::Identification)
}
