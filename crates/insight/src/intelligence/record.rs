//! Normalised records, one type per kind of intelligence.

pub(super) mod advisory;

use std::fmt;
use std::str::FromStr;

use kenshin_observation::{Automatable, DeviceKey, Exploitation, TimeUs, words};
use serde::{Deserialize, Serialize};

/// A text that is not a CVE identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a CVE identifier such as CVE-2023-28771")]
pub struct ParseCveIdError(String);

/// A CVE identifier.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CveId {
    year: u16,
    number: u32,
}

impl fmt::Display for CveId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CVE-{:04}-{:04}", self.year, self.number)
    }
}

impl fmt::Debug for CveId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for CveId {
    type Err = ParseCveIdError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseCveIdError(text.chars().take(40).collect());
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let rest = text.strip_prefix("CVE-").ok_or_else(error)?;
        let (year, number) = rest.split_once('-').ok_or_else(error)?;
        if year.len() != 4 || number.len() < 4 || !digits(year) || !digits(number) {
            return Err(error());
        }
        Ok(Self { year: year.parse().map_err(|_| error())?, number: number.parse().map_err(|_| error())? })
    }
}

/// A text that is not a calendar day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a day such as 2025-08-25")]
pub struct ParseDayError(String);

/// A calendar day in UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(TimeUs);

const DAY_SECS: i64 = 86_400;

impl Day {
    /// The day that `time` falls on.
    pub const fn of(time: TimeUs) -> Self {
        Self(TimeUs::from_secs(time.micros().div_euclid(DAY_SECS * 1_000_000) * DAY_SECS))
    }

    /// Its first instant.
    pub const fn start(self) -> TimeUs {
        self.0
    }
}

impl From<TimeUs> for Day {
    fn from(time: TimeUs) -> Self {
        Self::of(time)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.to_string().split('T').next().unwrap_or_default())
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Day {
    type Err = ParseDayError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseDayError(text.chars().take(40).collect());
        if text.len() != 10 {
            return Err(error());
        }
        format!("{text}T00:00:00Z").parse().map(Self).map_err(|_| error())
    }
}

macro_rules! serde_as_text {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
serde_as_text!(CveId);
serde_as_text!(Day);

/// A vulnerability that is known to be exploited (CISA KEV).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kev {
    /// Which one.
    pub cve: CveId,
    /// Vendor or project as the catalogue writes it.
    pub vendor: String,
    /// Product as the catalogue writes it.
    pub product: String,
    /// Name of the vulnerability.
    pub name: String,
    /// When it was added.
    pub added: Day,
    /// Used by extortion campaigns.
    pub ransomware: bool,
}

/// Likelihood of exploitation in the next 30 days (FIRST EPSS), in parts per million.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epss {
    /// Which one.
    pub cve: CveId,
    /// Probability in ppm.
    pub probability_ppm: u32,
    /// Share of vulnerabilities that score lower, in ppm; absent in old files.
    pub percentile_ppm: Option<u32>,
}

words!(
    /// Whether a version is affected.
    Status, "status" {
        /// It is.
        Affected = "affected",
        /// It is not.
        Unaffected = "unaffected",
        /// It cannot be told.
        Unknown = "unknown",
    }
);

/// A published vulnerability (CVE record format 5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cve {
    /// Which one.
    pub id: CveId,
    /// Title, or the start of the English description.
    pub title: Option<String>,
    /// Last change of the record.
    pub updated: Option<Day>,
    /// The best CVSS base score present.
    pub cvss: Option<Cvss>,
    /// What CISA's coordinators decided (SSVC), where they enriched the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssvc: Option<Ssvc>,
    /// What is affected, as the issuing authority and those who enrich its records say. Entries
    /// without vendor or product (`n/a`) are left out: they say nothing that could be matched.
    pub affected: Vec<Affected>,
}

/// Answers of CISA's coordinators to the questions of SSVC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ssvc {
    /// Whether attackers use it, as known then.
    pub exploitation: Exploitation,
    /// Whether the first steps of an attack can be automated.
    pub automatable: Automatable,
    /// The attacker gets the whole of the software, not a part.
    pub total: bool,
}

