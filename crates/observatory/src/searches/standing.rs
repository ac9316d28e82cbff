//! What an answer is compared with: which services its search knows.
//!
//! Services are told apart by their keys, at most [`KNOWN_MAX`] of them. Of a query with an age
//! (`seen:7d`) only what news made of its answer counts, never what the passing of time alone did:
//! the query is asked again at the instant of the last look, and what it finds there in today's view,
//! or what was learned since, is news.

use std::collections::{BTreeSet, HashSet};
use std::io::{BufWriter, Read};
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use kenshin_casework::{Turn, Watch};
use kenshin_observation::schema::ServiceKey;
use kenshin_observation::{TimeUs, addr_from_hi_lo, addr_to_hi_lo};
use serde::{Deserialize, Serialize};

use crate::error::ActError;

/// Services of one answer that are told apart at most.
pub(super) const KNOWN_MAX: usize = 100_000;
/// Bytes of a standing, unpacked, at most.
const STANDING_MAX: u64 = 64 << 20;
/// What a stored standing begins with.
const VERSION: &str = "1:";

/// What is watched of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Watched {
    pub(super) watch: Watch,
    pub(super) threshold: i64,
}

/// An answer, as far as it is compared.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// When it was asked.
    pub(super) at: TimeUs,
    /// For a query with ages: when the lake took the latest of what the view stands on.
    pub(super) known_until: Option<TimeUs>,
    /// Services found.
    pub(super) services: u64,
    /// They, with when the lake took what is known of each; `None` when they are not told apart.
    pub(super) keys: Option<Vec<(ServiceKey, TimeUs)>>,
    /// For a query with ages: what today's view answers at the instant of the last look.
    pub(super) then: Option<Then>,
}

/// An answer of today's view at the instant of the last look.
#[derive(Debug, Clone)]
pub(super) struct Then {
    pub(super) services: u64,
    pub(super) keys: HashSet<ServiceKey>,
}

/// What is otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) turn: Turn,
    pub(super) added: Vec<ServiceKey>,
    pub(super) gone: Vec<ServiceKey>,
}

/// What the next answer is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    at: TimeUs,
    known_until: Option<TimeUs>,
    /// The count is at the threshold or above.
    above: bool,
    /// The answer has more services than are told apart; the keys are those before.
    grown: bool,
    /// Services that are known: those of the answer and, when only new ones are watched, those that
    /// were in it before, as far as there is room.
    keys: BTreeSet<ServiceKey>,
}

impl Standing {
    /// The base line of a search; `None` when its answer cannot be told apart.
    pub(super) fn base(watched: Watched, answer: Answer) -> Option<Self> {
        let keys = match (watched.watch, answer.keys) {
            (Watch::Count, _) => BTreeSet::new(),
            (_, keys) => keys?.into_iter().map(|(key, _)| key).collect(),
        };
        let above = reaches(answer.services, watched.threshold);
        Some(Self { at: answer.at, known_until: answer.known_until, above, grown: false, keys })
    }

    /// When the last look was.
    pub(super) fn at(&self) -> TimeUs {
        self.at
    }

    /// True when its answer has more services than are told apart.
    pub(super) fn grown(&self) -> bool {
        self.grown
    }

