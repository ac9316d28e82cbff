//! The whole circle on a simulated town: mandate, survey, findings, notices, two weeks, re-check,
//! figures, and a score against the town's answer key.
//!
//! Everything here goes through the same acts as real work. Only two things are the demo's own: a
//! clock that can be moved ahead, and the answer key that is read at the end.

mod digest;
mod score;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use kenshin_casework::SurveyKind;
use kenshin_insight::intelligence::{Importer, IntelligenceKind};
use kenshin_mandate::{AddressRate, PrefixRate, Rate, SignerKey, TemplateOptions, TemplateSensor, template};
use kenshin_observation::{Check, Prefix, SurveyId};
use kenshin_stage::{RunningTown, Town, TownConfig};
use kenshin_survey::plan::{Manner, Silence};
use kenshin_survey::progress::Progress;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

pub use score::{IdentityScore, RecheckScore, Score, Share};

use crate::error::ActError;
use crate::plan::SurveyRequest;
use crate::worker::{SurveyEnd, Worker};
use crate::{Authority, Edge, Home, Observatory, SignedText, write_whole};

/// Id of the demo's mandate.
pub const MANDATE: &str = "town-demo";
const AUTHORITY: &str = "authority@town.example";
const SECOND: &str = "second-signer@town.example";
const DAY_S: i64 = 86_400;

/// What the demo is asked for.
#[derive(Debug, Clone)]
pub struct DemoOptions {
    /// Seed of the town and of every draw.
    pub seed: u64,
    /// Prefix the town lives in.
    pub net: Prefix,
    /// Number of devices.
    pub devices: usize,
    /// Language of the first user.
    pub language: String,
    /// Where the lake lies, as in the settings.
    pub lake: String,
}

