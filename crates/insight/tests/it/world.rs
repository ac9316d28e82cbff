//! Observations for tests, built by what was seen.

use std::net::IpAddr;

use kenshin_observation::protocol::{Credential, Ftp, Http, Mqtt, Records, Ssh, Telnet, Tls};
use kenshin_observation::{
    Check, Claim, Component, Direction, Endpoint, Identity, Observation, OrgId, Outcome, SensorId, SurveyId,
    TimeUs, Tlp,
};

pub(crate) const DAY: i64 = 86_400;

/// The instant of round 1.
pub(crate) fn t0() -> TimeUs {
    "2026-04-01T00:00:00Z".parse().unwrap()
}

pub(crate) fn addr(last: u8) -> IpAddr {
    IpAddr::from([198, 51, 100, last])
}

pub(crate) fn endpoint(last: u8, port: u16) -> Endpoint {
    Endpoint::tcp(addr(last), port)
}

/// A key as an observation states it.
pub(crate) fn key(name: &str) -> String {
    name.repeat(64 / name.len().max(1))
}

/// A handshake that answered.
pub(crate) fn seen(last: u8, port: u16) -> Observation {
    Observation {
        org_id: OrgId::from_bits(1),
        mandate_id: "m1".into(),
        survey_id: SurveyId::from_bits(1),
        sensor_id: SensorId::from_bits(1),
        tlp: Tlp::Amber,
        time: t0(),
        clock_error_us: None,
        subject: endpoint(last, port),
        vantage: Endpoint::tcp(IpAddr::from([192, 0, 2, 1]), 40_000),
        direction: Direction::Probed,
        check: Check::Handshake,
        method_version: 1,
        attempt: 1,
        outcome: Outcome::Answered,
        reason: None,
        protocol: Some("unknown".into()),
        records: Records::default(),
        blobs: vec!["b1".into()],
        labels: vec![],
    }
}

/// A sweep that ended so.
pub(crate) fn swept(last: u8, port: u16, outcome: Outcome) -> Observation {
    Observation { check: Check::Sweep, outcome, protocol: None, ..seen(last, port) }
}

/// Short ways to say what was seen.
pub(crate) trait Seen {
    fn telnet(self, text: &str) -> Self;
    fn shell(self, text: &str) -> Self;
    fn ssh(self, banner: &str, key: &str) -> Self;
    fn http(self, http: Http) -> Self;
    fn tls(self, tls: Tls) -> Self;
    fn ftp(self, banner: &str, anonymous: Option<&str>) -> Self;
    fn mqtt(self, anonymous: Option<&str>) -> Self;
    fn credential(self, result: &str) -> Self;
    fn later(self, seconds: i64) -> Self;
}

/// The observation with the protocol it spoke and its record.
pub(crate) fn spoken(
    mut observation: Observation,
    protocol: &str,
    put: impl FnOnce(&mut Records),
) -> Observation {
    observation.protocol = Some(protocol.into());
    put(&mut observation.records);
    observation
}

impl Seen for Observation {
    fn telnet(self, text: &str) -> Self {
        let telnet = Telnet { text: text.into(), login_prompt: true, ..Telnet::default() };
        spoken(self, "telnet", |records| records.telnet = Some(telnet.into()))
    }

    fn shell(self, text: &str) -> Self {
        let telnet = Telnet { text: text.into(), shell_prompt: true, ..Telnet::default() };
        spoken(self, "telnet", |records| records.telnet = Some(telnet.into()))
    }

    fn ssh(self, banner: &str, name: &str) -> Self {
        let host_key_sha256 = Some(name).filter(|name| !name.is_empty()).map(key);
        let ssh = Ssh { banner: banner.into(), host_key_sha256, ..Ssh::default() };
        spoken(self, "ssh", |records| records.ssh = Some(ssh.into()))
    }

    fn http(self, http: Http) -> Self {
        spoken(self, "http", |records| records.http = Some(http.into()))
    }

    fn tls(mut self, tls: Tls) -> Self {
        self.records.tls = Some(tls.into());
        self
    }

    fn ftp(self, banner: &str, anonymous: Option<&str>) -> Self {
        let ftp = Ftp { banner: banner.into(), anonymous: anonymous.map(str::to_owned) };
        spoken(self, "ftp", |records| records.ftp = Some(ftp.into()))
    }

    fn mqtt(self, anonymous: Option<&str>) -> Self {
        let mqtt = Mqtt { connack_code: None, anonymous: anonymous.map(str::to_owned) };
        spoken(self, "mqtt", |records| records.mqtt = Some(mqtt.into()))
    }

    fn credential(mut self, result: &str) -> Self {
        let credential = Credential {
            method: "telnet".into(),
            result: result.into(),
            dictionary_sha256: "d1".into(),
            entry: (result == "accepted").then_some(3),
            attempts: 1,
        };
        self.records.credential = Some(credential.into());
        Self { check: Check::CredentialCheck, ..self }
    }

    fn later(self, seconds: i64) -> Self {
        Self { time: self.time.plus_secs(seconds), ..self }
    }
}

pub(crate) fn good_tls(name: &str) -> Tls {
    Tls {
        version: "TLSv1.3".into(),
        cipher: "TLS_AES_256_GCM_SHA384".into(),
        public_key_sha256: Some(key(name)),
        key_algorithm: Some("rsa".into()),
        key_bits: Some(2048),
        signature_algorithm: Some("sha256WithRSAEncryption".into()),
        self_signed: Some(true),
        not_before_us: Some(t0().plus_secs(-300 * DAY).micros()),
        not_after_us: Some(t0().plus_secs(300 * DAY).micros()),
        ..Tls::default()
    }
}

pub(crate) fn claim(value: &str) -> Option<Claim> {
    Some(Claim { value: value.into(), confidence: 90, reason: "test".into() })
}

/// A device that was identified.
pub(crate) fn device(vendor: &str, product: &str, version: &str, device_type: &str) -> Identity {
    Identity {
        vendor: claim(vendor),
        product: claim(product),
        version: claim(version).filter(|claim| !claim.value.is_empty()),
        device_type: claim(device_type).filter(|claim| !claim.value.is_empty()),
        ..Identity::default()
    }
}

pub(crate) fn component(vendor: &str, product: &str, version: &str, port: u16) -> Component {
    Component {
        vendor: Some(vendor.into()),
        product: claim(product).unwrap(),
        version: Some(version.into()),
        cpe: None,
        port,
        shown: None,
    }
}
