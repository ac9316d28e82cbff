//! Damage is found, told, and taken out; what is whole stays.

use std::fs;
use std::path::PathBuf;

use kenshin_lake::integrity::{FaultKind, repair, verify};
use kenshin_lake::{Lake, Limits};

use crate::{NOW, batch, csv, files_below, lake, observation};

/// The newest file of a table with this ending.
fn newest(folder: &tempfile::TempDir, within: &str, ending: &str) -> PathBuf {
    let within = folder.path().join(within);
    let files = files_below(&within, ending).into_iter().map(|name| within.join(name));
    files.max_by_key(|path| (fs::metadata(path).unwrap().modified().unwrap(), path.clone())).unwrap()
}

async fn two_batches() -> (tempfile::TempDir, String) {
    let (folder, lake) = lake().await;
    lake.commit(&[batch(1, vec![observation("192.0.2.1", "x"); 3])], NOW).await.unwrap();
    lake.commit(&[batch(2, vec![observation("192.0.2.2", "y"); 5])], NOW).await.unwrap();
    let location = lake.location().to_owned();
    (folder, location)
}

fn kinds(report: &kenshin_lake::integrity::Report) -> Vec<(String, FaultKind)> {
    report.faults.iter().map(|fault| (fault.table.clone(), fault.kind)).collect()
}

#[tokio::test]
async fn a_whole_lake_has_no_fault() {
    let (_folder, location) = two_batches().await;
    for deep in [false, true] {
        let report = verify(&location, deep, |_| {}).await.unwrap();
        assert_eq!(report.faults, [], "{report:?}");
        let observations = report.tables.iter().find(|table| table.table == "observations").unwrap();
        assert_eq!((observations.files, observations.rows, observations.strays), (2, 8, 0));
    }
    let (before, after) = repair(&location, NOW).await.unwrap();
    assert_eq!((before.faults, after.faults), (vec![], vec![]), "there was nothing to do");
}

#[tokio::test]
async fn a_lost_file_is_told_and_the_rest_can_be_read_again() {
    let (folder, location) = two_batches().await;
    let lost = newest(&folder, "observations", ".parquet");
    let kept = lost.with_extension("kept");
    fs::rename(&lost, &kept).unwrap();
    let report = verify(&location, false, |_| {}).await.unwrap();
    assert_eq!(kinds(&report), [("observations".to_owned(), FaultKind::LostFile)]);
    assert_eq!(report.faults[0].rows, Some(5));
    // Whoever has a copy puts it back.
    fs::rename(&kept, &lost).unwrap();
    assert_eq!(verify(&location, true, |_| {}).await.unwrap().faults, []);
    fs::remove_file(&lost).unwrap();
    let lake = Lake::open(&location).await.unwrap();
    assert!(lake.query("SELECT sum(row) FROM observations", Limits::default()).await.is_err());
    let (before, after) = repair(&location, NOW).await.unwrap();
    assert_eq!(kinds(&before), kinds(&report));
    assert_eq!(
        kinds(&after),
        [("batches".to_owned(), FaultKind::IncompleteBatch)],
        "what is gone stays told"
    );
    assert_eq!(
        (after.faults[0].rows, after.faults[0].detail.as_str()),
        (Some(5), "0 of its 5 observations are there")
    );
    assert_eq!(csv(&lake, "SELECT count(*) AS n FROM observations").await, "n\n3\n");
    // It goes on.
    lake.commit(&[batch(3, vec![observation("192.0.2.3", "z")])], NOW).await.unwrap();
    assert_eq!(csv(&lake, "SELECT count(*) AS n FROM observations").await, "n\n4\n");
}

#[tokio::test]
async fn salts_that_are_lost_stay_told() {
    let (folder, location) = two_batches().await;
    fs::remove_file(newest(&folder, "salts", ".parquet")).unwrap();
    let (before, after) = repair(&location, NOW).await.unwrap();
    assert_eq!(kinds(&before), [("salts".to_owned(), FaultKind::LostFile)]);
    // No observation of that batch can be proved any more.
    assert_eq!(kinds(&after), [("salts".to_owned(), FaultKind::IncompleteBatch)]);
    assert_eq!(after.faults[0].detail, "0 of its 5 salts are there");
}

#[tokio::test]
async fn torn_files_are_found_by_size_and_spoilt_ones_by_reading() {
    let (folder, location) = two_batches().await;
    let file = newest(&folder, "coverage", ".parquet");
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let found = verify(&location, false, |_| {}).await.unwrap();
    assert_eq!(kinds(&found), [("coverage".to_owned(), FaultKind::DamagedFile)]);
    // Of the same size, with bytes turned over in the data: only reading finds it.
    let mut spoilt = whole.clone();
    spoilt[4..40].iter_mut().for_each(|byte| *byte = !*byte);
    fs::write(&file, &spoilt).unwrap();
    assert_eq!(verify(&location, false, |_| {}).await.unwrap().faults, []);
    let found = verify(&location, true, |_| {}).await.unwrap();
    assert_eq!(kinds(&found), [("coverage".to_owned(), FaultKind::DamagedFile)]);
    let (_, after) = repair(&location, NOW).await.unwrap();
    assert_eq!(after.faults, []);
    // What was taken out lies there still, aside, whatever cleans up.
    assert_eq!(fs::read(file.with_added_extension("aside")).unwrap(), spoilt);
    assert_eq!(after.tables.iter().find(|table| table.table == "coverage").unwrap().strays, 1);
}

#[tokio::test]
async fn a_commit_that_was_cut_off_is_put_aside_and_comes_again() {
    // Bytes that are missing; of all of them there is an empty file.
    for missing in [9, usize::MAX] {
        let (folder, location) = two_batches().await;
        let commit = newest(&folder, "observations/_delta_log", ".json");
        let whole = fs::read(&commit).unwrap();
        fs::write(&commit, &whole[..whole.len().saturating_sub(missing)]).unwrap();
        let found = verify(&location, false, |_| {}).await.unwrap();
        assert_eq!(kinds(&found), [("observations".to_owned(), FaultKind::TornCommit)]);
        assert!(found.can_be_repaired());
        let (_, after) = repair(&location, NOW).await.unwrap();
        assert_eq!(kinds(&after), [("batches".to_owned(), FaultKind::IncompleteBatch)]);
        // The table has forgotten that it held the batch: when it comes again, its rows do.
        let lake = Lake::open(&location).await.unwrap();
        lake.commit(&[batch(2, vec![observation("192.0.2.2", "y"); 5])], NOW).await.unwrap();
        assert_eq!(verify(&location, true, |_| {}).await.unwrap().faults, []);
        assert_eq!(csv(&lake, "SELECT count(*) AS n FROM observations").await, "n\n8\n");
    }
}

#[tokio::test]
async fn a_commit_in_the_middle_cannot_be_helped() {
    let (folder, location) = two_batches().await;
    fs::write(folder.path().join("salts/_delta_log/00000000000000000001.json"), "{\"add\":").unwrap();
    let found = verify(&location, false, |_| {}).await.unwrap();
    assert_eq!(kinds(&found), [("salts".to_owned(), FaultKind::DamagedLog)]);
    assert!(!found.can_be_repaired());
    let (_, after) = repair(&location, NOW).await.unwrap();
    assert_eq!(kinds(&after), kinds(&found), "nothing was touched");
}
