//! Rows that are erased, whole files at a time, and what is kept in their place.
//!
//! Rows lie by month, mandate and class of blob, so that what is due goes with its files. The table
//! `erasures` is written first: what is to go, and for each batch the nodes of its tree that stand for the
//! rows ([`kenshin_observation::merkle`]). Then the files are taken out of the table, in one commit that
//! says which erasure it is; then salts, as their observations; and their bytes are deleted when nobody can
//! be reading them any more. Each step can be repeated, and a lake that stops in between is whole.
//!
//! Who asked for it, what suspends it, and who signs the proof, is known elsewhere.

mod tree;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use datafusion::object_store::ObjectStoreExt;
use deltalake::kernel::Transaction;
use deltalake::protocol::SaveMode;
use deltalake::{DeltaTable, DeltaTableError, ObjectStoreError, Path};
use futures::TryStreamExt;
use kenshin_observation::schema::{
    BlobRow, CoverageRow, ErasureRow, ErasureStep, ObservationRow, SaltRow, Table,
};
use kenshin_observation::{Prefix, SurveyId, TimeUs, addr_to_hi_lo};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::commit::{commit, writing};
use crate::compact::{GRACE_US, removals};
use crate::error::LakeError;
use crate::files::MONTH;
use crate::store::Lake;
use crate::write;

pub use tree::Proved;

/// Version of what is written into `erasures`.
const VERSION: i32 = 1;
/// Tables from which rows are erased. Salts go with their observations; batches stay, because proofs rest
/// on them.
const TABLES: [&str; 4] = [ObservationRow::NAME, CoverageRow::NAME, BlobRow::NAME, SaltRow::NAME];

/// Rows that are kept together and erased together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Shelf {
    /// Table; that of observations includes their salts.
    pub table: String,
    /// Month, such as `2026-04`; none in tables that a first version of this program made.
    pub month: Option<String>,
    /// Mandate; none for coverage of slices in which nothing answered.
    pub mandate_id: Option<String>,
    /// Class, of blobs.
    pub class: Option<String>,
}

/// How much a shelf holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Holding {
    /// Files.
    pub files: u64,
    /// Rows; of observations, without their salts.
    pub rows: u64,
    /// Bytes of the files.
    pub bytes: u64,
}

/// A file that is erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasedFile {
    /// Table.
    pub table: String,
    /// Path in the folder of the table.
    pub path: String,
    /// Bytes.
    pub bytes: u64,
    /// Rows.
    pub rows: u64,
    /// SHA-256, hexadecimal.
    pub sha256: String,
}

/// An erasure as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewErasure {
    /// Id, given by who asks.
    pub erasure_id: String,
    /// What is to be erased.
    pub shelf: Shelf,
}

/// What is to be erased, to the file; written before anything is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Which erasure.
    pub erasure_id: String,
    /// What is erased.
    #[serde(flatten)]
    pub shelf: Shelf,
    /// Its files, by table and path.
    pub files: Vec<ErasedFile>,
    /// Its rows, without salts.
    pub rows: u64,
    /// Batches of which observations are erased.
    pub batches: u64,
    /// SHA-256, hexadecimal, over a line for each of these in the order of their ids: id, signed root, rows
    /// erased, and what stands for them, hexadecimal, with blanks between.
    pub batches_sha256: String,
    /// Batches of which what stands for the rows does not lead to the signed root, because salts are missing
    /// or the rows were damaged before.
    pub unproven: u64,
    /// When it was written.
    pub intended_at: TimeUs,
}

/// What became of an attempt to take files out of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// They are out.
    Done,
    /// They are others than when it was intended: nothing was taken out, and it is to be intended anew.
    Changed,
}

/// Rows that a hold is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Matter {
    /// Of this survey.
    pub survey: Option<SurveyId>,
    /// About addresses in this prefix.
    pub prefix: Option<Prefix>,
}

/// The name of the transaction by which a table knows of an erasure.
fn app(erasure_id: &str) -> String {
    format!("erasure:{erasure_id}")
}

impl Lake {
    /// For how long a file stays after it was taken out of its table, because somebody may be reading it, µs.
    pub const ERASURE_GRACE_US: i64 = GRACE_US;

