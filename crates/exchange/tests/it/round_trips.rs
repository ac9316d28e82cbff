//! Out and in again: the same endpoints, outcomes and protocols, as far as each format has words.

use kenshin_exchange::{Format, Origin};
use kenshin_observation::protocol::{
    Ftp, Http, Mqtt, Ntp, Records, Reflector, Rtsp, S7, Smtp, Ssdp, Ssh, Telnet, Tls, Unknown,
};
use kenshin_observation::{Check, Endpoint, Observation, Outcome, TimeUs, Transport};
use proptest::prelude::*;

use crate::world::{read, row, write};

/// One host: whether it lives, and of each port number, transport, a number that chooses the
/// outcome, and what it says.
type Host = (bool, Vec<(u16, bool, usize, Option<(&'static str, Records)>)>);

fn words() -> impl Strategy<Value = String> {
    // Nothing that redaction takes for a secret, and no line end.
    "[ -<>-~検\u{e9}]{0,30}".prop_map(|text| text.replace([':', ';'], ","))
}

fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![words(), any::<String>(), Just("=1+1\r\n\0\x1b[2J\u{202e}]]><b a='\"&\\x41".to_owned())]
}

fn tls() -> impl Strategy<Value = Tls> {
    (
        "CN=[a-z]{1,9}(,O=[a-z]([a-z ]{0,4}x)?)?",
        "[1-9a-f][0-9a-f]{3}",
        -9_999i64..9_999_999_999,
        any::<bool>(),
    )
        .prop_map(|(subject, serial, from, self_signed)| Tls {
            version: "TLSv1".to_owned(),
            cipher: "AES256-SHA".to_owned(),
            certificate_sha256: Some("ab".repeat(32)),
            public_key_sha256: Some("cd".repeat(32)),
            issuer: Some(subject.clone()),
            subject: Some(subject),
            serial: Some(serial),
            alternative_names: vec!["router.example".to_owned(), "192.0.2.1".to_owned()],
            not_before_us: Some(from * 1_000_000),
            not_after_us: Some(from * 1_000_000 + 1_000_000),
            key_algorithm: Some("rsa".to_owned()),
            key_bits: Some(1024),
            signature_algorithm: Some("sha1WithRSAEncryption".to_owned()),
            self_signed: Some(self_signed),
            ..Tls::default()
        })
}

fn service(text: BoxedStrategy<String>) -> impl Strategy<Value = (&'static str, Records)> {
    let some = proptest::option::of(text.clone());
    let list = proptest::collection::vec("[a-z0-9@.-]{1,12}", 0..4);
    let ssh = (text.clone(), list.clone()).prop_map(|(banner, list)| {
        let ssh = Ssh {
            banner: format!("SSH-2.0-{banner}"),
            kex: list.clone(),
            macs_server_to_client: list,
            host_key_algorithm: Some("ssh-rsa".to_owned()),
            host_key_sha256: Some("ef".repeat(32)),
            host_key_bits: Some(2048),
            ..Ssh::default()
        };
        ("ssh", Records { ssh: Some(ssh.into()), ..Records::default() })
    });
    let http = (some.clone(), some, 100..600i32, proptest::option::of(tls()), 0i64..9).prop_map(
        |(server, location, status, tls, body_bytes)| {
            let cookie_names = vec!["sid".to_owned()];
            let http = Http { status, server, location, cookie_names, body_bytes, ..Http::default() };
            ("http", Records { http: Some(http.into()), tls: tls.map(Box::new), ..Records::default() })
        },
    );
    let telnet = text.clone().prop_map(|text| {
        let telnet =
            Telnet { text, options: vec!["WILL 1".to_owned(), "DO 24".to_owned()], ..Telnet::default() };
        ("telnet", Records { telnet: Some(telnet.into()), ..Records::default() })
    });
    let ftp = text.clone().prop_map(|banner| {
        ("ftp", Records { ftp: Some(Ftp { banner, anonymous: None }.into()), ..Records::default() })
    });
    let smtp = (text.clone(), list.clone()).prop_map(|(banner, ehlo)| {
        ("smtp", Records { smtp: Some(Smtp { banner, ehlo }.into()), ..Records::default() })
    });
    let rtsp = (text.clone(), list).prop_map(|(server, methods)| {
        let rtsp = Rtsp { status: 401, server: Some(server), methods, ..Rtsp::default() };
        ("rtsp", Records { rtsp: Some(rtsp.into()), ..Records::default() })
    });
    let mqtt = Just(Mqtt { connack_code: Some(5), anonymous: Some("rejected".to_owned()) })
        .prop_map(|mqtt| ("mqtt", Records { mqtt: Some(mqtt.into()), ..Records::default() }));
    let unknown = text.prop_map(|banner| {
        let bytes = banner.len() as i64;
        let first_bytes = hex(&banner.as_bytes()[..banner.len().min(64)]);
        let unknown = Unknown { banner, first_bytes, bytes };
        ("unknown", Records { unknown: Some(unknown.into()), ..Records::default() })
    });
    // Those that zgrab2 has no place for come back whole all the same.
    let ssdp = Just(Ssdp { server: Some("Linux UPnP/1.0".to_owned()), ..Ssdp::default() })
        .prop_map(|ssdp| ("ssdp", Records { ssdp: Some(ssdp.into()), ..Records::default() }));
    let ntp = (0i32..16, any::<bool>()).prop_map(|(stratum, answers)| {
        let ntp = Ntp {
            version: Some(4),
            stratum: Some(stratum),
            private_answers: Some(answers),
            ..Ntp::default()
        };
        let reflector =
            Reflector { request_bytes: 8, answer_bytes: 800, answer_packets: 2, factor_milli: 100_000 };
        ("ntp", Records { ntp: Some(ntp.into()), reflector: Some(reflector.into()), ..Records::default() })
    });
    let s7 = Just(S7 { module: Some("6ES7 315".to_owned()), plant: Some("P".to_owned()), ..S7::default() })
        .prop_map(|s7| ("s7", Records { s7: Some(s7.into()), ..Records::default() }));
    let tls = tls().prop_map(|tls| ("tls", Records { tls: Some(tls.into()), ..Records::default() }));
    prop_oneof![ssh, http, telnet, ftp, smtp, rtsp, mqtt, unknown, tls, ssdp, ntp, s7]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hosts(text: BoxedStrategy<String>) -> impl Strategy<Value = Vec<Host>> {
    let port = (1u16.., any::<bool>(), 0usize..7, proptest::option::of(service(text)));
    proptest::collection::vec((any::<bool>(), proptest::collection::vec(port, 1..5)), 1..5)
}

/// The rows that a survey of such hosts would leave, in the order of the lake.
fn rows(hosts: &[Host]) -> Vec<Observation> {
    let mut rows = Vec::new();
    for (number, (alive, ports)) in (1u8..).zip(hosts) {
        let addr = if number % 2 == 0 { format!("192.0.2.{number}") } else { format!("2001:db8::{number}") };
        let mut ports = ports.clone();
        ports.sort_by_key(|(port, udp, ..)| (*port, *udp));
        ports.dedup_by_key(|(port, udp, ..)| (*port, *udp));
        for (port, udp, choice, said) in ports {
            let transport = if udp { Transport::Udp } else { Transport::Tcp };
            let subject = Endpoint::new(addr.parse().unwrap(), port, transport);
            let outcome = match (choice, alive) {
                (0 | 1, true) => Outcome::Answered,
                (2, true) => Outcome::Refused,
                (3, true) => Outcome::SilentHostAlive,
                (0..=3, false) => Outcome::Dark,
                (4, _) => Outcome::Filtered,
                (5, _) => Outcome::Limited,
                _ => Outcome::Error,
            };
            let mut sweep = row(subject, Check::Sweep, outcome);
            sweep.time = TimeUs::from_micros(1_795_660_335_864_247 + i64::from(port));
            let spoke = outcome == Outcome::Answered;
            rows.push(sweep);
            if let (Some((protocol, records)), true) = (said, spoke) {
                let check = if protocol == "unknown" { Check::Banner } else { Check::Handshake };
                let mut spoken = row(subject, check, Outcome::Answered);
                spoken.protocol = Some(protocol.to_owned());
                spoken.records = records;
                rows.push(spoken);
            }
        }
    }
    rows
}

/// Whether a format has words for a row.
fn keeps(format: Format, row: &Observation) -> bool {
    let sweep = row.check == Check::Sweep;
    match format {
        Format::ZmapCsv | Format::ZmapJson => {
            sweep && matches!(row.outcome, Outcome::Answered | Outcome::Refused | Outcome::Filtered)
        }
        Format::Zgrab2 => !sweep,
        Format::MasscanJson | Format::MasscanList => {
            matches!(row.outcome, Outcome::Answered | Outcome::Refused)
        }
        Format::NmapXml => !matches!(row.outcome, Outcome::Limited | Outcome::Error),
    }
}

/// What must be the same.
fn essence<'a>(rows: impl Iterator<Item = &'a Observation>) -> Vec<String> {
    let mut essence: Vec<String> = rows
        .map(|row| {
            let kind = if row.check == Check::Sweep { "sweep" } else { "service" };
            format!("{} {} {kind} {:?}", row.subject, row.outcome, row.protocol)
        })
        .collect();
    essence.sort();
    essence
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn endpoints_outcomes_and_protocols_come_back(hosts in hosts(hostile().boxed())) {
        let rows = rows(&hosts);
        for format in Format::ALL {
            let text = write(*format, &rows, "*");
            let back = read(*format, "f", text.as_bytes());
            prop_assert_eq!(&back.problems, &Vec::<String>::new(), "{}\n{}", format, text);
            let kept = rows.iter().filter(|row| keeps(*format, row));
            prop_assert_eq!(essence(back.rows.iter()), essence(kept), "{}\n{}", format, text);
            prop_assert!(back.rows.iter().all(|row| Origin::of(row).is_some()), "what comes back is an import");
        }
    }

    #[test]
    fn zmap_keeps_times_and_vantages(hosts in hosts(Just(String::new()).boxed())) {
        let rows = rows(&hosts);
        for format in [Format::ZmapCsv, Format::ZmapJson] {
            let back = read(format, "f", write(format, &rows, "*").as_bytes()).rows;
            let kept: Vec<_> = rows.iter().filter(|row| keeps(format, row)).collect();
            prop_assert_eq!(back.len(), kept.len());
            for (back, kept) in back.iter().zip(kept) {
                prop_assert_eq!((back.time, back.vantage), (kept.time, kept.vantage));
            }
        }
    }

    #[test]
    fn zgrab2_keeps_the_records(hosts in hosts(words().boxed())) {
        let rows = rows(&hosts);
        let back = read(Format::Zgrab2, "f", write(Format::Zgrab2, &rows, "*").as_bytes()).rows;
        let find = |subject| back.iter().find(|row| row.subject == subject).unwrap();
        for kept in rows.iter().filter(|row| keeps(Format::Zgrab2, row)) {
            let back = find(kept.subject);
            prop_assert_eq!(&back.records, &trimmed(kept.records.clone()));
            prop_assert_eq!(back.time.micros(), kept.time.micros().div_euclid(1_000_000) * 1_000_000);
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "[{}\\[\\]<>/=\"':, a-z0-9.\n]{0,200}") {
        for format in Format::ALL {
            read(*format, "f", &bytes);
            read(*format, "f", text.as_bytes());
        }
    }
}

/// A record as a line of text keeps it: what a service says first has no blank end, a text has
/// no prompt unless one is seen, and a banner that says nothing is none.
fn trimmed(mut records: Records) -> Records {
    if let Some(telnet) = &mut records.telnet {
        [telnet.login_prompt, telnet.password_prompt, telnet.shell_prompt] =
            (crate::world::look().prompt)(telnet.text.as_bytes());
    }
    if records.unknown.as_ref().is_some_and(|unknown| unknown.bytes == 0) {
        records.unknown = None;
    }
    records
}
