//! Services that stand open to whoever comes: found, not found, and asked for again.

use kenshin_insight::asset::hosts;
use kenshin_insight::finding::findings;
use kenshin_insight::intelligence::Intelligence;
use kenshin_insight::judge::{Question, RoundView, judge};
use kenshin_observation::protocol::{
    Adb, Bacnet, Cwmp, Dns, Elasticsearch, Http, Memcached, Modbus, Mongodb, Ntp, Rdp, Records, Redis,
    Reflector, S7, Smb, Snmp, Vnc,
};
use kenshin_observation::{
    AssetId, CaseSubject, Condition, Finding, FindingKind, Identity, Messages, Observation, Remedy, Severity,
};

use crate::world::{endpoint, seen, spoken, t0};

fn of(observation: &Observation) -> Vec<Finding> {
    let found =
        findings(AssetId::from_bits(7), &[observation], &Identity::default(), &Intelligence::default(), t0());
    let messages = Messages::builtin();
    for finding in &found {
        assert_eq!(finding.remedy, Remedy::CloseService);
        for language in ["en", "ja"] {
            assert!(messages.codes(language).any(|code| code == finding.explanation.code), "{finding:?}");
            let prose = messages.explain(language, &finding.explanation);
            assert!(!prose.contains(['{', '}']), "{prose}");
        }
    }
    found
}

fn saw(protocol: &str, put: impl FnOnce(&mut Records)) -> Observation {
    spoken(seen(1, 4000), protocol, put)
}

fn reflects(milli: i64) -> Option<Box<Reflector>> {
    let answer_bytes = 12 * milli / 1_000;
    Some(Reflector { request_bytes: 12, answer_bytes, answer_packets: 2, factor_milli: milli }.into())
}

