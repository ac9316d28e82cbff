//! Sensors at the door: known by their signatures, heard once, and nobody else is let in.

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode};
use kenshin_observation::TimeUs;
use kenshin_observatory::hub::pack;
use kenshin_observatory::signed::{Covered, WINDOW_S, content_digest, sign};
use kenshin_survey::sensor::SensorIdentity;
use serde_json::{Value, json};

use crate::world::{SignedIn, World, json as json_of};

const LEASE: &str = "/api/v1/sensor/lease";

fn identity(seed: u8) -> SensorIdentity {
    SensorIdentity::from_seed(TimeUs::from_secs(1_790_000_000), [seed; 32])
}

/// A request as a sensor signs it.
fn signed(identity: &SensorIdentity, path: &str, body: &[u8], now: TimeUs, nonce: u128) -> Request<Body> {
    let digest = content_digest(body);
    let covered = Covered { method: "POST", path, query: None, content_digest: &digest };
    let headers = sign(identity, covered, now, nonce);
    Request::builder()
        .method(Method::POST)
        .uri(path)
        .header("content-type", "application/json")
        .header("content-digest", digest)
        .header("signature-input", headers.input)
        .header("signature", headers.signature)
        .body(Body::from(body.to_vec()))
        .unwrap()
}

impl World {
    fn time(&self) -> TimeUs {
        self.observatory.now()
    }

    async fn token(&self) -> String {
        let admin = self.sign_in("admin").await;
        let body = Some(json!({ "name": "east" }));
        let answer = self.ask(&admin, Method::POST, "/api/v1/sensors/tokens", body).await;
        assert_eq!(answer.status(), StatusCode::OK);
        json_of(answer).await["token"].as_str().unwrap().to_owned()
    }

    async fn enrol(&self, identity: &SensorIdentity, token: &str, nonce: u128) -> Response<Body> {
        let body = json!({
            "token": token, "public_key": identity.public_key_hex(), "head_sequence": 0, "head_digest": "0".repeat(64),
        });
        self.send(signed(identity, "/api/v1/sensor/enrol", body.to_string().as_bytes(), self.time(), nonce))
            .await
    }

    async fn lease(&self, identity: &SensorIdentity, nonce: u128) -> (StatusCode, Value) {
        let answer = self.send(signed(identity, LEASE, b"{}", self.time(), nonce)).await;
        (answer.status(), json_of(answer).await)
    }
}

#[tokio::test]
async fn a_sensor_enrols_by_a_token_and_works_by_its_key() {
    let world = World::new().await;
    let (east, west) = (identity(1), identity(2));
    assert_eq!(world.lease(&east, 1).await.0, StatusCode::UNAUTHORIZED, "not known yet");
    let token = world.token().await;
    let enrolled = world.enrol(&east, &token, 2).await;
    assert_eq!(enrolled.status(), StatusCode::OK);
    let enrolled = json_of(enrolled).await;
    assert_eq!((&enrolled["organisation"], &enrolled["name"]), (&json!("Example CSIRT"), &json!("east")));
    assert_eq!(world.lease(&east, 3).await, (StatusCode::OK, Value::Null), "no work");
    assert_eq!(world.enrol(&west, &token, 4).await.status(), StatusCode::BAD_REQUEST, "the token is spent");
    assert_eq!(world.lease(&west, 5).await.0, StatusCode::UNAUTHORIZED);

    let auditor = world.sign_in("auditor").await;
    let (_, sensors) = world.get(&auditor, "/api/v1/sensors").await;
    let row = &sensors["items"][0];
    assert_eq!(row["public_key"], east.public_key_hex());
    assert!(!row["seen_at"].is_null() && row["retired_at"].is_null(), "{row}");
    let (_, trail) = world.get(&auditor, "/api/v1/audit").await;
    for action in ["sensor.token", "sensor.enrol"] {
        assert!(trail["items"].as_array().unwrap().iter().any(|entry| entry["action"] == action), "{trail}");
    }
    assert!(!trail.to_string().contains(&token), "a token is in no trail");

    let admin = world.sign_in("admin").await;
    let path = format!("/api/v1/sensors/{}/retire", east.id);
    assert_eq!(world.ask(&admin, Method::POST, &path, None).await.status(), StatusCode::OK);
    assert_eq!(world.lease(&east, 6).await.0, StatusCode::UNAUTHORIZED, "its key does not count any more");
}

