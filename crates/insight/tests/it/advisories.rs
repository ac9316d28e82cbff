//! Advisories, VEX statements, packages and JVN: what is read of them, and what follows for a match.

use kenshin_insight::intelligence::{
    Import, ImportError, Importer, Intelligence, IntelligenceKind, Records, Status,
};
use serde_json::json;

use crate::knowledge::shared;

fn read(kind: IntelligenceKind, file: &str, text: &str) -> Result<Import, ImportError> {
    let mut importer = Importer::new(kind);
    importer.read(file, text.as_bytes())?;
    Ok(importer.finish("2026-04-01".parse().unwrap()))
}

fn import(kind: IntelligenceKind, text: &str) -> Import {
    let import = read(kind, "a.json", text).unwrap();
    assert!(import.rejected.is_empty(), "{:?}", import.rejected);
    import
}

/// An advisory of `publisher` about CVE-2099-0001 in a camera of Acme; `status` by version.
fn advisory(publisher: &str, category: &str, status: &[(&str, &str, &str)]) -> String {
    let branches: Vec<_> = status
        .iter()
        .enumerate()
        .map(|(at, (_, kind, version))| {
            json!({"category": kind, "name": version, "product": {"product_id": format!("P{at}"), "name": version}})
        })
        .collect();
    let mut lists = serde_json::Map::new();
    for (at, (list, ..)) in status.iter().enumerate() {
        let ids = lists.entry(*list).or_insert_with(|| json!([])).as_array_mut().unwrap();
        ids.push(json!(format!("P{at}")));
    }
    json!({
        "document": {
            "category": "csaf_vex", "csaf_version": "2.0", "title": "A camera",
            "publisher": {"category": category, "name": publisher, "namespace": "https://psirt.example"},
            "tracking": {"id": "ACME-1", "status": "final", "current_release_date": "2026-02-03T00:00:00Z"}
        },
        "product_tree": {"branches": [{"category": "vendor", "name": "Acme", "branches": [
            {"category": "product_name", "name": "Cam 1", "branches": branches}
        ]}]},
        "vulnerabilities": [{
            "cve": "CVE-2099-0001", "title": "Injection", "product_status": lists,
            "flags": [{"label": "vulnerable_code_not_present", "product_ids": ["P0"]}],
            "remediations": [{"category": "vendor_fix", "details": " Update to 2.0 ", "product_ids": ["P0"]}]
        }]
    })
    .to_string()
}

const CVE: &str = r#"{"cveMetadata":{"cveId":"CVE-2099-0001","state":"PUBLISHED"},"containers":{"cna":{"title":"Injection","affected":[{"vendor":"acme","product":"cam 1","defaultStatus":"unaffected","versions":[{"version":"0","status":"affected","lessThan":"2.0"}]}]}}}"#;

fn statuses(intelligence: &Intelligence, product: &str, versions: &[&str]) -> Vec<Status> {
    let of =
        |version: &&str| intelligence.matches("Acme", product, version).first().map(|found| found.status);
    versions.iter().map(|version| of(version).unwrap_or(Status::Unknown)).collect()
}

#[test]
fn the_makers_word_that_a_version_is_not_affected_is_honoured_and_cited() {
    use Status::{Affected as A, Unaffected as U, Unknown as X};
    let cve = import(IntelligenceKind::Cve, CVE).snapshot;
    let versions = ["1.0", "1.4", "1.5"];
    let with = |publisher: &str, category: &str| {
        let statements = [
            ("known_not_affected", "product_version", "1.4"),
            ("fixed", "product_version", "Cam 1 1.5"),
            ("under_investigation", "product_version", "1.0"),
        ];
        let csaf = import(IntelligenceKind::Csaf, &advisory(publisher, category, &statements));
        Intelligence::new([cve.clone(), csaf.snapshot])
    };
    assert_eq!(statuses(&Intelligence::new([cve.clone()]), "Cam 1", &versions), [A, A, A]);
    let of_vendor = with("Acme PSIRT", "vendor");
    assert_eq!(statuses(&of_vendor, "Cam 1", &versions), [A, U, U]);
    let found = of_vendor.matches("Acme", "Cam 1", "1.4")[0];
    let said = found.said.unwrap();
    assert_eq!((said.document, said.publisher), ("ACME-1", "Acme PSIRT"));
    assert_eq!(said.justification, Some("vulnerable_code_not_present"));
    assert_eq!(said.remedy, Some("Update to 2.0"));
    assert!(of_vendor.source_of(said).starts_with("csaf@2026-02-03#sha256:"));
    assert!(of_vendor.matches("Acme", "Cam 1", "1.0")[0].said.is_none(), "the record itself says it");
    // Of others the word contradicts the record, and nobody is believed.
    for (publisher, category) in
        [("CERT Example", "coordinator"), ("Other Ltd.", "vendor"), ("Acmecorp", "vendor")]
    {
        assert_eq!(statuses(&with(publisher, category), "Cam 1", &versions), [A, X, X], "{publisher}");
    }
}

