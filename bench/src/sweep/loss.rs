//! How often the interval that a survey states for what it missed holds the truth.

use std::fmt::Write;

use anyhow::{Context, Result};
use kenshin_bench::{Cable, Limit, Side};
use kenshin_survey::raw::transmit::Engine;
use serde::Serialize;

use super::{Options, answering, sweep, terms};

/// A part of the answering world.
const HOSTS: &str = "198.18.0.0/20";
const HOSTS_COUNT: f64 = 4096.0;

/// Slow enough that nothing but the rule drops anything.
const PPS: u32 = 20_000;

/// What drops, where packets arrive. A burst drops a run of neighbours in the order of arrival.
const KINDS: [(&str, Option<&str>); 5] = [
    ("no loss", None),
    ("2 %, each by itself", Some("numgen random mod 1000 < 20 drop")),
    ("10 %, each by itself", Some("numgen random mod 1000 < 100 drop")),
    ("2 %, bursts of 20", Some("numgen inc mod 1000 < 20 drop")),
    ("10 %, bursts of 100", Some("numgen inc mod 1000 < 100 drop")),
];

#[derive(Serialize)]
pub(crate) struct Figure {
    kind: &'static str,
    runs: u8,
    /// Runs whose interval held the truth.
    held: u32,
    /// Mean width of the interval.
    width: f64,
    /// Mean share that was missed.
    missed: f64,
}

pub(crate) fn measure(options: &Options) -> Result<Vec<Figure>> {
    let (cable, _listener) = answering()?;
    KINDS.into_iter().map(|(kind, drop)| measure_one(&cable, options, kind, drop)).collect()
}

fn measure_one(cable: &Cable, options: &Options, kind: &'static str, drop: Option<&str>) -> Result<Figure> {
    // Only what asks is dropped: an end of what is half open is no exchange.
    let rule = drop.map_or_else(String::new, |drop| format!(" ip daddr {HOSTS} tcp flags syn {drop}\n"));
    cable.rules(
        Side::Far,
        &format!(
            "table netdev bench\ndelete table netdev bench\ntable netdev bench {{\n chain door {{\n \
             type filter hook ingress device vb priority 0;\n{rule} }}\n}}\n"
        ),
    )?;
    let runs = options.losses;
    let mut figure = Figure { kind, runs, held: 0, width: 0.0, missed: 0.0 };
    for seed in 1..=runs {
        let mut terms = terms(HOSTS, vec![80], Engine::AfPacket, seed)?;
        (terms.sample_ppm, terms.rate.whole_pps, terms.rate.whole_burst) = (500_000, PPS, PPS / 100);
        let progress = sweep(cable, &terms)?.progress;
        let truth = 1.0 - progress.answered as f64 / HOSTS_COUNT;
        let miss = progress.miss.context("a sweep measures what it misses")?;
        let holds = miss.low <= truth && truth <= miss.high;
        figure.held += u32::from(holds);
        figure.width += (miss.high - miss.low) / f64::from(runs);
        figure.missed += truth / f64::from(runs);
        if !holds {
            let (low, high, asked) = (miss.low, miss.high, miss.asked);
            eprintln!("{kind}, run {seed}: {truth:.4} is outside of {low:.4} to {high:.4} ({asked} asked)");
        }
    }
    eprintln!("{kind}: held {} of {runs}", figure.held);
    Ok(figure)
}

pub(crate) fn table(figures: &[Figure]) -> String {
    let mut text = String::from("the stated 95 % interval of what was missed\n");
    for Figure { kind, runs, held, width, missed } in figures {
        let _ = writeln!(
            text,
            "{kind:<22} held the truth in {held:>3} of {runs} runs; missed {:>5.2} %, interval {:>5.2} % wide",
            missed * 100.0,
            width * 100.0
        );
    }
    text + "\n"
}

pub(crate) fn limits(figures: &[Figure]) -> Vec<Limit> {
    let share = |held: u32, runs: u32| f64::from(held) / f64::from(runs.max(1));
    let each = figures.iter().map(|f| {
        Limit::new(format!("{}: runs whose interval held", f.kind), share(f.held, f.runs.into()), 0.9)
    });
    each.collect()
}
