//! Sensors apart from the hub: enrolment, chains of batches, shards, requests to be left alone.

use kenshin_casework::{
    Actor, BatchState, Casework, ErrorKind, JobState, NewJob, NewOptOut, NewSensor, NewShard, NewSurvey,
    OptOutState, PageRequest, Receipt, SurveyKind, SurveyState,
};
use kenshin_observation::{OrgId, SensorId, SurveyId};
use serde_json::{Value, json};

use crate::world::{DAY, T0, everywhere};

const GENESIS: &str = "0000";

fn sensor(n: u128) -> NewSensor {
    NewSensor {
        sensor_id: SensorId::from_bits(n),
        public_key: format!("{n:064x}"),
        head_sequence: 0,
        head_digest: GENESIS.to_owned(),
    }
}

fn admin() -> Actor {
    Actor::rule("test")
}

async fn enrolled(casework: &Casework, org: OrgId, n: u128) -> SensorId {
    let token = casework.new_sensor_token(org, &format!("s{n}"), &admin(), T0, DAY).await.unwrap();
    casework.enrol_sensor(&token, &sensor(n), T0).await.unwrap().1.sensor_id
}

#[test]
fn a_token_enrols_one_sensor() {
    everywhere("a_token_enrols_one_sensor", |place| async move {
        let casework = place.open().await;
        let org = casework.add_org("Example", T0).await.unwrap().org_id;
        assert!(casework.new_sensor_token(org, " ", &admin(), T0, DAY).await.is_err());
        assert!(casework.new_sensor_token(org, "two\nlines", &admin(), T0, DAY).await.is_err());
        let token = casework.new_sensor_token(org, "east", &admin(), T0, DAY).await.unwrap();
        for (wrong, at) in [("no such token", T0), (token.as_str(), T0.plus_secs(DAY))] {
            let error = casework.enrol_sensor(wrong, &sensor(1), at).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Input, "{error}");
        }
        let (its_org, record) = casework.enrol_sensor(&token, &sensor(1), T0).await.unwrap();
        assert_eq!((its_org, record.name.as_str(), record.retired_at), (org, "east", None));
        // The answer was lost, and the same sensor asks again; another one does not get in.
        casework.enrol_sensor(&token, &sensor(1), T0.plus_secs(5)).await.unwrap();
        assert!(casework.enrol_sensor(&token, &sensor(2), T0).await.is_err());
        // Neither with the id of the first, nor with its key.
        let token = casework.new_sensor_token(org, "thief", &admin(), T0, DAY).await.unwrap();
        let same_id = NewSensor { public_key: "ff".repeat(32), ..sensor(1) };
        assert_eq!(
            casework.enrol_sensor(&token, &same_id, T0).await.unwrap_err().kind(),
            ErrorKind::Conflict
        );
        let same_key = NewSensor { sensor_id: SensorId::from_bits(9), ..sensor(1) };
        assert_eq!(
            casework.enrol_sensor(&token, &same_key, T0).await.unwrap_err().kind(),
            ErrorKind::Conflict
        );

        casework.retire_sensor(org, record.sensor_id, &admin(), T0).await.unwrap();
        let retired = casework.sensor(record.sensor_id).await.unwrap().unwrap().1;
        assert_eq!(retired.retired_at, Some(T0));
        let token = casework.new_sensor_token(org, "back", &admin(), T0, DAY).await.unwrap();
        let (_, back) = casework.enrol_sensor(&token, &sensor(1), T0).await.unwrap();
        assert_eq!((back.name.as_str(), back.retired_at), ("back", None));
        assert_eq!(casework.sensors(org, &PageRequest::first()).await.unwrap().items, [back]);
        assert!(casework.verify_audit(org).await.unwrap().is_ok());
        assert!(casework.retire_sensor(org, SensorId::from_bits(77), &admin(), T0).await.is_err());
    });
}

#[test]
fn a_request_is_heard_once() {
    everywhere("a_request_is_heard_once", |place| async move {
        let hubs = [place.open().await, place.open().await];
        let org = hubs[0].add_org("Example", T0).await.unwrap().org_id;
        let (one, two) = (enrolled(&hubs[0], org, 1).await, enrolled(&hubs[0], org, 2).await);
        let until = T0.plus_secs(121);
        assert!(hubs[0].spend_nonce(org, one, "aa", until, T0).await.unwrap());
        assert!(!hubs[1].spend_nonce(org, one, "aa", until, T0.plus_secs(120)).await.unwrap(), "at any hub");
        assert!(hubs[1].spend_nonce(org, two, "aa", until, T0).await.unwrap(), "each sensor draws its own");
        assert!(hubs[1].spend_nonce(org, one, "bb", until, T0).await.unwrap());
        // Its time refuses it by then: it need not be remembered.
        assert!(hubs[0].spend_nonce(org, one, "aa", until.plus_secs(9), until).await.unwrap());
        assert_eq!(hubs[0].sensor(one).await.unwrap().unwrap().1.seen_at, Some(until));
    });
}

