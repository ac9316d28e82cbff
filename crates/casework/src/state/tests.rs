//! Table and property tests of the state machine. A trail is written as words, so that a hundred
//! cases are text.

use kenshin_observation::{AssetId, Condition, DeviceKey, DeviceKeyKind, Endpoint};
use proptest::prelude::*;

use super::*;
use crate::experiment::Experiment;

const START: i64 = 1_800_000_000;

fn subject() -> CaseSubject {
    CaseSubject {
        asset_id: AssetId::from_bits(1),
        endpoint: Endpoint::tcp("192.0.2.1".parse().unwrap(), 23),
        keys: vec![DeviceKey { kind: DeviceKeyKind::SshHostKey, value: "ab".into() }],
        product: Some("Example Cam".into()),
        time: TimeUs::from_secs(START),
    }
}

/// One change from its words, such as `judge elsewhere affected` or `close retired`.
fn change(words: &str) -> CaseChange {
    let (verb, rest) = words.split_once(' ').unwrap_or((words, ""));
    let survey_id = SurveyId::from_bits(2);
    match verb {
        "open" => CaseChange::Opened {
            subject: subject(),
            remedy: Remedy::ChangePassword,
            severity: Severity::High,
            product: None,
            provider: (rest != "orphan").then(|| ProviderId::from_bits(3)),
            survey_id,
            finding: "f1".into(),
        },
        "attach" => {
            CaseChange::FindingAttached { finding: rest.into(), severity: Severity::Critical, survey_id }
        }
        "withdraw" => CaseChange::FindingWithdrawn { finding: rest.into(), note: "rule changed".into() },
        "address" => CaseChange::Addressed { provider: (rest != "nobody").then(|| ProviderId::from_bits(4)) },
        "arm" => CaseChange::ArmDrawn { arm: Experiment::none().draw(Severity::High, 0) },
        "notify" => CaseChange::Notified { notice: NoticeId::from_bits(5), survey_id },
        "ack" => CaseChange::Acknowledged { note: rest.into() },
        "dispute" => CaseChange::Disputed { note: rest.into() },
        "note" => CaseChange::Noted { note: rest.into() },
        "judge" => {
            let (condition, more) = rest.split_once(' ').unwrap_or((rest, ""));
            let condition: Condition = condition.parse().unwrap();
            CaseChange::Judged {
                judgement: Judgement {
                    survey_id,
                    time: TimeUs::from_secs(START),
                    condition,
                    basis: "key".into(),
                    seen_at: (condition == Condition::Elsewhere)
                        .then(|| Endpoint::tcp("198.51.100.9".parse().unwrap(), 23)),
                    still_affected: match more {
                        "affected" => Some(true),
                        "clean" => Some(false),
                        _ => None,
                    },
                    reasons: Vec::new(),
                },
            }
        }
        "close" => {
            let (reason, note) = rest.split_once(' ').unwrap_or((rest, ""));
            CaseChange::Closed { reason: reason.parse().unwrap(), note: note.into() }
        }
        "reopen" => {
            let (cause, note) = rest.split_once(' ').unwrap_or((rest, ""));
            CaseChange::Reopened { cause: cause.parse().unwrap(), note: note.into() }
        }
        _ => panic!("no such verb: {verb}"),
    }
}

fn event(seq: i64, change: CaseChange) -> CaseEvent {
    let at = TimeUs::from_secs(START + seq);
    CaseEvent { case_id: CaseId::from_bits(9), seq, at, actor: Actor::rule("test"), change }
}

fn replay(trail: &str) -> Result<CaseState, (usize, Refusal)> {
    let mut state: Option<CaseState> = None;
    for (i, words) in trail.split(';').map(str::trim).enumerate() {
        let event = event(i as i64 + 1, change(words));
        let next = match &state {
            None => CaseState::open(&event),
            Some(state) => state.apply(&event),
        };
        state = Some(next.map_err(|refusal| (i + 1, refusal))?);
    }
    Ok(state.unwrap())
}

/// `stage condition reason episode`, or the step that was refused and why.
fn check(trail: &str, expected: &str) {
    let got = match replay(trail) {
        Ok(state) => format!(
            "{} {} {} {}",
            state.stage,
            state.condition,
            state.close_reason.map_or("-", CloseReason::as_str),
            state.episode
        ),
        Err((step, refusal)) => format!("{step}: {refusal}"),
    };
    assert!(got.starts_with(expected), "{trail}\n  expected {expected}\n  got      {got}");
}

