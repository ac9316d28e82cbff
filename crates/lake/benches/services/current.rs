//! The current view: made, asked, added to.

use std::time::{Duration, Instant};

use deltalake::{DeltaTable, ensure_table_uri};
use kenshin_lake::search::{Field, Query};
use kenshin_lake::view::{Counted, Search, Sight, View};
use kenshin_lake::{Lake, LakeError, NewView, Progress};
use kenshin_observation::schema::{ServiceRow, Table};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::population::{NOW, Population};
use super::report::{Limit, Report, forget_peak_memory, peak_memory};

/// Rows handed to the lake at once, as when a view is made anew.
const PIECE_ROWS: usize = 1 << 15;
/// What the explorer counts beside every answer.
const FACETS: [&str; 8] = ["protocol", "port", "product", "type", "provider", "country", "tls", "label"];
/// Values of each.
const FACET_VALUES: usize = 8;
const QUERIES: usize = 200;
const TEXTS: usize = 40;
const PAGE_ROWS: usize = 50;
const INCREMENTS: i64 = 5;
const INCREMENT_ROWS: u64 = 1_000;
/// Written on the services of an increment, to find them by.
const FRESH: &str = "honeypot-tell";

/// Makes the view of so many services.
pub(crate) async fn build(
    report: &mut Report,
    lake: &Lake,
    population: &Population,
    services: u64,
) -> Result<(), LakeError> {
    report.part(&format!("current view of {services} services"));
    forget_peak_memory();
    let mut new = begin(lake).await?;
    let (mut rows, mut count, mut spent) = (Vec::new(), 0, Duration::ZERO);
    for number in 0..population.devices() {
        rows.extend(population.device(number).services().into_iter().map(|service| service.row));
        if rows.len() >= PIECE_ROWS {
            count += rows.len() as u64;
            let begun = Instant::now();
            new.write(std::mem::take(&mut rows)).await?;
            spent += begun.elapsed();
            if count >= services {
                break;
            }
        }
    }
    let begun = Instant::now();
    new.write(rows).await?;
    let written = finish(lake, new).await?;
    spent += begun.elapsed();
    report.figure("services written a second", written as f64 / spent.as_secs_f64(), "/s", Limit::None);
    let bytes: u64 = files(lake, ServiceRow::NAME).await?.iter().map(|file| file.1).sum();
    report.figure("bytes of a service on disk", bytes as f64 / written as f64, "B", Limit::None);
    report.figure("peak memory while it is made", peak_memory(), "MiB", Limit::None);
    Ok(())
}

