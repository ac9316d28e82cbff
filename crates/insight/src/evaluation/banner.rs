//! From a raw banner to the fields that an observation would hold.
//!
//! Labelled banners come from many collectors: whole responses, header sections without their status
//! line, single header values, descriptions in XML. This reader is as lenient as that needs and is
//! for evaluation alone; what a survey reads goes through the codecs of `wire`.

use std::sync::LazyLock;

use regex::bytes::Regex;

use super::{Service, certificate};
use crate::identity::{Field, Sighting};

/// Cookies looked at.
const COOKIES_MAX: usize = 32;

/// The fields that a service of this kind shows in `banner`, on port 0.
pub fn sightings(service: Service, banner: &[u8]) -> Vec<Sighting> {
    let mut out = Vec::new();
    match service {
        Service::Ftp => add(&mut out, Field::FtpBanner, banner),
        Service::Smtp => add(&mut out, Field::SmtpBanner, banner),
        Service::Ssh => add(&mut out, Field::SshBanner, identification(banner)),
        Service::Telnet => add(&mut out, Field::TelnetText, &without_negotiation(banner)),
        Service::Snmp => snmp(&mut out, banner),
        Service::Upnp => upnp(&mut out, banner),
        Service::Rtsp => rtsp(&mut out, banner),
        Service::Http => http(&mut out, banner),
        Service::Tls => {
            let (subject, issuer) = certificate::names(banner);
            // The issuer of a self-signed certificate says the same a second time.
            let issuer = issuer.filter(|issuer| *issuer != subject);
            add(&mut out, Field::TlsSubject, subject.as_bytes());
            add(&mut out, Field::TlsIssuer, issuer.unwrap_or_default().as_bytes());
        }
    }
    out
}

/// Some collectors write line ends as the letters `\r\n`.
pub(super) fn unescape(text: String) -> String {
    if text.contains('\n') || !text.contains("\\n") {
        return text;
    }
    text.replace("\\r", "\r").replace("\\n", "\n").replace("\\t", "\t").replace("\\\"", "\"")
}

fn add(out: &mut Vec<Sighting>, field: Field, text: &[u8]) {
    if !text.trim_ascii().is_empty() {
        out.push(Sighting::new(field, 0, text));
    }
}

/// The line that RFC 4253 §4.2 asks for; other lines may come before it.
fn identification(banner: &[u8]) -> &[u8] {
    banner.split(|byte| *byte == b'\n').find(|line| line.starts_with(b"SSH-")).unwrap_or(banner)
}

/// RFC 854: commands begin with 255; four of them have an option, a subnegotiation ends with 255 240.
fn without_negotiation(banner: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(banner.len());
    let mut rest = banner;
    while let Some((first, after)) = rest.split_first() {
        rest = match (first, after) {
            (255, [255, more @ ..]) => {
                out.push(255);
                more
            }
            (255, [251..=254, _, more @ ..]) => more,
            (255, [250, more @ ..]) => {
                let end = more.windows(2).position(|pair| pair == [255, 240]);
                end.map_or(&[][..], |end| &more[end + 2..])
            }
            (255, [_, more @ ..]) => more,
            (255, []) => &[],
            _ => {
                out.push(*first);
                after
            }
        };
    }
    out
}

/// `sysDescr`, `sysObjectID`, or lines that name them.
fn snmp(out: &mut Vec<Sighting>, banner: &[u8]) {
    let text = String::from_utf8_lossy(banner);
    let is_oid = |text: &str| {
        let digits = text.trim().trim_start_matches('.');
        digits.starts_with("1.3.6.1.") && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    };
    if is_oid(&text) {
        return add(out, Field::SnmpObjectId, text.trim().trim_start_matches('.').as_bytes());
    }
    let named = |name: &str| {
        text.lines().find_map(|line| {
            let (before, value) = line.split_once(['=', ':'])?;
            before
                .trim()
                .to_ascii_lowercase()
                .contains(name)
                .then(|| value.trim().trim_matches('"').to_owned())
        })
    };
    if let Some(oid) = named("sysobjectid").filter(|oid| is_oid(oid)) {
        add(out, Field::SnmpObjectId, oid.trim_start_matches('.').as_bytes());
    }
    let description = named("sysdescr").map(String::into_bytes);
    add(out, Field::SnmpDescription, description.as_deref().unwrap_or(banner));
}

