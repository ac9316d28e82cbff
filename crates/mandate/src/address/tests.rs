//! Arithmetic against a model: sets of small numbers, and the same numbers moved to the ends of
//! both address spaces.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// Where the numbers 0..512 of the model lie in the address spaces.
#[derive(Debug, Clone, Copy)]
enum Frame {
    LowV4,
    HighV4,
    LowV6,
    HighV6,
}

impl Frame {
    fn addr(self, number: u16) -> IpAddr {
        let number = u32::from(number);
        match self {
            Self::LowV4 => Ipv4Addr::from_bits(number).into(),
            Self::HighV4 => Ipv4Addr::from_bits(u32::MAX - 511 + number).into(),
            Self::LowV6 => Ipv6Addr::from_bits(number.into()).into(),
            Self::HighV6 => Ipv6Addr::from_bits(u128::MAX - 511 + u128::from(number)).into(),
        }
    }

    fn set(self, ranges: &[(u16, u16)]) -> AddressSet {
        ranges.iter().fold(AddressSet::new(), |set, (first, last)| {
            set.union(&AddressSet::between(self.addr(*first), self.addr(*last)).unwrap())
        })
    }
}

fn frames() -> impl Strategy<Value = Frame> {
    prop_oneof![Just(Frame::LowV4), Just(Frame::HighV4), Just(Frame::LowV6), Just(Frame::HighV6)]
}

fn ranges() -> impl Strategy<Value = Vec<(u16, u16)>> {
    proptest::collection::vec((0u16..512, 0u16..512).prop_map(|(a, b)| (a.min(b), a.max(b))), 0..6)
}

fn model(ranges: &[(u16, u16)]) -> BTreeSet<u16> {
    ranges.iter().flat_map(|(first, last)| *first..=*last).collect()
}

proptest! {
    #[test]
    fn arithmetic_is_that_of_sets(frame in frames(), a in ranges(), b in ranges()) {
        let (set_a, set_b, model_a, model_b) = (frame.set(&a), frame.set(&b), model(&a), model(&b));
        let numbers = |set: &AddressSet| (0..512).filter(|n| set.contains(frame.addr(*n))).collect::<BTreeSet<u16>>();
        prop_assert_eq!(numbers(&set_a.union(&set_b)), &model_a | &model_b);
        prop_assert_eq!(numbers(&set_a.minus(&set_b)), &model_a - &model_b);
        prop_assert_eq!(numbers(&set_a.intersect(&set_b)), &model_a & &model_b);
        prop_assert_eq!(set_a.overlaps(&set_b), !model_a.is_disjoint(&model_b));
        prop_assert_eq!([&set_a, &set_b].into_iter().collect::<AddressSet>(), set_a.union(&set_b));
        prop_assert_eq!(set_a.contains_all(&set_b), model_b.is_subset(&model_a));
        prop_assert_eq!(set_a.count(), model_a.len() as u128);
        prop_assert_eq!(set_a.is_empty(), model_a.is_empty());
        // Equal sets are equal values: a − (a − b) = a ∩ b.
        prop_assert_eq!(set_a.minus(&set_a.minus(&set_b)), set_a.intersect(&set_b));
        prop_assert_eq!(set_a.minus(&set_b).union(&set_a.intersect(&set_b)), set_a);
    }

    #[test]
    fn numbers_and_addresses_are_a_bijection(frame in frames(), a in ranges(), b in ranges()) {
        let set = frame.set(&a).union(&Frame::LowV4.set(&b));
        let all: Vec<IpAddr> = set.iter().collect();
        prop_assert_eq!(all.len() as u128, set.count());
        prop_assert!(all.is_sorted());
        for (n, addr) in all.iter().enumerate() {
            prop_assert_eq!(set.nth(n as u128), Some(*addr));
            prop_assert_eq!(set.index_of(*addr), Some(n as u128));
        }
        prop_assert_eq!(set.nth(set.count()), None);
        prop_assert_eq!(set.nth(u128::MAX), None);
    }

    #[test]
    fn prefixes_cover_exactly_and_are_as_few_as_possible(frame in frames(), a in ranges()) {
        let set = frame.set(&a);
        let prefixes: Vec<Prefix> = set.prefixes().collect();
        prop_assert_eq!(&prefixes.iter().copied().collect::<AddressSet>(), &set);
        // No address twice, and no two neighbours that could be one prefix.
        let sizes: u128 = prefixes.iter().map(|p| AddressSet::from(*p).count()).sum();
        prop_assert_eq!(sizes, set.count());
        for pair in prefixes.windows(2) {
            let parent = Prefix::containing(pair[0].base(), pair[0].len().saturating_sub(1));
            let siblings = pair[0].len() == pair[1].len() && parent.contains(pair[1].base());
            prop_assert!(!siblings, "{pair:?}");
        }
    }

    #[test]
    fn any_prefixes_of_any_size(bits in proptest::collection::vec((any::<u128>(), 0u8..=128), 1..20), probe: u128) {
        let prefixes: Vec<Prefix> =
            bits.iter().map(|(bits, len)| Prefix::containing(addr_v6(*bits), *len)).collect();
        let set: AddressSet = prefixes.iter().copied().collect();
        prop_assert_eq!(set.contains(addr_v6(probe)), prefixes.iter().any(|p| p.contains(addr_v6(probe))));
        for addr in prefixes.iter().flat_map(|p| [p.base(), p.last()]) {
            let index = set.index_of(addr).unwrap();
            prop_assert_eq!(set.nth(index), Some(addr));
        }
    }
}

