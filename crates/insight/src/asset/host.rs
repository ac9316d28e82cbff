//! A round's observations, gathered by address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use kenshin_observation::{
    Check, DeviceKey, DeviceKeyKind, Endpoint, FindingKind, Identity, Observation, Outcome, TimeUs,
};
use serde::{Deserialize, Serialize};

use crate::decoy::decoys;
use crate::finding::{exposure, ssh};

/// What one endpoint showed in one round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Where.
    pub endpoint: Endpoint,
    /// How the conversation ended; the sweep's outcome when there was none.
    pub outcome: Outcome,
    /// The port accepted a connection.
    pub open: bool,
    /// Protocol it spoke.
    pub protocol: Option<String>,
    /// What it says about itself before anybody logs in, to tell services apart.
    pub banner: Option<String>,
    /// It ran in TLS.
    pub tls: bool,
    /// Keys it showed.
    pub keys: Vec<DeviceKey>,
    /// `accepted`, `rejected` or null when an anonymous login was not tried or not decided.
    pub anonymous: Option<String>,
    /// Result of the credential check, when one was made.
    pub credential: Option<String>,
    /// Weaknesses that a conversation was a question about, and whether each is there.
    #[serde(default)]
    pub told: BTreeMap<FindingKind, bool>,
    /// When it was last observed in the round.
    pub time: TimeUs,
}

impl Service {
    /// True when somebody spoke, whether or not we heard him out.
    pub fn answers(&self) -> bool {
        self.protocol.is_some() && matches!(self.outcome, Outcome::Answered | Outcome::Limited)
    }

    /// True when nobody serves here any more: the host said so, or this port alone is silent.
    pub fn gone(&self) -> bool {
        matches!(self.outcome, Outcome::Refused | Outcome::SilentHostAlive)
    }
}

/// What one address showed in one round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// The address.
    pub addr: IpAddr,
    /// Its endpoints, those that were tried in vain too.
    #[serde(with = "services")]
    pub services: BTreeMap<Endpoint, Service>,
    /// Maker of the device, when identified.
    #[serde(default)]
    pub vendor: Option<String>,
    /// Product of the device, when identified.
    pub product: Option<String>,
    /// The device tells its own version.
    pub version_shown: bool,
    /// Ports whose service tells the version of its software.
    pub versioned_ports: BTreeSet<u16>,
}

/// Endpoints are no JSON keys, so the map is stored as a list.
mod services {
    use super::{BTreeMap, Deserialize, Endpoint, Serialize, Service};

    pub(super) fn serialize<S: serde::Serializer>(
        services: &BTreeMap<Endpoint, Service>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        services.values().collect::<Vec<_>>().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Endpoint, Service>, D::Error> {
        let list = Vec::<Service>::deserialize(deserializer)?;
        Ok(list.into_iter().map(|service| (service.endpoint, service)).collect())
    }
}

impl Host {
    /// An address of which nothing is known yet.
    pub fn new(addr: IpAddr) -> Self {
        Self {
            addr,
            services: BTreeMap::new(),
            vendor: None,
            product: None,
            version_shown: false,
            versioned_ports: BTreeSet::new(),
        }
    }

    /// True when the address gave any sign of life: an answer or a refusal.
    pub fn alive(&self) -> bool {
        self.services.values().any(|service| {
            service.open
                || matches!(service.outcome, Outcome::Answered | Outcome::Refused | Outcome::SilentHostAlive)
        })
    }

    /// Keys of all services.
    pub fn keys(&self) -> BTreeSet<&DeviceKey> {
        self.services.values().flat_map(|service| &service.keys).collect()
    }

    /// Services that spoke.
    pub fn answering(&self) -> impl Iterator<Item = &Service> {
        self.services.values().filter(|service| service.answers())
    }

