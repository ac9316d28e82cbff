//! What is asked over UDP, and what daemons answered.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use kenshin_wire::datagram;
use kenshin_wire::dns::{self, Name, Question, rcode};
use kenshin_wire::ntp::{self, Reference, control, private};
use kenshin_wire::referral::referral;
use kenshin_wire::snmp::{EngineForm, Version};
use kenshin_wire::wsd::Wanted;
use kenshin_wire::{coap, mdns, sip, snmp, ssdp, upnp, wsd};

use super::transcript;

/// Ids and tokens that the captures were asked with.
const ID: u16 = 0x4b4e;
const LONG_ID: i32 = 0x0123_4567;
const NONCE: u64 = 0x0123_4567_89ab_cdef;

fn name(text: &str) -> Name {
    Name::from_text(text).unwrap()
}

fn message(name: &str) -> dns::Message {
    dns::Message::decode(&transcript(name)).unwrap()
}

#[test]
fn transcripts_are_recognised() {
    for (name, expected) in [
        ("coap-libcoap-4.3.1", "Coap"),
        ("dns-bind-9.18-authoritative", "Dns"),
        ("dns-bind-9.18-open-recursion", "Dns"),
        ("dns-bind-9.18-refused", "Dns"),
        ("dns-bind-9.18-version", "Dns"),
        ("dns-bind-9.18-version-hidden", "Dns"),
        ("dns-dnsmasq-2.90-version", "Dns"),
        ("mdns-avahi-0.8-instances", "Dns"),
        ("mdns-avahi-0.8-services", "Dns"),
        ("ntp-chrony-4.3", "Ntp"),
        ("ntp-control-ntpsec-1.2.2", "NtpControl"),
        ("ntp-control-refused", "NtpControl"),
        ("ntp-control-two-fragments-1", "NtpControl"),
        ("ntp-control-two-fragments-2", "NtpControl"),
        ("ntp-ntpsec-1.2.2-init", "Ntp"),
        ("ntp-private-refused", "NtpPrivate"),
        ("ntp-private-timer-stats", "NtpPrivate"),
        ("sip-kamailio-5.6.3", "Sip"),
        ("sip-telephone", "Sip"),
        ("snmp-v1-net-snmp-5.9.3", "Snmp"),
        ("snmp-v1-net-snmp-5.9.3-narrow-view", "Snmp"),
        ("snmp-v2c-net-snmp-5.9.3", "Snmp"),
        ("snmp-v2c-net-snmp-5.9.3-narrow-view", "Snmp"),
        ("snmp-v3-net-snmp-5.9.3", "Snmp"),
        ("ssdp-all-miniupnpd-2.3.1", "Ssdp"),
        ("ssdp-minidlna-1.3.0", "Ssdp"),
        ("ssdp-miniupnpd-2.3.1", "Ssdp"),
        ("wsd-camera", "Wsd"),
        ("wsd-ipycam-1.3.0", "Wsd"),
        ("wsd-wsdd2-1.8.7", "Wsd"),
    ] {
        let found = datagram::read(&transcript(name));
        let found = format!("{:?}", found.unwrap_or_else(|| panic!("{name} is not recognised")));
        assert!(found.starts_with(&format!("{expected}(")), "{name}: {found}");
    }
}

