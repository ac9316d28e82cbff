//! Who did what.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::Instant;
use crate::api::query::{PageQuery, Params, PeopleNames, page};
use crate::guard::Caller;
use crate::{Problem, Web};

/// A page of the audit trail, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditPage {
    /// The rows.
    pub items: Vec<AuditRow>,
    /// `after` of the next page.
    pub next: Option<String>,
}

/// One entry of the audit trail.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditRow {
    /// From 1, without gaps.
    pub seq: i64,
    /// When.
    pub at: Instant,
    /// Name of the person, or of the rule.
    pub actor: String,
    /// What was done or refused.
    pub action: String,
    /// To what.
    pub object: String,
    /// Details, as JSON text.
    pub detail: String,
    /// Hash of this entry, which covers the one before.
    pub hash: String,
}

/// The audit trail, newest first.
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", operation_id = "audit_list", params(PageQuery),
    responses((status = 200, body = AuditPage), (status = "4XX", body = Problem)))]
pub(crate) async fn list(
    State(web): State<Web>,
    caller: Caller,
    Params(query): Params<PageQuery>,
) -> Result<Json<AuditPage>, Problem> {
    let found = web.casework().audit_trail(&caller.viewer()?, &page(query.after, query.limit)).await?;
    let mut people = PeopleNames::default();
    let mut items = Vec::with_capacity(found.items.len());
    for entry in found.items {
        items.push(AuditRow {
            seq: entry.seq,
            at: entry.at.into(),
            actor: people.named(&web, &entry.actor).await.0,
            action: entry.action,
            object: entry.object,
            detail: if entry.detail.is_null() { String::new() } else { entry.detail.to_string() },
            hash: entry.hash,
        });
    }
    Ok(Json(AuditPage { items, next: found.next }))
}
