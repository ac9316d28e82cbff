//! Files of one kind become one snapshot.

use std::io::BufRead;

use crate::component::{self, Fact, Family};
use crate::drift::{self, KnownGood};

use super::{
    AddressTableBuilder, Advisory, Cve, Day, EndOfLife, Epss, IntelligenceKind, Jvn, Kev, KnownKey, Osv, Oui,
    Records, Snapshot, addresses, csaf, cve, endoflife, epss, jvn, kev, keys, nvd, osv, oui,
};

/// Most rejected records that are listed; further ones are counted.
pub const REJECTED_MAX: usize = 1_000;

/// Most records of one import.
const RECORDS_MAX: usize = 4_000_000;

/// A record that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// File it is in.
    pub file: String,
    /// Line it begins at, or where its error is, from 1; 0 in a file without lines.
    pub line: u64,
    /// Why.
    pub reason: String,
}

impl std::fmt::Display for Rejected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.reason),
            line => write!(f, "{}:{line}: {}", self.file, self.reason),
        }
    }
}

/// A whole file that could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The medium failed.
    #[error("failed to read `{file}`")]
    Io {
        /// Which file.
        file: String,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
    /// It is not a file of this kind.
    #[error("`{file}` is not a file of kind `{kind}`: {problem}\nhint: {hint}")]
    Kind {
        /// Which file.
        file: String,
        /// The kind asked for.
        kind: IntelligenceKind,
        /// What was found instead.
        problem: String,
        /// What is expected.
        hint: &'static str,
    },
    /// More records than any publisher has.
    #[error("`{file}` takes the import above {RECORDS_MAX} records")]
    TooMany {
        /// Which file.
        file: String,
    },
}

/// What an import made.
#[derive(Debug, Clone)]
pub struct Import {
    /// The records that could be used.
    pub snapshot: Snapshot,
    /// The records that could not, at most [`REJECTED_MAX`].
    pub rejected: Vec<Rejected>,
    /// How many could not, listed or not.
    pub rejected_total: usize,
}

/// Reads files of one kind.
#[derive(Debug)]
pub struct Importer {
    kind: IntelligenceKind,
    /// The publisher's own version, when it states one.
    pub(super) version: Option<String>,
    pub(super) kev: Vec<Kev>,
    pub(super) cve: Vec<Cve>,
    /// What NVD says of CVEs.
    pub(super) nvd: Vec<Cve>,
    pub(super) endoflife: Vec<EndOfLife>,
    pub(super) epss: Vec<Epss>,
    pub(super) keys: Vec<KnownKey>,
    pub(super) csaf: Vec<Advisory>,
    pub(super) osv: Vec<Osv>,
    pub(super) jvn: Vec<Jvn>,
    pub(super) oui: Vec<Oui>,
    pub(super) addresses: AddressTableBuilder,
    pub(crate) facts: Vec<Fact>,
    pub(crate) known_good: Vec<KnownGood>,
    /// The product that bills of materials are of, when the operator says so.
    pub(crate) product: Option<Family>,
    rejected: Vec<Rejected>,
    rejected_total: usize,
}

impl Importer {
    /// An importer for files of one kind.
    pub fn new(kind: IntelligenceKind) -> Self {
        Self {
            kind,
            version: None,
            kev: Vec::new(),
            cve: Vec::new(),
            nvd: Vec::new(),
            endoflife: Vec::new(),
            epss: Vec::new(),
            keys: Vec::new(),
            csaf: Vec::new(),
            osv: Vec::new(),
            jvn: Vec::new(),
            oui: Vec::new(),
            addresses: AddressTableBuilder::default(),
            facts: Vec::new(),
            known_good: Vec::new(),
            product: None,
            rejected: Vec::new(),
            rejected_total: 0,
        }
    }

    /// The product that the bills of materials are of, whatever they say of themselves.
    #[must_use]
    pub fn about(mut self, product: Option<Family>) -> Self {
        self.product = product;
        self
    }

    /// What kind of files it reads.
    pub fn kind(&self) -> IntelligenceKind {
        self.kind
    }

    /// Reads one file, uncompressed. `file` names it in messages; the name also tells the date of
    /// an old EPSS file and the product of a list of release cycles. A record that cannot be used
    /// is noted and the rest goes on; an error means that the file as a whole cannot be used.
    pub fn read(&mut self, file: &str, from: impl BufRead) -> Result<(), ImportError> {
        match self.kind {
            IntelligenceKind::Kev => kev::read(self, file, from)?,
            IntelligenceKind::Cve => cve::read(self, file, from)?,
            IntelligenceKind::EndOfLife => endoflife::read(self, file, from)?,
            IntelligenceKind::Epss => epss::read(self, file, from)?,
            IntelligenceKind::Csaf => csaf::read(self, file, from)?,
            IntelligenceKind::Osv => osv::read(self, file, from)?,
            IntelligenceKind::Jvn => jvn::read(self, file, from)?,
            IntelligenceKind::Oui => oui::read(self, file, from)?,
            kind @ (IntelligenceKind::Asn | IntelligenceKind::Country) => {
                addresses::file::read(self, kind, file, from)?;
            }
            IntelligenceKind::Sbom => component::sbom::read(self, file, from)?,
            IntelligenceKind::ComponentList => component::list::read(self, file, from)?,
            IntelligenceKind::KnownGood => drift::known_good::read(self, file, from)?,
            IntelligenceKind::Keys => keys::read(self, file, from)?,
        }
        if self.len() > RECORDS_MAX {
            return Err(ImportError::TooMany { file: file.to_owned() });
        }
        Ok(())
    }

