//! Who carries what: bills of materials, lists by hand, and the questions asked of them.

use std::path::PathBuf;

use kenshin_insight::component::{
    Basis, Carried, Census, Certainty, Contains, Exposure, Exposures, Fact, Ground, Inventory, Part, Query,
    Supported, carried,
};
use kenshin_insight::finding::findings;
use kenshin_insight::fingerprint::Packs;
use kenshin_insight::identity::identify;
use kenshin_insight::intelligence::{
    Import, ImportError, Importer, Intelligence, IntelligenceKind, Records, Snapshot,
};
use kenshin_observation::protocol::{Http, Sip};
use kenshin_observation::{
    AssetId, Component, Finding, FindingKind, Identity, Observation, Remedy, Severity,
};
use proptest::prelude::*;
use serde_json::json;

use crate::world::{Seen, claim, component, device, seen, spoken, t0};

const BILLS: [&str; 5] =
    ["camera.cdx.json", "camera.cdx.xml", "camera.spdx.json", "camera.spdx", "camera.spdx3.json"];

fn bill(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/insight/sbom").join(name);
    std::fs::read_to_string(path).unwrap()
}

fn import(kind: IntelligenceKind, file: &str, text: &str) -> Import {
    let mut importer = Importer::new(kind);
    importer.read(file, text.as_bytes()).unwrap();
    importer.finish("2026-04-01".parse().unwrap())
}

fn list(text: &str) -> Snapshot {
    let import = import(IntelligenceKind::ComponentList, "list.toml", text);
    assert!(import.rejected.is_empty(), "{:?}", import.rejected);
    import.snapshot
}

fn facts(snapshot: &Snapshot) -> &[Fact] {
    match &snapshot.records {
        Records::Sbom(facts) | Records::ComponentList(facts) => facts,
        _ => panic!("facts"),
    }
}

fn contained(snapshot: &Snapshot) -> Vec<&Contains> {
    let mut all = Vec::new();
    for fact in facts(snapshot) {
        if let Fact::Contains(contains) = fact {
            all.push(contains);
        }
    }
    all
}

/// gSOAP as NVD lists it: single versions, nothing else.
const DEVILS_IVY: &str = r#"{"id":"CVE-2017-9765","sourceIdentifier":"cve@mitre.org","vulnStatus":"Modified","lastModified":"2024-11-21T03:36:47.847",
"descriptions":[{"lang":"en","value":"Integer overflow in the soap_get function in Genivia gSOAP"}],"metrics":{},
"configurations":[{"nodes":[{"operator":"OR","negate":false,"cpeMatch":[
{"vulnerable":true,"criteria":"cpe:2.3:a:genivia:gsoap:2.7.0:*:*:*:*:*:*:*"},
{"vulnerable":true,"criteria":"cpe:2.3:a:genivia:gsoap:2.7.17:*:*:*:*:*:*:*"},
{"vulnerable":true,"criteria":"cpe:2.3:a:genivia:gsoap:2.8.10:*:*:*:*:*:*:*"},
{"vulnerable":true,"criteria":"cpe:2.3:a:genivia:gsoap:2.8.47:*:*:*:*:*:*:*"}]}]}]}"#;

fn knowledge(snapshots: impl IntoIterator<Item = Snapshot>) -> Intelligence {
    let cve = import(IntelligenceKind::Cve, "nvd.json", DEVILS_IVY);
    assert!(cve.rejected.is_empty(), "{:?}", cve.rejected);
    Intelligence::new([cve.snapshot].into_iter().chain(snapshots))
}

fn shows(server: &str) -> Identity {
    let http = Http { status: 200, server: Some(server.into()), ..Http::default() };
    identify(&[&seen(1, 80).http(http)], &Packs::own())
}

#[test]
fn every_format_says_the_same_of_one_product() {
    for name in BILLS {
        let import = import(IntelligenceKind::Sbom, name, &bill(name));
        let all = contained(&import.snapshot);
        let one = |part: &str| all.iter().find(|contains| contains.part.name == part);
        for contains in &all {
            assert_eq!(contains.family.to_string(), "Example Optics Inc. CAM-100 5.50", "{name}");
            assert_eq!(contains.source, "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79", "{name}");
            assert_eq!(contains.basis, Basis::Sbom);
        }
        let gsoap = one("gsoap").unwrap_or_else(|| panic!("{name}"));
        assert_eq!(
            (gsoap.part.vendor.as_deref(), gsoap.part.version.as_deref()),
            (Some("genivia"), Some("2.8.10")),
            "{name}: what the CPE name adds"
        );
        assert_eq!(one("boa").and_then(|boa| boa.part.vendor.as_deref()), Some("Boa"), "{name}");
        assert_eq!(one("zlib").and_then(|zlib| zlib.part.version.as_deref()), Some("1.2.8"), "{name}");
        assert_eq!(one("libssl1.1").map(|ssl| ssl.part.key()).as_deref(), Some("openssl"), "{name}");
        assert!(one("media-stack").is_some(), "{name}");
        for absent in ["googletest", "gcc", "passwd", "/etc/passwd", "CAM-100", "a tool, no part", "broken"] {
            assert!(one(absent).is_none(), "{name}: {absent} is not part of the device");
        }
        let ended = facts(&import.snapshot).iter().find_map(|fact| match fact {
            Fact::Upkeep(upkeep) => Some((upkeep.part.name.as_str(), upkeep.since.unwrap().to_string())),
            Fact::Contains(_) => None,
        });
        assert_eq!(ended, Some(("boa", "2005-02-23".to_owned())), "{name}");
        assert_eq!(import.snapshot.version, "2026-02-01", "{name}: the day the document was made");
    }
    let optional = import(IntelligenceKind::Sbom, "x", &bill("camera.cdx.json"));
    let curl = contained(&optional.snapshot).into_iter().find(|one| one.part.name == "curl").unwrap();
    assert!(curl.confidence < 90, "what may be absent is less sure");
}

