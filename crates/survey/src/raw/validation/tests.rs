use std::hash::Hasher;
use std::net::{Ipv4Addr, Ipv6Addr};

use kenshin_wire::packet::{Datagram, EchoReply, Flow, IcmpError, IcmpErrorKind, Quoted, Reset, SynAck};
use proptest::prelude::*;

use super::*;

fn validation(key: u8) -> Validation {
    Validation::new([key; 16], SourcePorts::default())
}

#[test]
#[expect(deprecated, reason = "the standard library's SipHash-2-4, as a reference")]
fn siphash_is_the_published_one() {
    let mut reference = std::hash::SipHasher::new_with_keys(3, u64::MAX);
    let words = [1, 0x0123_4567_89ab_cdef, 3, u64::MAX, 5];
    words.into_iter().for_each(|word| reference.write_u64(word));
    assert_eq!(siphash_2_4([3, u64::MAX], words), reference.finish());
}

#[test]
fn ranges_of_ports() {
    assert_eq!(SourcePorts::default().range(), 61_000..=65_535);
    assert!(SourcePorts::new(0, 5).is_err());
    assert!(SourcePorts::new(6, 5).is_err());
    let one = SourcePorts::new(7, 7).unwrap();
    assert_eq!((one.select(0, 0), one.select(u32::MAX, 0)), (7, 7));
    let all = SourcePorts::new(1, 65_535).unwrap();
    assert_eq!((all.select(0, 0), all.select(u32::MAX, 0)), (1, 65_535));
}

/// Every port of the range is used about as often as the others, and sequence numbers spread.
#[test]
fn marks_are_spread() {
    let validation = validation(1);
    let mut ports = vec![0u32; 4536];
    let mut buckets = [0u32; 64];
    for n in 0..453_600u32 {
        let mark = validation.tcp(Ipv4Addr::new(192, 0, 2, 1).into(), Ipv4Addr::from_bits(n).into(), 23, 0);
        ports[usize::from(mark.ports.source - 61_000)] += 1;
        buckets[(mark.seq >> 26) as usize] += 1;
    }
    // Poisson with mean 100; a count below 50 or above 160 has a chance below one in ten million.
    assert!(ports.iter().all(|count| (50..160).contains(count)));
    assert!(buckets.iter().all(|count| (6_700..7_480).contains(count)));
}

/// An answer as somebody makes it who sees our packets.
fn answers(
    validation: &Validation,
    source: IpAddr,
    target: IpAddr,
    port: u16,
) -> Vec<(Seen<'static>, Endpoint)> {
    let mark = validation.tcp(source, target, port, 0);
    let ports = validation.udp(source, target, port, 0);
    let echo = validation.echo(source, target);
    let flow = |to_port| Flow { from: target, from_port: port, to: source, to_port };
    let tcp = Endpoint::tcp(target, port);
    let udp = Endpoint::new(target, port, Transport::Udp);
    let icmp = Endpoint::new(target, 0, Transport::Icmp);
    let error = |kind| {
        let quoted = Quoted { source, target, kind };
        Seen::IcmpError(IcmpError { from: source, kind: IcmpErrorKind::Unreachable, code: 1, quoted })
    };
    let flow_tcp = flow(mark.ports.source);
    let reset = |ack| Seen::Reset(Reset { flow: flow_tcp, seq: 0, ack: Some(ack) });
    let data: &'static [u8] = Box::leak(Box::new(echo.data));
    vec![
        (
            Seen::SynAck(SynAck {
                flow: flow_tcp,
                seq: 9,
                ack: mark.seq.wrapping_add(1),
                window: 0,
                options: &[],
                hops_left: 60,
            }),
            tcp,
        ),
        (reset(mark.seq.wrapping_add(1)), tcp),
        (reset(mark.seq), tcp),
        (Seen::Datagram(Datagram { flow: flow(ports.source), payload: &[] }), udp),
        (Seen::EchoReply(EchoReply { from: target, to: source, id: echo.id, seq: echo.seq, data }), icmp),
        (error(QuotedKind::Tcp { source_port: mark.ports.source, target_port: port, seq: mark.seq }), tcp),
        (error(QuotedKind::Udp { source_port: ports.source, target_port: port }), udp),
        (error(QuotedKind::Echo { id: echo.id, seq: echo.seq }), icmp),
    ]
}

