//! Running a survey: the one loop that asks the gate, the sweep and the probes, and seals slices.
//!
//! ```text
//!            slice begun (journal, synced)
//!  plan ──▶ targets ──▶ gate.judge ──▶ sweep ──▶ answered? ──▶ conversation ─┐
//!             ▲           │ Wait          │ silent, refused, filtered        │ every new connection
//!             └───────────┘               ▼                                  │ asks the gate again
//!                                  slice complete ◀──────────────────────────┘
//!                                         │ rows, coverage, blobs
//!                                         ▼
//!                     batch sealed (spool, synced) ──▶ slice sealed (journal, synced)
//! ```
//!
//! One loop judges every exchange, immediately before it begins, so there is one place where
//! rates are kept and one order in which conversations go before new targets. The loop looks at
//! [`Gate::standing`] at least every [`TICK`]: when the mandate no longer stands, everything open
//! is reset at once.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kenshin_mandate::{Gate, Refusal};
use kenshin_observation::{Clock, SurveyId, TimeUs};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::credential::{Dictionary, DictionaryError, RecipeError, Recipes};
use crate::journal::{Journal, JournalError};
use crate::logbook::LogError;
use crate::plan::{FileRef, PlanError, SurveyPlan};
use crate::progress::Progress;
use crate::slices::SliceSet;
use crate::space::Shard;
use crate::spool::{Spool, SpoolError};
use crate::sweep::{ConnectSettings, ConnectSweep, Sweep, check_sources, descriptors};

mod aside;
mod dialer;
mod engine;
pub mod front;
mod host;
mod openness;
mod queue;
mod sealing;
mod slice;
mod sparse;
pub(crate) mod sweeper;
#[cfg(test)]
pub(crate) mod test_gate;

use front::miss::MissTerms;

/// The engine looks at the mandate's standing at least this often.
pub const TICK: Duration = Duration::from_millis(50);

/// Largest period of [`Settings::refresh_every`].
pub const REFRESH_EVERY_MAX: Duration = Duration::from_millis(500);

/// The gate, shared by every survey that one sensor runs under one mandate.
pub type SharedGate = Arc<Mutex<Gate>>;

/// Reads the revocation list and the lists that narrow again and applies what is new to the gate.
/// Called on a thread that may block, every [`Settings::refresh_every`]. It reads first and locks
/// the gate only to apply. While it does not return, no permit is used after a second.
pub type Refresh = Arc<dyn Fn(&SharedGate, TimeUs) + Send + Sync>;

/// What a run needs besides its plan.
#[derive(Clone)]
pub struct Settings {
    /// Seeds batch ids and salts; fresh from the system's generator for every run.
    pub seed: [u8; 32],
    /// Which part of the slices.
    pub shard: Shard,
    /// Slices whose outcomes others have committed already: they are passed over.
    pub done: SliceSet,
    /// Reads revocation and narrowing again; `None` when the caller's gate cannot change.
    pub refresh: Option<Refresh>,
    /// How often; at most [`REFRESH_EVERY_MAX`].
    pub refresh_every: Duration,
    /// How long a run waits for a mandate that will stand again (hours of the day, a stale list)
    /// or for a full spool, before it ends resumably.
    pub patience: Duration,
    /// Largest error of this machine's clock, when it is synchronised.
    pub clock_error_us: Option<i64>,
    /// Dictionary of a credential check; `None` to read the plan's file.
    pub dictionary: Option<Arc<Dictionary>>,
    /// How a sweep measures what it misses.
    pub miss: MissTerms,
}

/// Everything a run is made of.
pub struct Run {
    /// The plan.
    pub plan: SurveyPlan,
    /// The gate of the mandate the plan was made for.
    pub gate: SharedGate,
    /// The sensor's spool.
    pub spool: Spool,
    /// The rest.
    pub settings: Settings,
    /// Tells now.
    pub clock: Clock,
    /// Where progress is published.
    pub progress: watch::Sender<Progress>,
    /// Turns true to stop: conversations are reset, and the next run goes on in the middle.
    pub stop: watch::Receiver<bool>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "how")]
