//! CPE names: from the URI templates of fingerprints to formatted strings (NISTIR 7695 §6.2).

/// Components of a formatted string after `cpe:2.3:`.
const COMPONENTS: usize = 11;

/// Position of the version in a formatted string split at its colons.
const VERSION: usize = 5;

/// The CPE 2.3 formatted string for a CPE 2.2 URI (`cpe:/o:vendor:product:version`) or for a
/// formatted string that may be too short. A version that is not known is `*`: it is not stated
/// that there is none. `None` when it is neither, or names no vendor and product.
pub fn cpe23(text: &str) -> Option<String> {
    let components: Vec<Component> = if let Some(uri) = text.strip_prefix("cpe:/") {
        uri.split(':').map(decode).collect()
    } else {
        split_formatted(text.strip_prefix("cpe:2.3:")?).iter().map(|one| unescape(one)).collect()
    };
    let [Component::Value(part), Component::Value(vendor), Component::Value(product), rest @ ..] =
        &components[..]
    else {
        return None;
    };
    if !matches!(part.as_str(), "a" | "o" | "h") || rest.len() > COMPONENTS - 3 {
        return None;
    }
    let mut out = format!("cpe:2.3:{part}:{}:{}", escape(vendor), escape(product));
    for index in 0..COMPONENTS - 3 {
        out.push(':');
        match rest.get(index) {
            Some(Component::Value(value)) => out.push_str(&escape(value)),
            // A dash in the version's place means not known wherever the template could not fill
            // it; in the place of the update it means that there is none.
            Some(Component::None) if index == 1 => out.push('-'),
            _ => out.push('*'),
        }
    }
    Some(out)
}

/// True when two formatted strings name the same part, vendor and product, and not two versions.
pub(super) fn same_product(a: &str, b: &str) -> bool {
    let (a, b) = (split_formatted(a), split_formatted(b));
    let version = |parts: &[String]| parts.get(VERSION).filter(|version| *version != "*").cloned();
    a.get(..VERSION) == b.get(..VERSION)
        && match (version(&a), version(&b)) {
            (Some(a), Some(b)) => a == b,
            _ => true,
        }
}

/// The formatted string with its version set where it is open. Hardware keeps none: the version
/// claimed is that of its firmware.
pub(super) fn with_version(text: &str, version: &str) -> String {
    let mut parts = split_formatted(text);
    match parts.get_mut(VERSION) {
        Some(open) if open == "*" && !text.starts_with("cpe:2.3:h:") => *open = escape(version),
        _ => return text.to_owned(),
    }
    parts.join(":")
}

/// The formatted string, its version and update left open unless `disclosed` says that the host
/// showed that version.
pub(super) fn only_disclosed(text: &str, disclosed: impl Fn(&str) -> bool) -> String {
    let mut parts = split_formatted(text);
    let stated = match parts.get(VERSION).map(|version| unescape(version)) {
        Some(Component::Value(version)) => disclosed(&version),
        _ => return text.to_owned(),
    };
    if !stated {
        for open in parts.iter_mut().skip(VERSION).take(2) {
            *open = "*".to_owned();
        }
    }
    parts.join(":")
}

enum Component {
    Any,
    None,
    Value(String),
}

impl Component {
    fn of(text: String) -> Self {
        match text.as_str() {
            "" | "*" => Self::Any,
            "-" => Self::None,
            _ => Self::Value(text),
        }
    }
}

/// Percent-decoding; what is not an escape stays.
fn decode(component: &str) -> Component {
    let bytes = component.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let escaped = match &bytes[index..] {
            [b'%', high, low, ..] => char::from(*high).to_digit(16).zip(char::from(*low).to_digit(16)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                out.push(u8::try_from(high << 4 | low).expect("two hexadecimal digits"));
                index += 3;
            }
            None => {
                out.push(bytes[index]);
                index += 1;
            }
        }
    }
    Component::of(String::from_utf8_lossy(&out).into_owned())
}

