//! Fuzzes the reader of MaxMind databases: the walk over the tree and the records it leads to.
#![no_main]

use kenshin_insight::intelligence::mmdb::Mmdb;

/// Records decoded of one input; the walk itself is bounded by the number of nodes.
const RECORDS_MAX: usize = 200;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(database) = Mmdb::open(bytes) else { return };
    let mut places = Vec::new();
    let walked = database.networks(|network| {
        assert!(network.from <= network.to && network.from.is_ipv4() == network.to.is_ipv4());
        if places.len() < RECORDS_MAX {
            places.push(network.place);
        }
    });
    if walked.is_ok() {
        for place in places {
            let _ = database.record(place);
        }
    }
});
