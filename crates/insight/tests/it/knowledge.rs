//! Real files of the four kinds of intelligence, when they are at hand.

use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use kenshin_insight::intelligence::{
    Import, Importer, Intelligence, IntelligenceKind, Names, Records, Snapshot, SnapshotError, Status,
};
use kenshin_observation::Exploitation;

pub(crate) fn shared(folder: &str) -> Option<PathBuf> {
    let base = match std::env::var_os("KENSHIN_SHARED_DATA") {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
    };
    let path = base.join(folder);
    if !path.exists() {
        eprintln!("skipped: `{folder}` is not at hand");
    }
    path.exists().then_some(path)
}

fn bytes(path: &Path) -> Vec<u8> {
    let raw = std::fs::read(path).unwrap();
    if path.extension().is_none_or(|extension| extension != "gz") {
        return raw;
    }
    let mut bytes = Vec::new();
    GzDecoder::new(raw.as_slice()).read_to_end(&mut bytes).unwrap();
    bytes
}

fn import(kind: IntelligenceKind, paths: &[PathBuf]) -> Import {
    let mut importer = Importer::new(kind);
    for path in paths {
        // A small buffer shows that records may lie across its borders.
        importer
            .read(&path.to_string_lossy(), BufReader::with_capacity(4096, bytes(path).as_slice()))
            .unwrap();
    }
    importer.finish("2026-04-01".parse().unwrap())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn cves() -> Option<Import> {
    let file = shared("cve5-iot/iot-to-2023.jsonl.gz")?;
    Some(import(IntelligenceKind::Cve, &[file]))
}

#[test]
fn the_exploited_catalogue_is_read_whole_from_either_form() {
    let Some(folder) = shared("kev") else { return };
    let of = |name: &str| import(IntelligenceKind::Kev, &[folder.join(name)]);
    let json = of("known_exploited_vulnerabilities.json");
    let csv = of("known_exploited_vulnerabilities.csv");
    for import in [&json, &csv] {
        assert!(import.rejected.is_empty(), "{:?}", import.rejected);
        assert_eq!(import.snapshot.records.len(), 1404);
    }
    assert_eq!(json.snapshot.version, "2025.08.25");
    assert_eq!(csv.snapshot.version, "2025-08-25", "the CSV states no version; its newest entry does");
    assert_eq!(json.snapshot.records, csv.snapshot.records);
    assert_eq!(json.snapshot.sha256, csv.snapshot.sha256, "the same knowledge has the same digest");
    let Records::Kev(records) = &json.snapshot.records else { panic!("kev") };
    assert_eq!(records.iter().filter(|record| record.ransomware).count(), 293);
}

#[test]
fn every_record_of_the_iot_vendors_is_read() {
    let Some(import) = cves() else { return };
    assert!(import.rejected.is_empty(), "{:?}", import.rejected);
    let Records::Cve(records) = &import.snapshot.records else { panic!("cve") };
    assert_eq!(records.len(), 1685);
    let named = records.iter().filter(|record| !record.affected.is_empty()).count();
    let scored = records.iter().filter(|record| record.cvss.is_some()).count();
    assert_eq!((named, scored), (1685, 1299));
}

#[test]
fn a_version_is_affected_not_affected_or_unknown() {
    use Status::{Affected, Unaffected, Unknown};
    let Some(import) = cves() else { return };
    let intelligence = Intelligence::new([import.snapshot]);
    for (vendor, product, version, cve, expected) in [
        // The issuing authority states ranges, and that nothing else is affected.
        ("Fortinet", "FortiOS", "7.2.2", "CVE-2022-42475", Affected),
        ("fortinet", "fortios", "7.2.3", "CVE-2022-42475", Unaffected),
        ("Fortinet", "FortiOS", "not told", "CVE-2022-42475", Unknown),
        // A phrase beside CISA's range.
        ("Zyxel", "ATP", "5.37", "CVE-2023-6764", Affected),
        ("Zyxel", "ATP", "V5.37 Patch 1", "CVE-2023-6764", Affected),
        ("Zyxel", "ATP", "5.37 Patch 2", "CVE-2023-6764", Unaffected),
        ("ZyXEL Communications Corp.", "ATP firmware", "4.31", "CVE-2023-6764", Unaffected),
        ("Zyxel", "NAS326", "V5.21(AAZF.14)C0", "CVE-2023-5372", Affected),
        ("Zyxel", "NAS326", "V5.21(AAZF.16)C0", "CVE-2023-5372", Unaffected),
        ("Zyxel", "NAS326", "V5.21(ABAG.14)C0", "CVE-2023-5372", Unknown),
        // The authority says n/a, CISA gives a range without saying what lies outside.
        ("DrayTek Corp.", "Vigor3900", "1.5.0", "CVE-2020-15415", Affected),
        ("draytek", "vigor3900_firmware", "1.5.1", "CVE-2020-15415", Unknown),
        // A range of the firmware beside "all revisions of the hardware".
        ("D-Link", "DIR-600", "2.15", "CVE-2014-100005", Affected),
        ("D-Link", "DIR-600", "2.16ww", "CVE-2014-100005", Affected),
        ("D-Link", "DIR-600", "2.16eu", "CVE-2014-100005", Unknown),
        ("D-Link", "DIR-600", "2.17", "CVE-2014-100005", Unknown),
        ("D-Link", "DIR-645", "1.04b11", "CVE-2015-2051", Affected),
        ("D-Link", "DIR-645", "1.04", "CVE-2015-2051", Unknown),
        ("QNAP Systems Inc.", "QTS", "5.1.5.2645 build 20240116", "CVE-2023-50361", Affected),
        ("QNAP", "QTS", "5.1.6.2722 build 20240402", "CVE-2023-50361", Unaffected),
        ("Siemens", "RUGGEDCOM RS900MNC-GETS-C01", "V4.3.7", "CVE-2021-42018", Affected),
        ("Siemens", "RUGGEDCOM RS900MNC-GETS-C01", "V4.3.8", "CVE-2021-42018", Unknown),
    ] {
        let matches = intelligence.matches(vendor, product, version);
        let found = matches.iter().find(|found| found.cve.id.to_string() == cve);
        assert_eq!(found.map(|found| found.status), Some(expected), "{vendor} {product} {version} {cve}");
    }
    assert!(intelligence.matches("n/a", "n/a", "1.0").is_empty(), "n/a is no product");
    assert!(intelligence.matches("D-Link", "no such", "1.0").is_empty());
    let unaffected = intelligence.matches("Fortinet", "FortiOS", "99.0");
    assert!(unaffected.iter().all(|found| found.status != Affected), "{unaffected:?}");
}

#[test]
fn every_product_of_endoflife_is_read() {
    let Some(folder) = shared("endoflife/products") else { return };
    let import = import(IntelligenceKind::EndOfLife, &files(&folder));
    assert!(import.rejected.is_empty(), "{:#?}", import.rejected);
    assert_eq!(import.snapshot.records.len(), 464);
    let Records::EndOfLife(products) = &import.snapshot.records else { panic!("endoflife") };
    let releases: usize = products.iter().map(|product| product.releases.len()).sum();
    let cpes: usize = products.iter().map(|product| product.cpes.len()).sum();
    let undated =
        products.iter().flat_map(|product| &product.releases).filter(|release| release.eol.is_none()).count();
    assert_eq!((releases, cpes, undated), (8351, 479, 0));

    let intelligence = Intelligence::new([import.snapshot]);
    let today = "2026-04-01".parse().unwrap();
    for (vendor, product, version, cycle, ended) in [
        (Some("OpenWrt"), "OpenWrt", "19.07.3", "19.07", true),
        (Some("openwrt"), "openwrt", "24.10.1", "24.10", false),
        (Some("MikroTik"), "RouterOS", "7.19.4", "7.19", true),
        (Some("Fortinet"), "FortiOS", "v6.4.12", "6.4", true),
        (Some("F5"), "nginx", "1.18.0", "1.18", true),
        (Some("openssl"), "OpenSSL", "1.1.1w", "1.1.1", true),
    ] {
        let found =
            intelligence.cycle(vendor, product, version).unwrap_or_else(|| panic!("{product} {version}"));
        assert_eq!(
            (found.release.cycle.as_str(), found.release.ended(today)),
            (cycle, ended),
            "{product} {version}"
        );
        assert!(
            intelligence.source_of_cycles(found.product).unwrap().starts_with("endoflife@2026-04-01#sha256:")
        );
    }
    assert!(intelligence.cycle(Some("OpenWrt"), "OpenWrt", "no version").is_none());
    assert!(
        intelligence.cycle(Some("nobody"), "routeros", "7.19").is_none(),
        "another maker's product of that name"
    );
    assert!(intelligence.model("Google", "Pixel 2").is_some_and(|found| found.release.ended(today)));
}

#[test]
fn the_answer_of_the_endoflife_api_is_read() {
    let Some(folder) = shared("vulnfeeds/endoflife-date/api/testdata/fixtures/happy/full") else { return };
    let mut paths = vec![folder];
    while paths.iter().any(|path| path.is_dir()) {
        paths = paths
            .iter()
            .flat_map(|path| if path.is_dir() { files(path) } else { vec![path.clone()] })
            .collect();
    }
    let import = import(IntelligenceKind::EndOfLife, &paths);
    assert!(import.rejected.is_empty(), "{:?}", import.rejected);
    assert_eq!((import.snapshot.version.as_str(), import.snapshot.records.len()), ("2025-07-02", 2));
    let intelligence = Intelligence::new([import.snapshot]);
    let focal = intelligence.cycle(Some("Canonical"), "Ubuntu Linux", "20.04").unwrap();
    let today = "2026-04-01".parse().unwrap();
    assert!(focal.release.ended(today) && focal.release.extended(today));
}

#[test]
fn exploit_predictions_of_every_age_are_read() {
    let Some(folder) = shared("vulnfeeds/epss/testdata/fixtures") else { return };
    let read = |path| {
        let import = import(IntelligenceKind::Epss, &[path]);
        assert!(import.rejected.is_empty(), "{:?}", import.rejected);
        let Records::Epss(records) = &import.snapshot.records else { panic!("epss") };
        let percentiles = records.iter().filter(|record| record.percentile_ppm.is_some()).count();
        (import.snapshot.version.clone(), records.len(), percentiles)
    };
    let read: Vec<(String, usize, usize)> = files(&folder).into_iter().map(read).collect();
    let read: Vec<(&str, usize, usize)> = read.iter().map(|(v, n, p)| (v.as_str(), *n, *p)).collect();
    assert_eq!(
        read,
        [
            ("2021-04-14", 2, 0),
            ("2021-09-01", 2, 2),
            ("2022-02-04-v2022.01.01", 2, 2),
            ("2023-03-07-v2023.03.01", 2, 2)
        ]
    );
}

#[test]
fn the_stored_form_comes_back_and_damage_is_noticed() {
    let mut snapshots: Vec<Snapshot> = cves().into_iter().map(|import| import.snapshot).collect();
    if let Some(folder) = shared("kev") {
        let file = folder.join("known_exploited_vulnerabilities.csv");
        snapshots.push(import(IntelligenceKind::Kev, &[file]).snapshot);
    }
    if let Some(folder) = shared("endoflife/products") {
        snapshots.push(import(IntelligenceKind::EndOfLife, &files(&folder)[..40]).snapshot);
    }
    for snapshot in snapshots {
        let mut stored = Vec::new();
        snapshot.write(&mut stored).unwrap();
        assert_eq!(Snapshot::read(stored.as_slice()).unwrap(), snapshot);
        let last = stored[..stored.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap();
        assert!(matches!(Snapshot::read(&stored[..=last]), Err(SnapshotError::Damaged)), "a record is lost");
        let at = stored.iter().rposition(u8::is_ascii_alphabetic).unwrap();
        stored[at] = if stored[at] == b'x' { b'y' } else { b'x' };
        assert!(Snapshot::read(stored.as_slice()).is_err(), "a letter is changed");
    }
}

#[test]
fn real_names_of_one_product_meet() {
    let Some(folder) = shared("kev") else { return };
    let kev = import(IntelligenceKind::Kev, &[folder.join("known_exploited_vulnerabilities.json")]);
    let Some(cves) = cves() else { return };
    let (Records::Kev(kev), Records::Cve(cves)) = (&kev.snapshot.records, &cves.snapshot.records) else {
        panic!()
    };
    let (mut both, mut vendors) = (0, 0);
    for entry in kev {
        let Ok(at) = cves.binary_search_by_key(&entry.cve, |cve| cve.id) else { continue };
        let names = Names::of(&entry.vendor, &entry.product);
        let mut written =
            cves[at].affected.iter().map(|affected| Names::of(&affected.vendor, &affected.product));
        both += 1;
        vendors += usize::from(written.any(|w| w.vendors.iter().any(|v| names.vendors.contains(v))));
    }
    assert_eq!(
        (both, vendors),
        (29, 29),
        "CISA's catalogue and the CVE list write vendors alike after normalising"
    );
}

#[test]
fn pages_and_records_of_nvd_are_read_and_joined_to_the_list() {
    let Some(folder) = shared("nvd") else { return };
    let page = folder.join("nvd-api2-full-page.json");
    let paged = import(IntelligenceKind::Cve, std::slice::from_ref(&page));
    assert!(paged.rejected.is_empty(), "{:?}", paged.rejected);
    assert_eq!(paged.snapshot.records.len(), 38);
    let Records::Cve(of_page) = &paged.snapshot.records else { panic!("cve") };
    assert!(of_page.iter().any(|cve| cve.id.to_string() == "CVE-2023-45109" && !cve.affected.is_empty()));
    let mut records: Vec<PathBuf> = files(&folder.join("vulnfeeds/test_data/nvdcve-2.0"));
    records.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    let count = records.len();
    let alone = import(IntelligenceKind::Cve, &records);
    assert!(alone.rejected.is_empty(), "{:?}", alone.rejected);
    assert_eq!(alone.snapshot.records.len(), count);

    let list = r#"{"cveMetadata":{"cveId":"CVE-2023-27314","state":"PUBLISHED","dateUpdated":"2023-10-12T00:00:00Z"},
        "containers":{"cna":{"title":"of the list","affected":[{"vendor":"n/a","product":"n/a","versions":[{"version":"n/a","status":"affected"}]}]}}}"#;
    let withdrawn =
        r#"{"cveMetadata":{"cveId":"CVE-2023-45109","state":"REJECTED"},"containers":{"cna":{}}}"#;
    let mut importer = Importer::new(IntelligenceKind::Cve);
    importer.read("page", bytes(&page).as_slice()).unwrap();
    importer.read("list", format!("{list}\n{withdrawn}\n").as_bytes()).unwrap();
    let Records::Cve(joined) = importer.finish("2026-04-01".parse().unwrap()).snapshot.records else {
        panic!()
    };
    let of = |id: &str| joined.iter().find(|cve| cve.id.to_string() == id).unwrap();
    let ontap = of("CVE-2023-27314");
    assert_eq!(ontap.title.as_deref(), Some("of the list"));
    assert_eq!(ontap.updated, Some("2023-10-18".parse().unwrap()));
    assert!(ontap.cvss.is_some() && !ontap.affected.is_empty());
    assert!(ontap.affected.iter().all(|entry| entry.source == "nvd"), "the list said n/a");
    assert!(of("CVE-2023-45109").affected.is_empty(), "what the list withdrew stays withdrawn");
    assert_eq!(joined.len(), 38);
}

#[test]
fn what_cisa_answered_is_kept() {
    let Some(import) = cves() else { return };
    let Records::Cve(records) = &import.snapshot.records else { panic!("cve") };
    let answers: Vec<_> = records.iter().filter_map(|record| record.ssvc).collect();
    let active = answers.iter().filter(|ssvc| ssvc.exploitation == Exploitation::Active).count();
    let total = answers.iter().filter(|ssvc| ssvc.total).count();
    // Counted by a script of a few lines over the same file.
    assert_eq!((answers.len(), active, total), (1_685, 27, 983));
}
