//! AF_PACKET: `sendmmsg`, past the queueing discipline.

use std::io;
use std::os::fd::AsRawFd;

use rustix::event::PollFlags;
use socket2::Socket;

use super::{Backoff, FRAMES_MAX, Frames, Sent, Stop};
use crate::raw::socket;

/// Frames handed over by one system call.
const CALL_MAX: usize = 128;

/// Room for frames that the interface has not sent yet, at some 800 bytes of the kernel's memory each.
const SEND_BUFFER_BYTES: usize = 4 << 20;

#[derive(Debug)]
pub(super) struct PacketEngine {
    socket: Socket,
}

impl PacketEngine {
    pub(super) fn open(interface: u32) -> io::Result<Self> {
        let socket = socket::packet_socket()?;
        socket::set_option(&socket, libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, 1i32)?;
        // More than the kernel allows is cut down, which costs speed only.
        socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
        socket::bind(&socket, interface, 0)?;
        Ok(Self { socket })
    }

    pub(super) fn send(&mut self, frames: &Frames) -> Sent {
        let mut sent = Sent::default();
        let mut backoff = Backoff::default();
        while sent.handed_over < frames.len() {
            let wanted = (frames.len() - sent.handed_over).min(CALL_MAX);
            match self.call(frames, sent.handed_over, wanted) {
                Ok(taken) => {
                    sent.handed_over += taken;
                    backoff.progress();
                    // It stopped at a frame that it had no room for.
                    sent.refused += u64::from(taken < wanted);
                }
                Err(error) => {
                    let go_on = match error.raw_os_error() {
                        Some(libc::EINTR) => true,
                        // The interface, or memory, has no room: it says so and forgets the frame.
                        Some(libc::ENOBUFS) => backoff.pause(),
                        // The socket has no room: it tells when it has.
                        Some(libc::EAGAIN) => backoff
                            .left()
                            .is_some_and(|left| socket::wait(&self.socket, PollFlags::OUT, left).is_ok()),
                        errno => {
                            sent.stop = Some(Stop::Failed(errno.unwrap_or(libc::EIO)));
                            break;
                        }
                    };
                    sent.refused += 1;
                    if !go_on {
                        sent.stop = Some(Stop::NoRoom);
                        break;
                    }
                }
            }
        }
        sent.dropped = frames.len() - sent.handed_over;
        sent
    }

    /// One system call for `count` frames from number `first` on; how many it took.
    fn call(&self, frames: &Frames, first: usize, count: usize) -> io::Result<usize> {
        const { assert!(CALL_MAX <= FRAMES_MAX) };
        let mut parts = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; CALL_MAX];
        // SAFETY: all zeros is a value of these plain structures: no address, no control data.
        let mut messages: [libc::mmsghdr; CALL_MAX] = unsafe { std::mem::zeroed() };
        for (n, (part, message)) in parts.iter_mut().zip(&mut messages).take(count).enumerate() {
            let frame = frames.get(first + n).unwrap_or_default();
            part.iov_base = frame.as_ptr().cast_mut().cast();
            part.iov_len = frame.len();
            message.msg_hdr.msg_iov = part;
            message.msg_hdr.msg_iovlen = 1;
        }
        let (descriptor, flags) = (self.socket.as_raw_fd(), libc::MSG_DONTWAIT);
        // SAFETY: the descriptor is open; the first `count` messages point to parts, and these to
        // frames, that outlive the call; the kernel reads the frames only, and writes into the
        // messages only how much of each it took.
        let taken = unsafe { libc::sendmmsg(descriptor, messages.as_mut_ptr(), count as u32, flags) };
        usize::try_from(taken).map_err(|_| io::Error::last_os_error())
    }
}
