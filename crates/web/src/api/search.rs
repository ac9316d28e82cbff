//! Searching services, and one host through time.

pub(crate) mod export;

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use kenshin_casework::{CaseFilter, FindingFilter, PageRequest};
use kenshin_lake::search::{FIELDS, Query as Asked, QueryError};
use kenshin_lake::view::{Counted, Mark, ParseCountedError, Search, Sort, View, is_countable};
use kenshin_observation::schema::ServiceRow;
use kenshin_observation::{Prefix, TimeUs};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::Instant;
use crate::api::cases::{self, CaseRow};
use crate::api::findings::{self, ClaimRow, FindingRow};
use crate::api::query::{Params, ProviderNames, word};
use crate::guard::Caller;
use crate::{Problem, Web};

/// Most facets of one question.
const FACETS_MAX: usize = 12;
/// Rows of a page when nobody says how many.
const PAGE_ROWS: usize = 50;
/// Findings and cases shown with a host at most.
const HOST_ROWS: u32 = 200;
/// Services shown with a host at most, of those now and of those before.
const HOST_SERVICES: usize = 1_000;

/// How much a query finds.
#[derive(Debug, Serialize, ToSchema)]
pub struct SearchTotal {
    /// Services.
    pub services: u64,
    /// Addresses that they are at.
    pub hosts: u64,
}

/// A page of services.
#[derive(Debug, Serialize, ToSchema)]
pub struct SearchPage {
    /// The query as it was understood.
    pub query: String,
    /// By when the lake knew what is told; left out for what is known now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_by: Option<Instant>,
    /// How much it finds in all.
    pub total: SearchTotal,
    /// The services.
    pub items: Vec<Service>,
    /// `after` of the next page.
    pub next: Option<String>,
}

/// One service. What it says of itself is hostile text.
#[derive(Debug, Serialize, ToSchema)]
pub struct Service {
    /// Address.
    pub addr: String,
    /// Port.
    pub port: i32,
    /// `tcp` or `udp`.
    pub transport: String,
    /// What it spoke; none when that is not known.
    pub protocol: Option<String>,
    /// `answered`, or how the last attempt ended.
    pub state: String,
    /// When it was first seen to answer.
    pub first_at: Instant,
    /// When it was last seen to answer.
    pub seen_at: Instant,
    /// When it was last asked.
    pub asked_at: Instant,
    /// Maker of the device.
    pub vendor: Option<String>,
    /// Its model.
    pub product: Option<String>,
    /// Version of its firmware.
    pub version: Option<String>,
    /// Kind of device.
    pub device_type: Option<String>,
    /// CPE 2.3 name of the device.
    pub cpe: Option<String>,
    /// Software that shows at this port.
    pub software: Vec<SoftwareRow>,
    /// What it says first, or of itself.
    pub banner: Option<String>,
    /// Title of its page.
    pub title: Option<String>,
    /// Its Server header.
    pub server: Option<String>,
    /// Status code.
    pub status: Option<i32>,
    /// Version of TLS.
    pub tls: Option<String>,
    /// SHA-256 of the certificate.
    pub cert_sha256: Option<String>,
    /// Subject of the certificate.
    pub cert_subject: Option<String>,
    /// Names in the certificate.
    pub cert_names: Vec<String>,
    /// Issuer of the certificate.
    pub cert_issuer: Option<String>,
    /// End of its validity.
    pub cert_expires_at: Option<Instant>,
    /// SHA-256 of the SSH host key or TLS public key.
    pub key_sha256: Option<String>,
    /// Fingerprint of SSH algorithms.
    pub hassh: Option<String>,
    /// Fingerprint of the TLS answer.
    pub ja3s: Option<String>,
    /// MurmurHash3 of the icon.
    pub favicon: Option<i32>,
    /// What makes it no device.
    pub labels: Vec<String>,
    /// Autonomous system.
    pub asn: Option<i64>,
    /// Its name.
    pub as_name: Option<String>,
    /// Country, two letters.
    pub country: Option<String>,
    /// Part of the country, ISO 3166-2.
    pub region: Option<String>,
    /// Who can reach the owner.
    pub provider: Option<String>,
    /// Mandate under which it was last asked.
    pub mandate_id: String,
    /// Survey that last asked.
    pub survey_id: String,
    /// Sensor that last asked.
    pub sensor_id: String,
    /// Traffic Light Protocol.
    pub tlp: String,
}

