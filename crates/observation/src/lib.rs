//! The vocabulary of Kenshin: what one sensor saw of one endpoint at one instant, and the words
//! around it.
//!
//! The main type is [`Observation`]. Sensors make observations and seal groups of them into a
//! [`Batch`] signed with the sensor's own key; the lake stores their rows ([`schema`]); insight
//! turns them into [`Identity`] and [`Finding`].
//!
//! This crate does no I/O, reads no clock and draws no randomness: ids, times and salts come in
//! as arguments.
//!
//! ```
//! use kenshin_observation::{Endpoint, Prefix, Transport};
//! let prefix: Prefix = "198.51.100.0/24".parse().unwrap();
//! let endpoint = Endpoint::new("198.51.100.7".parse().unwrap(), 23, Transport::Tcp);
//! assert!(prefix.contains(endpoint.addr));
//! assert_eq!(endpoint.to_string(), "198.51.100.7:23/tcp");
//! ```

pub mod batch;
mod case;
mod coverage;
mod finding;
mod id;
mod identity;
pub mod merkle;
mod message;
mod net;
mod observation;
mod priority;
pub mod protocol;
pub mod schema;
mod sink;
mod time;
pub mod version;
mod words;

pub use batch::{Batch, BatchHeader};
pub use case::{CaseSubject, Condition, DeviceKey, DeviceKeyKind};
pub use coverage::Coverage;
pub use finding::{Evidence, Explanation, Finding, FindingKind, Remedy, Severity};
pub use id::{
    AlertId, AssetId, BatchId, CaseId, JobId, NoticeId, OrgId, ProviderId, SearchId, SensorId, SurveyId,
    UserId,
};
pub use identity::{Claim, Component, DeviceType, Identity};
pub use message::{Messages, MessagesError};
pub use net::{Endpoint, ParsePrefixError, Prefix, Transport, addr_from_hi_lo, addr_to_hi_lo};
pub use observation::{Blob, BlobClass, Observation};
pub use priority::{Automatable, Decision, Exploitation, Exposure, Impact, Priority};
pub use sink::{Sink, SinkError};
pub use time::{Clock, ParseTimeError, TimeUs};
pub use words::{Check, Direction, Outcome, Tlp, UnknownWord};
