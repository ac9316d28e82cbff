//! The front against a simulated network: time is a number, packets are lost by rule.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::net::{IpAddr, Ipv4Addr};

use kenshin_mandate::{
    AddressRate, AddressSet, Narrowing, PrefixRate, ProviderRate, Rate, Revocation, Revoked,
};
use kenshin_observation::Prefix;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::permutation::PermutationKey;
use crate::run::test_gate::{START, gate, gate_at};
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
    /// It lets so many more packets of ours in, then none.
    tires: Option<(Prefix, u32)>,
    /// From this instant on an answer takes ten times as long.
    slow_from: TimeUs,
    /// A router says of each of its addresses that it may not be reached.
    closed: Option<Prefix>,
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
            tires: None,
            slow_from: TimeUs::from_micros(i64::MAX),
            closed: None,
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
        let port = 61_000 + u16::try_from(salt % 1_000).unwrap();
        let lets_in = match &mut self.tires {
            Some((network, left)) if network.contains(target.addr) => {
                *left = left.saturating_sub(1);
                *left > 0
            }
            _ => true,
        };
        if lets_in && (self.alive)(target) {
            // Each way may lose it.
            if !self.lost() && !self.lost() {
                let took_us = if self.now < self.slow_from { 20_000 } else { 200_000 };
                self.answers.push(Reverse((self.now.plus_micros(took_us), target, port)));
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
        breaker: BreakerTerms { after: 0, v4_len: 24, v6_len: 48, wait_us: 300_000 },
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
            let closed = network.closed.is_some_and(|network| network.contains(target.addr));
            let reply = if closed { Reply::Filtered("prohibited") } else { Reply::Answered };
            front.heard(Heard { target, reply, vantage, at });
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

/// A provider is asked no faster than its limit says and no slower, and nobody waits for it.
#[test]
fn the_rate_of_a_provider_is_kept_and_used() {
    let space = space("198.18.0.0/21", &[23, 80], 256);
    let slow: Prefix = "198.18.4.0/22".parse().unwrap();
    let mut gate = gate(1_000_000);
    let mut narrowing = Narrowing::none();
    let rate = ProviderRate { name: "a provider".into(), addresses: slow.into(), pps: 500, burst: 20 };
    narrowing.slow_down(rate);
    gate.narrow(&narrowing);
    let mut network = Network::new(everybody, Loss::Each(0.0), 1);
    run(&space, terms(1, 0), &mut network, &mut gate);
    let asked = |slowly: bool| -> Vec<TimeUs> {
        let asked = network.asked.iter().filter(|(_, target)| slow.contains(target.addr) == slowly);
        asked.map(|(at, _)| *at).collect()
    };
    let (slowly, quickly) = (asked(true), asked(false));
    assert_eq!((slowly.len(), quickly.len()), (2048, 2048));
    for (n, from) in slowly.iter().enumerate() {
        let within = slowly[n..].iter().take_while(|at| at.micros_since(*from) < 1_000_000).count();
        assert!(within <= 520, "{within} in a second");
    }
    let lasted = slowly[2047].micros_since(START);
    assert!((4_000_000..4_500_000).contains(&lasted), "{lasted}");
    // Eight slices are in flight: those of others in them are asked at once.
    assert!(quickly[1023].micros_since(START) < 1_000_000);
}

/// A burst is a pause for others to be heard in, not a nap: nothing but the mandate's rate limits a
/// sweep of silent targets.
#[test]
fn who_has_more_to_ask_comes_again_at_once() {
    let space = space("198.18.0.0/22", &[23], 1024);
    let (mut gate, mut network) = (gate(1_000_000), Network::new(|_| false, Loss::Each(0.0), 1));
    let mut front = Front::new(Arc::clone(&space), terms(1, 0), START);
    front.take(space.slice(0), 1, START);
    for burst in 1..=1024 / BURST {
        assert_eq!(front.step(START, &mut gate, &mut network), Stepped::Until(START));
        assert_eq!(network.asked.len(), (burst * BURST) as usize);
    }
    // Everybody was asked, and answers take 300 ms.
    assert_eq!(front.step(START, &mut gate, &mut network), Stepped::Until(START.plus_micros(300_000)));
}

/// Of two thousand targets that wait for the rate of their prefix, nobody is asked too early, and the
/// rate is used as if there were no others; an address that has to wait keeps none of its neighbours.
#[test]
fn who_waits_for_a_prefix_goes_at_its_rate() {
    let space = space("198.18.0.0/23", &[21, 22, 23, 80], 64);
    let mut network = Network::new(everybody, Loss::Each(0.0), 1);
    let mut gate = gate_at(Rate {
        whole_pps: 1_000_000,
        whole_burst: 1_000,
        per_prefix: PrefixRate { v4_len: 24, v6_len: 48, pps: 100, burst: 10 },
        per_address: AddressRate { per_minute: 60, burst: 2 },
    });
    run(&space, terms(1, 0), &mut network, &mut gate);
    let asked: BTreeSet<Endpoint> = network.asked.iter().map(|(_, target)| *target).collect();
    assert_eq!((asked.len(), network.asked.len()), (2048, 2048));
    for third in [0, 1] {
        let of = |addr| matches!(addr, IpAddr::V4(v4) if v4.octets()[2] == third);
        let asked: Vec<TimeUs> = network.asked.iter().filter(|a| of(a.1.addr)).map(|a| a.0).collect();
        let within = |from: &TimeUs| {
            asked.iter().filter(|at| (0..1_000_000).contains(&at.micros_since(*from))).count()
        };
        assert!(asked.iter().map(within).max().unwrap() <= 111);
        // 1,024 targets at 100 a second after a burst of 10.
        let lasted = asked.last().unwrap().micros_since(asked[0]);
        assert!((10_100_000..10_700_000).contains(&lasted), "{lasted}");
    }
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

/// A network that shuts us out in the middle is asked a few times more, and left alone; it has its
/// outcome all the same, and others are asked to the end.
#[test]
fn a_network_that_shuts_us_out_is_left_alone() {
    let space = space("198.18.0.0/22", &[22, 23, 80, 443, 990], 256);
    let shut: Prefix = "198.18.2.0/24".parse().unwrap();
    let mut terms = terms(1, 0);
    terms.breaker.after = 8;
    for (tires, left_alone) in [(None, false), (Some((shut, 400)), true)] {
        let mut network = Network::new(everybody, Loss::Each(0.0), 1);
        network.tires = tires;
        let (over, front) = run(&space, terms.clone(), &mut network, &mut gate(3_000));
        let ends = over.iter().flat_map(|over| &over.known).map(|(_, swept)| swept.end);
        let broken = ends.filter(|end| *end == End::Limited("breaker")).count();
        let asked = |within: bool| {
            network.asked.iter().filter(|(_, target)| shut.contains(target.addr) == within).count()
        };
        assert_eq!(broken > 0, left_alone);
        // The other networks: each target once, and few again because of a doubt.
        assert!((3 * 1280..3 * 1280 + 60).contains(&asked(false)), "{}", asked(false));
        let most = if left_alone { 400 + 256 + 64 } else { 1280 + 20 };
        assert!(asked(true) <= most, "{} asked, {broken} left alone", asked(true));
        assert!(asked(true) + broken >= 1280, "{} asked, {broken} left alone", asked(true));
        assert_eq!(over.iter().any(|over| !over.left_alone.is_empty()), left_alone);
        assert_eq!((front.counts().late, front.counts().repeated), (0, 0));
    }
}

/// Canaries that answer much later than before halve the pace, again and again while they do.
#[test]
fn answers_that_come_much_later_slow_it_down() {
    let space = space("198.18.0.0/20", &[23], 256);
    let mut terms = terms(1, 0);
    (terms.whole_pps, terms.miss.canary_every_ms) = (1_000.0, 100);
    terms.miss.canaries = (1..=5).map(|n| Endpoint::tcp([198, 18, 100, n].into(), 23)).collect();
    let mut network = Network::new(everybody, Loss::Each(0.0), 1);
    network.slow_from = START.plus_secs(2);
    let (over, _) = run(&space, terms.clone(), &mut network, &mut gate(1_000));
    assert_eq!(over.iter().map(|over| over.known.len()).sum::<usize>(), 4096);
    let asked = |from: i64| {
        let within = START.plus_micros(from * 1_000)..START.plus_micros((from + 500) * 1_000);
        let swept =
            |(at, target): &&(TimeUs, Endpoint)| within.contains(at) && !terms.miss.canaries.contains(target);
        network.asked.iter().filter(swept).count()
    };
    assert!((400..600).contains(&asked(1_000)), "{}", asked(1_000));
    assert!(asked(5_000) < 130, "{}", asked(5_000));
}

/// A quarter of the addresses is closed, and a router says so each time. It does not hold up the others
/// while hosts that are up answer; when nobody is known to be up, or they are behind that router too, it does.
#[test]
fn errors_of_one_network_do_not_hold_up_the_others() {
    let space = space("198.18.0.0/20", &[23, 80], 256);
    let canaries = |third: u8| (1..=5).map(|n| Endpoint::tcp([198, 18, third, n].into(), 443)).collect();
    let took = |canaries: Vec<Endpoint>| {
        let mut terms = terms(1, 0);
        (terms.whole_pps, terms.miss.canary_every_ms) = (1_000.0, 100);
        terms.miss.canaries = canaries;
        let mut network = Network::new(everybody, Loss::Each(0.0), 1);
        network.closed = Some("198.18.4.0/22".parse().unwrap());
        let (over, _) = run(&space, terms, &mut network, &mut gate(1_000));
        assert_eq!(over.iter().map(|over| over.known.len()).sum::<usize>(), 8192);
        over.iter().map(|over| over.ended_at).max().unwrap().micros_since(START) / 1_000_000
    };
    let (open, unknown, closed) = (took(canaries(1)), took(Vec::new()), took(canaries(5)));
    assert!(open < 12 && unknown > 20 && closed > 20, "{open} s, {unknown} s, {closed} s");
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
