//! What a frame means to a sweep.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::network::{Extent, Packet, ipv4, ipv6};
use super::{
    ETHERNET_BYTES, ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Mac, PROTOCOL_ICMP, PROTOCOL_ICMPV6,
    PROTOCOL_TCP, PROTOCOL_UDP, icmp, neighbour, transport,
};

/// Whether checksums of TCP, UDP and ICMP must be right. That of the IPv4 header always must.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksums {
    /// They are verified: the frame came over a wire.
    Verify,
    /// The receiving hardware verified them, or the sender is on this machine and left them to
    /// hardware that does not exist (`TP_STATUS_CSUM_VALID`, `TP_STATUS_CSUMNOTREADY`).
    Trust,
}

/// What a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen<'a> {
    /// Somebody listens.
    SynAck(SynAck<'a>),
    /// A connection is refused or ended.
    Reset(Reset),
    /// A UDP datagram.
    Datagram(Datagram<'a>),
    /// A packet did not arrive, and somebody says why.
    IcmpError(IcmpError),
    /// An echo comes back.
    EchoReply(EchoReply<'a>),
    /// Who has an IPv4 address?
    ArpRequest(Arp),
    /// I have it.
    ArpReply(Arp),
    /// Who has an IPv6 address?
    Solicitation(Solicitation),
    /// I have it.
    Advertisement(Advertisement),
}

/// Both ends of a TCP segment or UDP datagram, as seen from its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Sender.
    pub from: IpAddr,
    /// Port of the sender.
    pub from_port: u16,
    /// Receiver: us.
    pub to: IpAddr,
    /// Port of the receiver.
    pub to_port: u16,
}

/// A SYN-ACK; what it carries besides its numbers tells systems apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SynAck<'a> {
    /// Both ends.
    pub flow: Flow,
    /// Their sequence number.
    pub seq: u32,
    /// What they acknowledge.
    pub ack: u32,
    /// Window, not scaled.
    pub window: u16,
    /// TCP options as they came, at most 40 bytes.
    pub options: &'a [u8],
    /// TTL or hop limit on arrival.
    pub hops_left: u8,
}

/// A RST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reset {
    /// Both ends.
    pub flow: Flow,
    /// Their sequence number.
    pub seq: u32,
    /// What they acknowledge. Who refuses a SYN always does.
    pub ack: Option<u32>,
}

/// A UDP datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Both ends.
    pub flow: Flow,
    /// What it says.
    pub payload: &'a [u8],
}

/// What kind of trouble an ICMP error reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IcmpErrorKind {
    /// Destination unreachable.
    Unreachable,
    /// Too many hops.
    TimeExceeded,
    /// A header that somebody does not take.
    ParameterProblem,
}

/// An ICMP error. Anyone on the way may have sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IcmpError {
    /// Who says so.
    pub from: IpAddr,
    /// What kind of error.
    pub kind: IcmpErrorKind,
    /// The code; its meaning depends on kind and family.
    pub code: u8,
    /// Our packet that it is about.
    pub quoted: Quoted,
}

/// The beginning of a packet of ours, as an error quotes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quoted {
    /// Its source, which is also whom the error was sent to.
    pub source: IpAddr,
    /// Where it was going.
    pub target: IpAddr,
    /// What it was.
    pub kind: QuotedKind,
}

/// What a quoted packet was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotedKind {
    /// A TCP segment.
    Tcp {
        /// Our port.
        source_port: u16,
        /// Their port.
        target_port: u16,
        /// Our sequence number.
        seq: u32,
    },
    /// A UDP datagram.
    Udp {
        /// Our port.
        source_port: u16,
        /// Their port.
        target_port: u16,
    },
    /// An echo request.
    Echo {
        /// Our identifier.
        id: u16,
        /// Our sequence number.
        seq: u16,
    },
}

/// An echo reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EchoReply<'a> {
    /// Who answers.
    pub from: IpAddr,
    /// Us.
    pub to: IpAddr,
    /// Identifier.
    pub id: u16,
    /// Sequence number.
    pub seq: u16,
    /// What came back with it.
    pub data: &'a [u8],
}

/// An ARP request or reply for IPv4 over Ethernet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arp {
    /// Station of the sender; always one station.
    pub sender_mac: Mac,
    /// Address of the sender.
    pub sender: Ipv4Addr,
    /// Address asked for, or whom the reply is for.
    pub target: Ipv4Addr,
}

/// A neighbour solicitation that came from this link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Solicitation {
    /// Who asks.
    pub from: Ipv6Addr,
    /// For which address.
    pub target: Ipv6Addr,
    /// Station of who asks, if stated.
    pub mac: Option<Mac>,
}

/// A neighbour advertisement that came from this link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advertisement {
    /// Which address.
    pub target: Ipv6Addr,
    /// Its station, if stated; always one station.
    pub mac: Option<Mac>,
    /// True when it answers a solicitation.
    pub solicited: bool,
    /// True when it is a router.
    pub router: bool,
}

/// Why a frame is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Unseen {
    /// It ends before it should.
    #[error("truncated")]
    Truncated,
    /// A field has a value that it must not have.
    #[error("malformed")]
    Malformed,
    /// A part of a packet.
    #[error("a fragment")]
    Fragment,
    /// A checksum does not match.
    #[error("wrong checksum")]
    Checksum,
    /// More headers or options than are followed.
    #[error("too many headers")]
    Headers,
    /// Something else, perhaps right.
    #[error("nothing that answers a sweep")]
    Foreign,
}

/// Reads one Ethernet frame without its check sequence; bytes after the packet are padding.
pub fn see(frame: &[u8], checksums: Checksums) -> Result<Seen<'_>, Unseen> {
    let (ethernet, rest) = frame.split_at_checked(ETHERNET_BYTES).ok_or(Unseen::Truncated)?;
    let packet = match u16::from_be_bytes([ethernet[12], ethernet[13]]) {
        ETHERTYPE_IPV4 => ipv4(rest, Extent::Whole)?,
        ETHERTYPE_IPV6 => ipv6(rest, Extent::Whole)?,
        ETHERTYPE_ARP => return neighbour::arp(rest),
        _ => return Err(Unseen::Foreign),
    };
    carried(&packet, checksums == Checksums::Verify)
}

fn carried<'a>(packet: &Packet<'a>, verify: bool) -> Result<Seen<'a>, Unseen> {
    match (packet.protocol, packet.from) {
        (PROTOCOL_TCP, _) => transport::tcp(packet, verify),
        (PROTOCOL_UDP, _) => transport::udp(packet, verify),
        (PROTOCOL_ICMP, IpAddr::V4(_)) => icmp::v4(packet, verify),
        (PROTOCOL_ICMPV6, IpAddr::V6(_)) => icmp::v6(packet, verify),
        _ => Err(Unseen::Foreign),
    }
}
