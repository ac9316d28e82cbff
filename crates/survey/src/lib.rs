//! The survey room: the only crate that sends to strangers, and only with a permit.
//!
//! (documented below as the rooms fill)

pub mod attempts;
pub mod credential;
pub mod journal;
pub mod logbook;
pub mod permutation;
pub mod plan;
pub mod probe;
pub mod progress;
pub mod run;
pub mod sensor;
pub mod slices;
pub mod space;
pub mod spool;
pub mod sweep;
mod tls;
