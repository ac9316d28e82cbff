//! The provider directory.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::query::{PageQuery, Params, page};
use crate::guard::Caller;
use crate::{Problem, Web};

/// A provider's id and name.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ProviderRef {
    /// Id.
    pub provider_id: String,
    /// Name.
    pub name: String,
}

/// A page of providers, by name.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProviderPage {
    /// The rows.
    pub items: Vec<ProviderRow>,
    /// `after` of the next page.
    pub next: Option<String>,
}

/// One provider.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProviderRow {
    /// Id.
    pub provider_id: String,
    /// Name.
    pub name: String,
    /// Address notices go to.
    pub mail: String,
    /// Language of the notices.
    pub language: String,
    /// How notices are kept from those who carry them.
    #[schema(schema_with = super::words::protection)]
    pub protection: String,
    /// Prefixes and AS numbers it declared.
    pub claims: Vec<String>,
    /// Cases so far.
    pub cases: i64,
    /// Of these, not closed.
    pub open: i64,
    /// No longer in the directory.
    pub retired: bool,
}

/// The provider directory, as far as the caller may see.
#[utoipa::path(get, path = "/api/v1/providers", tag = "providers", operation_id = "providers_list", params(PageQuery),
    responses((status = 200, body = ProviderPage), (status = "4XX", body = Problem)))]
pub(crate) async fn list(
    State(web): State<Web>,
    caller: Caller,
    Params(query): Params<PageQuery>,
) -> Result<Json<ProviderPage>, Problem> {
    let viewer = caller.viewer()?;
    let found = web.casework().providers(&viewer, &page(query.after, query.limit)).await?;
    let counts = web.casework().breakdown(&viewer).await?.provider_cases;
    let counts: HashMap<_, _> =
        counts.iter().filter_map(|row| Some((row.provider_id?, (row.cases, row.open)))).collect();
    let items = found.items.into_iter().map(|provider| {
        let (cases, open) = counts.get(&provider.provider_id).copied().unwrap_or_default();
        ProviderRow {
            provider_id: provider.provider_id.to_string(),
            name: provider.name,
            mail: provider.mail,
            language: provider.language,
            protection: provider.protection.to_string(),
            claims: provider.claims,
            cases,
            open,
            retired: provider.retired,
        }
    });
    Ok(Json(ProviderPage { items: items.collect(), next: found.next }))
}
