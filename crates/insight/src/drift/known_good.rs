//! Pages as they should be, stated by an operator or a maker (TOML).

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, Read};

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::Part;
use crate::component::Family;
use crate::intelligence::{ImportError, Importer, Intelligence, IntelligenceKind, Records, io};

/// Longest file in bytes.
const FILE_MAX: u64 = 16 << 20;

/// Values stated of one part at most.
const VALUES_MAX: usize = 1_000;

/// One page of one product, and what its parts may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownGood {
    /// Which product, in which versions.
    pub family: Family,
    /// Path of the page: that of a redirect within the device, or `/`.
    pub path: String,
    /// Good values by part: digests (SHA-256, hexadecimal) of bodies and icons, texts of the others.
    pub parts: BTreeMap<Part, BTreeSet<String>>,
    /// Document or address that says so.
    pub source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    page: Vec<Spanned<toml::Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Row {
    product: String,
    #[serde(default = "root")]
    path: String,
    source: String,
    #[serde(default)]
    body: Vec<String>,
    #[serde(default)]
    icon: Vec<String>,
    #[serde(default)]
    title: Vec<String>,
    #[serde(default)]
    server: Vec<String>,
}

fn root() -> String {
    "/".to_owned()
}

pub(crate) fn read(importer: &mut Importer, file: &str, from: impl BufRead) -> Result<(), ImportError> {
    let refuse = |problem: &str| ImportError::Kind {
        file: file.to_owned(),
        kind: IntelligenceKind::KnownGood,
        problem: problem.to_owned(),
        hint: "use TOML with [[page]]: product, path, source, and body, icon, title or server",
    };
    let mut bytes = Vec::new();
    from.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(io(file))?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(refuse("it is larger than 16 MiB"));
    }
    let Ok(text) = std::str::from_utf8(&bytes) else { return Err(refuse("it is not UTF-8")) };
    let line = |at: usize| {
        text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count() as u64 + 1
    };
    let document: Document = match toml::from_str(text) {
        Ok(document) => document,
        Err(error) => {
            importer.reject(file, line(error.span().map_or(0, |span| span.start)), error.message());
            return Ok(());
        }
    };
    for row in document.page {
        let at = line(row.span().start);
        let row = row.into_inner().try_into::<Row>().map_err(|error| error.message().to_owned());
        match row.and_then(known_good) {
            Ok(good) => importer.known_good.push(good),
            Err(reason) => importer.reject(file, at, reason),
        }
    }
    Ok(())
}

fn known_good(row: Row) -> Result<KnownGood, String> {
    let family: Family = row.product.parse().map_err(|error| format!("{error}"))?;
    if family.versions.is_none() {
        return Err(format!("`{}` names no version: pages change with each", row.product));
    }
    let is_digest = |text: &String| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if let Some(wrong) = row.body.iter().chain(&row.icon).find(|text| !is_digest(text)) {
        return Err(format!(
            "`{}` is not a SHA-256 in hexadecimal",
            wrong.chars().take(80).collect::<String>()
        ));
    }
    let lower = |values: Vec<String>| values.into_iter().map(|value| value.to_lowercase()).collect();
    let stated: [(Part, BTreeSet<String>); 4] = [
        (Part::Body, lower(row.body)),
        (Part::Icon, lower(row.icon)),
        (Part::Title, row.title.into_iter().collect()),
        (Part::Server, row.server.into_iter().collect()),
    ];
    let parts: BTreeMap<Part, BTreeSet<String>> =
        stated.into_iter().filter(|(_, values)| !values.is_empty()).collect();
    if parts.is_empty() || parts.values().any(|values| values.len() > VALUES_MAX) {
        return Err(format!(
            "a page states at least one of body, icon, title and server, and at most {VALUES_MAX} values of each"
        ));
    }
    if row.source.trim().is_empty() {
        return Err("the page names no source".to_owned());
    }
    Ok(KnownGood { family, path: row.path, parts, source: row.source })
}

impl Intelligence {
    /// Every page stated as known-good, with the snapshot that states it.
    pub fn known_good(&self) -> Vec<(&KnownGood, String)> {
        let mut all = Vec::new();
        for snapshot in self.snapshots() {
            if let Records::KnownGood(records) = &snapshot.records {
                let name = snapshot.name();
                all.extend(records.iter().map(|good| (good, name.clone())));
            }
        }
        all
    }
}
