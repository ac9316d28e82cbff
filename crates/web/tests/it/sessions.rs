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
