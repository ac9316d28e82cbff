//! The state machine of a case: three axes over an append-only trail. Pure.
//!
//! [`CaseState::open`] makes a state from the first event, [`CaseState::apply`] takes each later
//! one or refuses it. Nothing else changes a case, and every table of states is computed by
//! replaying events through here.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use kenshin_observation::{
    CaseId, CaseSubject, Condition, Endpoint, Explanation, NoticeId, ProviderId, Remedy, Severity, SurveyId,
    TimeUs, UserId, words,
};
use serde::{Deserialize, Serialize};

use crate::experiment::Arm;

words!(
    /// How far the matter is with people.
    Stage, "stage" {
        /// Known, nobody told yet.
        Open = "open",
        /// A notice went out.
        Notified = "notified",
        /// Somebody answered that they care for it.
        Acknowledged = "acknowledged",
        /// Somebody answered that it is not so.
        Disputed = "disputed",
        /// Done, for the stated reason.
        Closed = "closed",
    }
);

words!(
    /// Why a case was closed.
    CloseReason, "close reason" {
        /// The same asset answers, clean.
        Remedied = "remedied",
        /// The host is alive, the service closed.
        ExposureEnded = "exposure-ended",
        /// It never was so.
        FalsePositive = "false-positive",
        /// Knowledge or a rule changed; never recovery.
        Withdrawn = "withdrawn",
        /// The owner knows and decided to live with it.
        AcceptedRisk = "accepted-risk",
        /// The device is gone for good.
        Retired = "retired",
        /// Nobody is known who could be told.
        NoAddressee = "no-addressee",
    }
);

words!(
    /// Why a closed case was opened again.
    ReopenCause, "reopen cause" {
        /// It had ended and is back: the next episode.
        Relapse = "relapse",
        /// The closing was a mistake.
        Correction = "correction",
        /// Somebody to notify has become known.
        AddresseeFound = "addressee-found",
        /// By today's knowledge something is wrong that was not known before, or had been withdrawn.
        Knowledge = "knowledge",
        /// A retired device is seen again.
        Returned = "returned",
    }
);

impl CloseReason {
    /// True for what counts as recovery: the asset answers, clean. Nothing else does.
    pub fn is_recovery(self) -> bool {
        self == Self::Remedied
    }

    /// True when the weakness can be seen again later and that is a relapse.
    pub fn can_relapse(self) -> bool {
        matches!(self, Self::Remedied | Self::ExposureEnded)
    }
}

/// Who or what caused an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A person.
    User(UserId),
    /// A rule of the programme, by name.
    Rule(String),
}

/// A text that names no actor.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is neither user:<id> nor rule:<name>")]
pub struct ParseActorError(String);

impl Actor {
    /// A rule by its name.
    pub fn rule(name: &str) -> Self {
        Self::Rule(name.to_owned())
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::Rule(name) => write!(f, "rule:{name}"),
        }
    }
}

impl FromStr for Actor {
    type Err = ParseActorError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("user", id)) => id.parse().map(Self::User).map_err(|_| ParseActorError(text.to_owned())),
            Some(("rule", name)) if !name.is_empty() => Ok(Self::rule(name)),
            _ => Err(ParseActorError(text.to_owned())),
        }
    }
}

impl Serialize for Actor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Actor {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What a survey saw of a case's subject, as insight judged it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// The survey.
    pub survey_id: SurveyId,
    /// When the decisive observation was made; the survey's end when there was none.
    pub time: TimeUs,
    /// What was seen.
    pub condition: Condition,
    /// What continuity rests on: `key`, `address` or `none`.
    pub basis: String,
    /// Where the asset is now, for [`Condition::Elsewhere`].
    pub seen_at: Option<Endpoint>,
    /// For [`Condition::Elsewhere`]: whether the weakness was seen there; `None` when not told.
    pub still_affected: Option<bool>,
    /// Why, as codes and arguments.
    pub reasons: Vec<Explanation>,
}

