//! Control messages (RFC 9327, mode 6): READVAR of the system's variables, which a server gives in
//! one datagram or a few.

use std::collections::BTreeMap;

use crate::charset;
use crate::malformed::Malformed;
use crate::reader::Reader;

/// Read variables.
const READVAR: u8 = 2;

/// Most fragments kept of one answer; ntpd's come to two or three.
const FRAGMENTS_MAX: usize = 16;

/// Most variables read.
const VARIABLES_MAX: usize = 64;

/// READVAR of the system's variables (association 0), version 2 as ntpq sends it. `sequence` comes
/// back.
pub fn read_variables(sequence: u16) -> [u8; 12] {
    let [high, low] = sequence.to_be_bytes();
    [2 << 3 | 6, READVAR, high, low, 0, 0, 0, 0, 0, 0, 0, 0]
}

/// One datagram of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// Version, 1 to 4.
    pub version: u8,
    /// Number of the question.
    pub sequence: u16,
    /// The server refuses: code of RFC 9327 §3.3, such as 1 authentication failed, 2 bad format,
    /// 3 no such operation, 7 prohibited.
    pub error: Option<u8>,
    /// Others follow.
    pub more: bool,
    /// Where the data belong.
    pub offset: u16,
    /// Data.
    pub data: Vec<u8>,
}

/// Reads one datagram of an answer to [`read_variables`]; padding and authentication behind the
/// data are passed over.
pub fn parse(bytes: &[u8]) -> Result<Fragment, Malformed> {
    const END: Malformed = Malformed::Truncated("an NTP control message");
    let mut reader = Reader::new(bytes);
    let (first, second) = (reader.u8().ok_or(END)?, reader.u8().ok_or(END)?);
    let (version, mode) = (first >> 3 & 7, first & 7);
    let (response, refused, more) = (second & 0x80 != 0, second & 0x40 != 0, second & 0x20 != 0);
    if mode != 6 || !(1..=4).contains(&version) || !response || second & 0x1f != READVAR {
        return Err(Malformed::Not("an answer to READVAR"));
    }
    let sequence = reader.u16().ok_or(END)?;
    let status = reader.u16().ok_or(END)?;
    let _association = reader.u16().ok_or(END)?;
    let offset = reader.u16().ok_or(END)?;
    let count = reader.u16().ok_or(END)?;
    let data = reader.take(count.into()).ok_or(END)?.to_vec();
    let error = refused.then_some((status >> 8) as u8);
    Ok(Fragment { version, sequence, error, more, offset, data })
}

/// Fragments of one answer, in whatever order they arrive.
#[derive(Debug, Clone, Default)]
pub struct Assembly {
    fragments: BTreeMap<u16, (Vec<u8>, bool)>,
}

impl Assembly {
    /// Takes one more; beyond the sixteenth, and a second at the same place, they are passed over.
    pub fn push(&mut self, fragment: Fragment) {
        if self.fragments.len() < FRAGMENTS_MAX {
            self.fragments.entry(fragment.offset).or_insert((fragment.data, fragment.more));
        }
    }

    /// Everything from the beginning as far as no fragment is missing, and whether that is all.
    pub fn text(&self) -> (Vec<u8>, bool) {
        let mut text = Vec::new();
        for (offset, (data, more)) in &self.fragments {
            if usize::from(*offset) != text.len() {
                break;
            }
            text.extend_from_slice(data);
            if !more {
                return (text, true);
            }
        }
        (text, false)
    }
}

/// What the system's variables tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variables {
    /// Program, version and when it was built.
    pub version: Option<String>,
    /// Processor.
    pub processor: Option<String>,
    /// Operating system, its version often included.
    pub system: Option<String>,
}

/// Reads `name=value, name="value, quoted", …`.
pub fn variables(text: &[u8]) -> Variables {
    let text = charset::decode(text, None);
    let mut found = Variables::default();
    let mut rest = text.as_str();
    for _ in 0..VARIABLES_MAX {
        rest = rest.trim_start_matches(|c: char| c == ',' || c == '\0' || c.is_whitespace());
        let Some(end) = rest.find(['=', ',']) else { break };
        let (name, after) = rest.split_at(end);
        let Some(value) = after.strip_prefix('=') else {
            rest = after; // a name without a value
            continue;
        };
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => value.split_at(value.find(',').unwrap_or(value.len())),
        };
        let field = match name.trim() {
            "version" => &mut found.version,
            "processor" => &mut found.processor,
            "system" => &mut found.system,
            _ => {
                rest = after;
                continue;
            }
        };
        let value = value.trim();
        if field.is_none() && !value.is_empty() {
            *field = Some(value.to_owned());
        }
        rest = after;
    }
    found
}
