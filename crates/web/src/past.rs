//! The past, searched for people who wait: it is made from observations, which takes time. So it is found
//! once for all the questions of a page, one search after another, and kept for a while.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kenshin_lake::LakeError;
use kenshin_lake::view::{Search, View};
use kenshin_observation::TimeUs;
use kenshin_observatory::{ActError, Past as Which};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::api::sql;
use crate::{Problem, Web};

/// Most services that are found in the past: they lie in memory, about one kilobyte each.
const SERVICES_MAX: usize = 50_000;
/// Answers kept at most.
const KEPT_MAX: usize = 4;
/// How long an answer is kept.
const KEPT_S: i64 = 300;
/// How long one is kept about an instant that had not passed when it was found: more may become known by then.
const KEPT_YET_S: i64 = 5;

/// What was found in the past lately.
pub(crate) struct Past {
    /// One is looked for at a time.
    turn: Semaphore,
    kept: Mutex<VecDeque<Kept>>,
}

/// What somebody's question found in what was known at `search.now`.
struct Kept {
    search: Search,
    view: Arc<View>,
    found_at: TimeUs,
}

impl Default for Past {
    fn default() -> Self {
        Self { turn: Semaphore::new(1), kept: Mutex::default() }
    }
}

impl Web {
    /// A view of what `search` finds in what was known at `search.now`, as far as its sight reaches.
    pub(crate) async fn past(&self, search: &Search) -> Result<Arc<View>, Problem> {
        let (past, until) = (&self.inner.past, Instant::now() + sql::TIME);
        if let Some(view) = self.kept(search).await? {
            return Ok(view);
        }
        let Ok(turn) = timeout_at(until, past.turn.acquire()).await else {
            return Err(Problem::busy("the past is being searched for others"));
        };
        let _turn = turn.map_err(|_| Problem::busy("the server is stopping"))?;
        // Whoever had the turn before may have asked the same.
        if let Some(view) = self.kept(search).await? {
            return Ok(view);
        }
        let found_at = self.now();
        let which = Which { known_by: Some(search.now), history: false, most: SERVICES_MAX };
        let view = match timeout_at(until, self.observatory().search_past(search, which)).await {
            Ok(Ok(view)) => Arc::new(view),
            Ok(Err(ActError::Lake(LakeError::Limit { limit, unit: "services" }))) => {
                return Err(Problem::past_limit(format!("more than {limit} services are found in the past")));
            }
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => {
                let s = Duration::as_secs(&sql::TIME);
                return Err(Problem::past_limit(format!("the past is not found within {s} s")));
            }
        };
        let mut kept = past.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.truncate(KEPT_MAX - 1);
        kept.push_front(Kept { search: search.clone(), view: view.clone(), found_at });
        Ok(view)
    }

    /// What was found of this question lately. What is too old, or may hold what was erased since, is
    /// forgotten.
    async fn kept(&self, search: &Search) -> Result<Option<Arc<View>>, Problem> {
        let (now, erased_at) = (self.now(), self.casework().last_removal(self.org()).await?);
        let mut kept = self.inner.past.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|one| {
            let life = if one.search.now < one.found_at { KEPT_S } else { KEPT_YET_S };
            now < one.found_at.plus_secs(life) && erased_at.is_none_or(|at| at < one.found_at)
        });
        Ok(kept.iter().find(|one| one.search == *search).map(|one| one.view.clone()))
    }
}
