//! Identity and findings of many hosts, fast: what follows from what a host says is worked out once
//! for all that say the same.

use std::collections::HashMap;
use std::sync::Arc;

use kenshin_observation::{AssetId, Finding, Identity, Observation, TimeUs};

use crate::decoy::of_devices;
use crate::finding::{Conclusion, conclusions, findings_by, is_distribution};
use crate::fingerprint::Packs;
use crate::identity::{Sighting, identify_host, sightings};
use crate::intelligence::Intelligence;

/// Different hosts that are remembered; beyond it everything is forgotten and learned anew.
const MEMORY_MAX: usize = 200_000;

/// Answers as [`crate::identity::identify`] and [`crate::finding::findings`] do, and remembers. Today's
/// assessment and a retrospect over old observations are the same work with other knowledge.
///
/// ```
/// use kenshin_insight::{Assessor, fingerprint::Packs, intelligence::Intelligence};
/// use kenshin_observation::{AssetId, TimeUs};
/// let (packs, intelligence, now) = (Packs::own(), Intelligence::default(), TimeUs::from_secs(1_800_000_000));
/// let mut assessor = Assessor::new(&packs, &intelligence, now);
/// let assessed = assessor.assess(AssetId::new(now, 1), &[]);
/// assert!(assessed.identity.is_unknown() && assessed.findings.is_empty());
/// ```
pub struct Assessor<'a> {
    packs: &'a Packs,
    intelligence: &'a Intelligence,
    now: TimeUs,
    memory: HashMap<Vec<Sighting>, Arc<Learned>>,
}

/// What follows from what a host says.
struct Learned {
    identity: Arc<Identity>,
    conclusions: Vec<Conclusion>,
}

/// What one asset is, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessed {
    /// What it is; shared by all assets that say the same.
    pub identity: Arc<Identity>,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
}

impl<'a> Assessor<'a> {
    /// An assessor by this knowledge on this day.
    pub fn new(packs: &'a Packs, intelligence: &'a Intelligence, now: TimeUs) -> Self {
        Self { packs, intelligence, now, memory: HashMap::new() }
    }

    /// What the host that all of `observations` saw is.
    pub fn identity(&mut self, observations: &[&Observation]) -> Arc<Identity> {
        Arc::clone(&self.learn(&of_devices(observations)).identity)
    }

    /// What an asset is and what is wrong with it, by its observations of one round.
    pub fn assess(&mut self, asset_id: AssetId, observations: &[&Observation]) -> Assessed {
        let devices = of_devices(observations);
        let learned = self.learn(&devices);
        let findings = findings_by(asset_id, &devices, &learned.identity, &learned.conclusions, self.now);
        Assessed { identity: Arc::clone(&learned.identity), findings }
    }

    fn learn(&mut self, observations: &[&Observation]) -> Arc<Learned> {
        let said = sightings(observations);
        if let Some(learned) = self.memory.get(&said) {
            return Arc::clone(learned);
        }
        let identity = identify_host(&said, self.packs);
        let distribution = is_distribution(observations);
        let conclusions = conclusions(&identity, distribution, self.intelligence, self.now);
        let learned = Arc::new(Learned { identity: Arc::new(identity), conclusions });
        if self.memory.len() >= MEMORY_MAX {
            self.memory.clear();
        }
        self.memory.insert(said, Arc::clone(&learned));
        learned
    }
}
