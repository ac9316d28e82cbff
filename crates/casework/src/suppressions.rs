//! Opt-outs and addresses nobody is to be written about.
//!
//! A request from an address covers that address at once; a prefix needs proof.

use kenshin_observation::{OrgId, Prefix, TimeUs, words};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use crate::audit::audit_in;
use crate::error::{CaseworkError, Result};
use crate::state::Actor;
use crate::store::{Casework, Columns, addr_text, query};

words!(
    /// What is suppressed.
    SuppressionKind, "suppression kind" {
        /// Nothing is sent to these addresses: they are excluded from every survey.
        OptOut = "opt-out",
        /// They are measured, nobody is notified.
        NoNotice = "no-notice",
    }
);

/// Addresses to be left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppression {
    /// What is suppressed.
    pub kind: SuppressionKind,
    /// Where.
    pub prefix: Prefix,
    /// Why.
    pub reason: String,
    /// How the right to ask for it was proved; needed for more than one address.
    pub proof: Option<String>,
    /// Since when.
    pub created_at: TimeUs,
    /// Until when; `None` for good.
    pub until: Option<TimeUs>,
}

impl Casework {
    /// Adds a suppression.
    pub async fn suppress(
        &self,
        org: OrgId,
        suppression: &Suppression,
        actor: &Actor,
        now: TimeUs,
    ) -> Result<()> {
        let prefix = suppression.prefix;
        if prefix != Prefix::host(prefix.base())
            && suppression.proof.as_deref().is_none_or(|p| p.trim().is_empty())
        {
            return Err(CaseworkError::Input(format!(
                "an opt-out of {prefix} needs proof of the right to ask for it; hint: a single address needs none"
            )));
        }
        let id = kenshin_observation::JobId::new(now, self.random()).to_string();
        let mut tx = self.begin().await?;
        tx.run(
            query(
                "INSERT INTO suppression (suppression_id, org_id, kind, prefix, first_addr, last_addr, reason, proof, created_us, until_us)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            )
            .bind(id.clone())
            .bind(org.to_string())
            .bind(suppression.kind.as_str())
            .bind(prefix.to_string())
            .bind(addr_text(prefix.base()))
            .bind(addr_text(prefix.last()))
            .bind(suppression.reason.clone())
            .bind(suppression.proof.clone())
            .bind(now.micros())
            .bind(suppression.until.map(TimeUs::micros)),
        )
        .await?;
        let detail =
            serde_json::json!({ "kind": suppression.kind, "prefix": prefix, "reason": suppression.reason });
        audit_in(&mut tx, org, actor, "suppression.add", &id, &detail, now).await?;
        tx.commit().await
    }

    /// Suppressions in force, by address.
    pub async fn suppressions(&self, org: OrgId, now: TimeUs) -> Result<Vec<Suppression>> {
        let rows = self.rows(in_force(org, now)).await?;
        rows.iter().map(suppression).collect()
    }
}

fn in_force(org: OrgId, now: TimeUs) -> crate::store::Query {
    query("SELECT * FROM suppression WHERE org_id = $1 AND (until_us IS NULL OR until_us > $2) ORDER BY first_addr, last_addr, suppression_id")
        .bind(org.to_string())
        .bind(now.micros())
}

fn suppression(row: &AnyRow) -> Result<Suppression> {
    Ok(Suppression {
        kind: row.word("kind")?,
        prefix: row.word("prefix")?,
        reason: row.text("reason")?,
        proof: row.maybe_text("proof")?,
        created_at: row.time("created_us")?,
        until: row.maybe_time("until_us")?,
    })
}
