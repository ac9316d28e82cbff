//! Rows of batches as files of a table.

use std::collections::HashMap;
use std::ops::Range;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, FieldRef, Schema};
use datafusion::object_store::ObjectStoreExt;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake::kernel::{Action, Add, MetadataExt, StructType};
use deltalake::parquet::arrow::ArrowWriter;
use deltalake::parquet::basic::{Compression, Encoding, ZstdLevel};
use deltalake::parquet::file::metadata::ParquetMetaData;
use deltalake::parquet::file::properties::{EnabledStatistics, WriterProperties};
use deltalake::parquet::file::statistics::Statistics;
use deltalake::parquet::schema::types::ColumnPath;
use deltalake::{DeltaTable, DeltaTableError, Path};
use kenshin_observation::schema::{Intake, Table, Taken};
use serde_json::{Map, Value, json};

use crate::error::LakeError;
use crate::files::{MONTH, ORDER, SORTED};

/// Rows of a data page: what is read to show one.
const PAGE_ROWS: usize = 4_096;
/// Rows of a row group.
pub(crate) const GROUP_ROWS: usize = 1 << 18;
/// Bytes of a dictionary, which is read whole to show one row.
const DICTIONARY_BYTES: usize = 1 << 17;
/// How hard bodies are compressed.
const ZSTD_LEVEL: i32 = 1;
/// Fewest rows that are worth a thread of their own.
const PART_ROWS: usize = 1 << 14;
/// Longest text that the log holds as the least or the greatest of a file.
const TEXT_MAX: usize = 31;

/// A file that is written, or is about to be.
pub(crate) struct Encoded {
    bytes: Vec<u8>,
    metadata: ParquetMetaData,
    values: Vec<Option<String>>,
}

/// How rows are written: in small pages that say which addresses they hold. Most columns of most pages
/// are empty, and Zstandard is set up anew for each of them, so only bodies and digests have it.
pub(crate) fn properties(schema: &Schema) -> Result<WriterProperties, DeltaTableError> {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::LZ4_RAW)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(PAGE_ROWS)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::None);
    let path = |name: &str| ColumnPath::from(name);
    for field in schema.fields().iter().filter(|field| !field.data_type().is_nested()) {
        let by = if ORDER.contains(&field.name().as_str()) {
            EnabledStatistics::Page
        } else {
            EnabledStatistics::Chunk
        };
        properties = properties.set_column_statistics_enabled(path(field.name()), by);
    }
    // Digests, random bytes and bodies are all different, and so are numbers that lie in their order.
    for name in ["sha256", "bytes", "nodes"] {
        properties = properties.set_column_dictionary_enabled(path(name), false);
    }
    for name in ["subject_addr_hi", "subject_addr_lo", "t_us", "row"] {
        properties = properties
            .set_column_dictionary_enabled(path(name), false)
            .set_column_encoding(path(name), Encoding::DELTA_BINARY_PACKED);
    }
    let zstd = Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?);
    if schema.column_with_name("class").is_some() {
        properties = properties.set_column_compression(path("bytes"), zstd);
    }
    // Digests in digits: half of what they are.
    if let Ok(field) = schema.field_with_name("blobs")
        && let DataType::List(digest) = field.data_type()
    {
        let leaf = ["blobs", "list", digest.name()].map(str::to_owned);
        properties = properties.set_column_compression(ColumnPath::new(leaf.into()), zstd);
    }
    Ok(properties.build())
}

/// Parts of the rows of a table, each of one group, that are encoded on their own.
fn parts<R: Taken>(intake: &Intake<'_>) -> Vec<(Vec<Option<String>>, Range<usize>)> {
    let workers = workers();
    let mut parts = Vec::new();
    for group in R::groups(intake) {
        let each = group.rows.len().div_ceil(workers).max(PART_ROWS);
        let mut begins = group.rows.start;
        while begins < group.rows.end {
            let ends = group.rows.end.min(begins + each);
            parts.push((group.values.clone(), begins..ends));
            begins = ends;
        }
    }
    parts
}

/// A part of a table that waits to be encoded.
type Work<'a> = Box<dyn FnOnce() -> Result<Encoded, LakeError> + Send + 'a>;

/// What is to be done to write a table's rows.
pub(crate) fn work<'a, R: Taken>(intake: &'a Intake<'_>) -> Vec<Work<'a>> {
    let one = |(values, rows): (Vec<Option<String>>, Range<usize>)| -> Work<'a> {
        Box::new(move || {
            let columns = R::columns(intake, rows)?;
            encode(&columns, values)
                .map_err(|source| LakeError::Read { table: R::NAME, source: source.into() })
        })
    };
    parts::<R>(intake).into_iter().map(one).collect()
}

