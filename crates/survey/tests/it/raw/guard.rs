//! The kernel keeps silent, for exactly as long as we live.

use std::net::{TcpListener, UdpSocket};
use std::process::{Child, Stdio};

use kenshin_survey::raw::guard::{Guard, GuardError};
use kenshin_wire::packet::{TcpTemplate, UdpTemplate};

use super::*;

/// Counts what our kernel says by itself: raw frames do not pass this way.
fn count_our_kernel() {
    nft(
        "table inet count { counter resets { }\n counter unreachables { }\n chain out { type filter hook output \
         priority 0;\n tcp flags & rst == rst counter name resets\n icmp type destination-unreachable counter \
         name unreachables\n }\n}",
    );
}

/// A SYN to an open port and a datagram to who answers; what came back.
fn ask(pair: &Pair, sweeper: &mut Sweeper) -> Vec<String> {
    let (open, udp) = pair.inside("b", || {
        (TcpListener::bind("198.18.3.4:80").unwrap(), UdpSocket::bind("198.18.3.4:53").unwrap())
    });
    let target = addr("198.18.3.4");
    let (from, to) = (sweeper.source(target), pair.inside("a", || sweeper.hop(target)));
    let mark = sweeper.validation.tcp(from.addr, target, 80, 0);
    let ports = sweeper.validation.udp(from.addr, target, 53, 0);
    sweeper.frames.push(|out| TcpTemplate::syn(&from).write(out, &to, mark.ports, mark.seq));
    sweeper.frames.push(|out| UdpTemplate::new(&from).write(out, &to, ports, b"hello").unwrap());
    assert_eq!(sweeper.send().handed_over, 2);
    let (_, peer) = udp.recv_from(&mut [0; 10]).unwrap();
    udp.send_to(b"hello", peer).unwrap();
    let mut kinds: Vec<String> = sweeper.answers(2).into_iter().map(|answer| answer.text).collect();
    kinds.sort();
    kinds.dedup();
    // Close it, as a sweep does.
    let reset = TcpTemplate::reset(&from);
    sweeper.frames.push(|out| reset.write(out, &to, mark.ports, mark.seq.wrapping_add(1)));
    sweeper.send();
    drop(open);
    kinds
}

#[test]
fn the_kernel_is_silent_under_guard_and_we_hear_all_the_same() {
    let Some(pair) = Pair::new("the_kernel_is_silent_under_guard_and_we_hear_all_the_same") else { return };
    let mut sweeper = pair.inside("a", || {
        count_our_kernel();
        Sweeper::new(open(Engine::AfPacket))
    });
    let sources = [addr(US_V4), addr(US_V6)];
    let mut guard = pair.inside("a", || Guard::raise(&sources, SourcePorts::default()).unwrap());
    assert_eq!(guard.kept().unwrap(), 0);
    assert_eq!(ask(&pair, &mut sweeper), ["hello", "syn-ack"]);
    assert_eq!(pair.inside("a", || (counter("resets"), counter("unreachables"))), (0, 0));
    assert!(guard.kept().unwrap() >= 2);
    // What the guard is for: without it both are answered by the kernel.
    drop(guard);
    assert_eq!(ask(&pair, &mut sweeper), ["hello", "syn-ack"]);
    assert_eq!(pair.inside("a", || (counter("resets"), counter("unreachables"))), (1, 1));
}

#[test]
fn a_guard_that_would_cut_somebody_off_is_not_raised() {
    let Some(pair) = Pair::new("a_guard_that_would_cut_somebody_off_is_not_raised") else { return };
    pair.inside("a", || {
        let sources = [addr(US_V4)];
        let service = TcpListener::bind("0.0.0.0:62078").unwrap();
        let refused = Guard::raise(&sources, SourcePorts::default()).unwrap_err();
        assert!(matches!(refused, GuardError::Occupied(_)), "{refused}");
        assert!(refused.to_string().starts_with("0.0.0.0:62078/tcp is in use"), "{refused}");
        drop(service);
        let wide = SourcePorts::new(60_000, 65_535).unwrap();
        assert!(matches!(Guard::raise(&sources, wide), Err(GuardError::Ephemeral { .. })));
        std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", "1024 65000").unwrap();
        let refused = Guard::raise(&sources, SourcePorts::default());
        assert!(matches!(refused, Err(GuardError::Ephemeral { theirs: (1024, 65_000), .. })));
        assert_eq!(run("nft", &["list", "tables"]).unwrap(), "");
    });
}

#[test]
fn without_privilege_it_says_what_is_lost() {
    let Some(pair) = Pair::new("without_privilege_it_says_what_is_lost") else { return };
    pair.inside("a", || {
        kenshin_survey::raw::privilege::drop_here().unwrap();
        let refused = Guard::raise(&[addr(US_V4)], SourcePorts::default()).unwrap_err();
        assert!(matches!(refused, GuardError::Refused(_)), "{refused}");
        assert!(refused.to_string().contains("resets each connection"), "{refused}");
    });
}

const TASK: &str = "KENSHIN_RAW_TEST_GUARD";

/// The other process: raises a guard and waits to be killed.
#[test]
fn guarding() {
    if std::env::var_os(TASK).is_none() {
        return;
    }
    let guard = Guard::raise(&[addr(US_V4)], SourcePorts::default()).unwrap();
    eprintln!("standing {}", guard.process());
    std::thread::park();
    drop(guard);
}

fn spawn(pair: &Pair) -> Child {
    Command::new("ip")
        .args(["netns", "exec", &pair.name("a")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "raw::guard::guarding", "--nocapture"])
        .env(TASK, "1")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn the_guard_falls_with_us_even_when_we_are_killed() {
    use std::io::BufRead;
    let Some(pair) = Pair::new("the_guard_falls_with_us_even_when_we_are_killed") else { return };
    let mut child = spawn(&pair);
    let said = std::io::BufReader::new(child.stderr.take().unwrap());
    let nft: u32 = said
        .lines()
        .find_map(|line| line.unwrap().strip_prefix("standing ").map(|pid| pid.parse().unwrap()))
        .expect("the guard stands");
    // It has the one capability that it needs.
    let status = std::fs::read_to_string(format!("/proc/{nft}/status")).unwrap();
    let net_admin = format!("{:016x}", 1 << 12);
    for set in ["CapPrm", "CapEff", "CapAmb"] {
        let line = status.lines().find(|line| line.starts_with(set)).unwrap();
        assert!(line.ends_with(&net_admin), "{line}");
    }
    let tables = || pair.inside("a", || run("nft", &["list", "tables"]).unwrap());
    assert_eq!(tables(), format!("table inet kenshin_{}\n", child.id()));
    child.kill().unwrap();
    child.wait().unwrap();
    // `nft` sees the end of its input, ends, and the kernel takes the table away.
    assert!((0..1_000).any(|_| tables().is_empty()), "{}", tables());
}
