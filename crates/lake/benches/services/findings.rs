//! Findings on the devices of the population, as the database of cases gives them: by key, a page at a time.
//!
//! Who can reach the owner goes by blocks of addresses, and few providers have most of them. The first round
//! finds what was there before; what it found is mended slowly, and more than half of it never.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use futures::{StreamExt, stream};
use kenshin_lake::{Annex, AnnexRows, Answer, LakeError};
use kenshin_observation::addr_to_hi_lo;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::population::{DAY_US, NOW, Population, Skew};

/// How many there are.
pub(crate) const FINDINGS: u64 = 2_000_000;
/// Rows of a page, as SQL over findings reads them.
pub(crate) const PAGE_ROWS: u64 = 4_096;
const PROVIDERS: usize = 60;
/// Neighbours with one provider.
const BLOCK: u64 = 1 << 14;
/// A prime: findings next to each other by key are on devices far from each other.
const APART: u64 = 1_000_003;
/// Days after which half of what is ever mended is.
const HALF_MENDED_DAYS: f64 = 45.0;

/// What is wrong, the most common first, how bad it is, and where it shows.
const KINDS: [(&str, &str, i64); 12] = [
    ("telnet-open", "high", 23),
    ("end-of-life", "medium", 80),
    ("weak-tls", "low", 443),
    ("known-exploited", "critical", 80),
    ("anonymous-ftp", "medium", 21),
    ("default-credentials", "critical", 23),
    ("snmp-public", "medium", 161),
    ("certificate-expired", "low", 443),
    ("open-stream", "high", 554),
    ("cwmp-open", "high", 7547),
    ("adb-open", "critical", 5555),
    ("open-database", "critical", 6379),
];

/// All of them, in memory.
#[derive(Debug)]
pub(crate) struct Findings {
    schema: SchemaRef,
    pages: Vec<RecordBatch>,
}

/// One of them.
struct Finding {
    key: String,
    kind: &'static str,
    severity: &'static str,
    state: &'static str,
    addr: (i64, i64),
    port: i64,
    provider: Option<String>,
    first_us: i64,
    last_us: i64,
    mended_us: Option<i64>,
}

impl Findings {
    /// The findings of `seed` on these devices.
    pub(crate) fn of(population: &Population, seed: u64) -> Result<Self, LakeError> {
        let by_kind = Skew::new(KINDS.len());
        let by_provider = Skew::new(PROVIDERS);
        let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0x0f1d_1265);
        let schema = schema();
        let mut pages = Vec::new();
        for first in (0..FINDINGS).step_by(PAGE_ROWS as usize) {
            let numbers = first..FINDINGS.min(first + PAGE_ROWS);
            let one = |number| finding(number, population, seed, (&by_kind, &by_provider), &mut random);
            let rows: Vec<Finding> = numbers.map(one).collect();
            pages.push(page(&rows, &schema).map_err(failed)?);
        }
        Ok(Self { schema, pages })
    }

    /// The same rows as one Parquet file.
    pub(crate) fn parquet(&self) -> Result<Vec<u8>, LakeError> {
        Answer { schema: self.schema.clone(), batches: self.pages.clone() }.parquet()
    }
}

impl Annex for Findings {
    fn name(&self) -> &'static str {
        "findings"
    }

    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn rows(&self, columns: &[usize]) -> AnnexRows {
        let columns = columns.to_vec();
        stream::iter(self.pages.clone()).map(move |page| Ok(page.project(&columns)?)).boxed()
    }
}

fn finding(
    number: u64,
    population: &Population,
    seed: u64,
    (by_kind, by_provider): (&Skew, &Skew),
    random: &mut ChaCha8Rng,
) -> Finding {
    let place = number * APART % population.devices();
    let device = population.device(place);
    let (kind, severity, port) = KINDS[by_kind.draw(random)];
    let mut of_block = ChaCha8Rng::seed_from_u64(seed ^ (place / BLOCK) ^ (1 << 62));
    let provider = by_provider.draw(&mut of_block);
    let (came, left) = device.there;
    let days = -HALF_MENDED_DAYS * random.random::<f64>().max(1e-9).log2();
    let mended_us = came + (days * DAY_US as f64) as i64;
    let mended_us = Some(mended_us).filter(|mended| random.random_bool(0.45) && *mended < NOW.micros());
    Finding {
        key: format!("{:016x}{:016x}", number << 40, random.random::<u64>()),
        kind,
        severity,
        state: if mended_us.is_some() { "absent" } else { "present" },
        addr: addr_to_hi_lo(device.addr),
        port,
        // Of some nobody knows who could be told.
        provider: random.random_bool(0.97).then(|| format!("Provider {provider}")),
        first_us: came,
        last_us: mended_us.unwrap_or(left),
        mended_us,
    }
}

fn schema() -> SchemaRef {
    let field = |name: &str, kind: DataType| Field::new(name, kind, true);
    let text = |name: &str| field(name, DataType::Utf8);
    let number = |name: &str| field(name, DataType::Int64);
    let instant = |name: &str| field(name, DataType::Timestamp(TimeUnit::Microsecond, None));
    Arc::new(Schema::new(vec![
        text("finding_key"),
        text("kind"),
        text("severity"),
        text("state"),
        number("addr_hi"),
        number("addr_lo"),
        number("port"),
        text("provider"),
        instant("first_at"),
        instant("last_at"),
        instant("mended_at"),
    ]))
}

fn page(rows: &[Finding], schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    fn texts<'a>(rows: &'a [Finding], of: impl Fn(&'a Finding) -> Option<&'a str>) -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<StringArray>())
    }
    let numbers = |of: fn(&Finding) -> i64| -> ArrayRef {
        Arc::new(rows.iter().map(of).map(Some).collect::<Int64Array>())
    };
    let instants = |of: fn(&Finding) -> Option<i64>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<TimestampMicrosecondArray>())
    };
    let columns = vec![
        texts(rows, |row| Some(&row.key)),
        texts(rows, |row| Some(row.kind)),
        texts(rows, |row| Some(row.severity)),
        texts(rows, |row| Some(row.state)),
        numbers(|row| row.addr.0),
        numbers(|row| row.addr.1),
        numbers(|row| row.port),
        texts(rows, |row| row.provider.as_deref()),
        instants(|row| Some(row.first_us)),
        instants(|row| Some(row.last_us)),
        instants(|row| row.mended_us),
    ];
    RecordBatch::try_new(schema.clone(), columns)
}

fn failed(source: ArrowError) -> LakeError {
    LakeError::Read { table: "findings", source: source.into() }
}
