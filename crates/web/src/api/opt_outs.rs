//! Requests to leave a prefix alone, which a person decides on.

use axum::Json;
use axum::extract::{Path, State};
use kenshin_casework::OptOutRequest;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::Instant;
use crate::api::query::{Body, Params, page, word};
use crate::guard::Caller;
use crate::{Problem, Web};

/// A page of requests, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct OptOutPage {
    /// The rows.
    pub items: Vec<OptOutRow>,
    /// `after` of the next page.
    pub next: Option<String>,
}

/// One request.
#[derive(Debug, Serialize, ToSchema)]
pub struct OptOutRow {
    /// Its id.
    pub request_id: String,
    /// What shall be left alone.
    pub prefix: String,
    /// How the requester can be reached.
    pub contact: String,
    /// What they said.
    pub words: String,
    /// Address the request came from.
    pub from: String,
    /// Where it stands.
    #[schema(schema_with = super::words::opt_out_state)]
    pub state: String,
    /// Reference to the proof.
    pub proof: Option<String>,
    /// When it was made.
    pub created_at: Instant,
    /// When it was decided.
    pub decided_at: Option<Instant>,
}

/// A decision.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Decision {
    /// Reference to what showed that the prefix is the requester's; left out to decline.
    #[schema(max_length = 500)]
    pub proof: Option<String>,
}

/// Which requests.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct OptOutQuery {
    /// `next` of the page before.
    #[param(max_length = 200)]
    after: Option<String>,
    /// Rows wanted.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// Only those that stand so.
    #[param(max_length = 20, example = "open")]
    state: Option<String>,
}

/// Requests, oldest first.
#[utoipa::path(get, path = "/api/v1/opt-outs", tag = "opt-outs", operation_id = "opt_outs_list", params(OptOutQuery),
    responses((status = 200, body = OptOutPage), (status = "4XX", body = Problem)))]
pub(crate) async fn list(
    State(web): State<Web>,
    _caller: Caller,
    Params(query): Params<OptOutQuery>,
) -> Result<Json<OptOutPage>, Problem> {
    let state = word("state", query.state.as_deref())?;
    let found = web.casework().opt_out_requests(web.org(), state, &page(query.after, query.limit)).await?;
    Ok(Json(OptOutPage { items: found.items.into_iter().map(row).collect(), next: found.next }))
}

/// Decides a request: with a proof the prefix is left alone from now on, by every sensor.
#[utoipa::path(post, path = "/api/v1/opt-outs/{id}/decide", tag = "opt-outs", operation_id = "opt_outs_decide", params(("id" = String, Path)),
    request_body = Decision, responses((status = 204), (status = "4XX", body = Problem)))]
pub(crate) async fn decide(
    State(web): State<Web>,
    caller: Caller,
    Path(id): Path<String>,
    Body(decision): Body<Decision>,
) -> Result<axum::http::StatusCode, Problem> {
    web.observatory().decide_opt_out(&id, decision.proof.as_deref(), &caller.actor()?).await?;
    Ok(axum::http::StatusCode::NO_CONTENT)
}

fn row(request: OptOutRequest) -> OptOutRow {
    OptOutRow {
        request_id: request.request_id,
        prefix: request.asked.prefix.to_string(),
        contact: request.asked.contact,
        words: request.asked.words,
        from: request.asked.from,
        state: request.state.to_string(),
        proof: request.proof,
        created_at: request.created_at.into(),
        decided_at: request.decided_at.map(Instant),
    }
}
