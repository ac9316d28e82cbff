//! CycloneDX as JSON (ECMA-424; 1.2 to 1.7, of which the keys read here are the same).

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Bill, DEPTH_MAX, Lines, Listed, Support, day};
use crate::component::Part;
use crate::intelligence::Importer;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    serial_number: Option<String>,
    metadata: Option<Metadata>,
    #[serde(borrow, default)]
    components: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Metadata {
    timestamp: Option<String>,
    component: Option<Named>,
}

/// What the document is about, or lists; of the rest of it see [`Around`].
#[derive(Deserialize)]
struct Named {
    name: String,
    version: Option<String>,
    group: Option<String>,
    publisher: Option<String>,
    supplier: Option<Organisation>,
    manufacturer: Option<Organisation>,
    cpe: Option<String>,
    purl: Option<String>,
}

#[derive(Deserialize)]
struct Organisation {
    name: Option<String>,
}

/// The rest of a component.
#[derive(Deserialize)]
struct Around<'a> {
    #[serde(rename = "type")]
    kind: Option<String>,
    scope: Option<String>,
    #[serde(default)]
    properties: Vec<Property>,
    #[serde(borrow, default)]
    components: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Property {
    #[serde(default)]
    name: String,
    #[serde(default)]
    value: String,
}

pub(super) fn read(importer: &mut Importer, file: &str, text: &str) -> Result<Bill, serde_json::Error> {
    let document: Document<'_> = serde_json::from_str(text)?;
    let metadata = document.metadata;
    let mut bill = Bill {
        document: document.serial_number,
        created: metadata.as_ref().and_then(|metadata| day(metadata.timestamp.as_deref()?)),
        product: metadata.and_then(|metadata| metadata.component).map(Named::part),
        parts: Vec::new(),
    };
    let mut lines = Lines::of(text);
    // Depth first keeps the order of the document.
    let mut waiting: Vec<(usize, &RawValue)> =
        document.components.into_iter().rev().map(|component| (1, component)).collect();
    while let Some((depth, raw)) = waiting.pop() {
        let line = lines.line(raw.get());
        match (serde_json::from_str::<Named>(raw.get()), serde_json::from_str::<Around<'_>>(raw.get())) {
            (Err(error), _) | (_, Err(error)) => importer.reject_json(file, line, &error),
            (Ok(named), Ok(around)) => {
                if depth == DEPTH_MAX && !around.components.is_empty() {
                    importer.reject(
                        file,
                        line,
                        format!("components more than {DEPTH_MAX} deep are left out"),
                    );
                } else {
                    waiting.extend(around.components.into_iter().rev().map(|inside| (depth + 1, inside)));
                }
                if is_software(around.kind.as_deref(), around.scope.as_deref()) {
                    bill.parts.push(Listed {
                        line,
                        part: named.part(),
                        optional: around.scope.as_deref() == Some("optional"),
                        support: around.properties.iter().find_map(|one| ended(&one.name, &one.value)),
                    });
                }
            }
        }
    }
    Ok(bill)
}

/// What runs on the device: no files, no data, and nothing that was only there when it was built.
pub(super) fn is_software(kind: Option<&str>, scope: Option<&str>) -> bool {
    !matches!(kind, Some("file" | "data" | "device" | "cryptographic-asset")) && scope != Some("excluded")
}

/// The end of support as CycloneDX's property taxonomy names it.
pub(super) fn ended(name: &str, value: &str) -> Option<Support> {
    (name == "cdx:lifecycle:milestone:endOfSupport").then(|| day(value).map(Support::Until)).flatten()
}

impl Named {
    fn part(self) -> Part {
        let organisation = |one: Option<Organisation>| one.and_then(|one| one.name);
        Part {
            vendor: organisation(self.supplier)
                .or_else(|| organisation(self.manufacturer))
                .or(self.publisher)
                .or_else(|| {
                    self.cpe.as_ref()?.parse::<crate::cpe::Cpe>().ok()?.vendor.text().map(str::to_owned)
                })
                .or(self.group),
            name: self.name,
            version: self.version,
            cpe: self.cpe,
            purl: self.purl,
        }
    }
}
