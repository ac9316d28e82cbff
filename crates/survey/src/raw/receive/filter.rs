//! What the kernel lets through to the ring: a program of the classic packet filter.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use kenshin_wire::packet::FRAME_BYTES_MAX;
use libc::{BPF_ABS, BPF_ALU, BPF_AND, BPF_B, BPF_H, BPF_IND, BPF_JA, BPF_JEQ, BPF_JGE, BPF_JGT, BPF_JMP};
use libc::{BPF_JSET, BPF_K, BPF_LD, BPF_LDX, BPF_MSH, BPF_RET, BPF_W};
use socket2::{SockFilter, Socket};

use crate::raw::validation::SourcePorts;

/// Most source addresses of one interface.
pub const SOURCES_MAX: usize = 64;

const REJECT: SockFilter = op(BPF_RET | BPF_K, 0);
/// A longer frame is cut; none that we ask for is.
const ACCEPT: SockFilter = op(BPF_RET | BPF_K, FRAME_BYTES_MAX as u32);

const ETHERTYPE_AT: u32 = 12;
const IPV4_AT: u32 = 14;
const IPV6_AT: u32 = 14;
const IPV6_BYTES: u32 = 40;

const SYN_ACK: u32 = 0x12;
const RST: u32 = 0x04;
/// More fragments, or an offset that is not zero.
const FRAGMENT: u32 = 0x3fff;
const ARP_REPLY: u32 = 2;

/// Echo reply, unreachable, time exceeded, parameter problem.
const ICMP_TYPES: [u32; 4] = [0, 3, 11, 12];
/// Unreachable, time exceeded, parameter problem, echo reply, neighbour advertisement.
const ICMPV6_TYPES: [u32; 5] = [1, 3, 4, 129, 136];
/// Hop-by-hop, routing and destination options; what is behind them we look at ourselves.
const EXTENSIONS: [u32; 3] = [0, 43, 60];

pub(super) fn attach(socket: &Socket, sources: &[IpAddr], ports: SourcePorts) -> io::Result<()> {
    socket.attach_filter(&program(sources, ports))
}

fn program(sources: &[IpAddr], ports: SourcePorts) -> Vec<SockFilter> {
    let v4: Vec<Ipv4Addr> = sources.iter().filter_map(|&addr| v4(addr)).collect();
    let v6: Vec<Ipv6Addr> = sources.iter().filter_map(|&addr| v6(addr)).collect();
    let mut all = Vec::new();
    // For this station, and in no virtual network.
    for property in [libc::SKF_AD_PKTTYPE, libc::SKF_AD_VLAN_TAG_PRESENT] {
        all.extend([load(BPF_W, (libc::SKF_AD_OFF + property) as u32), skip_if(BPF_JEQ, 0), REJECT]);
    }
    all.push(load(BPF_H, ETHERTYPE_AT));
    select(&mut all, [(0x0800, ipv4(&v4, ports)), (0x86dd, ipv6(&v6, ports)), (0x0806, arp())]);
    all
}

fn arp() -> Vec<SockFilter> {
    vec![load(BPF_H, 20), skip_if(BPF_JEQ, ARP_REPLY), REJECT, ACCEPT]
}

fn ipv4(sources: &[Ipv4Addr], ports: SourcePorts) -> Vec<SockFilter> {
    let mut all = vec![load(BPF_H, IPV4_AT + 6), skip_unless(BPF_JSET, FRAGMENT), REJECT];
    all.push(load(BPF_W, IPV4_AT + 16));
    for (n, source) in sources.iter().enumerate() {
        // Over the tests that follow, of two instructions each, and the rejection at their end.
        let behind = 2 * (sources.len() - 1 - n) + 1;
        all.extend([skip_unless(BPF_JEQ, source.to_bits()), jump(behind)]);
    }
    all.push(REJECT);
    // The index register holds the length of the header: loads relative to it begin behind it.
    all.extend([op(BPF_LDX | BPF_B | BPF_MSH, IPV4_AT), load(BPF_B, IPV4_AT + 9)]);
    let at = |width, offset| op(BPF_LD | BPF_IND | width, IPV4_AT + offset);
    let icmp = one_of(at(BPF_B, 0), &ICMP_TYPES);
    select(&mut all, [(6, tcp(at, ports)), (17, udp(at, ports)), (1, icmp)]);
    all
}

