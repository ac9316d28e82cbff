//! What was known then, over HTTP: the rows of the command line, as far as one may see, and no older than
//! what was erased.

use axum::http::{Method, StatusCode};
use kenshin_casework::Actor;
use kenshin_insight::intelligence::IntelligenceKind;
use kenshin_lake::view::{Search, Sight};
use kenshin_observation::{Batch, BatchId, Endpoint, Observation, TimeUs, Tlp};
use kenshin_observatory::{FOUND_MAX, Past, known_by};
use serde_json::{Value, json};

use crate::world::{World, text};

/// A web server at `addr`, as the sample of version 3 has one.
fn page(addr: &str, title: &str) -> Observation {
    let sample = include_str!("../../../../testdata/schema/batch-v3.json");
    let batch: Batch = serde_json::from_str(sample).unwrap();
    let row = batch.observations.into_iter().find(|row| row.protocol.as_deref() == Some("http")).unwrap();
    let mut value = serde_json::to_value(row).unwrap();
    value["http"]["title"] = title.into();
    let row: Observation = serde_json::from_value(value).unwrap();
    Observation { subject: Endpoint::tcp(addr.parse().unwrap(), 80), ..row }
}

/// The lake takes a batch at `known_at` in which these were seen.
async fn take(world: &World, sequence: i64, observations: Vec<Observation>, known_at: TimeUs) {
    let sample = include_str!("../../../../testdata/schema/batch-v3.json");
    let mut batch: Batch = serde_json::from_str(sample).unwrap();
    batch.header.batch_id = BatchId::from_bits(sequence.unsigned_abs().into());
    batch.header.sequence = sequence;
    batch.header.rows = observations.len().try_into().unwrap();
    batch.salts = vec![batch.salts[0].clone(); observations.len()];
    batch.observations = observations;
    world.observatory.lake().await.unwrap().commit(&[batch], known_at).await.unwrap();
}

fn day(text: &str) -> TimeUs {
    format!("{text}T12:00:00Z").parse().unwrap()
}

/// Two lots: what was there on the first of September, and what had changed by the fifteenth.
async fn world() -> World {
    let world = World::new().await;
    take(&world, 1, vec![page("192.0.2.7", "old"), page("198.51.100.7", "other")], day("2026-09-01")).await;
    let mut changed = page("192.0.2.7", "new");
    changed.time = changed.time.plus_secs(86_400);
    changed.survey_id = kenshin_observation::SurveyId::from_bits(changed.survey_id.bits() + 1);
    take(&world, 2, vec![changed, page("192.0.2.9", "=added()")], day("2026-09-15")).await;
    world.observatory.rebuild_view().await.unwrap();
    world
}

fn told(page: &Value) -> Vec<(String, String)> {
    let text = |one: &Value, name: &str| one[name].as_str().unwrap_or_default().to_owned();
    page["items"].as_array().unwrap().iter().map(|one| (text(one, "addr"), text(one, "title"))).collect()
}

#[tokio::test]
async fn the_past_is_told_as_it_was_known() {
    let world = world().await;
    let analyst = world.sign_in("analyst").await;
    let (_, now) = world.get(&analyst, "/api/v1/search").await;
    assert_eq!((&now["total"]["services"], &now["known_by"]), (&json!(3), &Value::Null));
    let (status, then) = world.get(&analyst, "/api/v1/search?at=2026-09-10").await;
    assert_eq!((status, &then["known_by"]), (StatusCode::OK, &json!("2026-09-11T00:00:00Z")), "{then}");
    // The rows that the command line tells.
    let at = known_by("2026-09-10").unwrap();
    let search = Search { query: "".parse().unwrap(), sight: Sight::All, now: at };
    let past = Past { known_by: Some(at), history: false, most: FOUND_MAX };
    let view = world.observatory.search_past(&search, past).await.unwrap();
    let rows = view.find(&search).await.unwrap().services().await.unwrap();
    let rows: Vec<_> =
        rows.into_iter().map(|row| (row.addr().to_string(), row.title.unwrap_or_default())).collect();
    assert_eq!(told(&then), rows);
    let same = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(addr, title)| ((*addr).to_owned(), (*title).to_owned())).collect()
    };
    assert_eq!(rows, same(&[("192.0.2.7", "old"), ("198.51.100.7", "other")]));
    let (_, one) = world.get(&analyst, "/api/v1/search?at=2026-09-10T00:00:00Z&q=ip:192.0.2.0/24").await;
    assert_eq!(told(&one), same(&[("192.0.2.7", "old")]));
    let (_, counted) = world.get(&analyst, "/api/v1/search/facets?at=2026-09-10&fields=title").await;
    let titles: Vec<&str> = counted["facets"][0]["values"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|v| v["value"].as_str())
        .collect();
    assert_eq!((titles, &counted["total"]["hosts"]), (vec!["old", "other"], &json!(2)), "{counted}");
    let (_, host) = world.get(&analyst, "/api/v1/hosts/192.0.2.7?at=2026-09-10").await;
    assert_eq!(
        (&host["now"][0]["title"], &host["known_by"]),
        (&json!("old"), &json!("2026-09-11T00:00:00Z"))
    );
    assert_eq!(world.get(&analyst, "/api/v1/hosts/192.0.2.9?at=2026-09-10").await.0, StatusCode::NOT_FOUND);
    for path in ["search?at=2026-13-01", "search/facets?at=x&fields=port", "hosts/192.0.2.7?at=yesterday"] {
        let (status, problem) = world.get(&analyst, &format!("/api/v1/{path}")).await;
        assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("bad-request")), "{path}");
        assert!(problem["hint"].as_str().unwrap().contains("2026-10-01"), "{problem}");
    }
    // Files have the same rows, and no formula.
    let export = async |query: &str| {
        let path = format!("/api/v1/search/export?{query}");
        text(world.ask(&analyst, Method::GET, &path, None).await).await
    };
    let csv = export("at=2026-09-10").await;
    assert_eq!(
        (csv.lines().count(), csv.contains(",old,"), csv.contains("192.0.2.9")),
        (3, true, false),
        "{csv}"
    );
    assert!(export("q=ip:192.0.2.9").await.contains(",'=added(),"));
    assert_eq!(export("format=jsonl&q=port:80").await.lines().count(), 3);
}

