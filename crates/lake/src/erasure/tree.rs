//! What stands for erased rows in the trees of their batches.

use std::collections::{BTreeMap, HashMap, HashSet};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef};
use deltalake::Path;
use futures::StreamExt;
use kenshin_observation::BatchId;
use kenshin_observation::merkle::{self, Hash, Node};
use kenshin_observation::schema::{BatchRow, ErasureRow, ErasureStep, ObservationRow, SaltRow, Table};
use serde::Serialize;

use super::{ErasedFile, reading};
use crate::error::LakeError;
use crate::store::Lake;
use crate::view::in_place;

/// Rows of the batches whose leaves are held at once: 33 bytes each, and as much for salts.
const ROWS_MAX: i64 = 1 << 22;
/// Batches that are named in one query.
const BATCHES_MAX: usize = 1_024;

/// What stands for the erased rows of a batch.
pub(super) struct StandIn {
    pub(super) batch_id: String,
    /// As the sensor signed it.
    root: String,
    pub(super) rows: u64,
    /// As they are stored.
    pub(super) nodes: Vec<u8>,
}

impl StandIn {
    pub(super) fn line(&self) -> String {
        format!("{} {} {} {}\n", self.batch_id, self.root, self.rows, hex::encode(&self.nodes))
    }
}

/// Whether what is kept of a batch, and what stands for the rest, makes the root that its sensor signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proved {
    /// Batch.
    pub batch_id: String,
    /// Its rows, as its sensor signed.
    pub rows: u64,
    /// Rows that are in the lake.
    pub kept: u64,
    /// Rows that were erased.
    pub erased: u64,
    /// The root that they make; none when something is missing.
    pub root: Option<String>,
    /// The root that its sensor signed.
    pub signed: String,
}

impl Proved {
    /// True when the roots are the same.
    pub fn holds(&self) -> bool {
        self.root.as_deref() == Some(&*self.signed) && self.kept + self.erased == self.rows
    }
}

/// The leaves of a batch, as far as they are known, and how many rows were seen.
struct Leaves {
    leaves: Vec<Option<Hash>>,
    seen: u64,
}

impl Lake {
    /// Makes the root of a batch of what the lake has of it; none when the lake does not know it.
    pub async fn prove(&self, batch: BatchId) -> Result<Option<Proved>, LakeError> {
        let id = batch.to_string();
        let sql = format!("SELECT * FROM {} WHERE batch_id = '{id}'", BatchRow::NAME);
        let Some(header) = self.rows::<BatchRow>(&sql).await?.into_iter().next() else { return Ok(None) };
        let everywhere = |_: &Path| true;
        let headers = BTreeMap::from([(id.clone(), header.rows)]);
        let leaves = self.leaves(&headers, everywhere, everywhere).await?.remove(&id);
        let kept = leaves.as_ref().map_or(0, |leaves| leaves.seen);
        let leaves = leaves.map_or_else(|| vec![None; length(header.rows)], |leaves| leaves.leaves);
        let effective: HashSet<String> = self.effective().await?.into_iter().collect();
        let sql = format!(
            "SELECT * FROM {} WHERE step = '{}' AND batch_id = '{id}'",
            ErasureRow::NAME,
            ErasureStep::Batch
        );
        let (mut erased, mut nodes) = (0, Vec::new());
        for row in self.rows::<ErasureRow>(&sql).await? {
            if effective.contains(&row.erasure_id) {
                erased += row.rows.unsigned_abs();
                nodes.extend(row.nodes.as_deref().and_then(Node::from_bytes).unwrap_or_default());
            }
        }
        Ok(Some(Proved {
            batch_id: id,
            rows: header.rows.unsigned_abs(),
            kept,
            erased,
            root: merkle::root(&leaves, &nodes).map(hex::encode),
            signed: header.root,
        }))
    }

