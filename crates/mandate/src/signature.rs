//! OpenSSH signatures (`ssh-keygen -Y sign`, PROTOCOL.sshsig) over texts.

use kenshin_observation::TimeUs;
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey, PublicKey, SshSig};

use crate::TrustRoots;

/// Namespace of signatures over mandates.
pub const MANDATE_NAMESPACE: &str = "kenshin-mandate";

/// Namespace of signatures over revocation lists.
pub const REVOCATION_NAMESPACE: &str = "kenshin-revocation";

/// Signatures that are looked at for one text.
pub const SIGNATURES_MAX: usize = 16;

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";

/// Who signed a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The people the key stands for, from the trust roots.
    pub principals: Vec<String>,
    /// SHA-256 fingerprint of the key, as `ssh-keygen -l` shows it.
    pub fingerprint: String,
    /// Last instant at which the trust roots let the signature count.
    pub valid_before: Option<TimeUs>,
}

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is none.
    #[error("`{file}` is not signed")]
    Missing {
        /// The text.
        file: String,
    },
    /// The signature file cannot be read.
    #[error("the signature of `{file}` cannot be read: {reason}")]
    Malformed {
        /// The text.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// It was made for another purpose.
    #[error("the signature of `{file}` was made in namespace `{found}`, not `{expected}`")]
    Namespace {
        /// The text.
        file: String,
        /// Its namespace.
        found: String,
        /// The namespace that counts.
        expected: &'static str,
    },
    /// The text was changed after it was signed, or the signature is not the key's.
    #[error("the signature of `{file}` does not match its text (key {fingerprint})")]
    Mismatch {
        /// The text.
        file: String,
        /// Fingerprint of the key.
        fingerprint: String,
    },
    /// A hardware token signed by itself: nobody touched it.
    #[error("the signature of `{file}` was made without anybody touching the token (key {fingerprint})")]
    Untouched {
        /// The text.
        file: String,
        /// Fingerprint of the key.
        fingerprint: String,
    },
    /// The key is not in the trust roots.
    #[error("`{file}` is signed by a key that is not among the trust roots ({fingerprint})")]
    Unknown {
        /// The text.
        file: String,
        /// Fingerprint of the key.
        fingerprint: String,
    },
    /// The trust roots name the key for other namespaces or another time.
    #[error("`{file}` is signed by {principals}, who may not sign it now: {reason}")]
    NotEntitled {
        /// The text.
        file: String,
        /// Whose key it is.
        principals: String,
        /// Namespace or time.
        reason: String,
    },
    /// The authority the text names did not sign it.
    #[error("`{file}` names `{authority}` as its authority, which has not signed it")]
    NotTheAuthority {
        /// The text.
        file: String,
        /// The authority it names.
        authority: String,
    },
    /// Fewer distinct people signed than it needs.
    #[error("`{file}` needs {needed} signers with different names and keys, and has {found}")]
    TooFew {
        /// The text.
        file: String,
        /// Signers needed.
        needed: u8,
        /// Distinct signers found.
        found: usize,
    },
}

impl SignatureError {
    /// The way out.
    pub fn hint(&self) -> String {
        match self {
            Self::Missing { file } => format!("sign it: ssh-keygen -Y sign -n NAMESPACE -f KEY {file}, or kenshin mandate sign"),
            Self::Malformed { .. } => "sign the text again; the .sig file holds blocks that begin with -----BEGIN SSH SIGNATURE-----".to_owned(),
            Self::Namespace { expected, .. } => format!("sign it with -n {expected}"),
            Self::Mismatch { .. } => "read the text again and sign it as it is now; any change, even of a space, needs a new signature".to_owned(),
            Self::Untouched { .. } => {
                "make the key without -O no-touch-required: signing a mandate is the act of a person".to_owned()
            }
            Self::Unknown { .. } => "ask the authority which key it signs with, and add that key to allowed_signers on this machine".to_owned(),
            Self::NotEntitled { .. } => "compare the options of the key's line in allowed_signers".to_owned(),
            Self::NotTheAuthority { authority, .. } => format!("let {authority} sign it, or correct `authority` and sign again"),
            Self::TooFew { file, .. } => format!("let another person sign: kenshin mandate sign writes {file}.2.sig beside the first"),
        }
    }
}

/// Names under which the signatures of a text are kept beside it: `X.sig`, `X.2.sig`. A single
/// file may also hold several armored blocks.
pub fn sidecar_names(file: &str) -> [String; 2] {
    [format!("{file}.sig"), format!("{file}.2.sig")]
}

/// Verifies every signature in `armored` (texts of signature files, each with one or more blocks)
/// over `text` in `namespace` at `now`. All must count: one that does not is an error, not noise.
pub(crate) fn verify_all(
    file: &str,
    text: &str,
    armored: &[&str],
    namespace: &'static str,
    roots: &TrustRoots,
    now: TimeUs,
) -> Result<Vec<Signer>, SignatureError> {
    let malformed = |reason: String| SignatureError::Malformed { file: file.to_owned(), reason };
    let mut signers = Vec::new();
    for block in blocks(armored).map_err(malformed)? {
        let signature = SshSig::from_pem(block).map_err(|error| malformed(error.to_string()))?;
        signers.push(verify_one(file, text, &signature, namespace, roots, now)?);
    }
    match signers.len() {
        0 => Err(SignatureError::Missing { file: file.to_owned() }),
        count if count > SIGNATURES_MAX => Err(malformed(format!("it holds {count} signatures"))),
        _ => Ok(signers),
    }
}