/// Software that shows at a port.
#[derive(Debug, Serialize, ToSchema)]
pub struct SoftwareRow {
    /// Maker.
    pub vendor: Option<String>,
    /// Name.
    pub product: String,
    /// Version, when disclosed.
    pub version: Option<String>,
    /// CPE 2.3 name.
    pub cpe: Option<String>,
}

/// Counts by field.
#[derive(Debug, Serialize, ToSchema)]
pub struct FacetList {
    /// By when the lake knew what is counted; left out for what is known now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_by: Option<Instant>,
    /// How much the query finds in all.
    pub total: SearchTotal,
    /// One for each field asked for, in that order.
    pub facets: Vec<FacetRow>,
}

/// How many services have which value of a field.
#[derive(Debug, Serialize, ToSchema)]
pub struct FacetRow {
    /// The field.
    pub field: String,
    /// The most frequent values, most frequent first.
    pub values: Vec<FacetValueRow>,
    /// How many further values there are.
    pub more: u64,
}

/// One value.
#[derive(Debug, Serialize, ToSchema)]
pub struct FacetValueRow {
    /// The value: hostile text; a day, UTC, for instants.
    pub value: String,
    /// Services that have it.
    pub count: u64,
}

/// The fields that queries can name.
#[derive(Debug, Serialize, ToSchema)]
pub struct FieldList {
    /// One a field.
    pub items: Vec<FieldRow>,
}

/// One field.
#[derive(Debug, Serialize, ToSchema)]
pub struct FieldRow {
    /// Its name.
    pub name: String,
    /// Other names for it.
    pub synonyms: Vec<String>,
    /// `network`, `number`, `word`, `text`, `version`, `time` or `time-to-come`.
    pub kind: String,
    /// An example, as it is written in a query.
    pub example: String,
    /// What it means.
    pub meaning: String,
    /// Services can be counted by it.
    pub countable: bool,
    /// Every word it knows, where that is a closed list.
    pub words: Vec<String>,
}

/// One host through time.
#[derive(Debug, Serialize, ToSchema)]
pub struct HostDetail {
    /// Address.
    pub addr: String,
    /// By when the lake knew these services; left out for what is known now. Findings and cases are those
    /// of today.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_by: Option<Instant>,
    /// Its services as they were when they were last asked, the first 1,000.
    pub now: Vec<Service>,
    /// How many further services it has; left out when none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now_more: Option<u64>,
    /// As they were before, oldest first: one for each time something changed, the last 1,000.
    pub before: Vec<Service>,
    /// How many there were before those; left out when none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before_more: Option<u64>,
    /// What it was taken for, with reasons; empty: unknown.
    pub identity: Vec<ClaimRow>,
    /// Findings at this address.
    pub findings: Vec<FindingRow>,
    /// Cases at this address.
    pub cases: Vec<CaseRow>,
}

/// What to search.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SearchQuery {
    /// The query.
    #[param(max_length = 4096, example = "port:23 country:JP vendor:buffalo seen:7d")]
    q: Option<String>,
    /// Field to sort by, with `-` before it for the greatest first; by address when left out.
    #[param(max_length = 40, example = "-seen")]
    sort: Option<String>,
    /// `next` of the page before.
    #[param(max_length = 1300)]
    after: Option<String>,
    /// Rows wanted.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// As it was known at this instant (RFC 3339) or at the end of this day (UTC); now when left out. Ages
    /// in the query are measured from then.
    #[param(max_length = 40, example = "2026-10-01")]
    at: Option<String>,
}

