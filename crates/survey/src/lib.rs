//! (room prepared, see ARCHITECTURE.md)

pub mod credential;
pub mod journal;
pub mod logbook;
pub mod permutation;
pub mod probe;
mod tls;
pub mod sensor;
pub mod slices;
pub mod spool;
