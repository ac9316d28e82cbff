//! The spool: sealed batches on disk, waiting for the lake.
//!
//! ```text
//! sensor.json                     the sensor's own key (mode 600)
//! chain.log                       one record a batch: sequence, digest, survey, slice
//! batches/000000000001.json       a sealed batch, until it is acknowledged
//! surveys/<id>/plan.json          the plan
//! surveys/<id>/journal.log        slices begun and sealed
//! credential-attempts.journal     shared by every survey of the sensor
//! sending.log                     since when and until when it sent, per mandate
//! ```
//!
//! A batch exists once its file has been renamed into place, durably; `chain.log` then makes it
//! part of the chain, and is made durable before a batch is acknowledged and removed. So after a
//! crash at any instant the chain goes on without a gap, and a slice that was sealed is known to
//! be, even when the lake has already taken its batch. Bounded in bytes: when it is full, sealing fails
//! with [`SpoolError::Full`] and the survey waits.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kenshin_observation::batch::{BatchError, GENESIS, Seal};
use kenshin_observation::{Batch, BatchId, Blob, Coverage, Observation, Sink, SinkError, SurveyId, TimeUs};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::attempts::CredentialAttempts;
use crate::logbook::{LogError, Logbook, replace_file, sync_parent};
use crate::sensor::{SensorError, SensorIdentity};
use crate::slices::SliceSet;

/// Version and build recorded in every batch.
pub const BUILD: &str = concat!("kenshin-survey ", env!("CARGO_PKG_VERSION"));

/// The spool cannot take, give or open.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The medium failed, or another run holds the spool.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The sensor's identity cannot be used.
    #[error(transparent)]
    Sensor(#[from] SensorError),
    /// Full: it must drain before more is sealed.
    #[error("the spool `{}` holds {bytes} of {bytes_max} bytes; hint: let the lake take its batches, or raise the limit", dir.display())]
    Full {
        /// Where it lies.
        dir: PathBuf,
        /// Bytes held.
        bytes: u64,
        /// Limit.
        bytes_max: u64,
    },
    /// A stored batch is not what was sealed.
    #[error("`{}` is not the batch that was sealed there", path.display())]
    Batch {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: BatchFault,
    },
    /// The slice is in the chain already.
    #[error("slice {slice} of the survey is sealed already")]
    AlreadySealed {
        /// The slice.
        slice: u64,
        /// Last sequence of the chain, at which it was sealed or before.
        sequence: i64,
    },
    /// The batch asked for is not in the chain.
    #[error("batch {sequence} is not in the chain, whose last is {last}")]
    Unknown {
        /// Sequence asked for.
        sequence: i64,
        /// Last sequence of the chain.
        last: i64,
    },
}

