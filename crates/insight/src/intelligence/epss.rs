//! FIRST's Exploit Prediction Scoring System, as CSV. Since 2022 the first line is a comment that
//! names the model and the day; older files tell the day by their name.

use std::io::BufRead;

use super::importer::{io, read_line};
use super::{Day, Epss, ImportError, Importer, IntelligenceKind};

const LINE_MAX: usize = 4 << 10;

pub(super) fn read(importer: &mut Importer, file: &str, mut from: impl BufRead) -> Result<(), ImportError> {
    let mut line = Vec::new();
    let mut number = 0;
    let mut columns: Option<Columns> = None;
    let mut version = version_of_name(file);
    while let Some(whole) = read_line(&mut from, LINE_MAX, &mut line).map_err(io(file))? {
        number += 1;
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_start_matches('\u{feff}').trim();
        match &columns {
            _ if text.is_empty() => {}
            _ if !whole => importer.reject(file, number, "the line is too long"),
            None if text.starts_with('#') => version = version_of_comment(text).or(version),
            None => columns = Some(Columns::of(text).ok_or_else(|| not_epss(file, text))?),
            Some(columns) => match columns.record(text) {
                Ok(record) => importer.epss.push(record),
                Err(reason) => importer.reject(file, number, reason),
            },
        }
    }
    if columns.is_none() {
        return Err(not_epss(file, ""));
    }
    if let Some(version) = version {
        importer.newer_version(version);
    }
    Ok(())
}

struct Columns {
    cve: usize,
    epss: usize,
    percentile: Option<usize>,
}

impl Columns {
    fn of(header: &str) -> Option<Self> {
        let at = |name: &str| header.split(',').position(|column| column.trim().eq_ignore_ascii_case(name));
        Some(Self { cve: at("cve")?, epss: at("epss")?, percentile: at("percentile") })
    }

    fn record(&self, line: &str) -> Result<Epss, String> {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let field =
            |at: usize| fields.get(at).copied().ok_or_else(|| "the line has too few fields".to_owned());
        Ok(Epss {
            cve: field(self.cve)?.parse().map_err(|error| format!("{error}"))?,
            probability_ppm: ppm(field(self.epss)?)?,
            percentile_ppm: self.percentile.map(|at| field(at).and_then(ppm)).transpose()?,
        })
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the value lies between 0 and 1")]
fn ppm(text: &str) -> Result<u32, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok((share * 1e6).round() as u32),
        _ => Err(format!("`{}` is not a share between 0 and 1", text.chars().take(40).collect::<String>())),
    }
}

/// `#model_version:v2023.03.01,score_date:2023-03-07T00:00:00+0000` is `2023-03-07-v2023.03.01`.
fn version_of_comment(line: &str) -> Option<String> {
    let value =
        |name: &str| line.trim_start_matches('#').split(',').find_map(|part| part.trim().strip_prefix(name));
    let day: Day = value("score_date:")?.get(..10)?.parse().ok()?;
    Some(match value("model_version:") {
        Some(model) => format!("{day}-{}", model.chars().take(40).collect::<String>()),
        None => day.to_string(),
    })
}

/// `epss_scores-2021-04-14.csv` is of 2021-04-14.
fn version_of_name(file: &str) -> Option<String> {
    let at = file.rfind("epss_scores-")? + "epss_scores-".len();
    file.get(at..at + 10)?.parse::<Day>().ok().map(|day| day.to_string())
}

fn not_epss(file: &str, found: &str) -> ImportError {
    ImportError::Kind {
        file: file.to_owned(),
        kind: IntelligenceKind::Epss,
        problem: format!("its first line is `{}`", found.chars().take(60).collect::<String>()),
        hint: "use epss_scores-DATE.csv as FIRST publishes it; its columns are cve,epss,percentile",
    }
}
