//! The conversation that ends with a host key.

use super::packet::{KexInit, decode_packet, encode_packet};
use super::{HostKey, SshError, hassh_server, host_key, identification};
use crate::reader::Reader;

/// Most bytes buffered: a prelude, an identification and two packets of the largest size.
const BUFFER_BYTES_MAX: usize = 80_000;

/// Most packets read, the ignorable ones included.
const PACKETS_MAX: u32 = 32;

const DISCONNECT: u8 = 1;
const IGNORE: u8 = 2;
const UNIMPLEMENTED: u8 = 3;
const DEBUG: u8 = 4;
const EXT_INFO: u8 = 7;
const NEWKEYS: u8 = 21;
const KEX_INIT: u8 = 30;
const KEX_REPLY: u8 = 31;
const GEX_INIT: u8 = 32;
const GEX_REPLY: u8 = 33;
const GEX_REQUEST: u8 = 34;

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send these bytes (perhaps none) and read on.
    Continue(Vec<u8>),
    /// The host key was shown: send these last bytes and close.
    Done(Vec<u8>),
}

/// Everything learned, complete or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exchanged {
    /// The server's identification line.
    pub identification: Option<Vec<u8>>,
    /// The server's algorithm lists.
    pub lists: Option<KexInit>,
    /// HASSH of those lists.
    pub hassh_server: Option<String>,
    /// The host key shown.
    pub host_key: Option<HostKey>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Identification,
    KexInit,
    /// Waiting for the reply; `dropping` a packet the server guessed wrongly.
    Reply {
        method: Method,
        dropping: bool,
    },
    Group {
        dropping: bool,
    },
    Done,
}

/// Key exchange methods we can begin, best first. The order is fixed so that a server with several
/// host keys shows the same one every time.
const METHODS: [(&str, Method); 14] = [
    ("curve25519-sha256", Method::Curve25519),
    ("curve25519-sha256@libssh.org", Method::Curve25519),
    ("ecdh-sha2-nistp256", Method::P256),
    ("ecdh-sha2-nistp384", Method::P384),
    ("ecdh-sha2-nistp521", Method::P521),
    ("diffie-hellman-group14-sha256", Method::Group),
    ("diffie-hellman-group16-sha512", Method::Group),
    ("diffie-hellman-group18-sha512", Method::Group),
    ("diffie-hellman-group15-sha512", Method::Group),
    ("diffie-hellman-group14-sha1", Method::Group),
    ("diffie-hellman-group-exchange-sha256", Method::GroupExchange),
    ("diffie-hellman-group-exchange-sha1", Method::GroupExchange),
    ("diffie-hellman-group1-sha1", Method::Group),
    ("diffie-hellman-group17-sha512", Method::Group),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Curve25519,
    P256,
    P384,
    P521,
    Group,
    GroupExchange,
}

/// Asks an SSH server for its identification, lists and host key.
#[derive(Debug)]
pub struct HostKeyExchange {
    state: State,
    buffer: Vec<u8>,
    packets: u32,
    ours: Vec<u8>,
    learned: Exchanged,
}

impl HostKeyExchange {
    /// A conversation in which we call ourselves `SSH-2.0-{software} {comment}`. Bytes that may not
    /// stand in an identification are left out.
    pub fn new(software: &str, comment: &str) -> Self {
        let clean = |text: &str, space: bool| -> String {
            text.chars().filter(|c| c.is_ascii_graphic() || (space && *c == ' ')).take(100).collect()
        };
        let software = clean(software, false).replace('-', "_");
        let mut ours = format!("SSH-2.0-{software}");
        let comment = clean(comment, true);
        if !comment.is_empty() {
            ours.push(' ');
            ours.push_str(&comment);
        }
        ours.push_str("\r\n");
        Self {
            state: State::Identification,
            buffer: Vec::new(),
            packets: 0,
            ours: ours.into_bytes(),
            learned: Exchanged::default(),
        }
    }

    /// What was learned so far.
    pub const fn learned(&self) -> &Exchanged {
        &self.learned
    }

