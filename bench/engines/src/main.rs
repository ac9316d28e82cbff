//! The two engines that divide plans of DataFusion among processes, asked the same of the same files.
//!
//! ```text
//! make bench-engines
//! ```
//!
//! datafusion-distributed is asked as it is built in: a hub and two workers, joined by TLS on loopback, all is
//! divided. Ballista: its scheduler and an executor with a task for each processor, joined by gRPC and Flight on
//! loopback, without TLS; it is told how many processors there are, without which it makes 16 parts of
//! everything. All of both run in this process. And DataFusion alone, in as many parts. Each question is put to
//! each in turns, the quietest of some rounds counts, and all give the same rows.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use ballista::prelude::{SessionConfigExt, SessionContextExt};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use deltalake::{DeltaTable, ensure_table_uri};
use kenshin_lake::cluster::{Cluster, Division, Secret, Worker, serve};

use kenshin_lake::view::Sight;
use kenshin_lake::{Lake, Limits, Question};

type Failed = Box<dyn std::error::Error + Send + Sync>;

const ROUNDS: usize = 5;
const MEMORY_BYTES: usize = 4 << 30;
/// What is asked, in words that all of them know.
const QUESTIONS: [(&str, &str); 11] = [
    ("count by port", "SELECT port, count(*) AS n FROM services GROUP BY port ORDER BY n DESC"),
    (
        "top 20 products by country",
        "SELECT country, product, n FROM (SELECT country, product, n, row_number() OVER (PARTITION BY country \
         ORDER BY n DESC, product) AS place FROM (SELECT country, product, count(*) AS n FROM services \
         GROUP BY country, product)) WHERE place <= 20 ORDER BY country, n DESC",
    ),
    (
        "hosts by when they were first seen",
        "SELECT first / 86400000000 AS day, count(*) AS n FROM (SELECT addr_hi, addr_lo, min(first_us) AS first FROM services \
         GROUP BY addr_hi, addr_lo) GROUP BY 1 ORDER BY 1",
    ),
    (
        "shared TLS keys",
        "SELECT key_sha256, count(*) AS n FROM services WHERE tls IS NOT NULL GROUP BY key_sha256 HAVING count(*) > 1 ORDER BY n DESC",
    ),
    (
        "median days from first to last seen by vendor",
        "SELECT vendor, median(CAST(seen_us - first_us AS DOUBLE) / 86400000000) AS days FROM services GROUP BY vendor ORDER BY vendor",
    ),
    (
        "distinct hosts by AS",
        "SELECT asn, count(*) AS n FROM (SELECT DISTINCT asn, addr_hi, addr_lo FROM services) GROUP BY asn ORDER BY n DESC",
    ),
    (
        "free-text count",
        "SELECT count(*) FROM services WHERE banner ILIKE '%login%' OR title ILIKE '%login%'",
    ),
    (
        "observations by port and check",
        "SELECT subject_port, \"check\", count(*) AS n FROM observations GROUP BY 1, 2 ORDER BY 3 DESC",
    ),
    (
        "hosts observed, joined with what they are",
        "SELECT s.product, count(*) AS n FROM (SELECT DISTINCT subject_addr_hi, subject_addr_lo FROM observations) o \
         JOIN services s ON o.subject_addr_hi = s.addr_hi AND o.subject_addr_lo = s.addr_lo GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 50",
    ),
    (
        "time from one observation of a service to the next",
        "SELECT subject_port, CAST(avg(gap) AS BIGINT) AS gap FROM (SELECT subject_port, t_us - lag(t_us) OVER (PARTITION BY subject_addr_hi, \
         subject_addr_lo, subject_port, \"check\" ORDER BY t_us) AS gap FROM observations) GROUP BY 1 ORDER BY 1",
    ),
    (
        "which ports stand open together",
        "SELECT a.port, b.port AS beside, count(*) AS n FROM services a JOIN services b ON a.addr_hi = b.addr_hi \
         AND a.addr_lo = b.addr_lo AND a.port < b.port GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT 50",
    ),
];

/// Files of a table as it is now, by path.
async fn files(location: &str, table: &str) -> Result<Vec<String>, Failed> {
    let mut table = DeltaTable::try_from_url(ensure_table_uri(format!("{location}/{table}"))?).await?;
    table.load().await?;
    let root = table.log_store().root_url().path().trim_end_matches('/').to_owned();
    let files = table.snapshot()?.log_data();
    Ok(files.into_iter().map(|file| format!("{root}/{}", file.object_store_path())).collect())
}

