//! The registry of mandates: the signed text byte for byte, its signatures and its digest.

use kenshin_observation::{OrgId, TimeUs};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use crate::audit::audit_in;
use crate::error::{CaseworkError, Result};
use crate::page::{Page, PageRequest};
use crate::state::Actor;
use crate::store::{Casework, Columns, Compose, Value, digest, query};

/// A signature under a mandate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MandateSignature {
    /// Who signed, as `allowed_signers` names them.
    pub signer: String,
    /// The armoured SSH signature.
    pub armour: String,
}

/// A mandate to be registered. It has been verified before: the registry keeps, it does not judge.
#[derive(Debug, Clone)]
pub struct NewMandate {
    /// Its id.
    pub mandate_id: String,
    /// Its version.
    pub version: i64,
    /// The programme it belongs to.
    pub programme: String,
    /// The signed text, byte for byte.
    pub text: String,
    /// Its signatures.
    pub signatures: Vec<MandateSignature>,
}

/// A registered mandate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MandateRecord {
    /// SHA-256 of the text, hexadecimal.
    pub digest: String,
    /// Its id.
    pub mandate_id: String,
    /// Its version.
    pub version: i64,
    /// The programme it belongs to.
    pub programme: String,
    /// The signed text, byte for byte.
    pub text: String,
    /// Its signatures.
    pub signatures: Vec<MandateSignature>,
    /// When it was registered.
    pub added_at: TimeUs,
    /// When it was revoked here, for display; sensors judge by revocation lists.
    pub revoked_at: Option<TimeUs>,
}

impl Casework {
    /// Registers a mandate; the same text twice is once.
    pub async fn add_mandate(
        &self,
        org: OrgId,
        new: &NewMandate,
        actor: &Actor,
        now: TimeUs,
    ) -> Result<MandateRecord> {
        let sha256 = digest(&new.text);
        let mut tx = self.begin().await?;
        let added = tx
            .run(
                query(
                    "INSERT INTO mandate (org_id, digest, mandate_id, version, programme, body, signatures, added_us, revoked_us)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, NULL) ON CONFLICT (org_id, digest) DO NOTHING",
                )
                .bind(org.to_string())
                .bind(sha256.clone())
                .bind(new.mandate_id.clone())
                .bind(new.version)
                .bind(new.programme.clone())
                .bind(new.text.clone())
                .bind(crate::store::json(&new.signatures))
                .bind(now.micros()),
            )
            .await?;
        if added > 0 {
            let detail = serde_json::json!({ "id": new.mandate_id, "version": new.version });
            audit_in(&mut tx, org, actor, "mandate.add", &sha256, &detail, now).await?;
        }
        tx.commit().await?;
        self.mandate(org, &sha256).await
    }

    /// One mandate by its digest.
    pub async fn mandate(&self, org: OrgId, digest: &str) -> Result<MandateRecord> {
        let row = self
            .maybe(
                query("SELECT * FROM mandate WHERE org_id = $1 AND digest = $2")
                    .bind(org.to_string())
                    .bind(digest.to_owned()),
            )
            .await?
            .ok_or_else(|| CaseworkError::not_found("mandate", digest))?;
        record(&row)
    }

    /// The newest version of a mandate by its id.
    pub async fn newest_mandate(&self, org: OrgId, mandate_id: &str) -> Result<MandateRecord> {
        let row = self
            .maybe(
                query("SELECT * FROM mandate WHERE org_id = $1 AND mandate_id = $2 ORDER BY version DESC, added_us DESC LIMIT 1")
                    .bind(org.to_string())
                    .bind(mandate_id.to_owned()),
            )
            .await?
            .ok_or_else(|| CaseworkError::not_found("mandate", mandate_id))?;
        record(&row)
    }

    /// All mandates by digest.
    pub async fn mandates(&self, org: OrgId, page: &PageRequest) -> Result<Page<MandateRecord>> {
        let mut compose = Compose::new("SELECT * FROM mandate WHERE 1 = 1");
        compose.push(" AND org_id = ?", [org.to_string()]);
        if let Some(after) = &page.after {
            compose.push(" AND digest > ?", [after.clone()]);
        }
        compose.push(" ORDER BY digest LIMIT ?", [Value::Int(page.fetch())]);
        let mandates = self.rows(compose.finish()).await?.iter().map(record).collect::<Result<_>>()?;
        Ok(Page::of(mandates, page, |mandate: &MandateRecord| mandate.digest.clone()))
    }

    /// Records that a mandate (all versions) was revoked. Applies at once; never undone.
    pub async fn revoke_mandate(
        &self,
        org: OrgId,
        mandate_id: &str,
        actor: &Actor,
        now: TimeUs,
    ) -> Result<()> {
        let mut tx = self.begin().await?;
        let changed = tx
            .run(
                query("UPDATE mandate SET revoked_us = $1 WHERE org_id = $2 AND mandate_id = $3 AND revoked_us IS NULL")
                    .bind(now.micros())
                    .bind(org.to_string())
                    .bind(mandate_id.to_owned()),
            )
            .await?;
        if changed > 0 {
            audit_in(&mut tx, org, actor, "mandate.revoke", mandate_id, &serde_json::Value::Null, now)
                .await?;
        }
        tx.commit().await
    }
}

fn record(row: &AnyRow) -> Result<MandateRecord> {
    Ok(MandateRecord {
        digest: row.text("digest")?,
        mandate_id: row.text("mandate_id")?,
        version: row.int("version")?,
        programme: row.text("programme")?,
        text: row.text("body")?,
        signatures: row.json("signatures")?,
        added_at: row.time("added_us")?,
        revoked_at: row.maybe_time("revoked_us")?,
    })
}