#[test]
fn an_advisory_alone_is_knowledge() {
    use Status::{Affected as A, Unaffected as U, Unknown as X};
    let statements = [
        ("known_affected", "product_version_range", "vers:generic/>=1.0|<2.0"),
        ("first_fixed", "product_version", "2.0"),
    ];
    let csaf = import(IntelligenceKind::Csaf, &advisory("Acme", "vendor", &statements));
    let intelligence = Intelligence::new([csaf.snapshot]);
    assert_eq!(statuses(&intelligence, "Cam 1", &["0.9", "1.0", "1.9", "2.0", "2.1"]), [X, A, A, U, X]);
    let found = intelligence.matches("acme", "cam-1", "1.0")[0];
    assert_eq!(found.cve.title.as_deref(), Some("Injection"));
    assert_eq!(found.said.unwrap().document, "ACME-1");
    assert!(intelligence.matches("acme", "cam 2", "1.0").is_empty());
}

#[test]
fn a_statement_that_contradicts_itself_says_nothing() {
    let mut document: serde_json::Value =
        serde_json::from_str(&advisory("Acme", "vendor", &[("known_affected", "product_version", "1.0")]))
            .unwrap();
    document["vulnerabilities"][0]["product_status"]["fixed"] = json!(["P0"]);
    let csaf = import(IntelligenceKind::Csaf, &document.to_string());
    assert_eq!(statuses(&Intelligence::new([csaf.snapshot]), "Cam 1", &["1.0"]), [Status::Unknown]);
}

#[test]
fn names_helpers_relations_and_groups_of_a_product_tree() {
    let document = json!({
        "document": {
            "category": "csaf_security_advisory", "csaf_version": "2.0", "title": "t",
            "publisher": {"category": "vendor", "name": "Acme", "namespace": "https://acme.example"},
            "tracking": {"id": "ACME-2", "status": "final"}
        },
        "product_tree": {
            "branches": [
                {"category": "vendor", "name": "Acme", "branches": [
                    {"category": "product_family", "name": "Routers", "branches": [
                        {"category": "product_name", "name": "R1", "product": {"product_id": "HW", "name": "R1"}},
                        {"category": "product_name", "name": "R1 Firmware", "branches": [
                            {"category": "product_version_range", "name": "<1.2", "product": {"product_id": "FW", "name": "x"}},
                            {"category": "product_version", "name": "1.2", "branches": [
                                {"category": "service_pack", "name": "SP1", "product": {"product_id": "SP", "name": "x"}}
                            ]}
                        ]}
                    ]}
                ]}
            ],
            "full_product_names": [
                {"product_id": "CPE", "name": "y", "product_identification_helper": {"cpe": "cpe:2.3:o:acme:r2_firmware:3.1:*:*:*:*:*:*:*"}},
                {"product_id": "PURL", "name": "z", "product_identification_helper": {"purl": "pkg:generic/openssl@1.1.1?x=y"}},
                {"product_id": "NAME", "name": "only a name"}
            ],
            "relationships": [
                {"category": "installed_on", "product_reference": "FW", "relates_to_product_reference": "HW",
                 "full_product_name": {"product_id": "FW-ON-HW", "name": "f"}},
                {"category": "default_component_of", "product_reference": "PURL", "relates_to_product_reference": "CPE",
                 "full_product_name": {"product_id": "IN", "name": "f"}}
            ],
            "product_groups": [{"group_id": "G", "product_ids": ["FW", "CPE"]}]
        },
        "vulnerabilities": [{
            "cve": "CVE-2099-0002",
            "product_status": {"known_affected": ["FW-ON-HW", "SP", "CPE", "PURL", "NAME", "IN", "NOBODY"]},
            "remediations": [{"category": "vendor_fix", "details": "Update", "group_ids": ["G"]}]
        }]
    });
    let csaf = import(IntelligenceKind::Csaf, &document.to_string());
    let Records::Csaf(records) = &csaf.snapshot.records else { panic!("csaf") };
    let said: Vec<_> = records[0]
        .statements
        .iter()
        .map(|statement| {
            let entry = &statement.affected;
            (
                entry.vendor.as_str(),
                entry.product.as_str(),
                entry.ranges[0].from.as_str(),
                statement.remedy.is_some(),
            )
        })
        .collect();
    assert_eq!(
        said,
        [
            ("Acme", "R1", "0", false),
            ("Acme", "R1 Firmware", "1.2 SP1", false),
            ("acme", "r2_firmware", "3.1", true),
        ]
    );
    let contains = &records[0].contains[0];
    assert_eq!(
        (contains.product.product.as_str(), contains.component.product.as_str()),
        ("r2_firmware", "openssl")
    );
    assert_eq!(contains.component.version, "1.1.1");
    let intelligence = Intelligence::new([csaf.snapshot]);
    assert_eq!(statuses(&intelligence, "R1", &["1.1"]), [Status::Affected]);
    assert_eq!(statuses(&intelligence, "R2", &["3.1"]), [Status::Affected], "by its CPE name");
}

