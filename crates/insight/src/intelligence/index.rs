//! Lookups by CVE and by vendor and product.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    AddressTable, Affected, Cve, CveId, EndOfLife, Epss, IntelligenceKind, Kev, Names, Records, Release,
    Snapshot, Status,
};
use crate::cpe::Cpe;
use crate::version::Version;

/// Where a record is: snapshot and position.
type Place = (usize, usize);

/// Vendor and product spellings to entries (record, position of the `affected` entry).
type Index<T> = HashMap<String, Vec<T>>;

/// Snapshots joined for lookups. Of several records with one name the one of the later snapshot
/// counts.
#[derive(Debug, Default)]
pub struct Intelligence {
    snapshots: Vec<Snapshot>,
    kev: BTreeMap<CveId, Place>,
    epss: HashMap<CveId, Place>,
    cve: BTreeMap<CveId, Place>,
    affected: Index<(CveId, usize)>,
    products: BTreeMap<String, Place>,
    cycles_by_cpe: Index<Place>,
    cycles_by_name: Index<Place>,
}

/// A CVE that names a product, and what it says of one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match<'a> {
    /// The record.
    pub cve: &'a Cve,
    /// What it says of the version.
    pub status: Status,
    /// The entry that decided, when one did.
    pub entry: Option<&'a Affected>,
}

/// A release cycle and its product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cycle<'a> {
    /// The product.
    pub product: &'a EndOfLife,
    /// The cycle.
    pub release: &'a Release,
}

impl Intelligence {
    /// Joins snapshots; later ones override earlier ones record by record.
    pub fn new(snapshots: impl IntoIterator<Item = Snapshot>) -> Self {
        let mut all = Self { snapshots: snapshots.into_iter().collect(), ..Self::default() };
        for (index, snapshot) in all.snapshots.iter().enumerate() {
            match &snapshot.records {
                Records::Kev(records) => {
                    all.kev.extend(records.iter().enumerate().map(|(at, record)| (record.cve, (index, at))));
                }
                Records::Epss(records) => {
                    all.epss.extend(records.iter().enumerate().map(|(at, record)| (record.cve, (index, at))));
                }
                Records::Cve(records) => {
                    all.cve.extend(records.iter().enumerate().map(|(at, record)| (record.id, (index, at))));
                }
                Records::EndOfLife(records) => {
                    let places =
                        records.iter().enumerate().map(|(at, record)| (record.name.clone(), (index, at)));
                    all.products.extend(places);
                }
                // Of addresses, not of weaknesses: see `addresses`.
                Records::Asn(_) | Records::Country(_) => {}
            }
        }
        all.affected = all.index_affected();
        (all.cycles_by_cpe, all.cycles_by_name) = all.index_cycles();
        all
    }

    /// What the tables of systems and countries say of addresses, together.
    pub fn addresses(&self) -> AddressTable {
        let tables = self.snapshots.iter().filter_map(|snapshot| match &snapshot.records {
            Records::Asn(table) | Records::Country(table) => Some(table),
            _ => None,
        });
        tables.fold(AddressTable::default(), |joined, table| joined.join(table))
    }

    /// Names of the snapshots of one kind, as findings state them.
    pub fn names(&self, kind: IntelligenceKind) -> impl Iterator<Item = String> {
        self.snapshots.iter().filter(move |snapshot| snapshot.kind() == kind).map(Snapshot::name)
    }

    /// The snapshots.
    pub fn snapshots(&self) -> &[Snapshot] {
        &self.snapshots
    }

    /// The entry of the exploited catalogue.
    pub fn kev(&self, cve: CveId) -> Option<&Kev> {
        let (snapshot, at) = *self.kev.get(&cve)?;
        match &self.snapshots[snapshot].records {
            Records::Kev(records) => records.get(at),
            _ => None,
        }
    }

    /// The likelihood of exploitation.
    pub fn epss(&self, cve: CveId) -> Option<&Epss> {
        let (snapshot, at) = *self.epss.get(&cve)?;
        match &self.snapshots[snapshot].records {
            Records::Epss(records) => records.get(at),
            _ => None,
        }
    }

