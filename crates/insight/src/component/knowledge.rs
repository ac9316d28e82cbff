//! What snapshots say about components: lookups by the product that contains them, and by their name.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use kenshin_observation::words;
use serde::{Deserialize, Serialize};

use super::fact::within;
use super::{Contains, Fact, Part, Upkeep, document};
use crate::cpe::Cpe;
use crate::intelligence::{Day, Ending, Intelligence, Names, Records, Snapshot, Status};

words!(
    /// Whether somebody still mends a component.
    Supported, "support" {
        /// Somebody does.
        Maintained = "maintained",
        /// Nobody does any more.
        Unmaintained = "unmaintained",
        /// Nothing that we have says.
        Unknown = "unknown",
    }
);

/// Whether a component is maintained, and who says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maintenance {
    /// Whether.
    pub supported: Supported,
    /// Last day of support, when it is known.
    pub since: Option<Day>,
    /// Who says so: a document or an address.
    pub source: Option<String>,
    /// The snapshot that it stands on.
    pub snapshot: Option<String>,
}

/// Where a statement is: snapshot and position.
type Place = (usize, usize);

/// Statements by the vendor of the product that contains something, and by the component.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// What advisories say, by their snapshot.
    advised: BTreeMap<usize, Vec<Fact>>,
    contains: HashMap<String, Vec<Place>>,
    upkeep: HashMap<String, Vec<Place>>,
    /// Packages that nobody maintains, by snapshot.
    unmaintained: BTreeMap<usize, HashMap<String, Vec<(usize, usize)>>>,
}

impl Index {
    pub(crate) fn new(snapshots: &[Snapshot]) -> Self {
        let mut index = Self::default();
        for (number, snapshot) in snapshots.iter().enumerate() {
            if let Records::Csaf(advisories) = &snapshot.records {
                index.advised.insert(number, document::contents(advisories));
            }
            if let Records::Osv(records) = &snapshot.records {
                index.unmaintained.insert(number, document::unmaintained(records));
            }
            for (at, fact) in facts(&index.advised, snapshots, number).iter().enumerate() {
                match fact {
                    Fact::Contains(contains) => {
                        for vendor in Names::of(&contains.family.vendor, "").vendors {
                            index.contains.entry(vendor).or_default().push((number, at));
                        }
                    }
                    Fact::Upkeep(upkeep) => {
                        index.upkeep.entry(upkeep.part.key()).or_default().push((number, at));
                    }
                }
            }
        }
        index
    }
}

fn facts<'a>(
    advised: &'a BTreeMap<usize, Vec<Fact>>,
    snapshots: &'a [Snapshot],
    number: usize,
) -> &'a [Fact] {
    match snapshots.get(number).map(|snapshot| &snapshot.records) {
        Some(Records::Sbom(facts) | Records::ComponentList(facts)) => facts,
        _ => advised.get(&number).map(Vec::as_slice).unwrap_or_default(),
    }
}

