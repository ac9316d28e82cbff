//! Notices as they were sent.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use kenshin_casework::{CaseFilter, Notice, NoticeFilter, PageRequest};
use kenshin_observation::{NoticeId, SurveyId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::Instant;
use crate::api::cases::{self, CaseRow};
use crate::api::providers::ProviderRef;
use crate::api::query::{Params, ProviderNames, id, page, word};
use crate::guard::Caller;
use crate::{Problem, Web};

/// A page of notices, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct NoticePage {
    /// The rows.
    pub items: Vec<NoticeRow>,
    /// `after` of the next page.
    pub next: Option<String>,
}

/// One notice in a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct NoticeRow {
    /// Id.
    pub notice_id: String,
    /// Round it reports.
    pub survey_id: String,
    /// Number of that round.
    pub round: Option<i64>,
    /// Who was told.
    pub provider: ProviderRef,
    /// Address it went to.
    pub recipient: String,
    /// Subject line.
    pub subject: String,
    /// Language it is written in.
    pub language: String,
    /// How what it says is kept from those who carry it.
    #[schema(schema_with = super::words::protection)]
    pub protection: String,
    /// Where the delivery stands. An uncertain one is never sent again by itself.
    #[schema(schema_with = super::words::notice_state)]
    pub state: String,
    /// Cases it speaks of.
    pub cases: i64,
    /// Findings it lists.
    pub findings: i64,
    /// When it was written.
    pub created_at: Instant,
    /// When it was handed over.
    pub sent_at: Option<Instant>,
}

/// One notice.
#[derive(Debug, Serialize, ToSchema)]
pub struct NoticeDetail {
    /// The row of the list.
    pub notice: NoticeRow,
    /// Message-ID, written down before sending.
    pub message_id: String,
    /// Address it came from.
    pub sender: String,
    /// SHA-256 of text and attachments.
    pub digest: String,
    /// What it says, before protection.
    pub text: String,
    /// Attachments.
    pub attachments: Vec<Attachment>,
    /// What happened to it, oldest first.
    pub deliveries: Vec<Delivery>,
    /// The first 500 of its cases.
    pub cases: Vec<CaseRow>,
}

/// A file that went with a notice.
#[derive(Debug, Serialize, ToSchema)]
pub struct Attachment {
    /// Its name.
    pub name: String,
    /// Its content.
    pub text: String,
}

/// One step of a delivery.
#[derive(Debug, Serialize, ToSchema)]
pub struct Delivery {
    /// When.
    pub at: Instant,
    /// The new state.
    #[schema(schema_with = super::words::notice_state)]
    pub state: String,
    /// What the other side said.
    pub detail: String,
}

/// Whether a mail is genuine.
#[derive(Debug, Serialize, ToSchema)]
pub struct Genuine {
    /// True when a notice with this id and digest was written here.
    pub genuine: bool,
}

/// What a mail claims.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DigestQuery {
    /// The digest that the mail states.
    #[param(max_length = 128)]
    digest: String,
}

/// Which notices.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct NoticeQuery {
    /// `next` of the page before.
    #[param(max_length = 200)]
    after: Option<String>,
    /// Rows wanted.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// To this provider.
    provider: Option<String>,
    /// In this state.
    state: Option<String>,
    /// Of this round.
    survey: Option<String>,
}

/// Notices, newest first.
#[utoipa::path(get, path = "/api/v1/notices", tag = "notices", operation_id = "notices_list", params(NoticeQuery),
    responses((status = 200, body = NoticePage), (status = "4XX", body = Problem)))]
pub(crate) async fn list(
    State(web): State<Web>,
    caller: Caller,
    Params(query): Params<NoticeQuery>,
) -> Result<Json<NoticePage>, Problem> {
    let filter = NoticeFilter {
        provider: word("provider", query.provider.as_deref())?,
        state: word("state", query.state.as_deref())?,
        survey: word("survey", query.survey.as_deref())?,
        ..NoticeFilter::default()
    };
    let names = ProviderNames::read(&web, &caller).await?;
    let found = web.casework().notices(&caller.viewer()?, &filter, &page(query.after, query.limit)).await?;
    Ok(Json(NoticePage { items: rows(&web, &found.items, &names).await?, next: found.next }))
}