/// Splits at colons that are not escaped by a backslash.
fn split_formatted(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for character in text.chars() {
        let last = parts.last_mut().expect("starts with one");
        match character {
            ':' if !escaped => parts.push(String::new()),
            _ => last.push(character),
        }
        escaped = character == '\\' && !escaped;
    }
    parts
}

fn unescape(component: &str) -> Component {
    if matches!(component, "" | "*" | "-") {
        return Component::of(component.to_owned());
    }
    let mut out = String::new();
    let mut escaped = false;
    for character in component.chars() {
        if character == '\\' && !escaped {
            escaped = true;
        } else {
            out.push(character);
            escaped = false;
        }
    }
    Component::Value(out)
}

/// Lower case, white space as `_`, and a backslash before what is not a letter, digit, `_`, `-` or
/// `.`. Control characters and what is not ASCII fall away: CPE has no place for them.
fn escape(value: &str) -> String {
    let mut out = String::new();
    for character in value.chars() {
        match character {
            ' ' => out.push('_'),
            'a'..='z' | '0'..='9' | '_' | '-' | '.' => out.push(character),
            'A'..='Z' => out.push(character.to_ascii_lowercase()),
            '!'..='~' => out.extend(['\\', character]),
            _ => {}
        }
    }
    // A lone dash or nothing would mean something else.
    match out.as_str() {
        "" => "*".to_owned(),
        "-" => "\\-".to_owned(),
        _ => out,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_become_formatted_strings() {
        let cases = [
            ("cpe:/a:openbsd:openssh:9.2:p1", "cpe:2.3:a:openbsd:openssh:9.2:p1:*:*:*:*:*:*"),
            ("cpe:/a:openbsd:openssh:9.2:-", "cpe:2.3:a:openbsd:openssh:9.2:-:*:*:*:*:*:*"),
            ("cpe:/o:yamaha:rtx810_firmware:-", "cpe:2.3:o:yamaha:rtx810_firmware:*:*:*:*:*:*:*:*"),
            ("cpe:/o:TP-Link:Archer C7_firmware", "cpe:2.3:o:tp-link:archer_c7_firmware:*:*:*:*:*:*:*:*"),
            ("cpe:/o:x:y:1.0+b(2)", "cpe:2.3:o:x:y:1.0\\+b\\(2\\):*:*:*:*:*:*:*"),
            ("cpe:/a:igor_sysoev:nginx:1%2b2", "cpe:2.3:a:igor_sysoev:nginx:1\\+2:*:*:*:*:*:*:*"),
            ("cpe:2.3:o:yamaha:rtx810_firmware", "cpe:2.3:o:yamaha:rtx810_firmware:*:*:*:*:*:*:*:*"),
            ("cpe:2.3:a:a:b\\:c:1:*:*:*:*:*:*:*", "cpe:2.3:a:a:b\\:c:1:*:*:*:*:*:*:*"),
        ];
        for (from, to) in cases {
            assert_eq!(cpe23(from).as_deref(), Some(to));
            assert_eq!(cpe23(to).as_deref(), Some(to), "stays as it is");
        }
        let open = "cpe:2.3:o:yamaha:rtx810_firmware:*:*:*:*:*:*:*:*";
        let closed = "cpe:2.3:o:yamaha:rtx810_firmware:11.01.34:*:*:*:*:*:*:*";
        assert_eq!(with_version(open, "11.01.34"), closed);
        assert_eq!(with_version(closed, "1"), closed);
        assert!(same_product(open, closed));
        assert_eq!(only_disclosed(closed, |_| true), closed);
        assert_eq!(only_disclosed(closed, |version| version != "11.01.34"), open);
        for bad in [
            "",
            "cpe:/",
            "cpe:/o:vendor",
            "cpe:/x:a:b",
            "http://",
            "cpe:/o::b",
            "cpe:/a:a:b:1:2:3:4:5:6:7:8:9",
        ] {
            assert_eq!(cpe23(bad), None, "{bad}");
        }
    }
}
