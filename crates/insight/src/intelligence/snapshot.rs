//! A versioned set of records of one kind, and its stored form.

use std::cmp::Ordering;
use std::io::{BufRead, Write};
use std::net::IpAddr;

use kenshin_observation::words;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{AddressTable, Advisory, Cve, Day, EndOfLife, Entry, Epss, Jvn, Kev, KnownKey, Osv, Oui};
use crate::component::Fact;
use crate::drift::KnownGood;

/// Version of the stored form written today.
pub(crate) const FORMAT: u32 = 1;

/// Longest stored line, its end included. Longer ones are neither imported nor written nor read: one
/// that was written and cannot be read back would end every assessment.
const LINE_MAX: usize = 256 << 20;

/// Why a record that does not fit ([`fits`]) is rejected.
pub(super) const TOO_LONG: &str = "the record is longer than the 256 MiB that are stored of one";

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
        /// Advisories and VEX statements.
        Csaf = "csaf",
        /// Vulnerabilities of packages.
        Osv = "osv",
        /// Entries of JVN iPedia.
        Jvn = "jvn",
        /// Whom hardware addresses were assigned to.
        Oui = "oui",
        /// Which autonomous system announces an address.
        Asn = "asn",
        /// In which country an address is used.
        Country = "country",
        /// Bills of materials of products.
        Sbom = "sbom",
        /// What product families contain, and what nobody maintains, by hand.
        ComponentList = "component-list",
        /// Pages as they should be.
        KnownGood = "known-good",
        /// Keys that everybody can have.
        Keys = "keys",
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
    /// Advisories and VEX statements.
    Csaf(Vec<Advisory>),
    /// Vulnerabilities of packages.
    Osv(Vec<Osv>),
    /// Entries of JVN iPedia.
    Jvn(Vec<Jvn>),
    /// Whom hardware addresses were assigned to.
    Oui(Vec<Oui>),
    /// Autonomous systems of addresses.
    Asn(AddressTable),
    /// Countries of addresses.
    Country(AddressTable),
    /// Statements of bills of materials.
    Sbom(Vec<Fact>),
    /// Statements written by hand.
    ComponentList(Vec<Fact>),
    /// Pages as they should be.
    KnownGood(Vec<KnownGood>),
    /// Keys that everybody can have.
    Keys(Vec<KnownKey>),
}

/// What of one kind is told apart by.
trait Record: Serialize {
    fn order(&self, other: &Self) -> Ordering;
}

impl Record for Kev {
    fn order(&self, other: &Self) -> Ordering {
        self.cve.cmp(&other.cve)
    }
}

impl Record for Cve {
    fn order(&self, other: &Self) -> Ordering {
        self.id.cmp(&other.id)
    }
}

impl Record for EndOfLife {
    fn order(&self, other: &Self) -> Ordering {
        self.name.cmp(&other.name)
    }
}

impl Record for Epss {
    fn order(&self, other: &Self) -> Ordering {
        self.cve.cmp(&other.cve)
    }
}

impl Record for Advisory {
    fn order(&self, other: &Self) -> Ordering {
        (&self.publisher, &self.id).cmp(&(&other.publisher, &other.id))
    }
}

impl Record for Osv {
    fn order(&self, other: &Self) -> Ordering {
        self.id.cmp(&other.id)
    }
}

impl Record for Jvn {
    fn order(&self, other: &Self) -> Ordering {
        self.id.cmp(&other.id)
    }
}

impl Record for Oui {
    fn order(&self, other: &Self) -> Ordering {
        self.prefix.cmp(&other.prefix)
    }
}

impl Record for Fact {
    fn order(&self, other: &Self) -> Ordering {
        self.subject().cmp(&other.subject())
    }
}

impl Record for KnownGood {
    fn order(&self, other: &Self) -> Ordering {
        (&self.family, &self.path).cmp(&(&other.family, &other.path))
    }
}

