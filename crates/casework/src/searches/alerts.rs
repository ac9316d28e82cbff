//! Alerts: what was told of a changed answer, and what became of it at each place.
//!
//! An alert is journalled with its messages, their Message-IDs, and a job for each place, in the
//! transaction of the look that found the change. A delivery ends like that of a notice: sent,
//! certainly not sent, or uncertain, which is shown and never sent again by itself. What certainly
//! was not sent is tried again by its job a few times, later and later. A message to a webhook may be
//! sent again in any case: its receiver knows it by its idempotency key.

use kenshin_observation::{AlertId, JobId, Messages, OrgId, SearchId, TimeUs, words};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use super::SavedSearch;
use super::compose::{AnswerChange, Draft, Sender};
use crate::audit::audit_in;
use crate::error::Result;
use crate::jobs::{Job, NewJob, insert_job};
use crate::letter::parse_mailbox;
use crate::notices::NoticeState;
use crate::state::Actor;
use crate::store::{Casework, Columns, Tx, json, query};
use crate::transport::{Delivery, Envelope, Transport};
use crate::viewer::Role;

/// Kind of the jobs that deliver.
const JOB: &str = "alert";
/// Under which name they act.
const RULE: &str = "alert";
/// How long one delivery may take, seconds; longer than any conversation lasts.
const LEASE_S: i64 = 300;
/// How often a delivery is tried.
const ATTEMPTS_MAX: i64 = 6;
/// Seconds before the second attempt; each further wait is four times as long.
const RETRY_S: i64 = 30;
/// Alerts of one search that are kept.
const KEPT: i64 = 100;

words!(
    /// How somebody is told.
    Channel, "channel" {
        /// By mail.
        Mail = "mail",
        /// By a signed HTTP request.
        Webhook = "webhook",
    }
);

/// One alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Its id.
    pub alert_id: AlertId,
    /// Of which search.
    pub search_id: SearchId,
    /// When the change was seen.
    pub created_at: TimeUs,
    /// What is otherwise.
    pub change: AnswerChange,
    /// Who was told.
    pub deliveries: Vec<AlertDelivery>,
}

/// An alert on its way to one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertDelivery {
    /// Of which alert.
    pub alert_id: AlertId,
    /// From 1.
    pub part: i64,
    /// How.
    pub channel: Channel,
    /// To where.
    pub target: String,
    /// Message-ID, or the webhook's idempotency key: the same at every attempt.
    pub message_id: String,
    /// Where it stands.
    pub state: NoticeState,
    /// Attempts begun.
    pub attempts: i64,
    /// What was said last.
    pub detail: String,
    /// When it last changed.
    pub changed_at: TimeUs,
    /// When it was handed over.
    pub sent_at: Option<TimeUs>,
}

/// A delivery that is to be made now.
pub struct Outgoing {
    /// The delivery.
    pub delivery: AlertDelivery,
    /// What is sent, as it is sent.
    pub message: String,
    /// For a webhook: what its messages are signed with.
    pub secret: Option<Vec<u8>>,
    envelope: Envelope,
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outgoing").field("delivery", &self.delivery).finish_non_exhaustive()
    }
}

impl Transport {
    /// Hands over the mail of an alert.
    pub async fn deliver_alert(&self, outgoing: &Outgoing) -> Delivery {
        self.deliver(&outgoing.envelope, &outgoing.message).await
    }
}

