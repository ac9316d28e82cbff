//! Signing in and out, and what protects it.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};

use crate::world::{PASSWORD, SignedIn, World, json, text};

#[tokio::test]
async fn the_cookie_is_out_of_reach_of_scripts_and_other_sites() {
    let world = World::new().await;
    let response = world.try_sign_in("admin", PASSWORD).await;
    let cookie = response.headers()[header::SET_COOKIE].to_str().unwrap();
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "this home is reached by http");
}

#[tokio::test]
async fn a_change_needs_the_sessions_token() {
    let world = World::new().await;
    let admin = world.sign_in("admin").await;
    let (case, _) = world.own_and_other().await;
    let path = format!("/api/v1/cases/{}/ack", case.case_id);
    let body = || Some(serde_json::json!({ "note": "on it" }));
    let other = world.sign_in("operator").await;
    for csrf in [String::new(), "0".repeat(64), other.csrf.clone()] {
        let forged = SignedIn { csrf, ..admin.clone() };
        let response = world.ask(&forged, Method::POST, &path, body()).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        assert_eq!(json(response).await["code"], "csrf");
    }
    assert_eq!(world.ask(&admin, Method::POST, &path, body()).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn signing_out_ends_the_session() {
    let world = World::new().await;
    let admin = world.sign_in("admin").await;
    assert_eq!(world.get(&admin, "/api/v1/overview").await.0, StatusCode::OK);
    let response = world.ask(&admin, Method::DELETE, "/api/v1/session", None).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(world.get(&admin, "/api/v1/overview").await.0, StatusCode::UNAUTHORIZED);
    assert!(world.get(&admin, "/api/v1/session").await.1["me"].is_null());
}

#[tokio::test]
async fn a_session_runs_out() {
    let world = World::new().await;
    let admin = world.sign_in("admin").await;
    world.pass(12 * 3600 - 120);
    assert_eq!(world.get(&admin, "/api/v1/overview").await.0, StatusCode::OK);
    world.pass(121);
    assert_eq!(world.get(&admin, "/api/v1/overview").await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn people_change_their_own_password() {
    let world = World::new().await;
    let (here, elsewhere) = (world.sign_in("analyst").await, world.sign_in("analyst").await);
    let change = async |current: &str, new: &str| {
        let body = serde_json::json!({ "current": current, "new": new });
        world.ask(&here, Method::PUT, "/api/v1/session/password", Some(body)).await
    };
    let own = "one that I chose";
    for (current, new, status) in [
        ("not the password", own, StatusCode::UNAUTHORIZED),
        (PASSWORD, "nine char", StatusCode::BAD_REQUEST),
        (PASSWORD, PASSWORD, StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(change(current, new).await.status(), status, "{new}");
        assert_eq!(world.get(&here, "/api/v1/findings").await.0, StatusCode::OK, "the session stays");
    }
    let anonymous = serde_json::json!({ "current": PASSWORD, "new": own });
    let response =
        world.ask(&SignedIn::default(), Method::PUT, "/api/v1/session/password", Some(anonymous)).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);

    let response = change(PASSWORD, own).await;
    assert_eq!(response.status(), StatusCode::OK);
    let cookie =
        response.headers()[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    let state = json(response).await;
    assert_eq!(state["me"]["must_change"], false);
    let anew = SignedIn { cookie, csrf: state["me"]["csrf"].as_str().unwrap().to_owned() };
    assert_eq!(world.get(&anew, "/api/v1/findings").await.0, StatusCode::OK);
    for ended in [&here, &elsewhere] {
        assert_eq!(world.get(ended, "/api/v1/findings").await.0, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(world.try_sign_in("analyst", PASSWORD).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(world.try_sign_in("analyst", own).await.status(), StatusCode::OK);
    let audit = world.get(&world.sign_in("auditor").await, "/api/v1/audit").await.1;
    let changed = |entry: &&serde_json::Value| {
        entry["object"] == "/api/v1/session/password"
            && entry["actor"] == "A analyst"
            && entry["detail"].as_str().unwrap().contains("200")
    };
    assert_eq!(audit["items"].as_array().unwrap().iter().filter(changed).count(), 1, "{audit}");
    let audit = audit.to_string();
    assert!(!audit.contains(own) && !audit.contains(PASSWORD));
}

/// Who finds an open session may not guess by it.
#[tokio::test]
async fn a_change_is_tried_as_seldom_as_a_sign_in() {
    let world = World::new().await;
    let analyst = world.sign_in("analyst").await;
    let change = async |current: &str| {
        let body = serde_json::json!({ "current": current, "new": "one that I chose" });
        world.ask(&analyst, Method::PUT, "/api/v1/session/password", Some(body)).await.status()
    };
    for _ in 0..5 {
        assert_eq!(change("wrong").await, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(change(PASSWORD).await, StatusCode::TOO_MANY_REQUESTS, "even the right one waits");
    world.pass(15 * 60);
    assert_eq!(change(PASSWORD).await, StatusCode::OK);
}

#[tokio::test]
async fn whom_a_password_was_given_is_told_to_choose_one() {
    let world = World::new().await;
    let (casework, org) = (world.observatory.casework(), world.observatory.org());
    let user = casework.user_named(org, "analyst").await.unwrap();
    casework.set_password(org, user.user_id, "given by somebody else", true).await.unwrap();
    let state = json(world.try_sign_in("analyst", "given by somebody else").await).await;
    assert_eq!(state["me"]["must_change"], true);
}

#[tokio::test]
async fn passwords_cannot_be_tried_without_end() {
    let world = World::new().await;
    for _ in 0..5 {
        assert_eq!(world.try_sign_in("admin", "wrong").await.status(), StatusCode::UNAUTHORIZED);
    }
    let response = world.try_sign_in("admin", PASSWORD).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS, "even the right one waits");
    world.pass(15 * 60);
    assert_eq!(world.try_sign_in("admin", PASSWORD).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_wrong_account_and_a_wrong_password_look_the_same() {
    let world = World::new().await;
    let wrong_password = text(world.try_sign_in("admin", "wrong").await).await;
    let wrong_account = text(world.try_sign_in("nobody", "wrong").await).await;
    assert_eq!(wrong_password, wrong_account);
}

#[tokio::test]
async fn large_and_malformed_bodies_are_refused() {
    let world = World::new().await;
    let post = |kind: &str, body: String| {
        Request::post("/api/v1/session").header(header::CONTENT_TYPE, kind).body(Body::from(body)).unwrap()
    };
    let huge = format!("{{\"login\":\"{}\",\"password\":\"x\"}}", "a".repeat(100_000));
    assert_eq!(world.send(post("application/json", huge)).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let form = world.send(post("application/x-www-form-urlencoded", "login=admin".into())).await;
    assert_eq!(form.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "a form of another site cannot sign in");
    let broken = world.send(post("application/json", "{".into())).await;
    assert_eq!(broken.status(), StatusCode::BAD_REQUEST);
    assert_eq!(broken.headers()[header::CONTENT_TYPE], "application/problem+json");
}