/// Asks the view, and adds to it.
pub(crate) async fn search(
    report: &mut Report,
    lake: &Lake,
    population: &Population,
    seed: u64,
) -> Result<(), LakeError> {
    report.part("search");
    forget_peak_memory();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let facets = FACETS.map(|name| Field::named(name).expect("the explorer counts by fields"));
    {
        // As a hub that was just started, before and after it read ahead.
        let started = Lake::open(lake.location()).await?;
        let begun = Instant::now();
        started.view().await?.read_ahead(&facets).await?;
        report.figure("reading ahead, as a hub does when it starts", seconds(begun), "s", Limit::None);
        let begun = Instant::now();
        ask(&*started.view().await?, "", true).await?;
        report.figure("first view with facets behind that", seconds(begun), "s", Limit::Most(1.0));
    }
    let begun = Instant::now();
    let view = lake.view().await?;
    ask(&view, &field_query(population, 0, &mut random), true).await?;
    report.figure("first query with facets, nothing read yet", seconds(begun), "s", Limit::Most(1.0));
    // What is asked for the first time is read first; that is not what is measured.
    for template in 0..TEMPLATES {
        ask(&view, &field_query(population, template, &mut random), true).await?;
    }
    ask(&view, "login", false).await?;

    let (mut asked, mut found) = (Vec::new(), Vec::new());
    for number in 0..QUERIES {
        let query = field_query(population, number % TEMPLATES, &mut random);
        let begun = Instant::now();
        found.push(ask(&view, &query, true).await?);
        asked.push(begun.elapsed());
    }
    found.sort_unstable();
    report.times("field query with 8 facets", asked, [Limit::Most(80.0), Limit::Most(250.0)]);
    report.figure("services that such a query finds, median", found[QUERIES / 2] as f64, "", Limit::None);

    let mut asked = Vec::new();
    for number in 0..TEXTS {
        let query = text_query(population, number, &mut random);
        let begun = Instant::now();
        ask(&view, &query, false).await?;
        asked.push(begun.elapsed());
    }
    report.times("free text", asked, [Limit::Most(500.0), Limit::None]);

    for (name, sort) in [("in the order of addresses", None), ("the latest first", Some("-seen"))] {
        let found = view.find(&search_for("country:JP")).await?;
        let sort = sort.map(|sort| sort.parse().expect("a field to sort by"));
        let (mut asked, mut after) = (Vec::new(), None);
        for _ in 0..20 {
            let begun = Instant::now();
            let page = found.page(sort, after.as_ref(), PAGE_ROWS).await?;
            asked.push(begun.elapsed());
            after = page.next;
        }
        report.times(&format!("page of {PAGE_ROWS}, {name}"), asked, [Limit::None, Limit::None]);
    }

    let mut slowest = Duration::ZERO;
    // A lake that stays has those of the runs before.
    let before = ask(&*lake.view().await?, &format!("label:{FRESH}"), false).await? / INCREMENT_ROWS;
    for increment in (1..=INCREMENTS).map(|one| one + before.cast_signed()) {
        let rows = changed(population, increment);
        let wanted = rows.len() as u64 * increment.unsigned_abs();
        let begun = Instant::now();
        lake.whole().add(rows, &Progress::new()).await?;
        let view = lake.view().await?;
        let found = ask(&view, &format!("label:{FRESH}"), false).await?;
        assert_eq!(found, wanted, "what was added is found");
        slowest = slowest.max(begun.elapsed());
    }
    let added = format!("until {INCREMENT_ROWS} changed services are found, the slowest of {INCREMENTS}");
    report.figure(&added, slowest.as_secs_f64(), "s", Limit::Most(5.0));
    let view = lake.view().await?;
    let mut asked = Vec::new();
    for number in 0..QUERIES / 4 {
        let query = field_query(population, number % TEMPLATES, &mut random);
        let begun = Instant::now();
        ask(&view, &query, true).await?;
        asked.push(begun.elapsed());
    }
    report.times(&format!("field query over {} runs", view.runs()), asked, [Limit::None, Limit::None]);
    report.figure("peak memory of all that", peak_memory(), "MiB", Limit::None);
    let begun = Instant::now();
    compact(lake).await?;
    report.figure("until all runs are one", seconds(begun), "s", Limit::None);
    Ok(())
}

/// Active files of a table and their sizes.
pub(crate) async fn files(lake: &Lake, table: &'static str) -> Result<Vec<(String, u64)>, LakeError> {
    let failed = |source: deltalake::DeltaTableError| LakeError::Read { table, source: source.into() };
    let url = ensure_table_uri(format!("{}/{table}", lake.location())).map_err(failed)?;
    let mut table = DeltaTable::try_from_url(url).await.map_err(failed)?;
    table.load().await.map_err(failed)?;
    let root = table.log_store().root_url().path().to_owned();
    let files = table.snapshot().map_err(failed)?.log_data();
    let one = |file: deltalake::kernel::LogicalFileView| {
        let path = format!("{}/{}", root.trim_end_matches('/'), file.object_store_path());
        (path, u64::try_from(file.size()).unwrap_or(0))
    };
    Ok(files.into_iter().map(one).collect())
}

async fn begin(lake: &Lake) -> Result<NewView, LakeError> {
    lake.whole().begin_anew(NOW).await
}

