//! Web servers past their first answer: redirects, icons, and servers that are more than that.

use std::sync::{Arc, Mutex};

use kenshin_observation::{BlobClass, Check};
use openssl::ssl::SslVersion;
use tokio::io::AsyncWriteExt;

use super::host::{Host, accept_tls, certificate, until};
use super::{settings, transcript};
use crate::probe::{ProbeResult, probe};

const GRANTED: &[Check] = &[Check::Banner, Check::Handshake];
const ICON: &[u8] = b"GIF89a";

/// A site: the answer to each path; whatever else is asked for is not found.
fn site(pages: &'static [(&'static str, &'static str)]) -> impl Fn(&str) -> Vec<u8> + Clone {
    move |path| match pages.iter().find(|(known, _)| *known == path) {
        Some((_, "icon")) => {
            [b"HTTP/1.1 200 OK\r\nContent-Type: image/gif\r\nContent-Length: 6\r\n\r\n", ICON].concat()
        }
        Some((_, answer)) => answer.replace('\n', "\r\n").into_bytes(),
        None => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
    }
}

fn path(request: &[u8]) -> String {
    String::from_utf8_lossy(request).split(' ').nth(1).unwrap_or_default().to_owned()
}

/// Probes a site; returns the result and the paths asked for.
async fn visited(pages: &'static [(&'static str, &'static str)]) -> (ProbeResult, Vec<String>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let answer = site(pages);
    let host = Host::start(move |_, mut stream| {
        let (seen, answer) = (Arc::clone(&seen), answer.clone());
        async move {
            let Some(request) = until(&mut stream, b"\r\n\r\n").await else { return };
            seen.lock().unwrap().push(path(&request));
            let _ = stream.write_all(&answer(&path(&request))).await;
        }
    })
    .await;
    let mut results = probe(host.endpoint, None, &host, &settings(GRANTED)).await;
    assert_eq!((results.len(), results[0].connections), (1, host.connections()));
    assert!(host.checks().iter().all(|check| *check == Check::Handshake));
    assert!(results[0].connections <= settings(GRANTED).limits.connections_max);
    let asked = asked.lock().unwrap().clone();
    (results.remove(0), asked)
}

#[tokio::test(start_paused = true)]
async fn a_redirect_at_the_same_endpoint_is_followed_to_its_page_and_icon() {
    let (result, asked) = visited(&[
        ("/", "HTTP/1.1 302 Found\nLocation: cgi/../web/login.html?lang=ja#top\nContent-Length: 0\n\n"),
        ("/web/login.html?lang=ja", "HTTP/1.1 200 OK\nContent-Type: text/html\nServer: GoAhead\n\n<title>RT-58</title><input type=password><link rel=icon href=img/f.gif>"),
        ("/web/img/f.gif", "icon"),
    ])
    .await;
    assert_eq!(asked, ["/", "/web/login.html?lang=ja", "/web/img/f.gif"]);
    let http = result.records.http.unwrap();
    assert_eq!((http.status, http.title.as_deref(), http.password_form), (200, Some("RT-58"), true));
    assert_eq!(http.redirected_to.as_deref(), Some("/web/login.html?lang=ja"));
    assert_eq!(http.favicon_mmh3, Some(-851_503_336));
    assert!(http.favicon_sha256.unwrap().starts_with("610f5ae4"));
    let page = result.blobs.iter().find(|blob| blob.class == BlobClass::Page).unwrap();
    assert!(String::from_utf8_lossy(&page.bytes).contains("RT-58"));
}

#[tokio::test(start_paused = true)]
async fn a_page_that_names_no_icon_has_it_at_the_usual_place() {
    let (result, asked) =
        visited(&[("/", "HTTP/1.1 200 OK\n\n<title>t</title>"), ("/favicon.ico", "icon")]).await;
    assert_eq!(asked, ["/", "/favicon.ico"]);
    assert_eq!(result.records.http.unwrap().favicon_mmh3, Some(-851_503_336));
    // A page instead of an icon is none.
    let (result, asked) = visited(&[
        ("/", "HTTP/1.1 200 OK\n\n<title>t</title>"),
        ("/favicon.ico", "HTTP/1.1 200 OK\n\n<title>not found</title>"),
    ])
    .await;
    assert_eq!(asked.len(), 2);
    assert_eq!(result.records.http.unwrap().favicon_sha256, None);
}

