//! `component`: list, show, advisory, affected.

use kenshin_insight::component::{
    Carried, Certainty, Count, Exposure, Gaps, Ground, Maintenance, Query, Supported,
};
use kenshin_insight::intelligence::CveId;
use kenshin_observatory::{AdvisoryForm, CarrierRow, ExposedRow, Observatory};

use super::Context;
use crate::cli::{self, Component, Format};
use crate::exit::Exit;
use crate::output::{Rows, print_json, print_text, thousands, visible};

pub(crate) async fn run(context: &Context<'_>, command: &Component) -> anyhow::Result<Exit> {
    let observatory = context.open().await?;
    match command {
        Component::List => list(context, &observatory).await,
        Component::Show { query, limit } => show(context, &observatory, query, *limit).await,
        Component::Advisory { query, form } => {
            let form = match form {
                cli::AdvisoryForm::Csaf => AdvisoryForm::Csaf,
                cli::AdvisoryForm::Page => AdvisoryForm::Page,
            };
            print_text(&observatory.component_advisory(query, form, &context.language()).await?)?;
            Ok(Exit::Done)
        }
        Component::Affected { cve, limit } => affected(context, &observatory, *cve, *limit).await,
    }
}

async fn list(context: &Context<'_>, observatory: &Observatory) -> anyhow::Result<Exit> {
    let components = observatory.components(&observatory.viewer()).await?;
    let none = components.items.is_empty();
    let told = format!(
        "{} assets; of {} no component is known",
        thousands(components.assets),
        thousands(components.bare)
    );
    if context.format() == Format::Json {
        print_json(&components)?;
        return Ok(if none { Exit::No } else { Exit::Done });
    }
    Rows {
        columns: &[
            "COMPONENT",
            "ROLE",
            "VISIBLE",
            "KNOWN",
            "INFERRED",
            "MAINTAINED",
            "VERSIONS",
            "FIRST SEEN",
            "LAST SEEN",
        ],
        right: &[2, 3, 4],
        items: components.items,
        cells: |count: &Count| {
            vec![
                count.name.clone(),
                count.role.map_or_else(|| "-".to_owned(), |role| role.to_string()),
                count.visible.to_string(),
                count.known.to_string(),
                count.inferred.to_string(),
                support(&count.maintenance),
                count.versions.iter().cloned().collect::<Vec<_>>().join(", "),
                count.first_seen.to_string(),
                count.last_seen.to_string(),
            ]
        },
    }
    .print(context.format())?;
    tell(context, &told)?;
    Ok(if none { Exit::No } else { Exit::Done })
}

async fn show(
    context: &Context<'_>,
    observatory: &Observatory,
    query: &Query,
    limit: usize,
) -> anyhow::Result<Exit> {
    let carriers = observatory.carriers(&observatory.viewer(), query, limit).await?;
    let exit = if carriers.items.is_empty() { Exit::No } else { Exit::Done };
    if context.format() == Format::Json {
        print_json(&carriers)?;
        return Ok(exit);
    }
    let mut told = gaps(&carriers.gaps);
    for (certainty, count) in carriers.by_certainty.iter().rev() {
        told.push_str(&format!("{:<14} {}\n", certainty.as_str(), thousands(*count)));
    }
    told.push_str(&format!("maintained     {}\n", support(&carriers.maintenance)));
    if let Some(source) = &carriers.maintenance.source {
        told.push_str(&format!("says           {}\n", visible(source)));
    }
    if carriers.left_out > 0 {
        told.push_str(&format!("not listed     {}; raise --limit\n", thousands(carriers.left_out)));
    }
    Rows {
        columns: &[
            "ASSET",
            "ADDRESS",
            "PRODUCT",
            "PRODUCT VERSION",
            "COMPONENT",
            "VERSION",
            "CERTAINTY",
            "CONFIDENCE",
            "EVIDENCE",
            "LAST SEEN",
        ],
        right: &[7],
        items: carriers.items,
        cells: |row: &CarrierRow| {
            let carried = &row.carrier.carried;
            vec![
                row.asset_id.to_string(),
                row.addr.to_string(),
                row.product.clone().unwrap_or_else(|| "unknown".to_owned()),
                row.product_version.clone().unwrap_or_else(|| "-".to_owned()),
                carried.name.clone(),
                carried.version.clone().unwrap_or_else(|| "unknown".to_owned()),
                carried.certainty.to_string(),
                format!("{} %", carried.confidence),
                grounds(carried),
                row.last_seen.to_string(),
            ]
        },
    }
    .print(context.format())?;
    tell(context, &told)?;
    Ok(exit)
}

