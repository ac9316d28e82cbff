//! Where intelligence comes from: the publishers' own addresses, unless `kenshin.toml` names others.

use kenshin_insight::intelligence::IntelligenceKind;
use kenshin_observation::TimeUs;
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::ActError;

/// First year of JVN iPedia's yearly feeds.
const JVN_FIRST_YEAR: u16 = 2002;

/// One file that `kenshin intel update` fetches. Several of one kind become one snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntelSource {
    /// What it is.
    #[serde(deserialize_with = "kind")]
    pub kind: IntelligenceKind,
    /// Its address, `https://` or `http://`.
    pub url: String,
    /// Where it is asked for when that address does not give it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<String>,
    /// Its SHA-256, hexadecimal, or the address of a file that states it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// The word of the list, or the name that the command line has for it.
fn kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IntelligenceKind, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "cve5" => Ok(IntelligenceKind::Cve),
        word => word.parse().map_err(serde::de::Error::custom),
    }
}

impl IntelSource {
    /// A source without mirror and checksum.
    pub fn new(kind: IntelligenceKind, url: impl Into<String>) -> Self {
        Self { kind, url: url.into(), mirror: None, sha256: None }
    }

    /// Refuses what is no address and no checksum.
    pub(crate) fn check(&self, file: &str) -> Result<(), ActError> {
        let refused = |key: &str, text: &str, hint: &str| {
            Err(ActError::input(format!("{file}: intel.{key} `{text}` cannot be used"))
                .with_hint(hint.to_owned()))
        };
        for (key, url) in [("url", Some(&self.url)), ("mirror", self.mirror.as_ref())] {
            if let Some(url) = url.filter(|url| !is_address(url)) {
                return refused(key, url, "write an https:// or http:// address");
            }
        }
        match &self.sha256 {
            Some(text) if !is_address(text) && !is_digest(text) => refused(
                "sha256",
                text,
                "write 64 hexadecimal digits, or the address of a file that states them",
            ),
            _ => Ok(()),
        }
    }
}

pub(super) fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_address(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace))
}

/// The sources of a kind: those of the settings, else the publisher's own.
pub(super) fn sources(settings: &[IntelSource], kind: IntelligenceKind, now: TimeUs) -> Vec<IntelSource> {
    let named: Vec<IntelSource> = settings.iter().filter(|source| source.kind == kind).cloned().collect();
    if !named.is_empty() {
        return named;
    }
    let year = now.to_string().get(..4).and_then(|year| year.parse::<u16>().ok()).unwrap_or(JVN_FIRST_YEAR);
    let urls: Vec<String> = match kind {
        IntelligenceKind::Kev => {
            vec!["https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json".into()]
        }
        // The whole list as one stream of some hundred MiB; its releases are archives in archives.
        IntelligenceKind::Cve => {
            vec!["https://codeload.github.com/CVEProject/cvelistV5/tar.gz/refs/heads/main".into()]
        }
        IntelligenceKind::Epss => {
            vec!["https://epss.empiricalsecurity.com/epss_scores-current.csv.gz".into()]
        }
        IntelligenceKind::EndOfLife => vec!["https://endoflife.date/api/v1/products/full".into()],
        // The ecosystem that is matched by name; others want a bill of materials.
        IntelligenceKind::Osv => {
            vec!["https://storage.googleapis.com/osv-vulnerabilities/OSS-Fuzz/all.zip".into()]
        }
        IntelligenceKind::Jvn => (JVN_FIRST_YEAR..=year)
            .map(|year| format!("https://jvndb.jvn.jp/ja/rss/years/jvndb_{year}.rdf"))
            .collect(),
        IntelligenceKind::Oui => ["oui/oui.csv", "oui28/mam.csv", "oui36/oui36.csv"]
            .map(|path| format!("https://standards-oui.ieee.org/{path}"))
            .into(),
        IntelligenceKind::Asn | IntelligenceKind::Country => {
            vec!["https://iptoasn.com/data/ip2asn-combined.tsv.gz".into()]
        }
        // Every maker publishes its own; the rest is what the operator knows.
        IntelligenceKind::Csaf
        | IntelligenceKind::Sbom
        | IntelligenceKind::ComponentList
        | IntelligenceKind::KnownGood
        | IntelligenceKind::Keys => Vec::new(),
    };
    urls.into_iter().map(|url| IntelSource::new(kind, url)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_replace_the_publishers_addresses_of_a_kind() {
        let now = TimeUs::from_secs(1_790_000_000);
        let named = [IntelSource::new(IntelligenceKind::Kev, "https://mirror.example/kev.json")];
        assert_eq!(sources(&named, IntelligenceKind::Kev, now), named);
        let feeds = sources(&named, IntelligenceKind::Jvn, now);
        assert_eq!(feeds.last().unwrap().url, "https://jvndb.jvn.jp/ja/rss/years/jvndb_2026.rdf");
        assert!(sources(&named, IntelligenceKind::Csaf, now).is_empty());
        for kind in IntelligenceKind::ALL {
            assert!(sources(&[], *kind, now).iter().all(|source| source.check("x").is_ok()), "{kind}");
        }
    }
}
