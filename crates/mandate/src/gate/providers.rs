//! Limits of providers: an exchange takes a token of every provider in whose networks its address is.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::{IpAddr, Ipv6Addr};

use kenshin_observation::TimeUs;

use super::bucket::{Bucket, Limit};
use crate::ProviderRate;

/// Providers and their buckets, made ready to be asked for every exchange: two comparisons per
/// doubling of the number of networks, nothing when there is no provider.
#[derive(Debug, Default)]
pub(super) struct Providers {
    rates: Vec<ProviderRate>,
    buckets: Vec<(Limit, Bucket)>,
    /// First addresses of the stretches in which the same limits apply, ascending, and these.
    stretches: Vec<(IpAddr, Box<[u32]>)>,
}

impl Providers {
    /// Takes in those that are new, at `share` percent. A limit begins at `now` without a burst, and
    /// stays: lists that became shorter give nothing back.
    pub(super) fn add(&mut self, rates: &[ProviderRate], share: u8, now: TimeUs) {
        // The same list comes again and again.
        if rates == self.rates {
            return;
        }
        let known: HashSet<&ProviderRate> = self.rates.iter().collect();
        let new: Vec<ProviderRate> = rates.iter().filter(|rate| !known.contains(rate)).cloned().collect();
        if new.is_empty() {
            return;
        }
        let limit = |rate: &ProviderRate| Limit::per_second(rate.pps, rate.burst, share).of_one_at_least();
        self.buckets.extend(new.iter().map(|rate| (limit(rate), Bucket::empty(now))));
        self.rates.extend(new);
        self.stretches = stretches(&self.rates);
    }

    /// µs until each of an address's providers has a token; 0 when they do.
    pub(super) fn wait_us(&self, addr: IpAddr, now: TimeUs) -> i64 {
        let waits = self.over(addr).iter().map(|number| {
            let (limit, bucket) = self.buckets[*number as usize];
            bucket.wait_us(limit, now)
        });
        waits.max().unwrap_or(0)
    }

    /// Takes the tokens that [`Providers::wait_us`] found.
    pub(super) fn take(&mut self, addr: IpAddr, now: TimeUs) {
        let Some(at) = self.stretch(addr) else { return };
        for number in &self.stretches[at].1 {
            let (limit, bucket) = &mut self.buckets[*number as usize];
            bucket.take(*limit, now);
        }
    }

    fn over(&self, addr: IpAddr) -> &[u32] {
        self.stretch(addr).map_or(&[], |at| &self.stretches[at].1)
    }

    fn stretch(&self, addr: IpAddr) -> Option<usize> {
        self.stretches.partition_point(|(first, _)| *first <= addr).checked_sub(1)
    }
}

/// Where which limits apply.
fn stretches(rates: &[ProviderRate]) -> Vec<(IpAddr, Box<[u32]>)> {
    let mut edges: BTreeMap<IpAddr, (Vec<u32>, Vec<u32>)> = BTreeMap::new();
    for (number, rate) in (0u32..).zip(rates) {
        for (first, last) in rate.addresses.ranges() {
            edges.entry(first).or_default().0.push(number);
            if let Some(after) = after(last) {
                edges.entry(after).or_default().1.push(number);
            }
        }
    }
    let mut over = BTreeSet::new();
    let mut stretches = Vec::with_capacity(edges.len());
    for (addr, (begin, end)) in edges {
        over.retain(|number| !end.contains(number));
        over.extend(begin);
        stretches.push((addr, over.iter().copied().collect()));
    }
    stretches
}

/// The next address in the order of [`IpAddr`], in which IPv6 follows IPv4.
fn after(addr: IpAddr) -> Option<IpAddr> {
    match addr {
        IpAddr::V4(v4) => Some(
            v4.to_bits()
                .checked_add(1)
                .map_or(Ipv6Addr::UNSPECIFIED.into(), |next| IpAddr::V4(std::net::Ipv4Addr::from_bits(next))),
        ),
        IpAddr::V6(v6) => v6.to_bits().checked_add(1).map(|next| Ipv6Addr::from_bits(next).into()),
    }
}

