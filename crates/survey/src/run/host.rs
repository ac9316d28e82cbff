//! One address within a slice: how many connections are open there, whether it is alive, and the
//! circuit breaker.

use std::collections::{BTreeSet, VecDeque};

use crate::plan::CONNECTIONS_PER_ADDRESS_MAX;

/// State of one address.
#[derive(Debug, Default)]
pub(super) struct Host {
    /// Sweep connections and conversations; never above [`CONNECTIONS_PER_ADDRESS_MAX`].
    pub(super) open: u32,
    /// Targets not decided.
    pub(super) left: u32,
    /// Targets that wait for a place, by number inside the slice.
    pub(super) parked: VecDeque<u32>,
    /// Targets whose credentials are to be checked, by port: one after the other, after everything
    /// else, so that the attempts a device may have go to the same services in every run.
    pub(super) doors: BTreeSet<(u16, u32)>,
    /// One of them is being checked.
    pub(super) checking: bool,
    /// Why no more credentials are tried here, if so: its services may share accounts.
    pub(super) closed: Option<&'static str>,
    /// A port at which it answered or refused.
    pub(super) alive_port: Option<u16>,
    /// It stopped answering after us: nothing more is sent to it.
    pub(super) broken: bool,
    /// Silent ports in a row since it last gave a sign of life.
    silent: u32,
    /// Number of them at which it is asked again where it had answered.
    suspicious_at: u32,
    /// Questions of that kind since then.
    verifying: Option<u32>,
}

/// What follows from a silent port.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Suspicion {
    /// Nothing.
    None,
    /// Ask again where it had answered.
    Verify,
    /// It stopped answering: leave it alone.
    Broken,
}

/// How often a suspicious host is asked before it is left alone.
const VERIFICATIONS: u32 = 2;

impl Host {
    pub(super) fn new(targets: u32, breaker_after: u32) -> Self {
        Self { left: targets, suspicious_at: breaker_after, ..Self::default() }
    }

    /// True when one more connection may be opened to it for a target, with `beside` of others open.
    pub(super) fn has_room(&self, beside: u32) -> bool {
        self.open + beside < CONNECTIONS_PER_ADDRESS_MAX && self.verifying.is_none()
    }

    /// The target whose credentials are checked next, when it is time for that.
    pub(super) fn next_door(&mut self) -> Option<u32> {
        if self.checking || self.left as usize != self.doors.len() {
            return None;
        }
        let (_, target) = self.doors.first()?;
        self.checking = true;
        Some(*target)
    }

    /// It answered or refused at `port`.
    pub(super) fn alive(&mut self, port: u16) {
        self.alive_port = Some(port);
        self.silent = 0;
        if self.verifying.take().is_some() {
            // A host that drops silently where nothing listens is no reason to ask often.
            self.suspicious_at = self.suspicious_at.saturating_mul(2);
        }
    }

    /// A port was silent to the end.
    pub(super) fn silent(&mut self) -> Suspicion {
        if self.alive_port.is_none() || self.suspicious_at == 0 || self.broken {
            return Suspicion::None;
        }
        self.silent += 1;
        if self.silent < self.suspicious_at || self.verifying.is_some() || self.left == 0 {
            return Suspicion::None;
        }
        self.verifying = Some(0);
        Suspicion::Verify
    }

    /// It was silent where it had answered before.
    pub(super) fn silent_where_alive(&mut self) -> Suspicion {
        let asked = self.verifying.unwrap_or(0) + 1;
        if asked < VERIFICATIONS {
            self.verifying = Some(asked);
            return Suspicion::Verify;
        }
        self.verifying = None;
        self.broken = true;
        Suspicion::Broken
    }

    /// It could not be asked again; nothing is concluded.
    pub(super) fn unverifiable(&mut self) {
        self.verifying = None;
        self.suspicious_at = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_only_drops_is_asked_ever_more_rarely() {
        let mut host = Host::new(1000, 4);
        for _ in 0..50 {
            assert_eq!(host.silent(), Suspicion::None, "never answered: nothing to compare with");
        }
        host.alive(80);
        let mut asked = 0;
        for _ in 0..200 {
            if host.silent() == Suspicion::Verify {
                assert!(!host.has_room(0), "nothing else is sent meanwhile");
                asked += 1;
                host.alive(80);
            }
        }
        // After 4, 8, 16, 32, 64 silent ports.
        assert_eq!(asked, 5);
        assert!(!host.broken && host.has_room(0));
    }

    #[test]
    fn a_host_that_stops_answering_is_left_alone() {
        let mut host = Host::new(1000, 4);
        host.alive(80);
        assert!((0..3).all(|_| host.silent() == Suspicion::None));
        assert_eq!(host.silent(), Suspicion::Verify);
        assert_eq!(host.silent_where_alive(), Suspicion::Verify);
        assert_eq!(host.silent_where_alive(), Suspicion::Broken);
        assert!(host.broken);
    }
}
