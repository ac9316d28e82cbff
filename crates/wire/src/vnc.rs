//! VNC's remote framebuffer (RFC 6143 §7.1): versions and security types. The server speaks first
//! and names its version; we answer with one that both know; it lists how it would authenticate us,
//! and we leave. No security type is ever chosen.

use crate::Answer;
use crate::answer::{begins, frame};
use crate::charset;
use crate::reader::Reader;

/// Bytes of a version line.
const VERSION_BYTES: usize = 12;

/// Longest reason of a refusal that is read, in bytes.
const REASON_BYTES_MAX: usize = 1024;

/// Security type 1: nobody is asked for anything.
pub const SECURITY_NONE: u8 = 1;

/// A protocol version, such as 3.8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Before the point.
    pub major: u16,
    /// After it. Apple's servers say 3.889.
    pub minor: u16,
}

impl Version {
    /// The line to answer with: 3.3 to servers that know no list of security types, otherwise 3.7
    /// or 3.8.
    pub fn reply(self) -> &'static [u8; VERSION_BYTES] {
        match (self.major, self.minor) {
            (..=2, _) | (3, ..=6) => b"RFB 003.003\n",
            (3, 7) => b"RFB 003.007\n",
            _ => b"RFB 003.008\n",
        }
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Reads the version line `RFB 003.008` at the start of `bytes`.
pub fn version(bytes: &[u8]) -> Answer<Version> {
    if !begins(bytes, b"RFB ") {
        return Answer::Other;
    }
    frame(bytes, VERSION_BYTES).read(|line| {
        let number = |range| std::str::from_utf8(line.get(range)?).ok()?.parse().ok();
        let digits = line[4..7].iter().chain(&line[8..11]).all(u8::is_ascii_digit);
        if !digits || line[7] != b'.' || line[11] != b'\n' {
            return None;
        }
        Some(Version { major: number(4..7)?, minor: number(8..11)? })
    })
}

/// How a server would authenticate us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Security {
    /// Security types in the server's order; see [`security_name`].
    pub types: Vec<u8>,
    /// Why it refuses the connection, when it offers none.
    pub refusal: Option<String>,
}

impl Security {
    /// False when it lets in whoever comes; `None` when it refused before saying.
    pub fn authentication_required(&self) -> Option<bool> {
        (!self.types.is_empty()).then(|| !self.types.contains(&SECURITY_NONE))
    }
}

/// Reads what follows the server's version line after `version`'s reply was said: a list, or from
/// servers older than 3.7 one type.
pub fn security(version: Version, bytes: &[u8]) -> Answer<Security> {
    if version.reply() == b"RFB 003.003\n" {
        return match Reader::new(bytes).u32() {
            None => Answer::More,
            Some(0) => refusal(&bytes[4..]),
            Some(kind) => match u8::try_from(kind) {
                Ok(kind) => Answer::Whole(Security { types: vec![kind], refusal: None }),
                Err(_) => Answer::Other,
            },
        };
    }
    match bytes.split_first() {
        None => Answer::More,
        Some((0, rest)) => refusal(rest),
        Some((&count, rest)) => {
            frame(rest, count.into()).read(|types| Some(Security { types: types.to_vec(), refusal: None }))
        }
    }
}

fn refusal(bytes: &[u8]) -> Answer<Security> {
    let Some(len) = Reader::new(bytes).u32() else { return Answer::More };
    match usize::try_from(len) {
        Ok(len) if len <= REASON_BYTES_MAX => frame(bytes, 4 + len).read(|reason| {
            Some(Security { types: Vec::new(), refusal: Some(charset::decode(&reason[4..], None)) })
        }),
        _ => Answer::Other,
    }
}

/// Name of a security type, after IANA's registry.
pub const fn security_name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        1 => "none",
        2 => "vnc",
        5 => "ra2",
        6 => "ra2ne",
        13 => "rsa-aes-256",
        16 => "tight",
        17 => "ultra",
        18 => "tls",
        19 => "vencrypt",
        20 => "sasl",
        21 => "md5",
        22 => "xvp",
        23 => "secure-tunnel",
        24 => "integrated-ssh",
        30 => "apple-diffie-hellman",
        35 => "apple-login",
        113 => "ultra-mslogon-2",
        129 => "ra2-256",
        130 => "ra2ne-256",
        _ => return None,
    })
}
