//! The target space: addresses × ports, in an order that any sensor can compute.
//!
//! The order has two levels. The addresses are permuted and cut into slices of K; inside a slice,
//! (addresses × ports) is permuted again with a key of its own. So the load is spread over
//! networks and over time, while everything about one address is known when its slice ends:
//! whether it is alive, how many ports it answered. A slice is the unit that is journalled,
//! sealed and committed. Every position is arithmetic: nothing depends on the number of shards.

use std::fmt;
use std::net::IpAddr;

use kenshin_mandate::{AddressSet, CompiledSet};
use kenshin_observation::{Endpoint, Transport};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::permutation::{Permutation, PermutationKey};

/// Most targets of a space: positions are 64-bit numbers.
pub const TARGETS_MAX: u128 = u64::MAX as u128;

const INSIDE: u64 = 1;

/// What is asked at an address: a transport and its port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port {
    /// TCP, UDP or an echo request.
    pub transport: Transport,
    /// Number, 0 for an echo request.
    pub number: u16,
}

impl Port {
    /// A TCP port.
    pub const fn tcp(number: u16) -> Self {
        Self { transport: Transport::Tcp, number }
    }

    /// A UDP port.
    pub const fn udp(number: u16) -> Self {
        Self { transport: Transport::Udp, number }
    }

    /// An ICMP or ICMPv6 echo request.
    pub const ECHO: Self = Self { transport: Transport::Icmp, number: 0 };

    /// This port at an address.
    pub const fn at(self, addr: IpAddr) -> Endpoint {
        Endpoint::new(addr, self.number, self.transport)
    }

    /// The port of an endpoint.
    pub const fn of(endpoint: Endpoint) -> Self {
        Self { transport: endpoint.transport, number: endpoint.port }
    }
}

/// `port 22/tcp`, or `the echo request`.
impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.transport {
            Transport::Icmp => f.write_str("the echo request"),
            transport => write!(f, "port {}/{transport}", self.number),
        }
    }
}

/// Part of the slices: those whose number leaves the remainder `index` when divided by `count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Which part, below `count`.
    pub index: u64,
    /// Number of parts, at least 1.
    pub count: u64,
}

impl Shard {
    /// All slices.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// True when the slice belongs to this part.
    pub fn holds(self, slice: u64) -> bool {
        slice % self.count.max(1) == self.index
    }
}

/// A space that cannot be gone through.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpaceError {
    /// No address, no port or no slice size.
    #[error("there is nothing to ask: {addresses} addresses × {ports} ports in slices of {slice_addresses}")]
    Empty {
        /// Addresses.
        addresses: u128,
        /// Ports.
        ports: usize,
        /// Addresses of a slice.
        slice_addresses: u32,
    },
    /// More targets than positions.
    #[error(
        "{addresses} addresses × {ports} ports are more than the {TARGETS_MAX} targets a survey can number; hint: give fewer addresses"
    )]
    TooLarge {
        /// Addresses.
        addresses: u128,
        /// Ports.
        ports: usize,
    },
}

/// Addresses × ports in exact-permutation order.
#[derive(Debug, Clone)]
pub struct Space {
    addresses: CompiledSet,
    ports: Vec<Port>,
    slice_addresses: u64,
    address_count: u64,
    key: PermutationKey,
    order: Permutation,
}

impl Space {
    /// The space of endpoints over `addresses` and `ports` (sorted and without repetition
    /// afterwards), ordered by `key`, in slices of `slice_addresses` addresses.
    pub fn new(
        addresses: AddressSet,
        mut ports: Vec<Port>,
        slice_addresses: u32,
        key: PermutationKey,
    ) -> Result<Self, SpaceError> {
        ports.sort_unstable();
        ports.dedup();
        let (count, width) = (addresses.count(), ports.len());
        if count == 0 || width == 0 || slice_addresses == 0 {
            return Err(SpaceError::Empty { addresses: count, ports: width, slice_addresses });
        }
        match count.checked_mul(width as u128) {
            Some(targets) if targets <= TARGETS_MAX => {}
            _ => return Err(SpaceError::TooLarge { addresses: count, ports: width }),
        }
        Ok(Self {
            order: Permutation::new(count, key),
            address_count: u64::try_from(count).expect("checked against TARGETS_MAX"),
            slice_addresses: slice_addresses.into(),
            addresses: CompiledSet::new(addresses),
            ports,
            key,
        })
    }

