//! What one device carries.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use kenshin_observation::{Identity, words};
use serde::{Deserialize, Serialize};

use super::{Basis, Part, catalogue};
use crate::cpe::Cpe;
use crate::intelligence::{Intelligence, Status};

words!(
    /// How it is known that a device carries a component, the weakest first.
    Certainty, "certainty" {
        /// Its product family is said to contain it, or another version of its product does.
        Inferred = "inferred",
        /// A bill of materials, a list or an advisory says so of this product in this version.
        Known = "known",
        /// The device shows it.
        Visible = "visible",
    }
);

/// Percent that is left of a statement about a version that the device does not show.
const VERSION_UNSEEN: u32 = 70;

/// Percent that is left of a statement about another version of the product.
const VERSION_OTHER: u32 = 50;

/// Percent that is left of a statement about a whole family.
const WIDE: u32 = 70;

/// A component that a device carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// What it is counted under: equal for all spellings.
    pub key: String,
    /// Its name for people.
    pub name: String,
    /// Who makes it, when known.
    pub vendor: Option<String>,
    /// Version, or the phrase by which versions were stated; `None` when it is not known.
    pub version: Option<String>,
    /// CPE name, when known.
    pub cpe: Option<String>,
    /// Package URL, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purl: Option<String>,
    /// How it is known.
    pub certainty: Certainty,
    /// Percent, 0 to 100.
    pub confidence: u8,
    /// What it stands on; never empty.
    pub evidence: Vec<Ground>,
}

/// What one statement about a device's component stands on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum Ground {
    /// The device said so.
    Shown {
        /// Fingerprint, field and port.
        reason: String,
        /// Port of the service.
        port: u16,
        /// The bytes as text, unescaped; older assets do not have them.
        text: Option<String>,
    },
    /// Somebody says so of its product.
    Stated {
        /// What kind of document.
        basis: Basis,
        /// Which products it speaks of.
        family: String,
        /// The document, or its address.
        source: String,
        /// The snapshot that holds it.
        snapshot: String,
    },
}

/// A device's maker, product and version, as knowledge about products is looked up.
pub(super) type Device = (Vec<(String, String)>, Option<String>, u8);

/// Tells what devices carry, and remembers what is known of each product.
#[derive(Debug)]
pub(super) struct Contents<'a> {
    intelligence: &'a Intelligence,
    products: HashMap<Device, Arc<Vec<Carried>>>,
}

/// What a device of this identity carries, the surest statement about each component and version.
pub fn carried(identity: &Identity, intelligence: &Intelligence) -> Vec<Carried> {
    Contents::new(intelligence).of(identity)
}

impl Carried {
    /// The component as it is asked about.
    pub fn part(&self) -> Part {
        Part {
            name: self.name.clone(),
            vendor: self.vendor.clone(),
            version: self.version.clone(),
            cpe: self.cpe.clone(),
            purl: self.purl.clone(),
        }
    }

    /// Vendor and product under which vulnerabilities of it are recorded, in every way that is known.
    pub(super) fn recorded_as(&self) -> Vec<(String, String)> {
        let catalogued = catalogue::known(&self.name, self.cpe.as_deref());
        let mut names: Vec<(String, String)> = catalogued
            .iter()
            .flat_map(|known| known.cpes)
            .map(|(vendor, product)| ((*vendor).to_owned(), (*product).to_owned()))
            .collect();
        names.extend(self.vendor.clone().map(|vendor| (vendor, self.name.clone())));
        let cpe: Option<Cpe> = self.cpe.as_ref().and_then(|cpe| cpe.parse().ok());
        names.extend(
            cpe.and_then(|cpe| Some((cpe.vendor.text()?.to_owned(), cpe.product.text()?.to_owned()))),
        );
        names
    }
}

impl<'a> Contents<'a> {
    pub(super) fn new(intelligence: &'a Intelligence) -> Self {
        Self { intelligence, products: HashMap::new() }
    }

