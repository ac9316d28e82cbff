//! A worker: answers the parts of plans that hubs of its cluster send, from the files of one lake.
//!
//! It reads Parquet files below its lake and nothing else, writes nothing, and says nothing to whoever does
//! not prove to know the secret.

use std::future::Future;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result, exec_err};
use datafusion::datasource::physical_plan::{FileGroup, ParquetSource};
use datafusion::execution::cache::cache_manager::CacheManagerConfig;
use datafusion::execution::cache::default_cache::DefaultCache;
use datafusion::execution::memory_pool::{GreedyMemoryPool, TrackConsumersPool};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::physical_plan::ExecutionPlan;
use datafusion_distributed::{
    DistributedExt, WorkerPlanRewriteEvent, WorkerPlanRewriteEventResponse, WorkerPlanRewriteHandler,
    WorkerQueryContext, WorkerSessionBuilder,
};
use deltalake::{ObjectStore, Path};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use kenshin_observation::schema::{ObservationRow, Table};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::carry::{RowsCodec, file_scan};
use super::link::{Door, Links};
use super::{ClusterError, PLACES, Secret, VERSION, locked};
use crate::files::place_of;
use crate::functions::{self, Places};
use crate::location::Location;
use crate::query::growth;

use crate::store::METADATA_BYTES;
use crate::view::in_place;

/// Connections at once; more wait in the kernel's queue.
const CONNECTIONS: usize = 256;
/// How long somebody may take to prove that they know the secret.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How often the other end is asked whether it is still there, and how long for the answer.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How long questions under way are waited for when the worker stops.
const FAREWELL: Duration = Duration::from_secs(10);
/// Pause after a connection that could not be accepted, for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Finds the tables of places of an edition, if they are here: [`Places::edition`].
pub type PlacesNamed = Arc<dyn Fn(&str) -> Option<Arc<dyn Places>> + Send + Sync>;

/// A worker that is ready to serve.
pub struct Worker {
    door: Door,
    parts: datafusion_distributed::Worker,
}

impl Worker {
    /// A worker for a lake, by the place at which the hub has it too. All questions together may take
    /// `memory_bytes`.
    pub fn new(
        lake: &Location,
        secret: Secret,
        memory_bytes: usize,
        places: PlacesNamed,
    ) -> Result<Self, ClusterError> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| ClusterError::Lake {
            location: lake.lake.clone(),
            source,
        };
        let (reads, store) = Reads::of(lake).map_err(failed)?;
        let five = NonZeroUsize::new(5).expect("five is not zero");
        let pool = TrackConsumersPool::new(GreedyMemoryPool::new(memory_bytes), five);
        let caches = CacheManagerConfig {
            file_metadata_cache: Some(Arc::new(DefaultCache::new(METADATA_BYTES))),
            metadata_cache_limit: METADATA_BYTES,
            ..CacheManagerConfig::default()
        };
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool)).with_cache_manager(caches);
        let runtime = runtime.build_arc();
        let runtime: Arc<RuntimeEnv> = runtime.map_err(|error| failed(error.into()))?;
        runtime.register_object_store(reads.store.as_ref(), store);
        let sessions = Sessions {
            links: Links::new(secret.clone())?,
            reads,
            places,
            held: Mutex::default(),
            missing: Mutex::default(),
        };
        let parts = datafusion_distributed::Worker::from_session_builder(sessions)
            .with_runtime_env(runtime)
            .with_version(VERSION);
        Ok(Self { door: Door::new(secret)?, parts })
    }
}

/// Serves until `stop` resolves; questions under way are finished, within seconds.
pub async fn serve(listener: TcpListener, worker: Worker, stop: impl Future<Output = ()> + Send) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let (stopping, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = async {
            let place = room.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = accepted => accepted,
            _ = connections.join_next(), if !connections.is_empty() => continue,
            () = &mut stop => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (door, parts, stopped) = (worker.door.clone(), worker.parts.clone(), stopped.clone());
        connections.spawn(async move {
            let _place = place;
            talk(stream, peer, &door, parts, stopped).await;
        });
    }
    drop(listener);
    stopping.send_replace(true);
    let farewell = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(FAREWELL, farewell).await;
}

