//! The demo's score: what Kenshin said, held against the town's answer key.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use kenshin_casework::{CaseFilter, CaseState, FindingFilter, FindingState, PAGE_MAX, PageRequest};
use kenshin_insight::identity::{normal_product, normal_vendor};
use kenshin_observation::{Condition, Endpoint, FindingKind, Identity, SurveyId};
use kenshin_stage::{Truth, TruthCase, TruthDevice};
use serde::Serialize;

use crate::Observatory;
use crate::error::ActError;

/// What was said after the first round.
pub(crate) struct Found {
    findings: BTreeSet<(Endpoint, FindingKind)>,
    identities: BTreeMap<IpAddr, Identity>,
}

/// Precision and recall of what was said.
#[derive(Debug, Clone, Serialize)]
pub struct Share {
    /// Of what was said, how much is right.
    pub precision: f64,
    /// Of what is knowable, how much was said.
    pub recall: f64,
    /// What was said and is not so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wrong: Vec<String>,
    /// What is knowable and was not said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missed: Vec<String>,
}

/// Judgements of the re-check.
#[derive(Debug, Clone, Serialize)]
pub struct RecheckScore {
    /// Right ones.
    pub correct: u64,
    /// All.
    pub total: u64,
    /// Those that are not right.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wrong: Vec<String>,
}

/// Identities.
#[derive(Debug, Clone, Serialize)]
pub struct IdentityScore {
    /// Of the attributes said, how many are right.
    pub precision: f64,
    /// Of the attributes knowable, how many were said and right.
    pub recall: f64,
    /// Devices of which nothing was said.
    pub abstained: u64,
    /// Attributes said that are not right.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wrong: Vec<String>,
}

/// Compared with the answer key.
#[derive(Debug, Clone, Serialize)]
pub struct Score {
    /// Findings of the first round.
    pub findings: Share,
    /// Conditions judged by the re-check.
    pub recheck: RecheckScore,
    /// Identities of the first round.
    pub identity: IdentityScore,
}

impl Found {
    /// Findings by kind.
    pub(crate) fn by_kind(&self) -> BTreeMap<String, u64> {
        let mut kinds = BTreeMap::new();
        for (_, kind) in &self.findings {
            *kinds.entry(kind.to_string()).or_default() += 1;
        }
        kinds
    }
}

/// What stands after the first round.
pub(crate) async fn round_one(observatory: &Observatory, survey: SurveyId) -> Result<Found, ActError> {
    let mut findings = BTreeSet::new();
    let filter = FindingFilter { state: Some(FindingState::Present), ..FindingFilter::default() };
    let mut page = Some(PageRequest { after: None, limit: PAGE_MAX });
    while let Some(request) = page {
        let found = observatory.casework().findings(&observatory.viewer(), &filter, &request).await?;
        page = PageRequest::following(&found).map(|next| PageRequest { limit: PAGE_MAX, ..next });
        findings.extend(found.items.into_iter().map(|r| (r.finding.endpoint, r.finding.kind)));
    }
    let mut identities = BTreeMap::new();
    let mut page = Some(PageRequest { after: None, limit: PAGE_MAX });
    while let Some(request) = page {
        let found = observatory.casework().assets(&observatory.viewer(), None, &request).await?;
        page = PageRequest::following(&found).map(|next| PageRequest { limit: PAGE_MAX, ..next });
        identities.extend(
            found
                .items
                .into_iter()
                .filter(|asset| asset.last_survey == survey)
                .map(|asset| (asset.addr, asset.identity)),
        );
    }
    Ok(Found { findings, identities })
}

/// The whole score.
pub(crate) async fn score(
    observatory: &Observatory,
    truth: &Truth,
    found: &Found,
) -> Result<Score, ActError> {
    let (first, second) = (&truth.rounds[0], &truth.rounds[1]);
    let mut cases = Vec::new();
    let mut page = Some(PageRequest { after: None, limit: PAGE_MAX });
    while let Some(request) = page {
        let listed =
            observatory.casework().cases(&observatory.viewer(), &CaseFilter::default(), &request).await?;
        page = PageRequest::following(&listed).map(|next| PageRequest { limit: PAGE_MAX, ..next });
        cases.extend(listed.items);
    }
    Ok(Score {
        findings: findings(&first.devices, found),
        recheck: recheck(&second.cases, &cases),
        identity: identity(&first.devices, found),
    })
}