/// Why a stored batch is refused.
#[derive(Debug, thiserror::Error)]
pub enum BatchFault {
    /// Not a batch at all.
    #[error("it is not JSON of a batch")]
    Json(#[source] serde_json::Error),
    /// Not signed by this sensor, or changed.
    #[error(transparent)]
    Seal(#[from] BatchError),
    /// Does not follow the last batch of the chain.
    #[error("it does not follow batch {last} of the chain")]
    Chain {
        /// Last sequence of the chain.
        last: i64,
    },
}

/// What a survey hands over to be sealed.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Survey all rows belong to.
    pub survey_id: SurveyId,
    /// Slice it completes.
    pub slice: u64,
    /// SHA-256 of the signed mandate text, hexadecimal.
    pub mandate_digest: String,
    /// Rows.
    pub observations: Vec<Observation>,
    /// Coverage.
    pub coverage: Vec<Coverage>,
    /// Bodies the rows refer to.
    pub blobs: Vec<Blob>,
}

/// End of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainHead {
    /// Sequence of the last batch, 0 before the first.
    pub sequence: i64,
    /// Its digest, or [`GENESIS`].
    pub digest: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Link {
    sequence: i64,
    digest: String,
    survey_id: SurveyId,
    slice: u64,
}

/// A handle on the spool directory; clones share it. One process holds it at a time.
#[derive(Debug, Clone)]
pub struct Spool {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    bytes_max: u64,
    /// Bytes of batches held: read without waiting for who is sealing.
    bytes: AtomicU64,
    sensor: SensorIdentity,
    state: Mutex<State>,
    attempts: Mutex<Option<Arc<CredentialAttempts>>>,
    drained: Notify,
    arrived: Notify,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Sending {
    Begun { mandate_digest: String, survey_id: SurveyId, at: TimeUs },
    Ended { mandate_digest: String, survey_id: SurveyId, at: TimeUs },
}

#[derive(Debug)]
struct State {
    chain: Logbook<Link>,
    sending: Logbook<Sending>,
    /// Per mandate: surveys that may be sending, and when the last of the others ended.
    sent: HashMap<String, (BTreeSet<SurveyId>, Option<TimeUs>)>,
    head: ChainHead,
    /// Sequence → bytes of the file, of batches not acknowledged.
    pending: BTreeMap<i64, u64>,
    done: HashMap<SurveyId, SliceSet>,
}

impl Spool {
    /// Opens or creates the spool at `dir`, with room for `bytes_max` bytes of batches. `now` and
    /// `seed` make the sensor's identity at first use.
    pub fn open(dir: &Path, bytes_max: u64, now: TimeUs, seed: [u8; 32]) -> Result<Self, SpoolError> {
        let batches = dir.join("batches");
        fs::create_dir_all(&batches).map_err(LogError::io("create", &batches))?;
        sync_parent(&batches)?;
        let (chain, links) = Logbook::<Link>::open(&dir.join("chain.log"))?;
        let sensor = SensorIdentity::open_or_create(dir, now, seed)?;
        let (sending, sent) = Logbook::<Sending>::open(&dir.join("sending.log"))?;
        let mut state = State {
            chain,
            sending,
            sent: HashMap::new(),
            head: ChainHead { sequence: 0, digest: GENESIS.to_owned() },
            pending: BTreeMap::new(),
            done: HashMap::new(),
        };
        links.into_iter().for_each(|link| state.follow(link));
        sent.into_iter().for_each(|entry| state.follow_sending(entry));
        for entry in fs::read_dir(&batches).map_err(LogError::io("list", &batches))? {
            let path = entry.map_err(LogError::io("list", &batches))?.path();
            match sequence_of(&path) {
                Some(sequence) => {
                    let bytes = fs::metadata(&path).map_err(LogError::io("read", &path))?.len();
                    state.pending.insert(sequence, bytes);
                }
                // What a crash left beside a batch that was never renamed into place.
                None if path.extension().is_some_and(|extension| extension == "tmp") => {
                    fs::remove_file(&path).map_err(LogError::io("remove", &path))?;
                }
                None => {}
            }
        }
        let inner = Inner {
            dir: dir.to_owned(),
            bytes_max,
            bytes: AtomicU64::new(state.pending.values().sum()),
            sensor,
            state: Mutex::new(state),
            attempts: Mutex::new(None),
            drained: Notify::new(),
            arrived: Notify::new(),
        };
        let spool = Self { inner: Arc::new(inner) };
        spool.roll_forward()?;
        Ok(spool)
    }

    /// Batches renamed into place just before a crash become part of the chain.
    fn roll_forward(&self) -> Result<(), SpoolError> {
        let mut state = self.state();
        let last = state.head.sequence;
        let beyond: Vec<i64> = state.pending.range(last + 1..).map(|(sequence, _)| *sequence).collect();
        for sequence in beyond {
            let batch = self.read(sequence)?;
            let last = state.head.sequence;
            if batch.header.previous != state.head.digest || sequence != last + 1 {
                let path = self.batch_path(sequence);
                return Err(SpoolError::Batch { path, source: BatchFault::Chain { last } });
            }
            state.link(&batch)?;
        }
        Ok(())
    }

    /// The sensor whose spool it is.
    pub fn sensor(&self) -> &SensorIdentity {
        &self.inner.sensor
    }

    /// Where it lies.
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// Directory of one survey's plan and journal.
    pub fn survey_dir(&self, survey_id: SurveyId) -> PathBuf {
        self.inner.dir.join("surveys").join(survey_id.to_string())
    }

    /// End of the chain; survives acknowledgement.
    pub fn head(&self) -> ChainHead {
        self.state().head.clone()
    }

    /// Slices of a survey that are sealed, acknowledged or not.
    pub fn sealed(&self, survey_id: SurveyId) -> SliceSet {
        self.state().done.get(&survey_id).cloned().unwrap_or_default()
    }

    /// The last instant at which this sensor may have sent under a mandate: what a gate counts its
    /// rates from. `now` when a run has not ended, as after a crash.
    pub fn last_sent(&self, mandate_digest: &str, now: TimeUs) -> Option<TimeUs> {
        let state = self.state();
        let (running, ended) = state.sent.get(mandate_digest)?;
        if running.is_empty() { *ended } else { Some(now) }
    }

