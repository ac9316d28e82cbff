//! The acts of Kenshin, where the rooms meet: survey, assess, notify, re-check, import, publish.
//!
//! The main type is [`Observatory`]: a home with its settings, stores and knowledge, opened once
//! and shared by the command line and the web. Every act takes `now` from the one clock that was
//! handed in, so that the demo can let weeks pass.
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use kenshin_observatory::{Edge, Home, Observatory};
//! let folder = tempfile::tempdir().unwrap();
//! let home = Home::at(folder.path());
//! let edge = Edge::fixed(kenshin_observation::TimeUs::from_secs(1_790_000_000), [7; 32]);
//! let made = Observatory::init(&home, "Example CSIRT", "admin", "en", &edge).await.unwrap();
//! assert!(!made.password.is_empty());
//! let observatory = Observatory::open(&home, &edge).await.unwrap();
//! assert_eq!(observatory.settings().organisation, "Example CSIRT");
//! # });
//! ```
//!
//! It decides nothing by itself that a room decides (who may send, what a thing is, how a case
//! moves) and never reads a clock or draws randomness except through [`Edge`].

mod accounts;
mod ask;
mod assess;
mod authority;
mod cluster;
mod components;
mod conclude;
mod courtesy;
mod cryptography;
pub mod demo;
mod dictionary;
mod directory;
mod edge;
mod error;
mod exchange;
mod home;
pub mod hub;
mod integrity;
mod intelligence;
mod notify;
mod plan;
mod probed;
mod receipt;
mod recheck;
mod retention;
mod retrospect;
mod searches;
mod sensors;
mod settings;
mod shards;
pub mod signed;
mod targets;
mod view;
mod worker;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use kenshin_casework::{Actor, Casework, MandateSignature, NewMandate, NewUser, Org, Role, Viewer};
use kenshin_insight::fingerprint::{Pack, Packs};
use kenshin_lake::Lake;
use kenshin_mandate::VerifiedMandate;
use kenshin_observation::{Messages, OrgId, TimeUs};
use tokio::sync::OnceCell;

use crate::intelligence::Tables;

pub use accounts::AccountRequest;
pub use authority::{Authority, SignedText, read_key, read_limited, write_whole};
pub use cluster::{WorkerSpec, worker as cluster_worker};
pub use components::{AdvisoryForm, CarrierRow, Carriers, Components, Exposed, ExposedRow};
pub use courtesy::{Courtesy, ShownMandate};
pub use cryptography::{CryptoRow, Grouping};
pub use edge::Edge;
pub use error::{ActError, Blame};
pub use exchange::{ImportRequest, ImportedFile};
pub use home::Home;
pub use intelligence::{
    Imported, IntelSource, IntelligenceStatus, Known, Reading, SnapshotStatus, Transfer, UpdateEvent,
    UpdateResult, Updated,
};
pub use notify::Notified;
pub use plan::{Planned, SurveyRequest};
pub use probed::Probed;
pub use receipt::Shipper;
pub use retention::{
    Bytes, Due, Erasures, Keep, OfMandate, Outlook, ParseKeepError, Retained, Retention, SignedStatement,
    Statement,
};
pub use retrospect::{Reassessed, RetrospectRequest};
pub use searches::{Looked, Outcome, Saved, SearchRequest, understand};
pub use sensors::TOKEN_S;
pub use settings::{HubAddress, Mail, Sensors, Settings, Web};
pub use shards::SHARDS_MAX;
pub use targets::TargetList;
pub use view::{FOUND_MAX, HostView, Past, known_by};
pub use worker::{SurveyEnd, Worker};

/// A home, opened. Cheap to clone.
#[derive(Clone)]
pub struct Observatory {
    inner: Arc<Inner>,
}

struct Inner {
    home: Home,
    settings: Settings,
    edge: Edge,
    org: Org,
    casework: Casework,
    messages: Messages,
    lake: OnceCell<Lake>,
    packs: OnceCell<Packs>,
    /// Tables of addresses that were read last.
    tables: tokio::sync::Mutex<Vec<Arc<Tables>>>,
    /// The current view lacks something that the lake has.
    view_lags: AtomicBool,
}

/// What `init` made.
pub struct Made {
    /// Account name of the first administrator.
    pub login: String,
    /// Their password, told once and kept nowhere.
    pub password: String,
}

impl Observatory {
    /// Makes a home: folders, commented settings, database, first administrator. A home that is
    /// there already is refused, never changed.
    pub async fn init(
        home: &Home,
        organisation: &str,
        admin: &str,
        language: &str,
        edge: &Edge,
    ) -> Result<Made, ActError> {
        if home.settings().exists() {
            return Err(ActError::input(format!("there is a home already: `{}`", home.settings().display()))
                .with_hint("choose another folder with --home, or go on using this one"));
        }
        home.create()?;
        let settings = Settings::new(organisation);
        let casework = Casework::open(&settings.database_url(home), edge.seed(), edge.now()).await?;
        let org = casework.add_org(organisation, edge.now()).await?;
        let password = casework.generate_password();
        let user = NewUser {
            login: admin.to_owned(),
            name: admin.to_owned(),
            role: Role::Admin,
            language: language.to_owned(),
            password: password.clone(),
            must_change: false,
            providers: Vec::new(),
            limit: kenshin_casework::Limit::default(),
        };
        casework.add_user(org.org_id, &user, edge.now()).await?;
        casework.close().await;
        // The settings come last: a home without them is not one, and init can be run again.
        write_whole(&home.settings(), &Settings::template(organisation))?;
        Ok(Made { login: admin.to_owned(), password })
    }

