//! Integration tests of insight.

mod assets;
mod findings;
mod formats;
mod identity;
mod malformed;
mod pack;
mod judgements;
mod knowledge;
mod recog;
mod world;
