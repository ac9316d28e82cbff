//! Who is the next hop: ARP and neighbour discovery of our own, as a state machine.
//!
//! The kernel's table is not used: it forgets under load, and asking it costs a system call.
//! [`Neighbours`] decides and holds what waits; the stage around it sends the questions ([`question`])
//! and tells it what came back ([`told`]). Questions are no exchanges: they go to nobody but the
//! own link, and are counted here.
//!
//! Nothing that was not asked for is believed, so that nobody can fill the table or redirect a hop
//! that is known; who answers a question first is believed, as everywhere on a link.

use std::collections::VecDeque;
use std::collections::hash_map::{Entry as Place, HashMap};
use std::net::IpAddr;

use kenshin_observation::TimeUs;
use kenshin_wire::packet::{Buffer, Mac, Seen, arp_request, neighbour_solicitation};

/// Between two questions for the same address (RFC 4861 §10, RFC 1122 §2.3.2.1).
const ASK_EVERY_US: i64 = 1_000_000;

/// Questions before an address counts as dead.
const ASKS_MAX: u8 = 3;

/// A hop in use is asked again after so long.
const FRESH_US: i64 = 30_000_000;

/// A dead address is not asked again for so long.
const DEAD_US: i64 = 30_000_000;

/// A hop that was not used for so long may be forgotten.
const IDLE_US: i64 = 60_000_000;

/// A full table is looked through for what may be forgotten no more often than this.
const SWEEP_EVERY_US: i64 = 1_000_000;

/// What a table may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Addresses.
    pub entries_max: usize,
    /// Addresses asked for at a time; also how many questions a second the link bears at most, once none of
    /// them answers.
    pub asking_max: usize,
    /// What waits for one address.
    pub waiting_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { entries_max: 65_536, asking_max: 512, waiting_max: 64 }
    }
}

/// What is known of a hop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<T> {
    /// Its station; here is back what was to wait.
    At(Mac, T),
    /// It is asked for; what was to wait waits, and comes back from [`Neighbours::heard`] or
    /// [`Neighbours::due`].
    Later,
    /// It did not answer; here is back what was to wait.
    Dead(T),
    /// Too much is waiting or being asked for: try again later with what was to wait.
    Full(T),
}

/// What is to be done now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due<T> {
    /// Ask for this address, see [`question`].
    Ask(IpAddr),
    /// This address does not answer; what waited for it.
    Dead(IpAddr, Vec<T>),
}

/// What was asked and answered so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Questions to be sent: packets of ours that are no exchanges.
    pub asked: u64,
    /// Answers to them.
    pub answered: u64,
    /// Answers that nobody had asked for, and that were not believed.
    pub unasked: u64,
    /// Addresses that did not answer.
    pub dead: u64,
}

#[derive(Debug)]
struct Entry<T> {
    state: State,
    /// Questions since the last answer, while asking.
    asks: u8,
    /// When the next question, or the end of patience, is due, while asking.
    look_at: TimeUs,
    waiting: Vec<T>,
    used_at: TimeUs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Asked for, nothing known.
    Asked,
    /// Known since then.
    Known(Mac, TimeUs),
    /// Known, and asked for again.
    Stale(Mac),
    /// No answer, found then.
    Dead(TimeUs),
}

impl State {
    const fn is_asking(self) -> bool {
        matches!(self, Self::Asked | Self::Stale(_))
    }
}

/// Stations by address, for one interface. `T` is what waits for a station to become known.
///
/// An address is asked for at most three times, a second apart; then it is dead for half a minute.
#[derive(Debug)]
pub struct Neighbours<T> {
    limits: Limits,
    table: HashMap<IpAddr, Entry<T>>,
    /// Not asked for yet.
    fresh: VecDeque<IpAddr>,
    /// When to look at an address again, in order of time, because all wait equally long.
    agenda: VecDeque<(TimeUs, IpAddr)>,
    asking: usize,
    swept_at: Option<TimeUs>,
    counts: Counts,
}

