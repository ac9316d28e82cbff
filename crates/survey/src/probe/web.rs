//! Services that wait to be asked: HTTP and RTSP.

use kenshin_observation::protocol::{self, Records};
use kenshin_observation::{Check, Endpoint, Outcome};
use kenshin_wire::http::{self, HttpError, Progress, Request, Response, ResponseDecoder, Version};
use kenshin_wire::{cwmp, elasticsearch, rtsp};

use super::greeting::{limited, unknown};
use super::session::{Heard, Link, Session};
use super::{ProbeResult, ProbeSettings, record};

/// What came of a question.
pub(crate) enum Answer {
    /// A response, HTTP or RTSP by its version, and the limit that cut it, if any.
    Response(Response, Option<&'static str>),
    /// Something else.
    Other(Vec<u8>, Option<&'static str>),
    /// Nothing, for this reason.
    Nothing(&'static str),
}

/// `Host` field: the address, with the port where it is not the scheme's own.
pub(crate) fn host(endpoint: Endpoint, tls: bool) -> String {
    let addr = match endpoint.addr {
        std::net::IpAddr::V4(v4) => v4.to_string(),
        std::net::IpAddr::V6(v6) => format!("[{v6}]"),
    };
    if endpoint.port == if tls { 443 } else { 80 } { addr } else { format!("{addr}:{}", endpoint.port) }
}

/// Says `question` and reads one response.
pub(crate) async fn ask<S: Link>(
    session: &mut Session<S>,
    question: &[u8],
    settings: &ProbeSettings,
) -> Answer {
    // A host may answer and close before it has taken our question: what it said counts.
    let said = session.say(question).await;
    let mut decoder = ResponseDecoder::new(http::Limits::default());
    let mut heard = Vec::new();
    let mut pushed = Ok(Progress::More);
    let ending = loop {
        match session.hear(settings.limits.answer).await {
            Heard::Bytes(bytes) => {
                if pushed.is_ok() {
                    pushed = decoder.push(&bytes);
                }
                if heard.len() <= settings.limits.bytes_max {
                    heard.extend(bytes);
                }
                match pushed {
                    Ok(Progress::More) => {}
                    Ok(Progress::Done) => break None,
                    Err(HttpError::HeadTooLong | HttpError::TooManyHeaders) => {
                        break Some(Heard::Limit("bytes"));
                    }
                    Err(_) => break None,
                }
            }
            ending => break Some(ending),
        }
    };
    let limit = match ending {
        Some(Heard::Limit(limit)) => Some(limit),
        _ => None,
    };
    if heard.is_empty() {
        let ending = ending.as_ref().or(said.as_ref().err()).map_or("closed", Heard::reason);
        return Answer::Nothing(ending);
    }
    if pushed.is_ok() || decoder.head().is_some() {
        // A malformed body does not undo a head.
        if let Ok(response) = decoder.end() {
            return Answer::Response(response, limit);
        }
    }
    Answer::Other(heard, limit)
}

/// `GET path`.
pub(crate) async fn get<S: Link>(
    session: &mut Session<S>,
    endpoint: Endpoint,
    path: &str,
    tls: bool,
    settings: &ProbeSettings,
) -> Answer {
    let request = Request {
        method: "GET",
        target: path,
        host: &host(endpoint, tls),
        user_agent: &settings.introduction.user_agent,
        authorization: None,
        session: None,
        body: None,
        keep_alive: false,
    };
    ask(session, &request.encode(), settings).await
}

/// RTSP OPTIONS.
pub(super) async fn options<S: Link>(session: &mut Session<S>, settings: &ProbeSettings) -> Answer {
    ask(session, &rtsp::options(&settings.introduction.user_agent), settings).await
}

/// The result of a check that got `response`.
pub(super) fn response_result(
    check: Check,
    response: &Response,
    limit: Option<&'static str>,
    settings: &ProbeSettings,
) -> ProbeResult {
    let mut result = ProbeResult::new(check, Outcome::Answered, None);
    if response.head.version == Version::Rtsp10 {
        result.protocol = Some("rtsp".to_owned());
        result.records.rtsp = Some(Box::new(record::rtsp(&response.head)));
        result.blobs = record::http_blobs(response, settings.blob_bytes_max);
    } else {
        result.protocol = Some("http".to_owned());
        result.records.http = Some(Box::new(record::http(response)));
        recognise_servers(response, &mut result.records);
        result.blobs = record::http_blobs(response, settings.blob_bytes_max);
    }
    if let Some(limit) = limit {
        limited(&mut result, limit);
    }
    result
}

/// Adds what the answer to `GET /` tells about servers that are more than a web server.
pub(super) fn recognise_servers(response: &Response, records: &mut Records) {
    let shown = |text: String| record::shown(text.as_bytes());
    if let Some(engine) = elasticsearch::recognise(response) {
        records.elasticsearch = Some(Box::new(protocol::Elasticsearch {
            version: engine.version.map(shown),
            cluster_name: engine.cluster_name.map(shown),
            distribution: Some(engine.distribution.to_owned()),
            authentication_required: Some(engine.authentication_required),
        }));
    }
    if let Some(found) = cwmp::recognise(response) {
        let record = protocol::Cwmp { server: found.server.map(shown), realm: found.realm.map(shown) };
        records.cwmp = Some(Box::new(record));
    }
}

/// The result of a check that got bytes of no protocol we know.
pub(super) fn other_result(
    check: Check,
    heard: &[u8],
    limit: Option<&'static str>,
    settings: &ProbeSettings,
) -> ProbeResult {
    let mut result = ProbeResult::new(check, Outcome::Answered, None);
    unknown(heard, settings, &mut result);
    if let Some(limit) = limit {
        limited(&mut result, limit);
    }
    result
}

/// A plain-text answer that says: speak TLS to me.
pub(super) fn wants_tls(response: &Response) -> bool {
    if !matches!(response.head.status, 400 | 403 | 426 | 497) {
        return false;
    }
    let lower = response.text().to_ascii_lowercase();
    [
        "https port",
        "ssl-enabled",
        "to an https server",
        "requires tls",
        "tls required",
        "use https",
        "speaking plain http",
    ]
    .iter()
    .any(|words| lower.contains(words))
}
