//! Accounts that see what some mandates brought: over HTTP, everything else is as if it were not there.

use axum::http::{Method, StatusCode};
use serde_json::json;

use crate::search::{add, service};
use crate::world::{World, json as read, text};

#[tokio::test]
async fn what_other_mandates_brought_is_not_there() {
    let world = World::new().await;
    let own = vec![service("192.0.2.7", 23, "A"), service("198.51.100.7", 23, "A")];
    let all =
        own.iter().cloned().chain([service("192.0.2.8", 23, "foreign"), service("192.0.2.7", 80, "foreign")]);
    add(&world, 1, all.collect()).await;
    let limited = world.limited(&["city-2026"], own).await;
    let analyst = world.sign_in("analyst").await;
    let total = async |who, query: &str| {
        world.get(who, &format!("/api/v1/search?q={query}")).await.1["total"].clone()
    };
    assert_eq!(total(&analyst, "").await, json!({ "services": 4, "hosts": 3 }));
    assert_eq!(total(&limited, "").await, json!({ "services": 2, "hosts": 2 }));
    assert_eq!(total(&limited, "product:foreign").await, json!({ "services": 0, "hosts": 0 }));
    let (_, facets) = world.get(&limited, "/api/v1/search/facets?fields=port").await;
    assert_eq!(facets["facets"][0]["values"], json!([{ "value": "23", "count": 2 }]));
    for (query, rows) in
        [("SELECT addr, port FROM services ORDER BY addr", 2), ("SELECT * FROM observations", 0)]
    {
        let body = json!({ "sql": query });
        let response = world.ask(&limited, Method::POST, "/api/v1/sql", Some(body)).await;
        assert_eq!(response.status(), StatusCode::OK);
        let answer = text(response).await;
        assert!(!answer.contains("foreign") && !answer.contains("192.0.2.8"), "{answer}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&answer).unwrap()["rows"].as_array().unwrap().len(),
            rows
        );
    }
    for table in ["batches", "findings"] {
        let body = json!({ "sql": format!("SELECT * FROM {table}") });
        let response = world.ask(&limited, Method::POST, "/api/v1/sql", Some(body)).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{table}");
    }

    // What is made of all that every mandate brings is closed, and says why.
    let (status, problem) = world.get(&limited, "/api/v1/cases").await;
    assert_eq!((status, &problem["code"]), (StatusCode::FORBIDDEN, &json!("limited")));
    assert_eq!(problem["title"], "your account is limited to some mandates");
    let (_, session) = world.get(&limited, "/api/v1/session").await;
    let actions = json!([
        "public",
        "own-session",
        "search",
        "see-probes",
        "see-searches",
        "save-searches",
        "ask-sql",
        "see-mandates"
    ]);
    assert_eq!(session["me"]["actions"], actions);
    assert_eq!(session["me"]["mandates"], json!(["city-2026"]));

    // A search that is saved counts what its owner sees, and nobody's but their own is told.
    let saved = async |who, name: &str| {
        let body = json!({ "name": name, "query": "port:23", "mails": ["soc@csirt.example"] });
        let response = world.ask(who, Method::POST, "/api/v1/searches", Some(body)).await;
        assert_eq!(response.status(), StatusCode::OK);
        read(response).await["search"]["services"].clone()
    };
    assert_eq!((saved(&analyst, "all").await, saved(&limited, "own").await), (json!(3), json!(2)));
    let (_, searches) = world.get(&limited, "/api/v1/searches").await;
    assert_eq!(searches["items"].as_array().unwrap().len(), 1);
    assert_eq!(searches["items"][0]["name"], "own");
}

/// Until the view of its mandates is made, an account is told so, and not that there is nothing.
#[tokio::test]
async fn a_view_that_is_not_made_is_no_answer() {
    let world = World::new().await;
    add(&world, 1, vec![service("192.0.2.7", 23, "A")]).await;
    world.limited(&["city-2026"], Vec::new()).await;
    let id = {
        let users = world.observatory.accounts().await.unwrap();
        users.into_iter().find(|user| user.login == "limited").unwrap().user_id
    };
    let (casework, org) = (world.observatory.casework(), world.observatory.org());
    casework
        .limit_user(
            org,
            id,
            &kenshin_casework::Limit { mandates: vec!["ward-2026".to_owned()], community: None },
        )
        .await
        .unwrap();
    let limited = world.sign_in("limited").await;
    let (status, problem) = world.get(&limited, "/api/v1/search?q=").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{problem}");
    assert_eq!(problem["code"], "not-made");
    let body = json!({ "sql": "SELECT count(*) FROM services" });
    let response = world.ask(&limited, Method::POST, "/api/v1/sql", Some(body)).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}
