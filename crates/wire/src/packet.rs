//! Frames on Ethernet: made for a sweep, and read from strangers.
//!
//! The way out is a template per source address and kind, made once: [`TcpTemplate`],
//! [`UdpTemplate`], [`EchoTemplate`]. Writing the frame for another target copies some 80 bytes and
//! completes the checksums from a sum that is already known (RFC 1071), a few tens of nanoseconds.
//! [`arp_request`] and [`neighbour_solicitation`] ask for the way to the first hop.
//!
//! The way in is [`see`]: a frame becomes one of the few things a sweep can use, [`Seen`], or the
//! reason why it does not, [`Unseen`].
//!
//! ```
//! use std::net::IpAddr;
//!
//! use kenshin_wire::packet::{Checksums, Hop, Mac, Ports, Seen, TcpTemplate, buffer, see};
//!
//! let us = Hop { mac: Mac([2, 0, 0, 0, 0, 1]), addr: "198.18.0.1".parse().unwrap() };
//! let them = Hop { mac: Mac([2, 0, 0, 0, 0, 2]), addr: "198.51.100.7".parse().unwrap() };
//! let mut frame = buffer();
//! let len = TcpTemplate::reset(&us).write(&mut frame, &them, Ports { source: 61_000, target: 23 }, 7);
//! let Ok(Seen::Reset(reset)) = see(&frame[..len], Checksums::Verify) else { panic!() };
//! assert_eq!((reset.flow.from, reset.seq, reset.ack), (us.addr, 7, None));
//! ```
//!
//! What it refuses to do: put fragments together, follow more than [`EXTENSIONS_MAX`] IPv6
//! extension headers, read tagged frames (802.1Q), and believe a checksum that does not match.

use std::fmt;
use std::net::IpAddr;

mod checksum;
mod icmp;
mod neighbour;
mod network;
mod seen;
mod template;
mod transport;

pub use neighbour::{ARP_BYTES, SOLICITATION_BYTES, arp_request, neighbour_solicitation};
pub use network::{EXTENSION_BYTES_MAX, EXTENSIONS_MAX};
pub use seen::{
    Advertisement, Arp, Checksums, Datagram, EchoReply, Flow, IcmpError, IcmpErrorKind, Quoted, QuotedKind,
    Reset, Seen, Solicitation, SynAck, Unseen, see,
};
pub use template::{EchoTemplate, HOPS, MSS_V4, MSS_V6, Ports, TcpTemplate, TooLong, UdpTemplate};

/// Longest frame written: 1,500 bytes after the Ethernet header, without its check sequence.
pub const FRAME_BYTES_MAX: usize = 1514;

/// Room for one frame to be written.
pub type Buffer = [u8; FRAME_BYTES_MAX];

/// An empty [`Buffer`].
pub const fn buffer() -> Buffer {
    [0; FRAME_BYTES_MAX]
}

const ETHERNET_BYTES: usize = 14;
const IPV4_BYTES: usize = 20;
const IPV6_BYTES: usize = 40;
const TCP_BYTES: usize = 20;
const UDP_BYTES: usize = 8;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_IPV6: u16 = 0x86dd;

const PROTOCOL_ICMP: u8 = 1;
const PROTOCOL_TCP: u8 = 6;
const PROTOCOL_UDP: u8 = 17;
const PROTOCOL_ICMPV6: u8 = 58;

/// An Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Every station on the link.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// True for the address of one station: neither a group's nor all zeros.
    pub fn is_unicast(self) -> bool {
        self.0[0] & 1 == 0 && self.0 != [0; 6]
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// One end of a frame: a station on the link, and the address that the packet carries. For a target
/// behind a gateway the station is the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hop {
    /// Station on the link.
    pub mac: Mac,
    /// Source or destination of the packet.
    pub addr: IpAddr,
}
