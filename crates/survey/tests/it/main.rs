//! Integration tests of the survey room.

mod engine;
mod world;
