//! AF_XDP: frames in memory that the kernel knows, handed over through a ring.
//!
//! In copy mode the kernel looks at the ring only while we ask it to, so that what it has not taken
//! yet can be taken back: its descriptors are overwritten with invalid ones, which the kernel skips
//! and counts. That count is also the one way to know, in every version, how far it had come.

use std::io;
use std::time::{Duration, Instant};

use rustix::net::sockopt;
use rustix::net::xdp::{SocketAddrXdp, SocketAddrXdpFlags, XdpUmemReg, XdpUmemRegFlags};
use socket2::{Domain, Socket, Type};

use super::{Backoff, Frames, Sent, Stop};
use crate::raw::mapping::Mapping;
use ring::Ring;

mod ring;

/// Memory of one frame, as the kernel wants it: a power of two from 2,048 on.
const CHUNK_BYTES: u32 = 2048;

/// Chunks to send from. Together with the rings they stay within the 8 MiB that a process may
/// usually lock without privilege.
const CHUNKS: u32 = 2048;

/// Chunks that an interface may receive into in zero-copy mode, so that the rest of the machine
/// goes on receiving through it. We read none of them.
const RECEIVE_CHUNKS: u32 = 1024;

/// Frames put into the ring before the kernel is asked to look: what it takes at a time.
const TAKE_MAX: usize = 32;

/// Queues that are tried, when others are taken.
const QUEUES_MAX: u32 = 16;

/// An address outside of all memory that the kernel knows.
const INVALID: u64 = u64::MAX;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// The kernel copies each frame when it looks at the ring.
    Copy,
    /// The interface reads frames from our memory.
    ZeroCopy,
}

#[derive(Debug)]
pub(super) struct XdpEngine {
    socket: Socket,
    mode: Mode,
    memory: Mapping,
    transmit: Ring,
    completion: Ring,
    /// Chunks that nobody uses.
    free: Vec<u32>,
    /// Chunks of the frames that were put into the ring last.
    batch: Vec<u32>,
}

/// How the kernel took what was put into the ring.
enum Taken {
    All,
    /// All up to one frame, which the interface threw away.
    UpToDropped,
    /// A part, and it takes no more.
    Part(Stop),
}

impl XdpEngine {
    pub(super) fn open(interface: u32, mode: Mode) -> io::Result<Self> {
        let socket = Socket::new(Domain::from(libc::AF_XDP), Type::RAW, None)?;
        let receive_chunks = if mode == Mode::ZeroCopy { RECEIVE_CHUNKS } else { 0 };
        let memory = Mapping::anonymous(((CHUNKS + receive_chunks) * CHUNK_BYTES) as usize)?;
        let region = XdpUmemReg {
            addr: memory.address(),
            len: memory.len() as u64,
            chunk_size: CHUNK_BYTES,
            headroom: 0,
            flags: XdpUmemRegFlags::empty(),
            tx_metadata_len: 0,
        };
        sockopt::set_xdp_umem_reg(&socket, region)?;
        sockopt::set_xdp_umem_fill_ring_size(&socket, RECEIVE_CHUNKS)?;
        sockopt::set_xdp_umem_completion_ring_size(&socket, CHUNKS)?;
        sockopt::set_xdp_tx_ring_size(&socket, CHUNKS)?;
        let offsets = sockopt::xdp_mmap_offsets(&socket)?;
        if mode == Mode::ZeroCopy {
            let mut fill = Ring::fill(&socket, &offsets.fr, RECEIVE_CHUNKS)?;
            (0..RECEIVE_CHUNKS).for_each(|n| fill.put_address(chunk_at(CHUNKS + n)));
            fill.publish();
        }
        let transmit = Ring::transmit(&socket, &offsets.tx, CHUNKS)?;
        let completion = Ring::completion(&socket, &offsets.cr, CHUNKS)?;
        bind(&socket, interface, mode)?;
        let free = (0..CHUNKS).rev().collect();
        Ok(Self { socket, mode, memory, transmit, completion, free, batch: Vec::with_capacity(TAKE_MAX) })
    }

    pub(super) fn send(&mut self, frames: &Frames) -> Sent {
        let mut sent = Sent::default();
        let mut backoff = Backoff::default();
        while sent.stop.is_none() && sent.handed_over < frames.len() {
            self.reap();
            let count = self.put(frames, sent.handed_over);
            if count == 0 {
                // Everything is on its way already.
                sent.refused += 1;
                let _ = self.kick();
                if !backoff.pause() {
                    sent.stop = Some(Stop::NoRoom);
                }
                continue;
            }
            match self.push(&mut backoff, &mut sent.refused) {
                Taken::All => {
                    sent.handed_over += count;
                    backoff.progress();
                }
                Taken::UpToDropped => {
                    sent.handed_over += self.take_back(count).saturating_sub(1);
                    if !backoff.pause() {
                        sent.stop = Some(Stop::NoRoom);
                    }
                }
                Taken::Part(stop) => {
                    sent.handed_over += self.take_back(count);
                    sent.stop = Some(stop);
                }
            }
        }
        sent.dropped = frames.len() - sent.handed_over;
        sent
    }