fn findings(devices: &[TruthDevice], found: &Found) -> Share {
    let mut right = 0u64;
    let mut wrong = Vec::new();
    for (endpoint, kind) in &found.findings {
        let so = devices
            .iter()
            .filter(|d| IpAddr::from(d.address) == endpoint.addr)
            .any(|d| d.findings.iter().any(|f| f.kind == *kind && f.ports.contains(&endpoint.port)));
        if so {
            right += 1;
        } else {
            wrong.push(format!("{kind} at {endpoint}"));
        }
    }
    let (mut said, mut missed) = (0u64, Vec::new());
    for device in devices {
        for finding in device.findings.iter().filter(|f| f.knowable) {
            let was = found.findings.iter().any(|(endpoint, kind)| {
                endpoint.addr == IpAddr::from(device.address)
                    && *kind == finding.kind
                    && finding.ports.contains(&endpoint.port)
            });
            if was {
                said += 1;
            } else {
                missed.push(format!(
                    "{} at {}:{} ({})",
                    finding.kind, device.address, finding.port, device.kind
                ));
            }
        }
    }
    Share {
        precision: ratio(right, right + wrong.len() as u64),
        recall: ratio(said, said + missed.len() as u64),
        wrong,
        missed,
    }
}

fn recheck(expected: &[TruthCase], cases: &[CaseState]) -> RecheckScore {
    let mut score = RecheckScore { correct: 0, total: 0, wrong: Vec::new() };
    for truth in expected {
        score.total += 1;
        // The first one that was opened: what took the device's place may have a case of its own by now.
        let of_device = cases.iter().filter(|case| {
            case.subject.endpoint.addr == IpAddr::from(truth.address) && case.remedy == truth.remedy
        });
        let held = of_device.min_by_key(|case| case.case_id);
        let problem = match held {
            None => Some("there is no such case".to_owned()),
            Some(case) => judged_wrongly(truth, case),
        };
        match problem {
            None => score.correct += 1,
            Some(problem) => {
                score.wrong.push(format!("{} at {}:{}: {problem}", truth.remedy, truth.address, truth.port))
            }
        }
    }
    score
}

fn judged_wrongly(truth: &TruthCase, case: &CaseState) -> Option<String> {
    if case.condition != truth.condition && !truth.alternatives.contains(&case.condition) {
        return Some(format!("{} instead of {}", case.condition, truth.condition));
    }
    if truth.condition != Condition::Elsewhere {
        return None;
    }
    if case.still_affected != truth.still_affected {
        return Some(format!(
            "still affected there: {:?} instead of {:?}",
            case.still_affected, truth.still_affected
        ));
    }
    match truth.address_now {
        Some(now) if IpAddr::from(now) != case.endpoint.addr => {
            Some(format!("seen at {} instead of {now}", case.endpoint.addr))
        }
        _ => None,
    }
}

fn identity(devices: &[TruthDevice], found: &Found) -> IdentityScore {
    let unknown = Identity::default();
    let (mut right, mut knowable, mut abstained, mut wrong) = (0u64, 0u64, 0u64, Vec::new());
    for device in devices {
        let said = found.identities.get(&IpAddr::from(device.address)).unwrap_or(&unknown);
        if said.is_unknown() {
            abstained += 1;
        }
        let truth = &device.identity;
        let value =
            |claim: &Option<kenshin_observation::Claim>| claim.as_ref().map(|claim| claim.value.clone());
        let attributes = [
            ("vendor", &truth.vendor, value(&said.vendor)),
            ("product", &truth.product, value(&said.product)),
            ("version", &truth.version, value(&said.version)),
            ("type", &truth.device_type, value(&said.device_type)),
        ];
        for (name, truth, said) in attributes {
            let normal = |text: &str| match name {
                "vendor" => normal_vendor(text),
                "product" => normal_product(text),
                _ => text.to_ascii_lowercase(),
            };
            knowable += u64::from(truth.is_some());
            match (truth, said) {
                (Some(truth), Some(said)) if normal(truth) == normal(&said) => right += 1,
                (truth, Some(said)) => wrong.push(format!(
                    "{name} of {} ({}): `{said}` instead of {}",
                    device.address,
                    device.kind,
                    truth.as_ref().map_or_else(|| "unknown".to_owned(), |truth| format!("`{truth}`"))
                )),
                (_, None) => {}
            }
        }
    }
    IdentityScore {
        precision: ratio(right, right + wrong.len() as u64),
        recall: ratio(right, knowable),
        abstained,
        wrong,
    }
}

/// Nothing out of nothing is whole. Four decimals.
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 1.0 } else { (part as f64 / whole as f64 * 10_000.0).floor() / 10_000.0 }
}
