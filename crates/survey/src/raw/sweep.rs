//! The sweep itself: permits become frames, frames become answers.
//!
//! [`Sockets::open`] takes privilege, [`super::privilege::drop_all`] gives it up, and [`run`] then
//! does a survey with what was opened: the sweep over raw packets, the conversations with those who
//! answer over ordinary connections.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kenshin_mandate::Permit;
use kenshin_observation::{Clock, Endpoint, TimeUs, Transport};
use kenshin_wire::packet::{
    EchoTemplate, Hop as Station, IcmpErrorKind, Mac, Ports, Seen, TcpTemplate, UdpTemplate,
};
use sha2::{Digest, Sha256};

use super::guard::Guard;
use super::link::{self, Interface, Link, LinkError, Settings, Source};
use super::neighbour::{self, Due, Found, Limits, Neighbours};
use super::receive::Receive;
use super::transmit::{Frames, Transmit};
use super::validation::Validation;
use crate::run::front::{Emit, Emitted, Flushed, Heard};
use crate::run::sweeper::{Listen, Packets};
use crate::run::{Run, RunError, RunSummary, run_with_packets};
use crate::sweep::Reply;

/// A next hop is looked up again after this time.
const HOP_KNOWN_US: i64 = 1_000_000;

/// Stations that were heard of and not yet taken in, at most.
const STATIONS_MAX: usize = 4096;

/// Sockets of a raw sweep, opened with privilege and used without. One survey at a time has them.
#[derive(Clone)]
pub struct Sockets {
    shared: Arc<Shared>,
}

struct Shared {
    idle: Mutex<Idle>,
    settings: Settings,
    /// The kernel is silent on our ports as long as this lives.
    guard: Option<Guard>,
    notes: Vec<String>,
}

/// What no survey has at the moment.
#[derive(Default)]
struct Idle {
    outs: Option<Vec<Out>>,
    ins: Option<Vec<In>>,
}

impl Sockets {
    /// Opens raw sockets for every source address, and keeps the kernel silent on our ports. Takes
    /// CAP_NET_RAW and CAP_NET_ADMIN now; not later.
    pub fn open(settings: Settings) -> Result<Self, LinkError> {
        let links = link::open(&settings)?;
        let mut notes: Vec<String> = links
            .iter()
            .map(|link| {
                let chosen = link.transmit.chosen();
                format!("{}: sends with {} ({})", link.interface.name, chosen.engine, chosen.why)
            })
            .collect();
        let guard = match Guard::raise(&settings.sources, settings.ports) {
            Ok(guard) => Some(guard),
            Err(error) => {
                notes.push(error.to_string());
                None
            }
        };
        let (mut outs, mut ins) = (Vec::new(), Vec::new());
        for link in links {
            let Link { interface, sources, transmit, receive } = link;
            let stations = Arc::new(Mutex::new(Vec::new()));
            ins.push(In { receive, stations: Arc::clone(&stations), dropped: 0 });
            outs.push(Out::new(interface, sources, transmit, stations));
        }
        let idle = Mutex::new(Idle { outs: Some(outs), ins: Some(ins) });
        Ok(Self { shared: Arc::new(Shared { idle, settings, guard, notes }) })
    }

    /// What was chosen and what is lost, a sentence each.
    pub fn notes(&self) -> &[String] {
        &self.shared.notes
    }

    /// True when they send from each of these addresses.
    pub fn send_from(&self, sources: &[IpAddr]) -> bool {
        !sources.is_empty() && sources.iter().all(|source| self.shared.settings.sources.contains(source))
    }

