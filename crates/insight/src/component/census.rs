//! Who carries a component, over many devices: those that do, and of how many it is not known.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::str::FromStr;

use kenshin_observation::{Component, Identity, TimeUs, words};
use serde::{Deserialize, Serialize};

use super::carried::{Carried, Certainty, Contents, Ground, device};
use super::fact::within;
use super::{Basis, Maintenance, Part, Role, Supported, catalogue};
use crate::finding::names_distribution;
use crate::intelligence::{Affected, CveId, Day, Intelligence, Status};

/// Most versions told of one component.
const VERSIONS_MAX: usize = 20;

/// A component asked for, and which versions of it. Written `NAME[:VERSIONS]`; versions as in
/// [`super::Family`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Name as it was written.
    pub name: String,
    /// What it is counted under.
    pub key: String,
    /// Which versions; `None` for all.
    pub versions: Option<String>,
}

impl FromStr for Query {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, versions) = text.split_once(':').map_or((text, None), |(name, rest)| (name, Some(rest)));
        let key = catalogue::key(name, None);
        if key.is_empty() {
            return Err(format!(
                "`{text}` names no component: write NAME or NAME:VERSIONS, such as gsoap:<2.8.48"
            ));
        }
        let versions = versions.map(str::trim).filter(|versions| !versions.is_empty()).map(str::to_owned);
        Ok(Self { name: name.trim().to_owned(), key, versions })
    }
}

/// Of how many devices it is not known whether they carry what was asked for, and why not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gaps {
    /// Devices asked about.
    pub assets: u64,
    /// They carry it, in the version asked for or in one that is not known.
    pub carriers: u64,
    /// They carry it in another version.
    pub other_version: u64,
    /// A bill of materials of their product and version does not list it.
    pub unlisted: u64,
    /// They were identified, and nothing is known of what such a product contains.
    pub unlearned: u64,
    /// They were not identified.
    pub unidentified: u64,
}

impl Gaps {
    /// Of how many nothing is known.
    pub fn unknown(&self) -> u64 {
        self.unlearned + self.unidentified
    }
}

/// A device that carries what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carrier {
    /// What it carries.
    #[serde(flatten)]
    pub carried: Carried,
    /// True when the version is one of those asked for, `false` when the version is not known.
    pub version_sure: bool,
}

/// Asks device after device whether it carries a component.
#[derive(Debug)]
pub struct Census<'a> {
    query: &'a Query,
    contents: Contents<'a>,
    /// What is not known so far.
    pub gaps: Gaps,
}

impl<'a> Census<'a> {
    /// A census of nobody yet.
    pub fn new(query: &'a Query, intelligence: &'a Intelligence) -> Self {
        Self { query, contents: Contents::new(intelligence), gaps: Gaps::default() }
    }

    /// The surest way in which a device of this identity carries the component; `None` when it is not
    /// known to, and [`Census::gaps`] counts why.
    pub fn ask(&mut self, identity: &Identity) -> Option<Carrier> {
        self.gaps.assets += 1;
        let all = self.contents.of(identity);
        let of_it: Vec<&Carried> = all.iter().filter(|carried| carried.key == self.query.key).collect();
        let judged = of_it
            .iter()
            .map(|carried| (within(self.query.versions.as_deref(), carried.version.as_deref()), *carried));
        let best = judged
            .filter(|(status, _)| *status != Status::Unaffected)
            .max_by_key(|(status, carried)| {
                (*status == Status::Affected, carried.certainty, carried.confidence)
            })
            .map(|(status, carried)| Carrier {
                carried: carried.clone(),
                version_sure: status == Status::Affected,
            });
        let gap = match &best {
            Some(_) => &mut self.gaps.carriers,
            None if !of_it.is_empty() => &mut self.gaps.other_version,
            None if identity.is_unknown() => &mut self.gaps.unidentified,
            None if all.iter().any(is_of_bill) => &mut self.gaps.unlisted,
            None => &mut self.gaps.unlearned,
        };
        *gap += 1;
        best
    }
}

/// True when a bill of materials of this product and version says so: it would list others as well.
fn is_of_bill(carried: &Carried) -> bool {
    carried.certainty >= Certainty::Known
        && carried.evidence.iter().any(|ground| matches!(ground, Ground::Stated { basis: Basis::Sbom, .. }))
}