async fn affected(
    context: &Context<'_>,
    observatory: &Observatory,
    cve: CveId,
    limit: usize,
) -> anyhow::Result<Exit> {
    let exposed = observatory.exposed(&observatory.viewer(), cve, limit).await?;
    let hit = [Exposure::Affected, Exposure::AffectedByKnowledge, Exposure::Possible];
    let none = hit.iter().all(|word| exposed.counts.get(word).is_none_or(|count| *count == 0));
    let exit = if none { Exit::No } else { Exit::Done };
    if context.format() == Format::Json {
        print_json(&exposed)?;
        return Ok(exit);
    }
    let mut told = String::new();
    for (exposure, count) in &exposed.counts {
        told.push_str(&format!("{:<22} {}\n", exposure.as_str(), thousands(*count)));
    }
    told.push_str("unknown is not unaffected: nothing tells what these devices contain\n");
    if exposed.left_out > 0 {
        told.push_str(&format!("{:<22} {}; raise --limit\n", "not listed", thousands(exposed.left_out)));
    }
    Rows {
        columns: &[
            "ASSET",
            "ADDRESS",
            "PRODUCT",
            "EXPOSURE",
            "BY",
            "VERSION",
            "CERTAINTY",
            "EVIDENCE",
            "LAST SEEN",
        ],
        right: &[],
        items: exposed.items,
        cells: |row: &ExposedRow| {
            let by = row.by.as_ref();
            let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
            vec![
                row.asset_id.to_string(),
                row.addr.to_string(),
                row.product.clone().unwrap_or_else(|| "unknown".to_owned()),
                row.exposure.to_string(),
                by.map_or_else(|| "its own version".to_owned(), |by| by.name.clone()),
                or_dash(by.and_then(|by| by.version.clone())),
                or_dash(by.map(|by| by.certainty.to_string())),
                or_dash(by.map(grounds)),
                row.last_seen.to_string(),
            ]
        },
    }
    .print(context.format())?;
    tell(context, &told)?;
    Ok(exit)
}

/// What is said below a table; beside rows that a program reads it is talk.
fn tell(context: &Context<'_>, told: &str) -> anyhow::Result<()> {
    match context.format() {
        Format::Table => print_text(&format!("\n{}\n", told.trim_end())),
        _ => {
            context.say(told.trim_end());
            Ok(())
        }
    }
}

fn gaps(gaps: &Gaps) -> String {
    let rows = [
        ("assets", gaps.assets, ""),
        ("carriers", gaps.carriers, ""),
        ("other version", gaps.other_version, "carry it in another version"),
        ("not in SBOM", gaps.unlisted, "a bill of materials of their version does not list it"),
        ("not known", gaps.unlearned, "identified, and nothing tells what they contain"),
        ("not identified", gaps.unidentified, "nobody knows what they are"),
    ];
    rows.iter()
        .map(|(name, count, why)| {
            let line = format!("{name:<14} {:<8} {why}", thousands(*count));
            format!("{}\n", line.trim_end())
        })
        .collect()
}

fn support(maintenance: &Maintenance) -> String {
    match (maintenance.supported, maintenance.since) {
        (Supported::Maintained, _) => "yes".to_owned(),
        (Supported::Unmaintained, Some(since)) => format!("no, since {since}"),
        (Supported::Unmaintained, None) => "no".to_owned(),
        (Supported::Unknown, _) => "unknown".to_owned(),
    }
}

fn grounds(carried: &Carried) -> String {
    let ground = |ground: &Ground| match ground {
        Ground::Shown { reason, text, .. } => match text {
            Some(text) => format!("{reason} = {text}"),
            None => reason.clone(),
        },
        Ground::Stated { basis, family, source, .. } => format!("{basis} of {family} ({source})"),
    };
    let seen = carried.certainty == Certainty::Visible;
    // What is visible needs no other witness.
    carried.evidence.iter().take(if seen { 1 } else { 3 }).map(ground).collect::<Vec<_>>().join("; ")
}
