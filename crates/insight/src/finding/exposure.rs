//! Services that stand open to whoever comes, as one conversation shows. A re-check asks the same
//! question: [`told`] also says where it was answered with no.

use std::collections::BTreeMap;

use kenshin_observation::protocol::{Records, Snmp};
use kenshin_observation::{AssetId, Finding, FindingKind, Observation, Remedy, Severity};

use super::{Draft, by_port, evidence};

/// Bytes answered for one byte asked, in thousandths, from which a service amplifies. An ordinary
/// answer that tells a name or a version stays below.
const AMPLIFIES_MILLI: i64 = 5_000;

/// From here a small connection is enough to flood a large one.
const FLOODS_MILLI: i64 = 50_000;

/// What one conversation tells about one weakness.
struct Told {
    kind: FindingKind,
    /// How it shows; `None` when it was asked for and is not there.
    shown: Option<Shown>,
}

struct Shown {
    severity: Severity,
    /// Continues the message code of the kind.
    variant: &'static str,
    args: Vec<(&'static str, String)>,
    /// Field that was decisive, and its value.
    field: &'static str,
    value: String,
}

/// Findings of one observation.
pub(super) fn of(asset_id: AssetId, observation: &Observation) -> Vec<Finding> {
    let shown = all(&observation.records).into_iter().filter_map(|told| Some((told.kind, told.shown?)));
    shown
        .map(|(kind, shown)| {
            let draft = Draft {
                asset_id,
                kind,
                observation,
                severity: shown.severity,
                remedy: Remedy::CloseService,
                confidence: 99,
                discriminator: by_port(observation.subject),
                code: format!("finding.{kind}{}", shown.variant),
                args: shown.args,
                evidence: vec![evidence(observation, shown.field, &shown.value)],
                snapshots: Vec::new(),
            };
            draft.finish()
        })
        .collect()
}

/// For each weakness that the conversation was a question about: whether it is there.
pub(crate) fn told(records: &Records) -> BTreeMap<FindingKind, bool> {
    let mut out = BTreeMap::new();
    for told in all(records) {
        *out.entry(told.kind).or_default() |= told.shown.is_some();
    }
    out
}

fn all(records: &Records) -> Vec<Told> {
    let mut told = stores(records);
    told.extend(computers(records));
    told.extend(datagrams(records));
    told.extend(controllers(records));
    told.extend(connection_requests(records));
    told
}

/// A web server that said what it is, and not that it cannot now.
fn speaks_http(records: &Records) -> bool {
    records.http.as_ref().is_some_and(|http| http.status < 500 && http.status != 429)
}

fn stores(records: &Records) -> Vec<Told> {
    let redis = records.redis.as_ref().and_then(|redis| {
        Some(("redis.authentication_required", redis.authentication_required?, "Redis", &redis.version))
    });
    let mongodb = records.mongodb.as_ref().and_then(|mongodb| {
        let required = mongodb.authentication_required?;
        Some(("mongodb.authentication_required", required, "MongoDB", &mongodb.version))
    });
    // One that wants a login does not tell its version.
    let memcached = records
        .memcached
        .as_ref()
        .map(|cache| ("memcached.version", cache.version.is_none(), "memcached", &cache.version));
    let elasticsearch = records.elasticsearch.as_ref().and_then(|engine| {
        let product =
            if engine.distribution.as_deref() == Some("opensearch") { "OpenSearch" } else { "Elasticsearch" };
        let required = engine.authentication_required?;
        Some(("elasticsearch.authentication_required", required, product, &engine.version))
    });
    let mut told: Vec<Told> = [redis, mongodb, memcached, elasticsearch]
        .into_iter()
        .flatten()
        .map(|(field, required, product, version)| {
            let value = match (field, version) {
                ("memcached.version", Some(version)) => version.clone(),
                _ => required.to_string(),
            };
            let shown = Shown {
                severity: Severity::Critical,
                variant: "",
                args: vec![("product", product.to_owned())],
                field,
                value,
            };
            Told { kind: FindingKind::DatabaseOpen, shown: (!required).then_some(shown) }
        })
        .collect();
    if told.is_empty() && speaks_http(records) {
        told.push(Told { kind: FindingKind::DatabaseOpen, shown: None });
    }
    told
}

fn computers(records: &Records) -> Vec<Told> {
    let mut told = Vec::new();
    let mut open = |kind, field, severity, variant, is: bool, value: String| {
        let shown = Shown { severity, variant, args: Vec::new(), field, value };
        told.push(Told { kind, shown: is.then_some(shown) });
    };
    if let Some(adb) = &records.adb
        && let Some(required) = adb.authentication_required
    {
        let banner = adb.banner.clone().unwrap_or_else(|| required.to_string());
        open(FindingKind::AdbOpen, "adb.banner", Severity::Critical, "", !required, banner);
    }
    if let Some(vnc) = &records.vnc
        && let Some(required) = vnc.authentication_required
    {
        let types = vnc.security_types.join(", ");
        open(FindingKind::ScreenOpen, "vnc.security_types", Severity::Critical, "", !required, types);
    }
    if let Some(smb) = &records.smb
        && let Some(spoken) = smb.smb1
    {
        open(FindingKind::Smb1, "smb.smb1", Severity::High, "", spoken, spoken.to_string());
    }
    if let Some(rdp) = &records.rdp {
        // We offer CredSSP: a server that has it takes it (MS-RDPBCGR §5.4.2.1). One that refuses for
        // another reason does not tell.
        let protocol = |selected: Option<i64>| selected.map_or("none".to_owned(), |one| one.to_string());
        let (kind, field) = (FindingKind::RdpWithoutNla, "rdp.selected_protocol");
        match (rdp.failure, rdp.selected_protocol) {
            (Some(2), selected) | (None, selected @ (None | Some(0))) => {
                open(kind, field, Severity::High, ".unencrypted", true, protocol(selected));
            }
            (None, selected @ Some(1)) => open(kind, field, Severity::Medium, "", true, protocol(selected)),
            (Some(5), selected) | (None, selected @ Some(2 | 8)) => {
                open(kind, field, Severity::Medium, "", false, protocol(selected));
            }
            _ => {}
        }
    }
    told
}

fn datagrams(records: &Records) -> Vec<Told> {
    let mut told = Vec::new();
    if let Some(accepted) = records.snmp.as_ref().and_then(|snmp| snmp.community_accepted) {
        let value = records.snmp.as_deref().map(description).unwrap_or_default();
        let shown = Shown {
            severity: Severity::Medium,
            variant: "",
            args: Vec::new(),
            field: "snmp.community_accepted",
            value,
        };
        told.push(Told { kind: FindingKind::SnmpPublic, shown: accepted.then_some(shown) });
    }
    let resolves = records.dns.as_ref().and_then(|dns| dns.recursion_open);
    if let Some(open) = resolves {
        let shown = Shown {
            severity: Severity::Medium,
            variant: "",
            args: Vec::new(),
            field: "dns.recursion_open",
            value: open.to_string(),
        };
        told.push(Told { kind: FindingKind::OpenResolver, shown: open.then_some(shown) });
    }
    told.extend(amplifier(records, resolves == Some(true)));
    told
}

/// What an agent told to whoever asked.
fn description(snmp: &Snmp) -> String {
    snmp.sys_descr.clone().or_else(|| snmp.sys_name.clone()).unwrap_or_else(|| "true".to_owned())
}

/// An open resolver amplifies because it resolves: that is one weakness.
fn amplifier(records: &Records, resolves: bool) -> Option<Told> {
    let measured = records.reflector.as_ref()?;
    let factor = measured.factor_milli;
    let private = records.ntp.as_ref().and_then(|ntp| ntp.private_answers) == Some(true);
    let shown = if private {
        // Its list of clients is hundreds of times as long as the question (CVE-2013-5211).
        Some(Shown {
            severity: Severity::High,
            variant: ".ntp-private",
            args: Vec::new(),
            field: "ntp.private_answers",
            value: "true".to_owned(),
        })
    } else if factor >= AMPLIFIES_MILLI && !resolves {
        Some(Shown {
            severity: if factor >= FLOODS_MILLI { Severity::High } else { Severity::Medium },
            variant: "",
            args: vec![("factor", format!("{}.{}", factor / 1_000, factor % 1_000 / 100))],
            field: "reflector.factor_milli",
            value: format!(
                "{} bytes answered to {}, in {} packets",
                measured.answer_bytes, measured.request_bytes, measured.answer_packets
            ),
        })
    } else {
        None
    };
    Some(Told { kind: FindingKind::Amplifier, shown })
}

/// Their protocols know no password: who reaches them may command them.
fn controllers(records: &Records) -> Vec<Told> {
    let plate = |parts: &[&Option<String>]| {
        let parts: Vec<&str> = parts.iter().filter_map(|part| part.as_deref()).map(str::trim).collect();
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    };
    let modbus = records
        .modbus
        .as_ref()
        .map(|modbus| ("Modbus", "modbus", plate(&[&modbus.vendor, &modbus.product_code, &modbus.revision])));
    let s7 = records.s7.as_ref().map(|s7| ("S7", "s7", plate(&[&s7.module, &s7.module_name, &s7.version])));
    let bacnet = records
        .bacnet
        .as_ref()
        .map(|bacnet| ("BACnet", "bacnet", plate(&[&bacnet.vendor, &bacnet.model, &bacnet.firmware])));
    [modbus, s7, bacnet]
        .into_iter()
        .flatten()
        .map(|(protocol, field, plate)| {
            let shown = Shown {
                severity: Severity::Critical,
                variant: if plate.is_empty() { "" } else { ".named" },
                args: vec![("protocol", protocol.to_owned()), ("plate", plate.clone())],
                field,
                value: if plate.is_empty() { protocol.to_owned() } else { plate },
            };
            Told { kind: FindingKind::ControllerExposed, shown: Some(shown) }
        })
        .collect()
}

fn connection_requests(records: &Records) -> Option<Told> {
    let kind = FindingKind::CwmpExposed;
    let Some(cwmp) = &records.cwmp else { return speaks_http(records).then_some(Told { kind, shown: None }) };
    let (field, value) = match (&cwmp.server, &cwmp.realm) {
        (Some(server), _) => ("cwmp.server", server.clone()),
        (None, Some(realm)) => ("cwmp.realm", realm.clone()),
        (None, None) => ("cwmp.server", String::new()),
    };
    let shown = Shown { severity: Severity::Medium, variant: "", args: Vec::new(), field, value };
    Some(Told { kind, shown: Some(shown) })
}
