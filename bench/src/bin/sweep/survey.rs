//! A survey as an operator would run it, under a mandate made for the bench.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use kenshin_mandate::signature::{MANDATE_NAMESPACE, REVOCATION_NAMESPACE};
use kenshin_mandate::{
    AddressRate, Gate, GateStart, Narrowing, PrefixRate, Rate, RevocationDraft, RevocationList, SignerKey,
    TemplateOptions, TrustRoots, template, verify,
};
use kenshin_observation::{Check, OrgId, Prefix, SurveyId, TimeUs, Tlp};
use kenshin_survey::permutation::PermutationKey;
use kenshin_survey::plan::{Manner, PlanRequest, Silence, SurveyPlan};
use kenshin_survey::progress::Progress;
use kenshin_survey::raw::link::Settings as LinkSettings;
use kenshin_survey::raw::sweep::{self, Sockets};
use kenshin_survey::raw::transmit::Engine;
use kenshin_survey::run::front::miss::MissTerms;
use kenshin_survey::run::{Run, RunSummary, Settings};
use kenshin_survey::space::Shard;
use kenshin_survey::spool::Spool;
use tokio::sync::watch;

const AUTHORITY: &str = "authority@example.jp";

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) prefix: Prefix,
    pub(crate) ports: Vec<u16>,
    pub(crate) source: IpAddr,
    pub(crate) engine: Engine,
    pub(crate) pps: u32,
    pub(crate) sample_ppm: u32,
    pub(crate) seed: u8,
    /// Stopped after this time, when stated.
    pub(crate) seconds: Option<f64>,
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
pub(crate) fn now() -> TimeUs {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    TimeUs::from_micros(i64::try_from(since.as_micros()).expect("before 294,000"))
}

/// Runs it in the network namespace of this thread.
pub(crate) fn run(asked: &Asked) -> Result<RunSummary> {
    let dir = tempfile::tempdir()?;
    let at = now();
    let spool = Spool::open(&dir.path().join("spool"), 64 << 30, at, [asked.seed; 32])?;
    let key = SignerKey::from_seed(&[1; 32], "bench");
    let line = key.allowed_signers_line(AUTHORITY, &[MANDATE_NAMESPACE, REVOCATION_NAMESPACE]);
    let roots = TrustRoots::parse("allowed_signers", &line)?;
    let mut options = TemplateOptions::example();
    options.prefixes = vec![asked.prefix];
    options.special_reason = "a bench in namespaces of its own".to_owned();
    options.exclusions = vec![];
    options.tcp_ports.clone_from(&asked.ports);
    options.checks = vec![Check::Sweep];
    // Buckets that fill within a millisecond are forgotten as quickly.
    options.rate = Rate {
        whole_pps: asked.pps,
        whole_burst: (asked.pps / 100).max(64),
        per_prefix: PrefixRate { v4_len: 24, v6_len: 48, pps: 1_000_000, burst: 10_000 },
        per_address: AddressRate { per_minute: 60_000_000, burst: 10_000 },
    };
    options.valid_from = at.plus_secs(-3_600);
    options.valid_until = at.plus_secs(86_400);
    options.signers_required = 1;
    options.sensors.truncate(1);
    let sensor = &mut options.sensors[0];
    (sensor.id, sensor.public_key) = (spool.sensor().id, spool.sensor().public_key());
    (sensor.source_addresses, sensor.share_percent) = (vec![asked.source], 100);
    let text = template(&options);
    let mandate = Arc::new(verify("bench.toml", &text, &[&key.sign(&text, MANDATE_NAMESPACE)?], &roots, at)?);
    let draft = RevocationDraft { authority: AUTHORITY.into(), number: 1, issued_at: at, revoked: vec![] };
    let text = draft.to_text();
    let list = RevocationList::verify(
        "revocation.toml",
        &text,
        &[&key.sign(&text, REVOCATION_NAMESPACE)?],
        &roots,
        at,
    )?;
    let start = GateStart {
        sensor: spool.sensor().id,
        last_sent: None,
        revocation: Some(list),
        narrowing: Narrowing::none(),
        now: at,
    };
    let gate = Arc::new(Mutex::new(Gate::new(Arc::clone(&mandate), start)?));
    let mut manner = Manner::SCALE;
    // Nothing waits for conversations here.
    manner.limits.connect_ms = 600;
    let request = PlanRequest {
        survey_id: SurveyId::from_bits(asked.seed.into()),
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
        permutation_key: PermutationKey([asked.seed; 16]),
        manner,
        dictionary: None,
    };
    let (plan, _) = SurveyPlan::make(request, &mandate, &Narrowing::none(), at)?;
    let sockets =
        Sockets::open(LinkSettings { engine: asked.engine, ..LinkSettings::new(vec![asked.source]) })?;
    let (stopper, stop) = watch::channel(false);
    let miss = MissTerms { sample_ppm: asked.sample_ppm, sample_max: 20_000, ..MissTerms::of(&plan) };
    let run = Run {
        plan,
        gate,
        spool,
        settings: Settings {
            seed: [asked.seed; 32],
            shard: Shard::WHOLE,
            done: kenshin_survey::slices::SliceSet::default(),
            refresh: None,
            refresh_every: Duration::from_millis(300),
            patience: Duration::from_secs(60),
            clock_error_us: None,
            dictionary: None,
            miss,
        },
        clock: Arc::new(now),
        progress: watch::channel(Progress::default()).0,
        stop,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let seconds = asked.seconds;
        let timer = async {
            match seconds {
                Some(seconds) => tokio::time::sleep(Duration::from_secs_f64(seconds)).await,
                None => std::future::pending().await,
            }
        };
        let (mut running, mut timer) = (std::pin::pin!(sweep::run(run, &sockets)), std::pin::pin!(timer));
        let mut stopped = false;
        loop {
            tokio::select! {
                ended = &mut running => return ended.context("the survey failed"),
                () = &mut timer, if !stopped => {
                    stopped = true;
                    stopper.send_replace(true);
                }
            }
        }
    })
}
