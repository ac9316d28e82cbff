//! The kernel keeps silent on our source ports.
//!
//! A SYN-ACK that answers a raw SYN means nothing to the kernel, which would reset the connection
//! before we look; a UDP answer it would return with an ICMP error. [`Guard`] has netfilter drop
//! what comes in for our addresses and source ports, before the kernel's TCP and UDP see it. Packet
//! sockets see frames before netfilter does, so that the answers still reach [`super::receive`].
//!
//! The rules are those of a table that belongs to one netlink connection (`flags owner`; Linux 5.12,
//! nftables 0.9.9). It is held by an `nft` that we keep running, and that ends when our end of its
//! standard input closes, however we end. Then the kernel removes the table. That `nft` has
//! CAP_NET_ADMIN and nothing else, for as long as it runs.

use std::fmt::Write as _;
use std::io::{self, PipeReader, Read, Write};
use std::net::IpAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, capabilities, configure_capability_in_ambient_set,
    set_capabilities, set_capabilities_secure_bits,
};

use super::socket;
use super::validation::SourcePorts;
use occupied::{ephemeral, occupied};

mod occupied;

pub use occupied::Occupied;

/// Where `nft` is looked for. Not where the caller says: it gets a capability.
const PATH: &str = "/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/sbin:/usr/local/bin";

/// `nft` answers at once, or something is wrong.
const PATIENCE: Duration = Duration::from_secs(5);

/// Most bytes of one answer of `nft`.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Before connection tracking and everything else that looks at packets.
const PRIORITY: i32 = -450;

/// What is lost without a guard.
const LOST: &str = "the kernel will answer for us: it resets each connection that somebody accepts, and returns \
                    UDP answers with an ICMP error";

/// The guard could not be raised.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// There is no `nft`.
    #[error("failed to start `nft`, and {LOST}; hint: install nftables")]
    Missing(#[source] io::Error),
    /// The kernel, or `nft`, does not take the rules.
    #[error("nftables refuses to keep the kernel silent ({0}), and {LOST}; hint: CAP_NET_ADMIN, Linux 5.12")]
    Refused(String),
    /// Connections of this machine would be cut off.
    #[error(
        "source ports {} to {} overlap with those that the kernel gives to ordinary connections ({} to {}); \
         hint: choose others, or change net.ipv4.ip_local_port_range", .ours.start(), .ours.end(), .theirs.0, .theirs.1
    )]
    Ephemeral {
        /// Our source ports.
        ours: std::ops::RangeInclusive<u16>,
        /// First and last of the kernel's.
        theirs: (u16, u16),
    },
    /// A service or connection of this machine would be cut off.
    #[error("{0} is in use on this machine and among our source ports; hint: choose other source ports")]
    Occupied(Occupied),
    /// What is in use could not be read.
    #[error("failed to read which ports are in use")]
    Unknown(#[source] io::Error),
}

/// Keeps the kernel silent until it is dropped, or this process ends in whatever way.
#[derive(Debug)]
pub struct Guard {
    nft: Child,
    said: PipeReader,
    table: String,
}

impl Guard {
    /// Keeps the kernel silent on `ports` of `sources`. Takes CAP_NET_ADMIN now; not later.
    pub fn raise(sources: &[IpAddr], ports: SourcePorts) -> Result<Self, GuardError> {
        let theirs = ephemeral().map_err(GuardError::Unknown)?;
        if theirs.0 <= *ports.range().end() && *ports.range().start() <= theirs.1 {
            return Err(GuardError::Ephemeral { ours: ports.range(), theirs });
        }
        if let Some(occupied) = occupied(sources, ports).map_err(GuardError::Unknown)? {
            return Err(GuardError::Occupied(occupied));
        }
        let (said, says) = io::pipe().map_err(GuardError::Missing)?;
        let nft = start(says).map_err(GuardError::Missing)?;
        let mut this = Self { nft, said, table: format!("kenshin_{}", std::process::id()) };
        this.tell(&rules(&this.table, sources, ports))?;
        this.list()?;
        Ok(this)
    }

    /// How many packets were kept from the kernel.
    pub fn kept(&mut self) -> Result<u64, GuardError> {
        let text = self.list()?;
        let counts = text.split("counter packets ").skip(1);
        Ok(counts.filter_map(|rest| rest.split(' ').next()?.parse::<u64>().ok()).sum())
    }

    /// Number of the `nft` that holds the rules.
    pub fn process(&self) -> u32 {
        self.nft.id()
    }

    /// False when `nft` has ended, and the guard with it.
    pub fn stands(&mut self) -> bool {
        matches!(self.nft.try_wait(), Ok(None))
    }

