//! Integration tests of the survey room.

mod crash;
mod engine;
mod world;
