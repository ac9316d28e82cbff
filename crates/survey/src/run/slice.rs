//! One slice in flight: what is known of its targets and hosts.

use std::net::SocketAddr;

use kenshin_observation::{Blob, Endpoint, Observation, TimeUs};

use super::host::Host;
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
    pub(super) targets: Vec<Target>,
    pub(super) hosts: Vec<Host>,
    pub(super) talked: Vec<Talked>,
    /// Rows of conversations of an earlier run that set the slice aside, by target.
    pub(super) kept: Vec<(u32, Observation)>,
    /// Bodies those rows refer to.
    pub(super) kept_blobs: Vec<Blob>,
    /// Exchanges begun.
    pub(super) sent: u64,
    pub(super) began_at: TimeUs,
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
pub(super) struct Swept {
    pub(super) end: End,
    pub(super) at: TimeUs,
    pub(super) vantage: Option<SocketAddr>,
}

/// The end of a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
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
        let targets =
            u32::try_from(slice.targets()).expect("2^16 addresses of 2^16 ports at most, less in memory");
        let hosts = slice.addresses().len();
        let ports = targets / u32::try_from(hosts).expect("a slice has 2^16 addresses at most");
        Self {
            attempt,
            cursor: 0,
            left: targets,
            verifying: 0,
            targets: std::iter::repeat_with(Target::default).take(targets as usize).collect(),
            hosts: std::iter::repeat_with(|| Host::new(ports, breaker_after)).take(hosts).collect(),
            talked: Vec::new(),
            kept: Vec::new(),
            kept_blobs: Vec::new(),
            sent: 0,
            began_at,
            slice,
        }
    }

    /// A slice whose attempts ran out: nothing is sent.
    pub(super) fn exhausted(slice: Slice, attempt: u32, now: TimeUs) -> Self {
        let mut work = Self::new(slice, attempt, 0, now);
        let swept = Swept { end: End::Error("attempts-exhausted"), at: now, vantage: None };
        for target in &mut work.targets {
            (target.swept, target.done) = (Some(swept), true);
        }
        (work.cursor, work.left) = (work.left, 0);
        work
    }

    /// The endpoint of a target, and the place of its address.
    pub(super) fn endpoint(&self, target: u32) -> (usize, Endpoint) {
        self.slice.target_at(target.into())
    }

    /// True when everything is known.
    pub(super) fn complete(&self) -> bool {
        self.left == 0 && self.verifying == 0
    }
}
