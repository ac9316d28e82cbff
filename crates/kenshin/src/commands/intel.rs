//! `intel`: import, update, status, match.

use std::path::PathBuf;

use kenshin_insight::component::Family;
use kenshin_insight::intelligence::IntelligenceKind;
use kenshin_observatory::{
    ActError, Imported, IntelligenceStatus, Known, Observatory, Reading, UpdateEvent, UpdateResult, Updated,
};

use super::Context;
use crate::cli::{Format, Intel, IntelKind};
use crate::exit::Exit;
use crate::output::{Rows, print_json, print_text, thousands, visible};
use crate::progress::Bytes;

/// Rejected records that are shown.
const SHOWN_MAX: usize = 20;

pub(crate) async fn run(context: &Context<'_>, command: &Intel) -> anyhow::Result<Exit> {
    let observatory = context.open().await?;
    match command {
        Intel::Import { kind, file, product } => {
            import(context, &observatory, of(*kind), file, product.clone()).await
        }
        Intel::Update { kind } => update(context, &observatory, kind).await,
        Intel::Status => status(context, &observatory).await,
        Intel::Match { vendor, product, version } => {
            known(context, &observatory.known(vendor, product, version).await?)
        }
    }
}

fn of(kind: IntelKind) -> IntelligenceKind {
    match kind {
        IntelKind::Kev => IntelligenceKind::Kev,
        IntelKind::Cve5 => IntelligenceKind::Cve,
        IntelKind::Endoflife => IntelligenceKind::EndOfLife,
        IntelKind::Epss => IntelligenceKind::Epss,
        IntelKind::Csaf => IntelligenceKind::Csaf,
        IntelKind::Osv => IntelligenceKind::Osv,
        IntelKind::Jvn => IntelligenceKind::Jvn,
        IntelKind::Oui => IntelligenceKind::Oui,
        IntelKind::Asn => IntelligenceKind::Asn,
        IntelKind::Country => IntelligenceKind::Country,
        IntelKind::Sbom => IntelligenceKind::Sbom,
        IntelKind::ComponentList => IntelligenceKind::ComponentList,
        IntelKind::KnownGood => IntelligenceKind::KnownGood,
        IntelKind::Keys => IntelligenceKind::Keys,
    }
}

/// The name of a kind on the command line.
fn name(kind: IntelligenceKind) -> &'static str {
    if kind == IntelligenceKind::Cve { "cve5" } else { kind.as_str() }
}

async fn import(
    context: &Context<'_>,
    observatory: &Observatory,
    kind: IntelligenceKind,
    files: &[PathBuf],
    product: Option<Family>,
) -> anyhow::Result<Exit> {
    if product.is_some() && kind != IntelligenceKind::Sbom {
        let refusal = ActError::input(format!("--product is about bills of materials, not `{}`", name(kind)));
        return Err(refusal.with_hint("use it with `kenshin intel import sbom`").into());
    }
    let line = Bytes::new(context.cli.quiet);
    let progress = |reading: Reading<'_>| told(&line, kind, reading);
    let imported = match kind {
        IntelligenceKind::Sbom => observatory.import_sbom(product, files, progress).await,
        kind => observatory.import_intelligence(kind, files, progress).await,
    };
    line.done();
    let imported = imported?;
    tell_rejected(&imported);
    if context.format() == Format::Json {
        print_json(&imported)?;
    } else {
        print_text(&format!(
            "snapshot  {}\nrecords   {}\nfiles     {}\nnot used  {}\n",
            imported.snapshot,
            thousands(imported.records as i64),
            thousands(imported.files as i64),
            thousands(imported.rejected_total as i64)
        ))?;
    }
    Ok(Exit::Done)
}

/// Shows how far a file is read; that it is begun is logged.
fn told(line: &Bytes, kind: IntelligenceKind, Reading { path, bytes, total }: Reading<'_>) {
    if bytes == 0 {
        tracing::info!(kind = name(kind), file = %path.display(), "reading");
    }
    line.show(&format!("{} reading {}", name(kind), path.display()), bytes, Some(total));
}

fn tell_rejected(imported: &Imported) {
    for rejected in imported.rejected.iter().take(SHOWN_MAX) {
        crate::output::talk(&format!("not used: {}", visible(rejected)));
    }
    if imported.rejected_total > SHOWN_MAX {
        crate::output::talk(&format!("not used: {} more", imported.rejected_total - SHOWN_MAX));
    }
}

