//! Codecs for hostile bytes: the protocols that Kenshin probes, read and written without I/O.
//!
//! The main idea is the *sans-I/O decoder*: bytes from a stranger go in by `push`, a decision comes
//! out, and nothing here ever holds more than the limit it was made with. [`recognise`] tells which
//! protocol a service speaks from what it said first; then each protocol has a module:
//! [`http`], [`ssh`], [`telnet`], [`reply`] (FTP and SMTP), [`mqtt`], [`rtsp`], [`tls`]; remote
//! desktops and shares ([`rdp`], [`vnc`], [`smb`], [`adb`]), data stores ([`redis`], [`memcached`],
//! [`mongodb`], [`elasticsearch`]), industrial controllers ([`modbus`], [`s7`], [`bacnet`]) and home
//! gateways ([`cwmp`]). Their answers come as an [`Answer`]: whole, not yet, or something else.
//! Below them, [`packet`] makes and reads the frames of a sweep over raw packets.
//!
//! What is asked over UDP comes whole: [`datagram::read`] names and reads one answer of [`snmp`],
//! [`ssdp`], [`wsd`], [`dns`], [`mdns`], [`ntp`], [`coap`] or [`sip`]. [`upnp`] reads the document to
//! which an SSDP answer refers, [`referral`] tells whether it lies at the address asked, and
//! [`amplification`] counts how much larger an answer is than its question.
//!
//! [`charset`] decodes the encodings of Japanese devices, and [`redaction`] removes what must not be
//! kept.
//!
//! ```
//! use kenshin_wire::http::{Limits, Progress, ResponseDecoder};
//! use kenshin_wire::{Recognised, recognise};
//!
//! let bytes = b"HTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"cam\"\r\n\r\n";
//! assert_eq!(recognise(bytes), Recognised::Http);
//! let mut decoder = ResponseDecoder::new(Limits::default());
//! assert_eq!(decoder.push(bytes).unwrap(), Progress::More); // an HTTP/1.0 body ends with the connection
//! let response = decoder.end().unwrap();
//! assert_eq!(response.head.status, 401);
//! ```
//!
//! What it refuses to do: open sockets, follow redirects, allocate by a length that a stranger
//! announced, panic on any input, or contain `unsafe`.

#![forbid(unsafe_code)]

pub mod adb;
pub mod amplification;
mod answer;
pub mod bacnet;
mod ber;
pub mod charset;
pub mod coap;
pub mod cwmp;
pub mod datagram;
pub mod dns;
pub mod elasticsearch;
pub mod http;
mod malformed;
pub mod mdns;
pub mod memcached;
pub mod modbus;
pub mod mongodb;
pub mod mqtt;
pub mod ntp;
pub mod packet;
pub mod rdp;
mod reader;
mod recognition;
pub mod redaction;
pub mod redis;
pub mod referral;
pub mod reply;
pub mod rtsp;
pub mod s7;
pub mod sip;
pub mod smb;
pub mod snmp;
pub mod ssdp;
pub mod ssh;
pub mod telnet;
pub mod tls;
mod tpkt;
pub mod upnp;
pub mod vnc;
pub mod wsd;
mod xml;

pub use answer::Answer;
pub use malformed::Malformed;
pub use recognition::{Recognised, recognise};
