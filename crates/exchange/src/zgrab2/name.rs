//! Distinguished names: ours are RFC 4514, the most specific part first and escaped; zgrab2's are in
//! the certificate's order, joined by `, ` and not escaped.

use serde_json::{Map, Value};

/// Most parts of a name.
const PARTS_MAX: usize = 64;

/// zgrab2's keys of the parts it knows.
const KEYS: &[(&str, &str)] = &[
    ("CN", "common_name"),
    ("C", "country"),
    ("L", "locality"),
    ("ST", "province"),
    ("street", "street_address"),
    ("O", "organization"),
    ("OU", "organizational_unit"),
    ("postalCode", "postal_code"),
    ("serialNumber", "serial_number"),
    ("DC", "domain_component"),
    ("emailAddress", "email_address"),
];

/// Key and value of each part, in the certificate's order.
type Parts = Vec<(String, String)>;

/// Parts of an RFC 4514 text.
fn parts_of_ours(text: &str) -> Parts {
    let mut parts: Parts = Vec::new();
    let mut part = (String::new(), None::<String>);
    let mut characters = text.chars();
    loop {
        let (c, plain) = match characters.next() {
            Some('\\') => (characters.next().unwrap_or('\\'), false),
            Some(c) => (c, true),
            None => break,
        };
        match (c, plain, &mut part.1) {
            (',', true, _) => {
                let (key, value) = std::mem::take(&mut part);
                parts.push((key, value.unwrap_or_default()));
            }
            ('=', true, value @ None) => *value = Some(String::new()),
            (c, _, Some(value)) => value.push(c),
            (c, _, None) => part.0.push(c),
        }
    }
    if !text.is_empty() {
        parts.push((part.0, part.1.unwrap_or_default()));
    }
    parts.truncate(PARTS_MAX);
    parts.reverse();
    parts
}

/// zgrab2's text of one of our names.
pub(super) fn theirs(ours: &str) -> String {
    parts_of_ours(ours).iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ")
}

/// zgrab2's structure of one of our names: a list of values a key it knows.
pub(super) fn structure(ours: &str) -> Value {
    let mut out = Map::new();
    for (key, value) in parts_of_ours(ours) {
        if let Some((_, name)) = KEYS.iter().find(|(ours, _)| *ours == key) {
            let values = out.entry(*name).or_insert_with(|| Value::Array(Vec::new()));
            values.as_array_mut().expect("made as a list just above").push(value.into());
        }
    }
    out.into()
}

/// Our text of one of zgrab2's. A comma is taken for the end of a part only when what follows
/// looks like the next: `O=Example, Inc., CN=x` has two.
pub(super) fn ours(theirs: &str) -> String {
    if theirs.is_empty() {
        return String::new();
    }
    let mut parts: Vec<String> = Vec::new();
    for piece in theirs.split(", ") {
        let key = piece.split_once('=').map(|(key, _)| key);
        let begins = key.is_some_and(|key| {
            !key.is_empty()
                && key.len() <= 32
                && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.')
        });
        match parts.last_mut() {
            Some(before) if !begins => {
                before.push_str(", ");
                before.push_str(piece);
            }
            _ => parts.push(piece.to_owned()),
        }
    }
    parts.truncate(PARTS_MAX);
    let escaped = parts.iter().rev().map(|part| {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        format!("{key}={}", escape(value))
    });
    escaped.collect::<Vec<_>>().join(",")
}

/// RFC 4514 §2.4.
fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (at, c) in value.chars().enumerate() {
        let special = matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';')
            || (at == 0 && matches!(c, '#' | ' '))
            || (at == last && c == ' ');
        if special {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_in_both_orders() {
        let text = "CN=router.example,O=Example\\, Inc.,C=JP";
        assert_eq!(theirs(text), "C=JP, O=Example, Inc., CN=router.example");
        assert_eq!(ours(&theirs(text)), text);
        assert_eq!(
            structure(text).to_string(),
            r#"{"common_name":["router.example"],"country":["JP"],"organization":["Example, Inc."]}"#
        );
        assert_eq!((theirs(""), ours("")), (String::new(), String::new()));
        assert_eq!(theirs("\\"), "\\=");
    }

    proptest! {
        #[test]
        fn what_is_written_comes_back(values in proptest::collection::vec("[a-z+\"<>;# 検-]{1,12}", 1..5)) {
            let text = values.iter().map(|value| format!("O={}", escape(value))).collect::<Vec<_>>().join(",");
            prop_assert_eq!(ours(&theirs(&text)), text);
        }

        #[test]
        fn any_text_is_survived(text: String) {
            let _ = (ours(&text), theirs(&text), structure(&text));
        }
    }
}