proptest! {
    #[test]
    fn who_saw_our_packets_is_believed(source: [u8; 16], target: [u8; 16], v4: bool, port: u16, key: u8) {
        let (source, target): (IpAddr, IpAddr) = if v4 {
            (<[u8; 4]>::try_from(&source[..4]).unwrap().into(), <[u8; 4]>::try_from(&target[..4]).unwrap().into())
        } else {
            (source.into(), target.into())
        };
        let mine = validation(key);
        for (seen, endpoint) in answers(&mine, source, target, port) {
            let proven = mine.judge(&seen).expect("an answer to our question");
            prop_assert_eq!(proven.target, endpoint);
            prop_assert_eq!(proven.vantage.ip(), source);
            prop_assert!(endpoint.transport == Transport::Icmp || mine.ports().contains(proven.vantage.port()));
            // Under another key the same is a forgery. A port alone proves little, as the table says.
            if endpoint.transport != Transport::Udp {
                prop_assert_eq!(validation(key ^ 1).judge(&seen), None);
            }
        }
    }
}

/// Every field that the mark covers, changed alone.
#[test]
fn forged_answers_are_not_believed() {
    let mine = validation(7);
    let source: IpAddr = Ipv4Addr::new(198, 18, 0, 1).into();
    let target: IpAddr = Ipv4Addr::new(198, 51, 100, 7).into();
    let other: IpAddr = Ipv4Addr::new(198, 51, 100, 8).into();
    let mark = mine.tcp(source, target, 80, 0);
    let flow = Flow { from: target, from_port: 80, to: source, to_port: mark.ports.source };
    let good = SynAck { flow, seq: 0, ack: mark.seq.wrapping_add(1), window: 0, options: &[], hops_left: 64 };
    assert!(mine.judge(&Seen::SynAck(good)).is_some());
    let ack = |ack| SynAck { ack, ..good };
    let flow = |flow| SynAck { flow, ..good };
    for forged in [
        ack(mark.seq),
        ack(mark.seq.wrapping_add(2)),
        ack(0),
        flow(Flow { from: other, ..good.flow }),
        flow(Flow { from_port: 81, ..good.flow }),
        flow(Flow { to: other, ..good.flow }),
        flow(Flow { to_port: good.flow.to_port ^ 1, ..good.flow }),
    ] {
        assert_eq!(mine.judge(&Seen::SynAck(forged)), None, "{forged:?}");
    }
    for ack in [None, Some(0), Some(mark.seq.wrapping_sub(1)), Some(mark.seq.wrapping_add(2))] {
        let forged = Reset { flow: good.flow, seq: 0, ack };
        assert_eq!(mine.judge(&Seen::Reset(forged)), None, "{ack:?}");
    }
    let echo = mine.echo(source, target);
    let (shorter, mut longer) = (&echo.data[..7], echo.data.to_vec());
    longer.push(0);
    let reply = EchoReply { from: target, to: source, id: echo.id, seq: echo.seq, data: &echo.data };
    assert!(mine.judge(&Seen::EchoReply(reply)).is_some());
    for forged in [
        EchoReply { data: shorter, ..reply },
        EchoReply { data: &longer, ..reply },
        EchoReply { id: echo.id ^ 1, ..reply },
        EchoReply { seq: echo.seq ^ 1, ..reply },
        EchoReply { from: other, ..reply },
    ] {
        assert_eq!(mine.judge(&Seen::EchoReply(forged)), None, "{forged:?}");
    }
    let tcp = |source_port, target_port, seq| QuotedKind::Tcp { source_port, target_port, seq };
    for (target, kind) in [
        (target, tcp(mark.ports.source, 80, mark.seq ^ 1)),
        (target, tcp(mark.ports.source ^ 1, 80, mark.seq)),
        (target, tcp(mark.ports.source, 81, mark.seq)),
        (other, tcp(mark.ports.source, 80, mark.seq)),
        (target, QuotedKind::Echo { id: echo.id ^ 1, seq: echo.seq }),
    ] {
        let quoted = Quoted { source, target, kind };
        let error = IcmpError { from: target, kind: IcmpErrorKind::TimeExceeded, code: 0, quoted };
        assert_eq!(mine.judge(&Seen::IcmpError(error)), None, "{error:?}");
    }
}

#[test]
fn transports_and_families_have_marks_of_their_own() {
    let mine = validation(2);
    let source: IpAddr = Ipv6Addr::LOCALHOST.into();
    let target: IpAddr = "2001:db8::1".parse().unwrap();
    let ports: Vec<u16> = (0..64).map(|port| mine.udp(source, target, port, 0).source).collect();
    let of_tcp: Vec<u16> = (0..64).map(|port| mine.tcp(source, target, port, 0).ports.source).collect();
    assert_ne!(ports, of_tcp);
    assert!(!format!("{mine:?}").contains("key"));
}
