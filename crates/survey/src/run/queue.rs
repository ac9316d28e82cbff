//! What waits to be done, and until when.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use kenshin_observation::TimeUs;

use super::dialer::DialRequest;

/// Something that waits for its turn. Slices in flight are known by their place.
#[derive(Debug)]
pub(super) enum Job {
    /// Ask a target who answers.
    Ask { place: u32, target: u32 },
    /// Talk to a target that answered, on a connection of its own.
    Talk { place: u32, target: u32 },
    /// Check credentials at a target, when everything else at its host is done.
    Check { place: u32, target: u32 },
    /// Ask a host again where it had answered.
    Verify { place: u32, host: u32 },
    /// A conversation wants one more connection.
    Dial(DialRequest),
}

/// Jobs that are ready, and jobs that wait for an instant.
#[derive(Debug, Default)]
pub(super) struct Queue {
    ready: VecDeque<Job>,
    dials: VecDeque<DialRequest>,
    later: BinaryHeap<Reverse<Later>>,
    order: u64,
}

#[derive(Debug)]
struct Later {
    at: TimeUs,
    order: u64,
    job: Job,
}

impl Queue {
    /// Does a job as soon as there is room.
    pub(super) fn push(&mut self, job: Job) {
        match job {
            Job::Dial(request) => self.dials.push_back(request),
            job => self.ready.push_back(job),
        }
    }

    /// Puts a job back that was just taken.
    pub(super) fn put_back(&mut self, job: Job) {
        match job {
            Job::Dial(request) => self.dials.push_front(request),
            job => self.ready.push_front(job),
        }
    }

    /// Does a job at `at` or after.
    pub(super) fn push_at(&mut self, at: TimeUs, job: Job) {
        self.order += 1;
        self.later.push(Reverse(Later { at, order: self.order, job }));
    }

    /// Makes what is due ready.
    pub(super) fn wake(&mut self, now: TimeUs) {
        while self.later.peek().is_some_and(|later| later.0.at <= now) {
            let Some(Reverse(later)) = self.later.pop() else { break };
            self.push(later.job);
        }
    }

    /// The next connection a conversation waits for: these go before new targets.
    pub(super) fn dial(&mut self) -> Option<DialRequest> {
        self.dials.pop_front()
    }

    /// The next job that needs room.
    pub(super) fn pop(&mut self) -> Option<Job> {
        self.ready.pop_front()
    }

    /// Jobs held.
    pub(super) fn len(&self) -> usize {
        self.ready.len() + self.later.len()
    }

    /// The next instant at which something is due.
    pub(super) fn next(&self) -> Option<TimeUs> {
        self.later.peek().map(|later| later.0.at)
    }

    /// Takes everything out.
    pub(super) fn drain(&mut self) -> Vec<Job> {
        self.dials.clear();
        let later = std::mem::take(&mut self.later).into_iter().map(|later| later.0.job);
        let jobs = self.ready.drain(..).chain(later);
        jobs.filter(|job| !matches!(job, Job::Dial(_))).collect()
    }
}

impl PartialEq for Later {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}
impl Eq for Later {}
impl PartialOrd for Later {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Later {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}
