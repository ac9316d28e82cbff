//! Fuzzes the reader of fingerprint files, identity over what hosts may say, and the reader of
//! labelled banners: the first byte chooses a field, a kind of service, or the reader.
#![no_main]

use kenshin_insight::evaluation::{Service, sightings};
use kenshin_insight::fingerprint::{Database, Packs};
use kenshin_insight::identity::{Field, Sighting, identify_sightings};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((&choice, rest)) = bytes.split_first() else { return };
    let choice = usize::from(choice) % (Field::ALL.len() + Service::ALL.len() + 1);
    let service = choice.checked_sub(Field::ALL.len()).and_then(|number| Service::ALL.get(number));
    match (Field::ALL.get(choice), service) {
        (Some(&field), _) => {
            let identity = identify_sightings(&[Sighting::new(field, 1, rest)], &Packs::own());
            assert!(identity.version.is_none_or(|claim| !claim.value.chars().any(char::is_control)));
        }
        (None, Some(&service)) => drop(sightings(service, rest)),
        (None, None) => {
            let text = String::from_utf8_lossy(rest);
            if let Ok(database) = Database::parse("fuzz.xml", &text) {
                database.verify(|_| None);
            }
        }
    }
});