/// A service that sends our question back has not answered it, and what speaks over TCP is none of
/// these either.
#[test]
fn questions_and_other_protocols_are_no_answers() {
    let server: SocketAddr = "192.0.2.1:5060".parse().unwrap();
    let questions = [
        snmp::get(Version::V1, "public", LONG_ID),
        snmp::get(Version::V2c, "public", LONG_ID),
        snmp::discover(LONG_ID),
        ssdp::search(server, ssdp::Target::All, "Kenshin"),
        wsd::probe(1, Wanted::Cameras),
        dns::query(ID, true, vec![Question::version_bind()]),
        mdns::services(ID),
        ntp::client(NONCE).to_vec(),
        control::read_variables(ID).to_vec(),
        private::REQUEST.to_vec(),
        coap::get_core(ID, *b"knsh"),
        sip::Options { server, ours: server, nonce: NONCE, user_agent: "Kenshin" }.encode(),
    ];
    for question in questions {
        assert_eq!(datagram::read(&question), None, "{}", question.escape_ascii());
        assert!(question.len() <= 1232, "it would travel in fragments over IPv6");
    }
    for name in ["ssh-openssh-9.2", "http-nginx-plain-to-tls", "telnet-inetutils", "tls-server-hello"] {
        assert_eq!(datagram::read(&transcript(name)), None, "{name}");
    }
    assert_eq!(datagram::read(b""), None);
}

#[test]
fn snmp_with_a_community() {
    for (file, version) in
        [("snmp-v1-net-snmp-5.9.3", Version::V1), ("snmp-v2c-net-snmp-5.9.3", Version::V2c)]
    {
        let Ok(snmp::Answer::Response(answer)) = snmp::parse(&transcript(file)) else { panic!("{file}") };
        assert_eq!((answer.version, answer.request_id, answer.error_status), (version, LONG_ID.into(), 0));
        assert_eq!(answer.sys_descr.as_deref(), Some("Linux gateway 4.14.0-example #1 armv7l"));
        assert_eq!(answer.sys_object_id.unwrap().to_string(), "1.3.6.1.4.1.8072.3.2.10");
        assert_eq!(answer.sys_name.as_deref(), Some("gateway.example"));
    }
    // The community is known, the objects are not shown: v1 calls it an error, v2c an exception.
    for (file, status) in
        [("snmp-v1-net-snmp-5.9.3-narrow-view", 2), ("snmp-v2c-net-snmp-5.9.3-narrow-view", 0)]
    {
        let Ok(snmp::Answer::Response(answer)) = snmp::parse(&transcript(file)) else { panic!("{file}") };
        assert_eq!((answer.error_status, answer.sys_descr, answer.sys_name), (status, None, None));
    }
}

#[test]
fn snmp_engines() {
    let Ok(snmp::Answer::Report(report)) = snmp::parse(&transcript("snmp-v3-net-snmp-5.9.3")) else {
        panic!()
    };
    assert_eq!(report.message_id, i64::from(LONG_ID));
    assert_eq!((report.engine.boots, report.engine.time_s), (1, 7));
    assert_eq!(hex::encode(&report.engine.id), "80001f888034612a0c109c076b00000000");
    assert_eq!((report.engine.enterprise(), report.engine.form()), (Some(8072), EngineForm::Enterprise(128)));
}

#[test]
fn snmp_questions() {
    let get = "304502010004067075626c6963a038020401234567020100020100302a300c06082b060102010101000500300c\
         06082b060102010102000500300c06082b060102010105000500";
    assert_eq!(hex::encode(snmp::get(Version::V1, "public", LONG_ID)), get);
    let v2c = get.replacen("020100", "020101", 1);
    assert_eq!(hex::encode(snmp::get(Version::V2c, "public", LONG_ID)), v2c);
    assert_eq!(hex::encode(snmp::get(Version::V3, "public", LONG_ID)), v2c);
    let identify = "302902010104067075626c6963a01c020401234567020100020100300e300c06082b060102010102000500";
    assert_eq!(hex::encode(snmp::identify(Version::V2c, "public", LONG_ID)), identify);
    let discover = "303e0201033011020401234567020300ffe30401040201030410300e0400020100020100040004000400301404\
         000400a00e0204012345670201000201003000";
    assert_eq!(hex::encode(snmp::discover(LONG_ID)), discover);
}

