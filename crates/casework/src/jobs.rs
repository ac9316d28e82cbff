//! Durable, leased jobs: the hub decides and enqueues, sensors and workers do.
//!
//! A job is done by whoever holds its newest lease. A worker that dies loses the lease when it
//! runs out; the next one gets the job with a higher lease number, and whatever the dead one still
//! reports under the old number is refused.

use kenshin_observation::{JobId, OrgId, TimeUs, words};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use crate::error::{CaseworkError, Result};
use crate::page::{Page, PageRequest};
use crate::store::{Casework, Columns, Compose, Query, Value, query, storable};

words!(
    /// Where a job stands.
    JobState, "job state" {
        /// Waits for a worker.
        Queued = "queued",
        /// A worker holds it.
        Leased = "leased",
        /// Finished.
        Done = "done",
        /// Given up after the stated number of attempts.
        Failed = "failed",
        /// Taken back.
        Cancelled = "cancelled",
    }
);

/// A job to be enqueued.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// What to do, e.g. `survey`.
    pub kind: String,
    /// Names the work: the same kind and name is enqueued once.
    pub dedupe: String,
    /// What the worker needs to know.
    pub payload: serde_json::Value,
    /// Attempts at most, a lease that ran out included.
    pub attempts_max: i64,
    /// Not before this instant.
    pub not_before: TimeUs,
}

/// A job as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its id.
    pub job_id: JobId,
    /// Whose.
    pub org_id: OrgId,
    /// What to do.
    pub kind: String,
    /// Names the work.
    pub dedupe: String,
    /// What the worker needs to know.
    pub payload: serde_json::Value,
    /// Where it stands.
    pub state: JobState,
    /// Attempts begun.
    pub attempts: i64,
    /// Attempts at most.
    pub attempts_max: i64,
    /// Number of the newest lease; a report must carry it.
    pub lease: i64,
    /// Who holds or held it.
    pub leased_by: Option<String>,
    /// Until when it is held.
    pub lease_until: Option<TimeUs>,
    /// What came out.
    pub result: Option<serde_json::Value>,
    /// What went wrong last.
    pub error: Option<String>,
    /// When it was enqueued.
    pub created_at: TimeUs,
    /// When it last changed.
    pub updated_at: TimeUs,
}

impl Casework {
    /// Enqueues work; gives the job that already does it when there is one.
    pub async fn enqueue(&self, org: OrgId, new: &NewJob, now: TimeUs) -> Result<Job> {
        let mut tx = self.begin().await?;
        tx.run(insert_job(JobId::new(now, self.random()), org, new, now)).await?;
        let row = tx
            .maybe(
                query("SELECT * FROM job WHERE org_id = $1 AND kind = $2 AND dedupe = $3")
                    .bind(org.to_string())
                    .bind(new.kind.clone())
                    .bind(new.dedupe.clone()),
            )
            .await?
            .ok_or_else(|| CaseworkError::not_found("job", &new.dedupe))?;
        tx.commit().await?;
        job(&row)
    }

    /// Gives the oldest job of one of `kinds` that is ready to `worker`, for `for_secs` from `now`.
    pub async fn lease(
        &self,
        kinds: &[&str],
        worker: &str,
        now: TimeUs,
        for_secs: i64,
    ) -> Result<Option<Job>> {
        let mut tx = self.begin().await?;
        // A worker that died at its last attempt leaves a job nobody may take: it has failed.
        tx.run(
            query(
                "UPDATE job SET state = 'failed', error = 'the last attempt did not report back', updated_us = $1
                 WHERE state = 'leased' AND lease_until_us <= $1 AND attempts >= attempts_max",
            )
            .bind(now.micros()),
        )
        .await?;
        // Of two hubs that chose the same job the second finds it taken, and looks for another.
        let mut row = None;
        while row.is_none() && tx.maybe(ready_job(kinds, worker, now)).await?.is_some() {
            row = tx.maybe(take_job(kinds, worker, now, for_secs)).await?;
        }
        tx.commit().await?;
        row.as_ref().map(job).transpose()
    }

    /// Gives `worker` the job again that it holds: it was restarted and does not know. For workers
    /// that do one job at a time.
    pub async fn lease_again(
        &self,
        kinds: &[&str],
        worker: &str,
        now: TimeUs,
        for_secs: i64,
    ) -> Result<Option<Job>> {
        let mut compose = taking(worker, now, for_secs);
        compose.text(
            " WHERE job_id = (SELECT job_id FROM job WHERE state = 'leased' AND attempts < attempts_max",
        );
        compose.push(" AND leased_by = ?", [worker]);
        compose.push_list(" AND kind IN ", kinds.to_vec());
        compose.text(" ORDER BY created_us, job_id LIMIT 1) AND state = 'leased' RETURNING *");
        let mut tx = self.begin().await?;
        let row = tx.maybe(compose.finish()).await?;
        tx.commit().await?;
        row.as_ref().map(job).transpose()
    }

