//! Notices: one mail to each provider and round, journalled before it is sent.
//!
//! A notice is queued with its Message-ID and its bytes in one transaction with the round's mark,
//! so that a crash queues all or nothing, once. Delivery moves it `queued → sending → sent`, or to
//! `failed` when it certainly was not delivered, or to `delivery-uncertain` when nobody can know: a
//! crash or a broken connection after the mail was handed over. An uncertain notice is shown to the
//! operator and never sent again by itself.

use kenshin_observation::{CaseId, NoticeId, OrgId, ProviderId, SurveyId, TimeUs, words};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use crate::audit::audit_in;
use crate::cases::append;
use crate::error::{CaseworkError, Result};
use crate::page::{Page, PageRequest};
use crate::providers::Protection;
use crate::state::{Actor, CaseChange, CaseState, Stage};
use crate::store::{Casework, Columns, Compose, Tx, Value, query};
use crate::transport::{Delivery, Envelope, Transport};
use crate::viewer::Viewer;

pub(crate) mod attachment;
pub(crate) mod compose;
mod mail;
mod queue;

pub use attachment::{Attachment, ReportKind};
pub use queue::{Letterhead, QueueSummary};

/// The name under which deliveries act.
pub(crate) const RULE: &str = "notify";

words!(
    /// Where a notice stands.
    NoticeState, "notice state" {
        /// Composed and journalled, not sent.
        Queued = "queued",
        /// Being handed over; found after a crash, it becomes uncertain or is repeated safely.
        Sending = "sending",
        /// Handed over.
        Sent = "sent",
        /// Certainly not handed over.
        Failed = "failed",
        /// Perhaps handed over. Never sent again by itself.
        DeliveryUncertain = "delivery-uncertain",
    }
);

/// A notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Its id; the mail names it.
    pub notice_id: NoticeId,
    /// The round.
    pub survey_id: SurveyId,
    /// To whom.
    pub provider_id: ProviderId,
    /// 1, or more when one mail would be too large.
    pub part: i64,
    /// Its Message-ID, with angle brackets.
    pub message_id: String,
    /// Where it stands.
    pub state: NoticeState,
    /// How what it says is kept from those who carry it.
    pub protection: Protection,
    /// In which language.
    pub language: String,
    /// Mail address it goes to.
    pub recipient: String,
    /// Mail address it comes from.
    pub sender: String,
    /// Its subject.
    pub subject: String,
    /// Cases it tells about.
    pub cases: i64,
    /// Findings it tells about.
    pub findings: i64,
    /// SHA-256 of its attachments; the mail states it, and asking with its id confirms it.
    pub digest: String,
    /// Attempts to send it.
    pub attempts: i64,
    /// When it was queued.
    pub created_at: TimeUs,
    /// When its state last changed.
    pub changed_at: TimeUs,
    /// When it was handed over.
    pub sent_at: Option<TimeUs>,
}

impl Notice {
    fn envelope(&self) -> Envelope {
        Envelope {
            message_id: self.message_id.clone(),
            sender: self.sender.clone(),
            recipient: self.recipient.clone(),
            created_at: self.created_at,
        }
    }
}

/// What a notice says, before protection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeContent {
    /// The text part.
    pub text: String,
    /// The HTML part.
    pub html: String,
    /// The CSV files.
    pub attachments: Vec<Attachment>,
}

/// One entry of a notice's journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryEntry {
    /// From 1.
    pub seq: i64,
    /// When.
    pub at: TimeUs,
    /// Which state it went to.
    pub state: NoticeState,
    /// What was said: the server's answer, the file, the error.
    pub detail: String,
}

/// Which notices.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NoticeFilter {
    /// In this state.
    pub state: Option<NoticeState>,
    /// Of this round.
    pub survey: Option<SurveyId>,
    /// To this provider.
    pub provider: Option<ProviderId>,
    /// About this case.
    pub case: Option<CaseId>,
}

/// What a run of deliveries did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliverySummary {
    /// Handed over.
    pub sent: usize,
    /// Certainly not handed over.
    pub failed: usize,
    /// Nobody can know.
    pub uncertain: usize,
}

