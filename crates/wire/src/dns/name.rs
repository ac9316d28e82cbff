//! Domain names, with the compression of RFC 1035 §4.1.4.

use std::fmt;

use crate::charset;
use crate::malformed::Malformed;
use crate::reader::Reader;

/// Longest name in its encoded form, RFC 1035 §3.1.
const NAME_BYTES_MAX: usize = 255;

/// Longest label.
const LABEL_BYTES_MAX: usize = 63;

/// Most pointers followed for one name; encoders need one.
const POINTERS_MAX: u32 = 16;

/// A domain name. Names are equal whatever the case of their ASCII letters.
#[derive(Clone, Default)]
pub struct Name {
    /// Labels with their lengths, without the empty one at the end.
    encoded: Vec<u8>,
}

impl Name {
    /// A name of these labels; `None` when one of them or the name is too long, or one is empty.
    pub fn from_labels(labels: &[&str]) -> Option<Self> {
        let mut encoded = Vec::new();
        for label in labels {
            if label.is_empty() || label.len() > LABEL_BYTES_MAX {
                return None;
            }
            encoded.push(label.len() as u8);
            encoded.extend_from_slice(label.as_bytes());
        }
        (encoded.len() < NAME_BYTES_MAX).then_some(Self { encoded })
    }

    /// The name that `text` is: labels between dots, nothing escaped, a dot at the end allowed.
    pub fn from_text(text: &str) -> Option<Self> {
        let labels: Vec<&str> = text.strip_suffix('.').unwrap_or(text).split('.').collect();
        Self::from_labels(&labels)
    }

    /// Its labels, from the lowest to the highest.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut reader = Reader::new(&self.encoded);
        std::iter::from_fn(move || {
            let len = reader.u8()?;
            reader.take(len.into())
        })
    }

    /// The name without its first label; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        let len = usize::from(*self.encoded.first()?);
        Some(Self { encoded: self.encoded.get(1 + len..)?.to_vec() })
    }

    /// The name of `label` below this one; `None` when it is too long or empty.
    pub fn child(&self, label: &str) -> Option<Self> {
        let mut child = Self::from_labels(&[label])?;
        child.encoded.extend_from_slice(&self.encoded);
        (child.encoded.len() < NAME_BYTES_MAX).then_some(child)
    }

    /// Reads the name at `at`; returns it and where the message goes on. A pointer must point before
    /// the piece that it stands in, so that no name is endless.
    pub(super) fn decode(message: &[u8], at: usize) -> Result<(Self, usize), Malformed> {
        const END: Malformed = Malformed::Truncated("a name");
        let mut encoded = Vec::new();
        let (mut at, mut piece, mut after) = (at, at, None);
        let mut pointers_left = POINTERS_MAX;
        loop {
            let length = *message.get(at).ok_or(END)?;
            match length {
                0 => return Ok((Self { encoded }, after.unwrap_or(at + 1))),
                1..=0x3f => {
                    let end = at + 1 + usize::from(length);
                    let label = message.get(at..end).ok_or(END)?;
                    if encoded.len() + label.len() >= NAME_BYTES_MAX {
                        return Err(Malformed::Limit("a name"));
                    }
                    encoded.extend_from_slice(label);
                    at = end;
                }
                0xc0.. => {
                    let low = *message.get(at + 1).ok_or(END)?;
                    let target = usize::from(length & 0x3f) << 8 | usize::from(low);
                    pointers_left =
                        pointers_left.checked_sub(1).ok_or(Malformed::Limit("pointers of a name"))?;
                    if target >= piece {
                        return Err(Malformed::Not("a pointer backwards"));
                    }
                    after = after.or(Some(at + 2));
                    (at, piece) = (target, target);
                }
                _ => return Err(Malformed::Not("a label")),
            }
        }
    }

    /// Writes it, uncompressed.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.encoded);
        out.push(0);
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        // Lengths of labels are no letters, so they compare as they are.
        self.encoded.eq_ignore_ascii_case(&other.encoded)
    }
}

