//! Integration tests of insight.

mod findings;
mod identity;
mod pack;
mod knowledge;
mod recog;
mod world;
