//! Integration tests of the survey room.

mod crash;
mod daemons;
mod datagrams;
mod engine;
mod exchanges;
mod plan;
#[cfg(target_os = "linux")]
mod raw;
mod world;
