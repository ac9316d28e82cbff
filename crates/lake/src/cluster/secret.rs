//! The secret of a cluster, and how it is proved to be known.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::ClusterError;

/// Bytes that a secret has at least: whoever stands between two processes gets one proof of it, and must not
/// find it by trying.
const LEAST: usize = 32;
/// Bytes that are read of one at most.
const MOST: usize = 4_096;

/// Which end of a connection proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Whoever asks: the hub, or a worker that needs rows of another.
    Asks,
    /// Whoever answers.
    Answers,
}

/// What the processes of a cluster know and nobody else.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// Reads a secret from a file that its owner alone may read: at least 32 bytes drawn at random, such as
    /// those of `openssl rand -hex 32`. White space around them is no part of it.
    pub fn read(path: &Path) -> Result<Self, ClusterError> {
        let failed = |source| ClusterError::Read { path: path.to_owned(), source };
        let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(ClusterError::Readable { path: path.to_owned() });
        }
        let read = std::fs::read(path).map_err(failed)?;
        let secret = read[..read.len().min(MOST)].trim_ascii();
        if secret.len() < LEAST {
            return Err(ClusterError::Short { path: path.to_owned(), bytes: secret.len(), least: LEAST });
        }
        Ok(Self(secret.to_vec()))
    }

    /// A proof for one connection: `binding` is its channel binding (RFC 9266), which no other connection
    /// has, so that a proof is worth nothing anywhere else.
    pub(super) fn proof(&self, end: End, binding: &[u8; 32]) -> [u8; 32] {
        self.mac(end, binding).finalize().into_bytes().into()
    }

    /// True when `proof` is that of the `end` of the connection; takes as long either way.
    pub(super) fn proves(&self, end: End, binding: &[u8; 32], proof: &[u8; 32]) -> bool {
        self.mac(end, binding).verify_slice(proof).is_ok()
    }

    fn mac(&self, end: End, binding: &[u8; 32]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(match end {
            End::Asks => b"kenshin cluster: asks",
            End::Answers => b"kenshin cluster: answers",
        });
        mac.update(binding);
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str, mode: u32) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        file
    }

    #[test]
    fn a_secret_is_long_and_its_owners_alone() {
        let long = "0123456789abcdef0123456789abcdef";
        assert!(Secret::read(file(&format!("{long}\n"), 0o400).path()).is_ok());
        let read = |text: &str, mode| Secret::read(file(text, mode).path()).unwrap_err();
        assert!(matches!(read(long, 0o640), ClusterError::Readable { .. }));
        assert!(matches!(read(&long[1..], 0o600), ClusterError::Short { bytes: 31, .. }));
        assert!(matches!(read(&" ".repeat(40), 0o600), ClusterError::Short { bytes: 0, .. }));
        assert!(matches!(Secret::read(Path::new("/nowhere")), Err(ClusterError::Read { .. })));
    }

    #[test]
    fn a_proof_is_worth_nothing_at_the_other_end_or_elsewhere() {
        let (ours, other) = (Secret(vec![1; 32]), Secret(vec![2; 32]));
        let proof = ours.proof(End::Asks, &[7; 32]);
        assert!(ours.proves(End::Asks, &[7; 32], &proof));
        assert!(!ours.proves(End::Answers, &[7; 32], &proof));
        assert!(!ours.proves(End::Asks, &[8; 32], &proof));
        assert!(!other.proves(End::Asks, &[7; 32], &proof));
        assert_eq!(format!("{ours:?}"), "Secret");
    }
}
