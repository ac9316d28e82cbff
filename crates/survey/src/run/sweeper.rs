//! The thread that sweeps over raw packets: it owns the [`Front`], asks the gate, sends, and takes
//! what a second thread hears. The engine hands it slices and takes back those that are over.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kenshin_mandate::Refusal;
use kenshin_observation::{Clock, TimeUs};
use tokio::sync::mpsc;

use super::SharedGate;
use super::front::miss::MissEstimate;
use super::front::{Counts, Emit, Flushed, Front, FrontTerms, Heard, Over, Slowed, Stepped};
use crate::space::{Slice, Space};

/// The engine says at least this often that the mandate stands and its lists are fresh; a sweep that
/// does not hear it stops by itself.
const LEAVE: Duration = Duration::from_millis(300);

/// Longest nap of the thread: what comes meanwhile is looked at then.
const NAP: Duration = Duration::from_millis(20);

/// Answers taken between two steps at most.
const HEARD_MAX: usize = 4096;

/// Slices handed over and not yet begun.
const ORDERS_MAX: usize = 64;

/// Lists of answers between the two threads at most; then the receiving thread waits, and the
/// kernel's ring counts what it could not hold.
const BATCHES_MAX: usize = 256;

/// The packets of a sweep, as its two threads use them. Made by the edge that holds the sockets.
pub(crate) struct Packets {
    /// Sends; moves to the sweeping thread.
    pub(crate) emit: Box<dyn Emit + Send>,
    /// Receives; moves to a thread of its own.
    pub(crate) listen: Box<dyn Listen + Send>,
}

/// How answers come in.
pub(crate) trait Listen {
    /// Answers that came, and packets the kernel could not hold since the last call. Waits for at
    /// most `wait` when there are none.
    fn listen(
        &mut self,
        wait: Duration,
        now: &dyn Fn() -> TimeUs,
        into: &mut Vec<Heard>,
    ) -> std::io::Result<u64>;
}

impl Emit for Box<dyn Emit + Send> {
    fn ask(&mut self, permit: kenshin_mandate::Permit, salt: u32) -> super::front::Emitted {
        (**self).ask(permit, salt)
    }

    fn heard(&mut self, heard: &Heard) {
        (**self).heard(heard);
    }

    fn flush(&mut self) -> Flushed {
        (**self).flush()
    }
}

enum Order {
    Sweep { slice: Box<Slice>, attempt: u32 },
    Last,
    CutOff { code: &'static str },
}

/// What the sweeping thread tells the engine.
#[derive(Debug)]
pub(super) enum Told {
    /// The sweep of a slice is over.
    Over(Box<Over>),
    /// Everything is over, trials of misses included.
    Idle,
    /// The mandate lets nothing be sent.
    Refused(Refusal),
    /// Every slice in flight was given back.
    CutOff,
    /// The sockets failed.
    Failed(std::io::Error),
}

/// Figures of a sweep that the engine publishes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Figures {
    pub(super) counts: Counts,
    pub(super) estimate: MissEstimate,
    pub(super) slowed: Option<Slowed>,
    /// Packets that the kernel could not hold for us.
    pub(super) missed_by_kernel: u64,
}

struct Shared {
    /// Until when the thread may send, µs since `origin`.
    leave_until: AtomicU64,
    origin: Instant,
    end: AtomicBool,
    found: AtomicU64,
    unasked: AtomicU64,
    missed_by_kernel: AtomicU64,
    figures: Mutex<Figures>,
}

