//! Plans: what they come to, and what they refuse. Nothing is sent.

use kenshin_mandate::{AddressSet, Narrowing, ProviderRate};
use kenshin_observation::{Check, OrgId, Prefix, SurveyId, TimeUs, Tlp};
use kenshin_survey::permutation::PermutationKey;
use kenshin_survey::plan::{
    DictionaryRef, FileRef, Manner, PlanError, PlanRequest, PlanSummary, Silence, SurveyPlan,
};

use crate::world::*;

fn request() -> PlanRequest {
    PlanRequest {
        survey_id: SurveyId::from_bits(1),
        org_id: OrgId::from_bits(1),
        tlp: Tlp::Amber,
        sensor_id: None,
        targets: None,
        ports: None,
        udp_ports: vec![],
        echo: false,
        silence: Silence::Rows,
        canaries: vec![],
        checks: None,
        permutation_key: PermutationKey([9; 16]),
        manner: Manner::LOCAL,
        dictionary: None,
        recursion_zone: None,
    }
}

fn set(prefixes: &[&str]) -> AddressSet {
    prefixes.iter().map(|prefix| prefix.parse::<Prefix>().unwrap()).collect()
}

fn terms() -> Terms {
    let mut terms = Terms::new("127.9.0.0/24", &[22, 80, 443, 9100]);
    terms.exclusions = vec![("127.9.0.128/28".into(), "hospital".into())];
    terms
}

fn make(
    world: &World,
    narrowing: &Narrowing,
    change: impl FnOnce(&mut PlanRequest),
) -> Result<(SurveyPlan, PlanSummary), PlanError> {
    let mut request = request();
    change(&mut request);
    SurveyPlan::make(request, &world.mandate, narrowing, TimeUs::from_secs(1_775_000_000))
}

#[test]
fn it_says_what_it_comes_to() {
    let world = World::new(&terms());
    let mut narrowing = Narrowing::none();
    narrowing.opt_out("127.9.0.7".parse().unwrap());
    let (plan, summary) = make(&world, &narrowing, |_| {}).unwrap();
    assert_eq!((summary.addresses, summary.ports, summary.exchanges), (256 - 16 - 1, 4, 239 * 4));
    let hospital = summary.excluded.iter().find(|excluded| excluded.reason == "hospital").unwrap();
    assert_eq!(hospital.addresses, 16);
    assert_eq!(summary.excluded.iter().map(|excluded| excluded.addresses).sum::<u128>(), 17);
    assert!(summary.lost.iter().all(|code| kenshin_observation::Messages::builtin().has("ja", code)));
    assert_eq!(plan.checks, [Check::Sweep, Check::Banner, Check::Handshake].into());
    let text = serde_json::to_string_pretty(&plan).unwrap();
    assert_eq!(serde_json::from_str::<SurveyPlan>(&text).unwrap(), plan);
}

#[test]
fn its_duration_is_that_of_the_tightest_rate() {
    let duration = |change: &dyn Fn(&mut Terms)| {
        let mut terms = terms();
        change(&mut terms);
        let summary = make(&World::new(&terms), &Narrowing::none(), |_| {}).unwrap().1;
        (summary.duration_s, summary.bound_by)
    };
    // 240 addresses × 4 ports.
    assert_eq!(duration(&|t| t.rate.whole_pps = 10), (96, "whole".into()));
    assert_eq!(duration(&|t| t.rate.per_prefix.pps = 20), (48, "per-prefix".into()));
    assert_eq!(duration(&|t| t.rate.per_address.per_minute = 2), (120, "per-address".into()));
    let mut narrowing = Narrowing::none();
    narrowing.slow_down(ProviderRate {
        name: "a provider".to_owned(),
        addresses: set(&["127.9.0.0/26", "127.10.0.0/16"]),
        pps: 2,
        burst: 1,
    });
    let summary = make(&World::new(&terms()), &narrowing, |_| {}).unwrap().1;
    assert_eq!((summary.duration_s, summary.bound_by.as_str()), (128, "per-provider"));
}

