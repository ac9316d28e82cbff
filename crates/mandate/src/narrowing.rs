//! Lists that narrow: exclusions, opt-outs, revocations, and providers that are asked more slowly. They
//! apply at once and unsigned, because they can only take away: there is no word in them for giving.

use std::collections::HashSet;
use std::net::IpAddr;

use kenshin_observation::Prefix;
use toml::Spanned;

use crate::mandate::{Exclusion, RATE_MAX};
use crate::problem::{Invalid, Report};
use crate::revocation::RevokedText;
use crate::{AddressSet, Revocation, RevocationDraft, Revoked, VerifiedMandate};

/// Version of the format.
const SCHEMA_VERSION: i64 = 1;

/// Reason of an exclusion that the user of the address asked for.
const OPT_OUT: &str = "opt-out";

/// Most providers of a list.
const PROVIDERS_MAX: usize = 1 << 16;

/// What is taken away from mandates. It has only methods that take away more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Narrowing {
    exclusions: Vec<Exclusion>,
    revoked: Vec<Revocation>,
    providers: Vec<ProviderRate>,
}

/// Limit for all the networks of a provider together, below what a mandate says of the whole, of
/// prefixes and of addresses. Whoever is in the networks of several is under the limits of all.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProviderRate {
    /// Who can be asked about it.
    pub name: String,
    /// The networks.
    pub addresses: AddressSet,
    /// Probes per second of all sensors together.
    pub pps: u32,
    /// Probes that may leave at once; one for each sensor at least.
    pub burst: u32,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema_version: Spanned<i64>,
    #[serde(default)]
    exclusion: Vec<ExclusionText>,
    #[serde(default)]
    opt_out: Vec<Spanned<OptOutText>>,
    #[serde(default)]
    revoked: Vec<Spanned<RevokedText>>,
    #[serde(default)]
    provider: Vec<Spanned<ProviderText>>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ExclusionText {
    prefixes: Vec<Spanned<String>>,
    reason: String,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct OptOutText {
    address: Option<Spanned<String>>,
    prefix: Option<Spanned<String>>,
    /// Reference to the proof that the requester holds the prefix.
    proof: Option<Spanned<String>>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderText {
    name: String,
    prefixes: Vec<Spanned<String>>,
    pps: Spanned<i64>,
    burst: Spanned<i64>,
}

impl Narrowing {
    /// Takes nothing away.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads a narrowing list in TOML.
    ///
    /// One bad entry refuses the whole list, so that nobody believes it applied: the caller stops
    /// sending until the list is right.
    pub fn parse(file: &str, text: &str) -> Result<Self, Invalid> {
        let mut report = Report::new(file, text);
        let document: Document = match toml::from_str(text) {
            Ok(document) => document,
            Err(error) => {
                report.add_toml(&error);
                return Err(report.finish().expect_err("a problem was just added"));
            }
        };
        if *document.schema_version.get_ref() != SCHEMA_VERSION {
            report.add(
                document.schema_version.span(),
                "this version of the narrowing list format is not known",
                format!("this program reads schema_version = {SCHEMA_VERSION}"),
            );
        }
        let mut narrowing = Self::none();
        for entry in &document.exclusion {
            let prefixes = entry.prefixes.iter().filter_map(|text| prefix(text, &mut report));
            narrowing.exclude(prefixes.collect(), &entry.reason);
        }
        for entry in &document.opt_out {
            match opt_out(entry, &mut report) {
                Some((prefix, Some(proof))) => narrowing.opt_out_prefix(prefix, &proof),
                Some((prefix, None)) => narrowing.opt_out(prefix.base()),
                None => {}
            }
        }
        for entry in &document.revoked {
            narrowing.revoked.extend(RevokedText::read(entry, &mut report));
        }
        for entry in document.provider.iter().take(PROVIDERS_MAX) {
            narrowing.providers.extend(provider(entry.get_ref(), &mut report));
        }
        if let Some(entry) = document.provider.get(PROVIDERS_MAX) {
            let problem = format!("a list has at most {PROVIDERS_MAX} providers");
            report.add(entry.span(), problem, "let the smallest share one entry");
        }
        report.finish()?;
        Ok(narrowing)
    }

    /// Reads a plain list: an address or prefix a line, its reason after `#`.
    pub fn parse_plain(file: &str, text: &str) -> Result<Self, Invalid> {
        let mut report = Report::new(file, text);
        let mut narrowing = Self::none();
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let (content, reason) = line.split_once('#').unwrap_or((line, ""));
            let at = start + (content.len() - content.trim_start().len());
            start += line.len();
            match (content.trim(), reason.trim()) {
                ("", _) => {}
                (content, reason) => match content.parse::<Prefix>() {
                    Ok(prefix) => narrowing.exclude(prefix.into(), reason),
                    Err(error) => {
                        report.add(at..at, error.to_string(), "write an address or a prefix a line")
                    }
                },
            }
        }
        report.finish()?;
        Ok(narrowing)
    }

    /// Leaves addresses out.
    pub fn exclude(&mut self, addresses: AddressSet, reason: &str) {
        self.exclusions.push(Exclusion { addresses, reason: reason.to_owned() });
    }

    /// Leaves one address out at the request of its user.
    pub fn opt_out(&mut self, addr: IpAddr) {
        self.exclude(Prefix::host(addr).into(), OPT_OUT);
    }

    /// Leaves a prefix out at the request of its holder, who has proved to be that.
    pub fn opt_out_prefix(&mut self, prefix: Prefix, proof: &str) {
        self.exclude(prefix.into(), &format!("opt-out, proof: {proof}"));
    }

    /// Has a provider's networks asked no faster than `rate` says, a probe a second at least.
    pub fn slow_down(&mut self, rate: ProviderRate) {
        self.providers.push(ProviderRate { pps: rate.pps.max(1), burst: rate.burst.max(1), ..rate });
    }

    /// Revokes mandates.
    pub fn revoke(&mut self, entry: Revocation) {
        self.revoked.push(entry);
    }

    /// Revokes the version that a newer, verified mandate says it replaces.
    pub fn supersede(&mut self, newer: &VerifiedMandate) {
        if let Some(older) = &newer.supersedes {
            let what = Revoked::Digest(older.digest.clone());
            self.revoke(Revocation { what, reason: format!("superseded by version {}", newer.version) });
        }
    }

    /// Takes away what `other` takes away, too.
    pub fn and(mut self, other: Self) -> Self {
        self.exclusions.extend(other.exclusions);
        self.revoked.extend(other.revoked);
        self.providers.extend(other.providers);
        self
    }

    /// What this list takes away and `known` does not. A list that was fetched is kept by what it
    /// adds, so that one that has become shorter gives nothing back.
    pub fn beyond(&self, known: &Self) -> Self {
        let taken: AddressSet = known.exclusions.iter().map(|exclusion| &exclusion.addresses).collect();
        let more = |exclusion: &&Exclusion| !exclusion.addresses.minus(&taken).is_empty();
        let new = |entry: &&Revocation| !known.revoked.iter().any(|held| held.what == entry.what);
        let slow: HashSet<&ProviderRate> = known.providers.iter().collect();
        Self {
            exclusions: self.exclusions.iter().filter(more).cloned().collect(),
            revoked: self.revoked.iter().filter(new).cloned().collect(),
            providers: self.providers.iter().filter(|rate| !slow.contains(rate)).cloned().collect(),
        }
    }

    /// True when it takes nothing away.
    pub fn is_empty(&self) -> bool {
        self.exclusions.is_empty() && self.revoked.is_empty() && self.providers.is_empty()
    }

    /// Single addresses that are left out at the request of their users.
    pub fn opt_outs(&self) -> AddressSet {
        self.exclusions.iter().filter(|exclusion| exclusion.reason == OPT_OUT).map(|e| &e.addresses).collect()
    }

    /// The list as [`Narrowing::parse`] reads it.
    pub fn to_text(&self) -> String {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let prefixes = |addresses: &AddressSet| {
            let prefixes: Vec<String> = addresses.prefixes().map(|prefix| format!("\"{prefix}\"")).collect();
            prefixes.join(", ")
        };
        let mut text = format!("schema_version = {SCHEMA_VERSION}\n");
        for Exclusion { addresses, reason } in &self.exclusions {
            text.push_str(&format!(
                "\n[[exclusion]]\nprefixes = [{}]\nreason = {}\n",
                prefixes(addresses),
                quoted(reason)
            ));
        }
        for ProviderRate { name, addresses, pps, burst } in &self.providers {
            text.push_str(&format!(
                "\n[[provider]]\nname = {}\nprefixes = [{}]\npps = {pps}\nburst = {burst}\n",
                quoted(name),
                prefixes(addresses)
            ));
        }
        self.revoked.iter().for_each(|entry| text.push_str(&entry.to_text()));
        text
    }

    /// Addresses left out, each group with its reason.
    pub fn exclusions(&self) -> &[Exclusion] {
        &self.exclusions
    }

    /// Providers that are asked more slowly.
    pub fn providers(&self) -> &[ProviderRate] {
        &self.providers
    }

    /// Mandates revoked.
    pub fn revoked(&self) -> &[Revocation] {
        &self.revoked
    }
}

/// What an unsigned revocation list can do: take away.
impl From<&RevocationDraft> for Narrowing {
    fn from(draft: &RevocationDraft) -> Self {
        Self { revoked: draft.revoked.clone(), ..Self::none() }
    }
}

fn prefix(text: &Spanned<String>, report: &mut Report<'_>) -> Option<Prefix> {
    text.get_ref()
        .parse()
        .map_err(|error: kenshin_observation::ParsePrefixError| {
            report.add(
                text.span(),
                error.to_string(),
                "write the lowest address of the prefix and its length",
            );
        })
        .ok()
}

fn provider(entry: &ProviderText, report: &mut Report<'_>) -> Option<ProviderRate> {
    let mut number = |text: &Spanned<i64>, what| {
        let number = u32::try_from(*text.get_ref()).ok().filter(|number| (1..=RATE_MAX).contains(number));
        if number.is_none() {
            let problem = format!("{what} is {}, and must be from 1 to {RATE_MAX}", text.get_ref());
            report.add(text.span(), problem, "leave networks out with [[exclusion]] to send nothing there");
        }
        number
    };
    let (pps, burst) = (number(&entry.pps, "pps"), number(&entry.burst, "burst"));
    let addresses: AddressSet = entry.prefixes.iter().filter_map(|text| prefix(text, report)).collect();
    Some(ProviderRate { name: entry.name.clone(), addresses, pps: pps?, burst: burst? })
}

fn opt_out(entry: &Spanned<OptOutText>, report: &mut Report<'_>) -> Option<(Prefix, Option<String>)> {
    let proof =
        entry.get_ref().proof.as_ref().map(|proof| proof.get_ref().trim()).filter(|proof| !proof.is_empty());
    match (&entry.get_ref().address, &entry.get_ref().prefix, proof) {
        (Some(address), None, _) => match address.get_ref().parse::<IpAddr>() {
            Ok(addr) => Some((Prefix::host(addr), None)),
            Err(_) => {
                report.add(
                    address.span(),
                    format!("`{}` is not an address", address.get_ref()),
                    "write a single address; a prefix goes into prefix = with its proof",
                );
                None
            }
        },
        (None, Some(text), Some(proof)) => Some((prefix(text, report)?, Some(proof.to_owned()))),
        (None, Some(text), None) => {
            report.add(
                text.span(),
                format!("the opt-out of `{}` has no proof", text.get_ref()),
                "write proof = \"reference\" once the requester has shown to hold the prefix; single addresses need none",
            );
            None
        }
        _ => {
            report.add(
                entry.span(),
                "an opt-out names one address or one prefix",
                "write either address or prefix",
            );
            None
        }
    }
}
