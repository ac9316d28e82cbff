//! What a notice says, and the mail that carries it.
//!
//! Prose comes from message catalogues by code, never from here: a third language is a file. The
//! text and the HTML part are written by the same calls, so that they say the same. Everything that
//! came from a device passes [`crate::escape`] on its way in.

use kenshin_observation::{Messages, NoticeId, TimeUs};

use super::NoticeContent;
use super::attachment::attachments;
use super::queue::Letterhead;
use crate::escape;
use crate::findings::FindingRecord;
use crate::letter::{Args, Writer, args, letter};
use crate::providers::Provider;
use crate::state::CaseState;
use crate::surveys::Survey;

/// Cases described in the mail itself; all are in the attachments.
const BODY_CASES_MAX: usize = 50;
/// Pieces of evidence shown for each finding.
const EVIDENCE_MAX: usize = 3;

/// A case with what it is about.
#[derive(Debug, Clone)]
pub(crate) struct NoticeCase {
    pub(crate) state: CaseState,
    pub(crate) findings: Vec<FindingRecord>,
}

/// Everything a notice is made from.
pub(crate) struct Draft<'a> {
    pub(crate) notice_id: NoticeId,
    pub(crate) survey: &'a Survey,
    pub(crate) provider: &'a Provider,
    pub(crate) cases: &'a [NoticeCase],
    pub(crate) letterhead: &'a Letterhead,
    pub(crate) messages: &'a Messages,
    pub(crate) now: TimeUs,
}

