//! What can be asked about: one table, from which the parser, the evaluation and the help are made.

use std::fmt;

use kenshin_observation::{DeviceType, Transport};
use serde::Serialize;

/// A property of a service that a query can ask about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "FIELDS says what each means")]
pub enum Field {
    Ip,
    Port,
    Transport,
    Protocol,
    State,
    Vendor,
    Product,
    Version,
    Type,
    Cpe,
    Banner,
    Title,
    Server,
    Status,
    Cert,
    Issuer,
    CertSha256,
    Tls,
    Expires,
    Key,
    Hassh,
    Ja3s,
    Favicon,
    Label,
    Seen,
    First,
    Asked,
    Asn,
    AsName,
    Country,
    Region,
    Provider,
    Mandate,
    Survey,
    Sensor,
}

/// What the values of a field are, and so how they are written in a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Addresses: `192.0.2.1`, `192.0.2.0/24`.
    Network,
    /// Numbers: `23`, `1..1024`, `>=8000`.
    Number,
    /// Words, equal without regard to case; `*` stands for any characters.
    Word,
    /// Text that contains what is asked for, without regard to case.
    Text,
    /// Versions: `2019.78`, `<2020.1`, `1.0..1.99`.
    Version,
    /// Instants in the past: `7d` (within), `>30d` (longer ago), `2026-10-01`, `<2026-01-01`.
    Time,
    /// Instants to come: `30d` (within the next 30 days), `<2026-01-01`.
    TimeToCome,
}

/// A line of the table.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct FieldInfo {
    /// The field.
    #[serde(skip)]
    pub field: Field,
    /// Its name in queries.
    pub name: &'static str,
    /// Other names for it.
    pub synonyms: &'static [&'static str],
    /// What its values are.
    pub kind: Kind,
    /// An example, as it is written in a query.
    pub example: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

const fn line(
    field: Field,
    name: &'static str,
    synonyms: &'static [&'static str],
    kind: Kind,
    example: &'static str,
    meaning: &'static str,
) -> FieldInfo {
    FieldInfo { field, name, synonyms, kind, example, meaning }
}

/// Every field, in the order of [`Field`].
pub const FIELDS: &[FieldInfo] = &[
    line(
        Field::Ip,
        "ip",
        &["net", "addr", "host", "cidr"],
        Kind::Network,
        "net:203.0.113.0/24",
        "address, or inside of a prefix",
    ),
    line(Field::Port, "port", &[], Kind::Number, "port:23,2323", "port"),
    line(Field::Transport, "transport", &[], Kind::Word, "transport:udp", "tcp, udp or icmp"),
    line(
        Field::Protocol,
        "protocol",
        &["proto", "service"],
        Kind::Word,
        "protocol:telnet",
        "protocol that it spoke",
    ),
    line(
        Field::State,
        "state",
        &[],
        Kind::Word,
        "state:refused",
        "how it was at the last attempt; without this field only services that answered are found",
    ),
    line(
        Field::Vendor,
        "vendor",
        &["maker", "manufacturer"],
        Kind::Word,
        "vendor:buffalo",
        "maker of the device, or of software at this port; a word of the name is enough, in quotes it is the whole",
    ),
    line(
        Field::Product,
        "product",
        &["model", "software"],
        Kind::Word,
        "product:dropbear",
        "model of the device, or software at this port; a word of the name is enough, in quotes it is the whole",
    ),
    line(
        Field::Version,
        "version",
        &["firmware"],
        Kind::Version,
        "version:<2020.1",
        "version of the product asked for beside it; else of the vendor's; else of any",
    ),
    line(Field::Type, "type", &["device"], Kind::Word, "type:router", "kind of device"),
    line(
        Field::Cpe,
        "cpe",
        &[],
        Kind::Word,
        "cpe:cpe:2.3:o:buffalo:*",
        "CPE 2.3 name of the device, or of software at this port",
    ),
    line(Field::Banner, "banner", &[], Kind::Text, "banner:\"login:\"", "what the service says first"),
    line(Field::Title, "title", &[], Kind::Text, "title:\"router setup\"", "title of its web page"),
    line(Field::Server, "server", &[], Kind::Text, "server:lighttpd", "its Server header"),
    line(Field::Status, "status", &[], Kind::Number, "status:401", "status code of HTTP, RTSP or SIP"),
    line(
        Field::Cert,
        "cert",
        &["certificate", "subject"],
        Kind::Text,
        "cert:example.jp",
        "subject and names of its TLS certificate",
    ),
    line(Field::Issuer, "issuer", &[], Kind::Text, "issuer:\"Example CA\"", "issuer of its TLS certificate"),
    line(
        Field::CertSha256,
        "cert-sha256",
        &[],
        Kind::Word,
        "cert-sha256:5f1c*",
        "SHA-256 of the certificate, hexadecimal",
    ),
    line(Field::Tls, "tls", &["tls-version"], Kind::Word, "tls:TLSv1,TLSv1.1", "version of TLS"),
    line(
        Field::Expires,
        "expires",
        &["not-after"],
        Kind::TimeToCome,
        "expires:30d",
        "end of the certificate's validity",
    ),
    line(
        Field::Key,
        "key",
        &["key-sha256"],
        Kind::Word,
        "key:9ab0*",
        "SHA-256 of its SSH host key or TLS public key, hexadecimal",
    ),
    line(
        Field::Hassh,
        "hassh",
        &[],
        Kind::Word,
        "hassh:b12d2871a1189eff20364cf5333619ee",
        "fingerprint of its SSH algorithms",
    ),
    line(
        Field::Ja3s,
        "ja3s",
        &[],
        Kind::Word,
        "ja3s:ae4edc6faf64d08308082ad26be60767",
        "fingerprint of its TLS answer",
    ),
    line(Field::Favicon, "favicon", &[], Kind::Number, "favicon:-1203021870", "MurmurHash3 of its icon"),
    line(
        Field::Label,
        "label",
        &[],
        Kind::Word,
        "-label:honeypot-tell",
        "what makes it no device, as the sensor noticed",
    ),
    line(Field::Seen, "seen", &["last"], Kind::Time, "seen:7d", "when it last answered"),
    line(
        Field::First,
        "first",
        &["since"],
        Kind::Time,
        "first:<2026-01-01",
        "when it was first seen to answer",
    ),
    line(
        Field::Asked,
        "asked",
        &[],
        Kind::Time,
        "asked:>30d",
        "when it was last asked, whether it answered or not",
    ),
    line(Field::Asn, "asn", &["as"], Kind::Number, "asn:64500", "autonomous system that announces it"),
    line(Field::AsName, "as-name", &[], Kind::Text, "as-name:example", "name of that autonomous system"),
    line(Field::Country, "country", &["cc"], Kind::Word, "country:JP", "country, two letters"),
    line(
        Field::Region,
        "region",
        &["prefecture", "pref"],
        Kind::Word,
        "region:JP-13",
        "prefecture or other part of the country, ISO 3166-2, where known",
    ),
    line(
        Field::Provider,
        "provider",
        &["isp"],
        Kind::Word,
        "provider:\"Nishi Net\"",
        "who can reach the owner, by name",
    ),
    line(
        Field::Mandate,
        "mandate",
        &[],
        Kind::Word,
        "mandate:national-2026",
        "mandate under which it was last asked",
    ),
    line(Field::Survey, "survey", &[], Kind::Word, "survey:01J*", "survey that last asked"),
    line(Field::Sensor, "sensor", &[], Kind::Word, "sensor:01J*", "sensor that last asked"),
];