    /// What is otherwise in an answer, and what the next one is compared with. Who may see less than
    /// at the last look is not told of services that are out of their sight.
    pub(super) fn compare(
        self,
        watched: Watched,
        answer: Answer,
        in_sight: impl Fn(&ServiceKey) -> bool,
    ) -> (Self, Option<Changes>) {
        if watched.watch == Watch::Count {
            return self.compare_count(watched.threshold, &answer);
        }
        let nothing = |turn| Changes { turn, added: Vec::new(), gone: Vec::new() };
        let Some(found) = answer.keys else {
            let told = (!self.grown).then(|| nothing(Turn::Grown));
            return (Self { grown: true, ..self }, told);
        };
        let then = answer.then.map(|then| then.keys);
        let is_news = |key: &ServiceKey, known: TimeUs| match &then {
            None => true,
            Some(then) => then.contains(key) || Some(known) > self.known_until,
        };
        let mut changes = nothing(Turn::Changed);
        if watched.watch != Watch::Gone {
            let new = found.iter().filter(|(key, known)| !self.keys.contains(key) && is_news(key, *known));
            changes.added = new.map(|(key, _)| key.clone()).collect();
        }
        let found: BTreeSet<ServiceKey> = found.into_iter().map(|(key, _)| key).collect();
        if watched.watch != Watch::New {
            let left_by_news = |key: &&ServiceKey| then.as_ref().is_none_or(|then| !then.contains(*key));
            let gone = self.keys.difference(&found).filter(|key| in_sight(key)).filter(left_by_news);
            changes.gone = gone.cloned().collect();
        }
        let keys = match watched.watch {
            Watch::New if self.keys.union(&found).count() <= KNOWN_MAX => {
                let mut known = self.keys;
                known.extend(found);
                known
            }
            _ => found,
        };
        let next = Self { at: answer.at, known_until: answer.known_until, above: false, grown: false, keys };
        let told = !changes.added.is_empty() || !changes.gone.is_empty();
        (next, told.then_some(changes))
    }

    fn compare_count(self, threshold: i64, answer: &Answer) -> (Self, Option<Changes>) {
        let above = reaches(answer.services, threshold);
        let by_news = answer.then.as_ref().is_none_or(|then| reaches(then.services, threshold) != self.above);
        let turn = if above { Turn::Reached } else { Turn::Fell };
        let told =
            (above != self.above && by_news).then(|| Changes { turn, added: Vec::new(), gone: Vec::new() });
        (Self { at: answer.at, known_until: answer.known_until, above, ..self }, told)
    }

    /// As it is stored: JSON, compressed, in base64.
    pub(super) fn encode(&self) -> Result<String, ActError> {
        let key = |key: &ServiceKey| {
            let addr = addr_from_hi_lo(key.addr.0, key.addr.1);
            (addr, key.port, key.transport.clone(), key.protocol.clone())
        };
        let stored = Stored {
            at_us: self.at.micros(),
            known_until_us: self.known_until.map(TimeUs::micros),
            above: self.above,
            grown: self.grown,
            keys: self.keys.iter().map(key).collect(),
        };
        let failed = |error: std::io::Error| ActError::outside("failed to keep what a search knows", error);
        // JSON is written a word at a time; each write would be a turn of the compressor.
        let mut words = BufWriter::new(DeflateEncoder::new(Vec::new(), Compression::default()));
        serde_json::to_writer(&mut words, &stored).map_err(|error| failed(error.into()))?;
        let packed =
            words.into_inner().map_err(|error| failed(error.into_error()))?.finish().map_err(failed)?;
        Ok(format!("{VERSION}{}", STANDARD_NO_PAD.encode(packed)))
    }

    /// From what is stored.
    pub(super) fn decode(text: &str) -> Result<Self, ActError> {
        let unreadable = || std::io::Error::from(std::io::ErrorKind::InvalidData);
        let failed = |error| ActError::outside("failed to read what a search knows", error);
        let packed = text.strip_prefix(VERSION).and_then(|text| STANDARD_NO_PAD.decode(text).ok());
        let packed = packed.ok_or_else(|| failed(unreadable()))?;
        let reader = DeflateDecoder::new(packed.as_slice()).take(STANDING_MAX);
        let stored: Stored =
            serde_json::from_reader(std::io::BufReader::new(reader)).map_err(|error| failed(error.into()))?;
        let key = |(addr, port, transport, protocol)| {
            let addr: IpAddr = addr;
            ServiceKey { addr: addr_to_hi_lo(addr), port, transport, protocol }
        };
        Ok(Self {
            at: TimeUs::from_micros(stored.at_us),
            known_until: stored.known_until_us.map(TimeUs::from_micros),
            above: stored.above,
            grown: stored.grown,
            keys: stored.keys.into_iter().map(key).collect(),
        })
    }
}

/// [`Standing`] as it is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    at_us: i64,
    known_until_us: Option<i64>,
    above: bool,
    grown: bool,
    keys: Vec<(IpAddr, i32, String, Option<String>)>,
}

