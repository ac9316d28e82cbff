//! CVE records in format 5: JSON lines, one document a file, or several. Files of NVD go to [`nvd`].

use std::io::{BufRead, Read};

use serde::Deserialize;

use super::importer::io;
use super::nvd;
use super::objects::{Cut, Item, objects};
use super::ssvc;
use super::{
    Affected, Bound, Change, Cve, Cvss, Day, ImportError, Importer, IntelligenceKind, Names, Range, Status,
};
use crate::cpe::{Attribute, Cpe};

/// The longest records of the list are below 2 MiB.
pub(super) const RECORD_MAX: usize = 16 << 20;
pub(super) const TITLE_MAX: usize = 160;
/// More than any record of the list holds; beyond it a record is refused as a whole.
const AFFECTED_MAX: usize = 20_000;

/// Bytes at the beginning of a file by which its publisher is told.
const HEAD_BYTES: u64 = 512;

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "cveMetadata")]
    metadata: Metadata,
    #[serde(default)]
    containers: Containers,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    cve_id: String,
    state: String,
    date_updated: Option<String>,
}

#[derive(Deserialize, Default)]
struct Containers {
    #[serde(default)]
    cna: Container,
    #[serde(default)]
    adp: Vec<Container>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Container {
    title: Option<String>,
    affected: Vec<Product>,
    descriptions: Vec<Description>,
    metrics: Vec<Metric>,
    cpe_applicability: Vec<Applicability>,
}

#[derive(Deserialize)]
struct Description {
    lang: String,
    value: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Metric {
    #[serde(rename = "cvssV4_0")]
    v4_0: Option<Score>,
    #[serde(rename = "cvssV3_1")]
    v3_1: Option<Score>,
    #[serde(rename = "cvssV3_0")]
    v3_0: Option<Score>,
    #[serde(rename = "cvssV2_0")]
    v2_0: Option<Score>,
    other: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Score {
    version: String,
    base_score: f64,
    #[serde(default)]
    vector_string: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Product {
    vendor: Option<String>,
    product: Option<String>,
    #[serde(default)]
    cpes: Vec<String>,
    default_status: Option<Status>,
    #[serde(default)]
    versions: Vec<Version>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    version: String,
    status: Status,
    version_type: Option<String>,
    less_than: Option<String>,
    less_than_or_equal: Option<String>,
    #[serde(default)]
    changes: Vec<StatusChange>,
}

#[derive(Deserialize)]
struct StatusChange {
    at: String,
    status: Status,
}

#[derive(Deserialize)]
pub(super) struct Applicability {
    operator: Option<String>,
    #[serde(default)]
    negate: bool,
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    #[serde(default)]
    negate: bool,
    cpe_match: Vec<CpeMatch>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CpeMatch {
    vulnerable: bool,
    criteria: String,
    version_start_including: Option<String>,
    version_start_excluding: Option<String>,
    version_end_including: Option<String>,
    version_end_excluding: Option<String>,
}

pub(super) fn read(importer: &mut Importer, file: &str, mut from: impl BufRead) -> Result<(), ImportError> {
    let mut head = Vec::new();
    from.by_ref().take(HEAD_BYTES).read_to_end(&mut head).map_err(io(file))?;
    if nvd::is_nvd(&head) {
        return nvd::read(importer, file, &head, head.as_slice().chain(from));
    }
    let mut from = std::io::Cursor::new(head).chain(from);
    // A list of records has one bracket around each.
    let first = loop {
        match from.fill_buf().map_err(io(file))?.first() {
            Some(b' ' | b'\n' | b'\r' | b'\t' | 0xef | 0xbb | 0xbf) => from.consume(1),
            first => break first.copied(),
        }
    };
    if !matches!(first, Some(b'{' | b'[')) {
        return Err(not_cve(file, "it does not begin as JSON"));
    }
    let cut = Cut { depth: usize::from(first == Some(b'[')), object_max: RECORD_MAX, restart: true };
    objects(from, cut, |item| match item {
        Item::Head(_) => {}
        Item::Broken(line, reason) => importer.reject(file, line, reason),
        Item::Object(line, bytes) => match serde_json::from_slice::<Document>(bytes) {
            Err(error) => importer.reject_json(file, line, &error),
            Ok(document) => match record(document) {
                Ok(record) => importer.cve.push(record),
                Err(reason) => importer.reject(file, line, reason),
            },
        },
    })
    .map_err(io(file))
}

pub(super) fn not_cve(file: &str, problem: &str) -> ImportError {
    ImportError::Kind {
        file: file.to_owned(),
        kind: IntelligenceKind::Cve,
        problem: problem.to_owned(),
        hint: "use JSON of CVE records in format 5, or NVD's API 2.0 for vulnerabilities",
    }
}

fn record(document: Document) -> Result<Cve, String> {
    let id = document.metadata.cve_id.parse().map_err(|error| format!("{error}"))?;
    let updated = document.metadata.date_updated.and_then(|time| time.get(..10)?.parse::<Day>().ok());
    if document.metadata.state != "PUBLISHED" {
        // Withdrawn: an empty record overrides what an earlier file said.
        return Ok(Cve { id, title: None, updated, cvss: None, ssvc: None, affected: Vec::new() });
    }
    let Containers { cna, adp } = document.containers;
    let title = cna.title.clone().or_else(|| {
        let english = cna.descriptions.iter().find(|description| description.lang.starts_with("en"))?;
        Some(english.value.clone())
    });
    let cvss = std::iter::once(&cna).chain(&adp).find_map(|container| best(&container.metrics));
    let ssvc =
        adp.iter().flat_map(|adp| &adp.metrics).find_map(|metric| ssvc::answers(metric.other.as_ref()?));
    let mut affected = Vec::new();
    for (source, container) in std::iter::once(("cna", cna)).chain(adp.into_iter().map(|adp| ("adp", adp))) {
        affected.extend(container.affected.into_iter().filter_map(|product| entry(source, product)));
        for applicability in container.cpe_applicability {
            affected.extend(applicable(source, applicability));
        }
    }
    if affected.len() > AFFECTED_MAX {
        return Err(format!("{id} names {} products; at most {AFFECTED_MAX} are read", affected.len()));
    }
    let title = title.map(|title| title.chars().take(TITLE_MAX).collect());
    Ok(Cve { id, title, updated, cvss, ssvc, affected })
}

fn best(metrics: &[Metric]) -> Option<Cvss> {
    let by_version: [fn(&Metric) -> Option<&Score>; 4] =
        [|m| m.v4_0.as_ref(), |m| m.v3_1.as_ref(), |m| m.v3_0.as_ref(), |m| m.v2_0.as_ref()];
    by_version.into_iter().find_map(|of| metrics.iter().find_map(of)).and_then(score)
}

pub(super) fn score(score: &Score) -> Option<Cvss> {
    let tenths = (score.base_score * 10.0).round();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the value lies between 0 and 100"
    )]
    (0.0..=100.0).contains(&tenths).then(|| Cvss {
        version: score.version.clone(),
        score_tenths: tenths as u8,
        vector: score.vector_string.clone(),
    })
}

/// An `affected` entry; `None` when it names no vendor or product that could be matched.
fn entry(source: &str, product: Product) -> Option<Affected> {
    let (vendor, name) = (product.vendor.unwrap_or_default(), product.product.unwrap_or_default());
    let names = Names::of(&vendor, &name);
    if (names.vendors.is_empty() || names.products.is_empty()) && product.cpes.is_empty() {
        return None;
    }
    let mut default = product.default_status.unwrap_or(Status::Unknown);
    let mut ranges = Vec::with_capacity(product.versions.len());
    for version in product.versions {
        // Commits have no order that could be seen from outside.
        if version.version_type.as_deref() == Some("git") {
            default = Status::Unknown;
            continue;
        }
        let to = match (version.less_than, version.less_than_or_equal) {
            (Some(bound), _) => Some(Bound::LessThan(bound)),
            (None, Some(bound)) => Some(Bound::AtMost(bound)),
            (None, None) => None,
        };
        let changes =
            version.changes.into_iter().map(|change| Change { at: change.at, status: change.status });
        ranges.push(Range { status: version.status, from: version.version, to, changes: changes.collect() });
    }
    Some(Affected { source: source.to_owned(), vendor, product: name, cpes: product.cpes, default, ranges })
}

/// Entries of a CPE configuration. Alternatives are taken; of a conjunction only firmware that runs
/// on its own hardware, because anything else cannot be told from outside.
pub(super) fn applicable(source: &str, applicability: Applicability) -> Vec<Affected> {
    if applicability.negate || applicability.nodes.iter().any(|node| node.negate) {
        return Vec::new();
    }
    let all = applicability.operator.as_deref().is_some_and(|operator| operator.eq_ignore_ascii_case("AND"));
    let hardware: Vec<Cpe> = applicability
        .nodes
        .iter()
        .flat_map(|node| &node.cpe_match)
        .filter(|found| !found.vulnerable)
        .filter_map(|found| found.criteria.parse().ok())
        .collect();
    let on_own_hardware = |cpe: &Cpe| {
        let (Some(vendor), Some(product)) = (cpe.vendor.text(), cpe.product.text()) else { return false };
        let own = Names::of(vendor, product).products;
        hardware.iter().any(|hardware| {
            hardware.part.text() == Some("h")
                && hardware
                    .product
                    .text()
                    .is_some_and(|name| own.contains(&name.replace(|c: char| !c.is_alphanumeric(), "")))
        })
    };
    let vulnerable =
        applicability.nodes.iter().flat_map(|node| &node.cpe_match).filter(|found| found.vulnerable);
    vulnerable
        .filter_map(|found| {
            let cpe: Cpe = found.criteria.parse().ok()?;
            let single = applicability.nodes.len() == 1;
            if all && !single && !on_own_hardware(&cpe) {
                return None;
            }
            Some(Affected {
                source: source.to_owned(),
                vendor: cpe.vendor.text()?.to_owned(),
                product: cpe.product.text()?.to_owned(),
                cpes: vec![found.criteria.clone()],
                default: Status::Unknown,
                ranges: ranges(found, &cpe)?,
            })
        })
        .collect()
}

fn ranges(found: &CpeMatch, cpe: &Cpe) -> Option<Vec<Range>> {
    let range = |status, from: &str, to| Range { status, from: from.to_owned(), to, changes: Vec::new() };
    let to = match (&found.version_end_excluding, &found.version_end_including) {
        (Some(end), _) => Some(Bound::LessThan(end.clone())),
        (None, Some(end)) => Some(Bound::AtMost(end.clone())),
        (None, None) => None,
    };
    let open = || Bound::LessThan("*".to_owned());
    Some(match (&found.version_start_including, &found.version_start_excluding) {
        (Some(start), _) => vec![range(Status::Affected, start, Some(to.unwrap_or_else(open)))],
        (None, Some(start)) => vec![
            range(Status::Unaffected, start, None),
            range(Status::Affected, start, Some(to.unwrap_or_else(open))),
        ],
        (None, None) if to.is_some() => vec![range(Status::Affected, "0", to)],
        (None, None) => match &cpe.version {
            Attribute::Any => vec![range(Status::Affected, "0", Some(open()))],
            version => vec![range(Status::Affected, version.text()?, None)],
        },
    })
}
