//! The lake: immutable measurements in Delta tables, read by SQL.
//!
//! The main type is [`Lake`]. It takes sealed [`Batch`]es and commits them exactly once: every
//! table remembers the last (sensor, sequence) it holds as a Delta application transaction, so a
//! batch that comes again changes nothing. It answers SQL through [`Lake::query`], read-only and
//! within [`Limits`]; and searches ([`search`]) over the current view of services ([`view`]), which
//! is handed to it row by row: what a thing is, others know.
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let folder = tempfile::tempdir().unwrap();
//! let lake = kenshin_lake::Lake::open(folder.path().to_str().unwrap()).await.unwrap();
//! let answer = lake.query("SELECT count(*) AS n FROM observations", Default::default()).await.unwrap();
//! assert_eq!(answer.rows(), 1);
//! # });
//! ```
//!
//! It keeps no decisions (those are casework's), never changes a row once it is written, and does
//! not check who signed a batch: the act that ingests it does.

mod annex;
pub mod cluster;
mod commit;
mod compact;
mod erasure;
mod error;
mod extent;
mod files;
mod functions;
mod host;
pub mod integrity;
mod location;
mod query;
pub mod search;
mod services;
mod sight;
mod store;
pub mod view;
mod write;

pub use annex::{Annex, AnnexRows};
pub use compact::{Compacted, Thoroughness};
pub use erasure::{ErasedFile, Holding, Intent, Matter, NewErasure, Proved, Removal, Shelf};
pub use error::LakeError;
pub use extent::{Extent, Mandates};
pub use functions::Places;
pub use kenshin_observation::Batch;
pub use location::{Location, Store, StoreTrouble};
pub use query::{Answer, Format, Limits, Question, Rows};
pub use services::{CurrentView, NewView, Progress};
pub use store::{Committed, HostObservation, Hosts, Lake, Selection, Told};
