//! What a re-check saw of a case's subject.
//!
//! [`judge`] answers with one [`Condition`] and never takes silence for health: *clean* needs the
//! same asset to answer and the question that once found the weakness to have been asked again and
//! answered; *service-gone* needs a sign of life from the host; *replaced* needs another device at
//! the address while the whole declared pool was looked through. The rules, in order:
//!
//! 1. A key of the subject is seen at its address: *affected* if a finding of the remedy holds for
//!    the asset; *clean* if the service (or, for what a version tells, any service) shows it;
//!    *service-gone* if the service no longer answers. Seen at another covered address: *elsewhere*.
//! 2. The subject has keys and none is seen: *unobservable* if the address is silent; *replaced*
//!    if another key or another maker's product answers there and the pool was covered;
//!    *service-gone* if the service was the keys' only carrier and is closed. If the absence of
//!    every key is explained (the service that carried it is closed, or the same product shows a
//!    renewed TLS key there, as after an update), the address speaks as in 3.
//! 3. The subject has no key of its own: *affected* if the finding holds there; *service-gone* if
//!    the port is closed and the other services are those of before; *clean* if the same service
//!    or product answers without the weakness; otherwise *unobservable*.

mod evidence;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use kenshin_observation::{
    AssetId, CaseSubject, Condition, DeviceKey, DeviceKeyKind, Endpoint, Explanation, Finding, FindingKind,
    Remedy, TimeUs, words,
};

use crate::asset::{Host, SHARED_ABOVE, Service, sharers};
use crate::intelligence::Names;
use evidence::{Asked, asked, carriers, closed};

words!(
    /// What a judgement stands on.
    JudgementBasis, "basis" {
        /// A key that identifies the asset alone.
        Key = "key",
        /// The address and what answers there.
        Address = "address",
        /// Nothing: it cannot be told.
        None = "none",
    }
);

/// What is to be judged.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The case's immutable subject.
    pub subject: &'a CaseSubject,
    /// What the owner was to do.
    pub remedy: Remedy,
    /// Kinds of the case's findings; empty when they are not known, which is judged by the remedy.
    pub kinds: &'a [FindingKind],
    /// The host as it was in the round in which the case was opened (or in the last round that saw
    /// it), when its observations are still there.
    pub before: Option<&'a Host>,
    /// Every address of the provider's declared pools was covered by this round.
    pub pool_covered: bool,
}

/// What one round saw.
pub struct RoundView<'a> {
    hosts: &'a BTreeMap<IpAddr, Host>,
    findings: Vec<&'a Finding>,
    keys: BTreeMap<DeviceKey, BTreeSet<IpAddr>>,
    shared: BTreeSet<DeviceKey>,
    covers: &'a dyn Fn(IpAddr) -> bool,
    current: &'a dyn Fn(AssetId) -> AssetId,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// What the re-check saw.
    pub condition: Condition,
    /// For `elsewhere`: whether the weakness is still there.
    pub still_affected: Option<bool>,
    /// What it stands on.
    pub basis: JudgementBasis,
    /// Why, the decisive reason first.
    pub reasons: Vec<Explanation>,
    /// Where the asset was seen.
    pub addr: Option<IpAddr>,
    /// The endpoint of the observation it stands on.
    pub endpoint: Option<Endpoint>,
    /// When that was observed.
    pub observed_at: Option<TimeUs>,
}

impl<'a> RoundView<'a> {
    /// A view of a round: its hosts, its findings, the keys known to identify nobody
    /// ([`crate::asset::Resolution::shared`]), what it covered, and under which id an asset
    /// continues after merges ([`crate::asset::AssetLinks::current`]).
    pub fn new(
        hosts: &'a BTreeMap<IpAddr, Host>,
        findings: impl IntoIterator<Item = &'a Finding>,
        shared: BTreeSet<DeviceKey>,
        covers: &'a dyn Fn(IpAddr) -> bool,
        current: &'a dyn Fn(AssetId) -> AssetId,
    ) -> Self {
        let keys = sharers(hosts);
        let now_shared =
            keys.iter().filter(|(_, addrs)| addrs.len() > SHARED_ABOVE).map(|(key, _)| key.clone());
        let shared = shared.into_iter().chain(now_shared).collect();
        Self { hosts, findings: findings.into_iter().collect(), keys, shared, covers, current }
    }
}

