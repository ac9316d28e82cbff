//! Shards: the parts of a survey's present run, each a job that one sensor holds at a time.

use kenshin_observation::{JobId, OrgId, SurveyId, TimeUs};
use sqlx::any::AnyRow;

use crate::error::{CaseworkError, Result};
use crate::jobs::{Job, JobState, NewJob, insert_job, job};
use crate::store::{Casework, Columns, query};

/// One part of a survey, to be enqueued.
#[derive(Debug, Clone)]
pub struct NewShard {
    /// Which part, below `count`.
    pub index: i64,
    /// Number of parts.
    pub count: i64,
    /// Progress before the first report.
    pub progress: serde_json::Value,
    /// The job that does it.
    pub job: NewJob,
    /// Who may take it; empty for anybody.
    pub workers: Vec<String>,
}

/// One part of a survey's present run.
#[derive(Debug, Clone, PartialEq)]
pub struct Shard {
    /// Which part, below `count`.
    pub index: i64,
    /// Number of parts.
    pub count: i64,
    /// Its newest progress report.
    pub progress: serde_json::Value,
    /// The job that does it.
    pub job: Job,
}

impl Casework {
    /// Makes these shards the present run of a survey. Jobs of an earlier run are taken back: a
    /// worker that holds one learns at its next heartbeat.
    pub async fn enqueue_shards(
        &self,
        org: OrgId,
        survey: SurveyId,
        shards: &[NewShard],
        now: TimeUs,
    ) -> Result<Vec<JobId>> {
        let mut tx = self.begin().await?;
        tx.run(
            query(
                "UPDATE job SET state = 'cancelled', lease_until_us = NULL, updated_us = $1
                 WHERE state IN ('queued', 'leased') AND job_id IN (SELECT job_id FROM shard WHERE survey_id = $2)",
            )
            .bind(now.micros())
            .bind(survey.to_string()),
        )
        .await?;
        tx.run(query("DELETE FROM shard WHERE survey_id = $1").bind(survey.to_string())).await?;
        let mut ids = Vec::with_capacity(shards.len());
        for shard in shards {
            let id = JobId::new(now, self.random());
            if tx.run(insert_job(id, org, &shard.job, now)).await? == 0 {
                return Err(CaseworkError::Conflict(format!(
                    "survey {survey} was enqueued at the same instant"
                )));
            }
            tx.run(
                query(
                    "INSERT INTO shard (job_id, org_id, survey_id, shard_index, shard_count, progress) VALUES ($1, $2, $3, $4, $5, $6)",
                )
                .bind(id.to_string())
                .bind(org.to_string())
                .bind(survey.to_string())
                .bind(shard.index)
                .bind(shard.count)
                .bind(shard.progress.to_string()),
            )
            .await?;
            for worker in &shard.workers {
                tx.run(
                    query("INSERT INTO job_worker (org_id, job_id, worker) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
                        .bind(org.to_string())
                        .bind(id.to_string())
                        .bind(worker.clone()),
                )
                .await?;
            }
            ids.push(id);
        }
        tx.commit().await?;
        Ok(ids)
    }

    /// The shards of a survey's present run, in order.
    pub async fn shards(&self, org: OrgId, survey: SurveyId) -> Result<Vec<Shard>> {
        let rows = self
            .rows(
                query(
                    "SELECT job.*, shard.shard_index, shard.shard_count, shard.progress FROM shard JOIN job ON job.job_id = shard.job_id
                     WHERE shard.org_id = $1 AND shard.survey_id = $2 ORDER BY shard.shard_index",
                )
                .bind(org.to_string())
                .bind(survey.to_string()),
            )
            .await?;
        rows.iter().map(shard).collect()
    }

    /// Keeps the newest progress report of a shard.
    pub async fn report_shard(&self, id: JobId, progress: &serde_json::Value) -> Result<()> {
        let mut tx = self.begin().await?;
        tx.run(
            query("UPDATE shard SET progress = $1 WHERE job_id = $2")
                .bind(progress.to_string())
                .bind(id.to_string()),
        )
        .await?;
        tx.commit().await
    }

    /// From now on only `worker` may take the job: what it keeps on its own disk must not be done
    /// by another.
    pub async fn bind_job(&self, org: OrgId, id: JobId, worker: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        tx.run(
            query("DELETE FROM job_worker WHERE job_id = $1 AND worker <> $2")
                .bind(id.to_string())
                .bind(worker.to_owned()),
        )
        .await?;
        tx.run(
            query(
                "INSERT INTO job_worker (org_id, job_id, worker) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            )
            .bind(org.to_string())
            .bind(id.to_string())
            .bind(worker.to_owned()),
        )
        .await?;
        tx.commit().await
    }

    /// Surveys under way of which a shard has failed for good, each with the reason.
    pub async fn stalled_surveys(&self, org: OrgId) -> Result<Vec<(SurveyId, String)>> {
        let rows = self
            .rows(
                query(
                    "SELECT shard.survey_id AS survey_id, MIN(job.error) AS error FROM shard
                     JOIN job ON job.job_id = shard.job_id JOIN survey ON survey.survey_id = shard.survey_id
                     WHERE shard.org_id = $1 AND job.state = $2 AND survey.state IN ('queued', 'running')
                     GROUP BY shard.survey_id",
                )
                .bind(org.to_string())
                .bind(JobState::Failed.as_str()),
            )
            .await?;
        rows.iter()
            .map(|row| Ok((row.word("survey_id")?, row.maybe_text("error")?.unwrap_or_default())))
            .collect()
    }
}

fn shard(row: &AnyRow) -> Result<Shard> {
    Ok(Shard {
        index: row.int("shard_index")?,
        count: row.int("shard_count")?,
        progress: row.json("progress")?,
        job: job(row)?,
    })
}
