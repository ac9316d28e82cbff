//! The shipped pack: its examples are its tests.

use std::collections::BTreeSet;

use kenshin_insight::fingerprint::{OWN, Pack};
use kenshin_insight::identity::{cpe23, device_type};

#[test]
fn every_example_matches_its_own_fingerprint_first() {
    let pack = Pack::own();
    let (mut examples, mut faults) = (0, Vec::new());
    for database in pack.databases() {
        let result = database.verify(|_| None);
        assert_eq!(result.fingerprints, database.fingerprints().len());
        examples += result.examples;
        faults.extend(result.faults.iter().map(ToString::to_string));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let stated = format!("{} fingerprints with {examples} examples", pack.len());
    let page = include_str!("../../../../docs/fingerprints.md");
    assert!(page.contains(&stated), "docs/fingerprints.md should say: {stated}");
}

#[test]
fn every_fingerprint_names_its_source_and_uses_known_words() {
    for database in Pack::own().databases() {
        for fingerprint in database.fingerprints() {
            let place = format!("{}:{}", database.file(), fingerprint.line());
            assert!(fingerprint.source().is_some_and(|source| source.len() > 10), "{place}: no source");
            assert!(!fingerprint.description().is_empty(), "{place}: no description");
            assert!(!fingerprint.params().is_empty(), "{place}: says nothing");
            let mut names = BTreeSet::new();
            for param in fingerprint.params() {
                assert!(names.insert(&param.name), "{place}: `{}` twice", param.name);
                if param.name.ends_with(".device") {
                    assert!(device_type(&param.value).is_some(), "{place}: device `{}`", param.value);
                }
                if param.name.ends_with(".cpe23") {
                    assert!(cpe23(&param.value).is_some(), "{place}: CPE `{}`", param.value);
                }
            }
        }
    }
}

#[test]
fn every_file_of_the_folder_is_shipped() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("pack");
    let mut there: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    there.sort();
    let shipped: Vec<&str> = OWN.iter().map(|(name, _)| *name).collect();
    assert_eq!(there, shipped);
}

#[test]
fn nothing_is_copied_from_recog() {
    let Some(recog) = crate::recog::pack() else {
        eprintln!("skipped: nothing_is_copied_from_recog (no shared data)");
        return;
    };
    let theirs: BTreeSet<&str> = recog
        .databases()
        .iter()
        .flat_map(|database| database.fingerprints())
        .map(|fingerprint| fingerprint.pattern())
        .filter(|pattern| pattern.len() > 24)
        .collect();
    for database in Pack::own().databases() {
        for fingerprint in database.fingerprints() {
            let place = format!("{}:{}", database.file(), fingerprint.line());
            assert!(!theirs.contains(fingerprint.pattern()), "{place}: {}", fingerprint.pattern());
        }
    }
}
