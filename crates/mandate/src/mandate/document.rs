//! The mandate as text: what TOML holds, and how it becomes [`Terms`].
//!
//! Every value that a rule speaks of carries its span, so that a message points at it. All
//! problems of a text are reported together, except those that TOML itself finds: after the first
//! of these the rest cannot be read.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::Range;

use ed25519_dalek::VerifyingKey;
use jiff::civil::{Time, Weekday};
use kenshin_observation::{Check, ParsePrefixError, Prefix, SensorId, TimeUs};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use toml::Spanned;
use toml::value::Datetime;

use super::{
    AddressRate, Contacts, Exclusion, LegalBasis, NotEnumerable, PrefixRate, Rate, RevocationTerms,
    SCHEMA_VERSION, Sensor, SpecialSpace, Supersedes, TEXT_BYTES_MAX, Terms,
};
use crate::ports::{PortSet, Ports, SpeakGrant};
use crate::problem::{Invalid, Report};
use crate::special::unnamed_special;
use crate::window::{DailyWindow, Windows};
use crate::{AddressSet, window};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema_version: i64,
    id: Spanned<String>,
    version: Spanned<i64>,
    supersedes: Option<SupersedesText>,
    programme: Spanned<String>,
    title: Spanned<String>,
    purpose: Spanned<String>,
    authority: Spanned<String>,
    signers_required: Spanned<i64>,
    checks: Spanned<Vec<Spanned<String>>>,
    blob_bytes_max: Option<Spanned<i64>>,
    legal_basis: LegalBasisText,
    validity: ValidityText,
    scope: ScopeText,
    #[serde(default)]
    special_space: Vec<PrefixesText>,
    targets: Option<Spanned<TargetsText>>,
    #[serde(default)]
    exclusion: Vec<PrefixesText>,
    ports: Spanned<PortsText>,
    rate: RateText,
    contacts: ContactsText,
    sensor: Vec<SensorText>,
    revocation: RevocationText,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct SupersedesText {
    version: Spanned<i64>,
    sha256: Spanned<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct LegalBasisText {
    measure: Spanned<String>,
    observe: Option<Spanned<String>>,
    notify: Option<Spanned<String>>,
    share: Option<Spanned<String>>,
    release: Option<Spanned<String>>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ValidityText {
    from: Spanned<Datetime>,
    until: Spanned<Datetime>,
    time_zone: Spanned<String>,
    #[serde(default)]
    window: Vec<WindowText>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct WindowText {
    days: Spanned<Vec<Spanned<String>>>,
    from: Spanned<String>,
    until: Spanned<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ScopeText {
    prefixes: Spanned<Vec<Spanned<String>>>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct PrefixesText {
    prefixes: Spanned<Vec<Spanned<String>>>,
    reason: Spanned<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetsText {
    #[serde(default)]
    prefixes: Vec<Spanned<String>>,
    #[serde(default)]
    list: Vec<Spanned<String>>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct PortsText {
    #[serde(default)]
    tcp: Vec<Spanned<PortText>>,
    #[serde(default)]
    udp: Vec<Spanned<PortText>>,
    #[serde(default)]
    icmp_echo: bool,
    #[serde(default)]
    speak: Vec<SpeakText>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct SpeakText {
    port: Spanned<i64>,
    reason: Spanned<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RateText {
    whole_pps: Spanned<i64>,
    whole_burst: Spanned<i64>,
    per_prefix: PrefixRateText,
    per_address: AddressRateText,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct PrefixRateText {
    v4_len: Spanned<i64>,
    v6_len: Spanned<i64>,
    pps: Spanned<i64>,
    burst: Spanned<i64>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct AddressRateText {
    per_minute: Spanned<i64>,
    burst: Spanned<i64>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ContactsText {
    name: Spanned<String>,
    email: Spanned<String>,
    web: Option<Spanned<String>>,
    phone: Option<Spanned<String>>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct SensorText {
    id: Spanned<String>,
    name: Spanned<String>,
    public_key: Spanned<String>,
    source_addresses: Spanned<Vec<Spanned<String>>>,
    share_percent: Spanned<i64>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RevocationText {
    list: Spanned<String>,
    max_age_minutes: Option<Spanned<i64>>,
}

/// A port, or a range of them as text: `22`, `"8000-8100"`.
enum PortText {
    One(i64),
    Range(String),
}

impl<'de> Deserialize<'de> for PortText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PortVisitor;
        impl Visitor<'_> for PortVisitor {
            type Value = PortText;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a port such as 443 or a range such as \"8000-8100\"")
            }
            fn visit_i64<E: Error>(self, port: i64) -> Result<PortText, E> {
                Ok(PortText::One(port))
            }
            fn visit_str<E: Error>(self, range: &str) -> Result<PortText, E> {
                Ok(PortText::Range(range.to_owned()))
            }
        }
        deserializer.deserialize_any(PortVisitor)
    }
}

/// Reads the version before all else: a newer format has keys that this one refuses.
#[derive(serde::Deserialize)]
struct VersionOnly {
    schema_version: Option<Spanned<toml::Value>>,
}

/// Reads the terms of a mandate, or says everything that is wrong with it.
pub(super) fn read(file: &str, text: &str) -> Result<Terms, Invalid> {
    let mut report = Report::new(file, text);
    if text.len() > TEXT_BYTES_MAX {
        return Err(report.only(
            0..0,
            format!("the mandate has {} bytes, more than the {TEXT_BYTES_MAX} that are read", text.len()),
            "name fewer addresses one by one; prefixes say the same in less",
        ));
    }
    let document = toml::from_str::<VersionOnly>(text).and_then(|version| match version.schema_version {
        Some(version) if version.get_ref().as_integer() != Some(SCHEMA_VERSION) => Ok(Err(version.span())),
        _ => toml::from_str::<Document>(text).map(Ok),
    });
    match document {
        Ok(Ok(document)) => terms(document, report),
        Ok(Err(span)) => Err(report.only(
            span,
            "this version of the mandate format is not known",
            format!(
                "this program reads schema_version = {SCHEMA_VERSION}; use a newer program for newer mandates"
            ),
        )),
        Err(error) => {
            report.add_toml(&error);
            Err(report.finish().expect_err("a problem was just added"))
        }
    }
}

/// Applies every rule. Values that break one are replaced by harmless ones, so that the other
/// rules can still speak; the report then keeps them from getting out.
fn terms(document: Document, report: Report<'_>) -> Result<Terms, Invalid> {
    debug_assert_eq!(document.schema_version, SCHEMA_VERSION);
    let mut read = Reader { report };
    let id = read.id(&document.id);
    let version = read.number(&document.version, 1, u32::MAX, "version");
    let supersedes = document.supersedes.map(|text| read.supersedes(&text, *document.version.get_ref()));
    let checks = read.checks(&document.checks);
    let signers_required = read.signers(&document.signers_required, &checks);
    let (valid_from, valid_until) = read.validity(&document.validity);
    let windows = read.windows(&document.validity);

    let special_space: Vec<SpecialSpace> =
        document.special_space.iter().map(|text| read.special(text)).collect();
    let exclusions: Vec<Exclusion> = document.exclusion.iter().map(|text| read.exclusion(text)).collect();
    let before = read.report.len();
    let scope = read.scope(&document.scope, &special_space, &exclusions);
    // Targets are compared with a scope that is right, or every one of them would be outside it.
    let bounds = (read.report.len() == before).then_some(&scope);
    let targets = document.targets.map(|targets| read.targets(&targets, bounds));
    let ports = read.ports(&document.ports);
    let rate = read.rate(&document.rate);
    let sensors = read.sensors(&document.sensor, &rate);
    let terms = Terms {
        id,
        version,
        supersedes,
        programme: read.line(&document.programme, "programme"),
        title: read.line(&document.title, "title"),
        purpose: read.text(&document.purpose, "purpose"),
        authority: read.line(&document.authority, "authority"),
        signers_required,
        legal_basis: LegalBasis {
            measure: read.text(&document.legal_basis.measure, "the legal basis to measure"),
            observe: document.legal_basis.observe.map(|text| read.text(&text, "the legal basis to observe")),
            notify: document.legal_basis.notify.map(|text| read.text(&text, "the legal basis to notify")),
            share: document.legal_basis.share.map(|text| read.text(&text, "the legal basis to share")),
            release: document.legal_basis.release.map(|text| read.text(&text, "the legal basis to release")),
        },
        valid_from,
        valid_until,
        windows,
        scope,
        special_space,
        targets,
        exclusions,
        ports,
        checks,
        blob_bytes_max: document
            .blob_bytes_max
            .map_or(512, |bytes| read.number(&bytes, 0, 1 << 20, "blob_bytes_max")),
        rate,
        contacts: read.contacts(&document.contacts),
        sensors,
        revocation: RevocationTerms {
            list: read.line(&document.revocation.list, "revocation.list"),
            max_age_s: 60
                * document
                    .revocation
                    .max_age_minutes
                    .map_or(15, |age| read.number(&age, 1, 7 * 24 * 60, "max_age_minutes")),
        },
    };
    read.report.finish()?;
    Ok(terms)
}

/// Turns texts into terms and reports what breaks a rule.
struct Reader<'a> {
    report: Report<'a>,
}

impl Reader<'_> {
    fn number(&mut self, value: &Spanned<i64>, least: u32, most: u32, what: &str) -> u32 {
        match u32::try_from(*value.get_ref()) {
            Ok(number) if (least..=most).contains(&number) => number,
            _ => {
                let message = format!("{what} is {}, outside {least} to {most}", value.get_ref());
                self.report.add(
                    value.span(),
                    message,
                    format!("write a whole number from {least} to {most}"),
                );
                least
            }
        }
    }

    /// A text that says something.
    fn text(&mut self, value: &Spanned<String>, what: &str) -> String {
        if value.get_ref().trim().is_empty() {
            self.report.add(
                value.span(),
                format!("{what} is empty"),
                "write it out: people will be judged by it",
            );
        }
        value.get_ref().clone()
    }

    /// A text of one line without control characters.
    fn line(&mut self, value: &Spanned<String>, what: &str) -> String {
        if value.get_ref().chars().any(char::is_control) {
            self.report.add(
                value.span(),
                format!("{what} has a line break or control character"),
                "write it in one line",
            );
        }
        self.text(value, what)
    }

    fn id(&mut self, value: &Spanned<String>) -> String {
        let id = value.get_ref();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !(3..=64).contains(&id.len()) || !id.chars().all(plain) || id.starts_with('-') {
            self.report.add(
                value.span(),
                format!("`{id}` is not an id"),
                "use 3 to 64 lower-case letters, digits and hyphens, such as `example-isp-2026`",
            );
        }
        id.clone()
    }

    fn supersedes(&mut self, text: &SupersedesText, version: i64) -> Supersedes {
        let replaced = self.number(&text.version, 1, u32::MAX, "supersedes.version");
        if version > 0 && i64::from(replaced) >= version {
            self.report.add(
                text.version.span(),
                format!("version {version} cannot replace version {replaced}"),
                "raise `version` with every new text",
            );
        }
        let digest = text.sha256.get_ref().to_ascii_lowercase();
        if digest.len() != 64 || hex::decode(&digest).is_err() {
            self.report.add(
                text.sha256.span(),
                "this is not a SHA-256 digest",
                "copy the 64 hexadecimal digits that `kenshin mandate check` shows for the version before",
            );
        }
        Supersedes { version: replaced, digest }
    }

    fn checks(&mut self, texts: &Spanned<Vec<Spanned<String>>>) -> BTreeSet<Check> {
        let mut checks = BTreeSet::new();
        for text in texts.get_ref() {
            match text.get_ref().parse::<Check>() {
                Ok(check) if checks.insert(check) => {}
                Ok(check) => {
                    self.report.add(text.span(), format!("`{check}` is granted twice"), "keep one of them");
                }
                Err(error) => {
                    self.report.add(text.span(), error.to_string(), "grant only checks of the closed list");
                }
            }
        }
        if checks.is_empty() {
            self.report.add(
                texts.span(),
                "no check is granted",
                "the usual three are checks = [\"sweep\", \"banner\", \"handshake\"]",
            );
        } else if !checks.contains(&Check::Sweep) {
            self.report.add(
                texts.span(),
                "`sweep` is not granted, and without it nothing can be asked",
                "add \"sweep\"",
            );
        }
        checks
    }

    fn signers(&mut self, text: &Spanned<i64>, checks: &BTreeSet<Check>) -> u8 {
        let signers = self.number(text, 1, 2, "signers_required");
        let grave =
            [Check::CredentialCheck, Check::IcsIdentity].into_iter().find(|check| checks.contains(check));
        if let (Some(check), 1) = (grave, *text.get_ref()) {
            self.report.add(
                text.span(),
                format!("`{check}` needs two signers"),
                "write signers_required = 2 and let a second person sign, or do not grant the check",
            );
        }
        u8::try_from(signers).expect("1 or 2")
    }

    fn instant(&mut self, text: &Spanned<Datetime>) -> TimeUs {
        text.get_ref().to_string().parse().unwrap_or_else(|_| {
            self.report.add(
                text.span(),
                format!("`{}` is not an instant: it has no offset from UTC", text.get_ref()),
                "write date, time and offset, such as 2026-04-01T00:00:00+09:00",
            );
            TimeUs::from_micros(0)
        })
    }

    fn validity(&mut self, text: &ValidityText) -> (TimeUs, TimeUs) {
        let (from, until) = (self.instant(&text.from), self.instant(&text.until));
        if until <= from && from != TimeUs::from_micros(0) && until != TimeUs::from_micros(0) {
            self.report.add(
                text.until.span(),
                format!("the mandate ends ({until}) before it begins ({from})"),
                "let `until` be later than `from`",
            );
        }
        (from, until)
    }

    fn windows(&mut self, text: &ValidityText) -> Windows {
        let windows: Vec<DailyWindow> = text
            .window
            .iter()
            .map(|window| DailyWindow {
                days: self.days(&window.days),
                from: self.time_of_day(&window.from),
                until: self.time_of_day(&window.until),
            })
            .collect();
        Windows::new(windows, text.time_zone.get_ref()).unwrap_or_else(|| {
            self.report.add(
                text.time_zone.span(),
                format!("`{}` is not a time zone", text.time_zone.get_ref()),
                "use an IANA name such as \"Asia/Tokyo\" or \"UTC\"",
            );
            Windows::always()
        })
    }

    fn days(&mut self, texts: &Spanned<Vec<Spanned<String>>>) -> Vec<Weekday> {
        let mut days = Vec::new();
        for text in texts.get_ref() {
            match window::weekday(text.get_ref()) {
                Some(day) => days.push(day),
                None => self.report.add(
                    text.span(),
                    format!("`{}` is not a day", text.get_ref()),
                    "use mon, tue, wed, thu, fri, sat, sun",
                ),
            }
        }
        if texts.get_ref().is_empty() {
            self.report.add(texts.span(), "the window opens on no day", "name at least one day");
        }
        days
    }

    fn time_of_day(&mut self, text: &Spanned<String>) -> Time {
        let parsed = text.get_ref().split_once(':').filter(|(h, m)| h.len() == 2 && m.len() == 2);
        let parsed = parsed.and_then(|(h, m)| Time::new(h.parse().ok()?, m.parse().ok()?, 0, 0).ok());
        parsed.unwrap_or_else(|| {
            self.report.add(
                text.span(),
                format!("`{}` is not a time of day", text.get_ref()),
                "write hours and minutes, such as \"09:00\"",
            );
            Time::midnight()
        })
    }

    fn prefix(&mut self, text: &Spanned<String>) -> Option<Prefix> {
        match text.get_ref().parse() {
            Ok(prefix) => Some(prefix),
            Err(error) => {
                let hint = "write the lowest address of the prefix and its length";
                self.report.add(text.span(), error.to_string(), hint);
                match error {
                    // The prefix that was meant lets the other rules speak.
                    ParsePrefixError::HostBits(_, meant) => Some(meant),
                    ParsePrefixError::Syntax(_) => None,
                }
            }
        }
    }

    fn prefixes(&mut self, texts: &Spanned<Vec<Spanned<String>>>) -> Vec<Prefix> {
        if texts.get_ref().is_empty() {
            self.report.add(texts.span(), "no prefix is named", "name at least one, or remove the table");
        }
        texts.get_ref().iter().filter_map(|text| self.prefix(text)).collect()
    }

    fn special(&mut self, text: &PrefixesText) -> SpecialSpace {
        SpecialSpace {
            prefixes: self.prefixes(&text.prefixes),
            reason: self.text(&text.reason, "the reason"),
        }
    }

    fn exclusion(&mut self, text: &PrefixesText) -> Exclusion {
        let addresses = self.prefixes(&text.prefixes).into_iter().collect();
        Exclusion { addresses, reason: self.text(&text.reason, "the reason") }
    }

    fn scope(
        &mut self,
        text: &ScopeText,
        special_space: &[SpecialSpace],
        exclusions: &[Exclusion],
    ) -> AddressSet {
        let named: AddressSet =
            special_space.iter().flat_map(|space| space.prefixes.iter().copied()).collect();
        let excluded = exclusions.iter().fold(AddressSet::new(), |set, e| set.union(&e.addresses));
        self.prefixes_in_span(&text.prefixes, |read, prefix, span| {
            if prefix.len() == 0 {
                read.report.add(
                    span,
                    format!("`{prefix}` is every {} address there is", if prefix.base().is_ipv4() { "IPv4" } else { "IPv6" }),
                    "name the prefixes that the authority is responsible for",
                );
                return;
            }
            let allowed = AddressSet::from(prefix).minus(&excluded);
            let Some((block, refused)) = unnamed_special(&allowed, &named) else { return };
            let whole = AddressSet::from(prefix).intersect(&block.prefix().into());
            let missing = if named.intersect(&whole).is_empty() { whole } else { refused };
            let example = missing.prefixes().next().expect("the set is not empty");
            let (message, hint) = if block.nameable {
                (
                    format!("`{prefix}` reaches {} space ({}), which is not named", block.name, block.prefix),
                    format!("if it is meant, add [[special_space]] with prefixes = [\"{example}\"] and the reason; otherwise exclude it"),
                )
            } else {
                (
                    format!("`{prefix}` reaches {} ({}), to which nothing is ever sent", block.name, block.prefix),
                    format!("remove it, or add [[exclusion]] with prefixes = [\"{}\"] and the reason", block.prefix),
                )
            };
            read.report.add(span, message, hint);
        })
    }

    fn targets(&mut self, text: &Spanned<TargetsText>, scope: Option<&AddressSet>) -> AddressSet {
        let mut targets = Vec::new();
        for text in &text.get_ref().prefixes {
            targets.extend(self.prefix(text).map(|prefix| (prefix, text.span())));
        }
        for text in &text.get_ref().list {
            match text.get_ref().parse::<IpAddr>() {
                Ok(addr) => targets.push((Prefix::host(addr), text.span())),
                Err(_) => self.report.add(
                    text.span(),
                    format!("`{}` is not an address", text.get_ref()),
                    "the list holds single addresses; put prefixes into targets.prefixes",
                ),
            }
        }
        for (prefix, span) in &targets {
            let outside = scope.map(|scope| AddressSet::from(*prefix).minus(scope)).unwrap_or_default();
            if let Some(example) = outside.nth(0) {
                self.report.add(
                    span.clone(),
                    format!("`{prefix}` is not inside the scope: {example} is outside"),
                    "add the prefix to scope.prefixes, or remove it here",
                );
            }
        }
        let set: AddressSet = targets.into_iter().map(|(prefix, _)| prefix).collect();
        if set.is_empty() {
            self.report.add(
                text.span(),
                "[targets] names nothing",
                "name prefixes or a list, or remove the table: then the whole scope is the target",
            );
        } else if let Err(error) = NotEnumerable::check("[targets]", &set) {
            self.report.add(text.span(), error.to_string(), error.hint());
        }
        set
    }

    fn prefixes_in_span(
        &mut self,
        texts: &Spanned<Vec<Spanned<String>>>,
        rule: impl Fn(&mut Self, Prefix, Range<usize>),
    ) -> AddressSet {
        let mut prefixes = Vec::new();
        for text in texts.get_ref() {
            if let Some(prefix) = self.prefix(text) {
                rule(self, prefix, text.span());
                prefixes.push(prefix);
            }
        }
        if texts.get_ref().is_empty() {
            self.report.add(texts.span(), "no prefix is named", "name at least one");
        }
        prefixes.into_iter().collect()
    }

    fn port(&mut self, port: i64, span: Range<usize>) -> Option<u16> {
        match u16::try_from(port) {
            Ok(port) if port > 0 => Some(port),
            _ => {
                self.report.add(span, format!("{port} is not a port"), "ports are 1 to 65535");
                None
            }
        }
    }

    fn port_set(&mut self, texts: &[Spanned<PortText>]) -> PortSet {
        let mut set = PortSet::new();
        for text in texts {
            let range = match text.get_ref() {
                PortText::One(port) => self.port(*port, text.span()).map(|port| port..=port),
                PortText::Range(range) => self.port_range(range, text.span()),
            };
            for port in range.into_iter().flatten() {
                if set.contains(port) {
                    self.report.add(text.span(), format!("port {port} is granted twice"), "keep one of them");
                    break;
                }
                set.insert(port);
            }
        }
        set
    }

    fn port_range(&mut self, text: &str, span: Range<usize>) -> Option<std::ops::RangeInclusive<u16>> {
        let ends = text.split_once('-').and_then(|(first, last)| {
            Some((first.trim().parse::<i64>().ok()?, last.trim().parse::<i64>().ok()?))
        });
        match ends {
            Some((first, last)) if first <= last => {
                Some(self.port(first, span.clone())?..=self.port(last, span)?)
            }
            _ => {
                self.report.add(
                    span,
                    format!("`{text}` is not a range of ports"),
                    "write the lower port, a hyphen and the higher port, such as \"8000-8100\"",
                );
                None
            }
        }
    }

    fn ports(&mut self, text: &Spanned<PortsText>) -> Ports {
        let (tcp, udp) = (self.port_set(&text.get_ref().tcp), self.port_set(&text.get_ref().udp));
        if tcp.is_empty() && udp.is_empty() && !text.get_ref().icmp_echo {
            self.report.add(
                text.span(),
                "no port is granted",
                "name ports, such as tcp = [22, 80, \"8000-8100\"]",
            );
        }
        let mut speak = Vec::new();
        for grant in &text.get_ref().speak {
            let reason = self.text(&grant.reason, "the reason");
            let Some(port) = self.port(*grant.port.get_ref(), grant.port.span()) else { continue };
            if !tcp.contains(port) && !udp.contains(port) {
                self.report.add(
                    grant.port.span(),
                    format!("speaking at port {port} is granted, but the port is not"),
                    "add the port to tcp or udp, or remove this grant",
                );
            }
            speak.push(SpeakGrant { port, reason });
        }
        Ports::new(tcp, udp, text.get_ref().icmp_echo, speak)
    }

    fn rate(&mut self, text: &RateText) -> Rate {
        let (prefix, address) = (&text.per_prefix, &text.per_address);
        let length = |read: &mut Self, text, most, what| {
            u8::try_from(read.number(text, 1, most, what)).expect("at most 128")
        };
        Rate {
            whole_pps: self.number(&text.whole_pps, 1, RATE_MAX, "whole_pps"),
            whole_burst: self.number(&text.whole_burst, 1, RATE_MAX, "whole_burst"),
            per_prefix: PrefixRate {
                v4_len: length(self, &prefix.v4_len, 32, "v4_len"),
                v6_len: length(self, &prefix.v6_len, 128, "v6_len"),
                pps: self.number(&prefix.pps, 1, RATE_MAX, "per_prefix.pps"),
                burst: self.number(&prefix.burst, 1, RATE_MAX, "per_prefix.burst"),
            },
            per_address: AddressRate {
                per_minute: self.number(&address.per_minute, 1, RATE_MAX, "per_address.per_minute"),
                burst: self.number(&address.burst, 1, RATE_MAX, "per_address.burst"),
            },
        }
    }

    fn contacts(&mut self, text: &ContactsText) -> Contacts {
        let email = self.line(&text.email, "the mail address");
        let parts = email.split_once('@').filter(|(local, domain)| !local.is_empty() && domain.contains('.'));
        if parts.is_none() || email.contains(char::is_whitespace) {
            self.report.add(
                text.email.span(),
                format!("`{email}` is not a mail address"),
                "write one that is read: those who are measured will use it",
            );
        }
        let web = text.web.as_ref().map(|web| {
            if !web.get_ref().starts_with("https://") && !web.get_ref().starts_with("http://") {
                self.report.add(
                    web.span(),
                    format!("`{}` is not a web address", web.get_ref()),
                    "begin with https://",
                );
            }
            self.line(web, "the web address")
        });
        Contacts {
            name: self.line(&text.name, "the contact's name"),
            email,
            web,
            phone: text.phone.as_ref().map(|phone| self.line(phone, "the telephone number")),
        }
    }

    fn sensors(&mut self, texts: &[SensorText], rate: &Rate) -> Vec<Sensor> {
        let mut sensors: Vec<Sensor> = Vec::new();
        let mut shares = 0;
        for text in texts {
            let sensor = self.sensor(text, rate);
            shares += u32::from(sensor.share_percent);
            if shares > 100 && shares - u32::from(sensor.share_percent) <= 100 {
                self.report.add(
                    text.share_percent.span(),
                    format!("with this sensor the shares reach {shares} %, above the whole"),
                    "lower share_percent of some sensors until they sum to at most 100",
                );
            }
            if let Some(twin) = sensors.iter().find(|other| other.id == sensor.id) {
                self.report.add(
                    text.id.span(),
                    format!("`{}` and `{}` have the same id", twin.name, sensor.name),
                    "give every sensor its own id",
                );
            }
            if let Some(twin) = sensors.iter().find(|other| other.public_key == sensor.public_key) {
                self.report.add(
                    text.public_key.span(),
                    format!("`{}` and `{}` have the same key", twin.name, sensor.name),
                    "give every sensor its own key",
                );
            }
            sensors.push(sensor);
        }
        if sensors.is_empty() {
            self.report.add(
                0..0,
                "no sensor is named",
                "add [[sensor]] with the id and key that `kenshin sensor` prints on its first start",
            );
        }
        sensors
    }

    fn sensor(&mut self, text: &SensorText, rate: &Rate) -> Sensor {
        let share = self.number(&text.share_percent, 1, 100, "share_percent");
        for (burst, what) in [
            (rate.whole_burst, "whole_burst"),
            (rate.per_prefix.burst, "per_prefix.burst"),
            (rate.per_address.burst, "per_address.burst"),
        ] {
            if u64::from(burst) * u64::from(share) < 100 && i64::from(share) == *text.share_percent.get_ref()
            {
                self.report.add(
                    text.share_percent.span(),
                    format!(
                        "{share} % of {what} = {burst} is less than one probe: the sensor could never send"
                    ),
                    format!("raise {what} to at least {}, or the share", 100u32.div_ceil(share)),
                );
            }
        }
        Sensor {
            id: self.sensor_id(&text.id),
            name: self.line(&text.name, "the sensor's name"),
            public_key: self.public_key(&text.public_key),
            source_addresses: self.source_addresses(&text.source_addresses),
            share_percent: u8::try_from(share).expect("at most 100"),
        }
    }

    fn sensor_id(&mut self, text: &Spanned<String>) -> SensorId {
        text.get_ref().parse().unwrap_or_else(|_| {
            self.report.add(
                text.span(),
                format!("`{}` is not a sensor id", text.get_ref()),
                "copy the 26 characters that `kenshin sensor` prints",
            );
            SensorId::from_bits(0)
        })
    }

    fn public_key(&mut self, text: &Spanned<String>) -> VerifyingKey {
        let bytes: Option<[u8; 32]> =
            hex::decode(text.get_ref()).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        bytes
            .and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok())
            .filter(|key| !key.is_weak())
            .unwrap_or_else(|| {
                self.report.add(
                    text.span(),
                    "this is not an Ed25519 public key",
                    "copy the 64 hexadecimal digits that `kenshin sensor` prints",
                );
                VerifyingKey::default()
            })
    }

    fn source_addresses(&mut self, texts: &Spanned<Vec<Spanned<String>>>) -> Vec<IpAddr> {
        let mut addresses = Vec::new();
        for text in texts.get_ref() {
            match text.get_ref().parse::<IpAddr>() {
                Ok(addr) if !addr.is_multicast() && !addr.is_unspecified() => addresses.push(addr),
                _ => self.report.add(
                    text.span(),
                    format!("`{}` is not an address to send from", text.get_ref()),
                    "write unicast addresses one by one",
                ),
            }
        }
        if texts.get_ref().is_empty() {
            self.report.add(
                texts.span(),
                "the sensor has no address",
                "write the addresses it sends from: those who are measured look them up",
            );
        }
        addresses
    }
}

/// Highest rate that can be written: far above what a line carries.
const RATE_MAX: u32 = 1_000_000_000;
