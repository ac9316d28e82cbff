//! BER (X.690) so far as SNMP uses it: definite lengths and tags of one byte, read in order.

use std::fmt;

use crate::malformed::Malformed;
use crate::reader::Reader;

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const NULL: u8 = 0x05;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;

/// How deep elements may lie in each other; an SNMPv3 message comes to seven.
const DEPTH_MAX: u8 = 10;

/// Most elements of one level; a message of ours is answered with three.
const ELEMENTS_MAX: u8 = 64;

/// Most numbers of an object identifier, RFC 2578 §3.5.
const ARCS_MAX: usize = 128;

/// An object identifier, shown as `1.3.6.1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Oid(Vec<u32>);

impl Oid {
    /// Its numbers.
    pub fn arcs(&self) -> &[u32] {
        &self.0
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, arc) in self.0.iter().enumerate() {
            let dot = if at == 0 { "" } else { "." };
            write!(f, "{dot}{arc}")?;
        }
        Ok(())
    }
}

/// The elements of one level.
#[derive(Debug)]
pub(crate) struct Ber<'a> {
    reader: Reader<'a>,
    depth: u8,
    elements_left: u8,
}

impl<'a> Ber<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { reader: Reader::new(bytes), depth: 0, elements_left: ELEMENTS_MAX }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.reader.rest().is_empty()
    }

    /// The next element: its tag and contents.
    pub(crate) fn element(&mut self) -> Result<(u8, &'a [u8]), Malformed> {
        self.elements_left = self.elements_left.checked_sub(1).ok_or(Malformed::Limit("elements of BER"))?;
        let end = Malformed::Truncated("a BER element");
        let tag = self.reader.u8().ok_or(end)?;
        if tag & 0x1f == 0x1f {
            return Err(Malformed::Not("a tag of one byte"));
        }
        let length = match self.reader.u8().ok_or(end)? {
            short @ 0..=0x7f => usize::from(short),
            0x80 => return Err(Malformed::Not("a definite length")),
            // Agents write small lengths with leading zeros; more than four bytes nobody needs.
            long => {
                let bytes = self.reader.take(usize::from(long & 0x7f)).ok_or(end)?;
                let significant = bytes.iter().position(|&byte| byte != 0).map_or(&[][..], |at| &bytes[at..]);
                if significant.len() > 4 {
                    return Err(Malformed::Limit("length of a BER element"));
                }
                significant.iter().fold(0, |length, &byte| length << 8 | usize::from(byte))
            }
        };
        Ok((tag, self.reader.take(length).ok_or(end)?))
    }

    /// The contents of the next element, which must have this tag.
    pub(crate) fn expect(&mut self, tag: u8, what: &'static str) -> Result<&'a [u8], Malformed> {
        match self.element()? {
            (found, contents) if found == tag => Ok(contents),
            _ => Err(Malformed::Not(what)),
        }
    }

    /// The elements inside of the next one.
    pub(crate) fn enter(&mut self, tag: u8, what: &'static str) -> Result<Self, Malformed> {
        let contents = self.expect(tag, what)?;
        self.inside(contents)
    }

    /// The elements inside of the contents of one that was read here.
    pub(crate) fn inside(&self, contents: &'a [u8]) -> Result<Self, Malformed> {
        if self.depth == DEPTH_MAX {
            return Err(Malformed::Limit("depth of BER"));
        }
        Ok(Self { reader: Reader::new(contents), depth: self.depth + 1, elements_left: ELEMENTS_MAX })
    }

    pub(crate) fn integer(&mut self, what: &'static str) -> Result<i64, Malformed> {
        integer(self.expect(INTEGER, what)?)
    }
}

/// The number that the contents of an INTEGER (or a counter) mean.
pub(crate) fn integer(contents: &[u8]) -> Result<i64, Malformed> {
    let [first, ..] = contents else { return Err(Malformed::Truncated("an integer")) };
    if contents.len() > 8 {
        return Err(Malformed::Limit("length of an integer"));
    }
    let sign = if first & 0x80 == 0 { 0 } else { -1 };
    Ok(contents.iter().fold(sign, |number, &byte| number << 8 | i64::from(byte)))
}

/// The object identifier that the contents mean.
pub(crate) fn oid(contents: &[u8]) -> Result<Oid, Malformed> {
    let mut arcs = Vec::new();
    let mut arc = 0_u32;
    let mut open = false;
    for &byte in contents {
        if arc > u32::MAX >> 7 {
            return Err(Malformed::Limit("number in an object identifier"));
        }
        arc = arc << 7 | u32::from(byte & 0x7f);
        open = byte & 0x80 != 0;
        if open {
            continue;
        }
        if arcs.is_empty() {
            // The first two numbers share the first byte (§8.19.4).
            let first = (arc / 40).min(2);
            arcs.push(first);
            arc -= first * 40;
        }
        if arcs.len() == ARCS_MAX {
            return Err(Malformed::Limit("numbers in an object identifier"));
        }
        arcs.push(arc);
        arc = 0;
    }
    if open || arcs.is_empty() { Err(Malformed::Truncated("an object identifier")) } else { Ok(Oid(arcs)) }
}

