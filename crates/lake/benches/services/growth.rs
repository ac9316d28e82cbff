//! One table that grows: what a row more costs, and what is asked meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kenshin_lake::{Lake, LakeError, Limits, Thoroughness, Told};
use kenshin_observation::schema::{BlobRow, ObservationRow, SaltRow, Table};

use super::current::files;
use super::ingest::{Observed, Taking, years};
use super::population::{NOW, Population, ROUNDS};
use super::report::{Limit, Report, forget_peak_memory, peak_memory};

/// Observations at which the table is looked at.
const MARKS: [u64; 3] = [1_000_000, 10_000_000, 50_000_000];
/// Devices, of the first that are looked at, whose years are asked for.
const FIRST_DEVICES: u64 = 20_000;
/// Observations that are taken while questions are asked.
const BUSY_ROWS: u64 = 1_500_000;
/// Who counts all of the table, as a statistician does.
const COUNT: &str = "SELECT subject_port, count(*) AS n FROM observations GROUP BY subject_port";

/// The table at one mark.
struct Mark {
    rows: f64,
    /// Seconds for which a row was committed, since the mark before.
    commit: f64,
    year: f64,
    count: f64,
}

/// Takes observations up to the last mark that is not above `most`.
pub(crate) async fn measure(
    report: &mut Report,
    lake: &Lake,
    population: &Population,
    most: u64,
) -> Result<(), LakeError> {
    let marks: Vec<u64> = MARKS.into_iter().filter(|mark| *mark <= most).collect();
    let Some(last) = marks.last() else { return Ok(()) };
    report.part(&format!("one table that grows to {last} observations"));
    // A little more than the last mark takes, for what is taken while questions are asked.
    let observed = Observed::new(population, last + last / 5 + 4 * BUSY_ROWS);
    let mut taking = Taking::new(lake);
    let mut found: Vec<Mark> = Vec::new();
    let mut before = (0, Duration::ZERO);
    // Most memory when a third of the way to the next mark is done.
    let mut third = None;
    'rounds: for round in 0..ROUNDS {
        for place in 0..observed.devices {
            observed.look(round, place, &mut taking);
            if !taking.is_full() {
                continue;
            }
            taking.commit().await?;
            let mark = marks[found.len()];
            if taking.rows >= before.0 + (mark - before.0) / 3 {
                third.get_or_insert_with(peak_memory);
            }
            if taking.rows < mark {
                continue;
            }
            if let Some(third) = third.take().filter(|_| mark > MARKS[0]) {
                let what =
                    format!("{:.0} M: peak memory ÷ peak in the first third of the way", mark as f64 / 1e6);
                report.figure(&what, peak_memory() / third, "", Limit::Most(1.1));
            }
            found.push(look(report, &observed, &taking, before).await?);
            before = (taking.rows, taking.spent);
            if found.len() == marks.len() {
                report.note("while years of hosts are asked for, and all of it is counted, without a pause:");
                while_asked(report, &observed, &mut taking, round, place)?;
                break 'rounds;
            }
        }
    }
    if found.len() < marks.len() {
        let why = format!(
            "all devices of this country are observed {} times; more services are enough",
            taking.rows
        );
        report.skipped("the last of the marks", &why);
    }
    if let (Some(first), Some(last)) = (found.first(), found.last().filter(|_| found.len() > 1)) {
        let times = (last.rows / first.rows).ln();
        let slope = |of: fn(&Mark) -> f64| (of(last) / of(first)).ln() / times;
        report.note("slopes, from the first mark to the last: 0 is flat, 1 grows as the table does");
        report.figure("slope of a commit, for a row", slope(|mark| mark.commit), "", Limit::None);
        report.figure("slope of one host's year", slope(|mark| mark.year), "", Limit::None);
        report.figure("slope of counting all of it by port", slope(|mark| mark.count), "", Limit::None);
    }
    Ok(())
}

