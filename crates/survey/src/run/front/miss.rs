//! How many answering targets a sweep missed, estimated by asking some of them again.
//!
//! What is lost on the way cannot be seen by the one who lost it. But a host that answered and is
//! asked again in the very same way, some seconds later, is a fair trial of that way: the share of
//! such trials that stay silent estimates the share of all answering targets that the sweep
//! missed. It stands on two assumptions, which are said wherever the figure is shown: that a host
//! which answered once still listens, and that what is lost does not depend on who is asked. For
//! the second there are *canaries*, hosts the operator names and knows to be up.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use kenshin_observation::{Endpoint, TimeUs};
use serde::{Deserialize, Serialize};

use super::pace::Signs;
use crate::permutation::PermutationKey;
use crate::plan::SurveyPlan;
use crate::sweep::Reply;

/// Trials going on at most; further ones are not drawn.
const GOING_ON_MAX: usize = 1 << 14;

/// Longest pause before an answering target is asked again; every trial draws its own from
/// between half of it and all.
const DELAY_US: i64 = 8_000_000;

/// How misses are measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissTerms {
    /// Of a million targets that answer, so many are asked again.
    pub sample_ppm: u32,
    /// Most targets asked again in one run; each shard has its own.
    pub sample_max: u64,
    /// Hosts the operator knows to be up, inside the mandate.
    pub canaries: Vec<Endpoint>,
    /// Pause between two asks of a canary, ms.
    pub canary_every_ms: u64,
    /// Selects the sample; the survey's own key is as good as any.
    pub key: PermutationKey,
}

impl MissTerms {
    /// What a survey measures: a tenth of those who answer, at most 10,000 of them, and the plan's
    /// canaries every second.
    pub fn of(plan: &SurveyPlan) -> Self {
        Self {
            sample_ppm: 100_000,
            sample_max: 10_000,
            canaries: plan.canaries.clone(),
            canary_every_ms: 1_000,
            key: plan.permutation_key,
        }
    }

    /// Nothing is measured.
    pub const fn none() -> Self {
        let key = PermutationKey([0; 16]);
        Self { sample_ppm: 0, sample_max: 0, canaries: Vec::new(), canary_every_ms: 1_000, key }
    }
}

/// What is known of misses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct MissEstimate {
    /// Answering targets that were asked again.
    pub asked: u64,
    /// Of them, those that stayed silent.
    pub missed: u64,
    /// Estimated share of answering targets that the sweep missed.
    pub rate: f64,
    /// Lower end of its 95 % interval.
    pub low: f64,
    /// Upper end of its 95 % interval.
    pub high: f64,
    /// How much more clustered misses are than independent ones; 1 when they are not.
    pub design_effect: f64,
    /// Asks of canaries.
    pub canary_asked: u64,
    /// Of them, those without an answer.
    pub canary_missed: u64,
}

impl MissEstimate {
    /// From `missed` of `asked` trials, for a sweep that found `found`, when misses come
    /// `design_effect` times as clustered as if each fell by itself (Kish, 1965); 1 when they do not.
    ///
    /// The interval is that of Clopper and Pearson (1934) for as many independent trials as these
    /// are worth, widened by the chance with which so many targets are missed more or less often
    /// than the rate says.
    pub fn new(asked: u64, missed: u64, found: u64, design_effect: f64) -> Self {
        let design_effect = design_effect.max(1.0);
        if asked == 0 {
            return Self { high: 1.0, design_effect, ..Self::default() };
        }
        let rate = missed as f64 / asked as f64;
        let worth = (asked as f64 / design_effect).ceil().max(1.0);
        let (worth, hits) = (worth as u64, (rate * worth).round() as u64);
        let widened = |bound: f64| {
            let chance = 1.96 * (bound * (1.0 - bound) * design_effect / found.max(1) as f64).sqrt();
            (bound - rate).hypot(chance)
        };
        Self {
            asked,
            missed,
            rate,
            low: if missed == 0 { 0.0 } else { (rate - widened(lower(worth, hits))).max(0.0) },
            high: (rate + widened(upper(worth, hits))).min(1.0),
            design_effect,
            ..Self::default()
        }
    }

