//! Records of those who speak about products of their own or watch over them: advisories (CSAF),
//! package databases (OSV), JVN iPedia, and the registry of hardware addresses.

use serde::{Deserialize, Serialize};

use super::{Affected, CveId, Cvss, Day};

/// How entries name their source when the product's own maker says so.
pub(crate) const OF_VENDOR: &str = "vendor";
/// How entries name their source when a coordinator or another publisher says so.
pub(crate) const OF_OTHER: &str = "csaf";

/// An advisory or VEX document (CSAF 2.0).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advisory {
    /// The publisher's number for it, e.g. `SSA-426509`.
    pub id: String,
    /// Who published it.
    pub publisher: String,
    /// Its title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Current release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated: Option<Day>,
    /// What it says of products.
    pub statements: Vec<Statement>,
    /// Products that contain others, as its relationships state.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contains: Vec<Containment>,
}

/// What an advisory says of one product and one vulnerability.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The vulnerability.
    pub cve: CveId,
    /// Its title there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The product, with the versions that are affected, not affected, or under investigation. Its
    /// source is `vendor` when the maker of the product speaks, else `csaf`.
    pub affected: Affected,
    /// Why it is not affected: the label of a flag, e.g. `vulnerable_code_not_in_execute_path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
    /// What to do, in the publisher's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Affected {
    /// True when the maker of the product speaks.
    pub(crate) fn of_vendor(&self) -> bool {
        self.source == OF_VENDOR
    }
}

/// A product contains another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Containment {
    /// What contains.
    pub product: Named,
    /// What is contained.
    pub component: Named,
    /// It may be absent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

/// A product as a product tree names it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Named {
    /// Vendor; empty when it is not stated.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vendor: String,
    /// Product.
    pub product: String,
    /// Version or range of versions as written; empty when it is not stated.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// CPE name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpe: Option<String>,
    /// Package URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purl: Option<String>,
}

/// A record about packages (Open Source Vulnerability format 1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Osv {
    /// Its identifier, e.g. `OSV-2021-1234` or `RUSTSEC-2023-0001`.
    pub id: String,
    /// The CVE records it speaks of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cves: Vec<CveId>,
    /// Its summary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Last change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated: Option<Day>,
    /// Withdrawn: it says nothing any more, and overrides what an earlier file said.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withdrawn: bool,
    /// It tells that nobody maintains the package any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unmaintained: bool,
    /// Packages: the vendor of each is its ecosystem (`crates.io`, `OSS-Fuzz`), or the owner of its
    /// repository where only that is stated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<Package>,
}

/// A package and the versions of it that are affected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Where packages of this name are found; `GIT` where only a repository is stated.
    pub ecosystem: String,
    /// Package URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purl: Option<String>,
    /// Its name and versions.
    pub affected: Affected,
}

/// An entry of JVN iPedia.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jvn {
    /// Its identifier, e.g. `JVNDB-2023-004814`.
    pub id: String,
    /// Its title, in Japanese unless the English feed was imported.
    pub title: String,
    /// Its page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The CVE records it speaks of.
    pub cves: Vec<CveId>,
    /// Last change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated: Option<Day>,
    /// The best CVSS base score present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cvss: Option<Cvss>,
    /// CPE names of what it speaks of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cpes: Vec<String>,
}

/// Whom a range of hardware addresses was assigned to (IEEE MA-L, MA-M, MA-S).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Oui {
    /// First digits of the addresses, hexadecimal in capitals: six, seven or nine.
    pub prefix: String,
    /// The organisation.
    pub organisation: String,
}
