//! Tickets and handles: a statement, sealed for the session in which it was planned.
//!
//! The seal lets nobody in: whoever comes with a ticket is authenticated and authorised as with any other
//! call, and rows are those that they may see. It proves that the statement is the one that was planned, and
//! that the same session asks. Nothing is kept, so that another hub on the same database takes it too.

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Version of the form: version, seal, statement.
const VERSION: u8 = 1;
/// What the seal is about, so that it stands for nothing else.
const PURPOSE: &[u8] = b"kenshin flight statement 1\0";
/// Bytes of the seal.
const SEAL: usize = 32;

/// Seals a statement with a session's token.
pub(crate) fn seal(statement: &str, token: &str) -> Vec<u8> {
    let seal = under(statement, token).finalize().into_bytes();
    [&[VERSION], seal.as_slice(), statement.as_bytes()].concat()
}

/// The statement, when it was sealed with this token.
pub(crate) fn open(sealed: &[u8], token: &str) -> Option<String> {
    let (seal, statement) = sealed.strip_prefix(&[VERSION])?.split_at_checked(SEAL)?;
    let statement = std::str::from_utf8(statement).ok()?;
    under(statement, token).verify_slice(seal).ok()?;
    Some(statement.to_owned())
}

fn under(statement: &str, token: &str) -> Hmac<Sha256> {
    let mac = Hmac::<Sha256>::new_from_slice(token.as_bytes()).expect("a key may have any length");
    mac.chain_update(PURPOSE).chain_update(statement)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_is_of_one_statement_and_one_session() {
        let sealed = seal("SELECT '検診'", "token");
        assert_eq!(open(&sealed, "token").as_deref(), Some("SELECT '検診'"));
        assert_eq!(open(&sealed, "another"), None);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(open(&changed, "token"), None, "byte {at}");
            assert_eq!(open(&sealed[..at], "token"), None, "cut at {at}");
        }
    }
}
