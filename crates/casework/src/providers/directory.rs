//! The provider directory as a CSV file.
//!
//! Columns, in this order, with this header:
//!
//! | column | holds |
//! |---|---|
//! | `prefix_or_asn` | `192.0.2.0/24`, `2001:db8::/32` or `AS64500`; a provider has one line for each |
//! | `name` | the provider; lines of the same name are one provider |
//! | `mail` | where notices go |
//! | `language` | language of notices: one with a message catalogue, such as `ja` or `en` |
//! | `encryption` | a file with an armoured OpenPGP key, relative to this file, or `link-only` |
//! | `pps` | may be left out, with its header: probes a second into all its networks together; empty for what mandates say |
//!
//! Lines starting with `#` are comments. On any error nothing is imported.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;

use kenshin_observation::Prefix;

use super::{Protection, Provider};
use crate::openpgp;

/// The header line; the last column may be left out.
pub const HEADER: [&str; 6] = ["prefix_or_asn", "name", "mail", "language", "encryption", "pps"];
/// Most probes a second that a directory states.
const PPS_MAX: u32 = 10_000_000;
/// Largest file read.
pub const BYTES_MAX: usize = 64 << 20;
/// Problems reported at most; the rest is the same mistake again.
pub const PROBLEMS_MAX: usize = 20;

/// What a line claims for its provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Claim {
    /// A prefix.
    Prefix(Prefix),
    /// An AS number, resolved by a table later.
    As(u32),
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix(prefix) => prefix.fmt(f),
            Self::As(asn) => write!(f, "AS{asn}"),
        }
    }
}

/// Neither prefix nor AS number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseClaimError(String);

impl FromStr for Claim {
    type Err = ParseClaimError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(digits) = text.strip_prefix("AS").or_else(|| text.strip_prefix("as")) {
            return match digits.parse::<u32>() {
                Ok(asn) if asn > 0 && digits.bytes().all(|b| b.is_ascii_digit()) => Ok(Self::As(asn)),
                _ => Err(ParseClaimError(format!("`{text}` is not an AS number such as AS64500"))),
            };
        }
        text.parse()
            .map(Self::Prefix)
            .map_err(|error: kenshin_observation::ParsePrefixError| ParseClaimError(error.to_string()))
    }
}

/// One provider with all its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// Its name.
    pub name: String,
    /// Where notices go.
    pub mail: String,
    /// In which language.
    pub language: String,
    /// Armoured OpenPGP key; `None` means link-only.
    pub openpgp_key: Option<String>,
    /// Probes a second into all its networks together, where it asks for that.
    pub pps: Option<u32>,
    /// What it claims, sorted.
    pub claims: Vec<Claim>,
}

impl DirectoryEntry {
    /// How its notices are protected.
    pub fn protection(&self) -> Protection {
        if self.openpgp_key.is_some() { Protection::OpenPgp } else { Protection::LinkOnly }
    }

    pub(super) fn equals(&self, old: &Provider) -> bool {
        let mut claims: Vec<String> = self.claims.iter().map(ToString::to_string).collect();
        let mut old_claims = old.claims.clone();
        claims.sort();
        old_claims.sort();
        !old.retired
            && self.mail == old.mail
            && self.language == old.language
            && self.openpgp_key == old.openpgp_key
            && claims == old_claims
    }
}

/// A whole directory, free of contradictions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// Where it was read from.
    pub file: String,
    /// SHA-256 of its text, hexadecimal.
    pub sha256: String,
    /// Providers by name.
    pub entries: Vec<DirectoryEntry>,
}

/// One thing wrong with a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub what: String,
    /// The way out.
    pub hint: String,
}

/// A directory that cannot be imported; nothing was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryError {
    /// The file.
    pub file: String,
    /// What is wrong, [`PROBLEMS_MAX`] at most.
    pub problems: Vec<Problem>,
}

impl std::error::Error for DirectoryError {}

impl fmt::Display for DirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            let Problem { line, column, what, hint } = problem;
            write!(f, "{}:{line}:{column}: {what}; hint: {hint}", self.file)?;
        }
        Ok(())
    }
}

struct Field {
    line: usize,
    column: usize,
    text: String,
}

/// The first line of a provider, to which the later ones must be equal.
struct Known {
    line: usize,
    entry: DirectoryEntry,
    encryption: String,
    pps: String,
}