impl Record for KnownKey {
    fn order(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}

/// A range of a table as it is stored, a list: first and last address, number and name of a system,
/// country, and its part where that is known.
#[derive(Deserialize)]
struct StoredRange(
    IpAddr,
    IpAddr,
    Option<u32>,
    Option<String>,
    Option<String>,
    #[serde(default)] Option<String>,
);

/// Does one thing with a list of records of any kind, and another with a table.
macro_rules! each_kind {
    ($records:expr, $list:ident => $with_list:expr, $table:ident => $with_table:expr) => {
        match $records {
            Records::Kev($list) => $with_list,
            Records::Cve($list) => $with_list,
            Records::EndOfLife($list) => $with_list,
            Records::Epss($list) => $with_list,
            Records::Csaf($list) => $with_list,
            Records::Osv($list) => $with_list,
            Records::Jvn($list) => $with_list,
            Records::Oui($list) => $with_list,
            Records::Sbom($list) | Records::ComponentList($list) => $with_list,
            Records::KnownGood($list) => $with_list,
            Records::Keys($list) => $with_list,
            Records::Asn($table) | Records::Country($table) => $with_table,
        }
    };
}

impl Records {
    /// What kind they are.
    pub fn kind(&self) -> IntelligenceKind {
        match self {
            Self::Kev(_) => IntelligenceKind::Kev,
            Self::Cve(_) => IntelligenceKind::Cve,
            Self::EndOfLife(_) => IntelligenceKind::EndOfLife,
            Self::Epss(_) => IntelligenceKind::Epss,
            Self::Csaf(_) => IntelligenceKind::Csaf,
            Self::Osv(_) => IntelligenceKind::Osv,
            Self::Jvn(_) => IntelligenceKind::Jvn,
            Self::Oui(_) => IntelligenceKind::Oui,
            Self::Asn(_) => IntelligenceKind::Asn,
            Self::Country(_) => IntelligenceKind::Country,
            Self::Sbom(_) => IntelligenceKind::Sbom,
            Self::ComponentList(_) => IntelligenceKind::ComponentList,
            Self::KnownGood(_) => IntelligenceKind::KnownGood,
            Self::Keys(_) => IntelligenceKind::Keys,
        }
    }

    fn empty(kind: IntelligenceKind) -> Self {
        match kind {
            IntelligenceKind::Kev => Self::Kev(Vec::new()),
            IntelligenceKind::Cve => Self::Cve(Vec::new()),
            IntelligenceKind::EndOfLife => Self::EndOfLife(Vec::new()),
            IntelligenceKind::Epss => Self::Epss(Vec::new()),
            IntelligenceKind::Csaf => Self::Csaf(Vec::new()),
            IntelligenceKind::Osv => Self::Osv(Vec::new()),
            IntelligenceKind::Jvn => Self::Jvn(Vec::new()),
            IntelligenceKind::Oui => Self::Oui(Vec::new()),
            IntelligenceKind::Asn => Self::Asn(AddressTable::default()),
            IntelligenceKind::Country => Self::Country(AddressTable::default()),
            IntelligenceKind::Sbom => Self::Sbom(Vec::new()),
            IntelligenceKind::ComponentList => Self::ComponentList(Vec::new()),
            IntelligenceKind::KnownGood => Self::KnownGood(Vec::new()),
            IntelligenceKind::Keys => Self::Keys(Vec::new()),
        }
    }

    /// How many; of tables, how many ranges.
    pub fn len(&self) -> usize {
        each_kind!(self, list => list.len(), table => table.len())
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each record as one line of JSON.
    fn each_line(&self, mut each: impl FnMut(&[u8]) -> std::io::Result<()>) -> std::io::Result<()> {
        let mut line = Vec::new();
        each_kind!(
            self,
            list => list.iter().try_for_each(|record| each(json_line(&mut line, record)?)),
            table => table.ranges().try_for_each(|(from, to, Entry { asn, name, country, region })| {
                let line = match region {
                    None => json_line(&mut line, &(from, to, asn, name, country))?,
                    Some(region) => json_line(&mut line, &(from, to, asn, name, country, region))?,
                };
                each(line)
            })
        )
    }
}

fn json_line<'a>(line: &'a mut Vec<u8>, record: &impl Serialize) -> std::io::Result<&'a [u8]> {
    line.clear();
    serde_json::to_writer(&mut *line, record)?;
    line.push(b'\n');
    Ok(line)
}

/// True when a record can be stored and read back.
pub(super) fn fits(record: &impl Serialize) -> bool {
    fits_in(record, LINE_MAX)
}

