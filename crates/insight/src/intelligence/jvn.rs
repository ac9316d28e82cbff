//! JVN iPedia: its RSS 1.0 (RDF) feeds with the `sec:` elements, and its detailed lists (VULDEF 3.2).
//! Both are cut into entries first, so that a damaged entry does not take the others with it.

use std::io::BufRead;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use super::elements::{Element, elements};
use super::importer::io;
use super::{CveId, Cvss, Day, ImportError, Importer, IntelligenceKind, Jvn};

/// Elements that hold one entry each: of the feeds, and of the detailed lists.
const ENTRIES: &[&str] = &["item", "Vulinfo"];
const ENTRY_MAX: usize = 4 << 20;
const TITLE_MAX: usize = 200;
/// Most CPE names kept of one entry.
const CPES_MAX: usize = 500;
/// Deepest nesting read.
const DEPTH_MAX: usize = 32;

pub(super) fn read(importer: &mut Importer, file: &str, from: impl BufRead) -> Result<(), ImportError> {
    let before = importer.jvn.len() + importer.rejected_total();
    let mut head = String::new();
    elements(from, ENTRIES, ENTRY_MAX, |found| match found {
        Element::Head(bytes) => head = String::from_utf8_lossy(bytes).into_owned(),
        Element::Broken(line, reason) => importer.reject(file, line, reason),
        Element::Whole(line, bytes) => match entry(bytes) {
            Ok(entry) => importer.jvn.push(entry),
            Err(reason) => importer.reject(file, line, reason),
        },
    })
    .map_err(io(file))?;
    let known = head.contains("http://jvn.jp/");
    if importer.jvn.len() + importer.rejected_total() == before && !known {
        return Err(not_jvn(file, "it has no entries, neither `item` nor `Vulinfo`"));
    }
    if !known {
        return Err(not_jvn(
            file,
            "it does not name JVN's elements (http://jvn.jp/rss/mod_sec/ or http://jvn.jp/vuldef/)",
        ));
    }
    Ok(())
}

/// What is read of an entry before it is judged.
#[derive(Default)]
struct Draft {
    id: Option<String>,
    title: Option<String>,
    url: Option<String>,
    updated: Option<String>,
    cves: Vec<CveId>,
    cpes: Vec<String>,
    scores: Vec<Cvss>,
    /// The score that is being read of a detailed entry.
    version: String,
    base: Option<String>,
}

fn entry(bytes: &[u8]) -> Result<Jvn, String> {
    let xml = String::from_utf8_lossy(bytes);
    let mut reader = Reader::from_str(&xml);
    let mut draft = Draft::default();
    let mut path: Vec<String> = Vec::new();
    let mut text = String::new();
    let wrong = |error: &dyn std::fmt::Display, position: u64| {
        let before = usize::try_from(position).ok().and_then(|position| xml.as_bytes().get(..position));
        let line = 1 + before.unwrap_or_default().iter().filter(|byte| **byte == b'\n').count();
        format!("in line {line} of the entry: {error}")
    };
    loop {
        let event = reader.read_event().map_err(|error| wrong(&error, reader.error_position()))?;
        match event {
            Event::Eof => break,
            Event::Start(start) => {
                draft.start(&start);
                text.clear();
                path.push(start.local_name().as_ref().to_owned());
                if path.len() > DEPTH_MAX {
                    return Err(format!("the entry is deeper than {DEPTH_MAX} elements"));
                }
            }
            Event::Empty(start) => draft.start(&start),
            Event::Text(part) => text.push_str(&part.xml10_content()),
            Event::CData(part) => text.push_str(&part.xml10_content()),
            Event::GeneralRef(part) => match part.resolve_char_ref() {
                Ok(Some(char)) => text.push(char),
                Ok(None) => {
                    let entity = quick_xml::escape::resolve_predefined_entity(&part);
                    text.push_str(entity.unwrap_or_default());
                }
                Err(error) => return Err(wrong(&error, reader.buffer_position())),
            },
            Event::End(_) => {
                draft.end(&path, text.trim());
                path.pop();
                text.clear();
            }
            _ => {}
        }
    }
    draft.finish()
}

