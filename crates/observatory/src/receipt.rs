//! Batches arrive: verified, held against the survey's plan, committed once, acknowledged.

use std::collections::HashMap;

use kenshin_casework::{BatchState, Receipt};
use kenshin_exchange::Origin;
use kenshin_observation::{Batch, Observation, OrgId, SensorId, SurveyId};
use kenshin_survey::plan::SurveyPlan;
use kenshin_survey::space::Space;

use crate::Observatory;
use crate::error::ActError;
use crate::signed::VerifyingKey;

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
        let (casework, org) = (self.casework(), self.org());
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
                let space = plan.space().map_err(|e| ActError::outside("the plan has no target space", e))?;
                vacant.insert(Held::Planned(Box::new((plan, space))));
            }
        }
        let checking = tokio::task::spawn_blocking(move || {
            batches.iter().try_for_each(|batch| check(batch, sensor, org, &key, &plans)).map(|()| batches)
        });
        let batches =
            checking.await.map_err(|error| ActError::outside("failed to check batches", error))??;
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
        let Some(last) = new.last().map(|batch| batch.header.sequence) else { return Ok(()) };
        self.lake().await?.commit(&new, self.now()).await?;
        Ok(casework.batches_committed(sensor, last).await?)
    }
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
