//! The HTTP API and the built user interface: thin handlers over the acts of the observatory.
//!
//! The main type is [`Web`], made from an opened [`Observatory`]; [`Web::router`] is the whole
//! application and [`serve`] runs it on a listener. Every route passes one wrapper that
//! authenticates, authorises and audits; what may be done is one table, [`policy::allowed`].
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use kenshin_observatory::{Edge, Home, Observatory};
//! let folder = tempfile::tempdir().unwrap();
//! let home = Home::at(folder.path());
//! let edge = Edge::fixed(kenshin_observation::TimeUs::from_secs(1_790_000_000), [7; 32]);
//! Observatory::init(&home, "Example CSIRT", "admin", "en", &edge).await.unwrap();
//! let web = kenshin_web::Web::new(Observatory::open(&home, &edge).await.unwrap());
//! let _router = web.router();
//! # });
//! ```
//!
//! It refuses: a route that the policy does not name; a change without the session's token; a body
//! above 64 KiB; to show a row that the viewer's role and providers do not reach; to publish a
//! small count. It holds no privilege, opens no socket of its own and reads no clock but the
//! observatory's.
//!
//! Beside it stand three smaller doors: [`serve_flight`] for programs that ask in SQL and take Arrow,
//! [`serve_sensors`] for sensors apart from the hub, and [`courtesy`] for those who are measured.

pub mod api;
mod assets;
pub mod courtesy;
mod door;
mod flight;
mod guard;
mod headers;
mod limiter;
mod metrics;
mod past;
pub mod policy;
mod problem;
pub mod tls;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use axum::{Json, Router};
use kenshin_casework::Casework;
pub use kenshin_casework::Role;
use kenshin_observation::{OrgId, TimeUs};
use kenshin_observatory::Observatory;
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha20Rng;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, watch};
use tower_http::compression::CompressionLayer;

use door::Protocol;

pub use problem::Problem;

/// Bytes of a request's body at most.
const BODY_MAX: usize = 64 * 1024;
/// Shipments of batches taken at once at most: each may have to be held in memory.
const SHIPMENTS_MAX: usize = 4;
/// Connections of sensors at once at most.
const SENSOR_CONNECTIONS_MAX: usize = 512;
/// Connections for Arrow Flight at once at most.
const FLIGHT_CONNECTIONS_MAX: usize = 256;
/// Connections of people at once at most, when this process speaks TLS itself.
const CONNECTIONS_MAX: usize = 1_024;
/// Progress streams open at once at most.
const STREAMS_MAX: usize = 64;
/// Passwords hashed at once at most: each takes 19 MiB and tens of milliseconds.
const SIGN_INS_MAX: usize = 4;
/// Searches at work at once at most: each keeps a processor busy; the others wait for their turn.
const SEARCHES_MAX: usize = 4;

/// Queries in SQL at work at once at most: each may take half a minute and much memory, and searches go on
/// beside them.
const SQL_MAX: usize = 2;

/// The application. Cheap to clone.
#[derive(Clone)]
pub struct Web {
    inner: Arc<Inner>,
}

struct Inner {
    observatory: Observatory,
    /// Reached by `https`: cookies are `Secure`.
    secure: bool,
    limiter: Mutex<limiter::Limiter>,
    sign_ins: Semaphore,
    shipments: Semaphore,
    searches: Semaphore,
    past: past::Past,
    sql: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    metrics: metrics::Metrics,
    random: Mutex<ChaCha20Rng>,
    health: Mutex<Option<(TimeUs, Arc<api::health::Health>)>>,
    stopping: watch::Sender<bool>,
}

impl Web {
    /// The application over an opened observatory.
    pub fn new(observatory: Observatory) -> Self {
        let secure = observatory.settings().web.base_url.starts_with("https://");
        let random = ChaCha20Rng::from_seed(observatory.edge().seed());
        Self {
            inner: Arc::new(Inner {
                observatory,
                secure,
                limiter: Mutex::default(),
                sign_ins: Semaphore::new(SIGN_INS_MAX),
                shipments: Semaphore::new(SHIPMENTS_MAX),
                searches: Semaphore::new(SEARCHES_MAX),
                past: past::Past::default(),
                sql: Arc::new(Semaphore::new(SQL_MAX)),
                streams: Arc::new(Semaphore::new(STREAMS_MAX)),
                metrics: metrics::Metrics::default(),
                random: Mutex::new(random),
                health: Mutex::default(),
                stopping: watch::Sender::new(false),
            }),
        }
    }