#[test]
fn what_cannot_be_used_is_told_by_line_and_stops_nothing() {
    for (name, expected) in [
        (
            "camera.cdx.json",
            &[(31, "missing field `name`"), (45, "is not a CPE name"), (46, "invalid type: integer")][..],
        ),
        ("camera.cdx.xml", &[(25, "no `name`"), (40, "is not a CPE name"), (41, "no `name`")]),
        ("camera.spdx.json", &[(16, "missing field `name`"), (30, "invalid type: integer")]),
        ("camera.spdx", &[(29, "no `SPDXID`"), (57, "element KIND element"), (58, "not `Tag: value`")]),
        ("camera.spdx3.json", &[(15, "no `name`"), (21, "invalid type: integer")]),
    ] {
        let import = import(IntelligenceKind::Sbom, name, &bill(name));
        let mut found: Vec<(u64, &str)> =
            import.rejected.iter().map(|one| (one.line, one.reason.as_str())).collect();
        found.sort();
        let fits = found.len() == expected.len()
            && found
                .iter()
                .zip(expected)
                .all(|(found, wanted)| found.0 == wanted.0 && found.1.contains(wanted.1));
        assert!(fits, "{name}: {found:#?}");
    }
}

#[test]
fn documents_of_no_product_or_no_format_are_refused_with_a_reason() {
    let without = bill("camera.cdx.json").replace("\"component\": {", "\"somethingElse\": {");
    let import_of = |text: &str, product: Option<&str>| {
        let mut importer =
            Importer::new(IntelligenceKind::Sbom).about(product.map(|product| product.parse().unwrap()));
        importer.read("bill", text.as_bytes()).map(|()| importer.finish("2026-04-01".parse().unwrap()))
    };
    let import = import_of(&without, None).unwrap();
    assert!(import.snapshot.records.is_empty());
    assert!(import.rejected.last().unwrap().reason.contains("--product"), "{:?}", import.rejected);
    let named = import_of(&without, Some("acme:dome*:<= 2")).unwrap();
    assert!(contained(&named.snapshot).iter().all(|one| one.family.to_string() == "acme dome* <= 2"));
    assert!(!named.snapshot.records.is_empty());
    let vendorless =
        bill("camera.cdx.json").replace("\"supplier\": { \"name\": \"Example Optics Inc.\" },", "");
    assert!(import_of(&vendorless, None).unwrap().rejected.last().unwrap().reason.contains("no vendor"));

    for (text, problem) in [
        ("{}", "bomFormat"),
        (r#"{"spdxVersion":"SPDX-4.0"}"#, "spdxVersion"),
        ("<html/>", "root element"),
        ("<!DOCTYPE bom [<!ENTITY a \"b\">]><bom/>", "document type"),
        ("hello", "neither JSON, XML"),
        ("", "neither JSON, XML"),
    ] {
        match import_of(text, None) {
            Err(error @ ImportError::Kind { .. }) => assert!(error.to_string().contains(problem), "{error}"),
            other => panic!("{text}: {other:?}"),
        }
    }
    for cut in ["{\"bomFormat\":\"CycloneDX\",\n\"components\":[", "<bom>\n<components>\n", "<bom></wrong>"] {
        assert!(!import_of(cut, None).unwrap().rejected.is_empty(), "{cut}");
    }
}

#[test]
fn nesting_without_end_ends() {
    let deep = |depth: usize| {
        let open = r#"{"name":"x","components":["#.repeat(depth);
        format!(r#"{{"bomFormat":"CycloneDX","components":[{open}{}]}}"#, "]}".repeat(depth))
    };
    let mut importer = Importer::new(IntelligenceKind::Sbom).about("a:b".parse().ok());
    importer.read("deep.json", deep(10).as_bytes()).unwrap();
    importer.read("deeper.json", deep(50).as_bytes()).unwrap();
    importer.read("deepest.json", deep(20_000).as_bytes()).unwrap();
    let import = importer.finish("2026-04-01".parse().unwrap());
    assert!(import.rejected.iter().any(|one| one.file == "deeper.json" && one.reason.contains("deep")));
    let xml =
        format!("<bom><components>{}", "<component type='library'><name>x</name><components>".repeat(10_000));
    let mut importer = Importer::new(IntelligenceKind::Sbom).about("a:b".parse().ok());
    importer.read("deep.xml", xml.as_bytes()).unwrap();
    assert!(importer.finish("2026-04-01".parse().unwrap()).rejected[0].reason.contains("deep"));
}

#[test]
fn lists_by_hand_are_toml_or_csv() {
    let example = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../config/components-example.toml");
    let example = list(&std::fs::read_to_string(example).unwrap());
    assert_eq!((facts(&example).len(), contained(&example).len()), (2, 1), "the shipped example is read");
    let csv = "product,component,source,confidence,since\n\
               example-optics:CAM-1*:<= 5.50,genivia:gsoap:2.8.10,https://www.example.com/advisories/cam-gsoap,80,\n\
               ,boa:boa,https://www.example.com/boa,,2005-12-31\n";
    let of_csv = import(IntelligenceKind::ComponentList, "list.csv", csv);
    assert!(of_csv.rejected.is_empty(), "{:?}", of_csv.rejected);
    assert_eq!(contained(&of_csv.snapshot), contained(&example));

    let bad = "[[contains]]\nproduct = \"acme\"\ncomponent = \"a:b\"\nsource = \"x\"\n\n\
               [[contains]]\nproduct = \"acme:r1\"\ncomponent = \"a:b\"\nsource = \"x\"\nconfidence = 101\n\n\
               [[unmaintained]]\ncomponent = \"a:b\"\nsource = \"x\"\nsince = \"yesterday\"\n\n\
               [[unmaintained]]\ncomponent = \"a:b\"\nsource = \"x\"\nspeed = 3\n\n\
               [[unmaintained]]\ncomponent = \"boa:boa\"\nsource = \"x\"\n";
    let found = import(IntelligenceKind::ComponentList, "list.toml", bad);
    let lines: Vec<u64> = found.rejected.iter().map(|one| one.line).collect();
    assert_eq!(lines, [1, 6, 12, 17], "{:#?}", found.rejected);
    assert_eq!(found.snapshot.records.len(), 1);
    let broken = import(IntelligenceKind::ComponentList, "list.toml", "[[contains]]\n\nproduct = acme\n");
    assert_eq!(broken.rejected[0].line, 3, "{:?}", broken.rejected);
    let csv = "product,component,source\n,nobody,x\n";
    assert_eq!(import(IntelligenceKind::ComponentList, "list.csv", csv).rejected[0].line, 2);
}

#[test]
fn the_devils_ivy_is_found_where_it_is_and_unknown_elsewhere() {
    let bill = import(IntelligenceKind::Sbom, "camera.cdx.json", &bill("camera.cdx.json")).snapshot;
    let knowledge = knowledge([bill]);
    let mut exposures = Exposures::new("CVE-2017-9765".parse().unwrap(), &knowledge);
    let mut of = |identity: &Identity| exposures.ask(identity).0;

    // It says so itself.
    assert_eq!(of(&shows("gSOAP/2.7")), Exposure::Affected);
    assert_eq!(of(&shows("Optics gSOAP/2.8.10")), Exposure::Affected);
    // Its bill of materials says so.
    let camera = device("Example Optics", "CAM-100", "5.50", "camera");
    let (exposed, by) = Exposures::new("CVE-2017-9765".parse().unwrap(), &knowledge).ask(&camera);
    assert_eq!(exposed, Exposure::AffectedByKnowledge);
    let by = by.unwrap();
    assert_eq!((by.certainty, by.version.as_deref()), (Certainty::Known, Some("2.8.10")));
    assert!(
        matches!(&by.evidence[0], Ground::Stated { snapshot, .. } if snapshot.starts_with("sbom@2026-02-01#sha256:"))
    );
    // Another version of it, one that shows none, and a gSOAP whose version is hidden or not listed.
    assert_eq!(of(&device("Example Optics", "CAM-100", "6.10", "camera")), Exposure::Possible);
    assert_eq!(of(&device("Example Optics", "CAM-100", "", "camera")), Exposure::Possible);
    assert_eq!(
        of(&shows("gSOAP/2.8.75")),
        Exposure::Possible,
        "NVD lists versions, and says nothing of others"
    );
    // Nothing says anything: that is no health.
    assert_eq!(of(&device("Example Optics", "CAM-200", "5.50", "camera")), Exposure::Unknown);
    assert_eq!(of(&device("Acme", "CAM-100", "5.50", "camera")), Exposure::Unknown);
    assert_eq!(of(&shows("nginx/1.18.0")), Exposure::Unknown);
    assert_eq!(of(&Identity::default()), Exposure::Unknown);
}

fn best<'a>(all: &'a [Carried], key: &str) -> &'a Carried {
    all.iter().filter(|one| one.key == key).max_by_key(|one| (one.certainty, one.confidence)).unwrap()
}

