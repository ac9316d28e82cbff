//! TCP (RFC 9293) and UDP (RFC 768) headers: what answers a SYN or a datagram.

use super::checksum::{fold, pseudo, sum};
use super::network::Packet;
use super::seen::{Datagram, Flow, Reset, SynAck};
use super::{PROTOCOL_TCP, PROTOCOL_UDP, Seen, TCP_BYTES, UDP_BYTES, Unseen};
use crate::reader::Reader;

const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;
/// FIN, SYN, RST, ACK; the others say nothing about what a segment is.
const KIND: u8 = 0x01 | SYN | RST | ACK;

pub(super) fn tcp<'a>(packet: &Packet<'a>, verify: bool) -> Result<Seen<'a>, Unseen> {
    let header = packet.payload.first_chunk::<TCP_BYTES>().ok_or(Unseen::Truncated)?;
    let header_bytes = usize::from(header[12] >> 4) * 4;
    if header_bytes < TCP_BYTES {
        return Err(Unseen::Malformed);
    }
    let options = packet.payload.get(TCP_BYTES..header_bytes).ok_or(Unseen::Truncated)?;
    let kind = header[13] & KIND;
    if kind != SYN | ACK && kind & (SYN | RST) != RST {
        return Err(Unseen::Foreign);
    }
    check(packet, PROTOCOL_TCP, packet.payload, verify)?;
    let mut reader = Reader::new(header);
    let (Some(from_port), Some(to_port), Some(seq), Some(ack)) =
        (reader.u16(), reader.u16(), reader.u32(), reader.u32())
    else {
        return Err(Unseen::Truncated);
    };
    let flow = Flow { from: packet.from, from_port, to: packet.to, to_port };
    if kind & RST != 0 {
        return Ok(Seen::Reset(Reset { flow, seq, ack: (kind & ACK != 0).then_some(ack) }));
    }
    let window = u16::from_be_bytes([header[14], header[15]]);
    Ok(Seen::SynAck(SynAck { flow, seq, ack, window, options, hops_left: packet.hops_left }))
}

pub(super) fn udp<'a>(packet: &Packet<'a>, verify: bool) -> Result<Seen<'a>, Unseen> {
    let header = packet.payload.first_chunk::<UDP_BYTES>().ok_or(Unseen::Truncated)?;
    let mut reader = Reader::new(header);
    let (Some(from_port), Some(to_port), Some(len), Some(checksum)) =
        (reader.u16(), reader.u16(), reader.u16(), reader.u16())
    else {
        return Err(Unseen::Truncated);
    };
    let len = usize::from(len);
    if len < UDP_BYTES {
        return Err(Unseen::Malformed);
    }
    let datagram = packet.payload.get(..len).ok_or(Unseen::Truncated)?;
    match checksum {
        // None was made; IPv6 does not allow that (RFC 8200 §8.1).
        0 if packet.from.is_ipv6() => return Err(Unseen::Checksum),
        0 => {}
        _ => check(packet, PROTOCOL_UDP, datagram, verify)?,
    }
    let flow = Flow { from: packet.from, from_port, to: packet.to, to_port };
    Ok(Seen::Datagram(Datagram { flow, payload: &datagram[UDP_BYTES..] }))
}

/// Verifies a checksum over pseudo-header and bytes.
pub(super) fn check(packet: &Packet<'_>, protocol: u8, bytes: &[u8], verify: bool) -> Result<(), Unseen> {
    if verify && fold(pseudo(packet.from, packet.to, protocol, bytes.len()) + sum(bytes)) != 0 {
        return Err(Unseen::Checksum);
    }
    Ok(())
}