    /// Everything that can be erased, by what is kept together.
    pub async fn shelves(&self) -> Result<BTreeMap<Shelf, Holding>, LakeError> {
        let mut shelves: BTreeMap<Shelf, Holding> = BTreeMap::new();
        for name in TABLES {
            let table = self.current(name).await?;
            for file in table.snapshot().map_err(|error| reading(name, error))?.log_data() {
                let shelf = shelf_of(name, &file.partition_values_map());
                if name == SaltRow::NAME {
                    // What an erasure that was interrupted elsewhere left is found by itself.
                    let of = Shelf { table: ObservationRow::NAME.to_owned(), ..shelf.clone() };
                    if let Some(holding) = shelves.get_mut(&of) {
                        holding.files += 1;
                        holding.bytes += file.size().unsigned_abs();
                        continue;
                    }
                }
                let holding = shelves.entry(shelf).or_default();
                holding.files += 1;
                holding.rows += file.num_records().unwrap_or_default() as u64;
                holding.bytes += file.size().unsigned_abs();
            }
        }
        Ok(shelves)
    }

    /// Months and mandates in which there are observations that fit (and coverage of the survey).
    pub async fn months_of(&self, matter: Matter) -> Result<BTreeSet<(String, String)>, LakeError> {
        let mut conditions = vec![format!("{MONTH} IS NOT NULL")];
        let survey = matter.survey.map(|survey| format!("survey_id = '{survey}'"));
        conditions.extend(survey.clone());
        if let Some(prefix) = matter.prefix {
            let ((from_hi, from_lo), (to_hi, to_lo)) =
                (addr_to_hi_lo(prefix.base()), addr_to_hi_lo(prefix.last()));
            conditions.push(format!(
                "subject_addr_hi BETWEEN {from_hi} AND {to_hi} AND (subject_addr_hi > {from_hi} OR subject_addr_lo >= {from_lo}) \
                 AND (subject_addr_hi < {to_hi} OR subject_addr_lo <= {to_lo})"
            ));
        }
        let select = |table, conditions: &[String]| {
            format!("SELECT DISTINCT {MONTH}, mandate_id FROM {table} WHERE {}", conditions.join(" AND "))
        };
        let mut queries = Vec::new();
        if write::is_apart(&self.current(ObservationRow::NAME).await?)
            .map_err(|error| reading(ObservationRow::NAME, error))?
        {
            queries.push((ObservationRow::NAME, select(ObservationRow::NAME, &conditions)));
        }
        if let Some(survey) = survey.filter(|_| matter.prefix.is_none())
            && write::is_apart(&self.current(CoverageRow::NAME).await?)
                .map_err(|error| reading(CoverageRow::NAME, error))?
        {
            let conditions = [conditions[0].clone(), survey, "mandate_id IS NOT NULL".to_owned()];
            queries.push((CoverageRow::NAME, select(CoverageRow::NAME, &conditions)));
        }
        let mut found = BTreeSet::new();
        for (table, sql) in queries {
            for batch in self.select(table, &sql).await? {
                let texts = |number: usize| tree::texts(table, batch.column(number));
                found.extend(texts(0)?.into_iter().zip(texts(1)?));
            }
        }
        Ok(found)
    }