    /// The table, as `nft` shows it; that it does shows that it is there.
    fn list(&mut self) -> Result<String, GuardError> {
        self.tell(&format!("list table inet {}\n", self.table))?;
        let until = Instant::now() + PATIENCE;
        let mut text = String::new();
        let mut part = [0; 4096];
        loop {
            if text.ends_with("\n}\n") {
                return Ok(text);
            }
            let left = until.saturating_duration_since(Instant::now());
            let ready = socket::wait(&self.said, PollFlags::IN, left).unwrap_or(false);
            let len = if ready { self.said.read(&mut part).unwrap_or(0) } else { 0 };
            text.push_str(&String::from_utf8_lossy(&part[..len]));
            if len == 0 || text.len() > ANSWER_BYTES_MAX || text.contains("Error:") {
                return Err(GuardError::Refused(first_line(&text)));
            }
        }
    }

    fn tell(&mut self, text: &str) -> Result<(), GuardError> {
        let input = self.nft.stdin.as_mut().ok_or_else(|| GuardError::Refused("nft has ended".into()))?;
        input.write_all(text.as_bytes()).map_err(|error| GuardError::Refused(error.to_string()))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Nothing to be done if it has ended already; the kernel removes the table either way.
        let _ = self.nft.kill();
        let _ = self.nft.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the edge where the kernel's rules are set")]
fn start(says: io::PipeWriter) -> io::Result<Child> {
    let mut command = Command::new("nft");
    command.arg("-i").env_clear().env("PATH", PATH).current_dir("/");
    command.stdin(Stdio::piped()).stdout(says.try_clone()?).stderr(says);
    // An interrupt from the terminal is for us, who still have answers to wait for.
    command.process_group(0);
    // SAFETY: between fork and exec the closure makes system calls only; it neither allocates nor
    // takes a lock.
    unsafe { command.pre_exec(hand_down) };
    command.spawn()
}

/// Hands CAP_NET_ADMIN to the program that is about to run, and nothing else.
fn hand_down() -> io::Result<()> {
    let mut sets = capabilities(None)?;
    if sets.permitted.contains(CapabilitySet::NET_ADMIN) {
        sets.inheritable = CapabilitySet::NET_ADMIN;
        set_capabilities(None, sets)?;
        configure_capability_in_ambient_set(CapabilitySet::NET_ADMIN, true)?;
        // So that root is no exception. It takes a capability that we may not have, and then we are not root.
        let _ = set_capabilities_secure_bits(CapabilitiesSecureBits::NO_ROOT);
    }
    Ok(())
}

/// One line, because `nft` reads line by line.
fn rules(table: &str, sources: &[IpAddr], ports: SourcePorts) -> String {
    let mut text = format!(
        "add table inet {table} {{ flags owner; chain silent {{ type filter hook prerouting priority {PRIORITY}; policy accept;"
    );
    let (first, last) = ports.range().into_inner();
    for (family, v4) in [("ip", true), ("ip6", false)] {
        let addrs: Vec<String> =
            sources.iter().filter(|source| source.is_ipv4() == v4).map(IpAddr::to_string).collect();
        if !addrs.is_empty() {
            let addrs = addrs.join(", ");
            write!(
                text,
                " {family} daddr {{ {addrs} }} meta l4proto {{ tcp, udp }} th dport {first}-{last} counter drop;"
            )
            .expect("a string takes everything");
        }
    }
    text.push_str(" }; }\n");
    text
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or("nft does not answer").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_one_line() {
        let sources = ["198.18.0.1", "2001:db8::1", "198.18.0.2"].map(|addr| addr.parse().unwrap());
        assert_eq!(
            rules("kenshin_7", &sources, SourcePorts::new(61_000, 61_999).unwrap()),
            "add table inet kenshin_7 { flags owner; chain silent { type filter hook prerouting priority -450; \
             policy accept; ip daddr { 198.18.0.1, 198.18.0.2 } meta l4proto { tcp, udp } th dport 61000-61999 \
             counter drop; ip6 daddr { 2001:db8::1 } meta l4proto { tcp, udp } th dport 61000-61999 counter \
             drop; }; }\n"
        );
    }

    #[test]
    fn messages_say_what_is_lost_and_what_to_do() {
        let missing = GuardError::Missing(io::Error::from(io::ErrorKind::NotFound)).to_string();
        assert!(missing.contains("resets each connection") && missing.contains("install nftables"));
        let ours = SourcePorts::new(50_000, 65_535).unwrap().range();
        let overlap = GuardError::Ephemeral { ours, theirs: (32_768, 60_999) }.to_string();
        assert!(overlap.contains("50000 to 65535") && overlap.contains("32768 to 60999"), "{overlap}");
    }
}
