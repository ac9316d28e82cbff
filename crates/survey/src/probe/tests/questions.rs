//! Services that wait for their own protocol, on ports that say nothing: each hangs up on what it does
//! not know, and is found by asking.

use std::sync::{Arc, Mutex};

use kenshin_observation::protocol::Records;
use kenshin_observation::{Check, Outcome};
use kenshin_wire::{adb, memcached, modbus, mongodb, rdp, redis, s7, smb};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::host::{Host, drain};
use super::{settings, transcript};
use crate::probe::{ProbeResult, ProbeSettings, probe};

const DEFAULT: &[Check] = &[Check::Banner, Check::Handshake];
const ANONYMOUS: &[Check] = &[Check::Banner, Check::Handshake, Check::AnonymousLogin];
const INDUSTRIAL: &[Check] = &[Check::Banner, Check::Handshake, Check::IcsIdentity];
const EVERYTHING: &[Check] = &[Check::Banner, Check::Handshake, Check::AnonymousLogin, Check::IcsIdentity];

/// Questions and the answers to them.
type Exchanges = Vec<(Vec<u8>, Vec<u8>)>;

/// A host that answers `exchanges`, each as often as it is asked, and hangs up on anything else.
async fn answering(exchanges: Exchanges) -> Host {
    let exchanges = Arc::new(exchanges);
    Host::start(move |_, mut stream| {
        let exchanges = Arc::clone(&exchanges);
        async move {
            let mut heard = Vec::new();
            while let Ok(byte) = stream.read_u8().await {
                heard.push(byte);
                if let Some((_, answer)) = exchanges.iter().find(|(question, _)| *question == heard) {
                    heard.clear();
                    stream.write_all(answer).await.unwrap();
                } else if !exchanges.iter().any(|(question, _)| question.starts_with(&heard)) {
                    return;
                }
            }
        }
    })
    .await
}

async fn probed(host: &Host, granted: &[Check]) -> Vec<ProbeResult> {
    let settings = settings(granted);
    let results = probe(host.endpoint, None, host, &settings).await;
    for result in &results {
        assert!(result.connections <= settings.limits.connections_max, "{result:?}");
    }
    let connections: u32 = results.iter().map(|result| result.connections).sum();
    assert_eq!(connections, host.connections());
    assert!(host.checks().iter().all(|check| granted.contains(check)));
    host.left_alone().await;
    results
}

#[tokio::test(start_paused = true)]
async fn rdp_is_found_where_nobody_expects_it() {
    let host = answering(vec![(rdp::CONNECTION_REQUEST.to_vec(), transcript("rdp-xrdp-0.9-tls"))]).await;
    let results = probed(&host, DEFAULT).await;
    assert_eq!((results[0].outcome, results[0].protocol.as_deref()), (Outcome::Answered, Some("rdp")));
    let rdp = results[0].records.rdp.as_ref().unwrap();
    assert_eq!((rdp.selected_protocol, rdp.flags, rdp.failure), (Some(1), Some(1), None));
}

/// A probe of `host` as if it listened at `port`.
async fn at(port: u16, host: &Host, settings: &ProbeSettings) -> Vec<ProbeResult> {
    let mut endpoint = host.endpoint;
    let real = endpoint.port;
    endpoint.port = port;
    probe(endpoint, None, &Moved { host, real }, settings).await
}

/// Leads to another port than it is asked for.
pub(super) struct Moved<'a> {
    pub(super) host: &'a Host,
    pub(super) real: u16,
}

impl crate::probe::Connect for Moved<'_> {
    async fn connect(
        &self,
        mut endpoint: kenshin_observation::Endpoint,
        check: Check,
    ) -> Result<tokio::net::TcpStream, crate::probe::ConnectError> {
        endpoint.port = self.real;
        self.host.connect(endpoint, check).await
    }
}

#[tokio::test(start_paused = true)]
async fn shares_tell_both_generations() {
    for (newer, older, dialect, signing, smb1) in [
        ("smb2-samba-4.17", "smb1-samba-4.17", "3.1.1", false, true),
        ("smb2-samba-4.17-signing-required", "smb1-samba-4.17-refused", "3.1.1", true, false),
    ] {
        let host =
            answering(vec![(smb::negotiate(), transcript(newer)), (smb::negotiate_1(), transcript(older))])
                .await;
        let results = at(445, &host, &settings(DEFAULT)).await;
        let smb = results[0].records.smb.as_ref().unwrap();
        assert_eq!((smb.dialect.as_deref(), smb.signing_required), (Some(dialect), Some(signing)));
        assert_eq!((smb.smb1, results[0].connections), (Some(smb1), 2));
        assert!(smb.server_guid.as_deref().unwrap().starts_with("0073616e-"), "{smb:?}");
    }
    // A share of the time before SMB 2 hangs up on its NEGOTIATE.
    let host = answering(vec![(smb::negotiate_1(), transcript("smb1-samba-4.17"))]).await;
    let results = at(445, &host, &settings(DEFAULT)).await;
    let smb = results[0].records.smb.as_ref().unwrap();
    assert_eq!((smb.dialect.as_deref(), smb.smb1), (Some("1.0"), Some(true)));
}

