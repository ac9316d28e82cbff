//! Stored formats: the samples under `testdata/insight` were written by the first version of each
//! and open forever. `KENSHIN_WRITE_SAMPLES=1` writes those that are missing, never over old ones.

use std::path::PathBuf;

use kenshin_insight::asset::{AssetLink, AssetLinks, Sighting, hosts, resolve};
use kenshin_insight::finding::findings;
use kenshin_insight::intelligence::{
    Importer, Intelligence, IntelligenceKind, Records, Snapshot, SnapshotError,
};
use kenshin_observation::{AssetId, Identity, SurveyId};

use crate::world::{Seen, good_tls, seen, t0};

fn sample(name: &str, make: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/insight").join(name);
    if !path.exists() && std::env::var_os("KENSHIN_WRITE_SAMPLES").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, make()).unwrap();
    }
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn snapshot(kind: IntelligenceKind, file: &str, text: &str) -> Vec<u8> {
    let mut importer = Importer::new(kind);
    importer.read(file, text.as_bytes()).unwrap();
    let mut stored = Vec::new();
    importer.finish("2026-04-01".parse().unwrap()).snapshot.write(&mut stored).unwrap();
    stored
}

const KEV: &str = r#"{"catalogVersion":"2026.03.01","vulnerabilities":[{"cveID":"CVE-2099-0001","vendorProject":"Acme","product":"R1","vulnerabilityName":"Acme R1 Injection","dateAdded":"2026-02-01","knownRansomwareCampaignUse":"Known"}]}"#;
const CVE: &str = r#"{"cveMetadata":{"cveId":"CVE-2099-0001","state":"PUBLISHED","dateUpdated":"2026-01-02T00:00:00Z"},"containers":{"cna":{"title":"Injection","metrics":[{"cvssV3_1":{"version":"3.1","baseScore":9.8,"vectorString":"CVSS:3.1/AV:N"}}],"affected":[{"vendor":"acme","product":"r1","cpes":["cpe:2.3:o:acme:r1_firmware"],"defaultStatus":"unaffected","versions":[{"version":"0","status":"affected","lessThanOrEqual":"1.4","changes":[{"at":"1.2","status":"unaffected"}]},{"version":"2.0","status":"affected"}]}]}}}"#;
const EPSS: &str = "#model_version:v2026.01.01,score_date:2026-03-31T00:00:00+0000\ncve,epss,percentile\nCVE-2099-0001,0.81,0.99\n";
const SBOM: &str = r#"{"bomFormat":"CycloneDX","specVersion":"1.5","serialNumber":"urn:uuid:1","metadata":{"timestamp":"2026-02-01T00:00:00Z","component":{"type":"firmware","name":"R1","version":"1.2","supplier":{"name":"Acme"}}},"components":[{"type":"library","name":"gsoap","version":"2.8.10","cpe":"cpe:2.3:a:genivia:gsoap:2.8.10:*:*:*:*:*:*:*","purl":"pkg:generic/gsoap@2.8.10","properties":[{"name":"cdx:lifecycle:milestone:endOfSupport","value":"2026-01-01"}]}]}"#;
const LIST: &str = "[[contains]]\nproduct = \"acme:r*:<= 2\"\ncomponent = \"boa:boa\"\nsource = \"https://acme.example/boa\"\nconfidence = 70\n[[unmaintained]]\ncomponent = \"boa:boa\"\nsince = \"2005-12-31\"\nsource = \"https://boa.example\"\n";
const KEYS: &str =
    "ssh-host-key e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 Acme R1, all of them\n";
const ENDOFLIFE: &str = "---\ntitle: Acme R1\ncategory: os\npermalink: /acme-r1\nidentifiers:\n  - cpe: cpe:2.3:o:acme:r1_firmware\nreleases:\n  - releaseCycle: \"1.10\"\n    releaseLabel: One\n    eol: 2026-03-31\n    eoes: true\n    latest: 1.10.4\n  - releaseCycle: \"2\"\n    eol: false\n---\n";

