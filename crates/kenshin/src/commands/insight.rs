//! `insight`: eval.

use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kenshin_insight::evaluation::{Attribute, Evaluation, Score, Wrong, evaluate};
use kenshin_insight::fingerprint::{Pack, Packs};
use kenshin_observatory::{ActError, Settings, read_pack};
use serde::Serialize;

use super::Context;
use crate::cli::{Format, Insight, WhichPack};
use crate::exit::Exit;
use crate::output::{Rows, print_json, print_text};

/// Rejected lines that are shown.
const SHOWN_MAX: usize = 20;

pub(crate) fn run(context: &Context<'_>, command: &Insight) -> anyhow::Result<Exit> {
    let Insight::Eval { file, pack, recog, wrong, plot } = command;
    let packs = packs(context, *pack, recog.as_deref())?;
    let reader = File::open(file).map_err(|source| match source.kind() {
        ErrorKind::NotFound => ActError::input(format!("`{}` is not there", file.display())),
        _ => ActError::io("read", file, source),
    })?;
    let name = file.display().to_string();
    let evaluation = evaluate(&name, BufReader::new(reader), &packs)
        .map_err(|source| ActError::io("read", file, source))?;
    for rejected in evaluation.rejected.iter().take(SHOWN_MAX) {
        crate::output::talk(&format!("not used: {rejected}"));
    }
    if evaluation.rejected_total > SHOWN_MAX as u64 {
        crate::output::talk(&format!("not used: {} more", evaluation.rejected_total - SHOWN_MAX as u64));
    }
    if let Some(path) = plot {
        let picture = kenshin_insight::evaluation::plot(&evaluation);
        kenshin_observatory::write_whole(path, &picture)?;
    }
    print(context.format(), &evaluation, *wrong)?;
    Ok(if evaluation.banners == 0 { Exit::No } else { Exit::Done })
}

/// The packs asked for, and a word about which they are.
fn packs(context: &Context<'_>, which: Option<WhichPack>, recog: Option<&Path>) -> anyhow::Result<Packs> {
    if which == Some(WhichPack::Own) {
        return Ok(Packs::own());
    }
    let folders = match recog {
        Some(folder) => vec![folder.to_owned()],
        None => known_folders(context),
    };
    if folders.is_empty() && which.is_none() {
        context.say("no Recog folder: the shipped pack alone is asked");
        return Ok(Packs::own());
    }
    if folders.is_empty() {
        return Err(ActError::input("there is no folder with Recog's fingerprints")
            .with_hint("name it with --recog DIR, the xml folder of a Recog checkout")
            .into());
    }
    let imported = folders.iter().map(|folder| imported(folder)).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(if which == Some(WhichPack::Recog) { Packs::new(imported) } else { Packs::both(imported) })
}

/// Where imported fingerprints lie when nobody says so.
fn known_folders(context: &Context<'_>) -> Vec<PathBuf> {
    let home = &context.home;
    let configured: Vec<PathBuf> =
        Settings::read(home).map(|settings| settings.fingerprints).unwrap_or_default();
    if !configured.is_empty() {
        return configured.iter().map(|path| home.resolve(path)).collect();
    }
    let usual = [home.root().join("intel/recog"), PathBuf::from("../shared/data/recog")];
    usual.into_iter().find(|folder| folder.is_dir()).into_iter().collect()
}

fn imported(folder: &Path) -> anyhow::Result<Arc<Pack>> {
    // A checkout has its files in `xml`.
    let inner = folder.join("xml");
    let folder = if inner.is_dir() { &inner } else { folder };
    let pack = if folder.exists() { Some(read_pack(folder)?) } else { None };
    match pack.filter(|pack| !pack.is_empty()) {
        Some(pack) => Ok(Arc::new(pack)),
        None => Err(ActError::input(format!("`{}` holds no fingerprints", folder.display()))
            .with_hint("name the folder with Recog's XML files")
            .into()),
    }
}

/// One attribute, as it is printed.
#[derive(Serialize)]
struct Row {
    #[serde(skip)]
    attribute: Attribute,
    judged: u64,
    answered: u64,
    correct: u64,
    precision: Option<f64>,
    recall: Option<f64>,
    abstention: Option<f64>,
    calibration_error: Option<f64>,
}

impl Row {
    fn new(attribute: Attribute, score: &Score) -> Self {
        Self {
            attribute,
            judged: score.judged,
            answered: score.answered,
            correct: score.correct,
            precision: score.precision(),
            recall: score.recall(),
            abstention: score.abstention(),
            calibration_error: score.calibration_error(),
        }
    }
}

fn print(format: Format, evaluation: &Evaluation, wrong: bool) -> anyhow::Result<()> {
    let items: Vec<Row> = Attribute::ALL.iter().map(|one| Row::new(*one, &evaluation.score(*one))).collect();
    if format == Format::Json {
        let mut object = serde_json::Map::new();
        for row in &items {
            object.insert(row.attribute.to_string(), serde_json::to_value(row)?);
        }
        if wrong {
            object.insert("wrong".to_owned(), serde_json::to_value(&evaluation.wrong)?);
        }
        return print_json(&object);
    }
    let misses = Rows {
        columns: &["LINE", "FIELD", "ANSWER", "%", "TRUTH", "REASON", "BANNER"],
        right: &[0, 3],
        items: evaluation.wrong.clone(),
        cells: |wrong: &Wrong| {
            vec![
                wrong.line.to_string(),
                wrong.attribute.to_string(),
                wrong.answer.clone(),
                wrong.confidence.to_string(),
                wrong.truth.join(" | "),
                wrong.reason.clone(),
                wrong.banner.clone(),
            ]
        },
    };
    // One table a file, where a program reads it.
    if wrong && format == Format::Csv {
        return misses.print(format);
    }
    Rows {
        columns: &[
            "FIELD",
            "JUDGED",
            "ANSWERED",
            "CORRECT",
            "PRECISION",
            "RECALL",
            "ABSTENTION",
            "CALIBRATION",
        ],
        right: &[1, 2, 3, 4, 5, 6, 7],
        items,
        cells: |row: &Row| {
            let share =
                |share: Option<f64>| share.map_or_else(|| "-".to_owned(), |share| format!("{share:.4}"));
            vec![
                row.attribute.to_string(),
                row.judged.to_string(),
                row.answered.to_string(),
                row.correct.to_string(),
                share(row.precision),
                share(row.recall),
                share(row.abstention),
                share(row.calibration_error),
            ]
        },
    }
    .print(format)?;
    if wrong && !misses.items.is_empty() {
        print_text("\n")?;
        misses.print(format)?;
    }
    Ok(())
}
