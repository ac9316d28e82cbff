//! Networks that suffer from a raw sweep, or shut it out: it slows down, and leaves them alone. What
//! arrives is counted by the kernel of the other side.

use std::collections::BTreeSet;
use std::time::Instant;

use kenshin_observation::{Check, Endpoint, Outcome};
use kenshin_survey::plan::Silence;
use kenshin_survey::progress::Progress;
use kenshin_survey::run::front::miss::MissTerms;
use kenshin_survey::run::{Ending, RunSummary};
use tokio::sync::watch;

use super::survey::{greet, survey, terms};
use super::*;
use crate::world::{Terms, World, rows};

/// Waits until the progress of a survey is as it should be.
fn until(progress: &watch::Receiver<Progress>, what: &str, holds: impl Fn(&Progress) -> bool) {
    let began = Instant::now();
    while !holds(&progress.borrow()) {
        assert!(began.elapsed() < Duration::from_secs(30), "waited for {what}: {:?}", *progress.borrow());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Sweeps while the network gets into trouble and out of it again.
fn slows_down(
    pair: &Pair,
    terms: &Terms,
    canaries: Vec<Endpoint>,
    (why, trouble, relief): (&str, &str, &str),
) -> RunSummary {
    let world = World::new(terms);
    let (report, progress) = watch::channel(Progress::default());
    let (stop, stopped) = watch::channel(false);
    let pps = f64::from(terms.rate.whole_pps);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| {
            survey(pair, &world, Engine::AfPacket, |run| {
                (run.progress, run.stop) = (report.clone(), stopped.clone());
                let key = run.settings.miss.key;
                run.settings.miss =
                    MissTerms { canaries: canaries.clone(), canary_every_ms: 100, key, ..MissTerms::none() };
            })
        });
        let slowed = |progress: &Progress| progress.slowed.clone().map_or(1.0, |slowed| slowed.factor);
        if !canaries.is_empty() {
            // What is ordinary has to be known first.
            until(&progress, "trials", |p| p.miss.is_some_and(|miss| miss.canary_asked > 60));
        }
        assert_eq!(slowed(&progress.borrow()), 1.0, "{:?}", *progress.borrow());
        pair.inside("b", || nft(trouble));
        until(&progress, why, |progress| {
            progress.slowed.as_ref().is_some_and(|slowed| slowed.why == why && slowed.factor <= 0.25)
        });
        // A quarter of the rate at most, counted from outside: the pace may be halved again.
        let (before, began) = (pair.inside("b", || counter("swept")), Instant::now());
        std::thread::sleep(Duration::from_millis(500));
        let came = pair.inside("b", || counter("swept")) - before;
        let most = pps * began.elapsed().as_secs_f64() * 0.25 * 1.2 + 70.0;
        assert!((came as f64) < most, "{came} in {:?}", began.elapsed());
        pair.inside("b", || nft(relief));
        // What is on its way tells of trouble a little longer.
        let worst = std::cell::Cell::new(1.0);
        until(&progress, "relief", |progress| {
            worst.set(slowed(progress).min(worst.get()));
            slowed(progress) > worst.get()
        });
        stop.send(true).unwrap();
        running.join().unwrap()
    })
}

fn slow(pps: u32) -> Terms {
    let mut terms = terms("198.18.16.0/20", &[81, 82, 83, 84, 85, 86], pps, Silence::Coverage);
    terms.rate.whole_burst = pps / 50;
    terms
}

#[test]
fn a_storm_of_icmp_errors_slows_it_down() {
    let Some(pair) = Pair::new("a_storm_of_icmp_errors_slows_it_down") else { return };
    greet(&pair);
    pair.inside("b", || {
        for (file, value) in
            [("icmp_ratemask", "0"), ("icmp_msgs_per_sec", "100000"), ("icmp_msgs_burst", "100000")]
        {
            std::fs::write(format!("/proc/sys/net/ipv4/{file}"), value).unwrap();
        }
        nft("table inet trouble {\n chain in {\n type filter hook input priority 0\n }\n }");
    });
    let trouble = "add rule inet trouble in tcp sport >= 61000 reject with icmp host-prohibited";
    let summary =
        slows_down(&pair, &slow(2_000), vec![], ("unreachable", trouble, "flush chain inet trouble in"));
    assert_eq!(summary.ending, Ending::Stopped, "it had not come to its end before");
}