#[test]
fn what_may_follow_what() {
    for (trail, expected) in [
        // The plain course.
        ("open", "open affected - 1"),
        ("open; arm; notify", "notified affected - 1"),
        ("open; arm; notify; ack", "acknowledged affected - 1"),
        ("open; arm; notify; dispute not ours", "disputed affected - 1"),
        ("open; arm; notify; ack; judge clean; close remedied", "closed clean remedied 1"),
        ("open; judge service-gone; close exposure-ended", "closed service-gone exposure-ended 1"),
        ("open; arm; notify; notify", "notified affected - 1"),
        ("open; arm; notify; ack; notify", "acknowledged affected - 1"),
        // Remedied only where the same asset answered, clean.
        ("open; close remedied", "2: `remedied` needs condition `clean`"),
        ("open; judge service-gone; close remedied", "3: `remedied` needs condition `clean`"),
        ("open; judge unobservable; close remedied", "3: `remedied` needs"),
        ("open; judge replaced; close remedied", "3: `remedied` needs"),
        ("open; judge elsewhere affected; close remedied", "3: `remedied` needs"),
        ("open; judge elsewhere; close remedied", "3: `remedied` needs"),
        ("open; judge elsewhere clean; close remedied", "closed elsewhere remedied 1"),
        ("open; judge clean; judge unobservable; close remedied", "4: `remedied` needs"),
        // Exposure ended only where the host was alive without the service.
        ("open; judge clean; close exposure-ended", "3: `exposure-ended` needs condition `service-gone`"),
        ("open; judge unobservable; close exposure-ended", "3: `exposure-ended` needs"),
        // Decisions of people need a word.
        ("open; close false-positive", "2: `false-positive` needs a note"),
        ("open; close false-positive honeypot", "closed affected false-positive 1"),
        ("open; close accepted-risk", "2: `accepted-risk` needs a note"),
        ("open; close accepted-risk museum piece", "closed affected accepted-risk 1"),
        ("open; judge replaced; close retired", "3: `retired` needs a note"),
        ("open; judge replaced; close retired sold", "closed replaced retired 1"),
        ("open; dispute", "2: `disputed` needs a note"),
        ("open; note", "2: `noted` needs a note"),
        // Withdrawn: only when nothing is left, and never recovery.
        ("open; close withdrawn", "2: 1 of its findings still hold"),
        ("open; attach f2; withdraw f1; close withdrawn", "4: 1 of its findings still hold"),
        ("open; withdraw f1; close withdrawn", "closed affected withdrawn 1"),
        ("open; withdraw f2", "2: finding `f2` is not attached"),
        ("open; withdraw f1; close withdrawn; attach f1; reopen knowledge", "open affected - 1"),
        ("open; withdraw f1; close withdrawn; reopen knowledge", "4: `knowledge` does not fit"),
        (
            "open; withdraw f1; close withdrawn; reopen relapse",
            "4: `relapse` does not fit a case closed as `withdrawn`",
        ),
        // Nobody to tell.
        ("open orphan; arm; notify", "3: it has no addressee"),
        ("open orphan; close no-addressee", "closed affected no-addressee 1"),
        ("open; close no-addressee", "2: it has an addressee"),
        ("open orphan; close no-addressee; reopen addressee-found", "3: it has no addressee"),
        ("open orphan; close no-addressee; address found; reopen addressee-found", "open affected - 1"),
        // Closed is closed, until reopened.
        ("open; judge clean; close remedied; close remedied", "4: it is closed"),
        ("open; judge clean; close remedied; ack", "4: it is closed"),
        ("open; arm; judge clean; close remedied; notify", "5: it is closed"),
        ("open; judge clean; close remedied; judge unobservable", "closed unobservable remedied 1"),
        ("open; judge clean; close remedied; reopen relapse", "open affected - 2"),
        ("open; judge clean; close remedied; judge affected; reopen relapse", "open affected - 2"),
        (
            "open; judge service-gone; close exposure-ended; reopen relapse; judge clean; close remedied; reopen relapse",
            "open affected - 3",
        ),
        ("open; close false-positive x; reopen relapse", "3: `relapse` does not fit"),
        ("open; close false-positive x; reopen correction", "3: `correction` needs a note"),
        ("open; close false-positive x; reopen correction it was real", "open affected - 1"),
        ("open; close retired sold; reopen returned", "open affected - 1"),
        ("open; reopen relapse", "2: it is not closed"),
        // Notices.
        ("open; notify", "2: the experiment's arm is drawn once"),
        ("open; arm; arm", "3: the experiment's arm is drawn once"),
        ("open; arm; judge clean; notify", "4: there is nothing to notify: the condition is `clean`"),
        ("open; arm; judge service-gone; notify", "4: there is nothing to notify"),
        ("open; arm; withdraw f1; notify", "4: there is nothing to notify"),
        ("open; arm; judge unobservable; notify", "notified unobservable - 1"),
        ("open; arm; judge elsewhere affected; notify", "notified elsewhere - 1"),
        // Trails.
        ("ack", "1: a trail starts with `opened`"),
        ("open; open", "2: a trail starts with `opened`"),
    ] {
        check(trail, expected);
    }
}

