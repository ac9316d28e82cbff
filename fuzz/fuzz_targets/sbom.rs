//! Fuzzes what tells of components: bills of materials, lists by hand, known-good pages, and the
//! questions asked of them. The first byte chooses the reader.
#![no_main]

use kenshin_insight::component::{Census, Query, carried};
use kenshin_insight::intelligence::{Importer, Intelligence, IntelligenceKind, Snapshot};
use kenshin_observation::{Claim, Identity};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((&choice, rest)) = bytes.split_first() else { return };
    let kinds = [IntelligenceKind::Sbom, IntelligenceKind::ComponentList, IntelligenceKind::KnownGood];
    // Documents begin with `{`, `<` and letters: each is read as a bill of materials as it is.
    let (kind, text) = match choice {
        0..3 => (kinds[usize::from(choice)], rest),
        _ => (IntelligenceKind::Sbom, bytes),
    };
    let mut importer = Importer::new(kind).about("acme:r1*".parse().ok().filter(|_| choice % 2 == 1));
    if importer.read("fuzz", text).is_err() {
        return;
    }
    let snapshot = importer.finish("2026-04-01".parse().expect("a day")).snapshot;
    let mut stored = Vec::new();
    snapshot.write(&mut stored).expect("memory takes everything");
    assert_eq!(Snapshot::read(stored.as_slice()).expect("what was written is read"), snapshot);
    let intelligence = Intelligence::new([snapshot]);
    let claim = |value: &str| Some(Claim { value: value.into(), confidence: 90, reason: "fuzz".into() });
    let device = Identity {
        vendor: claim("Acme"),
        product: claim("R1"),
        version: claim("1.0"),
        ..Identity::default()
    };
    for one in carried(&device, &intelligence) {
        assert!(!one.evidence.is_empty() && one.confidence <= 100);
    }
    let query: Query = "gsoap:<2.8".parse().expect("a component");
    Census::new(&query, &intelligence).ask(&device);
});
