//! Rows are erased by whole files, proofs of the others stay, and nothing is lost that is not due.

use kenshin_lake::integrity::verify;
use kenshin_lake::{Lake, Matter, NewErasure, Removal, Shelf, Thoroughness};
use kenshin_observation::{BatchId, Observation, SurveyId, TimeUs};

use super::{NOW, batch, csv, files_below, lake, observation};

/// The first of a month of 2026.
fn first_of(month: u32) -> TimeUs {
    format!("2026-{month:02}-01T00:00:00Z").parse().unwrap()
}

/// Seven rows around the first of October: some in September, some in October.
fn around_october(number: u8, mandate: &str) -> Vec<Observation> {
    let row = |n: u8| {
        let mut seen = observation(&format!("192.0.2.{}", 200 - n), &format!("batch {number} row {n}"));
        seen.time = first_of(10).plus_secs(i64::from(n) - 3 - i64::from(number % 2));
        seen.mandate_id = mandate.to_owned();
        seen
    };
    (0..7).map(row).collect()
}

/// Four batches of two mandates, each of two months.
async fn filled() -> (tempfile::TempDir, Lake) {
    let (folder, lake) = lake().await;
    for number in 1..=4u8 {
        let rows = around_october(number, ["m-1", "m-2"][usize::from(number % 2)]);
        lake.commit(&[batch(number.into(), rows)], first_of(10)).await.unwrap();
    }
    (folder, lake)
}

fn shelf(table: &str, month: &str, mandate: &str, class: Option<&str>) -> Shelf {
    Shelf {
        table: table.into(),
        month: Some(month.into()),
        mandate_id: Some(mandate.into()),
        class: class.map(str::to_owned),
    }
}

fn erasure(id: &str, shelf: Shelf) -> NewErasure {
    NewErasure { erasure_id: id.into(), shelf }
}

async fn clean(lake: &Lake) {
    let report = verify(lake.location(), true, |_| {}).await.unwrap();
    assert_eq!(report.faults, [], "{report:?}");
}

/// Rows of each batch that are kept and erased; their proofs hold.
async fn proved(lake: &Lake) -> Vec<(u64, u64)> {
    let mut proved = Vec::new();
    for number in 1..=4 {
        let one = lake.prove(BatchId::new(NOW, number)).await.unwrap().unwrap();
        assert!(one.holds(), "{one:?}");
        proved.push((one.kept, one.erased));
    }
    proved
}

const COUNTS: &str = "SELECT month, mandate_id, count(*) AS n FROM observations GROUP BY 1, 2 ORDER BY 1, 2";
const BEFORE: &str = "month,mandate_id,n\n2026-09,m-1,6\n2026-09,m-2,8\n2026-10,m-1,8\n2026-10,m-2,6\n";
const AFTER: &str = "month,mandate_id,n\n2026-09,m-2,8\n2026-10,m-1,8\n2026-10,m-2,6\n";

