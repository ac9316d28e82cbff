//! The courtesy page: on the address that a sensor sends from, for those who see it in their logs.
//! Who measures, why, under which mandate, how to verify that, and how to be left alone.
//!
//! It stands on a network of strangers, so it is small: no cookie, no script, nothing remembered of
//! visitors but what they ask for; connections, their time, their bytes and their requests are
//! limited. `/.well-known/probing.txt` says the same to programs (RFC 9511).

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Form, Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use kenshin_casework::NewOptOut;
use kenshin_observation::{Messages, Prefix, TimeUs};
use kenshin_observatory::{ActError, Courtesy, ShownMandate};
use serde::Deserialize;
use tokio::net::TcpListener;

use crate::door::{self, Protocol};
use crate::limiter::Limiter;
use page::{Page, Said};

mod page;

/// Connections at once at most.
const CONNECTIONS_MAX: usize = 128;
/// Longest life of a connection.
const LIFE: Duration = Duration::from_secs(30);
/// Bytes of a request's body at most.
const BODY_MAX: usize = 8 << 10;
/// Seconds for which mandates that were read are shown.
const FRESH_S: i64 = 5;
/// What is counted by the limiter.
const REQUEST: &str = "opt-out";

const CONTENT_POLICY: &str =
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Serves the page until `stop` resolves.
pub async fn serve(
    listener: TcpListener,
    courtesy: Courtesy,
    messages: Messages,
    stop: impl Future<Output = ()> + Send,
) {
    let limits = door::Limits { protocol: Protocol::Http1, connections: CONNECTIONS_MAX, life: Some(LIFE) };
    door::serve(listener, None, router(courtesy, messages), limits, stop).await;
}

/// The page as an application.
pub fn router(courtesy: Courtesy, messages: Messages) -> Router {
    let desk = Desk {
        inner: Arc::new(Inner { courtesy, messages, limiter: Mutex::default(), shown: Mutex::default() }),
    };
    Router::new()
        .route("/", get(show))
        .route("/opt-out", post(opt_out))
        .route("/request", post(request))
        .route("/mandates/{file}", get(mandate))
        .route("/.well-known/probing.txt", get(probing))
        .route("/style.css", get(style))
        .fallback(elsewhere)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(axum::middleware::map_response(protect))
        .with_state(desk)
}

#[derive(Clone)]
struct Desk {
    inner: Arc<Inner>,
}

struct Inner {
    courtesy: Courtesy,
    messages: Messages,
    limiter: Mutex<Limiter>,
    shown: Mutex<Option<(TimeUs, Arc<Vec<ShownMandate>>)>>,
}

/// A request about a prefix, as the form sends it.
#[derive(Deserialize)]
struct Asked {
    prefix: String,
    contact: String,
    #[serde(default)]
    words: String,
}

async fn show(State(desk): State<Desk>, ConnectInfo(peer): ConnectInfo<SocketAddr>) -> Response {
    desk.answer(StatusCode::OK, peer.ip().to_canonical(), None).await
}

/// Leaves the address alone that asks.
async fn opt_out(
    State(desk): State<Desk>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    let addr = peer.ip().to_canonical();
    if let Err(said) = desk.admit(addr, &headers) {
        return desk.answer(said.status(), addr, Some(said)).await;
    }
    let done = desk.on_disk(move |courtesy| courtesy.leave_out(addr)).await;
    let said = done.map_or_else(|error| failed(&error), |()| Said::LeftOut);
    desk.answer(said.status(), addr, Some(said)).await
}

/// Keeps a request about a prefix for a person to decide.
async fn request(
    State(desk): State<Desk>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    form: Result<Form<Asked>, axum::extract::rejection::FormRejection>,
) -> Response {
    let addr = peer.ip().to_canonical();
    if let Err(said) = desk.admit(addr, &headers) {
        return desk.answer(said.status(), addr, Some(said)).await;
    }
    let asked = form.ok().and_then(|Form(asked)| {
        let prefix: Prefix = asked.prefix.trim().parse().ok()?;
        let contact = asked.contact.trim().to_owned();
        let short = (1..=200).contains(&contact.chars().count()) && asked.words.chars().count() <= 2_000;
        short.then(|| NewOptOut { prefix, contact, words: asked.words, from: addr.to_string() })
    });
    let said = match asked {
        None => Said::Unreadable,
        Some(asked) => {
            let done = desk.on_disk(move |courtesy| courtesy.ask(asked)).await;
            done.map_or_else(|error| failed(&error), |()| Said::Asked)
        }
    };
    desk.answer(said.status(), addr, Some(said)).await
}

