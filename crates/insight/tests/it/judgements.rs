//! Judging a re-check: every rule and its ties, from observations to the condition.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::LazyLock;

use kenshin_insight::asset::{AssetLinks, Host, Resolution, hosts, resolve};
use kenshin_insight::finding::findings;
use kenshin_insight::intelligence::{Importer, Intelligence, IntelligenceKind};
use kenshin_insight::judge::{Judgement, Question, RoundView, judge};
use kenshin_observation::protocol::{Http, Tls};
use kenshin_observation::{
    AssetId, CaseSubject, Condition, Finding, FindingKind, Identity, Messages, Observation, Outcome, Remedy,
    SurveyId,
};
use proptest::prelude::*;

use crate::world::{DAY, Seen, addr, device, endpoint, good_tls, seen, swept, t0};

static INTELLIGENCE: LazyLock<Intelligence> = LazyLock::new(intelligence);
static MESSAGES: LazyLock<Messages> = LazyLock::new(Messages::builtin);

/// One round: what was seen, and what each address was identified as.
#[derive(Clone, Default)]
struct Round {
    seen: Vec<Observation>,
    identities: Vec<(u8, Identity)>,
}

fn round(seen: impl IntoIterator<Item = Observation>) -> Round {
    Round { seen: seen.into_iter().collect(), identities: Vec::new() }
}

impl Round {
    fn is(mut self, last: u8, product: &str, version: &str) -> Self {
        let vendor = if product == "Printer" { "Other Corp." } else { "Acme" };
        self.identities.push((last, device(vendor, product, version, "camera")));
        self
    }
}

/// A round that was assessed.
struct Assessed {
    hosts: BTreeMap<IpAddr, Host>,
    resolution: Resolution,
    findings: Vec<Finding>,
}

/// A case opened by one round and re-checked by the next.
#[derive(Clone)]
struct Scene {
    before: Round,
    now: Round,
    /// Where the case is.
    at: (u8, u16),
    remedy: Remedy,
    pool_covered: bool,
    covered: fn(u8) -> bool,
    /// The observations of the first round are gone.
    forgotten: bool,
    kinds_known: bool,
}

fn scene(remedy: Remedy, port: u16, before: Round, now: Round) -> Scene {
    let at = (1, port);
    Scene {
        before,
        now,
        at,
        remedy,
        pool_covered: true,
        covered: |_| true,
        forgotten: false,
        kinds_known: true,
    }
}

fn intelligence() -> Intelligence {
    let mut kev = Importer::new(IntelligenceKind::Kev);
    let entry = r#"{"catalogVersion":"1","vulnerabilities":[{"cveID":"CVE-2099-0001","vendorProject":"Acme","product":"Cam","dateAdded":"2026-01-01"}]}"#;
    kev.read("kev", entry.as_bytes()).unwrap();
    let mut cve = Importer::new(IntelligenceKind::Cve);
    let record = r#"{"cveMetadata":{"cveId":"CVE-2099-0001","state":"PUBLISHED"},"containers":{"cna":{"affected":[{"vendor":"acme","product":"cam","defaultStatus":"unaffected","versions":[{"version":"0","status":"affected","lessThan":"2.0"}]}]}}}"#;
    cve.read("cve", record.as_bytes()).unwrap();
    let today = "2026-04-01".parse().unwrap();
    Intelligence::new([kev.finish(today).snapshot, cve.finish(today).snapshot])
}

fn assess(links: &AssetLinks, round: &Round, number: u128, intelligence: &Intelligence) -> Assessed {
    let identity = |addr: IpAddr| {
        round
            .identities
            .iter()
            .find(|(last, _)| crate::world::addr(*last) == addr)
            .map(|(_, identity)| identity)
    };
    let hosts = hosts(&round.seen, identity);
    let now = t0().plus_secs(14 * DAY * i64::try_from(number).unwrap());
    let mut count = number * 1_000;
    let resolution = resolve(links, &hosts, SurveyId::from_bits(number), now, || {
        count += 1;
        AssetId::from_bits(count)
    });
    let mut found = Vec::new();
    for asset in &resolution.assets {
        let own: Vec<&Observation> = round
            .seen
            .iter()
            .filter(|o| resolution.endpoints.get(&o.subject) == Some(&asset.asset_id))
            .collect();
        let known = asset.addrs.iter().find_map(|addr| identity(*addr)).cloned().unwrap_or_default();
        found.extend(findings(asset.asset_id, &own, &known, intelligence, now));
    }
    Assessed { hosts, resolution, findings: found }
}

