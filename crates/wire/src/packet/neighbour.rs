//! Who is that on the link: ARP (RFC 826) and neighbour discovery (RFC 4861).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::checksum::{fold, pseudo, sum};
use super::network::Packet;
use super::seen::{Advertisement, Arp, Solicitation};
use super::{ETHERNET_BYTES, ETHERTYPE_ARP, ETHERTYPE_IPV6, IPV6_BYTES, Mac, PROTOCOL_ICMPV6, Seen, Unseen};
use crate::reader::Reader;

/// Length of an ARP request.
pub const ARP_BYTES: usize = 42;

/// Length of a neighbour solicitation.
pub const SOLICITATION_BYTES: usize = 86;

pub(super) const SOLICITATION: u8 = 135;
pub(super) const ADVERTISEMENT: u8 = 136;

const OPTION_SOURCE_LINK: u8 = 1;
const OPTION_TARGET_LINK: u8 = 2;
/// Most options read in one message.
const OPTIONS_MAX: usize = 16;

const SOLICITED: u32 = 1 << 30;
const ROUTER: u32 = 1 << 31;

/// Asks everyone on the link who has `target`.
pub fn arp_request(mac: Mac, source: Ipv4Addr, target: Ipv4Addr) -> [u8; ARP_BYTES] {
    let mut frame = [0; ARP_BYTES];
    frame[..6].copy_from_slice(&Mac::BROADCAST.0);
    frame[6..12].copy_from_slice(&mac.0);
    frame[12..14].copy_from_slice(&ETHERTYPE_ARP.to_be_bytes());
    // Ethernet, IPv4, their address lengths, request.
    frame[14..22].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, 1]);
    frame[22..28].copy_from_slice(&mac.0);
    frame[28..32].copy_from_slice(&source.octets());
    frame[38..42].copy_from_slice(&target.octets());
    frame
}

/// Asks the group that `target` belongs to (its solicited-node address) who has it.
pub fn neighbour_solicitation(mac: Mac, source: Ipv6Addr, target: Ipv6Addr) -> [u8; SOLICITATION_BYTES] {
    const MESSAGE_BYTES: usize = SOLICITATION_BYTES - ETHERNET_BYTES - IPV6_BYTES;
    let [.., a, b, c] = target.octets();
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from(b) << 8 | u16::from(c));
    let mut frame = [0; SOLICITATION_BYTES];
    frame[..6].copy_from_slice(&[0x33, 0x33, 0xff, a, b, c]);
    frame[6..12].copy_from_slice(&mac.0);
    frame[12..14].copy_from_slice(&ETHERTYPE_IPV6.to_be_bytes());
    frame[14] = 0x60;
    frame[18..20].copy_from_slice(&(MESSAGE_BYTES as u16).to_be_bytes());
    // The hop limit proves that it comes from the link.
    (frame[20], frame[21]) = (PROTOCOL_ICMPV6, 255);
    frame[22..38].copy_from_slice(&source.octets());
    frame[38..54].copy_from_slice(&group.octets());
    let message = &mut frame[ETHERNET_BYTES + IPV6_BYTES..];
    message[0] = SOLICITATION;
    message[8..24].copy_from_slice(&target.octets());
    (message[24], message[25]) = (OPTION_SOURCE_LINK, 1);
    message[26..32].copy_from_slice(&mac.0);
    let total = pseudo(source.into(), group.into(), PROTOCOL_ICMPV6, MESSAGE_BYTES) + sum(message);
    message[2..4].copy_from_slice(&fold(total).to_be_bytes());
    frame
}

pub(super) fn arp(bytes: &[u8]) -> Result<Seen<'_>, Unseen> {
    let mut reader = Reader::new(bytes);
    let header = reader.take(6).ok_or(Unseen::Truncated)?;
    if header != [0, 1, 8, 0, 6, 4] {
        return Err(Unseen::Foreign);
    }
    let operation = reader.u16().ok_or(Unseen::Truncated)?;
    let sender_mac = mac(&mut reader)?;
    let sender = reader.u32().map(Ipv4Addr::from_bits).ok_or(Unseen::Truncated)?;
    reader.take(6).ok_or(Unseen::Truncated)?;
    let target = reader.u32().map(Ipv4Addr::from_bits).ok_or(Unseen::Truncated)?;
    let arp = Arp { sender_mac, sender, target };
    match operation {
        _ if !sender_mac.is_unicast() => Err(Unseen::Malformed),
        1 => Ok(Seen::ArpRequest(arp)),
        2 => Ok(Seen::ArpReply(arp)),
        _ => Err(Unseen::Foreign),
    }
}

/// A solicitation or advertisement whose checksum was looked at.
pub(super) fn discovery<'a>(packet: &Packet<'a>) -> Result<Seen<'a>, Unseen> {
    let IpAddr::V6(from) = packet.from else { return Err(Unseen::Malformed) };
    let mut reader = Reader::new(packet.payload);
    let (Some(kind), Some(code), Some(_)) = (reader.u8(), reader.u8(), reader.u16()) else {
        return Err(Unseen::Truncated);
    };
    // Both are what makes it impossible to send one from afar (RFC 4861 §7.1).
    if packet.hops_left != 255 || code != 0 {
        return Err(Unseen::Malformed);
    }
    let flags = reader.u32().ok_or(Unseen::Truncated)?;
    let target = reader.take(16).and_then(|bytes| bytes.try_into().ok()).ok_or(Unseen::Truncated)?;
    let target = Ipv6Addr::from_octets(target);
    if target.is_multicast() {
        return Err(Unseen::Malformed);
    }
    let options = &packet.payload[24..];
    if kind == SOLICITATION {
        let mac = link_option(options, OPTION_SOURCE_LINK)?;
        return Ok(Seen::Solicitation(Solicitation { from, target, mac }));
    }
    let mac = link_option(options, OPTION_TARGET_LINK)?;
    let (solicited, router) = (flags & SOLICITED != 0, flags & ROUTER != 0);
    Ok(Seen::Advertisement(Advertisement { target, mac, solicited, router }))
}

fn link_option(options: &[u8], wanted: u8) -> Result<Option<Mac>, Unseen> {
    let mut reader = Reader::new(options);
    for _ in 0..OPTIONS_MAX {
        let Some(kind) = reader.u8() else { return Ok(None) };
        let eights = reader.u8().ok_or(Unseen::Truncated)?;
        let rest = usize::from(eights).checked_mul(8).and_then(|len| len.checked_sub(2));
        let body = reader.take(rest.ok_or(Unseen::Malformed)?).ok_or(Unseen::Truncated)?;
        if kind == wanted && eights == 1 {
            let mac = mac(&mut Reader::new(body))?;
            return if mac.is_unicast() { Ok(Some(mac)) } else { Err(Unseen::Malformed) };
        }
    }
    Err(Unseen::Headers)
}

fn mac(reader: &mut Reader<'_>) -> Result<Mac, Unseen> {
    let bytes = reader.take(6).and_then(|bytes| bytes.try_into().ok()).ok_or(Unseen::Truncated)?;
    Ok(Mac(bytes))
}
