//! Mandates, surveys, snapshots, suppressions, assets.

use kenshin_casework::{
    Actor, AuditEntry, ErrorKind, LinkRecord, MandateSignature, NewMandate, PageRequest, Snapshot,
    Suppression, SuppressionKind, SurveyKind, SurveyState, SurveyTotals,
};
use kenshin_casework::{Experiment, QueueSummary};
use kenshin_observation::Messages;
use serde_json::json;

use crate::world::{T0, World, all_pages, assessment, asset, everywhere, letterhead, telnet};

#[test]
fn a_mandate_is_kept_byte_for_byte() {
    everywhere("a_mandate_is_kept_byte_for_byte", |place| async move {
        let world = World::new(&place).await;
        let new = NewMandate {
            mandate_id: "national-2026".into(),
            version: 1,
            programme: "national".into(),
            text: "schema_version = 1\r\n# 日本語\n".into(),
            signatures: vec![MandateSignature {
                signer: "authority@example".into(),
                armour: "-----BEGIN SSH SIGNATURE-----".into(),
            }],
        };
        let actor = Actor::rule("test");
        let one = world.casework.add_mandate(world.org, &new, &actor, T0).await.unwrap();
        let two = world.casework.add_mandate(world.org, &new, &actor, T0.plus_secs(9)).await.unwrap();
        assert_eq!(one, two, "the same text twice is once");
        assert_eq!(
            (one.text.as_str(), one.signatures.as_slice()),
            (new.text.as_str(), new.signatures.as_slice())
        );
        let second = NewMandate { version: 2, text: "other".into(), ..new };
        world.casework.add_mandate(world.org, &second, &actor, T0).await.unwrap();
        assert_eq!(world.casework.newest_mandate(world.org, "national-2026").await.unwrap().version, 2);
        world.casework.revoke_mandate(world.org, "national-2026", &actor, T0).await.unwrap();
        let all = world.casework.mandates(world.org, &PageRequest::first()).await.unwrap().items;
        assert!(all.len() == 2 && all.iter().all(|mandate| mandate.revoked_at == Some(T0)));
        assert_eq!(world.casework.mandate(world.org, "none").await.unwrap_err().kind(), ErrorKind::NotFound);
    });
}

#[test]
fn surveys_are_numbered_rounds_with_sensible_states() {
    everywhere("surveys_are_numbered_rounds_with_sensible_states", |place| async move {
        let world = World::new(&place).await;
        let (one, two) =
            tokio::join!(world.survey(SurveyKind::Survey, T0), world.survey(SurveyKind::Recheck, T0));
        let mut rounds = [one.round, two.round];
        rounds.sort_unstable();
        assert_eq!(rounds, [1, 2]);
        let set = |state, reason: Option<&'static str>| {
            let (casework, org, id) = (world.casework.clone(), world.org, one.survey_id);
            async move { casework.set_survey_state(org, id, state, reason, T0).await }
        };
        set(SurveyState::Running, None).await.unwrap();
        world.casework.set_survey_progress(world.org, one.survey_id, &json!({ "sent": 5 })).await.unwrap();
        set(SurveyState::Stopped, Some("revoked")).await.unwrap();
        let stopped = world.casework.survey(world.org, one.survey_id).await.unwrap();
        assert_eq!(
            (stopped.state, stopped.reason.as_deref(), stopped.ended_at),
            (SurveyState::Stopped, Some("revoked"), Some(T0))
        );
        set(SurveyState::Running, None).await.unwrap();
        let totals = SurveyTotals { responders: 7, ..SurveyTotals::default() };
        world.casework.set_survey_totals(world.org, one.survey_id, &totals).await.unwrap();
        set(SurveyState::Finished, None).await.unwrap();
        let error = set(SurveyState::Running, None).await.unwrap_err();
        assert!(error.to_string().contains("is finished and cannot become running"), "{error}");
        let done = world.casework.survey(world.org, one.survey_id).await.unwrap();
        assert_eq!((done.totals, done.progress, done.reason), (totals, json!({ "sent": 5 }), None));
        let all = all_pages(|page| {
            let (casework, org) = (world.casework.clone(), world.org);
            async move { casework.surveys(org, Some("national"), &page).await.unwrap() }
        })
        .await;
        assert_eq!(all.len(), 2);
    });
}

