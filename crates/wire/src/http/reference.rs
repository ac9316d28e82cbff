//! Where a reference leads (RFC 3986 §5): to a path at the address that was asked, or elsewhere. Only
//! literal addresses count: no name is ever looked up, so a name is elsewhere.

use std::net::IpAddr;

/// Longest path followed, in bytes.
const PATH_BYTES_MAX: usize = 1024;

/// The page that holds a reference.
#[derive(Debug, Clone, Copy)]
pub struct Base<'a> {
    /// It was fetched inside TLS.
    pub tls: bool,
    /// Address asked.
    pub addr: IpAddr,
    /// Port asked.
    pub port: u16,
    /// Path and query asked for, beginning with `/`.
    pub path: &'a str,
}

/// A reference, resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// At the address asked.
    Here {
        /// `https`.
        tls: bool,
        /// Port, perhaps another one.
        port: u16,
        /// Path and query, beginning with `/`, without `.` and `..` and without fragment.
        path: String,
    },
    /// At another address, behind a name, by another protocol, or longer than we follow.
    Elsewhere,
}

/// Resolves the value of a `Location` field, or of an attribute that names a page.
pub fn resolve(reference: &str, base: &Base<'_>) -> Target {
    follow(reference, base).unwrap_or(Target::Elsewhere)
}

fn follow(reference: &str, base: &Base<'_>) -> Option<Target> {
    let reference = reference.trim().split('#').next().unwrap_or_default();
    // Browsers forgive backslashes and inner line ends, each in its own way; we do not guess.
    if reference.len() > PATH_BYTES_MAX || reference.contains(|c: char| c.is_control() || c == '\\') {
        return None;
    }
    let (tls, rest) = match scheme(reference) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
        Some(_) => return None,
        None => (base.tls, reference),
    };
    if let Some(after) = rest.strip_prefix("//") {
        let end = after.find(['/', '?']).unwrap_or(after.len());
        let (authority, path) = after.split_at(end);
        let (addr, port) = address(authority)?;
        if addr != base.addr.to_canonical() {
            return None;
        }
        let port = port.unwrap_or(if tls { 443 } else { 80 });
        return here(tls, port, path);
    }
    if rest.len() != reference.len() {
        return None; // `http:page`: no authority at all
    }
    let base_path = base.path.split(['?', '#']).next().unwrap_or("/");
    let path = match rest.chars().next() {
        Some('/') => rest.to_owned(),
        Some('?') => format!("{base_path}{rest}"),
        Some(_) => {
            let folder = base_path.rfind('/').map_or("/", |slash| &base_path[..=slash]);
            format!("{folder}{rest}")
        }
        None => base_path.to_owned(),
    };
    here(base.tls, base.port, &path)
}

fn here(tls: bool, port: u16, path: &str) -> Option<Target> {
    let path = without_dots(path);
    (port != 0 && path.len() <= PATH_BYTES_MAX).then_some(Target::Here { tls, port, path })
}

/// Scheme and what follows its colon.
fn scheme(reference: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = reference.split_once(':')?;
    let valid = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    valid.then_some((scheme, rest))
}

/// A literal address and a port; a user name before it is a disguise and not followed.
fn address(authority: &str) -> Option<(IpAddr, Option<u16>)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (IpAddr::V6(host.parse().ok()?), port)
        }
        None => {
            let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
            (IpAddr::V4(host.parse().ok()?), port)
        }
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        Some("") => None,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(digits.parse().ok()?),
        _ => return None,
    };
    Some((host.to_canonical(), port))
}

/// Removes `.` and `..` (RFC 3986 §5.2.4); the query stays as it is.
fn without_dots(path: &str) -> String {
    let (path, query) = path.split_at(path.find('?').unwrap_or(path.len()));
    let mut parts: Vec<&str> = Vec::new();
    let mut open = false;
    for part in path.strip_prefix('/').unwrap_or(path).split('/') {
        open = matches!(part, "." | "..");
        match part {
            "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    if open {
        parts.push(""); // the folder itself
    }
    format!("/{}{query}", parts.join("/"))
}
