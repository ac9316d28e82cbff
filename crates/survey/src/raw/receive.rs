//! Frames in: a ring shared with the kernel, which filters before it copies.
//!
//! The ring (TPACKET_V3) is made of blocks that the kernel fills and hands over when they are full
//! or a few milliseconds old; [`Receive::block`] waits for the next one. Frames are borrowed from
//! it, and the block goes back when it is dropped. Packet sockets see frames before netfilter does,
//! so that what [`super::guard`] keeps from the kernel still arrives here.

use std::io;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kenshin_observation::TimeUs;
use kenshin_wire::packet::{Checksums, Mac, Seen, Unseen, see};
use rustix::event::PollFlags;
use socket2::Socket;

use super::mapping::Mapping;
use super::socket;
use super::validation::SourcePorts;

mod filter;

pub use filter::SOURCES_MAX;

/// The ring unless told otherwise: some 250,000 SYN-ACKs, a quarter of a second at a million a second.
pub const RING_BYTES: usize = 32 << 20;

/// Smallest ring.
pub const RING_BYTES_MIN: usize = 2 * BLOCK_BYTES;

/// Largest ring; the kernel's memory, which nothing else can use.
pub const RING_BYTES_MAX: usize = 1 << 30;

const BLOCK_BYTES: usize = 1 << 20;

/// A block that is not full is handed over after so long.
const BLOCK_AGE_MS: u32 = 4;

/// Nominal only: frames in blocks have the lengths they have.
const FRAME_BYTES: u32 = 2048;

const STATUS_AT: usize = std::mem::offset_of!(libc::tpacket_block_desc, hdr);
const COUNT_AT: usize = STATUS_AT + 4;
const FIRST_AT: usize = STATUS_AT + 8;

/// What one interface received.
#[derive(Debug)]
pub struct Receive {
    // The mapping goes before the socket it is of.
    ring: Mapping,
    socket: Socket,
    /// The block that is filled next.
    next: usize,
    counts: Counts,
}

/// Sums since the ring was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Frames that passed the filter, dropped ones included.
    pub passed: u64,
    /// Frames that passed the filter and found the ring full: answers lost on this machine.
    pub dropped: u64,
}

impl Receive {
    /// Opens a ring on an interface, which takes CAP_NET_RAW. It passes frames for this station and
    /// one of `sources`: SYN-ACK, RST and UDP to `ports`; echo replies and ICMP errors; ARP replies
    /// and neighbour advertisements.
    pub(super) fn open(
        interface: u32,
        sources: &[IpAddr],
        ports: SourcePorts,
        ring_bytes: usize,
    ) -> io::Result<Self> {
        let blocks = ring_bytes.clamp(RING_BYTES_MIN, RING_BYTES_MAX) / BLOCK_BYTES;
        let socket = socket::packet_socket()?;
        socket::set_option(
            &socket,
            libc::SOL_PACKET,
            libc::PACKET_VERSION,
            libc::tpacket_versions::TPACKET_V3,
        )?;
        socket::set_option(&socket, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1i32)?;
        filter::attach(&socket, sources, ports)?;
        let request = libc::tpacket_req3 {
            tp_block_size: BLOCK_BYTES as u32,
            tp_block_nr: blocks as u32,
            tp_frame_size: FRAME_BYTES,
            tp_frame_nr: (blocks * BLOCK_BYTES) as u32 / FRAME_BYTES,
            tp_retire_blk_tov: BLOCK_AGE_MS,
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        socket::set_option(&socket, libc::SOL_PACKET, libc::PACKET_RX_RING, request)?;
        let ring = Mapping::of_socket(std::os::fd::AsFd::as_fd(&socket), blocks * BLOCK_BYTES, 0)?;
        // Bound last: nothing arrives that has not passed the filter.
        socket::bind(&socket, interface, socket::EVERY_PROTOCOL)?;
        Ok(Self { ring, socket, next: 0, counts: Counts::default() })
    }

    /// The next block, waiting for it as long as stated; `None` when none came.
    pub fn block(&mut self, most: Duration) -> io::Result<Option<Block<'_>>> {
        if !self.is_ready() {
            socket::wait(&self.socket, PollFlags::IN, most)?;
            if !self.is_ready() {
                return Ok(None);
            }
        }
        Ok(Some(Block { receive: self }))
    }

