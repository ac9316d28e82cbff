//! Whoever answers is understood, and nobody else.

use std::collections::BTreeMap;
use std::net::{TcpListener, UdpSocket};

use kenshin_survey::raw::guard::Guard;
use kenshin_survey::raw::privilege;
use kenshin_wire::packet::{Buffer, EchoTemplate, Ports, TcpTemplate, UdpTemplate};

use super::*;

/// Listeners of the world, of both families; they are closed when dropped.
struct World {
    _tcp: TcpListener,
    udp: Vec<UdpSocket>,
}

impl World {
    fn new(pair: &Pair) -> Self {
        pair.inside("b", || Self {
            _tcp: TcpListener::bind("[::]:80").unwrap(),
            udp: ["198.18.3.4:5353", "[2001:db8:1::7]:5353"]
                .map(|addr| UdpSocket::bind(addr).unwrap())
                .into(),
        })
    }

    /// Answers one datagram on each socket.
    fn answer_datagrams(&self) {
        for socket in &self.udp {
            let mut got = [0; 100];
            let (len, from) = socket.recv_from(&mut got).unwrap();
            socket.send_to(&[b"you said ", &got[..len]].concat(), from).unwrap();
        }
    }
}

/// Everything a sweep may ask, to whoever there is; what each answered.
fn ask_everybody(sweeper: &mut Sweeper, world: &World) -> BTreeMap<String, String> {
    for target in ["198.18.3.4", "2001:db8:1::7", "198.19.5.1", "2001:db8:5::1"] {
        let target = addr(target);
        let (from, to) = (sweeper.source(target), sweeper.hop(target));
        let (validation, frames) = (&sweeper.validation, &mut sweeper.frames);
        let syn = TcpTemplate::syn(&from);
        for port in [80, 81] {
            let mark = validation.tcp(from.addr, target, port, 0);
            frames.push(|out| syn.write(out, &to, mark.ports, mark.seq));
        }
        let udp = UdpTemplate::new(&from);
        for port in [5353, 5354] {
            let ports = validation.udp(from.addr, target, port, 0);
            frames.push(|out| udp.write(out, &to, ports, b"hello").unwrap());
        }
        let mark = validation.echo(from.addr, target);
        frames.push(|out| EchoTemplate::new(&from).write(out, &to, mark.id, mark.seq, mark.data));
    }
    assert_eq!(sweeper.send(), Sent { handed_over: 20, ..Sent::default() });
    world.answer_datagrams();
    let mut answered = BTreeMap::new();
    for answer in sweeper.answers(20) {
        let proven = answer.proven.unwrap_or_else(|| panic!("{answer:?} proves nothing"));
        assert_eq!(proven.vantage.ip(), sweeper.source(proven.target.addr).addr);
        let twice = answered.insert(proven.target.to_string(), answer.text.clone());
        // SYN-ACKs come again until they are acknowledged or reset.
        assert!(twice.is_none() || answer.text == "syn-ack", "{answer:?}");
    }
    answered
}

const EXPECTED: &[(&str, &str)] = &[
    ("198.18.3.4:80/tcp", "syn-ack"),
    ("198.18.3.4:81/tcp", "reset"),
    ("198.18.3.4:5353/udp", "you said hello"),
    ("198.18.3.4:5354/udp", "Unreachable 3 by 198.18.3.4"),
    ("198.18.3.4:0/icmp", "echo"),
    ("[2001:db8:1::7]:80/tcp", "syn-ack"),
    ("[2001:db8:1::7]:81/tcp", "reset"),
    ("[2001:db8:1::7]:5353/udp", "you said hello"),
    ("[2001:db8:1::7]:5354/udp", "Unreachable 4 by 2001:db8:1::7"),
    ("[2001:db8:1::7]:0/icmp", "echo"),
    ("198.19.5.1:80/tcp", "Unreachable 1 by 198.19.0.2"),
    ("198.19.5.1:81/tcp", "Unreachable 1 by 198.19.0.2"),
    ("198.19.5.1:5353/udp", "Unreachable 1 by 198.19.0.2"),
    ("198.19.5.1:5354/udp", "Unreachable 1 by 198.19.0.2"),
    ("198.19.5.1:0/icmp", "Unreachable 1 by 198.19.0.2"),
    ("[2001:db8:5::1]:80/tcp", "Unreachable 1 by 2001:db8:ffff::2"),
    ("[2001:db8:5::1]:81/tcp", "Unreachable 1 by 2001:db8:ffff::2"),
    ("[2001:db8:5::1]:5353/udp", "Unreachable 1 by 2001:db8:ffff::2"),
    ("[2001:db8:5::1]:5354/udp", "Unreachable 1 by 2001:db8:ffff::2"),
    ("[2001:db8:5::1]:0/icmp", "Unreachable 1 by 2001:db8:ffff::2"),
];

