//! SQL over several processes: workers that are real processes on loopback, and answers that are the same
//! with them, without them, and when they are killed.

#![expect(clippy::disallowed_methods, reason = "the harness stops the processes under test")]

use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use ed25519_dalek::SigningKey;
use futures::StreamExt;
use kenshin_insight::intelligence::{AddressTable, Importer, Intelligence, IntelligenceKind};
use kenshin_lake::cluster::{Cluster, Division, Secret};
use kenshin_lake::view::Sight;
use kenshin_lake::{Annex, AnnexRows, Format, Lake, Limits, Mandates, Places, Progress, Question};
use kenshin_observation::batch::{GENESIS, Seal};
use kenshin_observation::schema::{SERVICE_VERSION, ServiceRow};
use kenshin_observation::{Batch, BatchId, Endpoint, Observation, TimeUs, addr_to_hi_lo};

use crate::namespace::Namespace;
use crate::process::{expect, expect_error, kenshin, skip};

const NOW: TimeUs = TimeUs::from_secs(1_600_000_000);
const BATCHES: u8 = 8;
const ROWS: u16 = 500;
/// Where this test's workers listen.
const WORKERS: [&str; 2] = ["127.41.0.1:0", "127.41.0.2:0"];

/// What is asked, and whether workers can have a part in it.
const QUESTIONS: &[(&str, bool)] = &[
    ("SELECT subject_port, count(*) AS n FROM observations GROUP BY 1 ORDER BY 1", true),
    ("SELECT count(*) AS n FROM services", true),
    (
        "SELECT vendor, version, count(*) AS n, min(addr) AS first FROM services GROUP BY 1, 2 ORDER BY 1, 2",
        true,
    ),
    ("SELECT count(*) AS n FROM services WHERE version_cmp(version, '1.10') >= 0", true),
    ("SELECT addr, port, version FROM services ORDER BY addr, port", true),
    ("SELECT count(DISTINCT subject_addr) AS n, min(t) AS a, max(t) AS b FROM observations", true),
    ("SELECT country(subject_addr) AS c, count(*) AS n FROM observations GROUP BY 1 ORDER BY 1", true),
    (
        "SELECT country(addr_hi, addr_lo) AS c, vendor, count(*) AS n FROM services GROUP BY 1, 2 ORDER BY 1, 2",
        true,
    ),
    (
        "SELECT subject_addr FROM observations WHERE in_cidr(subject_addr, '192.0.2.128/26') GROUP BY 1 ORDER BY 1",
        true,
    ),
    (
        "SELECT s.vendor, count(*) AS n FROM observations o JOIN services s \
         ON o.subject_addr_hi = s.addr_hi AND o.subject_addr_lo = s.addr_lo GROUP BY 1 ORDER BY 1",
        true,
    ),
    (
        "SELECT addr FROM services WHERE addr NOT IN (SELECT subject_addr FROM observations WHERE subject_port < 30) \
         ORDER BY addr",
        true,
    ),
    ("SELECT count(*) AS n FROM observations WHERE subject_port = (SELECT max(port) FROM services)", true),
    (
        "SELECT what, count(*) AS n FROM (SELECT 'o' AS what, subject_port AS port FROM observations \
         UNION ALL SELECT 's', port FROM services) GROUP BY 1 ORDER BY 1",
        true,
    ),
    (
        "SELECT addr, port, row_number() OVER (PARTITION BY vendor ORDER BY addr, port) AS nth FROM services \
         ORDER BY addr, port LIMIT 30",
        true,
    ),
    ("SELECT DISTINCT protocol, \"check\" FROM observations ORDER BY 1, 2", true),
    ("SELECT subject_addr, t FROM observations ORDER BY t DESC, subject_addr LIMIT 7", true),
    ("SELECT median(subject_port) AS m, stddev(subject_port) > 0 AS s FROM observations", true),
    (
        "WITH RECURSIVE up AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM up WHERE n < 5) \
         SELECT up.n, count(*) AS c FROM up, services WHERE services.port % 5 = up.n GROUP BY 1 ORDER BY 1",
        false,
    ),
    // What is kept elsewhere is nothing that workers have.
    (
        "SELECT vendor, price, count(*) AS n FROM services JOIN prices USING (vendor) GROUP BY 1, 2 ORDER BY 1",
        false,
    ),
    ("SELECT 1 / (count(*) - count(*)) AS n FROM observations", false),
    ("SELECT nothing FROM services", false),
];

