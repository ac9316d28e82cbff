//! Saved searches, and what they told.
//!
//! Everybody who may search saves searches of their own; whoever sees every provider also reads those
//! of others, and administrators silence and delete them.

use axum::Json;
use axum::extract::{Path, State};
use kenshin_casework::{Role, SavedSearch};
use kenshin_observation::{SearchId, UserId};
use kenshin_observatory::{Looked, SearchRequest};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::Instant;
use crate::api::query::{Body, PageQuery, Params, id, page, word};
use crate::api::search::understood;
use crate::guard::Caller;
use crate::{Problem, Web};

/// A page of saved searches, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct SavedSearchPage {
    /// The rows.
    pub items: Vec<SavedSearchRow>,
    /// `after` of the next page.
    pub next: Option<String>,
}

/// One saved search.
#[derive(Debug, Serialize, ToSchema)]
pub struct SavedSearchRow {
    /// Id.
    pub search_id: String,
    /// What its owner calls it.
    pub name: String,
    /// The query.
    pub query: String,
    /// As whom it looks.
    pub owner: String,
    /// The caller may silence and delete it.
    pub may_change: bool,
    /// What counts as a change.
    #[schema(schema_with = super::words::watch)]
    pub on: String,
    /// For `count`: of how many services.
    pub threshold: Option<i64>,
    /// Mail addresses that are told.
    pub mails: Vec<String>,
    /// Address that is told by HTTP; of others' searches its host alone.
    pub webhook: Option<String>,
    /// Least seconds between two alerts.
    pub interval_s: i64,
    /// Language of its mails.
    pub language: String,
    /// False when it is to stay silent.
    pub enabled: bool,
    /// Services found at the last look.
    pub services: i64,
    /// When it was saved.
    pub created_at: Instant,
    /// When its answer was last looked at.
    pub looked_at: Instant,
    /// When it last alerted.
    pub alerted_at: Option<Instant>,
    /// Why it does not alert.
    #[schema(schema_with = super::words::trouble)]
    pub trouble: Option<String>,
    /// Places that were not, or not certainly, told of its last alert.
    pub undelivered: i64,
}

/// One saved search with its alerts.
#[derive(Debug, Serialize, ToSchema)]
pub struct SavedSearchDetail {
    /// The row of the list.
    pub search: SavedSearchRow,
    /// Newest first.
    pub alerts: Vec<AlertRow>,
}

/// One alert.
#[derive(Debug, Serialize, ToSchema)]
pub struct AlertRow {
    /// Id.
    pub alert_id: String,
    /// When the change was seen.
    pub at: Instant,
    /// In which way the answer was otherwise.
    #[schema(schema_with = super::words::turn)]
    pub turn: String,
    /// Services found then.
    pub services: i64,
    /// Services that came.
    pub added: i64,
    /// Services that went.
    pub gone: i64,
    /// The first of them.
    pub items: Vec<ChangedServiceRow>,
    /// Who was told.
    pub deliveries: Vec<AlertDeliveryRow>,
}

/// A service that came or went. What it says of itself is hostile text.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChangedServiceRow {
    /// It went; else it came.
    pub gone: bool,
    /// Address.
    pub addr: String,
    /// Port.
    pub port: i32,
    /// `tcp` or `udp`.
    pub transport: String,
    /// What it speaks, when that is known.
    pub protocol: Option<String>,
    /// What it was taken for.
    pub product: Option<String>,
    /// What it says.
    pub says: Option<String>,
}

/// An alert on its way to one place.
#[derive(Debug, Serialize, ToSchema)]
pub struct AlertDeliveryRow {
    /// How.
    #[schema(schema_with = super::words::channel)]
    pub channel: String,
    /// To where; of others' searches a webhook's host alone.
    pub target: String,
    /// Message-ID, or the webhook's idempotency key.
    pub message_id: String,
    /// Where it stands. An uncertain one is never sent again by itself.
    #[schema(schema_with = super::words::notice_state)]
    pub state: String,
    /// Attempts begun.
    pub attempts: i64,
    /// What was said last.
    pub detail: String,
    /// When it last changed.
    pub changed_at: Instant,
}

/// A search to be saved.
#[derive(Debug, Deserialize, ToSchema)]
pub struct NewSavedSearch {
    /// What to call it.
    #[schema(max_length = 100)]
    pub name: String,
    /// The query.
    #[schema(max_length = 4096, example = "type:camera country:JP")]
    pub query: String,
    /// What counts as a change; `new` when left out.
    #[serde(default)]
    #[schema(schema_with = super::words::watch)]
    pub on: Option<String>,
    /// For `count`: of how many services.
    #[serde(default)]
    #[schema(minimum = 1)]
    pub threshold: Option<i64>,
    /// Mail addresses to tell.
    #[serde(default)]
    #[schema(max_items = 5)]
    pub mails: Vec<String>,
    /// Address to tell by a signed HTTP request, `https://`.
    #[serde(default)]
    #[schema(max_length = 500)]
    pub webhook: Option<String>,
    /// Least seconds between two alerts; an hour when left out.
    #[serde(default)]
    #[schema(minimum = 60, maximum = 2_592_000)]
    pub interval_s: Option<i64>,
    /// Language of mails; the caller's when left out.
    #[serde(default)]
    #[schema(max_length = 16)]
    pub language: Option<String>,
}

