//! Who sends.

use std::fmt;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use kenshin_bench::{Cable, Side};
use kenshin_survey::raw::link::{self, Settings};
use kenshin_survey::raw::transmit::{Engine, FRAMES_MAX, Frames};
use kenshin_survey::raw::validation::{SourcePorts, Validation};
use kenshin_wire::packet::{Buffer, Hop, Mac, TcpTemplate, buffer};
use serde::Serialize;
use socket2::{Domain, Socket, Type};

const NEAR: Mac = Mac([2, 0, 0, 0, 0, 0x0a]);
const FAR: Mac = Mac([2, 0, 0, 0, 0, 0x0b]);

/// 198.18.0.0/15, reserved for benchmarks (RFC 2544).
const TARGETS: &str = "198.18.0.0/15";
const FIRST_TARGET: u32 = 0xc612_0000;
const TARGETS_COUNT: u32 = 1 << 17;

/// Those who take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Contender {
    Sendto,
    Sendmmsg,
    AfPacket,
    AfXdp,
    Zmap,
    Masscan,
}

impl Contender {
    pub(crate) const ALL: [Self; 6] =
        [Self::Sendto, Self::Sendmmsg, Self::AfPacket, Self::AfXdp, Self::Zmap, Self::Masscan];

    pub(crate) const fn about(self) -> &'static str {
        match self {
            Self::Sendto => "one frame again and again, bare `sendto`",
            Self::Sendmmsg => "one frame again and again, bare `sendmmsg` past the queueing discipline",
            Self::AfPacket => "kenshin, AF_PACKET, ever new targets",
            Self::AfXdp => "kenshin, AF_XDP in copy mode, ever new targets",
            Self::Zmap => "zmap -T 1",
            Self::Masscan => "masscan",
        }
    }

    /// The program to start, on the near side.
    pub(crate) fn command(self, cable: &Cable) -> Result<Command> {
        let words: Vec<&str> = match self {
            // Each target is asked many times, because 131,072 targets last a third of a second. It
            // is ZMap's own way of asking more than once, and saves it the next target's arithmetic.
            Self::Zmap => {
                "zmap -C /dev/null -b /dev/null -T 1 -i va -S 192.0.2.1 --source-mac=02:00:00:00:00:0a \
                 -G 02:00:00:00:00:0b -p 80 -P 1000 -q -v 0 -o /dev/null -c 0 --disable-syslog"
                    .split_whitespace()
                    .chain([TARGETS])
                    .collect()
            }
            Self::Masscan => {
                "masscan -p1-65535 --rate 100000000 -e va --adapter-ip 192.0.2.1 --adapter-mac 02-00-00-00-00-0a \
                 --router-mac 02-00-00-00-00-0b --wait 0 -oL /dev/null"
                    .split_whitespace()
                    .chain([TARGETS])
                    .collect()
            }
            _ => {
                let this = std::env::current_exe()?;
                let mut command = cable.command(Side::Near, this.to_str().context("a path in UTF-8")?);
                command.args(["send", &self.to_string()]);
                return Ok(command);
            }
        };
        let mut command = cable.command(Side::Near, words[0]);
        command.args(&words[1..]);
        Ok(command)
    }

    /// Sends until killed.
    pub(crate) fn send(self) -> Result<()> {
        match self {
            Self::Sendto => bare_sendto(),
            Self::Sendmmsg => bare_sendmmsg(),
            Self::AfPacket => ours(Engine::AfPacket),
            Self::AfXdp => ours(Engine::AfXdp),
            Self::Zmap | Self::Masscan => bail!("{self} sends by itself"),
        }
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value().expect("no contender is hidden");
        f.write_str(value.get_name())
    }
}

/// SYNs to one target after the other, marked so that their answers can be told.
struct Syns {
    validation: Validation,
    template: TcpTemplate,
    source: IpAddr,
    next: u32,
}