impl Casework {
    /// Writes an alert down with everything that will be sent.
    pub(super) async fn journal_alert(
        &self,
        tx: &mut Tx,
        search: &SavedSearch,
        change: &AnswerChange,
        sender: &Sender,
        messages: &Messages,
        now: TimeUs,
    ) -> Result<AlertId> {
        let (org, alert_id) = (search.org_id, AlertId::new(now, self.random()));
        tx.run(
            query("INSERT INTO alert (alert_id, org_id, search_id, change, created_us) VALUES ($1, $2, $3, $4, $5)")
                .bind(alert_id.to_string())
                .bind(org.to_string())
                .bind(search.search_id.to_string())
                .bind(json(change))
                .bind(now.micros()),
        )
        .await?;
        let draft = Draft { alert_id, search, change, sender, messages, now };
        let mut told = Vec::new();
        for (mail, part) in search.mails.iter().zip(1..) {
            let message_id = format!("<{alert_id}.{part}@{}>", sender.message_domain);
            told.push((Channel::Mail, mail, draft.mail(mail, &message_id)?, message_id));
        }
        if let Some(url) = &search.webhook {
            told.push((Channel::Webhook, url, draft.body(), alert_id.to_string()));
        }
        let from = parse_mailbox(&sender.from)?.email.to_string();
        for ((channel, target, message, message_id), part) in told.into_iter().zip(1_i64..) {
            let job_id = JobId::new(now, self.random());
            let job = NewJob {
                kind: JOB.to_owned(),
                dedupe: format!("{alert_id}.{part}"),
                payload: serde_json::json!({ "alert": alert_id, "part": part }),
                attempts_max: ATTEMPTS_MAX,
                not_before: now,
            };
            tx.run(insert_job(job_id, org, &job, now)).await?;
            tx.run(
                query(
                    "INSERT INTO alert_delivery (org_id, alert_id, part, channel, target, message_id, sender, message, job_id, state, attempts,
                       detail, changed_us)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'queued', 0, '', $10)",
                )
                .bind(org.to_string())
                .bind(alert_id.to_string())
                .bind(part)
                .bind(channel.as_str())
                .bind(target.clone())
                .bind(message_id)
                .bind(from.clone())
                .bind(message)
                .bind(job_id.to_string())
                .bind(now.micros()),
            )
            .await?;
        }
        for statement in [
            "DELETE FROM alert_delivery WHERE alert_id IN (SELECT alert_id FROM alert WHERE search_id = $1 AND alert_id <
               (SELECT MIN(alert_id) FROM (SELECT alert_id FROM alert WHERE search_id = $1 ORDER BY alert_id DESC LIMIT $2) AS kept))",
            "DELETE FROM alert WHERE search_id = $1 AND alert_id <
               (SELECT MIN(alert_id) FROM (SELECT alert_id FROM alert WHERE search_id = $1 ORDER BY alert_id DESC LIMIT $2) AS kept)",
        ] {
            tx.run(query(statement).bind(search.search_id.to_string()).bind(KEPT)).await?;
        }
        let detail = serde_json::json!({
            "alert": alert_id, "turn": change.turn, "services": change.services, "added": change.added,
            "gone": change.gone,
        });
        let object = search.search_id.to_string();
        audit_in(tx, org, &Actor::rule(RULE), "search.alert", &object, &detail, now).await?;
        Ok(alert_id)
    }

    /// Alerts of a search, newest first, the last hundred, with their deliveries.
    pub async fn alerts(&self, search: &SavedSearch) -> Result<Vec<Alert>> {
        let id = search.search_id.to_string();
        let rows = self
            .rows(
                query(
                    "SELECT d.* FROM alert_delivery d JOIN alert a ON a.alert_id = d.alert_id WHERE a.search_id = $1 ORDER BY d.alert_id, d.part",
                )
                .bind(id.clone()),
            )
            .await?;
        let deliveries: Vec<AlertDelivery> = rows.iter().map(delivery).collect::<Result<_>>()?;
        let rows = self
            .rows(query("SELECT * FROM alert WHERE search_id = $1 ORDER BY alert_id DESC").bind(id))
            .await?;
        rows.iter()
            .map(|row| {
                let alert_id: AlertId = row.word("alert_id")?;
                Ok(Alert {
                    alert_id,
                    search_id: search.search_id,
                    created_at: row.time("created_us")?,
                    change: row.json("change")?,
                    deliveries: deliveries.iter().filter(|one| one.alert_id == alert_id).cloned().collect(),
                })
            })
            .collect()
    }

    /// True when anything is to be delivered, now or later.
    pub async fn any_alert_waits(&self, org: OrgId) -> Result<bool> {
        let row = self
            .maybe(
                query("SELECT alert_id FROM alert_delivery WHERE state IN ('queued', 'sending') AND org_id = $1 LIMIT 1")
                    .bind(org.to_string()),
            )
            .await?;
        Ok(row.is_some())
    }

    /// Gives `worker` the next delivery that is due.
    pub async fn lease_alert(&self, worker: &str, now: TimeUs) -> Result<Option<Job>> {
        let job = self.lease(&[JOB], worker, now, LEASE_S).await?;
        if job.is_none() {
            self.give_up_alerts(now).await?;
        }
        Ok(job)
    }

    /// Says what is known of deliveries whose job has died for good.
    async fn give_up_alerts(&self, now: TimeUs) -> Result<()> {
        let mut tx = self.begin().await?;
        for (from, to) in [
            (NoticeState::Sending, NoticeState::DeliveryUncertain),
            (NoticeState::Queued, NoticeState::Failed),
        ] {
            tx.run(
                query(
                    "UPDATE alert_delivery SET state = $1, changed_us = $2, detail = 'the last attempt did not report back'
                     WHERE state = $3 AND job_id IN (SELECT job_id FROM job WHERE kind = 'alert' AND state IN ('failed', 'cancelled'))",
                )
                .bind(to.as_str())
                .bind(now.micros())
                .bind(from.as_str()),
            )
            .await?;
        }
        tx.commit().await
    }

    /// Begins a delivery: journals the attempt, and gives what is to be sent. Nothing when it is not
    /// to be sent (any more); the job is done then. A mail that was being handed over to a relay when
    /// a process died becomes `delivery-uncertain`.
    pub async fn begin_alert(
        &self,
        job: &Job,
        transport: &Transport,
        now: TimeUs,
    ) -> Result<Option<Outgoing>> {
        let mut tx = self.begin().await?;
        let row = tx
            .maybe(
                query(
                    "SELECT d.*, a.created_us AS created_us, s.enabled AS enabled, s.webhook_secret AS webhook_secret, u.role AS role,
                       u.disabled_us AS disabled_us
                     FROM alert_delivery d JOIN alert a ON a.alert_id = d.alert_id
                       JOIN saved_search s ON s.search_id = a.search_id JOIN user_account u ON u.user_id = s.user_id
                     WHERE d.job_id = $1",
                )
                .bind(job.job_id.to_string()),
            )
            .await?;
        // Deleted with its search.
        let Some(row) = row else { return self.alert_done(tx, job, now).await };
        let delivery = delivery(&row)?;
        let repeatable = delivery.channel == Channel::Webhook || transport.is_idempotent();
        let end = match delivery.state {
            NoticeState::Sending if !repeatable => {
                Some(Delivery::Uncertain("the process ended while the mail was being handed over".to_owned()))
            }
            NoticeState::Queued | NoticeState::Sending => {
                let silenced = if row.int("enabled")? == 0 {
                    Some("the search was silenced")
                } else if row.maybe_int("disabled_us")?.is_some()
                    || row.word::<Role>("role")? == Role::Researcher
                {
                    Some("its owner may not search any more")
                } else {
                    None
                };
                silenced.map(|why| Delivery::Failed(format!("not sent: {why}")))
            }
            _ => return self.alert_done(tx, job, now).await,
        };
        if let Some(end) = end {
            settle(&mut tx, job.org_id, &delivery, &end, true, now).await?;
            return self.alert_done(tx, job, now).await;
        }
        tx.run(
            query(
                "UPDATE alert_delivery SET state = 'sending', attempts = attempts + 1, changed_us = $1 WHERE alert_id = $2 AND part = $3",
            )
            .bind(now.micros())
            .bind(delivery.alert_id.to_string())
            .bind(delivery.part),
        )
        .await?;
        tx.commit().await?;
        let envelope = Envelope {
            message_id: delivery.message_id.clone(),
            sender: row.text("sender")?,
            recipient: delivery.target.clone(),
            created_at: row.time("created_us")?,
        };
        let secret = row.maybe_text("webhook_secret")?.and_then(|secret| hex::decode(secret).ok());
        Ok(Some(Outgoing { delivery, message: row.text("message")?, secret, envelope }))
    }

    /// Commits what was found out about a delivery, and ends its job.
    async fn alert_done(&self, tx: Tx, job: &Job, now: TimeUs) -> Result<Option<Outgoing>> {
        tx.commit().await?;
        self.complete(job, &serde_json::Value::Null, now).await?;
        Ok(None)
    }

    /// Records how an attempt ended. What certainly was not sent waits for the next attempt, as long
    /// as there is one. Gives the state it is in.
    pub async fn settle_alert(
        &self,
        job: &Job,
        outgoing: &Outgoing,
        end: &Delivery,
        now: TimeUs,
    ) -> Result<NoticeState> {
        let last = job.attempts >= job.attempts_max;
        let mut tx = self.begin().await?;
        let state = settle(&mut tx, job.org_id, &outgoing.delivery, end, last, now).await?;
        tx.commit().await?;
        match end {
            Delivery::Failed(why) => {
                let doubled = u32::try_from(2 * (job.attempts - 1).max(0)).unwrap_or(0);
                let wait_s = RETRY_S.saturating_mul(2_i64.saturating_pow(doubled));
                self.fail(job, why, now, wait_s).await?;
            }
            Delivery::Sent(_) | Delivery::Uncertain(_) => {
                self.complete(job, &serde_json::Value::Null, now).await?;
            }
        }
        Ok(state)
    }
}

