//! Of what a current view is made: of all observations, or of those under some mandates.

use std::collections::BTreeSet;
use std::fmt;

use kenshin_observation::schema::{ServiceRow, Table};
use kenshin_observation::{Observation, Tlp};
use sha2::{Digest, Sha256};

/// Of which observations a current view is made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Extent {
    /// Of all.
    All,
    /// Of those that were made under some mandates, as if there were no others.
    Mandates(Mandates),
}

/// What some mandates bring: all of it, or as much as its labels let a community see.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mandates {
    ids: Vec<String>,
    shared: bool,
}

impl Mandates {
    /// All that these bring; none without a mandate.
    pub fn new(ids: impl IntoIterator<Item = String>) -> Option<Self> {
        let ids: BTreeSet<String> = ids.into_iter().collect();
        Some(Self { ids: ids.into_iter().collect(), shared: false })
            .filter(|mandates| !mandates.ids.is_empty())
    }

    /// Of that, what a community outside of the organisation may see ([`Tlp::FOR_COMMUNITIES`]).
    #[must_use]
    pub fn shared(self) -> Self {
        Self { shared: true, ..self }
    }

    /// Ids of the mandates, each once, in order.
    pub fn ids(&self) -> &[String] {
        &self.ids
    }

    /// Labels that limit it further; none when it is not limited by labels.
    pub fn labels(&self) -> Option<&'static [Tlp]> {
        self.shared.then_some(&Tlp::FOR_COMMUNITIES)
    }

    /// True for what was made under one of these mandates and bears a label that may be seen.
    pub fn contains(&self, mandate_id: &str, label: &str) -> bool {
        self.ids.iter().any(|mandate| mandate == mandate_id)
            && self.labels().is_none_or(|labels| labels.iter().any(|tlp| tlp.as_str() == label))
    }
}

impl fmt::Display for Mandates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.ids.join(", "))?;
        if self.shared { f.write_str(", as far as it may be shared") } else { Ok(()) }
    }
}

impl Extent {
    /// True when an observation is part of it.
    pub fn contains(&self, observation: &Observation) -> bool {
        match self {
            Self::All => true,
            Self::Mandates(mandates) => mandates.contains(&observation.mandate_id, observation.tlp.as_str()),
        }
    }

    /// Where its table is, below the lake.
    pub(crate) fn folder(&self) -> String {
        match self {
            Self::All => ServiceRow::NAME.to_owned(),
            // No two may share one, whoever chooses ids.
            Self::Mandates(Mandates { ids, shared }) => {
                let told = serde_json::json!([ids, shared]).to_string();
                format!("{VIEWS}/{}", hex::encode(Sha256::digest(told)))
            }
        }
    }
}

/// Folder of the views that are not made of all observations.
pub(crate) const VIEWS: &str = "views";
