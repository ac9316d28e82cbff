//! A record that cannot be used is reported with file and line and leaves the others alone.

use kenshin_insight::intelligence::{
    Import, ImportError, Importer, Intelligence, IntelligenceKind, REJECTED_MAX, Records, Snapshot,
};
use proptest::prelude::*;

fn import(kind: IntelligenceKind, file: &str, text: &str) -> Import {
    let mut importer = Importer::new(kind);
    importer.read(file, text.as_bytes()).unwrap();
    importer.finish("2026-04-01".parse().unwrap())
}

/// Line and a part of the reason of each rejected record.
fn check(import: &Import, kept: usize, rejected: &[(u64, &str)]) {
    assert_eq!(import.snapshot.records.len(), kept, "{:?}", import.rejected);
    assert_eq!(import.rejected.len(), rejected.len(), "{:#?}", import.rejected);
    assert_eq!(import.rejected_total, rejected.len());
    for (found, (line, reason)) in import.rejected.iter().zip(rejected) {
        assert_eq!(found.line, *line, "{found}");
        assert!(found.reason.contains(reason), "{found}");
        assert!(found.to_string().starts_with(&format!("{}:{line}: ", found.file)));
    }
}

fn cve(id: &str) -> String {
    format!(
        r#"{{"cveMetadata":{{"cveId":"{id}","state":"PUBLISHED"}},"containers":{{"cna":{{"affected":[{{"vendor":"a","product":"b"}}]}}}}}}"#
    )
}

#[test]
fn cve_records() {
    let pretty = "{\n  \"cveMetadata\": {\n    \"cveId\": \"CVE-2020-0009\",\n    \"state\": 5\n  }\n}";
    let lines = [
        cve("CVE-2020-0001"),
        "{\"cveMetadata\": {\"cveId\": \"CVE-2020-".to_owned(),
        cve("CVE-2020-0002"),
        "not JSON at all".to_owned(),
        cve("CVE-20-0003"),
        cve("CVE-2020-0004").replace("\"PUBLISHED\"", "\"REJECTED\""),
        "{}".to_owned(),
        cve("CVE-2020-0005").replace("\"containers\"", "\"containers\":7,\"x\""),
        pretty.to_owned(),
        cve("CVE-2020-0006").replace("[{", "[{\"versions\":[{\"version\":\"1\",\"status\":\"perhaps\"}],"),
        cve("CVE-2020-0007"),
    ];
    let found = import(IntelligenceKind::Cve, "list.jsonl", &lines.join("\n"));
    check(
        &found,
        4,
        &[
            (2, "no end"),
            (4, "not a JSON object"),
            (5, "CVE identifier"),
            (7, "cveMetadata"),
            (8, "invalid type"),
            (12, "invalid type"),
            (15, "unknown variant `perhaps`"),
        ],
    );
    let Records::Cve(records) = &found.snapshot.records else { panic!("cve") };
    assert!(records[2].affected.is_empty(), "a withdrawn record stays as an empty one");
}

