//! Requests: small, honest about who asks, and impossible to split.

/// One request without a body.
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
    /// Ask to keep the connection open for another request.
    pub keep_alive: bool,
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
        out.push_str(if self.keep_alive {
            "Connection: keep-alive\r\n\r\n"
        } else {
            "Connection: close\r\n\r\n"
        });
        out.into_bytes()
    }
}

/// Value of an `Authorization` field for Basic (RFC 7617).
pub fn basic(user: &str, password: &str) -> String {
    use base64::Engine;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
}
