//! Slowing down by itself, below what the mandate allows, when the network shows that it suffers.

use kenshin_observation::TimeUs;
use serde::{Deserialize, Serialize};

/// Signs are judged over so long; trials over as long as it takes to have [`TRIALS_MIN`] of them, so that
/// a few canaries tell something too.
const WINDOW_US: i64 = 1_000_000;

/// Fewer trials tell nothing.
const TRIALS_MIN: u64 = 20;

/// Fewer answers say nothing of how long they take.
const ANSWERS_MIN: u64 = 10;

/// That hosts which are up answer as well as ever is known for so long.
const WELL_US: i64 = 30_000_000;

/// The slowest pace, as a part of the whole rate.
const FACTOR_MIN: f64 = 1.0 / 64.0;

/// Signs of trouble since the last look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Signs {
    /// ICMP errors that quote our packets.
    pub(super) unreachable: u64,
    /// Trials of hosts that are up, and those that stayed silent.
    pub(super) trials: u64,
    pub(super) missed: u64,
    /// Sum of their answers' times, µs.
    pub(super) took_us: i64,
}

impl Signs {
    pub(super) fn trial(&mut self, answered: bool, took_us: Option<i64>) {
        self.trials += 1;
        self.missed += u64::from(!answered);
        self.took_us += took_us.unwrap_or(0);
    }

    fn add(&mut self, other: Self) {
        self.unreachable += other.unreachable;
        self.trials += other.trials;
        self.missed += other.missed;
        self.took_us += other.took_us;
    }
}

/// Why and how far a survey has slowed down.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Slowed {
    /// Part of the whole rate that is used, from 1/64 to 1.
    pub factor: f64,
    /// `unreachable`: a storm of ICMP errors, and no sign that it is somebody's own affair; `loss`: hosts
    /// that are up answer less often than before; `latency`: they answer much later than before; `drops`:
    /// this machine loses packets.
    pub why: &'static str,
}

/// The pace. Halved at a sign of trouble, a tenth of it added in every quiet second.
#[derive(Debug)]
pub(super) struct Pace {
    whole_pps: f64,
    factor: f64,
    why: Option<&'static str>,
    turned: TimeUs,
    sent: u64,
    dropped: u64,
    signs: Signs,
    /// The best that was seen: share of trials missed, mean time of an answer.
    best_missed: f64,
    best_took_us: f64,
    /// Until then hosts that are up are known to answer.
    well_until: TimeUs,
    /// No packet before this instant.
    next: TimeUs,
}

impl Pace {
    pub(super) fn new(whole_pps: f64, now: TimeUs) -> Self {
        Self {
            whole_pps: whole_pps.max(1.0),
            factor: 1.0,
            why: None,
            turned: now,
            sent: 0,
            dropped: 0,
            signs: Signs::default(),
            best_missed: 1.0,
            best_took_us: f64::INFINITY,
            well_until: now,
            next: now,
        }
    }

    pub(super) fn sign(&mut self, signs: Signs) {
        self.signs.add(signs);
    }

    pub(super) fn sent(&mut self, sent: u64, dropped: u64) {
        self.sent += sent;
        self.dropped += dropped;
        if self.factor < 1.0 {
            let pause = (sent + dropped) as f64 * 1e6 / (self.whole_pps * self.factor);
            self.next = self.next.plus_micros(pause as i64);
        }
    }

    /// The instant from which on something may be sent at this pace.
    pub(super) fn ready_at(&self, now: TimeUs) -> TimeUs {
        if self.factor < 1.0 { self.next } else { now }
    }

    pub(super) fn slowed(&self) -> Option<Slowed> {
        self.why.map(|why| Slowed { factor: self.factor, why })
    }

    pub(super) fn turn(&mut self, now: TimeUs, signs: Signs) {
        self.signs.add(signs);
        self.next = self.next.max(now.plus_micros(-50_000));
        if now.micros_since(self.turned) < WINDOW_US {
            return;
        }
        self.turned = now;
        match self.trouble(now) {
            Some(why) => {
                self.factor = (self.factor / 2.0).max(FACTOR_MIN);
                self.why = Some(why);
                self.next = now;
            }
            None => self.factor = (self.factor * 1.1).min(1.0),
        }
        if self.factor >= 1.0 {
            self.why = None;
        }
        let kept = if self.signs.trials < TRIALS_MIN { self.signs } else { Signs::default() };
        (self.sent, self.dropped, self.signs) = (0, 0, Signs { unreachable: 0, ..kept });
    }