/// What happened. The JSON of this enum is stored: variants and fields are only ever added, new
/// fields with a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum CaseChange {
    /// The first event.
    Opened {
        /// The immutable subject.
        subject: CaseSubject,
        /// What the owner must do.
        remedy: Remedy,
        /// How urgent.
        severity: Severity,
        /// Vendor and model, for display.
        product: Option<String>,
        /// Who can reach the owner.
        provider: Option<ProviderId>,
        /// Survey that found it.
        survey_id: SurveyId,
        /// The first finding.
        finding: String,
    },
    /// A finding of the same remedy on the same asset.
    FindingAttached {
        /// Its key.
        finding: String,
        /// Its severity.
        severity: Severity,
        /// Survey that found it.
        survey_id: SurveyId,
    },
    /// A finding no longer holds because knowledge or a rule changed.
    FindingWithdrawn {
        /// Its key.
        finding: String,
        /// What changed.
        note: String,
    },
    /// The directory names another addressee, or none.
    Addressed {
        /// The provider.
        provider: Option<ProviderId>,
    },
    /// The experiment's arm was drawn.
    ArmDrawn {
        /// The arm.
        arm: Arm,
    },
    /// A notice about it went to the provider.
    Notified {
        /// The notice.
        notice: NoticeId,
        /// The round.
        survey_id: SurveyId,
    },
    /// Somebody cares for it.
    Acknowledged {
        /// What they said.
        note: String,
    },
    /// Somebody says it is not so.
    Disputed {
        /// What they said.
        note: String,
    },
    /// A survey looked again.
    Judged {
        /// What it saw.
        judgement: Judgement,
    },
    /// A remark that changes nothing.
    Noted {
        /// The remark.
        note: String,
    },
    /// Done.
    Closed {
        /// Why.
        reason: CloseReason,
        /// In words; needed where a person decides.
        note: String,
    },
    /// Not done after all.
    Reopened {
        /// Why.
        cause: ReopenCause,
        /// In words.
        note: String,
    },
}

/// One event of a case's trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseEvent {
    /// The case.
    pub case_id: CaseId,
    /// From 1, without gaps.
    pub seq: i64,
    /// When.
    pub at: TimeUs,
    /// Who or what.
    pub actor: Actor,
    /// What.
    pub change: CaseChange,
}

/// Where a case stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseState {
    /// The case.
    pub case_id: CaseId,
    /// Last event applied.
    pub seq: i64,
    /// Where, what and when it was first seen. Never changes.
    pub subject: CaseSubject,
    /// What the owner must do.
    pub remedy: Remedy,
    /// First axis.
    pub stage: Stage,
    /// Second axis.
    pub condition: Condition,
    /// For [`Condition::Elsewhere`]: whether the weakness was seen there.
    pub still_affected: Option<bool>,
    /// Set exactly while closed.
    pub close_reason: Option<CloseReason>,
    /// Third axis: 1, and one more for each relapse.
    pub episode: i64,
    /// How often it was opened, for whatever cause.
    pub openings: i64,
    /// The highest of its findings.
    pub severity: Severity,
    /// Keys of its findings that were not withdrawn.
    pub findings: BTreeSet<String>,
    /// Who can reach the owner.
    pub provider: Option<ProviderId>,
    /// Where it was last seen.
    pub endpoint: Endpoint,
    /// Vendor and model, for display.
    pub product: Option<String>,
    /// The experiment's arm.
    pub arm: Option<Arm>,
    /// Survey that opened it first.
    pub opened_survey: SurveyId,
    /// When the current or last episode was opened.
    pub opened_at: TimeUs,
    /// First notice of the current or last episode.
    pub notified_at: Option<TimeUs>,
    /// Survey of the last notice.
    pub notified_survey: Option<SurveyId>,
    /// When it was last judged.
    pub judged_at: Option<TimeUs>,
    /// When it was closed.
    pub closed_at: Option<TimeUs>,
}

/// Why an event is not possible in a state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The trail must start with `opened`, and only start with it.
    #[error("a trail starts with `opened`, once")]
    Start,
    /// Event of another case, or a number missing or doubled.
    #[error("expected event {expected}, got {got}")]
    Sequence {
        /// The next number.
        expected: i64,
        /// The event's number.
        got: i64,
    },
    /// The case is closed.
    #[error("it is closed; hint: reopen it first")]
    Closed,
    /// The case is not closed.
    #[error("it is not closed")]
    NotClosed,
    /// Remedied without having been seen clean.
    #[error("`{reason}` needs condition `{needed}`, the condition is `{condition}`; hint: re-check it first")]
    Condition {
        /// Asked for.
        reason: CloseReason,
        /// What it needs.
        needed: Condition,
        /// What is.
        condition: Condition,
    },
    /// A person's decision without a word of explanation.
    #[error("`{0}` needs a note that says why")]
    Note(&'static str),
    /// It has somebody to notify.
    #[error("it has an addressee")]
    HasAddressee,
    /// It has nobody to notify.
    #[error("it has no addressee")]
    NoAddressee,
    /// Findings still hold.
    #[error("{0} of its findings still hold")]
    FindingsHold(usize),
    /// Nothing to say: nothing wrong was seen last time.
    #[error("there is nothing to notify: the condition is `{0}`")]
    NothingToNotify(Condition),
    /// The arm is drawn once, before the first notice.
    #[error("the experiment's arm is drawn once, before the first notice")]
    Arm,
    /// The cause does not fit how it was closed.
    #[error("`{cause}` does not fit a case closed as `{reason}`")]
    Cause {
        /// Asked for.
        cause: ReopenCause,
        /// How it was closed.
        reason: CloseReason,
    },
    /// Not one of its findings.
    #[error("finding `{0}` is not attached")]
    NoFinding(String),
}

