//! `lake verify` and `lake repair`.

use kenshin_lake::integrity::{Fault, Report, TableReport};
use serde_json::json;

use super::Context;
use crate::cli::Format;
use crate::exit::Exit;
use crate::output::{Rows, print_json, thousands};

pub(super) async fn verify(context: &Context<'_>, deep: bool) -> anyhow::Result<Exit> {
    let observatory = context.open().await?;
    let report = observatory.verify_lake(deep, |table| context.say(&format!("looking at {table}"))).await?;
    if context.format() == Format::Json {
        print_json(&report)?;
    } else {
        tables(&report).print(context.format())?;
        faults(context, &report)?;
    }
    verdict(context, &report);
    if report.can_be_repaired() {
        context.say("hint: put lost files back from a copy if there is one; else `kenshin lake repair`");
    }
    Ok(if report.faults.is_empty() { Exit::Done } else { Exit::No })
}

pub(super) async fn repair(context: &Context<'_>) -> anyhow::Result<Exit> {
    let observatory = context.open().await?;
    context.say("looking at every row first: this takes as long as `kenshin lake verify --deep`");
    let (before, after) = observatory.repair_lake().await?;
    if context.format() == Format::Json {
        print_json(&json!({ "found": before, "left": after }))?;
    } else {
        faults(context, &before)?;
    }
    match (before.faults.is_empty(), before.can_be_repaired()) {
        (true, _) => context.say("there was nothing to repair"),
        (false, false) => context.say("nothing of this can be repaired without a copy"),
        (false, true) => {
            let gone: u64 = before.faults.iter().filter_map(|fault| fault.rows).sum();
            context.say(&format!(
                "taken out of the tables: {} rows that could not be read; the current view was made anew",
                thousands(gone)
            ));
        }
    }
    verdict(context, &after);
    Ok(if after.faults.is_empty() { Exit::Done } else { Exit::No })
}

fn tables(report: &Report) -> Rows<TableReport> {
    Rows {
        columns: &["table", "version", "files", "rows", "MiB", "strays"],
        right: &[1, 2, 3, 4, 5],
        items: report.tables.clone(),
        cells: |table| {
            vec![
                table.table.clone(),
                table.version.map_or_else(|| "-".to_owned(), |version| version.to_string()),
                thousands(table.files),
                thousands(table.rows),
                thousands(table.bytes >> 20),
                thousands(table.strays),
            ]
        },
    }
}

fn faults(context: &Context<'_>, report: &Report) -> anyhow::Result<()> {
    if report.faults.is_empty() || context.format() != Format::Table {
        return Ok(());
    }
    let rows: Rows<Fault> = Rows {
        columns: &["fault", "table", "what", "rows", "detail"],
        right: &[3],
        items: report.faults.clone(),
        cells: |fault| {
            let rows = fault.rows.map_or_else(|| "-".to_owned(), thousands);
            vec![fault.kind.to_string(), fault.table.clone(), fault.what.clone(), rows, fault.detail.clone()]
        },
    };
    rows.print(context.format())
}

fn verdict(context: &Context<'_>, report: &Report) {
    match report.faults.len() {
        0 => context.say("every file is there and whole, and every batch has its observations"),
        1 => context.say("1 fault"),
        many => context.say(&format!("{many} faults")),
    }
}
