//! Files that say who announces addresses and in which country they are: CSV and TSV of ranges or
//! prefixes (`@ip-location-db`, iptoasn.com, GeoLite2's AS blocks) and MaxMind databases.

use std::collections::HashMap;
use std::io::{BufRead, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use kenshin_observation::{Prefix, TimeUs};

use super::{AddressTableBuilder, Entry};
use crate::intelligence::importer::{io, read_line};
use crate::intelligence::mmdb::{Mmdb, MmdbError, Network, Value};
use crate::intelligence::{Day, ImportError, Importer, IntelligenceKind};

const LINE_MAX: usize = 4 << 10;
/// Longest name of a system that is kept, in bytes of UTF-8.
const NAME_MAX: usize = 200;
/// Largest database read. The largest published is below 300 MiB.
const DATABASE_MAX: u64 = 1 << 30;

/// Which half of an entry a kind of import keeps.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    System,
    Country,
}

pub(in crate::intelligence) fn read(
    importer: &mut Importer,
    kind: IntelligenceKind,
    file: &str,
    mut from: impl BufRead,
) -> Result<(), ImportError> {
    let half = if kind == IntelligenceKind::Country { Half::Country } else { Half::System };
    let head = from.fill_buf().map_err(io(file))?;
    // No text holds such bytes; a search tree does near its beginning.
    if file.ends_with(".mmdb") || head.iter().any(|byte| *byte < b'\t') {
        let mut bytes = Vec::new();
        from.take(DATABASE_MAX + 1).read_to_end(&mut bytes).map_err(io(file))?;
        if bytes.len() as u64 > DATABASE_MAX {
            return Err(refused(kind, file, "it is larger than any published database"));
        }
        return read_database(importer, half, kind, file, &bytes);
    }
    read_lines(importer, half, kind, file, from)
}

fn read_lines(
    importer: &mut Importer,
    half: Half,
    kind: IntelligenceKind,
    file: &str,
    mut from: impl BufRead,
) -> Result<(), ImportError> {
    let mut line = Vec::new();
    let mut number = 0;
    let before = importer.addresses.len();
    let mut first_problem = None;
    while let Some(whole) = read_line(&mut from, LINE_MAX, &mut line).map_err(io(file))? {
        number += 1;
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_start_matches('\u{feff}');
        if text.trim().is_empty() || text.starts_with('#') {
            continue;
        }
        let found = if whole { range(text, half) } else { Err("the line is too long".to_owned()) };
        match found {
            Ok(None) => {}
            Ok(Some((from, to, entry))) => {
                if !importer.addresses.add(from, to, &entry) {
                    importer.reject(file, number, format_args!("{from} to {to} is no range of addresses"));
                }
            }
            // A line of column names is none of its own.
            Err(_)
                if number == 1
                    && text.chars().next().is_some_and(char::is_alphabetic)
                    && !is_address(text) => {}
            Err(reason) => {
                first_problem.get_or_insert_with(|| reason.clone());
                importer.reject(file, number, reason);
            }
        }
    }
    match first_problem {
        Some(problem) if importer.addresses.len() == before => Err(refused(kind, file, &problem)),
        None if importer.addresses.len() == before => {
            Err(refused(kind, file, "it has no range of addresses"))
        }
        _ => Ok(()),
    }
}

fn is_address(line: &str) -> bool {
    let field = line.split([',', '\t', '/']).next().unwrap_or_default().trim_matches('"');
    field.parse::<IpAddr>().is_ok()
}

/// One line: first and last address, or a prefix; then number and name of a system, or a country and
/// perhaps its part (`JP-13`), or (iptoasn) number, country and name. `None` where nobody announces the range.
fn range(line: &str, half: Half) -> Result<Option<(IpAddr, IpAddr, Entry)>, String> {
    let fields =
        if line.contains('\t') { line.split('\t').map(str::to_owned).collect() } else { unquoted(line)? };
    let mut fields = fields.iter().map(|field| field.trim());
    let mut next = |what: &str| fields.next().ok_or_else(|| format!("the line has no {what}"));
    let first = next("address")?;
    let (from, to) = match first.contains('/') {
        true => {
            let prefix: Prefix = first.parse().map_err(|error| format!("{error}"))?;
            (prefix.base(), prefix.last())
        }
        false => (address(first)?, address(next("last address")?)?),
    };
    let rest: Vec<&str> = fields.collect();
    let entry = match (half, rest.as_slice()) {
        (Half::Country, [code] | [_, code, _, ..]) => country(code)?,
        (Half::Country, [code, part]) => country(code)?.map(|entry| with_region(entry, part)),
        (Half::Country, []) => return Err("the line has no country".to_owned()),
        (Half::System, [number, _, name]) => system(number, name)?,
        (Half::System, [number, name]) => system(number, name)?,
        (Half::System, [number]) => system(number, "")?,
        (Half::System, _) => return Err("the line has no number of a system".to_owned()),
    };
    Ok(entry.map(|entry| (from, to, entry)))
}

/// Fields of CSV; a quote inside of quotes is doubled (RFC 4180).
fn unquoted(line: &str) -> Result<Vec<String>, String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '"' if quoted && chars.next_if_eq(&'"').is_some() => {
                fields.last_mut().into_iter().for_each(|f| f.push('"'))
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            char => fields.last_mut().into_iter().for_each(|field| field.push(char)),
        }
    }
    if quoted { Err("a quote has no end".to_owned()) } else { Ok(fields) }
}

/// An address, also written as one decimal number.
fn address(text: &str) -> Result<IpAddr, String> {
    let plain = || text.parse::<IpAddr>().ok();
    let number = || {
        let number: u128 = text.parse().ok()?;
        Some(match u32::try_from(number) {
            Ok(number) => IpAddr::V4(Ipv4Addr::from_bits(number)),
            Err(_) => IpAddr::V6(Ipv6Addr::from_bits(number)),
        })
    };
    plain().or_else(number).ok_or_else(|| format!("`{}` is not an address", short(text)))
}

