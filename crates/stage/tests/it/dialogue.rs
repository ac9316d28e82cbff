//! Logins and handshakes with the personas, by clients that are not ours where there are any.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use kenshin_stage::{Device, HttpAuth, KeyPolicy, Service, ServiceKind, TlsState, Town, serve};
use openssl::hash::{MessageDigest, hash};
use openssl::ssl::{Ssl, SslContext, SslMethod, SslVerifyMode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use crate::sockets::{ALONE, small};

/// A device that accepts its factory pair at a service of the wanted kind, and the service.
fn careless<'a>(town: &'a Town, wanted: &dyn Fn(&Service) -> bool) -> (&'a Device, &'a Service) {
    town.round(1)
        .devices
        .iter()
        .filter(|d| d.factory_password)
        .find_map(|d| d.open_services().find(|(_, s)| s.login_opens && wanted(s)).map(|(_, s)| (d, s)))
        .expect("a town of this size has one")
}

fn place(device: &Device, service: &Service) -> SocketAddr {
    SocketAddr::from((device.address, Town::port(service.port)))
}

async fn until<S: AsyncRead + Unpin>(stream: &mut S, wanted: &str) -> String {
    let mut heard = Vec::new();
    let read = async {
        let mut chunk = [0; 512];
        while !String::from_utf8_lossy(&heard).contains(wanted) {
            match stream.read(&mut chunk).await {
                Ok(0) | Err(_) => break,
                Ok(read) => heard.extend_from_slice(&chunk[..read]),
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(5), read).await;
    String::from_utf8_lossy(&heard).into_owned()
}

async fn ask<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, authorization: &str) -> String {
    let line =
        if authorization.is_empty() { String::new() } else { format!("Authorization: {authorization}\r\n") };
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: town\r\n{line}\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn web_pages_open_to_the_factory_pair_and_to_no_other() {
    let _alone = ALONE.lock().await;
    let town = small(21, 47);
    let running = serve(&town, 1).await.unwrap();
    let scheme = |wanted| {
        move |s: &Service| !s.tls && matches!(s.kind, ServiceKind::Http { auth, .. } if auth == wanted)
    };

    let (device, service) = careless(&town, &scheme(HttpAuth::Basic));
    let at = place(device, service);
    let factory = device.model.factory.as_ref().unwrap();
    let basic = |password: &str| {
        format!(
            "Basic {}",
            base64::engine::general_purpose::STANDARD.encode(format!("{}:{password}", factory.user))
        )
    };
    let page = ask(TcpStream::connect(at).await.unwrap(), "").await;
    assert!(page.contains(" 401 ") && page.contains("WWW-Authenticate: Basic"), "{page}");
    assert!(ask(TcpStream::connect(at).await.unwrap(), &basic("wrong")).await.contains(" 401 "));
    assert!(ask(TcpStream::connect(at).await.unwrap(), &basic(&factory.password)).await.contains(" 200 "));

    let (device, service) = careless(&town, &scheme(HttpAuth::Digest));
    let at = place(device, service);
    let factory = device.model.factory.as_ref().unwrap();
    let page = ask(TcpStream::connect(at).await.unwrap(), "").await;
    let field =
        |name: &str| page.split(&format!("{name}=\"")).nth(1).unwrap().split('"').next().unwrap().to_owned();
    let (realm, nonce) = (field("realm"), field("nonce"));
    let md5 = |text: String| hex::encode(hash(MessageDigest::md5(), text.as_bytes()).unwrap());
    let digest = |password: &str| {
        let secret = md5(format!("{}:{realm}:{password}", factory.user));
        let response = md5(format!("{secret}:{nonce}:00000001:abc:auth:{}", md5("GET:/".into())));
        format!(
            "Digest username=\"{}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"/\", qop=auth, nc=00000001, cnonce=\"abc\", response=\"{response}\"",
            factory.user
        )
    };
    assert!(ask(TcpStream::connect(at).await.unwrap(), &digest("wrong")).await.contains(" 401 "));
    assert!(ask(TcpStream::connect(at).await.unwrap(), &digest(&factory.password)).await.contains(" 200 "));
    assert_eq!(running.log().logins, 4);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn telnet_asks_and_ftp_answers() {
    let _alone = ALONE.lock().await;
    let town = small(22, 48);
    let running = serve(&town, 1).await.unwrap();

    let (device, service) = careless(&town, &|s| matches!(s.kind, ServiceKind::Telnet { .. }));
    let factory = device.model.factory.as_ref().unwrap();
    let ServiceKind::Telnet { login, password, fail, shell, .. } = &service.kind else {
        unreachable!("wanted")
    };
    let (login, password) = (login.as_deref().unwrap(), password.as_deref().unwrap());
    let mut stream = TcpStream::connect(place(device, service)).await.unwrap();
    // A polite client refuses every option, and its refusals are no input.
    assert!(until(&mut stream, login).await.contains(login));
    stream.write_all(b"\xff\xfe\x01\xff\xfc\x18wrong\r\n").await.unwrap();
    until(&mut stream, password).await;
    stream.write_all(b"wrong\r\n").await.unwrap();
    assert!(until(&mut stream, login).await.contains(fail.trim()));
    stream.write_all(format!("{}\r\n", factory.user).as_bytes()).await.unwrap();
    until(&mut stream, password).await;
    stream.write_all(format!("{}\r\n", factory.password).as_bytes()).await.unwrap();
    let prompt = shell.as_deref().unwrap().rsplit('\n').next().unwrap();
    assert!(until(&mut stream, prompt).await.ends_with(prompt));
    stream.write_all(b"exit\r\n").await.unwrap();

    let (device, service) = careless(&town, &|s| matches!(s.kind, ServiceKind::Ftp { .. }));
    let factory = device.model.factory.as_ref().unwrap();
    for (password, code) in [("wrong", "530 "), (factory.password.as_str(), "230 ")] {
        let mut stream = TcpStream::connect(place(device, service)).await.unwrap();
        until(&mut stream, "\n").await;
        stream.write_all(format!("USER {}\r\n", factory.user).as_bytes()).await.unwrap();
        assert!(until(&mut stream, "\n").await.starts_with("331 "));
        stream.write_all(format!("PASS {password}\r\n").as_bytes()).await.unwrap();
        assert!(until(&mut stream, "\n").await.starts_with(code));
        stream.write_all(b"QUIT\r\n").await.unwrap();
        assert!(until(&mut stream, "\n").await.starts_with("221 "));
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_console_locks_after_too_many_failures() {
    let _alone = ALONE.lock().await;
    let town = small(23, 49);
    let mut running = serve(&town, 1).await.unwrap();
    let locking = |d: &&Device| {
        d.open_services().any(|(_, s)| matches!(s.kind, ServiceKind::Telnet { locks: Some(_), .. }))
    };
    let device = town.round(1).devices.iter().find(locking).unwrap();
    let at = SocketAddr::from((device.address, Town::port(23)));
    let mut refused = 0;
    for _ in 0..3 {
        let mut stream = TcpStream::connect(at).await.unwrap();
        for _ in 0..3 {
            let heard = until(&mut stream, "login: ").await;
            assert!(
                heard.contains("AlliedWare") || heard.contains("incorrect") || heard.contains("Too many")
            );
            if heard.contains("Too many") {
                refused += 1;
                break;
            }
            stream.write_all(b"manager\r\n").await.unwrap();
            until(&mut stream, "Password: ").await;
            stream.write_all(b"not it\r\n").await.unwrap();
        }
    }
    assert!(refused >= 2, "{refused}");
    assert_eq!(running.log().logins, 4, "after that nobody gets to try");
    running.advance(1).await.unwrap();
    let mut stream = TcpStream::connect(at).await.unwrap();
    assert!(until(&mut stream, "login: ").await.ends_with("login: "), "the next round begins afresh");
    running.stop().await;
}

async fn tls(device: &Device) -> Option<(String, openssl::x509::X509)> {
    let mut builder = SslContext::builder(SslMethod::tls_client()).unwrap();
    builder.set_security_level(0);
    builder.set_cipher_list("ALL:@SECLEVEL=0").unwrap();
    builder.set_verify(SslVerifyMode::NONE);
    let ssl = Ssl::new(&builder.build()).unwrap();
    let stream = TcpStream::connect(SocketAddr::from((device.address, Town::port(443)))).await.unwrap();
    let mut stream = SslStream::new(ssl, stream).unwrap();
    Pin::new(&mut stream).connect().await.ok()?;
    let answer = (stream.ssl().version_str().to_owned(), stream.ssl().peer_certificate()?);
    assert!(ask(stream, "").await.starts_with("HTTP/1."));
    Some(answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_as_broken_as_the_truth_says_and_keys_survive_a_renewal() {
    let _alone = ALONE.lock().await;
    let town = small(24, 50);
    let mut running = serve(&town, 1).await.unwrap();
    let start = openssl::asn1::Asn1Time::from_unix(town.config().start.micros() / 1_000_000).unwrap();
    let mut keys: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    let (mut seen, mut shared) = (BTreeSet::new(), BTreeSet::new());
    for number in 1..=2 {
        running.advance(number).await.unwrap();
        let mut unique = BTreeSet::new();
        for device in &town.round(number).devices {
            if !town.covers(device.address) || !device.open_services().any(|(_, s)| s.tls) {
                continue;
            }
            let (version, certificate) = tls(device).await.unwrap_or_else(|| panic!("{}", device.model.kind));
            let key = certificate.public_key().unwrap();
            let signature = certificate.signature_algorithm().object().to_string().to_lowercase();
            assert_eq!(version == "TLSv1", device.tls == TlsState::Tls10, "{version}");
            assert_eq!(
                key.id() == openssl::pkey::Id::RSA && key.bits() < 2048,
                device.tls == TlsState::Rsa1024
            );
            assert_eq!(signature.contains("sha1"), device.tls == TlsState::Sha1, "{signature}");
            assert_eq!(certificate.not_after() < start, device.tls == TlsState::Expired);
            seen.insert(device.tls);
            let public = key.public_key_to_der().unwrap();
            match device.model.keys {
                KeyPolicy::Shared => {
                    shared.insert(public);
                }
                _ => {
                    assert!(unique.insert(public.clone()), "a key of its own");
                    if device.tls != TlsState::Rsa1024 {
                        assert_eq!(*keys.entry(device.id).or_insert_with(|| public.clone()), public);
                    }
                }
            }
        }
    }
    assert_eq!(seen.len(), 5, "{seen:?}");
    assert_eq!(shared.len(), 1);
    running.stop().await;
}

/// Keeps the host key that a server shows.
struct Visitor(Arc<Mutex<Option<String>>>);

impl russh::client::Handler for Visitor {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        key: &russh::keys::PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        if let russh::keys::PublicKeyOrCertificate::PublicKey { key, .. } = key {
            *self.0.lock().unwrap() = Some(key.fingerprint(russh::keys::HashAlg::Sha256).to_string());
        }
        Ok(true)
    }
}

/// Host key shown and whether the password was taken, by a client that checks signatures.
async fn ssh(device: &Device, user: &str, password: &str) -> (Option<String>, Option<bool>) {
    let key = Arc::new(Mutex::new(None));
    let mut config = russh::client::Config::default();
    config.preferred.mac = russh::mac::ALL_MAC_ALGORITHMS.iter().map(|name| **name).collect();
    config.preferred.kex = vec![
        russh::kex::CURVE25519,
        russh::kex::CURVE25519_PRE_RFC_8731,
        russh::kex::DH_G14_SHA256,
        russh::kex::DH_G14_SHA1,
    ]
    .into();
    let at = SocketAddr::from((device.address, Town::port(22)));
    let taken = match russh::client::connect(Arc::new(config), at, Visitor(Arc::clone(&key))).await {
        Ok(mut session) => session.authenticate_password(user, password).await.ok().map(|r| r.success()),
        Err(_) => None,
    };
    let key = key.lock().unwrap().clone();
    (key, taken)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ssh_shows_its_key_and_takes_the_factory_password_only() {
    let _alone = ALONE.lock().await;
    let town = small(25, 51);
    let running = serve(&town, 1).await.unwrap();
    let mut unique = BTreeSet::new();
    let mut shared: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let (mut opened, mut stayed_shut) = (0, 0);
    for device in &town.round(1).devices {
        let Some((_, service)) =
            device.open_services().find(|(_, s)| matches!(s.kind, ServiceKind::Ssh { .. }))
        else {
            continue;
        };
        let factory = device.model.factory.as_ref();
        let (user, password) = factory.map_or(("root", "x"), |f| (&f.user, &f.password));
        let (key, taken) = ssh(device, user, password).await;
        // The old Cisco offers CBC ciphers only, which this client has given up.
        let Some(key) = key else {
            assert_eq!(device.model.kind, "cisco-ios");
            continue;
        };
        match device.model.keys {
            KeyPolicy::Shared => {
                shared.entry(&device.model.kind).or_default().insert(key);
            }
            _ => assert!(unique.insert(key), "{} repeats a key", device.model.kind),
        }
        if service.login_opens {
            assert_eq!(taken, Some(device.factory_password), "{}", device.model.kind);
            assert_eq!(ssh(device, user, "wrong").await.1, Some(false));
            opened += usize::from(device.factory_password);
            stayed_shut += usize::from(!device.factory_password);
        } else {
            assert_ne!(taken, Some(true));
        }
    }
    assert!(opened > 0 && stayed_shut > 0 && unique.len() > 10);
    assert_eq!(shared.len(), 2);
    assert!(shared.values().all(|keys| keys.len() == 1), "{shared:?}");
    running.stop().await;
}
