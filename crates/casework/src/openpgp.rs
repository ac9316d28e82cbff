//! OpenPGP: mail encrypted to the provider's key.

use kenshin_observation::TimeUs;
use pgp::composed::{
    ArmorOptions, Deserializable, EncryptionCaps, KeyType, MessageBuilder, SecretKeyParamsBuilder,
    SignedPublicKey, SubkeyParamsBuilder,
};
use pgp::crypto::ecc_curve::ECCCurve;
use pgp::crypto::sym::SymmetricKeyAlgorithm;
use pgp::packet::Signature;
use pgp::types::{KeyDetails, Timestamp};
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha20Rng;

/// Why a key cannot be used, or a mail not be encrypted.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Not an armoured OpenPGP public key.
    #[error("it is not an armoured OpenPGP public key")]
    Syntax(#[source] pgp::errors::Error),
    /// Its signatures do not hold.
    #[error("the signatures on it do not hold")]
    Bindings(#[source] pgp::errors::Error),
    /// Its holder revoked it.
    #[error("its holder revoked it")]
    Revoked,
    /// No part of it can encrypt, or none any more.
    #[error("no part of it can encrypt now")]
    NoEncryption,
    /// Encryption failed.
    #[error("the encryption failed")]
    Encrypt(#[source] pgp::errors::Error),
}

/// Session keys come from the seed that was given to [`crate::Casework::open`], through the older
/// random traits that the OpenPGP implementation asks for.
pub struct SeededRng(ChaCha20Rng);

impl SeededRng {
    /// A generator of this seed. One seed is used for one message.
    pub fn new(seed: [u8; 32]) -> Self {
        Self(ChaCha20Rng::from_seed(seed))
    }
}

impl rand_core::RngCore for SeededRng {
    fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.0.fill_bytes(bytes);
        Ok(())
    }
}

impl rand_core::CryptoRng for SeededRng {}

/// Checks that a notice could be encrypted to `armoured` at some time.
pub fn check_recipient(armoured: &str) -> Result<(), KeyError> {
    let key = parse(armoured)?;
    if key.public_subkeys.iter().any(|subkey| can_encrypt(&subkey.signatures)) || primary_can_encrypt(&key) {
        Ok(())
    } else {
        Err(KeyError::NoEncryption)
    }
}

/// Encrypts `plain` to every part of the key that can encrypt `now`; armoured.
pub fn encrypt(armoured: &str, plain: &[u8], now: TimeUs, mut random: SeededRng) -> Result<String, KeyError> {
    let key = parse(armoured)?;
    let mut message =
        MessageBuilder::from_bytes("", plain.to_vec()).seipd_v1(&mut random, SymmetricKeyAlgorithm::AES256);
    let mut recipients = 0;
    for subkey in &key.public_subkeys {
        let alive = holds(&subkey.signatures, subkey.key.created_at(), now);
        if can_encrypt(&subkey.signatures) && alive {
            message.encrypt_to_key(&mut random, subkey).map_err(KeyError::Encrypt)?;
            recipients += 1;
        }
    }
    if recipients == 0 && primary_can_encrypt(&key) {
        message.encrypt_to_key(&mut random, &key.primary_key).map_err(KeyError::Encrypt)?;
        recipients += 1;
    }
    if recipients == 0 || !primary_holds(&key, now) {
        return Err(KeyError::NoEncryption);
    }
    message.to_armored_string(&mut random, ArmorOptions::default()).map_err(KeyError::Encrypt)
}

/// A throw-away key for the demo and for tests: armoured public and secret part.
pub fn generate(user_id: &str, now: TimeUs, random: &mut SeededRng) -> Result<(String, String), KeyError> {
    let created = Timestamp::from_secs(u32::try_from(now.micros() / 1_000_000).unwrap_or(0));
    let subkey = SubkeyParamsBuilder::default()
        .key_type(KeyType::ECDH(ECCCurve::Curve25519Legacy))
        .can_encrypt(EncryptionCaps::All)
        .created_at(created)
        .build()
        .expect("fixed parameters are valid");
    let parameters = SecretKeyParamsBuilder::default()
        .key_type(KeyType::Ed25519Legacy)
        .can_certify(true)
        .can_sign(true)
        .created_at(created)
        .primary_user_id(user_id.to_owned())
        .subkeys(vec![subkey])
        .build()
        .expect("fixed parameters are valid");
    let secret = parameters.generate(random).map_err(KeyError::Encrypt)?;
    let public =
        secret.to_public_key().to_armored_string(ArmorOptions::default()).map_err(KeyError::Encrypt)?;
    let secret = secret.to_armored_string(ArmorOptions::default()).map_err(KeyError::Encrypt)?;
    Ok((public, secret))
}

fn parse(armoured: &str) -> Result<SignedPublicKey, KeyError> {
    let (key, _) = SignedPublicKey::from_string(armoured).map_err(KeyError::Syntax)?;
    key.verify_bindings().map_err(KeyError::Bindings)?;
    if key.details.revocation_signatures.is_empty() { Ok(key) } else { Err(KeyError::Revoked) }
}

fn can_encrypt(signatures: &[Signature]) -> bool {
    let revoked = signatures.iter().any(|s| s.typ() == Some(pgp::packet::SignatureType::SubkeyRevocation));
    !revoked && signatures.iter().any(|s| s.key_flags().encrypt_comms() || s.key_flags().encrypt_storage())
}

fn primary_can_encrypt(key: &SignedPublicKey) -> bool {
    key.details.users.iter().any(|user| can_encrypt(&user.signatures))
}

fn primary_holds(key: &SignedPublicKey, now: TimeUs) -> bool {
    let created = key.primary_key.created_at();
    key.details.users.is_empty() || key.details.users.iter().any(|user| holds(&user.signatures, created, now))
}

/// True when the newest statement about expiry leaves the key valid at `now`.
fn holds(signatures: &[Signature], created: Timestamp, now: TimeUs) -> bool {
    let newest = signatures.iter().max_by_key(|signature| signature.created());
    match newest.and_then(Signature::key_expiration_time) {
        Some(life) if life.as_secs() > 0 => {
            i64::from(created.as_secs()) + i64::from(life.as_secs()) > now.micros() / 1_000_000
        }
        _ => true,
    }
}
