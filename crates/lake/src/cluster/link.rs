//! Connections between the processes of a cluster.
//!
//! Every one is TLS 1.3 with a certificate that the worker made for itself when it started. Whose it is says
//! the secret: both ends prove, before anything else is said, that they know it, by a proof that holds for
//! this connection alone (its channel binding, RFC 9266). Whoever stands in the middle has two connections,
//! with two bindings, and no proof for either.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use datafusion::common::DataFusionError;
use datafusion_distributed::grpc::{BoxCloneSyncChannel, create_worker_client};
use datafusion_distributed::{ChannelResolver, GetWorkerInfoRequest, WorkerChannel};
use hyper::http::Uri;
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};
use tonic::transport::{Channel, Endpoint};
use url::Url;

use super::carry::Carrier;
use super::secret::{End, Secret};
use super::{ClusterError, locked};

/// What is spoken inside TLS; another form of it has another name.
const SPOKEN: &[u8] = b"kenshin-cluster/1";
/// A name for certificates that are known by nothing of what they say.
const NAME: &str = "kenshin-worker";
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(3);
/// How often the other end is asked whether it is still there, and how long for the answer.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// The port of an address that names none.
const PORT: u16 = 443;

/// Connections to workers, one each, made when they are first needed.
#[derive(Clone)]
pub(super) struct Links {
    tls: TlsConnector,
    secret: Secret,
    made: Arc<Mutex<HashMap<Url, Channel>>>,
}

impl Links {
    pub(super) fn new(secret: Secret) -> Result<Self, ClusterError> {
        let provider = Arc::new(ring::default_provider());
        let anybody = Anybody { provider: provider.clone() };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| ClusterError::Tls(error.into()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(anybody))
            .with_no_client_auth();
        config.alpn_protocols = vec![SPOKEN.to_vec()];
        Ok(Self { tls: TlsConnector::from(Arc::new(config)), secret, made: Arc::default() })
    }

    /// The version of a worker.
    pub(super) async fn version(&self, worker: &Url) -> Result<String, String> {
        let channel = self.channel(worker).await.map_err(|error| innermost(&error))?;
        let asked = create_worker_client(BoxCloneSyncChannel::new(channel))
            .get_worker_info(GetWorkerInfoRequest {})
            .await;
        asked.map(|told| told.version).map_err(|error| innermost(&error))
    }

    /// Lets go of a connection.
    pub(super) fn forget(&self, worker: &Url) {
        locked(&self.made).remove(worker);
    }

    async fn channel(&self, worker: &Url) -> Result<Channel, tonic::transport::Error> {
        if let Some(made) = locked(&self.made).get(worker) {
            return Ok(made.clone());
        }
        let (host, port) = (worker.host_str().unwrap_or_default().to_owned(), worker.port().unwrap_or(PORT));
        // TLS is ours: the transport is not to add its own.
        let endpoint = Endpoint::from_shared(format!("http://{host}:{port}"))?
            .connect_timeout(CONNECT)
            .http2_keep_alive_interval(HEARTBEAT)
            .keep_alive_timeout(HEARTBEAT)
            .keep_alive_while_idle(true);
        let links = self.clone();
        let connect = move |_: Uri| {
            let (links, host) = (links.clone(), host.trim_matches(['[', ']']).to_owned());
            async move {
                let stream = TcpStream::connect((host.as_str(), port)).await?;
                stream.set_nodelay(true)?;
                links.prove(stream).await.map(TokioIo::new)
            }
        };
        let made = endpoint.connect_with_connector(tower::service_fn(connect)).await?;
        locked(&self.made).insert(worker.clone(), made.clone());
        Ok(made)
    }

    /// The asking end of a connection.
    async fn prove(&self, stream: TcpStream) -> io::Result<client::TlsStream<TcpStream>> {
        let name = ServerName::try_from(NAME).map_err(io::Error::other)?;
        let mut stream = self.tls.connect(name, stream).await?;
        let binding = binding(|out, label| stream.get_ref().1.export_keying_material(out, label, Some(b"")))?;
        stream.write_all(&self.secret.proof(End::Asks, &binding)).await?;
        stream.flush().await?;
        let mut proof = [0; 32];
        if stream.read_exact(&mut proof).await.is_err() {
            return Err(refused("it refused our secret"));
        }
        match self.secret.proves(End::Answers, &binding, &proof) {
            true => Ok(stream),
            false => Err(refused("it does not know our secret")),
        }
    }
}

#[async_trait]
impl ChannelResolver for Links {
    async fn get_worker_client_for_url(&self, url: &Url) -> Result<Box<dyn WorkerChannel>, DataFusionError> {
        let channel = self.channel(url).await.map_err(|error| DataFusionError::External(error.into()))?;
        Ok(Box::new(Carrier(create_worker_client(BoxCloneSyncChannel::new(channel)))))
    }
}

/// The answering end of connections.
#[derive(Clone)]
pub(super) struct Door {
    tls: TlsAcceptor,
    secret: Secret,
}

impl Door {
    /// A door with a certificate of its own, made now.
    pub(super) fn new(secret: Secret) -> Result<Self, ClusterError> {
        let made = rcgen::generate_simple_self_signed(vec![NAME.to_owned()])
            .map_err(|error| ClusterError::Tls(error.into()))?;
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13])
            .and_then(|builder| {
                builder.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key.into())
            })
            .map_err(|error| ClusterError::Tls(error.into()))?;
        config.alpn_protocols = vec![SPOKEN.to_vec()];
        Ok(Self { tls: TlsAcceptor::from(Arc::new(config)), secret })
    }

    /// Lets somebody in who knows the secret.
    pub(super) async fn admit(&self, stream: TcpStream) -> io::Result<server::TlsStream<TcpStream>> {
        stream.set_nodelay(true)?;
        let mut stream = self.tls.accept(stream).await?;
        if stream.get_ref().1.alpn_protocol() != Some(SPOKEN) {
            return Err(refused("it speaks something else"));
        }
        let binding = binding(|out, label| stream.get_ref().1.export_keying_material(out, label, Some(b"")))?;
        let mut proof = [0; 32];
        stream.read_exact(&mut proof).await?;
        if !self.secret.proves(End::Asks, &binding, &proof) {
            return Err(refused("it does not know our secret"));
        }
        stream.write_all(&self.secret.proof(End::Answers, &binding)).await?;
        stream.flush().await?;
        Ok(stream)
    }
}

/// The `tls-exporter` channel binding (RFC 9266 §2).
fn binding(
    export: impl FnOnce([u8; 32], &'static [u8]) -> Result<[u8; 32], rustls::Error>,
) -> io::Result<[u8; 32]> {
    export([0; 32], b"EXPORTER-Channel-Binding").map_err(io::Error::other)
}

fn refused(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

/// What was at the bottom of a failure: the layers above say that there was one.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// Takes any certificate: it says nothing that the secret does not say better.
#[derive(Debug)]
struct Anybody {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