/// True when a record and the end of its line take at most `max` bytes.
fn fits_in(record: &impl Serialize, max: usize) -> bool {
    /// Counts down, and keeps nothing.
    struct Room(usize);
    impl Write for Room {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut room = Room(max);
    serde_json::to_writer(&mut room, record).is_ok() && room.0 > 0
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
        fn sort<T: Record>(records: &mut Vec<T>) {
            records.reverse();
            records.sort_by(T::order);
            records.dedup_by(|later, kept| later.order(kept).is_eq());
        }
        each_kind!(&mut records, list => sort(list), _table => {});
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
            Records::Csaf(records) => records.iter().filter_map(|record| record.updated).max(),
            Records::Osv(records) => records.iter().filter_map(|record| record.updated).max(),
            Records::Jvn(records) => records.iter().filter_map(|record| record.updated).max(),
            Records::EndOfLife(_)
            | Records::Epss(_)
            | Records::Oui(_)
            | Records::Asn(_)
            | Records::Country(_)
            | Records::Sbom(_)
            | Records::ComponentList(_)
            | Records::KnownGood(_)
            | Records::Keys(_) => None,
        }
    }

    /// Writes the stored form: a header line, then one line of JSON a record. A record that could not
    /// be read back is an error.
    pub fn write(&self, to: &mut impl Write) -> std::io::Result<()> {
        self.write_within(to, LINE_MAX)
    }

    fn write_within(&self, to: &mut impl Write, line_max: usize) -> std::io::Result<()> {
        let header = Header {
            format: FORMAT,
            kind: self.kind(),
            version: self.version.clone(),
            sha256: self.sha256.clone(),
            records: self.records.len(),
        };
        serde_json::to_writer(&mut *to, &header)?;
        to.write_all(b"\n")?;
        self.records.each_line(|line| match line.len() <= line_max {
            true => to.write_all(line),
            false => Err(std::io::Error::new(std::io::ErrorKind::InvalidData, TOO_LONG)),
        })
    }

    /// Reads the stored form back and checks its digest.
    pub fn read(from: impl BufRead) -> Result<Self, SnapshotError> {
        Self::read_within(from, LINE_MAX)
    }

    fn read_within(mut from: impl BufRead, line_max: usize) -> Result<Self, SnapshotError> {
        let mut line = Vec::new();
        let mut number = 0;
        let mut next = |line: &mut Vec<u8>| -> Result<Option<usize>, SnapshotError> {
            line.clear();
            number += 1;
            match std::io::Read::take(&mut from, line_max as u64 + 1).read_until(b'\n', line)? {
                0 => Ok(None),
                read if read > line_max => Err(SnapshotError::Long(number)),
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
        let mut records = Records::empty(header.kind);
        let mut ranges = AddressTable::builder();
        while let Some(number) = next(&mut line)? {
            each_kind!(
                &mut records,
                list => list.push(parse(&line, number)?),
                _table => {
                    let StoredRange(from, to, asn, name, country, region) = parse(&line, number)?;
                    if !ranges.add(from, to, &Entry { asn, name, country, region }) {
                        return Err(SnapshotError::Damaged);
                    }
                }
            );
        }
        each_kind!(&mut records, _list => {}, table => *table = ranges.finish());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read_and_what_is_too_long_is_not_written() {
        let oui = Oui { prefix: "00005E".to_owned(), organisation: "x".repeat(1_000) };
        let length = serde_json::to_vec(&oui).unwrap().len() + 1;
        let snapshot = Snapshot::new("2026-04-01", Records::Oui(vec![oui.clone()]));
        assert!(fits(&oui) && fits_in(&oui, length) && !fits_in(&oui, length - 1));
        let mut stored = Vec::new();
        snapshot.write_within(&mut stored, length).unwrap();
        assert_eq!(Snapshot::read_within(stored.as_slice(), length).unwrap(), snapshot);
        let error = Snapshot::read_within(stored.as_slice(), length - 1).unwrap_err();
        assert!(matches!(error, SnapshotError::Long(2)), "{error}");
        let error = snapshot.write_within(&mut Vec::new(), length - 1).unwrap_err();
        assert_eq!(error.to_string(), TOO_LONG);
    }
}
