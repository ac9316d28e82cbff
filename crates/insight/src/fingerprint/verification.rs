//! The examples of a database are its tests.

use std::fmt;

use super::database::{Database, Example, Match};
use super::pattern::{self, Anchors};

/// What is wrong with one fingerprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// The pattern does not compile, for this reason.
    Pattern(String),
    /// A param names a capture group that the pattern does not have.
    Position(usize),
    /// It has no example.
    NoExample,
    /// The example does not match.
    NoMatch,
    /// The text of the example lies in a file that was not given.
    NoFile(String),
    /// An attribute differs from what the example asserts.
    Attribute {
        /// Name.
        name: String,
        /// Asserted.
        expected: String,
        /// Found, when there.
        found: Option<String>,
    },
    /// This earlier fingerprint (number, from 1) matches the example first.
    EarlierFirst(usize),
}

/// A fault and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// File of the database.
    pub file: String,
    /// Line of the fingerprint or example.
    pub line: usize,
    /// Number of the fingerprint, from 1.
    pub number: usize,
    /// What is wrong.
    pub kind: FaultKind,
}

/// What running all examples of a database showed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verification {
    /// Fingerprints looked at.
    pub fingerprints: usize,
    /// Examples run.
    pub examples: usize,
    /// Examples that match their own fingerprint with every attribute right.
    pub right: usize,
    /// Examples whose first match in the database is their own fingerprint.
    pub first: usize,
    /// Everything that is wrong, in order of the file. An [`FaultKind::EarlierFirst`] need not be
    /// a fault: the earlier one may say the same.
    pub faults: Vec<Fault>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: fingerprint {}: ", self.file, self.line, self.number)?;
        match &self.kind {
            FaultKind::Pattern(reason) => write!(f, "the pattern does not compile: {reason}"),
            FaultKind::Position(position) => write!(f, "the pattern has no capture group {position}"),
            FaultKind::NoExample => f.write_str("no example"),
            FaultKind::NoMatch => f.write_str("the example does not match"),
            FaultKind::NoFile(name) => write!(f, "the example's file `{name}` was not given"),
            FaultKind::Attribute { name, expected, found: None } => {
                write!(f, "`{name}` should be `{expected}` and is not there")
            }
            FaultKind::Attribute { name, expected, found: Some(found) } => {
                write!(f, "`{name}` should be `{expected}` and is `{found}`")
            }
            FaultKind::EarlierFirst(number) => write!(f, "fingerprint {number} matches the example first"),
        }
    }
}

impl Verification {
    fn add(&mut self, database: &Database, line: usize, number: usize, kind: FaultKind) {
        self.faults.push(Fault { file: database.file.clone(), line, number, kind });
    }
}

impl Database {
    /// Compiles every pattern and runs every example. `file` gives the text of examples that lie
    /// in files of their own.
    pub fn verify(&self, file: impl Fn(&str) -> Option<Vec<u8>>) -> Verification {
        let mut result = Verification { fingerprints: self.fingerprints.len(), ..Verification::default() };
        for (index, fingerprint) in self.fingerprints.iter().enumerate() {
            let number = index + 1;
            let groups = match pattern::compile(&fingerprint.pattern, Anchors::Lines, fingerprint.flags) {
                Ok(regex) => regex.captures_len(),
                Err(error) => {
                    result.add(self, fingerprint.line, number, FaultKind::Pattern(error.to_string()));
                    continue;
                }
            };
            for param in fingerprint.params.iter().filter(|param| param.position >= groups) {
                result.add(self, fingerprint.line, number, FaultKind::Position(param.position));
            }
            if fingerprint.examples.is_empty() {
                result.add(self, fingerprint.line, number, FaultKind::NoExample);
            }
            for example in &fingerprint.examples {
                self.verify_example(&mut result, index, example, &file);
            }
        }
        result
    }

    fn verify_example(
        &self,
        result: &mut Verification,
        index: usize,
        example: &Example,
        file: impl Fn(&str) -> Option<Vec<u8>>,
    ) {
        let number = index + 1;
        result.examples += 1;
        let text = match &example.file {
            None => example.text.clone(),
            Some(name) => match file(name) {
                Some(text) => text,
                None => return result.add(self, example.line, number, FaultKind::NoFile(name.clone())),
            },
        };
        let Some(found) = self.match_one(index, &text) else {
            return result.add(self, example.line, number, FaultKind::NoMatch);
        };
        let wrong = wrong_attributes(&found, example);
        result.right += usize::from(wrong.is_empty());
        for kind in wrong {
            result.add(self, example.line, number, kind);
        }
        match self.first_match(&text).map(|first| first.number) {
            Some(first) if first == number => result.first += 1,
            Some(first) => result.add(self, example.line, number, FaultKind::EarlierFirst(first)),
            // The prefilter hid a fingerprint that matches: it must never.
            None => result.add(self, example.line, number, FaultKind::NoMatch),
        }
    }
}

fn wrong_attributes(found: &Match<'_>, example: &Example) -> Vec<FaultKind> {
    let differs = |(name, expected): &(String, String)| {
        let value = found.attributes.get(name.as_str());
        (value != Some(expected)).then(|| FaultKind::Attribute {
            name: name.clone(),
            expected: expected.clone(),
            found: value.cloned(),
        })
    };
    example.attributes.iter().filter_map(differs).collect()
}
