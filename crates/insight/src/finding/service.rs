//! Weaknesses that one conversation shows by itself.

use kenshin_observation::{AssetId, Finding, FindingKind, Identity, Observation, Remedy, Severity};

use super::{Draft, admin, by_port, evidence};

/// Rules that look at one observation.
pub(super) fn of(asset_id: AssetId, observation: &Observation, identity: &Identity) -> Vec<Finding> {
    let draft = |kind: FindingKind, remedy, severity, confidence, field: &str, value: &str| Draft {
        asset_id,
        kind,
        observation,
        severity,
        remedy,
        confidence,
        discriminator: by_port(observation.subject),
        code: format!("finding.{kind}"),
        args: Vec::new(),
        evidence: vec![evidence(observation, field, value)],
        snapshots: Vec::new(),
    };
    let mut found = Vec::new();
    if let Some(telnet) = &observation.records.telnet {
        let (kind, remedy) = (FindingKind::TelnetOpen, Remedy::CloseService);
        let shown =
            if telnet.text.trim().is_empty() { telnet.options.join(", ") } else { telnet.text.clone() };
        found.push(draft(kind, remedy, Severity::High, 99, "telnet.text", &shown).finish());
        if telnet.shell_prompt && !telnet.login_prompt && !telnet.password_prompt {
            let (kind, remedy) = (FindingKind::AdminOpen, Remedy::CloseService);
            let shell = Draft {
                code: "finding.admin-open.shell".to_owned(),
                ..draft(kind, remedy, Severity::Critical, 95, "telnet.text", &telnet.text)
            };
            found.push(shell.finish());
        }
    }
    if let Some(http) = &observation.records.http
        && let Some(page) = admin::open_page(http, identity)
    {
        let (kind, remedy) = (FindingKind::AdminOpen, Remedy::CloseService);
        let open = Draft {
            args: vec![("title", page.title.to_owned())],
            ..draft(kind, remedy, Severity::High, page.confidence, "http.title", page.title)
        };
        found.push(open.finish());
    }
    if observation.records.ftp.as_ref().and_then(|ftp| ftp.anonymous.as_deref()) == Some("accepted") {
        let (kind, remedy) = (FindingKind::AnonymousFtp, Remedy::CloseService);
        found.push(draft(kind, remedy, Severity::Medium, 99, "ftp.anonymous", "accepted").finish());
    }
    if observation.records.mqtt.as_ref().and_then(|mqtt| mqtt.anonymous.as_deref()) == Some("accepted") {
        let (kind, remedy) = (FindingKind::AnonymousMqtt, Remedy::CloseService);
        found.push(draft(kind, remedy, Severity::High, 99, "mqtt.anonymous", "accepted").finish());
    }
    if let Some(credential) =
        observation.records.credential.as_ref().filter(|credential| credential.result == "accepted")
    {
        // The entry's number and the dictionary's digest name the pair to those who may know it.
        let entry = credential.entry.map_or_else(|| "?".to_owned(), |entry| entry.to_string());
        let shown = format!("{} entry {entry} of {}", credential.method, credential.dictionary_sha256);
        let (kind, remedy) = (FindingKind::DefaultCredentials, Remedy::ChangePassword);
        let accepted = Draft {
            args: vec![("method", credential.method.clone())],
            ..draft(kind, remedy, Severity::Critical, 99, "credential.result", &shown)
        };
        found.push(accepted.finish());
    }
    found
}
