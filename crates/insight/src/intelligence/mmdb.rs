//! Reader of the MaxMind DB format 2.0 (<https://maxmind.github.io/MaxMind-DB/>): a search tree over
//! the bits of addresses, and a section of self-describing values that its leaves point into.
//!
//! Nothing in a file is trusted: offsets are checked, values have a limited depth and number of
//! parts, and the walk over the tree enters every node at most once.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What stands before the metadata, near the end of the file.
const MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";
/// The metadata begins in the last so many bytes.
const METADATA_MAX: usize = 128 << 10;
/// Zero bytes between search tree and data section.
const SEPARATOR: usize = 16;
/// Deepest nesting of maps and lists. The deepest published is below ten.
const DEPTH_MAX: usize = 32;
/// Most parts of one record, counted through pointers.
const PARTS_MAX: usize = 10_000;

/// Why a file or a record cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MmdbError {
    /// No MaxMind DB at all.
    #[error("it has no MaxMind DB metadata")]
    Marker,
    /// Metadata without a number that is needed, or with an impossible one.
    #[error("its metadata has no usable `{0}`")]
    Metadata(&'static str),
    /// The file is shorter than its metadata says.
    #[error("its metadata states {nodes} nodes, more than the file holds")]
    Cut {
        /// Stated nodes.
        nodes: u32,
    },
    /// A node or value points outside of its section.
    #[error("a pointer leads out of the {0}")]
    Pointer(&'static str),
    /// Two branches of the tree lead to one node.
    #[error("the search tree leads back to node {0}")]
    Loop(u32),
    /// The search tree is deeper than an address is long.
    #[error("the search tree is deeper than an address is long")]
    Deep,
    /// A value of a type or length that the format does not know.
    #[error("a value of type {kind} has the impossible length {length}")]
    Value {
        /// Number of the type.
        kind: u8,
        /// Its length.
        length: usize,
    },
    /// A type that the format does not know, or that may not stand there.
    #[error("type {0} is not a type of value")]
    Type(u8),
    /// A text that is not UTF-8.
    #[error("a text is not UTF-8")]
    Text,
    /// A key that is not a text.
    #[error("the key of a map is not a text")]
    Key,
    /// More parts or a deeper nesting than any published file has.
    #[error("a value has more than {PARTS_MAX} parts or {DEPTH_MAX} levels")]
    Large,
}

/// A decoded value. Texts and bytes are those of the file.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// UTF-8 text.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Unsigned number of 16 to 128 bits.
    Unsigned(u128),
    /// Signed number of 32 bits.
    Signed(i32),
    /// Floating-point number of 32 or 64 bits.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// Map, in the order written.
    Map(Vec<(&'a str, Value<'a>)>),
    /// List.
    List(Vec<Value<'a>>),
}

impl<'a> Value<'a> {
    /// The value under `key` of a map.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(pairs) => pairs.iter().find(|(name, _)| *name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&'a str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The unsigned number, if it is one.
    pub fn unsigned(&self) -> Option<u128> {
        if let Self::Unsigned(number) = self { Some(*number) } else { None }
    }
}

/// An opened file.
#[derive(Debug, Clone, Copy)]
pub struct Mmdb<'a> {
    tree: &'a [u8],
    data: &'a [u8],
    nodes: u32,
    record_bits: usize,
    ipv6: bool,
    kind: &'a str,
    built: u64,
}

/// A network and where its record lies in the data section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// First address.
    pub from: IpAddr,
    /// Last address.
    pub to: IpAddr,
    /// Place of the record, for [`Mmdb::record`].
    pub place: usize,
}

impl<'a> Mmdb<'a> {
    /// Opens a file by its bytes.
    pub fn open(file: &'a [u8]) -> Result<Self, MmdbError> {
        let tail = file.len().saturating_sub(METADATA_MAX);
        let at = file[tail..]
            .windows(MARKER.len())
            .rposition(|bytes| bytes == MARKER)
            .map(|at| tail + at)
            .ok_or(MmdbError::Marker)?;
        let (sections, metadata) = (&file[..at], &file[at + MARKER.len()..]);
        let metadata = decode(metadata, 0)?;
        let number =
            |key: &'static str| metadata.get(key).and_then(Value::unsigned).ok_or(MmdbError::Metadata(key));
        let nodes = u32::try_from(number("node_count")?).map_err(|_| MmdbError::Metadata("node_count"))?;
        let record_bits = match number("record_size")? {
            24 => 24,
            28 => 28,
            32 => 32,
            _ => return Err(MmdbError::Metadata("record_size")),
        };
        let ipv6 = match number("ip_version")? {
            4 => false,
            6 => true,
            _ => return Err(MmdbError::Metadata("ip_version")),
        };
        if number("binary_format_major_version")? != 2 {
            return Err(MmdbError::Metadata("binary_format_major_version"));
        }
        let tree_length = (nodes as usize).checked_mul(record_bits / 4).ok_or(MmdbError::Cut { nodes })?;
        let data = tree_length
            .checked_add(SEPARATOR)
            .and_then(|begin| sections.get(begin..))
            .ok_or(MmdbError::Cut { nodes })?;
        Ok(Self {
            tree: &sections[..tree_length],
            data,
            nodes,
            record_bits,
            ipv6,
            kind: metadata.get("database_type").and_then(Value::text).unwrap_or_default(),
            built: metadata
                .get("build_epoch")
                .and_then(Value::unsigned)
                .and_then(|seconds| seconds.try_into().ok())
                .unwrap_or(0),
        })
    }

