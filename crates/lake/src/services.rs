//! The tables of current views on disk: runs are appended, and merged when they are many. One view is made of
//! all observations; further ones of those made under some mandates, for people who may see no others.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use arrow_array::RecordBatch;
use datafusion::object_store::ObjectStoreExt;
use datafusion::object_store::buffered::BufWriter;
use deltalake::kernel::{Action, Add, Transaction};
use deltalake::parquet::arrow::AsyncArrowWriter;
use deltalake::parquet::basic::Compression;
use deltalake::parquet::file::properties::{EnabledStatistics, WriterProperties};
use deltalake::parquet::schema::types::ColumnPath;
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::{DeltaTable, ObjectStore, Path};
use kenshin_observation::schema::{BatchRow, SchemaError, ServiceRow, Table};
use kenshin_observation::{SensorId, TimeUs};
use tokio::sync::{Mutex, RwLock};

use crate::commit::{commit, writing};
use crate::compact::{removals, sweep};
use crate::error::LakeError;
use crate::extent::Extent;
use crate::files::Files;
use crate::location::Reached;
use crate::store::{Lake, files_of, open_table};
use crate::view::{Segment, Sight, View};
use crate::write::digest;

/// Rows of a data page: what is read to show one row.
const PAGE_ROWS: usize = 2_048;
/// Rows of a row group.
const GROUP_ROWS: usize = 1 << 20;
/// Rows written at once.
const PIECE_ROWS: usize = 1 << 16;
/// Runs above which some are merged.
const RUNS_MAX: usize = 24;
/// A run is merged with the smaller ones when together they have this part of its rows, so that the
/// great ones are written seldom.
const PART: usize = 8;
/// What Delta is told that merging aims at; nothing depends on it.
const TARGET_BYTES: i64 = 1 << 30;

/// What a view says of itself when it was made from all there is.
const MADE: &str = "made";

/// Up to which of its batches each sensor's observations are in the view.
pub type Progress = BTreeMap<SensorId, i64>;

/// A current view that is kept up to date: a table, and what was read of it.
pub struct CurrentView {
    table: RwLock<DeltaTable>,
    held: Mutex<Option<Arc<View>>>,
    files: std::sync::Mutex<Option<Arc<Files>>>,
    /// Held while runs are merged.
    merging: Mutex<()>,
}

impl Lake {
    /// The current view of all observations, as it is now.
    pub async fn view(&self) -> Result<Arc<View>, LakeError> {
        self.whole.view().await
    }

    /// The current view of all observations, and its table.
    pub fn whole(&self) -> &CurrentView {
        &self.whole
    }

    /// The current view of an extent, whose table is made when there is none.
    pub async fn view_of(&self, extent: &Extent) -> Result<Arc<CurrentView>, LakeError> {
        match extent {
            Extent::All => Ok(self.whole.clone()),
            Extent::Mandates(mandates) => {
                self.view_in(extent.folder(), Some(format!("current view of {mandates}"))).await
            }
        }
    }

    /// The current view in which somebody searches. Until it is made there is nothing in it, which is not to
    /// be taken for an answer.
    pub async fn view_seen(&self, sight: &Sight) -> Result<Arc<CurrentView>, LakeError> {
        let view = self.view_of(&sight.extent()).await?;
        match sight {
            Sight::Mandates(mandates) if !view.is_made().await? => {
                Err(LakeError::Unmade { mandates: mandates.to_string() })
            }
            _ => Ok(view),
        }
    }

    async fn view_in(&self, folder: String, told: Option<String>) -> Result<Arc<CurrentView>, LakeError> {
        let mut views = self.views.lock().await;
        if let Some(view) = views.get(&folder) {
            return Ok(view.clone());
        }
        let view = Arc::new(CurrentView::open(&self.reached, &folder, told).await?);
        views.insert(folder, view.clone());
        Ok(view)
    }

