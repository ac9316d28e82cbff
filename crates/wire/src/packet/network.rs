//! IPv4 (RFC 791) and IPv6 (RFC 8200) headers, down to what the packet carries.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::checksum::{fold, sum};
use super::{IPV4_BYTES, Unseen};
use crate::reader::Reader;

/// Most IPv6 extension headers followed.
pub const EXTENSIONS_MAX: usize = 4;

/// Most bytes of IPv6 extension headers followed.
pub const EXTENSION_BYTES_MAX: usize = 256;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;

/// More fragments, or an offset that is not zero.
const IPV4_FRAGMENT: u16 = 0x3fff;

/// What one packet carries, from whom to whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packet<'a> {
    pub(super) from: IpAddr,
    pub(super) to: IpAddr,
    pub(super) protocol: u8,
    pub(super) hops_left: u8,
    pub(super) payload: &'a [u8],
}

/// How much of a packet is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of it, and perhaps padding.
    Whole,
    /// The beginning, quoted in an ICMP error.
    Quoted,
}

pub(super) fn ipv4(bytes: &[u8], extent: Extent) -> Result<Packet<'_>, Unseen> {
    let header = bytes.first_chunk::<IPV4_BYTES>().ok_or(Unseen::Truncated)?;
    let header_bytes = usize::from(header[0] & 0x0f) * 4;
    if header[0] >> 4 != 4 || header_bytes < IPV4_BYTES {
        return Err(Unseen::Malformed);
    }
    // Options are passed over: at most 40 bytes, and none of them changes who speaks to whom.
    let header_whole = bytes.get(..header_bytes).ok_or(Unseen::Truncated)?;
    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if total < header_bytes {
        return Err(Unseen::Malformed);
    }
    let fragment = u16::from_be_bytes([header[6], header[7]]) & IPV4_FRAGMENT;
    if fragment != 0 {
        return Err(Unseen::Fragment);
    }
    let end = match extent {
        // What quotes a packet may have changed it: hops, and in some systems the length.
        Extent::Quoted => bytes.len(),
        Extent::Whole if total > bytes.len() => return Err(Unseen::Truncated),
        Extent::Whole if fold(sum(header_whole)) != 0 => return Err(Unseen::Checksum),
        Extent::Whole => total,
    };
    let addr = |at: usize| Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]);
    let from = addr(12);
    if from.is_multicast() || from.is_unspecified() || from.is_broadcast() {
        return Err(Unseen::Malformed);
    }
    Ok(Packet {
        from: from.into(),
        to: addr(16).into(),
        protocol: header[9],
        hops_left: header[8],
        payload: &bytes[header_bytes..end],
    })
}

pub(super) fn ipv6(bytes: &[u8], extent: Extent) -> Result<Packet<'_>, Unseen> {
    let mut reader = Reader::new(bytes);
    let (Some(first), Some(len), Some(mut protocol), Some(hops_left), Some(from), Some(to)) =
        (reader.u32(), reader.u16(), reader.u8(), reader.u8(), address(&mut reader), address(&mut reader))
    else {
        return Err(Unseen::Truncated);
    };
    // A mapped address on the wire would pass for that of an IPv4 host.
    if first >> 28 != 6 || from.is_multicast() || from.is_unspecified() || from.to_ipv4_mapped().is_some() {
        return Err(Unseen::Malformed);
    }
    let rest = reader.rest();
    let mut payload = match extent {
        Extent::Whole => rest.get(..usize::from(len)).ok_or(Unseen::Truncated)?,
        Extent::Quoted => rest,
    };
    let (mut followed, mut followed_bytes) = (0, 0);
    while matches!(protocol, HOP_BY_HOP | ROUTING | DESTINATION) {
        let [next, eights] = *payload.first_chunk().ok_or(Unseen::Truncated)?;
        let extension_bytes = 8 + usize::from(eights) * 8;
        (followed, followed_bytes) = (followed + 1, followed_bytes + extension_bytes);
        if followed > EXTENSIONS_MAX || followed_bytes > EXTENSION_BYTES_MAX {
            return Err(Unseen::Headers);
        }
        payload = payload.get(extension_bytes..).ok_or(Unseen::Truncated)?;
        protocol = next;
    }
    if protocol == FRAGMENT {
        return Err(Unseen::Fragment);
    }
    Ok(Packet { from: from.into(), to: to.into(), protocol, hops_left, payload })
}

fn address(reader: &mut Reader<'_>) -> Option<Ipv6Addr> {
    reader.take(16)?.try_into().ok().map(Ipv6Addr::from_octets)
}
