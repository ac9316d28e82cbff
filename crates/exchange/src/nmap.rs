//! nmap's XML (`-oX`, nmap.dtd, output version 1.05), which masscan writes too.
//!
//! What nmap concludes (product, version, CPE) is its judgement, not what a service said, and a row
//! holds observations only: it is passed over. What scripts show of the service is read: `banner`,
//! `http-server-header`, `http-title`. A service that was looked up by its port number is none.

mod entries;
mod read;
mod write;

pub(crate) use entries::{Entries, Entry, Host, Port, State};
pub(crate) use write::Writer;

/// nmap's names of services, where they differ from ours: the first of ours is written.
const NAMES: &[(&str, &str)] = &[
    ("domain", "dns"),
    ("microsoft-ds", "smb"),
    ("netbios-ssn", "smb"),
    ("ms-wbt-server", "rdp"),
    ("memcache", "memcached"),
    ("mongod", "mongodb"),
    ("iso-tsap", "s7"),
    ("https", "http"),
    ("ssl", "tls"),
];

/// Our name of one of nmap's services.
fn protocol_of(service: &str) -> &str {
    NAMES.iter().find(|(theirs, _)| *theirs == service).map_or(service, |(_, ours)| ours)
}

/// nmap's name of one of our protocols.
fn service_of(protocol: &str) -> &str {
    let named = NAMES.iter().find(|(theirs, ours)| *ours == protocol && *theirs != "https");
    named.map_or(protocol, |(theirs, _)| theirs)
}
