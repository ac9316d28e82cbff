//! The registry of sensors: who they are by their own keys, and the tokens by which they enrol.
//!
//! The hub knows a sensor's public key and nothing that could sign in its name. A token is told
//! once, kept as its digest, and good for one sensor.

use kenshin_observation::{OrgId, SensorId, TimeUs};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use crate::audit::audit_in;
use crate::error::{CaseworkError, Result};
use crate::page::{Page, PageRequest};
use crate::state::Actor;
use crate::store::{Casework, Columns, Compose, Query, Tx, Value, digest, query, storable};

/// Longest name of a sensor, in characters.
const NAME_MAX: usize = 100;

/// A sensor that comes to be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSensor {
    /// The id it made itself.
    pub sensor_id: SensorId,
    /// Its Ed25519 public key, hexadecimal.
    pub public_key: String,
    /// Sequence of the last batch of its chain that this hub will not be sent.
    pub head_sequence: i64,
    /// Digest of that batch.
    pub head_digest: String,
}

/// A sensor as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SensorRecord {
    /// Its id.
    pub sensor_id: SensorId,
    /// What the administrator calls it.
    pub name: String,
    /// Its Ed25519 public key, hexadecimal.
    pub public_key: String,
    /// Sequence of the last batch of its chain that came.
    pub head_sequence: i64,
    /// Digest of that batch.
    pub head_digest: String,
    /// When it enrolled.
    pub enrolled_at: TimeUs,
    /// When it was last heard.
    pub seen_at: Option<TimeUs>,
    /// When its key ceased to count.
    pub retired_at: Option<TimeUs>,
}

impl Casework {
    /// Makes a token with which one sensor can enrol within `for_secs`. It is told once and kept
    /// nowhere.
    pub async fn new_sensor_token(
        &self,
        org: OrgId,
        name: &str,
        actor: &Actor,
        now: TimeUs,
        for_secs: i64,
    ) -> Result<String> {
        let name = name.trim();
        if name.is_empty() || name.chars().count() > NAME_MAX || name.chars().any(char::is_control) {
            return Err(CaseworkError::Input(format!(
                "a sensor needs a name of one line, at most {NAME_MAX} characters"
            )));
        }
        let token = self.secret();
        let mut tx = self.begin().await?;
        tx.run(
            query(
                "INSERT INTO sensor_token (token_sha256, org_id, name, created_us, expires_us) VALUES ($1, $2, $3, $4, $5)",
            )
            .bind(digest(&token))
            .bind(org.to_string())
            .bind(name.to_owned())
            .bind(now.micros())
            .bind(now.plus_secs(for_secs).micros()),
        )
        .await?;
        let detail = serde_json::json!({ "expires_at": now.plus_secs(for_secs) });
        audit_in(&mut tx, org, actor, "sensor.token", name, &detail, now).await?;
        tx.commit().await?;
        Ok(token)
    }

    /// Enrols a sensor by a token, which is spent with it. The same sensor may say it again, should
    /// it not have heard the answer. A sensor that was retired is taken back by a new token.
    pub async fn enrol_sensor(
        &self,
        token: &str,
        new: &NewSensor,
        now: TimeUs,
    ) -> Result<(OrgId, SensorRecord)> {
        let mut tx = self.begin().await?;
        let sha256 = digest(token);
        // The update locks the token: of two sensors with the same one, the second finds it spent.
        let row = tx
            .maybe(
                query(
                    "UPDATE sensor_token SET used_us = COALESCE(used_us, $1), used_by = COALESCE(used_by, $2)
                     WHERE token_sha256 = $3 AND expires_us > $1 AND (used_by IS NULL OR used_by = $2)
                     RETURNING org_id, name",
                )
                .bind(now.micros())
                .bind(new.sensor_id.to_string())
                .bind(sha256),
            )
            .await?
            .ok_or_else(|| {
                CaseworkError::Input("the enrolment token is not known, spent or expired; hint: `kenshin sensor token` on the hub makes a new one".into())
            })?;
        let (org, name): (OrgId, String) = (row.word("org_id")?, row.text("name")?);
        enrol_in(&mut tx, org, &name, new, now).await?;
        let detail = serde_json::json!({ "name": name, "public_key": new.public_key });
        let actor = Actor::rule("sensor-enrolment");
        audit_in(&mut tx, org, &actor, "sensor.enrol", &new.sensor_id.to_string(), &detail, now).await?;
        let record = sensor_in(&mut tx, new.sensor_id).await?.1;
        tx.commit().await?;
        Ok((org, record))
    }

    /// Makes the sensor of the hub's own machine known, unless it is.
    pub async fn know_own_sensor(&self, org: OrgId, new: &NewSensor, now: TimeUs) -> Result<SensorRecord> {
        if let Some((_, known)) = self.sensor(new.sensor_id).await? {
            return Ok(known);
        }
        let mut tx = self.begin().await?;
        enrol_in(&mut tx, org, "this machine", new, now).await?;
        let record = sensor_in(&mut tx, new.sensor_id).await?.1;
        tx.commit().await?;
        Ok(record)
    }

    /// A sensor and its organisation.
    pub async fn sensor(&self, id: SensorId) -> Result<Option<(OrgId, SensorRecord)>> {
        match self.maybe(by_id(id)).await? {
            Some(row) => Ok(Some((row.word("org_id")?, record(&row)?))),
            None => Ok(None),
        }
    }

