//! The survey, in a process of its own that says what it took.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use kenshin_bench::Side;
use kenshin_bench::survey::{Terms, run};
use kenshin_mandate::{AddressRate, PrefixRate, Rate};
use kenshin_observation::Check;
use kenshin_survey::plan::Manner;
use kenshin_survey::raw::transmit::Engine;
use kenshin_survey::run::Ending;

use super::{PORTS, Took, prefixes};

/// Ticks of the processor time in `/proc` (USER_HZ), fixed for this architecture.
const TICKS_A_SECOND: f64 = 100.0;

/// Surveys so many blocks and prints what it took as JSON.
#[expect(clippy::print_stdout, reason = "the figures are the data of this process")]
pub(crate) fn survey(blocks: u32) -> Result<()> {
    let mut terms =
        Terms::sweep(prefixes(blocks)[0], PORTS.to_vec(), Side::Near.addr_v6().parse()?, Engine::Auto, 1);
    terms.prefixes = prefixes(blocks);
    terms.checks = vec![Check::Sweep, Check::Banner, Check::Handshake];
    terms.manner = Manner::SCALE;
    terms.rate = Rate {
        whole_pps: 1_000_000,
        whole_burst: 10_000,
        per_prefix: PrefixRate { v4_len: 24, v6_len: 120, pps: 50, burst: 10 },
        per_address: AddressRate { per_minute: 60, burst: 20 },
    };
    let dir = tempfile::tempdir()?;
    let began = Instant::now();
    let (summary, spool) = run(&terms, dir.path())?;
    if summary.ending != Ending::Finished {
        bail!("the survey ended otherwise: {:?}", summary.ending);
    }
    let (user_s, system_s) = processor_time()?;
    let progress = summary.progress;
    let took = Took {
        wall_s: began.elapsed().as_secs_f64(),
        user_s,
        system_s,
        peak_bytes: peak_bytes()?,
        exchanges: progress.sent,
        answered: progress.answered,
        recognised: progress.hits.iter().filter(|(name, _)| *name != "unknown").map(|(_, hits)| hits).sum(),
        spool_bytes: spool.bytes(),
    };
    eprintln!("{progress:?}");
    println!("{}", serde_json::to_string(&took)?);
    Ok(())
}

/// Of this process, s: in user space and in the kernel (proc(5), `/proc/pid/stat`).
fn processor_time() -> Result<(f64, f64)> {
    let text = fs::read_to_string("/proc/self/stat")?;
    // The second field may have any character in it, and ends with the last bracket.
    let fields: Vec<&str> = text.rsplit_once(')').context("a name")?.1.split_whitespace().collect();
    let seconds = |place: usize| -> Result<f64> {
        Ok(fields.get(place).context("a field")?.parse::<f64>()? / TICKS_A_SECOND)
    };
    Ok((seconds(11)?, seconds(12)?))
}

/// Most memory of this process that was resident.
fn peak_bytes() -> Result<u64> {
    let text = fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("a peak")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}
