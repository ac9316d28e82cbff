//! memcached (`doc/protocol.txt` of its source): the command `version` over TCP, and nothing that
//! would read or write an item.

use crate::Answer;
use crate::answer::{begins, line};
use crate::charset;

/// The command.
pub const VERSION: &[u8] = b"version\r\n";

/// Longest line read.
const LINE_BYTES_MAX: usize = 256;

/// What a server answered to [`VERSION`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Versioned {
    /// Its version.
    Version(String),
    /// It wants a user name and a password first.
    AuthenticationRequired,
}

/// Reads the answer at the start of `bytes`.
pub fn answer(bytes: &[u8]) -> Answer<Versioned> {
    if !begins(bytes, b"VERSION ") && !begins(bytes, b"CLIENT_ERROR unauthenticated") {
        return Answer::Other;
    }
    line(bytes, LINE_BYTES_MAX).read(|(line, _)| match line.strip_prefix(b"VERSION ") {
        Some(version) => Some(Versioned::Version(charset::field(version))).filter(|_| !version.is_empty()),
        None => (line == b"CLIENT_ERROR unauthenticated").then_some(Versioned::AuthenticationRequired),
    })
}