#[tokio::test]
async fn erased_rows_are_gone_from_the_disk_and_the_rest_is_proved() {
    let (folder, lake) = filled().await;
    assert_eq!(csv(&lake, COUNTS).await, BEFORE);
    assert_eq!(proved(&lake).await, [(7, 0); 4]);
    let shelves = lake.shelves().await.unwrap();
    let due = shelf("observations", "2026-09", "m-1", None);
    assert_eq!((shelves[&due].files, shelves[&due].rows), (4, 6), "with two files of salts");

    let new = erasure("E1", due.clone());
    let intent = lake.intend(&new, first_of(11)).await.unwrap().unwrap();
    assert_eq!((intent.rows, intent.batches, intent.unproven, intent.files.len()), (6, 2, 0, 4));
    assert_eq!(lake.intend(&new, first_of(12)).await.unwrap(), Some(intent.clone()), "once");
    // Nothing happened yet.
    clean(&lake).await;
    assert_eq!(proved(&lake).await, [(7, 0); 4]);
    assert_eq!(csv(&lake, COUNTS).await, BEFORE);

    assert_eq!(lake.remove(&intent, first_of(11)).await.unwrap(), Removal::Done);
    assert_eq!(lake.remove(&intent, first_of(11)).await.unwrap(), Removal::Done, "again");
    assert_eq!(csv(&lake, COUNTS).await, AFTER);
    clean(&lake).await;
    assert_eq!(proved(&lake).await, [(7, 0), (4, 3), (7, 0), (4, 3)]);
    // Who reads the files can go on; merging leaves them to whoever took them out.
    lake.compact(first_of(12), Thoroughness::Due, |_, _, _| {}).await.unwrap();
    for file in &intent.files {
        let path = folder.path().join(&file.table).join(&file.path);
        use std::io::Read;
        let mut bytes = Vec::new();
        std::fs::File::open(path).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, file.bytes);
    }
    lake.delete_bytes(&intent, first_of(12), 0).await.unwrap();
    lake.delete_bytes(&intent, first_of(12), 0).await.unwrap();
    for file in &intent.files {
        assert!(!folder.path().join(&file.table).join(&file.path).exists(), "{file:?}");
    }
    assert_eq!(csv(&lake, "SELECT count(*) AS n FROM salts").await, "n\n22\n");
    // And from elsewhere, with the other month erased as well.
    let other = Lake::open(lake.location()).await.unwrap();
    let rest = erasure("E2", shelf("observations", "2026-10", "m-1", None));
    let intent = other.intend(&rest, first_of(12)).await.unwrap().unwrap();
    assert_eq!(other.remove(&intent, first_of(12)).await.unwrap(), Removal::Done);
    clean(&lake).await;
    assert_eq!(proved(&lake).await, [(7, 0), (0, 7), (7, 0), (0, 7)]);
    assert_eq!(lake.prove(BatchId::new(NOW, 99)).await.unwrap(), None);
}

/// What is not erased can not be passed off as what was, nor the other way round.
#[tokio::test]
async fn a_proof_does_not_hold_with_other_rows() {
    let (folder, lake) = filled().await;
    // Files are lost, and taken out of the table as `repair` does: that is no erasure.
    let lost = files_below(&folder.path().join("observations/month=2026-09"), ".parquet");
    std::fs::remove_file(folder.path().join("observations/month=2026-09").join(&lost[0])).unwrap();
    kenshin_lake::integrity::repair(lake.location(), NOW).await.unwrap();
    let lake = Lake::open(lake.location()).await.unwrap();
    let mut broken = 0;
    for number in 1..=4 {
        let one = lake.prove(BatchId::new(NOW, number)).await.unwrap().unwrap();
        broken += u32::from(!one.holds() && one.root.is_none() && one.kept < 7);
    }
    assert_eq!(broken, 1);
}

#[tokio::test]
async fn files_that_were_merged_meanwhile_are_not_taken_out() {
    let (_folder, lake) = filled().await;
    let new = erasure("E1", shelf("observations", "2026-09", "m-1", None));
    let intent = lake.intend(&new, first_of(11)).await.unwrap().unwrap();
    let elsewhere = Lake::open(lake.location()).await.unwrap();
    elsewhere.compact(first_of(12), Thoroughness::All, |_, _, _| {}).await.unwrap();
    assert_eq!(lake.remove(&intent, first_of(12)).await.unwrap(), Removal::Changed);
    assert_eq!(csv(&lake, COUNTS).await, BEFORE);
    clean(&lake).await;
    assert_eq!(proved(&lake).await, [(7, 0); 4], "an intent that was given up counts for nothing");
    let again = erasure("E2", new.shelf);
    let intent = lake.intend(&again, first_of(12)).await.unwrap().unwrap();
    assert_eq!(lake.remove(&intent, first_of(12)).await.unwrap(), Removal::Done);
    assert_eq!(csv(&lake, COUNTS).await, AFTER);
    clean(&lake).await;
    assert_eq!(proved(&lake).await, [(7, 0), (4, 3), (7, 0), (4, 3)]);
}

