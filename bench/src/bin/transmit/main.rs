//! How fast SYNs leave, one sending thread each, counted where they arrive.
//!
//! Contenders take turns, so that whatever else the machine does hits all of them; the figure of
//! each is the median of its rounds. On the far side a rule drops everything at the door, so that
//! what is measured is sending.

#![expect(clippy::print_stdout, reason = "the figures are the data of this program")]

use std::path::PathBuf;
use std::process::{Child, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use kenshin_bench::{Cable, Side, median};
use serde::Serialize;

use contender::Contender;

mod contender;

/// SYNs a second, against bare system calls and peers. Takes root, `ip`, `nft`, `zmap`, `masscan`.
#[derive(Parser)]
struct Options {
    /// Rounds of each contender.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds measured in each round.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Only these contenders.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Contender>,
    /// Where to write the figures as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Subcommand)]
enum Part {
    /// Sends until killed, inside of the near namespace.
    #[command(hide = true)]
    Send { contender: Contender },
}

/// Longest until a contender sends.
const START_MAX: Duration = Duration::from_secs(20);

/// From its first frame to the first look.
const WARM_UP: Duration = Duration::from_millis(700);

/// Everything that was measured.
#[derive(Serialize)]
struct Figures {
    machine: Machine,
    rounds: usize,
    seconds: f64,
    /// A SYN for another target: made and marked, not sent.
    frame_ns: f64,
    contenders: Vec<Figure>,
    targets: Vec<Target>,
}

#[derive(Serialize)]
struct Machine {
    processor: String,
    processors: usize,
    kernel: String,
    load: String,
}

#[derive(Serialize)]
struct Figure {
    contender: Contender,
    pps: f64,
    rounds_pps: Vec<f64>,
}

/// What the issue asks for.
#[derive(Serialize)]
struct Target {
    of: Contender,
    against: Contender,
    at_least: f64,
    ratio: f64,
    met: bool,
}

const TARGETS: [(Contender, Contender, f64); 3] = [
    (Contender::AfXdp, Contender::Zmap, 1.5),
    (Contender::AfXdp, Contender::Masscan, 1.5),
    (Contender::AfPacket, Contender::Sendmmsg, 0.9),
];

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    if let Some(Part::Send { contender }) = options.part {
        contender.send()?;
        return Ok(ExitCode::SUCCESS);
    }
    let figures = measure(&options)?;
    show(&figures);
    if let Some(path) = options.json {
        let text = serde_json::to_string_pretty(&figures)?;
        std::fs::write(&path, text + "\n").with_context(|| format!("failed to write {}", path.display()))?;
    }
    let met = figures.targets.iter().all(|target| target.met);
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn measure(options: &Options) -> Result<Figures> {
    let cable = Cable::new()?;
    cable.rules(
        Side::Far,
        "table netdev bench {\n chain door {\n type filter hook ingress device vb priority 0;\n drop\n }\n}\n",
    )?;
    let chosen = |contender: &Contender| options.only.is_empty() || options.only.contains(contender);
    let mut contenders: Vec<Figure> = Contender::ALL
        .into_iter()
        .filter(chosen)
        .map(|contender| Figure { contender, pps: 0.0, rounds_pps: Vec::new() })
        .collect();
    for round in 1..=options.rounds {
        for figure in &mut contenders {
            let pps = figure.contender.measure(&cable, options.seconds)?;
            eprintln!("round {round}, {}: {:.3} Mpps", figure.contender, pps / 1e6);
            figure.rounds_pps.push(pps);
            figure.pps = median(&figure.rounds_pps);
        }
    }
    let pps = |contender| contenders.iter().find(|figure| figure.contender == contender).map(|f| f.pps);
    let targets = TARGETS.iter().filter_map(|&(of, against, at_least)| {
        let ratio = pps(of)? / pps(against)?;
        Some(Target { of, against, at_least, ratio, met: ratio >= at_least })
    });
    Ok(Figures {
        machine: machine(),
        rounds: options.rounds,
        seconds: options.seconds,
        frame_ns: contender::frame_ns(),
        targets: targets.collect(),
        contenders,
    })
}

impl Contender {
    /// Frames a second that arrive on the far side.
    fn measure(self, cable: &Cable, seconds: f64) -> Result<f64> {
        let arrived = || cable.inside(Side::Far, || received(Side::Far.device()));
        let before = arrived()?;
        let mut child =
            Running(self.command(cable)?.spawn().with_context(|| format!("failed to start {self}"))?);
        let began = Instant::now();
        // More than a question to a neighbour and a self-test.
        while arrived()? < before + 100 {
            if child.0.try_wait()?.is_some() || began.elapsed() > START_MAX {
                bail!("{self} sends nothing");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(WARM_UP);
        let (from, first) = (Instant::now(), arrived()?);
        std::thread::sleep(Duration::from_secs_f64(seconds));
        let (to, last) = (Instant::now(), arrived()?);
        if child.0.try_wait()?.is_some() {
            bail!("{self} ended before it was measured");
        }
        Ok((last - first) as f64 / (to - from).as_secs_f64())
    }
}

/// A contender, killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Frames that an interface of this namespace has received.
fn received(device: &str) -> Result<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/net/dev")?;
    let line = text.lines().find_map(|line| line.trim().strip_prefix(device)?.strip_prefix(':'));
    let packets = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    packets.with_context(|| format!("no count of {device}"))
}

fn machine() -> Machine {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    Machine {
        processor: model.map_or("unknown", |(_, name)| name).to_owned(),
        processors: std::thread::available_parallelism().map_or(1, usize::from),
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        load: read("/proc/loadavg").trim().to_owned(),
    }
}

fn show(figures: &Figures) {
    let Machine { processor, processors, kernel, load } = &figures.machine;
    println!("{processors} × {processor}, Linux {kernel}, load {load}");
    println!(
        "medians of {} rounds of {} s, one sending thread, counted on arrival\n",
        figures.rounds, figures.seconds
    );
    for figure in &figures.contenders {
        let least = figure.rounds_pps.iter().copied().fold(f64::INFINITY, f64::min);
        let most = figure.rounds_pps.iter().copied().fold(0.0, f64::max);
        println!(
            "{:<12} {:>7.3} Mpps   ({:.3} to {:.3})   {}",
            figure.contender.to_string(),
            figure.pps / 1e6,
            least / 1e6,
            most / 1e6,
            figure.contender.about()
        );
    }
    println!("\na SYN for another target, made and marked: {:.0} ns", figures.frame_ns);
    for target in &figures.targets {
        let verdict = if target.met { "met" } else { "NOT met" };
        println!(
            "{} ÷ {}: {:.2}, at least {} wanted: {verdict}",
            target.of, target.against, target.ratio, target.at_least
        );
    }
}
