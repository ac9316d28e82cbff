//! People, passwords, sessions.

use kenshin_casework::{ErrorKind, Limit, NewUser, PageRequest, Role};

use crate::world::{T0, all_pages, everywhere};

fn user(login: &str, role: Role, password: &str) -> NewUser {
    NewUser {
        login: login.into(),
        name: "Someone".into(),
        role,
        language: "ja".into(),
        password: password.into(),
        must_change: false,
        providers: Vec::new(),
        limit: Limit::default(),
    }
}

#[test]
fn sessions_begin_hold_and_end() {
    everywhere("sessions_begin_hold_and_end", |place| async move {
        let casework = place.open().await;
        let org = casework.add_org("Example", T0).await.unwrap().org_id;
        let password = casework.generate_password();
        assert_eq!(password.len(), 23);
        let added = casework.add_user(org, &user("admin", Role::Admin, &password), T0).await.unwrap();
        assert!(casework.sign_in("admin", "wrong password", T0, 60).await.unwrap().is_none());
        assert!(casework.sign_in("nobody", &password, T0, 60).await.unwrap().is_none());
        let signed_in = casework.sign_in("admin", &password, T0, 60).await.unwrap().unwrap();
        assert_eq!(signed_in.user, added);
        assert!(!format!("{signed_in:?}").contains(&signed_in.token), "a token is never printed");
        let session = casework.session(&signed_in.token, T0.plus_secs(59)).await.unwrap().unwrap();
        assert_eq!((session.user.user_id, session.csrf), (added.user_id, signed_in.csrf.clone()));
        assert!(
            casework.session(&signed_in.token, T0.plus_secs(60)).await.unwrap().is_none(),
            "it has expired"
        );
        assert!(casework.session("guess", T0).await.unwrap().is_none());

        casework.set_password(org, added.user_id, "a new password", true).await.unwrap();
        assert!(
            casework.session(&signed_in.token, T0).await.unwrap().is_none(),
            "a new password ends sessions"
        );
        let again = casework.sign_in("admin", "a new password", T0, 60).await.unwrap().unwrap();
        assert!(again.user.must_change);
        casework.sign_out(&again.token).await.unwrap();
        assert!(casework.session(&again.token, T0).await.unwrap().is_none());
        let last = casework.sign_in("admin", "a new password", T0, 60).await.unwrap().unwrap();
        casework.disable_user(org, added.user_id, true, T0).await.unwrap();
        assert!(casework.session(&last.token, T0).await.unwrap().is_none());
        assert!(casework.sign_in("admin", "a new password", T0, 60).await.unwrap().is_none());
    });
}

#[test]
fn bad_people_are_refused() {
    everywhere("bad_people_are_refused", |place| async move {
        let casework = place.open().await;
        let org = casework.add_org("Example", T0).await.unwrap().org_id;
        for bad in [
            user("admin", Role::Admin, "short"),
            user("", Role::Admin, "long enough password"),
            user("a b", Role::Admin, "long enough password"),
        ] {
            let error = casework.add_user(org, &bad, T0).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Input, "{error}");
        }
        casework.add_user(org, &user("admin", Role::Admin, "long enough password"), T0).await.unwrap();
        let taken = casework
            .add_user(org, &user("admin", Role::Analyst, "long enough password"), T0)
            .await
            .unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::Conflict);
        casework.add_user(org, &user("second", Role::Auditor, "long enough password"), T0).await.unwrap();
        let users = all_pages(|page: PageRequest| {
            let casework = casework.clone();
            async move { casework.users(org, &page).await.unwrap() }
        })
        .await;
        assert_eq!(users.len(), 2);
        assert!(
            casework
                .users(kenshin_observation::OrgId::from_bits(1), &PageRequest::first())
                .await
                .unwrap()
                .items
                .is_empty()
        );
    });
}

#[test]
fn no_password_or_token_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let place = crate::world::Place { url: format!("sqlite://{}/k.db", folder.path().display()) };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (password, token) = runtime.block_on(async {
        let casework = place.open().await;
        let org = casework.add_org("Example", T0).await.unwrap().org_id;
        let password = casework.generate_password();
        casework.add_user(org, &user("admin", Role::Admin, &password), T0).await.unwrap();
        let token = casework.sign_in("admin", &password, T0, 60).await.unwrap().unwrap().token;
        casework.close().await;
        (password, token)
    });
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for secret in [&password, &token] {
            assert!(
                !bytes.windows(secret.len()).any(|window| window == secret.as_bytes()),
                "a secret is on disk"
            );
        }
    }
}

/// What accounts are limited to is kept, told once for all of them, and taken back; only analysts can be.
#[test]
fn analysts_are_limited_to_mandates() {
    everywhere("analysts_are_limited_to_mandates", |place| async move {
        let casework = place.open().await;
        let org = casework.add_org("Example", T0).await.unwrap().org_id;
        let limit = |mandates: &[&str], community: Option<&str>| Limit {
            mandates: mandates.iter().map(|id| (*id).to_owned()).collect(),
            community: community.map(str::to_owned),
        };
        let add = async |login: &str, role: Role, limit: Limit| {
            casework.add_user(org, &NewUser { limit, ..user(login, role, "a good password") }, T0).await
        };
        for (role, wrong) in [
            (Role::Auditor, limit(&["a"], None)),
            (Role::Analyst, limit(&[], Some("ISAC"))),
            (Role::Analyst, limit(&["a"], Some(" "))),
        ] {
            assert_eq!(add("x", role, wrong).await.unwrap_err().kind(), ErrorKind::Input);
        }
        let one = add("one", Role::Analyst, limit(&["b", "a", "b"], None)).await.unwrap();
        assert_eq!(
            (one.mandates.clone(), one.community.clone()),
            (vec!["a".to_owned(), "b".to_owned()], None)
        );
        assert!(one.viewer().is_limited() && !one.viewer().sees_rows() && !one.viewer().sees_all_providers());
        add("two", Role::Analyst, limit(&["a", "b"], None)).await.unwrap();
        let three = add("three", Role::Analyst, limit(&["a", "b"], Some("ISAC"))).await.unwrap();
        assert_eq!(three.community.as_deref(), Some("ISAC"));
        let limits = async || {
            let found = casework.mandate_limits(org).await.unwrap();
            found.into_iter().map(|limit| (limit.mandates.concat(), limit.shared)).collect::<Vec<_>>()
        };
        assert_eq!(limits().await, [("ab".to_owned(), false), ("ab".to_owned(), true)]);
        casework.disable_user(org, three.user_id, true, T0).await.unwrap();
        assert_eq!(limits().await, [("ab".to_owned(), false)]);
        for (id, now) in [(one.user_id, limit(&["c"], None)), (three.user_id, limit(&[], None))] {
            casework.limit_user(org, id, &now).await.unwrap();
        }
        assert_eq!(limits().await, [("ab".to_owned(), false), ("c".to_owned(), false)]);
        let free = casework.user(org, three.user_id).await.unwrap();
        assert!(free.community.is_none() && !free.viewer().is_limited());
    });
}
