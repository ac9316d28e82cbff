//! The hub in the same process: the sensor of the hub's own machine.

use async_trait::async_trait;
use kenshin_casework::{AssessmentSummary, NewSensor, SurveyState};
use kenshin_observation::{Batch, SensorId};
use kenshin_survey::progress::Progress;
use kenshin_survey::spool::Spool;
use tokio::sync::OnceCell;

use super::{Held, Hub, Lease, LeaveAlone, Papers, Pulse, ShardEnd};
use crate::Observatory;
use crate::error::ActError;
use crate::receipt::Shipper;
use crate::signed::VerifyingKey;

/// The acts of an observatory, for the sensor of its own machine.
pub(crate) struct Here {
    observatory: Observatory,
    sensor: SensorId,
    key: VerifyingKey,
    /// As the registry is told at first.
    own: NewSensor,
    known: OnceCell<()>,
}

impl Here {
    pub(crate) fn new(observatory: &Observatory, spool: &Spool) -> Result<Self, ActError> {
        let sensor = spool.sensor();
        let own = new_sensor(spool)?;
        Ok(Self {
            observatory: observatory.clone(),
            sensor: sensor.id,
            key: sensor.into(),
            own,
            known: OnceCell::new(),
        })
    }
}

/// The sensor of a spool, as a registry comes to know it: its chain goes on where the batches begin
/// that still wait.
pub fn new_sensor(spool: &Spool) -> Result<NewSensor, ActError> {
    let (head_sequence, head_digest) = match spool.pending().next() {
        Some(first) => {
            let header = first.map_err(|error| ActError::outside("failed to read the spool", error))?.header;
            (header.sequence - 1, header.previous)
        }
        None => {
            let head = spool.head();
            (head.sequence, head.digest)
        }
    };
    let sensor = spool.sensor();
    Ok(NewSensor { sensor_id: sensor.id, public_key: sensor.public_key_hex(), head_sequence, head_digest })
}

#[async_trait]
impl Hub for Here {
    async fn lease(&self) -> Result<Option<Lease>, ActError> {
        self.observatory.lease_shard(self.sensor).await
    }

    async fn pulse(&self, held: Held, progress: &Progress) -> Result<Pulse, ActError> {
        self.observatory.pulse_shard(self.sensor, held, progress).await
    }

    async fn end(&self, held: Held, end: &ShardEnd) -> Result<Option<AssessmentSummary>, ActError> {
        let survey_id = self.observatory.end_shard(self.sensor, held, end).await?;
        let survey = self.observatory.casework().survey(self.observatory.org(), survey_id).await?;
        match survey.state {
            SurveyState::Finished => self.observatory.assess(survey_id).await,
            _ => Ok(None),
        }
    }

    async fn ship(&self, batches: Vec<Batch>) -> Result<(), ActError> {
        let observatory = &self.observatory;
        self.known
            .get_or_try_init(|| async {
                observatory
                    .casework()
                    .know_own_sensor(observatory.org(), &self.own, observatory.now())
                    .await?;
                Ok::<_, ActError>(())
            })
            .await?;
        observatory.receive(self.key, Shipper::Own, batches).await
    }

    async fn papers(&self, _mandate_id: &str) -> Result<Option<Papers>, ActError> {
        Ok(None)
    }

    async fn leave_alone(&self, request: &LeaveAlone) -> Result<(), ActError> {
        self.observatory.leave_alone(request, Some(self.sensor)).await
    }
}
