//! Mandates in plain words.

use axum::Json;
use axum::extract::{Path, State};
use kenshin_mandate::{Mandate, Statement, standing};
use kenshin_observation::{Explanation, Messages, TimeUs};
use kenshin_observatory::{ActError, Authority};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::Instant;
use crate::api::query::{LangQuery, Params};
use crate::{Problem, Web};

/// Rows on a page at most, and when nothing is asked for.
const PAGE: u32 = 100;

/// A page of mandates, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct MandatePage {
    /// The rows.
    pub items: Vec<MandateRow>,
    /// `after` of the next page.
    pub next: Option<String>,
}

/// One mandate in a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct MandateRow {
    /// Its id, with which it is asked for.
    pub mandate_id: String,
    /// Its version.
    pub version: i64,
    /// Programme it serves.
    pub programme: String,
    /// SHA-256 of the signed text.
    pub digest: String,
    /// Whether anything may be sent under it now.
    pub in_force: bool,
    /// Why not, in the language asked for.
    pub refusal: Option<String>,
    /// Start of its validity.
    pub valid_from: Option<Instant>,
    /// End of its validity.
    pub valid_until: Option<Instant>,
    /// Who signed.
    pub signers: Vec<String>,
}

/// One mandate.
#[derive(Debug, Serialize, ToSchema)]
pub struct MandateDetail {
    /// The row of the list.
    pub mandate: MandateRow,
    /// Its title.
    pub title: String,
    /// Who issues it.
    pub authority: String,
    /// What it allows, sentence by sentence, in the language asked for.
    pub statement: Vec<String>,
    /// Addresses a survey goes through; absent when they are too many to enumerate.
    pub targets: Option<f64>,
    /// Addresses of the scope that are excluded.
    pub excluded: f64,
    /// Pairs of transport and port.
    pub ports: i64,
    /// Exchanges of one sweep.
    pub exchanges: Option<f64>,
    /// Seconds of sending that one sweep takes at the mandate's rates.
    pub duration_s: Option<i64>,
    /// Checks granted.
    pub checks: Vec<String>,
    /// The signed text, byte for byte.
    pub text: String,
}

/// Which mandates, and in which language.
#[derive(Debug, Default, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct MandateQuery {
    /// `next` of the page before.
    #[param(max_length = 200)]
    after: Option<String>,
    /// Rows wanted.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// Language tag.
    #[param(max_length = 16)]
    lang: Option<String>,
}

/// Mandates of the home, by id.
#[utoipa::path(get, path = "/api/v1/mandates", tag = "mandates", operation_id = "mandates_list", params(MandateQuery),
    responses((status = 200, body = MandatePage), (status = "4XX", body = Problem)))]
pub(crate) async fn list(
    State(web): State<Web>,
    Params(query): Params<MandateQuery>,
) -> Result<Json<MandatePage>, Problem> {
    let limit = usize::try_from(query.limit.unwrap_or(PAGE).clamp(1, 500)).unwrap_or(100);
    let language = query.lang.unwrap_or_else(|| "en".to_owned());
    let answer = reading(&web, move |authority, messages, now| {
        let mut ids = authority.ids()?;
        ids.retain(|id| query.after.as_ref().is_none_or(|after| id > after));
        let next = (ids.len() > limit).then(|| ids.get(limit - 1).cloned()).flatten();
        ids.truncate(limit);
        let items = ids.iter().filter_map(|id| Some(read(authority, id, now).ok()?.row(messages, &language)));
        Ok(MandatePage { items: items.collect(), next })
    });
    Ok(Json(answer.await?))
}

/// One mandate in plain words.
#[utoipa::path(get, path = "/api/v1/mandates/{id}", tag = "mandates", operation_id = "mandates_show", params(("id" = String, Path), LangQuery),
    responses((status = 200, body = MandateDetail), (status = "4XX", body = Problem)))]
pub(crate) async fn show(
    State(web): State<Web>,
    Path(id): Path<String>,
    Params(lang): Params<LangQuery>,
) -> Result<Json<MandateDetail>, Problem> {
    let language = lang.tag().to_owned();
    let wanted = id.clone();
    let answer = reading(&web, move |authority, messages, now| {
        if !authority.ids()?.contains(&wanted) {
            return Ok(None);
        }
        read(authority, &wanted, now).map(|read| Some(read.detail(messages, &language)))
    });
    answer.await?.map(Json).ok_or_else(|| Problem::not_found("mandate", &id))
}

