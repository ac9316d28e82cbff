//! Weaknesses that follow from what a thing is: exploited vulnerabilities and ends of support.

use std::collections::BTreeMap;

use kenshin_observation::{
    AssetId, Component, Finding, FindingKind, Identity, Observation, Remedy, Severity, TimeUs,
};

use super::{Draft, evidence};
use crate::component::{Part, Supported};
use crate::cpe::Cpe;
use crate::intelligence::{CveId, Cycle, Day, Ending, Intelligence, IntelligenceKind, Match, Names, Status};
use crate::version::Version;

/// EPSS probability from which exploitation counts as likely, in ppm.
const LIKELY_PPM: u32 = 500_000;

/// One product with a version, as it is looked up.
pub(super) struct Subject {
    /// Vendor and product, in every way the identity states them.
    names: Vec<(String, String)>,
    version: Option<String>,
    confidence: u8,
    /// Port of the service that showed it, for components.
    port: Option<u16>,
    /// The device itself, or what runs it.
    is_device: bool,
    cpe: Option<String>,
    /// How it is shown.
    pub(super) label: String,
}

/// What follows from an identity, on whatever asset it is found.
#[derive(Debug)]
pub(crate) struct Conclusion {
    pub(super) kind: FindingKind,
    pub(super) severity: Severity,
    pub(super) remedy: Remedy,
    pub(super) confidence: u8,
    pub(super) discriminator: String,
    pub(super) code: &'static str,
    pub(super) args: Vec<(&'static str, String)>,
    pub(super) snapshots: Vec<String>,
    pub(super) trace: Trace,
}

/// By what the evidence of a conclusion is found among what a host says.
#[derive(Debug)]
pub(super) enum Trace {
    /// The version, else the name, else whatever it says, at this port.
    Product { version: Option<String>, label: String, port: Option<u16> },
    /// A text at one of these ports: the one that begins so, where it was kept, else what was kept.
    Texts(Vec<Shown>),
}

/// Where an identity says that a component shows.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) port: u16,
    pub(super) field: Option<&'static str>,
    /// The text as it was kept.
    pub(super) text: Option<String>,
}

/// What follows from versions: of a host that names a distribution ([`is_distribution`]) the components
/// are left out.
pub(super) fn conclusions(
    identity: &Identity,
    distribution: bool,
    intelligence: &Intelligence,
    now: TimeUs,
) -> Vec<Conclusion> {
    let mut found = Vec::new();
    for subject in subjects(identity, distribution) {
        found.extend(exploited(&subject, intelligence));
        // Where nobody maintains the component at all, no update of it helps: see `component`.
        if !subject.is_abandoned(intelligence, Day::of(now)) {
            found.extend(end_of_life(&subject, intelligence, Day::of(now)));
        }
    }
    found
}

fn subjects(identity: &Identity, distribution: bool) -> Vec<Subject> {
    let device = device(identity);
    let names_of_device: Vec<String> =
        device.iter().flat_map(|device| &device.names).flat_map(|(v, p)| Names::of(v, p).products).collect();
    let components = identity.components.iter().filter(|_| !distribution).map(component);
    // The operating system of a device may show as its product and as a component of it.
    let another = |subject: &Subject| {
        !subject
            .names
            .iter()
            .any(|(v, p)| Names::of(v, p).products.iter().any(|p| names_of_device.contains(p)))
    };
    let components: Vec<_> = components.filter(another).collect();
    device.into_iter().chain(components).collect()
}

/// The device itself.
pub(super) fn device(identity: &Identity) -> Option<Subject> {
    let mut names = Vec::new();
    let mut confidence = 100;
    if let (Some(vendor), Some(product)) = (&identity.vendor, &identity.product) {
        names.push((vendor.value.clone(), product.value.clone()));
        confidence = confidence.min(vendor.confidence).min(product.confidence);
    }
    let mut version = identity.version.as_ref().map(|claim| {
        confidence = confidence.min(claim.confidence);
        claim.value.clone()
    });
    if let Some((claim, cpe)) =
        identity.cpe.as_ref().and_then(|claim| Some((claim, claim.value.parse::<Cpe>().ok()?)))
    {
        if let Some(name) = name_of(&cpe) {
            names.push(name);
            confidence = confidence.min(claim.confidence);
        }
        version = version.or_else(|| cpe.version.text().map(str::to_owned));
    }
    let label = match (&identity.product, names.first()) {
        (Some(product), _) => product.value.clone(),
        (None, Some((_, product))) => product.clone(),
        (None, None) => return None,
    };
    (!names.is_empty()).then_some(Subject {
        names,
        version,
        confidence,
        port: None,
        is_device: true,
        cpe: None,
        label,
    })
}

