//! One sorted run of services: a file of the table, or rows in memory. Columns are read when they
//! are first needed, and kept.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock, RwLock};

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use datafusion::common::runtime::SpawnedTask;
use deltalake::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, RowSelection, RowSelector,
};
use deltalake::parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use deltalake::parquet::file::metadata::RowGroupMetaData;
use deltalake::parquet::file::statistics::Statistics;
use deltalake::{ObjectStore, Path};
use futures::TryStreamExt;
use kenshin_observation::schema::{SERVICE_VERSION, ServiceRow, Table};
use tokio::sync::OnceCell;

use super::column::{Column, dictionary_of_texts};
use super::file::StoredFile;
use super::things::Things;
use crate::LakeError;
use crate::write::workers;

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
    /// Few, and looked for row by row: going through them is faster than hashing a name.
    columns: Vec<(&'static str, Arc<Column>)>,
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

    /// True when all its rows are of the version that is written today.
    pub(crate) async fn is_current(&self) -> Result<bool, LakeError> {
        let Source::File { file, metadata } = &self.source else { return Ok(true) };
        let metadata = metadata.get_or_try_init(|| metadata_of(file)).await?;
        let current = |group: &RowGroupMetaData| {
            let versions = group.columns().iter().find(|column| column.column_path().string() == "schema");
            match versions.and_then(|column| column.statistics()) {
                Some(Statistics::Int32(versions)) => [versions.min_opt(), versions.max_opt()]
                    .iter()
                    .all(|version| *version == Some(&SERVICE_VERSION)),
                _ => false,
            }
        };
        Ok(metadata.metadata().row_groups().iter().all(current))
    }

    /// Loads columns by name, together, and hands them out, to be kept for as long as they are needed.
    pub(super) async fn columns(&self, names: &[&'static str]) -> Result<Vec<Arc<Column>>, LakeError> {
        let loaded = self.load(names).await?;
        Ok(loaded.columns.into_iter().map(|(_, column)| column).collect())
    }

    /// Bytes of memory that all columns take which were loaded until now.
    pub(super) fn held_bytes(&self) -> usize {
        let held = self.columns.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        held.values().map(|column| column.bytes()).sum()
    }

    /// How many of these columns are not loaded, and bytes of memory that they would take at most.
    pub(super) async fn lacks(&self, names: &[&'static str]) -> Result<(usize, usize), LakeError> {
        let missing: HashSet<&str> = {
            let held = self.columns.read().unwrap_or_else(std::sync::PoisonError::into_inner);
            names.iter().copied().filter(|name| !held.contains_key(name)).collect()
        };
        let Source::File { file, metadata } = &self.source else { return Ok((missing.len(), 0)) };
        if missing.is_empty() {
            return Ok((0, 0));
        }
        let metadata = metadata.get_or_try_init(|| metadata_of(file)).await?;
        let of_group = |group: &RowGroupMetaData| -> usize {
            let columns = group
                .columns()
                .iter()
                .filter(|column| missing.contains(column.column_path().string().as_str()));
            columns.map(|column| usize::try_from(column.uncompressed_size()).unwrap_or(0)).sum()
        };
        let texts = metadata.metadata().row_groups().iter().map(of_group).sum::<usize>();
        Ok((missing.len(), texts + missing.len() * self.rows * size_of::<i64>()))
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

    /// Decodes columns and joins their parts, on all processors.
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
                let groups: Vec<usize> = (0..metadata.metadata().num_row_groups()).collect();
                let mut pieces = Vec::new();
                for groups in groups.chunks(groups.len().div_ceil(workers()).max(1)) {
                    let builder =
                        ParquetRecordBatchStreamBuilder::new_with_metadata(file.clone(), metadata.clone());
                    let mask = ProjectionMask::columns(builder.parquet_schema(), names.iter().copied());
                    let builder = builder.with_projection(mask).with_batch_size(READ_ROWS);
                    let stream = builder.with_row_groups(groups.to_vec()).build().map_err(reading)?;
                    pieces.push(SpawnedTask::spawn(stream.try_collect::<Vec<RecordBatch>>()));
                }
                for piece in pieces {
                    piece.join_unwind().await.map_err(reading)?.map_err(reading)?.iter().for_each(&mut take);
                }
            }
        }
        let schema = ServiceRow::schema();
        let mut columns = Vec::new();
        for name in names {
            let data_type = schema.field_with_name(name).map_err(reading)?.data_type().clone();
            let (parts, rows) = (parts.remove(name).unwrap_or_default(), self.rows);
            columns.push((*name, SpawnedTask::spawn(async move { Column::read(&data_type, &parts, rows) })));
        }
        let mut read = Vec::new();
        for (name, column) in columns {
            read.push((name, Arc::new(column.join_unwind().await.map_err(reading)?.map_err(reading)?)));
        }
        Ok(read)
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
        let found = self.columns.iter().find(|(held, _)| *held == name);
        &found.expect("whoever evaluates a query loads what it names").1
    }

    /// Devices and software; their columns were asked for.
    pub(super) fn things(&self) -> &Things {
        self.segment.things.get_or_init(|| Things::of(self))
    }

    /// The addresses of all rows.
    pub(super) fn addresses(&self) -> Addresses<'_> {
        Addresses { hi: self.column("addr_hi").longs(), lo: self.column("addr_lo").longs() }
    }
}

