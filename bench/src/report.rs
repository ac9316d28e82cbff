//! What a bench hands back: the machine, the command, the figures and the verdict against the limits.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use kenshin_observation::TimeUs;
use serde::Serialize;

/// Where and how something was measured, taken before the measurement.
#[derive(Debug, Serialize)]
pub struct Setting {
    /// Model of the processor.
    pub processor: String,
    /// How many of them this process may use.
    pub processors: usize,
    /// Release of the kernel.
    pub kernel: String,
    /// Load averages of 1, 5 and 15 minutes: what else the machine did.
    pub load: String,
    /// When it began.
    pub began_at: String,
    /// The command line.
    pub command: String,
}

/// A limit and what was found.
#[derive(Debug, Serialize)]
pub struct Limit {
    /// What is limited.
    pub what: String,
    /// What was found.
    pub found: f64,
    /// The least that is wanted.
    pub at_least: f64,
    /// Whether it was reached.
    pub met: bool,
}

#[derive(Serialize)]
struct Report<'a, F> {
    setting: &'a Setting,
    figures: &'a F,
    limits: &'a [Limit],
}

impl Limit {
    /// `found` should be `at_least` so much.
    pub fn new(what: impl Into<String>, found: f64, at_least: f64) -> Self {
        Self { what: what.into(), found, at_least, met: found >= at_least }
    }
}

impl Setting {
    /// This machine now, and the command line of this process.
    pub fn here() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = read("/proc/cpuinfo");
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let load = read("/proc/loadavg");
        let mut words = std::env::args();
        let program = words.next().unwrap_or_default();
        let program = Path::new(&program).file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self {
            processor: model.map_or("unknown", |(_, name)| name).to_owned(),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: load.split(' ').take(3).collect::<Vec<_>>().join(" "),
            began_at: crate::now().to_string(),
            command: [program].into_iter().chain(words).collect::<Vec<_>>().join(" "),
        }
    }

    /// Prints setting, `table` and verdicts, and writes everything as JSON where wanted. Success when
    /// every limit is met.
    #[expect(clippy::print_stdout, reason = "the figures are the data of a bench")]
    pub fn conclude<F: Serialize>(
        &self,
        figures: &F,
        table: &str,
        limits: &[Limit],
        json: Option<&Path>,
    ) -> Result<ExitCode> {
        let Self { processor, processors, kernel, load, began_at, command } = self;
        println!("{processors} × {processor}, Linux {kernel}, load {load}, {began_at}\n{command}\n\n{table}");
        for Limit { what, found, at_least, met } in limits {
            let verdict = if *met { "met" } else { "NOT met" };
            println!("{what}: {found:.4}, at least {at_least} wanted: {verdict}");
        }
        if let Some(path) = json {
            let text = serde_json::to_string_pretty(&Report { setting: self, figures, limits })?;
            let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
            dir.map_or(Ok(()), fs::create_dir_all)
                .and_then(|()| fs::write(path, text + "\n"))
                .with_context(|| format!("failed to write {}", path.display()))?;
        }
        Ok(if limits.iter().all(|limit| limit.met) { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}

/// Now, by the clock of this machine.
#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
pub fn now() -> TimeUs {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    TimeUs::from_micros(i64::try_from(since.as_micros()).expect("before the year 294,000"))
}
