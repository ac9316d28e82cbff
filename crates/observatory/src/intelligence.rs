//! Importing knowledge about weaknesses, and what findings stand on today.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use kenshin_casework::Snapshot as Registered;
use kenshin_insight::intelligence::{
    Import, ImportError, Importer, Intelligence, IntelligenceKind, Snapshot,
};
use kenshin_observation::TimeUs;
use serde::Serialize;

use crate::Observatory;
use crate::error::ActError;

/// Most files of one import.
const FILES_MAX: usize = 100_000;
/// Most uncompressed bytes of one file.
const FILE_BYTES_MAX: u64 = 4 << 30;

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

/// A snapshot that findings stand on today.
#[derive(Debug, Clone, Serialize)]
pub struct IntelligenceStatus {
    /// `kev`, `cve5`, `endoflife` or `epss`.
    pub kind: String,
    /// The publisher's version or date.
    pub version: String,
    /// Records in it.
    pub records: i64,
    /// When it was imported.
    pub imported_at: TimeUs,
    /// SHA-256 of the normalised records.
    pub sha256: String,
    /// Where it came from.
    pub source: String,
}

impl Observatory {
    /// Imports files (or folders of files, also gzip) of one kind as the snapshot in use from now
    /// on. All or nothing: on an error the snapshot before stays. `progress` is told each file.
    pub async fn import_intelligence(
        &self,
        kind: IntelligenceKind,
        paths: &[PathBuf],
        progress: impl FnMut(&Path),
    ) -> Result<Imported, ActError> {
        let (import, files) = self.read_intelligence(Importer::new(kind), paths, progress)?;
        self.keep_import(import, paths, files).await
    }

    /// Reads all files, and says how many there were.
    pub(crate) fn read_intelligence(
        &self,
        mut importer: Importer,
        paths: &[PathBuf],
        mut progress: impl FnMut(&Path),
    ) -> Result<(Import, usize), ActError> {
        let files = files_of(paths)?;
        if files.is_empty() {
            return Err(ActError::input("there is no file to import")
                .with_hint("name files, or folders that hold some"));
        }
        for path in &files {
            progress(path);
            importer.read(&path.display().to_string(), open(path)?).map_err(|error| match error {
                ImportError::Io { source, .. } => ActError::io("read", path, source),
                other => ActError::input(other.to_string()),
            })?;
        }
        Ok((importer.finish(self.now().into()), files.len()))
    }

    /// Stores what was read as the snapshot in use from now on.
    pub(crate) async fn keep_import(
        &self,
        import: Import,
        paths: &[PathBuf],
        files: usize,
    ) -> Result<Imported, ActError> {
        let Import { snapshot, rejected, rejected_total } = import;
        let source = paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ");
        self.store_snapshot(&snapshot, &source).await?;
        Ok(Imported {
            snapshot: snapshot.name(),
            records: snapshot.records.len(),
            rejected: rejected.iter().map(ToString::to_string).collect(),
            rejected_total,
            files,
        })
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

    /// The newest snapshot of each kind.
    pub async fn intelligence_status(&self) -> Result<Vec<IntelligenceStatus>, ActError> {
        Ok(self.newest_snapshots().await?.into_iter().map(status).collect())
    }

    /// Everything known today, read from the newest snapshots.
    pub async fn intelligence(&self) -> Result<Intelligence, ActError> {
        self.intelligence_of(IntelligenceKind::ALL).await
    }

    /// What the newest snapshots of some kinds know: a question about components needs no CVE records.
    pub(crate) async fn intelligence_of(&self, kinds: &[IntelligenceKind]) -> Result<Intelligence, ActError> {
        let mut snapshots = Vec::new();
        for registered in self.newest_snapshots().await? {
            if kinds.iter().any(|kind| kind.as_str() == registered.kind) {
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
        let mut newest = self.casework().snapshots(self.org()).await?;
        newest.dedup_by(|later, kept| later.kind == kept.kind);
        Ok(newest)
    }
}

fn status(registered: Registered) -> IntelligenceStatus {
    IntelligenceStatus {
        kind: registered.kind,
        version: registered.as_of,
        records: registered.records,
        imported_at: registered.imported_at,
        sha256: registered.digest,
        source: registered.source,
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

/// Opens a file, unpacked when its name ends in `.gz`, cut off at a stated size.
pub(crate) fn open(path: &Path) -> Result<Box<dyn BufRead + Send>, ActError> {
    let file = File::open(path).map_err(|source| ActError::io("read", path, source))?;
    Ok(if path.extension().is_some_and(|extension| extension == "gz") {
        Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(BufReader::new(file)).take(FILE_BYTES_MAX)))
    } else {
        Box::new(BufReader::new(file.take(FILE_BYTES_MAX)))
    })
}
