//! The loop: one closed list of events, one owner of everything that is open.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kenshin_mandate::{Gate, Refusal, VerifiedMandate};
use kenshin_observation::{Check, Clock, Endpoint, Outcome, TimeUs, Transport};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::Instant;

use super::dialer::{DialRequest, Dialer};
use super::front::miss::MissTerms;
use super::front::{BreakerTerms, FrontTerms};
use super::host::Suspicion;
use super::queue::{Job, Queue};
use super::sealing::Context;
use super::slice::{End, Swept, Talked, Work};
use super::sweeper::{Packets, Sweeper, Told};
use super::{Ending, Opened, Run, RunError, Settings, SharedGate, TICK};
use crate::attempts::SurveyAttempts;
use crate::credential::Dictionary;
use crate::journal::{Entry, Journal};
use crate::plan::SurveyPlan;
use crate::probe::datagram::first_check;
use crate::probe::{Introduction, Orders, ProbeResult, ProbeSettings};
use crate::progress::{Progress, Waiting};
use crate::slices::SliceSet;
use crate::space::Space;
use crate::spool::Spool;
use crate::sweep::{Answer, Reply, Sweep};

mod again;
mod chores;
mod conversation;
mod dispatch;
mod meter;
mod standing;

use again::{AGAIN, Again};
use chores::Chore;
use meter::Meter;

/// Marks the token of a question whether a host is alive.
const VERIFY: u64 = 1 << 63;

/// Pause before this machine tries again what it had no room for.
const BUSY_PAUSE_US: i64 = 200_000;

/// Slices drafted and sealed at a time: the spool takes one after the other, and drafts take memory.
const SEALERS_MAX: usize = 2;

/// How often a target is tried when this machine fails.
const FAILURES_MAX: u32 = 2;

pub(super) struct Engine<S> {
    plan: Arc<SurveyPlan>,
    mandate: Arc<VerifiedMandate>,
    gate: SharedGate,
    spool: Spool,
    settings: Settings,
    clock: Clock,
    stop: watch::Receiver<bool>,
    space: Arc<Space>,
    context: Arc<Context>,
    journal: Arc<Mutex<Journal>>,
    dictionary: Option<Arc<Dictionary>>,
    sources: Arc<[IpAddr]>,
    introduction: Introduction,
    /// What hosts of this run answered to.
    orders: Arc<Orders>,

    sweep: S,
    talks: JoinSet<Vec<Talked>>,
    talking: HashMap<Id, Talk>,
    dial_requests: (mpsc::Sender<DialRequest>, mpsc::Receiver<DialRequest>),
    chores: JoinSet<Result<Chore, RunError>>,
    /// Places for slices that are being drafted and sealed.
    sealers: Arc<Semaphore>,
    /// Tells chores that wait for the spool to give up.
    give_up: Arc<AtomicBool>,

    queue: Queue,
    /// Slices in flight, by place.
    works: Vec<Option<Work>>,
    /// Places in the order of their slices.
    order: VecDeque<u32>,
    parked: usize,
    opening: u32,
    sealing: u32,
    next_slice: u64,
    sealed: SliceSet,
    /// Trials of what a sweep that connects misses; the thread has its own.
    again: Again,
    /// The thread that sweeps over raw packets; `None` when the sweep connects.
    sweeper: Option<Sweeper>,
    /// Slices it has, with their attempt and beginning.
    sweeping: BTreeMap<u64, (u32, TimeUs)>,
    /// It was told that no slice will come; it has said that everything is over.
    sweeper_last: bool,
    sweeper_idle: bool,
    lost: Option<Lost>,
    /// The limit of open descriptors allows fewer connections at a time than the plan.
    short: bool,
    /// When open conversations were last held against the lists that narrow.
    looked: Instant,
    meter: Meter,
}

/// A conversation going on.
struct Talk {
    place: u32,
    target: u32,
    endpoint: Endpoint,
    /// A credential check, not a probe.
    credentials: bool,
    made: Arc<AtomicU32>,
    abort: AbortHandle,
}

/// The mandate does not stand at the moment.
struct Lost {
    refusal: Refusal,
    since: Instant,
}

