//! A month of a national survey, scaled down: 120 million addresses × 8 ports, of which 2 % answer
//! with real daemons, under a mandate that limits each /24.
//!
//! No block of IPv4 is free for benches of this size, so the addresses are those of IPv6 for
//! documentation, 256 of them (a /120) for each /24. In each, five addresses have two open ports;
//! what else arrives is dropped at the far door, as most of a country does. The survey runs in a
//! process of its own, whose processor time and memory are its own; with a veth the kernel's work
//! for the far side, door and answers included, is done in the sender's time, so that what is
//! stated is above what a sensor needs.

use std::fmt::Write;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;
use kenshin_bench::daemon::{Daemon, Kind};
use kenshin_bench::{Cable, Limit, Setting, Side};
use kenshin_observation::Prefix;
use serde::{Deserialize, Serialize};

pub(crate) mod sensor;

/// A scaled month of a national survey. Takes root, `ip`, `nft` and the daemons.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The month is divided by this: 16 takes about a quarter of an hour.
    #[arg(long, default_value_t = 256)]
    scale: u32,
    /// Where to write the figures as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Addresses of the country, in blocks that are limited as a /24 is.
const BLOCKS: u32 = 120_000_000 / BLOCK;
const BLOCK: u32 = 256;

/// 2001:db8:1::.
const FIRST: u128 = 0x2001_0db8_0001 << 80;

/// What is asked at every address, and what listens there; nothing does at the others.
const PORTS: [u16; 8] = [21, 22, 23, 80, 443, 2323, 8080, 8443];
const DAEMONS: [(u16, Kind); 6] = [
    (21, Kind::Vsftpd),
    (22, Kind::Dropbear),
    (23, Kind::Telnetd),
    (80, Kind::Lighttpd),
    (443, Kind::NginxTls),
    (8080, Kind::Nginx),
];

/// Who answers in each block, by the last byte of the address, and at which ports: 5 of 256 are
/// 1.95 %.
const ANSWERING: [(u8, [u16; 2]); 5] =
    [(7, [80, 443]), (50, [22, 80]), (113, [23, 80]), (177, [21, 8080]), (240, [80, 8080])];

/// What the survey took, by its own account.
#[derive(Debug, Serialize, Deserialize)]
struct Took {
    wall_s: f64,
    user_s: f64,
    system_s: f64,
    /// Most memory that was resident.
    peak_bytes: u64,
    /// Exchanges that were permitted.
    exchanges: u64,
    answered: u64,
    /// Services recognised.
    recognised: u64,
    /// Batches in the spool.
    spool_bytes: u64,
}

#[derive(Serialize)]
struct Figures {
    scale: u32,
    addresses: u64,
    ports: usize,
    targets: u64,
    /// Open ports.
    existing: u64,
    /// Frames that arrived on the far side.
    arrived: u64,
    took: Took,
}

pub(crate) fn bench(options: &Options) -> Result<ExitCode> {
    let setting = Setting::here();
    let figures = measure(options.scale)?;
    let found = figures.took.answered as f64 / figures.existing as f64;
    let recognised = figures.took.recognised as f64 / figures.existing as f64;
    let limits = [
        Limit::new("found ÷ existing", found, 0.9999),
        Limit::new("recognised ÷ existing", recognised, 0.99),
    ];
    setting.conclude(&figures, &figures.table(), &limits, options.json.as_deref())
}

