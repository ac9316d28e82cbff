//! What lake and search are asked to do in a time, on a made-up country.
//!
//! `cargo bench -p kenshin-lake --bench services` prints machine, date and command, and a table figure
//! by figure with its limit. Behind `--`:
//!
//! - `--services N` of the current view (10,000,000), `--observations N` taken (5,000,000), `--growth N`
//!   observations up to which one table grows, looked at with 1, 10 and 50 million (50,000,000);
//! - `--part view|ingest|sql|growth`, again for several; all four when none is named; `year` asks a lake that
//!   stayed for the years of hosts once more;
//! - `--seed N`; `--folder PATH` to put the lake into (the temporary folder), deleted afterwards;
//!   `--lake PATH` instead for one that stays, and is taken as it is when it is there;
//!   `--json PATH` for the same figures.
//!
//! Exit code 1 when a limit is missed. Limits are for two processors and nothing else on them; the load
//! is printed beside. The part `sql` needs Python with `venv` and the package `duckdb` from PyPI.

#![expect(clippy::print_stdout, reason = "its table is the data of a bench")]

mod current;
mod duckdb;
mod findings;
mod growth;
mod ingest;
mod population;
mod report;

use std::process::ExitCode;

use kenshin_lake::{Lake, LakeError};
use population::Population;
use report::Report;

/// What is measured, and on how much.
struct Options {
    services: u64,
    observations: u64,
    growth: u64,
    seed: u64,
    parts: Vec<String>,
    folder: std::path::PathBuf,
    lake: Option<std::path::PathBuf>,
    json: Option<std::path::PathBuf>,
}

fn main() -> ExitCode {
    one_heap_a_processor();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime starts").block_on(begin())
}

/// As the program asks for memory when it takes and answers.
fn one_heap_a_processor() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        // SAFETY: mallopt only sets a parameter of the allocator; no other thread runs yet.
        unsafe { libc::mallopt(libc::M_ARENA_MAX, i32::try_from(processors).unwrap_or(i32::MAX)) };
    }
}

async fn begin() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    match measure(&options).await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("failed: {error:?}");
            ExitCode::from(3)
        }
    }
}

fn options(words: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        services: 10_000_000,
        observations: 5_000_000,
        growth: 50_000_000,
        seed: 1,
        parts: Vec::new(),
        folder: std::env::temp_dir(),
        lake: None,
        json: None,
    };
    let mut words = words.filter(|word| word != "--bench");
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} takes a value"))?;
        let number = || value.replace('_', "").parse().map_err(|_| format!("`{value}` is no number"));
        match word.as_str() {
            "--services" => options.services = number()?,
            "--observations" => options.observations = number()?,
            "--growth" => options.growth = number()?,
            "--seed" => options.seed = number()?,
            "--part" if ["view", "ingest", "year", "sql", "growth"].contains(&value.as_str()) => {
                options.parts.push(value)
            }
            "--folder" => options.folder = value.into(),
            "--lake" => options.lake = Some(value.into()),
            "--json" => options.json = Some(value.into()),
            _ => return Err(format!("`{word} {value}` is not known here")),
        }
    }
    Ok(options)
}

/// Measures; gives how many limits were missed.
async fn measure(options: &Options) -> Result<usize, LakeError> {
    let io = |source: std::io::Error| LakeError::Read { table: "bench", source: source.into() };
    let folder = tempfile::Builder::new().prefix("kenshin-bench-").tempdir_in(&options.folder).map_err(io)?;
    let there = options.lake.as_ref().is_some_and(|lake| lake.exists());
    let location = options.lake.clone().unwrap_or_else(|| folder.path().join("lake")).display().to_string();
    let population = Population::new(options.seed, options.services);
    let mut report = Report::begin();
    let wanted = |part: &str| options.parts.is_empty() || options.parts.iter().any(|named| named == part);
    // DuckDB is compared on what the others leave behind.
    if wanted("view") || wanted("sql") {
        let lake = Lake::open(&location).await?;
        if !there {
            current::build(&mut report, &lake, &population, options.services).await?;
        }
        if wanted("view") {
            current::search(&mut report, &lake, &population, options.seed).await?;
        }
    }
    if (wanted("ingest") || wanted("sql")) && !there {
        // Nothing of the view is held any more.
        let lake = Lake::open(&location).await?;
        ingest::measure(&mut report, &lake, &population, options.observations).await?;
    }
    // Of a lake that stayed alone: otherwise it is measured when it was filled.
    if options.parts.iter().any(|named| named == "year") {
        let lake = Lake::open(&location).await?;
        ingest::again(&mut report, &lake, &population, options.observations).await?;
    }
    if wanted("sql") {
        let lake = Lake::open(&location).await?;
        let asked =
            duckdb::Asked { population: &population, observations: options.observations, seed: options.seed };
        duckdb::compare(&mut report, &lake, folder.path(), asked).await?;
    }
    if wanted("growth") {
        let lake = Lake::open(folder.path().join("growth").display().to_string().as_str()).await?;
        growth::measure(&mut report, &lake, &population, options.growth).await?;
    }
    let (figures, missed) = report.end();
    if let Some(path) = &options.json {
        std::fs::write(path, format!("{figures:#}\n")).map_err(io)?;
    }
    Ok(missed)
}
