//! What is sent between sensors and hubs opens forever: one sample of each, as version 1 sent it.

use std::path::Path;

use kenshin_casework::NewOptOut;
use kenshin_mandate::Narrowing;
use kenshin_observation::{Check, OrgId, SensorId, TimeUs, Tlp};
use kenshin_survey::permutation::PermutationKey;
use kenshin_survey::plan::{Manner, Silence, VERSION};
use kenshin_survey::run::Ending;
use serde::de::DeserializeOwned;

use super::*;

/// The sample with this name; `made` writes it when it is not there and UPDATE=1 asks for it.
fn sample<T: Serialize + DeserializeOwned>(name: &str, made: &T) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/sensor").join(name);
    if std::env::var_os("UPDATE").is_some() && !path.exists() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, serde_json::to_string_pretty(made).unwrap() + "\n").unwrap();
    }
    let text =
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}; UPDATE=1 writes it"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn plan() -> SurveyPlan {
    SurveyPlan {
        version: VERSION,
        survey_id: SurveyId::from_bits(3),
        org_id: OrgId::from_bits(4),
        tlp: Tlp::Amber,
        created_at: TimeUs::from_secs(1_790_000_000),
        mandate_id: "example-isp-2026".to_owned(),
        mandate_digest: "ab".repeat(32),
        targets: vec!["198.51.100.0/24".parse().unwrap()],
        ports: vec![22, 23],
        udp_ports: Vec::new(),
        echo: false,
        silence: Silence::Rows,
        canaries: Vec::new(),
        checks: [Check::Sweep, Check::Banner].into(),
        permutation_key: PermutationKey([9; 16]),
        manner: Manner::INTERNET,
        dictionary: None,
        recursion_zone: None,
    }
}

#[test]
fn what_version_1_sent_is_read() {
    let held = Held { job_id: JobId::from_bits(7), lease: 2 };
    let made = Lease {
        held,
        for_s: 1_200,
        survey_id: SurveyId::from_bits(3),
        shard: Shard { index: 1, count: 8 },
        mandate_id: "example-isp-2026".to_owned(),
        plan: plan(),
        done: vec![(0, 3), (9, 10)],
    };
    let lease = sample("lease-v1.json", &made);
    assert_eq!((lease.held, lease.shard, &lease.plan), (held, made.shard, &plan()));
    assert_eq!(lease.done(100).iter().collect::<Vec<_>>(), [0, 1, 2, 9]);

    let made = Pulse { keep: true, stop: false, papers: "cd".repeat(32) };
    assert_eq!(sample("pulse-v1.json", &made), made);

    let paper =
        Paper { text: "signed\n".to_owned(), signatures: vec!["-----BEGIN SSH SIGNATURE-----\n".to_owned()] };
    let made = Papers {
        mandate: paper.clone(),
        revocation: Some(paper),
        narrowing: Narrowing::none().to_text(),
        tag: "cd".repeat(32),
    };
    let papers = sample("papers-v1.json", &made);
    assert_eq!((papers.mandate.text.as_str(), papers.narrowing), ("signed\n", made.narrowing));

    let summary = RunSummary {
        survey_id: SurveyId::from_bits(3),
        ending: Ending::Paused { code: "revocation-stale".to_owned() },
        progress: Progress { targets_total: 10, ..Progress::default() },
        began_at: TimeUs::from_secs(1_790_000_000),
        ended_at: TimeUs::from_secs(1_790_000_060),
    };
    let made = ShardEnd::Ran { summary: Box::new(summary) };
    let ShardEnd::Ran { summary } = sample("end-v1.json", &made) else { panic!("another end") };
    assert_eq!(
        (summary.ending, summary.progress.targets_total),
        (Ending::Paused { code: "revocation-stale".to_owned() }, 10)
    );
    let made = ShardEnd::Failed { error: "no disk".to_owned() };
    assert!(matches!(sample("failed-v1.json", &made), ShardEnd::Failed { error } if error == "no disk"));

    let made = LeaveAlone::Address { addr: "2001:db8::7".parse().unwrap() };
    assert_eq!(sample("leave-alone-address-v1.json", &made), made);
    let made = LeaveAlone::Prefix(NewOptOut {
        prefix: "198.51.100.0/24".parse().unwrap(),
        contact: "noc@campus.example".to_owned(),
        words: "ours".to_owned(),
        from: "198.51.100.9".to_owned(),
    });
    assert_eq!(sample("leave-alone-prefix-v1.json", &made), made);

    let made = Enrolment {
        token: "00".repeat(32),
        public_key: "11".repeat(32),
        head_sequence: 0,
        head_digest: "0".repeat(64),
    };
    assert_eq!(sample("enrolment-v1.json", &made).head_digest, made.head_digest);
    let made = Enrolled {
        organisation: "Example CSIRT".to_owned(),
        org_id: OrgId::from_bits(4),
        name: SensorId::from_bits(5).to_string(),
    };
    assert_eq!(sample("enrolled-v1.json", &made), made);
}