    /// The CVE record.
    pub fn cve(&self, id: CveId) -> Option<&Cve> {
        let (snapshot, at) = *self.cve.get(&id)?;
        match &self.snapshots[snapshot].records {
            Records::Cve(records) => records.get(at),
            _ => None,
        }
    }

    /// Name of the snapshot that a record of `kind` about `cve` comes from.
    pub fn source(&self, kind: IntelligenceKind, cve: CveId) -> Option<String> {
        let place = match kind {
            IntelligenceKind::Kev => self.kev.get(&cve),
            IntelligenceKind::Epss => self.epss.get(&cve),
            IntelligenceKind::Cve => self.cve.get(&cve),
            IntelligenceKind::EndOfLife | IntelligenceKind::Asn | IntelligenceKind::Country => None,
        };
        place.map(|(snapshot, _)| self.snapshots[*snapshot].name())
    }

    /// Name of the snapshot that a product's release cycles come from.
    pub fn source_of_cycles(&self, product: &EndOfLife) -> Option<String> {
        self.products.get(&product.name).map(|(snapshot, _)| self.snapshots[*snapshot].name())
    }

    /// Every CVE that names this product, with what it says of `version`, by CVE.
    ///
    /// A record may hold several entries for one product, by the issuing authority and by others.
    /// It says *affected* when one entry does and none says *unaffected*; where they contradict
    /// each other it says *unknown*.
    pub fn matches(&self, vendor: &str, product: &str, version: &str) -> Vec<Match<'_>> {
        let mut found: BTreeMap<CveId, BTreeSet<usize>> = BTreeMap::new();
        for key in keys(&Names::of(vendor, product)) {
            for (id, entry) in self.affected.get(&key).into_iter().flatten() {
                found.entry(*id).or_default().insert(*entry);
            }
        }
        let found = found.into_iter().filter_map(|(id, entries)| {
            let cve = self.cve(id)?;
            let entries: Vec<&Affected> = entries.into_iter().filter_map(|at| cve.affected.get(at)).collect();
            let (status, entry) = decide(&entries, version);
            Some(Match { cve, status, entry })
        });
        found.collect()
    }

    /// The release cycle that a version of a product belongs to: the longest one that the version
    /// continues. Without a vendor the product must be known by its own name.
    pub fn cycle(&self, vendor: Option<&str>, product: &str, version: &str) -> Option<Cycle<'_>> {
        let version = Version::parse(version)?;
        let product = self.cycles_of(vendor, product)?;
        let cycles = product.releases.iter().filter_map(|release| {
            let cycle = Version::parse(&release.cycle)?;
            version.continues(&cycle).then_some((release.cycle.len(), release))
        });
        let (_, release) = cycles.max_by_key(|(length, _)| *length)?;
        Some(Cycle { product, release })
    }

    /// The cycle of a device that is itself the product: its model is a cycle of a line of devices.
    pub fn model(&self, vendor: &str, model: &str) -> Option<Cycle<'_>> {
        let names = Names::of(vendor, model);
        let same = |text: &str| {
            let spelled = Names::of(vendor, text);
            spelled.products.iter().any(|spelling| names.products.contains(spelling))
        };
        let devices = self.all_cycles().filter(|product| {
            product.category == "device" && {
                let titles = Names::of(&product.title, &product.name);
                let words: Vec<String> = product.title.split_whitespace().map(str::to_lowercase).collect();
                names.vendors.iter().any(|vendor| titles.vendors.contains(vendor) || words.contains(vendor))
            }
        });
        let cycles = devices
            .flat_map(|product| product.releases.iter().map(move |release| Cycle { product, release }));
        cycles
            .into_iter()
            .find(|cycle| same(&cycle.release.cycle) || cycle.release.label.as_deref().is_some_and(same))
    }

    fn all_cycles(&self) -> impl Iterator<Item = &EndOfLife> {
        self.products.values().filter_map(|place| self.product(*place))
    }

    fn product(&self, (snapshot, at): Place) -> Option<&EndOfLife> {
        match &self.snapshots[snapshot].records {
            Records::EndOfLife(records) => records.get(at),
            _ => None,
        }
    }

    fn cycles_of(&self, vendor: Option<&str>, product: &str) -> Option<&EndOfLife> {
        let mut by_cpe = vendor.into_iter().flat_map(|vendor| keys(&Names::of(vendor, product)));
        if let Some(place) = by_cpe.find_map(|key| self.cycles_by_cpe.get(&key)?.first()) {
            return self.product(*place);
        }
        let names = Names::of(vendor.unwrap_or_default(), product);
        let with_vendor =
            names.vendors.iter().flat_map(|v| names.products.iter().map(move |p| format!("{v}{p}")));
        let mut spellings = with_vendor.chain(names.products.iter().cloned());
        spellings
            .find_map(|name| self.cycles_by_name.get(&name)?.first())
            .and_then(|place| self.product(*place))
    }

    fn index_affected(&self) -> Index<(CveId, usize)> {
        let mut index: Index<(CveId, usize)> = HashMap::new();
        for id in self.cve.keys() {
            for (at, entry) in
                self.cve(*id).map(|cve| cve.affected.as_slice()).unwrap_or_default().iter().enumerate()
            {
                let mut spellings: BTreeSet<String> =
                    keys(&Names::of(&entry.vendor, &entry.product)).into_iter().collect();
                for cpe in entry.cpes.iter().filter_map(|cpe| cpe.parse::<Cpe>().ok()) {
                    if let (Some(vendor), Some(product)) = (cpe.vendor.text(), cpe.product.text()) {
                        spellings.extend(keys(&Names::of(vendor, product)));
                    }
                }
                for spelling in spellings {
                    index.entry(spelling).or_default().push((*id, at));
                }
            }
        }
        index
    }

    /// Products with CPE names are known by them alone: `ios` without a vendor is two products.
    fn index_cycles(&self) -> (Index<Place>, Index<Place>) {
        let (mut by_cpe, mut by_name): (Index<Place>, Index<Place>) = Default::default();
        for place in self.products.values() {
            let Some(product) = self.product(*place) else { continue };
            for cpe in product.cpes.iter().filter_map(|cpe| cpe.parse::<Cpe>().ok()) {
                if let (Some(vendor), Some(name)) = (cpe.vendor.text(), cpe.product.text()) {
                    for key in keys(&Names::of(vendor, name)) {
                        by_cpe.entry(key).or_default().push(*place);
                    }
                }
            }
            if product.cpes.is_empty() && product.category != "device" {
                let names = [&product.name, &product.title].into_iter().chain(&product.aliases);
                let spellings: BTreeSet<String> =
                    names.flat_map(|name| Names::of("", name).products).collect();
                for spelling in spellings {
                    by_name.entry(spelling).or_default().push(*place);
                }
            }
        }
        (by_cpe, by_name)
    }
}

