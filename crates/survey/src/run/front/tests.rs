//! The front against a simulated network: time is a number, packets are lost by rule.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use kenshin_mandate::{AddressSet, Narrowing, Revocation, Revoked};
use kenshin_observation::Prefix;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::permutation::PermutationKey;
use crate::run::test_gate::{START, gate};
use crate::space::Port;

/// How packets are lost.
#[derive(Debug, Clone, Copy)]
enum Loss {
    /// Each with this probability.
    Each(f64),
    /// This share of every thousand packets, one after the other.
    Runs(f64),
}

/// A network in which every target that `alive` names answers after 20 ms.
struct Network {
    alive: fn(Endpoint) -> bool,
    loss: Loss,
    random: ChaCha20Rng,
    packets: u64,
    now: TimeUs,
    built: u64,
    answers: BinaryHeap<Reverse<(TimeUs, Endpoint, u16)>>,
    asked: Vec<(TimeUs, Endpoint)>,
    /// Nobody has this address on the link.
    absent: Option<IpAddr>,
    /// The next hop is not known before this instant.
    resolved_at: TimeUs,
}

const US: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

impl Network {
    fn new(alive: fn(Endpoint) -> bool, loss: Loss, seed: u64) -> Self {
        Self {
            alive,
            loss,
            random: ChaCha20Rng::seed_from_u64(seed),
            packets: seed * 37,
            now: START,
            built: 0,
            answers: BinaryHeap::new(),
            asked: Vec::new(),
            absent: None,
            resolved_at: START,
        }
    }

    fn lost(&mut self) -> bool {
        self.packets += 1;
        match self.loss {
            Loss::Each(share) => self.random.random_bool(share),
            Loss::Runs(share) => ((self.packets % 1_000) as f64) < share * 1_000.0,
        }
    }
}

impl Emit for Network {
    fn ask(&mut self, permit: Permit, salt: u32) -> Emitted {
        let target = permit.endpoint();
        if self.now < self.resolved_at {
            return Emitted::Unresolved;
        }
        if self.absent == Some(target.addr) {
            return Emitted::Absent;
        }
        self.built += 1;
        self.asked.push((self.now, target));
        let port = 61_000 + u16::try_from(salt).unwrap();
        if (self.alive)(target) {
            // Each way may lose it.
            if !self.lost() && !self.lost() {
                self.answers.push(Reverse((self.now.plus_micros(20_000), target, port)));
            }
        }
        Emitted::Sent(SocketAddr::new(US.into(), port))
    }

    fn heard(&mut self, _: &Heard) {}

    fn flush(&mut self) -> Flushed {
        Flushed { sent: std::mem::take(&mut self.built), dropped: 0 }
    }
}

fn space(prefix: &str, ports: &[u16], slice: u32) -> Arc<Space> {
    let addresses: AddressSet = prefix.parse::<Prefix>().unwrap().into();
    let ports = ports.iter().copied().map(Port::tcp).collect();
    Arc::new(Space::new(addresses, ports, slice, PermutationKey([3; 16])).unwrap())
}

fn terms(asks_max: u32, sample_ppm: u32) -> FrontTerms {
    FrontTerms {
        asks_max,
        pause_us: 500_000,
        wait_us: 300_000,
        whole_pps: 1e6,
        miss: MissTerms {
            sample_ppm,
            sample_max: 100_000,
            key: PermutationKey([8; 16]),
            ..MissTerms::none()
        },
    }
}

