//! Every route × every role, as the API answers, against a stored table.

use std::collections::BTreeSet;
use std::fmt::Write;

use axum::http::{Method, StatusCode};
use kenshin_web::Role;
use kenshin_web::policy::{self, ROUTES};

use crate::world::{SignedIn, World};

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/web/routes.txt");

/// Routes that lie beside the described API.
const UNDESCRIBED: [(&str, &str); 3] =
    [("GET", "/healthz"), ("GET", "/metrics"), ("GET", "/api/openapi.json")];

fn described() -> BTreeSet<(String, String)> {
    let document = serde_json::to_value(kenshin_web::document()).unwrap();
    let mut routes = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            routes.insert((method.to_uppercase(), path.clone()));
        }
    }
    routes.extend(UNDESCRIBED.map(|(method, path)| (method.to_owned(), path.to_owned())));
    routes
}

#[test]
fn every_route_has_a_row_and_every_row_a_route() {
    let rows: BTreeSet<(String, String)> =
        ROUTES.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    assert_eq!(rows.len(), ROUTES.len(), "no row twice");
    assert_eq!(rows, described());
}

#[tokio::test]
async fn every_route_answers_every_role_as_the_table_says() {
    let world = World::new().await;
    let mut people = vec![("anonymous".to_owned(), SignedIn::default())];
    for role in Role::ALL {
        people.push((role.to_string(), world.sign_in(role.as_str()).await));
    }
    people.push(("limited".to_owned(), world.limited(&["city-2026"], Vec::new()).await));
    people.push(("community".to_owned(), world.community("city-2026").await));
    let mut table = String::from(
        "# Every route and what it answers to whom: `ok` lets the request through to its handler, `sign-in` and\n\
         # `refused` end before it. `limited` is an analyst who sees what some mandates brought and nothing else,\n\
         # `community` one from outside, who sees as much of that as may be shared.\n\
         # A test walks the API's description and compares; UPDATE=1 writes this file.\n",
    );
    write!(table, "{:<7}{:<36}", "method", "route").unwrap();
    people.iter().for_each(|(name, _)| write!(table, "{name:<11}").unwrap());
    table.truncate(table.trim_end().len());
    table.push('\n');
    for (method, route) in described() {
        let mut line = format!("{method:<7}{route:<36}");
        for (name, who) in &people {
            // Signing out would end the session that the next routes need: a session of its own.
            let who = if method == "DELETE" && name != "anonymous" {
                world.sign_in(name).await
            } else {
                who.clone()
            };
            // Nothing is found under these ids, so no handler changes anything.
            let path = route
                .replace("{id}", "01J00000000000000000000000")
                .replace("{key}", "no-such-key")
                .replace("{name}", "no-such-name")
                .replace("{addr}", "192.0.2.99");
            let path = if route.ends_with("genuine") { format!("{path}?digest=x") } else { path };
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let response = world.ask(&who, method, &path, None).await;
            let word = match response.status() {
                // Too many attempts to enrol are turned away like the first ones, which had no token.
                StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS => "sign-in",
                StatusCode::FORBIDDEN => "refused",
                status if status.is_server_error() => panic!("{route} answers {name} with {status}"),
                _ => "ok",
            };
            write!(line, "{word:<11}").unwrap();
        }
        table.push_str(line.trim_end());
        table.push('\n');
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(TABLE, &table).unwrap();
    }
    let kept = std::fs::read_to_string(TABLE).unwrap_or_default();
    assert_eq!(table, kept, "testdata/web/routes.txt differs; UPDATE=1 writes it, then read what changed");
}

#[test]
fn a_route_without_a_row_is_nobodys() {
    assert_eq!(policy::action_of(&Method::GET, "/api/v1/new"), None);
    assert_eq!(policy::action_of(&Method::PUT, "/api/v1/cases"), None);
    assert!(policy::action_of(&Method::HEAD, "/api/v1/cases").is_some());
}

#[tokio::test]
async fn a_refusal_leaves_a_trace() {
    let world = World::new().await;
    let researcher = world.sign_in("researcher").await;
    let (status, problem) = world.get(&researcher, "/api/v1/cases").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(problem["code"], "refused");
    assert!(problem["hint"].is_string());
    let auditor = world.sign_in("auditor").await;
    let (_, trail) = world.get(&auditor, "/api/v1/audit").await;
    let items = trail["items"].as_array().unwrap();
    assert!(
        items.iter().any(|entry| entry["actor"] == "A researcher"
            && entry["object"] == "/api/v1/cases"
            && entry["detail"].as_str().unwrap().contains("403")),
        "{items:?}"
    );
    assert!(world.observatory.casework().verify_audit(world.observatory.org()).await.unwrap().is_ok());
}
