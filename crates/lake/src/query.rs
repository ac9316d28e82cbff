//! SQL: read-only, within limits.

mod answer;
pub(crate) mod growth;
mod size;

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{ArrowError, DataType, FieldRef, Schema, SchemaRef};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::catalog::TableProvider;
use datafusion::error::DataFusionError;
use datafusion::execution::cache::cache_manager::CacheManagerConfig;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::memory_pool::{GreedyMemoryPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{FunctionRegistry, SendableRecordBatchStream};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{EmptyRecordBatchStream, ExecutionPlan, execute_stream};
use datafusion::prelude::{SessionConfig, SessionContext};
use deltalake::Path;
use futures::{Stream, StreamExt, TryStreamExt};
use kenshin_observation::schema::{ObservationRow, ServiceRow, Table};
use tokio::time::Instant;
use url::Url;

pub use self::answer::{Answer, Format};
use crate::annex::{Annex, Annexed, Unread};
use crate::cluster;
use crate::error::LakeError;
use crate::files::{Files, selection};
use crate::functions::{self, Places};
use crate::sight::in_sight;
use crate::store::Lake;
use crate::view::{Current, Sight};
use crate::write::workers;

/// Bytes of an answer by workers that are held until the first of them is given out: as long as none is, it
/// can be sought anew without any being given twice.
const HELD_BYTES: usize = 64 << 20;

/// Limits of one query.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most rows of an answer; one more is an error, never a silent cut.
    pub rows: usize,
    /// Most bytes of memory for the operators.
    pub memory_bytes: usize,
    /// Longest time.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { rows: 1_000_000, memory_bytes: 1 << 30, time: Duration::from_secs(300) }
    }
}

/// The tables as they are read: with addresses and instants in a readable form.
const VIEWS: &[(&str, &str)] = &[
    (
        "observations",
        "SELECT *, ip_text(subject_addr_hi, subject_addr_lo) AS subject_addr, \
         ip_text(vantage_addr_hi, vantage_addr_lo) AS vantage_addr, to_timestamp_micros(t_us) AS t FROM stored.observations",
    ),
    ("coverage", "SELECT * FROM stored.coverage"),
    ("batches", "SELECT * FROM stored.batches"),
    ("blobs", "SELECT * FROM stored.blobs"),
    ("salts", "SELECT * FROM stored.salts"),
    ("erasures", "SELECT * FROM stored.erasures"),
    ("services", "SELECT *, ip_text(addr_hi, addr_lo) AS addr FROM stored.services"),
];

/// A query, who asks it, and what it may take.
#[derive(Debug, Clone)]
pub struct Question {
    /// SQL.
    pub sql: String,
    /// What may be seen. Rows out of sight are taken away where tables are read, before any operator.
    pub sight: Sight,
    /// Limits.
    pub limits: Limits,
    /// What the functions `asn`, `as_name`, `country` and `region` answer by; without it, nothing.
    pub places: Option<Arc<dyn Places>>,
    /// Tables that are kept elsewhere, as far as whoever asks may see them.
    pub annexes: Vec<Arc<dyn Annex>>,
}

/// Least number of parts of a query that run at once: as many as there are processors.
const PARTS_MIN: usize = 2;

/// Rows that answer a query, as they are found: within the limits of the question, and not one more.
pub struct Rows {
    /// Columns.
    pub schema: SchemaRef,
    stream: SendableRecordBatchStream,
    /// Found, and not given out yet.
    held: VecDeque<RecordBatch>,
    /// Workers have a part in it.
    divided: bool,
    found: usize,
    limits: Limits,
    until: Instant,
}

impl Rows {
    /// True when workers have a part in the answer.
    pub fn is_divided(&self) -> bool {
        self.divided
    }

