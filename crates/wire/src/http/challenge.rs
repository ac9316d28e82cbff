//! `WWW-Authenticate` (RFC 9110 §11.6.1): which proof of identity a server asks for.

use super::Headers;
pub use super::request::basic;

/// Most challenges read from one response, and most parameters of one challenge.
const PARTS_MAX: usize = 16;

/// One challenge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Challenge {
    /// `Basic`, `Digest`, … as sent.
    pub scheme: String,
    /// Parameters in order, names in lower case, quotes removed.
    pub parameters: Vec<(String, String)>,
}

impl Challenge {
    /// Value of the parameter `name` (lower case).
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// True when the scheme is `scheme`, whatever its case.
    pub fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// Scheme and realm, without what belongs to one session (nonce, opaque).
    pub fn shown(&self) -> String {
        match self.parameter("realm") {
            Some(realm) => format!("{} realm=\"{realm}\"", self.scheme),
            None => self.scheme.clone(),
        }
    }
}

/// Every challenge of a response, in order.
pub fn challenges(headers: &Headers) -> Vec<Challenge> {
    let mut all = Vec::new();
    for value in headers.all("www-authenticate") {
        parse(value, &mut all);
    }
    all
}

/// Adds the challenges of one field value to `out`. A comma separates challenges and parameters
/// alike; what has no `=` begins a new challenge.
fn parse(value: &str, out: &mut Vec<Challenge>) {
    let first = out.len();
    for part in split_list(value) {
        let (key, rest) = match part.split_once('=') {
            // `Scheme name=value` begins a challenge too.
            Some((key, rest)) if key.trim().contains([' ', '\t']) => {
                let (scheme, name) = key.trim().split_once([' ', '\t']).unwrap_or((key, ""));
                if out.len() == PARTS_MAX {
                    return;
                }
                out.push(Challenge { scheme: scheme.to_owned(), parameters: Vec::new() });
                (name, Some(rest))
            }
            Some((key, rest)) => (key, Some(rest)),
            None => (part, None),
        };
        match rest {
            Some(rest) if out.len() > first => {
                let parameters = &mut out.last_mut().expect("longer than `first`").parameters;
                if parameters.len() < PARTS_MAX {
                    parameters.push((key.trim().to_ascii_lowercase(), unquote(rest.trim())));
                }
            }
            Some(_) => {}
            None if out.len() < PARTS_MAX => {
                let scheme = part.split([' ', '\t']).next().unwrap_or_default();
                out.push(Challenge { scheme: scheme.to_owned(), parameters: Vec::new() });
            }
            None => return,
        }
    }
}

/// Splits at commas outside quotes.
fn split_list(value: &str) -> Vec<&str> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, c) in value.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => {
                parts.push(value[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(value[start..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

fn unquote(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"') else { return text.to_owned() };
    let (mut out, mut escaped) = (String::new(), false);
    for c in inner.chars() {
        match c {
            _ if escaped => {
                out.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => break,
            _ => out.push(c),
        }
    }
    out
}