    /// What the publisher calls it, e.g. `GeoLite2-ASN`.
    pub fn kind(&self) -> &'a str {
        self.kind
    }

    /// When it was built, in seconds since 1970; 0 when it does not say.
    pub fn built(&self) -> u64 {
        self.built
    }

    /// The record at a place that a network states.
    pub fn record(&self, place: usize) -> Result<Value<'a>, MmdbError> {
        decode(self.data, place)
    }

    /// Hands out every network that has a record, in the order of addresses. IPv4 networks of an IPv6
    /// tree (those in `::/96`) come as IPv4; the further places under which such trees repeat them
    /// (`::ffff:0:0/96`, `2001::/32`, `2002::/16`) are left out.
    pub fn networks(&self, mut each: impl FnMut(Network)) -> Result<(), MmdbError> {
        if self.nodes == 0 {
            return Ok(());
        }
        let width: u32 = if self.ipv6 { 128 } else { 32 };
        let ipv4_root = if self.ipv6 { self.ipv4_root()? } else { None };
        let mut entered = vec![false; self.nodes as usize];
        // What is to be looked at: number, bits of the address so far, and how many there are.
        let mut open = vec![(0u32, 0u128, 0u32)];
        while let Some((at, bits, depth)) = open.pop() {
            if at == self.nodes {
                continue;
            }
            if at > self.nodes {
                let place = ((at - self.nodes) as usize)
                    .checked_sub(SEPARATOR)
                    .filter(|place| *place < self.data.len())
                    .ok_or(MmdbError::Pointer("data section"))?;
                let (from, to) = self.addresses(bits, depth);
                each(Network { from, to, place });
                if self.ipv6 && depth < 96 && bits == 0 {
                    // A network so wide holds every IPv4 address too.
                    let (from, to) = (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::BROADCAST.into());
                    each(Network { from, to, place });
                }
                continue;
            }
            if std::mem::replace(&mut entered[at as usize], true) {
                if Some(at) == ipv4_root {
                    continue;
                }
                return Err(MmdbError::Loop(at));
            }
            if depth >= width {
                return Err(MmdbError::Deep);
            }
            let right = bits | 1 << (width - depth - 1);
            open.push((self.branch(at, 1), right, depth + 1));
            open.push((self.branch(at, 0), bits, depth + 1));
        }
        Ok(())
    }

    /// Where 96 zero bits lead: the root of the IPv4 networks, if they have one.
    fn ipv4_root(&self) -> Result<Option<u32>, MmdbError> {
        let mut node = 0;
        for _ in 0..96 {
            node = self.branch(node, 0);
            if node >= self.nodes {
                return Ok(None);
            }
        }
        Ok(Some(node))
    }

    /// The left (0) or right (1) number of a node below `nodes`.
    fn branch(&self, node: u32, side: usize) -> u32 {
        let size = self.record_bits / 4;
        let node = &self.tree[node as usize * size..][..size];
        let number = |bytes: &[u8]| bytes.iter().fold(0u32, |number, byte| number << 8 | u32::from(*byte));
        match (self.record_bits, side) {
            (28, 0) => u32::from(node[3] >> 4) << 24 | number(&node[..3]),
            (28, _) => u32::from(node[3] & 0xf) << 24 | number(&node[4..]),
            (_, side) => number(&node[side * size / 2..][..size / 2]),
        }
    }

    fn addresses(&self, bits: u128, depth: u32) -> (IpAddr, IpAddr) {
        if self.ipv6 && (depth < 96 || bits >> 32 != 0) {
            let last = bits | u128::MAX.checked_shr(depth).unwrap_or(0);
            (Ipv6Addr::from_bits(bits).into(), Ipv6Addr::from_bits(last).into())
        } else {
            let fixed = if self.ipv6 { depth - 96 } else { depth };
            // Below 2^32 by construction.
            let bits = bits as u32;
            let last = bits | u32::MAX.checked_shr(fixed).unwrap_or(0);
            (Ipv4Addr::from_bits(bits).into(), Ipv4Addr::from_bits(last).into())
        }
    }
}

/// Decodes the value at `at` of a section.
fn decode(section: &[u8], at: usize) -> Result<Value<'_>, MmdbError> {
    let mut decoder = Decoder { section, parts: 0 };
    decoder.value(at, 0).map(|(value, _)| value)
}

