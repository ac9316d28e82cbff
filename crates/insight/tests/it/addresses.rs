//! Tables of autonomous systems and countries, from text and from MaxMind databases.

use std::net::IpAddr;

use kenshin_insight::intelligence::mmdb::{Mmdb, MmdbError};
use kenshin_insight::intelligence::{
    AddressTable, Import, ImportError, Importer, Intelligence, IntelligenceKind, Records, Snapshot,
};
use proptest::prelude::*;

use crate::knowledge::shared;

fn read(kind: IntelligenceKind, file: &str, bytes: &[u8]) -> Result<Import, ImportError> {
    let mut importer = Importer::new(kind);
    importer.read(file, bytes)?;
    Ok(importer.finish("2026-04-01".parse().unwrap()))
}

#[test]
fn tmp() {
    let Some(folder) = shared("mmdb/test-data") else { return };
    for path in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        let bytes = std::fs::read(&path).unwrap();
        for kind in [IntelligenceKind::Asn, IntelligenceKind::Country] {
            match read(kind, path.to_str().unwrap(), &bytes) {
                Ok(i) => println!("{} {kind} ok {} {} rej {} {:?}", path.file_name().unwrap().to_str().unwrap(), i.snapshot.records.len(), i.snapshot.version, i.rejected_total, i.rejected.first().map(|r| r.reason.clone())),
                Err(e) => println!("{} {kind} {}", path.file_name().unwrap().to_str().unwrap(), e.to_string().split("kind").nth(1).unwrap().replace("\n"," ")),
            }
        }
    }
}
