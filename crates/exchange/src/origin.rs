//! Where an imported row comes from, and how the row says so.
//!
//! A row of the lake has no place for "somebody else measured this", and needs none: the places
//! for *who* and *by what right* are there, and an import fills them with what no measurement of
//! ours can hold.
//!
//! | column | ours | imported |
//! |---|---|---|
//! | `mandate_id` | letters, digits and `-` | `imported:nmap:7.93:<SHA-256 of the file>` |
//! | `sensor_id` | made at some time | made at no time: its first ten letters are zeros; the rest is a digest of owner, tool and file |
//! | `survey_id` | made at some time | the same, of another digest |
//! | `method_version` | from 1 up | from -1 down |
//! | `vantage` | our address | what the file states, else `0.0.0.0` or `::`, port 0 |
//! | `clock_err_us` | known or null | null |
//!
//! So each row alone tells its origin ([`Origin::of`]), whichever column a query looks at tells it
//! apart, no survey of ours has such a row in its figures, and the same file gives the same sensor,
//! so that taking it twice has the effect of once. What was considered and left: a column of its
//! own (null in every row of ours, and a query that forgets it mixes both), a `direction` (the
//! traffic went the same way), a `check` of its own (what was exchanged is what a check means).

use std::fmt;
use std::str::FromStr;

use kenshin_observation::{Observation, OrgId, SensorId, SurveyId};
use sha2::{Digest, Sha256};

use crate::format::Tool;

/// Version of the method that makes rows of files, lowered when their meaning changes; those of
/// measurements are positive.
pub const METHOD_VERSION: i32 = -1;

const PREFIX: &str = "imported:";

/// Longest version of a tool that is kept.
const VERSION_MAX: usize = 32;

/// The file that an imported row stood in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    tool: Tool,
    version: Option<String>,
    sha256: String,
}

/// A text that names no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` does not name the origin of an import")]
pub struct NoOrigin(String);

impl Origin {
    /// A file that `tool` wrote, by the SHA-256 of its bytes.
    pub fn new(tool: Tool, sha256: [u8; 32]) -> Self {
        Self { tool, version: None, sha256: hex::encode(sha256) }
    }

    /// The origin of a row; `None` when we measured it ourselves.
    pub fn of(row: &Observation) -> Option<Self> {
        row.mandate_id.parse().ok()
    }

    /// What wrote the file.
    pub fn tool(&self) -> Tool {
        self.tool
    }

    /// Version of the tool, when the file states one.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// SHA-256 of the file, hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The sensor that stands for the file in an organisation's lake.
    pub fn sensor_id(&self, org_id: OrgId) -> SensorId {
        SensorId::from_bits(self.timeless("sensor", org_id))
    }

    /// The survey that stands for the file in an organisation's lake.
    pub fn survey_id(&self, org_id: OrgId) -> SurveyId {
        SurveyId::from_bits(self.timeless("survey", org_id))
    }

    /// Takes the tool and version that the file states.
    pub(crate) fn state(&mut self, tool: Tool, version: Option<&str>) {
        self.tool = tool;
        self.version = version.map(|version| {
            let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | '_' | ' ');
            version.chars().filter(plain).take(VERSION_MAX).collect()
        });
    }

    /// The 80 random bits of an id, made at no time. The version is no part of it: it is not known
    /// before the file is read.
    fn timeless(&self, kind: &str, org_id: OrgId) -> u128 {
        let mut hash = Sha256::new_with_prefix(b"kenshin-import-v1\0");
        hash.update(format!("{kind}\n{org_id}\n{}\n{}\n", self.tool, self.sha256));
        let random: [u8; 10] = hash.finalize()[..10].try_into().expect("ten of 32 bytes");
        random.iter().fold(0, |bits, byte| bits << 8 | u128::from(*byte))
    }
}

/// As [`Observation::mandate_id`] holds it.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}:{}:{}", self.tool, self.version.as_deref().unwrap_or_default(), self.sha256)
    }
}

impl FromStr for Origin {
    type Err = NoOrigin;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = || -> Option<Self> {
            let mut parts = text.strip_prefix(PREFIX)?.split(':');
            let (tool, version, sha256) = (parts.next()?.parse().ok()?, parts.next()?, parts.next()?);
            let digest = sha256.len() == 64 && hex::decode(sha256).is_ok();
            let version = (!version.is_empty()).then(|| version.to_owned());
            (digest && parts.next().is_none()).then(|| Self { tool, version, sha256: sha256.to_owned() })
        };
        parts().ok_or_else(|| NoOrigin(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use kenshin_observation::TimeUs;

    use super::*;

    #[test]
    fn an_origin_is_told_by_each_of_its_marks() {
        let mut origin = Origin::new(Tool::Nmap, [7; 32]);
        assert_eq!(origin.to_string(), format!("imported:nmap::{}", "07".repeat(32)));
        origin.state(Tool::Nmap, Some("7.93:\n\u{202e}x"));
        assert_eq!(origin.to_string(), format!("imported:nmap:7.93x:{}", "07".repeat(32)));
        assert_eq!(origin.to_string().parse(), Ok(origin.clone()));
        for ours in ["example-isp-2026", "imported:nmap", "imported:nmap::07", "imported:other::", ""] {
            assert!(ours.parse::<Origin>().is_err(), "{ours}");
        }
        let org = OrgId::from_bits(1);
        assert!(origin.sensor_id(org).to_string().starts_with("0000000000"));
        assert!(!SensorId::new(TimeUs::from_secs(1), 0).to_string().starts_with("0000000000"));
    }

    #[test]
    fn ids_follow_from_owner_tool_and_file() {
        let (a, b) = (OrgId::from_bits(1), OrgId::from_bits(2));
        let origin = Origin::new(Tool::Nmap, [7; 32]);
        let mut stated = origin.clone();
        stated.state(Tool::Nmap, Some("7.93"));
        assert_eq!(origin.sensor_id(a), stated.sensor_id(a), "the version is known too late");
        let others = [
            origin.sensor_id(b),
            Origin::new(Tool::Nmap, [8; 32]).sensor_id(a),
            Origin::new(Tool::Zmap, [7; 32]).sensor_id(a),
            SensorId::from_bits(origin.survey_id(a).bits()),
        ];
        assert!(!others.contains(&origin.sensor_id(a)));
    }
}
