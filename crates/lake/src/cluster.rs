//! Questions over several machines: the hub plans, workers read files and count, and the hub gives the
//! answer. The tables, the SQL and the rows are those of one machine.
//!
//! ```text
//!  question ─▶ hub: plan, sight, limits ──part of the plan──▶ worker ─▶ files of the lake
//!                          ▲                                    ▲│
//!                          └────────────── rows ────────────────┘▼ rows by hash
//!                                                             worker
//! ```
//!
//! [`Cluster`] is what a hub knows of its workers, and [`serve()`] is a worker. Plans travel by
//! `datafusion-distributed`; who may speak is decided before, by a [`Secret`] that both sides prove to know.
//!
//! It keeps no state of a question outside of its two ends, and repairs nothing in the middle of one: when a
//! worker breaks off, the hub asks anew, without it, and in the end by itself.

mod carry;
mod link;
mod secret;
mod serve;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use datafusion::common::DataFusionError;
use datafusion::common::tree_node::TreeNode;
use datafusion::execution::SessionStateBuilder;
use datafusion::logical_expr::{Explain, PlanType, StringifiedPlan};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::explain::ExplainExec;
use datafusion::prelude::SessionContext;
use datafusion_distributed::{
    DistributedExec, DistributedExt, SessionStateBuilderExt, WorkerResolver, display_plan_ascii,
};
use futures::future::join_all;
use hyper::http::{HeaderMap, HeaderValue};
use tokio::time::Instant;
use url::Url;

use self::carry::RowsCodec;
use self::link::Links;
use crate::store::locked;

pub use self::secret::Secret;
pub use self::serve::{PlacesNamed, Worker, serve};

/// What is spoken with workers of the same version and no other: plans of another version may mean other
/// things.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The header of a plan that tells the edition of the tables of places by which it is to be answered.
const PLACES: &str = "x-kenshin-places";
/// How long a worker may take to say that it is there.
const LOOK: Duration = Duration::from_secs(3);
/// For how long one that did not is left out.
const REST: Duration = Duration::from_secs(30);

