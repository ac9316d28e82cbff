//! For how long the lake keeps what, what holds suspend it, and what was erased.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use kenshin_casework::{ErasureRecord, Hold};
use kenshin_observatory::{Due, Keep, SignedStatement};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::Instant;
use crate::guard::Caller;
use crate::{Problem, Web};

/// Retention as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct RetentionView {
    /// For how long what is kept when nothing else is said of its mandate, by table, blobs by class
    /// (`blobs/banner`). What is not named is kept for ever.
    pub policy: BTreeMap<String, String>,
    /// The same of single mandates.
    pub mandates: BTreeMap<String, BTreeMap<String, String>>,
    /// What is due now, held or not.
    pub due: Vec<DueRow>,
    /// Holds in force.
    pub holds: Vec<HoldRow>,
    /// Erasures under way.
    pub open: Vec<ErasureRow>,
    /// Proofs of deletion, in their order.
    pub proofs: Vec<ProofRow>,
    /// What is wrong with the chain of proofs.
    pub fault: Option<String>,
}

/// Something that is due.
#[derive(Debug, Serialize, ToSchema)]
pub struct DueRow {
    /// Table.
    pub table: String,
    /// Month.
    pub month: Option<String>,
    /// Mandate.
    pub mandate_id: Option<String>,
    /// Class, of blobs.
    pub class: Option<String>,
    /// Files.
    pub files: u64,
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
    /// For how long it was to be kept.
    pub keep: String,
    /// Ids of the holds that keep it nevertheless.
    pub held_by: Vec<String>,
}

/// A hold in force.
#[derive(Debug, Serialize, ToSchema)]
pub struct HoldRow {
    /// Its id.
    pub hold_id: String,
    /// Of this mandate.
    pub mandate_id: Option<String>,
    /// From this month on.
    pub from: Option<String>,
    /// To this month.
    pub to: Option<String>,
    /// Of this survey.
    pub survey_id: Option<String>,
    /// About addresses in this prefix.
    pub prefix: Option<String>,
    /// Why.
    pub reason: String,
    /// Since when.
    pub created_at: Instant,
}

/// An erasure under way.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErasureRow {
    /// Its id.
    pub erasure_id: String,
    /// How far it has come.
    pub state: String,
    /// When it was written down.
    pub intended_at: Instant,
    /// When nothing showed its rows any more.
    pub removed_at: Option<Instant>,
}

/// A proof of deletion.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProofRow {
    /// What is stated, as JSON text: exactly what is signed.
    pub statement: String,
    /// SHA-256 of the text, hexadecimal, which the next one names.
    pub sha256: String,
    /// The sensor whose key it is.
    pub sensor_id: String,
    /// The key (Ed25519), hexadecimal.
    pub public_key: String,
    /// Over `kenshin-erasure-v1`, a zero byte and the text, hexadecimal.
    pub signature: String,
}

/// Retention as it stands.
#[utoipa::path(get, path = "/api/v1/retention", tag = "retention", operation_id = "retention_show",
    responses((status = 200, body = RetentionView), (status = "4XX", body = Problem)))]
pub(crate) async fn show(State(web): State<Web>, _caller: Caller) -> Result<Json<RetentionView>, Problem> {
    let observatory = web.observatory();
    let policy = &observatory.settings().retention;
    let erasures = observatory.erasures().await?;
    let of_mandate = |(name, one): (&String, &kenshin_observatory::OfMandate)| {
        (name.clone(), times(one.observations, one.coverage, &one.blobs))
    };
    Ok(Json(RetentionView {
        policy: times(policy.observations, policy.coverage, &policy.blobs),
        mandates: policy.mandate.iter().map(of_mandate).collect(),
        due: observatory.retention_outlook().await?.due.into_iter().map(due).collect(),
        holds: web.casework().holds(web.org(), false).await?.into_iter().map(hold).collect(),
        open: erasures.open.into_iter().map(erasure).collect(),
        proofs: erasures.proofs.into_iter().map(proof).collect(),
        fault: erasures.fault,
    }))
}

fn times<K: ToString>(
    observations: Option<Keep>,
    coverage: Option<Keep>,
    blobs: &BTreeMap<K, Keep>,
) -> BTreeMap<String, String> {
    let tables = [("observations", observations), ("coverage", coverage)];
    let tables = tables.into_iter().filter_map(|(name, keep)| Some((name.to_owned(), keep?.to_string())));
    let blobs = blobs.iter().map(|(class, keep)| (format!("blobs/{}", class.to_string()), keep.to_string()));
    tables.chain(blobs).collect()
}

fn due(due: Due) -> DueRow {
    DueRow {
        table: due.shelf.table,
        month: due.shelf.month,
        mandate_id: due.shelf.mandate_id,
        class: due.shelf.class,
        files: due.holding.files,
        rows: due.holding.rows,
        bytes: due.holding.bytes,
        keep: due.keep.to_string(),
        held_by: due.held_by,
    }
}

fn hold(hold: Hold) -> HoldRow {
    HoldRow {
        hold_id: hold.hold_id,
        mandate_id: hold.keeps.mandate_id,
        from: hold.keeps.from,
        to: hold.keeps.to,
        survey_id: hold.keeps.survey_id.map(|survey| survey.to_string()),
        prefix: hold.keeps.prefix.map(|prefix| prefix.to_string()),
        reason: hold.keeps.reason,
        created_at: hold.created_at.into(),
    }
}

fn erasure(record: ErasureRecord) -> ErasureRow {
    ErasureRow {
        erasure_id: record.erasure_id,
        state: record.state.to_string(),
        intended_at: record.intended_at.into(),
        removed_at: record.removed_at.map(Instant::from),
    }
}

fn proof(signed: SignedStatement) -> ProofRow {
    ProofRow {
        sha256: signed.digest(),
        statement: signed.statement,
        sensor_id: signed.sensor_id.to_string(),
        public_key: signed.public_key,
        signature: signed.signature,
    }
}