#[test]
fn intelligence_snapshots_of_format_1() {
    let read = |name: &str, kind, file: &str, text: &str| {
        Snapshot::read(sample(name, || snapshot(kind, file, text)).as_slice()).unwrap()
    };
    let kev = read("snapshot-v1-kev.jsonl", IntelligenceKind::Kev, "kev.json", KEV);
    let cve = read("snapshot-v1-cve.jsonl", IntelligenceKind::Cve, "cve.json", CVE);
    let epss = read("snapshot-v1-epss.jsonl", IntelligenceKind::Epss, "epss.csv", EPSS);
    let endoflife = read("snapshot-v1-endoflife.jsonl", IntelligenceKind::EndOfLife, "acme-r1.md", ENDOFLIFE);
    let sbom = read("snapshot-v1-sbom.jsonl", IntelligenceKind::Sbom, "r1.cdx.json", SBOM);
    let list = read("snapshot-v1-component-list.jsonl", IntelligenceKind::ComponentList, "list.toml", LIST);
    let keys = read("snapshot-v1-keys.jsonl", IntelligenceKind::Keys, "keys.txt", KEYS);
    assert_eq!((keys.version.as_str(), keys.records.len()), ("2026-04-01", 1));
    assert_eq!(
        [&kev, &cve, &epss, &endoflife].map(|snapshot| (snapshot.version.as_str(), snapshot.records.len())),
        [("2026.03.01", 1), ("2026-01-02", 1), ("2026-03-31-v2026.01.01", 1), ("2026-04-01", 1)]
    );
    assert_eq!(
        [&sbom, &list].map(|snapshot| (snapshot.version.as_str(), snapshot.records.len())),
        [("2026-02-01", 2), ("2026-04-01", 2)]
    );
    let Records::Cve(records) = &cve.records else { panic!("cve") };
    assert_eq!(records[0].affected[0].ranges.len(), 2);
    // What is written today for the same files is the same.
    for (stored, kind, file, text) in [
        (&kev, IntelligenceKind::Kev, "kev.json", KEV),
        (&cve, IntelligenceKind::Cve, "cve.json", CVE),
        (&epss, IntelligenceKind::Epss, "epss.csv", EPSS),
        (&endoflife, IntelligenceKind::EndOfLife, "acme-r1.md", ENDOFLIFE),
        (&sbom, IntelligenceKind::Sbom, "r1.cdx.json", SBOM),
        (&list, IntelligenceKind::ComponentList, "list.toml", LIST),
        (&keys, IntelligenceKind::Keys, "keys.txt", KEYS),
    ] {
        assert_eq!(&Snapshot::read(snapshot(kind, file, text).as_slice()).unwrap(), stored);
    }
    let intelligence = Intelligence::new([kev, cve, epss, endoflife]);
    let statuses =
        ["1.1", "1.3", "2.0"].map(|version| intelligence.matches("Acme", "R1", version)[0].status.as_str());
    assert_eq!(statuses, ["affected", "unaffected", "affected"]);
}