    /// Two shards of one survey together, which found so many in all.
    pub fn merged(&self, other: &Self, found: u64) -> Self {
        let design_effect = self.design_effect.max(other.design_effect);
        Self {
            canary_asked: self.canary_asked + other.canary_asked,
            canary_missed: self.canary_missed + other.canary_missed,
            ..Self::new(self.asked + other.asked, self.missed + other.missed, found, design_effect)
        }
    }
}

/// Trials in the order in which they were asked, counted in blocks.
#[derive(Debug, Default)]
struct Blocks {
    begun: u64,
    /// Concluded trials and misses of each block.
    counts: Vec<(u32, u32)>,
}

/// Trials of a block.
const BLOCK: u64 = 16;

/// Fewest groups of blocks whose spread says something.
const GROUPS_MIN: usize = 8;

impl Blocks {
    /// Number of a trial that is asked now.
    fn begin(&mut self) -> u64 {
        self.begun += 1;
        self.begun - 1
    }

    fn conclude(&mut self, number: u64, missed: bool) {
        let block = usize::try_from(number / BLOCK).expect("a sample fits in memory");
        self.counts.resize(self.counts.len().max(block + 1), (0, 0));
        self.counts[block].0 += 1;
        self.counts[block].1 += u32::from(missed);
    }

    /// By how much the misses of neighbouring trials vary more than those of independent ones do:
    /// the largest ratio over groups of 1, 2, 4 … blocks.
    fn design_effect(&self) -> f64 {
        let (asked, missed) = self.counts.iter().fold((0, 0), |sum, c| (sum.0 + c.0, sum.1 + c.1));
        let rate = f64::from(missed) / f64::from(asked.max(1));
        if rate <= 0.0 || rate >= 1.0 {
            return 1.0;
        }
        let mut largest = 1.0f64;
        let mut size = 1;
        while self.counts.len() / size >= GROUPS_MIN {
            let groups = self.counts.chunks_exact(size).map(|chunk| {
                let (n, k) =
                    chunk.iter().fold((0.0, 0.0), |s, c| (s.0 + f64::from(c.0), s.1 + f64::from(c.1)));
                if n > 0.0 { (k - n * rate).powi(2) / (n * rate * (1.0 - rate)) } else { 1.0 }
            });
            let ratios: Vec<f64> = groups.collect();
            largest = largest.max(ratios.iter().sum::<f64>() / (ratios.len() - 1) as f64);
            size *= 2;
        }
        largest
    }
}

const TAIL: f64 = 0.025;

/// The smallest rate under which `missed` or more are missed in one of 40 cases.
fn lower(asked: u64, missed: u64) -> f64 {
    match missed {
        0 => 0.0,
        _ => solve(|rate| 1.0 - at_most(asked, missed - 1, rate) < TAIL),
    }
}

/// The largest rate under which `missed` or fewer are missed in one of 40 cases.
fn upper(asked: u64, missed: u64) -> f64 {
    if missed == asked { 1.0 } else { solve(|rate| at_most(asked, missed, rate) > TAIL) }
}

/// The rate at which `below` turns false.
fn solve(below: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..50 {
        let middle = (low + high) / 2.0;
        if below(middle) { low = middle } else { high = middle }
    }
    (low + high) / 2.0
}

/// Probability of at most `missed` successes in `asked` trials.
fn at_most(asked: u64, missed: u64, rate: f64) -> f64 {
    if rate <= 0.0 {
        return 1.0;
    }
    if rate >= 1.0 {
        return if missed >= asked { 1.0 } else { 0.0 };
    }
    let (yes, no) = (rate.ln(), (1.0 - rate).ln());
    let mut term = asked as f64 * no;
    let mut sum = term.exp();
    for k in 1..=missed {
        term += ((asked - k + 1) as f64 / k as f64).ln() + yes - no;
        sum += term.exp();
    }
    sum.min(1.0)
}

/// One target that is asked again.
#[derive(Debug, Clone, Copy)]
struct Trial {
    canary: bool,
    /// In the order of asking; known once it was asked.
    number: Option<u64>,
    /// How long an answer may take, µs.
    wait_us: i64,
    asks: u32,
    /// Our port of the last ask.
    port: u16,
    asked_at: TimeUs,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// To be asked at this instant.
    Due(TimeUs),
    /// Asked; given up at this instant.
    Asked(TimeUs),
}