impl Draft {
    fn start(&mut self, start: &BytesStart<'_>) {
        let attribute = |name: &str| {
            let mut all = start.attributes().flatten();
            let found = all.find(|attribute| attribute.key.local_name().as_ref() == name)?;
            Some(found.normalized_value(XmlVersion::Implicit1_0).ok()?.into_owned())
        };
        match start.local_name().as_ref() {
            // Of the feeds; the detailed lists have it as elements.
            "references" => self.cve(&attribute("id").unwrap_or_default()),
            "cvss" => {
                let vector = attribute("vector").unwrap_or_default();
                if let (Some(version), Some(score)) = (attribute("version"), attribute("score")) {
                    self.score(version, &score, vector);
                }
            }
            "Cvss" => self.version = attribute("version").unwrap_or_default(),
            "item" => self.url = attribute("about"),
            _ => {}
        }
    }

    fn end(&mut self, path: &[String], text: &str) {
        let [.., above, name] = path else { return };
        let said = || Some(text.to_owned()).filter(|text| !text.is_empty());
        match (above.as_str(), name.as_str()) {
            (_, "identifier") | ("Vulinfo", "VulinfoID") => self.id = said(),
            ("item", "title") | ("VulinfoData", "Title") => self.title = said(),
            ("item", "link") => self.url = said(),
            (_, "modified" | "DateLastUpdated") => self.updated = said(),
            ("RelatedItem", "VulinfoID") => self.cve(text),
            (_, "cpe" | "Cpe") if self.cpes.len() < CPES_MAX => self.cpes.extend(said()),
            ("Cvss", "Base") => self.base = said(),
            ("Cvss", "Vector") => {
                if let Some(base) = self.base.take() {
                    self.score(self.version.clone(), &base, text.to_owned());
                }
            }
            _ => {}
        }
    }

    fn cve(&mut self, text: &str) {
        if let Ok(cve) = text.parse::<CveId>()
            && !self.cves.contains(&cve)
        {
            self.cves.push(cve);
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the value lies between 0 and 100"
    )]
    fn score(&mut self, version: String, score: &str, vector: String) {
        if let Ok(score) = score.parse::<f64>()
            && (0.0..=10.0).contains(&score)
        {
            self.scores.push(Cvss { version, score_tenths: (score * 10.0).round() as u8, vector });
        }
    }

    fn finish(self) -> Result<Jvn, String> {
        let shown = |text: &str| text.chars().take(40).collect::<String>();
        let id = self.id.ok_or("the entry has no identifier")?;
        if !id.starts_with("JVNDB-") || id.len() > 40 {
            return Err(format!("`{}` is not an identifier such as JVNDB-2023-004814", shown(&id)));
        }
        let title = self.title.ok_or_else(|| format!("`{id}` has no title"))?;
        // The newest version of CVSS counts.
        let cvss = self.scores.into_iter().max_by(|a, b| a.version.cmp(&b.version));
        Ok(Jvn {
            title: title.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(TITLE_MAX).collect(),
            url: self.url.filter(|url| url.starts_with("https://") || url.starts_with("http://")),
            cves: self.cves,
            updated: self.updated.and_then(|time| time.get(..10)?.parse::<Day>().ok()),
            cvss,
            cpes: self.cpes,
            id,
        })
    }
}

fn not_jvn(file: &str, problem: &str) -> ImportError {
    ImportError::Kind {
        file: file.to_owned(),
        kind: IntelligenceKind::Jvn,
        problem: problem.to_owned(),
        hint: "use jvndb*.rdf or jvndb_detail*.rdf of https://jvndb.jvn.jp/",
    }
}
