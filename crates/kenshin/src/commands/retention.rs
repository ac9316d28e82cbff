//! `lake retain`, `lake erasures`, `lake hold` and `lake prove`.

use kenshin_casework::{Actor, Hold as Held, NewHold};
use kenshin_lake::Shelf;
use kenshin_observation::BatchId;
use kenshin_observatory::{ActError, Bytes, Due, Observatory, Outlook, Statement};
use serde_json::json;

use super::Context;
use crate::cli::{AddHold, Format, Hold, Retain};
use crate::exit::Exit;
use crate::output::{Rows, print_json, thousands, visible};

pub(super) async fn retain(context: &Context<'_>, options: &Retain) -> anyhow::Result<Exit> {
    let observatory = context.open().await?;
    if options.dry_run {
        return outlook(context, &observatory).await;
    }
    if !options.yes {
        return Err(ActError::input("what is erased cannot be brought back")
            .with_hint("--dry-run shows what would go, --yes erases it")
            .into());
    }
    let bytes = if options.at_once { Bytes::AtOnce } else { Bytes::AfterReaders };
    let done = observatory
        .retain(&Actor::rule("command-line"), bytes, |shelf| {
            context.say(&format!("erasing {}", named(shelf)))
        })
        .await?;
    if context.format() == Format::Json {
        print_json(&done)?;
    }
    if done.removed > 0 {
        context.say(&format!("{} rows are erased", thousands(done.rows)));
    }
    if done.withdrawn > 0 {
        context.say(&format!("{} erasures were given up: held, or merged meanwhile", done.withdrawn));
    }
    if done.waiting > 0 {
        context.say(&format!(
            "{} erasures wait for their bytes to be deleted, an hour after they were taken out or when a hold is \
             released: `kenshin serve` does it, or the same command again",
            done.waiting
        ));
    }
    if done.erased > 0 {
        context.say(&format!("{} erasures are done and proved: `kenshin lake erasures`", done.erased));
    }
    let nothing = done.removed + done.erased + done.waiting == 0;
    if nothing {
        context.say("nothing is due");
    }
    Ok(if nothing { Exit::No } else { Exit::Done })
}

async fn outlook(context: &Context<'_>, observatory: &Observatory) -> anyhow::Result<Exit> {
    let outlook = observatory.retention_outlook().await?;
    let none = outlook.due.is_empty();
    undated(context, &outlook);
    if observatory.settings().retention.is_empty() {
        context.say("everything is kept for ever\nhint: [retention] in kenshin.toml says for how long; see docs/operating.md");
    }
    if context.format() == Format::Json {
        print_json(&outlook)?;
    } else {
        Rows {
            columns: &["TABLE", "MONTH", "MANDATE", "CLASS", "FILES", "ROWS", "BYTES", "KEPT FOR", "HELD BY"],
            right: &[4, 5, 6],
            items: outlook.due,
            cells: |due: &Due| {
                let text = |text: &Option<String>| visible(text.as_deref().unwrap_or("-"));
                vec![
                    due.shelf.table.clone(),
                    text(&due.shelf.month),
                    text(&due.shelf.mandate_id),
                    text(&due.shelf.class),
                    due.holding.files.to_string(),
                    due.holding.rows.to_string(),
                    due.holding.bytes.to_string(),
                    due.keep.to_string(),
                    due.held_by.join(" "),
                ]
            },
        }
        .print(context.format())?;
    }
    Ok(if none { Exit::No } else { Exit::Done })
}

/// What an old version wrote cannot be told apart.
fn undated(context: &Context<'_>, outlook: &Outlook) {
    if outlook.undated.is_empty() {
        return;
    }
    let tables: Vec<String> =
        outlook.undated.iter().map(|(table, files)| format!("{table} ({files} files)")).collect();
    context.say(&format!(
        "kept whatever the policy says, because an old version of Kenshin wrote them without a month: {}\n\
         hint: `kenshin lake compact` puts their rows apart by month and mandate",
        tables.join(", ")
    ));
}

fn named(shelf: &Shelf) -> String {
    let parts = [Some(&shelf.table), shelf.month.as_ref(), shelf.mandate_id.as_ref(), shelf.class.as_ref()];
    parts.into_iter().flatten().map(|part| visible(part)).collect::<Vec<_>>().join(" ")
}

