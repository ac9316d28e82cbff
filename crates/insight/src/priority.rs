//! How soon something must be done about a finding: the four questions of SSVC's deployer, each
//! answered with its reasons.
//!
//! KEV decides that a weakness is exploited; EPSS is told beside it as evidence and never added up.
//! CISA's own answers in CVE records count where there are any. For what needs no CVE (a factory
//! password, an open door) the kind of finding answers. What is not known is answered as SSVC advises
//! those who deploy, with the worse, and says so.

mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use kenshin_observation::{
    AssetId, Automatable, Decision, DeviceType, Explanation, Exploitation, Exposure, Finding, FindingKind,
    Identity, Impact, Priority,
};

use crate::intelligence::{Cve, CveId, Intelligence};

pub use tree::decide;

/// Devices that share a weakness from which on losing them is more than each owner's loss.
const MANY: usize = 100;

/// Gives every finding of a round its priority. `identity` tells what an asset was taken for.
pub fn prioritise<'i>(
    findings: &mut [Finding],
    identity: impl Fn(AssetId) -> Option<&'i Identity>,
    intelligence: &Intelligence,
) {
    let mut sharers: BTreeMap<String, BTreeSet<AssetId>> = BTreeMap::new();
    for finding in &*findings {
        if let Some(weakness) = weakness(finding, identity(finding.asset_id)) {
            sharers.entry(weakness).or_default().insert(finding.asset_id);
        }
    }
    for finding in findings {
        let identity = identity(finding.asset_id);
        let sharers = weakness(finding, identity).and_then(|weakness| sharers.get(&weakness));
        finding.priority = Some(priority(finding, identity, sharers.map_or(1, BTreeSet::len), intelligence));
    }
}

/// What devices with the same weakness have in common; `None` when it cannot be told.
fn weakness(finding: &Finding, identity: Option<&Identity>) -> Option<String> {
    let kind = finding.kind;
    let arg = |name: &str| finding.explanation.args.get(name);
    match kind {
        FindingKind::KnownExploited => arg("cve").map(|cve| format!("{kind} {cve}")),
        FindingKind::UnmaintainedComponent => arg("component").map(|component| format!("{kind} {component}")),
        FindingKind::EndOfLife => Some(format!("{kind} {} {}", arg("product")?, arg("cycle")?)),
        _ => {
            let product = identity?.product.as_ref()?;
            Some(format!("{kind} {}", product.value))
        }
    }
}

/// The priority of one finding that `sharers` devices have in common.
fn priority(
    finding: &Finding,
    identity: Option<&Identity>,
    sharers: usize,
    intelligence: &Intelligence,
) -> Priority {
    let cve = finding.explanation.args.get("cve").and_then(|id| id.parse::<CveId>().ok());
    let record = cve.and_then(|id| intelligence.cve(id));
    let mut reasons = Vec::new();
    let exploitation = exploitation(finding, cve, record, intelligence, &mut reasons);
    let exposure = exposure(finding, &mut reasons);
    let automatable = automatable(finding, record, &mut reasons);
    let impact = impact(finding, identity, record, sharers, &mut reasons);
    let decision = decide(exploitation, exposure, automatable, impact);
    Priority { decision, exploitation, exposure, automatable, impact, reasons }
}

fn reason(code: &str, args: &[(&str, String)]) -> Explanation {
    let args = args.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Explanation { code: format!("priority.{code}"), args }
}

