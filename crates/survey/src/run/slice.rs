//! One slice in flight: what is known of its targets and hosts.

use std::net::SocketAddr;

use kenshin_observation::{Blob, Endpoint, Observation, Outcome, TimeUs};
use serde::{Deserialize, Serialize};

use super::front::Over;
use super::host::Host;
use super::sparse::Sparse;
use crate::probe::ProbeResult;
use crate::space::Slice;
use crate::sweep::Reply;

/// A slice in flight.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) slice: Slice,
    pub(super) attempt: u32,
    /// First target not yet taken.
    pub(super) cursor: u32,
    /// Targets not done.
    pub(super) left: u32,
    /// Questions to hosts whether they are alive, in flight or waiting.
    pub(super) verifying: u32,
    pub(super) targets: Sparse<Target>,
    pub(super) hosts: Sparse<Host>,
    pub(super) talked: Vec<Talked>,
    /// Rows of conversations of an earlier run that set the slice aside, by target.
    pub(super) kept: Vec<(u32, Observation)>,
    /// Bodies those rows refer to.
    pub(super) kept_blobs: Vec<Blob>,
    /// Exchanges begun.
    pub(super) sent: u64,
    pub(super) began_at: TimeUs,
    /// What is true of the targets that are not kept; `None` while all of them are.
    pub(super) implied: Option<Implied>,
}

/// What is true of the targets of a raw sweep that nothing was heard of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Implied {
    /// When their time was over.
    pub(super) at: TimeUs,
    /// From this number on they were never asked.
    pub(super) asked_to: u32,
    /// Why those were not.
    pub(super) code: Option<String>,
}

impl Implied {
    /// How the sweep of a target ended that is not kept: silent or never asked.
    pub(super) fn outcome(&self, number: u32, host_alive: bool) -> (Outcome, Option<&str>) {
        match (number < self.asked_to, host_alive) {
            (true, true) => (Outcome::SilentHostAlive, None),
            (true, false) => (Outcome::Dark, None),
            (false, _) => (Outcome::Limited, self.code.as_deref()),
        }
    }
}

/// What is known of one target.
#[derive(Debug, Default)]
pub(super) struct Target {
    /// How often it was asked.
    pub(super) asks: u32,
    /// How often this machine failed to ask it.
    pub(super) failures: u32,
    /// An ask is in flight.
    pub(super) asking: bool,
    /// How its sweep ended.
    pub(super) swept: Option<Swept>,
    /// The handshake by which credentials are to be checked.
    pub(super) door: Option<Box<ProbeResult>>,
    /// Nothing is left to do.
    pub(super) done: bool,
}

/// How the sweep of a target ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Swept {
    pub(super) end: End,
    pub(super) at: TimeUs,
    pub(super) vantage: Option<SocketAddr>,
}

/// The end of a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// What came back.
    Reply(Reply),
    /// It was not asked; why.
    Limited(&'static str),
    /// It could not be asked; why.
    Error(&'static str),
}

/// What one check learned of one target.
#[derive(Debug)]
pub(super) struct Talked {
    pub(super) target: u32,
    pub(super) at: TimeUs,
    pub(super) result: ProbeResult,
}

impl Work {
    pub(super) fn new(slice: Slice, attempt: u32, breaker_after: u32, began_at: TimeUs) -> Self {
        let work = Self::empty(slice, attempt, began_at);
        let (targets, hosts) = (work.targets.len(), work.hosts.len());
        Self {
            cursor: 0,
            left: targets,
            targets: Sparse::all(targets, Target::default),
            hosts: Sparse::all(hosts, || Host::new(targets / hosts, breaker_after)),
            ..work
        }
    }

    /// A slice of which nothing is kept yet, because another thread sweeps it.
    pub(super) fn empty(slice: Slice, attempt: u32, began_at: TimeUs) -> Self {
        let targets = u32::try_from(slice.targets()).expect("a plan allows 2^22 targets in a slice");
        let hosts = u32::try_from(slice.addresses().len()).expect("a slice has 2^16 addresses at most");
        Self {
            attempt,
            cursor: targets,
            left: 0,
            verifying: 0,
            targets: Sparse::none(targets),
            hosts: Sparse::none(hosts),
            talked: Vec::new(),
            kept: Vec::new(),
            kept_blobs: Vec::new(),
            sent: 0,
            began_at,
            implied: None,
            slice,
        }
    }

    /// A slice whose sweep over raw packets is over. `talks` says whether there is something to say
    /// to an endpoint that answered.
    pub(super) fn swept(over: Over, code: Option<&str>, talks: impl Fn(Endpoint) -> bool) -> Self {
        let mut work = Self::empty(over.slice, over.attempt, over.began_at);
        work.sent = over.sent;
        work.implied =
            Some(Implied { at: over.ended_at, asked_to: over.asked_to, code: code.map(str::to_owned) });
        for (number, swept) in over.known {
            work.know(number, swept, &talks);
        }
        for (host, state) in work.hosts.iter_mut() {
            state.broken = over.left_alone.contains(&work.slice.addresses()[host as usize]);
        }
        work
    }

    /// Keeps a target of a raw sweep.
    pub(super) fn know(&mut self, number: u32, swept: Swept, talks: impl Fn(Endpoint) -> bool) {
        let (host, endpoint) = self.endpoint(number);
        let host = u32::try_from(host).expect("a slice has 2^16 addresses at most");
        // A host that is asked without waiting for its answers is watched by its conversations only.
        let host = self.hosts.keep(host, || Host::new(0, 0));
        if matches!(swept.end, End::Reply(Reply::Answered | Reply::Refused)) && endpoint.port != 0 {
            host.alive(endpoint.port);
        }
        let done = swept.end != End::Reply(Reply::Answered) || !talks(endpoint);
        if !done {
            host.left += 1;
            self.left += 1;
        }
        *self.targets.keep(number, Target::default) =
            Target { asks: 1, swept: Some(swept), done, ..Target::default() };
    }

    /// A slice whose attempts ran out: nothing is sent.
    pub(super) fn exhausted(slice: Slice, attempt: u32, now: TimeUs) -> Self {
        let mut work = Self::new(slice, attempt, 0, now);
        let swept = Swept { end: End::Error("attempts-exhausted"), at: now, vantage: None };
        for (_, target) in work.targets.iter_mut() {
            (target.swept, target.done) = (Some(swept), true);
        }
        (work.cursor, work.left) = (work.left, 0);
        work
    }

    /// The endpoint of a target, and the place of its address.
    pub(super) fn endpoint(&self, target: u32) -> (usize, Endpoint) {
        self.slice.target_at(target.into())
    }

    /// True when the slice waits for a raw sweep.
    pub(super) fn unswept(&self) -> bool {
        self.implied.is_none() && self.targets.iter().next().is_none()
    }

    /// True when everything is known.
    pub(super) fn complete(&self) -> bool {
        self.left == 0 && self.verifying == 0
    }
}