async fn update(
    context: &Context<'_>,
    observatory: &Observatory,
    kinds: &[IntelKind],
) -> anyhow::Result<Exit> {
    let kinds: Vec<IntelligenceKind> = kinds.iter().map(|kind| of(*kind)).collect();
    let line = Bytes::new(context.cli.quiet);
    let updated = observatory.update_intelligence(&kinds, |event| match event {
        UpdateEvent::Transfer(kind, transfer) => {
            line.show(&format!("{} {}", name(kind), transfer.url), transfer.bytes, transfer.total);
        }
        UpdateEvent::NotModified(kind, url) => tracing::info!(kind = name(kind), url, "not modified"),
        UpdateEvent::Reading(kind, reading) => told(&line, kind, reading),
    });
    let updated = updated.await;
    line.done();
    let updated = updated?;
    let mut failed = false;
    for one in &updated {
        match &one.result {
            UpdateResult::Imported(imported) => tell_rejected(imported),
            UpdateResult::Unchanged { .. } => {}
            UpdateResult::Failed { error } => {
                failed = true;
                crate::output::talk(&format!("{}: {}", name(one.kind), visible(error)));
            }
        }
    }
    Rows {
        columns: &["KIND", "RESULT", "RECORDS", "NOT USED", "SNAPSHOT"],
        right: &[2, 3],
        items: updated,
        cells: |one: &Updated| {
            let (result, records, rejected, snapshot) = match &one.result {
                UpdateResult::Imported(new) => (
                    "imported",
                    thousands(new.records as i64),
                    thousands(new.rejected_total as i64),
                    new.snapshot.clone(),
                ),
                UpdateResult::Unchanged { snapshot } => {
                    ("unchanged", "-".into(), "-".into(), snapshot.clone())
                }
                UpdateResult::Failed { .. } => ("failed", "-".into(), "-".into(), "-".into()),
            };
            vec![name(one.kind).to_owned(), result.to_owned(), records, rejected, snapshot]
        },
    }
    .print(context.format())?;
    Ok(if failed { Exit::Outside } else { Exit::Done })
}

async fn status(context: &Context<'_>, observatory: &Observatory) -> anyhow::Result<Exit> {
    let items = observatory.intelligence_status().await?;
    let none = items.iter().all(|status| status.snapshot.is_none());
    let stale: Vec<&str> =
        items.iter().filter(|status| status.stale).map(|status| name(status.kind)).collect();
    if !stale.is_empty() {
        // CSAF has no address of its own: it says so when it is asked for.
        context.say(&format!(
            "stale or missing: {}\nhint: run `kenshin intel update`, or `kenshin intel import KIND FILE`",
            stale.join(", ")
        ));
    }
    Rows {
        columns: &["KIND", "VERSION", "RECORDS", "AGE", "STATE", "IMPORTED", "SHA256", "SOURCE"],
        right: &[2, 3],
        items,
        cells: |status: &IntelligenceStatus| {
            let state = match (&status.snapshot, status.stale) {
                (None, true) => "missing".to_owned(),
                (None, false) => "-".to_owned(),
                (Some(_), true) => format!("stale after {} d", status.fresh_days.unwrap_or_default()),
                (Some(_), false) => "fresh".to_owned(),
            };
            let kind = name(status.kind).to_owned();
            let Some(held) = &status.snapshot else {
                let dash = || "-".to_owned();
                return vec![kind, dash(), dash(), dash(), state, dash(), dash(), dash()];
            };
            vec![
                kind,
                held.version.clone(),
                thousands(held.records),
                format!("{} d", held.age_days),
                state,
                held.imported_at.to_string(),
                held.sha256.chars().take(16).collect(),
                held.source.clone(),
            ]
        },
    }
    .print(context.format())?;
    Ok(if none { Exit::No } else { Exit::Done })
}

fn known(context: &Context<'_>, items: &[Known]) -> anyhow::Result<Exit> {
    let japanese = context.language() == "ja";
    let rows = items.iter().cloned().map(|known| (japanese, known)).collect::<Vec<_>>();
    if context.format() == Format::Json {
        print_json(&items)?;
    } else {
        Rows {
            columns: &["CVE", "STATUS", "BY", "REASON", "EXPLOITED SINCE", "TITLE"],
            right: &[],
            items: rows,
            cells: |(japanese, known): &(bool, Known)| {
                let dash = |text: Option<&String>| text.cloned().unwrap_or_else(|| "-".to_owned());
                let title = match &known.jvn {
                    Some((id, title)) if *japanese => Some(format!("{id} {title}")),
                    _ => known.title.clone(),
                };
                vec![
                    known.cve.clone(),
                    known.status.to_string(),
                    dash(known.by.as_ref()),
                    dash(known.justification.as_ref().or(known.remedy.as_ref())),
                    known.exploited_since.map_or_else(|| "-".to_owned(), |day| day.to_string()),
                    dash(title.as_ref()),
                ]
            },
        }
        .print(context.format())?;
    }
    Ok(if items.is_empty() { Exit::No } else { Exit::Done })
}