impl Syns {
    fn new(source: Hop) -> Self {
        Self {
            validation: Validation::new([7; 16], SourcePorts::default()),
            template: TcpTemplate::syn(&source),
            source: source.addr,
            next: 0,
        }
    }

    #[inline]
    fn write(&mut self, out: &mut Buffer) -> usize {
        let target = IpAddr::V4(Ipv4Addr::from_bits(FIRST_TARGET + self.next % TARGETS_COUNT));
        let port = (self.next / TARGETS_COUNT) as u16;
        self.next = self.next.wrapping_add(1);
        let mark = self.validation.tcp(self.source, target, port, 0);
        self.template.write(out, &Hop { mac: FAR, addr: target }, mark.ports, mark.seq)
    }
}

fn near() -> Hop {
    Hop { mac: NEAR, addr: Side::Near.addr().parse().expect("an address") }
}

fn ours(engine: Engine) -> Result<()> {
    let near = near();
    let mut links = link::open(&Settings { engine, ..Settings::new(vec![near.addr]) })?;
    let mut syns = Syns::new(near);
    let mut frames = Frames::default();
    loop {
        while !frames.is_full() {
            frames.push(|out| syns.write(out));
        }
        let sent = links[0].transmit.send(&frames);
        if sent.stop.is_some() {
            bail!("{sent:?}");
        }
        frames.clear();
    }
}

/// How long it takes to make and mark one frame.
pub(crate) fn frame_ns() -> f64 {
    const FRAMES: u32 = 5_000_000;
    let mut syns = Syns::new(near());
    let mut out = buffer();
    let began = Instant::now();
    for _ in 0..FRAMES {
        black_box(syns.write(black_box(&mut out)));
    }
    began.elapsed().as_secs_f64() * 1e9 / f64::from(FRAMES)
}

fn bare_socket() -> Result<Socket> {
    let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
    // SAFETY: all zeros is a value of this plain structure.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    // SAFETY: the argument is a string that ends with zero.
    address.sll_ifindex = unsafe { libc::if_nametoindex(c"va".as_ptr()) } as i32;
    let len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the descriptor is open and the pointer is to a structure of the length stated.
    let bound = unsafe { libc::bind(socket.as_raw_fd(), std::ptr::from_ref(&address).cast(), len) };
    if bound == 0 { Ok(socket) } else { Err(std::io::Error::last_os_error().into()) }
}

fn one_frame() -> Vec<u8> {
    let mut out = buffer();
    let len = Syns::new(near()).write(&mut out);
    out[..len].to_vec()
}

fn bare_sendto() -> Result<()> {
    let (socket, frame) = (bare_socket()?, one_frame());
    loop {
        // A refused frame is not counted on arrival.
        let _ = socket.send(&frame);
    }
}

fn bare_sendmmsg() -> Result<()> {
    let (socket, mut frame) = (bare_socket()?, one_frame());
    let (one, len) = (1i32, size_of::<i32>() as libc::socklen_t);
    let (level, name) = (libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS);
    // SAFETY: the descriptor is open and the pointer is to an int of the length stated.
    let set =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, std::ptr::from_ref(&one).cast(), len) };
    if set != 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    let mut part = libc::iovec { iov_base: frame.as_mut_ptr().cast(), iov_len: frame.len() };
    // SAFETY: all zeros is a value of these plain structures: no address, no control data.
    let mut messages: [libc::mmsghdr; FRAMES_MAX] = unsafe { std::mem::zeroed() };
    for message in &mut messages {
        message.msg_hdr.msg_iov = &raw mut part;
        message.msg_hdr.msg_iovlen = 1;
    }
    loop {
        // SAFETY: the descriptor is open, and all messages point to the part, and it to the frame,
        // which outlive the call.
        unsafe { libc::sendmmsg(socket.as_raw_fd(), messages.as_mut_ptr(), FRAMES_MAX as u32, 0) };
    }
}