impl Intelligence {
    /// What products of these names (vendor and product, in every way an identity states them) are
    /// said to contain, with the snapshot that says so. Versions of the product are not looked at.
    pub fn contents<'a>(&'a self, names: &[(String, String)]) -> Vec<(&'a Contains, &'a Snapshot)> {
        if self.components.contains.is_empty() {
            return Vec::new();
        }
        let vendors: BTreeSet<String> =
            names.iter().flat_map(|(vendor, _)| Names::of(vendor, "").vendors).collect();
        let places: BTreeSet<Place> = vendors
            .iter()
            .filter_map(|vendor| self.components.contains.get(vendor))
            .flatten()
            .copied()
            .collect();
        let mut families: BTreeMap<&super::Family, bool> = BTreeMap::new();
        let stated = places.into_iter().filter_map(|place| match self.fact(place)? {
            (Fact::Contains(contains), snapshot) => Some((contains, snapshot)),
            _ => None,
        });
        stated
            .filter(|(contains, _)| {
                // A bill of materials says the same product a thousand times.
                *families.entry(&contains.family).or_insert_with(|| {
                    names.iter().any(|(vendor, product)| contains.family.holds(vendor, product))
                })
            })
            .collect()
    }

    fn fact(&self, (snapshot, at): Place) -> Option<(&Fact, &Snapshot)> {
        let facts = facts(&self.components.advised, self.snapshots(), snapshot);
        Some((facts.get(at)?, self.snapshots().get(snapshot)?))
    }

    /// Whether a component is maintained on `today`. Lists written by hand come first, then bills of
    /// materials, then package databases, which know it by its package URL alone, then release cycles:
    /// a product of which every cycle has ended has nobody left. What contradicts itself is not known.
    pub fn maintenance(&self, part: &Part, today: Day) -> Maintenance {
        let version = part.version.as_deref();
        let stated: Vec<(&Upkeep, &Snapshot)> = self
            .components
            .upkeep
            .get(&part.key())
            .into_iter()
            .flatten()
            .filter_map(|place| {
                let (Fact::Upkeep(upkeep), snapshot) = self.fact(*place)? else { return None };
                let meant = within(upkeep.part.version.as_deref(), version) == Status::Affected;
                meant.then_some((upkeep, snapshot))
            })
            .collect();
        let by_hand = |snapshot: &Snapshot| matches!(snapshot.records, Records::ComponentList(_));
        let listed: Vec<_> = stated.iter().copied().filter(|(_, snapshot)| by_hand(snapshot)).collect();
        for statements in [listed, stated] {
            if let Some(answer) = agreed(&statements, today) {
                return answer;
            }
        }
        let of_package = part.purl.as_deref().and_then(|purl| self.by_package(purl, version));
        of_package.unwrap_or_else(|| self.by_cycles(&part.name, part.cpe.as_deref(), today))
    }

    fn by_package(&self, purl: &str, version: Option<&str>) -> Option<Maintenance> {
        let package = document::bare(purl);
        self.components.unmaintained.iter().find_map(|(snapshot, packages)| {
            let snapshot = self.snapshots().get(*snapshot)?;
            let Records::Osv(records) = &snapshot.records else { return None };
            let meant = |(at, number): &&(usize, usize)| {
                let package = records.get(*at).and_then(|record| record.packages.get(*number));
                package.is_some_and(|package| match version {
                    Some(version) => package.affected.status(version) == Status::Affected,
                    None => package.affected.names_all(),
                })
            };
            let (at, _) = packages.get(&package)?.iter().find(meant)?;
            Some(Maintenance {
                supported: Supported::Unmaintained,
                since: None,
                source: Some(records.get(*at)?.id.clone()),
                snapshot: Some(snapshot.name()),
            })
        })
    }

    fn by_cycles(&self, name: &str, cpe: Option<&str>, today: Day) -> Maintenance {
        let unknown =
            Maintenance { supported: Supported::Unknown, since: None, source: None, snapshot: None };
        let cpe: Option<Cpe> = cpe.and_then(|cpe| cpe.parse().ok());
        let vendor = cpe.as_ref().and_then(|cpe| cpe.vendor.text());
        let named = cpe.as_ref().and_then(|cpe| cpe.product.text()).unwrap_or(name);
        let Some(product) = self.cycles_of(vendor, named) else { return unknown };
        if product.releases.iter().any(|release| release.eol.is_none()) {
            return unknown;
        }
        let over = product.releases.iter().all(|release| release.ended(today) && !release.extended(today));
        let last = product.releases.iter().filter_map(|release| match release.eol {
            Some(Ending::On(day)) => Some(day),
            _ => None,
        });
        Maintenance {
            supported: if over { Supported::Unmaintained } else { Supported::Maintained },
            since: last.max().filter(|_| over),
            source: Some(format!("https://endoflife.date/{}", product.name)),
            snapshot: self.source_of_cycles(product),
        }
    }
}

/// What several statements say together; `None` when there is none.
fn agreed(statements: &[(&Upkeep, &Snapshot)], today: Day) -> Option<Maintenance> {
    // Support that ends later goes on today.
    let supported = |upkeep: &Upkeep| upkeep.maintained || upkeep.since.is_some_and(|day| day >= today);
    let (first, snapshot) = statements.last()?;
    let agree = statements.iter().all(|(upkeep, _)| supported(upkeep) == supported(first));
    Some(Maintenance {
        supported: match (agree, supported(first)) {
            (false, _) => Supported::Unknown,
            (true, true) => Supported::Maintained,
            (true, false) => Supported::Unmaintained,
        },
        since: first.since.filter(|_| agree && !supported(first)),
        source: Some(first.source.clone()),
        snapshot: Some(snapshot.name()),
    })
}
