//! CPE names: parsing of 2.3 formatted strings and 2.2 URIs, and matching (NIST IR 7695, 7696).

use std::fmt;
use std::str::FromStr;

/// One attribute of a CPE name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Attribute {
    /// `*`: any value.
    Any,
    /// `-`: the attribute does not apply.
    NotApplicable,
    /// A value, unescaped; wildcards that were not escaped are kept as [`Piece`]s.
    Value(Vec<Piece>),
}

/// A part of a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Piece {
    /// Literal text, lower case.
    Text(String),
    /// `*`: any characters.
    Many,
    /// `?`: one character or none.
    One,
}

/// A CPE name. Attributes that a short name leaves out are [`Attribute::Any`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cpe {
    /// `a` application, `o` operating system or firmware, `h` hardware.
    pub part: Attribute,
    /// Maker.
    pub vendor: Attribute,
    /// Product.
    pub product: Attribute,
    /// Version.
    pub version: Attribute,
    /// Update, edition, language, software edition, target software, target hardware, other.
    pub rest: [Attribute; 7],
}

/// A text that is not a CPE name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a CPE name such as cpe:2.3:o:openwrt:openwrt:22.03.5:*:*:*:*:*:*:*")]
pub struct ParseCpeError(String);

impl Attribute {
    /// The value when it is literal text.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Value(pieces) => match pieces.as_slice() {
                [Piece::Text(text)] => Some(text),
                _ => None,
            },
            Self::Any | Self::NotApplicable => None,
        }
    }

    /// True when this pattern covers `value` (IR 7696, superset or equal). A value that is itself
    /// unknown (`*`) is covered by `*` alone.
    pub fn covers(&self, value: &Self) -> bool {
        match (self, value) {
            (Self::Any, _) => true,
            (Self::NotApplicable, Self::NotApplicable) => true,
            (Self::Value(pattern), Self::Value(_)) => match value.text() {
                Some(text) => glob(pattern, text),
                None => self == value,
            },
            _ => false,
        }
    }

    /// A literal value.
    pub fn literal(text: &str) -> Self {
        Self::Value(vec![Piece::Text(text.to_lowercase())])
    }
}

impl Cpe {
    /// A name of part, vendor and product, the rest any.
    pub fn new(part: &str, vendor: &str, product: &str) -> Self {
        Self {
            part: Attribute::literal(part),
            vendor: Attribute::literal(vendor),
            product: Attribute::literal(product),
            version: Attribute::Any,
            rest: std::array::from_fn(|_| Attribute::Any),
        }
    }

    /// True when every attribute of this pattern covers that of `name`.
    pub fn covers(&self, name: &Self) -> bool {
        self.attributes().zip(name.attributes()).all(|(pattern, value)| pattern.covers(value))
    }

    fn attributes(&self) -> impl Iterator<Item = &Attribute> {
        [&self.part, &self.vendor, &self.product, &self.version].into_iter().chain(&self.rest)
    }
}

/// Matches without backtracking over more than one star at a time: linear for the patterns seen,
/// quadratic at worst.
fn glob(pattern: &[Piece], text: &str) -> bool {
    match pattern {
        [] => text.is_empty(),
        [Piece::Text(literal), rest @ ..] => {
            text.strip_prefix(literal.as_str()).is_some_and(|text| glob(rest, text))
        }
        [Piece::One, rest @ ..] => {
            let mut after = text.chars();
            glob(rest, text) || (after.next().is_some() && glob(rest, after.as_str()))
        }
        [Piece::Many, rest @ ..] => {
            text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| glob(rest, &text[at..]))
        }
    }
}

impl FromStr for Cpe {
    type Err = ParseCpeError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const ATTRIBUTES: usize = 11;
        let error = || ParseCpeError(text.chars().take(120).collect());
        if text.len() > 1024 {
            return Err(error());
        }
        let lower = text.trim().to_lowercase();
        let attributes = if let Some(formatted) = lower.strip_prefix("cpe:2.3:") {
            split_unescaped(formatted).into_iter().map(formatted_attribute).collect::<Option<Vec<_>>>()
        } else if let Some(uri) = lower.strip_prefix("cpe:/") {
            uri.split(':').map(uri_attribute).collect()
        } else {
            None
        };
        let mut attributes =
            attributes.filter(|all| (3..=ATTRIBUTES).contains(&all.len())).ok_or_else(error)?;
        attributes.resize(ATTRIBUTES, Attribute::Any);
        let mut next = attributes.into_iter();
        let mut take = || next.next().expect("resized to eleven");
        let (part, vendor, product, version) = (take(), take(), take(), take());
        let rest = std::array::from_fn(|_| take());
        if !matches!(part.text(), Some("a" | "o" | "h")) && part != Attribute::Any {
            return Err(error());
        }
        Ok(Self { part, vendor, product, version, rest })
    }
}