fn run(scene: &Scene) -> Judgement {
    let before = assess(&AssetLinks::default(), &scene.before, 1, &INTELLIGENCE);
    let mut links = AssetLinks::new(before.resolution.links.clone(), before.resolution.sightings.clone());
    let endpoint = endpoint(scene.at.0, scene.at.1);
    let opening: Vec<&Finding> = before
        .findings
        .iter()
        .filter(|finding| finding.remedy == scene.remedy && finding.endpoint.addr == endpoint.addr)
        .collect();
    let first =
        opening.iter().find(|finding| finding.endpoint == endpoint).expect("the first round finds the case");
    let asset = before.resolution.assets.iter().find(|asset| asset.asset_id == first.asset_id).unwrap();
    let subject = CaseSubject {
        asset_id: asset.asset_id,
        endpoint,
        keys: asset.keys.clone(),
        product: before.hosts[&endpoint.addr].product.clone(),
        time: first.time,
    };
    let mut kinds: Vec<FindingKind> = opening.iter().map(|finding| finding.kind).collect();
    kinds.dedup();

    let now = assess(&links, &scene.now, 2, &INTELLIGENCE);
    links.append(now.resolution.links.clone());
    let covers = |addr: IpAddr| matches!(addr, IpAddr::V4(v4) if (scene.covered)(v4.octets()[3]));
    let current = |asset| links.current(asset);
    let view = RoundView::new(&now.hosts, &now.findings, now.resolution.shared.clone(), &covers, &current);
    let question = Question {
        subject: &subject,
        remedy: scene.remedy,
        kinds: if scene.kinds_known { &kinds } else { &[] },
        before: before.hosts.get(&endpoint.addr).filter(|_| !scene.forgotten),
        pool_covered: scene.pool_covered,
    };
    judge(&question, &view)
}

#[track_caller]
fn check(scene: &Scene, condition: Condition, code: &str) -> Judgement {
    let judgement = run(scene);
    assert_eq!(
        (judgement.condition, judgement.reasons[0].code.as_str()),
        (condition, code),
        "{judgement:#?}"
    );
    assert_eq!(judgement.basis.as_str() == "none", condition == Condition::Unobservable);
    assert_eq!(judgement.still_affected.is_some(), condition == Condition::Elsewhere);
    for reason in &judgement.reasons {
        for language in ["en", "ja"] {
            assert!(MESSAGES.codes(language).any(|code| code == reason.code), "{}", reason.code);
            assert!(!MESSAGES.explain(language, reason).contains('{'), "{reason:?}");
        }
    }
    judgement
}

fn ssh(last: u8, key: &str) -> Observation {
    seen(last, 22).ssh("SSH-2.0-x_1", key)
}

fn telnet(last: u8) -> Observation {
    seen(last, 23).telnet("cam login:")
}

fn refused(last: u8, port: u16) -> Observation {
    swept(last, port, Outcome::Refused)
}

fn dark(last: u8, ports: &[u16]) -> Vec<Observation> {
    ports.iter().map(|port| swept(last, *port, Outcome::Dark)).collect()
}

/// A camera with a key of its own and Telnet open.
fn keyed() -> Round {
    round([ssh(1, "k1"), telnet(1)])
}

/// A camera without a key, with Telnet open and a page.
fn keyless() -> Round {
    round([telnet(1), page(1, "cam/1.0")])
}

fn page(last: u8, server: &str) -> Observation {
    let http = Http { status: 401, server: Some(server.into()), ..Http::default() };
    seen(last, 80).http(http)
}

