//! Many hosts at once, and yesterday's sights by today's knowledge.

use std::collections::BTreeSet;

use kenshin_insight::Assessor;
use kenshin_insight::finding::findings;
use kenshin_insight::fingerprint::Packs;
use kenshin_insight::identity::identify;
use kenshin_insight::intelligence::{Importer, Intelligence, IntelligenceKind};
use kenshin_observation::protocol::Http;
use kenshin_observation::{AssetId, FindingKind, Observation};

use crate::world::{Seen, good_tls, seen, t0};

fn knowledge(cycles: &[(&str, &str)]) -> Intelligence {
    let mut text = "---\ntitle: Dropbear\ncategory: server-app\npermalink: /dropbear\nidentifiers:\n  - cpe: cpe:2.3:a:dropbear_ssh_project:dropbear_ssh\nreleases:\n".to_owned();
    for (cycle, end) in cycles {
        text.push_str(&format!("  - releaseCycle: \"{cycle}\"\n    eol: {end}\n"));
    }
    text.push_str("---\n");
    let mut importer = Importer::new(IntelligenceKind::EndOfLife);
    importer.read("dropbear.md", text.as_bytes()).unwrap();
    let import = importer.finish("2026-04-01".parse().unwrap());
    assert!(import.rejected.is_empty(), "{:?}", import.rejected);
    Intelligence::new([import.snapshot])
}

/// Hosts of which some say the same.
fn hosts() -> Vec<Vec<Observation>> {
    let page = |title: &str| Http { status: 200, title: Some(title.into()), ..Http::default() };
    let mut hosts = Vec::new();
    for last in 1..=6 {
        hosts.push(vec![seen(last, 22).ssh("SSH-2.0-dropbear_2019.78", &format!("k{last}"))]);
        hosts.push(vec![
            seen(10 + last, 22).ssh("SSH-2.0-dropbear_2022.83", "k"),
            seen(10 + last, 80).http(page("DIR-615")),
        ]);
        hosts.push(vec![seen(20 + last, 443).tls(good_tls("t")).http(page(&format!("host {last}")))]);
        hosts.push(vec![seen(30 + last, 22).ssh("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3", "d")]);
    }
    let mut decoy = seen(50, 22).ssh("SSH-2.0-dropbear_2019.78", "x");
    decoy.labels = vec!["tarpit".into()];
    hosts.push(vec![decoy]);
    hosts
}

#[test]
fn what_is_remembered_changes_no_answer() {
    let packs = Packs::own();
    let intelligence = knowledge(&[("2019", "2020-01-01"), ("2022", "2030-01-01")]);
    let mut assessor = Assessor::new(&packs, &intelligence, t0());
    let mut kinds = BTreeSet::new();
    for (host, id) in hosts().iter().chain(&hosts()).zip(1..) {
        let seen: Vec<&Observation> = host.iter().collect();
        let asset = AssetId::from_bits(id);
        let assessed = assessor.assess(asset, &seen);
        let identity = identify(&seen, &packs);
        assert_eq!(*assessed.identity, identity);
        assert_eq!(*assessor.identity(&seen), identity);
        assert_eq!(assessed.findings, findings(asset, &seen, &identity, &intelligence, t0()));
        kinds.extend(assessed.findings.iter().map(|finding| finding.kind));
    }
    assert!(kinds.contains(&FindingKind::EndOfLife), "{kinds:?}");
}

#[test]
fn yesterdays_sights_by_todays_knowledge_are_todays_findings() {
    let packs = Packs::own();
    let of = |intelligence: &Intelligence| -> BTreeSet<String> {
        let mut assessor = Assessor::new(&packs, intelligence, t0());
        let hosts = hosts();
        let found = hosts.iter().zip(1..).flat_map(|(host, id)| {
            assessor.assess(AssetId::from_bits(id), &host.iter().collect::<Vec<_>>()).findings
        });
        let ended = found.filter(|finding| finding.kind == FindingKind::EndOfLife);
        ended.map(|finding| finding.key).collect()
    };
    let yesterday = of(&knowledge(&[("2019", "2027-01-01"), ("2022", "2020-01-01")]));
    let today = of(&knowledge(&[("2019", "2020-01-01"), ("2022", "2030-01-01")]));
    assert_eq!((yesterday.len(), today.len()), (6, 6));
    assert!(yesterday.is_disjoint(&today), "six are withdrawn, six are new");
    assert_eq!(today, of(&knowledge(&[("2022", "2030-01-01"), ("2019", "2020-01-01")])), "keys are stable");
}