impl Eq for Name {}

/// As text (RFC 1035 §5.1), labels decoded; a dot or backslash inside of a label is escaped. The
/// root is `.`.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.encoded.is_empty() {
            return f.write_str(".");
        }
        for (at, label) in self.labels().enumerate() {
            let dot = if at == 0 { "" } else { "." };
            let label = charset::decode(label, None).replace('\\', "\\\\").replace('.', "\\.");
            write!(f, "{dot}{label}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn compression_is_followed_backwards_only() {
        let message = b"\x01a\x00\x01b\xc0\x00\xc0\x03\xc0\x09\xc0\x0b";
        let check = |at, expected: Result<(&str, usize), Malformed>| {
            let found = Name::decode(message, at).map(|(name, next)| (name.to_string(), next));
            assert_eq!(found, expected.map(|(name, next)| (name.to_owned(), next)), "at {at}");
        };
        check(0, Ok(("a", 3)));
        check(2, Ok((".", 3)));
        check(3, Ok(("b.a", 7)));
        check(7, Ok(("b.a", 9)));
        check(9, Err(Malformed::Not("a pointer backwards")));
        check(11, Err(Malformed::Not("a pointer backwards")));
        check(12, Err(Malformed::Truncated("a name")));
        check(13, Err(Malformed::Truncated("a name")));
        // Label, then a pointer to that label: endless where pointers may point into their own piece.
        assert!(Name::decode(b"\x01a\xc0\x00", 0).is_err());
        assert!(Name::decode(b"\x40a\x00", 0).is_err());
    }

    #[test]
    fn long_names_and_chains_end() {
        let long = [b"\x3f".as_slice(), &[b'a'; 63]].concat().repeat(4);
        assert_eq!(Name::decode(&long, 0), Err(Malformed::Limit("a name")));
        let mut chain = b"\x00".to_vec();
        for at in 0..100_u16 {
            let target = if at == 0 { 0 } else { at * 2 - 1 };
            chain.extend_from_slice(&(0xc000 | target).to_be_bytes());
        }
        assert!(Name::decode(&chain, 2 * 15 + 1).is_ok());
        assert_eq!(Name::decode(&chain, 2 * 16 + 1), Err(Malformed::Limit("pointers of a name")));
        assert!(Name::from_labels(&["a".repeat(64).as_str()]).is_none());
        assert!(Name::from_text(&"a.".repeat(128)).is_none());
        assert!(Name::from_text("a..b").is_none());
        assert!(Name::from_text("").is_none());
    }

    #[test]
    fn names_are_shown_and_compared() {
        let name = Name::from_labels(&["事務室 HP Printer (1.5\")", "_ipp", "_tcp", "local"]).unwrap();
        assert_eq!(name.to_string(), "事務室 HP Printer (1\\.5\")._ipp._tcp.local");
        assert_eq!(name.parent(), Name::from_text("_IPP._tcp.Local."));
        assert_eq!(Name::default().parent(), None);
        let zone = Name::from_text("probe.example").unwrap();
        assert_eq!(zone.child("n1"), Name::from_text("n1.probe.example"));
        assert_eq!((zone.child(""), zone.child(&"a".repeat(64))), (None, None));
        let long = Name::from_text(&["a"; 120].join(".")).unwrap();
        assert_eq!(long.child("too-long-for-what-is-left"), None);
    }

    proptest! {
        #[test]
        fn names_round_trip(labels in proptest::collection::vec("[a-z0-9_. -]{1,20}", 1..8), before in proptest::collection::vec(any::<u8>(), 0..20)) {
            let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
            let name = Name::from_labels(&labels).unwrap();
            let mut message = before.clone();
            name.encode(&mut message);
            prop_assert_eq!(Name::decode(&message, before.len()), Ok((name, message.len())));
        }
    }
}