fn exploitation(
    finding: &Finding,
    cve: Option<CveId>,
    record: Option<&Cve>,
    intelligence: &Intelligence,
    reasons: &mut Vec<Explanation>,
) -> Exploitation {
    let Some(id) = cve else {
        let (answer, code) = match finding.kind {
            FindingKind::TelnetOpen
            | FindingKind::DefaultCredentials
            | FindingKind::AdminOpen
            | FindingKind::DatabaseOpen
            | FindingKind::AdbOpen
            | FindingKind::OpenResolver
            | FindingKind::Amplifier
            | FindingKind::SnmpPublic
            | FindingKind::Smb1
            | FindingKind::CwmpExposed
            | FindingKind::RdpWithoutNla => (Exploitation::Active, "exploitation.routine"),
            FindingKind::AnonymousFtp
            | FindingKind::AnonymousMqtt
            | FindingKind::ScreenOpen
            | FindingKind::ControllerExposed
            | FindingKind::SharedKey => (Exploitation::Poc, "exploitation.public"),
            // Of a CVE that is not named nothing is known.
            FindingKind::KnownExploited => (Exploitation::Active, "exploitation.routine"),
            FindingKind::EndOfLife
            | FindingKind::UnmaintainedComponent
            | FindingKind::BrokenTls
            | FindingKind::WeakSsh => (Exploitation::None, "exploitation.none"),
            FindingKind::AlteredContent => (Exploitation::Active, "exploitation.altered"),
        };
        reasons.push(reason(code, &[]));
        return answer;
    };
    let cisa = record.and_then(|cve| cve.ssvc);
    let answer = match (intelligence.kev(id), cisa) {
        (Some(kev), _) => {
            let code = if kev.ransomware { "exploitation.kev-ransomware" } else { "exploitation.kev" };
            reasons.push(reason(code, &[("cve", id.to_string()), ("added", kev.added.to_string())]));
            Exploitation::Active
        }
        (None, Some(cisa)) => {
            let answer = cisa.exploitation;
            reasons.push(reason(
                "exploitation.cisa",
                &[("cve", id.to_string()), ("answer", answer.to_string())],
            ));
            answer
        }
        (None, None) => {
            reasons.push(reason("exploitation.none", &[]));
            Exploitation::None
        }
    };
    if let Some(epss) = intelligence.epss(id) {
        let percent = format!("{}.{}", epss.probability_ppm / 10_000, epss.probability_ppm / 1_000 % 10);
        reasons.push(reason("exploitation.epss", &[("percent", percent)]));
    }
    answer
}

/// What was observed was reached: by everybody, unless its address is one that is not routed.
fn exposure(finding: &Finding, reasons: &mut Vec<Explanation>) -> Exposure {
    let endpoint = finding.endpoint;
    let (answer, code) = if is_inside(endpoint.addr) {
        (Exposure::Controlled, "exposure.controlled")
    } else {
        (Exposure::Open, "exposure.open")
    };
    reasons.push(reason(code, &[("port", endpoint.port.to_string())]));
    answer
}

/// Addresses of networks within (RFC 1918, RFC 6598, RFC 3927, RFC 4193, RFC 4291).
fn is_inside(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(addr) => {
            let [a, b, ..] = addr.octets();
            addr.is_private() || addr.is_link_local() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(addr) => addr.is_unique_local() || addr.is_unicast_link_local(),
    }
}

fn automatable(finding: &Finding, record: Option<&Cve>, reasons: &mut Vec<Explanation>) -> Automatable {
    let (answer, code, args) = match finding.kind {
        FindingKind::KnownExploited => of_cve(record),
        FindingKind::BrokenTls | FindingKind::WeakSsh | FindingKind::SharedKey => {
            (Automatable::No, "automatable.on-path", vec![])
        }
        FindingKind::EndOfLife | FindingKind::UnmaintainedComponent => {
            (Automatable::No, "automatable.nothing-known", vec![])
        }
        FindingKind::AlteredContent => (Automatable::Yes, "automatable.unknown", vec![]),
        _ => (Automatable::Yes, "automatable.protocol", vec![]),
    };
    reasons.push(reason(code, &args));
    answer
}

type Answered<T> = (T, &'static str, Vec<(&'static str, String)>);

