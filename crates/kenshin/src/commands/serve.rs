//! `serve`: the process that stays on the hub, and what the other one that stays shares with it.

use std::net::SocketAddr;
use std::time::Duration;

use kenshin_observatory::{ActError, Courtesy, Observatory, Worker};
use kenshin_survey::progress::Progress;
use kenshin_web::Web;
use kenshin_web::tls::{Certificate, TlsError};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Context;
use crate::cli::Serve;
use crate::exit::Exit;
use crate::memory;

/// How long a worker without a job waits before it looks again.
const IDLE: Duration = Duration::from_secs(1);
/// How long the lake is left alone before it is looked whether files are to be merged.
const TENDING: Duration = Duration::from_secs(300);
/// How long saved searches are left alone at least.
const LOOK: Duration = Duration::from_secs(5);
/// How often it is looked what is due to be erased, µs.
const DAY_US: i64 = 86_400_000_000;
/// How long a worker may take to stop in good order.
const FAREWELL: Duration = Duration::from_secs(10);

pub(crate) async fn serve(context: &Context<'_>, options: &Serve) -> anyhow::Result<Exit> {
    let observatory = context.open().await?;
    let settings = observatory.settings();
    let given = match (&options.tls_cert, &options.tls_key) {
        (Some(cert), Some(key)) => Some(Certificate::read(cert, key).map_err(certificate)?),
        _ => None,
    };
    let listen = options.listen.map_or_else(|| settings.web.listen.clone(), |address| address.to_string());
    let listener = bind(&listen).await?;
    let stop = stop_token();
    let web = Web::new(observatory.clone());
    let mut tasks: Vec<JoinHandle<anyhow::Result<()>>> = Vec::new();
    if !options.no_jobs {
        let worker = Worker::open(&observatory)?;
        let courtesy = Courtesy::of(&worker, &settings.organisation);
        if let Some(page) = courtesy_page(context, settings.courtesy_listen, courtesy, &stop).await? {
            tasks.push(tokio::spawn(async move { Ok(page.await?) }));
        }
        tasks.push(tokio::spawn(work(worker, stop.clone(), false)));
    }
    tasks.push(tokio::spawn(assess(observatory.clone(), stop.clone())));
    tasks.push(tokio::spawn(tend(observatory.clone(), stop.clone())));
    tasks.push(tokio::spawn(alert(observatory.clone(), stop.clone())));
    let columns_bytes = match observatory.settings().view.columns_mib {
        Some(mib) => mib.saturating_mul(1 << 20),
        None => memory::machine_bytes().unwrap_or(0) / 4,
    };
    let columns_bytes = usize::try_from(columns_bytes).unwrap_or(usize::MAX);
    tasks.push(tokio::spawn(read_ahead(observatory.clone(), columns_bytes, stop.clone())));
    if let Some(address) = options.sensors_listen.or(settings.sensors.listen) {
        let certificate = match &given {
            Some(given) => given.clone(),
            None => Certificate::own(&context.home.tls()).map_err(certificate)?,
        };
        let listener = bind(&address.to_string()).await?;
        context.say(&format!(
            "sensors on https://{}  (certificate {})",
            listener.local_addr()?,
            certificate.fingerprint()
        ));
        let (web, stop) = (web.clone(), stop.clone());
        tasks.push(tokio::spawn(async move {
            kenshin_web::serve_sensors(listener, &certificate, &web, stop.cancelled_owned()).await;
            Ok(())
        }));
    }
    if let Some(address) = options.flight.or(settings.flight.listen) {
        tasks.push(flight(context, address, given.clone(), &web, stop.clone()).await?);
    }
    let scheme = if given.is_some() { "https" } else { "http" };
    context.say(&format!("serving on {scheme}://{}  (Ctrl-C to end)", listener.local_addr()?));
    let ended = kenshin_web::serve(listener, given.as_ref(), &web, stop.clone().cancelled_owned()).await;
    stop.cancel();
    for task in tasks {
        task.await??;
    }
    ended?;
    Ok(Exit::Done)
}

/// SQL over Arrow Flight. Passwords and answers leave this machine through TLS or not at all.
async fn flight(
    context: &Context<'_>,
    address: SocketAddr,
    certificate: Option<Certificate>,
    web: &Web,
    stop: CancellationToken,
) -> anyhow::Result<JoinHandle<anyhow::Result<()>>> {
    if certificate.is_none() && !address.ip().to_canonical().is_loopback() {
        let refused = format!("Arrow Flight on {address} would send passwords in the clear");
        let hint = "give a certificate with --tls-cert and --tls-key, or listen on a loopback address";
        return Err(ActError::input(refused).with_hint(hint).into());
    }
    let listener = bind(&address.to_string()).await?;
    let scheme = if certificate.is_some() { "grpc+tls" } else { "grpc" };
    context.say(&format!("Arrow Flight SQL on {scheme}://{}", listener.local_addr()?));
    let web = web.clone();
    Ok(tokio::spawn(async move {
        kenshin_web::serve_flight(listener, certificate.as_ref(), &web, stop.cancelled_owned()).await;
        Ok(())
    }))
}