/// Id of the mandate with this digest, when it is still here.
pub(super) async fn id_of(web: &Web, digest: String) -> Option<String> {
    let found = reading(web, move |authority, _, _| {
        Ok(authority.ids()?.into_iter().find(|id| {
            let text = authority.signed_text(id).map(|signed| Mandate::parse(id, &signed.text));
            text.is_ok_and(|mandate| mandate.is_ok_and(|mandate| mandate.digest() == digest))
        }))
    });
    found.await.ok().flatten()
}

/// Reads files of the home away from the threads that answer.
async fn reading<T: Send + 'static>(
    web: &Web,
    read: impl FnOnce(&Authority, &Messages, TimeUs) -> Result<T, ActError> + Send + 'static,
) -> Result<T, Problem> {
    let observatory = web.observatory().clone();
    let now = web.now();
    let task =
        tokio::task::spawn_blocking(move || read(&observatory.authority(), observatory.messages(), now));
    match task.await {
        Ok(answer) => Ok(answer?),
        Err(error) => Err(Problem::ours(&error)),
    }
}

/// A mandate as it lies in the home, and whether it authorises anything now.
struct ReadMandate {
    mandate: Mandate,
    statement: Statement,
    signers: Vec<String>,
    text: String,
    /// Why its signatures do not hold.
    unverified: Option<String>,
}

fn read(authority: &Authority, id: &str, now: TimeUs) -> Result<ReadMandate, ActError> {
    let text = authority.signed_text(id)?.text;
    let mandate = Mandate::parse(id, &text).map_err(|error| ActError::input(error.to_string()))?;
    let verified = match authority.mandate(id, now) {
        Ok(verified) => verified,
        Err(error) => {
            let statement = Statement::new(&mandate, &[], None);
            return Ok(ReadMandate {
                mandate,
                statement,
                signers: Vec::new(),
                text,
                unverified: Some(error.to_string()),
            });
        }
    };
    let revocation = authority.revocation(&verified, &authority.roots()?, now);
    let stands = match &revocation {
        Ok(list) => standing(&verified, list.as_ref(), &authority.narrowing()?, now),
        Err(_) => standing(&verified, None, &authority.narrowing()?, now),
    };
    let statement = Statement::new(verified.mandate(), verified.signers(), Some(stands));
    let signers = statement.signed_by.clone();
    Ok(ReadMandate {
        mandate,
        statement,
        signers,
        text,
        unverified: revocation.err().map(|error| error.to_string()),
    })
}

impl ReadMandate {
    fn row(&self, messages: &Messages, language: &str) -> MandateRow {
        // The last sentence of a mandate that does not stand says why.
        let refused = self.statement.refused.and_then(|_| self.statement.sentences.last());
        let refusal = refused.map(|why: &Explanation| messages.explain(language, why));
        MandateRow {
            mandate_id: self.mandate.id.clone(),
            version: i64::from(self.mandate.version),
            programme: self.mandate.programme.clone(),
            digest: self.mandate.digest().to_owned(),
            in_force: self.unverified.is_none() && self.statement.refused.is_none(),
            refusal: self.unverified.clone().or(refusal),
            valid_from: Some(self.mandate.valid_from.into()),
            valid_until: Some(self.mandate.valid_until.into()),
            signers: self.signers.clone(),
        }
    }

    /// Numbers are sent as doubles: those above 2^53 are for people to read.
    fn detail(self, messages: &Messages, language: &str) -> MandateDetail {
        let statement = &self.statement;
        MandateDetail {
            mandate: self.row(messages, language),
            title: statement.title.clone(),
            authority: statement.authority.clone(),
            statement: statement.sentences.iter().map(|said| messages.explain(language, said)).collect(),
            targets: statement.targets.map(|targets| targets as f64),
            excluded: statement.excluded as f64,
            ports: i64::from(statement.ports),
            exchanges: statement.exchanges.map(|exchanges| exchanges as f64),
            duration_s: statement.duration_s.and_then(|seconds| i64::try_from(seconds).ok()),
            checks: statement.checks.iter().map(ToString::to_string).collect(),
            text: self.text,
        }
    }
}
