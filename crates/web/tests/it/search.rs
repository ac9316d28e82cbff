//! Searching over HTTP: answers, mistakes, and what a provider may not see.

use axum::http::{Method, StatusCode, header};
use kenshin_observation::schema::{SERVICE_VERSION, ServiceRow};
use kenshin_observation::{SensorId, TimeUs, addr_to_hi_lo};

use serde_json::json;

use crate::world::{HOSTILE, World};

const T0: TimeUs = TimeUs::from_secs(1_790_000_000);

pub(crate) fn service(addr: &str, port: i32, product: &str) -> ServiceRow {
    let (addr_hi, addr_lo) = addr_to_hi_lo(addr.parse().unwrap());
    ServiceRow {
        schema: SERVICE_VERSION,
        addr_hi,
        addr_lo,
        port,
        transport: "tcp".into(),
        protocol: Some("telnet".into()),
        state: "answered".into(),
        first_us: T0.micros(),
        seen_us: T0.micros(),
        asked_us: T0.micros(),
        tlp: "TLP:AMBER".into(),
        product: Some(product.into()),
        banner: Some(format!("{HOSTILE} login:")),
        cert_names: Some("a.example b.example".into()),
        software: Some(r#"[{"product":"dropbear","version":"2019.78"}]"#.into()),
        ..ServiceRow::default()
    }
}

pub(crate) async fn add(world: &World, sequence: i64, rows: Vec<ServiceRow>) {
    let lake = world.observatory.lake().await.unwrap();
    lake.whole().add(rows, &[(SensorId::new(T0, 1), sequence)].into()).await.unwrap();
}

#[tokio::test]
async fn services_are_searched_counted_and_paged() {
    let world = World::new().await;
    let rows = vec![
        service("192.0.2.7", 23, "A"),
        service("192.0.2.8", 2323, "B"),
        service("198.51.100.7", 23, "A"),
    ];
    add(&world, 1, rows).await;
    let analyst = world.sign_in("analyst").await;
    let (status, page) = world.get(&analyst, "/api/v1/search?q=port%3A23&limit=1").await;
    assert_eq!(status, StatusCode::OK, "{page}");
    assert_eq!(page["total"], serde_json::json!({ "services": 2, "hosts": 2 }));
    assert_eq!(page["query"], "port:23");
    let first = &page["items"][0];
    assert_eq!(
        (first["addr"].as_str(), first["software"][0]["version"].as_str()),
        (Some("192.0.2.7"), Some("2019.78"))
    );
    assert_eq!(first["cert_names"], serde_json::json!(["a.example", "b.example"]));
    let next = page["next"].as_str().unwrap();
    let (_, page) = world.get(&analyst, &format!("/api/v1/search?q=port%3A23&limit=1&after={next}")).await;
    assert_eq!(
        (page["items"][0]["addr"].as_str(), &page["next"]),
        (Some("198.51.100.7"), &serde_json::Value::Null)
    );
    let (_, facets) = world.get(&analyst, "/api/v1/search/facets?fields=product:1,port").await;
    assert_eq!(facets["facets"][0]["values"], serde_json::json!([{ "value": "dropbear", "count": 3 }]));
    assert_eq!(facets["facets"][0]["more"], 2);
    let (_, fields) = world.get(&analyst, "/api/v1/search/fields").await;
    assert!(fields["items"].as_array().unwrap().iter().any(|field| field["name"] == "country"));
}

#[tokio::test]
async fn mistakes_are_pointed_at() {
    let world = World::new().await;
    let analyst = world.sign_in("analyst").await;
    // `検診 prot:23`
    let (status, problem) = world.get(&analyst, "/api/v1/search?q=%E6%A4%9C%E8%A8%BA%20prot%3A23").await;
    assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &serde_json::json!("bad-query")));
    assert_eq!(problem["span"], serde_json::json!([3, 7]));
    assert_eq!(problem["hint"], "did you mean `port`?");
    for path in
        ["search?sort=nothing", "search?after=x", "search/facets?fields=ip", "search/facets?fields=port:9999"]
    {
        assert_eq!(
            world.get(&analyst, &format!("/api/v1/{path}")).await.0,
            StatusCode::BAD_REQUEST,
            "{path}"
        );
    }
    assert_eq!(world.get(&analyst, "/api/v1/hosts/203.0.113.9").await.0, StatusCode::NOT_FOUND);
    assert_eq!(world.get(&analyst, "/api/v1/hosts/nowhere").await.0, StatusCode::NOT_FOUND);
}

