//! The binary as a user runs it.

#![expect(clippy::disallowed_methods, reason = "the harness starts the program under test")]

use std::num::NonZero;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Condvar, Mutex};

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

/// Processors that a test keeps busy; free again when dropped.
pub(crate) struct Processors(usize);

/// How many are taken, and who waits for them.
static TAKEN: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

impl Processors {
    /// Waits until so many are free, or all where there are fewer. What a device answers while others wait
    /// for its processor is no answer to judge: a town has one to itself.
    pub(crate) fn take(count: usize) -> Self {
        let all = std::thread::available_parallelism().map_or(1, NonZero::get);
        let count = count.min(all);
        let taken = TAKEN.0.lock().unwrap();
        *TAKEN.1.wait_while(taken, |taken| *taken + count > all).unwrap() += count;
        Self(count)
    }
}

impl Drop for Processors {
    fn drop(&mut self) {
        *TAKEN.0.lock().unwrap() -= self.0;
        TAKEN.1.notify_all();
    }
}

/// Says by name that a test cannot run here, and counts it under target/skipped.
pub(crate) fn skip(test: &str, why: &str) {
    eprintln!("SKIPPED {test}: {why}");
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/skipped");
    std::fs::create_dir_all(&list).expect("target is writable");
    std::fs::write(list.join(test), why).expect("target is writable");
}
