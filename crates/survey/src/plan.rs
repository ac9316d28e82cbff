//! The plan of a survey: what will be asked, in which order, how gently. Making one sends nothing.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use kenshin_mandate::{AddressSet, Mandate, Narrowing, NotEnumerable, VerifiedMandate};
use kenshin_observation::{Check, Endpoint, OrgId, Prefix, SensorId, SurveyId, TimeUs, Tlp};
use kenshin_wire::dns::Name;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::permutation::PermutationKey;
use crate::probe;
use crate::space::{Port, Space, SpaceError};

mod summary;

pub use summary::{ExcludedCount, PlanSummary};

/// Version of the plan format written today.
pub const VERSION: u32 = 1;

/// Most connections at one address at any time (DESIGN.md §6); no plan can raise it.
pub const CONNECTIONS_PER_ADDRESS_MAX: u32 = 2;

/// Most targets of a slice: it is held in memory and sealed as one batch.
pub const SLICE_TARGETS_MAX: u64 = 1 << 22;

/// Most canaries of a survey.
pub const CANARIES_MAX: usize = 256;

/// Most targets of a survey: at ten million a second, 29,000 years.
pub const TARGETS_MAX: u64 = i64::MAX as u64;

/// What will be asked, in which order, how gently. Stored with the survey as JSON; a survey is
/// resumed only with the plan it was begun with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SurveyPlan {
    /// Format version, [`VERSION`].
    pub version: u32,
    /// The survey.
    pub survey_id: SurveyId,
    /// Owner of its rows.
    pub org_id: OrgId,
    /// Who may see its rows.
    pub tlp: Tlp,
    /// When it was made.
    pub created_at: TimeUs,
    /// Mandate it stands on.
    pub mandate_id: String,
    /// SHA-256 of the mandate's text, hexadecimal.
    pub mandate_digest: String,
    /// Addresses, as the fewest prefixes that hold exactly them.
    pub targets: Vec<Prefix>,
    /// TCP ports, ascending.
    pub ports: Vec<u16>,
    /// UDP ports, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub udp_ports: Vec<u16>,
    /// An echo request too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub echo: bool,
    /// What becomes of targets that say nothing.
    #[serde(default, skip_serializing_if = "Silence::is_rows")]
    pub silence: Silence,
    /// Hosts inside the mandate that the operator knows to be up: asked again and again, they tell what
    /// the network loses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub canaries: Vec<Endpoint>,
    /// Checks that will be made; `sweep` is always one.
    pub checks: BTreeSet<Check>,
    /// Selects the order.
    pub permutation_key: PermutationKey,
    /// How gently, how many at once, how often.
    #[serde(flatten)]
    pub manner: Manner,
    /// Dictionary of a credential check.
    pub dictionary: Option<DictionaryRef>,
    /// Zone of the operator below which name servers are asked for new names, to tell whether they
    /// look names up for anybody; without one that is left out of `reflector`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recursion_zone: Option<String>,
}

/// What becomes of targets that say nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Silence {
    /// Each has a row.
    #[default]
    Rows,
    /// A target that coverage includes and that has no sweep row was silent: `dark` when no other
    /// row of its address in the survey tells of life, else `silent-host-alive`. Of a hundred
    /// silent targets, none costs anything.
    Coverage,
}

impl Silence {
    fn is_rows(&self) -> bool {
        *self == Self::Rows
    }
}

/// How a survey goes about it. There are no defaults for these: [`Manner::INTERNET`] and
/// [`Manner::LOCAL`] are choices to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manner {
    /// Addresses of a slice.
    pub slice_addresses: u32,
    /// Slices worked on at the same time. More of them keep the whole rate used when the rate of
    /// an address is low.
    pub slices_max: u32,
    /// Most connections at any time, also held to the descriptors there are.
    pub connections_max: u32,
    /// How often a slice is begun before it is given up.
    pub attempts_max: u32,
    /// What happens to a silent target.
    pub retry: Retry,
    /// Bounds of every conversation.
    pub limits: ConversationLimits,
    /// Most attempts of the dictionary at one device, ever.
    pub credential_attempts_max: u32,
}

