//! Serving on a network of strangers: connections are counted, and each step of one has its time.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower::ServiceExt;

use crate::tls::Certificate;

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(10);
/// Bytes of the head of a request at most, and of what is buffered.
const BUFFER_MAX: usize = 32 << 10;
/// How often one who speaks HTTP/2 is asked whether they are still there, and how long for the answer.
const HEARTBEAT: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(20));
/// Requests under way at once at most on a connection of HTTP/2.
const REQUESTS_MAX: u32 = 32;
/// After this long a connection of HTTP/2 takes no more requests; whoever asks on opens another.
const AGE: Duration = Duration::from_secs(3_600);
/// How long requests under way are waited for when the server stops.
const FAREWELL: Duration = Duration::from_secs(10);
/// Pause after a connection that could not be accepted, for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What is spoken. A door speaks one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, which gRPC needs: begun without upgrade, and agreed on by ALPN (RFC 7301) in TLS.
    Http2,
}

/// What is open to strangers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// What is spoken.
    pub(crate) protocol: Protocol,
    /// Connections at once; more wait in the kernel's queue.
    pub(crate) connections: usize,
    /// Longest life of a connection; `None` for as long as it is used.
    pub(crate) life: Option<Duration>,
}

/// Serves until `stop` resolves; requests under way are finished, within seconds.
pub(crate) async fn serve(
    listener: TcpListener,
    certificate: Option<&Certificate>,
    router: Router,
    limits: Limits,
    stop: impl Future<Output = ()> + Send,
) {
    let acceptor = certificate.map(|certificate| certificate.acceptor(limits.protocol));
    let room = Arc::new(Semaphore::new(limits.connections));
    let (stopping, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = async {
            let place = room.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = accepted => accepted,
            _ = connections.join_next(), if !connections.is_empty() => continue,
            () = &mut stop => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (acceptor, router, stopped) = (acceptor.clone(), router.clone(), stopped.clone());
        connections.spawn(async move {
            let _place = place;
            let talk = async move {
                match acceptor {
                    None => talk(stream, peer, router, limits.protocol, stopped).await,
                    Some(acceptor) => {
                        let shaken = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await;
                        if let Ok(Ok(stream)) = shaken {
                            talk(stream, peer, router, limits.protocol, stopped).await;
                        }
                    }
                }
            };
            match limits.life {
                Some(life) => drop(tokio::time::timeout(life, talk).await),
                None => talk.await,
            }
        });
    }
    drop(listener);
    stopping.send_replace(true);
    let farewell = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(FAREWELL, farewell).await;
}

/// One connection to its end.
async fn talk<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    stream: S,
    peer: SocketAddr,
    router: Router,
    protocol: Protocol,
    mut stopped: watch::Receiver<bool>,
) {
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        let router = router.clone();
        async move {
            Ok::<_, Infallible>(
                router.oneshot(request.map(Body::new)).await.unwrap_or_else(|never| match never {}),
            )
        }
    });
    let mut server = Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(BUFFER_MAX);
    server
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(HEARTBEAT.0)
        .keep_alive_timeout(HEARTBEAT.1)
        .max_concurrent_streams(REQUESTS_MAX);
    let (server, age) = match protocol {
        Protocol::Http1 => (server.http1_only(), None),
        Protocol::Http2 => (server.http2_only(), Some(AGE)),
    };
    let aged = async {
        match age {
            Some(age) => tokio::time::sleep(age).await,
            None => std::future::pending().await,
        }
    };
    let mut connection = std::pin::pin!(server.serve_connection(TokioIo::new(stream), service));
    // Whoever breaks off has broken off: nobody is to be told.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stopped.wait_for(|stopped| *stopped) => {}
        () = aged => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}
