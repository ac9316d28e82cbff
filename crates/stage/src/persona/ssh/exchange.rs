//! Agreement on algorithms and the key exchange from the server's side (RFC 4253 §7 and §8,
//! RFC 5656, RFC 8731).

use ed25519_dalek::{Signer as _, SigningKey};
use openssl::bn::{BigNum, BigNumContext};
use openssl::derive::Deriver;
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::hash::{MessageDigest, hash};
use openssl::pkey::{Id, PKey, Private};
use openssl::sign::Signer;

use super::packet::{Reader, put_string};
use super::profile::Profile;
use crate::key::{self, KeyRing};
use crate::persona::Part;

const KEXDH_INIT: u8 = 30;
const KEXDH_REPLY: u8 = 31;

/// What both sides' lists lead to: always the visitor's first that the device has too.
pub(super) struct Algorithms {
    pub(super) kex: String,
    pub(super) host_key: String,
    pub(super) cipher_in: String,
    pub(super) cipher_out: String,
    pub(super) mac_in: String,
    pub(super) mac_out: String,
}

impl Algorithms {
    /// `None` when nothing fits or the visitor's list is malformed.
    pub(super) fn agree(server: &[u8], client: &[u8]) -> Option<Self> {
        let (server, client) = (lists(server)?, lists(client)?);
        let first = |index: usize| -> Option<String> {
            let mine: Vec<&str> = server[index].split(',').collect();
            client[index].split(',').find(|name| mine.contains(name)).map(str::to_owned)
        };
        Some(Self {
            kex: first(0)?,
            host_key: first(1)?,
            cipher_in: first(2)?,
            cipher_out: first(3)?,
            mac_in: first(4)?,
            mac_out: first(5)?,
        })
    }
}

/// The ten name lists of a KEXINIT.
fn lists(payload: &[u8]) -> Option<Vec<String>> {
    let mut reader = Reader::new(payload.get(17..)?);
    (0..10).map(|_| reader.string().map(|s| String::from_utf8_lossy(s).into_owned())).collect()
}

/// A device's host key.
pub(in crate::persona) struct HostKey {
    blob: Vec<u8>,
    secret: Secret,
}

enum Secret {
    Ed25519(Box<SigningKey>),
    OpenSsl(PKey<Private>),
}

impl HostKey {
    pub(super) fn make(part: &Part, profile: &Profile, ring: &KeyRing) -> Result<Self, ErrorStack> {
        let mut blob = Vec::new();
        let secret = match profile.host_keys.as_str() {
            "ssh-ed25519" => {
                let key = SigningKey::from_bytes(&part.key_seed("ssh"));
                put_string(&mut blob, b"ssh-ed25519");
                put_string(&mut blob, key.verifying_key().as_bytes());
                Secret::Ed25519(Box::new(key))
            }
            "ecdsa-sha2-nistp256" => {
                let key = key::p256(part.key_seed("ssh"))?;
                let mut context = BigNumContext::new()?;
                let form = openssl::ec::PointConversionForm::UNCOMPRESSED;
                let point = key.public_key().to_bytes(key.group(), form, &mut context)?;
                put_string(&mut blob, b"ecdsa-sha2-nistp256");
                put_string(&mut blob, b"nistp256");
                put_string(&mut blob, &point);
                Secret::OpenSsl(PKey::from_ec_key(key)?)
            }
            _ => {
                let key = ring.rsa(part.key_seed("ssh"), profile.rsa_bits)?;
                let rsa = key.rsa()?;
                put_string(&mut blob, b"ssh-rsa");
                put_number(&mut blob, &rsa.e().to_vec());
                put_number(&mut blob, &rsa.n().to_vec());
                Secret::OpenSsl(key)
            }
        };
        Ok(Self { blob, secret })
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Result<Vec<u8>, ErrorStack> {
        let raw = match &self.secret {
            Secret::Ed25519(key) => key.sign(message).to_bytes().to_vec(),
            Secret::OpenSsl(key) => {
                let digest = match algorithm {
                    "ssh-rsa" => MessageDigest::sha1(),
                    "rsa-sha2-512" => MessageDigest::sha512(),
                    _ => MessageDigest::sha256(),
                };
                let mut signer = Signer::new(digest, key)?;
                signer.update(message)?;
                let der = signer.sign_to_vec()?;
                match key.id() {
                    Id::EC => {
                        let signature = EcdsaSig::from_der(&der)?;
                        let mut parts = Vec::new();
                        put_number(&mut parts, &signature.r().to_vec());
                        put_number(&mut parts, &signature.s().to_vec());
                        parts
                    }
                    _ => der,
                }
            }
        };
        let mut signature = Vec::new();
        put_string(&mut signature, algorithm.as_bytes());
        put_string(&mut signature, &raw);
        Ok(signature)
    }
}

/// What was said before the exchange; it goes into the exchange hash.
pub(super) struct Greeting<'a> {
    pub(super) client: &'a [u8],
    pub(super) server: &'a [u8],
    pub(super) client_kexinit: &'a [u8],
    pub(super) server_kexinit: &'a [u8],
}

