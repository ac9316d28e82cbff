//! The table of the current view on disk: runs are appended, and merged into one.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use datafusion::object_store::ObjectStoreExt;
use datafusion::object_store::buffered::BufWriter;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake::kernel::{Action, Add, Transaction};
use deltalake::parquet::arrow::AsyncArrowWriter;
use deltalake::parquet::basic::{Compression, ZstdLevel};
use deltalake::parquet::file::properties::{EnabledStatistics, WriterProperties};
use deltalake::parquet::schema::types::ColumnPath;
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::{DeltaTable, ObjectStore, Path};
use kenshin_observation::SensorId;
use kenshin_observation::schema::{BatchRow, SchemaError, ServiceRow, Table};

use crate::store::{Lake, LakeError};
use crate::view::{Segment, View};

/// Rows of a data page: what is read to show one row.
const PAGE_ROWS: usize = 2_048;
/// Rows of a row group.
const GROUP_ROWS: usize = 1 << 20;
/// Rows written at once.
const PIECE_ROWS: usize = 1 << 16;
/// Runs above which they are merged.
const RUNS_MAX: usize = 24;

/// Up to which of its batches each sensor's observations are in the view.
pub type Progress = BTreeMap<SensorId, i64>;

impl Lake {
    /// The current view, as it is now. What was read for the view before is kept where it is the same.
    pub async fn view(&self) -> Result<Arc<View>, LakeError> {
        let mut held = self.view.lock().await;
        let mut table = self.tables[ServiceRow::NAME].write().await;
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
        let view = Arc::new(View::of_segments(version, segments).await?);
        *held = Some(view.clone());
        Ok(view)
    }

    /// How far the view has come, and how far the lake: where they differ, batches are to be
    /// folded in.
    pub async fn view_progress(&self, sensor: SensorId) -> Result<(i64, i64), LakeError> {
        let app = app(sensor);
        let mut sequences = [0; 2];
        for (sequence, name) in sequences.iter_mut().zip([ServiceRow::NAME, BatchRow::NAME]) {
            let mut table = self.tables[name].write().await;
            table.update_state().await.map_err(reading)?;
            let snapshot = table.snapshot().map_err(reading)?;
            let found = snapshot.transaction_version(table.log_store().as_ref(), app.as_str()).await;
            *sequence = found.map_err(reading)?.unwrap_or(0);
        }
        Ok((sequences[0], sequences[1]))
    }

    /// Adds rows to the view, and remembers that it has come as far as `progress`. Rows that are
    /// there already, or newer ones about the same service, are not disturbed.
    pub async fn add_services(&self, rows: Vec<ServiceRow>, progress: &Progress) -> Result<(), LakeError> {
        let mut table = self.tables[ServiceRow::NAME].write().await;
        table.update_state().await.map_err(reading)?;
        let mut actions = Vec::new();
        if !rows.is_empty() {
            let mut writer = RunWriter::begin(&table, progress)?;
            writer.write(rows).await?;
            actions.push(Action::Add(writer.finish().await?));
        }
        commit(&mut table, actions, progress, SaveMode::Append).await
    }

    /// Begins to make the view anew. What is in the table stays there until [`Lake::finish_view`].
    pub async fn new_view(&self) -> Result<NewView, LakeError> {
        let mut table = self.tables[ServiceRow::NAME].write().await;
        table.update_state().await.map_err(reading)?;
        Ok(NewView { writer: RunWriter::begin(&table, &Progress::new())?, replaces: removals(&table)? })
    }