fn reaches(services: u64, threshold: i64) -> bool {
    i64::try_from(services).unwrap_or(i64::MAX) >= threshold
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const T0: TimeUs = TimeUs::from_secs(1_790_000_000);

    fn key(n: u8) -> ServiceKey {
        let addr = addr_to_hi_lo(IpAddr::from([192, 0, 2, n]));
        ServiceKey { addr, port: 23, transport: "tcp".into(), protocol: Some("telnet".into()) }
    }

    fn watched(watch: Watch) -> Watched {
        Watched { watch, threshold: 3 }
    }

    /// These services, known at once, asked so many seconds after the beginning.
    fn answer(at: i64, keys: &[u8]) -> Answer {
        Answer {
            at: T0.plus_secs(at),
            known_until: Some(T0.plus_secs(at)),
            services: keys.len() as u64,
            keys: Some(keys.iter().map(|n| (key(*n), T0.plus_secs(at))).collect()),
            then: None,
        }
    }

    fn last_bytes(keys: &[ServiceKey]) -> Vec<u8> {
        keys.iter().map(|key| (key.addr.1 & 0xff) as u8).collect()
    }

    /// What was told: turn, new ones, gone ones.
    type Told = Option<(Turn, Vec<u8>, Vec<u8>)>;

    /// Looks at answers one after another, and gives what each told.
    fn told(watch: Watch, answers: Vec<Answer>) -> Vec<Told> {
        let mut answers = answers.into_iter();
        let mut standing = Standing::base(watched(watch), answers.next().unwrap()).unwrap();
        answers
            .map(|answer| {
                // Through what is stored, as after a restart.
                let held = Standing::decode(&standing.encode().unwrap()).unwrap();
                assert_eq!(held, standing);
                let (next, changes) = held.compare(watched(watch), answer, |_| true);
                standing = next;
                changes.map(|c| (c.turn, last_bytes(&c.added), last_bytes(&c.gone)))
            })
            .collect()
    }

    #[test]
    fn what_is_watched_is_told_once() {
        let looks = || {
            [&[1, 2][..], &[1, 2], &[2, 3], &[3], &[1, 2, 3], &[1, 2, 3]]
                .iter()
                .zip(0..)
                .map(|(keys, at)| answer(at, keys))
                .collect()
        };
        let changed = |added: &[u8], gone: &[u8]| Some((Turn::Changed, added.to_vec(), gone.to_vec()));
        assert_eq!(told(Watch::New, looks()), [None, changed(&[3], &[]), None, None, None]);
        assert_eq!(told(Watch::Gone, looks()), [None, changed(&[], &[1]), changed(&[], &[2]), None, None]);
        assert_eq!(
            told(Watch::Any, looks()),
            [None, changed(&[3], &[1]), changed(&[], &[2]), changed(&[1, 2], &[]), None]
        );
        let turned = |turn| Some((turn, vec![], vec![]));
        assert_eq!(told(Watch::Count, looks()), [None, None, None, turned(Turn::Reached), None]);
    }

    #[test]
    fn a_count_that_falls_below_the_threshold_is_told() {
        let looks =
            vec![answer(0, &[1, 2, 3]), answer(1, &[1, 2]), answer(2, &[1]), answer(3, &[1, 2, 3, 4])];
        let turns: Vec<_> =
            told(Watch::Count, looks).into_iter().map(|told| told.map(|told| told.0)).collect();
        assert_eq!(turns, [Some(Turn::Fell), None, Some(Turn::Reached)]);
    }

    /// `seen:7d` a week later: without news its services leave the answer, and nobody is told.
    #[test]
    fn the_passing_of_time_is_no_change() {
        let then = |keys: &[u8]| {
            Some(Then { services: keys.len() as u64, keys: keys.iter().copied().map(key).collect() })
        };
        let old = |at: i64, keys: &[u8], before: &[u8]| {
            let mut answer = Answer { then: then(before), ..answer(at, keys) };
            answer.known_until = Some(T0);
            answer.keys.iter_mut().flatten().for_each(|(_, known)| *known = T0);
            answer
        };
        // All left because time passed; then one came into the answer for the same reason.
        let looks = || vec![answer(0, &[1, 2, 3]), old(9, &[], &[1, 2, 3]), old(19, &[4], &[])];
        for watch in [Watch::New, Watch::Gone, Watch::Any, Watch::Count] {
            assert_eq!(told(watch, looks()), [None, None], "{watch}");
        }
        // One was asked again and refused, another is new: news, while a third left by time alone.
        let mut news = old(9, &[4], &[2, 4]);
        news.keys = Some(vec![(key(4), T0.plus_secs(8))]);
        let changed = Some((Turn::Changed, vec![4], vec![1, 3]));
        assert_eq!(told(Watch::Any, vec![answer(0, &[1, 2, 3]), news]), [changed]);
        // What was learned since counts although the query would not have found it then.
        let mut learned = old(9, &[1, 5], &[1]);
        learned.keys = Some(vec![(key(1), T0), (key(5), T0.plus_secs(8))]);
        assert_eq!(
            told(Watch::New, vec![answer(0, &[1]), learned]),
            [Some((Turn::Changed, vec![5], vec![]))]
        );
    }

    #[test]
    fn more_than_are_told_apart_is_told_once_and_remembers_what_was_known() {
        let many = |at| Answer { services: 1 << 20, keys: None, ..answer(at, &[]) };
        let looks = vec![answer(0, &[1]), many(1), many(2), answer(3, &[1, 2]), many(4)];
        let grown = Some((Turn::Grown, vec![], vec![]));
        assert_eq!(
            told(Watch::New, looks),
            [grown.clone(), None, Some((Turn::Changed, vec![2], vec![])), grown]
        );
        assert!(Standing::base(watched(Watch::New), many(0)).is_none());
        assert!(Standing::base(watched(Watch::Count), many(0)).is_some());
    }

    #[test]
    fn what_is_out_of_sight_is_not_told_as_gone() {
        let standing = Standing::base(watched(Watch::Gone), answer(0, &[1, 2])).unwrap();
        let (next, changes) = standing.compare(watched(Watch::Gone), answer(1, &[]), |seen| *seen != key(1));
        assert_eq!(changes.map(|changes| changes.gone), Some(vec![key(2)]));
        assert!(next.keys.is_empty());
    }

    #[test]
    fn those_that_left_are_forgotten_when_there_is_no_room() {
        let numbered = |n: u32| ServiceKey { port: i32::try_from(n).unwrap(), ..key(1) };
        let of = |ports: std::ops::Range<u32>| Answer {
            keys: Some(ports.map(|port| (numbered(port), T0)).collect()),
            ..answer(0, &[])
        };
        let standing = Standing::base(watched(Watch::New), of(0..60_000)).unwrap();
        let (standing, _) = standing.compare(watched(Watch::New), of(60_000..100_000), |_| true);
        assert_eq!(standing.keys.len(), KNOWN_MAX);
        let (standing, changes) = standing.compare(watched(Watch::New), of(60_000..100_001), |_| true);
        assert_eq!((standing.keys.len(), changes.unwrap().added.len()), (40_001, 1));
        assert!(standing.encode().unwrap().len() < 10 * 40_001, "{}", standing.encode().unwrap().len());
    }

    #[test]
    fn a_standing_of_version_1_opens() {
        let kept = include_str!("../../../../testdata/searches/standing-v1.txt").trim_end();
        let mut standing = Standing::base(watched(Watch::New), answer(0, &[1, 2])).unwrap();
        standing.keys.insert(ServiceKey {
            addr: addr_to_hi_lo("2001:db8::1".parse().unwrap()),
            port: 161,
            transport: "udp".into(),
            protocol: None,
        });
        assert_eq!(Standing::decode(kept).unwrap(), standing, "{}", standing.encode().unwrap());
    }

    proptest! {
        #[test]
        fn whatever_is_stored_is_read_or_refused(text in "(1:)?[A-Za-z0-9+/]{0,80}") {
            let _ = Standing::decode(&text);
        }
    }
}
