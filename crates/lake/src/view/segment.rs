//! One sorted run of services: a file of the table, or rows in memory. Columns are read when they
//! are first needed, and kept.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, RwLock};

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use deltalake::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, RowSelection, RowSelector,
};
use deltalake::parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use deltalake::{ObjectStore, Path};
use futures::TryStreamExt;
use kenshin_observation::schema::{ServiceRow, Table};
use tokio::sync::OnceCell;

use super::column::{Column, dictionary_of_texts};
use super::file::StoredFile;
use super::things::Things;
use crate::LakeError;

/// Rows read at once.
const READ_ROWS: usize = 1 << 16;

/// A sorted run of services.
pub(crate) struct Segment {
    source: Source,
    rows: usize,
    columns: RwLock<HashMap<&'static str, Arc<Column>>>,
    things: OnceLock<Things>,
}

enum Source {
    File { file: StoredFile, metadata: OnceCell<ArrowReaderMetadata> },
    Memory(RecordBatch),
}

/// The columns of a segment that were loaded for a purpose.
pub(super) struct Loaded<'a> {
    pub(super) rows: usize,
    columns: HashMap<&'static str, Arc<Column>>,
    segment: &'a Segment,
}

impl Segment {
    /// A file of the table.
    pub(crate) fn file(store: Arc<dyn ObjectStore>, path: Path, rows: usize) -> Self {
        Self {
            source: Source::File { file: StoredFile { store, path }, metadata: OnceCell::new() },
            rows,
            columns: RwLock::default(),
            things: OnceLock::new(),
        }
    }

    /// Rows in memory, sorted here.
    pub(crate) fn memory(mut services: Vec<ServiceRow>) -> Result<Self, LakeError> {
        services.sort_by(ServiceRow::compare_keys);
        let rows = services.len();
        let batch = ServiceRow::to_arrow(&services)?;
        let source = Source::Memory(batch);
        Ok(Self { source, rows, columns: RwLock::default(), things: OnceLock::new() })
    }