fn ipv6(sources: &[Ipv6Addr], ports: SourcePorts) -> Vec<SockFilter> {
    /// Four words, a load and a test each, and a jump.
    const TEST: usize = 9;
    let mut all = Vec::new();
    for (n, source) in sources.iter().enumerate() {
        let bits = source.to_bits();
        for word in 0..4 {
            let value = (bits >> (96 - 32 * word)) as u32;
            let next_source = (TEST - 2 * word - 2) as u8;
            all.push(load(BPF_W, IPV6_AT + 24 + 4 * word as u32));
            all.push(SockFilter::new((BPF_JMP | BPF_K | BPF_JEQ) as u16, 0, next_source, value));
        }
        all.push(jump(TEST * (sources.len() - 1 - n) + 1));
    }
    all.extend([REJECT, load(BPF_B, IPV6_AT + 6)]);
    let at = |width, offset| load(width, IPV6_AT + IPV6_BYTES + offset);
    let icmp = one_of(at(BPF_B, 0), &ICMPV6_TYPES);
    let extensions = EXTENSIONS.map(|kind| (kind, vec![ACCEPT]));
    let carried = [(6, tcp(at, ports)), (17, udp(at, ports)), (58, icmp)];
    select(&mut all, carried.into_iter().chain(extensions));
    all
}

/// `at` loads so many bytes at an offset in the segment.
fn tcp(at: impl Fn(u32, u32) -> SockFilter, ports: SourcePorts) -> Vec<SockFilter> {
    let mut all = to_ports(at(BPF_H, 2), ports);
    let flags = || at(BPF_B, 13);
    all.extend([flags(), op(BPF_ALU | BPF_AND | BPF_K, SYN_ACK), skip_unless(BPF_JEQ, SYN_ACK), ACCEPT]);
    all.extend([flags(), skip_if(BPF_JSET, RST), REJECT, ACCEPT]);
    all
}

fn udp(at: impl Fn(u32, u32) -> SockFilter, ports: SourcePorts) -> Vec<SockFilter> {
    let mut all = to_ports(at(BPF_H, 2), ports);
    all.push(ACCEPT);
    all
}

/// Goes on if the port that `load` loads is one of `ports`.
fn to_ports(load: SockFilter, ports: SourcePorts) -> Vec<SockFilter> {
    let (first, last) = ports.range().into_inner();
    vec![load, skip_if(BPF_JGE, first.into()), REJECT, skip_unless(BPF_JGT, last.into()), REJECT]
}

fn one_of(load: SockFilter, values: &[u32]) -> Vec<SockFilter> {
    let tests = values.iter().flat_map(|&value| [skip_unless(BPF_JEQ, value), ACCEPT]);
    std::iter::once(load).chain(tests).chain([REJECT]).collect()
}

/// Goes on with the part of the value that was loaded; each part ends with an answer.
fn select(all: &mut Vec<SockFilter>, parts: impl IntoIterator<Item = (u32, Vec<SockFilter>)>) {
    for (value, part) in parts {
        all.extend([skip_if(BPF_JEQ, value), jump(part.len())]);
        all.extend(part);
    }
    all.push(REJECT);
}

const fn op(code: u32, value: u32) -> SockFilter {
    SockFilter::new(code as u16, 0, 0, value)
}

const fn load(width: u32, at: u32) -> SockFilter {
    op(BPF_LD | BPF_ABS | width, at)
}

/// Over so many instructions.
const fn jump(over: usize) -> SockFilter {
    op(BPF_JMP | BPF_JA, over as u32)
}

/// Over the next instruction, if the test holds.
const fn skip_if(test: u32, value: u32) -> SockFilter {
    SockFilter::new((BPF_JMP | BPF_K | test) as u16, 1, 0, value)
}

/// Over the next instruction, if the test does not hold.
const fn skip_unless(test: u32, value: u32) -> SockFilter {
    SockFilter::new((BPF_JMP | BPF_K | test) as u16, 0, 1, value)
}

const fn v4(addr: IpAddr) -> Option<Ipv4Addr> {
    match addr {
        IpAddr::V4(addr) => Some(addr),
        IpAddr::V6(_) => None,
    }
}

const fn v6(addr: IpAddr) -> Option<Ipv6Addr> {
    match addr {
        IpAddr::V4(_) => None,
        IpAddr::V6(addr) => Some(addr),
    }
}

#[cfg(test)]
mod tests;