    /// Writes down what an erasure takes away, and what stands for it; none when there is nothing on the
    /// shelf. What was written down already is told again.
    pub async fn intend(&self, new: &NewErasure, now: TimeUs) -> Result<Option<Intent>, LakeError> {
        let _still = self.compacting.lock().await;
        if self.knows(ErasureRow::NAME, &app(&new.erasure_id)).await? {
            return self.intent(&new.erasure_id).await.map(Some);
        }
        let tables: &[&'static str] = match TABLES.into_iter().find(|name| *name == new.shelf.table) {
            Some(ObservationRow::NAME) => &[ObservationRow::NAME, SaltRow::NAME],
            Some(CoverageRow::NAME) => &[CoverageRow::NAME],
            Some(BlobRow::NAME) => &[BlobRow::NAME],
            Some(SaltRow::NAME) => &[SaltRow::NAME],
            _ => &[],
        };
        let mut files = Vec::new();
        for name in tables {
            files.extend(self.files_on(name, &new.shelf).await?);
        }
        if files.is_empty() {
            return Ok(None);
        }
        let (batches, unproven) = match new.shelf.table == ObservationRow::NAME {
            true => self.stand_ins(&files).await?,
            false => (Vec::new(), 0),
        };
        let mut digest = Sha256::new();
        for one in &batches {
            digest.update(one.line());
        }
        let of_table = |file: &&ErasedFile| file.table == new.shelf.table;
        let intent = Intent {
            erasure_id: new.erasure_id.clone(),
            shelf: new.shelf.clone(),
            rows: files.iter().filter(of_table).map(|file| file.rows).sum(),
            files,
            batches: batches.len() as u64,
            batches_sha256: hex::encode(digest.finalize()),
            unproven,
            intended_at: now,
        };
        let statement = serde_json::to_string(&intent).map_err(|error| reading(ErasureRow::NAME, error))?;
        let head = ErasureRow {
            schema: VERSION,
            erasure_id: new.erasure_id.clone(),
            step: ErasureStep::Intent.to_string(),
            of_table: new.shelf.table.clone(),
            month: new.shelf.month.clone(),
            mandate_id: new.shelf.mandate_id.clone(),
            class: new.shelf.class.clone(),
            batch_id: None,
            rows: number(intent.rows),
            nodes: None,
            statement: Some(statement),
            written_at: now.micros(),
        };
        let of_batch = |one: &tree::StandIn| ErasureRow {
            step: ErasureStep::Batch.to_string(),
            batch_id: Some(one.batch_id.clone()),
            rows: number(one.rows),
            nodes: Some(one.nodes.clone()),
            statement: None,
            ..head.clone()
        };
        let rows: Vec<ErasureRow> =
            std::iter::once(head.clone()).chain(batches.iter().map(of_batch)).collect();
        self.write_erasure(&rows, Transaction::new(app(&new.erasure_id), 1)).await?;
        Ok(Some(intent))
    }

    /// True when the rows of an erasure are out of their table.
    pub async fn is_removed(&self, intent: &Intent) -> Result<bool, LakeError> {
        self.knows(table_name(&intent.shelf.table), &app(&intent.erasure_id)).await
    }

    /// Takes files out of their tables. Their bytes are there still, for those who are reading them.
    pub async fn remove(&self, intent: &Intent, now: TimeUs) -> Result<Removal, LakeError> {
        let _still = self.compacting.lock().await;
        if !self.is_removed(intent).await?
            && self.take_out(table_name(&intent.shelf.table), intent, true, now).await? == Removal::Changed
        {
            return Ok(Removal::Changed);
        }
        if intent.shelf.table == ObservationRow::NAME
            && !self.knows(SaltRow::NAME, &app(&intent.erasure_id)).await?
        {
            // Salts that somebody else merged in between are found by the next look at the shelves.
            self.take_out(SaltRow::NAME, intent, false, now).await?;
        }
        Ok(Removal::Done)
    }

    /// Deletes the bytes of an erasure that is out of its tables, and those of files of the current view that
    /// were replaced `grace_us` µs ago.
    pub async fn delete_bytes(&self, intent: &Intent, now: TimeUs, grace_us: i64) -> Result<(), LakeError> {
        for file in &intent.files {
            let name = table_name(&file.table);
            let table = self.current(name).await?;
            let path = Path::from(file.path.as_str());
            let snapshot = table.snapshot().map_err(|error| reading(name, error))?;
            // Never what the table holds.
            if snapshot.log_data().into_iter().any(|held| held.object_store_path() == path) {
                continue;
            }
            match table.log_store().object_store(None).delete(&path).await {
                Ok(()) | Err(ObjectStoreError::NotFound { .. }) => {}
                Err(error) => return Err(reading(name, error)),
            }
        }
        let now = now.plus_micros(GRACE_US.saturating_sub(grace_us).saturating_add(1));
        for view in self.all_views().await? {
            view.sweep(now).await?;
        }
        Ok(())
    }