/// A search that was saved.
#[derive(Serialize, ToSchema)]
pub struct SavedSearchMade {
    /// It.
    pub search: SavedSearchRow,
    /// What its webhook's messages are signed with, told once.
    pub secret: Option<String>,
}

/// What a look came to.
#[derive(Debug, Serialize, ToSchema)]
pub struct LookRow {
    /// What it came to.
    #[schema(schema_with = super::words::look)]
    pub outcome: String,
    /// The alert.
    pub alert_id: Option<String>,
    /// Services found now, where they were counted.
    pub services: Option<i64>,
    /// Until when it waits.
    pub waits_until: Option<Instant>,
}

/// Saved searches, oldest first.
#[utoipa::path(get, path = "/api/v1/searches", tag = "searches", operation_id = "searches_list", params(PageQuery),
    responses((status = 200, body = SavedSearchPage), (status = "4XX", body = Problem)))]
pub(crate) async fn list(
    State(web): State<Web>,
    caller: Caller,
    Params(query): Params<PageQuery>,
) -> Result<Json<SavedSearchPage>, Problem> {
    let (viewer, page) = (caller.viewer()?, page(query.after, query.limit));
    let found = web.casework().saved_searches(&viewer, readable(&caller)?, &page).await?;
    let items = found.items.into_iter().map(|search| row(search, &caller)).collect::<Result<_, _>>()?;
    Ok(Json(SavedSearchPage { items, next: found.next }))
}

/// Saves a search of the caller. What it finds now is its base line.
#[utoipa::path(post, path = "/api/v1/searches", tag = "searches", operation_id = "searches_save", request_body = NewSavedSearch,
    responses((status = 200, body = SavedSearchMade), (status = "4XX", body = Problem)))]
pub(crate) async fn save(
    State(web): State<Web>,
    caller: Caller,
    Body(new): Body<NewSavedSearch>,
) -> Result<Json<SavedSearchMade>, Problem> {
    understood(&new.query)?;
    let request = SearchRequest {
        name: new.name,
        query: new.query,
        watch: word("on", new.on.as_deref())?.unwrap_or(kenshin_casework::Watch::New),
        threshold: new.threshold,
        mails: new.mails,
        webhook: new.webhook.filter(|url| !url.is_empty()),
        interval_s: new.interval_s,
        language: new.language,
    };
    let session = caller.session.as_ref().ok_or_else(Problem::unauthenticated)?;
    let _turn = web.searching().await?;
    let saved = web.observatory().save_search(&session.user, &request, &caller.actor()?).await?;
    Ok(Json(SavedSearchMade { search: row(saved.search, &caller)?, secret: saved.secret }))
}

/// One saved search with its alerts.
#[utoipa::path(get, path = "/api/v1/searches/{id}", tag = "searches", operation_id = "searches_show", params(("id" = String, Path)),
    responses((status = 200, body = SavedSearchDetail), (status = "4XX", body = Problem)))]
pub(crate) async fn show(
    State(web): State<Web>,
    caller: Caller,
    Path(text): Path<String>,
) -> Result<Json<SavedSearchDetail>, Problem> {
    let search_id: SearchId = id("saved search", &text)?;
    let search = web.casework().saved_search(&caller.viewer()?, readable(&caller)?, search_id).await?;
    let alerts = web.casework().alerts(&search).await?;
    let search = row(search, &caller)?;
    let alerts = alerts.into_iter().map(|alert| AlertRow {
        alert_id: alert.alert_id.to_string(),
        at: alert.created_at.into(),
        turn: alert.change.turn.to_string(),
        services: alert.change.services,
        added: alert.change.added,
        gone: alert.change.gone,
        items: alert.change.items.into_iter().map(ChangedServiceRow::from).collect(),
        deliveries: alert
            .deliveries
            .into_iter()
            .map(|delivery| AlertDeliveryRow {
                channel: delivery.channel.to_string(),
                target: if search.may_change { delivery.target } else { host_of(&delivery.target) },
                message_id: delivery.message_id,
                state: delivery.state.to_string(),
                attempts: delivery.attempts,
                detail: delivery.detail,
                changed_at: delivery.changed_at.into(),
            })
            .collect(),
    });
    Ok(Json(SavedSearchDetail { alerts: alerts.collect(), search }))
}

/// Looks at the answer now; what is otherwise goes out.
#[utoipa::path(post, path = "/api/v1/searches/{id}/check", tag = "searches", operation_id = "searches_check", params(("id" = String, Path)),
    responses((status = 200, body = LookRow), (status = "4XX", body = Problem)))]
