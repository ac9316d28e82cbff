//! Findings by stable key, with the rounds they held in.

use std::net::IpAddr;

use kenshin_observation::{
    AssetId, CaseId, Decision, Endpoint, Finding, FindingKind, Identity, OrgId, Prefix, ProviderId, Remedy,
    Severity, SurveyId, TimeUs, words,
};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use crate::error::{CaseworkError, Result};
use crate::page::{Order, Page, PageRequest, after_urgent, rank, urgent_key};
use crate::providers::ProviderMap;
use crate::store::{Casework, Columns, Compose, Tx, Value, addr_text, json, query, storable};
use crate::surveys::Survey;
use crate::viewer::{Role, Viewer};

mod table;

pub use table::{Cells, FindingCells, FindingColumn, Shape};

words!(
    /// Whether a finding holds.
    FindingState, "finding state" {
        /// It held in the last round that covered its address.
        Present = "present",
        /// It was not seen in that round; why not is the case's matter.
        Absent = "absent",
        /// Knowledge or a rule changed: it never should have been stated.
        Withdrawn = "withdrawn",
    }
);

/// A finding with its history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingRecord {
    /// The newest finding.
    pub finding: Finding,
    /// What the device was taken for.
    pub identity: Identity,
    /// Where the decisive observation was made from.
    pub vantage: Option<Endpoint>,
    /// Who can reach its owner.
    pub provider: Option<ProviderId>,
    /// Whether it holds.
    pub state: FindingState,
    /// The case it is attached to.
    pub case_id: Option<CaseId>,
    /// First round it held in.
    pub first_round: i64,
    /// First survey it held in.
    pub first_survey: SurveyId,
    /// First seen.
    pub first_seen: TimeUs,
    /// Last round it held in.
    pub last_round: i64,
    /// Last survey it held in.
    pub last_survey: SurveyId,
    /// Last seen.
    pub last_seen: TimeUs,
}

/// Which findings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FindingFilter {
    /// Of this kind.
    pub kind: Option<FindingKind>,
    /// Of this severity.
    pub severity: Option<Severity>,
    /// With this remedy.
    pub remedy: Option<Remedy>,
    /// In this state.
    pub state: Option<FindingState>,
    /// Of this provider.
    pub provider: Option<ProviderId>,
    /// With nobody to notify.
    pub no_addressee: bool,
    /// On this asset.
    pub asset: Option<AssetId>,
    /// Attached to this case.
    pub case: Option<CaseId>,
    /// Holding in this survey.
    pub survey: Option<SurveyId>,
    /// In this prefix.
    pub prefix: Option<Prefix>,
    /// In which order.
    pub order: Order,
}

const SELECT: &str = "SELECT f.*, (SELECT cf.case_id FROM case_finding cf WHERE cf.org_id = f.org_id AND cf.finding_key = f.finding_key) AS case_id FROM finding f WHERE 1 = 1";

impl Casework {
    /// One finding by its key.
    pub async fn finding(&self, viewer: &Viewer, key: &str) -> Result<FindingRecord> {
        let mut compose = Compose::new(SELECT);
        compose.push(" AND f.org_id = ? AND f.finding_key = ?", [viewer.org.to_string(), key.to_owned()]);
        viewer.restrict(&mut compose, " AND f.provider_id IN ");
        let row =
            self.maybe(compose.finish()).await?.ok_or_else(|| CaseworkError::not_found("finding", key))?;
        record(&row, viewer)
    }

