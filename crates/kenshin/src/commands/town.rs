//! `town`: run the simulated town by itself, or print its answer key.

use kenshin_observatory::ActError;
use kenshin_stage::{Town as Built, TownConfig};
use tokio::sync::mpsc;

use super::Context;
use super::serve::stop_token;
use crate::cli::{Format, Town, TownSpec};
use crate::exit::Exit;
use crate::output::{Rows, print_json};

pub(crate) async fn run(context: &Context<'_>, command: &Town) -> anyhow::Result<Exit> {
    match command {
        Town::Run(spec) => play(context, &build(spec)?).await,
        Town::Truth { town, rounds } => {
            let truth = build(town)?.truth(*rounds);
            if context.format() == Format::Json {
                print_json(&truth)?;
                return Ok(Exit::Done);
            }
            let items: Vec<(u32, kenshin_stage::TruthDevice)> = truth
                .rounds
                .into_iter()
                .flat_map(|round| round.devices.into_iter().map(move |device| (round.number, device)))
                .collect();
            Rows {
                columns: &["ROUND", "ADDRESS", "PROVIDER", "KIND", "PRODUCT", "PORTS", "FINDINGS"],
                right: &[0],
                items,
                cells: |(round, device)| {
                    vec![
                        round.to_string(),
                        device.address.to_string(),
                        device.provider.clone().unwrap_or_default(),
                        device.kind.clone(),
                        device.identity.product.clone().unwrap_or_else(|| "unknown".to_owned()),
                        device.open_ports.iter().map(u16::to_string).collect::<Vec<_>>().join(" "),
                        device.findings.iter().map(|f| f.kind.as_str()).collect::<Vec<_>>().join(" "),
                    ]
                },
            }
            .print(context.format())?;
            Ok(Exit::Done)
        }
    }
}

fn build(spec: &TownSpec) -> anyhow::Result<Built> {
    let config =
        TownConfig { seed: spec.seed, base: spec.net, devices: spec.devices, ..TownConfig::default() };
    Built::build(&config).map_err(|error| ActError::input(error.to_string()).into())
}

async fn play(context: &Context<'_>, town: &Built) -> anyhow::Result<Exit> {
    let mut running = kenshin_stage::serve(town, 1)
        .await
        .map_err(|error| ActError::outside(format!("failed to start the town; {}", error.hint()), error))?;
    let targets: Vec<String> = town.targets().iter().map(ToString::to_string).collect();
    context.say(&format!("the town is up on {}", targets.join(" ")));
    context.say("round 1; press Enter for the next, Ctrl-C to end");
    let stop = stop_token();
    // A thread of its own reads lines: reading a terminal cannot be cancelled.
    let (line_read, mut lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        for _line in std::io::stdin().lines().map_while(Result::ok) {
            if line_read.blocking_send(()).is_err() {
                return;
            }
        }
    });
    let mut round = 1;
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            line = lines.recv() => match line {
                // Without a terminal there is nobody to press Enter: stay until the signal.
                None => {
                    stop.cancelled().await;
                    break;
                }
                Some(()) if round < town.rounds() => {
                    round += 1;
                    running.advance(round).await.map_err(|error| ActError::outside("failed to move the town ahead", error))?;
                    context.say(&format!("round {round}"));
                }
                Some(()) => context.say("there is no further round"),
            }
        }
    }
    running.stop().await;
    Ok(Exit::Done)
}
