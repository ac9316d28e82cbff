//! A versioned set of records of one kind, and its stored form.

use std::io::{BufRead, Write};

use kenshin_observation::words;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Cve, Day, EndOfLife, Epss, Kev};

/// Version of the stored form written today.
pub(crate) const FORMAT: u32 = 1;

/// Longest stored line read back.
const LINE_MAX: usize = 16 << 20;

words!(
    /// Kind of intelligence.
    IntelligenceKind, "kind of intelligence" {
        /// Known exploited vulnerabilities.
        Kev = "kev",
        /// CVE records.
        Cve = "cve",
        /// Ends of support.
        EndOfLife = "endoflife",
        /// Likelihood of exploitation.
        Epss = "epss",
    }
);

/// Records of one kind, sorted by their name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Records {
    /// Known exploited vulnerabilities.
    Kev(Vec<Kev>),
    /// CVE records.
    Cve(Vec<Cve>),
    /// Ends of support.
    EndOfLife(Vec<EndOfLife>),
    /// Likelihood of exploitation.
    Epss(Vec<Epss>),
}

impl Records {
    /// What kind they are.
    pub fn kind(&self) -> IntelligenceKind {
        match self {
            Self::Kev(_) => IntelligenceKind::Kev,
            Self::Cve(_) => IntelligenceKind::Cve,
            Self::EndOfLife(_) => IntelligenceKind::EndOfLife,
            Self::Epss(_) => IntelligenceKind::Epss,
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Self::Kev(records) => records.len(),
            Self::Cve(records) => records.len(),
            Self::EndOfLife(records) => records.len(),
            Self::Epss(records) => records.len(),
        }
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each record as one line of JSON.
    fn each_line(&self, mut each: impl FnMut(&[u8]) -> std::io::Result<()>) -> std::io::Result<()> {
        fn all<T: Serialize>(
            records: &[T],
            each: &mut impl FnMut(&[u8]) -> std::io::Result<()>,
        ) -> std::io::Result<()> {
            let mut line = Vec::new();
            for record in records {
                line.clear();
                serde_json::to_writer(&mut line, record)?;
                line.push(b'\n');
                each(&line)?;
            }
            Ok(())
        }
        match self {
            Self::Kev(records) => all(records, &mut each),
            Self::Cve(records) => all(records, &mut each),
            Self::EndOfLife(records) => all(records, &mut each),
            Self::Epss(records) => all(records, &mut each),
        }
    }
}

/// A versioned set of records of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The publisher's own version where it states one (KEV's catalogue, EPSS's model and date),
    /// else the day of the newest change, else of the import.
    pub version: String,
    /// SHA-256 of the normalised records, hexadecimal: the same knowledge has the same digest,
    /// whatever the files and their order.
    pub sha256: String,
    /// The records, sorted.
    pub records: Records,
}

/// First line of the stored form.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: u32,
    kind: IntelligenceKind,
    version: String,
    sha256: String,
    records: usize,
}

/// A stored snapshot that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The medium failed.
    #[error("failed to read a stored intelligence snapshot")]
    Io(#[from] std::io::Error),
    /// A line does not hold what it should.
    #[error("line {line} of the stored intelligence snapshot cannot be read")]
    Line {
        /// Line, from 1.
        line: usize,
        /// Cause.
        #[source]
        source: serde_json::Error,
    },
    /// A line is longer than any that is written.
    #[error("line {0} of the stored intelligence snapshot is too long")]
    Long(usize),
    /// Written by a newer version.
    #[error("intelligence snapshot format {0} is not known to this version")]
    Format(u32),
    /// Cut or changed since it was written.
    #[error("the stored intelligence snapshot is damaged: its records do not match its header")]
    Damaged,
}

