//! Addresses, prefixes and endpoints.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::words::words;

words!(
    /// Transport protocol of an endpoint.
    Transport, "transport" {
        /// TCP, RFC 9293.
        Tcp = "tcp",
        /// UDP, RFC 768.
        Udp = "udp",
        /// ICMP and ICMPv6 echo; the port is 0.
        Icmp = "icmp",
    }
);

/// An address, a port and a transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// Unicast address.
    pub addr: IpAddr,
    /// Port, 0 for ICMP.
    pub port: u16,
    /// Transport protocol.
    pub transport: Transport,
}

impl Endpoint {
    /// An endpoint from its parts.
    pub const fn new(addr: IpAddr, port: u16, transport: Transport) -> Self {
        Self { addr, port, transport }
    }

    /// A TCP endpoint.
    pub const fn tcp(addr: IpAddr, port: u16) -> Self {
        Self::new(addr, port, Transport::Tcp)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.addr {
            IpAddr::V4(addr) => write!(f, "{addr}:{}/{}", self.port, self.transport),
            IpAddr::V6(addr) => write!(f, "[{addr}]:{}/{}", self.port, self.transport),
        }
    }
}

/// Splits an address into two order-preserving signed longs; IPv4 is mapped into `::ffff:0:0/96`.
///
/// Each half is the unsigned value with its top bit flipped, so that signed comparison of
/// (hi, lo) orders addresses as unsigned 128-bit numbers do.
pub fn addr_to_hi_lo(addr: IpAddr) -> (i64, i64) {
    let bits = match addr {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    };
    let flip = |half: u64| (half ^ (1 << 63)).cast_signed();
    (flip((bits >> 64) as u64), flip(bits as u64))
}

/// The inverse of [`addr_to_hi_lo`]; mapped addresses come back as IPv4.
pub fn addr_from_hi_lo(hi: i64, lo: i64) -> IpAddr {
    let flip = |half: i64| u128::from(half.cast_unsigned() ^ (1 << 63));
    Ipv6Addr::from_bits(flip(hi) << 64 | flip(lo)).to_canonical()
}

/// A CIDR prefix with no host bits set.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    base: IpAddr,
    len: u8,
}

/// A text that is not a prefix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParsePrefixError {
    /// Not `address` or `address/length`.
    #[error("`{0}` is not an address or a prefix such as 192.0.2.0/24 or 2001:db8::/32")]
    Syntax(String),
    /// Host bits are set; the prefix that was probably meant is given.
    #[error("`{0}` has host bits set; the prefix is {1}")]
    HostBits(String, Prefix),
}

impl Prefix {
    /// The prefix of `len` bits that contains `addr`, host bits cleared.
    ///
    /// # Panics
    /// When `len` is above the width of the address family: that is a bug of the caller.
    pub fn containing(addr: IpAddr, len: u8) -> Self {
        let width = width(addr);
        assert!(len <= width, "prefix length {len} above {width}");
        let base = match addr {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask))
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
            }
        };
        Self { base, len }
    }

    /// The prefix that holds exactly one address.
    pub fn host(addr: IpAddr) -> Self {
        Self { base: addr, len: width(addr) }
    }

    /// The lowest address.
    pub const fn base(self) -> IpAddr {
        self.base
    }

    /// The highest address.
    pub fn last(self) -> IpAddr {
        match self.base {
            IpAddr::V4(v4) => {
                let host = u32::MAX.checked_shr(u32::from(self.len)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() | host))
            }
            IpAddr::V6(v6) => {
                let host = u128::MAX.checked_shr(u32::from(self.len)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() | host))
            }
        }
    }

    /// Number of fixed leading bits.
    #[expect(clippy::len_without_is_empty, reason = "a prefix always holds an address")]
    pub const fn len(self) -> u8 {
        self.len
    }

    /// True when `addr` is of the same family and inside.
    pub fn contains(self, addr: IpAddr) -> bool {
        self.base.is_ipv4() == addr.is_ipv4() && self.base <= addr && addr <= self.last()
    }
}

