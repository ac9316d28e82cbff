//! How many, of how many: each endpoint counted once a group, as it was last seen there.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use kenshin_observation::{DeviceKey, Endpoint, Observation, TimeUs};
use serde::Serialize;

use super::{Aspect, Readiness, measured, obsolete_offers, readiness, weaknesses};
use crate::asset::{is_shared, own_keys};

/// Of those judged, how many are so; and how many could not be judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Endpoints that are so.
    pub count: u64,
    /// Endpoints of which it is known whether they are.
    pub judged: u64,
    /// Endpoints with SSH or TLS of which it is not known.
    pub unknown: u64,
}

/// Figures of one group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Endpoints that spoke.
    pub answering: u64,
    /// Of these, with SSH or TLS. Everything below is about them.
    pub encrypted: u64,
    /// SSH 1, or TLS below 1.2 at best.
    pub old_protocol: Part,
    /// Nothing better than obsolete algorithms, or a certificate signed with MD5 or SHA-1.
    pub weak_algorithm: Part,
    /// A key or key exchange that is too small.
    pub small_key: Part,
    /// A certificate that has run out, is not yet valid, or has dates that nobody meant.
    pub invalid_dates: Part,
    /// SSH alone: obsolete algorithms offered, whether or not beside better ones.
    pub obsolete_offered: Part,
    /// The same key, which was to be the device's own, at many addresses of several networks.
    pub shared_key: Part,
    /// A post-quantum hybrid key exchange is offered.
    pub hybrid_offered: Part,
}

/// What of an endpoint is counted. Small: there may be millions.
#[derive(Debug, Clone, Default)]
struct State {
    time: Option<TimeUs>,
    spoke: bool,
    decoy: bool,
    measured: Vec<Aspect>,
    weak: Vec<Aspect>,
    obsolete: Option<bool>,
    readiness: Option<Readiness>,
    keys: Vec<DeviceKey>,
}

/// An endpoint in the group in which it is counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject<G> {
    /// The group, such as a provider and a year.
    pub group: G,
    /// The endpoint.
    pub endpoint: Endpoint,
}

/// Counts endpoints by group.
#[derive(Debug)]
pub struct Census<G> {
    endpoints: BTreeMap<Subject<G>, State>,
}

impl<G: Ord + Clone> Default for Census<G> {
    fn default() -> Self {
        Self { endpoints: BTreeMap::new() }
    }
}

impl<G: Ord + Clone> Census<G> {
    /// Takes one observation into `group`. Dates of certificates are held against the day on which
    /// it was made: that is what was wrong then.
    pub fn add(&mut self, group: G, observation: &Observation) {
        let spoke = observation.protocol.is_some();
        if !spoke && observation.is_of_device() {
            return;
        }
        let subject = Subject { group, endpoint: observation.subject };
        let state = self.endpoints.entry(subject).or_default();
        state.spoke |= spoke;
        state.decoy |= !observation.is_of_device();
        let Some(aspects) = measured(&observation.records) else { return };
        if state.time.is_some_and(|time| time > observation.time) {
            return;
        }
        state.time = Some(observation.time);
        state.measured = aspects;
        state.weak =
            weaknesses(&observation.records, observation.time).iter().map(|weak| weak.aspect).collect();
        let ssh = observation.records.ssh.as_deref().filter(|ssh| !ssh.kex.is_empty());
        state.obsolete = ssh.map(|ssh| !obsolete_offers(ssh).is_empty());
        state.readiness = readiness(&observation.records);
        state.keys = own_keys(observation);
    }

    /// The figures of each group.
    pub fn figures(&self) -> BTreeMap<G, Figures> {
        // A key that several owners have is theirs in whatever group it is counted.
        let mut sharers: BTreeMap<&DeviceKey, BTreeSet<IpAddr>> = BTreeMap::new();
        for (subject, state) in self.devices() {
            for key in &state.keys {
                sharers.entry(key).or_default().insert(subject.endpoint.addr);
            }
        }
        let mut figures: BTreeMap<G, Figures> = BTreeMap::new();
        for (subject, state) in self.devices() {
            let of = figures.entry(subject.group.clone()).or_default();
            of.answering += u64::from(state.spoke);
            if state.time.is_none() {
                continue;
            }
            of.encrypted += 1;
            let aspects = [
                (Aspect::Protocol, &mut of.old_protocol),
                (Aspect::Algorithm, &mut of.weak_algorithm),
                (Aspect::Size, &mut of.small_key),
                (Aspect::Validity, &mut of.invalid_dates),
            ];
            for (aspect, part) in aspects {
                let weak = state.weak.contains(&aspect);
                part.take((weak || state.measured.contains(&aspect)).then_some(weak));
            }
            of.obsolete_offered.take(state.obsolete);
            let shared = |key: &DeviceKey| sharers.get(key).is_some_and(is_shared);
            of.shared_key.take((!state.keys.is_empty()).then(|| state.keys.iter().any(shared)));
            of.hybrid_offered.take(match state.readiness {
                Some(Readiness::Offered) => Some(true),
                Some(Readiness::NotOffered) => Some(false),
                Some(Readiness::Unknown) | None => None,
            });
        }
        figures
    }

    fn devices(&self) -> impl Iterator<Item = (&Subject<G>, &State)> {
        self.endpoints.iter().filter(|(_, state)| !state.decoy)
    }
}

impl Part {
    fn take(&mut self, answer: Option<bool>) {
        match answer {
            None => self.unknown += 1,
            Some(so) => {
                self.judged += 1;
                self.count += u64::from(so);
            }
        }
    }
}
