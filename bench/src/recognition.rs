//! Whether what listens at a wrong port is recognised, protocol and product, and how soon, against
//! `nmap -sV --version-all`.
//!
//! A thousand addresses, one service each: address *n* has the daemon of kind *n* mod 12 at one of
//! eight ports that are usual for none of them, so that no port tells a service. The far kernel
//! leads each pair of address and port to its daemon; every other port is closed.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use kenshin_bench::daemon::{Daemon, Kind};
use kenshin_bench::{Cable, Limit, Setting, Side};
use serde::Serialize;

mod kenshin;
mod nmap;

/// Recognition of services at wrong ports. Takes root, `ip`, `nft`, `nmap` and the daemons.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Addresses, at most 131,072.
    #[arg(long, default_value_t = 1020)]
    addresses: u32,
    /// Of them, so many from the first on are nmap's: its speed is stated per address.
    #[arg(long, default_value_t = 120)]
    sample: u32,
    /// Rounds of Kenshin's; nmap has one.
    #[arg(long, default_value_t = 5)]
    rounds: u8,
    /// Where to write the figures as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

const FIRST: u32 = 0xc612_0000;

/// Usual for nothing that listens here.
const PORTS: [u16; 8] = [2022, 4567, 5050, 6001, 7547, 8181, 9000, 10_022];

/// Daemons listen from here on, by kind.
const REAL_PORTS: u16 = 40_000;

/// Times as fast as nmap.
const SPEED_WANTED: f64 = 20.0;

/// What is where.
struct World {
    cable: Cable,
    addresses: u32,
    _daemons: Vec<Daemon>,
}

/// What somebody said of one service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Said {
    protocol: String,
    /// Product, and whatever else was said with it, in small letters: the protocol too, which for data
    /// stores is the product's own.
    product: String,
}

/// By the number of the address.
type Sayings = BTreeMap<u32, Said>;

/// How much of it was right.
#[derive(Debug, Clone, Copy, Default, Serialize)]
struct Right {
    services: u32,
    protocols: u32,
    products: u32,
}

#[derive(Serialize)]
struct Figures {
    addresses: u32,
    sample: u32,
    /// Addresses a second, median of the rounds.
    kenshin_per_second: f64,
    nmap_per_second: f64,
    nmap_command: String,
    /// Over all addresses, the median of the rounds.
    kenshin: BTreeMap<Kind, Right>,
    /// Addresses of which it said the same in every round.
    alike: u32,
    /// Over the sample.
    nmap: BTreeMap<Kind, Right>,
}

pub(crate) fn bench(options: &Options) -> Result<ExitCode> {
    let setting = Setting::here();
    let world = World::new(options.addresses)?;
    let (sayings, kenshin_per_second) = kenshin::measure(&world, options.rounds)?;
    let sample = options.sample.min(options.addresses);
    let (nmap_sayings, nmap_per_second, nmap_command) = nmap::measure(&world, sample)?;
    let figures = Figures {
        addresses: options.addresses,
        sample,
        kenshin_per_second,
        nmap_per_second,
        nmap_command,
        kenshin: medians(&sayings, options.addresses),
        alike: alike(&sayings),
        nmap: right(&nmap_sayings, sample),
    };
    let share = |all: &BTreeMap<Kind, Right>, what: fn(&Right) -> u32| {
        f64::from(all.values().map(what).sum::<u32>())
            / f64::from(all.values().map(|r| r.services).sum::<u32>())
    };
    let at_least_as_many = |name: &str, what: fn(&Right) -> u32| {
        Limit::new(
            format!("{name}: share that is right"),
            share(&figures.kenshin, what),
            share(&figures.nmap, what),
        )
    };
    let limits = [
        at_least_as_many("protocols", |right| right.protocols),
        at_least_as_many("products", |right| right.products),
        Limit::new("speed ÷ nmap's", kenshin_per_second / nmap_per_second, SPEED_WANTED),
    ];
    setting.conclude(&figures, &figures.table(), &limits, options.json.as_deref())
}

