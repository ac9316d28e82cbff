//! Where a reference leads (RFC 3986 §5): to a path at the address that was asked, or elsewhere. Only
//! literal addresses count: no name is ever looked up, so a name is elsewhere.

use std::net::IpAddr;

use crate::referral::{Referral, referral};

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
    let absolute = match reference.strip_prefix("//") {
        Some(rest) => Some(format!("http{}://{rest}", if base.tls { "s" } else { "" })),
        None => has_scheme(reference).then(|| reference.to_owned()),
    };
    if let Some(url) = absolute {
        let Referral { tls, port, path } = referral(&url, base.addr)?;
        return here(tls, port, &path);
    }
    let base_path = base.path.split(['?', '#']).next().unwrap_or("/");
    let path = match reference.chars().next() {
        Some('/') => reference.to_owned(),
        Some('?') => format!("{base_path}{reference}"),
        Some(_) => {
            let folder = base_path.rfind('/').map_or("/", |slash| &base_path[..=slash]);
            format!("{folder}{reference}")
        }
        None => base_path.to_owned(),
    };
    here(base.tls, base.port, &path)
}

fn here(tls: bool, port: u16, path: &str) -> Option<Target> {
    let path = without_dots(path);
    (path.len() <= PATH_BYTES_MAX).then_some(Target::Here { tls, port, path })
}

fn has_scheme(reference: &str) -> bool {
    reference.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    })
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
