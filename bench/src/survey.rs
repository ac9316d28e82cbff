//! A survey as an operator would run it, under a mandate made for the bench.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use kenshin_mandate::signature::{MANDATE_NAMESPACE, REVOCATION_NAMESPACE};
use kenshin_mandate::{
    AddressRate, Gate, GateStart, Narrowing, PrefixRate, Rate, RevocationDraft, RevocationList, SignerKey,
    TemplateOptions, TrustRoots, VerifiedMandate, template, verify,
};
use kenshin_observation::{Check, OrgId, Prefix, SurveyId, Tlp};
use kenshin_survey::permutation::PermutationKey;
use kenshin_survey::plan::{Manner, PlanRequest, Silence, SurveyPlan};
use kenshin_survey::progress::Progress;
use kenshin_survey::raw::link::Settings as LinkSettings;
use kenshin_survey::raw::sweep::{self, Sockets};
use kenshin_survey::raw::transmit::Engine;
use kenshin_survey::run::front::miss::MissTerms;
use kenshin_survey::run::{Run, RunSummary, Settings};
use kenshin_survey::slices::SliceSet;
use kenshin_survey::space::Shard;
use kenshin_survey::spool::Spool;
use tokio::sync::watch;

use crate::now;

const AUTHORITY: &str = "authority@example.jp";

/// Bytes of batches that a bench may leave behind.
const SPOOL_BYTES_MAX: u64 = 16 << 30;

/// What is asked, and how.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The scope.
    pub prefixes: Vec<Prefix>,
    /// TCP ports.
    pub ports: Vec<u16>,
    /// Checks, the sweep among them.
    pub checks: Vec<Check>,
    /// The address it is asked from.
    pub source: IpAddr,
    /// How packets leave.
    pub engine: Engine,
    /// The mandate's rates.
    pub rate: Rate,
    /// How gently.
    pub manner: Manner,
    /// Of a million that answer, so many are asked again.
    pub sample_ppm: u32,
    /// Selects order and sample.
    pub seed: u8,
    /// Stopped after this time, s, when stated.
    pub seconds: Option<f64>,
}

impl Terms {
    /// A sweep alone, as fast as it goes: the mandate limits nothing.
    pub fn sweep(prefix: Prefix, ports: Vec<u16>, source: IpAddr, engine: Engine, seed: u8) -> Self {
        let mut manner = Manner::SCALE;
        // Nothing is further away than the other end of a cable.
        manner.limits.connect_ms = 600;
        Self {
            prefixes: vec![prefix],
            ports,
            checks: vec![Check::Sweep],
            source,
            engine,
            // Buckets that fill within a millisecond are forgotten as quickly.
            rate: Rate {
                whole_pps: 10_000_000,
                whole_burst: 100_000,
                per_prefix: PrefixRate { v4_len: 24, v6_len: 48, pps: 1_000_000, burst: 10_000 },
                per_address: AddressRate { per_minute: 60_000_000, burst: 10_000 },
            },
            manner,
            sample_ppm: 0,
            seed,
            seconds: None,
        }
    }
}

