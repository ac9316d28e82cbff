//! Findings: what is one, what is none, and that each can be explained.

use kenshin_insight::finding::{findings, remedy_codes, why_code};
use kenshin_insight::intelligence::{Importer, Intelligence, IntelligenceKind, Snapshot};
use kenshin_observation::protocol::{Http, Snmp, Tls};
use kenshin_observation::{
    AssetId, DeviceType, Finding, FindingKind, Identity, Messages, Observation, Outcome, Remedy, Severity,
};

use crate::world::{DAY, Seen, claim, component, device, good_tls, seen, spoken, t0};

fn snapshot(kind: IntelligenceKind, file: &str, text: &str) -> Snapshot {
    let mut importer = Importer::new(kind);
    importer.read(file, text.as_bytes()).unwrap();
    let import = importer.finish("2026-04-01".parse().unwrap());
    assert!(import.rejected.is_empty(), "{:?}", import.rejected);
    import.snapshot
}

fn cve(id: &str, vendor: &str, product: &str, below: &str, default: &str) -> String {
    format!(
        r#"{{"dataType":"CVE_RECORD","cveMetadata":{{"cveId":"{id}","state":"PUBLISHED","dateUpdated":"2026-01-01T00:00:00Z"}},
        "containers":{{"cna":{{"title":"t","affected":[{{"vendor":"{vendor}","product":"{product}","defaultStatus":"{default}",
        "versions":[{{"version":"0","status":"affected","lessThan":"{below}","versionType":"custom"}}]}}]}}}}}}"#
    )
}

fn intelligence() -> Intelligence {
    let kev = r#"{"catalogVersion":"2026.03.01","vulnerabilities":[
        {"cveID":"CVE-2099-0001","vendorProject":"Acme","product":"R1","vulnerabilityName":"Acme R1 Injection","dateAdded":"2026-02-01","knownRansomwareCampaignUse":"Unknown"},
        {"cveID":"CVE-2099-0002","vendorProject":"Acme","product":"R1","vulnerabilityName":"Acme R1 Bypass","dateAdded":"2026-02-02","knownRansomwareCampaignUse":"Known"},
        {"cveID":"CVE-2099-0003","vendorProject":"Acme","product":"R1","vulnerabilityName":"Acme R1 Overflow","dateAdded":"2026-02-03","knownRansomwareCampaignUse":"Unknown"},
        {"cveID":"CVE-2099-0005","vendorProject":"Acme","product":"Sshd","vulnerabilityName":"Acme Sshd","dateAdded":"2026-02-04","knownRansomwareCampaignUse":"Unknown"}]}"#;
    let cves = [
        cve("CVE-2099-0001", "Acme Inc.", "R1 firmware", "1.5", "unaffected"),
        cve("CVE-2099-0002", "acme", "r1", "1.4", "unaffected"),
        cve("CVE-2099-0003", "acme", "r1", "1.3", "unaffected"),
        cve("CVE-2099-0004", "acme", "r1", "9.9", "unaffected"),
        cve("CVE-2099-0005", "acme", "sshd", "2.0", "unaffected"),
    ];
    let epss = "#model_version:v2026.01.01,score_date:2026-03-31T00:00:00+0000\ncve,epss,percentile\nCVE-2099-0003,0.81,0.99\nCVE-2099-0001,0.1,0.5\n";
    let product = |name: &str, cpe: &str, eol: &str, more: &str| {
        format!(
            "---\ntitle: {name}\ncategory: os\npermalink: /{name}\nidentifiers:\n  - cpe: {cpe}\nreleases:\n  - releaseCycle: \"1\"\n    eol: {eol}\n{more}  - releaseCycle: \"2\"\n    eol: false\n---\n"
        )
    };
    let mut endoflife = Importer::new(IntelligenceKind::EndOfLife);
    for (name, cpe, eol, more) in [
        ("acme-r1", "cpe:2.3:o:acme:r1_firmware", "2026-03-31", ""),
        ("acme-sshd", "cpe:2.3:a:acme:sshd", "2020-01-01", ""),
        ("acme-x", "cpe:2.3:o:acme:x", "2020-01-01", "    eoes: 2030-01-01\n"),
    ] {
        endoflife.read(name, product(name, cpe, eol, more).as_bytes()).unwrap();
    }
    Intelligence::new([
        snapshot(IntelligenceKind::Kev, "kev.json", kev),
        snapshot(IntelligenceKind::Cve, "cve.jsonl", &cves.join("\n")),
        snapshot(IntelligenceKind::Epss, "epss.csv", epss),
        endoflife.finish("2026-04-01".parse().unwrap()).snapshot,
    ])
}