/// A mandate's text, or one of its signatures, byte for byte: for `ssh-keygen -Y verify`.
async fn mandate(State(desk): State<Desk>, Path(file): Path<String>) -> Response {
    let found = desk.mandates().await.ok().and_then(|shown| {
        shown.iter().find_map(|shown| {
            let rest = file.strip_prefix(shown.mandate.id.as_str())?;
            match rest {
                ".toml" => Some(shown.signed.text.clone()),
                ".toml.sig" => shown.signed.signatures.first().cloned(),
                ".toml.2.sig" => shown.signed.signatures.get(1).cloned(),
                _ => None,
            }
        })
    });
    match found {
        Some(text) => plain(text),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The probe description file of RFC 9511.
async fn probing(State(desk): State<Desk>) -> Response {
    let shown = desk.mandates().await.unwrap_or_default();
    plain(page::probing(&desk.inner.courtesy, &shown))
}

async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("courtesy/style.css")).into_response()
}

async fn elsewhere() -> StatusCode {
    StatusCode::NOT_FOUND
}

impl Desk {
    async fn answer(&self, status: StatusCode, addr: IpAddr, said: Option<Said>) -> Response {
        let left_out = self.on_disk(move |courtesy| courtesy.leaves_out(addr)).await.unwrap_or(false);
        let mandates = self.mandates().await.unwrap_or_default();
        let Inner { courtesy, messages, .. } = self.inner.as_ref();
        let html = Page { courtesy, messages, mandates: &mandates, addr, left_out, said }.render();
        (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response()
    }

    /// Whether somebody at an address may ask for something now.
    fn admit(&self, addr: IpAddr, headers: &HeaderMap) -> Result<(), Said> {
        if !from_here(headers) {
            return Err(Said::Elsewhere);
        }
        let mut limiter = self.inner.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        limiter.attempt(REQUEST, network(addr), self.inner.courtesy.now()).map_err(|_| Said::TooMany)
    }

    async fn mandates(&self) -> Result<Arc<Vec<ShownMandate>>, ActError> {
        let now = self.inner.courtesy.now();
        if let Some((at, shown)) = &*self.inner.shown.lock().unwrap_or_else(PoisonError::into_inner)
            && now.micros_since(*at).abs() < FRESH_S * 1_000_000
        {
            return Ok(shown.clone());
        }
        let shown = Arc::new(self.on_disk(Courtesy::mandates).await?);
        *self.inner.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, shown.clone()));
        Ok(shown)
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Courtesy) -> Result<T, ActError> + Send + 'static,
    ) -> Result<T, ActError> {
        let courtesy = self.inner.courtesy.clone();
        match tokio::task::spawn_blocking(move || work(&courtesy)).await {
            Ok(answer) => answer,
            Err(error) => Err(ActError::outside("the courtesy page failed", error)),
        }
    }
}

/// Whose requests are counted together: an IPv4 address, an IPv6 /48.
fn network(addr: IpAddr) -> IpAddr {
    match addr {
        IpAddr::V4(_) => addr,
        IpAddr::V6(v6) => std::net::Ipv6Addr::from_bits(v6.to_bits() >> 80 << 80).into(),
    }
}

/// A page of another site must not ask in the name of its visitors. Browsers say where a form came
/// from; who is no browser says nothing, and speaks for itself.
fn from_here(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let site = text(HeaderName::from_static("sec-fetch-site"));
    if site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return false;
    }
    match (text(header::ORIGIN), text(header::HOST)) {
        (None, _) => true,
        (Some(origin), host) => origin.split_once("://").map(|(_, origin)| origin) == host,
    }
}

fn failed(error: &ActError) -> Said {
    tracing::warn!(error = error as &dyn std::error::Error, "a request at the courtesy page failed");
    Said::Failed
}

fn plain(text: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

async fn protect(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, axum::http::HeaderValue::from_static(value));
    }
    response
}
