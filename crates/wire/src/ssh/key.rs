//! Host key blobs: algorithm, size and digest.

use sha2::{Digest, Sha256};

use super::SshError;
use crate::reader::Reader;

/// What identifies a host key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKey {
    /// `ssh-rsa`, `ssh-ed25519`, …
    pub algorithm: String,
    /// SHA-256 of the blob, hexadecimal.
    pub sha256: String,
    /// Size in bits, when the algorithm is known.
    pub bits: Option<u32>,
}

/// Reads a host key blob (RFC 4253 §6.6, RFC 5656, RFC 8709).
pub fn host_key(blob: &[u8]) -> Result<HostKey, SshError> {
    let mut reader = Reader::new(blob);
    let name = reader.string().filter(|name| (1..=64).contains(&name.len())).ok_or(SshError::Reply)?;
    let algorithm = String::from_utf8_lossy(name).into_owned();
    let bits = match algorithm.as_str() {
        "ssh-rsa" => reader.string().and_then(|_exponent| reader.string()).map(bits),
        "ssh-dss" => reader.string().map(bits),
        "ssh-ed25519" => Some(256),
        "ssh-ed448" => Some(448),
        "ecdsa-sha2-nistp256" | "sk-ecdsa-sha2-nistp256@openssh.com" => Some(256),
        "ecdsa-sha2-nistp384" => Some(384),
        "ecdsa-sha2-nistp521" => Some(521),
        _ => None,
    };
    Ok(HostKey { algorithm, sha256: hex::encode(Sha256::digest(blob)), bits })
}

/// Bits of a positive multiple-precision integer.
fn bits(mpint: &[u8]) -> u32 {
    let significant = mpint.iter().skip_while(|&&byte| byte == 0).count();
    let top = mpint.iter().find(|&&byte| byte != 0).map_or(0, |byte| byte.leading_zeros());
    (significant as u32 * 8).saturating_sub(top)
}
