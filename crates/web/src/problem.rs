//! Errors as `application/problem+json` (RFC 9457), each with a way out.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// What went wrong, for a program (`code`) and for a person.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// A stable word for this kind of problem, e.g. `not-found`. The interface translates it.
    pub code: String,
    /// Short English title.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What was attempted and on what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// One thing to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Which part of a query is meant, from and to, in UTF-16 units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span: Option<[u32; 2]>,
}

impl Problem {
    fn new(status: StatusCode, code: &str, title: &str) -> Self {
        Self {
            code: code.to_owned(),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: None,
            hint: None,
            span: None,
        }
    }

    /// Adds what was attempted and on what.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds one thing to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// 404: there is no such thing, or the caller may not know that there is.
    pub fn not_found(what: &str, id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "not found")
            .detail(format!("there is no {what} `{id}` that you may see"))
            .hint("follow a link from a list: ids are not guessed")
    }

    /// 400: the request cannot be understood.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", "the request cannot be understood").detail(detail)
    }

    /// 400: the past that is asked for is too large to be found while somebody waits.
    pub fn past_limit(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "past-limit", "too much of the past is asked for")
            .detail(detail)
            .hint("name a network in the query (net:203.0.113.0/24), or ask `kenshin search --at`")
    }

    /// 401: not signed in.
    pub fn unauthenticated() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "signed-out", "sign in first")
            .hint("POST login and password to /api/v1/session and keep its cookie")
    }

    /// 401: the account or the password is wrong; which one is not told.
    pub fn wrong_password() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "wrong-password", "account or password is wrong").hint(
            "`kenshin init` and `kenshin demo` print the first password once; check the account name too",
        )
    }

    /// 401: not signed by a sensor that is known.
    pub fn unsigned() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unsigned", "only a sensor may do this, by its signature")
            .hint("`kenshin sensor enrol` makes a sensor known to its hub")
    }

    /// 401: the signature of a sensor's request does not count.
    pub fn bad_signature(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, "the signature does not count").detail(detail)
    }

    /// 413: more bytes than are read.
    pub fn too_large(bytes_max: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "the request is too large")
            .detail(format!("at most {bytes_max} bytes are read"))
    }

    /// 403: signed in, and the answer is no.
    pub fn refused(role: impl std::fmt::Display, action: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::FORBIDDEN, "refused", "your role does not allow this")
            .detail(format!("role `{role}` may not `{action}`"))
            .hint("ask an administrator of your organisation")
    }

    /// 403: an account that is limited to mandates asks for what is made of all.
    pub fn beyond(action: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::FORBIDDEN, "limited", "your account is limited to some mandates")
            .detail(format!("it searches what they brought, and may not `{action}`"))
            .hint("ask an administrator of your organisation")
    }

    /// 403: the CSRF token is missing or not this session's.
    pub fn forged() -> Self {
        Self::new(StatusCode::FORBIDDEN, "csrf", "the request does not carry this session's token")
            .hint("send the `csrf` value of GET /api/v1/session as header `x-csrf-token`")
    }

    /// 403: a ticket or handle that was made for another session, or by nobody.
    pub fn foreign_ticket() -> Self {
        Self::new(StatusCode::FORBIDDEN, "foreign-ticket", "the ticket was not made for this session")
            .hint("ask GetFlightInfo in the session that fetches the rows")
    }

    /// 501: what a client may ask for elsewhere, and never here.
    pub fn not_offered(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, "not-offered", "this is not offered").detail(detail)
    }

    /// 409: the state of the thing does not allow it.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", "not possible in the present state").detail(detail)
    }

    /// 429: too many attempts.
    pub fn too_many(retry_after_s: u64) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many", "too many attempts")
            .hint(format!("wait {retry_after_s} s and try again"))
    }

    /// 503: not now.
    pub fn busy(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "not now").detail(detail).hint("try again shortly")
    }

    /// 503: the view that the caller sees is not made yet.
    pub fn unmade(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "not-made", "what you may see is still being made")
            .detail(detail)
    }

    /// 500: our fault. The cause goes to the log, not to the caller.
    pub fn ours(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut chain = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            chain = format!("{chain}: {cause}");
            source = cause.source();
        }
        tracing::error!(error = %chain, "request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "something failed on our side")
            .hint("the log of `kenshin serve` has the cause")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}
