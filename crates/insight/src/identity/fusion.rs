//! From many statements to one identity.

use std::collections::{BTreeMap, BTreeSet};

use kenshin_observation::{Claim, Component, DeviceType, Identity};

use super::THRESHOLD;
use super::cpe;
use super::name::{normal_product, normal_vendor};
use super::statement::{Attribute, Fact, Facts, Software, Statement};

/// However many witnesses agree, they may share one mistake.
const SURE_MAX: f64 = 0.99;

/// What is left of the doubt in a claim that nothing contradicts. How far a field is trusted weighs
/// voices against each other; a voice that stands alone is wrong less often than that, on labelled
/// banners about a fifth as often (`docs/insight.md`).
const UNCONTRADICTED: f64 = 0.2;

/// How far a system of computers tells that the host is a computer and not a device built on it.
const COMPUTER: f64 = 0.8;

/// Origins named in one reason.
const ORIGINS_MAX: usize = 4;

pub(super) fn fuse(statements: &[Statement]) -> Identity {
    let mut identity = device(statements);
    if statements.iter().all(|statement| statement.device.is_empty()) {
        identity = computer(statements);
    }
    identity.components = components(statements, &identity);
    identity
}

fn device(statements: &[Statement]) -> Identity {
    let all: Vec<Voice<'_>> =
        statements.iter().map(|statement| Voice::new(statement, &statement.device)).collect();
    let vendor = choose(&all, Attribute::Vendor, normal_vendor, equal);
    // Once the maker is known, who speaks of another maker is not asked about the model.
    let of_maker: Vec<Voice<'_>> = all
        .iter()
        .copied()
        .filter(|voice| match (&vendor, voice.facts.get(&Attribute::Vendor)) {
            (Some(vendor), Some(fact)) => normal_vendor(&vendor.value) == normal_vendor(&fact.value),
            _ => true,
        })
        .collect();
    let model = choose(&of_maker, Attribute::Product, normal_product, related);
    // A model runs a system of another name; only where the system is the product does it compete.
    let naming = if model.is_some() { Attribute::Product } else { Attribute::System };
    let product = model.or_else(|| choose(&of_maker, Attribute::System, normal_product, related));
    let of_product: Vec<Voice<'_>> = of_maker
        .iter()
        .copied()
        .filter(|voice| match (&product, voice.facts.get(&naming)) {
            (Some(product), Some(name)) => {
                related(&normal_product(&name.value), &normal_product(&product.value))
            }
            _ => true,
        })
        .collect();
    // A version of we do not know what says nothing, nor does a name by a maker in doubt.
    let version = choose(&of_product, Attribute::Version, str::to_owned, equal).filter(|_| product.is_some());
    Identity {
        device_type: choose(&of_maker, Attribute::Type, str::to_owned, equal),
        cpe: vendor.as_ref().and_then(|_| choose_cpe(&of_product, version.as_ref())),
        vendor,
        product,
        version,
        components: Vec::new(),
    }
}

/// A host that shows nothing of a device, but the system of a computer.
fn computer(statements: &[Statement]) -> Identity {
    let voices: Vec<Voice<'_>> =
        statements.iter().map(|statement| Voice::new(statement, &statement.computer)).collect();
    let vendor = choose(&voices, Attribute::Vendor, normal_vendor, equal);
    let product = choose(&voices, Attribute::System, normal_product, equal);
    let version = choose(&voices, Attribute::Version, str::to_owned, equal).filter(|_| product.is_some());
    let device_type = product.as_ref().or(vendor.as_ref()).and_then(|claim| {
        let confidence = percent(f64::from(claim.confidence) / 100.0 * COMPUTER);
        let value = DeviceType::Server.to_string();
        (confidence >= THRESHOLD).then(|| Claim { value, confidence, reason: claim.reason.clone() })
    });
    let cpe = product.as_ref().and_then(|_| choose_cpe(&voices, version.as_ref()));
    Identity { vendor, product, version, device_type, cpe, components: Vec::new() }
}