/// The trials of a run.
#[derive(Debug)]
pub(in crate::run) struct Samples {
    terms: MissTerms,
    asks_max: u32,
    pause_us: i64,
    drawn: u64,
    going_on: BTreeMap<Endpoint, Trial>,
    /// Instants at which a trial wants something; stale entries are skipped.
    agenda: BinaryHeap<Reverse<(TimeUs, Endpoint)>>,
    hurried: bool,
    asked: u64,
    missed: u64,
    blocks: Blocks,
    canary_asked: u64,
    canary_missed: u64,
    signs: Signs,
}

impl Samples {
    /// Every ask of a canary has `canary_wait_us`.
    pub(in crate::run) fn new(
        terms: MissTerms,
        asks_max: u32,
        pause_us: i64,
        canary_wait_us: i64,
        now: TimeUs,
    ) -> Self {
        let mut samples = Self {
            asks_max,
            pause_us,
            drawn: 0,
            going_on: BTreeMap::new(),
            agenda: BinaryHeap::new(),
            hurried: false,
            asked: 0,
            missed: 0,
            blocks: Blocks::default(),
            canary_asked: 0,
            canary_missed: 0,
            signs: Signs::default(),
            terms,
        };
        for canary in samples.terms.canaries.clone() {
            samples.plan(canary, Trial::new(true, canary_wait_us, now));
        }
        samples
    }

    /// A target that answered; drawn or not by a hash of its position, so that it is the same
    /// sample in every run.
    pub(in crate::run) fn offer(&mut self, endpoint: Endpoint, index: u64, wait_us: i64, now: TimeUs) {
        let full = self.drawn >= self.terms.sample_max || self.going_on.len() >= GOING_ON_MAX;
        if full || self.going_on.contains_key(&endpoint) {
            return;
        }
        let hash =
            u64::from_le_bytes(self.terms.key.derive(2, index).0[..8].try_into().expect("8 of 16 bytes"));
        if hash % 1_000_000 >= self.terms.sample_ppm.into() {
            return;
        }
        self.drawn += 1;
        let delay = DELAY_US / 2 + i64::try_from(hash >> 32).expect("32 bits") % (DELAY_US / 2);
        let at = if self.hurried { now } else { now.plus_micros(delay) };
        self.plan(endpoint, Trial::new(false, wait_us, at));
    }

    /// The next to be asked.
    pub(in crate::run) fn next(&mut self, now: TimeUs) -> Option<Endpoint> {
        while let Some(Reverse((at, endpoint))) = self.agenda.peek().copied() {
            if at > now {
                return None;
            }
            self.agenda.pop();
            match self.going_on.get(&endpoint).copied() {
                Some(Trial { state: State::Due(due), .. }) if due == at => return Some(endpoint),
                // One that `turn` did not come to.
                Some(trial) if trial.state == State::Asked(at) => self.unanswered(endpoint, trial, now),
                _ => {}
            }
        }
        None
    }

    /// True for a host that the operator knows to be up.
    pub(super) fn is_canary(&self, endpoint: Endpoint) -> bool {
        self.going_on.get(&endpoint).is_some_and(|trial| trial.canary)
    }

    /// How often it was asked again before.
    pub(super) fn asks(&self, endpoint: Endpoint) -> u32 {
        self.going_on.get(&endpoint).map_or(0, |trial| trial.asks)
    }

    pub(in crate::run) fn sent(&mut self, endpoint: Endpoint, port: u16, now: TimeUs) {
        let Some(trial) = self.going_on.get_mut(&endpoint) else { return };
        let pause =
            if trial.asks + 1 < self.asks_max { trial.wait_us.max(self.pause_us) } else { trial.wait_us };
        let until = now.plus_micros(pause);
        if !trial.canary && trial.number.is_none() {
            trial.number = Some(self.blocks.begin());
        }
        *trial = Trial { asks: trial.asks + 1, port, asked_at: now, state: State::Asked(until), ..*trial };
        self.agenda.push(Reverse((until, endpoint)));
    }

