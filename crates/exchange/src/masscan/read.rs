//! Statuses and banners in.

use std::collections::VecDeque;
use std::io::BufRead;
use std::net::IpAddr;

use base64::Engine;
use kenshin_observation::protocol::{Http, Records, Tls};
use kenshin_observation::{Check, Endpoint, Observation, Outcome, TimeUs, Transport};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::escape;
use crate::import::{Imported, Scribe, Source};
use crate::lines::{Line, Lines};
use crate::objects::{Object, Objects};
use crate::problem::{Problem, ReadError, quoted};
use crate::speech;

/// Most ports of one record of JSON; masscan writes one.
const PORTS_MAX: usize = 1 << 16;

/// Reads statuses.
pub(crate) enum Statuses<R> {
    Json(Objects<R>),
    List(Lines<R>),
}

/// What masscan says of one port.
#[derive(Debug)]
pub(crate) struct Status {
    pub(crate) subject: Endpoint,
    time: Option<TimeUs>,
    pub(crate) what: What,
}

/// State, or what was heard.
#[derive(Debug)]
pub(crate) enum What {
    Open,
    Closed,
    /// A state that is none of these.
    Other,
    /// Name of the service and bytes.
    Banner(String, Vec<u8>),
}

impl<R: BufRead> Statuses<R> {
    pub(crate) fn json(file: &str, from: R) -> Self {
        Self::Json(Objects::new(file, from))
    }

    pub(crate) fn list(file: &str, from: R) -> Self {
        Self::List(Lines::new(file, from))
    }
}

impl<R: BufRead> Source for Statuses<R> {
    fn read(&mut self, scribe: &mut Scribe, rows: &mut VecDeque<Imported>) -> Option<Result<(), ReadError>> {
        match self {
            Self::Json(objects) => {
                let object = match objects.next()? {
                    Ok(object) => object,
                    // Older versions end the list by `{finished: 1}`, which is no JSON.
                    Err(ReadError::Malformed(problem))
                        if problem.message.contains("key must be a string") =>
                    {
                        return Some(finished(objects.text()).then_some(()).ok_or(problem.into()));
                    }
                    Err(error) => return Some(Err(error)),
                };
                Some(
                    statuses(&object)
                        .map(|statuses| rows.extend(statuses.into_iter().map(|status| status.row(scribe))))
                        .map_err(Into::into),
                )
            }
            Self::List(lines) => {
                let line = match lines.next()? {
                    Ok(line) => line,
                    Err(error) => return Some(Err(error)),
                };
                Some(
                    status(line)
                        .map(|status| rows.extend(status.map(|status| status.row(scribe))))
                        .map_err(Into::into),
                )
            }
        }
    }
}

fn finished(text: &[u8]) -> bool {
    let text: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    text.starts_with(b"{finished:")
}

/// The statuses of one record of JSON.
fn statuses(Object { place, value }: &Object) -> Result<Vec<Status>, Problem> {
    const HINT: &str = "this record is passed over; give the file as masscan wrote it, with `-oJ`";
    let ip = value["ip"].as_str().unwrap_or_default();
    let addr: IpAddr =
        ip.parse().map_err(|_| place.problem(format!("ip {} is not an address", quoted(ip)), HINT))?;
    // A number in quotation marks.
    let time = match &value["timestamp"] {
        Value::String(text) => text.parse().ok(),
        other => other.as_i64(),
    };
    let ports = value["ports"].as_array().ok_or_else(|| place.problem("there are no `ports`", HINT))?;
    let mut statuses = Vec::new();
    for port in ports.iter().take(PORTS_MAX) {
        let number = port["port"].as_u64().and_then(|number| u16::try_from(number).ok());
        let proto = port["proto"].as_str().unwrap_or_default();
        let subject = subject(addr, number, proto).map_err(|message| place.problem(message, HINT))?;
        let what = match (&port["service"], port["status"].as_str()) {
            (Value::Object(service), _) => {
                let text = |key: &str| service.get(key).and_then(Value::as_str).unwrap_or_default();
                What::Banner(text("name").to_owned(), bytes(text("banner")))
            }
            (_, Some("open")) => What::Open,
            (_, Some("closed")) => What::Closed,
            _ => What::Other,
        };
        statuses.push(Status { subject, time: time.map(TimeUs::from_secs), what });
    }
    Ok(statuses)
}