/// The reply to send and the secret to derive keys from.
pub(super) struct Agreed {
    pub(super) reply: Vec<u8>,
    /// Shared secret, encoded as the hash wants it.
    secret: Vec<u8>,
    exchange_hash: Vec<u8>,
    digest: MessageDigest,
}

impl Agreed {
    /// RFC 4253 §7.2.
    pub(super) fn derive(&self, letter: u8, length: usize) -> Result<Vec<u8>, ErrorStack> {
        let head = [self.secret.as_slice(), &self.exchange_hash].concat();
        let first = [head.as_slice(), &[letter], &self.exchange_hash].concat();
        let mut key = hash(self.digest, &first)?.to_vec();
        while key.len() < length {
            key = [key.as_slice(), &hash(self.digest, &[head.as_slice(), &key].concat())?].concat();
        }
        key.truncate(length);
        Ok(key)
    }
}

/// Answers the visitor's half of the exchange; `None` when it makes no sense or is a method that
/// the persona does not play.
pub(super) fn answer(
    algorithms: &Algorithms,
    greeting: &Greeting<'_>,
    question: &[u8],
    host_key: &HostKey,
    part: &Part,
) -> Result<Option<Agreed>, ErrorStack> {
    let Some((&KEXDH_INIT, fields)) = question.split_first() else { return Ok(None) };
    let Some(theirs) = Reader::new(fields).string() else { return Ok(None) };
    let half = match algorithms.kex.as_str() {
        "curve25519-sha256" | "curve25519-sha256@libssh.org" => curve25519(theirs, part)?,
        "diffie-hellman-group14-sha1" => group14(theirs, part, MessageDigest::sha1())?,
        "diffie-hellman-group14-sha256" => group14(theirs, part, MessageDigest::sha256())?,
        _ => None,
    };
    let Some(half) = half else { return Ok(None) };
    let mut transcript = Vec::new();
    for bytes in
        [greeting.client, greeting.server, greeting.client_kexinit, greeting.server_kexinit, &host_key.blob]
    {
        put_string(&mut transcript, bytes);
    }
    transcript.extend_from_slice(&half.exchanged);
    transcript.extend_from_slice(&half.secret);
    let exchange_hash = hash(half.digest, &transcript)?.to_vec();
    let mut reply = vec![KEXDH_REPLY];
    put_string(&mut reply, &host_key.blob);
    reply.extend_from_slice(&half.public);
    put_string(&mut reply, &host_key.sign(&algorithms.host_key, &exchange_hash)?);
    Ok(Some(Agreed { reply, secret: half.secret, exchange_hash, digest: half.digest }))
}

struct Half {
    /// Our public value, encoded.
    public: Vec<u8>,
    /// Both public values, encoded, the visitor's first.
    exchanged: Vec<u8>,
    secret: Vec<u8>,
    digest: MessageDigest,
}

fn curve25519(theirs: &[u8], part: &Part) -> Result<Option<Half>, ErrorStack> {
    let Ok(peer) = PKey::public_key_from_raw_bytes(theirs, Id::X25519) else { return Ok(None) };
    let ours = PKey::private_key_from_raw_bytes(&part.key_seed("kex"), Id::X25519)?;
    let mut deriver = Deriver::new(&ours)?;
    deriver.set_peer(&peer)?;
    let Ok(shared) = deriver.derive_to_vec() else { return Ok(None) };
    let (mut public, mut exchanged, mut secret) = (Vec::new(), Vec::new(), Vec::new());
    put_string(&mut public, &ours.raw_public_key()?);
    put_string(&mut exchanged, theirs);
    exchanged.extend_from_slice(&public);
    put_number(&mut secret, &shared);
    Ok(Some(Half { public, exchanged, secret, digest: MessageDigest::sha256() }))
}

fn group14(theirs: &[u8], part: &Part, digest: MessageDigest) -> Result<Option<Half>, ErrorStack> {
    let prime = BigNum::get_rfc3526_prime_2048()?;
    let peer = BigNum::from_slice(theirs)?;
    if peer.num_bits() < 2 || peer >= prime {
        return Ok(None);
    }
    let mut context = BigNumContext::new()?;
    let exponent = BigNum::from_slice(&part.key_seed("kex"))?;
    let generator = BigNum::from_u32(2)?;
    let (mut ours, mut shared) = (BigNum::new()?, BigNum::new()?);
    ours.mod_exp(&generator, &exponent, &prime, &mut context)?;
    shared.mod_exp(&peer, &exponent, &prime, &mut context)?;
    let (mut public, mut exchanged, mut secret) = (Vec::new(), Vec::new(), Vec::new());
    put_number(&mut public, &ours.to_vec());
    put_string(&mut exchanged, theirs);
    exchanged.extend_from_slice(&public);
    put_number(&mut secret, &shared.to_vec());
    Ok(Some(Half { public, exchanged, secret, digest }))
}

/// Appends a positive number as `mpint`.
fn put_number(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = bytes.iter().position(|b| *b != 0).unwrap_or(bytes.len());
    let mut number = bytes[start..].to_vec();
    if number.first().is_some_and(|b| b & 0x80 != 0) {
        number.insert(0, 0);
    }
    put_string(out, &number);
}
