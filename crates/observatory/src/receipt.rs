//! Batches arrive: verified, held against the survey's plan, committed once, acknowledged.
//!
//! A batch that is taken lies in `inbox/` until the lake has it. Of a slice the first batch that was
//! taken counts, and a hub that dies right after it took one must not need the sensor again, which
//! may be dead as well: whoever takes the next batch completes first what lies there.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use kenshin_casework::{BatchState, ErrorKind, Receipt};
use kenshin_exchange::Origin;
use kenshin_mandate::Mandate;
use kenshin_observation::{Batch, Observation, OrgId, SensorId, SurveyId};
use kenshin_survey::plan::SurveyPlan;
use kenshin_survey::space::Space;

use crate::Observatory;
use crate::authority::write_bytes_whole;
use crate::error::ActError;
use crate::hub::{pack, unpack};
use crate::signed::VerifyingKey;

/// Ending of the files in the inbox.
const SHIPMENT: &str = "shipment";

/// What the batches of a survey are held against.
enum Held {
    /// A plan, with its target space.
    Planned(Box<(SurveyPlan, Space)>),
    /// Results of another scanner, which nobody planned here.
    Imported,
}

/// Where batches come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shipper {
    /// This machine's own sensor, through which files of other scanners come in too.
    Own,
    /// A sensor apart: it measures, and imports nothing.
    Apart,
}

impl Observatory {
    /// Takes batches that a sensor signed, in the order of its chain. When this returns, the lake has
    /// the one outcome of every slice of them, and knows each batch at most once.
    pub async fn receive(
        &self,
        key: VerifyingKey,
        shipper: Shipper,
        batches: Vec<Batch>,
    ) -> Result<(), ActError> {
        let org = self.org();
        let Some(sensor) = batches.first().map(|batch| batch.header.sensor_id) else { return Ok(()) };
        let mut plans: HashMap<SurveyId, Held> = HashMap::new();
        for batch in &batches {
            let survey_id = batch.header.survey_id;
            if let std::collections::hash_map::Entry::Vacant(vacant) = plans.entry(survey_id) {
                if shipper == Shipper::Own && batch.observations.first().and_then(Origin::of).is_some() {
                    vacant.insert(Held::Imported);
                    continue;
                }
                let (_, plan) = self.stored_plan(survey_id).await?;
                if shipper == Shipper::Apart {
                    self.check_named(&plan, sensor).await?;
                }
                let space = plan.space().map_err(|e| ActError::outside("the plan has no target space", e))?;
                vacant.insert(Held::Planned(Box::new((plan, space))));
            }
        }
        let checking = tokio::task::spawn_blocking(move || {
            let linked = batches.windows(2).all(|pair| {
                let (before, after) = (&pair[0].header, &pair[1].header);
                after.sequence == before.sequence + 1 && after.previous == before.digest()
            });
            if !linked {
                return Err(ActError::no(format!("the batches of sensor {sensor} are not one chain")));
            }
            batches.iter().try_for_each(|batch| check(batch, sensor, org, &key, &plans)).map(|()| batches)
        });
        let batches =
            checking.await.map_err(|error| ActError::outside("failed to check batches", error))??;
        let turn = self.receiving().await?;
        self.complete_taken().await?;
        if self.inner.view_lags.swap(false, Ordering::Relaxed) {
            self.lagging(sensor, self.catch_up_all().await);
        }
        let packing = tokio::task::spawn_blocking({
            let inbox = self.home().inbox();
            move || keep(&inbox, &batches).map(|path| (batches, path))
        });
        let (batches, path) =
            packing.await.map_err(|error| ActError::outside("failed to keep batches", error))??;
        let taken = self.take(batches).await;
        // What does not continue its chain was not taken; what met trouble is completed later.
        if taken.as_ref().err().is_none_or(is_conflict) {
            remove(&path)?;
        }
        // Merging may take long: the next batch does not wait for it.
        drop(turn);
        self.merge_view().await;
        taken
    }

    /// A sensor speaks of nothing that its mandate did not name it for.
    async fn check_named(&self, plan: &SurveyPlan, sensor: SensorId) -> Result<(), ActError> {
        let record = self.casework().mandate(self.org(), &plan.mandate_digest).await?;
        let mandate = Mandate::parse(&plan.mandate_id, &record.text)
            .map_err(|invalid| ActError::outside("the registered mandate cannot be read", invalid))?;
        if mandate.sensor(sensor).is_some() {
            return Ok(());
        }
        Err(ActError::no(format!("mandate `{}` does not name sensor {sensor}", plan.mandate_id)))
    }