/// Index keys: every spelling of the vendor with every spelling of the product.
fn keys(names: &Names) -> Vec<String> {
    let both = |vendor: &String| {
        names.products.iter().map(move |product| format!("{vendor}\0{product}")).collect::<Vec<_>>()
    };
    names.vendors.iter().flat_map(both).collect()
}

fn decide<'a>(entries: &[&'a Affected], version: &str) -> (Status, Option<&'a Affected>) {
    let part = |entry: &Affected, part: &str| {
        !entry.cpes.is_empty()
            && entry.cpes.iter().all(|cpe| cpe.parse::<Cpe>().is_ok_and(|cpe| cpe.part.text() == Some(part)))
    };
    let is_firmware =
        |entry: &Affected| part(entry, "o") || entry.product.to_lowercase().ends_with("firmware");
    let firmware = entries.iter().any(|entry| is_firmware(entry));
    let mut affected = None;
    let mut unaffected = None;
    for entry in entries {
        // "All revisions of the hardware" beside a range of its firmware says nothing of versions.
        if firmware && !is_firmware(entry) && part(entry, "h") && entry.names_all() {
            continue;
        }
        match entry.status(version) {
            Status::Affected => affected = affected.or(Some(*entry)),
            Status::Unaffected => unaffected = unaffected.or(Some(*entry)),
            Status::Unknown => {}
        }
    }
    match (affected, unaffected) {
        (Some(entry), None) => (Status::Affected, Some(entry)),
        (None, Some(entry)) => (Status::Unaffected, Some(entry)),
        _ => (Status::Unknown, None),
    }
}