    /// Every current view that has a table, whoever made it.
    pub(crate) async fn all_views(&self) -> Result<Vec<Arc<CurrentView>>, LakeError> {
        let mut views = vec![self.whole.clone()];
        for folder in self.reached.views().await? {
            views.push(self.view_in(folder, None).await?);
        }
        Ok(views)
    }

    /// Empties views of other extents than these: nobody looks at them any more.
    pub async fn keep_views(&self, of: &[Extent], now: TimeUs) -> Result<(), LakeError> {
        let kept: BTreeSet<String> = of.iter().map(Extent::folder).collect();
        for folder in self.reached.views().await?.into_iter().filter(|folder| !kept.contains(folder)) {
            let view = self.view_in(folder, None).await?;
            match view.is_made().await? {
                true => view.clear(now).await?,
                false => view.sweep(now).await?,
            }
        }
        Ok(())
    }

    /// The last sequence of each sensor that is wholly in the lake.
    pub async fn progress(&self) -> Result<Progress, LakeError> {
        let sql = format!("SELECT * FROM {} ORDER BY sequence", BatchRow::NAME);
        let rows: Vec<BatchRow> = self.rows(&sql).await?;
        let one = |row: &BatchRow| {
            let sensor = row
                .sensor_id
                .parse()
                .map_err(|_| SchemaError::Value { column: "sensor_id", value: row.sensor_id.clone() })?;
            Ok((sensor, row.sequence))
        };
        rows.iter().map(one).collect()
    }

    /// The files of a current view, and the view that is made of them.
    pub(crate) async fn files_and_view(
        &self,
        current: &CurrentView,
    ) -> Result<(Arc<Files>, Arc<View>), LakeError> {
        // Somebody may add to the view in between: then it is looked at once more.
        loop {
            let files = files_of(&current.table, &current.files, &self.metadata, ServiceRow::NAME).await?;
            let view = current.view().await?;
            if view.version() == files.version() {
                return Ok((files, view));
            }
        }
    }
}

impl CurrentView {
    /// Opens the table in this folder, or makes it.
    pub(crate) async fn open(
        reached: &Reached,
        folder: &str,
        told: Option<String>,
    ) -> Result<Self, LakeError> {
        Ok(Self {
            table: open_table::<ServiceRow>(reached, folder, told).await?,
            held: Mutex::default(),
            files: std::sync::Mutex::default(),
            merging: Mutex::default(),
        })
    }

    /// The view, as it is now. What was read for the view before is kept where it is the same.
    pub async fn view(&self) -> Result<Arc<View>, LakeError> {
        let mut held = self.held.lock().await;
        let mut table = self.table.write().await;
        table.update_state().await.map_err(reading)?;
        let version = table.version();
        if let Some(view) = held.as_ref().filter(|view| view.version() == version) {
            return Ok(view.clone());
        }
        let store = table.log_store().object_store(None);
        let mut segments = Vec::new();
        for file in table.snapshot().map_err(reading)?.log_data() {
            let path = file.object_store_path();
            let segment = match held.as_ref().and_then(|view| view.segment_of(&path)) {
                Some(segment) => segment,
                None => {
                    let rows = file.num_records().unwrap_or_default();
                    Arc::new(Segment::file(store.clone(), path, rows))
                }
            };
            segments.push(segment);
        }
        drop(table);
        let view = Arc::new(View::of_segments(version, segments, held.as_deref()).await?);
        *held = Some(view.clone());
        Ok(view)
    }

    /// True when it was made from all there is, and not emptied since.
    pub async fn is_made(&self) -> Result<bool, LakeError> {
        Ok(self.transaction(MADE).await? > 0)
    }

    /// The last sequence of a sensor that it has come to, 0 before the first: where the lake has more,
    /// batches are to be folded in.
    pub async fn progress(&self, sensor: SensorId) -> Result<i64, LakeError> {
        self.transaction(&app(sensor)).await
    }