fn batch(number: u8) -> Batch {
    let sample: Batch =
        serde_json::from_str(include_str!("../../../../testdata/schema/batch-v3.json")).unwrap();
    let row = sample.observations.iter().find(|row| row.protocol.is_some()).unwrap();
    let rows = (0..ROWS).map(|n| Observation {
        time: NOW.plus_secs(i64::from(n) + i64::from(number)),
        subject: Endpoint { addr: host(n + u16::from(number) * 37), port: 20 + n % 40, ..row.subject },
        mandate_id: if is_near(n + u16::from(number) * 37) { NEAR } else { "far" }.to_owned(),
        ..row.clone()
    });
    let seal = Seal {
        batch_id: BatchId::new(NOW, number.into()),
        sensor_id: row.sensor_id,
        survey_id: row.survey_id,
        slice: number.into(),
        sequence: number.into(),
        previous: GENESIS.into(),
        mandate_digest: "m".into(),
        build: "test".into(),
        now: NOW,
        key: &SigningKey::from_bytes(&[1; 32]),
    };
    Batch::seal(seal, rows.collect(), Vec::new(), Vec::new(), || [number; 16])
}

/// The mandate under which the half in the first prefix is observed.
const NEAR: &str = "near";

fn is_near(n: u16) -> bool {
    n.is_multiple_of(2)
}

/// Half of them in one prefix, half in the other.
fn host(n: u16) -> IpAddr {
    let last = (n / 2 % 250) as u8;
    if is_near(n) { [192, 0, 2, last].into() } else { [198, 51, 100, last].into() }
}

fn services(from: u16, to: u16, version: &str, days: i64) -> Vec<ServiceRow> {
    let row = |n: u16| {
        let (addr_hi, addr_lo) = addr_to_hi_lo(host(n));
        let seen = NOW.plus_secs(days * 86_400).micros();
        ServiceRow {
            schema: SERVICE_VERSION,
            addr_hi,
            addr_lo,
            port: 20 + i32::from(n % 40),
            transport: "tcp".into(),
            state: "answered".into(),
            vendor: Some(["Buffalo", "Example"][usize::from(n % 2)].to_owned()),
            version: Some(version.to_owned()),
            first_us: NOW.micros(),
            seen_us: seen,
            asked_us: seen,
            known_us: seen,
            tlp: "TLP:AMBER".into(),
            ..ServiceRow::default()
        }
    };
    (from..to).map(row).collect()
}

/// Observations in many files, and services of which newer files have taken the place of many in older ones.
async fn fill(location: &str) {
    let lake = Lake::open(location).await.unwrap();
    for number in 1..=BATCHES {
        lake.commit(&[batch(number)], NOW).await.unwrap();
    }
    let sensor = batch(1).header.sensor_id;
    let near = lake.view_of(&near().extent()).await.unwrap();
    let made = near.begin_anew(NOW).await.unwrap();
    near.finish(made, &Progress::new(), NOW).await.unwrap();
    for (sequence, rows) in [
        (1, services(0, 500, "1.2", 0)),
        (2, services(100, 300, "1.10", 1)),
        (3, services(250, 420, "2.0", 2)),
    ] {
        let of_near = rows.iter().filter(|row| row.addr() < IpAddr::from([198, 0, 0, 0])).cloned();
        near.add(of_near.collect(), &[(sensor, sequence)].into()).await.unwrap();
        lake.whole().add(rows, &[(sensor, sequence)].into()).await.unwrap();
    }
}

/// Who sees what was observed under one mandate.
fn near() -> Sight {
    Sight::Mandates(Mandates::new([NEAR.to_owned()]).unwrap())
}

/// A table of countries under a name.
#[derive(Debug)]
struct Countries(String, AddressTable);

impl Places for Countries {
    fn edition(&self) -> &str {
        &self.0
    }

    fn system(&self, _: IpAddr) -> Option<(u32, Option<&str>)> {
        None
    }

    fn country(&self, addr: IpAddr) -> Option<(&str, Option<&str>)> {
        Some((self.1.country(addr)?, None))
    }
}

/// A table that the hub has and nobody else.
#[derive(Debug)]
struct Prices;

