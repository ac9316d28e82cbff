//! `serve` and `sensor`: the processes that stay.

use std::time::Duration;

use kenshin_observatory::{ActError, Observatory, Worker};
use kenshin_survey::progress::Progress;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Context;
use crate::cli::{Sensor, Serve};
use crate::exit::Exit;

/// How long a worker without a job waits before it looks again.
const IDLE: Duration = Duration::from_secs(1);

pub(crate) async fn serve(context: &Context<'_>, options: &Serve) -> anyhow::Result<Exit> {
    let observatory = context.open().await?;
    let listen = match options.listen {
        Some(address) => address.to_string(),
        None => observatory.settings().web.listen.clone(),
    };
    let listener = TcpListener::bind(&listen)
        .await
        .map_err(|source| ActError::outside(format!("failed to listen on {listen}"), source))?;
    let stop = stop_token();
    let worker = if options.no_jobs {
        None
    } else {
        let worker = Worker::open(&observatory)?;
        Some(tokio::spawn(work(observatory.clone(), worker, stop.clone(), false)))
    };
    context.say(&format!("serving on http://{}  (Ctrl-C to end)", listener.local_addr()?));
    let ended = kenshin_web::serve(listener, observatory, stop.clone().cancelled_owned()).await;
    stop.cancel();
    if let Some(worker) = worker {
        worker.await??;
    }
    ended?;
    Ok(Exit::Done)
}

pub(crate) async fn sensor(context: &Context<'_>, options: &Sensor) -> anyhow::Result<Exit> {
    let observatory = context.open().await?;
    let worker = Worker::open(&observatory)?;
    context.say(&format!("sensor {} at work  (Ctrl-C to end)", worker.spool().sensor().id));
    work(observatory, worker, stop_token(), options.once).await?;
    Ok(Exit::Done)
}

/// Works off jobs until `stop`, or until none is left when `once`. One survey that fails is
/// reported and does not end the worker.
async fn work(
    _observatory: Observatory,
    mut worker: Worker,
    stop: CancellationToken,
    once: bool,
) -> anyhow::Result<()> {
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
    while !stop.is_cancelled() {
        match worker.work_once(&report, &stopped).await {
            Ok(Some(end)) => {
                tracing::info!(survey = %end.survey_id, ending = ?end.run.ending, "survey ended")
            }
            Ok(None) if once => break,
            Ok(None) => {
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = tokio::time::sleep(IDLE) => {}
                }
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a job failed");
                if once {
                    watcher.abort();
                    return Err(error.into());
                }
                tokio::time::sleep(IDLE).await;
            }
        }
    }
    watcher.abort();
    Ok(())
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
