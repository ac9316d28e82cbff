//! The journal of one survey: which slices were begun, how often, and which are sealed.
//!
//! A slice is begun durably before its first exchange, so that a crash counts as an attempt; it
//! is sealed after its batch is in the spool. Resuming skips what is sealed and redoes what was
//! begun, until the plan's attempts run out.

use std::collections::HashMap;
use std::path::Path;

use kenshin_observation::{SurveyId, TimeUs};
use serde::{Deserialize, Serialize};

use crate::logbook::{LogError, Logbook};
use crate::slices::SliceSet;

/// Version of the journal written today.
pub const VERSION: u32 = 1;

/// A record of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entry {
    /// First record: what the journal is of.
    Plan {
        /// Format version, [`VERSION`].
        version: u32,
        /// The survey.
        survey_id: SurveyId,
        /// SHA-256 of the plan, hexadecimal.
        plan_digest: String,
    },
    /// A slice is about to be worked on.
    Begun {
        /// Its number.
        slice: u64,
        /// Number of the attempt, from 1.
        attempt: u32,
        /// When.
        at: TimeUs,
    },
    /// A slice's batch is in the spool.
    Sealed {
        /// Its number.
        slice: u64,
        /// Sequence of its batch.
        sequence: i64,
        /// Exchanges sent.
        sent: u64,
    },
    /// A slice was set aside by an orderly stop: the next run goes on with the same attempt.
    Aside {
        /// Its number.
        slice: u64,
        /// Number of the attempt.
        attempt: u32,
    },
    /// The survey ended before its end.
    Halted {
        /// Short code: `stopped`, or why the mandate no longer allows it.
        reason: String,
        /// When.
        at: TimeUs,
    },
    /// Every slice of the shard is sealed.
    Finished {
        /// When.
        at: TimeUs,
    },
}

/// The journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The medium failed, or another run holds it.
    #[error(transparent)]
    Log(#[from] LogError),
    /// It is of another plan.
    #[error(
        "the journal of survey {survey_id} belongs to another plan ({journal}, not {plan}); hint: resume with the plan it was begun with"
    )]
    OtherPlan {
        /// The survey.
        survey_id: SurveyId,
        /// Digest in the journal.
        journal: String,
        /// Digest of the plan given.
        plan: String,
    },
    /// Written by a newer version.
    #[error("the journal has format version {0}, this software knows up to {VERSION}")]
    Version(u32),
    /// The first record does not say what the journal is of.
    #[error("the journal does not begin with its plan")]
    NoPlan,
}

/// The open journal of one survey; a second opener is refused.
#[derive(Debug)]
pub struct Journal {
    log: Logbook<Entry>,
    attempts: HashMap<u64, u32>,
    asides: HashMap<u64, u32>,
    sealed: SliceSet,
    sent: u64,
    finished: bool,
}

impl Journal {
    /// Opens or begins the journal at `path` for the survey.
    pub fn open(path: &Path, survey_id: SurveyId, plan_digest: &str) -> Result<Self, JournalError> {
        let (log, entries) = Logbook::<Entry>::open(path)?;
        let mut journal = Self {
            log,
            attempts: HashMap::new(),
            asides: HashMap::new(),
            sealed: SliceSet::default(),
            sent: 0,
            finished: false,
        };
        let plan = Entry::Plan { version: VERSION, survey_id, plan_digest: plan_digest.to_owned() };
        match entries.first() {
            None => journal.log.append(&plan)?,
            Some(first) if *first == plan => {}
            Some(Entry::Plan { version, .. }) if *version > VERSION => {
                return Err(JournalError::Version(*version));
            }
            Some(Entry::Plan { plan_digest: journal, .. }) => {
                return Err(JournalError::OtherPlan {
                    survey_id,
                    journal: journal.clone(),
                    plan: plan_digest.to_owned(),
                });
            }
            Some(_) => return Err(JournalError::NoPlan),
        }
        entries.iter().for_each(|entry| journal.follow(entry));
        Ok(journal)
    }

    /// Appends a record; when this returns `Ok` it survives a crash. Blocks on the disk.
    pub fn append(&mut self, entry: &Entry) -> Result<(), JournalError> {
        self.log.append(entry)?;
        self.follow(entry);
        Ok(())
    }

    /// Appends several records; when this returns `Ok`, all survive a crash. Blocks on the disk.
    pub fn append_all(&mut self, entries: &[Entry]) -> Result<(), JournalError> {
        self.log.append_unsynced(entries)?;
        self.log.sync()?;
        entries.iter().for_each(|entry| self.follow(entry));
        Ok(())
    }

