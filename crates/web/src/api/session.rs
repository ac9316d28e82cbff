//! Sign-in, sign-out, who am I, a password of one's own.

use std::net::IpAddr;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kenshin_casework::{Session, SignedIn};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::Instant;
use crate::api::query::Body;
use crate::guard::{COOKIE, Caller, SignedInAs};
use crate::policy::{self, Action, Bounds, Decision};
use crate::{Problem, Web};

/// How long a session lasts, seconds.
const SESSION_S: i64 = 12 * 3600;

/// Who is signed in, if anybody.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionState {
    /// Absent when nobody is signed in.
    pub me: Option<Me>,
}

/// The person who is signed in.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    /// Account name.
    pub login: String,
    /// Name for display.
    pub name: String,
    /// Role in the organisation.
    #[schema(schema_with = super::words::role)]
    pub role: String,
    /// Organisation, for display.
    pub organisation: String,
    /// Preferred language.
    pub language: String,
    /// The password was given by somebody else: the interface asks for one of the person's own first.
    pub must_change: bool,
    /// To be sent as `x-csrf-token` with every request that changes something.
    pub csrf: String,
    /// When the session ends.
    pub expires_at: Instant,
    /// Ids of the mandates of which everything is that the person sees; without any, nothing limits it.
    pub mandates: Vec<String>,
    /// The community outside of the organisation that the person belongs to: of what these mandates brought, as
    /// much is seen as labels let communities see.
    pub community: Option<String>,
    /// Actions the role allows.
    pub actions: Vec<String>,
}

/// What a person types to sign in.
#[derive(Deserialize, ToSchema)]
pub struct SignIn {
    /// Account name.
    #[schema(max_length = 200)]
    pub login: String,
    /// Password.
    #[schema(max_length = 1000)]
    pub password: String,
}

/// What a person types to change their password.
#[derive(Deserialize, ToSchema)]
pub struct PasswordChange {
    /// The present one.
    #[schema(max_length = 1000)]
    pub current: String,
    /// The one to be used from now on: 10 characters at least.
    #[schema(min_length = 10, max_length = 1000)]
    pub new: String,
}

/// Who is signed in.
#[utoipa::path(get, path = "/api/v1/session", tag = "session", operation_id = "session_show", responses((status = 200, body = SessionState)))]
pub(crate) async fn show(State(web): State<Web>, caller: Caller) -> Json<SessionState> {
    Json(SessionState { me: caller.session.map(|session| me(&web, session)) })
}

/// Begins a session.
#[utoipa::path(post, path = "/api/v1/session", tag = "session", operation_id = "session_sign_in", request_body = SignIn,
    responses((status = 200, body = SessionState), (status = "4XX", body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn sign_in(
    State(web): State<Web>,
    caller: Caller,
    Body(given): Body<SignIn>,
) -> Result<Response, Problem> {
    let signed_in = begin(&web, &given.login, &given.password, caller.addr).await?;
    // Whoever signs in anew leaves the session before.
    if let Some(before) = &caller.token {
        web.casework().sign_out(before).await?;
    }
    welcome(&web, signed_in)
}

/// Changes one's own password. Every session of the person ends but the one that the answer begins: keep its
/// cookie, and its token.
#[utoipa::path(put, path = "/api/v1/session/password", tag = "session", operation_id = "session_change_password",
    request_body = PasswordChange,
    responses((status = 200, body = SessionState), (status = "4XX", body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn change_password(
    State(web): State<Web>,
    caller: Caller,
    Body(given): Body<PasswordChange>,
) -> Result<Response, Problem> {
    let Session { user, .. } = caller.session.ok_or_else(Problem::unauthenticated)?;
    if given.new == given.current {
        return Err(Problem::bad_request("the new password is the present one"));
    }
    // Who found an open session may not try passwords without end either.
    let proven = begin(&web, &user.login, &given.current, caller.addr).await?;
    if let Err(refused) = web.casework().set_password(web.org(), user.user_id, &given.new, false).await {
        // A session that nobody holds.
        web.casework().sign_out(&proven.token).await?;
        return Err(refused.into());
    }
    let signed_in = begin(&web, &user.login, &given.new, caller.addr).await?;
    welcome(&web, signed_in)
}

/// The answer that begins a session.
fn welcome(web: &Web, signed_in: SignedIn) -> Result<Response, Problem> {
    let cookie = cookie(web, &signed_in.token, SESSION_S)?;
    let who = SignedInAs(signed_in.user.user_id);
    let session = Session { user: signed_in.user, csrf: signed_in.csrf, expires_at: signed_in.expires_at };
    let mut response = Json(SessionState { me: Some(me(web, session)) }).into_response();
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    response.extensions_mut().insert(who);
    Ok(response)
}

/// A session for whoever knows the password; how often it may be tried is limited, by whichever door.
pub(crate) async fn begin(web: &Web, login: &str, password: &str, addr: IpAddr) -> Result<SignedIn, Problem> {
    let now = web.now();
    let attempt = limiter(web).attempt(login, addr, now);
    if let Err(wait_s) = attempt {
        web.inner.metrics.sign_in_refused();
        return Err(Problem::too_many(wait_s));
    }
    let Ok(_hashing) = web.inner.sign_ins.acquire().await else {
        return Err(Problem::busy("the server is stopping"));
    };
    let signed_in = web.casework().sign_in(login, password, now, SESSION_S).await?;
    let Some(signed_in) = signed_in.filter(|signed_in| signed_in.user.org_id == web.org()) else {
        web.inner.metrics.sign_in_refused();
        return Err(Problem::wrong_password());
    };
    limiter(web).succeeded(login, addr);
    Ok(signed_in)
}

/// Ends the session.
#[utoipa::path(delete, path = "/api/v1/session", tag = "session", operation_id = "session_sign_out",
    responses((status = 204), (status = "4XX", body = Problem)))]
pub(crate) async fn sign_out(State(web): State<Web>, caller: Caller) -> Result<Response, Problem> {
    if let Some(token) = &caller.token {
        web.casework().sign_out(token).await?;
    }
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie(&web, "", 0)?)]).into_response())
}

fn limiter(web: &Web) -> std::sync::MutexGuard<'_, crate::limiter::Limiter> {
    web.inner.limiter.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn cookie(web: &Web, token: &str, for_secs: i64) -> Result<HeaderValue, Problem> {
    let secure = if web.inner.secure { "; Secure" } else { "" };
    let text = format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={for_secs}{secure}");
    HeaderValue::from_str(&text).map_err(|error| Problem::ours(&error))
}

fn me(web: &Web, session: Session) -> Me {
    let role = session.user.role;
    let bounds = Bounds::of(&session.user.viewer());
    let granted = |action: &&Action| policy::allowed(Some(role), bounds, **action) != Decision::Refused;
    Me {
        login: session.user.login,
        name: session.user.name,
        role: role.to_string(),
        organisation: web.observatory().settings().organisation.clone(),
        language: session.user.language,
        must_change: session.user.must_change,
        csrf: session.csrf,
        expires_at: session.expires_at.into(),
        mandates: session.user.mandates,
        community: session.user.community,
        actions: Action::ALL.iter().filter(granted).map(ToString::to_string).collect(),
    }
}
