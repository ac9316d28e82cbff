//! What advisories and package databases say of components beside their weaknesses: which products
//! contain them (relationships of CSAF), and that nobody maintains a package any more (OSV).

use std::collections::{BTreeMap, HashMap};

use super::{Basis, Contains, Fact, Family, Part};
use crate::intelligence::{Advisory, Names, Osv, phrase};

/// Percent to which an advisory is believed: it speaks of the builds that it knows.
const CONFIDENCE: u8 = 80;

/// Percent to which it is believed of a part that may be absent.
const CONFIDENCE_OPTIONAL: u8 = 50;

/// What the relationships of advisories say, each product and part once. Products without a vendor are
/// nobody's.
pub(super) fn contents(advisories: &[Advisory]) -> Vec<Fact> {
    let mut all: BTreeMap<(Family, Part), Contains> = BTreeMap::new();
    for advisory in advisories {
        for containment in &advisory.contains {
            let (product, component) = (&containment.product, &containment.component);
            let family = Family {
                vendor: product.vendor.clone(),
                product: product.product.clone(),
                versions: phrase(product),
            };
            let part = Part {
                name: component.product.clone(),
                vendor: Some(component.vendor.clone()).filter(|vendor| !vendor.is_empty()),
                version: phrase(component),
                cpe: component.cpe.clone(),
                purl: component.purl.clone(),
            };
            if Names::of(&family.vendor, "").vendors.is_empty() || part.key().is_empty() {
                continue;
            }
            let confidence = if containment.optional { CONFIDENCE_OPTIONAL } else { CONFIDENCE };
            let found = all.entry((family, part)).or_insert_with_key(|(family, part)| Contains {
                family: family.clone(),
                part: part.clone(),
                basis: Basis::Csaf,
                confidence,
                source: format!("{} ({})", advisory.id, advisory.publisher),
            });
            found.confidence = found.confidence.max(confidence);
        }
    }
    all.into_values().map(Fact::Contains).collect()
}

/// Positions of records, and of their packages, that say that nobody maintains a package any more, by
/// its package URL ([`bare`]).
pub(super) fn unmaintained(records: &[Osv]) -> HashMap<String, Vec<(usize, usize)>> {
    let mut all: HashMap<String, Vec<(usize, usize)>> = HashMap::new();
    for (at, record) in records.iter().enumerate().filter(|(_, record)| record.unmaintained) {
        for (number, package) in record.packages.iter().enumerate() {
            if let Some(purl) = &package.purl {
                all.entry(bare(purl)).or_default().push((at, number));
            }
        }
    }
    all
}

/// A package URL without version, qualifiers and path inside, in small letters: the package alone.
pub(super) fn bare(purl: &str) -> String {
    let whole = purl.split(['?', '#']).next().unwrap_or_default();
    // An `@` that belongs to a name is written `%40`.
    whole.split_once('@').map_or(whole, |(package, _)| package).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_urls_name_packages() {
        for (purl, package) in [
            ("pkg:cargo/ansi_term@0.12.1", "pkg:cargo/ansi_term"),
            ("pkg:cargo/ansi_term", "pkg:cargo/ansi_term"),
            ("pkg:npm/%40angular/core@1.0?x=a@b#c", "pkg:npm/%40angular/core"),
            ("pkg:golang/github.com/BurntSushi/toml", "pkg:golang/github.com/burntsushi/toml"),
        ] {
            assert_eq!(bare(purl), package);
        }
    }
}
