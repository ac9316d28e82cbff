//! Whole sweeps: permutation, permit for every packet, frames, answers, slices sealed.
//!
//! Three questions. How fast do SYNs leave the whole engine, counted where they arrive? How many of
//! the hosts of a /16 that all answer does it find, against ZMap and masscan, each at the highest
//! rate it reaches? And how often does the interval that it states for what it missed hold the
//! truth, when nftables on the far side drops packets each by itself or in bursts?

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use kenshin_bench::survey::{Terms, run};
use kenshin_bench::{Cable, Setting, Side};
use kenshin_survey::raw::transmit::Engine;
use kenshin_survey::run::RunSummary;
use serde::Serialize;

mod found;
mod loss;
mod rate;

/// Whole sweeps in two namespaces of their own. Takes root, `ip`, `nft`, `zmap`, `masscan`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Rounds of each rate and of each contender.
    #[arg(long, default_value_t = 5)]
    rounds: u8,
    /// Seconds of each rate.
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Runs of each kind of loss.
    #[arg(long, default_value_t = 100)]
    losses: u8,
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

#[derive(Serialize, Default)]
struct Figures {
    rates: Vec<rate::Figure>,
    found: Vec<found::Figure>,
    losses: Vec<loss::Figure>,
}

pub(crate) fn bench(options: &Options) -> Result<ExitCode> {
    let setting = Setting::here();
    let wanted = |part| options.only.is_empty() || options.only.contains(&part);
    let (mut figures, mut table, mut limits) = (Figures::default(), String::new(), Vec::new());
    if wanted(Part::Rate) {
        figures.rates = rate::measure(options)?;
        table += &rate::table(&figures.rates);
    }
    if wanted(Part::Found) {
        figures.found = found::measure(options)?;
        table += &found::table(&figures.found);
        limits.extend(found::limits(&figures.found));
    }
    if wanted(Part::Loss) {
        figures.losses = loss::measure(options)?;
        table += &loss::table(&figures.losses);
        limits.extend(loss::limits(&figures.losses));
    }
    setting.conclude(&figures, &table, &limits, options.json.as_deref())
}

fn terms(prefix: &str, ports: Vec<u16>, engine: Engine, seed: u8) -> Result<Terms> {
    let near = Side::Near.addr().parse()?;
    Ok(Terms::sweep(prefix.parse().context("a prefix")?, ports, near, engine, seed))
}

/// Sweeps from the near side.
fn sweep(cable: &Cable, terms: &Terms) -> Result<RunSummary> {
    let dir = tempfile::tempdir()?;
    Ok(cable.inside(Side::Near, || run(terms, dir.path()))?.0)
}

/// A world in which all of [`HOSTS`] answers on port 80: the kernel of the far side does.
fn answering() -> Result<(Cable, std::net::TcpListener)> {
    let cable = Cable::new()?;
    cable.settle(HOSTS.parse().context("a prefix")?)?;
    // Answers cost the far side no memory, so that it forgets nobody.
    cable.set(Side::Far, "ipv4/tcp_syncookies", "2")?;
    let listener = cable.inside(Side::Far, || Ok(std::net::TcpListener::bind("0.0.0.0:80")?))?;
    Ok((cable, listener))
}