struct Decoder<'a> {
    section: &'a [u8],
    parts: usize,
}

/// Type, length, and where the content begins.
struct Control {
    kind: u8,
    length: usize,
    at: usize,
}

impl<'a> Decoder<'a> {
    /// A value and where the next one begins.
    fn value(&mut self, at: usize, depth: usize) -> Result<(Value<'a>, usize), MmdbError> {
        self.parts += 1;
        if depth > DEPTH_MAX || self.parts > PARTS_MAX {
            return Err(MmdbError::Large);
        }
        let control = self.control(at)?;
        if control.kind == 1 {
            let (target, next) = self.pointer(&control)?;
            // A pointer to a pointer is forbidden, so that following ends.
            if self.control(target)?.kind == 1 {
                return Err(MmdbError::Pointer("format: it leads to a pointer"));
            }
            return Ok((self.value(target, depth + 1)?.0, next));
        }
        let Control { kind, length, at } = control;
        let wrong = MmdbError::Value { kind, length };
        match kind {
            7 => {
                let mut next = at;
                let mut pairs = Vec::new();
                for _ in 0..length {
                    let (key, after) = self.value(next, depth + 1)?;
                    let key = key.text().ok_or(MmdbError::Key)?;
                    let (value, after) = self.value(after, depth + 1)?;
                    pairs.push((key, value));
                    next = after;
                }
                return Ok((Value::Map(pairs), next));
            }
            11 => {
                let mut next = at;
                let mut list = Vec::new();
                for _ in 0..length {
                    let (value, after) = self.value(next, depth + 1)?;
                    list.push(value);
                    next = after;
                }
                return Ok((Value::List(list), next));
            }
            14 if length < 2 => return Ok((Value::Bool(length == 1), at)),
            14 => return Err(wrong),
            _ => {}
        }
        let bytes = self.bytes(at, length)?;
        let unsigned = || bytes.iter().fold(0u128, |number, byte| number << 8 | u128::from(*byte));
        let value = match (kind, length) {
            (2, _) => Value::Text(std::str::from_utf8(bytes).map_err(|_| MmdbError::Text)?),
            (3, 8) => Value::Float(f64::from_be_bytes(bytes.try_into().map_err(|_| wrong)?)),
            (4, _) => Value::Bytes(bytes),
            (5, 0..=2) | (6, 0..=4) | (9, 0..=8) | (10, 0..=16) => Value::Unsigned(unsigned()),
            (8, 0..=4) => Value::Signed((unsigned() as u32).cast_signed()),
            (15, 4) => Value::Float(f32::from_be_bytes(bytes.try_into().map_err(|_| wrong)?).into()),
            (3 | 5 | 6 | 8 | 9 | 10 | 15, _) => return Err(wrong),
            _ => return Err(MmdbError::Type(kind)),
        };
        Ok((value, at + length))
    }

    fn bytes(&self, at: usize, length: usize) -> Result<&'a [u8], MmdbError> {
        at.checked_add(length)
            .and_then(|end| self.section.get(at..end))
            .ok_or(MmdbError::Pointer("data section"))
    }

    fn number(&self, at: usize, length: usize) -> Result<usize, MmdbError> {
        Ok(self.bytes(at, length)?.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    fn control(&self, at: usize) -> Result<Control, MmdbError> {
        let first = self.number(at, 1)?;
        let mut at = at + 1;
        let mut kind = (first >> 5) as u8;
        if kind == 0 {
            kind = u8::try_from(self.number(at, 1)? + 7).map_err(|_| MmdbError::Type(u8::MAX))?;
            // An extended type below the first extended one would be a second way to write it.
            if kind < 8 {
                return Err(MmdbError::Type(kind));
            }
            at += 1;
        }
        let short = first & 0x1f;
        // The length of a pointer is part of its own form.
        let (length, more) = match short {
            _ if kind == 1 => (short, 0),
            29 => (29 + self.number(at, 1)?, 1),
            30 => (285 + self.number(at, 2)?, 2),
            31 => (65_821 + self.number(at, 3)?, 3),
            _ => (short, 0),
        };
        Ok(Control { kind, length, at: at + more })
    }

    /// Where a pointer leads, and where the value behind it begins.
    fn pointer(&self, control: &Control) -> Result<(usize, usize), MmdbError> {
        let (size, high) = (control.length >> 3, control.length & 7);
        let (target, length) = match size {
            0 => (high << 8 | self.number(control.at, 1)?, 1),
            1 => ((high << 16 | self.number(control.at, 2)?) + 2_048, 2),
            2 => ((high << 24 | self.number(control.at, 3)?) + 526_336, 3),
            _ => (self.number(control.at, 4)?, 4),
        };
        if target >= self.section.len() {
            return Err(MmdbError::Pointer("data section"));
        }
        Ok((target, control.at + length))
    }
}
