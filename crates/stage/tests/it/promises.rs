//! The town's promises, over twenty seeds: no sockets.

use std::collections::{BTreeMap, BTreeSet};

use kenshin_observation::{Condition, FindingKind, Prefix, TimeUs};
use kenshin_stage::{EventKind, KeyPolicy, ServiceKind, Town, TownConfig, TownError};

fn town(seed: u64) -> Town {
    Town::build(&TownConfig { seed, ..TownConfig::default() }).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_town() {
    for seed in [1, 2] {
        let truth = serde_json::to_string(&town(seed).truth(8)).unwrap();
        assert_eq!(truth, serde_json::to_string(&town(seed).truth(8)).unwrap());
    }
    assert_ne!(town(1).truth(2), town(2).truth(2));
    assert_eq!(town(3).truth(2).rounds[..], town(3).truth(8).rounds[..2], "the future changes nothing");
}

#[test]
fn the_truth_reads_back() {
    let truth = town(1).truth(3);
    let text = serde_json::to_string(&truth).unwrap();
    assert_eq!(serde_json::from_str::<kenshin_stage::Truth>(&text).unwrap(), truth);
}

/// Kinds of findings that the town plays. Its devices have no data stores, screens, controllers or
/// datagram services.
const PLAYED: [FindingKind; 10] = [
    FindingKind::TelnetOpen,
    FindingKind::DefaultCredentials,
    FindingKind::AdminOpen,
    FindingKind::KnownExploited,
    FindingKind::EndOfLife,
    FindingKind::AnonymousFtp,
    FindingKind::AnonymousMqtt,
    FindingKind::BrokenTls,
    FindingKind::WeakSsh,
    FindingKind::SharedKey,
];

#[test]
fn it_is_as_large_and_as_varied_as_promised() {
    let mut moved_without_key = 0;
    for seed in 1..=20 {
        let town = town(seed);
        let first = &town.round(1).devices;
        let part = |wanted: &dyn Fn(&kenshin_stage::Device) -> bool| {
            first.iter().filter(|d| wanted(d)).count() * 100 / first.len()
        };
        assert!(first.len() >= 400);
        assert!(town.providers().len() >= 3);
        assert!(first.iter().map(|d| d.model.kind.as_str()).collect::<BTreeSet<_>>().len() >= 25);
        assert!(part(&|d| !d.model.in_pack) >= 20);
        assert!(part(&|d| d.model.keys == KeyPolicy::Shared) >= 8);
        assert!(part(&|d| d.model.keys != KeyPolicy::Unique) >= 10);
        let addresses: u64 = town.targets().iter().map(|p| 1 << (32 - p.len())).sum();
        assert!(addresses * town.ports().len() as u64 <= 8_000, "a sweep stays small");
        let truth = town.truth(3);
        let kinds: BTreeMap<FindingKind, usize> =
            truth.rounds[0].devices.iter().flat_map(|d| &d.findings).filter(|f| f.knowable).fold(
                BTreeMap::new(),
                |mut map, f| {
                    *map.entry(f.kind).or_default() += 1;
                    map
                },
            );
        assert_eq!(kinds.keys().copied().collect::<Vec<_>>(), PLAYED, "{kinds:?}");
        let cases = &truth.rounds[1].cases;
        assert!(cases.len() > 100);
        assert!(cases.iter().any(|c| c.provider.is_none()), "somebody has nobody to be told by");
        let conditions: BTreeSet<Condition> = cases.iter().map(|c| c.condition).collect();
        assert!(conditions.len() >= 5, "{conditions:?}");
        assert!(cases.iter().all(|c| c.alternatives.is_empty()), "one thing a round is unambiguous");
        let keyless: BTreeSet<u32> =
            truth.rounds[0].devices.iter().filter(|d| !d.own_key).map(|d| d.id).collect();
        let moves = truth.rounds[1].events.iter().filter(|e| {
            matches!(e.kind, EventKind::MovedInside | EventKind::MovedAway) && keyless.contains(&e.device)
        });
        for event in moves {
            moved_without_key += 1;
            for case in cases.iter().filter(|c| c.device == event.device) {
                assert_eq!(case.condition, Condition::Unobservable, "{case:?}");
            }
        }
    }
    assert!(moved_without_key >= 20, "{moved_without_key}");
}

#[test]
fn every_condition_and_event_occurs() {
    let (mut conditions, mut events) = (BTreeSet::new(), BTreeSet::new());
    let mut hidden = 0;
    for seed in 1..=20 {
        let truth = town(seed).truth(4);
        for round in &truth.rounds {
            conditions.extend(round.cases.iter().map(|c| c.condition));
            events.extend(round.events.iter().map(|e| e.kind));
            hidden += round.devices.iter().flat_map(|d| &d.findings).filter(|f| !f.knowable).count();
        }
    }
    assert_eq!(conditions.len(), Condition::ALL.len(), "{conditions:?}");
    assert_eq!(events.len(), 11, "{events:?}");
    assert!(hidden > 0, "something is true and cannot be known");
}

#[test]
fn addresses_and_keys_stay_sound_over_the_rounds() {
    for seed in 1..=20 {
        let town = town(seed);
        for number in 1..=town.rounds() {
            let round = town.round(number);
            let mut addresses = BTreeSet::new();
            let mut shared: BTreeMap<&str, usize> = BTreeMap::new();
            for device in &round.devices {
                assert!(device.address.is_loopback());
                assert!(addresses.insert(device.address), "two devices at {}", device.address);
                assert!(!round.abandoned.contains(&device.address));
                if device.model.keys == KeyPolicy::Shared {
                    let shows = device
                        .open_services()
                        .any(|(_, s)| s.tls || matches!(s.kind, ServiceKind::Ssh { .. }));
                    let seen = shows && town.provider_of(device.address).is_some();
                    *shared.entry(&device.model.kind).or_default() += usize::from(seen);
                }
            }
            assert_eq!(shared.len(), 3);
            assert!(shared.values().all(|n| *n > 3), "round {number}: {shared:?}");
        }
    }
}

#[test]
fn a_case_follows_its_device() {
    let truth = town(5).truth(8);
    for (before, round) in truth.rounds.iter().zip(&truth.rounds[1..]) {
        for case in &round.cases {
            assert!(case.found < round.number);
            let device = round.devices.iter().find(|d| d.id == case.device);
            match case.condition {
                Condition::Affected => {
                    let device = device.expect("it answers");
                    assert_eq!(device.address, case.address);
                    assert!(device.findings.iter().any(|f| f.knowable && f.remedy == case.remedy));
                }
                Condition::Clean => {
                    let device = device.expect("it answers");
                    assert!(case.ports.iter().any(|p| device.open_ports.contains(p)));
                    assert!(device.findings.iter().all(|f| !f.knowable || f.remedy != case.remedy));
                }
                Condition::ServiceGone => {
                    let device = device.expect("it answers");
                    assert!(case.ports.iter().all(|p| !device.open_ports.contains(p)));
                }
                Condition::Elsewhere => {
                    let device = device.expect("it answers");
                    assert_eq!(case.address_now, Some(device.address));
                    assert!(device.own_key && device.address != case.address);
                }
                Condition::Replaced => {
                    assert!(device.is_none());
                    assert!(round.devices.iter().any(|d| d.address == case.address && d.own_key));
                }
                Condition::Unobservable => {
                    assert!(device.is_none_or(|d| d.address != case.address));
                }
            }
        }
        let all: BTreeSet<_> = round.cases.iter().map(|c| (c.device, c.remedy, c.found, c.address)).collect();
        for case in &before.cases {
            assert!(
                all.contains(&(case.device, case.remedy, case.found, case.address)),
                "cases never vanish"
            );
        }
    }
}

#[test]
fn intelligence_says_what_the_models_say() {
    let town = town(1);
    let intelligence = town.intelligence();
    let kev: serde_json::Value = serde_json::from_str(intelligence.kev).unwrap();
    let exploited: BTreeSet<&str> =
        kev["vulnerabilities"].as_array().unwrap().iter().map(|v| v["cveID"].as_str().unwrap()).collect();
    assert_eq!(kev["count"], exploited.len());
    let records: Vec<serde_json::Value> =
        intelligence.cve.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let number = |v: &str| -> Vec<u32> { v.split('.').filter_map(|p| p.parse().ok()).collect() };
    for model in town.models() {
        for firmware in &model.firmware {
            let matching = records.iter().filter(|r| {
                let id = r["cveMetadata"]["cveId"].as_str().unwrap();
                let affected = &r["containers"]["cna"]["affected"][0];
                let cpe = affected["cpes"][0].as_str().unwrap().to_owned();
                let below = affected["versions"][0]["lessThan"].as_str().unwrap();
                exploited.contains(id)
                    && model.cpe.as_ref().is_some_and(|c| cpe.starts_with(&format!("{c}:")))
                    && number(&firmware.version) < number(below)
            });
            let ids: Vec<&str> = matching.map(|r| r["cveMetadata"]["cveId"].as_str().unwrap()).collect();
            let stated: Vec<&str> = firmware.cve.as_deref().into_iter().collect();
            assert_eq!(ids, stated, "{} {}", model.kind, firmware.version);
            assert!(stated.iter().all(|id| id.starts_with("CVE-2099-")), "invented ids only");
            let cycle = intelligence.endoflife.iter().find(|(_, text)| {
                model.cpe.as_ref().is_some_and(|cpe| text.contains(&format!("cpe: {cpe}\n")))
            });
            if let Some((_, text)) = cycle {
                let ended = cycle_of(text, &firmware.version).expect("every version has a cycle") != "false";
                let past = cycle_of(text, &firmware.version).unwrap() < "2026-03";
                assert_eq!(
                    ended && past,
                    firmware.state.end_of_life(),
                    "{} {}",
                    model.kind,
                    firmware.version
                );
            } else {
                assert!(!firmware.state.end_of_life(), "{} needs release cycles", model.kind);
            }
        }
    }
    assert!(intelligence.epss.lines().nth(1) == Some("cve,epss,percentile"));
}

/// The `eol` of the cycle that a version belongs to.
fn cycle_of<'a>(text: &'a str, version: &str) -> Option<&'a str> {
    let mut inside = false;
    for line in text.lines() {
        if let Some(cycle) = line.trim().strip_prefix("- releaseCycle: ") {
            let cycle = cycle.trim_matches('"');
            inside = version == cycle || version.starts_with(&format!("{cycle}."));
        } else if let Some(eol) = line.trim().strip_prefix("eol: ")
            && inside
        {
            return Some(eol);
        }
    }
    None
}

