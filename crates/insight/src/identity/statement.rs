//! What each match states, sorted by whom it is about: the device, the system of a computer, or a
//! software component.

use std::collections::BTreeMap;

use crate::fingerprint::{Match, Packs};

use super::cpe::{self, cpe23};
use super::name::{device_type, is_general_purpose, normal_product};
use super::sighting::{Field, Sighting};
use super::{hardware, plain};

/// Certainty of a shipped fingerprint that states none: its string was chosen to be telling.
const CERTAINTY_OWN: f64 = 1.0;

/// Certainty of an imported fingerprint that states none, as Recog's own tools assume.
const CERTAINTY_IMPORTED: f64 = 0.85;

/// What some fingerprints call a product and is only a protocol.
const NO_NAMES: &[&str] = &["http", "https", "httpd", "ftp", "ftpd", "ssh", "telnet", "smtp"];

/// Longest value kept, in bytes.
const VALUE_MAX: usize = 100;

/// An attribute of the device or of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Attribute {
    Vendor,
    /// Model of the hardware.
    Product,
    /// Firmware or operating system of its own; names the product where no model is known.
    System,
    Version,
    Type,
    Cpe,
}

/// A value and how sure the match is of it, 0 to 1.
#[derive(Debug, Clone)]
pub(super) struct Fact {
    pub(super) value: String,
    pub(super) sure: f64,
}

pub(super) type Facts = BTreeMap<Attribute, Fact>;

/// What one match states.
#[derive(Debug)]
pub(super) struct Statement {
    /// Which text: equal texts in one field share the number, because saying the same thing on
    /// two ports is not two witnesses.
    pub(super) text: usize,
    /// Precedence of the pack; lower wins.
    pub(super) rank: usize,
    /// Fingerprint, field and port, for the reason.
    pub(super) origin: String,
    /// About the device.
    pub(super) device: Facts,
    /// About a system that computers of every kind run.
    pub(super) computer: Facts,
    /// Software that shows.
    pub(super) components: Vec<Software>,
    /// It was never measured how often it is right alone: nothing is added to what it is sure of.
    pub(super) modest: bool,
}

/// A software component.
#[derive(Debug, Clone)]
pub(super) struct Software {
    pub(super) vendor: Option<String>,
    pub(super) product: Fact,
    pub(super) version: Option<String>,
    pub(super) cpe: Option<String>,
    pub(super) port: u16,
}

pub(super) fn statements(sightings: &[Sighting], packs: &Packs) -> Vec<Statement> {
    let mut out = Vec::new();
    let mut texts: Vec<(Field, &[u8])> = Vec::new();
    for sighting in sightings {
        let key = (sighting.field, sighting.text.as_slice());
        let text = texts.iter().position(|known| *known == key).unwrap_or_else(|| {
            texts.push(key);
            texts.len() - 1
        });
        let stated = match sighting.field {
            Field::HardwareAddress => hardware::maker(&sighting.text, packs.vendors())
                .map(|maker| (Attribute::Vendor, clean(&maker))),
            field => plain::stated(field, &sighting.text),
        };
        if let Some((attribute, value)) = stated {
            let sure = f64::from(sighting.field.trust()) / 100.0;
            // Behind every pack, which knows how a name is usually written.
            out.push(Statement {
                text,
                rank: packs.packs().len(),
                origin: format!("{}:{}", sighting.field.as_str(), sighting.port),
                device: Facts::from([(attribute, Fact { value, sure })]),
                computer: Facts::new(),
                components: Vec::new(),
                modest: sighting.field == Field::HardwareAddress,
            });
        }
        let forms = sighting.forms();
        for (rank, pack) in packs.packs().iter().enumerate() {
            // The first key and the most complete form that match say what there is to say.
            let found = sighting.field.keys().iter().find_map(|key| {
                let databases: Vec<_> = pack.databases_for(key).collect();
                forms.iter().find_map(|form| databases.iter().find_map(|database| database.first_match(form)))
            });
            if let Some(mut found) = found {
                found.pack = pack.name();
                out.push(statement(&found, sighting, text, rank));
            }
        }
    }
    out
}