impl Directory {
    /// Parses a directory. `languages` are those with a message catalogue; `read_key` reads the
    /// file an `encryption` cell names, or says why it cannot.
    pub fn parse(
        file: &str,
        text: &str,
        languages: &[&str],
        read_key: impl Fn(&str) -> Result<String, String>,
    ) -> Result<Self, DirectoryError> {
        let mut problems = Vec::new();
        let mut known: BTreeMap<String, Known> = BTreeMap::new();
        let mut claimed: HashMap<Claim, (String, usize)> = HashMap::new();
        let mut header_seen = false;
        let records = if text.len() > BYTES_MAX {
            problems.push(Problem {
                line: 1,
                column: 1,
                what: format!("the file is larger than {} MiB", BYTES_MAX >> 20),
                hint: "claim AS numbers instead of their prefixes".into(),
            });
            Vec::new()
        } else {
            records(text, &mut problems)
        };
        for record in &records {
            if problems.len() >= PROBLEMS_MAX {
                break;
            }
            if !header_seen {
                header_seen = true;
                let header: Vec<&str> = record.iter().map(|field| field.text.as_str()).collect();
                if header != HEADER && header != HEADER[..5] {
                    problems.push(Problem {
                        line: record[0].line,
                        column: 1,
                        what: "the header is missing".into(),
                        hint: format!("the first line is `{}`", HEADER[..5].join(",")),
                    });
                    break;
                }
                continue;
            }
            read_line(record, languages, &read_key, &mut known, &mut claimed, &mut problems);
        }
        if !header_seen && problems.is_empty() {
            problems.push(Problem {
                line: 1,
                column: 1,
                what: "the file is empty".into(),
                hint: format!("the first line is `{}`", HEADER[..5].join(",")),
            });
        }
        if !problems.is_empty() {
            return Err(DirectoryError { file: file.to_owned(), problems });
        }
        let entries = known
            .into_values()
            .map(|mut known| {
                known.entry.claims.sort();
                known.entry
            })
            .collect();
        Ok(Self { file: file.to_owned(), sha256: crate::store::digest(text), entries })
    }
}