    async fn transaction(&self, app: &str) -> Result<i64, LakeError> {
        let mut table = self.table.write().await;
        table.update_state().await.map_err(reading)?;
        let snapshot = table.snapshot().map_err(reading)?;
        let found = snapshot.transaction_version(table.log_store().as_ref(), app).await;
        Ok(found.map_err(reading)?.unwrap_or(0))
    }

    /// Adds rows, and remembers that the view has come as far as `progress`. Rows that are there
    /// already, or newer ones about the same service, are not disturbed.
    pub async fn add(&self, rows: Vec<ServiceRow>, progress: &Progress) -> Result<(), LakeError> {
        let mut table = self.table.write().await;
        table.update_state().await.map_err(reading)?;
        let mut actions = Vec::new();
        if let (Some(first), Some(last)) = (rows.first(), rows.last()) {
            let told = (progress, rows.len(), first.key(), last.key(), last.known_us);
            let mut writer = RunWriter::begin(&table, &format!("{told:?}"))?;
            writer.write(rows).await?;
            actions.push(Action::Add(writer.finish(true).await?));
        }
        commit_view(&mut table, actions, transactions(progress), writing(SaveMode::Append)).await
    }

    /// Begins to make the view anew. What is in the table stays there until [`CurrentView::finish`].
    pub async fn begin_anew(&self, now: TimeUs) -> Result<NewView, LakeError> {
        let mut table = self.table.write().await;
        table.update_state().await.map_err(reading)?;
        Ok(NewView { writer: RunWriter::begin(&table, &format!("anew {now}"))? })
    }

    /// Puts a new view, which has come as far as `progress`, in the place of all that there is; gives
    /// its number of rows. What was added while it was made is gone too: its progress is that of the
    /// new view, so that it can be seen to lag, and whoever finishes a view folds in what it lacks.
    pub async fn finish(&self, new: NewView, progress: &Progress, now: TimeUs) -> Result<u64, LakeError> {
        let rows = new.writer.rows;
        let added = new.writer.finish(true).await?;
        let mut table = self.table.write().await;
        table.update_state().await.map_err(reading)?;
        let mut actions = removals(&table, |_| true, true, now).map_err(reading)?;
        if rows > 0 {
            actions.push(Action::Add(added));
        }
        let told = transactions(progress).into_iter().chain([Transaction::new(MADE, 1)]).collect();
        commit_view(&mut table, actions, told, writing(SaveMode::Overwrite)).await?;
        sweep(ServiceRow::NAME, &table, &HashSet::new(), now).await?;
        Ok(rows)
    }

    /// Takes all rows out of a view that nobody looks at any more: it is to be made anew when somebody does.
    pub async fn clear(&self, now: TimeUs) -> Result<(), LakeError> {
        let mut table = self.table.write().await;
        table.update_state().await.map_err(reading)?;
        let actions = removals(&table, |_| true, true, now).map_err(reading)?;
        let told = vec![Transaction::new(MADE, 0)];
        commit_view(&mut table, actions, told, writing(SaveMode::Overwrite)).await?;
        sweep(ServiceRow::NAME, &table, &HashSet::new(), now).await
    }

    /// Merges runs when there are more than a search likes, the small ones among themselves; true when
    /// it did.
    pub async fn merge(&self, now: TimeUs) -> Result<bool, LakeError> {
        let view = self.view().await?;
        let sizes: Vec<usize> = view.segments().iter().map(|run| run.rows()).collect();
        self.merge_runs(&view, &due(&sizes), now).await
    }

    /// Merges all runs into one, and deletes what was replaced long enough ago; true when there was more
    /// than one.
    pub async fn compact(&self, now: TimeUs) -> Result<bool, LakeError> {
        let view = self.view().await?;
        let all: Vec<usize> = (0..view.runs()).collect();
        let merged = self.merge_runs(&view, &all, now).await?;
        if !merged {
            self.sweep(now).await?;
        }
        Ok(merged)
    }

