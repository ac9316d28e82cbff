//! The audit trail: who did what when. Each entry's hash covers the one before, so that a removed
//! or changed entry shows.

use kenshin_observation::{OrgId, TimeUs};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use crate::error::{CaseworkError, Result};
use crate::page::{Page, PageRequest};
use crate::state::Actor;
use crate::store::{Casework, Columns, Compose, Tx, Value, digest, json, query};
use crate::viewer::{Role, Viewer};

/// One entry of the trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// From 1, without gaps.
    pub seq: i64,
    /// When.
    pub at: TimeUs,
    /// Who or what.
    pub actor: Actor,
    /// What was done, e.g. `case.close`.
    pub action: String,
    /// To what, e.g. an id.
    pub object: String,
    /// More, as JSON; never a secret.
    pub detail: serde_json::Value,
    /// Hash of the entry before.
    pub previous: String,
    /// Hash over this entry and `previous`.
    pub hash: String,
}

impl AuditEntry {
    fn hash_of(&self, org: OrgId) -> String {
        let covered = (
            "kenshin-audit-v1",
            org,
            self.seq,
            self.at,
            &self.actor,
            &self.action,
            &self.object,
            &self.detail,
            &self.previous,
        );
        digest(&json(&covered))
    }
}

impl Casework {
    /// Writes one entry.
    pub async fn audit(
        &self,
        org: OrgId,
        actor: &Actor,
        action: &str,
        object: &str,
        detail: &serde_json::Value,
        now: TimeUs,
    ) -> Result<()> {
        let mut tx = self.begin().await?;
        audit_in(&mut tx, org, actor, action, object, detail, now).await?;
        tx.commit().await
    }

    /// The trail, newest first; empty for who may not read it.
    pub async fn audit_trail(&self, viewer: &Viewer, page: &PageRequest) -> Result<Page<AuditEntry>> {
        if !matches!(viewer.role, Role::Admin | Role::Operator | Role::Auditor) {
            return Ok(Page { items: Vec::new(), next: None });
        }
        let mut compose = Compose::new("SELECT * FROM audit WHERE 1 = 1");
        compose.push(" AND org_id = ?", [viewer.org.to_string()]);
        if let Some(after) = page.after.as_ref().and_then(|after| after.parse::<i64>().ok()) {
            compose.push(" AND seq < ?", [Value::Int(after)]);
        }
        compose.push(" ORDER BY seq DESC LIMIT ?", [Value::Int(page.fetch())]);
        let entries = self.rows(compose.finish()).await?.iter().map(entry).collect::<Result<_>>()?;
        Ok(Page::of(entries, page, |entry: &AuditEntry| entry.seq.to_string()))
    }

    /// Recomputes the whole chain of an organisation. Gives the number of entries, or the number
    /// of the first that is not what was written.
    pub async fn verify_audit(&self, org: OrgId) -> Result<Result<i64, i64>> {
        let (mut seq, mut previous) = (0, String::new());
        loop {
            let rows = self
                .rows(
                    query("SELECT * FROM audit WHERE org_id = $1 AND seq > $2 ORDER BY seq LIMIT 1000")
                        .bind(org.to_string())
                        .bind(seq),
                )
                .await?;
            if rows.is_empty() {
                break;
            }
            for row in &rows {
                let Ok(entry) = entry(row) else { return Ok(Err(seq + 1)) };
                if entry.seq != seq + 1 || entry.previous != previous || entry.hash_of(org) != entry.hash {
                    return Ok(Err(seq + 1));
                }
                (seq, previous) = (entry.seq, entry.hash);
            }
        }
        let head = self
            .maybe(query("SELECT seq, hash FROM audit_head WHERE org_id = $1").bind(org.to_string()))
            .await?
            .ok_or_else(|| CaseworkError::not_found("organisation", org))?;
        if head.int("seq")? == seq && head.text("hash")? == previous { Ok(Ok(seq)) } else { Ok(Err(seq + 1)) }
    }
}

/// Writes one entry within a transaction, so that the act and its trace are committed together.
pub(crate) async fn audit_in(
    tx: &mut Tx,
    org: OrgId,
    actor: &Actor,
    action: &str,
    object: &str,
    detail: &serde_json::Value,
    now: TimeUs,
) -> Result<()> {
    // The update locks the head: entries of one organisation are written one after another.
    let head = tx
        .maybe(
            query("UPDATE audit_head SET seq = seq + 1 WHERE org_id = $1 RETURNING seq, hash")
                .bind(org.to_string()),
        )
        .await?
        .ok_or_else(|| CaseworkError::not_found("organisation", org))?;
    let mut entry = AuditEntry {
        seq: head.int("seq")?,
        at: now,
        actor: actor.clone(),
        action: action.to_owned(),
        object: object.to_owned(),
        detail: detail.clone(),
        previous: head.text("hash")?,
        hash: String::new(),
    };
    entry.hash = entry.hash_of(org);
    tx.run(
        query("UPDATE audit_head SET hash = $1 WHERE org_id = $2")
            .bind(entry.hash.clone())
            .bind(org.to_string()),
    )
    .await?;
    tx.run(
        query(
            "INSERT INTO audit (org_id, seq, at_us, actor, action, object, detail, previous, hash)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(org.to_string())
        .bind(entry.seq)
        .bind(entry.at.micros())
        .bind(entry.actor.to_string())
        .bind(entry.action)
        .bind(entry.object)
        .bind(json(&entry.detail))
        .bind(entry.previous)
        .bind(entry.hash),
    )
    .await?;
    Ok(())
}

fn entry(row: &AnyRow) -> Result<AuditEntry> {
    Ok(AuditEntry {
        seq: row.int("seq")?,
        at: row.time("at_us")?,
        actor: row.word("actor")?,
        action: row.text("action")?,
        object: row.text("object")?,
        detail: row.json("detail")?,
        previous: row.text("previous")?,
        hash: row.text("hash")?,
    })
}
