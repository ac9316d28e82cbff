//! Many small files made into few: what a commit writes is as small as the commit.
//!
//! Files of one month and mandate are merged among themselves, those of observations in the order of
//! address, port and time, so that each of the files that come of it holds addresses of its own. Nothing is
//! changed by it, and the tables can be read and added to meanwhile. Tables of a first version, in which rows
//! lie together whatever their month, are put apart by [`Thoroughness::All`]. What was replaced is deleted an hour
//! later, because somebody may be reading it.

mod apart;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow_array::RecordBatch;
use datafusion::common::config::ConfigNonZeroUsize;
use datafusion::object_store::ObjectStoreExt;
use datafusion::object_store::buffered::BufWriter;
use deltalake::kernel::{Action, Add, LogicalFileView, Remove};
use deltalake::parquet::arrow::AsyncArrowWriter;
use deltalake::protocol::DeltaOperation;
use deltalake::{DeltaTable, DeltaTableError, ObjectStore, ObjectStoreError, Path};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use kenshin_observation::TimeUs;
use kenshin_observation::schema::{
    BatchRow, BlobRow, CoverageRow, ErasureRow, ObservationRow, SaltRow, ServiceRow, Table,
};
use serde::Serialize;

use crate::commit::commit;
use crate::error::LakeError;
use crate::files::{MONTH, ORDER, SORTED};
use crate::query::Limits;
use crate::store::Lake;
use crate::write::{self, digest};

/// Tables whose files are merged here; the current view has a way of its own.
const TABLES: [&str; 6] =
    [ObservationRow::NAME, SaltRow::NAME, BlobRow::NAME, CoverageRow::NAME, BatchRow::NAME, ErasureRow::NAME];
/// Files of one month and mandate above which some are merged while the month goes on.
const FILES_MAX: usize = 24;
/// Files are merged with the smaller ones when together these have this part of their bytes, so that the
/// great ones are written seldom.
const PART: u64 = 8;
/// Bytes after which the next file is begun.
const FILE_BYTES: usize = 256 << 20;
/// Rows that are read at once of each file.
const BATCH_ROWS: usize = 1_024;
/// For how long a file that was replaced stays, µs.
pub(crate) const GRACE_US: i64 = 3_600_000_000;
/// After which time a file that is not in the table never will be, µs.
const FORGOTTEN_US: i64 = 24 * GRACE_US;

/// How much is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thoroughness {
    /// What is due: months that are over, and this month where there are many small files.
    Due,
    /// All that is more than one file.
    All,
}

/// What was merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Compacted {
    /// Files that were read.
    pub files: u64,
    /// Files that came of them.
    pub into: u64,
    /// Their rows.
    pub rows: u64,
    /// Bytes before.
    pub bytes_before: u64,
    /// Bytes after.
    pub bytes_after: u64,
}

impl Compacted {
    fn add(&mut self, other: Self) {
        self.files += other.files;
        self.into += other.into;
        self.rows += other.rows;
        self.bytes_before += other.bytes_before;
        self.bytes_after += other.bytes_after;
    }
}

/// What is known of a file when it is decided what to merge.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidate {
    path: Path,
    bytes: u64,
    /// The least and the greatest address in it, as far as the table tells.
    addresses: Option<((i64, i64), (i64, i64))>,
    sorted: bool,
}

impl Lake {
    /// Merges files; `progress` is told of each table and month before it is merged.
    pub async fn compact(
        &self,
        now: TimeUs,
        thoroughness: Thoroughness,
        mut progress: impl FnMut(&str, &str, usize),
    ) -> Result<Compacted, LakeError> {
        let mut done = Compacted::default();
        // One is enough: whoever comes while it goes on leaves it at that.
        let Ok(_compacting) = self.compacting.try_lock() else { return Ok(done) };
        if thoroughness == Thoroughness::All {
            done.add(self.put_apart(now, &mut progress).await?);
        }
        for name in TABLES {
            let groups = self.groups(name).await?;
            for (values, candidates) in groups {
                let month = values.get(MONTH).cloned().flatten().unwrap_or_default();
                let is_over = !month.is_empty() && month < now.month();
                let chosen = chosen(candidates, thoroughness, is_over);
                if chosen.len() < 2 {
                    continue;
                }
                progress(name, &month, chosen.len());
                done.add(self.merge_files(name, &values, &chosen, now).await?);
            }
            let kept = self.unproven_files(name).await?;
            sweep(name, &*self.tables[name].read().await, &kept, now).await?;
        }
        Ok(done)
    }

