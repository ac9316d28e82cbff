//! Logins without a secret, only when the mandate grants `anonymous-login`: FTP as `anonymous` with
//! our contact address as password (then QUIT, no listing), MQTT CONNECT without user name (then
//! DISCONNECT, no subscription).

use kenshin_observation::{Check, Endpoint, Outcome, protocol};
use kenshin_wire::mqtt::{self, Connack};
use kenshin_wire::reply::{Reply, ReplyDecoder};

use super::conversation::{Lines, attach};
use super::greeting::{limited, next_reply};
use super::session::{Heard, Link, Session};
use super::{Connect, ProbeResult, ProbeSettings, record};
use crate::tls::{Established, Offer, establish};

const CHECK: Check = Check::AnonymousLogin;

/// The anonymous login that applies to the service of `handshake`, if any: FTP, or MQTT inside a
/// TLS session in which nothing else was recognised.
pub(super) async fn login(
    endpoint: Endpoint,
    handshake: &ProbeResult,
    connect: &impl Connect,
    settings: &ProbeSettings,
) -> Option<ProbeResult> {
    let tls = handshake.records.tls.is_some();
    if let Some(ftp) = &handshake.records.ftp {
        return Some(ftp_login(endpoint, ftp, tls, connect, settings).await);
    }
    let silent_inside = handshake.records.unknown.as_ref().is_some_and(|unknown| unknown.bytes == 0);
    if tls && silent_inside {
        return Some(mqtt_in_tls(endpoint, connect, settings).await);
    }
    None
}

async fn ftp_login(
    endpoint: Endpoint,
    handshake: &protocol::Ftp,
    tls: bool,
    connect: &impl Connect,
    settings: &ProbeSettings,
) -> ProbeResult {
    let mut lines = Lines::new(endpoint, CHECK, None, connect, settings);
    let mut result = match lines.open().await {
        Err(none) => none.result(CHECK),
        Ok(session) if tls => match establish(session, Offer::All, &settings.limits).await {
            Ok(Established { session, record, certificate }) => {
                let mut result = ftp_session(session, settings).await;
                attach(&mut result, record, certificate);
                result
            }
            Err(_) => ProbeResult::new(CHECK, Outcome::Limited, Some("tls")),
        },
        Ok(session) => ftp_session(session, settings).await,
    };
    result.protocol = Some("ftp".to_owned());
    if let Some(ftp) = &mut result.records.ftp
        && ftp.banner.is_empty()
    {
        ftp.banner.clone_from(&handshake.banner);
    }
    lines.sign(&mut result);
    result
}

async fn ftp_session<S: Link>(mut session: Session<S>, settings: &ProbeSettings) -> ProbeResult {
    let mut result = ProbeResult::new(CHECK, Outcome::Answered, None);
    let mut ftp = protocol::Ftp::default();
    let mut replies = ReplyDecoder::default();
    match converse(&mut session, &mut replies, settings, &mut ftp).await {
        // A login that is over quota or out of service decides nothing.
        Ok(reply) if (400..500).contains(&reply.code) => limited(&mut result, "busy"),
        Ok(reply) => {
            let accepted = reply.code == 230 || reply.code == 202;
            ftp.anonymous = Some(if accepted { "accepted" } else { "rejected" }.to_owned());
            session.part(b"QUIT\r\n").await;
        }
        Err(reason) => limited(&mut result, reason),
    }
    result.records.ftp = Some(Box::new(ftp));
    result
}

/// Greeting, USER, and PASS when asked for; returns the reply that decides.
async fn converse<S: Link>(
    session: &mut Session<S>,
    replies: &mut ReplyDecoder,
    settings: &ProbeSettings,
    ftp: &mut protocol::Ftp,
) -> Result<Reply, &'static str> {
    let mut greeting = next_reply(session, replies, settings).await?;
    if greeting.code == 120 {
        greeting = next_reply(session, replies, settings).await?; // ready in a moment
    }
    ftp.banner = record::shown(greeting.shown().as_bytes());
    if greeting.code != 220 {
        return Ok(greeting);
    }
    session.say(b"USER anonymous\r\n").await.map_err(|ending| ending.reason())?;
    let user = next_reply(session, replies, settings).await?;
    if user.code != 331 && user.code != 332 {
        return Ok(user);
    }
    let contact = settings.introduction.contact.replace(|c: char| c.is_control(), "");
    session.say(format!("PASS {contact}\r\n").as_bytes()).await.map_err(|ending| ending.reason())?;
    next_reply(session, replies, settings).await
}

/// Asks `endpoint` as an MQTT broker inside TLS. The result has an MQTT record only when a CONNACK came.
async fn mqtt_in_tls(endpoint: Endpoint, connect: &impl Connect, settings: &ProbeSettings) -> ProbeResult {
    let mut lines = Lines::new(endpoint, CHECK, None, connect, settings);
    let mut result = match lines.open().await {
        Err(none) => none.result(CHECK),
        Ok(session) => match establish(session, Offer::All, &settings.limits).await {
            Ok(Established { session, record, certificate }) => {
                let mut result = mqtt_session(session, settings).await;
                attach(&mut result, record, certificate);
                result
            }
            Err(_) => ProbeResult::new(CHECK, Outcome::Limited, Some("tls")),
        },
    };
    lines.sign(&mut result);
    result
}

/// Asks as an MQTT broker.
pub(super) async fn mqtt_session<S: Link>(mut session: Session<S>, settings: &ProbeSettings) -> ProbeResult {
    let none = |reason| ProbeResult::new(CHECK, Outcome::Limited, Some(reason));
    if let Err(ending) = session.say(&mqtt::connect(&settings.introduction.name)).await {
        return none(ending.reason());
    }
    let mut heard = Vec::new();
    loop {
        match session.hear(settings.limits.answer).await {
            Heard::Bytes(bytes) => heard.extend(bytes),
            ending => return none(ending.reason()),
        }
        match mqtt::connack(&heard) {
            Connack::More => {}
            Connack::Other => return none("protocol"),
            Connack::Code(code) => {
                let mut result = ProbeResult::new(CHECK, Outcome::Answered, None);
                result.protocol = Some("mqtt".to_owned());
                result.records.mqtt = Some(Box::new(protocol::Mqtt {
                    connack_code: Some(i32::from(code)),
                    anonymous: Some(if code == 0 { "accepted" } else { "rejected" }.to_owned()),
                }));
                session.part(if code == 0 { &mqtt::DISCONNECT } else { &[] }).await;
                return result;
            }
        }
    }
}
