//! A sweep with ordinary sockets: no privilege needed.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::Duration;

use kenshin_mandate::Permit;
use kenshin_observation::{Endpoint, Transport};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::{Answer, Ask, Reply, Sweep};

/// What is lost against an engine that sends packets itself.
pub(crate) const LOST: &[&str] = &[
    "survey.lost.handshake-completed",
    "survey.lost.icmp-source",
    "survey.lost.retransmission",
    "survey.lost.tcp-fingerprint",
    "survey.lost.speed",
];

/// Room never shrinks below this, so that a survey always goes on.
const ROOM_MIN: usize = 4;

/// How [`ConnectSweep`] connects.
#[derive(Debug, Clone)]
pub struct ConnectSettings {
    /// Addresses to send from, those of the mandate; the first of the target's family is used.
    /// Empty: the kernel chooses.
    pub sources: Vec<IpAddr>,
    /// Longest wait for an answer.
    pub timeout: Duration,
    /// Most connections open at any time, the probes' included.
    pub connections_max: usize,
}

/// Connects to each target. See [`Sweep`].
#[derive(Debug)]
pub struct ConnectSweep {
    settings: ConnectSettings,
    connects: JoinSet<Answer>,
    /// Shrinks when this machine says it has no room, and grows back slowly.
    room: usize,
    since_busy: usize,
}

impl ConnectSweep {
    /// An engine that keeps to `settings` and to the descriptors this process may have.
    pub fn new(settings: ConnectSettings) -> Self {
        let room = settings.connections_max.max(ROOM_MIN);
        Self { settings, connects: JoinSet::new(), room, since_busy: 0 }
    }

    fn learn(&mut self, reply: Reply) {
        if let Reply::Busy(reason) = reply {
            let smaller = (self.room * 3 / 4).max(ROOM_MIN);
            if smaller < self.room {
                tracing::warn!(reason, connections = smaller, "no room on this machine, slowing down");
            }
            (self.room, self.since_busy) = (smaller, 0);
            return;
        }
        self.since_busy += 1;
        if self.since_busy >= self.room && self.room < self.settings.connections_max {
            (self.room, self.since_busy) = (self.room + self.room.div_ceil(16), 0);
            self.room = self.room.min(self.settings.connections_max);
        }
    }
}

impl Sweep for ConnectSweep {
    fn ask(&mut self, ask: Ask) {
        let Ask { token, target, permit } = ask;
        let timeout = self.settings.timeout;
        // The SYN leaves here, not when a task gets its turn: permits are for now.
        let begun = begin(target, permit, &self.settings.sources);
        self.connects.spawn(async move {
            let dialled = match begun {
                Ok(begun) => begun.finish(timeout).await,
                Err(dialled) => dialled,
            };
            Answer { token, reply: dialled.reply, vantage: dialled.vantage, stream: dialled.stream }
        });
    }

