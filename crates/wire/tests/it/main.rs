//! What the codecs make of captured transcripts, of each other's output, and of damage.

mod datagrams;
mod exercise;
mod exercise_datagrams;
mod fingerprints;
mod http;
mod industrial;
mod logins;
mod mutation;
mod packet;
mod property;
mod recognition;
mod remote;
mod ssh;
mod stores;
mod text;
mod zgrab2;

use std::fmt::Debug;
use std::path::PathBuf;

use kenshin_wire::Answer;

/// Bytes of `testdata/wire/NAME.bin`.
fn transcript(name: &str) -> Vec<u8> {
    let path = folder().join(format!("{name}.bin"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("failed to read {}: {error}", path.display()))
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/wire")
}

/// The answer in `bytes`, which is not there one byte earlier and is not spoiled by what follows it.
fn whole<T: Debug + PartialEq>(bytes: &[u8], read: impl Fn(&[u8]) -> Answer<T>) -> T {
    for cut in 0..bytes.len() {
        let early = read(&bytes[..cut]);
        // An answer may be settled before the message that carries it has ended.
        assert!(early == Answer::More || early == read(bytes), "{early:?} after {cut} bytes");
    }
    let Answer::Whole(answer) = read(bytes) else { panic!("no answer: {}", bytes.escape_ascii()) };
    let mut followed = bytes.to_vec();
    followed.extend_from_slice(b"more");
    assert_eq!(read(&followed), Answer::Whole(answer));
    read(bytes).whole().expect("it was whole above")
}

/// Asserts that `bytes` belong to another protocol.
fn other<T: Debug>(bytes: &[u8], read: impl Fn(&[u8]) -> Answer<T>) {
    let answer = read(bytes);
    assert!(matches!(answer, Answer::Other), "{answer:?} for {}", bytes.escape_ascii());
}
