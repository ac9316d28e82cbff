//! OpenPGP: mail encrypted to the provider's key.

/// A key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Not an armoured OpenPGP public key.
    #[error("it is not an armoured OpenPGP public key")]
    Syntax(#[source] pgp::errors::Error),
    /// No part of it can encrypt.
    #[error("it has no part that can encrypt")]
    NoEncryption,
}

/// Checks that a notice can be encrypted to `armoured`.
pub fn check_recipient(armoured: &str) -> Result<(), KeyError> {
    use pgp::composed::{Deserializable, SignedPublicKey};
    SignedPublicKey::from_string(armoured).map(|_| ()).map_err(KeyError::Syntax)
}
