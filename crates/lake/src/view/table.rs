//! The current view as SQL reads it: from the columns in memory, where the search has them too.
//!
//! Texts are codes there, so a condition on a text is decided once a text and not once a row; rows are
//! sorted by address, so a condition on addresses passes over whole blocks, and parts that run at once are
//! ranges of addresses: whoever groups by host groups once. What is decided here only leaves rows out that
//! cannot hold: every condition is looked at again above, as it is over files.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow_schema::{DataType, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Column as Named, DFSchema, ScalarValue, SplitPoint, Statistics, exec_err};
use datafusion::datasource::TableType;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown};
use datafusion::physical_expr::expressions::col;
use datafusion::physical_expr::{
    EquivalenceProperties, LexOrdering, Partitioning, PhysicalExpr, PhysicalSortExpr, RangePartitioning,
};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput,
};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use kenshin_observation::schema::{ServiceRow, Table};

use super::View;
use super::column::Column;
use crate::files::Files;
use crate::sight;
use crate::write::workers;

/// Rows whose addresses are looked at together, to pass over them.
const BLOCK_ROWS: usize = 1 << 13;
/// Most columns that are read into memory for one query: one that wants more reads rows, not columns.
const NEW_COLUMNS_MAX: usize = 8;
/// The columns of an address, by which rows are sorted.
const ADDR: [&str; 2] = ["addr_hi", "addr_lo"];
/// By what the rows of one run are sorted.
const ORDER: [&str; 3] = ["addr_hi", "addr_lo", "port"];

/// Columns of the view, with names that last.
static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(ServiceRow::schema);

/// The current view: columns in memory as far as they find room there, files for the rest.
pub(crate) struct Current {
    pub(crate) view: Arc<View>,
    /// Its files, of each the rows that hold.
    pub(crate) files: Arc<Files>,
    /// Most bytes of memory that columns may take.
    pub(crate) most_bytes: usize,
}

impl Current {
    /// The names of columns, when the view has all of them, as they are read here, and room.
    async fn names(&self, places: &[usize]) -> Result<Option<Vec<&'static str>>> {
        let schema = self.schema();
        let mut names = Vec::new();
        for place in places {
            let field = schema.field(*place);
            let Some((_, known)) = SCHEMA.column_with_name(field.name()) else { return Ok(None) };
            let as_read = match known.data_type() {
                DataType::Utf8 => &DataType::Utf8View,
                other => other,
            };
            if field.data_type() != as_read {
                return Ok(None);
            }
            names.push(known.name().as_str());
        }
        let (mut bytes, mut new) = (0, 0);
        for segment in self.view.segments() {
            let (columns, lacks) = segment.lacks(&names).await.map_err(outside)?;
            bytes += segment.held_bytes() + lacks;
            new = new.max(columns);
        }
        Ok((bytes <= self.most_bytes && new <= NEW_COLUMNS_MAX).then_some(names))
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} runs in memory", self.view.runs())
    }
}

#[async_trait]
impl TableProvider for Current {
    fn schema(&self) -> SchemaRef {
        self.files.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

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
        let schema = self.schema();
        let wanted = projection.map_or_else(|| (0..schema.fields().len()).collect(), Clone::clone);
        // Addresses tell blocks and parts, whoever wants to see them.
        let mut read = wanted.clone();
        for name in ADDR.into_iter().map(str::to_owned).chain(filters.iter().flat_map(columns_of)) {
            let place = schema.index_of(&name)?;
            if !read.contains(&place) {
                read.push(place);
            }
        }
        let Some(names) = self.names(&read).await? else {
            return self.files.scan(state, projection, filters, limit).await;
        };
        let place = |name: &str| names.iter().position(|read| *read == name);
        let (Some(hi), Some(lo)) = (place(ADDR[0]), place(ADDR[1])) else {
            return exec_err!("the view has addresses");
        };
        let mut runs = Vec::new();
        for (segment, live) in self.view.segments().iter().zip(&self.view.live) {
            let columns = segment.columns(&names).await.map_err(outside)?;
            let blocks = Blocks::of(columns[hi].longs(), columns[lo].longs());
            let may_hold = blocks.pruned(state, filters)?;
            let live = (live.count_set_bits() < live.len()).then(|| live.clone());
            runs.push(Run { rows: segment.rows(), columns, live, may_hold, addr: (hi, lo) });
        }
        let read_schema = Arc::new(schema.project(&read)?);
        let mut tests = Vec::new();
        for filter in filters {
            tests.extend(Test::of(filter, state, &read_schema, &runs).await?);
        }
        let schema = Arc::new(schema.project(&wanted)?);
        Ok(Arc::new(InMemory::new(runs, tests, schema, state.config().target_partitions())?))
    }
}

