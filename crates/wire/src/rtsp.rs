//! RTSP 1.0 (RFC 2326): OPTIONS and its answer, which has the form of HTTP's
//! ([`crate::http::ResponseDecoder`] reads it).

use crate::http::Head;

/// OPTIONS for the whole server.
pub fn options(user_agent: &str) -> Vec<u8> {
    let clean = user_agent.replace(|c: char| c.is_control(), " ");
    format!("OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nUser-Agent: {clean}\r\n\r\n").into_bytes()
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
