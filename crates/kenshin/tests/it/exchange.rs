//! Files of other scanners in, ours out, and targets from a file.

use std::path::Path;

use crate::process::{expect, expect_error};

fn sample(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/exchange").join(name);
    path.to_str().unwrap().to_owned()
}

/// Rows of an answer in CSV, without the names of the columns.
fn rows(text: &str) -> Vec<Vec<String>> {
    text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

#[test]
fn results_of_other_scanners_come_in_once_and_go_out() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    expect(&home, 0, &["init", "--organisation", "Example CSIRT"]);
    let (nmap, zmap) = (sample("nmap-services.xml"), sample("zmap-default.csv"));
    let import = ["--format", "csv", "survey", "import", "--as", "nmap-xml", &nmap];
    let first = rows(&expect(&home, 0, &import));
    assert_eq!(first[0][1..3], ["nmap", "7.93"]);
    assert_eq!(first[0][4..], ["16", "16", "0"]);
    let again = rows(&expect(&home, 0, &import));
    assert_eq!(again[0][4..], ["16", "0", "0"], "the same file twice counts once");
    let survey = &first[0][3];
    assert!(survey.starts_with("0000000000"), "{survey}");

    // A file that does not say which port it is about.
    let refused = expect_error(&home, 1, &["survey", "import", "--as", "zmap-csv", &zmap]);
    assert!(
        refused.contains("zmap-default.csv:1:1: no port is stated") && refused.contains("--port"),
        "{refused}"
    );
    expect(&home, 0, &["survey", "import", "--as", "zmap-csv", "--port", "80", &zmap]);

    let marked = expect(
        &home,
        0,
        &[
            "--format",
            "csv",
            "sql",
            "SELECT split_part(mandate_id, ':', 2) AS tool, max(method_version) AS method, count(*) AS n \
             FROM observations WHERE mandate_id LIKE 'imported:%' GROUP BY tool ORDER BY tool",
        ],
    );
    assert_eq!(rows(&marked), [["nmap", "-1", "16"], ["zmap", "-1", "4"]], "{marked}");
    expect(&home, 1, &["survey", "list"]);

    let list = expect(&home, 0, &["survey", "export", survey, "--as", "masscan-list"]);
    assert!(
        list.contains("banner tcp 22 192.0.2.10 ") && list.contains(" ssh SSH-2.0-OpenSSH_9.2p1 "),
        "{list}"
    );
    let grabs = expect(&home, 0, &["survey", "export", survey, "--as", "zgrab2"]);
    let host: serde_json::Value = serde_json::from_str(&grabs).unwrap();
    assert_eq!(host["data"]["ftp"]["result"]["banner"], "220 (vsFTPd 3.0.3)\r\n");
    let file = folder.path().join("out.xml");
    let out = file.to_str().unwrap();
    expect(&home, 0, &["survey", "export", survey, "--as", "nmap-xml", "--output", out]);
    assert_eq!(
        rows(&expect(&home, 0, &["--format", "csv", "survey", "import", "--as", "nmap-xml", out]))[0][4],
        "16"
    );

    let nothing =
        expect_error(&home, 1, &["survey", "export", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "--as", "zmap-csv"]);
    assert!(nothing.contains("nothing of survey"), "{nothing}");
    assert!(
        expect_error(&home, 2, &["survey", "export", survey, "--as", "pcap"]).contains("zmap-csv, zmap-json")
    );
    let unknown = ["survey", "export", survey, "--as", "zmap-csv", "--fields", "saddr,ttl"];
    assert!(expect_error(&home, 2, &unknown).contains("unknown field `ttl`"));
    assert!(
        expect_error(&home, 3, &["survey", "import", "--as", "nmap-xml", "nowhere.xml"])
            .contains("nowhere.xml")
    );
}
