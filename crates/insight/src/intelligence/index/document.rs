//! Advisories and packages, looked up by the product they speak of.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::decision::{Said, Voice};
use super::{Index, keys};
use crate::cpe::Cpe;
use crate::intelligence::osv::GIT;
use crate::intelligence::{
    Advisory, Affected, Cve, CveId, IntelligenceKind, Names, Osv, Package, Records, Snapshot, Statement,
};

/// Where programs in C are found by the name they are known by everywhere; a name there is as good as
/// a vendor. In registries of languages and distributions a name belongs to anybody, and versions to
/// their packagers.
const OSS_FUZZ: &str = "OSS-Fuzz";

/// Shortest name that is trusted to mean one program.
const NAME_MIN: usize = 4;

/// Position of a snapshot, of a document in it, and of a statement or package in that.
type Place = (usize, usize, usize);

/// What is known of documents, by product.
#[derive(Debug, Default)]
pub(super) struct Documents {
    statements: Index<Place>,
    /// By name of the product alone.
    programs: Index<Place>,
    /// By ecosystem and name as written, lower case.
    packages: HashMap<(String, String), Vec<Place>>,
    /// Records of vulnerabilities that only documents speak of.
    pub(super) unrecorded: BTreeMap<CveId, Cve>,
}

impl Documents {
    /// Indexes the documents of `snapshots`; of several with one name that of the later snapshot
    /// counts. `recorded` tells which vulnerabilities have a record.
    pub(super) fn new(snapshots: &[Snapshot], recorded: impl Fn(CveId) -> bool) -> Self {
        let mut documents = Self::default();
        let mut newest: BTreeMap<(&str, &str), (usize, usize)> = BTreeMap::new();
        for (snapshot, held) in snapshots.iter().enumerate() {
            let ids: Vec<(&str, &str)> = match &held.records {
                Records::Csaf(records) => {
                    records.iter().map(|record| (record.publisher.as_str(), record.id.as_str())).collect()
                }
                Records::Osv(records) => records.iter().map(|record| ("", record.id.as_str())).collect(),
                _ => Vec::new(),
            };
            newest.extend(ids.into_iter().enumerate().map(|(at, id)| (id, (snapshot, at))));
        }
        for (snapshot, at) in newest.into_values() {
            match &snapshots[snapshot].records {
                Records::Csaf(records) => documents.advisory(&records[at], (snapshot, at), &recorded),
                Records::Osv(records) => documents.osv(&records[at], (snapshot, at), &recorded),
                _ => {}
            }
        }
        documents
    }

    fn advisory(
        &mut self,
        advisory: &Advisory,
        (snapshot, at): (usize, usize),
        recorded: &impl Fn(CveId) -> bool,
    ) {
        for (number, statement) in advisory.statements.iter().enumerate() {
            for key in spellings(&statement.affected) {
                self.statements.entry(key).or_default().push((snapshot, at, number));
            }
            if !recorded(statement.cve) {
                let title = statement.title.as_ref().or(advisory.title.as_ref());
                self.unrecorded.entry(statement.cve).or_insert_with(|| bare(statement.cve, title));
            }
        }
    }

    fn osv(&mut self, record: &Osv, (snapshot, at): (usize, usize), recorded: &impl Fn(CveId) -> bool) {
        for (number, package) in record.packages.iter().enumerate() {
            let place = (snapshot, at, number);
            let name = &package.affected.product;
            let key = (package.ecosystem.to_lowercase(), name.to_lowercase());
            self.packages.entry(key).or_default().push(place);
            if matches!(package.ecosystem.as_str(), OSS_FUZZ | GIT) {
                for spelling in Names::of("", name).products {
                    self.programs.entry(spelling).or_default().push(place);
                }
            }
        }
        for cve in record.cves.iter().filter(|cve| !recorded(**cve)) {
            self.unrecorded.entry(*cve).or_insert_with(|| bare(*cve, record.title.as_ref()));
        }
    }

