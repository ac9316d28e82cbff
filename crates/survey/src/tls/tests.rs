use openssl::dh::Dh;
use openssl::ssl::SslContextBuilder;
use tokio::io::duplex;

use super::*;
use crate::probe::tests::host::certificate;

/// The record of a session with a server that `configure` makes.
async fn record(offer: Offer, configure: fn(&mut SslContextBuilder)) -> Tls {
    let identity = certificate();
    let mut context = SslContext::builder(SslMethod::tls_server()).unwrap();
    context.set_security_level(0);
    context.set_cipher_list("ALL:@SECLEVEL=0").unwrap();
    context.set_min_proto_version(Some(SslVersion::TLS1)).unwrap();
    context.set_private_key(&identity.0).unwrap();
    context.set_certificate(&identity.1).unwrap();
    configure(&mut context);
    let (near, far) = duplex(64 * 1024);
    let mut server = SslStream::new(Ssl::new(&context.build()).unwrap(), far).unwrap();
    let limits = Limits::LOCAL;
    let (_, established) =
        tokio::join!(Pin::new(&mut server).accept(), establish(Session::new(near, &limits), offer, &limits));
    established.unwrap_or_else(|failure| panic!("{failure:?}")).record
}

fn told(record: &Tls) -> (&str, Option<&str>, Option<i32>, Option<bool>) {
    (&record.version, record.group.as_deref(), record.dh_bits, record.hybrid_offered)
}

#[tokio::test]
async fn hybrid_groups_are_offered_and_told() {
    let ready = record(Offer::All, |_| {}).await;
    assert_eq!(told(&ready), ("TLSv1.3", Some("X25519MLKEM768"), None, Some(true)));
    // Asks for a share of another group first.
    let asks = record(Offer::All, |context| context.set_groups_list("SecP384r1MLKEM1024").unwrap()).await;
    assert_eq!(told(&asks), ("TLSv1.3", Some("SecP384r1MLKEM1024"), None, Some(true)));
    let classic = record(Offer::All, |context| context.set_groups_list("X25519:P-256").unwrap()).await;
    assert_eq!(told(&classic), ("TLSv1.3", Some("x25519"), None, Some(true)));
}

#[tokio::test]
async fn key_exchanges_before_tls_1_3_are_told() {
    let old = record(Offer::Old, |context| context.set_groups_list("P-256").unwrap()).await;
    assert_eq!(told(&old), ("TLSv1.2", Some("secp256r1"), None, Some(false)));
    let finite = |context: &mut SslContextBuilder| {
        context.set_max_proto_version(Some(SslVersion::TLS1_2)).unwrap();
        context.set_cipher_list("DHE:@SECLEVEL=0").unwrap();
        context.set_tmp_dh(&Dh::get_1024_160().unwrap()).unwrap();
    };
    assert_eq!(told(&record(Offer::All, finite).await), ("TLSv1.2", None, Some(1024), Some(true)));
    let by_certificate = |context: &mut SslContextBuilder| {
        context.set_max_proto_version(Some(SslVersion::TLS1_2)).unwrap();
        context.set_cipher_list("kRSA:@SECLEVEL=0").unwrap();
    };
    let record = record(Offer::All, by_certificate).await;
    assert_eq!(told(&record), ("TLSv1.2", None, None, Some(true)));
    assert!(!record.cipher.contains("DHE"), "{}", record.cipher);
}
