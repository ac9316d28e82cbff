//! `asset`: list, show.

use kenshin_casework::{Asset as Stored, PageRequest, product_of};
use kenshin_observation::{AssetId, Claim, Prefix};
use kenshin_observatory::Observatory;

use super::Context;
use crate::cli::{Asset, Format};
use crate::exit::Exit;
use crate::output::{Rows, print_json, print_text, visible};

pub(crate) async fn run(context: &Context<'_>, command: &Asset) -> anyhow::Result<Exit> {
    let observatory = context.open().await?;
    match command {
        Asset::List { at, limit } => list(context, &observatory, *at, *limit).await,
        Asset::Show { id } => show(context, &observatory, *id).await,
    }
}

async fn list(
    context: &Context<'_>,
    observatory: &Observatory,
    at: Option<Prefix>,
    limit: u32,
) -> anyhow::Result<Exit> {
    let page = PageRequest { after: None, limit };
    let found = observatory.casework().assets(&observatory.viewer(), at, &page).await?;
    let none = found.items.is_empty();
    if found.next.is_some() {
        context.say(&format!("the first {limit} of more; raise --limit or narrow by --at"));
    }
    Rows {
        columns: &["ID", "ADDRESS", "TYPE", "PRODUCT", "VERSION", "COMPONENTS", "KEYS", "LAST SEEN"],
        right: &[6],
        items: found.items,
        cells: |asset: &Stored| {
            let word = |claim: &Option<Claim>| claim.as_ref().map_or("-".to_owned(), |c| c.value.clone());
            vec![
                asset.asset_id.to_string(),
                asset.addr.to_string(),
                word(&asset.identity.device_type),
                product_of(&asset.identity).unwrap_or_else(|| "unknown".to_owned()),
                word(&asset.identity.version),
                components(asset).join(", "),
                asset.keys.len().to_string(),
                asset.last_seen.to_string(),
            ]
        },
    }
    .print(context.format())?;
    Ok(if none { Exit::No } else { Exit::Done })
}

/// What shows through of the software inside.
fn components(asset: &Stored) -> Vec<String> {
    let name = |c: &kenshin_observation::Component| match &c.version {
        Some(version) => format!("{} {version}", c.product.value),
        None => c.product.value.clone(),
    };
    asset.identity.components.iter().map(name).collect()
}

async fn show(context: &Context<'_>, observatory: &Observatory, id: AssetId) -> anyhow::Result<Exit> {
    let asset = observatory.casework().asset(&observatory.viewer(), id).await?;
    if context.format() == Format::Json {
        print_json(&asset)?;
        return Ok(Exit::Done);
    }
    let identity = &asset.identity;
    let mut text = format!(
        "asset      {}\nat         {}\nfirst seen {}\nlast seen  {} (survey {})\n",
        asset.asset_id, asset.addr, asset.first_seen, asset.last_seen, asset.last_survey
    );
    for key in &asset.keys {
        text.push_str(&format!("key        {} {}\n", key.kind, key.value));
    }
    text.push_str("\nwhat it is\n");
    if identity.is_unknown() {
        text.push_str("  unknown: nothing it said supports a statement about the device\n");
    }
    let claims = [
        ("vendor", &identity.vendor),
        ("product", &identity.product),
        ("version", &identity.version),
        ("type", &identity.device_type),
        ("cpe", &identity.cpe),
    ];
    for (name, claim) in claims.into_iter().filter_map(|(name, claim)| Some((name, claim.as_ref()?))) {
        text.push_str(&line(name, &claim.value, claim));
    }
    if !identity.components.is_empty() {
        text.push_str("\nsoftware inside\n");
    }
    for (component, name) in identity.components.iter().zip(components(&asset)) {
        text.push_str(&line(&format!("port {}", component.port), &name, &component.product));
    }
    print_text(&text)?;
    Ok(Exit::Done)
}

/// One claim with its confidence and what it was read from.
fn line(name: &str, value: &str, claim: &Claim) -> String {
    format!("  {name:<10} {}  {} %  {}\n", visible(value), claim.confidence, visible(&claim.reason))
}
