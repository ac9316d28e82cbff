//! The lake on a real folder: exactly-once commits, SQL, limits, hostile text.

mod annex;
mod compact;
mod erasure;
mod fuzz;
mod integrity;
mod kill;
mod large;
mod search;

use std::fs;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use kenshin_lake::integrity::verify;
use kenshin_lake::view::Sight;
use kenshin_lake::{Committed, Format, Lake, LakeError, Limits, Places, Question, Selection};
use kenshin_observation::batch::{GENESIS, Seal};
use kenshin_observation::protocol::{Http, Records, Telnet};
use kenshin_observation::{
    Batch, BatchId, Blob, BlobClass, Check, Coverage, Direction, Endpoint, Observation, OrgId, Outcome,
    SensorId, SurveyId, TimeUs, Tlp,
};

pub(crate) const NOW: TimeUs = TimeUs::from_secs(1_790_000_000);

pub(crate) fn observation(addr: &str, text: &str) -> Observation {
    let telnet = Telnet { text: text.into(), ..Default::default() };
    Observation {
        org_id: OrgId::new(NOW, 1),
        mandate_id: "m-1".into(),
        survey_id: SurveyId::new(NOW, 2),
        sensor_id: SensorId::new(NOW, 3),
        tlp: Tlp::Amber,
        time: NOW,
        clock_error_us: None,
        subject: Endpoint::tcp(addr.parse().unwrap(), 23),
        vantage: Endpoint::tcp("198.18.0.1".parse().unwrap(), 40_000),
        direction: Direction::Probed,
        check: Check::Handshake,
        method_version: 1,
        attempt: 1,
        outcome: Outcome::Answered,
        reason: None,
        protocol: Some("telnet".into()),
        records: Records { telnet: Some(telnet.into()), ..Default::default() },
        blobs: vec![],
        labels: vec![],
    }
}

pub(crate) fn batch(sequence: i64, observations: Vec<Observation>) -> Batch {
    let key = SigningKey::from_bytes(&[1; 32]);
    let survey_id = SurveyId::new(NOW, 2);
    let sensor_id = SensorId::new(NOW, 3);
    let coverage = Coverage {
        survey_id,
        sensor_id,
        mandate_digest: "m".into(),
        target_digest: "t".into(),
        permutation_key: "k".into(),
        index_from: sequence * 10,
        index_to: sequence * 10 + 10,
        time_from: NOW,
        time_to: NOW,
        sent: 10,
        dropped: 0,
    };
    let seal = Seal {
        batch_id: BatchId::new(NOW, sequence.unsigned_abs().into()),
        sensor_id,
        survey_id,
        slice: sequence,
        sequence,
        previous: GENESIS.into(),
        mandate_digest: "m".into(),
        build: "test".into(),
        now: NOW,
        key: &key,
    };
    let blob = Blob { class: BlobClass::Banner, bytes: format!("login {sequence}").into_bytes() };
    Batch::seal(seal, observations, vec![coverage], vec![blob], || [9; 16])
}

pub(crate) async fn lake() -> (tempfile::TempDir, Lake) {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path().to_str().unwrap()).await.unwrap();
    (folder, lake)
}

pub(crate) async fn csv(lake: &Lake, sql: &str) -> String {
    lake.query(sql, Limits::default()).await.unwrap().render(Format::Csv).unwrap()
}

#[tokio::test]
async fn a_batch_is_committed_exactly_once() {
    let (folder, lake) = lake().await;
    let one = batch(1, vec![observation("192.0.2.1", "login: ")]);
    let two = batch(2, vec![observation("192.0.2.2", "login: "), observation("2001:db8::2", "login: ")]);
    assert_eq!(
        lake.commit(std::slice::from_ref(&one), NOW).await.unwrap(),
        Committed { new: 1, completed: 0, repeated: 0 }
    );
    assert_eq!(
        lake.commit(&[one.clone(), two.clone()], NOW).await.unwrap(),
        Committed { new: 1, completed: 0, repeated: 1 }
    );
    // A second process with a stale view, after a crash before the acknowledgement.
    let other = Lake::open(folder.path().to_str().unwrap()).await.unwrap();
    assert_eq!(
        other.commit(&[one, two], NOW).await.unwrap(),
        Committed { new: 0, completed: 0, repeated: 2 }
    );
    assert_eq!(lake.last_sequence(SensorId::new(NOW, 3)).await.unwrap(), Some(2));
    // What the other takes from now on, the first does not take again, though it knew what there was.
    let three = [batch(3, vec![observation("192.0.2.3", "login: ")])];
    assert_eq!(other.commit(&three, NOW).await.unwrap(), Committed { new: 1, completed: 0, repeated: 0 });
    assert_eq!(lake.commit(&three, NOW).await.unwrap(), Committed { new: 0, completed: 0, repeated: 1 });
    assert_eq!(csv(&lake, "SELECT count(*) AS n FROM observations").await, "n\n4\n");
    assert_eq!(csv(&lake, "SELECT count(*) AS n FROM salts").await, "n\n4\n");
    assert_eq!(
        csv(&lake, "SELECT sequence, rows FROM batches ORDER BY sequence").await,
        "sequence,rows\n1,1\n2,2\n3,1\n"
    );
    assert_eq!(lake.coverage(SurveyId::new(NOW, 2)).await.unwrap().len(), 3);
}