/// A CVSS base score.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cvss {
    /// Version of CVSS, e.g. `3.1`.
    pub version: String,
    /// Base score in tenths: 98 is 9.8.
    pub score_tenths: u8,
    /// The vector.
    pub vector: String,
}

/// One product and which of its versions are affected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Affected {
    /// Who says so: `cna`, `adp`, `nvd`; of advisories `vendor` or `csaf`; `osv`.
    pub source: String,
    /// Vendor as written.
    pub vendor: String,
    /// Product as written.
    pub product: String,
    /// CPE names of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cpes: Vec<String>,
    /// Status of versions that no range names.
    pub default: Status,
    /// Versions named.
    pub ranges: Vec<Range>,
}

/// One version or a range of versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// What they are.
    pub status: Status,
    /// The version, or the first one of the range.
    pub from: String,
    /// End of the range; `None` for a single version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Bound>,
    /// Changes of status inside the range, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
}

/// The upper end of a range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// Versions below this one.
    LessThan(String),
    /// This one and those below.
    AtMost(String),
}

/// From this version on the status is another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// First version with the new status.
    pub at: String,
    /// The new status.
    pub status: Status,
}

/// A key that everybody can have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownKey {
    /// Its kind and SHA-256 digest.
    pub key: DeviceKey,
    /// Whose it is, as the list says.
    pub label: String,
}

/// The release cycles of a product (endoflife.date).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndOfLife {
    /// Its slug, e.g. `openwrt`.
    pub name: String,
    /// Its title.
    pub title: String,
    /// `os`, `device`, `server-app` …
    pub category: String,
    /// Other slugs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// CPE names of it, as written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cpes: Vec<String>,
    /// Its cycles.
    pub releases: Vec<Release>,
}

/// When something ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Ending {
    /// Whether it has ended, without a date.
    Known(bool),
    /// The last day.
    On(Day),
}

impl Ending {
    /// True when it is over on `today`.
    pub fn ended(self, today: Day) -> bool {
        match self {
            Self::Known(ended) => ended,
            Self::On(day) => day < today,
        }
    }
}

/// One release cycle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Cycle, e.g. `22.03`; for devices the model.
    pub cycle: String,
    /// Label for people, when it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// End of all ordinary support; `None` when it was not stated.
    pub eol: Option<Ending>,
    /// End of support that is sold or granted beyond it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extended: Option<Ending>,
    /// The newest version of the cycle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<String>,
}

impl Release {
    /// True when ordinary support is over on `today`; unknown is not over.
    pub fn ended(&self, today: Day) -> bool {
        self.eol.is_some_and(|eol| eol.ended(today))
    }

    /// True when extended support is known to go on after ordinary support.
    pub fn extended(&self, today: Day) -> bool {
        self.extended.is_some_and(|extended| match extended {
            Ending::Known(offered) => offered,
            Ending::On(day) => day >= today,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cve_identifiers_parse_or_are_refused() {
        for good in ["CVE-1999-0043", "CVE-2014-100005", "CVE-2023-28771"] {
            assert_eq!(good.parse::<CveId>().unwrap().to_string(), good);
        }
        for bad in
            ["", "CVE-99-0043", "CVE-2023-1", "cve-2023-28771", "CVE-2023-28771x", "CVE-2023-99999999999"]
        {
            assert!(bad.parse::<CveId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn days_end_at_midnight() {
        let day: Day = "2025-08-25".parse().unwrap();
        assert_eq!(day.to_string(), "2025-08-25");
        assert_eq!(Day::of(day.start().plus_secs(DAY_SECS - 1)), day);
        assert!(Day::of(day.start().plus_secs(DAY_SECS)) > day);
        assert!(Ending::On(day).ended("2025-08-26".parse().unwrap()));
        assert!(!Ending::On(day).ended(day), "the last day is still supported");
        for bad in ["2025-8-25", "2025-02-30", "25 Aug 2025", ""] {
            assert!(bad.parse::<Day>().is_err(), "{bad}");
        }
    }
}
