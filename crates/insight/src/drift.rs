//! Pages that differ from what every other device of the model and version shows: code that somebody
//! altered after, or while, the maker built it.
//!
//! [`Learner`] looks at all devices of one round and learns which parts of a page are the same on
//! every device of one model, version and path: those parts are static. What a device shows for itself
//! (its name, its serial number, its clock) differs from device to device, so the part that holds it is
//! not static and says nothing. An operator who has known-good pages states them instead
//! ([`KnownGood`]). [`Baselines::altered`] then says in which static parts one device differs.
//!
//! It abstains far more often than it speaks: when the maker, the model or the version is not sure,
//! when fewer than [`SAMPLE_MIN`] devices were seen, when another part says that it is another build or
//! another product, and when several devices share the difference, which is how translations and
//! regional builds look.
//!
//! ```
//! use kenshin_insight::{drift::Learner, intelligence::Intelligence};
//! use kenshin_observation::{AssetId, Identity, TimeUs};
//! let asset = AssetId::new(TimeUs::from_secs(1_800_000_000), 1);
//! let mut learner = Learner::default();
//! learner.add(&Identity::default(), &[]);
//! let nothing = Intelligence::default();
//! let baselines = learner.finish(&nothing);
//! assert!(baselines.altered(asset, &Identity::default(), &[]).is_empty());
//! ```

mod again;
pub(crate) mod known_good;

use std::collections::{BTreeMap, BTreeSet};

use kenshin_observation::protocol::Http;
use kenshin_observation::{
    AssetId, Claim, Finding, FindingKind, Identity, Observation, Outcome, Remedy, Severity, words,
};

use crate::decoy::of_devices;
use crate::finding::{Draft, by_port, evidence};
use crate::identity::{normal_product, normal_vendor};
use crate::intelligence::Intelligence;

pub use known_good::KnownGood;

/// Devices of one model, version and path that must have been seen before a part counts as static.
pub const SAMPLE_MIN: u32 = 30;

/// Percent of them that must show the same.
const AGREE_MIN: u32 = 95;

/// Devices that share a difference from which it is taken for a variant, not for an alteration.
const VARIANT_MIN: u32 = 3;

/// Percent of confidence in vendor, product and version from which a device counts.
const SURE: u8 = 80;

/// Values remembered of one part; a part with more is not static anyhow.
const VALUES_MAX: usize = 32;

/// Models, versions and paths learned at most.
const PAGES_MAX: usize = 200_000;

words!(
    /// A part of a page.
    Part, "part of a page" {
        /// The body as far as it is read, by digest.
        Body = "body",
        /// The icon, by digest.
        Icon = "icon",
        /// The title.
        Title = "title",
        /// The `Server` header.
        Server = "server",
        /// The `Content-Type` header.
        ContentType = "content-type",
        /// Names of the cookies.
        Cookies = "cookies",
    }
);

impl Part {
    /// What somebody who alters code alters. The others tell builds and configurations apart.
    const fn is_content(self) -> bool {
        matches!(self, Self::Body | Self::Icon | Self::Title)
    }
}

/// One page of one model in one version: where it is, and how it was answered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Page {
    vendor: String,
    product: String,
    version: String,
    path: String,
    status: i32,
}

/// How many devices showed each value of a part.
#[derive(Debug, Default)]
struct Tally {
    devices: u32,
    values: BTreeMap<String, u32>,
    /// More values than are remembered.
    varies: bool,
}

/// Learns from the devices of one round.
#[derive(Debug, Default)]
pub struct Learner {
    pages: BTreeMap<Page, BTreeMap<Part, Tally>>,
}

/// What the static parts of each page look like.
#[derive(Debug)]
pub struct Baselines<'a> {
    pages: BTreeMap<Page, BTreeMap<Part, Tally>>,
    known_good: Vec<(&'a KnownGood, String)>,
}