    /// Waits until everything that was handed over is out of our memory.
    pub(super) fn completed(&mut self, most: Duration) -> io::Result<()> {
        let until = Instant::now() + most;
        loop {
            self.reap();
            if self.free.len() == CHUNKS as usize {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "a frame was not completed"));
            }
            let _ = self.kick();
            std::thread::sleep(Duration::from_micros(100));
        }
    }

    /// Puts frames from number `first` on into the ring; how many.
    fn put(&mut self, frames: &Frames, first: usize) -> usize {
        let count = TAKE_MAX.min(frames.len() - first).min(self.free.len()).min(self.transmit.room());
        self.batch.clear();
        for n in first..first + count {
            let (Some(frame), Some(chunk)) = (frames.get(n), self.free.pop()) else { break };
            let at = chunk_at(chunk);
            self.batch.push(chunk);
            self.memory.write(at as usize, frame);
            self.transmit.put_descriptor(at, frame.len() as u32);
        }
        self.transmit.publish();
        count
    }

    /// Asks the kernel to look until it has taken all, or does not go on.
    fn push(&mut self, backoff: &mut Backoff, refused: &mut u64) -> Taken {
        loop {
            let kicked = self.kick();
            if self.mode == Mode::ZeroCopy {
                // The interface takes them in its own time, and nothing can be taken back.
                return match kicked.map_err(|error| error.raw_os_error()) {
                    Err(Some(errno)) if !no_room(errno) => Taken::Part(Stop::Failed(errno)),
                    _ => Taken::All,
                };
            }
            let errno = kicked.err().map_or(0, |error| error.raw_os_error().unwrap_or(libc::EIO));
            match errno {
                libc::EBUSY => {
                    *refused += 1;
                    return Taken::UpToDropped;
                }
                _ if self.transmit.is_empty() => return Taken::All,
                0 => {}
                errno if no_room(errno) => *refused += 1,
                errno => return Taken::Part(Stop::Failed(errno)),
            }
            if !backoff.pause() {
                return Taken::Part(Stop::NoRoom);
            }
        }
    }

    /// Takes back what the kernel has not taken of the last `count` frames; how many it has taken.
    fn take_back(&mut self, count: usize) -> usize {
        if self.mode == Mode::ZeroCopy {
            return count;
        }
        let before = self.skipped();
        self.transmit.invalidate(count);
        // It skips one or all at a time, depending on its version.
        for _ in 0..2 * TAKE_MAX {
            let stuck = || self.kick().is_err_and(|error| error.raw_os_error() != Some(libc::EAGAIN));
            if self.transmit.is_empty() || stuck() {
                break;
            }
        }
        let left = if self.transmit.is_empty() {
            self.skipped().saturating_sub(before) as usize
        } else {
            // The interface is down. What is in the ring is invalid and never leaves.
            self.transmit.len()
        };
        let left = left.min(count);
        let taken = count - left;
        self.free.extend(self.batch.drain(taken..));
        taken
    }

    /// How many invalid descriptors the kernel has skipped so far.
    fn skipped(&self) -> u64 {
        sockopt::xdp_statistics(&self.socket).map_or(0, |all| all.tx_invalid_descs)
    }

    /// Takes chunks that are done with.
    fn reap(&mut self) {
        while let Some(address) = self.completion.take_address() {
            // Some versions complete what they skip, too.
            if address < chunk_at(CHUNKS) {
                self.free.push((address / u64::from(CHUNK_BYTES)) as u32);
            }
        }
        self.completion.release();
    }

    fn kick(&self) -> io::Result<()> {
        self.socket.send_with_flags(&[], libc::MSG_DONTWAIT).map(drop)
    }
}

fn chunk_at(chunk: u32) -> u64 {
    u64::from(chunk) * u64::from(CHUNK_BYTES)
}

const fn no_room(errno: i32) -> bool {
    matches!(errno, libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM | libc::EINTR | libc::EBUSY)
}

/// Binds to the first queue that nobody has bound.
fn bind(socket: &Socket, interface: u32, mode: Mode) -> io::Result<()> {
    let mode = match mode {
        Mode::Copy => SocketAddrXdpFlags::XDP_COPY,
        Mode::ZeroCopy => SocketAddrXdpFlags::XDP_ZEROCOPY,
    };
    let flags = mode | SocketAddrXdpFlags::XDP_USE_NEED_WAKEUP;
    let mut bound = Err(rustix::io::Errno::BUSY);
    for queue in 0..QUEUES_MAX {
        bound = match rustix::net::bind(socket, &SocketAddrXdp::new(flags, interface, queue)) {
            Err(rustix::io::Errno::BUSY) => continue,
            // There are no more queues.
            Err(rustix::io::Errno::INVAL) if queue > 0 => Err(rustix::io::Errno::BUSY),
            other => other,
        };
        break;
    }
    Ok(bound?)
}