    pub(in crate::run) fn wait(&mut self, endpoint: Endpoint, until: TimeUs) {
        let Some(trial) = self.going_on.get_mut(&endpoint) else { return };
        trial.state = State::Due(until);
        self.agenda.push(Reverse((until, endpoint)));
    }

    /// It may not be asked any more: no trial.
    pub(in crate::run) fn forget(&mut self, endpoint: Endpoint) {
        self.going_on.remove(&endpoint);
    }

    /// Nothing was sent after all: this ask counts for nothing, and is made at `until`.
    pub(in crate::run) fn unsent(&mut self, endpoint: Endpoint, port: u16, until: TimeUs) {
        let Some(trial) = self.going_on.get_mut(&endpoint) else { return };
        if matches!(trial.state, State::Asked(_)) && trial.port == port {
            trial.asks -= 1;
            self.wait(endpoint, until);
        }
    }

    /// The ask was in vain, by the word of whoever made it; the pause before the next begins now.
    pub(in crate::run) fn silent(&mut self, endpoint: Endpoint, port: u16, now: TimeUs) {
        let Some(trial) = self.going_on.get(&endpoint).copied() else { return };
        if !matches!(trial.state, State::Asked(_)) || trial.port != port {
            return;
        }
        self.unanswered(endpoint, trial, now);
        if trial.asks < self.asks_max {
            self.wait(endpoint, now.plus_micros(self.pause_us));
        }
    }

    /// True when the answer is that of a trial.
    pub(in crate::run) fn heard(&mut self, endpoint: Endpoint, port: u16, reply: Reply, at: TimeUs) -> bool {
        let Some(trial) = self.going_on.get(&endpoint).copied() else { return false };
        if !matches!(trial.state, State::Asked(_)) || trial.port != port {
            return false;
        }
        let took = at.micros_since(trial.asked_at).max(0);
        // A network element that speaks for it is no sign of life.
        let lives = matches!(reply, Reply::Answered | Reply::Refused);
        self.signs.trial(lives, lives.then_some(took));
        self.conclude(endpoint, trial, !matches!(reply, Reply::Answered), at);
        true
    }

    /// Concludes trials whose time is over.
    pub(in crate::run) fn turn(&mut self, now: TimeUs) {
        while let Some(Reverse((at, endpoint))) = self.agenda.peek().copied() {
            if at > now {
                return;
            }
            let Some(trial) = self.going_on.get(&endpoint).copied() else {
                self.agenda.pop();
                continue;
            };
            match trial.state {
                State::Asked(until) if until <= now => {
                    self.agenda.pop();
                    self.unanswered(endpoint, trial, now);
                }
                State::Due(due) if due == at => return,
                State::Due(_) | State::Asked(_) => drop(self.agenda.pop()),
            }
        }
    }

    /// The time of a trial's last ask is over.
    fn unanswered(&mut self, endpoint: Endpoint, trial: Trial, now: TimeUs) {
        self.signs.trial(false, None);
        if trial.asks < self.asks_max {
            self.wait(endpoint, now);
        } else {
            self.conclude(endpoint, trial, true, now);
        }
    }

    /// What trials told since the last time this was asked.
    pub(super) fn signs(&mut self) -> Signs {
        std::mem::take(&mut self.signs)
    }

    pub(in crate::run) fn due(&self) -> Option<TimeUs> {
        self.agenda.peek().map(|due| due.0.0)
    }

    /// Asks at once what was to be asked later, and canaries no more.
    pub(in crate::run) fn hurry(&mut self, now: TimeUs) {
        self.hurried = true;
        self.going_on.retain(|_, trial| !trial.canary || matches!(trial.state, State::Asked(_)));
        let due: Vec<Endpoint> =
            self.going_on.iter().filter(|(_, t)| matches!(t.state, State::Due(_))).map(|(e, _)| *e).collect();
        due.into_iter().for_each(|endpoint| self.wait(endpoint, now));
    }

    pub(in crate::run) fn idle(&self) -> bool {
        self.going_on.values().all(|trial| trial.canary && !self.hurried)
    }

    pub(in crate::run) fn estimate(&self, found: u64) -> MissEstimate {
        MissEstimate {
            canary_asked: self.canary_asked,
            canary_missed: self.canary_missed,
            ..MissEstimate::new(self.asked, self.missed, found, self.blocks.design_effect())
        }
    }

