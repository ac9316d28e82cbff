//! Which notices a round needs, composed and journalled in one transaction.

use std::collections::{BTreeMap, BTreeSet};

use kenshin_observation::{CaseId, Messages, NoticeId, OrgId, ProviderId, SurveyId, TimeUs};
use serde::{Deserialize, Serialize};

use super::compose::{Draft, NoticeCase};
use super::mail::Mail;
use super::{NoticeState, RULE, journal};
use crate::audit::audit_in;
use crate::cases::append;
use crate::error::{CaseworkError, Result};
use crate::findings::{FindingFilter, FindingState};
use crate::letter::parse_mailbox;
use crate::openpgp::SeededRng;
use crate::page::PageRequest;
use crate::providers::Provider;
use crate::state::{Actor, CaseChange, CaseState, CloseReason, Stage};
use crate::store::{Casework, Columns, json, query};
use crate::surveys::Survey;
use crate::viewer::Viewer;

/// Cases one mail tells about at most; more make another part.
const CASES_MAX: usize = 2000;

/// Who writes, under which mandate, and where a reader can check it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letterhead {
    /// Name of the organisation.
    pub organisation: String,
    /// Mail address notices come from: `address` or `Name <address>`.
    pub from: String,
    /// Mail address answers go to, when it is another.
    pub reply_to: Option<String>,
    /// The mandate's contact, in words: name, telephone, mail.
    pub contact: String,
    /// Id of the mandate.
    pub mandate_id: String,
    /// SHA-256 of its text.
    pub mandate_digest: String,
    /// Where notices and cases can be read and checked, e.g. `https://kenshin.example.net`.
    pub base_url: String,
    /// Domain of Message-IDs.
    pub message_domain: String,
}

/// What queueing a round's notices did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueSummary {
    /// Notices queued.
    pub notices: usize,
    /// Cases they tell about.
    pub cases: usize,
    /// Cases closed because nobody is known who could be told.
    pub no_addressee: usize,
    /// Cases whose experiment makes their first notice wait.
    pub delayed: usize,
    /// Cases nobody is to be written about.
    pub suppressed: usize,
}

impl Casework {
    /// Composes and queues the notices of a round: one for each provider with cases that need
    /// telling. Called again for the same round, it queues only what was not told in it, such as
    /// cases whose waiting has ended. Cases without an addressee are closed as such.
    pub async fn queue_notices(
        &self,
        org: OrgId,
        survey_id: SurveyId,
        letterhead: &Letterhead,
        messages: &Messages,
        now: TimeUs,
    ) -> Result<QueueSummary> {
        let survey = self.survey(org, survey_id).await?;
        let told = self.told_in(org, survey_id).await?;
        let suppressions = self.suppressions(org, now).await?;
        let mut summary = QueueSummary::default();
        let mut by_provider: BTreeMap<ProviderId, Vec<CaseState>> = BTreeMap::new();
        let mut orphans = Vec::new();
        for case in self.notifiable(org).await? {
            let Some(provider) = case.provider else {
                orphans.push(case.case_id);
                continue;
            };
            let waits = case.arm.as_ref().map_or(0, |arm| arm.delay_s);
            if told.contains(&case.case_id) || !needs_telling(&case) {
                continue;
            } else if suppressions.iter().any(|held| held.prefix.contains(case.endpoint.addr)) {
                summary.suppressed += 1;
            } else if case.notified_at.is_none() && case.opened_at.plus_secs(waits) > now {
                summary.delayed += 1;
            } else {
                by_provider.entry(provider).or_default().push(case);
            }
        }
        let mut mails = Vec::new();
        for (provider, cases) in by_provider {
            let provider = self.provider(&Viewer::system(org), provider).await?;
            for cases in cases.chunks(CASES_MAX) {
                mails.push(self.draft(org, &survey, &provider, cases, letterhead, messages, now).await?);
            }
        }
        self.store_queue(org, &survey, mails, &orphans, letterhead, summary, now).await
    }

    /// Cases a notice of this round tells about already.
    async fn told_in(&self, org: OrgId, survey_id: SurveyId) -> Result<BTreeSet<CaseId>> {
        let rows = self
            .rows(
                query("SELECT c.case_id AS case_id FROM notice_case c JOIN notice n ON n.notice_id = c.notice_id WHERE n.org_id = $1 AND n.survey_id = $2")
                    .bind(org.to_string())
                    .bind(survey_id.to_string()),
            )
            .await?;
        rows.iter().map(|row| row.word("case_id")).collect()
    }

    async fn notifiable(&self, org: OrgId) -> Result<Vec<CaseState>> {
        let rows = self
            .rows(
                query("SELECT state FROM case_state WHERE org_id = $1 AND stage IN ('open', 'notified', 'acknowledged') ORDER BY addr, port, case_id")
                    .bind(org.to_string()),
            )
            .await?;
        rows.iter().map(|row| row.json("state")).collect()
    }