/// A log gets a checkpoint now and then: who wrote it, who reads on from before it and who opens the lake anew
/// find the same.
#[tokio::test]
async fn checkpoints_change_nothing() {
    let (folder, lake) = lake().await;
    let open = || async { Lake::open(folder.path().to_str().unwrap()).await.unwrap() };
    let other = open().await;
    let sealed = |sequence| batch(sequence, vec![observation(&format!("192.0.2.{sequence}"), "login: ")]);
    for sequence in 1..=45 {
        let by = if sequence % 3 == 0 { &other } else { &lake };
        let done = by.commit(&[sealed(sequence)], NOW).await.unwrap();
        assert_eq!(done, Committed { new: 1, completed: 0, repeated: 0 }, "{sequence}");
    }
    let log = fs::read_dir(folder.path().join("observations/_delta_log")).unwrap();
    let log = log.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut checkpoints: Vec<String> = log.filter(|name| name.ends_with(".parquet")).collect();
    checkpoints.sort_unstable();
    assert_eq!(checkpoints, [20, 40].map(|version| format!("{version:020}.checkpoint.parquet")));
    for lake in [lake, other, open().await] {
        assert_eq!(csv(&lake, "SELECT count(*) AS n FROM observations").await, "n\n45\n");
        assert_eq!(lake.last_sequence(SensorId::new(NOW, 3)).await.unwrap(), Some(45));
        let done = lake.commit(&[sealed(44), sealed(45)], NOW).await.unwrap();
        assert_eq!(done, Committed { new: 0, completed: 0, repeated: 2 });
    }
    let report = verify(folder.path().to_str().unwrap(), true, |_| {}).await.unwrap();
    assert!(report.faults.is_empty(), "{:?}", report.faults);
}

#[tokio::test]
async fn observations_come_back_as_they_were() {
    let (_folder, lake) = lake().await;
    let made = vec![observation("192.0.2.1", "\u{1b}[2J"), observation("2001:db8::2", "ようこそ")];
    lake.commit(&[batch(1, made.clone())], NOW).await.unwrap();
    let all = Selection { survey: Some(SurveyId::new(NOW, 2)), ..Default::default() };
    let mut back = lake.observations(&all).await.unwrap();
    back.sort_by_key(|o| o.subject);
    assert_eq!(back, made);
    let mut first = Vec::new();
    lake.each_observation(&all, |observation| {
        first.push(observation);
        ControlFlow::Break(())
    })
    .await
    .unwrap();
    assert_eq!(first, made[..1], "who reads them says when it is enough");
    let one = Selection { endpoint: Some(made[1].subject), spoken_only: true, ..Default::default() };
    assert_eq!(lake.observations(&one).await.unwrap(), made[1..]);
    let blob = Blob { class: BlobClass::Banner, bytes: b"login 1".to_vec() };
    assert_eq!(lake.blob(&blob.sha256()).await.unwrap(), Some(blob));
    assert_eq!(lake.blob("' OR true --").await.unwrap(), None);
}