/// What to count.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FacetQuery {
    /// The query.
    #[param(max_length = 4096)]
    q: Option<String>,
    /// Fields with commas between, each with the number of values wanted behind a colon.
    #[param(max_length = 400, example = "port:10,country,product:20")]
    fields: String,
    /// As it was known at this instant (RFC 3339) or at the end of this day (UTC); now when left out.
    #[param(max_length = 40, example = "2026-10-01")]
    at: Option<String>,
}

/// When.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AtQuery {
    /// As it was known at this instant (RFC 3339) or at the end of this day (UTC); today when left out.
    #[param(max_length = 40, example = "2026-10-01")]
    at: Option<String>,
}

/// Services that a query finds.
#[utoipa::path(get, path = "/api/v1/search", tag = "search", operation_id = "search_list", params(SearchQuery),
    responses((status = 200, body = SearchPage), (status = "4XX", body = Problem)))]
pub(crate) async fn list(
    State(web): State<Web>,
    caller: Caller,
    Params(query): Params<SearchQuery>,
) -> Result<Json<SearchPage>, Problem> {
    let asked = asked(&web, &caller, query.q.as_deref(), query.at.as_deref()).await?;
    let sort: Option<Sort> = word("sort", query.sort.as_deref())?;
    let after: Option<Mark> = word("after", query.after.as_deref())?;
    let view = asked.view(&web).await?;
    let _turn = web.searching().await?;
    let found = view.find(&asked.search).await.map_err(failed)?;
    let total = found.total().await.map_err(failed)?;
    let limit = query.limit.map_or(PAGE_ROWS, |limit| limit as usize);
    let page = found.page(sort, after.as_ref(), limit).await.map_err(failed)?;
    Ok(Json(SearchPage {
        query: asked.search.query.to_string(),
        known_by: asked.known_by.map(Instant::from),
        total: SearchTotal { services: total.services, hosts: total.hosts },
        items: page.services.into_iter().map(Service::from).collect(),
        next: page.next.map(|next| next.to_string()),
    }))
}

/// How many services a query finds, by fields.
#[utoipa::path(get, path = "/api/v1/search/facets", tag = "search", operation_id = "search_facets", params(FacetQuery),
    responses((status = 200, body = FacetList), (status = "4XX", body = Problem)))]
pub(crate) async fn facets(
    State(web): State<Web>,
    caller: Caller,
    Params(query): Params<FacetQuery>,
) -> Result<Json<FacetList>, Problem> {
    let asked = asked(&web, &caller, query.q.as_deref(), query.at.as_deref()).await?;
    let wanted = query.fields.split(',').map(counted).collect::<Result<Vec<_>, _>>()?;
    if wanted.len() > FACETS_MAX {
        return Err(Problem::bad_request(format!("{} facets are more than {FACETS_MAX}", wanted.len())));
    }
    let view = asked.view(&web).await?;
    let _turn = web.searching().await?;
    let found = view.find(&asked.search).await.map_err(failed)?;
    let total = found.total().await.map_err(failed)?;
    let value = |one: kenshin_lake::view::FacetValue| FacetValueRow { value: one.value, count: one.count };
    let row = |facet: kenshin_lake::view::Facet| FacetRow {
        field: facet.field.to_owned(),
        values: facet.values.into_iter().map(value).collect(),
        more: facet.more,
    };
    let facets = found.facets(&wanted).await.map_err(failed)?.into_iter().map(row).collect();
    Ok(Json(FacetList {
        known_by: asked.known_by.map(Instant::from),
        total: SearchTotal { services: total.services, hosts: total.hosts },
        facets,
    }))
}

/// The fields that queries can name.
#[utoipa::path(get, path = "/api/v1/search/fields", tag = "search", operation_id = "search_fields",
    responses((status = 200, body = FieldList), (status = "4XX", body = Problem)))]