/// Runs the front over a space; returns what became of each slice, and the front.
fn run(space: &Arc<Space>, terms: FrontTerms, network: &mut Network, gate: &mut Gate) -> (Vec<Over>, Front) {
    let mut front = Front::new(Arc::clone(space), terms, START);
    let (mut next, mut over, mut now) = (0, Vec::new(), START);
    for _ in 0..10_000_000 {
        while next < space.slices() && front.slices() < 8 {
            front.take(space.slice(next), 1, now);
            next += 1;
        }
        if next == space.slices() && front.slices() == 0 {
            front.last(now);
        }
        network.now = now;
        let until = match front.step(now, gate, network) {
            Stepped::Until(until) => until,
            Stepped::Refused(refusal) => panic!("{refusal}"),
        };
        while let Some(Reverse((at, target, port))) = network.answers.peek().copied() {
            if at > now {
                break;
            }
            network.answers.pop();
            let vantage = SocketAddr::new(US.into(), port);
            front.heard(Heard { target, reply: Reply::Answered, vantage, at });
        }
        over.extend(front.over(now));
        if next == space.slices() && front.idle() {
            return (over, front);
        }
        let heard = network.answers.peek().map_or(until, |answer| answer.0.0);
        now = until.min(heard).max(now.plus_micros(1)).min(now.plus_micros(100_000));
    }
    panic!("the front never ends");
}

fn everybody(_: Endpoint) -> bool {
    true
}

fn one_in_sixteen(target: Endpoint) -> bool {
    match target.addr {
        IpAddr::V4(v4) => v4.octets()[3].is_multiple_of(16),
        IpAddr::V6(_) => false,
    }
}

#[test]
fn every_target_is_asked_once_and_every_answer_finds_its_slice() {
    let space = space("198.18.0.0/22", &[22, 80, 443], 64);
    let mut network = Network::new(one_in_sixteen, Loss::Each(0.0), 1);
    let (over, front) = run(&space, terms(1, 0), &mut network, &mut gate(1_000_000));
    let asked: BTreeSet<Endpoint> = network.asked.iter().map(|(_, target)| *target).collect();
    assert_eq!((asked.len(), network.asked.len()), (1024 * 3, 1024 * 3));
    let found: usize = over.iter().map(|over| over.known.len()).sum();
    assert_eq!((found, over.len() as u64), (64 * 3, space.slices()));
    for over in &over {
        for number in over.known.keys() {
            assert!(one_in_sixteen(over.slice.target_at(u64::from(*number)).1));
        }
        assert_eq!((over.sent, u64::from(over.asked_to)), (over.slice.targets(), over.slice.targets()));
    }
    assert_eq!(front.counts(), Counts { sent: 3072, asked: 3072, ..Counts::default() });
}

#[test]
fn only_the_silent_are_asked_again() {
    let space = space("198.18.0.0/22", &[23], 128);
    let mut network = Network::new(one_in_sixteen, Loss::Each(0.0), 1);
    let (over, _) = run(&space, terms(3, 0), &mut network, &mut gate(1_000_000));
    assert_eq!(network.asked.len(), 64 + (1024 - 64) * 3);
    assert_eq!(over.iter().map(|over| over.known.len()).sum::<usize>(), 64);
}

#[test]
fn the_rate_of_the_mandate_is_kept_and_used() {
    let space = space("198.18.0.0/22", &[23], 128);
    let mut network = Network::new(everybody, Loss::Each(0.0), 1);
    run(&space, terms(1, 0), &mut network, &mut gate(500));
    let asked: Vec<TimeUs> = network.asked.iter().map(|(at, _)| *at).collect();
    let most = asked
        .iter()
        .map(|from| asked.iter().filter(|at| (0..1_000_000).contains(&at.micros_since(*from))).count());
    // A burst of 50 beside the rate of 500.
    assert!(most.max().unwrap() <= 551);
    let lasted = asked.last().unwrap().micros_since(asked[0]);
    assert!((1_900_000..2_100_000).contains(&lasted), "{lasted}");
}

