//! SSDP, the discovery of UPnP Device Architecture 1.1 §1.3, asked of one host alone.

use std::net::SocketAddr;

use crate::http::{Head, Limits};
use crate::malformed::Malformed;

const LIMITS: Limits = Limits { head_bytes_max: 4096, headers_max: 48, body_bytes_max: 0 };

/// What is searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// One answer for each root device.
    RootDevice,
    /// An answer for every device and service, several datagrams: how far a device amplifies.
    All,
}

impl Target {
    /// As it stands in `ST`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RootDevice => "upnp:rootdevice",
            Self::All => "ssdp:all",
        }
    }
}

/// An answer to a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status code, 200.
    pub status: u16,
    /// Operating system, UPnP version and product.
    pub server: Option<String>,
    /// Where the description is, as sent.
    pub location: Option<String>,
    /// Unique name of the device or service.
    pub usn: Option<String>,
    /// `ST`: what it is that answered.
    pub search_target: Option<String>,
}

/// M-SEARCH to `host` alone. `MX` belongs to multicast searches, but devices of version 1.0 keep
/// silent without it.
pub fn search(host: SocketAddr, target: Target, user_agent: &str) -> Vec<u8> {
    let agent = user_agent.replace(|c: char| c.is_control(), " ");
    let target = target.name();
    format!(
        "M-SEARCH * HTTP/1.1\r\nHOST: {host}\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: {target}\r\n\
         USER-AGENT: {agent}\r\n\r\n"
    )
    .into_bytes()
}

/// Reads an answer.
pub fn parse(bytes: &[u8]) -> Result<Answer, Malformed> {
    const WHAT: Malformed = Malformed::Not("an SSDP answer");
    if !bytes.starts_with(b"HTTP/") {
        return Err(WHAT);
    }
    let head = Head::parse(Head::section(bytes), &LIMITS).map_err(|_| WHAT)?;
    let field = |name| head.headers.get(name).filter(|value| !value.is_empty()).map(str::to_owned);
    let (location, usn, search_target) = (field("location"), field("usn"), field("st"));
    if location.is_none() && usn.is_none() && search_target.is_none() {
        return Err(WHAT);
    }
    Ok(Answer { status: head.status, server: field("server"), location, usn, search_target })
}
