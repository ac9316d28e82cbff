//! Work on the disk, off the loop: slices are begun and sealed on threads that may block.

use std::path::PathBuf;

use super::*;
use crate::logbook::replace_file;
use crate::run::aside::Aside;
use crate::run::front::Over;
use crate::run::sealing::{batch_id, draft, generator, salts};
use crate::spool::SpoolError;

/// A piece of work on the disk that is done.
pub(super) enum Chore {
    /// Slices are begun in the journal.
    Opened(Vec<Work>),
    /// A slice's batch is in the spool and the journal says so.
    Sealed { slice: u64 },
    /// The spool stayed full until the run ended; the slice will be redone.
    GivenUp,
}

impl<S: Sweep> Engine<S> {
    /// Begins slices while there is room for them, here and in the spool.
    pub(super) fn open_slices(&mut self) {
        let slices_max = self.plan.manner.slices_max;
        let mut slices = Vec::new();
        // More unsealed slices than may be in flight: the disk or the spool is the bottleneck.
        let hungry = self.sweeper.as_ref().is_none_or(Sweeper::hungry);
        while hungry && self.in_flight() < slices_max && self.sealing <= slices_max && self.lost.is_none() {
            let Some(slice) = self.next_unsealed() else { break };
            self.opening += 1;
            slices.push(slice);
        }
        if slices.is_empty() {
            return;
        }
        let (space, journal) = (Arc::clone(&self.space), Arc::clone(&self.journal));
        let (plan, clock, spool) = (Arc::clone(&self.plan), Arc::clone(&self.clock), self.spool.clone());
        let raw = self.sweeper.is_some();
        self.chores.spawn_blocking(move || {
            let manner = &plan.manner;
            let at = clock();
            let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
            let (mut works, mut begun) = (Vec::new(), Vec::new());
            let mut taken_up = Vec::new();
            for slice in slices {
                if let Some(work) = take_up(&spool, &plan, &space, &journal, slice) {
                    // Begun again under the same number: what was set aside serves once.
                    begun.push(Entry::Begun { slice, attempt: work.attempt, at });
                    taken_up.push(aside_path(&spool, &plan, slice));
                    works.push(work);
                    continue;
                }
                let attempt = journal.attempts(slice) + 1;
                if attempt > manner.attempts_max {
                    works.push(Work::exhausted(space.slice(slice), manner.attempts_max, at));
                } else {
                    begun.push(Entry::Begun { slice, attempt, at });
                    works.push(match raw {
                        true => Work::empty(space.slice(slice), attempt, at),
                        false => Work::new(space.slice(slice), attempt, manner.retry.breaker_after, at),
                    });
                }
            }
            journal.append_all(&begun)?;
            // Of no more use; the journal knows.
            taken_up.iter().for_each(|path| drop(std::fs::remove_file(path)));
            Ok(Chore::Opened(works))
        });
    }

    fn in_flight(&self) -> u32 {
        let held = self.order.len() + self.sweeping.len();
        u32::try_from(held).unwrap_or(u32::MAX).saturating_add(self.opening)
    }

    fn next_unsealed(&mut self) -> Option<u64> {
        while self.next_slice < self.space.slices() {
            let slice = self.next_slice;
            self.next_slice += self.settings.shard.count.max(1);
            if !self.sealed.contains(slice) {
                return Some(slice);
            }
        }
        None
    }

    /// Hands complete slices over to be sealed.
    pub(super) fn seal_complete(&mut self) {
        let complete: Vec<u32> = self
            .order
            .iter()
            .copied()
            .filter(|place| self.works[*place as usize].as_ref().is_some_and(Work::complete))
            .collect();
        for place in complete {
            self.order.retain(|held| *held != place);
            if let Some(work) = self.works[place as usize].take() {
                if self.sweeper.is_none() {
                    self.sample(&work);
                }
                self.seal(work);
            }
        }
    }

