//! Is every file there that the tables name, whole, and every batch with all its rows? And what to do
//! when it is not.
//!
//! Power that fails, a disk that fills or a person that tidies up leave three kinds of damage: a commit of
//! the log that is cut off, a file that is lost, and one that is cut off. None of them can come of a crash
//! of the program alone, which [`Lake::commit`] completes. Whoever has a copy puts the file back; without
//! one, [`repair`] takes out of the tables what cannot be read, so that the rest can, and says what is gone.

use std::collections::{BTreeMap, HashSet};

use datafusion::object_store::ObjectStoreExt;
use deltalake::kernel::transaction::CommitBuilder;
use deltalake::kernel::{Action, Remove};
use deltalake::parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::{DeltaTable, ObjectStore, ObjectStoreError, Path};
use futures::{StreamExt, TryStreamExt};
use kenshin_observation::schema::{
    BatchRow, BlobRow, CoverageRow, ErasureRow, ErasureStep, ObservationRow, SaltRow, ServiceRow, Table,
};
use kenshin_observation::{TimeUs, words};
use serde::Serialize;

use crate::error::LakeError;
use crate::location::{Location, Reached};
use crate::query::{Format, Limits};
use crate::store::Lake;
use crate::view::StoredFile;

/// Every table, in the order in which commits write them.
const TABLES: [&str; 7] = [
    BlobRow::NAME,
    SaltRow::NAME,
    CoverageRow::NAME,
    ObservationRow::NAME,
    BatchRow::NAME,
    ErasureRow::NAME,
    ServiceRow::NAME,
];
/// How names of files end that repairing put aside.
const ASIDE: &str = "aside";
/// Most batches that are named in a report.
const BATCHES_MAX: usize = 1_000;

words!(
    /// A kind of damage.
    FaultKind, "fault" {
        /// The last commit of the log is cut off: what it added is not in the table.
        TornCommit = "torn-commit",
        /// A commit before the last is damaged or missing; only a copy can help.
        DamagedLog = "damaged-log",
        /// A file that the table names is not there.
        LostFile = "lost-file",
        /// A file is shorter or longer than the table says, or cannot be read.
        DamagedFile = "damaged-file",
        /// A file has other rows than the table says.
        OtherRows = "other-rows",
        /// A batch has other observations than its sensor signed.
        IncompleteBatch = "incomplete-batch",
        /// A batch is there more than once.
        RepeatedBatch = "repeated-batch",
    }
);

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Table.
    pub table: String,
    /// What is wrong.
    pub kind: FaultKind,
    /// File, or batch.
    pub what: String,
    /// More, in words.
    pub detail: String,
    /// Rows that cannot be read for it, where that is known.
    pub rows: Option<u64>,
}

/// What a table was found to hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableReport {
    /// Table.
    pub table: String,
    /// Version of its log; none when it cannot be opened.
    pub version: Option<u64>,
    /// Files that it names.
    pub files: u64,
    /// Their bytes, as it says.
    pub bytes: u64,
    /// Their rows, as it says.
    pub rows: u64,
    /// Files beside them that it does not name: replaced, or never finished.
    pub strays: u64,
    /// Bytes of these.
    pub stray_bytes: u64,
}

/// What was looked at, and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Tables.
    pub tables: Vec<TableReport>,
    /// What is wrong; empty when all is well.
    pub faults: Vec<Fault>,
}

impl Report {
    /// True when there is something that [`repair`] can take out.
    pub fn can_be_repaired(&self) -> bool {
        use FaultKind::{DamagedFile, LostFile, OtherRows, TornCommit};
        self.faults.iter().any(|fault| matches!(fault.kind, TornCommit | LostFile | DamagedFile | OtherRows))
    }
}

/// Looks at every table of the lake at a location: its log, its files (`deep`: to the last row, else
/// their size and what stands at their end), and that every batch has its observations. `progress` is
/// told each table before it is looked at.
pub async fn verify(
    location: impl Into<Location>,
    deep: bool,
    progress: impl FnMut(&str),
) -> Result<Report, LakeError> {
    let location = location.into();
    let reached = location.reached()?;
    reached.greet().await?;
    verify_reached(&location, &reached, deep, progress).await
}

/// Every table by its folder, and those of views of some mandates.
async fn tables(reached: &Reached) -> Result<Vec<String>, LakeError> {
    let views = reached.views().await?;
    Ok(TABLES.into_iter().map(str::to_owned).chain(views).collect())
}

