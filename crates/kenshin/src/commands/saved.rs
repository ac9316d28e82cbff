//! `search save` and `search saved`: searches that tell when their answer changes.

use kenshin_casework::{
    Actor, Alert, Casework, DeliverySummary, ErrorKind, PageRequest, Role, SavedSearch, User,
};
use kenshin_observation::SearchId;
use kenshin_observatory::{ActError, Looked, Observatory, Outcome, SearchRequest};
use serde::Serialize;
use serde_json::json;

use super::Context;
use crate::cli::{Format, SaveSearch, SavedSearches, SearchCommand};
use crate::exit::Exit;
use crate::output::{Rows, print_json, print_text, thousands, visible};

pub(crate) async fn run(context: &Context<'_>, command: &SearchCommand) -> anyhow::Result<Exit> {
    let command = match command {
        SearchCommand::Save(options) => return save(context, options).await,
        SearchCommand::Saved(command) => command,
    };
    let observatory = context.open().await?;
    let (casework, now) = (observatory.casework(), observatory.now());
    let actor = actor();
    match command {
        SavedSearches::List => list(context, &observatory).await,
        SavedSearches::Show { search } => show(context, &observatory, search).await,
        SavedSearches::Check { search } => check(context, &observatory, search.as_deref()).await,
        SavedSearches::Enable { search } => {
            let found = named(&observatory, search).await?;
            casework.enable_search(&found, true, &actor, now).await?;
            context.say(&format!("`{}` alerts", visible(&found.name)));
            Ok(Exit::Done)
        }
        SavedSearches::Disable { search } => {
            let found = named(&observatory, search).await?;
            casework.enable_search(&found, false, &actor, now).await?;
            context.say(&format!("`{}` is silent", visible(&found.name)));
            Ok(Exit::Done)
        }
        SavedSearches::Delete { search } => {
            let found = named(&observatory, search).await?;
            casework.delete_search(&found, &actor, now).await?;
            context.say(&format!("`{}` is deleted", visible(&found.name)));
            Ok(Exit::Done)
        }
    }
}

fn actor() -> Actor {
    Observatory::rule("command-line")
}

async fn save(context: &Context<'_>, options: &SaveSearch) -> anyhow::Result<Exit> {
    let observatory = context.open().await?;
    let owner = owner(&observatory, options.owner.as_deref()).await?;
    let request = SearchRequest {
        name: options.name.clone(),
        query: options.query.join(" "),
        watch: options.on,
        threshold: options.threshold,
        mails: options.mail.clone(),
        webhook: options.webhook.clone(),
        interval_s: Some(options.every),
        language: context.cli.lang.clone(),
    };
    let saved = observatory.save_search(&owner, &request, &actor()).await?;
    let search = &saved.search;
    if context.format() == Format::Json {
        print_json(&json!({ "search": search, "secret": saved.secret }))?;
    } else {
        print_text(&format!("{}\n", search.search_id))?;
        if let Some(secret) = &saved.secret {
            print_text(&format!("{secret}\n"))?;
        }
    }
    context.say(&format!(
        "`{}` finds {} services now, as {} may see them; alerts tell what is otherwise from here",
        visible(&search.name),
        thousands(search.services),
        visible(&search.owner_name)
    ));
    if saved.secret.is_some() {
        context.say(
            "the second line is the secret that the webhook's messages are signed with: it is not told again",
        );
    }
    Ok(Exit::Done)
}

/// The person of this account; the first administrator when nobody is named.
async fn owner(observatory: &Observatory, login: Option<&str>) -> Result<User, ActError> {
    let (casework, org) = (observatory.casework(), observatory.org());
    if let Some(login) = login {
        return Ok(casework.user_named(org, login).await?);
    }
    let mut page = Some(PageRequest::first());
    while let Some(request) = page {
        let found = casework.users(org, &request).await?;
        page = PageRequest::following(&found);
        if let Some(user) = found.items.into_iter().find(|user| user.role == Role::Admin && !user.disabled) {
            return Ok(user);
        }
    }
    Err(ActError::no("there is no administrator").with_hint("name the person with --owner"))
}

async fn all(casework: &Casework, observatory: &Observatory) -> Result<Vec<SavedSearch>, ActError> {
    let (mut searches, mut page) = (Vec::new(), Some(PageRequest::first()));
    while let Some(request) = page {
        let found = casework.saved_searches(&observatory.viewer(), None, &request).await?;
        page = PageRequest::following(&found);
        searches.extend(found.items);
    }
    Ok(searches)
}

/// The saved search of this id, or the only one of this name.
async fn named(observatory: &Observatory, text: &str) -> Result<SavedSearch, ActError> {
    let casework = observatory.casework();
    if let Ok(id) = text.parse::<SearchId>() {
        match casework.saved_search(&observatory.viewer(), None, id).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            found => return Ok(found?),
        }
    }
    let mut found = all(casework, observatory).await?;
    found.retain(|search| search.name == text);
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(ActError::no(format!("there is no saved search `{}`", visible(text)))
            .with_hint("`kenshin search saved list` shows those there are")),
        _ => Err(ActError::input(format!("{} saved searches are called `{}`", found.len(), visible(text)))
            .with_hint("give its id")),
    }
}

