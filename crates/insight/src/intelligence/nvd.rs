//! Records of the National Vulnerability Database as its API 2.0 answers them: pages, or one record a
//! file as its mirrors keep them.
//!
//! What NVD adds to a CVE record is its configurations: CPE names with ranges of versions. Of the
//! record itself the CVE list says more; where an import holds both, they are joined.

use std::collections::BTreeMap;
use std::io::BufRead;

use serde::Deserialize;

use super::cve::{Applicability, RECORD_MAX, Score, TITLE_MAX, applicable, not_cve, score};
use super::importer::io;
use super::objects::{Cut, Item, objects};
use super::{Cve, CveId, Day, ImportError, Importer};

/// How the entries of these records name their source.
const SOURCE: &str = "nvd";

/// A record in a page, or alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum Document {
    Paged { cve: Record },
    Alone(Record),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    id: String,
    last_modified: Option<String>,
    vuln_status: Option<String>,
    #[serde(default)]
    descriptions: Vec<Description>,
    #[serde(default)]
    metrics: Metrics,
    #[serde(default)]
    configurations: Vec<Applicability>,
}

#[derive(Deserialize)]
struct Description {
    lang: String,
    value: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Metrics {
    #[serde(rename = "cvssMetricV40")]
    v4_0: Vec<Metric>,
    #[serde(rename = "cvssMetricV31")]
    v3_1: Vec<Metric>,
    #[serde(rename = "cvssMetricV30")]
    v3_0: Vec<Metric>,
    #[serde(rename = "cvssMetricV2")]
    v2_0: Vec<Metric>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metric {
    cvss_data: Score,
}

/// True when a file that begins so is one of NVD's.
pub(super) fn is_nvd(head: &[u8]) -> bool {
    let holds = |word: &str| head.windows(word.len()).any(|at| at == word.as_bytes());
    holds("\"resultsPerPage\"") || holds("\"sourceIdentifier\"")
}

/// Reads a file that begins with `head`.
pub(super) fn read(
    importer: &mut Importer,
    file: &str,
    head: &[u8],
    from: impl BufRead,
) -> Result<(), ImportError> {
    let paged = head.windows(16).any(|at| at == b"\"resultsPerPage\"");
    let cut = Cut { depth: if paged { 2 } else { 0 }, object_max: RECORD_MAX, restart: false };
    // NVD answers other questions in pages of the same kind.
    let mut known = !paged;
    objects(from, cut, |item| match item {
        Item::Head(head) => known |= head.windows(17).any(|at| at == b"\"vulnerabilities\""),
        Item::Broken(line, reason) => importer.reject(file, line, reason),
        Item::Object(..) if !known => {}
        Item::Object(line, bytes) => match serde_json::from_slice::<Document>(bytes) {
            Err(error) => importer.reject_json(file, line, &error),
            Ok(Document::Paged { cve } | Document::Alone(cve)) => match record(cve) {
                Ok(record) => importer.nvd.push(record),
                Err(reason) => importer.reject(file, line, reason),
            },
        },
    })
    .map_err(io(file))?;
    if known { Ok(()) } else { Err(not_cve(file, "it is a page of NVD without a list `vulnerabilities`")) }
}

fn record(record: Record) -> Result<Cve, String> {
    let id = record.id.parse().map_err(|error| format!("{error}"))?;
    let updated = record.last_modified.and_then(|time| time.get(..10)?.parse::<Day>().ok());
    if record.vuln_status.as_deref() == Some("Rejected") {
        return Ok(Cve { id, title: None, updated, cvss: None, ssvc: None, affected: Vec::new() });
    }
    let english = record.descriptions.into_iter().find(|description| description.lang.starts_with("en"));
    let Metrics { v4_0, v3_1, v3_0, v2_0 } = record.metrics;
    let best = [v4_0, v3_1, v3_0, v2_0].into_iter().flatten().next();
    Ok(Cve {
        id,
        title: english.map(|description| description.value.chars().take(TITLE_MAX).collect()),
        updated,
        cvss: best.and_then(|metric| score(&metric.cvss_data)),
        ssvc: None,
        affected: record.configurations.into_iter().flat_map(|one| applicable(SOURCE, one)).collect(),
    })
}

/// The records of the CVE list with what NVD adds. A record that the list has withdrawn stays so.
pub(super) fn join(list: Vec<Cve>, nvd: Vec<Cve>) -> Vec<Cve> {
    if nvd.is_empty() {
        return list;
    }
    // Of several records of one CVE the last counts.
    let mut joined: BTreeMap<CveId, Cve> = list.into_iter().map(|cve| (cve.id, cve)).collect();
    let of_nvd: BTreeMap<CveId, Cve> = nvd.into_iter().map(|cve| (cve.id, cve)).collect();
    for (id, added) in of_nvd {
        match joined.get_mut(&id) {
            None => {
                joined.insert(id, added);
            }
            Some(held) if held.title.is_none() && held.affected.is_empty() => {}
            Some(held) => {
                held.affected.extend(added.affected);
                held.cvss = held.cvss.take().or(added.cvss);
                held.updated = held.updated.max(added.updated);
            }
        }
    }
    joined.into_values().collect()
}