#[test]
fn a_revoked_mandate_ends_asking_and_what_is_known_remains() {
    let space = space("198.18.0.0/24", &[23], 256);
    let mut gate = gate(1_000_000);
    let mut front = Front::new(Arc::clone(&space), terms(1, 0), START);
    let mut network = Network::new(everybody, Loss::Each(0.0), 1);
    front.take(space.slice(0), 1, START);
    assert!(matches!(front.step(START, &mut gate, &mut network), Stepped::Until(_)));
    let asked = network.asked.len();
    assert_eq!(asked, BURST as usize);
    let mut narrowing = Narrowing::none();
    narrowing.revoke(Revocation {
        what: Revoked::Digest(gate.mandate().digest().to_owned()),
        reason: "a test".into(),
    });
    gate.narrow(&narrowing);
    assert!(matches!(front.step(START, &mut gate, &mut network), Stepped::Refused(Refusal::Revoked { .. })));
    assert_eq!(network.asked.len(), asked);
    let vantage = SocketAddr::new(US.into(), 61_000);
    front.heard(Heard { target: network.asked[0].1, reply: Reply::Answered, vantage, at: START });
    let over = front.cut_off(START, "revoked");
    // One target had its turn when the mandate fell; it is known as limited.
    assert_eq!((over.len(), over[0].asked_to, over[0].known.len()), (1, BURST + 1, 2));
    assert_eq!(over[0].known.values().filter(|known| known.end == End::Limited("revoked")).count(), 1);
}

#[test]
fn nobody_at_an_address_of_the_own_network_is_silence() {
    let space = space("198.18.0.0/30", &[23], 4);
    let mut network = Network::new(everybody, Loss::Each(0.0), 1);
    network.absent = Some("198.18.0.2".parse().unwrap());
    network.resolved_at = START.plus_micros(700_000);
    let (over, front) = run(&space, terms(1, 0), &mut network, &mut gate(1_000_000));
    assert_eq!((over[0].known.len(), over[0].sent, front.counts().asked), (3, 3, 4));
}

#[test]
fn late_and_repeated_answers_are_counted_and_change_nothing() {
    let space = space("198.18.0.0/28", &[23], 8);
    let mut network = Network::new(everybody, Loss::Each(0.0), 1);
    let (_, mut front) = run(&space, terms(1, 0), &mut network, &mut gate(1_000_000));
    let (target, vantage) = (network.asked[0].1, SocketAddr::new(US.into(), 61_000));
    assert!(!front.heard(Heard { target, reply: Reply::Answered, vantage, at: START }));
    assert_eq!(front.counts().late, 1);
    front.take(space.slice(0), 2, START);
    let again = space.slice(0).target_at(0).1;
    let heard = |reply| Heard { target: again, reply, vantage, at: START };
    assert!(front.heard(heard(Reply::Filtered("host-unreachable"))));
    assert!(front.heard(heard(Reply::Answered)), "somebody listens after all");
    assert!(!front.heard(heard(Reply::Answered)));
    assert!(!front.heard(heard(Reply::Refused)));
    assert_eq!(front.counts().repeated, 2);
}

/// The stated interval holds the truth in at least 90 of 100 runs, whatever the loss and however
/// often a silent target is asked.
#[test]
fn the_interval_holds_the_truth() {
    let space = space("198.18.0.0/21", &[23], 512);
    for (asks, loss) in [
        (1, Loss::Each(0.0)),
        (1, Loss::Each(0.02)),
        (1, Loss::Each(0.1)),
        (2, Loss::Each(0.1)),
        (1, Loss::Runs(0.02)),
        (1, Loss::Runs(0.1)),
    ] {
        let mut held = 0;
        for seed in 0..100 {
            let mut terms = terms(asks, 500_000);
            terms.miss.key = PermutationKey([seed; 16]);
            let mut network = Network::new(everybody, loss, seed.into());
            let (over, front) = run(&space, terms, &mut network, &mut gate(1_000_000));
            let found: u64 = over.iter().map(|over| over.known.len() as u64).sum();
            let truth = 1.0 - found as f64 / space.targets() as f64;
            let estimate = front.estimate(found);
            assert!(estimate.asked > 500, "{estimate:?}");
            held += u32::from(estimate.low <= truth && truth <= estimate.high);
        }
        assert!(held >= 90, "{asks} asks, {loss:?}: {held} of 100");
    }
}