#[test]
fn a_later_record_overrides_an_earlier_one() {
    let mut importer = Importer::new(IntelligenceKind::Cve);
    importer.read("one.json", cve("CVE-2020-0001").as_bytes()).unwrap();
    let withdrawn = cve("CVE-2020-0001").replace("PUBLISHED", "REJECTED");
    importer.read("two.json", format!("[{withdrawn},\n{}]", cve("CVE-2020-0002")).as_bytes()).unwrap();
    let import = importer.finish("2026-04-01".parse().unwrap());
    let Records::Cve(records) = &import.snapshot.records else { panic!("cve") };
    assert_eq!(records.iter().map(|record| record.affected.len()).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn the_order_of_files_changes_nothing() {
    let of = |files: [&str; 2]| {
        let mut importer = Importer::new(IntelligenceKind::Cve);
        for id in files {
            importer.read(id, cve(id).as_bytes()).unwrap();
        }
        importer.finish("2026-04-01".parse().unwrap()).snapshot
    };
    assert_eq!(of(["CVE-2020-0001", "CVE-2020-0002"]), of(["CVE-2020-0002", "CVE-2020-0001"]));
}

#[test]
fn exploited_catalogue() {
    let entry = |id: &str, day: &str| {
        format!(r#"{{"cveID":"{id}","vendorProject":"v","product":"p","dateAdded":"{day}"}}"#)
    };
    let text = format!(
        "{{\"catalogVersion\":\"2026.1\",\n\"vulnerabilities\":[\n{},\n{},\n{},\n{{\"cveID\":\n5}},\n{}]}}",
        entry("CVE-2020-0001", "2020-01-01"),
        entry("CVE-2020-0002", "yesterday"),
        entry("nonsense", "2020-01-01"),
        entry("CVE-2020-0003", "2020-01-01"),
    );
    check(
        &import(IntelligenceKind::Kev, "kev.json", &text),
        2,
        &[(4, "`yesterday` is not a day"), (5, "`nonsense` is not a CVE"), (7, "invalid type")],
    );
    let csv = "cveID,vendorProject,product,dateAdded\nCVE-2020-0001,v,p,2020-01-01\nCVE-2020-0002,v\nCVE-2020-0003,\"v\nw\",p,2020-01-01\nCVE-2020-0004,v,p,x\n";
    check(&import(IntelligenceKind::Kev, "kev.csv", csv), 2, &[(3, "expected field"), (6, "not a day")]);
}

#[test]
fn exploit_predictions() {
    let text = "#model_version:v1,score_date:2026-01-01T00:00:00+0000\ncve,epss,percentile\nCVE-2020-0001,0.5,0.9\nCVE-2020-0002,1.5,0.9\nCVE-2020-0003\n\nCVE-2020-0004,NaN,0\nCVE-2020-0005,0.00042,0.05\n";
    let found = import(IntelligenceKind::Epss, "epss.csv", text);
    check(&found, 2, &[(4, "not a share"), (5, "too few fields"), (7, "not a share")]);
    assert_eq!(found.snapshot.version, "2026-01-01-v1");
    let Records::Epss(records) = &found.snapshot.records else { panic!("epss") };
    assert_eq!(records[1].probability_ppm, 420);
    let long = format!("cve,epss\n{}\nCVE-2020-0001,0.5\n", "x".repeat(100_000));
    check(&import(IntelligenceKind::Epss, "epss_scores-2020-01-02.csv", &long), 1, &[(2, "too long")]);
}

#[test]
fn release_cycles() {
    let markdown = "---\ntitle: A\npermalink: /a\nreleases:\n  - releaseCycle: \"1\"\n    eol: 2020-13-01\n  - eol: false\n  - releaseCycle: 2.10\n    eol: true\n---\n";
    let found = import(IntelligenceKind::EndOfLife, "a.md", markdown);
    check(&found, 1, &[(5, "`eol`: `2020-13-01` is not a day"), (7, "no `releaseCycle`")]);
    let Records::EndOfLife(products) = &found.snapshot.records else { panic!("endoflife") };
    assert_eq!(products[0].releases[0].cycle, "2.10", "a cycle is text, not a number");
    check(&import(IntelligenceKind::EndOfLife, "b.md", "---\ntitle: B\n---\n"), 0, &[(1, "no `permalink`")]);
    check(&import(IntelligenceKind::EndOfLife, "c.md", "---\ntitle: *x\n---\n"), 0, &[(2, "anchors")]);
    let json = r#"{"result":[{"name":"p","releases":[{"name":"1","eolFrom":"2020-01-01"},{"name":"2","eolFrom":7},{"isEol":true}]},{"label":"q"}]}"#;
    check(
        &import(IntelligenceKind::EndOfLife, "all.json", json),
        1,
        &[(1, "release 2 of `p`"), (1, "release 3 of `p`"), (1, "product 2 has no `name`")],
    );
    let old = r#"[{"cycle":"7.2","eol":"2020-01-01","latest":"7.2.34"},{"cycle":8,"eol":false}]"#;
    let found = import(IntelligenceKind::EndOfLife, "api/php.json", old);
    check(&found, 1, &[]);
    let Records::EndOfLife(products) = &found.snapshot.records else { panic!("endoflife") };
    assert_eq!((products[0].name.as_str(), products[0].releases[1].cycle.as_str()), ("php", "8"));
    check(&import(IntelligenceKind::EndOfLife, "x.json", "{\n\"result\": [}"), 0, &[(2, "expected value")]);
}

#[test]
fn a_file_of_another_kind_is_refused_with_a_hint() {
    for (kind, text) in [
        (IntelligenceKind::Kev, "{\"a\": 1}"),
        (IntelligenceKind::Kev, "cve,epss\n"),
        (IntelligenceKind::Kev, ""),
        (IntelligenceKind::Epss, "cveID,product\nCVE-2020-0001,x\n"),
        (IntelligenceKind::Epss, ""),
        (IntelligenceKind::EndOfLife, "hello"),
        (IntelligenceKind::EndOfLife, "{\"a\": 1}"),
        (IntelligenceKind::EndOfLife, "[]"),
    ] {
        let error = Importer::new(kind).read("some.file", text.as_bytes()).unwrap_err();
        assert!(matches!(error, ImportError::Kind { .. }), "{error}");
        let said = error.to_string();
        assert!(said.contains("`some.file`") && said.contains("\nhint: "), "{said}");
    }
}

#[test]
fn rejected_records_are_listed_up_to_a_limit_and_counted_beyond() {
    let found = import(IntelligenceKind::Cve, "list.jsonl", &"{}\n".repeat(REJECTED_MAX + 5));
    assert_eq!((found.rejected.len(), found.rejected_total), (REJECTED_MAX, REJECTED_MAX + 5));
}

/// One small sound file of each form.
fn samples() -> Vec<(IntelligenceKind, String)> {
    let range = cve("CVE-2020-0001").replace(
        "\"product\":\"b\"",
        r#""product":"b","cpes":["cpe:2.3:o:a:b:*"],"defaultStatus":"unaffected","versions":[{"version":"0","status":"affected","lessThan":"1.5p1","changes":[{"at":"1.4","status":"unaffected"}]}]"#,
    );
    let kev = r#"{"catalogVersion":"1","vulnerabilities":[{"cveID":"CVE-2020-0001","vendorProject":"v","product":"p","dateAdded":"2020-01-01"}]}"#;
    let markdown = "---\ntitle: A\npermalink: /a\nidentifiers:\n  - cpe: cpe:/o:a:b\nreleases:\n  - releaseCycle: \"1.0\"\n    eol: 2020-01-01 # day\n---\n";
    vec![
        (IntelligenceKind::Cve, format!("{range}\n{}", cve("CVE-2020-0002"))),
        (IntelligenceKind::Kev, kev.to_owned()),
        (
            IntelligenceKind::Kev,
            "cveID,vendorProject,product,dateAdded\nCVE-2020-0001,v,\"p\",2020-01-01\n".to_owned(),
        ),
        (IntelligenceKind::EndOfLife, markdown.to_owned()),
        (
            IntelligenceKind::EndOfLife,
            r#"{"result":[{"name":"p","releases":[{"name":"1","eolFrom":"2020-01-01"}]}]}"#.to_owned(),
        ),
        (
            IntelligenceKind::Epss,
            "#model_version:v1,score_date:2026-01-01\ncve,epss,percentile\nCVE-2020-0001,0.5,0.9\n"
                .to_owned(),
        ),
    ]
}

proptest! {
    /// Damage anywhere is survived, what is kept can be stored and read, and lookups work on it.
    #[test]
    fn damage_is_survived(
        sample in 0usize..6,
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..3), 1..6),
    ) {
        let (kind, text) = samples().swap_remove(sample);
        let mut bytes = text.into_bytes();
        for (at, byte, edit) in edits {
            let at = at.index(bytes.len());
            match edit {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => bytes.truncate(at.max(1)),
            }
        }
        let mut importer = Importer::new(kind);
        if importer.read("damaged", bytes.as_slice()).is_ok() {
            let snapshot = importer.finish("2026-04-01".parse().unwrap()).snapshot;
            let mut stored = Vec::new();
            snapshot.write(&mut stored).unwrap();
            let read = Snapshot::read(stored.as_slice()).unwrap();
            prop_assert_eq!(&read, &snapshot);
            let intelligence = Intelligence::new([read]);
            intelligence.matches("a", "b", "1.4");
            intelligence.cycle(Some("a"), "b", "1.0");
        }
    }
}
