//! How fast SYNs leave the whole engine.

use std::fmt::Write;
use std::time::Instant;

use anyhow::Result;
use kenshin_bench::{Cable, Side, median};
use kenshin_survey::raw::transmit::Engine;
use serde::Serialize;

use super::{Options, sweep, terms};

#[derive(Serialize)]
pub(crate) struct Figure {
    engine: String,
    pps: f64,
    rounds_pps: Vec<f64>,
}

/// Everything that arrives is counted by the interface and dropped at the door.
pub(crate) fn measure(options: &Options) -> Result<Vec<Figure>> {
    let cable = Cable::new()?;
    cable.rules(
        Side::Far,
        "table netdev bench {\n chain door {\n type filter hook ingress device vb priority 0;\n \
         ip daddr 198.18.0.0/15 drop\n }\n}\n",
    )?;
    let mut figures = Vec::new();
    for engine in [Engine::AfPacket, Engine::AfXdp] {
        let mut rounds_pps = Vec::new();
        for round in 1..=options.rounds {
            let mut terms = terms("198.18.0.0/15", (1..=1000).collect(), engine, round)?;
            terms.seconds = Some(options.seconds);
            let (before, began) = (cable.received(Side::Far)?, Instant::now());
            sweep(&cable, &terms)?;
            // Opening sockets and asking for the gateway are a part of it, ending is not.
            let seconds = began.elapsed().as_secs_f64().min(options.seconds);
            let pps = (cable.received(Side::Far)? - before) as f64 / seconds;
            eprintln!("round {round}, {engine}: {:.3} Mpps", pps / 1e6);
            rounds_pps.push(pps);
        }
        figures.push(Figure { engine: engine.to_string(), pps: median(&rounds_pps), rounds_pps });
    }
    Ok(figures)
}

pub(crate) fn table(figures: &[Figure]) -> String {
    let mut text = String::from("the whole engine, start included: permutation, gate, frames, journal\n");
    for Figure { engine, pps, .. } in figures {
        let _ = writeln!(text, "{engine:<12} {:>7.3} Mpps", pps / 1e6);
    }
    text + "\n"
}
