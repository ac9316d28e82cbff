//! Revocation lists: numbered, signed by the authority, and fresh or nothing is sent.

use kenshin_observation::TimeUs;
use toml::Spanned;
use toml::value::Datetime;

use crate::mandate::digest;
use crate::problem::{Invalid, Report};
use crate::signature::{REVOCATION_NAMESPACE, SignatureError, Signer, verify_all};
use crate::{Mandate, TrustRoots};

/// Version of the format written today.
pub const REVOCATION_SCHEMA_VERSION: i64 = 1;

/// How far a list may be dated ahead of this machine's clock.
pub const AHEAD_MAX_S: i64 = 60;

/// What is revoked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revoked {
    /// Every version of the mandate with this id.
    Mandate(String),
    /// The one text with this SHA-256 digest, hexadecimal.
    Digest(String),
}

impl Revoked {
    /// True when the entry speaks of this mandate.
    pub fn covers(&self, mandate: &Mandate) -> bool {
        match self {
            Self::Mandate(id) => *id == mandate.id,
            Self::Digest(digest) => digest == mandate.digest(),
        }
    }
}

/// One line of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// What.
    pub what: Revoked,
    /// Why.
    pub reason: String,
}

impl Revocation {
    /// The entry as lists hold it.
    pub(crate) fn to_text(&self) -> String {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let (key, value) = match &self.what {
            Revoked::Mandate(id) => ("mandate", id),
            Revoked::Digest(digest) => ("sha256", digest),
        };
        format!("\n[[revoked]]\n{key} = {}\nreason = {}\n", quoted(value), quoted(&self.reason))
    }
}

/// The contents of a revocation list, signed or not yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationDraft {
    /// Principal that issues it.
    pub authority: String,
    /// Counts its lists; never goes back.
    pub number: u64,
    /// When it was issued.
    pub issued_at: TimeUs,
    /// What is revoked.
    pub revoked: Vec<Revocation>,
}

/// A revocation list whose signature was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationList {
    contents: RevocationDraft,
    digest: String,
    signers: Vec<Signer>,
}

/// Why a text is not a revocation list that counts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RevocationError {
    /// The text breaks a rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The signature is missing or does not count.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// It is older than one that was seen.
    #[error("revocation list {number} is older than list {seen}, which was seen before")]
    Rollback {
        /// Its number.
        number: u64,
        /// The number seen.
        seen: u64,
    },
    /// Two different lists carry the same number.
    #[error("two different revocation lists carry number {number}")]
    Equivocation {
        /// The number.
        number: u64,
    },
    /// It is for mandates of another authority.
    #[error("the revocation list is issued by `{found}`, the mandate's authority is `{expected}`")]
    OtherAuthority {
        /// The list's authority.
        found: String,
        /// The mandate's authority.
        expected: String,
    },
}

impl RevocationError {
    /// The way out.
    pub fn hint(&self) -> String {
        match self {
            Self::Invalid(invalid) => invalid.hint().to_owned(),
            Self::Signature(error) => error.hint(),
            Self::Rollback { .. } => {
                "fetch the list again from where the mandate says; ask the authority if it stays old"
                    .to_owned()
            }
            Self::Equivocation { .. } => {
                "ask the authority: it must issue a list with a higher number".to_owned()
            }
            Self::OtherAuthority { .. } => "fetch the list that the mandate's [revocation] names".to_owned(),
        }
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema_version: Spanned<i64>,
    authority: String,
    number: Spanned<i64>,
    issued_at: Spanned<Datetime>,
    #[serde(default)]
    revoked: Vec<Spanned<RevokedText>>,
}

/// An entry as text; also part of narrowing lists.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RevokedText {
    mandate: Option<String>,
    sha256: Option<Spanned<String>>,
    reason: String,
}

impl RevokedText {
    pub(crate) fn read(text: &Spanned<Self>, report: &mut Report<'_>) -> Option<Revocation> {
        let reason = text.get_ref().reason.clone();
        let what = match (&text.get_ref().mandate, &text.get_ref().sha256) {
            (Some(id), None) => Revoked::Mandate(id.clone()),
            (None, Some(digest)) if hex::decode(digest.get_ref()).is_ok_and(|bytes| bytes.len() == 32) => {
                Revoked::Digest(digest.get_ref().to_ascii_lowercase())
            }
            (None, Some(digest)) => {
                report.add(digest.span(), "this is not a SHA-256 digest", "write 64 hexadecimal digits");
                return None;
            }
            _ => {
                report.add(
                    text.span(),
                    "an entry names one mandate",
                    "write either mandate = \"id\" (all its versions) or sha256 = \"digest\" (one text)",
                );
                return None;
            }
        };
        Some(Revocation { what, reason })
    }
}