    /// Opens a home.
    pub async fn open(home: &Home, edge: &Edge) -> Result<Self, ActError> {
        let settings = Settings::read(home)?;
        if let Some(hub) = &settings.hub {
            return Err(ActError::input(format!(
                "`{}` is the home of a sensor: its observatory is the hub at {}",
                home.root().display(),
                hub.url
            ))
            .with_hint("run this on the hub; here, `kenshin sensor` works and `kenshin doctor` looks"));
        }
        home.create()?;
        let casework = Casework::open(&settings.database_url(home), edge.seed(), edge.now()).await?;
        let orgs = casework.orgs().await?;
        let org = orgs.into_iter().find(|org| org.name == settings.organisation).ok_or_else(|| {
            ActError::input(format!("the database knows no organisation `{}`", settings.organisation))
                .with_hint("correct `organisation` in kenshin.toml, or run `kenshin init` for a new home")
        })?;
        let mut messages = Messages::builtin();
        add_languages(&mut messages, home)?;
        Ok(Self {
            inner: Arc::new(Inner {
                home: home.clone(),
                settings,
                edge: edge.clone(),
                org,
                casework,
                messages,
                lake: OnceCell::new(),
                packs: OnceCell::new(),
                tables: tokio::sync::Mutex::default(),
                view_lags: AtomicBool::new(false),
            }),
        })
    }

    /// Where everything lies.
    pub fn home(&self) -> &Home {
        &self.inner.home
    }

    /// The effective settings.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// The organisation that runs this observatory.
    pub fn org(&self) -> OrgId {
        self.inner.org.org_id
    }

    /// Decisions.
    pub fn casework(&self) -> &Casework {
        &self.inner.casework
    }

    /// Message catalogues: those built in, and those of `languages/` in the home.
    pub fn messages(&self) -> &Messages {
        &self.inner.messages
    }

    /// Mandates and lists.
    pub fn authority(&self) -> Authority {
        Authority::of(&self.inner.home)
    }

    /// The one clock.
    pub fn now(&self) -> TimeUs {
        self.inner.edge.now()
    }

    /// Clock and randomness.
    pub fn edge(&self) -> &Edge {
        &self.inner.edge
    }

    /// As whom acts look at rows: the whole organisation.
    pub fn viewer(&self) -> Viewer {
        Viewer::system(self.org())
    }

    /// Measurements; opened at first use.
    pub async fn lake(&self) -> Result<&Lake, ActError> {
        let location = self.settings().lake_location(self.home());
        let opened = async {
            let lake = Lake::open(location).await?;
            Ok(match cluster::of(self.settings(), self.home())? {
                Some(cluster) => lake.with_cluster(cluster),
                None => lake,
            })
        };
        self.inner.lake.get_or_try_init(|| opened).await
    }

    /// Fingerprints: our own pack and those that the settings name; compiled at first use.
    pub async fn packs(&self) -> Result<&Packs, ActError> {
        self.inner
            .packs
            .get_or_try_init(|| async {
                let mut imported = Vec::new();
                for path in &self.settings().fingerprints {
                    imported.push(Arc::new(read_pack(&self.home().resolve(path))?));
                }
                Ok(if imported.is_empty() { Packs::own() } else { Packs::both(imported) })
            })
            .await
    }

    /// Takes a mandate into the home and the registry, after it was verified against the trust
    /// roots of this machine.
    pub async fn add_mandate(&self, signed: &SignedText) -> Result<VerifiedMandate, ActError> {
        let verified = self.authority().add(signed, self.now())?;
        let signatures = verified.signers().iter().zip(&signed.signatures);
        let new = NewMandate {
            mandate_id: verified.id.clone(),
            version: verified.version.into(),
            programme: verified.programme.clone(),
            text: signed.text.clone(),
            signatures: signatures
                .map(|(signer, armour)| MandateSignature {
                    signer: signer.principals.join(", "),
                    armour: armour.clone(),
                })
                .collect(),
        };
        self.casework().add_mandate(self.org(), &new, &Self::rule("add-mandate"), self.now()).await?;
        Ok(verified)
    }

    /// The actor of a rule of the programme.
    pub fn rule(name: &str) -> Actor {
        Actor::rule(name)
    }
}

/// A file or folder of fingerprint databases (Recog's XML format) as one pack.
pub fn read_pack(path: &std::path::Path) -> Result<Pack, ActError> {
    let mut files = Vec::new();
    if path.is_dir() {
        let entries = std::fs::read_dir(path).map_err(|source| ActError::io("read", path, source))?;
        files.extend(
            entries
                .filter_map(|e| Some(e.ok()?.path()))
                .filter(|p| p.extension().is_some_and(|e| e == "xml")),
        );
        files.sort();
    } else {
        files.push(path.to_owned());
    }
    let mut texts = Vec::new();
    for file in files {
        let name = file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        texts.push((name, read_limited(&file)?));
    }
    let name = path.file_stem().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    Pack::parse(&name, texts.iter().map(|(name, text)| (name.as_str(), text.as_str())))
        .map_err(|error| ActError::input(format!("{}: {error}", path.display())))
}

/// Adds `languages/TAG.toml` of the home: a third language is a file.
fn add_languages(messages: &mut Messages, home: &Home) -> Result<(), ActError> {
    let folder = home.root().join("languages");
    let Ok(entries) = std::fs::read_dir(&folder) else { return Ok(()) };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let tag = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        messages
            .add(&tag, &read_limited(&path)?)
            .map_err(|error| ActError::input(format!("{}: {error}", path.display())))?;
    }
    Ok(())
}
