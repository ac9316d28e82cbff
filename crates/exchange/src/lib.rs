//! Formats of other scanners, in and out: ZMap, zgrab2, masscan, nmap.
//!
//! Three ways lead through this room:
//!
//! - [`Targets`] reads lists of what to look at;
//! - [`Export`] writes [`Observation`](kenshin_observation::Observation)s for the tools that people
//!   already have;
//! - [`Import`] reads what other scanners found as observations that say whose they are: see
//!   [`Origin`] for how, and why a row of theirs is never taken for ours.
//!
//! Everything is streamed: a file of any size is read and written in the memory of one record, and
//! every record has limits. Files are hostile until read: a record that cannot be used is a
//! [`Problem`] with file, line, column and a hint, and does not stop the rest.
//!
//! ```
//! use kenshin_exchange::{TargetFormat, Targets};
//! let file = "192.0.2.0/30 # the office\n[2001:db8::1]:443\nrouter.example\n";
//! let read: Vec<_> = Targets::new(TargetFormat::List, "office.txt", file.as_bytes()).collect();
//! assert_eq!(read[0].as_ref().unwrap().last.to_string(), "192.0.2.3");
//! assert_eq!(read[1].as_ref().unwrap().port.unwrap().0, 443);
//! let problem = read[2].as_ref().unwrap_err().to_string();
//! assert!(problem.starts_with("office.txt:3:1: `router.example` is not an address\nhint: "));
//! ```
//!
//! It opens no file and no connection, resolves no name, reads no clock: bytes, digests, times and
//! owners come in as arguments. What another tool concluded (a product, a weakness) is not taken
//! over; only what a service said is.

mod csv;
mod escape;
mod export;
mod format;
mod import;
mod lines;
mod masscan;
mod nmap;
mod objects;
pub mod origin;
mod problem;
mod software;
mod speech;
mod target;
mod targets;
mod xml;
mod zgrab2;
mod zmap;

pub use export::Export;
pub use format::{Format, TargetFormat, Tool};
pub use import::{Import, Imported, Look, Terms};
pub use origin::Origin;
pub use problem::{Place, Problem, ReadError};
pub use target::Target;
pub use targets::Targets;
pub use zmap::{Fields, UnknownField, ZmapField};