    /// The sockets, until they are dropped; `None` while another survey has them.
    fn packets(&self, sources: &[IpAddr], seed: &[u8; 32], clock: Clock) -> Option<Packets> {
        let (outs, ins) = {
            let mut idle = self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner);
            match std::mem::take(&mut *idle) {
                Idle { outs: Some(outs), ins: Some(ins) } => (outs, ins),
                taken => {
                    *idle = taken;
                    return None;
                }
            }
        };
        let mut hash = Sha256::new_with_prefix(b"kenshin-validation\0");
        hash.update(seed);
        let key: [u8; 16] = hash.finalize()[..16].try_into().expect("half of 32 bytes");
        let validation = Validation::new(key, self.shared.settings.ports);
        let emit = Outs {
            outs,
            sources: sources.to_vec(),
            validation: validation.clone(),
            resets: self.shared.guard.is_some(),
            clock,
            owner: Arc::clone(&self.shared),
        };
        let listen = Ins { ins, validation, owner: Arc::clone(&self.shared) };
        Some(Packets { emit: Box::new(emit), listen: Box::new(listen) })
    }
}

/// Runs a survey like [`crate::run::run`], with a sweep over raw packets. While another survey has
/// the sockets it is refused as busy.
pub async fn run(run: Run, sockets: &Sockets) -> Result<RunSummary, RunError> {
    let sources = run.gate.lock().unwrap_or_else(PoisonError::into_inner).sensor().source_addresses.clone();
    let busy = || {
        RunError::Packets(io::Error::new(io::ErrorKind::ResourceBusy, "another survey has the raw sockets"))
    };
    let packets = sockets.packets(&sources, &run.settings.seed, Arc::clone(&run.clock)).ok_or_else(busy)?;
    run_with_packets(run, packets).await
}

type Stations = Arc<Mutex<Vec<(IpAddr, Mac)>>>;

/// One interface, outwards.
struct Out {
    interface: Interface,
    transmit: Transmit,
    ways: Vec<Way>,
    addresses: Vec<IpAddr>,
    /// Exchanges, in the order in which they were permitted.
    frames: Frames,
    /// What is no exchange of its own: questions for neighbours, and ends of what is half open.
    others: Frames,
    neighbours: Neighbours<()>,
    stations: Stations,
    /// The hop of the last packet, and until when it is taken for known.
    last: Option<(IpAddr, Mac, TimeUs)>,
}

/// A source address and its frames.
struct Way {
    source: Source,
    syn: TcpTemplate,
    reset: TcpTemplate,
    udp: UdpTemplate,
    echo: EchoTemplate,
}

impl Out {
    fn new(interface: Interface, sources: Vec<Source>, transmit: Transmit, stations: Stations) -> Self {
        let addresses = sources.iter().map(|source| source.addr).collect();
        let ways = sources
            .into_iter()
            .map(|source| {
                let from = Station { mac: interface.mac, addr: source.addr };
                Way {
                    syn: TcpTemplate::syn(&from),
                    reset: TcpTemplate::reset(&from),
                    udp: UdpTemplate::new(&from),
                    echo: EchoTemplate::new(&from),
                    source,
                }
            })
            .collect();
        Self {
            interface,
            transmit,
            ways,
            addresses,
            frames: Frames::default(),
            others: Frames::default(),
            neighbours: Neighbours::new(Limits::default()),
            stations,
            last: None,
        }
    }

    /// The station that takes packets for `target`; `Err` says what becomes of the ask.
    fn station(&mut self, way: usize, target: IpAddr, now: TimeUs) -> Result<Station, Emitted> {
        let hop = self.ways[way].source.routes.next_hop(target).ok_or(Emitted::NoWay("no-route"))?;
        if let Some((known, mac, until)) = self.last
            && known == hop
            && now < until
        {
            return Ok(Station { mac, addr: target });
        }
        match self.neighbours.find(hop, (), now) {
            Found::At(mac, ()) => {
                self.last = Some((hop, mac, now.plus_micros(HOP_KNOWN_US)));
                Ok(Station { mac, addr: target })
            }
            Found::Later | Found::Full(()) => Err(Emitted::Unresolved),
            Found::Dead(()) => Err(Emitted::Absent),
        }
    }