#[test]
fn events_come_in_order() {
    let state = CaseState::open(&event(1, change("open"))).unwrap();
    let skipped = state.apply(&event(3, change("ack")));
    assert_eq!(skipped, Err(Refusal::Sequence { expected: 2, got: 3 }));
    let foreign = CaseEvent { case_id: CaseId::from_bits(8), ..event(2, change("ack")) };
    assert!(state.apply(&foreign).is_err());
    assert!(CaseState::open(&event(2, change("open"))).is_err());
}

#[test]
fn a_relapse_is_notified_anew() {
    let state =
        replay("open; arm; notify; judge clean; close remedied; judge affected; reopen relapse").unwrap();
    assert_eq!((state.notified_at, state.openings, state.episode), (None, 2, 2));
    assert_eq!(state.opened_at, TimeUs::from_secs(START + 7));
    assert_eq!(state.subject, subject());
}

#[test]
fn rules_follow_a_judgement() {
    let rule = |trail| replay(trail).unwrap().consequence();
    let closes = |change: Option<CaseChange>| match change {
        Some(CaseChange::Closed { reason, .. }) => Some(reason),
        _ => None,
    };
    assert_eq!(closes(rule("open; judge clean")), Some(CloseReason::Remedied));
    assert_eq!(closes(rule("open; judge elsewhere clean")), Some(CloseReason::Remedied));
    assert_eq!(closes(rule("open; judge service-gone")), Some(CloseReason::ExposureEnded));
    for quiet in [
        "open",
        "open; judge affected",
        "open; judge unobservable",
        "open; judge replaced",
        "open; judge elsewhere affected",
    ] {
        assert_eq!(rule(quiet), None, "{quiet}");
    }
    let relapse = rule("open; judge clean; close remedied; judge affected");
    assert!(matches!(relapse, Some(CaseChange::Reopened { cause: ReopenCause::Relapse, .. })));
    assert_eq!(rule("open; close accepted-risk x; judge affected"), None, "a person decided");
    assert_eq!(rule("open; judge clean; close remedied; judge unobservable"), None, "silence is no relapse");
}

#[test]
fn stored_events_open_forever() {
    // The first sample of each kind, as version 1 wrote it. Never change these lines.
    let samples = [
        r#"{"kind":"finding-attached","finding":"f","severity":"high","survey_id":"00000000000000000000000002"}"#,
        r#"{"kind":"finding-withdrawn","finding":"f","note":"n"}"#,
        r#"{"kind":"addressed","provider":null}"#,
        r#"{"kind":"arm-drawn","arm":{"experiment":"","name":"standard","wording":"standard","delay_s":0}}"#,
        r#"{"kind":"notified","notice":"00000000000000000000000005","survey_id":"00000000000000000000000002"}"#,
        r#"{"kind":"acknowledged","note":"n"}"#,
        r#"{"kind":"disputed","note":"n"}"#,
        r#"{"kind":"judged","judgement":{"survey_id":"00000000000000000000000002","time":1,"condition":"elsewhere","basis":"key","seen_at":{"addr":"192.0.2.1","port":23,"transport":"tcp"},"still_affected":true,"reasons":[{"code":"c","args":{}}]}}"#,
        r#"{"kind":"noted","note":"n"}"#,
        r#"{"kind":"closed","reason":"remedied","note":""}"#,
        r#"{"kind":"reopened","cause":"relapse","note":""}"#,
        r#"{"kind":"opened","subject":{"asset_id":"00000000000000000000000001","endpoint":{"addr":"192.0.2.1","port":23,"transport":"tcp"},"keys":[{"kind":"ssh-host-key","value":"ab"}],"product":null,"time":1},"remedy":"update","severity":"low","product":null,"provider":null,"survey_id":"00000000000000000000000002","finding":"f"}"#,
    ];
    for sample in samples {
        let change: CaseChange =
            serde_json::from_str(sample).unwrap_or_else(|error| panic!("{sample}: {error}"));
        assert_eq!(serde_json::to_string(&change).unwrap(), sample);
    }
}

