//! Records in the Open Source Vulnerability format 1 (<https://ossf.github.io/osv-schema/>): one a
//! file, JSON lines, or a list.

use std::io::BufRead;

use serde::Deserialize;

use super::importer::io;
use super::objects::{Cut, Item, objects};
use super::snapshot;
use super::{
    Affected, Bound, CveId, Day, ImportError, Importer, IntelligenceKind, Osv, Package, Range, Status,
};

const RECORD_MAX: usize = 16 << 20;
const TITLE_MAX: usize = 160;
/// Most packages, and versions of one of them, that are read of one record.
const PACKAGES_MAX: usize = 10_000;
const VERSIONS_MAX: usize = 50_000;
/// Most bytes to which the versions of one record come, which are stated once and hold for each of its
/// repositories.
const COPIES_MAX: usize = 64 << 20;

/// Where only a repository is stated.
pub(super) const GIT: &str = "GIT";

#[derive(Deserialize)]
struct Record {
    id: String,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    upstream: Vec<String>,
    summary: Option<String>,
    details: Option<String>,
    modified: Option<String>,
    withdrawn: Option<String>,
    #[serde(default)]
    affected: Vec<Entry>,
    #[serde(default)]
    database_specific: serde_json::Value,
}

#[derive(Deserialize)]
struct Entry {
    package: Option<Name>,
    #[serde(default)]
    ranges: Vec<Events>,
    #[serde(default)]
    versions: Vec<String>,
    #[serde(default)]
    database_specific: serde_json::Value,
    #[serde(default)]
    ecosystem_specific: serde_json::Value,
}

#[derive(Deserialize)]
struct Name {
    ecosystem: String,
    name: String,
    purl: Option<String>,
}

