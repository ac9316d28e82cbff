//! Hostile text is text: one function for each place it goes to. JSON is escaped by its library.

use kenshin_observation::protocol::text;

/// One line of printable ASCII; every other byte, and what quotes or marks up, becomes `\x..`, as in
/// masscan's lists and nmap's banners. Nothing in the text can pretend to be an escape.
pub(crate) fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'\\' | b'"' | b'\'' | b'<' | b'>' | b'&' => out.push_str(&format!("\\x{byte:02x}")),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out
}

/// The bytes that [`ascii`] was made of.
pub(crate) fn bytes(escaped: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some(at) = rest.find("\\x") {
        out.extend(rest[..at].bytes());
        let digits = rest.as_bytes().get(at + 2..at + 4).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let (byte, length) = byte.map_or((b'\\', 1), |byte| (byte, 4));
        out.push(byte);
        rest = &rest[at + length..];
    }
    out.extend(rest.bytes());
    out
}

/// The value of an attribute of XML 1.0, without its quotation marks. What XML cannot hold, what
/// would end the line, and what reorders text becomes the replacement character.
pub(crate) fn attribute(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            c if c.is_control() => out.push('\u{fffd}'),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => {
                out.push('\u{fffd}')
            }
            c => out.push(c),
        }
    }
    out
}

/// A word of a list: without spaces, and never empty.
pub(crate) fn word(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let word: String = text(value.as_bytes()).chars().map(|c| if plain(c) { c } else { '_' }).collect();
    if word.is_empty() { "_".to_owned() } else { word }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hostile_banners_do_nothing() {
        assert_eq!(ascii("a\r\n\x1b[2J\\x41 \"<b>"), r"a\x0d\x0a\x1b[2J\x5cx41 \x22\x3cb\x3e");
        assert_eq!(bytes(r"\x5cx41\xff\xg"), b"\\x41\xff\\xg");
        assert_eq!(bytes("\\x検"), "\\x検".as_bytes());
        assert_eq!(
            attribute("\0\x1b]]>\"'&\n\u{202e}\u{ffff}検"),
            "\u{fffd}\u{fffd}]]&gt;&quot;&apos;&amp;\u{fffd}\u{fffd}\u{fffd}検"
        );
        assert_eq!(word("a b\n=1"), "a_b__1");
    }

    proptest! {
        #[test]
        fn what_is_escaped_comes_back(text: String) {
            let escaped = ascii(&text);
            prop_assert!(escaped.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            prop_assert_eq!(bytes(&escaped), text.as_bytes());
            prop_assert!(!attribute(&text).contains(['<', '>', '"', '\'', '\n', '\0']));
        }
    }
}
