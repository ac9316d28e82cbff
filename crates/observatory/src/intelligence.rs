//! Importing knowledge about weaknesses, bringing it up to date, and what findings stand on today.

mod archive;
mod ask;
mod download;
mod source;
#[cfg(test)]
mod tests;
mod update;

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kenshin_casework::Snapshot as Registered;
use kenshin_insight::intelligence::{
    AddressTable, Import, ImportError, Importer, Intelligence, IntelligenceKind, Snapshot, Vendors,
};
use kenshin_lake::Places;
use kenshin_observation::TimeUs;
use serde::Serialize;

use crate::Observatory;
use crate::error::ActError;

pub(crate) use self::archive::open;
use self::archive::{Packed, members, packed, unpacked};
pub use self::ask::Known;
pub use self::download::Transfer;
pub use self::source::IntelSource;
pub use self::update::{UpdateEvent, UpdateResult, Updated};

/// Sets of tables of addresses that are held in memory.
const TABLES_HELD: usize = 2;
/// Most files of one import, archives counted as one.
const FILES_MAX: usize = 400_000;

/// What an import made.
#[derive(Debug, Serialize)]
pub struct Imported {
    /// Name of the snapshot as findings will state it.
    pub snapshot: String,
    /// Records in it.
    pub records: usize,
    /// Records that could not be used, at most 1000.
    pub rejected: Vec<String>,
    /// How many could not be used.
    pub rejected_total: usize,
    /// Files read.
    pub files: usize,
}

/// Where an import is: told when a file is begun, and with every MiB of it.
#[derive(Debug, Clone, Copy)]
pub struct Reading<'a> {
    /// The file.
    pub path: &'a Path,
    /// Bytes read of it so far, as it is packed.
    pub bytes: u64,
    /// Of how many.
    pub total: u64,
}

/// What is known of one kind, and since when.
#[derive(Debug, Clone, Serialize)]
pub struct IntelligenceStatus {
    /// Which kind.
    pub kind: IntelligenceKind,
    /// The snapshot that findings stand on today; without one, this kind says nothing.
    pub snapshot: Option<SnapshotStatus>,
    /// It is missing, or older than its publisher is slow.
    pub stale: bool,
    /// Days after which it is stale; absent for what nobody publishes anew.
    pub fresh_days: Option<i64>,
}

/// A snapshot that findings stand on today.
#[derive(Debug, Clone, Serialize)]
pub struct SnapshotStatus {
    /// The publisher's version or date.
    pub version: String,
    /// Records in it.
    pub records: i64,
    /// When it was imported last.
    pub imported_at: TimeUs,
    /// Whole days since then.
    pub age_days: i64,
    /// SHA-256 of the normalised records.
    pub sha256: String,
    /// Where it came from.
    pub source: String,
}

/// Tables of addresses in use.
pub(crate) struct Tables {
    /// Names of their snapshots.
    pub(crate) name: String,
    /// Names of their files under `intel/`, without endings: digests of the whole stand in them.
    pub(crate) files: String,
    /// Autonomous system and country of each address.
    pub(crate) table: AddressTable,
}

impl std::fmt::Debug for Tables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Tables").field(&self.name).finish()
    }
}

impl Places for Tables {
    fn edition(&self) -> &str {
        &self.files
    }

    fn system(&self, addr: IpAddr) -> Option<(u32, Option<&str>)> {
        self.table.asn(addr)
    }

    fn country(&self, addr: IpAddr) -> Option<(&str, Option<&str>)> {
        let entry = self.table.lookup(addr)?;
        Some((entry.country.as_deref()?, entry.region.as_deref()))
    }
}

impl Imported {
    fn new(import: Import, files: usize) -> Self {
        Self {
            snapshot: import.snapshot.name(),
            records: import.snapshot.records.len(),
            rejected: import.rejected.iter().map(ToString::to_string).collect(),
            rejected_total: import.rejected_total,
            files,
        }
    }
}