    /// Number of targets.
    pub fn targets(&self) -> u64 {
        self.address_count * self.width()
    }

    /// The addresses.
    pub fn addresses(&self) -> &AddressSet {
        self.addresses.set()
    }

    /// The ports, ascending.
    pub fn ports(&self) -> &[Port] {
        &self.ports
    }

    /// Number of slices.
    pub fn slices(&self) -> u64 {
        self.address_count.div_ceil(self.slice_addresses)
    }

    /// Number of targets in the slices of `shard`.
    pub fn targets_of(&self, shard: Shard) -> u64 {
        let slices = self.slices();
        let (index, count) = (shard.index, shard.count.max(1));
        if index >= slices || index >= count {
            return 0;
        }
        let held = (slices - index).div_ceil(count);
        let missing = self.slices() * self.slice_addresses - self.address_count;
        let short = if shard.holds(slices - 1) { missing } else { 0 };
        (held * self.slice_addresses - short) * self.width()
    }

    /// Number of targets of one slice; 0 when there is no such slice.
    pub fn targets_in(&self, slice: u64) -> u64 {
        let first = slice.saturating_mul(self.slice_addresses).min(self.address_count);
        let end = first.saturating_add(self.slice_addresses).min(self.address_count);
        (end - first) * self.width()
    }

    /// The slice with a number below [`Space::slices`].
    ///
    /// # Panics
    /// When there is no such slice.
    pub fn slice(&self, number: u64) -> Slice {
        let first = number * self.slice_addresses;
        let end = (first + self.slice_addresses).min(self.address_count);
        assert!(first < end, "slice {number} of {}", self.slices());
        // Numbers first, addresses then: the reads of memory that find addresses do not wait for each other.
        let numbers: Vec<u64> = (first..end).map(|position| self.order.at(position)).collect();
        let addresses: Vec<IpAddr> = numbers.into_iter().map(|number| self.address(number)).collect();
        let size = addresses.len() as u64 * self.width();
        Slice {
            number,
            index_from: first * self.width(),
            inside: Permutation::new(size.into(), self.key.derive(INSIDE, number)),
            reciprocal: u64::MAX / self.width(),
            addresses,
            ports: self.ports.clone(),
        }
    }

    /// The target at a position of the order.
    ///
    /// # Panics
    /// When `index` is not below the number of targets.
    pub fn target_at(&self, index: u64) -> Endpoint {
        let (slice, inside) = self.slice_of(index);
        let (address, port) = self.split(inside.at(index - slice * self.slice_targets()));
        self.ports[port].at(self.address_at(slice * self.slice_addresses + address))
    }

    /// The position of a target in the order; `None` when it is not one.
    pub fn index_of(&self, target: Endpoint) -> Option<u64> {
        let port = self.ports.binary_search(&Port::of(target)).ok()?;
        let element = self.addresses.set().index_of(target.addr)?;
        let position = self.order.index_of(u64::try_from(element).ok()?);
        let slice = position / self.slice_addresses;
        let (_, inside) = self.slice_of(slice * self.slice_targets());
        let within = (position % self.slice_addresses) * self.width() + port as u64;
        Some(slice * self.slice_targets() + inside.index_of(within))
    }

    /// The slice of a position, and the position inside it.
    pub fn place_of(&self, index: u64) -> (u64, u64) {
        (index / self.slice_targets(), index % self.slice_targets())
    }

