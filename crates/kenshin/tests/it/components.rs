//! Who carries a component, as an operator asks: what is seen, what a bill of materials tells, and of how
//! many nothing is known.

use std::collections::BTreeMap;
use std::path::Path;

use kenshin_casework::{Assessment, AssetSeen, Experiment, NewSurvey, SurveyKind, SurveyTotals};
use kenshin_observation::{AssetId, Claim, Component, Identity, TimeUs};
use kenshin_observatory::{Edge, Home, Observatory};
use serde_json::Value;

use crate::process::{expect, expect_error, run};

const NOW: TimeUs = TimeUs::from_secs(1_790_000_000);

fn claim(value: &str) -> Option<Claim> {
    Some(Claim { value: value.into(), confidence: 90, reason: "test".into() })
}

fn camera(vendor: &str, product: &str, version: &str) -> Identity {
    Identity {
        vendor: claim(vendor),
        product: claim(product),
        version: claim(version),
        ..Identity::default()
    }
}

/// A device whose server says so.
fn server(name: &str, version: &str) -> Identity {
    let component = Component {
        vendor: None,
        product: claim(name).unwrap(),
        version: Some(version.into()),
        cpe: None,
        port: 80,
        shown: Some(format!("{name}/{version}")),
    };
    Identity { components: vec![component], ..Identity::default() }
}

/// A home whose last round saw these devices.
fn seen(home: &Path, identities: &[Identity]) {
    expect(home, 0, &["init", "--organisation", "Example CSIRT"]);
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let observatory = Observatory::open(&Home::at(home), &Edge::fixed(NOW, [7; 32])).await.unwrap();
        let (casework, org) = (observatory.casework(), observatory.org());
        let survey = NewSurvey {
            survey_id: casework.new_survey_id(NOW),
            programme: "national".into(),
            kind: SurveyKind::Survey,
            mandate_digest: "d".repeat(64),
            plan: Value::Null,
        };
        let survey = casework.plan_survey(org, &survey, NOW).await.unwrap();
        let assets = identities.iter().enumerate().map(|(number, identity)| AssetSeen {
            asset_id: AssetId::new(NOW, number as u128),
            addr: [198, 18, 0, number as u8].into(),
            keys: Vec::new(),
            identity: identity.clone(),
            sighting: Value::Null,
            time: NOW,
        });
        let assessment = Assessment {
            survey_id: survey.survey_id,
            links: Vec::new(),
            assets: assets.collect(),
            findings: Vec::new(),
            vantages: BTreeMap::new(),
            judgements: Vec::new(),
            covered: Vec::new(),
            totals: SurveyTotals::default(),
        };
        casework.record_assessment(org, &assessment, &Experiment::none(), NOW).await.unwrap();
    });
}

fn json(home: &Path, code: i32, args: &[&str]) -> Value {
    let args: Vec<&str> = args.iter().copied().chain(["--format", "json"]).collect();
    serde_json::from_str(&expect(home, code, &args)).unwrap()
}

/// The record of CVE-2017-9765 as NVD has it, cut to a few of its versions: no camera is named.
const DEVILS_IVY: &str = r#"{"id":"CVE-2017-9765","sourceIdentifier":"cve@mitre.org","vulnStatus":"Modified","descriptions":[],
"configurations":[{"nodes":[{"operator":"OR","negate":false,"cpeMatch":[
{"vulnerable":true,"criteria":"cpe:2.3:a:genivia:gsoap:2.7.0:*:*:*:*:*:*:*"},
{"vulnerable":true,"criteria":"cpe:2.3:a:genivia:gsoap:2.8.10:*:*:*:*:*:*:*"}]}]}]}"#;

