//! Durable, leased jobs.

use kenshin_casework::{ErrorKind, JobState, NewJob, PageRequest};
use serde_json::json;

use crate::world::{T0, everywhere};

fn job(name: &str, attempts_max: i64) -> NewJob {
    NewJob {
        kind: "survey".into(),
        dedupe: name.into(),
        payload: json!({ "name": name }),
        attempts_max,
        not_before: T0,
    }
}

#[test]
fn a_job_is_done_once_by_the_holder_of_its_newest_lease() {
    everywhere("a_job_is_done_once_by_the_holder_of_its_newest_lease", |place| async move {
        let casework = place.open().await;
        let org = casework.add_org("Example", T0).await.unwrap().org_id;
        let first = casework.enqueue(org, &job("a", 3), T0).await.unwrap();
        assert_eq!(
            casework.enqueue(org, &job("a", 3), T0).await.unwrap().job_id,
            first.job_id,
            "enqueued once"
        );
        assert!(casework.lease(&["other"], "w1", T0, 60).await.unwrap().is_none());
        assert!(casework.lease(&[], "w1", T0, 60).await.unwrap().is_none());
        let held = casework.lease(&["survey"], "w1", T0, 60).await.unwrap().unwrap();
        assert_eq!((held.attempts, held.lease, held.payload.clone()), (1, 1, json!({ "name": "a" })));
        assert!(casework.lease(&["survey"], "w2", T0.plus_secs(59), 60).await.unwrap().is_none());
        assert!(casework.heartbeat(&held, T0.plus_secs(30), 60).await.unwrap());
        assert!(casework.lease(&["survey"], "w2", T0.plus_secs(89), 60).await.unwrap().is_none());
        // The first worker is lost; the second takes over, and the first is not listened to.
        let taken = casework.lease(&["survey"], "w2", T0.plus_secs(90), 60).await.unwrap().unwrap();
        assert_eq!((taken.job_id, taken.lease, taken.attempts), (held.job_id, 2, 2));
        assert!(!casework.heartbeat(&held, T0.plus_secs(91), 60).await.unwrap());
        assert_eq!(casework.complete(&held, &json!(1), T0).await.unwrap_err().kind(), ErrorKind::Conflict);
        casework.complete(&taken, &json!({ "ok": true }), T0.plus_secs(92)).await.unwrap();
        let done = casework.job(org, held.job_id).await.unwrap();
        assert_eq!((done.state, done.result), (JobState::Done, Some(json!({ "ok": true }))));
        assert!(casework.complete(&taken, &json!(2), T0).await.is_err(), "done is done");
    });
}

#[test]
fn attempts_are_bounded() {
    everywhere("attempts_are_bounded", |place| async move {
        let casework = place.open().await;
        let org = casework.add_org("Example", T0).await.unwrap().org_id;
        casework.enqueue(org, &job("fails", 2), T0).await.unwrap();
        let held = casework.lease(&["survey"], "w", T0, 60).await.unwrap().unwrap();
        assert_eq!(casework.fail(&held, "disk\0full", T0, 10).await.unwrap(), JobState::Queued);
        assert!(casework.lease(&["survey"], "w", T0.plus_secs(9), 60).await.unwrap().is_none(), "it waits");
        let held = casework.lease(&["survey"], "w", T0.plus_secs(10), 60).await.unwrap().unwrap();
        assert_eq!(casework.fail(&held, "again", T0, 10).await.unwrap(), JobState::Failed);
        assert!(casework.lease(&["survey"], "w", T0.plus_secs(999), 60).await.unwrap().is_none());

        casework.enqueue(org, &job("vanishes", 1), T0).await.unwrap();
        let held = casework.lease(&["survey"], "w", T0, 60).await.unwrap().unwrap();
        assert!(casework.lease(&["survey"], "w", T0.plus_secs(61), 60).await.unwrap().is_none());
        let lost = casework.job(org, held.job_id).await.unwrap();
        assert_eq!((lost.state, lost.error.is_some()), (JobState::Failed, true));

        let cancelled = casework.enqueue(org, &job("cancelled", 1), T0).await.unwrap();
        casework.cancel_job(org, cancelled.job_id, T0).await.unwrap();
        assert!(casework.lease(&["survey"], "w", T0, 60).await.unwrap().is_none());
        let failed = casework.jobs(org, Some(JobState::Failed), &PageRequest::first()).await.unwrap();
        assert_eq!(failed.items.len(), 2);
    });
}

#[test]
fn of_many_workers_each_job_goes_to_one() {
    everywhere("of_many_workers_each_job_goes_to_one", |place| async move {
        // Two hubs on one database, each with several workers.
        let hubs = [place.open().await, place.open().await];
        let org = hubs[0].add_org("Example", T0).await.unwrap().org_id;
        for n in 0..20 {
            hubs[0].enqueue(org, &job(&n.to_string(), 1), T0).await.unwrap();
        }
        let mut workers = Vec::new();
        for n in 0..6 {
            let hub = hubs[n % 2].clone();
            workers.push(tokio::spawn(async move {
                let mut names = Vec::new();
                while let Some(held) = hub.lease(&["survey"], "w", T0, 60).await.unwrap() {
                    hub.complete(&held, &json!(n), T0).await.unwrap();
                    names.push(held.dedupe);
                }
                names
            }));
        }
        let mut all = Vec::new();
        for worker in workers {
            all.extend(worker.await.unwrap());
        }
        all.sort_by_key(|name| name.parse::<u32>().unwrap());
        assert_eq!(all, (0..20).map(|n| n.to_string()).collect::<Vec<_>>());
    });
}
