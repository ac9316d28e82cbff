//! Responses out.

use std::io::{self, Write};
use std::net::IpAddr;
use std::str::FromStr;

use kenshin_observation::{Check, Observation, Outcome, TimeUs, Transport, UnknownWord, words};
use serde_json::Value;

use crate::export::Rows;
use crate::format::Format;

words!(
    /// A field of ZMap that an observation can fill.
    ZmapField, "field" {
        /// Address that was probed.
        Saddr = "saddr",
        /// The same as a number in network order; IPv4 only.
        SaddrRaw = "saddr_raw",
        /// Address that probed.
        Daddr = "daddr",
        /// The same as a number in network order; IPv4 only.
        DaddrRaw = "daddr_raw",
        /// Port that was probed.
        Sport = "sport",
        /// Port that probed.
        Dport = "dport",
        /// `synack`, `rst`, `icmp`, `udp`, `icmp-unreach` or `echoreply`.
        Classification = "classification",
        /// Whether the service is there.
        Success = "success",
        /// Who sent the ICMP message that refuses a UDP probe.
        IcmpResponder = "icmp_responder",
        /// Type of that message (RFC 792).
        IcmpType = "icmp_type",
        /// Its code.
        IcmpCode = "icmp_code",
        /// Always 0: a target has one outcome.
        Repeat = "repeat",
        /// When it answered, ISO 8601 in UTC.
        TimestampStr = "timestamp_str",
        /// The same in seconds since the epoch.
        TimestampTs = "timestamp_ts",
        /// µs of that second.
        TimestampUs = "timestamp_us",
    }
);

/// A name that is no field we can fill.
pub type UnknownField = UnknownWord;

/// Which fields are written, in which order, of which responses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields {
    /// The fields.
    pub fields: Vec<ZmapField>,
    /// Refusals and ICMP messages too, not only successes.
    pub failures: bool,
}

/// What ZMap writes unless told otherwise: the addresses of successes.
impl Default for Fields {
    fn default() -> Self {
        Self { fields: vec![ZmapField::Saddr], failures: false }
    }
}

/// A comma-separated list of fields, or `*` for all, of successes. ZMap 2's names will do.
impl FromStr for Fields {
    type Err = UnknownField;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fields = match text.trim() {
            "*" => ZmapField::ALL.to_vec(),
            list => {
                let names = list.split(',').map(|name| name.trim().replace('-', "_"));
                names.map(|name| name.parse()).collect::<Result<_, _>>()?
            }
        };
        Ok(Self { fields, failures: false })
    }
}

/// Writes sweeps as responses.
pub(crate) struct Writer<W> {
    to: W,
    json: bool,
    fields: Fields,
    headed: bool,
}

impl<W: Write> Writer<W> {
    pub(crate) fn new(format: Format, to: W, fields: Fields) -> Self {
        // ZMap writes no names above a single column.
        let headed = format == Format::ZmapCsv && fields.fields.len() > 1;
        Self { to, json: format == Format::ZmapJson, fields, headed }
    }

    fn head(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.headed) {
            let names: Vec<&str> = self.fields.fields.iter().map(|field| field.as_str()).collect();
            writeln!(self.to, "{}", names.join(","))?;
        }
        Ok(())
    }
}

impl<W: Write> Rows for Writer<W> {
    fn row(&mut self, row: &Observation) -> io::Result<()> {
        self.head()?;
        let Some((classification, success)) = response(row) else { return Ok(()) };
        if !success && !self.fields.failures {
            return Ok(());
        }
        let values =
            self.fields.fields.iter().map(|field| (field, value(*field, row, classification, success)));
        if self.json {
            let members: Vec<String> = values.map(|(field, value)| format!("\"{field}\": {value}")).collect();
            return writeln!(self.to, "{{ {} }}", members.join(", "));
        }
        let cells: Vec<String> = values
            .map(|(_, value)| match value {
                Value::String(text) => text,
                Value::Null => String::new(),
                other => other.to_string(),
            })
            .collect();
        writeln!(self.to, "{}", cells.join(","))
    }

    fn finish(&mut self) -> io::Result<()> {
        self.head()?;
        self.to.flush()
    }
}

/// Classification and success of a row; `None` when nothing answered, which ZMap does not write.
fn response(row: &Observation) -> Option<(&'static str, bool)> {
    if row.check != Check::Sweep {
        return None;
    }
    match (row.outcome, row.subject.transport) {
        (Outcome::Answered, Transport::Tcp) => Some(("synack", true)),
        (Outcome::Answered, Transport::Udp) => Some(("udp", true)),
        (Outcome::Answered, Transport::Icmp) => Some(("echoreply", true)),
        (Outcome::Refused, Transport::Tcp) => Some(("rst", false)),
        (Outcome::Filtered, Transport::Tcp) => Some(("icmp", false)),
        // In ZMap's words both are one; the ICMP fields tell them apart.
        (Outcome::Refused | Outcome::Filtered, Transport::Udp) => Some(("icmp-unreach", false)),
        _ => None,
    }
}

fn value(field: ZmapField, row: &Observation, classification: &str, success: bool) -> Value {
    match field {
        ZmapField::Saddr => row.subject.addr.to_string().into(),
        ZmapField::SaddrRaw => raw(row.subject.addr),
        ZmapField::Daddr => row.vantage.addr.to_string().into(),
        ZmapField::DaddrRaw => raw(row.vantage.addr),
        ZmapField::Sport => row.subject.port.into(),
        ZmapField::Dport => row.vantage.port.into(),
        ZmapField::Classification => classification.into(),
        ZmapField::Success => i32::from(success).into(),
        ZmapField::IcmpResponder if port_unreachable(row) => row.subject.addr.to_string().into(),
        ZmapField::IcmpType | ZmapField::IcmpCode if port_unreachable(row) => 3.into(),
        ZmapField::IcmpResponder | ZmapField::IcmpType | ZmapField::IcmpCode => Value::Null,
        ZmapField::Repeat => 0.into(),
        ZmapField::TimestampStr => text(row.time).into(),
        ZmapField::TimestampTs => seconds(row.time).into(),
        ZmapField::TimestampUs => row.time.micros().rem_euclid(1_000_000).into(),
    }
}

/// A UDP port is refused by *port unreachable* (type 3, code 3) from the host itself.
fn port_unreachable(row: &Observation) -> bool {
    row.subject.transport == Transport::Udp && row.outcome == Outcome::Refused
}

/// The address as ZMap's machine holds it: little-endian, whatever ours is.
fn raw(addr: IpAddr) -> Value {
    match addr {
        IpAddr::V4(v4) => u32::from_le_bytes(v4.octets()).into(),
        IpAddr::V6(_) => Value::Null,
    }
}

fn seconds(time: TimeUs) -> i64 {
    time.micros().div_euclid(1_000_000)
}

/// `2026-11-26T02:32:15.864+0000`.
fn text(time: TimeUs) -> String {
    let whole = TimeUs::from_secs(seconds(time)).to_string();
    format!("{}.{:03}+0000", whole.trim_end_matches('Z'), time.millis().rem_euclid(1_000))
}
