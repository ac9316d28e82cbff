//! Requests: small, honest about who asks, and impossible to split.

/// One request.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// `GET`, or `OPTIONS` for RTSP.
    pub method: &'a str,
    /// Path, `/` for us.
    pub target: &'a str,
    /// `Host` field: the address and port asked.
    pub host: &'a str,
    /// `User-Agent` field with a contact.
    pub user_agent: &'a str,
    /// `Authorization` field.
    pub authorization: Option<&'a str>,
    /// `Cookie` field, and the page we came from for `Referer`, where a login needs them.
    pub session: Option<Session<'a>>,
    /// What is sent.
    pub body: Option<Body<'a>>,
    /// Ask to keep the connection open for another request.
    pub keep_alive: bool,
}

/// What ties requests of one login together.
#[derive(Debug, Clone, Copy)]
pub struct Session<'a> {
    /// `name=value` pairs, joined by `; `; perhaps none.
    pub cookies: &'a str,
    /// URL of the page that was shown before.
    pub referer: &'a str,
}

/// A body and its media type.
#[derive(Debug, Clone, Copy)]
pub struct Body<'a> {
    /// `Content-Type` field.
    pub kind: &'a str,
    /// The bytes.
    pub bytes: &'a [u8],
}

impl Request<'_> {
    /// The bytes to send. Control characters in any field become spaces, so that no field can end
    /// its line.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = String::with_capacity(256);
        let clean = |text: &str| text.replace(|c: char| c.is_control(), " ");
        out.push_str(&format!(
            "{} {} HTTP/1.1\r\n",
            clean(self.method),
            clean(self.target).replace(' ', "%20")
        ));
        out.push_str(&format!("Host: {}\r\n", clean(self.host)));
        out.push_str(&format!("User-Agent: {}\r\n", clean(self.user_agent)));
        out.push_str("Accept: */*\r\n");
        if let Some(authorization) = self.authorization {
            out.push_str(&format!("Authorization: {}\r\n", clean(authorization)));
        }
        if let Some(session) = self.session {
            out.push_str(&format!("Referer: {}\r\n", clean(session.referer)));
            if !session.cookies.is_empty() {
                out.push_str(&format!("Cookie: {}\r\n", clean(session.cookies)));
            }
        }
        if let Some(body) = self.body {
            out.push_str(&format!(
                "Content-Type: {}\r\nContent-Length: {}\r\n",
                clean(body.kind),
                body.bytes.len()
            ));
        }
        out.push_str(if self.keep_alive {
            "Connection: keep-alive\r\n\r\n"
        } else {
            "Connection: close\r\n\r\n"
        });
        [out.as_bytes(), self.body.map_or(&[], |body| body.bytes)].concat()
    }
}

/// Value of an `Authorization` field for Basic (RFC 7617).
pub fn basic(user: &str, password: &str) -> String {
    use base64::Engine;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
}
