//! Services that behave: each is recognised by what it does, on a port that says nothing.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kenshin_observation::{BlobClass, Check, Outcome};
use openssl::ssl::SslVersion;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

use super::host::{Host, accept_tls, certificate, drain, until};
use super::{settings, transcript};
use crate::probe::{ProbeResult, probe};

const DEFAULT: &[Check] = &[Check::Sweep, Check::Banner, Check::Handshake];
const ANONYMOUS: &[Check] = &[Check::Banner, Check::Handshake, Check::AnonymousLogin];

async fn handshake(host: &Host) -> ProbeResult {
    let mut results = probe(host.endpoint, None, host, &settings(DEFAULT)).await;
    assert_eq!(results.len(), 1);
    assert_eq!(results[0].check, Check::Handshake);
    results.remove(0)
}

#[tokio::test(start_paused = true)]
async fn ssh_shows_its_lists_and_host_key() {
    let host = Host::saying(transcript("ssh-openssh-9.2")).await;
    let result = handshake(&host).await;
    assert_eq!((result.outcome, result.reason.as_deref()), (Outcome::Answered, None));
    assert_eq!((result.protocol.as_deref(), result.connections), (Some("ssh"), 1));
    let ssh = result.records.ssh.unwrap();
    assert_eq!(ssh.banner, "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10");
    assert_eq!((ssh.host_key_algorithm.as_deref(), ssh.host_key_bits), (Some("ssh-ed25519"), Some(256)));
    assert_eq!(result.blobs[0].bytes, ssh.banner.as_bytes());
    assert!(result.vantage.is_some());
}

#[tokio::test(start_paused = true)]
async fn telnet_is_refused_politely_and_its_prompt_read() {
    let answers = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&answers);
    let host = Host::start(move |_, mut stream| {
        let heard = Arc::clone(&heard);
        async move {
            stream.write_all(&transcript("telnet-router-euc-jp")).await.unwrap();
            let rest = drain(&mut stream).await;
            heard.lock().unwrap().extend(rest);
        }
    })
    .await;
    let result = handshake(&host).await;
    let telnet = result.records.telnet.unwrap();
    assert!(telnet.login_prompt && !telnet.password_prompt && !telnet.shell_prompt);
    assert!(telnet.text.contains("宅内終端装置") && telnet.text.ends_with("ログイン名："), "{}", telnet.text);
    assert_eq!(telnet.options, ["WILL 1", "WILL 3"]);
    host.left_alone().await;
    assert_eq!(*answers.lock().unwrap(), [255, 254, 1, 255, 254, 3]);
}

#[tokio::test(start_paused = true)]
async fn smtp_is_greeted_by_name_and_left() {
    let said = Arc::new(Mutex::new(String::new()));
    let heard = Arc::clone(&said);
    let host = Host::start(move |_, mut stream| {
        let heard = Arc::clone(&heard);
        async move {
            stream.write_all(b"220 gate.example.jp ready\r\n").await.unwrap();
            let ehlo = until(&mut stream, b"\r\n").await.unwrap();
            stream.write_all(b"250-gate.example.jp\r\n250-SIZE 1000\r\n250 STARTTLS\r\n").await.unwrap();
            let rest = drain(&mut stream).await;
            *heard.lock().unwrap() = String::from_utf8([ehlo, rest].concat()).unwrap();
        }
    })
    .await;
    let result = handshake(&host).await;
    assert_eq!(result.records.smtp.unwrap().ehlo, ["gate.example.jp", "SIZE 1000", "STARTTLS"]);
    host.left_alone().await;
    assert_eq!(*said.lock().unwrap(), "EHLO kenshin.example.jp\r\nQUIT\r\n");
}

#[tokio::test(start_paused = true)]
async fn an_unnamed_greeting_is_ftp_when_it_knows_no_ehlo() {
    let host = Host::start(|_, mut stream| async move {
        stream.write_all(b"220 ready\r\n").await.unwrap();
        until(&mut stream, b"\r\n").await.unwrap();
        stream.write_all(b"500 what?\r\n").await.unwrap();
        drain(&mut stream).await;
    })
    .await;
    assert_eq!(handshake(&host).await.records.ftp.unwrap().banner, "220 ready");
}