#[test]
fn ssdp_answers() {
    let check = |file, server, location, usn, target| {
        let answer = ssdp::parse(&transcript(file)).unwrap();
        assert_eq!(answer.status, 200, "{file}");
        assert_eq!(answer.server.as_deref(), Some(server), "{file}");
        assert_eq!(answer.location.as_deref(), Some(location), "{file}");
        assert_eq!(answer.usn.as_deref(), Some(usn), "{file}");
        assert_eq!(answer.search_target.as_deref(), Some(target), "{file}");
        assert!(referral(location, IpAddr::from([192, 0, 2, 1])).is_some());
        assert!(referral(location, IpAddr::from([192, 0, 2, 9])).is_none());
    };
    check(
        "ssdp-miniupnpd-2.3.1",
        "Debian/4.14.0-example0 UPnP/1.1 MiniUPnPd/2.3.1",
        "http://192.0.2.1:39965/rootDesc.xml",
        "uuid:3f36fb36-0000-4000-8000-000000000001::upnp:rootdevice",
        "upnp:rootdevice",
    );
    check(
        "ssdp-all-miniupnpd-2.3.1",
        "Debian/4.14.0-example0 UPnP/1.1 MiniUPnPd/2.3.1",
        "http://192.0.2.1:39965/rootDesc.xml",
        "uuid:3f36fb36-0000-4000-8000-000000000003::urn:schemas-upnp-org:service:WANIPv6FirewallControl:1",
        "urn:schemas-upnp-org:service:WANIPv6FirewallControl:1",
    );
    check(
        "ssdp-minidlna-1.3.0",
        "Debian DLNADOC/1.50 UPnP/1.0 MiniDLNA/1.3.0",
        "http://192.0.2.1:8200/rootDesc.xml",
        "uuid:4d696e69-444c-164e-9d41-000000000001::upnp:rootdevice",
        "upnp:rootdevice",
    );
    assert!(ssdp::parse(b"HTTP/1.1 200 OK\r\nServer: nginx\r\n\r\n").is_err(), "a web server's answer");
    assert!(ssdp::parse(b"NOTIFY * HTTP/1.1\r\nUSN: x\r\n\r\n").is_err());
    let search =
        ssdp::search("[2001:db8::1]:1900".parse().unwrap(), ssdp::Target::RootDevice, "Kenshin\r\nX: y");
    assert_eq!(
        String::from_utf8(search).unwrap(),
        "M-SEARCH * HTTP/1.1\r\nHOST: [2001:db8::1]:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\n\
         ST: upnp:rootdevice\r\nUSER-AGENT: Kenshin  X: y\r\n\r\n"
    );
}

#[test]
fn upnp_descriptions() {
    let router = upnp::parse(&transcript("upnp-miniupnpd-2.3.1")).unwrap();
    assert_eq!(router.device_type.as_deref(), Some("urn:schemas-upnp-org:device:InternetGatewayDevice:2"));
    assert_eq!(router.friendly_name.as_deref(), Some("Example Router"), "not that of an embedded device");
    assert_eq!(
        (router.manufacturer.as_deref(), router.model_name.as_deref()),
        (Some("Example"), Some("EX-1200"))
    );
    assert_eq!(
        (router.model_number.as_deref(), router.serial_number.as_deref()),
        (Some("2.10"), Some("0001"))
    );
    assert_eq!(router.model_description.as_deref(), Some("Home router"));
    assert_eq!(router.udn.as_deref(), Some("uuid:3f36fb36-0000-4000-8000-000000000001"));
    // This one is no XML: its ampersand is not escaped.
    let recorder = upnp::parse(&transcript("upnp-minidlna-1.3.0")).unwrap();
    assert_eq!(recorder.friendly_name.as_deref(), Some("居間の録画機 & NAS"));
    assert_eq!(recorder.model_number.as_deref(), Some("1.06"));
    for other in ["<html><body>login</body></html>", "<root><device></device></root>", "", "not found"] {
        assert!(upnp::parse(other.as_bytes()).is_err(), "{other}");
    }
}

