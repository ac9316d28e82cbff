//! Saved searches: whose they are, what they watch, what their last look came to.
//!
//! What a query means, and who may see which services, others know: here a search is a text with a
//! standing, which is what its next answer is compared with. A look and the alert that follows from
//! it are one transaction, so that whatever happens an alert is made once; delivering it is the work
//! of jobs ([`alerts`]).

use kenshin_observation::{AlertId, Messages, OrgId, SearchId, TimeUs, UserId, words};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use crate::audit::audit_in;
use crate::error::{CaseworkError, Result};
use crate::escape;
use crate::letter::parse_mailbox;
use crate::page::{Page, PageRequest};
use crate::state::Actor;
use crate::store::{Casework, Columns, Compose, Value, json, query, storable};
use crate::viewer::Viewer;

pub(crate) mod alerts;
mod compose;

pub use alerts::{Alert, AlertDelivery, Channel, Outgoing};
pub use compose::{AnswerChange, ChangedService, Sender, Turn};

/// Saved searches of one person at most.
pub const SEARCHES_MAX: i64 = 50;
/// Mail addresses of one search at most.
pub const MAILS_MAX: usize = 5;
/// Least and most seconds between two alerts of one search, and what they are when nobody says.
pub const INTERVAL_S: (i64, i64, i64) = (60, 30 * 86_400, 3_600);
/// Characters of a name at most.
const NAME_MAX: usize = 100;
/// Bytes of a webhook's address at most.
const WEBHOOK_MAX: usize = 500;

words!(
    /// What counts as a change of an answer.
    Watch, "watch" {
        /// A service that was never in it.
        New = "new",
        /// A service that is not in it any more.
        Gone = "gone",
        /// Either, and services that come back.
        Any = "any",
        /// As many services as a threshold, or fewer again.
        Count = "count",
    }
);

words!(
    /// Why a search does not alert.
    Trouble, "trouble" {
        /// Its owner cannot sign in any more.
        OwnerDisabled = "owner-disabled",
        /// The role of its owner does not allow searching any more.
        OwnerMayNot = "owner-may-not-search",
        /// This version does not understand the query.
        Misunderstood = "misunderstood",
        /// Its answer has more services than are told apart.
        TooMany = "too-many",
        /// The answer could not be had.
        Failed = "failed",
    }
);

/// A search to be saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSearch {
    /// As whom it looks.
    pub owner: UserId,
    /// What its owner calls it.
    pub name: String,
    /// The query, as the language writes it.
    pub query: String,
    /// What counts as a change.
    pub watch: Watch,
    /// For [`Watch::Count`]: of how many services.
    pub threshold: Option<i64>,
    /// Mail addresses that are told.
    pub mails: Vec<String>,
    /// Address that is told by HTTP, checked by whoever saves.
    pub webhook: Option<String>,
    /// Least seconds between two alerts.
    pub interval_s: i64,
    /// Language of its mails.
    pub language: String,
}

/// A saved search.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedSearch {
    /// Its id.
    pub search_id: SearchId,
    /// Whose.
    pub org_id: OrgId,
    /// As whom it looks.
    pub owner: UserId,
    /// Their name, for display.
    pub owner_name: String,
    /// What they call it.
    pub name: String,
    /// The query.
    pub query: String,
    /// What counts as a change.
    pub watch: Watch,
    /// For [`Watch::Count`]: of how many services.
    pub threshold: Option<i64>,
    /// Mail addresses that are told.
    pub mails: Vec<String>,
    /// Address that is told by HTTP.
    pub webhook: Option<String>,
    /// Least seconds between two alerts.
    pub interval_s: i64,
    /// Language of its mails.
    pub language: String,
    /// False when it is to stay silent.
    pub enabled: bool,
    /// When it was saved.
    pub created_at: TimeUs,
    /// Looks so far.
    pub revision: i64,
    /// When its answer was last looked at.
    pub looked_at: TimeUs,
    /// At which version of the current view.
    pub looked_version: Option<i64>,
    /// Services found then.
    pub services: i64,
    /// When it last alerted.
    pub alerted_at: Option<TimeUs>,
    /// Why it does not alert.
    pub trouble: Option<Trouble>,
    /// More about that.
    pub trouble_detail: Option<String>,
    /// Places that were not, or not certainly, told of its last alert.
    pub undelivered: i64,
}

impl SavedSearch {
    /// Until when it does not alert again.
    pub fn waits_until(&self) -> Option<TimeUs> {
        self.alerted_at.map(|at| at.plus_secs(self.interval_s))
    }
}

