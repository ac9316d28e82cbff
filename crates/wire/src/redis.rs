//! Redis and what descends from it (RESP 2): PING and `INFO server`. Both are commands to a data
//! store that may be open to everybody; no key is ever touched.

use crate::Answer;
use crate::answer::{begins, frame, line};
use crate::charset;

/// PING.
pub const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";

/// `INFO server`.
pub const INFO: &[u8] = b"*2\r\n$4\r\nINFO\r\n$6\r\nserver\r\n";

/// Longest bulk string read.
const BULK_BYTES_MAX: usize = 16 * 1024;

/// Longest line read.
const LINE_BYTES_MAX: usize = 1024;

/// How a server answered to [`PING`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It answers whoever asks.
    Open,
    /// It wants a password first.
    PasswordRequired,
    /// Protected mode: it answers to its own machine only.
    Protected,
}

/// Beginnings of errors by which a Redis is known, with what they say about access.
const ERRORS: [(&str, Access); 10] = [
    ("NOAUTH", Access::PasswordRequired),
    ("ERR operation not permitted", Access::PasswordRequired), // before 2.8
    ("NOPERM", Access::PasswordRequired),
    ("DENIED Redis is running in protected mode", Access::Protected),
    ("DENIED", Access::Protected),
    ("LOADING", Access::Open),
    ("MASTERDOWN", Access::Open),
    ("MISCONF", Access::Open),
    ("BUSY Redis is busy", Access::Open),
    ("READONLY", Access::Open),
];

/// Reads the answer to [`PING`] at the start of `bytes`, and how many bytes it took.
pub fn ping(bytes: &[u8]) -> Answer<(Access, usize)> {
    if !begins(bytes, b"+PONG") && !begins(bytes, b"-") {
        return Answer::Other;
    }
    line(bytes, LINE_BYTES_MAX).read(|(line, consumed)| {
        let access = match line.split_first()? {
            (b'+', _) if line == b"+PONG" => Access::Open,
            (b'-', text) => ERRORS.iter().find(|(begin, _)| text.starts_with(begin.as_bytes()))?.1,
            _ => return None,
        };
        Some((access, consumed))
    })
}

/// What `INFO server` tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Info {
    /// `redis`, or the name a descendant gives itself (`valkey`).
    pub name: String,
    /// Version, of the descendant where it has its own.
    pub version: String,
    /// `standalone`, `cluster` or `sentinel`.
    pub mode: Option<String>,
    /// Operating system and architecture.
    pub system: Option<String>,
}

/// Reads the answer to [`INFO`] at the start of `bytes`; `None` inside when it is an error.
pub fn info(bytes: &[u8]) -> Answer<Option<Info>> {
    match bytes.first() {
        None => return Answer::More,
        Some(b'-') => return line(bytes, LINE_BYTES_MAX).read(|_| Some(None)),
        Some(b'$') => {}
        Some(_) => return Answer::Other,
    }
    let (head, consumed) = match line(bytes, 16) {
        Answer::Whole(head) => head,
        Answer::More => return Answer::More,
        Answer::Other => return Answer::Other,
    };
    let len = std::str::from_utf8(&head[1..]).ok().and_then(|digits| digits.parse::<usize>().ok());
    match len {
        Some(len) if len <= BULK_BYTES_MAX => {
            frame(&bytes[consumed..], len).read(|bulk| Some(Some(section(bulk)?)))
        }
        _ => Answer::Other,
    }
}

fn section(bulk: &[u8]) -> Option<Info> {
    let value = |name: &[u8]| {
        bulk.split(|&byte| byte == b'\n')
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(b":"))
            .map(charset::field)
            .filter(|value| !value.is_empty())
    };
    let name = value(b"server_name").unwrap_or_else(|| "redis".to_owned());
    let own_version = format!("{name}_version");
    let version = value(own_version.as_bytes()).or_else(|| value(b"redis_version"))?;
    Some(Info {
        name,
        version,
        mode: value(b"redis_mode").or_else(|| value(b"server_mode")),
        system: value(b"os"),
    })
}
