//! Tables of autonomous systems and countries, from text and from MaxMind databases.

use std::net::IpAddr;

use kenshin_insight::intelligence::mmdb::{Mmdb, MmdbError, Value};
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

fn table(import: Import) -> AddressTable {
    match import.snapshot.records {
        Records::Asn(table) | Records::Country(table) => table,
        other => panic!("{:?}", other.kind()),
    }
}

fn addr(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Each range as `first-last number name country`.
fn lines(table: &AddressTable) -> Vec<String> {
    let line = |(from, to, entry): (IpAddr, IpAddr, &kenshin_insight::intelligence::Entry)| {
        let asn = entry.asn.map(|asn| asn.to_string());
        let words = [asn, entry.name.clone(), entry.country.clone(), entry.region.clone()];
        format!("{from}-{to} {}", words.into_iter().flatten().collect::<Vec<_>>().join(" "))
    };
    table.ranges().map(line).collect()
}

#[test]
fn systems_as_text() {
    let csv = "\u{feff}192.0.2.0,192.0.2.255,64500,\"Example, \"\"Inc.\"\"\"\n\
               2001:db8::,2001:db8:ffff:ffff:ffff:ffff:ffff:ffff,AS64501,Example\n\
               3325256704,3325256959,64502,by number\n\n\
               # a remark\n";
    let expected = [
        "192.0.2.0-192.0.2.255 64500 Example, \"Inc.\"",
        "198.51.100.0-198.51.100.255 64502 by number",
        "2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff 64501 Example",
    ];
    assert_eq!(lines(&table(read(IntelligenceKind::Asn, "asn.csv", csv.as_bytes()).unwrap())), expected);

    let tsv = "192.0.2.0\t192.0.2.255\t64500\tJP\tEXAMPLE-AS An example\n\
               198.51.100.0\t198.51.100.255\t0\tNone\tNot routed\n";
    let systems = read(IntelligenceKind::Asn, "ip2asn-combined.tsv", tsv.as_bytes()).unwrap();
    assert_eq!(systems.rejected_total, 0);
    assert_eq!(lines(&table(systems)), ["192.0.2.0-192.0.2.255 64500 EXAMPLE-AS An example"]);
    let countries = read(IntelligenceKind::Country, "ip2asn-combined.tsv", tsv.as_bytes()).unwrap();
    assert_eq!(lines(&table(countries)), ["192.0.2.0-192.0.2.255 JP"]);

    let blocks =
        "network,autonomous_system_number,autonomous_system_organization\n192.0.2.0/25,64500,\"Example\"\n";
    let blocks = read(IntelligenceKind::Asn, "GeoLite2-ASN-Blocks-IPv4.csv", blocks.as_bytes()).unwrap();
    assert_eq!(blocks.rejected_total, 0);
    assert_eq!(lines(&table(blocks)), ["192.0.2.0-192.0.2.127 64500 Example"]);
}

#[test]
fn parts_of_countries_are_kept_where_they_are_codes() {
    let csv = "192.0.2.0/25,jp,jp-13\n192.0.2.128/25,JP,Japan\n198.51.100.0/25,JP,AS\n198.51.100.128/25,JP,US-CA\n\
               203.0.113.0/25,JP,JP-\n203.0.113.128/25,GB,GB-ENG\n";
    let import = read(IntelligenceKind::Country, "c.csv", csv.as_bytes()).unwrap();
    assert_eq!(import.rejected_total, 0);
    let mut stored = Vec::new();
    import.snapshot.write(&mut stored).unwrap();
    let table = Intelligence::new([Snapshot::read(stored.as_slice()).unwrap()]).addresses();
    let region = |at: &str| table.lookup(addr(at)).and_then(|entry| entry.region.as_deref());
    assert_eq!(region("192.0.2.1"), Some("JP-13"));
    assert_eq!(region("203.0.113.200"), Some("GB-ENG"));
    for at in ["192.0.2.200", "198.51.100.1", "198.51.100.200", "203.0.113.1"] {
        assert_eq!((region(at), table.country(addr(at))), (None, Some("JP")), "{at}");
    }
}

#[test]
fn a_bad_line_is_reported_and_leaves_the_rest() {
    let csv = "192.0.2.0,192.0.2.255,JP\n192.0.2.9,192.0.2.1,JP\nx,y,JP\n198.51.100.0,198.51.100.255,JPN\n\
               203.0.113.0,203.0.113.255\n2001:db8::,192.0.2.1,JP\n\"203.0.113.0,203.0.113.9,FR\n203.0.113.0/24,fr\n";
    let import = read(IntelligenceKind::Country, "c.csv", csv.as_bytes()).unwrap();
    let said: Vec<String> = import.rejected.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "c.csv:2: 192.0.2.9 to 192.0.2.1 is no range of addresses",
            "c.csv:3: `x` is not an address",
            "c.csv:4: `JPN` is not the code of a country",
            "c.csv:5: the line has no country",
            "c.csv:6: 2001:db8:: to 192.0.2.1 is no range of addresses",
            "c.csv:7: a quote has no end",
        ]
    );
    assert_eq!(lines(&table(import)), ["192.0.2.0-192.0.2.255 JP", "203.0.113.0-203.0.113.255 FR"]);
    for (file, text) in [("oui.csv", "Registry,Assignment\nMA-L,002272\n"), ("empty", "")] {
        let error = read(IntelligenceKind::Asn, file, text.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("`{file}` is not a file of kind `asn`: ")), "{error}");
    }
}