    /// Files of a table, by what those have in common that are kept together.
    async fn groups(&self, name: &'static str) -> Result<BTreeMap<Values, Vec<Candidate>>, LakeError> {
        let failed = |source: DeltaTableError| LakeError::Read { table: name, source: source.into() };
        let mut table = self.tables[name].write().await;
        table.update_state().await.map_err(failed)?;
        let mut groups: BTreeMap<Values, Vec<Candidate>> = BTreeMap::new();
        for file in table.snapshot().map_err(failed)?.log_data() {
            let values: Values = file.partition_values_map().into_iter().collect();
            groups.entry(values).or_default().push(candidate(&file));
        }
        Ok(groups)
    }

    async fn merge_files(
        &self,
        name: &'static str,
        values: &Values,
        chosen: &[Candidate],
        now: TimeUs,
    ) -> Result<Compacted, LakeError> {
        let failed = |source: DeltaTableError| LakeError::Read { table: name, source: source.into() };
        let paths: HashSet<Path> = chosen.iter().map(|file| file.path.clone()).collect();
        let in_order = name == ObservationRow::NAME;
        let all_sorted = in_order && chosen.iter().all(|file| file.sorted);
        let files = self.files(name).await?.as_ref().clone().only(|path| paths.contains(path), all_sorted);
        let order = if in_order { format!(" ORDER BY {}", ORDER.join(", ")) } else { String::new() };
        let columns = files.columns().await.map_err(|error| failed(error.into()))?;
        let sql = format!("SELECT {} FROM files{order}", columns.join(", "));
        let mut rows = self.rows_of(name, files, &sql, BATCH_ROWS).await?;
        let (store, version) = {
            let table = self.tables[name].read().await;
            (table.log_store().object_store(None), table.version())
        };
        let told: Vec<&str> = chosen.iter().map(|file| file.path.as_ref()).collect();
        let told = format!("{version:?} {}", told.join(" "));
        let mut written =
            Written { store, values: values.clone(), told, adds: Vec::new(), rows: 0, writer: None };
        while let Some(batch) = rows.next().await {
            written.write(&batch?).await.map_err(failed)?;
        }
        let (adds, rows) = written.finish().await.map_err(failed)?;
        let done = Compacted {
            files: chosen.len() as u64,
            into: adds.len() as u64,
            rows,
            bytes_before: chosen.iter().map(|file| file.bytes).sum(),
            bytes_after: adds.iter().map(|add| add.size.unsigned_abs()).sum(),
        };
        let mut table = self.tables[name].write().await;
        table.update_state().await.map_err(failed)?;
        let mut actions = removals(&table, |path| paths.contains(path), false, now).map_err(failed)?;
        if actions.len() < paths.len() {
            // Somebody took files out in between: what was written here is swept away.
            return Ok(Compacted::default());
        }
        actions.extend(adds.into_iter().map(Action::Add));
        commit(&mut table, actions, Vec::new(), merging()).await.map_err(failed)?;
        Ok(done)
    }

