//! Fuzzes the readers of intelligence files of every kind, versions and CPE names: the first byte chooses one.
#![no_main]

use kenshin_insight::cpe::Cpe;
use kenshin_insight::intelligence::{Importer, Intelligence, IntelligenceKind, Snapshot};
use kenshin_insight::version::compare;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((&choice, rest)) = bytes.split_first() else { return };
    match IntelligenceKind::ALL.get(usize::from(choice) % (IntelligenceKind::ALL.len() + 2)) {
        Some(&kind) => {
            let mut importer = Importer::new(kind);
            if importer.read("fuzz", rest).is_err() {
                return;
            }
            let snapshot = importer.finish("2026-04-01".parse().expect("a day")).snapshot;
            let mut stored = Vec::new();
            snapshot.write(&mut stored).expect("memory takes everything");
            let read = Snapshot::read(stored.as_slice()).expect("what was written is read");
            assert_eq!(read, snapshot);
            let intelligence = Intelligence::new([read]);
            intelligence.matches("vendor", "product", "1.0");
            let addresses = intelligence.addresses();
            addresses.lookup("192.0.2.1".parse().expect("an address"));
        }
        None => {
            let text = String::from_utf8_lossy(rest);
            let (a, b) = text.split_once('\n').unwrap_or((&text, ""));
            assert_eq!(compare(a, b), compare(b, a).map(std::cmp::Ordering::reverse));
            if let (Ok(a), Ok(b)) = (a.parse::<Cpe>(), b.parse::<Cpe>()) {
                a.covers(&b);
            }
        }
    }
});
