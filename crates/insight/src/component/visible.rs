//! Components that a host names by itself, beside the one that fingerprints read from a text: of
//! `lighttpd/1.4.35 OpenSSL/1.0.2k gSOAP/2.8` a fingerprint says one, this says three.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use aho_corasick::AhoCorasick;
use kenshin_observation::{Claim, Component};

use super::catalogue::{CATALOGUE, Known, key};
use crate::cpe::{Attribute, Cpe};
use crate::identity::{Field, Sighting};

/// Fields in which software names itself. Titles and certificates are written by people, who also
/// write about software.
const FIELDS: &[Field] = &[
    Field::HttpServer,
    Field::HttpPoweredBy,
    Field::SsdpServer,
    Field::RtspServer,
    Field::SshBanner,
    Field::TelnetText,
    Field::FtpBanner,
    Field::SipServer,
    Field::SipUserAgent,
    Field::UnknownBanner,
];

/// Most components of one host.
const COMPONENTS_MAX: usize = 64;

/// Longest text kept as evidence, in bytes.
const SHOWN_MAX: usize = 200;

/// Longest version taken, in bytes.
const VERSION_MAX: usize = 40;

/// Adds what `sightings` show to the components that fingerprints found, and to each of them the text
/// that showed it.
pub(crate) fn add_visible(components: &mut Vec<Component>, sightings: &[Sighting]) {
    for component in components.iter_mut() {
        let place = |sighting: &&Sighting| {
            let origin = format!("{}:{}", sighting.field.as_str(), component.port);
            sighting.port == component.port && component.product.reason.ends_with(&origin)
        };
        component.shown = sightings.iter().find(place).map(|sighting| shown(&sighting.text));
    }
    for sighting in sightings.iter().filter(|sighting| FIELDS.contains(&sighting.field)) {
        for found in visible(sighting) {
            let held = components.iter().position(|held| {
                let same = key(&held.product.value, held.cpe.as_deref()) == key(&found.product.value, None);
                same && held.port == found.port
                    && (held.version.is_none() || found.version.is_none() || held.version == found.version)
            });
            match held {
                Some(at) if components[at].version.is_none() && found.version.is_some() => {
                    components[at] = found;
                }
                Some(_) => {}
                None if components.len() < COMPONENTS_MAX => components.push(found),
                None => return,
            }
        }
    }
    components.sort_by(|a, b| (a.port, &a.product.value).cmp(&(b.port, &b.product.value)));
}

/// The components of the catalogue that one text names.
fn visible(sighting: &Sighting) -> Vec<Component> {
    // Nearly every text names none: one pass over its bytes says so.
    let mut named: BTreeMap<usize, Option<String>> = BTreeMap::new();
    if !marks().finder.is_match(&sighting.text) {
        return Vec::new();
    }
    let text = shown(&sighting.text);
    for found in marks().finder.find_overlapping_iter(&text) {
        let mark = &text[found.range()];
        if stands_alone(&text, found.start(), found.end(), mark) {
            let version = version_behind(&text[found.end()..]);
            let held = named.entry(marks().owner[found.pattern().as_usize()]).or_default();
            *held = held.take().max(version);
        }
    }
    let component = |(at, version): (usize, Option<String>)| {
        let known = &CATALOGUE[at];
        Component {
            vendor: Some(known.maker.to_owned()),
            product: Claim {
                value: known.name.to_owned(),
                confidence: sighting.field.trust(),
                reason: format!("component:{} {}:{}", known.name, sighting.field.as_str(), sighting.port),
            },
            cpe: cpe(known, version.as_deref()),
            version,
            port: sighting.port,
            shown: Some(text.clone()),
        }
    };
    named.into_iter().map(component).collect()
}

/// Every mark of the catalogue, looked for at once.
struct Marks {
    finder: AhoCorasick,
    /// Position in the catalogue, by mark.
    owner: Vec<usize>,
}

fn marks() -> &'static Marks {
    static MARKS: OnceLock<Marks> = OnceLock::new();
    MARKS.get_or_init(|| {
        let all = CATALOGUE.iter().enumerate();
        let all: Vec<(usize, &str)> =
            all.flat_map(|(at, known)| known.marks.iter().map(move |mark| (at, *mark))).collect();
        let finder = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(all.iter().map(|(_, mark)| mark))
            .expect("the catalogue's marks are few and short");
        Marks { finder, owner: all.into_iter().map(|(at, _)| at).collect() }
    })
}

/// True when what stands from `start` to `end` is a word of its own.
fn stands_alone(text: &str, start: usize, end: usize, mark: &str) -> bool {
    let before = text[..start].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let behind = text[end..].starts_with(|c: char| c.is_ascii_alphanumeric());
    !before && (mark.ends_with('/') || !behind)
}

/// `/2.8.10`, `_2019.78`, ` v1.12.1`: one separator, then a version, up to what no version is
/// written with.
fn version_behind(rest: &str) -> Option<String> {
    let rest = rest.strip_prefix(['/', '_', ' ', '-']).unwrap_or(rest);
    let rest = rest.strip_prefix(['v', 'V']).unwrap_or(rest);
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || ".-+".contains(c))).unwrap_or(rest.len());
    let version = rest[..end].trim_end_matches(['.', '-', '+']);
    (version.starts_with(|c: char| c.is_ascii_digit()) && version.len() <= VERSION_MAX)
        .then(|| version.to_owned())
}

