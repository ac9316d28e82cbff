//! Invariant 1, counted by nftables outside the process that sends: every SYN that leaves, in a
//! network namespace that the test makes itself. It has loopback only.

#![expect(clippy::disallowed_methods, reason = "namespaces are made by programs")]

use std::process::Command;
use std::time::{Duration, Instant};

use crate::crash::{Task, next, wait};
use crate::world::now;

/// A namespace, deleted when dropped.
struct Namespace(String);

impl Namespace {
    /// `None`, said by name, where it cannot be made.
    fn new(test: &str) -> Option<Self> {
        let this = Self(format!("kenshin-survey-{}-{test}", std::process::id()));
        let made = Command::new("ip").args(["netns", "add", &this.0]).output();
        if !made.is_ok_and(|output| output.status.success()) || this.run(&["nft", "--version"]).is_none() {
            eprintln!("SKIPPED {test}: needs root, `ip` and `nft`");
            return None;
        }
        this.run(&["ip", "link", "set", "lo", "up"]).unwrap();
        Some(this)
    }

    fn run(&self, command: &[&str]) -> Option<String> {
        let output = Command::new("ip").args(["netns", "exec", &self.0]).args(command).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Counts SYNs: all of them, and those outside of what the mandates allow together.
    fn count(&self, allowed: &[Allowed], dir: &std::path::Path) {
        let inside: String = allowed
            .iter()
            .map(|a| {
                let not = match a.excluded.as_slice() {
                    [] => String::new(),
                    some => format!("ip daddr != {{ {} }} ", some.join(", ")),
                };
                format!("  ip daddr {} {not}tcp dport {{ {} }} return\n", a.prefix, a.ports)
            })
            .collect();
        let rules = format!(
            "table inet kenshin {{\n counter syns {{ }}\n counter outside {{ }}\n\
             chain syn {{\n counter name syns\n{inside} counter name outside\n}}\n\
             chain out {{\n type filter hook output priority 0;\n\
             tcp flags & (syn | ack | rst | fin) == syn jump syn\n\
             udp dport 0-65535 counter name outside\n icmp type echo-request counter name outside\n}}\n}}\n"
        );
        let path = dir.join("rules.nft");
        std::fs::write(&path, rules).unwrap();
        self.run(&["nft", "-f", path.to_str().unwrap()]).expect("nft takes the rules");
    }

    fn counter(&self, name: &str) -> u64 {
        let text = self.run(&["nft", "list", "counter", "inet", "kenshin", name]).unwrap();
        let after = text.split("packets ").nth(1).unwrap();
        after.split_whitespace().next().unwrap().parse().unwrap()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).output();
    }
}

struct Allowed {
    prefix: String,
    excluded: Vec<String>,
    ports: String,
}

/// A mandate drawn from a seed: prefix, exclusion, ports, rate.
fn drawn(state: &mut u64, dir: &std::path::Path, namespace: &str) -> Task {
    let third = next(state) % 4;
    let excluded = 64 * (next(state) % 4);
    let port = 3000 + (next(state) % 20) as u16;
    Task {
        dir: dir.to_owned(),
        prefix: format!("127.88.{third}.0/24"),
        ports: vec![port, port + 1, port + 7],
        hour: now().micros() / 3_600_000_000,
        slice_addresses: 16,
        namespace: Some(namespace.to_owned()),
        rate: Some((80 + (next(state) % 150) as u32, 1 + (next(state) % 10) as u32)),
        excluded: vec![format!("127.88.{third}.{excluded}/26")],
        hosts: (0..12).map(|n| format!("127.88.{third}.{}", n * 21 + 1).parse().unwrap()).collect(),
        ..Task::default()
    }
}

fn allowed(task: &Task) -> Allowed {
    let ports: Vec<String> = task.ports.iter().map(u16::to_string).collect();
    Allowed { prefix: task.prefix.clone(), excluded: task.excluded.clone(), ports: ports.join(", ") }
}

/// One look at the counter: between these two instants it stood at `syns`.
struct Look {
    from: Instant,
    to: Instant,
    syns: u64,
}

