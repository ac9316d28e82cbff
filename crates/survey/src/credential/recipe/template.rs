//! Text with names in it, and what devices make of a password before they send it.

use std::collections::BTreeMap;

use base64::Engine;
use md5::Md5;
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// Text with `{name}` in it; a brace of its own is written twice.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(in crate::credential) struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Name(String),
}

/// A value made from others.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::credential) struct Make {
    pub(in crate::credential) name: String,
    pub(in crate::credential) from: Template,
    /// Applied one after the other.
    #[serde(default)]
    by: Vec<Transform>,
}

/// What scripts on login pages do. Digests are hexadecimal, in small letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Transform {
    Base64,
    Md5,
    Sha256,
    /// In capital letters, as some write their digests.
    Upper,
}

/// Values by name. Its `Debug` shows names only: one of them is a password.
#[derive(Clone, Default)]
pub(in crate::credential) struct Values(BTreeMap<String, String>);

impl Template {
    /// Names in it.
    pub(in crate::credential) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Name(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// The text, with every name's value in its place.
    pub(in crate::credential) fn fill(&self, values: &Values) -> String {
        self.0
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.as_str(),
                Piece::Name(name) => values.get(name),
            })
            .collect()
    }
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (mut pieces, mut plain) = (Vec::new(), String::new());
        let mut rest = text.as_str();
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = &rest[at..];
            if let Some(after) = brace.strip_prefix("{{").or_else(|| brace.strip_prefix("}}")) {
                plain.push_str(&brace[..1]);
                rest = after;
                continue;
            }
            let name = brace.strip_prefix('{').and_then(|inner| inner.split_once('}'));
            let Some((name, after)) = name.filter(|(name, _)| !name.is_empty() && !name.contains('{')) else {
                return Err(format!(
                    "`{text}` has a brace alone: names stand in `{{}}`, a brace of its own is doubled"
                ));
            };
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
            pieces.push(Piece::Name(name.to_owned()));
            rest = after;
        }
        plain.push_str(rest);
        pieces.push(Piece::Text(plain));
        Ok(Self(pieces))
    }
}

impl Make {
    /// Its value, given those before it.
    pub(in crate::credential) fn value(&self, values: &Values) -> String {
        self.by.iter().fold(self.from.fill(values), |text, transform| match transform {
            Transform::Base64 => base64::engine::general_purpose::STANDARD.encode(text),
            Transform::Md5 => hex::encode(Md5::digest(text)),
            Transform::Sha256 => hex::encode(Sha256::digest(text)),
            Transform::Upper => text.to_uppercase(),
        })
    }
}

impl Values {
    /// Sets a value, in place of one of the same name.
    pub(in crate::credential) fn set(&mut self, name: &str, value: String) {
        self.0.insert(name.to_owned(), value);
    }

    /// A value; empty when there is none of that name.
    pub(in crate::credential) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

impl std::fmt::Debug for Values {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
