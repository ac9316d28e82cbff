//! Exact arithmetic over sets of IPv4 and IPv6 addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use kenshin_observation::Prefix;

mod compiled;
mod ranges;

pub use compiled::CompiledSet;
use ranges::Ranges;

/// A set of addresses, kept as sorted, disjoint, never adjacent ranges for each family.
///
/// Equal sets are equal values, however they were put together. Addresses are numbered from 0:
/// IPv4 first, then IPv6, each in ascending order. IPv4-mapped IPv6 addresses count as IPv6.
///
/// ```
/// use kenshin_mandate::AddressSet;
/// use kenshin_observation::Prefix;
/// let prefix = |text: &str| text.parse::<Prefix>().unwrap();
/// let scope: AddressSet = ["198.51.100.0/24", "2001:db8::/126"].into_iter().map(prefix).collect();
/// let excluded = AddressSet::from(prefix("198.51.100.0/25"));
/// let allowed = scope.minus(&excluded);
/// assert_eq!(allowed.count(), 128 + 4);
/// assert_eq!(allowed.nth(0), Some("198.51.100.128".parse().unwrap()));
/// assert!(!allowed.contains("198.51.100.7".parse().unwrap()));
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct AddressSet {
    v4: Ranges,
    v6: Ranges,
}

impl AddressSet {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// All addresses from `first` to `last`, both included; `None` when the families differ or
    /// `first` is above `last`.
    pub fn between(first: IpAddr, last: IpAddr) -> Option<Self> {
        if first.is_ipv4() != last.is_ipv4() || first > last {
            return None;
        }
        let ranges = Ranges::from_unsorted(vec![(bits(first), bits(last))]);
        Some(if first.is_ipv4() {
            Self { v4: ranges, v6: Ranges::default() }
        } else {
            Self { v4: Ranges::default(), v6: ranges }
        })
    }

    /// True when no address is in the set.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// True when `addr` is in the set: two comparisons per doubling of the number of ranges.
    pub fn contains(&self, addr: IpAddr) -> bool {
        self.family(addr).contains(bits(addr))
    }

    /// True when every address of `other` is in this set.
    pub fn contains_all(&self, other: &Self) -> bool {
        other.v4.minus(&self.v4).is_empty() && other.v6.minus(&self.v6).is_empty()
    }

    /// True when some address is in both sets; fast when either set has few ranges.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.v4.overlaps(&other.v4) || self.v6.overlaps(&other.v6)
    }

    /// How many addresses there are. Saturates at `u128::MAX`, which only a set with (nearly) all
    /// of IPv6 reaches.
    pub fn count(&self) -> u128 {
        self.v4.count().saturating_add(self.v6.count())
    }

    /// How many IPv4 addresses there are.
    pub fn count_v4(&self) -> u64 {
        u64::try_from(self.v4.count()).expect("IPv4 has 2^32 addresses")
    }

    /// How many IPv6 addresses there are; saturates as [`AddressSet::count`] does.
    pub fn count_v6(&self) -> u128 {
        self.v6.count()
    }

    /// The address with number `index`.
    pub fn nth(&self, index: u128) -> Option<IpAddr> {
        let v4 = self.v4.count();
        if index < v4 { self.v4.nth(index).map(addr_v4) } else { self.v6.nth(index - v4).map(addr_v6) }
    }

    /// The number of `addr`; `None` when it is not in the set (or, in a set with nearly all of
    /// IPv6, when the number exceeds 128 bits).
    pub fn index_of(&self, addr: IpAddr) -> Option<u128> {
        match addr {
            IpAddr::V4(_) => self.v4.index_of(bits(addr)),
            IpAddr::V6(_) => self.v6.index_of(bits(addr))?.checked_add(self.v4.count()),
        }
    }

    /// Addresses in either set.
    pub fn union(&self, other: &Self) -> Self {
        Self { v4: self.v4.union(&other.v4), v6: self.v6.union(&other.v6) }
    }

    /// Addresses in this set and not in `other`.
    pub fn minus(&self, other: &Self) -> Self {
        Self { v4: self.v4.minus(&other.v4), v6: self.v6.minus(&other.v6) }
    }

    /// Addresses in both sets.
    pub fn intersect(&self, other: &Self) -> Self {
        Self { v4: self.v4.intersect(&other.v4), v6: self.v6.intersect(&other.v6) }
    }

    /// The ranges, first and last address of each, ascending, IPv4 first.
    pub fn ranges(&self) -> impl Iterator<Item = (IpAddr, IpAddr)> {
        let v4 = self.v4.iter().map(|(first, last)| (addr_v4(first), addr_v4(last)));
        v4.chain(self.v6.iter().map(|(first, last)| (addr_v6(first), addr_v6(last))))
    }

    /// The smallest list of prefixes that holds exactly these addresses, ascending.
    pub fn prefixes(&self) -> impl Iterator<Item = Prefix> {
        let v4 = self.v4.blocks(32).map(|(base, len)| Prefix::containing(addr_v4(base), len));
        v4.chain(self.v6.blocks(128).map(|(base, len)| Prefix::containing(addr_v6(base), len)))
    }

    /// Every address in order. Long for a large set: see [`AddressSet::count`] first.
    pub fn iter(&self) -> impl Iterator<Item = IpAddr> {
        let v4 = self.v4.iter().flat_map(|(first, last)| (first..=last).map(addr_v4));
        v4.chain(self.v6.iter().flat_map(|(first, last)| (first..=last).map(addr_v6)))
    }

    fn family(&self, addr: IpAddr) -> &Ranges {
        if addr.is_ipv4() { &self.v4 } else { &self.v6 }
    }
}

impl FromIterator<Prefix> for AddressSet {
    fn from_iter<I: IntoIterator<Item = Prefix>>(prefixes: I) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for prefix in prefixes {
            let ranges = if prefix.base().is_ipv4() { &mut v4 } else { &mut v6 };
            ranges.push((bits(prefix.base()), bits(prefix.last())));
        }
        Self { v4: Ranges::from_unsorted(v4), v6: Ranges::from_unsorted(v6) }
    }
}

/// The union of many sets at once.
impl<'a> FromIterator<&'a AddressSet> for AddressSet {
    fn from_iter<I: IntoIterator<Item = &'a Self>>(sets: I) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for set in sets {
            v4.extend(set.v4.iter());
            v6.extend(set.v6.iter());
        }
        Self { v4: Ranges::from_unsorted(v4), v6: Ranges::from_unsorted(v6) }
    }
}

impl FromIterator<IpAddr> for AddressSet {
    fn from_iter<I: IntoIterator<Item = IpAddr>>(addresses: I) -> Self {
        addresses.into_iter().map(Prefix::host).collect()
    }
}

impl From<Prefix> for AddressSet {
    fn from(prefix: Prefix) -> Self {
        std::iter::once(prefix).collect()
    }
}

impl fmt::Debug for AddressSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 16;
        let mut set = f.debug_set();
        set.entries(self.prefixes().take(SHOWN));
        if self.prefixes().nth(SHOWN).is_some() { set.finish_non_exhaustive() } else { set.finish() }
    }
}

fn bits(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(v4) => v4.to_bits().into(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn addr_v4(bits: u128) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(bits).expect("IPv4 ranges hold 32-bit numbers")))
}

fn addr_v6(bits: u128) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from_bits(bits))
}

#[cfg(test)]
mod tests;
