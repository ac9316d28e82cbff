//! Legal holds, and the journal of what retention takes out of the lake.
//!
//! An erasure is written down before anything is taken away, and goes from state to state as it is done,
//! so that whoever comes after a crash knows what to finish. Between the last look at the holds and the
//! moment from which an erasure can no longer be stopped nobody can add one ([`Casework::begin_removal`]).

use kenshin_observation::{JobId, OrgId, Prefix, SurveyId, TimeUs, words};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use crate::audit::audit_in;
use crate::error::{CaseworkError, Result};
use crate::state::Actor;
use crate::store::{Casework, Columns, Tx, json, query, storable};

/// Holds in force at most: each is looked at for each file.
const HOLDS_MAX: i64 = 1_000;
/// Longest reason, in characters.
const REASON_MAX: usize = 2_000;

/// What a hold keeps. Every field that is set narrows, and one must be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NewHold {
    /// Of this mandate.
    pub mandate_id: Option<String>,
    /// From this month on, such as `2026-04`.
    pub from: Option<String>,
    /// To this month, included.
    pub to: Option<String>,
    /// Of this survey.
    pub survey_id: Option<SurveyId>,
    /// About addresses in this prefix.
    pub prefix: Option<Prefix>,
    /// Why.
    pub reason: String,
}

/// A hold as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Its id.
    pub hold_id: String,
    /// What it keeps.
    #[serde(flatten)]
    pub keeps: NewHold,
    /// By whom.
    pub held_by: String,
    /// Since when.
    pub created_at: TimeUs,
    /// When it was released.
    pub released_at: Option<TimeUs>,
    /// By whom.
    pub released_by: Option<String>,
    /// Why.
    pub release_reason: Option<String>,
}

words!(
    /// How far an erasure has come.
    ErasureState, "erasure state" {
        /// Written down; nothing is taken away.
        Intended = "intended",
        /// Files are being taken out of the table: it is finished, whatever comes.
        Removing = "removing",
        /// Nothing shows the rows any more; their bytes may be there for a while.
        Removed = "removed",
        /// The bytes are gone, and the proof is written.
        Erased = "erased",
        /// Given up before anything was taken away.
        Withdrawn = "withdrawn",
    }
);

/// An erasure as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureRecord {
    /// Its id.
    pub erasure_id: String,
    /// How far it has come.
    pub state: ErasureState,
    /// What is erased, as whoever asked wrote it.
    pub shelf: serde_json::Value,
    /// The policy that asked for it.
    pub policy: serde_json::Value,
    /// Who asked.
    pub asked_by: String,
    /// Why it was withdrawn.
    pub reason: Option<String>,
    /// SHA-256 of the statement, hexadecimal.
    pub proof_sha256: Option<String>,
    /// When it was written down.
    pub intended_at: TimeUs,
    /// When nothing showed the rows any more.
    pub removed_at: Option<TimeUs>,
    /// When its bytes were gone, or when it was withdrawn.
    pub ended_at: Option<TimeUs>,
}