    pub(super) fn seal(&mut self, work: Work) {
        self.sealing += 1;
        let (context, journal) = (Arc::clone(&self.context), Arc::clone(&self.journal));
        let (spool, clock, give_up) =
            (self.spool.clone(), Arc::clone(&self.clock), Arc::clone(&self.give_up));
        let (seed, sealers) = (self.settings.seed, Arc::clone(&self.sealers));
        self.chores.spawn(async move {
            while spool.is_full() {
                if give_up.load(Ordering::Relaxed) {
                    return Ok(Chore::GivenUp);
                }
                spool.drained(Duration::from_millis(100)).await;
            }
            let _place = sealers.acquire().await.map_err(|error| RunError::Internal(error.to_string()))?;
            let sealing = tokio::task::spawn_blocking(move || {
                let (slice, sent, now) = (work.slice.number, work.sent, clock());
                let mut random = generator(seed, slice, work.attempt);
                let batch_id = batch_id(now, &mut random);
                let draft = draft(work, &context, now);
                loop {
                    let sequence = match spool.seal(&draft, batch_id, now, salts(&mut random)) {
                        Ok(sequence) => sequence,
                        Err(SpoolError::AlreadySealed { sequence, .. }) => sequence,
                        // Another slice was quicker, or sockets hold every descriptor.
                        Err(error) if again_soon(&error) => {
                            if give_up.load(Ordering::Relaxed) {
                                return Ok(Chore::GivenUp);
                            }
                            std::thread::sleep(Duration::from_millis(20));
                            continue;
                        }
                        Err(error) => return Err(error.into()),
                    };
                    let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
                    journal.note(&Entry::Sealed { slice, sequence, sent })?;
                    return Ok(Chore::Sealed { slice });
                }
            });
            sealing.await.map_err(|error| RunError::Internal(error.to_string()))?
        });
    }

    pub(super) fn chore(
        &mut self,
        chore: Result<Result<Chore, RunError>, JoinError>,
    ) -> Result<(), RunError> {
        match chore.map_err(|error| RunError::Internal(error.to_string()))?? {
            Chore::Opened(works) => {
                for work in works {
                    self.opening -= 1;
                    if let (Some(sweeper), true) = (&self.sweeper, work.unswept()) {
                        sweeper.take(work.slice.clone(), work.attempt);
                        self.sweeping.insert(work.slice.number, (work.attempt, work.began_at));
                        continue;
                    }
                    if work.implied.is_some() {
                        self.place_swept(work);
                        continue;
                    }
                    let decided = work.targets.iter().filter(|(_, target)| target.done).count();
                    self.meter.done(decided as u64);
                    self.place(work);
                }
            }
            Chore::Sealed { slice } => {
                self.sealing -= 1;
                self.sealed.insert(slice);
                self.meter.sealed();
            }
            Chore::GivenUp => self.sealing -= 1,
        }
        Ok(())
    }

    /// The sweep of a slice over raw packets is over: conversations begin.
    pub(super) fn over(&mut self, over: Over, code: Option<&str>) {
        if self.sweeping.remove(&over.slice.number).is_none() {
            return;
        }
        let work = Work::swept(over, code, |endpoint| self.talk_check(endpoint).is_some());
        self.place_swept(work);
    }

    fn place_swept(&mut self, work: Work) {
        for (_, target) in work.targets.iter() {
            target.swept.iter().for_each(|swept| self.meter.swept(swept.end));
        }
        let known = work.targets.iter().count() as u64;
        let silent =
            work.implied.as_ref().map_or(0, |implied| u64::from(implied.asked_to)).saturating_sub(known);
        self.meter.silent(silent);
        self.meter.done(work.slice.targets() - u64::from(work.left));
        let talks: Vec<u32> =
            work.targets.iter().filter(|(_, t)| !t.done).map(|(number, _)| number).collect();
        let place = self.place(work);
        talks.into_iter().for_each(|target| self.queue.push(Job::Talk { place, target }));
    }