async fn verify_reached(
    location: &Location,
    reached: &Reached,
    deep: bool,
    mut progress: impl FnMut(&str),
) -> Result<Report, LakeError> {
    let mut report = Report { tables: Vec::new(), faults: Vec::new() };
    for name in &tables(reached).await? {
        progress(name);
        let table = look(reached, name, deep, &mut report.faults).await?;
        report.tables.push(table);
    }
    if report.faults.is_empty() {
        batches(location, &mut report.faults).await?;
    }
    Ok(report)
}

/// Takes out of the tables what cannot be read: a last commit that is cut off is put beside the log (as
/// `….json.torn`), and files that are lost, cut off or otherwise than the table says are taken out of it.
/// Gives what it found before, and what is wrong still: batches that miss rows stay told.
pub async fn repair(location: impl Into<Location>, now: TimeUs) -> Result<(Report, Report), LakeError> {
    let location = location.into();
    let reached = &location.reached()?;
    reached.greet().await?;
    let before = verify_reached(&location, reached, true, |_| {}).await?;
    for name in &tables(reached).await? {
        let mut faults: Vec<Fault> =
            before.faults.iter().filter(|fault| fault.table == *name).cloned().collect();
        if let Some(torn) = faults.iter().find(|fault| fault.kind == FaultKind::TornCommit) {
            let store = unopened(reached, name)?.log_store().object_store(None);
            let (torn, aside) = (Path::from(torn.what.as_str()), Path::from(format!("{}.torn", torn.what)));
            store.rename(&torn, &aside).await.map_err(|error| reading(name, error))?;
            // Now its files can be looked at.
            faults.clear();
            look(reached, name, true, &mut faults).await?;
        }
        take_out(reached, name, &faults, now).await?;
    }
    let after = verify_reached(&location, reached, false, |_| {}).await?;
    Ok((before, after))
}

/// Takes the files with these faults out of a table, and puts those that are there aside, where nothing that
/// cleans up looks: they are not deleted.
async fn take_out(reached: &Reached, name: &str, faults: &[Fault], now: TimeUs) -> Result<(), LakeError> {
    use FaultKind::{DamagedFile, LostFile, OtherRows};
    let bad = faults.iter().filter(|fault| matches!(fault.kind, LostFile | DamagedFile | OtherRows));
    let bad: HashSet<&str> = bad.map(|fault| fault.what.as_str()).collect();
    if bad.is_empty() {
        return Ok(());
    }
    let mut table = unopened(reached, name)?;
    table.load().await.map_err(|error| reading(name, error))?;
    let snapshot = table.snapshot().map_err(|error| reading(name, error))?;
    let store = table.log_store().object_store(None);
    let removed = snapshot.log_data().into_iter().filter(|file| bad.contains(file.path().as_ref()));
    let mut paths = Vec::new();
    let actions: Vec<Action> = removed
        .map(|file| {
            paths.push(file.object_store_path());
            let deletion_timestamp = Some(now.micros() / 1_000);
            Action::Remove(Remove { deletion_timestamp, ..file.remove_action(true) })
        })
        .collect();
    let operation = DeltaOperation::Write { mode: SaveMode::Append, partition_by: None, predicate: None };
    let commit = CommitBuilder::default().with_actions(actions);
    let commit = commit.build(Some(snapshot.snapshot()), table.log_store(), operation);
    commit.await.map_err(|error| reading(name, error))?;
    for path in paths {
        let aside = Path::parse(format!("{path}.{ASIDE}")).map_err(|error| reading(name, error))?;
        match store.rename(&path, &aside).await {
            Ok(()) | Err(ObjectStoreError::NotFound { .. }) => {}
            Err(error) => return Err(reading(name, error)),
        }
    }
    Ok(())
}

