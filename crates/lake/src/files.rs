//! A table as DataFusion reads it: the files of one version, and what is known of each.
//!
//! delta-rs tells which files a table has; they are read here as plain Parquet. So a question costs what
//! its files cost: what is known of them is read once, files that cannot hold an answer are not opened,
//! and their footers are kept. A plan over them names files, paths and columns and nothing of ours, so
//! that it can be sent to another process; which rows of a file were selected is sent beside it
//! ([`cluster`](crate::cluster)).

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, OnceLock};

use arrow_array::BooleanArray;
use arrow_schema::{DataType, Field, FieldRef, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::pruning::PrunableStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, DFSchema, ScalarValue, Statistics, project_schema};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::{CachedParquetFileReaderFactory, ParquetRowSelection};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::expressions::col;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::prelude::SessionContext;
use deltalake::kernel::LogicalFileView;
use deltalake::parquet::arrow::arrow_reader::RowSelection;
use deltalake::parquet::errors::ParquetError;
use deltalake::parquet::file::metadata::ParquetMetaDataReader;
use deltalake::{DeltaTable, DeltaTableError, ObjectStore, ObjectStoreError, Path};
use futures::{StreamExt, stream};
use url::Url;

use crate::view::StoredFile;

/// The column that is known of a file and not in it.
pub(crate) const MONTH: &str = "month";
/// How names of files begin whose rows are sorted by address, port and time.
pub(crate) const SORTED: &str = "sorted-";
/// By what they are sorted.
pub(crate) const ORDER: [&str; 4] = ["subject_addr_hi", "subject_addr_lo", "subject_port", "t_us"];
/// Most files that are read at once.
const IN_ORDER_MAX: usize = 512;
/// Files that are asked at once which columns they have.
const FOOTERS_AT_ONCE: usize = 8;
/// Longest text of which the greatest and the least are believed: whoever wrote a file may have cut off
/// longer ones.
const TEXT_MAX: usize = 31;

/// The files of one version of a table.
#[derive(Clone)]
pub(crate) struct Files {
    version: Option<u64>,
    schema: TableSchema,
    url: ObjectStoreUrl,
    store: Arc<dyn ObjectStore>,
    /// Where the table lies in the store.
    root: Path,
    files: HashMap<Path, PartitionedFile>,
    metadata: Arc<FileMetadataCache>,
    /// Read in the order of [`ORDER`], each file by itself.
    in_order: bool,
    /// The same with texts as views, once it was asked for.
    viewed: OnceLock<Arc<Self>>,
}

impl Files {
    /// What a table is now. Files that `before` knows are not looked at again.
    pub(crate) fn of(
        table: &DeltaTable,
        before: Option<&Self>,
        metadata: &Arc<FileMetadataCache>,
    ) -> std::result::Result<Self, DeltaTableError> {
        let snapshot = table.snapshot()?;
        let arrow = snapshot.snapshot().arrow_schema();
        let in_file = |field: &&FieldRef| field.name() != MONTH;
        let fields: Vec<FieldRef> = arrow.fields().iter().filter(in_file).cloned().collect();
        let month: Vec<FieldRef> = match arrow.column_with_name(MONTH) {
            Some(_) => vec![Arc::new(Field::new(MONTH, DataType::Utf8, true))],
            None => Vec::new(),
        };
        let schema = TableSchema::builder(Arc::new(arrow_schema::Schema::new(fields)));
        let schema = schema.with_table_partition_cols(month).build();
        let log_store = table.log_store();
        let (url, root) = place_of(log_store.root_url())?;
        // Another schema makes other statistics of the same file.
        let before = before.filter(|before| before.schema.table_schema() == schema.table_schema());
        let mut files = HashMap::new();
        for file in snapshot.log_data() {
            let path = file.object_store_path();
            let known = before.and_then(|before| before.files.get(&path).cloned());
            let file = known.unwrap_or_else(|| described(&file, &root, &path, &schema));
            files.insert(path, file);
        }
        Ok(Self {
            version: table.version(),
            schema,
            url,
            store: log_store.root_object_store(None),
            root,
            files,
            metadata: metadata.clone(),
            in_order: false,
            viewed: OnceLock::new(),
        })
    }