    /// Takes in what was heard of stations, and asks for those that are looked for.
    fn neighbours(&mut self, now: TimeUs) {
        let heard = std::mem::take(&mut *self.stations.lock().unwrap_or_else(PoisonError::into_inner));
        for (addr, mac) in heard {
            self.neighbours.heard(addr, mac, now);
        }
        while !self.others.is_full() {
            let Some(Due::Ask(addr)) = self.neighbours.due(now) else { break };
            let (mac, addresses) = (self.interface.mac, &self.addresses);
            if addresses.iter().any(|source| source.is_ipv4() == addr.is_ipv4()) {
                self.others.push(|out| {
                    neighbour::question(mac, addresses, addr, out).expect("there is a source of the family")
                });
            }
        }
    }

    fn flush(&mut self, now: TimeUs) -> Flushed {
        self.neighbours(now);
        if !self.others.is_empty() {
            self.transmit.send(&self.others);
            self.others.clear();
        }
        if self.frames.is_empty() {
            return Flushed::default();
        }
        let sent = self.transmit.send(&self.frames);
        self.frames.clear();
        Flushed { sent: sent.handed_over as u64, dropped: sent.dropped as u64 }
    }
}

/// Every interface, outwards.
struct Outs {
    outs: Vec<Out>,
    /// Those that the survey's mandate names; the sockets may send from more.
    sources: Vec<IpAddr>,
    owner: Arc<Shared>,
    validation: Validation,
    /// The kernel is kept silent, so that half-open connections are ours to end.
    resets: bool,
    clock: Clock,
}

impl Drop for Outs {
    fn drop(&mut self) {
        let outs = std::mem::take(&mut self.outs);
        self.owner.idle.lock().unwrap_or_else(PoisonError::into_inner).outs = Some(outs);
    }
}

impl Drop for Ins {
    fn drop(&mut self) {
        let ins = std::mem::take(&mut self.ins);
        self.owner.idle.lock().unwrap_or_else(PoisonError::into_inner).ins = Some(ins);
    }
}

impl Outs {
    /// The interface and source for a target: the first source of its family, as the mandate lists
    /// them.
    fn way(&self, target: IpAddr) -> Option<(usize, usize)> {
        let source = self.sources.iter().find(|source| source.is_ipv4() == target.is_ipv4())?;
        self.outs.iter().enumerate().find_map(|(out, o)| {
            let way = o.ways.iter().position(|way| way.source.addr == *source)?;
            Some((out, way))
        })
    }
}

impl Emit for Outs {
    fn ask(&mut self, permit: Permit, salt: u32) -> Emitted {
        let target = permit.endpoint();
        let Some((out, way)) = self.way(target.addr) else { return Emitted::NoWay("family") };
        let out = &mut self.outs[out];
        let to = match out.station(way, target.addr, permit.granted_at()) {
            Ok(to) => to,
            Err(emitted) => return emitted,
        };
        let Way { source, syn, udp, echo, .. } = &out.ways[way];
        let ours = match target.transport {
            Transport::Tcp => {
                let mark = self.validation.tcp(source.addr, target.addr, target.port, salt);
                out.frames.push(|buffer| syn.write(buffer, &to, mark.ports, mark.seq));
                mark.ports.source
            }
            Transport::Udp => {
                let ports = self.validation.udp(source.addr, target.addr, target.port, salt);
                let payload = super::payload::of(target.port);
                out.frames.push(|buffer| udp.write(buffer, &to, ports, payload).expect("payloads are short"));
                ports.source
            }
            Transport::Icmp => {
                let mark = self.validation.echo(source.addr, target.addr);
                out.frames.push(|buffer| echo.write(buffer, &to, mark.id, mark.seq, mark.data));
                0
            }
        };
        // Used up: the frame is built.
        drop(permit);
        Emitted::Sent(SocketAddr::new(source.addr, ours))
    }

