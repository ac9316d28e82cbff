//! Frames made once and altered for every target.

use std::net::IpAddr;

use super::checksum::{address, fold, pseudo, sum};
use super::{
    Buffer, ETHERNET_BYTES, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Hop, IPV4_BYTES, IPV6_BYTES, PROTOCOL_ICMP,
    PROTOCOL_ICMPV6, PROTOCOL_TCP, PROTOCOL_UDP, TCP_BYTES, UDP_BYTES,
};

/// Hops a packet may take: what most systems send with, so that it goes wherever theirs go.
pub const HOPS: u8 = 64;

/// Largest segment announced over IPv4 (RFC 9293 §3.7.1): 1,500 bytes less the headers.
pub const MSS_V4: u16 = 1460;

/// Largest segment announced over IPv6.
pub const MSS_V6: u16 = 1440;

/// Window announced with a SYN; that of Linux.
const WINDOW: u16 = 64_240;

/// Room for the longest headers: Ethernet, IPv6, TCP with the MSS option. Copied whole for every
/// frame, because a copy of a known size is the fastest.
const HEADERS_BYTES_MAX: usize = 80;

const ECHO_BYTES: usize = 16;

const SYN: u8 = 0x02;
const RST: u8 = 0x04;

/// Ports of one exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// Ours.
    pub source: u16,
    /// Theirs.
    pub target: u16,
}

/// A payload that does not fit into one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a payload of {bytes} bytes does not fit into one frame, at most {most} do")]
pub struct TooLong {
    /// Its length.
    pub bytes: usize,
    /// What fits.
    pub most: usize,
}

/// Ethernet and IP headers from one source, and the start of what follows.
#[derive(Debug, Clone)]
struct Base {
    bytes: [u8; HEADERS_BYTES_MAX],
    v4: bool,
    /// Over the IPv4 header without length and target.
    network_sum: u64,
    /// Over pseudo-header and transport header, without length, target and all that is written later.
    transport_sum: u64,
}

impl Base {
    fn new(from: &Hop, protocol: u8, transport: &[u8]) -> Self {
        let mut bytes = [0; HEADERS_BYTES_MAX];
        bytes[6..12].copy_from_slice(&from.mac.0);
        let ethertype = if from.addr.is_ipv4() { ETHERTYPE_IPV4 } else { ETHERTYPE_IPV6 };
        bytes[12..14].copy_from_slice(&ethertype.to_be_bytes());
        let network = &mut bytes[ETHERNET_BYTES..];
        match from.addr {
            IpAddr::V4(addr) => {
                network[0] = 0x45;
                // Don't fragment, and so no identification is needed (RFC 6864 §4.1).
                network[6] = 0x40;
                (network[8], network[9]) = (HOPS, protocol);
                network[12..16].copy_from_slice(&addr.octets());
            }
            IpAddr::V6(addr) => {
                network[0] = 0x60;
                (network[6], network[7]) = (protocol, HOPS);
                network[8..24].copy_from_slice(&addr.octets());
            }
        }
        let mut this = Self { bytes, v4: from.addr.is_ipv4(), network_sum: 0, transport_sum: 0 };
        let at = this.transport_at();
        this.network_sum = sum(&this.bytes[ETHERNET_BYTES..at]);
        this.bytes[at..at + transport.len()].copy_from_slice(transport);
        let unspecified = IpAddr::V4(0.into());
        // ICMP over IPv4 is the one without a pseudo-header.
        this.transport_sum = sum(transport)
            + if protocol == PROTOCOL_ICMP { 0 } else { pseudo(from.addr, unspecified, protocol, 0) };
        this
    }

    const fn transport_at(&self) -> usize {
        ETHERNET_BYTES + if self.v4 { IPV4_BYTES } else { IPV6_BYTES }
    }

    /// Writes everything up to the transport header, complete, and the constant parts of that.
    #[inline]
    fn write(&self, out: &mut Buffer, to: &Hop, transport_bytes: usize) {
        out[..HEADERS_BYTES_MAX].copy_from_slice(&self.bytes);
        out[..6].copy_from_slice(&to.mac.0);
        match to.addr {
            IpAddr::V4(addr) if self.v4 => {
                let total = (IPV4_BYTES + transport_bytes) as u16;
                out[16..18].copy_from_slice(&total.to_be_bytes());
                out[30..34].copy_from_slice(&addr.octets());
                let checksum = fold(self.network_sum + u64::from(addr.to_bits()) + u64::from(total));
                out[24..26].copy_from_slice(&checksum.to_be_bytes());
            }
            IpAddr::V6(addr) if !self.v4 => {
                out[18..20].copy_from_slice(&(transport_bytes as u16).to_be_bytes());
                out[38..54].copy_from_slice(&addr.octets());
            }
            addr => panic!("a target of the other family, {addr}"),
        }
    }
}

/// TCP segments without payload: a SYN, or the RST that closes what a SYN opened.
#[derive(Debug, Clone)]
pub struct TcpTemplate {
    base: Base,
    transport_bytes: usize,
}

impl TcpTemplate {
    /// A SYN. Its one option is the maximum segment size: every system sends it, a few hosts and
    /// middleboxes leave a SYN without any option unanswered, and with these four bytes a frame over
    /// IPv4 is still no longer than the shortest that Ethernet carries (58 of 60 bytes). More options
    /// would cost rate, and offer what we do not mean to use.
    pub fn syn(from: &Hop) -> Self {
        let mss = if from.addr.is_ipv4() { MSS_V4 } else { MSS_V6 };
        let [high, low] = mss.to_be_bytes();
        Self::new(from, SYN, WINDOW, &[2, 4, high, low])
    }