pub(super) async fn erasures(context: &Context<'_>) -> anyhow::Result<Exit> {
    let erasures = context.open().await?.erasures().await?;
    let none = erasures.proofs.is_empty() && erasures.open.is_empty();
    if let Some(fault) = &erasures.fault {
        context.say(&format!("the chain of proofs is broken: {fault}"));
    }
    for record in &erasures.open {
        context
            .say(&format!("erasure {} is {} since {}", record.erasure_id, record.state, record.intended_at));
    }
    let broken = erasures.fault.is_some();
    if context.format() == Format::Json {
        print_json(&erasures)?;
    } else {
        let read = erasures.proofs.iter().map(|proof| Ok((proof.digest(), proof.read()?)));
        Rows {
            columns: &[
                "NO", "ERASED", "TABLE", "MONTH", "MANDATE", "CLASS", "ROWS", "FILES", "BATCHES", "SHA-256",
            ],
            right: &[0, 6, 7, 8],
            items: read.collect::<Result<Vec<_>, ActError>>()?,
            cells: |(digest, told): &(String, Statement)| {
                let text = |text: &Option<String>| visible(text.as_deref().unwrap_or("-"));
                let erased = &told.erased;
                vec![
                    told.number.to_string(),
                    told.erased_at.to_string(),
                    visible(&erased.shelf.table),
                    text(&erased.shelf.month),
                    text(&erased.shelf.mandate_id),
                    text(&erased.shelf.class),
                    erased.rows.to_string(),
                    erased.files.len().to_string(),
                    erased.batches.to_string(),
                    digest.clone(),
                ]
            },
        }
        .print(context.format())?;
    }
    Ok(if none || broken { Exit::No } else { Exit::Done })
}

pub(super) async fn hold(context: &Context<'_>, command: &Hold) -> anyhow::Result<Exit> {
    let observatory = context.open().await?;
    let actor = Actor::rule("command-line");
    match command {
        Hold::Add(options) => return add(context, &observatory, options, &actor).await,
        Hold::List { all } => {
            let holds =
                observatory.casework().holds(observatory.org(), *all).await.map_err(ActError::from)?;
            let none = holds.is_empty();
            print(context, holds)?;
            return Ok(if none { Exit::No } else { Exit::Done });
        }
        Hold::Release { id, reason } => {
            let (casework, org, now) = (observatory.casework(), observatory.org(), observatory.now());
            let released =
                casework.release_hold(org, id, reason, &actor, now).await.map_err(ActError::from)?;
            context.say("what it kept is due again");
            print(context, vec![released])?;
        }
    }
    Ok(Exit::Done)
}

async fn add(
    context: &Context<'_>,
    observatory: &Observatory,
    options: &AddHold,
    actor: &Actor,
) -> anyhow::Result<Exit> {
    let new = NewHold {
        mandate_id: options.mandate.clone(),
        from: options.from.clone(),
        to: options.to.clone(),
        survey_id: options.survey,
        prefix: options.addr,
        reason: options.reason.clone(),
    };
    let (held, late) = observatory.hold(&new, actor).await?;
    for record in late {
        context.say(&format!(
            "too late for erasure {} of {}: its rows are out of the table since {}; bytes that are there still stay",
            record.erasure_id, record.shelf, record.intended_at
        ));
    }
    print(context, vec![held])?;
    Ok(Exit::Done)
}

fn print(context: &Context<'_>, holds: Vec<Held>) -> anyhow::Result<()> {
    Rows {
        columns: &["ID", "MANDATE", "FROM", "TO", "SURVEY", "PREFIX", "SINCE", "BY", "RELEASED", "REASON"],
        right: &[],
        items: holds,
        cells: |held: &Held| {
            let keeps = &held.keeps;
            let text = |text: Option<String>| visible(&text.unwrap_or_else(|| "-".to_owned()));
            vec![
                held.hold_id.clone(),
                text(keeps.mandate_id.clone()),
                text(keeps.from.clone()),
                text(keeps.to.clone()),
                text(keeps.survey_id.map(|survey| survey.to_string())),
                text(keeps.prefix.map(|prefix| prefix.to_string())),
                held.created_at.to_string(),
                held.held_by.clone(),
                text(held.released_at.map(|at| at.to_string())),
                visible(&keeps.reason),
            ]
        },
    }
    .print(context.format())
}

pub(super) async fn prove(context: &Context<'_>, batch: BatchId) -> anyhow::Result<Exit> {
    let proved = context.open().await?.lake().await?.prove(batch).await.map_err(ActError::from)?;
    let Some(proved) = proved else {
        return Err(ActError::no(format!("the lake knows no batch {batch}")).into());
    };
    if context.format() == Format::Json {
        print_json(&json!({ "holds": proved.holds(), "proof": proved }))?;
    }
    context.say(&format!(
        "{} of {} rows are kept, {} were erased; {}",
        thousands(proved.kept),
        thousands(proved.rows),
        thousands(proved.erased),
        match proved.holds() {
            true => "they make the root that the sensor signed",
            false => "they do not make the root that the sensor signed",
        }
    ));
    Ok(if proved.holds() { Exit::Done } else { Exit::No })
}
