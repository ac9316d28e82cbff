//! Asking the assets which components they carry, and learning what products contain.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;

use kenshin_casework::{Asset, PageRequest, Viewer, product_of};
use kenshin_insight::component::advisory::{Advisory, Publisher};
use kenshin_insight::component::{
    self, Carried, Carrier, Census, Certainty, Count, Exposure, Exposures, Fact, Family, Gaps, Inventory,
    Maintenance, Part, Query, Supported,
};
use kenshin_insight::cpe::{Attribute, Cpe};
use kenshin_insight::intelligence::{CveId, Import, Importer, IntelligenceKind, Records, Snapshot};
use kenshin_observation::{AssetId, Claim, Identity, TimeUs};
use serde::Serialize;

use crate::Observatory;
use crate::error::ActError;
use crate::intelligence::{Imported, Reading};

/// Kinds of intelligence that say what products contain, and whether somebody mends it.
const CONTENTS: &[IntelligenceKind] = &[
    IntelligenceKind::Sbom,
    IntelligenceKind::ComponentList,
    IntelligenceKind::Csaf,
    IntelligenceKind::Osv,
    IntelligenceKind::EndOfLife,
];
/// Products named of one component at most.
const PRODUCTS_MAX: usize = 10_000;
/// Versions told of one component at most.
const VERSIONS_MAX: usize = 200;

/// How an advisory is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdvisoryForm {
    /// CSAF 2.0, JSON.
    Csaf,
    /// A page, Markdown.
    Page,
}

/// Every component that assets carry.
#[derive(Debug, Serialize)]
pub struct Components {
    /// By name.
    pub items: Vec<Count>,
    /// Assets looked at.
    pub assets: u64,
    /// Of these, assets of which no component is known.
    pub bare: u64,
}

/// Who carries a component.
#[derive(Debug, Serialize)]
pub struct Carriers {
    /// The component as it was asked for.
    pub component: String,
    /// The versions asked for.
    pub versions: Option<String>,
    /// Whether somebody mends it.
    pub maintenance: Maintenance,
    /// Assets that carry it, the surest first.
    pub items: Vec<CarrierRow>,
    /// Carriers that are counted and not listed.
    pub left_out: u64,
    /// How many carry it, by how sure that is.
    pub by_certainty: BTreeMap<Certainty, u64>,
    /// Versions of it that are carried.
    pub versions_seen: BTreeSet<String>,
    /// Its CPE name, without a version, when known.
    pub cpe: Option<String>,
    /// Vendor and product of what carries it.
    #[serde(skip)]
    pub products: BTreeSet<(String, String)>,
    /// Of how many it is not known.
    pub gaps: Gaps,
}

/// An asset that carries a component.
#[derive(Debug, Clone, Serialize)]
pub struct CarrierRow {
    /// Which.
    pub asset_id: AssetId,
    /// Where it was last seen.
    pub addr: IpAddr,
    /// Vendor and product, when known.
    pub product: Option<String>,
    /// Its version, when shown.
    pub product_version: Option<String>,
    /// When it was last seen.
    pub last_seen: TimeUs,
    /// What it carries, and how that is known.
    #[serde(flatten)]
    pub carrier: Carrier,
}

/// Who has a vulnerability, by itself or by a component.
#[derive(Debug, Serialize)]
pub struct Exposed {
    /// Which vulnerability.
    pub cve: String,
    /// Assets of which something is known, the gravest first.
    pub items: Vec<ExposedRow>,
    /// Such assets that are counted and not listed.
    pub left_out: u64,
    /// How many of each answer, those of which nothing is known too.
    pub counts: BTreeMap<Exposure, u64>,
}

/// An asset of which something is known.
#[derive(Debug, Clone, Serialize)]
pub struct ExposedRow {
    /// Which.
    pub asset_id: AssetId,
    /// Where it was last seen.
    pub addr: IpAddr,
    /// Vendor and product, when known.
    pub product: Option<String>,
    /// What is known.
    pub exposure: Exposure,
    /// By which component; none when by its own product and version.
    pub by: Option<Carried>,
    /// When it was last seen.
    pub last_seen: TimeUs,
}

impl Observatory {
    /// Every component that the assets `viewer` may see carry, as they were last seen.
    pub async fn components(&self, viewer: &Viewer) -> Result<Components, ActError> {
        let intelligence = self.intelligence_of(CONTENTS).await?;
        let mut inventory = Inventory::new(&intelligence, self.now().into());
        self.each_asset(viewer, |asset| {
            inventory.add(&asset.identity, asset.first_seen, asset.last_seen);
        })
        .await?;
        let (assets, bare) = (inventory.assets, inventory.bare);
        Ok(Components { items: inventory.finish(), assets, bare })
    }