impl Casework {
    /// Sends what is queued, one after another. `clock` is asked for each, as sending takes time.
    /// Notices found in `sending` are not touched: see [`Casework::recover_notices`].
    pub async fn deliver_notices(
        &self,
        org: OrgId,
        transport: &Transport,
        clock: &kenshin_observation::Clock,
    ) -> Result<DeliverySummary> {
        let mut summary = DeliverySummary::default();
        loop {
            let Some((notice, message)) = self.claim(org, clock()).await? else { return Ok(summary) };
            let delivery = transport.deliver(&notice.envelope(), &message).await;
            match self.settle(org, &notice, &delivery, clock()).await? {
                NoticeState::Sent => summary.sent += 1,
                NoticeState::Failed => summary.failed += 1,
                _ => summary.uncertain += 1,
            }
        }
    }

    /// Settles notices that a crash left in `sending` at `until` or before. A maildir delivery
    /// is repeated, which has the effect of once; an SMTP delivery becomes `delivery-uncertain`.
    /// Call it at start, before anything is sent.
    pub async fn recover_notices(
        &self,
        org: OrgId,
        transport: &Transport,
        until: TimeUs,
        now: TimeUs,
    ) -> Result<DeliverySummary> {
        let rows = self
            .rows(
                query("SELECT * FROM notice WHERE org_id = $1 AND state = 'sending' AND changed_us <= $2 ORDER BY notice_id")
                    .bind(org.to_string())
                    .bind(until.micros()),
            )
            .await?;
        let mut summary = DeliverySummary::default();
        for row in &rows {
            let notice = notice(row)?;
            let delivery = if transport.is_idempotent() {
                transport.deliver(&notice.envelope(), &row.text("message")?).await
            } else {
                Delivery::Uncertain("the process ended while the mail was being handed over".into())
            };
            match self.settle(org, &notice, &delivery, now).await? {
                NoticeState::Sent => summary.sent += 1,
                NoticeState::Failed => summary.failed += 1,
                _ => summary.uncertain += 1,
            }
        }
        Ok(summary)
    }

    /// Queues a failed notice again, or one whose delivery is uncertain when a person decided that
    /// it may arrive twice. The Message-ID stays the same.
    pub async fn retry_notice(&self, org: OrgId, id: NoticeId, actor: &Actor, now: TimeUs) -> Result<()> {
        let by_person = matches!(actor, Actor::User(_));
        let mut tx = self.begin().await?;
        let row = tx
            .maybe(
                query(
                    "UPDATE notice SET state = 'queued', changed_us = $1 WHERE org_id = $2 AND notice_id = $3
                       AND (state = 'failed' OR state = 'delivery-uncertain' AND $4 = 1) RETURNING notice_id",
                )
                .bind(now.micros())
                .bind(org.to_string())
                .bind(id.to_string())
                .bind(i64::from(by_person)),
            )
            .await?;
        if row.is_none() {
            return Err(CaseworkError::Conflict(format!(
                "notice {id} cannot be sent again; hint: only a failed one can, or, by a person, one whose delivery is uncertain"
            )));
        }
        journal(&mut tx, org, id, NoticeState::Queued, &format!("queued again by {actor}"), now).await?;
        audit_in(&mut tx, org, actor, "notice.retry", &id.to_string(), &serde_json::Value::Null, now).await?;
        tx.commit().await
    }

    /// Records what a person found out about a notice whose delivery is uncertain.
    pub async fn settle_notice(
        &self,
        org: OrgId,
        id: NoticeId,
        arrived: bool,
        actor: &Actor,
        now: TimeUs,
    ) -> Result<()> {
        let notice = self.notice(&Viewer::system(org), id).await?;
        if notice.state != NoticeState::DeliveryUncertain {
            return Err(CaseworkError::Conflict(format!(
                "the delivery of notice {id} is not uncertain: it is {}",
                notice.state
            )));
        }
        let detail = format!("{actor} found that it {}", if arrived { "arrived" } else { "did not arrive" });
        let delivery = if arrived { Delivery::Sent(detail) } else { Delivery::Failed(detail) };
        self.settle_from(org, &notice, NoticeState::DeliveryUncertain, &delivery, actor, now).await?;
        Ok(())
    }

    /// One notice.
    pub async fn notice(&self, viewer: &Viewer, id: NoticeId) -> Result<Notice> {
        notice(&self.notice_row(viewer, id).await?)
    }

    /// What a notice says, before protection: for who may see its rows.
    pub async fn notice_content(&self, viewer: &Viewer, id: NoticeId) -> Result<NoticeContent> {
        self.notice_row(viewer, id).await?.json("content")
    }

    /// The mail as it is sent, RFC 5322.
    pub async fn notice_message(&self, viewer: &Viewer, id: NoticeId) -> Result<String> {
        self.notice_row(viewer, id).await?.text("message")
    }

