//! Probes over UDP against a host in this process that plays a script for each datagram.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kenshin_observation::{Check, Endpoint, Outcome, Transport};
use kenshin_wire::dns::{self, Name};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::Instant;

use super::host::{Host, drain, until};
use super::{settings, transcript};
use crate::probe::datagram::{Channel, Datagrams, first_check, probe};
use crate::probe::{Connect, ConnectError, ProbeResult, ProbeSettings};

const EVERYTHING: &[Check] = &[Check::Handshake, Check::AnonymousLogin, Check::Reflector];

/// A host that answers datagrams: whatever port is asked for, it is this one that hears it.
struct Target {
    addr: SocketAddr,
    /// Port that the probe believes to ask.
    port: u16,
    opened: AtomicU32,
    checks: Mutex<Vec<Check>>,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
    refuse_after: u32,
    /// Where referrals lead; nowhere without.
    web: Option<Host>,
    dialled: Mutex<Vec<Endpoint>>,
}

impl Target {
    /// A host whose `script` makes answers from each datagram.
    async fn start(port: u16, script: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let addr = socket.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&heard);
        tokio::spawn(async move {
            let mut bytes = vec![0; 65_535];
            while let Ok((len, from)) = socket.recv_from(&mut bytes).await {
                log.lock().unwrap().push(bytes[..len].to_vec());
                for answer in script(&bytes[..len]) {
                    let _ = socket.send_to(&answer, from).await;
                }
            }
        });
        Self {
            addr,
            port,
            opened: AtomicU32::new(0),
            checks: Mutex::default(),
            heard,
            refuse_after: u32::MAX,
            web: None,
            dialled: Mutex::default(),
        }
    }

    async fn silent(port: u16) -> Self {
        Self::start(port, |_| Vec::new()).await
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::new(self.addr.ip(), self.port, Transport::Udp)
    }

    async fn probe(&self, settings: &ProbeSettings) -> Vec<ProbeResult> {
        probe(self.endpoint(), self, self, settings).await
    }

    fn heard(&self) -> Vec<Vec<u8>> {
        self.heard.lock().unwrap().clone()
    }
}

impl Datagrams for Target {
    async fn open(&self, endpoint: Endpoint, check: Check) -> Result<Channel, ConnectError> {
        assert_eq!(endpoint, self.endpoint(), "nobody else is asked");
        let number = self.opened.fetch_add(1, Ordering::SeqCst);
        if number >= self.refuse_after {
            return Err(ConnectError::Refused { reason: "revoked".to_owned() });
        }
        self.checks.lock().unwrap().push(check);
        let socket = UdpSocket::bind("127.0.0.1:0").await.map_err(ConnectError::Failed)?;
        socket.connect(self.addr).await.map_err(ConnectError::Failed)?;
        Ok(Channel::new(socket, 0x0102_0304_0506_0708 + u64::from(number), 8))
    }
}

impl Connect for Target {
    async fn connect(&self, endpoint: Endpoint, check: Check) -> Result<TcpStream, ConnectError> {
        assert_eq!((endpoint.addr, endpoint.transport), (self.addr.ip(), Transport::Tcp));
        self.dialled.lock().unwrap().push(endpoint);
        match &self.web {
            Some(web) => web.connect(endpoint, check).await,
            None => Err(ConnectError::Closed),
        }
    }
}

/// A transcript whose id, at `at`, is that of the question.
fn replayed(name: &str, at: usize, question: &[u8], ids: std::ops::Range<usize>) -> Vec<u8> {
    let mut bytes = transcript(name);
    let len = ids.len();
    bytes[at..at + len].copy_from_slice(&question[ids]);
    bytes
}

fn text_of(question: &[u8]) -> String {
    String::from_utf8_lossy(question).into_owned()
}

fn one(results: &[ProbeResult]) -> &ProbeResult {
    let [result] = results else { panic!("{results:?}") };
    result
}

