//! Saved searches by the command line: saved, checked, told once, silenced, deleted.

use std::path::Path;

use crate::process::{expect, expect_error};

fn sample(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/exchange").join(name);
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_saved_search_tells_what_an_import_brings() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    expect(&home, 0, &["init", "--organisation", "Example CSIRT"]);
    expect(&home, 1, &["search", "saved", "list"]);
    let mail = ["--mail", "soc@csirt.example", "--every", "60s"];
    let save = |code: i32, args: &[&str]| {
        let all: Vec<&str> = ["search", "save"].iter().chain(args).copied().collect();
        if code == 0 { expect(&home, 0, &all) } else { expect_error(&home, code, &all) }
    };
    let id = save(0, &[&["web", "port:80"], &mail[..]].concat());
    assert!(save(1, &[&["web", "port:81"], &mail[..]].concat()).contains("already"));
    assert!(save(2, &[&["x", "prot:1"], &mail[..]].concat()).contains("prot:1\n^^^^"));
    assert!(save(2, &["x", "port:1"]).contains("nobody would be told"));
    assert!(save(2, &["x", "port:1", "--webhook", "http://hooks.example/"]).contains("TLS"));
    assert!(save(2, &[&["x", "port:1", "--on", "count"], &mail[..]].concat()).contains("--threshold"));
    assert!(save(2, &["x", "port:1", "--mail", "a@b.example", "--every", "soon"]).contains("6h"));
    assert!(save(1, &[&["x", "port:1", "--owner", "nobody"], &mail[..]].concat()).contains("nobody"));
    expect(&home, 1, &["search", "saved", "check"]);

    expect(&home, 0, &["survey", "import", "--as", "zmap-csv", "--port", "80", &sample("zmap-default.csv")]);
    let checked = expect(&home, 0, &["--format", "json", "search", "saved", "check"]);
    let checked: serde_json::Value = serde_json::from_str(&checked).unwrap();
    assert_eq!(checked["searches"][0]["outcome"], "alerted", "{checked}");
    assert_eq!(checked["delivered"]["sent"], 1, "{checked}");
    let mails: Vec<_> = std::fs::read_dir(home.join("outbox/new")).unwrap().collect();
    assert_eq!(mails.len(), 1);
    let waits = expect(&home, 1, &["search", "saved", "check", "web"]);
    assert!(waits.contains("waiting") && waits.contains("until 20"), "{waits}");
    let shown = expect(&home, 0, &["search", "saved", "show", id.trim()]);
    assert!(
        shown.contains("changed") && shown.contains("sent               mail soc@csirt.example"),
        "{shown}"
    );

    expect(&home, 0, &["search", "saved", "disable", "web"]);
    assert!(expect(&home, 1, &["search", "saved", "check"]).contains("disabled"));
    expect(&home, 0, &["search", "saved", "enable", "web"]);
    expect(&home, 0, &["search", "saved", "delete", "web"]);
    assert!(expect_error(&home, 1, &["search", "saved", "show", "web"]).contains("no saved search"));

    // Queries are asked as before, these words among them.
    expect(&home, 0, &["search", "port:80", "--count"]);
    expect(&home, 1, &["search", "port:23", "save"]);
    expect(&home, 1, &["search", "\"saved\""]);
    expect(&home, 1, &["search", "help"]);
}
