//! Saved searches over HTTP: saved, read, silenced and deleted, each by those who may.

use axum::http::{Method, StatusCode};
use kenshin_observation::schema::{SERVICE_VERSION, ServiceRow};
use kenshin_observation::{SensorId, TimeUs, addr_to_hi_lo};
use serde_json::{Value, json};

use crate::world::{HOSTILE, SignedIn, World, json as read, text};

async fn see(world: &World, addrs: &[&str]) {
    let now = world.observatory.now().micros();
    let rows = addrs.iter().map(|addr| {
        let (addr_hi, addr_lo) = addr_to_hi_lo(addr.parse().unwrap());
        ServiceRow {
            tlp: "TLP:AMBER".into(),
            schema: SERVICE_VERSION,
            addr_hi,
            addr_lo,
            port: 23,
            transport: "tcp".into(),
            protocol: Some("telnet".into()),
            state: "answered".into(),
            seen_us: now,
            asked_us: now,
            known_us: now,
            banner: Some(HOSTILE.into()),
            ..ServiceRow::default()
        }
    });
    let sensor = SensorId::new(TimeUs::from_secs(1_790_000_000), 1);
    let lake = world.observatory.lake().await.unwrap();
    lake.whole().add(rows.collect(), &[(sensor, 1)].into()).await.unwrap();
}

fn telnet(name: &str) -> Value {
    json!({ "name": name, "query": "protocol:telnet", "mails": ["soc@csirt.example"] })
}

async fn post(world: &World, who: &SignedIn, path: &str, body: Option<Value>) -> (StatusCode, Value) {
    let response = world.ask(who, Method::POST, path, body).await;
    (response.status(), read(response).await)
}

async fn save(world: &World, who: &SignedIn, body: Value) -> (StatusCode, Value) {
    post(world, who, "/api/v1/searches", Some(body)).await
}

#[tokio::test]
async fn a_search_is_saved_and_tells_its_owner() {
    let world = World::new().await;
    see(&world, &["192.0.2.7", "198.51.100.7"]).await;
    let (analyst, provider) = (world.sign_in("analyst").await, world.sign_in("provider").await);
    let hook = json!({ "name": "hook", "query": "port:23  AND protocol:telnet", "on": "any",
        "webhook": "https://hooks.example/path?key=s3cret", "interval_s": 60, "language": "ja" });
    let (status, made) = save(&world, &analyst, hook).await;
    assert_eq!(status, StatusCode::OK, "{made}");
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_") && secret.len() == 50, "{secret}");
    let search = &made["search"];
    assert_eq!(
        (&search["query"], &search["services"], &search["on"], &search["owner"]),
        (&json!("port:23 protocol:telnet"), &json!(2), &json!("any"), &json!("A analyst"))
    );
    let (_, theirs) = save(&world, &provider, telnet("ours")).await;
    assert_eq!((&theirs["search"]["services"], &theirs["secret"]), (&json!(1), &Value::Null), "{theirs}");
    assert_eq!(theirs["search"]["language"], "en");
    see(&world, &["198.51.100.8"]).await;
    let path = |made: &Value| format!("/api/v1/searches/{}", made["search"]["search_id"].as_str().unwrap());
    let (_, looked) = post(&world, &provider, &format!("{}/check", path(&theirs)), None).await;
    assert_eq!((&looked["outcome"], &looked["services"]), (&json!("same"), &json!(1)), "not in their sight");
    let (_, looked) = post(&world, &analyst, &format!("{}/check", path(&made)), None).await;
    assert_eq!((&looked["outcome"], &looked["services"]), (&json!("alerted"), &json!(3)));
    let (_, looked) = post(&world, &analyst, &format!("{}/check", path(&made)), None).await;
    assert!(looked["outcome"] == "waiting" && looked["waits_until"].is_string(), "{looked}");
    let (_, detail) = world.get(&analyst, &path(&made)).await;
    let alert = &detail["alerts"][0];
    assert_eq!((&alert["turn"], &alert["added"]), (&json!("changed"), &json!(1)), "{detail}");
    assert_eq!(
        (&alert["items"][0]["addr"], &alert["items"][0]["says"]),
        (&json!("198.51.100.8"), &json!(HOSTILE))
    );
    let delivery = &alert["deliveries"][0];
    assert_eq!((&delivery["state"], &delivery["message_id"]), (&json!("queued"), &alert["alert_id"]));
    // The secret was told once, and a webhook's path is its owner's.
    for (login, shown) in
        [("analyst", "s3cret"), ("admin", "s3cret"), ("operator", "https://hooks.example/…")]
    {
        let who = world.sign_in(login).await;
        let answer = text(world.ask(&who, Method::GET, &path(&made), None).await).await;
        assert!(answer.contains(shown) && !answer.contains("whsec_"), "{login}: {answer}");
        assert_eq!(answer.contains("s3cret"), shown == "s3cret", "{login}: {answer}");
    }
}

