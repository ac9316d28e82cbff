//! The routes under `/api/v1`: nouns, each with the shapes of its answers and its thin handlers.

pub mod audit;
pub mod cases;
pub mod components;
pub mod findings;
pub mod health;
mod instant;
pub mod mandates;
pub mod notices;
pub mod opt_outs;
pub mod overview;
pub mod probes;
pub mod providers;
mod query;
pub mod retention;
pub mod search;
pub mod searches;
pub mod sensor;
pub mod sensors;
pub mod session;
pub mod sql;
pub mod surveys;
mod words;

use std::collections::BTreeMap;

use kenshin_casework::Count;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Web;

pub use instant::Instant;

#[derive(OpenApi)]
#[openapi(
    info(title = "Kenshin", description = "Open observatory for the health of connected devices."),
    tags(
        (name = "session", description = "Signing in and out"),
        (name = "health", description = "Public aggregates, small counts withheld"),
        (name = "overview", description = "The figures of the circle"),
        (name = "search", description = "Searching services, counting them, one host through time"),
        (name = "searches", description = "Saved searches that tell when their answer changes"),
        (name = "surveys", description = "Surveys and their progress"),
        (name = "components", description = "Which components devices carry"),
        (name = "findings", description = "Findings with evidence"),
        (name = "cases", description = "Cases, their trail, and acts on them"),
        (name = "notices", description = "Notices as they were sent"),
        (name = "providers", description = "The provider directory"),
        (name = "mandates", description = "Mandates in plain words"),
        (name = "audit", description = "Who did what"),
        (name = "retention", description = "What is kept for how long, held, and erased"),
        (name = "sensors", description = "The registry of sensors, for administrators"),
        (name = "opt-outs", description = "Requests to leave a prefix alone"),
        (name = "sensor", description = "What sensors say to their hub, signed with their own keys (RFC 9421)")
    )
)]
struct Description;

/// Every route of the API with its description.
pub(crate) fn router() -> OpenApiRouter<Web> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(session::show, session::sign_in, session::sign_out))
        .routes(routes!(session::change_password))
        .routes(routes!(health::show))
        .routes(routes!(overview::show))
        .routes(routes!(surveys::list))
        .routes(routes!(surveys::show))
        .routes(routes!(surveys::events))
        .routes(routes!(components::list))
        .routes(routes!(components::show))
        .routes(routes!(search::list))
        .routes(routes!(search::facets))
        .routes(routes!(search::fields))
        .routes(routes!(search::export::export))
        .routes(routes!(search::host))
        .routes(routes!(probes::list))
        .routes(routes!(searches::list, searches::save))
        .routes(routes!(searches::show, searches::delete))
        .routes(routes!(searches::check))
        .routes(routes!(searches::enable))
        .routes(routes!(searches::disable))
        .routes(routes!(sql::ask))
        .routes(routes!(findings::list))
        .routes(routes!(findings::show))
        .routes(routes!(cases::list))
        .routes(routes!(cases::show))
        .routes(routes!(cases::acknowledge))
        .routes(routes!(cases::dispute))
        .routes(routes!(cases::close))
        .routes(routes!(cases::recheck))
        .routes(routes!(notices::list))
        .routes(routes!(notices::show))
        .routes(routes!(notices::genuine))
        .routes(routes!(providers::list))
        .routes(routes!(mandates::list))
        .routes(routes!(mandates::show))
        .routes(routes!(audit::list))
        .routes(routes!(retention::show))
        .routes(routes!(sensors::list))
        .routes(routes!(sensors::token))
        .routes(routes!(sensors::retire))
        .routes(routes!(opt_outs::list))
        .routes(routes!(opt_outs::decide))
        .merge(sensor::router())
}

/// Counts by name.
fn counted(counts: Vec<Count>) -> BTreeMap<String, i64> {
    counts.into_iter().map(|count| (count.name, count.count)).collect()
}