#[test]
fn what_is_seen_is_surer_than_what_is_known_and_that_than_what_is_inferred() {
    let by_hand = list(
        "[[contains]]\nproduct = \"acme:dome*\"\ncomponent = \"acme:dvr-kit\"\nsource = \"x\"\nconfidence = 100\n\
         [[contains]]\nproduct = \"acme:dome-7:<= 2.0\"\ncomponent = \"boa:boa\"\nsource = \"y\"\nconfidence = 100\n",
    );
    let knowledge = knowledge([by_hand]);
    let dome = |version: &str| device("Acme", "Dome-7", version, "camera");
    let of = |identity: &Identity| carried(identity, &knowledge);
    let old = of(&dome("1.9"));
    assert_eq!(best(&old, "boa").certainty, Certainty::Known);
    assert_eq!(best(&old, "dvrkit").certainty, Certainty::Inferred, "a family is not a product");
    assert_eq!(best(&of(&dome("")), "boa").certainty, Certainty::Inferred);
    assert!(!of(&dome("2.1")).iter().any(|one| one.key == "boa"), "a list that names versions means these");
    let mut showing = dome("1.9");
    showing.components.push(component("Boa", "Boa", "0.94.13", 80));
    let all = of(&showing);
    assert_eq!(best(&all, "boa").certainty, Certainty::Visible);
    assert_eq!(best(&all, "boa").version.as_deref(), Some("0.94.13"));
    // What the identity is not sure of, its contents are not either.
    let mut doubted = dome("1.9");
    doubted.product = claim("Dome-7").map(|claim| kenshin_observation::Claim { confidence: 60, ..claim });
    assert!(best(&of(&doubted), "boa").confidence < best(&old, "boa").confidence);
}

