//! Bounds of a conversation.

use std::time::Duration;

/// Bounds of one probe. Nothing a host does makes a conversation exceed them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long a service may take to speak first before we do.
    pub listen: Duration,
    /// Longest silence after something was asked.
    pub answer: Duration,
    /// Longest life of one connection, from the first byte to the last.
    pub conversation: Duration,
    /// Most bytes read from one connection.
    pub bytes_max: usize,
    /// Most reads from one connection.
    pub steps_max: u32,
    /// Most connections one probe may use per check, the one handed in included.
    pub connections_max: u32,
}

impl Limits {
    /// For strangers on the internet: patient, and 64 KiB at most.
    pub const INTERNET: Self = Self {
        listen: Duration::from_millis(2_000),
        answer: Duration::from_millis(6_000),
        conversation: Duration::from_millis(15_000),
        bytes_max: 64 * 1024,
        steps_max: 256,
        connections_max: 4,
    };

    /// For the same machine or room, where a round trip takes a few milliseconds and a busy
    /// processor, not distance, is what makes a service slow.
    pub const LOCAL: Self = Self {
        listen: Duration::from_millis(250),
        answer: Duration::from_millis(2_500),
        conversation: Duration::from_millis(8_000),
        bytes_max: 64 * 1024,
        steps_max: 256,
        connections_max: 4,
    };

    /// With half the patience, for further questions to a service that kept silent to one.
    pub(super) fn hurried(&self) -> Self {
        Self { answer: self.answer / 2, ..*self }
    }
}
