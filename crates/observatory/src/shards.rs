//! The hub's side of surveys: divided into shards, given out on leases, finished when every slice
//! has come.

use kenshin_casework::{Job, JobState, NewJob, NewShard, SurveyState};
use kenshin_mandate::{Refusal, VerifiedMandate, standing};
use kenshin_observation::{Check, JobId, SensorId, SurveyId};
use kenshin_survey::plan::SurveyPlan;
use kenshin_survey::progress::Progress;
use kenshin_survey::run::front::miss::MissEstimate;
use kenshin_survey::run::{Ending, RunSummary};
use kenshin_survey::slices::SliceSet;
use kenshin_survey::space::Shard;
use serde::{Deserialize, Serialize};

use crate::Observatory;
use crate::error::ActError;
use crate::hub::{Held, Lease, Pulse, ShardEnd};

/// Kind of job that a sensor takes.
const SURVEY: &str = "survey";
/// Parts of a survey at most.
pub const SHARDS_MAX: u32 = 1_000;
/// How often a part is given out at most, a sensor's restarts included.
const ATTEMPTS_MAX: i64 = 100;
/// Jobs of ended surveys that are put away while one is looked for.
const PUT_AWAY_MAX: u32 = 1_000;
/// Targets of a slice at most when other machines than the hub's work on it: its batch has to travel.
const TRAVELLING_TARGETS_MAX: u64 = 1 << 17;
/// Newest surveys among which finished ones are looked for that nobody has assessed.
const ASSESS_WITHIN: u32 = 50;

/// What a survey job says.
#[derive(Debug, Serialize, Deserialize)]
struct SurveyJob {
    survey_id: SurveyId,
    #[serde(default = "whole")]
    shard: Shard,
}

fn whole() -> Shard {
    Shard::WHOLE
}

/// The name under which a sensor takes jobs.
pub(crate) fn worker_name(sensor: SensorId) -> String {
    format!("sensor:{sensor}")
}

impl Observatory {
    /// Hands a planned survey to the sensors of its mandate, in as many parts as in its last run.
    /// Gives the job of the first.
    pub async fn enqueue_survey(&self, id: SurveyId) -> Result<JobId, ActError> {
        let before = self.casework().shards(self.org(), id).await?;
        let jobs = self.enqueue_shards(id, u32::try_from(before.len()).unwrap_or(1).max(1)).await?;
        Ok(*jobs.first().expect("a survey has at least one shard"))
    }

    /// Goes on with a survey, whatever became of its last run: what is under way is left to those who
    /// hold it, of whom this machine may be one that died; anything else is handed out again.
    pub async fn resume_survey(&self, id: SurveyId) -> Result<(), ActError> {
        let (casework, org) = (self.casework(), self.org());
        if matches!(casework.survey(org, id).await?.state, SurveyState::Queued | SurveyState::Running) {
            let shards = casework.shards(org, id).await?;
            if shards.iter().any(|shard| matches!(shard.job.state, JobState::Queued | JobState::Leased)) {
                return Ok(());
            }
            // Its hub died between two steps: no part of it is with anybody.
            let reason = Some("its last part did not report back");
            casework.set_survey_state(org, id, SurveyState::Stopped, reason, self.now()).await?;
        }
        self.enqueue_survey(id).await.map(drop)
    }

    /// Hands a planned survey to the sensors of its mandate in `count` parts, from 1 to
    /// [`SHARDS_MAX`].
    pub async fn enqueue_shards(&self, id: SurveyId, count: u32) -> Result<Vec<JobId>, ActError> {
        if count == 0 || count > SHARDS_MAX {
            return Err(ActError::input(format!("a survey has from 1 to {SHARDS_MAX} shards, not {count}")));
        }
        let now = self.now();
        let (_, plan) = self.stored_plan(id).await?;
        let space = plan.space().map_err(|e| ActError::outside("the plan has no target space", e))?;
        let mandate = self.authority().mandate(&plan.mandate_id, now)?;
        check_travels(&plan, &mandate, count)?;
        let workers: Vec<String> = mandate.sensors.iter().map(|sensor| worker_name(sensor.id)).collect();
        let count = u64::from(count);
        let mut shards = Vec::new();
        for index in 0..count {
            let payload = serde_json::to_value(SurveyJob { survey_id: id, shard: Shard { index, count } })
                .map_err(|error| ActError::outside("failed to write the job", error))?;
            let job = NewJob {
                kind: SURVEY.to_owned(),
                // A survey that is resumed is new work; what is done already is known by its slices.
                dedupe: format!("{id}@{now}/{index}"),
                payload,
                attempts_max: ATTEMPTS_MAX,
                not_before: now,
            };
            let targets_total = space.targets_of(Shard { index, count });
            let as_i64 = |number: u64| i64::try_from(number).expect("at most SHARDS_MAX");
            shards.push(NewShard {
                index: as_i64(index),
                count: as_i64(count),
                progress: json(&Progress { targets_total, ..Progress::default() }),
                job,
                workers: workers.clone(),
            });
        }
        self.casework().set_survey_state(self.org(), id, SurveyState::Queued, None, now).await?;
        Ok(self.casework().enqueue_shards(self.org(), id, &shards, now).await?)
    }