enum Event {
    Answer(Answer),
    Talked(Result<(Id, Vec<Talked>), JoinError>),
    Dial(DialRequest),
    Chore(Result<Result<Chore, RunError>, JoinError>),
    Told(Told),
    Stop,
    Tick,
}

impl<S: Sweep> Engine<S> {
    pub(super) fn new(run: Run, opened: Opened, sweep: S) -> Self {
        let Run { plan, gate, spool, settings, clock, progress, stop } = run;
        let Opened { journal, dictionary, space } = opened;
        let (mandate, sources) = {
            let gate = gate.lock().unwrap_or_else(PoisonError::into_inner);
            (Arc::clone(gate.mandate()), gate.sensor().source_addresses.clone())
        };
        let mut sealed = journal.sealed().clone();
        sealed.extend(&spool.sealed(plan.survey_id));
        sealed.extend(&settings.done);
        let context = Context {
            org_id: plan.org_id,
            mandate_id: plan.mandate_id.clone(),
            mandate_digest: plan.mandate_digest.clone(),
            survey_id: plan.survey_id,
            sensor_id: spool.sensor().id,
            tlp: plan.tlp,
            clock_error_us: settings.clock_error_us,
            target_digest: space.digest(),
            permutation_key: plan.permutation_key.to_string(),
            sources: sources.clone(),
            silence: plan.silence,
        };
        let introduction = Introduction {
            user_agent: mandate.introduction(),
            contact: mandate.contacts.email.clone(),
            name: introduction_name(&mandate),
        };
        let connections_max = usize::try_from(plan.manner.connections_max).unwrap_or(usize::MAX);
        let short = sweep.room(0) < connections_max;
        if short {
            let connections = sweep.room(0);
            tracing::warn!(
                connections,
                wanted = connections_max,
                "the limit of open files allows fewer connections at a time than planned: slower, and nothing is left out; hint: ulimit -n, or LimitNOFILE="
            );
        }
        let meter = Meter::new(progress, &plan, &space, settings.shard, &sealed);
        Self {
            talks: JoinSet::new(),
            talking: HashMap::new(),
            dial_requests: mpsc::channel(1024),
            chores: JoinSet::new(),
            sealers: Arc::new(Semaphore::new(SEALERS_MAX)),
            give_up: Arc::new(AtomicBool::new(false)),
            queue: Queue::default(),
            works: Vec::new(),
            order: VecDeque::new(),
            parked: 0,
            opening: 0,
            sealing: 0,
            next_slice: settings.shard.index,
            again: Again::new(&plan, settings.miss.clone(), clock()),
            sweeper: None,
            sweeping: BTreeMap::new(),
            sweeper_last: false,
            sweeper_idle: false,
            lost: None,
            short,
            looked: Instant::now(),
            plan: Arc::new(plan),
            space: Arc::new(space),
            context: Arc::new(context),
            journal: Arc::new(Mutex::new(journal)),
            sources: sources.into(),
            mandate,
            gate,
            spool,
            settings,
            clock,
            stop,
            dictionary,
            introduction,
            orders: Arc::default(),
            sweep,
            sealed,
            meter,
        }
    }

