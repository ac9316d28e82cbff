//! What Kenshin says: a survey, and insight's own pack over its records.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, Result, bail};
use kenshin_bench::survey::{Terms, run};
use kenshin_bench::{Side, median};
use kenshin_insight::fingerprint::Packs;
use kenshin_insight::identity::identify;
use kenshin_observation::{Check, Observation, Prefix};
use kenshin_survey::plan::Manner;
use kenshin_survey::raw::transmit::Engine;
use kenshin_survey::run::Ending;
use std::time::Instant;

use super::{FIRST, PORTS, Said, Sayings, World, number, port};

/// What it says in each round, and the median of addresses a second: from the first packet to the last
/// name.
pub(crate) fn measure(world: &World, rounds: u8) -> Result<(Vec<Sayings>, f64)> {
    let packs = Packs::own();
    let (mut rates, mut all) = (Vec::new(), Vec::new());
    for seed in 1..=rounds {
        let dir = tempfile::tempdir()?;
        let began = Instant::now();
        let terms = terms(world.addresses, seed)?;
        let (summary, spool) = world.cable.inside(Side::Near, || run(&terms, dir.path()))?;
        if summary.ending != Ending::Finished {
            bail!("the survey ended otherwise: {:?}", summary.ending);
        }
        let batches = spool.pending().collect::<Result<Vec<_>, _>>().context("batches in the spool")?;
        let rows = batches.iter().flat_map(|batch| &batch.observations);
        let said = sayings(rows, &packs);
        rates.push(f64::from(world.addresses) / began.elapsed().as_secs_f64());
        eprintln!(
            "round {seed}: {} services named, {:.1} addresses a second",
            said.len(),
            rates[rates.len() - 1]
        );
        all.push(said);
    }
    Ok((all, median(&rates)))
}

fn terms(addresses: u32, seed: u8) -> Result<Terms> {
    let near = Side::Near.addr().parse()?;
    let prefix = Prefix::containing(IpAddr::V4(Ipv4Addr::from_bits(FIRST)), 32);
    let mut terms = Terms::sweep(prefix, PORTS.to_vec(), near, Engine::AfPacket, seed);
    terms.prefixes = (0..addresses).map(|n| Prefix::containing(super::address(n).into(), 32)).collect();
    // Commands to Redis and memcached and the CONNECT of MQTT are logins.
    terms.checks = vec![Check::Sweep, Check::Banner, Check::Handshake, Check::AnonymousLogin];
    terms.manner = Manner::SCALE;
    Ok(terms)
}

fn sayings<'a>(rows: impl Iterator<Item = &'a Observation>, packs: &Packs) -> Sayings {
    let mut by_number: BTreeMap<u32, Vec<&Observation>> = BTreeMap::new();
    for row in rows.filter(|row| row.protocol.is_some()) {
        if let Some(number) = number(row.subject.addr).filter(|n| port(*n) == row.subject.port) {
            by_number.entry(number).or_default().push(row);
        }
    }
    by_number.into_iter().map(|(number, rows)| (number, said(&rows, packs))).collect()
}

/// The protocol of a row that names one, and every name of a product.
fn said(rows: &[&Observation], packs: &Packs) -> Said {
    let mut protocols = rows.iter().filter_map(|row| row.protocol.as_deref());
    let protocol = protocols.rfind(|name| *name != "unknown").unwrap_or_default();
    let identity = identify(rows, packs);
    let product = identity.product.iter().chain(identity.components.iter().map(|c| &c.product));
    let product = product.fold(protocol.to_owned(), |text, claim| format!("{text} {}", claim.value));
    Said { protocol: protocol.to_owned(), product: product.to_lowercase() }
}