/// What a device should show.
enum Good<'a> {
    /// What this many of so many devices show.
    Learned { value: &'a str, agree: u32, devices: u32 },
    /// What the operator, or the maker, says.
    Stated(&'a BTreeSet<String>),
}

impl Learner {
    /// Learns the pages that one device showed.
    pub fn add(&mut self, identity: &Identity, observations: &[&Observation]) {
        let Some(model) = model(identity) else { return };
        // A page that a device shows on two ports is one witness.
        let mut seen: BTreeSet<Page> = BTreeSet::new();
        for (_, http) in pages(&of_devices(observations)) {
            let page = page(&model, http);
            if !seen.insert(page.clone())
                || (self.pages.len() == PAGES_MAX && !self.pages.contains_key(&page))
            {
                continue;
            }
            let tallies = self.pages.entry(page).or_default();
            for part in Part::ALL {
                tallies.entry(*part).or_default().count(value(*part, http));
            }
        }
    }

    /// What was learned, and what `intelligence` states as known-good.
    pub fn finish(self, intelligence: &Intelligence) -> Baselines<'_> {
        Baselines { pages: self.pages, known_good: intelligence.known_good() }
    }
}

impl Tally {
    fn count(&mut self, value: String) {
        self.devices += 1;
        if self.values.len() < VALUES_MAX || self.values.contains_key(&value) {
            *self.values.entry(value).or_default() += 1;
        } else {
            self.varies = true;
        }
    }

    /// The value that all but a few show, when enough were seen.
    fn common(&self) -> Option<(&str, u32)> {
        let (value, agree) = self.values.iter().max_by_key(|(_, count)| **count)?;
        let enough = self.devices >= SAMPLE_MIN && !self.varies;
        (enough && agree * 100 >= self.devices * AGREE_MIN).then_some((value, *agree))
    }
}

impl Baselines<'_> {
    /// Pages of one device that differ from what is known of its model and version.
    pub fn altered(
        &self,
        asset_id: AssetId,
        identity: &Identity,
        observations: &[&Observation],
    ) -> Vec<Finding> {
        let Some(model) = model(identity) else { return Vec::new() };
        let mut found = BTreeMap::new();
        for (observation, http) in pages(&of_devices(observations)) {
            let page = page(&model, http);
            let draft = self
                .stated(asset_id, identity, observation, http, &page)
                .or_else(|| self.learned(asset_id, observation, http, &page));
            if let Some(finding) = draft.map(Draft::finish) {
                found.entry(finding.key.clone()).or_insert(finding);
            }
        }
        found.into_values().collect()
    }

    /// Against what the operator states. Whatever is stated must be so; nothing is stated of the rest.
    fn stated<'o>(
        &self,
        asset_id: AssetId,
        identity: &Identity,
        observation: &'o Observation,
        http: &Http,
        page: &Page,
    ) -> Option<Draft<'o>> {
        let (good, snapshot) = self.good(identity, page)?;
        let differ: Vec<(Part, String, Good<'_>)> = good
            .parts
            .iter()
            .map(|(part, values)| (*part, value(*part, http), values))
            .filter(|(_, shown, values)| !shown.is_empty() && !values.contains(shown))
            .map(|(part, shown, values)| (part, shown, Good::Stated(values)))
            .collect();
        // A page with none of what is stated is another page: a proxy's, a provider's.
        if differ.len() == good.parts.len() && good.parts.len() > 1 {
            return None;
        }
        let mut draft = draft(asset_id, observation, page, &differ, 90)?;
        draft.code.push_str(".stated");
        draft.args.push(("source", good.source.clone()));
        draft.snapshots.push(snapshot.clone());
        Some(draft)
    }

    /// What the operator states of a page of this device, and the snapshot that holds it.
    fn good(&self, identity: &Identity, page: &Page) -> Option<&(&KnownGood, String)> {
        let claimed = |claim: &Option<Claim>| claim.as_ref().map(|claim| claim.value.clone());
        let (vendor, product) = (claimed(&identity.vendor)?, claimed(&identity.product)?);
        let version = claimed(&identity.version);
        self.known_good.iter().find(|(good, _)| {
            good.path == page.path
                && good.family.holds(&vendor, &product)
                && good.family.includes(version.as_deref()) == crate::intelligence::Status::Affected
        })
    }

    /// Against what the others of its model and version show.
    fn learned<'o>(
        &self,
        asset_id: AssetId,
        observation: &'o Observation,
        http: &Http,
        page: &Page,
    ) -> Option<Draft<'o>> {
        let tallies = self.pages.get(page)?;
        let mut agree = BTreeSet::new();
        let mut differ: Vec<(Part, String, Good<'_>)> = Vec::new();
        for (part, tally) in tallies {
            let Some((common, count)) = tally.common() else { continue };
            let shown = value(*part, http);
            // An icon that was not fetched, here or on the others, is not another icon.
            if part.is_content() && (shown.is_empty() || common.is_empty()) {
                continue;
            }
            if shown == common {
                if !common.is_empty() {
                    agree.insert(*part);
                }
                continue;
            }
            // Another server or other cookies: another build. Several who share it: a variant.
            if !part.is_content() || tally.values.get(&shown).is_none_or(|count| *count >= VARIANT_MIN) {
                return None;
            }
            differ.push((
                *part,
                shown,
                Good::Learned { value: common, agree: count, devices: tally.devices },
            ));
        }
        // Something must still say that it is the same product.
        let same = [Part::Server, Part::Title, Part::Icon].iter().any(|part| agree.contains(part));
        let confidence = if differ.len() > 1 { 75 } else { 65 };
        if same { draft(asset_id, observation, page, &differ, confidence) } else { None }
    }
}

