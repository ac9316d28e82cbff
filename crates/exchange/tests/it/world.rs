//! What the tests share: terms, samples, and both ways through a format.

use std::io::BufReader;
use std::net::IpAddr;
use std::path::PathBuf;

use kenshin_exchange::{Export, Fields, Format, Import, Look, Origin, Terms};
use kenshin_observation::{Blob, Endpoint, Observation, OrgId, Outcome, TimeUs, Tlp, Transport};
use kenshin_wire::http::page;
use kenshin_wire::telnet::{Prompt, prompt};
use sha2::{Digest, Sha256};

/// As the act that imports hands it in.
pub(crate) fn look() -> Look {
    Look {
        redact: kenshin_wire::redaction::text,
        title: page::title,
        password_form: page::has_password_form,
        prompt: |text| {
            let stops_at = prompt(text);
            [Prompt::Login, Prompt::Password, Prompt::Shell].map(|kind| stops_at == Some(kind))
        },
    }
}

pub(crate) fn terms() -> Terms {
    Terms {
        org_id: OrgId::from_bits(7),
        tlp: Tlp::Amber,
        time: TimeUs::from_secs(1_700_000_000),
        port: None,
        names: [("target".to_owned(), "198.51.100.7".parse::<IpAddr>().unwrap())].into(),
        look: look(),
    }
}

/// A file, read.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) rows: Vec<Observation>,
    pub(crate) blobs: Vec<Blob>,
    /// First lines of the problems.
    pub(crate) problems: Vec<String>,
}

pub(crate) fn read_with(format: Format, file: &str, bytes: &[u8], terms: Terms) -> Read {
    let origin = Origin::new(format.tool(), Sha256::digest(bytes).into());
    let mut read = Read::default();
    // Small reads, so that records are cut in the middle.
    for item in Import::new(format, file, BufReader::with_capacity(97, bytes), origin, terms) {
        match item {
            Ok(imported) => {
                read.rows.push(imported.observation);
                read.blobs.extend(imported.blobs);
            }
            Err(error) => read.problems.push(error.to_string().lines().next().unwrap().to_owned()),
        }
    }
    read
}

pub(crate) fn read(format: Format, file: &str, bytes: &[u8]) -> Read {
    read_with(format, file, bytes, terms())
}

/// One of our own samples, which a scanner wrote.
pub(crate) fn sample(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/exchange").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn write(format: Format, rows: &[Observation], fields: &str) -> String {
    let mut out = Vec::new();
    let fields = Fields { failures: true, ..fields.parse().unwrap() };
    let mut export = Export::new(format, &mut out, fields);
    for row in rows {
        export.row(row).unwrap();
    }
    export.finish().unwrap();
    String::from_utf8(out).expect("every format is UTF-8")
}

/// `192.0.2.10:80/tcp answered http`, or with `-` where there is no protocol.
pub(crate) fn show(row: &Observation) -> String {
    format!("{} {} {}", row.subject, row.outcome, row.protocol.as_deref().unwrap_or("-"))
}

pub(crate) fn shown(rows: &[Observation]) -> Vec<String> {
    let mut shown: Vec<String> = rows.iter().map(show).collect();
    shown.sort();
    shown
}

/// A row of our own.
pub(crate) fn row(subject: Endpoint, check: kenshin_observation::Check, outcome: Outcome) -> Observation {
    let file = "{\"saddr\": \"192.0.2.1\", \"sport\": 1}";
    let template = read(Format::ZmapJson, "row", file.as_bytes()).rows.remove(0);
    Observation {
        mandate_id: "example-isp-2026".to_owned(),
        subject,
        vantage: Endpoint::new("198.51.100.1".parse().unwrap(), 40_000, subject.transport),
        method_version: 1,
        check,
        outcome,
        ..template
    }
}

pub(crate) fn tcp(addr: &str, port: u16) -> Endpoint {
    Endpoint::new(addr.parse().unwrap(), port, Transport::Tcp)
}