/// What happens to a target that says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// How often it is asked within one attempt of its slice, at least 1.
    pub asks_max: u32,
    /// Pause before it is asked again, ms.
    pub pause_ms: u64,
    /// After this many silent ports in a row at a host that had answered, the host is asked again
    /// where it had answered; when it is silent there too, it is left alone. 0: never.
    pub breaker_after: u32,
}

/// Bounds of every conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationLimits {
    /// Longest wait for a connection, ms.
    pub connect_ms: u64,
    /// How long a service may take to speak first, ms.
    pub listen_ms: u64,
    /// Longest silence after a question, ms.
    pub answer_ms: u64,
    /// Longest life of a connection, ms.
    pub conversation_ms: u64,
    /// Most bytes read from a connection.
    pub bytes_max: u64,
    /// Most reads from a connection.
    pub steps_max: u32,
    /// Most connections of a probe for one check.
    pub connections_max: u32,
}

/// A dictionary by its digest, and the recipes that belong to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DictionaryRef {
    /// The pairs.
    #[serde(flatten)]
    pub pairs: FileRef,
    /// Where they go on pages and streams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipes: Option<FileRef>,
}

/// A file by its digest; it stays where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRef {
    /// Where the sensor reads it.
    pub path: PathBuf,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
}

/// What a plan is asked for.
#[derive(Debug, Clone)]
pub struct PlanRequest {
    /// The survey.
    pub survey_id: SurveyId,
    /// Owner of its rows.
    pub org_id: OrgId,
    /// Who may see its rows.
    pub tlp: Tlp,
    /// The sensor that will do it; `None` for all that the mandate names, side by side.
    pub sensor_id: Option<SensorId>,
    /// Addresses; `None` for all the mandate's targets.
    pub targets: Option<AddressSet>,
    /// TCP ports; `None` for all the mandate grants.
    pub ports: Option<Vec<u16>>,
    /// UDP ports.
    pub udp_ports: Vec<u16>,
    /// An echo request too.
    pub echo: bool,
    /// What becomes of targets that say nothing.
    pub silence: Silence,
    /// Hosts that are known to be up.
    pub canaries: Vec<Endpoint>,
    /// Checks; `None` for all the mandate grants, a credential check only with a dictionary.
    pub checks: Option<BTreeSet<Check>>,
    /// Selects the order; drawn at the edge.
    pub permutation_key: PermutationKey,
    /// How gently.
    pub manner: Manner,
    /// Dictionary, for a credential check.
    pub dictionary: Option<DictionaryRef>,
    /// Zone of the operator, for open recursion.
    pub recursion_zone: Option<String>,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Addresses beyond the mandate were asked for.
    #[error(
        "{count} of the addresses asked for are outside the scope of mandate `{mandate}`, the first is {first}; hint: ask for fewer, or get a mandate for them"
    )]
    OutsideScope {
        /// The mandate.
        mandate: String,
        /// How many.
        count: u128,
        /// The lowest of them.
        first: std::net::IpAddr,
    },
    /// A port beyond the mandate was asked for.
    #[error("{port} is not granted by mandate `{mandate}`; hint: leave it out, or get a mandate for it")]
    Port {
        /// The mandate.
        mandate: String,
        /// The port.
        port: Port,
    },
    /// A check beyond the mandate was asked for.
    #[error(
        "the check `{check}` is not granted by mandate `{mandate}`; hint: leave it out, or get a mandate for it"
    )]
    Check {
        /// The mandate.
        mandate: String,
        /// The check.
        check: Check,
    },
    /// Every survey begins with a sweep.
    #[error("a survey needs the check `sweep`; hint: add it to the checks")]
    NoSweep,
    /// The credential check has no dictionary, or the other way round.
    #[error("a credential check needs a dictionary, and a dictionary the check; hint: give both or neither")]
    Dictionary,
    /// No name can be made below the zone.
    #[error("`{0}` is no zone of a name server; hint: give one of your own, such as probe.example.jp")]
    RecursionZone(String),
    /// More addresses than can be gone through one by one.
    #[error("{0}; hint: {hint}", hint = .0.hint())]
    NotEnumerable(#[from] NotEnumerable),
    /// Nothing to ask, or too much to number.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// A limit that makes no sense.
    #[error("{what} is {value}, and must be from {min} to {max}")]
    Limit {
        /// Which.
        what: &'static str,
        /// Its value.
        value: u64,
        /// Least.
        min: u64,
        /// Most.
        max: u64,
    },
    /// The sensor is not one of the mandate's.
    #[error(
        "sensor {sensor} is not named by mandate `{mandate}`; hint: kenshin mandate show lists its sensors"
    )]
    Sensor {
        /// The mandate.
        mandate: String,
        /// The sensor.
        sensor: String,
    },
    /// The mandate is another one than the plan was made for.
    #[error(
        "the plan was made for mandate `{plan}` ({plan_digest}), not for `{mandate}` ({mandate_digest}); hint: plan again"
    )]
    OtherMandate {
        /// Mandate of the plan.
        plan: String,
        /// Its digest.
        plan_digest: String,
        /// Mandate given.
        mandate: String,
        /// Its digest.
        mandate_digest: String,
    },
    /// Written by a newer version.
    #[error("the plan has format version {0}, this software knows up to {VERSION}")]
    Version(u32),
}

