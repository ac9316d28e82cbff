//! Notices over their life: queued once, journalled, delivered, and what a crash leaves.

use std::path::Path;

use kenshin_casework::{
    Actor, ArmDesign, ErrorKind, Experiment, Notice, NoticeFilter, NoticeState, PageRequest, Protection,
    QueueSummary, Role, Stage, SurveyKind, Transport, Viewer,
};
use kenshin_observation::{Condition, Messages, Severity, SurveyId, TimeUs, UserId};

use crate::world::{DAY, T0, World, assessment, clock, everywhere, judgement, letterhead, telnet};

pub(crate) async fn queue(world: &World, survey: SurveyId, now: TimeUs) -> QueueSummary {
    world.casework.queue_notices(world.org, survey, &letterhead(), &Messages::builtin(), now).await.unwrap()
}

pub(crate) async fn all(world: &World) -> Vec<Notice> {
    world
        .casework
        .notices(&world.viewer, &NoticeFilter::default(), &PageRequest::first())
        .await
        .unwrap()
        .items
}

fn files(outbox: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(outbox.join("new"))
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn one_mail_to_each_provider_and_round() {
    everywhere("one_mail_to_each_provider_and_round", |place| async move {
        let world = World::new(&place).await;
        let folder = tempfile::tempdir().unwrap();
        let outbox = Transport::Maildir(folder.path().to_owned());
        let findings =
            vec![telnet(1, "192.0.2.1", T0), telnet(2, "192.0.2.2", T0), telnet(3, "198.51.100.1", T0)];
        let (survey, _) = world.round(findings, vec![], T0).await;
        let summary = queue(&world, survey.survey_id, T0).await;
        assert_eq!(summary, QueueSummary { notices: 2, cases: 3, ..QueueSummary::default() });
        assert_eq!(queue(&world, survey.survey_id, T0).await, QueueSummary::default(), "queued once");
        assert!(world.cases().await.iter().all(|case| case.stage == Stage::Open), "queued is not told");
        let sent = world.casework.deliver_notices(world.org, &outbox, &clock(T0.plus_secs(5))).await.unwrap();
        assert_eq!((sent.sent, sent.failed, sent.uncertain), (2, 0, 0));
        let again =
            world.casework.deliver_notices(world.org, &outbox, &clock(T0.plus_secs(6))).await.unwrap();
        assert_eq!(again.sent, 0);
        assert_eq!(files(folder.path()).len(), 2);
        for case in world.cases().await {
            assert_eq!((case.stage, case.notified_at), (Stage::Notified, Some(T0.plus_secs(5))));
        }
        for notice in all(&world).await {
            assert_eq!((notice.state, notice.sent_at), (NoticeState::Sent, Some(T0.plus_secs(5))));
            let journal = world.casework.notice_journal(&world.viewer, notice.notice_id).await.unwrap();
            let states: Vec<_> = journal.iter().map(|entry| entry.state).collect();
            assert_eq!(states, [NoticeState::Queued, NoticeState::Sending, NoticeState::Sent]);
            assert_eq!(
                journal[0].detail, notice.message_id,
                "the Message-ID is journalled before anything is sent"
            );
            assert!(world.casework.is_genuine(notice.notice_id, &notice.digest).await.unwrap());
            assert!(!world.casework.is_genuine(notice.notice_id, &"0".repeat(64)).await.unwrap());
        }

        // The next round: one is clean, one cannot be observed any more, one is still affected.
        let later = T0.plus_secs(14 * DAY);
        let mut judgements = Vec::new();
        for (addr, condition) in [
            ("192.0.2.1", Condition::Clean),
            ("192.0.2.2", Condition::Unobservable),
            ("198.51.100.1", Condition::Affected),
        ] {
            judgements.push((
                world.case_at(addr).await.case_id,
                judgement(condition, SurveyId::from_bits(0), later),
            ));
        }
        let (survey, _) = world.round(vec![telnet(3, "198.51.100.1", later)], judgements, later).await;
        let summary = queue(&world, survey.survey_id, later).await;
        assert_eq!((summary.notices, summary.cases), (1, 1), "only what is seen to be wrong is told again");
    });
}

#[test]
fn providers_see_their_own_notices_only() {
    everywhere("providers_see_their_own_notices_only", |place| async move {
        let world = World::new(&place).await;
        let (survey, _) =
            world.round(vec![telnet(1, "192.0.2.1", T0), telnet(3, "198.51.100.1", T0)], vec![], T0).await;
        queue(&world, survey.survey_id, T0).await;
        let notices = all(&world).await;
        let viewer = Viewer {
            org: world.org,
            role: Role::Provider,
            providers: vec![notices[0].provider_id],
            mandates: Vec::new(),
            community: None,
        };
        let seen = world
            .casework
            .notices(&viewer, &NoticeFilter::default(), &PageRequest::first())
            .await
            .unwrap()
            .items;
        assert_eq!(seen, notices[..1]);
        for result in [
            world.casework.notice_content(&viewer, notices[1].notice_id).await.map(|_| ()),
            world.casework.notice_message(&viewer, notices[1].notice_id).await.map(|_| ()),
            world.casework.notice_journal(&viewer, notices[1].notice_id).await.map(|_| ()),
        ] {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::NotFound);
        }
        let researcher = Viewer { role: Role::Researcher, ..viewer };
        assert!(
            world
                .casework
                .notices(&researcher, &NoticeFilter::default(), &PageRequest::first())
                .await
                .unwrap()
                .items
                .is_empty()
        );
    });
}