/// Judges one case by one round.
pub fn judge(question: &Question<'_>, round: &RoundView<'_>) -> Judgement {
    let case = Case {
        question,
        round,
        keys: question.subject.keys.iter().filter(|key| !round.shared.contains(*key)).collect(),
        endpoint: question.subject.endpoint,
        host: round.hosts.get(&question.subject.endpoint.addr),
    };
    if case.keys.is_empty() {
        return case.by_address();
    }
    let seen: BTreeSet<IpAddr> =
        case.keys.iter().filter_map(|key| round.keys.get(*key)).flatten().copied().collect();
    let covered: BTreeSet<IpAddr> = seen.iter().copied().filter(|addr| (round.covers)(*addr)).collect();
    match case.host {
        Some(host) if seen.contains(&host.addr) => case.at_home(host),
        _ if !covered.is_empty() => case.elsewhere(&covered),
        _ if !seen.is_empty() => case.unobservable("judge.seen-outside-coverage", &[]),
        _ => case.keys_absent(),
    }
}

/// A question with what the round has to say about it.
struct Case<'a> {
    question: &'a Question<'a>,
    round: &'a RoundView<'a>,
    /// Keys that identify the subject alone, in this round too.
    keys: BTreeSet<&'a DeviceKey>,
    endpoint: Endpoint,
    host: Option<&'a Host>,
}

fn reason(code: &str, args: &[(&str, String)]) -> Explanation {
    let args = args.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Explanation { code: code.to_owned(), args }
}

impl<'a> Case<'a> {
    /// Rule 1: a key of the subject at its own address.
    fn at_home(&self, host: &'a Host) -> Judgement {
        let basis = JudgementBasis::Key;
        if let Some(finding) = self.holds(&BTreeSet::from([host.addr]), JudgementBasis::Key) {
            return self.affected(basis, finding);
        }
        self.without_finding(basis, host).unwrap_or_else(|| self.not_measured())
    }

    /// Rule 1: a key of the subject at another covered address.
    fn elsewhere(&self, addrs: &BTreeSet<IpAddr>) -> Judgement {
        let addr = addrs.first().copied().expect("called with at least one address");
        let finding = self.holds(addrs, JudgementBasis::Key);
        let code = if finding.is_some() { "judge.elsewhere.affected" } else { "judge.elsewhere.clean" };
        let addr = finding.map_or(addr, |finding| finding.endpoint.addr);
        let host = self.round.hosts.get(&addr);
        Judgement {
            condition: Condition::Elsewhere,
            still_affected: Some(finding.is_some()),
            basis: JudgementBasis::Key,
            reasons: vec![reason(code, &[("addr", addr.to_string())])],
            addr: Some(addr),
            endpoint: finding
                .map(|finding| finding.endpoint)
                .or_else(|| Some(self.key_carrier(host?)?.endpoint)),
            observed_at: finding.map(|finding| finding.time).or_else(|| host?.time()),
        }
    }