    /// Rows of some files of a table, by a query that calls them `files`.
    pub(crate) async fn ask_files(
        &self,
        name: &'static str,
        which: impl Fn(&Path) -> bool,
        sql: &str,
    ) -> Result<BoxStream<'static, Result<RecordBatch, LakeError>>, LakeError> {
        let files = self.files(name).await?.as_ref().clone().only(which, false);
        Ok(self.rows_of(name, files, sql, BATCH_ROWS).await?.boxed())
    }

    /// Rows of some files, by a query that calls them `files`, and all observations `observed`.
    async fn rows_of(
        &self,
        name: &'static str,
        files: crate::files::Files,
        sql: &str,
        batch_rows: usize,
    ) -> Result<impl futures::Stream<Item = Result<RecordBatch, LakeError>> + Unpin + use<>, LakeError> {
        let read = move |source: datafusion::error::DataFusionError| LakeError::Read {
            table: name,
            source: source.into(),
        };
        let context = self.context(Limits::default())?;
        let options = context.state_ref();
        options.write().config_mut().options_mut().execution.batch_size =
            ConfigNonZeroUsize::try_new(batch_rows).map_err(read)?;
        let (url, store) = files.store();
        context.runtime_env().register_object_store(url.as_ref(), store);
        context.register_table("files", Arc::new(files)).map_err(read)?;
        if sql.contains(" observed ") {
            context.register_table("observed", self.files(ObservationRow::NAME).await?).map_err(read)?;
        }
        let frame = context.sql(sql).await.map_err(read)?;
        Ok(frame.execute_stream().await.map_err(read)?.map_err(read))
    }
}

/// What files that are kept together have in common, by name.
type Values = BTreeMap<String, Option<String>>;

/// What a commit says that it does, when it puts the same rows into other files.
fn merging() -> DeltaOperation {
    DeltaOperation::Optimize { predicate: None, target_size: i64::try_from(FILE_BYTES).unwrap_or(i64::MAX) }
}

fn candidate(file: &LogicalFileView) -> Candidate {
    #[derive(serde::Deserialize, Default)]
    #[serde(default)]
    struct End {
        subject_addr_hi: Option<i64>,
        subject_addr_lo: Option<i64>,
    }
    #[derive(serde::Deserialize, Default)]
    #[serde(default, rename_all = "camelCase")]
    struct Told {
        min_values: End,
        max_values: End,
    }
    let told: Told = file.stats().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let end = |end: &End| end.subject_addr_hi.zip(end.subject_addr_lo);
    let path = file.object_store_path();
    Candidate {
        bytes: u64::try_from(file.size()).unwrap_or_default(),
        addresses: end(&told.min_values).zip(end(&told.max_values)),
        sorted: path.filename().is_some_and(|name| name.starts_with(SORTED)),
        path,
    }
}

/// Which of the files of one group are to be merged.
fn chosen(mut files: Vec<Candidate>, thoroughness: Thoroughness, is_over: bool) -> Vec<Candidate> {
    files.sort_by(|a, b| a.bytes.cmp(&b.bytes).then_with(|| a.path.cmp(&b.path)));
    match thoroughness {
        _ if files.len() < 2 => Vec::new(),
        Thoroughness::All => unsettled(files),
        Thoroughness::Due if is_over => unsettled(files),
        Thoroughness::Due if files.len() <= FILES_MAX => Vec::new(),
        Thoroughness::Due => {
            let (mut count, mut smaller) = (2, 0_u64);
            for (position, file) in files.iter().enumerate() {
                if file.bytes <= smaller.saturating_mul(PART) {
                    count = count.max(position + 1);
                }
                smaller += file.bytes;
            }
            files.truncate(count);
            files
        }
    }
}

/// Files that are not yet as a merge would leave them: as great as a file becomes, or alone with their
/// addresses.
fn unsettled(files: Vec<Candidate>) -> Vec<Candidate> {
    let great = |file: &Candidate| file.bytes >= FILE_BYTES as u64 / 2;
    let small = files.iter().filter(|file| !great(file)).count();
    let mut ranges: Vec<_> = files.iter().filter_map(|file| file.addresses).collect();
    ranges.sort_unstable();
    let overlap = ranges.windows(2).any(|pair| overlap(pair[0], pair[1]));
    let sorted = files.iter().all(|file| file.sorted);
    match sorted && !overlap && small <= 1 {
        true => Vec::new(),
        false => files,
    }
}

