//! The product tree: what the identifiers of a document stand for.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::cpe::Cpe;
use crate::intelligence::{Containment, Named, Names};

/// Deepest nesting of branches; the standard's own schema has no limit, published trees have six.
const DEPTH_MAX: usize = 30;
/// Most products of one document.
const PRODUCTS_MAX: usize = 100_000;
/// Longest name that is kept, in characters.
const NAME_MAX: usize = 200;
/// Longest CPE name or package URL that is kept, in bytes; cut ones would name something else.
const HELPER_MAX: usize = 1_000;

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct ProductTree {
    branches: Vec<Branch>,
    full_product_names: Vec<Product>,
    relationships: Vec<Relationship>,
    product_groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Branch {
    category: String,
    name: String,
    product: Option<Product>,
    #[serde(default)]
    branches: Vec<Branch>,
}

#[derive(Deserialize)]
struct Product {
    product_id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    product_identification_helper: Helper,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Helper {
    cpe: Option<String>,
    purl: Option<String>,
}

#[derive(Deserialize)]
struct Relationship {
    category: String,
    full_product_name: Product,
    product_reference: String,
    relates_to_product_reference: String,
}

#[derive(Deserialize)]
struct Group {
    group_id: String,
    product_ids: Vec<String>,
}

/// What a statement about an identifier is a statement about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) vendor: String,
    pub(super) product: String,
    /// Version or range as written; empty for the product as a whole.
    pub(super) version: String,
    pub(super) cpe: Option<String>,
}

/// The tree, looked up by identifier.
#[derive(Debug)]
pub(super) struct Tree {
    places: BTreeMap<String, Vec<Place>>,
    groups: BTreeMap<String, Vec<String>>,
    pub(super) contains: Vec<Containment>,
}

impl Tree {
    pub(super) fn new(tree: ProductTree) -> Result<Self, String> {
        let mut named: BTreeMap<String, Named> = BTreeMap::new();
        for branch in tree.branches {
            walk(branch, &Path::default(), 0, &mut named)?;
        }
        for product in tree.full_product_names {
            let (id, found) = alone(product);
            named.entry(id).or_insert(found);
        }
        let mut places: BTreeMap<String, Vec<Place>> =
            named.iter().map(|(id, named)| (id.clone(), place(named).into_iter().collect())).collect();
        let mut contains = BTreeSet::new();
        for relation in tree.relationships {
            let (inner, outer) = (&relation.product_reference, &relation.relates_to_product_reference);
            let (Some(inner), Some(outer)) = (named.get(inner).cloned(), named.get(outer).cloned()) else {
                continue;
            };
            let found = match relation.category.as_str() {
                // Software on a thing: the thing, in the software's version. The software elsewhere is
                // not what is spoken of.
                "installed_on" | "installed_with" => {
                    let version = inner.version.clone();
                    place(&Named { version, ..outer.clone() }).into_iter().collect()
                }
                // A part of a whole: what is said of the part there does not tell of the whole, whose
                // builds carry other versions of the part.
                category => {
                    contains.insert(Containment {
                        product: outer.clone(),
                        component: inner.clone(),
                        optional: category != "default_component_of",
                    });
                    Vec::new()
                }
            };
            let id = relation.full_product_name.product_id;
            // A relation may be an end of another.
            named.entry(id.clone()).or_insert(Named { version: inner.version, ..outer });
            places.insert(id, found);
            if places.len() > PRODUCTS_MAX || contains.len() > PRODUCTS_MAX {
                return Err(format!("the product tree names more than {PRODUCTS_MAX} products"));
            }
        }
        let groups =
            tree.product_groups.into_iter().map(|group| (group.group_id, group.product_ids)).collect();
        Ok(Self { places, groups, contains: contains.into_iter().collect() })
    }

    /// What an identifier stands for; nothing when the tree does not say it well enough.
    pub(super) fn places(&self, id: &str) -> &[Place] {
        self.places.get(id).map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn group(&self, id: &str) -> &[String] {
        self.groups.get(id).map(Vec::as_slice).unwrap_or_default()
    }
}

impl Helper {
    /// The names of sensible length.
    fn bounded(self) -> Self {
        let short = |name: Option<String>| name.filter(|name| name.len() <= HELPER_MAX);
        Self { cpe: short(self.cpe), purl: short(self.purl) }
    }
}

/// What the branches above say.
#[derive(Debug, Clone, Default)]
struct Path {
    vendor: String,
    family: String,
    product: String,
    version: String,
}

fn walk(
    branch: Branch,
    above: &Path,
    depth: usize,
    named: &mut BTreeMap<String, Named>,
) -> Result<(), String> {
    if depth > DEPTH_MAX {
        return Err(format!("the product tree is deeper than {DEPTH_MAX} branches"));
    }
    let mut path = above.clone();
    let name = cut(branch.name.trim());
    match branch.category.as_str() {
        "vendor" => path.vendor = name,
        "product_family" => path.family = name,
        "product_name" | "product" => path.product = name,
        "product_version" | "product_version_range" => path.version = name,
        // `12.2(4)B` under `12.2B` is a version of its own, `SP1` under `10` goes on.
        "service_pack" | "patch_level" => {
            path.version =
                match name.starts_with(|char: char| char.is_ascii_digit()) || path.version.is_empty() {
                    true => name,
                    false => format!("{} {name}", path.version),
                };
        }
        _ => {}
    }
    if let Some(product) = branch.product {
        let Helper { cpe, purl } = product.product_identification_helper.bounded();
        let name = if path.product.is_empty() { path.family.clone() } else { path.product.clone() };
        let version = without_name(&path.version, &name).to_owned();
        let found = Named { vendor: path.vendor.clone(), product: name, version, cpe, purl };
        named.insert(product.product_id, found);
        if named.len() > PRODUCTS_MAX {
            return Err(format!("the product tree names more than {PRODUCTS_MAX} products"));
        }
    }
    branch.branches.into_iter().try_for_each(|branch| walk(branch, &path, depth + 1, named))
}

/// A product outside of the branches: what its helper says, else its name alone.
fn alone(product: Product) -> (String, Named) {
    let Helper { cpe, purl } = product.product_identification_helper.bounded();
    let name = cut(&product.name);
    let found = match cpe.as_deref().and_then(|cpe| cpe.parse::<Cpe>().ok()) {
        Some(parsed) => {
            let text = |attribute: &crate::cpe::Attribute| attribute.text().unwrap_or_default().to_owned();
            Named {
                vendor: text(&parsed.vendor),
                product: text(&parsed.product),
                version: text(&parsed.version),
                cpe,
                purl,
            }
        }
        None => {
            let (vendor, product, version) = purl.as_deref().map(of_purl).unwrap_or_default();
            let product = if product.is_empty() { name } else { product };
            Named { vendor, product, version, cpe: None, purl }
        }
    };
    (product.product_id, found)
}

/// `pkg:generic/openssl@1.1.1` and `pkg:github/openssl/openssl@1.1.1`: name space, name and version.
fn of_purl(purl: &str) -> (String, String, String) {
    let path = purl.strip_prefix("pkg:").unwrap_or(purl);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let (path, version) = path.rsplit_once('@').unwrap_or((path, ""));
    let mut parts = path.rsplit('/');
    let name = parts.next().unwrap_or_default();
    let mut spaces: Vec<&str> = parts.collect();
    spaces.pop();
    (cut(spaces.first().unwrap_or(&"")), cut(name), cut(version))
}

/// A place that can be matched: it has a vendor and a product.
fn place(named: &Named) -> Option<Place> {
    let names = Names::of(&named.vendor, &named.product);
    (!names.vendors.is_empty() && !names.products.is_empty()).then(|| Place {
        vendor: named.vendor.clone(),
        product: named.product.clone(),
        version: named.version.clone(),
        cpe: named.cpe.clone(),
    })
}

/// `FortiOS 6.4.0` and `FortiDLP/>=12.2.1` of products of these names, without them.
fn without_name<'a>(version: &'a str, product: &str) -> &'a str {
    let head = version.get(..product.len()).filter(|_| !product.is_empty());
    match head {
        Some(head) if head.eq_ignore_ascii_case(product) => {
            let rest = version[product.len()..].trim_start_matches([' ', '/', ':', '-']);
            if rest.is_empty() { version } else { rest }
        }
        _ => version,
    }
}

fn cut(text: &str) -> String {
    text.chars().take(NAME_MAX).collect()
}