#[test]
fn damaged_advisories_are_reported_and_leave_the_others() {
    let good = advisory("Acme", "vendor", &[("fixed", "product_version", "2")]);
    let old = good.replace("\"csaf_version\":\"2.0\"", "\"csaf_version\":\"1.2\"");
    let draft = good.replace("\"status\":\"final\"", "\"status\":\"draft\"");
    let nameless = good.replace("CVE-2099-0001", "CVE-99").replace("ACME-1", "ACME-3");
    let text = format!("{old}\n{draft}\n{nameless}\n{{\"document\":5}}\n{good}\n{{\"document\":");
    let import = read(IntelligenceKind::Csaf, "a.json", &text).unwrap();
    let said: Vec<String> = import.rejected.iter().map(ToString::to_string).collect();
    assert_eq!(import.snapshot.records.len(), 2, "{said:?}");
    for (said, expected) in said.iter().zip([
        "a.json:1: `ACME-1` has CSAF version 1.2; 2.0 is read",
        "a.json:2: `ACME-1` is a draft",
        "a.json:3: `ACME-3`: `CVE-99` is not a CVE identifier",
        "a.json:4: invalid type: integer `5`",
        "a.json:6: the record has no end",
    ]) {
        assert!(said.starts_with(expected), "{said}");
    }
    assert_eq!(said.len(), 5);
    let page = read(IntelligenceKind::Csaf, "a", "<!DOCTYPE html>").unwrap_err().to_string();
    assert!(page.contains("it is a page or XML"), "{page}");
    let mut deep = String::from("{\"category\":\"x\",\"name\":\"y\"}");
    for _ in 0..100 {
        deep = format!("{{\"category\":\"x\",\"name\":\"y\",\"branches\":[{deep}]}}");
    }
    let deep = good.replace("\"branches\":[{\"branches\"", &format!("\"branches\":[{deep},{{\"branches\""));
    let import = read(IntelligenceKind::Csaf, "a.json", &deep).unwrap();
    assert_eq!(import.rejected_total, 1, "{:?}", import.rejected);
}

