//! Every file of the real data at hand, given to the kind that it is or pretends to be: it is imported,
//! or refused for the right reason.

use std::path::{Path, PathBuf};

use kenshin_insight::intelligence::{Importer, IntelligenceKind as Kind};
use kenshin_observation::TimeUs;

use super::archives::shared;
use crate::{Edge, Home, Observatory};

/// What becomes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Every record of it is used.
    Good,
    /// It is a page that holds nothing, and says so.
    Empty,
    /// Some records are not used, for this reason.
    Partly(&'static str),
    /// Nothing of it is used, for this reason.
    Refused(&'static str),
}

/// Folders, endings, kind and fate; the first line that fits a path holds for it.
const TABLE: &[(&str, &str, Kind, Fate)] = &[
    ("kev/", "LICENSE", Kind::Kev, Fate::Refused("its first line names no column `cveID`")),
    ("kev/", "_schema.json", Kind::Kev, Fate::Refused("it has no list `vulnerabilities`")),
    ("kev/", "", Kind::Kev, Fate::Good),
    ("cve5-iot/", "", Kind::Cve, Fate::Good),
    ("nvd/", ".txt", Kind::Cve, Fate::Refused("it does not begin as JSON")),
    ("nvd/", "", Kind::Cve, Fate::Good),
    ("endoflife/", "LICENSE", Kind::EndOfLife, Fate::Refused("it begins neither with `---` nor as JSON")),
    (
        "endoflife/",
        "-schema.json",
        Kind::EndOfLife,
        Fate::Refused("it has neither `result` nor a list of cycles"),
    ),
    ("endoflife/", ".md", Kind::EndOfLife, Fate::Good),
    ("ieee/", "", Kind::Oui, Fate::Good),
    ("vulnfeeds/LICENSE", "", Kind::Cve, Fate::Refused("it does not begin as JSON")),
    ("vulnfeeds/cisa/coun7er/", "", Kind::Cve, Fate::Refused("missing field `cveMetadata`")),
    ("vulnfeeds/cisa/csaf/", ".tar.gz", Kind::Csaf, Fate::Good),
    ("vulnfeeds/cisa/kev/", "", Kind::Kev, Fate::Good),
    ("vulnfeeds/cisco/csaf/", "", Kind::Csaf, Fate::Good),
    ("vulnfeeds/endoflife-date/", "", Kind::EndOfLife, Fate::Good),
    ("vulnfeeds/enisa/euvd/", "", Kind::Cve, Fate::Refused("missing field `cveMetadata`")),
    // ENISA's own list: other dates, and a list at the top.
    ("vulnfeeds/enisa/kev/", "", Kind::Kev, Fate::Refused("its first line names no column `cveID`")),
    ("vulnfeeds/epss/", "", Kind::Epss, Fate::Good),
    (
        "vulnfeeds/fortinet/csaf/testdata/fixtures/happy/",
        ".json",
        Kind::Csaf,
        Fate::Partly("has no CVE number"),
    ),
    (
        "vulnfeeds/fortinet/csaf/testdata/fixtures/invalid-csaf/",
        ".json",
        Kind::Csaf,
        Fate::Refused("invalid type: map"),
    ),
    ("vulnfeeds/fortinet/", "", Kind::Csaf, Fate::Refused("it is a page or XML; the older CVRF is not read")),
    ("vulnfeeds/jvn/feed/detail/", ".rdf", Kind::Jvn, Fate::Good),
    ("vulnfeeds/jvn/feed/rss/", ".rdf", Kind::Jvn, Fate::Good),
    ("vulnfeeds/jvn/", "", Kind::Jvn, Fate::Refused("it has no entries, neither `item` nor `Vulinfo`")),
    ("vulnfeeds/mitre/cve/", "", Kind::Cve, Fate::Good),
    ("vulnfeeds/mitre/cwe/", "", Kind::Cve, Fate::Refused("holds no file that `cve` is published in")),
    ("vulnfeeds/mitre/emb3d/", "", Kind::Cve, Fate::Refused("missing field `cveMetadata`")),
    ("vulnfeeds/nvd/api/cve/testdata/fixtures/empty/", "", Kind::Cve, Fate::Empty),
    ("vulnfeeds/nvd/api/cve/", "", Kind::Cve, Fate::Good),
    (
        "vulnfeeds/nvd/api/",
        "",
        Kind::Cve,
        Fate::Refused("it is a page of NVD without a list `vulnerabilities`"),
    ),
    (
        "vulnfeeds/sick/csaf/",
        "csaf-feed-tlp-white.json",
        Kind::Csaf,
        Fate::Refused("missing field `document`"),
    ),
    (
        "vulnfeeds/siemens/csaf/",
        "ssa-feed-tlp-white.json",
        Kind::Csaf,
        Fate::Refused("missing field `document`"),
    ),
    ("vulnfeeds/sick/csaf/", "", Kind::Csaf, Fate::Good),
    ("vulnfeeds/siemens/csaf/", "", Kind::Csaf, Fate::Good),
    ("vulnfeeds/variot/", "", Kind::Cve, Fate::Refused("missing field `cveMetadata`")),
];

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, files) } else { files.push(path) }
    }
}

