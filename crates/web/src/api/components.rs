//! Which components devices carry, and who carries one.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use kenshin_insight::component::{Count, Ground, Maintenance, Query};
use kenshin_observatory::CarrierRow as Carrier;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::Instant;
use crate::api::query::Params;
use crate::guard::Caller;
use crate::{Problem, Web};

/// Carriers listed at most.
const ROWS_MAX: u32 = 500;

/// Every component that devices carry, as they were last seen.
#[derive(Debug, Serialize, ToSchema)]
pub struct ComponentList {
    /// By name.
    pub items: Vec<ComponentRow>,
    /// Devices looked at.
    pub assets: u64,
    /// Of these, devices of which no component is known: not devices without any.
    pub bare: u64,
}

/// One component.
#[derive(Debug, Serialize, ToSchema)]
pub struct ComponentRow {
    /// What it is asked for by.
    pub key: String,
    /// Its name: hostile text.
    pub name: String,
    /// What it does, for those that are catalogued.
    pub role: Option<String>,
    /// Devices that show it.
    pub visible: u64,
    /// Devices of which a bill of materials or a list says so.
    pub known: u64,
    /// Devices of whose family it is said.
    pub inferred: u64,
    /// Versions, at most 20: hostile text.
    pub versions: Vec<String>,
    /// Whether somebody mends it.
    pub maintenance: MaintenanceRow,
    /// When the first of the devices was first seen.
    pub first_at: Instant,
    /// When the last of them was last seen.
    pub last_at: Instant,
}

/// Whether somebody mends a component.
#[derive(Debug, Serialize, ToSchema)]
pub struct MaintenanceRow {
    /// `maintained`, `unmaintained` or `unknown`.
    pub supported: String,
    /// Last day of support, when it is known.
    pub since: Option<String>,
    /// Who says so.
    pub source: Option<String>,
    /// The intelligence snapshot that it stands on.
    pub snapshot: Option<String>,
}

/// Who carries a component.
#[derive(Debug, Serialize, ToSchema)]
pub struct ComponentDetail {
    /// The component as it was asked for.
    pub component: String,
    /// The versions asked for.
    pub versions: Option<String>,
    /// Whether somebody mends it.
    pub maintenance: MaintenanceRow,
    /// Devices that carry it, the surest first.
    pub items: Vec<CarrierRow>,
    /// Carriers that are counted and not listed.
    pub left_out: u64,
    /// How many carry it: `visible`, `known`, `inferred`.
    pub by_certainty: BTreeMap<String, u64>,
    /// Of how many it is not known.
    pub gaps: GapsRow,
}

/// Of how many devices it is not known whether they carry a component.
#[derive(Debug, Serialize, ToSchema)]
pub struct GapsRow {
    /// Devices asked about.
    pub assets: u64,
    /// They carry it, in the version asked for or in one that is not known.
    pub carriers: u64,
    /// They carry it in another version.
    pub other_version: u64,
    /// A bill of materials of their product and version does not list it.
    pub unlisted: u64,
    /// Identified, and nothing is known of what they contain.
    pub unlearned: u64,
    /// Not identified.
    pub unidentified: u64,
}

/// A device that carries a component.
#[derive(Debug, Serialize, ToSchema)]
pub struct CarrierRow {
    /// The device.
    pub asset_id: String,
    /// Where it was last seen.
    pub addr: String,
    /// Vendor and product, when known: hostile text.
    pub product: Option<String>,
    /// Its version, when shown: hostile text.
    pub product_version: Option<String>,
    /// Version of the component; none when it is not known.
    pub version: Option<String>,
    /// True when the version is one of those asked for.
    pub version_sure: bool,
    /// `visible`, `known` or `inferred`.
    pub certainty: String,
    /// Percent.
    pub confidence: u8,
    /// What it stands on.
    pub evidence: Vec<GroundRow>,
    /// When it was last seen.
    pub last_at: Instant,
}