    /// Where the file lies; nowhere for rows in memory.
    pub(crate) fn path(&self) -> Option<&Path> {
        match &self.source {
            Source::File { file, .. } => Some(&file.path),
            Source::Memory(_) => None,
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Loads columns by name, together, and hands them out.
    pub(super) async fn load(&self, names: &[&'static str]) -> Result<Loaded<'_>, LakeError> {
        let missing: Vec<&'static str> = {
            let held = self.columns.read().unwrap_or_else(std::sync::PoisonError::into_inner);
            names.iter().copied().filter(|name| !held.contains_key(name)).collect()
        };
        if !missing.is_empty() {
            let read = self.read(&missing).await?;
            self.columns.write().unwrap_or_else(std::sync::PoisonError::into_inner).extend(read);
        }
        let held = self.columns.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let columns = names.iter().filter_map(|name| Some((*name, held.get(name)?.clone()))).collect();
        Ok(Loaded { rows: self.rows, columns, segment: self })
    }

    async fn read(&self, names: &[&'static str]) -> Result<Vec<(&'static str, Arc<Column>)>, LakeError> {
        let mut parts: HashMap<&'static str, Vec<ArrayRef>> = HashMap::new();
        let mut take = |batch: &RecordBatch| {
            for name in names {
                if let Some(column) = batch.column_by_name(name) {
                    parts.entry(name).or_default().push(column.clone());
                }
            }
        };
        match &self.source {
            Source::Memory(batch) => take(batch),
            Source::File { file, metadata } => {
                let metadata = metadata.get_or_try_init(|| metadata_of(file)).await?;
                let builder =
                    ParquetRecordBatchStreamBuilder::new_with_metadata(file.clone(), metadata.clone());
                let mask = ProjectionMask::columns(builder.parquet_schema(), names.iter().copied());
                let stream =
                    builder.with_projection(mask).with_batch_size(READ_ROWS).build().map_err(reading)?;
                let batches: Vec<RecordBatch> = stream.try_collect().await.map_err(reading)?;
                batches.iter().for_each(take);
            }
        }
        let schema = ServiceRow::schema();
        let mut columns = Vec::new();
        for name in names {
            let data_type = schema.field_with_name(name).map_err(reading)?.data_type();
            let parts = parts.remove(name).unwrap_or_default();
            let column = Column::read(data_type, &parts, self.rows).map_err(reading)?;
            columns.push((*name, Arc::new(column)));
        }
        Ok(columns)
    }

    /// Whole rows by position, ascending.
    pub(super) async fn rows_at(&self, positions: &[u32]) -> Result<Vec<ServiceRow>, LakeError> {
        let batches = match &self.source {
            Source::Memory(batch) => positions.iter().map(|at| batch.slice(*at as usize, 1)).collect(),
            Source::File { file, metadata } => {
                let metadata = metadata.get_or_try_init(|| metadata_of(file)).await?;
                let builder =
                    ParquetRecordBatchStreamBuilder::new_with_metadata(file.clone(), metadata.clone());
                let stream = builder.with_row_selection(selection(positions)).build().map_err(reading)?;
                stream.try_collect::<Vec<RecordBatch>>().await.map_err(reading)?
            }
        };
        let mut rows = Vec::with_capacity(positions.len());
        for batch in batches {
            rows.extend(ServiceRow::from_arrow(&as_stored(&batch)?)?);
        }
        Ok(rows)
    }
}

/// Selects rows by position, ascending.
fn selection(positions: &[u32]) -> RowSelection {
    let mut selectors: Vec<RowSelector> = Vec::new();
    let mut next = 0;
    for position in positions.iter().map(|at| *at as usize) {
        match selectors.last_mut() {
            Some(last) if position == next => last.row_count += 1,
            _ if position == next => selectors.push(RowSelector::select(1)),
            _ => selectors.extend([RowSelector::skip(position - next), RowSelector::select(1)]),
        }
        next = position + 1;
    }
    selectors.into()
}

/// What a file says of itself, to be read with texts as dictionaries.
async fn metadata_of(file: &StoredFile) -> Result<ArrowReaderMetadata, LakeError> {
    let options = ArrowReaderOptions::new();
    let metadata = ArrowReaderMetadata::load_async(&mut file.clone(), options.clone()).await;
    let metadata = metadata.map_err(reading)?;
    let coded = |field: &Arc<Field>| match field.data_type() {
        DataType::Utf8 => field.as_ref().clone().with_data_type(dictionary_of_texts()),
        _ => field.as_ref().clone(),
    };
    let fields: Vec<Field> = metadata.schema().fields().iter().map(coded).collect();
    let options = options.with_schema(Arc::new(Schema::new(fields)));
    ArrowReaderMetadata::try_new(metadata.metadata().clone(), options).map_err(reading)
}

/// The batch with the columns and types of [`ServiceRow`], whatever version wrote it.
fn as_stored(batch: &RecordBatch) -> Result<RecordBatch, LakeError> {
    let schema = ServiceRow::schema();
    let column = |field: &Arc<Field>| match batch.column_by_name(field.name()) {
        Some(column) => arrow_cast::cast(column, field.data_type()),
        None => Ok(arrow_array::new_null_array(field.data_type(), batch.num_rows())),
    };
    let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>, _>>().map_err(reading)?;
    RecordBatch::try_new(schema, columns).map_err(reading)
}

impl Loaded<'_> {
    /// A column that was asked for when this was loaded.
    pub(super) fn column(&self, name: &'static str) -> &Column {
        self.columns.get(name).expect("whoever evaluates a query loads what it names")
    }

    /// Devices and software; their columns were asked for.
    pub(super) fn things(&self) -> &Things {
        self.segment.things.get_or_init(|| Things::of(self))
    }

    /// The address of a row.
    pub(super) fn addr(&self, row: usize) -> (i64, i64) {
        (self.column("addr_hi").longs()[row], self.column("addr_lo").longs()[row])
    }
}

pub(super) fn reading(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> LakeError {
    LakeError::Read { table: ServiceRow::NAME, source: source.into() }
}
