//! Raw packets, between two network namespaces that each test makes itself: `a` sweeps, `b` is the
//! world, with a gateway at 198.19.0.2 and all of 198.18.0.0/16 and 2001:db8:1::/64 behind it.

#![expect(clippy::disallowed_methods, reason = "namespaces are made by programs")]

use std::fs::File;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kenshin_observation::TimeUs;
use kenshin_survey::raw::link::{self, Link, LinkError, Settings};
use kenshin_survey::raw::neighbour::{self, Due, Found, Limits, Neighbours};
use kenshin_survey::raw::transmit::{Engine, FRAMES_MAX, Frames, Sent};
use kenshin_survey::raw::validation::{Proven, SourcePorts, Validation};
use kenshin_wire::packet::{Hop, Mac, Seen};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

mod answers;
mod counts;
mod crash;
mod datagrams;
mod guard;
mod privilege;
mod routes;
mod scale;
mod survey;
mod troubles;

const US_V4: &str = "198.19.0.1";
const US_V6: &str = "2001:db8:ffff::1";

/// Two namespaces and the cable between them.
struct Pair(String);

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Pair {
    /// `None`, said by name, where it cannot be made.
    fn new(test: &str) -> Option<Self> {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let this = Self(format!("kenshin-raw-{}-{n}", std::process::id()));
        let made = Command::new("ip").args(["netns", "add", &this.name("a")]).output();
        if !made.is_ok_and(|output| output.status.success()) || run("nft", &["--version"]).is_none() {
            eprintln!("SKIPPED {test}: needs root, `ip` and `nft`");
            return None;
        }
        ip(&["netns", "add", &this.name("b")]);
        let (a, b) = (this.name("a"), this.name("b"));
        ip(&[
            "link",
            "add",
            "va",
            "netns",
            &a,
            "address",
            "02:00:00:00:00:0a",
            "type",
            "veth",
            "peer",
            "name",
            "vb",
            "netns",
            &b,
            "address",
            "02:00:00:00:00:0b",
        ]);
        for (side, addr) in [("a", "1"), ("b", "2")] {
            let device = format!("v{side}");
            this.inside(side, || {
                // Addresses can be used at once.
                std::fs::write(format!("/proc/sys/net/ipv6/conf/{device}/accept_dad"), "0").unwrap();
                ip(&["link", "set", "lo", "up"]);
                ip(&["link", "set", &device, "up"]);
                ip(&["address", "add", &format!("198.19.0.{addr}/24"), "dev", &device]);
                ip(&["address", "add", &format!("2001:db8:ffff::{addr}/64"), "dev", &device, "nodad"]);
            });
        }
        this.inside("a", || {
            ip(&["route", "add", "default", "via", "198.19.0.2"]);
            ip(&["route", "add", "default", "via", "2001:db8:ffff::2"]);
        });
        this.inside("b", || {
            std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
            std::fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1").unwrap();
            ip(&["route", "add", "local", "198.18.0.0/16", "dev", "lo"]);
            ip(&["route", "add", "local", "2001:db8:1::/64", "dev", "lo"]);
            ip(&["address", "add", "2001:db8:1::7/128", "dev", "lo", "nodad"]);
            ip(&["route", "add", "unreachable", "198.19.5.0/24"]);
            ip(&["route", "add", "prohibit", "2001:db8:5::/64"]);
        });
        Some(this)
    }

    fn name(&self, side: &str) -> String {
        format!("{}-{side}", self.0)
    }

    /// Runs on a thread of its own inside of a namespace.
    fn inside<T: Send>(&self, side: &str, work: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/run/netns/{}", self.name(side))).unwrap();
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
                work()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for side in ["a", "b"] {
            let _ = Command::new("ip").args(["netns", "del", &self.name(side)]).output();
        }
    }
}