#[test]
fn what_stands_open_is_one_finding() {
    use FindingKind as Kind;
    let text = |text: &str| Some(text.to_owned());
    let redis = |required| Redis { authentication_required: required, ..Redis::default() };
    let mongodb = |required| Mongodb { authentication_required: required, ..Mongodb::default() };
    let search = |required| Elasticsearch { authentication_required: required, ..Elasticsearch::default() };
    let vnc = |required| Vnc { authentication_required: required, ..Vnc::default() };
    let adb = |required| Adb { authentication_required: required, ..Adb::default() };
    let snmp = |accepted| Snmp { community_accepted: accepted, ..Snmp::default() };
    let dns = |open| Dns { recursion_open: open, ..Dns::default() };
    let smb = |smb1| Smb { smb1, ..Smb::default() };
    let rdp = |selected_protocol, failure| Rdp { selected_protocol, failure, ..Rdp::default() };
    let ntp = |private_answers| Ntp { private_answers, ..Ntp::default() };
    let critical = |kind| Some((kind, Severity::Critical));
    let table: Vec<(Observation, Option<(Kind, Severity)>)> = vec![
        (saw("redis", |r| r.redis = Some(redis(Some(false)).into())), critical(Kind::DatabaseOpen)),
        (saw("redis", |r| r.redis = Some(redis(Some(true)).into())), None),
        (saw("redis", |r| r.redis = Some(redis(None).into())), None),
        (saw("mongodb", |r| r.mongodb = Some(mongodb(Some(false)).into())), critical(Kind::DatabaseOpen)),
        (saw("mongodb", |r| r.mongodb = Some(mongodb(None).into())), None),
        (
            saw("memcached", |r| r.memcached = Some(Memcached { version: text("1.6.18") }.into())),
            critical(Kind::DatabaseOpen),
        ),
        (saw("memcached", |r| r.memcached = Some(Memcached { version: None }.into())), None),
        (saw("http", |r| r.elasticsearch = Some(search(Some(false)).into())), critical(Kind::DatabaseOpen)),
        (saw("http", |r| r.elasticsearch = Some(search(Some(true)).into())), None),
        (saw("adb", |r| r.adb = Some(adb(Some(false)).into())), critical(Kind::AdbOpen)),
        (saw("adb", |r| r.adb = Some(adb(Some(true)).into())), None),
        (saw("vnc", |r| r.vnc = Some(vnc(Some(false)).into())), critical(Kind::ScreenOpen)),
        (saw("vnc", |r| r.vnc = Some(vnc(None).into())), None),
        (saw("snmp", |r| r.snmp = Some(snmp(Some(true)).into())), Some((Kind::SnmpPublic, Severity::Medium))),
        (saw("snmp", |r| r.snmp = Some(snmp(None).into())), None),
        (saw("dns", |r| r.dns = Some(dns(Some(true)).into())), Some((Kind::OpenResolver, Severity::Medium))),
        (saw("dns", |r| r.dns = Some(dns(None).into())), None),
        (saw("dns", |r| r.reflector = reflects(4_999)), None),
        (saw("ssdp", |r| r.reflector = reflects(5_000)), Some((Kind::Amplifier, Severity::Medium))),
        (saw("ntp", |r| r.reflector = reflects(50_000)), Some((Kind::Amplifier, Severity::High))),
        (
            saw("ntp", |r| {
                (r.ntp, r.reflector) = (Some(ntp(Some(true)).into()), reflects(1_000));
            }),
            Some((Kind::Amplifier, Severity::High)),
        ),
        (saw("modbus", |r| r.modbus = Some(Box::default())), critical(Kind::ControllerExposed)),
        (
            saw("s7", |r| r.s7 = Some(S7 { module: text("6ES7 315-2EH14-0AB0"), ..S7::default() }.into())),
            critical(Kind::ControllerExposed),
        ),
        (
            saw("bacnet", |r| r.bacnet = Some(Bacnet { vendor: text("x"), ..Bacnet::default() }.into())),
            critical(Kind::ControllerExposed),
        ),
        (saw("smb", |r| r.smb = Some(smb(Some(true)).into())), Some((Kind::Smb1, Severity::High))),
        (saw("smb", |r| r.smb = Some(smb(Some(false)).into())), None),
        (saw("smb", |r| r.smb = Some(smb(None).into())), None),
        (
            saw("http", |r| r.cwmp = Some(Cwmp { server: text("RomPager"), realm: None }.into())),
            Some((Kind::CwmpExposed, Severity::Medium)),
        ),
        (
            saw("rdp", |r| r.rdp = Some(rdp(Some(1), None).into())),
            Some((Kind::RdpWithoutNla, Severity::Medium)),
        ),
        (
            saw("rdp", |r| r.rdp = Some(rdp(Some(0), None).into())),
            Some((Kind::RdpWithoutNla, Severity::High)),
        ),
        (saw("rdp", |r| r.rdp = Some(rdp(None, None).into())), Some((Kind::RdpWithoutNla, Severity::High))),
        (
            saw("rdp", |r| r.rdp = Some(rdp(None, Some(2)).into())),
            Some((Kind::RdpWithoutNla, Severity::High)),
        ),
        (saw("rdp", |r| r.rdp = Some(rdp(Some(2), None).into())), None),
        (saw("rdp", |r| r.rdp = Some(rdp(Some(8), None).into())), None),
        (saw("rdp", |r| r.rdp = Some(rdp(None, Some(5)).into())), None),
        (saw("rdp", |r| r.rdp = Some(rdp(None, Some(3)).into())), None),
    ];
    for (observation, expected) in table {
        let found: Vec<_> = of(&observation).iter().map(|f| (f.kind, f.severity)).collect();
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{:?}", observation.records);
    }
}

#[test]
fn an_open_resolver_that_amplifies_is_one_weakness() {
    let dns = Dns { recursion_open: Some(true), ..Dns::default() };
    let found = of(&saw("dns", |r| (r.dns, r.reflector) = (Some(dns.into()), reflects(40_000))));
    assert_eq!(found.iter().map(|f| f.kind).collect::<Vec<_>>(), [FindingKind::OpenResolver]);
}

