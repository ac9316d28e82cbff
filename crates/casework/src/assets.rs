//! Assets: the append-only record of which keys and addresses are one device, and how each device
//! was last seen. Insight decides; casework keeps.

use std::net::IpAddr;

use kenshin_observation::{AssetId, DeviceKey, Identity, OrgId, Prefix, ProviderId, SurveyId, TimeUs};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use crate::error::{CaseworkError, Result};
use crate::page::{Page, PageRequest};
use crate::providers::ProviderMap;
use crate::store::{Casework, Columns, Compose, Tx, Value, addr_text, json, query};
use crate::viewer::Viewer;

/// One record about assets; never changed once written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkRecord {
    /// Position in the organisation's record, from 1, without gaps.
    pub sequence: i64,
    /// The round it was decided from.
    pub survey_id: SurveyId,
    /// `link`, `merge`, `split`, `share`, `unbind`.
    pub action: String,
    /// The asset concerned.
    pub asset_id: Option<AssetId>,
    /// The asset that ends (`merge`) or loses something (`split`).
    pub other: Option<AssetId>,
    /// When it was decided.
    pub time: TimeUs,
    /// The whole record as insight wrote it.
    pub body: serde_json::Value,
}

/// An asset seen in a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetSeen {
    /// Which.
    pub asset_id: AssetId,
    /// Where: its lowest address.
    pub addr: IpAddr,
    /// Keys that identify it alone.
    pub keys: Vec<DeviceKey>,
    /// What it was taken for.
    pub identity: Identity,
    /// The sighting as insight wrote it.
    pub sighting: serde_json::Value,
    /// When.
    pub time: TimeUs,
}

/// An asset as it was last seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asset {
    /// Which.
    pub asset_id: AssetId,
    /// Where.
    pub addr: IpAddr,
    /// Who can reach its owner.
    pub provider: Option<ProviderId>,
    /// Keys that identify it alone.
    pub keys: Vec<DeviceKey>,
    /// What it was taken for.
    pub identity: Identity,
    /// The sighting as insight wrote it.
    pub sighting: serde_json::Value,
    /// The asset it continues under, when it was found to be the same device.
    pub merged_into: Option<AssetId>,
    /// First seen.
    pub first_seen: TimeUs,
    /// Last seen.
    pub last_seen: TimeUs,
    /// Last round it was seen in.
    pub last_survey: SurveyId,
}

impl Casework {
    /// The whole record about assets, in order: what insight starts from.
    pub async fn asset_links(&self, org: OrgId) -> Result<Vec<LinkRecord>> {
        let rows = self
            .rows(query("SELECT * FROM asset_link WHERE org_id = $1 ORDER BY sequence").bind(org.to_string()))
            .await?;
        rows.iter()
            .map(|row| {
                Ok(LinkRecord {
                    sequence: row.int("sequence")?,
                    survey_id: row.word("survey_id")?,
                    action: row.text("action")?,
                    asset_id: row.maybe_word("asset_id")?,
                    other: row.maybe_word("other_id")?,
                    time: row.time("at_us")?,
                    body: row.json("body")?,
                })
            })
            .collect()
    }

    /// How each asset was last seen, by id: what insight starts from.
    pub async fn sightings(&self, org: OrgId) -> Result<Vec<(AssetId, serde_json::Value)>> {
        let rows = self
            .rows(
                query("SELECT asset_id, sighting FROM asset WHERE org_id = $1 ORDER BY asset_id")
                    .bind(org.to_string()),
            )
            .await?;
        rows.iter().map(|row| Ok((row.word("asset_id")?, row.json("sighting")?))).collect()
    }

    /// One asset.
    pub async fn asset(&self, viewer: &Viewer, id: AssetId) -> Result<Asset> {
        let mut compose = Compose::new("SELECT a.* FROM asset a WHERE 1 = 1");
        compose.push(" AND a.org_id = ? AND a.asset_id = ?", [viewer.org.to_string(), id.to_string()]);
        viewer.restrict(&mut compose, " AND a.provider_id IN ");
        let row = self.maybe(compose.finish()).await?.ok_or_else(|| CaseworkError::not_found("asset", id))?;
        asset(&row)
    }