    /// Rule 2: the subject has keys and none of them is seen.
    fn keys_absent(&self) -> Judgement {
        let host = match self.living_host() {
            Ok(host) => host,
            Err(silent) => return silent,
        };
        // On the same product a new TLS key is a renewed certificate before it is another device.
        let renewed = self.product(host) == Some(true) && !self.another_ssh_key(host);
        let another = self.foreign_key(host).filter(|_| !renewed);
        let other_product = self.clearly_another_product(host);
        if another.is_some() || other_product {
            if !self.question.pool_covered {
                return self.unobservable("judge.other-device", &[("addr", host.addr.to_string())]);
            }
            let basis = if another.is_some() { JudgementBasis::Key } else { JudgementBasis::Address };
            let code = if another.is_some() { "judge.replaced.key" } else { "judge.replaced.product" };
            let product = ("product", host.product.clone().unwrap_or_default());
            let service = another.or_else(|| host.answering().next());
            return self.answer(Condition::Replaced, basis, service, code, &[product]);
        }
        let carriers = self.carriers_before();
        if carriers.is_empty() {
            return self.unobservable("judge.key-not-seen", &[]);
        }
        let explained = |endpoint: &Endpoint| {
            host.services.get(endpoint).is_some_and(|service| closed(service) || (renewed && service.tls))
        };
        if !carriers.iter().all(explained) {
            return self.unobservable("judge.key-not-seen", &[]);
        }
        let own = host.services.get(&self.endpoint).filter(|service| closed(service));
        if own.is_some() && carriers == BTreeSet::from([self.endpoint]) {
            let (basis, code) = (JudgementBasis::Address, "judge.service-gone.carrier");
            return self.answer(Condition::ServiceGone, basis, own, code, &[]);
        }
        self.by_address()
    }

    /// Rule 3: the address and what answers there.
    fn by_address(&self) -> Judgement {
        let host = match self.living_host() {
            Ok(host) => host,
            Err(silent) => return silent,
        };
        let addr = [("addr", host.addr.to_string())];
        let same_product = self.product(host);
        if same_product == Some(false) {
            return self.unobservable("judge.other-product", &addr);
        }
        if same_product.is_none() && self.foreign_key(host).is_some() {
            return self.unobservable("judge.other-key", &addr);
        }
        let basis = JudgementBasis::Address;
        if let Some(finding) = self.holds(&BTreeSet::from([host.addr]), basis) {
            return self.affected(basis, finding);
        }
        let Some(service) = host.services.get(&self.endpoint) else { return self.not_measured() };
        let familiar = if closed(service) {
            same_product == Some(true) || self.others_as_before(host)
        } else {
            same_product == Some(true) || self.as_before(service)
        };
        if !familiar {
            return self.unobservable("judge.not-recognised", &addr);
        }
        self.without_finding(basis, host).unwrap_or_else(|| self.not_measured())
    }

    /// The asset is here and no finding of the remedy holds: clean, gone, or not known. `None`
    /// when the endpoint was not measured.
    fn without_finding(&self, basis: JudgementBasis, host: &'a Host) -> Option<Judgement> {
        let before = self.question.before;
        let service = host.services.get(&self.endpoint);
        let kinds = self.kinds(service);
        let mut clean = None;
        for kind in kinds {
            for endpoint in carriers(kind, self.endpoint, before) {
                let here = host.services.get(&endpoint);
                match asked(kind, host, here, before, &self.round.shared) {
                    Asked::Clean(code) => clean = clean.or(Some((code, here))),
                    Asked::Gone => {}
                    Asked::Not(code) => return Some(self.unobservable(code, &[])),
                }
            }
        }
        Some(match clean {
            Some((code, here)) => {
                let here = here.filter(|here| here.answers()).or_else(|| host.answering().next());
                self.answer(Condition::Clean, basis, here, code, &[])
            }
            None => self.answer(Condition::ServiceGone, basis, Some(service?), "judge.service-gone", &[]),
        })
    }

