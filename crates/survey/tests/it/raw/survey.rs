//! Whole surveys over raw packets: every target has its outcome, and everything that leaves is
//! counted from outside.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpListener;
use std::time::Instant;

use kenshin_mandate::{AddressRate, PrefixRate, Rate};
use kenshin_observation::{Check, Endpoint, Outcome};
use kenshin_survey::plan::Silence;
use kenshin_survey::raw::sweep::{self, Sockets};
use kenshin_survey::run::front::miss::MissTerms;
use kenshin_survey::run::{Ending, RunSummary};

use super::*;
use crate::world::{Terms, World, revoking, rows};

/// Counts SYNs that come in, those of the sweep apart, and drops what goes to the upper half of
/// 198.18.7.0/24.
const RULES: &str = "table inet count {
    counter syns { }
    counter outside { }
    counter swept { }
    chain in {
        type filter hook prerouting priority -300
        tcp flags & (syn | ack | rst | fin) == syn counter name syns
        tcp flags & (syn | ack | rst | fin) == syn ip daddr != 198.18.0.0/16 counter name outside
        tcp flags & (syn | ack | rst | fin) == syn tcp sport >= 61000 counter name swept
        ip daddr 198.18.7.128/25 drop
    }
}";

pub(super) fn terms(prefix: &str, ports: &[u16], pps: u32, silence: Silence) -> Terms {
    let mut terms = Terms::new(prefix, ports);
    terms.source = addr(US_V4);
    terms.silence = silence;
    terms.rate = Rate {
        whole_pps: pps,
        whole_burst: pps.div_ceil(20),
        per_prefix: PrefixRate { v4_len: 24, v6_len: 48, pps: 1_000_000, burst: 100_000 },
        per_address: AddressRate { per_minute: 60_000_000, burst: 10_000 },
    };
    terms.manner.slice_addresses = 64;
    terms.manner.limits.connect_ms = 300;
    terms
}

/// Says something to whoever comes to port 80 of any address, until it is dropped.
pub(super) fn greet(pair: &Pair) {
    pair.inside("b", || {
        nft(RULES);
        let listener = TcpListener::bind("198.18.7.1:80").map(drop);
        listener.expect("the prefix is local");
        let listener = TcpListener::bind("0.0.0.0:80").unwrap();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten().take(10_000) {
                let _ = stream.write_all(b"220 a test of FTP ready\r\n");
            }
        });
    });
}

/// Runs a survey in namespace `a`.
pub(super) fn survey(
    pair: &Pair,
    world: &World,
    engine: Engine,
    change: impl Fn(&mut kenshin_survey::run::Run) + Sync,
) -> RunSummary {
    pair.inside("a", || {
        let sockets = Sockets::open(Settings { engine, ..Settings::new(vec![addr(US_V4)]) }).unwrap();
        assert!(sockets.notes()[0].contains("va: sends with"), "{:?}", sockets.notes());
        let mut run = world.run();
        run.settings.miss = MissTerms { sample_ppm: 500_000, sample_max: 1_000, ..MissTerms::none() };
        change(&mut run);
        // Its threads are in the namespace of the one that starts them.
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(sweep::run(run, &sockets)).unwrap()
    })
}

#[test]
fn every_target_of_a_raw_sweep_has_its_outcome() {
    let Some(pair) = Pair::new("every_target_of_a_raw_sweep_has_its_outcome") else { return };
    greet(&pair);
    for (engine, silence) in [(Engine::AfPacket, Silence::Rows), (Engine::AfXdp, Silence::Coverage)] {
        let mut terms = terms("198.18.7.0/24", &[80, 81], 20_000, silence);
        terms.survey = 10 + silence as u128;
        let world = World::new(&terms);
        let before = pair.inside("b", || counter("syns"));
        let summary = survey(&pair, &world, engine, |_| {});
        assert_eq!(summary.ending, Ending::Finished);
        let (batches, mut outcomes) = (world.batches(), BTreeMap::<(Outcome, Check), u32>::new());
        if silence == Silence::Rows {
            rows(&world.plan, &batches);
        }
        let mut seen = std::collections::BTreeSet::new();
        for row in batches.iter().flat_map(|batch| &batch.observations) {
            assert!(seen.insert((row.subject, row.check)), "two rows for {:?}", row.subject);
            *outcomes.entry((row.outcome, row.check)).or_default() += 1;
            if row.check == Check::Handshake {
                assert_eq!(row.protocol.as_deref(), Some("ftp"));
            }
        }
        let mut expected = BTreeMap::from([
            ((Outcome::Answered, Check::Sweep), 128),
            ((Outcome::Answered, Check::Handshake), 128),
            ((Outcome::Refused, Check::Sweep), 128),
        ]);
        if silence == Silence::Rows {
            expected.insert((Outcome::Dark, Check::Sweep), 256);
        }
        assert_eq!(outcomes, expected);
        let covered: i64 =
            batches.iter().flat_map(|batch| &batch.coverage).map(|c| c.index_to - c.index_from).sum();
        assert_eq!(covered, 512);
        let progress = summary.progress;
        assert_eq!((progress.answered, progress.refused, progress.silent), (128, 128, 256));
        assert_eq!((progress.targets_done, progress.targets_total, progress.dropped), (512, 512, 0));
        let miss = progress.miss.unwrap();
        assert!(miss.asked > 30 && miss.missed == 0 && miss.low == 0.0, "{miss:?}");
        let (syns, outside) = pair.inside("b", || (counter("syns") - before, counter("outside")));
        assert_eq!((syns, outside), (progress.sent, 0), "every exchange that left was counted, and no other");
    }
}