    /// Keeps a lease for `for_secs` more; false when it is lost and the work must stop.
    pub async fn heartbeat(&self, held: &Job, now: TimeUs, for_secs: i64) -> Result<bool> {
        let mut tx = self.begin().await?;
        let kept = tx
            .run(
                query("UPDATE job SET lease_until_us = $1, updated_us = $2 WHERE job_id = $3 AND lease = $4 AND state = 'leased'")
                    .bind(now.plus_secs(for_secs).micros())
                    .bind(now.micros())
                    .bind(held.job_id.to_string())
                    .bind(held.lease),
            )
            .await?;
        tx.commit().await?;
        Ok(kept == 1)
    }

    /// Reports a job done; refused when the lease was lost.
    pub async fn complete(&self, held: &Job, result: &serde_json::Value, now: TimeUs) -> Result<()> {
        let mut tx = self.begin().await?;
        let changed = tx
            .run(
                query(
                    "UPDATE job SET state = 'done', result = $1, error = NULL, lease_until_us = NULL, updated_us = $2
                     WHERE job_id = $3 AND lease = $4 AND state = 'leased'",
                )
                .bind(result.to_string())
                .bind(now.micros())
                .bind(held.job_id.to_string())
                .bind(held.lease),
            )
            .await?;
        lease_lost(changed, held)?;
        tx.commit().await
    }

    /// Reports an attempt failed. The job waits `retry_secs` for the next one, or has failed when
    /// its attempts are used up. Gives the state it is in.
    pub async fn fail(&self, held: &Job, error: &str, now: TimeUs, retry_secs: i64) -> Result<JobState> {
        let state = if held.attempts >= held.attempts_max { JobState::Failed } else { JobState::Queued };
        let mut tx = self.begin().await?;
        let changed = tx
            .run(
                query(
                    "UPDATE job SET state = $1, error = $2, not_before_us = $3, lease_until_us = NULL, updated_us = $4
                     WHERE job_id = $5 AND lease = $6 AND state = 'leased'",
                )
                .bind(state.as_str())
                .bind(storable(error))
                .bind(now.plus_secs(retry_secs).micros())
                .bind(now.micros())
                .bind(held.job_id.to_string())
                .bind(held.lease),
            )
            .await?;
        lease_lost(changed, held)?;
        tx.commit().await?;
        Ok(state)
    }

    /// Puts a job back that was leased a moment ago and cannot be worked on yet: it counts as no
    /// attempt, and waits for `for_secs`.
    pub async fn put_back(&self, held: &Job, now: TimeUs, for_secs: i64) -> Result<()> {
        let mut tx = self.begin().await?;
        let changed = tx
            .run(
                query(
                    "UPDATE job SET state = 'queued', attempts = attempts - 1, not_before_us = $1, lease_until_us = NULL, updated_us = $2
                     WHERE job_id = $3 AND lease = $4 AND state = 'leased'",
                )
                .bind(now.plus_secs(for_secs).micros())
                .bind(now.micros())
                .bind(held.job_id.to_string())
                .bind(held.lease),
            )
            .await?;
        lease_lost(changed, held)?;
        tx.commit().await
    }

    /// Takes a job back; a worker that holds it learns at its next heartbeat.
    pub async fn cancel_job(&self, org: OrgId, id: JobId, now: TimeUs) -> Result<()> {
        let mut tx = self.begin().await?;
        tx.run(
            query(
                "UPDATE job SET state = 'cancelled', lease_until_us = NULL, updated_us = $1
                 WHERE org_id = $2 AND job_id = $3 AND state IN ('queued', 'leased')",
            )
            .bind(now.micros())
            .bind(org.to_string())
            .bind(id.to_string()),
        )
        .await?;
        tx.commit().await
    }

    /// One job.
    pub async fn job(&self, org: OrgId, id: JobId) -> Result<Job> {
        let row = self
            .maybe(
                query("SELECT * FROM job WHERE org_id = $1 AND job_id = $2")
                    .bind(org.to_string())
                    .bind(id.to_string()),
            )
            .await?
            .ok_or_else(|| CaseworkError::not_found("job", id))?;
        job(&row)
    }