    /// Kinds to be asked for again.
    fn kinds(&self, service: Option<&Service>) -> Vec<FindingKind> {
        if !self.question.kinds.is_empty() {
            return self.question.kinds.to_vec();
        }
        let before = self.question.before.and_then(|before| before.services.get(&self.endpoint));
        let protocol = before.or(service).and_then(|service| service.protocol.as_deref());
        let tls = before.or(service).is_some_and(|service| service.tls);
        vec![match (self.question.remedy, protocol) {
            (Remedy::ChangePassword, _) => FindingKind::DefaultCredentials,
            (Remedy::Update, _) if tls => FindingKind::BrokenTls,
            (Remedy::Update, _) => FindingKind::KnownExploited,
            (Remedy::Replace | Remedy::Clean, _) => FindingKind::EndOfLife,
            (Remedy::CloseService, Some("ftp")) => FindingKind::AnonymousFtp,
            (Remedy::CloseService, Some("mqtt")) => FindingKind::AnonymousMqtt,
            (Remedy::CloseService, Some("telnet")) => FindingKind::TelnetOpen,
            (Remedy::CloseService, _) => FindingKind::AdminOpen,
        }]
    }

    /// The host if it gave a sign of life, else the judgement that silence allows.
    fn living_host(&self) -> Result<&'a Host, Judgement> {
        match self.host {
            None => Err(self.not_measured()),
            Some(host) if host.alive() => Ok(host),
            Some(host) => {
                let silent = self.unobservable("judge.silent", &[("addr", host.addr.to_string())]);
                Err(Judgement { observed_at: host.time(), ..silent })
            }
        }
    }

    /// A finding of the case's remedy that holds for the asset at one of `addrs`.
    fn holds(&self, addrs: &BTreeSet<IpAddr>, basis: JudgementBasis) -> Option<&'a Finding> {
        let current = self.round.current;
        let asset = current(self.question.subject.asset_id);
        let of_remedy = self.round.findings.iter().copied().filter(|finding| {
            finding.remedy == self.question.remedy && addrs.contains(&finding.endpoint.addr)
        });
        let of_asset = |finding: &Finding| current(finding.asset_id) == asset;
        // An asset that was split or bound anew has another id; its key or its endpoint still tells.
        let by_place = |finding: &Finding| {
            let host = self.round.hosts.get(&finding.endpoint.addr);
            let shows_key =
                host.is_some_and(|host| self.key_carrier(host).is_some() && self.foreign_key(host).is_none());
            shows_key || (basis == JudgementBasis::Address && finding.endpoint == self.endpoint)
        };
        let rank = |finding: &Finding| (finding.endpoint != self.endpoint, finding.endpoint, finding.kind);
        of_remedy.filter(|finding| of_asset(finding) || by_place(finding)).min_by_key(|finding| rank(finding))
    }

    /// Whether the host is the subject's product; `None` when one of them is not known.
    fn product(&self, host: &Host) -> Option<bool> {
        let (before, now) = (self.question.subject.product.as_ref()?, host.product.as_ref()?);
        Some(Names::same_product(before, now))
    }

    /// Another product by another maker. One device may show its model in one round and its
    /// operating system in another; both are its maker's.
    fn clearly_another_product(&self, host: &Host) -> bool {
        let vendors = |host: &Host| host.vendor.as_deref().map(|vendor| Names::of(vendor, "").vendors);
        let (Some(before), Some(now)) = (self.question.before.and_then(vendors), vendors(host)) else {
            return false;
        };
        self.product(host) == Some(false) && !before.iter().any(|vendor| now.contains(vendor))
    }

    /// A key of one device alone that is not the subject's and was not there before.
    fn is_foreign(&self, key: &DeviceKey) -> bool {
        let before = || self.question.before.is_some_and(|before| before.keys().contains(key));
        !self.round.shared.contains(key) && !self.question.subject.keys.contains(key) && !before()
    }

    /// A service that shows a foreign key.
    fn foreign_key(&self, host: &'a Host) -> Option<&'a Service> {
        host.services.values().find(|service| service.keys.iter().any(|key| self.is_foreign(key)))
    }

    /// True when the subject had an SSH host key and the host shows another one.
    fn another_ssh_key(&self, host: &Host) -> bool {
        let ssh = |key: &DeviceKey| key.kind == DeviceKeyKind::SshHostKey;
        self.keys.iter().any(|key| ssh(key))
            && host.keys().into_iter().any(|key| ssh(key) && self.is_foreign(key))
    }

    /// The service that shows a key of the subject.
    fn key_carrier(&self, host: &'a Host) -> Option<&'a Service> {
        host.services.values().find(|service| service.keys.iter().any(|key| self.keys.contains(key)))
    }

    /// Endpoints that showed the subject's keys before.
    fn carriers_before(&self) -> BTreeSet<Endpoint> {
        let services = self.question.before.iter().flat_map(|before| before.services.values());
        services
            .filter(|service| service.keys.iter().any(|key| self.keys.contains(key)))
            .map(|s| s.endpoint)
            .collect()
    }

    /// The service answers as it did before, numbers apart.
    fn as_before(&self, service: &Service) -> bool {
        let before = self.question.before.and_then(|before| before.services.get(&service.endpoint));
        before.is_some_and(|before| same_service(before, service))
    }

    /// Of the other ports that were open before at least one is as it was and none is otherwise;
    /// or there was none. A port that is open and says nothing, as a printer's, counts too.
    fn others_as_before(&self, host: &Host) -> bool {
        let Some(before) = self.question.before else { return false };
        let others =
            before.services.values().filter(|service| service.open && service.endpoint != self.endpoint);
        let (mut any, mut same) = (false, false);
        for service in others {
            any = true;
            match host.services.get(&service.endpoint).filter(|now| now.open) {
                Some(now) if same_service(service, now) => same = true,
                Some(now) if now.protocol.is_some() => return false,
                Some(_) | None => {}
            }
        }
        same || !any
    }

    fn affected(&self, basis: JudgementBasis, finding: &Finding) -> Judgement {
        Judgement {
            condition: Condition::Affected,
            still_affected: None,
            basis,
            reasons: vec![
                reason("judge.affected", &[("port", finding.endpoint.port.to_string())]),
                basis_reason(basis),
            ],
            addr: Some(finding.endpoint.addr),
            endpoint: Some(finding.endpoint),
            observed_at: Some(finding.time),
        }
    }

    fn answer(
        &self,
        condition: Condition,
        basis: JudgementBasis,
        service: Option<&Service>,
        code: &str,
        args: &[(&str, String)],
    ) -> Judgement {
        let mut decisive = reason(code, args);
        decisive.args.insert("port".to_owned(), self.endpoint.port.to_string());
        Judgement {
            condition,
            still_affected: None,
            basis,
            reasons: vec![decisive, basis_reason(basis)],
            addr: Some(self.endpoint.addr),
            endpoint: service.map(|service| service.endpoint),
            observed_at: service.map(|service| service.time),
        }
    }

    fn unobservable(&self, code: &str, args: &[(&str, String)]) -> Judgement {
        let mut decisive = reason(code, args);
        decisive.args.insert("port".to_owned(), self.endpoint.port.to_string());
        let service = self.host.and_then(|host| host.services.get(&self.endpoint));
        Judgement {
            condition: Condition::Unobservable,
            still_affected: None,
            basis: JudgementBasis::None,
            reasons: vec![decisive],
            addr: None,
            endpoint: service.map(|service| service.endpoint),
            observed_at: service.map(|service| service.time),
        }
    }

    fn not_measured(&self) -> Judgement {
        self.unobservable("judge.not-measured", &[])
    }
}

/// The same protocol with the same words, numbers apart: a new version is still the same service.
fn same_service(before: &Service, now: &Service) -> bool {
    let words = |service: &Service| {
        let banner = service.banner.as_deref().unwrap_or_default();
        banner.chars().filter(|c| c.is_alphabetic()).flat_map(char::to_lowercase).collect::<String>()
    };
    before.protocol == now.protocol && words(before) == words(now)
}

fn basis_reason(basis: JudgementBasis) -> Explanation {
    reason(&format!("judge.basis.{basis}"), &[])
}
