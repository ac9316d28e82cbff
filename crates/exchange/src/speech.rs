//! Between what a service says and the record that keeps it, for the formats that know banners
//! only.

use kenshin_observation::Observation;
use kenshin_observation::protocol::{Ftp, Http, LIST_MAX, Records, Rtsp, Smtp, Ssh, Telnet, Unknown};

use crate::import::Scribe;

/// Most bytes of a banner kept as hexadecimal.
const FIRST_BYTES_MAX: usize = 64;

/// What the service said, put together from the record; a line where the record is a line.
pub(crate) fn said(row: &Observation) -> Option<String> {
    let records = &row.records;
    if let Some(http) = &records.http {
        return Some(head(&format!("HTTP/1.1 {}", http.status), &http_headers(http)));
    }
    if let Some(rtsp) = &records.rtsp {
        let methods = (!rtsp.methods.is_empty()).then(|| rtsp.methods.join(", "));
        let headers = [
            ("Server", rtsp.server.clone()),
            ("Public", methods),
            ("WWW-Authenticate", rtsp.www_authenticate.clone()),
        ];
        return Some(head(&format!("RTSP/1.0 {}", rtsp.status), &present(headers)));
    }
    let banner = (records.ssh.as_ref().map(|ssh| &ssh.banner))
        .or(records.ftp.as_ref().map(|ftp| &ftp.banner))
        .or(records.smtp.as_ref().map(|smtp| &smtp.banner))
        .or(records.telnet.as_ref().map(|telnet| &telnet.text))
        .or(records.unknown.as_ref().map(|unknown| &unknown.banner))?;
    Some(banner.clone())
}

/// The headers of an answer that its record keeps, in their usual spelling; of cookies the names.
pub(crate) fn http_headers(http: &Http) -> Vec<(&'static str, String)> {
    let mut headers = present([
        ("Server", http.server.clone()),
        ("X-Powered-By", http.powered_by.clone()),
        ("WWW-Authenticate", http.www_authenticate.clone()),
        ("Location", http.location.clone()),
        ("Content-Type", http.content_type.clone()),
    ]);
    headers.extend(http.cookie_names.iter().map(|name| ("Set-Cookie", format!("{name}=*"))));
    headers
}

fn present<const N: usize>(headers: [(&'static str, Option<String>); N]) -> Vec<(&'static str, String)> {
    headers.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn head(first: &str, headers: &[(&str, String)]) -> String {
    let mut out = format!("{first}\r\n");
    for (name, value) in headers {
        // A value cannot pretend to be a header.
        let value: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    out.push_str("\r\n");
    out
}

/// The record of what a service said in the protocol named; of other protocols its first bytes.
pub(crate) fn heard(scribe: &Scribe, protocol: &str, said: &[u8]) -> Records {
    let mut records = Records::default();
    let line = || scribe.said(trim_end(said));
    match protocol {
        "http" => match answer(scribe, said, "HTTP/") {
            Some((status, headers)) => records.http = Some(Box::new(http(status, &headers))),
            None => records.unknown = unknown(scribe, said),
        },
        "rtsp" => match answer(scribe, said, "RTSP/") {
            Some((status, headers)) => records.rtsp = Some(Box::new(rtsp(status, &headers))),
            None => records.unknown = unknown(scribe, said),
        },
        "ssh" => records.ssh = Some(Box::new(Ssh { banner: line(), ..Ssh::default() })),
        "ftp" => records.ftp = Some(Box::new(Ftp { banner: line(), anonymous: None })),
        "smtp" => records.smtp = Some(Box::new(Smtp { banner: line(), ehlo: Vec::new() })),
        "telnet" => records.telnet = Some(Box::new(telnet(scribe, said, Vec::new()))),
        _ => records.unknown = unknown(scribe, said),
    }
    records
}

/// First bytes of a service; `None` when there are none.
pub(crate) fn unknown(scribe: &Scribe, said: &[u8]) -> Option<Box<Unknown>> {
    if said.is_empty() {
        return None;
    }
    let kept = (scribe.terms.look.redact)(&said[..said.len().min(FIRST_BYTES_MAX)]);
    Some(Box::new(Unknown {
        banner: scribe.said(said),
        first_bytes: hex::encode(&kept[..kept.len().min(FIRST_BYTES_MAX)]),
        bytes: i64::try_from(said.len()).unwrap_or(i64::MAX),
    }))
}

/// Text of a Telnet service and what it stops at.
pub(crate) fn telnet(scribe: &Scribe, said: &[u8], options: Vec<String>) -> Telnet {
    let [login_prompt, password_prompt, shell_prompt] = (scribe.terms.look.prompt)(said);
    Telnet { options, text: scribe.said(said), login_prompt, password_prompt, shell_prompt }
}

/// Name in lower case and value of each header.
type Headers = Vec<(String, String)>;

/// Status and headers of an answer whose first line begins with `version`.
fn answer(scribe: &Scribe, said: &[u8], version: &str) -> Option<(i32, Headers)> {
    let text = String::from_utf8_lossy(said);
    let mut lines = text.lines();
    let first = lines.next()?;
    let status = first.strip_prefix(version)?.split_ascii_whitespace().nth(1)?.parse().ok()?;
    let headers = lines.map_while(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
    });
    let kept = headers.take(LIST_MAX * 2).map(|(name, value)| {
        // Of a cookie only the name is looked at, so its value needs no redaction.
        let value = if name == "set-cookie" { value } else { scribe.said(value.as_bytes()) };
        (name, value)
    });
    Some((status, kept.collect()))
}

fn find(headers: &Headers, name: &str) -> Option<String> {
    headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
}

fn http(status: i32, headers: &Headers) -> Http {
    Http {
        status,
        server: find(headers, "server"),
        www_authenticate: find(headers, "www-authenticate"),
        powered_by: find(headers, "x-powered-by"),
        location: find(headers, "location"),
        content_type: find(headers, "content-type"),
        cookie_names: cookie_names(
            headers.iter().filter(|(key, _)| key == "set-cookie").map(|(_, value)| value.as_str()),
        ),
        ..Http::default()
    }
}

/// Names of the cookies that headers set.
pub(crate) fn cookie_names<'a>(values: impl Iterator<Item = &'a str>) -> Vec<String> {
    let names = values.filter_map(|value| value.split_once('=').map(|(name, _)| name.trim()));
    names.map(|name| kenshin_observation::protocol::text(name.as_bytes())).take(LIST_MAX).collect()
}

fn rtsp(status: i32, headers: &Headers) -> Rtsp {
    let public = find(headers, "public").unwrap_or_default();
    let methods = public.split(',').map(str::trim).filter(|method| !method.is_empty());
    Rtsp {
        status,
        server: find(headers, "server"),
        methods: methods.map(str::to_owned).take(LIST_MAX).collect(),
        www_authenticate: find(headers, "www-authenticate"),
    }
}

fn trim_end(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |last| last + 1);
    &bytes[..end]
}