impl Manner {
    /// For strangers on the internet.
    pub const INTERNET: Self = Self {
        slice_addresses: 256,
        slices_max: 16,
        connections_max: 4096,
        attempts_max: 3,
        retry: Retry { asks_max: 2, pause_ms: 1_000, breaker_after: 8 },
        limits: ConversationLimits {
            // Below the second after which the kernel repeats a SYN: so each one was permitted.
            connect_ms: 950,
            listen_ms: 2_000,
            answer_ms: 6_000,
            conversation_ms: 15_000,
            bytes_max: 64 * 1024,
            steps_max: 256,
            connections_max: 4,
        },
        credential_attempts_max: 3,
    };

    /// For millions of strangers, over raw packets: slices of some thousand addresses, of which many
    /// wait for their slowest conversations at a time; a silent target is asked once, and what that
    /// misses is measured.
    pub const SCALE: Self = Self {
        slice_addresses: 4096,
        slices_max: 256,
        connections_max: 32_768,
        retry: Retry { asks_max: 1, ..Self::INTERNET.retry },
        ..Self::INTERNET
    };

    /// For the same machine or room, where a round trip takes a few milliseconds.
    pub const LOCAL: Self = Self {
        slice_addresses: 64,
        slices_max: 16,
        connections_max: 512,
        attempts_max: 3,
        retry: Retry { asks_max: 1, pause_ms: 200, breaker_after: 8 },
        limits: ConversationLimits {
            connect_ms: 700,
            listen_ms: 250,
            answer_ms: 2_500,
            conversation_ms: 8_000,
            bytes_max: 64 * 1024,
            steps_max: 256,
            connections_max: 4,
        },
        credential_attempts_max: 3,
    };
}

impl ConversationLimits {
    /// As the probes take them.
    pub fn probe(&self) -> probe::Limits {
        probe::Limits {
            listen: Duration::from_millis(self.listen_ms),
            answer: Duration::from_millis(self.answer_ms),
            conversation: Duration::from_millis(self.conversation_ms),
            bytes_max: usize::try_from(self.bytes_max).unwrap_or(usize::MAX),
            steps_max: self.steps_max,
            connections_max: self.connections_max,
        }
    }
}