async fn observatory(folder: &tempfile::TempDir) -> Observatory {
    let edge = Edge::fixed(TimeUs::from_secs(1_790_000_000), [7; 32]);
    let home = Home::at(folder.path());
    Observatory::init(&home, "Example CSIRT", "admin", "en", &edge).await.unwrap();
    Observatory::open(&home, &edge).await.unwrap()
}

/// Records used, records not used, and the first reason.
async fn outcome(observatory: &Observatory, kind: Kind, file: &Path) -> (usize, usize, String) {
    match observatory.read_intelligence(Importer::new(kind), &[file.to_owned()], |_| {}) {
        Err(error) => (0, 0, error.to_string()),
        Ok((import, _)) => {
            let reason = import.rejected.first().map_or_else(String::new, ToString::to_string);
            (import.snapshot.records.len(), import.rejected_total, reason)
        }
    }
}

#[tokio::test]
async fn every_file_at_hand_is_imported_or_refused_for_the_right_reason() {
    let Some(base) = shared("") else { return };
    let folder = tempfile::tempdir().unwrap();
    let observatory = observatory(&folder).await;
    let mut checked = 0;
    for top in ["kev", "cve5-iot", "nvd", "vulnfeeds", "endoflife", "ieee"] {
        let mut files = Vec::new();
        walk(&base.join(top), &mut files);
        for file in files {
            let name = file.strip_prefix(&base).unwrap().to_string_lossy().into_owned();
            let fits =
                |(begin, end, ..): &&(&str, &str, Kind, Fate)| name.starts_with(begin) && name.ends_with(end);
            let Some((_, _, kind, fate)) = TABLE.iter().find(fits) else {
                panic!("{name} has no place in the table")
            };
            let (used, unused, reason) = outcome(&observatory, *kind, &file).await;
            let right = match fate {
                Fate::Good => used > 0 && unused == 0 && reason.is_empty(),
                Fate::Empty => used == 0 && unused == 0 && reason.is_empty(),
                Fate::Partly(expected) => used > 0 && reason.contains(expected),
                Fate::Refused(expected) => used == 0 && reason.contains(expected),
            };
            assert!(right, "{name} as {kind}: {fate:?}, but {used} used, {unused} not: {reason}");
            checked += 1;
        }
    }
    assert!(checked > 600, "{checked}");
}

#[tokio::test]
async fn answers_about_registrations_are_of_no_kind() {
    let Some(base) = shared("rdap") else { return };
    let folder = tempfile::tempdir().unwrap();
    let observatory = observatory(&folder).await;
    let mut files = Vec::new();
    walk(&base, &mut files);
    for file in files {
        for kind in Kind::ALL {
            let (used, _, reason) = outcome(&observatory, *kind, &file).await;
            assert_eq!(used, 0, "{} as {kind}: {reason}", file.display());
        }
    }
}

/// A file without one record that can be used takes nothing away.
#[tokio::test]
async fn an_import_of_nothing_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let observatory = observatory(&folder).await;
    let file = folder.path().join("kev.json");
    let import = async |cve: &str| {
        let entry = format!(
            r#"{{"cveID":"{cve}","vendorProject":"Acme","product":"R1","vulnerabilityName":"x","dateAdded":"2026-02-01"}}"#
        );
        std::fs::write(&file, format!(r#"{{"catalogVersion":"1","vulnerabilities":[{entry}]}}"#)).unwrap();
        observatory.import_intelligence(Kind::Kev, std::slice::from_ref(&file), |_| {}).await
    };
    assert_eq!(import("CVE-2099-0001").await.unwrap().records, 1);
    let refused = import("none").await.unwrap_err().to_string();
    assert!(refused.contains("nothing in the files could be used") && refused.contains(":1: "), "{refused}");
    let intelligence = observatory.intelligence().await.unwrap();
    assert!(intelligence.kev("CVE-2099-0001".parse().unwrap()).is_some());
}
