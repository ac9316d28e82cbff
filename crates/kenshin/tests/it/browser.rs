//! A real browser against a real dashboard: signs in, follows a finding to its case and notice,
//! switches the language, looks at every page; an account limited to a mandate signs in for the first
//! time. Pictures are kept under test-output/browser/.

#![expect(clippy::disallowed_methods, reason = "the harness starts the program under test and a browser")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::process::{Processors, expect, kenshin, skip};

#[test]
fn a_person_follows_a_finding_to_its_case_and_its_notice() {
    let _processor = Processors::take(1);
    let chromium = std::env::var("CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".to_owned());
    if !Path::new(&chromium).exists() {
        return skip("a_person_follows_a_finding_to_its_case_and_its_notice", "chromium is not installed");
    }
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let mut demo = kenshin(&home)
        .args([
            "demo",
            "--seed",
            "3",
            "--net",
            "127.45.0.0/16",
            "--listen",
            "127.0.0.1:0",
            "--format",
            "json",
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut talk = BufReader::new(demo.stderr.take().unwrap()).lines();
    let mut after = |word: &str| {
        talk.find_map(|line| line.ok()?.strip_prefix(word).map(|rest| rest.trim().to_owned()))
            .unwrap_or_else(|| panic!("the demo does not say `{word}`"))
    };
    let base = after("dashboard").trim_end_matches('/').to_owned();
    let (login, password) =
        after("sign in").split_once(" / ").map(|(l, p)| (l.to_owned(), p.to_owned())).unwrap();
    let add = ["user", "add", "guest", "--role", "analyst", "--mandate", "town-demo", "--format", "json"];
    let guest: serde_json::Value = serde_json::from_str(&expect(&home, 0, &add)).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let out = Command::new("node")
        .current_dir(root.join("ui"))
        .args([
            "e2e/run.js",
            "--base",
            &base,
            "--login",
            &login,
            "--password",
            &password,
            "--guest-password",
            guest["password"].as_str().unwrap(),
            "--chromium",
            &chromium,
        ])
        .output()
        .expect("node starts");
    demo.kill().unwrap();
    demo.wait().unwrap();
    assert!(
        out.status.success(),
        "{}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    let pictures = std::fs::read_dir(root.join("test-output/browser")).unwrap().count();
    assert!(pictures > 5, "{pictures} pictures were kept");
}