/// One notice: what it says, before protection.
#[utoipa::path(get, path = "/api/v1/notices/{id}", tag = "notices", operation_id = "notices_show", params(("id" = String, Path)),
    responses((status = 200, body = NoticeDetail), (status = "4XX", body = Problem)))]
pub(crate) async fn show(
    State(web): State<Web>,
    caller: Caller,
    Path(text): Path<String>,
) -> Result<Json<NoticeDetail>, Problem> {
    let notice_id: NoticeId = id("notice", &text)?;
    let viewer = caller.viewer()?;
    let casework = web.casework();
    let notice = casework.notice(&viewer, notice_id).await?;
    let content = casework.notice_content(&viewer, notice_id).await?;
    let journal = casework.notice_journal(&viewer, notice_id).await?;
    let names = ProviderNames::read(&web, &caller).await?;
    let about = CaseFilter { notice: Some(notice_id), ..CaseFilter::default() };
    let about = casework.cases(&viewer, &about, &PageRequest::first()).await?;
    let mut listed = rows(&web, std::slice::from_ref(&notice), &names).await?;
    let Some(row) = listed.pop() else { return Err(Problem::not_found("notice", &text)) };
    Ok(Json(NoticeDetail {
        notice: row,
        message_id: notice.message_id,
        sender: notice.sender,
        digest: notice.digest,
        text: content.text,
        attachments: content
            .attachments
            .into_iter()
            .map(|attachment| Attachment { name: attachment.name, text: attachment.text })
            .collect(),
        deliveries: journal
            .into_iter()
            .map(|entry| Delivery {
                at: entry.at.into(),
                state: entry.state.to_string(),
                detail: entry.detail,
            })
            .collect(),
        cases: cases::rows(&web, &caller, &about.items, &names).await?,
    }))
}

/// Whether a mail with this number and digest came from here. Open to everybody; tells nothing else.
#[utoipa::path(get, path = "/api/v1/notices/{id}/genuine", tag = "notices", operation_id = "notices_genuine", params(("id" = String, Path), DigestQuery),
    responses((status = 200, body = Genuine), (status = "4XX", body = Problem)))]
pub(crate) async fn genuine(
    State(web): State<Web>,
    Path(text): Path<String>,
    Params(query): Params<DigestQuery>,
) -> Result<Json<Genuine>, Problem> {
    let genuine = match text.parse::<NoticeId>() {
        Ok(id) => web.casework().is_genuine(id, &query.digest).await?,
        Err(_) => false,
    };
    Ok(Json(Genuine { genuine }))
}

pub(super) async fn rows(
    web: &Web,
    notices: &[Notice],
    names: &ProviderNames,
) -> Result<Vec<NoticeRow>, Problem> {
    let mut rounds: BTreeMap<SurveyId, Option<i64>> = BTreeMap::new();
    let mut rows = Vec::with_capacity(notices.len());
    for notice in notices {
        let round = match rounds.get(&notice.survey_id) {
            Some(round) => *round,
            None => {
                let survey = web.casework().survey(web.org(), notice.survey_id).await;
                let round = survey.ok().map(|survey| survey.round);
                rounds.insert(notice.survey_id, round);
                round
            }
        };
        rows.push(NoticeRow {
            notice_id: notice.notice_id.to_string(),
            survey_id: notice.survey_id.to_string(),
            round,
            provider: names.named(notice.provider_id),
            recipient: notice.recipient.clone(),
            subject: notice.subject.clone(),
            language: notice.language.clone(),
            protection: notice.protection.to_string(),
            state: notice.state.to_string(),
            cases: notice.cases,
            findings: notice.findings,
            created_at: notice.created_at.into(),
            sent_at: notice.sent_at.map(Instant),
        });
    }
    Ok(rows)
}
