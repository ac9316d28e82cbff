//! A sensor at work: leases survey jobs, runs them, and moves sealed batches from the spool to the
//! lake. On one machine it is a task of the hub; by itself it is `kenshin sensor`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kenshin_casework::{AssessmentSummary, Job, NewJob, SurveyState};
use kenshin_mandate::{Gate, RevocationList, VerifiedMandate};
use kenshin_observation::{JobId, SurveyId, TimeUs};
use kenshin_survey::logbook::LogError;
use kenshin_survey::plan::SurveyPlan;
use kenshin_survey::progress::Progress;
use kenshin_survey::run::{Ending, Refresh, Run, RunError, RunSummary, Settings, SharedGate, run};
use kenshin_survey::space::Shard;
use kenshin_survey::spool::{Spool, SpoolError};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::error::ActError;
use crate::{Authority, Observatory};

/// Kind of job that a sensor takes.
const SURVEY: &str = "survey";
/// How long a lease holds without a heartbeat, in seconds.
const LEASE_S: i64 = 60;
/// How often a sensor says that it is alive, looks whether it must stop, and reports progress.
const PULSE: Duration = Duration::from_millis(500);
/// Most bytes of batches that wait for the lake.
const SPOOL_BYTES_MAX: u64 = 4 << 30;
/// Most batches committed together.
const COMMIT_BATCHES_MAX: usize = 16;

/// What a survey job says.
#[derive(Debug, Serialize, Deserialize)]
struct SurveyJob {
    survey_id: SurveyId,
}

/// How a job of a survey ended.
#[derive(Debug, Clone, Serialize)]
pub struct SurveyEnd {
    /// The survey.
    pub survey_id: SurveyId,
    /// What the engine came to.
    pub run: RunSummary,
    /// What the assessment did; `None` unless every target has its final outcome.
    pub assessment: Option<AssessmentSummary>,
}

impl Observatory {
    /// Hands a planned survey to the sensors.
    pub async fn enqueue_survey(&self, id: SurveyId) -> Result<JobId, ActError> {
        let now = self.now();
        self.casework().set_survey_state(self.org(), id, SurveyState::Queued, None, now).await?;
        let payload = serde_json::to_value(SurveyJob { survey_id: id })
            .map_err(|error| ActError::outside("failed to write the job", error))?;
        let job = NewJob {
            kind: SURVEY.to_owned(),
            // A survey that is resumed is new work; the sensor's journal knows what is done.
            dedupe: format!("{id}@{now}"),
            payload,
            attempts_max: 3,
            not_before: now,
        };
        Ok(self.casework().enqueue(self.org(), &job, now).await?.job_id)
    }

    /// Asks for a running survey to be stopped; the sensor obeys within a second.
    pub async fn stop_survey(&self, id: SurveyId) -> Result<(), ActError> {
        let reason = Some("stopped by hand");
        Ok(self.casework().set_survey_state(self.org(), id, SurveyState::Stopped, reason, self.now()).await?)
    }
}

