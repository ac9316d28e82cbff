//! Whoever stops answering after us is left alone: a host, and a network of which every host we know
//! of fell silent. What conversations and the connect sweep keep for a host ([`Host`](super::super::host))
//! is kept here for hosts and networks that answered, without waiting for anybody's silence.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::IpAddr;

use kenshin_observation::{Endpoint, Prefix, TimeUs};

/// Hosts, and networks, that are watched at most; further ones are not.
const WATCHED_MAX: usize = 1 << 17;

/// A network is suspicious after so many times the asks of a host: most of its addresses are silent.
const NETWORK_AFTER: u32 = 8;

/// Different hosts of a network that answered before it is watched, all of them asked again.
const NETWORK_HOSTS: usize = 2;

/// How often the suspicious are asked before they are left alone.
const ROUNDS: u32 = 2;

/// When whom to suspect.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BreakerTerms {
    /// A host is suspicious after so many asks in a row without a sign of life; 0: nobody is watched.
    pub(crate) after: u32,
    /// Lengths of the prefixes that are networks, those of the mandate's rates.
    pub(crate) v4_len: u8,
    pub(crate) v6_len: u8,
    /// How long an answer may take, µs.
    pub(crate) wait_us: i64,
}

/// Whether somebody may be asked; the worse, the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// As before.
    Free,
    /// It is being found out whether it still answers.
    Doubted,
    /// It stopped answering after us.
    Broken,
}

/// Watches over hosts and networks that answered.
#[derive(Debug)]
pub(super) struct Breaker {
    terms: BreakerTerms,
    networks: HashMap<Prefix, Watch>,
    hosts: HashMap<IpAddr, Watch>,
    /// Instants at which a doubt wants something; stale entries are skipped.
    agenda: BinaryHeap<Reverse<(TimeUs, Unit)>>,
}

/// Who is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unit {
    Host(IpAddr),
    Network(Prefix),
}

#[derive(Debug)]
struct Watch {
    /// Where it answered, of a network at different addresses; the newest last.
    alive: Vec<Endpoint>,
    /// Asks since its last sign of life.
    silent: u32,
    /// Number of them at which it is asked again where it answered.
    suspicious_at: u32,
    doubt: Doubt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubt {
    None,
    /// To be asked at this instant, where it answered as `place`.
    Due {
        at: TimeUs,
        round: u32,
        place: usize,
    },
    /// Asked; its time is over at this instant.
    Asked {
        until: TimeUs,
        round: u32,
    },
    Broken,
}

impl Watch {
    fn new(suspicious_at: u32) -> Self {
        Self { alive: Vec::with_capacity(1), silent: 0, suspicious_at, doubt: Doubt::None }
    }

    fn alive(&mut self, endpoint: Endpoint, hosts: usize) {
        if self.doubt == Doubt::Broken {
            return;
        }
        self.silent = 0;
        if std::mem::replace(&mut self.doubt, Doubt::None) != Doubt::None {
            // Silence where nothing listens is ordinary: it is no reason to ask often.
            self.suspicious_at = self.suspicious_at.saturating_mul(2);
        }
        self.alive.retain(|known| known.addr != endpoint.addr);
        self.alive.push(endpoint);
        if self.alive.len() > hosts {
            self.alive.remove(0);
        }
    }

    /// One more ask; true when it has to be found out whether anybody is there.
    fn asked(&mut self, hosts: usize, now: TimeUs) -> bool {
        self.silent = self.silent.saturating_add(1);
        let suspicious =
            self.doubt == Doubt::None && self.alive.len() >= hosts && self.silent >= self.suspicious_at;
        if suspicious {
            self.doubt = Doubt::Due { at: now, round: 1, place: 0 };
        }
        suspicious
    }

    fn standing(&self) -> Standing {
        match self.doubt {
            Doubt::None => Standing::Free,
            Doubt::Due { .. } | Doubt::Asked { .. } => Standing::Doubted,
            Doubt::Broken => Standing::Broken,
        }
    }
}

impl Breaker {
    pub(super) fn new(terms: BreakerTerms) -> Self {
        Self { terms, networks: HashMap::new(), hosts: HashMap::new(), agenda: BinaryHeap::new() }
    }

    fn network(&self, addr: IpAddr) -> Prefix {
        Prefix::containing(addr, if addr.is_ipv4() { self.terms.v4_len } else { self.terms.v6_len })
    }

