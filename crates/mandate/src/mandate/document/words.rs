//! Names, numbers, texts and checks.

use std::collections::BTreeSet;

use kenshin_observation::Check;
use toml::Spanned;

use super::{Reader, SupersedesText};
use crate::mandate::Supersedes;

impl Reader<'_> {
    pub(super) fn number(&mut self, value: &Spanned<i64>, least: u32, most: u32, what: &str) -> u32 {
        match u32::try_from(*value.get_ref()) {
            Ok(number) if (least..=most).contains(&number) => number,
            _ => {
                let message = format!("{what} is {}, outside {least} to {most}", value.get_ref());
                self.report.add(
                    value.span(),
                    message,
                    format!("write a whole number from {least} to {most}"),
                );
                least
            }
        }
    }

    /// A text that says something.
    pub(super) fn text(&mut self, value: &Spanned<String>, what: &str) -> String {
        if value.get_ref().trim().is_empty() {
            self.report.add(
                value.span(),
                format!("{what} is empty"),
                "write it out: people will be judged by it",
            );
        }
        value.get_ref().clone()
    }

    /// A text of one line without control characters.
    pub(super) fn line(&mut self, value: &Spanned<String>, what: &str) -> String {
        if value.get_ref().chars().any(char::is_control) {
            self.report.add(
                value.span(),
                format!("{what} has a line break or control character"),
                "write it in one line",
            );
        }
        self.text(value, what)
    }

    pub(super) fn id(&mut self, value: &Spanned<String>) -> String {
        let id = value.get_ref();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !(3..=64).contains(&id.len()) || !id.chars().all(plain) || id.starts_with('-') {
            self.report.add(
                value.span(),
                format!("`{id}` is not an id"),
                "use 3 to 64 lower-case letters, digits and hyphens, such as `example-isp-2026`",
            );
        }
        id.clone()
    }

    pub(super) fn supersedes(&mut self, text: &SupersedesText, version: i64) -> Supersedes {
        let replaced = self.number(&text.version, 1, u32::MAX, "supersedes.version");
        if version > 0 && i64::from(replaced) >= version {
            self.report.add(
                text.version.span(),
                format!("version {version} cannot replace version {replaced}"),
                "raise `version` with every new text",
            );
        }
        let digest = text.sha256.get_ref().to_ascii_lowercase();
        if digest.len() != 64 || hex::decode(&digest).is_err() {
            self.report.add(
                text.sha256.span(),
                "this is not a SHA-256 digest",
                "copy the 64 hexadecimal digits that `kenshin mandate check` shows for the version before",
            );
        }
        Supersedes { version: replaced, digest }
    }

    pub(super) fn checks(&mut self, texts: &Spanned<Vec<Spanned<String>>>) -> BTreeSet<Check> {
        let mut checks = BTreeSet::new();
        for text in texts.get_ref() {
            match text.get_ref().parse::<Check>() {
                Ok(check) if checks.insert(check) => {}
                Ok(check) => {
                    self.report.add(text.span(), format!("`{check}` is granted twice"), "keep one of them");
                }
                Err(error) => {
                    self.report.add(text.span(), error.to_string(), "grant only checks of the closed list");
                }
            }
        }
        if checks.is_empty() {
            self.report.add(
                texts.span(),
                "no check is granted",
                "the usual three are checks = [\"sweep\", \"banner\", \"handshake\"]",
            );
        } else if !checks.contains(&Check::Sweep) {
            self.report.add(
                texts.span(),
                "`sweep` is not granted, and without it nothing can be asked",
                "add \"sweep\"",
            );
        }
        checks
    }

    pub(super) fn signers(&mut self, text: &Spanned<i64>, checks: &BTreeSet<Check>) -> u8 {
        let signers = self.number(text, 1, 2, "signers_required");
        let grave =
            [Check::CredentialCheck, Check::IcsIdentity].into_iter().find(|check| checks.contains(check));
        if let (Some(check), 1) = (grave, *text.get_ref()) {
            self.report.add(
                text.span(),
                format!("`{check}` needs two signers"),
                "write signers_required = 2 and let a second person sign, or do not grant the check",
            );
        }
        u8::try_from(signers).expect("1 or 2")
    }
}