    /// Findings by key.
    pub async fn findings(
        &self,
        viewer: &Viewer,
        filter: &FindingFilter,
        page: &PageRequest,
    ) -> Result<Page<FindingRecord>> {
        let mut compose = Compose::new(SELECT);
        compose.push(" AND f.org_id = ?", [viewer.org.to_string()]);
        viewer.restrict(&mut compose, " AND f.provider_id IN ");
        let words = [
            (" AND f.kind = ?", filter.kind.map(|v| v.to_string())),
            (" AND f.severity = ?", filter.severity.map(|v| v.to_string())),
            (" AND f.remedy = ?", filter.remedy.map(|v| v.to_string())),
            (" AND f.state = ?", filter.state.map(|v| v.to_string())),
            (" AND f.provider_id = ?", filter.provider.map(|v| v.to_string())),
            (" AND f.asset_id = ?", filter.asset.map(|v| v.to_string())),
            (
                " AND f.finding_key IN (SELECT finding_key FROM case_finding WHERE case_id = ?)",
                filter.case.map(|v| v.to_string()),
            ),
            (
                " AND f.finding_key IN (SELECT finding_key FROM finding_round WHERE survey_id = ?)",
                filter.survey.map(|v| v.to_string()),
            ),
            (" AND f.finding_key > ?", page.after.clone().filter(|_| filter.order == Order::Key)),
        ];
        for (text, value) in words {
            if let Some(value) = value {
                compose.push(text, [value]);
            }
        }
        if filter.no_addressee {
            compose.text(" AND f.provider_id IS NULL");
        }
        if let Some(prefix) = filter.prefix {
            compose.push(
                " AND f.addr >= ? AND f.addr <= ?",
                [addr_text(prefix.base()), addr_text(prefix.last())],
            );
        }
        match filter.order {
            Order::Key => compose.text(" ORDER BY f.finding_key"),
            Order::Priority => {
                let text = " AND (COALESCE(f.priority, -1) < ? OR (COALESCE(f.priority, -1) = ? AND f.finding_key > ?))";
                after_urgent(&mut compose, text, page.after.as_deref());
                compose.text(" ORDER BY COALESCE(f.priority, -1) DESC, f.finding_key");
            }
        }
        compose.push(" LIMIT ?", [Value::Int(page.fetch())]);
        let rows = self.rows(compose.finish()).await?;
        let records = rows.iter().map(|row| record(row, viewer)).collect::<Result<_>>()?;
        Ok(Page::of(records, page, |record: &FindingRecord| match filter.order {
            Order::Key => record.finding.key.clone(),
            Order::Priority => urgent_key(decided(&record.finding), &record.finding.key),
        }))
    }
}

/// Writes the findings of one round and marks those of covered addresses that were not seen.
pub(crate) async fn record_findings(
    tx: &mut Tx,
    org: OrgId,
    survey: &Survey,
    map: &ProviderMap,
    findings: &[(&Finding, &Identity, Option<Endpoint>)],
    covered: &[Prefix],
) -> Result<()> {
    for (finding, identity, vantage) in findings {
        let provider = map.find(finding.endpoint.addr).map(|id| id.to_string());
        tx.run(
            query(
                "INSERT INTO finding (org_id, finding_key, asset_id, kind, remedy, severity, addr, port, transport, provider_id, product, vantage, body,
                   identity, state, first_survey, first_round, first_us, last_survey, last_round, last_us, priority)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 'present', $15, $16, $17, $15, $16, $17, $18)
                 ON CONFLICT (org_id, finding_key) DO UPDATE SET asset_id = excluded.asset_id, kind = excluded.kind, remedy = excluded.remedy,
                   severity = excluded.severity, addr = excluded.addr, port = excluded.port, transport = excluded.transport,
                   provider_id = excluded.provider_id, product = excluded.product, vantage = excluded.vantage, body = excluded.body, identity = excluded.identity,
                   state = 'present', last_survey = excluded.last_survey, last_round = excluded.last_round, last_us = excluded.last_us, priority = excluded.priority",
            )
            .bind(org.to_string())
            .bind(finding.key.clone())
            .bind(finding.asset_id.to_string())
            .bind(finding.kind.as_str())
            .bind(finding.remedy.as_str())
            .bind(finding.severity.as_str())
            .bind(addr_text(finding.endpoint.addr))
            .bind(i64::from(finding.endpoint.port))
            .bind(finding.endpoint.transport.as_str())
            .bind(provider.clone())
            .bind(product_of(identity).as_deref().map(storable))
            .bind(vantage.as_ref().map(json))
            .bind(json(finding))
            .bind(json(identity))
            .bind(survey.survey_id.to_string())
            .bind(survey.round)
            .bind(finding.time.micros())
            .bind(decided(finding).map(|decision| rank(Some(decision)))),
        )
        .await?;
        tx.run(
            query(
                "INSERT INTO finding_round (org_id, survey_id, finding_key, kind, provider_id) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (org_id, survey_id, finding_key) DO NOTHING",
            )
            .bind(org.to_string())
            .bind(survey.survey_id.to_string())
            .bind(finding.key.clone())
            .bind(finding.kind.as_str())
            .bind(provider),
        )
        .await?;
    }
    for prefix in covered {
        tx.run(
            query(
                "UPDATE finding SET state = 'absent' WHERE org_id = $1 AND state = 'present' AND last_survey <> $2
                   AND addr >= $3 AND addr <= $4",
            )
            .bind(org.to_string())
            .bind(survey.survey_id.to_string())
            .bind(addr_text(prefix.base()))
            .bind(addr_text(prefix.last())),
        )
        .await?;
    }
    Ok(())
}