#[test]
fn stored_tables_come_back_and_answer_together() {
    let systems = "192.0.2.0,192.0.2.255,64500,Example\n";
    let countries = "192.0.2.0,192.0.2.127,JP\n2001:db8::,2001:db8::ff,FR\n";
    let read = |kind, text: &str| read(kind, "a.csv", text.as_bytes()).unwrap().snapshot;
    let snapshots =
        [read(IntelligenceKind::Asn, systems), read(IntelligenceKind::Country, countries)].map(|snapshot| {
            let mut stored = Vec::new();
            snapshot.write(&mut stored).unwrap();
            let back = Snapshot::read(stored.as_slice()).unwrap();
            assert_eq!(back, snapshot);
            back
        });
    let table = Intelligence::new(snapshots).addresses();
    assert_eq!(table.asn(addr("192.0.2.200")), Some((64500, Some("Example"))));
    assert_eq!(table.country(addr("192.0.2.200")), None);
    assert_eq!(
        (table.country(addr("192.0.2.1")), table.asn(addr("192.0.2.1")).is_some()),
        (Some("JP"), true)
    );
    assert_eq!(table.country(addr("2001:db8::7")), Some("FR"));
}

/// What becomes of each file of MaxMind's own test data: how many ranges, or a part of the reason.
#[test]
fn every_test_database_is_read_or_refused_for_the_right_reason() {
    let Some(folder) = shared("mmdb/test-data") else { return };
    const LOOP: &str = "the search tree leads back to node 0";
    const POINTER: &str = "a pointer leads out of the data section";
    const CUT: &str = "its metadata states 100000 nodes, more than the file holds";
    const NO_DATABASE: &str = "it has no MaxMind DB metadata";
    // Published by MaxMind's own readers as what they must answer.
    let systems = [
        ("GeoLite2-ASN-Test.mmdb", Some("1.128.0.5"), 1_221),
        ("GeoIP2-ISP-Test.mmdb", Some("2600:7000::1"), 6_939),
        ("GeoIP2-Enterprise-Test.mmdb", None, 0),
        ("GeoIP2-Enterprise-Shield-Test.mmdb", None, 0),
        ("GeoIP2-Precision-Enterprise-Test.mmdb", None, 0),
        ("GeoIP2-Precision-Enterprise-Shield-Test.mmdb", None, 0),
    ];
    let countries = [
        ("GeoIP2-Country-Test.mmdb", "2.125.160.216", "GB", None),
        ("GeoLite2-Country-Test.mmdb", "81.2.69.142", "GB", None),
        ("GeoIP2-City-Test.mmdb", "2001:218::1", "JP", None),
        ("GeoLite2-City-Test.mmdb", "89.160.20.112", "SE", Some("SE-E")),
        ("GeoIP2-Enterprise-Test.mmdb", "74.209.24.0", "US", Some("US-NY")),
    ];
    let broken = [
        ("MaxMind-DB-test-broken-search-tree-24.mmdb", LOOP),
        ("MaxMind-DB-test-broken-pointers-24.mmdb", POINTER),
        ("GeoIP2-City-Test-Invalid-Node-Count.mmdb", CUT),
        ("maps-with-pointers.raw", NO_DATABASE),
        ("README.md", "is not an address"),
    ];
    let mut files = 0;
    for path in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
        files += 1;
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).unwrap();
        let both = [IntelligenceKind::Asn, IntelligenceKind::Country].map(|kind| read(kind, &name, &bytes));
        if let Some((_, reason)) = broken.iter().find(|(file, _)| *file == name) {
            for result in both {
                let error = result.unwrap_err().to_string();
                assert!(error.contains(reason), "{name}: {error}");
            }
            continue;
        }
        let [asn, country] = both;
        match (asn, systems.iter().find(|(file, ..)| *file == name)) {
            (Ok(import), Some((_, place, asn))) => {
                assert_eq!(import.rejected_total, 0, "{name}");
                if let Some(place) = place {
                    assert_eq!(table(import).asn(addr(place)).unwrap().0, *asn, "{name}");
                }
            }
            (Err(error), None) => assert!(error.to_string().contains("names a system"), "{name}: {error}"),
            (result, _) => panic!("{name}: {result:?}"),
        }
        match country {
            Ok(import) => {
                assert!(["City", "Country", "Enterprise"].iter().any(|kind| name.contains(kind)), "{name}");
                // In the broken one some records hold a double that is not eight bytes long.
                assert_eq!(import.rejected_total > 0, name.contains("Broken-Double"), "{name}");
                for rejected in &import.rejected {
                    assert!(rejected.reason.contains("type 3 has the impossible length"), "{rejected}");
                    assert!(
                        rejected.to_string().starts_with(&format!("{name}: the record of ")),
                        "{rejected}"
                    );
                }
                if let Some((_, place, code, region)) = countries.iter().find(|(file, ..)| *file == name) {
                    let table = table(import);
                    assert_eq!(table.country(addr(place)), Some(*code), "{name}");
                    assert_eq!(table.lookup(addr(place)).unwrap().region.as_deref(), *region, "{name}");
                }
            }
            Err(error) => assert!(error.to_string().contains("names a country"), "{name}: {error}"),
        }
    }
    assert_eq!(files, 42, "a new file wants a place in this test");
}

