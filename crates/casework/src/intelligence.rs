//! The registry of intelligence snapshots: what findings stand on.

use kenshin_observation::{OrgId, TimeUs};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use crate::error::Result;
use crate::store::{Casework, Columns, query};

/// One imported file of knowledge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// `kev`, `cve5`, `endoflife`, `epss` …
    pub kind: String,
    /// SHA-256 of the file, hexadecimal.
    pub digest: String,
    /// Date the source states, e.g. `2025-08-21`.
    pub as_of: String,
    /// Where it came from, in words or as a file name.
    pub source: String,
    /// Where it is kept, relative to `KENSHIN_HOME`.
    pub path: String,
    /// Records in it.
    pub records: i64,
    /// When it was imported.
    pub imported_at: TimeUs,
}

impl Casework {
    /// Registers a snapshot; importing the same file again renews its time.
    pub async fn add_snapshot(&self, org: OrgId, snapshot: &Snapshot) -> Result<()> {
        let mut tx = self.begin().await?;
        tx.run(
            query(
                "INSERT INTO intelligence_snapshot (org_id, kind, digest, as_of, source, path, records, imported_us)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                 ON CONFLICT (org_id, kind, digest) DO UPDATE SET imported_us = excluded.imported_us, path = excluded.path",
            )
            .bind(org.to_string())
            .bind(snapshot.kind.clone())
            .bind(snapshot.digest.clone())
            .bind(snapshot.as_of.clone())
            .bind(snapshot.source.clone())
            .bind(snapshot.path.clone())
            .bind(snapshot.records)
            .bind(snapshot.imported_at.micros()),
        )
        .await?;
        tx.commit().await
    }

    /// The newest snapshot of each kind, by kind.
    pub async fn newest_snapshots(&self, org: OrgId) -> Result<Vec<Snapshot>> {
        let rows = self
            .rows(
                query(
                    "SELECT s.* FROM intelligence_snapshot s WHERE s.org_id = $1 AND NOT EXISTS (
                       SELECT 1 FROM intelligence_snapshot later
                       WHERE later.org_id = s.org_id AND later.kind = s.kind AND (later.imported_us > s.imported_us
                         OR (later.imported_us = s.imported_us AND later.digest < s.digest)))
                     ORDER BY s.kind",
                )
                .bind(org.to_string()),
            )
            .await?;
        rows.iter().map(snapshot).collect()
    }

    /// Snapshots, by kind, newest first; 1000 at most.
    pub async fn snapshots(&self, org: OrgId) -> Result<Vec<Snapshot>> {
        let rows = self
            .rows(
                query("SELECT * FROM intelligence_snapshot WHERE org_id = $1 ORDER BY kind, imported_us DESC, digest LIMIT 1000")
                    .bind(org.to_string()),
            )
            .await?;
        rows.iter().map(snapshot).collect()
    }
}

fn snapshot(row: &AnyRow) -> Result<Snapshot> {
    Ok(Snapshot {
        kind: row.text("kind")?,
        digest: row.text("digest")?,
        as_of: row.text("as_of")?,
        source: row.text("source")?,
        path: row.text("path")?,
        records: row.int("records")?,
        imported_at: row.time("imported_us")?,
    })
}