fn everybody_is_understood(engine: Engine, test: &str) {
    let Some(pair) = Pair::new(test) else { return };
    let world = World::new(&pair);
    pair.inside("b", || {
        // All of it may be said at once.
        std::fs::write("/proc/sys/net/ipv4/icmp_ratelimit", "0").unwrap();
        std::fs::write("/proc/sys/net/ipv6/icmp/ratelimit", "0").unwrap();
        std::fs::write("/proc/sys/net/ipv4/icmp_ratemask", "0").unwrap();
    });
    pair.inside("a", || {
        let link = open(engine);
        assert_eq!(link.transmit.chosen().engine, engine);
        let mut guard =
            Guard::raise(&[addr(US_V4), addr(US_V6)], SourcePorts::default()).expect("the guard stands");
        // What is open goes on working without any privilege.
        privilege::drop_here().unwrap();
        assert!(matches!(link::open(&settings(engine)), Err(LinkError::Privilege(_))));
        let mut sweeper = Sweeper::new(link);
        let answered = ask_everybody(&mut sweeper, &world);
        let expected: BTreeMap<String, String> =
            EXPECTED.iter().map(|(target, answer)| ((*target).to_owned(), (*answer).to_owned())).collect();
        assert_eq!(answered, expected);
        assert!(guard.stands());
        let counts = sweeper.neighbours.counts();
        assert_eq!((counts.asked, counts.answered, counts.dead), (2, 2, 0), "one gateway of each family");
        assert_eq!(sweeper.link.receive.counts().unwrap().dropped, 0);
    });
}

#[test]
fn everybody_is_understood_with_af_packet() {
    everybody_is_understood(Engine::AfPacket, "everybody_is_understood_with_af_packet");
}

#[test]
fn everybody_is_understood_with_af_xdp() {
    everybody_is_understood(Engine::AfXdp, "everybody_is_understood_with_af_xdp");
}

/// Turns a SYN or RST that we would send to `port` into a segment of another kind.
fn altered(out: &mut Buffer, len: usize, header: usize, flags: u8, ack: u32) -> usize {
    out[header + 8..header + 12].copy_from_slice(&ack.to_be_bytes());
    out[header + 13] = flags;
    out[header + 16..header + 18].fill(0);
    // Pseudo-header: both addresses, then protocol and length.
    let mut sum = 6 + (len - header) as u32;
    let addresses = if header == 34 { 26..34 } else { 22..54 };
    for pair in out[addresses].chunks(2).chain(out[header..len].chunks(2)) {
        sum += u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u32::from(low));
    }
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    out[header + 16..header + 18].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    len
}

