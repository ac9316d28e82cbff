//! `worker`: a process that helps a hub to answer SQL.

use kenshin_observatory::{WorkerSpec, cluster_worker};

use super::Context;
use super::serve::{bind, stop_token};
use crate::cli::Worker;
use crate::exit::Exit;

pub(crate) async fn run(context: &Context<'_>, options: &Worker) -> anyhow::Result<Exit> {
    let spec = WorkerSpec {
        lake: options.lake.clone(),
        secret: options.secret.clone(),
        memory_mib: usize::try_from(options.memory)?,
    };
    let worker = cluster_worker(&context.home, &spec)?;
    let stop = stop_token();
    let listener = bind(&options.listen.to_string()).await?;
    context.say(&format!("worker on https://{}  (Ctrl-C to end)", listener.local_addr()?));
    kenshin_lake::cluster::serve(listener, worker, stop.cancelled_owned()).await;
    Ok(Exit::Done)
}
