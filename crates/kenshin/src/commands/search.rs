//! `search`, and the upkeep of what is searched.

use std::net::IpAddr;
use std::sync::Arc;

use kenshin_lake::search::{FIELDS, FieldInfo};
use kenshin_lake::view::{Counted, Facet, Found, PAGE_MAX, ParseCountedError, Search as Asked, Sight, Total};
use kenshin_lake::{Answer, Format as Rendered};
use kenshin_observation::TimeUs;
use kenshin_observation::schema::{ServiceRow, Table};
use kenshin_observatory::{ActError, FOUND_MAX, Observatory, Past, Probed, known_by, understand};
use serde_json::{Map, Value, json};

use super::{Context, saved};
use crate::cli::{Format, Lake, Search};
use crate::exit::Exit;
use crate::output::{Rows, print_json, print_text, thousands, visible};

pub(crate) async fn run(context: &Context<'_>, options: &Search) -> anyhow::Result<Exit> {
    if let Some(command) = &options.command {
        return saved::run(context, command).await;
    }
    if options.fields {
        return fields(context);
    }
    let text = options.query.join(" ");
    let query = understand(&text)?;
    let facets = options.facet.iter().map(|text| counted(text)).collect::<Result<Vec<_>, _>>()?;
    let known_by = options.at.as_deref().map(known_by).transpose()?;
    let counts = options.count || !facets.is_empty();
    if counts && context.format() == Format::Parquet {
        return Err(ActError::input("counts are not written as Parquet")
            .with_hint("take --format json, jsonl or csv")
            .into());
    }
    let observatory = context.open().await?;
    if let Some(addr) = options.probed {
        return probed(context, &observatory, addr).await;
    }
    let now = known_by.unwrap_or_else(|| observatory.now());
    let asked = Asked { query, sight: Sight::All, now };
    let view = match known_by.is_some() || options.history {
        true => {
            let past = Past { known_by, history: options.history, most: FOUND_MAX };
            Arc::new(observatory.search_past(&asked, past).await?)
        }
        false => observatory.lake().await?.view().await.map_err(ActError::from)?,
    };
    let found = view.find(&asked).await.map_err(ActError::from)?;
    let total = found.total().await.map_err(ActError::from)?;
    let exit = if total.services == 0 { Exit::No } else { Exit::Done };
    if options.count {
        print_total(context, total)?;
        return Ok(exit);
    }
    if !facets.is_empty() {
        print_facets(context, &found.facets(&facets).await.map_err(ActError::from)?)?;
        return Ok(exit);
    }
    let (rows, next) = rows(&found, options).await?;
    context.say(&format!(
        "{} services on {} hosts{}",
        thousands(total.services),
        thousands(total.hosts),
        next.map_or(String::new(), |next| format!("; go on with --after '{next}'"))
    ));
    print_services(context, rows)?;
    if total.services == 0 && view.services() == 0 {
        context.say("hint: the current view is empty; `kenshin lake rebuild` makes it from the observations");
    } else if !view.is_current().await.map_err(ActError::from)? {
        context.say("hint: the current view is of another version; `kenshin lake rebuild` makes it anew");
    }
    Ok(exit)
}

fn counted(text: &str) -> Result<Counted, ActError> {
    text.parse().map_err(|error: ParseCountedError| {
        let hint = match error {
            ParseCountedError::Field(_) => {
                "`kenshin search --fields` lists the fields; all but addresses can be counted by"
            }
            ParseCountedError::Top => "for example port:20",
        };
        ActError::input(error.to_string()).with_hint(hint)
    })
}

fn fields(context: &Context<'_>) -> anyhow::Result<Exit> {
    Rows {
        columns: &["FIELD", "ALSO", "VALUES", "EXAMPLE", "MEANING"],
        right: &[],
        items: FIELDS.to_vec(),
        cells: |info: &FieldInfo| {
            vec![
                info.name.to_owned(),
                info.synonyms.join(" "),
                info.kind.to_string(),
                info.example.to_owned(),
                info.meaning.to_owned(),
            ]
        },
    }
    .print(context.format())?;
    Ok(Exit::Done)
}