    /// Somebody answered or refused.
    pub(super) fn alive(&mut self, endpoint: Endpoint) {
        let after = self.terms.after;
        if after == 0 {
            return;
        }
        let network = self.network(endpoint.addr);
        if self.networks.len() >= WATCHED_MAX && !self.networks.contains_key(&network) {
            return;
        }
        let watch =
            self.networks.entry(network).or_insert_with(|| Watch::new(after.saturating_mul(NETWORK_AFTER)));
        watch.alive(endpoint, NETWORK_HOSTS);
        if self.hosts.len() < WATCHED_MAX || self.hosts.contains_key(&endpoint.addr) {
            self.hosts.entry(endpoint.addr).or_insert_with(|| Watch::new(after)).alive(endpoint, 1);
        }
    }

    /// Whether an address may be asked.
    pub(super) fn standing(&self, addr: IpAddr) -> Standing {
        if self.networks.is_empty() {
            return Standing::Free;
        }
        // Most addresses are in networks of which nothing is known: one look tells.
        let Some(network) = self.networks.get(&self.network(addr)) else { return Standing::Free };
        let host = self.hosts.get(&addr).map_or(Standing::Free, Watch::standing);
        network.standing().max(host)
    }

    /// An address was asked in its turn.
    pub(super) fn asked(&mut self, addr: IpAddr, now: TimeUs) {
        if self.networks.is_empty() {
            return;
        }
        let network = self.network(addr);
        let Some(watch) = self.networks.get_mut(&network) else { return };
        if watch.asked(NETWORK_HOSTS, now) {
            self.agenda.push(Reverse((now, Unit::Network(network))));
        }
        if self.hosts.get_mut(&addr).is_some_and(|watch| watch.asked(1, now)) {
            self.agenda.push(Reverse((now, Unit::Host(addr))));
        }
    }

    /// A slice is over: its hosts are watched no more.
    pub(super) fn forget(&mut self, addr: IpAddr) {
        self.hosts.remove(&addr);
    }

