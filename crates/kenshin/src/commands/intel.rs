//! `intel`: import, status.

use kenshin_insight::intelligence::IntelligenceKind;
use kenshin_observatory::{ActError, IntelligenceStatus};

use super::Context;
use crate::cli::{Format, Intel, IntelKind};
use crate::exit::Exit;
use crate::output::{Rows, print_json, print_text, thousands};

pub(crate) async fn run(context: &Context<'_>, command: &Intel) -> anyhow::Result<Exit> {
    let observatory = context.open().await?;
    match command {
        Intel::Import { kind, file, product } => {
            let kind = match kind {
                IntelKind::Kev => IntelligenceKind::Kev,
                IntelKind::Cve5 => IntelligenceKind::Cve,
                IntelKind::Endoflife => IntelligenceKind::EndOfLife,
                IntelKind::Epss => IntelligenceKind::Epss,
                IntelKind::Sbom => IntelligenceKind::Sbom,
                IntelKind::ComponentList => IntelligenceKind::ComponentList,
                IntelKind::KnownGood => IntelligenceKind::KnownGood,
                IntelKind::Keys => IntelligenceKind::Keys,
            };
            if product.is_some() && kind != IntelligenceKind::Sbom {
                let refusal = ActError::input(format!("--product is about bills of materials, not `{kind}`"));
                return Err(refusal.with_hint("use it with `kenshin intel import sbom`").into());
            }
            let progress = |path: &std::path::Path| tracing::info!(file = %path.display(), "reading");
            let imported = match kind {
                IntelligenceKind::Sbom => observatory.import_sbom(product.clone(), file, progress).await?,
                kind => observatory.import_intelligence(kind, file, progress).await?,
            };
            for rejected in imported.rejected.iter().take(20) {
                eprintln!("not used: {rejected}");
            }
            if imported.rejected_total > 20 {
                eprintln!("not used: {} more", imported.rejected_total - 20);
            }
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
            Ok(if imported.records == 0 { Exit::No } else { Exit::Done })
        }
        Intel::Status => {
            let items = observatory.intelligence_status().await?;
            let none = items.is_empty();
            Rows {
                columns: &["KIND", "VERSION", "RECORDS", "IMPORTED", "SHA256", "SOURCE"],
                right: &[2],
                items,
                cells: |status: &IntelligenceStatus| {
                    vec![
                        status.kind.clone(),
                        status.version.clone(),
                        thousands(status.records),
                        status.imported_at.to_string(),
                        status.sha256.chars().take(16).collect(),
                        status.source.clone(),
                    ]
                },
            }
            .print(context.format())?;
            Ok(if none { Exit::No } else { Exit::Done })
        }
    }
}
