//! For how long what is kept: `[retention]` of `kenshin.toml`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use kenshin_lake::Shelf;
use kenshin_observation::{BlobClass, TimeUs};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// Longest time that is no error, months: a hundred years.
const MONTHS_MAX: u32 = 1_200;

/// For how long rows are kept after the month in which they lie is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Keep {
    /// For ever.
    #[default]
    Forever,
    /// For so many months, at least one.
    Months(u32),
}

/// A text that is no time to keep something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no time to keep something: write `forever`, or 1 to {MONTHS_MAX} months as in `24 months` or `2 years`"
)]
pub struct ParseKeepError(String);

/// For how long what is kept. What is not named is kept for ever, and so are batches always: proofs rest on
/// them. Salts go with their observations.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// What was seen, with the salts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observations: Option<Keep>,
    /// What was asked, whether it answered or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Keep>,
    /// Bodies, by class.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub blobs: BTreeMap<BlobClass, Keep>,
    /// Mandates for which something else holds, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mandate: BTreeMap<String, OfMandate>,
    #[serde(default, skip_serializing, deserialize_with = "salts")]
    salts: (),
    #[serde(default, skip_serializing, deserialize_with = "batches")]
    batches: (),
}

/// What holds for one mandate in place of what holds for all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfMandate {
    /// What was seen, with the salts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observations: Option<Keep>,
    /// What was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Keep>,
    /// Bodies, by class.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub blobs: BTreeMap<BlobClass, Keep>,
}

impl Retention {
    /// True when everything is kept for ever.
    pub fn is_empty(&self) -> bool {
        let ends = |keep: &Keep| *keep != Keep::Forever;
        let of = |observations: &Option<Keep>, coverage: &Option<Keep>, blobs: &BTreeMap<BlobClass, Keep>| {
            observations.iter().chain(coverage).chain(blobs.values()).any(ends)
        };
        !of(&self.observations, &self.coverage, &self.blobs)
            && !self.mandate.values().any(|one| of(&one.observations, &one.coverage, &one.blobs))
    }

    /// For how long what lies on a shelf is kept.
    pub fn keep(&self, shelf: &Shelf) -> Keep {
        let of_mandate = shelf.mandate_id.as_ref().and_then(|mandate| self.mandate.get(mandate));
        let found = match shelf.table.as_str() {
            "observations" | "salts" => of_mandate.and_then(|one| one.observations).or(self.observations),
            "coverage" => of_mandate.and_then(|one| one.coverage).or(self.coverage),
            "blobs" => {
                let class = shelf.class.as_deref().and_then(|class| class.parse::<BlobClass>().ok());
                class.and_then(|class| {
                    of_mandate.and_then(|one| one.blobs.get(&class)).or(self.blobs.get(&class)).copied()
                })
            }
            _ => None,
        };
        found.unwrap_or_default()
    }
}

impl Keep {
    /// True when a month ended so long ago. What has no month is never due.
    pub fn is_over(self, month: Option<&str>, now: TimeUs) -> bool {
        match (self, month.and_then(ordinal), ordinal(&now.month())) {
            (Self::Months(months), Some(month), Some(now)) => now > month.saturating_add(months),
            _ => false,
        }
    }
}

/// Months count up from the year 0; `None` for what is no month.
pub(super) fn ordinal(month: &str) -> Option<u32> {
    let (year, month) = month.split_once('-')?;
    let (year, month): (u32, u32) = (year.parse().ok()?, month.parse().ok()?);
    ((1..=12).contains(&month) && (1..=9_999).contains(&year)).then(|| year * 12 + month - 1)
}

impl FromStr for Keep {
    type Err = ParseKeepError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || ParseKeepError(text.to_owned());
        if text == "forever" {
            return Ok(Self::Forever);
        }
        let (count, unit) = text.split_once(' ').ok_or_else(refused)?;
        let count: u32 = count.parse().map_err(|_| refused())?;
        let months = match unit {
            "month" | "months" => Some(count),
            "year" | "years" => count.checked_mul(12),
            _ => None,
        };
        months.filter(|months| (1..=MONTHS_MAX).contains(months)).map(Self::Months).ok_or_else(refused)
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forever => f.write_str("forever"),
            Self::Months(1) => f.write_str("1 month"),
            Self::Months(months) => write!(f, "{months} months"),
        }
    }
}

