//! The hub's side of sensors apart from it: enrolment, what authorises them, what they pass on.

use kenshin_casework::{Actor, NewOptOut, NewSensor, SensorRecord, Suppression, SuppressionKind};
use kenshin_observation::{Prefix, SensorId};

use crate::Observatory;
use crate::error::ActError;
use crate::hub::{Enrolled, LeaveAlone, Papers};

/// Seconds for which an enrolment token is good.
pub const TOKEN_S: i64 = 24 * 3_600;

impl Observatory {
    /// Makes a token with which one sensor can enrol, within a day.
    pub async fn new_sensor_token(&self, name: &str, actor: &Actor) -> Result<String, ActError> {
        Ok(self.casework().new_sensor_token(self.org(), name, actor, self.now(), TOKEN_S).await?)
    }

    /// Enrols a sensor that has proved to hold the key it names.
    pub async fn enrol_sensor(&self, token: &str, sensor: &NewSensor) -> Result<Enrolled, ActError> {
        let (org_id, record) = self.casework().enrol_sensor(token, sensor, self.now()).await?;
        Ok(Enrolled { organisation: self.settings().organisation.clone(), org_id, name: record.name })
    }

    /// A sensor of this organisation whose key counts.
    pub async fn active_sensor(&self, id: SensorId) -> Result<Option<SensorRecord>, ActError> {
        let found = self.casework().sensor(id).await?;
        Ok(found.filter(|(org, sensor)| *org == self.org() && sensor.retired_at.is_none()).map(|(_, s)| s))
    }

    /// What authorises under a mandate, as it lies in this home. It is handed out as it is: whoever
    /// measures verifies it.
    pub fn papers(&self, mandate_id: &str) -> Result<Papers, ActError> {
        self.authority().papers(mandate_id)
    }

    /// Takes what somebody asked at a courtesy page: an address is left out of everything at once, a
    /// prefix waits for a person.
    pub async fn leave_alone(&self, request: &LeaveAlone, sensor: Option<SensorId>) -> Result<(), ActError> {
        match request {
            LeaveAlone::Address { addr } => {
                let actor = Actor::rule("courtesy-page");
                self.leave_out(Prefix::host(*addr), None, &actor).await
            }
            LeaveAlone::Prefix(asked) => {
                Ok(self.casework().request_opt_out(self.org(), asked, sensor, self.now()).await?)
            }
        }
    }

    /// Decides a request about a prefix: accepted with the reference to its proof, or declined.
    pub async fn decide_opt_out(
        &self,
        id: &str,
        proof: Option<&str>,
        actor: &Actor,
    ) -> Result<NewOptOut, ActError> {
        let asked = self.casework().open_opt_out(self.org(), id).await?.asked;
        // The list first: a crash in between leaves a request open whose prefix is left alone.
        if let Some(proof) = proof.map(str::trim).filter(|proof| !proof.is_empty()) {
            self.leave_out(asked.prefix, Some(proof), actor).await?;
        }
        self.casework().decide_opt_out(self.org(), id, proof, actor, self.now()).await?;
        Ok(asked)
    }

    /// The narrowing list has it first, because it is what every gate reads.
    async fn leave_out(&self, prefix: Prefix, proof: Option<&str>, actor: &Actor) -> Result<(), ActError> {
        match proof {
            None => self.authority().opt_out(prefix.base())?,
            Some(proof) => self.authority().opt_out_prefix(prefix, proof)?,
        };
        let known = self.casework().suppressions(self.org(), self.now()).await?;
        if known.iter().any(|held| held.kind == SuppressionKind::OptOut && held.prefix == prefix) {
            return Ok(());
        }
        let suppression = Suppression {
            kind: SuppressionKind::OptOut,
            prefix,
            reason: "opt-out".to_owned(),
            proof: proof.map(str::to_owned),
            created_at: self.now(),
            until: None,
        };
        Ok(self.casework().suppress(self.org(), &suppression, actor, self.now()).await?)
    }
}