#[test]
fn what_an_advisory_repeats_is_bounded() {
    let long = "x".repeat(10_000);
    let good = advisory("Acme", "vendor", &[("known_affected", "product_version", "1.0")]);
    let mut document: serde_json::Value = serde_json::from_str(&good).unwrap();
    document["document"]["publisher"]["name"] = json!(format!("Acme {long}"));
    document["document"]["publisher"]["namespace"] = json!(long);
    document["product_tree"]["full_product_names"] = json!([
        {"product_id": "L", "name": "Other", "product_identification_helper":
            {"cpe": format!("cpe:2.3:a:acme:{long}:1.0:*:*:*:*:*:*:*"), "purl": format!("pkg:generic/{long}")}},
        {"product_id": "S", "name": "Small", "product_identification_helper": {"purl": "pkg:generic/small"}},
    ]);
    document["product_tree"]["relationships"] = json!([
        {"category": "default_component_of", "product_reference": "L", "relates_to_product_reference": "P0",
         "full_product_name": {"product_id": "I", "name": "i"}},
        {"category": "default_component_of", "product_reference": "S", "relates_to_product_reference": "P0",
         "full_product_name": {"product_id": "J", "name": "j"}},
    ]);
    let import = import(IntelligenceKind::Csaf, &document.to_string());
    let Records::Csaf(records) = &import.snapshot.records else { panic!("csaf") };
    assert_eq!(records[0].publisher.len(), 160);
    assert_eq!(records[0].statements[0].affected.source, "vendor", "what is left still names the maker");
    let contained: Vec<_> = records[0]
        .contains
        .iter()
        .map(|one| {
            (one.component.product.as_str(), one.component.cpe.as_deref(), one.component.purl.as_deref())
        })
        .collect();
    assert_eq!(contained, [("Other", None, None), ("small", None, Some("pkg:generic/small"))]);

    // One identifier may stand for many relations.
    let products: Vec<_> = (0..320)
        .map(|at| {
            json!({"product_id": at.to_string(), "name": "x", "product_identification_helper":
            {"purl": format!("pkg:generic/acme/p{at}")}})
        })
        .collect();
    document["product_tree"]["full_product_names"] = json!(products);
    let relation = |inner: usize, outer: usize| {
        json!({"category": "default_component_of", "product_reference": inner.to_string(),
            "relates_to_product_reference": outer.to_string(), "full_product_name": {"product_id": "I", "name": "i"}})
    };
    let relations: Vec<_> = (0..320).flat_map(|a| (0..320).map(move |b| relation(a, b))).collect();
    document["product_tree"]["relationships"] = json!(relations);
    let import = read(IntelligenceKind::Csaf, "a.json", &document.to_string()).unwrap();
    assert!(import.rejected[0].reason.contains("more than 100000 products"), "{:?}", import.rejected);
}

/// The first flag and the first fix that concern a product are its own, by itself or by a group.
#[test]
fn flags_and_fixes_of_many_products() {
    let statements: Vec<(String, String)> =
        (0..4).map(|at| (format!("Cam {at}"), format!("P{at}"))).collect();
    let branches: Vec<_> = statements
        .iter()
        .map(|(name, id)| json!({"category": "product_name", "name": name, "product": {"product_id": id, "name": name}}))
        .collect();
    let mut document: serde_json::Value =
        serde_json::from_str(&advisory("Acme", "vendor", &[("known_not_affected", "product_version", "1")]))
            .unwrap();
    document["product_tree"] = json!({
        "branches": [{"category": "vendor", "name": "Acme", "branches": branches}],
        "product_groups": [{"group_id": "G", "product_ids": ["P1", "P2"]}]
    });
    let fix = |details: &str, products: &[&str], groups: &[&str]| json!({"category": "vendor_fix", "details": details, "product_ids": products, "group_ids": groups});
    document["vulnerabilities"][0] = json!({
        "cve": "CVE-2099-0001",
        "product_status": {"known_not_affected": ["P0", "P1", "P2", "P3"]},
        "flags": [{"label": "a", "group_ids": ["G"]}, {"label": "b", "product_ids": ["P0", "P1"]}],
        "remediations": [
            {"category": "workaround", "details": "none", "product_ids": ["P0"]},
            fix("first", &["P2"], &[]), fix("second", &["P0"], &["G"]), fix("third", &["P0", "P1", "P2"], &[]),
        ]
    });
    let import = import(IntelligenceKind::Csaf, &document.to_string());
    let Records::Csaf(records) = &import.snapshot.records else { panic!("csaf") };
    let said: Vec<_> = records[0]
        .statements
        .iter()
        .map(|one| (one.justification.as_deref(), one.remedy.as_deref()))
        .collect();
    let expected =
        [(Some("b"), Some("second")), (Some("a"), Some("second")), (Some("a"), Some("first")), (None, None)];
    assert_eq!(said, expected);
}