    /// Keeps the statement of an erasure that is done, the `number`th of all. Fails when somebody else wrote
    /// that one.
    pub async fn keep_proof(
        &self,
        intent: &Intent,
        number: i64,
        statement: &str,
        now: TimeUs,
    ) -> Result<(), LakeError> {
        let row = ErasureRow {
            schema: VERSION,
            erasure_id: intent.erasure_id.clone(),
            step: ErasureStep::Proof.to_string(),
            of_table: intent.shelf.table.clone(),
            month: intent.shelf.month.clone(),
            mandate_id: intent.shelf.mandate_id.clone(),
            class: intent.shelf.class.clone(),
            batch_id: None,
            rows: self::number(intent.rows),
            nodes: None,
            statement: Some(statement.to_owned()),
            written_at: now.micros(),
        };
        self.write_erasure(&[row], Transaction::new("proofs", number)).await
    }

    /// The statements of erasures that are done, in their order.
    pub async fn proofs(&self) -> Result<Vec<ErasureRow>, LakeError> {
        let sql = format!(
            "SELECT * FROM {} WHERE step = '{}' ORDER BY written_at, erasure_id",
            ErasureRow::NAME,
            ErasureStep::Proof
        );
        self.rows(&sql).await
    }

    async fn intent(&self, erasure_id: &str) -> Result<Intent, LakeError> {
        let lost = || reading(ErasureRow::NAME, format!("the intent of erasure `{erasure_id}` is not there"));
        if !erasure_id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(lost());
        }
        let sql = format!(
            "SELECT * FROM {} WHERE step = '{}' AND erasure_id = '{erasure_id}'",
            ErasureRow::NAME,
            ErasureStep::Intent
        );
        let rows: Vec<ErasureRow> = self.rows(&sql).await?;
        let statement = rows.into_iter().find_map(|row| row.statement).ok_or_else(lost)?;
        serde_json::from_str(&statement).map_err(|error| reading(ErasureRow::NAME, error))
    }

    /// Files of a table that an erasure names whose statement is not written yet: their bytes are deleted by it
    /// alone, which a legal hold stops.
    pub(crate) async fn unproven_files(&self, name: &'static str) -> Result<HashSet<Path>, LakeError> {
        let sql = format!("SELECT * FROM {} WHERE step <> '{}'", ErasureRow::NAME, ErasureStep::Batch);
        let rows: Vec<ErasureRow> = self.rows(&sql).await?;
        let is_proof = |row: &&ErasureRow| row.step == ErasureStep::Proof.as_str();
        let proved: HashSet<&str> = rows.iter().filter(is_proof).map(|row| row.erasure_id.as_str()).collect();
        let mut files = HashSet::new();
        for row in rows.iter().filter(|row| !proved.contains(row.erasure_id.as_str())) {
            let Some(statement) = &row.statement else { continue };
            let intent: Intent =
                serde_json::from_str(statement).map_err(|error| reading(ErasureRow::NAME, error))?;
            // One that was given up has taken nothing out, and keeps nothing.
            if !self.is_removed(&intent).await? {
                continue;
            }
            let of_table = intent.files.iter().filter(|file| file.table == name);
            files.extend(of_table.map(|file| Path::from(file.path.as_str())));
        }
        Ok(files)
    }

    /// Erasures of observations that took place: those that are proved, and those that the table knows of.
    pub(crate) async fn effective(&self) -> Result<Vec<String>, LakeError> {
        let sql = format!(
            "SELECT * FROM {} WHERE step <> '{}' AND of_table = '{}'",
            ErasureRow::NAME,
            ErasureStep::Batch,
            ObservationRow::NAME
        );
        let rows: Vec<ErasureRow> = self.rows(&sql).await?;
        let (proofs, intents): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|row| row.step == ErasureStep::Proof.as_str());
        let mut effective: BTreeSet<String> = proofs.into_iter().map(|row| row.erasure_id).collect();
        for row in intents {
            // To ask the table takes longer the more erasures there were; nearly all of them are proved.
            if !effective.contains(&row.erasure_id)
                && self.knows(ObservationRow::NAME, &app(&row.erasure_id)).await?
            {
                effective.insert(row.erasure_id);
            }
        }
        Ok(effective.into_iter().collect())
    }

    /// The files of a shelf, each with its digest.
    async fn files_on(&self, name: &'static str, shelf: &Shelf) -> Result<Vec<ErasedFile>, LakeError> {
        let table = self.current(name).await?;
        let store = table.log_store().object_store(None);
        let mut files = Vec::new();
        for file in table.snapshot().map_err(|error| reading(name, error))?.log_data() {
            let of = shelf_of(name, &file.partition_values_map());
            if (&of.month, &of.mandate_id, &of.class) == (&shelf.month, &shelf.mandate_id, &shelf.class) {
                files.push(ErasedFile {
                    table: name.to_owned(),
                    path: file.object_store_path().to_string(),
                    bytes: file.size().unsigned_abs(),
                    rows: file.num_records().unwrap_or_default() as u64,
                    sha256: String::new(),
                });
            }
        }
        for file in &mut files {
            let path = Path::from(file.path.as_str());
            let mut digest = Sha256::new();
            let mut bytes = store.get(&path).await.map_err(|error| reading(name, error))?.into_stream();
            while let Some(bytes) = bytes.try_next().await.map_err(|error| reading(name, error))? {
                digest.update(&bytes);
            }
            file.sha256 = hex::encode(digest.finalize());
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    /// Takes the files of an intent out of one table; `all` only when each of them is there.
    async fn take_out(
        &self,
        name: &'static str,
        intent: &Intent,
        all: bool,
        now: TimeUs,
    ) -> Result<Removal, LakeError> {
        let failed = |error: DeltaTableError| reading(name, error);
        let paths: HashSet<Path> = intent
            .files
            .iter()
            .filter(|file| file.table == name)
            .map(|file| Path::from(file.path.as_str()))
            .collect();
        let mut table = self.tables[name].write().await;
        table.update_state().await.map_err(failed)?;
        let actions = removals(&table, |path| paths.contains(path), true, now).map_err(failed)?;
        if all && actions.len() < paths.len() {
            return Ok(Removal::Changed);
        }
        commit(
            &mut table,
            actions,
            vec![Transaction::new(app(&intent.erasure_id), 1)],
            writing(SaveMode::Append),
        )
        .await
        .map_err(failed)?;
        Ok(Removal::Done)
    }

    async fn write_erasure(&self, rows: &[ErasureRow], transaction: Transaction) -> Result<(), LakeError> {
        let failed = |error: DeltaTableError| reading(ErasureRow::NAME, error);
        let encoded = write::encode(&ErasureRow::to_arrow(rows)?, Vec::new()).map_err(failed)?;
        let mut table = self.tables[ErasureRow::NAME].write().await;
        table.update_state().await.map_err(failed)?;
        let told = format!("{transaction:?} {:?}", table.version());
        let action = write::put::<ErasureRow>(&table, encoded, &told).await.map_err(failed)?;
        commit(&mut table, vec![action], vec![transaction], writing(SaveMode::Append))
            .await
            .map_err(failed)?;
        Ok(())
    }

    /// True when a table holds this transaction.
    async fn knows(&self, name: &'static str, app: &str) -> Result<bool, LakeError> {
        Ok(self.sequence(name, app).await? > 0)
    }

    /// A table as it is now.
    async fn current(&self, name: &'static str) -> Result<DeltaTable, LakeError> {
        let mut table = self.tables[name].write().await;
        table.update_state().await.map_err(|error| reading(name, error))?;
        Ok(table.clone())
    }
}

fn shelf_of(name: &str, values: &HashMap<String, Option<String>>) -> Shelf {
    let value = |name: &str| values.get(name).cloned().flatten();
    Shelf {
        table: name.to_owned(),
        month: value(MONTH),
        mandate_id: value("mandate_id"),
        class: value("class"),
    }
}

fn table_name(name: &str) -> &'static str {
    TABLES.into_iter().find(|table| *table == name).unwrap_or(ObservationRow::NAME)
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn reading(table: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> LakeError {
    LakeError::Read { table, source: source.into() }
}
