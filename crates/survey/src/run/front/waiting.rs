//! Targets that wait for a rate, in lines.
//!
//! When a thousand targets wait for the rate of one prefix, one of them may go with every token. So
//! only the first of a line is judged again when the token is there, and the others when it was
//! granted: judging costs what is granted, however many wait.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use kenshin_mandate::Gate;
use kenshin_observation::{Prefix, TimeUs};

/// A target that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) slice: u64,
    pub(super) number: u32,
    /// How often everybody was asked when it began to wait.
    pub(super) pass: u32,
}

/// Every line.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    lines: BTreeMap<Prefix, Line>,
    /// When the first of a line has its turn; entries that are not a line's own instant are stale.
    agenda: BinaryHeap<Reverse<(TimeUs, Prefix)>>,
    len: usize,
}

#[derive(Debug)]
struct Line {
    due: TimeUs,
    places: VecDeque<Place>,
}

impl Waiting {
    /// Targets that wait.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Puts a target at the end of a line of which nobody may go before `until`.
    pub(super) fn push(&mut self, of: Prefix, place: Place, until: TimeUs) {
        let line = self.lines.entry(of).or_insert(Line { due: until, places: VecDeque::new() });
        if line.places.is_empty() || line.due < until {
            line.due = line.due.max(until);
            self.agenda.push(Reverse((line.due, of)));
        }
        line.places.push_back(place);
        self.len += 1;
    }

    /// Takes a target whose turn it is. The next of its line has its turn at once, unless another is
    /// put into it before.
    pub(super) fn pop(&mut self, now: TimeUs) -> Option<Place> {
        while let Some(Reverse((due, of))) = self.agenda.peek().copied() {
            if due > now {
                break;
            }
            self.agenda.pop();
            let Some(line) = self.lines.get_mut(&of).filter(|line| line.due == due) else { continue };
            let place = line.places.pop_front();
            if line.places.is_empty() {
                self.lines.remove(&of);
            } else {
                self.agenda.push(Reverse((due, of)));
            }
            self.len -= 1;
            return place;
        }
        None
    }

    /// When the next turn is, at the earliest.
    pub(super) fn due(&self) -> Option<TimeUs> {
        self.agenda.peek().map(|entry| entry.0.0)
    }

    /// Everybody, in no order that matters; nobody waits any more.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Place> {
        let lines = std::mem::take(self).lines;
        lines.into_values().flat_map(|line| line.places)
    }
}

/// The line of a target that must wait until then. Its prefix is short of one token at most; who has
/// to wait for longer waits for the rate of the address, and must not keep its neighbours.
pub(super) fn line(gate: &Gate, target: std::net::IpAddr, now: TimeUs, until: TimeUs) -> Prefix {
    let rate = gate.mandate().rate.per_prefix;
    let share = u64::from(gate.sensor().share_percent).max(1);
    let token_us = 100_000_000_u64.div_ceil(u64::from(rate.pps).max(1) * share);
    if until.micros_since(now).unsigned_abs() > token_us {
        return Prefix::host(target);
    }
    Prefix::containing(target, if target.is_ipv4() { rate.v4_len } else { rate.v6_len })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> TimeUs {
        TimeUs::from_micros(micros)
    }

    fn place(number: u32) -> Place {
        Place { slice: 0, number, pass: 0 }
    }

    #[test]
    fn the_first_of_a_line_goes_and_who_comes_back_keeps_the_others() {
        let mut waiting = Waiting::default();
        let (one, other) = ("198.18.0.0/24".parse().unwrap(), "198.18.1.0/24".parse().unwrap());
        for number in 0..1_000 {
            waiting.push(one, place(number), at(10));
        }
        waiting.push(other, place(7_000), at(12));
        assert_eq!((waiting.len(), waiting.due()), (1_001, Some(at(10))));
        assert_eq!(waiting.pop(at(9)), None);
        // The first is granted; the second is not, and nobody else of the line is asked.
        assert_eq!(waiting.pop(at(10)), Some(place(0)));
        assert_eq!(waiting.pop(at(10)), Some(place(1)));
        waiting.push(one, place(1), at(30));
        assert_eq!(waiting.pop(at(20)), Some(place(7_000)));
        assert_eq!(waiting.pop(at(29)), None);
        assert_eq!(waiting.pop(at(30)), Some(place(2)));
        assert_eq!(waiting.len(), 998);
        assert_eq!(waiting.drain().count(), 998);
        assert_eq!((waiting.len(), waiting.pop(at(1_000))), (0, None));
    }
}