#[test]
fn two_hubs_send_each_notice_once() {
    everywhere("two_hubs_send_each_notice_once", |place| async move {
        let world = World::new(&place).await;
        let folder = tempfile::tempdir().unwrap();
        let outbox = Transport::Maildir(folder.path().to_owned());
        let (survey, _) = world
            .round(
                vec![
                    telnet(1, "192.0.2.1", T0),
                    telnet(3, "198.51.100.1", T0),
                    telnet(4, "198.51.100.200", T0),
                ],
                vec![],
                T0,
            )
            .await;
        queue(&world, survey.survey_id, T0).await;
        let second = place.open().await;
        let clock = clock(T0);
        let (one, two) = tokio::join!(
            world.casework.deliver_notices(world.org, &outbox, &clock),
            second.deliver_notices(world.org, &outbox, &clock)
        );
        assert_eq!(one.unwrap().sent + two.unwrap().sent, 3);
        assert_eq!(files(folder.path()).len(), 3);
    });
}

/// Leaves a notice in `sending`, as a process that was killed there does.
async fn killed_while_sending(world: &World, url: &str) {
    let (survey, _) = world.round(vec![telnet(1, "192.0.2.1", T0)], vec![], T0).await;
    queue(world, survey.survey_id, T0).await;
    let pool = sqlx::AnyPool::connect(url).await.unwrap();
    sqlx::query("UPDATE notice SET state = 'sending', attempts = 1").execute(&pool).await.unwrap();
    pool.close().await;
}