impl SurveyPlan {
    /// Makes a plan under `mandate` and says what it comes to. Addresses that the mandate or
    /// `narrowing` exclude are left out and counted; anything else beyond the mandate is refused.
    pub fn make(
        request: PlanRequest,
        mandate: &VerifiedMandate,
        narrowing: &Narrowing,
        now: TimeUs,
    ) -> Result<(Self, PlanSummary), PlanError> {
        let asked = match &request.targets {
            Some(list) => list.clone(),
            None => mandate.targets.clone().unwrap_or_else(|| mandate.scope.clone()),
        };
        let outside = asked.minus(&mandate.scope);
        if let (Some(first), Some(_)) = (outside.nth(0), &request.targets) {
            let mandate = mandate.id.clone();
            return Err(PlanError::OutsideScope { mandate, count: outside.count(), first });
        }
        let enumerated = mandate.enumerate_list(&asked)?;
        let excluded = summary::excluded(&asked, mandate, narrowing);
        let targets = summary::narrowed(&enumerated, mandate, narrowing);
        let ports = request.ports.unwrap_or_else(|| mandate.ports.tcp.iter().collect());
        let ports: Vec<u16> = BTreeSet::from_iter(ports).into_iter().collect();
        let checks = request.checks.unwrap_or_else(|| grantable(mandate, request.dictionary.is_some()));
        let plan = Self {
            version: VERSION,
            survey_id: request.survey_id,
            org_id: request.org_id,
            tlp: request.tlp,
            created_at: now,
            mandate_id: mandate.id.clone(),
            mandate_digest: mandate.digest().to_owned(),
            targets: targets.prefixes().collect(),
            ports,
            udp_ports: BTreeSet::from_iter(request.udp_ports).into_iter().collect(),
            echo: request.echo,
            silence: request.silence,
            canaries: request.canaries,
            checks,
            permutation_key: request.permutation_key,
            manner: request.manner,
            dictionary: request.dictionary,
            recursion_zone: request.recursion_zone,
        };
        plan.check_against(mandate)?;
        let share = share(mandate, request.sensor_id)?;
        let summary = summary::summarise(&plan, &targets, mandate, narrowing, share, excluded);
        Ok((plan, summary))
    }

    /// Checks that the mandate allows the plan: whoever executes a plan does this again, however
    /// the plan came to it.
    pub fn check_against(&self, mandate: &Mandate) -> Result<(), PlanError> {
        let name = || mandate.id.clone();
        if self.version > VERSION {
            return Err(PlanError::Version(self.version));
        }
        if self.mandate_digest != mandate.digest() {
            return Err(PlanError::OtherMandate {
                plan: self.mandate_id.clone(),
                plan_digest: self.mandate_digest.clone(),
                mandate: name(),
                mandate_digest: mandate.digest().to_owned(),
            });
        }
        let space = self.space()?;
        // Coverage is stored with signed positions.
        if space.targets() > TARGETS_MAX {
            let (what, value) = ("targets", space.targets());
            return Err(PlanError::Limit { what, value, min: 1, max: TARGETS_MAX });
        }
        let outside = space.addresses().minus(&mandate.scope);
        if let Some(first) = outside.nth(0) {
            return Err(PlanError::OutsideScope { mandate: name(), count: outside.count(), first });
        }
        mandate.enumerate_list(space.addresses())?;
        let granted = |port: &&Port| !mandate.ports.contains(port.number, port.transport);
        if let Some(port) = self.all_ports().iter().find(granted) {
            return Err(PlanError::Port { mandate: name(), port: *port });
        }
        for check in &self.checks {
            if !mandate.grants(*check) {
                return Err(PlanError::Check { mandate: name(), check: *check });
            }
        }
        if let Some(canary) = self.canaries.iter().find(|canary| !mandate.scope.contains(canary.addr)) {
            return Err(PlanError::OutsideScope { mandate: name(), count: 1, first: canary.addr });
        }
        if self.canaries.len() > CANARIES_MAX {
            let (what, value) = ("canaries", self.canaries.len() as u64);
            return Err(PlanError::Limit { what, value, min: 0, max: CANARIES_MAX as u64 });
        }
        if !self.checks.contains(&Check::Sweep) {
            return Err(PlanError::NoSweep);
        }
        if self.checks.contains(&Check::CredentialCheck) != self.dictionary.is_some() {
            return Err(PlanError::Dictionary);
        }
        if let Some(zone) = &self.recursion_zone
            && Name::from_text(zone).and_then(|zone| zone.child(&"0".repeat(16))).is_none()
        {
            return Err(PlanError::RecursionZone(zone.clone()));
        }
        let slice_targets = u64::from(self.manner.slice_addresses) * self.all_ports().len() as u64;
        if slice_targets > SLICE_TARGETS_MAX {
            let what = "slice_addresses × ports";
            return Err(PlanError::Limit { what, value: slice_targets, min: 1, max: SLICE_TARGETS_MAX });
        }
        self.manner.check()
    }