#[test]
fn a_weakness_of_a_component_is_found_on_the_cameras_that_contain_it() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    seen(
        &home,
        &[
            server("gSOAP", "2.7"),
            camera("Example Optics", "CAM-100", "5.50"),
            camera("Example Optics", "CAM-100", "5.60"),
            camera("Acme", "Dome", "1.0"),
            Identity::default(),
            server("Boa", "0.94.13"),
        ],
    );
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let home = home.as_path();
    // Before anything is learned, what is seen is all that is known.
    let before = json(home, 0, &["component", "show", "gsoap"]);
    assert_eq!(before["by_certainty"], serde_json::json!({"inferred": 0, "known": 0, "visible": 1}));
    assert_eq!((&before["gaps"]["unlearned"], &before["gaps"]["unidentified"]), (&3.into(), &2.into()));
    assert!(expect_error(home, 1, &["component", "affected", "CVE-2017-9765"]).contains("import cve5"));

    let bill = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/insight/sbom/camera.cdx.json");
    let imported = json(home, 0, &["intel", "import", "sbom", bill]);
    assert_eq!(imported["rejected_total"], 3, "{imported}");
    expect(home, 0, &["intel", "import", "cve5", &write("nvd.json", DEVILS_IVY)]);
    let exposed = json(home, 0, &["component", "affected", "CVE-2017-9765"]);
    let counts = serde_json::json!(
        {"affected": 1, "affected-by-knowledge": 1, "possible": 1, "not-affected": 0, "unknown": 3}
    );
    assert_eq!(exposed["counts"], counts);
    let words: Vec<_> = exposed["items"].as_array().unwrap().iter().map(|row| &row["exposure"]).collect();
    assert_eq!(words, ["affected", "affected-by-knowledge", "possible"]);
    let table = expect(home, 0, &["component", "affected", "CVE-2017-9765"]);
    assert!(table.contains("unknown is not unaffected"), "{table}");

    let show = json(home, 0, &["component", "show", "gsoap:<2.8"]);
    assert_eq!(show["items"][0]["evidence"][0]["text"], "gSOAP/2.7");
    assert_eq!(show["gaps"]["other_version"], 1, "the bill of materials says 2.8.10: {show}");
    let csv = run(home, &["component", "show", "gsoap", "--format", "csv"]);
    assert_eq!(String::from_utf8_lossy(&csv.stdout).lines().count(), 4, "a line a carrier, and the names");
    assert!(String::from_utf8_lossy(&csv.stderr).contains("not identified"), "the rest is talk");

    // Nobody carries it: that is an answer, and it says what it does not know.
    let none = expect(home, 1, &["component", "show", "rompager"]);
    for wanted in ["not in SBOM    1", "not known      2", "not identified 3"] {
        assert!(none.contains(wanted), "{wanted}: {none}");
    }
    assert!(expect_error(home, 2, &["component", "show", "n/a"]).contains("names no component"));
}

#[test]
fn advisories_and_packages_are_asked_too() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    seen(&home, &[camera("Acme", "Dome", "1.0"), server("lighttpd", "1.4.50")]);
    let home = home.as_path();
    let import = |kind: &str, text: &str| {
        let path = folder.path().join("a.json");
        std::fs::write(&path, text).unwrap();
        expect(home, 0, &["intel", "import", kind, path.to_str().unwrap()]);
    };
    import(
        "csaf",
        r#"{"document":{"category":"csaf_vex","csaf_version":"2.0","title":"The Dome",
        "publisher":{"category":"vendor","name":"Acme","namespace":"https://acme.example"},
        "tracking":{"id":"ACME-1","status":"final","current_release_date":"2026-02-03T00:00:00Z"}},
        "product_tree":{"branches":[{"category":"vendor","name":"Acme","branches":[{"category":"product_name","name":"Dome",
        "branches":[{"category":"product_version","name":"1.0","product":{"product_id":"D","name":"Dome"}}]}]}],
        "full_product_names":[{"product_id":"Z","name":"zlib","product_identification_helper":{"purl":"pkg:generic/zlib@1.2.8"}}],
        "relationships":[{"category":"default_component_of","product_reference":"Z","relates_to_product_reference":"D",
        "full_product_name":{"product_id":"ZD","name":"zlib in Dome"}}]},
        "vulnerabilities":[{"cve":"CVE-2099-0001","product_status":{"known_affected":["D"]}}]}"#,
    );
    import(
        "osv",
        r#"{"id":"OSV-2099-1","aliases":["CVE-2099-0005"],"modified":"2026-01-05T00:00:00Z",
        "affected":[{"package":{"ecosystem":"OSS-Fuzz","name":"lighttpd"},"versions":["lighttpd-1.4.50"]}]}"#,
    );
    let affected = |cve: &str| {
        let found = json(home, 0, &["component", "affected", cve]);
        (found["counts"]["affected"].clone(), found["items"][0]["addr"].clone())
    };
    assert_eq!(affected("CVE-2099-0001"), (1.into(), "198.18.0.0".into()));
    assert_eq!(affected("CVE-2099-0005"), (1.into(), "198.18.0.1".into()));
    let zlib = json(home, 0, &["component", "show", "zlib:1.2.8"]);
    assert_eq!(zlib["items"][0]["evidence"][0]["basis"], "csaf", "{zlib}");
}

