//! What a mandate allows, in plain words.

use std::collections::BTreeMap;
use std::fmt::Write;

use kenshin_observation::{Check, Explanation, Messages, TimeUs, Transport};
use serde::Serialize;

use crate::gate::Refusal;
use crate::mandate::{Exclusion, Mandate};
use crate::signature::Signer;
use crate::window::{DAYS, DailyWindow};

mod duration;

/// How many prefixes of a group are named before the rest is counted.
const PREFIXES_SHOWN: usize = 5;

/// What a mandate allows: numbers for programs, sentences for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Statement {
    /// Name of the mandate.
    pub id: String,
    /// Its version.
    pub version: u32,
    /// SHA-256 of its text, hexadecimal.
    pub digest: String,
    /// Its title.
    pub title: String,
    /// Who issues it.
    pub authority: String,
    /// Who signed it, as `principal (fingerprint)`; empty when that was not verified.
    pub signed_by: Vec<String>,
    /// Begin.
    pub valid_from: TimeUs,
    /// End.
    pub valid_until: TimeUs,
    /// IPv4 addresses where sending is allowed.
    pub addresses_v4: u64,
    /// IPv6 addresses where sending is allowed; saturates.
    pub addresses_v6: u128,
    /// Addresses that a survey goes through; `None` when they are too many to.
    pub targets: Option<u128>,
    /// (transport, port) pairs.
    pub ports: u32,
    /// Exchanges of one sweep: targets × ports.
    pub exchanges: Option<u128>,
    /// Seconds of sending that one sweep takes at the mandate's rates.
    pub duration_s: Option<u64>,
    /// The same with the hours of the day at which nothing is sent.
    pub calendar_s: Option<u64>,
    /// Checks granted.
    pub checks: Vec<Check>,
    /// Addresses of the scope that are excluded; saturates.
    pub excluded: u128,
    /// Code of the reason why it authorises nothing now; `None` when it stands.
    pub refused: Option<&'static str>,
    /// Everything above and the rest in sentences, in order.
    pub sentences: Vec<Explanation>,
}

impl Statement {
    /// States what a mandate allows. `signers` come from its verification, `standing` from
    /// [`crate::standing`]; a text that was only parsed has neither.
    pub fn new(mandate: &Mandate, signers: &[Signer], standing: Option<Result<(), Refusal>>) -> Self {
        let targets = mandate.enumerate().ok();
        let ports = mandate.ports.count();
        let estimate = targets.as_ref().map(|targets| duration::estimate(mandate, targets));
        let targets = targets.map(|targets| targets.count());
        let mut statement = Self {
            id: mandate.id.clone(),
            version: mandate.version,
            digest: mandate.digest().to_owned(),
            title: mandate.title.clone(),
            authority: mandate.authority.clone(),
            signed_by: signers
                .iter()
                .map(|signer| format!("{} ({})", signer.principals.join(", "), signer.fingerprint))
                .collect(),
            valid_from: mandate.valid_from,
            valid_until: mandate.valid_until,
            addresses_v4: mandate.allowed().count_v4(),
            addresses_v6: mandate.allowed().count_v6(),
            targets,
            ports,
            exchanges: targets.map(|targets| targets * u128::from(ports)),
            duration_s: estimate,
            calendar_s: estimate.map(|seconds| duration::calendar(mandate, seconds)),
            checks: mandate.checks.iter().copied().collect(),
            excluded: mandate.scope.minus(mandate.allowed()).count(),
            refused: None,
            sentences: Vec::new(),
        };
        let refusal = standing.as_ref().and_then(|standing| standing.as_ref().err());
        statement.refused = refusal.map(Refusal::code);
        let mut says = Sentences::default();
        says.subject(mandate, &statement);
        says.time(mandate);
        says.space(mandate, &statement);
        says.exchanges(mandate, &statement);
        says.people(mandate);
        match &standing {
            None => {}
            Some(Ok(())) => says.add("stands", []),
            Some(Err(refusal)) => says.0.push(refusal.explanation()),
        }
        statement.sentences = says.0;
        statement
    }

