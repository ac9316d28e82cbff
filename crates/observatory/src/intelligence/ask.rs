//! What is known of one version of one product, and who says it.

use kenshin_insight::intelligence::{Day, Intelligence, IntelligenceKind, Match, Status};
use serde::Serialize;

use crate::Observatory;
use crate::error::ActError;

/// A vulnerability of which some record names the product.
#[derive(Debug, Clone, Serialize)]
pub struct Known {
    /// The vulnerability.
    pub cve: String,
    /// What is said of the version: *unknown* where nobody decides, or two contradict each other.
    pub status: Status,
    /// Who decided: `record` with the source of its entry, or the document and its publisher.
    pub by: Option<String>,
    /// Why not affected, as a VEX statement labels it.
    pub justification: Option<String>,
    /// What to do, in the publisher's words.
    pub remedy: Option<String>,
    /// Snapshot that the word is of.
    pub snapshot: Option<String>,
    /// Since when it is known to be exploited.
    pub exploited_since: Option<Day>,
    /// Title of its record.
    pub title: Option<String>,
    /// Identifier and title of JVN iPedia.
    pub jvn: Option<(String, String)>,
}

impl Observatory {
    /// Every vulnerability of which a record, an advisory or a package names a product, with what they
    /// say of `version`.
    pub async fn known(&self, vendor: &str, product: &str, version: &str) -> Result<Vec<Known>, ActError> {
        let intelligence = self.intelligence().await?;
        let found = intelligence.matches(vendor, product, version);
        Ok(found.into_iter().map(|found| known(&intelligence, found)).collect())
    }
}

fn known(intelligence: &Intelligence, Match { cve, status, entry, said }: Match<'_>) -> Known {
    let by = match (said, entry) {
        (Some(said), _) if said.publisher.is_empty() => Some(said.document.to_owned()),
        (Some(said), _) => Some(format!("{} ({})", said.document, said.publisher)),
        (None, Some(entry)) => Some(format!("record ({})", entry.source)),
        (None, None) => None,
    };
    let snapshot = match said {
        Some(said) => Some(intelligence.source_of(said)),
        None => entry.and_then(|_| intelligence.source(IntelligenceKind::Cve, cve.id)),
    };
    Known {
        cve: cve.id.to_string(),
        status,
        by,
        justification: said.and_then(|said| said.justification).map(str::to_owned),
        remedy: said.and_then(|said| said.remedy).map(str::to_owned),
        snapshot,
        exploited_since: intelligence.kev(cve.id).map(|kev| kev.added),
        title: cve.title.clone(),
        jvn: intelligence.jvn(cve.id).map(|jvn| (jvn.id.clone(), jvn.title.clone())),
    }
}
