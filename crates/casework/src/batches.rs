//! Receipts of batches: every sensor's chain without a gap, and of every slice one outcome.
//!
//! A batch is *received* before it goes to the lake and *committed* after; the lake knows by its own
//! transaction what it holds, so that whatever a crash leaves received is committed again without
//! harm. Of two sensors that did the same slice, because the first one's lease had run out, the batch
//! that comes first counts; the other is *superseded*: acknowledged, its header kept, its rows not.

use kenshin_observation::{OrgId, SensorId, SurveyId, TimeUs, words};

use crate::error::{CaseworkError, Result};
use crate::store::{Casework, Columns, query};

words!(
    /// Where a batch stands.
    BatchState, "batch state" {
        /// It counts, and may or may not be in the lake.
        Received = "received",
        /// It is in the lake.
        Committed = "committed",
        /// Another sensor's batch of the same slice came first.
        Superseded = "superseded",
    }
);

/// What the receipt of a batch needs to know of its verified header.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// Whose.
    pub sensor_id: SensorId,
    /// Its place in the sensor's chain.
    pub sequence: i64,
    /// Its digest.
    pub digest: String,
    /// Digest of the batch before.
    pub previous: String,
    /// Survey all its rows belong to.
    pub survey_id: SurveyId,
    /// Slice it completes.
    pub slice: i64,
    /// The whole header, JSON.
    pub header: serde_json::Value,
}

impl Casework {
    /// Writes the receipt of a batch and gives where it stands. Refused unless it is the next of its
    /// sensor's chain or one of it that came before.
    pub async fn receive_batch(&self, org: OrgId, receipt: &Receipt, now: TimeUs) -> Result<BatchState> {
        let id = receipt.sensor_id;
        let mut tx = self.begin().await?;
        // The update locks the sensor's chain: its batches are received one after another.
        let head = tx
            .maybe(
                query("UPDATE sensor SET head_sequence = head_sequence WHERE org_id = $1 AND sensor_id = $2 RETURNING head_sequence, head_digest")
                    .bind(org.to_string())
                    .bind(id.to_string()),
            )
            .await?
            .ok_or_else(|| CaseworkError::not_found("sensor", id))?;
        let (last, digest) = (head.int("head_sequence")?, head.text("head_digest")?);
        if receipt.sequence <= last {
            let held = tx
                .maybe(
                    query("SELECT digest, state FROM batch WHERE sensor_id = $1 AND sequence = $2")
                        .bind(id.to_string())
                        .bind(receipt.sequence),
                )
                .await?;
            return match held {
                Some(row) if row.text("digest")? == receipt.digest => row.word("state"),
                _ => Err(broken(receipt, "another one came with this number before")),
            };
        }
        if receipt.sequence != last + 1 || receipt.previous != digest {
            return Err(broken(receipt, &format!("the last one that came is {last}")));
        }
        let insert = |state: BatchState, header: Option<String>| {
            query(
                "INSERT INTO batch (org_id, sensor_id, sequence, digest, survey_id, slice, state, header, received_us)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
            )
            .bind(org.to_string())
            .bind(id.to_string())
            .bind(receipt.sequence)
            .bind(receipt.digest.clone())
            .bind(receipt.survey_id.to_string())
            .bind(receipt.slice)
            .bind(state.as_str())
            .bind(header)
            .bind(now.micros())
        };
        let mut state = BatchState::Received;
        if tx.run(insert(state, None)).await? == 0 {
            state = BatchState::Superseded;
            tx.run(insert(state, Some(receipt.header.to_string()))).await?;
        }
        tx.run(
            query("UPDATE sensor SET head_sequence = $1, head_digest = $2 WHERE sensor_id = $3")
                .bind(receipt.sequence)
                .bind(receipt.digest.clone())
                .bind(id.to_string()),
        )
        .await?;
        tx.commit().await?;
        Ok(state)
    }

    /// The received batches of a sensor up to `sequence` are in the lake.
    pub async fn batches_committed(&self, sensor: SensorId, sequence: i64) -> Result<()> {
        let mut tx = self.begin().await?;
        tx.run(
            query(
                "UPDATE batch SET state = 'committed' WHERE sensor_id = $1 AND sequence <= $2 AND state = 'received'",
            )
            .bind(sensor.to_string())
            .bind(sequence),
        )
        .await?;
        tx.commit().await
    }

    /// Slices of a survey whose outcomes are in the lake, ascending.
    pub async fn slices_committed(&self, survey: SurveyId) -> Result<Vec<i64>> {
        let rows = self
            .rows(
                query("SELECT slice FROM batch WHERE survey_id = $1 AND state = 'committed' ORDER BY slice")
                    .bind(survey.to_string()),
            )
            .await?;
        rows.iter().map(|row| row.int("slice")).collect()
    }
}

fn broken(receipt: &Receipt, why: &str) -> CaseworkError {
    CaseworkError::Conflict(format!(
        "batch {} does not continue the chain of sensor {}: {why}; hint: enrol the sensor again if this database was restored from an older copy",
        receipt.sequence, receipt.sensor_id
    ))
}