/// An element of these parts.
pub(crate) fn write(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = vec![tag];
    match length {
        0..=0x7f => out.push(length as u8),
        0x80..=0xff => out.extend_from_slice(&[0x81, length as u8]),
        _ => {
            out.push(0x84);
            out.extend_from_slice(&(length as u32).to_be_bytes());
        }
    }
    out.extend(parts.iter().copied().flatten());
    out
}

/// An INTEGER in as few bytes as it needs.
pub(crate) fn write_integer(number: i64) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let redundant = bytes
        .windows(2)
        .take_while(|pair| matches!((pair[0], pair[1] & 0x80), (0, 0) | (0xff, 0x80)))
        .count();
    write(INTEGER, &[&bytes[redundant..]])
}

/// An OBJECT IDENTIFIER. `arcs` has at least two numbers, of which the first is at most 2.
pub(crate) fn write_oid(arcs: &[u32]) -> Vec<u8> {
    let mut contents = Vec::new();
    let mut put = |arc: u32| {
        for shift in [28, 21, 14, 7] {
            if arc >> shift != 0 {
                contents.push((arc >> shift) as u8 | 0x80);
            }
        }
        contents.push(arc as u8 & 0x7f);
    };
    put(arcs[0] * 40 + arcs[1]);
    arcs[2..].iter().copied().for_each(&mut put);
    write(OBJECT_IDENTIFIER, &[&contents])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_are_read_as_agents_write_them() {
        let check = |bytes: &[u8], expected| assert_eq!(Ber::new(bytes).element(), expected, "{bytes:?}");
        check(b"\x04\x01a", Ok((4, b"a".as_slice())));
        check(b"\x04\x81\x01a", Ok((4, b"a".as_slice())));
        check(b"\x04\x84\x00\x00\x00\x01a", Ok((4, b"a".as_slice())));
        check(b"\x04\x88\0\0\0\0\0\0\0\x01a", Ok((4, b"a".as_slice())));
        check(b"\x04\x02a", Err(Malformed::Truncated("a BER element")));
        check(b"\x04\x84\xff\xff\xff\xffa", Err(Malformed::Truncated("a BER element")));
        check(b"\x04\x85\xff\xff\xff\xff\xff", Err(Malformed::Limit("length of a BER element")));
        check(b"\x30\x80\x00\x00", Err(Malformed::Not("a definite length")));
        check(b"\x1f\x81\x01\x00", Err(Malformed::Not("a tag of one byte")));
    }

    #[test]
    fn depth_and_count_are_bounded() {
        let bytes = (0..100).fold(Vec::new(), |inner, _| write(SEQUENCE, &[&inner]));
        let mut level = Ber::new(&bytes);
        let mut depth = 0;
        while let Ok(inner) = level.enter(SEQUENCE, "") {
            level = inner;
            depth += 1;
        }
        assert_eq!(depth, usize::from(DEPTH_MAX));
        let many = write(NULL, &[]).repeat(1000);
        let mut level = Ber::new(&many);
        assert_eq!((0..).take_while(|_| level.element().is_ok()).count(), usize::from(ELEMENTS_MAX));
    }

    #[test]
    fn object_identifiers() {
        let check = |bytes: &[u8], shown: &str| assert_eq!(oid(bytes).unwrap().to_string(), shown);
        check(b"\x2b\x06\x01\x02\x01\x01\x01\x00", "1.3.6.1.2.1.1.1.0");
        check(b"\x88\x37\x03", "2.999.3");
        check(b"\x00", "0.0");
        assert!(oid(b"").is_err());
        assert!(oid(b"\x2b\x86").is_err());
        assert!(oid(b"\x2b\x9f\xff\xff\xff\x7f").is_err());
        assert!(oid(&[1; 200]).is_err());
    }

    proptest! {
        #[test]
        fn integers_round_trip(number: i64) {
            let bytes = write_integer(number);
            prop_assert_eq!(Ber::new(&bytes).integer("").unwrap(), number);
        }

        #[test]
        fn object_identifiers_round_trip(first in 0_u32..3, second in 0_u32..40, rest in proptest::collection::vec(any::<u32>(), 0..20)) {
            let arcs: Vec<u32> = [first, second].into_iter().chain(rest).collect();
            let bytes = write_oid(&arcs);
            let contents = Ber::new(&bytes).expect(OBJECT_IDENTIFIER, "").unwrap();
            prop_assert_eq!(oid(contents).unwrap(), Oid(arcs));
        }

        #[test]
        fn elements_round_trip(contents in proptest::collection::vec(any::<u8>(), 0..600)) {
            let bytes = write(OCTET_STRING, &[&contents]);
            prop_assert_eq!(Ber::new(&bytes).element().unwrap(), (OCTET_STRING, contents.as_slice()));
        }
    }
}