/// Does all work, by as many threads as there are processors; gives what came of it in its order.
pub(crate) fn all(work: Vec<Vec<Work<'_>>>) -> Result<Vec<Vec<Encoded>>, LakeError> {
    let lengths: Vec<usize> = work.iter().map(Vec::len).collect();
    let queue = std::sync::Mutex::new(work.into_iter().flatten().enumerate());
    let take = || queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
    let do_some = || {
        let mut done = Vec::new();
        while let Some((nth, work)) = take() {
            done.push((nth, work()));
        }
        done
    };
    let others = workers().min(lengths.iter().sum()).saturating_sub(1);
    let mut done = std::thread::scope(|scope| {
        let others: Vec<_> = (0..others).map(|_| scope.spawn(do_some)).collect();
        let mut done = do_some();
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        done
    });
    done.sort_by_key(|(nth, _)| *nth);
    let mut done = done.into_iter().map(|(_, encoded)| encoded);
    lengths.into_iter().map(|length| done.by_ref().take(length).collect()).collect()
}

/// Processors.
pub(crate) fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

pub(crate) fn encode(columns: &RecordBatch, values: Vec<Option<String>>) -> Result<Encoded, DeltaTableError> {
    let mut bytes = Vec::new();
    let mut writer =
        ArrowWriter::try_new(&mut bytes, columns.schema(), Some(properties(&columns.schema())?))?;
    writer.write(columns)?;
    let metadata = writer.close()?;
    Ok(Encoded { bytes, metadata, values })
}

/// Puts a file beside the others of a table; it is one of them when the action is committed. `told`
/// names it: the same rows have the same name, and others another.
pub(crate) async fn put<R: Table>(
    table: &DeltaTable,
    encoded: Encoded,
    told: &str,
) -> Result<Action, DeltaTableError> {
    let Encoded { bytes, metadata, values } = encoded;
    let size = bytes.len();
    let store = table.log_store().object_store(None);
    let apart = is_apart(table)?;
    let folder = values.first().filter(|_| apart).cloned().flatten();
    let name = format!("{SORTED}{}.parquet", digest(told));
    let path = match folder {
        Some(month) => Path::from_iter([format!("{MONTH}={month}"), name]),
        None => Path::from(name),
    };
    store.put(&path, bytes.into()).await?;
    let written = store.head(&path).await?;
    let values: HashMap<String, Option<String>> = match apart {
        true => R::APART.iter().map(|name| (*name).to_owned()).zip(values).collect(),
        false => HashMap::new(),
    };
    Ok(Action::Add(Add {
        path: path.to_string(),
        size: i64::try_from(size).unwrap_or(i64::MAX),
        partition_values: values,
        modification_time: written.last_modified.timestamp_millis(),
        data_change: true,
        stats: Some(stats(&metadata).to_string()),
        ..Add::default()
    }))
}

/// True when files of the table are kept apart by month, as those of older versions were not.
pub(crate) fn is_apart(table: &DeltaTable) -> Result<bool, DeltaTableError> {
    Ok(!table.snapshot()?.snapshot().metadata().partition_columns().is_empty())
}

/// What the log says of a file (Delta protocol, "Per-file Statistics"): of columns that are neither
/// structs nor lists, and of texts only where they are short.
pub(crate) fn stats(metadata: &ParquetMetaData) -> Value {
    let (mut least, mut greatest, mut nulls) = (Map::new(), Map::new(), Map::new());
    let columns = metadata.file_metadata().schema_descr().columns();
    for (number, column) in columns.iter().enumerate().filter(|(_, column)| column.path().parts().len() == 1)
    {
        let name = column.name().to_owned();
        let chunks = metadata.row_groups().iter().map(|group| group.column(number).statistics());
        let chunks: Vec<&Statistics> = match chunks.collect::<Option<_>>() {
            Some(chunks) => chunks,
            None => continue,
        };
        if let Some(count) = chunks.iter().map(|chunk| chunk.null_count_opt()).sum::<Option<u64>>() {
            nulls.insert(name.clone(), json!(count));
        }
        let Some(ends) = chunks.iter().map(|chunk| ends(chunk)).collect::<Option<Vec<_>>>() else { continue };
        let (lows, highs): (Vec<End>, Vec<End>) = ends.into_iter().flatten().unzip();
        if let (Some(low), Some(high)) = (lows.into_iter().min(), highs.into_iter().max()) {
            least.insert(name.clone(), low.json());
            greatest.insert(name, high.json());
        }
    }
    json!({
        "numRecords": metadata.file_metadata().num_rows(),
        "minValues": least,
        "maxValues": greatest,
        "nullCount": nulls,
    })
}

