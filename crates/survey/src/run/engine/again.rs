//! Asking some of those who answered once more when the sweep connects: how much it missed.
//!
//! An ask is a connection here, reset at once. What an estimate says is the share of answering targets
//! that did not complete a connection in as many asks as the plan grants a silent target; where an ask may
//! last longer than a second, that is after the kernel has repeated its SYN once.

use std::collections::HashSet;

use super::*;
use crate::run::front::miss::{MissEstimate, Samples};
use crate::sweep::Ask;
use kenshin_mandate::{Exchange, Verdict};

/// Marks the token of a trial.
pub(super) const AGAIN: u64 = 1 << 62;

/// The engine itself says when an ask was in vain; this catches only what it lost.
const SLACK_US: i64 = 1_000_000;

/// Trials begun in one turn of the loop at most.
const BEGUN_MAX: u32 = 64;

/// Between two estimates.
const ESTIMATE_EVERY: Duration = Duration::from_millis(100);

/// The trials of a run.
pub(super) struct Again {
    samples: Samples,
    wait_us: i64,
    /// Those in flight, by the number of their ask; at most one at an address.
    asking: HashMap<u64, Endpoint>,
    held: HashSet<IpAddr>,
    asked: u64,
    /// No slice will come any more.
    last: bool,
    estimated: Option<Instant>,
    /// Whether anything is measured at all.
    measures: bool,
}

impl Again {
    pub(super) fn new(plan: &SurveyPlan, terms: MissTerms, now: TimeUs) -> Self {
        let us = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX / 1_000).saturating_mul(1_000);
        let retry = &plan.manner.retry;
        let wait_us = us(plan.manner.limits.connect_ms).saturating_add(SLACK_US);
        Self {
            measures: terms.sample_ppm > 0 || !terms.canaries.is_empty(),
            samples: Samples::new(terms, retry.asks_max, us(retry.pause_ms), wait_us, now),
            wait_us,
            asking: HashMap::new(),
            held: HashSet::new(),
            asked: 0,
            last: false,
            estimated: None,
        }
    }

    /// True when no trial is going on.
    pub(super) fn idle(&self) -> bool {
        self.samples.idle()
    }

    /// When the next trial wants something.
    pub(super) fn due(&self) -> Option<TimeUs> {
        self.samples.due()
    }

    /// Connections that trials hold at an address.
    pub(super) fn open_at(&self, addr: IpAddr) -> u32 {
        u32::from(self.held.contains(&addr))
    }

    /// Everything in flight was reset: it is asked once more.
    pub(super) fn aborted(&mut self, now: TimeUs) {
        self.held.clear();
        for (number, endpoint) in self.asking.drain() {
            self.samples.unsent(endpoint, number as u16, now);
        }
    }

    fn estimate(&mut self, found: u64) -> Option<MissEstimate> {
        self.measures.then(|| self.samples.estimate(found))
    }
}

impl<S: Sweep> Engine<S> {
    /// Those who answered in a slice that is complete may be asked again.
    pub(super) fn sample(&mut self, work: &Work) {
        let now = (self.clock)();
        for (number, target) in work.targets.iter() {
            let (host, endpoint) = work.endpoint(number);
            let answered = matches!(target.swept, Some(Swept { end: End::Reply(Reply::Answered), .. }));
            // Whoever stopped answering after us is left alone.
            if answered && !work.hosts[host].broken {
                let index = work.slice.index_from + u64::from(number);
                self.again.samples.offer(endpoint, index, self.again.wait_us, now);
            }
        }
    }

    /// Begins trials that are due. False when the mandate no longer stands.
    pub(super) fn ask_again(&mut self, now: TimeUs) -> bool {
        if self.sweeper.is_some() {
            return true;
        }
        self.again.samples.turn(now);
        for _ in 0..BEGUN_MAX {
            if self.sweep.room(self.talks.len()) == 0 {
                return true;
            }
            let Some(endpoint) = self.again.samples.next(now) else { return true };
            let held = self.host_at(endpoint.addr).map_or(0, |host| host.open);
            if held >= crate::plan::CONNECTIONS_PER_ADDRESS_MAX || self.again.open_at(endpoint.addr) > 0 {
                self.again.samples.wait(endpoint, now.plus_micros(BUSY_PAUSE_US));
                continue;
            }
            let verdict = self.gate().judge(&Exchange { endpoint, check: Check::Sweep }, now);
            match verdict {
                Verdict::Granted(permit) => {
                    self.again.asked += 1;
                    let number = self.again.asked;
                    self.again.asking.insert(number, endpoint);
                    self.again.held.insert(endpoint.addr);
                    self.again.samples.sent(endpoint, number as u16, now);
                    self.meter.sent(1);
                    self.sweep.ask(Ask { token: AGAIN | number, target: endpoint, permit });
                }
                Verdict::Wait { until } => self.again.samples.wait(endpoint, until),
                Verdict::Refused(refusal) if refusal.concerns_target() => {
                    self.again.samples.forget(endpoint);
                }
                Verdict::Refused(refusal) => {
                    self.again.samples.wait(endpoint, now);
                    self.lose(refusal);
                    return false;
                }
            }
        }
        true
    }

    /// A trial was answered, or was in vain.
    pub(super) fn answered_again(&mut self, answer: Answer, now: TimeUs) {
        let number = answer.token & !AGAIN;
        let Some(endpoint) = self.again.asking.remove(&number) else { return };
        self.again.held.remove(&endpoint.addr);
        let (samples, ask) = (&mut self.again.samples, number as u16);
        match answer.reply {
            Reply::Busy(what) => {
                samples.unsent(endpoint, ask, now.plus_micros(BUSY_PAUSE_US));
                self.meter.busy(what);
            }
            // This machine failed: that tells nothing of the way.
            Reply::Failed(_) => samples.forget(endpoint),
            Reply::Silent => samples.silent(endpoint, ask, now),
            Reply::Answered | Reply::Refused | Reply::Filtered(_) => {
                samples.heard(endpoint, ask, answer.reply, now);
            }
        }
        if let Some((place, host)) = self.place_of(endpoint.addr) {
            self.unpark(place, host, 1);
        }
    }

    /// Publishes what is known of misses, and hurries when no slice will come any more.
    pub(super) fn look_at_again(&mut self) {
        if self.sweeper.is_some() {
            return;
        }
        if !self.again.last && self.no_slice_comes() {
            self.again.last = true;
            self.again.samples.hurry((self.clock)());
        }
        if self.again.last || self.again.estimated.is_none_or(|at| at.elapsed() >= ESTIMATE_EVERY) {
            self.again.estimated = Some(Instant::now());
            let estimate = self.again.estimate(self.meter.answered());
            self.meter.missed(estimate);
        }
    }

    fn host_at(&self, addr: IpAddr) -> Option<&crate::run::host::Host> {
        let (place, host) = self.place_of(addr)?;
        self.works[place as usize].as_ref().map(|work| &work.hosts[host])
    }

    /// Where the address is held when its slice is in flight.
    fn place_of(&self, addr: IpAddr) -> Option<(u32, usize)> {
        let port = *self.space.ports().first()?;
        let index = self.space.index_of(Endpoint::new(addr, port.number, port.transport))?;
        let (slice, within) = self.space.place_of(index);
        let in_flight = |place: &&u32| {
            self.works[**place as usize].as_ref().is_some_and(|work| work.slice.number == slice)
        };
        let place = *self.order.iter().find(in_flight)?;
        let work = self.works[place as usize].as_ref()?;
        let (host, _) = work.endpoint(u32::try_from(within).ok()?);
        Some((place, host))
    }
}