pub(crate) async fn fields() -> Json<FieldList> {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let items = FIELDS.iter().map(|info| FieldRow {
        name: info.name.to_owned(),
        synonyms: owned(info.synonyms),
        kind: info.kind.to_string(),
        example: info.example.to_owned(),
        meaning: info.meaning.to_owned(),
        countable: is_countable(info.field),
        words: owned(&info.field.words().unwrap_or_default()),
    });
    Json(FieldList { items: items.collect() })
}

/// Everything known of one host.
#[utoipa::path(get, path = "/api/v1/hosts/{addr}", tag = "search", operation_id = "hosts_show", params(("addr" = String, Path), AtQuery),
    responses((status = 200, body = HostDetail), (status = "4XX", body = Problem)))]
pub(crate) async fn host(
    State(web): State<Web>,
    caller: Caller,
    Path(text): Path<String>,
    Params(query): Params<AtQuery>,
) -> Result<Json<HostDetail>, Problem> {
    let addr: IpAddr = crate::api::query::id("host", &text)?;
    let known_by = known_by(query.at.as_deref())?;
    let viewer = caller.viewer()?;
    let host = web.observatory().host(&viewer, addr, known_by).await?;
    let Some(host) = host else { return Err(Problem::not_found("host", &addr.to_string())) };
    let (now, now_more) = shown(host.now, false);
    let (before, before_more) = shown(host.before, true);
    let page = PageRequest { after: None, limit: HOST_ROWS };
    let prefix = Some(Prefix::host(addr));
    let names = ProviderNames::read(&web, &caller).await?;
    let of_findings = FindingFilter { prefix, ..FindingFilter::default() };
    let found = web.casework().findings(&viewer, &of_findings, &page).await?;
    let of_cases = CaseFilter { prefix, ..CaseFilter::default() };
    let opened = web.casework().cases(&viewer, &of_cases, &page).await?;
    Ok(Json(HostDetail {
        addr: addr.to_string(),
        known_by: known_by.map(Instant::from),
        now,
        now_more,
        before,
        before_more,
        identity: findings::claims(&host.identity),
        findings: found.items.iter().map(|record| findings::row(record, &names)).collect(),
        cases: cases::rows(&web, &caller, &opened.items, &names).await?,
    }))
}

pub(super) fn failed(error: kenshin_lake::LakeError) -> Problem {
    Problem::from(kenshin_observatory::ActError::from(error))
}

/// A question as the caller may ask it.
pub(super) struct Question {
    pub(super) search: Search,
    /// About what was known then; now when left out.
    pub(super) known_by: Option<TimeUs>,
}

impl Question {
    /// What is to be searched: all that is known now, or what the question finds in what was known.
    pub(super) async fn view(&self, web: &Web) -> Result<Arc<View>, Problem> {
        match self.known_by {
            Some(_) => web.past(&self.search).await,
            None => Ok(web.observatory().view_for(&self.search.sight).await?),
        }
    }
}

/// The question as the caller may ask it.
pub(super) async fn asked(
    web: &Web,
    caller: &Caller,
    text: Option<&str>,
    at: Option<&str>,
) -> Result<Question, Problem> {
    let (query, known_by) = (understood(text.unwrap_or_default())?, known_by(at)?);
    let sight = web.observatory().sight(&caller.viewer()?).await?;
    Ok(Question { search: Search { query, sight, now: known_by.unwrap_or_else(|| web.now()) }, known_by })
}

/// The instant of a parameter `at`.
fn known_by(at: Option<&str>) -> Result<Option<TimeUs>, Problem> {
    let at = at.filter(|at| !at.is_empty()).map(kenshin_observatory::known_by);
    Ok(at.transpose()?)
}

/// A query from text.
pub(super) fn understood(text: &str) -> Result<Asked, Problem> {
    text.parse::<Asked>().map_err(|error| misunderstood(text, &error))
}