pub enum Ending {
    /// Every slice of the shard is sealed.
    Finished,
    /// Stopped by hand; it can be resumed.
    Stopped,
    /// The mandate did not stand for longer than the patience; it can be resumed when it does.
    Paused {
        /// Code of the refusal.
        code: String,
    },
    /// The mandate no longer holds and will not again: slices in flight were sealed with what was
    /// known, the others never begun.
    Ended {
        /// Code of the refusal.
        code: String,
    },
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// The survey.
    pub survey_id: SurveyId,
    /// How it ended.
    pub ending: Ending,
    /// The last word on its progress.
    pub progress: Progress,
    /// When it began.
    pub began_at: TimeUs,
    /// When it ended.
    pub ended_at: TimeUs,
}

/// Why a run could not begin or go on. Whatever was sealed stays sealed, and the survey can be
/// resumed once the cause is gone.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The plan is not what the mandate allows.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The mandate lets nothing be sent now.
    #[error("the mandate lets nothing be sent: {0}; hint: {hint}", hint = .0.hint())]
    Refused(Refusal),
    /// The gate is another sensor's.
    #[error(
        "the gate is that of sensor {gate}, the spool that of sensor {spool}; hint: name this sensor's id and key in the mandate"
    )]
    OtherSensor {
        /// Sensor of the gate.
        gate: kenshin_observation::SensorId,
        /// Sensor of the spool.
        spool: kenshin_observation::SensorId,
    },
    /// The mandate names another key for this sensor.
    #[error(
        "the mandate names another key for sensor {0}; hint: a new version of the mandate must name the key of this spool"
    )]
    OtherKey(kenshin_observation::SensorId),
    /// A source address of the mandate is not this machine's.
    #[error(
        "failed to send from a source address of the mandate; hint: give this machine the address, or have the mandate name its own"
    )]
    Source(#[source] std::io::Error),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The spool cannot be used.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// A file cannot be used.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The dictionary, or its recipes, cannot be read.
    #[error("failed to read `{}`", path.display())]
    Dictionary {
        /// The file.
        path: PathBuf,
        /// Cause.
        #[source]
        source: DictionaryFault,
    },
    /// There is nothing to resume.
    #[error("survey {0} was never begun here; hint: run it instead")]
    NeverBegun(SurveyId),
    /// The refresh period is too long for revocation to act within a second.
    #[error("refresh_every is {0:?}, at most {REFRESH_EVERY_MAX:?}")]
    RefreshEvery(Duration),
    /// The sockets of the raw sweep.
    #[error("the raw sweep failed; what is sealed stays sealed; hint: resume, or choose `--engine connect`")]
    Packets(#[source] std::io::Error),
    /// Our bug.
    #[error("the survey's own work failed: {0}")]
    Internal(String),
}

/// Why a dictionary is refused.
#[derive(Debug, thiserror::Error)]
pub enum DictionaryFault {
    /// The file.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Its text.
    #[error(transparent)]
    Text(#[from] DictionaryError),
    /// The text of its recipes.
    #[error(transparent)]
    Recipes(#[from] RecipeError),
    /// It is another one than the plan's.
    #[error("its SHA-256 is {found}, the plan names {planned}")]
    Other {
        /// Digest of the file.
        found: String,
        /// Digest in the plan.
        planned: String,
    },
}

impl RunError {
    /// True when it is the disk: free space and resume.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Journal(JournalError::Log(error)) | Self::Log(error) => error.is_disk_full(),
            Self::Spool(SpoolError::Log(error)) => error.is_disk_full(),
            Self::Spool(SpoolError::Full { .. }) => true,
            _ => false,
        }
    }
}

/// Runs a survey to its end, or goes on where an earlier run of it stopped. Without privilege:
/// with [`ConnectSweep`].
pub async fn run(run: Run) -> Result<RunSummary, RunError> {
    let sweep = connect_sweep(&run)?;
    run_with(run, sweep).await
}

fn connect_sweep(run: &Run) -> Result<ConnectSweep, RunError> {
    let sources =
        run.gate.lock().unwrap_or_else(std::sync::PoisonError::into_inner).sensor().source_addresses.clone();
    check_sources(&sources).map_err(RunError::Source)?;
    let limits = &run.plan.manner.limits;
    Ok(ConnectSweep::new(ConnectSettings {
        sources,
        timeout: Duration::from_millis(limits.connect_ms),
        connections_max: descriptors(usize::try_from(run.plan.manner.connections_max).unwrap_or(usize::MAX)),
    }))
}

/// Like [`run`], but refuses a survey that was never begun in this spool.
pub async fn resume(resumed: Run) -> Result<RunSummary, RunError> {
    let survey_id = resumed.plan.survey_id;
    if !resumed.spool.survey_dir(survey_id).join(JOURNAL).exists() {
        return Err(RunError::NeverBegun(survey_id));
    }
    run(resumed).await
}

/// Like [`run`], with a sweep over raw packets; conversations are on ordinary connections.
pub(crate) async fn run_with_packets(run: Run, packets: sweeper::Packets) -> Result<RunSummary, RunError> {
    let sweep = connect_sweep(&run)?;
    run_engine(run, sweep, Some(packets)).await
}

/// Like [`run`], on the given engine.
///
/// The survey's loop is a task of its own: a caller that polls this future late delays nothing.
/// Dropping the future resets everything open.
pub async fn run_with<S: Sweep + 'static>(run: Run, sweep: S) -> Result<RunSummary, RunError> {
    run_engine(run, sweep, None).await
}

