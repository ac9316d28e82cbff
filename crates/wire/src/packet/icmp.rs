//! ICMP (RFC 792) and ICMPv6 (RFC 4443): echo replies, and errors with the packet they quote.

use super::checksum::{fold, sum};
use super::network::{Extent, Packet, ipv4, ipv6};
use super::seen::{EchoReply, IcmpError, IcmpErrorKind, Quoted, QuotedKind};
use super::transport::check;
use super::{PROTOCOL_ICMP, PROTOCOL_ICMPV6, PROTOCOL_TCP, PROTOCOL_UDP, Seen, Unseen, neighbour};
use crate::reader::Reader;

/// Type, code, checksum, and four bytes that depend on the type.
const HEADER_BYTES: usize = 8;

const ECHO_REQUEST_V4: u8 = 8;
const ECHO_REQUEST_V6: u8 = 128;

pub(super) fn v4<'a>(packet: &Packet<'a>, verify: bool) -> Result<Seen<'a>, Unseen> {
    let &[kind, code, ..] = packet.payload.first_chunk::<HEADER_BYTES>().ok_or(Unseen::Truncated)?;
    let error = match (kind, code) {
        (0, 0) => None,
        (3, _) => Some(IcmpErrorKind::Unreachable),
        (11, _) => Some(IcmpErrorKind::TimeExceeded),
        (12, _) => Some(IcmpErrorKind::ParameterProblem),
        _ => return Err(Unseen::Foreign),
    };
    if verify && fold(sum(packet.payload)) != 0 {
        return Err(Unseen::Checksum);
    }
    let Some(kind) = error else { return Ok(echo_reply(packet)) };
    let inner = ipv4(&packet.payload[HEADER_BYTES..], Extent::Quoted)?;
    error_about(packet, kind, code, &inner)
}

pub(super) fn v6<'a>(packet: &Packet<'a>, verify: bool) -> Result<Seen<'a>, Unseen> {
    let &[kind, code, ..] = packet.payload.first_chunk::<HEADER_BYTES>().ok_or(Unseen::Truncated)?;
    let error = match (kind, code) {
        (1, _) => Some(IcmpErrorKind::Unreachable),
        (3, _) => Some(IcmpErrorKind::TimeExceeded),
        (4, _) => Some(IcmpErrorKind::ParameterProblem),
        (129, 0) | (neighbour::SOLICITATION | neighbour::ADVERTISEMENT, _) => None,
        _ => return Err(Unseen::Foreign),
    };
    check(packet, PROTOCOL_ICMPV6, packet.payload, verify)?;
    match error {
        None if kind == 129 => Ok(echo_reply(packet)),
        None => neighbour::discovery(packet),
        Some(kind) => {
            let inner = ipv6(&packet.payload[HEADER_BYTES..], Extent::Quoted)?;
            error_about(packet, kind, code, &inner)
        }
    }
}

/// `packet` has at least [`HEADER_BYTES`].
fn echo_reply<'a>(packet: &Packet<'a>) -> Seen<'a> {
    let (header, data) = packet.payload.split_at(HEADER_BYTES);
    let (id, seq) = (u16::from_be_bytes([header[4], header[5]]), u16::from_be_bytes([header[6], header[7]]));
    Seen::EchoReply(EchoReply { from: packet.from, to: packet.to, id, seq, data })
}

fn error_about<'a>(
    outer: &Packet<'a>,
    kind: IcmpErrorKind,
    code: u8,
    inner: &Packet<'_>,
) -> Result<Seen<'a>, Unseen> {
    // Errors are for who sent the packet.
    if inner.from != outer.to {
        return Err(Unseen::Malformed);
    }
    // Eight bytes are always quoted; they hold the ports, and TCP's sequence number or the echo's ids.
    let mut reader = Reader::new(inner.payload);
    let (Some(first), Some(second)) = (reader.u32(), reader.u32()) else { return Err(Unseen::Truncated) };
    let (source_port, target_port) = ((first >> 16) as u16, first as u16);
    let quoted = match inner.protocol {
        PROTOCOL_TCP => QuotedKind::Tcp { source_port, target_port, seq: second },
        PROTOCOL_UDP => QuotedKind::Udp { source_port, target_port },
        PROTOCOL_ICMP if inner.payload[0] == ECHO_REQUEST_V4 => echo(second),
        PROTOCOL_ICMPV6 if inner.payload[0] == ECHO_REQUEST_V6 => echo(second),
        _ => return Err(Unseen::Foreign),
    };
    let quoted = Quoted { source: inner.from, target: inner.to, kind: quoted };
    Ok(Seen::IcmpError(IcmpError { from: outer.from, kind, code, quoted }))
}

const fn echo(ids: u32) -> QuotedKind {
    QuotedKind::Echo { id: (ids >> 16) as u16, seq: ids as u16 }
}