    pub(super) fn of(&mut self, identity: &Identity) -> Vec<Carried> {
        let mut all: BTreeMap<(String, Option<String>), Carried> = BTreeMap::new();
        for component in &identity.components {
            let key = catalogue::key(&component.product.value, component.cpe.as_deref());
            if key.is_empty() {
                continue;
            }
            let known = catalogue::known(&component.product.value, component.cpe.as_deref());
            let carried = Carried {
                key,
                name: known.map_or(component.product.value.clone(), |known| known.name.to_owned()),
                vendor: known.map(|known| known.maker.to_owned()).or_else(|| component.vendor.clone()),
                version: component.version.clone(),
                cpe: component.cpe.clone(),
                purl: None,
                certainty: Certainty::Visible,
                confidence: component.product.confidence,
                evidence: vec![Ground::Shown {
                    reason: component.product.reason.clone(),
                    port: component.port,
                    text: component.shown.clone(),
                }],
            };
            keep(&mut all, carried);
        }
        if let Some(device) = device(identity) {
            let stated = match self.products.get(&device) {
                Some(stated) => Arc::clone(stated),
                None => {
                    let stated = Arc::new(stated(&device, self.intelligence));
                    self.products.insert(device, Arc::clone(&stated));
                    stated
                }
            };
            for carried in stated.iter() {
                keep(&mut all, carried.clone());
            }
        }
        all.into_values().collect()
    }
}

/// Of two statements about one component and version the surer one is kept, with the grounds of both.
fn keep(all: &mut BTreeMap<(String, Option<String>), Carried>, carried: Carried) {
    match all.get_mut(&(carried.key.clone(), carried.version.clone())) {
        None => {
            all.insert((carried.key.clone(), carried.version.clone()), carried);
        }
        Some(held) => {
            let surer = (carried.certainty, carried.confidence) > (held.certainty, held.confidence);
            let (mut best, other) = if surer { (carried, held.clone()) } else { (held.clone(), carried) };
            let more = other.evidence.into_iter().filter(|ground| !best.evidence.contains(ground));
            best.evidence.extend(more.collect::<Vec<_>>());
            best.purl = best.purl.or(other.purl);
            *held = best;
        }
    }
}

/// A device as its identity states it: its names, its version, and how sure that is, in percent.
pub(super) fn device(identity: &Identity) -> Option<Device> {
    let mut names = Vec::new();
    let mut confidence = 100;
    if let (Some(vendor), Some(product)) = (&identity.vendor, &identity.product) {
        names.push((vendor.value.clone(), product.value.clone()));
        confidence = confidence.min(vendor.confidence).min(product.confidence);
    }
    let cpe =
        identity.cpe.as_ref().and_then(|claim| Some((claim.confidence, claim.value.parse::<Cpe>().ok()?)));
    if let Some((sure, cpe)) = &cpe
        && let (Some(vendor), Some(product)) = (cpe.vendor.text(), cpe.product.text())
    {
        names.push((vendor.to_owned(), product.to_owned()));
        confidence = confidence.min(*sure);
    }
    let version = identity.version.as_ref().map(|claim| claim.value.clone());
    (!names.is_empty()).then_some((names, version, confidence))
}

fn stated((names, version, sure): &Device, intelligence: &Intelligence) -> Vec<Carried> {
    let mut all = BTreeMap::new();
    for (contains, snapshot) in intelligence.contents(names) {
        let (certainty, share) = match contains.family.includes(version.as_deref()) {
            Status::Affected if contains.family.is_wide() => (Certainty::Inferred, WIDE),
            // Of a whole without versions an advisory means some build.
            Status::Affected if contains.basis == Basis::Csaf && contains.family.versions.is_none() => {
                (Certainty::Inferred, WIDE)
            }
            Status::Affected => (Certainty::Known, 100),
            Status::Unknown => (Certainty::Inferred, VERSION_UNSEEN),
            // A list that names versions means these alone; a bill of materials is of one build, and
            // those before and after it are made of much the same.
            Status::Unaffected if contains.basis == Basis::Sbom => (Certainty::Inferred, VERSION_OTHER),
            Status::Unaffected => continue,
        };
        let confidence = u32::from(contains.confidence.min(100)) * share * u32::from(*sure) / 10_000;
        let key = contains.part.key();
        if key.is_empty() || confidence == 0 {
            continue;
        }
        let known = catalogue::known(&contains.part.name, contains.part.cpe.as_deref());
        let carried = Carried {
            key,
            name: known.map_or(contains.part.name.clone(), |known| known.name.to_owned()),
            vendor: known.map(|known| known.maker.to_owned()).or_else(|| contains.part.vendor.clone()),
            // Another build of the product may contain another version of the component.
            version: contains.part.version.clone().filter(|_| certainty == Certainty::Known),
            cpe: contains.part.cpe.clone(),
            purl: contains.part.purl.clone(),
            certainty,
            confidence: u8::try_from(confidence).unwrap_or(100),
            evidence: vec![Ground::Stated {
                basis: contains.basis,
                family: contains.family.to_string(),
                source: contains.source.clone(),
                snapshot: snapshot.name(),
            }],
        };
        keep(&mut all, carried);
    }
    all.into_values().collect()
}