    /// Deletes the bytes of runs that were replaced long enough ago.
    pub(crate) async fn sweep(&self, now: TimeUs) -> Result<(), LakeError> {
        sweep(ServiceRow::NAME, &*self.table.read().await, &HashSet::new(), now).await
    }

    /// Merges some runs of a view. The table can be read and added to meanwhile.
    async fn merge_runs(&self, view: &View, runs: &[usize], now: TimeUs) -> Result<bool, LakeError> {
        if runs.len() < 2 {
            return Ok(false);
        }
        // One merge is enough: whoever comes while it goes on leaves it at that.
        let Ok(_merging) = self.merging.try_lock() else { return Ok(false) };
        let paths: HashSet<Path> =
            runs.iter().filter_map(|number| view.segments()[*number].path().cloned()).collect();
        let told: Vec<&str> = runs
            .iter()
            .filter_map(|number| view.segments()[*number].path().map(|path| path.as_ref()))
            .collect();
        let mut writer = {
            let table = self.table.read().await;
            RunWriter::begin(&table, &told.join(" "))?
        };
        for piece in view.places(runs).await?.chunks(PIECE_ROWS) {
            writer.write(view.rows(piece).await?).await?;
        }
        let rows = writer.rows;
        let added = writer.finish(false).await?;
        let mut table = self.table.write().await;
        table.update_state().await.map_err(reading)?;
        let mut actions = removals(&table, |path| paths.contains(path), false, now).map_err(reading)?;
        if actions.len() < paths.len() {
            // Somebody made the view anew, or merged, in between: what was written here is swept away.
            return Ok(false);
        }
        if rows > 0 {
            actions.push(Action::Add(added));
        }
        let optimize = DeltaOperation::Optimize { predicate: None, target_size: TARGET_BYTES };
        commit_view(&mut table, actions, Vec::new(), optimize).await?;
        sweep(ServiceRow::NAME, &table, &HashSet::new(), now).await?;
        Ok(true)
    }
}

/// Which of runs of these sizes are to be merged: none while they are few, else the smaller ones, up
/// to the greatest of which they make a good part.
fn due(sizes: &[usize]) -> Vec<usize> {
    if sizes.len() <= RUNS_MAX {
        return Vec::new();
    }
    let mut ascending: Vec<usize> = (0..sizes.len()).collect();
    ascending.sort_by_key(|number| sizes[*number]);
    let (mut count, mut smaller) = (2, 0_usize);
    for (position, number) in ascending.iter().enumerate() {
        if sizes[*number] <= smaller.saturating_mul(PART) {
            count = count.max(position + 1);
        }
        smaller += sizes[*number];
    }
    ascending.truncate(count);
    ascending
}

/// A view that is being made: one run, written in pieces.
pub struct NewView {
    writer: RunWriter,
}

impl NewView {
    /// Writes rows that come behind those written before.
    pub async fn write(&mut self, rows: Vec<ServiceRow>) -> Result<(), LakeError> {
        self.writer.write(rows).await
    }
}

fn app(sensor: SensorId) -> String {
    format!("sensor:{sensor}")
}

fn transactions(progress: &Progress) -> Vec<Transaction> {
    progress.iter().map(|(sensor, sequence)| Transaction::new(app(*sensor), *sequence)).collect()
}

/// Commits to a current view, with what it tells of itself: the sequence of each sensor that it goes up to.
async fn commit_view(
    table: &mut DeltaTable,
    actions: Vec<Action>,
    told: Vec<Transaction>,
    operation: DeltaOperation,
) -> Result<(), LakeError> {
    let sequences = || told.iter().map(|transaction| transaction.version);
    let (from, to) = (sequences().min().unwrap_or(0), sequences().max().unwrap_or(0));
    commit(table, actions, told, operation).await.map_err(|source| LakeError::Commit {
        table: ServiceRow::NAME,
        from,
        to,
        source: Box::new(source),
    })?;
    Ok(())
}

