//! Pages that somebody altered are seen, and pages that only look different are not.

use std::collections::BTreeSet;

use kenshin_insight::asset::hosts;
use kenshin_insight::drift::{Learner, SAMPLE_MIN};
use kenshin_insight::intelligence::{Import, Importer, Intelligence, IntelligenceKind, Records, Snapshot};
use kenshin_insight::judge::{Question, RoundView, judge};
use kenshin_observation::protocol::Http;
use kenshin_observation::{
    AssetId, CaseSubject, Condition, Endpoint, Finding, FindingKind, Identity, Observation, Outcome, Remedy,
};
use proptest::prelude::*;

use crate::world::{Seen, device, seen, t0};

/// A page as a device of the fleet shows it.
#[derive(Debug, Clone, PartialEq)]
struct Page {
    body: String,
    icon: String,
    title: String,
    server: String,
}

fn good() -> Page {
    Page { body: "b".into(), icon: "i".into(), title: "R1 login".into(), server: "httpd".into() }
}

/// Devices of one fleet: what they are, and what they show.
type Fleet = Vec<(Identity, Vec<Observation>)>;

fn shows(number: usize, page: &Page) -> Observation {
    let digest = |text: &str| Some(format!("{text:0>64}"));
    let http = Http {
        status: 200,
        server: Some(page.server.clone()),
        title: Some(page.title.clone()),
        content_type: Some("text/html".into()),
        body_sha256: digest(&page.body),
        favicon_sha256: digest(&page.icon),
        ..Http::default()
    };
    let [.., high, low] = (number as u32).to_be_bytes();
    let observation = seen(1, 80).http(http);
    Observation { subject: Endpoint::tcp([198, 18, high, low].into(), 80), ..observation }
}

fn fleet(identity: &Identity, pages: &[Page]) -> Fleet {
    pages.iter().enumerate().map(|(number, page)| (identity.clone(), vec![shows(number, page)])).collect()
}

fn router() -> Identity {
    device("Acme", "R1", "1.2", "router")
}

/// Numbers of the devices that differ.
fn altered(fleet: &Fleet, intelligence: &Intelligence) -> Vec<(usize, Finding)> {
    let mut learner = Learner::default();
    for (identity, observations) in fleet {
        learner.add(identity, &observations.iter().collect::<Vec<_>>());
    }
    let baselines = learner.finish(intelligence);
    let mut found = Vec::new();
    for (number, (identity, observations)) in fleet.iter().enumerate() {
        let asset = AssetId::new(t0(), number as u128);
        let observations: Vec<&Observation> = observations.iter().collect();
        found.extend(baselines.altered(asset, identity, &observations).into_iter().map(|one| (number, one)));
    }
    found
}

fn numbers(fleet: &Fleet) -> Vec<usize> {
    altered(fleet, &Intelligence::default()).into_iter().map(|(number, _)| number).collect()
}

#[test]
fn the_one_that_differs_is_found_with_what_differs() {
    let mut pages = vec![good(); 40];
    pages[7].body = "evil".into();
    let found = altered(&fleet(&router(), &pages), &Intelligence::default());
    assert_eq!(found.len(), 1);
    let (number, finding) = &found[0];
    assert_eq!((*number, finding.kind, finding.remedy), (7, FindingKind::AlteredContent, Remedy::Clean));
    assert_eq!(finding.evidence[0].field, "http.body_sha256");
    assert!(finding.evidence[0].value.contains("evil, not"), "{:?}", finding.evidence);
    let arg = |name: &str| finding.explanation.args[name].as_str();
    assert_eq!((arg("parts"), arg("agree"), arg("devices"), arg("port")), ("body", "39", "40", "80"));
    assert!(finding.confidence < 80, "one part alone is little");
}

#[test]
fn what_was_not_seen_does_not_differ() {
    let mut devices = fleet(&router(), &vec![good(); 40]);
    devices[7].1[0].records.http.as_mut().unwrap().favicon_sha256 = None;
    assert_eq!(numbers(&devices), [0usize; 0], "one icon was not fetched");
    // The only icon that was fetched.
    let mut devices = fleet(&router(), &vec![good(); 40]);
    for (_, observations) in &mut devices[1..] {
        observations[0].records.http.as_mut().unwrap().favicon_sha256 = None;
    }
    assert_eq!(numbers(&devices), [0usize; 0]);
}