/// Runs it in the network namespace of this thread, with its spool in `dir`.
pub fn run(terms: &Terms, dir: &Path) -> Result<(RunSummary, Spool)> {
    let spool = Spool::open(&dir.join("spool"), SPOOL_BYTES_MAX, now(), [terms.seed; 32])?;
    let (mandate, gate) = authority(terms, &spool)?;
    let plan = plan(terms, &mandate)?;
    let sockets =
        Sockets::open(LinkSettings { engine: terms.engine, ..LinkSettings::new(vec![terms.source]) })?;
    let (stopper, stop) = watch::channel(false);
    let (progress, watched) = watch::channel(Progress::default());
    let miss = MissTerms { sample_ppm: terms.sample_ppm, sample_max: 20_000, ..MissTerms::of(&plan) };
    let run = Run {
        plan,
        gate: Arc::new(Mutex::new(gate)),
        spool: spool.clone(),
        settings: Settings {
            seed: [terms.seed; 32],
            shard: Shard::WHOLE,
            done: SliceSet::default(),
            refresh: None,
            refresh_every: Duration::from_millis(300),
            patience: Duration::from_secs(60),
            clock_error_us: None,
            dictionary: None,
            miss,
        },
        clock: Arc::new(now),
        progress,
        stop,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let summary = runtime.block_on(async {
        // Ends with the runtime.
        tokio::spawn(tell(watched));
        let mut running = std::pin::pin!(sweep::run(run, &sockets));
        if let Some(seconds) = terms.seconds {
            tokio::select! {
                ended = &mut running => return ended,
                () = tokio::time::sleep(Duration::from_secs_f64(seconds)) => {
                    stopper.send_replace(true);
                }
            }
        }
        running.await
    });
    Ok((summary.context("the survey failed")?, spool))
}

/// Says every ten seconds how far a long survey is.
async fn tell(progress: watch::Receiver<Progress>) {
    loop {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let Progress { targets_total, targets_done, sent, answered, conversations, .. } = *progress.borrow();
        eprintln!(
            "{targets_done} of {targets_total} targets, {sent} exchanges, {answered} found, {conversations} conversations"
        );
    }
}

/// A mandate for the terms and its gate, signed by a key that is thrown away.
fn authority(terms: &Terms, spool: &Spool) -> Result<(Arc<VerifiedMandate>, Gate)> {
    let at = now();
    let key = SignerKey::from_seed(&[1; 32], "bench");
    let line = key.allowed_signers_line(AUTHORITY, &[MANDATE_NAMESPACE, REVOCATION_NAMESPACE]);
    let roots = TrustRoots::parse("allowed_signers", &line)?;
    let mut options = TemplateOptions::example();
    options.prefixes.clone_from(&terms.prefixes);
    options.special_reason = "a bench in namespaces of its own".to_owned();
    options.exclusions = vec![];
    options.tcp_ports.clone_from(&terms.ports);
    options.checks.clone_from(&terms.checks);
    options.rate = terms.rate;
    options.valid_from = at.plus_secs(-3_600);
    options.valid_until = at.plus_secs(86_400);
    options.signers_required = 1;
    options.sensors.truncate(1);
    let sensor = &mut options.sensors[0];
    (sensor.id, sensor.public_key) = (spool.sensor().id, spool.sensor().public_key());
    (sensor.source_addresses, sensor.share_percent) = (vec![terms.source], 100);
    // The longest that a list may be old: nobody issues another while a bench runs.
    options.revocation_max_age_minutes = 60;
    let text = template(&options);
    let mandate = Arc::new(verify("bench.toml", &text, &[&key.sign(&text, MANDATE_NAMESPACE)?], &roots, at)?);
    let draft = RevocationDraft { authority: AUTHORITY.into(), number: 1, issued_at: at, revoked: vec![] };
    let text = draft.to_text();
    let signature = key.sign(&text, REVOCATION_NAMESPACE)?;
    let list = RevocationList::verify("revocation.toml", &text, &[&signature], &roots, at)?;
    let start = GateStart {
        sensor: spool.sensor().id,
        last_sent: None,
        revocation: Some(list),
        narrowing: Narrowing::none(),
        now: at,
    };
    let gate = Gate::new(Arc::clone(&mandate), start)?;
    Ok((mandate, gate))
}

fn plan(terms: &Terms, mandate: &VerifiedMandate) -> Result<SurveyPlan> {
    let request = PlanRequest {
        survey_id: SurveyId::from_bits(terms.seed.into()),
        org_id: OrgId::from_bits(1),
        tlp: Tlp::Amber,
        sensor_id: None,
        targets: None,
        ports: None,
        udp_ports: vec![],
        echo: false,
        silence: Silence::Coverage,
        canaries: vec![],
        checks: None,
        permutation_key: PermutationKey([terms.seed; 16]),
        manner: terms.manner.clone(),
        dictionary: None,
        recursion_zone: None,
    };
    Ok(SurveyPlan::make(request, mandate, &Narrowing::none(), now())?.0)
}
