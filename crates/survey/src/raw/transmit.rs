//! Frames out: batches, handed to the kernel with exact counts.
//!
//! A [`Transmit`] sends through one of two engines, both with one copy and without queueing
//! disciplines. Which one is told by an [`Engine`]; left to itself, AF_XDP is taken where a short
//! self-test says that it works, because it costs about two thirds of the time per frame.
//! The self-test is one frame from this station to itself, of an EtherType reserved for local
//! experiments (IEEE 802, 0x88b5).

use std::fmt;
use std::io;
use std::str::FromStr;
use std::time::{Duration, Instant};

use kenshin_wire::packet::{Buffer, FRAME_BYTES_MAX, Mac};

use af_packet::PacketEngine;
use af_xdp::{Mode, XdpEngine};

mod af_packet;
mod af_xdp;

/// Most frames of one batch.
pub const FRAMES_MAX: usize = 256;

/// Longest that [`Transmit::send`] takes, while the kernel has no room.
pub const SEND_WAIT_MAX: Duration = Duration::from_millis(100);

/// How long the self-test waits.
const SELF_TEST_WAIT_MAX: Duration = Duration::from_millis(100);

/// An Ethernet header and nothing else.
const FRAME_BYTES_MIN: usize = 14;

const SELF_TEST_ETHERTYPE: [u8; 2] = [0x88, 0xb5];
const SELF_TEST_BYTES: usize = 60;

/// Frames begin at cache lines.
const SLOT_ALIGNMENT: usize = 64;
const SLOT_BYTES_MAX: usize = FRAME_BYTES_MAX.next_multiple_of(SLOT_ALIGNMENT);

/// A batch of frames, one behind the other in memory that is used again.
#[derive(Debug)]
pub struct Frames {
    bytes: Box<[u8]>,
    /// Where each begins and how long it is.
    spans: Vec<(u32, u32)>,
    end: usize,
}

impl Default for Frames {
    fn default() -> Self {
        Self {
            bytes: vec![0; FRAMES_MAX * SLOT_BYTES_MAX].into(),
            spans: Vec::with_capacity(FRAMES_MAX),
            end: 0,
        }
    }
}

impl Frames {
    /// Adds the frame that `write` writes into the buffer it is given, which may hold anything; it
    /// returns the frame's length.
    ///
    /// # Panics
    /// When the batch [is full](Frames::is_full), or the length that of no frame: bugs of the caller.
    #[inline]
    pub fn push(&mut self, write: impl FnOnce(&mut Buffer) -> usize) {
        assert!(!self.is_full(), "a batch of {FRAMES_MAX} frames is full");
        let buffer =
            self.bytes[self.end..].first_chunk_mut().expect("there is room for as many of the longest");
        let len = write(buffer);
        assert!((FRAME_BYTES_MIN..=FRAME_BYTES_MAX).contains(&len), "a frame of {len} bytes");
        self.spans.push((self.end as u32, len as u32));
        self.end += len.next_multiple_of(SLOT_ALIGNMENT);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// True when there are [`FRAMES_MAX`].
    pub fn is_full(&self) -> bool {
        self.spans.len() == FRAMES_MAX
    }

    /// Empties the batch.
    pub fn clear(&mut self) {
        self.spans.clear();
        self.end = 0;
    }

    /// Frame number `n`.
    #[inline]
    pub fn get(&self, n: usize) -> Option<&[u8]> {
        let (at, len) = *self.spans.get(n)?;
        self.bytes.get(at as usize..(at + len) as usize)
    }
}

/// Why a batch was not handed over whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The kernel had no room for [`SEND_WAIT_MAX`].
    NoRoom,
    /// The kernel refuses the next frame for another reason, an `errno`: the interface is down, or
    /// the frame longer than it carries.
    Failed(i32),
}

/// What became of a batch. Frames are handed over in their order: the first `handed_over` left, the
/// others did not and can be sent again or counted as not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sent {
    /// Frames that the interface took.
    pub handed_over: usize,
    /// Frames that it did not.
    pub dropped: usize,
    /// How often the kernel said that it has no room. After each the same frame is tried again.
    pub refused: u64,
    /// Why some were dropped.
    pub stop: Option<Stop>,
}

