//! `provider`: import, list.

use std::path::Path;

use kenshin_casework::Provider as Stored;
use kenshin_observatory::{ActError, read_limited};

use super::Context;
use crate::cli::{Format, Provider};
use crate::exit::Exit;
use crate::output::{Rows, print_json};

pub(crate) async fn run(context: &Context<'_>, command: &Provider) -> anyhow::Result<Exit> {
    let observatory = context.open().await?;
    match command {
        Provider::Import { file } => {
            if !file.exists() {
                return Err(ActError::input(format!("`{}` is not there", file.display()))
                    .with_hint("check the name")
                    .into());
            }
            let text = read_limited(file)?;
            let keys = file.parent().unwrap_or(Path::new("."));
            let summary = observatory.import_providers(&file.display().to_string(), &text, keys).await?;
            if context.format() == Format::Json {
                print_json(&summary)?;
            } else {
                context.say(&format!(
                    "{} new, {} changed, {} retired",
                    summary.added, summary.changed, summary.retired
                ));
                for name in &summary.rates_not_kept {
                    context.say(&format!(
                        "the rate of `{name}` is not kept: no network of theirs is known; hint: list their prefixes beside the AS number"
                    ));
                }
            }
            Ok(Exit::Done)
        }
        Provider::List => {
            let items = observatory.all_providers().await?;
            let none = items.is_empty();
            Rows {
                columns: &["ID", "NAME", "MAIL", "LANGUAGE", "PROTECTION", "CLAIMS"],
                right: &[],
                items,
                cells: |provider: &Stored| {
                    vec![
                        provider.provider_id.to_string(),
                        provider.name.clone(),
                        provider.mail.clone(),
                        provider.language.clone(),
                        provider.protection.to_string(),
                        provider.claims.join(" "),
                    ]
                },
            }
            .print(context.format())?;
            Ok(if none { Exit::No } else { Exit::Done })
        }
    }
}