fn component(component: &Component) -> Subject {
    let cpe = component.cpe.as_ref().and_then(|cpe| cpe.parse::<Cpe>().ok());
    let mut names = Vec::new();
    if let Some(vendor) = &component.vendor {
        names.push((vendor.clone(), component.product.value.clone()));
    }
    names.extend(cpe.as_ref().and_then(name_of));
    if names.is_empty() {
        names.push((String::new(), component.product.value.clone()));
    }
    let version = component.version.clone().or_else(|| cpe.as_ref()?.version.text().map(str::to_owned));
    Subject {
        names,
        version,
        confidence: component.product.confidence,
        port: Some(component.port),
        is_device: cpe.as_ref().is_some_and(|cpe| matches!(cpe.part.text(), Some("o" | "h"))),
        cpe: component.cpe.clone(),
        label: component.product.value.clone(),
    }
}

fn name_of(cpe: &Cpe) -> Option<(String, String)> {
    Some((cpe.vendor.text()?.to_owned(), cpe.product.text()?.to_owned()))
}

/// True when a service of the host names a distribution. Distributions mend old versions without
/// changing the number upstream gave them, and maintain them after upstream has stopped: what the
/// number of a component would say is not known.
pub(crate) fn is_distribution(observations: &[&Observation]) -> bool {
    observations.iter().flat_map(|observation| texts(observation)).any(|(_, text)| names_distribution(text))
}

/// True when a text names a distribution, or a version as distributions number them.
pub(crate) fn names_distribution(text: &str) -> bool {
    const DISTRIBUTIONS: &[&str] = &[
        "debian",
        "ubuntu",
        "raspbian",
        "freebsd-",
        "red hat",
        "redhat",
        "centos",
        "fedora",
        "suse linux",
        "almalinux",
        "rocky linux",
    ];
    let text = text.to_lowercase();
    DISTRIBUTIONS.iter().any(|name| text.contains(name))
        || text
            .split_whitespace()
            .any(|word| Version::parse(word).is_some_and(|version| version.distribution()))
}

/// Exploited vulnerabilities that the version is known to have.
fn exploited(subject: &Subject, intelligence: &Intelligence) -> Vec<Conclusion> {
    let Some(version) = &subject.version else { return Vec::new() };
    // One product may be known by several names; what contradicts itself is not known.
    let mut said: BTreeMap<CveId, Vec<Match<'_>>> = BTreeMap::new();
    for (vendor, product) in &subject.names {
        for found in intelligence.matches(vendor, product, version) {
            said.entry(found.cve.id).or_default().push(found);
        }
    }
    let affected = said.into_values().filter_map(|said| {
        let contradicted = said.iter().any(|found| found.status == Status::Unaffected);
        said.into_iter().find(|found| found.status == Status::Affected && !contradicted)
    });
    affected.filter_map(|found| exploited_by(subject, version, found, intelligence)).collect()
}

fn exploited_by(
    subject: &Subject,
    version: &str,
    found: Match<'_>,
    intelligence: &Intelligence,
) -> Option<Conclusion> {
    let cve = found.cve;
    let kev = intelligence.kev(cve.id)?;
    let likely = intelligence.epss(cve.id).filter(|epss| epss.probability_ppm >= LIKELY_PPM);
    // The reason for the severity is part of the message.
    let (severity, code) = match (kev.ransomware, likely) {
        (true, _) => (Severity::Critical, "finding.known-exploited.ransomware"),
        (false, Some(_)) => (Severity::Critical, "finding.known-exploited.likely"),
        (false, None) => (Severity::High, "finding.known-exploited"),
    };
    let mut args = vec![
        ("cve", cve.id.to_string()),
        ("name", if kev.name.is_empty() { cve.title.clone().unwrap_or_default() } else { kev.name.clone() }),
        ("product", subject.label.clone()),
        ("version", version.to_owned()),
        ("added", kev.added.to_string()),
    ];
    if let Some(entry) = found.entry {
        args.push(("said_by", entry.source.clone()));
        args.extend(entry.deciding(version).map(|range| ("range", range.to_string())));
    }
    let mut sources = vec![IntelligenceKind::Kev, IntelligenceKind::Cve];
    if let Some(epss) = likely {
        args.push(("percent", (epss.probability_ppm / 10_000).to_string()));
        sources.push(IntelligenceKind::Epss);
    }
    if let Some(jvn) = intelligence.jvn(cve.id) {
        args.push(("cve@ja", format!("{}、{}", cve.id, jvn.id)));
        args.push(("name@ja", jvn.title.clone()));
        sources.push(IntelligenceKind::Jvn);
    }
    let mut snapshots: Vec<String> =
        sources.into_iter().filter_map(|kind| intelligence.source(kind, cve.id)).collect();
    snapshots.extend(found.said.map(|said| intelligence.source_of(said)));
    Some(Conclusion {
        kind: FindingKind::KnownExploited,
        severity,
        remedy: Remedy::Update,
        confidence: subject.confidence,
        discriminator: cve.id.to_string(),
        code,
        args,
        snapshots,
        trace: subject.trace(),
    })
}