    /// Assets by address; last seen in `within`, when that is given.
    pub async fn assets(
        &self,
        viewer: &Viewer,
        within: Option<Prefix>,
        page: &PageRequest,
    ) -> Result<Page<Asset>> {
        let mut compose = Compose::new("SELECT a.* FROM asset a WHERE 1 = 1");
        compose.push(" AND a.org_id = ?", [viewer.org.to_string()]);
        viewer.restrict(&mut compose, " AND a.provider_id IN ");
        if let Some(prefix) = within {
            compose.push(
                " AND a.addr >= ? AND a.addr <= ?",
                [addr_text(prefix.base()), addr_text(prefix.last())],
            );
        }
        if let Some((addr, id)) = page.after.as_deref().and_then(|after| after.split_once('-')) {
            compose.push(" AND (a.addr > ? OR (a.addr = ? AND a.asset_id > ?))", [addr, addr, id]);
        }
        compose.push(" ORDER BY a.addr, a.asset_id LIMIT ?", [Value::Int(page.fetch())]);
        let assets = self.rows(compose.finish()).await?.iter().map(asset).collect::<Result<_>>()?;
        Ok(Page::of(assets, page, |asset: &Asset| format!("{}-{}", addr_text(asset.addr), asset.asset_id)))
    }
}

pub(crate) async fn record_links(tx: &mut Tx, org: OrgId, links: &[LinkRecord]) -> Result<()> {
    for link in links {
        tx.run(
            query(
                "INSERT INTO asset_link (org_id, sequence, survey_id, action, asset_id, other_id, body, at_us)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            )
            .bind(org.to_string())
            .bind(link.sequence)
            .bind(link.survey_id.to_string())
            .bind(link.action.clone())
            .bind(link.asset_id.map(|id| id.to_string()))
            .bind(link.other.map(|id| id.to_string()))
            .bind(link.body.to_string())
            .bind(link.time.micros()),
        )
        .await?;
        if let ("merge", Some(kept), Some(other)) = (link.action.as_str(), link.asset_id, link.other) {
            tx.run(
                query("UPDATE asset SET merged_into = $1 WHERE org_id = $2 AND (asset_id = $3 OR merged_into = $3) AND asset_id <> $1")
                    .bind(kept.to_string())
                    .bind(org.to_string())
                    .bind(other.to_string()),
            )
            .await?;
        }
    }
    Ok(())
}

pub(crate) async fn record_assets(
    tx: &mut Tx,
    org: OrgId,
    survey: SurveyId,
    map: &ProviderMap,
    assets: &[AssetSeen],
) -> Result<()> {
    for seen in assets {
        tx.run(
            query(
                "INSERT INTO asset (asset_id, org_id, addr, provider_id, keys, identity, sighting, merged_into, first_us, last_us, last_survey)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, NULL, $8, $8, $9)
                 ON CONFLICT (asset_id) DO UPDATE SET addr = excluded.addr, provider_id = excluded.provider_id, keys = excluded.keys,
                   identity = excluded.identity, sighting = excluded.sighting, last_us = excluded.last_us, last_survey = excluded.last_survey",
            )
            .bind(seen.asset_id.to_string())
            .bind(org.to_string())
            .bind(addr_text(seen.addr))
            .bind(map.find(seen.addr).map(|id| id.to_string()))
            .bind(json(&seen.keys))
            .bind(json(&seen.identity))
            .bind(seen.sighting.to_string())
            .bind(seen.time.micros())
            .bind(survey.to_string()),
        )
        .await?;
    }
    Ok(())
}

fn asset(row: &AnyRow) -> Result<Asset> {
    Ok(Asset {
        asset_id: row.word("asset_id")?,
        addr: row.addr("addr")?,
        provider: row.maybe_word("provider_id")?,
        keys: row.json("keys")?,
        identity: row.json("identity")?,
        sighting: row.json("sighting")?,
        merged_into: row.maybe_word("merged_into")?,
        first_seen: row.time("first_us")?,
        last_seen: row.time("last_us")?,
        last_survey: row.word("last_survey")?,
    })
}