#[test]
fn a_crash_in_smtp_is_uncertain_and_never_repeated_by_itself() {
    everywhere("a_crash_in_smtp_is_uncertain_and_never_repeated_by_itself", |place| async move {
        let world = World::new(&place).await;
        killed_while_sending(&world, &place.url).await;
        // Nobody listens there: if anything were sent, it would fail, not be uncertain.
        let relay = Transport::Smtp(crate::smtp::relay(1));
        let none = world.casework.recover_notices(world.org, &relay, T0.plus_secs(-1), T0).await.unwrap();
        assert_eq!(none.uncertain, 0, "a delivery under way in another process is left alone");
        let later = T0.plus_secs(600);
        let recovered = world.casework.recover_notices(world.org, &relay, later, later).await.unwrap();
        assert_eq!((recovered.sent, recovered.failed, recovered.uncertain), (0, 0, 1));
        let notice = all(&world).await.remove(0);
        assert_eq!(notice.state, NoticeState::DeliveryUncertain);
        let again = world.casework.deliver_notices(world.org, &relay, &clock(later)).await.unwrap();
        assert_eq!((again.sent, again.failed, again.uncertain), (0, 0, 0));
        assert_eq!(world.cases().await[0].stage, Stage::Open, "nobody knows that anybody was told");

        let rule = Actor::rule("retry");
        let refused =
            world.casework.retry_notice(world.org, notice.notice_id, &rule, later).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict);
        let person = Actor::User(UserId::from_bits(5));
        world.casework.settle_notice(world.org, notice.notice_id, true, &person, later).await.unwrap();
        assert_eq!(all(&world).await[0].state, NoticeState::Sent);
        assert_eq!(world.cases().await[0].stage, Stage::Notified);
        assert!(
            world.casework.settle_notice(world.org, notice.notice_id, false, &person, later).await.is_err()
        );
        let journal = world.casework.notice_journal(&world.viewer, notice.notice_id).await.unwrap();
        assert!(journal.last().unwrap().detail.contains("found that it arrived"));
    });
}