#[test]
fn csaf_of_vendors() {
    let Some(folder) = shared("vulnfeeds") else { return };
    let mut importer = Importer::new(IntelligenceKind::Csaf);
    for file in [
        "siemens/csaf/testdata/fixtures/happy/ssa-426509.json",
        "sick/csaf/testdata/fixtures/happy/sca-2025-0007.json",
        "cisco/csaf/testdata/fixtures/cisco-sa-snmp-dos-sdxnSUcW.json",
        "cisco/csaf/testdata/fixtures/cisco-sa-ios-xr-verii-bypass-HhPwQRvx.json",
        "fortinet/csaf/testdata/fixtures/happy/csaf_authenticated-heap-overflow-in-ssl-vpn-bookmarks.json",
    ] {
        importer.read(file, std::fs::read(folder.join(file)).unwrap().as_slice()).unwrap();
    }
    let import = importer.finish("2026-04-01".parse().unwrap());
    // Fortinet's document names its vulnerabilities by the advisory alone.
    assert!(
        import.rejected.iter().all(|rejected| rejected.reason.contains("has no CVE number")),
        "{:?}",
        import.rejected
    );
    assert_eq!((import.rejected_total, import.snapshot.records.len()), (3, 5));
    assert_eq!(import.snapshot.version, "2025-09-30");
    let intelligence = Intelligence::new([import.snapshot]);
    for (vendor, product, version, cve, status) in [
        ("Siemens", "ModelSim", "V2024.2", "CVE-2024-47194", Status::Affected),
        ("Siemens", "ModelSim", "V2024.3", "CVE-2024-47194", Status::Unknown),
        ("SICK", "Media Server", "1.4", "CVE-2025-49182", Status::Affected),
        ("SICK", "Media Server", "1.5", "CVE-2025-49182", Status::Unaffected),
        ("Cisco", "IOS", "15.1(2)T", "CVE-2025-20173", Status::Affected),
        ("Cisco", "IOS", "99.9", "CVE-2025-20173", Status::Unknown),
    ] {
        let found = intelligence.matches(vendor, product, version);
        let found =
            found.iter().find(|found| found.cve.id.to_string() == cve).unwrap_or_else(|| panic!("{product}"));
        assert_eq!(found.status, status, "{product} {version}");
    }
}

const OSV: &str = r#"{"id":"OSV-2099-1","aliases":["CVE-2099-0005"],"summary":"Overflow","modified":"2026-01-05T00:00:00Z","affected":[{"package":{"ecosystem":"OSS-Fuzz","name":"lighttpd","purl":"pkg:generic/lighttpd"},"ranges":[{"type":"GIT","repo":"https://github.com/lighttpd/lighttpd1.4","events":[{"introduced":"0"},{"fixed":"abc"}]}],"versions":["lighttpd-1.4.50","release-1.4.51"]}]}"#;

#[test]
fn packages_are_matched_where_their_name_is_safe() {
    use Status::{Affected as A, Unknown as X};
    let intelligence = Intelligence::new([import(IntelligenceKind::Osv, OSV).snapshot]);
    let of = |vendor: &str, product: &str, version: &str| {
        intelligence.matches(vendor, product, version).first().map(|found| found.status)
    };
    assert_eq!(of("", "lighttpd", "1.4.50"), Some(A));
    assert_eq!(of("lighttpd", "lighttpd", "1.4.51"), Some(A));
    assert_eq!(of("", "lighttpd", "1.4.52"), Some(X), "commits say nothing of a version that is not listed");
    assert_eq!(intelligence.matches("", "lighttpd", "1.4.50")[0].said.unwrap().document, "OSV-2099-1");

    // The same name in a registry of a language is another program's.
    let npm = OSV.replace("OSS-Fuzz", "npm");
    let intelligence = Intelligence::new([import(IntelligenceKind::Osv, &npm).snapshot]);
    assert!(intelligence.matches("", "lighttpd", "1.4.50").is_empty());
    assert_eq!(intelligence.osv("npm", "lighttpd").count(), 1, "by its ecosystem it is found");

    // Of a repository only its maker's program.
    let git = r#"{"id":"CVE-2099-0006","affected":[{"ranges":[{"type":"GIT","repo":"https://github.com/Acme/httpd.git","events":[{"introduced":"0"}]}],"versions":["v1.0"]}]}"#;
    let intelligence = Intelligence::new([import(IntelligenceKind::Osv, git).snapshot]);
    let of = |vendor: &str| intelligence.matches(vendor, "httpd", "1.0").len();
    assert_eq!((of("Acme"), of("Apache"), of("")), (1, 0, 0));
}

