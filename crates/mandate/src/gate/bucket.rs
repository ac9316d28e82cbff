//! Token buckets in exact integer arithmetic.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::net::{IpAddr, Ipv6Addr};

use kenshin_observation::{Prefix, TimeUs};

use crate::mandate::PrefixRate;

/// A rate and a burst, scaled so that a percentage of them is a whole number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    /// Units that flow in with every µs.
    units_per_us: u64,
    /// Units of one token.
    token: u64,
    /// Units that fit in.
    capacity: u64,
}

impl Limit {
    /// `share` percent of `pps` a second with a burst of as many percent of `burst`.
    pub(super) fn per_second(pps: u32, burst: u32, share: u8) -> Self {
        Self::new(pps, burst, share, 1_000_000)
    }

    /// The same a minute.
    pub(super) fn per_minute(per_minute: u32, burst: u32, share: u8) -> Self {
        Self::new(per_minute, burst, share, 60_000_000)
    }

    /// Rates and bursts are at most 10^9 (checked when the mandate is read), shares 100: the
    /// largest product is 6 × 10^18, below 2^63.
    fn new(rate: u32, burst: u32, share: u8, period_us: u64) -> Self {
        let share = u64::from(share);
        Self {
            units_per_us: u64::from(rate) * share,
            token: 100 * period_us,
            capacity: u64::from(burst) * share * period_us,
        }
    }

    /// With room for a token, however small the share.
    pub(super) fn of_one_at_least(self) -> Self {
        Self { capacity: self.capacity.max(self.token), ..self }
    }

    /// µs until an empty bucket is full.
    fn fill_us(self) -> i64 {
        i64::try_from(self.capacity.div_ceil(self.units_per_us)).unwrap_or(i64::MAX)
    }
}

/// How full a bucket was at an instant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    at: TimeUs,
    level: u64,
}

impl Bucket {
    pub(super) fn empty(at: TimeUs) -> Self {
        Self { at, level: 0 }
    }

    pub(super) fn full(limit: Limit, at: TimeUs) -> Self {
        Self { at, level: limit.capacity }
    }

    fn level(self, limit: Limit, now: TimeUs) -> u64 {
        let elapsed = u64::try_from(now.micros_since(self.at)).unwrap_or(0);
        elapsed.saturating_mul(limit.units_per_us).saturating_add(self.level).min(limit.capacity)
    }

    /// µs until a token is there; 0 when one is.
    pub(super) fn wait_us(self, limit: Limit, now: TimeUs) -> i64 {
        let missing = limit.token.saturating_sub(self.level(limit, now));
        i64::try_from(missing.div_ceil(limit.units_per_us)).unwrap_or(i64::MAX)
    }

    /// Takes a token that [`Bucket::wait_us`] found.
    pub(super) fn take(&mut self, limit: Limit, now: TimeUs) {
        let level = self.level(limit, now);
        *self =
            Self { at: self.at.max(now), level: level.checked_sub(limit.token).expect("a token is there") };
    }
}

/// A bucket for each key, in bounded memory.
///
/// A bucket that was left alone for as long as it takes to fill is full, which is what an absent
/// bucket is taken for. So buckets live in two generations: those touched since the last turn and
/// those touched between the last two; turns are a filling time apart or more, and at each the
/// older generation is forgotten whole. When a generation is full, new keys wait for the turn.
#[derive(Debug)]
pub(super) struct KeyedBuckets {
    limit: Limit,
    /// What an absent bucket is.
    origin: Bucket,
    young: Generation,
    old: Generation,
    turned: TimeUs,
    /// Buckets a generation holds at most.
    most: usize,
}

type Generation = HashMap<u128, Bucket, BuildHasherDefault<KeyHasher>>;

impl KeyedBuckets {
    pub(super) fn new(limit: Limit, origin: Bucket, now: TimeUs, most: usize) -> Self {
        Self { limit, origin, young: Generation::default(), old: Generation::default(), turned: now, most }
    }

    /// The bucket of `key`, and µs until a token is there.
    pub(super) fn look(&mut self, key: u128, now: TimeUs) -> (Bucket, i64) {
        self.turn(now);
        if let Some(bucket) = self.young.get(&key) {
            return (*bucket, bucket.wait_us(self.limit, now));
        }
        let bucket = self.old.get(&key).copied().unwrap_or(self.origin);
        let wait_us = match self.young.len() < self.most {
            true => bucket.wait_us(self.limit, now),
            false => self.turned.plus_micros(self.limit.fill_us()).micros_since(now).max(1),
        };
        (bucket, wait_us)
    }

    /// Takes a token from the bucket of `key` that [`KeyedBuckets::look`] found.
    pub(super) fn take(&mut self, key: u128, mut bucket: Bucket, now: TimeUs) {
        bucket.take(self.limit, now);
        self.young.insert(key, bucket);
    }

