//! Integration tests of insight.

mod identity;
mod pack;
mod knowledge;
mod recog;