impl Snapshot {
    /// A snapshot of `records`, which are sorted and counted once each (the later wins).
    pub fn new(version: impl Into<String>, mut records: Records) -> Self {
        fn sort<T, K: Ord>(records: &mut Vec<T>, key: impl Fn(&T) -> K) {
            records.reverse();
            records.sort_by_key(|record| key(record));
            records.dedup_by(|later, kept| key(later) == key(kept));
        }
        match &mut records {
            Records::Kev(records) => sort(records, |record| record.cve),
            Records::Cve(records) => sort(records, |record| record.id),
            Records::EndOfLife(records) => sort(records, |record| record.name.clone()),
            Records::Epss(records) => sort(records, |record| record.cve),
        }
        let mut hash = Sha256::new();
        records
            .each_line(|line| {
                hash.update(line);
                Ok(())
            })
            .expect("hashing does not fail and records serialise to JSON");
        Self { version: version.into(), sha256: hex::encode(hash.finalize()), records }
    }

    /// What kind it is.
    pub fn kind(&self) -> IntelligenceKind {
        self.records.kind()
    }

    /// Its name as findings state it, e.g. `kev@2025.08.25#sha256:…`.
    pub fn name(&self) -> String {
        format!("{}@{}#sha256:{}", self.kind(), self.version, self.sha256)
    }

    /// The last day any record speaks of; what an import takes for its version when the
    /// publisher states none.
    pub(crate) fn newest(records: &Records) -> Option<Day> {
        match records {
            Records::Kev(records) => records.iter().map(|record| record.added).max(),
            Records::Cve(records) => records.iter().filter_map(|record| record.updated).max(),
            Records::EndOfLife(_) | Records::Epss(_) => None,
        }
    }

    /// Writes the stored form: a header line, then one line of JSON a record.
    pub fn write(&self, to: &mut impl Write) -> std::io::Result<()> {
        let header = Header {
            format: FORMAT,
            kind: self.kind(),
            version: self.version.clone(),
            sha256: self.sha256.clone(),
            records: self.records.len(),
        };
        serde_json::to_writer(&mut *to, &header)?;
        to.write_all(b"\n")?;
        self.records.each_line(|line| to.write_all(line))
    }

    /// Reads the stored form back and checks its digest.
    pub fn read(mut from: impl BufRead) -> Result<Self, SnapshotError> {
        let mut line = Vec::new();
        let mut number = 0;
        let mut next = |line: &mut Vec<u8>| -> Result<Option<usize>, SnapshotError> {
            line.clear();
            number += 1;
            let read = std::io::Read::take(&mut from, LINE_MAX as u64).read_until(b'\n', line)?;
            match read {
                0 => Ok(None),
                LINE_MAX => Err(SnapshotError::Long(number)),
                _ => Ok(Some(number)),
            }
        };
        let header: Header = match next(&mut line)? {
            None => return Err(SnapshotError::Damaged),
            Some(number) => parse(&line, number)?,
        };
        if header.format != FORMAT {
            return Err(SnapshotError::Format(header.format));
        }
        let mut records = match header.kind {
            IntelligenceKind::Kev => Records::Kev(Vec::new()),
            IntelligenceKind::Cve => Records::Cve(Vec::new()),
            IntelligenceKind::EndOfLife => Records::EndOfLife(Vec::new()),
            IntelligenceKind::Epss => Records::Epss(Vec::new()),
        };
        while let Some(number) = next(&mut line)? {
            match &mut records {
                Records::Kev(records) => records.push(parse(&line, number)?),
                Records::Cve(records) => records.push(parse(&line, number)?),
                Records::EndOfLife(records) => records.push(parse(&line, number)?),
                Records::Epss(records) => records.push(parse(&line, number)?),
            }
        }
        let snapshot = Self::new(header.version, records);
        if snapshot.sha256 != header.sha256 || snapshot.records.len() != header.records {
            return Err(SnapshotError::Damaged);
        }
        Ok(snapshot)
    }
}

fn parse<T: serde::de::DeserializeOwned>(line: &[u8], number: usize) -> Result<T, SnapshotError> {
    serde_json::from_slice(line).map_err(|source| SnapshotError::Line { line: number, source })
}