impl<T> Neighbours<T> {
    /// An empty table.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            table: HashMap::new(),
            fresh: VecDeque::new(),
            agenda: VecDeque::new(),
            asking: 0,
            swept_at: None,
            counts: Counts::default(),
        }
    }

    /// Looks for the station at `addr`, and begins to ask for it; `item` waits if it has to.
    pub fn find(&mut self, addr: IpAddr, item: T, now: TimeUs) -> Found<T> {
        if self.table.len() >= self.limits.entries_max && !self.table.contains_key(&addr) {
            self.sweep(now);
        }
        let full = self.table.len() >= self.limits.entries_max;
        let may_ask = self.asking < self.limits.asking_max;
        let entry = match self.table.entry(addr) {
            Place::Occupied(place) => place.into_mut(),
            Place::Vacant(_) if full || !may_ask => return Found::Full(item),
            Place::Vacant(place) => place.insert(Entry {
                state: State::Dead(now),
                asks: 0,
                look_at: now,
                waiting: Vec::new(),
                used_at: now,
            }),
        };
        entry.used_at = now;
        let asked_again = match entry.state {
            State::Known(mac, since) if within(FRESH_US, since, now) || !may_ask => {
                return Found::At(mac, item);
            }
            State::Stale(mac) => return Found::At(mac, item),
            State::Known(mac, _) => State::Stale(mac),
            State::Dead(since) if within(DEAD_US, since, now) && entry.asks > 0 => return Found::Dead(item),
            State::Dead(_) if may_ask => State::Asked,
            State::Asked if entry.waiting.len() < self.limits.waiting_max => {
                entry.waiting.push(item);
                return Found::Later;
            }
            State::Dead(_) | State::Asked => return Found::Full(item),
        };
        (entry.state, entry.asks) = (asked_again, 0);
        self.asking += 1;
        self.fresh.push_back(addr);
        match asked_again {
            State::Stale(mac) => Found::At(mac, item),
            _ => {
                entry.waiting.push(item);
                Found::Later
            }
        }
    }

    /// `addr` answered from `mac`: what waited for it.
    pub fn heard(&mut self, addr: IpAddr, mac: Mac, now: TimeUs) -> Vec<T> {
        let asked = self.table.get_mut(&addr).filter(|entry| entry.state.is_asking() && mac.is_unicast());
        let Some(entry) = asked else {
            self.counts.unasked += 1;
            return Vec::new();
        };
        entry.state = State::Known(mac, now);
        self.asking -= 1;
        self.counts.answered += 1;
        std::mem::take(&mut entry.waiting)
    }

    /// What is to be done now, one thing at a time; `None` when nothing is.
    pub fn due(&mut self, now: TimeUs) -> Option<Due<T>> {
        while let Some(addr) = self.next(now) {
            // Answered, perhaps forgotten, since.
            let Some(entry) = self.table.get_mut(&addr).filter(|entry| entry.state.is_asking()) else {
                continue;
            };
            if entry.asks < ASKS_MAX {
                entry.asks += 1;
                entry.look_at = now.plus_micros(ASK_EVERY_US);
                self.counts.asked += 1;
                self.agenda.push_back((entry.look_at, addr));
                return Some(Due::Ask(addr));
            }
            entry.state = State::Dead(now);
            self.asking -= 1;
            self.counts.dead += 1;
            return Some(Due::Dead(addr, std::mem::take(&mut entry.waiting)));
        }
        None
    }

    /// The next address to look at.
    fn next(&mut self, now: TimeUs) -> Option<IpAddr> {
        if let Some(addr) = self.fresh.pop_front() {
            return Some(addr);
        }
        // A time too far ahead was written down before the clock was set back.
        let is_due = |at: TimeUs| !(1..=ASK_EVERY_US).contains(&at.micros_since(now));
        while let Some((at, addr)) = self.agenda.pop_front_if(|(at, _)| is_due(*at)) {
            // An earlier question's turn, if it differs.
            if self.table.get(&addr).is_some_and(|entry| entry.look_at == at) {
                return Some(addr);
            }
        }
        None
    }

    /// When [`Neighbours::due`] will have something; in the past when it has.
    pub fn due_at(&self) -> Option<TimeUs> {
        match self.fresh.front() {
            Some(_) => Some(TimeUs::from_micros(0)),
            None => self.agenda.front().map(|(at, _)| *at),
        }
    }

    /// Makes room: what is neither asked for nor was used lately is forgotten.
    fn sweep(&mut self, now: TimeUs) {
        if self.swept_at.is_some_and(|at| within(SWEEP_EVERY_US, at, now)) {
            return;
        }
        self.swept_at = Some(now);
        self.table.retain(|_, entry| entry.state.is_asking() || within(IDLE_US, entry.used_at, now));
    }

    /// Gives up everything that waits.
    pub fn abort(&mut self) -> Vec<T> {
        self.table.values_mut().flat_map(|entry| std::mem::take(&mut entry.waiting)).collect()
    }

    /// What was asked and answered.
    pub fn counts(&self) -> Counts {
        self.counts
    }
}

/// True while `now` is less than `span_us` after `then`; a clock that was set back says no.
const fn within(span_us: i64, then: TimeUs, now: TimeUs) -> bool {
    let passed = now.micros_since(then);
    0 <= passed && passed < span_us
}

/// Writes the question for `addr` into `out`, from `mac` and the source of the same family; its
/// length. `None` when there is no such source.
pub fn question(mac: Mac, sources: &[IpAddr], addr: IpAddr, out: &mut Buffer) -> Option<usize> {
    let source = sources.iter().find(|source| source.is_ipv4() == addr.is_ipv4())?;
    let mut write = |frame: &[u8]| {
        out[..frame.len()].copy_from_slice(frame);
        frame.len()
    };
    match (*source, addr) {
        (IpAddr::V4(source), IpAddr::V4(addr)) => Some(write(&arp_request(mac, source, addr))),
        (IpAddr::V6(source), IpAddr::V6(addr)) => Some(write(&neighbour_solicitation(mac, source, addr))),
        _ => None,
    }
}

/// What a frame says about a neighbour, if it does.
pub fn told(seen: &Seen<'_>) -> Option<(IpAddr, Mac)> {
    match seen {
        Seen::ArpReply(arp) => Some((arp.sender.into(), arp.sender_mac)),
        Seen::Advertisement(advertisement) => Some((advertisement.target.into(), advertisement.mac?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