fn closing(before: Round, now: Round) -> Scene {
    scene(Remedy::CloseService, 23, before, now)
}

#[test]
fn rule_1_a_key_at_home() {
    use Condition::{Affected, Clean, ServiceGone, Unobservable};
    let affected = check(&closing(keyed(), keyed()), Affected, "judge.affected");
    assert_eq!((affected.basis.as_str(), affected.endpoint), ("key", Some(endpoint(1, 23))));
    check(&closing(keyed(), round([ssh(1, "k1"), refused(1, 23)])), ServiceGone, "judge.service-gone");
    let silent = swept(1, 23, Outcome::SilentHostAlive);
    check(&closing(keyed(), round([ssh(1, "k1"), silent])), ServiceGone, "judge.service-gone");
    let shut_off = swept(1, 23, Outcome::Filtered);
    check(&closing(keyed(), round([ssh(1, "k1"), shut_off])), ServiceGone, "judge.service-gone");
    check(&closing(keyed(), round([ssh(1, "k1"), seen(1, 23).ftp("220 x", None)])), Clean, "judge.clean");
    check(&closing(keyed(), round([ssh(1, "k1")])), Unobservable, "judge.not-measured");
    let unfinished = Observation { outcome: Outcome::Limited, protocol: None, ..seen(1, 23) };
    check(&closing(keyed(), round([ssh(1, "k1"), unfinished])), Unobservable, "judge.unfinished");
    let failed = swept(1, 23, Outcome::Error);
    check(&closing(keyed(), round([ssh(1, "k1"), failed])), Unobservable, "judge.unfinished");
    // A tarpit where the service was says nothing of the device.
    let tarpit = Observation { labels: vec!["tarpit".into()], ..seen(1, 23) };
    check(&closing(keyed(), round([ssh(1, "k1"), tarpit])), Unobservable, "judge.unfinished");
    // The same remedy is still needed at another port of the device.
    let other_port = round([ssh(1, "k1"), refused(1, 23), seen(1, 21).ftp("220 x", Some("accepted"))]);
    check(&closing(keyed(), other_port), Affected, "judge.affected");
}

#[test]
fn rule_1_clean_needs_the_question_to_be_asked_again() {
    use Condition::{Affected, Clean, ServiceGone, Unobservable};
    let before = round([ssh(1, "k1"), telnet(1).credential("accepted"), page(1, "a").credential("accepted")]);
    let password = |result: Option<&str>| {
        let asked = result.map(|result| telnet(1).credential(result));
        scene(
            Remedy::ChangePassword,
            23,
            before.clone(),
            round([ssh(1, "k1"), telnet(1)].into_iter().chain(asked)),
        )
    };
    check(&password(Some("rejected")), Clean, "judge.clean");
    check(&password(Some("accepted")), Affected, "judge.affected");
    for unanswered in [None, Some("capped"), Some("locked-out"), Some("interrupted")] {
        check(&password(unanswered), Unobservable, "judge.not-asked.credential");
    }
    let closed = round([ssh(1, "k1"), refused(1, 23), page(1, "a")]);
    check(&scene(Remedy::ChangePassword, 23, before, closed), ServiceGone, "judge.service-gone");

    let before = round([
        ssh(1, "k1"),
        seen(1, 21).ftp("220 x", Some("accepted")),
        seen(1, 1883).mqtt(Some("accepted")),
    ]);
    let anonymous = |ftp: Option<&str>, mqtt: Option<&str>| {
        let now = round([ssh(1, "k1"), seen(1, 21).ftp("220 x", ftp), seen(1, 1883).mqtt(mqtt)]);
        scene(Remedy::CloseService, 21, before.clone(), now)
    };
    check(&anonymous(Some("rejected"), Some("rejected")), Clean, "judge.clean");
    check(&anonymous(Some("rejected"), Some("accepted")), Affected, "judge.affected");
    check(&anonymous(None, Some("rejected")), Unobservable, "judge.not-asked.anonymous");
    check(&anonymous(Some("rejected"), None), Unobservable, "judge.not-asked.anonymous");

    let weak = Tls { version: "TLSv1".into(), ..good_tls("t1") };
    let tls = |now: Observation| {
        scene(Remedy::Update, 443, round([seen(1, 443).tls(weak.clone())]), round([ssh(1, "k9"), now]))
    };
    check(&tls(seen(1, 443).tls(good_tls("t1"))), Clean, "judge.clean");
    check(&tls(seen(1, 443).tls(weak.clone())), Affected, "judge.affected");
    let also_ssh = round([ssh(1, "k1"), seen(1, 443).tls(weak.clone())]);
    let without_tls = round([ssh(1, "k1"), page(1, "x"), seen(1, 443)]);
    check(&scene(Remedy::Update, 443, also_ssh, without_tls), Unobservable, "judge.not-asked.tls");
}

