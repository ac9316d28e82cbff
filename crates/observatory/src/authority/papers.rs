//! Papers on their way from the hub to a sensor.
//!
//! The hub hands out its files as they lie there. The sensor keeps a mandate only when it verifies
//! by the sensor's own trust roots and is not older than the one it has; a revocation list only when
//! it verifies and follows the last one. Numbers and versions never go back, whatever a hub says and
//! however often the sensor is restarted. What takes away is kept at once, and for good.

use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path};

use kenshin_mandate::{
    Mandate, Narrowing, RevocationDraft, RevocationError, RevocationList, VerifiedMandate,
};
use kenshin_observation::TimeUs;
use sha2::{Digest, Sha256};

use super::{Authority, SignedText, read_narrowing, write_signed, write_whole};
use crate::error::ActError;
use crate::hub::{Paper, Papers};

impl Authority {
    /// What authorises under a mandate, as it lies in this home; verified by whoever uses it.
    pub fn papers(&self, mandate_id: &str) -> Result<Papers, ActError> {
        // The tag first: what changes meanwhile is fetched once more.
        let tag = self.papers_tag()?;
        let signed = self.signed_text(mandate_id)?;
        let mandate = Mandate::parse(&signed.file(), &signed.text)
            .map_err(|invalid| ActError::input(invalid.to_string()).with_hint(invalid.hint()))?;
        let list = self.revocation_path(&mandate);
        let revocation = if list.exists() { Some(SignedText::read(&list)?.into()) } else { None };
        let narrowing = self.narrowing()?.to_text();
        Ok(Papers { mandate: signed.into(), revocation, narrowing, tag })
    }

    /// Changes whenever a file of `mandates/` does.
    pub fn papers_tag(&self) -> Result<String, ActError> {
        let folder = self.home.mandates();
        let entries = std::fs::read_dir(&folder).map_err(|source| ActError::io("read", &folder, source))?;
        let mut seen: Vec<String> = entries
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let name = entry.file_name().into_string().ok()?;
                let of_papers = !name.ends_with(".lock") && !name.ends_with(".tmp");
                let m = entry.metadata().ok().filter(|metadata| of_papers && metadata.is_file())?;
                // Files are replaced whole: a new one is another inode.
                Some(format!("{name} {} {} {} {}\n", m.ino(), m.len(), m.mtime(), m.mtime_nsec()))
            })
            .collect();
        seen.sort();
        Ok(hex::encode(Sha256::digest(seen.concat())))
    }

    /// Keeps what a hub handed out for a mandate, as far as it may be believed. What takes away is
    /// kept even when the rest is refused.
    pub fn take_papers(&self, mandate_id: &str, papers: &Papers, now: TimeUs) -> Result<(), ActError> {
        self.take_narrowing(&papers.narrowing)?;
        let mandate = self.take_mandate(mandate_id, &papers.mandate, now)?;
        match &papers.revocation {
            Some(list) => self.take_revocation(&mandate, list, now),
            None => Ok(()),
        }
    }

    fn take_narrowing(&self, text: &str) -> Result<(), ActError> {
        let path = self.home.narrowing_of_hub();
        let told = Narrowing::parse("the hub's narrowing list", text)
            .map_err(|invalid| ActError::input(invalid.to_string()).with_hint(invalid.hint()))?;
        let known = read_narrowing(&path)?;
        let more = told.beyond(&known);
        if more.is_empty() {
            return Ok(());
        }
        write_whole(&path, &known.and(more).to_text())
    }

    fn take_mandate(
        &self,
        mandate_id: &str,
        paper: &Paper,
        now: TimeUs,
    ) -> Result<VerifiedMandate, ActError> {
        let path = self.path_of(mandate_id)?;
        let signed = signed(&path, paper);
        let verified = Self::verify(&signed, &self.roots()?, now)?;
        if verified.id != mandate_id {
            return Err(ActError::no(format!(
                "the hub sent mandate `{}` where `{mandate_id}` was asked for",
                verified.id
            )));
        }
        if !path.exists() {
            return self.add(&signed, now);
        }
        let held = SignedText::read(&path)?;
        if held.text == signed.text && held.signatures == signed.signatures {
            return Ok(verified);
        }
        let known = Mandate::parse(&path.display().to_string(), &held.text)
            .map_err(|invalid| ActError::input(invalid.to_string()).with_hint(invalid.hint()))?;
        let older = verified.version < known.version;
        if older || verified.version == known.version && verified.digest() != known.digest() {
            return Err(ActError::no(format!(
                "the hub sent version {} of mandate `{mandate_id}`, this sensor knows {} version {}",
                verified.version,
                if older { "the newer" } else { "another" },
                known.version
            )));
        }
        self.add(&signed, now)
    }

    fn take_revocation(&self, mandate: &VerifiedMandate, paper: &Paper, now: TimeUs) -> Result<(), ActError> {
        let named = Path::new(&mandate.revocation.list);
        let plain = matches!(named.components().collect::<Vec<_>>()[..], [Component::Normal(_)]);
        if !plain || named.extension().is_none_or(|extension| extension != "toml") {
            return Err(ActError::no(format!(
                "mandate `{}` names the revocation list `{}`, which a sensor has no place for",
                mandate.id, mandate.revocation.list
            ))
            .with_hint("for sensors apart from their hub, name it `revocations.toml` in the next version"));
        }
        let path = self.revocation_path(mandate);
        let signed = signed(&path, paper);
        let refused = |error: RevocationError| ActError::no(error.to_string()).with_hint(error.hint());
        let list = RevocationList::verify(
            &signed.file(),
            &signed.text,
            &signed.signature_texts(),
            &self.roots()?,
            now,
        )
        .map_err(refused)?;
        list.may_follow(None, &mandate.authority).map_err(refused)?;
        // The number on the disk counts even where a crash left it without its signature.
        match SignedText::read(&path) {
            Ok(held) if held.text == signed.text && held.signatures == signed.signatures => return Ok(()),
            Ok(held) => {
                let known = RevocationDraft::parse(&held.file(), &held.text)
                    .map_err(|invalid| ActError::input(invalid.to_string()).with_hint(invalid.hint()))?;
                let (number, seen) = (list.number(), known.number);
                if number < seen {
                    return Err(refused(RevocationError::Rollback { number, seen }));
                }
                if number == seen && held.text != signed.text {
                    return Err(refused(RevocationError::Equivocation { number }));
                }
            }
            Err(ActError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        // As when a list is issued: a reader in between sees a signature that does not fit.
        write_signed(&path, &signed)
    }
}

fn signed(path: &Path, paper: &Paper) -> SignedText {
    SignedText { path: path.to_owned(), text: paper.text.clone(), signatures: paper.signatures.clone() }
}