#[cfg(test)]
mod tests {
    use kenshin_observation::Prefix;
    use proptest::prelude::*;

    use super::*;

    fn rate(prefixes: &[&str], pps: u32) -> ProviderRate {
        let addresses = prefixes.iter().map(|text| text.parse::<Prefix>().unwrap()).collect();
        ProviderRate { name: "a test".to_owned(), addresses, pps, burst: 1 }
    }

    fn at(micros: i64) -> TimeUs {
        TimeUs::from_micros(1_800_000_000_000_000 + micros)
    }

    #[test]
    fn an_address_waits_for_the_slowest_of_its_providers() {
        let mut providers = Providers::default();
        providers.add(
            &[rate(&["198.51.100.0/24", "255.255.255.0/24"], 10), rate(&["198.51.100.128/25", "::/1"], 2)],
            100,
            at(0),
        );
        let wait = |providers: &Providers, addr: &str| providers.wait_us(addr.parse().unwrap(), at(0));
        for (addr, wait_us) in [
            ("198.51.99.255", 0),
            ("198.51.100.0", 100_000),
            ("198.51.100.127", 100_000),
            ("198.51.100.128", 500_000),
            ("198.51.101.0", 0),
            ("255.255.255.255", 100_000),
            ("::", 500_000),
            ("7fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 500_000),
            ("8000::", 0),
        ] {
            assert_eq!(wait(&providers, addr), wait_us, "{addr}");
        }
        // What one address takes, every network of the provider lacks.
        providers.take("198.51.100.1".parse().unwrap(), at(500_000));
        let later = |addr: &str| providers.wait_us(addr.parse().unwrap(), at(500_000));
        assert_eq!((later("255.255.255.1"), later("198.51.100.200"), later("::1")), (100_000, 100_000, 0));
    }

    #[test]
    fn a_small_share_of_a_small_burst_is_still_one() {
        let mut providers = Providers::default();
        providers.add(&[rate(&["198.51.100.0/24"], 1)], 5, at(0));
        assert_eq!(providers.wait_us("198.51.100.1".parse().unwrap(), at(0)), 20_000_000);
        providers.take("198.51.100.1".parse().unwrap(), at(20_000_000));
    }

    #[test]
    fn what_was_limited_stays_limited() {
        let mut providers = Providers::default();
        let (slow, fast) = (rate(&["198.51.100.0/24"], 1), rate(&["198.51.100.0/24"], 1_000));
        providers.add(std::slice::from_ref(&slow), 100, at(0));
        providers.add(&[], 100, at(0));
        providers.add(std::slice::from_ref(&fast), 100, at(0));
        providers.add(&[fast, slow], 100, at(900_000));
        assert_eq!(providers.buckets.len(), 2);
        assert_eq!(providers.wait_us("198.51.100.1".parse().unwrap(), at(900_000)), 100_000);
    }

    proptest! {
        /// Every address is under exactly the providers that have it in their networks.
        #[test]
        fn every_address_is_under_its_providers(
            networks in prop::collection::vec(prop::collection::vec((0u32..256, 24u8..=32), 0..4), 0..6),
        ) {
            let rates: Vec<ProviderRate> = networks
                .iter()
                .map(|prefixes| {
                    let prefix = |(host, len): &(u32, u8)| {
                        Prefix::containing(std::net::Ipv4Addr::from_bits(0xc633_6400 + host).into(), *len)
                    };
                    ProviderRate {
                        name: String::new(), addresses: prefixes.iter().map(prefix).collect(), pps: 1, burst: 1,
                    }
                })
                .collect();
            let providers = Providers { stretches: stretches(&rates), ..Providers::default() };
            for host in 0..258u32 {
                let addr = std::net::Ipv4Addr::from_bits(0xc633_63ff + host).into();
                let over: Vec<u32> =
                    (0..).zip(&rates).filter(|(_, rate)| rate.addresses.contains(addr)).map(|(n, _)| n).collect();
                prop_assert_eq!(providers.over(addr), &over);
            }
        }
    }
}
