//! What is known of one host: a few pages of each file.
//!
//! It is asked more often than anything else, and a planner would cost more than the answer. Files tell
//! which addresses they hold, their row groups and pages too; of the pages that may hold the host only two
//! columns are read before it is known which rows do. Then what protocols said: of some thirty records a row
//! has one or two, so one column of each tells which are there, and only those are read whole.

use std::sync::Arc;

use arrow_array::{Array, BooleanArray, Int64Array, RecordBatch};
use arrow_schema::{ArrowError, Schema};
use datafusion::arrow::compute::kernels::cmp::eq;
use datafusion::arrow::compute::{and, concat_batches};
use deltalake::parquet::arrow::arrow_reader::{ArrowReaderMetadata, RowSelection, RowSelector};
use deltalake::parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use deltalake::parquet::basic::ConvertedType;
use deltalake::parquet::errors::{ParquetError, Result};
use deltalake::parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use deltalake::parquet::file::page_index::column_index::ColumnIndexMetaData;
use deltalake::parquet::file::statistics::Statistics;
use futures::{StreamExt, TryStreamExt, stream};
use kenshin_observation::schema::{ObservationRow, Table};

use crate::error::LakeError;
use crate::files::ORDER;
use crate::store::{Lake, locked};
use crate::view::StoredFile;
use crate::write::GROUP_ROWS;

/// Files that are read at once.
const AT_ONCE: usize = 8;
/// Most files of which it is kept what they say of themselves.
const FOOTERS_MAX: usize = 1_024;

impl Lake {
    /// The observations at an address, file by file.
    pub(crate) async fn observations_at(
        &self,
        addr: (i64, i64),
    ) -> std::result::Result<Vec<ObservationRow>, LakeError> {
        let files = self.files(ObservationRow::NAME).await?;
        let store = files.store().1;
        let read = |path| {
            let file = StoredFile { store: store.clone(), path };
            let footer = locked(&self.footers).get(&file.path).cloned();
            // A task of its own: files are read by all processors.
            tokio::spawn(async move {
                let footer = match footer {
                    Some(footer) => footer,
                    None => footer_of(&file).await?,
                };
                let rows = rows_at(&file, &footer, addr).await?;
                Ok::<_, ParquetError>((file.path, footer, rows))
            })
        };
        let mut read = stream::iter(files.holding(addr)).map(read).buffered(AT_ONCE);
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| LakeError::Read {
            table: ObservationRow::NAME,
            source,
        };
        let mut found = Vec::new();
        while let Some(file) = read.next().await {
            let (path, footer, rows) =
                file.map_err(|error| failed(error.into()))?.map_err(|error| failed(error.into()))?;
            let mut footers = locked(&self.footers);
            if footers.len() >= FOOTERS_MAX {
                footers.clear();
            }
            footers.insert(path, footer);
            drop(footers);
            if let Some(rows) = rows {
                found.extend(ObservationRow::from_arrow(&rows)?);
            }
        }
        Ok(found)
    }
}

/// What a file says of itself, with what its pages hold.
async fn footer_of(file: &StoredFile) -> Result<ArrowReaderMetadata> {
    let reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Optional);
    let metadata = reader.load_via_suffix_and_finish(&mut file.clone()).await?;
    ArrowReaderMetadata::try_new(Arc::new(metadata), Default::default())
}

/// The rows of an address in a file, with the records that they have; none where it has no row.
async fn rows_at(
    file: &StoredFile,
    footer: &ArrowReaderMetadata,
    addr: (i64, i64),
) -> Result<Option<RecordBatch>> {
    let metadata = footer.metadata();
    let columns = metadata.file_metadata().schema_descr().columns();
    let place = |name: &str| columns.iter().position(|column| column.path().string() == name);
    let (Some(hi), Some(lo)) = (place(ORDER[0]), place(ORDER[1])) else { return Ok(None) };
    let (mut groups, mut selectors) = (Vec::new(), Vec::new());
    for group in 0..metadata.num_row_groups() {
        if !may_hold(metadata, group, hi, addr.0) || !may_hold(metadata, group, lo, addr.1) {
            continue;
        }
        let pages = pages(metadata, group, hi, addr.0).intersection(&pages(metadata, group, lo, addr.1));
        if pages.selects_any() {
            groups.push(group);
            selectors.extend(Vec::from(pages));
        }
    }
    if groups.is_empty() {
        return Ok(None);
    }
    let pages = RowSelection::from(selectors);
    let columns = async |leaves: Vec<usize>, rows: &RowSelection| {
        let builder = ParquetRecordBatchStreamBuilder::new_with_metadata(file.clone(), footer.clone());
        let mask = ProjectionMask::leaves(builder.parquet_schema(), leaves);
        let builder = builder.with_projection(mask).with_batch_size(GROUP_ROWS);
        let read = builder.with_row_groups(groups.clone()).with_row_selection(rows.clone()).build()?;
        let schema = read.schema().clone();
        Ok::<_, ParquetError>(concat_batches(&schema, &read.try_collect::<Vec<_>>().await?)?)
    };
    let addresses = columns(vec![hi, lo], &pages).await?;
    let rows = pages.and_then(&RowSelection::from_filters(&[is_at(&addresses, addr)?]));
    if !rows.selects_any() {
        return Ok(None);
    }
    let leaves = Leaves::of(metadata, groups[0]);
    let told = columns(leaves.telling(), &rows).await?;
    let there: Vec<usize> = leaves
        .records
        .iter()
        .filter(|record| is_there(&told, record))
        .flat_map(|record| record.leaves.clone())
        .collect();
    let (mut fields, mut found) = (Vec::new(), Vec::new());
    let records = match there.is_empty() {
        true => None,
        false => Some(columns(there, &rows).await?),
    };
    for batch in std::iter::once(&told).chain(&records) {
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            let is_record = leaves.records.iter().any(|record| record.name == *field.name());
            if is_record == std::ptr::eq(batch, &told) {
                continue;
            }
            fields.push(field.clone());
            found.push(column.clone());
        }
    }
    Ok(Some(RecordBatch::try_new(Arc::new(Schema::new(fields)), found)?))
}