    /// The same files with texts as views (Arrow's `Utf8View`), which point into what was decoded where
    /// others copy it: faster to compare, to group and to filter, and not what is stored or handed out.
    pub(crate) fn viewed(&self) -> Arc<Self> {
        let make = || {
            let fields = self.schema.file_schema().fields().iter().map(viewed).collect::<Vec<_>>();
            let schema = TableSchema::builder(Arc::new(arrow_schema::Schema::new(fields)));
            let schema =
                schema.with_table_partition_cols(self.schema.table_partition_cols().to_vec()).build();
            let mut files = self.files.clone();
            for file in files.values_mut() {
                let Some(statistics) = &file.statistics else { continue };
                let mut statistics = statistics.as_ref().clone();
                for column in &mut statistics.column_statistics {
                    for end in [&mut column.min_value, &mut column.max_value] {
                        *end = std::mem::take(end).map(text_as_view);
                    }
                }
                file.statistics = Some(Arc::new(statistics));
            }
            Arc::new(Self { schema, files, viewed: OnceLock::new(), ..self.clone() })
        };
        self.viewed.get_or_init(make).clone()
    }

    /// Number of files.
    pub(crate) fn count(&self) -> usize {
        self.files.len()
    }

    pub(crate) fn version(&self) -> Option<u64> {
        self.version
    }

    /// Where the store is, for a session to read from it.
    pub(crate) fn store(&self) -> (&ObjectStoreUrl, Arc<dyn ObjectStore>) {
        (&self.url, self.store.clone())
    }

    /// Tells a session where the store is, to read from it.
    pub(crate) fn known_to(&self, context: &SessionContext) {
        context.runtime_env().register_object_store(self.url.as_ref(), self.store.clone());
    }

    /// Only some rows of each file: `None` for a file of which all are.
    pub(crate) fn with_rows(mut self, rows: impl Fn(&Path) -> Option<RowSelection>) -> Self {
        for (path, file) in &mut self.files {
            let Some(selection) = rows(path) else { continue };
            if selection.row_count() == file_rows(file) {
                continue;
            }
            *file = file.clone().with_extension(ParquetRowSelection::new(selection));
            // What is known of all rows is not true of some.
            if let Some(statistics) = &file.statistics {
                file.statistics = Some(Arc::new(statistics.as_ref().clone().to_inexact()));
            }
        }
        self
    }

    /// Only these files; `in_order` reads each by itself in the order of its rows.
    pub(crate) fn only(mut self, which: impl Fn(&Path) -> bool, in_order: bool) -> Self {
        self.files.retain(|path, _| which(path));
        self.in_order = in_order;
        self
    }

    /// True when all files are sorted, and few enough to be read at once.
    pub(crate) fn can_be_in_order(&self) -> bool {
        let sorted = |path: &Path| path.filename().is_some_and(|name| name.starts_with(SORTED));
        self.files.len() <= IN_ORDER_MAX && self.files.keys().all(sorted)
    }

    /// Columns in the files, as a query names them, without records that no row has: these are in no file.
    pub(crate) async fn columns(&self) -> std::result::Result<Vec<String>, ParquetError> {
        let fields = self.schema.file_schema().fields();
        let mut held: HashSet<String> = HashSet::new();
        let one = |file: &PartitionedFile| {
            let path = file.object_meta.location.clone();
            names_in(StoredFile { store: self.store.clone(), path })
        };
        let all: Vec<_> = self.files.values().map(one).collect();
        let mut files = stream::iter(all).buffer_unordered(FOOTERS_AT_ONCE);
        while let Some(names) = files.next().await {
            held.extend(names?);
            if fields.iter().all(|field| held.contains(field.name())) {
                break;
            }
        }
        let names = fields.iter().map(|field| field.name()).filter(|name| held.contains(*name));
        Ok(names.map(|name| format!("\"{name}\"")).collect())
    }

    /// Where the files lie that may hold rows of an address.
    pub(crate) fn holding(&self, (hi, lo): (i64, i64)) -> Vec<Path> {
        let schema = self.schema.file_schema();
        let ends = |file: &PartitionedFile, name: &str| -> Option<(i64, i64)> {
            let column = &file.statistics.as_ref()?.column_statistics[schema.index_of(name).ok()?];
            match (column.min_value.get_value()?, column.max_value.get_value()?) {
                (ScalarValue::Int64(Some(least)), ScalarValue::Int64(Some(most))) => Some((*least, *most)),
                _ => None,
            }
        };
        let within =
            |ends: Option<(i64, i64)>, value: i64| ends.is_none_or(|(a, b)| a <= value && value <= b);
        let may_hold =
            |file: &&PartitionedFile| within(ends(file, ORDER[0]), hi) && within(ends(file, ORDER[1]), lo);
        self.files.values().filter(may_hold).map(|file| file.object_meta.location.clone()).collect()
    }