    /// SHA-256 over addresses, ports and slice size, hexadecimal: what coverage refers to.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new_with_prefix(b"kenshin-space-v1\0");
        for (first, last) in self.addresses.set().ranges() {
            hash.update(format!("{first}-{last}\n"));
        }
        for port in &self.ports {
            hash.update(format!("{}/{}\n", port.number, port.transport));
        }
        hash.update(format!("slice {}\n", self.slice_addresses));
        hex::encode(hash.finalize())
    }

    fn width(&self) -> u64 {
        self.ports.len() as u64
    }

    fn slice_targets(&self) -> u64 {
        // A slice may be stated larger than the space; then it is the only one.
        self.slice_addresses.min(self.address_count) * self.width()
    }

    fn slice_of(&self, index: u64) -> (u64, Permutation) {
        assert!(index < self.targets(), "target {index} of {}", self.targets());
        let slice = index / self.slice_targets();
        let size = self.slice_targets().min(self.targets() - slice * self.slice_targets());
        (slice, Permutation::new(size.into(), self.key.derive(INSIDE, slice)))
    }

    fn split(&self, within: u64) -> (u64, usize) {
        let port = usize::try_from(within % self.width()).expect("a number of ports");
        (within / self.width(), port)
    }

    fn address_at(&self, position: u64) -> IpAddr {
        self.address(self.order.at(position))
    }

    fn address(&self, number: u64) -> IpAddr {
        self.addresses.nth(number).expect("the order permutes the addresses")
    }
}

/// One slice: K addresses with all their ports, permuted.
#[derive(Debug, Clone)]
pub struct Slice {
    /// Its number.
    pub number: u64,
    /// Position of its first target in the order of the space.
    pub index_from: u64,
    addresses: Vec<IpAddr>,
    ports: Vec<Port>,
    inside: Permutation,
    /// (2⁶⁴ − 1) ÷ number of ports: dividing by them for every target would cost as much as all else.
    reciprocal: u64,
}

impl Slice {
    /// Number of targets.
    pub fn targets(&self) -> u64 {
        u64::try_from(self.inside.size()).expect("a slice is part of a space")
    }

    /// Position after its last target in the order of the space.
    pub fn index_to(&self) -> u64 {
        self.index_from + self.targets()
    }

    /// Its addresses, in the order of the space.
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// The ports asked at each of them.
    pub fn ports(&self) -> &[Port] {
        &self.ports
    }

    /// The target at a position inside the slice, with the place of its address in
    /// [`Slice::addresses`].
    ///
    /// # Panics
    /// When `index` is not below the number of targets.
    pub fn target_at(&self, index: u64) -> (usize, Endpoint) {
        let (address, port) = self.split(self.inside.at(index));
        (address, self.ports[port].at(self.addresses[address]))
    }