async fn probed(context: &Context<'_>, observatory: &Observatory, addr: IpAddr) -> anyhow::Result<Exit> {
    let probed = observatory.probed(&Sight::All, addr, usize::MAX).await?;
    let exit = if probed.is_empty() { Exit::No } else { Exit::Done };
    Rows {
        columns: &["TARGET", "NOT BEFORE", "NOT AFTER", "SENSOR", "SURVEY", "MANDATE", "PLACE", "OUTCOME"],
        right: &[6],
        items: probed,
        cells: |one: &Probed| {
            vec![
                one.endpoint.to_string(),
                one.from.to_string(),
                one.to.to_string(),
                one.sensor_id.clone(),
                one.survey_id.clone(),
                one.mandate_id.clone(),
                one.index.to_string(),
                one.outcome.map_or("-", |outcome| outcome.as_str()).to_owned(),
            ]
        },
    }
    .print(context.format())?;
    Ok(exit)
}

/// Rows up to the limit, page by page, and where to go on.
async fn rows(found: &Found<'_>, options: &Search) -> Result<(Vec<ServiceRow>, Option<String>), ActError> {
    let mut rows = Vec::new();
    let mut after = options.after.clone();
    while rows.len() < options.limit {
        let page = found.page(options.sort, after.as_ref(), PAGE_MAX.min(options.limit - rows.len())).await?;
        rows.extend(page.services);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok((rows, after.map(|mark| mark.to_string())))
}

fn print_total(context: &Context<'_>, total: Total) -> anyhow::Result<()> {
    match context.format() {
        Format::Json => print_json(&total),
        Format::Table => print_text(&format!(
            "{} services on {} hosts\n",
            thousands(total.services),
            thousands(total.hosts)
        )),
        format => Rows {
            columns: &["SERVICES", "HOSTS"],
            right: &[],
            items: vec![total],
            cells: |total: &Total| vec![total.services.to_string(), total.hosts.to_string()],
        }
        .print(format),
    }
}

fn print_facets(context: &Context<'_>, facets: &[Facet]) -> anyhow::Result<()> {
    if context.format() == Format::Json {
        return print_json(&facets);
    }
    let counted = facets.iter().flat_map(|facet| facet.values.iter().map(move |value| (facet, value)));
    Rows {
        columns: &["FIELD", "VALUE", "SERVICES"],
        right: &[2],
        items: counted.map(|(facet, value)| (facet.field, value.value.clone(), value.count)).collect(),
        cells: |(field, value, count): &(&str, String, u64)| {
            vec![(*field).to_owned(), value.clone(), count.to_string()]
        },
    }
    .print(context.format())?;
    for facet in facets.iter().filter(|facet| facet.more > 0) {
        context.say(&format!("{}: {} more values", facet.field, thousands(facet.more)));
    }
    Ok(())
}

fn print_services(context: &Context<'_>, rows: Vec<ServiceRow>) -> anyhow::Result<()> {
    match context.format() {
        Format::Csv | Format::Parquet => print_answer(&answer(&rows)?, context.format()),
        _ => Rows {
            columns: &[
                "ADDRESS",
                "PORT",
                "PROTOCOL",
                "TYPE",
                "PRODUCT",
                "SOFTWARE",
                "COUNTRY",
                "SAYS",
                "FIRST SEEN",
                "LAST SEEN",
            ],
            right: &[1],
            items: rows.iter().map(shown).collect(),
            cells,
        }
        .print(context.format()),
    }
}

/// A row as people and programs read it: address and instants as text, lists as lists.
fn shown(row: &ServiceRow) -> Map<String, Value> {
    let Ok(Value::Object(mut columns)) = serde_json::to_value(row) else { return Map::new() };
    for name in ["schema", "addr_hi", "addr_lo", "enriched_by"] {
        columns.remove(name);
    }
    for (name, stored) in [
        ("first_at", "first_us"),
        ("seen_at", "seen_us"),
        ("asked_at", "asked_us"),
        ("known_at", "known_us"),
        ("cert_expires_at", "cert_expires_us"),
    ] {
        let time = columns.remove(stored).and_then(|us| us.as_i64()).map(TimeUs::from_micros);
        columns.insert(name.to_owned(), json!(time.map(|time| time.to_string())));
    }
    columns.insert("software".to_owned(), json!(row.software().unwrap_or_default()));
    for (name, text) in [("cert_names", &row.cert_names), ("labels", &row.labels)] {
        let items: Vec<&str> = text.as_deref().unwrap_or_default().split_whitespace().collect();
        columns.insert(name.to_owned(), json!(items));
    }
    let mut whole = Map::from_iter([("addr".to_owned(), json!(row.addr().to_string()))]);
    whole.extend(columns);
    whole
}

fn cells(service: &Map<String, Value>) -> Vec<String> {
    let text = |name: &str| service.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let joined = |parts: &[String]| {
        parts.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join(" ")
    };
    let software: Vec<String> = service["software"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| {
            joined(&["product", "version"].map(|name| one[name].as_str().unwrap_or_default().to_owned()))
        })
        .collect();
    let says = [text("title"), text("banner"), text("server")].into_iter().find(|text| !text.is_empty());
    let says: String = says.unwrap_or_default().chars().take(48).collect();
    vec![
        text("addr"),
        service["port"].to_string(),
        text("protocol"),
        text("device_type"),
        joined(&[text("vendor"), text("product"), text("version")]),
        software.join(", "),
        text("country"),
        visible(&says),
        text("first_at").chars().take(16).collect(),
        text("seen_at").chars().take(16).collect(),
    ]
}

/// Rows as they lie in the view, with the address as text.
fn answer(rows: &[ServiceRow]) -> anyhow::Result<Answer> {
    let stored = ServiceRow::to_arrow(rows)?;
    Ok(Answer::with_address(&stored)?)
}

/// Prints an answer of the lake.
pub(crate) fn print_answer(answer: &Answer, format: Format) -> anyhow::Result<()> {
    let rendered = match format {
        Format::Table => Rendered::Table,
        Format::Json => Rendered::Json,
        Format::Jsonl => Rendered::JsonLines,
        Format::Csv => Rendered::Csv,
        Format::Parquet => {
            use std::io::Write;
            let mut out = std::io::stdout().lock();
            out.write_all(&answer.parquet()?)?;
            return Ok(out.flush()?);
        }
    };
    let mut text = answer.render(rendered)?;
    if !text.ends_with('\n') && !text.is_empty() {
        text.push('\n');
    }
    print_text(&text)
}

/// `lake`: upkeep.
pub(crate) async fn lake(context: &Context<'_>, command: &Lake) -> anyhow::Result<Exit> {
    match command {
        Lake::Verify { deep } => return super::integrity::verify(context, *deep).await,
        Lake::Repair => return super::integrity::repair(context).await,
        Lake::Retain(options) => return super::retention::retain(context, options).await,
        Lake::Erasures => return super::retention::erasures(context).await,
        Lake::Hold(command) => return super::retention::hold(context, command).await,
        Lake::Prove { batch } => return super::retention::prove(context, *batch).await,
        Lake::Rebuild => {
            let services = context.open().await?.rebuild_view().await?;
            context.say(&format!("the current view was made anew: {} services", thousands(services)));
        }
        Lake::Compact => {
            let observatory = context.open().await?;
            let merging = |table: &str, month: &str, files| {
                context.say(&format!("merging {files} files of {table} {month}"));
            };
            let (done, view) = observatory.compact_lake(merging).await?;
            if context.format() == Format::Json {
                print_json(&json!({ "tables": done, "view": view }))?;
            }
            if done.files > 0 {
                context.say(&format!(
                    "{} files became {}, {} MiB became {}; the old ones are deleted in an hour",
                    thousands(done.files),
                    thousands(done.into),
                    thousands(done.bytes_before >> 20),
                    thousands(done.bytes_after >> 20)
                ));
            }
            context.say(match (done.files, view) {
                (_, true) => "the current view is one run now",
                (0, false) => "there was nothing to merge",
                (_, false) => "the current view was one run already",
            });
        }
    }
    Ok(Exit::Done)
}
