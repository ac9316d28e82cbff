//! SQL over the lake, read-only and within limits.

use std::time::Duration;

use axum::body::Body as Bytes;
use axum::extract::State;
use axum::http::{Response, header};
use kenshin_lake::{Format, Limits};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::query::Body;
use crate::guard::Caller;
use crate::{Problem, Web};

/// Longest query, bytes.
pub(crate) const SQL_BYTES_MAX: usize = 32 << 10;
/// Most rows of an answer.
pub(crate) const ROWS_MAX: u32 = 100_000;
/// Rows of an answer when nobody says how many.
const ROWS: u32 = 1_000;
/// What one query may take.
const MEMORY_BYTES: usize = 256 << 20;
/// Below the 30 s after which the process gives up an answer that does not begin.
pub(crate) const TIME: Duration = Duration::from_secs(25);

/// What a query may take whose answer has so many rows at most.
pub(crate) const fn limits(rows: u32) -> Limits {
    Limits { rows: rows as usize, memory_bytes: MEMORY_BYTES, time: TIME }
}

/// A query that is not too long.
pub(crate) fn short_enough(sql: &str) -> Result<&str, Problem> {
    if sql.len() > SQL_BYTES_MAX {
        return Err(Problem::bad_request(format!("the query is longer than {SQL_BYTES_MAX} bytes")));
    }
    Ok(sql)
}

/// A query.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct SqlQuestion {
    /// One `SELECT`, over the tables that docs/sql.md lists.
    #[schema(
        max_length = 32768,
        example = "SELECT protocol, count(*) AS n FROM services GROUP BY 1 ORDER BY 2 DESC"
    )]
    sql: String,
    /// How the answer is written; `json` when left out.
    #[serde(default)]
    format: SqlFormat,
    /// Most rows of the answer: one more is an error, never a silent cut. 1,000 when left out.
    #[schema(minimum = 1, maximum = 100_000)]
    rows: Option<u32>,
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SqlFormat {
    /// One object with columns and rows.
    #[default]
    Json,
    /// A row as JSON object a line.
    Jsonl,
    /// Comma-separated values with a header.
    Csv,
    /// A Parquet file.
    Parquet,
}

/// An answer as JSON.
#[derive(Debug, Serialize, ToSchema)]
pub struct SqlAnswer {
    /// Columns, in order.
    pub columns: Vec<SqlColumn>,
    /// A row as object by the names of columns. What was received is hostile text.
    #[schema(value_type = Vec<Object>)]
    pub rows: Vec<serde_json::Value>,
}

/// A column.
#[derive(Debug, Serialize, ToSchema)]
pub struct SqlColumn {
    /// Name.
    pub name: String,
    /// Type, as Arrow writes it.
    pub kind: String,
}

/// Answers a query as far as the caller may see: rows out of sight are taken away where tables are read.
#[utoipa::path(post, path = "/api/v1/sql", tag = "search", operation_id = "sql_ask", request_body = SqlQuestion,
    responses((status = 200, body = SqlAnswer, description = "or the format asked for"), (status = "4XX", body = Problem)))]
pub(crate) async fn ask(
    State(web): State<Web>,
    caller: Caller,
    Body(question): Body<SqlQuestion>,
) -> Result<Response<Bytes>, Problem> {
    let SqlQuestion { sql, format, rows } = question;
    short_enough(&sql)?;
    let rows = rows.unwrap_or(ROWS);
    if !(1..=ROWS_MAX).contains(&rows) {
        return Err(Problem::bad_request(format!("an answer has from 1 to {ROWS_MAX} rows"))
            .hint("`kenshin sql --rows` gives more"));
    }
    let _turn = web.asking_sql()?;
    let answer = web.observatory().sql(&caller.viewer()?, &sql, limits(rows)).await?;
    let failed = |error| Problem::from(kenshin_observatory::ActError::from(error));
    let (kind, body) = match format {
        SqlFormat::Json => {
            let columns = answer.schema.fields().iter();
            let columns = columns
                .map(|field| SqlColumn { name: field.name().clone(), kind: field.data_type().to_string() });
            let rows = answer.render(Format::Json).map_err(failed)?;
            let rows = serde_json::from_str(&rows).map_err(|error| Problem::ours(&error))?;
            let whole = SqlAnswer { columns: columns.collect(), rows };
            ("application/json", serde_json::to_vec(&whole).map_err(|error| Problem::ours(&error))?)
        }
        SqlFormat::Jsonl => {
            ("application/x-ndjson", answer.render(Format::JsonLines).map_err(failed)?.into_bytes())
        }
        SqlFormat::Csv => {
            ("text/csv; charset=utf-8", answer.render(Format::Csv).map_err(failed)?.into_bytes())
        }
        SqlFormat::Parquet => ("application/vnd.apache.parquet", answer.parquet().map_err(failed)?),
    };
    let response = Response::builder().header(header::CONTENT_TYPE, kind).body(Bytes::from(body));
    response.map_err(|error| Problem::ours(&error))
}
