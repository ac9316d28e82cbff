//! A mandate whose signatures were verified against the trust roots of this machine.

use std::ops::Deref;

use kenshin_observation::TimeUs;

use crate::signature::{MANDATE_NAMESPACE, SignatureError, Signer, verify_all};
use crate::{Invalid, Mandate, TrustRoots};

/// A mandate that is well-formed and signed by those it needs. Whether it authorises anything
/// *now* (validity, hours, revocation) is judged by [`crate::Gate`] and [`crate::standing`].
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedMandate {
    mandate: Mandate,
    signers: Vec<Signer>,
}

/// Why a text is not a verified mandate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The text breaks a rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// A signature is missing or does not count.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

impl VerifyError {
    /// The way out.
    pub fn hint(&self) -> String {
        match self {
            Self::Invalid(invalid) => invalid.hint().to_owned(),
            Self::Signature(error) => error.hint(),
        }
    }
}

/// Reads a mandate and verifies its signatures at `now`. `signatures` are the texts of its
/// signature files ([`crate::signature::sidecar_names`]); `file` names the mandate in messages.
///
/// Signatures are verified over the bytes before anything in them is believed.
pub fn verify(
    file: &str,
    text: &str,
    signatures: &[&str],
    roots: &TrustRoots,
    now: TimeUs,
) -> Result<VerifiedMandate, VerifyError> {
    let signers = verify_all(file, text, signatures, MANDATE_NAMESPACE, roots, now)?;
    let mandate = Mandate::parse(file, text)?;
    let found = distinct(&signers);
    if found < usize::from(mandate.signers_required) {
        let needed = mandate.signers_required;
        return Err(SignatureError::TooFew { file: file.to_owned(), needed, found }.into());
    }
    if !signers.iter().any(|signer| signer.principals.contains(&mandate.authority)) {
        let authority = mandate.authority.clone();
        return Err(SignatureError::NotTheAuthority { file: file.to_owned(), authority }.into());
    }
    Ok(VerifiedMandate { mandate, signers })
}

/// 2 when two signatures come from different keys that have no principal in common, else 1.
fn distinct(signers: &[Signer]) -> usize {
    let apart = |a: &Signer, b: &Signer| {
        a.fingerprint != b.fingerprint
            && !a.principals.iter().any(|principal| b.principals.contains(principal))
    };
    if signers.iter().any(|a| signers.iter().any(|b| apart(a, b))) { 2 } else { 1 }
}

impl VerifiedMandate {
    /// The mandate.
    pub fn mandate(&self) -> &Mandate {
        &self.mandate
    }

    /// Who signed it.
    pub fn signers(&self) -> &[Signer] {
        &self.signers
    }

    /// Last instant at which its signatures count by the trust roots; `None` for no end.
    ///
    /// The earliest end counts, so that a signer whose trust ends takes the mandate along.
    pub fn trusted_until(&self) -> Option<TimeUs> {
        self.signers.iter().filter_map(|signer| signer.valid_before).min()
    }
}

impl Deref for VerifiedMandate {
    type Target = Mandate;
    fn deref(&self) -> &Mandate {
        &self.mandate
    }
}
