//! Every range of real CVE records: versions inside, at the edges and outside, judged by the engine and
//! by a slow reading of the format that shares nothing with it.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};

use flate2::read::GzDecoder;
use kenshin_insight::intelligence::{Cve, CveId, Importer, Intelligence, IntelligenceKind, Records, Status};
use serde_json::{Value, json};

use crate::knowledge::shared;

/// A version as runs of digits, runs of letters, and whatever is between.
#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Number(u128),
    Text(String),
}

fn pieces(version: &str) -> Vec<Piece> {
    let lower = version.trim().to_lowercase();
    let mut rest = match lower.strip_prefix('v') {
        Some(number) if number.starts_with(|c: char| c.is_ascii_digit()) => number,
        _ => lower.as_str(),
    };
    let mut out = Vec::new();
    while !rest.is_empty() {
        let digit = rest.starts_with(|c: char| c.is_ascii_digit());
        let end = rest.find(|c: char| c.is_ascii_digit() != digit).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        out.push(match piece.parse() {
            Ok(number) if digit => Piece::Number(number),
            _ => Piece::Text(piece.to_owned()),
        });
        rest = after;
    }
    out
}

/// The numbers of a version that is dotted numbers and nothing else.
fn dotted(pieces: &[Piece]) -> Option<Vec<u128>> {
    let mut numbers = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Number(number) if at % 2 == 0 => numbers.push(*number),
            Piece::Text(dot) if at % 2 == 1 && dot == "." => {}
            _ => return None,
        }
    }
    (pieces.len() % 2 == 1).then_some(numbers)
}

/// The order of two versions where it is beyond doubt: dotted numbers, or the same text with other
/// numbers in it.
fn order(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (pieces(a), pieces(b));
    if let (Some(mut a), Some(mut b)) = (dotted(&a), dotted(&b)) {
        let longest = a.len().max(b.len());
        a.resize(longest, 0);
        b.resize(longest, 0);
        return Some(a.cmp(&b));
    }
    if a.len() != b.len() || a.is_empty() {
        return None;
    }
    for pair in a.iter().zip(&b) {
        match pair {
            (Piece::Number(a), Piece::Number(b)) if a != b => return Some(a.cmp(b)),
            (Piece::Text(a), Piece::Text(b)) if a != b => return None,
            (Piece::Number(_), Piece::Number(_)) | (Piece::Text(_), Piece::Text(_)) => {}
            _ => return None,
        }
    }
    Some(Ordering::Equal)
}

fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key).and_then(Value::as_str)
}

/// The record format's own words, taken literally: the first element of `versions` that holds the
/// version decides, else the default. `None` when an element cannot be compared.
fn literal_status(entry: &Value, version: &str) -> Option<Status> {
    for element in entry["versions"].as_array()? {
        let from = text(element, "version")?;
        let end = text(element, "lessThan").map(|end| (end, false));
        let end = end.or_else(|| text(element, "lessThanOrEqual").map(|end| (end, true)));
        let inside = match end {
            None => order(version, from)? == Ordering::Equal,
            Some((end, inclusive)) => {
                // An empty range is a slip of whoever wrote it; the engine says nothing there.
                if end == from && !inclusive {
                    return None;
                }
                let above = from == "0" || order(version, from)? != Ordering::Less;
                let below = end == "*"
                    || match order(version, end)? {
                        Ordering::Less => true,
                        Ordering::Equal => inclusive,
                        Ordering::Greater => false,
                    };
                above && below
            }
        };
        if inside {
            let mut status: Status = text(element, "status")?.parse().ok()?;
            for change in element["changes"].as_array().into_iter().flatten() {
                if order(version, text(change, "at")?)? != Ordering::Less {
                    status = text(change, "status")?.parse().ok()?;
                }
            }
            return Some(status);
        }
    }
    text(entry, "defaultStatus").unwrap_or("unknown").parse().ok()
}

/// The version with its last number changed by `by`; the digits keep their length.
fn neighbour(version: &str, by: i128) -> Option<String> {
    let end = version.rfind(|c: char| c.is_ascii_digit())? + 1;
    let start = version[..end].rfind(|c: char| !c.is_ascii_digit()).map_or(0, |at| at + 1);
    let digits = &version[start..end];
    let number = digits.parse::<i128>().ok()? + by;
    (number >= 0)
        .then(|| format!("{}{number:0width$}{}", &version[..start], &version[end..], width = digits.len()))
}

/// Versions inside, at the edges and outside of each range of an entry.
fn probes(entry: &Value) -> Vec<String> {
    let mut out = Vec::new();
    for element in entry["versions"].as_array().into_iter().flatten() {
        let Some(end) = text(element, "lessThan").or_else(|| text(element, "lessThanOrEqual")) else {
            continue;
        };
        for bound in [text(element, "version").unwrap_or_default(), end] {
            if bound.chars().any(|c| c.is_ascii_digit()) {
                out.push(bound.trim().to_owned());
                out.extend([neighbour(bound.trim(), -1), neighbour(bound.trim(), 1)].into_iter().flatten());
            }
        }
    }
    out.sort();
    out.dedup();
    out
}

