//! The whole circle on the town: right on every seed, the same twice, and every command answers
//! afterwards.

use std::ops::RangeInclusive;
use std::path::Path;
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::process::{Processors, expect, expect_error, kenshin};

/// Seeds of CI.
const SEEDS: RangeInclusive<u64> = 1..=20;

/// Each town lives in its own /16, so that two can run beside each other.
const NETS: [&str; 2] = ["127.42.0.0/16", "127.43.0.0/16"];

/// Most memory that a whole demo may hold at a time: 200 MB.
const MEMORY_KIB_MAX: u64 = 200_000_000 / 1024;

/// Waits until a process has ended; the most memory that it was seen to hold, in KiB (`RssAnon` of
/// proc(5)). Pages of the program's own file, which the kernel may drop, are not counted: of a program
/// built for debugging they are two thirds.
fn peak_kib(child: &mut Child) -> u64 {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        peak = peak.max(line.map_or(0, |line| line.trim().trim_end_matches(" kB").parse().unwrap()));
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert!(peak > 0);
    peak
}

fn start(home: &Path, seed: u64, net: &str) -> Child {
    kenshin(home)
        .args([
            "demo",
            "--no-serve",
            "--quiet",
            "--format",
            "json",
            "--seed",
            &seed.to_string(),
            "--net",
            net,
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

fn finish(child: Child) -> Value {
    let out = child.wait_with_output().expect("the program ends");
    let stderr = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{stderr}");
    serde_json::from_slice(&out.stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"))
}

fn check(answer: &Value) {
    let score = &answer["score"];
    let told = format!("seed {}: {score:#}", answer["seed"]);
    assert_eq!(score["findings"]["precision"], 1.0, "{told}");
    assert!(score["findings"]["recall"].as_f64().unwrap() >= 0.99, "{told}");
    assert!(score["recheck"]["total"].as_u64().unwrap() > 100, "{told}");
    assert_eq!(score["recheck"]["correct"], score["recheck"]["total"], "{told}");
    assert!(score["identity"]["precision"].as_f64().unwrap() >= 0.99, "{told}");
    assert!(score["identity"]["abstained"].as_u64().unwrap() > 50, "{told}");
    assert_eq!(answer["notices"], 3, "{told}");
}

/// Twenty towns, two at a time; the first two once more, each where it was, for equal digests.
#[test]
fn twenty_towns_are_judged_right_and_two_give_the_same_digest_again() {
    let _processors = Processors::take(NETS.len());
    let street = |net: &str, first: u64| -> Vec<(u64, String)> {
        let seeds = (first..=*SEEDS.end()).step_by(NETS.len()).chain([first]);
        let digest = |seed: u64| {
            let folder = tempfile::tempdir().unwrap();
            let answer = finish(start(&folder.path().join("home"), seed, net));
            check(&answer);
            (seed, answer["digest"].as_str().unwrap().to_owned())
        };
        seeds.map(digest).collect()
    };
    let digests = std::thread::scope(|scope| {
        let other = scope.spawn(|| street(NETS[1], 2));
        [street(NETS[0], 1), other.join().expect("every town of the other street is judged right")].concat()
    });
    assert_eq!(digests.len(), SEEDS.count() + 2);
    for seed in [1, 2] {
        let of_seed: Vec<&String> = digests.iter().filter(|(s, _)| *s == seed).map(|(_, d)| d).collect();
        assert_eq!(of_seed.len(), 2);
        assert_eq!(of_seed[0], of_seed[1], "seed {seed} gave two digests");
    }
}

/// Decisions, the least urgent first.
const DECISIONS: [&str; 4] = ["track", "track-closely", "attend", "act"];

fn decision(row: &Value) -> &str {
    row["finding"]["priority"]["decision"].as_str().unwrap()
}

/// New findings, withdrawn ones and cases closed, over all surveys that were judged again.
fn changes(done: &Value) -> (u64, u64, u64) {
    let sum = |name: &str| done.as_array().unwrap().iter().map(|one| one[name].as_u64().unwrap()).sum();
    (sum("new"), sum("withdrawn"), sum("closed"))
}

/// Accounts are made, limited, locked and listed, and a view of one mandate has what that brought.
fn accounts(home: &Path, json: &impl Fn(&[&str]) -> Value) {
    let add = ["user", "add", "guest", "--role", "analyst", "--mandate", "town-demo"];
    let made = json(&add);
    assert_eq!(made["account"]["mandates"][0], "town-demo");
    assert_eq!(made["password"].as_str().unwrap().len(), 23);
    assert!(expect_error(home, 1, &add).contains("is taken"));
    let services = json(&["search", "--count", "state:*"])["services"].as_u64().unwrap();
    let tables = json(&["lake", "verify"])["tables"].clone();
    let views =
        tables.as_array().unwrap().iter().filter(|one| one["table"].as_str().unwrap().starts_with("views/"));
    assert_eq!(views.map(|view| view["rows"].as_u64().unwrap()).collect::<Vec<_>>(), [services]);
    let mut wrong = add;
    (wrong[2], wrong[6]) = ("other", "nowhere");
    let error = expect_error(home, 2, &wrong);
    assert!(
        error.contains("there is no mandate `nowhere`") && error.contains("kenshin mandate list"),
        "{error}"
    );
    (wrong[4], wrong[6]) = ("auditor", "town-demo");
    assert!(expect_error(home, 2, &wrong).contains("only `analyst` can"));
    assert!(expect_error(home, 2, &["user", "add", "noc", "--role", "provider"]).contains("--provider"));
    assert!(expect_error(home, 2, &["user", "limit", "guest"]).contains("--mandate"));
    assert!(expect_error(home, 1, &["user", "lock", "nobody"]).contains("nobody"));
    for command in ["lock", "unlock", "password"] {
        expect(home, 0, &["user", command, "guest"]);
    }
    expect(home, 0, &["user", "limit", "guest", "--all"]);
    let listed = expect(home, 0, &["user", "list", "--format", "csv"]);
    assert_eq!(listed.lines().count(), 3, "{listed}");
    assert!(listed.contains("guest,guest,analyst,,en,,open"), "{listed}");
}

/// After a demo, what the README shows answers.
#[test]
fn every_command_answers_after_the_demo() {
    let _processor = Processors::take(1);
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let mut demo = start(&home, 7, "127.44.0.0/16");
    let peak = peak_kib(&mut demo);
    check(&finish(demo));
    // The town, the surveys and the lake are one process here.
    assert!(peak < MEMORY_KIB_MAX, "the demo took {peak} KiB");
    let json = |args: &[&str]| -> Value {
        let args: Vec<&str> = args.iter().copied().chain(["--format", "json"]).collect();
        serde_json::from_str(&expect(&home, 0, &args)).unwrap()
    };
    assert_eq!(json(&["survey", "list"]).as_array().unwrap().len(), 2);
    assert_eq!(json(&["mandate", "list"])[0]["id"], "town-demo");
    let known = json(&["intel", "status"]);
    let held = known.as_array().unwrap().iter().filter(|kind| !kind["snapshot"].is_null());
    assert_eq!(held.count(), 6);
    assert_eq!(json(&["provider", "list"]).as_array().unwrap().len(), 3);
    accounts(&home, &json);
    let findings = json(&["finding", "list", "--limit", "500"]);
    let key = findings[0]["finding"]["key"].as_str().unwrap().to_owned();
    let asked = json(&["sql", "SELECT finding_key FROM findings ORDER BY finding_key LIMIT 500"]);
    let keys = |rows: &Value, key: &str| -> Vec<Value> {
        rows.as_array().unwrap().iter().map(|row| row.pointer(key).unwrap().clone()).collect()
    };
    assert_eq!(keys(&asked, "/finding_key"), keys(&findings, "/finding/key"));
    let page = include_str!("../../../../docs/sql.md");
    let matrix = page.split("```").find_map(|part| part.strip_prefix("sql\nWITH months")).unwrap();
    let matrix = format!(
        "SELECT sum(opened) - (SELECT count(*) FROM findings) AS more, sum(mended) AS mended FROM (WITH months{matrix})"
    );
    let counted = json(&["sql", &matrix]);
    assert!(counted[0]["more"] == 0 && counted[0]["mended"].as_u64() > Some(50), "{counted}");
    let explained = expect(&home, 0, &["finding", "explain", &key, "--lang", "ja"]);
    assert!(explained.contains('。'), "{explained}");
    let urgent = json(&["finding", "list", "--sort", "priority", "--limit", "500"]);
    let decisions: Vec<&str> = urgent.as_array().unwrap().iter().map(decision).collect();
    assert_eq!((decisions[0], decisions.len()), ("act", findings.as_array().unwrap().len()));
    assert!(
        decisions
            .is_sorted_by_key(|decision| std::cmp::Reverse(DECISIONS.iter().position(|d| d == decision)))
    );
    let exploited = json(&["finding", "list", "--kind", "known-exploited", "--limit", "1"]);
    let chain = json(&["finding", "explain", exploited[0]["finding"]["key"].as_str().unwrap()]);
    for step in ["evidence", "fingerprints", "snapshots", "comparison"] {
        assert!(!chain[step].as_array().unwrap().is_empty(), "{step}: {chain}");
    }
    assert!(chain["fingerprints"][0]["source"].is_string(), "{chain}");
    assert_eq!(chain["priority"]["exploitation"], "active");

    // The same knowledge changes nothing; without it, what it alone told is withdrawn.
    let done = json(&["survey", "reassess"]);
    assert_eq!(changes(&done), (0, 0, 0), "{done}");
    let none = folder.path().join("none.csv");
    std::fs::write(&none, "cveID,vendorProject,product,vulnerabilityName,dateAdded,shortDescription,requiredAction,dueDate,knownRansomwareCampaignUse,notes,cwes\nCVE-2099-9999,x,y,z,2026-01-01,x,x,2026-01-01,Unknown,,\n").unwrap();
    expect(&home, 0, &["intel", "import", "kev", none.to_str().unwrap()]);
    let done = json(&["survey", "reassess"]);
    let (new, withdrawn, closed) = changes(&done);
    assert!(new == 0 && withdrawn > 5 && closed > 0, "{done}");
    let health = json(&["report", "health"]);
    let reasons = health["close_reasons"].as_array().unwrap();
    let of = |name: &str| {
        reasons.iter().find(|reason| reason["name"] == name).map(|reason| reason["count"].clone())
    };
    assert_eq!(of("withdrawn"), Some(closed.into()), "{health}");
    for row in json(&["report", "crypto"]).as_array().unwrap() {
        let hybrid = &row["hybrid_offered"];
        let told = hybrid["judged"].as_u64().unwrap() + hybrid["unknown"].as_u64().unwrap();
        assert_eq!(row["encrypted"].as_u64().unwrap(), told, "{row}");
        assert!(row["encrypted"].as_u64().unwrap() <= row["answering"].as_u64().unwrap(), "{row}");
    }
    expect(&home, 0, &["finding", "show", &key[..20]]);
    let cases = json(&["case", "list", "--limit", "500"]);
    let closed = cases.as_array().unwrap().iter().find(|case| case["close_reason"] == "remedied").unwrap();
    let shown = expect(&home, 0, &["case", "show", closed["case_id"].as_str().unwrap()]);
    assert!(shown.contains("judged") && shown.contains("closed"), "{shown}");
    let answer = expect(
        &home,
        0,
        &[
            "sql",
            "SELECT count(*) AS n FROM observations WHERE in_cidr(subject_addr, '127.44.0.0/16')",
            "--format",
            "csv",
        ],
    );
    assert!(
        answer.starts_with("n\n") && answer.lines().nth(1).unwrap().parse::<u64>().unwrap() > 5_000,
        "{answer}"
    );
    expect(&home, 1, &["sql", "SELECT 1 FROM observations WHERE false"]);
    let services = json(&["search", "protocol:telnet", "--limit", "1000"]);
    let services = services.as_array().unwrap();
    assert!(services.len() > 20 && services.iter().all(|service| service["protocol"] == "telnet"));
    let addr = services[0]["addr"].as_str().unwrap();
    assert_eq!(json(&["search", addr, "protocol:telnet"]).as_array().unwrap().len(), 1);
    let probed = json(&["search", "--probed", addr]);
    let port = &services[0]["port"];
    assert!(probed.as_array().unwrap().iter().any(|target| target["endpoint"]["port"] == *port), "{probed}");
    let counted = json(&["search", "state:*", "--count"]);
    let facets = json(&["search", "state:*", "--facet", "state:20"]);
    let states = facets[0]["values"].as_array().unwrap();
    let sum: u64 = states.iter().map(|value| value["count"].as_u64().unwrap()).sum();
    assert_eq!(sum, counted["services"].as_u64().unwrap());
    let placed = json(&["search", "country:JP", "--facet", "region:10", "--facet", "asn"]);
    let named = |facet: usize| -> Vec<&str> {
        let values = placed[facet]["values"].as_array().unwrap();
        values.iter().map(|value| value["value"].as_str().unwrap()).collect()
    };
    let mut regions = named(0);
    regions.sort_unstable();
    assert_eq!(regions, ["JP-13", "JP-27", "JP-29"], "{placed}");
    assert_eq!(named(1).len(), 3, "{placed}");
    expect(&home, 1, &["search", "product:nothing-is-called-so"]);
    expect(&home, 0, &["lake", "rebuild"]);
    assert_eq!(json(&["search", "state:*", "--count"]), counted, "made anew, the view is as it was kept");
    assert_eq!(json(&["search", "protocol:telnet", "--limit", "1000"]).as_array().unwrap(), services);
    expect(&home, 0, &["report", "survey"]);
    expect(&home, 0, &["report", "health"]);
    expect(&home, 0, &["doctor"]);

    // One row for each (survey, target, check), and nothing secret anywhere.
    let twice = "SELECT survey_id, subject_addr, subject_port, \"check\" FROM observations GROUP BY 1, 2, 3, 4 HAVING count(*) > 1";
    expect(&home, 1, &["sql", twice]);
    let dictionary = std::fs::read_to_string(home.join("dictionary.toml")).unwrap();
    let secrets: Vec<&str> =
        dictionary.lines().filter_map(|l| l.strip_prefix("password = \"")?.strip_suffix('"')).collect();
    assert!(secrets.len() > 3);
    let mut checked = 0;
    let mut folders =
        vec![home.join("lake"), home.join("spool"), home.join("outbox"), home.join("kenshin.db")];
    while let Some(path) = folders.pop() {
        if path.is_dir() {
            folders.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        for secret in &secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{} holds a password", path.display());
        }
        checked += 1;
    }
    assert!(checked > 20, "the walk finds files");
}
