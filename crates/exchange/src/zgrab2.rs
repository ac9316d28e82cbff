//! zgrab2's JSON lines: one object a host, what each module learned under its name.
//!
//! Written keys have the names, places and types that zgrab2 gives them; what it keeps and a record
//! of ours does not (random numbers, whole bodies, headers we drop) is left out. What zgrab2 has no
//! module for (RTSP, SSDP …) stands under its own name, and what it has no place for under the key
//! `kenshin` of the result. Read results become the same records; of what else they hold nothing is
//! kept, and of TLS key material and cookies least of all.

mod certificate;
mod ciphers;
mod grab;
mod heard;
mod name;
mod plain;
mod telnet;
mod tls;
mod told;
mod write;

pub(crate) use grab::Grabs;
pub(crate) use write::Writer;

use kenshin_observation::Transport;
use serde_json::Value;

/// Modules of zgrab2: name, our protocol, port and transport when none is stated. Where a name of
/// ours has several, the first is written.
const MODULES: &[(&str, &str, u16, Transport)] = &[
    ("amqp091", "amqp", 5672, Transport::Tcp),
    ("bacnet", "bacnet", 47808, Transport::Udp),
    ("banner", "unknown", 80, Transport::Tcp),
    ("dnp3", "dnp3", 20000, Transport::Tcp),
    ("dns", "dns", 53, Transport::Udp),
    ("fox", "fox", 1911, Transport::Tcp),
    ("ftp", "ftp", 21, Transport::Tcp),
    ("http", "http", 80, Transport::Tcp),
    ("imap", "imap", 143, Transport::Tcp),
    ("ipp", "ipp", 631, Transport::Tcp),
    ("ldap", "ldap", 389, Transport::Tcp),
    ("managesieve", "managesieve", 4190, Transport::Tcp),
    ("memcached", "memcached", 11211, Transport::Tcp),
    ("modbus", "modbus", 502, Transport::Tcp),
    ("mongodb", "mongodb", 27017, Transport::Tcp),
    ("mqtt", "mqtt", 1883, Transport::Tcp),
    ("mssql", "mssql", 1433, Transport::Tcp),
    ("mysql", "mysql", 3306, Transport::Tcp),
    ("ntp", "ntp", 123, Transport::Udp),
    ("oracle", "oracle", 1521, Transport::Tcp),
    ("pop3", "pop3", 110, Transport::Tcp),
    ("postgres", "postgres", 5432, Transport::Tcp),
    ("pptp", "pptp", 1723, Transport::Tcp),
    ("rdp", "rdp", 3389, Transport::Tcp),
    ("redis", "redis", 6379, Transport::Tcp),
    ("siemens", "s7", 102, Transport::Tcp),
    ("smb", "smb", 445, Transport::Tcp),
    ("smtp", "smtp", 25, Transport::Tcp),
    ("snmp", "snmp", 161, Transport::Udp),
    ("socks5", "socks5", 1080, Transport::Tcp),
    ("ssh", "ssh", 22, Transport::Tcp),
    ("telnet", "telnet", 23, Transport::Tcp),
    ("tls", "tls", 443, Transport::Tcp),
];

/// Our protocol of a module, and where it is spoken.
fn module(name: &str) -> Option<&'static (&'static str, &'static str, u16, Transport)> {
    MODULES.iter().find(|(module, ..)| *module == name)
}

/// The module that speaks a protocol of ours; its own name when there is none.
fn module_of(protocol: &str) -> &str {
    MODULES.iter().find(|(_, ours, ..)| *ours == protocol).map_or(protocol, |(module, ..)| module)
}

/// The transport of a module when none is stated.
fn usual_transport(name: &str) -> Transport {
    module(name).map_or(Transport::Tcp, |(.., transport)| *transport)
}

/// Walks down by keys; `Null` where one is missing.
fn at<'a>(value: &'a Value, path: &[&str]) -> &'a Value {
    path.iter().fold(value, |value, key| &value[*key])
}

/// Without members and elements that say nothing.
fn compact(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.into_iter().map(|(key, value)| (key, compact(value)));
            kept.filter(|(_, value)| !is_nothing(value)).collect()
        }
        Value::Array(items) => Value::Array(items.into_iter().map(compact).collect()),
        other => other,
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}
