//! Files by month and mandate, merged and read.

use std::net::IpAddr;
use std::path::Path;

use deltalake::parquet::file::reader::{FileReader, SerializedFileReader};
use kenshin_lake::integrity::verify;
use kenshin_lake::{Lake, Selection, Thoroughness, Told};
use kenshin_observation::protocol::{Http, Records, Ssh};
use kenshin_observation::{Observation, TimeUs};

use super::{NOW, batch, copy, csv, files_below, lake, observation};

/// 2026-09-21, and so many months later.
fn month(later: i64) -> TimeUs {
    NOW.plus_secs(later * 30 * 86_400)
}

/// What sixty hosts said in a month, in another order each time.
fn round(number: i64) -> Vec<Observation> {
    let host = |n: i64| {
        let mut seen = observation(&format!("192.0.2.{}", n * 37 % 60), &format!("round {number}"));
        seen.time = month(number / 4).plus_secs(n);
        seen.mandate_id = ["m-1", "m-2"][usize::try_from(number % 2).unwrap()].to_owned();
        seen
    };
    (0..60).map(host).collect()
}

async fn rounds() -> (tempfile::TempDir, Lake) {
    let (folder, lake) = lake().await;
    for number in 0..12 {
        lake.commit(&[batch(number + 1, round(number))], month(number / 4)).await.unwrap();
    }
    (folder, lake)
}

fn parquet_files(folder: &Path) -> Vec<String> {
    files_below(&folder.join("observations"), ".parquet")
}

const QUESTIONS: [&str; 4] = [
    "SELECT month, mandate_id, count(*) AS n, min(t_us) AS a, max(t_us) AS b FROM observations GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT subject_addr, telnet['text'] AS t FROM observations ORDER BY 1, 2",
    "SELECT batch_id, row, bytes, mandate_id FROM salts ORDER BY 1, 2",
    "SELECT month, class, sha256, bytes FROM blobs ORDER BY 1, 2, 3",
];

#[tokio::test]
async fn files_are_kept_by_month_and_mandate_and_merged() {
    let (folder, lake) = rounds().await;
    let mut before = Vec::new();
    for sql in QUESTIONS {
        before.push(csv(&lake, sql).await);
    }
    assert!(before[0].starts_with("month,mandate_id,n,a,b\n2026-09,m-1,120,"), "{}", before[0]);
    assert_eq!(before[0].lines().count(), 7, "three months of two mandates");
    let files = parquet_files(folder.path());
    assert_eq!(files.len(), 12);
    assert!(files.iter().all(|file| file.starts_with("month=2026-")), "{files:?}");

    // Two months are over; in the third there are few files.
    let mut told = Vec::new();
    let done = lake.compact(month(2), Thoroughness::Due, |table, month, files| {
        told.push(format!("{table} {month} {files}"));
    });
    let done = done.await.unwrap();
    // Mandate by mandate.
    let expected = [
        "observations 2026-09 2",
        "observations 2026-10 2",
        "observations 2026-09 2",
        "observations 2026-10 2",
    ];
    assert_eq!(told[..4], expected);
    assert!(done.into < done.files && done.rows >= 480, "{done:?}");
    // Who looked before sees the same as who looks now, here and from elsewhere.
    let other = Lake::open(folder.path().to_str().unwrap()).await.unwrap();
    for (sql, before) in QUESTIONS.into_iter().zip(&before) {
        assert_eq!(&csv(&lake, sql).await, before, "{sql}");
        assert_eq!(&csv(&other, sql).await, before, "{sql}");
    }
    assert_eq!(other.compact(month(2), Thoroughness::Due, |_, _, _| {}).await.unwrap(), Default::default());
    let rest = other.compact(month(2), Thoroughness::All, |_, _, _| {}).await.unwrap();
    assert!(rest.files > 0);
    // What was replaced is deleted, but not while somebody may read it.
    assert!(parquet_files(folder.path()).len() > 12);
    other.compact(month(2).plus_secs(3_601), Thoroughness::All, |_, _, _| {}).await.unwrap();
    assert_eq!(parquet_files(folder.path()).len(), 6);
    for (sql, before) in QUESTIONS.into_iter().zip(&before) {
        assert_eq!(&csv(&lake, sql).await, before, "{sql}");
    }
    let report =
        kenshin_lake::integrity::verify(folder.path().to_str().unwrap(), true, |_| {}).await.unwrap();
    assert_eq!(report.faults, []);
}

