//! Is this an answer to something we sent? Told from the answer alone.
//!
//! A sweep keeps nothing about the millions it asked. Instead everything that comes back with an
//! answer and is ours to choose (source port, sequence number, echo identifier) is a keyed hash of
//! whom we asked from where: SipHash-2-4 (Aumasson and Bernstein, 2012) under a key drawn for the
//! survey. Who does not see our packets has to guess:
//!
//! | answer | bits to guess |
//! |---|---|
//! | SYN-ACK | 32, and the source port |
//! | RST | 31, and the source port |
//! | ICMP error about a SYN | 32, and the source port |
//! | echo reply | 96 |
//! | ICMP error about an echo request | 32 |
//! | datagram, or ICMP error about one | the source port alone, 8 with the default range: the payload has to prove more |
//!
//! Who is on the path sees our packets, and can answer for anyone; no sweep can tell.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use kenshin_observation::{Endpoint, Transport};
use kenshin_wire::packet::{Ports, QuotedKind, Seen};

/// Source ports of a sweep, a range that nothing else on this machine may use.
///
/// The default, 61000 to 65535, begins where the range that the kernel gives to ordinary
/// connections ends (`net.ipv4.ip_local_port_range`, 32768 to 60999 unless changed), so that no
/// connection of this machine is ever mistaken for an answer, or shut off by [`super::guard`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourcePorts {
    first: u16,
    last: u16,
}

impl Default for SourcePorts {
    fn default() -> Self {
        Self { first: 61_000, last: 65_535 }
    }
}

/// A range of ports that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("source ports {first} to {last} are no range of ports; hint: the default is 61000 to 65535")]
pub struct NoPorts {
    first: u16,
    last: u16,
}

impl SourcePorts {
    /// The ports from `first` to `last`, both included.
    pub const fn new(first: u16, last: u16) -> Result<Self, NoPorts> {
        if first == 0 || first > last { Err(NoPorts { first, last }) } else { Ok(Self { first, last }) }
    }

    /// The range.
    pub const fn range(self) -> RangeInclusive<u16> {
        self.first..=self.last
    }

    /// True for one of them.
    pub fn contains(self, port: u16) -> bool {
        self.range().contains(&port)
    }

    const fn count(self) -> u32 {
        (self.last - self.first) as u32 + 1
    }

    /// The port that 32 bits of a hash select, evenly, and as many ports further on, around the end.
    const fn select(self, hash: u32, further: u32) -> u16 {
        let place = ((hash as u64 * self.count() as u64) >> 32) as u32 + further;
        self.first + (place % self.count()) as u16
    }

    /// True when `port` is one that [`SourcePorts::select`] gives for this hash and some salt.
    const fn selected(self, hash: u32, port: u16) -> bool {
        if port < self.first || port > self.last {
            return false;
        }
        let chosen = self.select(hash, 0);
        ((port - self.first) as u32 + self.count() - (chosen - self.first) as u32) % self.count() < SALTS
    }
}

/// Exchanges with one target that are told apart: each has the next source port, so that an answer
/// to one is never taken for an answer to another.
pub const SALTS: u32 = 16;

/// What a SYN is marked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpMark {
    /// Ours is the hash's.
    pub ports: Ports,
    /// Sequence number.
    pub seq: u32,
}

/// What an echo request is marked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EchoMark {
    /// Identifier.
    pub id: u16,
    /// Sequence number.
    pub seq: u16,
    /// Data.
    pub data: [u8; 8],
}

/// An answer that only who saw our question could give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proven {
    /// Whom we asked.
    pub target: Endpoint,
    /// From where.
    pub vantage: SocketAddr,
}

/// Marks what is sent, and judges what comes back.
#[derive(Clone)]
pub struct Validation {
    key: [u64; 2],
    ports: SourcePorts,
}

impl fmt::Debug for Validation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key is a secret as long as the survey runs.
        f.debug_struct("Validation").field("ports", &self.ports).finish_non_exhaustive()
    }
}

impl Validation {
    /// Marks under `key`, drawn at random for each survey, with source ports out of `ports`.
    pub fn new(key: [u8; 16], ports: SourcePorts) -> Self {
        let bits = u128::from_le_bytes(key);
        Self { key: [bits as u64, (bits >> 64) as u64], ports }
    }

    /// The source ports.
    pub const fn ports(&self) -> SourcePorts {
        self.ports
    }

    /// The mark of a SYN; `salt`, of which the remainder by [`SALTS`] counts, tells exchanges with
    /// one target apart.
    pub fn tcp(&self, source: IpAddr, target: IpAddr, port: u16, salt: u32) -> TcpMark {
        let hash = self.hash(source, Endpoint::tcp(target, port));
        let ports = Ports { source: self.ports.select((hash >> 32) as u32, salt % SALTS), target: port };
        TcpMark { ports, seq: hash as u32 }
    }

    /// The ports of a datagram; for `salt` see [`Validation::tcp`].
    pub fn udp(&self, source: IpAddr, target: IpAddr, port: u16, salt: u32) -> Ports {
        let hash = self.hash(source, Endpoint::new(target, port, Transport::Udp));
        Ports { source: self.ports.select((hash >> 32) as u32, salt % SALTS), target: port }
    }