/// What a statement about a device's component stands on.
#[derive(Debug, Serialize, ToSchema)]
pub struct GroundRow {
    /// `shown`, `sbom`, `list` or `csaf`.
    pub by: String,
    /// Fingerprint, field and port; or the products that a document speaks of.
    pub what: String,
    /// The bytes as text, or the document: hostile text.
    pub text: Option<String>,
    /// The intelligence snapshot that holds the document.
    pub snapshot: Option<String>,
}

/// How many rows.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ComponentQuery {
    /// Carriers listed at most; all are counted.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// Every component, by name.
#[utoipa::path(get, path = "/api/v1/components", tag = "components", operation_id = "components_list",
    responses((status = 200, body = ComponentList), (status = "4XX", body = Problem)))]
pub(crate) async fn list(State(web): State<Web>, caller: Caller) -> Result<Json<ComponentList>, Problem> {
    let found = web.observatory().components(&caller.viewer()?).await?;
    let items = found.items.into_iter().map(row).collect();
    Ok(Json(ComponentList { items, assets: found.assets, bare: found.bare }))
}

/// Who carries a component, `NAME` or `NAME:VERSIONS`.
#[utoipa::path(get, path = "/api/v1/components/{name}", tag = "components", operation_id = "components_show",
    params(("name" = String, Path, example = "gsoap:<2.8.48"), ComponentQuery),
    responses((status = 200, body = ComponentDetail), (status = "4XX", body = Problem)))]
pub(crate) async fn show(
    State(web): State<Web>,
    caller: Caller,
    Path(name): Path<String>,
    Params(query): Params<ComponentQuery>,
) -> Result<Json<ComponentDetail>, Problem> {
    let component: Query = name.parse().map_err(Problem::bad_request)?;
    let limit = query.limit.unwrap_or(100).clamp(1, ROWS_MAX) as usize;
    let found = web.observatory().carriers(&caller.viewer()?, &component, limit).await?;
    let by_certainty =
        found.by_certainty.into_iter().map(|(certainty, count)| (certainty.to_string(), count)).collect();
    let gaps = found.gaps;
    Ok(Json(ComponentDetail {
        component: found.component,
        versions: found.versions,
        maintenance: maintenance(found.maintenance),
        items: found.items.into_iter().map(carrier).collect(),
        left_out: found.left_out,
        by_certainty,
        gaps: GapsRow {
            assets: gaps.assets,
            carriers: gaps.carriers,
            other_version: gaps.other_version,
            unlisted: gaps.unlisted,
            unlearned: gaps.unlearned,
            unidentified: gaps.unidentified,
        },
    }))
}

fn row(count: Count) -> ComponentRow {
    ComponentRow {
        key: count.key,
        name: count.name,
        role: count.role.map(|role| role.to_string()),
        visible: count.visible,
        known: count.known,
        inferred: count.inferred,
        versions: count.versions.into_iter().collect(),
        maintenance: maintenance(count.maintenance),
        first_at: count.first_seen.into(),
        last_at: count.last_seen.into(),
    }
}

fn maintenance(maintenance: Maintenance) -> MaintenanceRow {
    MaintenanceRow {
        supported: maintenance.supported.to_string(),
        since: maintenance.since.map(|day| day.to_string()),
        source: maintenance.source,
        snapshot: maintenance.snapshot,
    }
}

fn carrier(row: Carrier) -> CarrierRow {
    let carried = row.carrier.carried;
    CarrierRow {
        asset_id: row.asset_id.to_string(),
        addr: row.addr.to_string(),
        product: row.product,
        product_version: row.product_version,
        version: carried.version,
        version_sure: row.carrier.version_sure,
        certainty: carried.certainty.to_string(),
        confidence: carried.confidence,
        evidence: carried.evidence.into_iter().map(ground).collect(),
        last_at: row.last_seen.into(),
    }
}

fn ground(ground: Ground) -> GroundRow {
    match ground {
        Ground::Shown { reason, text, .. } => {
            GroundRow { by: "shown".to_owned(), what: reason, text, snapshot: None }
        }
        Ground::Stated { basis, family, source, snapshot } => {
            GroundRow { by: basis.to_string(), what: family, text: Some(source), snapshot: Some(snapshot) }
        }
    }
}