#[test]
fn ws_discovery() {
    let camera = wsd::parse(&transcript("wsd-camera")).unwrap();
    assert_eq!(camera.relates_to, Some(wsd::message_id(0x1122_3344_5566_7788_9900_aabb_ccdd_eeff)));
    let [found] = camera.matches.as_slice() else { panic!("one match") };
    assert_eq!(found.endpoint.as_deref(), Some("urn:uuid:5a000000-0000-1000-8000-0016a1b2c3d4"));
    assert_eq!(found.types, ["tdn:NetworkVideoTransmitter", "tds:Device"]);
    assert_eq!(found.scopes.len(), 7);
    assert_eq!(found.name().as_deref(), Some("EXAMPLE NC-D2042"));
    assert_eq!(found.hardware().as_deref(), Some("NC-D2042"));
    assert_eq!(found.location().as_deref(), Some("city/港, country/japan"));
    assert_eq!(
        found.xaddrs,
        ["http://192.0.2.1/onvif/device_service", "http://[2001:db8::1]/onvif/device_service"]
    );

    let storage = wsd::parse(&transcript("wsd-wsdd2-1.8.7")).unwrap();
    let [found] = storage.matches.as_slice() else { panic!("one match") };
    assert_eq!(found.types, ["wsdp:Device", "pub:Computer"]);
    assert_eq!((found.name(), found.hardware(), found.location()), (None, None, None));

    // Without the list around the match, and with a space inside of a scope.
    let camera = wsd::parse(&transcript("wsd-ipycam-1.3.0")).unwrap();
    let [found] = camera.matches.as_slice() else { panic!("one match") };
    assert_eq!(found.name().as_deref(), Some("Entrance"));
    assert_eq!(found.xaddrs, ["http://192.0.2.1:8080/onvif/device_service"]);

    let many = |count| {
        let one =
            "<ProbeMatch><Types>a b</Types><Scopes>onvif://www.onvif.org/name/%zz%4</Scopes></ProbeMatch>";
        format!("<Envelope><Body><ProbeMatches>{}</ProbeMatches></Body></Envelope>", one.repeat(count))
    };
    assert_eq!(wsd::parse(many(0).as_bytes()).unwrap().matches, []);
    let full = wsd::parse(many(200).as_bytes()).unwrap();
    assert_eq!(full.matches.len(), 16);
    assert!(full.matches.iter().all(|found| found.types == ["a", "b"]));
    assert_eq!(full.matches[0].name().as_deref(), Some("%zz%4"));
    assert!(wsd::parse(&wsd::probe(1, Wanted::Any)).is_err());
    assert_eq!(wsd::message_id(1), "urn:uuid:00000000-0000-0000-0000-000000000001");
}

#[test]
fn dns_servers() {
    let version = Question::version_bind();
    for (file, expected) in [
        ("dns-bind-9.18-version", Some("9.18.49-1~deb12u3-Debian")),
        ("dns-bind-9.18-version-hidden", None),
        ("dns-dnsmasq-2.90-version", Some("dnsmasq-2.90")),
    ] {
        let answer = message(file);
        assert!(answer.answers(ID, &version), "{file}");
        assert!(
            !answer.answers(ID + 1, &version) && !answer.answers(ID, &Question::address(name("a.example")))
        );
        assert_eq!(answer.version_bind().as_deref(), expected, "{file}");
        assert!(!answer.recursion_open(), "{file}");
    }
    for (file, asked, available, open, code) in [
        ("dns-bind-9.18-open-recursion", "N1.Probe.Example", true, true, rcode::NOERROR),
        ("dns-bind-9.18-refused", "n2.probe.example", false, false, rcode::REFUSED),
        ("dns-bind-9.18-authoritative", "www.own.example", true, false, rcode::NOERROR),
    ] {
        let answer = message(file);
        assert!(answer.answers(ID, &Question::address(name(asked))), "{file}");
        assert_eq!((answer.recursion_available, answer.rcode), (available, code), "{file}");
        assert_eq!(answer.recursion_open(), open, "{file}");
    }
    let addr = dns::Data::A(Ipv4Addr::new(192, 0, 2, 53));
    assert_eq!(message("dns-bind-9.18-open-recursion").answers[0].data, addr);
}