/// Works off jobs until `stop`, or until none is left when `once`. One survey that fails is
/// reported and does not end the worker; a hub that does not answer is asked again, less and less
/// often.
pub(crate) async fn work(mut worker: Worker, stop: CancellationToken, once: bool) -> anyhow::Result<()> {
    let (report, _reported) = watch::channel(Progress::default());
    let (stop_now, stopped) = watch::channel(false);
    let watcher = tokio::spawn({
        let stop = stop.clone();
        async move {
            stop.cancelled().await;
            stop_now.send_replace(true);
            // Kept until the worker has seen it.
            std::future::pending::<()>().await;
        }
    });
    let mut pace = worker.pace();
    while !stop.is_cancelled() {
        let worked = tokio::select! {
            worked = worker.work_once(&report, &stopped) => worked,
            // A worker that is busy stops by itself; one that waits for its hub does not.
            () = overdue(&stop) => break,
        };
        let pause = match worked {
            Ok(Some(end)) => {
                tracing::info!(survey = %end.survey_id, ending = ?end.run.ending, "part of a survey ended");
                pace.reset();
                continue;
            }
            Ok(None) if once => break,
            Ok(None) => {
                pace.reset();
                IDLE
            }
            Err(error) if error.is_away() && !once => {
                tracing::warn!(%error, "it is asked again");
                pace.next_pause()
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a job failed");
                if once {
                    watcher.abort();
                    return Err(error.into());
                }
                IDLE
            }
        };
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(pause) => {}
        }
    }
    watcher.abort();
    Ok(())
}

/// Some seconds after the word to stop.
async fn overdue(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(FAREWELL).await;
}

/// Completes what was taken from sensors before the last end of this process, then assesses surveys
/// whose last batch came from a sensor far away, until `stop`.
async fn assess(observatory: Observatory, stop: CancellationToken) -> anyhow::Result<()> {
    if let Err(error) = observatory.complete_received().await {
        tracing::error!(error = &error as &dyn std::error::Error, "what was taken is not in the lake yet");
    }
    if let Err(error) = observatory.renew_view().await {
        tracing::error!(error = &error as &dyn std::error::Error, "the current view is of another version");
    }
    while !stop.is_cancelled() {
        if let Err(error) = observatory.assess_finished().await {
            tracing::error!(error = &error as &dyn std::error::Error, "an assessment failed");
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(IDLE) => {}
        }
    }
    Ok(())
}

/// Keeps the lake in shape until `stop`, and erases once a day what is due: nothing else depends on it but how
/// fast questions are answered.
async fn tend(observatory: Observatory, stop: CancellationToken) -> anyhow::Result<()> {
    let mut erased_at = None;
    while !stop.is_cancelled() {
        let now = observatory.now();
        let daily = erased_at.is_none_or(|last| now.micros_since(last) >= DAY_US);
        match observatory.tend_retention(daily).await {
            Ok(done) => {
                if done.removed + done.erased > 0 {
                    tracing::info!(
                        removed = done.removed,
                        rows = done.rows,
                        proved = done.erased,
                        "what was due was erased"
                    );
                }
                erased_at = if daily { Some(now) } else { erased_at };
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "what is due was not erased");
            }
        }
        match observatory.tend_lake().await {
            Ok(done) if done.files > 0 => {
                tracing::info!(files = done.files, into = done.into, "files of the lake were merged");
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the lake was not tended");
            }
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(TENDING) => {}
        }
    }
    Ok(())
}

/// Looks at saved searches when the current view has changed, and delivers alerts, until `stop`. However
/// long that takes, as long a pause follows, so that it never has more than half of a processor.
pub(crate) async fn alert(observatory: Observatory, stop: CancellationToken) -> anyhow::Result<()> {
    while !stop.is_cancelled() {
        let begun = Instant::now();
        if let Err(error) = observatory.look_at_searches().await {
            tracing::error!(error = &error as &dyn std::error::Error, "saved searches are not looked at");
        }
        if let Err(error) = observatory.deliver_alerts().await {
            tracing::error!(error = &error as &dyn std::error::Error, "alerts are not delivered");
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(begun.elapsed().max(LOOK)) => {}
        }
    }
    Ok(())
}

/// Reads ahead what the explorer asks first, whenever the current view has changed, until `stop`.
async fn read_ahead(
    observatory: Observatory,
    columns_bytes: usize,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    while !stop.is_cancelled() {
        let begun = Instant::now();
        if let Err(error) = observatory.read_ahead(columns_bytes).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the view is not read ahead");
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(begun.elapsed().max(LOOK)) => {}
        }
    }
    Ok(())
}

/// The courtesy page, when the settings give it an address.
pub(crate) async fn courtesy_page(
    context: &Context<'_>,
    listen: Option<SocketAddr>,
    courtesy: Courtesy,
    stop: &CancellationToken,
) -> anyhow::Result<Option<JoinHandle<()>>> {
    let listener = match (&context.courtesy, listen) {
        (Some(opened), _) => TcpListener::from_std(opened.try_clone()?)?,
        (None, Some(address)) => bind(&address.to_string()).await?,
        (None, None) => return Ok(None),
    };
    context.say(&format!("courtesy page on http://{}", listener.local_addr()?));
    let messages = kenshin_observation::Messages::builtin();
    let stop = stop.clone().cancelled_owned();
    Ok(Some(tokio::spawn(kenshin_web::courtesy::serve(listener, courtesy, messages, stop))))
}

pub(crate) async fn bind(address: &str) -> Result<TcpListener, ActError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| ActError::outside(format!("failed to listen on {address}"), source))
}

/// A certificate that cannot be used is the operator's to mend.
pub(crate) fn certificate(error: TlsError) -> ActError {
    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
    ActError::input(format!("{error}{cause}"))
}

/// Cancelled by Ctrl-C or SIGTERM.
pub(crate) fn stop_token() -> CancellationToken {
    let token = CancellationToken::new();
    let cancel = token.clone();
    tokio::spawn(async move {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).ok();
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = async {
                match &mut terminate {
                    Some(signal) => { signal.recv().await; }
                    None => std::future::pending().await,
                }
            } => {}
        }
        cancel.cancel();
    });
    token
}
