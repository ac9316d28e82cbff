//! Whether the question that once found a weakness was asked again, and answered.

use std::collections::BTreeSet;

use kenshin_observation::{DeviceKey, Endpoint, FindingKind, Outcome};

use crate::asset::{Host, Service};

/// The answer at one endpoint of a host that is known to live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// Asked and answered: the weakness is not there. The message code says how it shows.
    Clean(&'static str),
    /// Nobody serves there any more.
    Gone,
    /// Not asked, or not answered; the message code says what is missing.
    Not(&'static str),
}

/// Nobody serves there any more although the host lives: refused, silent, or shut off on the way.
pub(super) fn closed(service: &Service) -> bool {
    service.gone() || (!service.open && matches!(service.outcome, Outcome::Filtered | Outcome::Dark))
}

/// The endpoints at which a weakness is to be asked for again: the case's own if it showed there
/// or if it is not known where it showed, else those where it did.
pub(super) fn carriers(kind: FindingKind, own: Endpoint, before: Option<&Host>) -> BTreeSet<Endpoint> {
    let showed = |service: &&Service| {
        let protocol = service.protocol.as_deref();
        match kind {
            FindingKind::TelnetOpen => protocol == Some("telnet"),
            FindingKind::DefaultCredentials => service.credential.as_deref() == Some("accepted"),
            FindingKind::AnonymousFtp => {
                protocol == Some("ftp") && service.anonymous.as_deref() == Some("accepted")
            }
            FindingKind::AnonymousMqtt => {
                protocol == Some("mqtt") && service.anonymous.as_deref() == Some("accepted")
            }
            FindingKind::BrokenTls => service.tls,
            FindingKind::SharedKey => !service.keys.is_empty(),
            FindingKind::AdminOpen
            | FindingKind::KnownExploited
            | FindingKind::EndOfLife
            | FindingKind::UnmaintainedComponent
            | FindingKind::AlteredContent => false,
            _ => service.told.get(&kind) == Some(&true),
        }
    };
    let services = before.iter().flat_map(|before| before.services.values());
    let carriers: BTreeSet<Endpoint> = services.filter(showed).map(|service| service.endpoint).collect();
    if carriers.is_empty() || carriers.contains(&own) { BTreeSet::from([own]) } else { carriers }
}

/// Given that no finding holds: was the weakness looked for at this service, and what was seen?
/// `shared` are the keys that identify nobody.
pub(super) fn asked(
    kind: FindingKind,
    host: &Host,
    service: Option<&Service>,
    before: Option<&Host>,
    shared: &BTreeSet<DeviceKey>,
) -> Asked {
    let Some(service) = service else { return Asked::Not("judge.not-measured") };
    if shown_by_version(kind, host, before, service.endpoint.port) {
        return Asked::Clean("judge.clean.version");
    }
    if closed(service) {
        return Asked::Gone;
    }
    let Some(protocol) = service.protocol.as_deref().filter(|_| service.outcome == Outcome::Answered) else {
        return Asked::Not("judge.unfinished");
    };
    let (clean, missing) = match kind {
        FindingKind::TelnetOpen => (protocol != "telnet", "judge.unfinished"),
        FindingKind::AdminOpen => (true, "judge.unfinished"),
        FindingKind::DefaultCredentials => {
            (service.credential.as_deref() == Some("rejected"), "judge.not-asked.credential")
        }
        FindingKind::AnonymousFtp => (
            protocol != "ftp" || service.anonymous.as_deref() == Some("rejected"),
            "judge.not-asked.anonymous",
        ),
        FindingKind::AnonymousMqtt => (
            protocol != "mqtt" || service.anonymous.as_deref() == Some("rejected"),
            "judge.not-asked.anonymous",
        ),
        FindingKind::BrokenTls => (service.tls, "judge.not-asked.tls"),
        FindingKind::SharedKey => (shows_another_key(service, before, shared), "judge.not-asked.key"),
        FindingKind::KnownExploited | FindingKind::EndOfLife | FindingKind::UnmaintainedComponent => {
            (false, "judge.not-asked.version")
        }
        _ => (
            service.told.get(&kind) == Some(&false) || speaks_something_else(kind, protocol),
            "judge.not-asked.exposure",
        ),
    };
    if clean { Asked::Clean("judge.clean") } else { Asked::Not(missing) }
}

/// True when the service shows a key that it did not have before and that is not known to be shared.
fn shows_another_key(service: &Service, before: Option<&Host>, shared: &BTreeSet<DeviceKey>) -> bool {
    let before = before.and_then(|before| before.services.get(&service.endpoint));
    let old = |key: &DeviceKey| before.is_some_and(|before| before.keys.contains(key));
    !service.keys.is_empty() && !service.keys.iter().any(|key| shared.contains(key) || old(key))
}

/// True when the service speaks a protocol, and none in which the weakness could show. What was not
/// recognised may be anything.
fn speaks_something_else(kind: FindingKind, protocol: &str) -> bool {
    let carriers: &[&str] = match kind {
        FindingKind::DatabaseOpen => &["redis", "memcached", "mongodb", "http"],
        FindingKind::AdbOpen => &["adb"],
        FindingKind::ScreenOpen => &["vnc"],
        FindingKind::SnmpPublic => &["snmp"],
        FindingKind::OpenResolver => &["dns"],
        FindingKind::ControllerExposed => &["modbus", "s7", "bacnet"],
        FindingKind::Smb1 => &["smb"],
        FindingKind::CwmpExposed => &["http"],
        FindingKind::RdpWithoutNla => &["rdp"],
        FindingKind::WeakSsh => &["ssh"],
        // Any service may amplify.
        _ => return false,
    };
    protocol != "unknown" && !carriers.contains(&protocol)
}

/// True for what a version tells, when a version is shown: that of the device if it was shown
/// before, else that of the software at the port.
fn shown_by_version(kind: FindingKind, host: &Host, before: Option<&Host>, port: u16) -> bool {
    match kind {
        FindingKind::KnownExploited | FindingKind::EndOfLife => {}
        // A component that hides is still inside: other software must serve in its place.
        FindingKind::UnmaintainedComponent => return host.versioned_ports.contains(&port),
        _ => return false,
    }
    match before {
        Some(before) if before.version_shown => host.version_shown,
        Some(_) => host.versioned_ports.contains(&port),
        None => host.version_shown || host.versioned_ports.contains(&port),
    }
}
