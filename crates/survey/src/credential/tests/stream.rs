//! RTSP: DESCRIBE, and nothing else.

use std::sync::{Arc, Mutex};

use kenshin_wire::http::challenge::basic;
use kenshin_wire::http::digest::{Algorithm, Digest, Proof};
use tokio::io::AsyncWriteExt;

use super::super::{Dictionary, Method, Recipes};
use super::{Journal, PAIRS, check, check_with};
use crate::probe::tests::host::{Host, until};

const PASSWORD: &str = "検診-pass";

/// A camera that offers `challenges`; to a pair it answers what `refuse` says, or describes its stream.
async fn camera(
    challenges: &'static [&'static str],
    refuse: &'static str,
) -> (Host, Arc<Mutex<Vec<String>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let host = Host::start(move |_, mut stream| {
        let log = Arc::clone(&log);
        async move {
            while let Some(request) = until(&mut stream, b"\r\n\r\n").await {
                let request = String::from_utf8(request).unwrap();
                let field = |name: &str| request.lines().find_map(|line| line.strip_prefix(name));
                log.lock().unwrap().push(request.lines().next().unwrap().to_owned());
                let url = request.split(' ').nth(1).unwrap();
                let right = field("Authorization: ").is_some_and(|given| {
                    let digest = Digest {
                        realm: "CAM".to_owned(),
                        nonce: "77".to_owned(),
                        opaque: None,
                        algorithm: Algorithm::Md5,
                        session: false,
                        qop_auth: false,
                    };
                    let proof = Proof {
                        user: "admin",
                        password: PASSWORD,
                        method: "DESCRIBE",
                        target: url,
                        cnonce: "",
                        count: 1,
                    };
                    given == basic("admin", PASSWORD) || given == digest.answer(&proof)
                });
                let status = match (right, field("Authorization: ")) {
                    (true, _) => "200 OK\r\nContent-Length: 3",
                    (false, Some(_)) => refuse,
                    (false, None) => "401 Unauthorized",
                };
                let asked: String = challenges.iter().map(|c| format!("WWW-Authenticate: {c}\r\n")).collect();
                let asked = if right { "" } else { &asked };
                let body = if right { "v=0" } else { "" };
                let answer =
                    format!("RTSP/1.0 {status}\r\nCSeq: {}\r\n{asked}\r\n{body}", field("CSeq: ").unwrap());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    (host, seen)
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_described_to_the_right_pair_and_never_played() {
    for challenges in [
        &["Basic realm=\"CAM\""][..],
        &["Digest realm=\"CAM\", nonce=\"77\""],
        &["Basic realm=\"CAM\"", "Digest realm=\"CAM\", nonce=\"77\""],
    ] {
        let (host, seen) = camera(challenges, "401 Unauthorized").await;
        let (_, credential) = check(&host, Method::Rtsp, PAIRS, &Journal::with_cap(9)).await;
        assert_eq!(
            (credential.method.as_str(), credential.result.as_str()),
            ("rtsp", "accepted"),
            "{challenges:?}"
        );
        assert_eq!((credential.entry, credential.attempts), (Some(3), 3));
        let line = format!("DESCRIBE rtsp://127.0.0.1:{}/ RTSP/1.0", host.endpoint.port);
        assert_eq!(*seen.lock().unwrap(), vec![line; 4]);
        assert_eq!(host.connections(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_has_the_path_of_its_recipe_and_lockout_is_seen() {
    for (refuse, result, reason) in [
        ("429 Too Many Requests", "locked-out", "lockout"),
        ("503 Busy\r\nRetry-After: 9", "locked-out", "delay"),
        ("403 Forbidden", "locked-out", "lockout"),
        ("404 Not Found", "interrupted", "status"),
        ("302 Moved\r\nLocation: rtsp://192.0.2.1/live", "interrupted", "status"),
    ] {
        let (host, seen) = camera(&["Basic realm=\"CAM\""], refuse).await;
        let recipes = Recipes::parse("[[streams]]\nsays = [\"hoshi\"]\npath = \"/live/ch0\"\n").unwrap();
        let dictionary = Dictionary::parse(PAIRS).unwrap().with_recipes(recipes);
        let (ended, credential) = check_with(&host, Method::Rtsp, dictionary, &Journal::with_cap(9)).await;
        assert_eq!((credential.result.as_str(), credential.attempts), (result, 1), "{refuse}");
        assert_eq!(ended.reason.as_deref(), Some(reason));
        assert!(seen.lock().unwrap()[1].ends_with("/live/ch0 RTSP/1.0"));
    }
}