    /// Notes that a whole file could not be used, where others go on without it.
    pub fn refuse(&mut self, error: &ImportError) {
        match error {
            ImportError::Kind { file, problem, .. } => self.reject(file, 0, problem),
            ImportError::Io { file, source } => self.reject(file, 0, source),
            ImportError::TooMany { file } => self.reject(file, 0, error),
        }
    }

    /// How many records were read.
    fn len(&self) -> usize {
        self.kev.len()
            + self.cve.len()
            + self.nvd.len()
            + self.endoflife.len()
            + self.epss.len()
            + self.csaf.len()
            + self.osv.len()
            + self.jvn.len()
            + self.oui.len()
            + self.addresses.len()
            + self.keys.len()
            + self.facts.len()
            + self.known_good.len()
    }

    /// Makes the snapshot; `today` is its version when neither publisher nor records state one.
    pub fn finish(self, today: Day) -> Import {
        let records = match self.kind {
            IntelligenceKind::Kev => Records::Kev(self.kev),
            IntelligenceKind::Cve => Records::Cve(nvd::join(self.cve, self.nvd)),
            IntelligenceKind::EndOfLife => Records::EndOfLife(self.endoflife),
            IntelligenceKind::Epss => Records::Epss(self.epss),
            IntelligenceKind::Csaf => Records::Csaf(self.csaf),
            IntelligenceKind::Osv => Records::Osv(self.osv),
            IntelligenceKind::Jvn => Records::Jvn(self.jvn),
            IntelligenceKind::Oui => Records::Oui(self.oui),
            IntelligenceKind::Asn => Records::Asn(self.addresses.finish()),
            IntelligenceKind::Country => Records::Country(self.addresses.finish()),
            IntelligenceKind::Sbom => Records::Sbom(self.facts),
            IntelligenceKind::ComponentList => Records::ComponentList(self.facts),
            IntelligenceKind::KnownGood => Records::KnownGood(self.known_good),
            IntelligenceKind::Keys => Records::Keys(self.keys),
        };
        let version = self.version.unwrap_or_else(|| Snapshot::newest(&records).unwrap_or(today).to_string());
        Import {
            snapshot: Snapshot::new(version, records),
            rejected: self.rejected,
            rejected_total: self.rejected_total,
        }
    }

    pub(super) fn rejected_total(&self) -> usize {
        self.rejected_total
    }

    pub(crate) fn reject(&mut self, file: &str, line: u64, reason: impl std::fmt::Display) {
        self.rejected_total += 1;
        if self.rejected.len() < REJECTED_MAX {
            let reason = reason.to_string().chars().take(300).collect();
            self.rejected.push(Rejected { file: file.to_owned(), line, reason });
        }
    }

    /// Notes a record that begins at `begins` and is no such JSON.
    pub(crate) fn reject_json(&mut self, file: &str, begins: u64, error: &serde_json::Error) {
        // The error counts lines from the record's beginning.
        let reason = error.to_string();
        let reason = reason.rsplit_once(" at line ").map_or(reason.as_str(), |(reason, _)| reason);
        let line = begins + (error.line() as u64).saturating_sub(1);
        self.reject(file, line, format_args!("{reason} (column {})", error.column()));
    }

    pub(crate) fn newer_version(&mut self, version: String) {
        if self.version.as_ref().is_none_or(|held| *held < version) {
            self.version = Some(version);
        }
    }
}

pub(crate) fn io(file: &str) -> impl FnOnce(std::io::Error) -> ImportError {
    |source| ImportError::Io { file: file.to_owned(), source }
}

/// Reads one line, without its end, into `line`; `None` at the end of the file. A line above `max`
/// bytes is skipped to its end and comes back cut.
pub(crate) fn read_line(
    from: &mut impl BufRead,
    max: usize,
    line: &mut Vec<u8>,
) -> std::io::Result<Option<bool>> {
    line.clear();
    let read = std::io::Read::take(&mut *from, max as u64 + 1).read_until(b'\n', line)?;
    if read == 0 {
        return Ok(None);
    }
    let whole = line.last() == Some(&b'\n') || read <= max;
    if !whole {
        loop {
            let chunk = from.fill_buf()?;
            let (length, end) = match chunk.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (chunk.len(), chunk.is_empty()),
            };
            from.consume(length);
            if end {
                break;
            }
        }
    }
    while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        line.pop();
    }
    Ok(Some(whole))
}