impl Casework {
    /// Adds a hold. It acts at once: what was not taken out of its table yet stays.
    pub async fn add_hold(&self, org: OrgId, new: &NewHold, actor: &Actor, now: TimeUs) -> Result<Hold> {
        check(new)?;
        let mut tx = self.begin().await?;
        let id = JobId::new(now, self.random()).to_string();
        // The trail comes first: it is what holds and removals queue at.
        audit_in(&mut tx, org, actor, "hold.add", &id, &serde_json::json!(new), now).await?;
        if in_force(&mut tx, org).await? >= HOLDS_MAX {
            return Err(CaseworkError::Conflict(format!(
                "there are {HOLDS_MAX} holds in force; release some"
            )));
        }
        tx.run(
            query(
                "INSERT INTO legal_hold (hold_id, org_id, mandate_id, month_from, month_to, survey_id, prefix, reason, held_by, created_us)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            )
            .bind(id.clone())
            .bind(org.to_string())
            .bind(new.mandate_id.clone())
            .bind(new.from.clone())
            .bind(new.to.clone())
            .bind(new.survey_id.map(|survey| survey.to_string()))
            .bind(new.prefix.map(|prefix| prefix.to_string()))
            .bind(storable(new.reason.trim()))
            .bind(actor.to_string())
            .bind(now.micros()),
        )
        .await?;
        tx.commit().await?;
        Ok(Hold {
            hold_id: id,
            keeps: NewHold { reason: storable(new.reason.trim()), ..new.clone() },
            held_by: actor.to_string(),
            created_at: now,
            released_at: None,
            released_by: None,
            release_reason: None,
        })
    }

    /// Releases a hold: what it kept is due again.
    pub async fn release_hold(
        &self,
        org: OrgId,
        id: &str,
        reason: &str,
        actor: &Actor,
        now: TimeUs,
    ) -> Result<Hold> {
        let reason = checked_reason(reason)?;
        let mut tx = self.begin().await?;
        let row = tx
            .maybe(
                query(
                    "UPDATE legal_hold SET released_us = $1, released_by = $2, release_reason = $3
                     WHERE org_id = $4 AND hold_id = $5 AND released_us IS NULL RETURNING *",
                )
                .bind(now.micros())
                .bind(actor.to_string())
                .bind(reason.clone())
                .bind(org.to_string())
                .bind(id.to_owned()),
            )
            .await?
            .ok_or_else(|| CaseworkError::not_found("hold in force", id))?;
        let released = hold(&row)?;
        audit_in(&mut tx, org, actor, "hold.release", id, &serde_json::json!({ "reason": reason }), now)
            .await?;
        tx.commit().await?;
        Ok(released)
    }

    /// Holds in force, oldest first; with `all` also those released, 10,000 at most.
    pub async fn holds(&self, org: OrgId, all: bool) -> Result<Vec<Hold>> {
        let text = match all {
            true => "SELECT * FROM legal_hold WHERE org_id = $1 ORDER BY hold_id LIMIT 10000",
            false => {
                "SELECT * FROM legal_hold WHERE org_id = $1 AND released_us IS NULL ORDER BY hold_id LIMIT 10000"
            }
        };
        self.rows(query(text).bind(org.to_string())).await?.iter().map(hold).collect()
    }

    /// Writes down that something is to be erased; gives the id of the erasure.
    pub async fn intend_erasure(
        &self,
        org: OrgId,
        shelf: &serde_json::Value,
        policy: &serde_json::Value,
        actor: &Actor,
        now: TimeUs,
    ) -> Result<String> {
        let mut tx = self.begin().await?;
        let id = JobId::new(now, self.random()).to_string();
        audit_in(&mut tx, org, actor, "erasure.intend", &id, shelf, now).await?;
        tx.run(
            query(
                "INSERT INTO erasure (erasure_id, org_id, state, shelf, policy, asked_by, intended_us)
                 VALUES ($1, $2, 'intended', $3, $4, $5, $6)",
            )
            .bind(id.clone())
            .bind(org.to_string())
            .bind(json(shelf))
            .bind(json(policy))
            .bind(actor.to_string())
            .bind(now.micros()),
        )
        .await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Erasures that are not at their end, oldest first.
    pub async fn open_erasures(&self, org: OrgId) -> Result<Vec<ErasureRecord>> {
        self.rows(
            query(
                "SELECT * FROM erasure WHERE org_id = $1 AND state IN ('intended', 'removing', 'removed')
                 ORDER BY erasure_id LIMIT 10000",
            )
            .bind(org.to_string()),
        )
        .await?
        .iter()
        .map(record)
        .collect()
    }

    /// When rows were last out of sight everywhere: whatever was read of the lake before may hold some.
    pub async fn last_removal(&self, org: OrgId) -> Result<Option<TimeUs>> {
        let asked = query(
            "SELECT removed_us FROM erasure WHERE org_id = $1 AND removed_us IS NOT NULL
             ORDER BY removed_us DESC LIMIT 1",
        );
        let rows = self.rows(asked.bind(org.to_string())).await?;
        rows.first().map(|row| row.time("removed_us")).transpose()
    }

    /// From now on the erasure is finished whatever comes: holds may be added after this, and no longer
    /// stop it. Refused when the holds in force are not those that were looked at.
    pub async fn begin_removal(
        &self,
        org: OrgId,
        id: &str,
        looked_at: &[Hold],
        actor: &Actor,
        now: TimeUs,
    ) -> Result<()> {
        let mut tx = self.begin().await?;
        audit_in(&mut tx, org, actor, "erasure.remove", id, &serde_json::Value::Null, now).await?;
        let held = tx
            .rows(
                query("SELECT hold_id FROM legal_hold WHERE org_id = $1 AND released_us IS NULL ORDER BY hold_id")
                    .bind(org.to_string()),
            )
            .await?;
        let held = held.iter().map(|row| row.text("hold_id")).collect::<Result<Vec<_>>>()?;
        if !held.iter().eq(looked_at.iter().map(|hold| &hold.hold_id)) {
            return Err(CaseworkError::Conflict("holds were added or released meanwhile".into()));
        }
        step(&mut tx, org, id, &["intended", "removing"], "removing").await?;
        tx.commit().await
    }

    /// Nothing shows the rows of these erasures any more.
    pub async fn erasures_removed(&self, org: OrgId, ids: &[String], now: TimeUs) -> Result<()> {
        let mut tx = self.begin().await?;
        for id in ids {
            step(&mut tx, org, id, &["removing"], "removed").await?;
            tx.run(
                query("UPDATE erasure SET removed_us = $1 WHERE org_id = $2 AND erasure_id = $3")
                    .bind(now.micros())
                    .bind(org.to_string())
                    .bind(id.clone()),
            )
            .await?;
        }
        tx.commit().await
    }

    /// The bytes of an erasure are gone, and its statement is in the lake.
    pub async fn erasure_done(
        &self,
        org: OrgId,
        id: &str,
        proof_sha256: &str,
        actor: &Actor,
        now: TimeUs,
    ) -> Result<()> {
        let detail = serde_json::json!({ "proof_sha256": proof_sha256 });
        self.end(
            org,
            id,
            &["removed"],
            "erased",
            (Some(proof_sha256), None),
            ("erasure.done", detail),
            actor,
            now,
        )
        .await
    }

    /// Gives an erasure up, of which nothing was taken away.
    pub async fn withdraw_erasure(
        &self,
        org: OrgId,
        id: &str,
        reason: &str,
        actor: &Actor,
        now: TimeUs,
    ) -> Result<()> {
        let detail = serde_json::json!({ "reason": reason });
        let from = ["intended", "removing"];
        self.end(org, id, &from, "withdrawn", (None, Some(reason)), ("erasure.withdraw", detail), actor, now)
            .await
    }

    #[expect(clippy::too_many_arguments, reason = "two ends of one journal, written alike")]
    async fn end(
        &self,
        org: OrgId,
        id: &str,
        from: &[&'static str],
        to: &'static str,
        (proof, reason): (Option<&str>, Option<&str>),
        (action, detail): (&str, serde_json::Value),
        actor: &Actor,
        now: TimeUs,
    ) -> Result<()> {
        let mut tx = self.begin().await?;
        step(&mut tx, org, id, from, to).await?;
        tx.run(
            query(
                "UPDATE erasure SET ended_us = $1, proof_sha256 = $2, reason = $3 WHERE org_id = $4 AND erasure_id = $5",
            )
            .bind(now.micros())
            .bind(proof.map(str::to_owned))
            .bind(reason.map(str::to_owned))
            .bind(org.to_string())
            .bind(id.to_owned()),
        )
        .await?;
        audit_in(&mut tx, org, actor, action, id, &detail, now).await?;
        tx.commit().await
    }
}

/// From one of some states to another.
async fn step(tx: &mut Tx, org: OrgId, id: &str, from: &[&'static str], to: &'static str) -> Result<()> {
    let row = tx
        .maybe(
            query("SELECT state FROM erasure WHERE org_id = $1 AND erasure_id = $2")
                .bind(org.to_string())
                .bind(id.to_owned()),
        )
        .await?
        .ok_or_else(|| CaseworkError::not_found("erasure", id))?;
    let state = row.text("state")?;
    if !from.contains(&state.as_str()) {
        return Err(CaseworkError::Conflict(format!("erasure {id} is {state}, and cannot be {to}")));
    }
    tx.run(
        query("UPDATE erasure SET state = $1 WHERE org_id = $2 AND erasure_id = $3")
            .bind(to.to_owned())
            .bind(org.to_string())
            .bind(id.to_owned()),
    )
    .await?;
    Ok(())
}

async fn in_force(tx: &mut Tx, org: OrgId) -> Result<i64> {
    let counted = tx
        .maybe(
            query("SELECT COUNT(*) AS n FROM legal_hold WHERE org_id = $1 AND released_us IS NULL")
                .bind(org.to_string()),
        )
        .await?;
    counted.map_or(Ok(0), |row| row.int("n"))
}

fn check(new: &NewHold) -> Result<()> {
    let refused = |why: &str| Err(CaseworkError::Input(why.to_owned()));
    checked_reason(&new.reason)?;
    let months = [&new.from, &new.to].into_iter().flatten();
    if let Some(bad) = months.clone().find(|month| !is_month(month)) {
        return refused(&format!("`{bad}` is no month; hint: for example 2026-04"));
    }
    if new.from.as_ref().zip(new.to.as_ref()).is_some_and(|(from, to)| from > to) {
        return refused("the hold ends before it begins");
    }
    if *new == (NewHold { reason: new.reason.clone(), ..NewHold::default() }) {
        return refused("say what is held; hint: a mandate, months, a survey or a prefix");
    }
    Ok(())
}

fn checked_reason(reason: &str) -> Result<String> {
    let reason = storable(reason.trim());
    match reason.is_empty() || reason.chars().count() > REASON_MAX {
        true => Err(CaseworkError::Input(format!("a reason of 1 to {REASON_MAX} characters is needed"))),
        false => Ok(reason),
    }
}

/// True for a text such as `2026-04`.
fn is_month(text: &str) -> bool {
    let Some((year, month)) = text.split_once('-') else { return false };
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    digits(year, 4) && digits(month, 2) && ("01"..="12").contains(&month)
}

fn hold(row: &AnyRow) -> Result<Hold> {
    Ok(Hold {
        hold_id: row.text("hold_id")?,
        keeps: NewHold {
            mandate_id: row.maybe_text("mandate_id")?,
            from: row.maybe_text("month_from")?,
            to: row.maybe_text("month_to")?,
            survey_id: row.maybe_word("survey_id")?,
            prefix: row.maybe_word("prefix")?,
            reason: row.text("reason")?,
        },
        held_by: row.text("held_by")?,
        created_at: row.time("created_us")?,
        released_at: row.maybe_time("released_us")?,
        released_by: row.maybe_text("released_by")?,
        release_reason: row.maybe_text("release_reason")?,
    })
}

fn record(row: &AnyRow) -> Result<ErasureRecord> {
    Ok(ErasureRecord {
        erasure_id: row.text("erasure_id")?,
        state: row.word("state")?,
        shelf: row.json("shelf")?,
        policy: row.json("policy")?,
        asked_by: row.text("asked_by")?,
        reason: row.maybe_text("reason")?,
        proof_sha256: row.maybe_text("proof_sha256")?,
        intended_at: row.time("intended_us")?,
        removed_at: row.maybe_time("removed_us")?,
        ended_at: row.maybe_time("ended_us")?,
    })
}