    /// Files in which rows may be for which all the filters are true.
    fn kept(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<PartitionedFile>> {
        let mut all: Vec<&PartitionedFile> = self.files.values().collect();
        if all.is_empty() {
            return Ok(Vec::new());
        }
        all.sort_by(|a, b| a.object_meta.location.cmp(&b.object_meta.location));
        let schema = self.schema.table_schema();
        let columns = DFSchema::try_from(schema.clone())?;
        let filter = conjunction(filters.iter().cloned());
        let filter = filter.map(|filter| state.create_physical_expr(filter, &columns)).transpose()?;
        let of_files = PruningPredicateBuilder::new().with_file_schema(schema.clone());
        let keep = match filter.and_then(|filter| of_files.build(filter)) {
            Some(predicate) => {
                let unknown = Arc::new(Statistics::new_unknown(schema));
                let known = |file: &&PartitionedFile| file.statistics.clone().unwrap_or(unknown.clone());
                let statistics: Vec<Arc<Statistics>> = all.iter().map(known).collect();
                predicate.prune(&PrunableStatistics::new(statistics, schema.clone()))?
            }
            None => vec![true; all.len()],
        };
        Ok(all.into_iter().zip(keep).filter(|(_, keep)| *keep).map(|(file, _)| file.clone()).collect())
    }

    fn order(&self) -> Result<Option<LexOrdering>> {
        let schema = self.schema.table_schema();
        let by = ORDER.iter().map(|name| col(name, schema).map(PhysicalSortExpr::new_default));
        Ok(LexOrdering::new(by.collect::<Result<Vec<_>>>()?))
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} files of {}{}", self.files.len(), self.url, self.root)
    }
}

#[async_trait]
impl TableProvider for Files {
    fn schema(&self) -> SchemaRef {
        self.schema.table_schema().clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// A filter says which files and pages to read; what it is true of is looked at again.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let files = self.kept(state, filters)?;
        let schema = self.schema.table_schema();
        // A scan of no files has no partition, and nothing can be sorted over none.
        if files.is_empty() {
            return Ok(Arc::new(EmptyExec::new(project_schema(schema, projection)?)));
        }
        let known: Vec<Arc<Statistics>> = files.iter().filter_map(|file| file.statistics.clone()).collect();
        let statistics = match known.len() == files.len() {
            true => Statistics::try_merge_iter(known.iter().map(AsRef::as_ref), schema)?,
            false => Statistics::new_unknown(schema),
        };
        let groups = match self.in_order {
            true => files.into_iter().map(|file| FileGroup::new(vec![file])).collect(),
            false => FileGroup::new(files).split_files(state.config().target_partitions()),
        };
        let options = state.config_options().execution.parquet.clone();
        let readers = CachedParquetFileReaderFactory::new(self.store.clone(), self.metadata.clone());
        let source = ParquetSource::new(self.schema.clone())
            .with_table_parquet_options(datafusion::common::config::TableParquetOptions {
                global: options,
                ..Default::default()
            })
            .with_parquet_file_reader_factory(Arc::new(readers));
        let mut config = FileScanConfigBuilder::new(self.url.clone(), Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit);
        if self.in_order
            && let Some(order) = self.order()?
        {
            config = config.with_output_ordering(vec![order]);
        }
        Ok(DataSourceExec::from_data_source(config.build()))
    }
}

/// Where the store of a location is, and where the location is in it.
pub(crate) fn place_of(location: &Url) -> std::result::Result<(ObjectStoreUrl, Path), DeltaTableError> {
    let store = ObjectStoreUrl::parse(format!("{}://{}", location.scheme(), location.authority()))
        .map_err(|error| DeltaTableError::generic(error.to_string()))?;
    let path = Path::from_url_path(location.path()).map_err(ObjectStoreError::from)?;
    Ok((store, path))
}