fn split_unescaped(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ':' => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn formatted_attribute(text: &str) -> Option<Attribute> {
    match text {
        "" => return None,
        "*" => return Some(Attribute::Any),
        "-" => return Some(Attribute::NotApplicable),
        _ => {}
    }
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let wild = match c {
            '\\' => {
                literal.push(chars.next()?);
                continue;
            }
            '*' => Piece::Many,
            '?' => Piece::One,
            _ => {
                literal.push(c);
                continue;
            }
        };
        if !literal.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut literal)));
        }
        if wild == Piece::One || pieces.last() != Some(&Piece::Many) {
            pieces.push(wild);
        }
    }
    if !literal.is_empty() {
        pieces.push(Piece::Text(literal));
    }
    // Each wildcard multiplies the work of matching; real names hold one or two.
    let wildcards = pieces.iter().filter(|piece| !matches!(piece, Piece::Text(_))).count();
    (wildcards <= 4).then_some(Attribute::Value(pieces))
}

fn uri_attribute(text: &str) -> Option<Attribute> {
    match text {
        "" => return Some(Attribute::Any),
        "-" => return Some(Attribute::NotApplicable),
        _ => {}
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok())?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok().map(|text| Attribute::literal(&text))
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::NotApplicable => f.write_str("-"),
            Self::Value(pieces) => {
                for piece in pieces {
                    match piece {
                        Piece::Many => f.write_str("*")?,
                        Piece::One => f.write_str("?")?,
                        Piece::Text(text) => {
                            let lone_dash = text == "-" && pieces.len() == 1;
                            for c in text.chars() {
                                let plain =
                                    c.is_alphanumeric() || c == '_' || c == '.' || (c == '-' && !lone_dash);
                                if !plain {
                                    f.write_str("\\")?;
                                }
                                write!(f, "{c}")?;
                            }
                        }
                    }
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Cpe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cpe:2.3")?;
        self.attributes().try_for_each(|attribute| write!(f, ":{attribute}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cpe(text: &str) -> Cpe {
        text.parse().unwrap()
    }

    #[test]
    fn names_parse_with_escapes() {
        let name = cpe(r"cpe:2.3:o:d-link:dir-600\/b_firmware:2.16\:ww:*:*:*:*:*:*:*");
        assert_eq!(name.vendor.text(), Some("d-link"));
        assert_eq!(name.product.text(), Some("dir-600/b_firmware"));
        assert_eq!(name.version.text(), Some("2.16:ww"));
        let short = cpe("cpe:/o:mikrotik:routeros");
        assert_eq!((short.product.text(), &short.version), (Some("routeros"), &Attribute::Any));
        assert_eq!(cpe("cpe:/a:x:y%2bz:1.0").product.text(), Some("y+z"));
        for bad in [
            "",
            "cpe:2.3:",
            "cpe:2.3:x:a:b",
            "cpe:/o",
            r"cpe:2.3:o:a:b\",
            "cpe:2.3:o::b",
            "cpe:/a:x:%zz",
            "cpe:2.3:a:b:c:1:2:3:4:5:6:7:8:9",
        ] {
            assert!(bad.parse::<Cpe>().is_err(), "{bad}");
        }
    }

    #[test]
    fn patterns_cover() {
        let name = cpe("cpe:2.3:o:zyxel:atp100_firmware:5.37:patch_1:*:*:*:*:*:*");
        for pattern in [
            "cpe:2.3:o:zyxel:atp100_firmware",
            "cpe:2.3:o:zyxel:atp*:*:*:*:*:*:*:*:*",
            "cpe:2.3:*:zyxel:*:5.??:*:*:*:*:*:*:*",
            "cpe:2.3:o:zyxel:atp???_firmware:5.37:patch_?:*:*:*:*:*:*",
        ] {
            assert!(cpe(pattern).covers(&name), "{pattern}");
        }
        for pattern in [
            "cpe:2.3:h:zyxel:atp100_firmware",
            "cpe:2.3:o:zyxel:atp100_firmware:5.3:*:*:*:*:*:*:*",
            r"cpe:2.3:o:zyxel:atp\*:*:*:*:*:*:*:*:*",
            "cpe:2.3:o:zyxel:atp100_firmware:-:*:*:*:*:*:*:*",
        ] {
            assert!(!cpe(pattern).covers(&name), "{pattern}");
        }
        assert!(!name.covers(&cpe("cpe:2.3:o:zyxel:atp100_firmware")), "an unknown version is not 5.37");
    }

    proptest! {
        #[test]
        fn text_round_trips(vendor in "[ -~]{1,20}", product in "[a-z0-9_/!:*?\\\\-]{1,20}") {
            let name = Cpe::new("a", &vendor, &product);
            prop_assert_eq!(name.to_string().parse::<Cpe>().unwrap(), name);
        }

        #[test]
        fn any_text_is_survived(text in ".{0,200}") {
            if let Ok(name) = format!("cpe:2.3:a:{text}").parse::<Cpe>() {
                prop_assert!(name.covers(&name) || name.to_string().contains(['*', '?']));
            }
        }
    }
}
