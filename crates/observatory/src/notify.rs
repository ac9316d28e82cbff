//! Notices: one mail per provider and round, through the outbox or the operator's relay.

use std::collections::HashMap;
use std::path::Path;

use kenshin_casework::providers::Directory;
use kenshin_casework::{ImportSummary, Letterhead, PageRequest, QueueSummary, Smtp, Survey, Tls, Transport};
use kenshin_mandate::ProviderRate;
use kenshin_observation::SurveyId;
use serde::Serialize;

use crate::Observatory;
use crate::authority::read_limited;
use crate::error::ActError;

/// What notifying did.
#[derive(Debug, Clone, Serialize)]
pub struct Notified {
    /// The round.
    pub survey_id: SurveyId,
    /// What was queued.
    #[serde(flatten)]
    pub queued: QueueSummary,
    /// Mails handed over.
    pub sent: u64,
    /// Mails certainly not handed over; they can be tried again.
    pub failed: u64,
    /// Mails of which nobody can know; they are never sent again by themselves.
    pub uncertain: u64,
}

impl Observatory {
    /// Imports the provider directory, all or nothing. Keys that it names are read from `keys`. The rates
    /// that it states hold on running surveys within a second.
    pub async fn import_providers(
        &self,
        file: &str,
        text: &str,
        keys: &Path,
    ) -> Result<ImportSummary, ActError> {
        let languages: Vec<&str> = self.messages().languages().collect();
        let read_key = |name: &str| read_limited(&keys.join(name)).map_err(|error| error.to_string());
        let directory = Directory::parse(file, text, &languages, read_key)
            .map_err(|error| ActError::input(error.to_string()))?;
        let actor = Self::rule("import");
        let mut summary =
            self.casework().import_directory(self.org(), &directory, &actor, self.now()).await?;
        summary.rates_not_kept = self.slow_down_for(&directory).await?;
        Ok(summary)
    }

    /// Has the networks of each provider that asks for it asked no faster than that; gives the names of
    /// those of whom no network is known.
    async fn slow_down_for(&self, directory: &Directory) -> Result<Vec<String>, ActError> {
        let asked: HashMap<&str, u32> =
            directory.entries.iter().filter_map(|entry| Some((entry.name.as_str(), entry.pps?))).collect();
        let mut rates = Vec::new();
        for provider in self.all_providers().await? {
            let Some(pps) = asked.get(provider.name.as_str()).filter(|_| !provider.retired) else {
                continue;
            };
            let networks = self.casework().provider_prefixes(self.org(), provider.provider_id).await?;
            // A quarter of a second's worth at once keeps a sweep even.
            let (name, burst) = (provider.name, pps.div_ceil(4));
            rates.push(ProviderRate { name, addresses: networks.into_iter().collect(), pps: *pps, burst });
        }
        // Of a provider that only claims AS numbers nothing may be known yet.
        let (rates, unknown): (Vec<_>, Vec<_>) =
            rates.into_iter().partition(|rate| !rate.addresses.is_empty());
        self.authority().set_provider_rates(rates)?;
        Ok(unknown.into_iter().map(|rate| rate.name).collect())
    }

    /// Composes, queues and sends the notices of a round; `None` for the newest assessed one.
    ///
    /// Every Message-ID is journalled before its mail is handed over. What a crash left half-way is
    /// settled first: the outbox is completed, a mail in the middle of SMTP becomes
    /// `delivery-uncertain` and is shown, never sent again by itself.
    pub async fn notify(&self, survey: Option<SurveyId>) -> Result<Notified, ActError> {
        let survey = match survey {
            Some(id) => self.casework().survey(self.org(), id).await?,
            None => self.newest_assessed().await?,
        };
        if survey.assessed_at.is_none() {
            return Err(ActError::no(format!("survey {} is not assessed yet", survey.survey_id))
                .with_hint("let it finish first: `kenshin survey resume`"));
        }
        let transport = self.transport()?;
        let now = self.now();
        self.casework().recover_notices(self.org(), &transport, now, now).await?;
        let letterhead = self.letterhead(&survey)?;
        let queued = self
            .casework()
            .queue_notices(self.org(), survey.survey_id, &letterhead, self.messages(), now)
            .await?;
        let delivered = self.casework().deliver_notices(self.org(), &transport, &self.edge().clock()).await?;
        Ok(Notified {
            survey_id: survey.survey_id,
            queued,
            sent: delivered.sent as u64,
            failed: delivered.failed as u64,
            uncertain: delivered.uncertain as u64,
        })
    }

