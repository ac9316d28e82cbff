//! TLS as old as devices speak it, for probing only: OpenSSL at security level 0, versions 1.0 to
//! 1.3, any certificate accepted and kept. Nothing secret is ever sent through it but a pair of a
//! credential check, which the service shows to everybody who asks anyway.

use std::pin::Pin;

use kenshin_observation::protocol::{LIST_MAX, TEXT_MAX, Tls, text};
use kenshin_observation::{Blob, BlobClass};
use kenshin_wire::tls::{group_name, server_hello};
use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKeyRef, Public};
use openssl::ssl::{Ssl, SslContext, SslMethod, SslOptions, SslRef, SslVerifyMode, SslVersion};
use openssl::x509::{X509NameRef, X509Ref};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, timeout_at};
use tokio_openssl::SslStream;

use crate::probe::Limits;
use crate::probe::session::{Link, Metered, Session};

/// Longest certificate kept as a blob.
pub(crate) const CERTIFICATE_BYTES_MAX: usize = 16 * 1024;

/// How much of TLS we claim to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    /// TLS 1.0 to 1.3.
    All,
    /// TLS 1.0 to 1.2 in a short ClientHello, for servers that stumble over newer ones.
    Old,
}

/// A session that was established.
pub(crate) struct Established<S> {
    pub(crate) session: Session<SslStream<Metered<S>>>,
    pub(crate) record: Tls,
    pub(crate) certificate: Option<Blob>,
}

/// Why there is no session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What the host said first.
    pub(crate) first: Vec<u8>,
    /// `time`, `closed` or `tls`.
    pub(crate) reason: &'static str,
}

/// Says ClientHello on `session` and completes the handshake within its deadline; gives up after one
/// [`Limits::answer`] when nothing came until then.
pub(crate) async fn establish<S: Link>(
    session: Session<S>,
    offer: Offer,
    limits: &Limits,
) -> Result<Established<S>, Failure> {
    let deadline = session.deadline();
    let answer = deadline.min(Instant::now() + limits.answer);
    let metered = Metered::new(session.into_stream(), limits.bytes_max);
    let failed = |first: &[u8], reason| Failure { first: first.to_vec(), reason };
    let Ok(ssl) = client(offer) else { return Err(failed(&[], "tls")) };
    let Ok(mut stream) = SslStream::new(ssl, metered) else { return Err(failed(&[], "tls")) };
    let mut outcome = timeout_at(answer, Pin::new(&mut stream).connect()).await;
    if outcome.is_err() && !stream.get_ref().first().is_empty() {
        // It speaks, and its processor is slow.
        outcome = timeout_at(deadline, Pin::new(&mut stream).connect()).await;
    }
    let first = stream.get_ref().first().to_vec();
    match outcome {
        Err(_) => Err(Failure { first, reason: "time" }),
        Ok(Err(error)) => {
            let reason = if error.ssl_error().is_some() { "tls" } else { "closed" };
            Err(Failure { first, reason })
        }
        Ok(Ok(())) => {
            let (mut record, certificate) = describe(stream.ssl());
            let hello = server_hello(&first);
            record.server_fingerprint = hello.as_ref().map(|hello| hello.ja3s());
            record.group = hello.and_then(|hello| hello.group).map(group_name).or(record.group);
            record.hybrid_offered = Some(offer == Offer::All);
            let session = Session::new(stream, limits);
            Ok(Established { session, record, certificate })
        }
    }
}

/// Groups we offer: the hybrid first, with a share of it and one of X25519, then what OpenSSL has.
const GROUPS: &str =
    "*X25519MLKEM768:*X25519:SecP256r1MLKEM768:SecP384r1MLKEM1024:P-256:X448:P-384:P-521:ffdhe2048:ffdhe3072";

fn client(offer: Offer) -> Result<Ssl, ErrorStack> {
    let mut context = SslContext::builder(SslMethod::tls_client())?;
    context.set_security_level(0);
    context.set_cipher_list("ALL:COMPLEMENTOFALL:@SECLEVEL=0")?;
    context.set_min_proto_version(Some(SslVersion::TLS1))?;
    context.set_groups_list(GROUPS)?;
    if offer == Offer::Old {
        context.set_max_proto_version(Some(SslVersion::TLS1_2))?;
        context.set_cipher_list("AES:3DES:RC4:!aNULL:!PSK:!SRP:@SECLEVEL=0")?;
    }
    // Old devices know no secure renegotiation; we never renegotiate. 4 is SSL_OP_LEGACY_SERVER_CONNECT.
    context.set_options(SslOptions::from_bits_retain(4) | SslOptions::ALLOW_UNSAFE_LEGACY_RENEGOTIATION);
    context.set_verify(SslVerifyMode::NONE);
    Ssl::new(&context.build())
}