/// Somebody on the other side guesses: all of it arrives, and none of it is believed but what knows
/// the sequence number.
#[test]
fn forged_answers_prove_nothing() {
    let Some(pair) = Pair::new("forged_answers_prove_nothing") else { return };
    let mut sweeper = pair.inside("a", || Sweeper::new(open(Engine::AfPacket)));
    let (us, liar) = (addr(US_V4), addr("198.18.9.9"));
    let mark = sweeper.validation.tcp(us, liar, 80, 0);
    let udp = sweeper.validation.udp(us, liar, 53, 0);
    let echo = sweeper.validation.echo(us, liar);
    pair.inside("b", || {
        let mut links =
            link::open(&Settings { engine: Engine::AfPacket, ..Settings::new(vec![addr("198.19.0.2")]) })
                .unwrap();
        let from = Hop { mac: links[0].interface.mac, addr: liar };
        let to = Hop { mac: Mac([2, 0, 0, 0, 0, 0x0a]), addr: us };
        let syn = TcpTemplate::syn(&from);
        let mut frames = Frames::default();
        let to_us = |port| Ports { source: 80, target: port };
        for wrong in [0, mark.seq, mark.seq.wrapping_add(2), !mark.seq] {
            for flags in [0x12, 0x14] {
                // A RST may be one short.
                if (wrong, flags) != (mark.seq, 0x14) {
                    frames.push(|out| {
                        let len = syn.write(out, &to, to_us(mark.ports.source), 7);
                        altered(out, len, 34, flags, wrong)
                    });
                }
            }
        }
        frames.push(|out| {
            let len = syn.write(out, &to, to_us(before(mark.ports.source)), 7);
            altered(out, len, 34, 0x12, mark.seq.wrapping_add(1))
        });
        frames.push(|out| TcpTemplate::reset(&from).write(out, &to, to_us(mark.ports.source), mark.seq));
        let datagrams = UdpTemplate::new(&from);
        for (source, target) in [(53, before(udp.source)), (54, udp.source)] {
            frames.push(|out| datagrams.write(out, &to, Ports { source, target }, b"lie").unwrap());
        }
        // An echo request turned into a reply, with the identifiers and other data.
        frames.push(|out| {
            let len = EchoTemplate::new(&from).write(out, &to, echo.id, echo.seq, [0; 8]);
            out[34] = 0;
            let sum = u32::from(out[36]) << 8 | u32::from(out[37]);
            let sum = sum + 0x0800;
            out[36..38].copy_from_slice(&((sum & 0xffff) as u16 + (sum >> 16) as u16).to_be_bytes());
            len
        });
        // And the one that knows.
        frames.push(|out| {
            let len = syn.write(out, &to, to_us(mark.ports.source), 7);
            altered(out, len, 34, 0x12, mark.seq.wrapping_add(1))
        });
        assert_eq!(links[0].transmit.send(&frames).handed_over, 13);
    });
    let answers = pair.inside("a", || sweeper.answers(13));
    assert_eq!(answers.len(), 13, "{answers:#?}");
    let believed: Vec<&Answer> = answers.iter().filter(|answer| answer.proven.is_some()).collect();
    assert_eq!(believed.len(), 1, "{believed:#?}");
    assert_eq!(believed[0].ack, mark.seq.wrapping_add(1));
}

/// A source port that no exchange with the target has.
fn before(port: u16) -> u16 {
    let ports = SourcePorts::default().range();
    if port == *ports.start() { *ports.end() } else { port - 1 }
}

/// On the link itself: who is there answers, and who is not is dead after three questions.
#[test]
fn neighbours_on_the_link() {
    let Some(pair) = Pair::new("neighbours_on_the_link") else { return };
    pair.inside("b", || {
        nft(
            "table inet count { counter asked { }\n chain in { type filter hook input priority 0;\n \
             icmpv6 type nd-neighbor-solicit counter name asked\n }\n}",
        );
        nft("table arp count { counter asked { }\n chain in { type filter hook input priority 0;\n arp operation request counter name asked\n }\n}");
    });
    pair.inside("a", || {
        let mut sweeper = Sweeper::new(open(Engine::AfPacket));
        let there = Mac([2, 0, 0, 0, 0, 0x0b]);
        for (target, station) in [
            ("198.19.0.2", Some(there)),
            ("198.19.0.77", None),
            ("2001:db8:ffff::2", Some(there)),
            ("2001:db8:ffff::77", None),
        ] {
            assert_eq!(sweeper.station(addr(target)), station, "{target}");
        }
        let counts = sweeper.neighbours.counts();
        assert_eq!((counts.asked, counts.answered, counts.dead), (8, 2, 2));
        assert_eq!(sweeper.link.transmit.totals().handed_over, 8);
    });
}