#[test]
fn a_crash_in_the_maildir_is_repeated_with_the_effect_of_once() {
    everywhere("a_crash_in_the_maildir_is_repeated_with_the_effect_of_once", |place| async move {
        let world = World::new(&place).await;
        let folder = tempfile::tempdir().unwrap();
        let outbox = Transport::Maildir(folder.path().to_owned());
        killed_while_sending(&world, &place.url).await;
        let later = T0.plus_secs(600);
        // The crash came before, during or after the rename: each time one file is there in the end.
        for stage in ["before", "after", "read"] {
            let recovered = world.casework.recover_notices(world.org, &outbox, later, later).await.unwrap();
            assert_eq!(recovered.sent, 1, "{stage}");
            let names = files(folder.path());
            let read = std::fs::read_dir(folder.path().join("cur")).unwrap().count();
            assert_eq!(names.len() + read, 1, "{stage}: {names:?}");
            assert_eq!(std::fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
            if stage == "after" {
                let name = &names[0];
                std::fs::rename(
                    folder.path().join("new").join(name),
                    folder.path().join("cur").join(format!("{name}:2,S")),
                )
                .unwrap();
            }
            let pool = sqlx::AnyPool::connect(&place.url).await.unwrap();
            sqlx::query("UPDATE notice SET state = 'sending', changed_us = 0").execute(&pool).await.unwrap();
            pool.close().await;
        }
    });
}

#[test]
fn a_failed_delivery_waits_for_a_retry_with_the_same_message_id() {
    everywhere("a_failed_delivery_waits_for_a_retry_with_the_same_message_id", |place| async move {
        let world = World::new(&place).await;
        let folder = tempfile::tempdir().unwrap();
        let (survey, _) = world.round(vec![telnet(1, "192.0.2.1", T0)], vec![], T0).await;
        queue(&world, survey.survey_id, T0).await;
        // A file is where the folder should be.
        let blocked = folder.path().join("blocked");
        std::fs::write(&blocked, "").unwrap();
        let summary = world
            .casework
            .deliver_notices(world.org, &Transport::Maildir(blocked), &clock(T0))
            .await
            .unwrap();
        assert_eq!((summary.sent, summary.failed), (0, 1));
        let notice = all(&world).await.remove(0);
        assert_eq!((notice.state, notice.attempts), (NoticeState::Failed, 1));
        assert_eq!(world.cases().await[0].stage, Stage::Open);
        world.casework.retry_notice(world.org, notice.notice_id, &Actor::rule("retry"), T0).await.unwrap();
        let outbox = Transport::Maildir(folder.path().join("outbox"));
        assert_eq!(world.casework.deliver_notices(world.org, &outbox, &clock(T0)).await.unwrap().sent, 1);
        let sent = all(&world).await.remove(0);
        assert_eq!((sent.message_id, sent.attempts), (notice.message_id, 2));
    });
}

#[test]
fn a_case_that_ended_meanwhile_is_not_called_notified() {
    everywhere("a_case_that_ended_meanwhile_is_not_called_notified", |place| async move {
        let world = World::new(&place).await;
        let folder = tempfile::tempdir().unwrap();
        let (survey, _) = world.round(vec![telnet(1, "192.0.2.1", T0)], vec![], T0).await;
        queue(&world, survey.survey_id, T0).await;
        let later = T0.plus_secs(DAY);
        let clean = judgement(Condition::Clean, SurveyId::from_bits(0), later);
        world.round(vec![], vec![(world.cases().await[0].case_id, clean)], later).await;
        let outbox = Transport::Maildir(folder.path().to_owned());
        assert_eq!(world.casework.deliver_notices(world.org, &outbox, &clock(later)).await.unwrap().sent, 1);
        let case = &world.cases().await[0];
        assert_eq!((case.stage, case.notified_at), (Stage::Closed, None));
        let trail = world.casework.case_trail(&world.viewer, case.case_id).await.unwrap();
        let last = serde_json::to_string(&trail.last().unwrap().change).unwrap();
        assert!(last.contains("went out"), "{last}");
    });
}

#[test]
fn an_experiment_delays_the_mild_and_never_the_severe() {
    everywhere("an_experiment_delays_the_mild_and_never_the_severe", |place| async move {
        let world = World::new(&place).await;
        let survey = world.survey(SurveyKind::Survey, T0).await;
        let mut mild = telnet(1, "192.0.2.1", T0);
        mild.severity = Severity::Low;
        let severe = telnet(2, "192.0.2.2", T0);
        let late =
            ArmDesign { name: "late".into(), weight: 1, wording: "consequence".into(), delay_s: 3 * DAY };
        let experiment = Experiment { name: "timing".into(), arms: vec![late] };
        let assessment = assessment(survey.survey_id, vec![mild, severe], vec![]);
        world.casework.record_assessment(world.org, &assessment, &experiment, T0).await.unwrap();
        let now = queue(&world, survey.survey_id, T0).await;
        assert_eq!((now.notices, now.cases, now.delayed), (1, 1, 1));
        let later = T0.plus_secs(3 * DAY);
        let then = queue(&world, survey.survey_id, later).await;
        assert_eq!((then.notices, then.cases, then.delayed), (1, 1, 0));
        let parts: Vec<i64> = all(&world).await.iter().rev().map(|notice| notice.part).collect();
        assert_eq!(parts, [1, 2]);
        let late = world.case_at("192.0.2.1").await.arm.unwrap();
        assert_eq!((late.experiment.as_str(), late.name.as_str(), late.delay_s), ("timing", "late", 3 * DAY));
        assert_eq!(world.case_at("192.0.2.2").await.arm.unwrap().delay_s, 0);
        let content =
            world.casework.notice_content(&world.viewer, all(&world).await[0].notice_id).await.unwrap();
        assert!(content.text.contains("数日のうちに乗っ取られ"), "the arm's wording is used");
    });
}

#[test]
fn an_expired_key_makes_a_link_and_holds_nothing_up() {
    everywhere("an_expired_key_makes_a_link_and_holds_nothing_up", |place| async move {
        let world = World::new(&place).await;
        let (survey, _) = world.round(vec![telnet(3, "198.51.100.1", T0)], vec![], T0).await;
        let pool = sqlx::AnyPool::connect(&place.url).await.unwrap();
        sqlx::query("UPDATE provider SET openpgp_key = 'no key any more' WHERE name = 'North ISP'")
            .execute(&pool)
            .await
            .unwrap();
        pool.close().await;
        assert_eq!(queue(&world, survey.survey_id, T0).await.notices, 1);
        let notice = all(&world).await.remove(0);
        assert_eq!(notice.protection, Protection::LinkOnly);
        let message = world.casework.notice_message(&world.viewer, notice.notice_id).await.unwrap();
        assert!(!message.contains("198.51.100.1"));
    });
}