/// The agent of `snmp-v2c-net-snmp-5.9.3`; without version 3 when `old`.
fn agent(old: bool) -> impl Fn(&[u8]) -> Vec<Vec<u8>> {
    move |question| {
        let place = |bytes: &[u8]| bytes.windows(2).position(|pair| pair == [0x02, 0x04]).unwrap() + 2;
        let id = question[place(question)..][..4].to_vec();
        let answer = |name| {
            let mut bytes = transcript(name);
            let old_id = 0x0123_4567_u32.to_be_bytes();
            for at in 0..bytes.len() - 4 {
                if bytes[at..at + 4] == old_id {
                    bytes[at..at + 4].copy_from_slice(&id);
                }
            }
            vec![bytes]
        };
        match question[4] {
            3 if old => Vec::new(),
            3 => answer("snmp-v3-net-snmp-5.9.3"),
            1 if question.windows(6).any(|bytes| bytes == b"public") => answer("snmp-v2c-net-snmp-5.9.3"),
            _ => Vec::new(),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn snmp_with_and_without_a_community() {
    let host = Target::start(161, agent(false)).await;
    let results = host.probe(&settings(&[Check::Handshake])).await;
    let result = one(&results);
    assert_eq!(
        (result.check, result.outcome, result.reason.as_deref()),
        (Check::Handshake, Outcome::Answered, None)
    );
    assert_eq!((result.protocol.as_deref(), result.connections), (Some("snmp"), 1));
    let snmp = result.records.snmp.as_ref().unwrap();
    assert_eq!(
        (snmp.version.as_str(), snmp.engine_enterprise, snmp.community_accepted),
        ("3", Some(8072), None)
    );
    assert!(host.heard().iter().all(|datagram| !text_of(datagram).contains("public")), "that is a login");

    let host = Target::start(161, agent(false)).await;
    let results = host.probe(&settings(EVERYTHING)).await;
    let [_, login] = results.as_slice() else { panic!("{results:?}") };
    assert_eq!((login.check, login.outcome), (Check::AnonymousLogin, Outcome::Answered));
    let snmp = login.records.snmp.as_ref().unwrap();
    assert_eq!((snmp.version.as_str(), snmp.community_accepted), ("2c", Some(true)));
    assert_eq!(snmp.sys_object_id.as_deref(), Some("1.3.6.1.4.1.8072.3.2.10"));
    assert!(login.blobs.is_empty(), "the community is in the answer");
    assert_eq!(host.checks.lock().unwrap().as_slice(), [Check::Handshake, Check::AnonymousLogin]);
}

#[tokio::test(start_paused = true)]
async fn snmp_that_knows_no_version_3_or_no_public() {
    let host = Target::start(161, agent(true)).await;
    let results = host.probe(&settings(EVERYTHING)).await;
    let [handshake, login] = results.as_slice() else { panic!("{results:?}") };
    assert_eq!((handshake.outcome, handshake.protocol.as_deref()), (Outcome::Answered, Some("snmp")));
    assert_eq!(handshake.records.snmp, None);
    assert_eq!(login.records.snmp.as_ref().unwrap().community_accepted, Some(true));

    // It answers its engine's id, and silence to everything else: that is how agents refuse.
    let host =
        Target::start(161, |question| if question[4] == 3 { agent(false)(question) } else { vec![] }).await;
    let results = host.probe(&settings(EVERYTHING)).await;
    let [_, login] = results.as_slice() else { panic!("{results:?}") };
    assert_eq!((login.outcome, login.connections), (Outcome::Answered, 2));
    assert_eq!(login.records.snmp.as_ref().unwrap().community_accepted, Some(false));
    // Each of three exchanges, and the silent two of them twice.
    assert_eq!(host.heard().len(), 1 + 2 + 2);

    let host = Target::silent(161).await;
    let results = host.probe(&settings(EVERYTHING)).await;
    let [handshake, login] = results.as_slice() else { panic!("{results:?}") };
    for result in [handshake, login] {
        assert_eq!((result.outcome, result.reason.as_deref()), (Outcome::Limited, Some("silent")));
        assert_eq!((result.protocol.as_deref(), &result.records.snmp), (None, &None));
    }
}

/// A device that answers a search, of which `location` is the description.
fn device(location: &'static str) -> impl Fn(&[u8]) -> Vec<Vec<u8>> {
    move |question| {
        let answer = |target: &str| {
            format!(
                "HTTP/1.1 200 OK\r\nST: {target}\r\nUSN: uuid:1::{target}\r\nSERVER: Example/1.0 UPnP/1.1\r\n\
                 LOCATION: {location}\r\n\r\n"
            )
            .into_bytes()
        };
        let question = text_of(question);
        if question.contains("ST: ssdp:all") {
            return (0..20).map(|n| answer(&format!("urn:service:{n}"))).collect();
        }
        if question.starts_with("M-SEARCH") { vec![answer("upnp:rootdevice")] } else { Vec::new() }
    }
}

/// A web server that gives the description of a router.
async fn description() -> Host {
    Host::start(|_, mut stream| async move {
        let request = until(&mut stream, b"\r\n\r\n").await.unwrap();
        assert!(text_of(&request).starts_with("GET /rootDesc.xml?a=1 HTTP/1.1\r\n"));
        let body = transcript("upnp-miniupnpd-2.3.1");
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        use tokio::io::AsyncWriteExt;
        let _ = stream.write_all(head.as_bytes()).await;
        let _ = stream.write_all(&body).await;
        drain(&mut stream).await;
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn ssdp_and_its_description() {
    let web = description().await;
    let location: &'static str =
        Box::leak(format!("http://127.0.0.1:{}/rootDesc.xml?a=1", web.endpoint.port).into_boxed_str());
    let mut host = Target::start(1900, device(location)).await;
    host.web = Some(web);
    let results = host.probe(&settings(EVERYTHING)).await;
    let [handshake, reflector] = results.as_slice() else { panic!("{results:?}") };
    assert_eq!((handshake.outcome, handshake.protocol.as_deref()), (Outcome::Answered, Some("ssdp")));
    let ssdp = handshake.records.ssdp.as_ref().unwrap();
    assert_eq!(
        (ssdp.server.as_deref(), ssdp.location.as_deref()),
        (Some("Example/1.0 UPnP/1.1"), Some(location))
    );
    assert_eq!(ssdp.search_targets, ["upnp:rootdevice"]);
    assert_eq!(handshake.records.upnp.as_ref().unwrap().model_name.as_deref(), Some("EX-1200"));
    assert_eq!(handshake.connections, 2);
    assert_eq!(handshake.records.reflector, None);

    assert_eq!((reflector.check, reflector.outcome), (Check::Reflector, Outcome::Answered));
    assert_eq!(reflector.records.ssdp.as_ref().unwrap().search_targets.len(), 20);
    let measured = reflector.records.reflector.as_ref().unwrap();
    assert_eq!((measured.answer_packets, measured.request_bytes), (20, host.heard()[1].len() as i64));
    assert_eq!(measured.factor_milli, measured.answer_bytes * 1000 / measured.request_bytes);
    assert!(measured.factor_milli > 10_000);
    host.web.unwrap().left_alone().await;
}

#[tokio::test(start_paused = true)]
async fn referrals_lead_nowhere_else() {
    for location in [
        "http://192.168.1.1:80/rootDesc.xml",
        "http://198.51.100.7/rootDesc.xml",
        "http://router.local/rootDesc.xml",
        "http://127.0.0.2/rootDesc.xml",
        "ftp://127.0.0.1/rootDesc.xml",
        // Every byte would be printed there.
        "http://127.0.0.1:9100/rootDesc.xml",
    ] {
        let host = Target::start(1900, device(location)).await;
        let results = host.probe(&settings(&[Check::Handshake])).await;
        assert_eq!(one(&results).records.ssdp.as_ref().unwrap().location.as_deref(), Some(location));
        assert_eq!(host.dialled.lock().unwrap().as_slice(), [], "{location}");
    }
    // A permit that is refused spoils nothing.
    let host = Target::start(1900, device("http://127.0.0.1:5000/")).await;
    let results = host.probe(&settings(&[Check::Handshake])).await;
    assert_eq!((one(&results).outcome, &one(&results).records.upnp), (Outcome::Answered, &None));
    assert_eq!(host.dialled.lock().unwrap().as_slice(), [Endpoint::tcp(host.addr.ip(), 5000)]);
    // Nor do ten devices make ten connections.
    let many = Target::start(1900, |question| {
        (5000..5010)
            .flat_map(|port| {
                device(Box::leak(format!("http://127.0.0.1:{port}/").into_boxed_str()))(question)
            })
            .collect()
    })
    .await;
    many.probe(&settings(&[Check::Handshake])).await;
    assert_eq!(many.dialled.lock().unwrap().len(), 2);
}

/// A camera that looks for its own type in the question, after the manner of many.
fn camera(question: &[u8]) -> Vec<Vec<u8>> {
    let question = text_of(question);
    if !question.contains("NetworkVideoTransmitter") {
        return Vec::new();
    }
    let id = question.split("<wsa:MessageID>").nth(1).unwrap().split('<').next().unwrap();
    let answer = text_of(&transcript("wsd-camera"));
    let answer = answer
        .replace("urn:uuid:11223344-5566-7788-9900-aabbccddeeff", id)
        .replace("http://192.0.2.1/", "http://127.0.0.1:8899/");
    vec![answer.into_bytes()]
}

#[tokio::test(start_paused = true)]
async fn ws_discovery_and_the_camera_behind_it() {
    let web = Host::saying(
        b"HTTP/1.1 400 Bad Request\r\nServer: gSOAP/2.8\r\nContent-Length: 5\r\n\r\nwrong".to_vec(),
    )
    .await;
    let port = web.endpoint.port;
    let mut host = Target::start(3702, move |question| {
        camera(question)
            .into_iter()
            .map(|answer| text_of(&answer).replace(":8899/", &format!(":{port}/")).into_bytes())
            .collect()
    })
    .await;
    host.web = Some(web);
    let results = host.probe(&settings(&[Check::Handshake])).await;
    let result = one(&results);
    assert_eq!((result.outcome, result.protocol.as_deref()), (Outcome::Answered, Some("wsd")));
    let wsd = result.records.wsd.as_ref().unwrap();
    assert_eq!((wsd.name.as_deref(), wsd.hardware.as_deref()), (Some("EXAMPLE NC-D2042"), Some("NC-D2042")));
    let http = result.records.http.as_ref().unwrap();
    assert_eq!((http.status, http.server.as_deref()), (400, Some("gSOAP/2.8")));
    // Every kind was asked for first, twice; the camera's own once.
    assert_eq!((host.heard().len(), result.connections), (3, 3));
    host.web.unwrap().left_alone().await;
}

#[tokio::test(start_paused = true)]
async fn multicast_dns_asked_of_one_host() {
    let host = Target::start(5353, |question| {
        let message = dns::Message::decode(question).unwrap();
        let name = match message.questions.len() {
            1 => "mdns-avahi-0.8-services",
            _ => "mdns-avahi-0.8-instances",
        };
        vec![replayed(name, 0, question, 0..2)]
    })
    .await;
    let results = host.probe(&settings(EVERYTHING)).await;
    let result = one(&results);
    assert_eq!((result.outcome, result.protocol.as_deref()), (Outcome::Answered, Some("mdns")));
    let mdns = result.records.mdns.as_ref().unwrap();
    assert_eq!(mdns.services.len(), 3);
    assert_eq!(mdns.names.len(), 4);
    assert_eq!(mdns.texts, ["path=/index.html", "model=NC-100"]);
    // Two questions, one exchange.
    assert_eq!((host.heard().len(), result.connections), (2, 1));
}

/// A name server that looks names up for anybody when `open`.
fn name_server(open: bool) -> impl Fn(&[u8]) -> Vec<Vec<u8>> {
    move |question| {
        let mut message = dns::Message::decode(question).unwrap();
        let asked = message.questions[0].clone();
        message.response = true;
        if asked == dns::Question::version_bind() {
            return vec![replayed("dns-dnsmasq-2.90-version", 0, question, 0..2)];
        }
        message.recursion_available = open;
        let ours = asked.name.parent() == Name::from_text("probe.example");
        if open && ours {
            let data = dns::Data::A([192, 0, 2, 53].into());
            message.answers.push(dns::Record { name: asked.name, kind: 1, class: 1, ttl_s: 1, data });
        } else {
            message.rcode = dns::rcode::REFUSED;
        }
        vec![message.encode()]
    }
}

#[tokio::test(start_paused = true)]
async fn name_servers() {
    for open in [true, false] {
        let host = Target::start(53, name_server(open)).await;
        let settings =
            ProbeSettings { recursion_zone: Name::from_text("probe.example"), ..settings(EVERYTHING) };
        let results = host.probe(&settings).await;
        let [handshake, reflector] = results.as_slice() else { panic!("{results:?}") };
        assert_eq!((handshake.outcome, handshake.protocol.as_deref()), (Outcome::Answered, Some("dns")));
        assert_eq!(handshake.records.dns.as_ref().unwrap().version_bind, None, "that is for a reflector");
        let dns = reflector.records.dns.as_ref().unwrap();
        assert_eq!(dns.version_bind.as_deref(), Some("dnsmasq-2.90"));
        assert_eq!((dns.recursion_open, dns.recursion_available), (Some(open), Some(open)));
        assert_eq!(dns.rcode, Some(if open { 0 } else { 5 }));
        assert!(reflector.records.reflector.is_some());
    }
    // Without a zone nobody's name is looked up.
    let host = Target::start(53, name_server(true)).await;
    let results = host.probe(&settings(&[Check::Reflector])).await;
    assert_eq!(one(&results).records.dns.as_ref().unwrap().recursion_open, None);
    assert_eq!(host.heard().len(), 1);
}

/// A time server that does what strangers ask in modes 3, 6 and 7, as far as `modes` go.
fn time_server(modes: &'static [u8]) -> impl Fn(&[u8]) -> Vec<Vec<u8>> {
    move |question| match question[0] & 7 {
        mode if !modes.contains(&mode) => Vec::new(),
        3 => vec![replayed("ntp-chrony-4.3", 24, question, 40..48)],
        6 => [2, 1].map(|n| replayed(&format!("ntp-control-two-fragments-{n}"), 2, question, 2..4)).into(),
        _ => vec![transcript("ntp-private-timer-stats")],
    }
}

#[tokio::test(start_paused = true)]
async fn time_servers() {
    let host = Target::start(123, time_server(&[3, 6, 7])).await;
    let results = host.probe(&settings(EVERYTHING)).await;
    let [handshake, reflector] = results.as_slice() else { panic!("{results:?}") };
    let ntp = handshake.records.ntp.as_ref().unwrap();
    assert_eq!((ntp.stratum, ntp.version, ntp.private_answers), (Some(3), Some(4), None));
    assert_eq!(ntp.reference_id.as_deref(), Some("127.127.1.1"));
    let ntp = reflector.records.ntp.as_ref().unwrap();
    assert_eq!(ntp.control_system.as_deref(), Some("Linux/2.6.36"));
    assert_eq!((ntp.control_processor.as_deref(), ntp.private_answers), (Some("mips"), Some(true)));
    let measured = reflector.records.reflector.as_ref().unwrap();
    assert_eq!((measured.request_bytes, measured.answer_packets), (12, 2));

    // A server of today: the time, and nothing else. Its silence is an answer because it lives.
    let host = Target::start(123, time_server(&[3])).await;
    let results = host.probe(&settings(EVERYTHING)).await;
    let [_, reflector] = results.as_slice() else { panic!("{results:?}") };
    assert_eq!((reflector.outcome, reflector.protocol.as_deref()), (Outcome::Answered, Some("ntp")));
    let ntp = reflector.records.ntp.as_ref().unwrap();
    assert_eq!((&ntp.control_version, ntp.private_answers), (&None, Some(false)));
    assert_eq!(reflector.records.reflector, None);

    let host = Target::silent(123).await;
    let results = host.probe(&settings(&[Check::Reflector])).await;
    assert_eq!((one(&results).outcome, &one(&results).records.ntp), (Outcome::Limited, &None));
}

#[tokio::test(start_paused = true)]
async fn coap_that_answers_later() {
    let host = Target::start(5683, |question| {
        if question.len() == 4 {
            return Vec::new();
        }
        let acknowledged = [&[0x60, 0], &question[2..4]].concat();
        let mut later = replayed("coap-libcoap-4.3.1", 4, question, 4..8);
        later[0] = 0x44;
        later[2..4].copy_from_slice(&[7, 7]);
        vec![acknowledged, later]
    })
    .await;
    let results = host.probe(&settings(EVERYTHING)).await;
    let coap = one(&results).records.coap.as_ref().unwrap();
    assert_eq!((coap.code.as_str(), coap.resources.len()), ("2.05", 4));
    while host.heard().len() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(host.heard()[1], [0x60, 0, 7, 7], "it is acknowledged");
}

/// A telephone: rings first, in its way.
fn telephone(question: &[u8]) -> Vec<Vec<u8>> {
    let question = text_of(question);
    let Some(call) = question.lines().find(|line| line.starts_with("Call-ID:")) else { return Vec::new() };
    ["100 Trying", "200 OK"]
        .map(|status| {
            format!("SIP/2.0 {status}\r\n{call}\r\nUser-Agent: Phone\r\nAllow: INVITE\r\n\r\n").into_bytes()
        })
        .into()
}

#[tokio::test(start_paused = true)]
async fn telephones_at_odd_ports_too() {
    for port in [5060, 40_000] {
        let host = Target::start(port, telephone).await;
        let results = host.probe(&settings(EVERYTHING)).await;
        let result = one(&results);
        assert_eq!((result.outcome, result.protocol.as_deref()), (Outcome::Answered, Some("sip")), "{port}");
        let sip = result.records.sip.as_ref().unwrap();
        assert_eq!((sip.status, sip.user_agent.as_deref()), (200, Some("Phone")));
        assert!(!result.blobs.is_empty());
    }
}

/// A name server where nobody expects one says that it cannot read the question. Then it is asked
/// as one, and measured as one.
#[tokio::test(start_paused = true)]
async fn a_protocol_shows_itself_by_its_errors() {
    let host = Target::start(40_001, |question| {
        if question.starts_with(b"OPTIONS") {
            let mut refusal =
                dns::Message { response: true, rcode: dns::rcode::FORMERR, ..Default::default() };
            refusal.id = u16::from_be_bytes([question[0], question[1]]);
            return vec![refusal.encode()];
        }
        match dns::Message::decode(question) {
            Ok(_) => name_server(false)(question),
            Err(_) => Vec::new(),
        }
    })
    .await;
    let results = host.probe(&settings(EVERYTHING)).await;
    let [handshake, reflector] = results.as_slice() else { panic!("{results:?}") };
    assert_eq!(handshake.protocol.as_deref(), Some("dns"));
    assert_eq!(handshake.records.dns.as_ref().unwrap().rcode, Some(1));
    assert_eq!(reflector.records.dns.as_ref().unwrap().version_bind.as_deref(), Some("dnsmasq-2.90"));
}

#[tokio::test(start_paused = true)]
async fn answers_with_other_ids_are_not_believed() {
    for (port, name) in [
        (161, "snmp-v3-net-snmp-5.9.3"),
        (161, "snmp-v2c-net-snmp-5.9.3"),
        (123, "ntp-chrony-4.3"),
        (53, "dns-bind-9.18-version"),
        (5353, "mdns-avahi-0.8-services"),
        (5683, "coap-libcoap-4.3.1"),
        (5060, "sip-kamailio-5.6.3"),
        (3702, "wsd-camera"),
        (123, "ntp-control-ntpsec-1.2.2"),
    ] {
        let host = Target::start(port, move |_| vec![transcript(name)]).await;
        let results = host.probe(&settings(&[Check::Handshake])).await;
        let result = one(&results);
        assert_eq!((result.outcome, result.reason.as_deref()), (Outcome::Limited, Some("silent")), "{name}");
        assert_eq!(result.records, Default::default(), "{name}");
    }
}

/// Answers count only from the address and port that were asked.
#[tokio::test(start_paused = true)]
async fn answers_of_others_are_not_heard() {
    let host = Target::silent(123).await;
    let asked = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let silent = asked.local_addr().unwrap();
    let host = Target { addr: silent, ..host };
    // This one answers the asked one's datagrams, rightly, from a port of its own.
    tokio::spawn(async move {
        let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut bytes = [0; 100];
        while let Ok((len, from)) = asked.recv_from(&mut bytes).await {
            for answer in time_server(&[3])(&bytes[..len]) {
                other.send_to(&answer, from).await.unwrap();
            }
        }
    });
    let results = host.probe(&settings(&[Check::Handshake])).await;
    assert_eq!((one(&results).outcome, one(&results).reason.as_deref()), (Outcome::Limited, Some("silent")));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_can_read_is_kept_as_it_is() {
    let host = Target::start(40_002, |_| vec![b"\x01\x02 hello, password=secret".to_vec()]).await;
    let results = host.probe(&settings(EVERYTHING)).await;
    let result = one(&results);
    assert_eq!((result.outcome, result.protocol.as_deref()), (Outcome::Answered, Some("unknown")));
    let unknown = result.records.unknown.as_ref().unwrap();
    assert!(unknown.banner.contains("hello") && !unknown.banner.contains("secret"));
}

#[tokio::test(start_paused = true)]
async fn nobody_listens() {
    let port = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let host = Target { addr: port, ..Target::silent(40_003).await };
    let results = host.probe(&settings(EVERYTHING)).await;
    let result = one(&results);
    assert_eq!((result.outcome, result.reason.as_deref()), (Outcome::Refused, Some("refused")));
    assert_eq!(result.connections, 1, "a shut port is not asked again");
}

#[tokio::test(start_paused = true)]
async fn a_listen_only_port_hears_nothing() {
    for (port, granted, first) in [
        (9600, EVERYTHING, Check::Handshake),
        (47_808, &[Check::Handshake, Check::IcsIdentity], Check::IcsIdentity),
    ] {
        let host = Target::start(port, |_| panic!("it was spoken to")).await;
        let listen_only = ProbeSettings { listen_only: true, ..settings(granted) };
        let results = host.probe(&listen_only).await;
        let result = one(&results);
        assert_eq!((result.check, result.outcome), (first, Outcome::Limited));
        assert_eq!(result.reason.as_deref(), Some("listen-only"));
        assert_eq!((host.opened.load(Ordering::SeqCst), host.heard().len()), (0, 0));
    }
}

/// A controller of which one property is a secret, and which lets one question fall.
fn controller(question: &[u8]) -> Vec<Vec<u8>> {
    let name = match question[8] {
        120 => "vendor-id",
        121 => "vendor",
        70 => "model",
        44 => "unknown-property",
        77 => return Vec::new(),
        75 => "instance",
        _ => panic!("{question:?}"),
    };
    let mut answer = transcript(&format!("bacnet-bacpypes3-{name}"));
    // The number of the question stands behind the kinds of message.
    answer[7] = question[8];
    vec![b"rubbish".to_vec(), answer]
}

#[tokio::test(start_paused = true)]
async fn controllers_say_what_they_are() {
    let granted = &[Check::Handshake, Check::IcsIdentity, Check::Reflector];
    let host = Target::start(47_808, controller).await;
    let results = host.probe(&settings(granted)).await;
    let result = one(&results);
    assert_eq!((result.check, result.outcome), (Check::IcsIdentity, Outcome::Answered));
    assert_eq!((result.protocol.as_deref(), result.connections), (Some("bacnet"), 1));
    let bacnet = result.records.bacnet.as_ref().unwrap();
    assert!(bacnet.vendor_id.is_some() && bacnet.vendor.is_some() && bacnet.model.is_some(), "{bacnet:?}");
    assert!(bacnet.instance.is_some(), "{bacnet:?}");
    assert_eq!((&bacnet.firmware, &bacnet.object_name), (&None, &None));
    assert_eq!(host.heard().len(), 6);

    let silent = Target::silent(47_808).await;
    let results = silent.probe(&settings(granted)).await;
    assert_eq!((one(&results).outcome, one(&results).reason.as_deref()), (Outcome::Limited, Some("silent")));
    assert_eq!(silent.heard().len(), 2, "without an answer to the first, none other is put");
    assert!(Target::silent(47_808).await.probe(&settings(EVERYTHING)).await.is_empty());
}

/// The engine asks which row there will be at least: the probe keeps to it.
#[tokio::test(start_paused = true)]
async fn the_first_check_is_made() {
    let all = [Check::Handshake, Check::AnonymousLogin, Check::Reflector, Check::IcsIdentity];
    for port in [53, 123, 161, 1900, 3702, 5060, 5353, 5683, 40_000, 47_808] {
        for bits in 0..16_u32 {
            let granted: Vec<Check> = (0..4).filter(|n| bits >> n & 1 == 1).map(|n: usize| all[n]).collect();
            let settings = settings(&granted);
            let host = Target::silent(port).await;
            let results = host.probe(&settings).await;
            let first = results.first().map(|result| result.check);
            assert_eq!(first, first_check(port, &settings.granted), "{port} {granted:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_permit_ends_the_check() {
    let mut host = Target::silent(40_004).await;
    host.refuse_after = 2;
    let results = host.probe(&settings(&[Check::Handshake])).await;
    assert_eq!((one(&results).outcome, one(&results).reason.as_deref()), (Outcome::Limited, Some("revoked")));
    assert_eq!(host.heard().len(), 4, "two exchanges, each put twice");
}

#[tokio::test(start_paused = true)]
async fn silence_costs_what_it_may() {
    let host = Target::silent(40_005).await;
    let limits = settings(EVERYTHING).limits;
    let began = Instant::now();
    let results = host.probe(&settings(EVERYTHING)).await;
    assert_eq!(one(&results).connections, limits.connections_max);
    assert_eq!(host.heard().len() as u32, 2 * limits.connections_max);
    assert!(began.elapsed() <= limits.answer * limits.connections_max + Duration::from_secs(1));
}

/// Hosts that send and send: the limits hold, and what was learned stays.
#[tokio::test(start_paused = true)]
async fn floods_are_cut() {
    let datagram = device("http://192.0.2.1/")(b"M-SEARCH").remove(0);
    let small = datagram.clone();
    for (flood, reason) in
        [(vec![small; 400], "steps"), (vec![[datagram.as_slice(), &[b' '; 8_000]].concat(); 20], "bytes")]
    {
        let host = Target::start(1900, move |_| flood.clone()).await;
        let results = host.probe(&settings(EVERYTHING)).await;
        for result in &results {
            assert_eq!((result.outcome, result.reason.as_deref()), (Outcome::Limited, Some(reason)));
            assert_eq!(result.protocol.as_deref(), Some("ssdp"));
        }
        let measured = results[1].records.reflector.as_ref().unwrap();
        assert!(measured.answer_bytes <= 64 * 1024 && measured.answer_packets <= 256 * 6);
    }
    // Rubbish in place of answers, and answers to nothing that was asked.
    let host = Target::start(161, |_| vec![vec![0xff; 300]; 300]).await;
    let results = host.probe(&settings(&[Check::Handshake])).await;
    let result = one(&results);
    assert!(matches!(result.reason.as_deref(), Some("steps" | "bytes")), "{result:?}");
    assert_eq!(result.protocol.as_deref(), Some("unknown"));
}

/// One answer a second would go on for ever.
#[tokio::test(start_paused = true)]
async fn a_drip_is_cut_by_time() {
    let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let host = Target { addr: socket.local_addr().unwrap(), ..Target::silent(1900).await };
    tokio::spawn(async move {
        let mut bytes = [0; 2000];
        let (_, from) = socket.recv_from(&mut bytes).await.unwrap();
        loop {
            for answer in device("http://192.0.2.1/")(b"M-SEARCH") {
                socket.send_to(&answer, from).await.unwrap();
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let began = Instant::now();
    let results = host.probe(&settings(&[Check::Handshake])).await;
    let result = one(&results);
    assert_eq!((result.outcome, result.reason.as_deref()), (Outcome::Limited, Some("time")));
    assert!(result.records.ssdp.is_some());
    assert!(began.elapsed() <= settings(EVERYTHING).limits.conversation + Duration::from_secs(1));
}