    /// Records that a survey begins or ends to send under a mandate. Blocks on the disk.
    pub(crate) fn record_sending(
        &self,
        mandate_digest: &str,
        survey_id: SurveyId,
        begins: bool,
        at: TimeUs,
    ) -> Result<(), LogError> {
        let mandate_digest = mandate_digest.to_owned();
        let entry = match begins {
            true => Sending::Begun { mandate_digest, survey_id, at },
            false => Sending::Ended { mandate_digest, survey_id, at },
        };
        let mut state = self.state();
        state.sending.append(&entry)?;
        state.follow_sending(entry);
        Ok(())
    }

    /// The sensor's journal of credential attempts. Blocks on the disk at first use.
    pub fn credential_attempts(&self) -> Result<Arc<CredentialAttempts>, LogError> {
        let mut held = self.inner.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        match &*held {
            Some(attempts) => Ok(Arc::clone(attempts)),
            None => {
                let path = self.inner.dir.join("credential-attempts.journal");
                let attempts = Arc::new(CredentialAttempts::open(&path)?);
                *held = Some(Arc::clone(&attempts));
                Ok(attempts)
            }
        }
    }

    /// Bytes of batches held.
    pub fn bytes(&self) -> u64 {
        self.inner.bytes.load(Ordering::Relaxed)
    }

    /// Seals a draft into the next batch of the chain and stores it. Blocks on the disk.
    ///
    /// Full is judged before: the spool may exceed its limit by the last batch it took.
    pub fn seal(
        &self,
        draft: &Draft,
        batch_id: BatchId,
        now: TimeUs,
        salt: impl FnMut() -> [u8; 16],
    ) -> Result<i64, SpoolError> {
        let mut state = self.state();
        if state.done.get(&draft.survey_id).is_some_and(|done| done.contains(draft.slice)) {
            return Err(SpoolError::AlreadySealed { slice: draft.slice, sequence: state.head.sequence });
        }
        self.check_room()?;
        let seal = Seal {
            batch_id,
            sensor_id: self.inner.sensor.id,
            survey_id: draft.survey_id,
            slice: i64::try_from(draft.slice).expect("plans hold less than 2^63 targets"),
            sequence: state.head.sequence + 1,
            previous: state.head.digest.clone(),
            mandate_digest: draft.mandate_digest.clone(),
            build: BUILD.to_owned(),
            now,
            key: &self.inner.sensor.key,
        };
        let (rows, coverage, blobs) = (&draft.observations, &draft.coverage, &draft.blobs);
        let batch = Batch::seal(seal, rows.clone(), coverage.clone(), blobs.clone(), salt);
        self.store(&mut state, &batch)?;
        Ok(batch.header.sequence)
    }

    fn store(&self, state: &mut State, batch: &Batch) -> Result<(), SpoolError> {
        let json = serde_json::to_vec(batch).expect("batches serialise to JSON");
        replace_file(&self.batch_path(batch.header.sequence), &json)?;
        state.link(batch)?;
        state.pending.insert(batch.header.sequence, json.len() as u64);
        self.inner.bytes.fetch_add(json.len() as u64, Ordering::Relaxed);
        self.inner.arrived.notify_waiters();
        Ok(())
    }

    fn check_room(&self) -> Result<(), SpoolError> {
        let (bytes, bytes_max) = (self.bytes(), self.inner.bytes_max);
        if bytes > 0 && bytes >= bytes_max {
            return Err(SpoolError::Full { dir: self.inner.dir.clone(), bytes, bytes_max });
        }
        Ok(())
    }

    /// True when nothing more can be sealed until a batch is acknowledged.
    pub fn is_full(&self) -> bool {
        self.check_room().is_err()
    }

    /// Sequences of the batches that wait for the lake, in order.
    pub fn pending_sequences(&self) -> Vec<i64> {
        self.state().pending.keys().copied().collect()
    }

    /// Sequences of the next batches to hand over together: at most `count` of them and, unless the
    /// first is larger by itself, at most `bytes`.
    pub fn next_shipment(&self, count: usize, bytes: u64) -> Vec<i64> {
        let mut sum = 0;
        let state = self.state();
        let fits = |(_, size): &(&i64, &u64)| {
            let first = sum == 0;
            sum += **size;
            first || sum <= bytes
        };
        state.pending.iter().take(count).take_while(fits).map(|(sequence, _)| *sequence).collect()
    }

    /// The batches that wait for the lake, in sequence, each read when asked for.
    pub fn pending(&self) -> impl Iterator<Item = Result<Batch, SpoolError>> {
        let spool = self.clone();
        self.pending_sequences().into_iter().map(move |sequence| spool.read(sequence))
    }

