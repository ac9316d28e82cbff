//! Frames: captured ones and what they mean, damaged ones, and those that we make.

use std::net::{IpAddr, Ipv6Addr};

use kenshin_wire::packet::*;
use proptest::prelude::*;

use crate::transcript;

/// What was captured between two Linux systems, and what it says.
const CAPTURED: &[(&str, &str)] = &[
    (
        "syn-ack-v4",
        "syn-ack 198.18.3.4:80 > 198.19.0.1:61234 seq 2819576988 ack 3687893226 window 65160 options 20",
    ),
    ("reset-v4", "reset 198.18.3.4:81 > 198.19.0.1:61235 seq 0 ack Some(2077951987)"),
    (
        "syn-ack-v6",
        "syn-ack [2001:db8:1::77]:80 > [2001:db8:ffff::1]:61236 seq 3115284826 ack 3054299791 window 64260 options 20",
    ),
    ("reset-v6", "reset [2001:db8:1::77]:81 > [2001:db8:ffff::1]:61237 seq 0 ack Some(357946623)"),
    ("udp-v4", "datagram 198.18.3.4:5353 > 198.19.0.1:49245 answer to hello?"),
    ("udp-refused-v4", "198.18.3.4 says Unreachable 3: 198.19.0.1 > 198.18.3.4 udp 54740 > 5354"),
    (
        "udp-refused-v6",
        "2001:db8:ffff::2 says Unreachable 4: 2001:db8:ffff::1 > 2001:db8:1::77 udp 49625 > 5354",
    ),
    ("echo-v4", "echo 198.18.3.4 > 198.19.0.1 id 4660 seq 7 kenshin!"),
    ("echo-v6", "echo 2001:db8:1::77 > 2001:db8:ffff::1 id 4660 seq 7 kenshin!"),
    (
        "host-unreachable-v4",
        "198.19.0.2 says Unreachable 1: 198.19.0.1 > 198.19.5.1 tcp 61238 > 80 seq 959979323",
    ),
    (
        "prohibited-v4",
        "198.19.0.2 says Unreachable 13: 198.19.0.1 > 198.19.6.1 tcp 61239 > 80 seq 2311699749",
    ),
    (
        "no-route-v6",
        "2001:db8:ffff::2 says Unreachable 0: 2001:db8:ffff::1 > 2001:db8:5::1 tcp 61240 > 80 seq 3109580845",
    ),
    (
        "prohibited-v6",
        "2001:db8:ffff::2 says Unreachable 1: 2001:db8:ffff::1 > 2001:db8:6::1 tcp 61241 > 80 seq 3106348970",
    ),
    (
        "time-exceeded-v4",
        "198.19.0.2 says TimeExceeded 0: 198.19.0.1 > 198.19.7.1 tcp 61242 > 80 seq 1077242302",
    ),
    ("echo-time-exceeded-v4", "198.19.0.2 says TimeExceeded 0: 198.19.0.1 > 198.19.7.1 echo 4660 7"),
    ("echo-no-route-v6", "2001:db8:ffff::2 says Unreachable 0: 2001:db8:ffff::1 > 2001:db8:7::1 echo 4660 7"),
    ("arp-request", "arp 198.19.0.1 at 02:00:00:00:00:0a asks 198.19.0.2"),
    ("arp-reply", "arp 198.19.0.2 at 02:00:00:00:00:0b tells 198.19.0.1"),
    ("solicitation", "solicitation 2001:db8:ffff::1 at Some(02:00:00:00:00:0a) asks 2001:db8:ffff::2"),
    ("advertisement", "advertisement 2001:db8:ffff::2 at Some(02:00:00:00:00:0b) solicited true router true"),
    ("advertisement-without-mac", "advertisement fe80::ff:fe00:b at None solicited true router true"),
    ("syn", "nothing that answers a sweep"),
];