#[test]
fn rule_1_what_a_version_tells() {
    use Condition::{Affected, Clean, ServiceGone, Unobservable};
    let with = |page: Observation, version: &str| round([ssh(1, "k1"), page]).is(1, "Cam", version);
    let before = with(page(1, "cam/1.0"), "1.0");
    let of = |now: Round| scene(Remedy::Update, 80, before.clone(), now);
    check(&of(with(page(1, "cam/1.0"), "1.0")), Affected, "judge.affected");
    check(&of(with(page(1, "cam/2.0"), "2.0")), Clean, "judge.clean.version");
    check(&of(with(page(1, "cam"), "")), Unobservable, "judge.not-asked.version");
    check(&of(with(refused(1, 80), "")), ServiceGone, "judge.service-gone");
    check(&of(with(refused(1, 80), "2.0")), Clean, "judge.clean.version");
    // Two weaknesses of one remedy: the version at one port, the encryption at another.
    let weak = Tls { version: "TLSv1".into(), ..good_tls("t1") };
    let two = |page: Observation, tls: Tls, version: &str| {
        round([page, seen(1, 443).tls(tls)]).is(1, "Cam", version)
    };
    let both = scene(Remedy::Update, 80, two(page(1, "cam/1.0"), weak.clone(), "1.0"), Round::default());
    let then = |now: Round| Scene { now, ..both.clone() };
    check(&then(two(page(1, "cam/2.0"), good_tls("t1"), "2.0")), Clean, "judge.clean.version");
    check(&then(two(page(1, "cam/2.0"), weak, "2.0")), Affected, "judge.affected");
}

#[test]
fn rule_1_a_key_elsewhere() {
    use Condition::{Elsewhere, Unobservable};
    let moved = |still: bool| {
        let telnet = if still { telnet(9) } else { refused(9, 23) };
        round([ssh(9, "k1"), telnet].into_iter().chain(dark(1, &[22, 23])))
    };
    let judgement = check(&closing(keyed(), moved(true)), Elsewhere, "judge.elsewhere.affected");
    assert_eq!((judgement.still_affected, judgement.addr), (Some(true), Some(addr(9))));
    let judgement = check(&closing(keyed(), moved(false)), Elsewhere, "judge.elsewhere.clean");
    assert_eq!((judgement.still_affected, judgement.endpoint), (Some(false), Some(endpoint(9, 22))));
    let outside = Scene { covered: |last| last < 5, ..closing(keyed(), moved(true)) };
    check(&outside, Unobservable, "judge.seen-outside-coverage");
    // Home wins over elsewhere.
    let both = round([ssh(1, "k1"), refused(1, 23), ssh(9, "k1"), telnet(9)]);
    check(&closing(keyed(), both), Condition::ServiceGone, "judge.service-gone");
    // A stranger with the same weakness moved in.
    let stranger = round([ssh(9, "k1"), refused(9, 23), ssh(1, "k2"), telnet(1)]);
    check(&closing(keyed(), stranger), Elsewhere, "judge.elsewhere.clean");
}

