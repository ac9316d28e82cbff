//! (room prepared, see ARCHITECTURE.md)

pub mod credential;
pub mod probe;
