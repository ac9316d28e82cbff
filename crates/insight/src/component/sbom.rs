//! Bills of materials: CycloneDX (JSON, XML) and SPDX (2.x as JSON and tag-value, 3.0 as JSON-LD).
//!
//! A document is about one product; each component that it lists becomes a [`Fact`]. A component that
//! cannot be used is reported with file and line, and the rest goes on.

mod cyclonedx;
mod cyclonedx_xml;
mod spdx;
mod spdx_graph;
mod spdx_tags;

use std::io::{BufRead, Read};

use super::{Basis, Contains, Fact, Family, Part, Upkeep};
use crate::cpe::Cpe;
use crate::intelligence::{Day, ImportError, Importer, IntelligenceKind, Names, io};

/// Longest document in bytes.
const FILE_MAX: u64 = 128 << 20;

/// Most components of one document.
const PARTS_MAX: usize = 200_000;

/// Deepest nesting of components in components.
const DEPTH_MAX: usize = 16;

/// Longest name, version or identifier in bytes.
const VALUE_MAX: usize = 512;

/// Percent to which a bill of materials is believed: tools that write them miss and mistake some.
const CONFIDENCE: u8 = 90;

/// Percent for what a bill of materials calls optional.
const CONFIDENCE_OPTIONAL: u8 = 50;

/// What one document says.
#[derive(Debug, Default)]
struct Bill {
    /// Its own name: serial number or namespace.
    document: Option<String>,
    created: Option<Day>,
    /// What it is about.
    product: Option<Part>,
    parts: Vec<Listed>,
}

/// One component in a document.
#[derive(Debug, Default)]
struct Listed {
    /// Line it begins at.
    line: u64,
    part: Part,
    optional: bool,
    support: Option<Support>,
}

/// What a document says about a component's support.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Support {
    /// Nobody gives any.
    None,
    /// It ends, or ended, on this day.
    Until(Day),
}

pub(crate) fn read(importer: &mut Importer, file: &str, from: impl BufRead) -> Result<(), ImportError> {
    let mut bytes = Vec::new();
    from.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(io(file))?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(no_bill(file, "it is larger than 128 MiB"));
    }
    let Ok(text) = std::str::from_utf8(&bytes) else { return Err(no_bill(file, "it is not UTF-8")) };
    let text = text.trim_start_matches('\u{feff}');
    let bill = match text.trim_start().bytes().next() {
        Some(b'{') => from_json(importer, file, text)?,
        Some(b'<') => cyclonedx_xml::read(importer, file, text)?,
        _ if text.contains("SPDXVersion:") => spdx_tags::read(importer, file, text)?,
        _ => return Err(no_bill(file, "it is neither JSON, XML nor SPDX's tag-value")),
    };
    if let Some(bill) = bill {
        take(importer, file, bill);
    }
    Ok(())
}

/// The keys that tell the formats apart.
#[derive(serde::Deserialize)]
struct Head {
    #[serde(rename = "bomFormat")]
    cyclonedx: Option<String>,
    #[serde(rename = "spdxVersion")]
    spdx: Option<String>,
    #[serde(rename = "@graph")]
    graph: Option<serde::de::IgnoredAny>,
}

fn from_json(importer: &mut Importer, file: &str, text: &str) -> Result<Option<Bill>, ImportError> {
    let head: Head = match serde_json::from_str(text) {
        Ok(head) => head,
        Err(error) => {
            importer.reject_json(file, 1, &error);
            return Ok(None);
        }
    };
    let reader = match (head.cyclonedx.as_deref(), head.spdx.as_deref(), head.graph) {
        (Some("CycloneDX"), _, _) => cyclonedx::read,
        (_, Some(version), _) if version.starts_with("SPDX-2.") => spdx::read,
        (None, None, Some(_)) => spdx_graph::read,
        _ => {
            let problem = "it names neither `bomFormat` CycloneDX nor an `spdxVersion` that is read (2.x, or 3.0 as JSON-LD)";
            return Err(no_bill(file, problem));
        }
    };
    match reader(importer, file, text) {
        Ok(bill) => Ok(Some(bill)),
        Err(error) => {
            importer.reject_json(file, 1, &error);
            Ok(None)
        }
    }
}

