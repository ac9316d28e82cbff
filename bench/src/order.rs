//! How fast the order of a survey is computed: targets a second of one core.
//!
//! Each target is taken as the sweep takes it, slice by slice through [`Space`], and its address is
//! looked up in the scope as the gate does; told beside: the order alone. The limit is what no link of this
//! kind reaches.

use std::fmt::Write;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use kenshin_bench::{Limit, Setting, median};
use kenshin_mandate::{AddressSet, CompiledSet};
use kenshin_observation::Prefix;
use kenshin_survey::permutation::PermutationKey;
use kenshin_survey::plan::Manner;
use kenshin_survey::space::{Port, Space};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

/// Targets a second of one core, with one range and with a hundred thousand.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Rounds of each space.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Where to write the figures as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

const WANTED: f64 = 20e6;
const TARGETS: u64 = 20_000_000;

#[derive(Serialize)]
struct Figure {
    ranges: usize,
    ports: u16,
    /// In order.
    per_second: f64,
    /// In order, each address looked up in the scope.
    judged_per_second: f64,
}

pub(crate) fn bench(options: &Options) -> Result<ExitCode> {
    let setting = Setting::here();
    let one: AddressSet = [Prefix::containing(v4(0x1000_0000), 5)].into_iter().collect();
    // A hundred thousand ranges that never touch, as an exclusion list leaves them.
    let many: AddressSet =
        (0..100_000).map(|n| Prefix::containing(v4(0x0100_0000 + n * 32_768), 18)).collect();
    let (mut figures, mut limits, mut table) = (Vec::new(), Vec::new(), String::new());
    for addresses in [one, many] {
        let ranges = addresses.ranges().count();
        let scope = CompiledSet::new(addresses.clone());
        for ports in [1, 10, 1000] {
            let all = (1..=ports).map(Port::tcp).collect();
            let slice = Manner::SCALE.slice_addresses;
            let space = Space::new(addresses.clone(), all, slice, PermutationKey([5; 16]))?;
            let rounds = |judge: &dyn Fn(&Space, u64) -> f64| {
                median(&(0..options.rounds).map(|n| judge(&space, n.into())).collect::<Vec<_>>())
            };
            let per_second = rounds(&|space, round| targets_a_second(space, round, |_| true));
            let judged_per_second =
                rounds(&|space, round| targets_a_second(space, round, |addr| scope.contains(addr)));
            let what = format!("{ranges} ranges × {ports} ports, million targets a second");
            let _ = writeln!(
                table,
                "{ranges:>7} ranges × {ports:>4} ports: {:>5.1} million targets a second, {:>5.1} looked up in the scope",
                per_second / 1e6,
                judged_per_second / 1e6
            );
            limits.push(Limit::new(what, judged_per_second / 1e6, WANTED / 1e6));
            figures.push(Figure { ranges, ports, per_second, judged_per_second });
        }
    }
    setting.conclude(&figures, &table, &limits, options.json.as_deref())
}

fn v4(bits: u32) -> IpAddr {
    Ipv4Addr::from_bits(bits).into()
}

fn targets_a_second(space: &Space, round: u64, allowed: impl Fn(IpAddr) -> bool) -> f64 {
    let began_s = processor_s();
    let (mut done, mut number) = (0, round * 1_000);
    while done < TARGETS {
        let slice = space.slice(number % space.slices());
        for place in 0..slice.targets() {
            let (_, endpoint) = slice.target_at(place);
            assert!(allowed(black_box(endpoint).addr), "{endpoint} is outside of its scope");
        }
        done += slice.targets();
        number += 1;
    }
    done as f64 / (processor_s() - began_s)
}

/// Processor time of this thread so far, s: what else the machine does is not counted.
fn processor_s() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}
