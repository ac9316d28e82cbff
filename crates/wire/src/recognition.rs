//! Which protocol a service speaks, told by the first bytes it sent.

use crate::telnet::{IAC, Prompt, prompt};
use crate::{Answer, mqtt, redis, tls, vnc};

/// A protocol, recognised by behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recognised {
    /// `HTTP/…`.
    Http,
    /// `RTSP/…`.
    Rtsp,
    /// `SSH-…`, perhaps behind other lines.
    Ssh,
    /// Option negotiation, or a prompt for a user name, password or command.
    Telnet,
    /// A numbered greeting that names FTP.
    Ftp,
    /// A numbered greeting that names mail.
    Smtp,
    /// A numbered greeting that names neither; only a question can tell.
    Greeting,
    /// A TLS record.
    Tls,
    /// An MQTT CONNACK.
    Mqtt,
    /// `RFB` and a version.
    Vnc,
    /// ISO transport that hangs up as the conferencing protocol under RDP does (T.125).
    Rdp,
    /// An error that only a Redis or one of its descendants words so.
    Redis,
    /// An error that only a memcached words so.
    Memcached,
    /// None of these, or too little yet.
    Unknown,
}

/// Names what `bytes`, the first a service sent, belong to.
pub fn recognise(bytes: &[u8]) -> Recognised {
    match bytes {
        _ if bytes.starts_with(b"HTTP/") => Recognised::Http,
        _ if bytes.starts_with(b"RTSP/") => Recognised::Rtsp,
        _ if bytes.starts_with(b"SSH-") || find(bytes, b"\nSSH-") => Recognised::Ssh,
        _ if tls::recognise(bytes).is_some() => Recognised::Tls,
        _ if matches!(vnc::version(bytes), Answer::Whole(_)) => Recognised::Vnc,
        // Data, and in it a DisconnectProviderUltimatum, whatever its reason.
        [3, 0, 0, 9, 2, 0xf0, 0x80, 0x20 | 0x21, ..] => Recognised::Rdp,
        [b'-', ..] if refused_by_redis(bytes) => Recognised::Redis,
        // One error a line: what was said had several.
        _ if bytes.starts_with(b"CLIENT_ERROR ") || bytes.starts_with(b"ERROR\r\nERROR\r\n") => {
            Recognised::Memcached
        }
        _ if negotiates(bytes) => Recognised::Telnet,
        [a, b, c, b' ' | b'-', ..] if [a, b, c].iter().all(|byte| byte.is_ascii_digit()) => greeting(bytes),
        [0x20, 2, 0 | 1, 0..=5] if matches!(mqtt::connack(bytes), mqtt::Connack::Code(_)) => Recognised::Mqtt,
        _ => match prompt(bytes) {
            Some(Prompt::Login | Prompt::Password) => Recognised::Telnet,
            // Without negotiation only the prompt of a superuser is taken for a shell: many
            // services end their greeting with `>`.
            Some(Prompt::Shell) if bytes.trim_ascii_end().ends_with(b"#") => Recognised::Telnet,
            _ => Recognised::Unknown,
        },
    }
}

/// What a Redis says to somebody who comes with another protocol, or without a password.
fn refused_by_redis(bytes: &[u8]) -> bool {
    bytes.starts_with(b"-ERR wrong number of arguments for 'get' command")
        || bytes.starts_with(b"-ERR unknown command '")
        || bytes.starts_with(b"-ERR unknown command `")
        || matches!(redis::ping(bytes), Answer::Whole(_))
}

fn greeting(bytes: &[u8]) -> Recognised {
    if !matches!(&bytes[..3], b"220" | b"421" | b"554" | b"120" | b"530") {
        return Recognised::Unknown;
    }
    let upper = bytes[..bytes.len().min(4096)].to_ascii_uppercase();
    match (find(&upper, b"FTP"), find(&upper, b"SMTP") || find(&upper, b"MAIL") || find(&upper, b"POSTFIX")) {
        (true, false) => Recognised::Ftp,
        (false, true) => Recognised::Smtp,
        _ => Recognised::Greeting,
    }
}

fn negotiates(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(1024)];
    head.windows(3).any(|window| window[0] == IAC && (251..=254).contains(&window[1]) && window[2] < 60)
}

fn find(bytes: &[u8], needle: &[u8]) -> bool {
    bytes[..bytes.len().min(16 * 1024)].windows(needle.len()).any(|window| window == needle)
}