async fn list(context: &Context<'_>, observatory: &Observatory) -> anyhow::Result<Exit> {
    let searches = all(observatory.casework(), observatory).await?;
    let exit = if searches.is_empty() { Exit::No } else { Exit::Done };
    Rows {
        columns: &["ID", "NAME", "OWNER", "QUERY", "ON", "SERVICES", "LOOKED AT", "ALERTED AT", "STATE"],
        right: &[5],
        items: searches,
        cells: |search: &SavedSearch| {
            vec![
                search.search_id.to_string(),
                search.name.clone(),
                search.owner_name.clone(),
                search.query.clone(),
                search.watch.to_string(),
                thousands(search.services),
                search.looked_at.to_string(),
                search.alerted_at.map_or_else(|| "-".to_owned(), |at| at.to_string()),
                state(search),
            ]
        },
    }
    .print(context.format())?;
    Ok(exit)
}

fn state(search: &SavedSearch) -> String {
    match (search.enabled, search.trouble) {
        (false, _) => "disabled".to_owned(),
        (true, Some(trouble)) => trouble.to_string(),
        (true, None) if search.undelivered > 0 => format!("{} not delivered", search.undelivered),
        (true, None) => "watching".to_owned(),
    }
}

async fn show(context: &Context<'_>, observatory: &Observatory, text: &str) -> anyhow::Result<Exit> {
    let search = named(observatory, text).await?;
    let alerts = observatory.casework().alerts(&search).await?;
    if context.format() == Format::Json {
        print_json(&json!({ "search": search, "alerts": alerts }))?;
        return Ok(Exit::Done);
    }
    let threshold = search.threshold.map_or_else(String::new, |n| format!(" {n}"));
    let trouble = search.trouble_detail.as_deref().filter(|detail| !detail.is_empty());
    let mut text = format!(
        "search     {}\nname       {}\nquery      {}\nowner      {}\nalerts on  {}{threshold}, at most every {} s, in `{}`\ntold       {}\nstate      {}{}\nservices   {} at {}\n\nalerts\n",
        search.search_id,
        visible(&search.name),
        visible(&search.query),
        visible(&search.owner_name),
        search.watch,
        search.interval_s,
        search.language,
        visible(&search.mails.iter().chain(&search.webhook).cloned().collect::<Vec<_>>().join(", ")),
        state(&search),
        trouble.map_or_else(String::new, |detail| format!(" ({})", visible(detail))),
        thousands(search.services),
        search.looked_at,
    );
    for Alert { alert_id, created_at, change, deliveries, .. } in &alerts {
        text.push_str(&format!(
            "  {created_at}  {alert_id}  {}: {} services, {} new, {} gone\n",
            change.turn,
            thousands(change.services),
            thousands(change.added),
            thousands(change.gone)
        ));
        for told in deliveries {
            let detail = visible(&told.detail);
            text.push_str(&format!(
                "      {:<18} {} {}  {detail}\n",
                told.state,
                told.channel,
                visible(&told.target)
            ));
        }
    }
    print_text(&text)?;
    Ok(Exit::Done)
}

/// What checking did.
#[derive(Serialize)]
struct Checked {
    searches: Vec<Looked>,
    delivered: DeliverySummary,
}

async fn check(context: &Context<'_>, observatory: &Observatory, only: Option<&str>) -> anyhow::Result<Exit> {
    let searches = match only {
        Some(text) => vec![named(observatory, text).await?],
        None => all(observatory.casework(), observatory).await?,
    };
    let mut looked = Vec::new();
    for search in &searches {
        looked.push(observatory.look_at_search(search).await?);
    }
    let delivered = observatory.deliver_alerts().await?;
    let alerted = looked.iter().any(|one| one.outcome == Outcome::Alerted);
    let checked = Checked { searches: looked, delivered };
    if context.format() == Format::Json {
        print_json(&checked)?;
    } else {
        Rows {
            columns: &["ID", "NAME", "OUTCOME", "SERVICES", "WHY"],
            right: &[3],
            items: checked.searches,
            cells: |one: &Looked| {
                let why = one.trouble.map(|trouble| trouble.to_string());
                let why = why.or_else(|| one.waits_until.map(|until| format!("until {until}")));
                vec![
                    one.search_id.to_string(),
                    one.name.clone(),
                    one.outcome.to_string(),
                    one.services.map_or_else(|| "-".to_owned(), thousands),
                    why.unwrap_or_default(),
                ]
            },
        }
        .print(context.format())?;
    }
    context.say(&format!(
        "sent {}, not sent {}, uncertain {}",
        delivered.sent, delivered.failed, delivered.uncertain
    ));
    Ok(match delivered.failed + delivered.uncertain {
        0 if alerted => Exit::Done,
        0 => Exit::No,
        _ => Exit::Outside,
    })
}
