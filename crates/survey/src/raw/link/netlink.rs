//! Asking the kernel about interfaces, addresses and routes (rtnetlink). It needs no privilege.

use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use kenshin_observation::Prefix;
use kenshin_wire::packet::Mac;
use socket2::{Domain, Protocol, Socket, Type};

use super::routes::{Hop, Route};

/// The kernel answers at once, or something is wrong.
const PATIENCE: Duration = Duration::from_secs(5);

/// Most bytes of one answer: a hundred thousand routes are some ten megabytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;

const HEADER_BYTES: usize = 16;
/// Marks a dump that changed while it was read.
const INTERRUPTED: u16 = libc::NLM_F_DUMP_INTR as u16;
const TRIES_MAX: usize = 5;

/// Say in which table a route was found.
const LOOKUP_TABLE: u32 = 0x1000;
/// Not a route but a cached answer.
const CLONED: u32 = 0x200;
const DEAD: u32 = 1;
const LINK_DOWN: u32 = 16;

/// An interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interface {
    pub(super) index: u32,
    pub(super) name: String,
    /// `ARPHRD_…`.
    pub(super) hardware: u16,
    pub(super) up: bool,
    pub(super) mac: Option<Mac>,
    pub(super) mtu: u32,
}

/// A conversation with the kernel.
#[derive(Debug)]
pub(super) struct Netlink {
    socket: Socket,
    sequence: u32,
}

impl Netlink {
    pub(super) fn open() -> io::Result<Self> {
        let protocol = Protocol::from(libc::NETLINK_ROUTE);
        let socket = Socket::new(Domain::from(libc::AF_NETLINK), Type::RAW, Some(protocol))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { socket, sequence: 0 })
    }

    pub(super) fn interfaces(&mut self) -> io::Result<Vec<Interface>> {
        let answers = self.dump(libc::RTM_GETLINK, &[0; 16])?;
        Ok(messages(&answers, libc::RTM_NEWLINK).filter_map(interface).collect())
    }

    /// Every address of this machine, with the index of its interface.
    pub(super) fn addresses(&mut self) -> io::Result<Vec<(IpAddr, u32)>> {
        let answers = self.dump(libc::RTM_GETADDR, &[0; 8])?;
        Ok(messages(&answers, libc::RTM_NEWADDR).filter_map(address).collect())
    }

    /// The table in which a packet from `source` to `target` through `interface` is routed, as the
    /// rules of this machine have it; `None` when there is no such route.
    pub(super) fn table(
        &mut self,
        source: IpAddr,
        target: IpAddr,
        interface: u32,
    ) -> io::Result<Option<u32>> {
        let mut body = vec![0; 12];
        body[0] = family(target);
        (body[1], body[2]) = (bits(target), bits(source));
        body[8..12].copy_from_slice(&LOOKUP_TABLE.to_ne_bytes());
        push(&mut body, libc::RTA_DST, &octets(target));
        push(&mut body, libc::RTA_SRC, &octets(source));
        push(&mut body, libc::RTA_OIF, &interface.to_ne_bytes());
        match self.ask(libc::RTM_GETROUTE, 0, &body) {
            Ok(answer) => {
                // In no table: the kernel guesses that the target is on the link.
                let found = messages(&answer, libc::RTM_NEWROUTE).find_map(table);
                Ok(found.filter(|&table| table != u32::from(libc::RT_TABLE_UNSPEC)))
            }
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENETUNREACH | libc::EHOSTUNREACH)) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The routes of one table of a family, with what they mean to `interface`.
    pub(super) fn routes(&mut self, v4: bool, table: u32, interface: u32) -> io::Result<Vec<Route>> {
        let mut body = vec![0; 12];
        body[0] = (if v4 { libc::AF_INET } else { libc::AF_INET6 }) as u8;
        let answers = self.dump(libc::RTM_GETROUTE, &body)?;
        Ok(messages(&answers, libc::RTM_NEWROUTE)
            .filter(|message| self::table(message) == Some(table))
            .filter_map(|message| route(message, v4, interface))
            .collect())
    }

    fn dump(&mut self, kind: u16, body: &[u8]) -> io::Result<Vec<u8>> {
        self.ask(kind, libc::NLM_F_DUMP as u16, body)
    }

    /// All messages of an answer, one after the other.
    fn ask(&mut self, kind: u16, flags: u16, body: &[u8]) -> io::Result<Vec<u8>> {
        for _ in 0..TRIES_MAX {
            self.sequence += 1;
            let mut request = Vec::with_capacity(HEADER_BYTES + body.len());
            request.extend(((HEADER_BYTES + body.len()) as u32).to_ne_bytes());
            request.extend(kind.to_ne_bytes());
            request.extend((libc::NLM_F_REQUEST as u16 | flags).to_ne_bytes());
            request.extend(self.sequence.to_ne_bytes());
            request.extend(0u32.to_ne_bytes());
            request.extend(body);
            self.socket.send(&request)?;
            if let Some(answer) = self.answer(flags != 0)? {
                return Ok(answer);
            }
        }
        Err(io::Error::other("the kernel's tables change faster than they are read"))
    }

    /// `None` when it has to be asked again.
    fn answer(&mut self, dump: bool) -> io::Result<Option<Vec<u8>>> {
        let mut all = Vec::new();
        let mut whole = true;
        let mut buffer = vec![0; 1 << 16];
        while all.len() < ANSWER_BYTES_MAX {
            let len = self.socket.read(&mut buffer)?;
            for message in Messages(&buffer[..len]) {
                // An answer to a question that was given up.
                if message.sequence != self.sequence {
                    continue;
                }
                whole &= message.flags & INTERRUPTED == 0;
                match i32::from(message.kind) {
                    libc::NLMSG_DONE => return Ok(whole.then_some(all)),
                    libc::NLMSG_ERROR => match number(message.body, 0) {
                        Some(0) => return Ok(whole.then_some(all)),
                        Some(code) => return Err(io::Error::from_raw_os_error((code as i32).wrapping_neg())),
                        None => return Err(io::Error::from(io::ErrorKind::InvalidData)),
                    },
                    _ => all.extend_from_slice(message.bytes),
                }
            }
            if !dump && !all.is_empty() {
                return Ok(whole.then_some(all));
            }
        }
        Err(io::Error::other("the kernel's tables are too large"))
    }
}

