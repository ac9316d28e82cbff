//! An address set made ready to be asked often.

use std::net::{IpAddr, Ipv4Addr};

use super::AddressSet;

/// An [`AddressSet`] with tables beside it, so that a look-up in a hundred thousand ranges costs a few
/// reads of memory that do not wait for each other: what a sweep asks for every target.
///
/// Tables are for IPv4, 512 KiB and 4 bytes a range for membership, up to 16 bytes a range for
/// numbers; IPv6 is asked of the set itself.
///
/// ```
/// use kenshin_mandate::{AddressSet, CompiledSet};
/// use kenshin_observation::Prefix;
/// let set = AddressSet::from("198.51.100.0/24".parse::<Prefix>().unwrap());
/// let compiled = CompiledSet::new(set.clone());
/// assert_eq!(compiled.nth(255), set.nth(255));
/// assert!(!compiled.contains("198.51.101.0".parse().unwrap()));
/// ```
#[derive(Debug, Clone)]
pub struct CompiledSet {
    set: AddressSet,
    v4_count: u64,
    /// Two bits for each 4,096 addresses: all outside, all inside, or some of them. Stays in the
    /// second-level cache, and answers all but those at the edges of ranges.
    blocks: Vec<u64>,
    /// Lower halves of the addresses at which a range begins and of those after its end, ascending:
    /// whoever has an odd number of them at or below is inside.
    bounds: Vec<u16>,
    /// First bound of the addresses whose upper half is the place, and one more.
    by_upper_half: Vec<u32>,
    v4: Vec<Range>,
    /// Range of the address with number `place << shift`, and one more.
    by_number: Vec<u32>,
    shift: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Range {
    first: u32,
    /// Addresses of the ranges before.
    before: u32,
}

const UPPER_HALVES: u64 = 1 << 16;

const BLOCK_BITS: u32 = 12;
const PER_WORD: u32 = u64::BITS / 2;
const OUTSIDE: u64 = 0;
const INSIDE: u64 = 1;
const SOME: u64 = 2;

/// So many ranges are compared at once and without a branch: guessing how far to look would make
/// every read of memory wait for the one before.
const WINDOW: usize = 4;

impl CompiledSet {
    /// Builds the tables: about 3 ms, and 20 ns a range.
    pub fn new(set: AddressSet) -> Self {
        let v4_count = set.count_v4();
        let (mut v4, mut bounds, mut before) = (Vec::new(), Vec::new(), 0);
        for (first, last) in set.ranges() {
            let (IpAddr::V4(first), IpAddr::V4(last)) = (first, last) else { break };
            let (first, last) = (first.to_bits(), last.to_bits());
            v4.push(Range { first, before });
            // Wraps after the last range of all addresses only.
            before = before.wrapping_add(last - first).wrapping_add(1);
            bounds.extend([u64::from(first), u64::from(last) + 1]);
        }
        let place = |at: usize| u32::try_from(at).expect("IPv4 has at most 2^31 ranges");
        let by_upper_half = (0..=UPPER_HALVES)
            .map(|upper| place(bounds.partition_point(|bound| *bound < upper << 16)))
            .collect();
        // One or two places for each range.
        let places = (v4.len() as u64).next_power_of_two();
        let shift = v4_count.div_ceil(places).next_power_of_two().ilog2();
        let by_number = (0..=(v4_count >> shift) + 1)
            .map(|number| {
                let number = number << shift;
                place(v4.partition_point(|range| u64::from(range.before) <= number).saturating_sub(1))
            })
            .collect();
        let blocks = blocks(&bounds);
        let bounds = bounds.into_iter().map(|bound| bound as u16).collect();
        // Whole windows can be read everywhere.
        v4.resize(v4.len() + WINDOW, Range::default());
        Self { set, v4_count, blocks, bounds, by_upper_half, v4, by_number, shift }
    }

    /// The set.
    pub fn set(&self) -> &AddressSet {
        &self.set
    }

    /// The address with number `index`: [`AddressSet::nth`].
    #[inline]
    pub fn nth(&self, index: u64) -> Option<IpAddr> {
        if index >= self.v4_count {
            return self.set.nth(index.into());
        }
        let place = (index >> self.shift) as usize;
        let (from, to) = (self.by_number[place] as usize, self.by_number[place + 1] as usize);
        let index = u32::try_from(index).expect("a number of IPv4");
        // The range begins at or before the number; few ranges share a place.
        let range = self.v4[from + begun(&self.v4, from + 1, to.max(from) + 1, index)];
        Some(IpAddr::V4(Ipv4Addr::from_bits(range.first + (index - range.before))))
    }

