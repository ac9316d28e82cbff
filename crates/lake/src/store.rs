//! Tables on disk: open, commit, read back.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::RecordBatch;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::execution::cache::default_cache::DefaultCache;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake::kernel::{Action, StructType, Transaction};
use deltalake::parquet::arrow::arrow_reader::ArrowReaderMetadata;
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::{DeltaTable, DeltaTableError, Path};
use futures::StreamExt;
use futures::stream::BoxStream;
use kenshin_observation::schema::{
    BatchRow, BlobRow, CoverageRow, ErasureRow, Intake, ObservationRow, SaltRow, Table, Taken,
};
use kenshin_observation::{
    Batch, Blob, Direction, Endpoint, Observation, SensorId, SurveyId, TimeUs, addr_to_hi_lo,
};
use tokio::sync::{Mutex, RwLock};

use crate::cluster::Cluster;
use crate::commit::{Sequences, commit};
use crate::error::LakeError;
use crate::extent::{Extent, Mandates};
use crate::files::Files;
use crate::location::{Location, Reached};
use crate::services::CurrentView;
use crate::view::in_place;
use crate::write::{self, Encoded};

/// Bytes of footers that are kept.
pub(crate) const METADATA_BYTES: usize = 256 << 20;
/// Ranges of addresses that are compared one by one at most.
const RANGES_MAX: usize = 64;

/// What a commit did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// Batches whose rows are new in the lake.
    pub new: usize,
    /// Of these, such as a commit that was broken off had left rows of: rows that were there keep the
    /// time at which that commit took them.
    pub completed: usize,
    /// Batches that were there already.
    pub repeated: usize,
}

/// Which observations to read back. Every field that is set narrows.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Of this survey.
    pub survey: Option<SurveyId>,
    /// Of this endpoint's address and port.
    pub endpoint: Option<Endpoint>,
    /// Only those that carry a protocol record or a credential result.
    pub spoken_only: bool,
}

impl Selection {
    /// The query for it over the bare table.
    fn sql(&self) -> String {
        let mut conditions = vec!["true".to_owned()];
        if let Some(survey) = self.survey {
            conditions.push(format!("survey_id = '{survey}'"));
        }
        if let Some(endpoint) = self.endpoint {
            let (hi, lo) = addr_to_hi_lo(endpoint.addr);
            conditions.push(format!(
                "subject_addr_hi = {hi} AND subject_addr_lo = {lo} AND subject_port = {} AND transport = '{}'",
                endpoint.port, endpoint.transport
            ));
        }
        if self.spoken_only {
            conditions.push("(protocol IS NOT NULL OR credential IS NOT NULL)".to_owned());
        }
        format!(
            "SELECT * FROM {} WHERE {} ORDER BY subject_addr_hi, subject_addr_lo, subject_port, \"check\", t_us",
            ObservationRow::NAME,
            conditions.join(" AND ")
        )
    }
}

/// Which observations are told host by host. Every field that is set narrows.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// At this address.
    pub addr: Option<IpAddr>,
    /// That the lake knew then.
    pub known_by: Option<TimeUs>,
    /// In batches of this sensor behind this sequence.
    pub since: Option<(SensorId, i64)>,
    /// At addresses in a range of each of these lists. It may be more where they are many: what lies
    /// between the first and the last.
    pub within: Vec<Vec<(IpAddr, IpAddr)>>,
    /// That are of what these mandates brought.
    pub mandates: Option<Mandates>,
}

/// An observation, and when the lake took it.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the type says it")]
pub struct HostObservation {
    pub observation: Observation,
    pub known_at: TimeUs,
}

/// Hosts, one after the other.
pub struct Hosts {
    batches: BoxStream<'static, Result<RecordBatch, LakeError>>,
    rows: std::vec::IntoIter<ObservationRow>,
    /// The first observation of the next host.
    ahead: Option<HostObservation>,
}