struct Message<'a> {
    bytes: &'a [u8],
    kind: u16,
    flags: u16,
    sequence: u32,
    body: &'a [u8],
}

/// Messages one after the other, each aligned to four bytes; ends at one that is cut.
struct Messages<'a>(&'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let len = number(self.0, 0)? as usize;
        let (kind, flags) = (half(self.0, 4)?, half(self.0, 6)?);
        let sequence = number(self.0, 8)?;
        let body = self.0.get(HEADER_BYTES..len)?;
        let (bytes, rest) = self.0.split_at(len.next_multiple_of(4).min(self.0.len()));
        self.0 = rest;
        Some(Message { bytes, kind, flags, sequence, body })
    }
}

/// Bodies of the messages of one kind.
fn messages(answers: &[u8], kind: u16) -> impl Iterator<Item = &[u8]> {
    Messages(answers).filter(move |message| message.kind == kind).map(|message| message.body)
}

/// Attributes after the fixed part of a message.
struct Attributes<'a>(&'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<(u16, &'a [u8])> {
        let (len, kind) = (usize::from(half(self.0, 0)?), half(self.0, 2)?);
        let value = self.0.get(4..len)?;
        self.0 = self.0.get(len.next_multiple_of(4)..).unwrap_or_default();
        // The upper two bits say how the value is coded.
        Some((kind & 0x3fff, value))
    }
}

fn find(message: &[u8], header_bytes: usize, kind: u16) -> Option<&[u8]> {
    Attributes(message.get(header_bytes..)?).find_map(|(found, value)| (found == kind).then_some(value))
}

fn interface(message: &[u8]) -> Option<Interface> {
    const HEADER_BYTES: usize = 16;
    let name = find(message, HEADER_BYTES, libc::IFLA_IFNAME)?;
    let mac = find(message, HEADER_BYTES, libc::IFLA_ADDRESS).and_then(|mac| mac.try_into().ok()).map(Mac);
    Some(Interface {
        index: number(message, 4)?,
        name: String::from_utf8_lossy(name.strip_suffix(&[0]).unwrap_or(name)).into_owned(),
        hardware: half(message, 2)?,
        up: number(message, 8)? & libc::IFF_UP as u32 != 0,
        mac,
        mtu: find(message, HEADER_BYTES, libc::IFLA_MTU).and_then(|mtu| number(mtu, 0))?,
    })
}