    /// What was learned, when the conversation is over for any reason.
    pub fn into_learned(self) -> Exchanged {
        self.learned
    }

    /// Takes the bytes that arrived. After an error the conversation is over.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Step, SshError> {
        if self.buffer.len() + bytes.len() > BUFFER_BYTES_MAX {
            return Err(SshError::Packet);
        }
        self.buffer.extend_from_slice(bytes);
        let mut out = Vec::new();
        if self.state == State::Identification {
            let Some(found) = identification(&self.buffer)? else { return Ok(Step::Continue(out)) };
            self.buffer.drain(..found.consumed);
            let speaks_2 = found.line.starts_with(b"SSH-2.") || found.line.starts_with(b"SSH-1.99");
            self.learned.identification = Some(found.line);
            if !speaks_2 {
                self.state = State::Done;
                return Ok(Step::Done(out));
            }
            out.extend_from_slice(&self.ours);
            out.extend_from_slice(&encode_packet(&our_lists().encode(*b"kenshin-probe-01")));
            self.state = State::KexInit;
        }
        loop {
            if self.state == State::Done {
                return Ok(Step::Done(out));
            }
            let Some(packet) = decode_packet(&self.buffer)? else { return Ok(Step::Continue(out)) };
            self.packets += 1;
            if self.packets > PACKETS_MAX {
                return Err(SshError::Packet);
            }
            let (payload, consumed) = (packet.payload.to_vec(), packet.consumed);
            self.buffer.drain(..consumed);
            self.take(&payload, &mut out)?;
        }
    }

    fn take(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), SshError> {
        let message = payload[0];
        match (self.state, message) {
            (_, IGNORE | UNIMPLEMENTED | DEBUG | EXT_INFO | NEWKEYS) => {}
            (_, DISCONNECT) => return Err(SshError::Disconnected),
            (State::KexInit, KexInit::MESSAGE) => {
                let lists = KexInit::decode(payload)?;
                let chosen = METHODS.iter().find(|(name, _)| lists.kex.iter().any(|theirs| theirs == name));
                let follows = lists.first_kex_packet_follows;
                // A guess is right only when both first choices agree.
                let guessed_right = lists.kex.first().map(String::as_str) == Some(METHODS[0].0)
                    && lists.host_key.first().map(String::as_str) == Some(HOST_KEYS[0]);
                self.learned.lists = Some(lists);
                self.learned.hassh_server = hassh_server(payload).ok();
                let &(_, method) = chosen.ok_or(SshError::NoCommonMethod)?;
                let dropping = follows && !guessed_right;
                out.extend_from_slice(&encode_packet(&opening(method)));
                self.state = match method {
                    Method::GroupExchange => State::Group { dropping },
                    _ => State::Reply { method, dropping },
                };
            }
            (State::Reply { method, dropping: true }, 30..=34) => {
                self.state = State::Reply { method, dropping: false };
            }
            (State::Group { dropping: true }, 30..=34) => self.state = State::Group { dropping: false },
            (State::Group { dropping: false }, KEX_REPLY) => {
                let mut public = vec![GEX_INIT];
                put_string(&mut public, &group_public());
                out.extend_from_slice(&encode_packet(&public));
                self.state = State::Reply { method: Method::GroupExchange, dropping: false };
            }
            (State::Reply { method, dropping: false }, KEX_REPLY | GEX_REPLY)
                if (message == GEX_REPLY) == (method == Method::GroupExchange) =>
            {
                let blob = Reader::new(&payload[1..]).string().ok_or(SshError::Reply)?;
                self.learned.host_key = Some(host_key(blob)?);
                out.extend_from_slice(&encode_packet(&goodbye()));
                self.state = State::Done;
            }
            _ => return Err(SshError::Unexpected(message)),
        }
        Ok(())
    }
}

const HOST_KEYS: [&str; 8] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
    "ssh-rsa",
    "ssh-dss",
];