    /// Who is to be asked again, and where it had answered. Those whose time is over are asked once
    /// more, or left alone.
    pub(super) fn next(&mut self, now: TimeUs) -> Option<(Unit, Endpoint)> {
        while let Some(Reverse((at, unit))) = self.agenda.peek().copied() {
            if at > now {
                return None;
            }
            self.agenda.pop();
            let Some(watch) = self.watch(unit) else { continue };
            match watch.doubt {
                Doubt::Due { at: due, place, .. } if due == at => return Some((unit, watch.alive[place])),
                Doubt::Asked { until, round } if until == at => {
                    watch.doubt = match round < ROUNDS {
                        true => Doubt::Due { at, round: round + 1, place: 0 },
                        false => Doubt::Broken,
                    };
                    let broken = watch.doubt == Doubt::Broken;
                    if broken {
                        tracing::warn!(?unit, "stopped answering, and is left alone");
                    } else {
                        self.agenda.push(Reverse((at, unit)));
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// It was asked again.
    pub(super) fn sent(&mut self, unit: Unit, now: TimeUs) {
        let until = now.plus_micros(self.terms.wait_us);
        let Some(watch) = self.watch(unit) else { return };
        let Doubt::Due { round, place, .. } = watch.doubt else { return };
        let (doubt, at) = match place + 1 < watch.alive.len() {
            true => (Doubt::Due { at: now, round, place: place + 1 }, now),
            false => (Doubt::Asked { until, round }, until),
        };
        watch.doubt = doubt;
        self.agenda.push(Reverse((at, unit)));
    }

    /// It may not be asked before this instant.
    pub(super) fn wait(&mut self, unit: Unit, until: TimeUs) {
        let Some(watch) = self.watch(unit) else { return };
        let Doubt::Due { round, place, .. } = watch.doubt else { return };
        watch.doubt = Doubt::Due { at: until, round, place };
        self.agenda.push(Reverse((until, unit)));
    }

    /// It may not be asked any more: nothing is concluded, and it is not suspected again.
    pub(super) fn give_up(&mut self, unit: Unit) {
        let Some(watch) = self.watch(unit) else { return };
        (watch.doubt, watch.suspicious_at) = (Doubt::None, u32::MAX);
    }

    /// When something is wanted next.
    pub(super) fn due(&self) -> Option<TimeUs> {
        self.agenda.peek().map(|due| due.0.0)
    }

    fn watch(&mut self, unit: Unit) -> Option<&mut Watch> {
        match unit {
            Unit::Host(addr) => self.hosts.get_mut(&addr),
            Unit::Network(network) => self.networks.get_mut(&network),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> TimeUs {
        TimeUs::from_micros(1_800_000_000_000_000 + ms * 1_000)
    }

    fn breaker(after: u32) -> Breaker {
        Breaker::new(BreakerTerms { after, v4_len: 24, v6_len: 48, wait_us: 300_000 })
    }

    fn host(n: u8) -> IpAddr {
        IpAddr::from([198, 18, 0, n])
    }

    /// Asks again whoever is doubted at `now`; how many.
    fn ask_again(breaker: &mut Breaker, now: TimeUs) -> usize {
        let mut asked = 0;
        while let Some((unit, _)) = breaker.next(now) {
            breaker.sent(unit, now);
            asked += 1;
        }
        asked
    }

    #[test]
    fn a_host_that_stops_answering_is_left_alone() {
        let mut breaker = breaker(4);
        breaker.alive(Endpoint::tcp(host(1), 80));
        (0..3).for_each(|_| breaker.asked(host(1), at(0)));
        assert_eq!((breaker.standing(host(1)), breaker.next(at(0))), (Standing::Free, None));
        breaker.asked(host(1), at(0));
        assert_eq!(breaker.standing(host(1)), Standing::Doubted);
        assert_eq!(breaker.next(at(0)), Some((Unit::Host(host(1)), Endpoint::tcp(host(1), 80))));
        breaker.sent(Unit::Host(host(1)), at(0));
        assert_eq!((ask_again(&mut breaker, at(299)), ask_again(&mut breaker, at(300))), (0, 1));
        assert_eq!(ask_again(&mut breaker, at(600)), 0);
        assert_eq!(breaker.standing(host(1)), Standing::Broken);
        // The network has other hosts, and a late answer changes nothing.
        assert_eq!(breaker.standing(host(2)), Standing::Free);
        breaker.alive(Endpoint::tcp(host(1), 80));
        assert_eq!(breaker.standing(host(1)), Standing::Broken);
    }

    #[test]
    fn who_only_drops_is_asked_ever_more_rarely() {
        let mut breaker = breaker(4);
        breaker.alive(Endpoint::tcp(host(1), 80));
        let mut asked = 0;
        for n in 0..200 {
            breaker.asked(host(1), at(n));
            let again = ask_again(&mut breaker, at(n));
            if again > 0 {
                breaker.alive(Endpoint::tcp(host(1), 80));
            }
            asked += again;
        }
        // After 4, 8, 16, 32, 64 silent asks.
        assert_eq!((asked, breaker.standing(host(1))), (5, Standing::Free));
    }

    #[test]
    fn a_network_is_left_alone_when_all_known_hosts_fell_silent() {
        let mut breaker = breaker(4);
        breaker.alive(Endpoint::tcp(host(1), 80));
        (0..100).for_each(|n| breaker.asked(host(50 + n), at(0)));
        assert_eq!(breaker.next(at(0)), None, "one host that goes away is no network");
        breaker.alive(Endpoint::tcp(host(2), 22));
        (0..32).for_each(|n| breaker.asked(host(50 + n), at(0)));
        assert_eq!(breaker.standing(host(200)), Standing::Doubted);
        assert_eq!((ask_again(&mut breaker, at(0)), ask_again(&mut breaker, at(300))), (2, 2));
        assert_eq!(ask_again(&mut breaker, at(600)), 0);
        assert_eq!(breaker.standing(host(200)), Standing::Broken);
        assert_eq!(breaker.standing(IpAddr::from([198, 18, 1, 1])), Standing::Free);
    }

    #[test]
    fn a_sign_of_life_of_any_host_clears_a_network() {
        let mut breaker = breaker(4);
        breaker.alive(Endpoint::tcp(host(1), 80));
        breaker.alive(Endpoint::tcp(host(2), 80));
        (0..32).for_each(|n| breaker.asked(host(50 + n), at(0)));
        assert_eq!(ask_again(&mut breaker, at(0)), 2);
        breaker.alive(Endpoint::tcp(host(9), 80));
        assert_eq!((breaker.standing(host(200)), ask_again(&mut breaker, at(900))), (Standing::Free, 0));
    }

    #[test]
    fn who_may_not_be_asked_again_is_not_suspected() {
        let mut breaker = breaker(1);
        breaker.alive(Endpoint::tcp(host(1), 80));
        breaker.asked(host(1), at(0));
        let (unit, _) = breaker.next(at(0)).unwrap();
        breaker.wait(unit, at(100));
        assert_eq!((breaker.next(at(99)), breaker.due()), (None, Some(at(100))));
        assert_eq!(breaker.next(at(100)).map(|(unit, _)| unit), Some(unit));
        breaker.give_up(unit);
        (0..100).for_each(|_| breaker.asked(host(1), at(200)));
        assert_eq!((breaker.standing(host(1)), breaker.next(at(900))), (Standing::Free, None));
    }

    #[test]
    fn nobody_is_watched_without_a_breaker() {
        let mut breaker = breaker(0);
        breaker.alive(Endpoint::tcp(host(1), 80));
        (0..100).for_each(|_| breaker.asked(host(1), at(0)));
        assert_eq!((breaker.standing(host(1)), breaker.due()), (Standing::Free, None));
    }
}
