//! Integration tests of the survey room.

mod crash;
mod engine;
mod exchanges;
mod plan;
mod world;