/// A query that cannot be understood: where, in UTF-16 units as browsers count.
fn misunderstood(text: &str, error: &QueryError) -> Problem {
    let units = |end: usize| {
        let before = text.get(..end).map_or(0, |part| part.encode_utf16().count());
        u32::try_from(before).unwrap_or(u32::MAX)
    };
    let problem = Problem::bad_request(error.message.clone());
    let mut problem = Problem {
        code: "bad-query".to_owned(),
        title: "the query cannot be understood".to_owned(),
        span: Some([units(error.span.start), units(error.span.end)]),
        ..problem
    };
    problem.hint.clone_from(&error.hint);
    problem
}

fn counted(text: &str) -> Result<Counted, Problem> {
    text.parse().map_err(|error: ParseCountedError| {
        let hint = match error {
            ParseCountedError::Field(_) => "GET /api/v1/search/fields says by which they can",
            ParseCountedError::Top => "for example port:20",
        };
        Problem::bad_request(error.to_string()).hint(hint)
    })
}

/// At most [`HOST_SERVICES`] of these rows, the first or the last of them, and how many others there
/// are.
fn shown(mut rows: Vec<ServiceRow>, last: bool) -> (Vec<Service>, Option<u64>) {
    let more = rows.len().saturating_sub(HOST_SERVICES);
    if last {
        rows.drain(..more);
    }
    let services = rows.into_iter().take(HOST_SERVICES).map(Service::from).collect();
    (services, Some(more as u64).filter(|more| *more > 0))
}

/// The items of a text with blanks between.
fn items(text: Option<&str>) -> Vec<String> {
    text.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

impl From<ServiceRow> for Service {
    fn from(row: ServiceRow) -> Self {
        let instant = |us: i64| Instant::from(TimeUs::from_micros(us));
        // A list that cannot be read is shown as none.
        let software = row.software().unwrap_or_default();
        let software = software.into_iter().map(|one| SoftwareRow {
            vendor: one.vendor,
            product: one.product,
            version: one.version,
            cpe: one.cpe,
        });
        Self {
            addr: row.addr().to_string(),
            port: row.port,
            transport: row.transport,
            protocol: row.protocol,
            state: row.state,
            first_at: instant(row.first_us),
            seen_at: instant(row.seen_us),
            asked_at: instant(row.asked_us),
            vendor: row.vendor,
            product: row.product,
            version: row.version,
            device_type: row.device_type,
            cpe: row.cpe,
            software: software.collect(),
            banner: row.banner,
            title: row.title,
            server: row.server,
            status: row.status,
            tls: row.tls,
            cert_sha256: row.cert_sha256,
            cert_subject: row.cert_subject,
            cert_names: items(row.cert_names.as_deref()),
            cert_issuer: row.cert_issuer,
            cert_expires_at: row.cert_expires_us.map(instant),
            key_sha256: row.key_sha256,
            hassh: row.hassh,
            ja3s: row.ja3s,
            favicon: row.favicon,
            labels: items(row.labels.as_deref()),
            asn: row.asn,
            as_name: row.as_name,
            country: row.country,
            region: row.region,
            provider: row.provider,
            mandate_id: row.mandate_id,
            survey_id: row.survey_id,
            sensor_id: row.sensor_id,
            tlp: row.tlp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_with_every_port_open_is_shown_in_part() {
        let rows = |count: i32| (0..count).map(|port| ServiceRow { port, ..ServiceRow::default() }).collect();
        let ends = |(services, more): (Vec<Service>, Option<u64>)| {
            (services.first().map(|one| one.port), services.last().map(|one| one.port), more)
        };
        assert_eq!(ends(shown(rows(65_536), false)), (Some(0), Some(999), Some(64_536)));
        assert_eq!(ends(shown(rows(65_536), true)), (Some(64_536), Some(65_535), Some(64_536)));
        assert_eq!(ends(shown(rows(1_000), true)), (Some(0), Some(999), None));
    }
}
