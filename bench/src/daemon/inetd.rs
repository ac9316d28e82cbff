//! A program for every caller. Debian's inetd keeps ten callers waiting, which are few when one daemon
//! stands for a thousand hosts.

use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Result;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use socket2::{Domain, Socket, Type};

use crate::{Cable, Side};

/// Callers that wait.
const BACKLOG: i32 = 4096;

/// Programs that run at a time; further callers wait.
const PROGRAMS_MAX: usize = 512;

/// Ends its programs when dropped.
#[derive(Debug)]
pub(super) struct Inetd {
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Inetd {
    /// Listens at `port` of the far side and starts `words` with each caller as its input and output.
    pub(super) fn start(cable: &Cable, port: u16, words: &str) -> Result<Self> {
        let namespace = cable.namespace_file(Side::Far)?;
        let socket = cable.inside(Side::Far, || {
            // It takes calls of IPv4 as well.
            let socket = Socket::new(Domain::IPV6, Type::STREAM, None)?;
            socket.bind(&std::net::SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, port)).into())?;
            socket.listen(BACKLOG)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        })?;
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        let end = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&end);
        let thread = std::thread::Builder::new().name("bench-inetd".to_owned()).spawn(move || {
            if move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).is_ok() {
                serve(&socket, &words, &ended);
            }
        })?;
        Ok(Self { end, thread: Some(thread) })
    }
}

impl Drop for Inetd {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Release);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn serve(socket: &Socket, words: &[String], end: &AtomicBool) {
    let mut programs: Vec<Child> = Vec::new();
    while !end.load(Ordering::Acquire) {
        programs.retain_mut(|program| matches!(program.try_wait(), Ok(None)));
        let caller = if programs.len() < PROGRAMS_MAX { socket.accept().ok() } else { None };
        match caller {
            Some((caller, _)) => programs.extend(program(words, caller.into())),
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    }
    for mut program in programs {
        let _ = program.kill();
        let _ = program.wait();
    }
}

/// `None` when the machine has no room for it: the caller is hung up on.
#[expect(clippy::disallowed_methods, reason = "a bench starts its daemons")]
fn program(words: &[String], caller: TcpStream) -> Option<Child> {
    caller.set_nonblocking(false).ok()?;
    let (input, output) = (OwnedFd::from(caller.try_clone().ok()?), OwnedFd::from(caller));
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).stdin(Stdio::from(input)).stdout(Stdio::from(output)).stderr(Stdio::null());
    command.spawn().ok()
}
