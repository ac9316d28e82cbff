//! Benches with a stated budget. Each is a command, prints a table that begins with machine and
//! command line, and succeeds when every limit is met.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

mod month;
mod order;
mod recognition;
mod sweep;
mod transmit;

/// Benches of the survey engine, in network namespaces of their own. Takes root, `ip` and `nft`.
#[derive(Parser)]
enum Bench {
    /// Targets a second of one core, with one range and with a hundred thousand.
    Order(order::Options),
    /// SYNs a second, against bare system calls, ZMap and masscan.
    Transmit(transmit::Options),
    /// Whole sweeps: their rate, whom they find, what they say of those they missed.
    Sweep(sweep::Options),
    /// Protocols and products at wrong ports, against nmap.
    Recognition(recognition::Options),
    /// A month of a national survey, scaled down.
    Month(month::Options),
    /// One contender of `transmit`, inside of the near namespace: sends until killed.
    #[command(hide = true)]
    Send { contender: transmit::Contender },
    /// The survey of `month`, inside of the near namespace: prints what it took.
    #[command(hide = true)]
    Sensor { blocks: u32 },
}

fn main() -> Result<ExitCode> {
    match Bench::parse() {
        Bench::Order(options) => order::bench(&options),
        Bench::Transmit(options) => transmit::bench(&options),
        Bench::Sweep(options) => sweep::bench(&options),
        Bench::Recognition(options) => recognition::bench(&options),
        Bench::Month(options) => month::bench(&options),
        Bench::Send { contender } => contender.send().map(|()| ExitCode::SUCCESS),
        Bench::Sensor { blocks } => month::sensor::survey(blocks).map(|()| ExitCode::SUCCESS),
    }
}