pub(crate) async fn readdress_findings(tx: &mut Tx, org: OrgId, map: &ProviderMap) -> Result<()> {
    for (select, update) in [
        (
            "SELECT finding_key AS id, addr, provider_id FROM finding WHERE org_id = $1",
            "UPDATE finding SET provider_id = $1 WHERE org_id = $2 AND finding_key = $3",
        ),
        (
            "SELECT asset_id AS id, addr, provider_id FROM asset WHERE org_id = $1",
            "UPDATE asset SET provider_id = $1 WHERE org_id = $2 AND asset_id = $3",
        ),
    ] {
        for row in tx.rows(query(select).bind(org.to_string())).await? {
            let addr: IpAddr = row.addr("addr")?;
            let provider: Option<ProviderId> = map.find(addr);
            if provider != row.maybe_word("provider_id")? {
                tx.run(
                    query(update)
                        .bind(provider.map(|id| id.to_string()))
                        .bind(org.to_string())
                        .bind(row.text("id")?),
                )
                .await?;
            }
        }
    }
    Ok(())
}

fn decided(finding: &Finding) -> Option<Decision> {
    finding.priority.as_ref().map(|priority| priority.decision)
}

/// Vendor and product claimed, as one text for people.
pub fn product_of(identity: &Identity) -> Option<String> {
    let vendor = identity.vendor.as_ref().map(|claim| claim.value.as_str());
    let product = identity.product.as_ref().map(|claim| claim.value.as_str());
    match (vendor, product) {
        (Some(vendor), Some(product)) if product.starts_with(vendor) => Some(product.to_owned()),
        (Some(vendor), Some(product)) => Some(format!("{vendor} {product}")),
        (vendor, product) => product.or(vendor).map(str::to_owned),
    }
}

fn record(row: &AnyRow, viewer: &Viewer) -> Result<FindingRecord> {
    let mut finding: Finding = row.json("body")?;
    // Which entry of the dictionary fitted is for the few who must know (DESIGN.md §6).
    if finding.kind == FindingKind::DefaultCredentials
        && !matches!(viewer.role, Role::Admin | Role::Operator | Role::Provider)
    {
        finding.evidence.iter_mut().for_each(|evidence| evidence.value = String::new());
    }
    Ok(FindingRecord {
        finding,
        identity: row.json("identity")?,
        vantage: match row.maybe_text("vantage")? {
            Some(_) => Some(row.json("vantage")?),
            None => None,
        },
        provider: row.maybe_word("provider_id")?,
        state: row.word("state")?,
        case_id: row.maybe_word("case_id")?,
        first_round: row.int("first_round")?,
        first_survey: row.word("first_survey")?,
        first_seen: row.time("first_us")?,
        last_round: row.int("last_round")?,
        last_survey: row.word("last_survey")?,
        last_seen: row.time("last_us")?,
    })
}