async fn run_engine<S: Sweep + 'static>(
    run: Run,
    sweep: S,
    packets: Option<sweeper::Packets>,
) -> Result<RunSummary, RunError> {
    let opened = open(&run).await?;
    let began_at = (run.clock)();
    let (gate_digest, survey_id) = (run.plan.mandate_digest.clone(), run.plan.survey_id);
    let (spool, clock) = (run.spool.clone(), run.clock.clone());
    record_sending(&spool, &gate_digest, survey_id, true, began_at).await?;
    let engine = engine::Engine::new(run, opened, sweep);
    let outcome = match packets {
        Some(packets) => engine.with_packets(packets),
        None => Ok(engine),
    };
    let outcome = match outcome {
        Ok(engine) => {
            let mut own = JoinSet::new();
            own.spawn(engine.run());
            match own.join_next().await {
                Some(Ok(outcome)) => outcome,
                Some(Err(error)) => Err(RunError::Internal(error.to_string())),
                None => Err(RunError::Internal("the loop ended without a word".to_owned())),
            }
        }
        Err(error) => Err(error),
    };
    let ended_at = clock();
    let recorded = record_sending(&spool, &gate_digest, survey_id, false, ended_at).await;
    let (ending, progress) = outcome?;
    recorded?;
    Ok(RunSummary { survey_id, ending, progress, began_at, ended_at })
}

const JOURNAL: &str = "journal.log";
const PLAN: &str = "plan.json";