    /// How mails leave, by the settings.
    pub(crate) fn transport(&self) -> Result<Transport, ActError> {
        let mail = &self.settings().mail;
        let Some(relay) = mail.relay.as_deref().filter(|_| mail.transport == "smtp") else {
            return Ok(Transport::Maildir(self.home().outbox()));
        };
        let wrong = || {
            ActError::input(format!("mail.relay `{relay}` is not a relay"))
                .with_hint("write smtp://host:25 for a relay on this machine, or smtp+starttls://host:587")
        };
        let (scheme, rest) = relay.split_once("://").ok_or_else(wrong)?;
        let tls = match scheme {
            "smtp" => Tls::None,
            "smtp+starttls" => Tls::StartTls { trusted: None },
            _ => return Err(wrong()),
        };
        let (host, port) = rest.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().map_err(|_| wrong())?;
        let hello = domain(&mail.from).to_owned();
        Ok(Transport::Smtp(Smtp { host: host.to_owned(), port, tls, credentials: None, hello }))
    }

    async fn newest_assessed(&self) -> Result<Survey, ActError> {
        let mut page = Some(PageRequest::first());
        while let Some(request) = page {
            let surveys = self.casework().surveys(self.org(), None, &request).await?;
            page = PageRequest::following(&surveys);
            if let Some(survey) = surveys.items.into_iter().find(|survey| survey.assessed_at.is_some()) {
                return Ok(survey);
            }
        }
        Err(ActError::no("there is no assessed survey to notify about")
            .with_hint("run one: `kenshin survey run`"))
    }

    fn letterhead(&self, survey: &Survey) -> Result<Letterhead, ActError> {
        let mandate_id = survey.plan.get("mandate_id").and_then(|id| id.as_str()).ok_or_else(|| {
            ActError::no(format!("the plan of survey {} names no mandate", survey.survey_id))
        })?;
        let mandate = self.authority().mandate(mandate_id, self.now())?;
        if mandate.legal_basis.notify.is_none() {
            return Err(ActError::no(format!("mandate `{mandate_id}` states no legal basis to notify"))
                .with_hint("a new version of the mandate must have legal_basis.notify"));
        }
        let contacts = &mandate.contacts;
        let contact = [
            Some(contacts.name.clone()),
            contacts.phone.clone(),
            Some(contacts.email.clone()),
            contacts.web.clone(),
        ]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(", ");
        let from = self.settings().mail.from.clone();
        Ok(Letterhead {
            organisation: self.settings().organisation.clone(),
            from,
            reply_to: Some(contacts.email.clone()),
            contact,
            mandate_id: mandate.id.clone(),
            mandate_digest: survey.mandate_digest.clone(),
            base_url: self.settings().web.base_url.clone(),
            message_domain: domain(&self.settings().mail.from).to_owned(),
        })
    }
}

/// What follows the `@` of a sender.
pub(crate) fn domain(from: &str) -> &str {
    from.trim_end_matches('>').rsplit('@').next().unwrap_or("localhost")
}

#[cfg(test)]
mod tests {
    use kenshin_observation::TimeUs;

    use super::*;
    use crate::{Edge, Home};

    /// What the directory asks for holds from its import on, and no longer than it asks.
    #[tokio::test]
    async fn a_provider_of_the_directory_is_asked_as_slowly_as_it_wants() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let edge = Edge::fixed(TimeUs::from_secs(1_790_000_000), [7; 32]);
        Observatory::init(&home, "Example CSIRT", "admin", "en", &edge).await.unwrap();
        let observatory = Observatory::open(&home, &edge).await.unwrap();
        let import = async |text: &str| {
            let summary = observatory.import_providers("providers.csv", text, folder.path()).await.unwrap();
            (observatory.authority().narrowing().unwrap().providers().to_vec(), summary.rates_not_kept)
        };
        let (slow, not_kept) = import(
            "prefix_or_asn,name,mail,language,encryption,pps\n\
             198.51.100.0/24,A,a@example.net,ja,link-only,50\n203.0.113.0/24,A,a@example.net,ja,link-only,50\n\
             192.0.2.0/24,B,b@example.net,ja,link-only,\nAS64500,C,c@example.net,ja,link-only,9\n",
        )
        .await;
        assert_eq!(slow.len(), 1, "{slow:?}");
        assert_eq!((slow[0].name.as_str(), slow[0].pps, slow[0].addresses.count()), ("A", 50, 512));
        assert_eq!(not_kept, ["C"], "nobody knows what its AS number announces");
        let free = import(
            "prefix_or_asn,name,mail,language,encryption\n198.51.100.0/24,A,a@example.net,ja,link-only\n",
        )
        .await;
        assert_eq!(free, (vec![], vec![]));
    }
}