/// The folder was written by version 1 of the schema, from the batch beside it.
#[tokio::test]
async fn a_lake_of_version_1_takes_rows_of_later_versions() {
    let testdata = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata"));
    let stored = |name: &str| -> Batch {
        serde_json::from_str(&fs::read_to_string(testdata.join("schema").join(name)).unwrap()).unwrap()
    };
    let (old, new) = (stored("batch-v1.json"), [stored("batch-v2.json"), stored("batch-v3.json")]);
    let folder = tempfile::tempdir().unwrap();
    copy(&testdata.join("lake/v1"), folder.path());
    let lake = Lake::open(folder.path().to_str().unwrap()).await.unwrap();
    let sorted = |mut observations: Vec<Observation>| {
        observations.sort_by_cached_key(|o| serde_json::to_string(o).unwrap());
        observations
    };
    let all = || async { sorted(lake.observations(&Selection::default()).await.unwrap()) };
    assert_eq!(all().await, sorted(old.observations.clone()));

    let mut expected = old.observations.clone();
    for (batch, repeated) in new.into_iter().zip([old, stored("batch-v2.json")]) {
        expected.extend(batch.observations.clone());
        let committed = lake.commit(&[repeated, batch], NOW).await.unwrap();
        assert_eq!(committed, Committed { new: 1, completed: 0, repeated: 1 });
    }
    assert_eq!(all().await, sorted(expected));
    let sql = "SELECT schema, count(*) AS n, count(dns) AS dns, count(ssh['hassh_server']) AS hassh, \
               count(labels) AS labels, count(tls['group']) AS groups FROM observations GROUP BY schema ORDER BY schema";
    // What comes to the lake now is stored as it is stored now, whatever version it was sealed in.
    let expected = "schema,n,dns,hassh,labels,groups\n1,11,0,0,0,0\n3,70,2,2,4,1\n";
    assert_eq!(csv(&lake, sql).await, expected);

    let reopened = Lake::open(folder.path().to_str().unwrap()).await.unwrap();
    assert_eq!(csv(&reopened, sql).await, expected);
}

/// Files below a folder with this ending, a table's log apart, by their paths in it.
pub(crate) fn files_below(folder: &Path, ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() && name != "_delta_log" {
            let below = files_below(&entry.path(), ending);
            found.extend(below.into_iter().map(|file| format!("{name}/{file}")));
        } else if name.ends_with(ending) {
            found.push(name);
        }
    }
    found
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[tokio::test]
async fn sql_knows_addresses() {
    let (_folder, lake) = lake().await;
    let addresses = ["192.0.2.1", "192.0.3.1", "2001:db8::2", "2001:db9::1"];
    lake.commit(&[batch(1, addresses.map(|a| observation(a, "x")).to_vec())], NOW).await.unwrap();
    for (prefix, expected) in [
        ("192.0.2.0/24", "192.0.2.1\n"),
        ("192.0.2.0/23", "192.0.2.1\n192.0.3.1\n"),
        ("0.0.0.0/0", "192.0.2.1\n192.0.3.1\n"),
        ("2001:db8::/32", "2001:db8::2\n"),
        ("2001:db8::2", "2001:db8::2\n"),
        ("198.51.100.0/24", ""),
    ] {
        for form in ["subject_addr_hi, subject_addr_lo", "subject_addr"] {
            let sql = format!(
                "SELECT subject_addr FROM observations WHERE in_cidr({form}, '{prefix}') ORDER BY subject_addr_hi, subject_addr_lo"
            );
            assert_eq!(csv(&lake, &sql).await, format!("subject_addr\n{expected}"), "{form} {prefix}");
        }
    }
    let error =
        lake.query("SELECT in_cidr(subject_addr, '192.0.2.1/24') FROM observations", Limits::default()).await;
    assert!(error.unwrap_err().to_string().contains("host bits"));
}

/// A prefix of the readable address is as fast as one of the two numbers: by comparisons of columns.
#[tokio::test]
async fn a_prefix_of_a_text_becomes_comparisons() {
    let (_folder, lake) = lake().await;
    lake.commit(&[batch(1, vec![observation("192.0.2.1", "x")])], NOW).await.unwrap();
    let plan = "EXPLAIN SELECT row FROM observations WHERE in_cidr(subject_addr, '192.0.2.0/24')";
    let plan = lake.query(plan, Limits::default()).await.unwrap().render(Format::Json).unwrap();
    assert!(!plan.contains("in_cidr") && plan.contains("subject_addr_lo"), "{plan}");
}

#[derive(Debug)]
struct Gazetteer;

impl Places for Gazetteer {
    fn edition(&self) -> &str {
        "gazetteer"
    }

