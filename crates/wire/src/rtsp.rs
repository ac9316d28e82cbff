//! RTSP 1.0 (RFC 2326): OPTIONS, DESCRIBE and their answers, which have the form of HTTP's
//! ([`crate::http::ResponseDecoder`] reads them). Nothing here sets up or plays a stream.

use crate::http::Head;

/// OPTIONS for the whole server.
pub fn options(user_agent: &str) -> Vec<u8> {
    let clean = user_agent.replace(|c: char| c.is_control(), " ");
    format!("OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nUser-Agent: {clean}\r\n\r\n").into_bytes()
}

/// DESCRIBE of the presentation at `url`, the `sequence`th request of a connection, with the `authorization`
/// that a server asked for. Control characters become spaces, so that no field can end its line.
pub fn describe(url: &str, sequence: u32, user_agent: &str, authorization: Option<&str>) -> Vec<u8> {
    let clean = |text: &str| text.replace(|c: char| c.is_control(), " ");
    let mut out = format!(
        "DESCRIBE {} RTSP/1.0\r\nCSeq: {sequence}\r\nAccept: application/sdp\r\nUser-Agent: {}\r\n",
        clean(url).replace(' ', "%20"),
        clean(user_agent)
    );
    if let Some(authorization) = authorization {
        out.push_str(&format!("Authorization: {}\r\n", clean(authorization)));
    }
    out.push_str("\r\n");
    out.into_bytes()
}

/// Methods of the `Public` header (`Allow` on some devices).
pub fn methods(head: &Head) -> Vec<String> {
    head.headers
        .get("public")
        .or_else(|| head.headers.get("allow"))
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|method| !method.is_empty() && method.len() <= 32)
        .take(32)
        .map(str::to_owned)
        .collect()
}