/// A frame's meaning in one line, without the hops it had left.
fn shown(seen: Result<Seen<'_>, Unseen>) -> String {
    let flow = |flow: Flow| {
        let socket = |addr, port| std::net::SocketAddr::new(addr, port);
        format!("{} > {}", socket(flow.from, flow.from_port), socket(flow.to, flow.to_port))
    };
    let mac = |mac: Option<Mac>| mac.map_or("None".to_owned(), |mac| format!("Some({mac})"));
    match seen {
        Err(unseen) => unseen.to_string(),
        Ok(Seen::SynAck(s)) => format!(
            "syn-ack {} seq {} ack {} window {} options {}",
            flow(s.flow),
            s.seq,
            s.ack,
            s.window,
            s.options.len()
        ),
        Ok(Seen::Reset(r)) => format!("reset {} seq {} ack {:?}", flow(r.flow), r.seq, r.ack),
        Ok(Seen::Datagram(d)) => {
            format!("datagram {} {}", flow(d.flow), String::from_utf8_lossy(d.payload))
        }
        Ok(Seen::EchoReply(e)) => {
            let data = String::from_utf8_lossy(e.data);
            format!("echo {} > {} id {} seq {} {data}", e.from, e.to, e.id, e.seq)
        }
        Ok(Seen::IcmpError(e)) => {
            let what = match e.quoted.kind {
                QuotedKind::Tcp { source_port, target_port, seq } => {
                    format!("tcp {source_port} > {target_port} seq {seq}")
                }
                QuotedKind::Udp { source_port, target_port } => format!("udp {source_port} > {target_port}"),
                QuotedKind::Echo { id, seq } => format!("echo {id} {seq}"),
            };
            let Quoted { source, target, .. } = e.quoted;
            format!("{} says {:?} {}: {source} > {target} {what}", e.from, e.kind, e.code)
        }
        Ok(Seen::ArpRequest(a)) => format!("arp {} at {} asks {}", a.sender, a.sender_mac, a.target),
        Ok(Seen::ArpReply(a)) => format!("arp {} at {} tells {}", a.sender, a.sender_mac, a.target),
        Ok(Seen::Solicitation(s)) => {
            format!("solicitation {} at {} asks {}", s.from, mac(s.mac), s.target)
        }
        Ok(Seen::Advertisement(a)) => format!(
            "advertisement {} at {} solicited {} router {}",
            a.target,
            mac(a.mac),
            a.solicited,
            a.router
        ),
    }
}

fn frame(name: &str) -> Vec<u8> {
    transcript(&format!("frame-{name}"))
}

fn meaning(frame: &[u8]) -> String {
    shown(see(frame, Checksums::Verify))
}

#[test]
fn captured_frames_mean_what_they_say() {
    for (name, expected) in CAPTURED {
        assert_eq!(meaning(&frame(name)), *expected, "{name}");
    }
}

#[test]
fn padding_changes_nothing_and_a_missing_byte_everything() {
    for (name, expected) in CAPTURED.iter().filter(|(name, _)| *name != "syn") {
        let whole = frame(name);
        let padded = [whole.as_slice(), &[0xa5; 7]].concat();
        assert_eq!(meaning(&padded), *expected, "{name}");
        for len in 0..whole.len() {
            assert_eq!(see(&whole[..len], Checksums::Trust), Err(Unseen::Truncated), "{name} {len}");
        }
    }
}

/// Whatever bit is wrong after the Ethernet header: the frame is refused, or the bit means nothing
/// to us. ARP has no checksum.
#[test]
fn a_single_wrong_bit_never_becomes_another_answer() {
    let checked = CAPTURED.iter().filter(|(name, _)| *name != "syn" && !name.starts_with("arp"));
    for (name, expected) in checked {
        let whole = frame(name);
        let mut survived = 0;
        for bit in 14 * 8..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            if let Ok(seen) = see(&damaged, Checksums::Verify) {
                assert_eq!(shown(Ok(seen)), *expected, "{name}, byte {}", bit / 8);
                survived += 1;
            }
        }
        // Traffic class, flow label and hop limit of IPv6 are under no checksum.
        assert!(survived <= if name.contains("v4") { 0 } else { 36 }, "{name}: {survived}");
    }
}

#[test]
fn checksums_are_left_alone_where_the_kernel_vouches_for_them() {
    for (name, expected) in [CAPTURED[0], CAPTURED[4]] {
        let mut frame = frame(name);
        let checksum = if name.starts_with("udp") { 40 } else { 50 };
        frame[checksum] ^= 0x55;
        assert_eq!(see(&frame, Checksums::Verify), Err(Unseen::Checksum), "{name}");
        assert_eq!(shown(see(&frame, Checksums::Trust)), expected);
    }
    // The IPv4 header is small, and nothing is left to hardware there.
    let mut frame = frame("syn-ack-v4");
    frame[22] -= 1;
    assert_eq!(see(&frame, Checksums::Trust), Err(Unseen::Checksum));
}