/// One host through time: from many files, from few, and from files that are in no order.
/// A file has columns of the records that its rows have; whoever asks finds null where a file has none.
#[tokio::test]
async fn records_that_no_row_has_are_in_no_file() {
    let (folder, lake) = lake().await;
    let with = |number: u8, records: Records| {
        let mut seen = observation(&format!("192.0.2.{number}"), "x");
        seen.records = records;
        batch(number.into(), vec![seen])
    };
    let http = Http { status: 404, ..Http::default() };
    let ssh = Ssh { banner: "SSH-2.0-x".into(), ..Ssh::default() };
    let all = [
        Records { http: Some(http.clone().into()), ..Records::default() },
        Records { ssh: Some(ssh.into()), ..Records::default() },
        Records::default(),
        Records { http: Some(http.into()), ..Records::default() },
    ];
    for (number, records) in (1..).zip(all) {
        lake.commit(&[with(number, records)], NOW).await.unwrap();
    }
    let records_of_files = || {
        let records = |file: &String| {
            let file = std::fs::File::open(folder.path().join("observations").join(file)).unwrap();
            let columns =
                SerializedFileReader::new(file).unwrap().metadata().file_metadata().schema().clone();
            let names = columns.get_fields().iter().map(|column| column.name().to_owned());
            names.filter(|name| ["http", "ssh", "tls"].contains(&name.as_str())).collect::<Vec<_>>().join(" ")
        };
        let mut records: Vec<String> = parquet_files(folder.path()).iter().map(records).collect();
        records.sort();
        records
    };
    assert_eq!(records_of_files(), ["", "http", "http", "ssh"]);
    let questions = [
        (
            "SELECT http['status'] AS a, ssh['banner'] AS b, tls IS NULL AS c FROM observations ORDER BY 1, 2",
            "a,b,c\n404,,true\n404,,true\n,SSH-2.0-x,true\n,,true\n",
        ),
        ("SELECT count(*) AS n FROM observations WHERE http['status'] IS NULL", "n\n2\n"),
        ("SELECT count(*) AS n FROM observations WHERE http['status'] = 0 OR ssh['banner'] = ''", "n\n0\n"),
        ("SELECT count(*) AS n FROM observations WHERE http IS NULL AND ssh IS NULL", "n\n1\n"),
        ("SELECT count(tls['version']) AS n, count(http) AS h FROM observations", "n,h\n0,2\n"),
    ];
    let observed = async || {
        for (sql, expected) in questions {
            assert_eq!(csv(&lake, sql).await, expected, "{sql}");
        }
        let mut told = Vec::new();
        for number in 1..=4u8 {
            let addr = Some([192, 0, 2, number].into());
            let host =
                lake.hosts(&Told { addr, ..Told::default() }).await.unwrap().next().await.unwrap().unwrap();
            told.push(host[0].observation.clone());
        }
        assert_eq!(lake.observations(&Selection::default()).await.unwrap(), told);
        told
    };
    let before = observed().await;
    assert_eq!(before[0].records.http.as_ref().unwrap().status, 404);
    lake.compact(NOW, Thoroughness::All, |_, _, _| {}).await.unwrap();
    let merged = records_of_files();
    assert_eq!(merged.iter().filter(|records| *records == "http ssh").count(), 1, "{merged:?}");
    assert_eq!(observed().await, before);
    let location = folder.path().to_str().unwrap();
    assert!(verify(location, true, |_| {}).await.unwrap().faults.is_empty());
}

#[tokio::test]
async fn a_host_comes_in_the_order_of_time() {
    let (_folder, lake) = rounds().await;
    let addr: IpAddr = "192.0.2.17".parse().unwrap();
    for merged in [false, true] {
        if merged {
            lake.compact(month(3), Thoroughness::All, |_, _, _| {}).await.unwrap();
        }
        let mut hosts = lake.hosts(&Told { addr: Some(addr), ..Told::default() }).await.unwrap();
        let host = hosts.next().await.unwrap().unwrap();
        assert!(hosts.next().await.unwrap().is_none());
        let times: Vec<TimeUs> = host.iter().map(|one| one.observation.time).collect();
        assert_eq!(times.len(), 12);
        assert!(times.is_sorted());
        let mut all = lake.hosts(&Told::default()).await.unwrap();
        let mut seen = Vec::new();
        while let Some(host) = all.next().await.unwrap() {
            assert_eq!(host.len(), 12);
            seen.push(host[0].observation.subject.addr);
        }
        assert!(seen.len() == 60 && seen.is_sorted());
    }
}

/// A lake of an older version has one place for all months; merging leaves it readable.
#[tokio::test]
async fn an_old_lake_is_merged_too() {
    let folder = tempfile::tempdir().unwrap();
    copy(&Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata")).join("lake/v1"), folder.path());
    let lake = Lake::open(folder.path().to_str().unwrap()).await.unwrap();
    let before = lake.observations(&Selection::default()).await.unwrap();
    let mut number = lake.last_sequence(before[0].sensor_id).await.unwrap().unwrap();
    for nth in 0..3 {
        number += 1;
        let mut more = batch(number, round(nth));
        more.header.sensor_id = before[0].sensor_id;
        lake.commit(&[more], NOW).await.unwrap();
    }
    let sql = "SELECT subject_addr, batch_id, row FROM observations ORDER BY 1, 2, 3";
    let rows = csv(&lake, sql).await;
    let done = lake.compact(NOW, Thoroughness::All, |_, _, _| {}).await.unwrap();
    assert!(done.files > done.into, "{done:?}");
    assert_eq!(csv(&lake, sql).await, rows);
    assert_eq!(lake.observations(&Selection::default()).await.unwrap().len(), before.len() + 180);
}
