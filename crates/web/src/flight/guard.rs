//! The wrapper around every call: authenticate, authorise, audit. It is the web's, with a token in the
//! place of a cookie, and statuses of gRPC in the place of HTTP's.

use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use tonic::Status;

use crate::flight::status;
use crate::guard::{self, SignedInAs};
use crate::{Problem, Web, policy};

/// How long until an answer must have begun.
const ANSWER: Duration = Duration::from_secs(30);
/// Bytes of credentials at most.
const CREDENTIALS_MAX: usize = 4 << 10;
/// Base64 as clients write it: those in Go leave the padding away.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Calls that answer no row and change nothing: they leave a trace when they are refused.
const QUIET: [&str; 3] = ["GetFlightInfo", "GetSchema", "ListActions"];

/// Authenticates, authorises, lets the call through, audits.
pub(super) async fn guard(State(web): State<Web>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let path = request.uri().path().to_owned();
    let call = path.rsplit('/').next().unwrap_or_default();
    let addr = guard::peer(&request);
    let token = bearer(request.headers());
    let (actor, response) = match guard::admit(&web, token, policy::action_of_call(call), &path, addr).await {
        Ok(caller) => {
            let actor = caller.session.as_ref().map(|session| session.user.user_id);
            request.extensions_mut().insert(caller);
            let response = match tokio::time::timeout(ANSWER, next.run(request)).await {
                Ok(response) => response,
                Err(_) => told(Problem::busy(format!("the answer took longer than {} s", ANSWER.as_secs()))),
            };
            let actor = response.extensions().get::<SignedInAs>().map(|who| who.0).or(actor);
            (actor, response)
        }
        Err((actor, problem)) if problem.status == 401 => (actor, told(signed_out())),
        Err((actor, problem)) => (actor, told(problem)),
    };
    let status = status::http(&response);
    web.inner.metrics.request("POST", &path, status, begun.elapsed());
    // Every sign-in, every fetching of rows and every refusal of a person leaves a trace.
    let is_quiet = QUIET.contains(&call) && status != 403;
    if !is_quiet && (actor.is_some() || call == "Handshake") {
        let traced = guard::trace(&web, actor, "flight", &path, status, addr).await;
        if let Err(problem) = traced {
            return told(problem);
        }
    }
    response
}

/// The answer to a call that there is not.
pub(super) async fn unknown(request: Request) -> Response {
    let said = format!("there is no call `{}`", request.uri().path());
    told(Problem::not_offered(said))
}

/// Nobody has signed in, or the session has ended.
pub(super) fn signed_out() -> Problem {
    Problem::unauthenticated().hint("give name and password (Basic) in Handshake, and carry its bearer token")
}

/// Name and password of a handshake (RFC 7617).
pub(super) fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let decoded = BASE64.decode(credentials(headers, "basic")?).ok()?;
    let (login, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((login.to_owned(), password.to_owned()))
}

/// A session's token (RFC 6750).
fn bearer(headers: &HeaderMap) -> Option<String> {
    credentials(headers, "bearer").filter(|token| !token.is_empty() && token.len() <= 128).map(str::to_owned)
}

fn credentials<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (named, given) = value.split_once(' ')?;
    (named.eq_ignore_ascii_case(scheme) && given.len() <= CREDENTIALS_MAX).then(|| given.trim())
}

fn told(problem: Problem) -> Response {
    Status::from(problem).into_http::<axum::body::Body>().into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read_with_and_without_padding() {
        let given = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            (basic(&headers), bearer(&headers))
        };
        let pair = Some(("a".to_owned(), "b:検".to_owned()));
        assert_eq!(given("Basic YTpiOuaknA=="), (pair.clone(), None));
        assert_eq!(given("basic YTpiOuaknA"), (pair, None));
        assert_eq!(given("Bearer abc"), (None, Some("abc".to_owned())));
        for nothing in ["Basic ", "Basic %", "Basic YQ", "Bearer ", "Digest abc", "Bearer"] {
            assert_eq!(given(nothing), (None, None), "{nothing}");
        }
        assert_eq!(given(&format!("Bearer {}", "x".repeat(129))), (None, None));
        assert_eq!(given(&format!("Basic {}", "YTpi".repeat(1_025))), (None, None));
    }
}
