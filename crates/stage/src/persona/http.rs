//! Web pages of devices: transcripts behind Basic, Digest or a form.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::hash::{MessageDigest, hash};

use super::{INPUT_BYTES_MAX, Lines, Part, Stream, Witness, part_from};
use crate::model::{HttpAuth, ServiceKind};

pub(super) async fn play<S: Stream>(part: &Part, mut stream: S, witness: &Witness) -> io::Result<()> {
    let Some(request) = Request::read(&mut stream).await? else {
        return part_from(stream, b"").await;
    };
    let answer = answer(part, &request, witness);
    part_from(stream, &answer).await
}

fn answer(part: &Part, request: &Request, witness: &Witness) -> Vec<u8> {
    let ServiceKind::Http { auth, page, inside } = &part.service().kind else {
        return Vec::new();
    };
    let nonce = hex::encode(&part.key_seed("nonce")[..16]);
    let admitted = part.open
        || match (auth, &request.authorization) {
            (HttpAuth::Basic, Some(value)) => basic(part, value, witness),
            (HttpAuth::Digest, Some(value)) => digest(part, page, value, &request.method, &nonce, witness),
            _ => false,
        };
    let transcript = match inside {
        Some(inside) if admitted => inside,
        _ => page,
    };
    render(part, transcript, &nonce)
}

/// Puts the values in and ends the head's lines as on the wire.
fn render(part: &Part, transcript: &str, nonce: &str) -> Vec<u8> {
    let text = part.line(transcript).replace("{nonce}", nonce);
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let body = body.replace('\n', "\r\n");
    let head = head.replace("{length}", &body.len().to_string()).replace('\n', "\r\n");
    format!("{head}\r\n\r\n{body}").into_bytes()
}

fn basic(part: &Part, value: &str, witness: &Witness) -> bool {
    let pair = value
        .strip_prefix("Basic ")
        .and_then(|encoded| STANDARD.decode(encoded.trim()).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok());
    match pair.as_deref().and_then(|pair| pair.split_once(':')) {
        Some((user, password)) => part.admits(user, password, witness),
        None => false,
    }
}

/// RFC 2617 with MD5, with or without `qop=auth`.
fn digest(part: &Part, page: &str, value: &str, method: &str, nonce: &str, witness: &Witness) -> bool {
    use std::sync::atomic::Ordering;
    witness.logins.fetch_add(1, Ordering::Relaxed);
    let (Some(factory), Some(fields)) = (part.factory(), value.strip_prefix("Digest ")) else { return false };
    let field = |name: &str| parameter(fields, name).unwrap_or_default();
    let realm = parameter(page, "realm").unwrap_or_default();
    if field("username") != factory.user || field("realm") != realm || field("nonce") != nonce {
        return false;
    }
    let secret = md5(&format!("{}:{realm}:{}", factory.user, factory.password));
    let target = md5(&format!("{method}:{}", field("uri")));
    let expected = match field("qop").as_str() {
        "" => md5(&format!("{secret}:{nonce}:{target}")),
        qop => md5(&format!("{secret}:{nonce}:{}:{}:{qop}:{target}", field("nc"), field("cnonce"))),
    };
    field("response") == expected
}

fn md5(text: &str) -> String {
    hash(MessageDigest::md5(), text.as_bytes()).map(hex::encode).unwrap_or_default()
}

/// The value of `name="value"` or `name=value` in a list of parameters.
fn parameter(text: &str, name: &str) -> Option<String> {
    let mut rest = text;
    loop {
        let at = rest.find(name)?;
        let fresh = at == 0 || !rest.as_bytes()[at - 1].is_ascii_alphanumeric();
        let after = &rest[at + name.len()..];
        match after.strip_prefix('=') {
            Some(value) if fresh => {
                return Some(match value.strip_prefix('"') {
                    Some(quoted) => quoted.split('"').next().unwrap_or_default().to_owned(),
                    None => value.split([',', ' ', '\r', '\n']).next().unwrap_or_default().to_owned(),
                });
            }
            _ => rest = after,
        }
    }
}

/// As much of a request as a device looks at.
struct Request {
    method: String,
    authorization: Option<String>,
}

impl Request {
    /// `None` when it is not HTTP or ends early.
    async fn read<S: Stream>(stream: &mut S) -> io::Result<Option<Self>> {
        let mut lines = Lines::new();
        let Some(first) = lines.next(stream).await? else { return Ok(None) };
        let mut words = first.split_ascii_whitespace();
        let (method, version) =
            (words.next().unwrap_or_default().to_owned(), words.last().unwrap_or_default());
        if !version.starts_with("HTTP/") {
            return Ok(None);
        }
        let mut authorization = None;
        for _ in 0..INPUT_BYTES_MAX / 4 {
            match lines.next(stream).await? {
                None => return Ok(None),
                Some(line) if line.is_empty() => break,
                Some(line) => {
                    if let Some((name, value)) = line.split_once(':')
                        && name.eq_ignore_ascii_case("authorization")
                    {
                        authorization = Some(value.trim().to_owned());
                    }
                }
            }
        }
        Ok(Some(Self { method, authorization }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_by_their_whole_name() {
        let text = "cnonce=\"c\", nonce=\"n\", qop=auth, nc=00000001";
        assert_eq!(parameter(text, "nonce").unwrap(), "n");
        assert_eq!(parameter(text, "nc").unwrap(), "00000001");
        assert_eq!(parameter(text, "qop").unwrap(), "auth");
        assert_eq!(parameter(text, "realm"), None);
    }
}