#[test]
fn a_census_says_of_how_many_nothing_is_known() {
    let bill = import(IntelligenceKind::Sbom, "camera.cdx.json", &bill("camera.cdx.json")).snapshot;
    let knowledge = knowledge([bill]);
    let query: Query = "gSOAP:< 2.8.48".parse().unwrap();
    let mut census = Census::new(&query, &knowledge);
    let visible = census.ask(&shows("gSOAP/2.7")).unwrap();
    assert!(visible.version_sure && visible.carried.certainty == Certainty::Visible);
    assert_eq!(census.ask(&shows("gSOAP/2.8.99")), None);
    let by_bill = census.ask(&device("Example Optics", "CAM-100", "5.50", "camera")).unwrap();
    assert_eq!(by_bill.carried.certainty, Certainty::Known);
    let inferred = census.ask(&device("Example Optics", "CAM-100", "5.60", "camera")).unwrap();
    assert!(!inferred.version_sure, "another build may hold another version");
    assert_eq!(census.ask(&device("Acme", "R1", "1.0", "router")), None);
    assert_eq!(census.ask(&Identity::default()), None);
    let gaps = census.gaps;
    assert_eq!((gaps.assets, gaps.carriers, gaps.other_version), (6, 3, 1));
    assert_eq!((gaps.unlearned, gaps.unidentified, gaps.unlisted), (1, 1, 0));

    let query: Query = "rompager".parse().unwrap();
    let mut census = Census::new(&query, &knowledge);
    assert_eq!(census.ask(&device("Example Optics", "CAM-100", "5.50", "camera")), None);
    assert_eq!(census.gaps.unlisted, 1, "its bill of materials does not list it");
    assert_eq!(census.ask(&device("Example Optics", "CAM-100", "5.60", "camera")), None);
    assert_eq!(census.gaps.unlearned, 1, "that of another version says nothing about absence");
}

#[test]
fn whether_anybody_mends_it() {
    let eol = "---\ntitle: Dead\ncategory: framework\npermalink: /dead\nreleases:\n  - releaseCycle: \"1\"\n    eol: 2020-01-01\n  - releaseCycle: \"2\"\n    eol: 2021-06-30\n---\n";
    let alive = "---\ntitle: Alive\ncategory: framework\npermalink: /alive\nreleases:\n  - releaseCycle: \"1\"\n    eol: 2020-01-01\n  - releaseCycle: \"2\"\n    eol: false\n---\n";
    let mut cycles = Importer::new(IntelligenceKind::EndOfLife);
    cycles.read("dead.md", eol.as_bytes()).unwrap();
    cycles.read("alive.md", alive.as_bytes()).unwrap();
    let cycles = cycles.finish("2026-04-01".parse().unwrap()).snapshot;
    let by_hand = list(
        "[[unmaintained]]\ncomponent = \"boa:boa\"\nsource = \"x\"\nsince = \"2005-12-31\"\n\
         [[unmaintained]]\ncomponent = \"a:fork:< 2\"\nsource = \"x\"\n\
         [[maintained]]\ncomponent = \"a:fork:>= 2\"\nsource = \"x\"\n\
         [[unmaintained]]\ncomponent = \"a:later\"\nsource = \"x\"\nsince = \"2030-01-01\"\n\
         [[unmaintained]]\ncomponent = \"a:torn\"\nsource = \"x\"\n\
         [[maintained]]\ncomponent = \"b:torn:*\"\nsource = \"y\"\n",
    );
    let knowledge = Intelligence::new([cycles, by_hand]);
    let today = "2026-04-01".parse().unwrap();
    let of = |name: &str, version: Option<&str>| {
        let part = Part { name: name.into(), version: version.map(str::to_owned), ..Part::default() };
        knowledge.maintenance(&part, today)
    };
    let boa = of("Boa", Some("0.94.13"));
    assert_eq!(
        (boa.supported, boa.since.unwrap().to_string().as_str()),
        (Supported::Unmaintained, "2005-12-31")
    );
    assert!(boa.snapshot.unwrap().starts_with("component-list@"));
    assert_eq!(of("fork", Some("1.9")).supported, Supported::Unmaintained);
    assert_eq!(of("fork", Some("2.1")).supported, Supported::Maintained);
    assert_eq!(of("fork", None).supported, Supported::Unknown);
    assert_eq!(of("later", None).supported, Supported::Maintained, "until then");
    assert_eq!(of("torn", Some("1.0")).supported, Supported::Unknown, "they contradict each other");
    let dead = of("dead", Some("1.3"));
    assert_eq!(
        (dead.supported, dead.since.unwrap().to_string().as_str()),
        (Supported::Unmaintained, "2021-06-30")
    );
    assert_eq!(
        of("alive", Some("1.3")).supported,
        Supported::Maintained,
        "an old version is another finding"
    );
    assert_eq!(of("nobody", None).supported, Supported::Unknown);
}