/// The end of support of the version's cycle, or of the model.
fn end_of_life(subject: &Subject, intelligence: &Intelligence, today: Day) -> Option<Conclusion> {
    let cycles = subject.names.iter().filter_map(|(vendor, product)| {
        let vendor = Some(vendor.as_str()).filter(|vendor| !vendor.is_empty());
        let by_version =
            subject.version.as_ref().and_then(|version| intelligence.cycle(vendor, product, version));
        by_version.or_else(|| {
            vendor.filter(|_| subject.is_device).and_then(|vendor| intelligence.model(vendor, product))
        })
    });
    let Cycle { product, release } = cycles.into_iter().next().filter(|cycle| cycle.release.ended(today))?;
    let extended = release.extended(today);
    let (code, severity) = match (extended, release.eol) {
        (true, _) => ("finding.end-of-life.extended", Severity::Low),
        (false, Some(Ending::On(_))) => {
            ("finding.end-of-life", if subject.is_device { Severity::High } else { Severity::Medium })
        }
        (false, _) => ("finding.end-of-life.undated", Severity::Medium),
    };
    let ended = match release.eol {
        Some(Ending::On(day)) => day.to_string(),
        _ => String::new(),
    };
    Some(Conclusion {
        kind: FindingKind::EndOfLife,
        severity,
        remedy: if subject.is_device { Remedy::Replace } else { Remedy::Update },
        // Support that is paid for cannot be seen from outside.
        confidence: if extended { subject.confidence.min(50) } else { subject.confidence },
        discriminator: format!("{}/{}", product.name, release.cycle),
        code,
        args: vec![
            ("product", subject.label.clone()),
            ("version", subject.version.clone().unwrap_or_default()),
            ("cycle", release.cycle.clone()),
            ("ended", ended),
        ],
        snapshots: intelligence.source_of_cycles(product).into_iter().collect(),
        trace: subject.trace(),
    })
}

impl Subject {
    /// By what it is found on an asset.
    pub(super) fn trace(&self) -> Trace {
        Trace::Product { version: self.version.clone(), label: self.label.clone(), port: self.port }
    }

    /// True of a component that nobody maintains in any version.
    fn is_abandoned(&self, intelligence: &Intelligence, today: Day) -> bool {
        let part = || Part {
            name: self.label.clone(),
            version: self.version.clone(),
            cpe: self.cpe.clone(),
            ..Part::default()
        };
        !self.is_device && intelligence.maintenance(&part(), today).supported == Supported::Unmaintained
    }
}

impl Conclusion {
    /// The conclusion on one asset, with what showed it there.
    pub(crate) fn on(&self, asset_id: AssetId, observations: &[&Observation]) -> Option<Finding> {
        let (observation, field, text) = self.trace.find(observations)?;
        let draft = Draft {
            asset_id,
            kind: self.kind,
            observation,
            severity: self.severity,
            remedy: self.remedy,
            confidence: self.confidence,
            discriminator: self.discriminator.clone(),
            code: self.code.to_owned(),
            args: self.args.clone(),
            evidence: vec![evidence(observation, field, text)],
            snapshots: self.snapshots.clone(),
        };
        Some(draft.finish())
    }
}

/// An observation, and one of its texts by name.
type Said<'a> = (&'a Observation, &'static str, &'a str);