    fn trouble(&mut self, now: TimeUs) -> Option<&'static str> {
        let Signs { unreachable, trials, missed, took_us } = self.signs;
        let answered = trials - missed;
        let enough = trials >= TRIALS_MIN;
        let lost = enough.then(|| missed as f64 / trials as f64);
        let took = (enough && answered >= ANSWERS_MIN).then(|| took_us as f64 / answered as f64);
        let before = (self.best_missed, self.best_took_us);
        self.best_missed = lost.map_or(self.best_missed, |lost| lost.min(self.best_missed));
        self.best_took_us = took.map_or(self.best_took_us, |took| took.min(self.best_took_us));
        let worse = lost.is_some_and(|lost| lost > before.0 + 0.05 && lost > before.0 * 2.0);
        let later = took.is_some_and(|took| took > before.1 * 3.0 + 20_000.0);
        if let Some(lost) = lost {
            let well = !worse && !later && lost < 0.5;
            self.well_until = if well { now.plus_micros(WELL_US) } else { now };
        }
        // A network that is closed says so to every packet, however slow they come. Where everybody else
        // answers as before, that is its own affair: its rate is the mandate's, and the others have theirs.
        let storm = unreachable > 50 && unreachable * 5 > self.sent && now >= self.well_until;
        match () {
            () if self.dropped * 100 > self.sent + self.dropped => Some("drops"),
            () if storm => Some("unreachable"),
            () if worse => Some("loss"),
            () => later.then_some("latency"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> TimeUs {
        TimeUs::from_secs(1_800_000_000 + seconds)
    }

    fn trials(trials: u64, missed: u64, each_us: i64) -> Signs {
        Signs { trials, missed, took_us: each_us * (trials - missed) as i64, ..Signs::default() }
    }

    #[test]
    fn a_storm_of_errors_halves_the_pace_and_quiet_brings_it_back() {
        let mut pace = Pace::new(10_000.0, at(0));
        pace.sent(10_000, 0);
        pace.turn(at(1), Signs { unreachable: 4_000, ..Signs::default() });
        assert_eq!(pace.slowed(), Some(Slowed { factor: 0.5, why: "unreachable" }));
        // Half of the rate: 100 packets take 20 ms.
        pace.sent(100, 0);
        assert_eq!(pace.ready_at(at(1)).micros_since(at(1)), 20_000);
        for second in 2..12 {
            pace.turn(at(second), Signs::default());
        }
        assert_eq!(pace.slowed(), None);
        assert_eq!(pace.ready_at(at(12)), at(12));
    }

    #[test]
    fn rare_errors_are_no_storm() {
        let mut pace = Pace::new(10_000.0, at(0));
        pace.sent(10_000, 50);
        pace.turn(at(1), Signs { unreachable: 1_000, ..Signs::default() });
        assert_eq!(pace.slowed(), None);
    }

    #[test]
    fn a_storm_of_errors_is_somebodys_own_while_the_others_answer() {
        let storm = |well: Signs| Signs { unreachable: 4_000, ..well };
        let mut pace = Pace::new(10_000.0, at(0));
        let mut turn = |second: i64, signs: Signs| {
            pace.sent(10_000, 0);
            pace.turn(at(second), signs);
            pace.slowed().map(|slowed| slowed.why)
        };
        // Nobody is known to be up: it may be everybody's.
        assert_eq!(turn(1, storm(Signs::default())), Some("unreachable"));
        (2..12).for_each(|second| _ = turn(second, storm(trials(20, 1, 5_000))));
        assert_eq!(turn(12, storm(trials(3, 0, 5_000))), None);
        // What was seen last holds for a while.
        let later = [40, 41].map(|second| turn(second, storm(Signs::default())));
        assert_eq!(later, [None, Some("unreachable")]);
        // Those who are up fall silent in it.
        (42..52).for_each(|second| _ = turn(second, storm(trials(20, 1, 5_000))));
        assert_eq!(turn(52, storm(trials(20, 18, 5_000))), Some("unreachable"));
    }

    #[test]
    fn most_of_those_who_are_up_must_answer_to_tell_something() {
        let mut pace = Pace::new(10_000.0, at(0));
        for second in 1..4 {
            pace.sent(10_000, 0);
            pace.turn(at(second), Signs { unreachable: 4_000, ..trials(20, 15, 5_000) });
        }
        assert_eq!(pace.slowed(), Some(Slowed { factor: 0.125, why: "unreachable" }));
    }

    #[test]
    fn more_loss_than_before_slows_down_and_constant_loss_does_not() {
        let mut pace = Pace::new(10_000.0, at(0));
        for second in 1..5 {
            pace.turn(at(second), trials(100, 10, 1_000));
            assert_eq!(pace.slowed(), None);
        }
        pace.turn(at(5), trials(100, 25, 1_000));
        assert_eq!(pace.slowed().map(|slowed| slowed.why), Some("loss"));
    }

    #[test]
    fn answers_that_come_much_later_slow_down() {
        let mut pace = Pace::new(10_000.0, at(0));
        pace.turn(at(1), trials(100, 0, 5_000));
        pace.turn(at(2), trials(100, 0, 30_000));
        assert_eq!(pace.slowed(), None);
        pace.turn(at(3), trials(100, 0, 90_000));
        assert_eq!(pace.slowed().map(|slowed| slowed.why), Some("latency"));
    }

    #[test]
    fn a_few_canaries_tell_of_loss_after_a_while() {
        let mut pace = Pace::new(10_000.0, at(0));
        let (well, gone) = (trials(3, 0, 1_000), trials(3, 3, 0));
        (1..30).for_each(|second| pace.turn(at(second), well));
        assert_eq!(pace.slowed(), None);
        let slowed = (30..60).find(|second| {
            pace.turn(at(*second), gone);
            pace.slowed().is_some()
        });
        // A verdict takes seven seconds of three canaries.
        assert!(slowed.is_some_and(|second| second < 30 + 7), "{slowed:?}");
        assert_eq!(pace.slowed(), Some(Slowed { factor: 0.5, why: "loss" }));
        // Nothing new is known before the next seven seconds are over.
        pace.turn(at(slowed.unwrap() + 1), gone);
        assert!(pace.slowed().is_some_and(|slowed| slowed.factor > 0.5));
    }

    #[test]
    fn it_never_stops() {
        let mut pace = Pace::new(100.0, at(0));
        for second in 1..30 {
            pace.sent(0, 100);
            pace.turn(at(second), Signs::default());
        }
        assert_eq!(pace.slowed(), Some(Slowed { factor: FACTOR_MIN, why: "drops" }));
    }
}