    async fn answer(&mut self) -> Answer {
        loop {
            match self.connects.join_next().await {
                Some(Ok(answer)) => {
                    self.learn(answer.reply);
                    return answer;
                }
                // Aborted, or the runtime is going down: no answer comes.
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }

    fn in_flight(&self) -> usize {
        self.connects.len()
    }

    fn room(&self, held: usize) -> usize {
        self.room.saturating_sub(self.connects.len() + held)
    }

    fn abort(&mut self) {
        self.connects = JoinSet::new();
    }

    fn lost(&self) -> &'static [&'static str] {
        LOST
    }
}

/// How one connection attempt ended.
#[derive(Debug)]
pub(crate) struct Dialled {
    pub(crate) reply: Reply,
    pub(crate) vantage: Option<SocketAddr>,
    pub(crate) stream: Option<TcpStream>,
}

impl Dialled {
    fn without_stream(reply: Reply, vantage: Option<SocketAddr>) -> Self {
        Self { reply, vantage, stream: None }
    }
}

/// Checks that this machine can send from each of the addresses.
pub(crate) fn check_sources(sources: &[IpAddr]) -> io::Result<()> {
    sources.iter().try_for_each(|source| open(*source, &[*source]).map(drop))
}

/// Makes one connection, using up its permit.
pub(crate) async fn dial(target: Endpoint, permit: Permit, sources: &[IpAddr], timeout: Duration) -> Dialled {
    match begin(target, permit, sources) {
        Ok(begun) => begun.finish(timeout).await,
        Err(dialled) => dialled,
    }
}

/// A connection whose SYN has left.
struct Begun {
    socket: Socket,
    peer: SocketAddr,
    vantage: Option<SocketAddr>,
}

/// Sends the SYN, using up the permit, without waiting for anything. The socket closes with a
/// reset whenever it is dropped, so that an aborted conversation ends on both sides at once.
fn begin(target: Endpoint, permit: Permit, sources: &[IpAddr]) -> Result<Begun, Dialled> {
    drop(permit);
    if target.transport != Transport::Tcp {
        return Err(Dialled::without_stream(Reply::Failed("transport"), None));
    }
    let socket =
        open(target.addr, sources).map_err(|error| Dialled::without_stream(local_failure(&error), None))?;
    let peer = SocketAddr::new(target.addr, target.port);
    match socket.connect(&peer.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        Err(error) => return Err(Dialled::without_stream(immediate(&error), None)),
    }
    let vantage = socket.local_addr().ok().and_then(|addr| addr.as_socket());
    Ok(Begun { socket, peer, vantage })
}

impl Begun {
    async fn finish(self, timeout: Duration) -> Dialled {
        let Self { socket, peer, vantage } = self;
        let stream = match TcpStream::from_std(socket.into()) {
            Ok(stream) => stream,
            Err(error) => return Dialled::without_stream(local_failure(&error), vantage),
        };
        let connected = async {
            stream.writable().await?;
            match stream.take_error()? {
                Some(error) => Err(error),
                None => stream.peer_addr().map(|_| ()),
            }
        };
        match tokio::time::timeout(timeout, connected).await {
            Err(_) => Dialled::without_stream(Reply::Silent, vantage),
            Ok(Err(error)) => Dialled::without_stream(remote(&error), vantage),
            // On this machine a socket can meet itself when the kernel picks the target's port for it.
            Ok(Ok(())) if vantage == Some(peer) => Dialled::without_stream(Reply::Refused, vantage),
            Ok(Ok(())) => Dialled { reply: Reply::Answered, vantage, stream: Some(stream) },
        }
    }
}

fn open(target: IpAddr, sources: &[IpAddr]) -> io::Result<Socket> {
    let domain = if target.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_linger(Some(Duration::ZERO))?;
    socket.set_tcp_nodelay(true)?;
    // The kernel would retransmit a SYN six times; the mandate counts exchanges, so one it is.
    set_option(&socket, libc::IPPROTO_TCP, libc::TCP_SYNCNT, 1)?;
    if let Some(source) = sources.iter().find(|source| source.is_ipv4() == target.is_ipv4()) {
        // Leaves the port to connect(), which knows that one port serves many peers.
        // Only an economy of ports: without it the sweep is slower, not wrong.
        let _ = set_option(&socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1);
        socket.bind(&SocketAddr::new(*source, 0).into()).map_err(|error| {
            let message = format!("{source} is not an address of this machine: {error}");
            if error.kind() == io::ErrorKind::AddrNotAvailable { io::Error::other(message) } else { error }
        })?;
    }
    Ok(socket)
}

fn set_option(socket: &Socket, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let size = libc::socklen_t::try_from(size_of::<libc::c_int>()).expect("an int is small");
    // SAFETY: the descriptor is open as long as `socket` lives, and the pointer is to a local int
    // of the size stated; the kernel only reads it.
    let done =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, std::ptr::from_ref(&value).cast(), size) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A failure before anything was sent.
fn local_failure(error: &io::Error) -> Reply {
    match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => Reply::Busy("descriptors"),
        Some(libc::ENOBUFS | libc::ENOMEM) => Reply::Busy("memory"),
        Some(libc::EADDRNOTAVAIL | libc::EADDRINUSE | libc::EAGAIN) => Reply::Busy("ports"),
        Some(libc::EAFNOSUPPORT) => Reply::Failed("family"),
        Some(_) => Reply::Failed("socket"),
        None => Reply::Failed("source-address"),
    }
}

