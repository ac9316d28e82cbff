//! The courtesy page: what it says, what it takes, and what it does not.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Method, Request, Response, StatusCode};
use kenshin_observatory::{Courtesy, Worker};
use tower::ServiceExt;

use crate::world::{World, text};

/// A visitor's request.
async fn visit(page: &Router, from: &str, request: Request<Body>) -> Response<Body> {
    let mut request = request;
    let peer: SocketAddr = (from.parse::<std::net::IpAddr>().unwrap(), 40_000).into();
    request.extensions_mut().insert(ConnectInfo(peer));
    page.clone().oneshot(request).await.unwrap()
}

fn get(path: &str) -> Request<Body> {
    Request::builder().uri(path).body(Body::empty()).unwrap()
}

fn post(path: &str, headers: &[(&str, &str)], form: &str) -> Request<Body> {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header("host", "203.0.113.1")
        .header("content-type", "application/x-www-form-urlencoded");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::from(form.to_owned())).unwrap()
}

fn page(world: &World) -> (Router, Courtesy) {
    let worker = Worker::open(&world.observatory).unwrap();
    let courtesy = Courtesy::of(&worker, "<Example> CSIRT");
    let messages = kenshin_observation::Messages::builtin();
    (kenshin_web::courtesy::router(courtesy.clone(), messages), courtesy)
}

#[tokio::test]
async fn it_says_who_measures_in_both_languages_and_keeps_nothing() {
    let world = World::new().await;
    let (page, courtesy) = page(&world);
    let answer = visit(&page, "192.0.2.9", get("/")).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let headers = answer.headers().clone();
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert!(!headers.contains_key("set-cookie"));
    assert_eq!(headers["cache-control"], "no-store");
    let html = text(answer).await;
    for part in
        ["lang=\"ja\"", "lang=\"en\"", "&lt;Example&gt; CSIRT", "192.0.2.9", "観測器", &courtesy.public_key]
    {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(!html.contains("<script") && !html.contains("style=\""), "{html}");
    // Every field has its label.
    let labelled = html.matches("<label for=").count();
    assert_eq!(labelled, html.matches("<input").count() + html.matches("<textarea").count());
    let told = text(visit(&page, "192.0.2.9", get("/.well-known/probing.txt")).await).await;
    assert!(told.contains("Preferred-Languages: ja, en") && told.contains("Description: "), "{told}");
    for path in ["/admin", "/mandates/narrowing.toml", "/mandates/..%2fallowed_signers", "/opt-out"] {
        let status = visit(&page, "192.0.2.9", get(path)).await.status();
        assert!(status.is_client_error(), "{path}: {status}");
    }
}

#[tokio::test]
async fn an_address_is_left_alone_at_its_own_request_only() {
    let world = World::new().await;
    let (page, courtesy) = page(&world);
    let ask = async |from: &str, headers: &[(&str, &str)]| {
        visit(&page, from, post("/opt-out", headers, "")).await.status()
    };
    let left_out = |addr: &str| courtesy.leaves_out(addr.parse().unwrap()).unwrap();
    // A page of another site asks in its visitor's name.
    for elsewhere in [
        &[("origin", "http://evil.example")][..],
        &[("origin", "null")],
        &[("sec-fetch-site", "cross-site")],
        &[("origin", "http://203.0.113.1"), ("sec-fetch-site", "cross-site")],
    ] {
        assert_eq!(ask("192.0.2.9", elsewhere).await, StatusCode::FORBIDDEN, "{elsewhere:?}");
    }
    assert!(!left_out("192.0.2.9"));
    let here = [("origin", "http://203.0.113.1"), ("sec-fetch-site", "same-origin")];
    assert_eq!(ask("192.0.2.9", &here).await, StatusCode::OK);
    assert_eq!(ask("2001:db8::7", &[]).await, StatusCode::OK, "no browser, speaks for itself");
    assert_eq!(ask("::ffff:192.0.2.33", &[]).await, StatusCode::OK);
    assert!(left_out("192.0.2.9") && left_out("2001:db8::7") && left_out("192.0.2.33"));
    assert!(!left_out("192.0.2.10") && !left_out("2001:db8::8"), "nobody else");
    let html = text(visit(&page, "192.0.2.9", get("/")).await).await;
    assert!(html.contains("is left alone") && !html.contains("action=\"/opt-out\""), "{html}");
    // Asked again and again it is one entry, and then it is enough.
    for _ in 0..4 {
        assert_eq!(ask("192.0.2.9", &here).await, StatusCode::OK);
    }
    assert_eq!(ask("192.0.2.9", &here).await, StatusCode::TOO_MANY_REQUESTS);
    let list = std::fs::read_to_string(world.observatory.home().narrowing()).unwrap();
    assert_eq!(list.matches("192.0.2.9\"").count(), 1, "{list}");
    // One network of IPv6 is one visitor.
    for host in 10..14 {
        assert_eq!(ask(&format!("2001:db8:0:{host}::1"), &[]).await, StatusCode::OK);
    }
    assert_eq!(ask("2001:db8:0:ff::1", &[]).await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(ask("2001:db8:1::1", &[]).await, StatusCode::OK);
}

#[tokio::test]
async fn a_prefix_is_a_request_that_a_person_decides() {
    let world = World::new().await;
    let (page, courtesy) = page(&world);
    let ask = async |from: &str, form: &str| visit(&page, from, post("/request", &[], form)).await.status();
    let good = "prefix=198.51.100.0%2F24&contact=noc%40campus.example&words=%3Cb%3Eours%3C%2Fb%3E";
    assert_eq!(ask("198.51.100.9", good).await, StatusCode::OK);
    assert!(!courtesy.leaves_out("198.51.100.9".parse().unwrap()).unwrap(), "it needs proof");
    for (from, bad) in [
        ("192.0.2.1", "prefix=198.51.100.1%2F24&contact=x"),
        ("192.0.2.2", "prefix=everything&contact=x"),
        ("192.0.2.3", "prefix=198.51.100.0%2F24&contact="),
        ("192.0.2.4", "no form"),
    ] {
        assert_eq!(ask(from, bad).await, StatusCode::BAD_REQUEST, "{bad}");
    }
    let long = format!("prefix=198.51.100.0%2F24&contact=x&words={}", "a".repeat(9_000));
    assert_eq!(ask("192.0.2.5", &long).await, StatusCode::BAD_REQUEST);
    // It waits for the hub, which has it for its people when the sensor comes by.
    let waiting: Vec<_> = std::fs::read_dir(world.observatory.home().requests()).unwrap().collect();
    assert_eq!(waiting.len(), 1);
}
