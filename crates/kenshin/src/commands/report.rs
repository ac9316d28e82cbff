//! `report`: figures of a survey, health over rounds. Every number with its denominator.

use kenshin_casework::{PageRequest, SurveyTotals};
use kenshin_insight::cryptography::Part;
use kenshin_observatory::{ActError, CryptoRow, Grouping, Observatory};

use super::Context;
use crate::cli::{CryptoBy, Format, Report};
use crate::exit::Exit;
use crate::output::{Rows, print_json, print_text, thousands};

pub(crate) async fn run(context: &Context<'_>, command: &Report) -> anyhow::Result<Exit> {
    let observatory = context.open().await?;
    let (casework, org) = (observatory.casework(), observatory.org());
    match command {
        Report::Survey { id } => {
            let survey = match id {
                Some(id) => casework.survey(org, *id).await.map_err(ActError::from)?,
                None => casework
                    .surveys(org, None, &PageRequest::first())
                    .await?
                    .items
                    .into_iter()
                    .next()
                    .ok_or_else(|| ActError::no("there is no survey yet"))?,
            };
            if context.format() == Format::Json {
                print_json(&survey)?;
            } else {
                print_text(&format!(
                    "survey {} ({}, round {}, {})\n{}",
                    survey.survey_id,
                    survey.programme,
                    survey.round,
                    survey.state,
                    totals_text(&survey.totals)
                ))?;
            }
        }
        Report::Crypto { by } => return crypto(context, &observatory, *by).await,
        Report::Health => {
            let figures = casework.figures(&observatory.viewer()).await?;
            if context.format() == Format::Json {
                print_json(&figures)?;
                return Ok(Exit::Done);
            }
            let mut text =
                String::from("round  surveyed  responders  findings  open cases  no addressee  judged\n");
            for round in &figures.rounds {
                text.push_str(&format!(
                    "{:>5}  {:>8}  {:>10}  {:>8}  {:>10}  {:>12}  {:>6}\n",
                    round.round,
                    thousands(round.totals.addresses_covered),
                    thousands(round.totals.responders),
                    thousands(round.findings),
                    thousands(round.open_cases),
                    thousands(round.no_addressee),
                    thousands(round.judged),
                ));
            }
            for (title, counts) in [
                ("findings that hold", &figures.findings_by_kind),
                ("cases by stage", &figures.stages),
                ("cases by condition", &figures.conditions),
                ("closed because", &figures.close_reasons),
            ] {
                text.push_str(&format!("\n{title}\n"));
                for count in counts {
                    text.push_str(&format!("  {:<20} {:>8}\n", count.name, thousands(count.count)));
                }
            }
            text.push_str(&format!(
                "\nnotified {} of {} cases; remedied after a notice {} of {}\n",
                thousands(figures.notified_cases),
                thousands(figures.cases),
                thousands(figures.remedied_after_notice),
                thousands(figures.notified_cases),
            ));
            print_text(&text)?;
        }
    }
    Ok(Exit::Done)
}

/// Figures of cryptography, `count/judged?unknown` in each column.
async fn crypto(
    context: &Context<'_>,
    observatory: &Observatory,
    by: Option<CryptoBy>,
) -> anyhow::Result<Exit> {
    let grouping = match by {
        None => Grouping::Both,
        Some(CryptoBy::Provider) => Grouping::Provider,
        Some(CryptoBy::Year) => Grouping::Year,
    };
    let rows = observatory.crypto_figures(grouping).await?;
    let none = rows.is_empty();
    if context.format() == Format::Table {
        context.say("of each: how many / of how many judged (+ of how many it is not known)");
    }
    Rows {
        columns: &[
            "PROVIDER",
            "YEAR",
            "ANSWERING",
            "ENCRYPTED",
            "OLD PROTOCOL",
            "WEAK ALGORITHM",
            "SMALL KEY",
            "BAD DATES",
            "OBSOLETE OFFERED",
            "SHARED KEY",
            "HYBRID OFFERED",
        ],
        right: &[2, 3, 4, 5, 6, 7, 8, 9, 10],
        items: rows,
        cells: |row: &CryptoRow| {
            let figures = &row.figures;
            let part = |part: &Part| format!("{}/{} (+{})", part.count, part.judged, part.unknown);
            vec![
                row.provider.clone().unwrap_or_else(|| "-".to_owned()),
                row.year.clone().unwrap_or_else(|| "-".to_owned()),
                figures.answering.to_string(),
                figures.encrypted.to_string(),
                part(&figures.old_protocol),
                part(&figures.weak_algorithm),
                part(&figures.small_key),
                part(&figures.invalid_dates),
                part(&figures.obsolete_offered),
                part(&figures.shared_key),
                part(&figures.hybrid_offered),
            ]
        },
    }
    .print(context.format())?;
    Ok(if none { Exit::No } else { Exit::Done })
}

/// The denominators of a round, as text.
pub(crate) fn totals_text(totals: &SurveyTotals) -> String {
    let rows = [
        ("addresses", totals.addresses_covered, Some(totals.addresses_planned)),
        ("excluded", totals.addresses_excluded, None),
        ("targets", totals.targets_covered, Some(totals.targets_planned)),
        ("exchanges", totals.exchanges, None),
        ("responders", totals.responders, Some(totals.addresses_covered)),
        ("services", totals.services, None),
        ("assets", totals.assets, None),
        ("  unknown", totals.assets_unknown, Some(totals.assets)),
        ("findings", totals.findings, None),
        ("vanished", totals.unaffected_dark, Some(totals.unaffected_before)),
    ];
    let mut text = String::new();
    for (name, value, of) in rows {
        let of = of.map_or_else(String::new, |of| format!(" of {}", thousands(of)));
        text.push_str(&format!("{name:<11} {}{of}\n", thousands(value)));
    }
    text
}