#[test]
fn the_inventory_counts_each_device_once_a_component() {
    let bill = import(IntelligenceKind::Sbom, "camera.cdx.json", &bill("camera.cdx.json")).snapshot;
    let knowledge = knowledge([bill]);
    let mut camera = device("Example Optics", "CAM-100", "5.50", "camera");
    camera.components.push(component("Boa", "Boa", "0.94.13", 80));
    camera.components.push(component("Boa", "Boa", "0.94.14rc21", 8080));
    let other = device("Example Optics", "CAM-100", "5.40", "camera");
    let mut inventory = Inventory::new(&knowledge, "2026-04-01".parse().unwrap());
    inventory.add(&camera, t0(), t0().plus_secs(60));
    inventory.add(&other, t0().plus_secs(10), t0().plus_secs(90));
    inventory.add(&Identity::default(), t0(), t0());
    assert_eq!((inventory.assets, inventory.bare), (3, 1));
    let counts = inventory.finish();
    let boa = counts.iter().find(|count| count.key == "boa").unwrap();
    assert_eq!((boa.visible, boa.known, boa.inferred), (1, 0, 1));
    assert_eq!(boa.versions.iter().map(String::as_str).collect::<Vec<_>>(), ["0.94.13", "0.94.14rc21"]);
    assert_eq!((boa.first_seen, boa.last_seen), (t0(), t0().plus_secs(90)));
    assert_eq!(boa.maintenance.supported, Supported::Unmaintained, "the bill of materials says so");
    let gsoap = counts.iter().find(|count| count.key == "gsoap").unwrap();
    assert_eq!((gsoap.visible, gsoap.known, gsoap.inferred), (0, 1, 1));
}

#[test]
fn identities_keep_the_bytes_that_showed_a_component() {
    let identity = shows("lighttpd/1.4.35 OpenSSL/1.0.2k");
    let shown: Vec<(&str, Option<&str>)> =
        identity.components.iter().map(|one| (one.product.value.as_str(), one.shown.as_deref())).collect();
    let text = Some("lighttpd/1.4.35 OpenSSL/1.0.2k");
    assert_eq!(shown, [("OpenSSL", text), ("lighttpd", text)]);
    // What was stored before is read still, and says no bytes.
    let old = r#"{"vendor":null,"product":{"value":"x","confidence":90,"reason":"y"},"version":null,"cpe":null,"port":80}"#;
    let old: Component = serde_json::from_str(old).unwrap();
    assert_eq!((old.shown.as_deref(), serde_json::to_string(&old).unwrap().contains("shown")), (None, false));
}

/// Findings of a device that shows this server and is taken for this.
fn found(server: Option<&str>, identity: Identity, knowledge: &Intelligence) -> Vec<Finding> {
    let http = Http {
        status: 200,
        server: server.map(str::to_owned),
        title: Some("CAM-100 5.50".into()),
        ..Http::default()
    };
    let seen = seen(1, 80).http(http);
    let mut identity = identity;
    identity.components.extend(identify(&[&seen], &Packs::own()).components);
    findings(AssetId::from_bits(1), &[&seen], &identity, knowledge, t0())
}