#[test]
fn rule_2_keys_that_are_not_seen() {
    use Condition::{Affected, Replaced, ServiceGone, Unobservable};
    check(&closing(keyed(), round(dark(1, &[22, 23]))), Unobservable, "judge.silent");
    check(&closing(keyed(), Round::default()), Unobservable, "judge.not-measured");
    let another = round([ssh(1, "k2"), telnet(1)]);
    let replaced = check(&closing(keyed(), another.clone()), Replaced, "judge.replaced.key");
    assert_eq!(replaced.basis.as_str(), "key");
    check(&Scene { pool_covered: false, ..closing(keyed(), another) }, Unobservable, "judge.other-device");
    let product = round([refused(1, 22), telnet(1)]).is(1, "Printer", "");
    let replaced =
        check(&closing(keyed().is(1, "Cam", ""), product.clone()), Replaced, "judge.replaced.product");
    assert_eq!(
        (replaced.basis.as_str(), replaced.reasons[0].args["product"].as_str()),
        ("address", "Printer")
    );
    let partial = Scene { pool_covered: false, ..closing(keyed().is(1, "Cam", ""), product) };
    check(&partial, Unobservable, "judge.other-device");
    // The same maker's: the model in one round, the operating system in another.
    let same_maker = round([refused(1, 22), telnet(1)]).is(1, "AcmeOS", "");
    check(&closing(keyed().is(1, "Cam", ""), same_maker), Unobservable, "judge.other-product");
    // The service was the key's only carrier and went with it.
    let before = round([ssh(1, "k1").credential("accepted")]);
    let gone = scene(Remedy::ChangePassword, 22, before.clone(), round([refused(1, 22)]));
    check(&gone, ServiceGone, "judge.service-gone.carrier");
    check(&Scene { forgotten: true, ..gone }, Unobservable, "judge.key-not-seen");
    // It still answers, but shows no key: nobody knows who it is.
    let keyless_now = scene(Remedy::ChangePassword, 22, before, round([seen(1, 22).ssh("SSH-2.0-x_1", "")]));
    check(&keyless_now, Unobservable, "judge.key-not-seen");
    // Another service carried the key and is closed: the address speaks, if it is as before.
    let other_carrier = closing(keyed(), round([refused(1, 22), telnet(1)]));
    let judgement = check(&other_carrier, Affected, "judge.affected");
    assert_eq!(judgement.basis.as_str(), "address", "weaker than a key");
    check(&closing(keyed(), round([refused(1, 22), refused(1, 23)])), Unobservable, "judge.not-recognised");
    let page_too = round([ssh(1, "k1"), telnet(1), page(1, "cam/1")]);
    let others = round([refused(1, 22), refused(1, 23), page(1, "cam/2")]);
    check(&closing(page_too, others), ServiceGone, "judge.service-gone");
    // The other carrier answers without its key: the absence is not explained.
    let unexplained = round([seen(1, 22).ssh("SSH-2.0-x_1", ""), refused(1, 23)]);
    check(&closing(keyed(), unexplained), Unobservable, "judge.key-not-seen");
    // Another kind of key on what is known to be the same product is no other device.
    let new_page = round([refused(1, 22), telnet(1), seen(1, 443).tls(good_tls("t9"))]).is(1, "Cam", "");
    check(&closing(keyed().is(1, "Cam", ""), new_page), Affected, "judge.affected");
}

