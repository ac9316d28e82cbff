//! Integration tests of insight.

mod pack;
mod recog;