    /// Completes what was taken and is not in the lake, or not in its view, as after a crash.
    pub async fn complete_received(&self) -> Result<(), ActError> {
        let turn = self.receiving().await?;
        self.complete_taken().await?;
        self.catch_up_all().await?;
        drop(turn);
        self.merge_view().await;
        Ok(())
    }

    /// One at a time, whichever process of this home it is: what lies in the inbox is nobody's work
    /// in progress then.
    pub(crate) async fn receiving(&self) -> Result<File, ActError> {
        let inbox = self.home().inbox();
        let locking = tokio::task::spawn_blocking(move || {
            std::fs::create_dir_all(&inbox).map_err(|e| ActError::io("create the folder", &inbox, e))?;
            let path = inbox.join(".lock");
            let file = File::create(&path).map_err(|source| ActError::io("open", &path, source))?;
            file.lock().map_err(|source| ActError::io("lock", &path, source))?;
            Ok(file)
        });
        locking.await.map_err(|error| ActError::outside("failed to lock the inbox", error))?
    }

    async fn complete_taken(&self) -> Result<(), ActError> {
        for path in lying(&self.home().inbox())? {
            let packed = std::fs::read(&path).map_err(|source| ActError::io("read", &path, source))?;
            let taken = match unpack(&packed, u64::MAX) {
                Ok(batches) => self.take(batches).await,
                Err(error) => Err(error),
            };
            match taken {
                Ok(()) => remove(&path)?,
                // A damaged disk; or another chain of its sensor, as when a database was restored.
                Err(error @ ActError::Input { .. }) => set_aside(&path, &error)?,
                Err(error) if is_conflict(&error) => set_aside(&path, &error)?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Commits checked batches of one sensor that lie in the inbox.
    async fn take(&self, batches: Vec<Batch>) -> Result<(), ActError> {
        let (casework, org) = (self.casework(), self.org());
        let Some(sensor) = batches.first().map(|batch| batch.header.sensor_id) else { return Ok(()) };
        let mut new = Vec::new();
        for batch in batches {
            let receipt = receipt(&batch)?;
            match casework.receive_batch(org, &receipt, self.now()).await? {
                BatchState::Received => new.push(batch),
                BatchState::Committed => {}
                BatchState::Superseded => tracing::info!(
                    %sensor, sequence = receipt.sequence, survey = %receipt.survey_id, slice = receipt.slice,
                    "another sensor's batch of this slice came first"
                ),
            }
        }
        let Some(last) = new.last().map(|batch| batch.header.sequence) else {
            self.lagging(sensor, self.catch_up_with(sensor).await);
            return Ok(());
        };
        let (lake, now) = (self.lake().await?, self.now());
        let held = lake.last_sequence(sensor).await?.unwrap_or_default();
        let committed = lake.commit(&new, now).await?;
        casework.batches_committed(sensor, last).await?;
        self.lagging(sensor, self.bring_up(sensor, &new, now, held, committed.completed).await);
        Ok(())
    }

    /// Makes up for what the view missed of any sensor, as after a crash between lake and view.
    async fn catch_up_all(&self) -> Result<(), ActError> {
        for sensor in self.lake().await?.progress().await?.into_keys() {
            self.lagging(sensor, self.catch_up_with(sensor).await);
        }
        Ok(())
    }

    /// The view is computed from what is safe: when it cannot be, it lags, and is made up for with the
    /// next shipment, at the next start, or by `kenshin lake rebuild`.
    fn lagging(&self, sensor: SensorId, folded: Result<(), ActError>) {
        if let Err(error) = folded {
            self.inner.view_lags.store(true, Ordering::Relaxed);
            tracing::warn!(%error, %sensor, "the current view lags behind the lake");
        }
    }
}

/// Keeps a shipment until the lake has it; survives a crash.
fn keep(inbox: &Path, batches: &[Batch]) -> Result<PathBuf, ActError> {
    let header = &batches[0].header;
    let path = inbox.join(format!("{}-{:012}.{SHIPMENT}", header.sensor_id, header.sequence));
    write_bytes_whole(&path, &pack(batches)?)?;
    Ok(path)
}

/// True when a batch does not continue its sensor's chain.
fn is_conflict(error: &ActError) -> bool {
    matches!(error, ActError::Casework(error) if error.kind() == ErrorKind::Conflict)
}

fn set_aside(path: &Path, error: &ActError) -> Result<(), ActError> {
    tracing::error!(%error, path = %path.display(), "a shipment that was taken is set aside; look at it yourself");
    std::fs::rename(path, path.with_extension("refused"))
        .map_err(|source| ActError::io("set aside", path, source))
}

fn remove(path: &Path) -> Result<(), ActError> {
    std::fs::remove_file(path).map_err(|source| ActError::io("remove", path, source))
}

/// Shipments that were taken and are not known to be in the lake.
fn lying(inbox: &Path) -> Result<Vec<PathBuf>, ActError> {
    let entries = std::fs::read_dir(inbox).map_err(|source| ActError::io("read", inbox, source))?;
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == SHIPMENT))
        .collect();
    paths.sort();
    Ok(paths)
}

fn receipt(batch: &Batch) -> Result<Receipt, ActError> {
    let header = &batch.header;
    Ok(Receipt {
        sensor_id: header.sensor_id,
        sequence: header.sequence,
        digest: header.digest(),
        previous: header.previous.clone(),
        survey_id: header.survey_id,
        slice: header.slice,
        header: serde_json::to_value(header).map_err(|e| ActError::outside("failed to keep a header", e))?,
    })
}

/// A batch is what its sensor signed, and speaks of the slice it names and of nothing else.
fn check(
    batch: &Batch,
    sensor: SensorId,
    org: OrgId,
    key: &VerifyingKey,
    plans: &HashMap<SurveyId, Held>,
) -> Result<(), ActError> {
    let header = &batch.header;
    let refused = |why: String| {
        ActError::no(format!("batch {} of sensor {} is refused: {why}", header.sequence, header.sensor_id))
    };
    if header.sensor_id != sensor {
        return Err(refused(format!("it came among those of sensor {sensor}")));
    }
    batch.verify(key.inner()).map_err(|error| refused(error.to_string()))?;
    let (plan, space) = match &plans[&header.survey_id] {
        Held::Planned(planned) => &**planned,
        Held::Imported => {
            let of_file = |row: &Observation| {
                Origin::of(row).is_some_and(|origin| {
                    let ids = (origin.survey_id(org), origin.sensor_id(org), org);
                    origin.sha256() == header.mandate_digest
                        && ids == (row.survey_id, row.sensor_id, row.org_id)
                        && row.survey_id == header.survey_id
                })
            };
            return match batch.observations.iter().all(of_file) && batch.coverage.is_empty() {
                true => Ok(()),
                false => Err(refused("its rows are not those of one imported file".to_owned())),
            };
        }
    };
    if header.mandate_digest != plan.mandate_digest {
        return Err(refused("it was measured under another mandate than its survey".to_owned()));
    }
    let slice = u64::try_from(header.slice).ok().filter(|slice| *slice < space.slices());
    let Some(slice) = slice.map(|number| space.slice(number)) else {
        return Err(refused(format!("the survey has no slice {}", header.slice)));
    };
    let ours = slice.index_from..slice.index_to();
    let mut spoken = HashSet::new();
    for row in &batch.observations {
        let belongs = row.survey_id == header.survey_id
            && row.sensor_id == sensor
            && row.org_id == plan.org_id
            && row.mandate_id == plan.mandate_id
            && space.index_of(row.subject).is_some_and(|index| ours.contains(&index));
        if !belongs {
            return Err(refused(format!(
                "its row about {} is not one of slice {}",
                row.subject, slice.number
            )));
        }
        if !spoken.insert((row.subject, row.check)) {
            return Err(refused(format!("two outcomes of `{}` at {}", row.check, row.subject)));
        }
    }
    for row in &batch.coverage {
        let ends = (u64::try_from(row.index_from), u64::try_from(row.index_to));
        let within = matches!(ends, (Ok(from), Ok(to)) if ours.start <= from && from <= to && to <= ours.end);
        if !within || (row.survey_id, row.sensor_id) != (header.survey_id, sensor) {
            return Err(refused(format!("its coverage is not that of slice {}", slice.number)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
