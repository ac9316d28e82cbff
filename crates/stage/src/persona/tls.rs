//! TLS of devices, old and broken on purpose.

use std::io;

use kenshin_observation::TimeUs;
use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::BigNum;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{Ssl, SslContext, SslMethod, SslVersion};
use openssl::x509::{X509, X509Name, X509NameBuilder};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use super::Part;
use crate::device::TlsState;
use crate::key::{self, KeyRing};

const DAY: i64 = 86_400;

/// What a service needs to speak TLS.
#[derive(Clone)]
pub(super) struct TlsContext(SslContext);

impl TlsContext {
    /// Makes key and certificate of a part; `None` when it speaks no TLS. Takes a moment for RSA.
    pub(super) fn of(part: &Part, ring: &KeyRing) -> Result<Option<Self>, ErrorStack> {
        let Some(model) = part.model.tls.as_ref().filter(|_| part.service().tls) else { return Ok(None) };
        let key = private_key(part, ring)?;
        let certificate = certificate(part, &subject(&model.subject)?, &key)?;
        let mut builder = SslContext::builder(SslMethod::tls_server())?;
        // Level 0 lets weak keys, SHA-1 and TLS 1.0 through.
        builder.set_security_level(0);
        builder.set_cipher_list("ALL:@SECLEVEL=0")?;
        match part.tls {
            TlsState::Tls10 => {
                builder.set_min_proto_version(Some(SslVersion::TLS1))?;
                builder.set_max_proto_version(Some(SslVersion::TLS1))?;
            }
            _ => builder.set_min_proto_version(Some(SslVersion::TLS1_2))?,
        }
        builder.set_private_key(&key)?;
        builder.set_certificate(&certificate)?;
        builder.check_private_key()?;
        Ok(Some(Self(builder.build())))
    }

    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<SslStream<TcpStream>> {
        let mut stream = SslStream::new(Ssl::new(&self.0)?, stream)?;
        std::pin::Pin::new(&mut stream).accept().await.map_err(io::Error::other)?;
        Ok(stream)
    }
}

/// The key stays the device's when its certificate is renewed; only a key that is too weak is
/// replaced.
fn private_key(part: &Part, ring: &KeyRing) -> Result<PKey<Private>, ErrorStack> {
    match part.tls {
        TlsState::Rsa1024 => ring.rsa(part.key_seed("tls weak"), 1024),
        _ if part.rsa => ring.rsa(part.key_seed("tls"), 2048),
        _ => PKey::from_ec_key(key::p256(part.key_seed("tls"))?),
    }
}

fn certificate(part: &Part, name: &X509Name, key: &PKey<Private>) -> Result<X509, ErrorStack> {
    let (from, to) = match part.tls {
        TlsState::Expired => (-3 * 365, -30),
        _ => (-365, 10 * 365),
    };
    let at = |days: i64| Asn1Time::from_unix(seconds(part.start) + days * DAY);
    let digest = match part.tls {
        TlsState::Sha1 => MessageDigest::sha1(),
        _ => MessageDigest::sha256(),
    };
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    let serial = Asn1Integer::from_bn(&*BigNum::from_slice(&part.key_seed("serial")[..15])?)?;
    builder.set_serial_number(&serial)?;
    builder.set_subject_name(name)?;
    builder.set_issuer_name(name)?;
    builder.set_not_before(&*at(from)?)?;
    builder.set_not_after(&*at(to)?)?;
    builder.set_pubkey(key)?;
    builder.sign(key, digest)?;
    Ok(builder.build())
}

const fn seconds(time: TimeUs) -> i64 {
    time.micros().div_euclid(1_000_000)
}

/// `C=JP,O=Some Maker,CN=device`.
fn subject(text: &str) -> Result<X509Name, ErrorStack> {
    let mut builder = X509NameBuilder::new()?;
    for (kind, value) in text.split(',').filter_map(|part| part.split_once('=')) {
        builder.append_entry_by_text(kind, value)?;
    }
    Ok(builder.build())
}
