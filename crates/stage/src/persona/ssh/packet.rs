//! The binary packet protocol (RFC 4253 §6), plain and with AES in counter mode.

use std::io;

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::memcmp;
use openssl::pkey::{PKey, Private};
use openssl::sign::Signer;
use openssl::symm::{Cipher, Crypter, Mode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::Stream;
use super::exchange::{Agreed, Algorithms};

/// Largest packet taken or sent.
const PACKET_BYTES_MAX: usize = 35_000;

/// One direction after keys were taken into use.
struct Protection {
    cipher: Crypter,
    mac: PKey<Private>,
    digest: MessageDigest,
}

/// Packets over a stream.
pub(super) struct Channel<S> {
    pub(super) stream: S,
    sent: u32,
    received: u32,
    inbound: Option<Protection>,
    outbound: Option<Protection>,
}

impl<S: Stream> Channel<S> {
    pub(super) const fn new(stream: S) -> Self {
        Self { stream, sent: 0, received: 0, inbound: None, outbound: None }
    }

    /// Takes keys into use; false when the algorithms are not ones we can play.
    pub(super) fn encrypt(&mut self, algorithms: &Algorithms, agreed: &Agreed) -> Result<bool, ErrorStack> {
        let side =
            |cipher: &str, mac: &str, letters: [u8; 3], mode| -> Result<Option<Protection>, ErrorStack> {
                let (cipher, digest) = match (ctr(cipher), hmac(mac)) {
                    (Some(cipher), Some(digest)) => (cipher, digest),
                    _ => return Ok(None),
                };
                let iv = agreed.derive(letters[0], 16)?;
                let key = agreed.derive(letters[1], cipher.key_len())?;
                let mac = PKey::hmac(&agreed.derive(letters[2], digest.size())?)?;
                Ok(Some(Protection { cipher: Crypter::new(cipher, mode, &key, Some(&iv))?, mac, digest }))
            };
        self.inbound = side(&algorithms.cipher_in, &algorithms.mac_in, *b"ACE", Mode::Decrypt)?;
        self.outbound = side(&algorithms.cipher_out, &algorithms.mac_out, *b"BDF", Mode::Encrypt)?;
        Ok(self.inbound.is_some() && self.outbound.is_some())
    }

    pub(super) async fn send(&mut self, payload: &[u8]) -> io::Result<()> {
        let block = if self.outbound.is_some() { 16 } else { 8 };
        let mut padding = block - (5 + payload.len()) % block;
        if padding < 4 {
            padding += block;
        }
        let length = 1 + payload.len() + padding;
        let mut packet = u32::try_from(length).map_err(io::Error::other)?.to_be_bytes().to_vec();
        packet.push(u8::try_from(padding).expect("below 20"));
        packet.extend_from_slice(payload);
        packet.resize(4 + length, 0);
        if let Some(protection) = &mut self.outbound {
            let tag = protection.tag(self.sent, &packet)?;
            packet = protection.apply(&packet)?;
            packet.extend(tag);
        }
        self.sent = self.sent.wrapping_add(1);
        self.stream.write_all(&packet).await
    }

    /// The next payload; `None` when it ends early or is not a packet.
    pub(super) async fn receive(&mut self) -> io::Result<Option<Vec<u8>>> {
        let block = if self.inbound.is_some() { 16 } else { 8 };
        let mut packet = vec![0; block];
        if self.stream.read_exact(&mut packet).await.is_err() {
            return Ok(None);
        }
        if let Some(protection) = &mut self.inbound {
            packet = protection.apply(&packet)?;
        }
        let length = u32::from_be_bytes([packet[0], packet[1], packet[2], packet[3]]) as usize;
        if length + 4 < block || length > PACKET_BYTES_MAX || !(length + 4).is_multiple_of(block) {
            return Ok(None);
        }
        let mut rest = vec![0; length + 4 - block];
        self.stream.read_exact(&mut rest).await?;
        if let Some(protection) = &mut self.inbound {
            rest = protection.apply(&rest)?;
        }
        packet.extend(rest);
        if let Some(protection) = &self.inbound {
            let mut tag = vec![0; protection.digest.size()];
            self.stream.read_exact(&mut tag).await?;
            let expected = protection.tag(self.received, &packet)?;
            if !memcmp::eq(&tag, &expected) {
                return Ok(None);
            }
        }
        self.received = self.received.wrapping_add(1);
        let padding = usize::from(packet[4]);
        if padding + 1 > length {
            return Ok(None);
        }
        Ok(Some(packet[5..4 + length - padding].to_vec()))
    }
}

impl Protection {
    fn apply(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = vec![0; bytes.len() + 16];
        let written = self.cipher.update(bytes, &mut out)?;
        out.truncate(written);
        Ok(out)
    }

    fn tag(&self, sequence: u32, packet: &[u8]) -> io::Result<Vec<u8>> {
        let mut signer = Signer::new(self.digest, &self.mac)?;
        signer.update(&sequence.to_be_bytes())?;
        signer.update(packet)?;
        Ok(signer.sign_to_vec()?)
    }
}

fn ctr(name: &str) -> Option<Cipher> {
    match name {
        "aes128-ctr" => Some(Cipher::aes_128_ctr()),
        "aes192-ctr" => Some(Cipher::aes_192_ctr()),
        "aes256-ctr" => Some(Cipher::aes_256_ctr()),
        _ => None,
    }
}

fn hmac(name: &str) -> Option<MessageDigest> {
    match name {
        "hmac-sha1" => Some(MessageDigest::sha1()),
        "hmac-sha2-256" => Some(MessageDigest::sha256()),
        "hmac-sha2-512" => Some(MessageDigest::sha512()),
        _ => None,
    }
}

/// Appends a string with its length.
pub(super) fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(u32::try_from(bytes.len()).expect("a short string").to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Reads fields of a payload.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn number(&mut self) -> Option<u32> {
        let (head, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*head))
    }

    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        let length = self.number()? as usize;
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }
}