    /// True when `addr` is in the set: [`AddressSet::contains`].
    #[inline]
    pub fn contains(&self, addr: IpAddr) -> bool {
        let IpAddr::V4(v4) = addr else { return self.set.contains(addr) };
        let bits = v4.to_bits();
        let block = bits >> BLOCK_BITS;
        match self.blocks[(block / PER_WORD) as usize] >> (block % PER_WORD * 2) & 3 {
            OUTSIDE => return false,
            INSIDE => return true,
            _ => {}
        }
        let (upper, lower) = ((bits >> 16) as usize, bits as u16);
        let (from, to) = (self.by_upper_half[upper] as usize, self.by_upper_half[upper + 1] as usize);
        (from + self.bounds[from..to].partition_point(|bound| *bound <= lower)) % 2 == 1
    }
}

/// What is known of each block, by the ascending bounds of all ranges.
fn blocks(bounds: &[u64]) -> Vec<u64> {
    let mut words = vec![0; 1 << (32 - BLOCK_BITS - PER_WORD.ilog2())];
    let (mut passed, blocks) = (0, 1u64 << (32 - BLOCK_BITS));
    for block in 0..blocks {
        let (first, end) = (block << BLOCK_BITS, (block + 1) << BLOCK_BITS);
        while bounds.get(passed).is_some_and(|bound| *bound <= first) {
            passed += 1;
        }
        let some = bounds.get(passed).is_some_and(|bound| *bound < end);
        let known = if some {
            SOME
        } else if passed % 2 == 1 {
            INSIDE
        } else {
            OUTSIDE
        };
        let (word, place) = (block / u64::from(PER_WORD), block % u64::from(PER_WORD));
        words[word as usize] |= known << (place * 2);
    }
    words
}

/// How many of `ranges[from..to]` begin at or before a number. A [`WINDOW`] beyond can be read.
#[inline]
fn begun(ranges: &[Range], from: usize, to: usize, number: u32) -> usize {
    let len = to - from;
    if len > WINDOW {
        return ranges[from..to].partition_point(|range| range.before <= number);
    }
    let window = ranges[from..from + WINDOW].iter().enumerate();
    window.map(|(at, range)| usize::from((range.before <= number) & (at < len))).sum()
}

#[cfg(test)]
mod tests {
    use kenshin_observation::Prefix;
    use proptest::prelude::*;

    use super::*;

    fn same(set: &AddressSet, asked: impl Iterator<Item = IpAddr>) {
        let compiled = CompiledSet::new(set.clone());
        let count = u64::try_from(set.count()).unwrap();
        for index in (0..count.min(3000)).chain(count.saturating_sub(3)..count + 2) {
            assert_eq!(compiled.nth(index), set.nth(index.into()), "{index} of {set:?}");
        }
        for addr in asked {
            assert_eq!(compiled.contains(addr), set.contains(addr), "{addr} in {set:?}");
        }
    }

    fn v4(bits: u32) -> IpAddr {
        Ipv4Addr::from_bits(bits).into()
    }

    #[test]
    fn the_edges_of_the_address_space() {
        let edges =
            || [0, 1, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, u32::MAX - 1, u32::MAX].map(v4).into_iter();
        for text in [
            &["0.0.0.0/0"][..],
            &["0.0.0.0/32", "255.255.255.255/32"],
            &["128.0.0.0/1", "2001:db8::/120"],
            &[],
        ] {
            let set: AddressSet = text.iter().map(|p| p.parse::<Prefix>().unwrap()).collect();
            same(&set, edges().chain(["2001:db8::7".parse().unwrap(), "2001:db9::".parse().unwrap()]));
        }
    }

    /// One large range beside a hundred thousand small ones, as an exclusion list leaves them.
    #[test]
    fn many_small_ranges_beside_a_large_one() {
        let small = (0..100_000u32).map(|n| Prefix::containing(v4(0x0a00_0000 + n * 7), 32));
        let set: AddressSet = small.chain(["64.0.0.0/2".parse().unwrap()]).collect();
        same(&set, (0..5000).map(|n| v4(0x0a00_0000 + n)).chain((0..5000).map(|n| v4(n * 858_993))));
    }

    proptest! {
        #[test]
        fn compiled_or_not_is_the_same(
            ranges in proptest::collection::vec((0u32..1 << 20, 0u32..3000), 0..60), asked: [u32; 32],
        ) {
            let set: AddressSet = ranges
                .iter()
                .filter_map(|(first, size)| AddressSet::between(v4(first << 4), v4((first << 4) + size)))
                .fold(AddressSet::new(), |all, one| all.union(&one));
            let near = ranges.iter().flat_map(|(first, size)| {
                let first = first << 4;
                [first.wrapping_sub(1), first, first + size, first + size + 1]
            });
            same(&set, near.chain(asked.map(|bits| bits % (1 << 24))).map(v4));
        }
    }
}
