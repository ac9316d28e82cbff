//! One file of fingerprints, and what a match says.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use regex::bytes::Captures;

use super::literal::Prefilter;
use super::pattern::{Compiled, Flags};
use super::xml::{self, PackError};

/// Longest input looked at, in bytes; the rest is cut off. No banner that we keep is longer.
pub(super) const INPUT_MAX: usize = 64 * 1024;

/// One XML file: fingerprints over one field, tried in order.
#[derive(Debug)]
pub struct Database {
    pub(super) file: String,
    pub(super) key: String,
    pub(super) protocol: Option<String>,
    pub(super) database_type: Option<String>,
    pub(super) preference: f32,
    pub(super) fingerprints: Vec<Fingerprint>,
    pub(super) prefilter: OnceLock<Prefilter>,
}

/// A pattern and what its match means.
#[derive(Debug)]
pub struct Fingerprint {
    pub(super) line: usize,
    pub(super) pattern: String,
    pub(super) flags: Flags,
    pub(super) certainty: Option<f32>,
    pub(super) source: Option<String>,
    pub(super) description: String,
    pub(super) examples: Vec<Example>,
    pub(super) params: Vec<Param>,
    pub(super) compiled: Compiled,
}

/// A text that the fingerprint must match, with the attributes it must yield.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Line of the file where it starts.
    pub line: usize,
    /// The text, decoded; empty when it lies in [`Example::file`].
    pub text: Vec<u8>,
    /// Name of a file beside the database that holds the text.
    pub file: Option<String>,
    /// Attributes asserted.
    pub attributes: Vec<(String, String)>,
}

/// One attribute of a match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// Capture group, or 0 for a constant.
    pub position: usize,
    /// Name, e.g. `service.version`.
    pub name: String,
    /// The constant, which may refer to other attributes as `{name}`.
    pub value: String,
}

/// What a match says.
#[derive(Debug, Clone)]
pub struct Match<'p> {
    /// Name of the pack.
    pub pack: &'p str,
    /// The database.
    pub database: &'p Database,
    /// Position of the fingerprint in its database, from 1.
    pub number: usize,
    /// The fingerprint.
    pub fingerprint: &'p Fingerprint,
    /// Attributes by name.
    pub attributes: BTreeMap<&'p str, String>,
}

impl Match<'_> {
    /// An attribute, when it is there and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// How certain the pack is of the attributes of `group` (`service`, `os`, `hw`), 0 to 1;
    /// `None` when it does not say.
    pub fn certainty(&self, group: &str) -> Option<f32> {
        let stated = self.attributes.get(format!("{group}.certainty").as_str());
        let stated = stated.and_then(|text| text.parse::<f32>().ok()).or(self.fingerprint.certainty);
        stated.filter(|certainty| certainty.is_finite()).map(|certainty| certainty.clamp(0.0, 1.0))
    }

    /// `pack:file/number`, which names the fingerprint to a person.
    pub fn name(&self) -> String {
        format!("{}:{}/{}", self.pack, stem(&self.database.file), self.number)
    }
}

impl Database {
    /// Name of its file without the ending, by which matches name it.
    pub(super) fn stem(&self) -> &str {
        stem(&self.file)
    }

    /// Reads one file. No pattern is compiled yet: [`Database::verify`] does that.
    pub fn parse(file: &str, text: &str) -> Result<Self, PackError> {
        xml::parse(file, text)
    }

    /// Name of the file.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The field its fingerprints look at: the `matches` attribute, or the file's name.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Protocol whose service a match identifies.
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// `service`, `util.os` …
    pub fn database_type(&self) -> Option<&str> {
        self.database_type.as_deref()
    }

    /// Which database to believe first, 0 to 1.
    pub fn preference(&self) -> f32 {
        self.preference
    }

    /// Its fingerprints, in the order tried.
    pub fn fingerprints(&self) -> &[Fingerprint] {
        &self.fingerprints
    }