#[test]
fn events_withdrawals_and_what_nobody_maintains() {
    let text = r#"{"id":"GHSA-1","affected":[{"package":{"ecosystem":"crates.io","name":"a"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.2.0"},{"introduced":"2.0.0"},{"last_affected":"2.3.0"}]}]}]}
{"id":"RUSTSEC-1","affected":[{"package":{"ecosystem":"crates.io","name":"b"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0.0.0-0"}]}],"database_specific":{"informational":"unmaintained"}}]}
{"id":"GHSA-2","withdrawn":"2026-01-01T00:00:00Z","aliases":["CVE-2099-0009"],"affected":[{"package":{"ecosystem":"crates.io","name":"a"},"versions":["1.0.0"]}]}
{"affected":[]}
"#;
    let import = read(IntelligenceKind::Osv, "a.jsonl", text).unwrap();
    assert_eq!((import.snapshot.records.len(), import.rejected_total), (3, 1));
    assert!(
        import.rejected[0].to_string().starts_with("a.jsonl:4: missing field `id`"),
        "{}",
        import.rejected[0]
    );
    let intelligence = Intelligence::new([import.snapshot]);
    let (record, package) = intelligence.osv("crates.io", "a").next().unwrap();
    assert_eq!(
        (record.id.as_str(), intelligence.osv("crates.io", "a").count()),
        ("GHSA-1", 1),
        "the withdrawn one is silent"
    );
    let said = ["1.1.0", "1.2.0", "2.3.0", "2.3.1"].map(|version| package.affected.status(version).as_str());
    assert_eq!(said, ["affected", "unaffected", "affected", "unaffected"]);
    assert!(intelligence.osv("crates.io", "b").next().unwrap().0.unmaintained);
}

#[test]
fn jvn_of_real_feeds() {
    let Some(folder) = shared("vulnfeeds/jvn/feed") else { return };
    let mut importer = Importer::new(IntelligenceKind::Jvn);
    let files = [
        "rss/testdata/fixtures/jvndb_2007.rdf",
        "rss/testdata/fixtures/jvndb_2011.rdf",
        "rss/testdata/fixtures/jvndb_2021.rdf",
        "rss/testdata/fixtures/jvndb_2022.rdf",
        "rss/testdata/fixtures/jvndb_2023.rdf",
        "rss/testdata/fixtures/jvndb_new.rdf",
        "rss/testdata/fixtures/jvndb.rdf",
        "detail/testdata/fixtures/jvndb_detail_2021.rdf",
        "detail/testdata/fixtures/jvndb_detail_2022.rdf",
        "detail/testdata/fixtures/jvndb_detail_2023.rdf",
    ];
    let mut entries = 0;
    for file in files {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        entries += text.matches("<item ").count() + text.matches("<Vulinfo>").count();
        // A small buffer shows that entries may lie across its borders.
        importer.read(file, std::io::BufReader::with_capacity(64, text.as_bytes())).unwrap();
    }
    assert!(entries > 10, "{entries}");
    let import = importer.finish("2026-04-01".parse().unwrap());
    assert!(import.rejected.is_empty(), "{:?}", import.rejected);
    let Records::Jvn(records) = &import.snapshot.records else { panic!("jvn") };
    let of_feed = records.iter().find(|record| record.id == "JVNDB-2022-020469").unwrap();
    assert_eq!(of_feed.title, "アップルの macOS における脆弱性");
    assert_eq!(of_feed.cves, ["CVE-2022-46723".parse().unwrap()]);
    assert_eq!(of_feed.cpes, ["cpe:/o:apple:macos"]);
    assert_eq!(
        of_feed.cvss.as_ref().map(|cvss| (cvss.version.as_str(), cvss.score_tenths)),
        Some(("3.0", 98))
    );
    assert_eq!(of_feed.url.as_deref(), Some("https://jvndb.jvn.jp/ja/contents/2022/JVNDB-2022-020469.html"));
    assert_eq!(of_feed.updated, Some("2023-11-02".parse().unwrap()));
    let of_list = records.iter().find(|record| record.id == "JVNDB-2022-017704").unwrap();
    assert_eq!(of_list.title, "Linux の Linux Kernel における NULL ポインタデリファレンスに関する脆弱性");
    assert_eq!(of_list.cves, ["CVE-2023-23001".parse().unwrap()]);
    assert_eq!(of_list.cvss.as_ref().map(|cvss| cvss.score_tenths), Some(55));
    let intelligence = Intelligence::new([import.snapshot]);
    assert_eq!(
        intelligence.jvn("CVE-2022-46723".parse().unwrap()).map(|jvn| jvn.id.as_str()),
        Some("JVNDB-2022-020469")
    );
    let products = folder.join("product/testdata/fixtures/myjvn_product_202311.rdf");
    let error =
        read(IntelligenceKind::Jvn, "p.rdf", &std::fs::read_to_string(products).unwrap()).unwrap_err();
    assert!(
        error.to_string().contains("it has no entries")
            || error.to_string().contains("does not name JVN's elements"),
        "{error}"
    );
}

#[test]
fn a_damaged_entry_of_jvn_is_reported() {
    let item = |id: &str, inside: &str| {
        format!(
            "<item rdf:about=\"https://jvndb.jvn.jp/x\">\n<title>A &amp; B</title>\n<sec:identifier>{id}</sec:identifier>\n{inside}</item>\n"
        )
    };
    let text = format!(
        "<rdf:RDF xmlns:sec=\"http://jvn.jp/rss/mod_sec/\">\n{}{}{}<item>\n{}</rdf:RDF>",
        item("JVNDB-2026-000001", "<sec:references source=\"CVE\" id=\"CVE-2099-0001\"/>"),
        item("JVNDB-2026-000002", "<b></c>"),
        item("XVNDB", ""),
        item("JVNDB-2026-000003", ""),
    );
    let import = read(IntelligenceKind::Jvn, "a.rdf", &text).unwrap();
    let said: Vec<String> = import.rejected.iter().map(ToString::to_string).collect();
    let Records::Jvn(records) = &import.snapshot.records else { panic!("jvn") };
    assert_eq!(
        records.iter().map(|record| record.id.as_str()).collect::<Vec<_>>(),
        ["JVNDB-2026-000001", "JVNDB-2026-000003"]
    );
    assert_eq!(records[0].title, "A & B");
    assert!(said[0].starts_with("a.rdf:6: in line 4 of the entry: "), "{said:?}");
    assert_eq!(said[1], "a.rdf:10: `XVNDB` is not an identifier such as JVNDB-2023-004814");
    assert_eq!(said[2], "a.rdf:14: the entry has no end");
    assert_eq!(said.len(), 3);
}

#[test]
fn hardware_addresses_of_the_registry() {
    let Some(folder) = shared("ieee") else { return };
    let mut importer = Importer::new(IntelligenceKind::Oui);
    importer.read("oui.csv", std::fs::read(folder.join("oui.csv")).unwrap().as_slice()).unwrap();
    let import = importer.finish("2026-04-01".parse().unwrap());
    assert!(import.rejected.is_empty(), "{:?}", import.rejected);
    assert!(import.snapshot.records.len() > 30_000);
    let vendors = Intelligence::new([import.snapshot]).vendors();
    assert_eq!(vendors.of([0xf4, 0xbd, 0x9e, 1, 2, 3]), Some("Cisco Systems, Inc"));
    assert_eq!(vendors.of([0xf6, 0xbd, 0x9e, 1, 2, 3]), None, "anybody may give himself that");
}

#[test]
fn wider_and_narrower_assignments_and_odd_lines() {
    let csv = "Registry,Assignment,Organization Name,Organization Address\r\n\
               MA-L,70B3D5,IEEE Registration Authority,x\r\n\
               MA-S,70B3D5001,\"Small, \"\"Inc\"\"\",x\r\n\
               MA-M,0055DA1,Middle \u{e9},\"a\nb\"\r\n\
               MA-L,00ZZ00,Bad,x\r\nMA-L,001122,,x\r\nMA-L\r\n";
    let import = read(IntelligenceKind::Oui, "oui.csv", csv).unwrap();
    let said: Vec<String> = import.rejected.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[0].starts_with("oui.csv:6: `00ZZ00` is not"), "{said:?}");
    let vendors = Intelligence::new([import.snapshot]).vendors();
    assert_eq!(vendors.of([0x70, 0xb3, 0xd5, 0x00, 0x1f, 0]), Some("Small, \"Inc\""));
    assert_eq!(vendors.of([0x70, 0xb3, 0xd5, 0x00, 0x2f, 0]), None, "cut up by the registry itself");
    assert_eq!(vendors.of([0x00, 0x55, 0xda, 0x1f, 0, 0]), Some("Middle é"));
    let error = read(IntelligenceKind::Oui, "x.csv", "a,b\n1,2\n").unwrap_err().to_string();
    assert!(error.contains("its first line is `a,b`"), "{error}");
}