    /// The journal of a notice, oldest first.
    pub async fn notice_journal(&self, viewer: &Viewer, id: NoticeId) -> Result<Vec<DeliveryEntry>> {
        self.notice_row(viewer, id).await?;
        let rows = self
            .rows(
                query("SELECT * FROM notice_delivery WHERE notice_id = $1 ORDER BY seq").bind(id.to_string()),
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok(DeliveryEntry {
                    seq: row.int("seq")?,
                    at: row.time("at_us")?,
                    state: row.word("state")?,
                    detail: row.text("detail")?,
                })
            })
            .collect()
    }

    /// True when a notice with this id and digest exists: what anyone may ask to know that a mail is
    /// genuine. Tells nothing else.
    pub async fn is_genuine(&self, id: NoticeId, digest: &str) -> Result<bool> {
        let row = self
            .maybe(
                query("SELECT notice_id FROM notice WHERE notice_id = $1 AND digest = $2")
                    .bind(id.to_string())
                    .bind(digest.to_owned()),
            )
            .await?;
        Ok(row.is_some())
    }

    /// Notices, newest first.
    pub async fn notices(
        &self,
        viewer: &Viewer,
        filter: &NoticeFilter,
        page: &PageRequest,
    ) -> Result<Page<Notice>> {
        let mut compose = Compose::new("SELECT n.* FROM notice n WHERE 1 = 1");
        compose.push(" AND n.org_id = ?", [viewer.org.to_string()]);
        viewer.restrict(&mut compose, " AND n.provider_id IN ");
        let words = [
            (" AND n.state = ?", filter.state.map(|v| v.to_string())),
            (" AND n.survey_id = ?", filter.survey.map(|v| v.to_string())),
            (" AND n.provider_id = ?", filter.provider.map(|v| v.to_string())),
            (
                " AND n.notice_id IN (SELECT notice_id FROM notice_case WHERE case_id = ?)",
                filter.case.map(|v| v.to_string()),
            ),
            (" AND n.notice_id < ?", page.after.clone()),
        ];
        for (text, value) in words {
            if let Some(value) = value {
                compose.push(text, [value]);
            }
        }
        compose.push(" ORDER BY n.notice_id DESC LIMIT ?", [Value::Int(page.fetch())]);
        let notices = self.rows(compose.finish()).await?.iter().map(notice).collect::<Result<_>>()?;
        Ok(Page::of(notices, page, |notice: &Notice| notice.notice_id.to_string()))
    }

    async fn notice_row(&self, viewer: &Viewer, id: NoticeId) -> Result<AnyRow> {
        let mut compose = Compose::new("SELECT n.* FROM notice n WHERE 1 = 1");
        compose.push(" AND n.org_id = ? AND n.notice_id = ?", [viewer.org.to_string(), id.to_string()]);
        viewer.restrict(&mut compose, " AND n.provider_id IN ");
        self.maybe(compose.finish()).await?.ok_or_else(|| CaseworkError::not_found("notice", id))
    }

    /// Takes the oldest queued notice into `sending`, journalled and committed before a byte is
    /// sent.
    async fn claim(&self, org: OrgId, now: TimeUs) -> Result<Option<(Notice, String)>> {
        let mut tx = self.begin().await?;
        loop {
            let row = tx
                .maybe(
                    query("SELECT notice_id FROM notice WHERE org_id = $1 AND state = 'queued' ORDER BY notice_id LIMIT 1")
                        .bind(org.to_string()),
                )
                .await?;
            let Some(row) = row else { return Ok(None) };
            let row = tx
                .maybe(
                    query(
                        "UPDATE notice SET state = 'sending', attempts = attempts + 1, changed_us = $1
                         WHERE notice_id = $2 AND state = 'queued' RETURNING *",
                    )
                    .bind(now.micros())
                    .bind(row.text("notice_id")?),
                )
                .await?;
            // Another hub was faster: the next one.
            let Some(row) = row else { continue };
            let notice = notice(&row)?;
            let detail = format!("attempt {} with {}", notice.attempts, notice.message_id);
            journal(&mut tx, org, notice.notice_id, NoticeState::Sending, &detail, now).await?;
            tx.commit().await?;
            let message = row.text("message")?;
            return Ok(Some((notice, message)));
        }
    }

    async fn settle(
        &self,
        org: OrgId,
        notice: &Notice,
        delivery: &Delivery,
        now: TimeUs,
    ) -> Result<NoticeState> {
        self.settle_from(org, notice, NoticeState::Sending, delivery, &Actor::rule(RULE), now).await
    }

    /// Writes how a delivery ended. When it was sent, its cases become notified in the same
    /// transaction.
    async fn settle_from(
        &self,
        org: OrgId,
        notice: &Notice,
        from: NoticeState,
        delivery: &Delivery,
        actor: &Actor,
        now: TimeUs,
    ) -> Result<NoticeState> {
        let (state, detail) = match delivery {
            Delivery::Sent(detail) => (NoticeState::Sent, detail),
            Delivery::Failed(detail) => (NoticeState::Failed, detail),
            Delivery::Uncertain(detail) => (NoticeState::DeliveryUncertain, detail),
        };
        let sent = (state == NoticeState::Sent).then_some(now.micros());
        let mut tx = self.begin().await?;
        let changed = tx
            .run(
                query("UPDATE notice SET state = $1, changed_us = $2, sent_us = $3 WHERE org_id = $4 AND notice_id = $5 AND state = $6")
                    .bind(state.as_str())
                    .bind(now.micros())
                    .bind(sent)
                    .bind(org.to_string())
                    .bind(notice.notice_id.to_string())
                    .bind(from.as_str()),
            )
            .await?;
        if changed == 0 {
            return Err(CaseworkError::Conflict(format!("notice {} is no longer {from}", notice.notice_id)));
        }
        journal(&mut tx, org, notice.notice_id, state, detail, now).await?;
        if state == NoticeState::Sent {
            self.mark_notified(&mut tx, org, notice, actor, now).await?;
        }
        let detail =
            serde_json::json!({ "state": state, "provider": notice.provider_id, "digest": notice.digest });
        audit_in(&mut tx, org, actor, "notice.deliver", &notice.notice_id.to_string(), &detail, now).await?;
        tx.commit().await?;
        Ok(state)
    }

    async fn mark_notified(
        &self,
        tx: &mut Tx,
        org: OrgId,
        notice: &Notice,
        actor: &Actor,
        now: TimeUs,
    ) -> Result<()> {
        let rows = tx
            .rows(
                query(
                    "SELECT c.state AS state FROM notice_case n JOIN case_state c ON c.case_id = n.case_id
                     WHERE n.notice_id = $1 ORDER BY n.case_id",
                )
                .bind(notice.notice_id.to_string()),
            )
            .await?;
        for row in rows {
            let case: CaseState = row.json("state")?;
            let change = if case.stage != Stage::Closed && case.may_be_notified().is_ok() {
                CaseChange::Notified { notice: notice.notice_id, survey_id: notice.survey_id }
            } else {
                // It ended while the mail was queued; that it was told all the same stays on record.
                CaseChange::Noted { note: format!("notice {} went out", notice.notice_id) }
            };
            append(tx, org, case.case_id, actor, change, now).await?;
        }
        Ok(())
    }
}