/// The engine's side. Dropping it ends both threads.
pub(super) struct Sweeper {
    orders: Sender<Order>,
    told: mpsc::UnboundedReceiver<Told>,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Sweeper {
    pub(super) fn begin(
        packets: Packets,
        space: Arc<Space>,
        terms: FrontTerms,
        gate: SharedGate,
        clock: Clock,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            leave_until: AtomicU64::new(0),
            origin: Instant::now(),
            end: AtomicBool::new(false),
            found: AtomicU64::new(0),
            unasked: AtomicU64::new(0),
            missed_by_kernel: AtomicU64::new(0),
            figures: Mutex::default(),
        });
        let (orders, ordered) = channel();
        // Bounded by the slices in flight: each is told of once.
        let (tell, told) = mpsc::unbounded_channel();
        let (hear, heard) = sync_channel(BATCHES_MAX);
        let Packets { emit, listen } = packets;
        let listening = {
            let (shared, clock, tell) = (Arc::clone(&shared), Arc::clone(&clock), tell.clone());
            spawn("kenshin-listen", move || listen_on(listen, &hear, &shared, &clock, &tell))?
        };
        let front = Front::new(space, terms, clock());
        let thread = Thread { front, emit, gate, clock, ordered, heard, tell, shared: Arc::clone(&shared) };
        let sweeping = spawn("kenshin-sweep", move || thread.run())?;
        Ok(Self { orders, told, shared, threads: vec![sweeping, listening] })
    }

    pub(super) fn take(&self, slice: Slice, attempt: u32) {
        self.shared.unasked.fetch_add(1, Ordering::Relaxed);
        let _ = self.orders.send(Order::Sweep { slice: Box::new(slice), attempt });
    }

    /// True when the thread has few slices left in which somebody is still to be asked.
    pub(super) fn hungry(&self) -> bool {
        self.shared.unasked.load(Ordering::Relaxed) < ORDERS_MAX as u64 / 16
    }

    pub(super) fn last(&self) {
        let _ = self.orders.send(Order::Last);
    }

    pub(super) fn cut_off(&self, code: &'static str) {
        let _ = self.orders.send(Order::CutOff { code });
    }

    /// The mandate stands and its lists are fresh.
    pub(super) fn may_send(&self) {
        let until = self.shared.origin.elapsed() + LEAVE;
        self.shared.leave_until.store(micros(until), Ordering::Release);
    }

    pub(super) fn must_not_send(&self) {
        self.shared.leave_until.store(0, Ordering::Release);
    }

    /// How many answered in all, for the estimate.
    pub(super) fn found(&self, found: u64) {
        self.shared.found.store(found, Ordering::Relaxed);
    }

    pub(super) fn figures(&self) -> Figures {
        *self.shared.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the thread says next. Waits for ever when it says nothing; loses nothing when dropped.
    pub(super) async fn told(&mut self) -> Told {
        match self.told.recv().await {
            Some(told) => told,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.must_not_send();
        self.shared.end.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            // Both look at `end` at least every few naps.
            let _ = thread.join();
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn listen_on(
    mut listen: Box<dyn Listen + Send>,
    hear: &SyncSender<Vec<Heard>>,
    shared: &Shared,
    clock: &Clock,
    tell: &mpsc::UnboundedSender<Told>,
) {
    let now = || clock();
    while !shared.end.load(Ordering::Acquire) {
        let mut heard = Vec::new();
        match listen.listen(NAP, &now, &mut heard) {
            Ok(missed) => drop(shared.missed_by_kernel.fetch_add(missed, Ordering::Relaxed)),
            Err(error) => {
                let _ = tell.send(Told::Failed(error));
                return;
            }
        }
        if !heard.is_empty() && hear.send(heard).is_err() {
            return;
        }
    }
}

struct Thread {
    front: Front,
    emit: Box<dyn Emit + Send>,
    gate: SharedGate,
    clock: Clock,
    ordered: Receiver<Order>,
    heard: Receiver<Vec<Heard>>,
    tell: mpsc::UnboundedSender<Told>,
    shared: Arc<Shared>,
}

impl Thread {
    fn run(mut self) {
        let (mut last, mut idle, mut published) = (false, false, Instant::now());
        while !self.shared.end.load(Ordering::Acquire) {
            let now = (self.clock)();
            while let Ok(order) = self.ordered.try_recv() {
                match order {
                    Order::Sweep { slice, attempt } => {
                        (last, idle) = (false, false);
                        self.front.take(*slice, attempt, now);
                    }
                    Order::Last => {
                        last = true;
                        self.front.last(now);
                    }
                    Order::CutOff { code } => {
                        let over = self.front.cut_off(now, code);
                        over.into_iter().for_each(|over| drop(self.tell.send(Told::Over(Box::new(over)))));
                        let _ = self.tell.send(Told::CutOff);
                    }
                }
            }
            let mut nap = NAP;
            if self.may_send() {
                let stepped = {
                    let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
                    self.front.step(now, &mut gate, &mut self.emit)
                };
                match stepped {
                    Stepped::Until(until) => {
                        nap = Duration::from_micros(until.micros_since(now).max(0).unsigned_abs()).min(NAP);
                    }
                    Stepped::Refused(refusal) => {
                        let _ = self.tell.send(Told::Refused(refusal));
                        self.shared.leave_until.store(0, Ordering::Release);
                    }
                }
            }
            self.hear(nap);
            let now = (self.clock)();
            for over in self.front.over(now) {
                let _ = self.tell.send(Told::Over(Box::new(over)));
            }
            self.shared.unasked.store(self.front.unasked() as u64, Ordering::Relaxed);
            if last && !idle && self.front.idle() {
                idle = true;
                self.publish();
                let _ = self.tell.send(Told::Idle);
            }
            if published.elapsed() >= Duration::from_millis(50) {
                published = Instant::now();
                self.publish();
            }
        }
        self.publish();
    }

    fn may_send(&self) -> bool {
        micros(self.shared.origin.elapsed()) < self.shared.leave_until.load(Ordering::Acquire)
    }

    /// Takes answers; waits for the first of them.
    fn hear(&mut self, nap: Duration) {
        let first = if nap.is_zero() {
            self.heard.try_recv().map_err(|error| match error {
                TryRecvError::Empty => RecvTimeoutError::Timeout,
                TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
            })
        } else {
            self.heard.recv_timeout(nap)
        };
        let mut taken = 0;
        match first {
            Ok(batch) => taken += self.take_in(batch),
            Err(RecvTimeoutError::Timeout) => return,
            // The engine has been told why.
            Err(RecvTimeoutError::Disconnected) => return std::thread::sleep(nap),
        }
        while taken < HEARD_MAX {
            let Ok(batch) = self.heard.try_recv() else { return };
            taken += self.take_in(batch);
        }
    }

    fn take_in(&mut self, batch: Vec<Heard>) -> usize {
        for heard in &batch {
            self.front.heard(*heard);
            self.emit.heard(heard);
        }
        batch.len()
    }

    fn publish(&self) {
        let figures = Figures {
            counts: self.front.counts(),
            estimate: self.front.estimate(self.shared.found.load(Ordering::Relaxed)),
            slowed: self.front.slowed(),
            missed_by_kernel: self.shared.missed_by_kernel.load(Ordering::Relaxed),
        };
        *self.shared.figures.lock().unwrap_or_else(PoisonError::into_inner) = figures;
    }
}