fn of(observations: &[Observation], identity: &Identity) -> Vec<Finding> {
    let observations: Vec<&Observation> = observations.iter().collect();
    let found = findings(AssetId::from_bits(7), &observations, identity, &intelligence(), t0());
    let messages = Messages::builtin();
    for finding in &found {
        assert!(!finding.evidence.is_empty());
        assert!((1..=100).contains(&finding.confidence));
        assert_eq!(finding.key.len(), 64);
        for language in ["en", "ja"] {
            assert!(
                messages.codes(language).any(|code| code == finding.explanation.code),
                "{}",
                finding.explanation.code
            );
            let prose = messages.explain(language, &finding.explanation);
            assert!(!prose.contains(['{', '}']), "{prose}");
        }
    }
    found
}

fn kinds(observations: &[Observation], identity: &Identity) -> Vec<(FindingKind, u16)> {
    of(observations, identity).iter().map(|finding| (finding.kind, finding.endpoint.port)).collect()
}

#[test]
fn conversations_show_weaknesses_by_themselves() {
    use FindingKind::{AdminOpen, AnonymousFtp, AnonymousMqtt, DefaultCredentials, TelnetOpen};
    let nothing = Identity::default();
    let camera = device("Acme", "Cam", "", "camera");
    let page =
        |title: &str| Http { status: 200, title: Some(title.into()), body_bytes: 99, ..Http::default() };
    type Row<'a> = (Vec<Observation>, &'a Identity, &'a [(FindingKind, u16)]);
    let table: [Row<'_>; 12] = [
        (vec![seen(1, 2323).telnet("login: ")], &nothing, &[(TelnetOpen, 2323)]),
        (vec![seen(1, 23).shell("# ")], &nothing, &[(TelnetOpen, 23), (AdminOpen, 23)]),
        (vec![seen(1, 21).ftp("220 hi", Some("accepted"))], &nothing, &[(AnonymousFtp, 21)]),
        (vec![seen(1, 21).ftp("220 hi", Some("rejected"))], &nothing, &[]),
        (vec![seen(1, 21).ftp("220 hi", None)], &nothing, &[]),
        (vec![seen(1, 1883).mqtt(Some("accepted"))], &nothing, &[(AnonymousMqtt, 1883)]),
        (vec![seen(1, 1883).mqtt(Some("rejected"))], &nothing, &[]),
        (vec![seen(1, 22).credential("accepted")], &nothing, &[(DefaultCredentials, 22)]),
        (vec![seen(1, 22).credential("rejected"), seen(1, 80).credential("locked-out")], &nothing, &[]),
        (vec![seen(1, 80).http(page("Camera Settings"))], &camera, &[(AdminOpen, 80)]),
        (vec![seen(1, 80).http(page("Camera Settings"))], &nothing, &[]),
        (vec![seen(1, 80).http(page("My little shop"))], &camera, &[]),
    ];
    for (observations, identity, expected) in table {
        assert_eq!(kinds(&observations, identity), expected, "{observations:?}");
    }
}

#[test]
fn nothing_is_wrong_with_a_decoy() {
    let login = seen(1, 21).ftp("220 Welcome to the ftp service", Some("accepted"));
    let decoy = Observation { labels: vec!["honeypot-tell".into()], ..seen(1, 21) };
    assert_eq!(kinds(std::slice::from_ref(&login), &Identity::default()).len(), 1);
    assert_eq!(kinds(&[login, decoy], &Identity::default()), []);
}