impl CaseState {
    /// The state after the first event.
    pub fn open(event: &CaseEvent) -> Result<Self, Refusal> {
        let CaseChange::Opened { subject, remedy, severity, product, provider, survey_id, finding } =
            &event.change
        else {
            return Err(Refusal::Start);
        };
        if event.seq != 1 {
            return Err(Refusal::Sequence { expected: 1, got: event.seq });
        }
        Ok(Self {
            case_id: event.case_id,
            seq: 1,
            endpoint: subject.endpoint,
            subject: subject.clone(),
            remedy: *remedy,
            stage: Stage::Open,
            condition: Condition::Affected,
            still_affected: None,
            close_reason: None,
            episode: 1,
            openings: 1,
            severity: *severity,
            findings: BTreeSet::from([finding.clone()]),
            provider: *provider,
            product: product.clone(),
            arm: None,
            opened_survey: *survey_id,
            opened_at: event.at,
            notified_at: None,
            notified_survey: None,
            judged_at: None,
            closed_at: None,
        })
    }

    /// The state after one more event, or why that event is not possible.
    pub fn apply(&self, event: &CaseEvent) -> Result<Self, Refusal> {
        if event.seq != self.seq + 1 || event.case_id != self.case_id {
            return Err(Refusal::Sequence { expected: self.seq + 1, got: event.seq });
        }
        let mut next = self.clone();
        next.seq = event.seq;
        match &event.change {
            CaseChange::Opened { .. } => return Err(Refusal::Start),
            CaseChange::FindingAttached { finding, severity, .. } => {
                next.findings.insert(finding.clone());
                next.severity = next.severity.max(*severity);
            }
            CaseChange::FindingWithdrawn { finding, .. } => {
                if !next.findings.remove(finding) {
                    return Err(Refusal::NoFinding(finding.clone()));
                }
            }
            CaseChange::Addressed { provider } => next.provider = *provider,
            CaseChange::ArmDrawn { arm } => {
                if self.arm.is_some() || self.notified_at.is_some() {
                    return Err(Refusal::Arm);
                }
                next.arm = Some(arm.clone());
            }
            CaseChange::Notified { survey_id, .. } => {
                self.must_be_open()?;
                self.may_be_notified()?;
                if self.arm.is_none() {
                    return Err(Refusal::Arm);
                }
                if self.stage == Stage::Open {
                    next.stage = Stage::Notified;
                }
                next.notified_at = self.notified_at.or(Some(event.at));
                next.notified_survey = Some(*survey_id);
            }
            CaseChange::Acknowledged { .. } => {
                self.must_be_open()?;
                next.stage = Stage::Acknowledged;
            }
            CaseChange::Disputed { note } => {
                self.must_be_open()?;
                must_say_why("disputed", note)?;
                next.stage = Stage::Disputed;
            }
            CaseChange::Judged { judgement } => {
                next.condition = judgement.condition;
                next.still_affected = judgement.still_affected;
                next.judged_at = Some(event.at);
                if let (Condition::Elsewhere, Some(endpoint)) = (judgement.condition, judgement.seen_at) {
                    next.endpoint = endpoint;
                }
            }
            CaseChange::Noted { note } => must_say_why("noted", note)?,
            CaseChange::Closed { reason, note } => {
                self.must_be_open()?;
                self.may_close(*reason, note)?;
                next.stage = Stage::Closed;
                next.close_reason = Some(*reason);
                next.closed_at = Some(event.at);
            }
            CaseChange::Reopened { cause, note } => {
                self.may_reopen(*cause, note)?;
                next.stage = Stage::Open;
                next.close_reason = None;
                next.closed_at = None;
                next.opened_at = event.at;
                next.notified_at = None;
                next.notified_survey = None;
                next.openings += 1;
                if *cause == ReopenCause::Relapse {
                    next.episode += 1;
                }
                let again = matches!(cause, ReopenCause::Relapse | ReopenCause::Knowledge);
                if again && !next.is_affected() {
                    next.condition = Condition::Affected;
                    next.still_affected = None;
                }
            }
        }
        Ok(next)
    }