    /// Jobs, newest first.
    pub async fn jobs(&self, org: OrgId, state: Option<JobState>, page: &PageRequest) -> Result<Page<Job>> {
        let mut compose = Compose::new("SELECT * FROM job WHERE 1 = 1");
        compose.push(" AND org_id = ?", [org.to_string()]);
        if let Some(state) = state {
            compose.push(" AND state = ?", [state.as_str()]);
        }
        if let Some(after) = &page.after {
            compose.push(" AND job_id < ?", [after.clone()]);
        }
        compose.push(" ORDER BY job_id DESC LIMIT ?", [Value::Int(page.fetch())]);
        let jobs = self.rows(compose.finish()).await?.iter().map(job).collect::<Result<_>>()?;
        Ok(Page::of(jobs, page, |job: &Job| job.job_id.to_string()))
    }
}

/// Waiting, or held by a lease that ran out.
const READY: &str = " (state = 'queued' AND not_before_us <= ? OR state = 'leased' AND lease_until_us <= ?)";

fn ready_job(kinds: &[&str], worker: &str, now: TimeUs) -> Query {
    let mut compose = Compose::new("SELECT job_id FROM job WHERE");
    push_ready(&mut compose, kinds, worker, now);
    compose.finish()
}

fn take_job(kinds: &[&str], worker: &str, now: TimeUs, for_secs: i64) -> Query {
    let mut compose = taking(worker, now, for_secs);
    compose.text(" WHERE job_id = (SELECT job_id FROM job WHERE");
    push_ready(&mut compose, kinds, worker, now);
    // Said twice: the second hub to take a job looks again once the first has committed.
    compose.text(") AND");
    compose.push(READY, [now.micros(), now.micros()]);
    compose.text(" RETURNING *");
    compose.finish()
}

fn taking(worker: &str, now: TimeUs, for_secs: i64) -> Compose {
    let mut compose =
        Compose::new("UPDATE job SET state = 'leased', attempts = attempts + 1, lease = lease + 1");
    compose.push(
        ", leased_by = ?, lease_until_us = ?, updated_us = ?",
        [worker.into(), Value::Int(now.plus_secs(for_secs).micros()), Value::Int(now.micros())],
    );
    compose
}

fn push_ready(compose: &mut Compose, kinds: &[&str], worker: &str, now: TimeUs) {
    compose.push(READY, [now.micros(), now.micros()]);
    compose.push_list(" AND kind IN ", kinds.to_vec());
    compose.push(
        " AND (NOT EXISTS (SELECT 1 FROM job_worker WHERE job_worker.job_id = job.job_id)
           OR EXISTS (SELECT 1 FROM job_worker WHERE job_worker.job_id = job.job_id AND job_worker.worker = ?))",
        [worker],
    );
    compose.text(" ORDER BY created_us, job_id LIMIT 1");
}

pub(crate) fn insert_job(id: JobId, org: OrgId, new: &NewJob, now: TimeUs) -> Query {
    query(
        "INSERT INTO job (job_id, org_id, kind, dedupe, payload, state, attempts, attempts_max, not_before_us, lease, created_us, updated_us)
         VALUES ($1, $2, $3, $4, $5, 'queued', 0, $6, $7, 0, $8, $8) ON CONFLICT (org_id, kind, dedupe) DO NOTHING",
    )
    .bind(id.to_string())
    .bind(org.to_string())
    .bind(new.kind.clone())
    .bind(new.dedupe.clone())
    .bind(new.payload.to_string())
    .bind(new.attempts_max.max(1))
    .bind(new.not_before.micros())
    .bind(now.micros())
}

fn lease_lost(changed: u64, held: &Job) -> Result<()> {
    if changed == 1 {
        return Ok(());
    }
    Err(CaseworkError::Conflict(format!(
        "the lease {} of job {} was lost: somebody else has it",
        held.lease, held.job_id
    )))
}

pub(crate) fn job(row: &AnyRow) -> Result<Job> {
    let maybe_json = |column: &str| match row.maybe_text(column)? {
        Some(_) => row.json(column).map(Some),
        None => Ok(None),
    };
    Ok(Job {
        job_id: row.word("job_id")?,
        org_id: row.word("org_id")?,
        kind: row.text("kind")?,
        dedupe: row.text("dedupe")?,
        payload: row.json("payload")?,
        state: row.word("state")?,
        attempts: row.int("attempts")?,
        attempts_max: row.int("attempts_max")?,
        lease: row.int("lease")?,
        leased_by: row.maybe_text("leased_by")?,
        lease_until: row.maybe_time("lease_until_us")?,
        result: maybe_json("result")?,
        error: row.maybe_text("error")?,
        created_at: row.time("created_us")?,
        updated_at: row.time("updated_us")?,
    })
}