impl Annex for Prices {
    fn name(&self) -> &'static str {
        "prices"
    }

    fn schema(&self) -> SchemaRef {
        let vendor = Field::new("vendor", DataType::Utf8, false);
        Arc::new(Schema::new(vec![vendor, Field::new("price", DataType::Int64, false)]))
    }

    fn rows(&self, columns: &[usize]) -> AnnexRows {
        let vendors: ArrayRef = Arc::new(StringArray::from(vec!["Buffalo", "Example"]));
        let prices: ArrayRef = Arc::new(Int64Array::from(vec![12, 34]));
        let whole = RecordBatch::try_new(self.schema(), vec![vendors, prices]).unwrap();
        let batch = whole.project(columns).map_err(Into::into);
        futures::stream::once(async { batch }).boxed()
    }
}

/// A table, which comes to lie in the folder that workers look in when there is one.
fn countries(text: &str, folder: Option<&Path>) -> Arc<dyn Places> {
    let mut importer = Importer::new(IntelligenceKind::Country);
    importer.read("countries.csv", text.as_bytes()).unwrap();
    let snapshot = importer.finish(NOW.into()).snapshot;
    let name = format!("country-{}", snapshot.sha256);
    if let Some(folder) = folder {
        std::fs::create_dir_all(folder).unwrap();
        let mut written = Vec::new();
        snapshot.write(&mut written).unwrap();
        std::fs::write(folder.join(format!("{name}.jsonl")), written).unwrap();
    }
    Arc::new(Countries(name, Intelligence::new(vec![snapshot]).addresses()))
}