    /// What documents say of a product, by vulnerability.
    pub(super) fn of_product<'a>(
        &self,
        snapshots: &'a [Snapshot],
        vendor: &str,
        product: &str,
    ) -> Vec<(CveId, Voice<'a>)> {
        let names = Names::of(vendor, product);
        let statements: BTreeSet<Place> = keys(&names)
            .iter()
            .flat_map(|key| self.statements.get(key).into_iter().flatten())
            .copied()
            .collect();
        let mut voices: Vec<(CveId, Voice<'a>)> =
            statements.into_iter().filter_map(|place| statement(snapshots, place)).collect();
        let programs: BTreeSet<Place> = names
            .products
            .iter()
            .flat_map(|name| self.programs.get(name).into_iter().flatten())
            .copied()
            .collect();
        for place in programs {
            let Some((record, package)) = package(snapshots, place) else { continue };
            if !is_program(package, &names) {
                continue;
            }
            let said = Said {
                kind: IntelligenceKind::Osv,
                document: &record.id,
                publisher: "",
                justification: None,
                remedy: None,
                snapshot: place.0,
            };
            let voice = Voice { entry: &package.affected, said: Some(said) };
            voices.extend(record.cves.iter().map(|cve| (*cve, voice)));
        }
        voices
    }

    /// Records about a package of an ecosystem, by the name it has there.
    pub(super) fn of_package<'a>(
        &self,
        snapshots: &'a [Snapshot],
        ecosystem: &str,
        name: &str,
    ) -> impl Iterator<Item = (&'a Osv, &'a Package)> {
        let places = self.packages.get(&(ecosystem.to_lowercase(), name.to_lowercase()));
        places.into_iter().flatten().filter_map(|place| package(snapshots, *place))
    }
}

/// True when a package is surely the program that a host shows as `names`: the curated list knows it
/// by that name, or its repository is that of its maker.
fn is_program(package: &Package, names: &Names) -> bool {
    let own = Names::of(&package.affected.vendor, &package.affected.product);
    match package.ecosystem.as_str() {
        OSS_FUZZ => own.products.iter().any(|name| name.len() >= NAME_MIN && names.products.contains(name)),
        _ if names.vendors.is_empty() => own.vendors.iter().any(|owner| names.products.contains(owner)),
        _ => own.vendors.iter().any(|owner| names.vendors.contains(owner)),
    }
}

fn statement<'a>(snapshots: &'a [Snapshot], (snapshot, at, number): Place) -> Option<(CveId, Voice<'a>)> {
    let Records::Csaf(records) = &snapshots.get(snapshot)?.records else { return None };
    let advisory = records.get(at)?;
    let Statement { cve, affected, justification, remedy, .. } = advisory.statements.get(number)?;
    let said = Said {
        kind: IntelligenceKind::Csaf,
        document: &advisory.id,
        publisher: &advisory.publisher,
        justification: justification.as_deref(),
        remedy: remedy.as_deref(),
        snapshot,
    };
    Some((*cve, Voice { entry: affected, said: Some(said) }))
}

fn package(snapshots: &[Snapshot], (snapshot, at, number): Place) -> Option<(&Osv, &Package)> {
    let Records::Osv(records) = &snapshots.get(snapshot)?.records else { return None };
    let record = records.get(at)?;
    Some((record, record.packages.get(number)?))
}

/// Index keys of an entry: of its names, and of those in its CPE names.
pub(super) fn spellings(entry: &Affected) -> BTreeSet<String> {
    let mut spellings: BTreeSet<String> =
        keys(&Names::of(&entry.vendor, &entry.product)).into_iter().collect();
    for cpe in entry.cpes.iter().filter_map(|cpe| cpe.parse::<Cpe>().ok()) {
        if let (Some(vendor), Some(product)) = (cpe.vendor.text(), cpe.product.text()) {
            spellings.extend(keys(&Names::of(vendor, product)));
        }
    }
    spellings
}

fn bare(id: CveId, title: Option<&String>) -> Cve {
    Cve { id, title: title.cloned(), updated: None, cvss: None, ssvc: None, affected: Vec::new() }
}
