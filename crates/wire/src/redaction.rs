//! Removing what must not be kept: cookie values, session ids, tokens, credentials (DESIGN.md §7,
//! invariant 6). What is removed becomes `*`; everything around it stays as it was.

/// Names whose value is a secret or belongs to one session. A name counts when it contains one of
/// these, whatever its case.
const SECRET_NAMES: &[&str] = &[
    "sess",
    "token",
    "csrf",
    "xsrf",
    "nonce",
    "opaque",
    "auth",
    "passw",
    "pwd",
    "secret",
    "cookie",
    "apikey",
    "api_key",
    "api-key",
    "credential",
    "signature",
    "viewstate",
    "ticket",
    "login_key",
    "private_key",
];

/// Header fields whose value is dropped whole.
const SECRET_FIELDS: &[&str] =
    &["authorization", "proxy-authorization", "authentication-info", "x-auth-token", "x-csrf-token", "etag"];

/// Bytes of a header section, values of cookies and sessions removed.
pub fn head(section: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(section.len());
    for line in section.split_inclusive(|&byte| byte == b'\n') {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else {
            out.extend(text(line));
            continue;
        };
        let name = line[..colon].trim_ascii().to_ascii_lowercase();
        let value = &line[colon + 1..];
        let value = match name.as_slice() {
            b"set-cookie" | b"cookie" => cookie(value),
            // Scheme and realm stay; nonce and opaque go by their names.
            b"www-authenticate" | b"proxy-authenticate" => text(value),
            name if SECRET_FIELDS.iter().any(|field| field.as_bytes() == name) => whole(value),
            _ => {
                out.extend(text(line));
                continue;
            }
        };
        out.extend_from_slice(&line[..=colon]);
        out.extend(value);
    }
    out
}

/// Free text or a page: the value after every name that sounds like a secret is removed, and so is
/// the `value` of a tag that names one.
pub fn text(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for (start, end) in secret_values(bytes) {
        out[start..end].fill(b'*');
    }
    for (start, end) in hidden_values(bytes) {
        out[start..end].fill(b'*');
    }
    out
}

fn cookie(value: &[u8]) -> Vec<u8> {
    let mut out = value.to_vec();
    let Some(equals) = value.iter().position(|&byte| byte == b'=') else { return out };
    for byte in out[equals + 1..].iter_mut().take_while(|byte| !matches!(byte, b';' | b'\r' | b'\n')) {
        *byte = b'*';
    }
    out
}

fn whole(value: &[u8]) -> Vec<u8> {
    value.iter().map(|&byte| if matches!(byte, b'\r' | b'\n' | b' ') { byte } else { b'*' }).collect()
}

/// Ranges of values that follow `name=`, `name:` or `"name":` for a name that sounds like a
/// secret.
fn secret_values(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if !is_name(bytes[at]) {
            at += 1;
            continue;
        }
        let start = at;
        while at < bytes.len() && is_name(bytes[at]) {
            at += 1;
        }
        if !is_secret(&bytes[start..at]) {
            continue;
        }
        let mut next = at;
        while matches!(bytes.get(next), Some(b'"' | b'\'' | b' ' | b']')) && next - at < 4 {
            next += 1;
        }
        if !matches!(bytes.get(next), Some(b'=' | b':')) {
            continue;
        }
        next += 1;
        while matches!(bytes.get(next), Some(b' ' | b'"' | b'\'' | b'\\')) {
            next += 1;
        }
        let quoted = matches!(bytes.get(next.wrapping_sub(1)), Some(b'"' | b'\''));
        let end = next
            + bytes[next..]
                .iter()
                .position(|&byte| match byte {
                    b'"' | b'\'' | b'\r' | b'\n' | b'<' | b'>' => true,
                    b' ' | b';' | b'&' | b',' | b')' | b'}' => !quoted,
                    _ => false,
                })
                .unwrap_or(bytes.len() - next);
        ranges.push((next, end));
        at = end;
    }
    ranges
}

/// Ranges of the `value` attribute in tags where some other attribute names a secret.
fn hidden_values(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut ranges = Vec::new();
    let mut at = 0;
    while let Some(open) = bytes[at..].iter().position(|&byte| byte == b'<') {
        let start = at + open;
        let end = start + bytes[start..].iter().position(|&byte| byte == b'>').unwrap_or(bytes.len() - start);
        let tag = &bytes[start..end];
        at = (end).max(start + 1);
        let names_secret = tag.split(|byte| !is_name(*byte)).skip(1).any(is_secret);
        if !names_secret {
            continue;
        }
        for attribute in [&b"value"[..], b"content"] {
            let Some(found) =
                tag.windows(attribute.len()).position(|word| word.eq_ignore_ascii_case(attribute))
            else {
                continue;
            };
            let from = found + attribute.len();
            let Some(skip) = tag[from..].iter().position(|byte| !matches!(byte, b'=' | b' ' | b'"' | b'\''))
            else {
                continue;
            };
            let value = from + skip;
            let quoted = matches!(tag.get(value.wrapping_sub(1)), Some(b'"' | b'\''));
            let stop = tag[value..]
                .iter()
                .position(|byte| matches!(byte, b'"' | b'\'') || (!quoted && *byte == b' '))
                .map_or(tag.len(), |len| value + len);
            ranges.push((start + value, start + stop));
        }
    }
    ranges
}

const fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn is_secret(name: &[u8]) -> bool {
    if name.len() > 64 {
        return false;
    }
    let lower = name.to_ascii_lowercase();
    // `sid` and `auth` are parts of too many innocent words.
    if lower == b"sid" || lower.ends_with(b"_sid") || lower.ends_with(b"-sid") {
        return true;
    }
    if lower.starts_with(b"author") {
        return lower == b"authorization";
    }
    SECRET_NAMES.iter().any(|secret| lower.windows(secret.len()).any(|window| window == secret.as_bytes()))
}