fn verify_one(
    file: &str,
    text: &str,
    signature: &SshSig,
    namespace: &'static str,
    roots: &TrustRoots,
    now: TimeUs,
) -> Result<Signer, SignatureError> {
    let file = file.to_owned();
    if signature.namespace() != namespace {
        let found = signature.namespace().escape_default().to_string();
        return Err(SignatureError::Namespace { file, found, expected: namespace });
    }
    let key = PublicKey::from(signature.public_key().clone());
    let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
    if key.verify(namespace, text.as_bytes(), signature).is_err() {
        return Err(SignatureError::Mismatch { file, fingerprint });
    }
    if !touched(signature) {
        return Err(SignatureError::Untouched { file, fingerprint });
    }
    let known: Vec<_> = roots.of_key(key.key_data()).collect();
    if known.is_empty() {
        return Err(SignatureError::Unknown { file, fingerprint });
    }
    let entitled: Vec<_> =
        known.iter().filter(|root| root.may_sign_in(namespace) && root.valid_at(now)).collect();
    if !entitled.is_empty() {
        let principals = entitled.iter().flat_map(|root| root.principals.iter().cloned()).collect();
        let valid_before = entitled.iter().filter_map(|root| root.valid_before).min();
        return Ok(Signer { principals, fingerprint, valid_before });
    }
    let reason = match known.iter().find(|root| root.may_sign_in(namespace)) {
        Some(root) => match root.valid_after {
            Some(after) if now < after => format!("the key is trusted from {after}"),
            _ => format!("the key was trusted until {}", root.valid_before.expect("one bound excludes now")),
        },
        None => format!("the key may not sign in namespace `{namespace}`"),
    };
    Err(SignatureError::NotEntitled { file, principals: known[0].principals.join(", "), reason })
}

/// False when a hardware token says that nobody was present (PROTOCOL.u2f: the signature is followed
/// by a byte of flags, whose lowest bit tells presence, and four bytes of counter). Other keys have
/// no such word.
fn touched(signature: &SshSig) -> bool {
    match signature.algorithm() {
        Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256 => {
            signature.signature_bytes().iter().nth_back(4).is_some_and(|flags| flags & 1 == 1)
        }
        _ => true,
    }
}

/// The armored blocks in the texts; anything else but white space is refused.
fn blocks<'a>(armored: &[&'a str]) -> Result<Vec<&'a str>, String> {
    let mut blocks = Vec::new();
    for text in armored {
        let mut rest = text.trim();
        while !rest.is_empty() {
            if !rest.starts_with(BEGIN) {
                return Err("something stands before or between the blocks".to_owned());
            }
            let end = rest.find(END).ok_or("a block does not end")? + END.len();
            let (block, after) = rest.split_at(end);
            blocks.push(block);
            rest = after.trim_start();
        }
    }
    Ok(blocks)
}

/// A person's private key.
#[derive(Debug, Clone)]
pub struct SignerKey(PrivateKey);

/// A private key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SignerKeyError {
    /// Not an OpenSSH private key.
    #[error("the private key cannot be read: {0}")]
    Malformed(#[source] ssh_key::Error),
    /// It is encrypted and no passphrase was given.
    #[error("the private key is encrypted")]
    NeedsPassphrase,
    /// The passphrase is wrong.
    #[error("the passphrase does not open the private key")]
    Passphrase,
    /// Keys of this kind cannot sign here.
    #[error("this kind of key cannot sign: {0}")]
    CannotSign(#[source] ssh_key::Error),
}

impl SignerKeyError {
    /// The way out.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "give an OpenSSH private key, as ssh-keygen -t ed25519 writes it",
            Self::NeedsPassphrase | Self::Passphrase => {
                "give the key's passphrase, or sign with ssh-keygen -Y sign"
            }
            Self::CannotSign(_) => "keys on a hardware token sign with ssh-keygen -Y sign",
        }
    }
}

impl SignerKey {
    /// Reads an OpenSSH private key.
    pub fn from_openssh(pem: &str, passphrase: Option<&str>) -> Result<Self, SignerKeyError> {
        let key = PrivateKey::from_openssh(pem).map_err(SignerKeyError::Malformed)?;
        match (key.is_encrypted(), passphrase) {
            (false, _) => Ok(Self(key)),
            (true, None) => Err(SignerKeyError::NeedsPassphrase),
            (true, Some(word)) => key.decrypt(word).map(Self).map_err(|_| SignerKeyError::Passphrase),
        }
    }

    /// The Ed25519 key with this seed; the caller draws it.
    pub fn from_seed(seed: &[u8; 32], comment: &str) -> Self {
        let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(seed));
        Self(PrivateKey::new(pair, comment).expect("an Ed25519 key pair is complete"))
    }

    /// The private key in OpenSSH's format, unencrypted.
    pub fn to_openssh(&self) -> String {
        self.0.to_openssh(LineEnding::LF).expect("a key that was read or made can be written").to_string()
    }

    /// The public key as a line of a `.pub` file, without line break.
    pub fn public_line(&self) -> String {
        self.0.public_key().to_openssh().expect("a key that was read or made can be written")
    }

    /// A line for `allowed_signers` that lets this key sign in the namespaces as `principal`.
    pub fn allowed_signers_line(&self, principal: &str, namespaces: &[&str]) -> String {
        format!("{principal} namespaces=\"{}\" {}\n", namespaces.join(","), self.public_line())
    }

    /// Signs a text, as `ssh-keygen -Y sign -n NAMESPACE` does; the result is what belongs into
    /// the `.sig` file.
    pub fn sign(&self, text: &str, namespace: &str) -> Result<String, SignerKeyError> {
        let signature = self.0.sign(namespace, HashAlg::Sha512, text.as_bytes());
        let mut armored = signature
            .and_then(|signature| signature.to_pem(LineEnding::LF))
            .map_err(SignerKeyError::CannotSign)?;
        if !armored.ends_with('\n') {
            armored.push('\n');
        }
        Ok(armored)
    }
}