/// One connection to its end.
async fn talk(
    stream: TcpStream,
    peer: SocketAddr,
    door: &Door,
    parts: datafusion_distributed::Worker,
    mut stopped: watch::Receiver<bool>,
) {
    let stream = match tokio::time::timeout(HANDSHAKE, door.admit(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::warn!(%peer, why = %error, "a peer was refused"),
        Err(_) => return tracing::warn!(%peer, why = "it took too long", "a peer was refused"),
    };
    let mut server = Builder::new(TokioExecutor::new());
    server.http2().timer(TokioTimer::new()).keep_alive_interval(HEARTBEAT).keep_alive_timeout(HEARTBEAT);
    let server = server.http2_only();
    let service = TowerToHyperService::new(parts.into_worker_server());
    let mut connection = std::pin::pin!(server.serve_connection(TokioIo::new(stream), service));
    // Whoever breaks off has broken off: nobody is to be told.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

/// Makes the session in which a part of a plan is understood.
struct Sessions {
    links: Links,
    reads: Reads,
    places: PlacesNamed,
    /// The tables of places that were asked for last.
    held: Mutex<Option<Arc<dyn Places>>>,
    /// The edition that was last found missing.
    missing: Mutex<String>,
}

impl Sessions {
    fn places(&self, edition: &str) -> Option<Arc<dyn Places>> {
        let mut held = locked(&self.held);
        if let Some(places) = held.as_ref().filter(|places| places.edition() == edition) {
            return Some(places.clone());
        }
        let found = in_place(|| (self.places)(edition)).filter(|places| places.edition() == edition);
        match &found {
            Some(_) => held.clone_from(&found),
            None => self.miss(edition),
        }
        found
    }

    /// Says once what is missing.
    fn miss(&self, edition: &str) {
        let mut missing = locked(&self.missing);
        if *missing != edition {
            tracing::warn!(edition, "these tables of places are not here: the hub answers what needs them");
            edition.clone_into(&mut missing);
        }
    }
}

#[async_trait]
impl WorkerSessionBuilder for Sessions {
    async fn build_session_state(&self, context: WorkerQueryContext) -> Result<SessionState> {
        let mut state = context
            .builder
            .with_distributed_channel_resolver(self.links.clone())
            .with_distributed_user_codec(RowsCodec)
            .with_distributed_worker_plan_rewrite_handler(self.reads.clone())
            .build();
        let mut known = functions::of_values();
        known.push(functions::in_sight());
        known.extend(growth::within(&state, &growth::Share::usual()));
        match context.headers.get(PLACES).map(|edition| edition.to_str().unwrap_or_default()) {
            None => known.extend(functions::of_places(None)),
            // Without its tables a plan that tells places is not understood, which the hub is told: by
            // others it would get another answer.
            Some(edition) => {
                let places = self.places(edition);
                known.extend(places.iter().flat_map(|places| functions::of_places(Some(places))));
            }
        }
        for function in known {
            state.register_udf(Arc::new(function))?;
        }
        Ok(state)
    }
}

/// What a worker reads: Parquet files below its lake.
#[derive(Debug, Clone)]
struct Reads {
    store: ObjectStoreUrl,
    root: Path,
}

impl Reads {
    fn of(lake: &Location) -> Result<(Self, Arc<dyn ObjectStore>), Box<dyn std::error::Error + Send + Sync>> {
        // A table that is there by all means, or will be.
        let table = lake.reached()?.table(ObservationRow::NAME)?;
        let log_store = table.log_store();
        let (store, below) = place_of(log_store.root_url())?;
        let mut parts: Vec<_> = below.parts().collect();
        parts.pop();
        Ok((Self { store, root: Path::from_iter(parts) }, log_store.root_object_store(None)))
    }

    fn check(&self, plan: &Arc<dyn ExecutionPlan>) -> Result<()> {
        plan.apply(|node| {
            if node.name() == "DataSinkExec" {
                return exec_err!("a worker writes nothing");
            }
            let Some(config) = file_scan(node) else { return Ok(TreeNodeRecursion::Continue) };
            let is_parquet = config.file_source().downcast_ref::<ParquetSource>().is_some();
            let mut files = config.file_groups.iter().flat_map(FileGroup::iter);
            let is_ours = config.object_store_url == self.store
                && files.all(|file| file.object_meta.location.prefix_matches(&self.root));
            match is_parquet && is_ours {
                true => Ok(TreeNodeRecursion::Continue),
                false => exec_err!("a worker reads the Parquet files of its lake and no others"),
            }
        })?;
        Ok(())
    }
}

impl WorkerPlanRewriteHandler for Reads {
    fn rewrite_worker_plan(
        &self,
        event: WorkerPlanRewriteEvent<'_>,
    ) -> Result<WorkerPlanRewriteEventResponse, DataFusionError> {
        self.check(&event.plan)?;
        Ok(WorkerPlanRewriteEventResponse::new(event.plan))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::datasource::listing::PartitionedFile;
    use datafusion::datasource::physical_plan::FileScanConfigBuilder;
    use datafusion::datasource::source::DataSourceExec;
    use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;

    use super::*;

    fn scan(store: &str, file: &str) -> Arc<dyn ExecutionPlan> {
        let source = ParquetSource::new(Arc::new(arrow_schema::Schema::empty()));
        let store = ObjectStoreUrl::parse(store).unwrap();
        let config = FileScanConfigBuilder::new(store, Arc::new(source));
        let config = config.with_file(PartitionedFile::new(file, 1)).build();
        Arc::new(CoalescePartitionsExec::new(DataSourceExec::from_data_source(config)))
    }

    #[test]
    fn files_elsewhere_are_not_read() {
        let store = ObjectStoreUrl::parse("file:///").unwrap();
        let reads = Reads { store, root: Path::from("srv/lake") };
        assert!(reads.check(&scan("file:///", "srv/lake/observations/month=2026-11/a.parquet")).is_ok());
        for (store, file) in [
            ("file:///", "etc/shadow"),
            ("file:///", "srv/lakes/observations/a.parquet"),
            ("file:///", "srv/a.parquet"),
            ("s3://srv/", "srv/lake/observations/a.parquet"),
        ] {
            assert!(reads.check(&scan(store, file)).is_err(), "{store}{file}");
        }
    }
}