/// What `connect()` says at once comes from this machine.
fn immediate(error: &io::Error) -> Reply {
    match error.raw_os_error() {
        Some(libc::ENETUNREACH | libc::EHOSTUNREACH) => Reply::Failed("no-route"),
        Some(libc::ECONNREFUSED) => Reply::Refused,
        Some(libc::EACCES | libc::EPERM) => Reply::Filtered("prohibited"),
        _ => local_failure(error),
    }
}

/// What comes after a while comes from the network.
fn remote(error: &io::Error) -> Reply {
    match error.raw_os_error() {
        Some(libc::ECONNREFUSED | libc::ECONNRESET | libc::ECONNABORTED | libc::EPIPE) => Reply::Refused,
        Some(libc::ETIMEDOUT) => Reply::Silent,
        Some(libc::EHOSTUNREACH | libc::EHOSTDOWN) => Reply::Filtered("host-unreachable"),
        Some(libc::ENETUNREACH | libc::ENETDOWN | libc::ENONET) => Reply::Filtered("net-unreachable"),
        Some(libc::EACCES | libc::EPERM) => Reply::Filtered("prohibited"),
        Some(libc::ENOPROTOOPT | libc::EPROTO | libc::EOPNOTSUPP) => Reply::Filtered("protocol-unreachable"),
        Some(libc::ENOTCONN) => Reply::Silent,
        _ => Reply::Failed("connect"),
    }
}

/// Raises this process's limit of open descriptors as far as it may, and returns how many of them
/// a survey may use: what is open already and a reserve for files are left out.
pub fn descriptors(wanted: usize) -> usize {
    const RESERVE: usize = 96;
    const LIMIT_MAX: u64 = 1 << 20;
    let open = std::fs::read_dir("/proc/self/fd").map_or(32, Iterator::count);
    let (soft, hard) = rlimit::getrlimit(rlimit::Resource::NOFILE).unwrap_or((1024, 1024));
    let limit = match hard.min(LIMIT_MAX) {
        more if more > soft => rlimit::increase_nofile_limit(more).unwrap_or(soft),
        _ => soft,
    };
    let usable = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(RESERVE + open);
    usable.min(wanted).max(ROOM_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_room_slows_down_and_recovers() {
        let settings =
            ConnectSettings { sources: vec![], timeout: Duration::from_secs(1), connections_max: 100 };
        let mut sweep = ConnectSweep::new(settings);
        (0..50).for_each(|_| sweep.learn(Reply::Busy("descriptors")));
        assert_eq!(sweep.room(0), ROOM_MIN);
        (0..10_000).for_each(|_| sweep.learn(Reply::Refused));
        assert_eq!(sweep.room(0), 100);
        assert_eq!(sweep.room(99), 1);
        assert_eq!(sweep.room(500), 0);
    }

    #[test]
    fn errors_of_the_way_and_of_this_machine_are_told_apart() {
        let error = io::Error::from_raw_os_error;
        assert_eq!(remote(&error(libc::EHOSTUNREACH)), Reply::Filtered("host-unreachable"));
        assert_eq!(remote(&error(libc::ENETUNREACH)), Reply::Filtered("net-unreachable"));
        assert_eq!(remote(&error(libc::EACCES)), Reply::Filtered("prohibited"));
        assert_eq!(immediate(&error(libc::ENETUNREACH)), Reply::Failed("no-route"));
        assert_eq!(immediate(&error(libc::EADDRNOTAVAIL)), Reply::Busy("ports"));
        assert_eq!(local_failure(&error(libc::EMFILE)), Reply::Busy("descriptors"));
    }

    #[test]
    fn the_descriptor_limit_is_respected() {
        assert!(descriptors(16) <= 16);
        assert!(descriptors(usize::MAX / 2) >= ROOM_MIN);
    }
}