fn run(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Another interface, with a cable to nowhere.
fn other_interface() {
    ip(&["link", "add", "other", "type", "veth", "peer", "name", "nowhere"]);
    ip(&["link", "set", "nowhere", "up"]);
    ip(&["link", "set", "other", "up"]);
}

fn ip(arguments: &[&str]) {
    run("ip", arguments).unwrap_or_else(|| panic!("ip {arguments:?}"));
}

/// Sets rules in the namespace of this thread.
fn nft(rules: &str) {
    run("nft", &[rules]).unwrap_or_else(|| panic!("nft {rules}"));
}

/// Packets of a named counter of the table `count`.
fn counter(name: &str) -> u64 {
    counter_of("count", name)
}

/// Packets of a named counter of a table.
fn counter_of(table: &str, name: &str) -> u64 {
    let text = run("nft", &["list", "counter", "inet", table, name]).unwrap();
    let after = text.split("packets ").nth(1).unwrap();
    after.split_whitespace().next().unwrap().parse().unwrap()
}

fn addr(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn settings(engine: Engine) -> Settings {
    Settings { engine, ..Settings::new(vec![addr(US_V4), addr(US_V6)]) }
}

fn open(engine: Engine) -> Link {
    let mut links = link::open(&settings(engine)).unwrap();
    assert_eq!(links.len(), 1);
    links.remove(0)
}

/// Something that was received, owned.
#[derive(Debug, Clone)]
struct Answer {
    proven: Option<Proven>,
    text: String,
    /// What a SYN-ACK acknowledged.
    ack: u32,
}

/// An open link, and what a stage above it would keep.
struct Sweeper {
    link: Link,
    validation: Validation,
    neighbours: Neighbours<()>,
    frames: Frames,
}

impl Sweeper {
    fn new(link: Link) -> Self {
        Self {
            link,
            validation: Validation::new([3; 16], SourcePorts::default()),
            neighbours: Neighbours::new(Limits::default()),
            frames: Frames::default(),
        }
    }

    fn source(&self, target: IpAddr) -> Hop {
        let source =
            self.link.sources.iter().find(|source| source.addr.is_ipv4() == target.is_ipv4()).unwrap();
        self.link.station(source.addr)
    }

    /// The station that packets to `target` are handed to, asked for on the link if need be.
    fn station(&mut self, target: IpAddr) -> Option<Mac> {
        let source = self.link.sources.iter().find(|source| source.addr.is_ipv4() == target.is_ipv4())?;
        let hop = source.routes.next_hop(target)?;
        // Time passes as quickly as answers do not come.
        for tick in 0.. {
            let now = TimeUs::from_secs(1_800_000_000).plus_micros(tick * 100_000);
            match self.neighbours.find(hop, (), now) {
                Found::At(mac, ()) => return Some(mac),
                Found::Later => {}
                Found::Dead(()) => return None,
                Found::Full(()) => panic!("one hop at a time"),
            }
            while let Some(due) = self.neighbours.due(now) {
                let Due::Ask(addr) = due else { continue };
                let sources: Vec<IpAddr> = self.link.sources.iter().map(|source| source.addr).collect();
                let mac = self.link.interface.mac;
                let mut asked = Frames::default();
                asked.push(|out| neighbour::question(mac, &sources, addr, out).unwrap());
                assert_eq!(self.link.transmit.send(&asked).handed_over, 1);
            }
            if let Some(block) = self.link.receive.block(Duration::from_millis(50)).unwrap() {
                for frame in block.frames() {
                    if let Some((addr, mac)) = frame.seen().ok().as_ref().and_then(neighbour::told) {
                        self.neighbours.heard(addr, mac, now);
                    }
                }
            }
        }
        None
    }

    fn hop(&mut self, target: IpAddr) -> Hop {
        Hop { mac: self.station(target).expect("a next hop"), addr: target }
    }

    fn send(&mut self) -> Sent {
        let sent = self.link.transmit.send(&self.frames);
        self.frames.clear();
        sent
    }

    /// What comes in, until there are so many answers or nothing came for a second.
    fn answers(&mut self, most: usize) -> Vec<Answer> {
        let mut answers = Vec::new();
        while answers.len() < most {
            let Some(block) = self.link.receive.block(Duration::from_secs(1)).unwrap() else { break };
            for frame in block.frames() {
                let Ok(seen) = frame.seen() else { panic!("the filter let {:?} pass", frame.bytes) };
                if neighbour::told(&seen).is_some() {
                    continue;
                }
                let ack = if let Seen::SynAck(syn_ack) = seen { syn_ack.ack } else { 0 };
                let proven = self.validation.judge(&seen);
                answers.push(Answer { proven, text: kind(&seen), ack });
            }
        }
        answers
    }
}

fn kind(seen: &Seen<'_>) -> String {
    match seen {
        Seen::SynAck(_) => "syn-ack".to_owned(),
        Seen::Reset(_) => "reset".to_owned(),
        Seen::Datagram(datagram) => String::from_utf8_lossy(datagram.payload).into_owned(),
        Seen::EchoReply(_) => "echo".to_owned(),
        Seen::IcmpError(error) => format!("{:?} {} by {}", error.kind, error.code, error.from),
        other => format!("{other:?}"),
    }
}
