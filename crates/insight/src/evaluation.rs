//! How well identification does on labelled banners.
//!
//! [`evaluate`] reads one JSON object a line, identifies each banner as if a host had shown nothing
//! else, and counts per attribute how often it was judged, answered and right. Nothing is learned
//! from the labels.
//!
//! ```
//! use kenshin_insight::evaluation::{Attribute, evaluate};
//! use kenshin_insight::fingerprint::Packs;
//! let labelled = r#"{"service":"ssh","banner":"SSH-2.0-dropbear_2019.78","truth":{"product":"Dropbear","version":"2019.78"}}"#;
//! let evaluation = evaluate("labelled.jsonl", labelled.as_bytes(), &Packs::own()).unwrap();
//! assert_eq!(evaluation.score(Attribute::Version).precision(), Some(1.0));
//! assert_eq!(evaluation.score(Attribute::Vendor).judged, 0);
//! ```

mod banner;
mod certificate;
mod comparison;
mod plot;

use std::collections::BTreeMap;
use std::io::BufRead;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kenshin_observation::{Claim, DeviceType, Identity, words};
use serde::Deserialize;

use crate::fingerprint::Packs;
use crate::identity::identify_sightings;
use crate::intelligence::{REJECTED_MAX, Rejected, read_line};

pub use banner::sightings;
pub use comparison::same;
pub use plot::plot;

/// Longest line, in bytes.
const LINE_MAX: usize = 1 << 20;

/// Most wrong answers that are listed; further ones are counted.
const WRONG_MAX: usize = 10_000;

/// Longest piece of a banner in the list of wrong answers, in characters.
const EXCERPT_MAX: usize = 120;

/// Tenths of confidence, for calibration.
const BINS: usize = 10;

words!(
    /// Kind of service that said a banner.
    Service, "service" {
        /// Greeting of FTP.
        Ftp = "ftp",
        /// Response of HTTP: status line, header section, page.
        Http = "http",
        /// Identification line of SSH.
        Ssh = "ssh",
        /// What Telnet shows before any input.
        Telnet = "telnet",
        /// `sysDescr` or `sysObjectID` of SNMP.
        Snmp = "snmp",
        /// SSDP answer or UPnP device description.
        Upnp = "upnp",
        /// Response of RTSP.
        Rtsp = "rtsp",
        /// Greeting of SMTP.
        Smtp = "smtp",
        /// Certificate: its subject and issuer as text, PEM or DER.
        Tls = "tls",
    }
);

words!(
    /// What is judged.
    Attribute, "attribute" {
        /// Maker.
        Vendor = "vendor",
        /// Model or software.
        Product = "product",
        /// Device type.
        Type = "type",
        /// Version.
        Version = "version",
    }
);

/// How often one attribute was right.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Score {
    /// Banners whose truth states the attribute.
    pub judged: u64,
    /// Of these, where something was claimed.
    pub answered: u64,
    /// Of these, where it was right.
    pub correct: u64,
    /// Claims by tenth of their confidence: how many, how many right, sum of their percents.
    bins: [(u64, u64, u64); BINS],
}

/// A claim that the truth contradicts.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Wrong {
    /// Line of the file, from 1.
    pub line: u64,
    /// What was judged.
    pub attribute: Attribute,
    /// What was claimed.
    pub answer: String,
    /// Percent.
    pub confidence: u8,
    /// What would have been right.
    pub truth: Vec<String>,
    /// Why it was claimed.
    pub reason: String,
    /// Beginning of the banner.
    pub banner: String,
}

/// What an evaluation showed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evaluation {
    /// Banners read.
    pub banners: u64,
    /// By attribute.
    scores: BTreeMap<Attribute, Score>,
    /// Wrong answers in order of the file, at most 10,000.
    pub wrong: Vec<Wrong>,
    /// Lines that could not be used, at most 1,000.
    pub rejected: Vec<Rejected>,
    /// How many could not, listed or not.
    pub rejected_total: u64,
}