    /// Everything that is asked at an address, ascending.
    pub fn all_ports(&self) -> Vec<Port> {
        let tcp = self.ports.iter().copied().map(Port::tcp);
        let udp = self.udp_ports.iter().copied().map(Port::udp);
        tcp.chain(udp).chain(self.echo.then_some(Port::ECHO)).collect()
    }

    /// The target space, in its order.
    pub fn space(&self) -> Result<Space, SpaceError> {
        let addresses = self.targets.iter().copied().collect();
        Space::new(addresses, self.all_ports(), self.manner.slice_addresses, self.permutation_key)
    }

    /// SHA-256 of the plan, hexadecimal: what a journal belongs to.
    pub fn digest(&self) -> String {
        hex::encode(Sha256::digest(serde_json::to_vec(self).expect("plans serialise to JSON")))
    }
}

impl Manner {
    fn check(&self) -> Result<(), PlanError> {
        let limits = &self.limits;
        let checks = [
            ("slice_addresses", self.slice_addresses.into(), 1, 1 << 16),
            ("slices_max", self.slices_max.into(), 1, 1024),
            ("connections_max", self.connections_max.into(), 1, 1 << 20),
            ("attempts_max", self.attempts_max.into(), 1, 10),
            ("retry.asks_max", self.retry.asks_max.into(), 1, 5),
            ("retry.pause_ms", self.retry.pause_ms, 0, 600_000),
            ("limits.connect_ms", limits.connect_ms, 1, 60_000),
            ("limits.listen_ms", limits.listen_ms, 1, 60_000),
            ("limits.answer_ms", limits.answer_ms, 1, 60_000),
            ("limits.conversation_ms", limits.conversation_ms, 1, 300_000),
            ("limits.bytes_max", limits.bytes_max, 1, 1 << 20),
            ("limits.steps_max", limits.steps_max.into(), 1, 1 << 16),
            ("limits.connections_max", limits.connections_max.into(), 1, 16),
            ("credential_attempts_max", self.credential_attempts_max.into(), 1, 32),
        ];
        match checks.into_iter().find(|(_, value, min, max)| value < min || value > max) {
            Some((what, value, min, max)) => Err(PlanError::Limit { what, value, min, max }),
            None => Ok(()),
        }
    }
}

/// What the mandate grants, a credential check only with a dictionary.
fn grantable(mandate: &Mandate, dictionary: bool) -> BTreeSet<Check> {
    let made = |check: &Check| *check != Check::CredentialCheck || dictionary;
    mandate.checks.iter().copied().filter(made).collect()
}

/// The share of every rate of those who will do it, in percent.
fn share(mandate: &Mandate, sensor: Option<SensorId>) -> Result<u8, PlanError> {
    let Some(id) = sensor else {
        // Shares never sum above the whole.
        return Ok(mandate.sensors.iter().map(|sensor| sensor.share_percent).sum());
    };
    mandate
        .sensor(id)
        .map(|sensor| sensor.share_percent)
        .ok_or_else(|| PlanError::Sensor { mandate: mandate.id.clone(), sensor: id.to_string() })
}
