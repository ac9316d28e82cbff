//! Mandates: signed documents that authorise measurement, and the one gate where permits are made.
//!
//! The main type is [`Gate`]. A text becomes a [`Mandate`] by parsing and a [`VerifiedMandate`] by
//! verifying its OpenSSH signatures against [`TrustRoots`]; a gate made of it judges every new
//! exchange against `now`, and hands out a [`Permit`] for one exchange or says why not.
//!
//! ```
//! use kenshin_mandate::{AddressSet, Mandate, TemplateOptions, template};
//! let text = template(&TemplateOptions::example());
//! let mandate = Mandate::parse("example.toml", &text).unwrap();
//! assert!(mandate.allowed().contains("198.51.100.1".parse().unwrap()));
//!
//! let error = Mandate::parse("example.toml", "schema_version = 1\nscoop = 1").unwrap_err();
//! assert!(error.to_string().starts_with("example.toml:2:1: unknown key `scoop`"));
//! ```
//!
//! This crate does no I/O, reads no clock and draws no randomness. It refuses to guess: unknown
//! keys, unknown versions, patterns for people and local times without an offset are errors. What
//! is unsigned can only take away ([`Narrowing`]). A [`Permit`] cannot be made outside the gate.

mod address;
mod gate;
mod mandate;
mod narrowing;
mod ports;
mod problem;
mod revocation;
pub mod signature;
mod special;
mod statement;
mod template;
mod trust;
mod verified;
mod window;

pub use address::{AddressSet, CompiledSet};
pub use gate::{Exchange, Gate, GateError, GateStart, Permit, Refusal, Verdict, standing};
pub use mandate::{
    AddressRate, Contacts, ENUMERABLE_V6_MAX, Exclusion, LegalBasis, Mandate, NotEnumerable, PrefixRate,
    Rate, RevocationTerms, SCHEMA_VERSION, Sensor, SpecialSpace, Supersedes, TEXT_BYTES_MAX, Terms,
};
pub use narrowing::{Narrowing, ProviderRate};
pub use ports::{HARMFUL_PORTS, HarmfulPorts, PortSet, Ports, SpeakGrant};
pub use problem::{Invalid, Problem};
pub use revocation::{
    AHEAD_MAX_S, REVOCATION_SCHEMA_VERSION, Revocation, RevocationDraft, RevocationError, RevocationList,
    Revoked,
};
pub use signature::{Signer, SignerKey};
pub use special::{SPECIAL_BLOCKS, SpecialBlock};
pub use statement::Statement;
pub use template::{TemplateOptions, TemplateSensor, template};
pub use trust::{TrustRoot, TrustRoots};
pub use verified::{VerifiedMandate, VerifyError, verify};
pub use window::{DailyWindow, WindowState, Windows};
