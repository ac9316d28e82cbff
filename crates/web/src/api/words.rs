//! The closed lists of other rooms, as schemas: the interface's types come from them.

use kenshin_casework as casework;
use kenshin_observation as observation;
use utoipa::openapi::schema::{Array, Object, ObjectBuilder, Type};

fn list(words: impl Iterator<Item = &'static str>) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build()
}

/// What is wrong.
pub(super) fn finding_kind() -> Object {
    list(observation::FindingKind::ALL.iter().map(|word| word.as_str()))
}

/// What the owner must do.
pub(super) fn remedy() -> Object {
    list(observation::Remedy::ALL.iter().map(|word| word.as_str()))
}

/// How urgent.
pub(super) fn severity() -> Object {
    list(observation::Severity::ALL.iter().map(|word| word.as_str()))
}

/// How soon something must be done.
pub(super) fn decision() -> Object {
    list(observation::Decision::ALL.iter().map(|word| word.as_str()))
}

/// In which order rows come.
pub(super) fn order() -> Object {
    list(kenshin_casework::Order::ALL.iter().map(|word| word.as_str()))
}

/// How an attempt ended.
pub(super) fn outcome() -> Object {
    list(observation::Outcome::ALL.iter().map(|word| word.as_str()))
}

/// What a re-check saw.
pub(super) fn condition() -> Object {
    list(observation::Condition::ALL.iter().map(|word| word.as_str()))
}

/// What a person may do in an organisation.
pub(super) fn role() -> Object {
    list(casework::Role::ALL.iter().map(|word| word.as_str()))
}

/// How far a case is with people.
pub(super) fn stage() -> Object {
    list(casework::Stage::ALL.iter().map(|word| word.as_str()))
}

/// Why a case was closed.
pub(super) fn close_reason() -> Object {
    list(casework::CloseReason::ALL.iter().map(|word| word.as_str()))
}

/// Whether a finding holds.
pub(super) fn finding_state() -> Object {
    list(casework::FindingState::ALL.iter().map(|word| word.as_str()))
}

/// Where a notice stands.
pub(super) fn notice_state() -> Object {
    list(casework::NoticeState::ALL.iter().map(|word| word.as_str()))
}

/// How what a notice says is kept from those who carry it.
pub(super) fn protection() -> Object {
    list(casework::Protection::ALL.iter().map(|word| word.as_str()))
}

/// What a survey is for.
pub(super) fn survey_kind() -> Object {
    list(casework::SurveyKind::ALL.iter().map(|word| word.as_str()))
}

/// Where a survey stands.
pub(super) fn survey_state() -> Object {
    list(casework::SurveyState::ALL.iter().map(|word| word.as_str()))
}

/// Where a request to leave a prefix alone stands.
pub(super) fn opt_out_state() -> Object {
    list(casework::OptOutState::ALL.iter().map(|word| word.as_str()))
}

/// What counts as a change of an answer.
pub(super) fn watch() -> Object {
    list(casework::Watch::ALL.iter().map(|word| word.as_str()))
}

/// Why a saved search does not alert.
pub(super) fn trouble() -> Object {
    list(casework::Trouble::ALL.iter().map(|word| word.as_str()))
}

/// How an answer is otherwise.
pub(super) fn turn() -> Object {
    list(casework::Turn::ALL.iter().map(|word| word.as_str()))
}

/// How somebody is told.
pub(super) fn channel() -> Object {
    list(casework::Channel::ALL.iter().map(|word| word.as_str()))
}

/// What a look at a saved search came to.
pub(super) fn look() -> Object {
    list(kenshin_observatory::Outcome::ALL.iter().map(|word| word.as_str()))
}

/// What the caller may do with a case.
pub(super) fn case_actions() -> Array {
    Array::new(list(["ack", "dispute", "close", "recheck"].into_iter()))
}

/// Reasons for closing.
pub(super) fn close_reasons() -> Array {
    Array::new(close_reason())
}