/// Writes one run.
struct RunWriter {
    writer: AsyncArrowWriter<BufWriter>,
    store: Arc<dyn ObjectStore>,
    path: Path,
    rows: u64,
}

impl RunWriter {
    /// A run with a name of its own: by table version, and by what is in it, which `told` tells from
    /// other runs that begin at this version.
    fn begin(table: &DeltaTable, told: &str) -> Result<Self, LakeError> {
        let store = table.log_store().object_store(None);
        let version = table.version().unwrap_or_default();
        let name = format!("run-{version:012}-{}.parquet", digest(told));
        let path = Path::from(name);
        let text = |name: &str| ColumnPath::from(name);
        let properties = WriterProperties::builder()
            .set_compression(Compression::LZ4_RAW)
            .set_data_page_row_count_limit(PAGE_ROWS)
            .set_write_batch_size(PAGE_ROWS)
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_column_statistics_enabled(text("addr_hi"), EnabledStatistics::Page)
            .set_column_statistics_enabled(text("addr_lo"), EnabledStatistics::Page)
            // Ports are everywhere in a run that is sorted by address: only a filter can tell where not.
            .set_column_bloom_filter_enabled(text("port"), true)
            .set_column_bloom_filter_max_ndv(text("port"), 4_096)
            .build();
        let output = BufWriter::new(store.clone(), path.clone());
        let writer =
            AsyncArrowWriter::try_new(output, ServiceRow::schema(), Some(properties)).map_err(reading)?;
        Ok(Self { writer, store, path, rows: 0 })
    }

    /// Writes rows, which are sorted here; those of a later call come behind them.
    async fn write(&mut self, mut rows: Vec<ServiceRow>) -> Result<(), LakeError> {
        rows.sort_by(ServiceRow::compare_keys);
        self.rows += rows.len() as u64;
        for piece in rows.chunks(PIECE_ROWS) {
            let batch: RecordBatch = ServiceRow::to_arrow(piece)?;
            self.writer.write(&batch).await.map_err(reading)?;
        }
        Ok(())
    }

    /// `data_change` when its rows were not in the table.
    async fn finish(self, data_change: bool) -> Result<Add, LakeError> {
        self.writer.close().await.map_err(reading)?;
        let written = self.store.head(&self.path).await.map_err(reading)?;
        Ok(Add {
            path: self.path.to_string(),
            size: i64::try_from(written.size).unwrap_or(i64::MAX),
            modification_time: written.last_modified.timestamp_millis(),
            data_change,
            stats: Some(format!("{{\"numRecords\":{}}}", self.rows)),
            ..Add::default()
        })
    }
}

fn reading(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> LakeError {
    LakeError::Read { table: ServiceRow::NAME, source: source.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As batches come, each a run: the runs stay few, and no row is written often.
    #[test]
    fn small_runs_are_merged_among_themselves() {
        let (mut sizes, mut written, mut base_written) = (vec![100_000_usize], 0, 0);
        for _ in 0..2_000 {
            sizes.push(100);
            let merged = due(&sizes);
            let size = |number: &usize| sizes[*number];
            let rows: usize = merged.iter().map(size).sum();
            base_written += u32::from(merged.iter().any(|number| size(number) >= 100_000));
            written += rows;
            let kept = (0..sizes.len()).filter(|number| !merged.contains(number)).map(|n| sizes[n]);
            sizes = kept.chain((rows > 0).then_some(rows)).collect();
            assert!(sizes.len() <= RUNS_MAX, "{sizes:?}");
        }
        assert_eq!(sizes.iter().sum::<usize>(), 300_000);
        assert!(base_written < 15, "the great run was written {base_written} times");
        assert!(written < 300_000 * 20, "{written} rows were written");
    }
}
