//! The same questions to the lake's SQL and to DuckDB, over the same Parquet files.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use kenshin_lake::view::Sight;
use kenshin_lake::{Annex, Lake, LakeError, Limits};
use kenshin_observation::schema::{ObservationRow, ServiceRow, Table};
use kenshin_observation::{Prefix, addr_to_hi_lo};
use serde_json::{Value, json};

use super::current::files;
use super::findings::{FINDINGS, Findings, PAGE_ROWS};
use super::ingest::Observed;
use super::population::{DAY_US, NOW, Population};
use super::report::{Limit, Report};

/// Times that each question is put to each of them, in turns; the quietest counts.
const ROUNDS: usize = 3;
/// Memory that columns of the view may take.
const COLUMNS_BYTES: usize = 6 << 30;
/// Memory that a question of ours may take.
const MEMORY_BYTES: usize = 4 << 30;

/// A question to both: what it asks, and how.
struct Question {
    what: &'static str,
    sql: String,
}

/// What lies in the lake, by which questions are made.
pub(crate) struct Asked<'a> {
    pub(crate) population: &'a Population,
    pub(crate) observations: u64,
    pub(crate) seed: u64,
}

/// Compares the two. What is missing is told, and nothing compared.
pub(crate) async fn compare(
    report: &mut Report,
    lake: &Lake,
    folder: &Path,
    Asked { population, observations, seed }: Asked<'_>,
) -> Result<(), LakeError> {
    report.part("SQL against DuckDB");
    let mut duckdb = match DuckDb::install(folder) {
        Ok(duckdb) => duckdb,
        Err(why) => {
            report.skipped("comparison with DuckDB", &why);
            return Ok(());
        }
    };
    let mut tables = serde_json::Map::new();
    for name in [ServiceRow::NAME, ObservationRow::NAME] {
        let paths: Vec<String> = files(lake, name).await?.into_iter().map(|file| file.0).collect();
        tables.insert(name.to_owned(), json!(paths));
    }
    let findings = Arc::new(Findings::of(population, seed)?);
    let file = folder.join("findings.parquet");
    std::fs::write(&file, findings.parquet()?).map_err(reading_failed)?;
    tables.insert(findings.name().to_owned(), json!([file]));
    let told = duckdb.ask(&json!({ "tables": tables })).map_err(reading_failed)?;
    report.note(&format!("DuckDB {}, 2 threads", told["version"].as_str().unwrap_or("of unknown version")));
    report.note(&format!(
        "{FINDINGS} findings: ours are in memory in pages of {PAGE_ROWS} rows, as the observatory gives them, DuckDB's in one \
         Parquet file; the whole question is counted, and not what the database of cases takes to read them"
    ));
    let limits = Limits { memory_bytes: MEMORY_BYTES, ..Limits::default() };
    report.note("ours: read from files, as one command does; and with columns held, as a hub does");
    let mut logarithms = [Vec::new(), Vec::new()];
    let mut reading = 0.0;
    for Question { what, sql } in questions(population, observations) {
        let question = kenshin_lake::Question {
            sql: sql.clone(),
            sight: Sight::All,
            limits,
            places: None,
            annexes: vec![findings.clone()],
        };
        let (mut ours, mut theirs) = ([f64::INFINITY; 2], f64::INFINITY);
        for round in 0..ROUNDS {
            let mut rows = [0; 2];
            for (held, most_bytes) in [0, COLUMNS_BYTES].into_iter().enumerate() {
                lake.hold_columns(most_bytes);
                let begun = Instant::now();
                rows[held] = lake.ask(&question).await?.rows();
                let spent = begun.elapsed().as_secs_f64();
                ours[held] = ours[held].min(spent);
                if (round, held) == (0, 1) {
                    reading += spent;
                }
            }
            let told = duckdb.ask(&json!({ "sql": sql })).map_err(reading_failed)?;
            theirs = theirs.min(told["seconds"].as_f64().unwrap_or(f64::NAN));
            assert_eq!(
                rows.map(|rows| Some(rows as u64)),
                [told["rows"].as_u64(); 2],
                "{what}: as many rows"
            );
        }
        let [files, held] = ours;
        let what =
            format!("{what}: {:.0} ms ({:.0} from files) ÷ {:.0} ms", held * 1e3, files * 1e3, theirs * 1e3);
        report.figure(&what, held / theirs, "", Limit::None);
        for (logarithms, ours) in logarithms.iter_mut().zip(ours) {
            logarithms.push((ours / theirs).ln());
        }
    }
    let [files, held] = logarithms.map(|of| (of.iter().sum::<f64>() / of.len() as f64).exp());
    report.figure("all, each asked for the first time, columns read too", reading, "s", Limit::None);
    report.figure("geometric mean of the ratios, from files", files, "", Limit::None);
    report.figure("geometric mean of the ratios", held, "", Limit::Most(1.0));
    Ok(())
}

/// The matrix of findings as docs/sql.md shows it.
fn matrix() -> String {
    let page = include_str!("../../../../docs/sql.md");
    let shown = page.split("```").find(|part| part.starts_with("sql\nWITH months"));
    shown.expect("the page shows it").trim_start_matches("sql\n").to_owned()
}