#[tokio::test(start_paused = true)]
async fn http_is_asked_once_and_redirects_are_not_followed() {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    let host = Host::start(move |_, mut stream| {
        let seen = Arc::clone(&seen);
        async move {
            let Some(request) = until(&mut stream, b"\r\n\r\n").await else { return };
            seen.lock().unwrap().push(String::from_utf8(request).unwrap());
            stream
                .write_all(b"HTTP/1.1 302 Found\r\nLocation: http://198.51.100.9/login?session=abcdef\r\nServer: GoAhead\r\nSet-Cookie: SID=abcdef\r\nX-Powered-By: PHP/5.3\r\n\r\n<title>moved</title>")
                .await
                .unwrap();
        }
    })
    .await;
    let result = handshake(&host).await;
    let http = result.records.http.unwrap();
    assert_eq!((http.status, http.server.as_deref()), (302, Some("GoAhead")));
    assert_eq!(http.location.as_deref(), Some("http://198.51.100.9/login?session=******"));
    assert_eq!(
        (http.cookie_names.as_slice(), http.powered_by.as_deref()),
        (&["SID".to_owned()][..], Some("PHP/5.3"))
    );
    assert_eq!((http.title.as_deref(), http.body_bytes), (Some("moved"), 20));
    let kept: Vec<u8> = result.blobs.iter().flat_map(|blob| blob.bytes.clone()).collect();
    assert!(!String::from_utf8(kept).unwrap().contains("abcdef"));
    assert_eq!((host.connections(), result.connections), (1, 1));
    let requests = requests.lock().unwrap();
    assert_eq!(requests.len(), 1);
    assert!(requests[0].starts_with("GET / HTTP/1.1\r\nHost: 127.0.0.1:"));
    assert!(requests[0].contains("User-Agent: Kenshin/0.1 (+mailto:kenshin@example.jp)\r\n"));
}

