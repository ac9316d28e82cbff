//! Fingerprints in the XML format of Recog: patterns over what a service says.
//!
//! A [`Pack`] is a named set of [`Database`]s; a database is one XML file whose fingerprints look
//! at one field (`ssh.banner`, `http_header.server`, `html_title` …) and are tried in order, so
//! that the first match is the answer. [`Packs`] are the packs in use, the shipped one
//! ([`Pack::own`]) first.
//!
//! Patterns compile on first use, behind a literal prefilter: looking at one banner compiles and
//! runs the few patterns whose required text occurs in it, and a process that never sees SMTP
//! never compiles an SMTP pattern.
//!
//! ```
//! use kenshin_insight::fingerprint::{Pack, Packs};
//! let packs = Packs::own();
//! let found = packs.first_matches("ssh.banner", b"dropbear_2022.83");
//! assert_eq!(found[0].get("service.version"), Some("2022.83"));
//! ```
//!
//! It expands no entities, reads no file and refuses what exceeds its stated limits: an imported
//! pack comes from a stranger.

mod database;
mod literal;
mod own;
mod pattern;
mod verification;
mod xml;

use std::sync::Arc;

pub use database::{Database, Example, Fingerprint, Match, Param};
pub use own::OWN;
pub use verification::{Fault, FaultKind, Verification};
pub use xml::{PackError, limits};

use crate::intelligence::Vendors;

/// A named set of databases.
#[derive(Debug)]
pub struct Pack {
    name: String,
    databases: Vec<Database>,
}

impl Pack {
    /// Reads the files of a pack, given as name and text. The name of a file without its ending
    /// is the database's key where the file states none.
    pub fn parse<'a>(
        name: &str,
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, PackError> {
        let mut databases = Vec::new();
        for (file, text) in files {
            databases.push(Database::parse(file, text)?);
        }
        // Stable: databases of equal preference stay in the order given.
        databases.sort_by(|a, b| b.preference().total_cmp(&a.preference()));
        Ok(Self { name: name.to_owned(), databases })
    }

    /// The pack shipped with the program.
    pub fn own() -> Arc<Self> {
        own::pack()
    }

    /// Name of the pack, e.g. `own` or `recog`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its databases, those of higher preference first.
    pub fn databases(&self) -> &[Database] {
        &self.databases
    }

    /// The databases that look at `key`, those of higher preference first.
    pub fn databases_for<'p>(&'p self, key: &'p str) -> impl Iterator<Item = &'p Database> {
        self.databases.iter().filter(move |database| database.key() == key)
    }

    /// Number of fingerprints.
    pub fn len(&self) -> usize {
        self.databases.iter().map(|database| database.fingerprints().len()).sum()
    }

    /// True when the pack holds no fingerprint.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The packs in use, in order of precedence: an earlier pack wins ties. Beside them stands the
/// registry of hardware addresses, which tells makers too.
#[derive(Debug, Clone, Default)]
pub struct Packs {
    packs: Vec<Arc<Pack>>,
    vendors: Arc<Vendors>,
}

impl Packs {
    /// The shipped pack alone.
    pub fn own() -> Self {
        Self::new(vec![Pack::own()])
    }

    /// These packs, in order of precedence.
    pub fn new(packs: Vec<Arc<Pack>>) -> Self {
        Self { packs, vendors: Arc::default() }
    }

    /// The shipped pack, then `imported` ones.
    pub fn both(imported: impl IntoIterator<Item = Arc<Pack>>) -> Self {
        Self::new(std::iter::once(Pack::own()).chain(imported).collect())
    }

    /// The same packs with another registry of hardware addresses.
    #[must_use]
    pub fn with_vendors(self, vendors: Vendors) -> Self {
        Self { vendors: Arc::new(vendors), ..self }
    }

    /// The packs, in order of precedence.
    pub fn packs(&self) -> &[Arc<Pack>] {
        &self.packs
    }

    /// Whom hardware addresses were assigned to; nobody unless the registry was imported.
    pub fn vendors(&self) -> &Vendors {
        &self.vendors
    }

    /// The fingerprint that [`Match::name`] names, as far as it is in use.
    pub fn fingerprint(&self, name: &str) -> Option<&Fingerprint> {
        let (pack, place) = name.split_once(':')?;
        let (file, number) = place.rsplit_once('/')?;
        let index = number.parse::<usize>().ok()?.checked_sub(1)?;
        let pack = self.packs.iter().find(|held| held.name == pack)?;
        let database = pack.databases.iter().find(|database| database.stem() == file)?;
        database.fingerprints().get(index)
    }

    /// What each database for `key` says of `input`: its first match. In order of pack, then
    /// preference.
    pub fn first_matches(&self, key: &str, input: &[u8]) -> Vec<Match<'_>> {
        let mut found = Vec::new();
        for pack in &self.packs {
            for database in pack.databases.iter().filter(|database| database.key() == key) {
                found.extend(database.first_match(input).map(|found| Match { pack: &pack.name, ..found }));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests;
