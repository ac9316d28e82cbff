//! Fuzzes the reader of fingerprint files, and identity over what hosts may say: the first byte
//! chooses a field, or the reader.
#![no_main]

use kenshin_insight::fingerprint::{Database, Packs};
use kenshin_insight::identity::{Field, Sighting, identify_sightings};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((&choice, rest)) = bytes.split_first() else { return };
    match Field::ALL.get(usize::from(choice) % (Field::ALL.len() + 1)) {
        Some(&field) => {
            let identity = identify_sightings(&[Sighting::new(field, 1, rest)], &Packs::own());
            assert!(identity.version.is_none_or(|claim| !claim.value.chars().any(char::is_control)));
        }
        None => {
            let text = String::from_utf8_lossy(rest);
            if let Ok(database) = Database::parse("fuzz.xml", &text) {
                database.verify(|_| None);
            }
        }
    }
});