#[test]
fn what_nobody_maintains_is_a_finding_where_it_is_sure() {
    let bill = import(IntelligenceKind::Sbom, "camera.cdx.json", &bill("camera.cdx.json")).snapshot;
    let by_hand = list("[[unmaintained]]\ncomponent = \"boa:boa\"\nsource = \"x\"\n");
    let knowledge = knowledge([bill, by_hand]);
    let camera = device("Example Optics", "CAM-100", "5.50", "camera");
    let of = |server, identity: Identity| {
        let mut all = found(server, identity, &knowledge);
        all.retain(|finding| finding.kind == FindingKind::UnmaintainedComponent);
        all
    };
    let seen = of(Some("Boa/0.94.14rc21"), Identity::default());
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].severity, seen[0].remedy), (Severity::High, Remedy::Replace));
    assert_eq!(seen[0].explanation.code, "finding.unmaintained-component.undated");
    assert_eq!(seen[0].explanation.args["component"], "Boa 0.94.14rc21");
    assert_eq!(
        (seen[0].evidence[0].field.as_str(), seen[0].evidence[0].value.as_str()),
        ("http.server", "Boa/0.94.14rc21")
    );
    let known = of(None, camera.clone());
    assert_eq!(known.len(), 1);
    assert_eq!(known[0].severity, Severity::Medium);
    assert_eq!(known[0].explanation.code, "finding.unmaintained-component.known.undated");
    assert_eq!(known[0].explanation.args["source"], "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79");
    assert!(known[0].snapshots.iter().any(|name| name.starts_with("sbom@")), "{:?}", known[0].snapshots);
    // Seen and known, in another version, is one weakness, and what is seen is told.
    let both = of(Some("Boa/0.94.14rc21"), camera);
    assert_eq!(both.len(), 1);
    assert_eq!(both[0].explanation.code, "finding.unmaintained-component.undated");
    // Inferred is no accusation; other software is none; a distribution mends what upstream left.
    assert_eq!(of(None, device("Example Optics", "CAM-100", "6.0", "camera")), []);
    assert_eq!(of(Some("lighttpd/1.4.69"), Identity::default()), []);
    assert_eq!(of(Some("Boa/0.94.14rc21 (Debian)"), Identity::default()), []);
}

#[test]
fn what_nobody_maintains_is_replaced_and_not_updated() {
    let file = "---\ntitle: Dead\ncategory: framework\npermalink: /dead\nreleases:\n  - releaseCycle: \"1\"\n    eol: 2020-01-01\n---\n";
    let knowledge = Intelligence::new([import(IntelligenceKind::EndOfLife, "dead.md", file).snapshot]);
    let seen = seen(1, 80).http(Http { status: 200, server: Some("dead/1.3".into()), ..Http::default() });
    let identity = Identity {
        components: vec![Component { vendor: None, ..component("", "Dead", "1.3", 80) }],
        ..Identity::default()
    };
    let found = findings(AssetId::from_bits(1), &[&seen], &identity, &knowledge, t0());
    let told: Vec<_> = found.iter().map(|finding| (finding.kind, finding.remedy)).collect();
    assert_eq!(told, [(FindingKind::UnmaintainedComponent, Remedy::Replace)]);
    assert_eq!(found[0].explanation.args["since"], "2020-01-01");
}

/// A component shows in fields that no other conclusion looks at; the finding says where.
#[test]
fn what_nobody_maintains_is_told_wherever_it_shows() {
    let knowledge = Intelligence::new([list("[[unmaintained]]\ncomponent = \"boa:boa\"\nsource = \"x\"\n")]);
    let of = |observation: &Observation, identity: &Identity| {
        let found = findings(AssetId::from_bits(1), &[observation], identity, &knowledge, t0());
        let told = found.iter().filter(|finding| finding.kind == FindingKind::UnmaintainedComponent);
        let evidence: Vec<(String, String)> =
            told.map(|one| (one.evidence[0].field.clone(), one.evidence[0].value.clone())).collect();
        evidence
    };
    let cookie = seen(1, 80).http(Http {
        status: 200,
        title: Some("Login".into()),
        cookie_names: vec!["BoaSession".into()],
        ..Http::default()
    });
    let by_cookie = |title: Option<&str>| {
        let mut observation = cookie.clone();
        observation.records.http.as_mut().unwrap().title = title.map(str::to_owned);
        let mut boa = component("Boa", "Boa", "0.94.13", 80);
        boa.product.reason = "http_cookies.xml#3 http.cookie_names:80".into();
        boa.shown = Some("BoaSession".into());
        of(&observation, &Identity { components: vec![boa], ..Identity::default() })
    };
    let cookie = [("http.cookie_names".to_owned(), "BoaSession".to_owned())];
    assert_eq!(by_cookie(None), cookie);
    assert_eq!(by_cookie(Some("Login")), cookie, "the title does not show it");

    let sip =
        Sip { user_agent: Some("Phone 7".into()), server: Some("Boa/0.94.13".into()), ..Sip::default() };
    let sip = spoken(seen(1, 5060), "sip", |records| records.sip = Some(sip.into()));
    assert_eq!(
        of(&sip, &identify(&[&sip], &Packs::own())),
        [("sip.server".to_owned(), "Boa/0.94.13".to_owned())]
    );
}

