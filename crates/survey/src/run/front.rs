//! The sweep over raw packets, without the packets: whom to ask next, what came back, when a slice
//! is over. Pure: `now` comes in, packets go out through `Emit`.
//!
//! Nothing is kept for a target that says nothing. A slice in flight is a cursor over its order
//! and a list of those who answered; when everybody was asked and time has passed, it is `Over`,
//! and every target that is not on the list was silent. An answer finds its slice by arithmetic
//! ([`Space::index_of`]), and whether it answers a packet of ours is told by the packet itself.
//!
//! Whoever answered and stops answering after us is left alone (`breaker`), and the pace falls when the
//! network suffers (`pace`).
//!
//! Each packet is judged by the [`Gate`] immediately before it is built. A sample of those who
//! answered is asked again in the same way, later: the share of it that stays silent this time is
//! the share of all that was missed ([`miss`]).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use kenshin_mandate::{Exchange, Gate, Permit, Refusal, Verdict};
use kenshin_observation::{Check, Endpoint, Prefix, TimeUs};

use super::slice::{End, Swept};
use crate::space::{Slice, Space};
use crate::sweep::Reply;

mod breaker;
pub mod miss;
mod pace;
mod waiting;

pub(crate) use breaker::BreakerTerms;
use breaker::{Breaker, Standing, Unit};
use miss::{MissTerms, Samples};
pub use pace::Slowed;
use pace::{Pace, Signs};
use waiting::{Place, Waiting};

/// Asks in one step at most; then the lists that narrow and the answers have their turn.
const BURST: u32 = 64;

/// Asks that wait for a rate at most, in all slices; more wait as places of the cursor.
const WAITING_MAX: usize = 1 << 17;

/// Asks that wait come back no denser than one in so many µs: those of a slow provider may be many, and
/// all of them wait for the same token.
const WAITING_EACH_US: i64 = 20;

/// An ask is tried again after this pause while its next hop is being asked for.
const NEIGHBOUR_PAUSE_US: i64 = 500_000;

/// The same while it is in doubt whether anybody is there.
const DOUBT_PAUSE_US: i64 = 100_000;

/// How long a canary may take to answer.
const CANARY_WAIT_US: i64 = 1_000_000;

/// Tells an ask because of a doubt from others of its target: the last of the sixteen salts that are
/// told apart, and more than all asks and asks again.
const DOUBTED: u32 = 15;

/// How packets leave this machine, for the front.
pub(crate) trait Emit {
    /// Builds the packet of one exchange, using up its permit. `salt` tells the exchanges with one
    /// target apart.
    fn ask(&mut self, permit: Permit, salt: u32) -> Emitted;

    /// Something was heard: an end for what is half open at the other side may be built.
    fn heard(&mut self, heard: &Heard);

    /// Sends what was built. Never waits for longer than a few milliseconds.
    fn flush(&mut self) -> Flushed;
}

/// What became of an ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Emitted {
    /// Its packet leaves with the next flush, from this address and port.
    Sent(SocketAddr),
    /// The next hop is not known yet and has been asked for; nothing was sent. Ask again soon.
    Unresolved,
    /// On our own network nobody has this address; nothing was sent but that question.
    Absent,
    /// There is no way to it; why. Nothing was sent.
    NoWay(&'static str),
}

/// What became of the packets of a flush.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Flushed {
    /// Left this machine.
    pub(crate) sent: u64,
    /// Did not, whatever was tried.
    pub(crate) dropped: u64,
}

/// An answer that belongs to a packet of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heard {
    /// Who was asked.
    pub(crate) target: Endpoint,
    /// What came back.
    pub(crate) reply: Reply,
    /// Our side of the exchange.
    pub(crate) vantage: SocketAddr,
    /// When it came.
    pub(crate) at: TimeUs,
}

/// How the front goes about it.
#[derive(Debug, Clone)]
pub(crate) struct FrontTerms {
    /// How often a silent target is asked, at least 1.
    pub(crate) asks_max: u32,
    /// Pause before it is asked again, µs.
    pub(crate) pause_us: i64,
    /// How long an answer may take, µs.
    pub(crate) wait_us: i64,
    /// The mandate's whole rate at this sensor's share, a second; slowing down is a part of it.
    pub(crate) whole_pps: f64,
    /// How misses are measured.
    pub(crate) miss: MissTerms,
    /// When whom to leave alone.
    pub(crate) breaker: BreakerTerms,
}

