//! How often a password may be tried. Pure: `now` is an argument, memory is bounded.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

use kenshin_observation::TimeUs;

/// Failures of one account from one address, within the window.
const PAIR_MAX: u32 = 5;
/// Failures of one address over all accounts, within the window.
const ADDRESS_MAX: u32 = 30;
/// After this many seconds a failure is forgotten.
const WINDOW_S: i64 = 15 * 60;
/// Counters kept at most.
const COUNTERS_MAX: usize = 10_000;
/// Bytes of an account name that count.
const LOGIN_MAX: usize = 100;

/// Counts failed sign-ins by account and address, and by address alone.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    counters: HashMap<(String, IpAddr), Counter>,
}

#[derive(Debug, Clone, Copy)]
struct Counter {
    since: TimeUs,
    failures: u32,
}

impl Limiter {
    /// Takes an attempt into account, as failed until [`Limiter::succeeded`] says otherwise, so that
    /// attempts side by side count too. `Err` holds the seconds to wait; the attempt must not be
    /// made.
    pub(crate) fn attempt(&mut self, login: &str, addr: IpAddr, now: TimeUs) -> Result<(), u64> {
        let keys = keys(login, addr);
        for (key, max) in &keys {
            if let Some(counter) = self.counters.get(key)
                && counter.failures >= *max
                && let Some(wait) = remaining(counter, now)
            {
                return Err(wait);
            }
        }
        for (key, _) in keys {
            self.make_room(now);
            let counter = self.counters.entry(key).or_insert(Counter { since: now, failures: 0 });
            if remaining(counter, now).is_none() {
                *counter = Counter { since: now, failures: 0 };
            }
            counter.failures += 1;
        }
        Ok(())
    }

    /// The attempt just made fitted: the account's failures from there are forgotten.
    pub(crate) fn succeeded(&mut self, login: &str, addr: IpAddr) {
        let [(pair, _), (address, _)] = keys(login, addr);
        self.counters.remove(&pair);
        if let Some(counter) = self.counters.get_mut(&address) {
            counter.failures = counter.failures.saturating_sub(1);
        }
    }

    /// Keeps the number of counters bounded: what has run out goes first, then the oldest.
    fn make_room(&mut self, now: TimeUs) {
        if self.counters.len() < COUNTERS_MAX {
            return;
        }
        self.counters.retain(|_, counter| remaining(counter, now).is_some());
        if self.counters.len() >= COUNTERS_MAX
            && let Some(oldest) =
                self.counters.iter().min_by_key(|(_, counter)| counter.since).map(|(key, _)| key.clone())
        {
            self.counters.remove(&oldest);
        }
    }
}

/// Seconds until the counter is forgotten; `None` when it is.
fn remaining(counter: &Counter, now: TimeUs) -> Option<u64> {
    let left = WINDOW_S - now.micros_since(counter.since).div_euclid(1_000_000);
    // A clock that was set back must not lock anybody out for longer.
    u64::try_from(left.min(WINDOW_S)).ok().filter(|left| *left > 0)
}

fn keys(login: &str, addr: IpAddr) -> [((String, IpAddr), u32); 2] {
    let addr = match addr.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        // Whoever has one IPv6 address has its whole /64.
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
    };
    let mut login: String = login.to_lowercase();
    login.truncate(login.floor_char_boundary(LOGIN_MAX));
    // An account name is never empty, so that the address's own key is nobody's.
    let login = if login.is_empty() { " ".to_owned() } else { login };
    [((login, addr), PAIR_MAX), ((String::new(), addr), ADDRESS_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: TimeUs = TimeUs::from_secs(1_790_000_000);

    fn addr(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_sixth_attempt_waits_and_others_do_not() {
        let mut limiter = Limiter::default();
        let here = addr("192.0.2.1");
        for _ in 0..PAIR_MAX {
            assert_eq!(limiter.attempt("Admin", here, T0), Ok(()));
        }
        assert_eq!(limiter.attempt("admin", here, T0.plus_secs(60)), Err(14 * 60));
        assert_eq!(limiter.attempt("admin", addr("192.0.2.2"), T0), Ok(()), "another address");
        assert_eq!(limiter.attempt("other", here, T0), Ok(()), "another account");
        assert_eq!(limiter.attempt("admin", here, T0.plus_secs(WINDOW_S)), Ok(()), "forgotten");
    }

    #[test]
    fn success_clears_the_account_but_not_the_address() {
        let mut limiter = Limiter::default();
        let here = addr("2001:db8::1");
        for round in 0..ADDRESS_MAX {
            let login = format!("user{round}");
            assert_eq!(limiter.attempt(&login, here, T0), Ok(()));
        }
        assert!(limiter.attempt("fresh", addr("2001:db8::2"), T0).is_err(), "the same /64");
        limiter.succeeded("user0", here);
        assert_eq!(limiter.attempt("fresh", here, T0), Ok(()));
    }

    #[test]
    fn memory_is_bounded() {
        let mut limiter = Limiter::default();
        for i in 0..u32::try_from(COUNTERS_MAX).unwrap() {
            let from = IpAddr::V4(std::net::Ipv4Addr::from_bits(i));
            limiter.attempt(&"x".repeat(5000), from, T0.plus_secs(i64::from(i % 7))).unwrap();
        }
        assert!(limiter.counters.len() <= COUNTERS_MAX);
        assert!(limiter.counters.keys().all(|(login, _)| login.len() <= LOGIN_MAX));
    }

    #[test]
    fn a_clock_set_back_locks_nobody_out() {
        let mut limiter = Limiter::default();
        for _ in 0..PAIR_MAX {
            limiter.attempt("admin", addr("192.0.2.1"), T0).unwrap();
        }
        let wait = limiter.attempt("admin", addr("192.0.2.1"), T0.plus_secs(-86_400)).unwrap_err();
        assert!(wait <= WINDOW_S.unsigned_abs());
    }
}
