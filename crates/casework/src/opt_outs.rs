//! Requests to leave a prefix alone: proof is asked for, and a person decides.
//!
//! A single address needs no decision: [`Casework::suppress`] and the narrowing list have it at once.

use kenshin_observation::{JobId, OrgId, Prefix, SensorId, TimeUs, words};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use crate::audit::audit_in;
use crate::error::{CaseworkError, Result};
use crate::page::{Page, PageRequest};
use crate::state::Actor;
use crate::store::{Casework, Columns, Compose, Value, query, storable};

/// Requests that wait for a decision at most; more are refused until some are decided.
const OPEN_MAX: i64 = 10_000;
/// Longest contact, in characters.
const CONTACT_MAX: usize = 200;
/// Longest text of a request, in characters.
const WORDS_MAX: usize = 2_000;

words!(
    /// Where a request stands.
    OptOutState, "opt-out state" {
        /// Waits for a person.
        Open = "open",
        /// Proved; the prefix is left alone.
        Accepted = "accepted",
        /// Not proved.
        Declined = "declined",
    }
);

/// A request as it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewOptOut {
    /// What shall be left alone.
    pub prefix: Prefix,
    /// How the requester can be reached.
    pub contact: String,
    /// What they say, and how they show that the prefix is theirs.
    pub words: String,
    /// Address the request came from.
    pub from: String,
}

/// A request as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OptOutRequest {
    /// Its id.
    pub request_id: String,
    /// What was asked.
    #[serde(flatten)]
    pub asked: NewOptOut,
    /// At whose page it was made.
    pub sensor_id: Option<SensorId>,
    /// Where it stands.
    pub state: OptOutState,
    /// Reference to the proof.
    pub proof: Option<String>,
    /// When it was made.
    pub created_at: TimeUs,
    /// When it was decided.
    pub decided_at: Option<TimeUs>,
}

impl Casework {
    /// Keeps a request for a person to decide. The same one while it is open is one.
    pub async fn request_opt_out(
        &self,
        org: OrgId,
        new: &NewOptOut,
        sensor: Option<SensorId>,
        now: TimeUs,
    ) -> Result<()> {
        let (contact, said) = (storable(new.contact.trim()), storable(new.words.trim()));
        if contact.is_empty() || contact.chars().count() > CONTACT_MAX || said.chars().count() > WORDS_MAX {
            return Err(CaseworkError::Input(format!(
                "a request needs a contact of at most {CONTACT_MAX} characters and a text of at most {WORDS_MAX}"
            )));
        }
        let mut tx = self.begin().await?;
        let open = tx
            .maybe(
                query("SELECT COUNT(*) AS n FROM opt_out_request WHERE org_id = $1 AND state = 'open'")
                    .bind(org.to_string()),
            )
            .await?;
        if open.map(|row| row.int("n")).transpose()?.unwrap_or(0) >= OPEN_MAX {
            return Err(CaseworkError::Conflict("too many requests wait for a decision".into()));
        }
        let same = tx
            .maybe(
                query("SELECT request_id FROM opt_out_request WHERE org_id = $1 AND state = 'open' AND prefix = $2 AND contact = $3")
                    .bind(org.to_string())
                    .bind(new.prefix.to_string())
                    .bind(contact.clone()),
            )
            .await?;
        if same.is_some() {
            return Ok(());
        }
        let id = JobId::new(now, self.random()).to_string();
        tx.run(
            query(
                "INSERT INTO opt_out_request (request_id, org_id, prefix, contact, words, from_addr, sensor_id, state, created_us)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, 'open', $8)",
            )
            .bind(id.clone())
            .bind(org.to_string())
            .bind(new.prefix.to_string())
            .bind(contact)
            .bind(said)
            .bind(storable(&new.from))
            .bind(sensor.map(|sensor| sensor.to_string()))
            .bind(now.micros()),
        )
        .await?;
        let detail = serde_json::json!({ "prefix": new.prefix, "from": new.from });
        audit_in(&mut tx, org, &Actor::rule("courtesy-page"), "opt-out.request", &id, &detail, now).await?;
        tx.commit().await
    }

    /// Requests, oldest first.
    pub async fn opt_out_requests(
        &self,
        org: OrgId,
        state: Option<OptOutState>,
        page: &PageRequest,
    ) -> Result<Page<OptOutRequest>> {
        let mut compose = Compose::new("SELECT * FROM opt_out_request WHERE 1 = 1");
        compose.push(" AND org_id = ?", [org.to_string()]);
        if let Some(state) = state {
            compose.push(" AND state = ?", [state.as_str()]);
        }
        if let Some(after) = &page.after {
            compose.push(" AND request_id > ?", [after.clone()]);
        }
        compose.push(" ORDER BY request_id LIMIT ?", [Value::Int(page.fetch())]);
        let requests = self.rows(compose.finish()).await?.iter().map(request).collect::<Result<_>>()?;
        Ok(Page::of(requests, page, |request: &OptOutRequest| request.request_id.clone()))
    }

    /// A request that waits for a decision.
    pub async fn open_opt_out(&self, org: OrgId, id: &str) -> Result<OptOutRequest> {
        let row = self
            .maybe(
                query(
                    "SELECT * FROM opt_out_request WHERE org_id = $1 AND request_id = $2 AND state = 'open'",
                )
                .bind(org.to_string())
                .bind(id.to_owned()),
            )
            .await?
            .ok_or_else(|| CaseworkError::not_found("open request", id))?;
        request(&row)
    }

    /// Decides a request: accepted with the reference to its proof, or declined without.
    pub async fn decide_opt_out(
        &self,
        org: OrgId,
        id: &str,
        proof: Option<&str>,
        actor: &Actor,
        now: TimeUs,
    ) -> Result<OptOutRequest> {
        let proof = proof.map(|proof| storable(proof.trim()));
        if proof.as_ref().is_some_and(String::is_empty) {
            return Err(CaseworkError::Input(
                "an opt-out of a prefix needs proof of the right to ask for it; hint: give the reference of what was shown".into(),
            ));
        }
        let state = if proof.is_some() { OptOutState::Accepted } else { OptOutState::Declined };
        let mut tx = self.begin().await?;
        let row = tx
            .maybe(
                query(
                    "UPDATE opt_out_request SET state = $1, proof = $2, decided_by = $3, decided_us = $4
                     WHERE org_id = $5 AND request_id = $6 AND state = 'open' RETURNING *",
                )
                .bind(state.as_str())
                .bind(proof)
                .bind(actor.to_string())
                .bind(now.micros())
                .bind(org.to_string())
                .bind(id.to_owned()),
            )
            .await?
            .ok_or_else(|| CaseworkError::not_found("open request", id))?;
        let decided = request(&row)?;
        let detail = serde_json::json!({ "prefix": decided.asked.prefix, "state": state });
        audit_in(&mut tx, org, actor, "opt-out.decide", id, &detail, now).await?;
        tx.commit().await?;
        Ok(decided)
    }
}

fn request(row: &AnyRow) -> Result<OptOutRequest> {
    Ok(OptOutRequest {
        request_id: row.text("request_id")?,
        asked: NewOptOut {
            prefix: row.word("prefix")?,
            contact: row.text("contact")?,
            words: row.text("words")?,
            from: row.text("from_addr")?,
        },
        sensor_id: row.maybe_word("sensor_id")?,
        state: row.word("state")?,
        proof: row.maybe_text("proof")?,
        created_at: row.time("created_us")?,
        decided_at: row.maybe_time("decided_us")?,
    })
}