#[test]
fn credentials_and_providers_are_invented() {
    let town = town(1);
    let dictionary: toml::Table = toml::from_str(&town.dictionary()).unwrap();
    let entries = dictionary["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 6);
    for model in town.models() {
        if let Some(factory) = &model.factory {
            assert!(entries.iter().any(|e| {
                e["user"].as_str() == Some(&factory.user) && e["password"].as_str() == Some(&factory.password)
            }));
        }
    }
    let csv = town.providers_csv();
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("prefix_or_asn,name,mail,language,encryption"));
    assert!(lines.clone().count() >= 8);
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells.len(), 5, "{line}");
        assert!(cells[0].parse::<Prefix>().is_ok() && cells[2].ends_with(".example"), "{line}");
    }
}

#[test]
fn nothing_outside_the_loopback_is_ever_built() {
    let build = |base: &str, devices| {
        Town::build(&TownConfig { base: base.parse().unwrap(), devices, ..TownConfig::default() })
    };
    assert!(matches!(build("192.0.2.0/24", 440), Err(TownError::NotLoopback(_))));
    assert!(matches!(build("0.0.0.0/0", 440), Err(TownError::NotLoopback(_))));
    assert!(matches!(build("2001:db8::/32", 440), Err(TownError::NotLoopback(_))));
    assert!(matches!(build("127.42.0.0/23", 440), Err(TownError::TooSmall { .. })));
    assert!(matches!(build("127.42.0.0/16", 10), Err(TownError::TooFew(_))));
    assert!(build("127.42.0.0/16", 2_000).is_ok());
}

#[test]
fn time_goes_on_by_the_stated_days() {
    let start = TimeUs::from_secs(1_800_000_000);
    let town = Town::build(&TownConfig { start, round_days: 7, ..TownConfig::default() }).unwrap();
    assert_eq!(town.round(3).time, start.plus_secs(14 * 86_400));
}