#[test]
fn snapshots_are_registered_once() {
    everywhere("snapshots_are_registered_once", |place| async move {
        let world = World::new(&place).await;
        let snapshot = Snapshot {
            kind: "kev".into(),
            digest: "a".repeat(64),
            as_of: "2026-01-01".into(),
            source: "CISA".into(),
            path: "intel/kev.json".into(),
            records: 3,
            imported_at: T0,
        };
        world.casework.add_snapshot(world.org, &snapshot).await.unwrap();
        let again = Snapshot { imported_at: T0.plus_secs(5), ..snapshot.clone() };
        world.casework.add_snapshot(world.org, &again).await.unwrap();
        assert_eq!(world.casework.snapshots(world.org).await.unwrap(), std::slice::from_ref(&again));
        // However many there were of one kind, the newest of each is found.
        let newer = Snapshot { digest: "b".repeat(64), imported_at: T0.plus_secs(9), ..snapshot.clone() };
        let beside = Snapshot { digest: "c".repeat(64), ..newer.clone() };
        let other = Snapshot { kind: "asn".into(), ..snapshot };
        for one in [&beside, &newer, &other] {
            world.casework.add_snapshot(world.org, one).await.unwrap();
        }
        assert_eq!(world.casework.newest_snapshots(world.org).await.unwrap(), [other, newer]);
    });
}

#[test]
fn an_opt_out_covers_one_address_at_once_and_a_prefix_with_proof() {
    everywhere("an_opt_out_covers_one_address_at_once_and_a_prefix_with_proof", |place| async move {
        let world = World::new(&place).await;
        let (survey, _) =
            world.round(vec![telnet(1, "192.0.2.1", T0), telnet(2, "192.0.2.2", T0)], vec![], T0).await;
        let mut suppression = Suppression {
            kind: SuppressionKind::OptOut,
            prefix: "192.0.2.0/24".parse().unwrap(),
            reason: "asked by mail".into(),
            proof: None,
            created_at: T0,
            until: Some(T0.plus_secs(100)),
        };
        let actor = Actor::rule("test");
        let error = world.casework.suppress(world.org, &suppression, &actor, T0).await.unwrap_err();
        assert!(error.to_string().contains("needs proof"), "{error}");
        suppression.prefix = "192.0.2.1/32".parse().unwrap();
        world.casework.suppress(world.org, &suppression, &actor, T0).await.unwrap();
        assert_eq!(world.casework.suppressions(world.org, T0).await.unwrap(), [suppression]);
        assert!(world.casework.suppressions(world.org, T0.plus_secs(100)).await.unwrap().is_empty());
        let queued = world
            .casework
            .queue_notices(world.org, survey.survey_id, &letterhead(), &Messages::builtin(), T0)
            .await
            .unwrap();
        assert_eq!(queued, QueueSummary { notices: 1, cases: 1, suppressed: 1, ..QueueSummary::default() });
        let trail: Vec<AuditEntry> =
            world.casework.audit_trail(&world.viewer, &PageRequest::first()).await.unwrap().items;
        assert!(trail.iter().any(|entry| entry.action == "suppression.add"));
    });
}

#[test]
fn a_merged_asset_keeps_its_case() {
    everywhere("a_merged_asset_keeps_its_case", |place| async move {
        let world = World::new(&place).await;
        world.round(vec![telnet(1, "192.0.2.1", T0)], vec![], T0).await;
        let survey = world.survey(SurveyKind::Survey, T0).await;
        // Insight found that asset 1 is the same device as asset 2.
        let mut second = assessment(survey.survey_id, vec![telnet(2, "192.0.2.1", T0)], vec![]);
        let link = |sequence, action: &str, asset_id, other| LinkRecord {
            sequence,
            survey_id: survey.survey_id,
            action: action.into(),
            asset_id: Some(asset_id),
            other,
            time: T0,
            body: json!({ "why": "shared key" }),
        };
        second.links = vec![link(1, "link", asset(2), None), link(2, "merge", asset(2), Some(asset(1)))];
        let summary = world
            .casework
            .record_assessment(world.org, &second, &Experiment::none(), T0)
            .await
            .unwrap()
            .unwrap();
        assert_eq!((summary.opened, summary.attached), (0, 1));
        assert_eq!(world.casework.asset_links(world.org).await.unwrap(), second.links);
        assert_eq!(world.casework.asset(&world.viewer, asset(1)).await.unwrap().merged_into, Some(asset(2)));
        assert_eq!(world.casework.sightings(world.org).await.unwrap().len(), 2);
    });
}