impl Hosts {
    /// The observations of the next host.
    pub async fn next(&mut self) -> Result<Option<Vec<HostObservation>>, LakeError> {
        let mut host: Vec<HostObservation> = self.ahead.take().into_iter().collect();
        while let Some(row) = self.row().await? {
            let known_at = TimeUs::from_micros(row.ingested_at);
            let one = HostObservation { observation: row.to_observation()?, known_at };
            let addr = one.observation.subject.addr;
            if host.last().is_some_and(|last| last.observation.subject.addr != addr) {
                self.ahead = Some(one);
                break;
            }
            host.push(one);
        }
        host.sort_by_key(|one| (one.observation.time, one.observation.subject.port));
        Ok(Some(host).filter(|host| !host.is_empty()))
    }

    async fn row(&mut self) -> Result<Option<ObservationRow>, LakeError> {
        loop {
            if let Some(row) = self.rows.next() {
                return Ok(Some(row));
            }
            let Some(batch) = self.batches.next().await else { return Ok(None) };
            self.rows = ObservationRow::from_arrow(&batch?)?.into_iter();
        }
    }
}

impl Told {
    fn sql(&self) -> String {
        let mut conditions = vec!["direction = 'probed'".to_owned()];
        if let Some(addr) = self.addr {
            let (hi, lo) = addr_to_hi_lo(addr);
            conditions.push(format!("subject_addr_hi = {hi} AND subject_addr_lo = {lo}"));
        }
        if let Some(known_by) = self.known_by {
            conditions.push(format!("ingested_at <= {}", known_by.micros()));
        }
        if let Some((sensor, sequence)) = self.since {
            conditions.push(format!(
                "batch_id IN (SELECT batch_id FROM stored.{} WHERE sensor_id = '{sensor}' AND sequence > {sequence})",
                BatchRow::NAME
            ));
        }
        conditions.extend(self.within.iter().map(|ranges| within(ranges)));
        if let Some(mandates) = &self.mandates {
            let ids: Vec<String> =
                mandates.ids().iter().map(|id| format!("'{}'", id.replace('\'', "''"))).collect();
            conditions.push(format!("mandate_id IN ({})", ids.join(", ")));
            if let Some(labels) = mandates.labels() {
                let labels: Vec<String> = labels.iter().map(|label| format!("'{label}'")).collect();
                conditions.push(format!("tlp IN ({})", labels.join(", ")));
            }
        }
        format!(
            "SELECT * FROM {} WHERE {} ORDER BY subject_addr_hi, subject_addr_lo",
            ObservationRow::NAME,
            conditions.join(" AND ")
        )
    }
}

/// The condition that an address lies in one of these ranges, in plain comparisons, so that whole files
/// are left out.
fn within(ranges: &[(IpAddr, IpAddr)]) -> String {
    let mut ends: Vec<_> =
        ranges.iter().map(|(first, last)| (addr_to_hi_lo(*first), addr_to_hi_lo(*last))).collect();
    if ends.len() > RANGES_MAX {
        let (first, last) =
            (ends.iter().map(|(first, _)| *first).min(), ends.iter().map(|(_, last)| *last).max());
        ends = first.zip(last).into_iter().collect();
    }
    let any = ends.into_iter().map(|((hi, lo), (hi_last, lo_last))| match hi == hi_last {
        true => format!("subject_addr_hi = {hi} AND subject_addr_lo BETWEEN {lo} AND {lo_last}"),
        false => format!("subject_addr_hi BETWEEN {hi} AND {hi_last}"),
    });
    let any: Vec<String> = any.collect();
    if any.is_empty() { "false".to_owned() } else { format!("({})", any.join(" OR ")) }
}