    /// What stands for all rows of some files of observations, read with the files of their salts, batch by
    /// batch; and for how many batches it does not lead to the signed root.
    pub(super) async fn stand_ins(&self, files: &[ErasedFile]) -> Result<(Vec<StandIn>, u64), LakeError> {
        let of = |table: &str| -> HashSet<Path> {
            files.iter().filter(|file| file.table == table).map(|file| Path::from(&*file.path)).collect()
        };
        let (observations, salts) = (of(ObservationRow::NAME), of(SaltRow::NAME));
        let sql = "SELECT batch_id, count(*) AS n FROM files GROUP BY batch_id ORDER BY batch_id";
        let mut stream =
            self.ask_files(ObservationRow::NAME, |path| observations.contains(path), sql).await?;
        let mut counted: Vec<(String, i64)> = Vec::new();
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            let ids = texts(ObservationRow::NAME, batch.column(0))?;
            counted.extend(
                ids.into_iter().zip(batch.column(1).as_primitive::<Int64Type>().values().iter().copied()),
            );
        }
        let (mut stand_ins, mut unproven) = (Vec::new(), 0);
        let mut waiting = counted.as_slice();
        while !waiting.is_empty() {
            let (next, rest) = waiting.split_at(waiting.len().min(BATCHES_MAX));
            waiting = rest;
            let mut headers: HashMap<String, BatchRow> = HashMap::new();
            let sql = format!(
                "SELECT * FROM {} WHERE batch_id IN ({})",
                BatchRow::NAME,
                quoted(next.iter().map(|(id, _)| id))
            );
            headers.extend(
                self.rows::<BatchRow>(&sql).await?.into_iter().map(|row| (row.batch_id.clone(), row)),
            );
            for piece in pieces(next, &headers)? {
                let wanted = piece.iter().map(|id| ((*id).clone(), headers[*id].rows)).collect();
                let found = self
                    .leaves(&wanted, |path| observations.contains(path), |path| salts.contains(path))
                    .await?;
                for (batch_id, Leaves { leaves, seen }) in found {
                    let header = &headers[&batch_id];
                    let nodes = merkle::cover(&leaves);
                    let told: u64 = nodes.iter().map(|node| u64::from(node.rows)).sum();
                    // Of a part of a batch the root is made when the rest is there: see `prove`.
                    let whole = seen == header.rows.unsigned_abs();
                    let other =
                        whole && merkle::root(&leaves, &[]).map(hex::encode).as_ref() != Some(&header.root);
                    unproven += u64::from(other || told != seen);
                    let root = header.root.clone();
                    stand_ins.push(StandIn { batch_id, root, rows: seen, nodes: Node::to_bytes(&nodes) });
                }
            }
        }
        Ok((stand_ins, unproven))
    }

    /// The leaves of batches, of which the number of rows is given, from files of observations and of salts.
    async fn leaves(
        &self,
        batches: &BTreeMap<String, i64>,
        observations: impl Fn(&Path) -> bool,
        salts: impl Fn(&Path) -> bool,
    ) -> Result<BTreeMap<String, Leaves>, LakeError> {
        let sql = format!("SELECT * FROM files WHERE batch_id IN ({})", quoted(batches.keys()));
        let mut found: BTreeMap<String, Leaves> = BTreeMap::new();
        let mut salt_of: HashMap<String, Vec<Option<[u8; 16]>>> = HashMap::new();
        let mut stream = self.ask_files(SaltRow::NAME, salts, &sql).await?;
        while let Some(batch) = stream.next().await {
            for row in SaltRow::from_arrow(&batch?)? {
                let of_batch = salt_of
                    .entry(row.batch_id.clone())
                    .or_insert_with(|| vec![None; length(batches[&row.batch_id])]);
                let digits = row.salt.as_deref().and_then(|digits| hex::decode(digits).ok());
                let bytes = row.bytes.or(digits).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
                if let Some(place) = usize::try_from(row.row).ok().and_then(|row| of_batch.get_mut(row)) {
                    *place = bytes;
                }
            }
        }
        let mut stream = self.ask_files(ObservationRow::NAME, observations, &sql).await?;
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            in_place(|| {
                for row in ObservationRow::from_arrow(&batch)? {
                    let leaves = found.entry(row.batch_id.clone()).or_insert_with(|| Leaves {
                        leaves: vec![None; length(batches[&row.batch_id])],
                        seen: 0,
                    });
                    leaves.seen += 1;
                    let number = usize::try_from(row.row).unwrap_or(usize::MAX);
                    let salt = salt_of.get(&row.batch_id).and_then(|salts| *salts.get(number)?);
                    if let (Some(salt), Some(place)) = (salt, leaves.leaves.get_mut(number)) {
                        *place = Some(merkle::leaf(&row.to_observation()?, &hex::encode(salt)));
                    }
                }
                Ok::<_, LakeError>(())
            })?;
        }
        Ok(found)
    }
}

/// Batches in pieces whose rows are not too many to be held at once.
fn pieces<'a>(
    batches: &'a [(String, i64)],
    headers: &HashMap<String, BatchRow>,
) -> Result<Vec<Vec<&'a String>>, LakeError> {
    let mut pieces: Vec<Vec<&String>> = vec![Vec::new()];
    let mut rows = 0;
    for (id, _) in batches {
        let header = headers.get(id).ok_or_else(|| {
            let message =
                format!("batch {id} is not complete yet: its observations are there, and it is not");
            reading(BatchRow::NAME, message)
        })?;
        rows += header.rows;
        if rows > ROWS_MAX {
            pieces.push(Vec::new());
            rows = header.rows;
        }
        pieces.last_mut().expect("there is one from the start").push(id);
    }
    pieces.retain(|piece| !piece.is_empty());
    Ok(pieces)
}

fn length(rows: i64) -> usize {
    usize::try_from(rows).unwrap_or_default()
}

/// Ids as a list of SQL; they are ours, and hold no quotes.
fn quoted<'a>(ids: impl Iterator<Item = &'a String>) -> String {
    ids.map(|id| format!("'{}'", id.replace('\'', "''"))).collect::<Vec<_>>().join(", ")
}

/// A column of texts.
pub(super) fn texts(table: &'static str, column: &ArrayRef) -> Result<Vec<String>, LakeError> {
    let column =
        arrow_cast::cast(column, &arrow_schema::DataType::Utf8).map_err(|error| reading(table, error))?;
    let column = column.as_string::<i32>();
    Ok((0..column.len()).map(|row| column.value(row).to_owned()).collect())
}