    /// Quotient and remainder by the number of ports (Granlund and Montgomery, 1994, rounded down): exact
    /// below 2⁴⁶, because there are fewer than 2¹⁸ ports, and no slice that fits in memory has more.
    #[inline]
    fn split(&self, within: u64) -> (usize, usize) {
        let address = ((u128::from(within) + 1) * u128::from(self.reciprocal)) >> 64;
        let port = within - address as u64 * self.ports.len() as u64;
        (address as usize, port as usize)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn tcp(ports: &[u16]) -> Vec<Port> {
        ports.iter().copied().map(Port::tcp).collect()
    }

    fn space(prefixes: &[&str], ports: &[u16], slice: u32, key: u8) -> Space {
        let addresses = prefixes.iter().map(|p| p.parse::<kenshin_observation::Prefix>().unwrap()).collect();
        Space::new(addresses, tcp(ports), slice, PermutationKey([key; 16])).unwrap()
    }

    #[test]
    fn every_target_stands_at_exactly_one_position() {
        for slice in [1, 3, 7, 64, 1000] {
            let space = space(&["192.0.2.0/27", "2001:db8::/125"], &[22, 23, 80], slice, 5);
            let order: Vec<Endpoint> = (0..space.targets()).map(|i| space.target_at(i)).collect();
            assert_eq!(order.len(), 40 * 3);
            assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), order.len());
            for (index, target) in order.iter().enumerate() {
                assert_eq!(space.index_of(*target), Some(index as u64), "slice size {slice}");
            }
            let slices = (0..space.slices()).map(|number| space.slice(number));
            let by_slice: Vec<Endpoint> = slices
                .flat_map(|s| (0..s.targets()).map(move |i| s.target_at(i).1).collect::<Vec<_>>())
                .collect();
            assert_eq!(by_slice, order, "slice size {slice}");
        }
    }

    /// Without a division, up to the largest slice with the largest number of ports.
    #[test]
    fn a_slice_is_split_as_division_does() {
        let slice = space(&["192.0.2.0/32"], &[1], 1, 0).slice(0);
        for width in [1, 2, 3, 7, 10, 1000, 1023, 65_535, 65_536, 131_073] {
            let ports = vec![Port::ECHO; width];
            let width = width as u64;
            let slice = Slice { ports, reciprocal: u64::MAX / width, ..slice.clone() };
            let near = |middle: u64| middle.saturating_sub(3)..middle + 3;
            for within in
                near(0).chain(near(width)).chain(near(width * 4096)).chain(near((1 << 46) / width * width))
            {
                let within = within.min((1 << 46) - 1);
                assert_eq!(
                    slice.split(within),
                    ((within / width) as usize, (within % width) as usize),
                    "{within}"
                );
            }
        }
    }

    /// One order over every transport: an echo request, a port of TCP and one of UDP with the same
    /// number are three targets.
    #[test]
    fn transports_are_told_apart() {
        let addresses: AddressSet = "192.0.2.0/29".parse::<kenshin_observation::Prefix>().unwrap().into();
        let ports = vec![Port::udp(53), Port::ECHO, Port::tcp(53)];
        let space = Space::new(addresses, ports, 4, PermutationKey([2; 16])).unwrap();
        let order: Vec<Endpoint> = (0..space.targets()).map(|i| space.target_at(i)).collect();
        assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), 8 * 3);
        for (index, target) in order.into_iter().enumerate() {
            assert_eq!(space.index_of(target), Some(index as u64));
        }
    }

    #[test]
    fn what_is_not_a_target_has_no_position() {
        let space = space(&["192.0.2.0/27"], &[22], 8, 1);
        assert_eq!(space.index_of(Endpoint::tcp("192.0.2.33".parse().unwrap(), 22)), None);
        assert_eq!(space.index_of(Endpoint::tcp("192.0.2.3".parse().unwrap(), 23)), None);
    }

    /// The case on which ZMap fails: seven /8s × 65,536 ports.
    #[test]
    fn seven_slash_eights_on_every_port() {
        let prefixes: Vec<String> = (1..8).map(|n| format!("{n}.0.0.0/8")).collect();
        let prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
        let ports: Vec<u16> = (0..=u16::MAX).collect();
        let space = space(&prefixes, &ports, 256, 3);
        assert_eq!(u128::from(space.targets()), 7 * (1u128 << 24) * 65_536);
        for index in [0, 1, 12_345_678_901, space.targets() - 1] {
            assert_eq!(space.index_of(space.target_at(index)), Some(index));
        }
    }

    #[test]
    fn empty_and_too_large_spaces_are_refused() {
        let key = PermutationKey([0; 16]);
        let all: AddressSet = "::/0".parse::<kenshin_observation::Prefix>().unwrap().into();
        assert!(matches!(Space::new(all.clone(), tcp(&[80]), 1, key), Err(SpaceError::TooLarge { .. })));
        assert!(matches!(Space::new(all, vec![], 1, key), Err(SpaceError::Empty { .. })));
        assert!(matches!(Space::new(AddressSet::new(), tcp(&[1]), 1, key), Err(SpaceError::Empty { .. })));
    }

    proptest! {
        #[test]
        fn shards_share_the_slices_without_rest(
            addresses in 1u128..500, slice in 1u32..60, count in 1u64..9, ports in 1u16..5,
        ) {
            let set: AddressSet = (0..addresses).map(|n| IpAddr::V4((0xc000_0000 + n as u32).into())).collect();
            let space = Space::new(set, (1..=ports).map(Port::tcp).collect(), slice, PermutationKey([1; 16])).unwrap();
            let shards: Vec<Shard> = (0..count).map(|index| Shard { index, count }).collect();
            prop_assert_eq!(shards.iter().map(|s| space.targets_of(*s)).sum::<u64>(), space.targets());
            for number in 0..space.slices() {
                prop_assert_eq!(shards.iter().filter(|s| s.holds(number)).count(), 1);
            }
            let first = (0..space.slices()).filter(|n| shards[0].holds(*n)).map(|n| space.slice(n).targets()).sum::<u64>();
            prop_assert_eq!(first, space.targets_of(shards[0]));
        }
    }
}