    /// Which assets that `viewer` may see carry a component, at most `limit` of them listed.
    pub async fn carriers(&self, viewer: &Viewer, query: &Query, limit: usize) -> Result<Carriers, ActError> {
        let intelligence = self.intelligence_of(CONTENTS).await?;
        let mut census = Census::new(query, &intelligence);
        let mut rows: BTreeMap<Certainty, Vec<CarrierRow>> = BTreeMap::new();
        let mut by_certainty: BTreeMap<Certainty, u64> =
            Certainty::ALL.iter().map(|word| (*word, 0)).collect();
        let (mut products, mut versions_seen) = (BTreeSet::new(), BTreeSet::new());
        let (mut cpe, mut purl) = (None, None);
        self.each_asset(viewer, |asset| {
            let Some(carrier) = census.ask(&asset.identity) else { return };
            let certainty = carrier.carried.certainty;
            *by_certainty.entry(certainty).or_default() += 1;
            let Identity { vendor, product, version, .. } = &asset.identity;
            let word = |claim: &Option<Claim>| claim.as_ref().map(|claim| claim.value.clone());
            if let (Some(vendor), Some(product)) = (word(vendor), word(product))
                && products.len() < PRODUCTS_MAX
            {
                products.insert((vendor, product));
            }
            if let Some(version) =
                carrier.carried.version.clone().filter(|_| versions_seen.len() < VERSIONS_MAX)
            {
                versions_seen.insert(version);
            }
            cpe = cpe.take().or_else(|| carrier.carried.cpe.clone());
            purl = purl.take().or_else(|| carrier.carried.purl.clone());
            let rows = rows.entry(certainty).or_default();
            if rows.len() < limit {
                rows.push(CarrierRow {
                    asset_id: asset.asset_id,
                    addr: asset.addr,
                    product: product_of(&asset.identity),
                    product_version: word(version),
                    last_seen: asset.last_seen,
                    carrier,
                });
            }
        })
        .await?;
        let gaps = census.gaps;
        let items: Vec<CarrierRow> = rows.into_values().rev().flatten().take(limit).collect();
        let cpe = cpe.as_deref().and_then(every_version);
        let (name, version) = (query.name.clone(), query.versions.clone());
        let part = Part { name, vendor: None, version, cpe: cpe.clone(), purl };
        Ok(Carriers {
            component: query.name.clone(),
            versions: query.versions.clone(),
            maintenance: intelligence.maintenance(&part, self.now().into()),
            left_out: gaps.carriers.saturating_sub(items.len() as u64),
            items,
            by_certainty,
            versions_seen,
            cpe,
            products,
            gaps,
        })
    }

    /// A draft advisory against a component, as JSON (CSAF 2.0) or as a page in Markdown. A component
    /// that somebody maintains, or of which that is not known, gets none.
    pub async fn component_advisory(
        &self,
        query: &Query,
        form: AdvisoryForm,
        language: &str,
    ) -> Result<String, ActError> {
        let carriers = self.carriers(&self.viewer(), query, 0).await?;
        if carriers.maintenance.supported != Supported::Unmaintained {
            let message = format!(
                "nothing imported says that nobody maintains `{}`: its support is {}",
                query.name, carriers.maintenance.supported
            );
            return Err(ActError::no(message).with_hint(
                "say so, with a source, under [[unmaintained]] of a list for `kenshin intel import component-list`",
            ));
        }
        if carriers.gaps.carriers == 0 {
            return Err(ActError::no(format!(
                "no asset is known to carry `{}`; of {} of {} nothing is known",
                query.name,
                carriers.gaps.unknown(),
                carriers.gaps.assets
            )));
        }
        let named = component::known(&query.name, carriers.cpe.as_deref()).map(|known| known.name);
        let advisory = Advisory {
            publisher: Publisher {
                name: self.settings().organisation.clone(),
                namespace: self.settings().web.base_url.clone(),
                contact: self.settings().mail.from.clone(),
            },
            component: named.unwrap_or(&query.name),
            cpe: carriers.cpe.as_deref(),
            versions: carriers.versions_seen.iter().map(String::as_str).collect(),
            maintenance: &carriers.maintenance,
            products: carriers.products.iter().map(|(v, p)| (v.as_str(), p.as_str())).collect(),
            by_certainty: &carriers.by_certainty,
            gaps: &carriers.gaps,
            now: self.now(),
        };
        Ok(match form {
            AdvisoryForm::Page => advisory.page(self.messages(), language),
            AdvisoryForm::Csaf => {
                let csaf = advisory.csaf(self.messages(), language);
                format!("{}\n", serde_json::to_string_pretty(&csaf).expect("JSON serialises to JSON"))
            }
        })
    }