/// Looks at the counter until the child has ended.
fn watch(namespace: &Namespace, child: &mut std::process::Child) -> Vec<Look> {
    let mut looks = Vec::new();
    while child.try_wait().unwrap().is_none() {
        let from = Instant::now();
        let syns = namespace.counter("syns");
        looks.push(Look { from, to: Instant::now(), syns });
        std::thread::sleep(Duration::from_millis(20));
    }
    looks
}

#[test]
fn nothing_leaves_outside_the_mandate_and_never_faster() {
    let Some(namespace) = Namespace::new("rate") else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut state = 11;
    let task = drawn(&mut state, dir.path(), &namespace.0);
    namespace.count(&[allowed(&task)], dir.path());
    let mut child = task.spawn();
    let looks = watch(&namespace, &mut child);
    let (code, talk) = wait(child);
    assert_eq!(code, Some(0), "{talk}");
    assert!(namespace.counter("syns") >= 192 * 3);
    assert_eq!(namespace.counter("outside"), 0);
    let (pps, burst) = task.rate.unwrap();
    for (n, first) in looks.iter().enumerate() {
        for last in &looks[n..] {
            // The longest time in which these can have left.
            let span = (last.to - first.from).as_secs_f64();
            let most = f64::from(burst) + f64::from(pps) * 1.05 * span;
            let left = last.syns - first.syns;
            assert!(left as f64 <= most, "{left} in {span} s, limit {pps} + {burst}");
        }
    }
}

#[test]
fn nothing_leaves_a_second_after_revocation_or_after_the_end() {
    let Some(namespace) = Namespace::new("revoke") else { return };
    for seed in [1, 2, 3] {
        let dir = tempfile::tempdir().unwrap();
        let mut state = seed;
        let mut task = drawn(&mut state, dir.path(), &namespace.0);
        task.rate = Some((60, 2));
        let file = dir.path().join("revoked");
        task.revoked_when = Some(file.clone());
        let life = Duration::from_millis(1_500 + next(&mut state) % 1_500);
        let expires = seed == 3;
        if expires {
            let until = now().plus_micros(life.as_micros() as i64);
            task.valid_until_us = Some(until.micros());
        }
        namespace.run(&["nft", "flush", "ruleset"]);
        namespace.count(&[allowed(&task)], dir.path());
        let began = Instant::now();
        let child = task.spawn();
        std::thread::sleep(life.saturating_sub(began.elapsed()));
        if !expires {
            std::fs::write(&file, "").unwrap();
        }
        let sent_before = namespace.counter("syns");
        std::thread::sleep(Duration::from_secs(1));
        let after_a_second = namespace.counter("syns");
        let (code, talk) = wait(child);
        assert_eq!(code, Some(7), "{talk}");
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(namespace.counter("syns"), after_a_second, "seed {seed}");
        assert_eq!(namespace.counter("outside"), 0, "seed {seed}");
        assert!(sent_before > 0 && sent_before < 576, "seed {seed}: {sent_before}");
    }
}

/// Several sensors at once under mandates that overlap: each keeps to its own.
#[test]
fn overlapping_mandates_stay_inside_together() {
    let Some(namespace) = Namespace::new("overlap") else { return };
    let dirs: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let mut state = 77;
    let mut tasks: Vec<Task> = dirs.iter().map(|dir| drawn(&mut state, dir.path(), &namespace.0)).collect();
    // The second covers the first and more; nobody listens, so that they do not meet.
    let first = tasks[0].prefix.clone();
    tasks[1].prefix = "127.88.0.0/22".into();
    tasks[1].excluded = vec![first];
    tasks.iter_mut().for_each(|task| {
        task.rate = Some((600, 20));
        task.hosts.clear();
    });
    let allowed: Vec<Allowed> = tasks.iter().map(allowed).collect();
    namespace.count(&allowed, dirs[0].path());
    let children: Vec<_> = tasks.iter().map(Task::spawn).collect();
    for child in children {
        let (code, talk) = wait(child);
        assert_eq!(code, Some(0), "{talk}");
    }
    assert_eq!(namespace.counter("syns"), (192 + 768 + 192) * 3);
    assert_eq!(namespace.counter("outside"), 0);
}