fn width(addr: IpAddr) -> u8 {
    if addr.is_ipv4() { 32 } else { 128 }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.len)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Prefix {
    /// Its addresses as ranges of [`addr_to_hi_lo`], both ends included: one, or two for IPv6 around the block
    /// into which IPv4 is mapped, which `::/0` and the like do not hold.
    pub fn ranges(&self) -> Vec<((i64, i64), (i64, i64))> {
        let (first, last) = (addr_to_hi_lo(self.base()), addr_to_hi_lo(self.last()));
        let from = addr_to_hi_lo(Ipv4Addr::UNSPECIFIED.into());
        let to = addr_to_hi_lo(Ipv4Addr::BROADCAST.into());
        // The block lies within one high half, and not at its ends.
        if self.base().is_ipv6() && first < from && to < last {
            vec![(first, (from.0, from.1 - 1)), ((to.0, to.1 + 1), last)]
        } else {
            vec![(first, last)]
        }
    }
}

impl FromStr for Prefix {
    type Err = ParsePrefixError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let syntax = || ParsePrefixError::Syntax(text.to_owned());
        let (addr, len) = match text.split_once('/') {
            Some((addr, len)) => (addr, Some(len.parse::<u8>().map_err(|_| syntax())?)),
            None => (text, None),
        };
        let addr: IpAddr = addr.parse().map_err(|_| syntax())?;
        let len = len.unwrap_or(width(addr));
        if len > width(addr) {
            return Err(syntax());
        }
        let prefix = Self::containing(addr, len);
        if prefix.base != addr {
            return Err(ParsePrefixError::HostBits(text.to_owned(), prefix));
        }
        Ok(prefix)
    }
}

impl Serialize for Prefix {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Prefix {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn prefixes_parse_or_say_what_was_meant() {
        assert_eq!("192.0.2.1".parse::<Prefix>().unwrap().to_string(), "192.0.2.1/32");
        assert_eq!(
            "::/0".parse::<Prefix>().unwrap().last(),
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".parse::<IpAddr>().unwrap()
        );
        let error = "192.0.2.1/24".parse::<Prefix>().unwrap_err().to_string();
        assert!(error.contains("192.0.2.0/24"), "{error}");
        for bad in ["", "192.0.2.0/33", "192.0.2/24", "x", "2001:db8::/129", "1.2.3.4/-1"] {
            assert!(bad.parse::<Prefix>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn hi_lo_round_trips_and_preserves_order(a: u128, b: u128) {
            let (a, b) = (IpAddr::V6(Ipv6Addr::from_bits(a)).to_canonical(), IpAddr::V6(Ipv6Addr::from_bits(b)).to_canonical());
            let (ha, hb) = (addr_to_hi_lo(a), addr_to_hi_lo(b));
            prop_assert_eq!(addr_from_hi_lo(ha.0, ha.1), a);
            let bits = |addr: IpAddr| match addr { IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(), IpAddr::V6(v6) => v6.to_bits() };
            prop_assert_eq!(ha.cmp(&hb), bits(a).cmp(&bits(b)));
        }

        #[test]
        fn ipv4_round_trips(bits: u32) {
            let addr = IpAddr::V4(Ipv4Addr::from_bits(bits));
            let (hi, lo) = addr_to_hi_lo(addr);
            prop_assert_eq!(addr_from_hi_lo(hi, lo), addr);
        }

        #[test]
        fn a_prefix_contains_exactly_its_range(bits: u32, len in 0u8..=32, other: u32) {
            let prefix = Prefix::containing(Ipv4Addr::from_bits(bits).into(), len);
            let inside = len == 0 || (bits ^ other) >> (32 - len) == 0;
            prop_assert_eq!(prefix.contains(Ipv4Addr::from_bits(other).into()), inside);
        }
    }
}
