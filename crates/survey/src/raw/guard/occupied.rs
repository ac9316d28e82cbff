//! Which ports of this machine are in use already.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::raw::validation::SourcePorts;

/// Of the calling thread, whose network namespace may be another than the process's.
const TABLES: [(&str, &str); 4] = [
    ("tcp", "/proc/thread-self/net/tcp"),
    ("tcp", "/proc/thread-self/net/tcp6"),
    ("udp", "/proc/thread-self/net/udp"),
    ("udp", "/proc/thread-self/net/udp6"),
];

const EPHEMERAL: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// An address and port in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occupied {
    /// `tcp` or `udp`.
    pub transport: &'static str,
    /// By whom.
    pub local: SocketAddr,
}

impl fmt::Display for Occupied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.local, self.transport)
    }
}

/// First and last of the ports that the kernel gives to ordinary connections, of both families.
pub(super) fn ephemeral() -> io::Result<(u16, u16)> {
    let text = std::fs::read_to_string(EPHEMERAL)?;
    let mut ports = text.split_whitespace().map_while(|port| port.parse().ok());
    match (ports.next(), ports.next()) {
        (Some(first), Some(last)) => Ok((first, last)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, format!("`{}`", text.trim()))),
    }
}

/// A socket that the guard would cut off, if there is one.
pub(super) fn occupied(sources: &[IpAddr], ports: SourcePorts) -> io::Result<Option<Occupied>> {
    for (transport, path) in TABLES {
        match std::fs::read_to_string(path) {
            Ok(text) => {
                if let Some(local) = find(&text, sources, ports) {
                    return Ok(Some(Occupied { transport, local }));
                }
            }
            // Without IPv6 in the kernel.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn find(table: &str, sources: &[IpAddr], ports: SourcePorts) -> Option<SocketAddr> {
    let locals = table.lines().skip(1).filter_map(|line| local(line.split_whitespace().nth(1)?));
    locals.into_iter().find(|local| {
        let ours = local.ip().is_unspecified() || sources.contains(&local.ip());
        ours && ports.contains(local.port())
    })
}

/// `0100007F:1F90`: words in the machine's byte order, then the port.
fn local(text: &str) -> Option<SocketAddr> {
    let (addr, port) = text.split_once(':')?;
    let word = |n: usize| {
        let digits = addr.get(n * 8..n * 8 + 8)?;
        u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
    };
    let addr = match addr.len() {
        8 => IpAddr::from(Ipv4Addr::from_octets(word(0)?)),
        32 => {
            let mut octets = [0; 16];
            for (n, part) in octets.chunks_mut(4).enumerate() {
                part.copy_from_slice(&word(n)?);
            }
            Ipv6Addr::from_octets(octets).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(addr, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn sockets_as_the_kernel_lists_them() {
        for (text, expected) in [
            ("0100007F:1F90", "127.0.0.1:8080"),
            ("00000000:EE48", "0.0.0.0:61000"),
            ("B80D0120000000000000000001000000:0050", "[2001:db8::1]:80"),
            ("0000000000000000FFFF00000100007F:EE49", "127.0.0.1:61001"),
        ] {
            assert_eq!(local(text), Some(expected.parse().unwrap()), "{text}");
        }
        for bad in ["", ":", "0100007F", "0100007G:1F90", "0100007F:1F900", "01:1F90", "é100007:1"] {
            assert_eq!(local(bad), None, "{bad}");
        }
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn only_what_would_be_cut_off() {
        let ours = ["198.18.0.1".parse().unwrap()];
        let ports = SourcePorts::default();
        let table = |local| format!("  sl  local_address rem_address\n   0: {local} 00000000:0000 0A\n");
        for (local, found) in [
            ("010012C6:EE48", true),
            ("00000000:EE48", true),
            ("010012C6:EE47", false),
            ("020012C6:EE48", false),
        ] {
            assert_eq!(find(&table(local), &ours, ports).is_some(), found, "{local}");
        }
    }

    #[test]
    fn a_listener_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let local = listener.local_addr().unwrap();
        let ports = SourcePorts::new(local.port(), local.port()).unwrap();
        let found = occupied(&[local.ip()], ports).unwrap();
        assert_eq!(found, Some(Occupied { transport: "tcp", local }));
        let (first, last) = ephemeral().unwrap();
        assert!((first..=last).contains(&local.port()));
    }
}