    fn system(&self, addr: IpAddr) -> Option<(u32, Option<&str>)> {
        addr.is_ipv4().then_some((64500, Some("Nishi Net")))
    }

    fn country(&self, addr: IpAddr) -> Option<(&str, Option<&str>)> {
        Some(("JP", addr.is_ipv4().then_some("JP-13")))
    }
}

#[tokio::test]
async fn functions_tell_places_and_compare_versions() {
    let (_folder, lake) = lake().await;
    lake.commit(&[batch(1, vec![observation("192.0.2.1", "x"), observation("2001:db8::1", "y")])], NOW)
        .await
        .unwrap();
    let ask = async |sql: &str, places: Option<Arc<dyn Places>>| {
        let question = Question {
            sql: sql.into(),
            sight: Sight::All,
            limits: Limits::default(),
            places,
            annexes: Vec::new(),
        };
        lake.ask(&question).await.unwrap().render(Format::Csv).unwrap()
    };
    let sql = "SELECT asn(subject_addr) AS a, as_name(subject_addr) AS n, country(subject_addr_hi, subject_addr_lo) AS c, \
               region(subject_addr) AS r FROM observations ORDER BY subject_addr";
    assert_eq!(ask(sql, Some(Arc::new(Gazetteer))).await, "a,n,c,r\n64500,Nishi Net,JP,JP-13\n,,JP,\n");
    assert_eq!(ask(sql, None).await, "a,n,c,r\n,,,\n,,,\n");
    let sql = "SELECT version_cmp('1.9', '1.10') AS a, version_cmp('2020.81', '2020.81') AS b, version_cmp('2', '1.9') AS c, \
               version_cmp('x', '1') AS d, version_cmp(NULL, '1') AS e, asn('no address') AS f";
    assert_eq!(ask(sql, None).await, "a,b,c,d,e,f\n-1,0,1,,,\n");
}