/// True when nothing but advisories says so.
fn is_of_advisory(carried: &Carried) -> bool {
    let advised = |ground: &Ground| matches!(ground, Ground::Stated { basis: Basis::Csaf, .. });
    carried.evidence.iter().all(advised)
}

words!(
    /// Whether a device has a vulnerability, by itself or by a component.
    Exposure, "exposure" {
        /// What it shows is affected.
        Affected = "affected",
        /// What is known of its product is affected.
        AffectedByKnowledge = "affected-by-knowledge",
        /// It carries the component in a version that is not known, or from a distribution that may
        /// have mended it, or its family or an advisory alone says so.
        Possible = "possible",
        /// It carries the component in a version that is not affected, or its maker says that it is not.
        NotAffected = "not-affected",
        /// Nothing is known. That is not health.
        Unknown = "unknown",
    }
);

/// One component in a list of all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// What it is counted under.
    pub key: String,
    /// Its name for people.
    pub name: String,
    /// What it does, for those of the catalogue.
    pub role: Option<Role>,
    /// Devices that show it.
    pub visible: u64,
    /// Devices of which it is known.
    pub known: u64,
    /// Devices of which it is inferred.
    pub inferred: u64,
    /// Versions, at most 20.
    pub versions: BTreeSet<String>,
    /// Whether somebody mends it; of versions that differ, the one that nobody mends counts.
    pub maintenance: Maintenance,
    /// When the first of these devices was first seen.
    pub first_seen: TimeUs,
    /// When the last of them was last seen.
    pub last_seen: TimeUs,
}

/// Counts the components of device after device.
#[derive(Debug)]
pub struct Inventory<'a> {
    intelligence: &'a Intelligence,
    today: Day,
    contents: Contents<'a>,
    upkeep: BTreeMap<Part, Maintenance>,
    counts: BTreeMap<String, Count>,
    /// Devices counted.
    pub assets: u64,
    /// Of these, devices of which no component is known.
    pub bare: u64,
}

impl<'a> Inventory<'a> {
    /// An inventory of nothing yet; whether somebody mends a component is judged for `today`.
    pub fn new(intelligence: &'a Intelligence, today: Day) -> Self {
        Self {
            intelligence,
            today,
            contents: Contents::new(intelligence),
            upkeep: BTreeMap::new(),
            counts: BTreeMap::new(),
            assets: 0,
            bare: 0,
        }
    }

    /// Counts what a device of this identity carries.
    pub fn add(&mut self, identity: &Identity, first_seen: TimeUs, last_seen: TimeUs) {
        let mut surest: BTreeMap<String, Certainty> = BTreeMap::new();
        for carried in self.contents.of(identity) {
            let maintenance = self.maintenance(&carried);
            let count = self.counts.entry(carried.key.clone()).or_insert_with(|| Count {
                role: catalogue::known(&carried.name, carried.cpe.as_deref()).map(|known| known.role),
                key: carried.key.clone(),
                name: carried.name.clone(),
                visible: 0,
                known: 0,
                inferred: 0,
                versions: BTreeSet::new(),
                maintenance: maintenance.clone(),
                first_seen,
                last_seen,
            });
            if rank(&maintenance) < rank(&count.maintenance) {
                count.maintenance = maintenance;
            }
            if let Some(version) = carried.version.filter(|_| count.versions.len() < VERSIONS_MAX) {
                count.versions.insert(version);
            }
            count.first_seen = count.first_seen.min(first_seen);
            count.last_seen = count.last_seen.max(last_seen);
            let held = surest.entry(carried.key).or_insert(carried.certainty);
            *held = carried.certainty.max(*held);
        }
        self.assets += 1;
        self.bare += u64::from(surest.is_empty());
        for (key, certainty) in surest {
            let Some(count) = self.counts.get_mut(&key) else { continue };
            *match certainty {
                Certainty::Visible => &mut count.visible,
                Certainty::Known => &mut count.known,
                Certainty::Inferred => &mut count.inferred,
            } += 1;
        }
    }

    /// Every component counted, by name.
    pub fn finish(self) -> Vec<Count> {
        self.counts.into_values().collect()
    }

    fn maintenance(&mut self, carried: &Carried) -> Maintenance {
        let judge = |part: &Part| self.intelligence.maintenance(part, self.today);
        self.upkeep.entry(carried.part()).or_insert_with_key(judge).clone()
    }
}

