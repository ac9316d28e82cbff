//! `kill -9` at fifty random instants of survey, commit, assessment, notices and re-check, each followed
//! by what an operator does: the same again. Nothing is doubled, nothing is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use kenshin_stage::{Town, TownConfig};
use serde_json::Value;

use crate::office;
use crate::process::{Processors, expect, expect_error, kenshin};

const KILLS: usize = 50;
/// In the first circle no slice uses up its three attempts; later on they may.
const KILLS_OF_A_FIRST_SURVEY: usize = 2;
const KILLS_OF_A_SURVEY: usize = 9;
const KILLS_OF_A_NOTIFICATION: usize = 4;

/// Who kills, and how often they have.
struct Killer {
    state: u64,
    kills: usize,
}

/// A step that is killed at random instants of the time that it takes.
struct Step {
    kills_left: usize,
    /// How long it took the last time that it ended by itself.
    takes: Duration,
}

impl Killer {
    /// Runs a command, and kills it within the time that it takes, as often as the step may die.
    fn run(&mut self, home: &Path, args: &[&str], step: &mut Step) -> bool {
        self.state =
            self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let lives = step.takes.mul_f64((self.state >> 33) as f64 / (1u64 << 31) as f64);
        let mut child = kenshin(home)
            .args(args)
            .arg("--quiet")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let began = Instant::now();
        while step.kills_left > 0 && child.try_wait().unwrap().is_none() {
            if began.elapsed() >= lives {
                child.kill().unwrap();
                step.kills_left -= 1;
                self.kills += 1;
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let output = child.wait_with_output().unwrap();
        match output.status.code() {
            None => false,
            // Done, or done and the answer is no: nobody is left to be told.
            Some(0 | 1) => {
                step.takes = began.elapsed();
                true
            }
            Some(code) => {
                panic!("kenshin {args:?} ended with {code}: {}", String::from_utf8_lossy(&output.stderr))
            }
        }
    }

    /// Starts a survey by `start`, and resumes it until it is assessed.
    fn survey(&mut self, home: &Path, start: &[&str], assessed: usize, takes: &mut Duration) {
        let kills_left = if assessed <= 2 { KILLS_OF_A_FIRST_SURVEY } else { KILLS_OF_A_SURVEY };
        let mut step = Step { kills_left, takes: *takes };
        for runs in 0.. {
            assert!(runs < 20, "{}", json(home, &["survey", "list"]));
            let surveys = json(home, &["survey", "list"]);
            let surveys = surveys.as_array().unwrap();
            let open = surveys.iter().find(|survey| survey["assessed_at"].is_null());
            match open {
                Some(survey) => {
                    let id = survey["survey_id"].as_str().unwrap();
                    self.run(home, &["survey", "resume", id, "--engine", "connect"], &mut step);
                }
                None if surveys.len() == assessed => break,
                None => {
                    self.run(home, start, &mut step);
                }
            }
        }
        *takes = step.takes;
    }
}

fn json(home: &Path, args: &[&str]) -> Value {
    let output = kenshin(home).args(args).args(["--format", "json"]).output().unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{args:?}: {error}: {}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn killed_fifty_times_nothing_is_doubled_and_nothing_is_lost() {
    let _processor = Processors::take(1);
    let config =
        TownConfig { seed: 5, base: "127.46.0.0/16".parse().unwrap(), devices: 100, ..TownConfig::default() };
    let town = Town::build(&config).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut running = runtime.block_on(kenshin_stage::serve(&town, 1)).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    office::found(&home, &town.dictionary(), |options| {
        options.id = "town".to_owned();
        options.prefixes = town.targets();
        options.tcp_ports = town.ports();
        options.sensors[0].source_addresses = vec![std::net::Ipv4Addr::LOCALHOST.into()];
    });
    for (name, key) in kenshin_stage::PROVIDER_KEYS {
        std::fs::write(home.join(name), key).unwrap();
    }
    let providers = home.join("providers.csv");
    std::fs::write(&providers, town.providers_csv()).unwrap();
    expect(&home, 0, &["provider", "import", providers.to_str().unwrap()]);

    labels_want_their_basis(&home);

    let run: Vec<&str> = "survey run --mandate town --near --engine connect".split(' ').collect();
    let recheck: Vec<&str> = "case recheck --mandate town --near".split(' ').collect();
    let mut killer = Killer { state: 2_026, kills: 0 };
    let mut circles = 0;
    let (mut survey_takes, mut recheck_takes) = (Duration::from_secs(4), Duration::from_secs(4));
    while killer.kills < KILLS {
        killer.survey(&home, &run, 2 * circles + 1, &mut survey_takes);
        let mut step = Step { kills_left: KILLS_OF_A_NOTIFICATION, takes: Duration::from_millis(500) };
        while !killer.run(&home, &["case", "notify"], &mut step) {}
        if circles == 0 {
            runtime.block_on(running.advance(2)).unwrap();
        }
        killer.survey(&home, &recheck, 2 * circles + 2, &mut recheck_takes);
        circles += 1;
        assert!(circles < KILLS, "killed {} times: it ends before it can be killed", killer.kills);
    }
    eprintln!("killed {} times in {circles} circles", killer.kills);

    one_final_outcome_each(&home, 2 * circles);
    no_notice_twice_and_no_case_lost(&home);
}

/// What a mandate gives no basis to share is not labelled as if it did.
fn labels_want_their_basis(home: &Path) {
    let plan = |tlp: &'static str| ["survey", "plan", "--mandate", "town", "--near", "--tlp", tlp];
    expect(home, 0, &plan("amber"));
    for (tlp, act) in [("green", "share"), ("TLP:CLEAR", "release")] {
        let error = expect_error(home, 1, &plan(tlp));
        assert!(error.contains(&format!("no legal basis to {act}")) && error.contains("hint: "), "{error}");
    }
    assert!(expect_error(home, 2, &plan("red")).contains("amber, green or clear"));
}

/// One row for each (survey, target, check), and one of the sweep for every target.
fn one_final_outcome_each(home: &Path, surveys_count: usize) {
    let twice = "SELECT survey_id, subject_addr, subject_port, \"check\" FROM observations \
                 GROUP BY 1, 2, 3, 4 HAVING count(*) > 1";
    expect(home, 1, &["sql", twice]);
    let swept = json(
        home,
        &["sql", "SELECT survey_id, count(*) AS n FROM observations WHERE \"check\" = 'sweep' GROUP BY 1"],
    );
    let swept: BTreeMap<&str, i64> = swept
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["survey_id"].as_str().unwrap(), row["n"].as_i64().unwrap()))
        .collect();
    let surveys = json(home, &["survey", "list"]);
    assert_eq!(surveys.as_array().unwrap().len(), surveys_count);
    for survey in surveys.as_array().unwrap() {
        let totals = &survey["totals"];
        assert_eq!(totals["targets_covered"], totals["targets_planned"], "{survey:#}");
        assert_eq!(totals["targets_planned"], swept[survey["survey_id"].as_str().unwrap()], "{survey:#}");
    }
}

fn no_notice_twice_and_no_case_lost(home: &Path) {
    let cases = json(home, &["case", "list", "--limit", "500"]);
    let findings = json(home, &["finding", "list", "--limit", "500"]);
    let ids: BTreeSet<&str> =
        cases.as_array().unwrap().iter().map(|case| case["case_id"].as_str().unwrap()).collect();
    assert!(ids.len() > 10, "{ids:?}");
    for finding in findings.as_array().unwrap() {
        let case = finding["case_id"].as_str();
        assert!(case.is_some_and(|id| ids.contains(id)), "a finding without its case: {finding:#}");
    }
    let surveys = json(home, &["survey", "list"]);
    let mut surveys: Vec<&str> =
        surveys.as_array().unwrap().iter().map(|survey| survey["survey_id"].as_str().unwrap()).collect();
    surveys.sort_unstable();
    let mut notices = BTreeSet::new();
    for id in &ids {
        let shown = json(home, &["case", "show", id]);
        let of_kind = |kind: &str| -> Vec<&Value> {
            let trail = shown["trail"].as_array().unwrap().iter().map(|event| &event["change"]);
            trail.filter(|change| change["kind"] == kind).collect()
        };
        let opened = of_kind("opened");
        assert_eq!(opened.len(), 1, "{shown:#}");
        let told = of_kind("notified");
        assert!(unique(told.iter().map(|change| change["survey_id"].as_str().unwrap())), "{shown:#}");
        notices.extend(told.iter().map(|change| change["notice"].as_str().unwrap().to_owned()));
        let judged = of_kind("judged");
        let by: Vec<&str> = judged.iter().map(|c| c["judgement"]["survey_id"].as_str().unwrap()).collect();
        assert!(unique(by.iter().copied()), "{shown:#}");
        // What the first round opened, the first re-check judged.
        if opened[0]["survey_id"] == surveys[0] {
            assert!(by.contains(&surveys[1]), "{shown:#}");
        }
    }
    let mails = std::fs::read_dir(home.join("outbox/new")).unwrap().map(|mail| {
        let text = std::fs::read_to_string(mail.unwrap().path()).unwrap();
        text.lines().find(|line| line.to_lowercase().starts_with("message-id:")).unwrap().to_owned()
    });
    let mails: Vec<String> = mails.collect();
    assert!(mails.len() >= 3 && unique(mails.iter()), "{mails:?}");
    assert_eq!(mails.len(), notices.len(), "a mail for each notice: {mails:?} {notices:?}");
}

fn unique<T: Ord>(items: impl IntoIterator<Item = T>) -> bool {
    let mut seen = BTreeSet::new();
    items.into_iter().all(|item| seen.insert(item))
}