/// Addresses of rows, in order.
#[derive(Clone, Copy)]
pub(super) struct Addresses<'a> {
    hi: &'a [i64],
    lo: &'a [i64],
}

impl Addresses<'_> {
    /// That of a row.
    pub(super) fn at(&self, row: usize) -> (i64, i64) {
        (self.hi[row], self.lo[row])
    }

    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        self.hi.len()
    }

    /// How many rows at the beginning have addresses for which `before` holds.
    pub(super) fn position(&self, before: impl Fn((i64, i64)) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if before(self.at(middle)) { low = middle + 1 } else { high = middle }
        }
        low
    }
}

pub(super) fn reading(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> LakeError {
    LakeError::Read { table: ServiceRow::NAME, source: source.into() }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use datafusion::object_store::local::LocalFileSystem;

    use super::*;
    use crate::Lake;

    /// A row as a version wrote it, every column of its filled.
    fn sample(version: i32) -> ServiceRow {
        let text = format!(
            r#"{{"schema":{version},"addr_hi":-9223372036854775808,"addr_lo":-9223090564025483775,"port":443,
            "transport":"tcp","protocol":"https","state":"answered","first_us":1,"seen_us":2,"asked_us":3,
            "known_us":4,"org_id":"org","mandate_id":"mandate","survey_id":"survey","sensor_id":"sensor",
            "tlp":"TLP:AMBER","vendor":"Example","product":"Camera","version":"1.9","device_type":"camera",
            "cpe":"cpe:2.3:h:example:camera:*:*:*:*:*:*:*:*","software":"[{{\"product\":\"nginx\"}}]",
            "banner":"検診","title":"Login","server":"nginx","status":401,"tls":"1.2","cert_sha256":"00",
            "cert_subject":"CN=a","cert_names":"a b","cert_issuer":"CN=ca","cert_expires_us":5,
            "key_sha256":"11","hassh":"22","ja3s":"33","favicon":-6,"labels":"tarpit",
            "enriched_by":"asn@2026-11-01","asn":64500,"as_name":"Nishi Net","country":"JP",
            "region":"JP-13","provider":"Nishi"}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    /// Runs that every version wrote are read. `KENSHIN_WRITE_SAMPLES=1` writes that of today when it
    /// is missing, never over an old one.
    #[tokio::test]
    async fn runs_of_every_version_are_read() {
        let samples = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/schema");
        for version in 1..=SERVICE_VERSION {
            let name = format!("services-v{version}.parquet");
            let path = samples.join(&name);
            if !path.exists()
                && version == SERVICE_VERSION
                && std::env::var_os("KENSHIN_WRITE_SAMPLES").is_some()
            {
                let folder = tempfile::tempdir().unwrap();
                let lake = Lake::open(folder.path().to_str().unwrap()).await.unwrap();
                lake.whole().add(vec![sample(version)], &Default::default()).await.unwrap();
                let written = lake.view().await.unwrap().segments()[0].path().unwrap().to_string();
                std::fs::copy(folder.path().join("services").join(written), &path).unwrap();
            }
            let store = Arc::new(LocalFileSystem::new_with_prefix(&samples).unwrap());
            let segment = Segment::file(store, Path::from(name), 1);
            assert_eq!(segment.is_current().await.unwrap(), version == SERVICE_VERSION);
            assert_eq!(segment.rows_at(&[0]).await.unwrap(), [sample(version)]);
            let loaded = segment.load(&["addr_hi", "port", "banner", "schema"]).await.unwrap();
            assert_eq!(loaded.column("banner").texts().at(0), Some("検診"));
        }
    }

    /// The columns of today are those of its sample, no more and no less.
    #[test]
    fn a_changed_row_is_of_a_new_version() {
        let row = serde_json::to_value(sample(SERVICE_VERSION)).unwrap();
        let lacks: Vec<&String> = row
            .as_object()
            .unwrap()
            .iter()
            .filter(|(_, value)| value.is_null())
            .map(|(name, _)| name)
            .collect();
        assert!(lacks.is_empty(), "the sample lacks {lacks:?}");
        let path = format!(
            "{}/../../testdata/schema/services-v{SERVICE_VERSION}.parquet",
            env!("CARGO_MANIFEST_DIR")
        );
        let metadata =
            ArrowReaderMetadata::load(&std::fs::File::open(path).unwrap(), Default::default()).unwrap();
        let schema = ServiceRow::schema();
        let columns = |schema: &Schema| -> Vec<(String, DataType)> {
            schema.fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect()
        };
        assert_eq!(
            columns(metadata.schema()),
            columns(&schema),
            "raise SERVICE_VERSION, keep the old sample"
        );
    }
}