/// The columns that a condition names.
fn columns_of(filter: &Expr) -> Vec<String> {
    filter.column_refs().into_iter().map(|column| column.name.clone()).collect()
}

/// A run of the view, with the columns that a query reads.
struct Run {
    rows: usize,
    columns: Vec<Arc<Column>>,
    /// Which rows hold; none when all do.
    live: Option<BooleanBuffer>,
    /// Blocks in which rows may be that are asked for; none when nothing is known of that.
    may_hold: Option<Vec<bool>>,
    /// Which of the columns are the halves of an address.
    addr: (usize, usize),
}

impl Run {
    fn addr(&self, row: usize) -> (i64, i64) {
        (self.columns[self.addr.0].longs()[row], self.columns[self.addr.1].longs()[row])
    }

    /// The first row whose address is not before this one.
    fn from(&self, addr: (i64, i64)) -> usize {
        let (mut low, mut high) = (0, self.rows);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.addr(middle) < addr { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// Which of these rows, all of one block, hold and pass; none when all do.
    fn passing(&self, number: usize, rows: &Range<usize>, tests: &[Test]) -> Result<Option<BooleanBuffer>> {
        let mut passing = self.live.as_ref().map(|live| live.slice(rows.start, rows.len()));
        for test in tests {
            let passes = test.rows(self, number, rows)?;
            passing = Some(passing.map_or(passes.clone(), |before| &before & &passes));
        }
        Ok(passing.filter(|passing| passing.count_set_bits() < passing.len()))
    }
}

/// Least and greatest addresses of blocks of rows.
struct Blocks {
    hi: (Vec<i64>, Vec<i64>),
    lo: (Vec<i64>, Vec<i64>),
}

impl Blocks {
    fn of(hi: &[i64], lo: &[i64]) -> Self {
        let mut blocks = Self { hi: Default::default(), lo: Default::default() };
        for (hi, lo) in hi.chunks(BLOCK_ROWS).zip(lo.chunks(BLOCK_ROWS)) {
            let [least, most] = [hi[0], hi[hi.len() - 1]];
            blocks.hi.0.push(least);
            blocks.hi.1.push(most);
            // Rows are sorted, so low halves are where the high ones are the same.
            let ends = match least == most {
                true => (lo[0], lo[lo.len() - 1]),
                false => lo.iter().fold((i64::MAX, i64::MIN), |(a, b), lo| (a.min(*lo), b.max(*lo))),
            };
            blocks.lo.0.push(ends.0);
            blocks.lo.1.push(ends.1);
        }
        blocks
    }

    /// Which blocks may hold rows for which conditions on addresses are true.
    fn pruned(&self, state: &dyn Session, filters: &[Expr]) -> Result<Option<Vec<bool>>> {
        let of_addr = |filter: &&Expr| {
            let named = columns_of(filter);
            !named.is_empty() && named.iter().all(|name| ADDR.contains(&name.as_str()))
        };
        let Some(filter) = conjunction(filters.iter().filter(of_addr).cloned()) else { return Ok(None) };
        let fields: Vec<_> = ADDR
            .iter()
            .map(|name| SCHEMA.field_with_name(name).cloned())
            .collect::<std::result::Result<_, _>>()?;
        let schema = Arc::new(Schema::new(fields));
        let filter = state.create_physical_expr(filter, &DFSchema::try_from(schema.clone())?)?;
        match PruningPredicateBuilder::new().with_file_schema(schema).build(filter) {
            Some(predicate) => predicate.prune(self).map(Some),
            None => Ok(None),
        }
    }

    fn of_column(&self, column: &Named) -> Option<&(Vec<i64>, Vec<i64>)> {
        [&self.hi, &self.lo]
            .into_iter()
            .zip(ADDR)
            .find(|(_, name)| *name == column.name)
            .map(|(ends, _)| ends)
    }
}

impl PruningStatistics for Blocks {
    fn min_values(&self, column: &Named) -> Option<ArrayRef> {
        Some(Arc::new(Int64Array::from(self.of_column(column)?.0.clone())))
    }

    fn max_values(&self, column: &Named) -> Option<ArrayRef> {
        Some(Arc::new(Int64Array::from(self.of_column(column)?.1.clone())))
    }

    fn num_containers(&self) -> usize {
        self.hi.0.len()
    }

    fn null_counts(&self, _: &Named) -> Option<ArrayRef> {
        None
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        None
    }

    fn contained(
        &self,
        _: &Named,
        _: &std::collections::HashSet<ScalarValue>,
    ) -> Option<arrow_array::BooleanArray> {
        None
    }
}

/// A condition as it is decided here: true where a row may be one for which it holds.
enum Test {
    /// On a column of texts: of each run, for which codes it holds.
    Texts {
        column: usize,
        accepted: Vec<BooleanBuffer>,
    },
    /// On a column of numbers.
    Numbers {
        column: usize,
        schema: SchemaRef,
        condition: Arc<dyn PhysicalExpr>,
    },
    All(Vec<Test>),
    Any(Vec<Test>),
}

impl Test {
    /// What can be decided of a condition here; nothing of one that might fail, or that asks about two
    /// columns at once.
    async fn of(
        filter: &Expr,
        state: &dyn Session,
        schema: &SchemaRef,
        runs: &[Run],
    ) -> Result<Option<Self>> {
        if let Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) = filter
        {
            let left = Box::pin(Self::of(left, state, schema, runs)).await?;
            let right = Box::pin(Self::of(right, state, schema, runs)).await?;
            return Ok(match (op, left, right) {
                (Operator::And, Some(left), Some(right)) => Some(Self::All(vec![left, right])),
                (Operator::And, left, right) => left.or(right),
                (_, Some(left), Some(right)) => Some(Self::Any(vec![left, right])),
                _ => None,
            });
        }
        let [name] = &columns_of(filter)[..] else { return Ok(None) };
        if !sight::cannot_fail(filter) {
            return Ok(None);
        }
        let column = schema.index_of(name)?;
        // Among the texts of any column there is null.
        let schema = Arc::new(Schema::new(vec![schema.field(column).clone().with_nullable(true)]));
        let condition = state.create_physical_expr(filter.clone(), &DFSchema::try_from(schema.clone())?)?;
        if schema.field(0).data_type() != &DataType::Utf8View {
            return Ok(Some(Self::Numbers { column, schema, condition }));
        }
        let mut accepted = Vec::new();
        for run in runs {
            accepted.push(accepted_texts(&run.columns[column], &schema, &condition).await?);
        }
        Ok(Some(Self::Texts { column, accepted }))
    }

    /// Of which of these rows it may hold.
    fn rows(&self, run: &Run, number: usize, rows: &Range<usize>) -> Result<BooleanBuffer> {
        match self {
            Self::Texts { column, accepted } => {
                let codes = &run.columns[*column].texts().codes[rows.clone()];
                let accepted = &accepted[number];
                Ok(BooleanBuffer::collect_bool(codes.len(), |row| accepted.value(codes[row] as usize)))
            }
            Self::Numbers { column, schema, condition } => {
                holds(schema, condition, run.columns[*column].array(rows.clone())?)
            }
            Self::All(parts) | Self::Any(parts) => {
                let mut each = parts.iter().map(|part| part.rows(run, number, rows));
                let first = each.next().unwrap_or_else(|| Ok(BooleanBuffer::new_set(rows.len())))?;
                each.try_fold(first, |before, part| match self {
                    Self::Any(_) => Ok(&before | &part?),
                    _ => Ok(&before & &part?),
                })
            }
        }
    }
}

/// For which texts of a column a condition is true, by code; decided by all processors.
async fn accepted_texts(
    column: &Arc<Column>,
    schema: &SchemaRef,
    condition: &Arc<dyn PhysicalExpr>,
) -> Result<BooleanBuffer> {
    let texts = column.texts().dictionary.viewed().clone();
    let piece = texts.len().div_ceil(workers()).max(BLOCK_ROWS);
    let pieces = (0..texts.len()).step_by(piece).map(|from| {
        let (texts, schema, condition) = (texts.clone(), schema.clone(), condition.clone());
        let until = (from + piece).min(texts.len());
        SpawnedTask::spawn_blocking(move || {
            let mut accepted = datafusion::arrow::array::BooleanBufferBuilder::new(until - from);
            for from in (from..until).step_by(BLOCK_ROWS) {
                let block = texts.slice(from, BLOCK_ROWS.min(until - from));
                accepted.append_buffer(&holds(&schema, &condition, Arc::new(block))?);
            }
            Ok::<_, DataFusionError>(accepted.finish())
        })
    });
    let mut accepted = datafusion::arrow::array::BooleanBufferBuilder::new(texts.len());
    for piece in pieces.collect::<Vec<_>>() {
        accepted.append_buffer(
            &piece.join_unwind().await.map_err(|error| DataFusionError::External(error.into()))??,
        );
    }
    Ok(accepted.finish())
}

/// For which values of a column a condition is true, and neither false nor null.
fn holds(schema: &SchemaRef, condition: &Arc<dyn PhysicalExpr>, values: ArrayRef) -> Result<BooleanBuffer> {
    let rows = values.len();
    let batch = RecordBatch::try_new(schema.clone(), vec![values])?;
    let found = condition.evaluate(&batch)?.into_array(rows)?;
    let found = datafusion::common::cast::as_boolean_array(&found)?;
    Ok(match found.nulls() {
        Some(nulls) => found.values() & nulls.inner(),
        None => found.values().clone(),
    })
}

/// Rows of the view in memory, in parts by address.
struct InMemory {
    scan: Arc<Scan>,
    /// Of each part, its rows in each run.
    parts: Vec<Vec<Range<usize>>>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

/// What is read, and of what.
struct Scan {
    runs: Vec<Run>,
    tests: Vec<Test>,
    /// Of the columns that are read those that are handed out, which are the first.
    schema: SchemaRef,
}

impl InMemory {
    fn new(runs: Vec<Run>, tests: Vec<Test>, schema: SchemaRef, parts: usize) -> Result<Self> {
        let splits = splits(&runs, parts);
        let ends: Vec<Vec<usize>> =
            splits.iter().map(|addr| runs.iter().map(|run| run.from(*addr)).collect()).collect();
        let first = vec![0; runs.len()];
        let last: Vec<usize> = runs.iter().map(|run| run.rows).collect();
        let edges: Vec<&Vec<usize>> = std::iter::once(&first).chain(&ends).chain([&last]).collect();
        let part = |pair: &[&Vec<usize>]| pair[0].iter().zip(pair[1]).map(|(from, to)| *from..*to).collect();
        let parts = edges.windows(2).map(part).collect();

        let sorted = |names: &[&str]| -> Option<LexOrdering> {
            let by =
                names.iter().map_while(|name| col(name, &schema).ok().map(PhysicalSortExpr::new_default));
            LexOrdering::new(by)
        };
        let by_addr = sorted(&ADDR).filter(|order| order.len() == ADDR.len());
        let partitioning = match by_addr.filter(|_| !splits.is_empty()) {
            Some(order) => {
                let value = |half: i64| ScalarValue::Int64(Some(half));
                let points = splits.iter().map(|(hi, lo)| SplitPoint::new(vec![value(*hi), value(*lo)]));
                Partitioning::Range(RangePartitioning::try_new(order, points.collect())?)
            }
            None => Partitioning::UnknownPartitioning(splits.len() + 1),
        };
        let mut equivalence = EquivalenceProperties::new(schema.clone());
        // Several runs follow each other, each in its own order.
        if let (1, Some(order)) = (runs.len(), sorted(&ORDER)) {
            equivalence.add_ordering(order);
        }
        let properties =
            PlanProperties::new(equivalence, partitioning, EmissionType::Incremental, Boundedness::Bounded);
        let scan = Arc::new(Scan { runs, tests, schema });
        Ok(Self { scan, parts, properties: Arc::new(properties), metrics: ExecutionPlanMetricsSet::new() })
    }
}

/// Addresses at which rows are parted: as many on each side as there are.
fn splits(runs: &[Run], parts: usize) -> Vec<(i64, i64)> {
    let Some(greatest) = runs.iter().max_by_key(|run| run.rows).filter(|run| run.rows > 0) else {
        return Vec::new();
    };
    let mut splits: Vec<(i64, i64)> =
        (1..parts).map(|part| greatest.addr(greatest.rows * part / parts)).collect();
    splits.dedup();
    splits
}

impl Scan {
    /// Rows of one block that hold and pass; none when there is none.
    fn batch(&self, number: usize, rows: Range<usize>) -> Result<Option<RecordBatch>> {
        let run = &self.runs[number];
        let passing = run.passing(number, &rows, &self.tests)?;
        let found = passing.as_ref().map_or(rows.len(), BooleanBuffer::count_set_bits);
        if found == 0 {
            return Ok(None);
        }
        let columns = run.columns[..self.schema.fields().len()].iter();
        let columns: Vec<ArrayRef> = match passing {
            None => {
                columns.map(|column| column.array(rows.clone())).collect::<std::result::Result<_, _>>()?
            }
            Some(passing) => {
                let positions = UInt32Array::from_iter_values(passing.set_indices_u32());
                let gathered = columns.map(|column| column.gathered(rows.clone(), &positions));
                gathered.collect::<std::result::Result<_, _>>()?
            }
        };
        let options = RecordBatchOptions::new().with_row_count(Some(found));
        Ok(Some(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?))
    }
}

/// The blocks of rows that may hold what is asked for.
fn blocks(run: &Run, rows: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let first = rows.start / BLOCK_ROWS;
    let blocks = first..rows.end.div_ceil(BLOCK_ROWS).max(first);
    let may_hold = run.may_hold.clone();
    blocks
        .filter(move |block| may_hold.as_ref().is_none_or(|may_hold| may_hold[*block]))
        .map(move |block| rows.start.max(block * BLOCK_ROWS)..rows.end.min((block + 1) * BLOCK_ROWS))
}

impl fmt::Debug for InMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as(DisplayFormatType::Default, f)
    }
}