impl Draft<'_> {
    /// What the notice says: text, HTML and attachments.
    pub(crate) fn content(&self) -> NoticeContent {
        let explain = |record: &FindingRecord| {
            self.messages.explain(&self.provider.language, &record.finding.explanation)
        };
        let attachments = attachments(self.cases, explain, self.notice_id);
        let (text, html) = self.letter(|writer| self.write(writer, &attachments));
        NoticeContent { text, html, attachments }
    }

    fn letter(&self, write: impl Fn(&mut Writer<'_>)) -> (String, String) {
        letter(self.messages, &self.provider.language, &self.subject(), write)
    }

    /// The subject; it travels unprotected and tells nothing about anybody's devices.
    pub(crate) fn subject(&self) -> String {
        let args = args([
            ("organisation", self.letterhead.organisation.as_str()),
            ("notice", &self.notice_id.to_string()),
        ]);
        escape::header(&self.messages.render(&self.provider.language, "notice.subject", &args))
    }

    /// What a mail says that holds no data: who writes, where to read, how to check.
    pub(crate) fn link_only(&self, digest: &str) -> (String, String) {
        self.letter(|writer| {
            writer.paragraph("notice.greeting", &args([("provider", &self.provider.name)]));
            writer.paragraph(
                "notice.link-only",
                &args([("organisation", &self.letterhead.organisation), ("url", &self.url())]),
            );
            self.write_genuine(writer, digest);
        })
    }

    fn url(&self) -> String {
        format!("{}/notices/{}", self.letterhead.base_url.trim_end_matches('/'), self.notice_id)
    }

    fn write(&self, writer: &mut Writer<'_>, attachments: &[super::Attachment]) {
        let (round, count) = (self.survey.round.to_string(), self.cases.len().to_string());
        writer.paragraph("notice.greeting", &args([("provider", &self.provider.name)]));
        writer.paragraph(
            "notice.intro",
            &args([
                ("organisation", &self.letterhead.organisation),
                ("mandate", &self.letterhead.mandate_id),
                ("programme", &self.survey.programme),
                ("round", &round),
                ("cases", &count),
            ]),
        );
        writer.paragraph("notice.request", &Args::new());
        writer.heading("notice.heading.cases", &args([("cases", &count)]));
        for (i, case) in self.cases.iter().take(BODY_CASES_MAX).enumerate() {
            self.write_case(writer, i + 1, case);
        }
        if self.cases.len() > BODY_CASES_MAX {
            let more = (self.cases.len() - BODY_CASES_MAX).to_string();
            writer.paragraph("notice.more", &args([("count", &more)]));
        }
        writer.heading("notice.heading.attachments", &Args::new());
        writer.paragraph("notice.attachments", &Args::new());
        for attachment in attachments {
            let line = format!("{} (SHA-256 {})", attachment.name, attachment.sha256);
            let line = writer.value(&line);
            writer.raw_paragraph(&line);
        }
        self.write_genuine(writer, &digest(attachments));
        writer.heading("notice.heading.answer", &Args::new());
        writer
            .paragraph("notice.answer", &args([("contact", &self.letterhead.contact), ("url", &self.url())]));
    }

    fn write_case(&self, writer: &mut Writer<'_>, number: usize, case: &NoticeCase) {
        let state = &case.state;
        let device = state.product.clone().unwrap_or_else(|| {
            self.messages.render(&self.provider.language, "notice.unknown-device", &Args::new())
        });
        writer.begin_case(number, &format!("{} — {device}", state.endpoint));
        let wording = state.arm.as_ref().map_or("standard", |arm| arm.wording.as_str());
        let lead = writer.prose(&format!("notice.lead.{wording}"), &args([("device", &device)]));
        writer.fact(
            "notice.label.urgency",
            &format!(
                "{} — {lead}",
                writer.prose(&format!("notice.severity.{}", state.severity), &Args::new())
            ),
        );
        if state.episode > 1 {
            let again = writer.prose("notice.again", &args([("episode", &state.episode.to_string())]));
            writer.fact("notice.label.again", &again);
        }
        for record in &case.findings {
            let finding = &record.finding;
            let seen = writer.prose(&finding.explanation.code, &finding.explanation.args);
            writer.fact("notice.label.seen", &seen);
            let when = match record.vantage {
                Some(vantage) => args([
                    ("time", &finding.time.to_string()),
                    ("dst", &finding.endpoint.to_string()),
                    ("src", &vantage.to_string()),
                ]),
                None => args([
                    ("time", &finding.time.to_string()),
                    ("dst", &finding.endpoint.to_string()),
                    ("src", "-"),
                ]),
            };
            let when = writer.prose("notice.observed", &when);
            writer.fact("notice.label.observed", &when);
            for evidence in
                finding.evidence.iter().filter(|evidence| !evidence.value.is_empty()).take(EVIDENCE_MAX)
            {
                let shown = writer.value(&format!("{} = {}", evidence.field, evidence.value));
                writer.fact("notice.label.evidence", &shown);
            }
            let why = writer.prose(&format!("notice.why.{}", finding.kind), &Args::new());
            writer.fact("notice.label.why", &why);
        }
        let todo = writer.prose(&self.todo(case), &args([("device", &device)]));
        writer.fact("notice.label.todo", &todo);
        let link = writer.value(&format!(
            "{}/cases/{}",
            self.letterhead.base_url.trim_end_matches('/'),
            state.case_id
        ));
        writer.fact("notice.label.case", &link);
        writer.end_case();
    }

    /// What to do: for this model when a catalogue knows it, else for the kind of device, else in
    /// general.
    fn todo(&self, case: &NoticeCase) -> String {
        let remedy = case.state.remedy;
        let identity = case.findings.first().map(|record| &record.identity);
        let model = case.state.product.as_deref().map(slug);
        let device_type =
            identity.and_then(|identity| identity.device_type.as_ref()).map(|claim| slug(&claim.value));
        let general = format!("notice.todo.{remedy}");
        [
            model.map(|model| format!("{general}.model.{model}")),
            device_type.map(|kind| format!("{general}.{kind}")),
        ]
        .into_iter()
        .flatten()
        .find(|code| self.messages.has(&self.provider.language, code))
        .unwrap_or(general)
    }

    fn write_genuine(&self, writer: &mut Writer<'_>, digest: &str) {
        let letterhead = self.letterhead;
        writer.heading("notice.heading.genuine", &Args::new());
        writer.paragraph(
            "notice.genuine",
            &args([
                ("organisation", &letterhead.organisation),
                ("contact", &letterhead.contact),
                ("url", &letterhead.base_url),
            ]),
        );
        let facts = [
            ("notice.label.notice", self.notice_id.to_string()),
            ("notice.label.digest", digest.to_owned()),
            ("notice.label.check", format!("{}?digest={digest}", self.url())),
            (
                "notice.label.mandate",
                format!("{} (SHA-256 {})", letterhead.mandate_id, letterhead.mandate_digest),
            ),
            ("notice.label.contact", letterhead.contact.clone()),
            ("notice.label.time", self.now.to_string()),
        ];
        writer.facts(facts);
    }
}

/// SHA-256 over the names and digests of the attachments, hexadecimal.
pub(crate) fn digest(attachments: &[super::Attachment]) -> String {
    let mut text = String::from("kenshin-notice-v1\n");
    for attachment in attachments {
        text.push_str(&format!("{}  {}\n", attachment.sha256, attachment.name));
    }
    crate::store::digest(&text)
}

/// A product name as part of a message code: lower case, one dash for anything else.
fn slug(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            out.push(c);
        } else if !out.ends_with('-') && !out.is_empty() {
            out.push('-');
        }
    }
    out.trim_end_matches('-').to_owned()
}
