//! Which autonomous system announces an address, and in which country and part of it it is used.
//!
//! An [`AddressTable`] is disjoint ranges in order, with the entries they share written once: eight
//! bytes a range of IPv4 and twenty of IPv6. A look-up is one binary search.

pub(super) mod file;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where no entry applies.
const NONE: u32 = u32::MAX;

/// What a range of addresses has in common.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    /// Number of the autonomous system that announces it.
    pub asn: Option<u32>,
    /// What that system calls itself.
    pub name: Option<String>,
    /// Country of use, two capital letters (ISO 3166-1).
    pub country: Option<String>,
    /// Part of that country, such as a prefecture (ISO 3166-2, `JP-13`).
    pub region: Option<String>,
}

impl Entry {
    /// True when it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Ranges of addresses with what is known of each. Where ranges of its source lie inside each other
/// the inner one counts; of equal ones the last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressTable {
    entries: Vec<Entry>,
    v4: Ranges<u32>,
    v6: Ranges<u128>,
}

/// From each start to before the next one an entry applies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Ranges<A> {
    starts: Vec<A>,
    /// Positions of entries, or [`NONE`].
    entries: Vec<u32>,
}

/// Collects ranges in any order; an [`AddressTable`] comes of them.
#[derive(Debug, Default)]
pub struct AddressTableBuilder {
    entries: Interned,
    v4: Vec<Span<u32>>,
    v6: Vec<Span<u128>>,
}

#[derive(Debug, Clone, Copy)]
struct Span<A> {
    from: A,
    to: A,
    entry: u32,
}

/// Entries, each once.
#[derive(Debug, Default)]
struct Interned {
    entries: Vec<Entry>,
    places: HashMap<Entry, u32>,
}

impl Interned {
    fn place(&mut self, entry: &Entry) -> u32 {
        if entry.is_empty() {
            return NONE;
        }
        if let Some(place) = self.places.get(entry) {
            return *place;
        }
        let place = u32::try_from(self.entries.len()).expect("far fewer entries than addresses");
        self.entries.push(entry.clone());
        self.places.insert(entry.clone(), place);
        place
    }
}

impl AddressTableBuilder {
    /// Adds the addresses from `from` to `to`, both included. False, and nothing is added, when they
    /// are of two families or the wrong way round.
    pub fn add(&mut self, from: IpAddr, to: IpAddr, entry: &Entry) -> bool {
        match (from.to_canonical(), to.to_canonical()) {
            (IpAddr::V4(from), IpAddr::V4(to)) if from <= to => {
                let entry = self.entries.place(entry);
                self.v4.push(Span { from: from.to_bits(), to: to.to_bits(), entry });
                true
            }
            (IpAddr::V6(from), IpAddr::V6(to)) if from <= to => {
                let entry = self.entries.place(entry);
                self.v6.push(Span { from: from.to_bits(), to: to.to_bits(), entry });
                true
            }
            _ => false,
        }
    }

    /// How many ranges were added.
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// True when none was.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The table.
    pub fn finish(self) -> AddressTable {
        let step4 = |at: u32| at.checked_add(1);
        let step6 = |at: u128| at.checked_add(1);
        AddressTable {
            v4: Ranges::cover(self.v4, step4),
            v6: Ranges::cover(self.v6, step6),
            entries: self.entries.entries,
        }
        .tidy()
    }
}

impl<A: Copy + Ord> Ranges<A> {
    /// Disjoint ranges from overlapping ones. `after` is the next address, if there is one.
    fn cover(mut spans: Vec<Span<A>>, after: impl Fn(A) -> Option<A>) -> Self {
        // The sort is stable: of equal ranges the last added is the innermost.
        spans.sort_by(|a, b| a.from.cmp(&b.from).then(b.to.cmp(&a.to)));
        let mut ranges = Self { starts: Vec::new(), entries: Vec::new() };
        let mut open: Vec<Span<A>> = Vec::new();
        for span in spans {
            ranges.close(&mut open, Some(span.from), &after);
            ranges.push(span.from, span.entry);
            open.push(span);
        }
        ranges.close(&mut open, None, &after);
        ranges.starts.shrink_to_fit();
        ranges.entries.shrink_to_fit();
        ranges
    }

    /// Ends the open ranges that end before `before`: behind each, the one around it goes on.
    fn close(&mut self, open: &mut Vec<Span<A>>, before: Option<A>, after: &impl Fn(A) -> Option<A>) {
        while let Some(ended) = open.last().copied().filter(|top| before.is_none_or(|before| top.to < before))
        {
            while open.last().is_some_and(|around| around.to <= ended.to) {
                open.pop();
            }
            if let Some(next) = after(ended.to) {
                self.push(next, open.last().map_or(NONE, |around| around.entry));
            }
        }
    }

    fn push(&mut self, start: A, entry: u32) {
        if self.starts.last() == Some(&start) {
            self.starts.pop();
            self.entries.pop();
        }
        if self.entries.last().copied().unwrap_or(NONE) != entry {
            self.starts.push(start);
            self.entries.push(entry);
        }
    }

