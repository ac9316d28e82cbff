//! Retention by the binary: killed at any instant it leaves a whole lake, and goes on where it stopped.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use kenshin_lake::Lake;
use kenshin_observation::batch::{GENESIS, Seal};
use kenshin_observation::{Batch, BatchId, Endpoint, Observation, TimeUs};
use serde_json::Value;

use crate::process::{expect, expect_error, kenshin};

/// Most kills in a run of the tests; `KENSHIN_KILLS` asks for more.
const KILLS: usize = 12;
pub(crate) const POLICY: &str =
    "\n[retention]\nobservations = \"1 month\"\n[retention.mandate.kept]\nobservations = \"forever\"\n";

/// A batch of rows at the turn of April 2020, half of them in each month.
pub(crate) fn sealed(number: u8, mandate: &str) -> Batch {
    let turn: TimeUs = "2020-04-01T00:00:00Z".parse().unwrap();
    let sample: Batch =
        serde_json::from_str(include_str!("../../../../testdata/schema/batch-v3.json")).unwrap();
    let row = sample.observations.iter().find(|row| row.protocol.is_some()).unwrap();
    let rows = (0..40u8).map(|n| Observation {
        mandate_id: mandate.to_owned(),
        time: turn.plus_secs(i64::from(n) - 20),
        subject: Endpoint { addr: [192, 0, 2, n].into(), ..row.subject },
        ..row.clone()
    });
    let seal = Seal {
        batch_id: BatchId::new(turn, number.into()),
        sensor_id: row.sensor_id,
        survey_id: row.survey_id,
        slice: number.into(),
        sequence: number.into(),
        previous: GENESIS.into(),
        mandate_digest: "m".into(),
        build: "test".into(),
        now: turn.plus_secs(60),
        key: &SigningKey::from_bytes(&[1; 32]),
    };
    Batch::seal(seal, rows.collect(), Vec::new(), Vec::new(), || [number; 16])
}

/// Months of mandates of which there are files on the disk.
fn months_on_disk(home: &Path, table: &str) -> BTreeSet<PathBuf> {
    let mut folders = vec![home.join("lake").join(table)];
    let mut found = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "parquet") {
                found.insert(path);
            }
        }
    }
    found
}

fn json(home: &Path, code: i32, args: &[&str]) -> Value {
    serde_json::from_str(&expect(home, code, args)).unwrap()
}

#[test]
fn killed_at_any_instant_what_is_due_is_erased_once_and_proved() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    expect(&home, 0, &["init", "--organisation", "Example CSIRT"]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let location = home.join("lake").to_str().unwrap().to_owned();
    let mandates = ["kept", "a", "b", "c", "d", "e", "f"];
    let batches: Vec<Batch> = (1..).zip(mandates).map(|(number, mandate)| sealed(number, mandate)).collect();
    runtime.block_on(async {
        Lake::open(&location)
            .await
            .unwrap()
            .commit(&batches, TimeUs::from_secs(1_600_000_000))
            .await
            .unwrap();
    });
    expect(&home, 0, &["lake", "rebuild"]);
    expect(&home, 1, &["lake", "retain", "--dry-run"]);
    let settings = home.join("kenshin.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, text.clone() + "\n[retention]\nobservations = \"soon\"\n").unwrap();
    assert!(expect_error(&home, 2, &["lake", "retain", "--dry-run"]).contains("kenshin.toml:"));
    std::fs::write(&settings, text + POLICY).unwrap();
    assert!(expect_error(&home, 2, &["lake", "retain"]).contains("--dry-run"));

    expect(&home, 0, &["lake", "hold", "add", "--mandate", "a", "--to", "2020-03", "--reason", "an inquiry"]);
    let began = Instant::now();
    let outlook = json(&home, 0, &["lake", "retain", "--dry-run", "--format", "json"]);
    // Looking takes as long as whatever comes before the first erasure.
    let looking = began.elapsed();
    let due = outlook["due"].as_array().unwrap();
    assert_eq!(due.len(), 12, "two months of six mandates: {due:?}");
    let held = due.iter().filter(|due| !due["held_by"].as_array().unwrap().is_empty());
    assert_eq!(held.map(|due| due["month"].as_str().unwrap()).collect::<Vec<_>>(), ["2020-03"]);

    let most = std::env::var("KENSHIN_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let (mut kills, mut state) = (0, 7_u64);
    loop {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let lives: Duration = looking.mul_f64(0.5 + (state >> 33) as f64 / (1u64 << 31) as f64);
        let mut child = kenshin(&home)
            .args(["lake", "retain", "--yes", "--at-once", "--quiet"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let began = Instant::now();
        while kills < most && child.try_wait().unwrap().is_none() && began.elapsed() < lives {
            std::thread::sleep(Duration::from_millis(1));
        }
        let killed = kills < most && child.try_wait().unwrap().is_none();
        if killed {
            child.kill().unwrap();
            kills += 1;
        }
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(killed || matches!(output.status.code(), Some(0 | 1)), "{:?} {told}", output.status);
        // Whatever the instant was: nothing is wrong with the lake, and every batch is proved.
        expect(&home, 0, &["lake", "verify", "--deep", "--quiet"]);
        runtime.block_on(async {
            let lake = Lake::open(&location).await.unwrap();
            for batch in &batches {
                let proved = lake.prove(batch.header.batch_id).await.unwrap().unwrap();
                assert!(proved.holds(), "after {kills} kills: {proved:?}");
            }
        });
        if !killed && output.status.code() == Some(1) {
            break;
        }
    }
    assert!(kills >= 5, "it was killed {kills} times only");
    let erasures = json(&home, 0, &["lake", "erasures", "--format", "json"]);
    assert_eq!((&erasures["fault"], erasures["open"].as_array().unwrap().len()), (&Value::Null, 0));
    let proofs = erasures["proofs"].as_array().unwrap();
    let erased: BTreeSet<(String, String)> = proofs
        .iter()
        .map(|proof| {
            let told: Value = serde_json::from_str(proof["statement"].as_str().unwrap()).unwrap();
            let text = |name: &str| told[name].as_str().unwrap().to_owned();
            assert_eq!(
                (&told["rows"], &told["batches"], &told["unproven"]),
                (&20.into(), &1.into(), &0.into())
            );
            (text("mandate_id"), text("month"))
        })
        .collect();
    assert_eq!((proofs.len(), erased.len()), (11, 11), "each once: {erased:?}");
    assert!(!erased.contains(&("a".to_owned(), "2020-03".to_owned())), "it is held");
    for table in ["observations", "salts"] {
        let left = months_on_disk(&home, table);
        assert_eq!(left.len(), 3, "two files of `kept`, and the one that is held: {left:?}");
    }
    let rows = expect(&home, 0, &["sql", "SELECT count(*) AS n FROM observations", "--format", "csv"]);
    assert_eq!(rows, "n\n60\n");
    // Released, it goes too.
    let holds = json(&home, 0, &["lake", "hold", "list", "--format", "json"]);
    let hold = holds[0]["hold_id"].as_str().unwrap();
    expect(&home, 0, &["lake", "hold", "release", hold, "--reason", "settled"]);
    expect(&home, 1, &["lake", "hold", "list"]);
    expect(&home, 0, &["lake", "retain", "--yes", "--at-once"]);
    assert_eq!(months_on_disk(&home, "observations").len(), 2);
    let id = batches[1].header.batch_id.to_string();
    expect(&home, 0, &["lake", "prove", &id]);
    expect(&home, 0, &["lake", "verify", "--deep"]);
}
