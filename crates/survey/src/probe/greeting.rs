//! Services that speak first: SSH, Telnet, FTP, SMTP, VNC, and what nobody knows.

use kenshin_observation::{Outcome, protocol};
use kenshin_wire::reply::{Reply, ReplyDecoder};
use kenshin_wire::ssh::{HostKeyExchange, Step};
use kenshin_wire::telnet::{Prompt, TelnetDecoder, prompt};
use kenshin_wire::{Recognised, charset, recognise};

use super::session::{Heard, Link, Session};
use super::{ProbeResult, ProbeSettings, record, remote, tells};
use kenshin_observation::Check;

/// Longest Telnet text kept while looking for a prompt.
const TELNET_TEXT_BYTES_MAX: usize = 8 * 1024;

/// Listens on after the `first` bytes of a service that spoke by itself, answers as far as its
/// protocol's greeting goes (never when `talk` is false), and parts.
pub(super) async fn greet<S: Link>(
    mut session: Session<S>,
    first: Vec<u8>,
    check: Check,
    talk: bool,
    settings: &ProbeSettings,
) -> ProbeResult {
    let mut heard = first;
    let mut ending = None;
    let mut recognised = recognise(&heard);
    while recognised == Recognised::Unknown && ending.is_none() {
        match session.hear(settings.limits.listen).await {
            Heard::Bytes(bytes) => {
                heard.extend(bytes);
                recognised = recognise(&heard);
            }
            other => ending = Some(other),
        }
    }
    let mut result = ProbeResult::new(check, Outcome::Answered, None);
    match recognised {
        Recognised::Ssh => ssh(session, heard, talk, settings, &mut result).await,
        Recognised::Telnet => telnet(session, heard, talk, settings, &mut result).await,
        Recognised::Vnc => remote::vnc(session, &heard, talk, settings, &mut result).await,
        Recognised::Ftp | Recognised::Smtp | Recognised::Greeting => {
            numbered(session, heard, recognised, talk, settings, &mut result).await;
        }
        _ => {
            unknown(&heard, settings, &mut result);
            match ending {
                Some(Heard::Limit(limit)) => {
                    limited(&mut result, limit);
                    if matches!(limit, "time" | "steps") {
                        result.labels.push(tells::TARPIT.to_owned());
                    }
                }
                _ => session.part(&[]).await,
            }
        }
    }
    result
}

/// Fills `result` with bytes that belong to no protocol we know.
pub(super) fn unknown(heard: &[u8], settings: &ProbeSettings, result: &mut ProbeResult) {
    result.protocol = Some("unknown".to_owned());
    result.records.unknown = Some(Box::new(record::unknown(heard)));
    result.blobs.extend(record::banner(heard, settings.blob_bytes_max));
}

pub(super) fn limited(result: &mut ProbeResult, reason: &str) {
    result.outcome = Outcome::Limited;
    result.reason = Some(reason.to_owned());
}

async fn ssh<S: Link>(
    mut session: Session<S>,
    heard: Vec<u8>,
    talk: bool,
    settings: &ProbeSettings,
    result: &mut ProbeResult,
) {
    let mut exchange =
        HostKeyExchange::new(concat!("Kenshin_", env!("CARGO_PKG_VERSION")), &settings.introduction.name);
    let mut pending = heard;
    let reason = loop {
        let last = match exchange.push(&pending) {
            Ok(Step::Done(last)) => last,
            Ok(Step::Continue(out)) => {
                if !talk && exchange.learned().identification.is_some() {
                    break None;
                }
                if !out.is_empty()
                    && let Err(ending) = session.say(&out).await
                {
                    break Some(ending.reason());
                }
                match session.hear(settings.limits.answer).await {
                    Heard::Bytes(bytes) => pending = bytes,
                    ending => break Some(ending.reason()),
                }
                continue;
            }
            Err(_) => break Some("protocol"),
        };
        session.part(if talk { &last } else { &[] }).await;
        break None;
    };
    let learned = exchange.into_learned();
    result.protocol = Some("ssh".to_owned());
    result.blobs.extend(
        learned.identification.as_deref().and_then(|line| record::banner(line, settings.blob_bytes_max)),
    );
    // The identification alone is an answer; without it, or with a limit of ours hit, it is not.
    match (reason, &learned.identification) {
        (Some(reason), None) => limited(result, reason),
        (Some(reason @ ("bytes" | "time" | "steps")), _) => limited(result, reason),
        (Some(reason), Some(_)) => result.reason = Some(reason.to_owned()),
        (None, _) => {}
    }
    result.records.ssh = Some(Box::new(record::ssh(learned)));
}