    /// The sentences in a language, a line each.
    pub fn render(&self, messages: &Messages, language: &str) -> String {
        let mut out = String::new();
        for sentence in &self.sentences {
            writeln!(out, "{}", messages.explain(language, sentence))
                .expect("writing to a string does not fail");
        }
        out
    }
}

#[derive(Default)]
struct Sentences(Vec<Explanation>);

impl Sentences {
    fn add<const N: usize>(&mut self, code: &str, args: [(&str, String); N]) {
        let args: BTreeMap<String, String> =
            args.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        self.0.push(Explanation { code: format!("mandate.says.{code}"), args });
    }

    fn subject(&mut self, mandate: &Mandate, statement: &Statement) {
        self.add(
            "subject",
            [
                ("id", mandate.id.clone()),
                ("version", mandate.version.to_string()),
                ("title", mandate.title.clone()),
                ("digest", mandate.digest().to_owned()),
            ],
        );
        self.add("purpose", [("purpose", mandate.purpose.clone())]);
        let authority = ("authority", mandate.authority.clone());
        match statement.signed_by.as_slice() {
            [] => self.add("unsigned", [authority]),
            signers => self.add("signed", [authority, ("signers", signers.join("; "))]),
        }
        let basis = &mandate.legal_basis;
        self.add("basis.measure", [("basis", basis.measure.clone())]);
        for (act, basis) in [
            ("observe", &basis.observe),
            ("notify", &basis.notify),
            ("share", &basis.share),
            ("release", &basis.release),
        ] {
            match basis {
                Some(basis) => self.add(&format!("basis.{act}"), [("basis", basis.clone())]),
                None => self.add(&format!("no-basis.{act}"), []),
            }
        }
    }

    fn time(&mut self, mandate: &Mandate) {
        let windows = &mandate.windows;
        let zone = ("zone", windows.zone_name().to_owned());
        self.add(
            "valid",
            [
                ("from", windows.local(mandate.valid_from)),
                ("until", windows.local(mandate.valid_until)),
                zone.clone(),
            ],
        );
        if windows.windows().is_empty() {
            self.add("any-hour", []);
        }
        for window in windows.windows() {
            for days in days(window) {
                let time = |time: jiff::civil::Time| time.strftime("%H:%M").to_string();
                let args = [("from", time(window.from)), ("until", time(window.until)), zone.clone()];
                self.add(&format!("hours.{days}"), args);
            }
        }
    }

    fn space(&mut self, mandate: &Mandate, statement: &Statement) {
        self.add(
            "scope",
            [
                ("v4", thousands(statement.addresses_v4.into())),
                ("v6", thousands(statement.addresses_v6)),
                ("prefixes", prefixes(mandate.scope.prefixes())),
            ],
        );
        for Exclusion { addresses, reason } in &mandate.exclusions {
            self.add(
                "excluded",
                [
                    ("count", thousands(addresses.intersect(&mandate.scope).count())),
                    ("prefixes", prefixes(addresses.prefixes())),
                    ("reason", reason.clone()),
                ],
            );
        }
        if mandate.exclusions.is_empty() {
            self.add("nothing-excluded", []);
        }
        for space in &mandate.special_space {
            self.add(
                "special",
                [("prefixes", prefixes(space.prefixes.iter().copied())), ("reason", space.reason.clone())],
            );
        }
    }

