//! Findings with their evidence.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use kenshin_casework::{FindingFilter, FindingRecord, product_of};
use kenshin_observation::{Claim, Identity, Messages, Priority};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::Instant;
use crate::api::providers::ProviderRef;
use crate::api::query::{LangQuery, Params, ProviderNames, page, word};
use crate::guard::Caller;
use crate::{Problem, Web};

/// A page of findings.
#[derive(Debug, Serialize, ToSchema)]
pub struct FindingPage {
    /// The rows.
    pub items: Vec<FindingRow>,
    /// `after` of the next page.
    pub next: Option<String>,
}

/// One finding in a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct FindingRow {
    /// Stable key.
    pub key: String,
    /// What is wrong.
    #[schema(schema_with = super::words::finding_kind)]
    pub kind: String,
    /// How urgent.
    #[schema(schema_with = super::words::severity)]
    pub severity: String,
    /// How soon something must be done; null for findings of earlier builds.
    #[schema(schema_with = super::words::decision)]
    pub priority: Option<String>,
    /// What the owner must do.
    #[schema(schema_with = super::words::remedy)]
    pub remedy: String,
    /// Whether it holds.
    #[schema(schema_with = super::words::finding_state)]
    pub state: String,
    /// Where it shows.
    pub endpoint: String,
    /// Vendor and product, when known.
    pub product: Option<String>,
    /// Who can reach the owner.
    pub provider: Option<ProviderRef>,
    /// Case it is attached to.
    pub case_id: Option<String>,
    /// Percent.
    pub confidence: u8,
    /// First round in which it held.
    pub first_round: i64,
    /// When it was first seen.
    pub first_at: Instant,
    /// Newest round in which it held.
    pub last_round: i64,
    /// When it was last seen.
    pub last_at: Instant,
}

/// One finding.
#[derive(Debug, Serialize, ToSchema)]
pub struct FindingDetail {
    /// The row of the list.
    pub finding: FindingRow,
    /// The device.
    pub asset_id: String,
    /// Message code of the explanation.
    pub code: String,
    /// Its arguments, as they were observed: text, never markup.
    pub args: BTreeMap<String, String>,
    /// The explanation in the language asked for.
    pub explanation: String,
    /// Why it matters, in the language asked for.
    pub why: Option<String>,
    /// What to do, in the language asked for.
    pub advice: Option<String>,
    /// What it stands on.
    pub evidence: Vec<EvidenceRow>,
    /// Intelligence snapshots it stands on.
    pub snapshots: Vec<String>,
    /// What the device was taken for, attribute by attribute; empty: unknown.
    pub identity: Vec<ClaimRow>,
    /// Why the priority is what it is, question by question; empty for findings of earlier builds.
    pub priority: Vec<QuestionRow>,
}

/// One question of the priority with its answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct QuestionRow {
    /// `exploitation`, `exposure`, `automatable` or `impact`.
    pub question: String,
    /// A word of SSVC, such as `active`.
    pub answer: String,
    /// Why, in the language asked for.
    pub reasons: Vec<String>,
}

/// A pointer to the bytes a finding stands on.
#[derive(Debug, Serialize, ToSchema)]
pub struct EvidenceRow {
    /// Survey of the observation.
    pub survey_id: String,
    /// When.
    pub at: Instant,
    /// Endpoint observed.
    pub endpoint: String,
    /// Field that was decisive.
    pub field: String,
    /// Its value as it was received: hostile text.
    pub value: String,
    /// Digests of the bodies kept.
    pub blobs: Vec<String>,
}

/// One attribute of an identity.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClaimRow {
    /// `vendor`, `product`, `version`, `device-type`, `cpe` or `component`.
    pub attribute: String,
    /// The value: hostile text.
    pub value: String,
    /// Percent.
    pub confidence: u8,
    /// Which fingerprint said so and from which field.
    pub reason: String,
}

/// Which findings.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FindingQuery {
    /// `next` of the page before.
    #[param(max_length = 200)]
    after: Option<String>,
    /// Rows wanted.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// Of this kind.
    kind: Option<String>,
    /// Of this severity.
    severity: Option<String>,
    /// With this remedy.
    remedy: Option<String>,
    /// In this state.
    state: Option<String>,
    /// Of this provider.
    provider: Option<String>,
    /// Only those with nobody to notify.
    no_addressee: Option<bool>,
    /// At this address or in this prefix.
    #[param(example = "192.0.2.0/24")]
    net: Option<String>,
    /// Holding in this survey.
    survey: Option<String>,
    /// On this device.
    asset: Option<String>,
    /// In which order; by key unless said otherwise.
    #[param(schema_with = super::words::order)]
    sort: Option<String>,
}

/// Findings, by key.
#[utoipa::path(get, path = "/api/v1/findings", tag = "findings", operation_id = "findings_list", params(FindingQuery),
    responses((status = 200, body = FindingPage), (status = "4XX", body = Problem)))]
pub(crate) async fn list(
    State(web): State<Web>,
    caller: Caller,
    Params(query): Params<FindingQuery>,
) -> Result<Json<FindingPage>, Problem> {
    let filter = FindingFilter {
        kind: word("kind", query.kind.as_deref())?,
        severity: word("severity", query.severity.as_deref())?,
        remedy: word("remedy", query.remedy.as_deref())?,
        state: word("state", query.state.as_deref())?,
        provider: word("provider", query.provider.as_deref())?,
        no_addressee: query.no_addressee.unwrap_or(false),
        prefix: word("net", query.net.as_deref())?,
        survey: word("survey", query.survey.as_deref())?,
        asset: word("asset", query.asset.as_deref())?,
        order: word("sort", query.sort.as_deref())?.unwrap_or_default(),
        ..FindingFilter::default()
    };
    let names = ProviderNames::read(&web, &caller).await?;
    let found = web.casework().findings(&caller.viewer()?, &filter, &page(query.after, query.limit)).await?;
    let items = found.items.iter().map(|record| row(record, &names)).collect();
    Ok(Json(FindingPage { items, next: found.next }))
}