/// The plan of a survey that was begun in this spool.
pub fn stored_plan(spool: &Spool, survey_id: SurveyId) -> Result<SurveyPlan, RunError> {
    let path = spool.survey_dir(survey_id).join(PLAN);
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(|error| RunError::Internal(format!("`{}` is not a plan: {error}", path.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(RunError::NeverBegun(survey_id)),
        Err(error) => Err(LogError::io("read", &path)(error).into()),
    }
}

/// What was checked and opened before anything is sent.
struct Opened {
    journal: Journal,
    dictionary: Option<Arc<Dictionary>>,
    space: crate::space::Space,
}

async fn open(run: &Run) -> Result<Opened, RunError> {
    if run.settings.refresh.is_some() && run.settings.refresh_every > REFRESH_EVERY_MAX {
        return Err(RunError::RefreshEvery(run.settings.refresh_every));
    }
    {
        let mut gate = run.gate.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        run.plan.check_against(gate.mandate())?;
        let (named, own) = (gate.sensor(), run.spool.sensor());
        if named.id != own.id {
            return Err(RunError::OtherSensor { gate: named.id, spool: own.id });
        }
        if named.public_key != own.public_key() {
            return Err(RunError::OtherKey(own.id));
        }
        match gate.standing((run.clock)()) {
            Ok(()) | Err(Refusal::WindowClosed { opens: Some(_) }) => {}
            Err(refusal) => return Err(RunError::Refused(refusal)),
        }
    }
    let space = run.plan.space().map_err(PlanError::from)?;
    let (plan, spool, given) = (run.plan.clone(), run.spool.clone(), run.settings.dictionary.clone());
    let opening = tokio::task::spawn_blocking(move || {
        let dictionary = plan.dictionary.as_ref().map(|wanted| read_dictionary(wanted, given)).transpose()?;
        let dir = spool.survey_dir(plan.survey_id);
        std::fs::create_dir_all(&dir).map_err(LogError::io("create", &dir))?;
        crate::logbook::sync_parent(&dir)?;
        crate::logbook::sync_parent(&spool.dir().join("surveys"))?;
        let journal = Journal::open(&dir.join(JOURNAL), plan.survey_id, &plan.digest())?;
        let path = dir.join(PLAN);
        if !path.exists() {
            let json = serde_json::to_vec_pretty(&plan).expect("plans serialise to JSON");
            crate::logbook::replace_file(&path, &json)?;
        }
        Ok::<_, RunError>((journal, dictionary))
    });
    let (journal, dictionary) = opening.await.map_err(|error| RunError::Internal(error.to_string()))??;
    Ok(Opened { journal, dictionary, space })
}

/// The dictionary of the plan with its recipes, as given or from their files.
fn read_dictionary(
    wanted: &crate::plan::DictionaryRef,
    given: Option<Arc<Dictionary>>,
) -> Result<Arc<Dictionary>, RunError> {
    let dictionary = match given {
        Some(dictionary) => dictionary,
        None => {
            let pairs = read_file(&wanted.pairs, Dictionary::parse)?;
            let recipes =
                wanted.recipes.as_ref().map(|recipes| read_file(recipes, Recipes::parse)).transpose()?;
            Arc::new(pairs.with_recipes(recipes.unwrap_or_default()))
        }
    };
    let named = |file: &FileRef, found: &str| match found == file.sha256 {
        true => Ok(()),
        false => {
            let (found, planned) = (found.to_owned(), file.sha256.clone());
            Err(RunError::Dictionary {
                path: file.path.clone(),
                source: DictionaryFault::Other { found, planned },
            })
        }
    };
    named(&wanted.pairs, dictionary.sha256())?;
    match &wanted.recipes {
        Some(recipes) => named(recipes, dictionary.recipes().sha256())?,
        // A plan without recipes fills in no form, whatever lies here.
        None if !dictionary.recipes().is_empty() => {
            return Ok(Arc::new(Dictionary::clone(&dictionary).with_recipes(Recipes::default())));
        }
        None => {}
    }
    Ok(dictionary)
}

fn read_file<T, E: Into<DictionaryFault>>(
    file: &FileRef,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<T, RunError> {
    let fault = |source| RunError::Dictionary { path: file.path.clone(), source };
    let text = std::fs::read_to_string(&file.path).map_err(|error| fault(error.into()))?;
    parse(&text).map_err(|error| fault(error.into()))
}

async fn record_sending(
    spool: &Spool,
    mandate_digest: &str,
    survey_id: SurveyId,
    begins: bool,
    at: TimeUs,
) -> Result<(), RunError> {
    let (spool, digest) = (spool.clone(), mandate_digest.to_owned());
    tokio::task::spawn_blocking(move || spool.record_sending(&digest, survey_id, begins, at))
        .await
        .map_err(|error| RunError::Internal(error.to_string()))?
        .map_err(RunError::from)
}
