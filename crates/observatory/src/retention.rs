//! Retention: what is due by the policy is erased, and proved; a legal hold suspends it.
//!
//! An erasure is written down in casework first, then in the lake, then files are taken out of their table,
//! the current view is made anew, and when nobody can be reading the files any more their bytes are deleted
//! and a statement is signed. Whoever comes after a crash goes on where it stopped.

mod hold;
mod policy;
mod statement;

use std::collections::BTreeMap;
use std::fs::File;

use kenshin_casework::{Actor, ErasureRecord, ErasureState, ErrorKind, Hold, NewHold};
use kenshin_lake::{Holding, Intent, Lake, NewErasure, Removal, Shelf};
use kenshin_observation::TimeUs;
use kenshin_survey::sensor::SensorIdentity;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::Observatory;
use crate::error::ActError;
use hold::Held;

pub use policy::{Keep, OfMandate, ParseKeepError, Retention};
pub use statement::{SignedStatement, Statement};

/// Something that is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Due {
    /// What.
    #[serde(flatten)]
    pub shelf: Shelf,
    /// How much.
    #[serde(flatten)]
    pub holding: Holding,
    /// For how long it was to be kept.
    pub keep: Keep,
    /// Holds that keep it nevertheless, by id.
    pub held_by: Vec<String>,
}

/// What retention would do now.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Outlook {
    /// What is due, held or not.
    pub due: Vec<Due>,
    /// Files by table that lie without a month, as an old version of this program wrote them: they are kept
    /// until [`Observatory::compact_lake`] puts their rows apart.
    pub undated: BTreeMap<String, u64>,
}

/// What retention did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Retained {
    /// Shelves that were taken out of their tables.
    pub removed: u64,
    /// Their rows, without salts.
    pub rows: u64,
    /// Erasures whose bytes are gone now, and that are proved.
    pub erased: u64,
    /// Erasures whose bytes are there still.
    pub waiting: u64,
    /// Erasures that were given up because of a hold, or because their files were merged meanwhile.
    pub withdrawn: u64,
}

/// When bytes are deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bytes {
    /// An hour after they were taken out of their table: somebody may be reading them.
    AfterReaders,
    /// At once; whoever reads them fails.
    AtOnce,
}

/// Erasures: those that are proved, and those under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Erasures {
    /// Proofs in their order.
    pub proofs: Vec<SignedStatement>,
    /// Erasures that are not at their end.
    pub open: Vec<ErasureRecord>,
    /// What is wrong with the proofs.
    pub fault: Option<String>,
}

impl Observatory {
    /// What is due now, and what holds keep of it.
    pub async fn retention_outlook(&self) -> Result<Outlook, ActError> {
        let (lake, now) = (self.lake().await?, self.now());
        let shelves = lake.shelves().await?;
        let held = Held::load(self, &shelves).await?;
        let mut outlook = Outlook::default();
        for (shelf, holding) in shelves {
            if shelf.month.is_none() {
                *outlook.undated.entry(shelf.table).or_default() += holding.files;
                continue;
            }
            let keep = self.settings().retention.keep(&shelf);
            if keep.is_over(shelf.month.as_deref(), now) {
                let held_by = held.keeping(&shelf);
                outlook.due.push(Due { shelf, holding, keep, held_by });
            }
        }
        Ok(outlook)
    }

    /// Finishes what was begun, and erases what is due. `progress` is told what is taken out.
    pub async fn retain(
        &self,
        actor: &Actor,
        bytes: Bytes,
        mut progress: impl FnMut(&Shelf),
    ) -> Result<Retained, ActError> {
        let _turn = self.tending().await?;
        let mut done = Retained::default();
        self.take_out(actor, &mut done, &mut progress).await?;
        let policy = serde_json::to_value(&self.settings().retention)
            .map_err(|error| ActError::outside("failed to write the policy down", error))?;
        for due in self.retention_outlook().await?.due.iter().filter(|due| due.held_by.is_empty()) {
            let shelf = serde_json::to_value(&due.shelf)
                .map_err(|error| ActError::outside("failed to write an erasure down", error))?;
            self.casework().intend_erasure(self.org(), &shelf, &policy, actor, self.now()).await?;
        }
        self.take_out(actor, &mut done, &mut progress).await?;
        self.delete_bytes(actor, bytes, &mut done).await?;
        Ok(done)
    }

