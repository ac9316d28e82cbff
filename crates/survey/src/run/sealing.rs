//! A complete slice becomes rows, coverage and blobs, and those a sealed batch.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use kenshin_observation::protocol::Records;
use kenshin_observation::{
    BatchId, Blob, Check, Coverage, Direction, Endpoint, Observation, OrgId, Outcome, SensorId, SurveyId,
    TimeUs, Tlp, Transport,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use sha2::{Digest, Sha256};

use super::openness;
use super::slice::{End, Swept, Work};
use crate::plan::Silence;
use crate::spool::Draft;
use crate::sweep::Reply;

/// Version of the sweep's method, for [`Observation::method_version`].
const METHOD_VERSION: i32 = 1;

/// What every row of a survey shares.
#[derive(Debug, Clone)]
pub(super) struct Context {
    pub(super) org_id: OrgId,
    pub(super) mandate_id: String,
    pub(super) mandate_digest: String,
    pub(super) survey_id: SurveyId,
    pub(super) sensor_id: SensorId,
    pub(super) tlp: Tlp,
    pub(super) clock_error_us: Option<i64>,
    pub(super) target_digest: String,
    pub(super) permutation_key: String,
    pub(super) sources: Vec<IpAddr>,
    pub(super) silence: Silence,
}

/// A generator for one slice's batch id and salts.
pub(super) fn generator(seed: [u8; 32], slice: u64, attempt: u32) -> ChaCha20Rng {
    let mut hash = Sha256::new_with_prefix(b"kenshin-slice\0");
    hash.update(seed);
    hash.update(slice.to_le_bytes());
    hash.update(attempt.to_le_bytes());
    ChaCha20Rng::from_seed(hash.finalize().into())
}

pub(super) fn batch_id(now: TimeUs, random: &mut ChaCha20Rng) -> BatchId {
    BatchId::new(now, random.random())
}

/// Everything a complete slice has to say.
pub(super) fn draft(mut work: Work, context: &Context, now: TimeUs) -> Draft {
    let alive: Vec<bool> = alive_hosts(&work);
    let mut rows = Vec::with_capacity(work.talked.len());
    let mut dropped = 0;
    let every_number = work.implied.is_none() || context.silence == Silence::Rows;
    let numbers: Box<dyn Iterator<Item = u32>> = match every_number {
        true => Box::new(0..work.targets.len()),
        false => Box::new(work.targets.iter().map(|(number, _)| number)),
    };
    for number in numbers {
        let (host, endpoint) = work.endpoint(number);
        // A slice is drafted when it is complete: every target has an end, or it is implied.
        let unknown = Swept { end: End::Error("internal"), at: now, vantage: None };
        let (swept, (outcome, reason)) = match (work.targets.get(number), &work.implied) {
            (None, Some(implied)) => {
                dropped += i64::from(number >= implied.asked_to);
                let silent = Swept { end: End::Reply(Reply::Silent), at: implied.at, vantage: None };
                (silent, implied.outcome(number, alive[host]))
            }
            (target, _) => {
                dropped += i64::from(target.is_none_or(|target| target.asks == 0));
                let swept = target.and_then(|target| target.swept).unwrap_or(unknown);
                (swept, outcome(swept.end, alive[host]))
            }
        };
        let reason = reason.map(str::to_owned);
        let mut row = context.row(endpoint, swept, work.attempt);
        (row.outcome, row.reason) = (outcome, reason);
        rows.push(row);
    }
    let covered_to = match &work.implied {
        Some(implied) if !every_number => work.slice.index_from + u64::from(implied.asked_to),
        _ => work.slice.index_to(),
    };
    let (talked, blobs) = talk_rows(&mut work, context);
    rows.extend(talked.into_iter().map(|(_, row)| row));
    let tcp = work.slice.ports().iter().filter(|port| port.transport == Transport::Tcp);
    openness::label(&mut rows, tcp.count());
    let ended_at = work.implied.as_ref().map(|implied| implied.at);
    let time_to = rows.iter().map(|row| row.time).chain(ended_at).max().unwrap_or(now);
    let index = |index: u64| i64::try_from(index).expect("plans number less than 2^63 targets");
    let coverage = Coverage {
        survey_id: context.survey_id,
        sensor_id: context.sensor_id,
        mandate_digest: context.mandate_digest.clone(),
        target_digest: context.target_digest.clone(),
        permutation_key: context.permutation_key.clone(),
        index_from: index(work.slice.index_from),
        index_to: index(covered_to),
        time_from: work.began_at,
        time_to,
        sent: i64::try_from(work.sent).unwrap_or(i64::MAX),
        dropped,
    };
    Draft {
        survey_id: context.survey_id,
        slice: work.slice.number,
        mandate_digest: context.mandate_digest.clone(),
        observations: rows,
        coverage: vec![coverage],
        blobs,
    }
}

/// Rows of the conversations of a slice by target and check, and the bodies they refer to.
pub(super) fn talk_rows(work: &mut Work, context: &Context) -> (Vec<(u32, Observation)>, Vec<Blob>) {
    let mut rows = std::mem::take(&mut work.kept);
    let mut blobs = std::mem::take(&mut work.kept_blobs);
    let mut named: HashSet<String> = blobs.iter().map(Blob::sha256).collect();
    for talked in std::mem::take(&mut work.talked) {
        let (_, endpoint) = work.endpoint(talked.target);
        let vantage = work.targets[talked.target as usize].swept.and_then(|swept| swept.vantage);
        let swept = Swept { end: End::Reply(Reply::Answered), at: talked.at, vantage };
        let mut row = context.row(endpoint, swept, work.attempt);
        let bodies = talked.result.fill(&mut row);
        blobs.extend(bodies.into_iter().filter(|blob| named.insert(blob.sha256())));
        rows.push((talked.target, row));
    }
    rows.sort_by_key(|(target, row)| (*target, row.check));
    (rows, blobs)
}

/// Which hosts gave any sign of life.
fn alive_hosts(work: &Work) -> Vec<bool> {
    let mut alive = vec![false; work.hosts.len() as usize];
    work.hosts.iter().for_each(|(number, host)| alive[number as usize] = host.alive_port.is_some());
    for (number, target) in work.targets.iter() {
        if matches!(target.swept, Some(Swept { end: End::Reply(Reply::Answered | Reply::Refused), .. })) {
            alive[work.endpoint(number).0] = true;
        }
    }
    alive
}

fn outcome(end: End, host_alive: bool) -> (Outcome, Option<&'static str>) {
    match end {
        End::Reply(Reply::Answered) => (Outcome::Answered, None),
        End::Reply(Reply::Refused) => (Outcome::Refused, None),
        End::Reply(Reply::Silent) if host_alive => (Outcome::SilentHostAlive, None),
        End::Reply(Reply::Silent) => (Outcome::Dark, None),
        End::Reply(Reply::Filtered(reason)) => (Outcome::Filtered, Some(reason)),
        End::Reply(Reply::Busy(reason) | Reply::Failed(reason)) | End::Error(reason) => {
            (Outcome::Error, Some(reason))
        }
        End::Limited(reason) => (Outcome::Limited, Some(reason)),
    }
}

impl Context {
    /// A sweep row; a conversation fills in the rest.
    fn row(&self, subject: Endpoint, swept: Swept, attempt: u32) -> Observation {
        let source = self.sources.iter().find(|source| source.is_ipv4() == subject.addr.is_ipv4());
        let (addr, port) = match (swept.vantage, source) {
            (Some(known), _) => (known.ip(), known.port()),
            (None, Some(source)) => (*source, 0),
            (None, None) if subject.addr.is_ipv4() => (Ipv4Addr::UNSPECIFIED.into(), 0),
            (None, None) => (Ipv6Addr::UNSPECIFIED.into(), 0),
        };
        let vantage = Endpoint::new(addr, port, subject.transport);
        Observation {
            org_id: self.org_id,
            mandate_id: self.mandate_id.clone(),
            survey_id: self.survey_id,
            sensor_id: self.sensor_id,
            tlp: self.tlp,
            time: swept.at,
            clock_error_us: self.clock_error_us,
            subject,
            vantage,
            direction: Direction::Probed,
            check: Check::Sweep,
            method_version: METHOD_VERSION,
            attempt: i32::try_from(attempt).unwrap_or(i32::MAX),
            outcome: Outcome::Error,
            reason: None,
            protocol: None,
            records: Records::default(),
            blobs: Vec::new(),
            labels: Vec::new(),
        }
    }
}

/// One salt after the other.
pub(super) fn salts(random: &mut ChaCha20Rng) -> impl FnMut() -> [u8; 16] {
    move || random.random()
}
