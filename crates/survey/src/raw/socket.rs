//! Packet sockets and their options.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Socket, Type};

/// Every protocol, in network byte order as `sockaddr_ll` wants it.
pub(super) const EVERY_PROTOCOL: u16 = (libc::ETH_P_ALL as u16).to_be();

/// A socket for whole frames that receives nothing before it is bound to a protocol.
pub(super) fn packet_socket() -> io::Result<Socket> {
    let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Binds a packet socket to an interface; with protocol 0 it sends only.
pub(super) fn bind(socket: &Socket, interface: u32, protocol: u16) -> io::Result<()> {
    // SAFETY: all zeros is a value of this plain structure.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol;
    address.sll_ifindex = i32::try_from(interface).map_err(io::Error::other)?;
    let address = std::ptr::from_ref(&address).cast::<libc::sockaddr>();
    // SAFETY: the descriptor is open, and the pointer is to a local structure of the length stated,
    // which the kernel only reads.
    let bound = unsafe { libc::bind(socket.as_raw_fd(), address, length::<libc::sockaddr_ll>()) };
    if bound == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sets an option whose value is a plain structure or an int.
pub(super) fn set_option<T: Copy>(socket: impl AsFd, level: i32, name: i32, value: T) -> io::Result<()> {
    let descriptor = socket.as_fd().as_raw_fd();
    let value = std::ptr::from_ref(&value).cast();
    // SAFETY: the descriptor is open, and the pointer is to a value of the length stated that the
    // kernel only reads.
    let set = unsafe { libc::setsockopt(descriptor, level, name, value, length::<T>()) };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// What the ring of a packet socket received and had no room for, since the last look.
pub(super) fn statistics(socket: &Socket) -> io::Result<libc::tpacket_stats_v3> {
    let mut value = libc::tpacket_stats_v3 { tp_packets: 0, tp_drops: 0, tp_freeze_q_cnt: 0 };
    let mut len = length::<libc::tpacket_stats_v3>();
    let (descriptor, level, name) = (socket.as_raw_fd(), libc::SOL_PACKET, libc::PACKET_STATISTICS);
    // SAFETY: the descriptor is open, and the pointers are to a local structure of three ints and
    // its length; the kernel writes no more than that.
    let got = unsafe {
        libc::getsockopt(descriptor, level, name, std::ptr::from_mut(&mut value).cast(), &raw mut len)
    };
    if got == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
}

/// Waits until one of `events` may go on, or so long; true when it may.
pub(super) fn wait(socket: impl AsFd, events: PollFlags, most: std::time::Duration) -> io::Result<bool> {
    let timeout = Timespec::try_from(most).map_err(io::Error::other)?;
    match poll(&mut [PollFd::new(&socket, events)], Some(&timeout)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

const fn length<T>() -> libc::socklen_t {
    size_of::<T>() as libc::socklen_t
}