#[test]
fn the_whole_of_both_families() {
    let all: AddressSet = ["0.0.0.0/0", "::/0"].into_iter().map(|p| p.parse::<Prefix>().unwrap()).collect();
    assert_eq!(all.count_v4(), 1 << 32);
    assert_eq!(all.count(), u128::MAX, "2^32 + 2^128 saturates");
    assert_eq!(all.prefixes().map(|p| p.to_string()).collect::<Vec<_>>(), ["0.0.0.0/0", "::/0"]);
    assert_eq!(all.nth(u128::from(u32::MAX)), Some("255.255.255.255".parse().unwrap()));
    assert_eq!(all.nth(1 << 32), Some("::".parse().unwrap()));
    let last = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".parse().unwrap();
    assert_eq!(all.index_of(last), None, "its number has 129 bits");
    let but_one = all.minus(&AddressSet::from(Prefix::host("::".parse().unwrap())));
    assert_eq!(but_one.count_v6(), u128::MAX);
    assert!(!but_one.contains("::".parse().unwrap()) && but_one.contains(last));
    assert_eq!(but_one.prefixes().count(), 1 + 128);
    assert!(all.minus(&all).is_empty());
}

#[test]
fn families_never_mix() {
    let mapped = AddressSet::from("::ffff:0:0/96".parse::<Prefix>().unwrap());
    assert!(!mapped.contains("192.0.2.1".parse().unwrap()));
    assert!(mapped.contains("::ffff:192.0.2.1".parse().unwrap()));
    assert_eq!(AddressSet::between("1.2.3.4".parse().unwrap(), "::5".parse().unwrap()), None);
    assert_eq!(AddressSet::between("1.2.3.5".parse().unwrap(), "1.2.3.4".parse().unwrap()), None);
}

#[test]
fn a_million_ranges() {
    let every_other =
        |offset: u32| (0..1_000_000u32).map(move |n| IpAddr::from(Ipv4Addr::from_bits(4 * n + offset)));
    let set: AddressSet = every_other(0).collect();
    assert_eq!(set.ranges().count(), 1_000_000);
    assert_eq!(set.nth(999_999), Some(Ipv4Addr::from_bits(3_999_996).into()));
    assert_eq!(set.index_of(Ipv4Addr::from_bits(2_000_000).into()), Some(500_000));
    let joined = set
        .union(&every_other(1).collect())
        .union(&every_other(2).collect())
        .union(&every_other(3).collect());
    assert_eq!(joined.ranges().count(), 1);
    assert_eq!(joined.minus(&set).count(), 3_000_000);
}