/// The record of an established session, and its leaf certificate.
fn describe(ssl: &SslRef) -> (Tls, Option<Blob>) {
    let mut record = Tls {
        version: ssl.version_str().to_owned(),
        cipher: ssl.current_cipher().map(|cipher| cipher.name().to_owned()).unwrap_or_default(),
        ..Tls::default()
    };
    key_exchange(ssl, &mut record);
    let Some(certificate) = ssl.peer_certificate() else { return (record, None) };
    let Ok(der) = certificate.to_der() else { return (record, None) };
    record.certificate_sha256 = Some(hex::encode(Sha256::digest(&der)));
    describe_certificate(&certificate, &mut record);
    let blob =
        (der.len() <= CERTIFICATE_BYTES_MAX).then_some(Blob { class: BlobClass::Certificate, bytes: der });
    (record, blob)
}

/// What the server's share of the key exchange shows; a key exchange by its certificate has none.
fn key_exchange(ssl: &SslRef, record: &mut Tls) {
    let Ok(share) = ssl.peer_tmp_key() else { return };
    match share.id() {
        Id::DH => record.dh_bits = i32::try_from(share.bits()).ok(),
        Id::X25519 => record.group = Some("x25519".to_owned()),
        Id::X448 => record.group = Some("x448".to_owned()),
        Id::EC => {
            let curve = share.ec_key().ok().and_then(|key| key.group().curve_name());
            record.group = curve.and_then(|curve| curve.short_name().ok()).map(iana).map(str::to_owned);
        }
        _ => {}
    }
}

/// IANA's name of a curve that OpenSSL calls otherwise.
fn iana(curve: &str) -> &str {
    if curve == "prime256v1" { "secp256r1" } else { curve }
}

fn describe_certificate(certificate: &X509Ref, record: &mut Tls) {
    record.subject = Some(name(certificate.subject_name()));
    record.issuer = Some(name(certificate.issuer_name()));
    record.serial = certificate
        .serial_number()
        .to_bn()
        .and_then(|number| number.to_hex_str())
        .ok()
        .map(|hex| text(hex.to_ascii_lowercase().as_bytes()));
    record.alternative_names = alternative_names(certificate);
    record.not_before_us = time(certificate.not_before());
    record.not_after_us = time(certificate.not_after());
    record.signature_algorithm =
        certificate.signature_algorithm().object().nid().long_name().ok().map(str::to_owned);
    let same_name = record.subject == record.issuer;
    let Ok(key) = certificate.public_key() else {
        record.self_signed = (!same_name).then_some(false);
        return;
    };
    record.public_key_sha256 = key.public_key_to_der().ok().map(|der| hex::encode(Sha256::digest(der)));
    record.key_algorithm = Some(key_algorithm(&key));
    record.key_bits = i32::try_from(key.bits()).ok();
    record.self_signed = Some(same_name && certificate.verify(&key).unwrap_or(false));
}

fn key_algorithm(key: &PKeyRef<Public>) -> String {
    match key.id() {
        Id::RSA | Id::RSA_PSS => "rsa".to_owned(),
        Id::EC => "ec".to_owned(),
        Id::ED25519 => "ed25519".to_owned(),
        Id::DSA => "dsa".to_owned(),
        other => Nid::from_raw(other.as_raw()).long_name().unwrap_or("unknown").to_owned(),
    }
}

fn alternative_names(certificate: &X509Ref) -> Vec<String> {
    let Some(names) = certificate.subject_alt_names() else { return Vec::new() };
    names
        .iter()
        .filter_map(|name| match (name.dnsname(), name.ipaddress()) {
            (Some(dns), _) => Some(text(dns.as_bytes())),
            (None, Some(octets)) => match (<[u8; 4]>::try_from(octets), <[u8; 16]>::try_from(octets)) {
                (Ok(v4), _) => Some(std::net::Ipv4Addr::from(v4).to_string()),
                (_, Ok(v6)) => Some(std::net::Ipv6Addr::from(v6).to_string()),
                _ => None,
            },
            _ => None,
        })
        .take(LIST_MAX)
        .collect()
}

/// RFC 4514 text: the most specific part first, special characters escaped.
fn name(name: &X509NameRef) -> String {
    let parts: Vec<String> = name
        .entries()
        .take(LIST_MAX)
        .map(|entry| {
            let key = entry.object().nid().short_name().unwrap_or("OID");
            let value = match entry.data().to_string() {
                Ok(value) => value.to_string(),
                Err(_) => String::from_utf8_lossy(entry.data().as_slice()).into_owned(),
            };
            format!("{key}={}", escape(&value))
        })
        .collect();
    let joined = parts.into_iter().rev().collect::<Vec<_>>().join(",");
    text(&joined.as_bytes()[..joined.len().min(TEXT_MAX)])
}

fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (at, c) in value.chars().enumerate() {
        let special = matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';')
            || (at == 0 && matches!(c, '#' | ' '))
            || (at == last && c == ' ');
        if special {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn time(time: &Asn1TimeRef) -> Option<i64> {
    let since = Asn1Time::from_unix(0).ok()?.diff(time).ok()?;
    Some((i64::from(since.days) * 86_400 + i64::from(since.secs)) * 1_000_000)
}

#[cfg(test)]
mod tests;