impl Trace {
    /// The observation and text that showed it.
    fn find<'a>(&'a self, observations: &[&'a Observation]) -> Option<Said<'a>> {
        match self {
            Self::Product { version, label, port } => {
                let said: Vec<Said<'a>> = said(observations, *port).collect();
                let with = |wanted: &str| {
                    let wanted = wanted.to_lowercase();
                    said.iter()
                        .copied()
                        .find(|(_, _, text)| !wanted.is_empty() && text.to_lowercase().contains(&wanted))
                };
                version.as_deref().and_then(with).or_else(|| with(label)).or_else(|| said.first().copied())
            }
            Self::Texts(shown) => {
                let found = shown.iter().find_map(|Shown { port, text: wanted, .. }| {
                    said(observations, Some(*port)).find(|(_, _, text)| {
                        wanted.as_ref().is_none_or(|wanted| text.trim().starts_with(wanted.as_str()))
                    })
                });
                // Fingerprints look at more fields than are looked through here: cookies, issuers.
                let kept = |Shown { port, field, text }: &'a Shown| {
                    let spoke = |observation: &&&Observation| {
                        observation.subject.port == *port && observation.protocol.is_some()
                    };
                    Some((*observations.iter().find(spoke)?, (*field)?, text.as_deref()?))
                };
                found.or_else(|| shown.iter().find_map(kept))
            }
        }
    }
}

fn said<'a>(observations: &[&'a Observation], port: Option<u16>) -> impl Iterator<Item = Said<'a>> {
    let there = move |observation: &&Observation| port.is_none_or(|port| observation.subject.port == port);
    observations
        .iter()
        .copied()
        .filter(there)
        .flat_map(|observation| texts(observation).map(move |(field, text)| (observation, field, text)))
}

/// Every text of an observation that may tell what a thing is, the most telling first.
fn texts(observation: &Observation) -> impl Iterator<Item = (&'static str, &str)> {
    let records = &observation.records;
    let http = records.http.as_ref();
    let tls = records.tls.as_ref();
    let sip = records.sip.as_ref();
    [
        ("ssh.banner", records.ssh.as_ref().map(|ssh| ssh.banner.as_str())),
        ("http.server", http.and_then(|http| http.server.as_deref())),
        ("http.title", http.and_then(|http| http.title.as_deref())),
        ("http.www_authenticate", http.and_then(|http| http.www_authenticate.as_deref())),
        ("http.powered_by", http.and_then(|http| http.powered_by.as_deref())),
        ("telnet.text", records.telnet.as_ref().map(|telnet| telnet.text.as_str())),
        ("ftp.banner", records.ftp.as_ref().map(|ftp| ftp.banner.as_str())),
        ("smtp.banner", records.smtp.as_ref().map(|smtp| smtp.banner.as_str())),
        ("rtsp.server", records.rtsp.as_ref().and_then(|rtsp| rtsp.server.as_deref())),
        ("tls.subject", tls.and_then(|tls| tls.subject.as_deref())),
        ("snmp.sys_descr", records.snmp.as_ref().and_then(|snmp| snmp.sys_descr.as_deref())),
        ("upnp.model_name", records.upnp.as_ref().and_then(|upnp| upnp.model_name.as_deref())),
        ("ssdp.server", records.ssdp.as_ref().and_then(|ssdp| ssdp.server.as_deref())),
        ("wsd.hardware", records.wsd.as_ref().and_then(|wsd| wsd.hardware.as_deref())),
        ("dns.version_bind", records.dns.as_ref().and_then(|dns| dns.version_bind.as_deref())),
        ("ntp.control_version", records.ntp.as_ref().and_then(|ntp| ntp.control_version.as_deref())),
        ("sip.user_agent", sip.and_then(|sip| sip.user_agent.as_deref())),
        ("sip.server", sip.and_then(|sip| sip.server.as_deref())),
        ("adb.model", records.adb.as_ref().and_then(|adb| adb.model.as_deref())),
        ("modbus.product_code", records.modbus.as_ref().and_then(|modbus| modbus.product_code.as_deref())),
        ("modbus.revision", records.modbus.as_ref().and_then(|modbus| modbus.revision.as_deref())),
        ("s7.module", records.s7.as_ref().and_then(|s7| s7.module.as_deref())),
        ("s7.version", records.s7.as_ref().and_then(|s7| s7.version.as_deref())),
        ("bacnet.model", records.bacnet.as_ref().and_then(|bacnet| bacnet.model.as_deref())),
        ("bacnet.firmware", records.bacnet.as_ref().and_then(|bacnet| bacnet.firmware.as_deref())),
        ("unknown.banner", records.unknown.as_ref().map(|unknown| unknown.banner.as_str())),
    ]
    .into_iter()
    .filter_map(|(field, text)| Some((field, text.filter(|text| !text.trim().is_empty())?)))
}