/// What nobody mends is told before what somebody does.
fn rank(maintenance: &Maintenance) -> u8 {
    match maintenance.supported {
        Supported::Unmaintained => 0,
        Supported::Maintained => 1,
        Supported::Unknown => 2,
    }
}

/// Vendor, product and version.
type Product = (String, String, Option<String>);

/// Asks device after device whether it has a vulnerability.
#[derive(Debug)]
pub struct Exposures<'a> {
    cve: CveId,
    intelligence: &'a Intelligence,
    contents: Contents<'a>,
    /// What the vulnerability's records say of a vendor, product and version, and whether it is the
    /// maker's word; `None` when they do not name the product.
    said: HashMap<Product, Option<(Status, bool)>>,
    /// How many of each answer.
    pub counts: BTreeMap<Exposure, u64>,
}

impl<'a> Exposures<'a> {
    /// Of nobody yet.
    pub fn new(cve: CveId, intelligence: &'a Intelligence) -> Self {
        let counts = Exposure::ALL.iter().map(|exposure| (*exposure, 0)).collect();
        Self { cve, intelligence, contents: Contents::new(intelligence), said: HashMap::new(), counts }
    }

    /// What is known of a device of this identity, and the component by which it is known; none when it
    /// is by its own product.
    pub fn ask(&mut self, identity: &Identity) -> (Exposure, Option<Carried>) {
        let mut judged: Vec<(Exposure, Option<Carried>)> = Vec::new();
        if let Some((names, version, _)) = device(identity) {
            match self.said(&names, version.as_deref()) {
                // The maker knows what its device does with what it contains.
                Some((Status::Unaffected, true)) => return self.answer(Exposure::NotAffected, None),
                Some((Status::Affected, _)) => judged.push((Exposure::Affected, None)),
                Some((Status::Unaffected, false)) => judged.push((Exposure::NotAffected, None)),
                Some((Status::Unknown, _)) => judged.push((Exposure::Possible, None)),
                None => {}
            }
        }
        // A distribution mends a component and leaves it the number it had.
        let shown = |component: &Component| component.shown.as_deref().is_some_and(names_distribution);
        let distribution = identity.components.iter().any(shown);
        for carried in self.contents.of(identity) {
            let Some((said, _)) = self.said(&carried.recorded_as(), carried.version.as_deref()) else {
                continue;
            };
            let exposure = match (said, carried.certainty) {
                (Status::Affected, Certainty::Visible) if !distribution => Exposure::Affected,
                // An advisory that says what a product contains may say elsewhere that it does no harm.
                (Status::Affected, Certainty::Known) if !is_of_advisory(&carried) => {
                    Exposure::AffectedByKnowledge
                }
                (Status::Unaffected, Certainty::Visible | Certainty::Known) => Exposure::NotAffected,
                _ => Exposure::Possible,
            };
            judged.push((exposure, Some(carried)));
        }
        // The gravest counts: of two components of one name one may be mended.
        let (exposure, by) =
            judged.into_iter().min_by_key(|(exposure, _)| *exposure).unwrap_or((Exposure::Unknown, None));
        self.answer(exposure, by)
    }

    fn answer(&mut self, exposure: Exposure, by: Option<Carried>) -> (Exposure, Option<Carried>) {
        *self.counts.entry(exposure).or_default() += 1;
        (exposure, by)
    }

    /// What the records say of a product by any of its names, and whether the maker says it.
    /// Contradiction is not known.
    fn said(&mut self, names: &[(String, String)], version: Option<&str>) -> Option<(Status, bool)> {
        let mut all = Vec::new();
        for (vendor, product) in names {
            let key = (vendor.clone(), product.clone(), version.map(str::to_owned));
            let said = self.said.entry(key).or_insert_with(|| {
                let matches = self.intelligence.matches(vendor, product, version.unwrap_or_default());
                let found = matches.into_iter().find(|found| found.cve.id == self.cve)?;
                Some((found.status, found.entry.is_some_and(Affected::of_vendor)))
            });
            all.extend(*said);
        }
        let any = |status| all.iter().any(|(said, _)| *said == status);
        let status = match (any(Status::Affected), any(Status::Unaffected)) {
            _ if all.is_empty() => return None,
            (true, false) => Status::Affected,
            (false, true) => Status::Unaffected,
            _ => Status::Unknown,
        };
        Some((status, all.contains(&(status, true))))
    }
}