#[test]
fn they_are_explained_by_what_was_seen() {
    let modbus = Modbus {
        vendor: Some("Acme".into()),
        product_code: Some(" PLC-7 ".into()),
        revision: Some(String::new()),
        exception: None,
    };
    let found = of(&saw("modbus", |r| r.modbus = Some(modbus.into())));
    assert_eq!(found[0].explanation.code, "finding.controller-exposed.named");
    assert_eq!(found[0].explanation.args["plate"], "Acme PLC-7");
    let found = of(&saw("ntp", |r| r.reflector = reflects(25_370)));
    assert_eq!(found[0].explanation.args["factor"], "25.3");
    assert_eq!(found[0].evidence[0].value, "304 bytes answered to 12, in 2 packets");
    let engine = Elasticsearch {
        distribution: Some("opensearch".into()),
        authentication_required: Some(false),
        ..Elasticsearch::default()
    };
    let found = of(&saw("http", |r| r.elasticsearch = Some(engine.into())));
    assert_eq!(found[0].explanation.args["product"], "OpenSearch");
}

/// What a re-check says that sees `after` where `before` was found open.
fn rechecked(kind: FindingKind, before: Observation, after: Observation) -> (Condition, String) {
    let hosts_before = hosts([&before], |_| None);
    let hosts_after = hosts([&after], |_| None);
    let found = of(&after);
    let subject = CaseSubject {
        asset_id: AssetId::from_bits(7),
        endpoint: endpoint(1, 4000),
        keys: Vec::new(),
        product: None,
        time: t0(),
    };
    let question = Question {
        subject: &subject,
        remedy: Remedy::CloseService,
        kinds: &[kind],
        before: hosts_before.get(&subject.endpoint.addr),
        pool_covered: true,
    };
    let (covers, current) = (|_| true, |asset| asset);
    let round = RoundView::new(&hosts_after, &found, Default::default(), &covers, &current);
    let judgement = judge(&question, &round);
    (judgement.condition, judgement.reasons[0].code.clone())
}

#[test]
fn a_recheck_asks_the_same_question() {
    let redis = |required| {
        let record = Redis { authentication_required: Some(required), ..Redis::default() };
        saw("redis", |r| r.redis = Some(record.into()))
    };
    let kind = FindingKind::DatabaseOpen;
    let of_redis = |after| rechecked(kind, redis(false), after);
    assert_eq!(of_redis(redis(false)), (Condition::Affected, "judge.affected".into()));
    assert_eq!(of_redis(redis(true)), (Condition::Clean, "judge.clean".into()));
    // It answers, and nobody asked whether it wants a password.
    let silent = saw("redis", |_| {});
    assert_eq!(of_redis(silent), (Condition::Unobservable, "judge.not-asked.exposure".into()));

    let agent = |accepted| {
        let record = Snmp { version: "2c".into(), community_accepted: accepted, ..Snmp::default() };
        saw("snmp", |r| r.snmp = Some(record.into()))
    };
    let of_agent = |after| rechecked(FindingKind::SnmpPublic, agent(Some(true)), after);
    assert_eq!(of_agent(agent(Some(false))).0, Condition::Clean);
    assert_eq!(of_agent(agent(None)), (Condition::Unobservable, "judge.not-asked.exposure".into()));

    let page = |status| {
        let http = Http { status, server: Some("gw".into()), ..Http::default() };
        saw("http", |r| r.http = Some(http.into()))
    };
    let mut wakes = page(401);
    wakes.records.cwmp = Some(Cwmp { server: Some("gw".into()), realm: None }.into());
    let of_gateway = |after| rechecked(FindingKind::CwmpExposed, wakes.clone(), after);
    assert_eq!(of_gateway(page(401)).0, Condition::Clean);
    assert_eq!(of_gateway(page(503)).0, Condition::Unobservable, "busy is no answer");
}

#[test]
fn hosts_of_earlier_builds_open() {
    let host = r#"{"addr":"198.51.100.1","services":[{"endpoint":{"addr":"198.51.100.1","port":23,"transport":"tcp"},
        "outcome":"answered","open":true,"protocol":"telnet","banner":"login:","tls":false,"keys":[],"anonymous":null,
        "credential":null,"time":1775001600000000}],"product":null,"version_shown":false,"versioned_ports":[]}"#;
    let host: kenshin_insight::asset::Host = serde_json::from_str(host).unwrap();
    let service = host.services.values().next().unwrap();
    assert!(service.told.is_empty());
    let written = serde_json::to_string(&host).unwrap();
    assert_eq!(serde_json::from_str::<kenshin_insight::asset::Host>(&written).unwrap(), host);
}