#[test]
fn a_datagram_without_checksum_is_good_over_ipv4_only() {
    let mut v4 = frame("udp-v4");
    v4[40..42].fill(0);
    assert_eq!(meaning(&v4), "datagram 198.18.3.4:5353 > 198.19.0.1:49245 answer to hello?");
    let mut v6 = buffer();
    let len = UdpTemplate::new(&hop(V6_US)).write(&mut v6, &hop(V6_THEM), PORTS, b"x").unwrap();
    assert!(see(&v6[..len], Checksums::Verify).is_ok());
    v6[60..62].fill(0);
    assert_eq!(see(&v6[..len], Checksums::Trust), Err(Unseen::Checksum));
}

/// As RFC 1071 states it: one word after the other.
fn slow_checksum(parts: &[&[u8]]) -> u16 {
    let mut total = 0u32;
    for part in parts {
        for pair in part.chunks(2) {
            total += u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u32::from(low));
            total = (total & 0xffff) + (total >> 16);
        }
    }
    !(total as u16)
}

fn renew_ipv4_checksum(frame: &mut [u8]) {
    frame[24..26].fill(0);
    let end = 14 + usize::from(frame[14] & 15) * 4;
    let checksum = slow_checksum(&[&frame[14..end]]);
    frame[24..26].copy_from_slice(&checksum.to_be_bytes());
}

#[test]
fn fragments_are_refused() {
    for field in [0x2000u16, 0x0001, 0x1fff, 0x3fff, 0x6001] {
        let mut frame = frame("syn-ack-v4");
        frame[20..22].copy_from_slice(&field.to_be_bytes());
        renew_ipv4_checksum(&mut frame);
        assert_eq!(see(&frame, Checksums::Verify), Err(Unseen::Fragment), "{field:#x}");
    }
    let extended = with_extensions(&[(44, 8)]);
    assert_eq!(see(&extended, Checksums::Verify), Err(Unseen::Fragment));
    let extended = with_extensions(&[(0, 8), (44, 8)]);
    assert_eq!(see(&extended, Checksums::Verify), Err(Unseen::Fragment));
}

#[test]
fn ipv4_options_are_passed_over() {
    let whole = frame("syn-ack-v4");
    for words in 1..=10u8 {
        let mut frame = [&whole[..34], &vec![1; usize::from(words) * 4], &whole[34..]].concat();
        frame[14] = 0x45 + words;
        let total = (frame.len() - 14) as u16;
        frame[16..18].copy_from_slice(&total.to_be_bytes());
        renew_ipv4_checksum(&mut frame);
        assert_eq!(meaning(&frame), CAPTURED[0].1, "{words}");
        frame[14] = 0x44;
        assert_eq!(see(&frame, Checksums::Verify), Err(Unseen::Malformed));
    }
}

/// The captured SYN-ACK over IPv6, behind extension headers of these kinds and lengths.
fn with_extensions(extensions: &[(u8, usize)]) -> Vec<u8> {
    let mut frame = frame("syn-ack-v6");
    for &(kind, len) in extensions.iter().rev() {
        let mut header = vec![0; len];
        (header[0], header[1]) = (frame[20], (len / 8 - 1) as u8);
        frame[20] = kind;
        frame.splice(54..54, header);
    }
    let len = (frame.len() - 54) as u16;
    frame[18..20].copy_from_slice(&len.to_be_bytes());
    frame
}

#[test]
fn ipv6_extension_headers_are_followed_within_limits() {
    let expected = CAPTURED[2].1;
    assert_eq!(EXTENSIONS_MAX, 4);
    for good in [&[(0, 8)][..], &[(60, 256)], &[(43, 24), (60, 8)], &[(0, 64), (60, 64), (43, 64), (60, 64)]]
    {
        assert_eq!(meaning(&with_extensions(good)), expected, "{good:?}");
    }
    for bad in [&[(60, 264)][..], &[(0, 8), (60, 256)], &[(60, 8); 5], &[(60, 8); 100]] {
        assert_eq!(see(&with_extensions(bad), Checksums::Verify), Err(Unseen::Headers), "{bad:?}");
    }
    // A length that points behind the packet.
    let mut beyond = with_extensions(&[(60, 8)]);
    beyond[55] = 20;
    assert_eq!(see(&beyond, Checksums::Verify), Err(Unseen::Truncated));
}