fn draft<'o>(
    asset_id: AssetId,
    observation: &'o Observation,
    page: &Page,
    differ: &[(Part, String, Good<'_>)],
    confidence: u8,
) -> Option<Draft<'o>> {
    let (_, _, good) = differ.first()?;
    let parts = differ.iter().map(|(part, _, _)| part.as_str()).collect::<Vec<_>>().join(", ");
    let mut args = vec![
        ("parts", parts),
        ("path", page.path.clone()),
        ("product", page.product.clone()),
        ("version", page.version.clone()),
    ];
    if let Good::Learned { agree, devices, .. } = good {
        args.push(("agree", agree.to_string()));
        args.push(("devices", devices.to_string()));
    }
    let shown = differ.iter().map(|(part, shown, good)| {
        let expected = match good {
            Good::Learned { value, .. } => (*value).to_owned(),
            Good::Stated(values) => values.iter().cloned().collect::<Vec<_>>().join(" or "),
        };
        evidence(observation, field(*part), &format!("{shown}, not {expected}"))
    });
    Some(Draft {
        asset_id,
        kind: FindingKind::AlteredContent,
        observation,
        severity: Severity::High,
        remedy: Remedy::Clean,
        confidence,
        discriminator: format!("{} {}", by_port(observation.subject), page.path),
        code: "finding.altered-content".to_owned(),
        args,
        evidence: shown.collect(),
        snapshots: Vec::new(),
    })
}

/// Vendor, product and version, when all three are sure.
fn model(identity: &Identity) -> Option<[String; 3]> {
    let sure = |claim: &Option<Claim>| {
        claim.as_ref().filter(|claim| claim.confidence >= SURE).map(|claim| claim.value.clone())
    };
    Some([
        normal_vendor(&sure(&identity.vendor)?),
        normal_product(&sure(&identity.product)?),
        sure(&identity.version)?,
    ])
}

/// Pages that were read to their end, or to the stated limit, and in no other way.
fn pages<'o>(observations: &[&'o Observation]) -> Vec<(&'o Observation, &'o Http)> {
    let whole = |observation: &&&Observation| {
        observation.outcome == Outcome::Answered && observation.reason.is_none()
    };
    let mut all: Vec<(&Observation, &Http)> = observations
        .iter()
        .filter(whole)
        .filter_map(|observation| Some((*observation, observation.records.http.as_deref()?)))
        .collect();
    all.sort_by_key(|(observation, _)| (observation.subject, observation.time));
    all
}

fn page([vendor, product, version]: &[String; 3], http: &Http) -> Page {
    Page {
        vendor: vendor.clone(),
        product: product.clone(),
        version: version.clone(),
        path: http.redirected_to.clone().unwrap_or_else(|| "/".to_owned()),
        status: http.status,
    }
}

/// What a page shows in one part; empty when nothing.
fn value(part: Part, http: &Http) -> String {
    match part {
        Part::Body => http.body_sha256.clone().unwrap_or_default(),
        Part::Icon => http.favicon_sha256.clone().unwrap_or_default(),
        Part::Title => http.title.clone().unwrap_or_default(),
        Part::Server => http.server.clone().unwrap_or_default(),
        Part::ContentType => http.content_type.clone().unwrap_or_default(),
        Part::Cookies => http.cookie_names.join(" "),
    }
}

fn field(part: Part) -> &'static str {
    match part {
        Part::Body => "http.body_sha256",
        Part::Icon => "http.favicon_sha256",
        Part::Title => "http.title",
        Part::Server => "http.server",
        Part::ContentType => "http.content_type",
        Part::Cookies => "http.cookie_names",
    }
}
