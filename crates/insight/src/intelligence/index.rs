//! Lookups by CVE and by vendor and product.

mod decision;
mod document;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use kenshin_observation::DeviceKey;

pub use self::decision::Said;
use self::decision::{Voice, decide};
use self::document::{Documents, spellings};
use super::{
    AddressTable, Affected, Cve, CveId, EndOfLife, Epss, IntelligenceKind, Jvn, Kev, KnownKey, Names, Osv,
    Package, Records, Release, Snapshot, Status, Vendors,
};
use crate::component;
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
    keys: HashMap<DeviceKey, Place>,
    affected: Index<(CveId, usize)>,
    documents: Documents,
    jvn: BTreeMap<CveId, Place>,
    products: BTreeMap<String, Place>,
    cycles_by_cpe: Index<Place>,
    cycles_by_name: Index<Place>,
    pub(crate) components: component::Index,
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
    /// The document that the entry is of, when it is not the record's own.
    pub said: Option<Said<'a>>,
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
                Records::Keys(records) => {
                    let places =
                        records.iter().enumerate().map(|(at, record)| (record.key.clone(), (index, at)));
                    all.keys.extend(places);
                }
                Records::EndOfLife(records) => {
                    let places =
                        records.iter().enumerate().map(|(at, record)| (record.name.clone(), (index, at)));
                    all.products.extend(places);
                }
                Records::Jvn(records) => {
                    // Of several entries about one vulnerability the first that was made speaks.
                    for (at, record) in records.iter().enumerate().rev() {
                        all.jvn.extend(record.cves.iter().map(|cve| (*cve, (index, at))));
                    }
                }
                // Advisories and packages follow when all records are known; the others are not of
                // weaknesses: see `addresses` and `vendors`.
                Records::Csaf(_)
                | Records::Osv(_)
                | Records::Oui(_)
                | Records::Asn(_)
                | Records::Country(_)
                | Records::Sbom(_)
                | Records::ComponentList(_)
                | Records::KnownGood(_) => {}
            }
        }
        all.components = component::Index::new(&all.snapshots);
        all.affected = all.index_affected();
        all.documents = Documents::new(&all.snapshots, |cve| all.cve.contains_key(&cve));
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

    /// The published key that this one is, with the name of the snapshot that knows it.
    pub fn known_key(&self, key: &DeviceKey) -> Option<(&KnownKey, String)> {
        let (snapshot, at) = *self.keys.get(key)?;
        match &self.snapshots[snapshot].records {
            Records::Keys(records) => Some((records.get(at)?, self.snapshots[snapshot].name())),
            _ => None,
        }
    }

    /// The CVE record. A vulnerability that only advisories or packages speak of has one with its
    /// title alone.
    pub fn cve(&self, id: CveId) -> Option<&Cve> {
        let Some((snapshot, at)) = self.cve.get(&id).copied() else {
            return self.documents.unrecorded.get(&id);
        };
        match &self.snapshots[snapshot].records {
            Records::Cve(records) => records.get(at),
            _ => None,
        }
    }

    /// The entry of JVN iPedia about a vulnerability.
    pub fn jvn(&self, cve: CveId) -> Option<&Jvn> {
        let (snapshot, at) = *self.jvn.get(&cve)?;
        match &self.snapshots[snapshot].records {
            Records::Jvn(records) => records.get(at),
            _ => None,
        }
    }

    /// What OSV says of a package, by the name it has in an ecosystem (`crates.io`, `npm`,
    /// `OSS-Fuzz`): for packages known from a bill of materials. Withdrawn records say nothing.
    pub fn osv(&self, ecosystem: &str, name: &str) -> impl Iterator<Item = (&Osv, &Package)> {
        self.documents.of_package(&self.snapshots, ecosystem, name)
    }

    /// Name of the snapshot that holds a document.
    pub fn source_of(&self, said: Said<'_>) -> String {
        self.snapshots[said.snapshot].name()
    }

    /// Whom hardware addresses were assigned to.
    pub fn vendors(&self) -> Vendors {
        let lists = self.snapshots.iter().filter_map(|snapshot| match &snapshot.records {
            Records::Oui(records) => Some(records),
            _ => None,
        });
        Vendors::new(lists.flatten())
    }

    /// Name of the snapshot that a record of `kind` about `cve` comes from.
    pub fn source(&self, kind: IntelligenceKind, cve: CveId) -> Option<String> {
        let place = match kind {
            IntelligenceKind::Kev => self.kev.get(&cve),
            IntelligenceKind::Epss => self.epss.get(&cve),
            IntelligenceKind::Cve => self.cve.get(&cve),
            IntelligenceKind::Jvn => self.jvn.get(&cve),
            _ => None,
        };
        place.map(|(snapshot, _)| self.snapshots[*snapshot].name())
    }

    /// Name of the snapshot that a product's release cycles come from.
    pub fn source_of_cycles(&self, product: &EndOfLife) -> Option<String> {
        self.products.get(&product.name).map(|(snapshot, _)| self.snapshots[*snapshot].name())
    }

    /// Every vulnerability of which a record, an advisory or a package names this product, with what
    /// they say of `version`, by CVE.
    ///
    /// When the maker of the product states that the version is not affected or fixed, that is the
    /// answer. Otherwise it is *affected* when one entry says so and none says *unaffected*; where
    /// they contradict each other it is *unknown*.
    pub fn matches(&self, vendor: &str, product: &str, version: &str) -> Vec<Match<'_>> {
        let mut entries: BTreeSet<(CveId, usize)> = BTreeSet::new();
        for key in keys(&Names::of(vendor, product)) {
            entries.extend(self.affected.get(&key).into_iter().flatten());
        }
        let mut voices: BTreeMap<CveId, Vec<Voice<'_>>> = BTreeMap::new();
        for (id, at) in entries {
            if let Some(entry) = self.cve(id).and_then(|cve| cve.affected.get(at)) {
                voices.entry(id).or_default().push(Voice { entry, said: None });
            }
        }
        for (id, voice) in self.documents.of_product(&self.snapshots, vendor, product) {
            voices.entry(id).or_default().push(voice);
        }
        let found = voices.into_iter().filter_map(|(id, voices)| {
            let cve = self.cve(id)?;
            let (status, voice) = decide(&voices, version);
            let (entry, said) = (voice.map(|voice| voice.entry), voice.and_then(|voice| voice.said));
            Some(Match { cve, status, entry, said })
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

    pub(crate) fn cycles_of(&self, vendor: Option<&str>, product: &str) -> Option<&EndOfLife> {
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
                for spelling in spellings(entry) {
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
