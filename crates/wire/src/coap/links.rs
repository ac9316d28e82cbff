//! The link format, RFC 6690.

use crate::charset;

/// Most links read.
const LINKS_MAX: usize = 64;

/// Most attributes of a link read.
const ATTRIBUTES_MAX: usize = 16;

/// One resource of a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Link {
    /// Where it is, as sent.
    pub target: String,
    /// `rt`: what it is.
    pub resource_type: Option<String>,
    /// `if`: how it is spoken to.
    pub interface: Option<String>,
    /// `title`: name for people.
    pub title: Option<String>,
}

/// Reads `<target>;rt="type";if="interface", …`. What follows a mistake is passed over, and so is a
/// last link that broke off with its block.
pub fn links(payload: &[u8]) -> Vec<Link> {
    let text = charset::decode(payload, None);
    let mut links = Vec::new();
    let mut rest = text.as_str();
    while links.len() < LINKS_MAX {
        let Some(opened) = rest.trim_start().strip_prefix('<') else { break };
        let Some((target, after)) = opened.split_once('>') else { break };
        let mut link = Link { target: target.to_owned(), ..Link::default() };
        rest = after.trim_start();
        for _ in 0..ATTRIBUTES_MAX {
            let Some(attribute) = rest.strip_prefix(';') else { break };
            let name_end = attribute.find(['=', ';', ',']).unwrap_or(attribute.len());
            let (name, after) = attribute.split_at(name_end);
            let (value, after) = match after.strip_prefix('=') {
                Some(value) => value_of(value),
                None => ("", after),
            };
            rest = after.trim_start();
            let field = match name.trim() {
                "rt" => &mut link.resource_type,
                "if" => &mut link.interface,
                "title" => &mut link.title,
                _ => continue,
            };
            if field.is_none() && !value.is_empty() {
                *field = Some(value.to_owned());
            }
        }
        links.push(link);
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None => break,
        }
    }
    links
}

/// The value at the start of `text`, and what follows.
fn value_of(text: &str) -> (&str, &str) {
    match text.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
        None => text.split_at(text.find([';', ',']).unwrap_or(text.len())),
    }
}
