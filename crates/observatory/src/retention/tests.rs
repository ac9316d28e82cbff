//! From the policy to the proof, held up by holds and crashes.

use ed25519_dalek::SigningKey;
use kenshin_lake::integrity;
use kenshin_observation::batch::{GENESIS, Seal};
use kenshin_observation::{Batch, BatchId, Observation};

use super::*;
use crate::{Edge, Home, Settings};

const BEFORE: &str = "2026-11-26T12:00:00Z";
const POLICY: &str = "\n[retention]\nobservations = \"6 months\"\n[retention.blobs]\nbanner = \"1 month\"\n\
                      [retention.mandate.\"b\"]\nobservations = \"forever\"\n";

/// A home of which the clock can be moved.
struct World {
    home: Home,
    folder: tempfile::TempDir,
}

impl World {
    /// Rows of April and May 2026 of two mandates, in batches of both months.
    async fn new(policy: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = Self { home: Home::at(folder.path()), folder };
        Observatory::init(&world.home, "Example CSIRT", "admin", "en", &world.edge(BEFORE)).await.unwrap();
        let text = Settings::template("Example CSIRT") + policy;
        std::fs::write(world.home.settings(), text).unwrap();
        let observatory = world.at(BEFORE).await;
        let lake = observatory.lake().await.unwrap();
        for (number, mandate) in (1..).zip(["a", "b", "a"]) {
            lake.commit(&[sealed(number, mandate)], at(BEFORE)).await.unwrap();
        }
        observatory.rebuild_view().await.unwrap();
        world
    }

    fn edge(&self, now: &str) -> Edge {
        Edge::fixed(at(now), [7; 32])
    }

    /// The home as somebody opens it anew at that time.
    async fn at(&self, now: &str) -> Observatory {
        Observatory::open(&self.home, &self.edge(now)).await.unwrap()
    }

    fn parquet_files(&self, table: &str) -> usize {
        let mut folders = vec![self.folder.path().join("lake").join(table)];
        let mut count = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() && !path.ends_with("_delta_log") {
                    folders.push(path);
                } else {
                    count += usize::from(path.extension().is_some_and(|extension| extension == "parquet"));
                }
            }
        }
        count
    }
}

fn at(text: &str) -> TimeUs {
    text.parse().unwrap()
}

/// Four rows, two in April and two in May, each about another host.
fn sealed(number: i64, mandate: &str) -> Batch {
    let sample: Batch =
        serde_json::from_str(include_str!("../../../../testdata/schema/batch-v3.json")).unwrap();
    let row = sample.observations.iter().find(|row| row.protocol.is_some()).unwrap();
    let rows = (0..4u8).map(|n| Observation {
        mandate_id: mandate.to_owned(),
        time: at("2026-05-01T00:00:00Z").plus_secs(i64::from(n) - 2),
        subject: kenshin_observation::Endpoint {
            addr: [192, 0, 2, u8::try_from(number).unwrap() * 10 + n].into(),
            ..row.subject
        },
        ..row.clone()
    });
    let seal = Seal {
        batch_id: BatchId::new(at(BEFORE), number.unsigned_abs().into()),
        sensor_id: row.sensor_id,
        survey_id: row.survey_id,
        slice: number,
        sequence: number,
        previous: GENESIS.into(),
        mandate_digest: "m".into(),
        build: "test".into(),
        now: at("2026-05-01T00:00:09Z"),
        key: &SigningKey::from_bytes(&[1; 32]),
    };
    let mut n = 0u8;
    Batch::seal(seal, rows.collect(), Vec::new(), sample.blobs.clone(), || {
        n += 1;
        [n; 16]
    })
}

async fn csv(observatory: &Observatory, sql: &str) -> String {
    let answer = observatory.lake().await.unwrap().query(sql, Default::default()).await.unwrap();
    answer.render(kenshin_lake::Format::Csv).unwrap()
}

const COUNTS: &str = "SELECT month, mandate_id, count(*) AS n FROM observations GROUP BY 1, 2 ORDER BY 1, 2";
const ALL: &str = "month,mandate_id,n\n2026-04,a,4\n2026-04,b,2\n2026-05,a,4\n2026-05,b,2\n";
const LEFT: &str = "month,mandate_id,n\n2026-04,b,2\n2026-05,a,4\n2026-05,b,2\n";