#[test]
fn several_rows_of_one_weakness_are_one_finding() {
    let found = of(
        &[seen(1, 23).telnet("login: "), seen(1, 23).telnet("login: ").credential("accepted").later(5)],
        &Identity::default(),
    );
    assert_eq!(
        found.iter().map(|f| f.kind).collect::<Vec<_>>(),
        [FindingKind::TelnetOpen, FindingKind::DefaultCredentials]
    );
    let credentials = &found[1];
    assert_eq!((credentials.severity, credentials.remedy), (Severity::Critical, Remedy::ChangePassword));
    assert!(
        credentials.evidence[0].value.contains("entry 3 of d1"),
        "the entry's number, never the password"
    );
}

#[test]
fn broken_tls_is_one_finding_with_every_reason() {
    let of_tls = |change: fn(&mut Tls)| {
        let mut tls = good_tls("k");
        change(&mut tls);
        let found = of(&[seen(1, 443).tls(tls)], &Identity::default());
        assert!(found.len() <= 1);
        found.first().map(|finding| finding.explanation.args["reasons"].clone())
    };
    assert_eq!(of_tls(|_| {}), None, "signed by itself is no weakness");
    assert_eq!(of_tls(|tls| tls.version = "TLSv1.2".into()), None);
    assert_eq!(of_tls(|tls| tls.version = "future".into()), None, "unknown is not weak");
    for (change, reason) in [
        ((|tls| tls.version = "TLSv1".into()) as fn(&mut Tls), "TLSv1 (< TLSv1.2)"),
        (|tls| tls.signature_algorithm = Some("sha1WithRSAEncryption".into()), "sha1WithRSAEncryption"),
        (|tls| tls.key_bits = Some(1024), "RSA 1024 (< 2048)"),
        (|tls| (tls.key_algorithm, tls.key_bits) = (Some("ec".into()), Some(192)), "EC 192 (< 224)"),
        (
            |tls| {
                (tls.self_signed, tls.signature_algorithm) =
                    (Some(false), Some("md5WithRSAEncryption".into()))
            },
            "md5WithRSAEncryption",
        ),
        (
            |tls| (tls.self_signed, tls.signature_algorithm) = (Some(false), Some("ecdsa-with-SHA1".into())),
            "ecdsa-with-SHA1",
        ),
        (|tls| tls.not_after_us = Some(t0().plus_secs(-1).micros()), "notAfter 2026-03-31T23:59:59Z"),
        (|tls| tls.not_before_us = Some(t0().plus_secs(DAY).micros()), "notBefore 2026-04-02T00:00:00Z"),
    ] {
        assert_eq!(of_tls(change).as_deref(), Some(reason));
    }
    let mut worst = good_tls("k");
    worst.version = "TLSv1".into();
    worst.key_bits = Some(1024);
    let found = of(&[seen(1, 443).tls(worst.clone())], &Identity::default());
    assert_eq!((found.len(), found[0].evidence.len(), found[0].remedy), (1, 2, Remedy::Update));
    // A second conversation at the endpoint reached TLS 1.3: the version is no reason any more.
    let best = Tls { version: "TLSv1.3".into(), ..worst.clone() };
    let found = of(&[seen(1, 443).tls(best), seen(1, 443).tls(worst).later(1)], &Identity::default());
    assert_eq!(found[0].explanation.args["reasons"], "RSA 1024 (< 2048)");
}