#[test]
fn what_the_mandate_does_not_allow_is_refused_with_a_way_out() {
    let world = World::new(&terms());
    let refused = |change: &dyn Fn(&mut PlanRequest)| {
        make(&world, &Narrowing::none(), change).expect_err("refused").to_string()
    };
    let outside = refused(&|request| request.targets = Some(set(&["127.9.0.0/23"])));
    assert!(outside.contains("256 of the addresses") && outside.contains("127.9.1.0"), "{outside}");
    let port = refused(&|request| request.ports = Some(vec![22, 23]));
    assert!(port.contains("port 23/tcp"), "{port}");
    let check = refused(&|request| request.checks = Some([Check::Sweep, Check::AnonymousLogin].into()));
    assert!(check.contains("`anonymous-login`"), "{check}");
    let sweepless = refused(&|request| request.checks = Some([Check::Handshake].into()));
    assert!(sweepless.contains("needs the check `sweep`"), "{sweepless}");
    let dictionary = refused(&|request| {
        let pairs = FileRef { path: "d.toml".into(), sha256: "00".into() };
        request.dictionary = Some(DictionaryRef { pairs, recipes: None });
    });
    assert!(dictionary.contains("dictionary"), "{dictionary}");
    let nothing = refused(&|request| request.targets = Some(set(&["127.9.0.128/28"])));
    assert!(nothing.contains("nothing to ask"), "{nothing}");
    let sensor = refused(&|request| request.sensor_id = Some(kenshin_observation::SensorId::from_bits(5)));
    assert!(sensor.contains("is not named by mandate"), "{sensor}");
    for error in [outside, port, check, sweepless] {
        assert!(error.contains("hint:"), "{error}");
    }
}

/// The mandate's scope may be of any size; going through it is another thing.
#[test]
fn a_large_ipv6_prefix_is_not_enumerated() {
    let mut terms = terms();
    terms.prefix = "2001:db8:100::/48".into();
    terms.exclusions.clear();
    let dir = tempfile::tempdir().unwrap();
    let mandate = {
        let spool = kenshin_survey::spool::Spool::open(dir.path(), 1, now(), [7; 32]).unwrap();
        mandate(&terms, &spool, now().micros() / 3_600_000_000)
    };
    let narrowing = Narrowing::none();
    let error = SurveyPlan::make(request(), &mandate, &narrowing, now()).unwrap_err().to_string();
    assert!(error.contains("hint:") && error.contains("2001:db8::1"), "{error}");
    let list = set(&["2001:db8:100::1/128", "2001:db8:100::77/128"]);
    let request = PlanRequest { targets: Some(list), ..request() };
    let (_, summary) = SurveyPlan::make(request, &mandate, &narrowing, now()).unwrap();
    assert_eq!(summary.exchanges, 8);
}

/// The plan of version 1 is read forever.
#[test]
fn the_plan_of_version_1_is_read() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/survey/plan-v1.json");
    let plan: SurveyPlan = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!((plan.version, plan.ports.len(), plan.manner.attempts_max), (1, 3, 3));
    assert_eq!(plan.space().unwrap().target_at(0).to_string(), "198.51.100.104:22/tcp");
}

#[test]
fn open_recursion_is_looked_for_in_a_zone_of_ours() {
    let mut terms = terms();
    (terms.udp_ports, terms.checks) = (vec![53, 123], vec![Check::Sweep, Check::Reflector]);
    let world = World::new(&terms);
    let zone = |zone: &str| {
        let zone = Some(zone.to_owned());
        make(&world, &Narrowing::none(), |request| request.recursion_zone = zone).map(|(plan, _)| plan)
    };
    let plan = zone("probe.example.jp").unwrap();
    assert_eq!(plan.checks, [Check::Sweep, Check::Reflector].into());
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<SurveyPlan>(&text).unwrap(), plan);
    for bad in ["", ".", "a..b", &"a.".repeat(120), &"a".repeat(64)] {
        assert!(matches!(zone(bad), Err(PlanError::RecursionZone(_))), "{bad}");
    }
    let without = make(&world, &Narrowing::none(), |_| {}).unwrap().0;
    assert!(
        !serde_json::to_string(&without).unwrap().contains("recursion"),
        "plans made before stay as they are"
    );
}
