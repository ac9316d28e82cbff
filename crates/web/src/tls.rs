//! The server's side of TLS: a certificate that was given, or one that the hub makes for itself and
//! sensors recognise by its digest.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::Digest;
use tokio_rustls::TlsAcceptor;

use crate::door::Protocol;

const CERTIFICATE: &str = "hub.crt";
const KEY: &str = "hub.key";

/// A certificate that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("failed to {act} `{}`", path.display())]
    Io {
        /// What was attempted.
        act: &'static str,
        /// On which file.
        path: PathBuf,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("`{}` is not a {what} in PEM", path.display())]
    Pem {
        /// What was expected.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Cause.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// Certificate and key do not fit, or are of a kind that is not spoken.
    #[error("the certificate `{}` cannot be served", path.display())]
    Refused {
        /// The certificate.
        path: PathBuf,
        /// Cause.
        #[source]
        source: rustls::Error,
    },
    /// No certificate could be made.
    #[error("failed to make a certificate")]
    Made(#[source] rcgen::Error),
}

/// A certificate with its key, ready to be served.
#[derive(Clone)]
pub struct Certificate {
    config: Arc<ServerConfig>,
    fingerprint: String,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

impl Certificate {
    /// Reads a certificate (chain) and its key, both in PEM.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let chain = chain_of(certificate)?;
        let fingerprint = digest(&chain[0]);
        let key = PrivateKeyDer::from_pem_file(key).map_err(|source| TlsError::Pem {
            what: "private key",
            path: key.to_owned(),
            source,
        })?;
        let refused = |source| TlsError::Refused { path: certificate.to_owned(), source };
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(refused)?;
        Ok(Self { config: Arc::new(config), fingerprint })
    }

    /// The certificate that lies in `folder`; made at first use, and good for ever, because sensors
    /// know it by its digest and ask for nothing else.
    pub fn own(folder: &Path) -> Result<Self, TlsError> {
        let (certificate, key) = (folder.join(CERTIFICATE), folder.join(KEY));
        if !certificate.exists() {
            make(folder, &certificate, &key)?;
        }
        Self::read(&certificate, &key)
    }

    /// SHA-256 of the first certificate in a PEM file, hexadecimal.
    pub fn fingerprint_of(certificate: &Path) -> Result<String, TlsError> {
        Ok(digest(&chain_of(certificate)?[0]))
    }

    /// SHA-256 of the certificate, hexadecimal: what a sensor is told to trust.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    pub(crate) fn acceptor(&self, protocol: Protocol) -> TlsAcceptor {
        match protocol {
            Protocol::Http1 => TlsAcceptor::from(Arc::clone(&self.config)),
            Protocol::Http2 => {
                let mut config = ServerConfig::clone(&self.config);
                config.alpn_protocols = vec![b"h2".to_vec()];
                TlsAcceptor::from(Arc::new(config))
            }
        }
    }
}

/// The certificates of a PEM file, at least one.
fn chain_of(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = match chain {
        Ok(chain) if chain.is_empty() => Err(rustls::pki_types::pem::Error::NoItemsFound),
        other => other,
    };
    chain.map_err(|source| TlsError::Pem { what: "certificate", path: path.to_owned(), source })
}

fn digest(certificate: &CertificateDer<'_>) -> String {
    hex::encode(sha2::Sha256::digest(certificate))
}

/// The key is drawn by the TLS library from the system, and never leaves the folder.
fn make(folder: &Path, certificate: &Path, key: &Path) -> Result<(), TlsError> {
    let io = |act, path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::Io { act, path, source }
    };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io("create", folder))?;
    let pair = rcgen::KeyPair::generate().map_err(TlsError::Made)?;
    let mut params = rcgen::CertificateParams::new(vec!["kenshin-hub".to_owned()]).map_err(TlsError::Made)?;
    params.distinguished_name.push(rcgen::DnType::CommonName, "Kenshin hub");
    // RFC 5280 §4.1.2.5: no date at which it ends. Nobody is to find a hub mute one morning.
    (params.not_before, params.not_after) =
        (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(9999, 12, 31));
    let made = params.self_signed(&pair).map_err(TlsError::Made)?;
    // The certificate last: with it, the key is there.
    for (path, text) in [(key, pair.serialize_pem()), (certificate, made.pem())] {
        let beside = path.with_extension("tmp");
        let _ = std::fs::remove_file(&beside);
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)
            .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
            .and_then(|()| std::fs::rename(&beside, path))
            .map_err(io("write", path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_made_once_and_its_key_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let tls = folder.path().join("tls");
        let first = Certificate::own(&tls).unwrap();
        assert_eq!(Certificate::own(&tls).unwrap().fingerprint(), first.fingerprint());
        assert_eq!(first.fingerprint().len(), 64);
        let mode = std::fs::metadata(tls.join(KEY)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!format!("{first:?}").contains("PRIVATE"));
        let other = tempfile::tempdir().unwrap();
        Certificate::own(other.path()).unwrap();
        let mixed = Certificate::read(&tls.join(CERTIFICATE), &other.path().join(KEY)).unwrap_err();
        assert!(matches!(mixed, TlsError::Refused { .. }), "{mixed}");
        std::fs::write(tls.join(CERTIFICATE), "no certificate").unwrap();
        assert!(matches!(Certificate::own(&tls).unwrap_err(), TlsError::Pem { .. }));
    }
}