fn cpe(known: &Known, version: Option<&str>) -> Option<String> {
    let (vendor, product) = known.cpes.first()?;
    let mut cpe = Cpe::new("a", vendor, product);
    if let Some(version) = version {
        cpe.version = Attribute::literal(version);
    }
    Some(cpe.to_string())
}

fn shown(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text.trim_ascii());
    let mut cut = text.len().min(SHOWN_MAX);
    while !text.is_char_boundary(cut) {
        cut -= 1;
    }
    text[..cut].to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(field: Field, text: &str, expected: &[(&str, Option<&str>)]) {
        let mut components = Vec::new();
        add_visible(&mut components, &[Sighting::new(field, 80, text)]);
        let found: Vec<(&str, Option<&str>)> =
            components.iter().map(|one| (one.product.value.as_str(), one.version.as_deref())).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn texts_name_their_components() {
        use Field::{
            FtpBanner, HttpServer, HttpTitle, RtspServer, SsdpServer, SshBanner, TelnetText, UnknownBanner,
        };
        check(HttpServer, "gSOAP/2.7", &[("gSOAP", Some("2.7"))]);
        check(HttpServer, "Hikvision gSOAP/2.8.10 soap", &[("gSOAP", Some("2.8.10"))]);
        check(HttpServer, "Boa/0.94.14rc21", &[("Boa", Some("0.94.14rc21"))]);
        check(HttpServer, "Server: BoaConstrictor/1", &[]);
        check(HttpServer, "GoAhead-Webs", &[("GoAhead", None)]);
        check(HttpServer, "uc-httpd 1.0.0", &[("uc-httpd", Some("1.0.0"))]);
        check(HttpServer, "Allegro-Software-RomPager/4.07 UPnP/1.0", &[("RomPager", Some("4.07"))]);
        check(HttpServer, "mini_httpd/1.19 19dec2003", &[("mini_httpd", Some("1.19"))]);
        check(
            HttpServer,
            "lighttpd/1.4.35 OpenSSL/1.0.2k-fips",
            &[("OpenSSL", Some("1.0.2k-fips")), ("lighttpd", Some("1.4.35"))],
        );
        check(HttpServer, "Apache/2.4.6 (CentOS) OpenSSL/1.0.2k", &[("OpenSSL", Some("1.0.2k"))]);
        check(HttpServer, "notlighttpd/1.0", &[]);
        check(SsdpServer, "Linux/2.6 UPnP/1.0 MiniUPnPd/1.8", &[("MiniUPnPd", Some("1.8"))]);
        check(
            SsdpServer,
            "Linux/3.10, UPnP/1.0, Portable SDK for UPnP devices/1.6.18",
            &[("libupnp", Some("1.6.18"))],
        );
        check(SshBanner, "SSH-2.0-dropbear_2019.78", &[("Dropbear", Some("2019.78"))]);
        check(SshBanner, "SSH-2.0-dropbear", &[("Dropbear", None)]);
        check(TelnetText, "\r\nBusyBox v1.12.1 (2012)", &[("BusyBox", Some("1.12.1"))]);
        check(RtspServer, "H264DVR 1.0", &[("H264DVR", Some("1.0"))]);
        check(RtspServer, "Dahua Rtsp Server", &[("Dahua RTSP server", None)]);
        check(UnknownBanner, "BusyBox telnetd login:", &[("BusyBox", None)]);
        check(FtpBanner, "220 Welcome", &[]);
        check(HttpTitle, "How to build gSOAP/2.7", &[]);
    }

    #[test]
    fn fingerprints_and_texts_agree_on_one_component() {
        let seen = Sighting::new(Field::HttpServer, 80, "gSOAP/2.7");
        let packs = crate::fingerprint::Packs::own();
        let mut components =
            crate::identity::identify_sightings(std::slice::from_ref(&seen), &packs).components;
        let by_pack = components.clone();
        assert_eq!(by_pack.len(), 1);
        add_visible(&mut components, &[seen]);
        assert_eq!(components.len(), 1, "{components:?}");
        assert_eq!(components[0].product, by_pack[0].product, "what the pack says stays");
        assert_eq!(components[0].shown.as_deref(), Some("gSOAP/2.7"), "and the bytes are beside it");
    }

    proptest! {
        #[test]
        fn hostile_texts_are_survived(text: Vec<u8>, port: u16) {
            let mut components = Vec::new();
            let seen = FIELDS.iter().map(|field| Sighting::new(*field, port, &text)).collect::<Vec<_>>();
            add_visible(&mut components, &seen);
            prop_assert!(components.len() <= COMPONENTS_MAX);
            for component in components {
                prop_assert!(component.shown.is_some_and(|shown| shown.len() <= SHOWN_MAX));
            }
        }

        #[test]
        fn a_version_is_only_what_was_shown(version in "[0-9]{1,3}(\\.[0-9]{1,3}){0,3}[a-z]?", tail in "( [ -~]{0,20})?") {
            let mut components = Vec::new();
            let text = format!("x gSOAP/{version}{tail}");
            add_visible(&mut components, &[Sighting::new(Field::HttpServer, 80, &text)]);
            let gsoap = components.iter().find(|one| one.product.value == "gSOAP").unwrap();
            prop_assert_eq!(gsoap.version.as_deref(), Some(version.as_str()));
        }
    }
}