/// masscan writes each byte that is no ASCII as the character of that number.
fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for c in text.chars() {
        match u8::try_from(c) {
            Ok(byte) => out.push(byte),
            Err(_) => out.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    out
}

/// The status of one line of the list; `None` for comments and empty lines.
pub(crate) fn status(line: Line<'_>) -> Result<Option<Status>, Problem> {
    const HINT: &str = "this line is passed over; give the file as masscan wrote it, with `-oL`";
    if line.text.trim().is_empty() || line.text.starts_with('#') {
        return Ok(None);
    }
    let mut words = line.words(char::is_whitespace);
    let mut word = |what: &str| {
        words.next().ok_or_else(|| {
            line.place(line.text.len()).problem(format!("the line ends before its {what}"), HINT)
        })
    };
    let (at, state) = word("state")?;
    let (_, proto) = word("transport")?;
    let (port_at, port) = word("port")?;
    let (ip_at, ip) = word("address")?;
    let (_, time) = word("time")?;
    let addr = ip
        .parse()
        .map_err(|_| line.place(ip_at).problem(format!("{} is not an address", quoted(ip)), HINT))?;
    let subject = subject(addr, port.parse().ok(), proto)
        .map_err(|message| line.place(port_at).problem(message, HINT))?;
    let what = match state {
        "open" => What::Open,
        "closed" => What::Closed,
        "banner" => {
            let (name_at, name) = word("service")?;
            // The banner is what follows one space, its own spaces too.
            let banner = line.text[name_at + name.len()..].get(1..).unwrap_or_default();
            What::Banner(name.to_owned(), escape::bytes(banner))
        }
        other => {
            return Err(line
                .place(at)
                .problem(format!("{} is not `open`, `closed` or `banner`", quoted(other)), HINT));
        }
    };
    Ok(Some(Status { subject, time: time.parse().ok().map(TimeUs::from_secs), what }))
}

fn subject(addr: IpAddr, port: Option<u16>, proto: &str) -> Result<Endpoint, String> {
    let transport = match proto {
        "tcp" => Transport::Tcp,
        "udp" => Transport::Udp,
        "icmp" => return Ok(Endpoint::new(addr.to_canonical(), 0, Transport::Icmp)),
        other => return Err(format!("{} is not a transport that Kenshin knows", quoted(other))),
    };
    match port {
        Some(port @ 1..) => Ok(Endpoint::new(addr.to_canonical(), port, transport)),
        _ => Err("there is no port from 1 to 65535".to_owned()),
    }
}

impl Status {
    fn row(self, scribe: &Scribe) -> Imported {
        let sweep = |outcome| scribe.row(self.subject, self.time, Check::Sweep, outcome);
        match self.what {
            What::Open => sweep(Outcome::Answered).into(),
            What::Closed => sweep(Outcome::Refused).into(),
            What::Other => {
                Observation { reason: Some("unknown-state".to_owned()), ..sweep(Outcome::Error) }.into()
            }
            What::Banner(name, said) => {
                let row = scribe.row(self.subject, self.time, Check::Handshake, Outcome::Answered);
                banner(scribe, row, &name, &said)
            }
        }
    }
}

fn banner(scribe: &Scribe, mut row: Observation, name: &str, said: &[u8]) -> Imported {
    let mut certificate = None;
    let protocol = match name {
        "http.server" => {
            let http = Http { server: Some(scribe.said(said)), ..Http::default() };
            row.records = Records { http: Some(Box::new(http)), ..Records::default() };
            "http"
        }
        "title" => {
            let http = Http { title: Some(scribe.said(said)), ..Http::default() };
            row.records = Records { http: Some(Box::new(http)), ..Records::default() };
            "http"
        }
        "X509" => {
            certificate = base64::engine::general_purpose::STANDARD.decode(said).ok();
            let sha256 = certificate.as_ref().map(|der| hex::encode(Sha256::digest(der)));
            let tls = Tls { certificate_sha256: sha256, ..Tls::default() };
            row.records = Records { tls: Some(Box::new(tls)), ..Records::default() };
            "tls"
        }
        "ssl" => {
            row.records = Records { tls: Some(Box::default()), ..Records::default() };
            "tls"
        }
        other => {
            row.records = speech::heard(scribe, other, said);
            other
        }
    };
    row.protocol = Some(scribe.said(protocol.as_bytes()));
    Imported::with_certificate(row, certificate)
}