#[test]
fn networks_of_every_record_size() {
    let Some(folder) = shared("mmdb/test-data") else { return };
    for size in [24, 28, 32] {
        for (family, networks) in [("ipv4", 6), ("ipv6", 5), ("mixed", 11)] {
            let name = format!("MaxMind-DB-test-{family}-{size}.mmdb");
            let bytes = std::fs::read(folder.join(&name)).unwrap();
            let database = Mmdb::open(&bytes).unwrap();
            let mut found = Vec::new();
            database.networks(|network| found.push(network)).unwrap();
            assert_eq!(found.len(), networks, "{name}");
            assert!(found.windows(2).all(|pair| pair[0].to < pair[1].from), "{name} is in order");
            for network in found {
                // The record of each network is its own first address.
                let record = database.record(network.place).unwrap();
                let said: IpAddr = record.get("ip").unwrap().text().unwrap().parse().unwrap();
                let said = match said {
                    IpAddr::V6(v6) if v6.segments()[..6] == [0; 6] => IpAddr::V4(v6.to_ipv4().unwrap()),
                    other => other,
                };
                assert_eq!(said, network.from, "{name}");
            }
        }
    }
}

#[test]
fn values_of_every_type() {
    let Some(folder) = shared("mmdb/test-data") else { return };
    let bytes = std::fs::read(folder.join("MaxMind-DB-test-decoder.mmdb")).unwrap();
    let database = Mmdb::open(&bytes).unwrap();
    let mut place = None;
    database
        .networks(|network| {
            if network.from == addr("1.1.1.0") {
                place = Some(network.place);
            }
        })
        .unwrap();
    let record = database.record(place.unwrap()).unwrap();
    let number = Value::Unsigned;
    for (key, expected) in [
        ("array", Value::List(vec![number(1), number(2), number(3)])),
        ("boolean", Value::Bool(true)),
        ("bytes", Value::Bytes(&[0, 0, 0, 42])),
        ("double", Value::Float(42.123_456)),
        ("float", Value::Float(f64::from(1.1_f32))),
        ("int32", Value::Signed(-(1 << 28))),
        ("uint16", number(100)),
        ("uint32", number(1 << 28)),
        ("uint64", number(1 << 60)),
        ("uint128", number(1 << 120)),
        ("utf8_string", Value::Text("unicode! ☯ - ♫")),
    ] {
        assert_eq!(record.get(key), Some(&expected), "{key}");
    }
    let inner = record.get("map").unwrap().get("mapX").unwrap();
    assert_eq!(inner.get("arrayX"), Some(&Value::List(vec![number(7), number(8), number(9)])));
}

