//! The program is run by the kernel: it is attached to one end of a pair of local sockets, which
//! takes no privilege, and frames are sent as messages.

use std::io::Read;

use kenshin_wire::packet::{EchoTemplate, Hop, Mac, Ports, TcpTemplate, UdpTemplate, buffer};
use proptest::prelude::*;
use socket2::{Domain, Type};

use super::*;

struct Kernel {
    ours: Socket,
    filtered: Socket,
}

impl Kernel {
    fn new(sources: &[IpAddr]) -> Self {
        let (ours, filtered) = Socket::pair(Domain::UNIX, Type::DGRAM, None).unwrap();
        attach(&filtered, sources, SourcePorts::default()).unwrap();
        filtered.set_nonblocking(true).unwrap();
        Self { ours, filtered }
    }

    fn passes(&self, frame: &[u8]) -> bool {
        self.ours.send(frame).unwrap();
        let mut got = [0; 4096];
        match (&self.filtered).read(&mut got) {
            Ok(len) => {
                assert_eq!(got[..len], frame[..frame.len().min(FRAME_BYTES_MAX)]);
                true
            }
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                false
            }
        }
    }
}

fn captured(name: &str) -> Vec<u8> {
    let path = format!("{}/../../testdata/wire/frame-{name}.bin", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn captured_answers_pass_and_the_rest_does_not() {
    let kernel = Kernel::new(&[ip("198.19.0.1"), ip("2001:db8:ffff::1")]);
    for name in [
        "syn-ack-v4",
        "reset-v4",
        "syn-ack-v6",
        "reset-v6",
        "udp-refused-v4",
        "udp-refused-v6",
        "echo-v4",
        "echo-v6",
        "host-unreachable-v4",
        "prohibited-v4",
        "no-route-v6",
        "prohibited-v6",
        "time-exceeded-v4",
        "echo-time-exceeded-v4",
        "echo-no-route-v6",
        "arp-reply",
        "advertisement",
    ] {
        assert!(kernel.passes(&captured(name)), "{name}");
        for len in 0..20 {
            assert!(!kernel.passes(&captured(name)[..len]), "{name} cut to {len}");
        }
    }
    // To a port outside of the range, to nobody of ours, or nothing that answers.
    for name in ["udp-v4", "arp-request", "solicitation", "advertisement-without-mac", "syn"] {
        assert!(!kernel.passes(&captured(name)), "{name}");
    }
    let other = Kernel::new(&[ip("198.19.0.2"), ip("2001:db8:ffff::2")]);
    for name in ["syn-ack-v4", "syn-ack-v6", "echo-v4", "echo-v6", "prohibited-v4", "prohibited-v6"] {
        assert!(!other.passes(&captured(name)), "{name}");
    }
}

#[test]
fn fragments_and_extension_headers() {
    let kernel = Kernel::new(&[ip("198.19.0.1"), ip("2001:db8:ffff::1")]);
    for (field, passes) in [(0x4000u16, true), (0x2000, false), (0x0001, false), (0x1fff, false)] {
        let mut frame = captured("syn-ack-v4");
        frame[20..22].copy_from_slice(&field.to_be_bytes());
        assert_eq!(kernel.passes(&frame), passes, "{field:#x}");
    }
    for (kind, passes) in [(0, true), (43, true), (60, true), (44, false), (50, false)] {
        let mut frame = captured("syn-ack-v6");
        frame[20] = kind;
        assert_eq!(kernel.passes(&frame), passes, "{kind}");
    }
    // Options shift what follows.
    let plain = captured("syn-ack-v4");
    let mut options = [&plain[..34], &[1; 12], &plain[34..]].concat();
    options[14] = 0x48;
    assert!(kernel.passes(&options));
    options[34 + 12 + 2] = 0;
    assert!(!kernel.passes(&options));
}

#[test]
fn every_source_of_many_and_no_other() {
    let sources: Vec<IpAddr> = (0..32u16)
        .flat_map(|n| [ip(&format!("198.18.{n}.1")), ip(&format!("2001:db8:{n:x}:{n:x}:{n:x}::{n:x}"))])
        .collect();
    assert_eq!(sources.len(), SOURCES_MAX);
    let kernel = Kernel::new(&sources);
    let mac = Mac([2; 6]);
    let reaches = |to: IpAddr| {
        let from = if to.is_ipv4() { ip("192.0.2.1") } else { ip("2001:db8::") };
        let mut frame = buffer();
        let ports = Ports { source: 5, target: 61_000 };
        let len = UdpTemplate::new(&Hop { mac, addr: from })
            .write(&mut frame, &Hop { mac, addr: to }, ports, b"x")
            .unwrap();
        kernel.passes(&frame[..len])
    };
    for source in sources {
        assert!(reaches(source), "{source}");
        let other = match source {
            IpAddr::V4(addr) => Ipv4Addr::from_bits(addr.to_bits() ^ 2).into(),
            IpAddr::V6(addr) => Ipv6Addr::from_bits(addr.to_bits() ^ 1 << 70).into(),
        };
        assert!(!reaches(other), "{other}");
    }
    assert!(!reaches(ip("198.18.32.1")));
    let nobody = Kernel::new(&[]);
    assert!(!nobody.passes(&captured("syn-ack-v4")));
    assert!(!nobody.passes(&captured("syn-ack-v6")));
}

proptest! {
    #[test]
    fn only_our_ports(port: u16, flags: u8) {
        for (us, them) in [("198.19.0.1", "192.0.2.1"), ("2001:db8:ffff::1", "2001:db8::1")] {
            let kernel = Kernel::new(&[ip(us)]);
            let (from, to) = (Hop { mac: Mac([2; 6]), addr: ip(them) }, Hop { mac: Mac([2; 6]), addr: ip(us) });
            let ports = Ports { source: 80, target: port };
            let ours = SourcePorts::default().contains(port);
            let mut frame = buffer();
            let len = TcpTemplate::reset(&from).write(&mut frame, &to, ports, 0);
            prop_assert_eq!(kernel.passes(&frame[..len]), ours);
            frame[len - 7] = flags;
            let wanted = flags & 0x12 == 0x12 || flags & 4 != 0;
            prop_assert_eq!(kernel.passes(&frame[..len]), ours && wanted);
            let len = UdpTemplate::new(&from).write(&mut frame, &to, ports, b"hello").unwrap();
            prop_assert_eq!(kernel.passes(&frame[..len]), ours);
            // A request is none of ours to answer.
            let len = EchoTemplate::new(&from).write(&mut frame, &to, 1, 2, [3; 8]);
            prop_assert!(!kernel.passes(&frame[..len]));
        }
    }
}
