//! Where a service says that more can be read: `LOCATION` of SSDP, `XAddrs` of WS-Discovery.

use std::net::IpAddr;

/// Longest address of a resource that is looked at, in bytes.
const URL_BYTES_MAX: usize = 1024;

/// A place at the address that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referral {
    /// Over TLS.
    pub tls: bool,
    /// TCP port.
    pub port: u16,
    /// Path and query, beginning with `/`, of visible ASCII alone.
    pub path: String,
}

/// The place that `url` names when it is an `http` or `https` URL (RFC 3986) at `asked`, written
/// as a literal address; `None` for every other address, name, user or form. Devices behind
/// address translation name an address inside: that is elsewhere, and nobody goes there.
pub fn referral(url: &str, asked: IpAddr) -> Option<Referral> {
    let url = url.trim();
    if url.len() > URL_BYTES_MAX || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let (scheme, rest) = url.split_once("://")?;
    let tls = match scheme.to_ascii_lowercase().as_str() {
        "http" => false,
        "https" => true,
        _ => return None,
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (host, port) = match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port = match port.strip_prefix(':') {
        Some(port) if !port.is_empty() => port.parse().ok().filter(|&port| port != 0)?,
        Some(_) => default_port(tls),
        None if port.is_empty() => default_port(tls),
        None => return None,
    };
    // Zones name an interface of theirs.
    let host: IpAddr = host.split('%').next()?.parse().ok()?;
    if host.to_canonical() != asked.to_canonical() {
        return None;
    }
    let path = path.split('#').next().unwrap_or_default();
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Some(Referral { tls, port, path })
}

const fn default_port(tls: bool) -> u16 {
    if tls { 443 } else { 80 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_address_asked_is_a_referral() {
        let v4: IpAddr = "192.0.2.1".parse().unwrap();
        let v6: IpAddr = "2001:db8::1".parse().unwrap();
        let found = |url, asked| {
            referral(url, asked)
                .map(|r| format!("{} {} {}", if r.tls { "tls" } else { "tcp" }, r.port, r.path))
        };
        let here =
            |url, asked, expected: &str| assert_eq!(found(url, asked).as_deref(), Some(expected), "{url}");
        here("http://192.0.2.1:49152/rootDesc.xml", v4, "tcp 49152 /rootDesc.xml");
        here("HTTP://192.0.2.1", v4, "tcp 80 /");
        here("https://192.0.2.1/onvif/device_service?x=1#top", v4, "tls 443 /onvif/device_service?x=1");
        here("http://192.0.2.1:/?a", v4, "tcp 80 /?a");
        here(" http://[2001:db8::1]:8080/ ", v6, "tcp 8080 /");
        here("http://[::ffff:192.0.2.1]/a", v4, "tcp 80 /a");
        for url in [
            "http://192.168.1.1/rootDesc.xml",
            "http://192.0.2.1.example/",
            "http://192.0.2.1@198.51.100.1/",
            "http://user@192.0.2.1/",
            "http://router.local/",
            "http://192.0.2.1:0/",
            "http://192.0.2.1:65536/",
            "http://192.0.2.1:80:81/",
            "http://[192.0.2.1/",
            "http://[2001:db8::2]x/",
            "http://192.0.2.1/a b",
            "http://192.0.2.1/\r\nHost: x",
            "ftp://192.0.2.1/",
            "//192.0.2.1/",
            "/rootDesc.xml",
            "http://",
            "",
        ] {
            assert_eq!(referral(url, v4), None, "{url:?}");
        }
        assert_eq!(referral(&format!("http://192.0.2.1/{}", "a".repeat(2000)), v4), None);
    }
}