    /// The next of them; none behind the last. A limit is told before the row above it.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, LakeError> {
        let batch = match self.held.pop_front() {
            Some(batch) => batch,
            None => match self.pull().await {
                Ok(Some(batch)) => batch,
                Ok(None) => return Ok(None),
                Err(limit @ LakeError::Limit { .. }) => return Err(limit),
                Err(error) if self.divided => return Err(LakeError::Worker(error.into())),
                Err(error) => return Err(error),
            },
        };
        let batch = handed_out(&batch, &self.schema)?;
        self.found += batch.num_rows();
        if self.found > self.limits.rows {
            return Err(LakeError::Limit { limit: self.limits.rows as u64, unit: "rows" });
        }
        Ok(Some(batch))
    }

    async fn pull(&mut self) -> Result<Option<RecordBatch>, LakeError> {
        match tokio::time::timeout_at(self.until, self.stream.next()).await {
            Ok(batch) => batch.transpose().map_err(running),
            Err(_) => Err(out_of_time(self.limits)),
        }
    }

    /// Finds the whole answer, or as much of it as is held.
    async fn hold(&mut self) -> Result<(), LakeError> {
        let (mut bytes, mut rows) = (0, 0);
        while bytes < HELD_BYTES && rows <= self.limits.rows {
            let Some(batch) = self.pull().await? else {
                self.stream = Box::pin(EmptyRecordBatchStream::new(self.schema.clone()));
                break;
            };
            bytes += batch.get_array_memory_size();
            rows += batch.num_rows();
            self.held.push_back(batch);
        }
        Ok(())
    }
}

impl Lake {
    /// Answers a query that may see everything: [`Self::ask`].
    pub async fn query(&self, sql: &str, limits: Limits) -> Result<Answer, LakeError> {
        self.ask(&Question {
            sql: sql.to_owned(),
            sight: Sight::All,
            limits,
            places: None,
            annexes: Vec::new(),
        })
        .await
    }

    /// Answers a read-only SQL query over the tables `observations`, `coverage`, `batches`, `blobs`,
    /// `salts`, `erasures` and `services`, the current view. `observations` also has the readable columns
    /// `subject_addr`, `vantage_addr` and `t`; functions are listed in docs/sql.md. The question may bring
    /// further tables ([`Annex`]).
    ///
    /// Who sees some addresses alone has the tables about addresses and no other, and no `EXPLAIN`, which
    /// tells of files that hold the rows of others too.
    pub async fn ask(&self, question: &Question) -> Result<Answer, LakeError> {
        let mut rows = self.answer(question).await?;
        let (mut batches, mut bytes) = (Vec::new(), 0);
        while let Some(batch) = rows.next().await? {
            // Batches may be parts of one: each counts what is its own.
            let own = |column: &ArrayRef| column.to_data().get_slice_memory_size();
            bytes += batch.columns().iter().filter_map(|column| own(column).ok()).sum::<usize>();
            if bytes > question.limits.memory_bytes {
                return Err(LakeError::Limit { limit: question.limits.memory_bytes as u64, unit: "bytes" });
            }
            batches.push(batch);
        }
        Ok(Answer { schema: rows.schema, batches })
    }

    /// The same, batch by batch as they are found. Dropping the rows ends the work.
    ///
    /// With workers, the answer is sought anew when one breaks off: by those that are left, and by this
    /// process in the end. Only behind the first 64 MiB, of which some were given out, that is an error.
    pub async fn answer(&self, question: &Question) -> Result<Rows, LakeError> {
        let until = from_now(question.limits);
        let Some(cluster) = &self.cluster else { return self.seek(question, &[], until).await };
        let fit = tokio::time::timeout_at(until, cluster.fit()).await;
        let mut workers = fit.map_err(|_| out_of_time(question.limits))?;
        loop {
            let (failed, left) = match self.seek(question, &workers, until).await {
                Ok(rows) if !rows.divided => return Ok(rows),
                Ok(mut rows) => match rows.hold().await {
                    Ok(()) => return Ok(rows),
                    Err(failed) => (failed, cluster.still_fit(&workers).await),
                },
                // Whether it is the question or its division that is no good is found without workers.
                Err(failed) => (failed, Vec::new()),
            };
            if workers.is_empty() || matches!(failed, LakeError::Limit { .. }) {
                return Err(failed);
            }
            // Where nobody is missing, it is this question that they cannot answer.
            workers = if left.len() < workers.len() { left } else { Vec::new() };
            tracing::info!(%failed, workers = workers.len(), "a question is asked anew");
        }
    }