    fn heard(&mut self, heard: &Heard) {
        let Heard { target, reply, vantage, .. } = *heard;
        if !self.resets || reply != Reply::Answered || target.transport != Transport::Tcp {
            return;
        }
        let Some((out, way)) = self.way(target.addr) else { return };
        let now = (self.clock)();
        let out = &mut self.outs[out];
        let Ok(to) = out.station(way, target.addr, now) else { return };
        let Way { source, reset, .. } = &out.ways[way];
        if source.addr != vantage.ip() {
            return;
        }
        let mark = self.validation.tcp(source.addr, target.addr, target.port, 0);
        let ports = Ports { source: vantage.port(), target: target.port };
        if out.others.is_full() {
            out.transmit.send(&out.others);
            out.others.clear();
        }
        out.others.push(|buffer| reset.write(buffer, &to, ports, mark.seq.wrapping_add(1)));
    }

    fn flush(&mut self) -> Flushed {
        let now = (self.clock)();
        self.outs.iter_mut().map(|out| out.flush(now)).fold(Flushed::default(), |sum, one| Flushed {
            sent: sum.sent + one.sent,
            dropped: sum.dropped + one.dropped,
        })
    }
}

/// One interface, inwards.
struct In {
    receive: Receive,
    stations: Stations,
    dropped: u64,
}

/// Every interface, inwards.
struct Ins {
    ins: Vec<In>,
    validation: Validation,
    owner: Arc<Shared>,
}

impl Listen for Ins {
    fn listen(&mut self, wait: Duration, now: &dyn Fn() -> TimeUs, into: &mut Vec<Heard>) -> io::Result<u64> {
        let each = wait / u32::try_from(self.ins.len().max(1)).unwrap_or(1);
        let mut missed = 0;
        for one in &mut self.ins {
            if let Some(block) = one.receive.block(each)? {
                let at = now();
                for seen in block.frames().filter_map(|frame| frame.seen().ok()) {
                    if let Some(told) = neighbour::told(&seen) {
                        let mut stations = one.stations.lock().unwrap_or_else(PoisonError::into_inner);
                        if stations.len() < STATIONS_MAX {
                            stations.push(told);
                        }
                        continue;
                    }
                    let Some(proven) = self.validation.judge(&seen) else { continue };
                    let reply = reply(&seen, proven.target);
                    into.push(Heard { target: proven.target, reply, vantage: proven.vantage, at });
                }
            }
            let dropped = one.receive.counts()?.dropped;
            missed += dropped - std::mem::replace(&mut one.dropped, dropped);
        }
        Ok(missed)
    }
}

/// What an answer means.
fn reply(seen: &Seen<'_>, target: Endpoint) -> Reply {
    let Seen::IcmpError(error) = seen else {
        return if matches!(seen, Seen::Reset(_)) { Reply::Refused } else { Reply::Answered };
    };
    let v4 = target.addr.is_ipv4();
    match (error.kind, v4, error.code) {
        // The host itself says that nobody listens: RFC 1122 §3.2.2.1, RFC 4443 §3.1.
        (IcmpErrorKind::Unreachable, true, 3) | (IcmpErrorKind::Unreachable, false, 4)
            if error.from == target.addr && target.transport == Transport::Udp =>
        {
            Reply::Refused
        }
        (IcmpErrorKind::Unreachable, true, 0 | 6 | 11) | (IcmpErrorKind::Unreachable, false, 0) => {
            Reply::Filtered("net-unreachable")
        }
        (IcmpErrorKind::Unreachable, true, 2) => Reply::Filtered("protocol-unreachable"),
        (IcmpErrorKind::Unreachable, true, 9 | 10 | 13) | (IcmpErrorKind::Unreachable, false, 1 | 5 | 6) => {
            Reply::Filtered("prohibited")
        }
        (IcmpErrorKind::Unreachable, _, _) => Reply::Filtered("host-unreachable"),
        (IcmpErrorKind::TimeExceeded, _, _) => Reply::Filtered("time-exceeded"),
        (IcmpErrorKind::ParameterProblem, _, _) => Reply::Filtered("protocol-unreachable"),
    }
}
