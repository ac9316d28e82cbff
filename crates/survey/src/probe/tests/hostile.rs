//! Hosts that mean harm cost at most the limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kenshin_observation::{Check, Outcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::host::{Host, drain, until};
use super::settings;
use crate::probe::{ProbeResult, probe};

const GRANTED: &[Check] = &[Check::Banner, Check::Handshake, Check::AnonymousLogin];

/// Probes `host` and checks that the cost stayed below the limits.
async fn probed(host: &Host) -> ProbeResult {
    let settings = settings(GRANTED);
    let began = Instant::now();
    let mut results = probe(host.endpoint, None, host, &settings).await;
    let connections: u32 = results.iter().map(|result| result.connections).sum();
    assert_eq!(connections, host.connections());
    assert!(results[0].connections <= settings.limits.connections_max);
    let most = settings.limits.conversation * connections + Duration::from_secs(1);
    assert!(began.elapsed() <= most, "{:?} for {connections} connections", began.elapsed());
    for result in &results {
        let kept: usize = result.blobs.iter().map(|blob| blob.bytes.len()).sum();
        assert!(kept <= 1024, "{kept} bytes kept");
    }
    results.remove(0)
}

/// Writes `piece` until the other side leaves; returns how many bytes it took.
async fn pour(stream: &mut TcpStream, piece: &[u8]) -> usize {
    let mut poured = 0;
    while stream.write_all(piece).await.is_ok() {
        poured += piece.len();
    }
    poured
}

