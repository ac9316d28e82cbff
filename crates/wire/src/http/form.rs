//! Forms: the hidden fields and cookies that a page hands out, and how fields are sent
//! (`application/x-www-form-urlencoded`, WHATWG URL §5).

use super::Headers;
use super::page::{attribute, decode_entities, tags};

/// Longest value of a field or cookie that is carried over, in bytes.
const VALUE_BYTES_MAX: usize = 4096;

/// Most cookies carried over.
const COOKIES_MAX: usize = 16;

/// Value of the first `<input>` named `name`, entities decoded; `None` when there is none, or it is longer
/// than 4 KiB.
pub fn field(page: &str, name: &str) -> Option<String> {
    tags(page)
        .filter(|tag| tag.name.eq_ignore_ascii_case("input"))
        .find(|tag| attribute(tag.text, "name") == Some(name))
        .and_then(|tag| attribute(tag.text, "value"))
        .filter(|value| value.len() <= VALUE_BYTES_MAX)
        .map(decode_entities)
}

/// What stands in `text` between `after` and the next `until`; `None` when either is missing or more than
/// 4 KiB lie between them.
pub fn between<'a>(text: &'a str, after: &str, until: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(after)?;
    let (value, _) = rest.split_once(until)?;
    (value.len() <= VALUE_BYTES_MAX).then_some(value)
}

/// Cookies of one login, by name, in the order they came: a later one of a name takes its place, an empty
/// or expired one removes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cookies(Vec<(String, String)>);

impl Cookies {
    /// Takes what a response sets. Where and for how long they are to be sent back is not read: they go to
    /// the address they came from, for one login.
    pub fn take(&mut self, headers: &Headers) {
        for value in headers.all("set-cookie") {
            let mut parts = value.split(';');
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { continue };
            let (name, value) = (name.trim(), value.trim());
            if name.is_empty() || name.len() + value.len() > VALUE_BYTES_MAX {
                continue;
            }
            let expired = parts.any(|part| part.trim().eq_ignore_ascii_case("max-age=0"));
            self.0.retain(|(known, _)| known != name);
            if !value.is_empty() && !expired && self.0.len() < COOKIES_MAX {
                self.0.push((name.to_owned(), value.to_owned()));
            }
        }
    }

    /// Value of the cookie `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Value of the `Cookie` field; empty when there is none.
    pub fn header(&self) -> String {
        let pairs: Vec<String> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }
}

/// Fields as a form sends them.
pub fn encode<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let pairs: Vec<String> =
        fields.into_iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
    pairs.join("&")
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Head, Limits};

    #[test]
    fn hidden_fields_and_scripts_hand_out_what_goes_back() {
        let page = r#"<!-- <input name="csrf" value="old"> --><form><INPUT type=hidden NAME="csrf" value="a&amp;b=">
            <input name='empty' value=''><input name="user"></form><script>var nonce = "77ab"; </script>"#;
        assert_eq!(field(page, "csrf").as_deref(), Some("a&b="));
        assert_eq!(field(page, "empty").as_deref(), Some(""));
        assert_eq!(field(page, "user"), None);
        assert_eq!(field(page, "CSRF"), None);
        assert_eq!(between(page, "nonce = \"", "\""), Some("77ab"));
        assert_eq!(between(page, "nonce = \"", "\0"), None);
        assert_eq!(field(&format!("<input name=x value={}>", "y".repeat(5000)), "x"), None);
    }

    #[test]
    fn cookies_are_those_of_today() {
        let section = "HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\nSet-Cookie: a=3; HttpOnly\r\n\
            Set-Cookie: b=; x\r\nSet-Cookie: c=4; Max-Age=0\r\nSet-Cookie: nonsense\r\nSet-Cookie: =5";
        let head = Head::parse(section.as_bytes(), &Limits::default()).unwrap();
        let mut cookies = Cookies::default();
        cookies.take(&head.headers);
        assert_eq!(cookies.header(), "a=3");
    }

    #[test]
    fn fields_cannot_end_each_other() {
        let sent = encode([("user", "a&b=c"), ("p w", "検診 %+\r\n")]);
        assert_eq!(sent, "user=a%26b%3Dc&p+w=%E6%A4%9C%E8%A8%BA+%25%2B%0D%0A");
    }
}