#[test]
fn dns_answers_without_a_question() {
    let refusal = |rcode| dns::Message { id: ID, response: true, rcode, ..dns::Message::default() };
    assert!(refusal(rcode::FORMERR).answers(ID, &Question::version_bind()));
    assert!(!refusal(rcode::NOERROR).answers(ID, &Question::version_bind()));
}

#[test]
fn damaged_dns_messages() {
    let whole = transcript("dns-bind-9.18-version");
    for cut in 0..whole.len() {
        assert!(dns::Message::decode(&whole[..cut]).is_err(), "cut at {cut}");
    }
    let mut truncated = whole.clone();
    truncated[2] |= 2;
    let message = dns::Message::decode(&truncated[..70]).unwrap();
    assert_eq!((message.answers.len(), message.authorities.len()), (1, 0));
    let mut many = whole.clone();
    many[6..8].copy_from_slice(&300_u16.to_be_bytes());
    assert_eq!(dns::Message::decode(&many), Err(kenshin_wire::Malformed::Limit("records")));
    many[4..6].copy_from_slice(&300_u16.to_be_bytes());
    assert_eq!(dns::Message::decode(&many), Err(kenshin_wire::Malformed::Limit("questions")));
}

#[test]
fn multicast_dns() {
    let services = message("mdns-avahi-0.8-services");
    assert!(mdns::answers(&services, ID) && !mdns::answers(&services, ID + 1));
    let mut discovered = mdns::Discovered::default();
    discovered.add(&services);
    let shown = |names: &[Name]| names.iter().map(Name::to_string).collect::<Vec<_>>();
    assert_eq!(
        shown(&discovered.services),
        ["_workstation._tcp.local", "_rtsp._tcp.local", "_http._tcp.local"]
    );
    let asked = dns::Message::decode(&mdns::instances(7, &discovered.services)).unwrap();
    assert_eq!((asked.id, asked.questions.len(), asked.recursion_desired), (7, 3, false));
    let instances = message("mdns-avahi-0.8-instances");
    assert!(mdns::answers(&instances, ID));
    discovered.add(&instances);
    assert_eq!(
        shown(&discovered.instances),
        [
            "camera-12 [fe:0a:34:0e:f6:34]._workstation._tcp.local",
            "Network Camera 玄関 on camera-12._rtsp._tcp.local",
            "Network Camera 玄関 on camera-12._http._tcp.local",
        ]
    );
    assert_eq!(shown(&discovered.hosts), ["camera-12.local"]);
    assert_eq!(discovered.texts, ["path=/index.html", "model=NC-100"]);
    discovered.add(&instances);
    assert_eq!(discovered.instances.len(), 3, "said twice, kept once");
    let many: Vec<Name> = (0..20).map(|n| name(&format!("_s{n}._tcp.local"))).collect();
    let asked = dns::Message::decode(&mdns::instances(7, &many)).unwrap();
    assert_eq!(asked.questions.len(), mdns::QUESTIONS_MAX);
}

#[test]
fn ntp_time() {
    let chrony = ntp::parse(&transcript("ntp-chrony-4.3")).unwrap();
    assert_eq!((chrony.leap, chrony.version, chrony.stratum, chrony.precision), (0, 4, 3, -26));
    assert_eq!(chrony.origin, NONCE);
    assert_eq!(chrony.reference(), Reference::Server(Ipv4Addr::new(127, 127, 1, 1)));
    let unsynchronised = ntp::parse(&transcript("ntp-ntpsec-1.2.2-init")).unwrap();
    assert_eq!((unsynchronised.leap, unsynchronised.stratum), (3, 0));
    assert_eq!(unsynchronised.reference().to_string(), "INIT");
    let mut gps = transcript("ntp-chrony-4.3");
    gps[1] = 1;
    gps[12..16].copy_from_slice(b"GPS\0");
    assert_eq!(ntp::parse(&gps).unwrap().reference(), Reference::Clock("GPS".to_owned()));
    assert!(ntp::parse(&ntp::client(NONCE)).is_err(), "a question");
    assert!(ntp::parse(&gps[..47]).is_err());
}

