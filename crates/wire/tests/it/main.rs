//! What the codecs make of captured transcripts, of each other's output, and of damage.

mod datagrams;
mod exercise;
mod exercise_datagrams;
mod http;
mod mutation;
mod packet;
mod property;
mod recognition;
mod ssh;
mod text;
mod zgrab2;

use std::path::PathBuf;

/// Bytes of `testdata/wire/NAME.bin`.
fn transcript(name: &str) -> Vec<u8> {
    let path = folder().join(format!("{name}.bin"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("failed to read {}: {error}", path.display()))
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/wire")
}
