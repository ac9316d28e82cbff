//! Advisories in the Common Security Advisory Framework 2.0 (OASIS), security advisories and the VEX
//! profile alike: one document a file, or several one after the other.
//!
//! Products are looked up in the product tree, wherever it names them: as leaves of branches, as full
//! names, or as relations of two of those. Products of one name gather in one statement with a range
//! for each of their versions.

mod ranges;
mod tree;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::BufRead;

use serde::Deserialize;

pub(crate) use self::ranges::phrase;
use self::tree::{Place, ProductTree, Tree};
use super::importer::io;
use super::objects::{Cut, Item, objects};
use super::record::advisory::{OF_OTHER, OF_VENDOR};
use super::snapshot;
use super::{
    Advisory, Affected, CveId, Day, ImportError, Importer, IntelligenceKind, Names, Statement, Status,
};

/// The longest published documents, with every build of a router's system, are some ten MiB.
const DOCUMENT_MAX: usize = 64 << 20;
/// Most statements of one document.
const STATEMENTS_MAX: usize = 200_000;
const TITLE_MAX: usize = 160;
const REMEDY_MAX: usize = 400;

#[derive(Deserialize)]
struct Document {
    document: Head,
    #[serde(default)]
    product_tree: ProductTree,
    #[serde(default)]
    vulnerabilities: Vec<Vulnerability>,
}

#[derive(Deserialize)]
struct Head {
    csaf_version: String,
    title: Option<String>,
    publisher: Publisher,
    tracking: Tracking,
}

#[derive(Deserialize)]
struct Publisher {
    category: String,
    name: String,
    #[serde(default)]
    namespace: String,
}

#[derive(Deserialize)]
struct Tracking {
    id: String,
    status: Option<String>,
    current_release_date: Option<String>,
}

#[derive(Deserialize)]
struct Vulnerability {
    cve: Option<String>,
    title: Option<String>,
    #[serde(default)]
    product_status: ProductStatus,
    #[serde(default)]
    flags: Vec<Flag>,
    #[serde(default)]
    remediations: Vec<Remediation>,
}

/// Identifiers of products by what is said of them (CSAF §3.2.3.9). `recommended` says nothing of
/// whether they are affected.
#[derive(Deserialize, Default)]
#[serde(default)]
struct ProductStatus {
    first_affected: Vec<String>,
    known_affected: Vec<String>,
    last_affected: Vec<String>,
    known_not_affected: Vec<String>,
    first_fixed: Vec<String>,
    fixed: Vec<String>,
    under_investigation: Vec<String>,
}

#[derive(Deserialize)]
struct Flag {
    label: String,
    #[serde(default)]
    product_ids: Vec<String>,
    #[serde(default)]
    group_ids: Vec<String>,
}

#[derive(Deserialize)]
struct Remediation {
    category: String,
    #[serde(default)]
    details: String,
    #[serde(default)]
    product_ids: Vec<String>,
    #[serde(default)]
    group_ids: Vec<String>,
}

pub(super) fn read(importer: &mut Importer, file: &str, mut from: impl BufRead) -> Result<(), ImportError> {
    let first = loop {
        match from.fill_buf().map_err(io(file))?.first() {
            Some(b' ' | b'\n' | b'\r' | b'\t' | 0xef | 0xbb | 0xbf) => from.consume(1),
            first => break first.copied(),
        }
    };
    match first {
        None => return Err(not_csaf(file, "it is empty")),
        Some(b'{') => {}
        Some(b'<') => return Err(not_csaf(file, "it is a page or XML; the older CVRF is not read")),
        Some(_) => return Err(not_csaf(file, "it does not begin as JSON")),
    }
    let cut = Cut { depth: 0, object_max: DOCUMENT_MAX, restart: false };
    objects(from, cut, |item| match item {
        Item::Head(_) => {}
        Item::Broken(line, reason) => importer.reject(file, line, reason),
        Item::Object(line, bytes) => match serde_json::from_slice::<Document>(bytes) {
            Err(error) => importer.reject_json(file, line, &error),
            Ok(document) => match advisory(document, |reason| importer.reject(file, line, reason)) {
                Ok(advisory) if !snapshot::fits(&advisory) => importer.reject(file, line, snapshot::TOO_LONG),
                Ok(advisory) => importer.csaf.push(advisory),
                Err(reason) => importer.reject(file, line, reason),
            },
        },
    })
    .map_err(io(file))
}

/// The advisory; parts of it that cannot be used are told to `reject`.
fn advisory(document: Document, mut reject: impl FnMut(String)) -> Result<Advisory, String> {
    let Document { document: head, product_tree, vulnerabilities } = document;
    let id = cut(&head.tracking.id, TITLE_MAX);
    if !head.csaf_version.starts_with("2.") {
        return Err(format!("`{id}` has CSAF version {}; 2.0 is read", cut(&head.csaf_version, 10)));
    }
    if head.tracking.status.as_deref() == Some("draft") {
        return Err(format!("`{id}` is a draft"));
    }
    let publisher = Publisher {
        category: head.publisher.category,
        name: cut(&head.publisher.name, TITLE_MAX),
        namespace: cut(&head.publisher.namespace, TITLE_MAX),
    };
    let tree = Tree::new(product_tree)?;
    let mut statements = Vec::new();
    for vulnerability in vulnerabilities {
        let title = vulnerability.title.as_deref().map(|title| cut(title, TITLE_MAX));
        let Some(cve) = vulnerability.cve.as_deref() else {
            reject(format!("`{id}`: the vulnerability `{}` has no CVE number", title.unwrap_or_default()));
            continue;
        };
        match cve.parse::<CveId>() {
            Ok(cve) => statements.extend(said(cve, title, &vulnerability, &tree, &publisher)),
            Err(error) => reject(format!("`{id}`: {error}")),
        }
        if statements.len() > STATEMENTS_MAX {
            return Err(format!("`{id}` makes more than {STATEMENTS_MAX} statements"));
        }
    }
    Ok(Advisory {
        id,
        publisher: publisher.name,
        title: head.title.map(|title| cut(&title, TITLE_MAX)),
        updated: head.tracking.current_release_date.and_then(|time| time.get(..10)?.parse::<Day>().ok()),
        statements,
        contains: tree.contains,
    })
}