fn read_line(
    record: &[Field],
    languages: &[&str],
    read_key: &impl Fn(&str) -> Result<String, String>,
    known: &mut BTreeMap<String, Known>,
    claimed: &mut HashMap<Claim, (String, usize)>,
    problems: &mut Vec<Problem>,
) {
    let mut problem = |field: &Field, what: String, hint: &str| {
        problems.push(Problem { line: field.line, column: field.column, what, hint: hint.to_owned() });
    };
    let [claim, name, mail, language, encryption, rest @ ..] = record else {
        let what = format!("{} columns instead of {}", record.len(), HEADER.len() - 1);
        problem(&record[0], what, "quote a cell that holds a comma");
        return;
    };
    let pps = match rest {
        [] => "",
        [pps] => pps.text.as_str(),
        [_, more, ..] => {
            return problem(
                more,
                format!("{} columns instead of {}", record.len(), HEADER.len()),
                "remove it",
            );
        }
    };
    let parsed = match claim.text.parse::<Claim>() {
        Ok(parsed) => Some(parsed),
        Err(error) => {
            problem(claim, error.to_string(), "write a prefix without host bits, or AS and a number");
            None
        }
    };
    if name.text.is_empty() || name.text.chars().count() > 200 || name.text.chars().any(char::is_control) {
        problem(name, "not a name".into(), "1 to 200 characters on one line");
        return;
    }
    if let Some(parsed) = parsed {
        if let Some((owner, line)) = claimed.get(&parsed) {
            problem(
                claim,
                format!("{parsed} is claimed by `{owner}` on line {line} already"),
                "remove one of the two lines",
            );
        }
        claimed.entry(parsed).or_insert_with(|| (name.text.clone(), claim.line));
    }
    if let Some(first) = known.get_mut(&name.text) {
        let same =
            [(mail, &first.entry.mail), (language, &first.entry.language), (encryption, &first.encryption)];
        for (field, expected) in same {
            if field.text != *expected {
                let what = format!("`{}` differs from `{expected}` on line {}", field.text, first.line);
                problem(field, what, "lines of one provider have the same mail, language and encryption");
            }
        }
        if let Some(field) = rest.first().filter(|field| field.text != first.pps) {
            let what = format!("`{}` differs from `{}` on line {}", field.text, first.pps, first.line);
            problem(
                field,
                what,
                "the limit is for all networks of a provider together: write it on each line",
            );
        }
        first.entry.claims.extend(parsed);
        return;
    }
    if mail.text.parse::<lettre::Address>().is_err() {
        problem(mail, format!("`{}` is not a mail address", mail.text), "write it as abuse@example.net");
    }
    if !languages.contains(&language.text.as_str()) {
        let hint = format!("one of {}, or add a catalogue for it", languages.join(", "));
        problem(language, format!("no message catalogue for the language `{}`", language.text), &hint);
    }
    let openpgp_key = match encryption.text.as_str() {
        "link-only" => None,
        "" => {
            problem(encryption, "no protection given".into(), "name a key file, or write link-only");
            None
        }
        path => match read_key(path)
            .and_then(|key| openpgp::check_recipient(&key).map(|()| key).map_err(|e| e.to_string()))
        {
            Ok(key) => Some(key),
            Err(error) => {
                let hint =
                    "an armoured OpenPGP public key that can encrypt, relative to this file, or link-only";
                problem(encryption, format!("cannot use the key `{path}`: {error}"), hint);
                None
            }
        },
    };
    let limit = pps.parse::<u32>().ok().filter(|limit| (1..=PPS_MAX).contains(limit));
    if let (Some(field), None, false) = (rest.first(), limit, pps.is_empty()) {
        let hint = format!("1 to {PPS_MAX}; leave networks out with an exclusion to send nothing there");
        problem(field, format!("`{pps}` is not a number of probes a second"), &hint);
    }
    let entry = DirectoryEntry {
        name: name.text.clone(),
        mail: mail.text.clone(),
        language: language.text.clone(),
        openpgp_key,
        pps: limit,
        claims: parsed.into_iter().collect(),
    };
    let (encryption, pps) = (encryption.text.clone(), pps.to_owned());
    known.insert(name.text.clone(), Known { line: claim.line, entry, encryption, pps });
}

