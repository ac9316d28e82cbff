//! `finding`: list, show, explain.

mod explain;

use kenshin_casework::{FindingFilter, FindingRecord, Order, PAGE_MAX, PageRequest};
use kenshin_observatory::{ActError, Observatory};

use self::explain::Chain;
use super::Context;
use crate::cli::{Finding, Format};
use crate::exit::Exit;
use crate::output::{Rows, print_json, print_text, visible};

pub(crate) async fn run(context: &Context<'_>, command: &Finding) -> anyhow::Result<Exit> {
    let observatory = context.open().await?;
    match command {
        Finding::List { kind, sort, limit } => list(context, &observatory, *kind, *sort, *limit).await,
        Finding::Show { key } => show(context, &observatory, key).await,
        Finding::Explain { key } => explain(context, &observatory, key).await,
    }
}

async fn list(
    context: &Context<'_>,
    observatory: &Observatory,
    kind: Option<kenshin_observation::FindingKind>,
    order: Order,
    limit: u32,
) -> anyhow::Result<Exit> {
    let filter = FindingFilter { kind, order, ..FindingFilter::default() };
    let page = PageRequest { after: None, limit };
    let found = observatory.casework().findings(&observatory.viewer(), &filter, &page).await?;
    let none = found.items.is_empty();
    if found.next.is_some() {
        context.say(&format!("the first {limit} of more; raise --limit"));
    }
    Rows {
        columns: &[
            "KEY",
            "ENDPOINT",
            "KIND",
            "PRIORITY",
            "SEVERITY",
            "REMEDY",
            "PRODUCT",
            "CONFIDENCE",
            "STATE",
            "LAST SEEN",
        ],
        right: &[7],
        items: found.items,
        cells: |record: &FindingRecord| {
            vec![
                record.finding.key.chars().take(16).collect(),
                record.finding.endpoint.to_string(),
                record.finding.kind.to_string(),
                decision(record),
                record.finding.severity.to_string(),
                record.finding.remedy.to_string(),
                kenshin_casework::product_of(&record.identity).unwrap_or_else(|| "unknown".to_owned()),
                format!("{} %", record.finding.confidence),
                record.state.to_string(),
                record.last_seen.to_string(),
            ]
        },
    }
    .print(context.format())?;
    Ok(if none { Exit::No } else { Exit::Done })
}

/// The decision; findings of earlier builds have none.
fn decision(record: &FindingRecord) -> String {
    record.finding.priority.as_ref().map_or_else(|| "-".to_owned(), |priority| priority.decision.to_string())
}

/// The finding whose key begins with what was given; more than one is an error.
async fn find(observatory: &Observatory, key: &str) -> Result<FindingRecord, ActError> {
    let (casework, viewer) = (observatory.casework(), observatory.viewer());
    if let Ok(record) = casework.finding(&viewer, key).await {
        return Ok(record);
    }
    let mut matching = Vec::new();
    let mut page = Some(PageRequest { after: None, limit: PAGE_MAX });
    while let Some(request) = page {
        let found = casework.findings(&viewer, &FindingFilter::default(), &request).await?;
        page = PageRequest::following(&found).map(|next| PageRequest { limit: PAGE_MAX, ..next });
        matching.extend(found.items.into_iter().filter(|record| record.finding.key.starts_with(key)));
    }
    match matching.len() {
        1 => Ok(matching.remove(0)),
        0 => Err(ActError::no(format!("no finding has a key that begins with `{key}`"))
            .with_hint("`kenshin finding list` shows keys")),
        count => Err(ActError::input(format!("{count} findings have a key that begins with `{key}`"))
            .with_hint("give more of it")),
    }
}

async fn show(context: &Context<'_>, observatory: &Observatory, key: &str) -> anyhow::Result<Exit> {
    let record = find(observatory, key).await?;
    if context.format() == Format::Json {
        print_json(&record)?;
        return Ok(Exit::Done);
    }
    let finding = &record.finding;
    let mut text = format!(
        "key        {}\nwhere      {}\nkind       {}\npriority   {}\nseverity   {}\nremedy     {}\nconfidence {} %\nstate      {}\nfirst seen {} (round {})\nlast seen  {} (round {})\ncase       {}\nproduct    {}\n",
        finding.key,
        finding.endpoint,
        finding.kind,
        decision(&record),
        finding.severity,
        finding.remedy,
        finding.confidence,
        record.state,
        record.first_seen,
        record.first_round,
        record.last_seen,
        record.last_round,
        record.case_id.map_or_else(|| "-".to_owned(), |id| id.to_string()),
        visible(&kenshin_casework::product_of(&record.identity).unwrap_or_else(|| "unknown".to_owned())),
    );
    for snapshot in &finding.snapshots {
        text.push_str(&format!("stands on  {snapshot}\n"));
    }
    text.push_str("\nevidence\n");
    for evidence in &finding.evidence {
        text.push_str(&format!(
            "  {}  {}  {} = {}\n",
            evidence.time,
            evidence.endpoint,
            evidence.field,
            visible(&evidence.value)
        ));
    }
    print_text(&text)?;
    Ok(Exit::Done)
}

async fn explain(context: &Context<'_>, observatory: &Observatory, key: &str) -> anyhow::Result<Exit> {
    let record = find(observatory, key).await?;
    let chain = Chain {
        record: &record,
        packs: observatory.packs().await?,
        messages: observatory.messages(),
        language: &context.language(),
    };
    if context.format() == Format::Json {
        print_json(&chain.json())?;
    } else {
        print_text(&chain.text())?;
    }
    Ok(Exit::Done)
}