/// Tells an engine the tables.
async fn register(context: SessionContext, location: &str) -> Result<SessionContext, Failed> {
    for table in ["services", "observations"] {
        let frame =
            context.read_parquet(files(location, table).await?, ParquetReadOptions::default()).await?;
        context.register_table(table, frame.into_view())?;
    }
    Ok(context)
}

/// A hub and two workers, on loopback.
async fn hub(location: &str, folder: &Path, processors: usize) -> Result<Lake, Failed> {
    let path = folder.join("kenshin-bench-engines.secret");
    std::fs::write(&path, "0123456789abcdef0123456789abcdef\n")?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    let mut urls = Vec::new();
    for _ in 0..2 {
        let worker = Worker::new(&location.into(), Secret::read(&path)?, MEMORY_BYTES, Arc::new(|_| None))?;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        urls.push(format!("https://{}", listener.local_addr()?));
        tokio::spawn(serve(listener, worker, std::future::pending()));
    }
    let cluster = Cluster::new(&urls, Secret::read(&path)?, Division { cores: processors, least_bytes: 0 })?;
    std::fs::remove_file(&path)?;
    Ok(Lake::open(location).await?.with_cluster(cluster))
}

/// The rows that a hub gives. Its workers must have a part in them.
async fn asked(hub: &Lake, sql: &str) -> Result<Vec<RecordBatch>, Failed> {
    let limits = Limits { memory_bytes: MEMORY_BYTES, ..Limits::default() };
    let question = Question { sql: sql.into(), sight: Sight::All, limits, places: None, annexes: Vec::new() };
    let mut rows = hub.answer(&question).await?;
    let mut batches = Vec::new();
    while let Some(batch) = rows.next().await? {
        batches.push(batch);
    }
    assert!(rows.is_divided(), "workers have no part in {sql}");
    Ok(batches)
}

/// Rows as text, in an order of their own.
fn sorted(batches: &[RecordBatch]) -> Result<Vec<String>, Failed> {
    let text = pretty_format_batches(batches)?.to_string();
    // How wide columns are drawn depends on nothing but what is in them.
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    Ok(lines)
}

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let location = std::env::args().nth(1).ok_or("the folder of a lake is wanted")?;
    let processors = std::thread::available_parallelism()?.get();
    let config = SessionConfig::new().with_target_partitions(processors).with_information_schema(false);
    let alone = register(SessionContext::new_with_config(config), &location).await?;
    let config = SessionConfig::new_with_ballista()
        .with_target_partitions(processors)
        .with_ballista_standalone_parallelism(processors);
    let state = SessionStateBuilder::new().with_config(config).with_default_features().build();
    let ballista = register(SessionContext::standalone_with_state(state).await?, &location).await?;
    let hub = hub(&location, &std::env::temp_dir(), processors).await?;

    let load = std::fs::read_to_string("/proc/loadavg")?;
    println!("{processors} processors, load {}", load.split(' ').next().unwrap_or_default());
    println!(
        "| question | datafusion-distributed, ms | Ballista, ms | DataFusion alone, ms |\n|---|--:|--:|--:|"
    );
    let mut logarithms = [0.0; 2];
    for (what, sql) in QUESTIONS {
        let mut best = [f64::INFINITY; 3];
        for round in 0..ROUNDS {
            let mut answers = Vec::new();
            for (nth, best) in best.iter_mut().enumerate() {
                let begun = Instant::now();
                let batches = match nth {
                    0 => asked(&hub, sql).await?,
                    1 => ballista.sql(sql).await?.collect().await?,
                    _ => alone.sql(sql).await?.collect().await?,
                };
                *best = best.min(begun.elapsed().as_secs_f64());
                answers.push(batches);
            }
            if round == 0 {
                let [first, others @ ..] = &answers[..] else { unreachable!("three were asked") };
                let first = sorted(first)?;
                for other in others {
                    assert!(first == sorted(other)?, "{what}: other rows");
                }
            }
        }
        let [distributed, of_ballista, by_itself] = best.map(|seconds| seconds * 1e3);
        println!("| {what} | {distributed:.0} | {of_ballista:.0} | {by_itself:.0} |");
        logarithms[0] += (distributed / of_ballista).ln() / QUESTIONS.len() as f64;
        logarithms[1] += (distributed / by_itself).ln() / QUESTIONS.len() as f64;
    }
    let [ballista, alone] = logarithms.map(f64::exp);
    println!(
        "geometric mean: datafusion-distributed ÷ Ballista {ballista:.2}, ÷ DataFusion alone {alone:.2}"
    );
    Ok(())
}
