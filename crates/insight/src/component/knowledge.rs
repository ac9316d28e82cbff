//! What snapshots say about components: lookups by the product that contains them, and by their name.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use kenshin_observation::words;
use serde::{Deserialize, Serialize};

use super::fact::within;
use super::{Contains, Fact, Upkeep, catalogue};
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
    contains: HashMap<String, Vec<Place>>,
    upkeep: HashMap<String, Vec<Place>>,
}

impl Index {
    pub(crate) fn new(snapshots: &[Snapshot]) -> Self {
        let mut index = Self::default();
        for (number, snapshot) in snapshots.iter().enumerate() {
            for (at, fact) in facts(snapshot).iter().enumerate() {
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

fn facts(snapshot: &Snapshot) -> &[Fact] {
    match &snapshot.records {
        Records::Sbom(facts) | Records::ComponentList(facts) => facts,
        _ => &[],
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
        let stated = places.into_iter().filter_map(|(snapshot, at)| {
            let snapshot = &self.snapshots()[snapshot];
            let Fact::Contains(contains) = facts(snapshot).get(at)? else { return None };
            Some((contains, snapshot))
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

    /// Whether a component is maintained on `today`. Lists written by hand come first, then bills of
    /// materials, then release cycles: a product of which every cycle has ended has nobody left. What
    /// contradicts itself is not known.
    pub fn maintenance(
        &self,
        name: &str,
        cpe: Option<&str>,
        version: Option<&str>,
        today: Day,
    ) -> Maintenance {
        let stated: Vec<(&Upkeep, &Snapshot)> = self
            .components
            .upkeep
            .get(&catalogue::key(name, cpe))
            .into_iter()
            .flatten()
            .filter_map(|(snapshot, at)| {
                let snapshot = &self.snapshots()[*snapshot];
                let Fact::Upkeep(upkeep) = facts(snapshot).get(*at)? else { return None };
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
        self.by_cycles(name, cpe, today)
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