    fn exchanges(&mut self, mandate: &Mandate, statement: &Statement) {
        let ports = &mandate.ports;
        for (code, set) in [("ports-tcp", &ports.tcp), ("ports-udp", &ports.udp)] {
            if !set.is_empty() {
                self.add(code, [("count", set.count().to_string()), ("ports", set.to_string())]);
            }
        }
        if ports.icmp_echo {
            self.add("icmp-echo", []);
        }
        let listen_only: Vec<String> = [Transport::Tcp, Transport::Udp]
            .into_iter()
            .flat_map(|transport| {
                ports.listen_only_ports(transport).map(move |port| format!("{port}/{transport}"))
            })
            .collect();
        if !listen_only.is_empty() {
            self.add("listen-only", [("ports", listen_only.join(", "))]);
        }
        for grant in &ports.speak {
            self.add("speak", [("port", grant.port.to_string()), ("reason", grant.reason.clone())]);
        }
        for check in &mandate.checks {
            self.add(&format!("check.{check}"), []);
        }
        self.add("blobs", [("bytes", mandate.blob_bytes_max.to_string())]);
        let rate = mandate.rate;
        self.add(
            "rate",
            [
                ("pps", thousands(rate.whole_pps.into())),
                ("burst", thousands(rate.whole_burst.into())),
                ("v4_len", rate.per_prefix.v4_len.to_string()),
                ("v6_len", rate.per_prefix.v6_len.to_string()),
                ("prefix_pps", thousands(rate.per_prefix.pps.into())),
                ("prefix_burst", thousands(rate.per_prefix.burst.into())),
                ("per_minute", thousands(rate.per_address.per_minute.into())),
                ("address_burst", thousands(rate.per_address.burst.into())),
            ],
        );
        match (statement.targets, statement.exchanges, statement.duration_s, statement.calendar_s) {
            (Some(targets), Some(exchanges), Some(duration), Some(calendar)) => {
                self.add(
                    "sweep",
                    [
                        ("targets", thousands(targets)),
                        ("ports", statement.ports.to_string()),
                        ("exchanges", thousands(exchanges)),
                    ],
                );
                let (unit, number) = duration::rounded(duration);
                self.add(&format!("duration.{unit}"), [("number", number.to_string())]);
                if calendar > duration {
                    let (unit, number) = duration::rounded(calendar);
                    self.add(&format!("calendar.{unit}"), [("number", number.to_string())]);
                }
            }
            _ => self.add("not-enumerable", [("v6", thousands(statement.addresses_v6))]),
        }
    }

    fn people(&mut self, mandate: &Mandate) {
        for sensor in &mandate.sensors {
            let sources: Vec<String> = sensor.source_addresses.iter().map(ToString::to_string).collect();
            self.add(
                "sensor",
                [
                    ("name", sensor.name.clone()),
                    ("id", sensor.id.to_string()),
                    ("sources", sources.join(", ")),
                    ("share", sensor.share_percent.to_string()),
                ],
            );
        }
        let contacts = &mandate.contacts;
        self.add("contact", [("name", contacts.name.clone()), ("email", contacts.email.clone())]);
        self.add(
            "revocation",
            [
                ("list", mandate.revocation.list.clone()),
                ("minutes", (mandate.revocation.max_age_s / 60).to_string()),
            ],
        );
    }
}

/// The days of a window as message codes: together when they are the usual groups.
fn days(window: &DailyWindow) -> Vec<&'static str> {
    let mut days: Vec<usize> =
        window.days.iter().map(|day| usize::from(day.to_monday_zero_offset().unsigned_abs())).collect();
    days.sort_unstable();
    days.dedup();
    match days.as_slice() {
        [0, 1, 2, 3, 4, 5, 6] => vec!["daily"],
        [0, 1, 2, 3, 4] => vec!["weekdays"],
        some => some.iter().map(|day| DAYS[*day]).collect(),
    }
}

/// The first few prefixes, and how many more there are.
fn prefixes(all: impl Iterator<Item = kenshin_observation::Prefix>) -> String {
    let mut all = all.peekable();
    let mut shown: Vec<String> = all.by_ref().take(PREFIXES_SHOWN).map(|prefix| prefix.to_string()).collect();
    if all.peek().is_some() {
        shown.push(format!("+{}", all.count()));
    }
    shown.join(", ")
}

/// A number with thin spaces between thousands; powers of two above 2^64 as such.
fn thousands(number: u128) -> String {
    if number > u128::from(u64::MAX) {
        return match number {
            u128::MAX => "2^128".to_owned(),
            _ if number.is_power_of_two() => format!("2^{}", number.ilog2()),
            _ => format!("~2^{}", number.ilog2()),
        };
    }
    let digits = number.to_string();
    let mut out = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            out.push('\u{2009}');
        }
        out.push(digit);
    }
    out
}
