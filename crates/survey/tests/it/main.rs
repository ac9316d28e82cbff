//! Integration tests of the survey room.

mod crash;
mod engine;
mod plan;
mod world;
