//! Saved searches: looked at after the current view has changed, as their owners may see it; what is
//! otherwise goes out as alerts.
//!
//! A look is cheap beside what made it due, and bounded: one search at a time, for some seconds in a
//! row. What an answer is compared with, and what counts as a change, is [`standing`], which is pure.

use std::collections::HashMap;
use std::time::Duration;

use kenshin_casework::{
    Actor, AnswerChange, ChangedService, Channel, DeliverySummary, INTERVAL_S, Look, NewSearch, NoticeState,
    Role, SavedSearch, Sender, Transport, Trouble, User, Watch,
};
use kenshin_lake::search::Query;
use kenshin_lake::view::{Search, Sight, View};
use kenshin_observation::schema::{ServiceKey, ServiceRow};
use kenshin_observation::{AlertId, Endpoint, SearchId, TimeUs, addr_from_hi_lo, words};
use serde::Serialize;
use tokio::time::Instant;

use crate::Observatory;
use crate::error::ActError;
use crate::notify::domain;
use standing::{Answer, Changes, KNOWN_MAX, Standing, Then, Watched};

mod standing;
mod webhook;

/// Services told of with an alert at most.
const ITEMS_MAX: usize = 20;
/// Characters told of what a service says of itself at most.
const SAYS_MAX: usize = 120;
/// Searches looked at in a row at most, and for how long.
const LOOKS_MAX: u32 = 1_000;
const LOOKS_FOR: Duration = Duration::from_secs(20);
/// Deliveries in a row at most.
const DELIVERIES_MAX: usize = 1_000;
/// Under which name this hub holds deliveries.
const WORKER: &str = "alerts";

words!(
    /// What a look at a saved search came to.
    Outcome, "outcome" {
        /// Something is otherwise, and its owner is told.
        Alerted = "alerted",
        /// Nothing is otherwise.
        Same = "same",
        /// It alerted a short time ago and waits.
        Waiting = "waiting",
        /// It is to stay silent.
        Disabled = "disabled",
        /// It cannot be looked at.
        Trouble = "trouble",
    }
);

/// A search that somebody wants to save.
#[derive(Debug, Clone)]
pub struct SearchRequest {
    /// What they call it.
    pub name: String,
    /// The query.
    pub query: String,
    /// What counts as a change.
    pub watch: Watch,
    /// For [`Watch::Count`]: of how many services.
    pub threshold: Option<i64>,
    /// Mail addresses to tell.
    pub mails: Vec<String>,
    /// Address to tell by HTTP.
    pub webhook: Option<String>,
    /// Least seconds between two alerts.
    pub interval_s: Option<i64>,
    /// Language of mails; that of the owner when left out.
    pub language: Option<String>,
}

/// A search that was saved.
pub struct Saved {
    /// The search.
    pub search: SavedSearch,
    /// What its webhook's messages are signed with, as receivers take it. Told once.
    pub secret: Option<String>,
}

/// What a look at a saved search came to.
#[derive(Debug, Clone, Serialize)]
pub struct Looked {
    /// The search.
    pub search_id: SearchId,
    /// What its owner calls it.
    pub name: String,
    /// What it came to.
    pub outcome: Outcome,
    /// The alert.
    pub alert_id: Option<AlertId>,
    /// Services found now, where they were counted.
    pub services: Option<i64>,
    /// Until when it waits.
    pub waits_until: Option<TimeUs>,
    /// Why it cannot be looked at.
    pub trouble: Option<Trouble>,
}

/// A query from text; when it cannot be understood, the error points at where.
pub fn understand(text: &str) -> Result<Query, ActError> {
    text.parse::<Query>().map_err(|error| {
        let refused = ActError::input(format!("{error}\n{}", error.pointed(text)));
        match error.hint {
            Some(hint) => refused.with_hint(hint),
            None => refused,
        }
    })
}