#[test]
fn exploited_vulnerabilities_of_the_version_are_one_finding_each() {
    let shown = [seen(1, 80).http(Http { server: Some("Acme R1 1.2".into()), ..Http::default() })];
    let router = |version: &str| device("Acme Inc.", "R1", version, "router");
    let of = |version: &str| {
        let found = of(&shown, &router(version));
        let known = found.into_iter().filter(|f| f.kind == FindingKind::KnownExploited);
        known.collect::<Vec<_>>()
    };
    let found = of("1.2");
    let mut told: Vec<_> = found
        .iter()
        .map(|f| (f.explanation.args["cve"].as_str(), f.severity, f.explanation.code.as_str()))
        .collect();
    told.sort_unstable();
    assert_eq!(
        told,
        [
            ("CVE-2099-0001", Severity::High, "finding.known-exploited"),
            ("CVE-2099-0002", Severity::Critical, "finding.known-exploited.ransomware"),
            ("CVE-2099-0003", Severity::Critical, "finding.known-exploited.likely"),
        ],
        "CVE-2099-0004 is not known to be exploited"
    );
    for finding in &found {
        assert_eq!(
            (finding.evidence[0].field.as_str(), finding.evidence[0].value.as_str()),
            ("http.server", "Acme R1 1.2")
        );
        assert!(finding.snapshots[0].starts_with("kev@2026.03.01#sha256:"), "{:?}", finding.snapshots);
        assert!(finding.snapshots[1].starts_with("cve@2026-01-01#sha256:"));
        assert_eq!(finding.confidence, 90);
    }
    assert_eq!(of("1.4").len(), 1);
    assert_eq!(of("1.5").len(), 0);
    assert_eq!(of("").len(), 0, "no version, no finding");
    assert_eq!(of("1.04").len(), 0, "1.04 against 1.4 is a guess");
    assert_eq!(of("1.4ww").len(), 1, "1.4ww is below 1.5, against 1.4 unknown");
}

/// A CSAF document of Acme about its R1, and what it says of one version.
fn csaf(cve: &str, status: &str, version: &str) -> String {
    format!(
        r#"{{"document":{{"category":"csaf_vex","csaf_version":"2.0","title":"t","publisher":{{"category":"vendor","name":"Acme PSIRT","namespace":"https://acme.example"}},"tracking":{{"id":"ACME-1","status":"final","current_release_date":"2026-03-01T00:00:00Z"}}}},
        "product_tree":{{"branches":[{{"category":"vendor","name":"Acme Inc.","branches":[{{"category":"product_name","name":"R1","branches":[{{"category":"product_version_range","name":"{version}","product":{{"product_id":"P","name":"R1"}}}}]}}]}}]}},
        "vulnerabilities":[{{"cve":"{cve}","product_status":{{"{status}":["P"]}}}}]}}"#
    )
}

#[test]
fn the_makers_word_stops_a_finding_and_an_advisory_makes_one() {
    let shown = [seen(1, 80).http(Http { server: Some("Acme R1 1.2".into()), ..Http::default() })];
    let shown: Vec<&Observation> = shown.iter().collect();
    let exploited = |advisory: &str| -> Vec<Finding> {
        let advisory = snapshot(IntelligenceKind::Csaf, "a.json", advisory);
        let known = Intelligence::new(intelligence().snapshots().iter().cloned().chain([advisory]));
        let found = findings(
            AssetId::from_bits(7),
            &shown,
            &device("Acme Inc.", "R1", "1.2", "router"),
            &known,
            t0(),
        );
        found.into_iter().filter(|finding| finding.kind == FindingKind::KnownExploited).collect()
    };
    let cves = |found: &[Finding]| -> Vec<String> {
        let mut cves: Vec<String> =
            found.iter().map(|finding| finding.explanation.args["cve"].clone()).collect();
        cves.sort();
        cves
    };
    let stopped = exploited(&csaf("CVE-2099-0001", "known_not_affected", "1.2"));
    assert_eq!(cves(&stopped), ["CVE-2099-0002", "CVE-2099-0003"]);
    // CVE-2099-0005 is of another product in its record; the maker says that this one has it too.
    let made = exploited(&csaf("CVE-2099-0005", "known_affected", "vers:generic/<1.3"));
    assert_eq!(cves(&made).last().map(String::as_str), Some("CVE-2099-0005"));
    let made = made.iter().find(|finding| finding.explanation.args["cve"] == "CVE-2099-0005").unwrap();
    assert!(
        made.snapshots.iter().any(|name| name.starts_with("csaf@2026-03-01#sha256:")),
        "{:?}",
        made.snapshots
    );
}