/// Sums over all batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Frames that the interface took.
    pub handed_over: u64,
    /// Frames that it did not.
    pub dropped: u64,
    /// How often the kernel said that it has no room.
    pub refused: u64,
}

/// Which engine is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Engine {
    /// AF_XDP in copy mode where the self-test passes, else AF_PACKET.
    #[default]
    Auto,
    /// `sendmmsg` on a packet socket, past the queueing discipline.
    AfPacket,
    /// A ring of frames that the kernel copies from.
    AfXdp,
    /// A ring of frames that the interface reads from. Never chosen by itself: the driver takes
    /// queue 0 for it, some interrupt the link for that, and what it was told to send cannot be
    /// taken back.
    AfXdpZeroCopy,
}

impl Engine {
    const NAMES: [(Self, &str); 4] = [
        (Self::Auto, "auto"),
        (Self::AfPacket, "af-packet"),
        (Self::AfXdp, "af-xdp"),
        (Self::AfXdpZeroCopy, "af-xdp-zero-copy"),
    ];
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(engine, _)| engine == self);
        f.write_str(name.expect("every engine has a name").1)
    }
}

/// No name of an engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no send engine; hint: auto, af-packet, af-xdp or af-xdp-zero-copy")]
pub struct UnknownEngine(String);

impl FromStr for Engine {
    type Err = UnknownEngine;

    fn from_str(text: &str) -> Result<Self, UnknownEngine> {
        let found = Self::NAMES.iter().find(|(_, name)| *name == text);
        found.map(|(engine, _)| *engine).ok_or_else(|| UnknownEngine(text.to_owned()))
    }
}

/// The engine that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Which, never [`Engine::Auto`].
    pub engine: Engine,
    /// Why, for the operator to read.
    pub why: String,
}

/// Sends through one interface.
#[derive(Debug)]
pub struct Transmit {
    running: Running,
    chosen: Chosen,
    totals: Totals,
}

#[derive(Debug)]
enum Running {
    Packet(PacketEngine),
    Xdp(XdpEngine),
}

impl Running {
    fn send(&mut self, frames: &Frames) -> Sent {
        match self {
            Self::Packet(engine) => engine.send(frames),
            Self::Xdp(engine) => engine.send(frames),
        }
    }
}

impl Transmit {
    /// Opens an engine on an interface, which takes CAP_NET_RAW, and tests it.
    pub(super) fn open(interface: u32, mac: Mac, wanted: Engine) -> io::Result<Self> {
        let (running, chosen) = match wanted {
            Engine::AfPacket => (packet(interface, mac)?, Chosen { engine: wanted, why: "as asked".into() }),
            Engine::AfXdp => {
                (xdp(interface, mac, Mode::Copy)?, Chosen { engine: wanted, why: "as asked".into() })
            }
            Engine::AfXdpZeroCopy => {
                (xdp(interface, mac, Mode::ZeroCopy)?, Chosen { engine: wanted, why: "as asked".into() })
            }
            Engine::Auto => match xdp(interface, mac, Mode::Copy) {
                Ok(running) => {
                    let why = "AF_XDP works here: the self-test completed a frame".to_owned();
                    (running, Chosen { engine: Engine::AfXdp, why })
                }
                Err(error) => {
                    let why = format!("AF_XDP does not work here: {error}");
                    (packet(interface, mac)?, Chosen { engine: Engine::AfPacket, why })
                }
            },
        };
        Ok(Self { running, chosen, totals: Totals::default() })
    }

    /// Hands over a batch, in its order. Returns when the kernel has taken all, refused one for
    /// good, or had no room for [`SEND_WAIT_MAX`].
    pub fn send(&mut self, frames: &Frames) -> Sent {
        let sent = self.running.send(frames);
        self.totals.handed_over += sent.handed_over as u64;
        self.totals.dropped += sent.dropped as u64;
        self.totals.refused += sent.refused;
        sent
    }

    /// What became of everything so far, the self-test left out.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Which engine it is, and why.
    pub fn chosen(&self) -> &Chosen {
        &self.chosen
    }
}

