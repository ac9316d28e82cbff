//! Ports: sets of them, and the shipped list of those where unsolicited bytes do harm.

use std::fmt;

use kenshin_observation::Transport;

mod harmful;

pub use harmful::{HARMFUL_PORTS, HarmfulPorts};

const WORDS: usize = 65_536 / 64;

/// A set of port numbers; one bit each, so that asking costs one look.
#[derive(Clone, PartialEq, Eq)]
pub struct PortSet(Box<[u64; WORDS]>);

impl PortSet {
    /// The empty set.
    pub fn new() -> Self {
        Self(Box::new([0; WORDS]))
    }

    /// True when the port is in the set.
    pub fn contains(&self, port: u16) -> bool {
        self.0[usize::from(port / 64)] >> (port % 64) & 1 == 1
    }

    /// Puts a port in.
    pub fn insert(&mut self, port: u16) {
        self.0[usize::from(port / 64)] |= 1 << (port % 64);
    }

    /// How many ports there are.
    pub fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// The ports, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u16> {
        (0..=u16::MAX).filter(|port| self.contains(*port))
    }

    /// The ports as inclusive ranges, ascending.
    pub fn ranges(&self) -> Vec<(u16, u16)> {
        let mut ranges: Vec<(u16, u16)> = Vec::new();
        for port in self.iter() {
            match ranges.last_mut() {
                Some(range) if range.1.checked_add(1) == Some(port) => range.1 = port,
                _ => ranges.push((port, port)),
            }
        }
        ranges
    }
}

impl Default for PortSet {
    fn default() -> Self {
        Self::new()
    }
}

impl FromIterator<u16> for PortSet {
    fn from_iter<I: IntoIterator<Item = u16>>(ports: I) -> Self {
        let mut set = Self::new();
        for port in ports {
            set.insert(port);
        }
        set
    }
}

/// `22, 80, 8000-8100`
impl fmt::Display for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (first, last)) in self.ranges().into_iter().enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            match first == last {
                true => write!(f, "{comma}{first}")?,
                false => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

/// The ports a mandate grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports {
    /// TCP ports.
    pub tcp: PortSet,
    /// UDP ports.
    pub udp: PortSet,
    /// ICMP and ICMPv6 echo.
    pub icmp_echo: bool,
    /// Harmful ports at which speaking is granted all the same, each with its reason.
    pub speak: Vec<SpeakGrant>,
    listen_only_tcp: PortSet,
    listen_only_udp: PortSet,
}

/// A harmful port at which the mandate grants to speak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpeakGrant {
    /// The port.
    pub port: u16,
    /// Why it is needed and why it is safe here.
    pub reason: String,
}

impl Ports {
    /// Ports as granted; the harmful ones among them without a grant in `speak` are listen-only.
    pub fn new(tcp: PortSet, udp: PortSet, icmp_echo: bool, speak: Vec<SpeakGrant>) -> Self {
        let listen_only = |granted: &PortSet, transport| {
            let spoken = |port| speak.iter().any(|grant| grant.port == port);
            granted
                .iter()
                .filter(|port| harmful::harmful(*port, transport).is_some() && !spoken(*port))
                .collect()
        };
        let listen_only_tcp = listen_only(&tcp, Transport::Tcp);
        let listen_only_udp = listen_only(&udp, Transport::Udp);
        Self { tcp, udp, icmp_echo, speak, listen_only_tcp, listen_only_udp }
    }

    /// True when the mandate grants the port. ICMP has port 0.
    pub fn contains(&self, port: u16, transport: Transport) -> bool {
        match transport {
            Transport::Tcp => self.tcp.contains(port),
            Transport::Udp => self.udp.contains(port),
            Transport::Icmp => self.icmp_echo && port == 0,
        }
    }

    /// True when nothing may be said at the port until the other side has spoken, and nothing
    /// after either: a harmful port without a grant.
    pub fn listen_only(&self, port: u16, transport: Transport) -> bool {
        match transport {
            Transport::Tcp => self.listen_only_tcp.contains(port),
            Transport::Udp => self.listen_only_udp.contains(port),
            Transport::Icmp => false,
        }
    }

    /// The listen-only ports of a transport.
    pub fn listen_only_ports(&self, transport: Transport) -> impl Iterator<Item = u16> {
        let set = match transport {
            Transport::Tcp => Some(&self.listen_only_tcp),
            Transport::Udp => Some(&self.listen_only_udp),
            Transport::Icmp => None,
        };
        set.into_iter().flat_map(PortSet::iter)
    }

    /// How many (transport, port) pairs there are.
    pub fn count(&self) -> u32 {
        self.tcp.count() + self.udp.count() + u32::from(self.icmp_echo)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn harmful_ports_are_listen_only_until_granted() {
        let tcp: PortSet = [22, 502, 9100].into_iter().collect();
        let grant = SpeakGrant { port: 502, reason: "agreed with the plant".into() };
        let ports = Ports::new(tcp, PortSet::new(), false, vec![grant]);
        assert!(ports.listen_only(9100, Transport::Tcp));
        assert!(!ports.listen_only(502, Transport::Tcp));
        assert!(!ports.listen_only(22, Transport::Tcp));
        assert_eq!(ports.listen_only_ports(Transport::Tcp).collect::<Vec<_>>(), [9100]);
        assert!(!ports.contains(0, Transport::Icmp));
    }

    #[test]
    fn every_port_the_design_names_is_on_the_shipped_list() {
        for port in [9100, 9101, 9102, 9103, 9104, 9105, 9106, 9107, 102, 502, 20_000, 44_818, 47_808] {
            let named =
                [Transport::Tcp, Transport::Udp].map(|t| harmful::harmful(port, t)).into_iter().flatten();
            assert!(named.count() > 0, "{port}");
        }
    }

    proptest! {
        #[test]
        fn a_set_holds_what_was_put_in(ports in proptest::collection::btree_set(any::<u16>(), 0..60)) {
            let set: PortSet = ports.iter().copied().collect();
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), ports.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(set.count() as usize, ports.len());
            let again: PortSet = set.ranges().into_iter().flat_map(|(first, last)| first..=last).collect();
            prop_assert_eq!(set, again);
        }
    }
}