/// A provider's answers are the same whether or not thousands of rows of others lie beside theirs:
/// results, what file statistics would answer, errors, and what is refused.
#[tokio::test]
async fn what_is_out_of_sight_changes_no_answer() {
    let (_one, alone) = lake().await;
    let (_two, crowded) = lake().await;
    let own: Vec<_> = (1..40).map(|host| observation(&format!("192.0.2.{host}"), "mine")).collect();
    let mut all = own.clone();
    all.extend((0..3_000).map(|n| observation(&format!("198.51.{}.{}", n / 250, n % 250), "foreign")));
    all.extend((0..250).map(|n| observation(&format!("192.0.1.{n}"), "foreign")));
    all.extend((0..250).map(|n| observation(&format!("2001:db8::{n:x}"), "foreign")));
    // A record that none of their own has: there is a column of it only among others.
    let of_others = Http { status: 200, server: Some("foreign".into()), ..Http::default() };
    for other in all[own.len()..].iter_mut().step_by(10) {
        other.records.http = Some(of_others.clone().into());
    }
    alone.commit(&[batch(1, own)], NOW).await.unwrap();
    crowded.commit(&[batch(1, all)], NOW).await.unwrap();
    let addr = |text: &str| text.parse::<IpAddr>().unwrap();
    let sight = Sight::Only(vec![
        (addr("192.0.2.0"), addr("192.0.2.19")),
        (addr("192.0.2.15"), addr("192.0.2.255")),
        (addr("203.0.113.0"), addr("203.0.113.255")),
    ]);
    for sql in [
        "SELECT count(*) AS n FROM observations",
        "SELECT min(subject_addr_lo) AS a, max(subject_addr_lo) AS b, min(subject_addr_hi) AS c, max(t) AS d FROM observations",
        "SELECT count(DISTINCT subject_addr) AS n, count(telnet) AS t FROM observations",
        "SELECT count(http['status']) AS n, count(http['cookie_names']) AS c, count(http) AS h FROM observations",
        "SELECT count(*) AS n FROM observations WHERE http['status'] = 0",
        "SELECT DISTINCT http['status'] AS s, http['server'] AS b, http['password_form'] AS f FROM observations",
        "SELECT subject_addr FROM observations ORDER BY subject_addr LIMIT 10",
        "SELECT telnet['text'] AS t, count(*) AS n FROM observations GROUP BY 1",
        "SELECT count(*) AS n FROM stored.observations",
        "SELECT count(*) AS n FROM observations WHERE subject_addr_hi < 0 OR true",
        "SELECT a.subject_addr FROM observations a FULL JOIN observations b ON a.row = b.row + 100000 ORDER BY 1",
        "SELECT subject_addr FROM observations WHERE in_cidr(subject_addr, '198.51.0.0/16')",
        "SELECT count(*) OVER () AS n FROM observations LIMIT 1",
        // Conditions that fail at rows out of sight.
        "SELECT count(*) AS n FROM observations WHERE 1 / (CASE WHEN telnet['text'] = 'mine' THEN 1 ELSE 0 END) = 1",
        "SELECT count(*) AS n FROM observations WHERE 100 / CAST(split_part(subject_addr, '.', 3) = '2' AS INT) > 0 AND subject_port = 23",
        "SELECT a.row FROM observations a JOIN observations b ON a.row = b.row AND 1 / CAST(b.telnet['text'] = 'mine' AS INT) = 1 ORDER BY 1 LIMIT 3",
        "SELECT count(*) AS n FROM services",
        "SELECT count(*) AS n FROM batches",
        "SELECT * FROM stored.coverage",
        "SELECT * FROM blobs",
        "SELECT * FROM datafusion.stored.salts",
        "SELECT * FROM information_schema.tables",
        "SELECT 1 / (count(*) - 39) FROM observations",
        "SELECT in_sight(subject_addr_hi, subject_addr_lo) FROM observations",
        "EXPLAIN SELECT * FROM observations",
        "EXPLAIN ANALYZE SELECT * FROM observations",
        "SELECT nothing FROM observations",
    ] {
        let ask = async |lake: &Lake| {
            let question = Question {
                sql: sql.into(),
                sight: sight.clone(),
                limits: Limits::default(),
                places: None,
                annexes: Vec::new(),
            };
            match lake.ask(&question).await {
                Ok(answer) => answer.render(Format::Csv).unwrap(),
                // Which function it proposes is drawn anew each time.
                Err(error) => format!("error: {error}").split("\nDid you mean").next().unwrap().to_owned(),
            }
        };
        let (one, other) = (ask(&alone).await, ask(&crowded).await);
        assert_eq!(one, other, "{sql}");
        assert!(!one.contains("198.51") && !one.contains("foreign"), "{sql}: {one}");
        let refused = [
            "batches",
            "coverage",
            "blobs",
            "salts",
            "information_schema",
            "EXPLAIN",
            "in_sight",
            "nothing",
            "- 39",
        ];
        assert_eq!(one.starts_with("error"), refused.iter().any(|word| sql.contains(word)), "{sql}: {one}");
    }
    let nobody = Question {
        sql: "SELECT count(*) AS n FROM observations".into(),
        sight: Sight::Only(Vec::new()),
        limits: Limits::default(),
        places: None,
        annexes: Vec::new(),
    };
    assert_eq!(crowded.ask(&nobody).await.unwrap().render(Format::Csv).unwrap(), "n\n0\n");
}

#[tokio::test]
async fn sql_is_read_only_and_limited() {
    let (_folder, lake) = lake().await;
    lake.commit(&[batch(1, vec![observation("192.0.2.1", "x"); 50])], NOW).await.unwrap();
    for sql in [
        "DROP VIEW observations",
        "CREATE TABLE t AS SELECT 1",
        "INSERT INTO stored.observations SELECT * FROM stored.observations",
        "SET datafusion.execution.batch_size = 1",
        "COPY (SELECT 1) TO '/nowhere.csv'",
        "SELECT nothing FROM observations",
        "SELECT row FROM observations WHERE row = $1",
        "SELECT row FROM observations WHERE row IN (SELECT ?)",
    ] {
        let error = lake.query(sql, Limits::default()).await.unwrap_err();
        assert!(matches!(error, LakeError::Query { .. }), "{sql}: {error}");
    }
    let few = Limits { rows: 49, ..Limits::default() };
    let error = lake.query("SELECT * FROM observations", few).await.unwrap_err();
    assert_eq!(error.to_string(), "the query was stopped: more than 49 rows");
    // 312 million rows that no statistics can answer for.
    let endless = "SELECT sum(a.row * b.row * c.row * d.row * e.row) FROM observations a, observations b, observations c, observations d, observations e";
    let no_time = Limits { time: std::time::Duration::ZERO, ..Limits::default() };
    let error = lake.query(endless, no_time).await;
    assert!(matches!(error, Err(LakeError::Limit { unit: "seconds", .. })));
    // Rows flow already when time is over.
    let little = Limits { time: std::time::Duration::from_millis(200), ..Limits::default() };
    let error = lake.query(endless, little).await;
    assert!(matches!(error, Err(LakeError::Limit { unit: "seconds", .. })));
}

