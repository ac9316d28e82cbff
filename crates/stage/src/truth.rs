//! The answer key: what is there, and what of it can be known from outside.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use kenshin_observation::{Condition, FindingKind, Remedy, TimeUs};
use serde::{Deserialize, Serialize};

use crate::device::{Device, remedy_for};
use crate::evolution::Event;
use crate::model::{Attribute, KeyPolicy};
use crate::town::{Round, Town};

/// Version of the format.
const SCHEMA: u32 = 1;

/// The answer key of a town. Only the demo's score and tests read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truth {
    /// Format version.
    pub schema: u32,
    /// Seed of the town.
    pub seed: u64,
    /// One entry a round.
    pub rounds: Vec<TruthRound>,
}

/// What is true in one round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TruthRound {
    /// Number, from 1.
    pub number: u32,
    /// When it is.
    pub time: TimeUs,
    /// Devices that answer at addresses a survey of the whole town covers.
    pub devices: Vec<TruthDevice>,
    /// Addresses of hostile hosts: no finding, nothing to know.
    pub nuisances: Vec<Ipv4Addr>,
    /// Addresses inside the survey where every port is silent.
    pub dark: Vec<Ipv4Addr>,
    /// What a re-check can know of each weakness found in an earlier round.
    pub cases: Vec<TruthCase>,
    /// What happened since the round before.
    pub events: Vec<Event>,
}

/// A device and what can be known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TruthDevice {
    /// Number that follows the device through the rounds.
    pub id: u32,
    /// Where it is.
    pub address: Ipv4Addr,
    /// Name of the provider that declares the address.
    pub provider: Option<String>,
    /// Name of its model.
    pub kind: String,
    /// What it is as far as its services tell; empty where the right answer is unknown.
    pub identity: KnowableIdentity,
    /// Town ports that answer, ascending.
    pub open_ports: Vec<u16>,
    /// A key identifies it alone.
    pub own_key: bool,
    /// Its weaknesses.
    pub findings: Vec<TruthFinding>,
}

/// Identity as far as it is shown. Nothing set means that the right answer is unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnowableIdentity {
    /// Maker.
    pub vendor: Option<String>,
    /// Product.
    pub product: Option<String>,
    /// Version.
    pub version: Option<String>,
    /// Device type.
    pub device_type: Option<String>,
}

/// Why something that is true cannot be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unknowable {
    /// No service tells which product it is.
    ProductUnknown,
    /// The product is told, its version is not.
    VersionNotShown,
}

/// A weakness of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TruthFinding {
    /// What is wrong.
    pub kind: FindingKind,
    /// What the owner must do.
    pub remedy: Remedy,
    /// Lowest town port where it shows.
    pub port: u16,
    /// Every town port where it shows: a finding of the kind at any of them meets it, and one
    /// at each is right too.
    pub ports: Vec<u16>,
    /// It can be known from outside; otherwise a finding of it is not expected.
    pub knowable: bool,
    /// Why not.
    pub reason: Option<Unknowable>,
}

/// What a re-check can know of a weakness found in an earlier round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TruthCase {
    /// Round in which it was found first.
    pub found: u32,
    /// Device.
    pub device: u32,
    /// Where it was found.
    pub address: Ipv4Addr,
    /// Name of the provider that declares the address; without one nobody is told.
    pub provider: Option<String>,
    /// What the owner was to do.
    pub remedy: Remedy,
    /// Lowest town port where it was found.
    pub port: u16,
    /// Every town port where it was found.
    pub ports: Vec<u16>,
    /// What a re-check that covers all declared pools says.
    pub condition: Condition,
    /// Other answers that are as right, where the case's services fared differently.
    pub alternatives: Vec<Condition>,
    /// Where the asset is now, when elsewhere.
    pub address_now: Option<Ipv4Addr>,
    /// When elsewhere: the weakness is still there.
    pub still_affected: Option<bool>,
}

/// The first sight of a weakness: the immutable subject of a case.
#[derive(Debug, Clone)]
struct Subject {
    found: u32,
    device: u32,
    address: Ipv4Addr,
    own_key: bool,
    remedy: Remedy,
    /// Nominal ports.
    ports: Vec<u16>,
}

impl Truth {
    pub(crate) fn of(town: &Town, rounds: u32) -> Self {
        let mut subjects: BTreeMap<(u32, Option<Ipv4Addr>, Remedy), Subject> = BTreeMap::new();
        let mut out = Vec::new();
        for number in 1..=rounds {
            let round = town.round(number);
            let cases = subjects.values().map(|s| case(town, round, s)).collect();
            let covered: Vec<&Device> =
                round.devices.iter().filter(|d| !d.dark && town.covers(d.address)).collect();
            for device in &covered {
                for subject in subjects_of(number, device) {
                    // Keys link a device that moved to its earlier case; without one it is a
                    // stranger at its new address.
                    let place = (!subject.own_key).then_some(subject.address);
                    subjects.entry((device.id, place, subject.remedy)).or_insert(subject);
                }
            }
            out.push(TruthRound {
                number,
                time: round.time,
                devices: covered.into_iter().map(|d| truth_device(town, d)).collect(),
                nuisances: town.nuisances.keys().copied().collect(),
                dark: dark(town, round),
                cases,
                events: round.events.clone(),
            });
        }
        Self { schema: SCHEMA, seed: town.config().seed, rounds: out }
    }
}

