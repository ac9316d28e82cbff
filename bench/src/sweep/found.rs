//! How many of those who answer are found, at the highest rate that each reaches.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use kenshin_bench::{Cable, Limit, Side, median};
use kenshin_survey::raw::transmit::Engine;
use serde::Serialize;

use super::{HOSTS, Options, answering, sweep, terms};

/// Of [`HOSTS`].
const HOSTS_COUNT: f64 = 65_536.0;

/// What peers wait for answers after their last packet, s.
const WAIT_S: f64 = 3.0;

const PEERS: [(&str, &str); 2] = [
    (
        "zmap",
        "zmap -C /dev/null -b /dev/null -T 1 -i va -S 192.0.2.1 --source-mac=02:00:00:00:00:0a \
         -G 02:00:00:00:00:0b -p 80 -q -v 0 -c 3 --disable-syslog -B 10G -o FILE",
    ),
    (
        "masscan",
        "masscan -p80 --rate 10000000 -e va --adapter-ip 192.0.2.1 --adapter-mac 02-00-00-00-00-0a \
         --router-mac 02-00-00-00-00-0b --wait 3 -oL FILE",
    ),
];

#[derive(Serialize)]
pub(crate) struct Figure {
    who: String,
    /// Found ÷ existing.
    share: f64,
    /// The worst round.
    least: f64,
    /// SYNs a second on average while it sent.
    pps: f64,
    rounds: Vec<f64>,
}

pub(crate) fn measure(options: &Options) -> Result<Vec<Figure>> {
    let (cable, _listener) = answering()?;
    let mut figures = Vec::new();
    for engine in [Engine::AfPacket, Engine::AfXdp] {
        figures.push(rounds(&format!("kenshin {engine}"), options, |round| {
            let (before, began) = (cable.received(Side::Far)?, Instant::now());
            let terms = terms(HOSTS, vec![80], engine, round)?;
            let summary = sweep(&cable, &terms)?;
            // It waits for the last answers, and ends what is half open.
            let seconds = began.elapsed().as_secs_f64() - terms.manner.limits.connect_ms as f64 / 1e3;
            let packets = cable.received(Side::Far)? - before;
            let syns = packets - summary.progress.answered;
            Ok((summary.progress.answered as f64, syns as f64 / seconds.max(0.05)))
        })?);
    }
    for (name, command) in PEERS {
        figures.push(rounds(name, options, |_| peer(&cable, command))?);
    }
    Ok(figures)
}

fn rounds(who: &str, options: &Options, one: impl Fn(u8) -> Result<(f64, f64)>) -> Result<Figure> {
    let (mut shares, mut rates) = (Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        let (found, pps) = one(round)?;
        eprintln!("round {round}, {who}: {found} found at {:.3} Mpps", pps / 1e6);
        shares.push(found / HOSTS_COUNT);
        rates.push(pps);
    }
    let least = shares.iter().copied().fold(f64::INFINITY, f64::min);
    Ok(Figure { who: who.to_owned(), share: median(&shares), least, pps: median(&rates), rounds: shares })
}

/// Hosts found and SYNs a second of one run of a peer.
fn peer(cable: &Cable, command: &str) -> Result<(f64, f64)> {
    let file = tempfile::NamedTempFile::new()?;
    let path = file.path().to_str().context("a path in UTF-8")?;
    let words: Vec<&str> =
        command.split_whitespace().map(|word| if word == "FILE" { path } else { word }).collect();
    let (before, began) = (cable.received(Side::Far)?, Instant::now());
    if !cable.command(Side::Near, words[0]).args(&words[1..]).arg(HOSTS).status()?.success() {
        bail!("{} failed", words[0]);
    }
    let seconds = (began.elapsed().as_secs_f64() - WAIT_S).max(0.05);
    let text = std::fs::read_to_string(path)?;
    let hosts: BTreeSet<&str> = text.split_whitespace().filter(|word| word.starts_with("198.18.")).collect();
    // Its kernel ends what it left half open: of every answer one packet comes back.
    let syns = (cable.received(Side::Far)? - before).saturating_sub(hosts.len() as u64);
    Ok((hosts.len() as f64, syns as f64 / seconds))
}

pub(crate) fn table(figures: &[Figure]) -> String {
    let mut text = String::from("a /16 that all answers, at the highest rate of each\n");
    for Figure { who, share, least, pps, .. } in figures {
        let _ = writeln!(
            text,
            "{who:<18} found {share:.5} of those there are (worst round {least:.5}), at {:.3} Mpps",
            pps / 1e6
        );
    }
    text + "\n"
}

pub(crate) fn limits(figures: &[Figure]) -> Vec<Limit> {
    let (ours, peers): (Vec<&Figure>, Vec<_>) = figures.iter().partition(|f| f.who.starts_with("kenshin"));
    let best = peers.iter().map(|figure| figure.share).fold(0.0, f64::max);
    let both = |ours: &&Figure| {
        let Figure { who, share, .. } = ours;
        [
            Limit::new(format!("{who}: found ÷ existing"), *share, 0.9999),
            Limit::new(format!("{who}: found against the best peer"), *share, best),
        ]
    };
    ours.iter().flat_map(both).collect()
}
