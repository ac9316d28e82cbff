//! Fuzzes RDP, VNC, SMB and ADB answers, cut at several places.
#![no_main]
#![allow(dead_code, reason = "the exercises are shared, each target runs one")]

#[path = "../../crates/wire/tests/it/exercise.rs"]
mod exercise;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    exercise::remote(bytes);
});
