//! SPDX 2.x as lines of tags and values.

use super::spdx::{Document, agent, refer};
use super::{Bill, Listed, Support, day};
use crate::intelligence::{ImportError, Importer};

/// A package that is being read.
#[derive(Default)]
struct Open {
    id: Option<String>,
    supplier: Option<String>,
    originator: Option<String>,
    listed: Listed,
    is_file: bool,
}

pub(super) fn read(importer: &mut Importer, file: &str, text: &str) -> Result<Option<Bill>, ImportError> {
    let mut document = Document::default();
    let mut open: Option<Open> = None;
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let at = number as u64 + 1;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((tag, value)) = line.split_once(':') else {
            importer.reject(file, at, "the line is not `Tag: value`");
            continue;
        };
        let value = value.trim();
        // Texts of several lines hold licences and comments, of which nothing is read.
        if value.contains("<text>") && !value.contains("</text>") {
            for (_, more) in lines.by_ref() {
                if more.contains("</text>") {
                    break;
                }
            }
            continue;
        }
        match (tag, &mut open) {
            ("PackageName", _) => {
                close(importer, file, &mut document, open.take());
                let mut next = Open { listed: Listed { line: at, ..Listed::default() }, ..Open::default() };
                next.listed.part.name = value.to_owned();
                open = Some(next);
            }
            ("FileName" | "SnippetSPDXID" | "LicenseID", _) => {
                close(importer, file, &mut document, open.take())
            }
            ("DocumentNamespace", _) => document.namespace = Some(value.to_owned()),
            ("Created", _) => document.created = Some(value.to_owned()),
            ("Relationship", _) => match value.split_whitespace().collect::<Vec<_>>()[..] {
                [from, kind, to] => document.relate(from, kind, to),
                _ => importer.reject(file, at, "the relationship is not `element KIND element`"),
            },
            ("SPDXID", Some(package)) => package.id = Some(value.to_owned()),
            ("PackageVersion", Some(package)) => package.listed.part.version = Some(value.to_owned()),
            ("PackageSupplier", Some(package)) => package.supplier = agent(value),
            ("PackageOriginator", Some(package)) => package.originator = agent(value),
            ("PrimaryPackagePurpose", Some(package)) => package.is_file = value == "FILE",
            ("ValidUntilDate", Some(package)) => package.listed.support = day(value).map(Support::Until),
            ("ExternalRef", Some(package)) => match value.split_whitespace().collect::<Vec<_>>()[..] {
                [_, kind, locator] => refer(&mut package.listed.part, kind, locator),
                _ => importer.reject(file, at, "the reference is not `CATEGORY type locator`"),
            },
            _ => {}
        }
    }
    close(importer, file, &mut document, open);
    Ok(Some(document.bill()))
}

fn close(importer: &mut Importer, file: &str, document: &mut Document, open: Option<Open>) {
    let Some(mut open) = open else { return };
    let Some(id) = open.id else {
        return importer.reject(file, open.listed.line, "the package has no `SPDXID`");
    };
    open.listed.part.vendor = open.supplier.or(open.originator);
    if open.is_file {
        document.absent.insert(id.clone());
    }
    document.packages.push((id, open.listed));
}