    /// The mark of an echo request.
    pub fn echo(&self, source: IpAddr, target: IpAddr) -> EchoMark {
        let endpoint = Endpoint::new(target, 0, Transport::Icmp);
        let hash = self.hash(source, endpoint);
        // The data must not follow from the identifiers, which errors quote for everyone to see.
        let data = self.hash(source, Endpoint { port: 1, ..endpoint });
        EchoMark { id: (hash >> 16) as u16, seq: hash as u16, data: data.to_be_bytes() }
    }

    /// What is proven by something that came in, if anything is.
    pub fn judge(&self, seen: &Seen<'_>) -> Option<Proven> {
        match seen {
            Seen::SynAck(syn_ack) => {
                let flow = syn_ack.flow;
                let hash = self.hash(flow.to, Endpoint::tcp(flow.from, flow.from_port));
                let ours = self.ports.selected((hash >> 32) as u32, flow.to_port);
                (ours && syn_ack.ack == (hash as u32).wrapping_add(1)).then(|| Proven {
                    target: Endpoint::tcp(flow.from, flow.from_port),
                    vantage: SocketAddr::new(flow.to, flow.to_port),
                })
            }
            Seen::Reset(reset) => {
                let flow = reset.flow;
                let hash = self.hash(flow.to, Endpoint::tcp(flow.from, flow.from_port));
                let ours = self.ports.selected((hash >> 32) as u32, flow.to_port);
                // Some middleboxes do not count the SYN.
                let acknowledges = reset.ack.is_some_and(|ack| ack.wrapping_sub(hash as u32) <= 1);
                (ours && acknowledges).then(|| Proven {
                    target: Endpoint::tcp(flow.from, flow.from_port),
                    vantage: SocketAddr::new(flow.to, flow.to_port),
                })
            }
            Seen::Datagram(datagram) => {
                let flow = datagram.flow;
                let hash = self.hash(flow.to, Endpoint::new(flow.from, flow.from_port, Transport::Udp));
                self.ports.selected((hash >> 32) as u32, flow.to_port).then(|| Proven {
                    target: Endpoint::new(flow.from, flow.from_port, Transport::Udp),
                    vantage: SocketAddr::new(flow.to, flow.to_port),
                })
            }
            Seen::EchoReply(reply) => {
                let mark = self.echo(reply.to, reply.from);
                (reply.id == mark.id && reply.seq == mark.seq && reply.data == mark.data).then(|| Proven {
                    target: Endpoint::new(reply.from, 0, Transport::Icmp),
                    vantage: SocketAddr::new(reply.to, 0),
                })
            }
            Seen::IcmpError(error) => {
                let quoted = error.quoted;
                self.quoted(quoted.source, quoted.target, quoted.kind)
            }
            Seen::ArpRequest(_) | Seen::ArpReply(_) | Seen::Solicitation(_) | Seen::Advertisement(_) => None,
        }
    }

    /// Did we send what an error quotes?
    fn quoted(&self, source: IpAddr, target: IpAddr, kind: QuotedKind) -> Option<Proven> {
        let (proven, endpoint, port) = match kind {
            QuotedKind::Tcp { source_port, target_port, seq } => {
                let endpoint = Endpoint::tcp(target, target_port);
                let hash = self.hash(source, endpoint);
                let ours = self.ports.selected((hash >> 32) as u32, source_port);
                (ours && hash as u32 == seq, endpoint, source_port)
            }
            QuotedKind::Udp { source_port, target_port } => {
                let endpoint = Endpoint::new(target, target_port, Transport::Udp);
                let hash = self.hash(source, endpoint);
                (self.ports.selected((hash >> 32) as u32, source_port), endpoint, source_port)
            }
            QuotedKind::Echo { id, seq } => {
                let mark = self.echo(source, target);
                (mark.id == id && mark.seq == seq, Endpoint::new(target, 0, Transport::Icmp), 0)
            }
        };
        proven.then(|| Proven { target: endpoint, vantage: SocketAddr::new(source, port) })
    }

    fn hash(&self, source: IpAddr, target: Endpoint) -> u64 {
        let [source_high, source_low] = halves(source);
        let [target_high, target_low] = halves(target.addr);
        let transport = match target.transport {
            Transport::Tcp => 1,
            Transport::Udp => 2,
            Transport::Icmp => 3,
        };
        let words =
            [source_high, source_low, target_high, target_low, transport << 16 | u64::from(target.port)];
        siphash_2_4(self.key, words)
    }
}

/// An address as two words; those of IPv4 are mapped. `see` refuses mapped senders over IPv6, so
/// that the two never meet.
const fn halves(addr: IpAddr) -> [u64; 2] {
    let bits = match addr {
        IpAddr::V4(addr) => addr.to_ipv6_mapped().to_bits(),
        IpAddr::V6(addr) => addr.to_bits(),
    };
    [(bits >> 64) as u64, bits as u64]
}

/// SipHash-2-4 of five words.
fn siphash_2_4([k0, k1]: [u64; 2], words: [u64; 5]) -> u64 {
    const LENGTH: u64 = 40 << 56;
    let mut v = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    for word in words.into_iter().chain([LENGTH]) {
        v[3] ^= word;
        (0..2).for_each(|_| sip_round(&mut v));
        v[0] ^= word;
    }
    v[2] ^= 0xff;
    (0..4).for_each(|_| sip_round(&mut v));
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

const fn sip_round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[2] = v[2].wrapping_add(v[3]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[1]);
    v[0] = v[0].wrapping_add(v[3]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].rotate_left(32);
}

#[cfg(test)]
mod tests;
