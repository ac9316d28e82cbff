//! The whole against real daemons of Debian, each at an address of its own and all at one port that
//! says nothing about them, in two network namespaces that the test makes itself.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde_json::Value;
use world::{Household, World};

use crate::process::Processors;

mod consoles;
mod house;
mod logins;
mod world;

/// What a daemon must be taken for.
struct Expected {
    /// Last octet of its address.
    host: u8,
    /// Debian's package, whose upstream version is the one to be found.
    package: &'static str,
    protocol: &'static str,
    /// As insight names it; none where nothing it says names it.
    product: Option<&'static str>,
    /// Whether it discloses its version.
    discloses: bool,
    /// What a credential check must say, and how many attempts the daemon's own log must count.
    credential: Option<(&'static str, usize)>,
    findings: &'static [&'static str],
}

const fn daemon(host: u8, package: &'static str, protocol: &'static str) -> Expected {
    Expected { host, package, protocol, product: None, discloses: false, credential: None, findings: &[] }
}

/// The second of the dictionary's four entries opens what can be opened; three attempts are allowed.
const EXPECTED: &[Expected] = &[
    Expected {
        product: Some("OpenSSH"),
        discloses: true,
        credential: Some(("accepted", 2)),
        findings: &["default-credentials"],
        ..daemon(house::SSH, "openssh-server", "ssh")
    },
    Expected {
        product: Some("OpenSSH"),
        discloses: true,
        credential: Some(("capped", 3)),
        ..daemon(house::SSH_CLOSED, "openssh-server", "ssh")
    },
    Expected {
        product: Some("Dropbear SSH"),
        discloses: true,
        credential: Some(("accepted", 2)),
        findings: &["default-credentials"],
        ..daemon(house::DROPBEAR, "dropbear-bin", "ssh")
    },
    Expected {
        credential: Some(("accepted", 2)),
        findings: &["default-credentials", "telnet-open"],
        product: Some("inetutils telnetd"),
        ..daemon(house::TELNET, "inetutils-telnetd", "telnet")
    },
    Expected {
        product: Some("vsftpd"),
        discloses: true,
        findings: &["anonymous-ftp"],
        // It turns `factory` away by name: of three attempts, two came to a password.
        credential: Some(("capped", 2)),
        ..daemon(house::FTP_ANONYMOUS, "vsftpd", "ftp")
    },
    Expected {
        product: Some("vsftpd"),
        discloses: true,
        credential: Some(("accepted", 2)),
        findings: &["default-credentials"],
        ..daemon(house::FTP, "vsftpd", "ftp")
    },
    Expected {
        product: Some("lighttpd"),
        discloses: true,
        credential: Some(("accepted", 2)),
        findings: &["default-credentials"],
        ..daemon(house::HTTP_BASIC, "lighttpd", "http")
    },
    Expected {
        product: Some("lighttpd"),
        discloses: true,
        credential: Some(("capped", 3)),
        ..daemon(house::HTTP_DIGEST, "lighttpd", "http")
    },
    Expected {
        product: Some("lighttpd"),
        discloses: true,
        findings: &["broken-tls"],
        ..daemon(house::HTTPS_OLD, "lighttpd", "http in TLS")
    },
    Expected { product: Some("nginx"), discloses: true, ..daemon(house::NGINX, "nginx-light", "http") },
    Expected { product: Some("nginx"), ..daemon(house::NGINX_QUIET, "nginx-light", "http in TLS") },
    Expected { findings: &["anonymous-mqtt"], ..daemon(house::MQTT, "mosquitto", "mqtt") },
    daemon(house::MQTT_CLOSED, "mosquitto", "mqtt"),
    Expected { product: Some("Exim"), discloses: true, ..daemon(house::SMTP, "exim4-daemon-light", "smtp") },
];

/// Daemons that do not say their version: the right answer is none.
const SILENT_ABOUT_THEIR_VERSION: [u8; 4] =
    [house::TELNET, house::NGINX_QUIET, house::MQTT, house::MQTT_CLOSED];

#[test]
fn real_daemons_are_what_dpkg_says_and_logs_count_what_was_tried() {
    let _processor = Processors::take(1);
    let pairs = [
        ("admin", "invented-1"),
        (house::USER, house::PASSWORD),
        ("root", "invented-3"),
        ("user", "invented-4"),
    ];
    let household = Household {
        name: "house",
        daemons: house::servers,
        programs: &house::PROGRAMS,
        dictionary: dictionary(&pairs),
        recipes: "",
        tcp_ports: &[],
        udp_ports: &[],
    };
    let test = "real_daemons_are_what_dpkg_says_and_logs_count_what_was_tried";
    let Some(world) = World::new(test, &household) else { return };
    let silent: Vec<u8> = EXPECTED.iter().filter(|e| !e.discloses).map(|e| e.host).collect();
    assert_eq!(silent, SILENT_ABOUT_THEIR_VERSION);

    let survey = world.survey(&["--engine", "connect", "--credential-attempts", "3"]);
    let protocols = world.protocols(&survey);
    let assets = world.assets();
    let findings = world.findings();
    let credentials = world.credentials(&survey);
    for expected in EXPECTED {
        let addr = house::addr(expected.host);
        let what = format!("{} at {addr}", expected.package);
        assert_eq!(protocols.get(&addr).map(String::as_str), Some(expected.protocol), "{what}");
        assert_eq!(
            software(&assets[&addr]),
            expected.product.map(|product| {
                (product.to_owned(), expected.discloses.then(|| house::upstream_version(expected.package)))
            }),
            "{what}: {:#}",
            assets[&addr]
        );
        assert_eq!(findings.get(&addr).cloned().unwrap_or_default(), expected.findings, "{what}");
        let said = credentials.get(&addr).map(String::as_str);
        assert_eq!(said, expected.credential.map(|(result, _)| result), "{what}");
        if let Some((_, attempts)) = expected.credential {
            assert_eq!(world.house.attempts(expected.host), attempts, "{what}: its own log");
        }
    }
    assert_eq!(assets.len(), EXPECTED.len(), "{:?}", assets.keys());

    // Over raw packets the same is found, and the kernel saw nothing that the mandate does not allow.
    let raw = world.survey(&["--engine", "raw", "--check", "sweep,banner,handshake,anonymous-login"]);
    assert_eq!(world.protocols(&raw), protocols);
    assert_eq!(world.outcomes(&raw), world.outcomes(&survey));
    assert_eq!(world.outside(), 0);
}

/// A dictionary of pairs for every method.
fn dictionary(pairs: &[(&str, &str)]) -> String {
    pairs
        .iter()
        .map(|(user, password)| format!("[[entries]]\nuser = \"{user}\"\npassword = \"{password}\"\n"))
        .collect()
}

/// Product and version of the software that an asset shows.
fn software(asset: &Value) -> Option<(String, Option<String>)> {
    let component = asset["identity"]["components"].as_array()?.first()?;
    let version = component["version"].as_str().map(str::to_owned);
    Some((component["product"]["value"].as_str()?.to_owned(), version))
}

type ByAddr<T> = BTreeMap<Ipv4Addr, T>;