impl TryFrom<String> for Keep {
    type Error = ParseKeepError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Keep> for String {
    fn from(keep: Keep) -> Self {
        keep.to_string()
    }
}

fn salts<'de, D: Deserializer<'de>>(_: D) -> Result<(), D::Error> {
    Err(D::Error::custom("salts go with their observations: set `observations`"))
}

fn batches<'de, D: Deserializer<'de>>(_: D) -> Result<(), D::Error> {
    Err(D::Error::custom("batches are kept for ever: every proof rests on them"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;

    fn parse(retention: &str) -> Result<Retention, String> {
        let text = format!("schema_version = 1\norganisation = \"x\"\n{retention}");
        let settings = Settings::parse("kenshin.toml", &text).map_err(|error| error.to_string())?;
        Ok(settings.retention)
    }

    fn shelf(table: &str, mandate: Option<&str>, class: Option<&str>) -> Shelf {
        Shelf {
            table: table.into(),
            month: Some("2026-04".into()),
            mandate_id: mandate.map(str::to_owned),
            class: class.map(str::to_owned),
        }
    }

    const POLICY: &str = "[retention]\nobservations = \"24 months\"\ncoverage = \"5 years\"\n\
        [retention.blobs]\nbanner = \"6 months\"\ncertificate = \"forever\"\n\
        [retention.mandate.\"town-2026\"]\nobservations = \"1 month\"\n\
        [retention.mandate.\"town-2026\".blobs]\npage = \"3 months\"\n";

    #[test]
    fn what_is_not_named_is_kept_for_ever_and_a_mandate_may_have_its_own() {
        let policy = parse(POLICY).unwrap();
        let keep = |table, mandate, class| policy.keep(&shelf(table, mandate, class)).to_string();
        for (table, mandate, class, expected) in [
            ("observations", Some("national"), None, "24 months"),
            ("observations", Some("town-2026"), None, "1 month"),
            ("salts", Some("town-2026"), None, "1 month"),
            ("coverage", Some("town-2026"), None, "60 months"),
            ("coverage", None, None, "60 months"),
            ("blobs", Some("national"), Some("banner"), "6 months"),
            ("blobs", Some("national"), Some("page"), "forever"),
            ("blobs", Some("town-2026"), Some("page"), "3 months"),
            ("blobs", Some("town-2026"), Some("banner"), "6 months"),
            ("blobs", Some("town-2026"), Some("certificate"), "forever"),
            ("blobs", Some("town-2026"), Some("picture"), "forever"),
            ("batches", Some("town-2026"), None, "forever"),
        ] {
            assert_eq!(keep(table, mandate, class), expected, "{table} {mandate:?} {class:?}");
        }
        assert!(!policy.is_empty());
        assert!(parse("").unwrap().is_empty());
        assert!(parse("[retention]\nobservations = \"forever\"\n").unwrap().is_empty());
        let again = toml::to_string(&policy).unwrap();
        assert_eq!(toml::from_str::<Retention>(&again).unwrap(), policy, "{again}");
    }

    #[test]
    fn a_month_is_due_when_it_ended_so_long_ago() {
        for (keep, month, now, due) in [
            ("1 month", "2026-04", "2026-05-31T23:59:59Z", false),
            ("1 month", "2026-04", "2026-06-01T00:00:00Z", true),
            ("24 months", "2026-04", "2028-04-30T23:59:59Z", false),
            ("24 months", "2026-04", "2028-05-01T00:00:00Z", true),
            ("2 years", "2026-12", "2028-12-31T23:59:59Z", false),
            ("2 years", "2026-12", "2029-01-01T00:00:00Z", true),
            ("forever", "1999-01", "2999-01-01T00:00:00Z", false),
            ("1 month", "0000-00", "2999-01-01T00:00:00Z", false),
            ("1 month", "2999-01", "2026-01-01T00:00:00Z", false),
        ] {
            let over = keep.parse::<Keep>().unwrap().is_over(Some(month), now.parse().unwrap());
            assert_eq!(over, due, "{keep} {month} {now}");
        }
        assert!(!Keep::Months(1).is_over(None, TimeUs::from_secs(1 << 40)));
    }

    /// Whatever the policy: nothing of this month or of a month to come is due, and what is due stays due.
    #[test]
    fn due_is_only_ever_the_past() {
        for months in 1..40 {
            let keep = Keep::Months(months);
            for now in 0..30 {
                let at = |months: i64| TimeUs::from_secs(1_767_225_600).plus_secs(months * 2_678_400);
                let mut before = false;
                for later in 0..90 {
                    let due = keep.is_over(Some(&at(now).month()), at(now + later));
                    assert!(due || !before, "{keep} {now} {later}");
                    assert!(!due || later > i64::from(months) - 1, "{keep} {now} {later}");
                    before = due;
                }
            }
        }
    }

    #[test]
    fn the_shipped_example_is_one() {
        let text = include_str!("../../../../config/retention-example.toml");
        let policy = Settings::parse("retention-example.toml", text).unwrap().retention;
        assert_eq!(policy.coverage, Some(Keep::Months(60)));
        assert_eq!(policy.mandate["national-2026"].blobs[&BlobClass::Page], Keep::Months(1));
    }

    #[test]
    fn bad_policies_name_the_line() {
        for (text, line, says) in [
            ("[retention]\nobservations = \"24 moons\"\n", 4, "write `forever`"),
            ("[retention]\nobservations = \"0 months\"\n", 4, "write `forever`"),
            ("[retention]\nobservations = \"1201 months\"\n", 4, "1 to 1200 months"),
            ("[retention]\nobservations = 24\n", 4, "string"),
            ("[retention]\nsalts = \"1 month\"\n", 4, "salts go with their observations"),
            ("[retention]\nbatches = \"1 month\"\n", 4, "batches are kept for ever"),
            ("[retention]\nservices = \"1 month\"\n", 4, "unknown field `services`"),
            ("[retention.blobs]\npicture = \"1 month\"\n", 4, "picture"),
            ("[retention.mandate.x]\nsalts = \"1 month\"\n", 4, "unknown field `salts`"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with(&format!("kenshin.toml:{line}:")), "{error}");
            assert!(error.contains(says), "{error}");
        }
    }
}