/// True when two files have addresses among each other's. The table tells the ends of each half by itself,
/// so the lower halves count only where all addresses have the same upper one, as those of IPv4 do.
fn overlap(first: ((i64, i64), (i64, i64)), second: ((i64, i64), (i64, i64))) -> bool {
    let (((first_from, _), (first_to, first_last)), ((second_from, second_first), (second_to, _))) =
        (first, second);
    match first_from == first_to && second_from == second_to && first_to == second_from {
        true => second_first < first_last,
        false => second_from < first_to,
    }
}

/// Files that are being written.
struct Written {
    store: Arc<dyn ObjectStore>,
    values: Values,
    told: String,
    adds: Vec<Add>,
    rows: u64,
    writer: Option<(Path, AsyncArrowWriter<BufWriter>)>,
}

impl Written {
    async fn write(&mut self, batch: &RecordBatch) -> Result<(), DeltaTableError> {
        let (_, writer) = match &mut self.writer {
            Some(writer) => writer,
            None => {
                let name = digest(&format!("{} {}", self.told, self.adds.len()));
                let name = format!("{SORTED}{name}.parquet");
                let path = match self.values.get(MONTH) {
                    Some(Some(month)) => Path::from_iter([format!("{MONTH}={month}"), name]),
                    _ => Path::from(name),
                };
                let output = BufWriter::new(self.store.clone(), path.clone());
                let writer = AsyncArrowWriter::try_new(
                    output,
                    batch.schema(),
                    Some(write::properties(&batch.schema())?),
                )?;
                self.writer.insert((path, writer))
            }
        };
        writer.write(batch).await?;
        self.rows += batch.num_rows() as u64;
        if writer.bytes_written() + writer.in_progress_size() >= FILE_BYTES {
            self.close().await?;
        }
        Ok(())
    }

    async fn close(&mut self) -> Result<(), DeltaTableError> {
        let Some((path, writer)) = self.writer.take() else { return Ok(()) };
        let metadata = writer.close().await?;
        let written = self.store.head(&path).await?;
        self.adds.push(Add {
            path: path.to_string(),
            size: i64::try_from(written.size).unwrap_or(i64::MAX),
            partition_values: self.values.clone().into_iter().collect::<HashMap<_, _>>(),
            modification_time: written.last_modified.timestamp_millis(),
            data_change: false,
            stats: Some(write::stats(&metadata).to_string()),
            ..Add::default()
        });
        Ok(())
    }

    /// The files, and the number of their rows.
    async fn finish(mut self) -> Result<(Vec<Add>, u64), DeltaTableError> {
        self.close().await?;
        Ok((self.adds, self.rows))
    }
}

/// Takes files out of a table; `data_change` when their rows go with them.
pub(crate) fn removals(
    table: &DeltaTable,
    which: impl Fn(&Path) -> bool,
    data_change: bool,
    now: TimeUs,
) -> Result<Vec<Action>, DeltaTableError> {
    let deletion_timestamp = Some(now.micros() / 1_000);
    let files = table.snapshot()?.log_data();
    let removed = files.into_iter().filter(|file| which(&file.object_store_path()));
    let remove = |file: LogicalFileView| {
        Action::Remove(Remove { deletion_timestamp, ..file.remove_action(data_change) })
    };
    Ok(removed.map(remove).collect())
}