impl Observatory {
    /// Saves a search of `owner`. What it finds now is its base line: the first alert is about what is
    /// otherwise then.
    pub async fn save_search(
        &self,
        owner: &User,
        request: &SearchRequest,
        actor: &Actor,
    ) -> Result<Saved, ActError> {
        let query = understand(&request.query)?;
        if let Some(url) = &request.webhook {
            // Whoever runs this machine may tell programs on it.
            webhook::checked(url, matches!(owner.role, Role::Admin | Role::Operator))?;
        }
        let language = request.language.clone().unwrap_or_else(|| owner.language.clone());
        if !self.messages().languages().any(|known| known == language) {
            let known: Vec<&str> = self.messages().languages().collect();
            return Err(ActError::input(format!("there is no message catalogue `{language}`"))
                .with_hint(format!("one of: {}", known.join(", "))));
        }
        if !may_search(owner) {
            return Err(ActError::no(format!("role `{}` may not search", owner.role)));
        }
        let watched = Watched { watch: request.watch, threshold: request.threshold.unwrap_or_default() };
        let sight = self.sight(&owner.viewer()).await?;
        // Of the view of all, whatever the owner sees: that is what tells when there is something to look at.
        let seen = version(&*self.lake().await?.view().await?);
        let view = self.view_for(&sight).await?;
        let answer = self.answer(&view, &query, &sight, watched, None).await?;
        let services = i64::try_from(answer.services).unwrap_or(i64::MAX);
        let standing = Standing::base(watched, answer).ok_or_else(|| {
            ActError::input(format!("more than {KNOWN_MAX} services are not told apart"))
                .with_hint("narrow the query, or watch the count alone (--on count --threshold N)")
        })?;
        let base = Look {
            version: seen,
            services: Some(services),
            standing: Some(standing.encode()?),
            ..Look::default()
        };
        let new = NewSearch {
            owner: owner.user_id,
            name: request.name.clone(),
            query: query.to_string(),
            watch: request.watch,
            threshold: request.threshold,
            mails: request.mails.clone(),
            webhook: request.webhook.clone(),
            interval_s: request.interval_s.unwrap_or(INTERVAL_S.2),
            language,
        };
        let (search, secret) =
            self.casework().save_search(self.org(), &new, &base, actor, self.now()).await?;
        Ok(Saved { search, secret: secret.map(|secret| webhook::shown(&secret)) })
    }

    /// Looks at the searches that have not seen the current view yet and do not wait, for some seconds
    /// at most: what is left comes first next time. Gives those of which something was found out.
    pub async fn look_at_searches(&self) -> Result<Vec<Looked>, ActError> {
        if !self.casework().any_search_enabled(self.org()).await? {
            return Ok(Vec::new());
        }
        let begun = Instant::now();
        let view = self.lake().await?.view().await?;
        let seen = version(&view);
        let due = self.casework().searches_due(self.org(), seen, LOOKS_MAX, self.now()).await?;
        let mut looked = Vec::new();
        for search in due {
            if begun.elapsed() > LOOKS_FOR {
                break;
            }
            looked.push(self.look_at(seen, &search).await?);
        }
        Ok(looked)
    }

    /// Looks at one search now, whatever it has seen.
    pub async fn look_at_search(&self, search: &SavedSearch) -> Result<Looked, ActError> {
        let said = |outcome| Looked {
            search_id: search.search_id,
            name: search.name.clone(),
            outcome,
            alert_id: None,
            services: None,
            waits_until: None,
            trouble: None,
        };
        if !search.enabled {
            return Ok(said(Outcome::Disabled));
        }
        if let Some(until) = search.waits_until().filter(|until| *until > self.now()) {
            return Ok(Looked { waits_until: Some(until), ..said(Outcome::Waiting) });
        }
        let seen = version(&*self.lake().await?.view().await?);
        self.look_at(seen, search).await
    }

    /// Looks at one search, when the view of all observations has this version.
    async fn look_at(&self, seen: Option<i64>, search: &SavedSearch) -> Result<Looked, ActError> {
        let look = match self.look(seen, search).await {
            Ok(look) => look,
            // One search that cannot be looked at must not keep the others from it; it is tried again.
            Err(error @ (ActError::Lake(_) | ActError::Outside { .. })) => {
                if search.trouble != Some(Trouble::Failed) {
                    tracing::warn!(%error, search = %search.search_id, "a saved search cannot be looked at");
                }
                Look { trouble: Some((Trouble::Failed, error.to_string())), ..Look::default() }
            }
            Err(error) => return Err(error),
        };
        let (casework, sender) = (self.casework(), self.sender());
        let alert_id = casework.record_look(search, &look, &sender, self.messages(), self.now()).await?;
        let outcome = match (&look.trouble, alert_id) {
            (_, Some(_)) => Outcome::Alerted,
            (Some(_), None) => Outcome::Trouble,
            (None, None) => Outcome::Same,
        };
        Ok(Looked {
            search_id: search.search_id,
            name: search.name.clone(),
            outcome,
            alert_id,
            services: look.services,
            waits_until: None,
            trouble: look.trouble.map(|(word, _)| word),
        })
    }

