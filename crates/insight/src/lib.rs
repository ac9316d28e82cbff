//! What a thing is, what is wrong with it, and how sure we are.
//!
//! Insight is a pure function of observations, intelligence snapshots and a date: run again on old
//! observations with today's knowledge, it tells what was already wrong then. [`fingerprint`] reads
//! what a service says, [`identity`] fuses the services of one host, [`component`] knows the software
//! inside, [`asset`] follows devices through address changes, [`cryptography`] judges how they encrypt,
//! [`intelligence`] parses what is known about weaknesses, [`finding`] joins them, [`drift`] sees pages
//! that somebody altered, [`priority`] says how soon each must be dealt with, [`judge`] reads a re-check,
//! and [`evaluation`] measures identification on labelled banners. [`Assessor`] does identity and
//! findings for many hosts at once.
//!
//! It does no I/O, reads no clock and sends nothing. When nothing supports an identity, it says
//! unknown; it never invents a version.

mod assessor;
pub mod asset;
pub mod component;
pub mod cpe;
pub mod cryptography;
mod decoy;
pub mod drift;
pub mod evaluation;
pub mod finding;
pub mod fingerprint;
pub mod identity;
pub mod intelligence;
pub mod judge;
pub mod priority;

pub use assessor::{Assessed, Assessor};
pub use kenshin_observation::version;