#[test]
fn explanations_in_japanese_carry_jvn() {
    let jvn = "<rdf:RDF xmlns:sec=\"http://jvn.jp/rss/mod_sec/\"><item><title>Acme 製 R1 における OS コマンドインジェクションの脆弱性</title>\
        <sec:identifier>JVNDB-2026-000001</sec:identifier><sec:references source=\"CVE\" id=\"CVE-2099-0001\"/></item></rdf:RDF>";
    let jvn = snapshot(IntelligenceKind::Jvn, "jvndb.rdf", jvn);
    let known = Intelligence::new(intelligence().snapshots().iter().cloned().chain([jvn]));
    let shown = seen(1, 80).http(Http { server: Some("Acme R1 1.2".into()), ..Http::default() });
    let found =
        findings(AssetId::from_bits(7), &[&shown], &device("Acme Inc.", "R1", "1.2", "router"), &known, t0());
    let finding = found
        .iter()
        .find(|finding| finding.explanation.args.get("cve").is_some_and(|cve| cve == "CVE-2099-0001"))
        .unwrap();
    assert!(finding.snapshots.iter().any(|name| name.starts_with("jvn@")), "{:?}", finding.snapshots);
    let messages = Messages::builtin();
    let japanese = messages.explain("ja", &finding.explanation);
    assert!(
        japanese.contains(
            "CVE-2099-0001、JVNDB-2026-000001(Acme 製 R1 における OS コマンドインジェクションの脆弱性)"
        ),
        "{japanese}"
    );
    let english = messages.explain("en", &finding.explanation);
    assert!(english.contains("CVE-2099-0001 (Acme R1 Injection)") && !english.contains("JVNDB"), "{english}");
}

#[test]
fn what_only_a_datagram_told_is_evidence_too() {
    let snmp = Snmp { sys_descr: Some("Acme R1 1.2, SNMP agent".into()), ..Snmp::default() };
    let seen = spoken(seen(1, 161), "snmp", |records| records.snmp = Some(snmp.into()));
    let found = of(&[seen], &device("Acme Inc.", "R1", "1.2", "router"));
    let known: Vec<_> = found.iter().filter(|f| f.kind == FindingKind::KnownExploited).collect();
    assert_eq!(known.len(), 3);
    assert!(known.iter().all(|finding| finding.evidence[0].field == "snmp.sys_descr"));
}

#[test]
fn support_ends_with_the_last_day() {
    let shown = [seen(1, 80).http(Http { server: Some("x".into()), ..Http::default() })];
    let ended = |identity: &Identity| -> Vec<(Remedy, Severity, String)> {
        let found = of(&shown, identity).into_iter().filter(|f| f.kind == FindingKind::EndOfLife);
        found.map(|f| (f.remedy, f.severity, f.explanation.code)).collect()
    };
    let code = |code: &str| code.to_owned();
    assert_eq!(
        ended(&device("Acme", "R1", "1.9", "router")),
        [(Remedy::Replace, Severity::High, code("finding.end-of-life"))]
    );
    assert_eq!(ended(&device("Acme", "R1", "2.0", "router")), []);
    assert_eq!(ended(&device("Acme", "R1", "", "router")), []);
    assert_eq!(ended(&device("Other", "R1", "1.9", "router")), []);
    assert_eq!(
        ended(&device("Acme", "X", "1.1", "router")),
        [(Remedy::Replace, Severity::Low, code("finding.end-of-life.extended"))]
    );
    let by_cpe =
        Identity { cpe: claim("cpe:2.3:o:acme:r1_firmware:1.9:*:*:*:*:*:*:*"), ..Identity::default() };
    assert_eq!(ended(&by_cpe).len(), 1);
    let now = t0().plus_secs(-1);
    let observations: Vec<&Observation> = shown.iter().collect();
    let router = device("Acme", "R1", "1.9", "router");
    assert!(
        findings(AssetId::from_bits(7), &observations, &router, &intelligence(), now).is_empty(),
        "2026-03-31 is the last day"
    );
}