impl fmt::Debug for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} runs", self.runs.len())
    }
}

impl DisplayAs for InMemory {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.scan.schema.fields().iter().map(|field| field.name().as_str()).collect();
        let (runs, parts) = (self.scan.runs.len(), self.parts.len());
        write!(f, "InMemory: runs={runs}, parts={parts}, columns=[{}]", names.join(", "))
    }
}

impl ExecutionPlan for InMemory {
    fn name(&self) -> &str {
        "InMemory"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match children.is_empty() {
            true => Ok(self),
            false => exec_err!("InMemory has no input"),
        }
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let scan = self.scan.clone();
        let runs = self.parts[partition].clone().into_iter().enumerate();
        let ahead: Vec<(usize, Range<usize>)> = runs
            .flat_map(|(number, rows)| blocks(&scan.runs[number], rows).map(move |rows| (number, rows)))
            .collect();
        let batches = ahead.into_iter().filter_map(move |(number, rows)| {
            let _timer = metrics.elapsed_compute().timer();
            scan.batch(number, rows).transpose().map(|batch| batch.record_output(&metrics))
        });
        let schema = self.scan.schema.clone();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::iter(batches))))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn statistics_from_inputs(
        &self,
        _: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.scan.schema);
        let whole = self.scan.tests.is_empty() && self.scan.runs.iter().all(|run| run.may_hold.is_none());
        if args.partition().is_none() {
            let rows = |run: &Run| run.live.as_ref().map_or(run.rows, BooleanBuffer::count_set_bits);
            let rows = self.scan.runs.iter().map(rows).sum();
            statistics.num_rows = if whole { Precision::Exact(rows) } else { Precision::Inexact(rows) };
        }
        Ok(Arc::new(statistics))
    }
}

fn outside(error: crate::LakeError) -> DataFusionError {
    DataFusionError::External(error.into())
}