/// A step of the demo, for whoever watches.
#[derive(Debug, Clone)]
pub enum Step {
    /// A new act begins.
    Act(&'static str, String),
    /// A survey is on its way.
    Surveying(Box<Progress>),
}

/// What the demo answers.
#[derive(Debug, Clone, Serialize)]
pub struct DemoAnswer {
    /// Seed of the town.
    pub seed: u64,
    /// Addresses surveyed.
    pub addresses: u64,
    /// Ports at each.
    pub ports: u64,
    /// Exchanges of both rounds.
    pub exchanges: u64,
    /// Addresses where something answered in the first round.
    pub responders: u64,
    /// Services that answered in the first round.
    pub services: u64,
    /// Assets resolved in the first round.
    pub assets: u64,
    /// Findings of the first round by kind.
    pub findings: BTreeMap<String, u64>,
    /// Cases at the end.
    pub cases: CaseCounts,
    /// Notices that went out.
    pub notices: u64,
    /// Compared with the answer key.
    pub score: Score,
    /// Digest of sorted (target, outcome, finding, case axes); ids and times excluded.
    pub digest: String,
    /// How long it took, in seconds of the clock on the wall.
    pub duration_s: f64,
}

/// Cases at the end by two of their axes.
#[derive(Debug, Clone, Default, Serialize)]
pub struct CaseCounts {
    /// By stage.
    pub stage: BTreeMap<String, u64>,
    /// By condition.
    pub condition: BTreeMap<String, u64>,
}

/// The demo at its end: the observatory to look at, and the answer.
pub struct Demo {
    /// The observatory, with everything in it.
    pub observatory: Observatory,
    /// The answer.
    pub answer: DemoAnswer,
    /// Account name of the administrator.
    pub login: String,
    /// Their password.
    pub password: String,
    /// The town, still running.
    pub town: RunningTown,
}

/// Runs the circle in a home that does not exist yet.
pub async fn run(home: &Home, options: &DemoOptions, mut watch: impl FnMut(Step)) -> Result<Demo, ActError> {
    let started = std::time::Instant::now();
    let config = TownConfig {
        seed: options.seed,
        base: options.net,
        devices: options.devices,
        ..TownConfig::default()
    };
    let town = Town::build(&config).map_err(|error| ActError::input(error.to_string()))?;
    let (edge, ahead) = Edge::simulated(config.start, Sha256::digest(options.seed.to_be_bytes()).into());
    watch(Step::Act(
        "town",
        format!("{} devices of {} kinds at {} addresses", options.devices, town.models().len(), count(&town)),
    ));
    let mut running = kenshin_stage::serve(&town, 1)
        .await
        .map_err(|error| ActError::outside("failed to start the town", error))?;

    watch(Step::Act("home", home.root().display().to_string()));
    let made = Observatory::init(home, "Town Observatory", "admin", &options.language, &edge).await?;
    let settings = std::fs::read_to_string(home.settings())
        .map_err(|source| ActError::io("read", &home.settings(), source))?
        .replace("# dictionary = ", "dictionary = ")
        .replace("lake = \"lake\"", &format!("lake = {}", toml::Value::String(options.lake.clone())));
    write_whole(&home.settings(), &settings)?;
    write_whole(&home.root().join("dictionary.toml"), &town.dictionary())?;
    let observatory = Observatory::open(home, &edge).await?;
    let mut worker = Worker::open(&observatory)?;
    let keys = sign_mandate(&observatory, &worker, &town, options).await?;
    watch(Step::Act("mandate", format!("{MANDATE}, signed by two throw-away keys")));
    import(&observatory, &town).await?;
    let key_folder = home.root().join("provider-keys");
    std::fs::create_dir_all(&key_folder)
        .map_err(|source| ActError::io("create the folder", &key_folder, source))?;
    for (name, key) in kenshin_stage::PROVIDER_KEYS {
        write_whole(&key_folder.join(name), key)?;
    }
    observatory.import_providers("providers.csv", &town.providers_csv(), &key_folder).await?;

    let request = SurveyRequest {
        tlp: kenshin_observation::Tlp::Amber,
        mandate: MANDATE.to_owned(),
        targets: Vec::new(),
        ports: Vec::new(),
        checks: Vec::new(),
        // Four services of a device with six entries each.
        manner: Manner { credential_attempts_max: 24, ..Manner::LOCAL },
        seed: Some(options.seed),
        udp_ports: Vec::new(),
        echo: false,
        silence: Silence::Rows,
        canaries: Vec::new(),
    };
    let planned = observatory.plan(&request)?;
    watch(Step::Act(
        "survey",
        format!("{} addresses, {} ports", planned.summary.addresses, planned.summary.ports),
    ));
    let first = observatory.store_plan(&planned, SurveyKind::Survey).await?.survey_id;
    let first_end = work(&observatory, &mut worker, first, &mut watch).await?;
    let found = score::round_one(&observatory, first).await?;

    watch(Step::Act("notices", "one mail per provider, into the outbox".into()));
    let notified = observatory.notify(Some(first)).await?;

    ahead.fetch_add(i64::from(config.round_days) * DAY_S * 1_000_000, Ordering::SeqCst);
    watch(Step::Act("time", format!("{} days pass; some owners act", config.round_days)));
    running.advance(2).await.map_err(|error| ActError::outside("failed to move the town ahead", error))?;
    renew(&observatory, &keys)?;

    let planned_again = observatory.plan_recheck(&request, &[]).await?;
    watch(Step::Act(
        "re-check",
        format!("{} addresses, {} ports", planned_again.summary.addresses, planned_again.summary.ports),
    ));
    let second = observatory.store_plan(&planned_again, SurveyKind::Recheck).await?.survey_id;
    let second_end = work(&observatory, &mut worker, second, &mut watch).await?;

    watch(Step::Act("score", "against the town's answer key".into()));
    let truth = town.truth(2);
    let score = score::score(&observatory, &truth, &found).await?;
    let digest = digest::digest(&observatory, &[first, second]).await?;
    let figures = observatory.casework().figures(&observatory.viewer()).await?;
    let counted = |counts: &[kenshin_casework::Count]| {
        counts.iter().map(|c| (c.name.clone(), c.count.unsigned_abs())).collect()
    };
    let totals = observatory.casework().survey(observatory.org(), first).await?.totals;
    let answer = DemoAnswer {
        seed: options.seed,
        addresses: planned.summary.addresses,
        ports: planned.summary.ports,
        exchanges: first_end.run.progress.sent + second_end.run.progress.sent,
        responders: totals.responders.unsigned_abs(),
        services: totals.services.unsigned_abs(),
        assets: totals.assets.unsigned_abs(),
        findings: found.by_kind(),
        cases: CaseCounts { stage: counted(&figures.stages), condition: counted(&figures.conditions) },
        notices: notified.sent,
        score,
        digest,
        duration_s: (started.elapsed().as_secs_f64() * 10.0).round() / 10.0,
    };
    drop(worker);
    Ok(Demo { observatory, answer, login: made.login, password: made.password, town: running })
}

fn count(town: &Town) -> u128 {
    town.targets().iter().map(|prefix| 1u128 << (32 - prefix.len())).sum()
}

struct Keys {
    authority: SignerKey,
}

/// Trust roots, a mandate with two signers, and the first revocation list, as an authority would.
async fn sign_mandate(
    observatory: &Observatory,
    worker: &Worker,
    town: &Town,
    options: &DemoOptions,
) -> Result<Keys, ActError> {
    let home = observatory.home();
    let key = |name: &str| {
        let seed: [u8; 32] = Sha256::digest(format!("{name} {}", options.seed)).into();
        SignerKey::from_seed(&seed, name)
    };
    let (authority, second) = (key(AUTHORITY), key(SECOND));
    let namespaces = ["kenshin-mandate", "kenshin-revocation"];
    let roots = authority.allowed_signers_line(AUTHORITY, &namespaces)
        + &second.allowed_signers_line(SECOND, &namespaces[..1]);
    write_whole(&home.trust_roots(), &roots)?;
    let now = observatory.now();
    let sensor = worker.spool().sensor();
    let text = template(&TemplateOptions {
        id: MANDATE.to_owned(),
        version: 1,
        programme: "town".to_owned(),
        title: "Health check of the simulated town".to_owned(),
        purpose: "Shows the whole circle on one machine".to_owned(),
        authority: AUTHORITY.to_owned(),
        signers_required: 2,
        legal_basis: "A simulated town on this machine; nobody else is concerned".to_owned(),
        legal_basis_notify: Some("The simulated providers asked for it".to_owned()),
        valid_from: now.plus_secs(-DAY_S),
        valid_until: now.plus_secs(365 * DAY_S),
        time_zone: "Asia/Tokyo".to_owned(),
        prefixes: town.targets(),
        special_reason: "The town lives on loopback".to_owned(),
        exclusions: Vec::new(),
        tcp_ports: town.ports(),
        udp_ports: Vec::new(),
        checks: vec![
            Check::Sweep,
            Check::Banner,
            Check::Handshake,
            Check::AnonymousLogin,
            Check::CredentialCheck,
        ],
        rate: Rate {
            whole_pps: 20_000,
            whole_burst: 2_000,
            per_prefix: PrefixRate { v4_len: 24, v6_len: 48, pps: 20_000, burst: 2_000 },
            per_address: AddressRate { per_minute: 6_000, burst: 200 },
        },
        contact_name: "Town Observatory".to_owned(),
        contact_email: "observatory@town.example".to_owned(),
        contact_web: Some("https://observatory.town.example/".to_owned()),
        sensors: vec![TemplateSensor {
            id: sensor.id,
            name: "this machine".to_owned(),
            public_key: sensor.public_key(),
            source_addresses: vec![std::net::Ipv4Addr::LOCALHOST.into()],
            share_percent: 100,
        }],
        revocation_list: "revocations.toml".to_owned(),
        revocation_max_age_minutes: 15,
    });
    let draft = home.root().join("town-demo.toml");
    write_whole(&draft, &text)?;
    Authority::sign_mandate(&draft, &authority)?;
    Authority::sign_mandate(&draft, &second)?;
    let keys = Keys { authority };
    renew(observatory, &keys)?;
    observatory.add_mandate(&SignedText::read(&draft)?).await?;
    Ok(keys)
}

/// The authority issues its next revocation list: an empty one is word that nothing is revoked.
fn renew(observatory: &Observatory, keys: &Keys) -> Result<(), ActError> {
    let path = observatory.home().mandates().join("revocations.toml");
    Authority::issue_revocations(&path, AUTHORITY, Vec::new(), &keys.authority, observatory.now())?;
    Ok(())
}

async fn import(observatory: &Observatory, town: &Town) -> Result<(), ActError> {
    let knowledge = town.intelligence();
    let (systems, countries) = town.address_tables();
    let mut sets: Vec<(IntelligenceKind, Vec<(&str, &str)>)> = vec![
        (IntelligenceKind::Kev, vec![("kev.json", knowledge.kev)]),
        (IntelligenceKind::Cve, vec![("cve.jsonl", knowledge.cve)]),
        (IntelligenceKind::Epss, vec![("epss.csv", knowledge.epss)]),
        (IntelligenceKind::Asn, vec![("asn.csv", systems.as_str())]),
        (IntelligenceKind::Country, vec![("country.csv", countries.as_str())]),
    ];
    sets.push((IntelligenceKind::EndOfLife, knowledge.endoflife.to_vec()));
    for (kind, files) in sets {
        let mut importer = Importer::new(kind);
        for (name, text) in files {
            importer.read(name, text.as_bytes()).map_err(|error| ActError::input(error.to_string()))?;
        }
        let import = importer.finish(observatory.now().into());
        if let Some(rejected) = import.rejected.first() {
            return Err(ActError::input(rejected.to_string()));
        }
        observatory.store_snapshot(&import.snapshot, "the town").await?;
    }
    Ok(())
}

async fn work(
    observatory: &Observatory,
    worker: &mut Worker,
    survey: SurveyId,
    watch: &mut impl FnMut(Step),
) -> Result<SurveyEnd, ActError> {
    observatory.enqueue_survey(survey).await?;
    let (report, mut reported) = watch::channel(Progress::default());
    let (_go, stop) = watch::channel(false);
    let end = {
        let mut work = std::pin::pin!(worker.work_once(&report, &stop));
        loop {
            tokio::select! {
                end = &mut work => break end?,
                Ok(()) = reported.changed() => watch(Step::Surveying(Box::new(reported.borrow_and_update().clone()))),
            }
        }
    };
    end.ok_or_else(|| ActError::no(format!("survey {survey} was not in the queue")))
}