    fn turn(&mut self, now: TimeUs) {
        if now.micros_since(self.turned) >= self.limit.fill_us() {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
            self.turned = now;
        }
    }
}

/// The key of an address's bucket.
pub(super) fn address_key(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The key of the bucket of an address's prefix. Apart from equal prefixes no two share a key,
/// because IPv4-mapped addresses are in no scope.
pub(super) fn prefix_key(addr: IpAddr, rate: PrefixRate) -> u128 {
    let len = if addr.is_ipv4() { rate.v4_len } else { rate.v6_len };
    match Prefix::containing(addr, len).base() {
        // Short IPv6 prefixes could end in the mapped block's zeros, so IPv4 goes elsewhere:
        // ff00::/8 is multicast, which is in no scope either.
        IpAddr::V4(v4) => Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0).to_bits() | u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// Mixes an address; keys come from the mandate's own scope, so nobody can choose colliding ones.
#[derive(Debug, Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u128(u128::from(*byte));
        }
    }

    fn write_u128(&mut self, key: u128) {
        let folded = (key as u64) ^ ((key >> 64) as u64).rotate_left(32) ^ self.0;
        let product = u128::from(folded ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93;
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(micros: i64) -> TimeUs {
        TimeUs::from_micros(1_800_000_000_000_000 + micros)
    }

    #[test]
    fn the_largest_limit_does_not_overflow() {
        let limit = Limit::per_minute(1_000_000_000, 1_000_000_000, 100);
        assert_eq!(limit.fill_us(), 60_000_000);
        assert_eq!(Bucket::empty(at(0)).wait_us(limit, TimeUs::from_micros(i64::MAX)), 0);
        assert_eq!(Bucket::full(limit, at(0)).wait_us(limit, TimeUs::from_micros(i64::MIN)), 0);
    }

    #[test]
    fn memory_is_bounded_and_full_buckets_are_forgotten() {
        let limit = Limit::per_second(1, 2, 100);
        let mut buckets = KeyedBuckets::new(limit, Bucket::full(limit, at(0)), at(0), 3);
        for key in 0..3 {
            assert_eq!(buckets.look(key, at(0)).1, 0);
            let (bucket, _) = buckets.look(key, at(0));
            buckets.take(key, bucket, at(0));
        }
        // A fourth key waits for the turn, two seconds after the start; a known key does not.
        assert_eq!(buckets.look(9, at(500_000)).1, 1_500_000);
        assert_eq!(buckets.look(0, at(500_000)).1, 0);
        assert_eq!(buckets.look(9, at(2_000_000)).1, 0);
        let (bucket, _) = buckets.look(9, at(2_000_000));
        buckets.take(9, bucket, at(2_000_000));
        assert_eq!((buckets.young.len(), buckets.old.len()), (1, 3));
        assert_eq!(buckets.look(9, at(4_000_000)).1, 0);
        assert_eq!((buckets.young.len(), buckets.old.len()), (0, 1));
    }

    proptest! {
        /// Whatever is forgotten, keyed buckets behave as buckets that are kept forever.
        #[test]
        fn forgetting_changes_nothing(
            steps in proptest::collection::vec((0u128..4, 0i64..3_000_000), 1..200), pps in 1u32..5, burst in 1u32..5,
        ) {
            let limit = Limit::per_second(pps, burst, 70);
            prop_assume!(limit.capacity >= limit.token);
            let mut keyed = KeyedBuckets::new(limit, Bucket::full(limit, at(0)), at(0), usize::MAX);
            let mut kept: HashMap<u128, Bucket> = HashMap::new();
            let mut now = at(0);
            for (key, step) in steps {
                now = now.plus_micros(step);
                let model = kept.entry(key).or_insert(Bucket::full(limit, at(0)));
                prop_assert_eq!(keyed.look(key, now).1, model.wait_us(limit, now));
                if model.wait_us(limit, now) == 0 {
                    model.take(limit, now);
                    let (bucket, _) = keyed.look(key, now);
                    keyed.take(key, bucket, now);
                }
            }
        }

        /// A wait is exact: a token is there at its end and not 1 µs before.
        #[test]
        fn waits_are_exact(rate in 1u32..2_000_000, burst in 1u32..50, share in 1u8..=100, pause in 0i64..100_000) {
            let limit = Limit::per_second(rate, burst, share);
            prop_assume!(limit.capacity >= limit.token);
            let bucket = Bucket::empty(at(0));
            let now = at(pause);
            let wait = bucket.wait_us(limit, now);
            prop_assert_eq!(bucket.wait_us(limit, now.plus_micros(wait)), 0);
            if wait > 0 {
                prop_assert!(bucket.wait_us(limit, now.plus_micros(wait - 1)) > 0);
            }
        }
    }
}