#[test]
fn where_it_cannot_be_told_nothing_is_said() {
    let one = |change: fn(&mut Page), count: usize| {
        let mut pages = vec![good(); 40];
        pages.iter_mut().take(count).for_each(change);
        numbers(&fleet(&router(), &pages))
    };
    assert_eq!(one(|page| page.body = "evil".into(), 1), [0]);
    assert_eq!(one(|page| (page.body, page.title) = ("evil".into(), "owned".into()), 1), [0]);
    // Another build, another product, a translation that several share, a fleet of two halves.
    assert_eq!(one(|page| (page.body, page.server) = ("x".into(), "httpd/2".into()), 1), [0usize; 0]);
    assert_eq!(
        one(
            |page| *page = Page { server: "y".into(), body: "y".into(), icon: "y".into(), title: "y".into() },
            1
        ),
        [0usize; 0]
    );
    assert_eq!(one(|page| (page.body, page.title) = ("ja".into(), "ログイン".into()), 3), [0usize; 0]);
    assert_eq!(one(|page| page.body = "half".into(), 20), [0usize; 0]);
    // Nothing else says that it is the same product.
    assert_eq!(
        one(|page| (page.server, page.icon, page.title) = (String::new(), String::new(), String::new()), 40),
        [0usize; 0]
    );

    let mut pages = vec![good(); 40];
    pages[0].body = "evil".into();
    assert_eq!(numbers(&fleet(&router(), &pages)), [0]);
    let unsure = |change: fn(&mut Identity)| {
        let mut identity = router();
        change(&mut identity);
        numbers(&fleet(&identity, &pages))
    };
    assert_eq!(unsure(|identity| identity.version = None), [0usize; 0]);
    assert_eq!(unsure(|identity| identity.product.as_mut().unwrap().confidence = 79), [0usize; 0]);
    assert_eq!(unsure(|identity| identity.vendor.as_mut().unwrap().confidence = 79), [0usize; 0]);
    // What was cut off is not compared.
    let mut cut = fleet(&router(), &pages);
    cut[0].1[0].outcome = Outcome::Limited;
    assert_eq!(numbers(&cut), [0usize; 0]);
    // A decoy is no device.
    let mut decoy = fleet(&router(), &pages);
    decoy[0].1[0].labels.push("honeypot-tell".into());
    assert_eq!(numbers(&decoy), [0usize; 0]);
}

const STATED: &str = r#"
[[page]]
product = "acme:R1:1.2"
body = ["000000000000000000000000000000000000000000000000000000000000000b"]
title = ["R1 login", "R1 ログイン"]
source = "https://acme.example/known-good"

[[page]]
product = "acme:R1"
title = ["x"]
source = "y"

[[page]]
product = "acme:R1:1.3"
body = ["xyz"]
source = "y"

[[page]]
product = "acme:R1:1.3"
source = "y"
"#;

fn read_stated() -> Import {
    let mut importer = Importer::new(IntelligenceKind::KnownGood);
    importer.read("good.toml", STATED.as_bytes()).unwrap();
    importer.finish("2026-04-01".parse().unwrap())
}

fn stated() -> Intelligence {
    Intelligence::new([read_stated().snapshot])
}

#[test]
fn what_the_operator_states_needs_no_sample() {
    let import = read_stated();
    let lines: Vec<u64> = import.rejected.iter().map(|one| one.line).collect();
    assert_eq!(lines, [8, 13, 18], "{:?}", import.rejected);
    assert!(matches!(&import.snapshot.records, Records::KnownGood(records) if records.len() == 1));
    let mut stored = Vec::new();
    import.snapshot.write(&mut stored).unwrap();
    assert_eq!(Snapshot::read(stored.as_slice()).unwrap(), import.snapshot);
    let intelligence = Intelligence::new([import.snapshot]);

    let of = |page: Page| altered(&fleet(&router(), &[page]), &intelligence);
    assert_eq!(of(good()), [], "as it should be");
    assert_eq!(of(Page { title: "R1 ログイン".into(), ..good() }), []);
    let found = of(Page { body: "evil".into(), ..good() });
    assert_eq!(found[0].1.explanation.code, "finding.altered-content.stated");
    assert!(found[0].1.snapshots[0].starts_with("known-good@2026-04-01#sha256:"));
    assert_eq!(
        of(Page { body: "evil".into(), title: "a proxy".into(), ..good() }),
        [],
        "another page altogether"
    );
    let other = altered(
        &fleet(&device("Acme", "R1", "1.4", "router"), &[Page { body: "c".into(), ..good() }]),
        &intelligence,
    );
    assert_eq!(other, [], "nothing is stated of that version");
}

