//! Casework: what people decide and are told. Organisations and people, mandates, surveys, jobs,
//! sensors and their batches, providers, assets, findings, cases, notices, saved searches, figures and the audit trail, in SQL.
//!
//! The main type is [`Casework`], a handle to an SQLite file or a PostgreSQL database; both get the
//! same migrations and the same queries. Cases are kept as an append-only trail of
//! [`CaseEvent`]s; the pure state machine [`CaseState::apply`] decides what may follow, and every
//! table of states is a projection that can be computed again.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use kenshin_casework::{Casework, Limit, NewUser, Role};
//! use kenshin_observation::TimeUs;
//! let directory = tempfile::tempdir().unwrap();
//! let url = format!("sqlite://{}/kenshin.db", directory.path().display());
//! let now = TimeUs::from_secs(1_800_000_000);
//! let casework = Casework::open(&url, [7; 32], now).await?;
//! let org = casework.add_org("Example University", now).await?;
//! let password = casework.generate_password();
//! let user = NewUser {
//!     login: "admin".into(), name: "Administrator".into(), role: Role::Admin, language: "ja".into(),
//!     password: password.clone(), must_change: true, providers: Vec::new(), limit: Limit::default(),
//! };
//! casework.add_user(org.org_id, &user, now).await?;
//! assert!(casework.sign_in("admin", &password, now, 3600).await?.is_some());
//! # Ok::<_, kenshin_casework::CaseworkError>(()) }).unwrap();
//! ```
//!
//! It refuses: a database written by a newer version; an event that does not fit the state of its
//! case; to call anything but an asset that answers, clean, *remedied*; to send a notice again whose
//! delivery is uncertain; to read rows without a [`Viewer`] that may see them. It reads no clock and
//! draws no randomness of its own: `now` is an argument, and the seed is given to
//! [`Casework::open`].

mod assessment;
mod assets;
mod audit;
mod batches;
mod cases;
mod error;
pub mod escape;
mod experiment;
mod figures;
mod findings;
mod intelligence;
mod jobs;
mod letter;
mod mandates;
mod notices;
pub mod openpgp;
mod opt_outs;
mod page;
mod people;
pub mod providers;
mod retention;
mod retrospect;
mod searches;
mod sensors;
mod shards;
pub mod state;
mod store;
mod suppressions;
mod surveys;
mod transport;
mod viewer;

pub use assessment::{Assessment, AssessmentSummary};
pub use assets::{Asset, AssetSeen, LinkRecord};
pub use audit::AuditEntry;
pub use batches::{BatchState, Receipt};
pub use cases::CaseFilter;
pub use error::{CaseworkError, ErrorKind, Result};
pub use experiment::{Arm, ArmDesign, Experiment};
pub use figures::{
    Breakdown, Count, Duration, Figures, KindCount, ProviderCases, ProviderCount, ProviderKindCount,
    RoundAssets, RoundFigures,
};
pub use findings::{
    Cells, FindingCells, FindingColumn, FindingFilter, FindingRecord, FindingState, Shape, product_of,
};
pub use intelligence::Snapshot;
pub use jobs::{Job, JobState, NewJob};
pub use mandates::{MandateRecord, MandateSignature, NewMandate};
pub use notices::{
    Attachment, DeliveryEntry, DeliverySummary, Letterhead, Notice, NoticeContent, NoticeFilter, NoticeState,
    QueueSummary, ReportKind,
};
pub use opt_outs::{NewOptOut, OptOutRequest, OptOutState};
pub use page::{Order, PAGE_MAX, Page, PageRequest};
pub use people::{Limit, MandateLimit, NewUser, Org, PASSWORD_MAX, PASSWORD_MIN, Session, SignedIn, User};
pub use providers::{ImportSummary, Protection, Provider, ProviderMap};
pub use retention::{ErasureRecord, ErasureState, Hold, NewHold};
pub use retrospect::{Retrospect, RetrospectSummary};
pub use searches::{
    Alert, AlertDelivery, AnswerChange, ChangedService, Channel, INTERVAL_S, Look, MAILS_MAX, NewSearch,
    Outgoing, SEARCHES_MAX, SavedSearch, Sender, Trouble, Turn, Watch,
};
pub use sensors::{NewSensor, SensorRecord};
pub use shards::{NewShard, Shard};
pub use state::{
    Actor, CaseChange, CaseEvent, CaseState, CloseReason, Judgement, Refusal, ReopenCause, Stage,
};
pub use store::{Backend, Casework};
pub use suppressions::{Suppression, SuppressionKind};
pub use surveys::{NewSurvey, Survey, SurveyKind, SurveyState, SurveyTotals};
pub use transport::{Credentials, Delivery, Smtp, Tls, Transport};
pub use viewer::{Role, Viewer};