/// An advisory of Acme about its Dome: `version` of it, what is said of it, and what it contains.
fn advisory(version: Option<&str>, status: &str, relation: &str) -> Snapshot {
    let product = |id: &str, name: &str| json!({"product_id": id, "name": name});
    let dome = match version {
        None => json!({"category": "product_name", "name": "Dome", "product": product("D", "Dome")}),
        Some(version) => json!({"category": "product_name", "name": "Dome", "branches": [
            {"category": "product_version_range", "name": version, "product": product("D", "Dome")}
        ]}),
    };
    let document = json!({
        "document": {
            "category": "csaf_vex", "csaf_version": "2.0", "title": "The Dome",
            "publisher": {"category": "vendor", "name": "Acme", "namespace": "https://psirt.acme.example"},
            "tracking": {"id": "ACME-7", "status": "final", "current_release_date": "2026-02-03T00:00:00Z"}
        },
        "product_tree": {
            "branches": [{"category": "vendor", "name": "Acme", "branches": [dome]}],
            "full_product_names": [{"product_id": "G", "name": "gSOAP", "product_identification_helper":
                {"cpe": "cpe:2.3:a:genivia:gsoap:2.8.10:*:*:*:*:*:*:*"}}],
            "relationships": [{"category": relation, "product_reference": "G", "relates_to_product_reference": "D",
                "full_product_name": {"product_id": "G-IN-D", "name": "gSOAP in Dome"}}]
        },
        "vulnerabilities": [{"cve": "CVE-2017-9765", "product_status": {status: ["D"]}}]
    });
    let import = import(IntelligenceKind::Csaf, "a.json", &document.to_string());
    assert!(import.rejected.is_empty(), "{:?}", import.rejected);
    import.snapshot
}

#[test]
fn advisories_say_what_products_contain() {
    let of = |knowledge: &Intelligence, version: &str| {
        let all = carried(&device("Acme", "Dome", version, "camera"), knowledge);
        all.into_iter().find(|one| one.key == "gsoap")
    };
    let below =
        knowledge([advisory(Some("vers:generic/<2.0"), "under_investigation", "default_component_of")]);
    let gsoap = of(&below, "1.0").unwrap();
    assert_eq!((gsoap.certainty, gsoap.version.as_deref()), (Certainty::Known, Some("2.8.10")));
    let Ground::Stated { basis, source, snapshot, .. } = &gsoap.evidence[0] else { panic!("{gsoap:?}") };
    assert_eq!((*basis, source.as_str()), (Basis::Csaf, "ACME-7 (Acme)"));
    assert!(snapshot.starts_with("csaf@2026-02-03#sha256:"), "{snapshot}");
    assert_eq!(of(&below, "2.0"), None, "it speaks of the versions that it names");
    assert_eq!(carried(&device("Other", "Dome", "1.0", "camera"), &below), []);
    // A whole without a version is some build of it; what is optional may be absent.
    let some = knowledge([advisory(None, "under_investigation", "default_component_of")]);
    let some = of(&some, "1.0").unwrap();
    assert_eq!((some.certainty, some.version), (Certainty::Inferred, None));
    let optional = knowledge([advisory(Some("1.0"), "under_investigation", "optional_component_of")]);
    assert!(of(&optional, "1.0").unwrap().confidence < gsoap.confidence);
}

#[test]
fn a_weakness_by_names_distributions_and_the_makers_word() {
    let of = |knowledge: &Intelligence, identity: &Identity| {
        Exposures::new("CVE-2017-9765".parse().unwrap(), knowledge).ask(identity).0
    };
    let dome = device("Acme", "Dome", "1.0", "camera");
    // By an advisory that says what it contains, and does not say whether that harms.
    let contains = advisory(Some("1.0"), "under_investigation", "default_component_of");
    assert_eq!(of(&knowledge([contains]), &dome), Exposure::Possible);
    // Its maker says so of the device itself.
    let affected = knowledge([advisory(Some("1.0"), "known_affected", "default_component_of")]);
    assert_eq!(of(&affected, &dome), Exposure::Affected);
    // Its maker says that it is not, whatever it contains or shows.
    let healthy = knowledge([advisory(Some("1.0"), "known_not_affected", "default_component_of")]);
    let showing = Identity { components: shows("gSOAP/2.7").components, ..dome.clone() };
    assert_eq!(of(&knowledge([]), &showing), Exposure::Affected);
    assert_eq!(of(&healthy, &showing), Exposure::NotAffected);
    // Of what is known by its CPE name alone.
    let gsoap = "cpe:2.3:a:genivia:gsoap:2.8.10:*:*:*:*:*:*:*";
    let by_cpe = Identity { cpe: claim(gsoap), version: claim("2.8.10"), ..Identity::default() };
    assert_eq!(of(&knowledge([]), &by_cpe), Exposure::Affected);
    // A distribution mends it and leaves it the number.
    assert_eq!(of(&knowledge([]), &shows("gSOAP/2.7 (Debian)")), Exposure::Possible);
    assert_eq!(of(&knowledge([]), &shows("gSOAP/2.7")), Exposure::Affected);
}

