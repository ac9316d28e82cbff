//! A sensor and its hub through TLS on loopback: the hub is recognised, or nothing is said to it.

use std::net::SocketAddr;

use kenshin_casework::NewSensor;
use kenshin_observation::TimeUs;
use kenshin_observatory::hub::Away;
use kenshin_observatory::{Edge, Home, HubAddress};
use kenshin_survey::sensor::SensorIdentity;
use kenshin_web::tls::Certificate;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::world::World;

const NOW: TimeUs = TimeUs::from_secs(1_790_000_000);

/// A hub on loopback; it ends when the second part is dropped.
async fn hub(world: &World, certificate: &Certificate) -> (SocketAddr, oneshot::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let (web, certificate) = (world.web.clone(), certificate.clone());
    tokio::spawn(async move {
        let stopped = async { drop(stopped.await) };
        kenshin_web::serve_sensors(listener, &certificate, &web, stopped).await;
    });
    (address, stop)
}

fn sensor() -> (SensorIdentity, NewSensor) {
    let identity = SensorIdentity::from_seed(NOW, [4; 32]);
    let new = NewSensor {
        sensor_id: identity.id,
        public_key: identity.public_key_hex(),
        head_sequence: 0,
        head_digest: "0".repeat(64),
    };
    (identity, new)
}

fn away(address: &HubAddress, folder: &std::path::Path) -> Result<Away, kenshin_observatory::ActError> {
    Away::new(address, &Home::at(folder), &sensor().0, &Edge::simulated(NOW, [9; 32]).0)
}

async fn token(world: &World) -> String {
    let actor = kenshin_casework::Actor::rule("test");
    world.observatory.new_sensor_token("east", &actor).await.unwrap()
}

#[tokio::test]
async fn a_hub_is_known_by_its_certificate_alone() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::own(&folder.path().join("tls")).unwrap();
    let other = Certificate::own(&folder.path().join("other")).unwrap();
    let (at, stop) = hub(&world, &certificate).await;
    let mut address = HubAddress::at(&format!("https://{at}"));
    let token = token(&world).await;

    // By nobody's authority, or with another certificate: the token is not even sent.
    for fingerprint in [None, Some(other.fingerprint().to_owned())] {
        address.fingerprint = fingerprint;
        let error = away(&address, folder.path()).unwrap().enrol(&token, &sensor().1).await.unwrap_err();
        assert!(error.is_away() && error.to_string().contains("certificate"), "{error}");
    }
    address.fingerprint = Some("12:34".to_owned());
    assert!(away(&address, folder.path()).is_err(), "no fingerprint at all");

    address.fingerprint = Some(certificate.fingerprint().to_owned());
    let hub = away(&address, folder.path()).unwrap();
    hub.look().await.unwrap();
    // The hub's word, which asking again would not change.
    let refused = hub.enrol("another token", &sensor().1).await.unwrap_err();
    assert!(!refused.is_away() && refused.to_string().contains("400"), "{refused}");
    let enrolled = hub.enrol(&token, &sensor().1).await.unwrap();
    assert_eq!((enrolled.name.as_str(), enrolled.organisation.as_str()), ("east", "Example CSIRT"));

    // Gone: asked again later.
    drop(stop);
    let gone = async {
        loop {
            match hub.look().await {
                Ok(()) => tokio::task::yield_now().await,
                Err(error) => break error,
            }
        }
    };
    let gone = tokio::time::timeout(std::time::Duration::from_secs(30), gone).await.unwrap();
    assert!(gone.is_away(), "{gone}");
}

#[tokio::test]
async fn a_hub_is_known_by_an_authority_of_ones_own() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let make = |name: &str| {
        let key = rcgen::KeyPair::generate().unwrap();
        let made = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
        (made.pem(), key.serialize_pem())
    };
    let (cert, key) = make("127.0.0.1");
    let (cert, key) = (write("hub.pem", cert), write("hub.key", key));
    write("other.pem", make("127.0.0.1").0);
    let (at, _stop) = hub(&world, &Certificate::read(&cert, &key).unwrap()).await;
    let mut address = HubAddress::at(&format!("https://{at}"));
    // Relative to the home of the sensor.
    address.ca = Some("hub.pem".into());
    away(&address, folder.path()).unwrap().look().await.unwrap();
    address.ca = Some("other.pem".into());
    assert!(away(&address, folder.path()).unwrap().look().await.unwrap_err().is_away());
    address.ca = Some("hub.key".into());
    assert!(
        away(&address, folder.path()).is_err()
            || away(&address, folder.path()).unwrap().look().await.is_err()
    );
}
