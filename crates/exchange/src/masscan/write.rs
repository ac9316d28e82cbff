//! Statuses and banners out.

use std::io::{self, Write};

use kenshin_observation::{Check, Observation, Outcome, TimeUs, Transport};

use crate::escape;
use crate::export::Rows;
use crate::format::Format;
use crate::speech;

/// Writes rows as statuses and banners.
pub(crate) struct Writer<W> {
    to: W,
    json: bool,
    begun: bool,
}

/// What masscan would say of a row.
enum What {
    Status(&'static str, &'static str),
    Banner(String, String),
}

impl<W: Write> Writer<W> {
    pub(crate) fn new(format: Format, to: W) -> Self {
        Self { to, json: format == Format::MasscanJson, begun: false }
    }

    fn begin(&mut self) -> io::Result<bool> {
        let first = !std::mem::replace(&mut self.begun, true);
        if first {
            writeln!(self.to, "{}", if self.json { "[" } else { "#masscan" })?;
        }
        Ok(first)
    }
}

impl<W: Write> Rows for Writer<W> {
    fn row(&mut self, row: &Observation) -> io::Result<()> {
        let Some(what) = what(row) else { return Ok(()) };
        let first = self.begin()?;
        let (addr, port, transport) = (row.subject.addr, row.subject.port, row.subject.transport);
        let seconds = row.time.micros().div_euclid(TimeUs::from_secs(1).micros());
        if !self.json {
            return match what {
                What::Status(state, _) => writeln!(self.to, "{state} {transport} {port} {addr} {seconds}"),
                What::Banner(name, banner) => {
                    let (name, banner) = (escape::word(&name), escape::ascii(&banner));
                    writeln!(self.to, "banner {transport} {port} {addr} {seconds} {name} {banner}")
                }
            };
        }
        let said = match what {
            What::Status(state, reason) => format!("\"status\": \"{state}\", \"reason\": \"{reason}\""),
            What::Banner(name, banner) => {
                format!("\"service\": {{\"name\": {}, \"banner\": {}}}", string(&name), string(&banner))
            }
        };
        if !first {
            writeln!(self.to, ",")?;
        }
        writeln!(
            self.to,
            "{{   \"ip\": \"{addr}\",   \"timestamp\": \"{seconds}\", \"ports\": [ {{\"port\": {port}, \"proto\": \"{transport}\", {said}}} ] }}"
        )
    }

    fn finish(&mut self) -> io::Result<()> {
        self.begin()?;
        writeln!(self.to, "{}", if self.json { "]" } else { "# end" })?;
        self.to.flush()
    }
}

/// What is said of a row; `None` of what masscan keeps silent about.
fn what(row: &Observation) -> Option<What> {
    match (row.check, row.outcome, row.subject.transport) {
        (Check::Sweep, Outcome::Answered, Transport::Tcp) => Some(What::Status("open", "syn-ack")),
        (Check::Sweep, Outcome::Refused, Transport::Tcp) => Some(What::Status("closed", "rst-ack")),
        (Check::Sweep, Outcome::Answered, _) => Some(What::Status("open", "none")),
        (Check::Sweep, Outcome::Refused, _) => Some(What::Status("closed", "none")),
        (Check::Sweep, ..) => None,
        _ => {
            let name = row.protocol.clone()?;
            // The name by which masscan says that a port speaks TLS.
            let name = if name == "tls" { "ssl".to_owned() } else { name };
            Some(What::Banner(name, speech::said(row).unwrap_or_default()))
        }
    }
}

/// A JSON string in ASCII: each byte that is none becomes the character of that number, as in
/// masscan's own files.
fn string(text: &str) -> String {
    let mut out = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' | b'<' | b'>' | b'&' | b'\'' | ..=0x1f | 0x7f.. => {
                out.push_str(&format!("\\u{byte:04x}"))
            }
            _ => out.push(char::from(byte)),
        }
    }
    out.push('"');
    out
}