pub(crate) async fn check(
    State(web): State<Web>,
    caller: Caller,
    Path(text): Path<String>,
) -> Result<Json<LookRow>, Problem> {
    let search = changeable(&web, &caller, &text).await?;
    let _turn = web.searching().await?;
    let Looked { outcome, alert_id, services, waits_until, .. } =
        web.observatory().look_at_search(&search).await?;
    Ok(Json(LookRow {
        outcome: outcome.to_string(),
        alert_id: alert_id.map(|id| id.to_string()),
        services,
        waits_until: waits_until.map(Instant),
    }))
}

/// Lets a search alert again; it tells what came meanwhile.
#[utoipa::path(post, path = "/api/v1/searches/{id}/enable", tag = "searches", operation_id = "searches_enable", params(("id" = String, Path)),
    responses((status = 200, body = SavedSearchRow), (status = "4XX", body = Problem)))]
pub(crate) async fn enable(
    State(web): State<Web>,
    caller: Caller,
    Path(text): Path<String>,
) -> Result<Json<SavedSearchRow>, Problem> {
    set_enabled(&web, &caller, &text, true).await
}

/// Silences a search.
#[utoipa::path(post, path = "/api/v1/searches/{id}/disable", tag = "searches", operation_id = "searches_disable", params(("id" = String, Path)),
    responses((status = 200, body = SavedSearchRow), (status = "4XX", body = Problem)))]
pub(crate) async fn disable(
    State(web): State<Web>,
    caller: Caller,
    Path(text): Path<String>,
) -> Result<Json<SavedSearchRow>, Problem> {
    set_enabled(&web, &caller, &text, false).await
}

/// Deletes a search with its alerts.
#[utoipa::path(delete, path = "/api/v1/searches/{id}", tag = "searches", operation_id = "searches_delete", params(("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = Problem)))]
pub(crate) async fn delete(
    State(web): State<Web>,
    caller: Caller,
    Path(text): Path<String>,
) -> Result<axum::http::StatusCode, Problem> {
    let search = changeable(&web, &caller, &text).await?;
    web.casework().delete_search(&search, &caller.actor()?, web.now()).await?;
    Ok(axum::http::StatusCode::NO_CONTENT)
}

async fn set_enabled(
    web: &Web,
    caller: &Caller,
    text: &str,
    enabled: bool,
) -> Result<Json<SavedSearchRow>, Problem> {
    let search = changeable(web, caller, text).await?;
    web.casework().enable_search(&search, enabled, &caller.actor()?, web.now()).await?;
    Ok(Json(row(SavedSearch { enabled, ..search }, caller)?))
}

/// The search, if the caller may change it.
async fn changeable(web: &Web, caller: &Caller, text: &str) -> Result<SavedSearch, Problem> {
    let search_id: SearchId = id("saved search", text)?;
    let viewer = caller.viewer()?;
    let mine = if viewer.role == Role::Admin { None } else { Some(person(caller)?) };
    Ok(web.casework().saved_search(&viewer, mine, search_id).await?)
}

/// Whose searches the caller may read: their own, or everybody's.
fn readable(caller: &Caller) -> Result<Option<UserId>, Problem> {
    Ok(if caller.viewer()?.sees_all_providers() { None } else { Some(person(caller)?) })
}

fn person(caller: &Caller) -> Result<UserId, Problem> {
    Ok(caller.session.as_ref().ok_or_else(Problem::unauthenticated)?.user.user_id)
}

/// The host of a webhook: its path may be all that protects it.
fn host_of(target: &str) -> String {
    match target.split_once("://") {
        Some((scheme, rest)) => {
            format!("{scheme}://{}/…", rest.split(['/', '?', '#']).next().unwrap_or_default())
        }
        None => target.to_owned(),
    }
}

fn row(search: SavedSearch, caller: &Caller) -> Result<SavedSearchRow, Problem> {
    let role = caller.viewer()?.role;
    let own = search.owner == person(caller)?;
    let may_change = role == Role::Admin || own && role != Role::Auditor;
    Ok(SavedSearchRow {
        search_id: search.search_id.to_string(),
        name: search.name,
        query: search.query,
        owner: search.owner_name,
        may_change,
        on: search.watch.to_string(),
        threshold: search.threshold,
        mails: search.mails,
        webhook: search.webhook.map(|url| if may_change { url } else { host_of(&url) }),
        interval_s: search.interval_s,
        language: search.language,
        enabled: search.enabled,
        services: search.services,
        created_at: search.created_at.into(),
        looked_at: search.looked_at.into(),
        alerted_at: search.alerted_at.map(Instant),
        trouble: search.trouble.map(|trouble| trouble.to_string()),
        undelivered: search.undelivered,
    })
}

impl From<kenshin_casework::ChangedService> for ChangedServiceRow {
    fn from(item: kenshin_casework::ChangedService) -> Self {
        Self {
            gone: item.gone,
            addr: item.addr.to_string(),
            port: item.port,
            transport: item.transport,
            protocol: item.protocol,
            product: item.product,
            says: item.says,
        }
    }
}
