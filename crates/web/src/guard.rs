//! The one wrapper around every route: authenticate, authorise, audit.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use kenshin_casework::{Actor, CaseworkError, ErrorKind, SensorRecord, Session, Viewer};
use kenshin_lake::LakeError;
use kenshin_observation::UserId;
use kenshin_observatory::{ActError, Blame};

use crate::policy::{self, Action, Bounds, Decision, Reach};
use crate::{Problem, Web};

mod sensor;

pub(crate) use sensor::{REPORT_WITHIN, SIGNATURE_INPUT, claim_of, proven, read_body};

/// Name of the session cookie.
pub(crate) const COOKIE: &str = "kenshin_session";
/// Header that carries the session's token with every change.
pub(crate) const CSRF: &str = "x-csrf-token";

/// Who asks, as the wrapper found out. Handlers cannot make one.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The session; absent on public routes.
    pub(crate) session: Option<Session>,
    /// The token of that session, for signing out.
    pub(crate) token: Option<String>,
    /// The sensor that signed; absent on every other route.
    pub(crate) sensor: Option<SensorRecord>,
    /// Where the request came from.
    pub(crate) addr: IpAddr,
    reach: Reach,
}

impl Caller {
    /// As whom rows are read: the policy's decision as a predicate.
    pub(crate) fn viewer(&self) -> Result<Viewer, Problem> {
        let mut viewer = self.session.as_ref().ok_or_else(Problem::unauthenticated)?.user.viewer();
        if self.reach == Reach::OwnProviders {
            viewer.role = kenshin_casework::Role::Provider;
        }
        Ok(viewer)
    }

    /// The sensor that signed the request.
    pub(crate) fn sensor(&self) -> Result<&SensorRecord, Problem> {
        self.sensor.as_ref().ok_or_else(Problem::unsigned)
    }

    /// Who acts.
    pub(crate) fn actor(&self) -> Result<Actor, Problem> {
        Ok(Actor::User(self.session.as_ref().ok_or_else(Problem::unauthenticated)?.user.user_id))
    }
}

impl FromRequestParts<Web> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Web) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::unauthenticated)
    }
}

/// Put on the answer of a sign-in, so that the audit entry names the person.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SignedInAs(pub(crate) UserId);

/// Authenticates, authorises, runs the handler, audits.
pub(crate) async fn guard(State(web): State<Web>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    let route =
        request.extensions().get::<MatchedPath>().map_or(String::new(), |path| path.as_str().to_owned());
    let object = request.uri().path().to_owned();
    let addr = peer(&request);

    if policy::action_of(&method, &route) == Some(Action::SensorWork)
        && request.headers().contains_key(SIGNATURE_INPUT)
    {
        // What sensors do is no person's act: it leaves its traces where it changes something.
        let response = match sensor::admit(&web, &route, request, addr).await {
            Ok(request) => next.run(request).await,
            Err(problem) => {
                tracing::warn!(%object, from = %addr, why = %problem.title, "a sensor's request was refused");
                problem.into_response()
            }
        };
        web.inner.metrics.request(method.as_str(), &route, response.status().as_u16(), begun.elapsed());
        return response;
    }
    let (actor, response) = match admit_request(&web, &method, request.headers(), &route, addr).await {
        Ok(caller) => {
            let actor = caller.session.as_ref().map(|session| session.user.user_id);
            request.extensions_mut().insert(caller);
            let response = next.run(request).await;
            let actor = response.extensions().get::<SignedInAs>().map(|who| who.0).or(actor);
            (actor, response)
        }
        Err((actor, problem)) => (actor, problem.into_response()),
    };
    let status = response.status().as_u16();
    web.inner.metrics.request(method.as_str(), &route, status, begun.elapsed());
    // Every change and every refusal of a person leaves a trace; what an act writes into the
    // trail itself says more, this says from where.
    let changes = !method.is_safe();
    if changes || (status == 403 && actor.is_some()) {
        let action = format!("http.{}", method.as_str().to_lowercase());
        if let Err(problem) = trace(&web, actor, &action, &object, status, addr).await {
            return problem.into_response();
        }
    }
    response
}

/// Where a request came from.
pub(crate) fn peer(request: &Request) -> IpAddr {
    request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |info| info.0.ip())
}

