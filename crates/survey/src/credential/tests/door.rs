//! Each method against a server of its own.

use std::sync::{Arc, Mutex};

use encoding::euc_jp;
use kenshin_wire::http::digest::{Digest, Proof};
use russh::keys::{Algorithm, PrivateKey};
use russh::server::{Auth, Config, Handler, Response, run_stream};
use russh::{MethodKind, MethodSet};
use tokio::io::AsyncWriteExt;

use super::super::Method;
use super::{Journal, PAIRS, check};
use crate::probe::tests::host::{Host, drain, until};

const USER: &str = "admin";
const PASSWORD: &str = "検診-pass";

mod encoding {
    /// The prompts below in EUC-JP, as a terminal adapter sends them.
    pub(super) fn euc_jp(text: &str) -> Vec<u8> {
        match text {
            "ログイン名：" => b"\xa5\xed\xa5\xb0\xa5\xa4\xa5\xf3\xcc\xbe\xa1\xa7".to_vec(),
            "パスワード：" => b"\xa5\xd1\xa5\xb9\xa5\xef\xa1\xbc\xa5\xc9\xa1\xa7".to_vec(),
            other => other.as_bytes().to_vec(),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn telnet_with_japanese_prompts_and_a_menu() {
    let host = Host::start(|_, mut stream| async move {
        loop {
            stream.write_all(&[&b"\r\n"[..], &euc_jp("ログイン名：")].concat()).await.unwrap();
            let Some(user) = until(&mut stream, b"\r\n").await else { return };
            stream.write_all(&euc_jp("パスワード：")).await.unwrap();
            let Some(password) = until(&mut stream, b"\r\n").await else { return };
            if user.ends_with(b"admin\r\n") && password == format!("{PASSWORD}\r\n").as_bytes() {
                stream.write_all("\r\n 1) 状態表示\r\n 2) 終了\r\n 選択 [1-2]: ".as_bytes()).await.unwrap();
                drain(&mut stream).await;
                return;
            }
        }
    })
    .await;
    let (_, credential) = check(&host, Method::Telnet, PAIRS, &Journal::with_cap(9)).await;
    assert_eq!((credential.result.as_str(), credential.entry, credential.attempts), ("accepted", Some(3), 3));
}

/// No word of it is known, and it waits for a key before: what it does after each line decides.
#[tokio::test(start_paused = true)]
async fn telnet_in_words_nobody_knows() {
    let host = Host::start(|_, mut stream| async move {
        stream.write_all(b"Hlid 4\r\nPress ENTER").await.unwrap();
        let Some(_) = until(&mut stream, b"\r\n").await else { return };
        loop {
            stream.write_all(b"\r\nNafn? ").await.unwrap();
            let Some(user) = until(&mut stream, b"\r\n").await else { return };
            stream.write_all(b"\xff\xfb\x01Leynd? ").await.unwrap();
            let Some(password) = until(&mut stream, b"\r\n").await else { return };
            stream.write_all(b"\xff\xfc\x01\r\n").await.unwrap();
            if user.ends_with(b"admin\r\n") && password.ends_with(format!("{PASSWORD}\r\n").as_bytes()) {
                stream.write_all(b"Velkomin\r\nhlid> ").await.unwrap();
                assert_eq!(drain(&mut stream).await, b"", "a command was sent");
                return;
            }
        }
    })
    .await;
    let (_, credential) = check(&host, Method::Telnet, PAIRS, &Journal::with_cap(9)).await;
    assert_eq!((credential.result.as_str(), credential.entry, credential.attempts), ("accepted", Some(3), 3));
    assert_eq!(host.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn ftp() {
    let said = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&said);
    let host = Host::start(move |_, mut stream| {
        let heard = Arc::clone(&heard);
        async move {
            stream.write_all(b"220 ready\r\n").await.unwrap();
            let mut user = String::new();
            while let Some(line) = until(&mut stream, b"\r\n").await {
                let line = String::from_utf8(line).unwrap().trim_end().to_owned();
                heard.lock().unwrap().push(line.clone());
                let answer = match line.split_once(' ') {
                    Some(("USER", name)) => {
                        user = name.to_owned();
                        "331 password"
                    }
                    Some(("PASS", PASSWORD)) if user == USER => "230 welcome",
                    Some(("PASS", _)) => "530 Login incorrect.",
                    _ => "221 bye",
                };
                stream.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    let (_, credential) = check(&host, Method::Ftp, PAIRS, &Journal::with_cap(9)).await;
    assert_eq!((credential.result.as_str(), credential.entry, credential.attempts), ("accepted", Some(3), 3));
    let said = said.lock().unwrap();
    assert_eq!(said.last().map(String::as_str), Some("QUIT"));
    assert!(said.iter().all(|line| ["USER", "PASS", "QUIT"].contains(&line.split(' ').next().unwrap())));
    assert_eq!(host.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn ftp_that_has_had_enough() {
    let host = Host::start(|_, mut stream| async move {
        stream.write_all(b"220 ready\r\n").await.unwrap();
        until(&mut stream, b"\r\n").await.unwrap();
        stream.write_all(b"331 password\r\n").await.unwrap();
        until(&mut stream, b"\r\n").await.unwrap();
        let _ = stream.write_all(b"530 too many failures, your address is blocked\r\n").await;
    })
    .await;
    let (_, credential) = check(&host, Method::Ftp, PAIRS, &Journal::with_cap(9)).await;
    assert_eq!((credential.result.as_str(), credential.attempts), ("locked-out", 1));
}

/// A page behind `challenge`; `judge` says what an `Authorization` value gets.
async fn page(
    challenge: &'static str,
    keep_alive: bool,
    judge: fn(u32, &str) -> &'static str,
) -> (Host, Arc<Mutex<u32>>) {
    let tries = Arc::new(Mutex::new(0));
    let count = Arc::clone(&tries);
    let host = Host::start(move |number, mut stream| {
        let count = Arc::clone(&count);
        async move {
            while let Some(request) = until(&mut stream, b"\r\n\r\n").await {
                let request = String::from_utf8(request).unwrap();
                let authorization = request.lines().find_map(|line| line.strip_prefix("Authorization: "));
                let status = match authorization {
                    None => "401 Unauthorized",
                    Some(authorization) => {
                        *count.lock().unwrap() += 1;
                        judge(number, authorization)
                    }
                };
                let challenge = challenge.replace("{n}", &number.to_string());
                let connection = if keep_alive { "keep-alive" } else { "close" };
                let answer = format!(
                    "HTTP/1.1 {status}\r\nWWW-Authenticate: {challenge}\r\nContent-Length: 2\r\nConnection: {connection}\r\n\r\nok"
                );
                if stream.write_all(answer.as_bytes()).await.is_err() || !keep_alive {
                    return;
                }
            }
        }
    })
    .await;
    (host, tries)
}

fn basic(_: u32, authorization: &str) -> &'static str {
    let right = kenshin_wire::http::challenge::basic(USER, PASSWORD);
    if authorization == right { "200 OK" } else { "401 Unauthorized" }
}

fn digest(number: u32, authorization: &str) -> &'static str {
    // The nonce is good for the connection after the one that it was given on.
    let nonces = [number, number.saturating_sub(1)].map(|number| format!("n{number}"));
    let right = nonces.iter().any(|nonce| {
        let digest = Digest {
            realm: "CAM".to_owned(),
            nonce: nonce.clone(),
            opaque: None,
            algorithm: kenshin_wire::http::digest::Algorithm::Md5,
            session: false,
            qop_auth: true,
        };
        let cnonce = authorization.split("cnonce=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        let proof = Proof { user: USER, password: PASSWORD, method: "GET", target: "/", cnonce, count: 1 };
        authorization.contains(&format!("response=\"{}\"", digest.response(&proof)))
    });
    if right { "200 OK" } else { "401 Unauthorized" }
}

#[tokio::test(start_paused = true)]
async fn http_basic_and_digest_with_and_without_keep_alive() {
    for keep_alive in [true, false] {
        let (host, tries) = page("Basic realm=\"CAM\"", keep_alive, basic).await;
        let (_, credential) = check(&host, Method::HttpBasic, PAIRS, &Journal::with_cap(9)).await;
        assert_eq!((credential.result.as_str(), credential.entry), ("accepted", Some(3)), "{keep_alive}");
        assert_eq!(*tries.lock().unwrap(), 3);
        assert_eq!(host.connections(), if keep_alive { 1 } else { 4 });

        let (host, tries) =
            page("Digest realm=\"CAM\", qop=\"auth\", nonce=\"n{n}\"", keep_alive, digest).await;
        let (_, credential) = check(&host, Method::HttpDigest, PAIRS, &Journal::with_cap(9)).await;
        assert_eq!(
            (credential.method.as_str(), credential.result.as_str()),
            ("http-digest", "accepted"),
            "{keep_alive}"
        );
        assert_eq!((credential.entry, *tries.lock().unwrap()), (Some(3), 3));
    }
}

#[tokio::test(start_paused = true)]
async fn http_that_defends_itself() {
    for answer in ["403 Forbidden", "429 Too Many Requests", "503 Unavailable"] {
        let judge: fn(u32, &str) -> &'static str = match answer {
            "403 Forbidden" => |_, _| "403 Forbidden",
            "429 Too Many Requests" => |_, _| "429 Too Many Requests",
            _ => |_, _| "503 Unavailable",
        };
        let (host, tries) = page("Basic realm=\"CAM\"", true, judge).await;
        let (_, credential) = check(&host, Method::HttpBasic, PAIRS, &Journal::with_cap(9)).await;
        assert_eq!((credential.result.as_str(), *tries.lock().unwrap()), ("locked-out", 1), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_needs_no_password_is_not_tried() {
    let host = Host::start(|_, mut stream| async move {
        let request = until(&mut stream, b"\r\n\r\n").await.unwrap();
        assert!(!String::from_utf8(request).unwrap().contains("Authorization"));
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!(drain(&mut stream).await, b"");
    })
    .await;
    let (result, credential) = check(&host, Method::HttpBasic, PAIRS, &Journal::with_cap(9)).await;
    assert_eq!((credential.result.as_str(), credential.attempts), ("interrupted", 0));
    assert_eq!(result.reason.as_deref(), Some("no-challenge"));
}

/// An SSH server that judges pairs, and allows no session.
#[derive(Clone)]
struct Judge {
    tries: Arc<Mutex<Vec<String>>>,
    interactive: bool,
}

impl Handler for Judge {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        assert!(!self.interactive, "a method was used that was not offered");
        self.tries.lock().unwrap().push(user.to_owned());
        Ok(if (user, password) == (USER, PASSWORD) { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        let Some(mut response) = response else {
            return Ok(Auth::Partial {
                name: "".into(),
                instructions: "".into(),
                prompts: vec![("Password: ".into(), false)].into(),
            });
        };
        self.tries.lock().unwrap().push(user.to_owned());
        let right = user == USER && response.next().is_some_and(|answer| &answer[..] == PASSWORD.as_bytes());
        Ok(if right {
            Auth::Accept
        } else {
            let only = MethodSet::from(&[MethodKind::KeyboardInteractive][..]);
            Auth::Reject { proceed_with_methods: Some(only), partial_success: false }
        })
    }
}

async fn ssh(interactive: bool) -> (Host, Arc<Mutex<Vec<String>>>) {
    let tries = Arc::new(Mutex::new(Vec::new()));
    let key = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap();
    let config = Arc::new(Config {
        keys: vec![key],
        methods: MethodSet::from(if interactive {
            &[MethodKind::KeyboardInteractive][..]
        } else {
            &[MethodKind::Password, MethodKind::KeyboardInteractive]
        }),
        auth_rejection_time: std::time::Duration::ZERO,
        auth_rejection_time_initial: Some(std::time::Duration::ZERO),
        ..Config::default()
    });
    let judge = Judge { tries: Arc::clone(&tries), interactive };
    let host = Host::start(move |_, stream| {
        let (config, judge) = (Arc::clone(&config), judge.clone());
        async move {
            if let Ok(session) = run_stream(config, stream, judge).await {
                let _ = session.await;
            }
        }
    })
    .await;
    (host, tries)
}

#[tokio::test(start_paused = true)]
async fn ssh_with_passwords_and_keyboard_interactive() {
    for interactive in [false, true] {
        let (host, tries) = ssh(interactive).await;
        let (result, credential) = check(&host, Method::Ssh, PAIRS, &Journal::with_cap(9)).await;
        assert_eq!(
            (credential.result.as_str(), credential.entry),
            ("accepted", Some(3)),
            "{interactive} {result:?}"
        );
        // One connection for each run of the same user name.
        assert_eq!(*tries.lock().unwrap(), ["admin", "root", "admin"]);
        assert_eq!(host.connections(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn ssh_that_is_none() {
    let host = Host::saying(b"SSH-2.0-x\r\nnonsense and more nonsense\r\n".repeat(100)).await;
    let journal = Journal::with_cap(9);
    let (_, credential) = check(&host, Method::Ssh, PAIRS, &journal).await;
    assert_eq!((credential.result.as_str(), credential.attempts), ("interrupted", 0));
    assert_eq!(journal.begun(), Vec::<i32>::new());
}
