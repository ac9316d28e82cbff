//! Fuzzes archives as publishers pack them, tar and zip: whatever is downloaded is read or refused, and
//! gives no more bytes than are asked of it.

#![no_main]

use std::io::{Cursor, Error, ErrorKind, Read, copy, sink};

use libfuzzer_sys::fuzz_target;

/// The readers alone: the observatory around them takes half an hour to build for coverage.
#[path = "../../crates/observatory/src/intelligence/archive/tar.rs"]
mod tar;
#[path = "../../crates/observatory/src/intelligence/archive/zip.rs"]
mod zip;

const FILE_BYTES_MAX: u64 = 1 << 20;
const MEMBERS_MAX: usize = 1_000;
const NAME_MAX: usize = 4 << 10;

fn damaged(problem: &str) -> Error {
    Error::new(ErrorKind::InvalidData, problem.to_owned())
}

fuzz_target!(|bytes: &[u8]| {
    tar::is_header(&bytes[..bytes.len().min(tar::BLOCK)]);
    let (mut archive, mut read) = (tar::Tar::new(bytes), 0);
    while let Ok(Some(_)) = archive.next() {
        read += copy(&mut archive, &mut sink()).unwrap_or_default();
    }
    assert!(read <= bytes.len() as u64, "nothing in a tar archive is packed");

    let Ok(mut archive) = zip::Zip::open(Cursor::new(bytes)) else { return };
    // Members may share their bytes, and unpack to a thousand times as many.
    let mut room = FILE_BYTES_MAX;
    for at in 0..archive.members.len() {
        if let Ok(member) = archive.read(at) {
            room -= copy(&mut member.take(room), &mut sink()).unwrap_or_default();
        }
    }
});