/// Everything a server of the last twenty years may agree to: nothing is encrypted with it.
fn our_lists() -> KexInit {
    let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let ciphers = list(&[
        "aes128-ctr",
        "aes256-ctr",
        "aes192-ctr",
        "chacha20-poly1305@openssh.com",
        "aes128-gcm@openssh.com",
        "aes256-gcm@openssh.com",
        "aes128-cbc",
        "aes256-cbc",
        "3des-cbc",
        "blowfish-cbc",
        "arcfour",
    ]);
    let macs = list(&[
        "hmac-sha2-256",
        "hmac-sha2-512",
        "hmac-sha1",
        "hmac-sha2-256-etm@openssh.com",
        "hmac-sha2-512-etm@openssh.com",
        "umac-64@openssh.com",
        "umac-128@openssh.com",
        "hmac-md5",
        "hmac-sha1-96",
        "hmac-md5-96",
    ]);
    let compression = list(&["none", "zlib@openssh.com", "zlib"]);
    KexInit {
        kex: METHODS.iter().map(|&(name, _)| name.to_owned()).collect(),
        host_key: list(&HOST_KEYS),
        ciphers_client_to_server: ciphers.clone(),
        ciphers_server_to_client: ciphers,
        macs_client_to_server: macs.clone(),
        macs_server_to_client: macs,
        compression_client_to_server: compression.clone(),
        compression_server_to_client: compression,
        first_kex_packet_follows: false,
    }
}

/// The first message of a method. The public values are the generators themselves (that is, a
/// private key of one) or, in prime groups, an even power of three: valid to every server.
fn opening(method: Method) -> Vec<u8> {
    let point = match method {
        Method::GroupExchange => {
            let mut out = vec![GEX_REQUEST];
            for bits in [1024_u32, 2048, 8192] {
                out.extend_from_slice(&bits.to_be_bytes());
            }
            return out;
        }
        Method::Curve25519 => {
            let mut base = vec![0; 32];
            base[0] = 9;
            base
        }
        Method::P256 => generator(P256),
        Method::P384 => generator(P384),
        Method::P521 => generator(P521),
        Method::Group => group_public(),
    };
    let mut out = vec![KEX_INIT];
    put_string(&mut out, &point);
    out
}

/// SSH_MSG_DISCONNECT, by application.
fn goodbye() -> Vec<u8> {
    let mut out = vec![DISCONNECT, 0, 0, 0, 11];
    put_string(&mut out, b"thank you");
    put_string(&mut out, b"");
    out
}

fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// 3^600, 951 bits, as a positive mpint: a square, so in the right subgroup of every safe prime
/// group, and smaller than the smallest prime used.
fn group_public() -> Vec<u8> {
    let mut limbs = vec![1_u32];
    for _ in 0..600 {
        let mut carry = 0_u64;
        for limb in &mut limbs {
            let product = u64::from(*limb) * 3 + carry;
            *limb = product as u32;
            carry = product >> 32;
        }
        if carry > 0 {
            limbs.push(carry as u32);
        }
    }
    let bytes = limbs.iter().rev().flat_map(|limb| limb.to_be_bytes());
    let mut out: Vec<u8> = bytes.skip_while(|&byte| byte == 0).collect();
    if out[0] & 0x80 != 0 {
        out.insert(0, 0);
    }
    out
}

/// Base points of the NIST curves (SEC 2), uncompressed, without the leading 4.
const P256: &str = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296\
                    4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
const P384: &str = "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7\
                    3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f";
const P521: &str = "00c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d3dbaa14b5e77efe75928fe1dc127a2ffa8de3348b3c1856a429bf97e7e31c2e5bd66\
                    011839296a789a3bc0045c8a5fb42c7d1bd998f54449579b446817afbd17273e662c97ee72995ef42640c550b9013fad0761353c7086a272c24088be94769fd16650";

fn generator(coordinates: &str) -> Vec<u8> {
    let mut out = vec![4];
    out.extend(hex::decode(coordinates).expect("the constants above are hexadecimal"));
    out
}