#[test]
fn ntp_control() {
    let fragment = control::parse(&transcript("ntp-control-ntpsec-1.2.2")).unwrap();
    assert_eq!((fragment.version, fragment.sequence, fragment.error, fragment.more), (2, ID, None, false));
    let found = control::variables(&fragment.data);
    assert_eq!(found.version.as_deref(), Some("ntpd ntpsec-1.2.2"));
    assert_eq!(found.system.as_deref(), Some("Linux/4.14.0-example0"));
    assert_eq!(found.processor.as_deref(), Some("x86_64"));

    let [first, second] =
        [1, 2].map(|n| control::parse(&transcript(&format!("ntp-control-two-fragments-{n}"))).unwrap());
    for order in [[&first, &second], [&second, &first]] {
        let mut assembly = control::Assembly::default();
        order.into_iter().cloned().for_each(|fragment| assembly.push(fragment));
        let (text, whole) = assembly.text();
        assert!(whole);
        let found = control::variables(&text);
        assert_eq!(found.version.as_deref(), Some("ntpd 4.2.6p5@1.2349-o Tue Jan 10 12:00:00 UTC 2012 (1)"));
        assert_eq!(
            (found.system.as_deref(), found.processor.as_deref()),
            (Some("Linux/2.6.36"), Some("mips"))
        );
    }
    let mut assembly = control::Assembly::default();
    assembly.push(second);
    assert_eq!(assembly.text(), (Vec::new(), false));
    let refused = control::parse(&transcript("ntp-control-refused")).unwrap();
    assert_eq!(refused.error, Some(3));
    assert!(control::parse(&control::read_variables(ID)).is_err(), "a question");
}

#[test]
fn ntp_private() {
    let served = private::parse(&transcript("ntp-private-timer-stats")).unwrap();
    assert!(served.serves());
    assert_eq!((served.implementation, served.items, served.item_bytes, served.more), (3, 1, 16, false));
    let refused = private::parse(&transcript("ntp-private-refused")).unwrap();
    assert_eq!((refused.error, refused.serves()), (4, false));
    assert!(private::parse(&private::REQUEST).is_err(), "a question");
    assert!(private::parse(&transcript("ntp-private-timer-stats")[..20]).is_err());
}

#[test]
fn coap_resources() {
    let answer = coap::parse(&transcript("coap-libcoap-4.3.1")).unwrap();
    assert_eq!(
        (answer.kind, answer.id, answer.token.as_slice()),
        (coap::Kind::Acknowledgement, ID, b"knsh".as_slice())
    );
    assert_eq!((answer.code_text().as_str(), answer.content_format, answer.more), ("2.05", Some(40), false));
    let links = coap::links(&answer.payload);
    let targets: Vec<&str> = links.iter().map(|link| link.target.as_str()).collect();
    assert_eq!(targets, ["/", "/time", "/async", "/example_data"]);
    assert_eq!(links[0].title.as_deref(), Some("General Info"));
    assert_eq!(
        (links[1].resource_type.as_deref(), links[1].interface.as_deref()),
        (Some("ticks"), Some("clock"))
    );
    // Our own question is read as what it is.
    let question = coap::parse(&coap::get_core(ID, *b"knsh")).unwrap();
    assert_eq!((question.kind, question.code, question.id), (coap::Kind::Confirmable, 1, ID));
    let acknowledgement = coap::parse(&coap::acknowledgement(ID)).unwrap();
    assert_eq!(
        (acknowledgement.kind, acknowledgement.code, acknowledgement.id),
        (coap::Kind::Acknowledgement, 0, ID)
    );
    for bad in [
        &b""[..],
        b"\x60\x45\x00",
        b"\xa0\x45\x00\x01",
        b"\x69\x45\x00\x01",
        b"\x60\x45\0\x01\xff",
        b"\x60\x45\0\x01\xf0",
        b"\x60\x45\0\x01\x1d",
        b"\x60\0\0\x01\x01",
    ] {
        assert!(coap::parse(bad).is_err(), "{bad:?}");
    }
    let options = [b"\x60\x45\0\x01".as_slice(), &[0; 40]].concat();
    assert_eq!(coap::parse(&options), Err(kenshin_wire::Malformed::Limit("options")));
}