/// A slice whose sweep is over.
#[derive(Debug)]
pub(crate) struct Over {
    pub(crate) slice: Slice,
    pub(crate) attempt: u32,
    pub(crate) began_at: TimeUs,
    pub(crate) ended_at: TimeUs,
    /// Exchanges begun.
    pub(crate) sent: u64,
    /// Targets at which something else happened than silence, by number.
    pub(crate) known: BTreeMap<u32, Swept>,
    /// Targets from this number on were never asked, unless they are known: the survey was cut off.
    pub(crate) asked_to: u32,
    /// Of those who answered, addresses that stopped answering after us.
    pub(crate) left_alone: BTreeSet<IpAddr>,
}

/// What a step came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stepped {
    /// Nothing is due before this instant, unless something is heard or a slice is added.
    Until(TimeUs),
    /// The mandate lets nothing be sent.
    Refused(Refusal),
}

/// Counts of a run of the front.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Packets that left.
    pub(crate) sent: u64,
    /// Packets this machine could not send.
    pub(crate) dropped: u64,
    /// Targets asked for the first time.
    pub(crate) asked: u64,
    /// Answers to exchanges of slices that were over, or of earlier runs.
    pub(crate) late: u64,
    /// Further answers of targets that had answered.
    pub(crate) repeated: u64,
}

/// See the module.
pub(crate) struct Front {
    space: Arc<Space>,
    terms: FrontTerms,
    slices: BTreeMap<u64, Sweeping>,
    waiting: Waiting,
    samples: Samples,
    breaker: Breaker,
    pace: Pace,
    counts: Counts,
}

#[derive(Debug)]
struct Sweeping {
    slice: Slice,
    attempt: u32,
    began_at: TimeUs,
    /// How often everybody was asked before.
    pass: u32,
    cursor: u32,
    /// Asks that wait for a rate or a neighbour.
    waiting: u32,
    sent: u64,
    asked_at: TimeUs,
    known: BTreeMap<u32, Swept>,
}

impl Sweeping {
    fn targets(&self) -> u32 {
        u32::try_from(self.slice.targets()).expect("a plan allows 2^22 targets in a slice")
    }

    /// When the next pass or the end may come; `None` while targets are still to be asked.
    fn due(&self, terms: &FrontTerms) -> Option<TimeUs> {
        let all_asked = self.cursor >= self.targets() && self.waiting == 0;
        let pause =
            if self.pass + 1 < terms.asks_max { terms.pause_us.max(terms.wait_us) } else { terms.wait_us };
        all_asked.then(|| self.asked_at.plus_micros(pause))
    }
}

/// Somebody to ask.
enum Job {
    Target {
        slice: u64,
        number: u32,
        endpoint: Endpoint,
    },
    Again(Endpoint),
    /// It is in doubt whether anybody is there.
    Doubted(Unit, Endpoint),
}

impl Front {
    pub(crate) fn new(space: Arc<Space>, terms: FrontTerms, now: TimeUs) -> Self {
        Self {
            samples: Samples::new(terms.miss.clone(), terms.asks_max, terms.pause_us, CANARY_WAIT_US, now),
            breaker: Breaker::new(terms.breaker),
            pace: Pace::new(terms.whole_pps, now),
            space,
            terms,
            slices: BTreeMap::new(),
            waiting: Waiting::default(),
            counts: Counts::default(),
        }
    }

    /// Takes a slice to be swept.
    pub(crate) fn take(&mut self, slice: Slice, attempt: u32, now: TimeUs) {
        let sweeping = Sweeping {
            attempt,
            began_at: now,
            pass: 0,
            cursor: 0,
            waiting: 0,
            sent: 0,
            asked_at: now,
            known: BTreeMap::new(),
            slice,
        };
        self.slices.insert(sweeping.slice.number, sweeping);
    }

    /// No further slice will come: samples are not kept waiting any more.
    pub(crate) fn last(&mut self, now: TimeUs) {
        self.samples.hurry(now);
    }

    /// Slices in flight.
    #[cfg(test)]
    pub(crate) fn slices(&self) -> usize {
        self.slices.len()
    }

    /// Slices of which somebody is still to be asked for the first time.
    pub(crate) fn unasked(&self) -> usize {
        self.slices.values().filter(|s| s.pass == 0 && s.cursor < s.targets()).count()
    }

