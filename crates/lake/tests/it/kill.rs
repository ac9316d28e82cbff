//! A process that writes the lake is killed at any instant, again and again: nothing that was committed is
//! lost, nothing is there twice, and whoever reads meanwhile sees no error.
//!
//! The process is this test program, started anew as [`writer`]; it is killed when it has said some number
//! of words, drawn from a seed, that tell where it is.

#![expect(clippy::disallowed_methods, reason = "the test starts, and kills, copies of itself")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use kenshin_lake::{Lake, Progress, Thoroughness};
use kenshin_observation::SensorId;
use kenshin_observation::schema::ServiceRow;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::search::service;
use super::{NOW, batch, csv, lake, observation};

/// Where the lake is, for the process that writes it.
const LAKE: &str = "KENSHIN_TEST_KILLED_LAKE";
/// Kills in a run of the tests; `KENSHIN_KILLS` asks for more.
const KILLS: usize = 20;
const ROWS: i64 = 3;

fn sensor() -> SensorId {
    SensorId::new(NOW, 3)
}

/// Commits batch after batch and keeps the lake in shape, until it is killed. In a run of the tests nobody
/// names a lake, and there is nothing to do.
#[tokio::test]
async fn writer() {
    let Some(location) = std::env::var_os(LAKE) else { return };
    let lake = Lake::open(location.to_str().unwrap()).await.unwrap();
    let say = |word: String| {
        // Not by `print!`, which a test harness holds back.
        let mut out = std::io::stdout();
        writeln!(out, "@{word}").unwrap();
        out.flush().unwrap();
    };
    let mut number = lake.last_sequence(sensor()).await.unwrap().unwrap_or(0);
    loop {
        number += 1;
        say(format!("commit {number}"));
        let rows = (0..ROWS).map(|row| observation(&format!("192.0.2.{}", row + 1), &format!("{number}")));
        lake.commit(&[batch(number, rows.collect())], NOW).await.unwrap();
        say(format!("committed {number}"));
        let known = lake.whole().progress(sensor()).await.unwrap();
        let rows: Vec<ServiceRow> = (known + 1..=number).map(seen).collect();
        lake.whole().add(rows, &[(sensor(), number)].into()).await.unwrap();
        say(format!("viewed {number}"));
        if number % 3 == 0 {
            say("compact".into());
            lake.compact(NOW, Thoroughness::All, |_, _, _| {}).await.unwrap();
            lake.whole().compact(NOW).await.unwrap();
        }
        if number % 5 == 0 {
            say("rebuild".into());
            let mut new = lake.whole().begin_anew(NOW).await.unwrap();
            new.write((1..=number).map(seen).collect()).await.unwrap();
            lake.whole().finish(new, &Progress::from([(sensor(), number)]), NOW).await.unwrap();
        }
    }
}

/// The service that a batch is about.
fn seen(number: i64) -> ServiceRow {
    service(&format!("198.51.{}.{} 23 telnet", number / 250, number % 250))
}

#[tokio::test]
async fn nothing_is_lost_and_nothing_twice() {
    let (folder, reader) = lake().await;
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut acknowledged = 0;
    let kills = std::env::var("KENSHIN_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    for kill in 0..kills {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::writer", "--nocapture", "--test-threads=1"])
            .env(LAKE, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut words = BufReader::new(writer.stdout.take().unwrap()).lines();
        let mut left = random.random_range(1..14);
        while left > 0 {
            let word = words.next().expect("the writer goes on until it is killed").unwrap();
            let Some((_, word)) = word.split_once('@') else { continue };
            left -= 1;
            if let Some(number) = word.strip_prefix("committed ") {
                acknowledged = number.parse().unwrap();
            }
        }
        // Somewhere in what it said last.
        for _ in 0..random.random_range(0..2_000) {
            std::thread::yield_now();
        }
        writer.kill().unwrap();
        writer.wait().unwrap();

        let anew = Lake::open(folder.path().to_str().unwrap()).await.unwrap();
        for lake in [&reader, &anew] {
            let committed = lake.last_sequence(sensor()).await.unwrap().unwrap_or(0);
            assert!(committed >= acknowledged, "kill {kill}: {committed} of {acknowledged}");
            let sql = "SELECT count(*) AS n, count(DISTINCT o.batch_id || ' ' || o.row) AS d FROM observations o JOIN batches b ON o.batch_id = b.batch_id";
            let rows = committed * ROWS;
            assert_eq!(csv(lake, sql).await, format!("n,d\n{rows},{rows}\n"), "kill {kill}");
            let known = lake.whole().progress(sensor()).await.unwrap();
            let services = lake.view().await.unwrap().services();
            assert_eq!(i64::try_from(services).unwrap(), known, "kill {kill}");
            let counted = csv(lake, "SELECT count(*) AS n FROM services").await;
            assert_eq!(counted, format!("n\n{known}\n"), "kill {kill}");
        }
    }
    assert!(acknowledged > 10, "{acknowledged} batches");
    // What the killed ones left half-done is completed or swept, and no file is missed.
    reader.compact(NOW, Thoroughness::All, |_, _, _| {}).await.unwrap();
    let report =
        kenshin_lake::integrity::verify(folder.path().to_str().unwrap(), true, |_| {}).await.unwrap();
    assert_eq!(report.faults, []);
}
