//! Decisions and what they follow from.

use kenshin_insight::finding::findings;
use kenshin_insight::intelligence::{Importer, Intelligence, IntelligenceKind, Snapshot};
use kenshin_insight::priority::{decide, most_urgent, prioritise};
use kenshin_observation::protocol::Http;
use kenshin_observation::{
    AssetId, Automatable, Decision, Exploitation, Exposure, Finding, FindingKind, Identity, Impact,
    Observation, Priority,
};

use crate::world::{Seen, device, seen, t0};

/// The decisions of CERT/CC's table `deployer_patch_application_priority_1_0_0.csv`, in its order: the
/// last question turns fastest. Defer, scheduled, out-of-cycle, immediate.
const PUBLISHED: [&str; 3] =
    ["ddssdsssdsssssssdsssssso", "dsssssssdssssssosssossoo", "ssoosooossoooooosooiooii"];

#[test]
fn decisions_are_those_of_the_published_table() {
    let published = PUBLISHED.concat();
    let mut rows = published.chars();
    for exploitation in Exploitation::ALL {
        for exposure in Exposure::ALL {
            for automatable in Automatable::ALL {
                for impact in Impact::ALL {
                    let expected = match rows.next() {
                        Some('d') => Decision::Track,
                        Some('s') => Decision::TrackClosely,
                        Some('o') => Decision::Attend,
                        Some('i') => Decision::Act,
                        other => panic!("{other:?}"),
                    };
                    let decision = decide(*exploitation, *exposure, *automatable, *impact);
                    assert_eq!(decision, expected, "{exploitation} {exposure} {automatable} {impact}");
                }
            }
        }
    }
    assert_eq!(rows.next(), None);
}

fn intelligence(cve: &[&str], kev: &str) -> Intelligence {
    let read = |kind, name: &str, text: &str| -> Snapshot {
        let mut importer = Importer::new(kind);
        importer.read(name, text.as_bytes()).unwrap();
        let import = importer.finish("2026-04-01".parse().unwrap());
        assert!(import.rejected.is_empty(), "{:?}", import.rejected);
        import.snapshot
    };
    let epss = "#model_version:v2025.03.14,score_date:2026-03-31T12:55:00Z\ncve,epss,percentile\nCVE-2099-0001,0.12345,0.9\n";
    let mut snapshots =
        vec![read(IntelligenceKind::Kev, "kev.csv", kev), read(IntelligenceKind::Epss, "epss.csv", epss)];
    if !cve.is_empty() {
        snapshots.push(read(IntelligenceKind::Cve, "cve.jsonl", &cve.join("\n")));
    }
    Intelligence::new(snapshots)
}

const KEV: &str = "cveID,vendorProject,product,vulnerabilityName,dateAdded,shortDescription,requiredAction,dueDate,knownRansomwareCampaignUse,notes,cwes\n\
                   CVE-2099-0001,Acme,R1,Bad,2026-03-01,x,x,2026-03-22,Unknown,,\n";

fn record(metrics: &str) -> String {
    format!(
        r#"{{"dataType":"CVE_RECORD","cveMetadata":{{"cveId":"CVE-2099-0001","state":"PUBLISHED"}},"containers":{{"cna":{{"affected":[{{"vendor":"Acme","product":"R1","defaultStatus":"unaffected","versions":[{{"version":"1.0","status":"affected","lessThan":"1.5","versionType":"custom"}}]}}]}},"adp":[{{"metrics":[{metrics}]}}]}}}}"#
    )
}

fn ssvc(exploitation: &str, automatable: &str, impact: &str) -> String {
    format!(
        r#"{{"other":{{"type":"ssvc","content":{{"options":[{{"Exploitation":"{exploitation}"}},{{"Automatable":"{automatable}"}},{{"Technical Impact":"{impact}"}}]}}}}}}"#
    )
}

/// Router R1 1.2 of the exploited vulnerability CVE-2099-0001.
fn exploited(metrics: &str) -> (Finding, Priority) {
    let intelligence = intelligence(&[&record(metrics)], KEV);
    let identity = device("Acme", "R1", "1.2", "router");
    let shown = seen(1, 80).http(Http { server: Some("Acme R1 1.2".into()), ..Http::default() });
    let mut found = findings(AssetId::from_bits(1), &[&shown], &identity, &intelligence, t0());
    prioritise(&mut found, |_| Some(&identity), &intelligence);
    let finding = found.into_iter().find(|finding| finding.kind == FindingKind::KnownExploited).unwrap();
    let priority = finding.priority.clone().unwrap();
    (finding, priority)
}

