//! One device of the town as it is in one round.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use kenshin_observation::{FindingKind, Remedy};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::model::{Attribute, Firmware, KeyPolicy, Model, Service, ServiceKind};
use crate::persona::ssh;

/// State of a device's TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsState {
    /// TLS 1.2 and above, a strong key, a valid certificate (self-signed).
    Modern,
    /// The certificate ran out.
    Expired,
    /// Nothing above TLS 1.0.
    Tls10,
    /// An RSA key of 1024 bits.
    Rsa1024,
    /// A certificate signed with SHA-1.
    Sha1,
}

/// State of one service towards the outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceState {
    /// Answers.
    Open,
    /// Connections are refused.
    Closed,
    /// Connections are dropped silently.
    Filtered,
}

/// One device as it is in one round.
#[derive(Debug, Clone)]
pub struct Device {
    /// Number that follows the device through the rounds.
    pub id: u32,
    /// What it is.
    pub model: Arc<Model>,
    /// Where it is.
    pub address: Ipv4Addr,
    /// Index of its firmware in the model.
    pub firmware: usize,
    /// The factory credentials are accepted.
    pub factory_password: bool,
    /// The administration opens without a password.
    pub open_admin: bool,
    /// TLS.
    pub tls: TlsState,
    /// Its TLS key is an RSA key, as its firmware was built when those were the rule. The key
    /// stays when the certificate is renewed.
    pub rsa: bool,
    /// For each service of the model: its state.
    pub services: Vec<ServiceState>,
    /// For each service of the model: anyone is let in.
    pub anonymous: Vec<bool>,
    /// It is switched off or unreachable: every port is silent.
    pub dark: bool,
}

/// A weakness that is really there, whether or not it can be known from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Weakness {
    pub(crate) kind: FindingKind,
    /// Nominal ports where it shows, ascending.
    pub(crate) ports: Vec<u16>,
    /// Why it cannot be known, when it cannot.
    pub(crate) hidden: Option<crate::truth::Unknowable>,
}

impl Device {
    /// A device fresh out of its box, with the dice of its model.
    pub(crate) fn new(id: u32, model: Arc<Model>, address: Ipv4Addr, rng: &mut ChaCha8Rng) -> Self {
        let firmware = pick(model.firmware.iter().map(|f| f.weight), rng);
        let tls = match &model.tls {
            Some(tls) => {
                let index = pick(tls.states.values().copied(), rng);
                *tls.states.keys().nth(index).expect("picked among them")
            }
            None => TlsState::Modern,
        };
        let services = model
            .service
            .iter()
            .map(|s| if rng.random_bool(s.present) { ServiceState::Open } else { ServiceState::Closed })
            .collect();
        let anonymous = model
            .service
            .iter()
            .map(|s| match s.kind {
                ServiceKind::Ftp { anonymous, .. } | ServiceKind::Mqtt { anonymous } => {
                    rng.random_bool(anonymous)
                }
                _ => false,
            })
            .collect();
        let factory_password = model.factory.as_ref().is_some_and(|f| rng.random_bool(f.left));
        let open_admin = rng.random_bool(model.open_admin);
        let model_is_rsa = model.keys == KeyPolicy::Shared || matches!(tls, TlsState::Tls10 | TlsState::Sha1);
        Self {
            id,
            model,
            address,
            firmware,
            factory_password,
            open_admin,
            tls,
            rsa: model_is_rsa,
            services,
            anonymous,
            dark: false,
        }
    }

    /// A device set up by someone who knows how: current, closed, with a password of its own.
    pub(crate) fn healthy(id: u32, model: Arc<Model>, address: Ipv4Addr) -> Self {
        let services = model
            .service
            .iter()
            .map(|s| match s.kind {
                ServiceKind::Telnet { .. } => ServiceState::Closed,
                _ => ServiceState::Open,
            })
            .collect();
        Self {
            id,
            address,
            firmware: 0,
            factory_password: false,
            open_admin: false,
            tls: TlsState::Modern,
            rsa: false,
            services,
            anonymous: vec![false; model.service.len()],
            dark: false,
            model,
        }
    }

    /// The firmware it runs.
    pub fn firmware(&self) -> &Firmware {
        &self.model.firmware[self.firmware]
    }

    /// Services that answer from outside, with their index in the model.
    pub fn open_services(&self) -> impl Iterator<Item = (usize, &Service)> {
        self.model
            .service
            .iter()
            .enumerate()
            .filter(|(i, _)| !self.dark && self.services[*i] == ServiceState::Open)
    }

    /// True when a key identifies it alone and a service shows that key.
    pub fn shows_own_key(&self) -> bool {
        self.model.keys == KeyPolicy::Unique && self.open_services().any(|(_, s)| shows_key(s))
    }

    /// Attributes of its identity that its open services show.
    pub(crate) fn shown(&self) -> BTreeSet<Attribute> {
        self.open_services().flat_map(|(_, s)| s.shows.iter().copied()).collect()
    }

