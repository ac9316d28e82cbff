//! A raw sweep in pieces is the sweep: killed at any instant and resumed, or dealt out in shards, the
//! parts together are one whole run. What was asked, the kernel of the other side counts.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;

use kenshin_observation::{Batch, Check, Endpoint, Outcome};
use kenshin_survey::plan::{Silence, SurveyPlan};
use kenshin_survey::run::Ending;
use kenshin_survey::run::front::miss::MissTerms;
use kenshin_survey::space::Shard;

use super::survey::{greet, survey, terms};
use super::*;
use crate::crash::{Task, next, wait};
use crate::world::{World, now, parts};

/// Below the attempts that a slice has, so that none is given up.
const KILLS: usize = 9;

/// The final outcome of everything asked, and the protocol heard.
type Finals = BTreeMap<(Endpoint, Check), (Outcome, Option<String>)>;

/// Every final outcome of a survey: exactly one for each target, from rows and from what coverage
/// says of targets without one ([`Silence::Coverage`]).
fn finals(plan: &SurveyPlan, batches: &[Batch]) -> Finals {
    let space = plan.space().unwrap();
    let rows = || batches.iter().flat_map(|batch| &batch.observations);
    let mut finals = Finals::new();
    for row in rows() {
        let key = (row.subject, row.check);
        let twice = finals.insert(key, (row.outcome, row.protocol.clone()));
        assert_eq!(twice, None, "two rows for {key:?}");
    }
    let lives = |outcome| matches!(outcome, Outcome::Answered | Outcome::Refused);
    let alive: BTreeSet<IpAddr> =
        rows().filter(|row| lives(row.outcome)).map(|row| row.subject.addr).collect();
    let mut covered = 0;
    for coverage in batches.iter().flat_map(|batch| &batch.coverage) {
        covered += coverage.index_to - coverage.index_from;
        for index in coverage.index_from..coverage.index_to {
            let target = space.target_at(u64::try_from(index).unwrap());
            let silent = match alive.contains(&target.addr) {
                true => Outcome::SilentHostAlive,
                false => Outcome::Dark,
            };
            finals.entry((target, Check::Sweep)).or_insert((silent, None));
        }
    }
    assert_eq!(u64::try_from(covered).unwrap(), space.targets(), "coverage has a gap or an overlap");
    let swept = finals.keys().filter(|(_, check)| *check == Check::Sweep).count();
    assert_eq!(swept as u64, space.targets());
    finals
}

/// What a run comes to in the world of [`greet`]: port 80 greets and port 81 refuses, below .128.
fn expected() -> Finals {
    let hosts = (0..256u32).map(|host| IpAddr::from(std::net::Ipv4Addr::from_bits(0xc612_0700 + host)));
    let mut finals = Finals::new();
    for (n, host) in hosts.enumerate() {
        let outcomes = match n < 128 {
            true => [Outcome::Answered, Outcome::Refused],
            false => [Outcome::Dark; 2],
        };
        for (port, outcome) in [80, 81].into_iter().zip(outcomes) {
            finals.insert((Endpoint::tcp(host, port), Check::Sweep), (outcome, None));
        }
        if n < 128 {
            let greeted = (Outcome::Answered, Some("ftp".to_owned()));
            finals.insert((Endpoint::tcp(host, 80), Check::Handshake), greeted);
        }
    }
    finals
}

/// Keeps who is asked by the sweep.
const TARGETS: &str = "table inet targets {
    set asked { type ipv4_addr . inet_service; flags dynamic; size 1024; }
    chain in {
        type filter hook prerouting priority -301
        tcp flags & (syn | ack | rst | fin) == syn tcp sport >= 61000 update @asked { ip daddr . tcp dport }
    }
}";

/// SYNs of the sweep that came in, and how many targets they were for.
fn asked(pair: &Pair) -> (u64, usize) {
    pair.inside("b", || {
        let set = run("nft", &["list", "set", "inet", "targets", "asked"]).unwrap();
        let elements = set.split("elements = {").nth(1).unwrap_or_default();
        (counter("swept"), elements.matches(" . ").count())
    })
}