    /// When it was last observed in the round.
    pub fn time(&self) -> Option<TimeUs> {
        self.services.values().map(|service| service.time).max()
    }
}

/// Keys that may identify the device an observation saw.
pub fn keys(observation: &Observation) -> Vec<DeviceKey> {
    let ssh = observation.records.ssh.as_ref().and_then(|ssh| ssh.host_key_sha256.clone());
    let tls = observation.records.tls.as_ref().and_then(|tls| tls.public_key_sha256.clone());
    [(DeviceKeyKind::SshHostKey, ssh), (DeviceKeyKind::TlsPublicKey, tls)]
        .into_iter()
        .filter_map(|(kind, value)| {
            value.filter(|value| !value.is_empty()).map(|value| DeviceKey { kind, value })
        })
        .collect()
}

/// Gathers the observations of one round by address. Of a middlebox, tarpit or decoy is kept that its port
/// is open, and nothing that it said. `identity` tells what the host at an address
/// is, when it was identified.
pub fn hosts<'a, 'i>(
    observations: impl IntoIterator<Item = &'a Observation>,
    mut identity: impl FnMut(IpAddr) -> Option<&'i Identity>,
) -> BTreeMap<IpAddr, Host> {
    let observations: Vec<&Observation> = observations.into_iter().collect();
    let decoys = decoys(&observations);
    let mut hosts: BTreeMap<IpAddr, Host> = BTreeMap::new();
    for observation in observations {
        let addr = observation.subject.addr;
        let host = hosts.entry(addr).or_insert_with(|| Host::new(addr));
        let service = host.services.entry(observation.subject).or_insert_with(|| Service {
            endpoint: observation.subject,
            outcome: observation.outcome,
            open: false,
            protocol: None,
            banner: None,
            tls: false,
            keys: Vec::new(),
            anonymous: None,
            credential: None,
            told: BTreeMap::new(),
            time: observation.time,
        });
        if decoys.contains(&observation.subject) {
            service.time = service.time.max(observation.time);
            service.open = true;
        } else {
            add(service, observation);
        }
    }
    for host in hosts.values_mut() {
        let Some(identity) = identity(host.addr) else { continue };
        host.vendor = identity.vendor.as_ref().map(|claim| claim.value.clone());
        host.product = identity.product.as_ref().map(|claim| claim.value.clone());
        host.version_shown = identity.version.is_some();
        let versioned = identity.components.iter().filter(|component| component.version.is_some());
        host.versioned_ports = versioned.map(|component| component.port).collect();
    }
    hosts
}

fn add(service: &mut Service, observation: &Observation) {
    service.time = service.time.max(observation.time);
    service.open |= observation.outcome == Outcome::Answered || observation.protocol.is_some();
    // The handshake tells most about whether somebody serves; a sweep only that a port is open.
    if matches!(observation.check, Check::Handshake | Check::Banner) {
        service.outcome = observation.outcome;
    }
    if observation.protocol.is_some() && (service.protocol.is_none() || observation.check == Check::Handshake)
    {
        service.protocol.clone_from(&observation.protocol);
        service.banner = banner(observation);
    }
    service.tls |= observation.records.tls.is_some();
    for key in keys(observation) {
        if !service.keys.contains(&key) {
            service.keys.push(key);
        }
    }
    let ftp = observation.records.ftp.as_ref().and_then(|ftp| ftp.anonymous.clone());
    let mqtt = observation.records.mqtt.as_ref().and_then(|mqtt| mqtt.anonymous.clone());
    if let Some(anonymous) = ftp.or(mqtt) {
        service.anonymous = Some(anonymous);
    }
    if let Some(credential) = &observation.records.credential {
        service.credential = Some(credential.result.clone());
    }
    let weak_ssh = observation.records.ssh.as_deref().and_then(ssh::told);
    let weak_ssh = weak_ssh.map(|there| (FindingKind::WeakSsh, there));
    for (kind, there) in exposure::told(&observation.records).into_iter().chain(weak_ssh) {
        *service.told.entry(kind).or_default() |= there;
    }
}

fn banner(observation: &Observation) -> Option<String> {
    // The page's title changes when a login is put before it; the server does not.
    let records = &observation.records;
    let http = records.http.as_ref().map(|http| {
        let said = [&http.server, &http.www_authenticate, &http.title];
        said.into_iter().flatten().next().cloned().unwrap_or_default()
    });
    let said = http
        .or_else(|| records.ssh.as_ref().map(|ssh| ssh.banner.clone()))
        .or_else(|| records.telnet.as_ref().map(|telnet| telnet.text.clone()))
        .or_else(|| records.ftp.as_ref().map(|ftp| ftp.banner.clone()))
        .or_else(|| records.smtp.as_ref().map(|smtp| smtp.banner.clone()))
        .or_else(|| records.rtsp.as_ref().and_then(|rtsp| rtsp.server.clone()))
        .or_else(|| records.snmp.as_ref().and_then(|snmp| snmp.sys_descr.clone()))
        .or_else(|| records.ssdp.as_ref().and_then(|ssdp| ssdp.server.clone()))
        .or_else(|| records.sip.as_ref().and_then(|sip| sip.user_agent.clone().or(sip.server.clone())))
        .or_else(|| records.dns.as_ref().and_then(|dns| dns.version_bind.clone()))
        .or_else(|| records.unknown.as_ref().map(|unknown| unknown.banner.clone()));
    said.map(|said| said.trim().to_owned()).filter(|said| !said.is_empty())
}

/// At which addresses each key was seen in a round.
pub fn sharers(hosts: &BTreeMap<IpAddr, Host>) -> BTreeMap<DeviceKey, BTreeSet<IpAddr>> {
    let mut sharers: BTreeMap<DeviceKey, BTreeSet<IpAddr>> = BTreeMap::new();
    for host in hosts.values() {
        for key in host.keys() {
            sharers.entry(key.clone()).or_default().insert(host.addr);
        }
    }
    sharers
}