/// One line of the file. Other keys are ignored: a set may carry its own.
#[derive(Deserialize)]
struct Line {
    service: Service,
    banner: Option<String>,
    banner_base64: Option<String>,
    truth: Truth,
}

#[derive(Deserialize)]
struct Truth {
    vendor: Option<OneOf>,
    product: Option<OneOf>,
    #[serde(rename = "type")]
    device_type: Option<OneOf>,
    version: Option<OneOf>,
}

/// A value, or a list of which any is right.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOf {
    One(Text),
    Any(Vec<Text>),
}

/// A text, or a number such as the version 2.4.
#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Text(String),
    Number(serde_json::Number),
}

impl OneOf {
    /// Values that say something. With none the attribute is not judged.
    fn values(self) -> Vec<String> {
        let values = match self {
            Self::One(value) => vec![value],
            Self::Any(values) => values,
        };
        let text = |value| match value {
            Text::Text(text) => text,
            Text::Number(number) => number.to_string(),
        };
        values.into_iter().map(text).filter(|value| !value.trim().is_empty()).collect()
    }
}

/// Identifies each labelled banner of `from` and compares with its truth. A line that cannot be used
/// is noted and the rest goes on; an error means that the file could not be read.
pub fn evaluate(file: &str, mut from: impl BufRead, packs: &Packs) -> std::io::Result<Evaluation> {
    let mut evaluation = Evaluation::default();
    let (mut bytes, mut line) = (Vec::new(), 0);
    while let Some(whole) = read_line(&mut from, LINE_MAX, &mut bytes)? {
        line += 1;
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        let labelled =
            if whole { parse(&bytes) } else { Err(format!("the line is longer than {LINE_MAX} bytes")) };
        match labelled {
            Ok((service, banner, truth)) => evaluation.judge(line, service, &banner, truth, packs),
            Err(reason) => evaluation.reject(file, line, reason),
        }
    }
    Ok(evaluation)
}

fn parse(bytes: &[u8]) -> Result<(Service, Vec<u8>, Truth), String> {
    let line: Line = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let banner = match (line.banner, line.banner_base64) {
        (Some(text), None) => banner::unescape(text).into_bytes(),
        (None, Some(coded)) => {
            let letters: String = coded.split_ascii_whitespace().collect();
            STANDARD.decode(letters).map_err(|error| format!("`banner_base64` is not base64: {error}"))?
        }
        _ => return Err("neither `banner` nor `banner_base64`, or both".to_owned()),
    };
    Ok((line.service, banner, line.truth))
}

/// What a host that showed this banner alone is said to be. The device, if there is one; of a
/// computer the software that spoke, because its banner tells that first; else what it runs.
pub fn answer(service: Service, banner: &[u8], packs: &Packs) -> BTreeMap<Attribute, Claim> {
    let Identity { vendor, product, version, device_type, mut components, .. } =
        identify_sightings(&sightings(service, banner), packs);
    let computer = device_type.as_ref().is_none_or(|claim| claim.value == DeviceType::Server.as_str());
    let nothing = vendor.is_none() && product.is_none();
    // The server that speaks comes before its modules, and before what its page was made with.
    let shown = String::from_utf8_lossy(banner).to_lowercase();
    components.sort_by_key(|software| {
        let name = software.product.value.to_lowercase();
        let first = name.split([' ', '-', '/']).next().unwrap_or_default();
        let guest = ["http.powered_by", "http.cookie_names"]
            .iter()
            .any(|field| software.product.reason.contains(field));
        (guest, shown.find(first).unwrap_or(usize::MAX))
    });
    let software = components.into_iter().next().filter(|_| nothing || (computer && device_type.is_some()));
    let (vendor, product, version) = match software {
        Some(software) => {
            let claim =
                |value: Option<String>| value.map(|value| Claim { value, ..software.product.clone() });
            (claim(software.vendor.clone()), Some(software.product.clone()), claim(software.version.clone()))
        }
        None => (vendor, product, version),
    };
    [
        (Attribute::Vendor, vendor),
        (Attribute::Product, product),
        (Attribute::Type, device_type),
        (Attribute::Version, version),
    ]
    .into_iter()
    .filter_map(|(attribute, claim)| Some((attribute, claim?)))
    .collect()
}