/// One statement heard about one subject.
#[derive(Clone, Copy)]
struct Voice<'s> {
    statement: &'s Statement,
    facts: &'s Facts,
}

impl<'s> Voice<'s> {
    fn new(statement: &'s Statement, facts: &'s Facts) -> Self {
        Self { statement, facts }
    }
}

/// Everything heard for one value.
struct Candidate<'s> {
    normal: String,
    /// As the pack of highest precedence, then the surest, writes it.
    best: (usize, &'s Fact),
    /// How sure each text makes it.
    by_text: BTreeMap<usize, f64>,
    origins: Vec<&'s str>,
    /// Every one of its witnesses is modest.
    modest: bool,
}

impl Candidate<'_> {
    /// The chance that not all of its witnesses are wrong.
    fn sure(&self) -> f64 {
        (1.0 - self.by_text.values().map(|sure| 1.0 - sure).product::<f64>()).min(SURE_MAX)
    }
}

/// The value most sure of, when it is sure enough in spite of those that contradict it.
fn choose(
    voices: &[Voice<'_>],
    attribute: Attribute,
    normal: impl Fn(&str) -> String,
    compatible: impl Fn(&str, &str) -> bool,
) -> Option<Claim> {
    let candidates = candidates(voices, attribute, normal);
    let strongest = candidates.iter().max_by(|a, b| {
        a.sure().total_cmp(&b.sure()).then(b.best.0.cmp(&a.best.0)).then(b.normal.cmp(&a.normal))
    })?;
    // `ReadyNAS` and `ReadyNAS 102` agree; the more telling name is the answer if it stands alone.
    let telling = candidates.iter().filter(|other| {
        other.normal.len() > strongest.normal.len()
            && compatible(&other.normal, &strongest.normal)
            && percent(other.sure()) >= THRESHOLD
    });
    let chosen = telling.max_by(|a, b| a.sure().total_cmp(&b.sure())).unwrap_or(strongest);
    let against = candidates.iter().filter(|other| !compatible(&other.normal, &chosen.normal));
    let against = against.max_by(|a, b| a.sure().total_cmp(&b.sure()));

    // At most one of the two is right; each speaks for itself and against the other.
    let (sure, doubt) = (chosen.sure(), against.map_or(0.0, Candidate::sure));
    let right = sure * (1.0 - doubt);
    let likely = right / (right + doubt * (1.0 - sure) + (1.0 - sure) * (1.0 - doubt));
    let alone = against.is_none() && !chosen.modest;
    let confidence = if alone { uncontradicted(sure) } else { percent(likely) };
    (percent(likely) >= THRESHOLD).then(|| Claim {
        value: chosen.best.1.value.clone(),
        confidence,
        reason: reason(chosen, against),
    })
}

fn candidates<'s>(
    voices: &[Voice<'s>],
    attribute: Attribute,
    normal: impl Fn(&str) -> String,
) -> Vec<Candidate<'s>> {
    // Of one text, the pack of highest precedence that has something to say is heard.
    let mut heard: BTreeMap<usize, usize> = BTreeMap::new();
    for voice in voices.iter().filter(|voice| voice.facts.contains_key(&attribute)) {
        let rank = heard.entry(voice.statement.text).or_insert(voice.statement.rank);
        *rank = voice.statement.rank.min(*rank);
    }
    let mut candidates: Vec<Candidate<'s>> = Vec::new();
    for voice in voices {
        let statement = voice.statement;
        let Some(fact) = voice.facts.get(&attribute) else { continue };
        if heard.get(&statement.text) != Some(&statement.rank) {
            continue;
        }
        let name = normal(&fact.value);
        let index = candidates.iter().position(|held| held.normal == name).unwrap_or_else(|| {
            candidates.push(Candidate {
                normal: name,
                best: (statement.rank, fact),
                by_text: BTreeMap::new(),
                origins: Vec::new(),
                modest: true,
            });
            candidates.len() - 1
        });
        let candidate = &mut candidates[index];
        let sure = candidate.by_text.entry(statement.text).or_insert(0.0);
        *sure = sure.max(fact.sure);
        candidate.origins.push(&statement.origin);
        candidate.modest &= statement.modest;
        let (rank, best) = candidate.best;
        if statement.rank < rank || (statement.rank == rank && fact.sure > best.sure) {
            candidate.best = (statement.rank, fact);
        }
    }
    candidates
}