impl World {
    fn new(addresses: u32) -> Result<Self> {
        let cable = Cable::new()?;
        cable.settle("198.18.0.0/15".parse()?)?;
        cable.set(Side::Far, "core/somaxconn", "65535")?;
        let daemons = Kind::ALL.into_iter().zip(REAL_PORTS..);
        let daemons = daemons.map(|(kind, port)| Daemon::start(&cable, kind, port)).collect::<Result<_>>()?;
        let places: Vec<String> = (0..addresses)
            .map(|n| format!("{} . {} : {}", address(n), port(n), REAL_PORTS + kind(n) as u16))
            .collect();
        cable.rules(
            Side::Far,
            &format!(
                "table ip bench {{\n map places {{\n type ipv4_addr . inet_service : inet_service\n elements = {{ {} }}\n }}\n \
                 chain arriving {{\n type nat hook prerouting priority dstnat;\n \
                 meta l4proto tcp redirect to : ip daddr . tcp dport map @places\n }}\n}}\n",
                places.join(", ")
            ),
        )?;
        Ok(Self { cable, addresses, _daemons: daemons })
    }
}

fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(FIRST + number)
}

/// The number of an address of the world.
fn number(addr: IpAddr) -> Option<u32> {
    let IpAddr::V4(v4) = addr else { return None };
    v4.to_bits().checked_sub(FIRST)
}

fn kind(number: u32) -> Kind {
    Kind::ALL[number as usize % Kind::ALL.len()]
}

fn port(number: u32) -> u16 {
    PORTS[number as usize / Kind::ALL.len() % PORTS.len()]
}

/// Of each kind the median of what was right in a round.
fn medians(rounds: &[Sayings], addresses: u32) -> BTreeMap<Kind, Right> {
    let rounds: Vec<BTreeMap<Kind, Right>> = rounds.iter().map(|said| right(said, addresses)).collect();
    let middle = |kind: Kind, what: fn(&Right) -> u32| {
        let mut counts: Vec<u32> = rounds.iter().map(|round| what(&round[&kind])).collect();
        counts.sort_unstable();
        counts[counts.len() / 2]
    };
    let of = |(kind, first): (&Kind, &Right)| {
        let right = Right {
            services: first.services,
            protocols: middle(*kind, |right| right.protocols),
            products: middle(*kind, |right| right.products),
        };
        (*kind, right)
    };
    rounds.first().into_iter().flatten().map(of).collect()
}

fn alike(rounds: &[Sayings]) -> u32 {
    let Some((first, others)) = rounds.split_first() else { return 0 };
    let same = |(number, said): &(&u32, &Said)| others.iter().all(|round| round.get(*number) == Some(*said));
    u32::try_from(first.iter().filter(same).count()).unwrap_or(u32::MAX)
}

fn right(sayings: &Sayings, addresses: u32) -> BTreeMap<Kind, Right> {
    let mut all: BTreeMap<Kind, Right> = BTreeMap::new();
    for number in 0..addresses {
        let kind = kind(number);
        let right = all.entry(kind).or_default();
        right.services += 1;
        let Some(said) = sayings.get(&number) else { continue };
        let (ours, nmaps) = kind.protocol();
        right.protocols += u32::from(said.protocol == ours || said.protocol.starts_with(nmaps));
        right.products += u32::from(said.product.contains(kind.product()));
    }
    all
}

impl Figures {
    fn table(&self) -> String {
        let mut text = format!(
            "{} addresses, of {} of which nmap is asked\n{}\n\nright of                      kenshin              nmap\n",
            self.addresses, self.sample, self.nmap_command
        );
        for (kind, ours) in &self.kenshin {
            let name = serde_json::to_value(kind).map(|name| name.as_str().unwrap_or_default().to_owned());
            let theirs = self.nmap.get(kind).copied().unwrap_or_default();
            let percent = |of: u32, right: &Right| f64::from(of) * 100.0 / f64::from(right.services.max(1));
            let _ = writeln!(
                text,
                "{:<12} protocol, product  {:>5.1} %  {:>5.1} %   {:>5.1} %  {:>5.1} %",
                name.unwrap_or_default(),
                percent(ours.protocols, ours),
                percent(ours.products, ours),
                percent(theirs.protocols, &theirs),
                percent(theirs.products, &theirs),
            );
        }
        let _ = writeln!(
            text,
            "\nthe same in every round: {} of {} addresses\naddresses a second: kenshin {:.1}, nmap {:.2}",
            self.alike, self.addresses, self.kenshin_per_second, self.nmap_per_second
        );
        text
    }
}