#[test]
fn rule_2_a_renewed_tls_key_is_the_same_device() {
    use Condition::{Affected, Clean, Replaced, Unobservable};
    let weak = |name: &str| Tls { key_bits: Some(1024), ..good_tls(name) };
    let cam = |tls: Tls, product: &str| {
        let round = round([seen(1, 443).tls(tls), telnet(1)]);
        if product.is_empty() { round } else { round.is(1, product, "") }
    };
    let update = |now: Round| scene(Remedy::Update, 443, cam(weak("t1"), "Cam"), now);
    let clean = check(&update(cam(good_tls("t2"), "Cam")), Clean, "judge.clean");
    assert_eq!(clean.basis.as_str(), "address");
    check(&update(cam(weak("t2"), "Cam")), Affected, "judge.affected");
    check(&update(cam(good_tls("t2"), "Printer")), Replaced, "judge.replaced.key");
    check(&update(cam(good_tls("t2"), "")), Replaced, "judge.replaced.key");
    // The other case of the device goes on.
    check(&closing(cam(weak("t1"), "Cam"), cam(good_tls("t2"), "Cam")), Affected, "judge.affected");
    // An SSH host key is not renewed with a certificate.
    let with_ssh = |key: &str, tls: Tls| round([ssh(1, key), seen(1, 443).tls(tls)]).is(1, "Cam", "");
    let both = scene(Remedy::Update, 443, with_ssh("k1", weak("t1")), with_ssh("k2", good_tls("t2")));
    check(&both, Replaced, "judge.replaced.key");
    check(&Scene { pool_covered: false, ..both }, Unobservable, "judge.other-device");
}

#[test]
fn rule_3_without_a_key() {
    use Condition::{Affected, Clean, ServiceGone, Unobservable};
    let affected = check(&closing(keyless(), keyless()), Affected, "judge.affected");
    assert_eq!(affected.basis.as_str(), "address");
    check(&closing(keyless(), round(dark(1, &[23, 80]))), Unobservable, "judge.silent");
    check(
        &closing(keyless(), round([refused(1, 23), page(1, "cam/1.0")])),
        ServiceGone,
        "judge.service-gone",
    );
    check(
        &closing(keyless(), round([refused(1, 23), page(1, "printer")])),
        Unobservable,
        "judge.not-recognised",
    );
    check(&closing(keyless(), round([refused(1, 23), refused(1, 80)])), Unobservable, "judge.not-recognised");
    check(&closing(round([telnet(1)]), round([refused(1, 23)])), ServiceGone, "judge.service-gone");
    let named = |round: Round, product: &str| round.is(1, product, "");
    let other = closing(named(keyless(), "Cam"), named(keyless(), "Printer"));
    check(&other, Unobservable, "judge.other-product");
    let gone = closing(named(keyless(), "Cam"), named(round([refused(1, 23), refused(1, 80)]), "Cam"));
    check(&gone, ServiceGone, "judge.service-gone");
    // A port that is open and silent, as a printer's, is as before.
    let print = || swept(1, 9100, Outcome::Answered);
    let printer = closing(round([telnet(1), print()]), round([refused(1, 23), print()]));
    check(&printer, ServiceGone, "judge.service-gone");
    let speaks =
        closing(round([telnet(1), print()]), round([refused(1, 23), seen(1, 9100).ftp("220 x", None)]));
    check(&speaks, Unobservable, "judge.not-recognised");
    // Movers without a key are not followed.
    let moved = round(dark(1, &[23, 80]).into_iter().chain([telnet(9), page(9, "cam/1.0")]));
    check(&closing(keyless(), moved), Unobservable, "judge.silent");
    // A key that was not there before: perhaps another device.
    let keyed_now = round([telnet(1), page(1, "cam/1.0"), ssh(1, "k1")]);
    check(&closing(keyless(), keyed_now.clone()), Unobservable, "judge.other-key");
    check(&closing(named(keyless(), "Cam"), named(keyed_now, "Cam")), Affected, "judge.affected");

    let before = round([telnet(1).credential("accepted")]);
    let password = |now: Observation| scene(Remedy::ChangePassword, 23, before.clone(), round([now]));
    check(&password(telnet(1).credential("rejected")), Clean, "judge.clean");
    check(
        &password(seen(1, 23).telnet("printer login:").credential("rejected")),
        Unobservable,
        "judge.not-recognised",
    );
    let new_version = scene(
        Remedy::ChangePassword,
        80,
        round([page(1, "cam/1.0").credential("accepted")]),
        round([page(1, "cam/2.17").credential("rejected")]),
    );
    check(&new_version, Clean, "judge.clean");
    check(&Scene { forgotten: true, ..new_version }, Unobservable, "judge.not-recognised");
}