fn codes(priority: &Priority) -> Vec<&str> {
    priority.reasons.iter().map(|reason| reason.code.strip_prefix("priority.").unwrap()).collect()
}

#[test]
fn what_is_known_of_a_vulnerability_answers_the_questions() {
    let cvss = |vector: &str| {
        format!(r#"{{"cvssV3_1":{{"version":"3.1","baseScore":9.8,"vectorString":"{vector}"}}}}"#)
    };
    let (finding, by_cisa) = exploited(&ssvc("none", "no", "total"));
    assert_eq!(
        codes(&by_cisa),
        ["exploitation.kev", "exploitation.epss", "exposure.open", "automatable.cisa", "impact.total"]
    );
    assert_eq!(by_cisa.reasons[1].args["percent"], "12.3");
    // KEV knows better than what CISA answered before.
    let answers = |p: &Priority| (p.exploitation, p.automatable, p.impact, p.decision);
    assert_eq!(answers(&by_cisa), (Exploitation::Active, Automatable::No, Impact::High, Decision::Attend));
    assert_eq!(finding.explanation.args["range"], ">= 1.0, < 1.5");
    assert_eq!(finding.explanation.args["said_by"], "cna");

    let (_, simple) = exploited(&cvss("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"));
    assert_eq!(answers(&simple), (Exploitation::Active, Automatable::Yes, Impact::High, Decision::Act));
    let (_, by_user) = exploited(&cvss("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:H"));
    assert_eq!(by_user.automatable, Automatable::No);
    let (_, unknown) = exploited("{}");
    assert_eq!(codes(&unknown)[3..], ["automatable.unknown", "impact.cvss"]);
    assert_eq!(unknown.automatable, Automatable::Yes, "what is not known is taken for the worse");
}

#[test]
fn open_doors_need_no_cve_and_many_devices_weigh_more() {
    let shown: Vec<Observation> = (0..120).map(|at| seen(at, 23).telnet("login: ")).collect();
    let identity = device("Acme", "R1", "", "router");
    let decided = |count: usize, identity: &Identity| {
        let mut found: Vec<Finding> = shown[..count]
            .iter()
            .zip(1..)
            .flat_map(|(o, id)| {
                findings(AssetId::from_bits(id), &[o], identity, &Intelligence::default(), t0())
            })
            .collect();
        prioritise(&mut found, |_| Some(identity), &Intelligence::default());
        assert!(found.iter().all(|finding| finding.kind == FindingKind::TelnetOpen));
        assert_eq!(most_urgent(&found), found[0].priority.as_ref().map(|priority| priority.decision));
        found.remove(0).priority.unwrap()
    };
    let alone = decided(1, &identity);
    assert_eq!((alone.impact, alone.decision), (Impact::Medium, Decision::Attend));
    assert_eq!(
        codes(&alone),
        ["exploitation.routine", "exposure.open", "automatable.protocol", "impact.way-in"]
    );
    assert_eq!(codes(&decided(3, &identity)).last(), Some(&"impact.sharers"));
    let many = decided(120, &identity);
    assert_eq!((many.impact, many.decision), (Impact::High, Decision::Act));
    assert_eq!(many.reasons.last().unwrap().args["devices"], "120");
    // What is not known to be the same product is not counted as one.
    assert_eq!(decided(120, &Identity::default()).impact, Impact::Medium);
}

#[test]
fn what_only_those_inside_can_reach_is_less_urgent() {
    for (addr, exposure) in [
        ("198.51.100.7", Exposure::Open),
        ("10.1.2.3", Exposure::Controlled),
        ("100.64.0.1", Exposure::Controlled),
        ("2001:db8::1", Exposure::Open),
        ("fd00::1", Exposure::Controlled),
    ] {
        let mut shown = seen(1, 23).telnet("login: ");
        shown.subject.addr = addr.parse().unwrap();
        let none = Identity::default();
        let mut found = findings(AssetId::from_bits(1), &[&shown], &none, &Intelligence::default(), t0());
        prioritise(&mut found, |_| None, &Intelligence::default());
        assert_eq!(found[0].priority.as_ref().unwrap().exposure, exposure, "{addr}");
    }
}
