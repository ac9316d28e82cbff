//! Memory shared with the kernel: rings and the frames in them.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU32;

/// One mapping, unmapped when dropped. Every access is checked against its bounds.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and nothing else points into it.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Memory of our own, zeroed, for the kernel to read frames from.
    pub(super) fn anonymous(len: usize) -> io::Result<Self> {
        Self::map(len, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
    }

    /// Memory of a socket.
    pub(super) fn of_socket(socket: BorrowedFd<'_>, len: usize, offset: u64) -> io::Result<Self> {
        let offset = libc::off_t::try_from(offset).map_err(io::Error::other)?;
        Self::map(len, libc::MAP_SHARED, socket.as_raw_fd(), offset)
    }

    fn map(len: usize, flags: i32, descriptor: i32, offset: libc::off_t) -> io::Result<Self> {
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, flags | libc::MAP_POPULATE);
        // SAFETY: a new mapping at an address that the kernel chooses touches no other memory.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, flags, descriptor, offset) };
        match NonNull::new(start.cast::<u8>()) {
            Some(pointer) if start != libc::MAP_FAILED => Ok(Self { start: pointer, len }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Where it begins, as the kernel is told.
    pub(super) fn address(&self) -> u64 {
        self.start.as_ptr() as u64
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// A counter or status word that both sides change.
    ///
    /// # Panics
    /// Outside of the mapping, or not aligned: a bug of ours.
    pub(super) fn word(&self, at: usize) -> &AtomicU32 {
        self.check(at, 4);
        let word = self.start.as_ptr().wrapping_add(at).cast::<u32>();
        assert!(word.is_aligned(), "a word of a ring at {at} is not aligned");
        // SAFETY: inside of the mapping, aligned, and as long as `self`; the kernel accesses it
        // atomically too.
        unsafe { AtomicU32::from_ptr(word) }
    }

    /// Writes where the kernel does not look at present.
    ///
    /// # Panics
    /// Outside of the mapping: a bug of ours.
    #[inline]
    pub(super) fn write(&mut self, at: usize, bytes: &[u8]) {
        self.check(at, bytes.len());
        // SAFETY: inside of the mapping; `bytes` cannot lie there, because nobody but `slice` hands
        // out references into it and `self` is borrowed for writing.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.as_ptr().add(at), bytes.len());
        }
    }

    /// Eight bytes that the kernel wrote before it moved a counter that we have read.
    ///
    /// # Panics
    /// Outside of the mapping: a bug of ours.
    pub(super) fn read_u64(&self, at: usize) -> u64 {
        self.check(at, 8);
        // SAFETY: inside of the mapping; unaligned reads are allowed here, and the kernel has
        // finished writing.
        unsafe { self.start.as_ptr().add(at).cast::<u64>().read_unaligned() }
    }

    /// A part of it.
    ///
    /// # Panics
    /// Outside of the mapping: a bug of ours.
    ///
    /// # Safety
    /// The kernel must not write there as long as the slice lives.
    pub(super) unsafe fn slice(&self, at: usize, len: usize) -> &[u8] {
        self.check(at, len);
        // SAFETY: inside of the mapping, initialised by the kernel, and unchanged as the caller states.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().add(at), len) }
    }

    #[inline]
    fn check(&self, at: usize, len: usize) {
        assert!(at.checked_add(len).is_some_and(|end| end <= self.len), "{len} bytes at {at} of a ring");
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `map` with this length, and every reference into it has ended.
        let unmapped = unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
        debug_assert_eq!(unmapped, 0);
    }
}
