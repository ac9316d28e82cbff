//! What is known about components apart from what devices show: which products contain them, and
//! whether anybody maintains them.

use std::fmt;
use std::str::FromStr;

use kenshin_observation::words;
use serde::{Deserialize, Serialize};

use super::catalogue;
use crate::intelligence::{Affected, Day, Names, Range, Status};

words!(
    /// What a statement stands on.
    Basis, "basis" {
        /// A bill of materials of the product.
        Sbom = "sbom",
        /// A list that somebody wrote by hand.
        List = "list",
        /// An advisory.
        Csaf = "csaf",
    }
);

/// A product or a family of products, and which of its versions are meant. Written
/// `vendor:product[:versions]`; a product that ends in `*` is a family.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Family {
    /// Maker; empty when it is not known.
    pub vendor: String,
    /// Product, or the beginning of the products' names and `*`.
    pub product: String,
    /// One version, or a phrase such as `<= 5.50` or `5.0 through 5.50`; `None` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<String>,
}

/// A text that names no product.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not vendor:product or vendor:product:versions")]
pub struct ParseFamilyError(String);

/// A component as somebody names it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Who makes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// Version, or a phrase as in [`Family::versions`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// CPE name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpe: Option<String>,
    /// Package URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purl: Option<String>,
}

/// A product contains a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contains {
    /// Which products.
    pub family: Family,
    /// Which component.
    pub part: Part,
    /// What it stands on.
    pub basis: Basis,
    /// Percent, 0 to 100.
    pub confidence: u8,
    /// Document or address that says so.
    pub source: String,
}

/// Somebody says whether a component is maintained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upkeep {
    /// Which component, and which versions of it.
    pub part: Part,
    /// Whether corrections still appear.
    pub maintained: bool,
    /// Last day of support, when it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Day>,
    /// Document or address that says so.
    pub source: String,
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "says", rename_all = "kebab-case")]
pub enum Fact {
    /// A product contains a component.
    Contains(Contains),
    /// A component is maintained, or not.
    Upkeep(Upkeep),
}

impl Family {
    /// The product that a component of a bill of materials is, when it has a name.
    pub fn of(part: &Part) -> Self {
        Self {
            vendor: part.vendor.clone().unwrap_or_default(),
            product: part.name.clone(),
            versions: part.version.clone(),
        }
    }

    /// True when a product of this vendor is of the family. A vendor that is not known is nobody's.
    pub fn holds(&self, vendor: &str, product: &str) -> bool {
        let own = Names::of(&self.vendor, self.product.trim_end_matches('*'));
        let other = Names::of(vendor, product);
        let vendors = own.vendors.is_empty() || own.vendors.iter().any(|one| other.vendors.contains(one));
        let same = |one: &String| match self.is_wide() {
            true => other.products.iter().any(|product| product.starts_with(one.as_str())),
            false => other.products.contains(one),
        };
        vendors && own.products.iter().any(same)
    }

    /// True when it means more than one product.
    pub fn is_wide(&self) -> bool {
        self.product.ends_with('*')
    }

    /// Whether `version` is one of those meant.
    pub fn includes(&self, version: Option<&str>) -> Status {
        within(self.versions.as_deref(), version)
    }
}

/// Whether `version` is within a phrase; no phrase means every version.
pub(super) fn within(versions: Option<&str>, version: Option<&str>) -> Status {
    let Some(phrase) = versions else { return Status::Affected };
    let Some(version) = version else { return Status::Unknown };
    let range = Range { status: Status::Affected, from: phrase.to_owned(), to: None, changes: Vec::new() };
    let entry = Affected {
        source: String::new(),
        vendor: String::new(),
        product: String::new(),
        cpes: Vec::new(),
        default: Status::Unaffected,
        ranges: vec![range],
    };
    entry.status(version)
}

impl FromStr for Family {
    type Err = ParseFamilyError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseFamilyError(text.chars().take(120).collect());
        let mut parts = text.splitn(3, ':').map(str::trim);
        let (vendor, product) = (parts.next().unwrap_or_default(), parts.next().ok_or_else(error)?);
        let versions = parts.next().filter(|versions| !versions.is_empty());
        if vendor.is_empty() || Names::of("", product.trim_end_matches('*')).products.is_empty() {
            return Err(error());
        }
        Ok(Self {
            vendor: vendor.to_owned(),
            product: product.to_owned(),
            versions: versions.map(str::to_owned),
        })
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [self.vendor.as_str(), &self.product, self.versions.as_deref().unwrap_or_default()];
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        f.pad(&words.join(" "))
    }
}

impl Part {
    /// The key under which the component is counted ([`catalogue::key`]).
    pub fn key(&self) -> String {
        catalogue::key(&self.name, self.cpe.as_deref())
    }

    /// The version when it is one version and no phrase.
    pub fn one_version(&self) -> Option<&str> {
        let version = self.version.as_deref()?;
        crate::version::Version::parse(version).map(|_| version)
    }
}

impl Fact {
    /// What makes two statements one: the later of them counts.
    pub(crate) fn subject(&self) -> (Option<(Family, Basis)>, Part) {
        match self {
            Self::Contains(contains) => {
                (Some((contains.family.clone(), contains.basis)), contains.part.clone())
            }
            Self::Upkeep(upkeep) => (None, upkeep.part.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_written_and_read() {
        let family: Family = "Axis:M3004-V:<= 5.50".parse().unwrap();
        assert_eq!((family.vendor.as_str(), family.versions.as_deref()), ("Axis", Some("<= 5.50")));
        assert_eq!("Axis:M30*".parse::<Family>().unwrap().versions, None);
        for bad in ["", "axis", ":m3004", "axis:", "axis:*", "axis:n/a"] {
            assert!(bad.parse::<Family>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_family_holds_its_products() {
        let holds = |family: &str, vendor, product| family.parse::<Family>().unwrap().holds(vendor, product);
        assert!(holds("axis:M3004-V", "Axis Communications AB", "AXIS M3004-V"));
        assert!(holds("axis:M30*", "Axis", "M3004-V"));
        assert!(!holds("axis:M30*", "Axis", "P3346"));
        assert!(!holds("axis:M3004-V", "Acme", "M3004-V"), "another maker's device of the same name");
        assert!(!holds("axis:M3004-V", "Axis", "M3004"), "a longer name may be another device");
    }

    #[test]
    fn versions_have_three_answers() {
        let includes = |versions: &str, version: Option<&str>| {
            format!("axis:m3004:{versions}").parse::<Family>().unwrap().includes(version)
        };
        assert_eq!(includes("", Some("1.0")), Status::Affected);
        assert_eq!(includes("", None), Status::Affected, "every version is every version");
        assert_eq!(includes("5.50", Some("5.50.0")), Status::Affected);
        assert_eq!(includes("5.50", Some("5.51")), Status::Unaffected);
        assert_eq!(includes("<= 5.50", None), Status::Unknown);
        assert_eq!(includes(">= 5.0, < 6", Some("5.9")), Status::Affected);
    }
}