async fn telnet<S: Link>(
    mut session: Session<S>,
    heard: Vec<u8>,
    talk: bool,
    settings: &ProbeSettings,
    result: &mut ProbeResult,
) {
    let mut decoder = TelnetDecoder::new(TELNET_TEXT_BYTES_MAX);
    let mut pending = heard;
    let reason = loop {
        let answer = decoder.push(&pending);
        if talk
            && !answer.is_empty()
            && let Err(ending) = session.say(&answer).await
        {
            break Some(ending.reason());
        }
        // A prompt is one only when the service then waits; a short pause tells.
        let asks = prompt(decoder.text()).is_some();
        let wait = if asks { settings.limits.listen / 4 } else { settings.limits.answer };
        match session.hear(wait).await {
            Heard::Bytes(bytes) => pending = bytes,
            Heard::Silent | Heard::Closed | Heard::Reset => break None,
            Heard::Limit(limit) => break Some(limit),
        }
    };
    let asked = prompt(decoder.text());
    result.protocol = Some("telnet".to_owned());
    result.records.telnet = Some(Box::new(protocol::Telnet {
        options: decoder.options().to_vec(),
        text: record::shown(charset::decode(decoder.text(), None).as_bytes()),
        login_prompt: asked == Some(Prompt::Login),
        password_prompt: asked == Some(Prompt::Password),
        shell_prompt: asked == Some(Prompt::Shell),
    }));
    result.blobs.extend(record::banner(decoder.text(), settings.blob_bytes_max));
    match reason {
        Some(limit) => limited(result, limit),
        None => session.part(&[]).await,
    }
}

/// FTP and SMTP. A greeting that names neither is asked `EHLO`, which only mail servers know.
async fn numbered<S: Link>(
    mut session: Session<S>,
    heard: Vec<u8>,
    mut recognised: Recognised,
    talk: bool,
    settings: &ProbeSettings,
    result: &mut ProbeResult,
) {
    let mut replies = ReplyDecoder::default();
    let greeting = match replies.push(&heard) {
        Ok(()) => next_reply(&mut session, &mut replies, settings).await,
        Err(_) => Err("protocol"),
    };
    let greeting = match greeting {
        Ok(greeting) => greeting,
        Err(reason) => {
            // It began like a greeting and never became one.
            unknown(&heard, settings, result);
            if matches!(reason, "bytes" | "time" | "steps") {
                limited(result, reason);
            }
            return;
        }
    };
    if let Recognised::Greeting | Recognised::Ftp | Recognised::Smtp = recognised {
        // The whole greeting may name what its first line did not.
        let again = recognise(greeting.shown().as_bytes());
        if matches!(again, Recognised::Ftp | Recognised::Smtp) {
            recognised = again;
        }
    }
    let mut ehlo = None;
    if talk && recognised != Recognised::Ftp && greeting.code == 220 {
        let question = format!("EHLO {}\r\n", settings.introduction.name);
        if session.say(question.as_bytes()).await.is_ok() {
            ehlo = next_reply(&mut session, &mut replies, settings).await.ok();
        }
        if recognised == Recognised::Greeting {
            recognised = match &ehlo {
                Some(reply) if reply.code == 250 => Recognised::Smtp,
                Some(reply) if (500..=599).contains(&reply.code) => Recognised::Ftp,
                _ => Recognised::Greeting,
            };
        }
    }
    let banner = record::shown(greeting.shown().as_bytes());
    match recognised {
        Recognised::Ftp => {
            result.protocol = Some("ftp".to_owned());
            result.records.ftp = Some(Box::new(protocol::Ftp { banner, anonymous: None }));
        }
        Recognised::Smtp => {
            result.protocol = Some("smtp".to_owned());
            let lines = ehlo.filter(|reply| reply.code == 250).map(|reply| reply.lines).unwrap_or_default();
            let ehlo = lines.iter().map(|line| record::shown(line.as_bytes())).collect();
            result.records.smtp = Some(Box::new(protocol::Smtp { banner, ehlo }));
        }
        _ => result.records.unknown = Some(Box::new(record::unknown(greeting.shown().as_bytes()))),
    }
    if result.protocol.is_none() {
        result.protocol = Some("unknown".to_owned());
    }
    result.blobs.extend(record::banner(greeting.shown().as_bytes(), settings.blob_bytes_max));
    session.part(if talk { b"QUIT\r\n" } else { b"" }).await;
}

/// The next reply, or the reason why there is none.
pub(crate) async fn next_reply<S: Link>(
    session: &mut Session<S>,
    replies: &mut ReplyDecoder,
    settings: &ProbeSettings,
) -> Result<Reply, &'static str> {
    loop {
        match replies.next_reply() {
            Ok(Some(reply)) => return Ok(reply),
            Ok(None) => {}
            Err(_) => return Err("protocol"),
        }
        match session.hear(settings.limits.answer).await {
            Heard::Bytes(bytes) => replies.push(&bytes).map_err(|_| "protocol")?,
            ending => return Err(ending.reason()),
        }
    }
}