/// RFC 4180 with positions: the `csv` crate knows the line of a record, not the column of a cell.
fn records(text: &str, problems: &mut Vec<Problem>) -> Vec<Vec<Field>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut records = Vec::new();
    let mut chars = text.chars().peekable();
    let (mut line, mut column) = (1, 1);
    while chars.peek().is_some() {
        if chars.peek() == Some(&'#') {
            while chars.next().is_some_and(|c| c != '\n') {}
            line += 1;
            continue;
        }
        let mut record = Vec::new();
        loop {
            let mut field = Field { line, column, text: String::new() };
            let quoted = chars.next_if_eq(&'"').is_some();
            if quoted {
                column += 1;
                loop {
                    match chars.next() {
                        Some('"') if chars.next_if_eq(&'"').is_some() => {
                            field.text.push('"');
                            column += 2;
                        }
                        Some('"') => {
                            column += 1;
                            break;
                        }
                        Some('\n') => {
                            field.text.push('\n');
                            (line, column) = (line + 1, 1);
                        }
                        Some(c) => {
                            field.text.push(c);
                            column += 1;
                        }
                        None => {
                            problems.push(Problem {
                                line: field.line,
                                column: field.column,
                                what: "a quote is opened and never closed".into(),
                                hint: "close it, or double a quote that belongs to the text".into(),
                            });
                            return records;
                        }
                    }
                }
            }
            while let Some(c) = chars.next_if(|c| !matches!(c, ',' | '\n' | '\r')) {
                field.text.push(c);
                column += 1;
            }
            field.text = field.text.trim().to_owned();
            record.push(field);
            if chars.next_if_eq(&'\r').is_some() {
                chars.next_if_eq(&'\n');
                break;
            }
            match chars.next() {
                Some(',') => column += 1,
                _ => break,
            }
        }
        (line, column) = (line + 1, 1);
        if record.len() > 1 || !record[0].text.is_empty() {
            records.push(record);
        }
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Directory, DirectoryError> {
        Directory::parse("providers.csv", text, &["en", "ja"], |path| Err(format!("no file {path}")))
    }

    #[test]
    fn lines_of_one_name_are_one_provider() {
        let directory = parse(
            "\u{feff}prefix_or_asn,name,mail,language,encryption\r\n# comment\r\n192.0.2.0/24,\"Example, Inc.\",a@example.net,ja,link-only\r\nAS64500,\"Example, Inc.\",a@example.net,ja,link-only\r\n\r\n2001:db8::/32,Other,b@example.org,en,link-only",
        )
        .unwrap();
        assert_eq!(directory.entries.len(), 2);
        assert_eq!(directory.entries[0].name, "Example, Inc.");
        assert_eq!(directory.entries[0].claims.len(), 2);
    }

    #[test]
    fn every_problem_names_its_place_and_the_way_out() {
        let error = parse(
            "prefix_or_asn,name,mail,language,encryption\n192.0.2.1/24,A,a@example.net,ja,link-only\n198.51.100.0/24,B,nobody,fr,missing.asc\n198.51.100.0/24,B,c@example.net,fr,missing.asc\nAS0,C,c@example.net,en,\nx\n",
        )
        .unwrap_err()
        .to_string();
        let expected = [
            "providers.csv:2:1: `192.0.2.1/24` has host bits set; the prefix is 192.0.2.0/24; hint:",
            "providers.csv:3:19: `nobody` is not a mail address; hint:",
            "providers.csv:3:26: no message catalogue for the language `fr`; hint: one of en, ja",
            "providers.csv:3:29: cannot use the key `missing.asc`: no file missing.asc; hint:",
            "providers.csv:4:1: 198.51.100.0/24 is claimed by `B` on line 3 already; hint:",
            "providers.csv:4:19: `c@example.net` differs from `nobody` on line 3; hint:",
            "providers.csv:5:1: `AS0` is not an AS number",
            "providers.csv:5:24: no protection given; hint:",
            "providers.csv:6:1: 1 columns instead of 5; hint:",
        ];
        for line in expected {
            assert!(error.contains(line), "missing {line}\nin\n{error}");
        }
    }

    #[test]
    fn a_provider_may_ask_to_be_asked_slowly() {
        let parse = |lines: &str| parse(&format!("{}\n{lines}", HEADER.join(",")));
        let directory = parse(
            "192.0.2.0/24,A,a@example.net,ja,link-only,50\nAS64500,A,a@example.net,ja,link-only,50\n\
             198.51.100.0/24,B,b@example.net,ja,link-only,\n203.0.113.0/24,C,c@example.net,ja,link-only\n",
        )
        .unwrap();
        assert_eq!(
            directory.entries.iter().map(|entry| entry.pps).collect::<Vec<_>>(),
            [Some(50), None, None]
        );
        let error = parse(
            "192.0.2.0/24,A,a@example.net,ja,link-only,50\nAS64500,A,a@example.net,ja,link-only,60\n\
             198.51.100.0/24,B,b@example.net,ja,link-only,0\n203.0.113.0/24,C,c@example.net,ja,link-only,5,6\n",
        )
        .unwrap_err()
        .to_string();
        for line in [
            "providers.csv:3:38: `60` differs from `50` on line 2; hint:",
            "providers.csv:4:46: `0` is not a number of probes a second; hint: 1 to",
            "providers.csv:5:47: 7 columns instead of 6; hint:",
        ] {
            assert!(error.contains(line), "missing {line}\nin\n{error}");
        }
    }

    #[test]
    fn a_file_without_header_or_end_is_refused() {
        assert!(parse("").unwrap_err().to_string().contains("the file is empty"));
        assert!(parse("192.0.2.0/24,A,a@b.c,en,link-only\n").unwrap_err().to_string().contains("header"));
        let open = "prefix_or_asn,name,mail,language,encryption\n192.0.2.0/24,\"A";
        assert!(parse(open).unwrap_err().to_string().contains(":2:14: a quote is opened"));
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_read_never_panics(text: String, cells in "[ -~\r\n\",#]{0,200}") {
            let _ = parse(&text);
            if let Err(error) = parse(&format!("{}\n{cells}", HEADER.join(","))) {
                proptest::prop_assert!(error.problems.len() <= PROBLEMS_MAX + HEADER.len());
                proptest::prop_assert!(error.problems.iter().all(|p| p.line > 0 && p.column > 0 && !p.hint.is_empty()));
            }
        }
    }
}