#[tokio::test]
async fn an_answer_flows_and_its_columns_are_known_before() {
    let (_folder, lake) = lake().await;
    lake.commit(&[batch(1, vec![observation("192.0.2.1", "x"); 50])], NOW).await.unwrap();
    let question = |sql: &str, sight: &Sight, rows: usize| Question {
        sql: sql.to_owned(),
        sight: sight.clone(),
        limits: Limits { rows, ..Limits::default() },
        places: None,
        annexes: Vec::new(),
    };
    // 2,500 rows, in more than one batch or not.
    let pairs = "SELECT a.subject_addr AS addr, b.t AS t FROM observations a CROSS JOIN observations b";
    let asked = question(pairs, &Sight::All, 2_500);
    let mut rows = lake.answer(&asked).await.unwrap();
    assert_eq!(lake.columns(&asked).await.unwrap(), rows.schema);
    let mut found = 0;
    while let Some(batch) = rows.next().await.unwrap() {
        assert_eq!(batch.schema(), rows.schema);
        found += batch.num_rows();
    }
    assert_eq!(found, 2_500);
    assert!(rows.next().await.unwrap().is_none(), "nothing behind the last");
    let mut rows = lake.answer(&question(pairs, &Sight::All, 2_499)).await.unwrap();
    let stopped = loop {
        match rows.next().await {
            Ok(batch) => assert!(batch.is_some(), "the limit is told before the end"),
            Err(error) => break error,
        }
    };
    assert!(matches!(stopped, LakeError::Limit { limit: 2_499, unit: "rows" }));

    let names = async |sight: &Sight| -> Vec<&str> {
        lake.tables(sight).await.unwrap().into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(
        names(&Sight::All).await,
        ["batches", "blobs", "coverage", "erasures", "observations", "salts", "services"]
    );
    let nothing = Sight::Only(Vec::new());
    assert_eq!(names(&nothing).await, ["observations", "services"]);
    let explained = lake.columns(&question("EXPLAIN SELECT 1", &nothing, 1)).await;
    assert!(matches!(explained, Err(LakeError::Query { .. })));
}

#[tokio::test]
async fn hostile_text_is_harmless_where_it_is_shown() {
    let (_folder, lake) = lake().await;
    lake.commit(&[batch(1, vec![observation("192.0.2.1", "=cmd()\u{1b}[31m\u{202e}\"x,")])], NOW)
        .await
        .unwrap();
    let sql = "SELECT telnet['text'] AS text, telnet FROM observations";
    let answer = lake.query(sql, Limits::default()).await.unwrap();
    let table = answer.render(Format::Table).unwrap();
    assert!(!table.contains('\u{1b}') && !table.contains('\u{202e}'), "{table}");
    let csv = answer.render(Format::Csv).unwrap();
    assert!(csv.contains("\"'=cmd()\\u{1b}[31m\\u{202e}\"\"x,\""), "{csv}");
    let json = answer.render(Format::Json).unwrap();
    assert!(json.contains("\\u001b[31m"), "{json}");
    let empty = lake.query("SELECT row FROM observations WHERE false", Limits::default()).await.unwrap();
    assert_eq!(empty.render(Format::Json).unwrap(), "[]");
    assert_eq!(empty.render(Format::Csv).unwrap(), "row\n");
    // A spreadsheet runs nothing: whatever the type, whatever the name, whatever the keyboard.
    let sql = "SELECT arrow_cast('=1', 'Dictionary(Int32, Utf8)') AS \"=a()\", ' =1' AS b, '＝1' AS c, \
               arrow_cast('-1', 'LargeUtf8') AS d, -1 AS e, ['\u{202e}'] AS f, \
               arrow_cast(7, 'Dictionary(Int32, Int64)') AS g";
    let shown = "'=a(),b,c,d,e,f,g\n'=1,' =1,'＝1,'-1,-1,\"[\"\"\\u{202e}\"\"]\",7\n";
    assert_eq!(self::csv(&lake, sql).await, shown);
    assert_eq!(self::csv(&lake, "SELECT 1 AS \"@a\" WHERE false").await, "'@a\n");
}
