//! Holds and the journal of erasures, on both databases.

use kenshin_casework::{Actor, ErasureState, ErrorKind, NewHold};
use serde_json::json;

use crate::world::{T0, World, everywhere};

fn of_mandate(mandate: &str) -> NewHold {
    NewHold {
        mandate_id: Some(mandate.into()),
        from: Some("2026-01".into()),
        to: Some("2026-06".into()),
        survey_id: None,
        prefix: Some("192.0.2.0/24".parse().unwrap()),
        reason: " case 7 Js 12/26 ".into(),
    }
}

#[test]
fn a_hold_lasts_until_it_is_released_with_a_reason() {
    everywhere("a_hold_lasts_until_it_is_released_with_a_reason", |place| async move {
        let world = World::new(&place).await;
        let (casework, org, actor) = (&world.casework, world.org, Actor::rule("counsel"));
        let held = casework.add_hold(org, &of_mandate("m-1"), &actor, T0).await.unwrap();
        assert_eq!(held.keeps.reason, "case 7 Js 12/26");
        assert_eq!(casework.holds(org, false).await.unwrap(), std::slice::from_ref(&held));
        let no_reason = casework.release_hold(org, &held.hold_id, " ", &actor, T0).await.unwrap_err();
        assert_eq!(no_reason.kind(), ErrorKind::Input);
        let later = T0.plus_secs(9);
        let released = casework.release_hold(org, &held.hold_id, "settled", &actor, later).await.unwrap();
        assert_eq!(released.released_at, Some(later));
        assert_eq!(casework.holds(org, false).await.unwrap(), []);
        assert_eq!(casework.holds(org, true).await.unwrap(), [released]);
        let again = casework.release_hold(org, &held.hold_id, "again", &actor, later).await.unwrap_err();
        assert_eq!(again.kind(), ErrorKind::NotFound);
        assert!(casework.verify_audit(org).await.unwrap().is_ok());
    });
}

#[test]
fn a_hold_says_what_it_keeps() {
    everywhere("a_hold_says_what_it_keeps", |place| async move {
        let world = World::new(&place).await;
        let whole = of_mandate("m-1");
        for bad in [
            NewHold { reason: String::new(), ..whole.clone() },
            NewHold { from: Some("2026-13".into()), ..whole.clone() },
            NewHold { to: Some("June".into()), ..whole.clone() },
            NewHold { from: Some("2026-07".into()), ..whole.clone() },
            NewHold { reason: "everything".into(), ..NewHold::default() },
        ] {
            let refused = world.casework.add_hold(world.org, &bad, &Actor::rule("x"), T0).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Input, "{bad:?}");
        }
        assert_eq!(world.casework.holds(world.org, true).await.unwrap(), []);
    });
}

#[test]
fn an_erasure_goes_from_step_to_step_and_a_new_hold_stops_it_in_time() {
    everywhere("an_erasure_goes_from_step_to_step_and_a_new_hold_stops_it_in_time", |place| async move {
        let world = World::new(&place).await;
        let (casework, org, actor) = (&world.casework, world.org, Actor::rule("retention"));
        let intend = async || {
            let (shelf, policy) = (json!({ "table": "blobs" }), json!({ "blobs": "1 month" }));
            casework.intend_erasure(org, &shelf, &policy, &actor, T0).await.unwrap()
        };
        let (one, two) = (intend().await, intend().await);
        assert!(
            casework.erasures_removed(org, std::slice::from_ref(&one), T0).await.is_err(),
            "not yet removing"
        );
        casework.begin_removal(org, &one, &[], &actor, T0).await.unwrap();
        // A hold that comes between the look at the holds and the removal.
        let held = casework.add_hold(org, &of_mandate("m-1"), &actor, T0).await.unwrap();
        let refused = casework.begin_removal(org, &two, &[], &actor, T0).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict);
        casework.withdraw_erasure(org, &two, "held", &actor, T0).await.unwrap();
        // What was begun goes on.
        casework.begin_removal(org, &one, &[held], &actor, T0).await.unwrap();
        casework.erasures_removed(org, std::slice::from_ref(&one), T0).await.unwrap();
        let open = casework.open_erasures(org).await.unwrap();
        assert_eq!((open.len(), open[0].state, open[0].removed_at), (1, ErasureState::Removed, Some(T0)));
        assert!(casework.withdraw_erasure(org, &one, "too late", &actor, T0).await.is_err());
        casework.erasure_done(org, &one, "ab", &actor, T0).await.unwrap();
        assert_eq!(casework.open_erasures(org).await.unwrap(), []);
        assert!(casework.erasure_done(org, &one, "ab", &actor, T0).await.is_err(), "once");
        assert!(casework.verify_audit(org).await.unwrap().is_ok());
    });
}