impl RevocationDraft {
    /// Reads the contents of a list without looking at its signature. Use it to write the next
    /// list, or to narrow ([`crate::Narrowing`]); it makes nothing fresh.
    pub fn parse(file: &str, text: &str) -> Result<Self, Invalid> {
        let mut report = Report::new(file, text);
        let document: Document = match toml::from_str(text) {
            Ok(document) => document,
            Err(error) => {
                report.add_toml(&error);
                return Err(report.finish().expect_err("a problem was just added"));
            }
        };
        if *document.schema_version.get_ref() != REVOCATION_SCHEMA_VERSION {
            report.add(
                document.schema_version.span(),
                "this version of the revocation list format is not known",
                format!("this program reads schema_version = {REVOCATION_SCHEMA_VERSION}"),
            );
        }
        let number = u64::try_from(*document.number.get_ref()).unwrap_or_else(|_| {
            report.add(document.number.span(), "the number is negative", "count lists from 1");
            0
        });
        let issued_at = document.issued_at.get_ref().to_string().parse().unwrap_or_else(|_| {
            report.add(
                document.issued_at.span(),
                "this is not an instant: it has no offset from UTC",
                "write date, time and offset, such as 2026-04-01T00:00:00Z",
            );
            TimeUs::from_micros(0)
        });
        let revoked =
            document.revoked.iter().filter_map(|entry| RevokedText::read(entry, &mut report)).collect();
        report.finish()?;
        Ok(Self { authority: document.authority, number, issued_at, revoked })
    }

    /// The next list: one number higher, issued at `now`, with what was revoked before and `more`.
    pub fn next(&self, now: TimeUs, more: impl IntoIterator<Item = Revocation>) -> Self {
        let mut next = Self { number: self.number.saturating_add(1), issued_at: now, ..self.clone() };
        for entry in more {
            if !next.revoked.iter().any(|known| known.what == entry.what) {
                next.revoked.push(entry);
            }
        }
        next
    }

    /// The text to sign.
    pub fn to_text(&self) -> String {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let mut text = format!(
            "# Kenshin revocation list. Signed in namespace {REVOCATION_NAMESPACE}; numbers never go back.\n\
             schema_version = {REVOCATION_SCHEMA_VERSION}\nauthority = {}\nnumber = {}\nissued_at = {}\n",
            quoted(&self.authority),
            self.number,
            self.issued_at
        );
        self.revoked.iter().for_each(|entry| text.push_str(&entry.to_text()));
        text
    }
}

impl RevocationList {
    /// Reads a list and verifies that the authority it names signed it.
    pub fn verify(
        file: &str,
        text: &str,
        signatures: &[&str],
        roots: &TrustRoots,
        now: TimeUs,
    ) -> Result<Self, RevocationError> {
        let signers = verify_all(file, text, signatures, REVOCATION_NAMESPACE, roots, now)?;
        let contents = RevocationDraft::parse(file, text)?;
        if !signers.iter().any(|signer| signer.principals.contains(&contents.authority)) {
            let authority = contents.authority;
            return Err(SignatureError::NotTheAuthority { file: file.to_owned(), authority }.into());
        }
        Ok(Self { contents, digest: digest(text), signers })
    }

    /// What it says.
    pub fn contents(&self) -> &RevocationDraft {
        &self.contents
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.contents.number
    }

    /// When it was issued.
    pub fn issued_at(&self) -> TimeUs {
        self.contents.issued_at
    }

    /// SHA-256 of its text, hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Who signed it.
    pub fn signers(&self) -> &[Signer] {
        &self.signers
    }

    /// The entry that revokes the mandate.
    pub fn revokes(&self, mandate: &Mandate) -> Option<&Revocation> {
        self.contents.revoked.iter().find(|entry| entry.what.covers(mandate))
    }

    /// Checks that this list may follow `seen` for mandates of `authority`: numbers never go back.
    pub fn may_follow(&self, seen: Option<&Self>, authority: &str) -> Result<(), RevocationError> {
        if self.contents.authority != authority {
            let (found, expected) = (self.contents.authority.clone(), authority.to_owned());
            return Err(RevocationError::OtherAuthority { found, expected });
        }
        let number = self.number();
        match seen {
            Some(seen) if number < seen.number() => {
                Err(RevocationError::Rollback { number, seen: seen.number() })
            }
            Some(seen) if number == seen.number() && self.digest != seen.digest => {
                Err(RevocationError::Equivocation { number })
            }
            _ => Ok(()),
        }
    }
}