    /// Begins to answer, with the help of these workers.
    async fn seek(&self, question: &Question, workers: &[Url], until: Instant) -> Result<Rows, LakeError> {
        let (context, plan) = self.plan(question, workers, until).await?;
        let (schema, divided) = (as_handed_out(&plan.schema()), cluster::is_divided(&plan));
        let stream = execute_stream(plan, context.task_ctx()).map_err(running)?;
        Ok(Rows { schema, stream, held: VecDeque::new(), divided, found: 0, limits: question.limits, until })
    }

    /// Columns of the answer, which is not sought.
    pub async fn columns(&self, question: &Question) -> Result<SchemaRef, LakeError> {
        let (_, plan) = self.plan(question, &[], from_now(question.limits)).await?;
        Ok(as_handed_out(&plan.schema()))
    }

    /// The tables that `sight` has, with their columns, by name.
    pub async fn tables(&self, sight: &Sight) -> Result<Vec<(&'static str, SchemaRef)>, LakeError> {
        let context = self.context(Limits::default())?;
        let mut tables = Vec::new();
        for (name, select) in VIEWS {
            if register(&context, name, self.files_of(name, sight).await?.viewed(), sight)? {
                let frame = context.sql(select).await.map_err(planning)?;
                tables.push((*name, as_handed_out(frame.schema().as_arrow())));
            }
        }
        tables.sort_unstable_by_key(|(name, _)| *name);
        Ok(tables)
    }

    /// The files of a table; of the current view those of the extent that is seen.
    async fn files_of(&self, name: &'static str, sight: &Sight) -> Result<Arc<Files>, LakeError> {
        match name == ServiceRow::NAME {
            true => Ok(self.files_and_view(&*self.view_seen(sight).await?).await?.0),
            false => self.files(name).await,
        }
    }

    /// What is to be done to answer, once it is known that it may be.
    async fn plan(
        &self,
        question: &Question,
        workers: &[Url],
        until: Instant,
    ) -> Result<(SessionContext, Arc<dyn ExecutionPlan>), LakeError> {
        let planned = tokio::time::timeout_at(until, self.planned(question, workers)).await;
        planned.unwrap_or_else(|_| Err(out_of_time(question.limits)))
    }

