//! Login forms of invented devices, filled in by recipes.

use std::sync::{Arc, Mutex};

use kenshin_observation::Outcome;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::{Dictionary, Method, Recipes};
use super::{Journal, PAIRS, check_with, handshake};
use crate::probe::tests::host::{Host, until};

const RECIPES: &str = r#"
[[forms]]
name = "cam-7"
says = ["cam-7"]
page = "/login"
hidden = ["csrf"]
take = [{ name = "nonce", after = "nonce='", until = "'" }]
make = [{ name = "proof", from = "{nonce}{password}", by = ["sha256"] }]
path = "/do_login?x=1"
fields = [{ name = "user", value = "{user}" }, { name = "proof", value = "{proof}" }]
success = [{ status = [302], location = "/main", cookie = "sid" }]
failure = [{ status = [200], body = "bad login" }]
lockout = [{ body = "come back tomorrow" }]
logout = { path = "/bye" }
"#;

/// What came in: first line, cookie and body of each request.
type Seen = Arc<Mutex<Vec<(String, String, String)>>>;

async fn read(stream: &mut TcpStream) -> Option<(String, String, String)> {
    let head = String::from_utf8(until(stream, b"\r\n\r\n").await?).unwrap();
    let field =
        |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
    let mut body = vec![0; field("Content-Length: ").parse().unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    Some((head.lines().next()?.to_owned(), field("Cookie: "), String::from_utf8(body).unwrap()))
}

/// A camera whose page hands out a token, a nonce and a cookie for one attempt each; the third pair of
/// [`PAIRS`] opens it. `refuse` is its answer to a pair, given how many it has had.
async fn camera(refuse: fn(u32) -> &'static str) -> (Host, Seen) {
    let seen = Seen::default();
    let (log, pages, pairs) = (Arc::clone(&seen), Arc::new(Mutex::new(0_u32)), Arc::new(Mutex::new(0_u32)));
    let host = Host::start(move |_, mut stream| {
        let (log, pages, pairs) = (Arc::clone(&log), Arc::clone(&pages), Arc::clone(&pairs));
        async move {
            while let Some(request) = read(&mut stream).await {
                log.lock().unwrap().push(request.clone());
                let (line, cookie, body) = request;
                let answer = match line.split(' ').collect::<Vec<_>>()[..2] {
                    ["GET", "/login"] => {
                        let number = { let mut pages = pages.lock().unwrap(); *pages += 1; *pages };
                        let page = format!(
                            "<script>nonce='n{number}'</script><input type=hidden name=csrf value=\"t&amp;{number}\">"
                        );
                        format!("200 OK\r\nSet-Cookie: visit=v{number}; Path=/\r\nContent-Length: {}\r\n\r\n{page}", page.len())
                    }
                    ["POST", "/do_login?x=1"] => {
                        let number = *pages.lock().unwrap();
                        assert_eq!(cookie, format!("visit=v{number}"));
                        let proof = hex::encode(Sha256::digest(format!("n{number}検診-pass")));
                        let tries = { let mut pairs = pairs.lock().unwrap(); *pairs += 1; *pairs };
                        match body == format!("user=admin&proof={proof}&csrf=t%26{number}") {
                            true => "302 Found\r\nLocation: /main.html\r\nSet-Cookie: sid=77\r\nContent-Length: 0\r\n\r\n".to_owned(),
                            false => refuse(tries).to_owned(),
                        }
                    }
                    ["POST", "/bye"] => {
                        assert!(cookie.contains("visit=v"), "{cookie}");
                        "200 OK\r\nContent-Length: 0\r\n\r\n".to_owned()
                    }
                    _ => panic!("it asked for {line}"),
                };
                stream.write_all(format!("HTTP/1.1 {answer}").as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    (host, seen)
}

fn dictionary() -> Dictionary {
    Dictionary::parse(PAIRS).unwrap().with_recipes(Recipes::parse(RECIPES).unwrap())
}

const BAD_LOGIN: &str = "200 OK\r\nContent-Length: 9\r\n\r\nbad login";

#[tokio::test(start_paused = true)]
async fn a_form_is_filled_in_and_left_by_its_logout() {
    let (host, seen) = camera(|_| BAD_LOGIN).await;
    let (_, credential) = check_with(&host, Method::HttpForm, dictionary(), &Journal::with_cap(9)).await;
    assert_eq!((credential.method.as_str(), credential.result.as_str()), ("http-form", "accepted"));
    assert_eq!((credential.entry, credential.attempts), (Some(3), 3));
    let lines: Vec<String> = seen.lock().unwrap().iter().map(|(line, ..)| line.clone()).collect();
    let attempt = ["GET /login HTTP/1.1", "POST /do_login?x=1 HTTP/1.1"];
    assert_eq!(lines, [&attempt[..], &attempt, &attempt, &["POST /bye HTTP/1.1"]].concat());
    let (_, cookie, _) = seen.lock().unwrap().last().unwrap().clone();
    assert!(cookie.contains("sid=77"), "{cookie}");
}

/// An answer that the recipe does not know may come with a session all the same.
#[tokio::test(start_paused = true)]
async fn a_session_that_may_be_open_is_logged_out() {
    for (answer, leaves) in [
        (
            (|_| "302 Found\r\nLocation: /setup\r\nSet-Cookie: sid=78\r\nContent-Length: 0\r\n\r\n")
                as fn(u32) -> &'static str,
            Some("sid=78"),
        ),
        (|_| "429 Too Many Requests\r\nSet-Cookie: sid=78\r\nContent-Length: 0\r\n\r\n", None),
    ] {
        let (host, seen) = camera(answer).await;
        let (_, credential) = check_with(&host, Method::HttpForm, dictionary(), &Journal::with_cap(9)).await;
        assert_eq!(credential.attempts, 1);
        let (line, cookie, _) = seen.lock().unwrap().last().unwrap().clone();
        assert_eq!(line.starts_with("POST /bye"), leaves.is_some(), "{line}");
        assert!(leaves.is_none_or(|session| cookie.contains(session)), "{cookie}");
    }
}

#[tokio::test(start_paused = true)]
async fn forms_that_defend_themselves_are_left_alone() {
    for (refuse, attempts, result, reason) in [
        (
            (|_| "429 Too Many Requests\r\nContent-Length: 0\r\n\r\n") as fn(u32) -> &'static str,
            1,
            "locked-out",
            "lockout",
        ),
        (|_| "503 Busy\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n", 1, "locked-out", "delay"),
        (|_| "200 OK\r\nContent-Length: 18\r\n\r\ncome back tomorrow", 1, "locked-out", "lockout"),
        (
            |tries| match tries {
                1 => BAD_LOGIN,
                _ => "200 OK\r\nContent-Length: 44\r\n\r\nbad login<br>The account is locked, 3 so far",
            },
            2,
            "locked-out",
            "lockout",
        ),
        (|_| "200 OK\r\nContent-Length: 13\r\n\r\nsomething new", 1, "interrupted", "signs"),
        (|_| "302 Found\r\nLocation: /main\r\nContent-Length: 0\r\n\r\n", 1, "interrupted", "signs"),
    ] {
        let (host, seen) = camera(refuse).await;
        let (ended, credential) =
            check_with(&host, Method::HttpForm, dictionary(), &Journal::with_cap(9)).await;
        assert_eq!((credential.result.as_str(), credential.attempts), (result, attempts), "{reason}");
        assert_eq!((ended.outcome, ended.reason.as_deref()), (Outcome::Limited, Some(reason)));
        let posted =
            seen.lock().unwrap().iter().filter(|(line, ..)| line.starts_with("POST /do_login")).count();
        assert_eq!(posted, usize::try_from(attempts).unwrap());
    }
}

/// A page without what the recipe takes from it is not the page that the recipe knows.
#[tokio::test(start_paused = true)]
async fn nothing_is_sent_to_a_page_that_changed() {
    let journal = Journal::with_cap(9);
    let host = Host::start(|_, mut stream| async move {
        let (line, ..) = read(&mut stream).await.unwrap();
        assert_eq!(line, "GET /login HTTP/1.1");
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await.unwrap();
        assert_eq!(read(&mut stream).await, None);
    })
    .await;
    let (ended, credential) = check_with(&host, Method::HttpForm, dictionary(), &journal).await;
    assert_eq!((credential.result.as_str(), ended.reason.as_deref()), ("interrupted", Some("page")));
    assert_eq!(journal.begun(), Vec::<i32>::new());
}

#[test]
fn a_page_without_a_recipe_is_not_tried() {
    let recipes = Recipes::parse(RECIPES).unwrap();
    let mut page = handshake(Method::HttpForm);
    assert_eq!(Method::of(&page, &recipes), Some(Method::HttpForm));
    assert_eq!(Method::of(&page, &Recipes::default()), None);
    page.records.http.as_mut().unwrap().title = Some("CAM-8 login".to_owned());
    assert_eq!(Method::of(&page, &recipes), None);
    // A challenge comes first: it needs no recipe.
    assert_eq!(Method::of(&handshake(Method::HttpBasic), &recipes), Some(Method::HttpBasic));
}