/// Services of others, however many, change nothing of what a provider is answered.
#[tokio::test]
async fn a_provider_searches_its_own_prefixes_and_no_others() {
    let world = World::new().await;
    add(&world, 1, vec![service("192.0.2.7", 23, "A"), service("198.51.100.7", 23, "Other")]).await;
    let provider = world.sign_in("provider").await;
    let answers = async || {
        let mut all = Vec::new();
        for path in [
            "search",
            "search?q=-port%3A80&sort=-seen",
            "search?q=product%3Aother",
            "search?q=198.51.100.7",
            "search/facets?fields=product,port,banner,state,first",
            "hosts/198.51.100.7",
        ] {
            all.push(world.get(&provider, &format!("/api/v1/{path}")).await);
        }
        all
    };
    let before = answers().await;
    assert_eq!(before[0].1["total"]["services"], 1);
    assert_eq!(
        (before[2].1["total"]["services"].as_u64(), before[3].1["total"]["hosts"].as_u64()),
        (Some(0), Some(0))
    );
    assert_eq!(before[5].0, StatusCode::NOT_FOUND);
    let said = format!("{before:?}");
    assert!(!said.contains("Other\""), "{said}");
    let invisible = (0..4_000u32).map(|n| {
        let addr = std::net::Ipv4Addr::from_bits(0xCB00_7100 + n);
        service(&addr.to_string(), 23 + i32::try_from(n % 7).unwrap(), &format!("P{n}"))
    });
    add(&world, 2, invisible.collect()).await;
    assert_eq!(answers().await, before);
    let operator = world.sign_in("operator").await;
    assert_eq!(world.get(&operator, "/api/v1/search").await.1["total"]["services"], 4_002);
}

#[tokio::test]
async fn sql_is_answered_as_far_as_one_may_see() {
    let world = World::new().await;
    add(&world, 1, vec![service("192.0.2.7", 23, "A"), service("198.51.100.7", 23, "Other")]).await;
    let ask = async |login: &str, body: serde_json::Value| {
        let who = world.sign_in(login).await;
        let response = world.ask(&who, Method::POST, "/api/v1/sql", Some(body)).await;
        let kind = response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, kind, String::from_utf8_lossy(&body).into_owned())
    };
    let rows = "SELECT addr, product, version_cmp('1.9', '1.10') AS older FROM services ORDER BY addr";
    let (status, kind, answer) = ask("analyst", json!({ "sql": rows })).await;
    assert_eq!((status, kind.as_str()), (StatusCode::OK, "application/json"), "{answer}");
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["columns"][2], json!({ "name": "older", "kind": "Int32" }));
    assert_eq!(answer["rows"][1], json!({ "addr": "198.51.100.7", "product": "Other", "older": -1 }));
    let csv = json!({ "sql": rows, "format": "csv" });
    let (_, kind, answer) = ask("provider", csv).await;
    assert_eq!(
        (kind.as_str(), answer.as_str()),
        ("text/csv; charset=utf-8", "addr,product,older\n192.0.2.7,A,-1\n")
    );
    let (_, _, parquet) = ask("auditor", json!({ "sql": rows, "format": "parquet" })).await;
    assert!(parquet.starts_with("PAR1"));
    for (login, body, status) in [
        ("researcher", json!({ "sql": rows }), StatusCode::FORBIDDEN),
        ("provider", json!({ "sql": "EXPLAIN SELECT * FROM services" }), StatusCode::BAD_REQUEST),
        ("provider", json!({ "sql": "SELECT * FROM batches" }), StatusCode::BAD_REQUEST),
        ("analyst", json!({ "sql": "EXPLAIN SELECT * FROM services" }), StatusCode::OK),
        ("analyst", json!({ "sql": "DESCRIBE services" }), StatusCode::OK),
        ("analyst", json!({ "sql": "DROP VIEW services" }), StatusCode::BAD_REQUEST),
        ("analyst", json!({ "sql": rows, "rows": 1 }), StatusCode::BAD_REQUEST),
        ("analyst", json!({ "sql": rows, "rows": 0 }), StatusCode::BAD_REQUEST),
        ("analyst", json!({ "sql": rows, "format": "xls" }), StatusCode::UNPROCESSABLE_ENTITY),
        ("analyst", json!({ "sql": "x".repeat(40_000) }), StatusCode::BAD_REQUEST),
        ("analyst", json!({ "sql": "x".repeat(70_000) }), StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let said = ask(login, body.clone()).await;
        assert_eq!(said.0, status, "{login} {body}: {said:?}");
    }
}