fn killed_at_any_instant_a_raw_sweep_ends_as_one_whole_run(engine: &str, silence: Silence, test: &str) {
    let Some(pair) = Pair::new(test) else { return };
    greet(&pair);
    pair.inside("b", || nft(TARGETS));
    let dir = tempfile::tempdir().unwrap();
    let task = Task {
        dir: dir.path().to_owned(),
        prefix: "198.18.7.0/24".to_owned(),
        ports: vec![80, 81],
        hour: now().micros() / 3_600_000_000,
        slice_addresses: 8,
        namespace: Some(pair.name("a")),
        raw: Some(engine.to_owned()),
        source: Some(addr(US_V4)),
        silence,
        ..Task::default()
    };
    let journal = {
        let (spool, _, _, plan) = parts(dir.path(), &task.terms(), task.hour);
        spool.survey_dir(plan.survey_id).join("journal.log")
    };
    let noted = || std::fs::metadata(&journal).map_or(0, |journal| journal.len());
    let (mut state, mut kills) = (20_260_402, 0);
    loop {
        let before = noted();
        let mut child = task.spawn();
        let mut going_on = |pause_ms| {
            std::thread::sleep(Duration::from_millis(pause_ms));
            child.try_wait().unwrap().is_none()
        };
        // From when it began its first slice on.
        while kills < KILLS && noted() == before && going_on(1) {}
        if kills < KILLS && going_on(next(&mut state) % 1_200) {
            child.kill().unwrap();
            assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
            kills += 1;
            continue;
        }
        let (code, talk) = wait(child);
        assert_eq!(code, Some(0), "{talk}");
        break;
    }
    assert!(kills >= 3, "killed {kills} times: the machine is too fast for this test");
    let (spool, _, _, plan) = parts(dir.path(), &task.terms(), task.hour);
    let batches: Vec<_> = spool.pending().map(Result::unwrap).collect();
    assert_eq!(finals(&plan, &batches), expected());
    // What was begun was asked again and nothing else was; without a kill each is asked once.
    let (swept, targets) = asked(&pair);
    assert_eq!(targets as u64, plan.space().unwrap().targets());
    assert!(swept > 512 && swept < 512 + (KILLS as u64) * 3 * 16, "{swept} after {kills} kills");
}

#[test]
fn killed_at_any_instant_with_af_packet_and_a_row_for_silence() {
    let test = "killed_at_any_instant_with_af_packet_and_a_row_for_silence";
    killed_at_any_instant_a_raw_sweep_ends_as_one_whole_run("af-packet", Silence::Rows, test);
}

#[test]
fn killed_at_any_instant_with_af_xdp_and_silence_in_coverage() {
    let test = "killed_at_any_instant_with_af_xdp_and_silence_in_coverage";
    killed_at_any_instant_a_raw_sweep_ends_as_one_whole_run("af-xdp", Silence::Coverage, test);
}

#[test]
fn any_number_of_shards_is_the_same_raw_sweep() {
    let Some(pair) = Pair::new("any_number_of_shards_is_the_same_raw_sweep") else { return };
    greet(&pair);
    pair.inside("b", || nft(TARGETS));
    let mut before = (0, 0);
    for (count, silence) in [(1, Silence::Rows), (2, Silence::Coverage), (7, Silence::Coverage)] {
        let mut terms = terms("198.18.7.0/24", &[80, 81], 20_000, silence);
        terms.manner.slice_addresses = 8;
        // Nobody is asked again because of a doubt.
        terms.manner.retry.breaker_after = 0;
        let world = World::new(&terms);
        for index in (0..count).rev() {
            let summary = survey(&pair, &world, Engine::AfPacket, |run| {
                run.settings.shard = Shard { index, count };
                run.settings.miss = MissTerms::none();
            });
            assert_eq!(summary.ending, Ending::Finished);
            assert_eq!(summary.progress.targets_done, summary.progress.targets_total);
        }
        assert_eq!(finals(&world.plan, &world.batches()), expected(), "{count} shards");
        // No target was asked twice: as many SYNs as targets, and each of them came.
        let (swept, targets) = asked(&pair);
        assert_eq!((swept - before.0, targets), (512, 512), "{count} shards");
        before = (swept, targets);
    }
}