#[tokio::test(start_paused = true)]
async fn what_leads_elsewhere_or_round_is_not_followed() {
    for (answer, requests) in [
        ("HTTP/1.1 302 Found\nLocation: http://198.51.100.9/x\nContent-Length: 0\n\n", 1),
        ("HTTP/1.1 302 Found\nLocation: //router.example/x\nContent-Length: 0\n\n", 1),
        ("HTTP/1.1 302 Found\nLocation: https://127.0.0.1/x\nContent-Length: 0\n\n", 1),
        ("HTTP/1.1 302 Found\nLocation: /\nContent-Length: 0\n\n", 1),
        ("HTTP/1.1 200 OK\nLocation: /x\nContent-Type: application/json\n\n{}", 1),
        ("HTTP/1.1 200 OK\n\n<link rel=icon href=//cdn.example/x.ico>", 1),
        ("HTTP/1.1 200 OK\n\n<link rel=icon href='data:image/gif;base64,R0lGODlh'>", 1),
    ] {
        let pages: &'static [(&str, &str)] = Box::leak(Box::new([("/", answer)]));
        let (result, asked) = visited(pages).await;
        assert_eq!(asked.len(), requests, "{answer}");
        assert_eq!(result.records.http.unwrap().redirected_to, None);
    }
    // For ever in a circle of two: two steps and no more.
    let (result, asked) = visited(&[
        ("/", "HTTP/1.1 302 Found\nLocation: /a\nContent-Length: 0\n\n"),
        ("/a", "HTTP/1.1 302 Found\nLocation: /b\nContent-Length: 0\n\n"),
        ("/b", "HTTP/1.1 302 Found\nLocation: /a\nContent-Length: 0\n\n"),
    ])
    .await;
    assert_eq!(asked, ["/", "/a", "/b"]);
    assert_eq!(result.records.http.unwrap().redirected_to.as_deref(), Some("/b"));
}

#[tokio::test(start_paused = true)]
async fn inside_tls_the_same_and_the_server_has_a_fingerprint() {
    let identity = certificate();
    let answer = site(&[
        ("/", "HTTP/1.1 301 Moved\nLocation: /ui/\nContent-Length: 0\n\n"),
        ("/ui/", "HTTP/1.1 200 OK\nContent-Type: text/html\n\n<title>inside</title>"),
        ("/favicon.ico", "icon"),
    ]);
    let host = Host::start(move |_, stream| {
        let (identity, answer) = (identity.clone(), answer.clone());
        async move {
            let mut first = [0; 1];
            if stream.peek(&mut first).await.is_err() || first[0] != 0x16 {
                return;
            }
            let Some(mut stream) = accept_tls(stream, &identity, SslVersion::TLS1_2).await else { return };
            let Some(request) = until(&mut stream, b"\r\n\r\n").await else { return };
            let _ = stream.write_all(&answer(&path(&request))).await;
        }
    })
    .await;
    let mut endpoint = host.endpoint;
    let real = endpoint.port;
    endpoint.port = 8443;
    let moved = super::questions::Moved { host: &host, real };
    let results = probe(endpoint, None, &moved, &settings(GRANTED)).await;
    let http = results[0].records.http.as_ref().unwrap();
    assert_eq!((http.title.as_deref(), http.redirected_to.as_deref()), (Some("inside"), Some("/ui/")));
    assert_eq!((http.favicon_mmh3, results[0].connections), (Some(-851_503_336), 3));
    let tls = results[0].records.tls.as_ref().unwrap();
    assert_eq!(tls.server_fingerprint.as_ref().unwrap().len(), 32);
    assert!(results[0].blobs.iter().any(|blob| blob.class == BlobClass::Certificate));
}

#[tokio::test(start_paused = true)]
async fn search_engines_and_gateways_are_told_by_their_answer() {
    for name in ["http-elasticsearch-7.17", "http-cwmp-gateway"] {
        let host = Host::start(move |_, mut stream| async move {
            if until(&mut stream, b"\r\n\r\n").await.is_some() {
                let _ = stream.write_all(&transcript(name)).await;
            }
        })
        .await;
        let results = probe(host.endpoint, None, &host, &settings(GRANTED)).await;
        assert_eq!((results[0].protocol.as_deref(), host.connections()), (Some("http"), 1));
        let records = &results[0].records;
        match name {
            "http-cwmp-gateway" => {
                let cwmp = records.cwmp.as_ref().unwrap();
                assert_eq!(cwmp.server.as_deref(), Some("tr069 http server"));
                assert!(records.elasticsearch.is_none());
            }
            _ => {
                let engine = records.elasticsearch.as_ref().unwrap();
                assert_eq!(
                    (engine.version.as_deref(), engine.cluster_name.as_deref()),
                    (Some("7.17.9"), Some("logs"))
                );
                assert_eq!(engine.authentication_required, Some(false));
                assert!(records.cwmp.is_none());
            }
        }
    }
}
