//! SPDX 3.0 as JSON-LD: a graph of elements that name each other.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Bill, Lines, Listed, Support, day};
use crate::component::Part;
use crate::intelligence::Importer;

/// Relationships from what was only there when the product was built or tested.
const NOT_SHIPPED: &[&str] = &["usesTool", "hasTest", "hasTestCase"];

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(rename = "@graph", borrow)]
    graph: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Element {
    #[serde(rename = "type", alias = "@type")]
    kind: String,
    #[serde(alias = "@id")]
    spdx_id: Option<String>,
    name: Option<String>,
    created: Option<String>,
    #[serde(rename = "software_packageVersion")]
    version: Option<String>,
    #[serde(rename = "software_packageUrl")]
    purl: Option<String>,
    #[serde(default)]
    external_identifier: Vec<Identifier>,
    supplied_by: Option<String>,
    #[serde(default)]
    support_level: Vec<String>,
    valid_until_time: Option<String>,
    #[serde(default)]
    root_element: Vec<String>,
    relationship_type: Option<String>,
    #[serde(default)]
    to: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identifier {
    external_identifier_type: String,
    identifier: String,
}

pub(super) fn read(importer: &mut Importer, file: &str, text: &str) -> Result<Bill, serde_json::Error> {
    let document: Document<'_> = serde_json::from_str(text)?;
    let mut lines = Lines::of(text);
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut roots: BTreeSet<String> = BTreeSet::new();
    let mut absent: BTreeSet<String> = BTreeSet::new();
    let mut packages = Vec::new();
    let mut bill = Bill::default();
    for raw in document.graph {
        let line = lines.line(raw.get());
        let element: Element = match serde_json::from_str(raw.get()) {
            Ok(element) => element,
            Err(error) => {
                importer.reject_json(file, line, &error);
                continue;
            }
        };
        match element.kind.as_str() {
            "software_Package" => packages.push((line, element)),
            "SpdxDocument" => bill.document = element.spdx_id,
            // What a document is rooted in is a bill; what a bill is rooted in is the product.
            "software_Sbom" | "Bom" => roots.extend(element.root_element),
            "CreationInfo" => bill.created = bill.created.or(element.created.as_deref().and_then(day)),
            "Relationship" | "LifecycleScopedRelationship" => {
                if element.relationship_type.is_some_and(|kind| NOT_SHIPPED.contains(&kind.as_str())) {
                    absent.extend(element.to);
                }
            }
            _ => {
                if let (Some(id), Some(name)) = (element.spdx_id, element.name) {
                    names.insert(id, name);
                }
            }
        }
    }
    for (line, package) in packages {
        let Some(name) = package.name else {
            importer.reject(file, line, "the package has no `name`");
            continue;
        };
        let id = package.spdx_id.unwrap_or_default();
        let cpe =
            package.external_identifier.iter().find(|one| one.external_identifier_type.starts_with("cpe2"));
        let purl =
            package.external_identifier.iter().find(|one| one.external_identifier_type == "packageUrl");
        let part = Part {
            name,
            vendor: package.supplied_by.and_then(|agent| names.get(&agent).cloned()),
            version: package.version,
            cpe: cpe.map(|one| one.identifier.clone()),
            purl: package.purl.or_else(|| purl.map(|one| one.identifier.clone())),
        };
        let ended =
            ["endOfSupport", "noSupport"].iter().any(|word| package.support_level.iter().any(|l| l == word));
        let support = match package.valid_until_time.as_deref().and_then(day) {
            Some(day) => Some(Support::Until(day)),
            None => ended.then_some(Support::None),
        };
        if roots.len() == 1 && roots.contains(&id) {
            bill.product = Some(part);
        } else if !absent.contains(&id) {
            bill.parts.push(Listed { line, part, optional: false, support });
        }
    }
    Ok(bill)
}