#[test]
fn senders_that_are_nobody_are_refused() {
    for from in [[224, 0, 0, 1], [0, 0, 0, 0], [255, 255, 255, 255]] {
        let mut frame = frame("echo-v4");
        frame[26..30].copy_from_slice(&from);
        renew_ipv4_checksum(&mut frame);
        assert_eq!(see(&frame, Checksums::Trust), Err(Unseen::Malformed), "{from:?}");
    }
    for from in ["ff02::1", "::", "::ffff:198.18.3.4"] {
        let mut frame = frame("echo-v6");
        frame[22..38].copy_from_slice(&from.parse::<Ipv6Addr>().unwrap().octets());
        assert_eq!(see(&frame, Checksums::Trust), Err(Unseen::Malformed), "{from}");
    }
    for mac in [[0xff; 6], [0; 6], [1, 0, 0, 0, 0, 0]] {
        let mut frame = frame("arp-reply");
        frame[22..28].copy_from_slice(&mac);
        assert_eq!(see(&frame, Checksums::Verify), Err(Unseen::Malformed), "{mac:?}");
    }
}

#[test]
fn an_error_about_somebody_elses_packet_is_refused() {
    // The quoted source of an ICMP error; its checksum is not looked at here.
    let mut v4 = frame("prohibited-v4");
    v4[42 + 15] ^= 1;
    assert_eq!(see(&v4, Checksums::Trust), Err(Unseen::Malformed));
    let mut v6 = frame("prohibited-v6");
    v6[62 + 23] ^= 1;
    assert_eq!(see(&v6, Checksums::Trust), Err(Unseen::Malformed));
}

#[test]
fn neighbour_discovery_is_believed_from_the_link_only() {
    for name in ["solicitation", "advertisement"] {
        let mut frame = frame(name);
        frame[21] = 254;
        assert_eq!(see(&frame, Checksums::Verify), Err(Unseen::Malformed), "{name}");
        // An option of no length would never end.
        frame[21] = 255;
        frame[79] = 0;
        assert_eq!(see(&frame, Checksums::Trust), Err(Unseen::Malformed), "{name}");
    }
}

const V4_US: &str = "198.19.0.1";
const V4_THEM: &str = "198.51.100.7";
const V6_US: &str = "2001:db8:ffff::1";
const V6_THEM: &str = "2001:db8::7";
const PORTS: Ports = Ports { source: 61_000, target: 23 };

fn hop(addr: &str) -> Hop {
    Hop { mac: Mac([2, 0, 0, 0, 0, 0x0a]), addr: addr.parse().unwrap() }
}

/// The kernel asks the same way, byte for byte.
#[test]
fn questions_to_neighbours_are_those_of_the_kernel() {
    let mac = Mac([2, 0, 0, 0, 0, 0x0a]);
    let arp = arp_request(mac, "198.19.0.1".parse().unwrap(), "198.19.0.2".parse().unwrap());
    assert_eq!(arp.as_slice(), frame("arp-request"));
    let ours = neighbour_solicitation(mac, V6_US.parse().unwrap(), "2001:db8:ffff::2".parse().unwrap());
    assert_eq!(ours.as_slice(), frame("solicitation"));
}

/// What a SYN looks like, field by field.
#[test]
fn a_syn_in_bytes() {
    let mut out = buffer();
    let target = Hop { mac: Mac([2, 0, 0, 0, 0, 0x0b]), addr: V4_THEM.parse().unwrap() };
    let len = TcpTemplate::syn(&hop(V4_US)).write(&mut out, &target, PORTS, 0x0102_0304);
    let expected = "02000000000b02000000000a0800\
         4500002c0000400040064a7dc6130001c6336407\
         ee48001701020304000000006002faf0ba800000020405b4";
    assert_eq!(hex::encode(&out[..len]), expected);
    assert_eq!(len, 58);
    let len = TcpTemplate::syn(&hop(V6_US)).write(&mut out, &hop(V6_THEM), PORTS, 1);
    assert_eq!(hex::encode(&out[len - 4..len]), "020405a0");
}

#[test]
fn payloads_fit_into_one_frame_or_are_refused() {
    for (us, them, most) in [(V4_US, V4_THEM, 1472), (V6_US, V6_THEM, 1452)] {
        let template = UdpTemplate::new(&hop(us));
        let mut out = buffer();
        assert_eq!(template.payload_bytes_max(), most);
        assert_eq!(template.write(&mut out, &hop(them), PORTS, &vec![7; most]), Ok(FRAME_BYTES_MAX));
        assert!(see(&out, Checksums::Verify).is_ok());
        let refused = template.write(&mut out, &hop(them), PORTS, &vec![7; most + 1]);
        assert_eq!(refused, Err(TooLong { bytes: most + 1, most }));
    }
}

