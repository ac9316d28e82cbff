//! Network namespaces that a test makes itself, with loopback only: whatever is sent inside stays
//! inside. Daemons listen on every address, and `ip route add local PREFIX dev lo` makes them
//! answer for whole prefixes of 198.18.0.0/15 (RFC 2544).

#![expect(clippy::disallowed_methods, reason = "the harness starts real processes")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Says by name that a test cannot run here, and counts it.
pub(crate) fn skip(test: &str, why: &str) {
    eprintln!("SKIPPED {test}: {why}");
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/skipped");
    std::fs::create_dir_all(&list).expect("target is writable");
    std::fs::write(list.join(test), why).expect("target is writable");
}

/// True when every program is there and we are root; otherwise the test is skipped by name.
pub(crate) fn can_run(test: &str, programs: &[&str]) -> bool {
    if !rustix::process::geteuid().is_root() {
        skip(test, "needs root to make a network namespace");
        return false;
    }
    for program in programs {
        let found = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/bin", "/usr/libexec"]
            .iter()
            .any(|folder| Path::new(folder).join(program).exists());
        if !found {
            skip(test, &format!("`{program}` is not installed"));
            return false;
        }
    }
    let probe = Command::new("ip").args(["netns", "add", "kenshin-probe"]).output();
    let made = probe.is_ok_and(|out| out.status.success());
    let _ = Command::new("ip").args(["netns", "del", "kenshin-probe"]).output();
    if !made && !Command::new("ip").args(["netns", "list"]).output().is_ok_and(|out| out.status.success()) {
        skip(test, "network namespaces cannot be made here");
        return false;
    }
    true
}

/// A namespace; deleted with everything that runs in it when dropped.
pub(crate) struct Namespace {
    name: String,
    children: Vec<Child>,
    pub(crate) dir: tempfile::TempDir,
}

impl Namespace {
    /// A new namespace in which `prefixes` are local.
    pub(crate) fn new(prefixes: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("kenshin-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        must(Command::new("ip").args(["netns", "add", &name]));
        let dir = tempfile::tempdir().expect("a temporary folder");
        let namespace = Self { name, children: Vec::new(), dir };
        namespace.must(&["ip", "link", "set", "lo", "up"]);
        for prefix in prefixes {
            namespace.must(&["ip", "route", "add", "local", prefix, "dev", "lo"]);
        }
        namespace
    }

    /// A command inside the namespace.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).args(args);
        command
    }

    /// Runs a command that must succeed; returns its standard output.
    pub(crate) fn must(&self, args: &[&str]) -> String {
        must(&mut self.command(args))
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("ip netns exec starts")
    }

    /// Starts a daemon that is killed with the namespace; its output goes to a file in [`Self::dir`].
    pub(crate) fn start(&mut self, log: &str, args: &[&str]) -> PathBuf {
        let path = self.dir.path().join(log);
        let file = std::fs::File::create(&path).expect("the folder is writable");
        let child = self
            .command(args)
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a file handle can be copied"))
            .stderr(file)
            .spawn()
            .expect("ip netns exec starts");
        self.children.push(child);
        path
    }

    /// Loads an nftables ruleset.
    pub(crate) fn nft(&self, ruleset: &str) {
        let path = self.dir.path().join("rules.nft");
        std::fs::write(&path, ruleset).expect("the folder is writable");
        self.must(&["nft", "-f", path.to_str().expect("temporary paths are UTF-8")]);
    }

    /// Packets that a named counter has seen.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        let text = self.must(&["nft", "list", "counter", "inet", "kenshin", name]);
        let rest = text.split("packets ").nth(1).unwrap_or_else(|| panic!("no packets in {text}"));
        rest.split_whitespace().next().and_then(|n| n.parse().ok()).expect("nft prints a number")
    }

    /// Waits until something listens on the port.
    pub(crate) fn wait_for_port(&self, port: u16) {
        let address = format!(":{port} ");
        until(Duration::from_secs(20), &format!("port {port}"), || {
            self.must(&["ss", "-Hltn"]).lines().any(|line| line.contains(&address))
        });
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let pids = Command::new("ip").args(["netns", "pids", &self.name]).output();
        for pid in pids.iter().flat_map(|out| std::str::from_utf8(&out.stdout)).flat_map(str::split_whitespace) {
            let _ = Command::new("kill").args(["-9", pid]).output();
        }
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
    }
}

fn must(command: &mut Command) -> String {
    let out = command.output().expect("the program starts");
    assert!(
        out.status.success(),
        "{command:?} failed: {}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// Polls until `done`, at most for `patience`.
pub(crate) fn until(patience: Duration, what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + patience;
    while !done() {
        assert!(Instant::now() < end, "{what} did not come within {patience:?}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}