    /// A RST with the sequence number that a SYN-ACK acknowledged (RFC 9293 §3.5.2).
    pub fn reset(from: &Hop) -> Self {
        Self::new(from, RST, 0, &[])
    }

    fn new(from: &Hop, flags: u8, window: u16, options: &[u8]) -> Self {
        let transport_bytes = TCP_BYTES + options.len();
        let mut header = [0; TCP_BYTES + 4];
        header[12] = (transport_bytes as u8 / 4) << 4;
        header[13] = flags;
        header[14..16].copy_from_slice(&window.to_be_bytes());
        header[TCP_BYTES..transport_bytes].copy_from_slice(options);
        Self { base: Base::new(from, PROTOCOL_TCP, &header[..transport_bytes]), transport_bytes }
    }

    /// Writes the segment with sequence number `seq` for one target; says how long the frame is.
    ///
    /// # Panics
    /// When the target is not of the source's family.
    #[inline]
    pub fn write(&self, out: &mut Buffer, to: &Hop, ports: Ports, seq: u32) -> usize {
        self.base.write(out, to, self.transport_bytes);
        let at = self.base.transport_at();
        let ports = u32::from(ports.source) << 16 | u32::from(ports.target);
        let header = &mut out[at..at + TCP_BYTES];
        header[..4].copy_from_slice(&ports.to_be_bytes());
        header[4..8].copy_from_slice(&seq.to_be_bytes());
        let total = self.base.transport_sum
            + self.transport_bytes as u64
            + address(to.addr)
            + u64::from(ports)
            + u64::from(seq);
        header[16..18].copy_from_slice(&fold(total).to_be_bytes());
        at + self.transport_bytes
    }
}

/// UDP datagrams.
#[derive(Debug, Clone)]
pub struct UdpTemplate {
    base: Base,
}

impl UdpTemplate {
    /// Datagrams from one source.
    pub fn new(from: &Hop) -> Self {
        Self { base: Base::new(from, PROTOCOL_UDP, &[0; UDP_BYTES]) }
    }

    /// Longest payload that [`UdpTemplate::write`] takes: 1,472 bytes over IPv4, 1,452 over IPv6.
    pub const fn payload_bytes_max(&self) -> usize {
        super::FRAME_BYTES_MAX - self.base.transport_at() - UDP_BYTES
    }

    /// Writes the datagram for one target; says how long the frame is.
    ///
    /// # Panics
    /// When the target is not of the source's family.
    #[inline]
    pub fn write(&self, out: &mut Buffer, to: &Hop, ports: Ports, payload: &[u8]) -> Result<usize, TooLong> {
        let most = self.payload_bytes_max();
        if payload.len() > most {
            return Err(TooLong { bytes: payload.len(), most });
        }
        let len = UDP_BYTES + payload.len();
        self.base.write(out, to, len);
        let datagram = &mut out[self.base.transport_at()..][..len];
        let ports = u32::from(ports.source) << 16 | u32::from(ports.target);
        datagram[..4].copy_from_slice(&ports.to_be_bytes());
        datagram[4..6].copy_from_slice(&(len as u16).to_be_bytes());
        datagram[UDP_BYTES..].copy_from_slice(payload);
        // The length is counted twice: it is in the pseudo-header and in the header.
        let total =
            self.base.transport_sum + 2 * len as u64 + address(to.addr) + u64::from(ports) + sum(payload);
        // Zero would say that there is no checksum (RFC 768).
        let checksum = match fold(total) {
            0 => 0xffff,
            other => other,
        };
        datagram[6..8].copy_from_slice(&checksum.to_be_bytes());
        Ok(self.base.transport_at() + len)
    }
}

/// ICMP and ICMPv6 echo requests (RFC 792, RFC 4443 §4.1) with eight bytes of data.
#[derive(Debug, Clone)]
pub struct EchoTemplate {
    base: Base,
}

impl EchoTemplate {
    /// Echo requests from one source.
    pub fn new(from: &Hop) -> Self {
        let (protocol, kind) = if from.addr.is_ipv4() { (PROTOCOL_ICMP, 8) } else { (PROTOCOL_ICMPV6, 128) };
        Self { base: Base::new(from, protocol, &[kind, 0, 0, 0]) }
    }

    /// Writes the request for one target; says how long the frame is.
    ///
    /// # Panics
    /// When the target is not of the source's family.
    #[inline]
    pub fn write(&self, out: &mut Buffer, to: &Hop, id: u16, seq: u16, data: [u8; 8]) -> usize {
        self.base.write(out, to, ECHO_BYTES);
        let at = self.base.transport_at();
        let message = &mut out[at..at + ECHO_BYTES];
        let ids = u32::from(id) << 16 | u32::from(seq);
        message[4..8].copy_from_slice(&ids.to_be_bytes());
        message[8..].copy_from_slice(&data);
        let mut total = self.base.transport_sum + u64::from(ids) + sum(&data);
        if to.addr.is_ipv6() {
            total += address(to.addr) + ECHO_BYTES as u64;
        }
        message[2..4].copy_from_slice(&fold(total).to_be_bytes());
        at + ECHO_BYTES
    }
}