#[test]
fn words_never_change() {
    let all = |words: Vec<&str>| words.join(" ");
    assert_eq!(
        all(Stage::ALL.iter().map(|w| w.as_str()).collect()),
        "open notified acknowledged disputed closed"
    );
    assert_eq!(
        all(CloseReason::ALL.iter().map(|w| w.as_str()).collect()),
        "remedied exposure-ended false-positive withdrawn accepted-risk retired no-addressee"
    );
    for actor in ["user:00000000000000000000000001", "rule:assess"] {
        assert_eq!(actor.parse::<Actor>().unwrap().to_string(), actor);
    }
    assert!("root".parse::<Actor>().is_err() && "rule:".parse::<Actor>().is_err());
}

const VERBS: &[&str] = &[
    "open",
    "attach f1",
    "attach f2",
    "withdraw f1",
    "withdraw f2",
    "address someone",
    "address nobody",
    "arm",
    "notify",
    "ack",
    "dispute no",
    "judge affected",
    "judge clean",
    "judge service-gone",
    "judge unobservable",
    "judge elsewhere affected",
    "judge elsewhere clean",
    "judge replaced",
    "note x",
    "close remedied",
    "close exposure-ended",
    "close false-positive x",
    "close withdrawn",
    "close accepted-risk x",
    "close retired x",
    "close no-addressee",
    "reopen relapse",
    "reopen correction x",
    "reopen addressee-found",
    "reopen knowledge",
    "reopen returned",
];

proptest! {
    #[test]
    fn no_trail_breaks_the_rules(choices in prop::collection::vec(0..VERBS.len(), 1..60)) {
        let first = event(1, change("open"));
        let mut state = CaseState::open(&first).unwrap();
        let mut trail = vec![first];
        let mut relapses = 0;
        for choice in choices {
            let event = event(state.seq + 1, change(VERBS[choice]));
            let Ok(next) = state.apply(&event) else { continue };
            prop_assert_eq!(&next.subject, &state.subject);
            prop_assert_eq!(next.seq, state.seq + 1);
            prop_assert_eq!(next.stage == Stage::Closed, next.close_reason.is_some());
            prop_assert_eq!(next.stage == Stage::Closed, next.closed_at.is_some());
            prop_assert!(next.severity >= state.severity);
            if state.stage != Stage::Closed && next.stage == Stage::Closed {
                match next.close_reason.unwrap() {
                    CloseReason::Remedied => prop_assert!(next.is_seen_clean()),
                    CloseReason::ExposureEnded => prop_assert_eq!(next.condition, Condition::ServiceGone),
                    CloseReason::NoAddressee => prop_assert!(next.provider.is_none()),
                    CloseReason::Withdrawn => prop_assert!(next.findings.is_empty()),
                    _ => {}
                }
            }
            if next.episode != state.episode {
                relapses += 1;
                prop_assert!(state.close_reason.unwrap().can_relapse());
            }
            prop_assert_eq!(next.episode, relapses + 1);
            if let Some(consequence) = next.consequence() {
                let follows = super::tests::event(next.seq + 1, consequence);
                prop_assert!(next.apply(&follows).is_ok(), "a rule asks for what the machine refuses");
            }
            state = next;
            trail.push(event);
        }
        prop_assert_eq!(CaseState::replay(&trail).unwrap(), state);
    }
}