/// What a look at an answer came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// Version of the current view that was looked at; `None`: look again soon.
    pub version: Option<i64>,
    /// Services found; `None` when they were not counted.
    pub services: Option<i64>,
    /// What the next answer is compared with; `None`: what there is stays.
    pub standing: Option<String>,
    /// Why there is no answer, or none that can be compared, with more about that.
    pub trouble: Option<(Trouble, String)>,
    /// What is to be told.
    pub change: Option<AnswerChange>,
}

impl Casework {
    /// Saves a search with its base line, what it finds now. Gives the secret that its webhook's
    /// messages are signed with, which no other function gives.
    pub async fn save_search(
        &self,
        org: OrgId,
        new: &NewSearch,
        base: &Look,
        actor: &Actor,
        now: TimeUs,
    ) -> Result<(SavedSearch, Option<Vec<u8>>)> {
        let new = checked(new)?;
        let search_id = SearchId::new(now, self.random());
        let secret = new.webhook.is_some().then(|| self.seed());
        let mut tx = self.begin().await?;
        let held = tx
            .maybe(
                query("SELECT COUNT(*) AS held FROM saved_search WHERE org_id = $1 AND user_id = $2")
                    .bind(org.to_string())
                    .bind(new.owner.to_string()),
            )
            .await?;
        if held.map_or(Ok(0), |row| row.int("held"))? >= SEARCHES_MAX {
            return Err(CaseworkError::Conflict(format!(
                "one person has at most {SEARCHES_MAX} saved searches; hint: delete one that is not needed any more"
            )));
        }
        let added = tx
            .run(
                query(
                    "INSERT INTO saved_search (search_id, org_id, user_id, name, query, watch, threshold, mails, webhook, webhook_secret,
                       interval_s, language, enabled, created_us, revision, looked_us, looked_version, services)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 1, $13, 0, $13, $14, $15)
                     ON CONFLICT (org_id, user_id, name) DO NOTHING",
                )
                .bind(search_id.to_string())
                .bind(org.to_string())
                .bind(new.owner.to_string())
                .bind(new.name.clone())
                .bind(new.query.clone())
                .bind(new.watch.as_str())
                .bind(new.threshold)
                .bind(json(&new.mails))
                .bind(new.webhook.clone())
                .bind(secret.map(hex::encode))
                .bind(new.interval_s)
                .bind(new.language.clone())
                .bind(now.micros())
                .bind(base.version)
                .bind(base.services.unwrap_or_default()),
            )
            .await?;
        if added == 0 {
            return Err(CaseworkError::Conflict(format!(
                "there is a saved search `{}` already; hint: choose another name, or delete that one",
                escape::line(&new.name)
            )));
        }
        tx.run(
            query("INSERT INTO saved_search_standing (search_id, org_id, standing) VALUES ($1, $2, $3)")
                .bind(search_id.to_string())
                .bind(org.to_string())
                .bind(base.standing.clone().unwrap_or_default()),
        )
        .await?;
        // A webhook's path may be all that protects it: the trail tells that there is one.
        let detail = serde_json::json!({
            "name": new.name, "query": new.query, "watch": new.watch, "owner": new.owner, "mails": new.mails,
            "webhook": new.webhook.is_some(),
        });
        audit_in(&mut tx, org, actor, "search.save", &search_id.to_string(), &detail, now).await?;
        tx.commit().await?;
        let saved = self.saved_search(&Viewer::system(org), None, search_id).await?;
        Ok((saved, secret.map(|secret| secret.to_vec())))
    }

    /// One saved search, of `mine` alone when that is given.
    pub async fn saved_search(
        &self,
        viewer: &Viewer,
        mine: Option<UserId>,
        id: SearchId,
    ) -> Result<SavedSearch> {
        let mut compose = seen(viewer, mine);
        compose.push(" AND s.search_id = ?", [id.to_string()]);
        let row = self.maybe(compose.finish()).await?;
        saved(&row.ok_or_else(|| CaseworkError::not_found("saved search", id))?)
    }

    /// Saved searches, oldest first, of `mine` alone when that is given.
    pub async fn saved_searches(
        &self,
        viewer: &Viewer,
        mine: Option<UserId>,
        page: &PageRequest,
    ) -> Result<Page<SavedSearch>> {
        let mut compose = seen(viewer, mine);
        if let Some(after) = &page.after {
            compose.push(" AND s.search_id > ?", [after.clone()]);
        }
        compose.push(" ORDER BY s.search_id LIMIT ?", [Value::Int(page.fetch())]);
        let searches = self.rows(compose.finish()).await?.iter().map(saved).collect::<Result<_>>()?;
        Ok(Page::of(searches, page, |search: &SavedSearch| search.search_id.to_string()))
    }

    /// Has a search alert, or stay silent. What it is compared with stays: whoever lets it alert again
    /// is told what came meanwhile.
    pub async fn enable_search(
        &self,
        search: &SavedSearch,
        enabled: bool,
        actor: &Actor,
        now: TimeUs,
    ) -> Result<()> {
        let mut tx = self.begin().await?;
        tx.run(
            query("UPDATE saved_search SET enabled = $1, looked_version = NULL WHERE search_id = $2")
                .bind(i64::from(enabled))
                .bind(search.search_id.to_string()),
        )
        .await?;
        let (org, id) = (search.org_id, search.search_id.to_string());
        let action = if enabled { "search.enable" } else { "search.disable" };
        audit_in(&mut tx, org, actor, action, &id, &serde_json::Value::Null, now).await?;
        tx.commit().await
    }

    /// Deletes a search with what it told; what was not sent yet is not sent.
    pub async fn delete_search(&self, search: &SavedSearch, actor: &Actor, now: TimeUs) -> Result<()> {
        let (org, id) = (search.org_id, search.search_id.to_string());
        let mut tx = self.begin().await?;
        for statement in [
            "DELETE FROM alert_delivery WHERE alert_id IN (SELECT alert_id FROM alert WHERE search_id = $1)",
            "DELETE FROM alert WHERE search_id = $1",
            "DELETE FROM saved_search_standing WHERE search_id = $1",
            "DELETE FROM saved_search WHERE search_id = $1",
        ] {
            tx.run(query(statement).bind(id.clone())).await?;
        }
        let detail = serde_json::json!({ "name": search.name, "query": search.query });
        audit_in(&mut tx, org, actor, "search.delete", &id, &detail, now).await?;
        tx.commit().await
    }

    /// True when any search is to alert: while none is, nobody needs to look.
    pub async fn any_search_enabled(&self, org: OrgId) -> Result<bool> {
        let row = self
            .maybe(
                query("SELECT search_id FROM saved_search WHERE org_id = $1 AND enabled = 1 LIMIT 1")
                    .bind(org.to_string()),
            )
            .await?;
        Ok(row.is_some())
    }

    /// The searches to look at when the current view is at `version`: those that have not seen it, and
    /// whose interval is over; at most `limit`, those first that were not looked at for longest.
    pub async fn searches_due(
        &self,
        org: OrgId,
        version: Option<i64>,
        limit: u32,
        now: TimeUs,
    ) -> Result<Vec<SavedSearch>> {
        let mut compose = seen(&Viewer::system(org), None);
        compose.text(" AND s.enabled = 1");
        compose.push(
            " AND COALESCE(s.looked_version, -1) <> ? AND COALESCE(s.alerted_us + s.interval_s * 1000000, 0) <= ?",
            [Value::Int(version.unwrap_or(-2)), Value::Int(now.micros())],
        );
        compose.push(" ORDER BY s.looked_us, s.search_id LIMIT ?", [Value::Int(limit.into())]);
        self.rows(compose.finish()).await?.iter().map(saved).collect()
    }

    /// What the next answer of a search is compared with.
    pub async fn search_standing(&self, id: SearchId) -> Result<String> {
        let row = self
            .maybe(
                query("SELECT standing FROM saved_search_standing WHERE search_id = $1").bind(id.to_string()),
            )
            .await?;
        row.ok_or_else(|| CaseworkError::not_found("saved search", id))?.text("standing")
    }

    /// Records a look at a search as it was read before, and what it tells, journalled with a job for
    /// each place. Gives no alert when there is nothing to tell, or when somebody else looked, or
    /// silenced it, since it was read.
    pub async fn record_look(
        &self,
        search: &SavedSearch,
        look: &Look,
        sender: &Sender,
        messages: &Messages,
        now: TimeUs,
    ) -> Result<Option<AlertId>> {
        let trouble = look.trouble.as_ref();
        let alerted = look.change.as_ref().map(|_| now.micros());
        let mut tx = self.begin().await?;
        let recorded = tx
            .run(
                query(
                    "UPDATE saved_search SET revision = revision + 1, looked_us = $1, looked_version = $2, services = COALESCE($3, services),
                       alerted_us = COALESCE($4, alerted_us), trouble = $5, trouble_detail = $6
                     WHERE search_id = $7 AND revision = $8 AND enabled = 1",
                )
                .bind(now.micros())
                .bind(look.version)
                .bind(look.services)
                .bind(alerted)
                .bind(trouble.map(|(word, _)| word.as_str()))
                .bind(trouble.map(|(_, detail)| storable(detail)))
                .bind(search.search_id.to_string())
                .bind(search.revision),
            )
            .await?;
        if recorded == 0 {
            return Ok(None);
        }
        if let Some(standing) = &look.standing {
            tx.run(
                query("UPDATE saved_search_standing SET standing = $1 WHERE search_id = $2")
                    .bind(standing.clone())
                    .bind(search.search_id.to_string()),
            )
            .await?;
        }
        let alert = match &look.change {
            Some(change) => Some(self.journal_alert(&mut tx, search, change, sender, messages, now).await?),
            None => None,
        };
        tx.commit().await?;
        Ok(alert)
    }
}