/// The least or the greatest value of a column.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Number(i64),
    Text(String),
}

impl End {
    fn json(self) -> Value {
        match self {
            Self::Number(number) => json!(number),
            Self::Text(text) => json!(text),
        }
    }
}

/// Both ends of a chunk: `Some(None)` when it holds nulls alone, `None` when they are not known.
#[expect(clippy::option_option, reason = "nothing there, and nothing known, are two things")]
fn ends(chunk: &Statistics) -> Option<Option<(End, End)>> {
    let text = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= TEXT_MAX)?;
        Some(End::Text(text.to_owned()))
    };
    match chunk {
        Statistics::Int32(ends) => Some(
            ends.min_opt()
                .zip(ends.max_opt())
                .map(|(a, b)| (End::Number((*a).into()), End::Number((*b).into()))),
        ),
        Statistics::Int64(ends) => {
            Some(ends.min_opt().zip(ends.max_opt()).map(|(a, b)| (End::Number(*a), End::Number(*b))))
        }
        Statistics::ByteArray(ends) if ends.min_is_exact() && ends.max_is_exact() => {
            match ends.min_opt().zip(ends.max_opt()) {
                Some((a, b)) => Some(Some((text(a.data())?, text(b.data())?))),
                None => Some(None),
            }
        }
        _ => None,
    }
}

/// The columns of a table on disk: those of its rows, and by which month they are kept apart.
pub(crate) fn stored_schema<R: Table>() -> Schema {
    let mut fields = R::fields().to_vec();
    if !R::APART.is_empty() {
        fields.push(Field::new(MONTH, DataType::Utf8, true).into());
    }
    Schema::new(fields)
}

/// What makes a table, which an older version made, hold the rows of this one; nothing when it does.
pub(crate) fn evolved<R: Taken>(table: &DeltaTable) -> Result<Option<Action>, DeltaTableError> {
    let snapshot = table.snapshot()?;
    let held = snapshot.snapshot().arrow_schema();
    let mut wanted = Vec::new();
    for field in held.fields() {
        let of_today = R::fields().iter().find(|today| today.name() == field.name());
        wanted.push(of_today.map_or_else(|| field.clone(), |today| widened(field, today)));
    }
    let missing = |today: &&FieldRef| held.column_with_name(today.name()).is_none();
    wanted.extend(R::fields().iter().filter(missing).cloned());
    if wanted.len() == held.fields().len() && held.fields().iter().zip(&wanted).all(|(a, b)| is_same(a, b)) {
        return Ok(None);
    }
    let schema: StructType =
        (&Schema::new(wanted)).try_into_kernel().map_err(|source| DeltaTableError::Arrow { source })?;
    let metadata = snapshot.snapshot().metadata().clone().with_schema(&schema)?;
    Ok(Some(Action::Metadata(metadata)))
}

/// A field that holds what either does.
fn widened(held: &FieldRef, today: &FieldRef) -> FieldRef {
    let nullable = held.is_nullable() || today.is_nullable();
    let data_type = match (held.data_type(), today.data_type()) {
        (DataType::Struct(held), DataType::Struct(today)) => {
            let find = |field: &FieldRef| today.iter().find(|today| today.name() == field.name());
            let known = held
                .iter()
                .map(|field| find(field).map_or_else(|| field.clone(), |today| widened(field, today)));
            let missing = today.iter().filter(|today| held.iter().all(|field| field.name() != today.name()));
            DataType::Struct(known.chain(missing.cloned()).collect())
        }
        (DataType::List(held), DataType::List(today)) => DataType::List(widened(held, today)),
        (held, _) => held.clone(),
    };
    Field::new(held.name(), data_type, nullable).into()
}

/// Fields that a table keeps alike, whatever the writer calls the elements of a list.
fn is_same(a: &FieldRef, b: &FieldRef) -> bool {
    let alike = match (a.data_type(), b.data_type()) {
        (DataType::Struct(a), DataType::Struct(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.name() == b.name() && is_same(a, b))
        }
        (DataType::List(a), DataType::List(b)) => is_same(a, b),
        (a, b) => a == b,
    };
    alike && a.is_nullable() == b.is_nullable()
}

/// 64 bits of a text, hexadecimal (FNV-1a): names of files only.
pub(crate) fn digest(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}