pub(crate) fn secret(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// A worker, killed when it is dropped.
pub(crate) struct Worker {
    child: Child,
    pub(crate) url: String,
    /// What it said.
    told: Arc<Mutex<String>>,
}

impl Worker {
    pub(crate) fn start(home: &Path, lake: &str, secret: &Path, listen: &str) -> Self {
        Self::run(kenshin(home), lake, secret, listen)
    }

    fn run(mut program: Command, lake: &str, secret: &Path, listen: &str) -> Self {
        let mut child = program
            .args(["worker", "--listen", listen, "--lake", lake, "--secret"])
            .arg(secret)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut first = String::new();
        lines.read_line(&mut first).unwrap();
        let url = first.split_whitespace().find(|word| word.starts_with("https://"));
        let url = url.unwrap_or_else(|| panic!("no address: {first}")).to_owned();
        let told = Arc::new(Mutex::new(first));
        let telling = told.clone();
        std::thread::spawn(move || {
            let mut line = String::new();
            while lines.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
                telling.lock().unwrap().push_str(&std::mem::take(&mut line));
            }
        });
        Self { child, url, told }
    }

    fn two(home: &Path, lake: &str, secret: &Path) -> [Self; 2] {
        WORKERS.map(|listen| Self::start(home, lake, secret, listen))
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Every address that a connection of this process leads to.
    fn peers(&self) -> Vec<String> {
        let folder = PathBuf::from(format!("/proc/{}", self.child.id()));
        let sockets: Vec<String> = std::fs::read_dir(folder.join("fd"))
            .unwrap()
            .filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok()?.to_str().map(str::to_owned))
            .filter_map(|link| Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
            .collect();
        let tables = ["net/tcp", "net/tcp6", "net/udp", "net/udp6"];
        let text: String =
            tables.iter().map(|table| std::fs::read_to_string(folder.join(table)).unwrap()).collect();
        text.lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .filter(|words| words.len() > 9 && sockets.iter().any(|socket| socket == words[9]))
            .map(|words| words[2].to_owned())
            .collect()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lake as a hub with these workers has it. All is divided, however little it is.
async fn hub(location: &str, secret: &Path, workers: &[&Worker]) -> Lake {
    hub_of(location, secret, workers, 2).await
}

/// The same, for workers with so many processors.
async fn hub_of(location: &str, secret: &Path, workers: &[&Worker], cores: usize) -> Lake {
    let workers: Vec<String> = workers.iter().map(|worker| worker.url.clone()).collect();
    let division = Division { cores, least_bytes: 1 };
    let cluster = Cluster::new(&workers, Secret::read(secret).unwrap(), division).unwrap();
    Lake::open(location).await.unwrap().with_cluster(cluster)
}

/// An answer, and whether workers had a part in it.
async fn ask(lake: &Lake, sql: &str, sight: &Sight, places: &Arc<dyn Places>) -> (String, bool) {
    let limits = Limits { time: Duration::from_secs(60), ..Limits::default() };
    let question = Question {
        sql: sql.into(),
        sight: sight.clone(),
        limits,
        places: Some(places.clone()),
        annexes: vec![Arc::new(Prices)],
    };
    let mut rows = match lake.answer(&question).await {
        Ok(rows) => rows,
        Err(error) => return (format!("error: {error}").lines().next().unwrap().to_owned(), false),
    };
    let (schema, divided, mut batches) = (rows.schema.clone(), rows.is_divided(), Vec::new());
    loop {
        match rows.next().await {
            Ok(Some(batch)) => batches.push(batch),
            Ok(None) => break,
            Err(error) => return (format!("error: {error}"), divided),
        }
    }
    (kenshin_lake::Answer { schema, batches }.render(Format::Csv).unwrap(), divided)
}

#[test]
fn workers_change_how_fast_an_answer_comes_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    expect(&home, 0, &["init", "--organisation", "Example CSIRT"]);
    let location = home.join("lake").to_str().unwrap().to_owned();
    let ours = secret(folder.path(), "ours", "0123456789abcdef0123456789abcdef\n");
    let other = secret(folder.path(), "other", "fedcba9876543210fedcba9876543210\n");
    let known =
        countries("192.0.2.0,192.0.2.255,JP\n198.51.100.0,198.51.100.255,DE\n", Some(&home.join("intel")));
    let newer = countries("192.0.2.0,192.0.2.255,FR\n198.51.100.0,198.51.100.255,DE\n", None);
    let some = Sight::Only(vec![([192, 0, 2, 0].into(), [192, 0, 2, 99].into())]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        fill(&location).await;
        let alone = Lake::open(&location).await.unwrap();
        let [one, two] = Worker::two(&home, &location, &ours);
        let helped = hub(&location, &ours, &[&one, &two]).await;

        for (sql, divisible) in QUESTIONS {
            for sight in [&Sight::All, &some, &near()] {
                let (expected, _) = ask(&alone, sql, sight, &known).await;
                let (answer, divided) = ask(&helped, sql, sight, &known).await;
                assert_eq!(answer, expected, "{sql}");
                assert_eq!(divided, *divisible, "{sql} {sight:?}: {}", one.told.lock().unwrap());
                if *sight != Sight::All {
                    assert!(!answer.contains("198.51.") && !answer.contains("DE"), "{sql}: {answer}");
                }
            }
        }
        let counted = "SELECT count(*) AS n FROM services";
        assert_eq!(
            ask(&helped, counted, &Sight::All, &known).await.0,
            "n\n500\n",
            "superseded rows are gone"
        );
        // A worker that has other tables of places than the hub says so, and the hub's hold.
        let by_country =
            "SELECT country(subject_addr) AS c, count(*) AS n FROM observations GROUP BY 1 ORDER BY 1";
        let (answer, divided) = ask(&helped, by_country, &Sight::All, &newer).await;
        assert!(answer.contains("FR") && !answer.contains("JP") && !divided, "{answer}");
        assert!(ask(&helped, counted, &Sight::All, &newer).await.1, "what tells no places needs none");

        let small = hub_of(&location, &ours, &[&one, &two], 1).await;
        assert_eq!(ask(&small, counted, &Sight::All, &known).await, ("n\n500\n".into(), true));

        let plan = format!("EXPLAIN {}", QUESTIONS[0].0);
        let (told, _) = ask(&helped, &plan, &Sight::All, &known).await;
        assert!(told.contains("NetworkShuffleExec") && told.contains("tasks=2"), "{told}");
        assert!(!ask(&alone, &plan, &Sight::All, &known).await.0.contains("Network"));
        assert!(ask(&helped, &plan, &some, &known).await.0.starts_with("error"));
        let (told, divided) =
            ask(&helped, &plan.replace("EXPLAIN", "EXPLAIN ANALYZE"), &Sight::All, &known).await;
        assert!(divided && told.contains("output_rows"), "{told}");

        for worker in [&one, &two] {
            let peers = worker.peers();
            // Nobody, or 127/8: least byte first.
            let is_near = |peer: &str| peer.starts_with("00000000:") || peer.get(6..9) == Some("7F:");
            assert!(peers.len() > 1 && peers.iter().all(|peer| is_near(peer)), "{peers:?}");
        }
        killed(&home, &location, &ours, &known, [one, two]).await;
        strangers(&home, &location, &ours, &other, &known).await;
    });
    by_settings(&home, &ours);
}

/// Workers killed in the middle of questions and between them.
async fn killed(home: &Path, location: &str, secret: &Path, places: &Arc<dyn Places>, workers: [Worker; 2]) {
    let [one, two] = workers;
    let alone = Lake::open(location).await.unwrap();
    let sql = QUESTIONS[9].0;
    let (expected, _) = ask(&alone, sql, &Sight::All, places).await;
    let helped = Arc::new(hub(location, secret, &[&one, &two]).await);
    assert_eq!(ask(&helped, sql, &Sight::All, places).await, (expected.clone(), true));

    // It sleeps with its part of the question, and dies in its sleep.
    two.signal("-STOP");
    let asked = tokio::spawn({
        let (helped, places) = (helped.clone(), places.clone());
        async move { ask(&helped, sql, &Sight::All, &places).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!asked.is_finished(), "no answer without it");
    two.kill();
    assert_eq!(asked.await.unwrap(), (expected.clone(), true), "by the one that is left");
    one.kill();
    assert_eq!(ask(&helped, sql, &Sight::All, places).await, (expected.clone(), false), "by the hub itself");

    for pause in [10, 80] {
        let [one, two] = Worker::two(home, location, secret);
        let helped = hub(location, secret, &[&one, &two]).await;
        let asked = ask(&helped, sql, &Sight::All, places);
        let killing = async {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            two.kill();
        };
        let ((answer, _), ()) = tokio::join!(asked, killing);
        assert_eq!(answer, expected, "killed after {pause} ms");
    }
}

/// Whoever does not know the secret is refused, and is not believed.
async fn strangers(home: &Path, location: &str, ours: &Path, other: &Path, places: &Arc<dyn Places>) {
    let worker = Worker::start(home, location, other, WORKERS[0]);
    let helped = hub(location, ours, &[&worker]).await;
    let looked = helped.cluster().unwrap().look_at_all().await;
    assert_eq!(looked[0].1, Err("it refused our secret".to_owned()));
    let (answer, divided) = ask(&helped, "SELECT count(*) AS n FROM services", &Sight::All, places).await;
    assert_eq!((answer.as_str(), divided), ("n\n500\n", false));
    let address = worker.url.trim_start_matches("https://");
    let mut plain = TcpStream::connect(address).unwrap();
    std::io::Write::write_all(&mut plain, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    plain.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut said = Vec::new();
    let _ = plain.read_to_end(&mut said);
    assert!(said.len() < 16, "an alert of TLS at most: {said:?}");
    drop(plain);
    worker.signal("-TERM");
    let Worker { told, .. } = &worker;
    // Of two peers, two lines; they come when it is gone at the latest.
    let told_all = || told.lock().unwrap().matches("a peer was refused").count();
    for _ in 0..200 {
        if told_all() == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(told_all(), 2, "{}", told.lock().unwrap());
}

/// Settings of a hub with these workers, which divides all.
pub(crate) fn settled(workers: &[&Worker], secret: &Path) -> String {
    let urls: Vec<&str> = workers.iter().map(|worker| worker.url.as_str()).collect();
    format!("\n[cluster]\nworkers = {urls:?}\nsecret = {secret:?}\nleast_mib = 0\n")
}

/// The command line, as the settings have it.
fn by_settings(home: &Path, ours: &Path) {
    let location = home.join("lake").to_str().unwrap().to_owned();
    let [one, two] = Worker::two(home, &location, ours);
    let settings = home.join("kenshin.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    let cluster = settled(&[&one, &two], ours);
    std::fs::write(&settings, text.clone() + &cluster).unwrap();
    let sql = "SELECT subject_port, count(*) AS n FROM observations GROUP BY 1 ORDER BY 1";
    let helped = expect(home, 0, &["sql", sql, "--format", "csv"]);
    assert!(expect(home, 0, &["sql", &format!("EXPLAIN {sql}")]).contains("NetworkShuffleExec"));
    // It finds other things to be missing here.
    assert!(!expect(home, 1, &["doctor"]).contains("FAIL worker"));
    two.kill();
    let told = expect(home, 1, &["doctor"]);
    assert!(
        told.contains(&format!("ok   worker       {}", one.url)) && told.contains("FAIL worker"),
        "{told}"
    );
    assert_eq!(expect(home, 0, &["sql", sql, "--format", "csv"]), helped);
    std::fs::write(&settings, text.clone() + &cluster.replace("https", "http")).unwrap();
    assert!(expect_error(home, 2, &["sql", sql]).contains("https://host:port"));
    std::fs::set_permissions(ours, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(
        expect_error(home, 2, &["worker", "--secret", ours.to_str().unwrap()])
            .contains("others than its owner")
    );
    std::fs::write(&settings, &text).unwrap();
    assert!(expect_error(home, 2, &["worker"]).contains("needs the secret"));
    assert_eq!(expect(home, 0, &["sql", sql, "--format", "csv"]), helped);
}

/// As on three machines, joined by a bridge. One falls silent: no connection ends, nothing comes any more.
#[test]
fn workers_on_other_machines_of_which_one_falls_silent() {
    let names = ["hub", "one", "two"];
    let made: Vec<Namespace> = names.iter().map_while(|name| Namespace::new("cluster", name)).collect();
    let [hub, one, two] = &made[..] else {
        return skip("workers_on_other_machines_of_which_one_falls_silent", "no network namespaces (root)");
    };
    hub.run(&["ip", "link", "add", "between", "type", "bridge"]);
    hub.run(&["ip", "addr", "add", "198.18.41.1/24", "dev", "between"]);
    hub.run(&["ip", "link", "set", "between", "up"]);
    for (space, link, addr) in [(one, "one", "198.18.41.11/24"), (two, "two", "198.18.41.12/24")] {
        let peer = ["ip", "link", "add", link, "type", "veth", "peer", "name", "hub", "netns", space.name()];
        hub.run(&peer);
        hub.run(&["ip", "link", "set", link, "master", "between", "up"]);
        space.run(&["ip", "addr", "add", addr, "dev", "hub"]);
        space.run(&["ip", "link", "set", "hub", "up"]);
        space.run(&["ip", "link", "set", "lo", "up"]);
    }

    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    expect(&home, 0, &["init", "--organisation", "Example CSIRT"]);
    let location = home.join("lake").to_str().unwrap().to_owned();
    tokio::runtime::Runtime::new().unwrap().block_on(fill(&location));
    let program = |space: &Namespace| {
        let mut command = space.command(env!("CARGO_BIN_EXE_kenshin"));
        command
            .arg("--home")
            .arg(&home)
            .env_remove("KENSHIN_HOME")
            .env("LANG", "C.UTF-8")
            .env_remove("LC_ALL");
        command
    };
    let of_hub = |code: i32, args: &[&str]| {
        let output = program(hub).args(args).output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{args:?}\n{out}\n{err}");
        out.into_owned()
    };
    let sql = QUESTIONS[9].0;
    let asked = ["sql", sql, "--format", "csv"];
    let alone = expect(&home, 0, &asked);
    let secret = secret(folder.path(), "secret", "0123456789abcdef0123456789abcdef\n");
    let workers = [(one, "198.18.41.11:8490"), (two, "198.18.41.12:8490")]
        .map(|(space, listen)| Worker::run(program(space), &location, &secret, listen));
    let settings = home.join("kenshin.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, text + &settled(&[&workers[0], &workers[1]], &secret)).unwrap();

    assert!(of_hub(0, &["sql", &format!("EXPLAIN {sql}")]).contains("tasks=2"));
    assert_eq!(of_hub(0, &asked), alone);
    assert!(!of_hub(1, &["doctor"]).contains("FAIL worker"));
    hub.run(&["ip", "link", "set", "two", "down"]);
    assert_eq!(of_hub(0, &asked), alone, "by those that are left");
    let told = of_hub(1, &["doctor"]);
    assert!(told.contains(&format!("FAIL worker       {}", workers[1].url)), "{told}");
    assert!(told.contains(&format!("ok   worker       {}", workers[0].url)), "{told}");
}
