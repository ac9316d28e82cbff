//! What is said to have been sent was sent; what is said to have been lost was lost.

use kenshin_survey::raw::receive::RING_BYTES_MIN;
use kenshin_survey::raw::transmit::Stop;
use kenshin_wire::packet::{Ports, TcpTemplate, UdpTemplate};

use super::*;

const SYNS: u32 = 100_000;

/// SYNs to ever new targets in 198.18.0.0/16, from number `first` on.
fn fill(frames: &mut Frames, syn: &TcpTemplate, gateway: Mac, first: u32, count: u32) {
    for n in first..first + count {
        let target =
            Hop { mac: gateway, addr: std::net::Ipv4Addr::from_bits(0xc612_0000 + n % 65_536).into() };
        let ports = Ports { source: 61_000, target: 1 + (n / 65_536) as u16 };
        frames.push(|out| syn.write(out, &target, ports, n));
    }
}

fn count_syns(pair: &Pair) {
    pair.inside("b", || {
        nft("table inet count { counter syns { }\n chain in { type filter hook prerouting \
             priority -500;\n tcp flags & (syn|ack|rst) == syn counter name syns drop\n }\n}");
    });
}

fn every_frame_is_counted(engine: Engine, test: &str) {
    let Some(pair) = Pair::new(test) else { return };
    count_syns(&pair);
    pair.inside("a", || {
        let mut sweeper = Sweeper::new(open(engine));
        let gateway = sweeper.station(addr("198.18.0.0")).unwrap();
        let asked = sweeper.link.transmit.totals().handed_over;
        let syn = TcpTemplate::syn(&sweeper.source(addr("198.18.0.0")));
        let mut first = 0;
        while first < SYNS {
            // Batches of every size.
            let count = (1 + first % FRAMES_MAX as u32).min(SYNS - first);
            fill(&mut sweeper.frames, &syn, gateway, first, count);
            let sent = sweeper.send();
            assert_eq!((sent.handed_over, sent.dropped, sent.stop), (count as usize, 0, None));
            first += count;
        }
        let totals = sweeper.link.transmit.totals();
        assert_eq!((totals.handed_over - asked, totals.dropped), (u64::from(SYNS), 0));
    });
    assert_eq!(pair.inside("b", || counter("syns")), u64::from(SYNS));
}

#[test]
fn every_frame_is_counted_with_af_packet() {
    every_frame_is_counted(Engine::AfPacket, "every_frame_is_counted_with_af_packet");
}

#[test]
fn every_frame_is_counted_with_af_xdp() {
    every_frame_is_counted(Engine::AfXdp, "every_frame_is_counted_with_af_xdp");
}

/// A cable that is pulled out, an interface that is down, and both back again: what was not handed
/// over never leaves later.
fn trouble_is_counted(engine: Engine, test: &str) {
    let Some(pair) = Pair::new(test) else { return };
    count_syns(&pair);
    let mut sweeper = pair.inside("a", || {
        let mut sweeper = Sweeper::new(open(engine));
        sweeper.station(addr("198.18.0.0")).unwrap();
        sweeper
    });
    let gateway = Mac([2, 0, 0, 0, 0, 0x0b]);
    let syn = TcpTemplate::syn(&sweeper.source(addr("198.18.0.0")));
    let mut send = |first, count| {
        fill(&mut sweeper.frames, &syn, gateway, first, count);
        sweeper.send()
    };
    let set =
        |side: &str, state: &str| pair.inside(side, || ip(&["link", "set", &format!("v{side}"), state]));
    assert_eq!(send(0, 100), Sent { handed_over: 100, ..Sent::default() });
    set("b", "down");
    let pulled = send(100, 100);
    assert_eq!((pulled.handed_over, pulled.dropped, pulled.stop), (0, 100, Some(Stop::NoRoom)));
    assert!(pulled.refused > 0);
    set("b", "up");
    assert_eq!(send(200, 100).handed_over, 100);
    set("a", "down");
    let down = send(300, 100);
    assert_eq!((down.handed_over, down.dropped, down.stop), (0, 100, Some(Stop::Failed(libc::ENETDOWN))));
    set("a", "up");
    assert_eq!(send(400, 256).handed_over, 256);
    assert_eq!(pair.inside("b", || counter("syns")), 100 + 100 + 256);
    let totals = sweeper.link.transmit.totals();
    assert_eq!(totals.dropped, 200);
}

#[test]
fn trouble_is_counted_with_af_packet() {
    trouble_is_counted(Engine::AfPacket, "trouble_is_counted_with_af_packet");
}

#[test]
fn trouble_is_counted_with_af_xdp() {
    trouble_is_counted(Engine::AfXdp, "trouble_is_counted_with_af_xdp");
}