    fn at(&self, addr: A) -> u32 {
        let behind = self.starts.partition_point(|start| *start <= addr);
        behind.checked_sub(1).map_or(NONE, |at| self.entries[at])
    }

    /// First and last address and entry of each range, those without an entry left out. `before` is
    /// the address before one that is not the lowest; `last` the highest there is.
    fn each(&self, before: impl Fn(A) -> A, last: A) -> impl Iterator<Item = (A, A, u32)> {
        self.starts.iter().zip(&self.entries).enumerate().filter(|(_, (_, entry))| **entry != NONE).map(
            move |(at, (start, entry))| {
                (*start, self.starts.get(at + 1).map_or(last, |next| before(*next)), *entry)
            },
        )
    }

    /// One after the other, ranges in which both tables have one entry each.
    fn join(&self, other: &Self, mut entry: impl FnMut(u32, u32) -> u32) -> Self {
        let mut joined = Self { starts: Vec::new(), entries: Vec::new() };
        let (mut i, mut j, mut left, mut right) = (0, 0, NONE, NONE);
        loop {
            let start = match (self.starts.get(i), other.starts.get(j)) {
                (None, None) => return joined,
                (Some(a), Some(b)) => *a.min(b),
                (Some(one), None) | (None, Some(one)) => *one,
            };
            if self.starts.get(i) == Some(&start) {
                left = self.entries[i];
                i += 1;
            }
            if other.starts.get(j) == Some(&start) {
                right = other.entries[j];
                j += 1;
            }
            joined.push(start, entry(left, right));
        }
    }
}

impl AddressTable {
    /// Collects ranges.
    pub fn builder() -> AddressTableBuilder {
        AddressTableBuilder::default()
    }

    /// What is known of an address. An IPv4 address inside IPv6 (`::ffff:0:0/96`) is the IPv4 one.
    pub fn lookup(&self, addr: IpAddr) -> Option<&Entry> {
        let place = match addr.to_canonical() {
            IpAddr::V4(addr) => self.v4.at(addr.to_bits()),
            IpAddr::V6(addr) => self.v6.at(addr.to_bits()),
        };
        self.entries.get(place as usize)
    }

    /// Number and name of the autonomous system that announces an address.
    pub fn asn(&self, addr: IpAddr) -> Option<(u32, Option<&str>)> {
        let entry = self.lookup(addr)?;
        Some((entry.asn?, entry.name.as_deref()))
    }

    /// Country in which an address is used, two capital letters.
    pub fn country(&self, addr: IpAddr) -> Option<&str> {
        self.lookup(addr)?.country.as_deref()
    }

    /// How many ranges have an entry.
    pub fn len(&self) -> usize {
        self.v4.entries.iter().chain(&self.v6.entries).filter(|entry| **entry != NONE).count()
    }

    /// True when nothing is known of any address.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Every range: its first and its last address, and what is known of it; IPv4 first, in order.
    pub fn ranges(&self) -> impl Iterator<Item = (IpAddr, IpAddr, &Entry)> {
        let v4 = self.v4.each(|next| next - 1, u32::MAX).map(|(from, to, entry)| {
            (IpAddr::V4(Ipv4Addr::from_bits(from)), IpAddr::V4(Ipv4Addr::from_bits(to)), entry)
        });
        let v6 = self.v6.each(|next| next - 1, u128::MAX).map(|(from, to, entry)| {
            (IpAddr::V6(Ipv6Addr::from_bits(from)), IpAddr::V6(Ipv6Addr::from_bits(to)), entry)
        });
        v4.chain(v6).map(|(from, to, entry)| (from, to, &self.entries[entry as usize]))
    }