#[test]
fn software_of_a_distribution_is_not_judged_by_its_number() {
    let with = |banner: &str| {
        let identity =
            Identity { components: vec![component("Acme", "Sshd", "1.1", 22)], ..Identity::default() };
        kinds(&[seen(1, 22).ssh(banner, "k")], &identity)
    };
    assert_eq!(with("SSH-2.0-Sshd_1.1"), [(FindingKind::KnownExploited, 22), (FindingKind::EndOfLife, 22)]);
    assert_eq!(with("SSH-2.0-Sshd_1.1 Debian-2+deb12u3"), []);
    let identity = Identity { components: vec![component("Acme", "Sshd", "1.1", 22)], ..Identity::default() };
    let found = of(&[seen(1, 22).ssh("SSH-2.0-Sshd_1.1", "k")], &identity);
    let http = Http { server: Some("Apache/2.4.57 (Debian)".into()), ..Http::default() };
    let elsewhere = [seen(1, 22).ssh("SSH-2.0-Sshd_1.1", "k"), seen(1, 80).http(http)];
    assert_eq!(kinds(&elsewhere, &identity), [], "another service names the distribution");
    assert!(
        found.iter().all(|finding| finding.remedy == Remedy::Update),
        "software is updated, not replaced"
    );
}

#[test]
fn keys_are_stable_and_tell_findings_apart() {
    let observations = [
        seen(1, 23).shell("# ").credential("accepted"),
        seen(1, 2323).telnet("login:"),
        seen(1, 80).http(Http { server: Some("R1 1.2".into()), ..Http::default() }),
    ];
    let router = device("Acme", "R1", "1.2", "router");
    let first = of(&observations, &router);
    let later: Vec<Observation> = observations.into_iter().rev().map(|o| o.later(14 * DAY)).collect();
    let second = of(&later, &router);
    let keys = |found: &[Finding]| found.iter().map(|finding| finding.key.clone()).collect::<Vec<_>>();
    assert_eq!(keys(&first), keys(&second));
    let mut distinct = keys(&first);
    distinct.sort();
    distinct.dedup();
    assert_eq!((distinct.len(), first.len()), (8, 8));
    let moved: Vec<&Observation> = later.iter().collect();
    let other = findings(AssetId::from_bits(8), &moved, &router, &intelligence(), t0());
    assert!(other.iter().all(|finding| !distinct.contains(&finding.key)), "another asset, other keys");
}

#[test]
fn evidence_is_cut_and_hostile_text_stays_text() {
    let hostile = "\u{202e}<b>{port}\u{1b}[2J".repeat(40);
    let found = of(&[seen(1, 23).telnet(&hostile)], &Identity::default());
    assert!(found[0].evidence[0].value.len() <= 200 && found[0].evidence[0].value.starts_with('\u{202e}'));
    let limited = Observation { outcome: Outcome::Limited, ..seen(1, 23).telnet("login:") };
    assert_eq!(kinds(&[limited], &Identity::default()).len(), 1, "an endless Telnet is still Telnet");
}

#[test]
fn every_kind_and_remedy_is_explained_in_both_languages() {
    let messages = Messages::builtin();
    for language in ["en", "ja"] {
        let codes: Vec<&str> = messages.codes(language).collect();
        for kind in FindingKind::ALL {
            assert!(codes.contains(&why_code(*kind).as_str()), "{kind}");
            assert!(codes.iter().any(|code| code.starts_with(&format!("finding.{kind}"))), "{kind}");
        }
        for remedy in Remedy::ALL {
            for device in DeviceType::ALL {
                let fitting = remedy_codes(*remedy, Some(*device));
                assert!(fitting.iter().any(|code| codes.contains(&code.as_str())), "{remedy} {device}");
            }
            assert!(codes.contains(&remedy_codes(*remedy, None)[0].as_str()));
        }
    }
}