    /// One batch, verified against the sensor's key.
    pub fn read(&self, sequence: i64) -> Result<Batch, SpoolError> {
        let path = self.batch_path(sequence);
        let bytes = fs::read(&path).map_err(LogError::io("read", &path))?;
        let fault = |source| SpoolError::Batch { path: path.clone(), source };
        let batch: Batch = serde_json::from_slice(&bytes).map_err(|error| fault(BatchFault::Json(error)))?;
        batch.verify(&self.inner.sensor.public_key()).map_err(|error| fault(error.into()))?;
        if batch.header.sequence != sequence || batch.header.sensor_id != self.inner.sensor.id {
            return Err(fault(BatchFault::Chain { last: sequence - 1 }));
        }
        Ok(batch)
    }

    /// The lake has the batch: its file goes, its place in the chain stays. Doing it twice is
    /// doing it once.
    pub fn ack(&self, sequence: i64) -> Result<(), SpoolError> {
        let mut state = self.state();
        if sequence < 1 || sequence > state.head.sequence {
            return Err(SpoolError::Unknown { sequence, last: state.head.sequence });
        }
        state.chain.sync()?;
        let path = self.batch_path(sequence);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(LogError::io("remove", &path)(error).into());
            }
            // A removal that a power cut undoes offers the batch once more, and the lake knows it.
            _ => {}
        }
        if let Some(bytes) = state.pending.remove(&sequence) {
            self.inner.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        self.inner.drained.notify_waiters();
        Ok(())
    }

    /// Waits until a batch has been acknowledged (or for `patience`: another handle may have been
    /// quicker than we).
    pub async fn drained(&self, patience: std::time::Duration) {
        let _ = tokio::time::timeout(patience, self.inner.drained.notified()).await;
    }

    /// Waits until a batch has been sealed, or for `patience`.
    pub async fn arrived(&self, patience: std::time::Duration) {
        let _ = tokio::time::timeout(patience, self.inner.arrived.notified()).await;
    }

    fn batch_path(&self, sequence: i64) -> PathBuf {
        self.inner.dir.join("batches").join(format!("{sequence:012}.json"))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn link(&mut self, batch: &Batch) -> Result<(), LogError> {
        let link = Link {
            sequence: batch.header.sequence,
            digest: batch.header.digest(),
            survey_id: batch.header.survey_id,
            slice: batch.header.slice.unsigned_abs(),
        };
        self.chain.append_unsynced(std::slice::from_ref(&link))?;
        self.follow(link);
        Ok(())
    }

    fn follow_sending(&mut self, entry: Sending) {
        match entry {
            Sending::Begun { mandate_digest, survey_id, .. } => {
                self.sent.entry(mandate_digest).or_default().0.insert(survey_id);
            }
            Sending::Ended { mandate_digest, survey_id, at } => {
                let (running, ended) = self.sent.entry(mandate_digest).or_default();
                running.remove(&survey_id);
                *ended = (*ended).max(Some(at));
            }
        }
    }

    fn follow(&mut self, link: Link) {
        self.head = ChainHead { sequence: link.sequence, digest: link.digest };
        self.done.entry(link.survey_id).or_default().insert(link.slice);
    }
}

fn sequence_of(path: &Path) -> Option<i64> {
    let digits = path.file_name()?.to_str()?.strip_suffix(".json")?;
    digits.parse().ok().filter(|sequence| *sequence > 0)
}

/// Takes batches that were sealed elsewhere with this sensor's key, in sequence.
impl Sink for Spool {
    fn accept(&mut self, batch: &Batch) -> Result<(), SinkError> {
        let sequence = batch.header.sequence;
        let io = |error: SpoolError| match error {
            SpoolError::Full { bytes_max, .. } => SinkError::Full { limit: bytes_max, unit: "bytes" },
            SpoolError::Log(LogError::Io { source, .. }) => SinkError::Io { sequence, source },
            other => SinkError::Io { sequence, source: std::io::Error::other(other) },
        };
        let spool = self.clone();
        let mut state = spool.state();
        if sequence >= 1 && sequence <= state.head.sequence {
            return Ok(());
        }
        spool.check_room().map_err(io)?;
        let fault = |source| io(SpoolError::Batch { path: spool.batch_path(sequence), source });
        batch.verify(&spool.inner.sensor.public_key()).map_err(|error| fault(error.into()))?;
        let last = state.head.sequence;
        let follows = sequence == last + 1 && batch.header.previous == state.head.digest;
        if !follows || batch.header.sensor_id != spool.inner.sensor.id {
            return Err(fault(BatchFault::Chain { last }));
        }
        spool.store(&mut state, batch).map_err(io)
    }
}

#[cfg(test)]
mod tests;