    /// Sensors, by id.
    pub async fn sensors(&self, org: OrgId, page: &PageRequest) -> Result<Page<SensorRecord>> {
        let mut compose = Compose::new("SELECT * FROM sensor WHERE 1 = 1");
        compose.push(" AND org_id = ?", [org.to_string()]);
        if let Some(after) = &page.after {
            compose.push(" AND sensor_id > ?", [after.clone()]);
        }
        compose.push(" ORDER BY sensor_id LIMIT ?", [Value::Int(page.fetch())]);
        let sensors = self.rows(compose.finish()).await?.iter().map(record).collect::<Result<_>>()?;
        Ok(Page::of(sensors, page, |sensor: &SensorRecord| sensor.sensor_id.to_string()))
    }

    /// From now on the sensor's key does not count: it is given no work, and nothing it sends is
    /// taken. What it sent before stays.
    pub async fn retire_sensor(&self, org: OrgId, id: SensorId, actor: &Actor, now: TimeUs) -> Result<()> {
        let mut tx = self.begin().await?;
        let changed = tx
            .run(
                query("UPDATE sensor SET retired_us = COALESCE(retired_us, $1) WHERE org_id = $2 AND sensor_id = $3")
                    .bind(now.micros())
                    .bind(org.to_string())
                    .bind(id.to_string()),
            )
            .await?;
        if changed == 0 {
            return Err(CaseworkError::not_found("sensor", id));
        }
        audit_in(&mut tx, org, actor, "sensor.retire", &id.to_string(), &serde_json::Value::Null, now)
            .await?;
        tx.commit().await
    }

    /// Spends the nonce of a sensor's request; false when it was spent before. It is remembered
    /// until `until`, after which the request's time alone refuses it.
    pub async fn spend_nonce(
        &self,
        org: OrgId,
        sensor: SensorId,
        nonce: &str,
        until: TimeUs,
        now: TimeUs,
    ) -> Result<bool> {
        let mut tx = self.begin().await?;
        tx.run(
            query("DELETE FROM sensor_nonce WHERE sensor_id = $1 AND until_us <= $2")
                .bind(sensor.to_string())
                .bind(now.micros()),
        )
        .await?;
        let new = tx
            .run(
                query("INSERT INTO sensor_nonce (org_id, sensor_id, nonce, until_us) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING")
                    .bind(org.to_string())
                    .bind(sensor.to_string())
                    .bind(storable(nonce))
                    .bind(until.micros()),
            )
            .await?;
        if new == 1 {
            tx.run(
                query("UPDATE sensor SET seen_us = $1 WHERE sensor_id = $2")
                    .bind(now.micros())
                    .bind(sensor.to_string()),
            )
            .await?;
        }
        tx.commit().await?;
        Ok(new == 1)
    }
}

/// Adds a sensor, or takes one back with the same key.
async fn enrol_in(tx: &mut Tx, org: OrgId, name: &str, new: &NewSensor, now: TimeUs) -> Result<()> {
    let held = tx
        .maybe(
            query("SELECT * FROM sensor WHERE sensor_id = $1 OR public_key = $2")
                .bind(new.sensor_id.to_string())
                .bind(new.public_key.clone()),
        )
        .await?;
    if let Some(row) = held {
        let (held_org, held): (OrgId, _) = (row.word("org_id")?, record(&row)?);
        if (held_org, held.sensor_id, &held.public_key) != (org, new.sensor_id, &new.public_key) {
            return Err(CaseworkError::Conflict(
                "a sensor with this id or this key is known already, and is another one; hint: give the new one a home of its own".into(),
            ));
        }
    }
    tx.run(
        query(
            "INSERT INTO sensor (sensor_id, org_id, name, public_key, head_sequence, head_digest, enrolled_us)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (sensor_id) DO UPDATE SET name = excluded.name, head_sequence = excluded.head_sequence,
                 head_digest = excluded.head_digest, enrolled_us = excluded.enrolled_us, retired_us = NULL",
        )
        .bind(new.sensor_id.to_string())
        .bind(org.to_string())
        .bind(name.to_owned())
        .bind(new.public_key.clone())
        .bind(new.head_sequence)
        .bind(new.head_digest.clone())
        .bind(now.micros()),
    )
    .await?;
    Ok(())
}

fn by_id(id: SensorId) -> Query {
    query("SELECT * FROM sensor WHERE sensor_id = $1").bind(id.to_string())
}

async fn sensor_in(tx: &mut Tx, id: SensorId) -> Result<(OrgId, SensorRecord)> {
    let row = tx.maybe(by_id(id)).await?.ok_or_else(|| CaseworkError::not_found("sensor", id))?;
    Ok((row.word("org_id")?, record(&row)?))
}

fn record(row: &AnyRow) -> Result<SensorRecord> {
    Ok(SensorRecord {
        sensor_id: row.word("sensor_id")?,
        name: row.text("name")?,
        public_key: row.text("public_key")?,
        head_sequence: row.int("head_sequence")?,
        head_digest: row.text("head_digest")?,
        enrolled_at: row.time("enrolled_us")?,
        seen_at: row.maybe_time("seen_us")?,
        retired_at: row.maybe_time("retired_us")?,
    })
}