/// The columns of a file as they are read: those that every row has, and those of records.
struct Leaves {
    plain: Vec<usize>,
    records: Vec<Record>,
}

/// The columns of one record.
struct Record {
    name: String,
    leaves: Vec<usize>,
    /// The smallest of them, which tells as well as any other whether a row has the record.
    tells: usize,
}

impl Leaves {
    /// Those of a file; which is the smallest one row group tells.
    fn of(metadata: &ParquetMetaData, group: usize) -> Self {
        let schema = metadata.file_metadata().schema_descr();
        let mut leaves = Self { plain: Vec::new(), records: Vec::new() };
        let bytes = |leaf: usize| metadata.row_group(group).column(leaf).compressed_size();
        for leaf in 0..schema.num_columns() {
            let root = schema.get_column_root(leaf);
            if root.is_primitive() || root.get_basic_info().converted_type() == ConvertedType::LIST {
                leaves.plain.push(leaf);
                continue;
            }
            match leaves.records.last_mut().filter(|record| record.name == root.name()) {
                Some(record) => {
                    record.tells =
                        [record.tells, leaf].into_iter().min_by_key(|leaf| bytes(*leaf)).unwrap_or(leaf);
                    record.leaves.push(leaf);
                }
                None => leaves.records.push(Record {
                    name: root.name().to_owned(),
                    leaves: vec![leaf],
                    tells: leaf,
                }),
            }
        }
        leaves
    }

    fn telling(&self) -> Vec<usize> {
        self.plain.iter().copied().chain(self.records.iter().map(|record| record.tells)).collect()
    }
}

/// True when a row has the record.
fn is_there(told: &RecordBatch, record: &Record) -> bool {
    told.column_by_name(&record.name).is_some_and(|column| column.null_count() < column.len())
}

fn is_at(rows: &RecordBatch, (hi, lo): (i64, i64)) -> std::result::Result<BooleanArray, ArrowError> {
    let is = |column: &str, value: i64| {
        let column = rows.column_by_name(column).ok_or_else(|| ArrowError::SchemaError(column.to_owned()))?;
        eq(column, &Int64Array::new_scalar(value))
    };
    and(&is(ORDER[0], hi)?, &is(ORDER[1], lo)?)
}

/// False when a column of a row group has no such value.
fn may_hold(metadata: &ParquetMetaData, group: usize, column: usize, value: i64) -> bool {
    match metadata.row_group(group).column(column).statistics() {
        Some(Statistics::Int64(ends)) => {
            ends.min_opt().is_none_or(|least| *least <= value)
                && ends.max_opt().is_none_or(|most| *most >= value)
        }
        _ => true,
    }
}

/// The pages of a column in which a value may be; all of them where the file does not tell.
fn pages(metadata: &ParquetMetaData, group: usize, column: usize, value: i64) -> RowSelection {
    let rows = usize::try_from(metadata.row_group(group).num_rows()).unwrap_or_default();
    let index = metadata.column_index().and_then(|index| index.get(group)?.get(column));
    let offsets = metadata.offset_index().and_then(|index| index.get(group)?.get(column));
    let (Some(ColumnIndexMetaData::INT64(index)), Some(offsets)) = (index, offsets) else {
        return vec![RowSelector::select(rows)].into();
    };
    let begins =
        offsets.page_locations().iter().map(|page| usize::try_from(page.first_row_index).unwrap_or(0));
    let begins: Vec<usize> = begins.chain([rows]).collect();
    let ends = index.min_values().iter().zip(index.max_values());
    let selectors = ends.zip(begins.windows(2)).map(|((least, most), page)| RowSelector {
        row_count: page[1] - page[0],
        skip: !(*least <= value && value <= *most),
    });
    selectors.collect::<Vec<_>>().into()
}
