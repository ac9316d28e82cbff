//! Whole sweeps: permutation, permit for every packet, frames, answers, slices sealed.
//!
//! Three questions. How fast do SYNs leave the whole engine, counted where they arrive? How many of
//! the hosts of a /16 that all answer does it find, against ZMap and masscan at their own rates?
//! And how often does the interval that it states for what it missed hold the truth, when
//! nftables on the far side drops packets each by itself or in runs?

#![expect(clippy::print_stdout, reason = "the figures are the data of this program")]

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use kenshin_bench::{Cable, Side, median};
use kenshin_survey::raw::transmit::Engine;
use serde::Serialize;

use survey::{Asked, run};

mod survey;

/// Whole sweeps in two namespaces of their own. Takes root, `ip`, `nft`, `zmap`, `masscan`.
#[derive(Parser)]
struct Options {
    /// Rounds of each rate and of each peer.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each rate.
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Runs of each kind of loss.
    #[arg(long, default_value_t = 20)]
    losses: u32,
    /// Only these parts.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// Where to write the figures as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Rate,
    Found,
    Loss,
}

/// Hosts of the world that all answer.
const HOSTS: &str = "198.18.0.0/16";
const HOSTS_COUNT: f64 = 65_536.0;

#[derive(Serialize, Default)]
struct Figures {
    /// SYNs a second of the whole engine.
    rates: Vec<(String, f64)>,
    /// Found ÷ existing, and SYNs a second while finding, median of the rounds.
    found: Vec<(String, f64, f64)>,
    /// Kind of loss, runs, runs whose interval held the truth, mean width of it.
    losses: Vec<(String, u32, u32, f64)>,
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    let wanted = |part| options.only.is_empty() || options.only.contains(&part);
    let mut figures = Figures::default();
    if wanted(Part::Rate) {
        rates(&options, &mut figures)?;
    }
    if wanted(Part::Found) {
        found(&options, &mut figures)?;
    }
    if wanted(Part::Loss) {
        losses(&options, &mut figures)?;
    }
    for (engine, pps) in &figures.rates {
        println!("{engine}: {:.3} Mpps through permutation, gate and frames", pps / 1e6);
    }
    for (who, share, pps) in &figures.found {
        println!("{who}: found {share:.5} of those there are, at {:.3} Mpps", pps / 1e6);
    }
    for (kind, runs, held, width) in &figures.losses {
        println!("{kind}: the interval held the truth in {held} of {runs} runs (mean width {:.2} %)", width * 100.0);
    }
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&figures)?;
        std::fs::write(path, text + "\n").with_context(|| format!("failed to write {}", path.display()))?;
    }
    let best = figures.found.iter().filter(|f| !f.0.starts_with("kenshin")).map(|f| f.1).fold(0.0, f64::max);
    let complete = figures.found.iter().filter(|f| f.0.starts_with("kenshin")).all(|f| f.1 >= 0.9999 && f.1 >= best);
    let honest = figures.losses.iter().all(|loss| f64::from(loss.2) >= 0.9 * f64::from(loss.1));
    Ok(if complete && honest { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn near() -> IpAddr {
    Side::Near.addr().parse().expect("an address")
}

fn asked(prefix: &str, ports: Vec<u16>, engine: Engine, seed: u8) -> Result<Asked> {
    let prefix = prefix.parse().context("a prefix")?;
    Ok(Asked { prefix, ports, source: near(), engine, pps: 10_000_000, sample_ppm: 0, seed, seconds: None })
}

/// Everything that arrives is counted by the interface and dropped at the door.
fn rates(options: &Options, figures: &mut Figures) -> Result<()> {
    let cable = Cable::new()?;
    cable.rules(
        Side::Far,
        "table netdev bench {\n chain door {\n type filter hook ingress device vb priority 0;\n ip daddr 198.18.0.0/15 drop\n }\n}\n",
    )?;
    for engine in [Engine::AfPacket, Engine::AfXdp] {
        let mut rounds = Vec::new();
        for round in 0..options.rounds {
            let mut asked = asked("198.18.0.0/15", (1..=1000).collect(), engine, u8::try_from(round)? + 1)?;
            asked.seconds = Some(options.seconds);
            let before = received(&cable)?;
            let began = Instant::now();
            cable.inside(Side::Near, || run(&asked))?;
            let pps = (received(&cable)? - before) as f64 / began.elapsed().as_secs_f64().min(options.seconds);
            eprintln!("round {}, {engine}: {:.3} Mpps", round + 1, pps / 1e6);
            rounds.push(pps);
        }
        figures.rates.push((engine.to_string(), median(&rounds)));
    }
    Ok(())
}

/// A world in which all of a /16 answers on port 80: the kernel of the far side does.
fn answering() -> Result<(Cable, std::net::TcpListener)> {
    let cable = Cable::new()?;
    let status = cable.command(Side::Far, "ip").args(["route", "add", "local", HOSTS, "dev", "lo"]).status()?;
    if !status.success() {
        bail!("the far side takes no local route");
    }
    for (name, value) in [("tcp_max_syn_backlog", "1000000"), ("tcp_syncookies", "2")] {
        cable.inside(Side::Far, || Ok(std::fs::write(format!("/proc/sys/net/ipv4/{name}"), value)?))?;
    }
    let listener = cable.inside(Side::Far, || Ok(std::net::TcpListener::bind("0.0.0.0:80")?))?;
    Ok((cable, listener))
}

fn found(options: &Options, figures: &mut Figures) -> Result<()> {
    let (cable, _listener) = answering()?;
    for engine in [Engine::AfPacket, Engine::AfXdp] {
        let (mut shares, mut rates) = (Vec::new(), Vec::new());
        for round in 0..options.rounds {
            let asked = asked(HOSTS, vec![80], engine, u8::try_from(round)? + 1)?;
            let summary = cable.inside(Side::Near, || run(&asked))?;
            shares.push(summary.progress.answered as f64 / HOSTS_COUNT);
            rates.push(summary.progress.rate_pps);
            eprintln!("round {}, kenshin {engine}: {:?}", round + 1, shares.last());
        }
        figures.found.push((format!("kenshin {engine}"), median(&shares), median(&rates)));
    }
    for (name, command) in [
        ("zmap", "zmap -C /dev/null -b /dev/null -T 1 -i va -S 192.0.2.1 --source-mac=02:00:00:00:00:0a -G 02:00:00:00:00:0b -p 80 -q -v 0 -c 3 --disable-syslog -B 10G -o FILE 198.18.0.0/16"),
        ("masscan", "masscan -p80 --rate 10000000 -e va --adapter-ip 192.0.2.1 --adapter-mac 02-00-00-00-00-0a --router-mac 02-00-00-00-00-0b --wait 3 -oL FILE 198.18.0.0/16"),
    ] {
        let (mut shares, mut rates) = (Vec::new(), Vec::new());
        for round in 0..options.rounds {
            let file = tempfile::NamedTempFile::new()?;
            let path = file.path().to_str().context("a path in UTF-8")?;
            let words: Vec<&str> = command.split(' ').map(|word| if word == "FILE" { path } else { word }).collect();
            let (before, began) = (received(&cable)?, Instant::now());
            if !cable.command(Side::Near, words[0]).args(&words[1..]).status()?.success() {
                bail!("{name} failed");
            }
            // Both wait for answers at the end.
            let seconds = (began.elapsed().as_secs_f64() - 3.0).max(0.05);
            rates.push((received(&cable)? - before) as f64 / seconds);
            let text = std::fs::read_to_string(file.path())?;
            let hosts: std::collections::BTreeSet<&str> =
                text.split_whitespace().filter(|word| word.starts_with("198.18.")).collect();
            shares.push(hosts.len() as f64 / HOSTS_COUNT);
            eprintln!("round {}, {name}: {:?}", round + 1, shares.last());
        }
        figures.found.push((name.to_owned(), median(&shares), median(&rates)));
    }
    Ok(())
}

/// A /20 of the answering world, with packets dropped where they arrive.
fn losses(options: &Options, figures: &mut Figures) -> Result<()> {
    const COUNT: f64 = 4096.0;
    let (cable, _listener) = answering()?;
    for (kind, drop) in [
        ("no loss", None),
        ("2 %, each by itself", Some("numgen random mod 1000 < 20 drop")),
        ("10 %, each by itself", Some("numgen random mod 1000 < 100 drop")),
        ("2 %, in runs of 20", Some("numgen inc mod 1000 < 20 drop")),
        ("10 %, in runs of 100", Some("numgen inc mod 1000 < 100 drop")),
    ] {
        let rule = drop.map_or_else(String::new, |drop| format!(" ip daddr {HOSTS} {drop}\n"));
        cable.rules(
            Side::Far,
            &format!(
                "table netdev bench\ndelete table netdev bench\ntable netdev bench {{\n chain door {{\n \
                 type filter hook ingress device vb priority 0;\n{rule} }}\n}}\n"
            ),
        )?;
        let (mut held, mut width) = (0, 0.0);
        for run_number in 0..options.losses {
            let mut asked = asked("198.18.0.0/20", vec![80], Engine::AfPacket, u8::try_from(run_number % 250)? + 1)?;
            (asked.sample_ppm, asked.pps) = (500_000, 20_000);
            let summary = cable.inside(Side::Near, || run(&asked))?;
            let truth = 1.0 - summary.progress.answered as f64 / COUNT;
            let miss = summary.progress.miss.context("misses are measured")?;
            let holds = miss.low <= truth && truth <= miss.high;
            held += u32::from(holds);
            width += (miss.high - miss.low) / f64::from(options.losses);
            if !holds {
                eprintln!("{kind}: {truth:.4} is outside of {:.4} to {:.4} ({} asked)", miss.low, miss.high, miss.asked);
            }
        }
        figures.losses.push((kind.to_owned(), options.losses, held, width));
    }
    Ok(())
}

/// Frames that the far interface has received.
fn received(cable: &Cable) -> Result<u64> {
    cable.inside(Side::Far, || {
        let text = std::fs::read_to_string("/proc/thread-self/net/dev")?;
        let line = text.lines().find_map(|line| line.trim().strip_prefix("vb:"));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).context("no count of vb")
    })
}
