//! The dictionary of pairs to try: a TOML file of the operator's.

use std::fmt;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{Recipes, evidence};
use crate::probe::ProbeResult;

/// How a pair is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// SSH password or keyboard-interactive authentication.
    Ssh,
    /// Telnet login.
    Telnet,
    /// FTP USER and PASS.
    Ftp,
    /// HTTP Basic.
    HttpBasic,
    /// HTTP Digest.
    HttpDigest,
    /// A login form, filled in by a recipe.
    HttpForm,
    /// RTSP DESCRIBE with Basic or Digest.
    Rtsp,
    /// An SNMP community: the entry's password. Tried with entries alone that name this method.
    Snmp,
}

impl Method {
    /// The word in [`kenshin_observation::protocol::Credential::method`].
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ssh => "ssh",
            Self::Telnet => "telnet",
            Self::Ftp => "ftp",
            Self::HttpBasic => "http-basic",
            Self::HttpDigest => "http-digest",
            Self::HttpForm => "http-form",
            Self::Rtsp => "rtsp",
            Self::Snmp => "snmp",
        }
    }

    /// The method that applies to the service of a handshake, if any: a Telnet that does not let
    /// everybody in, SSH, FTP, RTSP, SNMP, HTTP that answered 401 with Basic or Digest, or an HTTP page
    /// for which there is a recipe.
    pub fn of(handshake: &ProbeResult, recipes: &Recipes) -> Option<Self> {
        if handshake.records.ssh.is_some() {
            return Some(Self::Ssh);
        }
        if let Some(telnet) = &handshake.records.telnet {
            // In whose words it asks, if it does, the login finds out.
            return (!telnet.shell_prompt).then_some(Self::Telnet);
        }
        if handshake.records.ftp.is_some() {
            return Some(Self::Ftp);
        }
        if handshake.records.rtsp.is_some() {
            return Some(Self::Rtsp);
        }
        // An agent without version 3 has no record of its own: it answered a login.
        if handshake.records.snmp.is_some() || handshake.protocol.as_deref() == Some("snmp") {
            return Some(Self::Snmp);
        }
        let http = handshake.records.http.as_ref()?;
        let challenge = http.www_authenticate.as_deref().filter(|_| http.status == 401);
        let scheme = challenge.and_then(|challenge| challenge.split([' ', '\t']).next()).unwrap_or_default();
        match scheme.to_ascii_lowercase().as_str() {
            "basic" => Some(Self::HttpBasic),
            "digest" => Some(Self::HttpDigest),
            _ => recipes.form(http, &evidence(handshake)).map(|_| Self::HttpForm),
        }
    }
}

/// One pair. Its `Debug` hides the password.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// User name; may be empty where a device asks for a password or a community only.
    pub user: String,
    /// Password; may be empty.
    pub password: String,
    /// Try only where the service's own words contain this vendor, ignoring case.
    pub vendor: Option<String>,
    /// Try only where the service's own words contain this product, ignoring case.
    pub product: Option<String>,
    /// Try only by these methods; all when empty.
    #[serde(default)]
    pub methods: Vec<Method>,
}

impl Entry {
    /// True when the entry is for `method` and for what the service says of itself (`evidence`, in
    /// lower case).
    pub(super) fn fits(&self, method: Method, evidence: &str) -> bool {
        let says = |filter: &Option<String>| {
            filter.as_ref().is_none_or(|filter| evidence.contains(&filter.to_lowercase()))
        };
        // A password is no community by chance.
        let any = self.methods.is_empty() && method != Method::Snmp;
        (any || self.methods.contains(&method)) && says(&self.vendor) && says(&self.product)
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("user", &self.user).field("password", &"…").finish_non_exhaustive()
    }
}

/// The pairs of one file, named by its digest.
#[derive(Debug, Clone)]
pub struct Dictionary {
    sha256: String,
    entries: Vec<Entry>,
    recipes: Recipes,
}

/// A file that is not a dictionary. Neither message nor cause shows a line of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DictionaryError {
    /// Not TOML, or not of the form of a dictionary.
    #[error(
        "line {line}: {problem}; hint: a dictionary is `[[entries]]` tables with `user`, `password` and, if wanted, `vendor`, `product`, `methods`"
    )]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// No pair at all.
    #[error("the dictionary holds no entries; hint: add an `[[entries]]` table")]
    Empty,
    /// More pairs than any device may be asked.
    #[error("the dictionary holds {0} entries, more than {max}; hint: name the few that factories use", max = Dictionary::ENTRIES_MAX)]
    TooLong(usize),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    entries: Vec<Entry>,
}

/// What a parser says of a value, without the value: ``invalid type: integer `7`, expected a string`` is
/// `invalid type: integer, expected a string`. It stands between quotes, and may have quotes in it.
pub(super) fn without_value(message: &str) -> String {
    let (kind, expected) = message.rsplit_once(", expected ").unwrap_or((message, ""));
    // Its name is ours.
    let ours = message.starts_with("missing field");
    let end = kind.find(['`', '"', '\'']).filter(|_| !ours).unwrap_or(kind.len());
    let kind = kind[..end].trim_end();
    if expected.is_empty() { kind.to_owned() } else { format!("{kind}, expected {expected}") }
}

/// Number of the line, from 1, in which this byte stands.
pub(super) fn line_at(text: &str, byte: usize) -> usize {
    1 + text.bytes().take(byte).filter(|byte| *byte == b'\n').count()
}

impl Dictionary {
    /// Most entries of one dictionary.
    pub const ENTRIES_MAX: usize = 10_000;

    /// Parses the text of a dictionary file.
    pub fn parse(text: &str) -> Result<Self, DictionaryError> {
        let file: File = toml::from_str(text).map_err(|error| DictionaryError::Syntax {
            line: line_at(text, error.span().map_or(0, |span| span.start)),
            problem: without_value(error.message()),
        })?;
        match file.entries.len() {
            0 => Err(DictionaryError::Empty),
            len if len > Self::ENTRIES_MAX => Err(DictionaryError::TooLong(len)),
            _ => {
                let sha256 = hex::encode(Sha256::digest(text));
                Ok(Self { sha256, entries: file.entries, recipes: Recipes::default() })
            }
        }
    }

    /// The same pairs, with recipes of where they go.
    #[must_use]
    pub fn with_recipes(self, recipes: Recipes) -> Self {
        Self { recipes, ..self }
    }

    /// Where pairs go on pages and streams; none unless they were given.
    pub const fn recipes(&self) -> &Recipes {
        &self.recipes
    }

    /// SHA-256 of the file's text, hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The entries; entry number `n` of the record is at index `n - 1`.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}
