//! What those who speak about one product and one vulnerability say of one version, together.

use crate::cpe::Cpe;
use crate::intelligence::{Affected, IntelligenceKind, Status};

/// A document other than the CVE record that speaks of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said<'a> {
    /// `csaf` or `osv`.
    pub kind: IntelligenceKind,
    /// Its identifier, e.g. `SSA-426509`.
    pub document: &'a str,
    /// Who published it; empty for OSV.
    pub publisher: &'a str,
    /// Why the product is not affected, as the label of a VEX flag.
    pub justification: Option<&'a str>,
    /// What to do, in the publisher's words.
    pub remedy: Option<&'a str>,
    /// Position of its snapshot.
    pub(super) snapshot: usize,
}

/// One entry and who says it: nobody else than the CVE record where `said` is `None`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Voice<'a> {
    pub(super) entry: &'a Affected,
    pub(super) said: Option<Said<'a>>,
}

/// The status of `version`, and the voice that decided.
///
/// When the maker of a product states that a version is not affected or fixed, that is the answer
/// (VEX). Otherwise it is *affected* when one voice says so and none says *unaffected*; where they
/// contradict each other it is *unknown*.
pub(super) fn decide<'a>(voices: &[Voice<'a>], version: &str) -> (Status, Option<Voice<'a>>) {
    let of_vendor = |voice: &&Voice<'a>| voice.entry.of_vendor();
    if let (Status::Unaffected, voice) = agreed(voices.iter().filter(of_vendor), version) {
        return (Status::Unaffected, voice);
    }
    let firmware = voices.iter().any(|voice| is_firmware(voice.entry));
    // "All revisions of the hardware" beside a range of its firmware says nothing of versions.
    let of_hardware =
        |entry: &Affected| firmware && !is_firmware(entry) && is_part(entry, "h") && entry.names_all();
    agreed(voices.iter().filter(|voice| !of_hardware(voice.entry)), version)
}

fn agreed<'a: 'v, 'v>(
    voices: impl Iterator<Item = &'v Voice<'a>>,
    version: &str,
) -> (Status, Option<Voice<'a>>) {
    let (mut affected, mut unaffected) = (None, None);
    for voice in voices {
        match voice.entry.status(version) {
            Status::Affected => affected = affected.or(Some(*voice)),
            Status::Unaffected => unaffected = unaffected.or(Some(*voice)),
            Status::Unknown => {}
        }
    }
    match (affected, unaffected) {
        (Some(voice), None) => (Status::Affected, Some(voice)),
        (None, Some(voice)) => (Status::Unaffected, Some(voice)),
        _ => (Status::Unknown, None),
    }
}

fn is_part(entry: &Affected, part: &str) -> bool {
    !entry.cpes.is_empty()
        && entry.cpes.iter().all(|cpe| cpe.parse::<Cpe>().is_ok_and(|cpe| cpe.part.text() == Some(part)))
}

fn is_firmware(entry: &Affected) -> bool {
    is_part(entry, "o") || entry.product.to_lowercase().ends_with("firmware")
}