fn packet(interface: u32, mac: Mac) -> io::Result<Running> {
    let mut engine = PacketEngine::open(interface)?;
    passed(engine.send(&self_test(mac)))?;
    Ok(Running::Packet(engine))
}

fn xdp(interface: u32, mac: Mac, mode: Mode) -> io::Result<Running> {
    let mut engine = XdpEngine::open(interface, mode)?;
    passed(engine.send(&self_test(mac)))?;
    engine.completed(SELF_TEST_WAIT_MAX)?;
    Ok(Running::Xdp(engine))
}

/// From this station to itself; a switch has nobody to pass it on to.
fn self_test(mac: Mac) -> Frames {
    let mut frames = Frames::default();
    frames.push(|buffer| {
        buffer[..SELF_TEST_BYTES].fill(0);
        buffer[..6].copy_from_slice(&mac.0);
        buffer[6..12].copy_from_slice(&mac.0);
        buffer[12..14].copy_from_slice(&SELF_TEST_ETHERTYPE);
        SELF_TEST_BYTES
    });
    frames
}

fn passed(sent: Sent) -> io::Result<()> {
    match sent.stop {
        None => Ok(()),
        Some(Stop::NoRoom) => Err(io::Error::from(io::ErrorKind::TimedOut)),
        Some(Stop::Failed(errno)) => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// Waits between tries while the kernel has no room: not at all, then longer and longer, and no
/// longer than [`SEND_WAIT_MAX`] in all.
#[derive(Debug, Default)]
struct Backoff {
    tries: u32,
    since: Option<Instant>,
}

impl Backoff {
    /// Twenty microseconds, doubled up to a millisecond.
    const SHORTEST_US: u64 = 20;
    const DOUBLINGS_MAX: u32 = 6;
    /// A ring that is full for an instant is free again by the next look.
    const AT_ONCE: u32 = 4;

    /// The kernel took something: the next pause is short again.
    fn progress(&mut self) {
        self.tries = 0;
    }

    /// What is left of the patience, which begins with the first look; `None` when nothing is.
    fn left(&mut self) -> Option<Duration> {
        let since = *self.since.get_or_insert_with(Instant::now);
        SEND_WAIT_MAX.checked_sub(since.elapsed()).filter(|left| !left.is_zero())
    }

    /// Pauses before the next try; false when it is not worth trying again.
    fn pause(&mut self) -> bool {
        let Some(left) = self.left() else { return false };
        if self.tries >= Self::AT_ONCE {
            let doublings = (self.tries - Self::AT_ONCE).min(Self::DOUBLINGS_MAX);
            std::thread::sleep(left.min(Duration::from_micros(Self::SHORTEST_US << doublings)));
        }
        self.tries += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_engines_round_trip() {
        for (engine, name) in Engine::NAMES {
            assert_eq!(name.parse(), Ok(engine));
            assert_eq!(engine.to_string(), name);
        }
        let error = "dpdk".parse::<Engine>().unwrap_err();
        assert!(error.to_string().contains("af-packet"), "{error}");
    }

    #[test]
    fn frames_lie_where_they_were_written() {
        let mut frames = Frames::default();
        for round in 0..2 {
            while !frames.is_full() {
                let n = frames.len();
                let len = [60, FRAME_BYTES_MIN, FRAME_BYTES_MAX][n % 3];
                frames.push(|buffer| {
                    buffer[..len].fill(n as u8 ^ round);
                    len
                });
            }
            for n in 0..FRAMES_MAX {
                let frame = frames.get(n).unwrap();
                assert_eq!(frame.len(), [60, FRAME_BYTES_MIN, FRAME_BYTES_MAX][n % 3]);
                assert!(frame.iter().all(|byte| *byte == n as u8 ^ round), "frame {n}");
            }
            assert_eq!((frames.get(FRAMES_MAX), frames.len()), (None, FRAMES_MAX));
            frames.clear();
            assert!(frames.is_empty());
        }
    }

    #[test]
    fn patience_has_an_end() {
        let mut backoff = Backoff { tries: 0, since: Instant::now().checked_sub(SEND_WAIT_MAX) };
        assert!(!backoff.pause());
    }
}
