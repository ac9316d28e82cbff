//! SIP (RFC 3261) over UDP: OPTIONS and its answer. Nothing here registers or calls, and no proxy may
//! pass the question on.

use std::net::SocketAddr;

use crate::http::{Head, Headers, Limits};
use crate::malformed::Malformed;

const LIMITS: Limits = Limits { head_bytes_max: 16 * 1024, headers_max: 64, body_bytes_max: 0 };

/// Most methods read.
const METHODS_MAX: usize = 32;

/// Longest method read.
const METHOD_BYTES_MAX: usize = 32;

/// Who asks whom.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// The server.
    pub server: SocketAddr,
    /// Our side of the socket, for `Via`; the answer comes to where the question came from
    /// (RFC 3581).
    pub ours: SocketAddr,
    /// Distinguishes this question from all others: part of `Call-ID`, tag and branch.
    pub nonce: u64,
    /// Who we say we are.
    pub user_agent: &'a str,
}

impl Options<'_> {
    /// `Call-ID`, which comes back.
    pub fn call_id(&self) -> String {
        format!("{:016x}@kenshin", self.nonce)
    }

    /// The request.
    pub fn encode(&self) -> Vec<u8> {
        let Self { server, ours, nonce, user_agent } = self;
        let call_id = self.call_id();
        let agent = user_agent.replace(|c: char| c.is_control(), " ");
        format!(
            "OPTIONS sip:{server} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {ours};branch=z9hG4bK{nonce:016x};rport\r\n\
             Max-Forwards: 0\r\n\
             From: <sip:kenshin@{ours}>;tag={nonce:016x}\r\n\
             To: <sip:{server}>\r\n\
             Call-ID: {call_id}\r\n\
             CSeq: 1 OPTIONS\r\n\
             Accept: application/sdp\r\n\
             User-Agent: {agent}\r\n\
             Content-Length: 0\r\n\r\n"
        )
        .into_bytes()
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status code; below 200 the final one is still to come.
    pub status: u16,
    /// Of which question.
    pub call_id: Option<String>,
    /// `Server`: what serves.
    pub server: Option<String>,
    /// `User-Agent`, which telephones and gateways send instead.
    pub user_agent: Option<String>,
    /// `Allow`: what it can do.
    pub methods: Vec<String>,
}

/// Reads an answer.
pub fn parse(bytes: &[u8]) -> Result<Answer, Malformed> {
    const WHAT: Malformed = Malformed::Not("a SIP answer");
    let section = Head::section(bytes);
    let (line, fields) = section.split_at(section.iter().position(|&b| b == b'\n').unwrap_or(section.len()));
    let rest = line.strip_prefix(b"SIP/2.0 ").ok_or(WHAT)?;
    let status = rest
        .get(..3)
        .and_then(|code| std::str::from_utf8(code).ok())
        .and_then(|code| code.parse().ok())
        .filter(|status| (100..700).contains(status))
        .ok_or(WHAT)?;
    let headers = Headers::parse(fields, &LIMITS).map_err(|_| Malformed::Limit("fields of a SIP answer"))?;
    let field = |name| headers.get(name).filter(|value| !value.is_empty()).map(str::to_owned);
    let methods = headers
        .all("allow")
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|method| !method.is_empty() && method.len() <= METHOD_BYTES_MAX)
        .take(METHODS_MAX)
        .map(str::to_owned)
        .collect();
    Ok(Answer {
        status,
        // Names may be shortened, RFC 3261 §7.3.3.
        call_id: field("call-id").or_else(|| field("i")),
        server: field("server"),
        user_agent: field("user-agent"),
        methods,
    })
}