/// One finding.
#[utoipa::path(get, path = "/api/v1/findings/{key}", tag = "findings", operation_id = "findings_show", params(("key" = String, Path), LangQuery),
    responses((status = 200, body = FindingDetail), (status = "4XX", body = Problem)))]
pub(crate) async fn show(
    State(web): State<Web>,
    caller: Caller,
    Path(key): Path<String>,
    Params(lang): Params<LangQuery>,
) -> Result<Json<FindingDetail>, Problem> {
    let record = web.casework().finding(&caller.viewer()?, &key).await?;
    let names = ProviderNames::read(&web, &caller).await?;
    let messages = web.observatory().messages();
    let finding = &record.finding;
    let evidence = finding.evidence.iter().map(|evidence| EvidenceRow {
        survey_id: evidence.survey_id.to_string(),
        at: evidence.time.into(),
        endpoint: evidence.endpoint.to_string(),
        field: evidence.field.clone(),
        value: evidence.value.clone(),
        blobs: evidence.blobs.clone(),
    });
    Ok(Json(FindingDetail {
        finding: row(&record, &names),
        asset_id: finding.asset_id.to_string(),
        code: finding.explanation.code.clone(),
        args: finding.explanation.args.clone(),
        explanation: messages.explain(lang.tag(), &finding.explanation),
        why: prose(messages, lang.tag(), &[format!("why.{}", finding.kind)]),
        advice: advice(messages, lang.tag(), &record),
        evidence: evidence.collect(),
        snapshots: finding.snapshots.clone(),
        identity: claims(&record.identity),
        priority: finding.priority.iter().flat_map(|one| questions(one, messages, lang.tag())).collect(),
    }))
}

pub(super) fn row(record: &FindingRecord, names: &ProviderNames) -> FindingRow {
    let finding = &record.finding;
    FindingRow {
        key: finding.key.clone(),
        kind: finding.kind.to_string(),
        severity: finding.severity.to_string(),
        priority: finding.priority.as_ref().map(|priority| priority.decision.to_string()),
        remedy: finding.remedy.to_string(),
        state: record.state.to_string(),
        endpoint: finding.endpoint.to_string(),
        product: product_of(&record.identity),
        provider: record.provider.map(|id| names.named(id)),
        case_id: record.case_id.map(|id| id.to_string()),
        confidence: finding.confidence,
        first_round: record.first_round,
        first_at: record.first_seen.into(),
        last_round: record.last_round,
        last_at: record.last_seen.into(),
    }
}

/// What to do: for this type of device when a catalogue knows it, else in general.
fn advice(messages: &Messages, language: &str, record: &FindingRecord) -> Option<String> {
    let general = format!("remedy.{}", record.finding.remedy);
    let device = record.identity.device_type.as_ref().map(|claim| format!("{general}.{}", claim.value));
    let codes: Vec<String> = device.into_iter().chain([general]).collect();
    prose(messages, language, &codes)
}

/// The first of `codes` that a catalogue knows, as prose without arguments.
fn prose(messages: &Messages, language: &str, codes: &[String]) -> Option<String> {
    let code = codes.iter().find(|code| messages.has(language, code))?;
    Some(messages.render(language, code, &BTreeMap::new()))
}

fn questions(priority: &Priority, messages: &Messages, language: &str) -> Vec<QuestionRow> {
    let answers = [
        ("exploitation", priority.exploitation.as_str()),
        ("exposure", priority.exposure.as_str()),
        ("automatable", priority.automatable.as_str()),
        ("impact", priority.impact.as_str()),
    ];
    let of = |(question, answer): (&str, &str)| {
        let prefix = format!("priority.{question}.");
        let reasons = priority.reasons.iter().filter(|reason| reason.code.starts_with(&prefix));
        QuestionRow {
            question: question.to_owned(),
            answer: answer.to_owned(),
            reasons: reasons.map(|reason| messages.explain(language, reason)).collect(),
        }
    };
    answers.into_iter().map(of).collect()
}

pub(super) fn claims(identity: &Identity) -> Vec<ClaimRow> {
    let of = |attribute: &str, claim: &Claim, value: String| ClaimRow {
        attribute: attribute.to_owned(),
        value,
        confidence: claim.confidence,
        reason: claim.reason.clone(),
    };
    let single = [
        ("vendor", &identity.vendor),
        ("product", &identity.product),
        ("version", &identity.version),
        ("device-type", &identity.device_type),
        ("cpe", &identity.cpe),
    ];
    let mut rows: Vec<ClaimRow> = single
        .into_iter()
        .filter_map(|(name, claim)| claim.as_ref().map(|claim| of(name, claim, claim.value.clone())))
        .collect();
    rows.extend(identity.components.iter().map(|component| {
        let words = [
            component.vendor.as_deref(),
            Some(component.product.value.as_str()),
            component.version.as_deref(),
        ];
        let value = words.into_iter().flatten().collect::<Vec<_>>().join(" ");
        of("component", &component.product, format!("{value} ({})", component.port))
    }));
    rows
}