    /// Replays a whole trail.
    pub fn replay(events: &[CaseEvent]) -> Result<Self, Refusal> {
        let (first, rest) = events.split_first().ok_or(Refusal::Start)?;
        rest.iter().try_fold(Self::open(first)?, |state, event| state.apply(event))
    }

    /// True when the weakness was seen last time, wherever the asset is.
    pub fn is_affected(&self) -> bool {
        match self.condition {
            Condition::Affected => true,
            Condition::Elsewhere => self.still_affected == Some(true),
            _ => false,
        }
    }

    /// True when the same asset was seen answering, clean, wherever it is (invariant 3).
    pub fn is_seen_clean(&self) -> bool {
        match self.condition {
            Condition::Clean => true,
            Condition::Elsewhere => self.still_affected == Some(false),
            _ => false,
        }
    }

    /// What the programme's rules do next by themselves, after a judgement.
    pub fn consequence(&self) -> Option<CaseChange> {
        let note = String::new();
        match self.close_reason {
            None if self.is_seen_clean() => Some(CaseChange::Closed { reason: CloseReason::Remedied, note }),
            None if self.condition == Condition::ServiceGone => {
                Some(CaseChange::Closed { reason: CloseReason::ExposureEnded, note })
            }
            Some(reason) if reason.can_relapse() && self.is_affected() => {
                Some(CaseChange::Reopened { cause: ReopenCause::Relapse, note })
            }
            _ => None,
        }
    }

    /// Why a notice cannot go out now, if so.
    pub fn may_be_notified(&self) -> Result<(), Refusal> {
        if self.provider.is_none() {
            return Err(Refusal::NoAddressee);
        }
        // What is unobservable was affected when last seen: its owner is still told once.
        let worth = self.is_affected() || self.condition == Condition::Unobservable;
        if !worth || self.findings.is_empty() {
            return Err(Refusal::NothingToNotify(self.condition));
        }
        Ok(())
    }

    fn must_be_open(&self) -> Result<(), Refusal> {
        if self.stage == Stage::Closed { Err(Refusal::Closed) } else { Ok(()) }
    }

    fn may_close(&self, reason: CloseReason, note: &str) -> Result<(), Refusal> {
        let condition = |needed| Refusal::Condition { reason, needed, condition: self.condition };
        match reason {
            CloseReason::Remedied if !self.is_seen_clean() => Err(condition(Condition::Clean)),
            CloseReason::ExposureEnded if self.condition != Condition::ServiceGone => {
                Err(condition(Condition::ServiceGone))
            }
            CloseReason::NoAddressee if self.provider.is_some() => Err(Refusal::HasAddressee),
            CloseReason::Withdrawn if !self.findings.is_empty() => {
                Err(Refusal::FindingsHold(self.findings.len()))
            }
            CloseReason::FalsePositive | CloseReason::AcceptedRisk | CloseReason::Retired => {
                must_say_why(reason.as_str(), note)
            }
            _ => Ok(()),
        }
    }

    fn may_reopen(&self, cause: ReopenCause, note: &str) -> Result<(), Refusal> {
        let reason = self.close_reason.ok_or(Refusal::NotClosed)?;
        let fits = match cause {
            ReopenCause::Relapse => reason.can_relapse(),
            ReopenCause::AddresseeFound => {
                if self.provider.is_none() {
                    return Err(Refusal::NoAddressee);
                }
                reason == CloseReason::NoAddressee
            }
            ReopenCause::Knowledge => {
                (reason == CloseReason::Withdrawn || reason.can_relapse()) && !self.findings.is_empty()
            }
            ReopenCause::Returned => reason == CloseReason::Retired,
            ReopenCause::Correction => {
                must_say_why("correction", note)?;
                true
            }
        };
        if fits { Ok(()) } else { Err(Refusal::Cause { cause, reason }) }
    }
}

fn must_say_why(what: &'static str, note: &str) -> Result<(), Refusal> {
    if note.trim().is_empty() { Err(Refusal::Note(what)) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
