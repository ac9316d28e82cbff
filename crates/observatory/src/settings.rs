//! `kenshin.toml`: one file, unknown keys refused.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::ActError;
use crate::home::Home;

/// Version of the settings format.
const SCHEMA_VERSION: i64 = 1;

/// The effective settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Format version, 1.
    pub schema_version: i64,
    /// Name of the organisation that runs this observatory.
    pub organisation: String,
    /// `sqlite` for `kenshin.db` in the home, or a `postgres://` URL.
    #[serde(default = "default_database")]
    pub database: String,
    /// Folder (under the home) or object-store URL of the lake.
    #[serde(default = "default_lake")]
    pub lake: String,
    /// Credential dictionary (TOML), when a mandate grants credential checks. None ships.
    #[serde(default)]
    pub dictionary: Option<PathBuf>,
    /// Extra fingerprint packs in Recog's XML format: files or folders.
    #[serde(default)]
    pub fingerprints: Vec<PathBuf>,
    /// How notices leave.
    #[serde(default)]
    pub mail: Mail,
    /// The web server.
    #[serde(default)]
    pub web: Web,
}

/// How notices leave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// `maildir` (the outbox in the home) or `smtp`.
    #[serde(default = "default_transport")]
    pub transport: String,
    /// Sender, `Name <address>`.
    #[serde(default = "default_from")]
    pub from: String,
    /// Relay, `smtp://host:port` or `smtp+starttls://host:port`, for `smtp`.
    #[serde(default)]
    pub relay: Option<String>,
}

/// The web server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Web {
    /// Address to listen on.
    #[serde(default = "default_listen")]
    pub listen: String,
    /// How others reach it, for links in notices.
    #[serde(default = "default_base_url")]
    pub base_url: String,
}

fn default_database() -> String {
    "sqlite".into()
}
fn default_lake() -> String {
    "lake".into()
}
fn default_transport() -> String {
    "maildir".into()
}
fn default_from() -> String {
    "Kenshin <kenshin@localhost>".into()
}
fn default_listen() -> String {
    "127.0.0.1:8480".into()
}
fn default_base_url() -> String {
    "http://127.0.0.1:8480".into()
}

impl Default for Mail {
    fn default() -> Self {
        Self { transport: default_transport(), from: default_from(), relay: None }
    }
}

impl Default for Web {
    fn default() -> Self {
        Self { listen: default_listen(), base_url: default_base_url() }
    }
}

impl Settings {
    /// Settings of a new home.
    pub fn new(organisation: &str) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            organisation: organisation.to_owned(),
            database: default_database(),
            lake: default_lake(),
            dictionary: None,
            fingerprints: Vec::new(),
            mail: Mail::default(),
            web: Web::default(),
        }
    }

    /// Reads the settings of a home.
    pub fn read(home: &Home) -> Result<Self, ActError> {
        let path = home.settings();
        let text = std::fs::read_to_string(&path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => ActError::input(format!("`{}` is not there", path.display()))
                .with_hint("run `kenshin init` to make a home, or name another with --home"),
            _ => ActError::io("read", &path, source),
        })?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Parses a settings text; `file` is for messages.
    pub fn parse(file: &str, text: &str) -> Result<Self, ActError> {
        let settings: Self = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let before = &text[..at.min(text.len())];
            let line = before.matches('\n').count() + 1;
            let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
            ActError::input(format!("{file}:{line}:{column}: {}", error.message()))
                .with_hint("`kenshin doctor` prints every key with its effective value")
        })?;
        if settings.schema_version != SCHEMA_VERSION {
            return Err(ActError::input(format!(
                "{file}: schema_version {} is not known to this version of Kenshin",
                settings.schema_version
            ))
            .with_hint("use the version that wrote it, or set schema_version = 1"));
        }
        if settings.mail.transport == "smtp" && settings.mail.relay.is_none() {
            return Err(ActError::input(format!(
                "{file}: mail.transport is `smtp` and mail.relay is missing"
            ))
            .with_hint("add relay = \"smtp://relay.example:25\" under [mail]"));
        }
        if !["smtp", "maildir"].contains(&settings.mail.transport.as_str()) {
            return Err(ActError::input(format!(
                "{file}: mail.transport `{}` is not known",
                settings.mail.transport
            ))
            .with_hint("use `maildir` or `smtp`"));
        }
        Ok(settings)
    }

    /// The commented file that `kenshin init` writes.
    pub fn template(organisation: &str) -> String {
        let quoted = toml::Value::String(organisation.to_owned());
        format!(
            "# Kenshin settings. Unknown keys are refused; `kenshin doctor` prints the effective result.\n\
             schema_version = 1\n\n\
             # Who runs this observatory; shown in notices.\n\
             organisation = {quoted}\n\n\
             # Decisions: \"sqlite\" keeps them in kenshin.db beside this file; or \"postgres://user@host/database\".\n\
             database = \"sqlite\"\n\n\
             # Observations: a folder under this one, or an object-store URL.\n\
             lake = \"lake\"\n\n\
             # Pairs of factory credentials to check, when a mandate with two signers grants it. None ships.\n\
             # dictionary = \"dictionary.toml\"\n\n\
             # More fingerprints in Recog's XML format: files or folders.\n\
             fingerprints = []\n\n\
             [mail]\n\
             # \"maildir\" puts notices into outbox/ for you to look at; \"smtp\" hands them to your relay.\n\
             transport = \"maildir\"\n\
             from = \"Kenshin <kenshin@localhost>\"\n\
             # relay = \"smtp://relay.example:25\"\n\n\
             [web]\n\
             listen = \"127.0.0.1:8480\"\n\
             base_url = \"http://127.0.0.1:8480\"\n"
        )
    }

    /// URL of the database.
    pub fn database_url(&self, home: &Home) -> String {
        match self.database.as_str() {
            "sqlite" => format!("sqlite://{}", home.database().display()),
            url => url.to_owned(),
        }
    }

    /// Location of the lake.
    pub fn lake_location(&self, home: &Home) -> String {
        if self.lake.contains("://") {
            self.lake.clone()
        } else {
            home.resolve(self.lake.as_ref()).display().to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_parses_to_the_defaults() {
        let text = Settings::template("検診 \"Example\"");
        assert_eq!(Settings::parse("kenshin.toml", &text).unwrap(), Settings::new("検診 \"Example\""));
    }

    #[test]
    fn bad_settings_name_file_line_and_column() {
        let bad = |text: &str| Settings::parse("kenshin.toml", text).unwrap_err().to_string();
        assert!(
            bad("schema_version = 1\norganisation = \"x\"\nspeed = 3\n")
                .starts_with("kenshin.toml:3:1: unknown field `speed`")
        );
        assert!(bad("schema_version = 1\norganisation = 3\n").starts_with("kenshin.toml:2:16:"));
        assert!(bad("schema_version = 2\norganisation = \"x\"\n").contains("schema_version 2"));
        assert!(
            bad("schema_version = 1\norganisation = \"x\"\n[mail]\ntransport = \"smtp\"\n")
                .contains("mail.relay")
        );
        assert!(
            bad("schema_version = 1\norganisation = \"x\"\n[mail]\ntransport = \"pigeon\"\n")
                .contains("pigeon")
        );
    }
}