#[tokio::test]
async fn a_request_counts_once_and_as_it_was_signed() {
    let world = World::new().await;
    let east = identity(1);
    let token = world.token().await;
    assert_eq!(world.enrol(&east, &token, 1).await.status(), StatusCode::OK);
    let refused = async |request: Request<Body>, code: &str| {
        let answer = world.send(request).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{code}");
        assert_eq!(json_of(answer).await["code"], code);
    };
    let now = world.time();
    assert_eq!(world.send(signed(&east, LEASE, b"{}", now, 2)).await.status(), StatusCode::OK);
    refused(signed(&east, LEASE, b"{}", now, 2), "replayed").await;
    // By itself at another time, another path, with another body, by another key.
    for apart in [WINDOW_S + 60, -WINDOW_S - 60] {
        refused(signed(&east, LEASE, b"{}", now.plus_secs(apart), 3), "signature-time").await;
    }
    let mut request = signed(&east, "/api/v1/sensor/leave-alone", b"{}", now, 4);
    *request.uri_mut() = LEASE.parse().unwrap();
    refused(request, "signature-key").await;
    let mut request = signed(&east, LEASE, b"{}", now, 5);
    *request.body_mut() = Body::from("{ }");
    refused(request, "signature-body").await;
    let mut request = signed(&east, LEASE, b"{}", now, 6);
    *request.body_mut() = Body::from("{ }");
    request.headers_mut().insert("content-digest", content_digest(b"{ }").parse().unwrap());
    refused(request, "signature-key").await;
    let stranger = signed(&identity(2), LEASE, b"{}", now, 7);
    let mut request = signed(&east, LEASE, b"{}", now, 7);
    request.headers_mut().insert("signature", stranger.headers()["signature"].clone());
    refused(request, "signature-key").await;
    let mut request = signed(&east, LEASE, b"{}", now, 8);
    request.headers_mut().remove("signature");
    refused(request, "unsigned").await;
    // A long time later the nonce is forgotten, and the request's time refuses it.
    let old = signed(&east, LEASE, b"{}", now, 2);
    world.pass(WINDOW_S * 3);
    assert_eq!(world.lease(&east, 9).await.0, StatusCode::OK);
    refused(old, "signature-time").await;
}

#[tokio::test]
async fn no_person_does_a_sensors_work() {
    let world = World::new().await;
    for role in ["admin", "operator", "researcher"] {
        let person = world.sign_in(role).await;
        assert_eq!(
            world.ask(&person, Method::POST, LEASE, None).await.status(),
            StatusCode::FORBIDDEN,
            "{role}"
        );
    }
    let nobody = world.ask(&SignedIn::default(), Method::POST, LEASE, None).await;
    assert_eq!(nobody.status(), StatusCode::UNAUTHORIZED);
    for role in ["operator", "analyst", "provider", "researcher", "auditor"] {
        let person = world.sign_in(role).await;
        let body = Some(json!({ "name": "mine" }));
        let answer = world.ask(&person, Method::POST, "/api/v1/sensors/tokens", body).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{role}");
    }
}

#[tokio::test]
async fn tokens_are_not_guessed() {
    let world = World::new().await;
    for nonce in 0..5 {
        assert_eq!(world.enrol(&identity(1), "a guess", nonce).await.status(), StatusCode::BAD_REQUEST);
    }
    let token = world.token().await;
    assert_eq!(world.enrol(&identity(1), &token, 9).await.status(), StatusCode::TOO_MANY_REQUESTS);
    world.pass(16 * 60);
    // Nor enrolled in another's name: the request is signed by another key than it names.
    let token = world.token().await;
    let body = json!({
        "token": token, "public_key": identity(2).public_key_hex(), "head_sequence": 0, "head_digest": "0".repeat(64),
    });
    let forged = signed(&identity(1), "/api/v1/sensor/enrol", body.to_string().as_bytes(), world.time(), 10);
    assert_eq!(world.send(forged).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(world.enrol(&identity(1), &token, 11).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn what_a_sensor_sends_is_bounded_and_its_own() {
    let world = World::new().await;
    let east = identity(1);
    let token = world.token().await;
    world.enrol(&east, &token, 1).await;
    let send = async |path: &str, body: &[u8], nonce| {
        world.send(signed(&east, path, body, world.time(), nonce)).await.status()
    };
    assert_eq!(send(LEASE, &vec![b' '; (1 << 20) + 1], 2).await, StatusCode::PAYLOAD_TOO_LARGE);
    let batches = "/api/v1/sensor/batches";
    assert_eq!(send(batches, &pack(&[]).unwrap(), 3).await, StatusCode::OK, "nothing is nothing");
    assert_eq!(send(batches, b"no gzip", 4).await, StatusCode::BAD_REQUEST);
    let pulse = "/api/v1/sensor/jobs/01J00000000000000000000000/pulse";
    let body = json!({ "lease": 1, "progress": kenshin_survey::progress::Progress::default() }).to_string();
    assert_eq!(send(pulse, body.as_bytes(), 5).await, StatusCode::NOT_FOUND, "no such job");
    assert_eq!(send(pulse, b"{}", 6).await, StatusCode::UNPROCESSABLE_ENTITY);
    let alone = "/api/v1/sensor/leave-alone";
    assert_eq!(send(alone, br#"{"kind":"address","addr":"192.0.2.7"}"#, 7).await, StatusCode::OK);
    let narrowing = world.observatory.authority().narrowing().unwrap();
    assert!(narrowing.opt_outs().contains("192.0.2.7".parse().unwrap()));
}

#[tokio::test]
async fn sensors_reach_nothing_but_their_own_routes() {
    use tower::ServiceExt;
    let world = World::new().await;
    let ask = async |path: &str| {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        world.web.sensor_router().oneshot(request).await.unwrap().status()
    };
    assert_eq!(ask("/healthz").await, StatusCode::OK);
    for path in ["/", "/api/v1/health", "/api/v1/session", "/api/openapi.json", "/metrics"] {
        assert_eq!(ask(path).await, StatusCode::NOT_FOUND, "{path}");
    }
    let east = identity(1);
    let token = world.token().await;
    world.enrol(&east, &token, 1).await;
    let lease = signed(&east, LEASE, b"{}", world.time(), 2);
    assert_eq!(world.web.sensor_router().oneshot(lease).await.unwrap().status(), StatusCode::OK);
}