/// A sweep that connects over a way that loses a tenth: what is asked again loses as much.
#[test]
fn a_connecting_sweep_estimates_what_the_network_loses() {
    let Some(pair) = Pair::new("a_connecting_sweep_estimates_what_the_network_loses") else { return };
    greet(&pair);
    pair.inside("b", || {
        nft("table inet trouble {
            chain in {
                type filter hook prerouting priority -200
                tcp flags & (syn | ack | rst | fin) == syn numgen random mod 100 < 10 drop
            }
        }");
    });
    let mut terms = terms("198.18.16.0/22", &[80], 20_000, Silence::Rows);
    terms.checks = vec![Check::Sweep];
    let world = World::new(&terms);
    let summary = pair.inside("a", || {
        let mut run = world.run();
        run.settings.miss = MissTerms { sample_ppm: 1_000_000, sample_max: 10_000, ..MissTerms::none() };
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(kenshin_survey::run::run(run)).unwrap()
    });
    assert_eq!(summary.ending, Ending::Finished);
    let (answered, miss) = (summary.progress.answered, summary.progress.miss.unwrap());
    let truth = 1.0 - answered as f64 / 1024.0;
    assert_eq!(miss.asked, answered);
    // Twice the interval: one run in fifteen thousand is outside of it.
    assert!((miss.rate - truth).abs() < miss.high - miss.low, "{truth} is not {miss:?}");
    assert!(truth > 0.05 && miss.high < 0.2, "{truth} {miss:?}");
    assert_eq!(pair.inside("b", || counter("syns")), summary.progress.sent, "no SYN but those permitted");
}

/// Invariant 1 at speed: the kernel of the other side counts, the mandate is revoked in the middle.
#[test]
fn a_raw_sweep_ends_within_a_second_of_its_mandate() {
    let Some(pair) = Pair::new("a_raw_sweep_ends_within_a_second_of_its_mandate") else { return };
    greet(&pair);
    let world = World::new(&terms("198.18.0.0/16", &[81, 82, 83, 84], 50_000, Silence::Coverage));
    let digest = world.mandate.digest().to_owned();
    let began = Instant::now();
    let revoke_at = Duration::from_millis(1_500);
    let looks = std::sync::Mutex::new(Vec::new());
    let done = std::sync::atomic::AtomicBool::new(false);
    let summary = std::thread::scope(|scope| {
        scope.spawn(|| {
            pair.inside("b", || {
                while !done.load(Ordering::Relaxed) {
                    let (before, syns) = (began.elapsed(), counter("syns"));
                    looks.lock().unwrap().push((before, began.elapsed(), syns));
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
        });
        let summary = survey(&pair, &world, Engine::AfPacket, |run| {
            let revoke = revoking(digest.clone());
            run.settings.refresh = Some(std::sync::Arc::new(move |gate, at| {
                if began.elapsed() >= revoke_at {
                    revoke(gate, at);
                }
            }));
        });
        std::thread::sleep(Duration::from_millis(300));
        done.store(true, Ordering::Relaxed);
        summary
    });
    assert_eq!(summary.ending, Ending::Ended { code: "revoked".to_owned() });
    let looks = looks.into_inner().unwrap();
    let last = looks.last().unwrap().2;
    assert!(last > 1_000, "it had begun: {last}");
    let late = revoke_at + Duration::from_secs(1);
    let at_deadline = looks.iter().find(|(before, _, _)| *before >= late).map_or(last, |look| look.2);
    assert_eq!(at_deadline, last, "something left later than a second after revocation");
    // Never faster than the rate and its burst, in any second between two looks.
    for (n, (_, from, before)) in looks.iter().enumerate() {
        for (to, _, after) in looks[n..].iter().filter(|(to, _, _)| *to > *from) {
            let span = (*to - *from).as_secs_f64() + 0.1;
            assert!(((after - before) as f64) < 50_000.0 * span * 1.05 + 2_500.0, "{before} {after} {span}");
        }
    }
    // What was never asked is said to be so, and covered by nothing.
    let batches = world.batches();
    let covered: i64 = batches.iter().flat_map(|b| &b.coverage).map(|c| c.index_to - c.index_from).sum();
    assert!(u64::try_from(covered).unwrap() >= last - 16 && covered < 65_536 * 4, "{covered} of {last}");
    assert!(
        batches.iter().flat_map(|b| &b.observations).all(|row| row.subject != Endpoint::tcp(addr(US_V4), 1))
    );
}
