//! A case's trail for display, and what may follow it.

use std::collections::BTreeMap;

use kenshin_casework::{Actor, CaseChange, CaseEvent, CaseState, CloseReason, Viewer};
use kenshin_observation::{Messages, TimeUs};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::Instant;
use crate::api::query::{PeopleNames, ProviderNames};
use crate::policy::{self, Action, Bounds, Decision};
use crate::{Problem, Web};

/// One event of a trail.
#[derive(Debug, Serialize, ToSchema)]
pub struct TrailRow {
    /// From 1, without gaps.
    pub seq: i64,
    /// When.
    pub at: Instant,
    /// Name of the person, or of the rule.
    pub actor: String,
    /// True when a person acted.
    pub person: bool,
    /// What happened.
    pub change: String,
    /// The words that belong to it: condition, reason, severity, basis and so on.
    pub words: BTreeMap<String, String>,
    /// What was said: text, never markup.
    pub note: Option<String>,
    /// Why, in the language asked for.
    pub reasons: Vec<String>,
    /// Survey it stands on.
    pub survey_id: Option<String>,
    /// Notice it speaks of.
    pub notice_id: Option<String>,
    /// Finding it speaks of.
    pub finding: Option<String>,
}

/// The trail in the language asked for.
pub(super) async fn rows(
    web: &Web,
    events: &[CaseEvent],
    names: &ProviderNames,
    language: &str,
) -> Result<Vec<TrailRow>, Problem> {
    let mut people = PeopleNames::default();
    let mut rows = Vec::with_capacity(events.len());
    for event in events {
        let (actor, person) = people.named(web, &event.actor).await;
        let mut row = TrailRow {
            seq: event.seq,
            at: event.at.into(),
            actor,
            person,
            change: kind(&event.change).to_owned(),
            words: BTreeMap::new(),
            note: None,
            reasons: Vec::new(),
            survey_id: None,
            notice_id: None,
            finding: None,
        };
        fill(&mut row, &event.change, names, web.observatory().messages(), language);
        rows.push(row);
    }
    Ok(rows)
}

fn fill(row: &mut TrailRow, change: &CaseChange, names: &ProviderNames, messages: &Messages, language: &str) {
    let mut say = |name: &str, value: String| {
        row.words.insert(name.to_owned(), value);
    };
    match change {
        CaseChange::Opened { severity, survey_id, finding, .. }
        | CaseChange::FindingAttached { severity, survey_id, finding } => {
            say("severity", severity.to_string());
            row.survey_id = Some(survey_id.to_string());
            row.finding = Some(finding.clone());
        }
        CaseChange::FindingWithdrawn { finding, note } => {
            row.finding = Some(finding.clone());
            row.note = text(note);
        }
        CaseChange::Addressed { provider } => {
            if let Some(id) = provider {
                say("provider", names.named(*id).name);
            }
        }
        CaseChange::ArmDrawn { arm } => {
            say("wording", arm.wording.clone());
            say("delay_s", arm.delay_s.to_string());
        }
        CaseChange::Notified { notice, survey_id } => {
            row.notice_id = Some(notice.to_string());
            row.survey_id = Some(survey_id.to_string());
        }
        CaseChange::Acknowledged { note } | CaseChange::Disputed { note } | CaseChange::Noted { note } => {
            row.note = text(note);
        }
        CaseChange::Judged { judgement } => {
            say("condition", judgement.condition.to_string());
            say("basis", judgement.basis.clone());
            if let Some(endpoint) = judgement.seen_at {
                say("seen_at", endpoint.to_string());
            }
            row.survey_id = Some(judgement.survey_id.to_string());
            row.reasons = judgement.reasons.iter().map(|reason| messages.explain(language, reason)).collect();
        }
        CaseChange::Closed { reason, note } => {
            say("reason", reason.to_string());
            row.note = text(note);
        }
        CaseChange::Reopened { cause, note } => {
            say("cause", cause.to_string());
            row.note = text(note);
        }
    }
}

fn text(note: &str) -> Option<String> {
    (!note.is_empty()).then(|| note.to_owned())
}

const fn kind(change: &CaseChange) -> &'static str {
    match change {
        CaseChange::Opened { .. } => "opened",
        CaseChange::FindingAttached { .. } => "finding-attached",
        CaseChange::FindingWithdrawn { .. } => "finding-withdrawn",
        CaseChange::Addressed { .. } => "addressed",
        CaseChange::ArmDrawn { .. } => "arm-drawn",
        CaseChange::Notified { .. } => "notified",
        CaseChange::Acknowledged { .. } => "acknowledged",
        CaseChange::Disputed { .. } => "disputed",
        CaseChange::Judged { .. } => "judged",
        CaseChange::Noted { .. } => "noted",
        CaseChange::Closed { .. } => "closed",
        CaseChange::Reopened { .. } => "reopened",
    }
}

/// What `viewer` may do with a case in this state: what the policy allows and the state machine
/// would take.
pub(super) fn actions(state: &CaseState, viewer: &Viewer, now: TimeUs) -> Vec<String> {
    let may = |action| policy::allowed(Some(viewer.role), Bounds::of(viewer), action) != Decision::Refused;
    let note = || "?".to_owned();
    let mut actions = Vec::new();
    if may(Action::AcknowledgeCase) && would_take(state, CaseChange::Acknowledged { note: note() }, now) {
        actions.push("ack".to_owned());
    }
    if may(Action::DisputeCase) && would_take(state, CaseChange::Disputed { note: note() }, now) {
        actions.push("dispute".to_owned());
    }
    if may(Action::CloseCase) && !close_reasons(state, now).is_empty() {
        actions.push("close".to_owned());
    }
    if may(Action::RecheckCase) && state.close_reason.is_none() {
        actions.push("recheck".to_owned());
    }
    actions
}

/// Reasons that the state machine would take from a person now.
pub(super) fn close_reasons(state: &CaseState, now: TimeUs) -> Vec<CloseReason> {
    let fits = |reason: &CloseReason| {
        would_take(state, CaseChange::Closed { reason: *reason, note: "?".to_owned() }, now)
    };
    CloseReason::ALL.iter().copied().filter(fits).collect()
}

fn would_take(state: &CaseState, change: CaseChange, now: TimeUs) -> bool {
    let person = Actor::User(kenshin_observation::UserId::from_bits(0));
    let event = CaseEvent { case_id: state.case_id, seq: state.seq + 1, at: now, actor: person, change };
    state.apply(&event).is_ok()
}
