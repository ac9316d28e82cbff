//! How fast SYNs leave, one sending thread each, counted where they arrive.
//!
//! Contenders take turns, so that whatever else the machine does hits all of them; the figure of
//! each is the median of its rounds. On the far side a rule drops everything at the door, so that
//! what is measured is sending.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::{Child, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use kenshin_bench::{Cable, Limit, Setting, Side, median};
use serde::Serialize;

pub(crate) use contender::Contender;

mod contender;

/// SYNs a second, against bare system calls and peers. Takes root, `ip`, `nft`, `zmap`, `masscan`.
#[derive(Debug, Args)]
pub(crate) struct Options {
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
}

/// Longest until a contender sends.
const START_MAX: Duration = Duration::from_secs(20);

/// From its first frame to the first look.
const WARM_UP: Duration = Duration::from_millis(700);

/// Everything that was measured.
#[derive(Serialize)]
struct Figures {
    rounds: usize,
    seconds: f64,
    /// A SYN for another target: made and marked, not sent.
    frame_ns: f64,
    contenders: Vec<Figure>,
}

#[derive(Serialize)]
struct Figure {
    contender: Contender,
    pps: f64,
    rounds_pps: Vec<f64>,
}

/// What the issue asks for: of whom, against whom, at least how many times as much.
const WANTED: [(Contender, Contender, f64); 3] = [
    (Contender::AfXdp, Contender::Zmap, 1.5),
    (Contender::AfXdp, Contender::Masscan, 1.5),
    (Contender::AfPacket, Contender::Sendmmsg, 0.9),
];

pub(crate) fn bench(options: &Options) -> Result<ExitCode> {
    let setting = Setting::here();
    let figures = measure(options)?;
    let pps = |contender| figures.contenders.iter().find(|f| f.contender == contender).map(|f| f.pps);
    let limits = WANTED.iter().filter_map(|&(of, against, at_least)| {
        Some(Limit::new(format!("{of} ÷ {against}"), pps(of)? / pps(against)?, at_least))
    });
    setting.conclude(&figures, &figures.table(), &limits.collect::<Vec<_>>(), options.json.as_deref())
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
    Ok(Figures {
        rounds: options.rounds,
        seconds: options.seconds,
        frame_ns: contender::frame_ns(),
        contenders,
    })
}

impl Contender {
    /// Frames a second that arrive on the far side.
    fn measure(self, cable: &Cable, seconds: f64) -> Result<f64> {
        let arrived = || cable.received(Side::Far);
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

impl Figures {
    fn table(&self) -> String {
        let mut text = format!(
            "medians of {} rounds of {} s, one sending thread, counted on arrival\n\n",
            self.rounds, self.seconds
        );
        for Figure { contender, pps, rounds_pps } in &self.contenders {
            let least = rounds_pps.iter().copied().fold(f64::INFINITY, f64::min);
            let most = rounds_pps.iter().copied().fold(0.0, f64::max);
            let (name, about) = (contender.to_string(), contender.about());
            let _ = writeln!(
                text,
                "{name:<12} {:>7.3} Mpps   ({:.3} to {:.3})   {about}",
                pps / 1e6,
                least / 1e6,
                most / 1e6
            );
        }
        let _ = writeln!(text, "\na SYN for another target, made and marked: {:.0} ns", self.frame_ns);
        text
    }
}
