//! SPDX 2.x (ISO/IEC 5962): what its JSON and its tag-value form have in common, and the JSON.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Bill, Lines, Listed, Support, day};
use crate::component::Part;
use crate::intelligence::Importer;

/// The document itself, in relationships.
const DOCUMENT: &str = "SPDXRef-DOCUMENT";

/// Relationships of what was only there when the product was built or tested.
const NOT_SHIPPED: &[&str] = &[
    "BUILD_TOOL_OF",
    "DEV_TOOL_OF",
    "TEST_TOOL_OF",
    "TEST_OF",
    "TEST_CASE_OF",
    "DEV_DEPENDENCY_OF",
    "TEST_DEPENDENCY_OF",
];

/// A document as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) namespace: Option<String>,
    pub(super) created: Option<String>,
    pub(super) described: BTreeSet<String>,
    /// Identifiers of packages that are not part of the product.
    pub(super) absent: BTreeSet<String>,
    /// Packages that could be read, with their identifiers.
    pub(super) packages: Vec<(String, Listed)>,
}

impl Document {
    pub(super) fn relate(&mut self, from: &str, kind: &str, to: &str) {
        match kind {
            "DESCRIBES" if from == DOCUMENT => {
                self.described.insert(to.to_owned());
            }
            "DESCRIBED_BY" if to == DOCUMENT => {
                self.described.insert(from.to_owned());
            }
            _ if NOT_SHIPPED.contains(&kind) => {
                self.absent.insert(from.to_owned());
            }
            _ => {}
        }
    }

    /// One package described is the product; where several are, or none, the document is about no one
    /// product and all of them are parts.
    pub(super) fn bill(self) -> Bill {
        let is_described = |id: &str| self.described.contains(id);
        let alone = self.packages.iter().filter(|(id, _)| is_described(id)).count() == 1;
        let mut bill = Bill {
            document: self.namespace,
            created: self.created.as_deref().and_then(day),
            ..Bill::default()
        };
        for (id, listed) in self.packages {
            if alone && self.described.contains(&id) {
                bill.product = Some(listed.part);
            } else if !self.absent.contains(&id) {
                bill.parts.push(listed);
            }
        }
        bill
    }
}

/// `Organization: Example (mail@example)` without its dress.
pub(super) fn agent(text: &str) -> Option<String> {
    let text = text.trim();
    let name =
        text.strip_prefix("Organization:").or_else(|| text.strip_prefix("Person:")).unwrap_or(text).trim();
    let name =
        name.strip_suffix(')').and_then(|name| name.rsplit_once('(')).map_or(name, |(name, _)| name.trim());
    (!name.is_empty() && !["NOASSERTION", "NONE"].contains(&name)).then(|| name.to_owned())
}

/// Notes an external reference.
pub(super) fn refer(part: &mut Part, kind: &str, locator: &str) {
    match kind {
        "cpe23Type" | "cpe22Type" if part.cpe.is_none() => part.cpe = Some(locator.to_owned()),
        "purl" if part.purl.is_none() => part.purl = Some(locator.to_owned()),
        _ => {}
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Json<'a> {
    document_namespace: Option<String>,
    creation_info: Option<Creation>,
    #[serde(default)]
    document_describes: Vec<String>,
    #[serde(borrow, default)]
    packages: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    relationships: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Creation {
    created: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Package {
    #[serde(rename = "SPDXID")]
    id: String,
    name: String,
    version_info: Option<String>,
    supplier: Option<String>,
    originator: Option<String>,
    #[serde(default)]
    external_refs: Vec<Reference>,
    primary_package_purpose: Option<String>,
    valid_until_date: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    reference_type: String,
    reference_locator: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Relationship {
    spdx_element_id: String,
    relationship_type: String,
    related_spdx_element: String,
}

pub(super) fn read(importer: &mut Importer, file: &str, text: &str) -> Result<Bill, serde_json::Error> {
    let json: Json<'_> = serde_json::from_str(text)?;
    let mut document = Document {
        namespace: json.document_namespace,
        created: json.creation_info.and_then(|creation| creation.created),
        described: json.document_describes.into_iter().collect(),
        ..Document::default()
    };
    let mut lines = Lines::of(text);
    for raw in json.packages {
        let line = lines.line(raw.get());
        match serde_json::from_str::<Package>(raw.get()) {
            Err(error) => importer.reject_json(file, line, &error),
            Ok(package) => {
                if package.primary_package_purpose.as_deref() == Some("FILE") {
                    document.absent.insert(package.id.clone());
                }
                document.packages.push((package.id.clone(), package.listed(line)));
            }
        }
    }
    for raw in json.relationships {
        match serde_json::from_str::<Relationship>(raw.get()) {
            Err(error) => importer.reject_json(file, lines.line(raw.get()), &error),
            Ok(one) => {
                document.relate(&one.spdx_element_id, &one.relationship_type, &one.related_spdx_element)
            }
        }
    }
    Ok(document.bill())
}

impl Package {
    fn listed(self, line: u64) -> Listed {
        let vendor =
            self.supplier.as_deref().and_then(agent).or_else(|| self.originator.as_deref().and_then(agent));
        let mut part = Part { name: self.name, vendor, version: self.version_info, ..Part::default() };
        for reference in &self.external_refs {
            refer(&mut part, &reference.reference_type, &reference.reference_locator);
        }
        let support = self.valid_until_date.as_deref().and_then(day).map(Support::Until);
        Listed { line, part, optional: false, support }
    }
}