#[tokio::test]
async fn a_provider_sees_no_more_of_the_past_than_of_today() {
    let world = world().await;
    // Whoever sees everything asks first: what was found for them is not for others.
    let analyst = world.sign_in("analyst").await;
    let everything = world.get(&analyst, "/api/v1/search?at=2026-09-10").await.1;
    assert_eq!(everything["total"]["services"], 2);
    let provider = world.sign_in("provider").await;
    let answers = async || {
        let mut all = Vec::new();
        for path in [
            "search?at=2026-09-10",
            "search?at=2026-09-10&q=ip:198.51.100.0/24",
            "search?at=2026-09-10&q=ip:198.51.100.7",
            "search/facets?at=2026-09-10&fields=title,provider,first",
            "hosts/198.51.100.7?at=2026-09-10",
            "hosts/192.0.2.7?at=2026-09-10",
            "search/export?at=2026-09-10",
        ] {
            let response = world.ask(&provider, Method::GET, &format!("/api/v1/{path}"), None).await;
            all.push((response.status(), text(response).await));
        }
        all
    };
    let before = answers().await;
    assert!(before[0].1.contains("\"services\":1") && before[0].1.contains("\"old\""), "{before:?}");
    assert!(before[1].1.contains("\"services\":0") && before[2].1.contains("\"services\":0"), "{before:?}");
    assert_eq!(before[4].0, StatusCode::NOT_FOUND);
    assert!(!format!("{before:?}").contains("other"), "{before:?}");
    let foreign =
        (0..1_000u32).map(|n| page(&std::net::Ipv4Addr::from_bits(0xC633_6400 + n).to_string(), "other"));
    // What its label keeps in the organisation, at an address of the provider.
    let mut kept = page("192.0.2.7", "other");
    (kept.tlp, kept.subject.port) = (Tlp::Red, 8080);
    take(&world, 3, foreign.chain([kept]).collect(), day("2026-09-02")).await;
    world.pass(400);
    assert_eq!(answers().await, before);
    let everything = world.get(&analyst, "/api/v1/search?at=2026-09-10").await.1;
    assert_eq!(everything["total"]["services"], 1_002);
}

#[tokio::test]
async fn places_of_the_past_are_those_of_the_tables_of_then() {
    let world = world().await;
    let folder = tempfile::tempdir().unwrap();
    let import = async |country: &str| {
        let path = folder.path().join("countries.csv");
        std::fs::write(&path, format!("192.0.2.0,192.0.2.255,{country}\n")).unwrap();
        world.observatory.import_intelligence(IntelligenceKind::Country, &[path], |_| {}).await.unwrap();
    };
    import("JP").await;
    world.pass(30 * 86_400);
    import("DE").await;
    world.observatory.rebuild_view().await.unwrap();
    let analyst = world.sign_in("analyst").await;
    // Before anything was imported, by the first.
    for (at, country, found) in [
        ("", "JP", 0),
        ("", "DE", 2),
        ("&at=2026-09-25", "JP", 2),
        ("&at=2026-09-25", "DE", 0),
        ("&at=2026-09-10", "JP", 1),
        ("&at=2026-11-01", "DE", 2),
    ] {
        let (_, told) = world.get(&analyst, &format!("/api/v1/search?q=country:{country}{at}")).await;
        assert_eq!(told["total"]["services"], found, "{country} {at}: {told}");
    }
    let (_, host) = world.get(&analyst, "/api/v1/hosts/192.0.2.7?at=2026-09-25").await;
    assert_eq!(host["now"][0]["country"], "JP", "{host}");
}

#[tokio::test]
async fn what_was_found_is_kept_until_something_is_erased() {
    let world = world().await;
    let analyst = world.sign_in("analyst").await;
    let count = async |at: &str| {
        world.get(&analyst, &format!("/api/v1/search?at={at}")).await.1["total"]["services"].as_u64().unwrap()
    };
    assert_eq!((count("2026-09-10").await, count("2026-12-31").await), (2, 3));
    // Nothing comes to be known in the past: a batch that says so shows what is kept.
    take(&world, 3, vec![page("192.0.2.33", "late")], day("2026-09-02")).await;
    assert_eq!((count("2026-09-10").await, count("2026-12-31").await), (2, 3));
    world.pass(6);
    assert_eq!((count("2026-09-10").await, count("2026-12-31").await), (2, 4), "what is to come is not");
    let (casework, org, actor) = (world.observatory.casework(), world.observatory.org(), Actor::rule("test"));
    let now = world.observatory.now();
    casework.intend_erasure(org, &json!({}), &json!({}), &actor, now).await.unwrap();
    let id = casework.open_erasures(org).await.unwrap()[0].erasure_id.clone();
    casework.begin_removal(org, &id, &[], &actor, now).await.unwrap();
    assert_eq!(count("2026-09-10").await, 2, "nothing is out of sight yet");
    casework.erasures_removed(org, &[id], now).await.unwrap();
    assert_eq!(count("2026-09-10").await, 3, "what was found before is told no more");
}