/// Why a cluster cannot be used as it was set up.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The file of the secret cannot be read.
    #[error("failed to read the secret of the cluster, `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
    /// Others than its owner may read the secret.
    #[error("the secret of the cluster, `{}`, may be read by others than its owner", path.display())]
    Readable {
        /// The file.
        path: PathBuf,
    },
    /// The secret could be guessed.
    #[error("the secret of the cluster, `{}`, has {bytes} bytes, and must have {least} at least", path.display())]
    Short {
        /// The file.
        path: PathBuf,
        /// How many it has.
        bytes: usize,
        /// How many it must have.
        least: usize,
    },
    /// Not where a worker can be.
    #[error("`{address}` is not the address of a worker, which is https://host:port")]
    Address {
        /// What was given.
        address: String,
    },
    /// TLS could not be prepared.
    #[error("failed to prepare TLS for the cluster")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The lake cannot be read from.
    #[error("a worker cannot read from the lake `{location}`")]
    Lake {
        /// Where it is said to be.
        location: String,
        /// Cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// How questions are divided among workers.
#[derive(Debug, Clone, Copy)]
pub struct Division {
    /// Parts that each worker has of one question, as many as it has processors; at least two.
    pub cores: usize,
    /// Bytes of files that one worker should read at least: a question that reads no more is answered by the
    /// hub itself.
    pub least_bytes: usize,
}

/// The workers of a hub, and how they fare.
pub struct Cluster {
    workers: Vec<Url>,
    links: Links,
    division: Division,
    /// Of those that were looked at.
    states: Mutex<HashMap<Url, State>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Fit,
    /// Left out until then.
    Away(Instant),
}

/// The workers for one question.
struct Chosen(Vec<Url>);

impl WorkerResolver for Chosen {
    fn get_urls(&self) -> Result<Vec<Url>, DataFusionError> {
        Ok(self.0.clone())
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("workers", &self.workers).finish_non_exhaustive()
    }
}

impl Cluster {
    /// A hub's cluster: none of the workers is asked for anything yet.
    pub fn new(workers: &[String], secret: Secret, division: Division) -> Result<Self, ClusterError> {
        let workers = workers.iter().map(|address| worker_at(address)).collect::<Result<_, _>>()?;
        let states = Mutex::default();
        Ok(Self { workers, links: Links::new(secret)?, division, states })
    }

    /// Looks at every worker, and says of each whether it can be used, and else why not.
    pub async fn look_at_all(&self) -> Vec<(&Url, Result<(), String>)> {
        join_all(self.workers.iter().map(async |worker| (worker, self.look(worker).await))).await
    }

    /// The workers that can be used as far as is known. One that was not looked at yet is looked at now, one
    /// that was left out for long enough meanwhile.
    pub(crate) async fn fit(self: &Arc<Self>) -> Vec<Url> {
        let now = Instant::now();
        let (mut new, mut rested) = (Vec::new(), Vec::new());
        {
            let mut states = locked(&self.states);
            for worker in &self.workers {
                match states.get(worker) {
                    None => new.push(worker),
                    Some(State::Away(until)) if *until <= now => {
                        // One look at a time is enough.
                        states.insert(worker.clone(), State::Away(now + REST));
                        rested.push(worker.clone());
                    }
                    Some(_) => {}
                }
            }
        }
        for worker in rested {
            let cluster = Arc::clone(self);
            tokio::spawn(async move { cluster.look(&worker).await });
        }
        join_all(new.into_iter().map(|worker| self.look(worker))).await;
        let states = locked(&self.states);
        let fit = |worker: &&Url| states.get(*worker) == Some(&State::Fit);
        self.workers.iter().filter(fit).cloned().collect()
    }

    /// Those of `workers` that still answer.
    pub(crate) async fn still_fit(&self, workers: &[Url]) -> Vec<Url> {
        let looked = join_all(workers.iter().map(|worker| self.look(worker))).await;
        workers.iter().zip(looked).filter(|(_, looked)| looked.is_ok()).map(|(url, _)| url.clone()).collect()
    }

    async fn look(&self, worker: &Url) -> Result<(), String> {
        let looked = match tokio::time::timeout(LOOK, self.links.version(worker)).await {
            Err(_) => Err("it does not answer".to_owned()),
            Ok(Err(error)) => Err(error),
            Ok(Ok(version)) if version != VERSION => {
                Err(format!("it is of version {version:?}, and this is {VERSION}"))
            }
            Ok(Ok(_)) => Ok(()),
        };
        let state = match &looked {
            Ok(()) => State::Fit,
            Err(why) => {
                self.links.forget(worker);
                tracing::warn!(%worker, why, "a worker is left out for a while");
                State::Away(Instant::now() + REST)
            }
        };
        locked(&self.states).insert(worker.clone(), state);
        looked
    }

    /// A session like `context` whose plans are divided among `workers`. `places` is the edition of the tables
    /// by which functions tell places.
    pub(crate) fn divided(
        &self,
        context: &SessionContext,
        workers: &[Url],
        places: Option<&str>,
    ) -> Result<SessionContext, DataFusionError> {
        let mut headers = HeaderMap::new();
        if let Some(places) = places {
            let named = HeaderValue::from_str(places);
            headers.insert(PLACES, named.map_err(|error| DataFusionError::External(error.into()))?);
        }
        // A plan of one part exchanges no rows, so there is no place to divide it at.
        let Division { cores, least_bytes } = self.division;
        let cores = cores.max(2);
        let mut builder = SessionStateBuilder::new_from_existing(context.state());
        let config = builder.config().take().unwrap_or_default().with_target_partitions(cores);
        let state = builder
            .with_config(config)
            .with_distributed_worker_resolver(Chosen(workers.to_vec()))
            .with_distributed_channel_resolver(self.links.clone())
            .with_distributed_user_codec(RowsCodec)
            .with_distributed_passthrough_headers(headers)?
            // With one task a plan is not divided, so that the last worker would have nothing to do.
            .with_distributed_max_tasks_per_stage(workers.len().max(2))?
            .with_distributed_file_scan_config_bytes_per_partition((least_bytes / cores).max(1))?
            .with_distributed_planner()
            .build();
        Ok(SessionContext::new_with_state(state))
    }
}

fn worker_at(address: &str) -> Result<Url, ClusterError> {
    let wrong = || ClusterError::Address { address: address.to_owned() };
    let url = Url::parse(address).map_err(|_| wrong())?;
    let bare = url.path() == "/" && url.query().is_none() && url.username().is_empty();
    if url.scheme() != "https" || url.host().is_none() || !bare { Err(wrong()) } else { Ok(url) }
}

/// True when workers have a part in a plan.
pub(crate) fn is_divided(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.exists(|node| Ok(node.is::<DistributedExec>())).unwrap_or(false)
}

/// True when the rows that a plan gives become rows that it takes, round by round: such a plan is not to be
/// divided.
pub(crate) fn is_recursive(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.exists(|node| Ok(node.name() == "RecursiveQueryExec")).unwrap_or(true)
}

/// What `EXPLAIN` tells when workers have a part: which, in the place of the plan of one machine.
pub(crate) async fn explained(
    context: &SessionContext,
    explain: &Explain,
    alone: Arc<dyn ExecutionPlan>,
) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
    let Some(told) = alone.downcast_ref::<ExplainExec>() else { return Ok(alone) };
    let divided = context.state().create_physical_plan(&explain.plan).await?;
    if !is_divided(&divided) {
        return Ok(alone);
    }
    let is_last = |told: &StringifiedPlan| {
        matches!(
            told.plan_type,
            PlanType::FinalPhysicalPlan
                | PlanType::FinalPhysicalPlanWithStats
                | PlanType::FinalPhysicalPlanWithSchema
        )
    };
    let mut plans: Vec<_> = told.stringified_plans().iter().filter(|told| !is_last(told)).cloned().collect();
    plans
        .push(StringifiedPlan::new(PlanType::FinalPhysicalPlan, display_plan_ascii(divided.as_ref(), false)));
    Ok(Arc::new(ExplainExec::new(told.schema(), plans, told.verbose())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_where_tls_can_be_spoken() {
        for good in ["https://10.0.0.5:8490", "https://worker-1.example", "https://[::1]:8490/"] {
            assert!(worker_at(good).is_ok(), "{good}");
        }
        for bad in ["http://10.0.0.5:8490", "10.0.0.5:8490", "https://", "https://a/b", "https://me@a", ""] {
            assert!(worker_at(bad).is_err(), "{bad}");
        }
    }
}