pub(crate) async fn journal(
    tx: &mut Tx,
    org: OrgId,
    id: NoticeId,
    state: NoticeState,
    detail: &str,
    now: TimeUs,
) -> Result<()> {
    tx.run(
        query(
            "INSERT INTO notice_delivery (org_id, notice_id, seq, at_us, state, detail)
             SELECT $1, $2, COALESCE(MAX(seq), 0) + 1, $3, $4, $5 FROM notice_delivery WHERE notice_id = $2",
        )
        .bind(org.to_string())
        .bind(id.to_string())
        .bind(now.micros())
        .bind(state.as_str())
        .bind(crate::escape::line(detail)),
    )
    .await?;
    Ok(())
}

fn notice(row: &AnyRow) -> Result<Notice> {
    Ok(Notice {
        notice_id: row.word("notice_id")?,
        survey_id: row.word("survey_id")?,
        provider_id: row.word("provider_id")?,
        part: row.int("part")?,
        message_id: row.text("message_id")?,
        state: row.word("state")?,
        protection: row.word("protection")?,
        language: row.text("language")?,
        recipient: row.text("recipient")?,
        sender: row.text("sender")?,
        subject: row.text("subject")?,
        cases: row.int("cases")?,
        findings: row.int("findings")?,
        digest: row.text("digest")?,
        attempts: row.int("attempts")?,
        created_at: row.time("created_us")?,
        changed_at: row.time("changed_us")?,
        sent_at: row.maybe_time("sent_us")?,
    })
}