/// Makes statements of a document.
fn take(importer: &mut Importer, file: &str, bill: Bill) {
    let own = bill.product.as_ref().map(Family::of);
    let Some(family) = importer.product.clone().or(own) else {
        return importer.reject(file, 1, "the document does not say which product it is of: name it with --product vendor:product[:versions]");
    };
    let source = bill.document.unwrap_or_else(|| file.to_owned());
    // Each component repeats them.
    let repeated = [Some(&family.vendor), Some(&family.product), family.versions.as_ref(), Some(&source)];
    if let Some(value) = repeated.into_iter().flatten().find(|value| value.len() > VALUE_MAX) {
        return importer.reject(file, 1, too_long(value));
    }
    if Names::of(&family.vendor, "").vendors.is_empty() {
        let reason = format!(
            "its product `{}` has no vendor: name it with --product vendor:product[:versions]",
            family.product
        );
        return importer.reject(file, 1, reason);
    }
    if let Some(day) = bill.created {
        importer.newer_version(day.to_string());
    }
    for (position, listed) in bill.parts.into_iter().enumerate() {
        if position == PARTS_MAX {
            return importer.reject(
                file,
                listed.line,
                format!("more than {PARTS_MAX} components: the rest is left out"),
            );
        }
        let part = match bounded(listed.part) {
            Ok(part) => part,
            Err(reason) => {
                importer.reject(file, listed.line, reason);
                continue;
            }
        };
        if let Some(support) = listed.support {
            importer.facts.push(Fact::Upkeep(Upkeep {
                part: part.clone(),
                maintained: false,
                since: if let Support::Until(day) = support { Some(day) } else { None },
                source: source.clone(),
            }));
        }
        importer.facts.push(Fact::Contains(Contains {
            family: family.clone(),
            part,
            basis: Basis::Sbom,
            confidence: if listed.optional { CONFIDENCE_OPTIONAL } else { CONFIDENCE },
            source: source.clone(),
        }));
    }
}

/// The component with what its CPE name or package URL adds, when it has a name of sensible length.
fn bounded(mut part: Part) -> Result<Part, String> {
    for value in
        [&part.vendor, &part.version, &part.cpe, &part.purl].into_iter().flatten().chain([&part.name])
    {
        if value.len() > VALUE_MAX {
            return Err(too_long(value));
        }
    }
    let blank = |value: &String| !value.trim().is_empty() && !["NOASSERTION", "NONE"].contains(&value.trim());
    for value in [&mut part.vendor, &mut part.version, &mut part.cpe, &mut part.purl] {
        *value = value.take().filter(blank).map(|value| value.trim().to_owned());
    }
    if let Some(cpe) = &part.cpe {
        let cpe: Cpe = cpe.parse().map_err(|error| format!("{error}"))?;
        part.vendor = part.vendor.or_else(|| cpe.vendor.text().map(str::to_owned));
        part.version = part.version.or_else(|| cpe.version.text().map(str::to_owned));
    }
    if let Some((_, version)) =
        part.purl.as_deref().and_then(|purl| purl.split(['?', '#']).next()?.rsplit_once('@'))
    {
        part.version = part.version.or_else(|| Some(version.to_owned()));
    }
    if part.key().is_empty() {
        return Err(format!("`{}` is no name of a component", part.name));
    }
    Ok(part)
}

fn too_long(value: &str) -> String {
    format!("a value of {} bytes is longer than {VALUE_MAX}", value.len())
}

/// A day out of a day or a time, ISO 8601.
fn day(text: &str) -> Option<Day> {
    text.get(..10)?.parse().ok()
}

fn no_bill(file: &str, problem: &str) -> ImportError {
    ImportError::Kind {
        file: file.to_owned(),
        kind: IntelligenceKind::Sbom,
        problem: problem.to_owned(),
        hint: "use CycloneDX (JSON or XML) or SPDX (JSON, tag-value, or 3.0 as JSON-LD)",
    }
}

/// Lines of positions that mostly come in order.
struct Lines<'t> {
    text: &'t str,
    at: usize,
    line: u64,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        Self { text, at: 0, line: 1 }
    }

    /// The line of a part of the text, from 1.
    fn line(&mut self, part: &str) -> u64 {
        self.line_at((part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize))
    }

    /// The line of a byte of the text, from 1.
    fn line_at(&mut self, position: usize) -> u64 {
        let position = position.min(self.text.len());
        if position < self.at {
            (self.at, self.line) = (0, 1);
        }
        let passed = &self.text.as_bytes()[self.at..position];
        self.line += passed.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.at = position;
        self.line
    }
}
