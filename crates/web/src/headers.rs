//! What every answer carries, and how long a question may take.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::{Problem, Web};

/// Seconds until an answer must have begun. Progress streams begin at once.
const ANSWER_S: u64 = 30;

/// The nonce of one answer's styles, known to the page and to its policy.
#[derive(Debug, Clone)]
pub(crate) struct StyleNonce(pub(crate) String);

/// Sets the headers that keep hostile text harmless even where escaping failed.
pub(crate) async fn secure(State(web): State<Web>, mut request: Request, next: Next) -> Response {
    let nonce = StyleNonce(web.nonce());
    request.extensions_mut().insert(nonce.clone());
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    // No inline script at all. Styles that the interface's library adds carry the nonce; style
    // attributes may place things and cannot load or run anything.
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{0}'; style-src-elem 'self' 'nonce-{0}'; \
         style-src-attr 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; \
         form-action 'self'; frame-ancestors 'none'",
        nonce.0
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    let fixed: [(HeaderName, &'static str); 6] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if web.inner.secure {
        headers.insert(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000; includeSubDomains"),
        );
    }
    // What is not said to be kept is not kept: answers are for one person at one time.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Gives up on an answer that does not begin in time.
pub(crate) async fn time_limit(request: Request, next: Next) -> Response {
    match tokio::time::timeout(Duration::from_secs(ANSWER_S), next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let problem = Problem::busy(format!("the answer took longer than {ANSWER_S} s"));
            (StatusCode::SERVICE_UNAVAILABLE, problem).into_response()
        }
    }
}
