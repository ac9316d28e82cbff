//! The whole Recog database, when it is at hand.

use std::path::PathBuf;
use std::sync::Arc;

use kenshin_insight::fingerprint::{Database, FaultKind, Pack};

fn shared(folder: &str) -> Option<PathBuf> {
    let base = match std::env::var_os("KENSHIN_SHARED_DATA") {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
    };
    let path = base.join(folder);
    path.is_dir().then_some(path)
}

/// File names and texts of the Recog database, sorted.
pub(crate) fn files() -> Option<Vec<(String, String)>> {
    let folder = shared("recog")?;
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "xml") {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            files.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
    files.sort();
    Some(files)
}

pub(crate) fn pack() -> Option<Arc<Pack>> {
    let files = files()?;
    let files = files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    Some(Arc::new(Pack::parse("recog", files).unwrap()))
}

#[test]
fn every_example_of_recog_matches_with_every_attribute_right() {
    let Some(files) = files() else {
        eprintln!("skipped: every_example_of_recog (no shared data)");
        return;
    };
    let (mut fingerprints, mut examples, mut right, mut first) = (0, 0, 0, 0);
    let mut wrong = Vec::new();
    let mut earlier = Vec::new();
    for (name, text) in &files {
        let result = Database::parse(name, text).unwrap().verify(|_| None);
        fingerprints += result.fingerprints;
        examples += result.examples;
        right += result.right;
        first += result.first;
        for fault in result.faults {
            match fault.kind {
                FaultKind::NoExample => {}
                FaultKind::EarlierFirst(_) => earlier.push(fault.to_string()),
                _ => wrong.push(fault.to_string()),
            }
        }
    }
    eprintln!("recog: {fingerprints} fingerprints, {examples} examples, {right} right, {first} first");
    for one in wrong.iter().chain(&earlier) {
        eprintln!("  {one}");
    }
    assert!(wrong.is_empty(), "{} wrong", wrong.len());
    assert!(earlier.is_empty(), "{} where an earlier fingerprint is first", earlier.len());
    assert!(fingerprints >= 4657 && examples >= 7525, "the whole database");
    assert_eq!((right, first), (examples, examples));
}

#[test]
fn the_prefilter_changes_no_answer() {
    let Some(pack) = pack() else {
        eprintln!("skipped: the_prefilter_changes_no_answer (no shared data)");
        return;
    };
    // Every fifth example is put to the databases of its neighbours too, where most match nothing.
    let databases = pack.databases();
    for (at, database) in databases.iter().enumerate() {
        let neighbour = &databases[(at + 1) % databases.len()];
        let examples = database.fingerprints().iter().flat_map(|fingerprint| fingerprint.examples());
        for example in examples.step_by(5) {
            for asked in [database, neighbour] {
                let number = asked.first_match(&example.text).map(|found| found.number);
                assert_eq!(number, asked.first_match_in_turn(&example.text).map(|found| found.number));
            }
        }
    }
}
