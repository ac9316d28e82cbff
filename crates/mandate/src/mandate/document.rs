//! The mandate as text: what TOML holds, and how it becomes [`Terms`].
//!
//! Every value that a rule speaks of carries its span, so that a message points at it. All
//! problems of a text are reported together, except those that TOML itself finds: after the first
//! of these the rest cannot be read.

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use toml::Spanned;
use toml::value::Datetime;

use super::{Exclusion, LegalBasis, RevocationTerms, SCHEMA_VERSION, SpecialSpace, TEXT_BYTES_MAX, Terms};
use crate::problem::{Invalid, Report};

mod people;
mod sending;
mod space;
mod time;
mod words;

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