    /// One table of two: what `other` does not say of an address, this one does. So a table of
    /// systems and a table of countries answer together.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        let mut entries = Interned::default();
        let mut both: HashMap<(u32, u32), u32> = HashMap::new();
        let mut entry = |left: u32, right: u32| {
            *both.entry((left, right)).or_insert_with(|| {
                let (left, right) = (self.entries.get(left as usize), other.entries.get(right as usize));
                let mut joined = right.or(left).cloned().unwrap_or_default();
                if let (Some(left), Some(_)) = (left, right) {
                    if joined.asn.is_none() {
                        (joined.asn, joined.name) = (left.asn, left.name.clone());
                    }
                    if joined.country.is_none() {
                        (joined.country, joined.region) = (left.country.clone(), left.region.clone());
                    }
                }
                entries.place(&joined)
            })
        };
        let (v4, v6) = (self.v4.join(&other.v4, &mut entry), self.v6.join(&other.v6, &mut entry));
        Self { v4, v6, entries: entries.entries }.tidy()
    }

    /// Entries in the order in which ranges first name them, those that none names left out: equal
    /// knowledge makes equal tables.
    fn tidy(mut self) -> Self {
        let mut places = vec![NONE; self.entries.len()];
        let mut entries = Vec::new();
        for entry in self.v4.entries.iter_mut().chain(&mut self.v6.entries).filter(|entry| **entry != NONE) {
            let place = &mut places[*entry as usize];
            if *place == NONE {
                *place = u32::try_from(entries.len()).expect("no more than there were");
                entries.push(std::mem::take(&mut self.entries[*entry as usize]));
            }
            *entry = *place;
        }
        entries.shrink_to_fit();
        self.entries = entries;
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn v4(bits: u32) -> IpAddr {
        Ipv4Addr::from_bits(bits).into()
    }

    fn system(asn: u32) -> Entry {
        Entry { asn: Some(asn), ..Entry::default() }
    }

    fn table(ranges: &[(u32, u32, u32)]) -> AddressTable {
        let mut builder = AddressTable::builder();
        for (from, to, asn) in ranges {
            assert!(builder.add(v4(*from), v4(*to), &system(*asn)));
        }
        builder.finish()
    }

    #[test]
    fn ends_of_the_address_space() {
        let top = table(&[(0, 0, 1), (u32::MAX - 1, u32::MAX, 2)]);
        assert_eq!([0, 1, u32::MAX].map(|at| top.asn(v4(at)).map(|(asn, _)| asn)), [Some(1), None, Some(2)]);
        let mut builder = AddressTable::builder();
        let last = IpAddr::V6(Ipv6Addr::from_bits(u128::MAX));
        assert!(builder.add(last, last, &system(3)));
        assert!(!builder.add(v4(5), v4(4), &system(3)), "the wrong way round");
        assert!(!builder.add(v4(5), last, &system(3)), "two families");
        let table = builder.finish();
        assert_eq!(table.ranges().count(), 1);
        assert_eq!(table.asn(last), Some((3, None)));
        assert_eq!(table.lookup("::".parse().unwrap()), None);
    }

    #[test]
    fn ipv4_inside_ipv6_is_ipv4() {
        let table = table(&[(0xc000_0200, 0xc000_02ff, 64_500)]);
        assert_eq!(table.asn("::ffff:192.0.2.7".parse().unwrap()), Some((64_500, None)));
        assert_eq!(table.asn("::192.0.2.7".parse().unwrap()), None);
    }

    #[test]
    fn systems_and_countries_answer_together() {
        let mut countries = AddressTable::builder();
        let japan = Entry { country: Some("JP".into()), ..Entry::default() };
        assert!(countries.add(v4(5), v4(15), &japan));
        let both = table(&[(0, 9, 7), (12, 20, 8)]).join(&countries.finish());
        let said: Vec<_> =
            both.ranges().map(|(from, to, entry)| (from, to, entry.asn, entry.country.as_deref())).collect();
        let expected = [
            (0, 4, Some(7), None),
            (5, 9, Some(7), Some("JP")),
            (10, 11, None, Some("JP")),
            (12, 15, Some(8), Some("JP")),
            (16, 20, Some(8), None),
        ];
        assert_eq!(said, expected.map(|(from, to, asn, country)| (v4(from), v4(to), asn, country)));
    }

    /// Ranges that lie apart or inside each other, as registries write them.
    fn nested() -> impl Strategy<Value = Vec<(u32, u32, u32)>> {
        prop::collection::vec((0u32..8, 0u32..16, 1u32..6), 0..20).prop_map(|blocks| {
            let ranges = blocks.into_iter().map(|(size, at, asn)| {
                let size = size.min(5);
                let from = ((at * 7) >> size << size) & 63;
                (from, from + (1 << size) - 1, asn)
            });
            ranges.collect()
        })
    }

    proptest! {
        #[test]
        fn the_innermost_range_answers(ranges in nested()) {
            let table = table(&ranges);
            for at in 0..130 {
                let around = ranges.iter().enumerate().filter(|(_, (from, to, _))| (*from..=*to).contains(&at));
                // The smallest, of equals the last.
                let expected = around.min_by_key(|(order, (from, to, _))| (to - from, usize::MAX - order)).map(|(_, range)| range.2);
                prop_assert_eq!(table.asn(v4(at)).map(|(asn, _)| asn), expected, "at {}", at);
            }
        }

        #[test]
        fn overlaps_of_any_kind_stay_ordered_and_inside(ranges in prop::collection::vec((0u32..100, 0u32..100, 1u32..4), 0..12)) {
            let ranges: Vec<_> = ranges.into_iter().map(|(a, b, asn)| (a.min(b), a.max(b), asn)).collect();
            let table = table(&ranges);
            let found: Vec<_> = table.ranges().collect();
            prop_assert!(found.windows(2).all(|pair| pair[0].1 < pair[1].0));
            for at in 0..110 {
                let around: Vec<u32> = ranges.iter().filter(|(from, to, _)| (*from..=*to).contains(&at)).map(|range| range.2).collect();
                match table.asn(v4(at)) {
                    Some((asn, _)) => prop_assert!(around.contains(&asn)),
                    None => prop_assert!(around.is_empty()),
                }
            }
        }

        #[test]
        fn its_ranges_make_it_again(ranges in nested()) {
            let table = table(&ranges);
            let mut builder = AddressTable::builder();
            let mut back: Vec<_> = table.ranges().collect();
            back.reverse();
            for (from, to, entry) in back {
                prop_assert!(builder.add(from, to, entry));
            }
            prop_assert_eq!(builder.finish(), table);
        }
    }
}