#[test]
fn shared_keys_are_no_keys() {
    let shared = |telnet_at_1: Observation| {
        round((1..=4).map(|last| ssh(last, "k1")).chain([telnet_at_1, page(1, "cam/1.0")]))
    };
    let judgement =
        check(&closing(shared(telnet(1)), shared(telnet(1))), Condition::Affected, "judge.affected");
    assert_eq!(judgement.basis.as_str(), "address");
    check(&closing(shared(telnet(1)), shared(refused(1, 23))), Condition::ServiceGone, "judge.service-gone");
    // The model's key at another address says nothing about this device.
    let dark_now = round(dark(1, &[22, 23, 80]).into_iter().chain([ssh(9, "k1"), telnet(9)]));
    check(&closing(shared(telnet(1)), dark_now), Condition::Unobservable, "judge.silent");
    // A key that turns out to be shared in this round identifies nobody in it.
    let now = round((1..=5).map(|last| ssh(last, "k1")).chain([telnet(1)]));
    let judgement = check(&closing(keyed(), now), Condition::Affected, "judge.affected");
    assert_eq!(judgement.basis.as_str(), "address");
}

#[test]
fn without_the_kinds_the_remedy_says_what_to_ask() {
    let blind = |scene: Scene| Scene { kinds_known: false, ..scene };
    let before = round([ssh(1, "k1"), telnet(1).credential("accepted")]);
    let asked = round([ssh(1, "k1"), telnet(1).credential("rejected")]);
    check(&blind(scene(Remedy::ChangePassword, 23, before.clone(), asked)), Condition::Clean, "judge.clean");
    let not_asked = round([ssh(1, "k1"), telnet(1)]);
    let scene = blind(scene(Remedy::ChangePassword, 23, before, not_asked));
    check(&scene, Condition::Unobservable, "judge.not-asked.credential");
    check(
        &blind(closing(keyed(), round([ssh(1, "k1"), refused(1, 23)]))),
        Condition::ServiceGone,
        "judge.service-gone",
    );
}

fn sight() -> impl Strategy<Value = Observation> {
    let outcome = prop_oneof![
        Just(Outcome::Dark),
        Just(Outcome::Filtered),
        Just(Outcome::Error),
        Just(Outcome::Limited),
    ];
    let port = prop_oneof![Just(22u16), Just(23), Just(80)];
    (port, outcome, any::<bool>()).prop_map(|(port, outcome, swept_only)| {
        if swept_only {
            swept(1, port, outcome)
        } else {
            Observation { outcome, protocol: None, ..seen(1, port) }
        }
    })
}

proptest! {
    /// Whatever is not an answer or a refusal never reads as recovery, replacement or relapse.
    #[test]
    fn silence_is_not_health(
        silence in proptest::collection::vec(sight(), 0..6),
        has_key: bool, pool_covered: bool, forgotten: bool, kinds_known: bool,
        others in proptest::collection::vec(2u8..9, 0..4),
    ) {
        let before = if has_key { keyed() } else { keyless() };
        let elsewhere = others.into_iter().map(|last| ssh(last, "k7"));
        let now = round(silence.into_iter().chain(elsewhere));
        let scene = Scene { pool_covered, forgotten, kinds_known, ..closing(before, now) };
        prop_assert_eq!(run(&scene).condition, Condition::Unobservable);
    }

    /// Without the subject's key nothing at its address makes a keyed case clean by key.
    #[test]
    fn a_key_that_is_not_seen_is_never_the_basis_of_clean(banner in "[a-z ]{1,12}", page_too: bool, refuse: bool) {
        let telnet_now = if refuse { refused(1, 23) } else { seen(1, 23).telnet(&banner) };
        let extra = page_too.then(|| page(1, &banner));
        let judgement = run(&closing(keyed(), round([telnet_now, refused(1, 22)].into_iter().chain(extra))));
        prop_assert!(judgement.basis.as_str() != "key");
        prop_assert!(judgement.condition != Condition::Clean && judgement.condition != Condition::Elsewhere);
    }
}
