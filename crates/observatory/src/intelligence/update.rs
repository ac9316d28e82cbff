//! Bringing intelligence up to date from its publishers.

use std::path::PathBuf;

use kenshin_casework::Snapshot as Registered;
use kenshin_insight::intelligence::{Importer, IntelligenceKind};
use serde::Serialize;

use super::download::{DownloadError, Downloader, Fetched, Limits, Transfer};
use super::source::{IntelSource, sources};
use super::{Imported, Reading};
use crate::Observatory;
use crate::error::ActError;

/// What became of one kind.
#[derive(Debug, Serialize)]
pub struct Updated {
    /// Which kind.
    pub kind: IntelligenceKind,
    /// Where it was asked for.
    pub urls: Vec<String>,
    /// What became of it.
    #[serde(flatten)]
    pub result: UpdateResult,
}

/// What became of the update of a kind.
#[derive(Debug, Serialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum UpdateResult {
    /// The publishers have nothing newer than the snapshot in use.
    Unchanged {
        /// Name of the snapshot in use.
        snapshot: String,
    },
    /// A new snapshot is in use.
    Imported(Imported),
    /// The snapshot before stays in use.
    Failed {
        /// Why, with the address.
        error: String,
    },
}

/// Where an update is.
#[derive(Debug)]
pub enum UpdateEvent<'a> {
    /// A file is being transferred.
    Transfer(IntelligenceKind, Transfer<'a>),
    /// A file has not changed since it was fetched last.
    NotModified(IntelligenceKind, &'a str),
    /// A file is being read.
    Reading(IntelligenceKind, Reading<'a>),
}

impl Observatory {
    /// Fetches and imports kinds of intelligence; without any, every kind that has a source. What
    /// fails is told and the others go on; its snapshot stays in use.
    pub async fn update_intelligence(
        &self,
        kinds: &[IntelligenceKind],
        progress: impl FnMut(UpdateEvent<'_>),
    ) -> Result<Vec<Updated>, ActError> {
        self.update_within(kinds, Limits::default(), progress).await
    }

    pub(super) async fn update_within(
        &self,
        kinds: &[IntelligenceKind],
        limits: Limits,
        mut progress: impl FnMut(UpdateEvent<'_>),
    ) -> Result<Vec<Updated>, ActError> {
        let now = self.now();
        let of = |kind: IntelligenceKind| (kind, sources(&self.settings().intel, kind, now));
        let wanted: Vec<(IntelligenceKind, Vec<IntelSource>)> = match kinds {
            [] => IntelligenceKind::ALL
                .iter()
                .map(|kind| of(*kind))
                .filter(|(_, from)| !from.is_empty())
                .collect(),
            kinds => kinds.iter().map(|kind| of(*kind)).collect(),
        };
        if let Some((kind, _)) = wanted.iter().find(|(_, from)| from.is_empty()) {
            return Err(ActError::input(format!("there is no address to fetch `{kind}` from"))
                .with_hint(format!("add [[intel]] with kind = \"{kind}\" and a url to kenshin.toml")));
        }
        let mut updated = Vec::with_capacity(wanted.len());
        for (kind, from) in wanted {
            let result = match self.update_kind(kind, &from, limits, &mut progress).await {
                Ok(result) => result,
                Err(error) => UpdateResult::Failed { error },
            };
            updated.push(Updated { kind, urls: from.into_iter().map(|source| source.url).collect(), result });
        }
        Ok(updated)
    }

    async fn update_kind(
        &self,
        kind: IntelligenceKind,
        from: &[IntelSource],
        limits: Limits,
        progress: &mut impl FnMut(UpdateEvent<'_>),
    ) -> Result<UpdateResult, String> {
        let downloader = Downloader::new(self.home().intel().join("download").join(kind.as_str()), limits)
            .map_err(words)?;
        let mut files: Vec<Fetched> = Vec::new();
        let mut problems: Vec<DownloadError> = Vec::new();
        for source in from {
            let told = &mut |transfer: Transfer<'_>| progress(UpdateEvent::Transfer(kind, transfer));
            match downloader.fetch(source, told).await {
                Ok(fetched) => {
                    if fetched.unchanged {
                        progress(UpdateEvent::NotModified(kind, &source.url));
                    }
                    files.push(fetched);
                }
                Err(error) => problems.push(error),
            }
        }
        // A snapshot of a part would say that the rest is not known any more.
        if let Some(problem) = problems.first() {
            let others = if problems.len() > 1 {
                format!(" (and {} more)", problems.len() - 1)
            } else {
                String::new()
            };
            return Err(format!("{problem}{others}"));
        }
        let newest = self.newest_snapshots().await.map_err(words)?;
        if let Some(held) = newest.iter().find(|snapshot| snapshot.kind == kind.as_str())
            && files.iter().all(|file| file.unchanged && file.snapshot.as_ref() == Some(&held.digest))
        {
            let snapshot = format!("{kind}@{}#sha256:{}", held.as_of, held.digest);
            // Confirmed today: what is known is as new as its publisher has it.
            let confirmed = Registered { imported_at: self.now(), ..held.clone() };
            self.casework()
                .add_snapshot(self.org(), &confirmed)
                .await
                .map_err(|error| words(error.into()))?;
            return Ok(UpdateResult::Unchanged { snapshot });
        }
        let paths: Vec<PathBuf> = files.iter().map(|file| file.path.clone()).collect();
        let from = from.iter().map(|source| source.url.as_str()).collect::<Vec<_>>().join(", ");
        let import = self.read_intelligence(Importer::new(kind), &paths, |reading| {
            progress(UpdateEvent::Reading(kind, reading))
        });
        let (import, count) = import.map_err(words)?;
        if import.snapshot.records.is_empty() {
            let first = import
                .rejected
                .first()
                .map_or_else(String::new, |rejected| format!(", the first: {rejected}"));
            return Err(format!("{from} held nothing that could be used{first}"));
        }
        let records = import.snapshot.records.len();
        let import = self.beside_known(import).await.map_err(words)?;
        self.store_snapshot(&import.snapshot, &from).await.map_err(words)?;
        for path in &paths {
            downloader.imported(path, &import.snapshot.sha256).map_err(|error| error.to_string())?;
        }
        Ok(UpdateResult::Imported(Imported { records, ..Imported::new(import, count) }))
    }
}

/// An error with its causes, in words: it is one line of a report.
fn words(error: ActError) -> String {
    let mut said = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        said.push_str(": ");
        said.push_str(&error.to_string());
        cause = error.source();
    }
    said.replace('\n', "; ")
}
