//! Fuzzes telnet logins: turns of a device, parted by `~` and cut into reads by the first eight bytes.
#![no_main]
#![allow(dead_code, reason = "the exercises are shared, each target runs one")]

#[path = "../../crates/wire/tests/it/exercise.rs"]
mod exercise;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((cuts, bytes)) = bytes.split_first_chunk::<8>() else { return };
    exercise::login(bytes, u64::from_le_bytes(*cuts));
});