/// The columnar store of observations: six Delta tables in one folder or bucket, and the current
/// views that are made from them.
pub struct Lake {
    pub(crate) reached: Reached,
    pub(crate) tables: BTreeMap<&'static str, RwLock<DeltaTable>>,
    pub(crate) whole: Arc<CurrentView>,
    /// The current views of some mandates that were asked for, by folder.
    pub(crate) views: Mutex<BTreeMap<String, Arc<CurrentView>>>,
    /// Held while files are merged, or taken out.
    pub(crate) compacting: Mutex<()>,
    /// Held while batches are committed: what they lack is asked first, and added later.
    committing: Mutex<()>,
    /// The last sequences of who commits to each table.
    sequences: std::sync::Mutex<HashMap<&'static str, Sequences>>,
    /// What is known of the files of each table.
    files: BTreeMap<&'static str, std::sync::Mutex<Option<Arc<Files>>>>,
    /// What files of observations say of themselves, by path.
    pub(crate) footers: std::sync::Mutex<HashMap<Path, ArrowReaderMetadata>>,
    /// Footers of files, as DataFusion keeps them.
    pub(crate) metadata: Arc<FileMetadataCache>,
    /// Who helps to answer SQL.
    pub(crate) cluster: Option<Arc<Cluster>>,
    /// Most bytes of memory that columns of the current view take for SQL; 0 when it reads files.
    pub(crate) columns_bytes: AtomicUsize,
}

impl Lake {
    /// Opens the lake and creates the tables that are missing.
    pub async fn open(location: impl Into<Location>) -> Result<Self, LakeError> {
        let reached = location.into().reached()?;
        reached.greet().await?;
        let mut tables = BTreeMap::new();
        // One line a table, in the order in which commits write them: `batches` is last, so that
        // a batch listed there has all its rows.
        tables.insert(BlobRow::NAME, open_table::<BlobRow>(&reached, BlobRow::NAME, None).await?);
        tables.insert(SaltRow::NAME, open_table::<SaltRow>(&reached, SaltRow::NAME, None).await?);
        tables.insert(CoverageRow::NAME, open_table::<CoverageRow>(&reached, CoverageRow::NAME, None).await?);
        tables.insert(
            ObservationRow::NAME,
            open_table::<ObservationRow>(&reached, ObservationRow::NAME, None).await?,
        );
        tables.insert(BatchRow::NAME, open_table::<BatchRow>(&reached, BatchRow::NAME, None).await?);
        tables.insert(ErasureRow::NAME, open_table::<ErasureRow>(&reached, ErasureRow::NAME, None).await?);
        let files = tables.keys().map(|name| (*name, std::sync::Mutex::default())).collect();
        // What is computed from the others comes last.
        let whole = Arc::new(CurrentView::open(&reached, &Extent::All.folder(), None).await?);
        Ok(Self {
            reached,
            tables,
            whole,
            views: Mutex::default(),
            compacting: Mutex::default(),
            committing: Mutex::default(),
            sequences: std::sync::Mutex::default(),
            files,
            footers: std::sync::Mutex::default(),
            metadata: Arc::new(DefaultCache::new(METADATA_BYTES)),
            cluster: None,
            columns_bytes: AtomicUsize::new(0),
        })
    }

    /// The same lake, whose SQL is answered with the help of workers as far as there are any.
    #[must_use]
    pub fn with_cluster(self, cluster: Cluster) -> Self {
        Self { cluster: Some(Arc::new(cluster)), ..self }
    }

    /// From now on SQL reads the current view from columns in memory, where the search has them too, as
    /// long as all of them together take no more than this. For who is asked more than once: what is read
    /// first takes longer.
    pub fn hold_columns(&self, most_bytes: usize) {
        self.columns_bytes.store(most_bytes, Ordering::Relaxed);
    }

