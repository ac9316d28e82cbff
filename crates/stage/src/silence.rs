//! Silence without privilege: ports that drop every connection attempt.
//!
//! On the loopback a closed port refuses at once, so an address that is dark needs help. A
//! listening socket whose queue of accepted connections is full makes Linux drop further SYNs:
//! with a backlog of 0 the queue holds one connection, and that one is our own.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// Our own connection goes over the loopback to a socket that listens: it is there at once.
const FILL_TIMEOUT: Duration = Duration::from_millis(500);

/// A port that answers no connection attempt as long as this lives.
#[derive(Debug)]
pub(crate) struct SilentPort {
    _listener: Socket,
    _filling: TcpStream,
}

impl SilentPort {
    pub(crate) fn open(address: Ipv4Addr, port: u16) -> io::Result<Self> {
        let place = SocketAddrV4::new(address, port);
        let listener = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        listener.set_reuse_address(true)?;
        listener.bind(&SockAddr::from(place))?;
        listener.listen(0)?;
        let filling = TcpStream::connect_timeout(&place.into(), FILL_TIMEOUT)?;
        Ok(Self { _listener: listener, _filling: filling })
    }
}