/// Writes into the audit trail who asked for what, from where, and how it ended.
pub(crate) async fn trace(
    web: &Web,
    actor: Option<UserId>,
    action: &str,
    object: &str,
    status: u16,
    addr: IpAddr,
) -> Result<(), Problem> {
    let actor = actor.map_or_else(|| Actor::rule("anonymous"), Actor::User);
    let detail = serde_json::json!({ "status": status, "from": addr.to_string() });
    let traced = web.casework().audit(web.org(), &actor, action, object, &detail, web.now()).await;
    // A change that leaves no trace is reported as trouble, even though it was done.
    traced.map_err(|error| Problem::ours(&error))
}

/// The caller of a route, known by the cookie; what changes something carries the session's token too.
async fn admit_request(
    web: &Web,
    method: &Method,
    headers: &HeaderMap,
    route: &str,
    addr: IpAddr,
) -> Result<Caller, (Option<UserId>, Problem)> {
    let action = policy::action_of(method, route);
    let caller = admit(web, cookie(headers), action, route, addr).await?;
    if !method.is_safe() && action != Some(Action::Public) {
        let sent = headers.get(CSRF).map_or(&[][..], |value| value.as_bytes());
        let held = caller.session.as_ref().map_or(&[][..], |session| session.csrf.as_bytes());
        if held.is_empty() || !equal(sent, held) {
            return Err((caller.session.map(|session| session.user.user_id), Problem::forged()));
        }
    }
    Ok(caller)
}

/// The caller with a session's token, or who was refused and why.
pub(crate) async fn admit(
    web: &Web,
    token: Option<String>,
    action: Option<Action>,
    route: &str,
    addr: IpAddr,
) -> Result<Caller, (Option<UserId>, Problem)> {
    let session = match &token {
        Some(token) => {
            web.casework().session(token, web.now()).await.map_err(|error| (None, Problem::from(error)))?
        }
        None => None,
    };
    let who = session.as_ref().map(|session| session.user.user_id);
    let role = session.as_ref().map(|session| session.user.role);
    let bounds = session.as_ref().map_or(Bounds::None, |session| Bounds::of(&session.user.viewer()));
    // A route that the table does not name is nobody's.
    let Some(action) = action else {
        return Err((who, Problem::not_found("route", route)));
    };
    let reach = match (policy::allowed(role, bounds, action), role) {
        (Decision::Granted(reach), _) => reach,
        (Decision::Refused, None) => return Err((None, Problem::unauthenticated())),
        (Decision::Refused, Some(_)) if bounds != Bounds::None => return Err((who, Problem::beyond(action))),
        (Decision::Refused, Some(role)) => return Err((who, Problem::refused(role, action))),
    };
    Ok(Caller { session, token, sensor: None, addr, reach })
}

/// The session's token from the cookie header.
fn cookie(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, value)| *name == COOKIE && value.len() <= 128 && !value.is_empty())
        .map(|(_, value)| value.to_owned())
}

/// Compares in a time that does not tell where the difference is.
fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

impl From<CaseworkError> for Problem {
    fn from(error: CaseworkError) -> Self {
        match error.kind() {
            ErrorKind::NotFound => match &error {
                CaseworkError::NotFound { what, id } => Self::not_found(what, id),
                _ => Self::not_found("thing", ""),
            },
            ErrorKind::Input => Self::bad_request(error.to_string()),
            ErrorKind::Conflict => Self::conflict(said(&error)),
            ErrorKind::Outside => {
                let _ = Self::ours(&error);
                Self::busy("the database did not answer")
            }
            ErrorKind::Internal => Self::ours(&error),
        }
    }
}

impl From<ActError> for Problem {
    fn from(error: ActError) -> Self {
        if let ActError::Casework(error) = error {
            return Self::from(error);
        }
        let hint = error.hint().map(str::to_owned);
        let problem = match error.blame() {
            _ if matches!(error, ActError::Lake(LakeError::Unmade { .. })) => Self::unmade(error.to_string()),
            Blame::No => Self::conflict(said(&error)),
            Blame::Input => Self::bad_request(said(&error)),
            Blame::Outside => Self::ours(&error),
        };
        match hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

/// An error with its causes, for the person who caused it.
fn said(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// A method's name as the table writes it.
pub(crate) fn is_method(method: &Method, name: &str) -> bool {
    // HEAD asks what GET would answer.
    method.as_str() == name || (method == Method::HEAD && name == "GET")
}