#[tokio::test(start_paused = true)]
async fn the_connection_of_the_sweep_is_used_first() {
    let host = Host::saying(transcript("ftp-vsftpd-3.0.3")).await;
    let first = tokio::net::TcpStream::connect((host.endpoint.addr, host.endpoint.port)).await.unwrap();
    let results = probe(host.endpoint, Some(first), &host, &settings(DEFAULT)).await;
    assert_eq!(results[0].records.ftp.as_ref().unwrap().banner, "220 (vsFTPd 3.0.3)");
    assert_eq!((host.connections(), results[0].connections), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn tls_of_every_version_with_its_whole_certificate() {
    for (version, word) in [
        (SslVersion::TLS1, "TLSv1"),
        (SslVersion::TLS1_1, "TLSv1.1"),
        (SslVersion::TLS1_2, "TLSv1.2"),
        (SslVersion::TLS1_3, "TLSv1.3"),
    ] {
        let identity = certificate();
        let host = Host::start(move |_, stream| {
            let identity = identity.clone();
            async move {
                let Some(mut stream) = accept_tls(stream, &identity, version).await else { return };
                if until(&mut stream, b"\r\n\r\n").await.is_some() {
                    let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n<title>inside</title>").await;
                    let _ = stream.shutdown().await;
                }
            }
        })
        .await;
        let result = handshake(&host).await;
        assert_eq!(
            result.records.http.as_ref().and_then(|http| http.title.as_deref()),
            Some("inside"),
            "{word}: {result:?}"
        );
        let tls = result.records.tls.unwrap();
        assert_eq!(tls.version, word);
        assert!(!tls.cipher.is_empty());
        assert_eq!(tls.subject.as_deref(), Some("CN=router.example,O=検診\\, Inc.,C=JP"));
        assert_eq!(tls.issuer, tls.subject);
        assert_eq!(tls.serial.as_deref(), Some("c0ffee"));
        assert_eq!(tls.alternative_names, ["router.example", "192.0.2.1"]);
        assert_eq!(tls.not_before_us, Some(1_577_836_800_000_000));
        assert_eq!(tls.not_after_us, Some(1_609_459_200_000_000));
        assert_eq!((tls.key_algorithm.as_deref(), tls.key_bits), (Some("rsa"), Some(1024)));
        assert_eq!(tls.signature_algorithm.as_deref(), Some("sha1WithRSAEncryption"));
        assert_eq!(tls.self_signed, Some(true));
        let blob = result.blobs.iter().find(|blob| blob.class == BlobClass::Certificate).unwrap();
        assert_eq!(tls.certificate_sha256, Some(blob.sha256()));
        assert_eq!(tls.public_key_sha256.unwrap().len(), 64);
    }
}

#[tokio::test(start_paused = true)]
async fn a_plain_answer_that_wants_tls_gets_it() {
    let identity = certificate();
    let host = Host::start(move |_, mut stream| {
        let identity = identity.clone();
        async move {
            let mut first = [0; 1];
            if stream.peek(&mut first).await.is_ok_and(|read| read == 1) && first[0] == 0x16 {
                let Some(mut stream) = accept_tls(stream, &identity, SslVersion::TLS1_2).await else { return };
                if until(&mut stream, b"\r\n\r\n").await.is_some() {
                    let _ = stream.write_all(b"HTTP/1.1 401 X\r\nContent-Length: 0\r\nWWW-Authenticate: Basic realm=\"r\"\r\n\r\n").await;
                }
            } else if until(&mut stream, b"\r\n\r\n").await.is_some() {
                let _ = stream.write_all(&transcript("http-nginx-plain-to-tls")).await;
            }
        }
    })
    .await;
    let result = handshake(&host).await;
    assert!(result.records.tls.is_some());
    assert_eq!(result.records.http.unwrap().www_authenticate.as_deref(), Some("Basic realm=\"r\""));
    assert_eq!(result.connections, 2);
}

#[tokio::test(start_paused = true)]
async fn rtsp_answers_get_with_its_own_name_and_is_asked_for_options() {
    let host = Host::start(|_, mut stream| async move {
        let request = until(&mut stream, b"\r\n\r\n").await.unwrap_or_default();
        let answer =
            if request.starts_with(b"OPTIONS") { "rtsp-camera-options" } else { "rtsp-camera-refuses-get" };
        stream.write_all(&transcript(answer)).await.unwrap();
        if request.starts_with(b"GET") {
            until(&mut stream, b"\r\n\r\n").await;
            let _ = stream.write_all(&transcript("rtsp-camera-options")).await;
        }
        drain(&mut stream).await;
    })
    .await;
    let result = handshake(&host).await;
    assert_eq!(result.protocol.as_deref(), Some("rtsp"));
    let rtsp = result.records.rtsp.unwrap();
    assert_eq!((rtsp.status, rtsp.server.as_deref(), rtsp.methods.len()), (200, Some("Rtsp Server/2.0"), 8));
    assert_eq!(result.connections, 1);
}

#[tokio::test(start_paused = true)]
async fn rtsp_that_ignores_http_is_found_by_options() {
    let host = Host::start(|_, mut stream| async move {
        let Some(request) = until(&mut stream, b"\r\n\r\n").await else { return };
        if request.starts_with(b"OPTIONS") {
            stream.write_all(&transcript("rtsp-camera-options")).await.unwrap();
        }
        drain(&mut stream).await;
    })
    .await;
    assert_eq!(handshake(&host).await.protocol.as_deref(), Some("rtsp"));
}

#[tokio::test(start_paused = true)]
async fn a_greeting_that_comes_late_is_waited_for() {
    let host = Host::start(|_, mut stream| async move {
        sleep(Duration::from_secs(4)).await;
        let _ = stream.write_all(&transcript("ssh-dropbear-2022.83")).await;
        drain(&mut stream).await;
    })
    .await;
    let result = handshake(&host).await;
    assert_eq!(result.records.ssh.unwrap().host_key_bits, Some(2048));
    assert_eq!(result.connections, 2);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_knows_is_kept_as_it_is() {
    let host = Host::saying(b"ABC 003.008\n".to_vec()).await;
    let result = handshake(&host).await;
    assert_eq!((result.outcome, result.protocol.as_deref()), (Outcome::Answered, Some("unknown")));
    let unknown = result.records.unknown.unwrap();
    assert_eq!((unknown.banner.as_str(), unknown.bytes), ("ABC 003.008\n", 12));
    assert_eq!(unknown.first_bytes, "414243203030332e3030380a");
}

#[tokio::test(start_paused = true)]
async fn a_listen_only_port_never_gets_a_byte() {
    for banner in
        [&b""[..], b"\x1b%-12345X@PJL\r\n", b"SSH-2.0-x\r\n", b"220 ftp ready\r\n", b"\xff\xfd\x18login: "]
    {
        let host = Host::start(move |_, mut stream| async move {
            stream.write_all(banner).await.unwrap();
            assert_eq!(drain(&mut stream).await, b"", "something was said to {banner:?}");
        })
        .await;
        let listen_only = crate::probe::ProbeSettings { listen_only: true, ..settings(ANONYMOUS) };
        let results = probe(host.endpoint, None, &host, &listen_only).await;
        assert_eq!(results.len(), 1);
        assert_eq!((results[0].check, results[0].connections), (Check::Banner, 1));
        let expected = if banner.is_empty() { Outcome::Limited } else { Outcome::Answered };
        assert_eq!(results[0].outcome, expected, "{banner:?}");
        host.left_alone().await;
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_done_without_a_grant() {
    let host = Host::saying(b"SSH-2.0-x\r\n".to_vec()).await;
    assert!(probe(host.endpoint, None, &host, &settings(&[Check::Sweep])).await.is_empty());
    assert_eq!(host.connections(), 0);
}

fn ftp(password_answer: &'static str, said: Arc<Mutex<Vec<String>>>) -> impl Future<Output = Host> {
    Host::start(move |_, mut stream| {
        let said = Arc::clone(&said);
        async move {
            stream.write_all(b"220 FTP ready\r\n").await.unwrap();
            while let Some(line) = until(&mut stream, b"\r\n").await {
                let line = String::from_utf8(line).unwrap().trim_end().to_owned();
                let answer = match line.split(' ').next().unwrap() {
                    "USER" => "331 please",
                    "PASS" => password_answer,
                    _ => "221 bye",
                };
                said.lock().unwrap().push(line);
                stream.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
            }
        }
    })
}

#[tokio::test(start_paused = true)]
async fn anonymous_ftp_logs_in_says_who_we_are_and_quits() {
    for (answer, expected) in [("230 welcome", "accepted"), ("530 no", "rejected")] {
        let said = Arc::new(Mutex::new(Vec::new()));
        let host = ftp(answer, Arc::clone(&said)).await;
        let results = probe(host.endpoint, None, &host, &settings(ANONYMOUS)).await;
        assert_eq!(host.checks(), [Check::Handshake, Check::AnonymousLogin]);
        assert_eq!(results[0].records.ftp.as_ref().unwrap().anonymous, None);
        assert_eq!((results[1].check, results[1].outcome), (Check::AnonymousLogin, Outcome::Answered));
        assert_eq!(results[1].records.ftp.as_ref().unwrap().anonymous.as_deref(), Some(expected));
        host.left_alone().await;
        assert_eq!(*said.lock().unwrap(), ["QUIT", "USER anonymous", "PASS kenshin@example.jp", "QUIT"]);
    }
    let said = Arc::new(Mutex::new(Vec::new()));
    let host = ftp("230 welcome", Arc::clone(&said)).await;
    probe(host.endpoint, None, &host, &settings(DEFAULT)).await;
    host.left_alone().await;
    assert_eq!(*said.lock().unwrap(), ["QUIT"], "without a grant nobody logs in");
}

async fn broker(code: u8, said: Arc<Mutex<Vec<u8>>>) -> Host {
    Host::start(move |_, mut stream| {
        let said = Arc::clone(&said);
        async move {
            let Ok(0x10) = stream.read_u8().await else { return };
            let len = stream.read_u8().await.unwrap();
            let mut connect = vec![0; usize::from(len)];
            stream.read_exact(&mut connect).await.unwrap();
            stream.write_all(&[0x20, 2, 0, code]).await.unwrap();
            let rest = drain(&mut stream).await;
            said.lock().unwrap().extend(rest);
        }
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn mqtt_is_asked_only_with_a_grant_and_left_without_a_subscription() {
    for (code, expected, after) in [(0, "accepted", &[0xe0, 0][..]), (5, "rejected", &[])] {
        let said = Arc::new(Mutex::new(Vec::new()));
        let host = broker(code, Arc::clone(&said)).await;
        let results = probe(host.endpoint, None, &host, &settings(ANONYMOUS)).await;
        assert_eq!(results.len(), 2);
        assert_eq!((results[0].outcome, results[0].protocol.as_deref()), (Outcome::Answered, Some("mqtt")));
        let mqtt = results[1].records.mqtt.as_ref().unwrap();
        assert_eq!((mqtt.connack_code, mqtt.anonymous.as_deref()), (Some(i32::from(code)), Some(expected)));
        assert_eq!(host.checks(), [Check::Handshake, Check::AnonymousLogin]);
        host.left_alone().await;
        assert_eq!(*said.lock().unwrap(), after);
    }
    let host = broker(0, Arc::default()).await;
    let result = handshake(&host).await;
    assert_eq!((result.outcome, result.protocol), (Outcome::Limited, None));
    assert!(host.checks().iter().all(|check| *check == Check::Handshake));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_probe_resets_its_connection_at_once() {
    let (left, when) = tokio::sync::oneshot::channel();
    let left = Arc::new(Mutex::new(Some(left)));
    let host = Host::start(move |_, mut stream| {
        let left = left.lock().unwrap().take();
        async move {
            let ended = loop {
                match stream.read_u8().await {
                    Ok(_) => {}
                    Err(error) => break error.kind(),
                }
            };
            if let Some(left) = left {
                let _ = left.send((Instant::now(), ended));
            }
        }
    })
    .await;
    let host_too = host.clone();
    let probing = tokio::spawn(async move { probe(host.endpoint, None, &host, &settings(DEFAULT)).await });
    sleep(Duration::from_secs(3)).await;
    assert_eq!(host_too.connections(), 1);
    let aborted = Instant::now();
    probing.abort();
    let (at, ended) = when.await.unwrap();
    assert_eq!(ended, std::io::ErrorKind::ConnectionReset);
    assert!(at - aborted < Duration::from_secs(1));
}