#[tokio::test(start_paused = true)]
async fn a_host_that_sends_forever() {
    for piece in [
        &b"\x00\x01\x02 endless "[..],
        b"220-more and more\r\n",
        b"SSH-",
        b"\xff\xfb\x01\xff\xfd\x18word ",
        b"login\r\n",
    ] {
        let host = Host::start(move |_, mut stream| async move {
            let big = piece.repeat(512);
            // The kernel's buffers are all that it gets rid of beyond our limit.
            assert!(pour(&mut stream, &big).await < 16 * 1024 * 1024);
        })
        .await;
        let result = probed(&host).await;
        let name = piece.escape_ascii();
        match &piece[..3] {
            // A reply or an identification longer than any is no reply at all: that ends it sooner.
            b"220" | b"SSH" => {
                assert!(matches!(result.outcome, Outcome::Answered | Outcome::Limited), "{name}")
            }
            _ => assert_eq!(
                (result.outcome, result.reason.as_deref()),
                (Outcome::Limited, Some("bytes")),
                "{name}"
            ),
        }
        host.left_alone().await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_byte_a_minute() {
    let host = Host::start(|_, mut stream| async move {
        loop {
            sleep(Duration::from_secs(60)).await;
            if stream.write_all(b"x").await.is_err() {
                return;
            }
        }
    })
    .await;
    let result = probed(&host).await;
    assert_eq!((result.outcome, result.reason.as_deref()), (Outcome::Limited, Some("silent")));
}

#[tokio::test(start_paused = true)]
async fn one_byte_a_second_is_cut_by_time() {
    let host = Host::start(|_, mut stream| async move {
        while stream.write_all(b"x").await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
    })
    .await;
    let result = probed(&host).await;
    assert_eq!((result.outcome, result.reason.as_deref()), (Outcome::Limited, Some("time")));
    assert_eq!(result.connections, 1);
}

#[tokio::test(start_paused = true)]
async fn a_byte_a_millisecond_is_cut_by_steps() {
    let host = Host::start(|_, mut stream| async move {
        while stream.write_all(b"x").await.is_ok() {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    let result = probed(&host).await;
    assert_eq!((result.outcome, result.reason.as_deref()), (Outcome::Limited, Some("steps")));
}

#[tokio::test(start_paused = true)]
async fn nothing_at_all() {
    let host = Host::start(|_, mut stream| async move {
        drain(&mut stream).await;
    })
    .await;
    let result = probed(&host).await;
    assert_eq!((result.outcome, result.reason.as_deref()), (Outcome::Limited, Some("silent")));
    assert_eq!(result.protocol, None);
}

#[tokio::test(start_paused = true)]
async fn a_header_without_end() {
    let poured = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&poured);
    let host = Host::start(move |_, mut stream| {
        let count = Arc::clone(&count);
        async move {
            if until(&mut stream, b"\r\n\r\n").await.is_some() {
                stream.write_all(b"HTTP/1.1 200 OK\r\nServer: x\r\n").await.unwrap();
                let piece = b"X-Padding: ".repeat(100);
                count.fetch_add(pour(&mut stream, &piece).await, Ordering::SeqCst);
            }
        }
    })
    .await;
    let result = probed(&host).await;
    assert_eq!((result.outcome, result.reason.as_deref()), (Outcome::Limited, Some("bytes")));
    assert_eq!(result.connections, 1);
    host.left_alone().await;
    assert!(poured.load(Ordering::SeqCst) < 16 * 1024 * 1024);
}

#[tokio::test(start_paused = true)]
async fn a_page_without_end_is_an_answer() {
    let host = Host::start(|_, mut stream| async move {
        if until(&mut stream, b"\r\n\r\n").await.is_some() {
            stream.write_all(b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n<title>t</title>").await.unwrap();
            pour(&mut stream, &[b'a'; 4096]).await;
        }
    })
    .await;
    let result = probed(&host).await;
    assert_eq!(result.outcome, Outcome::Answered);
    let http = result.records.http.unwrap();
    assert_eq!(http.title.as_deref(), Some("t"));
    assert!(http.body_bytes <= 48 * 1024);
}

#[tokio::test(start_paused = true)]
async fn tls_that_is_none() {
    for answer in [
        // A ServerHello that promises 4 KiB and holds nonsense.
        [&b"\x16\x03\x03\x10\x00\x02\x00\x0f\xfc"[..], &[0xaa; 4096]].concat(),
        // An alert.
        b"\x15\x03\x01\x00\x02\x02\x28".to_vec(),
        // Records of random kinds.
        (0..=255).cycle().take(20_000).collect(),
    ] {
        let copy = answer.clone();
        let host = Host::start(move |_, mut stream| {
            let answer = copy.clone();
            async move {
                let mut first = [0; 1];
                if stream.read_exact(&mut first).await.is_ok() && first[0] == 0x16 {
                    let _ = stream.write_all(&answer).await;
                }
                if first[0] == 0x16 {
                    drain(&mut stream).await;
                }
            }
        })
        .await;
        let result = probed(&host).await;
        assert_eq!(result.records.tls, None);
        assert!(matches!(result.outcome, Outcome::Answered | Outcome::Limited));
        if answer[0] != 0 {
            assert_eq!(
                (result.protocol.as_deref(), result.reason.as_deref()),
                (Some("unknown"), Some("tls"))
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn endless_tls_handshake_messages() {
    let host = Host::start(|_, mut stream| async move {
        let mut first = [0; 1];
        if stream.read_exact(&mut first).await.is_ok() && first[0] == 0x16 {
            // Warning alerts for ever: each is legal, all together are not.
            assert!(pour(&mut stream, &b"\x15\x03\x01\x00\x02\x01\x5a".repeat(600)).await < 16 * 1024 * 1024);
        }
    })
    .await;
    assert_eq!(probed(&host).await.records.tls, None);
}

#[tokio::test(start_paused = true)]
async fn hosts_that_close_in_the_middle() {
    for (said, protocol) in [
        (&b""[..], None),
        (b"SSH-2.0-x\r\n", Some("ssh")),
        (b"SSH-2.0-x\r\n\x00\x00\x01\x00\x04\x14", Some("ssh")),
        (b"\xff\xfd", Some("unknown")),
        (b"\xff\xfd\x18\xff\xfb\x01", Some("telnet")),
        (b"220-half", Some("unknown")),
        (b"220 ftp ready\r\n", Some("ftp")),
    ] {
        let host = Host::start(move |_, mut stream| async move {
            let _ = stream.write_all(said).await;
        })
        .await;
        let result = probed(&host).await;
        assert_eq!(result.protocol.as_deref(), protocol, "{}", said.escape_ascii());
        let expected = if said.is_empty() { Outcome::Limited } else { Outcome::Answered };
        assert_eq!(result.outcome, expected, "{}", said.escape_ascii());
    }
    // Half a head is an answer as far as it goes.
    let host = Host::start(|_, mut stream| async move {
        if until(&mut stream, b"\r\n\r\n").await.is_some() {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nServer: half").await;
        }
    })
    .await;
    assert_eq!(probed(&host).await.records.http.unwrap().status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_takes_no_further_connection_ends_the_probe() {
    let host = Host::start(|_, mut stream| async move {
        drain(&mut stream).await;
    })
    .await
    .refusing_after(1);
    let settings = settings(&[Check::Handshake]);
    let results = probe(host.endpoint, None, &host, &settings).await;
    assert_eq!((results[0].outcome, results[0].reason.as_deref()), (Outcome::Refused, Some("refused")));
}