fn address(message: &[u8]) -> Option<(IpAddr, u32)> {
    const HEADER_BYTES: usize = 8;
    // On a point-to-point link the plain attribute is the other end.
    let addr = find(message, HEADER_BYTES, libc::IFA_LOCAL)
        .or_else(|| find(message, HEADER_BYTES, libc::IFA_ADDRESS))?;
    Some((ip(addr)?, number(message, 4)?))
}

const ROUTE_BYTES: usize = 12;

fn table(message: &[u8]) -> Option<u32> {
    let wide = find(message, ROUTE_BYTES, libc::RTA_TABLE).and_then(|table| number(table, 0));
    wide.or_else(|| message.get(4).map(|&table| u32::from(table)))
}

fn route(message: &[u8], v4: bool, interface: u32) -> Option<Route> {
    let (len, kind, flags) = (*message.get(1)?, *message.get(7)?, number(message, 8)?);
    if flags & (CLONED | DEAD | LINK_DOWN) != 0 {
        return None;
    }
    let base = match find(message, ROUTE_BYTES, libc::RTA_DST) {
        Some(addr) => ip(addr)?,
        None if v4 => Ipv4Addr::UNSPECIFIED.into(),
        None => Ipv6Addr::UNSPECIFIED.into(),
    };
    if base.is_ipv4() != v4 || len > bits(base) {
        return None;
    }
    let hop = match kind {
        libc::RTN_UNICAST => match find(message, ROUTE_BYTES, libc::RTA_MULTIPATH) {
            Some(ways) => multipath(ways, interface),
            None => way(message.get(ROUTE_BYTES..)?, interface),
        },
        libc::RTN_BLACKHOLE | libc::RTN_UNREACHABLE | libc::RTN_PROHIBIT => Hop::Nowhere,
        // Local, broadcast, multicast: nobody to be asked.
        _ => Hop::Nowhere,
    };
    let metric = find(message, ROUTE_BYTES, libc::RTA_PRIORITY).and_then(|metric| number(metric, 0));
    Some(Route { prefix: Prefix::containing(base, len), metric: metric.unwrap_or(0), hop })
}

/// Where the attributes of a route lead.
fn way(attributes: &[u8], interface: u32) -> Hop {
    if find(attributes, 0, libc::RTA_OIF).and_then(|index| number(index, 0)) != Some(interface) {
        return Hop::Nowhere;
    }
    gateway(attributes)
}

fn gateway(attributes: &[u8]) -> Hop {
    let plain = find(attributes, 0, libc::RTA_GATEWAY);
    // A gateway of the other family: its family, then its address.
    let via = || find(attributes, 0, libc::RTA_VIA).and_then(|via| via.get(2..));
    match plain.or_else(via).and_then(ip) {
        Some(gateway) => Hop::Gateway(gateway),
        None => Hop::OnLink,
    }
}

/// The first of several ways that leads through `interface`.
fn multipath(mut ways: &[u8], interface: u32) -> Hop {
    const HEADER_BYTES: usize = 8;
    while let (Some(len), Some(index)) = (half(ways, 0), number(ways, 4)) {
        let Some(attributes) = ways.get(HEADER_BYTES..usize::from(len)) else { break };
        let dead = u32::from(ways[2]) & (DEAD | LINK_DOWN) != 0;
        if index == interface && !dead {
            return gateway(attributes);
        }
        ways = ways.get(usize::from(len).next_multiple_of(4)..).unwrap_or_default();
    }
    Hop::Nowhere
}

fn push(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    body.extend(((4 + value.len()) as u16).to_ne_bytes());
    body.extend(kind.to_ne_bytes());
    body.extend(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

const fn family(addr: IpAddr) -> u8 {
    (if addr.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 }) as u8
}

const fn bits(addr: IpAddr) -> u8 {
    if addr.is_ipv4() { 32 } else { 128 }
}

fn octets(addr: IpAddr) -> Vec<u8> {
    match addr {
        IpAddr::V4(addr) => addr.octets().to_vec(),
        IpAddr::V6(addr) => addr.octets().to_vec(),
    }
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|half| u16::from_ne_bytes(*half))
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|number| u32::from_ne_bytes(*number))
}
