//! One interface: opened with privilege, used without.
//!
//! [`open`] finds the interfaces of the addresses to send from, and for each opens both directions:
//! [`Transmit`] and [`Receive`], which then go to threads of their own. Where a packet goes first is
//! read once, from the table in which the kernel would route it ([`Routes`]); who that is,
//! [`super::neighbour`] finds out.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use kenshin_wire::packet::{Hop as Station, Mac};

use super::receive::{RING_BYTES, Receive, SOURCES_MAX};
use super::transmit::{Engine, Transmit};
use super::validation::SourcePorts;
use netlink::Netlink;

mod netlink;
mod routes;

pub use routes::{Hop, ROUTES_MAX, Route, Routes};

/// `ARPHRD_ETHER`.
const ETHERNET: u16 = 1;

/// How a sweep sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Addresses to send from, those of the mandate; at least one.
    pub sources: Vec<IpAddr>,
    /// Ports to send from.
    pub ports: SourcePorts,
    /// What to send with.
    pub engine: Engine,
    /// Size of the receive ring of each interface; kept between
    /// [`RING_BYTES_MIN`](super::receive::RING_BYTES_MIN) and
    /// [`RING_BYTES_MAX`](super::receive::RING_BYTES_MAX).
    pub ring_bytes: usize,
}

impl Settings {
    /// The usual, from these addresses.
    pub fn new(sources: Vec<IpAddr>) -> Self {
        Self { sources, ports: SourcePorts::default(), engine: Engine::Auto, ring_bytes: RING_BYTES }
    }
}

/// Raw packets cannot be sent from here.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// No privilege.
    #[error(
        "no permission for raw sockets, and kenshin falls back to connect; hint: grant it with \
         `setcap cap_net_raw,cap_net_admin+ep` on the program"
    )]
    Privilege(#[source] io::Error),
    /// There is no source.
    #[error("no address to send from; hint: the mandate names those of each sensor")]
    NoSource,
    /// An address that this machine does not have.
    #[error("{0} is not an address of this machine; hint: `ip address` lists those that are")]
    NotOurs(IpAddr),
    /// More sources than a filter can hold.
    #[error("{0} addresses to send from; hint: at most {SOURCES_MAX} on one interface")]
    TooManySources(usize),
    /// An interface without Ethernet frames.
    #[error(
        "`{0}` carries no Ethernet frames, and kenshin falls back to connect; hint: send from an address of another interface"
    )]
    NotEthernet(String),
    /// An interface that is down.
    #[error("`{0}` is down; hint: `ip link set {0} up`")]
    Down(String),
    /// The kernel's tables cannot be read.
    #[error("failed to read the kernel's {0}")]
    Tables(&'static str, #[source] io::Error),
    /// A routing table that is too large.
    #[error("{0} routes; hint: at most {ROUTES_MAX} are read")]
    TooManyRoutes(usize),
    /// Another failure of a socket.
    #[error("failed to open `{interface}` to {direction}")]
    Socket {
        /// Name of the interface.
        interface: String,
        /// Send or receive.
        direction: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// An interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its number.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Our station on the link.
    pub mac: Mac,
    /// Longest packet it carries, in bytes after the Ethernet header.
    pub mtu: u32,
}

/// An address to send from, and where that leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The address.
    pub addr: IpAddr,
    /// The next hop of every target of its family.
    pub routes: Arc<Routes>,
}

/// An interface, open in both directions.
#[derive(Debug)]
pub struct Link {
    /// Which one.
    pub interface: Interface,
    /// Addresses to send from; at least one.
    pub sources: Vec<Source>,
    /// Frames out.
    pub transmit: Transmit,
    /// Frames in.
    pub receive: Receive,
}

impl Link {
    /// Our end of every frame from `addr`, for templates.
    pub fn station(&self, addr: IpAddr) -> Station {
        Station { mac: self.interface.mac, addr }
    }
}