/// Headers and checksums of a frame of ours, read by other code than the product's.
fn check(frame: &[u8], from: IpAddr, to: IpAddr, protocol: u8) {
    assert_eq!(&frame[..12], &[[2, 0, 0, 0, 0, 0x0a], [2, 0, 0, 0, 0, 0x0a]].concat());
    let (network, transport) = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            assert_eq!(frame[12..14], [8, 0]);
            assert_eq!(usize::from(frame[16]) << 8 | usize::from(frame[17]), frame.len() - 14);
            assert_eq!(slow_checksum(&[&frame[14..34]]), 0);
            assert_eq!((&frame[26..30], &frame[30..34]), (&from.octets()[..], &to.octets()[..]));
            assert_eq!((frame[14], frame[22], frame[23]), (0x45, HOPS, protocol));
            (&frame[26..34], &frame[34..])
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            assert_eq!(frame[12..14], [0x86, 0xdd]);
            assert_eq!(usize::from(frame[18]) << 8 | usize::from(frame[19]), frame.len() - 54);
            assert_eq!((&frame[22..38], &frame[38..54]), (&from.octets()[..], &to.octets()[..]));
            assert_eq!((frame[14], frame[20], frame[21]), (0x60, protocol, HOPS));
            (&frame[22..54], &frame[54..])
        }
        _ => unreachable!("families do not mix"),
    };
    let len = (transport.len() as u32).to_be_bytes();
    let pseudo: &[&[u8]] = &[network, &[0, protocol], &len, transport];
    assert_eq!(slow_checksum(if protocol == 1 { &pseudo[3..] } else { pseudo }), 0);
}

fn pair() -> impl Strategy<Value = (IpAddr, IpAddr)> {
    prop_oneof![
        any::<([u8; 4], [u8; 4])>().prop_map(|(a, b)| (a.into(), b.into())),
        any::<([u8; 16], [u8; 16])>().prop_map(|(a, b)| (a.into(), b.into())),
    ]
}

proptest! {
    #[test]
    fn frames_are_right_for_every_target(
        (from, to) in pair(), other in pair(),
        source: u16, target: u16, seq: u32, data: [u8; 8],
        payload in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let mac = Mac([2, 0, 0, 0, 0, 0x0a]);
        let (us, them) = (Hop { mac, addr: from }, Hop { mac, addr: to });
        let ports = Ports { source, target };
        // A buffer that held something else before.
        let mut out = [0xee; FRAME_BYTES_MAX];
        let syn = TcpTemplate::syn(&us);
        if other.0.is_ipv4() == from.is_ipv4() {
            syn.write(&mut out, &Hop { mac, addr: other.1 }, ports, 1);
        }
        let len = syn.write(&mut out, &them, ports, seq);
        check(&out[..len], from, to, 6);
        prop_assert_eq!(out[len - 24 + 13], 2);
        let len = TcpTemplate::reset(&us).write(&mut out, &them, ports, seq);
        check(&out[..len], from, to, 6);
        prop_assert_eq!(&out[len - 20..len - 12], &[source.to_be_bytes().as_slice(), &target.to_be_bytes(), &seq.to_be_bytes()].concat());
        let len = UdpTemplate::new(&us).write(&mut out, &them, ports, &payload).unwrap();
        check(&out[..len], from, to, 17);
        prop_assert_eq!(&out[len - payload.len()..len], &payload);
        prop_assert_ne!(&out[len - payload.len() - 2..len - payload.len()], &[0, 0]);
        let len = EchoTemplate::new(&us).write(&mut out, &them, source, target, data);
        check(&out[..len], from, to, if from.is_ipv4() { 1 } else { 58 });
        prop_assert_eq!(&out[len - 8..len], &data);
    }

    #[test]
    fn datagrams_round_trip(
        (from, to) in pair(), source: u16, target: u16,
        payload in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let mac = Mac([2, 0, 0, 0, 0, 0x0a]);
        let mut out = buffer();
        let ports = Ports { source, target };
        let len = UdpTemplate::new(&Hop { mac, addr: from }).write(&mut out, &Hop { mac, addr: to }, ports, &payload).unwrap();
        let flow = Flow { from, from_port: source, to, to_port: target };
        match see(&out[..len], Checksums::Verify) {
            Ok(seen) => prop_assert_eq!(seen, Seen::Datagram(Datagram { flow, payload: &payload })),
            Err(unseen) => {
                prop_assert_eq!(unseen, Unseen::Malformed);
                prop_assert!(from.is_multicast() || from.is_unspecified() || from.to_canonical() != from || from == IpAddr::from([255; 4]));
            }
        }
    }
}