/// Looks at one table.
async fn look(
    reached: &Reached,
    name: &str,
    deep: bool,
    faults: &mut Vec<Fault>,
) -> Result<TableReport, LakeError> {
    let mut seen = TableReport {
        table: name.to_owned(),
        version: None,
        files: 0,
        bytes: 0,
        rows: 0,
        strays: 0,
        stray_bytes: 0,
    };
    let mut table = unopened(reached, name)?;
    let store = table.log_store().object_store(None);
    // A lake that no version with retention has opened.
    if name == ErasureRow::NAME && store.list(None).try_next().await.map_err(|e| reading(name, e))?.is_none()
    {
        return Ok(seen);
    }
    let mut damaged = log_faults(&*store, name).await?;
    if damaged.is_empty()
        && let Err(error) = table.load().await
    {
        damaged.push(fault(name, FaultKind::DamagedLog, "_delta_log", error.to_string(), None));
    }
    if !damaged.is_empty() {
        faults.extend(damaged);
        return Ok(seen);
    }
    seen.version = table.version();
    let mut held = HashSet::new();
    for file in table.snapshot().map_err(|error| reading(name, error))?.log_data() {
        let (path, rows) = (file.object_store_path(), file.num_records().map(|rows| rows as u64));
        let size = u64::try_from(file.size()).unwrap_or_default();
        (seen.files, seen.bytes) = (seen.files + 1, seen.bytes + size);
        seen.rows += rows.unwrap_or_default();
        if let Err((kind, detail)) = file_as_told(&store, &path, size, rows, deep).await? {
            faults.push(fault(name, kind, &file.path(), detail, rows));
        }
        held.insert(path);
    }
    let mut listed = store.list(None);
    while let Some(file) = listed.try_next().await.map_err(|error| reading(name, error))? {
        if file.location.extension().is_some_and(|kind| ["parquet", ASIDE].contains(&kind))
            && !is_log(&file.location)
            && !held.contains(&file.location)
        {
            (seen.strays, seen.stray_bytes) = (seen.strays + 1, seen.stray_bytes + file.size);
        }
    }
    Ok(seen)
}

fn is_log(path: &Path) -> bool {
    path.parts().any(|part| part.as_ref() == "_delta_log")
}

/// What is wrong with the commits of a log. Each is lines of JSON; the last may be cut off.
async fn log_faults(store: &dyn ObjectStore, name: &str) -> Result<Vec<Fault>, LakeError> {
    let folder = Path::from("_delta_log");
    let mut commits = BTreeMap::new();
    let mut listed = store.list(Some(&folder));
    while let Some(file) = listed.try_next().await.map_err(|error| reading(name, error))? {
        let version =
            file.location.filename().and_then(|name| name.strip_suffix(".json")?.parse::<u64>().ok());
        if let Some(version) = version {
            commits.insert(version, file.location);
        }
    }
    let mut faults = Vec::new();
    let last = commits.keys().next_back().copied();
    let mut expected = None;
    for (version, path) in &commits {
        if expected.is_some_and(|expected| expected != *version) {
            let detail = "the commits before it are missing".to_owned();
            faults.push(fault(name, FaultKind::DamagedLog, path.as_ref(), detail, None));
        }
        expected = Some(version + 1);
        let bytes = store.get(path).await.map_err(|error| reading(name, error))?;
        let bytes = bytes.bytes().await.map_err(|error| reading(name, error))?;
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let problem =
            match lines.map(serde_json::from_slice::<serde_json::Value>).collect::<Result<Vec<_>, _>>() {
                Ok(actions) if actions.is_empty() => "it is empty".to_owned(),
                Ok(_) => continue,
                Err(error) => error.to_string(),
            };
        let kind = if Some(*version) == last { FaultKind::TornCommit } else { FaultKind::DamagedLog };
        faults.push(fault(name, kind, path.as_ref(), problem, None));
    }
    Ok(faults)
}

/// Why a file is not as the table tells.
type Otherwise = Result<(), (FaultKind, String)>;

async fn file_as_told(
    store: &std::sync::Arc<dyn ObjectStore>,
    path: &Path,
    size: u64,
    rows: Option<u64>,
    deep: bool,
) -> Result<Otherwise, LakeError> {
    match store.head(path).await {
        Ok(found) if found.size != size => {
            let detail = format!("it has {} bytes, not {size}", found.size);
            return Ok(Err((FaultKind::DamagedFile, detail)));
        }
        Ok(_) => {}
        Err(ObjectStoreError::NotFound { .. }) => {
            return Ok(Err((FaultKind::LostFile, "it is not there".to_owned())));
        }
        Err(error) => return Err(reading(path.as_ref(), error)),
    }
    let unreadable = |error: &dyn std::fmt::Display| Ok(Err((FaultKind::DamagedFile, error.to_string())));
    let reader = StoredFile { store: store.clone(), path: path.clone() };
    let builder = match ParquetRecordBatchStreamBuilder::new(reader).await {
        Ok(builder) => builder,
        Err(error) => return unreadable(&error),
    };
    let stated = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or_default();
    let mut read = stated;
    if deep {
        let mut batches = match builder.build() {
            Ok(batches) => batches,
            Err(error) => return unreadable(&error),
        };
        read = 0;
        while let Some(batch) = batches.next().await {
            match batch {
                Ok(batch) => read += batch.num_rows() as u64,
                Err(error) => return unreadable(&error),
            }
        }
    }
    if read != stated || rows.is_some_and(|rows| rows != read) {
        let told = rows.map_or_else(|| stated.to_string(), |rows| rows.to_string());
        return Ok(Err((FaultKind::OtherRows, format!("it has {read} rows, not {told}"))));
    }
    Ok(Ok(()))
}