/// Words of [`Field::State`]: `answered`, how an attempt that did not find it ended, and
/// `changed` where the port now speaks another protocol.
pub const STATES: &[&str] =
    &["answered", "refused", "silent-host-alive", "dark", "filtered", "limited", "error", "changed"];

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Network => "network",
            Self::Number => "number",
            Self::Word => "word",
            Self::Text => "text",
            Self::Version => "version",
            Self::Time => "time",
            Self::TimeToCome => "time-to-come",
        })
    }
}

impl Field {
    /// Its line of the table.
    pub fn info(self) -> &'static FieldInfo {
        &FIELDS[self as usize]
    }

    /// Its name in queries.
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// The field with this name or synonym, without regard to case.
    pub fn named(name: &str) -> Option<Self> {
        let is = |known: &str| known.eq_ignore_ascii_case(name);
        FIELDS.iter().find(|info| is(info.name) || info.synonyms.iter().any(|s| is(s))).map(|info| info.field)
    }

    /// The closed list of its words, if it has one.
    pub fn words(self) -> Option<Vec<&'static str>> {
        match self {
            Self::Transport => Some(Transport::ALL.iter().map(|word| word.as_str()).collect()),
            Self::State => Some(STATES.to_vec()),
            Self::Type => Some(DeviceType::ALL.iter().map(|word| word.as_str()).collect()),
            _ => None,
        }
    }
}

/// The word of `known` that `asked` was probably meant to be.
pub(super) fn nearest<'a>(asked: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let asked: Vec<char> = asked.chars().take(40).flat_map(char::to_lowercase).collect();
    let limit = (asked.len() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|word| (distance(&asked, &word.chars().collect::<Vec<_>>()), word))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Optimal string alignment distance: insertions, deletions, substitutions, swapped neighbours.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut least = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_table_is_in_order_and_names_are_unique() {
        for (position, info) in FIELDS.iter().enumerate() {
            assert_eq!(info.field as usize, position, "{}", info.name);
            assert!(!info.meaning.is_empty() && info.example.contains(':'), "{}", info.name);
        }
        let names: Vec<_> = FIELDS.iter().flat_map(|info| info.synonyms.iter().chain([&info.name])).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        assert_eq!(Field::named("PREFECTURE"), Some(Field::Region));
    }

    #[test]
    fn what_was_meant_is_guessed_only_when_near() {
        let names = || FIELDS.iter().map(|info| info.name);
        assert_eq!(nearest("prot", names()), Some("port"));
        assert_eq!(nearest("contry", names()), Some("country"));
        assert_eq!(nearest("porduct", names()), Some("product"));
        assert_eq!(nearest("zzzzzz", names()), None);
    }
}