    /// Which assets that `viewer` may see have a vulnerability, at most `limit` of them listed.
    pub async fn exposed(&self, viewer: &Viewer, cve: CveId, limit: usize) -> Result<Exposed, ActError> {
        // Advisories and packages, which speak of weaknesses too, are among the contents.
        let kinds = [CONTENTS, &[IntelligenceKind::Cve]].concat();
        let intelligence = self.intelligence_of(&kinds).await?;
        intelligence.cve(cve).ok_or_else(|| {
            ActError::no(format!("nothing imported describes {cve}"))
                .with_hint("import it with `kenshin intel import cve5`; NVD's record names components that the CVE list does not")
        })?;
        let mut exposures = Exposures::new(cve, &intelligence);
        let mut rows: BTreeMap<Exposure, Vec<ExposedRow>> = BTreeMap::new();
        self.each_asset(viewer, |asset| {
            let (exposure, by) = exposures.ask(&asset.identity);
            let rows = rows.entry(exposure).or_default();
            if exposure != Exposure::Unknown && rows.len() < limit {
                rows.push(ExposedRow {
                    asset_id: asset.asset_id,
                    addr: asset.addr,
                    product: product_of(&asset.identity),
                    exposure,
                    by,
                    last_seen: asset.last_seen,
                });
            }
        })
        .await?;
        let counts = exposures.counts;
        let items: Vec<ExposedRow> = rows.into_values().flatten().take(limit).collect();
        let told: u64 =
            counts.iter().filter(|(word, _)| **word != Exposure::Unknown).map(|(_, count)| count).sum();
        Ok(Exposed { cve: cve.to_string(), left_out: told - items.len() as u64, items, counts })
    }

    /// Imports bills of materials beside those that are known: only what an earlier import said of the
    /// same product and version is replaced. `product` says what they are of, where they do not.
    pub async fn import_sbom(
        &self,
        product: Option<Family>,
        paths: &[PathBuf],
        progress: impl FnMut(Reading<'_>),
    ) -> Result<Imported, ActError> {
        let importer = Importer::new(IntelligenceKind::Sbom).about(product);
        let (import, files) = self.read_useful(importer, paths, progress)?;
        let records = import.snapshot.records.len();
        let import = self.beside_known(import).await?;
        let imported = self.keep_import(import, paths, files).await?;
        Ok(Imported { records, ..imported })
    }

    /// An import of bills of materials with what is known already; of other kinds as it is.
    pub(crate) async fn beside_known(&self, import: Import) -> Result<Import, ActError> {
        if import.snapshot.kind() != IntelligenceKind::Sbom {
            return Ok(import);
        }
        Ok(match self.newest_snapshot(IntelligenceKind::Sbom).await? {
            Some(before) => Import { snapshot: beside(before, import.snapshot), ..import },
            None => import,
        })
    }

    /// Every asset that continues under its own name, in pages.
    async fn each_asset(&self, viewer: &Viewer, mut each: impl FnMut(&Asset)) -> Result<(), ActError> {
        let mut page = Some(PageRequest::first());
        while let Some(request) = page {
            let found = self.casework().assets(viewer, None, &request).await?;
            page = PageRequest::following(&found);
            found.items.iter().filter(|asset| asset.merged_into.is_none()).for_each(&mut each);
        }
        Ok(())
    }
}

/// What was known, without what the new documents speak of, and the new.
fn beside(before: Snapshot, new: Snapshot) -> Snapshot {
    let (Records::Sbom(mut held), Records::Sbom(added)) = (before.records, new.records) else {
        unreachable!("both are bills of materials");
    };
    let (mut families, mut sources) = (BTreeSet::new(), BTreeSet::new());
    for fact in &added {
        match fact {
            Fact::Contains(contains) => families.insert(contains.family.clone()),
            Fact::Upkeep(upkeep) => sources.insert(upkeep.source.clone()),
        };
    }
    held.retain(|fact| match fact {
        Fact::Contains(contains) => !families.contains(&contains.family),
        Fact::Upkeep(upkeep) => !sources.contains(&upkeep.source),
    });
    held.extend(added);
    Snapshot::new(before.version.max(new.version), Records::Sbom(held))
}

/// A CPE name with its version left open.
fn every_version(cpe: &str) -> Option<String> {
    let mut cpe: Cpe = cpe.parse().ok()?;
    (cpe.version, cpe.rest[0]) = (Attribute::Any, Attribute::Any);
    Some(cpe.to_string())
}
