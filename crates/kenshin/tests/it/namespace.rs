//! Network namespaces that a test makes itself, and programs in them.

#![expect(clippy::disallowed_methods, reason = "namespaces and processes are made by programs")]

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use kenshin_observation::TimeUs;

/// Longest wait for anything that must happen.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// Polls until the condition gives something; fails after [`LIMIT`].
pub(crate) fn until<T>(what: &str, mut holds: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        let looks = Instant::now();
        if let Some(found) = holds() {
            return found;
        }
        assert!(began.elapsed() < LIMIT, "waited {LIMIT:?} for: {what}");
        pause(looks.elapsed());
    }
}

/// Between two looks. Who looks by starting a program would else keep a processor busy that those who are
/// looked at, and the test beside this one, need.
pub(crate) fn pause(looked: Duration) {
    std::thread::sleep((3 * looked).clamp(Duration::from_millis(20), Duration::from_millis(200)));
}

pub(crate) fn now() -> TimeUs {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    TimeUs::from_micros(i64::try_from(since.as_micros()).unwrap())
}

/// A namespace, deleted when dropped; what runs in it is killed first.
pub(crate) struct Namespace(String);

impl Namespace {
    /// `None` where it cannot be made.
    pub(crate) fn new(test: &str, name: &str) -> Option<Self> {
        let this = Self(format!("kenshin-{}-{test}-{name}", std::process::id()));
        let made = Command::new("ip").args(["netns", "add", &this.0]).output();
        made.is_ok_and(|output| output.status.success()).then_some(this)
    }

    pub(crate) fn name(&self) -> &str {
        &self.0
    }

    /// A program in it.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0, program]);
        command
    }

    /// What a command that must succeed says.
    pub(crate) fn run(&self, command: &[&str]) -> String {
        let output = self.command(command[0]).args(&command[1..]).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?} in {}: {stderr}", self.0);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Ok(pids) = Command::new("ip").args(["netns", "pids", &self.0]).output() {
            let pids = String::from_utf8_lossy(&pids.stdout).into_owned();
            let _ = Command::new("kill").arg("-9").args(pids.split_whitespace()).output();
        }
        let _ = Command::new("ip").args(["netns", "del", &self.0]).output();
    }
}

/// A process, killed when dropped.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn of(child: Child) -> Self {
        Self(child)
    }

    /// As a power cut does it.
    pub(crate) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    pub(crate) fn runs(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