fn measure(scale: u32) -> Result<Figures> {
    let blocks = BLOCKS.div_ceil(scale.max(1));
    let cable = Cable::new()?;
    for prefix in prefixes(blocks) {
        cable.settle(prefix)?;
    }
    cable.set(Side::Far, "core/somaxconn", "65535")?;
    // Answers cost the far side no memory, so that it forgets nobody.
    cable.set(Side::Far, "ipv4/tcp_syncookies", "2")?;
    cable.rules(Side::Far, &door())?;
    let daemons = DAEMONS.map(|(port, kind)| Daemon::start(&cable, kind, port));
    let _daemons = daemons.into_iter().collect::<Result<Vec<_>>>()?;

    let before = cable.received(Side::Far)?;
    let this = std::env::current_exe()?;
    let mut command = cable.command(Side::Near, this.to_str().context("a path in UTF-8")?);
    command.args(["sensor", &blocks.to_string()]).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let output = command.output()?;
    if !output.status.success() {
        bail!("the survey failed");
    }
    let addresses = u64::from(blocks) * u64::from(BLOCK);
    let open: usize = ANSWERING.iter().map(|(_, ports)| ports.len()).sum();
    Ok(Figures {
        scale,
        addresses,
        ports: PORTS.len(),
        targets: addresses * PORTS.len() as u64,
        existing: u64::from(blocks) * open as u64,
        arrived: cable.received(Side::Far)? - before,
        took: serde_json::from_slice(&output.stdout).context("the survey says what it took")?,
    })
}

/// So many blocks from [`FIRST`] on, as few prefixes as there can be.
fn prefixes(blocks: u32) -> Vec<Prefix> {
    let mut at = FIRST;
    let sizes = (0..u32::BITS).rev().map(|bit| 1 << bit).filter(|size| blocks & size != 0);
    sizes
        .map(|size: u32| {
            let addresses = u128::from(size) * u128::from(BLOCK);
            let len = 128 - u8::try_from(addresses.ilog2()).expect("below 128");
            let prefix = Prefix::containing(IpAddr::V6(Ipv6Addr::from_bits(at)), len);
            at += addresses;
            prefix
        })
        .collect()
}

/// Only what answers is let in.
fn door() -> String {
    let mut rules = String::new();
    for (host, ports) in ANSWERING {
        let [one, other] = ports;
        let _ = writeln!(rules, " ip6 daddr & ::ff == ::{host:x} tcp dport {{ {one}, {other} }} accept");
    }
    format!(
        "table netdev bench {{\n chain door {{\n type filter hook ingress device vb priority 0;\n \
         ip6 daddr 2001:db8:ffff::/64 accept\n meta l4proto ipv6-icmp accept\n{rules} \
         meta protocol ip6 drop\n }}\n}}\n"
    )
}

impl Figures {
    fn table(&self) -> String {
        let Self { scale, addresses, ports, targets, existing, arrived, took } = self;
        let cpu_s = took.user_s + took.system_s;
        let million = *targets as f64 / 1e6;
        let mut text = format!(
            "1 : {scale} of a month: {addresses} addresses × {ports} ports = {targets} targets, {existing} open\n\n"
        );
        let mut line = |what: &str, value: String| {
            let _ = writeln!(text, "{what:<44} {value:>14}");
        };
        line("wall time, s", format!("{:.1}", took.wall_s));
        line("exchanges", took.exchanges.to_string());
        line("frames that arrived", arrived.to_string());
        line("exchanges a second", format!("{:.0}", took.exchanges as f64 / took.wall_s));
        line("found", took.answered.to_string());
        line("recognised", took.recognised.to_string());
        line("conversations a second", format!("{:.0}", took.answered as f64 / took.wall_s));
        line("peak memory, MiB", format!("{:.0}", took.peak_bytes as f64 / f64::from(1 << 20)));
        line("batches in the spool, MiB", format!("{:.1}", took.spool_bytes as f64 / f64::from(1 << 20)));
        line("processor time, s", format!("{cpu_s:.1}"));
        line("  of it in the kernel, far side included, s", format!("{:.1}", took.system_s));
        line("processor time for a million targets, s", format!("{:.2}", cpu_s / million));
        let whole = f64::from(*scale) / 3_600.0;
        line("a whole month: hours of wall time", format!("{:.1}", took.wall_s * whole));
        line("a whole month: hours of processor time", format!("{:.1}", cpu_s * whole));
        text
    }
}