async fn finish(lake: &Lake, new: NewView) -> Result<u64, LakeError> {
    lake.whole().finish(new, &Progress::new(), NOW).await
}

async fn compact(lake: &Lake) -> Result<bool, LakeError> {
    lake.whole().compact(NOW).await
}

fn seconds(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64()
}

/// Asks as the explorer does; gives how many services were found.
async fn ask(view: &View, query: &str, with_facets: bool) -> Result<u64, LakeError> {
    let found = view.find(&search_for(query)).await?;
    let total = found.total().await?;
    if with_facets {
        let counted = |name| Counted { field: Field::named(name).expect("a field"), top: FACET_VALUES };
        found.facets(&FACETS.map(counted)).await?;
    }
    Ok(total.services)
}

fn search_for(query: &str) -> Search {
    let query: Query = query.parse().unwrap_or_else(|error| panic!("{query}: {error:?}"));
    Search { query, sight: Sight::All, now: NOW }
}

/// A service by chance: what is common is asked for more often.
fn example(population: &Population, random: &mut ChaCha8Rng) -> ServiceRow {
    let mut device = population.device(random.random_range(0..population.devices()));
    let mut services = device.services();
    services.swap_remove(random.random_range(0..services.len())).row
}

/// How many kinds of question there are.
const TEMPLATES: usize = 10;

fn field_query(population: &Population, template: usize, random: &mut ChaCha8Rng) -> String {
    let (row, other) = (example(population, random), example(population, random));
    let or = |value: &Option<String>, other: &str| value.clone().unwrap_or_else(|| other.to_owned());
    let ServiceRow { port, .. } = row;
    let (vendor, product) = (or(&row.vendor, "nec"), or(&row.product, "nec-wr100"));
    let (country, version) = (or(&row.country, "JP"), or(&row.version, "1.50"));
    match template {
        0 => format!("port:{port} country:{country} vendor:{vendor} version:<{version} seen:7d"),
        1 => format!("product:{product} version:<{version}"),
        2 => format!("port:{port} country:{country}"),
        3 => format!("net:10.{}.0.0/16 protocol:{}", random.random_range(0..256), or(&row.protocol, "http")),
        4 => format!("tls:TLSv1,TLSv1.1 country:{country} -port:443"),
        5 => format!("type:{} provider:\"{}\" seen:30d", or(&row.device_type, "nas"), or(&row.provider, "x")),
        6 => {
            format!("(product:{product} OR product:{}) asn:{}", or(&other.product, "x"), row.asn.unwrap_or(0))
        }
        7 => format!("vendor:{vendor} first:30d"),
        8 => format!("port:{port}"),
        _ => format!("expires:30d vendor:{vendor}"),
    }
}

fn text_query(population: &Population, number: usize, random: &mut ChaCha8Rng) -> String {
    let row = example(population, random);
    match number % 6 {
        0 => "\"login:\"".to_owned(),
        1 => format!("\"{}\"", row.product.unwrap_or_default()),
        2 => "\"FTP server\" country:JP".to_owned(),
        // Only one device says this.
        3 => format!("\"{:012x}\"", random.random::<u64>() >> 16),
        4 => format!("\"{}\"", row.vendor.unwrap_or_default()),
        _ => "dropbear -port:22".to_owned(),
    }
}

/// Services that were asked again, and how they are now.
fn changed(population: &Population, increment: i64) -> Vec<ServiceRow> {
    let each = population.devices() / (INCREMENT_ROWS + 1);
    let mut rows = Vec::new();
    for number in 0..INCREMENT_ROWS {
        let device = number * each + increment.unsigned_abs();
        let Some(service) = population.device(device).services().into_iter().next() else { continue };
        let asked_us = NOW.micros() + increment * 1_000_000;
        let (labels, state) = (Some(FRESH.to_owned()), "answered".to_owned());
        rows.push(ServiceRow { labels, state, asked_us, seen_us: asked_us, ..service.row });
    }
    rows
}
