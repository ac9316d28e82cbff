//! What is known of one host: a few pages of each file.
//!
//! It is asked more often than anything else, and a planner would cost more than the answer. Files tell
//! which addresses they hold, their row groups and pages too; of the pages that may hold the host only two
//! columns are read before it is known which rows do.

use std::sync::Arc;

use arrow_array::{BooleanArray, Int64Array, RecordBatch};
use arrow_schema::ArrowError;
use datafusion::arrow::compute::and;
use datafusion::arrow::compute::kernels::cmp::eq;
use deltalake::parquet::arrow::arrow_reader::{
    ArrowPredicateFn, ArrowReaderMetadata, RowFilter, RowSelection, RowSelector,
};
use deltalake::parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use deltalake::parquet::errors::{ParquetError, Result};
use deltalake::parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use deltalake::parquet::file::page_index::column_index::ColumnIndexMetaData;
use deltalake::parquet::file::statistics::Statistics;
use futures::{StreamExt, TryStreamExt, stream};
use kenshin_observation::schema::{ObservationRow, Table};

use crate::files::ORDER;
use crate::store::{Lake, LakeError, locked};
use crate::view::StoredFile;

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
            for batch in &rows {
                found.extend(ObservationRow::from_arrow(batch)?);
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

async fn rows_at(
    file: &StoredFile,
    footer: &ArrowReaderMetadata,
    addr: (i64, i64),
) -> Result<Vec<RecordBatch>> {
    let metadata = footer.metadata();
    let columns = metadata.file_metadata().schema_descr().columns();
    let place = |name: &str| columns.iter().position(|column| column.path().string() == name);
    let (Some(hi), Some(lo)) = (place(ORDER[0]), place(ORDER[1])) else { return Ok(Vec::new()) };
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
        return Ok(Vec::new());
    }
    let builder = ParquetRecordBatchStreamBuilder::new_with_metadata(file.clone(), footer.clone());
    let mask = ProjectionMask::leaves(builder.parquet_schema(), [hi, lo]);
    let is_it = ArrowPredicateFn::new(mask, move |rows: RecordBatch| is_at(&rows, addr));
    let rows = builder
        .with_row_groups(groups)
        .with_row_selection(RowSelection::from(selectors))
        .with_row_filter(RowFilter::new(vec![Box::new(is_it)]))
        .build()?;
    rows.try_collect().await
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