#[test]
fn bills_add_up_and_each_replaces_what_it_said_before() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    seen(&home, &[camera("Acme", "Dome", "1.0"), camera("Acme", "Router", "2.0")]);
    let home = home.as_path();
    let bill = |component: &str| {
        let path = folder.path().join("bill.json");
        let text =
            format!(r#"{{"bomFormat":"CycloneDX","components":[{{"name":"{component}","version":"1"}}]}}"#);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let learn = |component: &str, product: &str| {
        json(home, 0, &["intel", "import", "sbom", &bill(component), "--product", product])
    };
    let carriers = |component: &str, code: i32| {
        json(home, code, &["component", "show", component])["gaps"]["carriers"].clone()
    };
    assert!(expect_error(home, 2, &["intel", "import", "sbom", &bill("zlib")]).contains("--product"));
    learn("zlib", "acme:dome:1.0");
    learn("expat", "acme:router");
    assert_eq!(
        (carriers("zlib", 0), carriers("expat", 0)),
        (1.into(), 1.into()),
        "the second adds to the first"
    );
    learn("libpng", "acme:dome:1.0");
    assert_eq!(
        (carriers("zlib", 1), carriers("libpng", 0), carriers("expat", 0)),
        (0.into(), 1.into(), 1.into())
    );
    let status = json(home, 0, &["intel", "status"]);
    let sbom = status.as_array().unwrap().iter().find(|one| one["kind"] == "sbom").unwrap();
    assert_eq!(sbom["snapshot"]["records"], 2);
    assert!(
        expect_error(home, 2, &["intel", "import", "kev", "x", "--product", "a:b"]).contains("--product")
    );
    assert!(
        expect_error(home, 2, &["intel", "import", "sbom", "x", "--product", "a"]).contains("vendor:product")
    );
}

#[test]
fn what_nobody_maintains_gets_a_draft_against_it() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    seen(&home, &[server("Boa", "0.94.13"), camera("Example Optics", "CAM-100", "5.50")]);
    let home = home.as_path();
    let refused = expect_error(home, 1, &["component", "advisory", "boa"]);
    assert!(refused.contains("unknown") && refused.contains("component-list"), "{refused}");
    let list = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/components-example.toml");
    expect(home, 0, &["intel", "import", "component-list", list]);
    let good = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/known-good-example.toml");
    expect(home, 0, &["intel", "import", "known-good", good]);

    let all = json(home, 0, &["component", "list"]);
    let boa = all["items"].as_array().unwrap().iter().find(|one| one["key"] == "boa").unwrap();
    assert_eq!((&boa["maintenance"]["supported"], &boa["visible"]), (&"unmaintained".into(), &1.into()));
    assert!(expect(home, 0, &["component", "list"]).contains("no, since 2005-12-31"));
    let csaf: Value =
        serde_json::from_str(&expect(home, 0, &["component", "advisory", "boa", "--as", "csaf"])).unwrap();
    let document = &csaf["document"];
    assert_eq!(
        (&document["publisher"]["name"], &document["tracking"]["status"]),
        (&"Example CSIRT".into(), &"draft".into())
    );
    let page = expect(home, 0, &["component", "advisory", "boa", "--lang", "ja"]);
    assert!(page.starts_with("# Boa の使用中止"), "{page}");
    assert!(page.contains("10 未満"), "one device is not told as one: {page}");
}
