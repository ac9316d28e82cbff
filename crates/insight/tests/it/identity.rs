//! What hosts are, from tables of what they say.

use kenshin_insight::evaluation::{self, Service};
use kenshin_insight::fingerprint::Packs;
use kenshin_insight::identity::{Field, Sighting, THRESHOLD, identify, identify_sightings};
use kenshin_insight::intelligence::{Oui, Vendors};
use kenshin_observation::protocol::{Records, S7, Snmp, Upnp, Wsd};
use kenshin_observation::{Identity, Observation};
use proptest::prelude::*;

use crate::world::{seen, spoken};

/// One host of a table.
#[derive(Debug, Default)]
pub(crate) struct Case {
    name: String,
    sightings: Vec<Sighting>,
    expected: Vec<(String, String)>,
}

/// Reads a table: `= name`, then `field:port text` lines (with `\r`, `\n` and `\\`), then
/// `> attribute value` lines, where `-` means that nothing may be claimed.
pub(crate) fn cases(table: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in table.lines() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix("= ") {
            cases.push(Case { name: name.to_owned(), ..Case::default() });
            continue;
        }
        let case = cases.last_mut().expect("a table starts with a name");
        if let Some(expected) = line.strip_prefix("> ") {
            let (attribute, value) = expected.split_once(' ').expect("attribute and value");
            case.expected.push((attribute.to_owned(), value.to_owned()));
        } else {
            let (place, text) = line.split_once(' ').expect("field:port and text");
            let (field, port) = place.split_once(':').expect("field and port");
            let field = Field::ALL.iter().find(|known| known.as_str() == field);
            let field = *field.unwrap_or_else(|| panic!("unknown field in `{line}`"));
            case.sightings.push(Sighting::new(field, port.parse().unwrap(), unescape(text)));
        }
    }
    cases
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, character == '\\') {
            (_, true) => match characters.next() {
                Some('r') => out.push('\r'),
                Some('n') => out.push('\n'),
                Some(other) => out.push(other),
                None => {}
            },
            (other, false) => out.push(other),
        }
    }
    out
}

/// What differs from the table, in words.
pub(crate) fn differences(case: &Case, packs: &Packs) -> Vec<String> {
    let identity = identify_sightings(&case.sightings, packs);
    let components: Vec<String> = identity
        .components
        .iter()
        .map(|one| match &one.version {
            Some(version) => format!("{} {version}:{}", one.product.value, one.port),
            None => format!("{}:{}", one.product.value, one.port),
        })
        .collect();
    let mut out = Vec::new();
    for (attribute, expected) in &case.expected {
        let found = match attribute.as_str() {
            "vendor" => identity.vendor.as_ref().map(|claim| claim.value.clone()),
            "product" => identity.product.as_ref().map(|claim| claim.value.clone()),
            "version" => identity.version.as_ref().map(|claim| claim.value.clone()),
            "type" => identity.device_type.as_ref().map(|claim| claim.value.clone()),
            "cpe" => identity.cpe.as_ref().map(|claim| claim.value.clone()),
            "component" if expected == "-" => components.first().cloned(),
            "component" => components.iter().find(|one| *one == expected).cloned(),
            "unknown" => Some(identity.is_unknown().to_string()),
            other => panic!("unknown attribute `{other}`"),
        };
        if found.as_deref().unwrap_or("-") != expected {
            out.push(format!(
                "{}: {attribute} should be `{expected}`, is `{}` ({})",
                case.name,
                found.unwrap_or_else(|| components.join(", ")),
                reasons(&identity),
            ));
        }
    }
    out
}

fn reasons(identity: &Identity) -> String {
    let claims = [&identity.vendor, &identity.product, &identity.version, &identity.device_type];
    let claims = claims.iter().filter_map(|claim| claim.as_ref());
    claims
        .map(|claim| format!("{} {}% {}", claim.value, claim.confidence, claim.reason))
        .collect::<Vec<_>>()
        .join(" | ")
}

const TABLE: &str = include_str!("../../../../testdata/insight/identity.txt");

#[test]
fn hosts_are_what_the_table_says() {
    let cases = cases(TABLE);
    let wrong: Vec<String> = cases.iter().flat_map(|case| differences(case, &Packs::own())).collect();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert!(cases.iter().all(|case| !case.expected.is_empty()));
}