#[test]
fn loss_at_canaries_slows_it_down() {
    let Some(pair) = Pair::new("loss_at_canaries_slows_it_down") else { return };
    greet(&pair);
    pair.inside("b", || {
        nft("table inet trouble {\n chain in {\n type filter hook prerouting priority -200\n }\n }")
    });
    let trouble = "add rule inet trouble in tcp sport >= 61000 numgen random mod 100 < 60 drop";
    let canaries = (1..=20).map(|n| Endpoint::tcp(addr(&format!("198.18.16.{n}")), 80)).collect();
    let mut terms = slow(1_000);
    terms.ports.push(80);
    // Loss this heavy looks like a network that shuts us out.
    terms.manner.retry.breaker_after = 0;
    let summary = slows_down(&pair, &terms, canaries, ("loss", trouble, "flush chain inet trouble in"));
    assert_eq!(summary.ending, Ending::Stopped, "it had not come to its end before");
    let miss = summary.progress.miss.unwrap();
    assert!(miss.canary_missed > 5 && miss.canary_missed < miss.canary_asked, "{miss:?}");
}

/// After three hundred packets a network takes no more of ours: the rest of it is left alone and said to
/// be, its neighbour is asked to the end, and nobody talks to those who stopped answering.
#[test]
fn a_network_that_shuts_it_out_is_left_alone() {
    let Some(pair) = Pair::new("a_network_that_shuts_it_out_is_left_alone") else { return };
    greet(&pair);
    pair.inside("b", || {
        nft("table inet trouble {
            counter shut { }
            counter calls { }
            chain in {
                type filter hook prerouting priority -200;
                ip daddr 198.18.9.0/24 tcp sport < 61000 tcp flags & (syn | ack) == syn counter name calls
                ip daddr 198.18.9.0/24 tcp sport >= 61000 tcp flags & (syn | rst) == syn quota over 13200 bytes counter name shut drop
            }
        }");
    });
    let mut terms = terms("198.18.8.0/23", &[80, 81, 82, 83, 84, 85, 86, 87], 2_000, Silence::Rows);
    terms.rate.whole_burst = 20;
    // Everybody of both networks is in flight when it happens.
    (terms.manner.slice_addresses, terms.manner.slices_max) = (128, 4);
    let world = World::new(&terms);
    let summary = survey(&pair, &world, Engine::AfPacket, |run| run.settings.miss = MissTerms::none());
    assert_eq!(summary.ending, Ending::Finished);
    let rows = rows(&world.plan, &world.batches());
    let network: kenshin_observation::Prefix = "198.18.9.0/24".parse().unwrap();
    let left_alone = |check| {
        let rows = rows.values().filter(move |row| row.check == check);
        rows.filter(|row| row.outcome == Outcome::Limited && row.reason.as_deref() == Some("breaker"))
    };
    assert!(left_alone(Check::Sweep).all(|row| network.contains(row.subject.addr)));
    let swept = left_alone(Check::Sweep).count();
    let shut = pair.inside("b", || counter_of("trouble", "shut")) as usize;
    // Sixty-four in vain and those that were on their way, then four questions whether it lives.
    assert!(swept > 1_000 && shut < 2048 - 300 - swept + 8, "{swept} left alone, {shut} in vain");
    let neighbours =
        rows.values().filter(|row| row.check == Check::Sweep && !network.contains(row.subject.addr));
    assert!(neighbours.clone().all(|row| matches!(row.outcome, Outcome::Answered | Outcome::Refused)));
    assert_eq!(neighbours.count(), 2048);
    // Whoever had answered there is not called any more.
    let answered: BTreeSet<_> = rows
        .values()
        .filter(|row| row.outcome == Outcome::Answered && network.contains(row.subject.addr))
        .map(|row| row.subject)
        .collect();
    let spared: BTreeSet<_> = left_alone(Check::Handshake).map(|row| row.subject).collect();
    assert!(!answered.is_empty());
    assert_eq!(spared, answered);
    assert_eq!(pair.inside("b", || counter_of("trouble", "calls")), 0);
}