    /// The whole application: API, description, metrics, user interface.
    pub fn router(&self) -> Router {
        let (api, document) = api::router().split_for_parts();
        let described = Router::new()
            .route("/api/openapi.json", get(move || async move { Json(document) }))
            .route("/healthz", get(alive))
            .route("/metrics", get(metrics::show));
        api.merge(described)
            .route_layer(from_fn_with_state(self.clone(), guard::guard))
            .fallback(assets::serve)
            .layer(from_fn_with_state(self.clone(), headers::secure))
            .layer(CompressionLayer::new().gzip(true))
            .layer(DefaultBodyLimit::max(BODY_MAX))
            .with_state(self.clone())
    }

    /// What sensors may reach, and nothing else.
    pub fn sensor_router(&self) -> Router {
        let (api, _) = api::sensor::router().split_for_parts();
        api.route("/healthz", get(alive))
            .route_layer(from_fn_with_state(self.clone(), guard::guard))
            .layer(from_fn_with_state(self.clone(), headers::secure))
            .with_state(self.clone())
    }

    /// Ends open progress streams, so that the server can stop.
    fn stop(&self) {
        self.inner.stopping.send_replace(true);
    }

    pub(crate) fn observatory(&self) -> &Observatory {
        &self.inner.observatory
    }

    pub(crate) fn casework(&self) -> &Casework {
        self.inner.observatory.casework()
    }

    pub(crate) fn org(&self) -> OrgId {
        self.inner.observatory.org()
    }

    pub(crate) fn now(&self) -> TimeUs {
        self.inner.observatory.now()
    }

    /// A turn at searching; held until what was found is counted and read.
    pub(crate) async fn searching(&self) -> Result<SemaphorePermit<'_>, Problem> {
        self.inner.searches.acquire().await.map_err(|_| Problem::busy("the server is stopping"))
    }

    /// A turn at SQL, or word that there is none now; held until the last row is on its way.
    pub(crate) fn asking_sql(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let busy = |_| Problem::busy(format!("{SQL_MAX} queries in SQL are being answered"));
        Arc::clone(&self.inner.sql).try_acquire_owned().map_err(busy)
    }

    /// 128 random bits, hexadecimal.
    fn nonce(&self) -> String {
        let mut bytes = [0; 16];
        self.inner.random.lock().unwrap_or_else(std::sync::PoisonError::into_inner).fill_bytes(&mut bytes);
        hex::encode(bytes)
    }
}

/// The description of the API, OpenAPI 3.1.
pub fn document() -> utoipa::openapi::OpenApi {
    api::router().into_openapi()
}

/// Serves people until `stop` resolves, through TLS when there is a certificate; requests under way
/// are finished.
pub async fn serve(
    listener: TcpListener,
    certificate: Option<&tls::Certificate>,
    web: &Web,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let router = web.router().layer(from_fn(headers::time_limit));
    let stopped = web.clone();
    let stopping = async move {
        stop.await;
        stopped.stop();
    };
    if certificate.is_some() {
        let limits = door::Limits { protocol: Protocol::Http1, connections: CONNECTIONS_MAX, life: None };
        door::serve(listener, certificate, router, limits, stopping).await;
        return Ok(());
    }
    axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(stopping)
        .await
}

/// Serves Arrow Flight SQL until `stop` resolves, through TLS when there is a certificate. Without one,
/// passwords and answers go in the clear: that is for loopback.
pub async fn serve_flight(
    listener: TcpListener,
    certificate: Option<&tls::Certificate>,
    web: &Web,
    stop: impl Future<Output = ()> + Send,
) {
    let connections = FLIGHT_CONNECTIONS_MAX;
    let limits = door::Limits { protocol: Protocol::Http2, connections, life: None };
    door::serve(listener, certificate, flight::router(web), limits, stop).await;
}

/// Serves sensors until `stop` resolves, through TLS.
pub async fn serve_sensors(
    listener: TcpListener,
    certificate: &tls::Certificate,
    web: &Web,
    stop: impl Future<Output = ()> + Send,
) {
    let connections = SENSOR_CONNECTIONS_MAX;
    let limits = door::Limits { protocol: Protocol::Http1, connections, life: None };
    door::serve(listener, Some(certificate), web.sensor_router(), limits, stop).await;
}

/// The process lives and answers. Says nothing about what it knows.
async fn alive() -> &'static str {
    "ok\n"
}