/// The example of RFC 6690 §5, and what is almost like it.
#[test]
fn coap_links() {
    let example = "</sensors>;ct=40;title=\"Sensor Index\",\n</sensors/temp>;rt=\"temperature-c\";if=\"sensor\",\n\
                   </sensors/light>;rt=\"light-lux\";if=\"sensor\",\n<http://www.example.com/sensors/t123>\
                   ;anchor=\"/sensors/temp\";rel=\"describedby\",\n</t>;anchor=\"/sensors/temp\";rel=\"alternate\"";
    let links = coap::links(example.as_bytes());
    assert_eq!(links.len(), 5);
    assert_eq!(links[0].title.as_deref(), Some("Sensor Index"));
    assert_eq!(links[2].resource_type.as_deref(), Some("light-lux"));
    assert_eq!(links[3].target, "http://www.example.com/sensors/t123");
    assert_eq!(coap::links(b"</a>;rt=b;obs;x=\"1,2\",</c>,broken").len(), 2);
    assert_eq!(coap::links(b"</a>;title=\"no end, </b>").len(), 1);
    assert_eq!(coap::links(b"</cut").len(), 0);
    assert_eq!(coap::links("</a>,".repeat(1000).as_bytes()).len(), 64);
}

#[test]
fn sip_servers() {
    let options = sip::Options {
        server: "192.0.2.1:5060".parse().unwrap(),
        ours: "192.0.2.2:40000".parse().unwrap(),
        nonce: NONCE,
        user_agent: "Kenshin/0.1\r\nX: y",
    };
    let kamailio = sip::parse(&transcript("sip-kamailio-5.6.3")).unwrap();
    assert_eq!((kamailio.status, kamailio.call_id), (200, Some(options.call_id())));
    assert_eq!(kamailio.server.as_deref(), Some("kamailio (5.6.3 (x86_64/linux))"));
    assert_eq!(kamailio.methods, ["INVITE", "ACK", "BYE", "CANCEL", "OPTIONS"]);
    let telephone = sip::parse(&transcript("sip-telephone")).unwrap();
    assert_eq!((telephone.server, telephone.call_id), (None, Some(options.call_id())));
    assert_eq!(telephone.user_agent.as_deref(), Some("Example Phone T20 9.73.0.40"));
    let request = String::from_utf8(options.encode()).unwrap();
    assert!(request.starts_with("OPTIONS sip:192.0.2.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2:40000;"));
    assert!(request.contains("\r\nUser-Agent: Kenshin/0.1  X: y\r\n") && request.ends_with("\r\n\r\n"));
    let short = sip::parse(b"SIP/2.0 404 Not Found\ni: a@b\nServer:\n\n").unwrap();
    assert_eq!((short.status, short.call_id.as_deref(), short.server), (404, Some("a@b"), None));
    for bad in [
        &b"SIP/2.0 20"[..],
        b"SIP/2.0 900 x\r\n\r\n",
        b"SIP/1.0 200 OK\r\n\r\n",
        b"OPTIONS sip:a SIP/2.0\r\n\r\n",
        b"",
    ] {
        assert!(sip::parse(bad).is_err(), "{}", bad.escape_ascii());
    }
}