    /// What is otherwise in the answer, as its owner may see it today.
    async fn look(&self, version: Option<i64>, search: &SavedSearch) -> Result<Look, ActError> {
        let seen = Look { version, ..Look::default() };
        let no = |trouble, detail: String| Ok(Look { trouble: Some((trouble, detail)), ..seen.clone() });
        let owner = self.casework().user(search.org_id, search.owner).await?;
        if owner.disabled {
            return no(Trouble::OwnerDisabled, owner.login);
        }
        if !may_search(&owner) {
            return no(Trouble::OwnerMayNot, owner.role.to_string());
        }
        let query = match search.query.parse::<Query>() {
            Ok(query) => query,
            Err(error) => return no(Trouble::Misunderstood, error.to_string()),
        };
        let stored = self.casework().search_standing(search.search_id).await?;
        let before = Standing::decode(&stored)?;
        let watched = Watched { watch: search.watch, threshold: search.threshold.unwrap_or_default() };
        let sight = self.sight(&owner.viewer()).await?;
        let view = self.view_for(&sight).await?;
        let answer = self.answer(&view, &query, &sight, watched, Some(&before)).await?;
        let services = i64::try_from(answer.services).unwrap_or(i64::MAX);
        let in_sight = |key: &ServiceKey| sight.reaches(addr_from_hi_lo(key.addr.0, key.addr.1));
        let (next, changes) = before.compare(watched, answer, in_sight);
        let change = match changes {
            Some(changes) => Some(self.told(&view, services, changes).await?),
            None => None,
        };
        let trouble = next.grown().then(|| (Trouble::TooMany, format!("{services} > {KNOWN_MAX}")));
        // It may be large: what is the same is not written again.
        let standing = Some(next.encode()?).filter(|standing| *standing != stored);
        Ok(Look { services: Some(services), standing, trouble, change, ..seen })
    }

    /// The answer to a query as far as it is compared with the one `before`.
    async fn answer(
        &self,
        view: &View,
        query: &Query,
        sight: &Sight,
        watched: Watched,
        before: Option<&Standing>,
    ) -> Result<Answer, ActError> {
        let (now, ages) = (self.now(), query.names_age());
        let search = |now| Search { query: query.clone(), sight: sight.clone(), now };
        let found = view.find(&search(now)).await?;
        let few = |count: u64| usize::try_from(count).is_ok_and(|count| count <= KNOWN_MAX);
        let (services, mut told_apart) = (found.count(), watched.watch != Watch::Count && few(found.count()));
        let mut then = None;
        if let Some(before) = before.filter(|_| ages) {
            let found = view.find(&search(before.at())).await?;
            told_apart &= few(found.count());
            let keys = if told_apart { found.keys().await? } else { Vec::new() };
            let keys = keys.into_iter().map(|(key, _)| key).collect();
            then = Some(Then { services: found.count(), keys });
        }
        let keys = if told_apart { Some(found.keys().await?) } else { None };
        // Instants matter to ages alone: without them, the same answer makes the same standing.
        let at = before.filter(|_| !ages).map_or(now, Standing::at);
        let known_until = if ages { view.known_until().await? } else { None };
        Ok(Answer { at, known_until, services, keys, then })
    }

    /// What is told of changes: counts, and the first services as the view knows them.
    async fn told(&self, view: &View, services: i64, changes: Changes) -> Result<AnswerChange, ActError> {
        let count = |keys: &[ServiceKey]| i64::try_from(keys.len()).unwrap_or(i64::MAX);
        let (added, gone) = (count(&changes.added), count(&changes.gone));
        let came = changes.added.into_iter().map(|key| (key, false));
        let first: Vec<(ServiceKey, bool)> =
            came.chain(changes.gone.into_iter().map(|key| (key, true))).take(ITEMS_MAX).collect();
        let endpoints: Vec<Endpoint> = first.iter().filter_map(|(key, _)| endpoint(key)).collect();
        let rows = view.known(&endpoints).await?;
        let rows: HashMap<ServiceKey, ServiceRow> = rows.into_iter().map(|row| (row.key(), row)).collect();
        let items = first.into_iter().map(|(key, gone)| {
            let row = rows.get(&key);
            changed_service(key, gone, row)
        });
        Ok(AnswerChange { turn: changes.turn, services, added, gone, items: items.collect() })
    }