impl Observatory {
    /// Imports files (or folders of files, also gzip, tar and zip) of one kind as the snapshot in use
    /// from now on. All or nothing: on an error the snapshot before stays.
    pub async fn import_intelligence(
        &self,
        kind: IntelligenceKind,
        paths: &[PathBuf],
        progress: impl FnMut(Reading<'_>),
    ) -> Result<Imported, ActError> {
        let (import, files) = self.read_useful(Importer::new(kind), paths, progress)?;
        self.keep_import(import, paths, files).await
    }

    /// Reads all files; an error when nothing in them could be used, because an empty snapshot would take
    /// the place of what is known.
    pub(crate) fn read_useful(
        &self,
        importer: Importer,
        paths: &[PathBuf],
        progress: impl FnMut(Reading<'_>),
    ) -> Result<(Import, usize), ActError> {
        let (import, files) = self.read_intelligence(importer, paths, progress)?;
        if import.snapshot.records.is_empty() {
            let first = import.rejected.first().map_or_else(String::new, |rejected| format!(": {rejected}"));
            return Err(ActError::input(format!("nothing in the files could be used{first}"))
                .with_hint("what was known before stays in use; look whether the files are of this kind"));
        }
        Ok((import, files))
    }

    /// Reads all files, and says how many there were.
    pub(crate) fn read_intelligence(
        &self,
        mut importer: Importer,
        paths: &[PathBuf],
        mut progress: impl FnMut(Reading<'_>),
    ) -> Result<(Import, usize), ActError> {
        let files = files_of(paths)?;
        if files.is_empty() {
            return Err(ActError::input("there is no file to import")
                .with_hint("name files, or folders that hold some"));
        }
        let (kind, mut count) = (importer.kind(), 0);
        for path in &files {
            let total = std::fs::metadata(path).map_or(0, |held| held.len());
            // The directory of an archive is read beside its files.
            let mut tell = |bytes: u64| progress(Reading { path, bytes: bytes.min(total), total });
            tell(0);
            let read = |error| match error {
                ImportError::Io { source, .. } => ActError::io("read", path, source),
                other => ActError::input(other.to_string()),
            };
            match packed(path)? {
                Packed::Alone => {
                    let from = unpacked(path, &mut tell)?;
                    importer.read(&path.display().to_string(), from).map_err(read)?;
                    count += 1;
                }
                archive => {
                    let before = count;
                    let wanted = |name: &str| is_of(kind, name);
                    members(path, archive, &mut tell, wanted, |name, from| {
                        count += 1;
                        match importer.read(&format!("{}/{name}", path.display()), from) {
                            // One of many files in an archive that is another kind of file is no reason to
                            // read none.
                            Err(error @ ImportError::Kind { .. }) => {
                                importer.refuse(&error);
                                Ok(())
                            }
                            other => other.map_err(read),
                        }
                    })?;
                    if count == before {
                        return Err(ActError::input(format!(
                            "the archive `{}` holds no file that `{kind}` is published in",
                            path.display()
                        )));
                    }
                }
            }
        }
        Ok((importer.finish(self.now().into()), count))
    }

    /// Stores what was read as the snapshot in use from now on.
    pub(crate) async fn keep_import(
        &self,
        import: Import,
        paths: &[PathBuf],
        files: usize,
    ) -> Result<Imported, ActError> {
        let source = paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ");
        self.store_snapshot(&import.snapshot, &source).await?;
        Ok(Imported::new(import, files))
    }

    /// Writes a snapshot under `intel/` and registers it.
    pub async fn store_snapshot(&self, snapshot: &Snapshot, source: &str) -> Result<(), ActError> {
        let name = format!("{}-{}.jsonl", snapshot.kind(), snapshot.sha256);
        let path = self.home().intel().join(&name);
        let failed = |source| ActError::io("write", &path, source);
        let beside = path.with_extension("tmp");
        let mut file = BufWriter::new(File::create(&beside).map_err(failed)?);
        snapshot.write(&mut file).and_then(|()| file.flush()).map_err(failed)?;
        file.into_inner().map_err(|e| failed(e.into_error()))?.sync_all().map_err(failed)?;
        std::fs::rename(&beside, &path).map_err(failed)?;
        let registered = Registered {
            kind: snapshot.kind().to_string(),
            digest: snapshot.sha256.clone(),
            as_of: snapshot.version.clone(),
            source: source.to_owned(),
            path: format!("intel/{name}"),
            records: i64::try_from(snapshot.records.len()).unwrap_or(i64::MAX),
            imported_at: self.now(),
        };
        self.casework().add_snapshot(self.org(), &registered).await?;
        Ok(())
    }

    /// What is known of each kind, and how old it is.
    pub async fn intelligence_status(&self) -> Result<Vec<IntelligenceStatus>, ActError> {
        let newest = self.newest_snapshots().await?;
        let of = |kind: &IntelligenceKind| {
            let held = newest.iter().find(|held| held.kind == kind.as_str());
            status(*kind, held, self.now())
        };
        Ok(IntelligenceKind::ALL.iter().map(of).collect())
    }

    /// Everything known of weaknesses today, read from the newest snapshots. Tables of addresses are
    /// not of weaknesses.
    pub async fn intelligence(&self) -> Result<Intelligence, ActError> {
        let tables = [IntelligenceKind::Asn, IntelligenceKind::Country, IntelligenceKind::Oui];
        self.joined(|kind| !tables.contains(&kind)).await
    }

    /// What the newest snapshots of some kinds know: a question about components needs no CVE records.
    pub(crate) async fn intelligence_of(&self, kinds: &[IntelligenceKind]) -> Result<Intelligence, ActError> {
        self.joined(|kind| kinds.contains(&kind)).await
    }

    /// The tables of addresses in use, read once until others are; none where there are none. Of an instant those
    /// that had been imported last by then, or the first of all; what was imported again counts by its last time.
    pub(crate) async fn tables(&self, at: Option<TimeUs>) -> Result<Option<Arc<Tables>>, ActError> {
        let kinds = [IntelligenceKind::Asn, IntelligenceKind::Country];
        let held = match at {
            None => self.newest_snapshots().await?,
            Some(_) => self.casework().snapshots(self.org()).await?,
        };
        let of_addresses: Vec<&Registered> = kinds
            .iter()
            .filter_map(|kind| {
                // Newest first.
                let of_kind = || held.iter().filter(|held| held.kind == kind.as_str());
                let by_then = |held: &&Registered| at.is_none_or(|at| held.imported_at <= at);
                of_kind().find(by_then).or_else(|| of_kind().next_back())
            })
            .collect();
        let files: Vec<_> =
            of_addresses.iter().map(|held| format!("{}-{}", held.kind, held.digest)).collect();
        let named: Vec<String> = of_addresses
            .iter()
            .map(|held| {
                format!("{}@{}#sha256:{}", held.kind, held.as_of, &held.digest[..16.min(held.digest.len())])
            })
            .collect();
        if named.is_empty() {
            return Ok(None);
        }
        let name = named.join(" ");
        let mut known = self.inner.tables.lock().await;
        if let Some(tables) = known.iter().find(|tables| tables.name == name) {
            return Ok(Some(Arc::clone(tables)));
        }
        let snapshots =
            of_addresses.iter().map(|held| self.read_snapshot(held)).collect::<Result<Vec<_>, _>>()?;
        let table = Intelligence::new(snapshots).addresses();
        let read = Arc::new(Tables { name, files: files.join(" "), table });
        // Those of today, and those of the past that is looked at.
        known.truncate(TABLES_HELD - 1);
        known.insert(0, Arc::clone(&read));
        Ok(Some(read))
    }

    /// Whom hardware addresses were assigned to, from the newest registry.
    pub async fn hardware_vendors(&self) -> Result<Vendors, ActError> {
        Ok(self.joined(|kind| kind == IntelligenceKind::Oui).await?.vendors())
    }

    /// The newest snapshots of the kinds wanted.
    async fn joined(&self, wanted: impl Fn(IntelligenceKind) -> bool) -> Result<Intelligence, ActError> {
        let mut snapshots = Vec::new();
        for registered in self.newest_snapshots().await? {
            if registered.kind.parse().is_ok_and(&wanted) {
                snapshots.push(self.read_snapshot(&registered)?);
            }
        }
        Ok(Intelligence::new(snapshots))
    }

    /// The newest snapshot of one kind, if there is one.
    pub(crate) async fn newest_snapshot(&self, kind: IntelligenceKind) -> Result<Option<Snapshot>, ActError> {
        let newest = self.newest_snapshots().await?;
        let registered = newest.iter().find(|registered| registered.kind == kind.as_str());
        registered.map(|registered| self.read_snapshot(registered)).transpose()
    }

    fn read_snapshot(&self, registered: &Registered) -> Result<Snapshot, ActError> {
        let path = self.home().resolve(registered.path.as_ref());
        let file = File::open(&path).map_err(|source| ActError::io("read", &path, source))?;
        Snapshot::read(BufReader::new(file))
            .map_err(|error| ActError::outside(format!("failed to read `{}`", path.display()), error))
    }

    async fn newest_snapshots(&self) -> Result<Vec<Registered>, ActError> {
        Ok(self.casework().newest_snapshots(self.org()).await?)
    }
}

fn status(kind: IntelligenceKind, held: Option<&Registered>, now: TimeUs) -> IntelligenceStatus {
    const DAY_US: i64 = 86_400_000_000;
    let fresh_days = match kind {
        // Published every day; what is exploited today matters today.
        IntelligenceKind::Kev | IntelligenceKind::Epss => Some(2),
        IntelligenceKind::Cve | IntelligenceKind::Csaf | IntelligenceKind::Jvn => Some(7),
        IntelligenceKind::EndOfLife | IntelligenceKind::Osv => Some(30),
        IntelligenceKind::Asn | IntelligenceKind::Country => Some(60),
        IntelligenceKind::Oui => Some(365),
        // What somebody knew by heart is not published anew.
        IntelligenceKind::Sbom
        | IntelligenceKind::ComponentList
        | IntelligenceKind::KnownGood
        | IntelligenceKind::Keys => None,
    };
    let snapshot = held.map(|held| SnapshotStatus {
        version: held.as_of.clone(),
        records: held.records,
        imported_at: held.imported_at,
        age_days: now.micros_since(held.imported_at).max(0) / DAY_US,
        sha256: held.digest.clone(),
        source: held.source.clone(),
    });
    let old = |days| snapshot.as_ref().is_none_or(|snapshot| snapshot.age_days > days);
    let stale = fresh_days.is_some_and(old);
    IntelligenceStatus { kind, snapshot, stale, fresh_days }
}

/// True when a file of an archive is one that a kind is published in; archives hold other things too.
fn is_of(kind: IntelligenceKind, name: &str) -> bool {
    let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
    let ends = |endings: &[&str]| endings.iter().any(|ending| file.ends_with(ending));
    match kind {
        IntelligenceKind::Cve => ends(&[".json", ".jsonl"]) && !file.starts_with("delta"),
        IntelligenceKind::EndOfLife => {
            ends(&[".json"]) || (file.ends_with(".md") && folder.split('/').any(|part| part == "products"))
        }
        // Lists of documents, not documents.
        IntelligenceKind::Csaf => {
            ends(&[".json"])
                && !file.contains("feed-tlp-")
                && !file.contains("rolie")
                && file != "provider-metadata.json"
        }
        IntelligenceKind::Osv => ends(&[".json", ".jsonl"]),
        IntelligenceKind::Jvn => ends(&[".rdf", ".xml"]),
        IntelligenceKind::Kev => ends(&[".json", ".csv"]),
        IntelligenceKind::Epss | IntelligenceKind::Oui => ends(&[".csv"]),
        IntelligenceKind::Asn | IntelligenceKind::Country => ends(&[".csv", ".tsv", ".mmdb"]),
        IntelligenceKind::Sbom => ends(&[".json", ".xml", ".spdx"]),
        IntelligenceKind::ComponentList => ends(&[".toml", ".csv"]),
        IntelligenceKind::KnownGood => ends(&[".toml"]),
        IntelligenceKind::Keys => ends(&[".txt", ".keys"]),
    }
}

fn files_of(paths: &[PathBuf]) -> Result<Vec<PathBuf>, ActError> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path).map_err(|source| ActError::io("read", path, source))?;
        let mut inside: Vec<PathBuf> =
            entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_file()).collect();
        inside.sort();
        files.extend(inside);
    }
    if files.len() > FILES_MAX {
        return Err(ActError::input(format!("{} files are more than {FILES_MAX}", files.len())));
    }
    Ok(files)
}