    /// The service lets everybody into the administration.
    pub(crate) fn admin_is_open(&self, service: &Service) -> bool {
        self.open_admin
            && match &service.kind {
                ServiceKind::Http { inside, .. } => inside.is_some(),
                ServiceKind::Telnet { shell, .. } => shell.is_some(),
                _ => false,
            }
    }

    /// Everything that is wrong with it as seen from outside.
    pub(crate) fn weaknesses(&self) -> Vec<Weakness> {
        let mut found = Vec::new();
        let ports = |wanted: &dyn Fn(usize, &Service) -> bool| -> Vec<u16> {
            let mut ports: Vec<u16> =
                self.open_services().filter(|(i, s)| wanted(*i, s)).map(|(_, s)| s.port).collect();
            ports.sort_unstable();
            ports
        };
        let mut note = |kind, ports: Vec<u16>, hidden| {
            if !ports.is_empty() {
                found.push(Weakness { kind, ports, hidden });
            }
        };
        note(FindingKind::TelnetOpen, ports(&|_, s| matches!(s.kind, ServiceKind::Telnet { .. })), None);
        if self.factory_password {
            let opened = ports(&|_, s| s.login_opens && !self.admin_is_open(s));
            note(FindingKind::DefaultCredentials, opened, None);
        }
        note(FindingKind::AdminOpen, ports(&|_, s| self.admin_is_open(s)), None);
        let anonymous =
            |telling: &dyn Fn(&ServiceKind) -> bool| ports(&|i, s| self.anonymous[i] && telling(&s.kind));
        note(FindingKind::AnonymousFtp, anonymous(&|k| matches!(k, ServiceKind::Ftp { .. })), None);
        note(FindingKind::AnonymousMqtt, anonymous(&|k| matches!(k, ServiceKind::Mqtt { .. })), None);
        if self.tls != TlsState::Modern {
            note(FindingKind::BrokenTls, ports(&|_, s| s.tls), None);
        }
        note(FindingKind::WeakSsh, ports(&|_, s| ssh::key_is_small(s, self.firmware())), None);
        if self.model.keys == KeyPolicy::Shared {
            note(FindingKind::SharedKey, ports(&|_, s| shows_key(s)), None);
        }
        let hidden = self.version_is_hidden();
        let telling = match hidden {
            None => {
                ports(&|_, s| s.shows.contains(&Attribute::Version) || s.shows.contains(&Attribute::Product))
            }
            Some(_) => ports(&|_, _| true),
        };
        if self.firmware().state.exploited() {
            note(FindingKind::KnownExploited, telling.clone(), hidden);
        }
        if self.firmware().state.end_of_life() {
            note(FindingKind::EndOfLife, telling, hidden);
        }
        found
    }

    fn version_is_hidden(&self) -> Option<crate::truth::Unknowable> {
        let shown = self.shown();
        if !shown.contains(&Attribute::Product) {
            Some(crate::truth::Unknowable::ProductUnknown)
        } else if !shown.contains(&Attribute::Version) {
            Some(crate::truth::Unknowable::VersionNotShown)
        } else {
            None
        }
    }
}

/// The service shows a key.
fn shows_key(service: &Service) -> bool {
    service.tls || matches!(service.kind, ServiceKind::Ssh { .. })
}

/// What the owner must do about a weakness.
pub(crate) const fn remedy_for(kind: FindingKind) -> Remedy {
    match kind {
        FindingKind::TelnetOpen
        | FindingKind::AdminOpen
        | FindingKind::AnonymousFtp
        | FindingKind::AnonymousMqtt
        | FindingKind::DatabaseOpen
        | FindingKind::AdbOpen
        | FindingKind::ScreenOpen
        | FindingKind::SnmpPublic
        | FindingKind::OpenResolver
        | FindingKind::Amplifier
        | FindingKind::ControllerExposed
        | FindingKind::Smb1
        | FindingKind::CwmpExposed
        | FindingKind::RdpWithoutNla => Remedy::CloseService,
        FindingKind::DefaultCredentials => Remedy::ChangePassword,
        FindingKind::KnownExploited
        | FindingKind::BrokenTls
        | FindingKind::WeakSsh
        | FindingKind::SharedKey => Remedy::Update,
        FindingKind::EndOfLife | FindingKind::UnmaintainedComponent => Remedy::Replace,
        FindingKind::AlteredContent => Remedy::Clean,
    }
}

/// Index drawn in proportion to the weights; 0 when all are 0.
pub(crate) fn pick(weights: impl Iterator<Item = u32> + Clone, rng: &mut ChaCha8Rng) -> usize {
    let total: u32 = weights.clone().sum();
    let mut left = if total == 0 { 0 } else { rng.random_range(0..total) };
    for (index, weight) in weights.enumerate() {
        if left < weight {
            return index;
        }
        left -= weight;
    }
    0
}