/// Saved searches that `viewer` may see: those of a person, or, for who sees every provider, all.
fn seen(viewer: &Viewer, mine: Option<UserId>) -> Compose {
    let mut compose = Compose::new(
        "SELECT s.*, u.name AS owner_name,
           (SELECT COUNT(*) FROM alert_delivery d
            WHERE d.alert_id = (SELECT MAX(a.alert_id) FROM alert a WHERE a.search_id = s.search_id)
              AND d.state IN ('failed', 'delivery-uncertain')) AS undelivered
         FROM saved_search s JOIN user_account u ON u.user_id = s.user_id WHERE 1 = 1",
    );
    compose.push(" AND s.org_id = ?", [viewer.org.to_string()]);
    match mine {
        Some(person) => compose.push(" AND s.user_id = ?", [person.to_string()]),
        None if viewer.sees_all_providers() => {}
        None => compose.text(" AND 1 = 0"),
    }
    compose
}

/// The search as it is stored, or what is wrong with it.
fn checked(new: &NewSearch) -> Result<NewSearch> {
    let wrong = |why: String| Err(CaseworkError::Input(why));
    let name = new.name.trim();
    if name.is_empty() || name.chars().count() > NAME_MAX || name.chars().any(char::is_control) {
        return wrong(format!(
            "the name of a saved search has 1 to {NAME_MAX} characters, none of them control characters"
        ));
    }
    match (new.watch, new.threshold) {
        (Watch::Count, Some(threshold)) if threshold >= 1 => {}
        (Watch::Count, _) => {
            return wrong(
                "to watch the count takes a threshold of at least 1; hint: --on count --threshold 100"
                    .to_owned(),
            );
        }
        (_, Some(_)) => return wrong("a threshold is of the count; hint: --on count".to_owned()),
        (_, None) => {}
    }
    let (least, most, _) = INTERVAL_S;
    if !(least..=most).contains(&new.interval_s) {
        return wrong(format!("between two alerts are {least} to {most} seconds"));
    }
    if new.mails.len() > MAILS_MAX {
        return wrong(format!("at most {MAILS_MAX} mail addresses are told of one search"));
    }
    if new.webhook.as_ref().is_some_and(|url| url.len() > WEBHOOK_MAX) {
        return wrong(format!("the address of a webhook has at most {WEBHOOK_MAX} bytes"));
    }
    if new.mails.is_empty() && new.webhook.is_none() {
        return wrong("nobody would be told; hint: give a mail address or a webhook".to_owned());
    }
    let mut mails = Vec::new();
    for mail in &new.mails {
        let address = parse_mailbox(mail.trim())?.email.to_string();
        if !mails.contains(&address) {
            mails.push(address);
        }
    }
    Ok(NewSearch { name: name.to_owned(), mails, query: storable(&new.query), ..new.clone() })
}

fn saved(row: &AnyRow) -> Result<SavedSearch> {
    Ok(SavedSearch {
        search_id: row.word("search_id")?,
        org_id: row.word("org_id")?,
        owner: row.word("user_id")?,
        owner_name: row.text("owner_name")?,
        name: row.text("name")?,
        query: row.text("query")?,
        watch: row.word("watch")?,
        threshold: row.maybe_int("threshold")?,
        mails: row.json("mails")?,
        webhook: row.maybe_text("webhook")?,
        interval_s: row.int("interval_s")?,
        language: row.text("language")?,
        enabled: row.int("enabled")? != 0,
        created_at: row.time("created_us")?,
        revision: row.int("revision")?,
        looked_at: row.time("looked_us")?,
        looked_version: row.maybe_int("looked_version")?,
        services: row.int("services")?,
        alerted_at: row.maybe_time("alerted_us")?,
        trouble: row.maybe_word("trouble")?,
        trouble_detail: row.maybe_text("trouble_detail")?,
        undelivered: row.int("undelivered")?,
    })
}