fn system(number: &str, name: &str) -> Result<Option<Entry>, String> {
    let digits = number.trim_start_matches("AS").trim_start_matches("as");
    let asn: u32 =
        digits.parse().map_err(|_| format!("`{}` is not the number of a system", short(number)))?;
    // 0 is what lists write where nobody announces the range.
    Ok((asn != 0).then(|| Entry { asn: Some(asn), name: name_of(name), ..Entry::default() }))
}

fn country(code: &str) -> Result<Option<Entry>, String> {
    match code {
        "" | "-" | "None" | "ZZ" | "XX" => Ok(None),
        code if code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
            Ok(Some(Entry { country: Some(code.to_ascii_uppercase()), ..Entry::default() }))
        }
        code => Err(format!("`{}` is not the code of a country", short(code))),
    }
}

/// The entry with a part of its country, where that is the code of one (ISO 3166-2); lists have names
/// and continents there too.
fn with_region(entry: Entry, code: &str) -> Entry {
    let code = code.to_ascii_uppercase();
    let own = entry.country.as_deref().and_then(|country| code.strip_prefix(country)?.strip_prefix('-'));
    let is_part = own.is_some_and(|part| {
        (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    Entry { region: is_part.then_some(code), ..entry }
}

fn name_of(name: &str) -> Option<String> {
    let name: String = name.chars().filter(|char| !char.is_control()).take(NAME_MAX).collect();
    let name = name.trim();
    (!name.is_empty() && name != "-").then(|| name.to_owned())
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

fn read_database(
    importer: &mut Importer,
    half: Half,
    kind: IntelligenceKind,
    file: &str,
    bytes: &[u8],
) -> Result<(), ImportError> {
    let broken = |error: MmdbError| refused(kind, file, &error.to_string());
    let database = Mmdb::open(bytes).map_err(broken)?;
    let mut said: HashMap<usize, Option<Entry>> = HashMap::new();
    let mut problems: Vec<(Network, MmdbError)> = Vec::new();
    let mut builder = std::mem::take(&mut importer.addresses);
    let walked = database.networks(|network| {
        let entry = said.entry(network.place).or_insert_with(|| match database.record(network.place) {
            Ok(record) => said_by(&record, half),
            Err(error) => {
                problems.push((network, error));
                None
            }
        });
        if let Some(entry) = entry {
            add(&mut builder, network, entry);
        }
    });
    importer.addresses = builder;
    walked.map_err(broken)?;
    let readable = said.len() > problems.len();
    for (network, error) in &problems {
        let place =
            format_args!("the record of {} at byte {} of the data: {error}", network.from, network.place);
        importer.reject(file, 0, place);
    }
    if said.values().all(Option::is_none) {
        let wanted = if half == Half::System { "a system" } else { "a country" };
        let problem = match problems.first() {
            Some((_, error)) if !readable => error.to_string(),
            _ => format!("no record of this database (`{}`) names {wanted}", short(database.kind())),
        };
        return Err(refused(kind, file, &problem));
    }
    if let Some(built) = i64::try_from(database.built()).ok().filter(|built| (1..1 << 36).contains(built)) {
        importer.newer_version(Day::of(TimeUs::from_secs(built)).to_string());
    }
    Ok(())
}

fn add(builder: &mut AddressTableBuilder, network: Network, entry: &Entry) {
    let ordered = builder.add(network.from, network.to, entry);
    debug_assert!(ordered, "the tree gives networks of one family");
}

/// What a record says, in the shapes of MaxMind, `@ip-location-db` and ipinfo.
fn said_by(record: &Value<'_>, half: Half) -> Option<Entry> {
    let code = |value: &Value<'_>| value.text().and_then(|code| country(code).ok().flatten());
    if half == Half::Country {
        let inside = |key: &str| record.get(key)?.get("iso_code").and_then(code);
        let part = match record.get("subdivisions") {
            Some(Value::List(parts)) => parts.first().and_then(|part| part.get("iso_code")?.text()),
            _ => None,
        };
        let with_part = |entry: Entry| {
            let whole = part.and_then(|part| Some(format!("{}-{part}", entry.country.as_deref()?)));
            whole.map_or_else(|| entry.clone(), |code| with_region(entry.clone(), &code))
        };
        return inside("country")
            .map(with_part)
            .or_else(|| inside("registered_country"))
            .or_else(|| ["country_code", "country"].iter().find_map(|key| record.get(key).and_then(code)));
    }
    let place = if record.get("autonomous_system_number").is_some() {
        record
    } else {
        record.get("traits").unwrap_or(record)
    };
    let text = |keys: &[&str]| keys.iter().find_map(|key| place.get(key)?.text()).unwrap_or_default();
    let number = match place.get("autonomous_system_number").or_else(|| place.get("asn"))? {
        Value::Unsigned(number) => number.to_string(),
        other => other.text()?.to_owned(),
    };
    system(&number, text(&["autonomous_system_organization", "as_name", "name"])).ok().flatten()
}

fn refused(kind: IntelligenceKind, file: &str, problem: &str) -> ImportError {
    ImportError::Kind {
        file: file.to_owned(),
        kind,
        problem: problem.to_owned(),
        hint: match kind {
            IntelligenceKind::Country => {
                "use CSV `first,last,country` or `first,last,country,part`, ip2asn's TSV, or a country or city database (MMDB)"
            }
            _ => "use CSV `first,last,number,name`, ip2asn's TSV, or an AS database (MMDB)",
        },
    }
}