/// What a vulnerability says, one statement a product.
fn said(
    cve: CveId,
    title: Option<String>,
    vulnerability: &Vulnerability,
    tree: &Tree,
    publisher: &Publisher,
) -> Vec<Statement> {
    let status = &vulnerability.product_status;
    // Where a document contradicts itself, nothing is known: the first list that decides is `unknown`.
    let lists = [
        (Status::Unknown, &status.under_investigation),
        (Status::Affected, &status.first_affected),
        (Status::Affected, &status.known_affected),
        (Status::Affected, &status.last_affected),
        (Status::Unaffected, &status.known_not_affected),
        (Status::Unaffected, &status.first_fixed),
        (Status::Unaffected, &status.fixed),
    ];
    let mut by_id: BTreeMap<&str, Status> = BTreeMap::new();
    for (status, ids) in lists {
        for id in ids {
            let held = by_id.entry(id.as_str()).or_insert(status);
            if *held != status {
                *held = Status::Unknown;
            }
        }
    }
    // Statements by vendor and product; of each the identifiers, for flags and remedies.
    let mut by_name: BTreeMap<(&str, &str), (Statement, Vec<&str>)> = BTreeMap::new();
    for (id, status) in by_id {
        for Place { vendor, product, version, cpe } in tree.places(id) {
            let ranges = ranges::of(version, product, status);
            let (statement, ids) = by_name.entry((vendor, product)).or_insert_with(|| {
                let source = if speaks_for(publisher, vendor) { OF_VENDOR } else { OF_OTHER };
                let affected = Affected {
                    source: source.to_owned(),
                    vendor: vendor.clone(),
                    product: product.clone(),
                    cpes: Vec::new(),
                    default: Status::Unknown,
                    ranges: Vec::new(),
                };
                let statement =
                    Statement { cve, title: title.clone(), affected, justification: None, remedy: None };
                (statement, Vec::new())
            });
            statement.affected.ranges.extend(ranges);
            statement.affected.cpes.extend(cpe.clone());
            ids.push(id);
        }
    }
    let flags =
        first_of(vulnerability.flags.iter().map(|flag| (flag, &flag.product_ids, &flag.group_ids)), tree);
    let fixes = vulnerability.remediations.iter().filter(|remedy| remedy.category == "vendor_fix");
    let fixes = first_of(fixes.map(|fix| (fix, &fix.product_ids, &fix.group_ids)), tree);
    let statements = by_name.into_values().map(|(mut statement, ids)| {
        let mut seen = HashSet::new();
        statement.affected.cpes.retain(|cpe| seen.insert(cpe.clone()));
        statement.justification = earliest(&flags, &ids).map(|flag| cut(&flag.label, TITLE_MAX));
        statement.remedy = earliest(&fixes, &ids).map(|fix| cut(fix.details.trim(), REMEDY_MAX));
        statement
    });
    statements.collect()
}

/// Of several that name products, themselves or by groups, the first for each product, with its position.
type First<'a, T> = HashMap<&'a str, (usize, &'a T)>;

fn first_of<'a, T>(
    all: impl Iterator<Item = (&'a T, &'a Vec<String>, &'a Vec<String>)>,
    tree: &'a Tree,
) -> First<'a, T> {
    let (mut products, mut groups) = (First::new(), First::new());
    for (at, (one, product_ids, group_ids)) in all.enumerate() {
        for (first, ids) in [(&mut products, product_ids), (&mut groups, group_ids)] {
            for id in ids {
                first.entry(id.as_str()).or_insert((at, one));
            }
        }
    }
    for (group, (at, one)) in groups {
        for id in tree.group(group) {
            let first = products.entry(id.as_str()).or_insert((at, one));
            if at < first.0 {
                *first = (at, one);
            }
        }
    }
    products
}

fn earliest<'a, T>(first: &First<'a, T>, ids: &[&str]) -> Option<&'a T> {
    ids.iter().filter_map(|id| first.get(id)).min_by_key(|(at, _)| *at).map(|(_, one)| *one)
}

/// True when the publisher is the vendor: it says so, and its name or name space holds the vendor's
/// name (`Siemens ProductCERT` speaks for `Siemens`).
fn speaks_for(publisher: &Publisher, vendor: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        text.split(|char: char| !char.is_alphanumeric())
            .map(str::to_lowercase)
            .filter(|word| !word.is_empty())
            .collect()
    };
    let said = [words(&publisher.name), words(&publisher.namespace)];
    // A run of whole words: `Siemens` is not in `Siemensstadt`.
    let holds = |name: &String| {
        said.iter().any(|words| {
            (0..words.len()).any(|from| (from + 1..=words.len()).any(|to| words[from..to].concat() == *name))
        })
    };
    publisher.category == "vendor" && Names::of(vendor, "").vendors.iter().any(holds)
}

fn cut(text: &str, max: usize) -> String {
    text.chars().take(max).collect()
}

fn not_csaf(file: &str, problem: &str) -> ImportError {
    ImportError::Kind {
        file: file.to_owned(),
        kind: IntelligenceKind::Csaf,
        problem: problem.to_owned(),
        hint: "use JSON documents of CSAF 2.0 as vendors publish them; of a feed, the documents it lists",
    }
}
