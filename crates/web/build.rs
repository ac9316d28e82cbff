//! Builds `ui/` with npm when its output is older than its sources, so that `cargo build` alone
//! makes a whole binary. Without the feature `ui` nothing is done and Node.js is not needed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Output;

use sha2::{Digest, Sha256};

/// What the built interface depends on.
const INPUTS: [&str; 7] =
    ["src", "public", "index.html", "package.json", "package-lock.json", "vite.config.ts", "tsconfig.json"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_UI").is_none() {
        return;
    }
    let ui = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ui");
    for input in INPUTS {
        println!("cargo::rerun-if-changed={}", ui.join(input).display());
    }
    println!("cargo::rerun-if-changed={}", ui.join("dist/index.html").display());

    // Two builds at once share the folder: the second waits and finds the work done.
    let lock = File::create(ui.join(".build-lock")).expect("ui/ is writable");
    lock.lock().expect("ui/.build-lock can be locked");
    let sources = digest(&ui, &INPUTS);
    if !is_current(&ui.join(".dist-inputs"), &sources) || !ui.join("dist/index.html").exists() {
        let packages = digest(&ui, &["package-lock.json"]);
        let installed = ui.join("node_modules/.kenshin-lock");
        if !is_current(&installed, &packages) {
            npm(&ui, &["ci", "--no-audit", "--no-fund"]);
            fs::write(&installed, &packages).expect("ui/node_modules is writable");
        }
        npm(&ui, &["run", "build"]);
        fs::write(ui.join(".dist-inputs"), &sources).expect("ui/ is writable");
    }
    // The files are taken into the crate by a macro: it must see them again.
    println!("cargo::rustc-env=KENSHIN_UI_SOURCES={sources}");
}

fn is_current(stamp: &Path, digest: &str) -> bool {
    fs::read_to_string(stamp).is_ok_and(|kept| kept == digest)
}

/// SHA-256 over names and contents.
fn digest(ui: &Path, inputs: &[&str]) -> String {
    let mut files = Vec::new();
    for input in inputs {
        collect(&ui.join(input), &mut files);
    }
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        let bytes =
            fs::read(&file).unwrap_or_else(|error| panic!("failed to read {}: {error}", file.display()));
        hash.update(file.strip_prefix(ui).unwrap_or(&file).as_os_str().as_encoded_bytes());
        hash.update([0]);
        hash.update(bytes.len().to_le_bytes());
        hash.update(bytes);
    }
    hex::encode(hash.finalize())
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_dir() {
        let entries =
            fs::read_dir(path).unwrap_or_else(|error| panic!("failed to read {}: {error}", path.display()));
        for entry in entries.flatten() {
            collect(&entry.path(), files);
        }
    } else if path.exists() {
        files.push(path.to_owned());
    }
}

fn npm(ui: &Path, arguments: &[&str]) {
    #[expect(clippy::disallowed_methods, reason = "the build of the interface is npm's work")]
    let result = std::process::Command::new("npm").args(arguments).current_dir(ui).output();
    let Output { status, stdout, stderr } = result.unwrap_or_else(|error| {
        panic!(
            "failed to start npm: {error}; hint: install Node.js 20.19 or later, \
             or build without the interface: --no-default-features"
        )
    });
    if !status.success() {
        // What npm says must not be taken for instructions to cargo.
        let said = [stdout, stderr].concat();
        panic!("npm {} failed in {}:\n{}", arguments.join(" "), ui.display(), String::from_utf8_lossy(&said));
    }
}