    /// Asks for a running survey to be stopped; sensors obey at their next report.
    pub async fn stop_survey(&self, id: SurveyId) -> Result<(), ActError> {
        let reason = Some("stopped by hand");
        Ok(self.casework().set_survey_state(self.org(), id, SurveyState::Stopped, reason, self.now()).await?)
    }

    /// The part of a survey that a sensor holds, or the oldest that waits for it.
    pub async fn lease_shard(&self, sensor: SensorId) -> Result<Option<Lease>, ActError> {
        self.lease_shard_unless(sensor, |_| false).await
    }

    /// The same for a sensor apart from the hub, which would ask again and again: what may not be
    /// sent at the moment, by what the hub knows, stays in the queue and costs no attempt.
    pub async fn lease_shard_apart(&self, sensor: SensorId) -> Result<Option<Lease>, ActError> {
        self.lease_shard_unless(sensor, |mandate_id| self.must_wait(mandate_id)).await
    }

    /// True when a mandate lets nothing be sent now, and may again. What cannot be read or verified
    /// here is the sensor's to judge.
    fn must_wait(&self, mandate_id: &str) -> bool {
        let (authority, now) = (self.authority(), self.now());
        let judged = || {
            let mandate = authority.mandate(mandate_id, now)?;
            let list = authority.revocation(&mandate, &authority.roots()?, now)?;
            Ok::<_, ActError>(standing(&mandate, list.as_ref(), &authority.narrowing()?, now))
        };
        matches!(
            judged(),
            Ok(Err(Refusal::RevocationMissing
                | Refusal::RevocationStale { .. }
                | Refusal::RevocationAhead { .. }
                | Refusal::WindowClosed { opens: Some(_) }
                | Refusal::NotYetValid { .. }))
        )
    }

    async fn lease_shard_unless(
        &self,
        sensor: SensorId,
        must_wait: impl Fn(&str) -> bool,
    ) -> Result<Option<Lease>, ActError> {
        let (casework, org, worker) = (self.casework(), self.org(), worker_name(sensor));
        let for_s = self.settings().sensors.lease_s;
        for (stalled, error) in casework.stalled_surveys(org).await? {
            casework.set_survey_state(org, stalled, SurveyState::Stopped, Some(&error), self.now()).await?;
        }
        for _ in 0..PUT_AWAY_MAX {
            let now = self.now();
            let held = casework.lease_again(&[SURVEY], &worker, now, for_s.into()).await?;
            let leased = match held {
                Some(job) => Some(job),
                None => casework.lease(&[SURVEY], &worker, now, for_s.into()).await?,
            };
            let Some(job) = leased else { return Ok(None) };
            let SurveyJob { survey_id, shard } = read_payload(&job)?;
            let (survey, plan) = self.stored_plan(survey_id).await?;
            if !matches!(survey.state, SurveyState::Queued | SurveyState::Running) {
                casework.cancel_job(org, job.job_id, now).await?;
                continue;
            }
            if must_wait(&plan.mandate_id) {
                let retry_s = i64::from(self.settings().sensors.retry_s);
                casework.put_back(&job, now, retry_s.max(1)).await?;
                return Ok(None);
            }
            casework.set_survey_state(org, survey_id, SurveyState::Running, None, now).await?;
            if plan.checks.contains(&Check::CredentialCheck) {
                // The journal of attempts is on that sensor's disk: nobody else may repeat them.
                casework.bind_job(org, job.job_id, &worker).await?;
            }
            let done = self.slices_done(survey_id).await?;
            return Ok(Some(Lease {
                held: Held { job_id: job.job_id, lease: job.lease },
                for_s,
                survey_id,
                shard,
                mandate_id: plan.mandate_id.clone(),
                plan,
                done: done.runs().map(|run| (run.start, run.end)).collect(),
            }));
        }
        Ok(None)
    }