/// The questions.
fn questions(population: &Population, observations: u64) -> Vec<Question> {
    let month = NOW.micros() - 30 * DAY_US;
    let prefix: Prefix = "10.1.0.0/16".parse().expect("a prefix");
    let ((hi, first), (_, last)) = (addr_to_hi_lo(prefix.base()), addr_to_hi_lo(prefix.last()));
    let (host_hi, host_lo) = addr_to_hi_lo(Observed::new(population, observations).addr(1, 7));
    let product = population.product(3);
    let question = |(what, sql): (&'static str, String)| Question { what, sql };
    [
        ("count by port", "SELECT port, count(*) AS n FROM services GROUP BY port ORDER BY n DESC".to_owned()),
        (
            "top 20 products by country",
            "SELECT country, product, n FROM (SELECT country, product, n, row_number() OVER (PARTITION BY country \
             ORDER BY n DESC, product) AS place FROM (SELECT country, product, count(*) AS n FROM services \
             GROUP BY country, product)) WHERE place <= 20 ORDER BY country, n DESC"
                .to_owned(),
        ),
        (
            "new hosts this month",
            format!(
                "SELECT count(*) FROM (SELECT addr_hi, addr_lo FROM services GROUP BY addr_hi, addr_lo \
                 HAVING min(first_us) >= {month})"
            ),
        ),
        (
            "hosts gone",
            format!(
                "SELECT count(*) FROM (SELECT addr_hi, addr_lo FROM services GROUP BY addr_hi, addr_lo \
                 HAVING max(seen_us) < {month})"
            ),
        ),
        (
            "services of one /16",
            format!(
                "SELECT protocol, product, count(*) AS n FROM services WHERE addr_hi = {hi} AND addr_lo BETWEEN {first} \
                 AND {last} GROUP BY protocol, product ORDER BY n DESC"
            ),
        ),
        (
            "version histogram of one product",
            format!(
                "SELECT version, count(*) AS n FROM services WHERE product = '{product}' GROUP BY version ORDER BY n DESC"
            ),
        ),
        (
            "shared TLS keys",
            "SELECT key_sha256, count(*) AS n FROM services WHERE tls IS NOT NULL GROUP BY key_sha256 \
             HAVING count(*) > 1 ORDER BY n DESC"
                .to_owned(),
        ),
        (
            "median days from first to last seen by vendor",
            format!(
                "SELECT vendor, median(CAST(seen_us - first_us AS DOUBLE) / {DAY_US}) AS days FROM services \
                 GROUP BY vendor ORDER BY vendor"
            ),
        ),
        (
            "distinct hosts by AS",
            "SELECT asn, count(*) AS n FROM (SELECT DISTINCT asn, addr_hi, addr_lo FROM services) GROUP BY asn \
             ORDER BY n DESC"
                .to_owned(),
        ),
        ("month-over-month matrix of findings by provider", matrix()),
        (
            "free-text count",
            "SELECT count(*) FROM services WHERE banner ILIKE '%login%' OR title ILIKE '%login%'".to_owned(),
        ),
        (
            "one host's year",
            format!(
                "SELECT t_us, subject_port, \"check\", outcome, protocol, http, tls, ssh, telnet FROM observations \
                 WHERE subject_addr_hi = {host_hi} AND subject_addr_lo = {host_lo} ORDER BY t_us"
            ),
        ),
    ]
    .map(question)
    .into()
}

/// DuckDB in a process of its own.
struct DuckDb {
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl DuckDb {
    /// From PyPI, into a folder.
    #[expect(clippy::disallowed_methods, reason = "a bench starts what it compares with")]
    fn install(folder: &Path) -> Result<Self, String> {
        let environment = folder.join("python");
        let run = |command: &mut Command| match command.stdout(Stdio::null()).stderr(Stdio::null()).status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("{command:?}: {status}")),
            Err(error) => Err(format!("{command:?}: {error}")),
        };
        run(Command::new("python3").args(["-m", "venv"]).arg(&environment))
            .map_err(|why| format!("no Python with venv: {why}"))?;
        run(Command::new(environment.join("bin/pip")).args(["install", "--quiet", "duckdb"]))
            .map_err(|why| format!("no package duckdb from PyPI: {why}"))?;
        let mut child = Command::new(environment.join("bin/python"))
            .args(["-c", include_str!("duckdb.py")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("Python does not start: {error}"))?;
        let answers = BufReader::new(child.stdout.take().ok_or("Python has no output")?);
        Ok(Self { child, answers })
    }

    fn ask(&mut self, question: &Value) -> std::io::Result<Value> {
        if let Some(input) = &mut self.child.stdin {
            writeln!(input, "{question}")?;
        }
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for DuckDb {
    fn drop(&mut self) {
        // Its input ends, and so does it.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn reading_failed(source: std::io::Error) -> LakeError {
    LakeError::Read { table: "DuckDB", source: source.into() }
}