/// Looks at the table at a mark, merged as a hub keeps it.
async fn look(
    report: &mut Report,
    observed: &Observed<'_>,
    taking: &Taking<'_>,
    (rows, spent): (u64, Duration),
) -> Result<Mark, LakeError> {
    let lake = taking.lake;
    let told = |what: &str| format!("{:.0} M: {what}", taking.rows as f64 / 1e6);
    let commit = (taking.spent - spent).as_secs_f64() / (taking.rows - rows) as f64;
    report.figure(
        &told("committed a second, since the mark before"),
        1.0 / commit,
        "/s",
        Limit::Least(300_000.0),
    );
    report.figure(&told("peak memory"), peak_memory(), "MiB", Limit::None);
    let begun = Instant::now();
    let merged = lake.compact(NOW, Thoroughness::Due, |_, _, _| {}).await?;
    report.figure(&told("merging what is due"), begun.elapsed().as_secs_f64(), "s", Limit::None);
    report.note(&told(&format!("{} files became {}", merged.files, merged.into)));
    for (name, count) in
        [(ObservationRow::NAME, taking.rows), (SaltRow::NAME, taking.rows), (BlobRow::NAME, taking.blobs)]
    {
        let bytes = files(lake, name).await?.iter().map(|file| file.1).sum::<u64>() as f64;
        report.figure(&told(&format!("bytes of a row of `{name}`")), bytes / count as f64, "B", Limit::None);
    }
    let within = observed.devices.min(FIRST_DEVICES);
    let year = years(report, lake, observed, (0, within), &told("one host's year"), Limit::None).await?;
    let mut counts = Vec::new();
    for _ in 0..3 {
        let begun = Instant::now();
        lake.query(COUNT, Limits::default()).await?;
        counts.push(begun.elapsed().as_secs_f64());
    }
    let count = counts.into_iter().fold(f64::INFINITY, f64::min);
    report.figure(&told("all of it counted by port, best of 3"), count * 1e3, "ms", Limit::None);
    forget_peak_memory();
    Ok(Mark { rows: taking.rows as f64, commit, year, count })
}

/// Commits more, while others ask without a pause.
fn while_asked(
    report: &mut Report,
    observed: &Observed<'_>,
    taking: &mut Taking<'_>,
    round: i64,
    place: u64,
) -> Result<(), LakeError> {
    let (lake, runtime) = (taking.lake, tokio::runtime::Handle::current());
    let (rows, spent, stop) = (taking.rows, taking.spent, AtomicBool::new(false));
    let asks = |one: &(dyn Fn(u64) -> Result<(), LakeError> + Sync)| {
        let mut asked = Vec::new();
        for number in 0.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let begun = Instant::now();
            one(number)?;
            asked.push(begun.elapsed());
        }
        Ok::<_, LakeError>(asked)
    };
    let year = |number: u64| {
        let addr = observed.addr(0, number * 37 % observed.devices.min(FIRST_DEVICES));
        runtime.block_on(async {
            lake.hosts(&Told { addr: Some(addr), ..Told::default() }).await?.next().await.map(|_| ())
        })
    };
    let count = |_| runtime.block_on(lake.query(COUNT, Limits::default())).map(|_| ());
    let (years, counts) = tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            let (years, counts) = (scope.spawn(|| asks(&year)), scope.spawn(|| asks(&count)));
            let taken = (|| {
                for place in place + 1..observed.devices {
                    observed.look(round, place, taking);
                    if taking.is_full() {
                        runtime.block_on(taking.commit())?;
                        if taking.rows >= rows + BUSY_ROWS {
                            break;
                        }
                    }
                }
                Ok::<_, LakeError>(())
            })();
            stop.store(true, Ordering::Relaxed);
            let joined = |asking: std::thread::ScopedJoinHandle<'_, Result<Vec<Duration>, LakeError>>| {
                asking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            let asked = (joined(years)?, joined(counts)?);
            taken.map(|()| asked)
        })
    })?;
    let rate = (taking.rows - rows) as f64 / (taking.spent - spent).as_secs_f64();
    report.figure("committed a second", rate, "/s", Limit::None);
    report.times("one host's year", years, [Limit::None; 2]);
    report.times("all of it counted by port", counts, [Limit::None; 2]);
    Ok(())
}