/// Opens the interfaces of all sources. Takes CAP_NET_RAW now; not later.
pub fn open(settings: &Settings) -> Result<Vec<Link>, LinkError> {
    let mut kernel = Netlink::open().map_err(|error| LinkError::Tables("interfaces", error))?;
    let mut links = Vec::new();
    for (interface, sources) in interfaces(&mut kernel, &settings.sources)? {
        let mut of_interface: Vec<Source> = Vec::new();
        for addr in &sources {
            let routes = routes(&mut kernel, *addr, interface.index)?;
            // Sources of one family usually share a table.
            let same = of_interface.iter().find(|other| *other.routes == routes);
            let routes = same.map_or_else(|| Arc::new(routes), |other| Arc::clone(&other.routes));
            of_interface.push(Source { addr: *addr, routes });
        }
        let receive = Receive::open(interface.index, &sources, settings.ports, settings.ring_bytes)
            .map_err(|error| failed(&interface, "receive", error))?;
        let transmit = Transmit::open(interface.index, interface.mac, settings.engine)
            .map_err(|error| failed(&interface, "send", error))?;
        links.push(Link { interface, sources: of_interface, transmit, receive });
    }
    Ok(links)
}

fn failed(interface: &Interface, direction: &'static str, source: io::Error) -> LinkError {
    match source.kind() {
        io::ErrorKind::PermissionDenied => LinkError::Privilege(source),
        _ => LinkError::Socket { interface: interface.name.clone(), direction, source },
    }
}

/// The interfaces of the sources, in their order.
fn interfaces(kernel: &mut Netlink, sources: &[IpAddr]) -> Result<Vec<(Interface, Vec<IpAddr>)>, LinkError> {
    if sources.is_empty() {
        return Err(LinkError::NoSource);
    }
    let addresses = kernel.addresses().map_err(|error| LinkError::Tables("addresses", error))?;
    let all = kernel.interfaces().map_err(|error| LinkError::Tables("interfaces", error))?;
    let mut found: Vec<(Interface, Vec<IpAddr>)> = Vec::new();
    for source in sources {
        let index = addresses.iter().find(|(addr, _)| addr == source).map(|(_, index)| *index);
        let one = all.iter().find(|one| Some(one.index) == index).ok_or(LinkError::NotOurs(*source))?;
        let mac = one.mac.filter(|mac| one.hardware == ETHERNET && mac.is_unicast());
        let mac = mac.ok_or_else(|| LinkError::NotEthernet(one.name.clone()))?;
        if !one.up {
            return Err(LinkError::Down(one.name.clone()));
        }
        match found.iter_mut().find(|(interface, _)| interface.index == one.index) {
            Some((_, sources)) if sources.contains(source) => {}
            Some((_, sources)) if sources.len() == SOURCES_MAX => {
                return Err(LinkError::TooManySources(sources.len() + 1));
            }
            Some((_, sources)) => sources.push(*source),
            None => {
                let interface = Interface { index: one.index, name: one.name.clone(), mac, mtu: one.mtu };
                found.push((interface, vec![*source]));
            }
        }
    }
    Ok(found)
}

/// The table that counts for packets from `source` through `interface`.
fn routes(kernel: &mut Netlink, source: IpAddr, interface: u32) -> Result<Routes, LinkError> {
    // Any address that is not near will do to learn which table the rules choose; nothing is sent.
    let far: IpAddr = match source {
        IpAddr::V4(_) => Ipv4Addr::new(192, 0, 2, 1).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
    };
    let unread = |error| LinkError::Tables("routes", error);
    let table = kernel.table(source, far, interface).map_err(unread)?;
    let table = table.unwrap_or(u32::from(libc::RT_TABLE_MAIN));
    let routes = kernel.routes(source.is_ipv4(), table, interface).map_err(unread)?;
    if routes.len() > ROUTES_MAX {
        return Err(LinkError::TooManyRoutes(routes.len()));
    }
    Ok(Routes::new(source.is_ipv4(), routes))
}
