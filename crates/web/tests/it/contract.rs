//! The API's description, headers, and what lies beside the API.

use axum::http::{Method, StatusCode, header};

use crate::world::{SignedIn, World, text};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ui/openapi.json");

#[test]
fn the_kept_description_is_the_servers() {
    let served = kenshin_web::document().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(DOCUMENT, &served).unwrap();
    }
    let kept = std::fs::read_to_string(DOCUMENT).unwrap_or_default();
    assert!(served == kept, "ui/openapi.json differs; UPDATE=1 writes it, then run `npm run api` in ui/");
}

#[tokio::test]
async fn the_description_is_served() {
    let world = World::new().await;
    let (status, document) = world.get(&SignedIn::default(), "/api/openapi.json").await;
    assert_eq!(status, StatusCode::OK);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    assert!(document["paths"]["/api/v1/cases/{id}/close"]["post"].is_object());
}

#[tokio::test]
async fn every_answer_carries_its_protection() {
    let world = World::new().await;
    for path in ["/", "/cases/anything", "/api/v1/session", "/api/v1/cases", "/api/v1/nothing", "/healthz"] {
        let response = world.ask(&SignedIn::default(), Method::GET, path, None).await;
        let headers = response.headers();
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.contains("script-src 'self';") && policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        assert!(!policy.split("style-src-attr").next().unwrap().contains("unsafe"), "{path}: {policy}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["x-frame-options"], "DENY", "{path}");
        assert_eq!(headers["referrer-policy"], "same-origin", "{path}");
        assert_eq!(headers["cache-control"], "no-store", "{path}");
    }
}

#[tokio::test]
async fn the_health_of_the_process_and_its_counters() {
    let world = World::new().await;
    let anybody = SignedIn::default();
    let alive = world.ask(&anybody, Method::GET, "/healthz", None).await;
    assert_eq!((alive.status(), text(alive).await.as_str()), (StatusCode::OK, "ok\n"));
    world.ask(&anybody, Method::GET, "/api/v1/cases", None).await;
    let metrics = world.ask(&anybody, Method::GET, "/metrics", None).await;
    assert!(metrics.headers()[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/plain"));
    let metrics = text(metrics).await;
    let counted = "kenshin_http_requests_total{method=\"GET\",route=\"/api/v1/cases\",status=\"401\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
}

#[tokio::test]
async fn an_unknown_api_route_is_a_problem_not_a_page() {
    let world = World::new().await;
    let response = world.ask(&SignedIn::default(), Method::GET, "/api/v2/cases", None).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
}

#[cfg(feature = "ui")]
#[tokio::test]
async fn the_interface_is_in_the_binary() {
    let world = World::new().await;
    let anybody = SignedIn::default();
    let page = world.ask(&anybody, Method::GET, "/findings?kind=telnet-open", None).await;
    assert_eq!(page.status(), StatusCode::OK);
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    let html = text(page).await;
    let nonce = policy.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap();
    assert!(html.contains(&format!("content=\"{nonce}\"")), "the page knows the nonce of its policy");
    assert!(!html.contains("<script>") && !html.contains("style="), "nothing inline: {html}");
    let script = html.split("src=\"").nth(1).unwrap().split('"').next().unwrap();
    let file = world.ask(&anybody, Method::GET, script, None).await;
    assert_eq!(file.headers()[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
    assert!(file.headers()[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
}