    async fn planned(
        &self,
        question: &Question,
        workers: &[Url],
    ) -> Result<(SessionContext, Arc<dyn ExecutionPlan>), LakeError> {
        let limits = question.limits;
        let mut context = self.context(limits)?;
        let share = growth::Share::usual();
        for function in growth::within(&context.state(), &share) {
            context.register_udf(function);
        }
        let rewrite = growth::Rewrite::of(&context.state()).map_err(planning)?;
        context.register_function_rewrite(Arc::new(rewrite)).map_err(planning)?;
        functions::of_places(question.places.as_ref()).for_each(|function| context.register_udf(function));
        // Only what is named is looked at.
        let named = size::named(&context, &question.sql)?;
        let annexes = || question.annexes.iter().filter(|annex| named.contains(annex.name()));
        // Workers have the lake's files and nothing else.
        let cluster = self.cluster.as_ref().filter(|_| !workers.is_empty() && annexes().next().is_none());
        if let Some(cluster) = cluster {
            let places = question.places.as_deref().map(Places::edition);
            context = cluster.divided(&context, workers, places).map_err(planning)?;
        }
        for annex in annexes() {
            context.register_table(annex.name(), Arc::new(Annexed(annex.clone()))).map_err(planning)?;
        }
        for (name, select) in VIEWS.iter().filter(|(name, _)| named.contains(*name)) {
            if self.register(&context, name, &question.sight, cluster.is_some()).await? {
                context.sql(&format!("CREATE VIEW {name} AS {select}")).await.map_err(planning)?;
            }
        }
        let options =
            SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        let frame = context.sql_with_options(&question.sql, options).await.map_err(planning)?;
        let explains = matches!(frame.logical_plan(), LogicalPlan::Explain(_) | LogicalPlan::Analyze(_));
        if explains && question.sight != Sight::All {
            let message =
                "EXPLAIN is for those who see every row: plans tell of files that hold others' rows";
            return Err(LakeError::Query { message: message.to_owned() });
        }
        let found = size::put_together(frame.logical_plan())?;
        share.divide(limits.memory_bytes, found.growing, found.reads);
        let parameters = frame.logical_plan().get_parameter_names().map_err(planning)?;
        if let Some(name) = parameters.iter().min() {
            let message = format!("the query has a parameter, `{name}`: write its value in its place");
            return Err(LakeError::Query { message });
        }
        let explain = match frame.logical_plan() {
            LogicalPlan::Explain(explain) if cluster.is_some() => Some(explain.clone()),
            _ => None,
        };
        let mut plan = frame.create_physical_plan().await.map_err(planning)?;
        if let Some(explain) = explain {
            plan = cluster::explained(&context, &explain, plan).await.map_err(planning)?;
        }
        if cluster::is_divided(&plan) && cluster::is_recursive(&plan) {
            let message = "a recursive query cannot be divided among workers".to_owned();
            return Err(LakeError::Query { message });
        }
        Ok((context, plan))
    }

    /// Rows of a query written by us over the bare tables.
    pub(crate) async fn select(&self, table: &'static str, sql: &str) -> Result<Vec<RecordBatch>, LakeError> {
        self.stream(table, sql).await?.try_collect().await
    }

    /// The same, batch by batch as they come.
    pub(crate) async fn stream(
        &self,
        table: &'static str,
        sql: &str,
    ) -> Result<impl Stream<Item = Result<RecordBatch, LakeError>> + Unpin + use<>, LakeError> {
        let context = self.context(Limits::default())?;
        for (name, _) in
            VIEWS.iter().filter(|(name, _)| *name == table || sql.contains(&format!("stored.{name} ")))
        {
            let files = self.files_of(name, &Sight::All).await?;
            // Where files lie in the order that is asked for, nothing is to be sorted.
            let in_order = *name == ObservationRow::NAME && sql.contains(" ORDER BY subject_addr_hi, ");
            let files = match in_order && files.can_be_in_order() {
                true => Arc::new(files.as_ref().clone().only(|_| true, true)),
                false => files,
            };
            register(&context, name, files, &Sight::All)?;
        }
        let read = move |source: DataFusionError| LakeError::Read { table, source: source.into() };
        let sql = sql.replace(&format!(" FROM {table} "), &format!(" FROM stored.{table} "));
        let rows = context.sql(&sql).await.map_err(read)?.execute_stream().await.map_err(read)?;
        Ok(rows.map_err(read))
    }