    /// True when nothing is in flight, samples included.
    pub(crate) fn idle(&self) -> bool {
        self.slices.is_empty() && self.samples.idle()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// What is known of misses, for `found` who answered.
    pub(crate) fn estimate(&self, found: u64) -> miss::MissEstimate {
        self.samples.estimate(found)
    }

    /// Why and how far it has slowed down, when it has.
    pub(crate) fn slowed(&self) -> Option<Slowed> {
        self.pace.slowed()
    }

    /// Asks whoever may be asked now, and says when to come again.
    pub(crate) fn step(&mut self, now: TimeUs, gate: &mut Gate, emit: &mut impl Emit) -> Stepped {
        self.samples.turn(now);
        self.pace.turn(now, self.samples.signs());
        self.turn(now);
        let mut refused = None;
        let mut ready = gate.ready_at(now).max(self.pace.ready_at(now));
        let mut asked = 0;
        while ready <= now && asked < BURST {
            let Some(job) = self.next(now) else { break };
            match self.ask(job, now, gate, emit) {
                Ok(()) => asked += 1,
                Err(refusal) => {
                    refused = Some(refusal);
                    break;
                }
            }
            ready = gate.ready_at(now).max(self.pace.ready_at(now));
        }
        let flushed = emit.flush();
        self.counts.sent += flushed.sent;
        self.counts.dropped += flushed.dropped;
        self.pace.sent(flushed.sent, flushed.dropped);
        match refused {
            Some(refusal) => Stepped::Refused(refusal),
            None if ready > now => Stepped::Until(ready),
            // There may be more to ask at once, of which nothing but the cursors know.
            None if asked == BURST => Stepped::Until(now),
            None => Stepped::Until(self.next_due().unwrap_or(TimeUs::from_micros(i64::MAX)).max(now)),
        }
    }

    /// Takes an answer. True when it is the first of its target.
    pub(crate) fn heard(&mut self, heard: Heard) -> bool {
        let Heard { target, reply, vantage, at } = heard;
        if matches!(reply, Reply::Filtered(_)) {
            self.pace.sign(Signs { unreachable: 1, ..Signs::default() });
        }
        let doubted = self.breaker.standing(target.addr) == Standing::Doubted;
        if matches!(reply, Reply::Answered | Reply::Refused) {
            self.breaker.alive(target);
        }
        if self.samples.heard(target, vantage.port(), reply, at) {
            return false;
        }
        let Some(index) = self.space.index_of(target) else { return false };
        let (number, within) = self.space.place_of(index);
        let Some(sweeping) = self.slices.get_mut(&number) else {
            // Asked again because of a doubt, not late.
            self.counts.late += u64::from(!doubted);
            return false;
        };
        let within = u32::try_from(within).expect("a plan allows 2^22 targets in a slice");
        let swept = Swept { end: End::Reply(reply), at, vantage: Some(vantage) };
        match sweeping.known.get_mut(&within) {
            None => {
                sweeping.known.insert(within, swept);
                true
            }
            // Somebody listens after all: a network element had spoken first.
            Some(known) if stronger(reply, known.end) => {
                *known = swept;
                true
            }
            Some(_) => {
                self.counts.repeated += u64::from(!doubted);
                false
            }
        }
    }

    /// Slices whose sweep is over.
    pub(crate) fn over(&mut self, now: TimeUs) -> Vec<Over> {
        let terms = &self.terms;
        let last_pass =
            |s: &Sweeping| s.pass + 1 >= terms.asks_max && s.due(terms).is_some_and(|due| due <= now);
        let done: Vec<u64> =
            self.slices.iter().filter(|(_, s)| last_pass(s)).map(|(number, _)| *number).collect();
        let mut over = Vec::with_capacity(done.len());
        for number in done {
            let Some(sweeping) = self.slices.remove(&number) else { continue };
            self.sample(&sweeping, now);
            let asked_to = sweeping.targets();
            over.push(self.end_slice(sweeping, now, asked_to));
        }
        over
    }

    /// Gives up: what is known of the slices in flight. Targets that wait for a rate count as never
    /// asked, with `code` as the reason.
    pub(crate) fn cut_off(&mut self, now: TimeUs, code: &'static str) -> Vec<Over> {
        for Place { slice, number, pass } in self.waiting.drain() {
            if let (Some(sweeping), 0) = (self.slices.get_mut(&slice), pass) {
                let swept = Swept { end: End::Limited(code), at: now, vantage: None };
                sweeping.known.entry(number).or_insert(swept);
            }
        }
        let slices = std::mem::take(&mut self.slices).into_values();
        slices
            .map(|sweeping| {
                let asked_to = if sweeping.pass > 0 { sweeping.targets() } else { sweeping.cursor };
                self.end_slice(sweeping, now, asked_to)
            })
            .collect()
    }

    /// What is known of a slice. Its hosts are watched no more.
    fn end_slice(&mut self, sweeping: Sweeping, now: TimeUs, asked_to: u32) -> Over {
        let Sweeping { slice, attempt, began_at, sent, known, .. } = sweeping;
        let mut left_alone = BTreeSet::new();
        for number in known.keys() {
            let addr = slice.target_at(u64::from(*number)).1.addr;
            if self.breaker.standing(addr) == Standing::Broken {
                left_alone.insert(addr);
            }
        }
        for number in known.keys() {
            self.breaker.forget(slice.target_at(u64::from(*number)).1.addr);
        }
        Over { slice, attempt, began_at, ended_at: now, sent, known, asked_to, left_alone }
    }

    /// Begins the next pass where it is time.
    fn turn(&mut self, now: TimeUs) {
        for sweeping in self.slices.values_mut() {
            if sweeping.pass + 1 < self.terms.asks_max
                && sweeping.due(&self.terms).is_some_and(|due| due <= now)
            {
                (sweeping.pass, sweeping.cursor) = (sweeping.pass + 1, 0);
            }
        }
    }

    fn next_due(&self) -> Option<TimeUs> {
        let slices = self.slices.values().filter_map(|sweeping| sweeping.due(&self.terms));
        slices.chain(self.waiting.due()).chain(self.samples.due()).chain(self.breaker.due()).min()
    }

    fn next(&mut self, now: TimeUs) -> Option<Job> {
        if let Some((unit, endpoint)) = self.breaker.next(now) {
            return Some(Job::Doubted(unit, endpoint));
        }
        if let Some(endpoint) = self.samples.next(now) {
            return Some(Job::Again(endpoint));
        }
        while let Some(Place { slice, number, pass }) = self.waiting.pop(now) {
            let Some(sweeping) = self.slices.get_mut(&slice) else { continue };
            sweeping.waiting -= 1;
            if sweeping.pass == pass && !sweeping.known.contains_key(&number) {
                let endpoint = sweeping.slice.target_at(number.into()).1;
                return Some(Job::Target { slice, number, endpoint });
            }
        }
        if self.waiting.len() >= WAITING_MAX {
            return None;
        }
        for (slice, sweeping) in &mut self.slices {
            while sweeping.cursor < sweeping.targets() {
                let number = sweeping.cursor;
                sweeping.cursor += 1;
                if sweeping.pass == 0 || !sweeping.known.contains_key(&number) {
                    let endpoint = sweeping.slice.target_at(number.into()).1;
                    return Some(Job::Target { slice: *slice, number, endpoint });
                }
            }
        }
        None
    }

    fn ask(&mut self, job: Job, now: TimeUs, gate: &mut Gate, emit: &mut impl Emit) -> Result<(), Refusal> {
        let (Job::Target { endpoint, .. } | Job::Again(endpoint) | Job::Doubted(_, endpoint)) = job;
        let standing = match job {
            Job::Target { .. } => self.breaker.standing(endpoint.addr),
            // A canary that is silent says so itself.
            Job::Again(_) if self.samples.is_canary(endpoint) => Standing::Free,
            Job::Again(_) => self.breaker.standing(endpoint.addr),
            Job::Doubted(..) => Standing::Free,
        };
        match standing {
            Standing::Broken => {
                self.end(job, End::Limited("breaker"), now);
                return Ok(());
            }
            Standing::Doubted => {
                self.wait(job, now.plus_micros(DOUBT_PAUSE_US), Prefix::host(endpoint.addr));
                return Ok(());
            }
            Standing::Free => {}
        }
        match gate.judge(&Exchange { endpoint, check: Check::Sweep }, now) {
            Verdict::Granted(permit) => {
                let salt = match job {
                    Job::Target { slice, .. } => self.slices.get(&slice).map_or(0, |s| s.pass),
                    Job::Again(_) => self.terms.asks_max + self.samples.asks(endpoint),
                    Job::Doubted(..) => DOUBTED,
                };
                self.granted(job, emit.ask(permit, salt), now);
                Ok(())
            }
            Verdict::Wait { until } => {
                self.wait(job, until, waiting::line(gate, endpoint.addr, now, until));
                Ok(())
            }
            Verdict::Refused(refusal) if refusal.concerns_target() => {
                self.end(job, End::Limited(refusal.code()), now);
                Ok(())
            }
            Verdict::Refused(refusal) => {
                self.wait(job, now, Prefix::host(endpoint.addr));
                Err(refusal)
            }
        }
    }

    fn granted(&mut self, job: Job, emitted: Emitted, now: TimeUs) {
        match (job, emitted) {
            (Job::Again(endpoint), Emitted::Sent(vantage)) => {
                self.samples.sent(endpoint, vantage.port(), now)
            }
            (Job::Doubted(unit, _), Emitted::Sent(_)) => self.breaker.sent(unit, now),
            (Job::Target { slice, endpoint, .. }, Emitted::Sent(_)) => {
                self.breaker.asked(endpoint.addr, now);
                if let Some(sweeping) = self.slices.get_mut(&slice) {
                    self.counts.asked += u64::from(sweeping.pass == 0);
                    sweeping.sent += 1;
                    sweeping.asked_at = sweeping.asked_at.max(now);
                }
            }
            (job, Emitted::Unresolved) => {
                let (Job::Target { endpoint, .. } | Job::Again(endpoint) | Job::Doubted(_, endpoint)) = job;
                self.wait(job, now.plus_micros(NEIGHBOUR_PAUSE_US), Prefix::host(endpoint.addr));
            }
            // As silent as a target can be.
            (Job::Target { .. }, Emitted::Absent) => self.counts.asked += 1,
            (Job::Again(endpoint), Emitted::Absent) => self.samples.forget(endpoint),
            (Job::Doubted(unit, _), Emitted::Absent) => self.breaker.give_up(unit),
            (job, Emitted::NoWay(why)) => self.end(job, End::Error(why), now),
        }
    }

    fn wait(&mut self, job: Job, until: TimeUs, line: Prefix) {
        match job {
            Job::Target { slice, number, .. } => {
                let Some(sweeping) = self.slices.get_mut(&slice) else { return };
                sweeping.waiting += 1;
                // Who waits by itself waits for its provider, with many others, or for its own address.
                let alone = line == Prefix::host(line.base());
                let spread_us = if alone { self.waiting.len() as i64 * WAITING_EACH_US } else { 0 };
                let until = until.plus_micros(i64::from(number.wrapping_mul(0x9e37_79b1)) % (spread_us + 1));
                self.waiting.push(line, Place { slice, number, pass: sweeping.pass }, until);
            }
            Job::Again(endpoint) => self.samples.wait(endpoint, until),
            Job::Doubted(unit, _) => self.breaker.wait(unit, until),
        }
    }

    fn end(&mut self, job: Job, end: End, now: TimeUs) {
        match job {
            Job::Target { slice, number, .. } => {
                if let Some(sweeping) = self.slices.get_mut(&slice) {
                    sweeping.known.entry(number).or_insert(Swept { end, at: now, vantage: None });
                }
            }
            Job::Again(endpoint) => self.samples.forget(endpoint),
            Job::Doubted(unit, _) => self.breaker.give_up(unit),
        }
    }

    /// Draws some of those who answered, to be asked again as they were asked.
    fn sample(&mut self, sweeping: &Sweeping, now: TimeUs) {
        let lasted =
            sweeping.asked_at.micros_since(sweeping.began_at).max(0) / i64::from(self.terms.asks_max);
        let targets = i64::from(sweeping.targets());
        for (number, swept) in &sweeping.known {
            // An echo has no port by which its exchanges are told apart.
            if swept.end != End::Reply(Reply::Answered) || swept.vantage.is_none_or(|ours| ours.port() == 0) {
                continue;
            }
            let index = sweeping.slice.index_from + u64::from(*number);
            // Who was asked early had more time to answer.
            let left = lasted - lasted * i64::from(*number) / targets.max(1);
            let endpoint = sweeping.slice.target_at(u64::from(*number)).1;
            self.samples.offer(endpoint, index, self.terms.wait_us + left, now);
        }
    }
}

/// True when a reply tells more than what was known: that somebody listens, or that the host lives.
fn stronger(reply: Reply, known: End) -> bool {
    let rank = |reply| match reply {
        Reply::Answered => 2,
        Reply::Refused => 1,
        _ => 0,
    };
    match known {
        End::Reply(known) => rank(reply) > rank(known),
        End::Limited(_) | End::Error(_) => true,
    }
}

#[cfg(test)]
mod tests;