fn dark(town: &Town, round: &Round) -> Vec<Ipv4Addr> {
    let mut dark: Vec<Ipv4Addr> = round.devices.iter().filter(|d| d.dark).map(|d| d.address).collect();
    dark.extend(&round.abandoned);
    dark.retain(|a| town.covers(*a));
    dark.sort_unstable();
    dark
}

fn provider_name(town: &Town, address: Ipv4Addr) -> Option<String> {
    town.provider_of(address).map(|i| town.providers()[i].name.to_owned())
}

fn town_ports(ports: &[u16]) -> Vec<u16> {
    let mut ports: Vec<u16> = ports.iter().map(|p| Town::port(*p)).collect();
    ports.sort_unstable();
    ports
}

fn truth_device(town: &Town, device: &Device) -> TruthDevice {
    let shown = device.shown();
    let show = |attribute, value: Option<String>| if shown.contains(&attribute) { value } else { None };
    let open: Vec<u16> = device.open_services().map(|(_, s)| s.port).collect();
    let findings = device
        .weaknesses()
        .into_iter()
        .map(|w| {
            let ports = town_ports(&w.ports);
            TruthFinding {
                kind: w.kind,
                remedy: remedy_for(w.kind),
                port: ports[0],
                ports,
                knowable: w.hidden.is_none(),
                reason: w.hidden,
            }
        })
        .collect();
    TruthDevice {
        id: device.id,
        address: device.address,
        provider: provider_name(town, device.address),
        kind: device.model.kind.clone(),
        identity: KnowableIdentity {
            vendor: show(Attribute::Vendor, device.model.vendor.clone()),
            product: show(Attribute::Product, device.model.product.clone()),
            version: show(Attribute::Version, Some(device.firmware().version.clone())),
            device_type: show(Attribute::Type, Some(device.model.device_type.to_string())),
        },
        open_ports: town_ports(&open),
        own_key: device.shows_own_key(),
        findings,
    }
}

/// Knowable weaknesses of a device, one subject for each remedy.
fn subjects_of(found: u32, device: &Device) -> Vec<Subject> {
    let mut by_remedy: BTreeMap<Remedy, Vec<u16>> = BTreeMap::new();
    for weakness in device.weaknesses().into_iter().filter(|w| w.hidden.is_none()) {
        by_remedy.entry(remedy_for(weakness.kind)).or_default().extend(weakness.ports);
    }
    by_remedy
        .into_iter()
        .map(|(remedy, mut ports)| {
            ports.sort_unstable();
            ports.dedup();
            let own_key = device.model.keys == KeyPolicy::Unique && device.shows_own_key();
            Subject { found, device: device.id, address: device.address, own_key, remedy, ports }
        })
        .collect()
}

/// What a re-check covering every declared pool can know, by the rules of judging.
fn case(town: &Town, round: &Round, subject: &Subject) -> TruthCase {
    let provider = town.provider_of(subject.address);
    let device = round.devices.iter().find(|d| d.id == subject.device && !d.dark);
    let mut verdict = Verdict { condition: Condition::Unobservable, ..Verdict::default() };
    match device {
        Some(device) if device.address == subject.address => verdict = at_home(device, subject),
        Some(device)
            if subject.own_key && device.shows_own_key() && town.provider_of(device.address).is_some() =>
        {
            verdict = Verdict {
                condition: Condition::Elsewhere,
                address_now: Some(device.address),
                still_affected: Some(affected(device, subject.remedy)),
                ..Verdict::default()
            };
        }
        _ => {
            let successor =
                round.devices.iter().find(|d| d.address == subject.address && d.id != subject.device);
            let differs = successor.is_some_and(Device::shows_own_key);
            if subject.own_key && differs && provider.is_some() {
                verdict.condition = Condition::Replaced;
            }
        }
    }
    let ports = town_ports(&subject.ports);
    TruthCase {
        found: subject.found,
        device: subject.device,
        address: subject.address,
        provider: provider_name(town, subject.address),
        remedy: subject.remedy,
        port: ports[0],
        ports,
        condition: verdict.condition,
        alternatives: verdict.alternatives,
        address_now: verdict.address_now,
        still_affected: verdict.still_affected,
    }
}

struct Verdict {
    condition: Condition,
    alternatives: Vec<Condition>,
    address_now: Option<Ipv4Addr>,
    still_affected: Option<bool>,
}

impl Default for Verdict {
    fn default() -> Self {
        Self {
            condition: Condition::Unobservable,
            alternatives: Vec::new(),
            address_now: None,
            still_affected: None,
        }
    }
}

fn affected(device: &Device, remedy: Remedy) -> bool {
    device.weaknesses().iter().any(|w| w.hidden.is_none() && remedy_for(w.kind) == remedy)
}

/// The same device answers at the same address.
fn at_home(device: &Device, subject: &Subject) -> Verdict {
    let open = |port: &u16| device.open_services().any(|(_, s)| s.port == *port);
    let (still, gone): (Vec<u16>, Vec<u16>) = subject.ports.iter().partition(|p| open(p));
    let (condition, alternatives) =
        match (affected(device, subject.remedy), still.is_empty(), gone.is_empty()) {
            (true, ..) => (Condition::Affected, vec![]),
            (false, true, _) => (Condition::ServiceGone, vec![]),
            (false, false, true) => (Condition::Clean, vec![]),
            (false, false, false) => (Condition::Clean, vec![Condition::ServiceGone]),
        };
    Verdict { condition, alternatives, ..Verdict::default() }
}
