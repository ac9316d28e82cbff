//! The sensor's own identity: an id and an Ed25519 key that never leave its spool.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use kenshin_observation::{SensorId, TimeUs};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::logbook::{LogError, sync_parent};

const VERSION: u32 = 1;
const FILE: &str = "sensor.json";

/// Who observes: signs batches, and is named by a mandate's `[[sensor]]`.
#[derive(Clone)]
pub struct SensorIdentity {
    /// Its id.
    pub id: SensorId,
    /// Its key.
    pub(crate) key: SigningKey,
}

/// The identity cannot be read or made.
#[derive(Debug, thiserror::Error)]
pub enum SensorError {
    /// The medium failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Others can read the secret key.
    #[error("`{}` can be read by others (mode {mode:o}); hint: chmod 600 it, and make a new identity if it may have been copied", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not a sensor identity of a known version.
    #[error("`{}` is not a sensor identity of version {VERSION}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
    },
}

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    id: SensorId,
    created: TimeUs,
    #[serde(with = "hex::serde")]
    secret_key: [u8; 32],
    #[serde(with = "hex::serde")]
    public_key: [u8; 32],
}

impl SensorIdentity {
    /// The identity under the spool directory `dir`; made from `seed` at first use and stored
    /// readable by its owner alone. `seed` comes from the system's generator at the edge.
    pub fn open_or_create(dir: &Path, now: TimeUs, seed: [u8; 32]) -> Result<Self, SensorError> {
        let path = dir.join(FILE);
        match fs::read(&path) {
            Ok(bytes) => Self::read(&path, &bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                // A link never replaces: when two start at once, both end with the first one's key.
                match Self::from_seed(now, seed).store(dir, &path, now) {
                    Err(SensorError::Log(LogError::Io { source, .. }))
                        if source.kind() == std::io::ErrorKind::AlreadyExists => {}
                    stored => stored?,
                }
                let bytes = fs::read(&path).map_err(LogError::io("read", &path))?;
                Self::read(&path, &bytes)
            }
            Err(source) => Err(LogError::io("read", &path)(source).into()),
        }
    }

    /// An identity that is kept nowhere; for tests and dry runs.
    pub fn from_seed(now: TimeUs, seed: [u8; 32]) -> Self {
        let id: [u8; 32] = Sha256::new_with_prefix(b"kenshin-sensor-id").chain_update(seed).finalize().into();
        let random = u128::from_le_bytes(id[..16].try_into().expect("half of 32 bytes"));
        Self { id: SensorId::new(now, random), key: SigningKey::from_bytes(&seed) }
    }

    /// The public key, as batches are verified with.
    pub fn public_key(&self) -> VerifyingKey {
        self.key.verifying_key()
    }

    /// The public key, hexadecimal.
    pub fn public_key_hex(&self) -> String {
        hex::encode(self.public_key().to_bytes())
    }

    /// Signs a message to the hub (Ed25519, RFC 8032). A message begins with what it is for, so that
    /// it is never mistaken for a batch, whose signed bytes begin with a name of their own.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }

    fn read(path: &Path, bytes: &[u8]) -> Result<Self, SensorError> {
        let mode = fs::metadata(path).map_err(LogError::io("read", path))?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(SensorError::Exposed { path: path.to_owned(), mode });
        }
        let invalid = || SensorError::Invalid { path: path.to_owned() };
        let stored: Stored = serde_json::from_slice(bytes).map_err(|_| invalid())?;
        let key = SigningKey::from_bytes(&stored.secret_key);
        if stored.version != VERSION || key.verifying_key().to_bytes() != stored.public_key {
            return Err(invalid());
        }
        Ok(Self { id: stored.id, key })
    }

    fn store(&self, dir: &Path, path: &Path, now: TimeUs) -> Result<(), SensorError> {
        fs::create_dir_all(dir).map_err(LogError::io("create", dir))?;
        let stored = Stored {
            version: VERSION,
            id: self.id,
            created: now,
            secret_key: self.key.to_bytes(),
            public_key: self.public_key().to_bytes(),
        };
        let mut json = serde_json::to_vec_pretty(&stored).expect("the identity serialises to JSON");
        json.push(b'\n');
        let beside = dir.join(format!("{FILE}.{}.tmp", std::process::id()));
        // A left-over of a crash may have other permissions; a new file has ours.
        let _ = fs::remove_file(&beside);
        let linked = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)
            .and_then(|mut file| file.write_all(&json).and_then(|()| file.sync_all()))
            .and_then(|()| fs::hard_link(&beside, path));
        let _ = fs::remove_file(&beside);
        linked.map_err(LogError::io("write", path))?;
        sync_parent(path)?;
        Ok(())
    }
}

impl std::fmt::Debug for SensorIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SensorIdentity").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_once_and_readable_by_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let now = TimeUs::from_secs(1_775_000_000);
        let first = SensorIdentity::open_or_create(dir.path(), now, [7; 32]).unwrap();
        let again = SensorIdentity::open_or_create(dir.path(), now.plus_secs(9), [8; 32]).unwrap();
        assert_eq!((first.id, first.public_key()), (again.id, again.public_key()));
        let path = dir.path().join(FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!format!("{first:?}").contains(&hex::encode([7u8; 32])));

        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = SensorIdentity::open_or_create(dir.path(), now, [7; 32]).unwrap_err();
        assert!(matches!(error, SensorError::Exposed { mode: 0o644, .. }), "{error}");

        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, b"{}").unwrap();
        let error = SensorIdentity::open_or_create(dir.path(), now, [7; 32]).unwrap_err();
        assert!(matches!(error, SensorError::Invalid { .. }), "{error}");
    }
}