    /// A session without tables.
    pub(crate) fn context(&self, limits: Limits) -> Result<SessionContext, LakeError> {
        let pool = TrackConsumersPool::new(
            GreedyMemoryPool::new(limits.memory_bytes),
            NonZeroUsize::new(5).expect("five is not zero"),
        );
        let caches = CacheManagerConfig {
            file_metadata_cache: Some(self.metadata.clone()),
            metadata_cache_limit: self.metadata.cache_limit(),
            ..CacheManagerConfig::default()
        };
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool)).with_cache_manager(caches);
        let runtime = runtime.build_arc().map_err(running)?;
        // Filters are not left to the decoder of files (`pushdown_filters`): where DataFusion 55 cannot make
        // one fit a file, such as one of an older version, it goes on without, and gives rows too many.
        let parts = workers().max(PARTS_MIN);
        let mut config = SessionConfig::new().with_target_partitions(parts);
        // What is parted by address is parted well enough for whoever groups by address and more.
        config.options_mut().optimizer.subset_repartition_threshold = PARTS_MIN;
        let context = SessionContext::new_with_config_rt(config, runtime);
        functions::of_values().into_iter().for_each(|function| context.register_udf(function));
        let stored = Arc::new(datafusion::catalog::MemorySchemaProvider::new());
        context
            .catalog("datafusion")
            .expect("a session has its default catalogue")
            .register_schema("stored", stored)
            .map_err(planning)?;
        Ok(context)
    }

    /// Makes a table known to a session as `stored.…`, as far as it may be seen; false when nothing of it
    /// may.
    async fn register(
        &self,
        context: &SessionContext,
        name: &'static str,
        sight: &Sight,
        divided: bool,
    ) -> Result<bool, LakeError> {
        if name != ServiceRow::NAME {
            return register(context, name, self.files(name).await?.viewed(), sight);
        }
        let current = self.view_seen(sight).await?;
        let (files, view) = self.files_and_view(&current).await?;
        let some_hold = |live: &&BooleanBuffer| live.count_set_bits() < live.len();
        let holding = |path: &Path| view.live_in(path).filter(some_hold).map(selection);
        let files = Arc::new(files.viewed().as_ref().clone().with_rows(holding));
        // Workers read files: what is in this memory is nothing to them.
        match self.columns_bytes.load(Ordering::Relaxed) {
            0 => register(context, name, files, sight),
            _ if divided => register(context, name, files, sight),
            most_bytes => {
                files.known_to(context);
                register_table(context, name, Arc::new(Current { view, files, most_bytes }), sight)
            }
        }
    }
}

/// Makes files known to a session as `stored.…`, as far as they may be seen; false when nothing of them
/// may.
fn register(
    context: &SessionContext,
    name: &str,
    files: Arc<Files>,
    sight: &Sight,
) -> Result<bool, LakeError> {
    files.known_to(context);
    register_table(context, name, files, sight)
}

/// The table itself has no name in the session, so that no query reaches around its sight.
fn register_table(
    context: &SessionContext,
    name: &str,
    table: Arc<dyn TableProvider>,
    sight: &Sight,
) -> Result<bool, LakeError> {
    let Some(provider) = in_sight(name, table, sight) else { return Ok(false) };
    context.register_table(format!("stored.{name}"), provider).map_err(planning)?;
    Ok(true)
}

/// Columns as they are handed out: texts as views are for the way there.
fn as_handed_out(schema: &Schema) -> SchemaRef {
    let one = |field: &FieldRef| match field.data_type() {
        DataType::Utf8View => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8)),
        _ => field.clone(),
    };
    let fields: Vec<FieldRef> = schema.fields().iter().map(one).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn handed_out(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, LakeError> {
    let failed = |source: ArrowError| LakeError::Read { table: "answer", source: source.into() };
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| arrow_cast::cast(column, field.data_type()));
    let columns = columns.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &rows).map_err(failed)
}

/// When a question that is asked now has had its time; a time without end is a day.
fn from_now(limits: Limits) -> Instant {
    Instant::now() + limits.time.min(Duration::from_secs(86_400))
}

fn out_of_time(limits: Limits) -> LakeError {
    LakeError::Limit { limit: limits.time.as_secs(), unit: "seconds" }
}

fn planning(error: DataFusionError) -> LakeError {
    // Constants are reckoned while planning, so it may fail for whatever running does.
    running(error)
}

fn running(error: DataFusionError) -> LakeError {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(message) => LakeError::Large { message: message.clone() },
        DataFusionError::External(cause) if let Some(unread) = cause.downcast_ref::<Unread>() => {
            let Unread { table, source } = unread.clone();
            LakeError::Annex { table, source }
        }
        _ => LakeError::Query { message: error.strip_backtrace() },
    }
}
