//! What comes in: queries, bodies, pages, words. Whatever is wrong becomes a problem with a hint.

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use kenshin_casework::{PageRequest, Provider};
use kenshin_observation::{ProviderId, UserId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use crate::api::providers::ProviderRef;
use crate::guard::Caller;
use crate::{Problem, Web};

/// Pages of the provider directory read for names at most.
const DIRECTORY_PAGES_MAX: usize = 40;

/// The query string.
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<Web> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Web) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(error) => Err(Problem::bad_request(error.body_text())
                .hint("/api/openapi.json lists the parameters of every route")),
        }
    }
}

/// A JSON body.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Web> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &Web) -> Result<Self, Problem> {
        match axum::Json::<T>::from_request(request, state).await {
            Ok(axum::Json(value)) => Ok(Self(value)),
            Err(error) => {
                Err(Problem { status: error.status().as_u16(), ..Problem::bad_request(error.body_text()) }
                    .hint("send the JSON that /api/openapi.json describes, as application/json"))
            }
        }
    }
}

/// Which page of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// `next` of the page before.
    #[param(max_length = 200)]
    pub(crate) after: Option<String>,
    /// Rows wanted.
    #[param(minimum = 1, maximum = 500)]
    pub(crate) limit: Option<u32>,
}

/// Language of prose in the answer.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct LangQuery {
    /// Language tag; `en` when it is left out or unknown.
    #[param(max_length = 16, example = "ja")]
    pub(crate) lang: Option<String>,
}

impl LangQuery {
    pub(crate) fn tag(&self) -> &str {
        self.lang.as_deref().unwrap_or("en")
    }
}

/// A page as casework takes it.
pub(crate) fn page(after: Option<String>, limit: Option<u32>) -> PageRequest {
    PageRequest { after, limit: limit.unwrap_or(0) }
}

/// An optional word, id or prefix of a query.
pub(crate) fn word<T>(name: &str, text: Option<&str>) -> Result<Option<T>, Problem>
where
    T: FromStr,
    T::Err: Display,
{
    match text {
        None | Some("") => Ok(None),
        Some(text) => match text.parse() {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(Problem::bad_request(format!("parameter `{name}`: {error}"))),
        },
    }
}

/// An id of a path. One that is none of ours leads nowhere, like one that is not there.
pub(crate) fn id<T: FromStr>(what: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::not_found(what, &text.chars().take(64).collect::<String>()))
}

/// Names of the providers that the caller may see.
pub(crate) struct ProviderNames(HashMap<ProviderId, String>);

impl ProviderNames {
    /// Reads the directory.
    pub(crate) async fn read(web: &Web, caller: &Caller) -> Result<Self, Problem> {
        let viewer = caller.viewer()?;
        let mut names = HashMap::new();
        let mut request = Some(PageRequest::first());
        for _ in 0..DIRECTORY_PAGES_MAX {
            let Some(wanted) = request.take() else { break };
            let found = web.casework().providers(&viewer, &wanted).await?;
            request = PageRequest::following(&found);
            names.extend(
                found.items.into_iter().map(|Provider { provider_id, name, .. }| (provider_id, name)),
            );
        }
        Ok(Self(names))
    }

    /// A provider for display; one without a name in the directory shows as its id.
    pub(crate) fn named(&self, id: ProviderId) -> ProviderRef {
        let name = self.0.get(&id).cloned().unwrap_or_else(|| id.to_string());
        ProviderRef { provider_id: id.to_string(), name }
    }
}

/// Names of people, each read once.
#[derive(Default)]
pub(crate) struct PeopleNames(HashMap<UserId, String>);

impl PeopleNames {
    /// Who acted, for display, and whether it was a person.
    pub(crate) async fn named(&mut self, web: &Web, actor: &kenshin_casework::Actor) -> (String, bool) {
        match actor {
            kenshin_casework::Actor::Rule(name) => (name.clone(), false),
            kenshin_casework::Actor::User(id) => {
                if let Some(name) = self.0.get(id) {
                    return (name.clone(), true);
                }
                let name = match web.casework().user(web.org(), *id).await {
                    Ok(user) => user.name,
                    Err(_) => id.to_string(),
                };
                self.0.insert(*id, name.clone());
                (name, true)
            }
        }
    }
}