    /// Who helps to answer SQL.
    pub fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_deref()
    }

    /// Where the lake is.
    pub fn location(&self) -> &str {
        self.reached.lake()
    }

    /// Commits batches exactly once. Those of one sensor must come in the order of their
    /// sequence; a batch that is there already is passed over.
    ///
    /// A crash in the middle leaves some tables ahead of others; committing the same batches
    /// again completes them.
    pub async fn commit(&self, batches: &[Batch], now: TimeUs) -> Result<Committed, LakeError> {
        let _committing = self.committing.lock().await;
        let mut by_sensor: BTreeMap<_, Vec<&Batch>> = BTreeMap::new();
        for batch in batches {
            by_sensor.entry(batch.header.sensor_id).or_default().push(batch);
        }
        let (mut new, mut completed) = (0, 0);
        for (sensor, batches) in by_sensor {
            debug_assert!(batches.is_sorted_by_key(|b| b.header.sequence), "batches come in order");
            let of_sensor = self.commit_of(&format!("sensor:{sensor}"), &batches, now).await?;
            new += of_sensor.new;
            completed += of_sensor.completed;
        }
        Ok(Committed { new, completed, repeated: batches.len() - new })
    }

    /// Commits the batches of one sensor. Files of all tables are made at
    /// once, by all processors, and become part of their tables in three steps.
    async fn commit_of(&self, app: &str, batches: &[&Batch], now: TimeUs) -> Result<Committed, LakeError> {
        let missing = async |name| -> Result<usize, LakeError> {
            let held = self.sequence(name, app).await?;
            Ok(batches.iter().take_while(|batch| batch.header.sequence <= held).count())
        };
        // Nearly always each table lacks the same batches; a crash leaves some tables ahead.
        let lacks = [
            missing(BlobRow::NAME).await?,
            missing(SaltRow::NAME).await?,
            missing(CoverageRow::NAME).await?,
            missing(ObservationRow::NAME).await?,
            missing(BatchRow::NAME).await?,
        ];
        let lacks_of: BTreeSet<usize> = lacks.into();
        let intakes: BTreeMap<usize, Intake<'_>> =
            lacks_of.into_iter().map(|held| (held, Intake::new(&batches[held..], now))).collect();
        let work = vec![
            write::work::<BlobRow>(&intakes[&lacks[0]]),
            write::work::<SaltRow>(&intakes[&lacks[1]]),
            write::work::<CoverageRow>(&intakes[&lacks[2]]),
            write::work::<ObservationRow>(&intakes[&lacks[3]]),
            write::work::<BatchRow>(&intakes[&lacks[4]]),
        ];
        let encoded = in_place(|| write::all(work))?;
        let mut encoded = encoded.into_iter();
        let mut next = || encoded.next().unwrap_or_default();
        // What observations refer to is there before them, and all is before the batch that has it.
        let blobs = self.append::<BlobRow>(app, &batches[lacks[0]..], next(), now);
        let salts = self.append::<SaltRow>(app, &batches[lacks[1]..], next(), now);
        let coverage = self.append::<CoverageRow>(app, &batches[lacks[2]..], next(), now);
        tokio::try_join!(blobs, salts, coverage)?;
        self.append::<ObservationRow>(app, &batches[lacks[3]..], next(), now).await?;
        self.append::<BatchRow>(app, &batches[lacks[4]..], next(), now).await?;
        let (held, begun) = (lacks[4], lacks.into_iter().max().unwrap_or(0));
        Ok(Committed { new: batches.len() - held, completed: begun.saturating_sub(held), repeated: held })
    }

    /// Makes files part of one table, together with the sequence of the last batch that they hold.
    async fn append<R: Taken>(
        &self,
        app: &str,
        batches: &[&Batch],
        encoded: Vec<Encoded>,
        now: TimeUs,
    ) -> Result<(), LakeError> {
        let (Some(first), Some(last), false) = (batches.first(), batches.last(), encoded.is_empty()) else {
            return Ok(());
        };
        let (from, to) = (first.header.sequence, last.header.sequence);
        let failed = |source| LakeError::Commit { table: R::NAME, from, to, source: Box::new(source) };
        let mut table = self.tables[R::NAME].write().await;
        let mut actions: Vec<Action> = write::evolved::<R>(&table).map_err(failed)?.into_iter().collect();
        for (nth, file) in encoded.into_iter().enumerate() {
            let told = format!("{app} {from} {to} {nth} {now} {:?}", table.version());
            actions.push(write::put::<R>(&table, file, &told).await.map_err(failed)?);
        }
        let operation = DeltaOperation::Write {
            mode: SaveMode::Append,
            partition_by: write::is_apart(&table)
                .map_err(failed)?
                .then(|| R::APART.iter().map(|name| (*name).to_owned()).collect()),
            predicate: None,
        };
        let before = table.version();
        let done = commit(&mut table, actions, vec![Transaction::new(app, to)], operation).await;
        let version = done.map_err(failed)?;
        locked(&self.sequences).entry(R::NAME).or_default().committed(before, Some(version), app, to);
        Ok(())
    }

    /// The last sequence of which a table has the rows; 0 before the first.
    pub(crate) async fn sequence(&self, name: &'static str, app: &str) -> Result<i64, LakeError> {
        let mut table = self.tables[name].write().await;
        let read = |source: DeltaTableError| LakeError::Read { table: name, source: source.into() };
        table.update_state().await.map_err(read)?;
        let version = table.version();
        if let Some(known) = locked(&self.sequences).entry(name).or_default().get(version, app) {
            return Ok(known);
        }
        let snapshot = table.snapshot().map_err(read)?;
        let held = snapshot.transaction_version(table.log_store().as_ref(), app).await.map_err(read)?;
        let held = held.unwrap_or(0);
        locked(&self.sequences).entry(name).or_default().read(version, app, held);
        Ok(held)
    }

    /// Observations that fit the selection, in (endpoint, check, time) order, which does not depend
    /// on how fast each host answered.
    pub async fn observations(&self, selection: &Selection) -> Result<Vec<Observation>, LakeError> {
        let mut observations = Vec::new();
        self.each_observation(selection, |observation| {
            observations.push(observation);
            ControlFlow::Continue(())
        })
        .await?;
        Ok(observations)
    }

    /// The same observations handed to `each`, one after the other, until it breaks: however many
    /// there are, one batch of them is held.
    pub async fn each_observation(
        &self,
        selection: &Selection,
        mut each: impl FnMut(Observation) -> ControlFlow<()>,
    ) -> Result<(), LakeError> {
        let mut batches = self.stream(ObservationRow::NAME, &selection.sql()).await?;
        while let Some(batch) = batches.next().await {
            for row in ObservationRow::from_arrow(&batch?)? {
                if each(row.to_observation()?).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Observations host by host, in the order of their addresses, each host's in the order of time:
    /// one host is held.
    pub async fn hosts(&self, told: &Told) -> Result<Hosts, LakeError> {
        if let Told { addr: Some(addr), known_by, since: None, within, mandates } = told
            && within.is_empty()
        {
            let mut rows = self.observations_at(addr_to_hi_lo(*addr)).await?;
            let known = |row: &ObservationRow| known_by.is_none_or(|by| row.ingested_at <= by.micros());
            let allowed = |row: &ObservationRow| {
                mandates.as_ref().is_none_or(|of| of.contains(&row.mandate_id, &row.tlp))
            };
            rows.retain(|row| known(row) && allowed(row) && row.direction == Direction::Probed.as_str());
            return Ok(Hosts {
                batches: futures::stream::empty().boxed(),
                rows: rows.into_iter(),
                ahead: None,
            });
        }
        let batches = self.stream(ObservationRow::NAME, &told.sql()).await?.boxed();
        Ok(Hosts { batches, rows: Vec::new().into_iter(), ahead: None })
    }

    /// The blob with this SHA-256 (hexadecimal), if the lake still holds it.
    pub async fn blob(&self, sha256: &str) -> Result<Option<Blob>, LakeError> {
        if sha256.len() != 64 || !sha256.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(None);
        }
        let sql = format!("SELECT * FROM {} WHERE sha256 = '{sha256}' LIMIT 1", BlobRow::NAME);
        let rows: Vec<BlobRow> = self.rows(&sql).await?;
        rows.first().map(BlobRow::to_blob).transpose().map_err(LakeError::from)
    }

    /// Coverage rows of a survey, by first index.
    pub async fn coverage(&self, survey: SurveyId) -> Result<Vec<CoverageRow>, LakeError> {
        let sql =
            format!("SELECT * FROM {} WHERE survey_id = '{survey}' ORDER BY index_from", CoverageRow::NAME);
        self.rows(&sql).await
    }

    /// The highest sequence of a sensor that is wholly in the lake.
    pub async fn last_sequence(
        &self,
        sensor: kenshin_observation::SensorId,
    ) -> Result<Option<i64>, LakeError> {
        let held = self.sequence(BatchRow::NAME, &format!("sensor:{sensor}")).await?;
        Ok(Some(held).filter(|held| *held > 0))
    }

    pub(crate) async fn rows<R: Table>(&self, sql: &str) -> Result<Vec<R>, LakeError> {
        let batches: Vec<RecordBatch> = self.select(R::NAME, sql).await?;
        let mut rows = Vec::new();
        for batch in &batches {
            rows.extend(R::from_arrow(batch)?);
        }
        Ok(rows)
    }

    /// The files of a table as it is now.
    pub(crate) async fn files(&self, name: &'static str) -> Result<Arc<Files>, LakeError> {
        files_of(&self.tables[name], &self.files[name], &self.metadata, name).await
    }
}

/// The files of a table as it is now; what is known of those that `held` has is taken over.
pub(crate) async fn files_of(
    table: &RwLock<DeltaTable>,
    held: &std::sync::Mutex<Option<Arc<Files>>>,
    metadata: &Arc<FileMetadataCache>,
    name: &'static str,
) -> Result<Arc<Files>, LakeError> {
    let read = |source: DeltaTableError| LakeError::Read { table: name, source: source.into() };
    let mut table = table.write().await;
    table.update_state().await.map_err(read)?;
    let before = locked(held).clone();
    if let Some(before) = before.as_ref().filter(|before| before.version() == table.version()) {
        return Ok(before.clone());
    }
    let files = Arc::new(Files::of(&table, before.as_deref(), metadata).map_err(read)?);
    *locked(held) = Some(files.clone());
    Ok(files)
}

pub(crate) fn locked<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Opens the table in a folder of the lake, or makes it, with a comment for whoever opens it elsewhere.
pub(crate) async fn open_table<R: Table>(
    location: &Reached,
    folder: &str,
    comment: Option<String>,
) -> Result<RwLock<DeltaTable>, LakeError> {
    let failed = |source: DeltaTableError| LakeError::Open {
        table: R::NAME,
        location: location.lake().to_owned(),
        source: Box::new(source),
    };
    let held = async || -> Result<DeltaTable, DeltaTableError> {
        let mut table = location.table(folder)?;
        match table.load().await {
            Ok(()) | Err(DeltaTableError::NotATable(_)) => Ok(table),
            Err(error) => Err(error),
        }
    };
    let table = held().await.map_err(failed)?;
    if table.version().is_some() {
        return Ok(RwLock::new(table));
    }
    let schema = write::stored_schema::<R>();
    let schema: StructType =
        (&schema).try_into_kernel().map_err(|source| failed(DeltaTableError::Arrow { source }))?;
    let mut creating = table
        .create()
        .with_columns(schema.fields().cloned())
        .with_partition_columns(R::APART.iter().copied())
        .with_save_mode(SaveMode::Ignore);
    if let Some(comment) = comment {
        creating = creating.with_comment(comment);
    }
    let table = creating.await;
    // Somebody else may have made it in between.
    let table = match table {
        Ok(table) => table,
        Err(error) => {
            let table = held().await.map_err(failed)?;
            if table.version().is_none() {
                return Err(failed(error));
            }
            table
        }
    };
    Ok(RwLock::new(table))
}