fn rule() -> Actor {
    Actor::rule("test")
}

async fn clean(observatory: &Observatory) {
    let report = observatory.verify_lake(true, |_| {}).await.unwrap();
    assert_eq!(report.faults, Vec::<integrity::Fault>::new());
    for number in 1..=3 {
        let proved = observatory.lake().await.unwrap().prove(BatchId::new(at(BEFORE), number)).await.unwrap();
        assert!(proved.as_ref().unwrap().holds(), "{proved:?}");
    }
}

fn due(outlook: &Outlook) -> Vec<String> {
    let one = |due: &Due| {
        let shelf = &due.shelf;
        let held = if due.held_by.is_empty() { "" } else { " held" };
        format!(
            "{} {} {}{held}",
            shelf.table,
            shelf.month.as_deref().unwrap_or("-"),
            shelf.mandate_id.as_deref().unwrap_or("-")
        )
    };
    outlook.due.iter().map(one).collect()
}

#[tokio::test]
async fn what_is_due_is_erased_and_proved_in_two_steps() {
    let world = World::new(POLICY).await;
    let observatory = world.at("2026-10-31T23:00:00Z").await;
    let outlook = observatory.retention_outlook().await.unwrap();
    assert!(due(&outlook).iter().all(|due| due.starts_with("blobs 2026-05")), "{outlook:?}");
    let observatory = world.at("2026-11-01T00:00:00Z").await;
    let outlook = due(&observatory.retention_outlook().await.unwrap());
    assert!(outlook.contains(&"observations 2026-04 a".to_owned()), "{outlook:?}");
    assert!(!outlook.iter().any(|due| due.starts_with("observations") && due != "observations 2026-04 a"));
    assert_eq!(csv(&observatory, COUNTS).await, ALL, "looking takes nothing away");
    let hosts = "SELECT count(DISTINCT addr) AS n FROM services";
    assert_eq!(csv(&observatory, hosts).await, "n\n12\n");

    let files = world.parquet_files("observations");
    let done = observatory.retain(&rule(), Bytes::AfterReaders, |_| {}).await.unwrap();
    assert_eq!((done.erased, done.withdrawn, done.waiting), (0, 0, done.removed), "{done:?}");
    assert_eq!(csv(&observatory, COUNTS).await, LEFT);
    assert_eq!(csv(&observatory, hosts).await, "n\n8\n", "nothing tells of what was erased");
    assert_eq!(world.parquet_files("observations"), files, "their bytes are there still");
    clean(&observatory).await;
    let erasures = observatory.erasures().await.unwrap();
    assert_eq!((erasures.proofs.len(), erasures.open.len() as u64), (0, done.removed));

    // Half an hour later somebody may still be reading; after an hour nobody is.
    let early = world.at("2026-11-01T00:30:00Z").await.tend_retention(false).await.unwrap();
    assert_eq!((early.erased, early.waiting), (0, done.removed));
    let observatory = world.at("2026-11-01T01:00:00Z").await;
    let late = observatory.tend_retention(false).await.unwrap();
    assert_eq!((late.erased, late.waiting, late.removed), (done.removed, 0, 0));
    assert_eq!(world.parquet_files("observations"), files - 2);
    clean(&observatory).await;
    let erasures = observatory.erasures().await.unwrap();
    assert_eq!((erasures.fault, erasures.open), (None, Vec::new()));
    assert_eq!(erasures.proofs.len() as u64, done.removed);
    let of_observations = erasures.proofs.iter().map(|proof| proof.read().unwrap());
    let proof = of_observations.into_iter().find(|proof| proof.erased.shelf.table == "observations").unwrap();
    assert_eq!((proof.erased.rows, proof.erased.batches, proof.erased.unproven), (4, 2, 0));
    assert_eq!(proof.removed_at, at("2026-11-01T00:00:00Z"));
    assert_eq!(proof.erased_at, at("2026-11-01T01:00:00Z"));
    assert_eq!(proof.policy["observations"], "6 months");
    assert!(observatory.casework().verify_audit(observatory.org()).await.unwrap().is_ok());
    // There is nothing to do any more.
    assert_eq!(observatory.retain(&rule(), Bytes::AtOnce, |_| {}).await.unwrap(), Retained::default());
}

