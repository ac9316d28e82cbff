//! A host on loopback that plays a script for each connection.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use kenshin_observation::{Check, Endpoint};
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::ssl::{Ssl, SslContext, SslMethod, SslVersion};
use openssl::x509::extension::SubjectAlternativeName;
use openssl::x509::{X509, X509NameBuilder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_openssl::SslStream;

use crate::probe::datagram::{Channel, Datagrams};
use crate::probe::{Connect, ConnectError};

type Script = Arc<dyn Fn(u32, TcpStream) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// A listening host; `connect` makes connections to it and counts them.
#[derive(Clone)]
pub(crate) struct Host {
    pub(crate) endpoint: Endpoint,
    made: Arc<AtomicU32>,
    checks: Arc<std::sync::Mutex<Vec<Check>>>,
    /// Scripts that are still running.
    running: Arc<AtomicI64>,
    /// Scripts that failed an assertion.
    failed: Arc<AtomicU32>,
    /// After so many connections, no more are let through.
    refuse_after: Option<u32>,
}

impl Host {
    /// Starts a host that runs `script` for each connection, numbered from 1.
    pub(crate) async fn start<F, T>(script: F) -> Self
    where
        F: Fn(u32, TcpStream) -> T + Send + Sync + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let script: Script = Arc::new(move |number, stream| Box::pin(script(number, stream)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let running = Arc::new(AtomicI64::new(0));
        let failed = Arc::new(AtomicU32::new(0));
        let (count, failures) = (Arc::clone(&running), Arc::clone(&failed));
        tokio::spawn(async move {
            for number in 1.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                // The kernel's timers run in real time: with Nagle's algorithm a second small write
                // would wait for an acknowledgement while paused time runs away.
                stream.set_nodelay(true).unwrap();
                let (count, failures) = (Arc::clone(&count), Arc::clone(&failures));
                count.fetch_add(1, Ordering::SeqCst);
                let played = tokio::spawn(script(number, stream));
                tokio::spawn(async move {
                    if played.await.is_err() {
                        failures.fetch_add(1, Ordering::SeqCst);
                    }
                    count.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self {
            endpoint: Endpoint::tcp(addr.ip(), addr.port()),
            made: Arc::default(),
            checks: Arc::default(),
            running,
            failed,
            refuse_after: None,
        }
    }

    /// A host that says `bytes` to each connection and then listens until it is left.
    pub(crate) async fn saying(bytes: Vec<u8>) -> Self {
        Self::start(move |_, mut stream| {
            let bytes = bytes.clone();
            async move {
                let _ = stream.write_all(&bytes).await;
                drain(&mut stream).await;
            }
        })
        .await
    }

    /// The same host, to which the network lets only so many connections through.
    pub(crate) fn refusing_after(mut self, connections: u32) -> Self {
        self.refuse_after = Some(connections);
        self
    }

    /// Connections made.
    pub(crate) fn connections(&self) -> u32 {
        self.made.load(Ordering::SeqCst)
    }

    /// The check of each connection, in order.
    pub(crate) fn checks(&self) -> Vec<Check> {
        self.checks.lock().unwrap().clone()
    }

    /// Waits until every script has ended, and fails when one of them did.
    pub(crate) async fn left_alone(&self) {
        while self.running.load(Ordering::SeqCst) > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(self.failed.load(Ordering::SeqCst), 0, "the host saw what it must not");
    }
}

/// It hears no datagrams.
impl Datagrams for Host {
    async fn open(&self, _endpoint: Endpoint, _check: Check) -> Result<Channel, ConnectError> {
        Err(ConnectError::Closed)
    }
}

impl Connect for Host {
    async fn connect(&self, endpoint: Endpoint, check: Check) -> Result<TcpStream, ConnectError> {
        let number = self.made.fetch_add(1, Ordering::SeqCst) + 1;
        if self.refuse_after.is_some_and(|most| number > most) {
            return Err(ConnectError::Closed);
        }
        self.checks.lock().unwrap().push(check);
        TcpStream::connect((endpoint.addr, endpoint.port)).await.map_err(ConnectError::Failed)
    }
}

/// Reads until the other side leaves; returns what it said.
pub(crate) async fn drain(stream: &mut TcpStream) -> Vec<u8> {
    let mut heard = Vec::new();
    let mut bytes = [0; 1024];
    while let Ok(read) = stream.read(&mut bytes).await {
        if read == 0 {
            break;
        }
        heard.extend_from_slice(&bytes[..read]);
    }
    heard
}

/// Reads until `end` was said; `None` when the other side left before.
pub(crate) async fn until<S: AsyncReadExt + Unpin>(stream: &mut S, end: &[u8]) -> Option<Vec<u8>> {
    let mut heard = Vec::new();
    while !heard.ends_with(end) {
        heard.push(stream.read_u8().await.ok()?);
    }
    Some(heard)
}

/// A server's key and self-signed certificate: RSA-1024, SHA-1, expired in 2021.
pub(crate) fn certificate() -> (PKey<Private>, X509) {
    let key = PKey::from_rsa(Rsa::generate(1024).unwrap()).unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("C", "JP").unwrap();
    name.append_entry_by_text("O", "検診, Inc.").unwrap();
    name.append_entry_by_text("CN", "router.example").unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&BigNum::from_u32(0x00c0_ffee).unwrap().to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(1_577_836_800).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(1_609_459_200).unwrap()).unwrap();
    let names = SubjectAlternativeName::new()
        .dns("router.example")
        .ip("192.0.2.1")
        .build(&builder.x509v3_context(None, None));
    builder.append_extension(names.unwrap()).unwrap();
    builder.sign(&key, MessageDigest::sha1()).unwrap();
    (key, builder.build())
}

/// Accepts TLS of exactly `version` on `stream`.
pub(crate) async fn accept_tls(
    stream: TcpStream,
    identity: &(PKey<Private>, X509),
    version: SslVersion,
) -> Option<SslStream<TcpStream>> {
    let mut context = SslContext::builder(SslMethod::tls_server()).unwrap();
    context.set_security_level(0);
    context.set_cipher_list("ALL:@SECLEVEL=0").unwrap();
    context.set_min_proto_version(Some(version)).unwrap();
    context.set_max_proto_version(Some(version)).unwrap();
    context.set_private_key(&identity.0).unwrap();
    context.set_certificate(&identity.1).unwrap();
    let mut stream = SslStream::new(Ssl::new(&context.build()).unwrap(), stream).unwrap();
    Pin::new(&mut stream).accept().await.ok()?;
    Some(stream)
}
