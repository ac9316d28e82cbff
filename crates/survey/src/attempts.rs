//! The journal of credential attempts: durable before anything is sent, shared by every survey of
//! the sensor.
//!
//! Within one survey an equal attempt is never made twice, whatever crashed in between. Across
//! surveys and restarts a device gets at most so many attempts of one dictionary within
//! [`WINDOW_S`]: a later re-check may look again, a run of surveys cannot lock anybody out.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use kenshin_observation::{Clock, Endpoint, SurveyId, TimeUs};
use serde::{Deserialize, Serialize};

use crate::credential::{Attempt, AttemptJournal, AttemptJournalError, AttemptVerdict};
use crate::logbook::{LogError, Logbook};

/// Span over which the cap of a device and dictionary counts: a week.
pub const WINDOW_S: i64 = 7 * 86_400;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    at: TimeUs,
    survey_id: SurveyId,
    device: String,
    endpoint: Endpoint,
    method: String,
    dictionary_sha256: String,
    entry: i32,
}

type Key = (SurveyId, Endpoint, String, String, i32);

/// The open journal; one a sensor.
#[derive(Debug)]
pub struct CredentialAttempts {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    log: Logbook<Record>,
    made: HashSet<Key>,
    /// (device, dictionary) → when.
    times: HashMap<(String, String), Vec<TimeUs>>,
}

impl CredentialAttempts {
    /// Opens or begins the journal at `path`.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        let (log, records) = Logbook::<Record>::open(path)?;
        let mut state = State { log, made: HashSet::new(), times: HashMap::new() };
        records.into_iter().for_each(|record| state.follow(record));
        Ok(Self { state: Mutex::new(state) })
    }

    fn begin(
        &self,
        attempt: &Attempt,
        survey_id: SurveyId,
        cap: u32,
        now: TimeUs,
    ) -> Result<AttemptVerdict, LogError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let record = Record {
            at: now,
            survey_id,
            device: attempt.device.clone(),
            endpoint: attempt.endpoint,
            method: attempt.method.as_str().to_owned(),
            dictionary_sha256: attempt.dictionary_sha256.clone(),
            entry: attempt.entry,
        };
        if state.made.contains(&record.key()) {
            return Ok(AttemptVerdict::AlreadyTried);
        }
        // What lies in the future counts too: a clock that was set back opens nothing.
        let since = now.plus_secs(-WINDOW_S);
        let device = (record.device.clone(), record.dictionary_sha256.clone());
        let recent =
            state.times.get(&device).map_or(0, |times| times.iter().filter(|at| **at > since).count());
        if recent >= usize::try_from(cap).unwrap_or(usize::MAX) {
            return Ok(AttemptVerdict::Capped);
        }
        state.log.append(&record)?;
        state.follow(record);
        Ok(AttemptVerdict::Allowed)
    }
}

impl State {
    fn follow(&mut self, record: Record) {
        self.made.insert(record.key());
        self.times.entry((record.device, record.dictionary_sha256)).or_default().push(record.at);
    }
}

impl Record {
    fn key(&self) -> Key {
        (self.survey_id, self.endpoint, self.method.clone(), self.dictionary_sha256.clone(), self.entry)
    }
}

/// The journal as one survey sees it.
#[derive(Clone)]
pub struct SurveyAttempts {
    /// The sensor's journal.
    pub attempts: Arc<CredentialAttempts>,
    /// The survey.
    pub survey_id: SurveyId,
    /// Most attempts of a dictionary at one device within [`WINDOW_S`].
    pub cap: u32,
    /// Tells now.
    pub clock: Clock,
}

impl AttemptJournal for SurveyAttempts {
    async fn begin(&self, attempt: &Attempt) -> Result<AttemptVerdict, AttemptJournalError> {
        let (this, attempt) = (self.clone(), attempt.clone());
        let begun = tokio::task::spawn_blocking(move || {
            this.attempts.begin(&attempt, this.survey_id, this.cap, (this.clock)())
        });
        match begun.await {
            Ok(verdict) => verdict.map_err(|error| AttemptJournalError(Box::new(error))),
            Err(error) => Err(AttemptJournalError(Box::new(error))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::Method;

    fn attempt(device: &str, entry: i32) -> Attempt {
        Attempt {
            device: device.into(),
            endpoint: Endpoint::tcp("127.0.0.9".parse().unwrap(), 23),
            method: Method::Telnet,
            dictionary_sha256: "d1".into(),
            entry,
        }
    }

    #[test]
    fn never_twice_in_a_survey_and_capped_over_all_of_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("attempts");
        let now = TimeUs::from_secs(1_775_000_000);
        let (first, second) = (SurveyId::from_bits(1), SurveyId::from_bits(2));
        let journal = CredentialAttempts::open(&path).unwrap();
        assert_eq!(journal.begin(&attempt("a", 1), first, 2, now).unwrap(), AttemptVerdict::Allowed);
        drop(journal);
        let journal = CredentialAttempts::open(&path).unwrap();
        let begin = |a: &Attempt, s, at| journal.begin(a, s, 2, at).unwrap();
        assert_eq!(begin(&attempt("a", 1), first, now), AttemptVerdict::AlreadyTried);
        // Another name for the device does not make the attempt another one.
        assert_eq!(begin(&attempt("b", 1), first, now), AttemptVerdict::AlreadyTried);
        assert_eq!(begin(&attempt("a", 1), second, now), AttemptVerdict::Allowed);
        assert_eq!(begin(&attempt("a", 2), second, now), AttemptVerdict::Capped);
        let later = now.plus_secs(WINDOW_S + 1);
        assert_eq!(begin(&attempt("a", 2), second, later), AttemptVerdict::Allowed);
    }

    #[test]
    fn an_attempt_torn_at_any_byte_was_never_allowed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("attempts");
        let now = TimeUs::from_secs(1_775_000_000);
        let survey = SurveyId::from_bits(1);
        let journal = CredentialAttempts::open(&path).unwrap();
        journal.begin(&attempt("a", 1), survey, 9, now).unwrap();
        let one = std::fs::metadata(&path).unwrap().len() as usize;
        journal.begin(&attempt("a", 2), survey, 9, now).unwrap();
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        for cut in one..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let journal = CredentialAttempts::open(&path).unwrap();
            let verdict = |entry| journal.begin(&attempt("a", entry), survey, 9, now).unwrap();
            assert_eq!(verdict(1), AttemptVerdict::AlreadyTried);
            let second =
                if cut == whole.len() { AttemptVerdict::AlreadyTried } else { AttemptVerdict::Allowed };
            assert_eq!(verdict(2), second, "cut at {cut}");
        }
    }
}
