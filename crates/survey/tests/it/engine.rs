//! The engine against hosts on loopback.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kenshin_mandate::Narrowing;
use kenshin_observation::{Check, Endpoint, Outcome};
use kenshin_survey::journal::{Entry, Journal};
use kenshin_survey::plan::{DictionaryRef, FileRef};
use kenshin_survey::run::front::miss::MissTerms;
use kenshin_survey::run::{Ending, RunError, resume, run, stored_plan};
use kenshin_survey::space::Shard;
use tokio::sync::watch;

use crate::world::*;

const SSH: Manners = Manners::Banner("SSH-2.0-dropbear_2019.78\r\n");
const FTP: Manners = Manners::Banner("220 ProFTPD Server ready.\r\n");

/// A small town: every host has SSH, every third FTP, host 5 is silent on its third port.
fn town(base: std::net::Ipv4Addr, hosts: u32, ports: [u16; 3]) -> Town {
    let mut town = Town::default();
    for host in 1..=hosts {
        town.listen(addr(base, host), ports[0], SSH);
        if host % 3 == 0 {
            town.listen(addr(base, host), ports[1], FTP);
        }
    }
    town
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_that_accept_everywhere_are_labelled() {
    let (base, prefix) = network();
    let ports: Vec<u16> = (7101..=7116).collect();
    let mut town = Town::default();
    for &port in &ports {
        town.listen(addr(base, 1), port, Manners::Hold);
        town.listen(addr(base, 2), port, SSH);
    }
    for &port in &ports[..12] {
        town.listen(addr(base, 3), port, Manners::Hold);
    }
    for &port in &ports[..9] {
        town.listen(addr(base, 4), port, Manners::Hold);
    }
    let world = World::new(&Terms::new(&prefix, &ports));
    world.finish().await;
    let rows = rows(&world.plan, &world.batches());
    for (host, open, labels) in [
        (1, 16, &["every-port-open", "middlebox"][..]),
        (2, 16, &["every-port-open"]),
        (3, 12, &["middlebox"]),
        (4, 9, &[]),
    ] {
        for (at, &port) in ports.iter().enumerate() {
            for check in [Check::Sweep, Check::Handshake] {
                let row = rows.get(&(Endpoint::tcp(addr(base, host), port), check));
                let found = row.map_or(&[][..], |row| row.labels.as_slice());
                let expected = if at < open { labels } else { &[] };
                assert_eq!(found, expected, "host {host}, port {port}, {check}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn controllers_are_surveyed_when_the_mandate_grants_it() {
    const QUESTION: [u8; 11] = kenshin_wire::modbus::read_identification(0);
    let (base, prefix) = network();
    let mut town = Town::default();
    let answer = b"KE\0\0\0\x0d\0\x2b\x0e\x01\x01\0\0\x01\0\x03Acm";
    town.listen(addr(base, 1), 4502, Manners::Answers(&QUESTION, answer));
    for (checks, expected) in [
        (vec![Check::Sweep, Check::Banner, Check::Handshake, Check::IcsIdentity], Some("Acm")),
        (vec![Check::Sweep, Check::Banner, Check::Handshake], None),
    ] {
        let world = World::new(&Terms { checks, ..Terms::new(&prefix, &[4502]) });
        world.finish().await;
        let rows = rows(&world.plan, &world.batches());
        let row = rows.get(&(Endpoint::tcp(addr(base, 1), 4502), Check::IcsIdentity));
        let vendor =
            row.and_then(|row| row.records.modbus.as_ref()).and_then(|modbus| modbus.vendor.as_deref());
        assert_eq!(vendor, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_final_row_for_every_target_and_check() {
    let (base, prefix) = network();
    let mut town = town(base, 20, [2201, 2101, 8001]);
    town.listen(addr(base, 5), 8001, Manners::Silent);
    town.listen(addr(base, 200), 2201, Manners::Silent);
    town.listen(addr(base, 200), 2101, Manners::Silent);
    town.listen(addr(base, 200), 8001, Manners::Silent);
    let world = World::new(&Terms::new(&prefix, &[2201, 2101, 8001]));
    let summary = world.finish().await;

    let rows = rows(&world.plan, &world.batches());
    let outcome = |host, port, check| {
        rows.get(&(Endpoint::tcp(addr(base, host), port), check))
            .map(|row| (row.outcome, row.protocol.as_deref()))
    };
    assert_eq!(outcome(1, 2201, Check::Sweep), Some((Outcome::Answered, None)));
    assert_eq!(outcome(1, 2201, Check::Handshake).map(|(_, protocol)| protocol), Some(Some("ssh")));
    assert_eq!(outcome(1, 2101, Check::Sweep), Some((Outcome::Refused, None)));
    assert_eq!(outcome(1, 2101, Check::Handshake), None);
    assert_eq!(outcome(3, 2101, Check::Handshake), Some((Outcome::Answered, Some("ftp"))));
    assert_eq!(outcome(5, 8001, Check::Sweep), Some((Outcome::SilentHostAlive, None)));
    assert_eq!(outcome(200, 8001, Check::Sweep), Some((Outcome::Dark, None)));
    assert_eq!(rows.keys().filter(|(_, check)| *check == Check::Handshake).count(), 26);

    let progress = &summary.progress;
    assert_eq!((progress.targets_done, progress.targets_total), (768, 768));
    assert_eq!((progress.answered, progress.silent), (26, 4));
    assert_eq!(progress.hits.get("ssh"), Some(&20));
    let sent: i64 = world.batches().iter().flat_map(|batch| &batch.coverage).map(|c| c.sent).sum();
    assert_eq!(sent as u64, progress.sent);
    assert!(town.most_at_one_address() <= 2, "{}", town.most_at_one_address());
    for row in rows.values().filter(|row| row.outcome == Outcome::Answered) {
        assert_eq!(row.vantage.addr, "127.0.0.1".parse::<std::net::IpAddr>().unwrap());
        assert_ne!(row.vantage.port, 0);
    }
    assert_eq!(stored_plan(&world.spool, world.plan.survey_id).unwrap(), world.plan);

    // What is finished stays finished: nothing is asked again.
    let calls = town.count();
    let again = resume(world.run()).await.unwrap();
    assert_eq!((again.ending, again.progress.sent, town.count()), (Ending::Finished, 0, calls));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shards_together_are_the_whole_and_the_outcome_is_the_same() {
    let (base, prefix) = network();
    let _town = town(base, 9, [2202, 2102, 8002]);
    let world = World::new(&Terms::new(&prefix, &[2202, 2102, 8002]));
    for index in [2, 0, 1] {
        let mut part = world.run();
        part.settings.shard = Shard { index, count: 3 };
        let summary = run(part).await.unwrap();
        assert_eq!(summary.ending, Ending::Finished);
        assert_eq!(summary.progress.targets_done, summary.progress.targets_total);
    }
    let sharded = rows(&world.plan, &world.batches());
    let other = World::new(&Terms::new(&prefix, &[2202, 2102, 8002]));
    other.finish().await;
    let whole = rows(&other.plan, &other.batches());
    let digest = |rows: &std::collections::BTreeMap<_, kenshin_observation::Observation>| -> Vec<_> {
        rows.iter().map(|(key, row)| (*key, row.outcome, row.protocol.clone())).collect()
    };
    assert_eq!(digest(&sharded), digest(&whole));
}

/// Accepted connections in any second stay below the limit, five percent and the burst.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rate_is_kept_in_any_second() {
    let (base, _) = network();
    let mut town = Town::default();
    (0..64).for_each(|host| town.listen(addr(base, host), 2203, SSH));
    let mut terms = Terms::new(&format!("{base}/26"), &[2203, 2204]);
    terms.checks = vec![Check::Sweep];
    (terms.rate.whole_pps, terms.rate.whole_burst) = (40, 4);
    let world = World::new(&terms);
    let began = Instant::now();
    world.finish().await;
    assert!(began.elapsed() > Duration::from_millis(2_900), "128 targets at 40 a second");
    let calls: Vec<Instant> = town.calls.lock().unwrap().iter().map(|(_, at)| *at).collect();
    assert_eq!(calls.len(), 64);
    for (n, first) in calls.iter().enumerate() {
        let within = calls[n..].iter().take_while(|at| **at - *first < Duration::from_secs(1)).count();
        assert!(within <= 42 + 4, "{within} in one second");
    }
}

/// A provider's networks together are asked at its rate, whatever else is asked, and in the middle of
/// a run too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rate_of_a_provider_is_kept_in_any_second() {
    let (base, _) = network();
    let mut town = Town::default();
    (0..128).for_each(|host| town.listen(addr(base, host), 2213, SSH));
    let mut terms = Terms::new(&format!("{base}/25"), &[2213]);
    terms.checks = vec![Check::Sweep];
    let world = World::new(&terms);
    let mut narrowing = Narrowing::none();
    let networks = [format!("{base}/27"), format!("{}/27", addr(base, 96))];
    let networks = networks.iter().map(|prefix| prefix.parse::<kenshin_observation::Prefix>().unwrap());
    let addresses: kenshin_mandate::AddressSet = networks.collect();
    let name = "a provider".to_owned();
    narrowing.slow_down(kenshin_mandate::ProviderRate {
        name,
        addresses: addresses.clone(),
        pps: 20,
        burst: 4,
    });
    let mut survey = world.run();
    survey.settings.refresh = Some(Arc::new(move |gate, _| gate.lock().unwrap().narrow(&narrowing)));
    let began = Instant::now();
    assert_eq!(run(survey).await.unwrap().ending, Ending::Finished);
    assert!(began.elapsed() > Duration::from_millis(2_900), "64 targets at 20 a second");
    rows(&world.plan, &world.batches());
    let calls = town.calls.lock().unwrap();
    let (slow, fast): (Vec<_>, Vec<_>) = calls.iter().partition(|(at, _)| addresses.contains(at.ip()));
    assert_eq!((slow.len(), fast.len()), (64, 64));
    for (n, (_, first)) in slow.iter().enumerate() {
        let within = slow[n..].iter().take_while(|(_, at)| *at - *first < Duration::from_secs(1)).count();
        assert!(within <= 21 + 4, "{within} in one second");
    }
}

/// Those who answered are asked again when everything else at them is over; who is silent then counts as
/// missed, and nobody ever holds more than two connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_connecting_sweep_misses_is_estimated() {
    let (base, _) = network();
    let mut town = Town::default();
    for host in 0..40 {
        town.listen(addr(base, host), 2214, if host % 4 == 0 { Manners::Tires } else { FTP });
        town.listen(addr(base, host), 2215, FTP);
    }
    for (ppm, most, canaries) in [(1_000_000, 1_000, 1), (0, 1_000, 0)] {
        let world = World::new(&Terms::new(&format!("{base}/26"), &[2214, 2215, 2216]));
        let mut survey = world.run();
        survey.settings.miss = MissTerms {
            sample_ppm: ppm,
            sample_max: most,
            canaries: (0..canaries).map(|_| Endpoint::tcp(addr(base, 1), 2215)).collect(),
            ..MissTerms::none()
        };
        let summary = run(survey).await.unwrap();
        assert_eq!(summary.ending, Ending::Finished);
        rows(&world.plan, &world.batches());
        let Some(miss) = summary.progress.miss else {
            assert_eq!(ppm, 0, "nothing is said of what is not measured");
            continue;
        };
        // The canary is no sample, and the tired are silent.
        assert_eq!((miss.asked, miss.missed, miss.canary_missed), (79, 10, 0), "{miss:?}");
        assert!(miss.canary_asked >= 1 && miss.low < 0.126 && miss.high > 0.126, "{miss:?}");
    }
    assert!(town.most_at_one_address() <= 2, "{}", town.most_at_one_address());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rate_of_an_address_delays_only_that_address() {
    let (base, _) = network();
    let town = town(base, 3, [2205, 2105, 8005]);
    let mut terms = Terms::new(&format!("{base}/30"), &[2205, 2105, 8005]);
    terms.checks = vec![Check::Sweep];
    terms.rate.per_address = kenshin_mandate::AddressRate { per_minute: 120, burst: 1 };
    let world = World::new(&terms);
    let began = Instant::now();
    world.finish().await;
    // Three exchanges each at two a second, all addresses at once.
    assert!((Duration::from_millis(950)..Duration::from_secs(4)).contains(&began.elapsed()));
    assert_eq!(town.count(), 4);
    rows(&world.plan, &world.batches());
}

/// After a revocation nothing is begun, and open conversations end, within a second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revocation_acts_within_a_second() {
    let (base, prefix) = network();
    let mut town = Town::default();
    (1..250).for_each(|host| town.listen(addr(base, host), 2206, Manners::Hold));
    let mut terms = Terms::new(&prefix, &[2206]);
    (terms.rate.whole_pps, terms.rate.whole_burst) = (60, 2);
    terms.manner.limits.listen_ms = 30_000;
    terms.manner.limits.conversation_ms = 60_000;
    let world = World::new(&terms);
    let revoked = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut survey = world.run();
    let (revoke, when) = (revoking(world.mandate.digest().to_owned()), revoked.clone());
    survey.settings.refresh = Some(Arc::new(move |gate, now| {
        if when.load(std::sync::atomic::Ordering::SeqCst) {
            revoke(gate, now);
        }
    }));
    let running = tokio::spawn(run(survey));
    until(Duration::from_secs(10), "conversations are open", || town.open_now() >= 20).await;

    revoked.store(true, std::sync::atomic::Ordering::SeqCst);
    let at = Instant::now();
    until(Duration::from_secs(1), "every conversation is closed", || town.open_now() == 0).await;
    let summary = running.await.unwrap().unwrap();
    assert_eq!(summary.ending, Ending::Ended { code: "revoked".into() });
    assert!(at.elapsed() < Duration::from_secs(5));
    let late =
        town.calls.lock().unwrap().iter().filter(|(_, call)| *call > at + Duration::from_secs(1)).count();
    assert_eq!(late, 0);

    // What was begun is sealed; a target has one row, cut-off conversations say why.
    let batches = world.batches();
    let all: Vec<_> = batches.iter().flat_map(|batch| &batch.observations).collect();
    let cut = |row: &&&kenshin_observation::Observation| row.reason.as_deref() == Some("revoked");
    let conversations = all.iter().filter(cut).filter(|row| row.check == Check::Handshake).count();
    assert!(conversations >= 20, "{conversations}");
    assert!(all.iter().filter(cut).filter(|row| row.check == Check::Sweep).count() > 0);
    assert!(all.iter().filter(cut).all(|row| row.outcome == Outcome::Limited));

    let error = refused_by_error(resume(world.run()).await);
    assert!(error.contains("revoked") && error.contains("hint:"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stop_resets_everything_and_resume_completes() {
    let (base, prefix) = network();
    let mut town = Town::default();
    (1..100).for_each(|host| town.listen(addr(base, host), 2207, Manners::Hold));
    let world = World::new(&Terms::new(&prefix, &[2207, 2208]));
    // More stops than a slice has attempts.
    for stops in 1..=4 {
        let mut survey = world.run();
        let (stopper, stop) = watch::channel(false);
        survey.stop = stop;
        let progress = survey.progress.subscribe();
        let running = tokio::spawn(run(survey));
        until(Duration::from_secs(10), "conversations are open", || {
            town.open_now() >= 5 && progress.borrow().targets_done >= 40 * stops
        })
        .await;
        stopper.send(true).unwrap();
        until(Duration::from_secs(1), "every conversation is closed", || town.open_now() == 0).await;
        let summary = running.await.unwrap().unwrap();
        assert_eq!(summary.ending, Ending::Stopped);
    }
    let summary = resume(world.run()).await.unwrap();
    assert_eq!(summary.ending, Ending::Finished);
    assert_eq!(summary.progress.targets_done, summary.progress.targets_total);
    let rows = rows(&world.plan, &world.batches());
    // A stop costs no attempt, and what was known is not asked again.
    assert!(rows.values().all(|row| row.attempt == 1));
    assert!(rows.values().all(|row| row.reason.as_deref() != Some("attempts-exhausted")));
    assert_eq!(rows.keys().filter(|(_, check)| *check == Check::Handshake).count(), 99);
    assert!(town.count() <= 99 * 4 + 4 * 64, "{}", town.count());
    let left = std::fs::read_dir(world.spool.survey_dir(world.plan.survey_id)).unwrap().count();
    assert_eq!(left, 2, "only the plan and the journal are left");
    assert!(matches!(
        resume(World::new(&Terms::new(&prefix, &[2207])).run()).await,
        Err(RunError::NeverBegun(_))
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slice_whose_attempts_ran_out_is_given_up_without_sending() {
    let (base, prefix) = network();
    let town = town(base, 30, [2209, 2109, 8009]);
    let world = World::new(&Terms::new(&prefix, &[2209, 2109, 8009]));
    let dir = world.spool.survey_dir(world.plan.survey_id);
    std::fs::create_dir_all(&dir).unwrap();
    let mut journal =
        Journal::open(&dir.join("journal.log"), world.plan.survey_id, &world.plan.digest()).unwrap();
    for slice in 0..world.plan.space().unwrap().slices() {
        for attempt in 1..=3 {
            journal.append(&Entry::Begun { slice, attempt, at: now() }).unwrap();
        }
    }
    drop(journal);
    world.finish().await;
    assert_eq!(town.count(), 0);
    let rows = rows(&world.plan, &world.batches());
    assert!(rows.values().all(|row| row.outcome == Outcome::Error));
    assert!(rows.values().all(|row| row.reason.as_deref() == Some("attempts-exhausted") && row.attempt == 3));
}

/// A list that narrows takes effect in the middle of a run: excluded targets are limited, and a
/// conversation with one of them ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exclusion_in_the_middle_ends_conversations_there() {
    let (base, _) = network();
    let mut town = Town::default();
    (0..16).for_each(|host| town.listen(addr(base, host), 2210, Manners::Hold));
    let mut terms = Terms::new(&format!("{base}/28"), &[2210]);
    (terms.manner.limits.listen_ms, terms.manner.limits.conversation_ms) = (2_000, 2_500);
    terms.manner.slices_max = 1;
    let world = World::new(&terms);
    let running = tokio::spawn(run(world.run()));
    until(Duration::from_secs(10), "conversations are open", || town.open_now() >= 8).await;
    let mut narrowing = Narrowing::none();
    let half: kenshin_observation::Prefix = format!("{base}/29").parse().unwrap();
    narrowing.exclude(half.into(), "asked not to be measured");
    world.gate.lock().unwrap().narrow(&narrowing);
    let summary = running.await.unwrap().unwrap();
    assert_eq!(summary.ending, Ending::Finished);
    let rows = rows(&world.plan, &world.batches());
    for row in rows.values() {
        let excluded = half.contains(row.subject.addr) && row.reason.as_deref() == Some("excluded");
        assert_eq!(row.outcome == Outcome::Limited && excluded, excluded);
    }
    let excluded = rows.values().filter(|row| row.reason.as_deref() == Some("excluded")).count();
    assert_eq!(excluded, 8, "each excluded address is cut off or not begun");
}

/// A stale revocation list stops everything; when a fresh one comes, the survey goes on and still
/// has one row for each target.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_list_pauses_and_a_fresh_one_resumes() {
    let (base, prefix) = network();
    let mut town = Town::default();
    (1..40).for_each(|host| town.listen(addr(base, host), 2211, Manners::Hold));
    let mut terms = Terms::new(&prefix, &[2211, 2212]);
    terms.manner.limits.listen_ms = 700;
    terms.manner.limits.conversation_ms = 900;
    let world = World::new(&terms);
    let survey = world.run();
    let progress = survey.progress.subscribe();
    let running = tokio::spawn(run(survey));
    until(Duration::from_secs(10), "conversations are open", || town.open_now() >= 4).await;
    world.offset.advance(20 * 60);
    until(Duration::from_secs(1), "every conversation is closed", || town.open_now() == 0).await;
    until(Duration::from_secs(5), "the progress says why", || {
        format!("{:?}", progress.borrow().waiting).contains("revocation-stale")
    })
    .await;
    let calls = town.count();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(town.count(), calls, "nothing is sent meanwhile");
    let fresh = list(2, (world.offset.clock())(), vec![]);
    world.gate.lock().unwrap().refresh(fresh).unwrap();
    assert_eq!(running.await.unwrap().unwrap().ending, Ending::Finished);
    rows(&world.plan, &world.batches());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_spool_makes_the_survey_wait() {
    let (base, prefix) = network();
    let _town = town(base, 10, [2213, 2113, 8013]);
    let mut terms = Terms::new(&prefix, &[2213, 2113, 8013]);
    terms.spool_bytes = 1;
    let world = World::new(&terms);
    let running = tokio::spawn(run(world.run()));
    let mut taken = Vec::new();
    while !running.is_finished() {
        world.spool.arrived(Duration::from_millis(20)).await;
        for sequence in world.spool.pending_sequences() {
            taken.push(world.spool.read(sequence).unwrap());
            world.spool.ack(sequence).unwrap();
        }
    }
    taken.extend(world.batches());
    assert_eq!(running.await.unwrap().unwrap().ending, Ending::Finished);
    assert_eq!(taken.len(), 32);
    rows(&world.plan, &taken);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_the_mandate_is_refused_before_anything_is_sent() {
    let (_, prefix) = network();
    let world = World::new(&Terms::new(&prefix, &[2214]));
    let refused = async |change: &dyn Fn(&mut kenshin_survey::plan::SurveyPlan)| {
        let mut survey = world.run();
        change(&mut survey.plan);
        refused_by_error(run(survey).await)
    };
    let outside = refused(&|plan| plan.targets = vec!["192.0.2.0/24".parse().unwrap()]).await;
    assert!(outside.contains("outside the scope") && outside.contains("192.0.2.0"), "{outside}");
    let port = refused(&|plan| plan.ports.push(9)).await;
    assert!(port.contains("port 9/tcp is not granted"), "{port}");
    let check = refused(&|plan| plan.checks.extend([Check::AnonymousLogin])).await;
    assert!(check.contains("`anonymous-login` is not granted"), "{check}");
    let digest = refused(&|plan| plan.mandate_digest = "00".into()).await;
    assert!(digest.contains("plan again"), "{digest}");
    let limit = refused(&|plan| plan.manner.retry.asks_max = 100).await;
    assert!(limit.contains("retry.asks_max is 100"), "{limit}");
    let mut survey = world.run();
    survey.settings.refresh = Some(Arc::new(|_, _| {}));
    survey.settings.refresh_every = Duration::from_secs(5);
    assert!(matches!(run(survey).await, Err(RunError::RefreshEvery(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_survey_is_not_run_twice_at_a_time() {
    let (base, prefix) = network();
    let mut town = Town::default();
    (1..20).for_each(|host| town.listen(addr(base, host), 2215, Manners::Hold));
    let world = World::new(&Terms::new(&prefix, &[2215]));
    let running = tokio::spawn(run(world.run()));
    until(Duration::from_secs(10), "conversations are open", || town.open_now() >= 1).await;
    let error = refused_by_error(run(world.run()).await);
    assert!(error.contains("in use by another run"), "{error}");
    assert_eq!(running.await.unwrap().unwrap().ending, Ending::Finished);
}

/// Twelve ports at one address, the first in order one that answers; the others drop.
async fn one_host_that_drops(tires: bool) -> (Vec<(u16, Outcome, Option<String>)>, usize) {
    let (base, _) = network();
    let ports: Vec<u16> = (2220..2232).collect();
    let mut terms = Terms::new(&format!("{base}/32"), &ports);
    terms.checks = vec![Check::Sweep];
    terms.manner.limits.connect_ms = 120;
    terms.manner.retry.pause_ms = 10;
    terms.manner.retry.breaker_after = 3;
    let world = World::new(&terms);
    let alive = world.plan.space().unwrap().target_at(0).port;
    let mut town = Town::default();
    for port in ports {
        let manners = match (port == alive, tires) {
            (true, true) => Manners::Tires,
            (true, false) => Manners::Hold,
            (false, _) => Manners::Silent,
        };
        town.listen(base.into(), port, manners);
    }
    world.finish().await;
    let rows = rows(&world.plan, &world.batches());
    let calls = town.count();
    (rows.into_values().map(|row| (row.subject.port, row.outcome, row.reason)).collect(), calls)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_stops_answering_after_us_is_left_alone() {
    let (rows, _) = one_host_that_drops(true).await;
    let broken = rows
        .iter()
        .filter(|(_, outcome, reason)| *outcome == Outcome::Limited && reason.as_deref() == Some("breaker"));
    let silent = rows.iter().filter(|(_, outcome, _)| *outcome == Outcome::SilentHostAlive).count();
    assert!(broken.count() >= 6 && (3..=5).contains(&silent), "{rows:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_only_drops_is_asked_to_the_end() {
    let (rows, calls) = one_host_that_drops(false).await;
    assert_eq!(
        rows.iter().filter(|(_, outcome, _)| *outcome == Outcome::SilentHostAlive).count(),
        11,
        "{rows:?}"
    );
    // Asked again where it answers after 3 silent ports and after 6 more.
    assert_eq!(calls, 1 + 2);
}

/// A survey with credential checks, and the directory that holds its dictionary.
fn with_dictionary(prefix: &str, ports: &[u16], entries: u32) -> (Terms, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dictionary.toml");
    let entry = |n: u32| format!("[[entries]]\nuser = \"admin{n}\"\npassword = \"invented{n}\"\n");
    let text: String = (0..entries).map(entry).collect();
    std::fs::write(&path, &text).unwrap();
    let sha256 = kenshin_survey::credential::Dictionary::parse(&text).unwrap().sha256().to_owned();
    let mut terms = Terms::new(prefix, ports);
    terms.checks.push(Check::CredentialCheck);
    terms.dictionary = Some(DictionaryRef { pairs: FileRef { path, sha256 }, recipes: None });
    terms.manner.credential_attempts_max = 4;
    (terms.manner.limits.answer_ms, terms.manner.limits.conversation_ms) = (1_000, 3_000);
    (terms, dir)
}

/// Which services get the attempts that a device may have is no matter of chance: those of the
/// lowest ports, after everything else at the host is known.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credential_checks_at_a_host_go_in_the_order_of_its_ports() {
    let (base, _) = network();
    let mut town = Town::default();
    for host in 0..8 {
        (2250..2253).for_each(|port| town.listen(addr(base, host), port, Manners::Basic));
    }
    let (terms, _dir) = with_dictionary(&format!("{base}/29"), &[2250, 2251, 2252, 2253], 6);
    let world = World::new(&terms);
    world.finish().await;
    let rows = rows(&world.plan, &world.batches());
    for host in 0..8 {
        let of = |port| &rows[&(Endpoint::tcp(addr(base, host), port), Check::CredentialCheck)];
        let attempts = [2250, 2251, 2252].map(|port| of(port).records.credential.as_ref().unwrap().attempts);
        assert_eq!(attempts, [4, 0, 0]);
        assert_eq!([2251, 2252].map(|port| of(port).reason.as_deref()), [Some("capped"); 2]);
    }
    assert_eq!(town.passwords.lock().unwrap().len(), 8 * 4);
    assert!(town.most_at_one_address() <= 2);
}

/// Recipes say what is sent: others than the plan's are not used, and none is used that it does not name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recipes_are_those_of_the_plan() {
    let (base, _) = network();
    let mut town = Town::default();
    town.listen(addr(base, 1), 2250, Manners::Basic);
    let (mut terms, dir) = with_dictionary(&format!("{base}/30"), &[2250], 1);
    let path = dir.path().join("recipes.toml");
    let text = "[[streams]]\nsays = [\"Hoshi\"]\npath = \"/live\"\n";
    std::fs::write(&path, text).unwrap();
    let sha256 = kenshin_survey::credential::Recipes::parse(text).unwrap().sha256().to_owned();
    terms.dictionary.as_mut().unwrap().recipes = Some(FileRef { path: path.clone(), sha256 });
    let world = World::new(&terms);
    std::fs::write(&path, text.replace("/live", "/other")).unwrap();
    let error = run(world.run()).await.unwrap_err();
    assert!(matches!(&error, RunError::Dictionary { path: of, .. } if *of == path), "{error}");
    assert_eq!(town.count(), 0);
    std::fs::write(&path, text).unwrap();
    world.finish().await;
    assert_eq!(town.passwords.lock().unwrap().len(), 1);
}

/// However often a survey is stopped and begun again, no password is tried twice, no device gets more of
/// them than its cap, and none gets any after an attempt whose end a stop has hidden.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credential_attempts_are_never_repeated() {
    let (base, _) = network();
    let mut town = Town::default();
    for host in 0..8 {
        [2240, 2241].into_iter().for_each(|port| town.listen(addr(base, host), port, Manners::Basic));
    }
    let (mut terms, _dir) = with_dictionary(&format!("{base}/29"), &[2240, 2241], 6);
    terms.manner.attempts_max = 10;
    let world = World::new(&terms);
    for stops in [1, 4, 9] {
        let (stopper, stop) = watch::channel(false);
        let mut survey = world.run();
        survey.stop = stop;
        let running = tokio::spawn(run(survey));
        let tried = || town.passwords.lock().unwrap().len();
        until(Duration::from_secs(20), "passwords are tried", || tried() >= stops || running.is_finished())
            .await;
        stopper.send_replace(true);
        running.await.unwrap().unwrap();
    }
    world.finish().await;
    let rows = rows(&world.plan, &world.batches());
    assert_eq!(rows.keys().filter(|(_, check)| *check == Check::CredentialCheck).count(), 16);
    let tried = town.passwords.lock().unwrap().clone();
    for (n, attempt) in tried.iter().enumerate() {
        assert!(!tried[..n].contains(attempt), "{attempt:?} was tried twice");
        assert!(tried.iter().filter(|other| other.0.ip() == attempt.0.ip()).count() <= 4);
    }
    let journal = std::fs::read_to_string(world.spool.dir().join("credential-attempts.journal")).unwrap();
    for host in 0..8 {
        let endpoint = Endpoint::tcp(addr(base, host), 2240);
        // A stop may come between the journal and the wire.
        let journalled = journal.lines().filter(|line| line.contains(&format!("\"addr:{}\"", endpoint.addr)));
        let (journalled, sent) =
            (journalled.count(), tried.iter().filter(|(at, _)| at.ip() == endpoint.addr).count());
        assert!((1..=4).contains(&journalled) && sent <= journalled, "{endpoint}: {sent} of {journalled}");
        let row = &rows[&(endpoint, Check::CredentialCheck)];
        match (row.reason.as_deref(), row.records.credential.as_ref().unwrap().attempts) {
            (Some("already-tried"), 0) => {}
            (Some("capped"), 4) => assert_eq!((journalled, sent), (4, 4), "{endpoint}"),
            other => panic!("{endpoint}: {other:?}"),
        }
        // Its other service has the same accounts, perhaps.
        let other = &rows[&(Endpoint::tcp(endpoint.addr, 2241), Check::CredentialCheck)];
        assert_eq!((other.outcome, &other.reason), (Outcome::Limited, &row.reason), "{endpoint}");
    }
}

/// A device that locks us out at one of its services is left alone at the others: they may share its
/// accounts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lockout_at_one_service_ends_the_checks_of_its_host() {
    let (base, _) = network();
    let mut town = Town::default();
    town.listen(addr(base, 1), 2250, Manners::Basic);
    town.listen(addr(base, 1), 2251, Manners::Locks);
    town.listen(addr(base, 1), 2252, Manners::Basic);
    town.listen(addr(base, 2), 2252, Manners::Basic);
    let (terms, _dir) = with_dictionary(&format!("{base}/30"), &[2250, 2251, 2252], 2);
    let world = World::new(&terms);
    world.finish().await;
    let rows = rows(&world.plan, &world.batches());
    let of = |host, port| &rows[&(Endpoint::tcp(addr(base, host), port), Check::CredentialCheck)];
    let credential = |host, port| {
        of(host, port)
            .records
            .credential
            .as_ref()
            .map(|credential| (credential.result.as_str(), credential.attempts))
    };
    assert_eq!(credential(1, 2250), Some(("rejected", 2)));
    assert_eq!(credential(1, 2251), Some(("locked-out", 1)));
    let left = of(1, 2252);
    assert_eq!((left.outcome, left.reason.as_deref()), (Outcome::Limited, Some("lockout")));
    assert_eq!(credential(1, 2252), None);
    assert_eq!(credential(2, 2252), Some(("rejected", 2)), "another device");
    assert_eq!(town.passwords.lock().unwrap().len(), 2 + 1 + 2);
}