fn statement(found: &Match<'_>, sighting: &Sighting, text: usize, rank: usize) -> Statement {
    let origin = format!("{} {}:{}", found.name(), sighting.field.as_str(), sighting.port);
    let default = if found.pack == "own" { CERTAINTY_OWN } else { CERTAINTY_IMPORTED };
    let trust = f64::from(sighting.field.trust()) / 100.0;
    let sure = |group| trust * found.certainty(group).map_or(default, f64::from);

    let mut device = Facts::new();
    let mut computer = Facts::new();
    let add = |facts: &mut Facts, attribute, value: Option<&str>, sure: f64| {
        let value = value.map(clean).filter(|value| !value.is_empty() && sure > 0.0);
        if let Some(value) = value {
            facts.entry(attribute).or_insert(Fact { value, sure });
        }
    };

    // Some imported fingerprints state the version that was current when they were written. Only
    // what the host itself shows is a version.
    let shown = String::from_utf8_lossy(&sighting.text).to_lowercase();
    let disclosed = |version: &str| shown.contains(&version.to_lowercase());
    let version = |name: &str| found.get(name).filter(|version| disclosed(version));
    let cpe = |name: &str| {
        let cpe = found.get(name).and_then(cpe23)?;
        Some(cpe::only_disclosed(&cpe, disclosed))
    };

    let hardware = sure("hw");
    let hw_cpe = cpe("hw.cpe23");
    add(&mut device, Attribute::Vendor, found.get("hw.vendor"), hardware);
    add(&mut device, Attribute::Product, found.get("hw.product"), hardware);

    let system = sure("os");
    let os_cpe = cpe("os.cpe23");
    let (vendor, product) = (found.get("os.vendor"), found.get("os.product"));
    // A version without a named system is that of the device's firmware.
    let facts = if is_general_purpose(vendor, product) { &mut computer } else { &mut device };
    add(facts, Attribute::Vendor, vendor, system);
    add(facts, Attribute::System, product, system);
    add(facts, Attribute::Version, version("os.version"), system);
    add(facts, Attribute::Cpe, os_cpe.as_deref(), system);
    add(&mut device, Attribute::Version, version("hw.version"), hardware);
    add(&mut device, Attribute::Cpe, hw_cpe.as_deref(), hardware);
    for (group, sure) in [("hw.device", hardware), ("os.device", system)] {
        let word = found.get(group).and_then(device_type);
        add(&mut device, Attribute::Type, word.map(|word| word.as_str()), sure);
    }

    let own_names: Vec<String> =
        ["hw.product", "os.product"].iter().filter_map(|name| found.get(name)).map(normal_product).collect();
    let mut components = Vec::new();
    for group in ["service", "service.component"] {
        let get = |name: &str| found.get(&format!("{group}.{name}"));
        let Some(product) = get("product").map(clean) else { continue };
        let sure = sure(group);
        let name = normal_product(&product);
        if sure > 0.0 && !own_names.contains(&name) && !NO_NAMES.contains(&name.as_str()) {
            components.push(Software {
                vendor: get("vendor").map(clean),
                product: Fact { value: product, sure },
                version: version(&format!("{group}.version")).map(clean),
                cpe: cpe(&format!("{group}.cpe23")),
                port: sighting.port,
            });
        }
    }
    Statement { text, rank, origin, device, computer, components, modest: false }
}

/// White space folded, control characters left out, cut: the value of a claim is one short line.
pub(super) fn clean(value: &str) -> String {
    let printable: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut out = printable.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut cut = out.len().min(VALUE_MAX);
    while !out.is_char_boundary(cut) {
        cut -= 1;
    }
    out.truncate(cut);
    out
}
