//! How much faster the prefilter finds the first matching fingerprint than trying all in turn.
//!
//! `cargo bench -p kenshin-insight` prints a table; a path behind `--` takes the same figures as JSON.
//! Over every example of the Recog database where it is at hand (`../shared/data`, or
//! `KENSHIN_SHARED_DATA`), each put to its own database, and over the shipped pack's examples. Every
//! pattern was compiled before the clock starts. Budget: at least five times as fast over Recog's.

#![expect(clippy::print_stdout, reason = "its table is the data of a bench")]

use std::hint::black_box;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use kenshin_insight::fingerprint::{Database, Match, Pack};

/// Passes over all banners; the median counts.
const PASSES: usize = 9;

/// The prefilter is to be this many times as fast.
const BUDGET: f64 = 5.0;

/// Figures of one pack.
struct Figures {
    pack: String,
    fingerprints: usize,
    banners: usize,
    in_turn_per_s: f64,
    prefiltered_per_s: f64,
}

impl Figures {
    fn ratio(&self) -> f64 {
        self.prefiltered_per_s / self.in_turn_per_s
    }
}

fn main() -> ExitCode {
    let own = measure(&Pack::own());
    let recog = recog().map(|pack| measure(&pack));
    println!(
        "{:<8}{:>14}{:>10}{:>18}{:>20}{:>8}",
        "pack", "fingerprints", "banners", "in turn /s", "prefiltered /s", "ratio"
    );
    for figures in std::iter::once(&own).chain(&recog) {
        println!(
            "{:<8}{:>14}{:>10}{:>18.0}{:>20.0}{:>8.1}",
            figures.pack,
            figures.fingerprints,
            figures.banners,
            figures.in_turn_per_s,
            figures.prefiltered_per_s,
            figures.ratio()
        );
    }
    if let Some(path) = std::env::args().skip(1).find(|argument| !argument.starts_with("--")) {
        let object: serde_json::Map<String, serde_json::Value> = std::iter::once(&own)
            .chain(&recog)
            .map(|figures| {
                let value = serde_json::json!({
                    "fingerprints": figures.fingerprints,
                    "banners": figures.banners,
                    "in_turn_per_s": figures.in_turn_per_s,
                    "prefiltered_per_s": figures.prefiltered_per_s,
                    "ratio": figures.ratio(),
                });
                (figures.pack.clone(), value)
            })
            .collect();
        let text = serde_json::to_string_pretty(&object).expect("a map of numbers is JSON");
        if let Err(error) = std::fs::write(&path, text + "\n") {
            eprintln!("failed to write `{path}`: {error}");
            return ExitCode::from(3);
        }
    }
    match recog {
        None => {
            eprintln!("skipped: Recog (no shared data)");
            ExitCode::SUCCESS
        }
        Some(figures) if figures.ratio() >= BUDGET => ExitCode::SUCCESS,
        Some(figures) => {
            eprintln!("over budget: {:.1} times as fast, {BUDGET} wanted", figures.ratio());
            ExitCode::FAILURE
        }
    }
}

fn recog() -> Option<Arc<Pack>> {
    let base = match std::env::var_os("KENSHIN_SHARED_DATA") {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(base.join("recog")).ok()? {
        let path = entry.ok()?.path();
        if path.extension().is_some_and(|extension| extension == "xml") {
            let name = path.file_name()?.to_string_lossy().into_owned();
            files.push((name, std::fs::read_to_string(&path).ok()?));
        }
    }
    files.sort();
    Pack::parse("recog", files.iter().map(|(name, text)| (name.as_str(), text.as_str()))).ok().map(Arc::new)
}

fn measure(pack: &Pack) -> Figures {
    let work: Vec<(&Database, &[u8])> = pack
        .databases()
        .iter()
        .flat_map(|database| {
            let examples = database.fingerprints().iter().flat_map(|fingerprint| fingerprint.examples());
            examples
                .filter(|example| example.file.is_none())
                .map(move |example| (database, example.text.as_slice()))
        })
        .collect();
    let (in_turn_per_s, prefiltered_per_s) = rates(&work);
    Figures {
        pack: pack.name().to_owned(),
        fingerprints: pack.len(),
        banners: work.len(),
        in_turn_per_s,
        prefiltered_per_s,
    }
}

/// Banners a second on one core, in turn and prefiltered. The passes alternate, after one of each that
/// warms up, so that what else the machine does meets both.
fn rates(work: &[(&Database, &[u8])]) -> (f64, f64) {
    let (mut in_turn, mut prefiltered) = (Vec::new(), Vec::new());
    for _ in 0..=PASSES {
        in_turn.push(seconds(work, Database::first_match_in_turn));
        prefiltered.push(seconds(work, Database::first_match));
    }
    let median = |mut seconds: Vec<f64>| {
        seconds.remove(0);
        seconds.sort_by(f64::total_cmp);
        work.len() as f64 / seconds[seconds.len() / 2]
    };
    (median(in_turn), median(prefiltered))
}

/// One pass over all banners.
fn seconds(
    work: &[(&Database, &[u8])],
    find: impl for<'d> Fn(&'d Database, &[u8]) -> Option<Match<'d>>,
) -> f64 {
    let start = Instant::now();
    for (database, text) in work {
        black_box(find(database, black_box(text)));
    }
    start.elapsed().as_secs_f64()
}