    /// What passed and what was lost so far.
    pub fn counts(&mut self) -> io::Result<Counts> {
        let since = socket::statistics(&self.socket)?;
        self.counts.passed += u64::from(since.tp_packets);
        self.counts.dropped += u64::from(since.tp_drops);
        Ok(self.counts)
    }

    fn is_ready(&self) -> bool {
        let status = self.ring.word(self.next * BLOCK_BYTES + STATUS_AT).load(Ordering::Acquire);
        status & libc::TP_STATUS_USER != 0
    }
}

/// Frames that arrived together.
#[derive(Debug)]
pub struct Block<'a> {
    receive: &'a mut Receive,
}

impl Block<'_> {
    /// The frames, in the order of their arrival.
    pub fn frames(&self) -> impl Iterator<Item = Received<'_>> {
        let at = self.receive.next * BLOCK_BYTES;
        // SAFETY: the kernel has handed this block over and writes there again only after `drop`
        // has given it back, which cannot be while the slice is borrowed from `self`.
        let block = unsafe { self.receive.ring.slice(at, BLOCK_BYTES) };
        let left = number(block, COUNT_AT).unwrap_or(0);
        let next = number(block, FIRST_AT).unwrap_or(0) as usize;
        BlockFrames { block, next, left }
    }
}

impl Drop for Block<'_> {
    fn drop(&mut self) {
        let Receive { ring, next, .. } = &mut *self.receive;
        ring.word(*next * BLOCK_BYTES + STATUS_AT).store(libc::TP_STATUS_KERNEL, Ordering::Release);
        *next = (*next + 1) % (ring.len() / BLOCK_BYTES);
    }
}

/// One frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received<'a> {
    /// The frame; its end is missing if it was longer than any that we ask for.
    pub bytes: &'a [u8],
    /// When the kernel saw it.
    pub at: TimeUs,
    /// Whether its checksums have to be verified.
    pub checksums: Checksums,
}

impl<'a> Received<'a> {
    /// What it says.
    pub fn seen(&self) -> Result<Seen<'a>, Unseen> {
        see(self.bytes, self.checksums)
    }

    /// The station that handed it to us.
    pub fn station(&self) -> Option<Mac> {
        self.bytes.get(6..12)?.try_into().ok().map(Mac)
    }
}

struct BlockFrames<'a> {
    block: &'a [u8],
    next: usize,
    left: u32,
}

impl<'a> Iterator for BlockFrames<'a> {
    type Item = Received<'a>;

    fn next(&mut self) -> Option<Received<'a>> {
        use std::mem::offset_of;
        self.left = self.left.checked_sub(1)?;
        let header = self.block.get(self.next..)?;
        let len = number(header, offset_of!(libc::tpacket3_hdr, tp_snaplen))? as usize;
        let from = offset_of!(libc::tpacket3_hdr, tp_mac);
        let from = usize::from(u16::from_ne_bytes(*header.get(from..)?.first_chunk()?));
        let bytes = header.get(from..)?.get(..len)?;
        let (seconds, nanoseconds) = (
            number(header, offset_of!(libc::tpacket3_hdr, tp_sec))?,
            number(header, offset_of!(libc::tpacket3_hdr, tp_nsec))?,
        );
        let at = TimeUs::from_micros(i64::from(seconds) * 1_000_000 + i64::from(nanoseconds) / 1_000);
        let status = number(header, offset_of!(libc::tpacket3_hdr, tp_status))?;
        let vouched = status & (libc::TP_STATUS_CSUM_VALID | libc::TP_STATUS_CSUMNOTREADY) != 0;
        let checksums = if vouched { Checksums::Trust } else { Checksums::Verify };
        self.next += number(header, offset_of!(libc::tpacket3_hdr, tp_next_offset))? as usize;
        Some(Received { bytes, at, checksums })
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|number| u32::from_ne_bytes(*number))
}
