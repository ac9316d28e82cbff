//! The chain from bytes to conclusion, in the reader's language: what was seen, by which fingerprint
//! it was recognised, what the device is, what is known of it, how the versions compare, what
//! follows, and how soon something must be done, each with its reason.

use std::collections::BTreeMap;

use kenshin_casework::FindingRecord;
use kenshin_insight::finding::{remedy_codes, why_code};
use kenshin_insight::fingerprint::{Fingerprint, Packs};
use kenshin_observation::{Claim, Explanation, Identity, Messages, Priority};
use serde_json::{Value, json};

use crate::output::visible;

/// What the chain is made from.
pub(super) struct Chain<'a> {
    pub(super) record: &'a FindingRecord,
    pub(super) packs: &'a Packs,
    pub(super) messages: &'a Messages,
    pub(super) language: &'a str,
}

impl Chain<'_> {
    /// As text for people.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let steps = [
            ("explain.seen", self.seen()),
            ("explain.recognised", self.recognised()),
            ("explain.identity", self.identity()),
            ("explain.knowledge", self.knowledge()),
            ("explain.comparison", self.comparison()),
            ("explain.conclusion", self.conclusion()),
            ("explain.priority", self.priority()),
            ("explain.remedy", vec![self.remedy()]),
        ];
        for (number, (title, lines)) in steps.iter().enumerate() {
            text.push_str(&format!("{}. {}\n", number + 1, self.say(title, &[])));
            for line in lines {
                text.push_str(&format!("   {line}\n"));
            }
        }
        text
    }

    /// As an object for programs.
    pub(super) fn json(&self) -> Value {
        let finding = &self.record.finding;
        let fingerprints = self.fingerprints().into_iter().map(|(name, fingerprint)| {
            json!({
                "name": name,
                "description": fingerprint.map(Fingerprint::description),
                "source": fingerprint.and_then(Fingerprint::source),
            })
        });
        json!({
            "key": finding.key,
            "language": self.language,
            "evidence": finding.evidence,
            "vantage": self.record.vantage,
            "fingerprints": fingerprints.collect::<Vec<_>>(),
            "identity": self.record.identity,
            "snapshots": finding.snapshots,
            "comparison": self.comparison(),
            "code": finding.explanation.code,
            "args": finding.explanation.args,
            "conclusion": self.prose(&finding.explanation),
            "confidence": finding.confidence,
            "why": self.say(&why_code(finding.kind), &[]),
            "priority": finding.priority,
            "priority_lines": self.priority(),
            "remedy": self.remedy(),
        })
    }

    fn say(&self, code: &str, args: &[(&str, &str)]) -> String {
        let args = args.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.messages.render_with(self.language, code, &args, visible)
    }

    fn prose(&self, explanation: &Explanation) -> String {
        super::super::prose(self.messages, self.language, explanation)
    }

    /// The bytes, quoted, with when and where.
    fn seen(&self) -> Vec<String> {
        let vantage = self.record.vantage.map(|vantage| vantage.addr.to_string());
        let mut lines = Vec::new();
        for evidence in &self.record.finding.evidence {
            let (time, endpoint) = (evidence.time.to_string(), evidence.endpoint.to_string());
            let survey = evidence.survey_id.to_string();
            let args = [("time", time.as_str()), ("endpoint", &endpoint), ("survey", &survey)];
            lines.push(match &vantage {
                Some(vantage) => {
                    self.say("explain.observed-from", &[&args[..], &[("vantage", vantage)]].concat())
                }
                None => self.say("explain.observed", &args),
            });
            lines.push(format!("  {} = “{}”", evidence.field, visible(&evidence.value)));
        }
        lines
    }

    /// Names of the fingerprints that spoke for the device or for software in it, and the fingerprints
    /// as far as they are in use.
    fn fingerprints(&self) -> Vec<(String, Option<&Fingerprint>)> {
        let identity = &self.record.identity;
        let components = identity.components.iter().map(|component| &component.product);
        let mut names: Vec<String> = Vec::new();
        for claim in claims(identity).into_iter().map(|(_, claim)| claim).chain(components) {
            let words = claim.reason.split([' ', ',', ';']);
            for word in words.filter(|word| word.contains(':') && word.contains('/')) {
                if !names.iter().any(|name| name == word) {
                    names.push(word.to_owned());
                }
            }
        }
        names.into_iter().map(|name| (name.clone(), self.packs.fingerprint(&name))).collect()
    }

    fn recognised(&self) -> Vec<String> {
        let lines: Vec<String> = self
            .fingerprints()
            .into_iter()
            .map(|(name, fingerprint)| match fingerprint.map(|found| (found.description(), found.source())) {
                Some((description, Some(source))) => {
                    let args = [("name", name.as_str()), ("description", description), ("source", source)];
                    self.say("explain.fingerprint.source", &args)
                }
                Some((description, None)) => {
                    self.say("explain.fingerprint", &[("name", &name), ("description", description)])
                }
                None => self.say("explain.fingerprint.gone", &[("name", &name)]),
            })
            .collect();
        if lines.is_empty() { vec![self.say("explain.recognised.none", &[])] } else { lines }
    }

    fn identity(&self) -> Vec<String> {
        let identity = &self.record.identity;
        let line = |label: &str, value: &str, claim: &Claim| {
            let (label, percent) = (self.say(&format!("explain.{label}"), &[]), claim.confidence.to_string());
            let args = [("attribute", label.as_str()), ("value", value), ("percent", &percent)];
            let line = self.say("explain.claim", &args);
            format!("{line} [{}]", visible(&claim.reason))
        };
        let mut lines: Vec<String> =
            claims(identity).into_iter().map(|(label, claim)| line(label, &claim.value, claim)).collect();
        for component in &identity.components {
            let version = component.version.as_deref().unwrap_or_default();
            let value = format!("{} {version} (:{})", component.product.value, component.port);
            lines.push(line("component", &value, &component.product));
        }
        if lines.is_empty() {
            lines.push(self.say("explain.unknown", &[]));
        }
        lines
    }

    /// The records in the snapshots that the finding stands on.
    fn knowledge(&self) -> Vec<String> {
        let finding = &self.record.finding;
        if finding.snapshots.is_empty() {
            return vec![self.say("explain.knowledge.none", &[])];
        }
        let args = &finding.explanation.args;
        let arg = |name: &str| args.get(name).map(String::as_str);
        let mut lines: Vec<String> = finding.snapshots.iter().map(|snapshot| visible(snapshot)).collect();
        if let (Some(cve), Some(added)) = (arg("cve"), arg("added")) {
            let name = arg("name").unwrap_or_default();
            lines.push(self.say("explain.kev", &[("cve", cve), ("name", name), ("added", added)]));
        }
        lines
    }

    fn comparison(&self) -> Vec<String> {
        let args = &self.record.finding.explanation.args;
        let arg = |name: &str| args.get(name).map(String::as_str);
        let line = match (arg("version"), arg("range"), arg("cycle")) {
            (Some(version), Some(range), _) => {
                let said_by = arg("said_by").unwrap_or_default();
                self.say("explain.range", &[("version", version), ("range", range), ("source", said_by)])
            }
            (Some(version), None, Some(cycle)) if !version.is_empty() => {
                let ended = arg("ended").unwrap_or_default();
                self.say("explain.cycle", &[("version", version), ("cycle", cycle), ("ended", ended)])
            }
            _ => self.say("explain.comparison.none", &[]),
        };
        vec![line]
    }

    fn conclusion(&self) -> Vec<String> {
        let finding = &self.record.finding;
        let percent = finding.confidence.to_string();
        vec![
            self.prose(&finding.explanation),
            self.say("explain.confidence", &[("percent", &percent)]),
            self.say(&why_code(finding.kind), &[]),
        ]
    }

    fn priority(&self) -> Vec<String> {
        let Some(priority) = &self.record.finding.priority else {
            return vec![self.say("explain.priority.none", &[])];
        };
        let Priority { decision, exploitation, exposure, automatable, impact, reasons } = priority;
        let answers = [
            ("exploitation", exploitation.as_str()),
            ("exposure", exposure.as_str()),
            ("automatable", automatable.as_str()),
            ("impact", impact.as_str()),
        ];
        let mut lines = Vec::new();
        for (question, answer) in answers {
            let asked = self.say(&format!("priority.{question}"), &[]);
            lines.push(format!("{asked}: {answer}"));
            let prefix = format!("priority.{question}.");
            let of_question = reasons.iter().filter(|reason| reason.code.starts_with(&prefix));
            lines.extend(of_question.map(|reason| format!("  {}", self.prose(reason))));
        }
        lines.push(self.say(&format!("decision.{decision}"), &[]));
        lines
    }

    fn remedy(&self) -> String {
        let device_type =
            self.record.identity.device_type.as_ref().and_then(|claim| claim.value.parse().ok());
        let codes = remedy_codes(self.record.finding.remedy, device_type);
        let known = codes.iter().find(|code| self.messages.has(self.language, code));
        self.messages.render(self.language, known.map_or("", String::as_str), &BTreeMap::new())
    }
}

fn claims(identity: &Identity) -> Vec<(&'static str, &Claim)> {
    let all = [
        ("vendor", &identity.vendor),
        ("product", &identity.product),
        ("version", &identity.version),
        ("type", &identity.device_type),
        ("cpe", &identity.cpe),
    ];
    all.into_iter().filter_map(|(name, claim)| Some((name, claim.as_ref()?))).collect()
}
