//! CISA's catalogue of known exploited vulnerabilities, as JSON or CSV.

use std::io::BufRead;

use serde::Deserialize;

use super::importer::io;
use super::objects::{Cut, Item, objects};
use super::{ImportError, Importer, IntelligenceKind, Kev};

const RECORD_MAX: usize = 256 << 10;

/// The names are the same in JSON and in the CSV's first line.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(rename = "cveID")]
    cve_id: String,
    vendor_project: String,
    product: String,
    #[serde(default)]
    vulnerability_name: String,
    date_added: String,
    #[serde(default)]
    known_ransomware_campaign_use: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Catalogue {
    catalog_version: Option<String>,
}

pub(super) fn read(importer: &mut Importer, file: &str, mut from: impl BufRead) -> Result<(), ImportError> {
    let json = loop {
        match from.fill_buf().map_err(io(file))? {
            [] => return Err(not_kev(file, "it is empty")),
            [b'{', ..] => break true,
            [b' ' | b'\n' | b'\r' | b'\t' | 0xef | 0xbb | 0xbf, ..] => from.consume(1),
            _ => break false,
        }
    };
    if json { read_json(importer, file, from) } else { read_csv(importer, file, from) }
}

fn read_json(importer: &mut Importer, file: &str, from: impl BufRead) -> Result<(), ImportError> {
    let cut = Cut { depth: 2, object_max: RECORD_MAX, restart: false };
    let mut known = false;
    objects(from, cut, |item| match item {
        Item::Head(head) => {
            let closed = [head, b"]}"].concat();
            known = head.windows(17).any(|at| at == b"\"vulnerabilities\"");
            let version = serde_json::from_slice::<Catalogue>(&closed).ok().and_then(|c| c.catalog_version);
            if let Some(version) = version {
                importer.newer_version(version);
            }
        }
        Item::Object(line, bytes) if known => match serde_json::from_slice::<Entry>(bytes) {
            Ok(entry) => take(importer, file, line, entry),
            Err(error) => importer.reject_json(file, line, &error),
        },
        Item::Object(..) => {}
        Item::Broken(line, reason) => importer.reject(file, line, reason),
    })
    .map_err(io(file))?;
    if known { Ok(()) } else { Err(not_kev(file, "it has no list `vulnerabilities`")) }
}

fn read_csv(importer: &mut Importer, file: &str, from: impl BufRead) -> Result<(), ImportError> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(from);
    let headers = reader.headers().map_err(|error| csv_error(file, error))?.clone();
    if !headers.iter().any(|name| name == "cveID") {
        return Err(not_kev(file, "its first line names no column `cveID`"));
    }
    let mut record = csv::StringRecord::new();
    loop {
        let line = reader.position().line();
        match reader.read_record(&mut record) {
            Ok(false) => return Ok(()),
            Ok(true) => match record.deserialize::<Entry>(Some(&headers)) {
                Ok(entry) => take(importer, file, line, entry),
                Err(error) => importer.reject(file, line, error),
            },
            Err(error) if error.is_io_error() => return Err(csv_error(file, error)),
            Err(error) => importer.reject(file, line, error),
        }
    }
}

fn take(importer: &mut Importer, file: &str, line: u64, entry: Entry) {
    let (cve, added) = match (entry.cve_id.parse(), entry.date_added.parse()) {
        (Ok(cve), Ok(added)) => (cve, added),
        (Err(error), _) => return importer.reject(file, line, error),
        (_, Err(error)) => return importer.reject(file, line, error),
    };
    importer.kev.push(Kev {
        cve,
        vendor: entry.vendor_project,
        product: entry.product,
        name: entry.vulnerability_name,
        added,
        ransomware: entry.known_ransomware_campaign_use.eq_ignore_ascii_case("known"),
    });
}

fn csv_error(file: &str, error: csv::Error) -> ImportError {
    ImportError::Io { file: file.to_owned(), source: error.into() }
}

fn not_kev(file: &str, problem: &str) -> ImportError {
    ImportError::Kind {
        file: file.to_owned(),
        kind: IntelligenceKind::Kev,
        problem: problem.to_owned(),
        hint: "use known_exploited_vulnerabilities.json or .csv as CISA publishes it",
    }
}