    /// A sensor's report: keeps its lease and says whether it must stop.
    pub async fn pulse_shard(
        &self,
        sensor: SensorId,
        held: Held,
        progress: &Progress,
    ) -> Result<Pulse, ActError> {
        let casework = self.casework();
        let lost = Pulse { keep: false, stop: true, papers: String::new() };
        let Some(job) = self.held_job(sensor, held).await? else { return Ok(lost) };
        let for_s = self.settings().sensors.lease_s;
        if !casework.heartbeat(&job, self.now(), for_s.into()).await? {
            return Ok(lost);
        }
        let survey_id = read_payload(&job)?.survey_id;
        self.note_progress(survey_id, &job, progress).await?;
        let survey = casework.survey(self.org(), survey_id).await?;
        let stop = !matches!(survey.state, SurveyState::Queued | SurveyState::Running);
        let papers = self.authority().papers_tag()?;
        Ok(Pulse { keep: true, stop, papers })
    }

    /// A sensor's last word on a part. Gives the survey; it is finished when every slice has come.
    pub async fn end_shard(
        &self,
        sensor: SensorId,
        held: Held,
        end: &ShardEnd,
    ) -> Result<SurveyId, ActError> {
        let (casework, org) = (self.casework(), self.org());
        let Some(job) = self.held_job(sensor, held).await? else {
            return Err(ActError::no(format!("job {} is not held by sensor {sensor}", held.job_id)));
        };
        let SurveyJob { survey_id, shard } = read_payload(&job)?;
        let summary = match end {
            ShardEnd::Failed { error } => {
                let retry_s = i64::from(self.settings().sensors.retry_s);
                if casework.fail(&job, error, self.now(), retry_s).await? == JobState::Failed {
                    let state = SurveyState::Stopped;
                    casework.set_survey_state(org, survey_id, state, Some(error), self.now()).await?;
                }
                return Ok(survey_id);
            }
            ShardEnd::Ran { summary } => summary.as_ref(),
        };
        let (_, plan) = self.stored_plan(survey_id).await?;
        let slices = plan.space().map_err(|e| ActError::outside("the plan has no target space", e))?.slices();
        let done = self.slices_done(survey_id).await?;
        if summary.ending == Ending::Finished {
            let missing = (0..slices).filter(|slice| shard.holds(*slice) && !done.contains(*slice)).count();
            if missing > 0 {
                return Err(ActError::no(format!(
                    "shard {} of {} of survey {survey_id} is not finished: {missing} of its slices have not come",
                    shard.index, shard.count
                )));
            }
        }
        self.note_progress(survey_id, &job, &summary.progress).await?;
        let reason = ended(summary);
        // Before the last job is complete: a crash in between leaves a job that nobody needs, and not a
        // survey that nobody finishes.
        if reason.is_none() && done.len() == slices {
            casework.set_survey_state(org, survey_id, SurveyState::Finished, None, self.now()).await?;
        }
        let result = serde_json::to_value(summary).unwrap_or_default();
        casework.complete(&job, &result, self.now()).await?;
        if let Some(reason) = reason {
            let state = SurveyState::Stopped;
            casework.set_survey_state(org, survey_id, state, Some(&reason), self.now()).await?;
        }
        Ok(survey_id)
    }

    /// Assesses what is finished and was not assessed: the last batch of a survey may have come from
    /// a sensor far away, or the hub may have died in between. Gives how many were.
    pub async fn assess_finished(&self) -> Result<usize, ActError> {
        let newest = kenshin_casework::PageRequest { after: None, limit: ASSESS_WITHIN };
        let mut assessed = 0;
        for survey in self.casework().surveys(self.org(), None, &newest).await?.items {
            if survey.state == SurveyState::Finished && survey.assessed_at.is_none() {
                assessed += usize::from(self.assess(survey.survey_id).await?.is_some());
            }
        }
        Ok(assessed)
    }

    /// Slices of a survey that are in the lake.
    async fn slices_done(&self, id: SurveyId) -> Result<SliceSet, ActError> {
        let slices = self.casework().slices_committed(id).await?;
        Ok(slices.into_iter().filter_map(|slice| u64::try_from(slice).ok()).collect())
    }

    /// The job by the lease that a sensor states; `None` when another one holds it.
    async fn held_job(&self, sensor: SensorId, held: Held) -> Result<Option<Job>, ActError> {
        let job = self.casework().job(self.org(), held.job_id).await?;
        let holds = job.leased_by.as_deref() == Some(worker_name(sensor).as_str());
        Ok(holds.then_some(Job { lease: held.lease, ..job }))
    }

    async fn note_progress(&self, id: SurveyId, job: &Job, progress: &Progress) -> Result<(), ActError> {
        let (casework, org) = (self.casework(), self.org());
        casework.report_shard(job.job_id, &json(progress)).await?;
        let shards = casework.shards(org, id).await?;
        let parts =
            shards.into_iter().map(|shard| serde_json::from_value(shard.progress).unwrap_or_default());
        Ok(casework.set_survey_progress(org, id, &json(&together(id, parts))).await?)
    }
}