    /// Puts a new view in the place of the runs that there were when it was begun; gives its number
    /// of rows.
    pub async fn finish_view(&self, new: NewView, progress: &Progress) -> Result<u64, LakeError> {
        let rows = new.writer.rows;
        let mut actions = new.replaces;
        let added = new.writer.finish().await?;
        if rows > 0 {
            actions.push(Action::Add(added));
        }
        let mut table = self.tables[ServiceRow::NAME].write().await;
        table.update_state().await.map_err(reading)?;
        commit(&mut table, actions, progress, SaveMode::Overwrite).await?;
        Ok(rows)
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

    /// Merges the runs of the view into one when there are more than a search likes; true when it
    /// did.
    pub async fn merge_services(&self, runs_max: Option<usize>) -> Result<bool, LakeError> {
        let view = self.view().await?;
        if view.runs() <= runs_max.unwrap_or(RUNS_MAX) {
            return Ok(false);
        }
        let mut table = self.tables[ServiceRow::NAME].write().await;
        table.update_state().await.map_err(reading)?;
        if table.version() != view.version() {
            // Somebody wrote in between: whoever writes next merges.
            return Ok(false);
        }
        let mut writer = RunWriter::begin(&table, &Progress::new())?;
        for piece in view.places().await?.chunks(PIECE_ROWS) {
            writer.write(view.rows(piece).await?).await?;
        }
        let mut actions = removals(&table)?;
        actions.push(Action::Add(writer.finish().await?));
        commit(&mut table, actions, &Progress::new(), SaveMode::Overwrite).await?;
        Ok(true)
    }
}

/// A view that is being made: one run, written in pieces.
pub struct NewView {
    writer: RunWriter,
    replaces: Vec<Action>,
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

/// Takes every run out of the table.
fn removals(table: &DeltaTable) -> Result<Vec<Action>, LakeError> {
    let files = table.snapshot().map_err(reading)?.log_data();
    Ok(files.into_iter().map(|file| Action::Remove(file.remove_action(true))).collect())
}

async fn commit(
    table: &mut DeltaTable,
    actions: Vec<Action>,
    progress: &Progress,
    mode: SaveMode,
) -> Result<(), LakeError> {
    let transactions = progress.iter().map(|(sensor, sequence)| Transaction::new(app(*sensor), *sequence));
    let properties = CommitProperties::default().with_application_transactions(transactions.collect());
    let operation = DeltaOperation::Write { mode, partition_by: None, predicate: None };
    let log_store = table.log_store();
    CommitBuilder::from(properties)
        .with_actions(actions)
        .build(Some(table.snapshot().map_err(reading)?.snapshot()), log_store, operation)
        .await
        .map_err(|source| LakeError::Commit {
            table: ServiceRow::NAME,
            from: progress.values().copied().min().unwrap_or(0),
            to: progress.values().copied().max().unwrap_or(0),
            source: Box::new(source),
        })?;
    table.update_state().await.map_err(reading)
}

/// Writes one run.
struct RunWriter {
    writer: AsyncArrowWriter<BufWriter>,
    store: Arc<dyn ObjectStore>,
    path: Path,
    rows: u64,
}

impl RunWriter {
    /// A run with a name of its own: by table version, time and content of what is known so far.
    fn begin(table: &DeltaTable, progress: &Progress) -> Result<Self, LakeError> {
        let store = table.log_store().object_store(None);
        let marks: Vec<String> = progress.iter().map(|(sensor, to)| format!("{sensor}-{to}")).collect();
        let version = table.version().unwrap_or_default();
        let name = format!("run-{version:012}-{}-{:016x}.parquet", digest(&marks.join(",")), distinction());
        let path = Path::from(name);
        let text = |name: &str| ColumnPath::from(name);
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).map_err(reading)?))
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

    async fn finish(self) -> Result<Add, LakeError> {
        self.writer.close().await.map_err(reading)?;
        let written = self.store.head(&self.path).await.map_err(reading)?;
        Ok(Add {
            path: self.path.to_string(),
            size: i64::try_from(written.size).unwrap_or(i64::MAX),
            modification_time: written.last_modified.timestamp_millis(),
            data_change: true,
            stats: Some(format!("{{\"numRecords\":{}}}", self.rows)),
            ..Add::default()
        })
    }
}

/// Tells apart two runs of one process that begin at the same version, and runs of two processes:
/// a file is never written twice.
fn distinction() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    u64::from(std::process::id()) << 32 | NEXT.fetch_add(1, Ordering::Relaxed) & 0xffff_ffff
}

/// 64 bits of a text, hexadecimal (FNV-1a): names of files only.
fn digest(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

fn reading(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> LakeError {
    LakeError::Read { table: ServiceRow::NAME, source: source.into() }
}