    /// Delivers what is due, a few at a time.
    pub async fn deliver_alerts(&self) -> Result<DeliverySummary, ActError> {
        if !self.casework().any_alert_waits(self.org()).await? {
            return Ok(DeliverySummary::default());
        }
        let (transport, client) = (self.transport()?, webhook::client()?);
        let one = || self.deliver_in_turn(&transport, &client);
        let (a, b, c, d) = tokio::join!(one(), one(), one(), one());
        let mut all = DeliverySummary::default();
        for summary in [a?, b?, c?, d?] {
            all.sent += summary.sent;
            all.failed += summary.failed;
            all.uncertain += summary.uncertain;
        }
        Ok(all)
    }

    async fn deliver_in_turn(
        &self,
        transport: &Transport,
        client: &webhook::Client,
    ) -> Result<DeliverySummary, ActError> {
        let casework = self.casework();
        let mut summary = DeliverySummary::default();
        for _ in 0..DELIVERIES_MAX {
            let Some(job) = casework.lease_alert(WORKER, self.now()).await? else { break };
            let Some(outgoing) = casework.begin_alert(&job, transport, self.now()).await? else { continue };
            let end = match outgoing.delivery.channel {
                Channel::Mail => transport.deliver_alert(&outgoing).await,
                Channel::Webhook => webhook::post(client, &outgoing, self.now()).await,
            };
            match casework.settle_alert(&job, &outgoing, &end, self.now()).await? {
                NoticeState::Sent => summary.sent += 1,
                NoticeState::DeliveryUncertain => summary.uncertain += 1,
                _ => summary.failed += 1,
            }
        }
        Ok(summary)
    }

    fn sender(&self) -> Sender {
        let settings = self.settings();
        Sender {
            organisation: settings.organisation.clone(),
            from: settings.mail.from.clone(),
            base_url: settings.web.base_url.clone(),
            message_domain: domain(&settings.mail.from).to_owned(),
        }
    }
}

/// What the policy of searching says of a person.
fn may_search(person: &User) -> bool {
    person.role != Role::Researcher
}

fn version(view: &View) -> Option<i64> {
    view.version().and_then(|version| i64::try_from(version).ok())
}

fn endpoint(key: &ServiceKey) -> Option<Endpoint> {
    Some(Endpoint {
        addr: addr_from_hi_lo(key.addr.0, key.addr.1),
        port: u16::try_from(key.port).ok()?,
        transport: key.transport.parse().ok()?,
    })
}

fn changed_service(key: ServiceKey, gone: bool, row: Option<&ServiceRow>) -> ChangedService {
    let joined = |parts: [Option<&str>; 3]| {
        let joined = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
        Some(joined).filter(|text| !text.is_empty())
    };
    let software = |row: &ServiceRow| {
        let first = row.software().unwrap_or_default().into_iter().next()?;
        joined([first.vendor.as_deref(), Some(&first.product), first.version.as_deref()])
    };
    let product = |row: &ServiceRow| {
        joined([row.vendor.as_deref(), row.product.as_deref(), row.version.as_deref()])
            .or_else(|| software(row))
    };
    let says = |row: &ServiceRow| {
        let texts = [&row.title, &row.banner, &row.server];
        let first = texts.into_iter().flatten().find(|text| !text.is_empty())?;
        Some(first.chars().take(SAYS_MAX).collect())
    };
    ChangedService {
        gone,
        addr: addr_from_hi_lo(key.addr.0, key.addr.1),
        port: key.port,
        transport: key.transport,
        protocol: key.protocol,
        product: row.and_then(product),
        says: row.and_then(says),
        provider: row.and_then(|row| row.provider.clone()),
        country: row.and_then(|row| row.country.clone()),
    }
}

#[cfg(test)]
mod tests;