const CSAF: &str = r#"{"document":{"category":"csaf_vex","csaf_version":"2.0","title":"Advisory","publisher":{"category":"vendor","name":"Acme","namespace":"https://acme.example"},"tracking":{"id":"ACME-1","status":"final","current_release_date":"2026-02-03T00:00:00Z"}},"product_tree":{"branches":[{"category":"vendor","name":"Acme","branches":[{"category":"product_name","name":"R1","branches":[{"category":"product_version_range","name":"<1.4","product":{"product_id":"A","name":"x","product_identification_helper":{"cpe":"cpe:2.3:o:acme:r1_firmware:*:*:*:*:*:*:*:*"}}},{"category":"product_version","name":"1.4","product":{"product_id":"B","name":"y"}}]}]}],"full_product_names":[{"product_id":"C","name":"z","product_identification_helper":{"purl":"pkg:generic/acme/lib@1.0"}}],"relationships":[{"category":"default_component_of","product_reference":"C","relates_to_product_reference":"B","full_product_name":{"product_id":"D","name":"w"}}]},"vulnerabilities":[{"cve":"CVE-2099-0001","title":"Injection","product_status":{"known_affected":["A"],"fixed":["B"]},"flags":[{"label":"component_not_present","product_ids":["B"]}],"remediations":[{"category":"vendor_fix","details":"Update","product_ids":["A"]}]}]}"#;
const OSV: &str = r#"{"id":"OSV-2099-1","aliases":["CVE-2099-0001"],"summary":"Overflow","modified":"2026-01-05T00:00:00Z","affected":[{"package":{"ecosystem":"OSS-Fuzz","name":"product","purl":"pkg:generic/product"},"ranges":[{"type":"GIT","repo":"https://g.example/a/product","events":[{"introduced":"0"}]}],"versions":["product-1.0"],"database_specific":{"informational":"unmaintained"}}]}
{"id":"OSV-2099-2","withdrawn":"2026-01-01T00:00:00Z"}"#;
const JVN: &str = r#"<rdf:RDF xmlns:sec="http://jvn.jp/rss/mod_sec/"><item><title>脆弱性</title><link>https://jvndb.jvn.jp/x</link><sec:identifier>JVNDB-2026-000001</sec:identifier><sec:references source="CVE" id="CVE-2099-0001"/><sec:cpe>cpe:/o:acme:r1</sec:cpe><sec:cvss version="3.0" score="5.4" vector="CVSS:3.0/AV:N"/><dcterms:modified>2026-01-06T00:00+09:00</dcterms:modified></item></rdf:RDF>"#;
const OUI: &str = "Registry,Assignment,Organization Name,Organization Address\nMA-L,002272,Acme,x\n";
const ASN: &str = "192.0.2.0,192.0.2.255,64500,Acme\n2001:db8::,2001:db8::ff,64501,Acme 6\n";
const KNOWN_GOOD: &str = "[[page]]\nproduct = \"acme:r1:1.2\"\nbody = [\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"]\ntitle = [\"R1\"]\nsource = \"https://acme.example/r1\"\n";
const COUNTRY: &str = "192.0.2.0,192.0.2.255,JP\n";

#[test]
fn snapshots_of_the_kinds_that_came_later() {
    for (name, kind, text, version, records) in [
        ("csaf", IntelligenceKind::Csaf, CSAF, "2026-02-03", 1),
        ("osv", IntelligenceKind::Osv, OSV, "2026-01-05", 2),
        ("jvn", IntelligenceKind::Jvn, JVN, "2026-01-06", 1),
        ("oui", IntelligenceKind::Oui, OUI, "2026-04-01", 1),
        ("asn", IntelligenceKind::Asn, ASN, "2026-04-01", 2),
        ("country", IntelligenceKind::Country, COUNTRY, "2026-04-01", 1),
        ("known-good", IntelligenceKind::KnownGood, KNOWN_GOOD, "2026-04-01", 1),
    ] {
        let make = || snapshot(kind, name, text);
        let stored = sample(&format!("snapshot-v1-{name}.jsonl"), make);
        let read = Snapshot::read(stored.as_slice()).unwrap();
        assert_eq!((read.version.as_str(), read.records.len()), (version, records), "{name}");
        assert_eq!(make(), stored, "{name} is written the same way today");
    }
}

#[test]
fn a_newer_format_is_refused_by_its_number() {
    let stored = String::from_utf8(snapshot(IntelligenceKind::Kev, "kev.json", KEV)).unwrap();
    let newer = stored.replacen("\"format\":1", "\"format\":2", 1);
    assert!(matches!(Snapshot::read(newer.as_bytes()), Err(SnapshotError::Format(2))));
    assert!(matches!(Snapshot::read(&b""[..]), Err(SnapshotError::Damaged)));
}

#[test]
fn the_record_about_assets() {
    let make = || {
        let round = hosts(
            &[seen(1, 22).ssh("a", "k1"), seen(1, 443).tls(good_tls("t1")), seen(2, 23).telnet("login:")],
            |_| None,
        );
        let mut count = 0;
        let resolution = resolve(&AssetLinks::default(), &round, SurveyId::from_bits(1), t0(), || {
            count += 1;
            AssetId::from_bits(count)
        });
        let stored = (resolution.links, resolution.sightings.into_iter().collect::<Vec<_>>());
        serde_json::to_vec(&stored).unwrap()
    };
    let stored = sample("assets-v1.json", make);
    let (links, sightings): (Vec<AssetLink>, Vec<(AssetId, Sighting)>) =
        serde_json::from_slice(&stored).unwrap();
    assert_eq!((links.len(), sightings.len()), (3, 2));
    let record = AssetLinks::new(links, sightings);
    assert_eq!(record.keys_of(AssetId::from_bits(1)).count(), 2);
    assert_eq!(record.of_addr(crate::world::addr(2)), Some(AssetId::from_bits(2)));
    assert_eq!(make(), stored, "written the same way today");
}

#[test]
fn keys_of_findings_never_change() {
    let telnet = seen(1, 23).telnet("login:");
    let found =
        findings(AssetId::from_bits(7), &[&telnet], &Identity::default(), &Intelligence::default(), t0());
    assert_eq!(found[0].key, "ea4352c7e250871b9daa662a8f5309efdc98f79b640b48f6df0ea6cb048b8e0a");
}