fn rtsp(out: &mut Vec<Sighting>, banner: &[u8]) {
    let Some(response) = Response::read(banner) else { return add(out, Field::RtspServer, banner) };
    add(out, Field::RtspServer, response.header("server").unwrap_or_default());
    add(out, Field::RtspAuthenticate, response.header("www-authenticate").unwrap_or_default());
    add(out, Field::HttpTitle, &title(response.body).unwrap_or_default());
}

fn http(out: &mut Vec<Sighting>, banner: &[u8]) {
    let page = |out: &mut Vec<Sighting>, body| add(out, Field::HttpTitle, &title(body).unwrap_or_default());
    let Some(response) = Response::read(banner) else {
        return if banner.trim_ascii_start().starts_with(b"<") {
            page(out, banner);
        } else {
            add(out, Field::HttpServer, banner);
        };
    };
    for (name, field) in [
        ("server", Field::HttpServer),
        ("www-authenticate", Field::HttpAuthenticate),
        ("x-powered-by", Field::HttpPoweredBy),
    ] {
        add(out, field, response.header(name).unwrap_or_default());
    }
    for cookie in response.headers("set-cookie").take(COOKIES_MAX) {
        let name = cookie.split(|byte| *byte == b'=').next().unwrap_or_default();
        add(out, Field::HttpCookie, name.trim_ascii());
    }
    page(out, response.body);
}

/// An SSDP answer, a device description, both, or the `SERVER` of one.
fn upnp(out: &mut Vec<Sighting>, banner: &[u8]) {
    let response = Response::read(banner);
    if let Some(response) = &response {
        add(out, Field::SsdpServer, response.header("server").unwrap_or_default());
        for name in ["st", "nt"] {
            add(out, Field::Role, response.header(name).unwrap_or_default());
        }
    }
    let element = |name: &str| element(banner, name);
    let described = [
        (Field::Manufacturer, element("manufacturer")),
        (Field::Model, element("modelName").or_else(|| element("modelNumber"))),
        (Field::Role, element("deviceType")),
    ];
    if response.is_none() && described.iter().all(|(_, text)| text.is_none()) {
        return add(out, Field::SsdpServer, banner);
    }
    for (field, text) in described {
        add(out, field, text.unwrap_or_default().as_bytes());
    }
}

/// A header section with what follows it.
struct Response<'b> {
    headers: Vec<(String, &'b [u8])>,
    body: &'b [u8],
}

impl<'b> Response<'b> {
    /// `None` when it begins with neither a status line nor a header field.
    fn read(banner: &'b [u8]) -> Option<Self> {
        let mut rest = banner.trim_ascii_start();
        let mut headers = Vec::new();
        if is_status_line(rest) {
            rest = after_line(rest);
        } else {
            field(line(rest))?;
        }
        while !line(rest).trim_ascii().is_empty() {
            headers.extend(field(line(rest)));
            rest = after_line(rest);
        }
        Some(Self { headers, body: after_line(rest) })
    }

    /// Values of the fields of this name, given in lower case.
    fn headers<'r>(&'r self, name: &'r str) -> impl Iterator<Item = &'b [u8]> + 'r {
        self.headers.iter().filter(move |(held, _)| held == name).map(|(_, value)| *value)
    }

    fn header(&self, name: &str) -> Option<&'b [u8]> {
        self.headers(name).next()
    }
}

fn is_status_line(text: &[u8]) -> bool {
    ["HTTP/1.", "HTTP/2", "HTTP/0.", "RTSP/1.", "NOTIFY "]
        .iter()
        .any(|start| text.starts_with(start.as_bytes()))
}

fn line(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == b'\n').next().unwrap_or_default()
}

fn after_line(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| *byte == b'\n').map_or(text.len(), |at| at + 1);
    &text[end..]
}

/// `name: value`, its name a token (RFC 9110 §5.1).
fn field(line: &[u8]) -> Option<(String, &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.!#$%&'*+^`|~".contains(byte);
    let name =
        std::str::from_utf8(name).ok().filter(|name| !name.is_empty() && name.bytes().all(|b| token(&b)))?;
    Some((name.to_ascii_lowercase(), value.trim_ascii()))
}

