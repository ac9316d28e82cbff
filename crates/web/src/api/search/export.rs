//! All that a query finds, as a file.

use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, header};
use kenshin_lake::view::{PAGE_MAX, Sort};
use kenshin_lake::{Answer, Format};
use kenshin_observation::schema::{ServiceRow, Table};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::api::query::{Params, word};
use crate::api::search::{asked, failed};
use crate::guard::Caller;
use crate::{Problem, Web};

/// Most rows of a file.
const ROWS_MAX: u64 = 50_000;

/// What to export, and how.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExportQuery {
    /// The query.
    #[param(max_length = 4096)]
    q: Option<String>,
    /// Field to sort by, with `-` before it for the greatest first; by address when left out.
    #[param(max_length = 40, example = "-seen")]
    sort: Option<String>,
    /// As it was known at this instant (RFC 3339) or at the end of this day (UTC); now when left out.
    #[param(max_length = 40, example = "2026-10-01")]
    at: Option<String>,
    /// `csv` when left out.
    #[serde(default)]
    #[param(inline)]
    format: ExportFormat,
}

/// How a file is written.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ExportFormat {
    /// Comma-separated values with a header.
    #[default]
    Csv,
    /// A row as JSON object a line.
    Jsonl,
    /// A Parquet file.
    Parquet,
}

/// All services that a query finds, at most 50,000, with the columns of the table `services`; more are an
/// error, never a silent cut.
#[utoipa::path(get, path = "/api/v1/search/export", tag = "search", operation_id = "search_export", params(ExportQuery),
    responses((status = 200, content_type = "text/csv", body = String, description = "or the format asked for"),
        (status = "4XX", body = Problem)))]
pub(crate) async fn export(
    State(web): State<Web>,
    caller: Caller,
    Params(query): Params<ExportQuery>,
) -> Result<Response<Body>, Problem> {
    let asked = asked(&web, &caller, query.q.as_deref(), query.at.as_deref()).await?;
    let sort: Option<Sort> = word("sort", query.sort.as_deref())?;
    let view = asked.view(&web).await?;
    let _turn = web.searching().await?;
    let found = view.find(&asked.search).await.map_err(failed)?;
    if found.count() > ROWS_MAX {
        return Err(Problem::bad_request(format!("a file has at most {ROWS_MAX} services"))
            .hint("narrow the query; `kenshin search --limit` gives more"));
    }
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let page = found.page(sort, after.as_ref(), PAGE_MAX).await.map_err(failed)?;
        rows.extend(page.services);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let rows = ServiceRow::to_arrow(&rows).map_err(|error| failed(error.into()))?;
    let answer = Answer::with_address(&rows).map_err(failed)?;
    let (kind, ending, body) = match query.format {
        ExportFormat::Csv => {
            ("text/csv; charset=utf-8", "csv", answer.render(Format::Csv).map_err(failed)?.into_bytes())
        }
        ExportFormat::Jsonl => {
            ("application/x-ndjson", "jsonl", answer.render(Format::JsonLines).map_err(failed)?.into_bytes())
        }
        ExportFormat::Parquet => {
            ("application/vnd.apache.parquet", "parquet", answer.parquet().map_err(failed)?)
        }
    };
    let response = Response::builder()
        .header(header::CONTENT_TYPE, kind)
        .header(header::CONTENT_DISPOSITION, format!("attachment; filename=\"kenshin-services.{ending}\""))
        .body(Body::from(body));
    response.map_err(|error| Problem::ours(&error))
}
