//! The dashboard after the demo, in a real browser. What it does there is `ui/e2e/run.js`; its
//! pictures are under `test-output/browser/`.

#![expect(clippy::disallowed_methods, reason = "the harness starts the program under test, Node.js and Chromium")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::process::kenshin;

/// Ends the demo however the test ends.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_finding_is_followed_to_its_notice_in_two_languages() {
    let ui = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ui");
    let there = |name: &str| Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !there("node") || !there("chromium") || !ui.join("node_modules/playwright-core").exists() {
        eprintln!("skipped: needs node, chromium and the packages of ui/ (`npm ci` there)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let child = kenshin(&folder.path().join("home"))
        .args(["demo", "--quiet", "--net", "127.61.0.0/16", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut demo = Demo(child);
    let said = BufReader::new(demo.0.stderr.take().expect("standard error is piped"));
    let (mut base, mut password) = (String::new(), String::new());
    let mut told = String::new();
    for line in said.lines() {
        let line = line.expect("standard error is text");
        if let Some(url) = line.strip_prefix("dashboard") {
            base = url.trim().trim_end_matches('/').to_owned();
        }
        if let Some(account) = line.strip_prefix("sign in") {
            password = account.rsplit('/').next().unwrap_or_default().trim().to_owned();
            break;
        }
        told.push_str(&line);
        told.push('\n');
    }
    assert!(!base.is_empty() && !password.is_empty(), "the demo serves its dashboard:\n{told}");
    let out = Command::new("node")
        .arg("e2e/run.js")
        .args(["--base", &base, "--password", &password])
        .current_dir(&ui)
        .output()
        .expect("node starts");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}