#[tokio::test(start_paused = true)]
async fn vnc_speaks_first_and_is_never_logged_in_to() {
    for (name, types, required) in [
        ("vnc-tigervnc-1.12-password", &["vencrypt", "vnc"][..], true),
        ("vnc-tigervnc-1.12-open", &["none"], false),
    ] {
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        let host = Host::start(move |_, mut stream| {
            let heard = Arc::clone(&heard);
            async move {
                let bytes = transcript(name);
                stream.write_all(&bytes[..12]).await.unwrap();
                let mut version = [0; 12];
                stream.read_exact(&mut version).await.unwrap();
                stream.write_all(&bytes[12..]).await.unwrap();
                let rest = drain(&mut stream).await;
                heard.lock().unwrap().extend([version.to_vec(), rest].concat());
            }
        })
        .await;
        let results = probed(&host, DEFAULT).await;
        let vnc = results[0].records.vnc.as_ref().unwrap();
        assert_eq!((vnc.version.as_str(), vnc.security_types.as_slice()), ("003.008", &owned(types)[..]));
        assert_eq!((vnc.authentication_required, results[0].connections), (Some(required), 1));
        assert_eq!(*said.lock().unwrap(), b"RFB 003.008\n", "a version and nothing else");
    }
    // Without the handshake nothing is said.
    let host = Host::start(|_, mut stream| async move {
        stream.write_all(b"RFB 003.003\n").await.unwrap();
        assert_eq!(drain(&mut stream).await, b"");
    })
    .await;
    let results = probed(&host, &[Check::Banner]).await;
    let vnc = results[0].records.vnc.as_ref().unwrap();
    assert_eq!((vnc.version.as_str(), vnc.authentication_required), ("003.003", None));
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

/// Splits a transcript of two answers.
fn two(name: &str, first: usize) -> (Vec<u8>, Vec<u8>) {
    let bytes = transcript(name);
    (bytes[..first].to_vec(), bytes[first..].to_vec())
}

/// What its record says, what it answers, and how to say the former.
type Store = (&'static str, Exchanges, fn(&Records) -> String);

fn stores() -> Vec<Store> {
    let (pong, info) = two("redis-7.0-open", 7);
    let (no, no_info) = two("redis-7.0-password", 34);
    let redis = |records: &Records| {
        let redis = records.redis.as_ref().unwrap();
        format!("{:?} {:?} {:?}", redis.version, redis.mode, redis.authentication_required)
    };
    vec![
        (
            r#"redis Some("7.0.15") Some("standalone") Some(false)"#,
            vec![(redis::PING.to_vec(), pong), (redis::INFO.to_vec(), info)],
            redis,
        ),
        (
            "redis None None Some(true)",
            vec![(redis::PING.to_vec(), no), (redis::INFO.to_vec(), no_info)],
            redis,
        ),
        (
            r#"mongodb Some("7.0.5") Some(21) Some(true)"#,
            vec![
                (mongodb::hello(), transcript("mongodb-hello")),
                (mongodb::build_info(21), transcript("mongodb-build-info")),
                (mongodb::parameter(21), transcript("mongodb-parameter-auth")),
            ],
            |records| {
                let store = records.mongodb.as_ref().unwrap();
                format!("{:?} {:?} {:?}", store.version, store.wire_version, store.authentication_required)
            },
        ),
        (
            r#"adb Some(false) Some("TV BOX X96")"#,
            vec![(adb::connect(), transcript("adb-television-open"))],
            |records| {
                let adb = records.adb.as_ref().unwrap();
                format!("{:?} {:?}", adb.authentication_required, adb.model)
            },
        ),
        (
            "adb Some(true) None",
            vec![(adb::connect(), transcript("adb-telephone-authentication"))],
            |records| {
                let adb = records.adb.as_ref().unwrap();
                format!("{:?} {:?}", adb.authentication_required, adb.model)
            },
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn stores_are_asked_only_with_a_grant_and_found_anywhere() {
    for (expected, exchanges, shown) in stores() {
        let name = expected.split(' ').next().unwrap();
        let host = answering(exchanges.clone()).await;
        let results = probed(&host, ANONYMOUS).await;
        let checks: Vec<Check> = results.iter().map(|result| result.check).collect();
        assert_eq!(checks, [Check::Handshake, Check::AnonymousLogin], "{expected}");
        assert_eq!((results[0].outcome, results[0].protocol.as_deref()), (Outcome::Answered, Some(name)));
        assert_eq!(format!("{name} {}", shown(&results[1].records)), expected);
        assert_eq!(results[0].records, Records::default(), "what needs the grant stays in its row");

        let host = answering(exchanges).await;
        let results = probed(&host, DEFAULT).await;
        assert_eq!((results.len(), results[0].protocol.as_deref()), (1, None), "{expected}");
    }
}

#[tokio::test(start_paused = true)]
async fn memcached_is_asked_at_its_port_or_when_its_errors_name_it() {
    let exchanges = vec![(memcached::VERSION.to_vec(), transcript("memcached-1.6"))];
    let host = answering(exchanges).await;
    let results = at(11_211, &host, &settings(ANONYMOUS)).await;
    assert_eq!(results[1].records.memcached.as_ref().unwrap().version.as_deref(), Some("1.6.18"));
    assert_eq!(results[1].connections, 1, "the port says what to ask first");

    // An old one answers every line of an HTTP request with an error.
    let host = Host::start(|_, mut stream| async move {
        let mut line = Vec::new();
        while let Ok(byte) = stream.read_u8().await {
            line.push(byte);
            if byte == b'\n' {
                let answer =
                    if line == memcached::VERSION { &b"VERSION 1.4.5\r\n"[..] } else { b"ERROR\r\n" };
                line.clear();
                if stream.write_all(answer).await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    let results = probed(&host, ANONYMOUS).await;
    assert_eq!(results[1].records.memcached.as_ref().unwrap().version.as_deref(), Some("1.4.5"));
    assert_eq!((results[0].connections, results[1].connections), (1, 1));
    let results = probe(host.endpoint, None, &host, &settings(DEFAULT)).await;
    assert_eq!((results.len(), results[0].protocol.as_deref()), (1, Some("memcached")));
    assert_eq!(results[0].records.memcached.as_ref().unwrap().version, None);
}

#[tokio::test(start_paused = true)]
async fn a_redis_that_answers_http_with_an_error_is_known_without_a_login() {
    let error = b"-DENIED Redis is running in protected mode\r\n";
    let host = Host::start(move |_, mut stream| async move {
        if stream.read_u8().await.is_ok() {
            let _ = stream.write_all(error).await;
            drain(&mut stream).await;
        }
    })
    .await;
    let results = probed(&host, DEFAULT).await;
    assert_eq!((results.len(), results[0].protocol.as_deref()), (1, Some("redis")));
    assert_eq!(results[0].records.redis.as_ref().unwrap().authentication_required, Some(true));
    assert_eq!(results[0].records.unknown, None);
}

fn controllers() -> [(&'static str, u16, Exchanges); 2] {
    let ask = |list| s7::read_list(list);
    [
        ("modbus", 502, vec![(modbus::read_identification(0).to_vec(), transcript("modbus-pymodbus-3.16"))]),
        (
            "s7",
            102,
            vec![
                (s7::connect(s7::DESTINATIONS[0]), transcript("s7-snap7-connect")),
                (s7::setup(), transcript("s7-snap7-setup")),
                (ask(s7::MODULE), transcript("s7-snap7-module")),
                (ask(s7::COMPONENT), transcript("s7-snap7-component")),
            ],
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn controllers_are_asked_only_with_a_grant() {
    for (name, port, exchanges) in controllers() {
        // Anywhere, and first of all where they are usual.
        let host = answering(exchanges.clone()).await;
        let results = probed(&host, INDUSTRIAL).await;
        assert_eq!((results[1].check, results[1].protocol.as_deref()), (Check::IcsIdentity, Some(name)));
        let host = answering(exchanges.clone()).await;
        let results = at(port, &host, &settings(EVERYTHING)).await;
        assert_eq!((results.len(), results[0].protocol.as_deref()), (2, Some(name)));
        assert_eq!(host.checks(), [Check::Handshake, Check::IcsIdentity], "one to listen, one to ask");
        match name {
            "modbus" => {
                let modbus = results[1].records.modbus.as_ref().unwrap();
                assert_eq!(modbus.vendor.as_deref(), Some("Example Automation"));
            }
            _ => {
                let s7 = results[1].records.s7.as_ref().unwrap();
                assert_eq!(s7.module.as_deref(), Some("6ES7 315-2EH14-0AB0"));
                assert_eq!(s7.serial_number.as_deref(), Some("S C-C2UR28922012"));
            }
        }
        let host = answering(exchanges).await;
        let results = probed(&host, ANONYMOUS).await;
        assert!(results.iter().all(|result| result.protocol.is_none()), "{results:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_controller_is_asked_without_a_handshake_and_never_at_a_listen_only_port() {
    let (_, port, exchanges) = controllers().into_iter().next().unwrap();
    let granted = [Check::Banner, Check::IcsIdentity];
    let host = answering(exchanges.clone()).await;
    let results = at(port, &host, &settings(&granted)).await;
    assert_eq!(host.checks(), granted);
    assert_eq!((results[0].outcome, results[0].reason.as_deref()), (Outcome::Limited, Some("silent")));
    assert_eq!(results[1].protocol.as_deref(), Some("modbus"));
    let host = answering(exchanges).await;
    let listen_only = ProbeSettings { listen_only: true, ..settings(EVERYTHING) };
    let results = at(port, &host, &listen_only).await;
    assert_eq!((results.len(), results[0].check, host.connections()), (1, Check::Banner, 1));
}

#[tokio::test(start_paused = true)]
async fn what_one_host_answered_is_asked_first_of_the_next() {
    let settings = settings(ANONYMOUS);
    let exchanges = vec![(adb::connect(), transcript("adb-television-open"))];
    let first = answering(exchanges.clone()).await;
    let results = at(4000, &first, &settings).await;
    assert_eq!(results[1].protocol.as_deref(), Some("adb"));
    let next = answering(exchanges).await;
    let results = at(4000, &next, &settings).await;
    assert_eq!(results[1].protocol.as_deref(), Some("adb"));
    assert!(first.connections() > 4);
    assert_eq!(next.checks(), [Check::Handshake, Check::AnonymousLogin]);
}

#[tokio::test(start_paused = true)]
async fn a_sink_is_not_asked_everything() {
    let host = Host::start(|_, mut stream| async move {
        drain(&mut stream).await;
    })
    .await;
    let results = probed(&host, EVERYTHING).await;
    let reasons: Vec<_> = results.iter().map(|result| (result.check, result.reason.as_deref())).collect();
    let silent = Some("silent");
    assert_eq!(
        reasons,
        [(Check::Handshake, silent), (Check::AnonymousLogin, silent), (Check::IcsIdentity, silent)]
    );
    let connections: Vec<u32> = results.iter().map(|result| result.connections).collect();
    assert_eq!(connections, [3, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn each_check_says_why_it_learned_nothing() {
    // Silent to everything but Modbus, on which it hangs up.
    let host = Host::start(|_, mut stream| async move {
        if !matches!(stream.read_u8().await, Ok(b'K')) {
            drain(&mut stream).await;
        }
    })
    .await;
    let results = probed(&host, EVERYTHING).await;
    let reasons: Vec<_> = results.iter().map(|result| result.reason.as_deref().unwrap()).collect();
    assert_eq!(reasons, ["silent", "silent", "reset"]);
}

#[tokio::test(start_paused = true)]
async fn decoys_and_tarpits_are_labelled() {
    let mut lists = kenshin_wire::ssh::KexInit {
        kex: owned(&["curve25519-sha256"]),
        host_key: owned(&["ssh-rsa"]),
        ciphers_server_to_client: owned(&["aes128-ctr"]),
        macs_server_to_client: owned(&["hmac-sha2-512", "hmac-sha2-384", "hmac-sha2-56", "hmac-sha1"]),
        ..Default::default()
    };
    for expected in [&["honeypot-tell"][..], &[]] {
        let mut bytes = b"SSH-2.0-OpenSSH_6.0p1 Debian-4+deb7u2\r\n".to_vec();
        bytes.extend(kenshin_wire::ssh::encode_packet(&lists.encode([0; 16])));
        let host = Host::saying(bytes).await;
        let results = probed(&host, DEFAULT).await;
        assert_eq!(results[0].labels, expected);
        assert_eq!(results[0].records.ssh.as_ref().unwrap().hassh_server.as_ref().unwrap().len(), 32);
        lists.macs_server_to_client = owned(&["hmac-sha2-512"]);
    }
    let host = Host::start(|_, mut stream| async move {
        while stream.write_all(b"5a\r\n").await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
    })
    .await;
    let results = probed(&host, DEFAULT).await;
    assert_eq!(
        (results[0].reason.as_deref(), results[0].labels.as_slice()),
        (Some("time"), &owned(&["tarpit"])[..])
    );
}
