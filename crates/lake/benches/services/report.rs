//! Figures, their limits, and what the machine did meanwhile.

use std::fs;
use std::time::Duration;

/// Collects figures, and tells each as it is found.
#[derive(Default)]
pub(crate) struct Report {
    figures: Vec<serde_json::Value>,
    missed: usize,
}

/// How much of something is wanted.
#[derive(Clone, Copy)]
pub(crate) enum Limit {
    /// It is told and no more.
    None,
    /// At most so much.
    Most(f64),
    /// At least so much.
    Least(f64),
}

impl Report {
    /// Prints machine, date and command.
    pub(crate) fn begin() -> Self {
        let cpuinfo = read("/proc/cpuinfo");
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let model = model.map_or("unknown", |(_, name)| name);
        let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
        #[expect(clippy::disallowed_methods, reason = "a bench tells its date")]
        let now = jiff::Timestamp::now();
        println!("{processors} × {model}, Linux {}, {now:.0}", read("/proc/sys/kernel/osrelease").trim());
        println!("cargo bench -p kenshin-lake --bench services -- {}", arguments.join(" "));
        Self::default()
    }

    /// A heading.
    pub(crate) fn part(&self, name: &str) {
        println!("\n{name} (load {})", load());
    }

    /// A figure, in a unit, and its verdict.
    pub(crate) fn figure(&mut self, what: &str, found: f64, unit: &str, limit: Limit) {
        let (wanted, met) = match limit {
            Limit::None => (String::new(), true),
            Limit::Most(most) => (format!("≤ {most} {unit}"), found <= most),
            Limit::Least(least) => (format!("≥ {least} {unit}"), found >= least),
        };
        let verdict = match limit {
            Limit::None => "",
            _ if met => "met",
            _ => "MISSED",
        };
        self.missed += usize::from(!met);
        let digits = if found.abs() < 10.0 { 2 } else { usize::from(found.abs() < 1_000.0) };
        let found_text = format!("{found:.digits$} {unit}");
        println!("  {what:<58}{found_text:>20}  {wanted:<22}{verdict}");
        self.figures.push(
            serde_json::json!({ "what": what, "found": found, "unit": unit, "wanted": wanted, "met": met }),
        );
    }

    /// Median and 95th percentile of times, against their limits in ms.
    pub(crate) fn times(&mut self, what: &str, mut times: Vec<Duration>, [half, most]: [Limit; 2]) {
        times.sort_unstable();
        let place = |part: f64| times[((times.len() - 1) as f64 * part).round() as usize].as_secs_f64() * 1e3;
        self.figure(&format!("{what}: p50"), place(0.5), "ms", half);
        self.figure(&format!("{what}: p95"), place(0.95), "ms", most);
    }

    /// Something that could not be measured.
    pub(crate) fn skipped(&mut self, what: &str, why: &str) {
        println!("  skipped: {what} ({why})");
        self.figures.push(serde_json::json!({ "what": what, "skipped": why }));
    }

    /// A remark.
    pub(crate) fn note(&self, text: &str) {
        println!("  {text}");
    }

    /// All of it as JSON, and how many limits were missed.
    pub(crate) fn end(self) -> (serde_json::Value, usize) {
        println!("\n{} limits missed (load {})", self.missed, load());
        (serde_json::Value::Array(self.figures), self.missed)
    }
}

/// Load averages of 1, 5 and 15 minutes.
fn load() -> String {
    read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" ")
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Most memory that this process had since it was last forgotten, MiB, where Linux tells.
pub(crate) fn peak_memory() -> f64 {
    let status = read("/proc/self/status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: f64 = line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or(f64::NAN);
    kib / 1024.0
}

/// Forgets how much memory there was.
pub(crate) fn forget_peak_memory() {
    // Where this is not allowed the figure is of the whole process: too high, never too low.
    let _ = fs::write("/proc/self/clear_refs", "5");
}