    /// Sweeps over raw packets, in a thread of its own.
    pub(super) fn with_packets(mut self, packets: Packets) -> Result<Self, RunError> {
        let manner = &self.plan.manner;
        let us = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX / 1_000).saturating_mul(1_000);
        let share = f64::from(self.gate().sensor().share_percent) / 100.0;
        let terms = FrontTerms {
            asks_max: manner.retry.asks_max,
            pause_us: us(manner.retry.pause_ms),
            wait_us: us(manner.limits.connect_ms),
            whole_pps: f64::from(self.mandate.rate.whole_pps) * share,
            miss: self.settings.miss.clone(),
            breaker: BreakerTerms {
                after: manner.retry.breaker_after,
                v4_len: self.mandate.rate.per_prefix.v4_len,
                v6_len: self.mandate.rate.per_prefix.v6_len,
                wait_us: us(manner.limits.connect_ms),
            },
        };
        let (space, gate, clock) = (Arc::clone(&self.space), Arc::clone(&self.gate), Arc::clone(&self.clock));
        self.sweeper = Some(Sweeper::begin(packets, space, terms, gate, clock).map_err(RunError::Packets)?);
        Ok(self)
    }

    /// Runs to the end. Whatever the end is, nothing is open and nothing is being written after.
    pub(super) async fn run(mut self) -> Result<(Ending, Progress), RunError> {
        let mut refreshing = JoinSet::new();
        let fresh = self.begin_refreshing(&mut refreshing).await?;
        let ending = self.work(fresh.as_ref()).await;
        self.look_at_sweeper();
        self.look_at_again();
        if let Some(sweeper) = self.sweeper.take() {
            // Ends within a few milliseconds; what it held is set aside or was given back.
            drop(sweeper);
        }
        self.sweep.abort();
        self.talks = JoinSet::new();
        self.give_up.store(true, Ordering::Relaxed);
        // Chores are never cut off: a batch half known would be sealed twice by the next run.
        let mut late = Ok(());
        while let Some(chore) = self.chores.join_next().await {
            late = late.and(self.chore(chore));
        }
        let ending = ending?;
        late?;
        if matches!(ending, Ending::Stopped | Ending::Paused { .. }) {
            self.set_aside().await?;
        }
        self.note_ending(&ending).await?;
        Ok((ending, self.meter.end((self.clock)())))
    }

    async fn work(&mut self, fresh: Option<&watch::Receiver<Instant>>) -> Result<Ending, RunError> {
        loop {
            if *self.stop.borrow() {
                return Ok(Ending::Stopped);
            }
            if let Some(ending) = self.watch_standing().await? {
                return Ok(ending);
            }
            self.seal_complete();
            self.open_slices();
            self.look_at_sweeper();
            self.look_at_again();
            if self.all_done() {
                return Ok(Ending::Finished);
            }
            let stale = fresh.is_some_and(|fresh| fresh.borrow().elapsed() > standing::REFRESH_LATE);
            if let Some(sweeper) = &self.sweeper {
                if stale || self.lost.is_some() { sweeper.must_not_send() } else { sweeper.may_send() }
            }
            let waiting = self.dispatch(stale);
            self.meter.publish((self.clock)(), waiting, self.talks.len());
            let event = self.next_event().await;
            self.handle(event)?;
        }
    }

    fn all_done(&self) -> bool {
        let measured = if self.sweeper.is_some() { self.sweeper_idle } else { self.again.idle() };
        self.no_slice_comes() && self.sealing == 0 && measured
    }

    /// Every slice was taken, and none is in flight any more.
    fn no_slice_comes(&self) -> bool {
        self.next_slice >= self.space.slices()
            && self.order.is_empty()
            && self.opening == 0
            && self.sweeping.is_empty()
    }

    /// Takes the sweeping thread's counts, and tells it when no slice will come any more.
    fn look_at_sweeper(&mut self) {
        let Some(sweeper) = &self.sweeper else { return };
        let found = self.meter.figures(&sweeper.figures());
        sweeper.found(found);
        if !self.sweeper_last
            && self.next_slice >= self.space.slices()
            && self.opening == 0
            && self.sweeping.is_empty()
        {
            self.sweeper_last = true;
            sweeper.last();
        }
    }

    async fn next_event(&mut self) -> Event {
        let nap = self.nap();
        tokio::select! {
            answer = self.sweep.answer() => Event::Answer(answer),
            talked = self.talks.join_next_with_id(), if !self.talks.is_empty() => match talked {
                Some(talked) => Event::Talked(talked),
                None => Event::Tick,
            },
            // We hold a sender, so that the channel never closes.
            Some(request) = self.dial_requests.1.recv() => Event::Dial(request),
            told = told(&mut self.sweeper) => Event::Told(told),
            chore = self.chores.join_next(), if !self.chores.is_empty() => match chore {
                Some(chore) => Event::Chore(chore),
                None => Event::Tick,
            },
            () = stopped(&mut self.stop) => Event::Stop,
            () = tokio::time::sleep(nap) => Event::Tick,
        }
    }

    /// How long nothing will be due.
    fn nap(&self) -> Duration {
        // Without room a trial that is due waits for it like everything else.
        let room = self.sweep.room(self.talks.len()) > 0;
        let again = self.again.due().filter(|_| room && self.lost.is_none() && self.sweeper.is_none());
        let next = self.queue.next().into_iter().chain(again).min();
        let due = next.map(|at| at.micros_since((self.clock)()).max(0).unsigned_abs());
        due.map_or(TICK, |micros| Duration::from_micros(micros).clamp(Duration::from_millis(1), TICK))
    }

    fn handle(&mut self, event: Event) -> Result<(), RunError> {
        match event {
            Event::Answer(answer) => self.answered(answer),
            Event::Talked(talked) => self.talked(talked),
            Event::Dial(request) => self.queue.push(Job::Dial(request)),
            Event::Chore(chore) => self.chore(chore)?,
            Event::Told(Told::Over(over)) => self.over(*over, None),
            Event::Told(Told::Idle) => self.sweeper_idle = true,
            Event::Told(Told::Refused(refusal)) => self.lose(refusal),
            Event::Told(Told::Failed(error)) => return Err(RunError::Packets(error)),
            Event::Told(Told::CutOff) | Event::Stop | Event::Tick => {}
        }
        Ok(())
    }

    fn answered(&mut self, answer: Answer) {
        let now = (self.clock)();
        if answer.token & AGAIN != 0 {
            return self.answered_again(answer, now);
        }
        let (place, number) = ((answer.token & !VERIFY) >> 32, answer.token as u32);
        let place = u32::try_from(place).expect("31 bits");
        if answer.token & VERIFY != 0 {
            self.verified(place, number, answer.reply, now);
            return;
        }
        let Some(work) = self.works[place as usize].as_mut() else { return };
        let (host, endpoint) = work.endpoint(number);
        let target = &mut work.targets[number as usize];
        target.asking = false;
        let retry = &self.plan.manner.retry;
        let again = match answer.reply {
            Reply::Busy(what) => {
                // Nothing was sent, so it was no ask.
                target.asks -= 1;
                work.sent -= 1;
                self.meter.busy(what);
                Some(now.plus_micros(BUSY_PAUSE_US))
            }
            Reply::Failed(_) => {
                target.failures += 1;
                (target.failures < FAILURES_MAX).then(|| now.plus_micros(BUSY_PAUSE_US))
            }
            Reply::Silent => {
                let pause = i64::try_from(retry.pause_ms).unwrap_or(i64::MAX).saturating_mul(1_000);
                (target.asks < retry.asks_max).then(|| now.plus_micros(pause))
            }
            Reply::Answered | Reply::Refused | Reply::Filtered(_) => None,
        };
        if let Some(at) = again {
            self.queue.push_at(at, Job::Ask { place, target: number });
            self.release(place, host);
            return;
        }
        let swept = Swept { end: End::Reply(answer.reply), at: now, vantage: answer.vantage };
        target.swept = Some(swept);
        self.meter.swept(swept.end);
        match answer.reply {
            Reply::Answered => {
                work.hosts[host].alive(endpoint.port);
                self.converse(place, number, endpoint, answer.stream);
                return;
            }
            Reply::Refused => work.hosts[host].alive(endpoint.port),
            Reply::Silent => {
                if work.hosts[host].silent() == Suspicion::Verify {
                    work.verifying += 1;
                    self.queue
                        .push(Job::Verify { place, host: u32::try_from(host).expect("2^16 hosts at most") });
                }
            }
            Reply::Filtered(_) | Reply::Busy(_) | Reply::Failed(_) => {}
        }
        self.release(place, host);
        self.done(place, number);
    }

    /// A host was asked again where it had answered.
    fn verified(&mut self, place: u32, host: u32, reply: Reply, now: TimeUs) {
        let Some(work) = self.works[place as usize].as_mut() else { return };
        let state = &mut work.hosts[host as usize];
        let again = match reply {
            Reply::Answered | Reply::Refused => {
                let port = state.alive_port.unwrap_or_default();
                state.alive(port);
                false
            }
            Reply::Busy(_) => true,
            Reply::Silent | Reply::Filtered(_) => state.silent_where_alive() == Suspicion::Verify,
            Reply::Failed(_) => {
                state.unverifiable();
                false
            }
        };
        if again {
            let pause =
                i64::try_from(self.plan.manner.retry.pause_ms).unwrap_or(i64::MAX).saturating_mul(1_000);
            self.queue.push_at(now.plus_micros(pause.max(BUSY_PAUSE_US)), Job::Verify { place, host });
        } else {
            work.verifying -= 1;
        }
        self.release(place, host as usize);
    }

    /// A connection to the host is closed; whoever waits for a place there may go on.
    fn release(&mut self, place: u32, host: usize) {
        let Some(work) = self.works[place as usize].as_mut() else { return };
        work.hosts[host].open -= 1;
        self.unpark(place, host, crate::plan::CONNECTIONS_PER_ADDRESS_MAX);
    }

    fn unpark(&mut self, place: u32, host: usize, many: u32) {
        let Some(work) = self.works[place as usize].as_mut() else { return };
        for _ in 0..many {
            let Some(target) = work.hosts[host].parked.pop_front() else { return };
            self.parked -= 1;
            let answered = matches!(
                work.targets[target as usize].swept,
                Some(Swept { end: End::Reply(Reply::Answered), .. })
            );
            self.queue.put_back(if answered {
                Job::Talk { place, target }
            } else {
                Job::Ask { place, target }
            });
        }
    }

    /// The sweep of a target ended without being asked.
    fn decide(&mut self, place: u32, number: u32, end: End) {
        let at = (self.clock)();
        let Some(work) = self.works[place as usize].as_mut() else { return };
        work.targets[number as usize].swept = Some(Swept { end, at, vantage: None });
        self.meter.swept(end);
        self.done(place, number);
    }

    /// Nothing is left to do for a target.
    fn done(&mut self, place: u32, number: u32) {
        let Some(work) = self.works[place as usize].as_mut() else { return };
        let (host, endpoint) = work.endpoint(number);
        let target = &mut work.targets[number as usize];
        if std::mem::replace(&mut target.done, true) {
            return;
        }
        if target.door.take().is_some() {
            work.hosts[host].doors.remove(&(endpoint.port, number));
            work.hosts[host].checking = false;
        }
        work.left -= 1;
        work.hosts[host].left -= 1;
        self.meter.done(1);
        self.unpark(place, host, 1);
        self.next_door(place, host);
    }

    /// Checks credentials at a host once everything else there is done.
    fn next_door(&mut self, place: u32, host: usize) {
        let Some(work) = self.works[place as usize].as_mut() else { return };
        if let Some(target) = work.hosts[host].next_door() {
            self.queue.push(Job::Check { place, target });
        }
    }

    /// The check that a conversation with the endpoint makes first; `None` when nothing is said or
    /// heard.
    fn talk_check(&self, endpoint: Endpoint) -> Option<Check> {
        match endpoint.transport {
            Transport::Tcp => {}
            Transport::Udp => return first_check(endpoint.port, &self.plan.checks),
            Transport::Icmp => return None,
        }
        let listen_only = self.mandate.ports.listen_only(endpoint.port, endpoint.transport);
        match (self.plan.checks.contains(&Check::Handshake), self.plan.checks.contains(&Check::Banner)) {
            (true, _) if !listen_only => Some(Check::Handshake),
            (_, true) => Some(Check::Banner),
            _ => None,
        }
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the sweeping thread says; for ever when there is none.
async fn told(sweeper: &mut Option<Sweeper>) -> Told {
    match sweeper {
        Some(sweeper) => sweeper.told().await,
        None => std::future::pending().await,
    }
}

/// Waits for the word to stop; for ever when nobody can say it any more.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.changed().await.is_err() {
        std::future::pending().await
    }
}

/// Letters, digits, `-` and `.` for EHLO, MQTT and SSH: the host of the contact's page or mail.
fn introduction_name(mandate: &VerifiedMandate) -> String {
    let contacts = &mandate.contacts;
    let web = contacts
        .web
        .as_deref()
        .and_then(|web| web.split("://").nth(1))
        .and_then(|rest| rest.split(['/', ':']).next());
    let host = web.or_else(|| contacts.email.rsplit('@').next()).unwrap_or("kenshin.invalid");
    let name: String =
        host.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.')).take(64).collect();
    if name.is_empty() { "kenshin.invalid".to_owned() } else { name }
}