/// CISA's answer, else what the CVSS vector says of an attack: over the network, simple, without
/// login, without anybody's help.
fn of_cve(record: Option<&Cve>) -> Answered<Automatable> {
    if let Some(cisa) = record.and_then(|cve| cve.ssvc) {
        return (cisa.automatable, "automatable.cisa", vec![("answer", cisa.automatable.to_string())]);
    }
    let vector = record.and_then(|cve| cve.cvss.as_ref()).map(|cvss| cvss.vector.as_str());
    match vector.filter(|vector| vector.starts_with("CVSS:")) {
        Some(vector) => {
            let parts: Vec<&str> = vector.split('/').collect();
            let simple = ["AV:N", "AC:L", "PR:N", "UI:N"].iter().all(|part| parts.contains(part));
            let answer = if simple { Automatable::Yes } else { Automatable::No };
            (answer, "automatable.cvss", vec![("vector", vector.to_owned()), ("answer", answer.to_string())])
        }
        None => (Automatable::Yes, "automatable.unknown", vec![]),
    }
}

fn impact(
    finding: &Finding,
    identity: Option<&Identity>,
    record: Option<&Cve>,
    sharers: usize,
    reasons: &mut Vec<Explanation>,
) -> Impact {
    let (mut answer, code) = match finding.kind {
        FindingKind::ControllerExposed => (Impact::VeryHigh, "impact.physical"),
        FindingKind::DefaultCredentials
        | FindingKind::AdminOpen
        | FindingKind::AdbOpen
        | FindingKind::ScreenOpen
        | FindingKind::AlteredContent => (Impact::High, "impact.control"),
        FindingKind::DatabaseOpen => (Impact::High, "impact.data"),
        FindingKind::KnownExploited => of_vulnerability(record),
        FindingKind::AnonymousFtp | FindingKind::AnonymousMqtt => (Impact::Medium, "impact.data"),
        FindingKind::TelnetOpen
        | FindingKind::Smb1
        | FindingKind::CwmpExposed
        | FindingKind::RdpWithoutNla => (Impact::Medium, "impact.way-in"),
        FindingKind::OpenResolver | FindingKind::Amplifier | FindingKind::SnmpPublic => {
            (Impact::Medium, "impact.others")
        }
        FindingKind::EndOfLife | FindingKind::UnmaintainedComponent => (Impact::Low, "impact.later"),
        FindingKind::BrokenTls | FindingKind::WeakSsh | FindingKind::SharedKey => {
            (Impact::Low, "impact.on-path")
        }
    };
    reasons.push(reason(code, &[]));
    let device =
        identity.and_then(|identity| identity.device_type.as_ref()).map(|claim| claim.value.as_str());
    if device == Some(DeviceType::Controller.as_str()) && finding.kind != FindingKind::ControllerExposed {
        answer = raised(answer);
        reasons.push(reason("impact.controller", &[]));
    }
    let args = [("devices", sharers.to_string())];
    if sharers >= MANY {
        answer = raised(answer);
        reasons.push(reason("impact.population", &args));
    } else if sharers > 1 {
        reasons.push(reason("impact.sharers", &args));
    }
    answer
}

/// An attacker who gets the whole of the software gets the device.
fn of_vulnerability(record: Option<&Cve>) -> (Impact, &'static str) {
    let critical = |cve: &Cve| cve.cvss.as_ref().is_some_and(|cvss| cvss.score_tenths >= 90);
    match record.map(|cve| (cve.ssvc.map(|cisa| cisa.total), critical(cve))) {
        Some((Some(true), _)) => (Impact::High, "impact.total"),
        Some((Some(false), _)) => (Impact::Medium, "impact.partial"),
        Some((None, true)) => (Impact::High, "impact.cvss-critical"),
        Some((None, false)) => (Impact::Medium, "impact.cvss"),
        None => (Impact::High, "impact.unknown"),
    }
}

fn raised(impact: Impact) -> Impact {
    match impact {
        Impact::Low => Impact::Medium,
        Impact::Medium => Impact::High,
        Impact::High | Impact::VeryHigh => Impact::VeryHigh,
    }
}

/// The most urgent of several decisions.
pub fn most_urgent<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Option<Decision> {
    findings.into_iter().filter_map(|finding| Some(finding.priority.as_ref()?.decision)).max()
}
