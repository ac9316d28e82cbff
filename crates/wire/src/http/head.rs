//! Status line and header fields.

use super::{HttpError, Limits};
use crate::charset;

/// Protocol of a status line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// `HTTP/1.0`, and anything older or newer than 1.1 that says so.
    Http10,
    /// `HTTP/1.1`.
    Http11,
    /// `RTSP/1.0`, which borrows HTTP's form.
    Rtsp10,
}

/// Status line and header fields of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Protocol spoken.
    pub version: Version,
    /// Status code, 100 to 999.
    pub status: u16,
    /// Text after the code.
    pub reason: String,
    /// Header fields in order.
    pub headers: Headers,
}

/// Header fields in the order sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// First value of the field `name`, whatever its case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Every value of the field `name`, in order.
    pub fn all<'a>(&'a self, name: &'static str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Names of the cookies set, each once, in order.
    pub fn cookie_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for value in self.all("set-cookie") {
            let pair = value.split(';').next().unwrap_or_default();
            let name = pair.split('=').next().unwrap_or_default().trim();
            if !name.is_empty() && !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        names
    }

    /// Parses the lines behind a status line.
    pub(crate) fn parse(lines: &[u8], limits: &Limits) -> Result<Self, HttpError> {
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in lines.split(|&byte| byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if let (Some(b' ' | b'\t'), Some((_, value))) = (line.first(), headers.last_mut()) {
                value.push(' ');
                value.push_str(charset::decode(line, None).trim());
                continue;
            }
            let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
            let name = line[..colon].trim_ascii();
            if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
                continue;
            }
            if headers.len() == limits.headers_max {
                return Err(HttpError::TooManyHeaders);
            }
            let value = charset::decode(line[colon + 1..].trim_ascii(), None);
            headers.push((String::from_utf8_lossy(name).into_owned(), value));
        }
        Ok(Self(headers))
    }
}

impl Head {
    /// Parses a whole header section, without the empty line that ends it. Devices end lines with
    /// CRLF or LF alone, and send lines that are no field: those are passed over.
    pub fn parse(section: &[u8], limits: &Limits) -> Result<Self, HttpError> {
        if section.len() > limits.head_bytes_max {
            return Err(HttpError::HeadTooLong);
        }
        let line = section.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let (version, status, reason) = status_line(line.strip_suffix(b"\r").unwrap_or(line))?;
        let headers = Headers::parse(&section[line.len()..], limits)?;
        Ok(Self { version, status, reason, headers })
    }

    /// The header section at the start of a datagram: up to the empty line, or all of it.
    pub(crate) fn section(datagram: &[u8]) -> &[u8] {
        Self::end(datagram).map_or(datagram, |(length, _)| &datagram[..length])
    }

    /// Length of the header section at the start of `bytes`, as (its length, length with the
    /// empty line), once that line has arrived.
    pub(super) fn end(bytes: &[u8]) -> Option<(usize, usize)> {
        let mut at = 0;
        while let Some(found) = bytes[at..].iter().position(|&byte| byte == b'\n') {
            let newline = at + found;
            match &bytes[newline + 1..] {
                [b'\n', ..] => return Some((newline, newline + 2)),
                [b'\r', b'\n', ..] => return Some((newline, newline + 3)),
                _ => at = newline + 1,
            }
        }
        None
    }
}

fn status_line(line: &[u8]) -> Result<(Version, u16, String), HttpError> {
    let line = line.trim_ascii();
    let version = match line {
        _ if line.starts_with(b"HTTP/1.1") => Version::Http11,
        _ if line.starts_with(b"HTTP/") => Version::Http10,
        _ if line.starts_with(b"RTSP/") => Version::Rtsp10,
        _ => return Err(HttpError::StatusLine),
    };
    let space = line.iter().position(|&byte| byte == b' ').ok_or(HttpError::StatusLine)?;
    let rest = line[space..].trim_ascii_start();
    let code = rest.get(..3).and_then(|code| std::str::from_utf8(code).ok()).ok_or(HttpError::StatusLine)?;
    let status =
        code.parse().ok().filter(|status| (100..=999).contains(status)).ok_or(HttpError::StatusLine)?;
    if rest.get(3).is_some_and(|byte| !byte.is_ascii_whitespace()) {
        return Err(HttpError::StatusLine);
    }
    Ok((version, status, charset::decode(rest[3..].trim_ascii(), None)))
}