/// The title of a page, references resolved.
fn title(page: &[u8]) -> Option<Vec<u8>> {
    static TITLE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?is-u)<title[^>]*>(.*?)</title").expect("the pattern is constant"));
    let found = TITLE.captures(page)?;
    Some(resolved(&String::from_utf8_lossy(&found[1])).into_bytes())
}

/// Text of the first element of this name.
fn element(document: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(document);
    let start = text.find(&format!("<{name}>"))? + name.len() + 2;
    let end = text[start..].find('<')? + start;
    Some(resolved(text[start..end].trim()))
}

fn resolved(text: &str) -> String {
    quick_xml::escape::unescape(text).map_or_else(|_| text.to_owned(), |text| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(service: Service, banner: &str) -> Vec<String> {
        let seen = sightings(service, banner.as_bytes());
        seen.iter().map(|s| format!("{}={}", s.field.as_str(), String::from_utf8_lossy(&s.text))).collect()
    }

    #[test]
    fn responses_become_fields() {
        let whole = "HTTP/1.1 401 Unauthorized\r\nServer: lighttpd\r\nSet-Cookie: SID=1; path=/\r\n\
                     WWW-Authenticate: Basic realm=\"x\"\r\n\r\n<html><TITLE>A &amp; B</TITLE></html>";
        let expected = [
            "http.server=lighttpd",
            "http.www_authenticate=Basic realm=\"x\"",
            "http.cookie_names=SID",
            "http.title=A & B",
        ];
        assert_eq!(fields(Service::Http, whole), expected);
        assert_eq!(fields(Service::Http, &whole[27..]), expected, "without its status line");
        assert_eq!(fields(Service::Http, "Boa/0.94.14rc21"), ["http.server=Boa/0.94.14rc21"]);
        assert_eq!(fields(Service::Http, "<html><title>x</title>"), ["http.title=x"]);
        assert_eq!(fields(Service::Http, ""), [""; 0]);
        assert_eq!(
            fields(Service::Rtsp, "RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\nServer: H264DVR 1.0\r\n"),
            ["rtsp.server=H264DVR 1.0"]
        );
        assert_eq!(unescape("a\\r\\nb".into()), "a\r\nb");
        assert_eq!(unescape("C:\\new\nline".into()), "C:\\new\nline");
    }

    #[test]
    fn telnet_negotiation_is_no_text() {
        let banner = b"\xff\xfd\x01\xff\xfb\x03a\xff\xfa\x18\x01\xff\xf0b\xff\xf1c\xff\xffd\xff";
        assert_eq!(without_negotiation(banner), b"abc\xffd");
        assert_eq!(without_negotiation(b"\xff\xfa\x18"), b"");
    }

    #[test]
    fn other_services() {
        assert_eq!(fields(Service::Ssh, "hello\r\nSSH-2.0-x\r\n"), ["ssh.banner=SSH-2.0-x\r"]);
        assert_eq!(fields(Service::Snmp, ".1.3.6.1.4.1.9.1.1"), ["snmp.sys_object_id=1.3.6.1.4.1.9.1.1"]);
        assert_eq!(
            fields(Service::Snmp, "sysDescr: RTX1210\nsysObjectID: 1.3.6.1.4.1.1182.1"),
            ["snmp.sys_object_id=1.3.6.1.4.1.1182.1", "snmp.sys_descr=RTX1210"]
        );
        assert_eq!(
            fields(
                Service::Upnp,
                "HTTP/1.1 200 OK\r\nSERVER: Linux UPnP/1.0 MiniUPnPd/1.9\r\nST: upnp:rootdevice\r\n\r\n"
            ),
            ["ssdp.server=Linux UPnP/1.0 MiniUPnPd/1.9", "role=upnp:rootdevice"]
        );
        assert_eq!(
            fields(
                Service::Upnp,
                "<root><device><manufacturer>NEC &amp; Co</manufacturer><modelName>WG</modelName></device>"
            ),
            ["manufacturer=NEC & Co", "model=WG"]
        );
        assert_eq!(fields(Service::Upnp, "Linux/2.6 UPnP/1.0 x/1"), ["ssdp.server=Linux/2.6 UPnP/1.0 x/1"]);
    }
}