/// A legal hold stops an erasure whose rows are out: for as long as its statement is not written, its bytes
/// stay, even when the log has forgotten that they were taken out.
#[tokio::test]
async fn bytes_of_an_erasure_that_waits_outlive_the_log() {
    let (folder, lake) = filled().await;
    let new = erasure("E1", shelf("observations", "2026-09", "m-1", None));
    // The log forgets what was taken out a week ago, by the clock of the machine.
    let long_ago = "2001-01-01T00:00:00Z".parse().unwrap();
    let late = "2200-01-01T00:00:00Z".parse().unwrap();
    let intent = lake.intend(&new, long_ago).await.unwrap().unwrap();
    assert_eq!(lake.remove(&intent, long_ago).await.unwrap(), Removal::Done);
    // Enough for a checkpoint.
    for number in 5..30 {
        let mut seen = observation("192.0.2.77", "later");
        seen.time = first_of(11);
        lake.commit(&[batch(number, vec![seen])], first_of(11)).await.unwrap();
    }
    let there = || {
        let files = intent.files.iter();
        files.filter(|file| folder.path().join(&file.table).join(&file.path).exists()).count()
    };
    assert!(there() >= 2, "files of observations and of salts");
    let whole = there();
    let again = Lake::open(lake.location()).await.unwrap();
    for lake in [&lake, &again] {
        lake.compact(late, Thoroughness::Due, |_, _, _| {}).await.unwrap();
        assert_eq!(there(), whole);
    }
    assert_eq!(
        csv(&lake, "SELECT count(*) AS n FROM observations WHERE mandate_id = 'm-1' AND month = '2026-09'")
            .await,
        "n\n0\n"
    );
    lake.delete_bytes(&intent, late, 0).await.unwrap();
    assert_eq!(there(), 0);
}

#[tokio::test]
async fn blobs_go_by_class_and_coverage_by_month() {
    let (folder, lake) = filled().await;
    let month = NOW.month();
    for (id, due) in
        [("B", shelf("blobs", &month, "m-1", Some("banner"))), ("C", shelf("coverage", &month, "m-2", None))]
    {
        assert!(lake.shelves().await.unwrap().contains_key(&due), "{due:?}");
        let intent = lake.intend(&erasure(id, due.clone()), first_of(11)).await.unwrap().unwrap();
        assert_eq!((intent.rows, intent.batches), (2, 0));
        assert_eq!(lake.remove(&intent, first_of(11)).await.unwrap(), Removal::Done);
        lake.delete_bytes(&intent, first_of(11), 0).await.unwrap();
        assert!(!lake.shelves().await.unwrap().contains_key(&due));
        assert_eq!(lake.intend(&erasure("X", due), first_of(11)).await.unwrap(), None, "nothing is left");
        for file in intent.files {
            assert!(!folder.path().join(file.table).join(file.path).exists());
        }
    }
    let left = "SELECT mandate_id, count(*) AS n FROM blobs GROUP BY 1 UNION ALL \
                SELECT mandate_id, count(*) FROM coverage GROUP BY 1 ORDER BY 1";
    assert_eq!(csv(&lake, left).await, "mandate_id,n\nm-1,2\nm-2,2\n");
    clean(&lake).await;
    assert_eq!(proved(&lake).await, [(7, 0); 4]);
}