/// The CPE most sure of, with the version claimed where it leaves the version open.
fn choose_cpe(voices: &[Voice<'_>], version: Option<&Claim>) -> Option<Claim> {
    let mut claim = choose(voices, Attribute::Cpe, str::to_owned, cpe::same_product)?;
    if let Some(version) = version {
        claim.value = cpe::with_version(&claim.value, &version.value);
    }
    Some(claim)
}

fn components(statements: &[Statement], identity: &Identity) -> Vec<Component> {
    let mut ranks: BTreeMap<(usize, u16), usize> = BTreeMap::new();
    for statement in statements {
        for software in &statement.components {
            let rank = ranks.entry((statement.text, software.port)).or_insert(statement.rank);
            *rank = statement.rank.min(*rank);
        }
    }
    let product = identity.product.as_ref().map(|claim| normal_product(&claim.value));
    let mut seen: BTreeSet<(u16, String, Option<String>)> = BTreeSet::new();
    let mut out: Vec<Component> = Vec::new();
    let mut heard: Vec<(&Statement, &Software)> = statements
        .iter()
        .flat_map(|statement| statement.components.iter().map(move |software| (statement, software)))
        .filter(|(statement, software)| ranks.get(&(statement.text, software.port)) == Some(&statement.rank))
        .collect();
    // Those that disclose a version first, so that the same product without one adds nothing.
    heard.sort_by_key(|(_, software)| software.version.is_none());
    for (statement, software) in heard {
        let name = normal_product(&software.product.value);
        let sure = software.product.sure.min(SURE_MAX);
        let known_better = software.version.is_none()
            && out
                .iter()
                .any(|held| held.port == software.port && normal_product(&held.product.value) == name);
        if Some(&name) == product.as_ref() || known_better || percent(sure) < THRESHOLD {
            continue;
        }
        if seen.insert((software.port, name, software.version.clone())) {
            out.push(Component {
                vendor: software.vendor.clone(),
                product: Claim {
                    value: software.product.value.clone(),
                    confidence: uncontradicted(sure),
                    reason: statement.origin.clone(),
                },
                version: software.version.clone(),
                cpe: software.cpe.clone(),
                port: software.port,
                shown: None,
            });
        }
    }
    out.sort_by(|a, b| (a.port, &a.product.value).cmp(&(b.port, &b.product.value)));
    out
}

fn reason(chosen: &Candidate<'_>, against: Option<&Candidate<'_>>) -> String {
    let mut origins: Vec<&str> = Vec::new();
    for origin in &chosen.origins {
        if origins.len() < ORIGINS_MAX && !origins.contains(origin) {
            origins.push(origin);
        }
    }
    let mut reason = origins.join(", ");
    if let Some(other) = against {
        let origin = other.origins.first().copied().unwrap_or_default();
        reason.push_str(&format!("; against `{}`: {origin}", other.best.1.value));
    }
    reason
}

fn equal(a: &str, b: &str) -> bool {
    a == b
}

/// Equal, or one is a more telling form of the other.
fn related(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    a == b || (short.len() >= 3 && long.contains(short))
}

fn uncontradicted(sure: f64) -> u8 {
    percent((1.0 - (1.0 - sure) * UNCONTRADICTED).min(SURE_MAX))
}

fn percent(sure: f64) -> u8 {
    // Between 0 and 100 by construction.
    (sure.clamp(0.0, 1.0) * 100.0).round() as u8
}