    /// What `serve` does now and then: finishes what was begun, and with `daily` erases what is due.
    pub async fn tend_retention(&self, daily: bool) -> Result<Retained, ActError> {
        let is_open = !self.casework().open_erasures(self.org()).await?.is_empty();
        let rule = Actor::rule("retention");
        if daily && !self.settings().retention.is_empty() {
            return self.retain(&rule, Bytes::AfterReaders, |_| {}).await;
        }
        let mut done = Retained::default();
        if is_open {
            let _turn = self.tending().await?;
            self.take_out(&rule, &mut done, &mut |_| {}).await?;
            self.delete_bytes(&rule, Bytes::AfterReaders, &mut done).await?;
        }
        Ok(done)
    }

    /// Adds a hold: it acts at once. Gives it with what it was too late for: erasures that are out of their
    /// tables. Their bytes stay as long as the hold does.
    pub async fn hold(&self, new: &NewHold, actor: &Actor) -> Result<(Hold, Vec<ErasureRecord>), ActError> {
        let hold = self.casework().add_hold(self.org(), new, actor, self.now()).await?;
        let held = Held::load(self, &self.lake().await?.shelves().await?).await?;
        let mut late = self.casework().open_erasures(self.org()).await?;
        late.retain(|record| {
            let shelf = shelf_of(record);
            record.state != ErasureState::Intended
                && shelf.is_ok_and(|shelf| held.keeping(&shelf).contains(&hold.hold_id))
        });
        Ok((hold, late))
    }

    /// Proofs of what was erased, and what is under way.
    pub async fn erasures(&self) -> Result<Erasures, ActError> {
        let proofs = self.proofs().await?;
        let open = self.casework().open_erasures(self.org()).await?;
        Ok(Erasures { fault: statement::fault(&proofs), proofs, open })
    }

    async fn proofs(&self) -> Result<Vec<SignedStatement>, ActError> {
        let mut proofs = Vec::new();
        for row in self.lake().await?.proofs().await? {
            let text = row.statement.unwrap_or_default();
            let signed: SignedStatement = serde_json::from_str(&text)
                .map_err(|error| ActError::outside("failed to read a proof of deletion", error))?;
            let number = signed.read().map_or(i64::MAX, |statement| statement.number);
            proofs.push((number, signed));
        }
        proofs.sort_by_key(|(number, _)| *number);
        Ok(proofs.into_iter().map(|(_, signed)| signed).collect())
    }

    /// Takes everything out of its table that was written down, unless a hold keeps it, and makes the view
    /// anew when observations went.
    async fn take_out(
        &self,
        actor: &Actor,
        done: &mut Retained,
        progress: &mut impl FnMut(&Shelf),
    ) -> Result<(), ActError> {
        let (casework, org, lake) = (self.casework(), self.org(), self.lake().await?);
        let mut open = casework.open_erasures(org).await?;
        open.retain(|record| record.state != ErasureState::Removed);
        if open.is_empty() {
            return Ok(());
        }
        let held = Held::load(self, &lake.shelves().await?).await?;
        let (mut taken, mut observations) = (Vec::new(), false);
        for record in open {
            let (id, shelf) = (&record.erasure_id, shelf_of(&record)?);
            let mut withdraw = async |why: &str| {
                done.withdrawn += 1;
                casework.withdraw_erasure(org, id, why, actor, self.now()).await
            };
            let new = NewErasure { erasure_id: id.clone(), shelf: shelf.clone() };
            let keeping = held.keeping(&shelf);
            // What is to be held is not even read.
            if record.state == ErasureState::Intended && !keeping.is_empty() {
                withdraw(&format!("held by {}", keeping.join(", "))).await?;
                continue;
            }
            let Some(intent) = lake.intend(&new, self.now()).await? else {
                withdraw("nothing is there").await?;
                continue;
            };
            if !lake.is_removed(&intent).await? {
                if !keeping.is_empty() {
                    withdraw(&format!("held by {}", keeping.join(", "))).await?;
                    continue;
                }
                match casework.begin_removal(org, id, &held.holds, actor, self.now()).await {
                    // A hold came in between: it is looked at the next time.
                    Err(error) if error.kind() == ErrorKind::Conflict => continue,
                    begun => begun?,
                }
                progress(&shelf);
            }
            if lake.remove(&intent, self.now()).await? == Removal::Changed {
                withdraw("its files were merged meanwhile").await?;
                continue;
            }
            observations |= shelf.table == "observations";
            (done.removed, done.rows) = (done.removed + 1, done.rows + intent.rows);
            taken.push(id.clone());
        }
        if observations {
            self.rebuild_view().await?;
        }
        Ok(casework.erasures_removed(org, &taken, self.now()).await?)
    }