#[tokio::test]
async fn it_is_known_in_which_months_a_matter_is() {
    let (_folder, lake) = filled().await;
    let months = async |matter: Matter| -> Vec<String> {
        let found = lake.months_of(matter).await.unwrap();
        found.into_iter().map(|(month, mandate)| format!("{month} {mandate}")).collect()
    };
    let everything = ["2026-09 m-1", "2026-09 m-2", "2026-10 m-1", "2026-10 m-2"];
    let survey = Matter { survey: Some(SurveyId::new(NOW, 2)), ..Matter::default() };
    assert_eq!(months(survey).await, everything);
    assert!(months(Matter { survey: Some(SurveyId::new(NOW, 9)), ..survey }).await.is_empty());
    // The last rows of all batches are in October.
    let at = |prefix: &str| Matter { prefix: Some(prefix.parse().unwrap()), ..Matter::default() };
    assert_eq!(months(at("192.0.2.194/32")).await, everything[2..]);
    assert_eq!(months(at("192.0.2.192/26")).await, everything);
    assert!(months(at("2001:db8::/32")).await.is_empty());
}

/// The folder was written by version 1, whose files have no month.
#[tokio::test]
async fn rows_of_version_1_are_put_apart_and_can_be_erased() {
    let testdata = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata"));
    let folder = tempfile::tempdir().unwrap();
    super::copy(&testdata.join("lake/v1"), folder.path());
    let lake = Lake::open(folder.path().to_str().unwrap()).await.unwrap();
    let stored = std::fs::read_to_string(testdata.join("schema/batch-v1.json")).unwrap();
    let stored: kenshin_observation::Batch = serde_json::from_str(&stored).unwrap();
    let questions = [
        "SELECT batch_id, row, subject_addr, t_us, mandate_id, http['title'] AS x FROM observations ORDER BY 1, 2",
        "SELECT batch_id, row, salt FROM salts ORDER BY 1, 2",
        "SELECT sha256, class, size, mandate_id FROM blobs ORDER BY 1, 2",
        "SELECT batch_id, index_from, index_to, t_from, sent FROM coverage ORDER BY 1, 2",
    ];
    let mut before = Vec::new();
    for sql in questions {
        before.push(csv(&lake, sql).await);
    }
    assert!(lake.shelves().await.unwrap().keys().all(|shelf| shelf.month.is_none()));
    assert!(lake.months_of(Matter::default()).await.unwrap().is_empty(), "nothing can be told yet");
    lake.compact(first_of(11), Thoroughness::Due, |_, _, _| {}).await.unwrap();
    assert!(lake.shelves().await.unwrap().keys().all(|shelf| shelf.month.is_none()), "only when asked");
    let done = lake.compact(first_of(11), Thoroughness::All, |_, _, _| {}).await.unwrap();
    assert!(done.files >= 4 && done.rows >= 2 * stored.observations.len() as u64, "{done:?}");
    let again = lake.compact(first_of(11), Thoroughness::All, |_, _, _| {}).await.unwrap();
    assert_eq!(again, Default::default(), "once");
    let other = Lake::open(lake.location()).await.unwrap();
    for (sql, before) in questions.into_iter().zip(&before) {
        assert_eq!(&csv(&lake, sql).await, before, "{sql}");
        assert_eq!(&csv(&other, sql).await, before, "{sql}");
    }
    clean(&lake).await;
    // It goes on, and what is erased is proved.
    lake.commit(&[batch(1, around_october(1, "m-1"))], first_of(11)).await.unwrap();
    let shelves = lake.shelves().await.unwrap();
    assert!(shelves.keys().all(|shelf| shelf.month.is_some() && shelf.mandate_id.is_some()), "{shelves:?}");
    let month = stored.observations[0].time.month();
    let due = shelf("observations", &month, &stored.observations[0].mandate_id, None);
    let intent = lake.intend(&erasure("E1", due), first_of(11)).await.unwrap().unwrap();
    assert_eq!((intent.rows, intent.unproven), (stored.header.rows.unsigned_abs(), 0));
    assert_eq!(lake.remove(&intent, first_of(11)).await.unwrap(), Removal::Done);
    let proved = lake.prove(stored.header.batch_id).await.unwrap().unwrap();
    assert!(proved.holds() && proved.kept == 0, "{proved:?}");
    clean(&lake).await;
}
