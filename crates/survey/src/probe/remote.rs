//! Remote desktops and shares: RDP, VNC and SMB, as far as they say how they would let somebody in.

use kenshin_observation::protocol::{self, LIST_MAX};
use kenshin_observation::{Check, Outcome};
use kenshin_wire::rdp::Negotiation;
use kenshin_wire::smb::{self, Negotiated};
use kenshin_wire::{rdp, vnc};
use tokio::net::TcpStream;

use super::conversation::Lines;
use super::exchange::{Asked, ask, known};
use super::session::{Link, Session};
use super::{Connect, ProbeResult, ProbeSettings, record};

/// Asks as RDP.
pub(super) async fn rdp<S: Link>(
    mut session: Session<S>,
    check: Check,
    settings: &ProbeSettings,
) -> Asked<ProbeResult> {
    match ask(&mut session, &rdp::CONNECTION_REQUEST, settings.limits.answer, rdp::answer).await {
        Asked::Answer(negotiation) => {
            session.part(&[]).await;
            let record = match negotiation {
                Negotiation::Absent => protocol::Rdp::default(),
                Negotiation::Selected { protocol, flags } => protocol::Rdp {
                    selected_protocol: Some(protocol.into()),
                    flags: Some(flags.into()),
                    failure: None,
                },
                Negotiation::Failed { code } => {
                    protocol::Rdp { failure: Some(code.into()), ..protocol::Rdp::default() }
                }
            };
            let mut result = known(check, "rdp");
            result.records.rdp = Some(Box::new(record));
            Asked::Answer(result)
        }
        Asked::Other(heard, limit) => Asked::Other(heard, limit),
        Asked::Nothing(reason) => Asked::Nothing(reason),
    }
}

/// Asks as SMB 2 and 3, and on another connection whether SMB 1 is spoken as well. `usual`: shares are
/// usually found at this port, so that one which knows SMB 1 only is looked for too.
pub(super) async fn smb<C: Connect>(
    mut session: Session<TcpStream>,
    lines: &mut Lines<'_, C>,
    check: Check,
    usual: bool,
) -> Asked<ProbeResult> {
    let wait = lines.settings.limits.answer;
    let first = ask(&mut session, &smb::negotiate(), wait, smb::answer).await;
    let newer = match first {
        Asked::Answer(Negotiated::Two(agreement)) => Some(agreement),
        Asked::Answer(_) => None,
        // Servers of the time before SMB 2 hang up on it.
        Asked::Nothing("closed" | "reset") if usual => None,
        Asked::Other(heard, limit) => return Asked::Other(heard, limit),
        Asked::Nothing(reason) => return Asked::Nothing(reason),
    };
    let spoke = matches!(first, Asked::Answer(_));
    session.part(&[]).await;
    let older = match lines.open().await {
        Ok(mut session) => {
            let asked = ask(&mut session, &smb::negotiate_1(), wait, smb::answer).await;
            session.part(&[]).await;
            match asked {
                Asked::Answer(Negotiated::One(agreement)) => Some(Some(agreement)),
                Asked::Answer(_) | Asked::Nothing("closed" | "reset") => Some(None),
                Asked::Other(..) | Asked::Nothing(_) => None,
            }
        }
        Err(_) => None,
    };
    let agreement = newer.or(older.flatten());
    if !spoke && agreement.is_none() {
        return Asked::Nothing("closed");
    }
    let mut result = known(check, "smb");
    result.records.smb = Some(Box::new(protocol::Smb {
        dialect: agreement.map(|agreement| match smb::dialect_name(agreement.dialect) {
            Some(name) => name.to_owned(),
            None => format!("{:#06x}", agreement.dialect),
        }),
        signing_required: agreement.map(|agreement| agreement.signing_required),
        server_guid: agreement
            .filter(|agreement| agreement.server_guid != [0; 16])
            .map(|agreement| smb::guid_text(&agreement.server_guid)),
        capabilities: agreement.map(|agreement| agreement.capabilities.into()),
        smb1: older.map(|older| older.is_some()),
    }));
    Asked::Answer(result)
}

/// Goes on after a VNC server's version line: answers it when `talk`, and reads the security types.
pub(super) async fn vnc<S: Link>(
    mut session: Session<S>,
    heard: &[u8],
    talk: bool,
    settings: &ProbeSettings,
    result: &mut ProbeResult,
) {
    result.protocol = Some("vnc".to_owned());
    let line = &heard[..heard.len().min(12)];
    let mut record = protocol::Vnc {
        version: record::shown(line.trim_ascii().strip_prefix(b"RFB ").unwrap_or(line)),
        ..protocol::Vnc::default()
    };
    result.blobs.extend(record::banner(line, settings.blob_bytes_max));
    if let (true, Some(version)) = (talk, vnc::version(heard).whole()) {
        let read = |bytes: &[u8]| vnc::security(version, bytes);
        match ask(&mut session, version.reply(), settings.limits.answer, read).await {
            Asked::Answer(security) => {
                record.authentication_required = security.authentication_required();
                record.security_types = security
                    .types
                    .iter()
                    .take(LIST_MAX)
                    .map(|&kind| match vnc::security_name(kind) {
                        Some(name) => name.to_owned(),
                        None => kind.to_string(),
                    })
                    .collect();
                if security.refusal.is_some() {
                    result.reason = Some("refused".to_owned());
                }
            }
            Asked::Other(_, Some(limit)) => {
                (result.outcome, result.reason) = (Outcome::Limited, Some(limit.to_owned()));
            }
            Asked::Other(_, None) => result.reason = Some("protocol".to_owned()),
            Asked::Nothing(reason) => result.reason = Some(reason.to_owned()),
        }
    }
    result.records.vnc = Some(Box::new(record));
    session.part(&[]).await;
}
