//! Fuzzes SNMP, NTP and CoAP.
#![no_main]
#![allow(dead_code, reason = "the exercises are shared, each target runs one")]

#[path = "../../crates/wire/tests/it/exercise_datagrams.rs"]
mod exercise_datagrams;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    exercise_datagrams::numbers(bytes);
});
