//! The IEEE's registry of hardware addresses (MA-L, MA-M, MA-S), as CSV.

use std::collections::HashMap;
use std::io::BufRead;

use super::importer::io;
use super::{ImportError, Importer, IntelligenceKind, Oui};

/// Longest name of an organisation that is kept, in characters.
const NAME_MAX: usize = 200;

/// Whom hardware addresses were assigned to.
#[derive(Debug, Clone, Default)]
pub struct Vendors {
    /// By the first digits of the address.
    by_prefix: HashMap<String, String>,
}

impl Vendors {
    /// Looks up in `records`; the later of two for one prefix counts.
    pub fn new<'a>(records: impl IntoIterator<Item = &'a Oui>) -> Self {
        let pairs = records.into_iter().map(|record| (record.prefix.clone(), record.organisation.clone()));
        Self { by_prefix: pairs.collect() }
    }

    /// The organisation that an address was assigned to, by the longest prefix. `None` for addresses
    /// that anybody may give himself, and groups.
    pub fn of(&self, address: [u8; 6]) -> Option<&str> {
        const GROUP_OR_LOCAL: u8 = 0b11;
        if address[0] & GROUP_OR_LOCAL != 0 {
            return None;
        }
        let digits = hex::encode_upper(address);
        // IEEE holds the wider blocks that it cuts up itself.
        let found = [9, 7, 6].iter().find_map(|length| self.by_prefix.get(&digits[..*length]));
        found.map(String::as_str).filter(|name| {
            !name.eq_ignore_ascii_case("IEEE Registration Authority") && !name.eq_ignore_ascii_case("Private")
        })
    }

    /// True when no assignment is known.
    pub fn is_empty(&self) -> bool {
        self.by_prefix.is_empty()
    }
}

pub(super) fn read(importer: &mut Importer, file: &str, from: impl BufRead) -> Result<(), ImportError> {
    // With `\n` alone as the end of a line, lines are counted right where they end in `\r\n` too.
    let mut reader =
        csv::ReaderBuilder::new().flexible(true).terminator(csv::Terminator::Any(b'\n')).from_reader(from);
    let failed = |error: csv::Error| io(file)(error.into());
    // Names hold bytes of older encodings: they are read as bytes, and what is no UTF-8 is replaced.
    let header = reader.byte_headers().map_err(failed)?.clone();
    let column =
        |name: &str| header.iter().position(|field| field.trim_ascii().eq_ignore_ascii_case(name.as_bytes()));
    let (Some(prefix), Some(organisation)) = (column("Assignment"), column("Organization Name")) else {
        return Err(not_oui(file, &header));
    };
    let mut record = csv::ByteRecord::new();
    loop {
        let line = reader.position().line();
        match reader.read_byte_record(&mut record) {
            Ok(false) => return Ok(()),
            Ok(true) => {
                let field = |at: usize| record.get(at).map(String::from_utf8_lossy);
                match (field(prefix), field(organisation)) {
                    (Some(prefix), Some(name)) => match oui(&prefix, &name) {
                        Ok(oui) => importer.oui.push(oui),
                        Err(reason) => importer.reject(file, line, reason),
                    },
                    _ => importer.reject(file, line, "the line has too few fields"),
                }
            }
            Err(error) if error.is_io_error() => return Err(failed(error)),
            Err(error) => importer.reject(file, line, error),
        }
    }
}

fn oui(prefix: &str, name: &str) -> Result<Oui, String> {
    let prefix = prefix.trim().to_ascii_uppercase();
    if !matches!(prefix.len(), 6 | 7 | 9) || !prefix.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let shown: String = prefix.chars().take(40).collect();
        return Err(format!(
            "`{shown}` is not the beginning of a hardware address, six, seven or nine digits"
        ));
    }
    let words: Vec<&str> = name
        .split(|char: char| char.is_whitespace() || char.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    let organisation: String = words.join(" ").chars().take(NAME_MAX).collect();
    if organisation.is_empty() {
        return Err(format!("`{prefix}` has no organisation"));
    }
    Ok(Oui { prefix, organisation })
}

fn not_oui(file: &str, header: &csv::ByteRecord) -> ImportError {
    let line = header.iter().map(String::from_utf8_lossy).collect::<Vec<_>>().join(",");
    ImportError::Kind {
        file: file.to_owned(),
        kind: IntelligenceKind::Oui,
        problem: format!("its first line is `{}`", line.chars().take(60).collect::<String>()),
        hint: "use oui.csv (or mam.csv, oui36.csv) of the IEEE; its columns are Registry,Assignment,Organization Name,…",
    }
}