/// A frame in the middle of a batch that the other side never takes: those before it were sent,
/// those behind it were not, and none of them twice.
fn a_refused_frame_stops_the_batch_where_it_is(engine: Engine, test: &str) {
    let Some(pair) = Pair::new(test) else { return };
    count_syns(&pair);
    let mut sweeper = pair.inside("a", || Sweeper::new(open(engine)));
    pair.inside("b", || ip(&["link", "set", "vb", "mtu", "200"]));
    let gateway = Mac([2, 0, 0, 0, 0, 0x0b]);
    let from = sweeper.source(addr("198.18.0.0"));
    let (syn, udp) = (TcpTemplate::syn(&from), UdpTemplate::new(&from));
    let to = Hop { mac: gateway, addr: addr("198.18.0.0") };
    let mut expected = 0;
    for before in [0, 1, 31, 32, 33, 100, 200] {
        // What was left behind when the interface went down must not be counted later.
        fill(&mut sweeper.frames, &syn, gateway, 0, 40);
        pair.inside("a", || ip(&["link", "set", "va", "down"]));
        assert_eq!((sweeper.send().handed_over, expected), (0, pair.inside("b", || counter("syns"))));
        pair.inside("a", || ip(&["link", "set", "va", "up"]));
        // A busy machine may use up the patience of a send before its batch has come so far; what it says
        // was handed over is true all the same.
        let mut tries = 0;
        loop {
            fill(&mut sweeper.frames, &syn, gateway, 0, before);
            let ports = Ports { source: 61_000, target: 53 };
            sweeper.frames.push(|out| udp.write(out, &to, ports, &[0; 300]).unwrap());
            fill(&mut sweeper.frames, &syn, gateway, 0, 50);
            let sent = sweeper.send();
            assert_eq!(
                (sent.handed_over + sent.dropped, sent.stop),
                (before as usize + 51, Some(Stop::NoRoom))
            );
            assert!(sent.handed_over <= before as usize, "{before}: {sent:?}");
            expected += sent.handed_over as u64;
            assert_eq!(pair.inside("b", || counter("syns")), expected, "{before}: {sent:?}");
            tries += 1;
            if sent.handed_over == before as usize {
                break;
            }
            assert!(tries < 5, "{before}: {sent:?}");
        }
    }
    fill(&mut sweeper.frames, &syn, gateway, 0, 256);
    assert_eq!(sweeper.send().handed_over, 256);
    assert_eq!(pair.inside("b", || counter("syns")), expected + 256);
}

#[test]
fn a_refused_frame_stops_the_batch_where_it_is_with_af_packet() {
    let test = "a_refused_frame_stops_the_batch_where_it_is_with_af_packet";
    a_refused_frame_stops_the_batch_where_it_is(Engine::AfPacket, test);
}

#[test]
fn a_refused_frame_stops_the_batch_where_it_is_with_af_xdp() {
    let test = "a_refused_frame_stops_the_batch_where_it_is_with_af_xdp";
    a_refused_frame_stops_the_batch_where_it_is(Engine::AfXdp, test);
}

#[test]
fn engines_are_chosen_and_say_why() {
    let Some(pair) = Pair::new("engines_are_chosen_and_say_why") else { return };
    pair.inside("a", || {
        let first = open(Engine::Auto);
        assert_eq!(first.transmit.chosen().engine, Engine::AfXdp, "{}", first.transmit.chosen().why);
        // The cable has one queue, and it is taken.
        let second = open(Engine::Auto);
        let chosen = second.transmit.chosen();
        assert_eq!(chosen.engine, Engine::AfPacket);
        assert!(chosen.why.starts_with("AF_XDP does not work here: "), "{}", chosen.why);
        for (engine, errno) in [(Engine::AfXdp, libc::EBUSY), (Engine::AfXdpZeroCopy, libc::EBUSY)] {
            let refused = link::open(&settings(engine)).unwrap_err();
            let LinkError::Socket { interface, direction: "send", source } = refused else {
                panic!("{refused}")
            };
            assert_eq!((interface.as_str(), source.raw_os_error()), ("va", Some(errno)));
        }
        drop(first);
        assert_eq!(open(Engine::Auto).transmit.chosen().engine, Engine::AfXdp);
        let refused = link::open(&settings(Engine::AfXdpZeroCopy)).unwrap_err();
        let LinkError::Socket { source, .. } = refused else { panic!("{refused}") };
        assert_eq!(
            source.raw_os_error(),
            Some(libc::EOPNOTSUPP),
            "a cable has no hardware to read our memory"
        );
    });
}

/// Answers that nobody reads in time are lost, and the ring says how many.
#[test]
fn a_full_ring_counts_what_it_loses() {
    const ANSWERS: u64 = 40_000;
    let Some(pair) = Pair::new("a_full_ring_counts_what_it_loses") else { return };
    let mut sweeper = pair.inside("a", || {
        let small = Settings { ring_bytes: RING_BYTES_MIN, ..settings(Engine::AfPacket) };
        Sweeper::new(link::open(&small).unwrap().remove(0))
    });
    pair.inside("b", || {
        let mut links = link::open(&Settings::new(vec![addr("198.19.0.2")])).unwrap();
        let reset = TcpTemplate::reset(&links[0].station(addr("198.18.0.1")));
        let to = Hop { mac: Mac([2, 0, 0, 0, 0, 0x0a]), addr: addr(US_V4) };
        let mut frames = Frames::default();
        for n in 0..ANSWERS {
            frames.push(|out| reset.write(out, &to, Ports { source: 80, target: 61_000 }, n as u32));
            if frames.is_full() || n + 1 == ANSWERS {
                assert_eq!(links[0].transmit.send(&frames).dropped, 0);
                frames.clear();
            }
        }
    });
    let read = sweeper.answers(usize::MAX).len() as u64;
    let counts = sweeper.link.receive.counts().unwrap();
    assert_eq!((counts.passed, counts.passed - counts.dropped), (ANSWERS, read));
    assert!(counts.dropped > 0 && read > 0, "{counts:?}");
}
