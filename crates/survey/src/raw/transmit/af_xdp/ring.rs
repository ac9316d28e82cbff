//! One ring between us and the kernel: two counters that only grow, and entries between them.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

use rustix::net::xdp::XdpRingOffset;
use socket2::Socket;

use super::INVALID;
use crate::raw::mapping::Mapping;

/// Address, length, options.
const DESCRIPTOR_BYTES: usize = 16;
const ADDRESS_BYTES: usize = 8;

/// A ring that we either fill or empty; its size is a power of two.
#[derive(Debug)]
pub(super) struct Ring {
    map: Mapping,
    producer: usize,
    consumer: usize,
    entries: usize,
    size: u32,
    /// Our own counter, before it is published.
    ours: u32,
}

impl Ring {
    pub(super) fn transmit(socket: &Socket, offsets: &XdpRingOffset, size: u32) -> io::Result<Self> {
        Self::open(socket, offsets, size, DESCRIPTOR_BYTES, libc::XDP_PGOFF_TX_RING as u64)
    }

    pub(super) fn fill(socket: &Socket, offsets: &XdpRingOffset, size: u32) -> io::Result<Self> {
        Self::open(socket, offsets, size, ADDRESS_BYTES, libc::XDP_UMEM_PGOFF_FILL_RING)
    }

    pub(super) fn completion(socket: &Socket, offsets: &XdpRingOffset, size: u32) -> io::Result<Self> {
        Self::open(socket, offsets, size, ADDRESS_BYTES, libc::XDP_UMEM_PGOFF_COMPLETION_RING)
    }

    fn open(
        socket: &Socket,
        offsets: &XdpRingOffset,
        size: u32,
        entry_bytes: usize,
        page: u64,
    ) -> io::Result<Self> {
        assert!(size.is_power_of_two(), "a ring of {size} entries");
        let at = |offset: u64| usize::try_from(offset).map_err(io::Error::other);
        let entries = at(offsets.desc)?;
        let map = Mapping::of_socket(socket.as_fd(), entries + size as usize * entry_bytes, page)?;
        let (producer, consumer) = (at(offsets.producer)?, at(offsets.consumer)?);
        Ok(Self { map, producer, consumer, entries, size, ours: 0 })
    }

    /// Entries that may be put in.
    pub(super) fn room(&self) -> usize {
        let theirs = self.map.word(self.consumer).load(Ordering::Acquire);
        (self.size - self.ours.wrapping_sub(theirs)) as usize
    }

    /// Entries that were put in and that the kernel is not seen to have taken.
    pub(super) fn len(&self) -> usize {
        let theirs = self.map.word(self.consumer).load(Ordering::Acquire);
        self.ours.wrapping_sub(theirs) as usize
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts in a frame; the caller has looked at [`Ring::room`].
    #[inline]
    pub(super) fn put_descriptor(&mut self, address: u64, len: u32) {
        let mut entry = [0; DESCRIPTOR_BYTES];
        entry[..8].copy_from_slice(&address.to_ne_bytes());
        entry[8..12].copy_from_slice(&len.to_ne_bytes());
        self.map.write(self.entry(self.ours, DESCRIPTOR_BYTES), &entry);
        self.ours = self.ours.wrapping_add(1);
    }

    /// Puts in an address; the caller has looked at [`Ring::room`].
    pub(super) fn put_address(&mut self, address: u64) {
        self.map.write(self.entry(self.ours, ADDRESS_BYTES), &address.to_ne_bytes());
        self.ours = self.ours.wrapping_add(1);
    }

    /// Shows the kernel what was put in.
    pub(super) fn publish(&mut self) {
        self.map.word(self.producer).store(self.ours, Ordering::Release);
    }

    /// Makes the last `count` frames invalid. Only while the kernel does not look.
    pub(super) fn invalidate(&mut self, count: usize) {
        for back in 1..=count as u32 {
            let at = self.entry(self.ours.wrapping_sub(back), DESCRIPTOR_BYTES);
            self.map.write(at, &INVALID.to_ne_bytes());
        }
    }

    /// Takes out an address, if there is one.
    pub(super) fn take_address(&mut self) -> Option<u64> {
        let theirs = self.map.word(self.producer).load(Ordering::Acquire);
        (theirs != self.ours).then(|| {
            let address = self.map.read_u64(self.entry(self.ours, ADDRESS_BYTES));
            self.ours = self.ours.wrapping_add(1);
            address
        })
    }

    /// Gives the places of what was taken out back to the kernel.
    pub(super) fn release(&mut self) {
        self.map.word(self.consumer).store(self.ours, Ordering::Release);
    }

    fn entry(&self, counter: u32, entry_bytes: usize) -> usize {
        self.entries + (counter & (self.size - 1)) as usize * entry_bytes
    }
}