fn read_payload(job: &Job) -> Result<SurveyJob, ActError> {
    serde_json::from_value(job.payload.clone())
        .map_err(|error| ActError::outside("the payload of a survey job cannot be read", error))
}

fn json(progress: &Progress) -> serde_json::Value {
    serde_json::to_value(progress).expect("progress serialises to JSON")
}

/// Why a survey stops with this part; `None` when it does not.
fn ended(summary: &RunSummary) -> Option<String> {
    match &summary.ending {
        Ending::Finished => None,
        Ending::Stopped => Some("stopped by hand".to_owned()),
        Ending::Paused { code } | Ending::Ended { code } => {
            Some(format!("the mandate lets nothing be sent: {code}"))
        }
    }
}

/// Refuses slices whose batches would be too large to travel.
fn check_travels(plan: &SurveyPlan, mandate: &VerifiedMandate, count: u32) -> Result<(), ActError> {
    let targets = u64::from(plan.manner.slice_addresses) * plan.all_ports().len() as u64;
    if (count > 1 || mandate.sensors.len() > 1) && targets > TRAVELLING_TARGETS_MAX {
        return Err(ActError::input(format!(
            "slices of {targets} targets are too large to be sent by a sensor, at most {TRAVELLING_TARGETS_MAX}"
        ))
        .with_hint("survey fewer ports at a time"));
    }
    Ok(())
}

/// True when so much can have been asked: sums of it do not overflow.
fn believable(miss: &MissEstimate) -> bool {
    const MOST: u64 = 1 << 40;
    let MissEstimate { asked, missed, canary_asked, canary_missed, .. } = *miss;
    missed <= asked && asked < MOST && canary_missed <= canary_asked && canary_asked < MOST
}

/// The progress of a survey from that of its parts.
fn together(id: SurveyId, parts: impl Iterator<Item = Progress>) -> Progress {
    let mut sum = Progress { survey_id: Some(id), ended: true, ..Progress::default() };
    for part in parts {
        // A report may say anything.
        for (sum, part) in [
            (&mut sum.targets_total, part.targets_total),
            (&mut sum.targets_done, part.targets_done),
            (&mut sum.slices_total, part.slices_total),
            (&mut sum.slices_done, part.slices_done),
            (&mut sum.sent, part.sent),
            (&mut sum.answered, part.answered),
            (&mut sum.refused, part.refused),
            (&mut sum.silent, part.silent),
            (&mut sum.limited, part.limited),
            (&mut sum.conversations, part.conversations),
            (&mut sum.dropped, part.dropped),
            (&mut sum.missed_by_kernel, part.missed_by_kernel),
            (&mut sum.late, part.late),
            (&mut sum.repeated, part.repeated),
        ] {
            *sum = sum.saturating_add(part);
        }
        for (protocol, count) in part.hits {
            let known = sum.hits.entry(protocol).or_default();
            *known = known.saturating_add(count);
        }
        sum.rate_pps += if part.ended { 0.0 } else { part.rate_pps };
        sum.eta_s = sum.eta_s.max(part.eta_s);
        sum.waiting = sum.waiting.or(part.waiting);
        sum.slowed = sum.slowed.or(part.slowed);
        sum.miss = match (sum.miss, part.miss.filter(believable)) {
            (Some(known), Some(more)) => Some(known.merged(&more, sum.answered)),
            (known, more) => known.or(more),
        };
        sum.now_us = sum.now_us.max(part.now_us);
        sum.ended &= part.ended;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_progress_of_parts_adds_up_whatever_they_report() {
        let part = Progress {
            targets_total: 10,
            targets_done: 4,
            answered: 2,
            rate_pps: 5.0,
            eta_s: Some(3),
            miss: Some(MissEstimate::new(10, 1, 20, 1.0)),
            ..Progress::default()
        };
        let over = Progress { ended: true, eta_s: None, ..part.clone() };
        let sum = together(SurveyId::from_bits(1), [part.clone(), over].into_iter());
        assert_eq!((sum.targets_total, sum.targets_done, sum.rate_pps, sum.eta_s), (20, 8, 5.0, Some(3)));
        assert_eq!(sum.miss.map(|miss| (miss.asked, miss.missed)), Some((20, 2)));
        assert!(!sum.ended);
        let most = MissEstimate { asked: u64::MAX, missed: u64::MAX, ..MissEstimate::default() };
        let hostile = Progress { sent: u64::MAX, targets_done: u64::MAX, miss: Some(most), ..part.clone() };
        let sum = together(SurveyId::from_bits(1), [part, hostile.clone(), hostile].into_iter());
        assert_eq!((sum.sent, sum.miss.map(|miss| miss.asked)), (u64::MAX, Some(10)));
        assert!(together(SurveyId::from_bits(1), std::iter::empty()).ended);
    }
}
