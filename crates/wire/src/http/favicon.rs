//! The icon of a site as search engines index it: MurmurHash3 (x86, 32 bits, seed 0; Austin Appleby,
//! public domain) of its base64 text in lines of 76 characters, each ended by a line feed, as a signed
//! number. SHA-256 of the bytes stands beside it, because 32 bits collide.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// Characters of a line of base64.
const LINE_CHARS: usize = 76;

/// Both digests of an icon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Favicon {
    /// MurmurHash3 of the base64 text.
    pub mmh3: i32,
    /// SHA-256 of the bytes, hexadecimal.
    pub sha256: String,
}

/// Digests of the whole icon in `bytes`; `None` when there are none.
pub fn digests(bytes: &[u8]) -> Option<Favicon> {
    if bytes.is_empty() {
        return None;
    }
    let encoded = STANDARD.encode(bytes);
    let mut text = Vec::with_capacity(encoded.len() + encoded.len() / LINE_CHARS + 1);
    for line in encoded.as_bytes().chunks(LINE_CHARS) {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    Some(Favicon { mmh3: murmur3(&text).cast_signed(), sha256: hex::encode(Sha256::digest(bytes)) })
}

/// True when `bytes` begin like a picture: servers without an icon often answer with a page.
pub fn is_picture(bytes: &[u8]) -> bool {
    let text = bytes.trim_ascii_start();
    [&b"\x00\x00\x01\x00"[..], b"\x89PNG", b"GIF8", b"\xff\xd8\xff", b"BM"]
        .iter()
        .any(|magic| bytes.starts_with(magic))
        || bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP")
        || text.starts_with(b"<svg")
        || text.starts_with(b"<?xml") && text.windows(4).take(1024).any(|window| window == b"<svg")
}

/// MurmurHash3, x86, 32 bits, seed 0.
fn murmur3(bytes: &[u8]) -> u32 {
    let mix = |block: u32| block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let (blocks, tail) = bytes.as_chunks::<4>();
    let mut hash = 0_u32;
    for block in blocks {
        hash ^= mix(u32::from_le_bytes(*block));
        hash = hash.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    let rest = tail.iter().rev().fold(0_u32, |rest, &byte| rest << 8 | u32::from(byte));
    hash ^= mix(rest);
    hash ^= bytes.len() as u32;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur3_as_published() {
        for (text, expected) in [
            (&b""[..], 0_u32),
            (b"hello", 0x248b_fa47),
            (b"hello, world", 0x149b_bb7f),
            (b"The quick brown fox jumps over the lazy dog", 0x2e4f_f723),
        ] {
            assert_eq!(murmur3(text), expected, "{}", text.escape_ascii());
        }
    }
}