/// Names of the columns that a file has.
async fn names_in(mut file: StoredFile) -> std::result::Result<Vec<String>, ParquetError> {
    let footer = ParquetMetaDataReader::new().load_via_suffix_and_finish(&mut file).await?;
    let columns = footer.file_metadata().schema().get_fields().iter();
    Ok(columns.map(|column| column.name().to_owned()).collect())
}

/// Number of rows, as the table tells.
fn file_rows(file: &PartitionedFile) -> usize {
    let known = file.statistics.as_ref().and_then(|statistics| statistics.num_rows.get_value().copied());
    known.unwrap_or(usize::MAX)
}

/// A file with what the table says of it.
fn described(file: &LogicalFileView, root: &Path, path: &Path, schema: &TableSchema) -> PartitionedFile {
    let location = Path::from_iter(root.parts().chain(path.parts()));
    let size = u64::try_from(file.size()).unwrap_or_default();
    let mut described = PartitionedFile::new(location.to_string(), size);
    described.object_meta.location = location;
    let values = file.partition_values_map();
    let value = |name: &str| values.get(name).cloned().flatten();
    let months = schema.table_partition_cols().len();
    described.partition_values = vec![ScalarValue::Utf8(value(MONTH)); months];
    let told: Told = file.stats().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let Some(rows) = file.num_records() else { return described };
    let column = |field: &FieldRef| match values.get(field.name()) {
        // Columns by which files are kept apart have one value a file.
        Some(Some(value)) => ColumnStatistics {
            null_count: Precision::Exact(0),
            max_value: Precision::Exact(ScalarValue::Utf8(Some(value.clone()))),
            min_value: Precision::Exact(ScalarValue::Utf8(Some(value.clone()))),
            ..ColumnStatistics::new_unknown()
        },
        _ => told.column(field),
    };
    let column_statistics = schema.file_schema().fields().iter().map(column).collect();
    described.with_statistics(Arc::new(Statistics {
        num_rows: Precision::Exact(rows),
        total_byte_size: Precision::Inexact(file.size().unsigned_abs() as usize),
        column_statistics,
    }))
}

/// What a table says of the columns of a file (Delta protocol, "Per-file Statistics").
#[derive(Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Told {
    min_values: HashMap<String, serde_json::Value>,
    max_values: HashMap<String, serde_json::Value>,
    null_count: HashMap<String, serde_json::Value>,
}

impl Told {
    fn column(&self, field: &Field) -> ColumnStatistics {
        let exact = |values: &HashMap<String, serde_json::Value>| match values
            .get(field.name())
            .and_then(|value| scalar(value, field.data_type()))
        {
            Some(value) => Precision::Exact(value),
            None => Precision::Absent,
        };
        let nulls = self.null_count.get(field.name()).and_then(serde_json::Value::as_u64);
        ColumnStatistics {
            null_count: nulls.map_or(Precision::Absent, |count| Precision::Exact(count as usize)),
            max_value: exact(&self.max_values),
            min_value: exact(&self.min_values),
            ..ColumnStatistics::new_unknown()
        }
    }
}

/// The field with texts as views. Texts inside of structs stay as they are.
fn viewed(field: &FieldRef) -> FieldRef {
    match field.data_type() {
        DataType::Utf8 => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8View)),
        _ => field.clone(),
    }
}

fn text_as_view(value: ScalarValue) -> ScalarValue {
    match value {
        ScalarValue::Utf8(text) => ScalarValue::Utf8View(text),
        other => other,
    }
}

fn scalar(value: &serde_json::Value, data_type: &DataType) -> Option<ScalarValue> {
    match data_type {
        DataType::Int64 => Some(ScalarValue::Int64(Some(value.as_i64()?))),
        DataType::Int32 => Some(ScalarValue::Int32(Some(value.as_i64()?.try_into().ok()?))),
        DataType::Boolean => Some(ScalarValue::Boolean(Some(value.as_bool()?))),
        DataType::Utf8 => {
            let text = value.as_str().filter(|text| text.len() <= TEXT_MAX)?;
            Some(ScalarValue::Utf8(Some(text.to_owned())))
        }
        _ => None,
    }
}

/// A selection of the rows at which `rows` is true.
pub(crate) fn selection(rows: &datafusion::arrow::buffer::BooleanBuffer) -> RowSelection {
    RowSelection::from_filters(&[BooleanArray::new(rows.clone(), None)])
}
