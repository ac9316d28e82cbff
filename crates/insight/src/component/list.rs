//! Statements about components that somebody wrote by hand: which product families contain what, and
//! what nobody maintains any more. TOML, or CSV for those who keep tables.

use std::io::{BufRead, Read};

use serde::Deserialize;
use toml::Spanned;

use super::{Basis, Contains, Fact, Family, Part, Upkeep};
use crate::intelligence::{Day, ImportError, Importer, IntelligenceKind, io};

/// Longest list in bytes.
const FILE_MAX: u64 = 16 << 20;

/// Percent to which a statement is believed that states no confidence.
const CONFIDENCE: u8 = 60;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    contains: Vec<Spanned<toml::Value>>,
    #[serde(default)]
    unmaintained: Vec<Spanned<toml::Value>>,
    #[serde(default)]
    maintained: Vec<Spanned<toml::Value>>,
}

/// A row of any of the lists, or of the CSV, whose columns have these names.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// `vendor:product[:versions]`; a row without one is about maintenance.
    #[serde(default)]
    product: String,
    /// `vendor:name[:versions]`.
    component: String,
    /// Where it says so.
    source: String,
    #[serde(default)]
    confidence: Option<u8>,
    #[serde(default)]
    cpe: Option<String>,
    /// Last day of support.
    #[serde(default)]
    since: Option<String>,
}

/// What a row says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Says {
    Contains,
    Maintained(bool),
}

pub(crate) fn read(importer: &mut Importer, file: &str, from: impl BufRead) -> Result<(), ImportError> {
    let mut bytes = Vec::new();
    from.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(io(file))?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(no_list(file, "it is larger than 16 MiB"));
    }
    let Ok(text) = std::str::from_utf8(&bytes) else { return Err(no_list(file, "it is not UTF-8")) };
    let text = text.trim_start_matches('\u{feff}');
    let first = text.lines().next().unwrap_or_default();
    if first.split(',').any(|column| column.trim() == "component") {
        read_csv(importer, file, text);
        return Ok(());
    }
    let document: Document = match toml::from_str(text) {
        Ok(document) => document,
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            importer.reject(file, line_of(text, at), error.message());
            return Ok(());
        }
    };
    let lists = [
        (Says::Contains, document.contains),
        (Says::Maintained(false), document.unmaintained),
        (Says::Maintained(true), document.maintained),
    ];
    for (says, rows) in lists {
        for row in rows {
            let line = line_of(text, row.span().start);
            match row.into_inner().try_into::<Row>() {
                Ok(row) => push(importer, file, line, fact(row, says)),
                Err(error) => importer.reject(file, line, error.message()),
            }
        }
    }
    Ok(())
}

fn read_csv(importer: &mut Importer, file: &str, text: &str) {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let mut rows = reader.deserialize::<Row>();
    loop {
        let line = rows.reader().position().line();
        match rows.next() {
            None => return,
            Some(Err(error)) => importer.reject(file, line, error),
            Some(Ok(row)) => {
                let says = if row.product.is_empty() { Says::Maintained(false) } else { Says::Contains };
                push(importer, file, line, fact(row, says));
            }
        }
    }
}

fn push(importer: &mut Importer, file: &str, line: u64, fact: Result<Fact, String>) {
    match fact {
        Ok(fact) => importer.facts.push(fact),
        Err(reason) => importer.reject(file, line, reason),
    }
}

fn fact(row: Row, says: Says) -> Result<Fact, String> {
    let named: Family = row.component.parse().map_err(|error| format!("{error}"))?;
    if let Some(cpe) = row.cpe.as_ref().filter(|cpe| !cpe.is_empty()) {
        cpe.parse::<crate::cpe::Cpe>().map_err(|error| error.to_string())?;
    }
    if row.source.trim().is_empty() {
        return Err("the row names no source".to_owned());
    }
    let part = Part {
        name: named.product,
        vendor: Some(named.vendor),
        version: named.versions,
        cpe: row.cpe.filter(|cpe| !cpe.is_empty()),
        purl: None,
    };
    match says {
        Says::Contains => {
            let confidence = row.confidence.unwrap_or(CONFIDENCE);
            if confidence > 100 {
                return Err(format!("a confidence of {confidence} is more than 100 percent"));
            }
            let family = row.product.parse().map_err(|error| format!("{error}"))?;
            Ok(Fact::Contains(Contains { family, part, basis: Basis::List, confidence, source: row.source }))
        }
        Says::Maintained(maintained) => {
            let since = row.since.filter(|day| !day.is_empty());
            let since = since.map(|day| day.parse::<Day>()).transpose().map_err(|error| error.to_string())?;
            Ok(Fact::Upkeep(Upkeep { part, maintained, since, source: row.source }))
        }
    }
}

fn line_of(text: &str, at: usize) -> u64 {
    text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count() as u64 + 1
}

fn no_list(file: &str, problem: &str) -> ImportError {
    ImportError::Kind {
        file: file.to_owned(),
        kind: IntelligenceKind::ComponentList,
        problem: problem.to_owned(),
        hint: "use TOML with [[contains]] and [[unmaintained]], or CSV with the columns product, component, source, confidence, since",
    }
}