impl Evaluation {
    /// The score of one attribute.
    pub fn score(&self, attribute: Attribute) -> Score {
        self.scores.get(&attribute).cloned().unwrap_or_default()
    }

    fn judge(&mut self, line: u64, service: Service, banner: &[u8], truth: Truth, packs: &Packs) {
        self.banners += 1;
        let answers = answer(service, banner, packs);
        let truth = [
            (Attribute::Vendor, truth.vendor),
            (Attribute::Product, truth.product),
            (Attribute::Type, truth.device_type),
            (Attribute::Version, truth.version),
        ]
        .map(|(attribute, truth)| (attribute, truth.map(OneOf::values).unwrap_or_default()));
        let claimed = answers.get(&Attribute::Vendor).map(|claim| claim.value.clone());
        let vendors: Vec<String> = truth[0].1.iter().cloned().chain(claimed).collect();
        for (attribute, truth) in truth {
            if truth.is_empty() {
                continue;
            }
            let score = self.scores.entry(attribute).or_default();
            score.judged += 1;
            let Some(claim) = answers.get(&attribute) else { continue };
            let right = truth.iter().any(|truth| same(attribute, &claim.value, truth, &vendors));
            score.note(claim.confidence, right);
            if !right && self.wrong.len() < WRONG_MAX {
                self.wrong.push(Wrong {
                    line,
                    attribute,
                    answer: claim.value.clone(),
                    confidence: claim.confidence,
                    truth,
                    reason: claim.reason.clone(),
                    banner: String::from_utf8_lossy(banner).chars().take(EXCERPT_MAX).collect(),
                });
            }
        }
    }

    fn reject(&mut self, file: &str, line: u64, reason: String) {
        self.rejected_total += 1;
        if self.rejected.len() < REJECTED_MAX {
            self.rejected.push(Rejected { file: file.to_owned(), line, reason });
        }
    }
}

impl Score {
    fn note(&mut self, confidence: u8, right: bool) {
        self.answered += 1;
        self.correct += u64::from(right);
        let bin = &mut self.bins[usize::from(confidence / 10).min(BINS - 1)];
        *bin = (bin.0 + 1, bin.1 + u64::from(right), bin.2 + u64::from(confidence));
    }

    /// Right among the answered; `None` when nothing was answered.
    pub fn precision(&self) -> Option<f64> {
        ratio(self.correct, self.answered)
    }

    /// Right among the judged.
    pub fn recall(&self) -> Option<f64> {
        ratio(self.correct, self.judged)
    }

    /// Not answered among the judged.
    pub fn abstention(&self) -> Option<f64> {
        ratio(self.judged - self.answered, self.judged)
    }

    /// Mean distance between confidence and how often it was right, over tenths of confidence,
    /// weighted by answers (expected calibration error).
    pub fn calibration_error(&self) -> Option<f64> {
        let distance = |&(count, right, percents): &(u64, u64, u64)| {
            (percents as f64 / 100.0 - right as f64).abs() * f64::from(u8::from(count > 0))
        };
        let total: f64 = self.bins.iter().map(distance).sum();
        (self.answered > 0).then(|| total / self.answered as f64)
    }

    /// Tenths of confidence with answers in them: mean confidence, share that was right, answers.
    pub fn calibration(&self) -> Vec<(f64, f64, u64)> {
        let bins = self.bins.iter().filter(|(count, ..)| *count > 0);
        bins.map(|&(count, right, percents)| {
            (percents as f64 / count as f64 / 100.0, right as f64 / count as f64, count)
        })
        .collect()
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests;