#[test]
fn packages_that_nobody_maintains_are_known_by_their_package_url() {
    let osv = r#"{"id":"RUSTSEC-2099-0001","modified":"2026-01-05T00:00:00Z","affected":[{"package":{"ecosystem":"crates.io","name":"term-paint","purl":"pkg:cargo/term-paint"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0.0.0-0"}]}],"database_specific":{"informational":"unmaintained"}}]}
{"id":"RUSTSEC-2099-0002","affected":[{"package":{"ecosystem":"crates.io","name":"mended","purl":"pkg:cargo/mended"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"2.0.0"}]}],"database_specific":{"informational":"unmaintained"}}]}
{"id":"RUSTSEC-2099-0003","affected":[{"package":{"ecosystem":"crates.io","name":"weak","purl":"pkg:cargo/weak"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]}]}"#;
    let osv = import(IntelligenceKind::Osv, "a.jsonl", osv).snapshot;
    let bill = r#"{"bomFormat":"CycloneDX","metadata":{"component":{"supplier":{"name":"Acme"},"name":"Dome","version":"1.0"}},
        "components":[{"name":"term-paint","version":"0.1.0","purl":"pkg:cargo/term-paint@0.1.0"}]}"#;
    let bill = import(IntelligenceKind::Sbom, "bill.json", bill).snapshot;
    let knowledge = Intelligence::new([osv, bill]);
    let of = |name: &str, purl: Option<&str>, version: Option<&str>| {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let part = Part { name: name.into(), purl: owned(purl), version: owned(version), ..Part::default() };
        knowledge.maintenance(&part, "2026-04-01".parse().unwrap())
    };
    let ended = of("term-paint", Some("pkg:cargo/term-paint@0.1.0?x=y"), Some("0.1.0"));
    assert_eq!(
        (ended.supported, ended.source.as_deref()),
        (Supported::Unmaintained, Some("RUSTSEC-2099-0001"))
    );
    assert!(ended.snapshot.unwrap().starts_with("osv@2026-01-05#sha256:"));
    let supported = |name, purl, version| of(name, purl, version).supported;
    assert_eq!(supported("term-paint", Some("pkg:cargo/term-paint"), None), Supported::Unmaintained);
    assert_eq!(supported("term-paint", None, Some("0.1.0")), Supported::Unknown, "a name belongs to anybody");
    assert_eq!(supported("term-paint", Some("pkg:npm/term-paint"), Some("0.1.0")), Supported::Unknown);
    assert_eq!(supported("mended", Some("pkg:cargo/mended"), Some("1.9.0")), Supported::Unmaintained);
    assert_eq!(supported("mended", Some("pkg:cargo/mended"), Some("2.0.0")), Supported::Unknown);
    assert_eq!(supported("mended", Some("pkg:cargo/mended"), None), Supported::Unknown);
    assert_eq!(
        supported("weak", Some("pkg:cargo/weak"), Some("1.0.0")),
        Supported::Unknown,
        "weak is not left"
    );

    let found = found(None, device("Acme", "Dome", "1.0", "camera"), &knowledge);
    let told: Vec<_> =
        found.iter().map(|one| (one.kind, one.explanation.args["component"].as_str())).collect();
    assert_eq!(told, [(FindingKind::UnmaintainedComponent, "term-paint 0.1.0")]);
}

#[test]
fn what_every_component_would_repeat_is_of_sensible_length() {
    let long = "x".repeat(600);
    for value in ["Example Optics Inc.", "CAM-100", "5.50", "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79"] {
        let text = bill("camera.cdx.json").replacen(value, &long, 1);
        let import = import(IntelligenceKind::Sbom, "camera.cdx.json", &text);
        assert!(import.snapshot.records.is_empty(), "{value}");
        let reason = &import.rejected.last().unwrap().reason;
        assert!(reason.contains("a value of 600 bytes is longer than 512"), "{value}: {reason}");
    }
}

proptest! {
    /// Whatever is imported, a device that carries something by knowledge is one whose product is named.
    #[test]
    fn nothing_is_carried_without_a_ground(vendor in "[a-c]", product in "[x-z]{1,3}", version in proptest::option::of("[0-9]")) {
        let by_hand = list(
            "[[contains]]\nproduct = \"a:x*:<= 5\"\ncomponent = \"c:one\"\nsource = \"s\"\n\
             [[contains]]\nproduct = \"b:xyz\"\ncomponent = \"c:two:1.0\"\nsource = \"s\"\n",
        );
        let knowledge = Intelligence::new([by_hand]);
        let all = carried(&device(&vendor, &product, version.as_deref().unwrap_or(""), "camera"), &knowledge);
        for one in &all {
            prop_assert!(!one.evidence.is_empty());
            prop_assert!(one.certainty != Certainty::Visible && one.confidence <= 90);
        }
        let late = version.as_deref().is_some_and(|version| version > "5");
        prop_assert_eq!(all.iter().any(|one| one.key == "one"), vendor == "a" && product.starts_with('x') && !late);
        prop_assert_eq!(all.iter().any(|one| one.key == "two"), vendor == "b" && product == "xyz");
    }

    /// Damaged documents are refused or read, and never panic.
    #[test]
    fn damaged_bills_are_survived(which in 0usize..5, at in 0usize..4000, with: Vec<u8>, cut in 0usize..100) {
        let mut bytes = bill(BILLS[which]).into_bytes();
        let at = at.min(bytes.len());
        let end = (at + cut).min(bytes.len());
        bytes.splice(at..end, with);
        let mut importer = Importer::new(IntelligenceKind::Sbom).about("a:b".parse().ok());
        if importer.read("damaged", bytes.as_slice()).is_ok() {
            let snapshot = importer.finish("2026-04-01".parse().unwrap()).snapshot;
            let mut stored = Vec::new();
            snapshot.write(&mut stored).unwrap();
            prop_assert_eq!(Snapshot::read(stored.as_slice()).unwrap(), snapshot);
        }
    }
}