/// Batches without all their observations or salts, those apart that were erased, and batches that are there
/// twice. Salts that were erased by themselves are not told apart, so then they are not counted.
/// Observations ahead of their batch are those of a commit that goes on, or that a crash has stopped and the
/// next completes.
async fn batches(location: &Location, faults: &mut Vec<Fault>) -> Result<(), LakeError> {
    let lake = Lake::open(location.clone()).await?;
    let limits = Limits { rows: BATCHES_MAX, ..Limits::default() };
    let effective: Vec<String> = lake.effective().await?.iter().map(|id| format!("'{id}'")).collect();
    let erased = match effective.is_empty() {
        true => "false".to_owned(),
        false => format!("step = '{}' AND erasure_id IN ({})", ErasureStep::Batch, effective.join(", ")),
    };
    let of_salts = format!("SELECT count(*) AS n FROM erasures WHERE of_table = '{}'", SaltRow::NAME);
    let alone = lake.query(&of_salts, limits).await?.render(Format::Csv)? != "n\n0\n";
    let counted = |table: &str, wrong: &str| {
        format!(
            "SELECT b.batch_id, b.rows AS told, coalesce(f.found, 0) AS found, coalesce(e.erased, 0) AS erased \
             FROM batches b LEFT JOIN \
             (SELECT batch_id, count(*) AS found FROM {table} GROUP BY 1) f ON f.batch_id = b.batch_id LEFT JOIN \
             (SELECT batch_id, sum(rows) AS erased FROM erasures WHERE {erased} GROUP BY 1) e ON e.batch_id = b.batch_id \
             WHERE b.rows {wrong} coalesce(f.found, 0) + coalesce(e.erased, 0) ORDER BY 1"
        )
    };
    let repeated = "SELECT batch_id, count(*) AS told, count(*) AS found, 0 AS erased FROM batches GROUP BY 1 \
                    HAVING count(*) > 1 ORDER BY 1";
    let observations = counted(ObservationRow::NAME, "<>");
    let mut asked = vec![
        (BatchRow::NAME, FaultKind::RepeatedBatch, repeated.to_owned()),
        (BatchRow::NAME, FaultKind::IncompleteBatch, observations),
    ];
    if !alone {
        // Salts may outlive their observations, until the shelves are looked at next.
        asked.push((SaltRow::NAME, FaultKind::IncompleteBatch, counted(SaltRow::NAME, ">")));
    }
    for (table, kind, sql) in asked {
        let answer = lake.query(&format!("{sql} LIMIT {BATCHES_MAX}"), limits).await?;
        let rows = answer.render(Format::Json)?;
        let rows: Vec<Counted> = serde_json::from_str(&rows).map_err(|error| reading("batches", error))?;
        faults.extend(rows.into_iter().map(|Counted { batch_id, told, found, erased }| {
            let of_what = if table == SaltRow::NAME { "salts" } else { "observations" };
            let detail = match (kind, erased) {
                (FaultKind::RepeatedBatch, _) => format!("it is there {told} times"),
                (_, 0) => format!("{found} of its {told} {of_what} are there"),
                _ => format!("{found} of its {told} {of_what} are there, and {erased} were erased"),
            };
            let missing = told.checked_sub(found + erased).filter(|missing| *missing > 0);
            fault(table, kind, &batch_id, detail, missing)
        }));
    }
    Ok(())
}

#[derive(serde::Deserialize)]
struct Counted {
    batch_id: String,
    told: u64,
    found: u64,
    erased: u64,
}

fn fault(table: &str, kind: FaultKind, what: &str, detail: String, rows: Option<u64>) -> Fault {
    Fault { table: table.to_owned(), kind, what: what.to_owned(), detail, rows }
}

/// A table that is not read yet.
fn unopened(reached: &Reached, name: &str) -> Result<DeltaTable, LakeError> {
    reached.table(name).map_err(|error| reading(name, error))
}

fn reading(what: &str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> LakeError {
    let table = TABLES.into_iter().find(|name| *name == what).unwrap_or("file");
    LakeError::Read { table, source: source.into() }
}
