//! The binary as a user runs it.

#![expect(clippy::disallowed_methods, reason = "the harness starts the program under test")]

use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// `kenshin` with a home and nothing of the caller's environment that changes answers.
pub(crate) fn kenshin(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kenshin"));
    command.arg("--home").arg(home).env_remove("KENSHIN_HOME").env("LANG", "C.UTF-8").env_remove("LC_ALL");
    command
}

/// Runs to the end.
pub(crate) fn run(home: &Path, args: &[&str]) -> Output {
    kenshin(home).args(args).output().expect("the program starts")
}

/// Standard output of a run that must exit with `code`.
pub(crate) fn expect(home: &Path, code: i32, args: &[&str]) -> String {
    let out = run(home, args);
    let (stdout, stderr) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert_eq!(out.status.code(), Some(code), "kenshin {args:?}\n{stdout}\n{stderr}");
    stdout.into_owned()
}

/// Standard error of a run that must exit with `code`.
pub(crate) fn expect_error(home: &Path, code: i32, args: &[&str]) -> String {
    let out = run(home, args);
    let stderr = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(
        out.status.code(),
        Some(code),
        "kenshin {args:?}\n{}\n{stderr}",
        String::from_utf8_lossy(&out.stdout)
    );
    stderr
}

/// Held by tests that keep both processors busy: what a device answers while others wait for its
/// processor is no answer to judge.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    // One that failed leaves nothing behind that concerns the next.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says by name that a test cannot run here, and counts it under target/skipped.
pub(crate) fn skip(test: &str, why: &str) {
    eprintln!("SKIPPED {test}: {why}");
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/skipped");
    std::fs::create_dir_all(&list).expect("target is writable");
    std::fs::write(list.join(test), why).expect("target is writable");
}