    /// Deletes the bytes of what is out of its table long enough, unless a hold keeps them, and states it.
    async fn delete_bytes(&self, actor: &Actor, bytes: Bytes, done: &mut Retained) -> Result<(), ActError> {
        let (casework, org, lake) = (self.casework(), self.org(), self.lake().await?);
        let grace_us = match bytes {
            Bytes::AfterReaders => Lake::ERASURE_GRACE_US,
            Bytes::AtOnce => 0,
        };
        let open = casework.open_erasures(org).await?;
        if open.is_empty() {
            return Ok(());
        }
        let held = Held::load(self, &lake.shelves().await?).await?;
        for record in open {
            let (shelf, now) = (shelf_of(&record)?, self.now());
            let removed_at = record.removed_at.filter(|_| record.state == ErasureState::Removed);
            let is_over = |since: &TimeUs| since.plus_micros(grace_us) <= now;
            let Some(removed_at) = removed_at.filter(is_over).filter(|_| held.keeping(&shelf).is_empty())
            else {
                done.waiting += 1;
                continue;
            };
            let new = NewErasure { erasure_id: record.erasure_id.clone(), shelf };
            let Some(intent) = lake.intend(&new, now).await? else { continue };
            lake.delete_bytes(&intent, now, grace_us).await?;
            let proof = self.prove_erasure(&record, intent, removed_at).await?;
            casework.erasure_done(org, &record.erasure_id, &proof.digest(), actor, self.now()).await?;
            done.erased += 1;
        }
        Ok(())
    }

    /// States that an erasure is done; what was stated before is told again.
    async fn prove_erasure(
        &self,
        record: &ErasureRecord,
        intent: Intent,
        removed_at: TimeUs,
    ) -> Result<SignedStatement, ActError> {
        let proofs = self.proofs().await?;
        for proof in &proofs {
            if proof.read()?.erased.erasure_id == record.erasure_id {
                return Ok(proof.clone());
            }
        }
        let (number, previous) = statement::next(&proofs);
        let now = self.now();
        let key = SensorIdentity::open_or_create(&self.home().spool(), now, self.edge().seed())
            .map_err(|error| ActError::outside("failed to read the key of this hub's sensor", error))?;
        let statement = Statement {
            format: Statement::format(),
            number,
            previous,
            organisation: self.settings().organisation.clone(),
            erased: intent.clone(),
            asked_by: record.asked_by.clone(),
            policy_sha256: hex::encode(Sha256::digest(record.policy.to_string())),
            policy: record.policy.clone(),
            removed_at,
            erased_at: now,
        };
        let signed = SignedStatement::of(&statement, &key)?;
        let text = serde_json::to_string(&signed)
            .map_err(|error| ActError::outside("failed to write a proof of deletion", error))?;
        self.lake().await?.keep_proof(&intent, number, &text, now).await?;
        Ok(signed)
    }

    /// One at a time takes files of the lake out of its tables, or merges them, whichever process of this
    /// home it is.
    pub(crate) async fn tending(&self) -> Result<File, ActError> {
        let path = self.home().root().join(".tending");
        let locking = tokio::task::spawn_blocking(move || {
            let file = File::create(&path).map_err(|source| ActError::io("open", &path, source))?;
            file.lock().map_err(|source| ActError::io("lock", &path, source))?;
            Ok(file)
        });
        locking
            .await
            .map_err(|error| ActError::outside("failed to wait for others that tend the lake", error))?
    }
}

fn shelf_of(record: &ErasureRecord) -> Result<Shelf, ActError> {
    serde_json::from_value(record.shelf.clone())
        .map_err(|error| ActError::outside("failed to read what is to be erased", error))
}

#[cfg(test)]
mod tests;
