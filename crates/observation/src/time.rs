//! Instants as microseconds since 1970-01-01T00:00:00Z.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An instant: microseconds since the Unix epoch, UTC. Read from a clock only at the edge and
/// passed on as `now`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TimeUs(i64);

/// Tells `now`. Made at the outermost edge; everything inside that runs over a span of time is
/// handed one, so that tests and the demo can set it.
pub type Clock = std::sync::Arc<dyn Fn() -> TimeUs + Send + Sync>;

/// A text that is not an RFC 3339 instant.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not a date-time such as 2026-04-01T00:00:00Z")]
pub struct ParseTimeError {
    text: String,
}

impl TimeUs {
    /// The instant `micros` µs after the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The instant `seconds` s after the epoch.
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// µs since the epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// ms since the epoch, rounded down.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// This instant moved by `micros` µs; saturates.
    pub const fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// This instant moved by `seconds` s; saturates.
    pub const fn plus_secs(self, seconds: i64) -> Self {
        self.plus_micros(seconds.saturating_mul(1_000_000))
    }

    /// The month of this instant in UTC, such as `2026-04`; `0000-00` for what no calendar has.
    pub fn month(self) -> String {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(timestamp) => timestamp.strftime("%Y-%m").to_string(),
            Err(_) => "0000-00".to_owned(),
        }
    }

    /// µs from `earlier` to this instant; negative when `earlier` is later.
    pub const fn micros_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for TimeUs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(timestamp) => timestamp.fmt(f),
            Err(_) => write!(f, "{} µs", self.0),
        }
    }
}

impl fmt::Debug for TimeUs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for TimeUs {
    type Err = ParseTimeError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<jiff::Timestamp>()
            .map(|timestamp| Self(timestamp.as_microsecond()))
            .map_err(|_| ParseTimeError { text: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_rfc3339_in_utc() {
        let time: TimeUs = "2026-04-01T09:00:00+09:00".parse().unwrap();
        assert_eq!(time.to_string(), "2026-04-01T00:00:00Z");
        assert!("yesterday".parse::<TimeUs>().is_err());
        assert_eq!(TimeUs::from_micros(-1).millis(), -1);
    }
}
