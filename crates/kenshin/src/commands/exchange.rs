//! `survey export` and `survey import`: the formats of other scanners.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use kenshin_exchange::Fields;
use kenshin_observatory::{ActError, ImportRequest, ImportedFile, Observatory, Worker};

use super::Context;
use crate::cli::{SurveyExport, SurveyImport};
use crate::exit::Exit;
use crate::output::{Rows, thousands};

/// Problems of one file that are printed; the others are counted.
const PROBLEMS_SHOWN: usize = 20;

pub(crate) async fn export(
    context: &Context<'_>,
    observatory: &Observatory,
    command: &SurveyExport,
) -> anyhow::Result<Exit> {
    let fields = Fields { failures: command.failures, ..command.fields.clone() };
    let rows = match &command.output {
        None => {
            let to = BufWriter::new(std::io::stdout());
            observatory.export(command.id, command.format, fields, to).await?
        }
        Some(path) => {
            let beside = path.with_added_extension("part");
            let failed = |source| ActError::io("write", path, source);
            let mut to = BufWriter::new(File::create(&beside).map_err(failed)?);
            let rows = observatory.export(command.id, command.format, fields, &mut to).await;
            let kept = rows.and_then(|rows| keep(to, &beside, path).map(|()| rows).map_err(failed));
            if kept.is_err() {
                // Half a file is no file; what went wrong is told below.
                let _ = std::fs::remove_file(&beside);
            }
            kept?
        }
    };
    if rows == 0 {
        context.say(&format!("there is nothing of survey {} in the lake", command.id));
        return Ok(Exit::No);
    }
    context.say(&format!("{} observations of survey {}", thousands(rows as i64), command.id));
    Ok(Exit::Done)
}

fn keep(mut to: BufWriter<File>, beside: &Path, path: &Path) -> std::io::Result<()> {
    to.flush()?;
    to.into_inner().map_err(|error| error.into_error())?.sync_all()?;
    std::fs::rename(beside, path)
}

pub(crate) async fn import(
    context: &Context<'_>,
    observatory: &Observatory,
    command: &SurveyImport,
) -> anyhow::Result<Exit> {
    let request = ImportRequest {
        format: command.format,
        port: command.port,
        names: command.host.iter().cloned().collect(),
    };
    let worker = Worker::open(observatory)?;
    let mut imported = Vec::new();
    for path in &command.file {
        let file = worker.import(observatory, &request, path).await?;
        for problem in file.problems.iter().take(PROBLEMS_SHOWN) {
            crate::output::talk(&format!("not used: {problem}"));
        }
        let more = file.problems_total.saturating_sub(PROBLEMS_SHOWN as u64);
        if more > 0 {
            crate::output::talk(&format!("not used: {more} more of `{}`", file.file));
        }
        imported.push(file);
    }
    let none = imported.iter().all(|file| file.rows == 0);
    Rows {
        columns: &["FILE", "TOOL", "VERSION", "SURVEY", "ROWS", "NEW", "NOT USED"],
        right: &[4, 5, 6],
        items: imported,
        cells: |file: &ImportedFile| {
            vec![
                file.file.clone(),
                file.tool.clone(),
                file.version.clone().unwrap_or_else(|| "-".to_owned()),
                file.survey_id.to_string(),
                thousands(file.rows as i64),
                thousands(file.rows_new as i64),
                thousands(file.problems_total as i64),
            ]
        },
    }
    .print(context.format())?;
    Ok(if none { Exit::No } else { Exit::Done })
}