fn receipt(sensor_id: SensorId, sequence: i64, slice: i64) -> Receipt {
    let digest = |sequence: i64| match sequence {
        0 => GENESIS.to_owned(),
        n => format!("{sensor_id}:{n}"),
    };
    Receipt {
        sensor_id,
        sequence,
        digest: digest(sequence),
        previous: digest(sequence - 1),
        survey_id: SurveyId::from_bits(5),
        slice,
        header: json!({ "sequence": sequence }),
    }
}

#[test]
fn a_chain_has_no_gap_and_a_slice_one_outcome() {
    everywhere("a_chain_has_no_gap_and_a_slice_one_outcome", |place| async move {
        let casework = place.open().await;
        let org = casework.add_org("Example", T0).await.unwrap().org_id;
        let (one, two) = (enrolled(&casework, org, 1).await, enrolled(&casework, org, 2).await);
        let receive = async |receipt: Receipt| casework.receive_batch(org, &receipt, T0).await;
        let refused = async |receipt: Receipt| {
            casework.receive_batch(org, &receipt, T0).await.unwrap_err().kind() == ErrorKind::Conflict
        };
        assert!(refused(receipt(one, 2, 0)).await, "a gap");
        assert!(refused(Receipt { previous: "other".into(), ..receipt(one, 1, 0) }).await, "another chain");
        assert_eq!(receive(receipt(one, 1, 0)).await.unwrap(), BatchState::Received);
        assert_eq!(
            receive(receipt(one, 1, 0)).await.unwrap(),
            BatchState::Received,
            "once more, as after a crash"
        );
        assert!(
            refused(Receipt { digest: "forged".into(), ..receipt(one, 1, 0) }).await,
            "two of one number"
        );
        assert_eq!(casework.slices_committed(SurveyId::from_bits(5)).await.unwrap(), Vec::<i64>::new());
        casework.batches_committed(one, 1).await.unwrap();
        assert_eq!(receive(receipt(one, 1, 0)).await.unwrap(), BatchState::Committed);
        // Another sensor did the same slice, and comes second; its chain goes on all the same.
        assert_eq!(receive(receipt(two, 1, 0)).await.unwrap(), BatchState::Superseded);
        assert_eq!(receive(receipt(two, 2, 7)).await.unwrap(), BatchState::Received);
        casework.batches_committed(two, 2).await.unwrap();
        assert_eq!(receive(receipt(two, 1, 0)).await.unwrap(), BatchState::Superseded, "and stays so");
        assert_eq!(casework.slices_committed(SurveyId::from_bits(5)).await.unwrap(), [0, 7]);
        let head = casework.sensor(two).await.unwrap().unwrap().1;
        assert_eq!((head.head_sequence, head.head_digest), (2, format!("{two}:2")));
        let unknown = receipt(SensorId::from_bits(9), 1, 1);
        assert_eq!(casework.receive_batch(org, &unknown, T0).await.unwrap_err().kind(), ErrorKind::NotFound);
    });
}

fn shards(survey: SurveyId, count: i64, run: &str, workers: &[&str]) -> Vec<NewShard> {
    let shard = |index| NewShard {
        index,
        count,
        progress: Value::Null,
        job: NewJob {
            kind: "survey".into(),
            dedupe: format!("{survey}@{run}/{index}"),
            payload: json!({ "shard": index }),
            attempts_max: 2,
            not_before: T0,
        },
        workers: workers.iter().map(|worker| (*worker).to_owned()).collect(),
    };
    (0..count).map(shard).collect()
}

async fn survey(casework: &Casework, org: OrgId) -> SurveyId {
    let survey_id = casework.new_survey_id(T0);
    let new = NewSurvey {
        survey_id,
        programme: "national".into(),
        kind: SurveyKind::Survey,
        mandate_digest: "d".repeat(64),
        plan: Value::Null,
    };
    casework.plan_survey(org, &new, T0).await.unwrap();
    casework.set_survey_state(org, survey_id, SurveyState::Queued, None, T0).await.unwrap();
    survey_id
}