#[test]
fn an_imported_pack_adds_and_does_not_overrule() {
    let Some(recog) = crate::recog::pack() else {
        eprintln!("skipped: an_imported_pack_adds_and_does_not_overrule (no shared data)");
        return;
    };
    let packs = Packs::both([recog]);
    let keeps = |case: &Case| {
        let own = identify_sightings(&case.sightings, &Packs::own());
        let both = identify_sightings(&case.sightings, &packs);
        let value = |identity: &Identity| {
            [&identity.vendor, &identity.product].map(|claim| claim.as_ref().map(|one| one.value.clone()))
        };
        let kept = value(&own).into_iter().zip(value(&both)).all(|(own, both)| own.is_none() || own == both);
        (!kept).then(|| {
            format!("{}: {:?} became {:?} ({})", case.name, value(&own), value(&both), reasons(&both))
        })
    };
    let wrong: Vec<String> = cases(TABLE).iter().filter_map(keeps).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn agreement_strengthens_and_contradiction_weakens() {
    let yamaha = Sighting::new(Field::HttpServer, 80, "YAMAHA-RT");
    let model = Sighting::new(Field::HttpAuthenticate, 80, r#"Basic realm="YAMAHA RTX810""#);
    let brother = Sighting::new(Field::HttpServer, 8080, "debut/1.20");
    let claim = |sightings: &[&Sighting]| {
        let sightings: Vec<Sighting> = sightings.iter().map(|&one| one.clone()).collect();
        identify_sightings(&sightings, &Packs::own()).vendor
    };
    let one = claim(&[&model]).unwrap();
    let two = claim(&[&model, &yamaha]).unwrap();
    let against = claim(&[&model, &yamaha, &brother]).unwrap();
    assert!(
        one.confidence < two.confidence && against.confidence < two.confidence,
        "{one:?} {two:?} {against:?}"
    );
    assert_eq!(two.reason.matches("own:").count(), 2, "{}", two.reason);
    assert!(against.reason.contains("; against `Brother`: own:http_server/"), "{}", against.reason);
    assert_eq!(claim(&[&model, &brother]), None, "one word against another");

    let again = Sighting { port: 8443, ..model.clone() };
    assert_eq!(claim(&[&model, &again]).unwrap().confidence, one.confidence, "one text, one witness");
}

#[test]
fn a_hardware_address_is_a_modest_word_about_the_maker() {
    let registry = ["001D73 BUFFALO.INC", "00E04C REALTEK SEMICONDUCTOR CORP."].map(|line| {
        let (prefix, organisation) = line.split_once(' ').unwrap();
        Oui { prefix: prefix.into(), organisation: organisation.into() }
    });
    let packs = Packs::own().with_vendors(Vendors::new(&registry));
    let at = |addr: &str| {
        let mut seen = seen(1, 80);
        seen.subject.addr = addr.parse().unwrap();
        seen
    };
    let vendor = |observation: &Observation, packs: &Packs| identify(&[observation], packs).vendor;
    let buffalo = vendor(&at("2001:db8::21d:73ff:fe01:203"), &packs).unwrap();
    assert_eq!((buffalo.value.as_str(), buffalo.confidence), ("BUFFALO.INC", 62));
    assert_eq!(buffalo.reason, "hardware_address:80");
    assert_eq!(vendor(&at("2001:db8::21d:73ff:fe01:203"), &Packs::own()), None, "without the registry");
    assert_eq!(vendor(&at("2001:db8::2e0:4cff:fe01:203"), &packs), None, "makes interfaces for others");
    // What the device says of itself weighs more.
    let mut upnp = at("2001:db8::21d:73ff:fe01:203");
    let said = Upnp { manufacturer: Some("D-Link".into()), ..Upnp::default() };
    upnp.records.upnp = Some(said.into());
    let contradicted = vendor(&upnp, &packs).unwrap();
    assert_eq!(contradicted.value, "D-Link");
    assert!(
        contradicted.reason.ends_with("; against `BUFFALO.INC`: hardware_address:80"),
        "{}",
        contradicted.reason
    );
    let engine = spoken(seen(1, 161), "snmp", |records| {
        let snmp = Snmp { engine_id: Some("8000000903001d73010203".into()), ..Snmp::default() };
        records.snmp = Some(snmp.into());
    });
    assert_eq!(vendor(&engine, &packs).unwrap().value, "BUFFALO.INC");
}

#[test]
fn datagram_services_and_name_plates_tell_the_device() {
    let text = |text: &str| Some(text.to_owned());
    let told = |protocol: &str, put: fn(&mut Records)| {
        let seen = spoken(seen(1, 1), protocol, put);
        let identity = identify(&[&seen], &Packs::own());
        let claims = [identity.vendor, identity.product, identity.version, identity.device_type];
        claims.map(|claim| claim.map(|claim| claim.value))
    };
    /// Protocol, what its record holds, and the vendor, product, version and type to be told.
    type Row<'a> = (&'a str, fn(&mut Records), [Option<&'a str>; 4]);
    let table: [Row<'_>; 6] = [
        (
            "snmp",
            |records| {
                let sys_descr = Some("RTX810 Rev.11.01.34 (Tue Nov 26 18:39:12 2019)".to_owned());
                records.snmp = Some(Snmp { sys_descr, ..Snmp::default() }.into());
            },
            [Some("Yamaha"), Some("RTX810"), Some("11.01.34"), Some("router")],
        ),
        (
            "snmp",
            |records| records.snmp = Some(Snmp { engine_enterprise: Some(28558), ..Snmp::default() }.into()),
            [Some("KEYENCE"), None, None, None],
        ),
        (
            "ssdp",
            |records| {
                records.upnp = Some(
                    Upnp {
                        manufacturer: Some("NEC Platforms, Ltd.".to_owned()),
                        model_name: Some("Aterm WX3600HP".to_owned()),
                        device_type: Some("urn:schemas-upnp-org:device:InternetGatewayDevice:1".to_owned()),
                        ..Upnp::default()
                    }
                    .into(),
                );
            },
            [Some("NEC Platforms, Ltd."), Some("Aterm WX3600HP"), None, Some("router")],
        ),
        (
            "s7",
            |records| {
                let (module, version) = (Some("6ES7 315-2EH14-0AB0".to_owned()), Some("V3.2.6".to_owned()));
                records.s7 = Some(S7 { module, version, ..S7::default() }.into());
            },
            [Some("Siemens"), Some("6ES7 315-2EH14-0AB0"), Some("V3.2.6"), Some("controller")],
        ),
        (
            "wsd",
            |records| {
                let (types, hardware) =
                    (vec!["dn:NetworkVideoTransmitter".to_owned()], Some("WV-S1131".to_owned()));
                records.wsd = Some(Wsd { types, hardware, ..Wsd::default() }.into());
            },
            [None, Some("WV-S1131"), None, Some("camera")],
        ),
        (
            "ssdp",
            |records| {
                let manufacturer = Some("MiniUPnP".to_owned());
                records.upnp = Some(Upnp { manufacturer, ..Upnp::default() }.into());
            },
            [None; 4],
        ),
    ];
    for (protocol, put, expected) in table {
        assert_eq!(told(protocol, put), expected.map(|value| value.and_then(text)), "{protocol}");
    }
}

#[test]
fn observations_and_their_sightings_agree() {
    assert!(identify(&[], &Packs::own()).is_unknown());
    assert_eq!(identify(&[], &Packs::own()), Identity::default());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn arbitrary_bytes_never_panic(
        texts in proptest::collection::vec((0..Field::ALL.len(), any::<u16>(), proptest::collection::vec(any::<u8>(), 0..200)), 0..6)
    ) {
        let sightings: Vec<Sighting> =
            texts.iter().map(|(field, port, text)| Sighting::new(Field::ALL[*field], *port, text)).collect();
        let identity = identify_sightings(&sightings, &Packs::own());
        for claim in [&identity.vendor, &identity.product, &identity.version, &identity.cpe].into_iter().flatten() {
            prop_assert!((THRESHOLD..=100).contains(&claim.confidence));
            prop_assert!(!claim.value.chars().any(char::is_control));
        }
    }

    /// Whatever surrounds it, a known text cut anywhere or with bytes changed never panics, and a
    /// version is only ever text that was there.
    #[test]
    fn mutated_texts_never_panic_and_versions_are_disclosed(
        case in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte: u8
    ) {
        let cases = cases(TABLE);
        let case = case.get(&cases);
        let mut sightings = case.sightings.clone();
        for sighting in &mut sightings {
            let position = at.index(sighting.text.len().max(1));
            if let Some(place) = sighting.text.get_mut(position) {
                *place = byte;
            }
            sighting.text.truncate(cut.index(sighting.text.len() + 1));
        }
        let identity = identify_sightings(&sightings, &Packs::own());
        let said = sightings.iter().map(|one| String::from_utf8_lossy(&one.text).into_owned()).collect::<Vec<_>>();
        let versions = identity.components.iter().filter_map(|one| one.version.as_ref());
        for version in versions.chain(identity.version.as_ref().map(|claim| &claim.value)) {
            prop_assert!(said.iter().any(|text| text.contains(version.as_str())), "{version} in {said:?}");
        }
    }

    /// A labelled banner of any bytes is read as some fields, whatever service it claims to be of.
    #[test]
    fn labelled_banners_never_panic(service in prop::sample::select(Service::ALL), banner: Vec<u8>) {
        for sighting in evaluation::sightings(service, &banner) {
            prop_assert!(!sighting.text.is_empty());
        }
    }
}