async fn settle(
    tx: &mut Tx,
    org: OrgId,
    delivery: &AlertDelivery,
    end: &Delivery,
    last: bool,
    now: TimeUs,
) -> Result<NoticeState> {
    let (state, detail) = match end {
        Delivery::Sent(detail) => (NoticeState::Sent, detail),
        Delivery::Failed(detail) if last => (NoticeState::Failed, detail),
        Delivery::Failed(detail) => (NoticeState::Queued, detail),
        Delivery::Uncertain(detail) => (NoticeState::DeliveryUncertain, detail),
    };
    tx.run(
        query(
            "UPDATE alert_delivery SET state = $1, detail = $2, changed_us = $3, sent_us = $4 WHERE alert_id = $5 AND part = $6",
        )
        .bind(state.as_str())
        .bind(crate::escape::line(detail))
        .bind(now.micros())
        .bind((state == NoticeState::Sent).then_some(now.micros()))
        .bind(delivery.alert_id.to_string())
        .bind(delivery.part),
    )
    .await?;
    if state != NoticeState::Queued {
        let told = serde_json::json!({ "part": delivery.part, "channel": delivery.channel, "state": state });
        let object = delivery.alert_id.to_string();
        audit_in(tx, org, &Actor::rule(RULE), "alert.deliver", &object, &told, now).await?;
    }
    Ok(state)
}

fn delivery(row: &AnyRow) -> Result<AlertDelivery> {
    Ok(AlertDelivery {
        alert_id: row.word("alert_id")?,
        part: row.int("part")?,
        channel: row.word("channel")?,
        target: row.text("target")?,
        message_id: row.text("message_id")?,
        state: row.word("state")?,
        attempts: row.int("attempts")?,
        detail: row.text("detail")?,
        changed_at: row.time("changed_us")?,
        sent_at: row.maybe_time("sent_us")?,
    })
}
