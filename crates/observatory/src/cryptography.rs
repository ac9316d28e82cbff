//! Figures of cryptography by provider and year, from the lake as it is.

use std::ops::ControlFlow;

use kenshin_insight::cryptography::{Census, Figures};
use kenshin_lake::Selection;
use kenshin_observation::{Observation, ProviderId};
use serde::Serialize;

use crate::Observatory;
use crate::error::ActError;

/// By what endpoints are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouping {
    /// By provider and year.
    Both,
    /// By provider, each endpoint as it was last seen in any year.
    Provider,
    /// By year, whoever the provider is.
    Year,
}

/// Figures of one group.
#[derive(Debug, Clone, Serialize)]
pub struct CryptoRow {
    /// Name of the provider; null for addresses of none, and where years alone are asked for.
    pub provider: Option<String>,
    /// Year of the observations (UTC); null where providers alone are asked for.
    pub year: Option<String>,
    /// The figures.
    #[serde(flatten)]
    pub figures: Figures,
}

impl Observatory {
    /// Of how many endpoints the cryptography is weak, or ready for what comes; each counted once a
    /// group, as it was last seen there. Only rows that spoke are read.
    pub async fn crypto_figures(&self, by: Grouping) -> Result<Vec<CryptoRow>, ActError> {
        let map = self.casework().provider_map(self.org()).await?;
        let mut census: Census<(Option<ProviderId>, Option<String>)> = Census::default();
        let selection = Selection { spoken_only: true, ..Selection::default() };
        let group = |observation: &Observation| {
            let provider = map.find(observation.subject.addr);
            let year = observation.time.to_string().get(..4).map(str::to_owned);
            match by {
                Grouping::Both => (provider, year),
                Grouping::Provider => (provider, None),
                Grouping::Year => (None, year),
            }
        };
        let lake = self.lake().await?;
        lake.each_observation(&selection, |observation| {
            census.add(group(&observation), &observation);
            ControlFlow::Continue(())
        })
        .await?;
        let names = self.names_of_providers().await?;
        let rows = census.figures().into_iter().map(|((provider, year), figures)| CryptoRow {
            provider: provider.map(|id| names.get(&id).cloned().unwrap_or_else(|| id.to_string())),
            year,
            figures,
        });
        let mut rows: Vec<CryptoRow> = rows.collect();
        rows.sort_by(|a, b| (&a.provider, &a.year).cmp(&(&b.provider, &b.year)));
        Ok(rows)
    }
}