    fn plan(&mut self, endpoint: Endpoint, trial: Trial) {
        if let State::Due(at) = trial.state {
            self.agenda.push(Reverse((at, endpoint)));
        }
        self.going_on.insert(endpoint, trial);
    }

    fn conclude(&mut self, endpoint: Endpoint, trial: Trial, missed: bool, now: TimeUs) {
        self.going_on.remove(&endpoint);
        if !trial.canary {
            self.asked += 1;
            self.missed += u64::from(missed);
            trial.number.into_iter().for_each(|number| self.blocks.conclude(number, missed));
            return;
        }
        self.canary_asked += 1;
        self.canary_missed += u64::from(missed);
        if !self.hurried {
            let every = i64::try_from(self.terms.canary_every_ms).unwrap_or(i64::MAX).saturating_mul(1_000);
            self.plan(endpoint, Trial::new(true, trial.wait_us, now.plus_micros(every.max(1_000))));
        }
    }
}

impl Trial {
    fn new(canary: bool, wait_us: i64, at: TimeUs) -> Self {
        Self { canary, number: None, wait_us, asks: 0, port: 0, asked_at: at, state: State::Due(at) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the tables of Clopper and Pearson's method (R: binom.test).
    #[test]
    fn intervals_are_the_published_ones() {
        let close =
            |found: f64, stated: f64| assert!((found - stated).abs() < 5e-5, "{found} is not {stated}");
        close(lower(100, 2), 0.002431);
        close(upper(100, 2), 0.070384);
        close(upper(100, 0), 0.036217);
        close(lower(1000, 100), 0.082109);
        close(upper(1000, 100), 0.120282);
        close(lower(10, 10), 0.691503);
        assert_eq!((lower(10, 0), upper(10, 10)), (0.0, 1.0));
    }

    #[test]
    fn without_trials_nothing_is_known() {
        let estimate = MissEstimate::new(0, 0, 1_000, 1.0);
        assert_eq!((estimate.low, estimate.high), (0.0, 1.0));
    }

    /// One trial that is due before another's time is over hides it from nobody.
    #[test]
    fn every_trial_ends() {
        let at = |ms: i64| TimeUs::from_micros(1_800_000_000_000_000 + ms * 1_000);
        let canary = |n: u8| Endpoint::tcp([198, 18, 0, n].into(), 80);
        let terms = MissTerms { canaries: vec![canary(1), canary(2)], ..MissTerms::none() };
        let mut samples = Samples::new(terms, 1, 0, 1_000_000, at(0));
        while let Some(endpoint) = samples.next(at(0)) {
            samples.sent(endpoint, 1, at(if endpoint == canary(1) { 0 } else { 1_500 }));
        }
        samples.heard(canary(1), 1, Reply::Answered, at(1));
        // The first is due again since a second, and the time of the second is over.
        samples.turn(at(2_600));
        assert_eq!((samples.next(at(2_600)), samples.next(at(2_600))), (Some(canary(1)), None));
        samples.sent(canary(1), 1, at(2_600));
        samples.hurry(at(2_700));
        samples.turn(at(5_000));
        assert!(samples.idle());
        assert_eq!((samples.canary_asked, samples.canary_missed), (3, 2));
    }

    #[test]
    fn clustered_misses_are_worth_fewer_trials() {
        let blocks = |missed: fn(u64) -> bool| {
            let mut blocks = Blocks::default();
            for _ in 0..4096 {
                let number = blocks.begin();
                blocks.conclude(number, missed(number));
            }
            blocks.design_effect()
        };
        assert!(blocks(|n| n % 10 == 0) < 1.1, "as even as can be");
        assert!(blocks(|n| n % 640 < 64) > 20.0, "one run of 64 in every 640");
        assert_eq!(blocks(|_| false), 1.0);
    }

    #[test]
    fn few_targets_make_the_interval_wider() {
        let (few, many) = (MissEstimate::new(1000, 20, 50, 1.0), MissEstimate::new(1000, 20, 1_000_000, 1.0));
        assert!(few.low < many.low && few.high > many.high);
        assert!(many.low <= many.rate && many.rate <= many.high);
    }
}