/// Deletes files that were replaced some time ago, and files that whoever wrote them never put into the
/// table. Files that were taken out with their rows are left to whoever did so; those of the current view
/// are made of others. That they were taken out the log forgets some day, and whoever did so does not: it
/// names them by `kept`.
pub(crate) async fn sweep(
    name: &'static str,
    table: &DeltaTable,
    kept: &HashSet<Path>,
    now: TimeUs,
) -> Result<(), LakeError> {
    let reading = |source: Box<dyn std::error::Error + Send + Sync>| LakeError::Read { table: name, source };
    let log_store = table.log_store();
    let store = log_store.object_store(None);
    let snapshot = table.snapshot().map_err(|error| reading(error.into()))?;
    let held: HashSet<Path> = snapshot.log_data().into_iter().map(|file| file.object_store_path()).collect();
    let mut replaced: HashMap<Path, i64> = HashMap::new();
    let mut taken_out: HashSet<Path> = HashSet::new();
    let mut tombstones = snapshot.all_tombstones(log_store.as_ref());
    while let Some(tombstone) = tombstones.next().await {
        let tombstone = tombstone.map_err(|error| reading(error.into()))?;
        if tombstone.data_change() && name != ServiceRow::NAME {
            taken_out.insert(Path::from(tombstone.path().as_ref()));
            continue;
        }
        let millis = tombstone.deletion_timestamp().unwrap_or_default();
        replaced.insert(Path::from(tombstone.path().as_ref()), millis.saturating_mul(1_000));
    }
    let listed: Vec<_> = store.list(None).try_collect().await.map_err(|error| reading(error.into()))?;
    let is_log = |path: &Path| path.prefix_matches(&Path::from("_delta_log"));
    let files = listed.into_iter().filter(|file| file.location.extension() == Some("parquet"));
    let is_left = |path: &Path| held.contains(path) || taken_out.contains(path) || kept.contains(path);
    for file in files.filter(|file| !is_log(&file.location) && !is_left(&file.location)) {
        let until = match replaced.get(&file.location) {
            Some(since) => since.saturating_add(GRACE_US),
            None => file.last_modified.timestamp_micros().saturating_add(FORGOTTEN_US),
        };
        if until < now.micros() {
            match store.delete(&file.location).await {
                Ok(()) | Err(ObjectStoreError::NotFound { .. }) => {}
                Err(error) => return Err(reading(error.into())),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: u64, bytes: u64, addresses: Option<(i64, i64)>) -> Candidate {
        let addresses = addresses.map(|(from, to)| ((0, from), (0, to)));
        Candidate { path: Path::from(name.to_string()), bytes, addresses, sorted: true }
    }

    /// As a month goes on, each commit a file: the files stay few, and no row is written often.
    #[test]
    fn small_files_are_merged_among_themselves() {
        let (mut files, mut written) = (Vec::new(), 0);
        for number in 0..2_000 {
            files.push(file(number, 100, None));
            let merged = chosen(files.clone(), Thoroughness::Due, false);
            let bytes: u64 = merged.iter().map(|file| file.bytes).sum();
            written += bytes;
            files.retain(|file| !merged.contains(file));
            files.extend((bytes > 0).then(|| file(10_000 + number, bytes, None)));
            assert!(files.len() <= FILES_MAX + 1, "{}", files.len());
        }
        assert_eq!(files.iter().map(|file| file.bytes).sum::<u64>(), 200_000);
        assert!(written < 200_000 * 12, "{written} bytes were written");
    }

    #[test]
    fn what_a_merge_left_is_left_alone() {
        let great = FILE_BYTES as u64;
        let left =
            vec![file(1, great, Some((0, 10))), file(2, great, Some((10, 20))), file(3, 5, Some((20, 21)))];
        assert!(chosen(left.clone(), Thoroughness::All, true).is_empty());
        let late = file(4, 5, Some((3, 15)));
        let more: Vec<_> = left.into_iter().chain([late]).collect();
        assert_eq!(chosen(more.clone(), Thoroughness::Due, true).len(), 4);
        assert!(chosen(more, Thoroughness::Due, false).is_empty(), "the month goes on");
        // Of IPv6 the lower halves lie anywhere: that the second file begins where the first ends is no overlap.
        let ipv6 =
            |name, from, to| Candidate { addresses: Some(((from, 5), (to, 900))), ..file(name, great, None) };
        assert!(chosen(vec![ipv6(1, 0, 7), ipv6(2, 7, 9)], Thoroughness::All, true).is_empty());
        assert_eq!(chosen(vec![ipv6(1, 0, 7), ipv6(2, 6, 9)], Thoroughness::All, true).len(), 2);
    }
}