#[tokio::test]
async fn everybody_changes_their_own_and_administrators_all() {
    let world = World::new().await;
    let mut made = Vec::new();
    for login in ["analyst", "provider"] {
        let who = world.sign_in(login).await;
        let (status, saved) = save(&world, &who, telnet(login)).await;
        assert_eq!(status, StatusCode::OK, "{saved}");
        made.push(format!("/api/v1/searches/{}", saved["search"]["search_id"].as_str().unwrap()));
    }
    let [analysts, providers] = made.try_into().unwrap();
    // Who reads which, and may change which.
    for (login, read, change) in [
        ("admin", [true, true], [true, true]),
        ("operator", [true, true], [false, false]),
        ("analyst", [true, true], [true, false]),
        ("provider", [false, true], [false, true]),
        ("auditor", [true, true], [false, false]),
        ("researcher", [false, false], [false, false]),
    ] {
        let who = world.sign_in(login).await;
        for (at, path) in [&analysts, &providers].into_iter().enumerate() {
            let (status, detail) = world.get(&who, path).await;
            assert_eq!(status == StatusCode::OK, read[at], "{login} reads {path}: {detail}");
            if status == StatusCode::OK {
                assert_eq!(detail["search"]["may_change"], change[at], "{login} {path}");
            }
            for act in ["disable", "enable", "check"] {
                let (status, said) = post(&world, &who, &format!("{path}/{act}"), None).await;
                assert_eq!(status == StatusCode::OK, change[at], "{login} {act} {path}: {said}");
            }
            if !change[at] {
                let status = world.ask(&who, Method::DELETE, path, None).await.status();
                assert!(matches!(status, StatusCode::NOT_FOUND | StatusCode::FORBIDDEN), "{login}: {status}");
            }
        }
        if login != "researcher" {
            let (_, list) = world.get(&who, "/api/v1/searches").await;
            let expected = read.iter().filter(|seen| **seen).count();
            assert_eq!(list["items"].as_array().unwrap().len(), expected, "{login}: {list}");
        }
    }
    let provider = world.sign_in("provider").await;
    assert_eq!(world.ask(&provider, Method::DELETE, &providers, None).await.status(), StatusCode::NO_CONTENT);
    let admin = world.sign_in("admin").await;
    assert_eq!(world.ask(&admin, Method::DELETE, &analysts, None).await.status(), StatusCode::NO_CONTENT);
    let (_, list) = world.get(&admin, "/api/v1/searches").await;
    assert_eq!(list["items"], json!([]));
    let (_, trail) = world.get(&admin, "/api/v1/audit").await;
    let told = trail.to_string();
    for action in ["search.save", "search.disable", "search.enable", "search.delete"] {
        assert!(told.contains(action), "{action}");
    }
}

#[tokio::test]
async fn what_cannot_be_saved_is_explained() {
    let world = World::new().await;
    let analyst = world.sign_in("analyst").await;
    let mut wrong = telnet("x");
    wrong["query"] = json!("port:23 vendr:x");
    let (status, problem) = save(&world, &analyst, wrong).await;
    assert_eq!(
        (status, &problem["code"], &problem["span"]),
        (StatusCode::BAD_REQUEST, &json!("bad-query"), &json!([8, 13]))
    );
    for (field, value, why) in [
        ("on", json!("sometimes"), "unknown watch"),
        ("on", json!("count"), "threshold"),
        ("mails", json!([]), "nobody would be told"),
        ("webhook", json!("http://hooks.example/"), "not protected by TLS"),
        ("webhook", json!("http://127.0.0.1:8480/"), "operators only"),
        ("interval_s", json!(1), "60 to"),
        ("language", json!("tlh"), "no message catalogue"),
        ("name", json!(""), "1 to 100 characters"),
    ] {
        let mut body = telnet("y");
        body[field] = value;
        let (status, problem) = save(&world, &analyst, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(why), "{problem}");
    }
    let (status, _) = save(&world, &analyst, telnet("once")).await;
    assert_eq!(status, StatusCode::OK);
    let (status, problem) = save(&world, &analyst, telnet("once")).await;
    assert_eq!(status, StatusCode::CONFLICT, "{problem}");
}
