//! Two network namespaces and a cable (veth) between them.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use kenshin_observation::Prefix;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// One end of the cable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// 192.0.2.1, 02:00:00:00:00:0a, interface `va`.
    Near,
    /// 192.0.2.2, 02:00:00:00:00:0b, interface `vb`; whatever the near side sends leads here.
    Far,
}

impl Side {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Near, Self::Far];

    /// Its interface.
    pub const fn device(self) -> &'static str {
        match self {
            Self::Near => "va",
            Self::Far => "vb",
        }
    }

    /// Its address.
    pub const fn addr(self) -> &'static str {
        match self {
            Self::Near => "192.0.2.1",
            Self::Far => "192.0.2.2",
        }
    }

    /// Its address of IPv6.
    pub const fn addr_v6(self) -> &'static str {
        match self {
            Self::Near => "2001:db8:ffff::1",
            Self::Far => "2001:db8:ffff::2",
        }
    }

    /// Its station.
    pub const fn mac(self) -> &'static str {
        match self {
            Self::Near => "02:00:00:00:00:0a",
            Self::Far => "02:00:00:00:00:0b",
        }
    }
}

/// The namespaces; they are deleted when dropped.
#[derive(Debug)]
pub struct Cable(String);

impl Cable {
    /// Makes them. Takes root.
    pub fn new() -> Result<Self> {
        let this = Self(format!("kenshin-bench-{}", std::process::id()));
        for side in Side::ALL {
            ip(&["netns", "add", &this.namespace(side)])?;
        }
        let (near, far) = (this.namespace(Side::Near), this.namespace(Side::Far));
        let ends = [Side::Near, Side::Far].map(|side| (side.device(), side.mac()));
        ip(&[
            "link", "add", ends[0].0, "netns", &near, "address", ends[0].1, "type", "veth", "peer", "name",
            ends[1].0, "netns", &far, "address", ends[1].1,
        ])?;
        for side in Side::ALL {
            let namespace = this.namespace(side);
            let device = side.device();
            ip(&["-n", &namespace, "link", "set", "lo", "up"])?;
            ip(&["-n", &namespace, "link", "set", device, "up"])?;
            let (v4, v6) = (format!("{}/24", side.addr()), format!("{}/64", side.addr_v6()));
            ip(&["-n", &namespace, "address", "add", &v4, "dev", device])?;
            ip(&["-n", &namespace, "address", "add", &v6, "dev", device, "nodad"])?;
        }
        ip(&["-n", &near, "route", "add", "default", "via", Side::Far.addr()])?;
        ip(&["-n", &near, "route", "add", "default", "via", Side::Far.addr_v6()])?;
        Ok(this)
    }

    fn namespace(&self, side: Side) -> String {
        let side = if side == Side::Near { "near" } else { "far" };
        format!("{}-{side}", self.0)
    }

    /// One side, for threads to move there.
    pub(crate) fn namespace_file(&self, side: Side) -> Result<File> {
        let path = format!("/run/netns/{}", self.namespace(side));
        File::open(&path).with_context(|| format!("failed to open {path}"))
    }

    /// A program to be started on one side, with its output thrown away.
    #[expect(clippy::disallowed_methods, reason = "a bench starts its contenders")]
    pub fn command(&self, side: Side, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace(side), program]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Sets rules of nftables on one side.
    pub fn rules(&self, side: Side, rules: &str) -> Result<()> {
        let mut child = self.command(side, "nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn()?;
        child.stdin.take().context("a pipe")?.write_all(rules.as_bytes())?;
        if !child.wait()?.success() {
            bail!("nft does not take the rules");
        }
        Ok(())
    }

    /// Frames that one side has received so far.
    pub fn received(&self, side: Side) -> Result<u64> {
        let device = side.device();
        let text = self.inside(side, || Ok(std::fs::read_to_string("/proc/thread-self/net/dev")?))?;
        let line = text.lines().find_map(|line| line.trim().strip_prefix(device)?.strip_prefix(':'));
        let packets = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        packets.with_context(|| format!("no count of {device}"))
    }

    /// All of `prefix` is at home on the far side: whatever listens there on every address answers
    /// for it.
    pub fn settle(&self, prefix: Prefix) -> Result<()> {
        ip(&["-n", &self.namespace(Side::Far), "route", "add", "local", &prefix.to_string(), "dev", "lo"])
    }

    /// Sets a variable of the kernel below `/proc/sys/net` on one side.
    pub fn set(&self, side: Side, name: &str, value: &str) -> Result<()> {
        let path = format!("/proc/sys/net/{name}");
        self.inside(side, || std::fs::write(&path, value).with_context(|| format!("failed to write {path}")))
    }

    /// Runs on a thread of its own on one side.
    pub fn inside<T: Send>(&self, side: Side, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let namespace = self.namespace_file(side)?;
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
                work()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for side in Side::ALL {
            let _ = ip(&["netns", "del", &self.namespace(side)]);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "namespaces are made by a program")]
fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(arguments).output().context("failed to run `ip`")?;
    if !output.status.success() {
        bail!("ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