/// Says that a run is over, however it ended, to what still reads lists for it.
struct Over(Arc<AtomicBool>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A sensor at work on one spool.
pub struct Worker {
    observatory: Observatory,
    spool: Spool,
    name: String,
    /// One gate a mandate, however many surveys run under it: rates are counted there.
    gates: HashMap<String, SharedGate>,
}

impl Worker {
    /// Opens the spool of the home. Only one process can hold it.
    pub fn open(observatory: &Observatory) -> Result<Self, ActError> {
        let dir = observatory.home().spool();
        let edge = observatory.edge();
        let spool =
            Spool::open(&dir, SPOOL_BYTES_MAX, edge.now(), edge.seed()).map_err(|error| match error {
                SpoolError::Log(LogError::Locked { .. }) => ActError::no(error.to_string())
                    .with_hint("another kenshin works on this home: let it do the work, or stop it first"),
                other => ActError::outside(format!("failed to open the spool `{}`", dir.display()), other),
            })?;
        let name = format!("sensor:{}", spool.sensor().id);
        Ok(Self { observatory: observatory.clone(), spool, name, gates: HashMap::new() })
    }

    /// The home that it works for.
    pub(crate) fn observatory(&self) -> &Observatory {
        &self.observatory
    }

    /// The spool, for those who look at it.
    pub fn spool(&self) -> &Spool {
        &self.spool
    }

    /// Takes the oldest survey job and works on it to its end. `None` when there is no job.
    ///
    /// `progress` is told several times a second; `stop` turning true stops the survey resumably.
    pub async fn work_once(
        &mut self,
        progress: &watch::Sender<Progress>,
        stop: &watch::Receiver<bool>,
    ) -> Result<Option<SurveyEnd>, ActError> {
        // What an earlier run sealed and did not hand over comes first.
        self.ingest().await?;
        let now = self.observatory.now();
        let observatory = self.observatory.clone();
        let casework = observatory.casework();
        let Some(job) = casework.lease(&[SURVEY], &self.name, now, LEASE_S).await? else { return Ok(None) };
        match self.work_on(&job, progress, stop).await {
            Ok(end) => {
                let result = serde_json::to_value(&end).unwrap_or_default();
                casework.complete(&job, &result, self.observatory.now()).await?;
                Ok(Some(end))
            }
            Err(error) => {
                let state = casework.fail(&job, &error.to_string(), self.observatory.now(), 30).await?;
                if let (kenshin_casework::JobState::Failed, Ok(SurveyJob { survey_id })) =
                    (state, serde_json::from_value(job.payload.clone()))
                {
                    let (org, now) = (self.observatory.org(), self.observatory.now());
                    let reason = error.to_string();
                    casework
                        .set_survey_state(org, survey_id, SurveyState::Stopped, Some(&reason), now)
                        .await?;
                }
                Err(error)
            }
        }
    }

    async fn work_on(
        &mut self,
        job: &Job,
        progress: &watch::Sender<Progress>,
        stop: &watch::Receiver<bool>,
    ) -> Result<SurveyEnd, ActError> {
        let SurveyJob { survey_id } = serde_json::from_value(job.payload.clone())
            .map_err(|error| ActError::outside("the payload of a survey job cannot be read", error))?;
        let observatory = self.observatory.clone();
        let (casework, org) = (observatory.casework(), observatory.org());
        let (survey, plan) = observatory.stored_plan(survey_id).await?;
        if survey.state == SurveyState::Stopped {
            return Err(ActError::no(format!("survey {survey_id} was stopped before it began")));
        }
        let gate = self.gate(&plan)?;
        casework.set_survey_state(org, survey_id, SurveyState::Running, None, observatory.now()).await?;
        let (stop_here, stopped) = watch::channel(false);
        let over = Over(Arc::new(AtomicBool::new(false)));
        let (report, reported) = watch::channel(Progress::default());
        let settings = Settings {
            seed: observatory.edge().seed(),
            shard: Shard::WHOLE,
            refresh: Some(self.refresh(&plan, &over.0)),
            refresh_every: Duration::from_millis(300),
            patience: Duration::from_secs(3600),
            clock_error_us: None,
            dictionary: None,
        };
        let engine = run(Run {
            plan,
            gate,
            spool: self.spool.clone(),
            settings,
            clock: observatory.edge().clock(),
            progress: report,
            stop: stopped,
        });
        let mut engine = std::pin::pin!(engine);
        let mut pulse = tokio::time::interval(PULSE);
        pulse.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut beats = 0u32;
        let summary = loop {
            tokio::select! {
                ended = &mut engine => break ended,
                _ = pulse.tick() => {
                    let now = observatory.now();
                    let state = reported.borrow().clone();
                    progress.send_replace(state.clone());
                    let stop_asked = *stop.borrow()
                        || casework.survey(org, survey_id).await?.state == SurveyState::Stopped
                        // Every tenth pulse the lease is renewed; one that was lost is somebody else's.
                        || (beats % 10 == 9 && !casework.heartbeat(job, now, LEASE_S).await?);
                    if stop_asked {
                        stop_here.send_replace(true);
                    }
                    let json = serde_json::to_value(&state).unwrap_or_default();
                    casework.set_survey_progress(org, survey_id, &json).await?;
                    beats += 1;
                    self.ingest().await?;
                }
            }
        };
        let summary = summary.map_err(|error| run_error(survey_id, error))?;
        self.ingest().await?;
        progress.send_replace(summary.progress.clone());
        let json = serde_json::to_value(&summary.progress).unwrap_or_default();
        casework.set_survey_progress(org, survey_id, &json).await?;
        let (state, reason) = match &summary.ending {
            Ending::Finished => (SurveyState::Finished, None),
            Ending::Stopped => (SurveyState::Stopped, Some("stopped by hand".to_owned())),
            Ending::Paused { code } | Ending::Ended { code } => {
                (SurveyState::Stopped, Some(format!("the mandate lets nothing be sent: {code}")))
            }
        };
        casework.set_survey_state(org, survey_id, state, reason.as_deref(), observatory.now()).await?;
        let assessment =
            if state == SurveyState::Finished { observatory.assess(survey_id).await? } else { None };
        Ok(SurveyEnd { survey_id, run: summary, assessment })
    }

    /// Moves what is sealed from the spool to the lake: verified, committed once, acknowledged.
    pub async fn ingest(&self) -> Result<usize, ActError> {
        let mut moved = 0;
        loop {
            let sequences: Vec<i64> =
                self.spool.pending_sequences().into_iter().take(COMMIT_BATCHES_MAX).collect();
            if sequences.is_empty() {
                return Ok(moved);
            }
            let (spool, wanted) = (self.spool.clone(), sequences.clone());
            let read = tokio::task::spawn_blocking(move || {
                let key = spool.sensor().public_key();
                wanted
                    .into_iter()
                    .map(|sequence| {
                        let batch = spool
                            .read(sequence)
                            .map_err(|e| ActError::outside("failed to read the spool", e))?;
                        batch.verify(&key).map_err(|e| {
                            ActError::outside(
                                format!("batch {sequence} of the spool is not what the sensor signed"),
                                e,
                            )
                        })?;
                        Ok(batch)
                    })
                    .collect::<Result<Vec<_>, ActError>>()
            });
            let batches =
                read.await.map_err(|error| ActError::outside("failed to read the spool", error))??;
            self.observatory.lake().await?.commit(&batches, self.observatory.now()).await?;
            for sequence in &sequences {
                self.spool
                    .ack(*sequence)
                    .map_err(|e| ActError::outside("failed to acknowledge a batch", e))?;
            }
            moved += sequences.len();
        }
    }

    fn gate(&mut self, plan: &SurveyPlan) -> Result<SharedGate, ActError> {
        let now = self.observatory.now();
        let authority = self.observatory.authority();
        let mandate = authority.mandate(&plan.mandate_id, now)?;
        if let Some(gate) = self.gates.get(mandate.digest()) {
            // It knows the lists of its last run; today's are read before it is asked again.
            let list = authority.revocation(&mandate, &authority.roots()?, now)?;
            let mut known = gate.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            known.narrow(&authority.narrowing()?);
            if let Some(list) = list {
                known
                    .refresh(list)
                    .map_err(|error| ActError::no(error.to_string()).with_hint(error.hint()))?;
            }
            drop(known);
            return Ok(gate.clone());
        }
        let digest = mandate.digest().to_owned();
        let last_sent = self.spool.last_sent(&digest, now);
        let gate: Gate = authority.gate(mandate, self.spool.sensor().id, last_sent, now)?;
        let shared = Arc::new(Mutex::new(gate));
        self.gates.insert(digest, shared.clone());
        Ok(shared)
    }

    /// Reads the lists again: a revocation acts within a second. A revocation list that cannot be
    /// read or verified does not make the gate forget what it knows, and goes stale by itself. A
    /// narrowing list that cannot be read holds everything up until it can, because nobody may
    /// believe that it applied: while this does not return, the engine uses no permit.
    fn refresh(&self, plan: &SurveyPlan, over: &Arc<AtomicBool>) -> Refresh {
        let authority = self.observatory.authority();
        let mandate_id = plan.mandate_id.clone();
        let over = over.clone();
        Arc::new(move |gate: &SharedGate, now: TimeUs| {
            let lists = read_lists(&authority, &mandate_id, now);
            let narrowing = loop {
                match authority.narrowing() {
                    Ok(narrowing) => break narrowing,
                    Err(error) => {
                        tracing::warn!(%error, "nothing is sent until the narrowing list can be read")
                    }
                }
                if over.load(Ordering::SeqCst) {
                    return;
                }
                std::thread::park_timeout(PULSE);
            };
            let mut gate = gate.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            gate.narrow(&narrowing);
            match lists {
                Ok(Some(list)) => {
                    if let Err(error) = gate.refresh(list) {
                        tracing::warn!(%error, "the revocation list was not taken");
                    }
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "the revocation list cannot be read"),
            }
        })
    }
}

fn read_lists(
    authority: &Authority,
    mandate_id: &str,
    now: TimeUs,
) -> Result<Option<RevocationList>, ActError> {
    let mandate: Arc<VerifiedMandate> = authority.mandate(mandate_id, now)?;
    authority.revocation(&mandate, &authority.roots()?, now)
}

fn run_error(survey_id: SurveyId, error: RunError) -> ActError {
    let message = format!("survey {survey_id}: {error}");
    match &error {
        RunError::Plan(_) | RunError::Refused(_) | RunError::OtherSensor { .. } | RunError::OtherKey(_) => {
            ActError::no(message)
        }
        _ if error.is_disk_full() => ActError::outside(message, error),
        _ => ActError::outside(message, error),
    }
}