    #[expect(clippy::too_many_arguments, reason = "one step of queue_notices, split off for reading")]
    async fn draft(
        &self,
        org: OrgId,
        survey: &Survey,
        provider: &Provider,
        states: &[CaseState],
        letterhead: &Letterhead,
        messages: &Messages,
        now: TimeUs,
    ) -> Result<QueuedMail> {
        let mut cases = Vec::with_capacity(states.len());
        for state in states {
            let filter = FindingFilter { case: Some(state.case_id), ..FindingFilter::default() };
            let mut findings =
                self.findings(&Viewer::system(org), &filter, &PageRequest::first()).await?.items;
            findings.retain(|record| record.state != FindingState::Withdrawn);
            // What was mended in part is told in what is left of it.
            if findings.iter().any(|record| record.state == FindingState::Present) {
                findings.retain(|record| record.state == FindingState::Present);
            }
            cases.push(NoticeCase { state: state.clone(), findings });
        }
        let notice_id = NoticeId::new(now, self.random());
        let draft = Draft { notice_id, survey, provider, cases: &cases, letterhead, messages, now };
        let mail = draft.mail(SeededRng::new(self.seed()))?;
        Ok(QueuedMail {
            notice_id,
            provider: provider.clone(),
            cases: states.iter().map(|state| state.case_id).collect(),
            findings: cases.iter().map(|case| case.findings.len()).sum(),
            mail,
        })
    }

    #[expect(clippy::too_many_arguments, reason = "one step of queue_notices, split off for reading")]
    async fn store_queue(
        &self,
        org: OrgId,
        survey: &Survey,
        mails: Vec<QueuedMail>,
        orphans: &[CaseId],
        letterhead: &Letterhead,
        mut summary: QueueSummary,
        now: TimeUs,
    ) -> Result<QueueSummary> {
        let actor = Actor::rule(RULE);
        let sender = parse_mailbox(&letterhead.from)?.email.to_string();
        let mut tx = self.begin().await?;
        for queued in mails {
            let row = tx
                .maybe(
                    query("SELECT COALESCE(MAX(part), 0) + 1 AS part FROM notice WHERE org_id = $1 AND survey_id = $2 AND provider_id = $3")
                        .bind(org.to_string())
                        .bind(survey.survey_id.to_string())
                        .bind(queued.provider.provider_id.to_string()),
                )
                .await?;
            let part = row.map_or(Ok(1), |row| row.int("part"))?;
            let already = tx
                .maybe(
                    query("SELECT n.notice_id AS notice_id FROM notice_case c JOIN notice n ON n.notice_id = c.notice_id WHERE n.survey_id = $1 AND c.case_id = $2")
                        .bind(survey.survey_id.to_string())
                        .bind(queued.cases[0].to_string()),
                )
                .await?;
            if already.is_some() {
                // Another hub queued this round at the same time.
                continue;
            }
            let QueuedMail { notice_id, provider, cases, findings, mail } = queued;
            tx.run(
                query(
                    "INSERT INTO notice (notice_id, org_id, survey_id, provider_id, part, message_id, state, protection, language, recipient, sender,
                       subject, cases, findings, content, digest, message, attempts, created_us, changed_us, sent_us)
                     VALUES ($1, $2, $3, $4, $5, $6, 'queued', $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 0, $17, $17, NULL)",
                )
                .bind(notice_id.to_string())
                .bind(org.to_string())
                .bind(survey.survey_id.to_string())
                .bind(provider.provider_id.to_string())
                .bind(part)
                .bind(mail.message_id.clone())
                .bind(mail.protection.as_str())
                .bind(provider.language.clone())
                .bind(provider.mail.clone())
                .bind(sender.clone())
                .bind(mail.subject)
                .bind(i64::try_from(cases.len()).expect("cases fit in memory"))
                .bind(i64::try_from(findings).expect("findings fit in memory"))
                .bind(json(&mail.content))
                .bind(mail.digest)
                .bind(mail.message)
                .bind(now.micros()),
            )
            .await?;
            for case in &cases {
                tx.run(
                    query("INSERT INTO notice_case (org_id, notice_id, case_id) VALUES ($1, $2, $3)")
                        .bind(org.to_string())
                        .bind(notice_id.to_string())
                        .bind(case.to_string()),
                )
                .await?;
            }
            journal(&mut tx, org, notice_id, NoticeState::Queued, &mail.message_id, now).await?;
            summary.notices += 1;
            summary.cases += cases.len();
        }
        for case in orphans {
            let change = CaseChange::Closed { reason: CloseReason::NoAddressee, note: String::new() };
            match append(&mut tx, org, *case, &actor, change, now).await {
                Ok(_) => summary.no_addressee += 1,
                // It was closed or got an addressee a moment ago.
                Err(CaseworkError::Refused { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        tx.run(
            query("UPDATE survey SET notified_us = COALESCE(notified_us, $1) WHERE org_id = $2 AND survey_id = $3")
                .bind(now.micros())
                .bind(org.to_string())
                .bind(survey.survey_id.to_string()),
        )
        .await?;
        let detail = serde_json::to_value(summary).unwrap_or_default();
        audit_in(&mut tx, org, &actor, "survey.notify", &survey.survey_id.to_string(), &detail, now).await?;
        tx.commit().await?;
        Ok(summary)
    }
}

struct QueuedMail {
    notice_id: NoticeId,
    provider: Provider,
    cases: Vec<CaseId>,
    findings: usize,
    mail: Mail,
}

/// What is seen to be wrong is told in every round; what cannot be observed any more, once.
fn needs_telling(case: &CaseState) -> bool {
    case.stage != Stage::Disputed
        && case.may_be_notified().is_ok()
        && (case.is_affected() || case.notified_at.is_none())
}