/// The query that docs/sql.md shows with this beginning.
fn shown(begins: &str) -> &'static str {
    let page = include_str!("../../../../docs/sql.md");
    let from = page.find(&format!("```sql\n{begins}")).expect("the page shows it") + "```sql\n".len();
    page[from..].split("```").next().unwrap()
}

#[tokio::test]
async fn findings_are_asked_in_sql_as_they_are_listed() {
    let world = World::new().await;
    add(&world, 1, vec![service("192.0.2.7", 8080, "A"), service("198.51.100.7", 8080, "Other")]).await;
    let said = async |login: &str, sql: &str| {
        let who = world.sign_in(login).await;
        let response = world.ask(&who, Method::POST, "/api/v1/sql", Some(json!({ "sql": sql }))).await;
        let status = response.status();
        (status, crate::world::json(response).await["rows"].take())
    };
    let rows = "SELECT finding_key AS key, kind, severity, priority, remedy, state, case_id, confidence, first_round, \
                last_round, provider_id, provider FROM findings ORDER BY finding_key";
    for (login, count) in [("admin", 2), ("operator", 2), ("analyst", 2), ("auditor", 2), ("provider", 1)] {
        let (_, listed) = world.get(&world.sign_in(login).await, "/api/v1/findings?limit=500").await;
        let (status, asked) = said(login, rows).await;
        assert_eq!(status, StatusCode::OK, "{login}");
        let (listed, asked) = (listed["items"].as_array().unwrap(), asked.as_array().unwrap());
        assert_eq!((listed.len(), asked.len()), (count, count), "{login}");
        for (listed, asked) in listed.iter().zip(asked) {
            let mut asked = asked.as_object().unwrap().clone();
            let [id, name] = ["provider_id", "provider"].map(|name| asked.remove(name).unwrap());
            asked.insert("provider".into(), json!({ "provider_id": id, "name": name }));
            for (name, value) in &asked {
                assert_eq!(listed[name], *value, "{login}: {name}");
            }
        }
        assert_eq!(said(login, "SELECT count(*) AS n FROM findings").await.1, json!([{ "n": count }]));
        // Together with the lake, which shows a provider its own addresses alone.
        let (status, joined) = said(login, shown("SELECT f.kind, s.protocol")).await;
        let telnet = json!([{ "kind": "telnet-open", "protocol": "telnet", "n": count }]);
        assert_eq!((status, joined), (StatusCode::OK, telnet), "{login}");
    }
    let month = |provider: &str| {
        let month = "2026-09-01T00:00:00";
        json!({ "provider": provider, "month": month, "opened": 1, "mended": 0, "opened_more": null })
    };
    let matrix = shown("WITH months");
    assert_eq!(said("analyst", matrix).await.1, json!([month("Nishi Net"), month("North ISP")]));
    assert_eq!(said("provider", matrix).await.1, json!([month("Nishi Net")]));
    assert_eq!(said("researcher", "SELECT count(*) FROM findings").await.0, StatusCode::FORBIDDEN);
    // Conditions that fail at findings out of sight: there are none.
    let fails = "SELECT count(*) AS n FROM findings WHERE 1 / CAST(addr = '192.0.2.7' AS INT) = 1";
    assert_eq!(said("provider", fails).await, (StatusCode::OK, json!([{ "n": 1 }])));
    assert_eq!(said("analyst", fails).await.0, StatusCode::BAD_REQUEST);
}
