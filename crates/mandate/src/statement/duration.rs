//! How long a sweep takes at the rates of a mandate.

use std::net::IpAddr;

use crate::AddressSet;
use crate::mandate::Mandate;

/// Seconds of a week.
const WEEK_S: u64 = 7 * 86_400;

/// Seconds of sending that a sweep over all targets and ports takes: the slowest of what the
/// whole rate, the fullest prefix and a single address allow.
pub(super) fn estimate(mandate: &Mandate, targets: &AddressSet) -> u64 {
    let rate = mandate.rate;
    let ports = u128::from(mandate.ports.count());
    let all_shares: u128 = mandate.sensors.iter().map(|sensor| u128::from(sensor.share_percent)).sum();
    let smallest_share =
        mandate.sensors.iter().map(|sensor| u128::from(sensor.share_percent)).min().unwrap_or(100);
    let seconds = |probes: u128, burst: u32, rate: u32, period_s: u128, share: u128| {
        let waiting = probes.saturating_sub(u128::from(burst) * share / 100);
        (waiting * period_s * 100).div_ceil(u128::from(rate) * share)
    };
    let fullest = fullest_prefix(targets, rate.per_prefix.v4_len, rate.per_prefix.v6_len);
    let longest = [
        seconds(targets.count() * ports, rate.whole_burst, rate.whole_pps, 1, all_shares),
        seconds(fullest * ports, rate.per_prefix.burst, rate.per_prefix.pps, 1, all_shares),
        // One sensor asks an address, so its share alone counts.
        seconds(ports, rate.per_address.burst, rate.per_address.per_minute, 60, smallest_share),
    ];
    u64::try_from(longest.into_iter().max().expect("three spans")).unwrap_or(u64::MAX)
}

/// Seconds on the calendar that `sending` seconds take, hours at which nothing is sent included.
pub(super) fn calendar(mandate: &Mandate, sending: u64) -> u64 {
    let open = u64::try_from(mandate.windows.seconds_per_week()).expect("not negative").max(1);
    u64::try_from(u128::from(sending) * u128::from(WEEK_S) / u128::from(open)).unwrap_or(u64::MAX)
}

/// A span in the largest unit of which there are at least two.
pub(super) fn rounded(seconds: u64) -> (&'static str, u64) {
    for (unit, size) in [("days", 86_400), ("hours", 3600), ("minutes", 60)] {
        if seconds >= 2 * size {
            return (unit, seconds.div_ceil(size));
        }
    }
    ("seconds", seconds)
}

/// The most targets that any one prefix of the stated lengths holds.
fn fullest_prefix(targets: &AddressSet, v4_len: u8, v6_len: u8) -> u128 {
    // The prefix that the last range ended in, and how many targets it holds so far.
    let (mut open, mut held, mut most) = (None, 0u128, 0u128);
    for (first, last) in targets.ranges() {
        let (first_bits, last_bits, host_bits) = match (first, last) {
            (IpAddr::V4(f), IpAddr::V4(l)) => (f.to_bits().into(), l.to_bits().into(), 32 - v4_len),
            (IpAddr::V6(f), IpAddr::V6(l)) => (f.to_bits(), l.to_bits(), 128 - v6_len),
            _ => unreachable!("a range is of one family"),
        };
        let block = |bits: u128| (first.is_ipv4(), bits.checked_shr(host_bits.into()).unwrap_or(0));
        let (from, to) = (block(first_bits), block(last_bits));
        let size = 1u128.checked_shl(host_bits.into()).unwrap_or(u128::MAX);
        if open != Some(from) {
            held = 0;
        }
        if from == to {
            held += last_bits - first_bits + 1;
            most = most.max(held);
        } else {
            let head = size - first_bits % size;
            let middle = if to.1 - from.1 > 1 { size } else { 0 };
            most = most.max(held + head).max(middle);
            held = last_bits % size + 1;
            most = most.max(held);
        }
        open = Some(to);
    }
    most
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spans_are_told_in_a_fitting_unit() {
        assert_eq!(rounded(119), ("seconds", 119));
        assert_eq!(rounded(120), ("minutes", 2));
        assert_eq!(rounded(7201), ("hours", 3));
        assert_eq!(rounded(10 * 86_400), ("days", 10));
    }

    proptest! {
        #[test]
        fn the_fullest_prefix_is_what_counting_finds(
            ranges in proptest::collection::vec((0u32..2000, 0u32..300), 1..6), len in 24u8..=32,
        ) {
            let set = ranges.iter().fold(AddressSet::new(), |set, (first, more)| {
                let addr = |bits: u32| IpAddr::from(std::net::Ipv4Addr::from_bits(bits));
                set.union(&AddressSet::between(addr(*first), addr(first + more)).unwrap())
            });
            let mut counts = std::collections::BTreeMap::new();
            for addr in set.iter() {
                *counts.entry(kenshin_observation::Prefix::containing(addr, len)).or_insert(0u128) += 1;
            }
            prop_assert_eq!(fullest_prefix(&set, len, 48), *counts.values().max().unwrap());
        }
    }
}