    /// Notes what the spool's chain knows already: durable with the next record that is.
    pub fn note(&mut self, entry: &Entry) -> Result<(), JournalError> {
        self.log.append_unsynced(std::slice::from_ref(entry))?;
        self.follow(entry);
        Ok(())
    }

    /// How often the slice was begun without being sealed.
    pub fn attempts(&self, slice: u64) -> u32 {
        self.attempts.get(&slice).copied().unwrap_or(0)
    }

    /// The attempt with which a slice was set aside, unless it was begun again since.
    pub fn aside(&self, slice: u64) -> Option<u32> {
        self.asides.get(&slice).copied()
    }

    /// Slices whose batches are in the spool or beyond.
    pub fn sealed(&self) -> &SliceSet {
        &self.sealed
    }

    /// Exchanges of sealed slices.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Every slice was sealed at the end of an earlier run.
    pub fn finished(&self) -> bool {
        self.finished
    }

    fn follow(&mut self, entry: &Entry) {
        match entry {
            Entry::Begun { slice, attempt, .. } => {
                self.attempts.insert(*slice, *attempt);
                self.asides.remove(slice);
            }
            Entry::Aside { slice, attempt } => {
                self.asides.insert(*slice, *attempt);
            }
            Entry::Sealed { slice, sent, .. } => {
                self.attempts.remove(slice);
                self.asides.remove(slice);
                if self.sealed.insert(*slice) {
                    self.sent += sent;
                }
            }
            Entry::Finished { .. } => self.finished = true,
            Entry::Plan { .. } | Entry::Halted { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey() -> SurveyId {
        SurveyId::from_bits(7)
    }

    #[test]
    fn attempts_count_until_the_slice_is_sealed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.log");
        let at = TimeUs::from_secs(1);
        let mut journal = Journal::open(&path, survey(), "aa").unwrap();
        for (slice, attempt) in [(3, 1), (4, 1), (3, 2)] {
            journal.append(&Entry::Begun { slice, attempt, at }).unwrap();
        }
        journal.append(&Entry::Sealed { slice: 4, sequence: 1, sent: 12 }).unwrap();
        drop(journal);
        let journal = Journal::open(&path, survey(), "aa").unwrap();
        assert_eq!((journal.attempts(3), journal.attempts(4), journal.attempts(5)), (2, 0, 0));
        assert_eq!(journal.sealed().iter().collect::<Vec<_>>(), [4]);
        assert_eq!(journal.sent(), 12);
    }

    /// Whatever byte a crash stops at, what was sealed before stays sealed and what was begun
    /// before stays counted.
    #[test]
    fn a_tail_torn_at_any_byte_keeps_every_earlier_fact() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.log");
        let at = TimeUs::from_secs(1);
        let mut journal = Journal::open(&path, survey(), "aa").unwrap();
        let mut ends = vec![std::fs::metadata(&path).unwrap().len()];
        for slice in 0..3 {
            journal.append(&Entry::Begun { slice, attempt: 1, at }).unwrap();
            ends.push(std::fs::metadata(&path).unwrap().len());
            journal.append(&Entry::Sealed { slice, sequence: 1 + slice as i64, sent: 1 }).unwrap();
            ends.push(std::fs::metadata(&path).unwrap().len());
        }
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let kept = ends.iter().filter(|end| **end <= cut as u64).count().saturating_sub(1);
            let journal = Journal::open(&path, survey(), "aa").unwrap();
            assert_eq!(journal.sealed().len(), kept as u64 / 2, "cut at {cut}");
            let open = kept % 2 == 1;
            assert_eq!(journal.attempts(kept as u64 / 2), u32::from(open), "cut at {cut}");
        }
    }

    #[test]
    fn another_plan_and_a_second_start_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.log");
        let journal = Journal::open(&path, survey(), "aa").unwrap();
        let error = Journal::open(&path, survey(), "aa").unwrap_err().to_string();
        assert!(error.contains("in use by another run"), "{error}");
        drop(journal);
        let error = Journal::open(&path, survey(), "bb").unwrap_err();
        assert!(matches!(error, JournalError::OtherPlan { .. }), "{error}");
    }

    /// The journal of version 1 is read forever.
    #[test]
    fn the_journal_of_version_1_is_read() {
        let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/survey/journal-v1.log");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.log");
        std::fs::copy(sample, &path).unwrap();
        let survey = "01JQSF5Z000000000000000001".parse().unwrap();
        let journal = Journal::open(&path, survey, "aa").unwrap();
        assert_eq!((journal.sealed().len(), journal.attempts(1), journal.sent()), (1, 2, 12));
    }
}