/// Kinds of version types that are counted apart.
fn kind(entry: &Value) -> &'static str {
    let versions = entry["versions"].as_array().into_iter().flatten();
    let ranges: Vec<&Value> = versions
        .filter(|element| element.get("lessThan").or(element.get("lessThanOrEqual")).is_some())
        .collect();
    let numeric = |element: &&Value| {
        let bounds = ["version", "lessThan", "lessThanOrEqual"].iter().filter_map(|key| text(element, key));
        bounds.filter(|bound| *bound != "*").all(|bound| dotted(&pieces(bound)).is_some())
    };
    if ranges.iter().all(numeric) {
        "numeric"
    } else if ranges.iter().all(|element| text(element, "versionType") == Some("semver")) {
        "semver"
    } else {
        "other"
    }
}

#[derive(Debug, Default)]
struct Count {
    told: u32,
    right: u32,
    unknown: u32,
    wrong: Vec<String>,
    open: Vec<String>,
}

#[test]
fn every_range_of_the_iot_vendors_is_judged_as_it_reads() {
    let Some(file) = shared("cve5-iot/iot-to-2023.jsonl.gz") else { return };
    // Each entry becomes a record of its own, so that one entry is judged at a time, through import and
    // index.
    let lines = BufReader::new(GzDecoder::new(std::fs::File::open(file).unwrap())).lines();
    let mut entries: Vec<Value> = Vec::new();
    for line in lines {
        let record: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let adp = record["containers"]["adp"].as_array().into_iter().flatten();
        for container in std::iter::once(&record["containers"]["cna"]).chain(adp) {
            let affected = container["affected"].as_array().into_iter().flatten();
            entries.extend(affected.filter(|entry| !probes(entry).is_empty()).cloned());
        }
    }
    let mut importer = Importer::new(IntelligenceKind::Cve);
    let mut document = Vec::new();
    for (number, entry) in entries.iter().enumerate() {
        let record = json!({
            "dataType": "CVE_RECORD",
            "cveMetadata": { "cveId": format!("CVE-2099-{number:05}"), "state": "PUBLISHED" },
            "containers": { "cna": { "affected": [entry] } },
        });
        document.extend(serde_json::to_vec(&record).unwrap());
        document.push(b'\n');
    }
    importer.read("entries.jsonl", document.as_slice()).unwrap();
    let import = importer.finish("2026-04-01".parse().unwrap());
    assert!(import.rejected.is_empty(), "{:?}", import.rejected);
    let Records::Cve(records) = &import.snapshot.records else { panic!("cve") };
    let by_id: BTreeMap<CveId, &Cve> = records.iter().map(|record| (record.id, record)).collect();
    let intelligence = Intelligence::new([import.snapshot.clone()]);

    let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
    for (number, entry) in entries.iter().enumerate() {
        let id = format!("CVE-2099-{number:05}").parse().unwrap();
        let (vendor, product) = (text(entry, "vendor").unwrap_or(""), text(entry, "product").unwrap_or(""));
        // Names such as n/a are left out by the import.
        let Some(imported) = by_id.get(&id).and_then(|record| record.affected.first()) else { continue };
        let count = counts.entry(kind(entry)).or_default();
        for version in probes(entry) {
            let Some(expected) = literal_status(entry, &version) else { continue };
            let found = imported.status(&version);
            if number % 10 == 0 {
                let matches = intelligence.matches(vendor, product, &version);
                let indexed = matches.iter().find(|found| found.cve.id == id);
                assert_eq!(
                    indexed.map(|indexed| indexed.status),
                    Some(found),
                    "{vendor} {product} {version}"
                );
            }
            count.told += 1;
            let shown =
                || format!("{vendor} {product} {version}: {found} not {expected}, {}", entry["versions"]);
            if found == expected {
                count.right += 1;
            } else if found == Status::Unknown {
                count.unknown += 1;
                count.open.push(shown());
            } else {
                count.wrong.push(shown());
            }
        }
    }
    for (kind, count) in &counts {
        eprintln!(
            "{kind}: {} told, {} right, {} unknown, {} wrong",
            count.told,
            count.right,
            count.unknown,
            count.wrong.len()
        );
        for line in count.wrong.iter().take(10).chain(count.open.iter().take(12)) {
            eprintln!("  {}", line.chars().take(300).collect::<String>());
        }
    }
    let told = |kind: &str| &counts[kind];
    assert!(told("numeric").told > 3_000 && told("semver").told > 20, "there is something to judge");
    for (kind, count) in &counts {
        assert!(count.wrong.is_empty(), "{kind}: {:?}", count.wrong);
        assert!(f64::from(count.unknown) <= 0.1 * f64::from(count.told), "{kind}: {} unknown", count.unknown);
    }
}

#[test]
fn the_slow_reading_knows_what_it_knows() {
    for (a, b, expected) in [
        ("1.2", "1.10", Some(Ordering::Less)),
        ("v1.2", "1.2.0", Some(Ordering::Equal)),
        ("1.04b11", "1.04b12", Some(Ordering::Less)),
        ("22.2R3-S3", "22.2R3-S2", Some(Ordering::Greater)),
        ("2.16ww", "2.16eu", None),
        ("1.0", "1.0b1", None),
        ("", "1", None),
    ] {
        assert_eq!(order(a, b), expected, "{a} ? {b}");
    }
    assert_eq!(neighbour("1.04b12", 1).as_deref(), Some("1.04b13"));
    assert_eq!(neighbour("1.09", 1).as_deref(), Some("1.10"));
    assert_eq!(neighbour("1.0", -1), None);
}
