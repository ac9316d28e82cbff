//! Probes against servers in this process, friendly and hostile. Time is paused: it moves only when
//! nobody has anything to do, so limits of seconds are tested in milliseconds.

mod datagrams;
pub(crate) mod host;
mod hostile;
mod questions;
mod services;
mod sites;

use std::collections::BTreeSet;
use std::sync::Arc;

use kenshin_observation::Check;

use super::{Introduction, Limits, ProbeSettings};

/// Settings with the checks `granted` and the limits for the internet.
pub(crate) fn settings(granted: &[Check]) -> ProbeSettings {
    ProbeSettings {
        limits: Limits::INTERNET,
        introduction: Introduction {
            user_agent: "Kenshin/0.1 (+mailto:kenshin@example.jp)".to_owned(),
            contact: "kenshin@example.jp".to_owned(),
            name: "kenshin.example.jp".to_owned(),
        },
        granted: granted.iter().copied().collect::<BTreeSet<_>>(),
        listen_only: false,
        blob_bytes_max: 512,
        orders: Arc::default(),
        recursion_zone: None,
    }
}

/// Bytes of a transcript.
pub(crate) fn transcript(name: &str) -> Vec<u8> {
    let path = format!("{}/../../testdata/wire/{name}.bin", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("failed to read {path}: {error}"))
}