#[derive(Deserialize)]
struct Events {
    #[serde(rename = "type")]
    kind: String,
    repo: Option<String>,
    #[serde(default)]
    events: Vec<Event>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Event {
    introduced: Option<String>,
    fixed: Option<String>,
    last_affected: Option<String>,
    limit: Option<String>,
}

pub(super) fn read(importer: &mut Importer, file: &str, mut from: impl BufRead) -> Result<(), ImportError> {
    let first = loop {
        match from.fill_buf().map_err(io(file))?.first() {
            Some(b' ' | b'\n' | b'\r' | b'\t' | 0xef | 0xbb | 0xbf) => from.consume(1),
            first => break first.copied(),
        }
    };
    let depth = match first {
        Some(b'{') => 0,
        Some(b'[') => 1,
        None => return Err(not_osv(file, "it is empty")),
        Some(_) => return Err(not_osv(file, "it does not begin as JSON")),
    };
    objects(from, Cut { depth, object_max: RECORD_MAX, restart: true }, |item| match item {
        Item::Head(_) => {}
        Item::Broken(line, reason) => importer.reject(file, line, reason),
        Item::Object(line, bytes) => match serde_json::from_slice::<Record>(bytes) {
            Err(error) => importer.reject_json(file, line, &error),
            Ok(found) => match record(found) {
                Ok(record) if !snapshot::fits(&record) => importer.reject(file, line, snapshot::TOO_LONG),
                Ok(record) => importer.osv.push(record),
                Err(reason) => importer.reject(file, line, reason),
            },
        },
    })
    .map_err(io(file))
}

fn record(record: Record) -> Result<Osv, String> {
    let cut = |text: &str| text.chars().take(TITLE_MAX).collect::<String>();
    let id = cut(&record.id);
    let names = [&record.id].into_iter().chain(&record.aliases).chain(&record.upstream);
    let mut cves: Vec<CveId> = names.filter_map(|name| name.parse().ok()).collect();
    cves.sort();
    cves.dedup();
    let day = |time: &str| time.get(..10)?.parse::<Day>().ok();
    let mut found = Osv {
        id,
        cves,
        title: record.summary.or(record.details).map(|text| cut(&text)),
        updated: record.modified.as_deref().and_then(day),
        withdrawn: record.withdrawn.is_some(),
        unmaintained: false,
        packages: Vec::new(),
    };
    if found.withdrawn {
        return Ok(found);
    }
    // RustSec says it of the package, others of the record.
    let told = |value: &serde_json::Value| {
        ["informational", "type"]
            .iter()
            .any(|key| value.get(key).and_then(|word| word.as_str()) == Some("unmaintained"))
    };
    let entries = &record.affected;
    found.unmaintained = told(&record.database_specific)
        || entries.iter().any(|entry| told(&entry.database_specific) || told(&entry.ecosystem_specific));
    let mut room = COPIES_MAX;
    for entry in record.affected {
        let packages = packages(entry, &mut room).map_err(|reason| format!("`{}`: {reason}", found.id))?;
        found.packages.extend(packages);
        if found.packages.len() > PACKAGES_MAX {
            return Err(format!("`{}` names more than {PACKAGES_MAX} packages", found.id));
        }
    }
    Ok(found)
}

/// The package of an entry; without one, the repositories of its ranges. `room` is what all entries of
/// the record may still take.
fn packages(entry: Entry, room: &mut usize) -> Result<Vec<Package>, String> {
    if entry.versions.len() > VERSIONS_MAX {
        return Err(format!("more than {VERSIONS_MAX} versions"));
    }
    let repositories: Vec<(String, String)> = entry
        .ranges
        .iter()
        .filter(|range| range.kind == GIT)
        .filter_map(|range| repository(range.repo.as_deref()?))
        .collect();
    // Commits have no order that could be seen from outside: of repositories only the tags listed count.
    let ordered: Vec<&Events> = entry.ranges.iter().filter(|range| range.kind != GIT).collect();
    let mut ranges: Vec<Range> = ordered.iter().flat_map(|range| of_events(&range.events)).collect();
    // Tags carry the program's name; a registry's versions are what they are.
    let (ecosystem, name) = match &entry.package {
        Some(package) => (package.ecosystem.as_str(), package.name.as_str()),
        None => (GIT, repositories.first().map_or("", |(_, name)| name.as_str())),
    };
    let tagged = matches!(ecosystem, GIT | "OSS-Fuzz");
    let single = |text: &String| Range {
        status: Status::Affected,
        from: if tagged { of_tag(text, name) } else { text.clone() },
        to: None,
        changes: Vec::new(),
    };
    ranges.extend(entry.versions.iter().map(single));
    // A version that complete ranges leave out is not affected; what commits leave out is not known.
    let default =
        if ordered.is_empty() || !repositories.is_empty() { Status::Unknown } else { Status::Unaffected };
    let affected = |vendor: String, product: String, ranges: Vec<Range>| Affected {
        source: "osv".to_owned(),
        vendor,
        product,
        cpes: Vec::new(),
        default,
        ranges,
    };
    Ok(match entry.package {
        Some(Name { ecosystem, name, purl }) => {
            vec![Package { purl, affected: affected(ecosystem.clone(), name, ranges), ecosystem }]
        }
        None => {
            let mut names = repositories;
            names.sort();
            names.dedup();
            let once: usize = ranges.iter().map(bytes).sum();
            let all = once.saturating_mul(names.len());
            *room = room.checked_sub(all).ok_or_else(|| {
                format!("versions for each of its repositories come to more than {COPIES_MAX} bytes")
            })?;
            let package = |(owner, name)| Package {
                ecosystem: GIT.to_owned(),
                purl: None,
                affected: affected(owner, name, ranges.clone()),
            };
            names.into_iter().map(package).collect()
        }
    })
}

/// What a range takes in memory.
fn bytes(range: &Range) -> usize {
    let to = range.to.as_ref().map_or(0, |(Bound::LessThan(end) | Bound::AtMost(end))| end.len());
    size_of::<Range>() + range.from.len() + to
}

/// Owner and name of `https://github.com/openssl/openssl.git`.
fn repository(url: &str) -> Option<(String, String)> {
    let path =
        url.split_once("://").map_or(url, |(_, path)| path).trim_end_matches('/').trim_end_matches(".git");
    let mut parts = path.rsplit('/');
    let name = parts.next().filter(|name| !name.is_empty())?;
    let owner = parts.next()?;
    Some((owner.to_owned(), name.to_owned()))
}

/// The version in a tag: `openssl-3.0.1`, `OpenSSL_1_1_1k`, `curl-7_80_0`, `DROPBEAR_2020.81`, `v1.2`.
fn of_tag(tag: &str, name: &str) -> String {
    const SEPARATORS: [char; 4] = ['-', '_', '/', '.'];
    let lower = tag.trim().to_lowercase();
    let mut rest = lower.as_str();
    for label in [name.to_lowercase().as_str(), "release", "version", "rel", "v"] {
        if let Some(behind) = rest.strip_prefix(label).filter(|_| !label.is_empty()) {
            let behind = behind.trim_start_matches(SEPARATORS);
            if label == name.to_lowercase() || behind.starts_with(|char: char| char.is_ascii_digit()) {
                rest = behind;
            }
        }
    }
    if rest.contains('.') { rest.to_owned() } else { rest.replace('_', ".") }
}

/// Events in order: what was introduced is there until it was fixed, or up to the last affected.
fn of_events(events: &[Event]) -> Vec<Range> {
    let range =
        |from: String, to| Range { status: Status::Affected, from, to: Some(to), changes: Vec::new() };
    let mut ranges = Vec::new();
    let mut introduced: Option<String> = None;
    for event in events {
        if let Some(from) = &event.introduced {
            introduced.get_or_insert_with(|| from.clone());
        }
        let to = match (&event.fixed, &event.last_affected, &event.limit) {
            (Some(fixed), ..) => Bound::LessThan(fixed.clone()),
            (None, Some(last), _) => Bound::AtMost(last.clone()),
            // `*` is no limit at all.
            (None, None, Some(limit)) if limit != "*" => Bound::LessThan(limit.clone()),
            _ => continue,
        };
        ranges.extend(introduced.take().map(|from| range(from, to)));
    }
    ranges.extend(introduced.map(|from| range(from, Bound::LessThan("*".to_owned()))));
    ranges
}

fn not_osv(file: &str, problem: &str) -> ImportError {
    ImportError::Kind {
        file: file.to_owned(),
        kind: IntelligenceKind::Osv,
        problem: problem.to_owned(),
        hint: "use JSON of OSV, such as the records in an ecosystem's all.zip",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_many_repositories_are_bounded() {
        let of = |repositories: usize, entries: usize| {
            let ranges: Vec<String> = (0..repositories)
                .map(|at| format!(r#"{{"type":"GIT","repo":"https://g.example/a/p{at}"}}"#))
                .collect();
            let entry = format!(
                r#"{{"ranges":[{}],"versions":[{}]}}"#,
                ranges.join(","),
                vec![r#""1""#; 1_000].join(",")
            );
            let text = format!(r#"{{"id":"OSV-1","affected":[{}]}}"#, vec![entry; entries].join(","));
            record(serde_json::from_str(&text).unwrap())
        };
        assert_eq!(of(10, 2).unwrap().packages.len(), 20);
        // The entries of a record share the room.
        assert!(of(400, 1).is_ok());
        for (repositories, entries) in [(2_000, 1), (400, 5)] {
            let error = of(repositories, entries).unwrap_err();
            assert!(error.contains("`OSV-1`: versions for each"), "{error}");
        }
    }

    #[test]
    fn tags_tell_versions() {
        for (tag, name, version) in [
            ("openssl-3.0.1", "openssl", "3.0.1"),
            ("OpenSSL_1_1_1k", "openssl", "1.1.1k"),
            ("curl-7_80_0", "curl", "7.80.0"),
            ("DROPBEAR_2020.81", "dropbear", "2020.81"),
            ("v1.2.3", "x", "1.2.3"),
            ("release-1.4.55", "lighttpd", "1.4.55"),
            ("lighttpd-1.4.55", "lighttpd", "1.4.55"),
            ("vnext", "v", "next"),
            ("victor", "x", "victor"),
        ] {
            assert_eq!(of_tag(tag, name), version, "{tag}");
        }
    }
}