/// A database of one node whose record is `data`.
fn database(data: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 17, 0, 0, 17];
    file.extend([0; 16]);
    file.extend(data);
    file.extend(b"\xab\xcd\xefMaxMind.com");
    let short = |text: &str| [&[0x40 | text.len() as u8], text.as_bytes()].concat();
    file.push(0xe0 | 4);
    for (key, value) in [
        (short("node_count"), 1u8),
        (short("record_size"), 24),
        (short("ip_version"), 4),
        (short("binary_format_major_version"), 2),
    ] {
        file.extend(key);
        file.extend([0xa1, value]);
    }
    file
}

#[test]
fn bombs_of_pointers_and_nesting_are_refused() {
    let record = |data: &[u8]| {
        let file = database(data);
        Mmdb::open(&file).unwrap().record(0).map(|_| ())
    };
    assert_eq!(record(&[0xe0]), Ok(()));
    assert!(matches!(record(&[0x20, 0x00]), Err(MmdbError::Pointer(_))), "a pointer to itself");
    assert_eq!(record(&[0x01, 0x04, 0x20, 0x00]), Err(MmdbError::Large), "a list that holds itself");
    // Each list holds the one behind it sixteen times.
    let mut bomb = Vec::new();
    for _ in 0..12 {
        let behind = bomb.len() + 2 + 32;
        bomb.extend([0x10, 0x04]);
        (0..16).for_each(|_| bomb.extend([0x20 | (behind >> 8) as u8, behind as u8]));
    }
    bomb.push(0xe0);
    assert_eq!(record(&bomb), Err(MmdbError::Large));
    assert_eq!(record(&[0xe1, 0xa1, 1, 0xa1, 1]), Err(MmdbError::Key));
    assert_eq!(record(&[0x41, 0xff]), Err(MmdbError::Text));
    assert_eq!(record(&[0x00, 0x00]), Err(MmdbError::Type(7)));
    assert_eq!(record(&[0x00, 0x0a]), Err(MmdbError::Type(17)));
    assert!(
        matches!(record(&[0x5f, 0xff, 0xff, 0xff]), Err(MmdbError::Pointer(_))),
        "a text longer than the file"
    );
}

proptest! {
    #[test]
    fn no_database_breaks_the_reader(data in prop::collection::vec(any::<u8>(), 0..60), at in 0usize..200, byte: u8) {
        let mut file = database(&data);
        if let Some(place) = file.get_mut(at) {
            *place = byte;
        }
        for kind in [IntelligenceKind::Asn, IntelligenceKind::Country] {
            let _ = read(kind, "a.mmdb", &file);
        }
    }

    #[test]
    fn no_text_breaks_the_reader(text in "([0-9a-f:./]{0,20}|[,\t\"\nA-Z]){0,40}") {
        for kind in [IntelligenceKind::Asn, IntelligenceKind::Country] {
            let _ = read(kind, "a.csv", text.as_bytes());
        }
    }
}