#[test]
fn shards_are_given_to_those_who_may_have_them() {
    everywhere("shards_are_given_to_those_who_may_have_them", |place| async move {
        let casework = place.open().await;
        let org = casework.add_org("Example", T0).await.unwrap().org_id;
        let survey = survey(&casework, org).await;
        let kinds = &["survey"][..];
        casework.enqueue_shards(org, survey, &shards(survey, 2, "a", &["s1", "s2"]), T0).await.unwrap();
        assert!(casework.lease(kinds, "s3", T0, 60).await.unwrap().is_none(), "the mandate does not name it");
        let first = casework.lease(kinds, "s1", T0, 60).await.unwrap().unwrap();
        let second = casework.lease(kinds, "s2", T0, 60).await.unwrap().unwrap();
        assert_eq!((&first.payload["shard"], &second.payload["shard"]), (&json!(0), &json!(1)));
        assert!(casework.lease_again(kinds, "s3", T0, 60).await.unwrap().is_none());

        // Restarted, it takes up what it holds, by a new lease.
        let again = casework.lease_again(kinds, "s1", T0.plus_secs(5), 60).await.unwrap().unwrap();
        assert_eq!((again.job_id, again.lease, again.attempts), (first.job_id, 2, 2));
        assert!(!casework.heartbeat(&first, T0, 60).await.unwrap());
        assert!(casework.lease_again(kinds, "s1", T0, 60).await.unwrap().is_none(), "attempts are bounded");

        // What is on one sensor's disk is for nobody else, even when its lease has run out.
        casework.bind_job(org, second.job_id, "s2").await.unwrap();
        let late = T0.plus_secs(100);
        assert!(casework.lease(kinds, "s1", late, 60).await.unwrap().is_none());
        let bound = casework.lease(kinds, "s2", late, 60).await.unwrap().unwrap();
        assert_eq!((bound.job_id, bound.lease), (second.job_id, 2));
        // The first one's last attempt has run out meanwhile: the survey cannot be finished.
        let stalled = casework.stalled_surveys(org).await.unwrap();
        assert_eq!(stalled.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [survey]);

        // A new run takes the place of the old one: whoever holds a part of it learns at the next report.
        casework.report_shard(bound.job_id, &json!({ "sent": 5 })).await.unwrap();
        let seen = casework.shards(org, survey).await.unwrap();
        assert_eq!((seen.len(), &seen[1].progress["sent"]), (2, &json!(5)));
        casework.enqueue_shards(org, survey, &shards(survey, 1, "b", &[]), late).await.unwrap();
        assert!(!casework.heartbeat(&bound, late, 60).await.unwrap());
        assert_eq!(casework.job(org, bound.job_id).await.unwrap().state, JobState::Cancelled);
        assert!(casework.stalled_surveys(org).await.unwrap().is_empty());
        assert_eq!(casework.shards(org, survey).await.unwrap().len(), 1);
        // What may not be worked on yet goes back, and that was no attempt.
        let held = casework.lease(kinds, "anybody", late, 60).await.unwrap().unwrap();
        casework.put_back(&held, late, 10).await.unwrap();
        assert!(casework.lease(kinds, "anybody", late.plus_secs(9), 60).await.unwrap().is_none());
        let held = casework.lease(kinds, "anybody", late.plus_secs(10), 60).await.unwrap().unwrap();
        assert_eq!((held.attempts, held.lease), (1, 2));
    });
}

#[test]
fn a_prefix_is_left_alone_when_a_person_says_so() {
    everywhere("a_prefix_is_left_alone_when_a_person_says_so", |place| async move {
        let casework = place.open().await;
        let org = casework.add_org("Example", T0).await.unwrap().org_id;
        let asked = NewOptOut {
            prefix: "198.51.100.0/24".parse().unwrap(),
            contact: "noc@campus.example".into(),
            words: "ours\0".into(),
            from: "198.51.100.9".into(),
        };
        for _ in 0..2 {
            casework.request_opt_out(org, &asked, None, T0).await.unwrap();
        }
        let other = NewOptOut { contact: "other@campus.example".into(), ..asked.clone() };
        casework.request_opt_out(org, &other, Some(SensorId::from_bits(1)), T0.plus_secs(1)).await.unwrap();
        for wrong in [
            NewOptOut { contact: " ".into(), ..asked.clone() },
            NewOptOut { contact: "x".repeat(201), ..asked.clone() },
            NewOptOut { words: "x".repeat(2_001), ..asked.clone() },
        ] {
            assert!(casework.request_opt_out(org, &wrong, None, T0).await.is_err());
        }
        let open =
            casework.opt_out_requests(org, Some(OptOutState::Open), &PageRequest::first()).await.unwrap();
        let [first, second] = &open.items[..] else { panic!("{open:?}") };
        assert_eq!(first.asked.words, "ours\u{fffd}");
        assert!(casework.decide_opt_out(org, &first.request_id, Some(" "), &admin(), T0).await.is_err());
        assert_eq!(casework.open_opt_out(org, &first.request_id).await.unwrap(), *first);
        let accepted =
            casework.decide_opt_out(org, &first.request_id, Some("letter 7"), &admin(), T0).await.unwrap();
        assert_eq!((accepted.state, accepted.proof.as_deref()), (OptOutState::Accepted, Some("letter 7")));
        let declined = casework.decide_opt_out(org, &second.request_id, None, &admin(), T0).await.unwrap();
        assert_eq!(declined.state, OptOutState::Declined);
        let twice =
            casework.decide_opt_out(org, &second.request_id, Some("x"), &admin(), T0).await.unwrap_err();
        assert_eq!(twice.kind(), ErrorKind::NotFound);
        assert!(
            casework
                .opt_out_requests(org, Some(OptOutState::Open), &PageRequest::first())
                .await
                .unwrap()
                .items
                .is_empty()
        );
        assert!(casework.verify_audit(org).await.unwrap().is_ok());
    });
}