/// What a re-check of one device says of its case, after a round in which it alone was altered, or in
/// which the operator stated what is good.
fn rechecked(
    fleet: &Fleet,
    intelligence: &Intelligence,
    identity: &Identity,
    page: &Page,
    alter: fn(&mut Http),
) -> Condition {
    let mut learner = Learner::default();
    for (identity, observations) in fleet {
        learner.add(identity, &observations.iter().collect::<Vec<_>>());
    }
    let baselines = learner.finish(intelligence);
    let before = hosts(&fleet[7].1, |_| Some(&fleet[7].0));
    let mut again = shows(7, page).later(3_600);
    alter(again.records.http.as_mut().unwrap());
    let mut now = hosts([&again], |_| Some(identity));
    let endpoint = again.subject;
    let asset = AssetId::new(t0(), 7);
    let host = now.get_mut(&endpoint.addr).unwrap();
    let findings = baselines.again(asset, identity, &[&again], host);
    let subject = CaseSubject {
        asset_id: asset,
        endpoint,
        keys: Vec::new(),
        product: before[&endpoint.addr].product.clone(),
        time: t0(),
    };
    let question = Question {
        subject: &subject,
        remedy: Remedy::Clean,
        kinds: &[FindingKind::AlteredContent],
        before: before.get(&endpoint.addr),
        pool_covered: true,
    };
    let view = RoundView::new(&now, &findings, BTreeSet::new(), &|_| true, &|asset| asset);
    judge(&question, &view).condition
}

#[test]
fn a_page_that_is_as_others_again_closes_its_case() {
    let mut pages = vec![good(); 40];
    pages[7].body = "evil".into();
    let all = fleet(&router(), &pages);
    let newer = device("Acme", "R1", "1.3", "router");
    let nothing = Intelligence::default();
    let of = |identity: &Identity, page: Page, alter| rechecked(&all, &nothing, identity, &page, alter);
    let same: fn(&mut Http) = |_| {};
    assert_eq!(of(&router(), good(), same), Condition::Clean);
    assert_eq!(of(&router(), Page { body: "evil".into(), ..good() }, same), Condition::Affected);
    // What cannot be compared, or was not seen, is not healthy.
    let other = Page { body: "other".into(), ..good() };
    assert_eq!(of(&router(), other, same), Condition::Unobservable, "it may be another build");
    assert_eq!(of(&newer, good(), same), Condition::Unobservable, "nothing is known of that version");
    assert_eq!(of(&router(), good(), |http| http.favicon_sha256 = None), Condition::Unobservable);
    assert_eq!(of(&router(), good(), |http| http.content_type = None), Condition::Unobservable);
    assert_eq!(of(&router(), good(), |http| http.redirected_to = Some("/b".into())), Condition::Unobservable);
    assert_eq!(of(&Identity::default(), good(), same), Condition::Unobservable);

    // What the operator states needs no others.
    let few = fleet(&router(), &pages[..8]);
    assert_eq!(rechecked(&few, &nothing, &router(), &good(), same), Condition::Unobservable);
    let stated = stated();
    assert_eq!(rechecked(&few, &stated, &router(), &good(), same), Condition::Clean);
    assert_eq!(rechecked(&few, &stated, &router(), &pages[7], same), Condition::Affected);
    let untitled = |http: &mut Http| http.title = None;
    assert_eq!(rechecked(&few, &stated, &router(), &good(), untitled), Condition::Unobservable);
}

/// A page of a healthy fleet: parts are the same on all, one of several variants that at least three
/// devices share, or the device's own.
fn healthy(devices: usize) -> impl Strategy<Value = Vec<Page>> {
    let part = prop_oneof![
        Just(vec![String::from("same")]),
        Just((0..devices).map(|number| format!("own-{number}")).collect::<Vec<_>>()),
        (2usize..6).prop_map(|variants| (0..variants).map(|variant| format!("variant-{variant}")).collect()),
    ];
    (part.clone(), part.clone(), part.clone(), part).prop_map(move |(body, icon, title, server)| {
        let of = |values: &[String], number: usize| values[number % values.len()].clone();
        (0..devices)
            .map(|number| Page {
                body: of(&body, number),
                icon: of(&icon, number),
                title: of(&title, number),
                server: of(&server, number),
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Variants and values of a device's own are never altered content.
    #[test]
    fn healthy_fleets_are_left_alone(pages in (18usize..90).prop_flat_map(healthy)) {
        prop_assert_eq!(numbers(&fleet(&router(), &pages)), [0usize; 0]);
    }

    /// In a small sample nothing is ever said.
    #[test]
    fn small_samples_are_left_alone(pages in proptest::collection::vec("[ab]{1}", 1..SAMPLE_MIN as usize)) {
        let pages: Vec<Page> = pages.into_iter().map(|body| Page { body, ..good() }).collect();
        prop_assert_eq!(numbers(&fleet(&router(), &pages)), [0usize; 0]);
    }

    /// One or two altered devices in a large fleet are found, and no other, whatever their place.
    #[test]
    fn the_altered_are_found_and_no_other(size in 60usize..120, places in proptest::collection::btree_set(0usize..60, 1..3), icon: bool) {
        let mut pages = vec![good(); size];
        for place in &places {
            pages[*place].body = "evil".into();
            if icon {
                pages[*place].icon = "evil".into();
            }
        }
        prop_assert_eq!(numbers(&fleet(&router(), &pages)), places.into_iter().collect::<Vec<_>>());
    }
}