    fn place(&mut self, work: Work) -> u32 {
        let place = self.works.iter().position(Option::is_none).unwrap_or_else(|| {
            self.works.push(None);
            self.works.len() - 1
        });
        let slice = work.slice.number;
        self.works[place] = Some(work);
        let number = |held: &u32| self.works[*held as usize].as_ref().map_or(0, |work| work.slice.number);
        let at = self.order.iter().position(|held| number(held) > slice).unwrap_or(self.order.len());
        let place = u32::try_from(place).expect("at most slices_max places");
        self.order.insert(at, place);
        place
    }

    /// After an orderly stop: what is known of the slices in flight is kept for the next run.
    pub(super) async fn set_aside(&mut self) -> Result<(), RunError> {
        // A sweep that is cut off costs its slice no attempt, and begins again.
        let sweeping = std::mem::take(&mut self.sweeping);
        let again = sweeping
            .into_iter()
            .map(|(slice, (attempt, began_at))| Work::empty(self.space.slice(slice), attempt, began_at));
        let works: Vec<Work> = std::mem::take(&mut self.order)
            .into_iter()
            .filter_map(|place| self.works[place as usize].take())
            .chain(again)
            .collect();
        let (context, journal) = (Arc::clone(&self.context), Arc::clone(&self.journal));
        let (plan, spool) = (Arc::clone(&self.plan), self.spool.clone());
        let keeping = tokio::task::spawn_blocking(move || {
            let mut entries = Vec::new();
            for work in works {
                let aside = Aside::of(work, &context);
                let json = serde_json::to_vec(&aside).expect("what is kept serialises to JSON");
                replace_file(&aside_path(&spool, &plan, aside.slice), &json)?;
                entries.push(Entry::Aside { slice: aside.slice, attempt: aside.attempt });
            }
            Ok(journal.lock().unwrap_or_else(PoisonError::into_inner).append_all(&entries)?)
        });
        keeping.await.map_err(|error| RunError::Internal(error.to_string()))?
    }

    /// The journal's last word of this run.
    pub(super) async fn note_ending(&mut self, ending: &Ending) -> Result<(), RunError> {
        let at = (self.clock)();
        let halted = |reason: &str| Entry::Halted { reason: reason.to_owned(), at };
        let entry = match ending {
            Ending::Finished => Entry::Finished { at },
            Ending::Stopped => halted("stopped"),
            Ending::Paused { code } | Ending::Ended { code } => halted(code),
        };
        let journal = Arc::clone(&self.journal);
        let noted = tokio::task::spawn_blocking(move || {
            let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
            if matches!(entry, Entry::Finished { .. }) && journal.finished() {
                Ok(())
            } else {
                journal.append(&entry)
            }
        });
        noted.await.map_err(|error| RunError::Internal(error.to_string()))?.map_err(RunError::from)
    }
}

fn again_soon(error: &SpoolError) -> bool {
    match error {
        SpoolError::Full { .. } => true,
        SpoolError::Log(error) => error.is_busy(),
        _ => false,
    }
}

fn aside_path(spool: &Spool, plan: &SurveyPlan, slice: u64) -> PathBuf {
    spool.survey_dir(plan.survey_id).join(format!("aside-{slice}.json"))
}

/// A slice that an orderly stop has set aside, when the journal says that its account still holds.
fn take_up(spool: &Spool, plan: &SurveyPlan, space: &Space, journal: &Journal, slice: u64) -> Option<Work> {
    let attempt = journal.aside(slice)?;
    let bytes = std::fs::read(aside_path(spool, plan, slice)).ok()?;
    let aside: Aside = serde_json::from_slice(&bytes).ok()?;
    if aside.attempt != attempt {
        return None;
    }
    aside.restore(space.slice(slice), plan.manner.retry.breaker_after)
}