    /// What the first matching fingerprint says.
    pub fn first_match(&self, input: &[u8]) -> Option<Match<'_>> {
        let input = &input[..input.len().min(INPUT_MAX)];
        let mut found = None;
        self.prefilter().candidates(input, |index| {
            found = self.match_one(index, input);
            found.is_some()
        });
        found
    }

    /// What every matching fingerprint says, in order.
    pub fn all_matches(&self, input: &[u8]) -> Vec<Match<'_>> {
        let input = &input[..input.len().min(INPUT_MAX)];
        let mut found = Vec::new();
        self.prefilter().candidates(input, |index| {
            found.extend(self.match_one(index, input));
            false
        });
        found
    }

    /// The same answer as [`Database::first_match`] by the plain loop: each pattern as written, one
    /// after the other. What the prefilter is measured and tested against.
    pub fn first_match_in_turn(&self, input: &[u8]) -> Option<Match<'_>> {
        let input = &input[..input.len().min(INPUT_MAX)];
        self.fingerprints.iter().enumerate().find_map(|(index, one)| {
            let captures = one.compiled.captures_as_written(&one.pattern, one.flags, input)?;
            Some(self.matched(index, &captures))
        })
    }

    pub(super) fn match_one(&self, index: usize, input: &[u8]) -> Option<Match<'_>> {
        let one = &self.fingerprints[index];
        let captures = one.compiled.captures(&one.pattern, one.flags, input)?;
        Some(self.matched(index, &captures))
    }

    fn matched(&self, index: usize, captures: &Captures<'_>) -> Match<'_> {
        let fingerprint = &self.fingerprints[index];
        let attributes = fingerprint.attributes(captures, self.protocol.as_deref());
        Match { pack: "", database: self, number: index + 1, fingerprint, attributes }
    }

    fn prefilter(&self) -> &Prefilter {
        self.prefilter.get_or_init(|| {
            Prefilter::new(self.fingerprints.iter().map(|one| (one.pattern.as_str(), one.flags)))
        })
    }
}

impl Fingerprint {
    /// Line of the file where it starts.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The pattern as written.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// What it recognises, in words.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Public source from which its text is known; every fingerprint of the shipped pack has one.
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// Its examples, which are its tests.
    pub fn examples(&self) -> &[Example] {
        &self.examples
    }

    /// The attributes of a match.
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    fn attributes(&self, captures: &Captures<'_>, protocol: Option<&str>) -> BTreeMap<&str, String> {
        let mut values: BTreeMap<&str, String> = BTreeMap::new();
        for param in &self.params {
            let value = match param.position {
                0 => Some(param.value.clone()),
                position => captures.get(position).map(|group| lossy(group.as_bytes())),
            };
            values.extend(value.map(|value| (param.name.as_str(), value)));
        }
        if let Some(protocol) = protocol {
            values.entry("service.protocol").or_insert_with(|| protocol.to_owned());
        }
        self.interpolate(&mut values);
        values.retain(|name, _| !name.starts_with("_tmp."));
        values
    }

    /// Replaces `{name}` in constants by that attribute, once and not recursively. What is not
    /// known becomes `-` in a CPE, and elsewhere removes the attribute: nothing half-made is said.
    fn interpolate<'f>(&'f self, values: &mut BTreeMap<&'f str, String>) {
        let templates = self.params.iter().filter(|param| param.position == 0 && param.value.contains('{'));
        for param in templates {
            let mut out = String::new();
            let mut rest = param.value.as_str();
            let mut complete = true;
            while let Some((before, name, after)) = next_variable(rest) {
                out.push_str(before);
                match values.get(name) {
                    Some(value) => out.push_str(value),
                    None if param.name.ends_with(".cpe23") => out.push('-'),
                    None => complete = false,
                }
                rest = after;
            }
            out.push_str(rest);
            if complete {
                values.insert(&param.name, out);
            } else {
                values.remove(param.name.as_str());
            }
        }
    }
}

/// Splits at the first `{name}` without white space or braces inside.
fn next_variable(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let open = from + text[from..].find('{')?;
        let length = text[open + 1..].find(|c: char| c == '{' || c == '}' || c.is_whitespace())?;
        let close = open + 1 + length;
        if length > 0 && text[close..].starts_with('}') {
            return Some((&text[..open], &text[open + 1..close], &text[close + 1..]));
        }
        from = open + 1;
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The file's name without its ending.
pub(super) fn stem(file: &str) -> &str {
    let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
    name.strip_suffix(".xml").unwrap_or(name)
}