#[tokio::test]
async fn without_a_policy_nothing_is_ever_due() {
    let world = World::new("").await;
    let observatory = world.at("2099-01-01T00:00:00Z").await;
    assert_eq!(observatory.retention_outlook().await.unwrap(), Outlook::default());
    assert_eq!(observatory.tend_retention(true).await.unwrap(), Retained::default());
    assert_eq!(csv(&observatory, COUNTS).await, ALL);
}

#[tokio::test]
async fn a_hold_suspends_until_it_is_released() {
    let world = World::new(POLICY).await;
    let observatory = world.at("2026-11-01T00:00:00Z").await;
    let of_prefix = NewHold {
        prefix: Some("192.0.2.10/32".parse().unwrap()),
        reason: "a request of the court".into(),
        ..NewHold::default()
    };
    let (hold, late) = observatory.hold(&of_prefix, &rule()).await.unwrap();
    assert_eq!(late, Vec::new());
    let outlook = due(&observatory.retention_outlook().await.unwrap());
    assert!(outlook.contains(&"observations 2026-04 a held".to_owned()), "{outlook:?}");
    assert!(outlook.contains(&"blobs 2026-05 b".to_owned()), "another mandate is not held: {outlook:?}");
    observatory.retain(&rule(), Bytes::AtOnce, |_| {}).await.unwrap();
    assert_eq!(csv(&observatory, COUNTS).await, ALL);
    clean(&observatory).await;
    observatory
        .casework()
        .release_hold(observatory.org(), &hold.hold_id, "settled", &rule(), observatory.now())
        .await
        .unwrap();
    let done = observatory.retain(&rule(), Bytes::AtOnce, |_| {}).await.unwrap();
    assert!(done.removed >= 1 && done.erased == done.removed, "{done:?}");
    assert_eq!(csv(&observatory, COUNTS).await, LEFT);
    clean(&observatory).await;
}

/// A hold that comes when an erasure is written down, and one that comes when its rows are out already.
#[tokio::test]
async fn a_hold_acts_on_what_is_under_way() {
    let world = World::new(POLICY).await;
    let observatory = world.at("2026-11-01T00:00:00Z").await;
    let (casework, org) = (observatory.casework(), observatory.org());
    let due = observatory.retention_outlook().await.unwrap();
    let april = due.due.iter().find(|due| due.shelf.table == "observations").unwrap();
    let shelf = serde_json::to_value(&april.shelf).unwrap();
    let now = observatory.now();
    let id = casework.intend_erasure(org, &shelf, &serde_json::json!({}), &rule(), now).await.unwrap();
    let lake = observatory.lake().await.unwrap();
    lake.intend(&NewErasure { erasure_id: id, shelf: april.shelf.clone() }, now).await.unwrap();
    let of_mandate = NewHold { mandate_id: Some("a".into()), reason: "inquiry".into(), ..NewHold::default() };
    let (hold, late) = observatory.hold(&of_mandate, &rule()).await.unwrap();
    assert_eq!(late, Vec::new());
    let done = observatory.retain(&rule(), Bytes::AtOnce, |_| {}).await.unwrap();
    assert_eq!(done.withdrawn, 1);
    assert_eq!(csv(&observatory, COUNTS).await, ALL);
    clean(&observatory).await;

    casework.release_hold(org, &hold.hold_id, "over", &rule(), now).await.unwrap();
    let files = world.parquet_files("observations");
    observatory.retain(&rule(), Bytes::AfterReaders, |_| {}).await.unwrap();
    assert_eq!(csv(&observatory, COUNTS).await, LEFT);
    let (hold, late) = observatory.hold(&of_mandate, &rule()).await.unwrap();
    assert!(late.iter().any(|record| record.shelf == shelf), "{late:?}");
    let observatory = world.at("2026-11-09T00:00:00Z").await;
    assert_eq!(observatory.tend_retention(false).await.unwrap().erased, 0);
    assert_eq!(world.parquet_files("observations"), files, "its bytes stay as long as the hold does");
    let casework = observatory.casework();
    casework.release_hold(org, &hold.hold_id, "over", &rule(), observatory.now()).await.unwrap();
    assert!(observatory.tend_retention(false).await.unwrap().erased >= 1);
    assert_eq!(world.parquet_files("observations"), files - 2);
    clean(&observatory).await;
}
